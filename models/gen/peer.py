"""What the printers of the three reference peers (device.py, driver.py, bus.py) share: how a peer's model is checked,
and how its transitions, its mutants and the bends of its messages become C."""
import ast
import glob
import os

from . import expr, load, wire

HEADER_NAMES = ("type", "msg_id", "dev_num", "token", "msg_size", "size", "form", "expected")
# What expressions may know of the bus, of a device and of a driver.
BUS_NAMES = {"strict": "((c->peer->env.features >> PL_C_TF_STRICT_CONFIG_GENERATION) & 1)",
             "revision": "c->peer->env.revision", "max_msg_size": "c->peer->env.max_msg_size",
             "features": "c->peer->env.features"}
BENDS = {"field": "FIELD", "type": "TYPE", "msg_id": "ID", "dev_num": "DEV_NUM",
         "token": "TOKEN", "msg_size": "SIZE", "big_endian": "BIG_ENDIAN", "append": "APPEND",
         "truncate": "TRUNCATE", "data": "DATA", "drop": "DROP", "duplicate": "DUPLICATE",
         "hold": "HOLD"}
# The bends that need a value.
VALUED = ("field", "type", "msg_id", "dev_num", "token", "msg_size", "append", "truncate", "data", "payload", "delay")

TEXT = (str, int, bool)
MUTANT_SCHEMA = {"id": (str, True), "clauses": (list, True), "text": (str, True),
                 "options": (dict, False), "hidden": (list, False), "patch": ((dict, list), True)}
HOOK_SCHEMA = {"hook": (str, True), "on": (str, True), "when": (TEXT, False),
               "field": (str, False), "value": (TEXT, False), "fill": (int, False)}


def c_name(text):
    return "".join(ch if ch.isalnum() else "_" for ch in text)


def c_string(text):
    return wire.quote(str(text))


def c_bool(value):
    return "true" if value else "false"


def patches(mutant):
    patch = mutant.get("patch")
    return patch if isinstance(patch, list) else [patch]


def as_list(value):
    return value if isinstance(value, list) else [value]


class Model:
    """A draft's model of a peer, with what its expressions may name. A subclass says of which peer."""

    who = ""                           # the peer, as problems name it
    prefix, on_prefix, rows = "", "", ""  # what names of C begin with: all, the events of its own, the rows of mutants
    pseudo = ()                        # events that are no messages
    functions, arrays, actions = {}, {}, {}  # names and numbers of arguments
    bends = BENDS
    classes = ()                       # what a bend's `on` may be besides a message
    by_field = ()                      # parts of a transition that a patch changes field by field
    schema, transition_schema, patch_schema, insert_schema = {}, {}, {}, {}
    max_options = 128

    def __init__(self, spec, core):
        self.spec, self.core, self.problems = spec, core, []
        self.loader = load.Loader()
        self.loader.problems = self.problems
        self.constants = wire.all_constants(spec, core)
        self.options, self.transitions, self.mutants, self.by_name = {}, [], [], {}
        self.fields = {f.name for m in spec.messages for lay in (m.request, m.response, m.event)
                       if lay for f in lay.fields}

    def problem(self, doc, key, why):
        line = doc.lines.get(key, doc.line)
        self.problems.append(load.problem_line(doc.file, line, key, why))

    def on_constant(self, name):
        return f"{self.on_prefix}{name}" if name in self.pseudo else f"PL_{name}"

    def check_option(self, doc, name, value):
        """Whether a mutant's option is one of the peer with a number, or `type` with a device type."""
        options = doc["options"]
        if name == "type" and self.type_names() is not None:
            if value not in self.type_names():
                self.problem(options, name, f"'{value}' is none of {', '.join(self.type_names())}")
        elif name not in self.options:
            self.problem(options, name, f"is no option of the {self.who}")
        elif isinstance(value, bool) or not isinstance(value, int) or value < 0:
            self.problem(options, name, f"'{value}' is no number")

    def type_names(self):
        """The device types that the peer may be opened with; None where it is of no type."""
        return None

    def check_clauses(self, doc):
        known = {c.id for c in self.spec.clauses}
        for clause in map(str, doc["clauses"]):
            if known and clause not in known:
                self.problem(doc, "clauses", f"'{clause}' is no clause of this draft")

    def check_transition(self, doc):
        if not load.CLAUSE_ID.fullmatch(doc["name"]):
            self.problem(doc, "name", f"'{doc['name']}' is no name of letters, digits and -")
        if doc["name"] in self.by_name:
            self.problem(doc, "name", f"'{doc['name']}' stands twice")
        self.by_name[doc["name"]] = doc
        self.check_clauses(doc)
        return True

    def check_patch(self, doc, patch, line):
        path, check = doc.file, self.loader.check
        if isinstance(patch, load.Doc) and "hook" in patch:
            if check(patch, path, HOOK_SCHEMA, line) and not 0 <= patch.get("fill", 0) <= 255:
                self.problem(patch, "fill", "is no byte")
        elif isinstance(patch, load.Doc) and "insert" in patch:
            if check(patch, path, {"insert": (dict, True)}, line):
                check(patch["insert"], path, self.insert_schema, line)
        elif check(patch, path, self.patch_schema, line) and patch["transition"] not in self.by_name:
            self.problem(patch, "transition", f"'{patch['transition']}' is no transition")

    def check_mutant(self, doc, seen):
        """Whether a mutant, its options and its patches are sound."""
        noted = len(self.problems)
        if not load.MUTANT_ID.fullmatch(doc["id"]):
            self.problem(doc, "id", f"'{doc['id']}' is no name of letters, digits, - and .")
        if doc["id"] in seen:
            self.problem(doc, "id", f"'{doc['id']}' stands twice")
        seen.add(doc["id"])
        self.check_clauses(doc)
        for name, value in doc.get("options", {}).items():
            self.check_option(doc, name, value)
        load.check_hidden(self, doc)
        parts = patches(doc)
        lines = parts.lines if isinstance(parts, load.Items) else [doc.lines["patch"]]
        for patch, line in zip(parts, lines):
            self.check_patch(doc, patch, line)
        if len(self.problems) > noted:
            return False
        targets = [p["transition"] for p in parts if "transition" in p]
        if len(targets) != len(set(targets)):
            self.problem(doc, "patch", "patches one transition twice")
        if not parts and not doc.get("options"):
            self.problem(doc, "patch", "is empty, and there are no options either")
        return len(self.problems) == noted

    def take(self, doc):
        """Take what the document says besides options, constants and transitions."""

    def read(self, doc, mutants):
        """Take a peer's document and its mutants; problems are noted. Returns the model."""
        if not self.loader.check(doc, doc.file, self.schema):
            return self
        if doc["spec"] != self.spec.name:
            self.problem(doc, "spec", f"'{doc['spec']}' is not the folder's name")
        if len(doc["options"]) > self.max_options:
            self.problem(doc, "options", f"there are more than {self.max_options}")
        self.constants = {**self.constants, **self.loader.numbers(doc.get("constants", {}), 0, load.MAX_U64)}
        self.options = doc["options"]
        for name in self.options:
            if not load.IDENTIFIER.fullmatch(str(name)):
                self.problem(self.options, name, "is no name of letters, digits and _")
        self.loader.numbers(self.options, 0, load.MAX_U64)
        self.take(doc)
        transitions = self.loader.each(doc["transitions"], doc.file, self.transition_schema)
        self.transitions = [t for t in transitions if self.check_transition(t)]
        if self.problems:  # they would show once more in each mutant
            return self
        seen = set()
        for mutant, line in zip(mutants, mutants.lines):
            path = getattr(mutant, "file", os.path.dirname(doc.file))
            if self.loader.check(mutant, path, MUTANT_SCHEMA, line) and self.check_mutant(mutant, seen):
                self.mutants.append(mutant)
        return self


class Printer(expr.Printer):
    """Prints expressions over one event `c` of a peer; a subclass adds names. `outgoing`: of a message on its way out."""

    def __init__(self, model, outgoing=False):
        self.model, self.outgoing = model, outgoing

    def name(self, name):
        head, _, tail = name.partition(".")
        if not tail and name in self.model.constants:
            return f"UINT64_C({self.model.constants[name]})"
        if head == "opt" and tail in self.model.options:
            return f"c->peer->opt[{list(self.model.options).index(tail)}]"
        if head == "out" and self.outgoing and tail in HEADER_NAMES + ("data_len",):
            return f"c->out->{tail}"
        if head == "out" and self.outgoing and tail in self.model.fields:
            return f"c->out->f[PL_F_{tail}]"
        raise expr.ExprError(f"unknown name '{name}'")

    def call(self, name, args):
        return self.named_call(self.model.functions, "fn", name, args)

    def named_call(self, table, kind, name, args):
        if name not in table:
            raise expr.ExprError(f"unknown function '{name}'; known are {', '.join(sorted(table))}")
        if len(args) != table[name]:
            raise expr.ExprError(f"'{name}' takes {table[name]} arguments, not {len(args)}")
        return f"{self.model.prefix}{kind}_{name}({', '.join(['c'] + [self.c(a) for a in args])})"

    def statement(self, table, kind, text):
        """A call that stands for itself: an action, or what fills an array."""
        node = expr.parse(text)
        if not isinstance(node, ast.Call) or expr.dotted(node.func) is None or node.keywords:
            raise expr.ExprError(f"'{text}' is not a call")
        return self.named_call(table, kind, expr.dotted(node.func), node.args)


class Body:
    """Prints the body of one transition (or of one mutant's variant of it); a subclass says in `text` what it has."""

    def __init__(self, model, doc, parts, printer):
        self.model, self.doc, self.parts, self.printer = model, doc, parts, printer
        self.out = []

    def where(self, key):
        source = self.parts.get("__source__", {}).get(key)
        return source if source is not None else self.doc

    def print_expr(self, key, text):
        try:
            return self.printer.c(text if isinstance(text, bool) else str(text))
        except expr.ExprError as err:
            self.model.problem(self.where(key), key, str(err))
            return "0"

    def print_call(self, key, table, kind, text):
        try:
            return self.printer.statement(table, kind, text)
        except expr.ExprError as err:
            self.model.problem(self.where(key), key, str(err))
            return "(void)c"

    def condition(self, key):
        value = self.parts.get(key)
        if value is not None and str(value).lower() != "true":
            self.out += [f"    if (!{self.print_expr(key, value)})", "        return false;"]

    def actions(self):
        for action in self.parts.get("do") or []:
            self.out.append(f"    {self.print_call('do', self.model.actions, 'act', action)};")

    def fill_in(self, key, texts, target, fields, arrays, whose):
        """Fill in a message's fields and arrays: what `texts` gives them."""
        for field, text in texts.items():
            if field in arrays:
                self.out.append(f"    {self.print_call(key, self.model.arrays, 'arr', text)};")
            elif field in fields:
                self.out.append(f"    c->{target}.f[PL_F_{field}] = {self.print_expr(key, text)};")
            else:
                self.model.problem(self.where(key), key, f"'{field}' is no field of {whose}")

    def finish(self, taken):
        if not any("c->" in line or "(c" in line for line in self.out):
            self.out.append("    (void)c;")
        return self.out + [f"    return {c_bool(taken)};"]


def layout_names(layout):
    """The names of a layout's fields, and of its arrays."""
    if layout is None:
        return set(), set()
    return {f.name for f in layout.fields}, {a.name for a in (layout.fixed, layout.tail) if a}


def merged(transition, patch, by_field):
    """A transition with a patch: parts that have fields one by one (null removes), the rest replaced."""
    parts, source = dict(transition), {}
    for key, new in patch.items():
        if key == "transition":
            continue
        old, source[key] = parts.get(key) or {}, patch
        if key in by_field and isinstance(new, dict) and isinstance(old, dict):
            both = new if "message" in new else {**old, **new}  # what names its message is a whole one
            new = {k: v for k, v in both.items() if v is not None}
        parts[key] = new
    if "reply" in patch and "discard" not in patch:
        parts["discard"] = False
    parts["__source__"] = source
    return parts


class Output:
    """The C file under construction. A subclass says how a body and a bend's expressions are printed."""

    def __init__(self, model):
        self.model, self.lines, self.lists = model, [], {}

    def body(self, doc, parts):
        """The Body of one transition of the model's; `parts` is it as a mutant has it."""
        raise NotImplementedError

    def hook_printer(self):
        return Printer(self.model, True)

    def list_of(self, on, doc):  # pylint: disable=unused-argument
        """Under which event a transition stands."""
        return on

    def function(self, name, body, kind="bool"):
        self.lines += [f"static {kind} {name}(struct {self.model.prefix}step *c)", "{", *body, "}", ""]

    def transition(self, doc):
        model, name, variants = self.model, c_name(doc["name"]), []
        for i, mutant in enumerate(model.mutants):
            for patch in patches(mutant):
                if patch.get("transition") == doc["name"]:
                    self.function(f"t_{name}_m{i + 1}", self.body(doc, merged(doc, patch, model.by_field)).text())
                    variants.append(i + 1)
        body = self.body(doc, doc).text()
        if variants:
            switch = ["    switch (c->peer->mutant) {"]
            for number in variants:
                switch += [f"    case {number}:", f"        return t_{name}_m{number}(c);"]
            body = switch + ["    default:", "        break;", "    }"] + \
                [line for line in body if line != "    (void)c;"]
        self.function(f"t_{name}", body)
        for on in model.ons(doc):
            self.lists.setdefault(self.list_of(on, doc), []).append(f"t_{name}")

    def event_lists(self):
        for on, names in self.lists.items():
            self.lines.append(f"static {self.model.prefix}transition *const on_{on}[] = {{{', '.join(names)}, NULL}};")
        self.lines.append("")

    def event_table(self):
        """The rows of a model's table of events."""
        return [f"        [{self.model.on_constant(on)}] = on_{on}," for on in self.lists]

    def hook_function(self, name, kind, patch, key):
        try:
            value = self.hook_printer().c(str(patch[key]))
        except expr.ExprError as err:
            self.model.problem(patch, key, str(err))
            value = "0"
        unused = [] if "c->" in value or "(c" in value else ["    (void)c;"]
        self.function(name, [*unused, f"    return {value};"], kind)

    def bend(self, prefix, patch):
        """One row of a mutant's bends, its functions printed before."""
        model, what, on = self.model, patch["hook"], patch["on"]
        message = model.spec.message(on)
        field, problem = patch.get("field", "none"), None
        if what not in model.bends:
            problem = "hook", f"'{what}' is none of {', '.join(model.bends)}"
        elif on not in model.classes and not message:
            problem = "on", f"'{on}' is no message and none of {', '.join(model.classes)}"
        elif what in VALUED and "value" not in patch:
            problem = "hook", f"'{what}' needs a value"
        elif what in ("field", "big_endian") and field not in model.fields:
            problem = "field", f"'{field}' is no field of this draft"
        if problem:
            model.problem(patch, *problem)
            return []
        functions = {"when": "NULL", "value": "NULL"}
        for key, kind in (("when", "bool"), ("value", "uint64_t")):
            if key in patch:
                functions[key] = f"{prefix}_{key}"
                self.hook_function(functions[key], kind, patch, key)
        return [f"{{{self.bent(what, on, message)}, PL_F_{field}, {patch.get('fill', 0)}, {', '.join(functions.values())}}}"]

    def bent(self, what, on, message):
        """What a bend does, and to which messages: of those that begin something (or answer), and of events."""
        others, events = self.model.classes[:2]
        return (f"PL_BEND_{self.model.bends[what]}, {'PL_' + on if message else 'PL_NONE'}, "
                f"{c_bool(on in (others, 'all') or message and not message.event)}, "
                f"{c_bool(on in (events, 'all') or message and message.event)}")

    def insert(self, name, doc):
        """One of a mutant's own transitions; its rows, one an event."""
        self.function(name, self.body(doc, doc).text(not doc.get("pass")))
        return [f"{{{self.model.on_constant(on)}, {name}}}" for on in self.model.ons(doc)]

    def mutant(self, number, doc):
        """What a mutant has besides patches of transitions. Returns what its names begin with, and the cells of a table
        that hold its inserts and its bends."""
        bends, inserts, prefix = [], [], f"m{number}"
        for i, patch in enumerate(patches(doc)):
            if "hook" in patch:
                bends += self.bend(f"{prefix}_{i}", patch)
            elif "insert" in patch:
                inserts += self.insert(f"{prefix}_{i}", patch["insert"])
        for rows, kind in ((bends, "bend"), (inserts, "insert")):
            if rows:
                self.lines.append(f"static const struct {self.model.rows}{kind} {prefix}_{kind}s[] = {{{', '.join(rows)}}};")
        clauses = ", ".join([c_string(c) for c in doc["clauses"]] + ["NULL"])
        options = ", ".join([c_string(f"{k}={v}") for k, v in (doc.get("options") or {}).items()] + ["NULL"])
        self.lines += [f"static const char *const {prefix}_clauses[] = {{{clauses}}};",
                       f"static const char *const {prefix}_options[] = {{{options}}};",
                       f"static const char *const {prefix}_hidden[] = {{{load.c_hidden(doc)}}};", ""]
        return prefix, (f"{prefix + '_inserts' if inserts else 'NULL'}, {len(inserts)}, "
                        f"{prefix + '_bends' if bends else 'NULL'}, {len(bends)}")


def option_rows(model):
    return [f'    {{"{k}", UINT64_C({v})}},' for k, v in model.options.items()]


def option_header(model, prefix):
    """The C header with the options of a peer as indices, which hand-written code has too."""
    guard = f"PL_{model.who.upper()}_OPTIONS_H"
    return "\n".join([f"/* Generated from models/: the options of the reference {model.who}, by index. */",
                      f"#ifndef {guard}", f"#define {guard}", "", f"enum {prefix}_opt {{",
                      *[f"    {prefix.upper()}_OPT_{k}," for k in model.options], "};", "", "#endif", ""])


def listing(spec, peer, header, kind):
    """The C text that lists the models of all drafts that have one of this peer."""
    root = os.path.dirname(os.path.dirname(os.path.abspath(getattr(spec, peer).file)))
    found = glob.glob(os.path.join(root, "*", f"{peer}.yaml"))
    names = sorted(os.path.basename(os.path.dirname(p)).replace("-", "_") for p in found)
    return "\n".join([f"/* Generated from models/: the drafts that have a {peer} model. */", f'#include "{header}"', "",
                      *[f"extern const struct {kind} {kind}_{n};" for n in names],
                      f"const struct {kind} *const {kind}s[] = {{" + ", ".join([f"&{kind}_{n}" for n in names] + ["NULL"]) + "};",
                      ""])
