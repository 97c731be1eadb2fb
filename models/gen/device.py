"""Prints the reference device of a draft: options, transitions as C functions, and its mutants."""
import os

from . import load, peer
from .peer import HEADER_NAMES, TEXT, c_bool, c_string

PSEUDO = {"SUSPEND_DUE": (), "RESUME": (), "RESET": (), "RESET_DUE": (), "CONFIG_CHANGED": ("offset", "length"), "NEEDS_RESET": (),
          "ATTACHED": (), "DETACHED": (), "MALFORMED": None, "UNSUPPORTED": None,
          "UNEXPECTED": None, "NO_DEVICE": None, "QUEUE_STOP": (), "QUEUE_START": (),
          "QUEUE_FAULT": (), "CHAIN": (), "BLOCK": (), "ENTROPY": (), "CONSOLE_OUT": (),
          "CONSOLE_IN": (), "CONSOLE_TOLD": (), "CONSOLE_SAY": (), "NET_OUT": (), "NET_ARRIVES": (), "NET_STEER": (), "NET_IN": (), "NET_FILTER": (), "ADMIN": (), "NET_CONTROL": (), "SERVED": (),
          "FLUSH": (), "NOTIFY": ()}
COMPONENTS = ("device", "queue", "bus", "io")
DEVICE_VARS = ("status", "resetting", "generation", "suspend")
QUEUE_VARS = ("enabled", "size", "desc_addr", "driver_addr", "device_addr")
QUEUE_NAMES = QUEUE_VARS + ("available", "max_size", "index", "live", "taken")
IO_NAMES = ("id", "entries", "readable", "writable", "written", "served", "readable_addr",
            "writable_addr", "writable_len", "writable_end", "type", "sector", "bytes", "flags",
            "segments", "largest", "in_range", "failed", "packet", "buffers", "due",
            "place", "lap", "readable_len", "last_len", "flushed", "cast", "own", "listed", "tagged",
            "vlan_listed", "dropped", "target", "directed", "opcode", "group", "subject", "object", "hdr_len", "outer_th", "outer_nh", "resource",
             "z_type", "z_state", "z_start", "z_wp", "z_end", "z_spans", "z_required", "z_unwritten",
             "z_open", "z_active", "z_implicit")
DEVICE_NAMES = {
    "number": "c->dev->number", "device_id": "c->dev->device_id",
    "vendor_id": "c->dev->vendor_id", "feature_blocks": "c->dev->feature_blocks",
    "config_size": "c->dev->config_size", "max_virtqueues": "c->dev->max_virtqueues",
    "admin_vq_start": "c->dev->admin_vq_start", "admin_vq_count": "c->dev->admin_vq_count",
    "shm_length": "c->dev->shm_length", "shm_address": "c->dev->shm_address",
    "reset_delay": "c->dev->reset_delay",
    "ring_reset": "((c->dev->v.status & PL_C_STATUS_FEATURES_OK) && "
                  "pl_fn_selected(c, PL_C_F_RING_RESET))"}
FORMS = ("FORM_OK", "FORM_RUNT", "FORM_SIZE", "FORM_UNKNOWN", "FORM_SHAPE", "FORM_SHORT", "FORM_LONG")
PEER_NAMES = {"requests": "c->peer->requests", "sent": "c->peer->sent",
              "memory": "c->peer->memory", "last_token": "c->peer->last_token",
              "replaying": "c->peer->replaying"}
# Functions of the expression language and their number of arguments; device_fn.c has them.
FUNCTIONS = {"status_ignored": 0, "put_off": 0, "put_off_first": 0, "put_off_length": 0, "zoned": 0,
             "zone_fields_differ": 0, "zones_resettable": 0, "multiple": 2,
             "net_matches": 0, "admin_data": 2, "admin_legal": 1, "admin_known": 1, "admin_resource": 1, "admin_enabled": 1,
             "admin_there": 0, "admin_users": 0, "admin_full": 0, "admin_rival": 0, "admin_wrong": 0,
             "fits": 1, "event_fits": 1, "in_config": 2, "writable": 2, "config_differs": 1,
             "net_header": 0, "net_data": 2, "net_mode": 1, "net_table_sound": 0, "net_rss_sound": 1, "net_hash_sound": 0,
             "net_scales": 0, "net_pairs": 0, "net_live": 1, "net_other": 1, "net_flow_queue": 0, "net_rss_queue": 0,
             "net_working": 1, "net_hashed": 0, "net_context": 1, "net_stats_sound": 0, "peek": 2, "config_byte": 1, "offered": 1, "in_capacity": 2, "restored_differs": 0, "selection_offered": 0, "selection_offered_stored": 0, "selected": 1,
             "power_of_two": 1, "swap16": 1, "swap32": 1, "min": 2, "draw": 0,
             "devices_count": 2, "devices_next": 2}
# What fills an array of a reply; device_array.c has them.
ARRAYS = {"uuid": 0, "uuid_new": 0, "uuid_bent": 2, "request_part": 1, "config": 2, "features": 2, "selection": 2, "features_or_selection": 2,
          "request_data": 0, "fill": 2, "devices": 2}
# What `do` may name; device_act.c has them.
ACTIONS = {"write_config": 2, "apply_change": 2, "restore_config": 0, "select": 2, "select_or": 2,
           "clear_selection": 0, "reset": 0, "start_reset": 1, "resume": 0, "start_suspend": 1,
           "put_off": 2, "apply_put_off": 0, "forget_put_off": 0, "io_suspend": 0, "event_config": 5,
           "event_device": 1, "event_failure": 1, "event_used": 1, "event_avail": 1, "ask": 0,
           "answer": 1, "process": 0, "defer": 0, "use_queue": 1,
           "remember": 1, "fill_config": 3, "late_response": 1, "fail": 0,
           "io_start": 4, "io_look": 0, "io_finish": 0, "io_stop": 0, "io_pause": 0,
           "io_linger": 1, "io_wait": 1, "io_lose": 0, "io_trim": 1, "io_reverse": 1, "net_poke": 2, "net_grow": 1, "net_spread": 1, "console_say": 3, "io_use": 3, "io_use_bent": 5,
           "io_flush": 0, "io_status": 1, "io_answer": 1, "io_fill": 3, "io_random": 1, "poke": 3,
           "disk_read": 2, "disk_write": 2, "disk_zero": 2, "disk_flush": 0, "disk_id": 1,
           "io_number": 3, "zone_fields": 0, "zone_state": 1, "zone_relieve": 0, "zone_wrote": 2,
           "zone_pattern": 3, "zone_reset_all": 1, "zones_erase": 0, "zone_report": 0,
           "console_put": 1, "console_get": 1, "net_put": 1, "net_offload": 3, "net_filter": 1, "admin_say": 2, "admin_list": 1, "admin_use": 0, "admin_caps": 1,
           "admin_cap": 0, "admin_settle": 0, "admin_create": 0, "admin_destroy": 0, "admin_query": 0, "net_header": 2,
           "net_learn": 0, "net_reset": 1, "net_ack": 2, "net_say": 3, "net_set_mode": 2, "net_table": 0, "net_mac": 0,
           "net_vlan": 2, "net_settle": 2, "net_use_pairs": 1, "net_rss": 1, "net_hash": 0, "net_key": 2, "net_tunnels": 1,
           "net_coal": 3, "net_coal_queue": 3, "net_coal_tell": 1, "net_coal_renew": 0, "net_stats": 1,
           "net_context": 1, "net_context_end": 1, "net_drop": 0, "net_target": 1}
MAX_OPTIONS = 128  # PL_DEVICE_MAX_OPTIONS

DEVICE_SCHEMA = {"spec": (str, True), "constants": (dict, False), "options": (dict, True),
                 "transitions": (list, True)}
TRANSITION_SCHEMA = {
    "name": (str, True), "on": ((str, list), True), "component": (str, False),
    "guard": (TEXT, False), "choice": (TEXT, False), "effect": (dict, False), "do": (list, False),
    "reply": (dict, False), "discard": (bool, False), "clauses": (list, True)}
INSERT_SCHEMA = {
    "on": ((str, list), True), "guard": (TEXT, False), "effect": (dict, False), "do": (list, False),
    "reply": (dict, False), "discard": (bool, False), "pass": (bool, False)}
PATCH_SCHEMA = {
    "transition": (str, True), "guard": (TEXT, False), "choice": (TEXT, False),
    "effect": (dict, False), "do": (list, False), "reply": (dict, False), "discard": (bool, False)}

class Printer(peer.Printer):
    """Prints expressions over one event `c`; `fields` are the request's."""

    def __init__(self, model, fields, outgoing=False):
        super().__init__(model, outgoing)
        self.fields = fields

    def name(self, name):
        head, _, tail = name.partition(".")
        if not tail:
            if name in DEVICE_VARS:
                return f"c->dev->v.{name}"
            if name in PEER_NAMES:
                return PEER_NAMES[name]
            if name in FORMS:
                return f"PL_{name}"
        elif head == "req" and tail == "data_len":
            return "c->req->data_len"
        elif head == "req" and tail in self.fields:
            return f"c->req->f[PL_F_{tail}]"
        elif head == "hdr" and tail in HEADER_NAMES:
            return f"c->req->{tail}"
        elif head == "old" and tail in DEVICE_VARS:
            return f"c->old.{tail}"
        elif head == "queue" and tail in QUEUE_NAMES:
            return f"c->queue->{tail}"
        elif head == "io" and tail in IO_NAMES:
            return f"c->peer->io.{tail}"
        elif head == "dev" and tail in DEVICE_NAMES:
            return DEVICE_NAMES[tail]
        elif head == "bus" and tail in peer.BUS_NAMES:
            return peer.BUS_NAMES[tail]
        return super().name(name)


class Model(peer.Model):
    """A draft's device model."""

    who, prefix, on_prefix, rows = "device", "pl_", "PL_ON_", "pl_device_"
    pseudo = PSEUDO
    functions, arrays, actions = FUNCTIONS, ARRAYS, ACTIONS
    classes = ("responses", "events", "all")
    by_field = ("effect", "reply")
    schema, transition_schema = DEVICE_SCHEMA, TRANSITION_SCHEMA
    patch_schema, insert_schema = PATCH_SCHEMA, INSERT_SCHEMA
    max_options = MAX_OPTIONS

    def type_names(self):
        return [kind["name"] for kind in self.core["device_types"]]

    def on_constant(self, name):
        return f"PL_ON_{name}" if name == "RESET_QUEUE" else super().on_constant(name)

    def check_transition(self, doc):
        super().check_transition(doc)
        if doc.get("component", "device") not in COMPONENTS:
            self.problem(doc, "component", f"'{doc['component']}' is none of {', '.join(COMPONENTS)}")
            return False
        if doc.get("component") == "queue" and not isinstance(doc["on"], str):
            self.problem(doc, "on", "a transition of component queue has one event")
            return False
        if "reply" in doc and doc.get("discard"):
            self.problem(doc, "discard", "stands beside reply")
        for on in self.ons(doc):
            message = self.spec.message(on) if on not in PSEUDO else None
            if message and message.request is not None and "reply" not in doc and not doc.get("discard"):
                self.problem(doc, "reply", f"{on} is a request and has neither reply nor discard")
        return True

    def ons(self, doc):
        """The events that a transition stands for; ALL and REQUESTS are lists of the driver's."""
        out = []
        for name in map(str, peer.as_list(doc["on"])):
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


class Body(peer.Body):
    """Prints the body of a device's transition."""

    def __init__(self, model, doc, parts):
        self.ons, self.component = model.ons(doc), doc.get("component", "device")
        super().__init__(model, doc, parts, Printer(model, model.request_fields(self.ons)))

    def effects(self):
        assigned = []
        for i, (var, text) in enumerate((self.parts.get("effect") or {}).items()):
            name = var.split(".")[-1]
            queue = var.startswith("queue.") or self.component == "queue"
            if name not in (QUEUE_VARS if queue else DEVICE_VARS):
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
        self.fill_in("reply", reply, "reply", *peer.layout_names(layout), "the response")

    def text(self, taken=True):
        self.condition("guard")
        self.condition("choice")
        self.effects()
        self.actions()
        self.reply()
        return self.finish(taken)


class Output(peer.Output):
    """The C file of a device."""

    def body(self, doc, parts):
        return Body(self.model, doc, parts)

    def hook_printer(self):
        return Printer(self.model, self.model.fields, True)

    def list_of(self, on, doc):
        return "RESET_QUEUE" if on == "RESET" and doc.get("component") == "queue" else on

    def mutant(self, number, doc):
        """What a mutant has; its row of the table."""
        prefix, rows = super().mutant(number, doc)
        return (f"    {{{c_string(doc['id'])}, {c_string(doc['text'])}, {prefix}_clauses, {prefix}_options, {rows}, "
                f"{c_string(part_of(doc.file))}, {c_bool(not peer.patches(doc))}, {prefix}_hidden}},")


def part_of(path):
    """What stands behind `mutants_` in the name of a mutant's file; nothing for mutants.yaml."""
    return os.path.splitext(os.path.basename(path))[0].removeprefix("mutants").removeprefix("_")


def facts(model):
    rows = []
    for kind in model.core["device_types"]:
        first, last = kind["opaque"][0] if kind["opaque"] else (1, 0)
        rows.append(f'    {{"{kind["name"]}", {kind["id"]}, {c_bool(kind["shm"])}, {first}, {last}}},')
    return rows


def build(spec, core):
    """The C text of a draft's device, and the model with all problems noted."""
    model = Model(spec, core).read(spec.device, spec.mutants)
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
    options = peer.option_rows(model)
    tail += ["static const struct pl_device_option options[] = {", *options, "};", "",
             "static const struct pl_device_facts facts[] = {", *facts(model), "};", "",
             f"const struct pl_device_model pl_device_model_{spec.c} = {{",
             f'    .spec = "{spec.name}",', "    .options = options,",
             f"    .n_options = {len(options)},", "    .facts = facts,",
             f"    .n_facts = {len(facts(model))},",
             f"    .mutants = {'mutants' if rows else 'NULL'},", f"    .n_mutants = {len(rows)},",
             "    .on = {"]
    tail += [*out.event_table(), "    },", "};", ""]
    return "\n".join(head + out.lines + tail), model


def render(spec, core):
    """{file name: text} of a draft's device. ModelError lists every problem."""
    text, model = build(spec, core)
    if model.problems:
        raise load.error_of(model.problems)
    return {f"pl_device_{spec.c}.c": text, "pl_device_options.h": peer.option_header(model, "pl_device"),
            "pl_device_models.c": peer.listing(spec, "device", "peer/device_private.h", "pl_device_model")}
