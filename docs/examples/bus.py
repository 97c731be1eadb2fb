#!/usr/bin/env python3
"""A whole message bus: messages go between its two sockets, requests complete once, with a response or a failure."""
import os
import select
import socket
import struct
import time

HEADER = struct.Struct("<BBHHH")
RESPONSE, BUS, EVENT = 0x01, 0x02, 0x40
GET_DEVICES, GET_PARAMETERS, EVENT_FAILURE = 0x02, 0x80, 0xC0
NO_DEVICE, TOO_LARGE, TIME_OUT = 1, 2, 3
SECONDS = 0.3  # that a request waits for its device

driver = socket.socket(fileno=int(os.environ["PLUMBLINE_FD"]))
device = socket.socket(fileno=int(os.environ["PLUMBLINE_DEVICE_FD"]))
parameters = {k: int(v, 0) for k, v in (word.split("=") for word in os.environ["PLUMBLINE_BUS"].split())}
known, waiting, own_token = set(), {}, 0  # waiting: {the bus's token: (driver's token, dev_num, msg_id, deadline)}


def message(kind, ident, dev_num, token, payload=b""):
    return HEADER.pack(kind, ident, dev_num, token, HEADER.size + len(payload)) + payload


def fail(ident, dev_num, token, reason):
    driver.send(message(BUS, EVENT_FAILURE, 0, 0, struct.pack("<HHBBH", dev_num, token, ident, reason, 0)))


def ask_devices(offset):
    room = 8 * (parameters["max_msg_size"] - 14)
    device.send(message(BUS, GET_DEVICES, 0, 0, struct.pack("<HH", offset, min(room, 65535 - offset))))


def from_driver(kind, ident, dev_num, token, data):
    global own_token
    if kind & BUS:
        if ident == GET_PARAMETERS and len(data) == HEADER.size:
            driver.send(message(BUS | RESPONSE, ident, 0, token, struct.pack("<III", *list(parameters.values())[:3])))
        elif ident == GET_DEVICES and len(data) == 12:
            offset, count = struct.unpack_from("<HH", data, HEADER.size)
            count = min(count, 65536 - offset, 8 * (parameters["max_msg_size"] - 14))
            bits = sum(1 << n - offset for n in known if offset <= n < offset + count)
            more = count and any(n >= offset + count for n in known)
            driver.send(message(BUS | RESPONSE, ident, 0, token, struct.pack(
                "<HHH", offset, offset + count if more else 0, count) + bits.to_bytes((count + 7) // 8, "little")))
    elif kind & RESPONSE:
        return
    elif dev_num not in known or len(data) > parameters["max_msg_size"]:
        if not ident & EVENT:
            fail(ident, dev_num, token, TOO_LARGE if dev_num in known else NO_DEVICE)
    elif ident & EVENT:
        device.send(data)
    else:
        own_token = own_token % 65535 + 1
        waiting[own_token] = token, dev_num, ident, time.monotonic() + SECONDS
        device.send(data[:4] + struct.pack("<H", own_token) + data[6:])


def from_device(kind, ident, dev_num, token, data):
    if kind & BUS:
        if kind & RESPONSE and ident == GET_DEVICES and len(data) >= 14:
            offset, following, count = struct.unpack_from("<HHH", data, HEADER.size)
            bits = int.from_bytes(data[14:], "little")
            known.update(offset + i for i in range(count) if bits >> i & 1)
            if following > offset:
                ask_devices(following)
    elif kind & RESPONSE:
        if waiting.get(token, (0, None, None))[1:3] != (dev_num, ident):
            return  # nobody waits for it, or not any more
        token = waiting.pop(token)[0]
        if len(data) > parameters["max_msg_size"]:
            fail(ident, dev_num, token, TOO_LARGE)
        else:
            driver.send(data[:4] + struct.pack("<H", token) + data[6:])
    elif ident & EVENT and dev_num in known and len(data) <= parameters["max_msg_size"]:
        driver.send(data)


ask_devices(0)
while True:
    until = min((w[3] for w in waiting.values()), default=None)
    ready, _, _ = select.select([device, driver], [], [], until and max(0, until - time.monotonic()))
    for side in ready:
        data = side.recv(65536)
        if not data:
            raise SystemExit(0)
        if len(data) >= HEADER.size:
            kind, ident, dev_num, token, size = HEADER.unpack_from(data)
            if size == len(data):
                (from_driver if side is driver else from_device)(kind, ident, dev_num, token, data)
    for own in [k for k, w in waiting.items() if w[3] <= time.monotonic()]:
        token, dev_num, ident, _ = waiting.pop(own)
        fail(ident, dev_num, token, TIME_OUT)
