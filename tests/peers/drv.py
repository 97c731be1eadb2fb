#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""A virtio-msg r1 driver for block and entropy devices in plain Python, written from the
specification's text alone: the driver that stands for those that are tested with `--role driver`.

    drv.py [--style NAME] [--fault NAME]
    drv.py --list-styles | --list-faults

It is the child of a harness: messages on PLUMBLINE_FD, memory in PLUMBLINE_MEM_*, the bus in
PLUMBLINE_BUS, and what it is asked to do on PLUMBLINE_CTL_FD, if there is one. A style is a way to
be faithful (drv_styles.py), a fault a mistake (drv_faults.py). It shares nothing with the harness.
"""
import json
import os
import queue
import select
import socket
import struct
import sys
import threading
import time

import drv_faults
from drv_ring import Memory, Nonsense, Packed, Split
from drv_styles import BASE, STYLES

(INFO, FEATURES, SELECT, READ, WRITE, STATUS, SET_STATUS, GET_VQ, SET_VQ, RESET_VQ) = range(2, 12)
CONFIG_EVENT, AVAIL_EVENT, USED_EVENT = 0x40, 0x41, 0x42
DEVICES, PING, DEVICE_EVENT = 2, 3, 0x40
PARAMETERS, FAILURE_EVENT, PARAMETERS_EVENT = 0x80, 0xC0, 0xC1
ACK, DRIVER, DRIVER_OK, FEATURES_OK, NEEDS_RESET, FAILED = 1, 2, 4, 8, 0x40, 0x80
F_INDIRECT, F_EVENT_IDX, F_VERSION_1, F_PLATFORM, F_PACKED = 28, 29, 32, 33, 34
F_ORDER, F_DATA, F_RESET = 36, 38, 40
BLK_SEG_MAX, BLK_RO, BLK_SIZE, BLK_FLUSH, BLK_WCE, BLK_MQ = 2, 5, 6, 9, 11, 12


class Closed(Exception):
    """The harness has closed the connection."""


class Lost(Exception):
    """A request was not completed, or not as it has to be: recover."""


class Unusable(Exception):
    """This device cannot be used, however often it is tried."""


class Gone(Exception):
    """The bus says that the device is no longer there."""


class NeedsReset(Exception):
    """The device asks for a reset."""


class Link:
    """The sockets: one message or control line at a time, read here or by a thread of its own."""

    def __init__(self, opt):
        self.sock = socket.socket(fileno=int(os.environ["PLUMBLINE_FD"]))
        self.ctl = None
        if "PLUMBLINE_CTL_FD" in os.environ and opt["control"] != "ignore":
            self.ctl = socket.socket(fileno=int(os.environ["PLUMBLINE_CTL_FD"]))
        self.lines, self.text, self.queue = [], b"", None
        if opt["threads"]:
            self.queue = queue.Queue()
            threading.Thread(target=self.reader, daemon=True).start()

    def reader(self):
        try:
            while True:
                self.queue.put(self.read(None))
        except Closed as end:
            self.queue.put(end)

    def read(self, timeout, control=True):
        """A message (bytes), a line of control (str), or None when nothing came in time."""
        fds = [self.sock] + ([self.ctl] if self.ctl and control else [])
        ready = select.select(fds, [], [], timeout)[0]
        if self.sock in ready:
            try:
                data = self.sock.recv(65536)
            except OSError as error:
                raise Closed("recv: %s" % error) from None
            if not data:
                raise Closed("end of file")
            return data
        if ready:
            data = self.ctl.recv(4096)
            if not data:
                self.ctl = None
                return None
            self.text += data
            *lines, self.text = self.text.split(b"\n")
            self.lines += [line.decode() for line in lines]
        return None

    def get(self, timeout, control=False):
        if control and self.lines:
            return self.lines.pop(0)
        if not self.queue:
            return self.read(timeout, control)
        try:
            got = self.queue.get(timeout=timeout)
        except queue.Empty:
            return None
        if isinstance(got, Closed):
            self.queue.put(got)
            raise got
        return got

    def send(self, data):
        try:
            self.sock.send(data)
        except OSError as error:
            raise Closed("send: %s" % error) from None

    def answer(self, text):
        if self.ctl:
            try:
                self.ctl.send(text.encode() + b"\n")
            except OSError:
                pass


class Bus:
    """The driver's end of the bus: tokens, completion in bounded time, and who events are for."""

    def __init__(self, opt, edit):
        self.opt, self.edit, self.link, self.bugs = opt, edit, Link(opt), opt["bugs"]
        words = dict(word.split("=") for word in os.environ.get("PLUMBLINE_BUS", "").split())
        self.revision = int(words.get("revision", "1"), 0)
        self.max_size = int(words.get("max_msg_size", "264"), 0)
        self.features = int(words.get("features", "0"), 0)
        self.memory = None
        if "PLUMBLINE_MEM_FD" in os.environ:
            self.memory = Memory(int(os.environ["PLUMBLINE_MEM_FD"]),
                int(os.environ["PLUMBLINE_MEM_BASE"], 0), int(os.environ["PLUMBLINE_MEM_SIZE"], 0))
        self.count, self.open, self.devices, self.revalidate = 0, {}, {}, False
        self.wanted = []

    def strict(self):
        return bool(self.features & 1)

    def token(self):
        self.count += 1
        way = self.opt["token"]
        if way == "zero":
            return 0
        if way == "high":
            return -self.count & 0xFFFF
        if way == "scattered":
            return self.count * 40503 & 0xFFFF
        if way == "few":
            return self.count % 7
        return self.count & 0xFFFF

    def message(self, kind, msg_id, number, token, payload):
        m = struct.pack("<BBHHH", kind, msg_id, number, token, 8 + len(payload)) + payload
        if self.edit:
            m = self.edit(m, self)
        if m:
            if self.opt["slow"]:
                time.sleep(self.opt["slow"])
            self.link.send(m)

    def begin(self, number, msg_id, payload=b"", kind=0):
        """Sends a request; its token."""
        token = self.token()
        self.open[token] = [kind & 2, msg_id, number, None]
        self.message(kind, msg_id, number, token, payload)
        return token

    def end(self, token, timeout=None):
        """The response's payload; Lost where there is none."""
        timeout = timeout or self.opt["timeout"]
        if "waits-for-ever" in self.bugs:
            timeout = 1e6
        limit = time.monotonic() + timeout
        entry = self.open[token]
        try:
            while entry[3] is None:
                left = limit - time.monotonic()
                if left <= 0:
                    raise Lost("time-out of %#x" % entry[1])
                self.pump(left)
                device = self.devices.get(entry[2])
                if device and device.removed and not entry[0]:
                    raise Gone
        finally:
            self.open.pop(token, None)
        if entry[3] is False:
            raise Lost("failure of %#x" % entry[1])
        return entry[3]

    def pump(self, timeout):
        """Takes one message, if one comes in time."""
        m = self.link.get(timeout)
        if isinstance(m, str):
            self.link.lines.append(m)
        elif m is not None:
            self.receive(m)

    def receive(self, m):
        if len(m) < 8:
            return
        kind, msg_id, number, token, size = struct.unpack_from("<BBHHH", m)
        if size < 8 or size > len(m):
            return
        body = m[8:size]
        if "reads-reserved" in self.bugs and kind & 0xFC:
            return
        kind &= 3
        if "answers-unknown" in self.bugs and kind == 0 and msg_id not in (0x40, 0x42):
            self.message(1, msg_id, number, token, b"")
        if "answers-malformed" in self.bugs and kind == 0 and msg_id == 0x42 and len(body) < 4:
            self.message(1, 0x42, number, token, b"")
        if kind & 1:
            self.response(kind & 2, msg_id, number, token, body)
        elif kind:
            self.bus_message(msg_id, token, body)
        elif number in self.devices and not self.devices[number].removed:
            if "event-needs-token" in self.bugs and token:
                return
            self.devices[number].event(msg_id, body)

    def response(self, kind, msg_id, number, token, body):
        if "by-order" in self.bugs and self.open:
            token = next(iter(self.open))
            msg_id = self.open[token][1]
        entry = self.open.get(token)
        if not entry or entry[3] is not None or entry[0] != kind or entry[1] != msg_id or \
                entry[2] != number:
            return
        entry[3] = body

    def bus_message(self, msg_id, token, body):
        if msg_id == PING and len(body) >= 4:
            self.message(3, PING, 0, token, body[:4])
        elif msg_id == DEVICE_EVENT and len(body) >= 4:
            number, state = struct.unpack_from("<HH", body)
            self.wanted.append((number, state))
            if state == 2 and number in self.devices and "ignores-removal" not in self.bugs:
                self.devices[number].removed = True
        elif msg_id == FAILURE_EVENT and len(body) >= 8:
            number, token, failed = struct.unpack_from("<HHB", body)
            entry = self.open.get(token)
            if entry and entry[1] == failed and entry[2] == number and entry[3] is None and \
                    not entry[0]:
                entry[3] = False
        elif msg_id == PARAMETERS_EVENT and len(body) >= 12:
            self.revision, self.max_size, self.features = struct.unpack_from("<III", body)
            self.revalidate = True

    def ask(self, number, msg_id, payload=b"", kind=0, tries=None, least=0):
        """A request that may be sent again; the response has at least so many bytes."""
        tries = self.opt["tries"] if tries is None else tries
        while True:
            try:
                body = self.end(self.begin(number, msg_id, payload, kind))
                if len(body) >= least:
                    return body
                raise Lost("short response")
            except Lost:
                tries -= 1
                if tries <= 0 and "retries-for-ever" not in self.bugs:
                    raise

    def check_parameters(self):
        """After EVENT_PARAMETERS the parameters are looked at before anything else is sent."""
        if not self.revalidate:
            return
        self.revalidate = False
        if self.opt["asks_parameters"]:
            try:
                got = self.ask(0, PARAMETERS, kind=2, tries=1, least=12)
                self.revision, self.max_size, self.features = struct.unpack_from("<III", got)
            except Lost:
                pass
        if self.revision < 1 or self.max_size < 52:
            raise Unusable("parameters")

    def discover(self):
        """The device numbers, asked of the bus; 0 where nobody answers."""
        found, offset = [], 0
        if not self.opt["discover"]:
            return [0]
        try:
            for _ in range(64):
                got = self.ask(0, DEVICES, struct.pack("<HH", offset, self.opt["window"]), 2,
                    tries=1, least=6)
                start, following, count = struct.unpack_from("<HHH", got)
                bits = got[6:6 + (count + 7) // 8]
                found += [start + i for i in range(min(count, 8 * len(bits))) if
                    bits[i // 8] >> i % 8 & 1]
                if following <= offset:
                    break
                offset = following
        except Lost:
            return found or [0]
        return found


class Device:
    """One device, from GET_DEVICE_INFO on."""

    def __init__(self, bus, number):
        self.bus, self.number, self.opt, self.bugs = bus, number, bus.opt, bus.bugs
        self.arena = bus.memory.part(number) if bus.memory else None
        self.removed = self.live = self.dead = self.stale = self.asks_reset = False
        self.working = self.resetting = False
        self.info = self.generation = None
        self.features, self.queues, self.config, self.io_errors = 0, {}, {}, 0
        self.fields_of = {}
        self.sector, self.turn, self.best_generation, self.first_generation = 0, 0, None, None

    def has(self, bit):
        return bool(self.features >> bit & 1)

    def bug(self, name):
        return name in self.bugs

    # --- what the device starts
    def event(self, msg_id, body):
        if msg_id == USED_EVENT and len(body) == 4:
            index, = struct.unpack("<I", body)
            if index in self.queues and not self.bug("ignores-used"):
                self.queues[index].told += 1
        elif msg_id == CONFIG_EVENT and len(body) >= 16:
            status, generation, offset, length = struct.unpack_from("<IIII", body)
            if len(body) > 16 and len(body) != 16 + length:
                return
            if not self.bug("ignores-event-generation"):
                self.see(generation)
            if status & NEEDS_RESET and not self.bug("ignores-needs-reset"):
                self.asks_reset = True
            if self.bug("ignores-config-event"):
                return
            if len(body) > 16 and not self.opt["rereads"]:
                self.update(offset, body[16:])
            elif length or offset or not status & NEEDS_RESET:
                if not (self.bug("ignores-empty-event") and not length):
                    self.stale = True

    def see(self, generation):
        if self.bug("generation-grows") and self.generation is not None:
            generation = max(generation, self.generation)
        if self.first_generation is None:
            self.first_generation = generation
        self.generation = generation

    def update(self, offset, data):
        """The fields that lie whole in the bytes; any other that they touch is read again."""
        for name, (at, size) in self.fields().items():
            if offset <= at and at + size <= offset + len(data):
                self.config[name] = int.from_bytes(data[at - offset:at - offset + size], "little")
            elif at < offset + len(data) and offset < at + size:
                self.stale = True

    # --- requests
    def ask(self, msg_id, payload=b"", least=0, tries=None):
        if self.removed:
            raise Gone
        self.bus.check_parameters()
        body = self.bus.ask(self.number, msg_id, payload, tries=tries, least=least)
        if self.asks_reset and not self.resetting:
            raise NeedsReset
        return body

    def status(self):
        return struct.unpack_from("<I", self.ask(STATUS, least=4))[0]

    def set_status(self, bits):
        if self.opt["adds_bits"] and bits and bits & FAILED == 0 and self.mine:
            bits |= self.status() & 0x0F
        self.mine = bits
        status, = struct.unpack_from("<I", self.ask(SET_STATUS, struct.pack("<I", bits), 4))
        if status & NEEDS_RESET and not self.resetting and not self.bug("ignores-needs-reset"):
            raise NeedsReset
        if self.opt["rereads_status"] and not self.resetting:
            status = self.status()
        return status

    mine = 0

    def reset(self):
        """Writes 0 and waits, not for ever, until the device says that it is reset."""
        self.live, self.resetting, self.queues = False, True, {}
        try:
            if self.bug("reset-by-failed"):
                status, self.mine = self.set_status(FAILED), 0
                return
            status = self.set_status(0)
            if self.bug("no-reset-poll"):
                return
            limit = time.monotonic() + self.opt["reset_timeout"]
            pause = 0.001
            if self.bug("waits-for-ever") or self.bug("polls-for-ever"):
                limit += 1e6
            while status or self.opt["confirms_reset"]:
                status = self.status()
                if not status:
                    break
                if time.monotonic() > limit:
                    raise Unusable("reset never ends")
                if not self.opt["spins"]:
                    self.wait(pause)
                    pause = min(2 * pause, 0.02)
        finally:
            self.resetting = False
        self.asks_reset = self.stale = False
        self.features = 0
        if not self.bug("keeps-generation"):
            self.generation = None
        self.config = {}
        if self.arena:
            self.arena.clear()

    def wait(self, seconds):
        limit = time.monotonic() + seconds
        while True:
            left = limit - time.monotonic()
            if left <= 0:
                return
            self.bus.pump(left)

    # --- initialization
    def start(self):
        """Initializes the device, with some tries; whether it is live."""
        for turn in range(self.opt["recoveries"] + 1):
            try:
                self.initialize(turn)
                self.live = True
                return True
            except (Lost, NeedsReset, Nonsense):
                self.live = False
                self.turn += 1
            except Unusable:
                break
            except Gone:
                self.live = False
                return False
        self.give_up()
        return False

    def give_up(self):
        self.live, self.dead, self.asks_reset = False, True, False
        if self.opt["gives_up"] == "exit":
            sys.exit(0)
        if self.removed or self.opt["gives_up"] == "silent" or self.info is None:
            return
        try:
            self.asks_reset, self.resetting = False, True
            if self.opt["gives_up"] == "reset":
                self.ask(SET_STATUS, struct.pack("<I", 0), tries=1)
            else:
                self.ask(SET_STATUS, struct.pack("<I", self.mine | FAILED), tries=1)
        except (Lost, Gone, Unusable, NeedsReset):
            pass
        finally:
            self.resetting = False

    def initialize(self, turn):
        if self.bug("features-first"):
            self.read_features(2)
        if self.info is None or self.opt["asks_info_again"]:
            if self.bug("no-info"):
                self.info = (2, 0, b"", 2, 60, 1, 0, 0)
            else:
                got = self.ask(INFO, least=44)
                self.info = struct.unpack_from("<II16sIIIII", got)
        if self.info[0] not in (2, 4):
            self.dead = True
            raise Gone  # none that this driver knows: it leaves the device alone
        self.fields_of = BLOCK_FIELDS if self.info[0] == 2 else {}
        if self.bug("config-before-reset") and self.info[4]:
            self.read(0, 8)
        if not self.bug("no-reset-first"):
            self.reset()
        if self.bug("driver-before-ack"):
            self.set_status(DRIVER)
        if self.opt["ack_driver"] != "one" and not self.bug("no-ack"):
            self.set_status(ACK)
        if self.bug("queues-first"):
            self.make_queues()
        if self.bug("clears-bit"):
            self.set_status(DRIVER)
        acked = DRIVER if self.bug("no-ack") or self.bug("clears-bit") else ACK | DRIVER
        if not self.bug("no-driver"):
            self.set_status(acked)
        else:
            acked = ACK
        self.negotiate(acked, turn)
        if self.opt["config"] != "late":
            self.read_config()
        if self.bug("ok-before-queues"):
            self.set_status(acked | FEATURES_OK | DRIVER_OK)
        if not self.bug("queues-first"):
            self.make_queues()
        if self.opt["config"] == "late" or self.stale:
            self.read_config()
        if self.bug("avail-before-ok") or self.bug("io-before-ok"):
            queue_, request = self.queues[0], self.request(0)
            self.place(queue_, request)
            queue_.publish()
            if self.bug("avail-before-ok"):
                self.notify(queue_)
        if self.bug("avail-unknown-queue"):
            self.event_avail(len(self.queues), 0)
        if self.bug("never-ok"):
            return
        status = self.set_status(acked | FEATURES_OK | DRIVER_OK)
        if self.bug("no-driver-ok-check"):
            return
        if not status & DRIVER_OK:
            raise Lost("no DRIVER_OK")

    def read_features(self, blocks):
        """The offered bits; each message carries so many blocks as fit."""
        room = max(1, min((self.bus.max_size - 16) // 4, self.opt["blocks"]))
        if self.bug("features-in-one-go"):
            room = blocks = 64
        offered, parts = 0, []
        for start in range(0, blocks, room):
            parts.append((start, min(room, blocks - start)))
        if self.opt["outstanding"]:
            tokens = [self.bus.begin(self.number, FEATURES, struct.pack("<II", *p)) for p in parts]
            got = [self.bus.end(token) for token in tokens]
        else:
            got = [self.ask(FEATURES, struct.pack("<II", *p), 8 + 4 * p[1]) for p in parts]
        for (start, count), body in zip(parts, got):
            for i, block in enumerate(struct.unpack_from("<%dI" % count, body, 8)):
                offered |= block << 32 * (start + i)
        return offered

    def supported(self, turn):
        bits = set(self.opt["features"])
        if self.info[0] == 2:
            bits |= {BLK_RO, BLK_SIZE} | set(self.opt["blk_features"])
        if self.opt["fewer"] and turn:
            bits = {F_VERSION_1, F_PLATFORM, F_ORDER}
        return bits

    def negotiate(self, acked, turn):
        blocks = self.info[3]
        offered = 0
        if not self.bug("no-get-features"):
            offered = self.read_features(min(blocks, 64 if self.opt["all_blocks"] else 2))
        if not offered >> F_VERSION_1 & 1 and not self.bug("no-get-features"):
            if self.opt["gives_up"] != "failed":  # here FAILED is a must, however it gives up
                self.set_status(acked | FAILED)
            raise Unusable("VERSION_1 is not offered")
        want = {b for b in self.supported(turn) if offered >> b & 1}
        if BLK_WCE in want and BLK_FLUSH not in want:
            want.discard(BLK_WCE)
        if self.bug("accepts-all"):
            want = {b for b in range(64) if offered >> b & 1}
        if self.bug("not-offered"):
            want |= {F_VERSION_1, F_RESET, F_EVENT_IDX, 30}
        if self.bug("no-get-features"):
            want = {F_VERSION_1}
        if self.bug("bit-39"):
            want.add(39)
        if self.bug("bit-39-if-offered") and offered >> 39 & 1:
            want.add(39)
        if self.bug("no-version-1"):
            want.discard(F_VERSION_1)
        if self.bug("no-ro"):
            want.discard(BLK_RO)
        if self.bug("accepts-reserved"):
            want |= {b for b in range(41, 64) if offered >> b & 1} | {b for b in (35, 37) if
                offered >> b & 1}
        if self.bug("fails-on-unknown") and any(offered >> b & 1 for b in range(64) if
                b not in self.supported(turn)):
            raise Unusable("unknown feature")
        self.offered = offered
        self.features = sum(1 << b for b in want)
        words = [self.features & 0xFFFFFFFF, self.features >> 32]
        if self.opt["select"] == "apart":
            for i in (1, 0) if self.opt["select_order"] == "down" else (0, 1):
                self.ask(SELECT, struct.pack("<III", i, 1, words[i]))
        elif self.opt["select"] == "twice":
            self.ask(SELECT, struct.pack("<IIII", 0, 2, 0, words[1]))
            self.ask(SELECT, struct.pack("<III", 0, 1, words[0]))
        else:
            self.ask(SELECT, struct.pack("<IIII", 0, 2, *words))
        if self.bug("no-features-ok"):
            return
        status = self.set_status(acked | FEATURES_OK)
        if self.bug("features-after-ok"):
            self.ask(SELECT, struct.pack("<IIII", 0, 2, *words))
        if self.bug("no-features-ok-check"):
            return
        if not status & FEATURES_OK:
            if self.opt["fewer"] and not turn:
                raise Lost("features refused: fewer of them")
            raise Unusable("features refused")

    # --- configuration space
    def fields(self):
        size, fields = self.info[4], {}
        for name, (at, length, feature) in self.fields_of.items():
            if (feature is None or self.has(feature)) and at + length <= size:
                fields[name] = at, length
        return fields

    def read(self, offset, length):
        got = self.ask(READ, struct.pack("<II", offset, length), 12 + length)
        generation, = struct.unpack_from("<I", got)
        self.see(generation)
        return generation, got[12:12 + length]

    def read_once(self):
        """All fields of interest and the generations that they were read with."""
        config, generations, way = {}, set(), self.opt["reads"]
        for name, (at, size) in self.fields().items():
            data, step = b"", {"field": size, "halves": max(1, size // 2), "bytes": 1}[way]
            for offset in range(at, at + size, step):
                generation, part = self.read(offset, min(step, at + size - offset))
                generations.add(generation)
                data += part
            config[name] = int.from_bytes(data, "little")
        return config, generations

    def read_config(self):
        if self.info[0] == 2 and self.info[4] < 8:
            raise Unusable("no capacity")
        if self.bug("reads-beyond"):
            self.read(self.info[4] - 4, 8)
        if self.bug("reads-whole"):
            self.read(0, min(self.info[4], 32))
        for _ in range(self.opt["config_tries"]):
            self.stale = False
            self.config, generations = self.read_once()
            if self.opt["reads_twice"]:
                again, more = self.read_once()
                generations |= more
            if len(generations) < 2 and not self.stale or self.bug("no-generation-check"):
                return
        if self.opt["unstable"] == "give-up":
            raise Unusable("the configuration does not hold still")

    def write_config(self, offset, data):
        """Whether the device took it; after a refusal the configuration is read again."""
        if not self.bug("writes-beyond") and offset + len(data) > self.info[4]:
            return False
        room = self.bus.max_size - 20
        if self.bug("oversized-write"):
            room = 1 << 16
        for at in range(0, len(data), room):
            part = data[at:at + room]
            for _ in range(self.opt["write_tries"]):
                if self.set_config(offset + at, part):
                    break
                if not self.bus.strict() and not self.bug("blind-retry"):
                    return False
                if not self.bug("blind-retry"):
                    self.read(offset + at, len(part))
            else:
                return False
        return True

    def set_config(self, offset, part):
        generation = 0
        strict = self.bus.strict()
        if self.bug("profile-by-feature"):
            strict = bool(self.offered & 1)
        if self.bug("always-strict"):
            strict = True
        if self.bug("always-baseline"):
            strict = False
        if strict:
            if self.generation is None or self.opt["reads_before_write"]:
                self.read(offset, len(part))
            generation = self.generation
            if self.bug("first-generation"):
                generation = self.first_generation
            if self.bug("next-generation"):
                generation += 1
        before = self.generation
        got = self.ask(WRITE, struct.pack("<III", generation, offset, len(part)) + part, 12)
        now, _, length = struct.unpack_from("<III", got)
        if self.opt["trusts_write_generation"] and before == self.generation:
            self.generation = now
        if self.bug("refusal-is-success"):
            return True
        if self.bug("partial-is-success"):
            return length != 0
        return length == len(part)

    # --- virtqueues
    def make_queues(self):
        if not self.arena:
            raise Unusable("no memory in common")
        count = 1
        if self.info[0] == 2 and self.has(BLK_MQ):
            count = max(1, min(self.config.get("queues", 1), self.info[5], self.opt["queues"]))
        for index in range(count):
            self.make_queue(index)
        if self.bug("queue-beyond"):
            self.ask(SET_VQ, struct.pack("<IIIIQQQ", self.info[5], 1, 16, 0, *self.queues[0].addresses()))

    def query(self, index):
        return struct.unpack_from("<IIIIQQQ", self.ask(GET_VQ, struct.pack("<I", index), 40))

    def available(self, index):
        """A queue's flags; with max_size 0 there is no such queue, whatever there was before."""
        _, most, _, flags, *_ = self.query(index)
        if not most and not self.bug("max-size-0"):
            raise Unusable("queue %d is no longer there" % index)
        return flags

    def size_for(self, most):
        size = min(most, self.opt["queue_size"])
        if not self.has(F_PACKED):
            size = 1 << size.bit_length() - 1
        return size

    def make_queue(self, index):
        most = 16
        if not self.bug("no-get-vqueue"):
            _, most, _, flags, *_ = self.query(index)
            if flags & 1:
                raise Lost("enabled before it was set up")
            if not most and not self.bug("max-size-0"):
                raise Unusable("queue %d is not there" % index)
        size = self.size_for(most or 16)
        if self.bug("too-large"):
            size = 2 * most
        has = self.has
        make = Packed if has(F_PACKED) else Split
        ring = make(self.arena, index, size, has, self.opt, self.bugs)
        self.enable(ring)
        self.queues[index] = ring

    def enable(self, ring):
        size, addresses, index = ring.size, ring.addresses(), ring.index
        if self.bug("misaligned"):
            addresses = (addresses[0] + 8,) + addresses[1:]
        if self.opt["set_vqueue"] == "two":
            self.try_set(index, 0 | 1 << 2, 0, *addresses)
            self.try_set(index, 1 | 7 << 3, size, 0, 0, 0)
        elif self.opt["set_vqueue"] == "parts":
            self.try_set(index, 7 << 3, size, 0, 0, 0)
            for i in range(3):
                ignore = 0x3C & ~(8 << i)
                self.try_set(index, 2 | ignore, 0, *[a if j == i else 0 for j, a in
                    enumerate(addresses)])
            self.try_set(index, 1 | 0x3C, 0, 0, 0, 0)
        elif self.opt["set_vqueue"] == "keep":
            self.try_set(index, 2, size, *addresses)
            self.try_set(index, 1 | 0x3C, 0, 0, 0, 0)
        else:
            self.try_set(index, 1, size, *addresses)
        if self.bug("set-twice"):
            self.ask(SET_VQ, struct.pack("<IIIIQQQ", index, 1, size, 0, *addresses))
        if self.bug("no-confirm"):
            return
        for _ in range(2):
            _, most, now, flags, *places = self.query(index)
            if not most and not self.bug("max-size-0"):
                raise Unusable("queue %d is no longer there" % index)
            if flags & 1:
                if now == size and tuple(places) == tuple(addresses):
                    return
                raise Lost("queue %d is set up otherwise" % index)
            self.try_set(index, 1, size, *addresses)
        raise Lost("queue %d is not enabled" % index)

    def try_set(self, index, flags, size, *addresses):
        """One SET_VQUEUE. Lost, it is not sent again blindly: GET_VQUEUE tells what became of it."""
        try:
            self.ask(SET_VQ, struct.pack("<IIIIQQQ", index, flags, size, 0, *addresses), tries=1)
        except Lost:
            if self.opt["tries"] < 2:
                raise

    def reset_queue(self, index):
        ring = self.queues.get(index)
        if not ring or not self.has(F_RESET):
            if self.bug("resets-anyway"):
                self.ask(RESET_VQ, struct.pack("<I", index))
            return None
        if self.opt["queries_before_reset"]:
            self.available(index)
        if not self.bug("reconfigures-enabled"):
            if self.bug("no-wait-for-reset"):
                self.bus.begin(self.number, RESET_VQ, struct.pack("<I", index))
            else:
                self.ask(RESET_VQ, struct.pack("<I", index))
        if not self.bug("no-wait-for-reset") and not self.bug("reconfigures-enabled") and \
                not self.bug("no-reset-check") and self.available(index) & 1:
            raise Lost("queue %d is still enabled" % index)
        fresh = type(ring)(self.arena, index, ring.size, self.has, self.opt, self.bugs)
        self.enable(fresh)
        self.queues[index] = fresh
        return True

    def notify(self, ring, force=False):
        wanted = ring.wanted()
        if self.bug("never-notifies") or self.bug("notifies-second") and ring.avail % 2:
            return
        if not (wanted or force or self.bug("notifies-always")):
            return
        data = ring.data() if self.has(F_DATA) else 0
        if self.bug("data-always"):
            data = ring.data()
        if self.bug("data-wrong") and self.has(F_DATA):
            data += 1
        self.event_avail(ring.index + (1 if self.bug("wrong-queue") else 0), data)

    def event_avail(self, index, data):
        if self.removed:
            raise Gone
        self.bus.check_parameters()
        self.bus.message(1 if self.bug("event-as-response") else 0, AVAIL_EVENT, self.number,
            self.opt["event_token"], struct.pack("<II", index, data))

    # --- I/O
    def request(self, i):
        """(pieces of a request, what checks its result), or None where there is nothing to do."""
        take = self.arena.take
        if self.info[0] == 4:
            at = take(64, 16, b"\0" * 64)
            return [(at, 64, True)], lambda length: 0 < length <= 64
        capacity = self.config.get("capacity", 0)
        if self.bug("beyond-capacity"):
            capacity += 64
            self.sector = capacity - 8
        writes = not self.has(BLK_RO) or self.bug("writes-ro")
        count = 8 if capacity >= 8 else 1
        kinds = (["write", "read"] if writes else ["read"]) if capacity else ["id"]
        if self.has(BLK_FLUSH) or self.bug("flush-anyway"):
            kinds = kinds + ["flush"]
        if self.opt["asks_id"] and "id" not in kinds:
            kinds = kinds + ["id"]
        kind = kinds[i % len(kinds)]
        sector = self.sector
        if kind == "read":
            self.sector = (sector + count) % max(1, capacity - count + 1) if capacity else 0
        status = take(1, 1, b"\xFF")
        code = {"write": 1, "read": 0, "flush": 4, "id": 8}[kind]
        if kind in ("flush", "id") and not self.bug("flush-sector"):
            sector = 0
        elif kind == "flush":
            sector = 8
        head = take(16, 16, struct.pack("<IIQ", code, 0, sector))
        pieces = [(head, 16, False)]
        size = 512 * count - (100 if self.bug("odd-size") else 0)
        data = bytes((sector * 7 + j * 13 + (j >> 8)) & 0xFF for j in range(16)) * (32 * count)
        if kind == "write":
            place = take(512 * count, 16, data)
            pieces += self.split(place, size, False)
            self.last = sector, data
        elif kind == "read":
            place = take(512 * count, 16)
            pieces += self.split(place, size, True)
        elif kind == "id":
            place = take(20, 16)
            pieces.append((place, 16 if self.bug("id-16") else 20, True))
        elif kind == "flush" and self.bug("flush-data"):
            pieces.append((take(512), 512, False))
        pieces.append((status, 1, True))

        def check(_):
            memory, code = self.bus.memory, self.bus.memory.read(status, 1)[0]
            if code == 2 and kind in ("id", "flush"):
                return True
            if kind == "read" and code == 0 and self.last == (sector, data):
                return memory.read(place, len(data)) == data
            return code == 0
        return pieces, check

    last = None

    def split(self, at, size, writable):
        if self.opt["segments"] < 2 or self.config.get("seg_max", 2) < 2:
            return [(at, size, writable)]
        return [(at, 512, writable), (at + 512, size - 512, writable)] if size > 512 else \
            [(at, size, writable)]

    def place(self, ring, request):
        pieces, check = request
        indirect = (self.has(F_INDIRECT) or self.bug("indirect-anyway")) and len(pieces) > 1 and \
            (self.opt["indirect"] == "all" or self.opt["indirect"] == "some" and
            len(ring.flight) % 2 == 0)
        ring.add(pieces, check, indirect)

    def io(self, count):
        """So many requests, some of them in flight together; how many failed."""
        bad, self.last = 0, None
        for ring in list(self.queues.values())[:1 if self.bug("one-queue") else None]:
            done, mark = 0, self.arena.mark()
            share = max(1, count // len(self.queues))
            while done < share:
                batch, room = [], ring.room()
                while len(batch) < min(self.opt["depth"], share - done):
                    request = self.request(done + len(batch))
                    need = 1 if self.has(F_INDIRECT) and self.opt["indirect"] == "all" and \
                        len(request[0]) > 1 else len(request[0])
                    if not batch and len(request[0]) > ring.size and (need > room or not
                            self.has(F_PACKED) or not self.opt["long_tables"]):
                        return bad  # no list may be longer than the ring, not even an indirect one
                    if need > room:
                        break
                    room -= need
                    batch.append(request)
                    self.place(ring, request)
                ring.publish()
                self.notify(ring)
                bad += self.await_used(ring, len(batch))
                done += len(batch)
                self.arena.release(mark)
                self.service()
        return bad

    def await_used(self, ring, count):
        bad = 0
        limit = time.monotonic() + self.opt["io_timeout"]
        while count:
            if self.removed:
                raise Gone
            if ring.told or self.opt["polls"] or self.opt["peeks"]:
                ring.told = 0
                got = ring.collect()
                count -= len(got)
                bad += sum(not check(length) for check, length in got)
                if got:
                    if ring.flight and not self.opt["polls"]:
                        ring.told += ring.pending()
                    continue
            if self.asks_reset:
                raise NeedsReset
            left = limit - time.monotonic()
            if left <= 0:
                if self.bug("waits-for-ever"):
                    limit += 1e6
                    continue
                if ring.pending() and not self.bug("ignores-used"):
                    ring.told = 1
                    continue
                if not self.bug("ignores-needs-reset") and self.status() & NEEDS_RESET:
                    raise NeedsReset
                raise Lost("no completion")
            self.bus.pump(min(left, 0.002 if self.opt["polls"] or self.opt["peeks"] else left))
        return bad

    def service(self):
        """What events have left to do, before more I/O."""
        if self.asks_reset:
            raise NeedsReset
        if self.stale and self.live:
            self.stale = False
            self.read_config()

    def guarded(self, work):
        """Does some work; where it fails, the device is reset and set up again."""
        try:
            return work()
        except (Lost, NeedsReset, Nonsense):
            if self.opt["recoveries"] and self.start():
                return None
            if not self.dead:
                self.give_up()
        except Unusable:
            self.give_up()
        except Gone:
            self.live = False
        return False

    def stop(self):
        if self.bug("disables-by-set"):
            for ring in self.queues.values():
                self.ask(SET_VQ, struct.pack("<IIIIQQQ", ring.index, 0x3C, 0, 0, 0, 0, 0))
        self.live = False
        self.reset()
        return True


BLOCK_FIELDS = {"capacity": (0, 8, None), "seg_max": (12, 4, BLK_SEG_MAX),
    "blk_size": (20, 4, BLK_SIZE), "writeback": (32, 1, BLK_WCE), "queues": (34, 2, BLK_MQ)}


class Program:
    """The driver as a program: by itself, or as control asks."""

    def __init__(self, opt, edit):
        self.opt, self.bus = opt, Bus(opt, edit)
        self.beat = time.monotonic()

    def device(self, number):
        if number not in self.bus.devices or self.bus.devices[number].removed:
            self.bus.devices[number] = Device(self.bus, number)
        return self.bus.devices[number]

    def run(self):
        if self.opt["delay"]:
            time.sleep(self.opt["delay"])
        controlled = self.bus.link.ctl is not None
        if self.opt["pings"]:
            try:
                self.bus.ask(0, PING, struct.pack("<I", 0x12345678), 2, tries=1)
            except Lost:
                pass
        if not controlled:
            for number in self.bus.discover()[:4]:
                self.begin(number)
            if self.opt["ends"]:
                for device in list(self.bus.devices.values()):
                    if device.live:
                        device.guarded(device.stop)
                return
        while True:
            self.turn(controlled)

    def begin(self, number):
        device = self.device(number)
        if not device.start():
            return
        if self.opt["io"]:
            if device.guarded(lambda: device.io(self.opt["io"])) is None and device.live:
                device.guarded(lambda: device.io(2))
        if self.opt["writes_config"] and device.live and device.has(BLK_WCE):
            device.guarded(lambda: device.write_config(32, b"\1"))
        if self.opt["resets_queue"] and device.live:
            if device.guarded(lambda: device.reset_queue(0)):
                device.guarded(lambda: device.io(2))
        if self.opt["restarts"] and device.live:
            device.guarded(device.stop)
            if device.start():
                device.guarded(lambda: device.io(2))

    def turn(self, controlled):
        got = self.bus.link.get(self.opt["watchdog"] or 0.5, control=controlled)
        if isinstance(got, str):
            self.bus.link.answer(self.control(got.split()))
        elif got is not None:
            self.bus.receive(got)
        self.events(controlled)
        if self.opt["watchdog"] and time.monotonic() - self.beat > self.opt["watchdog"]:
            self.beat = time.monotonic()
            for device in list(self.bus.devices.values()):
                if device.live:
                    device.guarded(lambda: device.status() & NEEDS_RESET and
                        device.bug("ignores-needs-reset"))

    def events(self, controlled):
        """What came while the driver had nothing else to do."""
        while self.bus.wanted:
            number, state = self.bus.wanted.pop(0)
            device = self.bus.devices.get(number)
            if state == 2 and device:
                device.live = False
            if state == 1 and not controlled and (device is None or device.removed) and \
                    self.opt["hotplug"]:
                self.begin(number)
        for device in list(self.bus.devices.values()):
            if device.removed or device.dead:
                continue
            if not device.live:
                continue
            if self.bus.revalidate:
                device.guarded(self.bus.check_parameters)
            if device.asks_reset:
                if not self.opt["recoveries"]:
                    device.give_up()
                elif device.start() and self.opt["io"]:
                    device.guarded(lambda: device.io(2))
            elif device.stale:
                device.guarded(device.service)
                if device.live and self.opt["io"]:
                    device.guarded(lambda: device.io(1))
            for ring in device.queues.values():
                if ring.told and not ring.flight:
                    ring.told = 0
                    try:
                        ring.collect()
                    except Nonsense:
                        device.asks_reset = True

    def control(self, words):
        """The answer to one line of control."""
        if not words or len(words) < 2 or words[0] in self.opt["unsupported"]:
            return "unsupported"
        what, number = words[0], int(words[1], 0)
        device = self.device(number)
        try:
            if what == "start":
                if device.live:
                    return "ok"
                device.dead = False
                return "ok" if device.start() else "error not started"
            if what not in ("stop", "io", "config-write", "queue-reset"):
                return "unsupported"
            if not device.live:
                return "ok" if what == "stop" else "error not started"
            device.done = None
            work = {"stop": device.stop, "io": lambda: self.io(device, int(words[2], 0)),
                "config-write": lambda: device.write_config(int(words[2], 0),
                    bytes.fromhex(words[3])), "queue-reset": lambda:
                    device.reset_queue(int(words[2], 0))}[what]
            if what == "queue-reset" and not device.has(F_RESET) and not device.bugs:
                return "unsupported"
            if device.asks_reset or device.stale:
                device.guarded(device.service)
                if not device.live:
                    return "error the device was lost"
            done = device.guarded(work)
            return "ok" if done else "error it failed"
        except (ValueError, IndexError, KeyError) as e:
            return "error %s" % e

    def io(self, device, count):
        return device.io(count) == 0


def options(argv):
    style, fault = "plain", None
    words = iter(argv)
    for word in words:
        name, equals, value = word.partition("=")
        if name == "--list-styles":
            print(json.dumps({n: {"text": t, "warnings": w} for n, (t, _, w) in STYLES.items()},
                indent=1))
            sys.exit(0)
        if name == "--list-faults":
            print(json.dumps({n: {"text": f.text, "clauses": f.clauses, "style": f.style,
                "control": f.control} for n, f in drv_faults.FAULTS.items()}, indent=1))
            sys.exit(0)
        if name not in ("--style", "--fault"):
            sys.exit("drv: unknown argument '%s'" % word)
        value = value if equals else next(words, "")
        if name == "--style":
            style = value
        else:
            fault = value
    edit, bugs = None, ()
    if fault:
        if fault not in drv_faults.FAULTS:
            sys.exit("drv: no fault '%s'" % fault)
        one = drv_faults.FAULTS[fault]
        edit, bugs = one.edit, (fault,) + one.also
        style = one.style if style == "plain" else style
    if style not in STYLES:
        sys.exit("drv: no style '%s'" % style)
    return dict(BASE, **STYLES[style][1], bugs=frozenset(bugs)), edit


def main(argv):
    opt, edit = options(argv)
    try:
        Program(opt, edit).run()
    except Closed as end:
        print("drv: closed: %s" % end, file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
