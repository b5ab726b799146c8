"""Parameters from JSON and CBOR."""

from __future__ import annotations

import json
from datetime import datetime, timezone

import cbor2

from wire import UNREADABLE, Texts, brief, join, masked


class Documents(Texts):
    def from_json_body(self, shape):
        version = self.operation.metadata.get("jsonVersion", "1.0")
        content_type = self.request.headers.get("content-type", "")
        if content_type != f"application/x-amz-json-{version}":
            self.say("content-type", f"is {content_type!r} instead of 'application/x-amz-json-{version}'")
        return self.document(shape, self.load_json(self.request.body))

    def load_json(self, body):
        try:
            return json.loads(body or b"{}")
        except ValueError as error:
            return self.say("body", f"is not JSON: {error}")

    def from_cbor_body(self, shape):
        content_type = self.request.headers.get("content-type", "")
        if content_type != "application/cbor" and (shape or self.request.body):
            self.say("content-type", f"is {content_type!r} instead of 'application/cbor'")
        try:
            body = cbor2.loads(self.request.body) if self.request.body else {}
        except (cbor2.CBORDecodeError, ValueError) as error:
            body = self.say("body", f"is not CBOR: {error}")
        return self.document(shape, body)

    def document(self, shape, body):
        if body is UNREADABLE:
            return UNREADABLE
        if shape is None:
            if body:
                self.say("body", "is given, and the operation has no body")
            return {}
        return self.value(shape, body, "")

    def value(self, shape, value, path):
        """Reads a value of a body in JSON or CBOR."""
        kind = shape.type_name
        if kind == "structure":
            if getattr(shape, "is_document_type", False):
                return value
            if not isinstance(value, dict):
                return self.say(path, f"is {brief(value)} instead of a structure")
            return self.members(shape, value, path)
        if kind == "list":
            if not isinstance(value, list):
                return self.say(path, f"is {brief(value)} instead of a list")
            return [self.value(shape.member, item, f"{path}[{index}]") for index, item in enumerate(value)]
        if kind == "map":
            if not isinstance(value, dict):
                return self.say(path, f"is {brief(value)} instead of a map")
            return {key: self.value(shape.value, item, join(path, key)) for key, item in value.items()}
        return self.typed(shape, value, path)

    def members(self, shape, value, path, skip=()):
        names = {}
        for key, member in shape.members.items():
            if key not in skip:
                cbor = self.protocol == "smithy-rpc-v2-cbor"
                names[key if cbor else member.serialization.get("name", key)] = (key, member)
        read = {}
        for name, item in value.items():
            if name not in names:
                self.say(join(path, name), "is not in the model")
            # A null is the same as a member that is not given: https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html
            elif item is not None:
                key, member = names[name]
                read[key] = self.value(member, item, join(path, key))
        return read

    def typed(self, shape, value, path):
        kind, cbor = shape.type_name, self.protocol == "smithy-rpc-v2-cbor"
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if kind in ("string", "character") and isinstance(value, str):
            return value
        if kind == "boolean" and isinstance(value, bool):
            return value
        if kind in ("integer", "long") and number and value == int(value):
            return int(value)
        if kind in ("float", "double") and (number or value in ("NaN", "Infinity", "-Infinity")):
            return float(value)
        if kind == "blob" and cbor and isinstance(value, bytes):
            return value
        if kind == "timestamp" and cbor and isinstance(value, datetime):
            return value
        if kind == "blob" and not cbor and isinstance(value, str):
            return self.scalar(shape, value, path)
        if kind == "timestamp" and not cbor:
            form = shape.serialization.get("timestampFormat", "unixTimestamp")
            if number and form == "unixTimestamp":
                return datetime.fromtimestamp(value, timezone.utc)
            if isinstance(value, str) and form != "unixTimestamp":
                return self.scalar(shape, value, path)
        return value if masked(value) else self.say(path, f"is {brief(value)} instead of a {kind}")
