"""A recorded request, read back into the parameters of its operation, by the rules of the service's protocol.

What cannot be read is a finding, and so is what the model does not know. The values have Python's types: `str`, `int`,
`float`, `bool`, `bytes`, `datetime`, `list`, `dict`.
"""

from __future__ import annotations

import re

from documents import Documents
from forms import Forms
from model import OPERATION_ID
from wire import UNREADABLE, brief, masked
from xml_bodies import XmlBodies

# Headers of the transport and of the signature, which models do not list.
PLUMBING = re.compile(
    r"x-amz-(date|content-sha256|user-agent|security-token|target|decoded-content-length|trailer|checksum-\w+"
    r"|sdk-checksum-algorithm|region-set|s3session-token|api-version)"
)


class Reader(Forms, Documents, XmlBodies):
    """Reads one request. Afterwards, `wrong` has pairs of a path and what is wrong there."""

    def read(self):
        shape = self.operation.input_shape
        if self.protocol in ("ec2", "query"):
            return self.from_form(shape)
        if self.protocol == "json":
            return self.from_json_body(shape)
        if self.protocol == "smithy-rpc-v2-cbor":
            return self.from_cbor_body(shape)
        return self.from_rest(shape)

    def from_rest(self, shape):
        request, operation = self.request, self.operation
        values, members = {}, dict(shape.members) if shape else {}
        template = dict(pair.partition("=")[::2] for pair in operation.http["requestUri"].partition("?")[2].split("&"))
        queries, headers = dict(template), set()
        if request.query.get(OPERATION_ID, operation.name) != operation.name:
            self.say(OPERATION_ID, f"is {request.query[OPERATION_ID]!r}, but the request is a {operation.name}")
        free_query = False
        for key, member in list(members.items()):
            where, name = member.serialization.get("location"), member.serialization.get("name", key)
            if where is None:
                continue
            del members[key]
            if where == "uri" and name in self.labels:
                values[key] = self.scalar(member, self.labels[name], key)
            elif where == "querystring" and member.type_name == "map":
                free_query = True
            elif where == "querystring":
                queries[name] = ""
                given = [value for query, value in request.pairs if query == name]
                if member.type_name == "list" and given:
                    values[key] = [self.scalar(member.member, item, f"{key}[{i}]") for i, item in enumerate(given)]
                elif given:
                    values[key] = self.scalar(member, given[-1], key)
                    if len(given) > 1:
                        self.say(key, "is given twice")
            elif where == "header":
                headers.add(name.lower())
                if name.lower() in request.headers:
                    values[key] = self.header(member, request.headers[name.lower()], key)
            elif where == "headers":
                prefix = name.lower()
                given = {h[len(prefix) :]: value for h, value in request.headers.items() if h.startswith(prefix)}
                headers.update(prefix + rest for rest in given)
                if given:
                    values[key] = given
        for name in request.query:
            if name not in queries and name != OPERATION_ID and not free_query and not name.startswith("X-Amz-"):
                self.say(name, "is in the query, and not in the model")
        for name in request.headers:
            if name.startswith("x-amz-") and name not in headers and not PLUMBING.fullmatch(name):
                self.say(name, "is among the headers, and not in the model")
        self.checksum()
        body = self.payload(shape, members)
        return body if body is UNREADABLE else {**values, **body}

    def header(self, member, text, path):
        if member.type_name == "list":
            return [self.scalar(member.member, item.strip(), path) for item in text.split(",")]
        return self.scalar(member, text, path, "rfc822")

    def checksum(self):
        """S3 refuses some requests without one: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketPolicy.html"""
        demanded = self.operation.http_checksum or {}
        given = any(name == "content-md5" or name.startswith("x-amz-checksum-") for name in self.request.headers)
        given = given or self.request.headers.get("x-amz-trailer", "").startswith("x-amz-checksum-")
        if (demanded.get("requestChecksumRequired") or self.operation.http_checksum_required) and not given:
            self.say("checksum", "is missing: neither content-md5 nor x-amz-checksum-* is among the headers")

    def payload(self, shape, members):
        body = self.request.body
        name = shape.serialization.get("payload") if shape else None
        if name:
            member = shape.members[name]
            if not body:
                return {}
            if member.type_name not in ("structure", "list"):
                return {name: body if member.type_name == "blob" else body.decode("utf-8", "replace")}
            if masked(body):
                return {name: UNREADABLE}
            if self.protocol == "rest-json":
                loaded = self.load_json(body)
                return {name: UNREADABLE if loaded is UNREADABLE else self.value(member, loaded, name)}
            return {name: self.xml_body(member, member.serialization.get("name", name), name)}
        if not body:
            return {}
        if not members:
            # Some SDKs send an empty object instead of no body.
            if body.strip() != b"{}":
                self.say("body", "is given, and the operation has no body")
            return {}
        if self.protocol == "rest-json":
            loaded = self.load_json(body)
            if loaded is UNREADABLE:
                return UNREADABLE
            if not isinstance(loaded, dict):
                return self.say("body", f"is {brief(loaded)} instead of a structure")
            return self.members(shape, loaded, "", skip=shape.members.keys() - members.keys())
        return self.xml_body(shape, shape.serialization.get("name", shape.name), "", members)
