#!/usr/bin/python3
"""A whole driver for an entropy device: what it takes to be tested by `plumbline test --role driver`.

It starts by itself, reads random bytes through one split virtqueue, and ends with the connection."""
import mmap
import os
import socket
import struct
import sys

ACKNOWLEDGE, DRIVER, DRIVER_OK, FEATURES_OK, NEEDS_RESET, FAILED = 1, 2, 4, 8, 64, 128
INFO, GET_FEATURES, SET_FEATURES, GET_STATUS, SET_STATUS, GET_QUEUE, SET_QUEUE = 2, 3, 4, 7, 8, 9, 10
EVENT_CONFIG, EVENT_AVAIL, EVENT_USED, ENTROPY, VERSION_1 = 0x40, 0x41, 0x42, 4, 32
WAIT_S, TRIES, BUFFERS, LENGTH = 0.5, 3, 4, 64


class GaveUp(Exception):
    """The device cannot be used."""


class Driver:
    def __init__(self, device=0):
        self.device, self.token, self.broken = device, 0, False
        self.socket = socket.socket(fileno=int(os.environ["PLUMBLINE_FD"]))
        self.memory = mmap.mmap(int(os.environ["PLUMBLINE_MEM_FD"]), int(os.environ["PLUMBLINE_MEM_SIZE"], 0))
        self.base = int(os.environ["PLUMBLINE_MEM_BASE"], 0)

    def receive(self, seconds):
        """One message of this device: (type, id, token, payload), None where none came in time."""
        self.socket.settimeout(seconds)
        try:
            message = self.socket.recv(65536)
        except TimeoutError:
            return None
        if not message:
            sys.exit(0)
        if len(message) < 8:
            return 0, None, 0, b""
        kind, ident, device, token, size = struct.unpack_from("<BBHHH", message)
        if kind & 2 or device != self.device or size != len(message):
            return 0, None, 0, b""
        if ident == EVENT_CONFIG and not kind & 1 and size >= 24:
            self.broken |= bool(struct.unpack_from("<I", message, 8)[0] & NEEDS_RESET)
        return kind & 1, ident, token, message[8:]

    def ask(self, ident, payload=b"", answer=0):
        """A request and its response, which is `answer` bytes at least."""
        self.token = self.token % 0xffff + 1
        self.socket.send(struct.pack("<BBHHH", 0, ident, self.device, self.token, 8 + len(payload)) + payload)
        for _ in range(1000):
            got = self.receive(WAIT_S)
            if got is None:
                break
            if got[:3] == (1, ident, self.token) and len(got[3]) >= answer:
                return got[3]
        raise GaveUp(f"message {ident} was not answered")

    def status(self, value=None):
        """Read or write the status; a device that needs a reset is given one, by way of life()."""
        payload = b"" if value is None else struct.pack("<I", value)
        status = struct.unpack_from("<I", self.ask(GET_STATUS if value is None else SET_STATUS, payload, 4))[0]
        if status & NEEDS_RESET and value:
            raise GaveUp("the device needs a reset")
        return status

    def reset(self):
        """A reset may end behind its response: the status tells."""
        status = self.status(0)
        for _ in range(200):
            if status == 0:
                return
            self.receive(0.005)
            status = self.status()
        raise GaveUp("the reset does not end")

    def negotiate(self):
        """Of all features VERSION_1 alone: a driver takes what it understands. Packed virtqueues it SHOULD
        take, too, where they are offered: that warning stays."""
        ident = struct.unpack_from("<I", self.ask(INFO, b"", 44))[0]
        if ident != ENTROPY:
            raise GaveUp(f"device type {ident} is none that this driver knows")
        self.reset()
        self.status(ACKNOWLEDGE)
        self.status(ACKNOWLEDGE | DRIVER)
        for block in (0, 1):
            words = self.ask(GET_FEATURES, struct.pack("<II", block, 1), 12)
            offered = struct.unpack_from("<I", words, 8)[0]
            mine = offered & (1 << VERSION_1 - 32 if block else 0)
            self.ask(SET_FEATURES, struct.pack("<III", block, 1, mine))
        if not self.status(ACKNOWLEDGE | DRIVER | FEATURES_OK) & FEATURES_OK:
            self.status(ACKNOWLEDGE | DRIVER | FAILED)
            raise GaveUp("the features are refused")

    def queue(self):
        """Queue 0: descriptors at 0, the available ring at 0x1000, the used ring at 0x2000."""
        largest = struct.unpack_from("<II", self.ask(GET_QUEUE, struct.pack("<I", 0), 40))[1]
        if largest == 0:
            raise GaveUp("there is no queue 0")
        self.size = 1 << min(largest, 16).bit_length() - 1
        self.memory[0:0x3000] = bytes(0x3000)
        self.ask(SET_QUEUE, struct.pack("<IIIIQQQ", 0, 1, self.size, 0, self.base, self.base + 0x1000, self.base + 0x2000))
        seen = struct.unpack_from("<IIII", self.ask(GET_QUEUE, struct.pack("<I", 0), 40))
        if seen[2] != self.size or not seen[3] & 1:
            raise GaveUp("queue 0 is refused")
        if not self.status(ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK) & DRIVER_OK:
            raise GaveUp("the device does not go to work")

    def read(self):
        """Random bytes, one buffer at a time."""
        for turn in range(BUFFERS):
            struct.pack_into("<QIHH", self.memory, 16 * (turn % self.size), self.base + 0x4000, LENGTH, 2, 0)
            struct.pack_into("<H", self.memory, 0x1004 + 2 * (turn % self.size), turn % self.size)
            struct.pack_into("<H", self.memory, 0x1002, turn + 1)
            if not struct.unpack_from("<H", self.memory, 0x2000)[0] & 1:  # the device wants to be told
                self.socket.send(struct.pack("<BBHHHII", 0, EVENT_AVAIL, self.device, 0, 16, 0, 0))
            while struct.unpack_from("<H", self.memory, 0x2002)[0] != turn + 1:
                if self.receive(WAIT_S) is None or self.broken:
                    raise GaveUp("the buffer does not come back")

    def life(self):
        for _ in range(TRIES):
            self.broken = False
            try:
                self.negotiate()
                self.queue()
                self.read()
                while not self.broken:
                    self.receive(None)
            except GaveUp as reason:
                print(f"entropy driver: {reason}", file=sys.stderr)
        while True:
            self.receive(None)


Driver().life()
