"""Prints the reference device of a draft: options, transitions as C functions, and its mutants."""
import ast
import glob
import os

from . import expr, load, wire

PSEUDO = {"RESET": (), "RESET_DUE": (), "CONFIG_CHANGED": ("offset", "length"), "NEEDS_RESET": (),
          "ATTACHED": (), "DETACHED": (), "MALFORMED": None, "UNSUPPORTED": None,
          "UNEXPECTED": None, "NO_DEVICE": None, "QUEUE_STOP": (), "QUEUE_START": (),
          "QUEUE_FAULT": (), "CHAIN": (), "BLOCK": (), "ENTROPY": (), "CONSOLE_OUT": (),
          "CONSOLE_IN": (), "CONSOLE_TOLD": (), "CONSOLE_SAY": (), "NET_OUT": (), "NET_IN": (), "NET_CONTROL": (), "SERVED": (),
          "FLUSH": (), "NOTIFY": ()}
COMPONENTS = ("device", "queue", "bus", "io")
DEVICE_VARS = ("status", "resetting", "generation")
QUEUE_VARS = ("enabled", "size", "desc_addr", "driver_addr", "device_addr")
QUEUE_NAMES = QUEUE_VARS + ("available", "max_size", "index", "live", "taken")
IO_NAMES = ("id", "entries", "readable", "writable", "written", "served", "readable_addr",
            "writable_addr", "writable_len", "writable_end", "type", "sector", "bytes", "flags",
            "segments", "largest", "in_range", "failed", "packet", "buffers", "due",
            "place", "lap", "readable_len", "last_len", "flushed")
DEVICE_NAMES = {
    "number": "c->dev->number", "device_id": "c->dev->device_id",
    "vendor_id": "c->dev->vendor_id", "feature_blocks": "c->dev->feature_blocks",
    "config_size": "c->dev->config_size", "max_virtqueues": "c->dev->max_virtqueues",
    "admin_vq_start": "c->dev->admin_vq_start", "admin_vq_count": "c->dev->admin_vq_count",
    "shm_length": "c->dev->shm_length", "shm_address": "c->dev->shm_address",
    "reset_delay": "c->dev->reset_delay",
    "ring_reset": "((c->dev->v.status & PL_C_STATUS_FEATURES_OK) && "
                  "pl_fn_selected(c, PL_C_F_RING_RESET))"}
BUS_NAMES = {"strict": "((c->peer->env.features >> PL_C_TF_STRICT_CONFIG_GENERATION) & 1)",
             "revision": "c->peer->env.revision", "max_msg_size": "c->peer->env.max_msg_size",
             "features": "c->peer->env.features"}
HEADER_NAMES = ("type", "msg_id", "dev_num", "token", "msg_size", "size", "form", "expected")
FORMS = ("FORM_OK", "FORM_RUNT", "FORM_SIZE", "FORM_UNKNOWN", "FORM_SHAPE", "FORM_SHORT", "FORM_LONG")
PEER_NAMES = {"requests": "c->peer->requests", "sent": "c->peer->sent",
              "memory": "c->peer->memory", "last_token": "c->peer->last_token",
              "replaying": "c->peer->replaying"}
# Functions of the expression language and their number of arguments; device_fn.c has them.
FUNCTIONS = {"fits": 1, "event_fits": 1, "in_config": 2, "writable": 2, "config_differs": 1,
             "net_header": 0, "peek": 2, "config_byte": 1, "offered": 1, "in_capacity": 2, "restored_differs": 0, "selection_offered": 0, "selection_offered_stored": 0, "selected": 1,
             "power_of_two": 1, "swap16": 1, "swap32": 1, "min": 2, "draw": 0,
             "devices_count": 2, "devices_next": 2}
# What fills an array of a reply; device_array.c has them.
ARRAYS = {"uuid": 0, "uuid_new": 0, "uuid_bent": 2, "request_part": 1, "config": 2, "features": 2, "selection": 2, "features_or_selection": 2,
          "request_data": 0, "fill": 2, "devices": 2}
# What `do` may name; device_act.c has them.
ACTIONS = {"write_config": 2, "apply_change": 2, "restore_config": 0, "select": 2, "select_or": 2,
           "clear_selection": 0, "reset": 0, "start_reset": 1, "event_config": 5,
           "event_device": 1, "event_failure": 1, "event_used": 1, "event_avail": 1, "ask": 0,
           "answer": 1, "process": 0, "defer": 0, "use_queue": 1,
           "remember": 1, "fill_config": 3, "late_response": 1, "fail": 0,
           "io_start": 4, "io_look": 0, "io_finish": 0, "io_stop": 0, "io_pause": 0,
           "io_linger": 1, "io_wait": 1, "io_lose": 0, "io_trim": 1, "io_reverse": 1, "net_poke": 2, "net_grow": 1, "net_spread": 1, "console_say": 3, "io_use": 3, "io_use_bent": 5,
           "io_flush": 0, "io_status": 1, "io_answer": 1, "io_fill": 3, "io_random": 1, "poke": 3,
           "disk_read": 2, "disk_write": 2, "disk_zero": 0, "disk_flush": 0, "disk_id": 1,
           "console_put": 1, "console_get": 1, "net_put": 1, "net_header": 2}
BENDS = {"field": "FIELD", "type": "TYPE", "msg_id": "ID", "dev_num": "DEV_NUM",
         "token": "TOKEN", "msg_size": "SIZE", "big_endian": "BIG_ENDIAN", "append": "APPEND",
         "truncate": "TRUNCATE", "data": "DATA", "drop": "DROP", "duplicate": "DUPLICATE",
         "hold": "HOLD"}
VALUED = ("field", "type", "msg_id", "dev_num", "token", "msg_size", "append", "truncate", "data")

IO_MUTANTS = "mutants_io.yaml"
MAX_OPTIONS = 64  # PL_DEVICE_MAX_OPTIONS

DEVICE_SCHEMA = {"spec": (str, True), "constants": (dict, False), "options": (dict, True),
                 "transitions": (list, True)}
TEXT = (str, int, bool)
TRANSITION_SCHEMA = {
    "name": (str, True), "on": ((str, list), True), "component": (str, False),
    "guard": (TEXT, False), "choice": (TEXT, False), "effect": (dict, False), "do": (list, False),
    "reply": (dict, False), "discard": (bool, False), "clauses": (list, True)}
INSERT_SCHEMA = {
    "on": ((str, list), True), "guard": (TEXT, False), "effect": (dict, False), "do": (list, False),
    "reply": (dict, False), "discard": (bool, False), "pass": (bool, False)}
MUTANT_SCHEMA = {"id": (str, True), "clauses": (list, True), "text": (str, True),
                 "options": (dict, False), "patch": ((dict, list), True)}
PATCH_SCHEMA = {
    "transition": (str, True), "guard": (TEXT, False), "choice": (TEXT, False),
    "effect": (dict, False), "do": (list, False), "reply": (dict, False), "discard": (bool, False)}
HOOK_SCHEMA = {"hook": (str, True), "on": (str, True), "when": (TEXT, False),
               "field": (str, False), "value": (TEXT, False), "fill": (int, False)}


class Printer(expr.Printer):
    """Prints expressions over one event `c`; `fields` are the request's, None: no message at all."""

    def __init__(self, model, fields, component, outgoing=False):
        self.model, self.fields, self.component = model, fields, component
        self.outgoing = outgoing

    def name(self, name):
        head, _, tail = name.partition(".")
        if not tail:
            if name in DEVICE_VARS:
                return f"c->dev->v.{name}"
            if name in PEER_NAMES:
                return PEER_NAMES[name]
            if name in FORMS:
                return f"PL_{name}"
            if name in self.model.constants:
                return f"UINT64_C({self.model.constants[name]})"
        elif head == "opt" and tail in self.model.options:
            return f"c->peer->opt[{list(self.model.options).index(tail)}]"
        elif head == "req" and tail == "data_len":
            return "c->req->data_len"
        elif head == "req" and self.fields is not None and tail in self.fields:
            return f"c->req->f[PL_F_{tail}]"
        elif head == "hdr" and tail in HEADER_NAMES:
            return f"c->req->{tail}"
        elif head == "out" and self.outgoing and tail in HEADER_NAMES + ("data_len",):
            return f"c->out->{tail}"
        elif head == "out" and self.outgoing and tail in self.model.fields:
            return f"c->out->f[PL_F_{tail}]"
        elif head == "old" and tail in DEVICE_VARS:
            return f"c->old.{tail}"
        elif head == "queue" and tail in QUEUE_NAMES:
            return f"c->queue->{tail}"
        elif head == "io" and tail in IO_NAMES:
            return f"c->peer->io.{tail}"
        elif head == "dev" and tail in DEVICE_NAMES:
            return DEVICE_NAMES[tail]
        elif head == "bus" and tail in BUS_NAMES:
            return BUS_NAMES[tail]
        raise expr.ExprError(f"unknown name '{name}'")

    def call(self, name, args):
        return self.named_call(FUNCTIONS, "pl_fn_", name, args)

    def named_call(self, table, prefix, name, args):
        if name not in table:
            raise expr.ExprError(f"unknown function '{name}'; known are {', '.join(sorted(table))}")
        if len(args) != table[name]:
            raise expr.ExprError(f"'{name}' takes {table[name]} arguments, not {len(args)}")
        return f"{prefix}{name}({', '.join(['c'] + [self.c(a) for a in args])})"

    def statement(self, table, prefix, text):
        """A call that stands for itself: an action, or what fills an array."""
        node = expr.parse(text)
        if not isinstance(node, ast.Call) or expr.dotted(node.func) is None or node.keywords:
            raise expr.ExprError(f"'{text}' is not a call")
        return self.named_call(table, prefix, expr.dotted(node.func), node.args)


class Model:
    """A draft's device model, with what its expressions may name."""

    def __init__(self, spec, core):
        self.spec, self.core, self.problems = spec, core, []
        self.loader = load.Loader()
        self.loader.problems = self.problems
        self.constants = wire.all_constants(spec, core)
        self.options, self.transitions, self.mutants = {}, [], []
        self.fields = {f.name for m in spec.messages for lay in (m.request, m.response, m.event)
                       if lay for f in lay.fields}
        self.by_name = {}

    def problem(self, doc, key, why):
        line = doc.lines.get(key, doc.line)
        self.problems.append(load.problem_line(doc.file, line, key, why))

    def ons(self, doc):
        """The events that a transition stands for; ALL and REQUESTS are lists of the driver's."""
        names, out = doc["on"] if isinstance(doc["on"], list) else [doc["on"]], []
        for name in map(str, names):
            if name in ("REQUESTS", "ALL"):
                out += [m.name for m in self.spec.messages if not m.bus and m.side == "driver" and
                        (m.request is not None or name == "ALL")]
            elif name in PSEUDO or self.spec.message(name):
                out.append(name)
            else:
                self.problem(doc, "on", f"'{name}' is no message and no event of the device")
        return out

    def request_fields(self, ons):
        """Fields that expressions may read: those that every one of the events has."""
        common = None
        for name in ons:
            if name in PSEUDO:
                fields = set(self.fields if PSEUDO[name] is None else PSEUDO[name])
            else:
                message = self.spec.message(name)
                fields = {f.name for f in (message.request or message.event).fields}
            common = fields if common is None else common & fields
        return common or set()

    def response_layout(self, ons):
        layouts = [self.spec.message(n).response for n in ons if n not in PSEUDO]
        return layouts[0] if layouts and len(layouts) == len(ons) else None


class Body:
    """Prints the body of one transition (or of one mutant's variant of it)."""

    def __init__(self, model, doc, parts, component):
        self.model, self.doc, self.parts = model, doc, parts
        self.ons = model.ons(doc)
        self.component = component
        self.printer = Printer(model, model.request_fields(self.ons), component)
        self.out = []

    def print_expr(self, key, text):
        try:
            return self.printer.c(str(text) if not isinstance(text, bool) else text)
        except expr.ExprError as err:
            self.model.problem(self.where(key), key, str(err))
            return "0"

    def print_call(self, key, table, prefix, text):
        try:
            return self.printer.statement(table, prefix, text)
        except expr.ExprError as err:
            self.model.problem(self.where(key), key, str(err))
            return "(void)c"

    def where(self, key):
        source = self.parts.get("__source__", {}).get(key)
        return source if source is not None else self.doc

    def condition(self, key):
        value = self.parts.get(key)
        if value is not None and str(value).lower() != "true":
            self.out += [f"    if (!{self.print_expr(key, value)})", "        return false;"]

    def effects(self):
        allowed = QUEUE_VARS if self.component == "queue" else DEVICE_VARS
        assigned = []
        for i, (var, text) in enumerate((self.parts.get("effect") or {}).items()):
            name = var.split(".")[-1]
            queue = var.startswith("queue.") or self.component == "queue"
            if name not in (QUEUE_VARS if queue else allowed):
                self.model.problem(self.where("effect"), "effect", f"'{var}' is no variable of a {self.component}")
                continue
            self.out.append(f"    const uint64_t e{i} = {self.print_expr('effect', text)};")
            target = "c->queue->" if queue else "c->dev->v."
            mask = "" if name.endswith("_addr") else " & UINT32_MAX"
            assigned.append(f"    {target}{name} = e{i}{mask};")
        self.out += assigned

    def reply(self):
        reply, layout = self.parts.get("reply"), self.model.response_layout(self.ons)
        if self.parts.get("discard") or reply is None:
            return
        if layout is None and reply:
            self.model.problem(self.where("reply"), "reply", "none of these events has one response layout")
            return
        self.out.append("    c->replies = true;")
        arrays = {a.name for a in (layout.fixed, layout.tail) if a} if layout else set()
        for field, text in reply.items():
            if field in arrays:
                self.out.append(f"    {self.print_call('reply', ARRAYS, 'pl_arr_', text)};")
            elif layout.field(field):
                self.out.append(f"    c->reply.f[PL_F_{field}] = {self.print_expr('reply', text)};")
            else:
                self.model.problem(self.where("reply"), "reply", f"'{field}' is no field of the response")

    def text(self, taken="true"):
        self.condition("guard")
        self.condition("choice")
        self.effects()
        for action in self.parts.get("do") or []:
            self.out.append(f"    {self.print_call('do', ACTIONS, 'pl_act_', action)};")
        self.reply()
        if not any("c->" in line or "(c" in line for line in self.out):
            self.out.append("    (void)c;")
        return self.out + [f"    return {taken};"]


def merged(transition, patch):
    """A transition with a patch: effect and reply field by field (null removes), the rest replaced."""
    parts = {k: transition.get(k) for k in ("guard", "choice", "effect", "do", "reply", "discard")}
    source = {}
    for key in parts:
        if key not in patch:
            continue
        source[key] = patch
        if key in ("effect", "reply") and patch[key] is not None:
            both = dict(parts[key] or {})
            both.update(patch[key])
            parts[key] = {k: v for k, v in both.items() if v is not None}
        else:
            parts[key] = patch[key]
    if "reply" in patch and "discard" not in patch:
        parts["discard"] = False
    parts["__source__"] = source
    return parts


def c_name(text):
    return "".join(ch if ch.isalnum() else "_" for ch in text)


def c_string(text):
    return wire.quote(str(text))


class Output:
    """The C file under construction."""

    def __init__(self, model):
        self.model = model
        self.lines = []
        self.lists = {}

    def function(self, name, body):
        self.lines += [f"static bool {name}(struct pl_step *c)", "{", *body, "}", ""]

    def transition(self, doc):
        model, name = self.model, c_name(doc["name"])
        component = doc.get("component", "device")
        variants = []
        for i, mutant in enumerate(model.mutants):
            for patch in patches(mutant):
                if patch.get("transition") != doc["name"]:
                    continue
                body = Body(model, doc, merged(doc, patch), component)
                self.function(f"t_{name}_m{i + 1}", body.text())
                variants.append(i + 1)
        body = Body(model, doc, doc, component).text()
        if variants:
            switch = ["    switch (c->peer->mutant) {"]
            for number in variants:
                switch += [f"    case {number}:", f"        return t_{name}_m{number}(c);"]
            body = switch + ["    default:", "        break;", "    }"] + \
                [line for line in body if line != "    (void)c;"]
        self.function(f"t_{name}", body)
        for on in model.ons(doc):
            both = on == "RESET" and component == "queue"
            self.lists.setdefault("RESET_QUEUE" if both else on, []).append(f"t_{name}")

    def event_lists(self):
        for on, names in self.lists.items():
            self.lines += [f"static pl_transition *const on_{on}[] = {{{', '.join(names)}, NULL}};"]
        self.lines.append("")

    def hook_function(self, name, kind, patch, key):
        model = self.model
        try:
            value = Printer(model, model.fields, "device", True).c(str(patch[key]))
        except expr.ExprError as err:
            model.problem(patch, key, str(err))
            value = "0"
        unused = "" if "c->" in value or "(c" in value else "    (void)c;\n"
        self.lines += [f"static {kind} {name}(struct pl_step *c)", "{",
                       f"{unused}    return {value};", "}", ""]

    def bend(self, prefix, patch):
        """One row of a mutant's bends, its functions printed before."""
        model, what, on = self.model, patch["hook"], patch["on"]
        if what not in BENDS:
            model.problem(patch, "hook", f"'{what}' is none of {', '.join(BENDS)}")
            return None
        message = model.spec.message(on)
        if on not in ("responses", "events", "all") and not message:
            model.problem(patch, "on", f"'{on}' is no message and none of responses, events, all")
            return None
        if what in VALUED and "value" not in patch:
            model.problem(patch, "hook", f"'{what}' needs a value")
            return None
        field = patch.get("field", "none")
        if what in ("field", "big_endian") and field not in model.fields:
            model.problem(patch, "field", f"'{field}' is no field of this draft")
            return None
        when = value = "NULL"
        if "when" in patch:
            when = f"{prefix}_when"
            self.hook_function(when, "bool", patch, "when")
        if "value" in patch:
            value = f"{prefix}_value"
            self.hook_function(value, "uint64_t", patch, "value")
        events = on in ("events", "all") or bool(message and message.event)
        responses = on in ("responses", "all") or bool(message and not message.event)
        return (f"{{PL_BEND_{BENDS[what]}, {'PL_' + on if message else 'PL_NONE'}, "
                f"{'true' if responses else 'false'}, {'true' if events else 'false'}, "
                f"PL_F_{field}, {patch.get('fill', 0)}, {when}, {value}}}")

    def insert(self, name, doc):
        """One of a mutant's own transitions; its rows, one an event."""
        body = Body(self.model, doc, doc, "device")
        self.function(name, body.text("false" if doc.get("pass") else "true"))
        return [f"{{{on_constant(on)}, {name}}}" for on in self.model.ons(doc)]

    def mutant(self, number, doc):
        """What a mutant has besides patches of transitions; its row of the table."""
        bends, inserts, prefix = [], [], f"m{number}"
        for i, patch in enumerate(patches(doc)):
            if "hook" in patch:
                row = self.bend(f"{prefix}_{i}", patch)
                bends += [row] if row else []
            elif "insert" in patch:
                inserts += self.insert(f"{prefix}_{i}", patch["insert"])
        for rows, kind in ((bends, "bend"), (inserts, "insert")):
            if rows:
                self.lines.append(f"static const struct pl_device_{kind} {prefix}_{kind}s[] = "
                                  f"{{{', '.join(rows)}}};")
        clauses = ", ".join([c_string(c) for c in doc["clauses"]] + ["NULL"])
        options = ", ".join([c_string(f"{k}={v}") for k, v in (doc.get("options") or {}).items()] + ["NULL"])
        self.lines += [f"static const char *const {prefix}_clauses[] = {{{clauses}}};",
                       f"static const char *const {prefix}_options[] = {{{options}}};", ""]
        return (f"    {{{c_string(doc['id'])}, {c_string(doc['text'])}, {prefix}_clauses, {prefix}_options, "
                f"{prefix + '_inserts' if inserts else 'NULL'}, {len(inserts)}, "
                f"{prefix + '_bends' if bends else 'NULL'}, {len(bends)}, "
                f"{'true' if os.path.basename(doc.file) == IO_MUTANTS else 'false'}, "
                f"{'false' if patches(doc) else 'true'}}},")


def on_constant(name):
    return f"PL_ON_{name}" if name in PSEUDO or name == "RESET_QUEUE" else f"PL_{name}"


def patches(mutant):
    patch = mutant.get("patch")
    return patch if isinstance(patch, list) else [patch]


def check_clauses(model, doc):
    known = {c.id for c in model.spec.clauses}
    for clause in map(str, doc["clauses"]):
        if known and clause not in known:
            model.problem(doc, "clauses", f"'{clause}' is no clause of this draft")


def check_transition(model, doc):
    if not load.CLAUSE_ID.fullmatch(doc["name"]):
        model.problem(doc, "name", f"'{doc['name']}' is no name of letters, digits and -")
    if doc["name"] in model.by_name:
        model.problem(doc, "name", f"'{doc['name']}' stands twice")
    model.by_name[doc["name"]] = doc
    if doc.get("component", "device") not in COMPONENTS:
        model.problem(doc, "component", f"'{doc['component']}' is none of {', '.join(COMPONENTS)}")
        return False
    if doc.get("component") == "queue" and not isinstance(doc["on"], str):
        model.problem(doc, "on", "a transition of component queue has one event")
        return False
    if "reply" in doc and doc.get("discard"):
        model.problem(doc, "discard", "stands beside reply")
    for on in model.ons(doc):
        message = model.spec.message(on) if on not in PSEUDO else None
        if message and message.request is not None and "reply" not in doc and not doc.get("discard"):
            model.problem(doc, "reply", f"{on} is a request and has neither reply nor discard")
    check_clauses(model, doc)
    return True


def check_patch(model, doc, patch, line):
    path, check = doc.file, model.loader.check
    if isinstance(patch, load.Doc) and "hook" in patch:
        if check(patch, path, HOOK_SCHEMA, line) and not 0 <= patch.get("fill", 0) <= 255:
            model.problem(patch, "fill", "is no byte")
        return
    if isinstance(patch, load.Doc) and "insert" in patch:
        if check(patch, path, {"insert": (dict, True)}, line):
            check(patch["insert"], path, INSERT_SCHEMA, line)
        return
    if check(patch, path, PATCH_SCHEMA, line) and patch["transition"] not in model.by_name:
        model.problem(patch, "transition", f"'{patch['transition']}' is no transition")


def check_option(model, doc, name, value):
    """Whether a mutant's option is one of the device with a number, or `type` with a device type."""
    options = doc["options"]
    if name == "type":
        known = [kind["name"] for kind in model.core["device_types"]]
        if value not in known:
            model.problem(options, name, f"'{value}' is none of {', '.join(known)}")
    elif name not in model.options:
        model.problem(options, name, "is no option of the device")
    elif isinstance(value, bool) or not isinstance(value, int) or value < 0:
        model.problem(options, name, f"'{value}' is no number")


def check_mutant(model, doc, seen):
    """Whether a mutant, its options and its patches are sound."""
    noted = len(model.problems)
    if not load.MUTANT_ID.fullmatch(doc["id"]):
        model.problem(doc, "id", f"'{doc['id']}' is no name of letters, digits, - and .")
    if doc["id"] in seen:
        model.problem(doc, "id", f"'{doc['id']}' stands twice")
    seen.add(doc["id"])
    check_clauses(model, doc)
    for name, value in doc.get("options", {}).items():
        check_option(model, doc, name, value)
    parts = patches(doc)
    lines = parts.lines if isinstance(parts, load.Items) else [doc.lines["patch"]]
    for patch, line in zip(parts, lines):
        check_patch(model, doc, patch, line)
    if len(model.problems) > noted:
        return False
    targets = [p["transition"] for p in parts if "transition" in p]
    if len(targets) != len(set(targets)):
        model.problem(doc, "patch", "patches one transition twice")
    if not parts and not doc.get("options"):
        model.problem(doc, "patch", "is empty, and there are no options either")
    return len(model.problems) == noted


def checked(spec, core):
    """The model with its schema problems noted."""
    model = Model(spec, core)
    if not model.loader.check(spec.device, spec.device.file, DEVICE_SCHEMA):
        return model
    if spec.device["spec"] != spec.name:
        model.problem(spec.device, "spec", f"'{spec.device['spec']}' is not the folder's name")
    if len(spec.device["options"]) > MAX_OPTIONS:
        model.problem(spec.device, "options", f"there are more than {MAX_OPTIONS}")
    model.constants = {**model.constants,
                       **model.loader.numbers(spec.device.get("constants", {}), 0, load.MAX_U64)}
    model.options = spec.device["options"]
    model.loader.numbers(model.options, 0, load.MAX_U64)
    transitions = model.loader.each(spec.device["transitions"], spec.device.file, TRANSITION_SCHEMA)
    model.transitions = [t for t in transitions if check_transition(model, t)]
    if model.problems:  # they would show once more in each mutant
        return model
    seen = set()
    for doc, line in zip(spec.mutants, spec.mutants.lines):
        path = getattr(doc, "file", os.path.dirname(spec.device.file))
        if model.loader.check(doc, path, MUTANT_SCHEMA, line) and check_mutant(model, doc, seen):
            model.mutants.append(doc)
    return model


def facts(model):
    rows = []
    for kind in model.core["device_types"]:
        first, last = kind["opaque"][0] if kind["opaque"] else (1, 0)
        rows.append(f'    {{"{kind["name"]}", {kind["id"]}, {"true" if kind["shm"] else "false"}, {first}, {last}}},')
    return rows


def build(spec, core):
    """The C text of a draft's device, and the model with all problems noted."""
    model = checked(spec, core)
    out = Output(model)
    for doc in model.transitions:
        out.transition(doc)
    out.event_lists()
    rows = [out.mutant(i + 1, doc) for i, doc in enumerate(model.mutants)]
    head = [f"/* Generated from models/{spec.name}: the reference device and its mutants. */",
            '#include "peer/device_private.h"', ""]
    tail = []
    if rows:
        tail += ["static const struct pl_mutant mutants[] = {", *rows, "};", ""]
    options = [f'    {{"{k}", UINT64_C({v})}},' for k, v in model.options.items()]
    tail += ["static const struct pl_device_option options[] = {", *options, "};", "",
             "static const struct pl_device_facts facts[] = {", *facts(model), "};", "",
             f"const struct pl_device_model pl_device_model_{spec.c} = {{",
             f'    .spec = "{spec.name}",', "    .options = options,",
             f"    .n_options = {len(options)},", "    .facts = facts,",
             f"    .n_facts = {len(facts(model))},",
             f"    .mutants = {'mutants' if rows else 'NULL'},", f"    .n_mutants = {len(rows)},",
             "    .on = {"]
    tail += [f"        [{on_constant(on)}] = on_{on}," for on in out.lists]
    tail += ["    },", "};", ""]
    return "\n".join(head + out.lines + tail), model


def check(spec, core):
    """Every problem of device.yaml and mutants.yaml, one line each."""
    return list(dict.fromkeys(build(spec, core)[1].problems))


def siblings(spec):
    """C names of all drafts that have a device.yaml, this one's neighbours included."""
    root = os.path.dirname(os.path.dirname(os.path.abspath(spec.device.file)))
    found = glob.glob(os.path.join(root, "*", "device.yaml"))
    return sorted(os.path.basename(os.path.dirname(p)).replace("-", "_") for p in found)


def render(spec, core):
    """{file name: text} of a draft's device. ModelError lists every problem."""
    text, model = build(spec, core)
    if model.problems:
        raise load.error_of(model.problems)
    names = siblings(spec)
    listing = ["/* Generated from models/: the drafts that have a device model. */",
               '#include "peer/device_private.h"', ""]
    listing += [f"extern const struct pl_device_model pl_device_model_{n};" for n in names]
    listing += ["const struct pl_device_model *const pl_device_models[] = {" +
                ", ".join([f"&pl_device_model_{n}" for n in names] + ["NULL"]) + "};", ""]
    return {f"pl_device_{spec.c}.c": text, "pl_device_models.c": "\n".join(listing)}
