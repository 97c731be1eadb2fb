"""Prints the reference bus of a draft: options, transitions as C functions, and its mutants."""
from . import load, peer
from .peer import HEADER_NAMES, TEXT, c_bool, c_string

# What a bus meets besides its own messages; None: any message, whose header can be read.
PSEUDO = {"DRIVER_REQUEST": None, "DRIVER_EVENT": None, "DRIVER_STRAY": None, "DRIVER_LIES": None, "DEVICE_RESPONSE": None,
          "DEVICE_EVENT": None, "DEVICE_STRAY": None, "DEVICE_LIES": None, "BUS_VOID": None, "BUS_RESPONSE": None, "DUE": None,
          "ATTACHED": None, "DETACHED": None, "PARAMETERS": None, "FOUND": None, "STARTED": None}
OPEN_NAMES = ("found", "own", "relayed", "token", "dev_num", "msg_id", "waiting")
BUS_NAMES = {"revision": "c->peer->params.revision", "max_msg_size": "c->peer->params.max_msg_size",
             "features": "c->peer->params.features", "given_size": "c->peer->env.max_msg_size"}
PEER_NAMES = {"side": "c->side", "number": "c->number", "changing": "c->peer->changing", "memory": "c->peer->memory",
              "sent": "c->peer->sent", "now": "c->peer->now", "taken": "c->peer->taken", "opened": "c->peer->opened"}
FUNCTIONS = {"known": 1, "min": 2, "devices_count": 2, "devices_next": 2, "any_from": 1, "open_of": 1, "gone": 1, "largest": 0,
             "bit": 1}
ARRAYS = {"devices": 2, "devices_turned": 2, "devices_bytes": 3}
ACTIONS = {"forward": 0, "forward_request": 0, "forward_as": 2, "complete": 0, "complete_as": 1, "close": 0, "keep_open": 0,
           "fail": 1, "fail_open": 1, "fail_event": 1, "fail_all": 2, "add": 1, "remove": 1, "announce": 2, "discover": 0,
           "discovered": 0, "relay": 0, "set_parameters": 3, "tell_parameters": 1, "revalidated": 0, "remember": 1,
           "answer_empty": 1, "event": 3, "hold": 0, "release": 0, "cut_forward": 1, "swap_last": 0, "forward_behind": 0, "probe": 1,
           "send_request": 2}
BENDS = {"field": "FIELD", "type": "TYPE", "msg_id": "ID", "dev_num": "DEV_NUM", "token": "TOKEN", "msg_size": "SIZE",
         "append": "APPEND", "truncate": "TRUNCATE", "payload": "PAYLOAD", "drop": "DROP", "duplicate": "DUPLICATE",
         "delay": "DELAY"}
# Which outgoing messages a bend is about.
CLASSES = ("requests", "responses", "driver_events", "device_events", "bus", "all")
SCHEMA = {"spec": (str, True), "options": (dict, True), "transitions": (list, True)}
TRANSITION_SCHEMA = {"name": (str, True), "on": ((str, list), True), "guard": (TEXT, False),
                     "choice": (TEXT, False), "do": (list, False), "reply": (dict, False), "discard": (bool, False),
                     "clauses": (list, True)}
PATCH_SCHEMA = {"transition": (str, True), "guard": (TEXT, False), "choice": (TEXT, False), "do": (list, False),
                "reply": (dict, False), "discard": (bool, False)}
INSERT_SCHEMA = {"on": ((str, list), True), "guard": (TEXT, False), "do": (list, False), "reply": (dict, False),
                 "discard": (bool, False), "pass": (bool, False)}
MAX_OPTIONS = 48  # PL_BUS_OPTIONS_MAX


class Printer(peer.Printer):
    """Prints expressions over what the bus meets."""

    def name(self, name):
        head, _, tail = name.partition(".")
        if not tail and name in PEER_NAMES:
            return PEER_NAMES[name]
        if head == "req" and tail in self.model.fields:
            return f"c->req->f[PL_F_{tail}]"
        if head == "hdr" and tail in HEADER_NAMES:
            return f"c->req->{tail}"
        if head == "open" and tail in OPEN_NAMES:
            return f"pl_bus_open_{tail}(c)"
        if head == "bus" and tail in BUS_NAMES:
            return BUS_NAMES[tail]
        return super().name(name)


class Model(peer.Model):
    """A draft's bus model."""

    who, prefix, on_prefix, rows = "bus", "pl_bus_", "PL_BON_", "pl_bus_"
    pseudo = PSEUDO
    functions, arrays, actions = FUNCTIONS, ARRAYS, ACTIONS
    bends, classes = BENDS, CLASSES
    by_field = ("reply",)
    schema, transition_schema = SCHEMA, TRANSITION_SCHEMA
    patch_schema, insert_schema = PATCH_SCHEMA, INSERT_SCHEMA
    max_options = MAX_OPTIONS

    def ons(self, doc):
        out = []
        for name in map(str, peer.as_list(doc["on"])):
            message = self.spec.message(name)
            if name in PSEUDO or (message and message.bus):
                out.append(name)
            else:
                self.problem(doc, "on", f"'{name}' is no bus message and nothing that a bus meets")
        return out

    def check_transition(self, doc):
        self.ons(doc)
        return super().check_transition(doc)


class Body(peer.Body):
    """Prints the body of a bus's transition."""

    def text(self, taken=True):
        self.condition("guard")
        self.condition("choice")
        self.actions()
        reply = self.parts.get("reply")
        if reply is not None and not self.parts.get("discard"):
            self.out.append("    c->replies = true;")
            self.fill_in("reply", reply, "reply", self.model.fields, ("bitmap",), "a bus message")
        return self.finish(taken)


class Output(peer.Output):
    """The C file of a bus."""

    def body(self, doc, parts):
        return Body(self.model, doc, parts, Printer(self.model))

    def hook_printer(self):
        return Printer(self.model, True)

    def bent(self, what, on, message):
        which = "PL_BUS_ONE" if message else f"PL_BUS_{on.upper()}"
        return (f"PL_BUS_BEND_{BENDS[what]}, {which}, {'PL_' + on if message else 'PL_NONE'}, "
                f"{c_bool(message and message.bus)}")

    def mutant(self, number, doc):
        """What a mutant has; its row of the table."""
        prefix, rows = super().mutant(number, doc)
        return (f"    {{{c_string(doc['id'])}, {c_string(doc['text'])}, {prefix}_clauses, {prefix}_options, {rows}, {prefix}_hidden}},")


def render(spec, core):
    """{file name: text} of a draft's bus. ModelError lists every problem."""
    model = Model(spec, core).read(spec.bus, spec.bus_mutants)
    out = Output(model)
    rows = []
    if not model.problems:
        for one in model.transitions:
            out.transition(one)
        rows = [out.mutant(i + 1, one) for i, one in enumerate(model.mutants)]
    if model.problems:
        raise load.error_of(model.problems)
    out.event_lists()
    options = peer.option_rows(model)
    head = [f"/* Generated from models/{spec.name}: the reference bus and its mutants. */",
            '#include "peer/bus_private.h"', ""]
    tail = ["static const struct pl_bus_mutant mutants[] = {", *rows, "};", "",
            "static const struct pl_bus_option options[] = {", *options, "};", "",
            f"const struct pl_bus_model pl_bus_model_{spec.c} = {{", f'    .spec = "{spec.name}",',
            "    .options = options,", f"    .n_options = {len(options)},", "    .mutants = mutants,",
            f"    .n_mutants = {len(rows)},", "    .on = {"]
    tail += [*out.event_table(), "    },", "};", "", "const struct pl_bus_model *const pl_bus_models[] = {"
             f"&pl_bus_model_{spec.c}, NULL}};", ""]
    return {f"pl_bus_{spec.c}.c": "\n".join(head + out.lines + tail), "pl_bus_options.h": peer.option_header(model, "pl_bus")}
