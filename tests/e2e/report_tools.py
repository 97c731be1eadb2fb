"""What the tests of reports and codecs share: where the build is, traces written by hand, and tshark."""
import importlib.util
import json
import os
import random
import struct
import subprocess

import pytest

from json_schema import problems

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PLUMBLINE = os.path.abspath(os.environ.get("PLUMBLINE", os.path.join(ROOT, "build", "plumbline")))
BUILD = os.path.dirname(PLUMBLINE)
GEN = os.path.join(BUILD, "gen")
LUA = os.path.join(GEN, "virtio-msg.lua")
SPECS = ("virtio-msg-r1", "virtio-msg-2025-06")


def make(target):
    """Build one target where it is not built yet."""
    path = os.path.join(BUILD, target)
    if not os.path.exists(path):
        subprocess.run(["make", "-s", "-C", ROOT, f"BUILD={BUILD}", path if target != "gen/.stamp" else "gen"],
                       check=True)
    return path


def codec():
    """The generated Python codec."""
    make("gen/.stamp")
    where = importlib.util.spec_from_file_location("plumbline_codec", os.path.join(GEN, "plumbline_codec.py"))
    module = importlib.util.module_from_spec(where)
    where.loader.exec_module(module)
    return module


def schema_problems(value, name):
    """What a document has against its schema under reports/."""
    with open(os.path.join(ROOT, "reports", f"{name}.schema.json"), encoding="utf-8") as stream:
        schema = json.load(stream)
    return list(problems(value, schema, schema))


def plumbline(*args, timeout=600):
    """Run the program; tests that need it are skipped where it is not built."""
    if not os.path.exists(PLUMBLINE):
        pytest.skip(f"{PLUMBLINE} is not built")
    return subprocess.run([PLUMBLINE, *args], cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False)


def block(kind, body):
    body += b"\0" * (-len(body) % 4)
    size = struct.pack("<I", 12 + len(body))
    return struct.pack("<I", kind) + size + body + size


def option(code, data):
    return struct.pack("<HH", code, len(data)) + data + b"\0" * (-len(data) % 4)


def write_pcapng(path, spec, messages):
    """A trace of (bytes, to_iut), written from the format's own description."""
    bus = f"spec={spec} revision=1 max_msg_size=264 features=0x0".encode()
    with open(path, "wb") as out:
        out.write(block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)))
        out.write(block(1, struct.pack("<HHI", 147, 0, 0) + option(3, bus) + option(9, b"\x09") + option(0, b"")))
        for index, (data, to_iut) in enumerate(messages):
            padded = data + b"\0" * (-len(data) % 4)
            head = struct.pack("<IIIII", 0, 0, index, len(data), len(data))
            flags = struct.pack("<I", 2 if to_iut else 1)
            out.write(block(6, head + padded + option(2, flags) + option(0, b"")))


def tshark(path, *args):
    """tshark's output for a trace, dissected by the generated dissector; no Lua error may show."""
    make("gen/.stamp")
    command = ["tshark", "-X", f"lua_script:{LUA}", "-r", str(path), *args]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False,
                         encoding="utf-8", errors="replace")
    assert run.returncode == 0, run.stderr
    assert "Lua" not in run.stderr and "Lua Error" not in run.stdout, run.stderr + run.stdout[-4000:]
    return run.stdout


def tshark_rows(path, *fields):
    """One list of field texts for each message; several values of a field stand apart by '|'."""
    wanted = [arg for field in fields for arg in ("-e", field)]
    out = tshark(path, "-T", "fields", "-E", "separator=/t", "-E", "aggregator=|", *wanted)
    return [line.split("\t") for line in out.split("\n")[:-1]]


def random_message(c, spec, rng):
    """A legal message with random contents."""
    name = rng.choice(list(c.SPECS[spec]["messages"]))
    entry = c.SPECS[spec]["messages"][name]
    response = entry["response"] is not None and rng.random() < 0.5
    layout = entry["response"] if response else entry["request"]
    fields = {f: rng.getrandbits(8 * width) for f, _, width in layout["fields"]}
    if layout["fixed"]:
        fields[layout["fixed"]["name"]] = rng.randbytes(layout["fixed"]["width"] * layout["fixed"]["count"])
    if layout["tail"]:
        del fields[layout["tail"]["count_field"]]
        fields[layout["tail"]["name"]] = rng.randbytes(layout["tail"]["width"] * rng.randrange(0, 20))
    return c.encode(spec, name, response=response, dev_num=rng.getrandbits(16), token=rng.getrandbits(16), **fields)


def hostile_message(c, spec, rng):
    """A message that is legal, or cut, prolonged, changed, or noise altogether; msg_size made to fit or not."""
    draft, data = c.SPECS[spec], bytearray(random_message(c, spec, rng))
    way = rng.randrange(6)
    if way == 1:
        del data[rng.randrange(len(data)):]
    elif way == 2:
        data += rng.randbytes(rng.randrange(1, 9))
    elif way == 3:
        data[rng.randrange(len(data))] = rng.choice((0, 1, 0x7f, 0x80, 0xff))
    elif way == 4:
        data = bytearray(rng.randbytes(rng.randrange(0, 64)))
    elif way == 5:
        data[draft["header"]["type"][0]] ^= draft["response_bit"]
    where, width = draft["header"]["msg_size"]
    if len(data) >= draft["header_size"] and rng.random() < 0.6:
        data[where:where + width] = len(data).to_bytes(width, "little")
    return bytes(data)


def generator(seed):
    return random.Random(f"plumbline {seed}")
