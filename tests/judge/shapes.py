"""Whether parameters conform to a model: required members, sizes, ranges, patterns, and enumerations."""

from __future__ import annotations

import collections
import functools
import re
import unicodedata

from wire import UNREADABLE, brief, join, masked


class Patterns:
    """The models' patterns, converted from Java's syntax to Python's. A pattern that Python cannot compile is counted."""

    def __init__(self):
        self.unchecked = collections.Counter()

    def matches(self, pattern, text):
        compiled = compile_java(pattern)
        if compiled is None:
            self.unchecked[f"pattern {pattern}"] += 1
            return True
        return compiled.fullmatch(text) is not None


@functools.cache
def compile_java(pattern):
    try:
        return re.compile(translate(pattern))
    except (re.error, ValueError, OverflowError):
        return None


# The names of character classes in Java and POSIX, which some models use.
CLASSES = {
    "ASCII": r"\x00-\x7f",
    "Print": r"\x20-\x7e",
    "Graph": r"\x21-\x7e",
    "Punct": r"!-/:-@\[-`{-~",
    "Alpha": "a-zA-Z",
    "Lower": "a-z",
    "Upper": "A-Z",
    "Digit": "0-9",
    "Alnum": "a-zA-Z0-9",
    "XDigit": "0-9a-fA-F",
    "Space": r" \t\n\x0b\f\r",
    "Blank": r" \t",
    "Cntrl": r"\x00-\x1f\x7f",
}


def translate(pattern):
    """Converts Java's syntax to Python's: `\\p{…}`, `[[:alnum:]]`, surrogates, a hyphen after a class."""
    pattern = re.sub(r"\[:(\w+):\]", lambda name: CLASSES[posix(name[1])], pattern)
    # A pair of surrogates is a character beyond the first plane; the models always mean all of these.
    pattern = re.sub(r"\\[uU]D800\\[uU]DC00-\\[uU]DBFF\\[uU]DFFF", lambda _: r"\U00010000-\U0010ffff", pattern)
    out, index, depth = [], 0, 0
    while index < len(pattern):
        found = re.compile(r"\\([pP])(?:\{(?:Is)?(\w+)\}|(\w))").match(pattern, index)
        if found:
            inside = klass(found[2] or found[3])
            if found[1] == "P":
                if depth:
                    raise ValueError("a complement within a class")
                out.append(f"[^{inside}]")
            else:
                out.append(inside if depth else f"[{inside}]")
            index = found.end()
        elif pattern[index] == "\\":
            # A class such as \w cannot begin a range in Python; in Java, the hyphen is then a literal.
            hyphen = depth and pattern[index + 1 : index + 2] in "wdsWDS" and pattern[index + 2 : index + 3] == "-"
            out.append(pattern[index : index + 2] + (r"\-" if hyphen else ""))
            index += 3 if hyphen else 2
        elif pattern[index] == "[" and depth:
            # Java's union of classes has no equivalent in Python.
            raise ValueError("a class within a class")
        else:
            depth += (pattern[index] == "[") - (pattern[index] == "]" and depth > 0)
            # In Java, `\w` and the like match only ASCII.
            out.append(pattern[index])
            index += 1
    return "(?a:" + "".join(out) + ")"


def posix(name):
    return next(known for known in CLASSES if known.lower() == name.lower())


@functools.cache
def klass(name):
    """The content of a class with all characters of a Unicode category, or of one of Java's own classes."""
    if name in CLASSES:
        return CLASSES[name]
    ranges, start, last = [], None, None
    for code in range(0x110000):
        if 0xD800 <= code <= 0xDFFF or not unicodedata.category(chr(code)).startswith(name):
            continue
        if last != code - 1:
            if start is not None:
                ranges.append((start, last))
            start = code
        last = code
    if start is None:
        raise ValueError(f"no category {name}")
    ranges.append((start, last))
    return "".join(f"\\U{first:08x}-\\U{end:08x}" for first, end in ranges)


# API Gateway's model has some limits only in the names of shapes.
NAMED_LIMITS = re.compile(r"\w*WithLengthBetween(\d+)And(\d+)(K?)")


def limits(shape):
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    named = NAMED_LIMITS.fullmatch(shape.name)
    if named and least is most is None:
        least, most = named[1], int(named[2]) * (1024 if named[3] else 1)
    return least, most


class Validator:
    def __init__(self, patterns):
        self.patterns = patterns
        self.wrong = []

    def say(self, path, what):
        self.wrong.append((path, what))

    def check(self, shape, value, path=""):
        if value is UNREADABLE or shape is None:
            return
        kind = shape.type_name
        if kind == "structure":
            if not shape.is_document_type:
                self.structure(shape, value, path)
        elif kind == "list":
            self.size(shape, len(value), path, "items")
            for index, item in enumerate(value):
                self.check(shape.member, item, f"{path}[{index}]")
        elif kind == "map":
            self.size(shape, len(value), path, "entries")
            for key, item in value.items():
                self.check(shape.key, key, join(path, f"key {key!r}"))
                self.check(shape.value, item, join(path, key))
        elif kind in ("string", "character"):
            self.string(shape, value, path)
        elif kind == "blob":
            if not masked(value):
                self.size(shape, len(value), path, "bytes")
        elif kind in ("integer", "long", "float", "double") and not masked(value):
            self.range(shape, value, path)

    def structure(self, shape, value, path):
        for name in shape.required_members:
            if name not in value:
                self.say(join(path, name), "is required, and missing")
        if shape.is_tagged_union and len(value) != 1:
            self.say(path, f"must have exactly one member, and has {len(value)}")
        for name, item in value.items():
            self.check(shape.members[name], item, join(path, name))

    def string(self, shape, value, path):
        # The length of a body or an archive that was left out of the recording is unknown.
        if value != "***":
            self.size(shape, len(value), path, "characters")
        if masked(value):
            return
        if shape.enum and value not in shape.enum:
            self.say(path, f"is {value!r}, and must be one of {', '.join(shape.enum[:12])}{', …' * (len(shape.enum) > 12)}")
        pattern = shape.metadata.get("pattern")
        if pattern and not self.patterns.matches(pattern, value):
            self.say(path, f"is {brief(value)}, which does not match {pattern}")

    def size(self, shape, size, path, unit):
        least, most = limits(shape)
        if least is not None and size < int(least):
            self.say(path, f"has {size} {unit}, and must have at least {least}")
        if most is not None and size > int(most):
            self.say(path, f"has {size} {unit}, and may have at most {most}")

    def range(self, shape, value, path):
        least, most = limits(shape)
        if least is not None and value < float(least):
            self.say(path, f"is {value}, and must be at least {least}")
        if most is not None and value > float(most):
            self.say(path, f"is {value}, and may be at most {most}")
