"""Prints the reference driver of a draft: options, states, transitions as C functions, and its mutants."""
from . import load, peer
from .peer import HEADER_NAMES, TEXT, c_bool, c_string

MAX_OPTIONS = 64  # PL_DP_MAX_OPTIONS
MAX_STATES = 64   # a state is a bit of a mask
PSEUDO = ("ENTER", "STEP", "TIMER", "TIMEOUT", "REFUSED", "ASKED", "PING_REQUEST", "MALFORMED", "UNSUPPORTED",
          "UNEXPECTED", "SUBMIT", "CHAIN", "ADDED", "PUBLISHED", "KICK", "LOOK", "DONE", "IO_TIMEOUT", "FAULT")
FREE = ("MALFORMED", "UNSUPPORTED", "UNEXPECTED", "TIMEOUT", "REFUSED", "PING_REQUEST")  # of any fields
VARS = ("status", "written", "generation", "reread", "attempts", "index", "tries", "first", "last", "qtries", "choice",
        "known", "looked", "greeted", "window", "windows_done", "todo_stop", "todo_io", "todo_write", "todo_reset",
        "todo_nothing", "todo_suspend", "plan", "again", "confirming", "read_generation", "since", "rejects", "retry", "pieces_got", "unsure")
PEER_NAMES = {"now": "c->peer->now", "asked": "c->peer->asked", "changed": "c->peer->changed",
              "memory": "c->peer->memory", "sent": "c->peer->sent",
              "open": "c->dev->n_open", "busy": "c->dev->busy", "type": "c->dev->info.device_id",
              "life": "c->dev->life", "number": "c->dev->number"}
ASKS = ("ASK_START", "ASK_STOP", "ASK_IO", "ASK_WRITE", "ASK_RESET")
INFO_NAMES = ("device_id", "vendor_id", "num_feature_blocks", "config_size", "max_virtqueues", "admin_vq_start",
              "admin_vq_count")
QUEUE_NAMES = ("index", "max_size", "size", "desc_addr", "driver_addr", "device_addr", "ready", "added")
LANE_NAMES = ("step", "sector", "sectors", "kind", "result")
RING_NAMES = ("due", "head", "packed", "size", "idx", "indirect", "table", "n")
WRITE_NAMES = ("offset", "length")
# Functions of the expression language and their number of arguments; driver_fn.c has them.
FUNCTIONS = {"min": 2, "draw32": 0, "bus_usable": 0, "window_size": 0, "blocks": 0, "chunk": 1, "select_chunk": 1,
             "possible": 0, "offered": 1, "selected": 1, "pieces": 0, "piece_offset": 1, "piece_length": 1,
             "same_piece": 0, "config_here": 0, "fits_driver": 0, "type_has_shm": 0, "queue_batch": 1,
             "queue_count": 0, "queue_number": 1, "queues_missing": 0, "queue_wanted": 1, "queue_confirmed": 0,
             "ring_reset": 0, "io_possible": 0, "lane_free": 0, "lane_sound": 0, "answer_due": 0, "kick_data": 0,
             "peek": 3, "offered_word": 1, "write_fits": 0}
# What fills an array of a message; driver_array.c has them.
ARRAYS = {"chosen": 2, "offered": 2, "words": 3, "write_data": 0, "fill": 2}
# What `do` may name; driver_act.c and driver_io.c have them.
ACTIONS = {"plan": 0, "answer_ok": 0, "answer_error": 1, "ended": 0, "wait": 1, "adopt_parameters": 0,
           "note_devices": 0, "start_devices": 0, "take_info": 0, "take_features": 1, "choose": 1, "choose_bits": 2,
           "drop_bits": 2, "plan_config": 0, "forget_config": 0, "take_config": 0, "use_config": 0, "lay_out": 0,
           "take_queue": 1, "prepare_queue": 1, "use_queue": 1, "queue_ready": 1, "written": 0, "remember": 1,
           "io_forget": 0, "io_forget_queue": 1, "io_release": 0,
           "io_drop": 0, "look": 1, "collect": 0, "submit": 0, "request": 4, "segments": 5, "buffer": 1,
           "chain_readable": 1, "ring_poke": 4,
           "table_poke": 3, "forget_features": 0, "assume_info": 1,
           "assume_queues": 1}
DRIVER_SCHEMA = {"spec": (str, True), "constants": (dict, False), "options": (dict, True), "types": (dict, True),
                 "states": (dict, True), "transitions": (list, True)}
TYPE_SCHEMA = {"features": (list, True), "queues": (int, True), "fields": (list, True)}
FIELD_SCHEMA = {"name": (str, True), "offset": (int, True), "length": (int, True), "feature": (int, False),
                "late": (bool, False)}
STATE_SCHEMA = {"text": (str, True), "fresh": (bool, False)}
PARTS = {"state": ((str, list), False), "guard": (TEXT, False), "effect": (dict, False), "do": (list, False),
         "send": ((dict, list), False), "next": (str, False)}
TRANSITION_SCHEMA = {"name": (str, True), "on": ((str, list), True), **PARTS, "clauses": (list, True)}
INSERT_SCHEMA = {"on": ((str, list), True), **PARTS, "pass": (bool, False)}
PATCH_SCHEMA = {"transition": (str, True), **PARTS, "send": ((dict, list, type(None)), False),
                "next": ((str, type(None)), False)}


class Printer(peer.Printer):
    """Prints expressions over one event `c`; `fields`: what came; `asked`: the request that it answers."""

    def __init__(self, model, fields, asked, outgoing=False):
        super().__init__(model, outgoing)
        self.fields, self.asked = fields, asked

    def name(self, name):
        head, _, tail = name.partition(".")
        if not tail:
            if name in VARS:
                return f"c->dev->v.{name}"
            if name in PEER_NAMES:
                return PEER_NAMES[name]
            if name in ASKS:
                return f"PL_DP_{name}"
        elif head == "old" and tail in VARS:
            return f"c->old.{tail}"
        elif head == "resp" and tail in ("data_len", "form"):
            return f"c->resp->{tail}"
        elif head == "resp" and tail in self.fields:
            return f"c->resp->f[PL_F_{tail}]"
        elif head == "req" and tail in self.asked:
            return f"c->req->f[PL_F_{tail}]"
        elif head == "hdr" and tail in HEADER_NAMES:
            return f"c->resp->{tail}"
        elif head == "state" and tail in self.model.states:
            return f"(c->dev->state == PL_DP_S_{tail})"
        elif head == "config" and tail in self.model.config_fields:
            return f"pl_dp_fn_config(c, {self.model.config_fields.index(tail)})"
        for names, at in (("info", INFO_NAMES), ("queue", QUEUE_NAMES), ("lane", LANE_NAMES), ("ring", RING_NAMES),
                          ("write", WRITE_NAMES)):
            if head == names and tail in at:
                return {"info": "c->dev->info.", "queue": "c->queue->", "lane": "c->lane->", "ring": "c->dev->ring.",
                        "write": "c->dev->write."}[head] + tail
        if head == "bus" and tail in peer.BUS_NAMES:
            return peer.BUS_NAMES[tail]
        return super().name(name)


class Model(peer.Model):
    """A draft's driver model: it has types with their configuration fields, and states."""

    who, prefix, on_prefix, rows = "driver", "pl_dp_", "PL_DP_ON_", "pl_dp_"
    pseudo = PSEUDO
    functions, arrays, actions = FUNCTIONS, ARRAYS, ACTIONS
    classes = ("requests", "events", "all")
    by_field = ("effect", "send")
    schema, transition_schema = DRIVER_SCHEMA, TRANSITION_SCHEMA
    patch_schema, insert_schema = PATCH_SCHEMA, INSERT_SCHEMA
    max_options = MAX_OPTIONS

    def __init__(self, spec, core):
        super().__init__(spec, core)
        self.types, self.states, self.config_fields = {}, {}, []

    def type_names(self):
        return list(self.types)

    def take(self, doc):
        if len(doc["states"]) > MAX_STATES:
            self.problem(doc, "states", f"there are more than {MAX_STATES}")
        self.states, self.types = doc["states"], doc["types"]
        for state in self.states.values():
            self.loader.check(state, doc.file, STATE_SCHEMA)
        check_types(self)

    def ons(self, doc):
        out = []
        for name in map(str, peer.as_list(doc["on"])):
            if name == "RESPONSES":
                out += [m.name for m in self.spec.messages if not m.bus and m.response is not None]
            elif name == "ALL":
                out += [m.name for m in self.spec.messages if m.side in ("driver", "device", "either") and not m.bus]
            elif name in PSEUDO or self.spec.message(name):
                out.append(name)
            else:
                self.problem(doc, "on", f"'{name}' is no message and no event of the driver")
        return out

    def came(self, ons):
        """Fields of what came, and of the request that it answers, that every one of the events has."""
        both = [None, None]
        for name in ons:
            if name in PSEUDO:
                fields = set(self.fields) if name in FREE else set(), set(self.fields) if name in FREE else set()
            else:
                m = self.spec.message(name)
                fields = ({f.name for f in (m.event or m.response or m.request).fields},
                          {f.name for f in m.request.fields} if m.request and not m.event else set())
            both = [f if b is None else b & f for b, f in zip(both, fields)]
        return both[0] or set(), both[1] or set()

    def mask(self, doc, value):
        """The states that a transition holds in, as a mask."""
        names, bits = list(self.states), 0
        for name in map(str, peer.as_list(value or "any")):
            bare = name.lstrip("-")
            if bare != "any" and bare not in names:
                self.problem(doc, "state", f"'{bare}' is no state")
                continue
            these = (1 << len(names)) - 1 if bare == "any" else 1 << names.index(bare)
            bits = bits & ~these if name.startswith("-") else bits | these
        return bits


class Body(peer.Body):
    """Prints the body of a driver's transition."""

    def __init__(self, model, doc, parts):
        super().__init__(model, doc, parts, Printer(model, *model.came(model.ons(doc))))

    def effects(self):
        assigned = []
        for i, (name, text) in enumerate((self.parts.get("effect") or {}).items()):
            if name not in VARS + ("memory",):
                self.model.problem(self.where("effect"), "effect", f"'{name}' is no variable of the driver")
                continue
            self.out.append(f"    const uint64_t e{i} = {self.print_expr('effect', text)};")
            assigned.append(f"    {'c->peer->' if name == 'memory' else 'c->dev->v.'}{name} = e{i};")
        self.out += assigned

    def send(self, doc):
        message = self.model.spec.message(str(doc.get("message", "")))
        if not message:
            self.model.problem(self.where("send"), "send", "names no message")
            return
        response = "response" in doc
        layout = message.response if response else message.event or message.request
        self.out.append(f"    pl_dp_begin(c, PL_{message.name}, {c_bool(response)});")
        self.fill_in("send", {k: v for k, v in doc.items() if k not in ("message", "response")}, "send",
                     *peer.layout_names(layout), message.name)
        self.out.append("    pl_dp_send(c);")

    def text(self, taken=True):
        mask = self.model.mask(self.where("state"), self.parts.get("state"))
        if mask != (1 << len(self.model.states)) - 1:
            self.out += [f"    if (!(UINT64_C({mask:#x}) >> c->dev->state & 1))", "        return false;"]
        self.condition("guard")
        self.effects()
        self.actions()
        for doc in peer.as_list(self.parts.get("send") or []):
            self.send(doc)
        following = self.parts.get("next")
        if following:
            if following not in self.model.states:
                self.model.problem(self.where("next"), "next", f"'{following}' is no state")
            self.out.append(f"    pl_dp_go(c, PL_DP_S_{following});")
        return self.finish(taken)


class Output(peer.Output):
    """The C file of a driver."""

    def body(self, doc, parts):
        return Body(self.model, doc, parts)

    def hook_printer(self):
        return Printer(self.model, set(), set(), True)

    def mutant(self, number, doc):
        """What a mutant has; its rows of the two tables."""
        prefix, rows = super().mutant(number, doc)
        parts = peer.patches(doc)
        io = any(isinstance(p, dict) and str((p.get("insert") or {}).get("on")) in
                 ("SUBMIT", "CHAIN", "ADDED", "PUBLISHED", "KICK", "LOOK", "DONE") for p in parts)
        plain = (f"    {{.id = {c_string(doc['id'])}, .text = {c_string(doc['text'])}, .clauses = {prefix}_clauses, "
                 f".options = {prefix}_options, .part = {c_string('io' if io else '')}, "
                 f".options_only = {c_bool(not parts)}, .hidden = {prefix}_hidden}},")
        return plain, f"    {{{rows}}},"


def check_types(model):
    """Each type's features, queues and configuration fields."""
    known = [kind["name"] for kind in model.core["device_types"]]
    for name, doc in model.types.items():
        if name not in known:
            model.problem(model.spec.driver["types"], name, f"is none of {', '.join(known)}")
            continue
        if not model.loader.check(doc, model.spec.driver.file, TYPE_SCHEMA):
            continue
        for bit in doc["features"]:
            if isinstance(bit, bool) or not isinstance(bit, int) or not 0 <= bit < 64:
                model.problem(doc, "features", f"'{bit}' is no feature bit from 0 to 63")
        for field in model.loader.each(doc["fields"], model.spec.driver.file, FIELD_SCHEMA):
            if not (0 <= field["offset"] < 256 and 1 <= field["length"] <= 8):
                model.problem(field, "offset", "lies beyond what the driver keeps of a configuration space")
            if field["name"] in model.config_fields:
                model.problem(field, "name", f"'{field['name']}' stands twice")
            model.config_fields.append(field["name"])


def types(model):
    """The types' tables, and the table of them."""
    lines, rows = [], []
    kinds = {kind["name"]: kind for kind in model.core["device_types"]}
    for name, doc in model.types.items():
        mask = sum(1 << bit for bit in doc["features"])
        fields = [f'    {{"{f["name"]}", {model.config_fields.index(f["name"])}, {f["offset"]}, {f["length"]}, '
                  f'{f.get("feature", "PL_DP_NO_FEATURE")}, {c_bool(f.get("late"))}}},'
                  for f in doc["fields"]]
        if fields:
            lines += [f"static const struct pl_dp_field fields_{name}[] = {{", *fields, "};", ""]
        needs = [f"{{{bit}, {{{one[0]}, {one[-1]}}}}}" for bit, one in kinds[name].get("requires", []) if bit < 64]
        if needs:
            lines += [f"static const struct pl_dp_need needs_{name}[] = {{{', '.join(needs)}}};", ""]
        rows.append(f'    {{"{name}", {kinds[name]["id"]}, {c_bool(kinds[name]["shm"])}, '
                    f'UINT64_C({mask:#x}), {doc["queues"]}, {"fields_" + name if fields else "NULL"}, {len(fields)}, '
                    f'{"needs_" + name if needs else "NULL"}, {len(needs)}}},')
    return lines + ["static const struct pl_dp_type types[] = {", *rows, "};", ""]


def build(spec, core):
    """The C text of a draft's driver, and the model with all problems noted."""
    model = Model(spec, core).read(spec.driver, spec.driver_mutants)
    out = Output(model)
    for doc in model.transitions:
        out.transition(doc)
    out.event_lists()
    rows = [out.mutant(i + 1, doc) for i, doc in enumerate(model.mutants)]
    head = [f"/* Generated from models/{spec.name}: the reference driver and its mutants. */",
            '#include "peer/driver_private.h"', ""]
    tail = []
    if rows:
        tail += ["static const struct pl_mutant mutants[] = {", *[r[0] for r in rows], "};", "",
                 "static const struct pl_dp_bent bent[] = {", *[r[1] for r in rows], "};", ""]
    if not model.problems:
        tail += types(model)
    options = peer.option_rows(model)
    fresh = sum(1 << i for i, s in enumerate(model.states.values()) if isinstance(s, dict) and s.get("fresh"))
    names = ", ".join(f'"{name}"' for name in model.states)
    tail += ["static const struct pl_device_option options[] = {", *options, "};", "",
             f"static const char *const states[] = {{{names}}};", "",
             f"const struct pl_dp_model pl_dp_model_{spec.c} = {{",
             f'    .spec = "{spec.name}",', "    .options = options,", f"    .n_options = {len(options)},",
             "    .states = states,", f"    .fresh = UINT64_C({fresh:#x}),",
             "    .types = types,", f"    .n_types = {len(model.types)},",
             f"    .mutants = {'mutants' if rows else 'NULL'},", f"    .bent = {'bent' if rows else 'NULL'},",
             f"    .n_mutants = {len(rows)},", "    .on = {"]
    tail += [*out.event_table(), "    },", "};", ""]
    return "\n".join(head + out.lines + tail), model


def render(spec, core):
    """{file name: text} of a draft's driver. ModelError lists every problem."""
    text, model = build(spec, core)
    if model.problems:
        raise load.error_of(model.problems)
    states = ["/* Generated from models/: the states of a driver. */", "#ifndef PL_DRIVER_STATES_H",
              "#define PL_DRIVER_STATES_H", "", "enum pl_dp_state {"]
    states += [f"    PL_DP_S_{name}, /* {doc['text']} */" for name, doc in model.states.items()]
    states += ["    PL_DP_S_COUNT", "};", ""]
    states += [f"#define PL_DP_C_{k} UINT64_C({v})" for k, v in spec.driver.get("constants", {}).items()]
    states += ["", "#endif", ""]
    return {f"pl_driver_{spec.c}.c": text, "pl_driver_models.c": peer.listing(spec, "driver", "peer/driver_private.h", "pl_dp_model"),
            "pl_driver_options.h": peer.option_header(model, "pl_dp"), "pl_driver_states.h": "\n".join(states)}
