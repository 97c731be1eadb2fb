#!/usr/bin/python3
"""A message bus written from the specification's text alone: in several styles, all of them faithful, and with faults.

usage: bus.py [--style STYLE] [--fault FAULT]; --list prints styles and faults with the clauses that a fault breaks.
"""
import argparse
import os
import selectors
import socket
import struct
import threading
import time

HEADER = struct.Struct("<BBHHH")
RESPONSE, BUS = 1, 2
GET_DEVICE_INFO, GET_DEVICES, PING, EVENT_DEVICE = 0x02, 0x02, 0x03, 0x40
GET_PARAMETERS, FAILURE, PARAMETERS = 0x80, 0xC0, 0xC1
NO_DEVICE, TOO_LARGE, TIME_OUT, POLICY, GONE = 1, 2, 3, 4, 5
STYLES = {
    "plain": "asks for its devices once, answers GET_DEVICES and PING itself, makes tokens of its own",
    "transparent": "leaves tokens alone and passes GET_DEVICES and PING on to the device side",
    "lazy": "asks whether a device is there when a request for it comes",
    "platform": "knows device 0 and nothing else, has no bus messages and no control",
    "told": "learns of devices by EVENT_DEVICE only",
    "serial": "one request at a time for each device, events at any time",
    "threads": "a thread for each side",
    "retry": "asks a device twice before it gives up",
    "slow": "each message stays some milliseconds",
    "padded": "messages are padded to multiples of sixteen bytes",
}
FAULTS = {
    "unknown-number-forwarded": "FWD-BUS-01", "wrong-device": "FWD-BUS-02", "payload-changed": "FWD-BUS-03",
    "failure-unsaid": "FWD-BUS-04", "oversize-one-way": "PARAM-BUS-04", "cut": "REV-BUS-02", "no-timeout": "ERR-BUS-01",
    "late-delivered": "ERR-BUS-02", "twice": "ERR-BUS-02", "unknown-answered": "ERR-BUS-04", "ids-checked": "ERR-BUS-05",
    "event-answered": "ERR-BUS-06", "dev-num-lost": "HDR-BUS-01", "reserved-set": "HDR-BUS-02", "padding-dirty": "HDR-BUS-03",
    "token-leaks": "HDR-BUS-04", "crossed": "HDR-BUS-06", "overtaking": "ORD-BUS-03", "events-wait": "ORD-BUS-05",
    "ghost-device": "DISC-BUS-01", "hidden-device": "DISC-BUS-02", "no-removed": "PLUG-BUS-01", "event-twice": "RTN-BUS-03",
    "event-made-up": "RTN-BUS-06", "event-lost": "RTN-BUS-07", "next-offset-lost": "AVAIL-BUS-01", "bitmap-short": "GDEV-BUS-01",
    "next-stuck": "GDEV-BUS-06", "ping-wrong": "PING-BUS-01", "added-for-removed": "EDEV-BUS-02", "parameters-silent": "PARAM-BUS-06",
    "parameters-move": "PARAM-BUS-05",
}


def environment(name):
    return int(os.environ[name])


class Bus:
    def __init__(self, style, fault):
        self.style, self.fault = style, fault
        self.driver = socket.socket(fileno=environment("PLUMBLINE_FD"))
        self.device = socket.socket(fileno=environment("PLUMBLINE_DEVICE_FD"))
        control = os.environ.get("PLUMBLINE_CTL_FD")
        self.control = socket.socket(fileno=int(control)) if control and style != "platform" else None
        words = dict(word.split("=") for word in os.environ["PLUMBLINE_BUS"].split())
        self.parameters = [int(words[k], 0) for k in ("revision", "max_msg_size", "features")]
        self.known, self.pending, self.queued, self.asking = set(), [], [], {}
        self.token, self.changed, self.line, self.asked = 0x5000, False, b"", 0
        self.lock = threading.RLock()
        self.timeout = 0.25

    # --- messages out

    def send(self, side, data, kind=None):
        head = bytearray(data)
        if self.style == "slow":
            time.sleep(0.0004)
        transport = not head[0] & BUS
        if transport and self.style == "padded":
            head += bytes(-len(head) % 16)
        if transport and self.fault == "padding-dirty":
            head += b"\x00\xaa"
        if not transport and self.fault == "reserved-set":
            head[0] |= 0x10
        side.send(bytes(head))
        del kind

    def bus_message(self, side, kind, ident, token, payload=b""):
        self.send(side, HEADER.pack(BUS | kind, ident, 0, token, 8 + len(payload)) + payload)

    def fail(self, ident, dev_num, token, reason):
        if self.fault != "failure-unsaid" or reason not in (NO_DEVICE, TOO_LARGE):
            self.bus_message(self.driver, 0, FAILURE, 0, struct.pack("<HHBBH", dev_num, token, ident, reason, 0))

    def announce(self, number, added):
        if self.fault == "no-removed" and not added:
            return
        state = 1 if added or self.fault == "added-for-removed" else 2
        self.bus_message(self.driver, 0, EVENT_DEVICE, 0, struct.pack("<HH", number, state))

    # --- requests

    def request(self, data, ident, dev_num, token):
        largest = self.parameters[1]
        if self.changed and self.fault != "parameters-silent":
            return self.fail(ident, dev_num, token, POLICY)
        if self.fault == "ids-checked" and ident > 0x0C:
            return self.fail(ident, dev_num, token, POLICY)
        if len(data) > largest and self.fault == "cut":
            return self.device.send(data[:6] + struct.pack("<H", largest) + data[8:largest])
        if dev_num not in self.known and self.fault != "unknown-number-forwarded":
            if self.style != "lazy" or self.asking.get(dev_num) is False:
                return self.fail(ident, dev_num, token, NO_DEVICE)
            if dev_num not in self.asking:
                self.asking[dev_num] = time.monotonic() + 0.05
                self.device.send(HEADER.pack(0, GET_DEVICE_INFO, dev_num, 0x4FFF, 8))
            return self.queued.append((data, ident, dev_num, token, time.monotonic() + self.timeout))
        if len(data) > largest and self.fault != "oversize-one-way":
            return self.fail(ident, dev_num, token, TOO_LARGE)
        self.queued.append((data, ident, dev_num, token, time.monotonic() + self.timeout))
        return self.pump()

    def pump(self):
        later = []
        for entry in self.queued:
            data, ident, dev_num, token, until = entry
            busy = any(p["dev"] == dev_num for p in self.pending) or any(e[2] == dev_num for e in later)
            if (self.style == "serial" and busy) or (dev_num in self.asking and self.style == "lazy" and dev_num not in self.known):
                later.append(entry)
                continue
            out = token
            if self.style not in ("transparent",):
                self.token = self.token % 0xEFFF + 1
                out = self.token
            data = bytearray(data)
            if self.fault == "wrong-device" and ident == 0x05 and self.known:
                struct.pack_into("<H", data, 2, min(self.known))
            if self.fault == "payload-changed" and ident == 0x06:
                data[-1] ^= 0x55
            struct.pack_into("<H", data, 4, out)
            self.pending.append({"token": token, "out": out, "dev": dev_num, "id": ident, "until": until, "data": bytes(data), "tries": 1})
            if self.fault == "overtaking" and ident == 0x06:
                threading.Timer(0.003, self.device.send, [bytes(data)]).start()
            else:
                self.send(self.device, data)
        self.queued = later

    def response(self, data, ident, dev_num, token):
        if token == 0x4FFF and dev_num in self.asking:
            del self.asking[dev_num]
            self.known.add(dev_num)
            return self.pump()
        for entry in self.pending:
            if (entry["out"], entry["dev"], entry["id"]) == (token, dev_num, ident):
                break
        else:
            return None
        self.pending.remove(entry)
        driver_token = entry["token"]
        if self.fault == "crossed":
            for other in self.pending:
                if (other["dev"], other["id"]) == (dev_num, ident):
                    other["token"], driver_token = driver_token, other["token"]
                    break
        if self.fault == "token-leaks":
            driver_token = token
        if len(data) > self.parameters[1]:
            self.fail(ident, dev_num, driver_token, TOO_LARGE)
        elif not entry.get("failed") or self.fault == "late-delivered":
            data = bytearray(data)
            struct.pack_into("<H", data, 4, driver_token)
            if self.fault == "dev-num-lost":
                struct.pack_into("<H", data, 2, 0)
            self.send(self.driver, data)
            if self.fault == "twice":
                self.send(self.driver, data)
        return self.pump()

    def overdue(self, now):
        for dev_num, until in list(self.asking.items()):
            if until is not False and until <= now:
                self.asking[dev_num] = False
                for entry in [e for e in self.queued if e[2] == dev_num]:
                    self.queued.remove(entry)
                    self.fail(entry[1], dev_num, entry[3], NO_DEVICE)
                del self.asking[dev_num]
        for entry in [e for e in self.queued if e[4] <= now and self.fault != "no-timeout"]:
            self.queued.remove(entry)
            self.fail(entry[1], entry[2], entry[3], TIME_OUT)
        for entry in [e for e in self.pending if e["until"] <= now and not e.get("failed") and self.fault != "no-timeout"]:
            if self.style == "retry" and entry["tries"] < 2:
                entry["tries"] += 1
                entry["until"] = now + self.timeout
                self.send(self.device, entry["data"])
                continue
            self.fail(entry["id"], entry["dev"], entry["token"], TIME_OUT)
            if self.fault == "late-delivered":
                entry["failed"] = True
            else:
                self.pending.remove(entry)
        self.pump()

    # --- events

    def event(self, data, ident, dev_num, side):
        to = self.device if side is self.driver else self.driver
        if dev_num not in self.known or len(data) > self.parameters[1]:
            if self.fault == "event-answered" and side is self.driver:
                self.driver.send(HEADER.pack(RESPONSE, ident, dev_num, 0, 8))
            return
        if self.fault == "event-lost" and ident == 0x42 and len(data) == 12 and data[8] == 2:
            return
        if self.fault == "next-offset-lost" and ident == 0x41:
            data = data[:12] + bytes(4)
        if self.fault == "events-wait" and any(p["dev"] == dev_num for p in self.pending):
            threading.Timer(0.01, self.on_message, [data, side]).start()
            return
        self.send(to, data)
        if self.fault == "event-twice" and to is self.driver:
            self.send(to, data)

    # --- bus messages

    def devices(self, data, token):
        offset, count = struct.unpack_from("<HH", data, 8)
        shown = set(self.known)
        if self.fault == "ghost-device":
            shown.add(5)
        if self.fault == "hidden-device":
            shown -= {max(shown, default=0)}
        count = min(count, 65536 - offset, 8 * (self.parameters[1] - 14))
        following = offset + count if count and any(n >= offset + count for n in shown) else 0
        if following and self.fault == "next-stuck":
            following = max(offset, 1) if offset else 0
            following = offset
        bits = sum(1 << n - offset for n in shown if offset <= n < offset + count)
        size = count // 8 if self.fault == "bitmap-short" else (count + 7) // 8
        bitmap = bits.to_bytes((count + 7) // 8, "little")[:size]
        self.bus_message(self.driver, RESPONSE, GET_DEVICES, token, struct.pack("<HHH", offset, following, count) + bitmap)

    def bus_request(self, data, ident, token, side):
        passes = self.style == "transparent" and side is self.driver
        if self.style == "platform":
            return
        if ident in (GET_DEVICES, PING) and len(data) == 12 and passes:
            self.pending.append({"token": token, "out": token, "dev": None, "id": ident, "until": 1e18, "data": data, "tries": 1})
            self.device.send(data)
        elif ident == GET_DEVICES and len(data) == 12 and side is self.driver:
            self.devices(data, token)
        elif ident == PING and len(data) == 12:
            value = struct.unpack_from("<I", data, 8)[0] ^ (1 if self.fault == "ping-wrong" else 0)
            self.bus_message(side, RESPONSE, PING, token, struct.pack("<I", value))
        elif ident == GET_PARAMETERS and len(data) == 8:
            self.asked += 1
            values = list(self.parameters)
            if self.fault == "parameters-move":
                values[1] += self.asked
            self.bus_message(side, RESPONSE, GET_PARAMETERS, token, struct.pack("<III", *values))
            if side is self.driver:
                self.changed = False
        elif ident == EVENT_DEVICE and side is self.device and len(data) == 12 and self.style != "platform":
            number, state = struct.unpack_from("<HH", data, 8)
            if state in (1, 2):
                self.plug(number, state == 1)
        elif self.fault == "unknown-answered" and ident < 0x40 and ident not in (GET_DEVICES, PING):
            self.bus_message(side, RESPONSE, ident, token)

    def plug(self, number, added):
        (self.known.add if added else self.known.discard)(number)
        self.announce(number, added)
        for entry in [e for e in self.pending if e["dev"] == number and not added]:
            self.pending.remove(entry)
            self.fail(entry["id"], number, entry["token"], GONE)

    def bus_response(self, data, ident, token):
        for entry in self.pending:
            if entry["dev"] is None and (entry["out"], entry["id"]) == (token, ident):
                self.pending.remove(entry)
                if ident == GET_DEVICES and len(data) >= 14:
                    self.learn(data, False)
                self.driver.send(data)
                return
        if ident == GET_DEVICES and token == 0x4FFE and len(data) >= 14:
            self.learn(data, True)

    def learn(self, data, goes_on):
        offset, following, count = struct.unpack_from("<HHH", data, 8)
        bits = int.from_bytes(data[14:], "little")
        self.known.update(offset + i for i in range(count) if bits >> i & 1)
        if goes_on and following > offset:
            self.discover(following)

    def discover(self, offset):
        count = min(8 * (self.parameters[1] - 14), 65535)
        self.bus_message(self.device, 0, GET_DEVICES, 0x4FFE, struct.pack("<HH", offset, count))

    # --- the loop

    def on_message(self, data, side):
        with self.lock:
            if len(data) < 8:
                return
            kind, ident, dev_num, token, size = HEADER.unpack_from(data)
            if size != len(data):
                return
            if kind & BUS:
                if kind & RESPONSE:
                    if side is self.device:
                        self.bus_response(data, ident, token)
                else:
                    self.bus_request(data, ident, token, side)
            elif ident & 0x40:
                if not kind & RESPONSE:
                    self.event(data, ident, dev_num, side)
            elif kind & RESPONSE and side is self.device:
                self.response(data, ident, dev_num, token)
            elif not kind & RESPONSE and side is self.driver:
                self.request(data, ident, dev_num, token)
                if self.fault == "event-made-up" and ident == 0x0A:
                    self.device.send(HEADER.pack(0, 0x41, dev_num, 0, 16) + bytes(8))

    def on_line(self, line):
        words = line.split()
        if words[:1] in (["attach"], ["detach"]):
            self.plug(int(words[1]), words[0] == "attach")
        elif words[:1] == ["parameters"]:
            self.parameters = [int(w, 0) for w in words[1:4]]
            if self.fault != "parameters-silent":
                self.bus_message(self.driver, 0, PARAMETERS, 0, struct.pack("<III", *self.parameters))
            self.changed = True
        else:
            return "unsupported"
        return "ok"

    def on_control(self):
        data = self.control.recv(4096)
        self.line += data
        while b"\n" in self.line:
            line, self.line = self.line.split(b"\n", 1)
            with self.lock:
                answer = self.on_line(line.decode())
            self.control.send(answer.encode() + b"\n")
        return bool(data)

    def reader(self, side):
        while True:
            data = side.recv(65536)
            if not data:
                os._exit(0)
            self.on_message(data, side)

    def run(self):
        if self.style == "platform":
            self.known = {0}
        elif self.style not in ("told", "lazy"):
            self.discover(0)
        if self.style == "threads":
            for side in (self.driver, self.device):
                threading.Thread(target=self.reader, args=[side], daemon=True).start()
        selector = selectors.DefaultSelector()
        for side in (self.device, self.driver) if self.style != "threads" else ():
            selector.register(side, selectors.EVENT_READ)
        if self.control:
            selector.register(self.control, selectors.EVENT_READ)
        while True:
            with self.lock:
                times = [e["until"] for e in self.pending if not e.get("failed")] + [e[4] for e in self.queued] + \
                    [t for t in self.asking.values() if t]
            wait = max(0.001, min(times, default=1e9) - time.monotonic()) if times else 0.5
            for key, _ in selector.select(min(wait, 0.02 if self.style == "threads" else 0.5)):
                if key.fileobj is self.control:
                    if not self.on_control():
                        selector.unregister(self.control)
                    continue
                data = key.fileobj.recv(65536)
                if not data:
                    return
                self.on_message(data, key.fileobj)
            with self.lock:
                self.overdue(time.monotonic())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--style", choices=STYLES, default="plain")
    parser.add_argument("--fault", choices=FAULTS)
    parser.add_argument("--list", action="store_true")
    arguments = parser.parse_args()
    if arguments.list:
        print("\n".join([*STYLES, *(f"{k} {v}" for k, v in FAULTS.items())]))
        return
    Bus(arguments.style, arguments.fault).run()


if __name__ == "__main__":
    main()
