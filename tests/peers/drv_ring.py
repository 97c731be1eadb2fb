# SPDX-License-Identifier: BSD-3-Clause
"""The driver end of split and packed virtqueues for drv.py, written from core virtio's text. The
device is not trusted: what it may not put into a ring raises Nonsense."""
import mmap
import struct

NEXT, WRITE, INDIRECT, AVAIL, USED = 1, 2, 4, 0x80, 0x8000


class Nonsense(Exception):
    """The device put something into a ring that cannot be there."""


class Memory:
    """The shared region by bus address; each device has a part of its own."""

    def __init__(self, fd, base, size):
        self.map, self.base, self.size, self.owners = mmap.mmap(fd, size), base, size, []

    def part(self, number, parts=8):
        """A part for each device, in the order in which they come."""
        size = self.size // parts
        if number not in self.owners:
            self.owners.append(number)
        return Arena(self, self.base + size * (self.owners.index(number) % parts), size)

    def read(self, address, length):
        at = address - self.base
        return self.map[at:at + length]

    def write(self, address, data):
        at = address - self.base
        self.map[at:at + len(data)] = data

    def u16(self, address):
        return struct.unpack_from("<H", self.map, address - self.base)[0]

    def put16(self, address, value):
        struct.pack_into("<H", self.map, address - self.base, value & 0xFFFF)


class Arena:
    """Memory that is given out piece by piece, and all taken back at a reset."""

    def __init__(self, memory, start, size):
        self.memory, self.start, self.end, self.top = memory, start, start + size, start

    def clear(self):
        self.top = self.start

    def mark(self):
        return self.top

    def release(self, mark):
        self.top = mark

    def take(self, length, align=16, data=b""):
        at = -(-self.top // align) * align
        if at + length > self.end:
            raise MemoryError("no shared memory left")
        self.top = at + length
        self.memory.write(at, data.ljust(length, b"\0"))
        return at


class Ring:
    """What split and packed rings have in common. `pieces` are (address, length, writable)."""

    def __init__(self, arena, index, size, has, opt, bugs):
        self.memory, self.index, self.size, self.has = arena.memory, index, size, has
        self.opt, self.bugs, self.told = opt, bugs, 0
        self.desc = arena.take(16 * size, 16)
        self.driver = arena.take(self.driver_size(), self.driver_align)
        self.device = arena.take(self.device_size(), self.device_align)
        self.arena = arena
        self.flight = {}
        self.begin()

    def addresses(self):
        return self.desc, self.driver, self.device

    def table(self, pieces):
        rows = []
        for i, (address, length, writable) in enumerate(pieces):
            rows.append(self.row(i, len(pieces), address, length, WRITE if writable else 0))
        return self.arena.take(16 * len(rows), 16, b"".join(rows)), 16 * len(rows)


class Split(Ring):
    driver_align, device_align = 2, 4

    def driver_size(self):
        return 6 + 2 * self.size

    def device_size(self):
        return 6 + 8 * self.size

    def begin(self):
        self.free = list(range(self.size))
        if self.opt["slots"] == "high":
            self.free.reverse()
        self.avail = self.used = self.shown = 0
        self.heads = []
        if self.opt["quiet"]:
            self.memory.put16(self.driver, 0 if self.has(29) else 1)
        if "avail-flags" in self.bugs:
            self.memory.put16(self.driver, 2)
        if "used-flags-dirty" in self.bugs:
            self.memory.put16(self.device, 1)

    def row(self, i, count, address, length, flags):
        more = i + 1 < count
        if "nested-indirect" in self.bugs and i == 0:
            flags |= INDIRECT
        return struct.pack("<QIHH", address, length, flags | (NEXT if more else 0),
            i + 1 if more else 0)

    def room(self):
        return len(self.free)

    def add(self, pieces, what, indirect):
        """Makes descriptors of a request; publish() shows it. Its key."""
        if indirect:
            address, length = self.table(pieces)
            pieces = [(address, length, None)]
        slots = [self.free.pop(0) for _ in pieces]
        for i, (address, length, writable) in enumerate(pieces):
            flags = INDIRECT if writable is None else WRITE if writable else 0
            if writable is None and "indirect-next" in self.bugs:
                flags |= NEXT
            more = i + 1 < len(pieces)
            self.memory.write(self.desc + 16 * slots[i], struct.pack("<QIHH", address, length,
                flags | (NEXT if more else 0), slots[i + 1] if more else 0))
        self.flight[slots[0]] = (what, slots)
        self.heads.append(slots[0])
        return slots[0]

    def publish(self):
        for head in self.heads:
            self.memory.put16(self.driver + 4 + 2 * (self.avail % self.size), head)
            self.avail = self.avail + 1 & 0xFFFF
            if self.opt["one-by-one"]:
                self.memory.put16(self.driver + 2, self.avail)
        self.heads = []
        self.memory.put16(self.driver + 2, self.avail)
        if "idx-back" in self.bugs and self.avail > 5:
            self.memory.put16(self.driver + 2, 1)
        if self.has(29):
            self.memory.put16(self.driver + 4 + 2 * self.size,
                self.used - 1 if self.opt["quiet"] else self.used)

    def wanted(self):
        """Whether the device wants to be told of what was published since it was last asked."""
        old, self.shown = self.shown, self.avail
        if not self.has(29):
            return not self.memory.u16(self.device) & 1
        event = self.memory.u16(self.device + 4 + 8 * self.size)
        return (self.avail - event - 1 & 0xFFFF) < (self.avail - old & 0xFFFF)

    def data(self):
        return self.avail & 0x7FFF | (self.avail & 0x8000) << 16

    def pending(self):
        return self.memory.u16(self.device + 2) != self.used

    def collect(self):
        got = []
        idx = self.memory.u16(self.device + 2)
        if (idx - self.used & 0xFFFF) > len(self.flight):
            raise Nonsense("used idx %d" % idx)
        while self.used != idx:
            at = self.device + 4 + 8 * (self.used % self.size)
            ident, length = struct.unpack("<II", self.memory.read(at, 8))
            if ident not in self.flight:
                raise Nonsense("used id %d" % ident)
            what, slots = self.flight.pop(ident)
            self.free += slots
            self.used = self.used + 1 & 0xFFFF
            got.append((what, length))
        if got and self.has(29):
            self.memory.put16(self.driver + 4 + 2 * self.size,
                self.used - 1 if self.opt["quiet"] else self.used)
        return got


class Packed(Ring):
    driver_align, device_align = 4, 4

    def driver_size(self):
        return 4

    device_size = driver_size

    def begin(self):
        self.avail = self.used = 0
        self.wrap = self.used_wrap = 1
        self.ids = list(range(self.size))
        self.shown, self.left, self.late = (0, 1), self.size, []
        if self.opt["quiet"]:
            self.memory.write(self.driver, struct.pack("<HH", 0, 1))

    def row(self, i, count, address, length, flags):
        if "nested-indirect" in self.bugs and i == 0 and count > 1:
            flags |= NEXT
        return struct.pack("<QIHH", address, length, 0, flags)

    def room(self):
        return self.left

    def add(self, pieces, what, indirect):
        if indirect:
            address, length = self.table(pieces)
            pieces = [(address, length, None)]
        ident, first = self.ids.pop(0), None
        for i, (address, length, writable) in enumerate(pieces):
            flags = INDIRECT if writable is None else WRITE if writable else 0
            if writable is None and "indirect-next" in self.bugs:
                flags |= NEXT
            flags |= (AVAIL if self.wrap else USED) | (NEXT if i + 1 < len(pieces) else 0)
            row = struct.pack("<QIHH", address, length, ident, flags)
            at = self.desc + 16 * self.avail
            if i or "packed-first-first" in self.bugs:
                self.memory.write(at, row)
            else:
                first = at, row
            self.avail += 1
            if self.avail == self.size:
                self.avail, self.wrap = 0, 1 - self.wrap
        if first:
            self.late.append(first)
        self.flight[ident] = (what, len(pieces))
        self.left -= len(pieces)
        return ident

    def publish(self):
        for at, row in reversed(self.late):
            self.memory.write(at, row[:14])
            self.memory.put16(at + 14, struct.unpack_from("<H", row, 14)[0])
        self.late = []
        if self.has(29) and not self.opt["quiet"]:
            self.memory.write(self.driver, struct.pack("<HH", self.used | self.used_wrap << 15, 2))

    def wanted(self):
        (start, wrap), self.shown = self.shown, (self.avail, self.wrap)
        off, flags = struct.unpack("<HH", self.memory.read(self.device, 4))
        if flags & 3 != 2:
            return flags & 3 == 0
        count = self.avail - start + (0 if self.wrap == wrap else self.size)
        return 0 <= (off & 0x7FFF) + (0 if off >> 15 == wrap else self.size) - start < count

    def data(self):
        return self.avail | self.wrap << 31

    def pending(self):
        flags = self.memory.u16(self.desc + 16 * self.used + 14)
        wrap = bool(self.used_wrap)
        return bool(self.flight) and bool(flags & AVAIL) == bool(flags & USED) == wrap

    def collect(self):
        got = []
        while self.pending():
            length, ident, flags = struct.unpack("<IHH", self.memory.read(self.desc + 16 *
                self.used + 8, 8))
            if ident not in self.flight:
                raise Nonsense("used id %d" % ident)
            what, count = self.flight.pop(ident)
            self.ids.append(ident)
            self.left += count
            self.used += count
            if self.used >= self.size:
                self.used, self.used_wrap = self.used - self.size, 1 - self.used_wrap
            got.append((what, length if flags & WRITE else 0))
        if got and self.has(29) and not self.opt["quiet"]:
            self.memory.write(self.driver, struct.pack("<HH", self.used | self.used_wrap << 15, 2))
        return got
