# SPDX-License-Identifier: BSD-3-Clause
"""What smoke.py does with virtqueues: every style serves them under every combination of ring
features that it offers, and every I/O fault is seen by the driver end of driver.py."""
import random
import struct

import driver
from driver import F_DATA, F_EVENT_IDX, F_IN_ORDER, F_INDIRECT, F_PACKED, F_RESET, F_VERSION_1

SPLIT, PACKED = (F_VERSION_1,), (F_VERSION_1, F_PACKED)
RINGS = (SPLIT, SPLIT + (F_RESET, F_INDIRECT, F_EVENT_IDX), SPLIT + (F_RESET, F_IN_ORDER, F_DATA),
    SPLIT + (F_RESET, F_IN_ORDER, F_DATA, F_INDIRECT, F_EVENT_IDX), PACKED, PACKED + (F_RESET,),
    PACKED + (F_RESET, F_INDIRECT, F_EVENT_IDX), PACKED + (F_RESET, F_IN_ORDER, F_DATA),
    PACKED + (F_RESET, F_IN_ORDER, F_DATA, F_INDIRECT, F_EVENT_IDX), SPLIT + (F_RESET,))


def offered(peer):
    blocks = peer.features(2)
    return {32 * i + bit for i, bits in enumerate(blocks) for bit in range(32) if bits >> bit & 1}


def combinations(peer):
    """(features, size) to be tried: each set of ring features once, and small rings."""
    has, seen = offered(peer), []
    own = {bit for bit in has if bit < 24}
    for wanted in RINGS:
        features = frozenset(own | set(wanted) & has)
        if features not in seen:
            seen.append(features)
    for i, features in enumerate(seen):
        yield features, None
        yield features, (4, 2, 8)[i % 3]
        if F_PACKED in features:
            yield features, (5, 3, 7)[i % 3]
    if 15 in own:
        yield frozenset(seen[-1] - {15}), None


class Walk:
    """One way through a device: `type` specific requests over its queues."""

    def __init__(self, peer, features, size, seed=1):
        self.peer, self.dice = peer, random.Random(seed)
        self.size = size
        self.features = features
        self.o = peer.bus.devices[peer.number].o
        self.modes = 0

    def open(self, size=None, fill=False):
        self.s = driver.Session(self.peer, self.features, size or self.size)
        if not self.s.begin():
            return False
        self.q = self.s.queue(self.main, fill=self.filled if fill else None)
        return self.q is not None

    def filled(self, q):
        """Buffers are there before the queue is enabled."""
        self.q = q
        self.early = self.prepare(3)
        q.publish()

    main, early, long = 0, 0, False

    def run(self):
        """False: the device does not do this."""
        if not self.open(fill=self.size is None):
            return False
        try:
            self.before_ok()
            self.rounds(6)
            self.config_change()
            if self.long:
                for _ in range(250):
                    self.round("all")
            self.in_two_steps()
            self.queue_reset()
            self.device_reset(1)
            self.device_reset(3)
            if not self.open(max(4, (self.size or 16) * 2 % 31)) and not self.open():
                assert False, "the queue is refused now"
            self.s.live()
            self.rounds(2)
            self.broken()
            assert not self.s.stray
        finally:
            self.s.close()
        return True

    # --- ways to go
    def before_ok(self):
        """Nothing happens before DRIVER_OK, and what waited is served then."""
        count = self.early or self.prepare(3)
        self.early = 0
        self.q.publish()
        before = self.s.snapshot()
        self.s.pass_time()
        self.s.untouched(before, "before DRIVER_OK")
        assert not self.q.told, "EVENT_USED before DRIVER_OK"
        self.s.live()
        self.q.kick(force=True)
        self.s.pass_time()
        self.done(self.q.collect(), count)
        assert self.q.told, "no EVENT_USED after DRIVER_OK"

    def rounds(self, count):
        for i in range(count):
            self.round(("all", "none", 0, 1, 2, "all")[i % 6])

    def round(self, mode):
        """Some requests; what is told of them depends on what the driver asks for."""
        q = self.q
        q.ask(mode)
        q.told = 0
        count = self.prepare(self.dice.choice((1, 2, 7, 100)))
        started = q.used
        got = q.run()
        self.done(got, count)
        if mode == "none":
            assert not q.told, "EVENT_USED though it is suppressed"
        elif mode == "all" or not q.has(F_EVENT_IDX):
            assert q.told, "no EVENT_USED"
        elif isinstance(q, driver.Split):
            assert bool(q.told) == (count > mode), "used_event %d + %d, %d used: %d EVENT_USED" % (
                started, mode, count, q.told)
        else:
            slots = sum(b.slots for b, _ in got)
            if slots <= q.size - 1:
                assert bool(q.told) == (slots > mode), "event after %d of %d slots: told %d" % (
                    mode, slots, q.told)
        q.ask("all")
        q.told = 0

    def in_two_steps(self):
        """More buffers are made available while others may be in flight."""
        count = self.prepare(2)
        self.q.publish()
        self.q.kick()
        first = self.q.collect()
        more = self.prepare(2, least=0)
        self.q.publish()
        self.q.kick()
        self.q.kick(force=True)
        self.done(first, len(first))
        seen = len(first)
        for _ in range(40):
            if not self.peer.pass_one():
                break
            got = self.q.collect()
            self.done(got, len(got))
            seen += len(got)
        self.s.pass_time()
        self.done(self.q.collect(), count + more - seen)

    change = None

    def config_change(self):
        """The device changes its configuration: told, and seen whole."""
        if not self.change or not self.peer.bus.o["control"]:
            return
        at, data = self.change
        before, old = self.config(at, len(data))
        data = data if old != data else bytes(data[:1]) + bytes([data[1] ^ 1]) + data[2:]
        self.s.hear()
        self.s.config_events = 0
        assert self.peer.bus.control("config-change %d %d %s" % (self.peer.number, at,
            data.hex())) == "ok"
        for _ in range(2):
            generation, now = self.config(at, len(data))
            assert now in (old, data), "half a change: " + now.hex()
            assert (now != old) == (generation != before), "generation %d, then %d" % (before,
                generation)
            self.s.pass_time()
        assert now == data and self.s.config_events == 1, "%d EVENT_CONFIG" % self.s.config_events
        assert not self.peer.status() & 0x40
        self.s.config_events = 0
        self.changed(data)

    def changed(self, data):
        pass

    def config(self, at, length):
        answer = self.peer.ask(5, struct.pack("<II", at, length))
        return struct.unpack_from("<I", answer)[0], answer[12:]

    def queue_reset(self):
        if F_RESET not in self.features:
            return
        for turn in range(2):
            self.reset_one(self.q)
            before = self.q
            self.q = self.s.queue(self.main, (32, 16)[turn])
            assert self.q, "the queue is refused after RESET_VQUEUE"
            self.after_queue_reset(before)
            self.rounds(2)

    def after_queue_reset(self, before):
        pass

    def reset_one(self, q):
        count = self.prepare(3)
        q.publish()
        q.kick()
        self.peer.ask(11, struct.pack("<I", q.index))
        self.s.hear()
        self.done(q.collect(), count, all_of_them=False)
        assert self.peer.vqueue(q.index)[3] == 0
        self.stays(q, "after RESET_VQUEUE")

    def stays(self, q, what):
        """Nothing touches memory or tells of the queue any more."""
        self.prepare(1, least=0)
        q.publish()
        before, q.told = self.s.snapshot(), 0
        q.kick(force=True)
        self.s.pass_time()
        self.s.untouched(before, what)
        assert not q.told, "EVENT_USED " + what

    def device_reset(self, count):
        made = self.prepare(count)
        self.q.publish()
        self.q.kick()
        status = self.peer.status(0)
        for _ in range(50):
            if not status:
                break
            timers = self.peer.bus.timers
            if timers:
                first = min(timers, key=lambda t: t[0])
                timers.remove(first)
                first[1]()
            self.peer.take()
            status = self.peer.status()
        assert not status, "the reset does not end"
        self.s.hear()
        self.done(self.q.collect(), made, all_of_them=False)
        self.stays(self.q, "after reset")
        assert not self.s.config_events, "EVENT_CONFIG"
        self.s.close()
        assert self.open(), "refused after a reset"
        self.s.live()
        self.rounds(2)

    def broken(self):
        """A ring that no driver may write: the device lives, and a reset mends it."""
        q = self.q
        q.collect()
        at = q.memory.place(64, b"\xEE" * 64)
        address = driver.BASE + (at if self.dice.random() < 0.3 else 1 << 40)
        flags = self.dice.choice((2, 3, 4, 5, 6))
        if isinstance(q, driver.Split):
            head = self.dice.choice((0, q.size - 1, q.size, 65535))
            struct.pack_into("<QIHH", q.memory.map, q.desc + 16 * (head % q.size), address, 64,
                flags, head)
            q.memory.put16(q.driver + 4 + 2 * (q.avail % q.size), head)
            q.memory.put16(q.driver + 2, q.avail + 1)
        else:
            struct.pack_into("<QIHH", q.memory.map, q.desc + 16 * q.avail, address, 64, 9,
                flags | (0x80 if q.wrap else 0x8000))
        q.kick(force=True)
        self.s.pass_time()
        status = self.peer.status()
        assert status & 15 == 15
        assert bool(status & 0x40) == bool(self.s.config_events), \
            "%d EVENT_CONFIG at status %#x" % (self.s.config_events, status)
        if F_RESET in self.features and not status & 0x40:
            self.peer.ask(11, struct.pack("<I", q.index))
            self.q = self.s.queue(self.main)
            self.after_queue_reset(q)
            self.rounds(1)
        assert self.open(), "refused after a broken ring"
        self.s.live()
        self.rounds(1)

    # --- requests
    def prepare(self, count, least=1):
        made = 0
        for _ in range(count):
            if not self.add():
                break
            made += 1
        assert made >= least, "no room for a single request"
        return made

    def done(self, got, count, all_of_them=True):
        assert len(got) == count or not all_of_them and len(got) < count, "%d used of %d" % (
            len(got), count)
        for buffer, length in got:
            self.judge(buffer, length)

    def split(self, data):
        """Bytes in one to three elements."""
        cuts = sorted(self.dice.randrange(1, len(data)) for _ in range(self.dice.randrange(3))) if \
            len(data) > 1 else []
        return [data[a:b] for a, b in zip([0] + cuts, cuts + [len(data)]) if b > a]

    def place(self, readable, writable, what):
        """In as many elements as the dice say, or fewer where there is no room for them."""
        indirect = F_INDIRECT in self.features and self.dice.choice((0, 0, 0, 1, 2, 3))
        pieces = [one for data in readable for one in self.split(data)]
        spaces = [len(one) for n in writable for one in self.split(bytes(n))]
        if len(pieces) + len(spaces) > self.q.size and not indirect:
            pieces, spaces = [b"".join(readable)] if readable else [], [sum(writable)] if \
                writable else []
        if len(pieces) + len(spaces) > self.q.size:
            indirect = int(F_INDIRECT in self.features)
        return self.q.add(pieces, spaces, indirect, what)


class Block(Walk):
    OPS = ("write", "write", "read", "read", "flush", "id", "unknown", "beyond", "far", "discard",
        "zero", "unmap", "flags", "zone", "odd")

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.disk = {}
        self.sectors, = struct.unpack_from("<Q", self.peer.bus.devices[self.peer.number].config)

    @property
    def change(self):
        return 0, struct.pack("<Q", self.sectors + (1 << 33) + 7)

    def changed(self, data):
        self.sectors, = struct.unpack("<Q", data)

    def run(self):
        self.peer.reset()
        if 1 in (self.size, self.peer.vqueue(0)[1]) and F_INDIRECT not in self.features:
            return False
        self.cache_mode()
        return super().run()

    def cache_mode(self):
        """CONFIG_WCE without FLUSH: writethrough."""
        s = driver.Session(self.peer, self.features - {9}, self.size)
        if s.begin() and 11 in self.features:
            assert self.config(32, 1)[1] == b"\0", "writeback without FLUSH"
        s.close()

    def request(self, op):
        """(readable, writable, what judge() needs)"""
        length = self.dice.choice((1, 1, 2, 3))
        sector = self.dice.randrange(8 if self.sectors > 8 and self.dice.random() < 0.8 else
            max(1, self.sectors - 3))
        if sector + length > self.sectors or self.dice.random() < 0.1:
            sector, length = max(0, self.sectors - 1), min(1, self.sectors)
        kind = {"write": 1, "read": 0, "flush": 4, "id": 8, "unknown": 77, "beyond": 0, "far": 1,
            "discard": 11, "zero": 13, "unmap": 11, "flags": 13, "zone": 18, "odd": 0}[op]
        header, body, room = struct.pack("<IIQ", kind, 0, 0), b"", 0
        if op in ("read", "write"):
            header = struct.pack("<IIQ", kind, 0, sector)
            if op == "write":
                body = bytes(self.dice.randrange(256) for _ in range(16)) * 32 * length
            else:
                room = 512 * length
        elif op == "id":
            room = 20
        elif op in ("unknown", "zone"):
            room = self.dice.choice((0, 8))
        elif op == "beyond":
            header, room = struct.pack("<IIQ", 0, 0, max(0, self.sectors - 1)), 1024
        elif op == "far":
            header, body = struct.pack("<IIQ", 1, 0, 2 ** 63 + 5), b"x" * 512
        elif op == "odd":
            room = 513
        elif op in ("discard", "zero", "unmap", "flags"):
            flags = {"unmap": 1, "flags": 2}.get(op, 0)
            body = struct.pack("<QII", sector, length, flags)
        return header + body, room, (op, sector, length, body)

    def add(self):
        op = self.dice.choice(self.OPS)
        data, room, what = self.request(op)
        if what[0] in ("read", "write", "discard", "zero", "beyond"):
            area = range(what[1], what[1] + what[2]) if op != "beyond" else ()
            busy = {n for b in list(self.q.order) + self.q.pending for n in
                range(b.what[1], b.what[1] + b.what[2])}
            if busy & set(area):
                data, room, what = self.request("flush")
        readable = [data] if self.dice.random() < 0.5 else [data[:16], data[16:]]
        writable = [room + 1] if self.dice.random() < 0.5 else [room, 1]
        return self.place([one for one in readable if one], [n for n in writable if n], what)

    def judge(self, buffer, length):
        op, sector, count, body = buffer.what
        data = buffer.data()
        status, data = data[-1], data[:-1]
        ro, has = 5 in self.features, self.features
        expected = {"read": 0, "write": 1 if ro else 0, "flush": 0,
            "id": 2 if self.o["serial"] is None else 0, "unknown": 2,
            "beyond": 1, "far": 1, "zone": 2, "odd": 1,
            "discard": 2 if 13 not in has else int(ro), "zero": 2 if 14 not in has else int(ro),
            "unmap": 2, "flags": 2}[op]
        if not count and op in ("read", "write", "discard", "zero"):
            return
        assert status == expected, "%s: status %d, not %d" % (op, status, expected)
        if self.o["length"] == "all":
            if not status or not data:
                assert length == len(data) + 1, "%s: len %d, not %d" % (op, length, len(data) + 1)
            assert data[:length] != b"\xEE" * len(data) or not data or not length, \
                "%s: len %d counts what was not written" % (op, length)
        if op == "id" and not status:
            assert data == self.o["serial"].ljust(20, b"\0"), data
        if op == "read":
            for i in range(count):
                known = self.disk.setdefault(sector + i, data[512 * i:512 * i + 512])
                assert data[512 * i:512 * i + 512] == known, "sector %d" % (sector + i)
        if status:
            return
        for i in range(count):
            if op == "write":
                self.disk[sector + i] = body[512 * i:512 * i + 512]
            elif op == "discard":
                self.disk.pop(sector + i, None)
            elif op == "zero":
                self.disk[sector + i] = bytes(512)

    def done(self, got, count, all_of_them=True):
        super().done(got, count, all_of_them)
        if not all_of_them:  # what was dropped may have been done or not
            for buffer in list(self.q.order):
                op, sector, length, _ = buffer.what
                for i in range(length):
                    self.disk.pop(sector + i, None)


    def rounds(self, count):
        super().rounds(count)
        if 12 in self.features and count == 6:
            self.neighbours()

    def neighbours(self):
        """Two queues: a reset of one leaves the other alone."""
        first, second = self.q, self.s.queue(1)
        for turn in range(2):
            self.q = second
            count = self.prepare(3)
            second.publish()
            second.kick()
            if turn and F_RESET in self.features:
                self.peer.ask(11, struct.pack("<I", 0))
                self.q = first = self.s.queue(0)
                self.round("all")
                self.q = second
            self.s.pass_time()
            self.done(second.collect(), count)
            assert second.told, "no EVENT_USED for queue 1"
            second.ask("all")
            second.told = 0
        self.q = first


class Entropy(Walk):
    def add(self):
        return self.place([], [self.dice.choice((1, 5, 16, 100))], None)

    seen = ()

    def judge(self, buffer, length):
        data = buffer.data()[:length]
        assert length >= 1, "no random bytes"
        assert length < 12 or data[-8:] != b"\xEE" * 8, "len counts what was not written"
        assert length < 12 or data[:12] not in self.seen, "the same bytes again"
        self.seen += (data[:12],)
        assert length < 16 or len(set(data)) > 4, "not random: " + data.hex()


class Loop(Walk):
    """A pair of queues, of which the first receives what the second sends."""
    main = 1

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.renew()

    def renew(self):
        self.sent, self.came = b"", b""

    def open(self, size=None, fill=False):
        self.renew()
        if not super().open(size, fill):
            return False
        self.rx = self.s.queue(0)
        return self.rx is not None

    def supply(self):
        """Fills the receive queue."""
        while self.rx.add([], [self.dice.choice(self.SPACES)], F_INDIRECT in self.features and
                self.dice.random() < 0.5):
            if len(self.rx.order) + len(self.rx.pending) >= 8:
                break
        self.rx.publish()
        if self.peer.status() & 4:
            self.rx.kick()

    def judge(self, buffer, length):
        assert length == 0, "len %d where nothing can be written" % length

    def arrive(self):
        """Collects what came."""
        for _ in range(200):
            self.supply()
            self.s.pass_time()
            got = self.rx.collect()
            assert self.rx.told or not got, "no EVENT_USED for what arrived"
            self.rx.ask("all")
            self.rx.told = 0
            self.came_in(got)
            if not got:
                break

    def round(self, mode):
        super().round(mode)
        self.arrive()
        self.settle()

    def before_ok(self):
        self.supply()
        super().before_ok()
        self.rx.kick(force=True)
        self.s.pass_time()
        self.arrive()
        self.settle()

    def in_two_steps(self):
        super().in_two_steps()
        self.arrive()
        self.settle()

    def after_queue_reset(self, before):
        """What was in flight may have gone through or not."""
        self.arrive()
        self.renew()

    def device_reset(self, count):
        self.supply()
        super().device_reset(count)


class Console(Loop):
    SPACES = (1, 4, 16, 64)
    change = 0, struct.pack("<HH", 132, 43)

    def run(self):
        self.peer.reset()
        generation, _ = self.config(0, 4)
        answer = self.peer.ask(6, struct.pack("<IIII", generation, 8, 4, 33))
        assert struct.unpack_from("<II", answer, 4) == (8, 4), "emerg_wr is refused at status 0"
        if 1 in self.features:
            self.multiport()
        return super().run()

    def multiport(self):
        """Two ports come, and the second loops."""
        self.s = driver.Session(self.peer, self.features, self.size)
        self.s.begin()
        q = {i: self.s.queue(i) for i in (2, 3, 4, 5)}
        ports, heard, seen = set(), [], []
        self.s.live()
        for i in range(12):
            while q[2].add([], [40]):
                pass
            if i == 0:
                q[3].add([struct.pack("<IHH", 0, 0, 1)], [])
            elif i in (4, 5):
                q[3].add([struct.pack("<IHH", i - 4, 3, 1)], [])
            for one in (q[2], q[3]):
                one.publish()
                one.kick()
            self.s.pass_time()
            assert all(length == 0 for _, length in q[3].collect())
            heard += [b.data()[:n] for b, n in q[2].collect()]
        for message in heard:
            port, event, value = struct.unpack_from("<IHH", message)
            seen.append(event)
            if event == 1:
                assert port not in ports and port < 2, "DEVICE_ADD %d" % port
                ports.add(port)
            assert port in ports, "event %d for port %d" % (event, port)
        assert seen.count(1) == 2 and 6 in seen and 4 in seen and 7 in seen, seen
        q[5].add([b"hello port 1"], [])
        q[4].add([], [40])
        for one in (q[4], q[5]):
            one.publish()
            one.kick()
        self.s.pass_time()
        (buffer, length), = q[4].collect()
        assert buffer.data()[:length] == b"hello port 1"
        self.s.close()

    def add(self):
        if self.room_left() <= 0:
            return None
        data = bytes(self.dice.randrange(256) for _ in range(self.dice.choice((1, 3, 40))))
        buffer = self.place([data], [], None)
        if buffer:
            self.sent += data
        return buffer

    def room_left(self):
        return 400 - (len(self.sent) - len(self.came))

    def came_in(self, got):
        for buffer, length in got:
            assert length >= 1
            self.came += buffer.data()[:length]

    def settle(self):
        greeting = b"login: " if self.o["greets"] else b""
        if not self.o["loops"]:
            assert not self.came
            self.sent = b""
        else:
            assert self.came in (self.sent, greeting + self.sent), "%r is not %r" % (
                self.came[:20], self.sent[:20])
        self.renew()


class Net(Loop):
    SPACES = (60, 90, 300, 1526, 1526)
    change = 6, b"\0\0"

    def config_change(self):
        assert self.config(10, 2)[1] == b"\xDC\x05", "mtu changed"
        super().config_change()

    def renew(self):
        self.sent, self.came, self.parts = [], [], []

    def supply(self):
        few = min(8, self.rx.size)
        spaces = [n for n in self.SPACES if n * few >= 412 and (15 in self.features or n > 1500)]
        while self.rx.add([], [self.dice.choice(spaces)],
                F_INDIRECT in self.features and self.dice.random() < 0.5):
            if len(self.rx.order) + len(self.rx.pending) >= 8:
                break
        self.rx.publish()
        if self.peer.status() & 4:
            self.rx.kick()

    def add(self):
        if len(self.sent) > 6:
            return None
        frame = bytes(self.dice.randrange(256) for _ in range(self.dice.choice((14, 60, 400))))
        header = struct.pack("<BBHHHHH", self.dice.choice((0, 128)), 0, 0, 0, 7, 9, 0)
        buffer = self.place([header + frame], [], None)
        if buffer:
            self.sent.append(frame)
        return buffer

    def came_in(self, got):
        self.parts += got
        while self.parts:
            data = self.parts[0][0].data()[:self.parts[0][1]]
            assert len(data) >= 12, "a header of %d bytes" % len(data)
            flags, gso, _, _, _, _, buffers = struct.unpack_from("<BBHHHHH", data)
            assert not flags and not gso, "flags %#x, gso_type %#x" % (flags, gso)
            assert 15 in self.features and buffers or buffers == 1, "num_buffers %d" % buffers
            assert len(self.parts) >= buffers, "a part of a packet"
            for i in range(1, buffers):
                assert self.parts[i - 1][1] == self.parts[i - 1][0].space, "not filled"
                data += self.parts[i][0].data()[:self.parts[i][1]]
            self.came.append(data[12:])
            del self.parts[:buffers]

    def settle(self):
        came = [frame for frame in self.came if frame[:6] != b"\xFF" * 6 or not self.o["greets"]]
        assert came == (self.sent if self.o["loops"] else []), "%d frames came, %d were sent" % (
            len(came), len(self.sent))
        self.renew()


WALKS = {1: Net, 2: Block, 3: Console, 4: Entropy}


def exercise(peer, few=0):
    """Walks through the combinations that the device offers, or few of them; how many there
    were."""
    walk = WALKS.get(peer.bus.devices[peer.number].o["type"])
    o = peer.bus.devices[peer.number].o
    if walk is None or not o["process_io"] or o["own_changes"] or o["timed_changes"]:
        return 0
    count = 0
    for features, size in combinations(peer):
        if few and count >= few:
            break
        try:
            one = walk(peer, features, size)
            one.long = size == 4 and F_PACKED not in features
            count += bool(one.run())
        except AssertionError as e:
            raise AssertionError("%s (features %s, size %s)" % (e, sorted(features), size)) from e
    return count
