"""AWS's service models, from the package botocore, and how a recorded call finds its operation there."""

from __future__ import annotations

import functools
import re
from urllib.parse import unquote

import botocore.exceptions
import botocore.loaders
import botocore.model

# The signing names that are not the names of their models.
MODELS = {"monitoring": "cloudwatch", "servicequotas": "service-quotas"}

# The SDKs add this parameter to say which operation they mean. No model lists it.
OPERATION_ID = "x-id"


class Unjudgeable(Exception):
    """A call that no model describes: a finding by itself."""


@functools.cache
def loader():
    # Not the loader of a session, which would also read models from the user's own folder.
    return botocore.loaders.Loader(include_default_search_paths=True)


@functools.cache
def service(signing_name, path):
    """The model for a signing name. Two APIs share `apigateway`; only the newer one has paths under /v2."""
    name = MODELS.get(signing_name, signing_name)
    if name == "apigateway" and path.startswith("/v2/"):
        name = "apigatewayv2"
    try:
        model = loader().load_service_model(name, "service-2")
    except botocore.exceptions.UnknownServiceError:
        raise Unjudgeable(f"there is no model of a service {signing_name!r}") from None
    return botocore.model.ServiceModel(model, name)


def find(request, signing_name):
    """Returns the operation, its protocol, and the labels in its path."""
    path = request.path if signing_name == "apigateway" else ""
    model = service(signing_name, path[:4])
    protocol = model.metadata["protocol"]
    if protocol in ("rest-xml", "rest-json"):
        operation, labels = by_path(model, request)
        return operation, protocol, labels
    name, protocol = by_name(model, request)
    if name not in model.operation_names:
        raise Unjudgeable(f"{model.service_name} has no operation {name!r}")
    return model.operation_model(name), protocol, {}


def by_name(model, request):
    """Returns the operation's name, and the protocol of the request: a service may speak several."""
    spoken = model.metadata.get("protocols") or [model.metadata["protocol"]]
    if "smithy-protocol" in request.headers:
        said, name = request.headers["smithy-protocol"], request.path.rpartition("/operation/")[2]
        protocol, prefix = "smithy-rpc-v2-cbor", f"/service/{model.metadata.get('targetPrefix')}/operation/"
        if said != "rpc-v2-cbor" or request.path != prefix + name:
            raise Unjudgeable(f"{said!r} to {request.path!r} instead of 'rpc-v2-cbor' to '{prefix}{name}'")
    elif "x-amz-target" in request.headers:
        prefix, _, name = request.headers["x-amz-target"].rpartition(".")
        protocol = "json"
        if prefix != model.metadata.get("targetPrefix"):
            raise Unjudgeable(f"the target is {prefix!r} instead of {model.metadata.get('targetPrefix')!r}")
    else:
        protocol = "ec2" if "ec2" in spoken else "query"
        name = request.form().get("Action", "")
        if request.form().get("Version") != model.api_version:
            raise Unjudgeable(f"the version is {request.form().get('Version')!r} instead of {model.api_version!r}")
    if protocol not in spoken:
        raise Unjudgeable(f"{model.service_name} does not speak {protocol}, but {', '.join(spoken)}")
    return name, protocol


def by_path(model, request):
    """Returns the most specific operation whose method, path and required parameters fit."""
    best = None
    for name, method, template, literals, needs, headers, deprecated in routes(model):
        if method != request.method or any(request.query.get(key) != value for key, value in literals.items()):
            continue
        if not needs <= request.query.keys() or not headers <= request.headers.keys():
            continue
        match = template.fullmatch(request.path.rstrip("/") or "/")
        if not match:
            continue
        asked = request.query.get(OPERATION_ID) == name
        fixed = len(re.sub(r"\(.*?\)", "", template.pattern))
        rank = (asked, len(literals), len(needs) + len(headers), fixed, not deprecated)
        if best is None or rank > best[0]:
            best = (rank, name, {label: unquote(text) for label, text in match.groupdict().items()})
    if best is None:
        raise Unjudgeable(f"{model.service_name} has no operation for {request.method} {request.uri}")
    return model.operation_model(best[1]), best[2]


@functools.cache
def routes(model):
    found = []
    for name in model.operation_names:
        operation = model.operation_model(name)
        path, _, query = operation.http["requestUri"].partition("?")
        literals = dict(pair.partition("=")[::2] for pair in query.split("&") if pair)
        literals.pop(OPERATION_ID, None)
        template = re.sub(r"\\\{(\w+)\\\+\\\}", r"(?P<\1>.+)", re.escape(path.rstrip("/") or "/"))
        template = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", template)
        needs, headers = set(), set()
        shape = operation.input_shape
        for required in shape.required_members if shape else ():
            member = shape.members[required]
            where = member.serialization.get("location")
            if where == "querystring":
                needs.add(member.serialization.get("name", required))
            # Only in S3 does a header distinguish operations with the same path; elsewhere, a missing header is a finding.
            if where == "header" and model.service_name == "s3" and required == "CopySource":
                headers.add(member.serialization["name"].lower())
        if model.service_name != "s3":
            needs = set()
        found.append(
            (name, operation.http["method"], re.compile(template), literals, needs, headers, operation.deprecated)
        )
    return found
