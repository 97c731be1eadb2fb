# SPDX-License-Identifier: BSD-3-Clause
"""The device end of split and packed virtqueues, as far as device.py needs it: every
chain that is available is served and used at once. Memory is not trusted; an address outside of it
stops the queue quietly."""
import mmap
import os
import struct

INDIRECT_DESC, EVENT_IDX, RING_PACKED = 28, 29, 34
NEXT, WRITE, INDIRECT, AVAIL, USED = 1, 2, 4, 0x80, 0x8000
SECTOR = 512


class Outside(Exception):
    """An address or a chain that no driver should have given."""


class Memory:
    def __init__(self, fd, base, size):
        self.map, self.base, self.size = mmap.mmap(fd, size), base, size

    def at(self, address, length):
        offset = address - self.base
        if offset < 0 or offset + length > self.size:
            raise Outside(hex(address))
        return offset

    def read(self, address, length):
        offset = self.at(address, length)
        return self.map[offset:offset + length]

    def write(self, address, data):
        offset = self.at(address, len(data))
        self.map[offset:offset + len(data)] = data

    def u16(self, address):
        return struct.unpack("<H", self.read(address, 2))[0]


class Ring:
    """Where a queue stands; made when the queue is first looked at and thrown away with it."""

    def __init__(self):
        self.avail = self.used = 0
        self.avail_wrap = self.used_wrap = 1
        self.stuck = False


def process(device, index, q):
    """Serve what is available. True: the driver wants to hear of it."""
    bus = device.bus
    if bus.mem is None:
        bus.mem = Memory(bus.mem_fd, bus.mem_base, bus.mem_size)
    if q.ring is None:
        q.ring = Ring()
    if q.ring.stuck or not wants(device, index):
        return False
    try:
        run = packed if device.negotiated(RING_PACKED) else split
        return run(device, bus.mem, q, q.ring)
    except Outside:
        q.ring.stuck = True
        return False


def wants(device, index):
    """Receiving queues keep their buffers until something arrives, which here is never."""
    kind = device.o["type"]
    if kind in (1, 3):
        return index % 2 == 1
    return not (kind == 18 and index == 0)


def split(device, mem, q, ring):
    first = ring.used
    while ring.avail != mem.u16(q.driver + 2):
        head = mem.u16(q.driver + 4 + 2 * (ring.avail % q.size))
        ring.avail = ring.avail + 1 & 0xFFFF
        written = serve(device, mem, split_chain(mem, q.desc, q.size, head))
        mem.write(q.device + 4 + 8 * (ring.used % q.size), struct.pack("<II", head, written))
        ring.used = ring.used + 1 & 0xFFFF
        mem.write(q.device + 2, struct.pack("<H", ring.used))
    if device.negotiated(EVENT_IDX):
        mem.write(q.device + 4 + 8 * q.size, struct.pack("<H", ring.avail))
    if first == ring.used:
        return False
    if device.negotiated(EVENT_IDX):
        event = mem.u16(q.driver + 4 + 2 * q.size)
        return (ring.used - event - 1 & 0xFFFF) < (ring.used - first & 0xFFFF)
    return not mem.u16(q.driver) & 1


def split_chain(mem, table, size, index):
    chain = []
    while True:
        if index >= size or len(chain) >= size:
            raise Outside("descriptor %d" % index)
        address, length, flags, following = struct.unpack("<QIHH", mem.read(table + 16 * index, 16))
        if flags & INDIRECT:
            return split_chain(mem, address, length // 16, 0)
        chain.append((address, length, flags))
        if not flags & NEXT:
            return chain
        index = following


def packed(device, mem, q, ring):
    start, start_wrap, did = ring.used, ring.used_wrap, 0
    while True:
        chain, taken, ident = packed_chain(mem, q, ring)
        if not taken:
            break
        written = serve(device, mem, chain)
        flags = (AVAIL | USED if ring.used_wrap else 0) | (WRITE if written else 0)
        mem.write(q.desc + 16 * ring.used + 8, struct.pack("<IH", written, ident))
        mem.write(q.desc + 16 * ring.used + 14, struct.pack("<H", flags))
        ring.used += taken
        if ring.used >= q.size:
            ring.used, ring.used_wrap = ring.used - q.size, 1 - ring.used_wrap
        did += taken
    if not did:
        return False
    off_wrap, flags = struct.unpack("<HH", mem.read(q.driver, 4))
    if flags & 3 == 2 and device.negotiated(EVENT_IDX):
        offset, wrap = off_wrap & 0x7FFF, off_wrap >> 15
        return (offset + (0 if wrap == start_wrap else q.size)) - start in range(did)
    return flags & 3 != 1


def packed_chain(mem, q, ring):
    """The next chain, how many slots of the ring it takes, and its id. No slots: there is none."""
    chain, taken = [], 0
    index, wrap = ring.avail, ring.avail_wrap
    while True:
        address, length, ident, flags = struct.unpack("<QIHH", mem.read(q.desc + 16 * index, 16))
        if not taken and (bool(flags & AVAIL) != bool(wrap) or bool(flags & USED) == bool(wrap)):
            return [], 0, 0
        taken += 1
        index += 1
        if index == q.size:
            index, wrap = 0, 1 - wrap
        if flags & INDIRECT:
            for i in range(min(length // 16, 1024)):
                chain.append(struct.unpack("<QI2xH", mem.read(address + 16 * i, 16)))
        else:
            chain.append((address, length, flags))
        if not flags & NEXT:
            break
        if taken >= q.size:
            raise Outside("a chain longer than the ring")
    ring.avail, ring.avail_wrap = index, wrap
    return chain, taken, ident


def serve(device, mem, chain):
    """Do one request; the number of bytes written."""
    readable = b"".join(mem.read(address, length) for address, length, flags in chain if not flags &
        WRITE)
    writable = [(address, length) for address, length, flags in chain if flags & WRITE]
    space = sum(length for _, length in writable)
    kind = device.o["type"]
    if kind == 2:
        data = block(device, readable, space)
    elif kind == 4:
        data = os.urandom(space)
    else:
        data = bytes(space)
    for address, length in writable:
        mem.write(address, data[:length])
        data = data[length:]
    return space


def block(device, request, space):
    """A block request: its data and the status byte behind it."""
    if len(request) < 16 or space < 1:
        return b"\1" * space
    kind, _, sector = struct.unpack_from("<IIQ", request)
    capacity, = struct.unpack_from("<Q", device.config)
    status, data = 0, bytes(space - 1)
    if kind == 0:
        if sector + (space - 1) // SECTOR > capacity:
            status = 1
        else:
            data = b"".join(device.disk.get(sector + i, bytes(SECTOR)) for i in
                range((space - 1) // SECTOR))
    elif kind == 1:
        body = request[16:]
        if sector + len(body) // SECTOR > capacity:
            status = 1
        else:
            for i in range(len(body) // SECTOR):
                device.disk[sector + i] = body[i * SECTOR:(i + 1) * SECTOR]
    elif kind == 8:
        data = b"plain python"
    elif kind != 4:
        status = 2
    return data.ljust(space - 1, b"\0")[:space - 1] + bytes([status])
