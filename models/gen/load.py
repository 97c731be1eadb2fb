"""Reads the models, checks them against their schema, and gives plain objects with offsets computed.

Every problem is one line `file:line: key 'x': why`; load() collects them all and raises ModelError.
"""
import glob
import os
import re

import yaml

WIDTH = {"u8": 1, "u16": 2, "u32": 4, "u64": 8}
MAX_U64 = (1 << 64) - 1
SIDES = ("driver", "device", "either", "bus")
UNITS = ("elements", "bytes", "bits")
MAX_MODEL_BYTES = 4 << 20
MAX_NODES = 200_000  # many times what a draft needs; aliases count each time they are used
MAX_PROBLEMS = 100
MAX_SHOWN = 400
IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
MUTANT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
CLAUSE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")
BEYOND_TEXT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")


class ModelError(Exception):
    """The problems found, one line each."""


class TooLarge(Exception):
    """A document with more nodes than any model has; its argument is the line."""


def shown(value):
    """A value as a problem quotes it: short, printable, on one line."""
    text = str(value)
    text = text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "..."
    return "".join(ch if ch.isprintable() else " " if ch.isspace() else ascii(ch)[1:-1] for ch in text)


def problem_line(file, line, key, why):
    return f"{file}:{line}: key '{shown(key)}': {shown(why)}"


def error_of(problems):
    """ModelError with each problem once, and no more of them than anybody reads."""
    lines = list(dict.fromkeys(problems))
    if len(lines) > MAX_PROBLEMS:
        place = lines[MAX_PROBLEMS].split(": ")[0]
        lines[MAX_PROBLEMS:] = [f"{place}: and {len(lines) - MAX_PROBLEMS} more problems from here on"]
    return ModelError("\n".join(lines))


class Doc(dict):
    """A mapping that knows its file and the line of each key."""
    file = "?"
    line = 0
    lines = None


SHALLOW = 10000  # nodes within each other that libyaml's own reader is trusted with: its recursion has no limit


def compose(text):
    """The document's nodes; by libyaml, where Python has it, which is ten times as fast."""
    deepest = text.count("[") + text.count("{") + max(map(len, text.splitlines()), default=0)
    fast = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.compose(text, Loader=fast if deepest < SHALLOW else yaml.SafeLoader)


class Items(list):
    """A list that knows the line of each item."""
    line = 0
    lines = ()


class Loader:
    """Reads YAML into dicts and lists that remember their lines, and collects problems."""

    def __init__(self):
        self.problems = []
        self.nodes = 0

    def problem(self, file, line, key, why):
        self.problems.append(problem_line(file, line, key, why))

    def file_problem(self, path, why, line=1):
        self.problems.append(f"{path}:{line}: file: {shown(why)}")

    def read(self, path):
        """The document at path, or None where it cannot be read (the problem is noted)."""
        try:
            if os.path.getsize(path) > MAX_MODEL_BYTES:
                self.file_problem(path, f"larger than {MAX_MODEL_BYTES} bytes")
                return None
            with open(path, encoding="utf-8") as stream:
                node = compose(stream.read())
            if node is None:
                self.file_problem(path, "is empty")
                return None
            self.nodes = 0
            return self.build(node, path, ())
        except UnicodeDecodeError as err:
            self.file_problem(path, f"is not UTF-8 ({err.reason} at byte {err.start} of the part read)")
        except OSError as err:
            self.file_problem(path, f"cannot be read ({err.strerror})")
        except yaml.YAMLError as err:
            mark = getattr(err, "problem_mark", None)
            why = getattr(err, "problem", None) or getattr(err, "reason", None) or err
            self.file_problem(path, f"not YAML ({why})", mark.line + 1 if mark else 1)
        except RecursionError:
            self.file_problem(path, "is nested deeper than any model")
        except TooLarge as err:
            self.file_problem(path, f"comes to more than {MAX_NODES} values; aliases count at each use", err.args[0])
        except ValueError as err:  # a character number out of range, in an escape
            self.file_problem(path, f"not YAML ({err})")
        return None

    def build(self, node, path, above):
        """A node as Doc, Items or a scalar; `above` are the nodes that it stands in."""
        line = node.start_mark.line + 1
        if id(node) in above:
            self.problem(path, line, "*", "an alias contains itself")
            return None
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise TooLarge(line)
        above = above + (id(node),)
        if isinstance(node, yaml.MappingNode):
            return self.build_mapping(node, path, above)
        if isinstance(node, yaml.SequenceNode):
            items = Items(self.build(item, path, above) for item in node.value)
            items.line, items.lines = line, [item.start_mark.line + 1 for item in node.value]
            return items
        return self.scalar(node, path, line)

    def build_mapping(self, node, path, above):
        doc = Doc()
        doc.file, doc.line, doc.lines = path, node.start_mark.line + 1, {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else "?"
            if not isinstance(key_node, yaml.ScalarNode) or BEYOND_TEXT.search(key):
                self.problem(path, line, key, "a key is one word")
                continue
            if key in doc:
                self.problem(path, line, key, "stands twice")
            doc[key] = self.build(value_node, path, above)
            doc.lines[key] = line
        return doc

    def scalar(self, node, path, line):
        """A text, number, truth value or null; dates, byte strings and tags of YAML are none."""
        try:
            value = yaml.constructor.SafeConstructor().construct_object(node)
        except (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError, OverflowError) as err:
            self.problem(path, line, node.value, f"not a scalar ({getattr(err, 'problem', None) or err})")
            return None
        if value is not None and not isinstance(value, (str, int, float)):
            self.problem(path, line, node.value, f"is a {type(value).__name__}, which no model has; quote it")
        elif isinstance(value, str) and BEYOND_TEXT.search(value):
            self.problem(path, line, value, "holds a character that is no text")
        elif isinstance(value, int) and not -(1 << 63) <= value < 1 << 64:
            self.problem(path, line, node.value, "does not fit 64 bits")
        else:
            return value
        return None

    def each(self, items, path, schema):
        """The items of a list that are mappings as the schema has them; the others are problems."""
        for item, line in zip(items, items.lines):
            if self.check(item, path, schema, line):
                yield item

    def numbers(self, doc, low, high):
        """The mapping's entries that are a name with a number from low to high; others are problems."""
        good = {}
        for key, value in doc.items():
            if not IDENTIFIER.fullmatch(key):
                self.problem(doc.file, doc.lines[key], key, "is no name of letters, digits and _")
            elif isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                why = f"is '{shown(value)}', must be a number from {low} to {high}"
                self.problem(doc.file, doc.lines[key], key, why)
            else:
                good[key] = value
        return good

    def identifier(self, doc, key):
        """Whether doc[key] can be a part of a C name."""
        if IDENTIFIER.fullmatch(doc[key]):
            return True
        self.problem(doc.file, doc.lines[key], key, f"'{shown(doc[key])}' is no name of letters, digits and _")
        return False

    def check(self, doc, path, schema, line=1):
        """Check a mapping against {key: (type or types, required)}; unknown keys are problems."""
        if not isinstance(doc, Doc):
            self.file_problem(path, "a mapping is expected here", line)
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
        self.includes = []    # catalogues beside the draft's own clauses, as folders of models/
        self.catalogues = {}  # {name: title}, in the order of the clauses
        self.clauses = []
        self.device = self.driver = None
        self.mutants, self.driver_mutants = Items(), Items()
        self.bus, self.bus_mutants = None, Items()

    def message(self, name):
        return next((m for m in self.messages if m.name == name), None)


class Catalogue:
    """Clauses that one specification states: its name, its title, and predicates that are to come."""

    def __init__(self, name, title, planned=()):
        self.name, self.title, self.planned = name, title, frozenset(planned)


class Clause:
    """One normative statement, with what it takes to judge it; kind: of one device type only."""

    def __init__(self, doc, catalogue, kind=None):
        self.doc, self.catalogue, self.kind = doc, catalogue, kind
        self.id, self.level, self.role = doc["id"], doc["level"], doc["role"]
        self.how, self.section, self.text = doc["how"], doc["sec"], doc["text"]
        self.when, self.require = doc.get("when"), doc.get("require")
        self.predicate, self.stated = doc.get("predicate"), doc.get("reason")
        self.by_scenario = "judged_by" in doc
        self.expected = False  # a scenario expects it
        self.line, self.file = doc.line, doc.file

    @property
    def spec(self):
        return self.catalogue.name

    @property
    def predicates(self):
        """The named judgements that decide it now: those that are planned bind nothing."""
        return [name for name in (self.predicate or "").split() if name not in self.catalogue.planned]

    @property
    def reason(self):
        """Why it is not judged, or None."""
        if self.stated or self.when or self.predicates or self.expected:
            return self.stated
        if self.by_scenario:
            return "planned: no scenario expects it yet"
        return f"planned: {self.predicate}"

    @property
    def judged(self):
        return self.reason is None


MESSAGES_SCHEMA = {
    "spec": (str, True), "revision": (int, True), "title": (str, True), "header": (dict, True),
    "limits": (dict, True), "fence": (str, True), "transport_features": (dict, False),
    "constants": (dict, False), "include": (list, False), "messages": (list, True)}
MESSAGE_SCHEMA = {"name": (str, True), "id": (int, True), "bus": (bool, False), "from": (str, True),
                  "request": (list, False), "response": (list, False), "event": (list, False)}
FIELD_SCHEMA = {"name": (str, True), "type": (str, True), "count": ((int, str), False),
                "unit": (str, False), "optional": (bool, False)}
CLAUSE_SCHEMA = {"id": (str, True), "level": (str, True), "role": (str, True), "how": (str, True),
                 "sec": (str, True), "text": (str, True), "when": (str, False),
                 "require": (str, False), "predicate": (str, False), "judged_by": (str, False),
                 "reason": (str, False)}
CATALOGUE_SCHEMA = {"spec": (str, True), "title": (str, True), "planned": (list, False), "files": (list, True)}
TYPE_SCHEMA = {"type": (str, True), "clauses": (list, True)}
LEVELS = ("MUST", "SHOULD", "MAY")
ROLES = ("device", "driver", "bus", "any")
HOWS = ("passive", "active", "option", "inspect")


def load_layout(load, items, path):
    layout, offset, names = Layout(), 0, set()
    for item in load.each(items, path, FIELD_SCHEMA):
        name, kind = item["name"], item["type"]
        load.identifier(item, "name")
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
    load.identifier(doc, "name")
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
    if "event" in spec.id_bits and is_event != bool(message.id & spec.id_bits["event"]):
        load.problem(path, doc.lines["id"], "id", "its event bit does not fit the layout")
    for part in ("request", "response", "event"):
        if part in doc:
            setattr(message, part, load_layout(load, doc[part], path))
    spec.messages.append(message)


def load_header(load, spec, doc, path):
    if not load.check(doc, path, {"size": (int, True), "fields": (list, True),
                                  "type_bits": (dict, True), "id_bits": (dict, True)}):
        return
    layout = load_layout(load, doc["fields"], path)
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
    bits = {"type_bits": ("response", "bus", "reserved"), "id_bits": ("event", "implementation_defined")}
    for key, words in bits.items():
        if load.check(doc[key], path, {word: (int, True) for word in words}):
            good = load.numbers(doc[key], 0, 255)
            setattr(spec, key, good if len(good) == len(words) else {})


def load_messages(load, spec, folder):
    path = os.path.join(folder, "messages.yaml")
    doc = load.read(path)
    if doc is None or not load.check(doc, path, MESSAGES_SCHEMA):
        return
    if doc["spec"] != spec.name:
        load.problem(path, doc.lines["spec"], "spec", f"'{doc['spec']}' is not the folder's name")
    spec.title, spec.revision, spec.fence = doc["title"], doc["revision"], doc["fence"]
    spec.includes = words(load, doc, "include")
    load_header(load, spec, doc["header"], path)
    limits = {k: (int, True) for k in ("min_max_msg_size", "max_max_msg_size", "recommended_max_msg_size")}
    if load.check(doc["limits"], path, limits):
        spec.limits = load.numbers(doc["limits"], 1, 65535)
    spec.constants = load.numbers(doc["constants"], 0, MAX_U64) if "constants" in doc else {}
    if "transport_features" in doc:
        spec.transport_features = load.numbers(doc["transport_features"], 0, 31)
    if not 0 <= spec.revision <= 0xffffffff:
        load.problem(path, doc.lines["revision"], "revision", "does not fit 32 bits")
    seen = set()
    for item in load.each(doc["messages"], path, MESSAGE_SCHEMA):
        load_message(load, spec, item, path, False, seen)
    binding = os.path.join(folder, "binding.yaml")
    if os.path.exists(binding):
        extra = load.read(binding)
        if extra is not None and load.check(extra, binding, {"messages": (list, True)}):
            for item in load.each(extra["messages"], binding, MESSAGE_SCHEMA):
                load_message(load, spec, item, binding, True, seen)
    fence = spec.message(spec.fence)
    if not fence or not fence.request or fence.request.size or fence.request.tail:
        load.problem(path, doc.lines["fence"], "fence", f"'{spec.fence}' is no request without payload")


def read_list(load, path, what):
    """The list that a file holds; an empty one where it holds none (the problem is noted)."""
    noted = len(load.problems)
    docs = load.read(path)
    if isinstance(docs, Items):
        return docs
    if docs is not None or len(load.problems) == noted:
        load.file_problem(path, f"a list of {what} is expected")
    return Items()


def words(load, doc, key):
    """The names that a list of a mapping holds; anything else in it is a problem."""
    good = []
    for item in doc.get(key, ()):
        if isinstance(item, str) and re.fullmatch(r"\w[\w./-]*", item, re.ASCII) and ".." not in item:
            good.append(item)
        else:
            load.problem(doc.file, doc.lines[key], key, f"'{shown(item)}' is no name")
    return good


def check_clause(load, doc, path, seen):
    """Whether a clause says what it must; `seen` holds the places of those before it."""
    for key, known in (("level", LEVELS), ("role", ROLES), ("how", HOWS)):
        if doc[key] not in known:
            load.problem(path, doc.lines[key], key, f"'{doc[key]}' is none of {' '.join(known)}")
    if not CLAUSE_ID.fullmatch(doc["id"]):
        load.problem(path, doc.lines["id"], "id", f"'{doc['id']}' is no name of letters, digits and -")
    if doc["id"] in seen:
        file, line = seen[doc["id"]]
        where = f"at line {line}" if file == path else f"in {file}:{line}"
        load.problem(path, doc.lines["id"], "id", f"{doc['id']} stands {where} already")
    seen[doc["id"]] = path, doc.line
    if ("when" in doc) != ("require" in doc):
        load.problem(path, doc.line, "when", "when and require stand together")
    if doc.get("judged_by", "scenario") != "scenario":
        load.problem(path, doc.lines["judged_by"], "judged_by", f"'{shown(doc['judged_by'])}' is not 'scenario'")
    if not {"when", "predicate", "judged_by", "reason"} & set(doc):
        load.problem(path, doc.line, "when", "a clause has when and require, predicate, judged_by, or a reason")


def load_clauses(load, spec, folder, seen):
    """The draft's own clauses."""
    path = os.path.join(folder, "clauses.yaml")
    if not os.path.exists(path):
        return
    catalogue = Catalogue(spec.name, spec.title)
    spec.catalogues[catalogue.name] = catalogue.title
    for doc in load.each(read_list(load, path, "clauses"), path, CLAUSE_SCHEMA):
        check_clause(load, doc, path, seen)
        spec.clauses.append(Clause(doc, catalogue))


def load_included_file(load, spec, path, catalogue, kinds, seen):
    """One file of a catalogue: a list of clauses, or a mapping with those of a device type."""
    doc, kind = load.read(path), None
    if isinstance(doc, Doc):
        if not load.check(doc, path, TYPE_SCHEMA):
            return
        kind = kinds.get(doc["type"])
        if not kind:
            load.problem(path, doc.lines["type"], "type", f"'{shown(doc['type'])}' is no device type of core.yaml")
        doc = doc["clauses"]
    if not isinstance(doc, Items):
        if doc is not None:
            load.file_problem(path, "a list of clauses is expected, or type and clauses")
        return
    for item in load.each(doc, path, CLAUSE_SCHEMA):
        check_clause(load, item, path, seen)
        spec.clauses.append(Clause(item, catalogue, kind))


def load_included(load, spec, root, core, seen):
    """The clauses of the catalogues that a draft includes, behind its own."""
    kinds = {}
    for kind in core["device_types"] if core else ():
        if isinstance(kind, Doc) and isinstance(kind.get("name"), str):
            kinds[kind["name"]] = kind
    for name in spec.includes:
        path = os.path.join(root, name, "catalogue.yaml")
        doc = load.read(path)
        if doc is None or not load.check(doc, path, CATALOGUE_SCHEMA):
            continue
        catalogue = Catalogue(doc["spec"], doc["title"], words(load, doc, "planned"))
        if catalogue.name in spec.catalogues:
            load.problem(path, doc.lines["spec"], "spec", f"'{shown(catalogue.name)}' is included already")
        spec.catalogues[catalogue.name] = catalogue.title
        for file in words(load, doc, "files"):
            load_included_file(load, spec, os.path.join(root, name, file), catalogue, kinds, seen)
        named = {p for c in spec.clauses if c.catalogue is catalogue for p in (c.predicate or "").split()}
        for predicate in sorted(catalogue.planned - named):
            load.problem(path, doc.lines["planned"], "planned", f"no clause names '{predicate}'")


def share_mutants(spec):
    """A mutant breaks, besides what it names, each included clause that the same judgements decide."""
    by_id = {c.id: c for c in spec.clauses}
    included = [(c.id, set(c.predicates)) for c in spec.clauses if c.spec != spec.name and c.judged]
    for mutant in [*spec.mutants, *spec.driver_mutants]:
        named = mutant.get("clauses") if isinstance(mutant, Doc) else None
        if not isinstance(named, Items):
            continue
        broken = {p for name in map(str, named) if name in by_id for p in by_id[name].predicates}
        named.extend(name for name, predicates in included if name not in named and broken & predicates)


def load_core(load, root):
    path = os.path.join(root, "virtio-core", "core.yaml")
    doc = load.read(path)
    schema = {"status_bits": (dict, True), "feature_bits": (dict, True), "legacy_bits": (list, True), "limits": (dict, True),
              "device_types": (list, True)}
    if doc is None or not load.check(doc, path, schema):
        return None
    for bit in doc["legacy_bits"]:
        if not is_bit(bit):
            load.problem(path, doc.lines["legacy_bits"], "legacy_bits", f"'{shown(bit)}' is no feature bit")
    for name in ("COMMON_BITS_FIRST", "COMMON_BITS_LAST"):
        if name not in doc["limits"]:
            load.problem(path, doc.lines["limits"], "limits", f"'{name}' is missing")
    load.numbers(doc["status_bits"], 1, 255)
    load.numbers(doc["feature_bits"], 0, 63)
    load.numbers(doc["limits"], 0, MAX_U64)
    for item in load.each(doc["device_types"], path, {"name": (str, True), "id": (int, True), "shm": (bool, True),
                                                      "opaque": (list, True), "requires": (list, False),
                                                      "features": (list, False), "optional": (list, False),
                                                      "wide": (list, False), "insists": (list, False)}):
        load.identifier(item, "name")
        if not 0 <= item["id"] <= 0xffffffff:
            load.problem(path, item.lines["id"], "id", "does not fit 32 bits")
        for part in item["opaque"]:
            if not is_range(part):
                load.problem(path, item.lines["opaque"], "opaque", f"'{part}' is no [first, last] of byte offsets")
        for bit in item.get("features", []):
            if not is_bit(bit):
                load.problem(path, item.lines["features"], "features", f"'{shown(bit)}' is no feature bit")
        for part in item.get("optional", []):
            if not (isinstance(part, list) and len(part) == 3 and is_range(part[:2]) and is_bit(part[2])):
                load.problem(path, item.lines["optional"], "optional", f"'{shown(part)}' is no [first, last, feature bit]")
        for part in item.get("wide", []):
            if not is_range(part):
                load.problem(path, item.lines["wide"], "wide", f"'{shown(part)}' is no [first, last] of byte offsets")
        for bit in item.get("insists", []):
            if not is_bit(bit):
                load.problem(path, item.lines["insists"], "insists", f"'{shown(bit)}' is no feature bit")
        for part in item.get("requires", []):
            if not is_need(part):
                load.problem(path, item.lines["requires"], "requires",
                             f"'{part}' is no [feature bit, [one or two bits of which it needs one]]")
    return doc


def is_bit(n):
    """Whether this is the number of a feature bit."""
    return isinstance(n, int) and not isinstance(n, bool) and 0 <= n < 2048


def is_need(part):
    """Whether this is [bit, [bit]] or [bit, [bit, bit]]."""
    return (isinstance(part, list) and len(part) == 2 and is_bit(part[0]) and isinstance(part[1], list) and
            1 <= len(part[1]) <= 2 and all(is_bit(n) for n in part[1]))


def is_range(part):
    """Whether this is [first, last] of unsigned 32-bit numbers."""
    return (isinstance(part, list) and len(part) == 2 and
            all(isinstance(n, int) and not isinstance(n, bool) for n in part) and
            0 <= part[0] <= part[1] <= 0xffffffff)


HIDING = ("stream", "spsc")


def check_hidden(model, doc):
    """The carriers that hide a mutant: those where msg_size is the framing."""
    for carrier in doc.get("hidden", []):
        if carrier not in HIDING:
            model.problem(doc, "hidden", f"'{carrier}' is none of {', '.join(HIDING)}")


def c_hidden(doc):
    """The same as what stands between the braces of a C array."""
    return ", ".join([f'"{carrier}"' for carrier in doc.get("hidden", [])] + ["NULL"])


def load_mutants(load, folder, names):
    """The mutants of all files whose names match, one behind the other."""
    mutants = Items()
    mutants.lines = []
    for path in sorted(glob.glob(os.path.join(glob.escape(folder), names))):
        more = read_list(load, path, "mutants")
        mutants.lines = [*mutants.lines, *more.lines]
        mutants.extend(more)
    return mutants


def load_peer(load, folder, name):
    """A peer's model, read; gen/device.py or gen/driver.py checks what it says. None where there is none."""
    path = os.path.join(folder, name)
    doc = load.read(path) if os.path.exists(path) else None
    if doc is not None and not isinstance(doc, Doc):
        load.file_problem(path, "a mapping is expected here")
    return doc


def load_peers(load, spec, folder):
    """The reference peers of a draft and their mutants."""
    spec.device = load_peer(load, folder, "device.yaml")
    spec.mutants = load_mutants(load, folder, "mutants*.yaml")
    spec.driver = load_peer(load, folder, "driver.yaml")
    spec.driver_mutants = load_mutants(load, folder, "driver_mutants*.yaml")


def load_bus(load, spec, folder):
    """bus.yaml and bus_mutants.yaml, read; gen/bus.py checks what they say."""
    path = os.path.join(folder, "bus.yaml")
    if os.path.exists(path):
        spec.bus = load.read(path)
        if spec.bus is not None and not isinstance(spec.bus, Doc):
            load.file_problem(path, "a mapping is expected here")
    path = os.path.join(folder, "bus_mutants.yaml")
    if os.path.exists(path):
        spec.bus_mutants = read_list(load, path, "mutants")


def load(root, expected=None):
    """All specs under root (sorted by name) and the core facts. ModelError lists every problem.
    `expected` are the clauses that a scenario expects; None where no scenarios were read."""
    loader, specs = Loader(), []
    try:
        names = sorted(os.listdir(root))
    except OSError as err:
        raise ModelError(f"{root}:1: file: the folder of models cannot be read ({err.strerror})") from err
    core = load_core(loader, root)
    for name in names:
        folder = os.path.join(root, name)
        if not os.path.exists(os.path.join(folder, "messages.yaml")):
            continue
        spec = Spec(name)
        if not IDENTIFIER.fullmatch(spec.c):
            loader.file_problem(folder, "a draft's folder is named with letters, digits and -")
        load_messages(loader, spec, folder)
        seen = {}
        load_clauses(loader, spec, folder, seen)
        load_included(loader, spec, root, core, seen)
        for clause in spec.clauses:
            clause.expected = clause.by_scenario and clause.id in (expected or ())
        load_peers(loader, spec, folder)
        load_bus(loader, spec, folder)
        share_mutants(spec)
        specs.append(spec)
    if not specs:
        loader.file_problem(root, "no folder with a messages.yaml")
    if loader.problems:
        raise error_of(loader.problems)
    return specs, core
