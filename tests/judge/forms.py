"""Parameters from forms: the protocols `ec2` and `query`."""

from __future__ import annotations

from wire import UNREADABLE, Texts, join


class Forms(Texts):
    def from_form(self, shape):
        tree = {}
        seen = set()
        for key, value in self.request.form_pairs():
            if key in seen:
                self.say(key, "is given twice")
            seen.add(key)
            if key in ("Action", "Version") or key.startswith("X-Amz-"):
                continue
            node = tree
            for step in key.split("."):
                node = node.setdefault(step, {})
            node[""] = value
        return self.form_structure(shape, tree, "") if shape else self.form_leftover(tree, "") or {}

    def form_name(self, member, key, default):
        """EC2 capitalises names, but not `queryName`: https://smithy.io/2.0/aws/protocols/aws-ec2-query-protocol.html"""
        serialization = member.serialization
        if self.protocol != "ec2":
            return serialization.get("name", default)
        if "queryName" in serialization:
            return serialization["queryName"]
        name = serialization.get("name", default)
        return name[0].upper() + name[1:]

    def form_leftover(self, tree, path):
        for name, node in tree.items():
            where = join(path, name)
            if name == "":
                self.say(path, "has a value of its own, and is not a value")
            elif set(node) == {""}:
                self.say(where, "is not in the model")
            else:
                self.form_leftover(node, where)

    def form_structure(self, shape, tree, path):
        tree, values = dict(tree), {}
        for key, member in shape.members.items():
            name = self.form_name(member, key, key)
            if member.type_name == "list" and self.protocol == "query" and member.serialization.get("flattened"):
                name = member.member.serialization.get("name", name)
            if name in tree:
                values[key] = self.form_value(member, tree.pop(name), join(path, key))
        self.form_leftover(tree, path)
        return values

    def form_value(self, shape, node, path):
        kind = shape.type_name
        if kind == "structure":
            return self.form_structure(shape, node, path)
        if kind == "list":
            return self.form_list(shape, node, path)
        if kind == "map":
            return self.form_map(shape, node, path)
        self.form_leftover({name: child for name, child in node.items() if name}, path)
        return self.scalar(shape, node[""], path) if "" in node else UNREADABLE

    def form_numbered(self, node, path):
        if set(node) == {""} and node[""] == "":
            return []
        numbers = [name for name in node if name.isdecimal()]
        self.form_leftover({name: child for name, child in node.items() if name not in numbers}, path)
        numbers.sort(key=int)
        if [int(number) for number in numbers] != list(range(1, len(numbers) + 1)):
            self.say(path, f"is numbered {', '.join(numbers)} instead of from 1 on")
        return [node[number] for number in numbers]

    def form_list(self, shape, node, path):
        if self.protocol == "query" and not shape.serialization.get("flattened") and set(node) != {""}:
            node = self.form_wrapped(node, shape.member.serialization.get("name", "member"), path)
        items = self.form_numbered(node, path)
        return [self.form_value(shape.member, item, f"{path}[{index}]") for index, item in enumerate(items)]

    def form_wrapped(self, node, name, path):
        self.form_leftover({key: child for key, child in node.items() if key != name}, path)
        return node.get(name, {})

    def form_map(self, shape, node, path):
        if not shape.serialization.get("flattened") and set(node) != {""}:
            node = self.form_wrapped(node, "entry", path)
        key_name = shape.key.serialization.get("name", "key")
        value_name = shape.value.serialization.get("name", "value")
        entries = {}
        for index, entry in enumerate(self.form_numbered(node, path)):
            self.form_leftover({k: v for k, v in entry.items() if k not in (key_name, value_name)}, f"{path}[{index}]")
            key = entry.get(key_name, {}).get("")
            if key is None or value_name not in entry:
                self.say(f"{path}[{index}]", f"lacks its {key_name} or its {value_name}")
                continue
            entries[key] = self.form_value(shape.value, entry[value_name], join(path, key))
        return entries
