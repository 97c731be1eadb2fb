"""Writes dictionaries for fuzzing engines from the models: python3 dictionary.py MODELS OUT.

messages.dict has header and field bytes of every draft, vhost-user.dict those of the gateway's protocol, words.dict the
names that scenarios, profiles and traces are made of. Each entry is name="bytes", as libFuzzer and AFL++ read it.
"""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import yaml  # noqa: E402
from gen import load, wire  # noqa: E402

WIDTH = {"u8": 1, "u16": 2, "u32": 4, "u64": 8}
FEATURE_BLOCK_BITS = 32


def entry(name, data):
    """One line; bytes that are no plain letters are written in hexadecimal."""
    plain = "".join(chr(b) if 32 <= b < 127 and chr(b) not in '"\\' else f"\\x{b:02x}" for b in data)
    return f'{"".join(c if c.isalnum() else "_" for c in name)}="{plain}"'


def little(value, width):
    return (value & ((1 << 8 * width) - 1)).to_bytes(width, "little")


def header_bytes(spec, message, response):
    """Type and id of a message, where they stand side by side."""
    kind = (spec.type_bits["response"] if response else 0) | (spec.type_bits["bus"] if message.bus else 0)
    return little(kind, 1) + little(message.id, 1)


def messages(specs, core):
    """Ids, constants, status and feature bits, limits, of every draft."""
    found = {}
    for spec in specs:
        for message in spec.messages:
            for part in ("request", "response", "event"):
                if getattr(message, part) is not None:
                    found[f"{spec.c}_{message.name}_{part}"] = header_bytes(spec, message, part == "response")
        for name, value in wire.all_constants(spec, core).items():
            found[f"{spec.c}_{name}"] = little(value, 4 if value < 1 << 32 else 8)
        for name, value in spec.limits.items():
            found[f"{spec.c}_{name}"] = little(value, 2)
        for name, bit in spec.transport_features.items():
            found[f"{spec.c}_transport_{name}"] = little(1 << bit, 4)
    for name, bit in core["feature_bits"].items():
        found[f"feature_{name}"] = little(1 << bit % FEATURE_BLOCK_BITS, 4)
    return found


def vhost_user(doc):
    """Requests with a header's flags, feature bits, and constants."""
    flags = doc["header"]["flags"]
    found = {}
    for request in doc["requests"]:
        found[request["name"]] = little(request["id"], 4) + little(flags["VERSION"], 4)
        found[f"{request['name']}_ack"] = (little(request["id"], 4) +
                                           little(flags["VERSION"] | flags["NEED_REPLY"], 4))
        if "reply" in request:
            found[f"{request['name']}_reply"] = (little(request["id"], 4) +
                                                 little(flags["VERSION"] | flags["REPLY"], 4))
    for part in ("protocol_features", "hidden_features"):
        for name, bit in doc[part].items():
            found[f"{part}_{name}"] = little(1 << bit, 8)
    for name, value in doc["constants"].items():
        found[name] = little(value, 4)
    return found


def words(specs, core):
    """Names: of messages, fields, constants and features, and of what stands in scenarios."""
    names = set(core["feature_bits"]) | set(core["status_bits"])
    names.update(*wire.kinds_and_fields(specs))
    for spec in specs:
        names |= {spec.name} | set(wire.all_constants(spec, core)) | set(spec.transport_features)
    return {name: name.encode() for name in names}


def write(path, found):
    with open(path, "w", encoding="utf-8") as out:
        out.write("".join(entry(name, data) + "\n" for name, data in sorted(found.items())))


def main(argv):
    if len(argv) != 3:
        print("usage: dictionary.py MODELS OUT", file=sys.stderr)
        return 2
    try:
        specs, core = load.load(argv[1])
        with open(os.path.join(argv[1], "bindings", "vhost-user.yaml"), encoding="utf-8") as stream:
            binding = yaml.safe_load(stream)
        os.makedirs(argv[2], exist_ok=True)
        write(os.path.join(argv[2], "messages.dict"), messages(specs, core))
        write(os.path.join(argv[2], "vhost-user.dict"), vhost_user(binding))
        write(os.path.join(argv[2], "words.dict"), words(specs, core))
    except (load.ModelError, OSError, yaml.YAMLError) as err:
        print(err, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
