"""Parameters from XML."""

from __future__ import annotations

from xml.etree import ElementTree

from wire import Texts, join

XSI = "{http://www.w3.org/2001/XMLSchema-instance}"


class XmlBodies(Texts):
    def xml_body(self, shape, root, path, members=None):
        try:
            element = ElementTree.fromstring(self.request.body)
        except ElementTree.ParseError as error:
            return self.say(path or "body", f"is not XML: {error}")
        namespace, _, name = element.tag.rpartition("}")
        wanted = shape.serialization.get("xmlNamespace") or self.operation.metadata.get("xmlNamespace")
        wanted = wanted.get("uri") if isinstance(wanted, dict) else wanted
        if name != root:
            return self.say(path or "body", f"has the root {name!r} instead of {root!r}")
        if wanted and namespace.lstrip("{") != wanted:
            self.say(path or "body", f"has the namespace {namespace.lstrip('{')!r} instead of {wanted!r}")
        return self.xml_structure(shape, element, path, members)

    def xml_value(self, shape, elements, path):
        kind = shape.type_name
        if kind == "list":
            if not shape.serialization.get("flattened"):
                elements = self.xml_wrapped(elements, shape.member.serialization.get("name", "member"), path)
            return [self.xml_value(shape.member, [item], f"{path}[{index}]") for index, item in enumerate(elements)]
        if kind == "map":
            entries = elements
            if not shape.serialization.get("flattened"):
                entries = self.xml_wrapped(elements, "entry", path)
            key, value = (s.serialization.get("name", d) for s, d in ((shape.key, "key"), (shape.value, "value")))
            pairs = [{local(child): child for child in entry} for entry in entries]
            return {
                pair[key].text or "": self.xml_value(shape.value, [pair[value]], path)
                for pair in pairs
                if key in pair and value in pair
            }
        if len(elements) > 1:
            self.say(path, f"is given {len(elements)} times")
        if kind == "structure":
            return self.xml_structure(shape, elements[0], path)
        for child in elements[0]:
            self.say(join(path, local(child)), "is not in the model")
        return self.scalar(shape, elements[0].text or "", path)

    def xml_wrapped(self, elements, name, path):
        if len(elements) > 1:
            self.say(path, f"is given {len(elements)} times")
        for child in elements[0]:
            if local(child) != name:
                self.say(join(path, local(child)), "is not in the model")
        return [child for child in elements[0] if local(child) == name]

    def xml_structure(self, shape, element, path, members=None):
        children = {}
        for child in element:
            children.setdefault(local(child), []).append(child)
        if (element.text or "").strip():
            self.say(path or "body", "has text of its own, and is a structure")
        values = {}
        for key, member in (shape.members if members is None else members).items():
            name = member.serialization.get("name", key)
            if member.type_name == "list" and member.serialization.get("flattened"):
                name = member.serialization.get("name") or member.member.serialization.get("name", key)
            if member.serialization.get("xmlAttribute"):
                attribute = XSI + name.partition(":")[2] if name.startswith("xsi:") else name
                if attribute in element.attrib:
                    values[key] = self.scalar(member, element.attrib[attribute], join(path, key))
            elif name in children:
                values[key] = self.xml_value(member, children.pop(name), join(path, key))
        for name in children:
            self.say(join(path, name), "is not in the model")
        return values


def local(element):
    return element.tag.rpartition("}")[2]
