"""Reads the models, checks them against their schema, and gives plain objects with offsets computed.

Every problem is one line `file:line: key 'x': why`; load() collects them all and raises ModelError.
"""
import os

import yaml

WIDTH = {"u8": 1, "u16": 2, "u32": 4, "u64": 8}
SIDES = ("driver", "device", "either", "bus")
UNITS = ("elements", "bytes", "bits")
MAX_MODEL_BYTES = 4 << 20


class ModelError(Exception):
    """The problems found, one line each."""


class Doc(dict):
    """A mapping that knows its file and the line of each key."""
    file = "?"
    line = 0
    lines = None


class Loader:
    """Reads YAML into dicts and lists that remember their lines, and collects problems."""

    def __init__(self):
        self.problems = []

    def problem(self, file, line, key, why):
        self.problems.append(f"{file}:{line}: key '{key}': {why}")

    def read(self, path):
        """The document at path, or None where it cannot be read (the problem is noted)."""
        try:
            if os.path.getsize(path) > MAX_MODEL_BYTES:
                self.problems.append(f"{path}:1: file: larger than {MAX_MODEL_BYTES} bytes")
                return None
            with open(path, encoding="utf-8") as stream:
                node = yaml.compose(stream, Loader=yaml.SafeLoader)
        except (OSError, UnicodeDecodeError) as err:
            self.problems.append(f"{path}:1: file: cannot be read ({err})")
            return None
        except yaml.YAMLError as err:
            mark = getattr(err, "problem_mark", None)
            line = mark.line + 1 if mark else 1
            self.problems.append(f"{path}:{line}: file: not YAML ({getattr(err, 'problem', err)})")
            return None
        if node is None:
            self.problems.append(f"{path}:1: file: is empty")
            return None
        return self.build(node, path, ())

    def build(self, node, path, above):
        if id(node) in above:
            self.problem(path, node.start_mark.line + 1, "*", "an alias contains itself")
            return None
        above = above + (id(node),)
        if isinstance(node, yaml.MappingNode):
            doc = Doc()
            doc.file, doc.line, doc.lines = path, node.start_mark.line + 1, {}
            for key_node, value_node in node.value:
                key = key_node.value if isinstance(key_node, yaml.ScalarNode) else "?"
                if key in doc:
                    self.problem(path, key_node.start_mark.line + 1, key, "stands twice")
                doc[key] = self.build(value_node, path, above)
                doc.lines[key] = key_node.start_mark.line + 1
            return doc
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item, path, above) for item in node.value]
        loader = yaml.SafeLoader("")
        try:
            return loader.construct_object(node)
        except (yaml.YAMLError, ValueError) as err:
            self.problem(path, node.start_mark.line + 1, node.value, f"not a scalar ({err})")
            return None
        finally:
            loader.dispose()

    def check(self, doc, path, schema):
        """Check a mapping against {key: (type or types, required)}; unknown keys are problems."""
        if not isinstance(doc, Doc):
            self.problems.append(f"{path}:1: file: a mapping is expected here")
            return False
        good = True
        for key, value in doc.items():
            if key not in schema:
                known = ", ".join(sorted(schema))
                self.problem(doc.file, doc.lines[key], key, f"unknown; known are {known}")
                good = False
                continue
            types = schema[key][0]
            types = types if isinstance(types, tuple) else (types,)
            if bool not in types and isinstance(value, bool) or not isinstance(value, types):
                names = " or ".join(t.__name__ for t in types)
                self.problem(doc.file, doc.lines[key], key,
                             f"is {type(value).__name__}, must be {names}")
                good = False
        for key, (_, required) in schema.items():
            if required and key not in doc:
                self.problem(doc.file, doc.line, key, "is missing")
                good = False
        return good


class Field:
    """One scalar: name, width and offset within its payload (or header)."""

    def __init__(self, name, width, offset):
        self.name, self.width, self.offset = name, width, offset


class Array:
    """One array: fixed (count) or variable (count_field and unit), at an offset of its payload."""

    def __init__(self, name, width, offset, count, count_field, unit, optional):
        self.name, self.width, self.offset = name, width, offset
        self.count, self.count_field, self.unit, self.optional = count, count_field, unit, optional


class Layout:
    """Scalars, at most one fixed array, at most one variable array at the end."""

    def __init__(self):
        self.fields, self.fixed, self.tail, self.size = [], None, None, 0

    def field(self, name):
        return next((f for f in self.fields if f.name == name), None)


class Message:
    """One message: name, id, class, who starts it, and its layouts (None where it has none)."""

    def __init__(self, name, ident, bus, binding, side):
        self.name, self.id, self.bus, self.binding, self.side = name, ident, bus, binding, side
        self.request = self.response = self.event = None


class Spec:
    """One draft: everything under models/<name>."""

    def __init__(self, name):
        self.name = name
        self.c = name.replace("-", "_")
        self.title, self.revision = "", 0
        self.header, self.header_size = {}, 0
        self.type_bits, self.id_bits = {}, {}
        self.limits, self.constants, self.transport_features = {}, {}, {}
        self.fence = None
        self.messages = []
        self.clauses = []
        self.device = None
        self.mutants = []

    def message(self, name):
        return next((m for m in self.messages if m.name == name), None)


class Clause:
    """One normative statement, with what it takes to judge it."""

    def __init__(self, doc):
        self.doc = doc
        self.id, self.level, self.role = doc["id"], doc["level"], doc["role"]
        self.how, self.section, self.text = doc["how"], doc["sec"], doc["text"]
        self.when, self.require = doc.get("when"), doc.get("require")
        self.predicate, self.reason = doc.get("predicate"), doc.get("reason")
        self.line, self.file = doc.line, doc.file

    @property
    def judged(self):
        return self.reason is None


MESSAGES_SCHEMA = {
    "spec": (str, True), "revision": (int, True), "title": (str, True), "header": (dict, True),
    "limits": (dict, True), "fence": (str, True), "transport_features": (dict, False),
    "constants": (dict, False), "messages": (list, True)}
MESSAGE_SCHEMA = {"name": (str, True), "id": (int, True), "bus": (bool, False), "from": (str, True),
                  "request": (list, False), "response": (list, False), "event": (list, False)}
FIELD_SCHEMA = {"name": (str, True), "type": (str, True), "count": ((int, str), False),
                "unit": (str, False), "optional": (bool, False)}
CLAUSE_SCHEMA = {"id": (str, True), "level": (str, True), "role": (str, True), "how": (str, True),
                 "sec": (str, True), "text": (str, True), "when": (str, False),
                 "require": (str, False), "predicate": (str, False), "reason": (str, False)}
LEVELS = ("MUST", "SHOULD", "MAY")
ROLES = ("device", "driver", "bus", "any")
HOWS = ("passive", "active", "option", "inspect")


def load_layout(load, items, path, line):
    layout, offset, names = Layout(), 0, set()
    for item in items:
        if not load.check(item, path, FIELD_SCHEMA):
            continue
        name, kind = item["name"], item["type"]
        if layout.tail:
            load.problem(path, item.line, name, "stands behind a variable array")
        if name in names:
            load.problem(path, item.lines["name"], name, "stands twice in this layout")
        names.add(name)
        if kind not in WIDTH:
            load.problem(path, item.lines["type"], "type", f"'{kind}' is none of u8 u16 u32 u64")
            continue
        width, count = WIDTH[kind], item.get("count")
        if count is None:
            layout.fields.append(Field(name, width, offset))
            offset += width
        elif isinstance(count, int):
            if layout.fixed or not 0 < count <= 1024:
                load.problem(path, item.lines["count"], "count", "a layout has one fixed array of 1 to 1024")
            layout.fixed = Array(name, width, offset, count, None, "elements", False)
            offset += width * count
        else:
            unit = item.get("unit", "elements")
            if unit not in UNITS:
                load.problem(path, item.lines["unit"], "unit", f"'{unit}' is none of {' '.join(UNITS)}")
            if not layout.field(count):
                load.problem(path, item.lines["count"], "count", f"'{count}' is no earlier field")
            layout.tail = Array(name, width, offset, 0, count, unit, bool(item.get("optional")))
    layout.size = offset
    return layout


def load_message(load, spec, doc, path, binding, seen):
    if not load.check(doc, path, MESSAGE_SCHEMA):
        return
    message = Message(doc["name"], doc["id"], bool(doc.get("bus")), binding, doc["from"])
    if not 0 <= message.id <= 255:
        load.problem(path, doc.lines["id"], "id", "is not within 0 to 255")
        return
    if message.side not in SIDES:
        load.problem(path, doc.lines["from"], "from", f"'{message.side}' is none of {' '.join(SIDES)}")
    key = (message.bus, message.id)
    if key in seen or message.name in seen:
        load.problem(path, doc.lines["id"], "id", f"{message.name} repeats the id or name of another message")
    seen.update((key, message.name))
    is_event = "event" in doc
    if is_event == ("request" in doc) or ("request" in doc) != ("response" in doc):
        load.problem(path, doc.line, "request", "a message has request and response, or event")
        return
    if is_event != bool(message.id & spec.id_bits.get("event", 0)):
        load.problem(path, doc.lines["id"], "id", "its event bit does not fit the layout")
    for part in ("request", "response", "event"):
        if part in doc:
            setattr(message, part, load_layout(load, doc[part], path, doc.line))
    spec.messages.append(message)


def load_header(load, spec, doc, path):
    if not load.check(doc, path, {"size": (int, True), "fields": (list, True),
                                  "type_bits": (dict, True), "id_bits": (dict, True)}):
        return
    layout = load_layout(load, doc["fields"], path, doc.line)
    spec.header_size = doc["size"]
    spec.header = {f.name: f for f in layout.fields}
    if layout.size != doc["size"]:
        load.problem(path, doc.lines["size"], "size", f"the fields take {layout.size} bytes")
    for name in ("type", "msg_id", "dev_num", "msg_size"):
        if name not in spec.header:
            load.problem(path, doc.lines["fields"], name, "is missing in the header")
    for name in spec.header:
        if name not in ("type", "msg_id", "dev_num", "token", "msg_size"):
            load.problem(path, doc.lines["fields"], name, "is no header field of any draft")
    spec.type_bits, spec.id_bits = doc["type_bits"], doc["id_bits"]


def load_messages(load, spec, folder):
    path = os.path.join(folder, "messages.yaml")
    doc = load.read(path)
    if doc is None or not load.check(doc, path, MESSAGES_SCHEMA):
        return
    if doc["spec"] != spec.name:
        load.problem(path, doc.lines["spec"], "spec", f"'{doc['spec']}' is not the folder's name")
    spec.title, spec.revision, spec.fence = doc["title"], doc["revision"], doc["fence"]
    load_header(load, spec, doc["header"], path)
    limits = {k: (int, True) for k in ("min_max_msg_size", "max_max_msg_size", "recommended_max_msg_size")}
    load.check(doc["limits"], path, limits)
    spec.limits = doc["limits"]
    spec.constants = doc.get("constants") or {}
    spec.transport_features = doc.get("transport_features") or {}
    seen = set()
    for item in doc["messages"]:
        load_message(load, spec, item, path, False, seen)
    binding = os.path.join(folder, "binding.yaml")
    if os.path.exists(binding):
        extra = load.read(binding)
        if extra is not None and load.check(extra, binding, {"messages": (list, True)}):
            for item in extra["messages"]:
                load_message(load, spec, item, binding, True, seen)
    fence = spec.message(spec.fence)
    if not fence or not fence.request or fence.request.size or fence.request.tail:
        load.problem(path, doc.lines["fence"], "fence", f"'{spec.fence}' is no request without payload")


def load_clauses(load, spec, folder):
    path = os.path.join(folder, "clauses.yaml")
    if not os.path.exists(path):
        return
    docs = load.read(path)
    if not isinstance(docs, list):
        if docs is not None:
            load.problems.append(f"{path}:1: file: a list of clauses is expected")
        return
    seen = {}
    for doc in docs:
        if not load.check(doc, path, CLAUSE_SCHEMA):
            continue
        for key, words in (("level", LEVELS), ("role", ROLES), ("how", HOWS)):
            if doc[key] not in words:
                load.problem(path, doc.lines[key], key, f"'{doc[key]}' is none of {' '.join(words)}")
        if doc["id"] in seen:
            load.problem(path, doc.lines["id"], "id", f"{doc['id']} stands at line {seen[doc['id']]} already")
        seen[doc["id"]] = doc.line
        if ("when" in doc) != ("require" in doc):
            load.problem(path, doc.line, "when", "when and require stand together")
        if not {"when", "predicate", "reason"} & set(doc):
            load.problem(path, doc.line, "when", "a clause has when and require, predicate, or a reason")
        spec.clauses.append(Clause(doc))


def load_core(load, root):
    path = os.path.join(root, "virtio-core", "core.yaml")
    doc = load.read(path)
    schema = {"status_bits": (dict, True), "feature_bits": (dict, True), "limits": (dict, True),
              "device_types": (list, True)}
    if doc is None or not load.check(doc, path, schema):
        return None
    for item in doc["device_types"]:
        load.check(item, path, {"name": (str, True), "id": (int, True), "shm": (bool, True),
                                "opaque": (list, True)})
    return doc


def load(root):
    """All specs under root (sorted by name) and the core facts. ModelError lists every problem."""
    loader, specs = Loader(), []
    core = load_core(loader, root)
    for name in sorted(os.listdir(root)):
        folder = os.path.join(root, name)
        if not os.path.exists(os.path.join(folder, "messages.yaml")):
            continue
        spec = Spec(name)
        load_messages(loader, spec, folder)
        load_clauses(loader, spec, folder)
        device = os.path.join(folder, "device.yaml")
        if os.path.exists(device):
            spec.device = loader.read(device)
        mutants = os.path.join(folder, "mutants.yaml")
        if os.path.exists(mutants):
            spec.mutants = loader.read(mutants) or []
        specs.append(spec)
    if not specs:
        loader.problems.append(f"{root}:1: file: no folder with a messages.yaml")
    if loader.problems:
        raise ModelError("\n".join(loader.problems))
    return specs, core
