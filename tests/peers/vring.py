# SPDX-License-Identifier: BSD-3-Clause
"""The device end of split and packed virtqueues in memory that the driver can scribble on: every
address, index and length from the ring is checked where it is used, and what no driver may put
there raises Broken."""
import mmap
import struct

NEXT, WRITE, INDIRECT, AVAIL, USED = 1, 2, 4, 0x80, 0x8000
ENABLE, DISABLE, DESC = 0, 1, 2
LONGEST_TABLE = 4096


class Broken(Exception):
    """A ring, a chain or an address that no driver should have given."""


class Memory:
    """The shared region, by bus address."""

    def __init__(self, fd, base, size):
        self.map, self.base, self.size = mmap.mmap(fd, size), base, size

    def at(self, address, length):
        offset = address - self.base
        if offset < 0 or offset + length > self.size:
            raise Broken("%#x, %d bytes" % (address, length))
        return offset

    def read(self, address, length):
        offset = self.at(address, length)
        return self.map[offset:offset + length]

    def write(self, address, data):
        offset = self.at(address, len(data))
        self.map[offset:offset + len(data)] = data

    def u16(self, address):
        return struct.unpack("<H", self.read(address, 2))[0]

    def put16(self, address, value):
        self.write(address, struct.pack("<H", value & 0xFFFF))

    def gather(self, pieces):
        return b"".join(self.read(address, length) for address, length in pieces)

    def scatter(self, pieces, offset, data):
        """Stores data from `offset` bytes into the pieces on; what does not fit is dropped."""
        for address, length in pieces:
            if offset >= length:
                offset -= length
                continue
            part = data[:length - offset]
            self.write(address + offset, part)
            data, offset = data[len(part):], 0
            if not data:
                break


class Chain:
    """A buffer: its id, the slots that it takes, what is to be read and what may be written."""

    def __init__(self, ident, slots, elements, mem):
        self.id, self.slots = ident, slots
        self.readable = [(a, n) for a, n, flags in elements if not flags & WRITE]
        self.writable = [(a, n) for a, n, flags in elements if flags & WRITE]
        first = [bool(flags & WRITE) for _, _, flags in elements]
        if first != sorted(first):
            raise Broken("a device-readable element after a device-writable one")
        for address, length in self.readable + self.writable:
            mem.at(address, length)
        self.space = sum(n for _, n in self.writable)


class Ring:
    """What both formats share. `flight` are the chains that were taken and not yet used."""

    def __init__(self, mem, q, negotiated):
        self.mem, self.size = mem, q.size
        self.desc, self.driver, self.device = q.desc, q.driver, q.device
        self.indirect, self.event_idx = negotiated(28), negotiated(29)
        self.in_order = negotiated(35)
        self.flight, self.stuck, self.quiet = [], False, False
        self.always, self.clears = False, False
        self.begin()

    def table(self, address, length):
        if not self.indirect or not length or length % 16 or length // 16 > LONGEST_TABLE:
            raise Broken("an indirect table of %d bytes" % length)
        data = self.mem.read(address, length)
        return [struct.unpack_from("<QIHH", data, at) for at in range(0, length, 16)]

    def put_grouped(self, done):
        """In order: one entry for a run of buffers, as far as the skipped ones were filled."""
        run = []
        for chain, written in done:
            run.append((chain, written))
            if written != chain.space:
                self.put_run(run)
                run = []
        if run:
            self.put_run(run)


class Split(Ring):
    def begin(self):
        self.next = self.used = 0
        for address, length in ((self.desc, 16 * self.size), (self.driver, 6 + 2 * self.size),
                (self.device, 6 + 8 * self.size)):
            self.mem.at(address, length)

    def waiting(self):
        count = self.mem.u16(self.driver + 2) - self.next & 0xFFFF
        if count > self.size:
            raise Broken("the available index runs %d ahead" % count)
        return count

    def pop(self):
        head = self.mem.u16(self.driver + 4 + 2 * (self.next % self.size))
        chain = Chain(head, 1, self.elements(head), self.mem)
        self.next = self.next + 1 & 0xFFFF
        return chain

    def elements(self, head):
        """(address, length, flags) of a chain; an indirect table can be its last descriptor."""
        found, table = self.walk(self.slot, self.size, head)
        if table:
            rows = self.table(*table)
            more, inner = self.walk(rows.__getitem__, len(rows), 0)
            if inner:
                raise Broken("a table inside a table")
            found += more
        return found

    def slot(self, index):
        return struct.unpack("<QIHH", self.mem.read(self.desc + 16 * index, 16))

    def walk(self, get, limit, index):
        """The elements of a chain, and address and length of the table that follows them."""
        found = []
        while True:
            if index >= limit or len(found) >= limit:
                raise Broken("descriptor %d of %d" % (index, limit))
            address, length, flags, following = get(index)
            if flags & INDIRECT:
                if flags & NEXT:
                    raise Broken("flags %#x" % flags)
                return found, (address, length)
            found.append((address, length, flags))
            if not flags & NEXT:
                return found, None
            index = following

    def reached(self, notified):
        """Whether the driver's notification speaks of no more than what was taken."""
        return self.next == notified & 0xFFFF | notified >> 16 & 0x8000

    def mark(self):
        return self.used

    def entry(self, at, chain, written):
        self.mem.write(self.device + 4 + 8 * (at % self.size), struct.pack("<II", chain.id,
            written))

    def advance(self, count):
        self.used = self.used + count & 0xFFFF
        self.mem.put16(self.device + 2, self.used)

    def put(self, done):
        for i, (chain, written) in enumerate(done):
            self.entry(self.used + i, chain, written)
        self.advance(len(done))

    def put_run(self, run):
        self.entry(self.used, *run[-1])
        self.advance(len(run))

    def wanted(self, since):
        """Whether the driver asks to hear of what was used since mark() gave `since`."""
        if self.used == since:
            return False
        if not self.event_idx:
            return not self.mem.u16(self.driver) & 1
        event = self.mem.u16(self.driver + 4 + 2 * self.size)
        return (self.used - event - 1 & 0xFFFF) < (self.used - since & 0xFFFF)

    def suppressed(self):
        return not self.event_idx and bool(self.mem.u16(self.driver) & 1)

    def hush(self):
        """Available buffer notifications are not needed for now."""
        if not self.event_idx:
            self.mem.put16(self.device, 1)
        self.quiet = True

    def invite(self):
        """They are needed again."""
        if self.event_idx or self.always:
            self.mem.put16(self.device + 4 + 8 * self.size, self.next)
        if not self.event_idx and self.quiet:
            self.mem.put16(self.device, 0)
        self.quiet = False


class Packed(Ring):
    def begin(self):
        self.next = self.used = 0
        self.next_wrap = self.used_wrap = 1
        for address, length in ((self.desc, 16 * self.size), (self.driver, 4), (self.device, 4)):
            self.mem.at(address, length)

    def slot(self, index):
        return struct.unpack("<QIHH", self.mem.read(self.desc + 16 * index, 16))

    def waiting(self):
        flags = self.slot(self.next)[3]
        return bool(flags & AVAIL) == bool(self.next_wrap) != bool(flags & USED)

    def step(self, index, wrap, count):
        index += count
        return (index - self.size, 1 - wrap) if index >= self.size else (index, wrap)

    def pop(self):
        index, wrap, elements, slots = self.next, self.next_wrap, [], 0
        while True:
            address, length, ident, flags = self.slot(index)
            slots += 1
            index, wrap = self.step(index, wrap, 1)
            if flags & INDIRECT:
                if flags & NEXT or slots > 1:
                    raise Broken("flags %#x" % flags)
                elements = [(a, n, f) for a, n, _, f in self.table(address, length)]
                break
            elements.append((address, length, flags))
            if not flags & NEXT:
                break
            if slots >= self.size:
                raise Broken("a list longer than the ring")
        chain = Chain(ident, slots, elements, self.mem)
        self.next, self.next_wrap = index, wrap
        return chain

    def reached(self, notified):
        return (self.next, self.next_wrap) == (notified & 0x7FFFFFFF, notified >> 31)

    def mark(self):
        return self.used, self.used_wrap

    def entry(self, at, wrap, chain, written):
        """A used descriptor; its flags are written last."""
        flags = (AVAIL | USED if wrap else 0) | (WRITE if chain.space and written else 0)
        if self.clears:
            self.mem.write(self.desc + 16 * at, bytes(8))
        self.mem.write(self.desc + 16 * at + 8, struct.pack("<IH", written, chain.id))
        self.mem.put16(self.desc + 16 * at + 14, flags)

    def put(self, done):
        """The first descriptor last, so that the driver sees all or none."""
        places, at, wrap = [], self.used, self.used_wrap
        for chain, written in done:
            places.append((at, wrap, chain, written))
            at, wrap = self.step(at, wrap, chain.slots)
        for place in places[:0:-1]:
            self.entry(*place)
        if places:
            self.entry(*places[0])
        self.used, self.used_wrap = at, wrap

    def put_run(self, run):
        self.entry(self.used, self.used_wrap, *run[-1])
        self.used, self.used_wrap = self.step(self.used, self.used_wrap, sum(chain.slots for chain,
            _ in run))

    def wanted(self, since):
        if (self.used, self.used_wrap) == since:
            return False
        off_wrap, flags = struct.unpack("<HH", self.mem.read(self.driver, 4))
        if flags & 3 != DESC or not self.event_idx:
            return flags & 3 != DISABLE
        start, wrap = since
        done = self.used - start + (0 if self.used_wrap == wrap else self.size)
        event = (off_wrap & 0x7FFF) + (0 if off_wrap >> 15 == wrap else self.size)
        return start <= event < start + done

    def suppressed(self):
        return self.mem.u16(self.driver + 2) & 3 == DISABLE

    def hush(self):
        self.mem.put16(self.device + 2, DISABLE)
        self.quiet = True

    def invite(self):
        if self.event_idx:
            self.mem.put16(self.device, self.next | self.next_wrap << 15)
            self.mem.put16(self.device + 2, DESC)
        elif self.quiet:
            self.mem.put16(self.device + 2, ENABLE)
        self.quiet = False
