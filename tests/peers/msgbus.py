#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""A virtio-msg r1 message bus in plain Python, written from the specification's text alone: it
stands for the buses that are tested with `--role bus`.

    bus.py [--style NAME] [--fault NAME]
    bus.py --list-styles | --list-faults

It is the child of a harness: the driver side is PLUMBLINE_FD, the device side, with all devices,
PLUMBLINE_DEVICE_FD, its parameters are in PLUMBLINE_BUS, and what becomes of them and of devices is
asked for on PLUMBLINE_CTL_FD. STYLES are ways to be faithful, FAULTS mistakes, with the clauses one
of which should show each. It shares nothing with the harness.
"""
import json
import os
import select
import socket
import struct
import sys
import time

INFO, AVAIL, CONFIG, USED = 2, 0x41, 0x40, 0x42
DEVICES, PING, DEVICE_EVENT = 2, 3, 0x40
PARAMETERS, FAILURE, PARAMETERS_EVENT = 0x80, 0xC0, 0xC1
NO_DEVICE, TOO_LARGE, TIME_OUT, POLICY, PEER_GONE = 1, 2, 3, 4, 5
ADDED, REMOVED = 1, 2

BASE = dict(
    tokens="rewritten", first_token=1, devices="table", trims=False, most=0, count0_next=False,
    next_always=False, timeout=0.5, learn="devices", unknown="fail", too_large="fail", size="drop",
    hold=0, hold_all=False, window=0, events_fail=False, waits="fail", ping=True, bus_dev_num="drop",
    surplus="serve", announces=True, control=True, pause=0, ping_token=0, pings=False,
    parameters=True,
)
# name: (text, options, clauses that may show as a warning)
STYLES = {
    "plain": ("rewrites tokens, answers GET_DEVICES from a table that it asked for", {}, ()),
    "own-tokens": ("the driver's tokens go through as they are", dict(tokens="kept"), ()),
    "high-tokens": ("its own tokens count down from 65535", dict(first_token=-1), ()),
    "forwards-devices": ("GET_DEVICES is forwarded", dict(devices="forward"), ()),
    "trims": ("the empty tail of a window is left out", dict(trims=True), ()),
    "few-slots": ("at most 16 slots in an answer", dict(most=16), ("GDEV-BUS-07",)),
    "no-devices": ("GET_DEVICES is not supported", dict(devices="none"), ()),
    "no-ping": ("PING is not supported", dict(ping=False), ()),
    "no-parameters": ("GET_PARAMETERS is not supported", dict(parameters=False), ()),
    "silent-plug": ("EVENT_DEVICE of the device side is all that it tells", dict(control=False),
        ()),
    "next-always": ("next_offset goes on as long as there are numbers", dict(next_always=True), ()),
    "count0-next": ("a window of 0 has a next_offset", dict(count0_next=True), ()),
    "probes": ("a number becomes known when GET_DEVICE_INFO was answered", dict(learn="probe",
        devices="forward"), ()),
    "drops-sizes": ("a msg_size that is not the packet's is failed", dict(size="fail"), ()),
    "serial": ("one request at a time for each device", dict(window=1), ()),
    "pairs": ("two requests at a time for each device", dict(window=2), ()),
    "reorders-devices": ("responses of different devices change places", dict(hold=0.004), ()),
    "reorders-all": ("responses come last first", dict(hold=0.004, hold_all=True), ()),
    "events-fail": ("an event that cannot be delivered is told of", dict(events_fail=True), ()),
    "holds": ("requests wait for the revalidation of parameters", dict(waits="hold"), ()),
    "serves-bus-dev-num": ("the dev_num of bus messages is not looked at", dict(bus_dev_num="serve"),
        ()),
    "strict-surplus": ("bus messages with a surplus are discarded", dict(surplus="drop"), ()),
    "short-time-out": ("150 ms for a response", dict(timeout=0.15), ()),
    "long-time-out": ("900 ms for a response", dict(timeout=0.9), ()),
    "slow": ("3 ms for each message", dict(pause=0.003), ()),
    "pings": ("asks both sides whether they live", dict(pings=True), ()),
}
FAULTS = {}


def fault(name, clauses, text, style="plain"):
    assert name not in FAULTS, name
    FAULTS[name] = (text, tuple(clauses.split()), style)


fault("no-validation", "FWD-BUS-01 FWD-BUS-04", "requests for unknown devices are forwarded")
fault("all-to-0", "FWD-BUS-02 HDR-BUS-01", "everything goes to device 0")
fault("first-only", "FWD-BUS-02 DISC-BUS-02 FWD-BUS-04 ERR-BUS-02", "only device 0 is routed to")
fault("hot-not-routed", "FWD-BUS-02 PLUG-BUS-02 DISC-BUS-02 EDEV-BUS-02",
    "a device that comes later is shown but not routed to")
fault("payload-changed", "FWD-BUS-03", "the last byte of long requests is cleared")
fault("response-changed", "FWD-BUS-03", "the last byte of long responses is inverted")
fault("event-changed", "FWD-BUS-03 REV-BUS-02", "EVENT_CONFIG's data is cut off")
fault("padded", "FWD-BUS-03 HDR-BUS-03", "messages are padded to 16 bytes with 0xCC")
fault("unknown-silent", "FWD-BUS-04 ERR-BUS-02", "a request for an unknown device is dropped")
fault("too-large-silent", "FWD-BUS-04 ERR-BUS-02", "a request that is too large is dropped")
fault("limit-to-device-only", "PARAM-BUS-04", "only the driver's messages are held to the limit")
fault("limit-to-driver-only", "PARAM-BUS-04", "only the device's messages are held to the limit")
fault("parameters-untold", "PARAM-BUS-06", "a change of parameters is not told of")
fault("parameters-unwaited", "PARAM-BUS-06", "after a change messages go on as if nothing was")
fault("parameters-shift", "PARAM-BUS-05", "GET_PARAMETERS says another size each time")
fault("parameters-features", "PARAM-BUS-03", "feature bits beyond those of both sides are advertised")
fault("size-48", "SIZE-BUS-01", "max_msg_size 48 is advertised")
fault("size-huge", "SIZE-BUS-02", "max_msg_size 4096 is advertised")
fault("no-time-out", "ERR-BUS-01 ERR-BUS-03 ERR-BUS-02", "a response is waited for without end")
fault("late-too", "ERR-BUS-02 ORD-BUS-01", "a response after the time-out is delivered too")
fault("twice", "ERR-BUS-02 ORD-BUS-01", "each response is delivered twice")
fault("doubles-pass", "ERR-BUS-02 ORD-BUS-01", "the device's second response is delivered, too",
    "own-tokens")
fault("swallows", "ERR-BUS-02 ORD-BUS-01 ERR-BUS-01 ERR-BUS-03", "every ninth response is lost")
fault("answers-unknown-bus", "ERR-BUS-04", "an unknown bus message is answered")
fault("checks-msg-id", "ERR-BUS-05", "unknown transport messages are dropped")
fault("fails-msg-id", "ERR-BUS-05", "unknown transport messages are failed")
fault("answers-events", "ERR-BUS-06", "an event for an unknown device is answered with a response")
fault("bus-dev-num", "HDR-BUS-01 HDR-ANY-03", "answers to bus messages have dev_num 1")
fault("dev-num-lost", "HDR-BUS-01", "responses come from device 0")
fault("dev-num-events", "HDR-BUS-01 FWD-BUS-02", "events come from device 0")
fault("bus-type-bits", "HDR-BUS-02 HDR-ANY-01", "generated bus messages have reserved bits set")
fault("drops-type-bits", "HDR-BUS-02 HDR-ANY-01", "transport messages with reserved bits are dropped")
fault("token-leaks", "HDR-BUS-04 HDR-BUS-06 ORD-BUS-01", "responses carry the bus's own tokens")
fault("token-clash", "HDR-BUS-06 HDR-BUS-04 ORD-BUS-01",
    "two devices' requests with one token are mixed up", "own-tokens")
fault("first-of-device", "HDR-BUS-06 HDR-BUS-04 ORD-BUS-01",
    "a response belongs to the device's oldest request")
fault("lifo", "ORD-BUS-03", "requests that wait go out last first", "serial")
fault("events-wait", "ORD-BUS-05", "an event waits for the responses that are due")
fault("avail-waits", "ORD-BUS-05", "EVENT_AVAIL waits behind open requests")
fault("shows-too-many", "DISC-BUS-01", "GET_DEVICES shows a device that is not there")
fault("hides-one", "DISC-BUS-02 DNUM-BUS-03", "GET_DEVICES hides the last device")
fault("no-removed", "PLUG-BUS-01 EDEV-BUS-03 PLUG-BUS-02", "REMOVED is not told")
fault("no-added", "PLUG-BUS-01 PLUG-BUS-02", "ADDED is not told")
fault("removed-for-added", "PLUG-BUS-01 EDEV-BUS-02 EDEV-BUS-03", "REMOVED where ADDED is due")
fault("wrong-plug-number", "EDEV-BUS-01 PLUG-BUS-01", "EVENT_DEVICE names the next number")
fault("still-shown", "DISC-BUS-01 PLUG-BUS-02 GDEV-BUS-01 BMSG-BUS-02",
    "a removed device is still shown")
fault("events-twice", "RTN-BUS-03", "events of the device are forwarded and made up")
fault("avail-twice", "RTN-BUS-03", "EVENT_AVAIL is delivered twice")
fault("invents-used", "RTN-BUS-06 RTN-BUS-05 RTN-BUS-03", "EVENT_USED with each GET_VQUEUE response")
fault("config-lost", "RTN-BUS-03", "EVENT_CONFIG is not delivered")
fault("used-lost", "RTN-BUS-03", "every other EVENT_USED is not delivered")
fault("bitmap-short", "GDEV-BUS-01 WIRE-BUS-01", "count / 8 bytes of bitmap")
fault("bitmap-long", "GDEV-BUS-01 WIRE-BUS-01", "count / 8 + 1 bytes of bitmap")
fault("bitmap-msb", "GDEV-BUS-01", "bitmaps begin at the most significant bit")
fault("count-0-full", "GDEV-BUS-02 GDEV-BUS-03", "count 0 gets 8 slots")
fault("count-0-silent", "GDEV-BUS-02", "count 0 is discarded")
fault("count-up", "GDEV-BUS-03", "count is rounded up to 8")
fault("spare-bits", "GDEV-BUS-04", "spare bits are 1")
fault("next-self", "GDEV-BUS-06", "next_offset is the request's offset", "next-always")
fault("next-at-end", "GDEV-BUS-05 GDEV-BUS-06", "the last window has a next_offset of 1")
fault("one-slot", "GDEV-BUS-07", "one slot at a time")
fault("offset-lost", "WIRE-BUS-01", "offset is not echoed")
fault("ping-0", "PING-BUS-01", "PING's data comes back as 0")
fault("ping-16", "PING-BUS-01", "PING's upper half is lost")
fault("ping-long", "WIRE-BUS-01", "PING's answer has 8 bytes")


class Closed(Exception):
    """The driver side has gone."""


class Pending:
    def __init__(self, number, msg_id, token, limit):
        self.number, self.msg_id, self.token, self.limit = number, msg_id, token, limit


class Bus:
    def __init__(self, opt, bug):
        self.opt, self.bug = opt, bug or ""
        self.driver = socket.socket(fileno=int(os.environ["PLUMBLINE_FD"]))
        self.device = socket.socket(fileno=int(os.environ["PLUMBLINE_DEVICE_FD"]))
        self.ctl, self.text = None, b""
        if "PLUMBLINE_CTL_FD" in os.environ and opt["control"]:
            self.ctl = socket.socket(fileno=int(os.environ["PLUMBLINE_CTL_FD"]))
        words = dict(w.split("=") for w in os.environ.get("PLUMBLINE_BUS", "").split())
        self.revision = int(words.get("revision", "1"), 0)
        self.max_size = int(words.get("max_msg_size", "264"), 0)
        self.features = int(words.get("features", "0"), 0)
        self.table, self.pending, self.count = set(), {}, opt["first_token"]
        self.queue, self.held, self.late, self.early = {}, [], [], []
        self.stale, self.waiting, self.asked, self.n = False, [], {}, 0
        self.hot = set()

    # --- sending
    def to_driver(self, m):
        if self.bug == "padded" and len(m) % 16:
            m += b"\xCC" * (16 - len(m) % 16)
        self.send(self.driver, m)

    def to_device(self, m):
        self.send(self.device, m)

    def send(self, sock, m):
        if self.opt["pause"]:
            time.sleep(self.opt["pause"])
        try:
            sock.send(m)
        except OSError:
            if sock is self.driver:
                raise Closed from None

    def bus_message(self, kind, msg_id, token, body):
        bits = 0x80 if self.bug == "bus-type-bits" else 0
        number = 1 if self.bug == "bus-dev-num" else 0
        return struct.pack("<BBHHH", 2 | kind | bits, msg_id, number, token, 8 + len(body)) + body

    def fail(self, number, token, msg_id, reason):
        self.to_driver(self.bus_message(0, FAILURE, 0, struct.pack("<HHBBH", number, token, msg_id,
            reason, 0)))

    def next_token(self):
        while True:
            token = self.count & 0xFFFF
            self.count += -1 if self.opt["first_token"] < 0 else 1
            if token not in self.pending and token not in self.asked:
                return token

    # --- enumeration
    def enumerate(self):
        """Asks the device side which numbers there are; what the driver sends meanwhile waits."""
        offset = 0
        while self.opt["learn"] == "devices":
            token = self.next_token()
            self.to_device(self.bus_message(0, DEVICES, token, struct.pack("<HH", offset,
                0xFFFF - offset or 1)))
            limit, got = time.monotonic() + 0.4, None
            while got is None and time.monotonic() < limit:
                ready = select.select([self.device], [], [], limit - time.monotonic())[0]
                if not ready:
                    break
                m = self.device.recv(65536)
                if not m:
                    return
                if len(m) >= 14 and m[0] & 3 == 3 and m[1] == DEVICES and \
                        struct.unpack_from("<H", m, 4)[0] == token:
                    got = m
                else:
                    self.early.append(m)
            if got is None:
                return
            _, following, count = struct.unpack_from("<HHH", got, 8)
            bits = got[14:]
            self.table |= {offset + i for i in range(min(count, 8 * len(bits))) if
                bits[i // 8] >> i % 8 & 1}
            if following <= offset:
                return
            offset = following

    # --- from the driver
    def from_driver(self, m):
        if len(m) < 8:
            return
        kind, msg_id, number, token, size = struct.unpack_from("<BBHHH", m)
        bus, response, event = kind & 2, kind & 1, msg_id & 0x40
        whole = size == len(m)
        if bus:
            if whole:
                self.driver_bus(response, msg_id, number, token, m[8:])
            return
        if not whole:
            if self.opt["size"] == "fail" and not response and not event:
                self.fail(number, token, msg_id, POLICY)
            return
        if response or self.bug == "drops-type-bits" and kind & 0xFC:
            return
        if self.bug in ("checks-msg-id", "fails-msg-id") and msg_id not in range(2, 13) and \
                msg_id not in (0x40, 0x41, 0x42):
            if self.bug == "fails-msg-id" and not event:
                self.fail(number, token, msg_id, POLICY)
            return
        if self.stale:
            if self.opt["waits"] == "hold" and not event and len(self.waiting) < 64:
                self.waiting.append((time.monotonic() + self.opt["timeout"], m))
            elif not event:
                self.fail(number, token, msg_id, POLICY)
            elif self.opt["events_fail"]:
                self.fail(number, token, msg_id, POLICY)
            return
        if len(m) > self.max_size and self.bug != "limit-to-driver-only":
            if (not event or self.opt["events_fail"]) and self.bug != "too-large-silent":
                self.fail(number, token, msg_id, TOO_LARGE)
            return
        known = number in self.table or self.bug == "no-validation"
        if self.bug == "first-only" and number or self.bug == "hot-not-routed" and \
                number in self.hot:
            if not event and self.bug == "hot-not-routed":
                self.fail(number, token, msg_id, NO_DEVICE)
            return
        if self.opt["learn"] == "probe" and msg_id == INFO:
            known = True
        if not known:
            if self.bug == "answers-events" and event:
                self.to_driver(struct.pack("<BBHHH", 1, msg_id, number, token, 8))
            if (not event or self.opt["events_fail"]) and self.bug != "unknown-silent":
                self.fail(number, token, msg_id, NO_DEVICE)
            return
        if event:
            if self.bug == "avail-waits" and any(p.number == number for p in
                    self.pending.values()):
                self.late.append((number, m))
                return
            self.to_device(self.routed(m))
            if self.bug == "avail-twice" and msg_id == AVAIL:
                self.to_device(m)
            return
        window = self.opt["window"]
        if window and sum(p.number == number for p in self.pending.values()) >= window:
            self.queue.setdefault(number, []).append((time.monotonic() + self.opt["timeout"], m))
            return
        self.forward(m)

    def routed(self, m):
        if self.bug == "all-to-0":
            m = m[:2] + b"\0\0" + m[4:]
        if self.bug == "payload-changed" and len(m) > 30:
            m = m[:-1] + b"\0"
        return m

    def forward(self, m):
        _, msg_id, number, token, _ = struct.unpack_from("<BBHHH", m)
        key = self.next_token() if self.opt["tokens"] == "rewritten" else (number, token)
        limit = time.monotonic() + self.opt["timeout"]
        if self.bug == "token-clash":
            key = token
        self.pending.setdefault(key, Pending(number, msg_id, token, limit))
        if self.opt["tokens"] == "rewritten":
            m = m[:4] + struct.pack("<H", key) + m[6:]
        self.to_device(self.routed(m))

    def driver_bus(self, response, msg_id, number, token, body):
        if response or msg_id & 0x40 or number and self.opt["bus_dev_num"] == "drop":
            return
        least = {DEVICES: 4, PING: 4, PARAMETERS: 0}.get(msg_id)
        if least is None:
            if self.bug == "answers-unknown-bus":
                self.to_driver(self.bus_message(1, msg_id, token, b""))
            return
        if len(body) < least or len(body) > least and self.opt["surplus"] == "drop":
            return
        body = body[:least]
        if msg_id == PING and self.opt["ping"]:
            if self.bug == "ping-0":
                body = bytes(4)
            elif self.bug == "ping-16":
                body = body[:2] + b"\0\0"
            elif self.bug == "ping-long":
                body += bytes(4)
            self.to_driver(self.bus_message(1, PING, token, body))
        elif msg_id == PARAMETERS and self.opt["parameters"]:
            size, features = self.max_size, self.features
            self.n += 1
            size += {"size-48": 48 - size, "size-huge": 4096 - size,
                "parameters-shift": self.n % 2 * 8}.get(self.bug, 0)
            features |= 0xFFFE if self.bug == "parameters-features" else 0
            self.to_driver(self.bus_message(1, PARAMETERS, token, struct.pack("<III",
                self.revision, size, features)))
            self.revalidated()
        elif msg_id == DEVICES and self.opt["devices"] == "table":
            self.to_driver(self.bus_message(1, DEVICES, token, self.window(*struct.unpack("<HH",
                body)) or b"")) if self.bug != "count-0-silent" or body[2:] != b"\0\0" else None
        elif msg_id == DEVICES and self.opt["devices"] == "forward":
            mine = self.next_token()
            self.asked[mine] = token, time.monotonic() + self.opt["timeout"], body
            self.to_device(self.bus_message(0, DEVICES, mine, body))

    def window(self, offset, asked):
        """The body of a GET_DEVICES response."""
        count = min(asked, 8 * (self.max_size - 14), 0x10000 - offset)
        if self.opt["most"]:
            count = min(count, self.opt["most"])
        shown = set(self.table)
        if self.bug == "hides-one" and len(shown) > 1:
            shown.discard(max(shown))
        if self.bug == "shows-too-many":
            shown.add(max(shown or {0}) + 1)
        if self.bug == "still-shown":
            shown |= self.gone
        end = offset + count
        more = any(n >= end for n in shown) or self.opt["next_always"] and end < 0x10000
        following = end if more and end < 0x10000 else 0
        if not asked:
            following = offset + 1 if self.opt["count0_next"] and more and offset < 0xFFFF else 0
        if self.opt["trims"]:
            inside = [n for n in shown if offset <= n < end]
            count = max(inside) + 1 - offset if inside else 0
        if self.bug == "count-0-full" and not asked:
            count = 8
        elif self.bug == "count-up":
            count = (count + 7) // 8 * 8
        elif self.bug == "one-slot" and asked:
            count, following = 1, offset + 1 if any(n > offset for n in shown) else 0
        bits = bytearray((count + 7) // 8)
        for n in shown:
            if offset <= n < offset + count:
                at = n - offset
                bits[at // 8] |= 0x80 >> at % 8 if self.bug == "bitmap-msb" else 1 << at % 8
        if self.bug == "bitmap-short":
            bits = bits[:count // 8]
        elif self.bug == "bitmap-long":
            bits = bits.ljust(count // 8 + 1, b"\0")
        elif self.bug == "spare-bits" and count % 8:
            bits[-1] |= 0xFF << count % 8 & 0xFF
        if self.bug == "next-self" and following:
            following = offset
        if self.bug == "next-at-end" and not following and asked:
            following = 1
        return struct.pack("<HHH", 0 if self.bug == "offset-lost" else offset, following, count) + \
            bytes(bits)

    gone = frozenset()

    # --- from the devices
    def from_device(self, m):
        if len(m) < 8:
            return
        kind, msg_id, number, token, size = struct.unpack_from("<BBHHH", m)
        if size != len(m):
            return
        if kind & 2:
            self.device_bus(kind & 1, msg_id, number, token, m[8:])
        elif kind & 1:
            self.response(m, number, token, msg_id)
        elif msg_id & 0x40:
            self.event(m, number, msg_id, token)

    def device_bus(self, response, msg_id, number, token, body):
        if msg_id == DEVICES and response and token in self.asked:
            mine, _, _ = self.asked.pop(token)
            self.learn(body)
            self.to_driver(self.bus_message(1, DEVICES, mine, body))
        elif msg_id == PING and not response and len(body) >= 4 and not number:
            self.to_device(self.bus_message(1, PING, token, body[:4]))
        elif msg_id == PARAMETERS and not response:
            self.to_device(self.bus_message(1, PARAMETERS, token, struct.pack("<III",
                self.revision, self.max_size, self.features)))
        elif msg_id == DEVICE_EVENT and not response and len(body) >= 4:
            number, state = struct.unpack_from("<HH", body)
            if state in (ADDED, REMOVED):
                self.plug(number, state)

    def learn(self, body):
        if len(body) >= 6:
            offset, _, count = struct.unpack_from("<HHH", body)
            bits = body[6:]
            for i in range(min(count, 8 * len(bits))):
                if bits[i // 8] >> i % 8 & 1:
                    self.table.add(offset + i)

    def plug(self, number, state):
        if state == ADDED:
            self.table.add(number)
            self.hot.add(number)
            if self.bug == "no-added":
                return
        else:
            if number not in self.table:
                return
            self.table.discard(number)
            self.gone = self.gone | {number}
            for key, one in list(self.pending.items()):
                if one.number == number:
                    del self.pending[key]
                    self.fail(number, one.token, one.msg_id, PEER_GONE)
            for _, m in self.queue.pop(number, []):
                self.fail(number, struct.unpack_from("<H", m, 4)[0], m[1], PEER_GONE)
            if self.bug == "no-removed":
                return
        if self.bug == "removed-for-added":
            state = REMOVED
        if self.bug == "wrong-plug-number":
            number += 1
        self.to_driver(self.bus_message(0, DEVICE_EVENT, 0, struct.pack("<HH", number, state)))

    def response(self, m, number, token, msg_id):
        key = token if self.opt["tokens"] == "rewritten" else (number, token)
        if self.bug == "token-clash":
            key = token
        if self.bug == "first-of-device":
            key = next((k for k, p in self.pending.items() if p.number == number), None)
        one = self.pending.get(key)
        if one is None or one.msg_id != msg_id and self.bug != "first-of-device":
            if self.bug == "doubles-pass":
                self.to_driver(m)
            if self.bug == "late-too" and key in self.expired:
                self.to_driver(m[:4] + struct.pack("<H", self.expired[key]) + m[6:])
            return
        if one.number != number and self.bug not in ("token-clash", "all-to-0"):
            return
        del self.pending[key]
        if len(m) > self.max_size and self.bug != "limit-to-device-only":
            self.fail(number, one.token, msg_id, TOO_LARGE)
        else:
            if self.opt["learn"] == "probe" and msg_id == INFO:
                self.table.add(number)
            self.n += 1
            if self.bug == "swallows" and self.n % 9 == 0:
                return
            if self.bug == "response-changed" and len(m) > 30:
                m = m[:-1] + bytes([m[-1] ^ 0xFF])
            if self.bug == "dev-num-lost":
                m = m[:2] + b"\0\0" + m[4:]
            if self.bug != "token-leaks":
                m = m[:4] + struct.pack("<H", one.token) + m[6:]
            if self.opt["hold"]:
                self.held.append((time.monotonic() + self.opt["hold"], number, m))
            else:
                self.to_driver(m)
                if self.bug == "twice":
                    self.to_driver(m)
            if self.bug == "invents-used" and msg_id == 9:
                self.to_driver(struct.pack("<BBHHHI", 0, USED, number, 0, 12, 0))
        self.serve_queue(number)
        if not any(p.number == number for p in self.pending.values()):
            for one_number, late in self.late[:]:
                if one_number == number:
                    self.late.remove((one_number, late))
                    (self.to_device if late[1] == AVAIL else self.to_driver)(late)

    expired = {}

    def serve_queue(self, number):
        line = self.queue.get(number)
        if line:
            self.forward(line.pop(-1 if self.bug == "lifo" else 0)[1])

    def event(self, m, number, msg_id, token):
        if number not in self.table:
            return
        if len(m) > self.max_size and self.bug != "limit-to-device-only":
            if self.opt["events_fail"]:
                self.fail(number, token, msg_id, TOO_LARGE)
            return
        if self.bug == "event-changed" and msg_id == CONFIG and len(m) > 24:
            m = m[:6] + struct.pack("<H", 24) + m[8:24]
        self.n += 1
        if self.bug == "config-lost" and msg_id == CONFIG or self.bug == "used-lost" and \
                msg_id == USED and self.n % 2:
            return
        if self.bug == "dev-num-events":
            m = m[:2] + b"\0\0" + m[4:]
        if self.bug == "events-wait" and any(p.number == number for p in self.pending.values()):
            self.late.append((number, m))
            return
        self.to_driver(m)
        if self.bug == "events-twice":
            self.to_driver(m)

    # --- parameters and control
    def revalidated(self):
        self.stale = False
        waiting, self.waiting = self.waiting, []
        for _, m in waiting:
            self.from_driver(m)

    def control(self, words):
        if len(words) == 2 and words[0] in ("attach", "detach"):
            number = int(words[1], 0)
            if words[0] == "detach" and number not in self.table:
                return "error no such device"
            self.plug(number, ADDED if words[0] == "attach" else REMOVED)
            return "ok"
        if len(words) == 4 and words[0] == "parameters" and self.opt["parameters"]:
            self.revision, self.max_size, self.features = (int(w, 0) for w in words[1:])
            if self.bug != "parameters-untold":
                told = self.bus_message(0, PARAMETERS_EVENT, 0, struct.pack("<III", self.revision,
                    self.max_size, self.features))
                self.to_driver(told)
                self.to_device(told)
            self.stale = self.bug != "parameters-unwaited" and self.bug != "parameters-untold"
            return "ok"
        return "unsupported"

    # --- time
    def due(self):
        times = [p.limit for p in self.pending.values()] + [t for t, *_ in self.held] + \
            [t for t, _ in self.waiting] + [t for _, t, _ in self.asked.values()] + \
            [t for line in self.queue.values() for t, _ in line]
        return max(0, min(times) - time.monotonic()) if times else None

    def expire(self):
        now = time.monotonic()
        for key, one in list(self.pending.items()):
            if one.limit <= now and self.bug != "no-time-out":
                del self.pending[key]
                self.expired = {**self.expired, key: one.token}
                self.fail(one.number, one.token, one.msg_id, TIME_OUT)
                self.serve_queue(one.number)
            elif one.limit <= now:
                one.limit = now + 1000
        for number, line in self.queue.items():
            for item in line[:]:
                if item[0] <= now:
                    line.remove(item)
                    self.fail(number, struct.unpack_from("<H", item[1], 4)[0], item[1][1], TIME_OUT)
        for mine, (token, limit, body) in list(self.asked.items()):
            if limit <= now:
                del self.asked[mine]
                self.to_driver(self.bus_message(1, DEVICES, token, self.window(*struct.unpack(
                    "<HH", body))))
        for item in self.waiting[:]:
            if item[0] <= now:
                self.waiting.remove(item)
                _, msg_id, number, token, _ = struct.unpack_from("<BBHHH", item[1])
                self.fail(number, token, msg_id, TIME_OUT)
        if self.held and self.held[0][0] <= now:
            held, self.held = self.held, []
            if self.opt["hold_all"]:
                held.reverse()
            else:
                held.sort(key=lambda one: -one[1])
            for _, _, m in held:
                self.to_driver(m)

    def run(self):
        self.enumerate()
        for m in self.early:
            self.from_device(m)
        if self.opt["pings"]:
            self.to_driver(self.bus_message(0, PING, 0xABC, b"ping"))
            self.to_device(self.bus_message(0, PING, 0xABD, b"ping"))
        while True:
            fds = [self.driver] + ([self.device] if self.device else []) + \
                ([self.ctl] if self.ctl else [])
            ready = select.select(fds, [], [], self.due())[0]
            self.expire()
            if self.driver in ready:
                m = self.driver.recv(65536)
                if not m:
                    return
                self.from_driver(m)
            if self.device and self.device in ready:
                m = self.device.recv(65536)
                if m:
                    self.from_device(m)
                else:
                    for number in sorted(self.table):
                        self.plug(number, REMOVED)
                    self.device = None
            if self.ctl and self.ctl in ready:
                data = self.ctl.recv(4096)
                if not data:
                    self.ctl = None
                self.text += data
                *lines, self.text = self.text.split(b"\n")
                for line in lines:
                    try:
                        answer = self.control(line.decode().split())
                    except ValueError as e:
                        answer = "error %s" % e
                    self.ctl.send(answer.encode() + b"\n")


def main(argv):
    style, bug = "plain", None
    words = iter(argv)
    for word in words:
        name, equals, value = word.partition("=")
        if name == "--list-styles":
            print(json.dumps({n: {"text": t, "warnings": w} for n, (t, _, w) in STYLES.items()},
                indent=1))
            return 0
        if name == "--list-faults":
            print(json.dumps({n: {"text": t, "clauses": c, "style": s} for n, (t, c, s) in
                FAULTS.items()}, indent=1))
            return 0
        if name not in ("--style", "--fault"):
            sys.exit("bus: unknown argument '%s'" % word)
        value = value if equals else next(words, "")
        if name == "--style":
            style = value
        elif value not in FAULTS:
            sys.exit("bus: no fault '%s'" % value)
        else:
            bug, style = value, FAULTS[value][2]
    if style not in STYLES:
        sys.exit("bus: no style '%s'" % style)
    try:
        Bus(dict(BASE, **STYLES[style][1]), bug).run()
    except (Closed, OSError):
        pass
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
