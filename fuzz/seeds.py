"""Makes what fuzz targets begin with: seeds.py BUILD TARGET..., or packs it: seeds.py --zip BUILD FILE.zip TARGET

BUILD/corpus/TARGET gets seeds from scenarios/, docs/, models/ (through the generated codec) and traces that
BUILD/plumbline records; BUILD/regressions/TARGET what once was a bug, from fuzz/regressions/TARGET: files whose name ends
in .hex are hexadecimal digits with comments behind #, others are taken as they are. All of it is the same each time.
"""
import os
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import zipfile

import yaml

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SEED = 1
TRACE_BYTES = 24 << 10  # of a trace that is a seed; libFuzzer copes badly with much larger ones
TRACES = {"device": ["every-byte", "CORE-RESET-DEV-*", "CORE-SPLIT-DEV-*", "CORE-PACKED-DEV-*", "BLK-DEV-1*", "*SHM*"],
          "driver": ["*needs-reset*", "*config*", "*feature*"],
          "bus": ["bus-*event*", "bus-*param*", "bus-*device*"]}
PACKET_BLOCK, COMMENT, FLAGS, OUTBOUND = 6, 1, 2, 2


def read(*parts):
    with open(os.path.join(ROOT, *parts), "rb") as stream:
        return stream.read()


def under(folder, ending):
    names = sorted(os.listdir(os.path.join(ROOT, folder)))
    return {name: read(folder, name) for name in names if name.endswith(ending)}


def codec(build):
    sys.path.insert(0, os.path.join(build, "gen"))
    import plumbline_codec  # pylint: disable=import-outside-toplevel
    return plumbline_codec


# --- messages ---

def messages(build):
    """One message of each kind and direction of each draft, {name: bytes}."""
    c, found = codec(build), {}
    rng = random.Random(SEED)
    for spec in sorted(c.SPECS):
        for name, message in sorted(c.SPECS[spec]["messages"].items()):
            for response in (False, True):
                layout = message["response" if response else "request"]
                if layout is None:
                    continue
                fields = {field: rng.choice((0, 1, 2, 8)) for field, _, width in layout["fields"] if width}
                fields.update(array_of(layout, fields))
                data = c.encode(spec, name, response=response and not message["is_event"], dev_num=rng.randrange(3),
                                token=rng.randrange(1, 9), **fields)
                found[f"{spec}-{name}-{'response' if response else 'request'}"] = data
    return found


def array_of(layout, fields):
    """The arrays of a layout: a fixed one's zeros, and as many elements of a variable one as its count says."""
    out, fixed, tail = {}, layout["fixed"], layout["tail"]
    if fixed:
        out[fixed["name"]] = bytes(fixed["width"] * fixed["count"])
    if tail:
        count = fields[tail["count_field"]]
        size = {"elements": count * tail["width"], "bytes": count, "bits": (count + 7) // 8}[tail["unit"]]
        out[tail["name"]] = bytes(i & 0xff for i in range(size))
    return out


# --- traces ---

def blocks(trace):
    """The blocks of a little-endian pcapng file."""
    at = 0
    while at + 12 <= len(trace):
        size = struct.unpack_from("<I", trace, at + 4)[0]
        yield trace[at:at + size]
        at += size


def cut(trace):
    """The first blocks of a trace, TRACE_BYTES at most."""
    out = b""
    for block in blocks(trace):
        if len(out) + len(block) > TRACE_BYTES:
            break
        out += block
    return out


def options(block, at):
    """{code: value} of what stands behind a packet."""
    found = {}
    while at + 4 <= len(block) - 4:
        code, size = struct.unpack_from("<HH", block, at)
        if code == 0:
            break
        found[code] = block[at + 4:at + 4 + size]
        at += 4 + (size + 3) // 4 * 4
    return found


def records(trace, role):
    """A trace as the replay target's records: role, group, and of each message direction, size, bytes and comment."""
    out = [bytes([("device", "driver", "bus").index(role), 53, 0])]
    for block in blocks(trace):
        if struct.unpack_from("<I", block)[0] != PACKET_BLOCK:
            continue
        interface, _, _, size = struct.unpack_from("<4I", block, 8)
        found = options(block, 28 + (size + 3) // 4 * 4)
        comment = found.get(COMMENT, b"")[:250]
        outbound = struct.unpack("<I", found[FLAGS])[0] & 3 == OUTBOUND
        how = outbound | (role == "bus" and interface & 1) << 1 | bool(comment) << 2
        if size < 256:
            out.append(bytes([how, size]) + block[28:28 + size])
            out.append(bytes([len(comment)]) + comment if comment else b"")
    return b"".join(out)


def record(build, role, pattern):
    """A trace of the reference device, driver or bus in the scenarios that a pattern selects."""
    program = os.path.join(build, "plumbline")
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "trace")
        words = [program, "test", "--role", role, "--select", pattern, "--max-msg-size", "264", "--transport-features",
                 "0", "--with", "queue_size=16", "--quiet", "--pcapng", path]
        if role != "device":
            words += ["--exec", f"'{program}' serve {role}"]
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=300)
        if done.returncode not in (0, 1) or not os.path.exists(path):
            raise SystemExit(f"seeds: {' '.join(words)}: exit status {done.returncode}: {done.stderr.strip()}")
        with open(path, "rb") as stream:
            return stream.read()


TRACES_MADE = {}


def traces(build):
    """{name: (role, trace)}, recorded once."""
    if not TRACES_MADE:
        for role, patterns in TRACES.items():
            for i, pattern in enumerate(patterns):
                TRACES_MADE[f"{role}-{i}"] = (role, cut(record(build, role, pattern)))
    return TRACES_MADE


# --- a target's seeds: {name: bytes} ---

def for_codec(build):
    return messages(build)


def for_scenario(_):
    """Each scenario by itself, lest a file is too large to be bent well; and what the documents show."""
    found = {}
    for name, text in under("scenarios", ".yaml").items():
        found[name] = text if len(text) < 8 << 10 else text[:text.rfind(b"\n  - name:", 0, 8 << 10) + 1]
    return {**found, **examples("scenarios.md")}


def examples(document):
    """The YAML blocks of a document."""
    shown = re.findall(r"```yaml\n(.*?)```", read("docs", document).decode(), re.S)
    return {f"{document}-{i}": text.encode() for i, text in enumerate(shown)}


def for_profile(_):
    readme = re.findall(r"```yaml\n(.*?)```", read("README.md").decode(), re.S)
    return {**examples("bindings.md"), **examples("connecting.md"), **examples("drivers.md"),
            **{f"README-{i}": text.encode() for i, text in enumerate(readme)}}


def for_pcapng(build):
    return {name: trace for name, (_, trace) in traces(build).items()}


def for_replay(build):
    return {**for_pcapng(build), **{f"{name}-records": records(trace, role)
                                    for name, (role, trace) in traces(build).items()}}


def entries():
    """{path below corpus/: text} of the project's own corpus."""
    top = os.path.join(ROOT, "corpus")
    paths = sorted(os.path.join(folder, name) for folder, _, names in os.walk(top) for name in names if name.endswith(".txt"))
    return {os.path.relpath(path, top): read(path) for path in paths}


def for_corpus(build):
    """Some entries, an archive of three as `export` makes it, and operations on one."""
    some = list(entries().values())[::40]
    found = {f"entry-{i}": b"\0" + text for i, text in enumerate(some)}
    with tempfile.TemporaryDirectory() as folder:
        write_all(folder, {f"{i}.txt": text for i, text in enumerate(some[:3])})
        archive = os.path.join(folder, "x.tar")
        subprocess.run([os.path.join(build, "plumbline"), "corpus", "export", folder, archive], check=True,
                       stdout=subprocess.DEVNULL)
        found["archive"] = b"\1" + read(archive)
    return {**found, "operations": b"\2\3" + bytes(range(64))}


def cases(build, role):
    """What the project's corpus has for a role, as bytes."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([os.path.join(build, "plumbline"), "corpus", "to-bytes", os.path.join(ROOT, "corpus"), folder,
                        "--role", role], check=True, stdout=subprocess.DEVNULL)
        return {name: read(folder, name) for name in sorted(os.listdir(folder))}


def for_device(build):
    return cases(build, "device")


def for_driver(build):
    return cases(build, "driver")


def for_bus(build):
    return cases(build, "bus")


def for_text(_):
    """The number of the reader, and a text for it."""
    texts = [[b"unix:/tmp/x", b"unix-stream:/tmp/x", b"tcp:[::1]:80", b"tcp:host:1234", b"fd:7", b"spsc:x,dir=/tmp,size=4096",
              b"spsc:x,wakeup=fd:5", b"vhost-user:/tmp/x,type=block,queues=2,queue-size=64,reset=reconnect"],
             [b"revision=1 max_msg_size=264 features=0x0"],
             [b"acmectl cfg {dev} {offset} {hex}\nconfig-change 0 8 00ff", b"x {dev}\nneeds-reset 3"],
             ["gr\u00fc\u00df dich \u20ac \U0001f600".encode(), b"\xc3\x28"],
             [b"GET_CONFIG*,reset-*", b"CFG-DEV-0?"],
             [b"config-change 0 8 00ff\nneeds-reset 0\nreset-delay 0 20\ndetach 0\nattach 0\nattach 1"],
             [b"start 0\nio 0 4\nconfig-write 0 32 01\nqueue-reset 0 0\nstop 0\ninit", b"start 0"],
             [b"attach 0\ndetach 0\nparameters 1 264 0x1\nparameters 1 52 0"]]
    return {f"{kind}-{i}": bytes([kind]) + text for kind, rows in enumerate(texts) for i, text in enumerate(rows)}


def framed(build, lead, operation):
    """Some messages behind an operation and a length, for the targets of carriers."""
    out, found = bytes(lead), {}
    for i, (name, data) in enumerate(sorted(messages(build).items())):
        if len(data) <= 64:
            out += bytes([operation, len(data)]) + data + bytes([4])
        if i % 8 == 7:
            found[name], out = out, bytes(lead)
    return found


def for_stream(build):
    return {f"{kind}-{name}": data for kind in (0, 1, 3) for name, data in framed(build, [kind, 200], 0).items()}


def for_spsc(build):
    return {f"{kind}-{name}": data.replace(bytes([4]), bytes([2])) for kind in (0, 1, 8)
            for name, data in framed(build, [kind, 0, 128], 0).items()}


def for_control(build):
    lines = [b"config-change 0 8 00", b"needs-reset 0", b"io 0 4"]
    asked = b"".join(bytes([3, i]) + bytes([0, len(line)]) + line for i, line in enumerate(lines))
    late = bytes([0, 4]) + b"io 0" + bytes([2, 6]) + b"ok\nok\n" + bytes([0, 4]) + b"io 1"
    message = next(data for data in messages(build).values() if len(data) < 64)
    return {"asked": bytes([1]) + asked, "late": bytes([0]) + late,
            "message": bytes([0, 5, len(message)]) + message + bytes([6]) + asked}


def requests():
    """The gateway's requests in the order of the model, with the number that the targets know each by."""
    doc = yaml.safe_load(read("models", "bindings", "vhost-user.yaml"))
    return {r["name"]: (i, r) for i, r in enumerate(doc["requests"])}


def scribble(at, data):
    """Bytes into the guest's memory, as the back-end's target reads it."""
    return bytes([7, len(data)]) + struct.pack("<H", at // 2) + data


def for_vhost_back(_):
    """What a front-end does to start a device with one ring, and to stop it; and sound ones by numbers alone."""
    known = requests()

    def say(name, *rest, how=1):
        return bytes([0, known[name][0], how]) + bytes(rest) + bytes([4])
    begin = say("GET_FEATURES", 0) + say("SET_FEATURES", *struct.pack("<Q", 1 << 32 | 1 << 30), how=0)
    begin += say("GET_PROTOCOL_FEATURES", 0)
    begin += say("SET_PROTOCOL_FEATURES", *struct.pack("<Q", 1 << 0 | 1 << 3 | 1 << 9 | 1 << 16), how=0)
    begin += say("SET_OWNER", 0) + say("GET_QUEUE_NUM", 0) + say("SET_MEM_TABLE", 0, 3, 0, 0)
    config = say("GET_CONFIG", 0, 8, *bytes(8)) + say("SET_CONFIG", 32, 1, 1)
    ring = (say("SET_VRING_NUM", 0, 4) + say("SET_VRING_BASE", *bytes(8), how=0) +
            say("SET_VRING_ADDR", 0, 0, 0, 64, 0, 128, 0) + say("SET_VRING_CALL", 0, 1) + say("SET_VRING_KICK", 0, 1))
    request = (scribble(0, struct.pack("<QIHH", 0x1000, 16, 1, 1)) + scribble(16, struct.pack("<QIHH", 0x2000, 1, 2, 0)) +
               scribble(1026, struct.pack("<H", 1)))
    run = say("SET_VRING_ENABLE", 0, 0) + say("SET_STATUS", 15) + request + bytes([6, 4, 8, 0, 0, 0, 0, 4])
    end = say("GET_VRING_BASE", 0) + say("SET_STATUS", 0) + bytes([10])
    sound = {f"sound-{i}": bytes([2, i, i, 0, i, 3, 5, 7, 16, *range(16)]) + bytes(range(200)) for i in range(5)}
    again = bytes([11, 4]) + begin + ring + say("SET_VRING_ENABLE", 0, 0) + say("SET_STATUS", 15)
    return {f"{how}-{i}": bytes([how]) + begin + config + ring + run + rest
            for how in (0, 1) for i, rest in enumerate((end, again + end))} | sound


def driver_step(codec_table, order, name, data=b"", **values):
    """One message as the front target reads it: operation, number, how, fields at their width, length and data."""
    layout = codec_table["messages"][name]["request"]
    fields = b"".join(values.get(field, 0).to_bytes(width, "little") for field, _, width in layout["fields"])
    return bytes([5, order.index(name), 1 | bool(data) << 1]) + fields + (bytes([len(data)]) + data if data else b"")


def driver_life(build):
    """A driver's life on one queue, from status 0 to status 0."""
    table = codec(build).SPECS["virtio-msg-r1"]
    order = list(table["messages"])

    def say(name, data=b"", **values):
        return driver_step(table, order, name, data, **values)
    base = 1 << 32
    begin = say("GET_DEVICE_INFO") + say("SET_DEVICE_STATUS", status=3) + say("GET_DEVICE_FEATURES", num_blocks=2)
    begin += say("SET_DRIVER_FEATURES", struct.pack("<2I", 0, 1), num_blocks=2) + say("SET_DEVICE_STATUS", status=11)
    config = say("GET_CONFIG", length=8) + say("SET_CONFIG", b"\x01", offset=32, length=1)
    queue = say("SET_VQUEUE", index=0, flags=1, size=16, desc_addr=base, driver_addr=base + 4096, device_addr=base + 8192)
    run = say("GET_VQUEUE") + say("SET_DEVICE_STATUS", status=15) + say("EVENT_AVAIL") + say("GET_DEVICE_STATUS")
    return begin + config + queue + run + say("RESET_VQUEUE") + say("SET_DEVICE_STATUS")


def for_vhost_front(build):
    """A driver's life, before a back-end that is sound (an empty script) or has something of its own to say."""
    life = driver_life(build)
    scripts = [b"", b"\x20" * 60, b"\x40" + struct.pack("<Q", 1 << 32), b"\x00" * 20 + b"\x1f", b"\x00" * 30 + b"\x1c",
               b"\x80" * 8]
    return {f"{how}-{i}": bytes([how]) + struct.pack("<H", len(life)) + life + script
            for how in (0, 1) for i, script in enumerate(scripts)}


def for_ring(_):
    """Bytes at random: every one is an operation."""
    rng = random.Random(SEED)
    return {f"{i}": bytes([i % 16]) + rng.randbytes(200) for i in range(32)}


# --- files ---

def write_all(folder, found):
    """The files of a folder that holds nothing else, whatever an earlier build left there."""
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    for name, data in found.items():
        with open(os.path.join(folder, re.sub(r"[^A-Za-z0-9_.-]", "_", name)), "wb") as out:
            out.write(data)


def regressions(target):
    """{name: bytes} of fuzz/regressions/TARGET."""
    folder = os.path.join(ROOT, "fuzz", "regressions", target)
    found = {}
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        data = read(folder, name)
        if name.endswith(".hex"):
            data = bytes.fromhex("".join(line.split("#")[0] for line in data.decode().splitlines()))
        found[name.removesuffix(".hex")] = data
    return found


def pack(build, path, target):
    """Seeds and regressions of a target in one archive, as OSS-Fuzz takes them."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        for kind in ("corpus", "regressions"):
            folder = os.path.join(build, kind, target)
            for name in sorted(os.listdir(folder)):
                out.write(os.path.join(folder, name), f"{kind}-{name}")


def main(argv):
    if len(argv) == 5 and argv[1] == "--zip":
        pack(*argv[2:])
        return 0
    if len(argv) < 3 or argv[1].startswith("-"):
        print("usage: seeds.py BUILD TARGET... | seeds.py --zip BUILD FILE.zip TARGET", file=sys.stderr)
        return 2
    build = os.path.abspath(argv[1])
    for target in argv[2:]:
        make = globals().get("for_" + target)
        write_all(os.path.join(build, "corpus", target), make(build) if make else {})
        write_all(os.path.join(build, "regressions", target), regressions(target))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
