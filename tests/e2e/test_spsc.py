# SPDX-License-Identifier: BSD-3-Clause
"""Shared memory from outside: an independent client and a hostile device in Python, both ends of the program, memory files."""
import contextlib
import json
import mmap
import os
import pathlib
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import uuid

import pytest

from conftest import PLUMBLINE, SECONDS

SLOT, SLOTS_AT, HEAD, TAIL = 64, 128, 0, 64  # the layout of the bindings, written down once more
WAKEUP = b"\xed"
RESPONSE = 1
GET_DEVICE_INFO, GET_DEVICE_STATUS, SET_DEVICE_STATUS, GET_SHM = 0x02, 0x07, 0x08, 0x0c


class Ring:
    """One file, from its producer's or its consumer's side."""

    def __init__(self, path, size=None):
        if size is not None:
            with open(path, "xb") as made:
                made.truncate(size)
        with open(path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), 0)
        self.words = memoryview(self.map)[:SLOTS_AT].cast("i")
        self.slots = (len(self.map) - 192) // 64 + 1

    def __getitem__(self, offset):
        return self.words[offset // 4]

    def __setitem__(self, offset, value):
        self.words[offset // 4] = value

    def put(self, message):
        head = self[HEAD]
        assert (head + 1) % self.slots != self[TAIL], "the ring is full"
        at = SLOTS_AT + head * SLOT
        self.map[at:at + len(message)] = message
        self[HEAD] = (head + 1) % self.slots

    def take(self, seconds=5.0):
        end = time.monotonic() + seconds
        while self[HEAD] == self[TAIL]:
            if time.monotonic() > end:
                return None
            time.sleep(0.0002)
        tail = self[TAIL]
        at = SLOTS_AT + tail * SLOT
        slot = bytes(self.map[at:at + SLOT])
        self[TAIL] = (tail + 1) % self.slots
        return slot[:struct.unpack_from("<H", slot, 6)[0]]

    def close(self):
        self.words.release()
        self.map.close()


def message(kind, msg_id, payload=b"", token=1, dev_num=0):
    return struct.pack("<BBHHH", kind, msg_id, dev_num, token, 8 + len(payload)) + payload


@pytest.fixture
def name():
    """A name of its own for each test; what is left of its files is removed."""
    text = "plumbline-test-" + uuid.uuid4().hex[:12]
    yield text
    for end in ("driver", "device"):
        pathlib.Path(f"/dev/shm/queue-{text}-{end}").unlink(missing_ok=True)


@contextlib.contextmanager
def serving(*args):
    """`plumbline serve device` in the background, from its first line on; ended afterwards."""
    # A shell's background jobs ignore SIGINT, and what they start would, too.
    with subprocess.Popen([PLUMBLINE, "serve", "device", *map(str, args)], stderr=subprocess.PIPE, text=True,
                          preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)) as process:
        try:
            line = process.stderr.readline()
            assert "listening on" in line, line + process.stderr.read()
            yield process
        finally:
            process.terminate()
            rest = process.communicate(timeout=SECONDS)[1]
            assert "Sanitizer" not in rest, rest


@contextlib.contextmanager
def rings(name, folder="/dev/shm"):
    both = [Ring(f"{folder}/queue-{name}-{end}") for end in ("driver", "device")]
    try:
        yield both
    finally:
        for ring in both:
            ring.close()


def ask(out, back, msg_id, payload=b"", token=1, socket_end=None):
    out.put(message(0, msg_id, payload, token))
    if socket_end:
        socket_end.sendall(WAKEUP)
    answer = back.take()
    assert answer is not None, "no answer"
    kind, answered, _, echoed, _ = struct.unpack_from("<BBHHH", answer)
    assert (kind, answered, echoed) == (RESPONSE, msg_id, token)
    return answer[8:]


# --- an independent client against the reference device ---

def test_client_polling(name):
    with serving("--listen", f"spsc:{name}"), rings(name) as (out, back):
        assert out.slots == back.slots == 62
        info = ask(out, back, GET_DEVICE_INFO, token=7)
        assert struct.unpack_from("<I", info)[0] == 2  # block
        assert ask(out, back, GET_DEVICE_STATUS) == bytes(4)
        for i in range(300):  # several times around
            status = struct.pack("<I", 1 if i % 2 else 0)
            ask(out, back, SET_DEVICE_STATUS, status, token=i + 1)
            assert ask(out, back, GET_DEVICE_STATUS, token=i + 1) == status


@pytest.mark.parametrize("pause", [0, 0.003, 0.01])
def test_messages_as_the_clock(name, pause):
    """Four messages are a millisecond, however much time passes between them: so long does a reset take."""
    with serving("--listen", f"spsc:{name}", "--option", "reset_delay=2", "--clock", "messages"), rings(name) as (out, back):
        ask(out, back, SET_DEVICE_STATUS, struct.pack("<I", 1))
        ask(out, back, SET_DEVICE_STATUS, bytes(4))
        polls = 0
        while ask(out, back, GET_DEVICE_STATUS) != bytes(4):
            polls += 1
            time.sleep(pause)
        assert 4 <= polls <= 8


def test_client_with_wakeup(name, tmp_path):
    wake = tmp_path / "wake"
    with serving("--listen", f"spsc:{name},dir={tmp_path},size=512,wakeup={wake}"):
        for _ in range(2):  # one connection after the other, each with a fresh device
            with socket.socket(socket.AF_UNIX) as end, rings(name, tmp_path) as (out, back):
                end.settimeout(5)
                end.connect(str(wake))
                assert out.slots == 6
                assert ask(out, back, GET_DEVICE_STATUS, socket_end=end) == bytes(4)
                assert end.recv(16) == WAKEUP
                ask(out, back, SET_DEVICE_STATUS, struct.pack("<I", 1), socket_end=end)
                end.shutdown(socket.SHUT_WR)
                while end.recv(16):  # until it lets go
                    pass


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("connected", [False, True])
def test_a_signal_leaves_no_files(name, tmp_path, end, connected):
    """The signal ends it as it would end any program, and what it made is gone then."""
    with serving("--listen", f"spsc:{name},dir={tmp_path},wakeup={tmp_path / 'wake'}") as process:
        assert len(list(tmp_path.iterdir())) == 3
        with socket.socket(socket.AF_UNIX) as socket_end, rings(name, tmp_path) as (out, back):
            if connected:
                socket_end.connect(str(tmp_path / "wake"))
                ask(out, back, GET_DEVICE_STATUS, socket_end=socket_end)
            process.send_signal(end)
            assert process.wait(SECONDS) == -end
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("spoil, words", [
    (lambda out, back: out.__setitem__(HEAD, 62), "head is 62, which is not within 0 to 61"),
    (lambda out, back: out.__setitem__(HEAD, -1), "head is -1"),
    (lambda out, back: back.__setitem__(TAIL, 1000), "tail is 1000"),
    (lambda out, back: out.put(struct.pack("<BBHHH", 0, 7, 0, 1, 65)), "announces msg_size 65"),
    (lambda out, back: out.put(bytes(8)), "announces msg_size 0"),
    (lambda out, back: os.truncate(f"/proc/self/fd/{out.fd}", 0), "cut short"),
], ids=["head", "negative", "tail", "large", "small", "cut"])
def test_hostile_client(name, tmp_path, spoil, words):
    """The reference device says what is wrong, and goes on with the next connection."""
    wake = tmp_path / "wake"
    with serving("--listen", f"spsc:{name},wakeup={wake}") as process:
        with socket.socket(socket.AF_UNIX) as end, rings(name) as (out, back):
            end.connect(str(wake))
            ask(out, back, GET_DEVICE_STATUS, socket_end=end)
            out.fd = os.open(f"/dev/shm/queue-{name}-driver", os.O_RDWR)
            spoil(out, back)
            if words.startswith("tail"):
                out.put(message(0, GET_DEVICE_STATUS))  # its answer needs the tail
            with contextlib.suppress(BrokenPipeError):
                end.sendall(WAKEUP)
            line = process.stderr.readline()
            assert words in line, line
            os.close(out.fd)
        if words == "cut short":
            assert process.wait(SECONDS) == 3
            return
        with socket.socket(socket.AF_UNIX) as end, rings(name) as (out, back):
            end.settimeout(5)
            end.connect(str(wake))
            # What is out of range it begins anew with; an index of ours that it found in range it takes as it is.
            for _ in range(100):
                if out[HEAD] < 62 and out[HEAD] >= 0 and back[TAIL] < 62:
                    break
                time.sleep(0.02)
            ask(out, back, GET_DEVICE_STATUS, socket_end=end)


# --- the program at both ends ---

def report(tmp_path):
    return json.loads((tmp_path / "r.json").read_text())


def queue_files():
    return {path.name for path in pathlib.Path("/dev/shm").glob("queue-plumbline-[0-9]*-*")}


@pytest.mark.parametrize("carrier", ["seqpacket", "stream", "spsc"])
def test_started_over_each_carrier(run, tmp_path, carrier):
    before = queue_files()
    done = run("test", "--exec", f"{PLUMBLINE} serve device", "--carrier", carrier, "--json", "r.json", "--quiet")
    assert done.status == 0, done
    sizes = {s["parameters"].split("max_msg_size=")[1].split()[0] for s in report(tmp_path)["scenarios"]}
    assert sizes == ({"52", "64"} if carrier == "spsc" else {"52", "64", "264", "65535"})
    # Files of a started IUT are named after the harness's process; those of a run that was killed before are not ours.
    assert not [name for name in queue_files() - before if not os.path.exists("/proc/" + name.split("-")[2])]


def test_started_device_with_a_mutant_fails_its_clause(run, tmp_path):
    done = run("test", "--exec", f"{PLUMBLINE} serve device --mutant RVQ-DEV-01.first", "--carrier", "spsc", "--json", "r.json")
    assert done.status == 1, done
    assert {f["clause"] for f in report(tmp_path)["findings"]} == {"RVQ-DEV-01"}


@pytest.mark.parametrize("carrier, mutant, clause, words", [
    ("stream", "HDR-DEV-02.zero", "HDR-DEV-02", "less than the header"),
    ("stream", "HDR-DEV-02.maximum", "HDR-DEV-02", "never come"),
    ("stream", "LIMIT-DEV-01.features", "LIMIT-DEV-01", "carries at most"),
    ("stream", "END-DEV-01.msg-size", "END-DEV-01", "big-endian"),
    ("spsc", "HDR-DEV-02.zero", "HDR-DEV-02", "less than the header"),
    ("spsc", "END-DEV-01.msg-size", "END-DEV-01", "big-endian")])
def test_a_header_that_loses_the_framing_is_judged(run, tmp_path, carrier, mutant, clause, words):
    done = run("test", "--exec", f"{PLUMBLINE} serve device --mutant {mutant}", "--carrier", carrier, "--json", "r.json",
               "--pcapng", "t.pcapng", "--select", "core-*," + clause)
    assert done.status == 1, done
    found = [f for f in report(tmp_path)["findings"] if f["clause"] == clause]
    assert found and any(words in f["text"] for f in found), done
    again = run("replay", "t.pcapng", "--json", "again.json")
    assert again.status == 1, again
    assert clause in {f["clause"] for f in json.loads((tmp_path / "again.json").read_text())["findings"]}, again


@pytest.mark.parametrize("carrier", ["stream", "spsc"])
def test_a_driver_started_over_each_carrier(run, tmp_path, carrier):
    select = "generation-moves-ahead-of-any-message,malformed-events"
    done = run("test", "--role", "driver", "--exec", f"{PLUMBLINE} serve driver", "--carrier", carrier, "--select", select)
    assert done.status == 0 and "2 passed of 2" in done.out, done
    done = run("test", "--role", "driver", "--exec", f"{PLUMBLINE} serve driver --mutant HDR-DRV-02.zero", "--carrier", carrier,
               "--select", "HDR-DRV-02", "--json", "r.json")
    assert done.status == 1 and "HDR-DRV-02" in {f["clause"] for f in report(tmp_path)["findings"]}, done


def test_parts_of_a_self_test_share_the_work(run):
    def ids(*options):
        done = run("selftest", "--role", "device", "--mutant", "STAT-DEV-06", *options)
        assert done.status == 0, done
        return sorted(line.split()[1] for line in done.out.splitlines() if line.startswith("killed"))
    parts = [ids("--part", f"{i}/3") for i in (1, 2, 3)]
    assert sorted(sum(parts, [])) == ids() and len([p for p in parts if p]) > 1, parts
    for bad in ("0/3", "4/3", "1", "x/2"):
        done = run("selftest", "--part", bad)
        assert done.status == 2 and "--part" in done.err, done


def test_a_bus_is_not_met_over_shared_memory(run):
    done = run("selftest", "--role", "bus", "--carrier", "spsc")
    assert done.status == 2 and "over sockets" in done.err, done


@pytest.mark.parametrize("carrier, left", [("unix", 0), ("unix-stream", 1), ("spsc", 1)])
def test_mutants_that_a_carrier_hides_are_left_out(run, carrier, left):
    done = run("selftest", "--role", "device", "--carrier", carrier, "--mutant", "ERR-DEV-01.size")
    assert done.status == 0 and done.out.count("left out") == left, done
    assert f"{1 - left} killed by their own clause" in done.out, done


@pytest.mark.parametrize("wakeup", [False, True], ids=["polling", "wakeup"])
def test_connect_to_a_serving_device(run, name, tmp_path, wakeup):
    address = f"spsc:{name}" + (f",wakeup={tmp_path}/wake" if wakeup else "")
    with serving("--listen", address):
        for _ in range(2):
            done = run("test", "--connect", address, "--quiet")
            assert done.status == 0 and "CONFORMS" in done.out, done


def test_listen_for_a_device(run, name, tmp_path):
    address = f"spsc:{name},wakeup={tmp_path}/wake"
    command = f"sleep 0.3; exec '{PLUMBLINE}' serve device --connect {address}"
    with subprocess.Popen(["/bin/sh", "-c", command]) as device:
        done = run("test", "--listen", address, "--quiet")
        assert device.wait(SECONDS) == 0
    assert done.status == 0, done
    assert not list(pathlib.Path("/dev/shm").glob(f"queue-{name}-*"))


def test_memory_file(run, name, tmp_path):
    """Both ends map one file: the reference device finds its memory at the base that was given."""
    memory = f"{tmp_path}/mem,size=1MiB,base=0x20000000"
    address = f"unix:{tmp_path}/sock"
    with serving("--listen", address, "--memory", memory, "--type", "gpu"):
        done = run("test", "--connect", address, "--memory", memory, "--quiet")
        assert done.status == 0, done
        assert (tmp_path / "mem").stat().st_size == 1 << 20
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as end:
            end.settimeout(5)
            end.connect(f"{tmp_path}/sock")
            end.send(message(0, GET_SHM, struct.pack("<I", 1)))
            _, _, length, place = struct.unpack_from("<IIQQ", end.recv(4096), 8)
    assert length > 0 and 0x20000000 <= place and place + length <= 0x20000000 + (1 << 20)


def test_profile(run, file, name, tmp_path):
    address = f"spsc:{name},wakeup={tmp_path}/wake"
    text = f"name: shm\nconnect: \"{address}\"\nmemory: {{path: {tmp_path}/mem, size: 64KiB}}\nbus: {{max_msg_size: 52}}\n"
    with serving("--listen", address, "--memory", f"{tmp_path}/mem,size=64KiB",
                 "--bus", "revision=1 max_msg_size=52 features=0x0"):
        done = run("test", file("p.yaml", text), "--json", "r.json", "--quiet")
    assert done.status == 0, done
    assert {"52"} == {s["parameters"].split("max_msg_size=")[1].split()[0] for s in report(tmp_path)["scenarios"]}


# --- hostile devices ---

HOSTILE = r'''
import os, socket, sys, time
sys.path.insert(0, sys.argv[1])
from test_spsc import HEAD, TAIL, WAKEUP, RESPONSE, Ring, message
how = sys.argv[2]
parts = dict(p.split("=", 1) for p in os.environ["PLUMBLINE_SPSC"].split(",")[1:])
name = os.environ["PLUMBLINE_SPSC"].split(",")[0][5:]
files = [f"/dev/shm/queue-{name}-{end}" for end in ("driver", "device")]
taken, out = Ring(files[0]), Ring(files[1])
wake = socket.socket(fileno=int(parts["wakeup"][3:]))
taken.take()
if how == "head":
    out[HEAD] = 62
elif how == "negative":
    out[HEAD] = -2147483648
elif how == "around": # as if 61 messages had come, and none was written
    out[HEAD] = 61
elif how == "tail":
    taken[TAIL] = 60
    while wake.recv(100):
        pass
elif how == "size":
    out.put(b"\1\2\0\0\0\0\xff\xff")
elif how == "cut":
    os.truncate(files[1], 0)
elif how == "byte":
    wake.send(b"x")
elif how == "close":
    sys.exit(0)
elif how == "full":
    while True:
        out[HEAD] = (out[TAIL] + 61) % 62
        wake.send(WAKEUP)
elif how == "flood":
    while True:
        wake.send(WAKEUP * 100)
with __import__("contextlib").suppress(OSError):
    wake.send(WAKEUP)
while taken.take(30):
    pass
'''


@pytest.mark.parametrize("how, kind, words", [
    ("head", "protocol", "head is 62, which is not within 0 to 61"),
    ("negative", "protocol", "head is -2147483648"),
    ("around", "protocol", "announces msg_size 0"),
    ("tail", "protocol", "tail went from"),
    ("size", "protocol", "announces msg_size 65535"),
    ("cut", "protocol", "cut short"),
    ("byte", "protocol", "brought 0x78, not 0xed"),
    ("close", "exit", "exited with status 0"),
    ("full", "protocol", "announces msg_size 0"),
    ("flood", "hang", "answered"),
])
def test_hostile_device(run, file, tmp_path, how, kind, words):
    script = file("hostile.py", HOSTILE)
    command = f"exec {sys.executable} {script} {pathlib.Path(__file__).parent} {how}"
    done = run("test", "--exec", command, "--carrier", "spsc", "--json", "r.json", "--max-msg-size", "64",
               env={"PYTHONDONTWRITEBYTECODE": "1"})
    assert done.status == 1, done
    texts = [f for f in report(tmp_path)["findings"] if f["kind"] == kind]
    assert texts, done
    assert words in done.out, done


def test_cut_short_while_running(run, name, tmp_path):
    """Whoever cuts the files of a run in progress ends that run with a finding, and nobody with SIGBUS."""
    address = f"spsc:{name}"
    with serving("--listen", address):
        def cut():
            time.sleep(0.1)
            os.truncate(f"/dev/shm/queue-{name}-device", 0)
        thread = threading.Thread(target=cut)
        thread.start()
        done = run("test", "--connect", address, "--exhaustive")
        thread.join()
    if done.status == 3:  # a slow build had not opened them by then
        assert "the file has 0 bytes" in done.err, done
        return
    assert done.status == 1 and "cut short" in done.out, done


# --- what is refused ---

@pytest.mark.parametrize("args, words", [
    (["--connect", "spsc:"], "the name is missing"),
    (["--connect", "spsc:x,size=3"], "size is a number of bytes"),
    (["--connect", "spsc:x,color=red"], "behind the name stand"),
    (["--connect", "spsc:x", "--max-msg-size", "264"], "is not within 52 to 64"),
    (["--exec", "true", "--carrier", "pigeon"], "none of seqpacket, stream, spsc"),
    (["--connect", "unix:/x", "--carrier", "stream"], "a carrier is chosen for exec only"),
    (["--connect", "unix:/x", "--memory", "/nowhere/x"], "cannot open the file"),
    (["--connect", "unix:/x", "--memory", "x,size=1"], "the size is not between"),
    (["--connect", "vhost-user:/x", "--memory", "x"], "vhost-user shares its own memory"),
    (["profile.yaml"], "profile.yaml:2: key 'max_msg_size'"),
])
def test_refused(run, file, args, words):
    file("profile.yaml", "connect: spsc:x\nbus: {max_msg_size: 264}\n")
    done = run("test", *args)
    assert done.status == 2 and words in done.err, done


@pytest.mark.parametrize("args, status, words", [
    (["--connect", "spsc:nobody-made-this"], 3, "cannot open the file"),
    (["--listen", "spsc:x,dir=/nowhere"], 3, "cannot make the file"),
    (["--listen", "spsc:x", "--bus", "revision=1 max_msg_size=264 features=0x0"], 2, "has at most 64 bytes"),
    (["--connect", "spsc:x,wakeup="], 2, "wakeup is the path"),
])
def test_serve_refused(run, args, status, words):
    done = run("serve", "device", *args)
    assert done.status == status and words in done.err, done


def test_unreachable(run, name):
    done = run("test", "--connect", f"spsc:{name}")
    assert done.status == 3 and "cannot open the file" in done.err, done
