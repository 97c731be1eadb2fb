"""Prints pl_types.h, what the harness's C (the judge of drivers, the reference peers) knows of device types, from
virtio-core/type_facts.yaml."""
import os

from gen import load

SCHEMA = {"name": (str, True), "output": (str, False), "features": (dict, False), "config": (dict, False),
          "constants": (dict, False)}
OUTPUT = {"all": "true", "odd": "queue % 2 == 1", "none": "false"}


def config_rows(reader, kind, prefix):
    """The rows of a type's fields: each [offset, bytes]."""
    rows = []
    for key, value in (kind.get("config") or {}).items():
        good = isinstance(value, list) and len(value) == 2 and all(isinstance(v, int) for v in value)
        if not good or value[1] not in (1, 2, 4, 6, 8) or not 0 <= value[0] <= 4096:
            reader.problem(kind["config"].file, kind["config"].lines[key], key, "is no [offset, bytes]")
        else:
            rows += [(f"{prefix}_{key}_AT", value[0]), (f"{prefix}_{key}_LEN", value[1])]
    return rows


def rows_of(reader, kind):
    """(name, value) of everything that a type states."""
    prefix = "PL_T_" + kind["name"].upper()
    rows = [(f"{prefix}_{k}", v) for k, v in reader.numbers(kind.get("features") or load.Doc(), 0, 127).items()]
    rows += config_rows(reader, kind, prefix)
    rows += [(f"{prefix}_{k}", v) for k, v in reader.numbers(kind.get("constants") or load.Doc(), 0, 0x7fffffff).items()]
    return rows


def render(models, core):
    """{file name: text}; raises load.ModelError."""
    path = os.path.join(models, "virtio-core", "type_facts.yaml")
    reader = load.Loader()
    doc = reader.read(path)
    ids = {t["name"]: t["id"] for t in core["device_types"]}
    rows, cases = [], []
    if doc is not None and reader.check(doc, path, {"types": (list, True)}):
        for kind in reader.each(doc["types"], path, SCHEMA):
            if kind["name"] not in ids:
                reader.problem(path, kind.lines["name"], "name", f"'{load.shown(kind['name'])}' is no device type of core.yaml")
            elif kind.get("output", "none") not in OUTPUT:
                reader.problem(path, kind.lines["output"], "output", f"is none of {' '.join(OUTPUT)}")
            else:
                rows += rows_of(reader, kind)
                if "output" in kind:
                    cases.append(f"    if (device_id == {ids[kind['name']]})\n        return {OUTPUT[kind['output']]};")
    if reader.problems:
        raise load.error_of(reader.problems)
    return {"pl_types.h": "\n".join(
        ["/* Generated from models/virtio-core/type_facts.yaml: facts of device types. */", "#ifndef PL_TYPES_H",
         "#define PL_TYPES_H", "", "#include <stdbool.h>", "#include <stdint.h>", "",
         *[f"#define {name} UINT64_C({value})" for name, value in rows], "",
         "/* Does a queue of this type carry nothing but requests of the driver's own? */",
         "static inline bool pl_type_output(uint64_t device_id, uint32_t queue)", "{", "    (void)queue;", *cases,
         "    return false;", "}", "", "#endif", ""])}
