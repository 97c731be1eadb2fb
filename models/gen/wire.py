"""Prints the codec's tables: pl_names.h for all drafts, pl_spec_<draft>.c for each."""

SIDE = {"driver": "PL_SIDE_DRIVER", "device": "PL_SIDE_DEVICE", "either": "PL_SIDE_EITHER",
        "bus": "PL_SIDE_BUS"}
UNIT = {"elements": "PL_UNIT_ELEMENTS", "bytes": "PL_UNIT_BYTES", "bits": "PL_UNIT_BITS"}
HEADER = ("type", "msg_id", "dev_num", "token", "msg_size")


def quote(text):
    """A text as a C string literal."""
    safe = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{safe}"'


def all_constants(spec, core):
    """Every named number of a draft and of core virtio, in a fixed order."""
    table = dict(spec.constants)
    table.update({"STATUS_" + k: v for k, v in core["status_bits"].items()})
    table.update({"F_" + k: v for k, v in core["feature_bits"].items()})
    table.update({"TF_" + k: v for k, v in spec.transport_features.items()})
    table.update(core["limits"])
    table.update({"TYPE_" + t["name"]: t["id"] for t in core["device_types"]})
    return table


def kinds_and_fields(specs):
    """Every message and every scalar of all drafts, each once, in a fixed order."""
    kinds, fields = [], []
    for spec in specs:
        for message in spec.messages:
            if message.name not in kinds:
                kinds.append(message.name)
            for layout in (message.request, message.response, message.event):
                for field in layout.fields if layout else []:
                    if field.name not in fields:
                        fields.append(field.name)
    return kinds, fields


def names(specs, core):
    """pl_names.h: kinds and fields of all drafts, and the numbers of core virtio."""
    kinds, fields = kinds_and_fields(specs)
    out = ["/* Generated from models/: the names that all drafts share. */",
           "#ifndef PL_NAMES_H", "#define PL_NAMES_H", "",
           "enum pl_kind {", "    PL_NONE,"]
    out += [f"    PL_{kind}," for kind in kinds]
    out += ["    PL_KIND_COUNT", "};", "", "enum pl_field {", "    PL_F_none,"]
    out += [f"    PL_F_{field}," for field in fields]
    out += ["    PL_F_COUNT", "};", ""]
    constants = {}
    for spec in specs:
        constants.update(all_constants(spec, core))
    out += [f"#define PL_C_{name} UINT64_C({value})" for name, value in constants.items()]
    out += ["", "extern const char *const pl_kind_names[];", "extern const char *const pl_field_names[];",
            "", "#endif", ""]
    return "\n".join(out)


def names_c(specs):
    kinds, fields = kinds_and_fields(specs)
    kinds, fields = ["NONE"] + kinds, ["none"] + fields
    out = ["/* Generated from models/: names as text, and the list of drafts. */", '#include "wire/wire.h"', "",
           "const char *const pl_kind_names[] = {" + ", ".join(f'"{k}"' for k in kinds) + "};",
           "const char *const pl_field_names[] = {" + ", ".join(f'"{f}"' for f in fields) + "};", ""]
    out += [f"extern const struct pl_spec pl_spec_{s.c};" for s in specs]
    order = sorted(specs, key=lambda s: (s.name != "virtio-msg-r1", s.name))
    out += ["const struct pl_spec *const pl_specs[] = {" + ", ".join(f"&pl_spec_{s.c}" for s in order) +
            ", NULL};", ""]
    return "\n".join(out)


def array(a, name):
    count_field = f"PL_F_{a.count_field}" if a.count_field else "PL_F_none"
    return (f'static const struct pl_array_def {name} = {{"{a.name}", {a.offset}, {a.width}, {a.count}, '
            f"{count_field}, {UNIT[a.unit]}, {'true' if a.optional else 'false'}}};")


def layout(lay, name, out):
    """Print one layout's tables."""
    if lay.fields:
        rows = ", ".join(f'{{"{f.name}", PL_F_{f.name}, {f.offset}, {f.width}}}' for f in lay.fields)
        out.append(f"static const struct pl_field_def {name}_fields[] = {{{rows}}};")
    if lay.fixed:
        out.append(array(lay.fixed, f"{name}_fixed"))
    if lay.tail:
        out.append(array(lay.tail, f"{name}_tail"))
    out.append(f"static const struct pl_layout {name} = {{"
               f"{name + '_fields' if lay.fields else 'NULL'}, {len(lay.fields)}, "
               f"{'&' + name + '_fixed' if lay.fixed else 'NULL'}, "
               f"{'&' + name + '_tail' if lay.tail else 'NULL'}, {lay.size}}};")


def header(spec):
    parts = [str(spec.header_size)]
    for name in HEADER:
        field = spec.header.get(name)
        parts.append(f"{{{field.offset}, {field.width}}}" if field else "{0, 0}")
    bits = [spec.type_bits["response"], spec.type_bits["bus"], spec.type_bits["reserved"],
            spec.id_bits["event"], spec.id_bits["implementation_defined"]]
    return "{" + ", ".join(parts + [f"{b:#x}" for b in bits]) + "}"


def tables(spec, core):
    """pl_spec_<draft>.c: every layout, message and constant of one draft."""
    out = [f"/* Generated from models/{spec.name}: its messages as tables. */", '#include "wire/wire.h"', ""]
    rows = []
    for m in spec.messages:
        base = m.name.lower()
        first, second = m.event or m.request, m.response
        layout(first, f"{base}_req", out)
        if second is not None:
            layout(second, f"{base}_resp", out)
        rows.append(f'    {{"{m.name}", PL_{m.name}, {m.id:#04x}, {str(m.bus).lower()}, '
                    f"{str(m.event is not None).lower()}, {str(m.binding).lower()}, {SIDE[m.side]}, "
                    f"&{base}_req, {'&' + base + '_resp' if second is not None else 'NULL'}}},")
    out += ["", "static const struct pl_message_def messages[] = {", *rows, "};", ""]
    out += ["static const struct pl_constant constants[] = {"]
    out += [f'    {{"{k}", UINT64_C({v})}},' for k, v in all_constants(spec, core).items()]
    out += ["    {NULL, 0}", "};", "", "static const struct pl_constant transport_features[] = {"]
    out += [f'    {{"{k}", UINT64_C({v})}},' for k, v in spec.transport_features.items()]
    out += ["    {NULL, 0}", "};", ""]
    ids = {False: [], True: []}
    for i, m in enumerate(spec.messages):
        ids[m.bus].append(f"[{m.id:#04x}] = &messages[{i}]")
    lim = spec.limits
    out += [f"const struct pl_spec pl_spec_{spec.c} = {{", f'    .name = "{spec.name}",',
            f"    .title = {quote(spec.title)},", f"    .revision = {spec.revision},",
            f"    .header = {header(spec)},",
            f"    .min_max_msg_size = {lim['min_max_msg_size']},",
            f"    .max_max_msg_size = {lim['max_max_msg_size']},",
            f"    .recommended_max_msg_size = {lim['recommended_max_msg_size']},",
            f"    .fence = PL_{spec.fence},", "    .messages = messages,",
            f"    .n_messages = {len(spec.messages)},",
            "    .by_id = {{" + ", ".join(ids[False]) + "}, {" + ", ".join(ids[True]) + "}},",
            "    .constants = constants,", "    .transport_features = transport_features,", "};", ""]
    return "\n".join(out)
