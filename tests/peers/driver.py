# SPDX-License-Identifier: BSD-3-Clause
"""A driver end for smoke.py: split and packed virtqueues with every ring feature, over a device
that is linked in. It distrusts the device: whatever a driver can see of a rule is asserted."""
import mmap
import struct

BASE, MEMORY = 0x100000000, 1 << 20
NEXT, WRITE, INDIRECT, AVAIL, USED = 1, 2, 4, 0x80, 0x8000
F_INDIRECT, F_EVENT_IDX, F_VERSION_1, F_PACKED, F_IN_ORDER = 28, 29, 32, 34, 35
F_DATA, F_RESET = 38, 40
EVENT_CONFIG, EVENT_AVAIL, EVENT_USED = 0x40, 0x41, 0x42
GUARD = 24


class Buffer:
    """What was made available: its elements and what the device may not touch around them."""

    def __init__(self, memory, readable, writable):
        self.memory, self.readable, self.writable, self.tables = memory, [], [], []
        for data in readable:
            self.readable.append((memory.place(len(data), data), data))
        for length in writable:
            self.writable.append((memory.place(length, b"\xEE" * length), length))
        self.space = sum(n for _, n in self.writable)
        self.id, self.slots, self.what = None, 1, None

    def elements(self):
        return [(BASE + at, len(data), 0) for at, data in self.readable] + \
            [(BASE + at, n, WRITE) for at, n in self.writable]

    def data(self):
        return b"".join(self.memory.map[at:at + n] for at, n in self.writable)

    def check(self):
        for at, data in self.readable:
            assert self.memory.map[at:at + len(data)] == data, "a device-readable buffer changed"
            self.memory.guarded(at, len(data))
        for at, length in self.writable:
            self.memory.guarded(at, length)
        for at, data in self.tables:
            assert self.memory.map[at:at + len(data)] == data, "an indirect table changed"


class Memory:
    """The shared region, given out piece by piece between guards."""

    def __init__(self, fd):
        self.map = mmap.mmap(fd, MEMORY)
        self.top = 0

    def place(self, length, data=b"", align=1):
        at = -(-(self.top + GUARD) // align) * align
        self.top = at + length
        assert self.top + GUARD < MEMORY, "out of memory"
        self.map[at - GUARD:at] = b"\xA5" * GUARD
        self.map[at:at + length] = data.ljust(length, b"\0")
        self.map[at + length:at + length + GUARD] = b"\xA5" * GUARD
        return at

    def guarded(self, at, length):
        assert self.map[at - GUARD:at] == self.map[at + length:at + length +
            GUARD] == b"\xA5" * GUARD, "memory beside a buffer changed"

    def u16(self, at):
        return struct.unpack_from("<H", self.map, at)[0]

    def put16(self, at, value):
        struct.pack_into("<H", self.map, at, value & 0xFFFF)


class Vq:
    """One virtqueue; `told` counts what EVENT_USED said since the last look."""

    def __init__(self, session, index, size):
        self.session, self.memory, self.index, self.size = session, session.memory, index, size
        self.has = session.has
        self.areas = [self.memory.place(n, b"", 16) for n in self.sizes()]
        self.desc, self.driver, self.device = self.areas
        self.flight, self.order, self.told, self.pending = {}, [], 0, []
        self.begin()

    def enable(self, flags=1):
        self.session.peer.set_vqueue(self.index, flags, self.size, 0,
            *[BASE + at for at in self.areas])
        return self.session.peer.vqueue(self.index)[3] == 1

    def room(self):
        return self.size - sum(b.slots for b in self.order) - sum(b.slots for b in self.pending)

    def add(self, readable, writable, indirect=False, what=None):
        """Places a buffer; publish() makes it available. None: there is no room."""
        count = len(readable) + len(writable)
        if self.room() < (1 if indirect else count):
            return None
        buffer = Buffer(self.memory, readable, writable)
        buffer.what = what
        elements = buffer.elements()
        if indirect:
            elements = self.in_table(buffer, elements, indirect)
        buffer.slots = len(elements)
        self.write_out(buffer, elements)
        self.pending.append(buffer)
        return buffer

    def in_table(self, buffer, elements, variant):
        """All elements in a table; variant 2 and above: in unusual ways."""
        direct = []
        if variant == 2 and self.may_mix and len(elements) > 1 and self.room() > 1:
            direct, elements = elements[:1], elements[1:]
        order = list(range(len(elements)))
        if variant == 3 and self.may_mix and not self.has(F_IN_ORDER):
            order[1:] = order[:0:-1]
        rows = [b""] * len(elements)
        for i, one in enumerate(elements):
            rows[order[i]] = self.inner(order[i + 1] if i + 1 < len(order) else None, *one)
        data = b"".join(rows)
        at = self.memory.place(len(data), data, 16)
        buffer.tables.append((at, data))
        return direct + [(BASE + at, len(data), INDIRECT | (WRITE if variant > 1 else 0))]

    def kick(self, force=False):
        """Tells the device if it wants to hear of what was published."""
        if self.device_wants() or force:
            data = self.next_offset() if self.has(F_DATA) else 0
            self.session.tell(EVENT_AVAIL, struct.pack("<II", self.index, data))

    def run(self):
        """publish, kick, let time pass, collect"""
        self.publish()
        self.kick()
        self.session.pass_time()
        return self.collect()

    def take(self, ident, length):
        """The buffer that was used; in order also those that were skipped."""
        assert ident in self.flight, "id %d is not in flight" % ident
        buffer, got = self.flight[ident], []
        if self.has(F_IN_ORDER):
            while self.order[0] is not buffer:
                skipped = self.order.pop(0)
                got.append((skipped, skipped.space))
                del self.flight[skipped.id]
        self.order.remove(buffer)
        del self.flight[ident]
        assert length <= buffer.space, "len %d of %d" % (length, buffer.space)
        got.append((buffer, length))
        for one, _ in got:
            one.check()
        return got

    def check_areas(self):
        for at, length in zip(self.areas, self.sizes()):
            self.memory.guarded(at, length)


class Split(Vq):
    def sizes(self):
        return 16 * self.size, 6 + 2 * self.size, 6 + 8 * self.size

    def begin(self):
        self.avail = self.used = self.shown = 0
        self.free = list(range(self.size))
        self.shadow = None

    may_mix = True

    def inner(self, following, address, length, flags):
        return struct.pack("<QIHH", address, length, flags | (0 if following is None else NEXT),
            following or 0)

    def write_out(self, buffer, elements):
        slots = [self.free.pop(0) for _ in elements]
        for i, (address, length, flags) in enumerate(elements):
            more = i + 1 < len(elements)
            struct.pack_into("<QIHH", self.memory.map, self.desc + 16 * slots[i], address, length,
                flags | (NEXT if more else 0), slots[i + 1] if more else 0)
        buffer.id, buffer.places = slots[0], slots

    def publish(self):
        for buffer in self.pending:
            self.memory.put16(self.driver + 4 + 2 * (self.avail % self.size), buffer.id)
            self.avail = self.avail + 1 & 0xFFFF
            self.flight[buffer.id] = buffer
            self.order.append(buffer)
        self.pending = []
        self.memory.put16(self.driver + 2, self.avail)
        self.shadow = self.parts()

    def parts(self):
        m, (table, ring, _) = self.memory.map, self.sizes()
        return m[self.desc:self.desc + table], m[self.driver:self.driver + ring]

    def device_wants(self):
        old, self.shown = self.shown, self.avail
        if not self.has(F_EVENT_IDX):
            return not self.memory.u16(self.device)
        event = self.memory.u16(self.device + 4 + 8 * self.size)
        return (self.avail - event - 1 & 0xFFFF) < (self.avail - old & 0xFFFF)

    def next_offset(self):
        return self.avail & 0x7FFF | self.avail >> 15 << 31

    def ask(self, mode):
        """mode: `all`, `none`, or how many used buffers from now on are not to be told of."""
        if self.has(F_EVENT_IDX):
            ahead = {"all": 0, "none": 0x8000}.get(mode, mode)
            self.memory.put16(self.driver + 4 + 2 * self.size, self.used + ahead)
        else:
            self.memory.put16(self.driver, mode == "none")
        self.shadow = self.parts()

    def collect(self):
        flags, idx = struct.unpack_from("<HH", self.memory.map, self.device)
        assert flags in ((0,) if self.has(F_EVENT_IDX) else (0, 1)), "used flags %#x" % flags
        fresh = idx - self.used & 0xFFFF
        assert fresh <= len(self.order), "%d used of %d" % (fresh, len(self.order))
        if self.shadow:
            assert self.parts() == self.shadow, "descriptor table or available ring changed"
        got = []
        while fresh > 0:
            ident, length = struct.unpack_from("<II", self.memory.map,
                self.device + 4 + 8 * (self.used % self.size))
            some = self.take(ident, length)
            assert len(some) <= fresh, "skips more than the index tells"
            for buffer, _ in some:
                self.free += buffer.places
            self.used = self.used + len(some) & 0xFFFF
            fresh -= len(some)
            got += some
        self.check_areas()
        return got


class Packed(Vq):
    def sizes(self):
        return 16 * self.size, 4, 4

    def begin(self):
        self.avail = self.used = 0
        self.wrap = self.used_wrap = 1
        self.ids = list(range(self.size - 1, -1, -1))
        self.shown = 0, 1
        self.place = [None] * self.size

    may_mix = False

    def inner(self, following, address, length, flags):
        return struct.pack("<QIHH", address, length, 0x3333, flags)

    def write_out(self, buffer, elements):
        buffer.id = self.ids.pop(0)
        buffer.head = self.avail
        for i, (address, length, flags) in enumerate(elements):
            flags |= (AVAIL if self.wrap else USED) | (NEXT if i + 1 < len(elements) else 0)
            row = struct.pack("<QIHH", address, length, buffer.id if i + 1 == len(elements) else
                0x7777, flags)
            self.place[self.avail] = row
            if i:
                self.memory.map[self.desc + 16 * self.avail:self.desc + 16 * self.avail + 16] = row
            else:
                buffer.row = row
            self.avail += 1
            if self.avail == self.size:
                self.avail, self.wrap = 0, 1 - self.wrap

    def publish(self):
        for buffer in self.pending[::-1]:
            at = self.desc + 16 * buffer.head
            self.memory.map[at:at + 16] = buffer.row
        for buffer in self.pending:
            self.flight[buffer.id] = buffer
            self.order.append(buffer)
        self.pending = []

    def device_wants(self):
        old, self.shown = self.shown, (self.avail, self.wrap)
        off, flags = struct.unpack_from("<HH", self.memory.map, self.device)
        assert flags <= 2 and (flags < 2 or self.has(F_EVENT_IDX)), "device area flags %#x" % flags
        if flags != 2:
            return flags == 0
        start, wrap = old
        assert off & 0x7FFF < self.size, "event offset %#x" % off
        count = self.avail - start + (0 if self.wrap == wrap else self.size)
        return 0 <= (off & 0x7FFF) + (0 if off >> 15 == wrap else self.size) - start < count

    def next_offset(self):
        return self.avail | self.wrap << 31

    def ask(self, mode):
        if mode in ("all", "none"):
            off, flags = 0, int(mode == "none")
        elif self.has(F_EVENT_IDX):
            at, wrap = self.used + mode, self.used_wrap
            if at >= self.size:
                at, wrap = at - self.size, 1 - wrap
            off, flags = at | wrap << 15, 2
        else:
            return
        struct.pack_into("<HH", self.memory.map, self.driver, off, flags)
        self.suppression = (off, flags)

    def collect(self):
        got = []
        while self.order:
            at = self.desc + 16 * self.used
            length, ident, flags = struct.unpack_from("<IHH", self.memory.map, at + 8)
            if (bool(flags & AVAIL), bool(flags & USED)) != (bool(self.used_wrap),) * 2:
                break
            written = bool(flags & WRITE)
            some = self.take(ident, length if written else 0)
            for buffer, _ in some:
                self.ids.append(buffer.id)
                self.used += buffer.slots
            assert self.used <= 2 * self.size
            if self.used >= self.size:
                self.used, self.used_wrap = self.used - self.size, 1 - self.used_wrap
            got += some
        self.check_rest()
        self.check_areas()
        return got

    def check_rest(self):
        """What is still in flight keeps its descriptors, unless a used one was written over it."""
        slots, at = sum(b.slots for b in self.order), self.used
        if self.has(F_IN_ORDER) or not self.order:
            for _ in range(slots):
                row = self.memory.map[self.desc + 16 * at:self.desc + 16 * at + 16]
                assert row == self.place[at], "a descriptor in flight changed"
                at = (at + 1) % self.size
        if hasattr(self, "suppression"):
            assert struct.unpack_from("<HH", self.memory.map,
                self.driver) == self.suppression, "the driver area changed"


class Session:
    """A device from reset to DRIVER_OK, and its virtqueues."""

    def __init__(self, peer, features, size=None, sizes=None):
        self.peer, self.features, self.size = peer, set(features), size
        self.memory = Memory(peer.fd)
        self.queues, self.stray = {}, []
        self.config_events, self.heard = 0, len(peer.log)

    def close(self):
        self.memory.map.close()

    def has(self, bit):
        return bit in self.features

    def begin(self):
        """Up to FEATURES_OK; False where the device refuses the features."""
        peer = self.peer
        peer.reset()
        peer.status(1), peer.status(3)
        for block in range(2):
            bits = sum(1 << bit % 32 for bit in self.features if bit // 32 == block)
            peer.ask(4, struct.pack("<III", block, 1, bits))
        return bool(peer.status(11) & 8)

    def queue(self, index, limit=64, fill=None):
        """A virtqueue that is set up, or None where its size is refused; fill(vq) comes first."""
        most = self.peer.vqueue(index)[1]
        size = min(most, self.size or limit)
        if not size:
            return None
        vq = (Packed if self.has(F_PACKED) else Split)(self, index, size)
        self.queues[index] = vq
        if fill:
            fill(vq)
        return vq if vq.enable() else None

    def live(self):
        self.hear(forget=True)
        status = self.peer.status(15)
        assert status & 15 == 15, "status %#x" % status
        self.hear()

    def tell(self, msg_id, payload):
        self.peer.send(msg_id, payload)
        self.hear()

    def hear(self, forget=False):
        """Counts the events since it was last called."""
        log, self.heard = self.peer.log[self.heard:], len(self.peer.log)
        for m in log if not forget else ():
            if m[0] == 0 and m[1] == EVENT_USED:
                assert len(m) == 12 and m[2] | m[3] << 8 == self.peer.number, m.hex()
                index, = struct.unpack_from("<I", m, 8)
                if index in self.queues:
                    self.queues[index].told += 1
                else:
                    self.stray.append(m)
            elif m[0] == 0 and m[1] == EVENT_CONFIG:
                self.config_events += 1

    def pass_time(self):
        """Lets everything happen that time alone brings about."""
        for _ in range(3):
            if self.peer.bus.polls():
                self.peer.bus.poll()
            self.peer.settle()
            self.peer.take()
        self.hear()

    def snapshot(self):
        return self.memory.map[:]

    def untouched(self, before, what):
        assert self.memory.map[:] == before, "memory changed " + what
