"""A recorded request, and how to read single values in it."""

from __future__ import annotations

import base64
import binascii
import json
import re
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from functools import cached_property
from urllib.parse import parse_qsl, unquote_plus, urlsplit

# Stands for a value that could not be read. That is already a finding, so the value is not judged again.
UNREADABLE = object()


def masked(value):
    """Whether the recording has this in place of a secret, or of a body that is too large to keep."""
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    return isinstance(text, str) and len(text) >= 3 and not text.strip("*")


class Request:
    def __init__(self, recorded):
        self.method = recorded["method"]
        self.uri = recorded["uri"]
        self.headers = {name.lower(): value for name, value in recorded.get("headers", {}).items()}
        parts = urlsplit("http://host" + self.uri) if self.uri.startswith("/") else urlsplit(self.uri)
        self.path = parts.path
        self.pairs = parse_qsl(parts.query, keep_blank_values=True)
        self.query = dict(self.pairs)
        body = recorded.get("body") or ""
        if recorded.get("encoding") == "base64" and not masked(body):
            self.body = base64.b64decode(body, validate=True)
        else:
            self.body = body.encode()

    @cached_property
    def _form(self):
        text = self.body.decode("utf-8", "replace") if self.method == "POST" else urlsplit(self.uri).query
        return [tuple(map(unquote_plus, pair.partition("=")[::2])) for pair in text.split("&") if pair]

    def form(self):
        return dict(self._form)

    def form_pairs(self):
        return self._form


class Texts:
    """Collects what is wrong while it reads. This class reads values that are sent as text."""

    def __init__(self, operation, protocol, request, labels):
        self.operation, self.protocol, self.request, self.labels = operation, protocol, request, labels
        self.wrong = []

    def say(self, path, what):
        self.wrong.append((path, what))
        return UNREADABLE

    def scalar(self, shape, text, path, default_time="iso8601"):
        """Reads a value that is sent as text: in a form, a path, a header or XML."""
        kind = shape.type_name
        if kind in ("string", "character") or masked(text):
            return text
        try:
            if kind in ("integer", "long"):
                return int(text) if re.fullmatch(r"[+-]?[0-9]+", text) else self.say(path, f"is {text!r}, not a number")
            if kind in ("float", "double"):
                return float(text)
            if kind == "boolean":
                return {"true": True, "false": False}[text]
            if kind == "blob":
                return base64.b64decode(text, validate=True)
            if kind == "timestamp":
                return read_time(text, shape.serialization.get("timestampFormat", default_time))
        except (ValueError, KeyError, TypeError, binascii.Error):
            pass
        return self.say(path, f"is {text!r}, which is not a {kind}")


def join(path, name):
    return f"{path}.{name}" if path else name


def brief(value):
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."


def read_time(text, form):
    if form == "unixTimestamp":
        return datetime.fromtimestamp(float(text), timezone.utc)
    if form == "rfc822":
        return parsedate_to_datetime(text)
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", text):
        raise ValueError(text)
    return datetime.fromisoformat(re.sub(r"\.\d+", "", text).replace("Z", "+00:00"))
