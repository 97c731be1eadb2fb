"""The vhost-user back-end against front-ends of ours: legal drivers behind them, faulty ones, and front-ends that are hostile."""
import array
import json
import mmap
import os
import pathlib
import socket
import struct
import subprocess
import tempfile
import time

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
PLUMBLINE = os.environ.get("PLUMBLINE", str(ROOT / "build" / "plumbline"))
BINDING = yaml.safe_load((ROOT / "models" / "bindings" / "vhost-user.yaml").read_text(encoding="utf-8"))
REQUEST = {r["name"]: r["id"] for r in BINDING["requests"]}
PROTOCOL = {name: 1 << bit for name, bit in BINDING["protocol_features"].items()}
F_PROTOCOL = 1 << BINDING["hidden_features"]["PROTOCOL_FEATURES"]
NEED_REPLY, REPLY, NO_FD = 8, 4, BINDING["constants"]["NO_FD"]
SECONDS = float(os.environ.get("PLUMBLINE_TEST_SECONDS", "240"))

SIZE = 4 << 20  # of the guest's memory
USER = 0x7F0000000000  # where the front-end has it mapped, as it says
ENTRIES = 64
DESC, AVAIL, USED, BUFFERS = 0x10000, 0x11000, 0x12000, 0x20000
NEXT, WRITE, INDIRECT = 1, 2, 4
VERSION_1, INDIRECT_DESC = 1 << 32, 1 << 28
DISK_SECTORS = 8192
T_IN, T_OUT, T_FLUSH, T_GET_ID = 0, 1, 4, 8
PATIENCE = 12  # seconds: longer than the harness waits for what a driver owes


class FrontEnd:
    """A front-end with one ring of a driver behind it."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(SECONDS)
        end = time.monotonic() + SECONDS
        while True:
            try:
                self.socket.connect(str(path))
                break
            except (FileNotFoundError, ConnectionRefusedError):
                assert time.monotonic() < end
                time.sleep(0.01)
        self.memory = os.memfd_create("guest")
        os.ftruncate(self.memory, SIZE)
        self.map = mmap.mmap(self.memory, SIZE)
        self.kick, self.call = os.eventfd(0), os.eventfd(0)
        self.available = 0
        self.ack = 0
        self.indexes = {}

    def close(self):
        self.socket.close()
        self.map.close()
        for fd in (self.memory, self.kick, self.call):
            os.close(fd)

    def send(self, name, payload=b"", fds=(), flags=1, size=None):
        head = struct.pack("<III", REQUEST.get(name, name), flags, len(payload) if size is None else size)
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self.socket.sendmsg([head + payload], rights)

    def read(self, size):
        data = b""
        while len(data) < size:
            more = self.socket.recv(size - len(data))
            if not more:
                raise ConnectionError("the back-end closed the connection")
            data += more
        return data

    def answer(self):
        request, flags, size = struct.unpack("<III", self.read(12))
        assert flags == 1 | REPLY, hex(flags)
        return request, self.read(size)

    def get(self, name, payload=b""):
        self.send(name, payload)
        request, data = self.answer()
        assert request == REQUEST[name]
        return data

    def get_u64(self, name):
        return struct.unpack("<Q", self.get(name))[0]

    def put(self, name, payload=b"", fds=()):
        """A request without an answer of its own; acknowledged where that is negotiated."""
        self.send(name, payload, fds, flags=1 | self.ack)
        if self.ack:
            assert self.answer() == (REQUEST[name], bytes(8)), name

    def state(self, name, number, index=0):
        self.put(name, struct.pack("<II", index, number))

    def greet(self, protocol=("MQ", "REPLY_ACK", "CONFIG", "STATUS")):
        offered = self.get_u64("GET_FEATURES")
        assert offered & F_PROTOCOL and offered & VERSION_1
        assert not offered & sum(1 << b for n, b in BINDING["hidden_features"].items() if n != "PROTOCOL_FEATURES")
        wanted = sum(PROTOCOL[name] for name in protocol)
        assert self.get_u64("GET_PROTOCOL_FEATURES") & wanted == wanted
        self.put("SET_PROTOCOL_FEATURES", struct.pack("<Q", wanted))
        self.ack = NEED_REPLY if "REPLY_ACK" in protocol else 0
        assert self.get_u64("GET_QUEUE_NUM") >= 1
        self.put("SET_OWNER")
        assert self.capacity() == DISK_SECTORS
        return offered

    def capacity(self):
        ask = struct.pack("<III", 0, 8, 0) + bytes(8)
        return struct.unpack("<Q", self.get("GET_CONFIG", ask)[12:])[0]

    def region(self, guest=0, size=SIZE, user=USER, offset=0):
        return struct.pack("<QQQQ", guest, size, user, offset)

    def share(self, *regions, fds=None):
        regions = regions or (self.region(),)
        self.put("SET_MEM_TABLE", struct.pack("<II", len(regions), 0) + b"".join(regions), fds or [self.memory] * len(regions))

    def start(self, features=VERSION_1, base=0, status=True, protocol=True):
        self.put("SET_FEATURES", struct.pack("<Q", features | (F_PROTOCOL if protocol else 0)))
        self.share()
        self.ring(base)
        if protocol:
            self.state("SET_VRING_ENABLE", 1)
        if status:
            self.put("SET_STATUS", struct.pack("<Q", 15))

    def ring(self, base=0):
        self.state("SET_VRING_NUM", ENTRIES)
        self.state("SET_VRING_BASE", base)
        self.address()
        self.put("SET_VRING_KICK", struct.pack("<Q", 0), [self.kick])
        self.put("SET_VRING_CALL", struct.pack("<Q", 0), [self.call])

    def address(self, desc=DESC, avail=AVAIL, used=USED, index=0):
        self.put("SET_VRING_ADDR", struct.pack("<IIQQQQ", index, 0, USER + desc, USER + used, USER + avail, 0))

    # --- the driver ---

    def poke(self, at, data):
        self.map[at:at + len(data)] = data

    def descriptor(self, index, address, length, flags, follows=0):
        self.poke(DESC + 16 * index, struct.pack("<QIHH", address, length, flags, follows))

    def request(self, kind, sector, data=bytes(512), order=None):
        """One request from header to status, waited for: its status byte and the data."""
        head, body, tail = BUFFERS, BUFFERS + 0x1000, BUFFERS + 0x8000
        self.poke(head, struct.pack("<IIQ", kind, 0, sector))
        self.poke(body, data)
        self.poke(tail, b"\xff")
        parts = [(head, 16, 0), (body, len(data), WRITE if kind in (T_IN, T_GET_ID) else 0), (tail, 1, WRITE)]
        parts = [parts[i] for i in order or range(3)]
        for i, (address, length, flags) in enumerate(parts):
            self.descriptor(i, address, length, flags | (NEXT if i < 2 else 0), i + 1 if i < 2 else 0)
        self.make_available(0)
        return self.map[tail], self.map[body:body + len(data)]

    def make_available(self, head, notify=True):
        self.poke(AVAIL + 4 + 2 * (self.available % ENTRIES), struct.pack("<H", head))
        self.available = (self.available + 1) & 0xFFFF
        self.poke(AVAIL + 2, struct.pack("<H", self.available))
        if notify:
            os.eventfd_write(self.kick, 1)
            end = time.monotonic() + SECONDS
            while self.used() != self.available and time.monotonic() < end:
                time.sleep(0.002)

    def used(self):
        return struct.unpack_from("<H", self.map, USED + 2)[0]

    def stop(self):
        self.state("SET_VRING_ENABLE", 0)
        index, base = struct.unpack("<II", self.get("GET_VRING_BASE", struct.pack("<II", 0, 0)))
        assert (index, base) == (0, self.used())
        self.poke(DESC, bytes(BUFFERS - DESC))
        self.available = 0


class Bench:
    """A run of the harness, and the front-end that meets it."""

    def __init__(self, folder, *more):
        self.report = folder / "report.json"
        self.fifo = folder / "commands"
        os.mkfifo(self.fifo)
        self.path = folder / "s"
        self.judge = subprocess.Popen(
            [PLUMBLINE, "test", "--role", "driver", "--listen", f"vhost-user:{self.path},commands={self.fifo}", "--json",
             str(self.report), "--with", "event_idx=0", *more],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.front = FrontEnd(self.path)

    def end(self):
        """The driver is switched off: exit status, report, verdicts, and everything printed."""
        self.front.socket.close()
        out, err = self.judge.communicate(timeout=SECONDS)
        report = json.loads(self.report.read_text(encoding="utf-8")) if self.report.exists() else None
        return self.judge.returncode, report, out + err

    def close(self):
        self.front.close()
        self.judge.kill()
        self.judge.communicate()


@pytest.fixture
def bench():
    with tempfile.TemporaryDirectory(prefix="pl-front-") as name:
        made = Bench(pathlib.Path(name))
        yield made
        made.close()


def verdicts(report):
    return {clause["id"]: clause["verdict"] for clause in report["clauses"]}


def failed(report):
    return sorted(i for i, v in verdicts(report).items() if v == "fail")


def do_io(front):
    data = os.urandom(512)
    assert front.request(T_OUT, 7, data)[0] == 0
    assert front.request(T_IN, 7) == (0, data)
    assert front.request(T_IN, DISK_SECTORS - 1)[0] == 0


# --- legal ---

@pytest.mark.parametrize("status", [True, False], ids=["status", "no-status"])
@pytest.mark.parametrize("ack", [True, False], ids=["acknowledged", "not-acknowledged"])
def test_a_driver_that_works(bench, status, ack):
    names = ["MQ", "CONFIG"] + ["REPLY_ACK"] * ack + ["STATUS"] * status
    bench.front.greet(names)
    for _ in range(3):
        bench.front.start(status=status)
        do_io(bench.front)
        bench.front.stop()
        if status:
            bench.front.put("SET_STATUS", bytes(8))
    code, report, text = bench.end()
    assert code == 0, text
    found = verdicts(report)
    for clause in ("CORE-SPLIT-DRV-01", "CORE-SPLIT-DRV-02", "CORE-SPLIT-DRV-22", "NTFY-DRV-03", "BLK-DRV-12", "BLK-DRV-16"):
        assert found[clause] == "pass", f"{clause}: {found[clause]}\n{text}"
    assert found["INIT-DRV-01"] == found["DROK-DRV-01"] == "not-observable"


def test_a_configuration_that_is_read_beyond_its_end(bench):
    front = bench.front
    front.greet()
    assert front.get("GET_CONFIG", struct.pack("<III", 8, 256 - 20, 0) + bytes(236)) == b""  # refused: beyond its end
    front.start()
    do_io(front)
    assert bench.end()[0] == 0


def test_a_change_of_the_configuration_is_told(bench):
    front = bench.front
    front.greet(("MQ", "REPLY_ACK", "CONFIG", "STATUS", "BACKEND_REQ"))
    ours, theirs = socket.socketpair()
    front.put("SET_BACKEND_REQ_FD", fds=[theirs.fileno()])
    front.start()
    do_io(front)
    bench.fifo.write_text(f"config-change 0 0 {(9000).to_bytes(8, 'little').hex()}\n", encoding="ascii")
    ours.settimeout(SECONDS)
    assert struct.unpack("<III", ours.recv(12)) == (BINDING["backend_requests"]["CONFIG_CHANGE_MSG"], 1, 0)
    assert front.capacity() == 9000
    assert front.request(T_IN, 8999)[0] == 0
    ours.close()
    theirs.close()
    code, _, text = bench.end()
    assert code == 0, text


def test_a_back_end_that_comes_back(bench):
    old = bench.front
    old.greet()
    old.start()
    do_io(old)
    bench.fifo.write_text("disconnect\n", encoding="ascii")
    assert old.socket.recv(1) == b""
    front = FrontEnd(bench.path)
    os.close(front.memory)
    front.memory, front.map, front.available = os.dup(old.memory), old.map, old.available
    bench.front = front
    front.greet()
    front.start(base=front.used())
    do_io(front)
    front.stop()
    front.put("SET_STATUS", bytes(8))
    front.start()  # and from the beginning
    do_io(front)
    code, _, text = bench.end()
    old.socket.close()
    assert code == 0, text


# --- faulty drivers ---

@pytest.mark.parametrize("what, clause", [
    ("beyond", "BLK-DRV-12"), ("order", "CORE-SPLIT-DRV-02"), ("odd", "BLK-DRV-16"), ("flags", "CORE-SPLIT-DRV-12"),
    ("back", "CORE-SPLIT-DRV-11"), ("version", "CORE-FEAT-DRV-08"), ("silent", "CORE-SPLIT-DRV-22"), ("silent", "NTFY-DRV-03"),
    ("loop", "CORE-SPLIT-DRV-08"), ("both", "CORE-SPLIT-DRV-09"), ("indirect", "CORE-SPLIT-DRV-06"), ("stale", "CORE-SPLIT-DRV-19"),
    ("flush", "BLK-DRV-14"), ("name", "BLK-DRV-18")])
def test_a_driver_that_is_at_fault(bench, what, clause):
    front = bench.front
    front.greet()
    if what == "stale":
        front.poke(USED, b"\1")
    try:
        front.start(features={"version": 0, "both": VERSION_1 | INDIRECT_DESC}.get(what, VERSION_1))
        do_io(front)
    except ConnectionError:
        assert what == "version"
    if what == "beyond":
        front.request(T_IN, DISK_SECTORS)
    elif what == "order":
        front.descriptor(0, BUFFERS, 1, WRITE | NEXT, 1)
        front.descriptor(1, BUFFERS + 16, 16, 0)
        front.make_available(0, notify=False)
        os.eventfd_write(front.kick, 1)
        time.sleep(0.3)
    elif what == "odd":
        front.request(T_OUT, 3, bytes(100))
    elif what == "flags":
        front.poke(AVAIL, struct.pack("<H", 6))
        front.request(T_IN, 1)
    elif what == "back":
        front.poke(AVAIL + 2, struct.pack("<H", front.available - 1))
        os.eventfd_write(front.kick, 1)
        time.sleep(0.3)
    elif what == "silent":
        front.make_available(0, notify=False)
        time.sleep(PATIENCE)
    elif what in ("both", "indirect"):
        front.descriptor(0, BUFFERS, 16, INDIRECT | (NEXT if what == "both" else 0), 1)
        front.make_available(0, notify=False)
        os.eventfd_write(front.kick, 1)
        time.sleep(0.3)
    elif what == "flush":
        front.request(T_FLUSH, 5)
    elif what == "name":
        front.request(T_GET_ID, 0, bytes(19))
    elif what == "loop":
        front.descriptor(0, BUFFERS, 16, NEXT, 0)
        front.make_available(0, notify=False)
        os.eventfd_write(front.kick, 1)
        time.sleep(0.3)
    code, report, text = bench.end()
    assert code == 1 and clause in failed(report), text


# --- hostile front-ends: one clear finding, and no crash ---

def sized(name, size):
    return lambda f: f.send(name, size=size)


def too_many_fds(f):
    f.send("SET_MEM_TABLE", struct.pack("<II", 1, 0) + f.region(), [f.memory] * 12)


def cut_short(f):
    f.start()
    do_io(f)
    os.ftruncate(f.memory, 4096)
    os.eventfd_write(f.kick, 1)


def ring_fd(f):
    f.start()
    with open("/dev/null", "rb") as other:  # no eventfd, and always readable
        f.send("SET_VRING_KICK", struct.pack("<Q", 0), [other.fileno()])


def call_pipe(f):
    reading, writing = os.pipe()
    f.send("SET_VRING_CALL", struct.pack("<Q", 0), [writing])
    os.close(reading)
    os.close(writing)


def within(f):
    f.socket.sendall(struct.pack("<II", 1, 1))
    f.socket.shutdown(socket.SHUT_WR)


def placed(**where):
    def act(f):
        f.put("SET_FEATURES", struct.pack("<Q", VERSION_1 | F_PROTOCOL))
        f.share()
        f.state("SET_VRING_NUM", ENTRIES)
        f.address(**where)
    return act


def table(*regions, fds=None, size=None):
    def act(f):
        made = [f.region(**r) for r in regions]
        f.send("SET_MEM_TABLE", struct.pack("<II", len(made), 0) + b"".join(made),
               [f.memory] * len(made) if fds is None else [f.memory] * fds, size=size)
    return act


def unasked(f):
    f.send("GET_FEATURES", flags=1 | REPLY)


HOSTILE = {
    "an unknown request": (lambda f: f.send(99), "request 99"),
    "another version": (lambda f: f.send("GET_FEATURES", flags=2), "flags 0x2"),
    "a reply": (unasked, "flags 0x5"),
    "a payload of 4 GiB": (sized("SET_FEATURES", 0xFFFFFFFF), "4294967295 bytes"),
    "a payload that is too small": (sized("SET_VRING_ADDR", 8), "SET_VRING_ADDR with 8 bytes"),
    "a payload where there is none": (sized("SET_OWNER", 8), "SET_OWNER with 8 bytes"),
    "half a request": (within, "within a request"),
    "descriptors with a request that has none": (
        lambda f: f.send("SET_OWNER", fds=[f.kick]), "descriptors with SET_OWNER"),
    "too many descriptors": (too_many_fds, "descriptors at once"),
    "memory without descriptors": (table({}, fds=0), "1 regions and 0 descriptors"),
    "nine regions": (table(*[{}] * 9, fds=8), "SET_MEM_TABLE with 296 bytes"),
    "a table that speaks of more": (
        lambda f: f.send("SET_MEM_TABLE", struct.pack("<II", 3, 0) + f.region(), [f.memory]), "which speaks of 104"),
    "memory beyond 4 GiB": (table({"guest": 0xFFFFF000, "size": 0x2000}), "give the guest less"),
    "memory at the end of all": (table({"guest": 0xFFFFFFFFFFFFF000, "size": 0x1000}), "give the guest less"),
    "memory of no size": (table({"size": 0}), "no whole pages"),
    "memory that is odd": (table({"size": 12345}), "no whole pages"),
    "more memory than the file has": (table({"size": 2 * SIZE}), "has not"),
    "an offset beyond the file": (table({"offset": 1 << 62}), "has not"),
    "an own address that runs over": (table({"user": 0xFFFFFFFFFFFFF000}), "run over"),
    "memory of a file that was cut short": (cut_short, "cut the file of its memory short"),
    "a ring outside of the memory": (placed(desc=SIZE), "outside of the memory"),
    "a ring that ends outside": (placed(used=SIZE - 16), "outside of the memory"),
    "a ring that is not there": (placed(index=200), "ring 200"),
    "a size of 0": (lambda f: f.send("SET_VRING_NUM", struct.pack("<II", 0, 0)), "size of 0"),
    "a size of 2^31": (lambda f: f.send("SET_VRING_NUM", struct.pack("<II", 0, 1 << 31)), "size of 2147483648"),
    "an address ahead of the size": (lambda f: f.address(), "ahead of its size"),
    "a base in the middle": (lambda f: f.send("SET_VRING_BASE", struct.pack("<II", 0, 77)), "at index 0x4d"),
    "a kick without a descriptor": (lambda f: f.send("SET_VRING_KICK", struct.pack("<Q", 0)), "0 descriptors, not 1"),
    "a kick that is no eventfd": (ring_fd, "no eventfd"),
    "a call that is a pipe": (call_pipe, "no eventfd"),
    "the base of a ring that is not there": (
        lambda f: f.send("GET_VRING_BASE", struct.pack("<II", 9, 0)), "ring 9"),
    "protocol features not offered": (
        lambda f: f.send("SET_PROTOCOL_FEATURES", struct.pack("<Q", 1 << 60)), "not offered"),
    "features not offered": (lambda f: f.start(features=VERSION_1 | 1 << 55), "which the device refuses"),
    "a configuration that speaks of more": (
        lambda f: f.send("GET_CONFIG", struct.pack("<III", 0, 0xFFFFFFFF, 0)), "which speaks of"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_front_end(bench, what):
    act, words = HOSTILE[what]
    bench.front.greet()
    try:
        act(bench.front)
        assert bench.front.socket.recv(1) == b""
    except ConnectionError:
        pass
    out, err = bench.judge.communicate(timeout=SECONDS)
    assert bench.judge.returncode == 1, out + err
    report = json.loads(bench.report.read_text(encoding="utf-8"))
    kinds = [(f["kind"], f["text"]) for f in report["findings"] if f["kind"] != "clause"]
    assert len(kinds) == 1 and kinds[0][0] == "protocol" and words in kinds[0][1], f"{kinds}\n{out}{err}"


def test_an_acknowledgement_that_was_not_negotiated(bench):
    bench.front.send("SET_OWNER", flags=1 | NEED_REPLY)
    out, _ = bench.judge.communicate(timeout=SECONDS)
    assert bench.judge.returncode == 1 and "REPLY_ACK is not negotiated" in out, out


@pytest.mark.parametrize("address, words", [
    ("vhost-user:", "missing"), ("vhost-user:,commands=x", "missing"), ("vhost-user:/tmp/x,colour=red", "colour=red"),
    ("vhost-user:/tmp/pl-none-x,commands=/nowhere/fifo", "/nowhere/fifo"), ("vhost-user:/dev/null/x", "/dev/null/x"),
    ("vhost-user:/tmp/pl-none-x,commands=/dev/null", "is no FIFO")])
def test_an_address_that_is_none(address, words):
    done = subprocess.run([PLUMBLINE, "test", "--role", "driver", "--listen", address], capture_output=True, text=True,
                          timeout=SECONDS, check=False)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1 and words in done.stderr, done


def test_only_its_one_life_can_be_selected():
    done = subprocess.run([PLUMBLINE, "test", "--role", "driver", "--listen", "vhost-user:/tmp/pl-none-z", "--select", "reset-*"],
                          capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 2 and "a-scripted-life" in done.stderr, done


def test_nothing_but_a_driver_is_behind_it():
    done = subprocess.run([PLUMBLINE, "test", "--role", "device", "--listen", "vhost-user:/tmp/pl-none-y"],
                          capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 2 and "driver" in done.stderr, done
