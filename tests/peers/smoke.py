#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""A small driver for device.py by itself: every faithful style answers sensibly, and
every fault shows somewhere in what it sends.

    smoke.py [NAME...]     styles or faults; all of them without a name
"""
import os
import socket
import struct
import subprocess
import sys
import tempfile
import traceback

import device as d
import faults
import faults_io
import smoke_io

HERE = os.path.dirname(os.path.abspath(__file__))
DEVICE = os.path.join(HERE, "device.py")
BASE, MEMORY = 0x100000000, 1 << 20
BUSES = ("revision=1 max_msg_size=264 features=0x1", "revision=1 max_msg_size=52 features=0x0",
         "revision=1 max_msg_size=264 features=0x0", "revision=1 max_msg_size=52 features=0x1")


class Peer:
    """The device, linked in: what is sent, what comes back, and the time that passes."""

    def __init__(self, style, fault=None, bus=BUSES[0]):
        self.parameters = d.parse_parameters(bus)
        self.fd = os.memfd_create("smoke")
        os.truncate(self.fd, MEMORY)
        opts = {"style": style, "fault": fault}
        self.bus = d.make_bus(opts, self.parameters, (self.fd, BASE, MEMORY))
        self.log, self.token = [], 0
        self.bus.start()
        self.number = self.bus.o["numbers"][0]
        self.take()

    def close(self):
        if self.bus.mem:
            self.bus.mem.map.close()
        os.close(self.fd)

    def take(self):
        out, self.bus.out = self.bus.out, []
        self.log += out
        return out

    def settle(self):
        """Lets every timer run out, but for the one of changes by the clock, which never does."""
        clock = self.bus.change_again
        while any(function != clock for _, function in self.bus.timers):
            self.pass_one()

    def pass_one(self):
        """Lets time pass until the next timer; False: there is none."""
        if not self.bus.timers:
            return False
        first = min(self.bus.timers, key=lambda t: t[0])
        self.bus.timers.remove(first)
        first[1]()
        return True

    def raw(self, packet):
        self.bus.receive(bytes(packet))
        return self.take()

    def send(self, msg_id, payload=b"", kind=0, number=None, token=None):
        self.token = self.token + 1 & 0xFFFF if token is None else self.token
        number = (0 if kind & 2 else self.number) if number is None else number
        return self.raw(struct.pack("<BBHHH", kind, msg_id, number, self.token if token is None else
            token, 8 + len(payload)) + payload)

    def ask(self, msg_id, payload=b"", **more):
        """The payload of the one response; its header is checked."""
        kind = more.get("kind", 0)
        out = [m for m in self.send(msg_id, payload, **more) if m[0] == kind | 1]
        assert len(out) == 1, "%d responses to msg_id %#x" % (len(out), msg_id)
        got_kind, got_id, number, token, size = struct.unpack_from("<BBHHH", out[0])
        assert (got_kind, got_id, token, size) == (kind | 1, msg_id, self.token,
            len(out[0])), out[0].hex()
        assert number == (0 if kind & 2 else
            more.get("number", self.number)) and size <= self.parameters["max_msg_size"]
        return out[0][8:]

    def nothing(self, msg_id, payload=b"", **more):
        out = [m for m in self.send(msg_id, payload, **more) if m[0] & 1]
        assert not out, out[0].hex()

    def status(self, value=None):
        answer = self.ask(7) if value is None else self.ask(8, struct.pack("<I", value))
        return struct.unpack("<I", answer)[0]

    def reset(self):
        self.status(0)
        self.settle()
        assert self.status() == 0

    def features(self, count):
        blocks = []
        for i in range(count):
            blocks.append(struct.unpack("<III", self.ask(3, struct.pack("<II", i, 1)))[2])
        return blocks

    def negotiate(self, without=()):
        """Up to FEATURES_OK, with everything that is offered."""
        self.reset()
        self.status(1)
        self.status(3)
        info = struct.unpack("<II16sIIIII", self.ask(2))
        for i, bits in enumerate(self.features(info[3])):
            for bit in without:
                if bit // 32 == i:
                    bits &= ~(1 << bit % 32)
            assert self.ask(4, struct.pack("<III", i, 1, bits)) == b""
        assert self.status(11) == 11
        return info

    def vqueue(self, index):
        return struct.unpack("<IIIIQQQ", self.ask(9, struct.pack("<I", index)))

    def set_vqueue(self, index, flags, size, reserved, *addresses):
        assert self.ask(10, struct.pack("<IIIIQQQ", index, flags, size, reserved,
            *addresses)) == b""


def check_config(p, size):
    step = p.parameters["max_msg_size"] - 20
    data, generations = b"", set()
    while len(data) < size:
        n = min(step, size - len(data))
        answer = p.ask(5, struct.pack("<II", len(data), n))
        generation, offset, length = struct.unpack_from("<III", answer)
        assert (offset, length, len(answer)) == (len(data), n, 12 + n)
        generations.add(generation)
        data += answer[12:]
    assert len(generations) <= 1 or p.bus.o["own_changes"] or p.bus.o["timed_changes"]
    p.nothing(5, struct.pack("<II", size, 1))
    p.nothing(5, struct.pack("<II", 0xFFFFFFFF, 2))
    assert p.ask(6, struct.pack("<III", 0, 0, 0))[4:] == bytes(8)
    if size:
        generation = struct.unpack_from("<I", p.ask(5, struct.pack("<II", 0, 1)))[0]
        for at in range(size):
            answer = p.ask(6, struct.pack("<III", generation, at, 1) + b"\x01")
            generation, offset, length = struct.unpack_from("<III", answer)
            assert offset == at and length in (0, 1) and len(answer) == 12 + length
        if p.bus.strict and p.bus.o["writable"] and not p.bus.o["own_changes"]:
            at = p.bus.o["writable"][0][0]
            answer = p.ask(6, struct.pack("<III", generation ^ 0x100, at, 1) + b"\x02")
            assert struct.unpack_from("<III", answer) == (generation, at, 0) and len(answer) == 12


def check_changes(p, size):
    """What the control socket provokes."""
    answer = p.bus.control("config-change %d 0 %s" % (p.number, "a5" * max(1, min(size, 8))))
    if p.bus.o["event_late"]:
        p.settle()
    out = [m for m in p.take() if m[1] == 0x40]
    if not p.bus.o["control"]:
        assert answer == "unsupported" and not out
        return
    assert answer == "ok" if size else answer.startswith("error")
    assert len(out) == (1 if size else 0) or p.bus.o["timed_changes"], out
    for m in out:
        status, generation, offset, length = struct.unpack_from("<IIII", m, 8)
        assert status == p.status() and len(m) in (24, 24 + length)
        assert generation == struct.unpack_from("<I", p.ask(5, struct.pack("<II", 0, 1)))[0]
    assert p.bus.control("needs-reset %d" % p.number) == "ok"
    assert p.status() & 0x40
    assert len(p.log) and p.bus.control("nonsense") and p.bus.control("")
    p.take()


def check_queues(p, info):
    seen = 0
    wanted = list(range(min(info[5] + 2, 80))) + [max(info[5], 1) - 1, info[5], 0x10000, 0x80000000,
        0xFFFFFFFF]
    for index in dict.fromkeys(wanted):
        before = p.vqueue(index)
        assert before[0] == index and before[2:] == (0, 0, 0, 0, 0)
        size = before[1]
        if not size:
            p.set_vqueue(index, 1, 1, 0, BASE, BASE, BASE)
            assert p.ask(11, struct.pack("<I", index)) == b"" and p.vqueue(index) == before
            continue
        seen += 1
        if seen > 4:
            continue
        a, b, c = BASE + 0x1000, BASE + 0x4000, BASE + 0x8000
        for flags, reserved in ((3, 0), (64, 0), (1, 1), (1 << 31 | 1, 0)):
            p.set_vqueue(index, flags, size, reserved, a, b, c)
            assert p.vqueue(index) == before
        p.set_vqueue(index, 1, size + 1, 0, a, b, c)
        assert p.vqueue(index) == before
        p.set_vqueue(index, 0, size, 0, a, b, c)
        assert p.vqueue(index) == (index, size, size, 0, a, b, c), p.vqueue(index)
        p.set_vqueue(index, 0x3D, 0, 0, 0, 0, 0)
        enabled = (index, size, size, 1, a, b, c)
        assert p.vqueue(index) == enabled
        for flags in (0, 1, 2, 0x3C, 0x3D, 0x3E):
            p.set_vqueue(index, flags, size, 0, a + 4096, b, c)
            assert p.vqueue(index) == enabled
        assert p.ask(11, struct.pack("<I", index)) == b""
        after = p.vqueue(index)
        if p.bus.devices[p.number].negotiated(40):
            assert after[3] == 0
            p.set_vqueue(index, 1, size, 0, a, b, c)
            assert p.vqueue(index) == enabled
        else:
            assert after == enabled


def check_malformed(p):
    surplus = p.bus.o["surplus"] == "ignore"
    for msg_id, size in ((3, 8), (4, 12), (5, 8), (6, 12), (8, 4), (9, 4), (10, 40), (11, 4),
            (12, 4)):
        payload = bytes(size) if msg_id != 4 else struct.pack("<III", 0, 1, 1)
        p.nothing(msg_id, payload[:-1])
        p.nothing(msg_id, b"")
        p.nothing(msg_id, payload, kind=1)
        if not surplus and msg_id != 8:
            p.nothing(msg_id, payload + b"\0")
    for msg_id in (0, 1, 13, 0x3F, 0x42, 0x43, 0x47, 0x80, 0x82, 0x87, 0xC0):
        p.nothing(msg_id)
    p.nothing(6, struct.pack("<III", 0, 0, 4) + b"abc")
    for packet in (b"", b"\0", bytes(7), struct.pack("<BBHHH", 0, 7, p.number, 9, 7),
            struct.pack("<BBHHH", 0, 7, p.number, 9, 9)):
        assert not [m for m in p.raw(packet) if m[0] & 1]
    p.ask(7)


def check_bus(p):
    numbers = p.bus.o["numbers"]
    if "devices" in p.bus.o["bus_messages"]:
        found, offset, guard = set(), 0, 0
        while True:
            answer = p.ask(2, struct.pack("<HH", offset, 100), kind=2)
            echoed, following, count = struct.unpack_from("<HHH", answer)
            assert echoed == offset and count <= 100 and len(answer) == 6 + (count + 7) // 8
            found |= {offset + i for i in range(count) if answer[6 + i // 8] >> i % 8 & 1}
            assert following == 0 or following > offset
            guard += 1
            if not following:
                break
            offset = following
        assert found == set(numbers), found
        assert struct.unpack_from("<HHH", p.ask(2, struct.pack("<HH", 0, 0), kind=2))[2] == 0
        p.ask(2, struct.pack("<HH", 65535, 65535), kind=2)
    if "ping" in p.bus.o["bus_messages"]:
        assert p.ask(3, b"ping", kind=2) == b"ping"
    p.nothing(0x3E, kind=2)


def check_style(style, bus):
    p = Peer(style, None, bus)
    numbers = p.bus.o["numbers"]
    assert len(numbers) < 2 or p.number == min(numbers)
    first = p.ask(2)
    info = struct.unpack("<II16sIIIII", first)
    assert not info[7] and not info[6] or info[6] + info[7] <= info[5]
    offered = p.features(info[3] + 2)
    assert not any(offered[info[3]:]) and not offered[1] >> 7 & 1 and offered[1] & 1
    check_config(p, info[4])
    p.reset()
    check_malformed(p)
    p.negotiate()
    assert p.ask(2) == first and p.features(info[3] + 2) == offered
    check_queues(p, info)
    assert p.status(15) == 15
    check_changes(p, info[4])
    p.reset()
    for i in range(min(info[5], 5)):
        assert p.vqueue(i)[2:] == (0, 0, 0, 0, 0)
    p.status(1)
    p.status(3)
    p.ask(4, struct.pack("<III", 0, 1, 0xFFFFFFFF))
    p.ask(4, struct.pack("<III", 1, 1, 1))
    assert p.status(11) == 3 and p.status() == 3
    assert struct.unpack("<IIQQ", p.ask(12, struct.pack("<I", 99))) == (99, 0, 0, 0)
    check_bus(p)
    p.nothing(7, number=4711)
    for number in numbers[1:]:
        p.ask(2, number=number)
    p.close()


def stimulate(p):
    """A fixed walk whose log tells a faulty device from a faithful one."""
    n = p.number
    size = len(p.bus.devices[n].config)

    def u32(*values):
        return struct.pack("<%dI" % len(values), *values)

    def generation():
        return p.bus.devices[n].generation

    def look():
        for one in (0, 1, 2, 3, 9, 10, 256, 65536, 0x80000000, 0xFFFFFFFF):
            p.send(9, u32(one))
        p.send(7)

    p.send(2), p.send(7), p.send(2, token=0), p.send(2, token=0xFFFF), p.send(2,
        token=0x8001), p.send(2, token=3)
    p.send(2, token=3)
    p.bus.control("config-change %d 0 11223344" % n), p.bus.control("config-change %d 2 99" % n)
    p.send(5, u32(0, 4))
    for index, count in ((0, 1), (0, 2), (1, 1), (0, 4), (2, 2), (256, 1), (65536, 1),
            (0xFFFFFFFF, 2), (0, 100)):
        p.send(3, u32(index, count))
    p.send(7, kind=4), p.send(7, kind=0x80), p.send(7, kind=1), p.send(7, number=4711), p.send(7,
        number=n ^ 1)
    for msg_id in (0, 1, 13, 18, 0x43, 0x47, 0x87, 0x82, 0x40, 0x41):
        p.send(msg_id)
    p.send(0x41, u32(0, 0)), p.send(0x40, u32(1, 2, 0, 0))
    for msg_id in range(3, 13):
        p.send(msg_id), p.send(msg_id, b"\1"), p.send(msg_id, bytes(60))
    p.send(7)
    for packet in (struct.pack("<BBHHH", 0, 7, n, 9, 7), struct.pack("<BBHHH", 0, 7, n, 9, 9),
            struct.pack("<BBHHH", 0, 7, n, 9, 8) + b"1234"):
        p.raw(packet)
    for walk in range(2):
        for one in ((0, 2) if walk else (2,)):
            p.send(8, u32(0)), p.send(7), p.settle(), p.send(7), look()
            p.send(8, u32(1)), p.send(8, u32(1)), p.send(8, u32(3)), p.send(7)
            p.send(4, u32(0, 1, 1)), p.send(4, u32(1, 1, 1 | (0x100 if one else 0))), p.send(4,
                u32(0, 1, 0))
            p.send(4, u32(0, 3, 0)), p.send(3, u32(0, 2)), p.send(4, u32(0, 0))
            p.send(8, u32(11)), p.send(3, u32(0, 2)), p.send(7), p.send(2)
            p.send(8, u32(0)), p.settle(), p.send(8, u32(1)), p.send(8, u32(3))
            p.send(4, u32(0, 1, 0)), p.send(4, u32(1, 1, 0x101 if one else 0x001)), p.send(3,
                u32(0, 2))
            p.bus.control("config-change %d 1 77" % n), p.send(5, u32(0, 4))
            p.send(8, u32(11)), p.send(7), p.send(2), p.send(4, u32(1, 1, 0)), p.send(3, u32(0, 2))
        a = (BASE + 0x1000, BASE + 0x22000, BASE + 0x3000 | 7 << 40)
        for flags, length, reserved in ((3, 4, 0), (0x43, 4, 0), (0x41, 4, 0), (0x101, 4, 0),
                (1 << 31 | 1, 4, 0), (1, 4, 1), (1, 4, 1 << 16), (0, 5000, 0), (1, 300, 0),
                (0, 0, 0), (2, 4, 0), (1, 4, 0)):
            p.send(10, struct.pack("<IIIIQQQ", 1, flags, length, reserved, *a)), p.send(9, u32(1))
        for flags in (0, 1, 2, 3, 0x3C, 0x3E, 0x38, 0x34, 0x2C, 0x1C, 0x3A, 0x39, 0x35, 0x36, 0x2E,
                0x1E):
            p.send(10, struct.pack("<IIIIQQQ", 1, flags, 2, 0, 4096, 8192, 12288)), p.send(9,
                u32(1))
        p.send(10, struct.pack("<IIIIQQQ", 0, 0, 4, 0, 1 << 20, 2 << 20, 3 << 20)), p.send(9,
            u32(0))
        for i, flags in enumerate((0x38, 0x34, 0x2C, 0x1C, 0x3C, 0x38, 0x3C)):
            p.send(10, struct.pack("<IIIIQQQ", 0, flags, 1 << i % 3, 0, 4096, 8192,
                12288)), p.send(9, u32(0))
        for index in (9, 256, 65536, 0xFFFFFFFF):
            p.send(10, struct.pack("<IIIIQQQ", index, 1, 4, 0, 5 << 12, 6 << 12, 7 << 12)), look()
        p.send(10, struct.pack("<IIIIQQQ", 0, 1, 4, 0, *a)), p.send(10,
            struct.pack("<IIIIQQQ", 2, 1, 4, 0, *a)), look()
        for index in (9, 256, 65536, 0xFFFFFFFF):
            p.send(11, u32(index)), look()
        for index in (2, 3, 9, 10, 256, 65536, 0x80000000, 0xFFFFFFFF, 0x80000001):
            p.send(10, struct.pack("<IIIIQQQ", index, 1, 4, 0, 5 << 12, 6 << 12, 7 << 12)), look()
            p.send(11, u32(index)), look()
        for _ in range(2):
            p.send(11, u32(1)), look()
            p.send(10, struct.pack("<IIIIQQQ", 1, 1, 4, 0, *a)), look()
        p.send(8, u32(15)), p.send(7), p.send(7), p.send(2), p.send(3, u32(0, 2))
        p.send(11, u32(0)), p.send(9, u32(0))
        p.send(10, struct.pack("<IIIIQQQ", 0, 1, 4, 0, *a)), p.send(9, u32(0))
        for _ in range(3):
            p.bus.control("config-change %d 0 01020304" %
                n), p.bus.control("config-change %d 5 4142" % n)
            p.send(5, u32(0, 8))
            p.bus.control("config-change %d 0 %s" % (n, "5a" * size)), p.send(5,
                u32(0, min(32, size)))
        for g in (-generation(), 1 - generation(), 0xFFFFFFFF, 0, -1, 1, 256, 65536):
            for at, data in ((0, b""), (3, b"\x11\x22\x33\x44\x55"), (32, b"\1"), (size - 1, b"ab"),
                    (size, b"a"), (4, b"")):
                p.send(6, u32(generation() + g & 0xFFFFFFFF, at, len(data)) + data), p.send(5,
                    u32(0, min(size, 32)))
                p.send(6, u32(generation(), at, len(data)) + data), p.send(5, u32(1, 2))
        p.send(6, u32(generation(), 4, 8) + b"abc"), p.send(5, u32(4, 3)), p.send(6,
            u32(generation(), 0, 0))
        for at, length in ((0, 0), (size, 0), (size - 1, 2), (size, 1), (0xFFFFFFFF, 2), (0, 40),
                (0, 250), (3, 5), (size + 1, 0), (0, size)):
            p.send(5, u32(at, length))
        for shmid in (0, 1, 7, 256, 300, 0xFFFFFFFF):
            p.send(12, u32(shmid)), p.send(12, u32(shmid))
        p.bus.control("needs-reset %d" % n), p.send(7), p.send(7), p.send(8, u32(15)), look()
        p.bus.control("reset-delay %d 5" % n), p.send(8,
            u32(0)), p.send(7), p.send(7), p.settle(), look()
        p.bus.control("reset-delay %d 0" % n)
        p.bus.control("config-change %d 0 01" % n), p.send(5, u32(0, 1))
    for selection in (((1, 0x101), (0, 1)), ((1, 0x101), (1, 1)), ((0, 1, 0x101),),
            ((1, 0x101), (257, 0)), ((0, 2), (256, 0)), ((0, 1 << 31),), ((5, 1),),
            ((1, 1), (0, 0)), ((257, 0x101),), ((0, 0), (1, 0x100)), ((1, 0),), ()):
        p.send(8, u32(0)), p.settle(), p.send(8, u32(1)), p.send(8, u32(3))
        for index, *blocks in selection:
            p.send(4, u32(index, len(blocks), *blocks)), p.send(3, u32(0, 3)), p.send(2)
        p.send(8, u32(11)), p.send(7), p.send(10,
            struct.pack("<IIIIQQQ", 0, 1, 4, 0, 4096, 8192, 12288)), p.send(9, u32(0))
        p.send(11, u32(0)), p.send(9, u32(0))
    for offset, count in ((0, 0), (0, 16), (0, 3), (3, 9), (0, 900), (65535, 10)):
        p.send(2, struct.pack("<HH", offset, count), kind=2)
    p.send(3, struct.pack("<I", 0x01020304), kind=2), p.send(4, kind=2), p.send(3, bytes(4), kind=2,
        number=3)
    for number in p.bus.o["numbers"]:
        p.send(2, number=number)
    for _ in range(160):
        p.send(7)


def check_fault(name):
    for bus in BUSES:
        logs = []
        for one in (None, name):
            p = Peer(faults.STYLE[name], one, bus)
            stimulate(p)
            logs.append(p.log)
            p.close()
        if logs[0] != logs[1]:
            return
    raise AssertionError("nothing shows")


def check_io(style, fault=None, few=0):
    """Virtqueues under the combinations of features that the style offers, or few of them."""
    p = Peer(style, fault)
    try:
        smoke_io.exercise(p, few)
    finally:
        try:
            p.close()
        except BufferError:  # the walk failed half way
            pass


def check_io_fault(name):
    try:
        check_io(faults.STYLE[name], name)
    except Exception:
        return
    raise AssertionError("nothing shows")


def converse(sock, stream):
    """Device information over a real carrier."""
    request = struct.pack("<BBHHH", 0, 2, 0, 77, 8)
    if stream:
        for byte in request:
            sock.sendall(bytes([byte]))
        sock.sendall(request)
        got = b""
        while len(got) < 104:
            got += sock.recv(104 - len(got))
        assert got[:52] == got[52:]
        got = got[:52]
    else:
        sock.send(request)
        got = sock.recv(4096)
    assert len(got) == 52 and got[:8] == struct.pack("<BBHHH", 1, 2, 0, 77, 52)


def check_carriers():
    mine, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    control, its_control = socket.socketpair()
    child = subprocess.Popen([sys.executable, DEVICE, "--style", "own-type"],
        pass_fds=[its.fileno(), its_control.fileno()],
        env=dict(os.environ, PLUMBLINE_FD=str(its.fileno()),
        PLUMBLINE_CTL_FD=str(its_control.fileno()), PLUMBLINE_BUS=BUSES[0]))
    its.close(), its_control.close()
    converse(mine, False)
    mine.send(struct.pack("<BBHHHI", 0, 8, 0, 1, 12, 1))
    mine.recv(4096)
    control.sendall(b"config-change 0 0 aa\nreset-delay 0 5\n")
    lines = b""
    while lines.count(b"\n") < 2:
        lines += control.recv(100)
    assert lines == b"ok\nok\n" and mine.recv(4096)[1] == 0x40
    mine.send(struct.pack("<BBHHHI", 0, 8, 0, 1, 12, 0))
    assert mine.recv(4096)[8] == 1
    while True:
        mine.send(struct.pack("<BBHHH", 0, 7, 0, 1, 8))
        if mine.recv(4096)[8] == 0:
            break
    mine.close()
    assert child.wait(timeout=5) == 0
    with tempfile.TemporaryDirectory() as place:
        for address in ("unix:%s/a" % place, "unix-stream:%s/b" % place, "tcp:127.0.0.1:0"):
            child = subprocess.Popen([sys.executable, DEVICE, address], stdout=subprocess.PIPE,
                text=True)
            kind, where = child.stdout.readline().split()[1].split(":", 1)
            if kind == "tcp":
                sock = socket.create_connection(tuple(where.split(":")))
            else:
                sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET if kind == "unix" else
                    socket.SOCK_STREAM)
                sock.connect(where)
            converse(sock, kind != "unix")
            sock.close()
            child.kill()
            child.wait()
            child.stdout.close()


def attempt(what, function, *arguments):
    """How many attempts failed: 0 or 1."""
    try:
        function(*arguments)
        return 0
    except Exception as e:
        print("%s: %s %s" % (what, type(e).__name__, e))
        if not isinstance(e, AssertionError):
            traceback.print_exc()
        return 1


def main(names):
    failed, io = 0, d.io_styles()[0]
    for style in names or d.all_styles():
        if style in faults.FAULTS:
            continue
        for bus in BUSES:
            failed += attempt("style %s, %s" % (style, bus), check_style, style, bus)
        few = 0 if names else 5 if style in io else 2
        failed += attempt("style %s, virtqueues" % style, check_io, style, None, few)
    for name in names or faults.FAULTS:
        if name in faults.FAULTS:
            check = check_io_fault if name in faults_io.NAMES else check_fault
            failed += attempt("fault " + name, check, name)
    if not names:
        check_carriers()
    print("%d styles, %d faults, %d failed" %
        (len(d.all_styles()), len(faults.FAULTS), failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
