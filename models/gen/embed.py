"""Prints the scenario files of a folder as C strings, so that the program carries them: embed.py FOLDER OUT.c"""
import os
import sys

MAX_BYTES = 4 << 20
PLAIN = {*range(0x20, 0x7F)} - set(b'"\\?')  # '?' too: two of them could begin a trigraph


class EmbedError(Exception):
    """What is wrong with a file, in one sentence."""


def literal(line):
    """One line of a file as a C string literal."""
    return '"' + "".join(chr(b) if b in PLAIN else f"\\{b:03o}" for b in line) + '"'


def text_of(path):
    with open(path, "rb") as stream:
        data = stream.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise EmbedError(f"{path}:1: file: larger than {MAX_BYTES} bytes")
    if b"\0" in data:
        line = data[: data.index(b"\0")].count(b"\n") + 1
        raise EmbedError(f"{path}:{line}: file: holds a NUL byte")
    return "\n".join("     " + literal(line) for line in data.splitlines(keepends=True)) or '     ""'


def render(folder):
    """The whole C file; entries are sorted by name and end with a NULL name."""
    names = sorted(name for name in os.listdir(folder) if name.endswith(".yaml"))
    out = ["/* Generated from scenarios/: the embedded scenario files. */", '#include "engine/scenario.h"', "",
           "const struct pl_embedded pl_embedded_scenarios[] = {"]
    for name in names:
        out.append(f"    {{{literal(name.encode())},\n{text_of(os.path.join(folder, name))}}},")
    return "\n".join([*out, "    {NULL, NULL},", "};", ""])


def main(argv):
    if len(argv) != 3:
        print("usage: embed.py FOLDER OUT.c", file=sys.stderr)
        return 2
    try:
        text = render(argv[1])
        if not os.path.exists(argv[2]) or open(argv[2], encoding="utf-8").read() != text:
            with open(argv[2], "w", encoding="utf-8") as stream:
                stream.write(text)
    except (EmbedError, OSError) as err:
        print(err, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
