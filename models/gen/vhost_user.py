"""Prints pl_vhost_user.h from models/bindings/vhost-user.yaml: python3 vhost_user.py IN.yaml OUT.h"""
import os
import sys

import yaml

WIDTH = {"u8": 1, "u16": 2, "u32": 4, "u64": 8}
C_TYPE = {"u8": "uint8_t", "u16": "uint16_t", "u32": "uint32_t", "u64": "uint64_t"}


class BindingError(Exception):
    """What is wrong with the file, in one sentence."""


def lay_out(name, fields, known, constants):
    """C declarations, size and alignment of one payload; it must need no padding."""
    lines, offset, widest = [], 0, 1
    for field in fields:
        kind = field["type"]
        if kind in WIDTH:
            c, size, align = C_TYPE[kind], WIDTH[kind], WIDTH[kind]
        elif kind in known:
            c, (size, align) = f"struct pl_vu_{kind}", known[kind]
        else:
            raise BindingError(f"payload {name}: field {field['name']}: unknown type {kind}")
        if offset % align:
            raise BindingError(f"payload {name}: field {field['name']}: not at a multiple of {align}")
        count = field.get("count", 1)
        count = constants.get(count, count)
        suffix = f"[{count}]" if "count" in field else ""
        lines.append(f"    {c} {field['name']}{suffix};")
        offset += size * count
        widest = max(widest, align)
    if offset % widest:
        raise BindingError(f"payload {name}: its size {offset} is no multiple of {widest}")
    return lines, offset, widest


def structs(doc):
    """A C struct for the header and each payload, with its size asserted."""
    out, known = [], {}
    payloads = {"header": doc["header"]["fields"], **doc["payloads"]}
    for name, fields in payloads.items():
        lines, size, align = lay_out(name, fields, known, doc["constants"])
        known[name] = (size, align)
        out += [f"struct pl_vu_{name} {{", *lines, "};",
                f'_Static_assert(sizeof(struct pl_vu_{name}) == {size}, "{name}");', ""]
    return out


def requests(doc):
    """The request numbers, and a table of what travels with each."""
    out = ["enum pl_vu_request {"]
    out += [f"    PL_VU_{r['name']} = {r['id']}," for r in doc["requests"]]
    out += ["};", "", "/* One request: name, and the sizes of what it carries and of what always comes back. */",
            "struct pl_vu_request_def {", "    const char *name;", "    enum pl_vu_request request;",
            "    uint32_t payload, reply;", "    bool fd;", "};", "",
            "static const struct pl_vu_request_def pl_vu_requests[] = {"]
    for r in doc["requests"]:
        for key in ("payload", "reply"):
            if key in r and r[key] not in doc["payloads"]:
                raise BindingError(f"request {r['name']}: {key}: unknown payload {r[key]}")
        sizes = [f"sizeof(struct pl_vu_{r[k]})" if k in r else "0" for k in ("payload", "reply")]
        out.append(f'    {{"{r["name"]}", PL_VU_{r["name"]}, {sizes[0]}, {sizes[1]}, '
                   f'{str(r.get("fd", False)).lower()}}},')
    return out + ["};", ""]


def numbers(doc):
    """Flags, constants and feature bits."""
    out = [f"#define PL_VU_FLAG_{k} UINT32_C({v:#x})" for k, v in doc["header"]["flags"].items()]
    out += [f"#define PL_VU_{k} {v:#x}u" for k, v in doc["constants"].items()]
    out += [f"#define PL_VU_PF_{k} (UINT64_C(1) << {v})" for k, v in doc["protocol_features"].items()]
    out += [f"#define PL_VU_F_{k} (UINT64_C(1) << {v})" for k, v in doc["hidden_features"].items()]
    out += [f"#define PL_VU_BACKEND_{k} {v}u" for k, v in doc["backend_requests"].items()]
    hidden = " | ".join(f"PL_VU_F_{k}" for k in doc["hidden_features"])
    return out + [f"#define PL_VU_HIDDEN ({hidden})", ""]


def device_types(doc):
    """The device types with what the front-end knows of their configuration space."""
    out = ["struct pl_vu_writable {", "    uint32_t offset, size;", "    uint64_t feature;", "};", "",
           "struct pl_vu_device_type {", "    const char *name;", "    uint32_t id, config_max;",
           "    const struct pl_vu_writable *writable;", "    size_t n_writable;", "};", ""]
    rows = []
    for t in doc["device_types"]:
        name, writable = t["name"], t.get("writable", [])
        if t["config_max"] > doc["constants"]["CONFIG_MAX"]:
            raise BindingError(f"device type {name}: config_max is above CONFIG_MAX")
        if writable:
            cells = ", ".join(f"{{{w['offset']}, {w['size']}, UINT64_C(1) << {w['feature']}}}"
                              for w in writable)
            out.append(f"static const struct pl_vu_writable pl_vu_writable_{name}[] = {{{cells}}};")
        table = f"pl_vu_writable_{name}" if writable else "NULL"
        rows.append(f'    {{"{name}", PL_C_TYPE_{name}, {t["config_max"]}, {table}, {len(writable)}}},')
    return out + ["", "static const struct pl_vu_device_type pl_vu_device_types[] = {", *rows, "};", ""]


def observable(doc):
    """The clauses that the gateway shows, with and without GET_STATUS."""
    needs = doc["observable_needs"]
    for feature, ids in needs.items():
        unknown = [i for i in ids if i not in doc["observable"]]
        if unknown or feature != "STATUS":
            raise BindingError(f"observable_needs: {feature}: {', '.join(unknown) or 'unknown feature'}")
    lists = {"driver": doc["observable_driver"],
             "with_status": doc["observable"],
             "without_status": [i for i in doc["observable"] if i not in needs.get("STATUS", [])]}
    return [f"static const char *const pl_vu_observable_{k}[] = {{" +
            ", ".join(f'"{i}"' for i in ids) + ", NULL};" for k, ids in lists.items()] + [""]


def generate(doc):
    return "\n".join(["/* Generated from models/bindings/vhost-user.yaml: the numbers of vhost-user. */",
                      "#ifndef PL_VHOST_USER_GEN_H", "#define PL_VHOST_USER_GEN_H", "",
                      "#include <stdbool.h>", "#include <stddef.h>", "#include <stdint.h>", "",
                      '#include "pl_names.h"', "", *numbers(doc), *structs(doc), *requests(doc),
                      *device_types(doc), *observable(doc), "#endif", ""])


def main(argv):
    if len(argv) != 3:
        print("usage: vhost_user.py IN.yaml OUT.h", file=sys.stderr)
        return 2
    try:
        with open(argv[1], encoding="utf-8") as stream:
            text = generate(yaml.safe_load(stream))
        os.makedirs(os.path.dirname(argv[2]) or ".", exist_ok=True)
        with open(argv[2], "w", encoding="utf-8") as stream:
            stream.write(text)
    except (BindingError, OSError, yaml.YAMLError) as err:
        print(f"{argv[1]}: {err}", file=sys.stderr)
        return 2
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as err:
        print(f"{argv[1]}: not shaped as this generator expects: {err!r}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
