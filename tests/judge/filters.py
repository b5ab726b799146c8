"""The names of filters, which the models list only in their documentation: EC2 and RDS refuse any other."""

from __future__ import annotations

import functools
import re

# A family of names is `<code>tag</code>:&lt;key&gt;` in some places, `<code>tag:&lt;key&gt;</code>` or `tag` in others.
ITEM = re.compile(r"<li>\s*<p>\s*<code>([^<]+)</code>(:&lt;)?")
# If there is only one filter, it is in a sentence.
ONLY = re.compile(r"The only supported filter is <code>([^<]+)</code>()")
# `tag:&lt;key&gt;` and the like stand for any name with that prefix.
FAMILY = re.compile(r"(&lt;|<).*")


def check(operation, params):
    """Yields the wrong filters of a call, as pairs of a path and what is wrong there."""
    if operation.service_model.service_name not in ("ec2", "rds"):
        return
    for member in ("Filters", "Filter"):
        given = params.get(member)
        if not isinstance(given, list):
            continue
        names, families = known(operation.service_model, operation.name, member)
        for index, one in enumerate(given):
            name = one.get("Name") if isinstance(one, dict) else None
            if isinstance(name, str) and name not in names and not name.startswith(families):
                yield f"{member}[{index}].Name", f"is {name!r}, and must be one of {', '.join(sorted(names | set(families)))}"


@functools.cache
def known(service, operation, member):
    text = service.operation_model(operation).input_shape.members[member].documentation
    items = [name + family for name, family in ITEM.findall(text) + ONLY.findall(text)]
    items += ["tag:<key>"] * ("tag" in items)
    families = tuple(FAMILY.sub("", item) for item in items if FAMILY.search(item))
    return frozenset(item for item in items if not FAMILY.search(item)), families
