# SPDX-License-Identifier: BSD-3-Clause
"""What the device types do with the buffers of their virtqueues: block on memory that grows as it
is written, entropy, console and network as loopback, and types of which nothing is known."""
import os
import struct

SECTOR = 512
IN, OUT, FLUSH, GET_ID, DISCARD, WRITE_ZEROES = 0, 1, 4, 8, 11, 13
OK, IOERR, UNSUPP = 0, 1, 2
RO, F_FLUSH, F_DISCARD, F_WRITE_ZEROES = 5, 9, 13, 14
MRG_RXBUF, F_MULTIPORT = 15, 1
NET_HEADER, LONGEST_FRAME, BACKLOG = 12, 1514, 64


class Work:
    """A device whose purpose is not known: it takes every buffer and fills it with zeros."""

    def __init__(self, device, path):
        self.device, self.path, self.o = device, path, device.o

    @property
    def mem(self):
        return self.path.mem

    def receives(self, index):
        """Whether buffers of this queue wait for something to arrive."""
        return False

    def start(self):
        """DRIVER_OK was set."""

    def forget(self):
        """The device was reset."""

    def request(self, index, chain):
        """Serves one buffer: how many bytes from its first writable one on were written."""
        self.mem.scatter(chain.writable, 0, bytes(chain.space))
        return chain.space

    def due(self, index):
        """Whether something waits for buffers of a receiving queue."""
        return False

    def receive(self, index, take):
        """Fills buffers that `take` gives: [(chain, written)], used together; None: it waits."""
        return None


class Input(Work):
    def receives(self, index):
        return index == 0


class Block(Work):
    def request(self, index, chain):
        if not chain.space:
            return 0
        status, data = self.execute(self.mem.gather(chain.readable), chain.space - 1)
        written = self.answer(chain, data)
        self.put_status(chain, status)
        if self.o["length"] != "all":
            return 0 if self.o["length"] == "zero" else written
        return written + 1 if written == chain.space - 1 else written

    def answer(self, chain, data):
        """How much of what comes before the status was written."""
        room = chain.space - 1
        if self.o["fill"] == "zeros":
            data = data.ljust(room, b"\0")
        self.mem.scatter(chain.writable, 0, data[:room])
        return min(len(data), room)

    def put_status(self, chain, status):
        self.mem.scatter(chain.writable, chain.space - 1, bytes([status]))

    def execute(self, request, room):
        """(status, data to be written)"""
        if len(request) < 16:
            return IOERR, b""
        kind, _, sector = struct.unpack_from("<IIQ", request)
        body = request[16:]
        if kind == IN:
            return self.read(sector, room)
        if kind == OUT:
            return self.write(sector, body), b""
        if kind == FLUSH:
            return self.flush(), b""
        if kind == GET_ID and self.o["serial"] is not None:
            return OK, self.o["serial"].ljust(20, b"\0")[:20]
        if kind == DISCARD and self.device.negotiated(F_DISCARD):
            return self.ranges(body, 36, 0, self.discard), b""
        if kind == WRITE_ZEROES and self.device.negotiated(F_WRITE_ZEROES):
            return self.ranges(body, 48, 1, self.zero), b""
        return UNSUPP, b""

    def capacity(self):
        return struct.unpack_from("<Q", self.device.config)[0]

    def read_only(self):
        return RO in self.o["features"]

    def inside(self, sector, length):
        return not length % SECTOR and sector + length // SECTOR <= self.capacity()

    def read(self, sector, room):
        if not self.inside(sector, room):
            return IOERR, b""
        return OK, b"".join(self.sector(sector + i) for i in range(room // SECTOR))

    def sector(self, number):
        found = self.device.disk.get(number)
        if found is None:
            found = struct.pack("<Q", number * 0x9E3779B97F4A7C15 & 2 ** 64 - 1) * 64 if \
                self.o["used_disk"] else bytes(SECTOR)
        return found

    def write(self, sector, data):
        if self.read_only() or not self.inside(sector, len(data)):
            return IOERR
        self.store(sector, data)
        return OK

    def store(self, sector, data):
        for i in range(len(data) // SECTOR):
            self.device.disk[sector + i] = data[i * SECTOR:(i + 1) * SECTOR]

    def flush(self):
        return OK

    def ranges(self, body, limits, allowed, act):
        """Discard and write zeroes: every segment is looked at before any is done."""
        most, segments = struct.unpack_from("<II", self.device.config, limits)
        parts = [struct.unpack_from("<QII", body, at) for at in range(0, len(body) // 16 * 16, 16)]
        if any(flags & ~allowed for _, _, flags in parts):
            return UNSUPP
        if self.read_only() or not parts or len(body) % 16 or len(parts) > segments:
            return IOERR
        if any(count > most or sector + count > self.capacity() for sector, count, _ in parts):
            return IOERR
        for sector, count, _ in parts:
            act(sector, count)
        return OK

    def discard(self, sector, count):
        if self.o["discards"]:
            self.store(sector, b"\xDD" * SECTOR * count)

    def zero(self, sector, count):
        self.store(sector, bytes(SECTOR * count))


class Entropy(Work):
    def request(self, index, chain):
        count = chain.space
        if self.o["entropy_most"]:
            count = min(count, self.o["entropy_most"])
        self.mem.scatter(chain.writable, 0, self.random(count))
        return count

    def random(self, count):
        return os.urandom(count)


class Console(Work):
    """Port 0 and, with MULTIPORT, port 1: what is sent comes back."""

    def __init__(self, device, path):
        super().__init__(device, path)
        self.forget()

    def forget(self):
        self.arrived, self.ports = {}, set()

    def start(self):
        if self.o["greets"]:
            self.arrived[0] = bytearray(b"login: ")

    def multiport(self):
        return self.device.negotiated(F_MULTIPORT)

    def receives(self, index):
        return index % 2 == 0

    def due(self, index):
        return bool(self.arrived.get(index))

    def request(self, index, chain):
        data = self.mem.gather(chain.readable)
        if index == 3:
            if self.multiport() and len(data) >= 8:
                self.control(*struct.unpack_from("<IHH", data))
        elif self.o["loops"]:
            self.arrived.setdefault(index - 1, bytearray()).extend(data)
        return 0

    def say(self, port, event, value=0, more=b""):
        message = struct.pack("<IHH", port, event, value) + more
        self.arrived.setdefault(2, []).append(message)

    def control(self, port, event, value):
        if event == 0 and value == 1:
            for one in (0, 1):
                if one not in self.ports:
                    self.ports.add(one)
                    self.say(one, 1)
        elif event == 3 and value == 1 and port in self.ports:
            if port == 0:
                self.say(0, 4, 1)
            else:
                self.say(port, 7, 1, b"org.example.port")
            self.say(port, 6, 1)

    def receive(self, index, take):
        chain = take()
        if chain is None:
            return None
        if index == 2:
            message = self.arrived[2].pop(0)
            self.mem.scatter(chain.writable, 0, message)
            return [(chain, min(len(message), chain.space))]
        count = min(len(self.arrived[index]), chain.space)
        self.mem.scatter(chain.writable, 0, bytes(self.arrived[index][:count]))
        del self.arrived[index][:count]
        return [(chain, count)]


class Net(Work):
    """What is sent comes back on the receiving queue of the pair."""

    def __init__(self, device, path):
        super().__init__(device, path)
        self.forget()

    def forget(self):
        self.arrived = {}

    def start(self):
        if self.o["greets"]:
            self.arrived[0] = [b"\xFF" * 6 + self.device.config[:6] + b"\x08\x06" + bytes(46)]

    def receives(self, index):
        return index % 2 == 0

    def due(self, index):
        return bool(self.arrived.get(index))

    def request(self, index, chain):
        data = self.mem.gather(chain.readable)
        frame = data[NET_HEADER:]
        waiting = self.arrived.setdefault(index - 1, [])
        if self.o["loops"] and 14 <= len(frame) <= LONGEST_FRAME and len(waiting) < BACKLOG:
            waiting.append(frame)
        return 0

    def header(self, buffers):
        return struct.pack("<BBHHHHH", 0, 0, 0, 0, 0, 0, buffers)

    def receive(self, index, take):
        frame = self.arrived[index][0]
        chains, room, merges = [], 0, self.device.negotiated(MRG_RXBUF)
        while room < NET_HEADER + len(frame):
            chain = take()
            if chain is None:
                self.path.give_back(index, chains)
                return None
            chains.append(chain)
            room += chain.space
            if room < NET_HEADER or not merges and room < NET_HEADER + len(frame):
                self.path.give_back(index, chains)
                self.arrived[index].pop(0)  # the next buffer cannot hold it
                return []
        self.arrived[index].pop(0)
        return self.spread(chains, self.header(len(chains)) + frame)

    def spread(self, chains, data):
        done = []
        for chain in chains:
            part = data[:chain.space]
            self.mem.scatter(chain.writable, 0, part)
            done.append((chain, len(part)))
            data = data[len(part):]
        return done


KINDS = {1: Net, 2: Block, 3: Console, 4: Entropy, 18: Input}


def make(device, path):
    if device.o["zones"] is not None:
        import zones
        return zones.ZonedBlock(device, path)
    return KINDS.get(device.o["type"], Work)(device, path)
