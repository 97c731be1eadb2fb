"""Prints pl_spsc.h from models/bindings/spsc.yaml: python3 spsc.py IN.yaml OUT.h"""
import os
import sys

import yaml

INDEX = 4  # bytes of head and tail
ENDS = ("driver", "device")  # in the order of enum pl_spsc_end


class BindingError(Exception):
    """What is wrong with the file, in one sentence."""


def number(doc, key, least):
    """A whole number of the file."""
    value = doc[key]
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise BindingError(f"{key}: {value!r} is no whole number from {least} on")
    return value


def check_slots(doc):
    """What the areas' sizes have to be for the C code's arithmetic to hold."""
    slot, first = number(doc, "slot_size", 1), number(doc["area"], "slots", 1)
    least = first + slot * number(doc, "slots_min", 2)
    most = number(doc, "size_max", least)
    if (most - first) // slot > 0x7FFFFFFF:
        raise BindingError("size_max: more slots than an index can count")
    if not least <= number(doc, "size_default", 1) <= most:
        raise BindingError(f"size_default: not within {least} and {most}")
    if number(doc, "wakeup", 0) > 255:
        raise BindingError("wakeup: no byte")


def area(doc):
    """The area as a C struct, padded with reserved bytes, its offsets asserted."""
    places = sorted((number(doc["area"], key, 0), key) for key in ("head", "tail"))
    lines, offset = [], 0
    for at, key in places:
        if at < offset or at % INDEX:
            raise BindingError(f"area: {key}: {at} overlaps what is before it, or is no multiple of {INDEX}")
        if at > offset:
            lines.append(f"    uint8_t reserved_{offset}[{at - offset}];")
        lines.append(f"    _Atomic(int32_t) {key};")
        offset = at + INDEX
    slots = doc["area"]["slots"]
    if slots < offset:
        raise BindingError(f"area: slots: {slots} overlaps the indices")
    if slots > offset:
        lines.append(f"    uint8_t reserved_{offset}[{slots - offset}];")
    lines.append(f"    uint8_t slots[][{doc['slot_size']}];")
    asserts = [f'_Static_assert(offsetof(struct pl_spsc_area, {key}) == {doc["area"][key]}, "{key}");'
               for key in ("head", "tail", "slots")]
    return ["struct pl_spsc_area {", *lines, "};", *asserts,
            '_Static_assert(sizeof(_Atomic(int32_t)) == 4 && ATOMIC_INT_LOCK_FREE == 2, "indices are plain words");', ""]


def text(value):
    """A string of C; the file has no business with characters that need escaping."""
    if not isinstance(value, str) or any(c in value for c in '"\\%\n'):
        raise BindingError(f"{value!r} is no plain text")
    return f'"{value}"'


def numbers(doc):
    """Sizes, the wakeup byte and the parts of file names."""
    least = doc["area"]["slots"] + doc["slot_size"] * doc["slots_min"]
    suffixes = ", ".join(text(doc["file_suffixes"][end]) for end in ENDS)
    return [f"#define PL_SPSC_SLOT_SIZE {doc['slot_size']}u", f"#define PL_SPSC_SIZE_MIN {least}u",
            f"#define PL_SPSC_SIZE_DEFAULT {doc['size_default']}u", f"#define PL_SPSC_SIZE_MAX {doc['size_max']}u",
            f"#define PL_SPSC_WAKEUP {doc['wakeup']:#x}u", f"#define PL_SPSC_FOLDER {text(doc['folder'])}",
            f"#define PL_SPSC_PREFIX {text(doc['file_prefix'])}",
            f"#define PL_SPSC_SUFFIXES {{{suffixes}}}", ""]


def generate(doc):
    check_slots(doc)
    return "\n".join(["/* Generated from models/bindings/spsc.yaml: the areas of the shared-memory binding. */",
                      "#ifndef PL_SPSC_GEN_H", "#define PL_SPSC_GEN_H", "", "#include <stdatomic.h>",
                      "#include <stddef.h>", "#include <stdint.h>", "", *numbers(doc), *area(doc), "#endif", ""])


def main(argv):
    if len(argv) != 3:
        print("usage: spsc.py IN.yaml OUT.h", file=sys.stderr)
        return 2
    try:
        with open(argv[1], encoding="utf-8") as stream:
            header = generate(yaml.safe_load(stream))
        os.makedirs(os.path.dirname(argv[2]) or ".", exist_ok=True)
        with open(argv[2], "w", encoding="utf-8") as stream:
            stream.write(header)
    except (BindingError, OSError, yaml.YAMLError) as err:
        print(f"{argv[1]}: {err}", file=sys.stderr)
        return 2
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as err:
        print(f"{argv[1]}: not shaped as this generator expects: {err!r}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
