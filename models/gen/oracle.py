"""Prints the judge's data: clause tables, rules from when/require, predicates, queue transitions."""
import ast
import os
import re

from gen import expr, load
from gen.wire import all_constants, quote

HEADER_NAMES = ("type", "msg_id", "dev_num", "token", "msg_size")
FACTS = {"bus.max_msg_size": "f->max_msg_size", "bus.strict": "f->strict",
         "queue.absent": "f->queue_absent",
         "exchange.applied": "f->applied"}


class OracleError(expr.ExprError):
    """A clause or transition that cannot be printed."""


def constants(spec, core):
    table = all_constants(spec, core)
    table.update({"HDR_" + k.upper(): v for k, v in spec.type_bits.items()})
    return table


class RulePrinter(expr.Printer):
    """Prints the condition of a clause over struct pl_facts."""

    def __init__(self, spec, table):
        self.spec, self.table = spec, table

    def name(self, name):
        if name in FACTS:
            return FACTS[name]
        if name in self.table:
            return f"UINT64_C({self.table[name]})"
        head, _, field = name.partition(".")
        if head in ("req", "resp", "info") and field:
            if field in HEADER_NAMES + ("size", "expected", "data_len", "bus", "response"):
                return f"f->{head}->{field}"
            if any(field == f.name for m in self.spec.messages
                   for lay in (m.request, m.response, m.event) if lay for f in lay.fields):
                return f"f->{head}->f[PL_F_{field}]"
        raise OracleError(f"unknown name '{name}'")

    def array(self, name):
        """The message whose array a name like resp.device_uuid means."""
        head, _, tail = name.partition(".")
        arrays = {a.name for m in self.spec.messages for lay in (m.request, m.response, m.event) if lay
                  for a in (lay.fixed, lay.tail) if a} | {"data"}
        if head not in ("req", "resp", "info") or tail not in arrays:
            raise OracleError(f"'{name}' is no array of a message")
        return f"f->{head}"

    def item(self, name, index):
        return f"pl_fixed_at({self.array(name)}, {self.c(index)})"

    def call(self, name, args):
        words = [expr.dotted(a) or "" for a in args]
        if name == "padding_zero" and words == ["resp"]:
            return "pl_padding_zero(f->resp)"
        if name == "nil" and len(words) == 1:
            return f"pl_fixed_nil({self.array(words[0])})"
        if name == "same" and len(words) == 2:
            return f"pl_same_data({self.array(words[0])}, {self.array(words[1])})"
        raise OracleError(f"unknown function '{name}'")


def trigger(node, spec):
    """Split `when` into its triggers [(event, kind or None)] and the condition that is left."""
    parts = node.values if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.And) else [node]
    head, rest = parts[0], parts[1:]
    name = expr.dotted(head.func) if isinstance(head, ast.Call) else None
    if name not in ("response", "event", "message"):
        raise OracleError("'when' begins with response(...), event(...) or message()")
    kinds = [expr.dotted(a) or ast.unparse(a) for a in head.args] or [None]
    for kind in kinds:
        if kind is not None and not spec.message(kind):
            raise OracleError(f"'{kind}' is no message of {spec.name}")
    sides = {"response": [False], "event": [True], "message": [False, True]}[name]
    return [(side, kind) for side in sides for kind in kinds], rest


def clause_problem(clause, key, why):
    return load.problem_line(clause.file, clause.doc.lines[key], key, f"clause {clause.id}: {why}")


def rules(spec, core, out):
    """Print the C functions of every clause with when/require; returns the rows of the rule table."""
    printer, rows, problems = RulePrinter(spec, constants(spec, core)), [], []
    for index, clause in enumerate(spec.clauses):
        if clause.when is None:
            continue
        key = "when"
        try:
            triggers, rest = trigger(expr.parse(clause.when), spec)
            when = " && ".join(printer.c(part) for part in rest) or "true"
            key = "require"
            require = printer.c(clause.require)
        except expr.ExprError as err:
            problems.append(clause_problem(clause, key, str(err)))
            continue
        base = f"{spec.c}_{clause.id.lower().replace('-', '_')}"
        for part, text in (("when", when), ("require", require)):
            out += [f"static bool {part}_{base}(const struct pl_facts *f)", "{", "    (void)f;",
                    f"    return {text};", "}"]
        for event, kind in triggers:
            rows.append(f"    {{{index}, {str(event).lower()}, {'PL_' + kind if kind else 'PL_NONE'}, "
                        f"when_{base}, require_{base}, {quote(clause.require)}}},")
    if problems:
        raise load.error_of(problems)
    return rows


def predicate_names(specs):
    """Every predicate that a clause names or a queue transition makes, in a fixed order."""
    names = []
    for spec in specs:
        for clause in spec.clauses:
            for name in (clause.predicate or "").split():
                if name not in names:
                    names.append(name)
        for transition in queue_transitions(spec):
            name = transition_predicate(transition)
            if name not in names:
                names.append(name)
    return names


def transition_predicate(transition):
    return "queue_" + transition["name"].replace("-", "_")


def queue_transitions(spec):
    if not spec.device:
        return []
    return [t for t in spec.device.get("transitions", []) if t.get("component") == "queue"]


def judgements(folder):
    """{predicate: the place of its first use} in the oracle's C files."""
    used = {}
    for name in sorted(os.listdir(folder)):
        if not name.endswith(".c"):
            continue
        path = os.path.join(folder, name)
        with open(path, encoding="utf-8") as stream:
            for number, text in enumerate(stream, 1):
                for predicate in re.findall(r"\bPL_P_(\w+)", text):
                    used.setdefault(predicate, (os.path.normpath(path), number))
    return used


def check_used(specs, names, folder):
    """Every predicate that a clause names must be judged somewhere in the oracle, and back."""
    used = judgements(folder)
    made = {transition_predicate(t) for spec in specs for t in queue_transitions(spec)}
    problems = [clause_problem(clause, "predicate", f"the oracle judges no '{name}'")
                for spec in specs for clause in spec.clauses
                for name in clause.predicates if name not in made and name not in used]
    for name in used:
        if name not in names:
            problems.append(load.problem_line(*used[name], "PL_P_" + name, "is judged here, but no clause names it"))
    if problems:
        raise load.error_of(problems)


def clause_tables(spec, core, names):
    out = [f"/* Generated from the clauses of {spec.name} and of what it includes: clauses and their rules. */",
           '#include "oracle/private.h"', '#include "oracle/helpers.h"', ""]
    rows = rules(spec, core, out)
    out += ["", "static const struct pl_clause_def defs[] = {"]
    for c in spec.clauses:
        reason = quote(c.reason) if c.reason else "NULL"
        kind = f"{quote(c.kind['name'])}, {c.kind['id']}" if c.kind else "NULL, 0"
        out.append(f"    {{{quote(c.id)}, {quote(c.level)}, {quote(c.role)}, {quote(c.how)}, "
                   f"{quote(c.section)}, {quote(c.text)}, {str(c.judged).lower()}, {str(c.by_scenario).lower()}, {reason}, "
                   f"{quote(c.spec)}, {kind}}},")
    out += ["};", "", "static const struct pl_rule rules[] = {", *rows, "};", ""]
    for name in names:
        bound = [str(i) for i, c in enumerate(spec.clauses) if name in c.predicates]
        out.append(f"static const uint16_t p_{name}[] = {{{', '.join(bound + ['UINT16_MAX'])}}};")
    out += ["", "static const uint16_t *const by_predicate[] = {"]
    out += [f"    p_{name}," for name in names]
    out += ["};", "", f"extern const struct pl_spec pl_spec_{spec.c};",
            f"const struct pl_clauses pl_clauses_{spec.c} = {{", f"    .spec = &pl_spec_{spec.c},",
            "    .defs = defs,", f"    .n = {len(spec.clauses)},", "    .rules = rules,",
            f"    .n_rules = {len(rows)},", "    .by_predicate = by_predicate,", "};", ""]
    return "\n".join(out)


class QueuePrinter(expr.Printer):
    """Prints guards and effects of queue transitions over one candidate state."""

    VARS = ("enabled", "size", "desc_addr", "driver_addr", "device_addr")

    def __init__(self, spec, table):
        self.spec, self.table = spec, table

    def name(self, name):
        if name in self.table:
            return f"UINT64_C({self.table[name]})"
        head, _, field = name.partition(".")
        if head == "queue" and field == "available":
            return "env->available"
        if name == "dev.ring_reset":
            return "env->ring_reset"
        if head == "queue" and field in self.VARS:
            return f"in->{field}"
        if head == "req" and any(field == f.name for m in self.spec.messages if m.request for f in m.request.fields):
            return f"req->f[PL_F_{field}]"
        raise OracleError(f"unknown name '{name}' in a queue transition")


def queue_step(spec, core):
    """The function that gives every outcome of a queue request on one possible state."""
    printer = QueuePrinter(spec, constants(spec, core))
    out = [f"/* Generated from models/{spec.name}/device.yaml: what queue requests do to a queue. */",
           '#include "oracle/private.h"', "", "pl_queue_step_fn pl_queue_step;",
           "unsigned pl_queue_step(const struct pl_msg *req, const struct pl_queue_env *env,",
           "                       const struct pl_queue_state *in, struct pl_queue_step *out)", "{",
           "    unsigned n = 0;", "    (void)env;"]
    for t in queue_transitions(spec):
        if not spec.message(t.get("on", "")):
            continue
        try:
            guard = printer.c(t["guard"]) if "guard" in t else "true"
            effects = {k.split(".")[-1]: printer.c(v) for k, v in (t.get("effect") or {}).items()}
        except expr.ExprError as err:
            raise load.ModelError(load.problem_line(spec.device.file, t.line, t["name"], str(err))) from err
        casts = {"enabled": "(bool)", "size": "(uint32_t)"}
        out += [f"    if (n < PL_QUEUE_CANDIDATES && req->kind == PL_{t['on']} && {guard}) {{",
                "        out[n].state = *in;"]
        out += [f"        out[n].state.{k} = {casts.get(k, '(uint64_t)')}({v});" for k, v in effects.items()]
        out += [f"        out[n++].predicate = PL_P_{transition_predicate(t)};"]
        out += ["    }" if "choice" in t else "        return n;\n    }"]
    out += ["    return n;", "}", ""]
    return "\n".join(out)


def core_facts(core):
    opaque = []
    for t in core["device_types"]:
        for first, last in t["opaque"]:
            opaque.append(f"(device_id == {t['id']} && offset - {first} <= {last - first})")
    needs = []
    for t in core["device_types"]:
        rows = ", ".join(f"{{{bit}, {{{', '.join(map(str, one_of))}}}, {len(one_of)}}}" for bit, one_of in t.get("requires", []))
        if rows:
            needs += [f"    static const struct pl_feature_need {t['name']}[] = {{{rows}}};",
                      f"    if (device_id == {t['id']}) {{",
                      f"        *n = sizeof({t['name']}) / sizeof({t['name']}[0]);",
                      f"        return {t['name']};", "    }"]
    insists = [f"(device_id == {t['id']} && bit == {bit})" for t in core["device_types"] for bit in t.get("insists", [])]
    return "\n".join(["/* Generated from models/virtio-core: facts about device types. */",
                      '#include "oracle/private.h"', "",
                      "const struct pl_feature_need *pl_type_needs(uint64_t device_id, size_t *n)", "{",
                      *needs, "    *n = 0;", "    return NULL;", "}", "",
                      "bool pl_type_insists(uint64_t device_id, unsigned bit)", "{",
                      f"    return {' || '.join(insists) or 'false'};", "}", "",
                      "bool pl_type_opaque(uint64_t device_id, uint64_t offset)", "{",
                      f"    return {' || '.join(opaque) or 'false'};", "}", "", *driver_facts(core)])


def driver_facts(core):
    """What a driver has to know of device types: described bits, optional fields, wide fields."""
    known = sorted(set(core["feature_bits"].values()) | set(core["legacy_bits"]))
    first, last = core["limits"]["COMMON_BITS_FIRST"], core["limits"]["COMMON_BITS_LAST"]
    out = ['#include "oracle/drv_private.h"', "", "bool pl_type_described(uint64_t device_id, uint64_t bit)", "{",
           f"    if (bit - {first} <= {last - first})",
           f"        return {' || '.join(f'bit == {b}' for b in known)};", "    switch (device_id) {"]
    for t in core["device_types"]:
        if "features" in t:
            out += [f"    case {t['id']}:", f"        return {' || '.join(f'bit == {b}' for b in t['features']) or 'false'};"]
    out += ["    default:", "        return true;", "    }", "}", "",
            "int pl_type_optional(uint64_t device_id, uint64_t offset, uint64_t length)", "{"]
    for t in core["device_types"]:
        out += [f"    if (device_id == {t['id']} && offset - {a} <= {b - a} && offset + length <= {b + 1})\n        return {bit};"
                for a, b, bit in t.get("optional", [])]
    out += ["    return -1;", "}", "",
            "bool pl_type_wide(uint64_t device_id, uint64_t offset, uint64_t middle, uint64_t end)", "{"]
    for t in core["device_types"]:
        out += [f"    if (device_id == {t['id']} && offset <= {b} && middle > {a} && middle <= {b} && end > middle)\n        return true;"
                for a, b in t.get("wide", [])]
    return out + ["    return false;", "}", ""]


def render(specs, core):
    judged = [s for s in specs if s.clauses]
    names = predicate_names(judged)
    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "harness", "oracle")
    if any(s.device for s in judged):
        check_used(judged, names, folder)
    files = {"pl_predicates.h": "\n".join(
        ["/* Generated from the clauses: the oracle's named judgements. */", "#ifndef PL_PREDICATES_H",
         "#define PL_PREDICATES_H", "", "enum pl_predicate {", *[f"    PL_P_{n}," for n in names],
         "    PL_P_COUNT", "};", "", "#endif", ""]), "pl_core_facts.c": core_facts(core)}
    tables = []
    for spec in judged:
        files[f"pl_clauses_{spec.c}.c"] = clause_tables(spec, core, names)
        tables.append(f"pl_clauses_{spec.c}")
        if spec.device:
            files["pl_queue_step.c"] = queue_step(spec, core)
    files["pl_clause_tables.c"] = "\n".join(
        ["/* Generated: the clause tables of all drafts. */", '#include "oracle/private.h"', "",
         *[f"extern const struct pl_clauses {t};" for t in tables],
         "extern const struct pl_clauses *const pl_clause_tables[];",
         "const struct pl_clauses *const pl_clause_tables[] = {" +
         ", ".join("&" + t for t in tables) + ", NULL};", ""])
    return files
