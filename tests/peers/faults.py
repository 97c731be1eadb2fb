# SPDX-License-Identifier: BSD-3-Clause
"""Faults for device.py: each one a mistake that a vendor could make, the clauses that it breaks
(one of them is enough to catch it), and the way it changes a faithful device. FAULTS maps name to
(clauses, text), STYLE to the style it is shown with; `install` puts one into a Bus."""
import functools
import struct

FAULTS, STYLE, INSTALL = {}, {}, {}
U32 = 0xFFFFFFFF
INFO, FEATURES, SELECT, READ, WRITE, STATUS, SET_STATUS, GVQ, SVQ, RVQ, SHM = range(2, 13)
CONFIG, AVAIL, USED = 0x40, 0x41, 0x42
METHOD = {INFO: "get_device_info", FEATURES: "get_device_features", SELECT: "set_driver_features",
    READ: "get_config", WRITE: "set_config", STATUS: "get_device_status", SET_STATUS:
    "set_device_status", GVQ: "get_vqueue", SVQ: "set_vqueue", RVQ: "reset_vqueue", SHM: "get_shm"}
NAME = {INFO: "GET_DEVICE_INFO", FEATURES: "GET_DEVICE_FEATURES", SELECT: "SET_DRIVER_FEATURES",
    READ: "GET_CONFIG", WRITE: "SET_CONFIG", STATUS: "GET_DEVICE_STATUS", SET_STATUS:
    "SET_DEVICE_STATUS", GVQ: "GET_VQUEUE", SVQ: "SET_VQUEUE", RVQ: "RESET_VQUEUE", SHM: "GET_SHM"}


def install(name, bus):
    INSTALL[name](bus)


def fault(name, clauses, text, how, style="own-type"):
    assert name not in FAULTS, name
    FAULTS[name], STYLE[name], INSTALL[name] = (tuple(clauses.split()), text), style, how


# --- ways to change a device
def override(method, function):
    """function(device, original, *arguments) in place of a device's method."""
    def how(bus):
        for device in bus.devices.values():
            setattr(device, method, functools.partial(function, device, getattr(device, method)))
    return how


def on_bus(method, function):
    """function(bus, original, *arguments) in place of a method of the bus."""
    return lambda bus: setattr(bus, method, functools.partial(function, bus, getattr(bus, method)))


def each(function):
    def how(bus):
        for device in bus.devices.values():
            function(device)
    return how


def answer(ids, edit):
    """edit(payload, device, body) gives the payload that is sent instead."""
    def changed(device, original, body):
        payload = original(body)
        return None if payload is None else bytes(edit(bytearray(payload), device, body))

    def how(bus):
        for one in ids if isinstance(ids, (tuple, range)) else (ids,):
            override(METHOD[one], changed)(bus)
    return how


def sent(match, edit):
    """edit(message, request) gives a message, a list of messages, or None for each that matches."""
    def how(bus):
        def one(message, request):
            if not match(message):
                return message
            result = edit(bytearray(message), request)
            return [bytes(m) for m in result] if isinstance(result,
                list) else result and bytes(result)
        bus.filters.append(one)
    return how


def all_of(*hows):
    def how(bus):
        for one in hows:
            one(bus)
    return how


def responses(*ids):
    return lambda m: m[0] & 3 == 1 and (not ids or m[1] in ids)


def events(*ids):
    return lambda m: m[0] & 3 == 0 and (m[1] in ids if ids else m[1] & 0x40)


def bus_messages(*ids):
    return lambda m: m[0] & 2 and (not ids or m[1] in ids)


def put(fmt, at, value):
    """An edit that stores a value, or what value(message or payload, ...) gives."""
    def edit(data, *rest):
        struct.pack_into(fmt, data, at, value(data, *rest) if callable(value) else value)
        return data
    return edit


def resized(edit):
    """An edit of a message whose msg_size then follows its new length."""
    def how(message, request):
        message = bytearray(edit(message, request))
        struct.pack_into("<H", message, 6, len(message) & 0xFFFF)
        return message
    return how


def get32(data, at):
    return struct.unpack_from("<I", data, at)[0]


def swap32(*offsets):
    def edit(data, *rest):
        for at in offsets:
            data[at:at + 4] = data[at:at + 4][::-1]
        return data
    return edit


def message(kind, msg_id, dev_num, token, payload=b""):
    return struct.pack("<BBHHH", kind, msg_id, dev_num, token, 8 + len(payload)) + payload


def counter():
    """1, 2, 3, ..."""
    state = [0]

    def following():
        state[0] += 1
        return state[0]
    return following


# ---------------------------------------------------------------- header
ALL = responses()
fault("token-zero", "HDR-DEV-06 ORD-DEV-02", "responses carry token 0", sent(ALL, put("<H", 4, 0)))
fault("token-next", "HDR-DEV-06 ORD-DEV-02", "responses carry the request's token plus 1",
      sent(ALL, put("<H", 4, lambda m, r: r.token + 1 & 0xFFFF)))
fault("token-swapped", "HDR-DEV-06 END-DEV-01 ORD-DEV-02",
    "the token is copied with its bytes swapped", sent(ALL, put(">H", 4, lambda m, r: r.token)))
fault("token-8-bits", "HDR-DEV-06 ORD-DEV-02", "only the low byte of the token is copied",
      sent(ALL, put("<H", 4, lambda m, r: r.token & 0xFF)))
fault("token-15-bits", "HDR-DEV-06 ORD-DEV-02", "bit 15 of the token is lost",
    sent(ALL, put("<H", 4, lambda m, r: r.token & 0x7FFF)))


def _stale_token(bus):
    last = [0]

    def one(m, request):
        if request is None or m[0] & 2:
            return m
        m = bytearray(m)
        struct.pack_into("<H", m, 4, last[0])
        last[0] = request.token
        return bytes(m)
    bus.filters.append(one)


fault("token-of-previous", "HDR-DEV-06 ORD-DEV-02",
    "a response carries the token of the request before", _stale_token)
fault("token-only-in-get", "HDR-DEV-06 ORD-DEV-02", "responses without payload carry token 0",
      sent(responses(SELECT, SVQ, RVQ), put("<H", 4, 0)))
fault("token-0-refused", "HDR-DEV-05 ORD-DEV-02",
    "a request with token 0 counts as an event and is not answered",
    on_bus("ask", lambda bus, orig, dev, r, b: orig(dev, r, b) if r.token else None))
fault("token-ffff-refused", "HDR-DEV-05 ORD-DEV-02", "token 0xFFFF counts as invalid",
      on_bus("ask", lambda bus, orig, dev, r, b: orig(dev, r, b) if r.token != 0xFFFF else None))
fault("token-high-bit-refused", "HDR-DEV-05 ORD-DEV-02",
    "tokens with bit 15 set are taken for the peer's own and dropped",
    on_bus("ask", lambda bus, orig, dev, r, b: orig(dev, r, b) if r.token < 0x8000 else None))


def _once(bus, orig, dev, r, b):
    last = bus.__dict__.get("last_token")
    bus.last_token = r.token
    return None if last == r.token else orig(dev, r, b)


def _growing(bus, orig, dev, r, b):
    if r.token < bus.__dict__.get("newest_token", 0):
        return None
    bus.newest_token = r.token
    return orig(dev, r, b)


fault("token-repeat-dropped", "HDR-DEV-05 ORD-DEV-02",
    "a request with the token of the one before counts as a retransmission", on_bus("ask", _once))
fault("token-must-grow", "HDR-DEV-05 ORD-DEV-02",
    "a token smaller than an earlier one counts as stale", on_bus("ask", _growing))
fault("dev-num-zero", "HDR-DEV-03 ORD-DEV-02", "responses carry dev_num 0",
    sent(ALL, put("<H", 2, 0)), "number-5")
fault("dev-num-swapped", "HDR-DEV-03 END-DEV-01 ORD-DEV-02", "dev_num is sent big-endian",
      sent(ALL, put(">H", 2, lambda m, r: r.dev_num)), "number-5")
fault("dev-num-8-bits", "HDR-DEV-03 ORD-DEV-02", "dev_num is cut to 8 bits",
    sent(ALL, put("<H", 2, lambda m, r: r.dev_num & 0xFF)), "several")
fault("dev-num-next", "HDR-DEV-03 ORD-DEV-02", "dev_num counts from 1 in responses",
      sent(ALL, put("<H", 2, lambda m, r: r.dev_num + 1 & 0xFFFF)))
fault("dev-num-of-event", "HDR-DEV-03", "events carry dev_num 0", sent(events(), put("<H", 2, 0)),
    "number-5")
fault("dev-num-of-event-ffff", "HDR-DEV-03", "events carry dev_num 0xFFFF",
    sent(events(), put("<H", 2, 0xFFFF)))
fault("devices-mixed-up", "HDR-DEV-03 ORD-DEV-02 INFO-DEV-01",
    "every device answers with the number of the last one", sent(ALL, put("<H", 2, 700)), "several")
fault("type-reserved-sent", "HDR-DEV-01 HDR-ANY-01", "bit 2 of type is set in responses",
    sent(ALL, put("B", 0, 5)))
fault("type-bit-7-sent", "HDR-DEV-01 HDR-ANY-01", "bit 7 of type is set in responses",
    sent(ALL, put("B", 0, 0x81)))
fault("type-copied", "HDR-DEV-01 HDR-ANY-01",
    "the response's type is the request's with bit 0 set, reserved bits included",
    sent(ALL, put("B", 0, lambda m, r: r.type | 1)))
fault("type-reserved-in-event", "HDR-DEV-01 HDR-ANY-01",
    "bits 2 to 7 of type hold rubbish in events", sent(events(), put("B", 0, 0xA4)))


def _exact_type(bus, orig, dev, r, b):
    return orig(dev, r, b) if r.type == 0 else None


fault("type-reserved-refused", "HDR-DEV-01 HDR-ANY-01 ORD-DEV-02",
    "a request with a reserved type bit is discarded", on_bus("ask", _exact_type))
fault("type-bit-7-refused", "HDR-DEV-01 HDR-ANY-01 ORD-DEV-02",
    "type is read as signed and refused below 0",
    on_bus("ask", lambda bus, orig, dev, r, b: None if r.type & 0x80 else orig(dev, r, b)))
fault("type-not-response", "WIRE-DEV-07 WIRE-DEV-08 ORD-DEV-02", "responses have type bit 0 clear",
    sent(ALL, put("B", 0, 0)))
fault("type-bus-bit", "WIRE-DEV-07 HDR-ANY-03 WIRE-BUS-01 ORD-DEV-02",
    "responses have type bit 1 set", sent(ALL, put("B", 0, 3)))
fault("msg-id-high-bit", "WIRE-DEV-07 ORD-DEV-02", "a response's msg_id has bit 7 set",
    sent(ALL, put("B", 1, lambda m, r: m[1] | 0x80)))
fault("msg-id-next", "WIRE-DEV-07 ORD-DEV-02", "SET_DEVICE_STATUS is answered as GET_DEVICE_STATUS",
      sent(responses(SET_STATUS), put("B", 1, STATUS)))
fault("msg-id-of-get", "WIRE-DEV-07 ORD-DEV-02", "SET_CONFIG is answered with msg_id GET_CONFIG",
    sent(responses(WRITE), put("B", 1, READ)))
fault("event-as-response", "HDR-ANY-02", "EVENT_CONFIG has type bit 0 set",
    sent(events(CONFIG), put("B", 0, 1)))
fault("event-token", "HDR-ANY-01", "EVENT_CONFIG carries a token though nothing specifies one",
    sent(events(), put("<H", 4, 0xBEEF)))
fault("size-without-header", "HDR-DEV-02", "msg_size counts the payload only",
    sent(ALL, put("<H", 6, lambda m, r: len(m) - 8)))
fault("size-zero", "HDR-DEV-02", "msg_size is 0", sent(ALL, put("<H", 6, 0)))
fault("size-maximum", "HDR-DEV-02", "msg_size is the size of the transmit buffer",
    sent(ALL, put("<H", 6, 264)))
fault("size-swapped", "HDR-DEV-02 END-DEV-01", "msg_size is sent big-endian",
    sent(ALL, put(">H", 6, lambda m, r: len(m))))
fault("size-of-request", "HDR-DEV-02", "msg_size is still the request's",
    sent(ALL, put("<H", 6, lambda m, r: r.msg_size)))
fault("size-of-event", "HDR-DEV-02", "msg_size of EVENT_CONFIG leaves the data out",
    sent(events(CONFIG), put("<H", 6, 24)))
fault("packet-padded", "HDR-DEV-02 WIRE-DEV-01 HDR-DEV-04",
    "every packet has 64 bytes at least, the rest rubbish",
    sent(ALL, lambda m, r: m.ljust(64, b"\xCC")))
fault("payload-padded", "WIRE-DEV-01 HDR-DEV-04 HDR-DEV-02",
    "payloads are padded to 8 bytes with rubbish that msg_size counts",
    sent(ALL, resized(lambda m, r: m + b"\xCC" * (-len(m) % 8))))
fault("payload-zero-padded", "WIRE-DEV-01",
    "payloads are padded to 16 bytes with zeros that msg_size counts",
    sent(ALL, resized(lambda m, r: m + bytes(-len(m) % 16))))

# ---------------------------------------------------------------- sizes of layouts
EXTRA = {INFO: 4, FEATURES: 4, SELECT: 8, READ: 1, WRITE: 4, STATUS: 4, SET_STATUS: 4, GVQ: 4, SVQ:
    4, RVQ: 4, SHM: 8}
for _id, _n in EXTRA.items():
    fault("long-%s" % METHOD[_id].replace("_", "-"),
        "WIRE-DEV-01 WIRE-DEV-03 WIRE-DEV-04 SCFG-DEV-04",
        "the response to %s has %d bytes too many" % (NAME[_id], _n),
        answer(_id, lambda p, d, b, n=_n: p + bytes(n)))
SHORT = {INFO: 20, FEATURES: 4, READ: 1, WRITE: 4, STATUS: 3, SET_STATUS: 3, GVQ: 8, SHM: 8}
for _id, _n in SHORT.items():
    fault("short-%s" % METHOD[_id].replace("_", "-"), "WIRE-DEV-01 WIRE-DEV-03 WIRE-DEV-04",
        "the response to %s has %d bytes too few" % (NAME[_id], _n),
        answer(_id, lambda p, d, b, n=_n: p[:-n]))
fault("older-draft-info", "WIRE-DEV-01",
    "GET_DEVICE_INFO is answered with the 24 bytes of an older draft",
    answer(INFO, lambda p, d, b: p[:8] + struct.pack("<IIIHH", 64, len(d.config), 3, 0, 0)))
fault("older-draft-vqueue", "WIRE-DEV-01", "GET_VQUEUE is answered in the layout without cur_size",
      answer(GVQ, lambda p, d, b: p[:8] + p[12:]))
fault("older-draft-shm", "WIRE-DEV-01", "GET_SHM is answered in the 12 bytes of an older draft",
      answer(SHM, lambda p, d, b: p[:4] + bytes(8)))
fault("set-vqueue-echo", "WIRE-DEV-01", "SET_VQUEUE is answered with the request's payload",
    answer(SVQ, lambda p, d, b: b))
fault("select-echo", "WIRE-DEV-01", "SET_DRIVER_FEATURES is answered with the request's payload",
    answer(SELECT, lambda p, d, b: b))
fault("reset-vqueue-echo", "WIRE-DEV-01", "RESET_VQUEUE is answered with the index",
    answer(RVQ, lambda p, d, b: b))
fault("config-data-aligned", "WIRE-DEV-01 WIRE-DEV-03",
    "GET_CONFIG data is padded to a multiple of 4",
    answer(READ, lambda p, d, b: p + bytes(-len(p) % 4)))
fault("event-data-short", "WIRE-DEV-01 HDR-DEV-02 CFG-DEV-07 CFG-DEV-13 WIRE-DEV-08",
      "EVENT_CONFIG has a byte of data less than its length says",
      sent(events(CONFIG), resized(lambda m, r: m[:-1] if len(m) > 24 else m)))
fault("event-data-long", "WIRE-DEV-01 HDR-DEV-02 CFG-DEV-07 CFG-DEV-13 WIRE-DEV-08",
    "EVENT_CONFIG carries 4 bytes beyond its length",
    sent(events(CONFIG), resized(lambda m, r: m + b"\1\2\3\4")))

# ---------------------------------------------------------------- byte order
fault("big-endian-info", "END-DEV-01 INFO-DEV-03", "GET_DEVICE_INFO is answered in big-endian",
    answer(INFO, swap32(0, 4, 24, 28, 32, 36, 40)))
fault("big-endian-features", "END-DEV-01 WIRE-DEV-02 WIRE-DEV-01",
    "GET_DEVICE_FEATURES is answered in big-endian",
    answer(FEATURES, lambda p, d, b: swap32(*range(0, len(p), 4))(p)))
fault("big-endian-config-header", "END-DEV-01 WIRE-DEV-03 WIRE-DEV-01",
    "GET_CONFIG's generation, offset and length are big-endian", answer(READ, swap32(0, 4, 8)))
fault("big-endian-generation", "END-DEV-01 CFG-DEV-02 SCFG-DEV-01 GCFG-DEV-01",
    "SET_CONFIG's generation is answered in big-endian",
    all_of(each(lambda d: setattr(d, "generation", 0x102)), answer(WRITE, swap32(0))))
fault("big-endian-status", "END-DEV-01 STAT-DEV-01", "GET_DEVICE_STATUS is answered in big-endian",
    answer(STATUS, swap32(0)))
fault("big-endian-set-status", "END-DEV-01 STAT-DEV-03",
    "SET_DEVICE_STATUS is answered in big-endian", answer(SET_STATUS, swap32(0)))
fault("big-endian-vqueue", "END-DEV-01 WIRE-DEV-05", "GET_VQUEUE is answered in big-endian",
    answer(GVQ, swap32(0, 4, 8, 12)))
fault("big-endian-addresses", "END-DEV-01 SVQ-DEV-05 SVQ-DEV-04 GVQ-DEV-01",
    "GET_VQUEUE gives addresses in big-endian",
    answer(GVQ, lambda p, d, b: p[:16] + p[23:15:-1] + p[31:23:-1] + p[39:31:-1]))
fault("big-endian-offset-read", "END-DEV-01 ORD-DEV-02 WIRE-DEV-03",
    "GET_CONFIG reads its offset as big-endian, and echoes it",
    override("get_config", lambda d, orig, b: orig(b[3::-1] + b[4:]) if len(b) == 8 else None))
fault("big-endian-selection", "END-DEV-01 FEAT-DEV-02 FBLK-DEV-02 RVQ-DEV-03",
    "SET_DRIVER_FEATURES reads the blocks as big-endian",
    override("select_features", lambda d, orig, i, v:
    orig(i, [int.from_bytes(x.to_bytes(4, "big"), "little") for x in v])))
fault("words-swapped", "END-DEV-01 SVQ-DEV-05 SVQ-DEV-04 GVQ-DEV-01",
    "64-bit addresses are read with their halves swapped",
    override("configure", lambda d, orig, q, f, s, r, *a:
    orig(q, f, s, r, *[x >> 32 | (x & U32) << 32 for x in a])))
fault("addresses-32-bits", "SVQ-DEV-05 SVQ-DEV-04 GVQ-DEV-01",
    "the upper half of addresses is lost",
    override("configure", lambda d, orig, q, f, s, r, *a: orig(q, f, s, r, *[x & U32 for x in a])))
fault("driver-and-device-swapped", "SVQ-DEV-05 SVQ-DEV-04 GVQ-DEV-01",
    "driver_addr and device_addr are mixed up",
    override("configure", lambda d, orig, q, f, s, r, a, b, c: orig(q, f, s, r, a, c, b)))
fault("driver-is-desc", "SVQ-DEV-05 SVQ-DEV-04 GVQ-DEV-01",
    "GET_VQUEUE gives desc_addr as driver_addr",
    answer(GVQ, lambda p, d, b: p[:24] + p[16:24] + p[32:]))

# ---------------------------------------------------------------- exactly one response, in order
for _id, _method in METHOD.items():
    fault("no-%s" % _method.replace("_", "-"), "CORE-DEV-01 ORD-DEV-02", "%s is not implemented" %
        NAME[_id], override(_method, lambda d, orig, b: None))
fault("answers-twice", "ORD-DEV-02", "each response is sent twice", sent(ALL, lambda m, r: [m, m]))
fault("answers-empty-twice", "ORD-DEV-02", "a response without payload is sent twice",
    sent(responses(SVQ, RVQ, SELECT), lambda m, r: [m, m]))
fault("status-answered-twice", "ORD-DEV-02", "a reset is acknowledged at its start and at its end",
      sent(responses(SET_STATUS), lambda m, r: [m, m] if get32(m, 8) == 0 else m))


def _forgets(every):
    def how(bus):
        count = counter()
        on_bus("ask", lambda bus, orig, dev, r, b: orig(dev, r, b) if count() % every else
            None)(bus)
    return how


fault("forgets-every-20th", "ORD-DEV-02 CORE-DEV-01", "every 20th request is lost", _forgets(20))
fault("forgets-every-150th", "ORD-DEV-02 CORE-DEV-01", "every 150th request is lost", _forgets(150))


def _same_again(bus, orig, dev, r, b):
    key = (r.dev_num, r.msg_id, bytes(b))
    last, bus.last_request = bus.__dict__.get("last_request"), key
    return None if key == last else orig(dev, r, b)


fault("repeats-dropped", "ORD-DEV-02", "a request equal to the one before gets no response",
    on_bus("ask", _same_again))
fault("set-vqueue-refusal-silent", "ORD-DEV-02 SVQ-DEV-02 SVQ-DEV-03 SVQ-DEV-06",
    "an invalid SET_VQUEUE gets no response",
    override("set_vqueue", lambda d, orig, b: None if len(b) == 40 and
    (get32(b, 12) or get32(b, 4) >> 6 or get32(b, 4) & 3 == 3) else orig(b)))
fault("set-vqueue-enabled-silent", "ORD-DEV-02 SVQ-DEV-03 SVQ-DEV-06",
    "SET_VQUEUE of an enabled queue gets no response",
    override("set_vqueue", lambda d, orig, b: None if len(b) == 40 and d.queue(get32(b, 0)) and
    d.queue(get32(b, 0)).enabled else orig(b)))
fault("set-vqueue-range-silent", "ORD-DEV-02 SVQ-DEV-01",
    "SET_VQUEUE of a queue that is not there gets no response",
    override("set_vqueue", lambda d, orig, b: orig(b) if len(b) == 40 and d.queue(get32(b, 0)) else
    None))
fault("get-vqueue-range-silent", "ORD-DEV-02 GVQ-DEV-02",
    "GET_VQUEUE of a queue that is not there gets no response",
    override("get_vqueue", lambda d, orig, b: orig(b) if len(b) == 4 and d.queue(get32(b, 0)) else
    None))
fault("reset-vqueue-range-silent", "ORD-DEV-02 RVQ-DEV-01",
    "RESET_VQUEUE of a queue that is not there gets no response",
    override("reset_vqueue", lambda d, orig, b: orig(b) if len(b) == 4 and d.queue(get32(b, 0)) else
    None))
fault("reset-vqueue-silent", "ORD-DEV-02 RVQ-DEV-02",
    "RESET_VQUEUE without RING_RESET gets no response",
    override("reset_vqueue", lambda d, orig, b: orig(b) if d.negotiated(40) else None))
fault("shm-silent", "ORD-DEV-02 SHM-DEV-01 CORE-DEV-01",
    "GET_SHM of an unknown region gets no response",
    override("get_shm", lambda d, orig, b: orig(b) if len(b) == 4 and d.region(get32(b, 0))[0] else
    None))
fault("shm-0-only", "ORD-DEV-02 SHM-DEV-01", "GET_SHM is answered for shmid below 256 only",
    override("get_shm", lambda d, orig, b: orig(b) if len(b) == 4 and get32(b, 0) < 256 else None))
fault("features-beyond-silent", "ORD-DEV-02 FBLK-DEV-01",
    "GET_DEVICE_FEATURES beyond num_feature_blocks gets no response",
    override("get_device_features", lambda d, orig, b: None if len(b) == 8 and get32(b, 0) +
    get32(b, 4) > d.o["blocks"] else orig(b)))
fault("config-write-silent", "ORD-DEV-02 SCFG-DEV-03", "a rejected SET_CONFIG gets no response",
    override("set_config", lambda d, orig, b: None if len(b) >= 12 and get32(b, 8) and len(b) == 12
    + get32(b, 8) and not d.accepts_write(get32(b, 0), get32(b, 4), b[12:]) else orig(b)), "blk")
fault("mismatch-silent", "ORD-DEV-02 SCFG-DEV-03 CFG-DEV-12",
    "strict: a SET_CONFIG with another generation gets no response",
    override("set_config", lambda d, orig, b: None if len(b) >= 12 and
    d.generation_refused(get32(b, 0)) else orig(b)))
fault("select-after-ok-silent", "ORD-DEV-02",
    "SET_DRIVER_FEATURES after FEATURES_OK gets no response",
    override("set_driver_features", lambda d, orig, b: None if d.status & 8 else orig(b)))
fault("info-active-silent", "ORD-DEV-02 INFO-DEV-01 CORE-DEV-01",
    "GET_DEVICE_INFO is answered before DRIVER_OK only",
    override("get_device_info", lambda d, orig, b: None if d.status & 4 else orig(b)))
fault("features-refusal-silent", "ORD-DEV-02 FEAT-DEV-02",
    "a status write whose FEATURES_OK is refused gets no response",
    override("set_device_status", lambda d, orig, b: None if len(b) == 4 and get32(b, 0) & 8 and not
    d.status & 8 and not d.features_acceptable() else orig(b)))


def _deferred(methods):
    """The response goes out at once, the work is done after the next request was answered."""
    def how(bus):
        for device in bus.devices.values():
            pending = []
            original = device.request

            def request(msg_id, body, device=device, original=original, pending=pending):
                due, pending[:] = pending[:], []
                if msg_id in methods and len(body) >= 4:
                    pending.append((msg_id, body))
                    result = methods[msg_id](device, body)
                else:
                    result = original(msg_id, body)
                for one in due:
                    original(*one)
                return result
            device.request = request
    return how


fault("vqueue-deferred", "ORD-DEV-01 SVQ-DEV-04 GVQ-DEV-01 SVQ-DEV-05",
    "SET_VQUEUE takes effect after the request behind it", _deferred({SVQ: lambda d, b: b""}))
fault("config-deferred", "ORD-DEV-01 SCFG-DEV-03 CFG-DEV-02 GCFG-DEV-01 CFG-DEV-03",
    "SET_CONFIG takes effect after the request behind it",
    _deferred({WRITE: lambda d, b: struct.pack("<III", d.generation, get32(b, 4), len(b) - 12) +
    b[12:] if len(b) >= 12 and len(b) == 12 + get32(b, 8) else None}))
fault("status-deferred", "ORD-DEV-01 STAT-DEV-03 STAT-DEV-01 STAT-DEV-06",
    "a status write takes effect after the request behind it",
    _deferred({SET_STATUS: lambda d, b: bytes(b) if len(b) == 4 else None}))
fault("reset-vqueue-deferred", "ORD-DEV-01 RVQ-DEV-03",
    "RESET_VQUEUE takes effect after the request behind it", _deferred({RVQ: lambda d, b: b""}))




# ---------------------------------------------------------------- malformed and unsupported
MALFORMED = "ERR-DEV-01 ORD-DEV-03"


def _reply_to_unknown(bus, orig, dev, r, b):
    result = orig(dev, r, b)
    return b"" if result is None and r.msg_id not in METHOD else result


fault("unknown-answered", MALFORMED + " REV-DEV-02 LIMIT-DEV-02",
    "an unknown msg_id gets an empty response", on_bus("ask", _reply_to_unknown))
fault("unknown-0x0d-answered", MALFORMED + " REV-DEV-02 LIMIT-DEV-02",
    "msg_id 0x0D, of no revision, is answered",
    on_bus("ask", lambda bus, orig, dev, r, b: bytes(4) if r.msg_id == 13 else orig(dev, r, b)))
fault("reserved-id-answered", MALFORMED + " REV-DEV-02 LIMIT-DEV-02",
    "the reserved ids 0 and 1 are answered with an error code",
    on_bus("ask", lambda bus, orig, dev, r, b: struct.pack("<i", -22) if r.msg_id < 2 else
    orig(dev, r, b)))
fault("own-ids-answered", MALFORMED + " REV-DEV-02 LIMIT-DEV-02",
    "ids with bit 7 set are answered with an error code",
    on_bus("ask", lambda bus, orig, dev, r, b: struct.pack("<i", -38) if r.msg_id & 0x80 else
    orig(dev, r, b)))
fault("msg-id-6-bits", MALFORMED + " REV-DEV-02 LIMIT-DEV-02",
    "only bits 0 to 5 of msg_id are looked at, so 0x87 is GET_DEVICE_STATUS",
    on_bus("ask", lambda bus, orig, dev, r, b: dev.request(r.msg_id & 0x3F, b)))
fault("msg-id-4-bits", MALFORMED + " REV-DEV-02 LIMIT-DEV-02",
    "only bits 0 to 3 of msg_id are looked at, so 0x12 is GET_DEVICE_INFO",
    on_bus("ask", lambda bus, orig, dev, r, b: dev.request(r.msg_id & 0x0F, b)))


def _events_answered(bus, orig, r, b):
    orig(r, b)
    if r.msg_id & 0x40 and r.dev_num in bus.devices:
        bus.respond(r, b"")


def _unknown_event_answered(bus, orig, r, b):
    orig(r, b)
    if r.msg_id & 0x40 and r.msg_id not in (CONFIG, AVAIL, USED) and r.dev_num in bus.devices:
        bus.respond(r, b"")


def _short_event_answered(bus, orig, r, b):
    orig(r, b)
    if r.msg_id == AVAIL and len(b) < 8 and r.dev_num in bus.devices:
        bus.respond(r, b"")


fault("events-answered", MALFORMED + " HDR-ANY-02 WIRE-DEV-07 WIRE-DEV-08",
    "EVENT_AVAIL gets a response", on_bus("transport", _events_answered))
fault("unknown-event-answered", MALFORMED + " HDR-ANY-02 WIRE-DEV-07 WIRE-DEV-08",
    "an unknown event gets a response", on_bus("transport", _unknown_event_answered))
fault("short-event-answered", MALFORMED + " HDR-ANY-02 WIRE-DEV-07 WIRE-DEV-08",
    "an EVENT_AVAIL that is too short gets a response", on_bus("transport", _short_event_answered))
fault("config-event-answered", MALFORMED + " HDR-ANY-02 WIRE-DEV-07 WIRE-DEV-08 CFG-DEV-08",
      "an EVENT_CONFIG from the driver side is sent back",
      on_bus("transport", lambda bus, orig, r, b: bus.event(bus.devices[r.dev_num], CONFIG, b)
             if r.msg_id == CONFIG and r.dev_num in bus.devices else orig(r, b)))


def _receive_with(change):
    return on_bus("receive", lambda bus, orig, packet:
        orig(change(bytearray(packet)) if len(packet) >= 8 else packet))


def _as_request(packet):
    packet[0] &= 0xFE
    return bytes(packet)


def _own_size(packet):
    struct.pack_into("<H", packet, 6, len(packet) & 0xFFFF)
    return bytes(packet)


def _if_size_above(packet):
    size = struct.unpack_from("<H", packet, 6)[0]
    return _own_size(packet) if size > len(packet) else bytes(packet)


def _if_size_below_8(packet):
    return _own_size(packet) if struct.unpack_from("<H", packet, 6)[0] < 8 else bytes(packet)


fault("responses-served", MALFORMED,
    "type bit 0 is not looked at: a response is served as a request", _receive_with(_as_request))
fault("size-ignored", MALFORMED, "msg_size of a request is not looked at", _receive_with(_own_size))
fault("size-too-large-served", MALFORMED, "a msg_size above what arrived is served",
    _receive_with(_if_size_above))
fault("size-below-8-served", MALFORMED, "a msg_size below 8 is served",
    _receive_with(_if_size_below_8))
SIZES = {SELECT: 8, READ: 8, WRITE: 12, SET_STATUS: 4, GVQ: 4, SVQ: 40, RVQ: 4, SHM: 4, FEATURES: 8}


def _padded(size):
    return lambda d, orig, b: orig(bytes(b).ljust(size, b"\0"))


for _id, _n in SIZES.items():
    fault("short-request-%s" % METHOD[_id].replace("_", "-"), MALFORMED,
        "a %s shorter than its layout is served, the rest as zeros" % NAME[_id],
        override(METHOD[_id], _padded(_n)))
fault("short-request-empty-answer", MALFORMED, "a short request gets an empty response",
    all_of(*[override(METHOD[i], lambda d, orig, b, n=n: b"" if len(b) < n else orig(b)) for i, n in
    SIZES.items()]))
fault("short-selection-served", MALFORMED,
    "SET_DRIVER_FEATURES with fewer blocks than num_blocks is answered",
    override("set_driver_features", lambda d, orig, b: b"" if len(b) >= 8 and len(b) < 8 + 4 *
    get32(b, 4) else orig(b)))
fault("short-write-served", MALFORMED,
    "SET_CONFIG with less data than its length is applied as far as it goes",
    override("set_config", lambda d, orig, b: orig(b[:8] + struct.pack("<I", len(b) - 12) + b[12:])
    if len(b) > 12 and len(b) < 12 + get32(b, 8) else orig(b)))
fault("short-write-rejected", MALFORMED,
    "SET_CONFIG with less data than its length is answered with length 0",
    override("set_config", lambda d, orig, b: struct.pack("<III", d.generation, get32(b, 4), 0) if
    12 <= len(b) < 12 + get32(b, 8) else orig(b)))
fault("short-write-applied-silently", MALFORMED + " CFG-DEV-07 CFG-DEV-03",
    "a malformed SET_CONFIG is applied though not answered",
    override("set_config", lambda d, orig, b: d.store_config(get32(b, 4), b[12:]) if len(b) > 12 and
    len(b) < 12 + get32(b, 8) and get32(b, 4) + len(b) - 12 <= len(d.config) else orig(b)))


def _status_of_short(d, orig, b):
    return d.write_status(b[0]) if 0 < len(b) < 4 and b[0] else orig(b)


fault("short-status-applied-silently", MALFORMED + " STAT-DEV-01 STAT-DEV-03",
    "a status write of one byte takes effect though not answered",
    override("set_device_status", _status_of_short))
fault("unknown-device-0-answers", "ERR-DEV-01 ORD-DEV-03 HDR-DEV-03",
    "requests for unknown devices are answered by device 0",
    on_bus("transport", lambda bus, orig, r, b: orig(_as_device(r, min(bus.devices)), b) if
    r.dev_num not in bus.devices else orig(r, b)))


def _as_device(request, number):
    request.dev_num = number
    return request


def _clamp_read(d, orig, b):
    if len(b) == 8 and get32(b, 0) + get32(b, 4) > len(d.config) and 20 + get32(b,
            4) <= d.bus.max_msg_size:
        offset = get32(b, 0)
        data = bytes(d.config[offset:])
        return struct.pack("<III", d.generation, offset, len(data)) + data
    return orig(b)


def _zero_read(d, orig, b):
    if len(b) == 8 and get32(b, 0) + get32(b, 4) > len(d.config) and 20 + get32(b,
            4) <= d.bus.max_msg_size:
        offset, length = get32(b, 0), get32(b, 4)
        return struct.pack("<III", d.generation, offset,
            length) + bytes(d.config[offset:offset + length]).ljust(length, b"\0")
    return orig(b)


fault("read-clamped", "WIRE-DEV-03 " + MALFORMED,
    "GET_CONFIG across the end is answered with the bytes that there are",
    override("get_config", _clamp_read))
fault("read-beyond-zeros", MALFORMED + " WIRE-DEV-03",
    "GET_CONFIG across the end is answered with made-up zeros", override("get_config", _zero_read))
fault("read-wraps", MALFORMED + " WIRE-DEV-03",
    "GET_CONFIG computes offset + length in 32 bits, so 0xFFFFFFFF + 2 is in range",
    override("get_config", lambda d, orig, b:
    struct.pack("<III", d.generation, get32(b, 0), get32(b, 4)) + bytes(get32(b, 4)) if len(b) == 8
    and get32(b, 0) + get32(b, 4) > U32 and 20 + get32(b, 4) <= d.bus.max_msg_size else orig(b)))
fault("read-off-by-one", MALFORMED + " WIRE-DEV-03", "GET_CONFIG may read one byte beyond the end",
    override("get_config", lambda d, orig, b:
    struct.pack("<III", d.generation, get32(b, 0), get32(b, 4)) + bytes(d.config[get32(b, 0):]) +
    b"\0" if len(b) == 8 and get32(b, 4) and get32(b, 0) + get32(b, 4) == len(d.config) + 1 and 20 +
    get32(b, 4) <= d.bus.max_msg_size else orig(b)))
fault("read-too-long-cut", "WIRE-DEV-03 LIMIT-DEV-01 " + MALFORMED,
    "GET_CONFIG that would not fit is answered with fewer bytes",
    override("get_config", lambda d, orig, b:
    orig(b[:4] + struct.pack("<I", d.bus.max_msg_size - 20)) if len(b) == 8 and 20 + get32(b, 4) >
    d.bus.max_msg_size and get32(b, 0) + get32(b, 4) <= len(d.config) else orig(b)), "big-config")

# ---------------------------------------------------------------- limits


def _large_read(d, orig, b):
    if len(b) == 8 and get32(b, 0) + get32(b, 4) <= len(d.config) and 20 + get32(b,
            4) > d.bus.max_msg_size:
        return struct.pack("<III", d.generation, get32(b, 0),
            get32(b, 4)) + d.read_config(get32(b, 0), get32(b, 4))
    return orig(b)


def _large_features(d, orig, b):
    if len(b) == 8 and get32(b, 4) <= 4096 and 16 + 4 * get32(b, 4) > d.bus.max_msg_size:
        return bytes(b) + b"".join(struct.pack("<I", d.feature_block(get32(b, 0) + i)) for i in
            range(get32(b, 4)))
    return orig(b)


fault("limit-read", "LIMIT-DEV-01 HDR-DEV-02",
    "GET_CONFIG is answered beyond the maximum message size", override("get_config", _large_read),
    "big-config")
fault("limit-features", "LIMIT-DEV-01 HDR-DEV-02",
    "GET_DEVICE_FEATURES is answered beyond the maximum message size",
    override("get_device_features", _large_features))
fault("limit-event", "LIMIT-DEV-01 HDR-DEV-02",
    "EVENT_CONFIG carries its data whatever the maximum message size",
    override("report_change", lambda d, orig, o, data: d.event_config(o, len(data), bytes(data))),
    "big-config")
fault("limit-264", "LIMIT-DEV-01 HDR-DEV-02", "the maximum message size is taken to be 264 always",
      lambda bus: setattr(bus, "max_msg_size", max(bus.max_msg_size, 264)), "big-config")
fault("features-cut", "WIRE-DEV-02 LIMIT-DEV-01 FBLK-DEV-01",
    "num_blocks is cut to the blocks that there are",
    answer(FEATURES, lambda p, d, b: p[:4] +
    struct.pack("<I", max(0, min(get32(b, 4), d.o["blocks"] - get32(b, 0)))) +
    p[8:8 + 4 * max(0, min(get32(b, 4), d.o["blocks"] - get32(b, 0)))]))
fault("features-cut-to-fit", "WIRE-DEV-02 LIMIT-DEV-01 " + MALFORMED,
    "a GET_DEVICE_FEATURES that would not fit is answered with fewer blocks",
    override("get_device_features", lambda d, orig, b:
    orig(b[:4] + struct.pack("<I", (d.bus.max_msg_size - 16) // 4)) if len(b) == 8 and 16 + 4 *
    get32(b, 4) > d.bus.max_msg_size else orig(b)))


fault("fixed-size-packets", "HDR-DEV-02 WIRE-DEV-01 LIMIT-DEV-01",
    "every message is sent as 264 bytes, zero padded, as msg_size says",
    sent(ALL, resized(lambda m, r: m.ljust(264, b"\0"))))

# ---------------------------------------------------------------- device information


def info(at, value, fmt="<I"):
    return answer(INFO, put(fmt, at, value))


fault("info-zero-inactive", "INFO-DEV-01", "GET_DEVICE_INFO is all zero at status 0",
      answer(INFO, lambda p, d, b: bytes(len(p)) if d.status == 0 else p))
fault("info-needs-acknowledge", "INFO-DEV-01 ORD-DEV-02 CORE-DEV-01",
    "GET_DEVICE_INFO is not answered before ACKNOWLEDGE",
    override("get_device_info", lambda d, orig, b: orig(b) if d.status else None))
fault("info-id-zero-inactive", "INFO-DEV-01", "device_id is 0 before ACKNOWLEDGE",
    info(0, lambda p, d, b: get32(p, 0) if d.status else 0))
fault("info-vendor-counts", "INFO-DEV-01", "vendor_id counts the queries", lambda bus:
    info(4, lambda p, d, b, c=counter(): c())(bus))
fault("info-id-after-ok", "INFO-DEV-01", "device_id changes at DRIVER_OK",
    info(0, lambda p, d, b: get32(p, 0) + (d.status >> 2 & 1)))
fault("info-queues-shrink", "INFO-DEV-01", "max_virtqueues falls to 1 once features are negotiated",
      info(32, lambda p, d, b: 1 if d.status & 8 else get32(p, 32)))
fault("info-config-grows", "INFO-DEV-01", "config_size depends on FEATURES_OK",
    info(28, lambda p, d, b: get32(p, 28) - (0 if d.status & 8 else 4)))
fault("info-blocks-shrink", "INFO-DEV-01 INFO-DEV-02",
    "num_feature_blocks is what the driver selected, once it did",
    info(24, lambda p, d, b: len(d.selected) or get32(p, 24)))
fault("info-blocks-1", "INFO-DEV-02", "num_feature_blocks is 1 though VERSION_1 is offered",
    info(24, 1))
fault("info-blocks-0", "INFO-DEV-02", "num_feature_blocks is 0", info(24, 0))
fault("info-blocks-one-less", "INFO-DEV-02", "num_feature_blocks misses the last block",
    info(24, 3), "feature-blocks-4")
fault("info-queues-65537", "INFO-DEV-03", "max_virtqueues is 65537", info(32, 65537))
fault("info-queues-all-ones", "INFO-DEV-03", "max_virtqueues is 0xFFFFFFFF", info(32, U32))
fault("info-admin-outside", "INFO-DEV-04 INFO-DEV-06",
    "the administration virtqueues come after max_virtqueues", info(36, (3 << 0) | (1 << 32), "<Q"))
fault("info-admin-overlaps-end", "INFO-DEV-04 INFO-DEV-06",
    "the last administration virtqueue is beyond max_virtqueues",
    info(36, (2 << 0) | (2 << 32), "<Q"))
fault("info-admin-wraps", "INFO-DEV-06 INFO-DEV-04",
    "admin_vq_start + admin_vq_count wraps at 32 bits", info(36, U32 | 2 << 32, "<Q"))
fault("info-admin-start", "INFO-DEV-05",
    "admin_vq_start is max_virtqueues without administration virtqueues", info(36, 3))
fault("info-admin-start-all-ones", "INFO-DEV-05",
    "admin_vq_start is 0xFFFFFFFF without administration virtqueues", info(36, U32))
fault("uuid-version-1", "INFO-DEV-08", "device_uuid is a version 1 UUID",
      info(8, bytes.fromhex("0f1e2d3c4b5a1978a7b6c5d4e3f20110"), "16s"))
fault("uuid-text", "INFO-DEV-08", "device_uuid holds a serial number as text",
    info(8, b"SN-0000-4711-abc", "16s"))
fault("uuid-all-ones", "INFO-DEV-08", "device_uuid is all ones for: none",
    info(8, b"\xFF" * 16, "16s"))
fault("uuid-little-endian", "INFO-DEV-08", "device_uuid is a version 4 UUID in mixed byte order",
      info(8, bytes.fromhex("3c2d1e0f5a4b7819a7b6c5d4e3f20110"), "16s"))
fault("uuid-variant", "INFO-DEV-08",
    "device_uuid is random bytes with the version but without the variant",
    info(8, bytes.fromhex("0f1e2d3c4b5a4978e7b6c5d4e3f20110"), "16s"))

# ---------------------------------------------------------------- features
fault("offers-bit-39", "FEAT-DEV-01", "NOTIF_CONFIG_DATA is offered",
      each(lambda d: d.offered.update({1: d.offered.get(1, 0) | 1 << 7})))
fault("offers-bit-39-late", "FEAT-DEV-01", "NOTIF_CONFIG_DATA is offered once the driver is there",
    override("feature_block", lambda d, orig, i: orig(i) |
    (1 << 7 if i == 1 and d.status & 2 else 0)))


def beyond(value):
    return override("feature_block", lambda d, orig, i: orig(i) if i < d.o["blocks"] else
        value(d, i, orig))


BEYOND = "FBLK-DEV-01 INFO-DEV-02"
fault("beyond-all-ones", BEYOND, "feature blocks beyond the last read as all ones",
    beyond(lambda d, i, orig: U32))
fault("beyond-repeats", BEYOND, "feature blocks beyond the last repeat the first ones",
    beyond(lambda d, i, orig: orig(i % d.o["blocks"])))
fault("beyond-8-bits", BEYOND, "block_index is cut to 8 bits, so block 256 is block 0",
    beyond(lambda d, i, orig: orig(i & 0xFF)))
fault("beyond-16-bits", BEYOND, "block_index is cut to 16 bits, so block 65536 is block 0",
    beyond(lambda d, i, orig: orig(i & 0xFFFF)))
fault("beyond-index-wraps", BEYOND, "block_index wraps at 2^32 within a request",
    beyond(lambda d, i, orig: orig(i & U32)))
fault("beyond-next-is-rubbish", BEYOND,
    "the block behind the last holds what lies behind it in memory",
    beyond(lambda d, i, orig: 0x20746F6E if i == d.o["blocks"] else 0))
fault("first-block-always", "FBLK-DEV-03 FBLK-DEV-01 INFO-DEV-02",
    "several blocks in one request all read as the first",
    answer(FEATURES, lambda p, d, b: p[:8] + p[8:12] * ((len(p) - 8) // 4)))
fault("block-index-ignored", "FBLK-DEV-01 FBLK-DEV-03 INFO-DEV-02",
    "block_index is ignored: every request begins at block 0",
    answer(FEATURES, lambda p, d, b: p[:8] +
    b"".join(struct.pack("<I", d.feature_block(i)) for i in range((len(p) - 8) // 4))))
fault("offer-is-selection", "FBLK-DEV-03",
    "GET_DEVICE_FEATURES gives what the driver selected, once it did",
    override("feature_block", lambda d, orig, i: d.selected.get(i, 0) if d.selected else orig(i)))
fault("offer-narrows", "FBLK-DEV-03",
    "GET_DEVICE_FEATURES gives offered and selected after FEATURES_OK",
    override("feature_block", lambda d, orig, i: orig(i) & d.selected.get(i, 0) if d.status & 8 else
    orig(i)))
fault("offer-grows", "FBLK-DEV-03 FBLK-DEV-01", "GET_DEVICE_FEATURES gives offered or selected",
      override("feature_block", lambda d, orig, i: orig(i) | d.selected.get(i, 0)))
fault("offer-gone-when-running", "FBLK-DEV-03", "GET_DEVICE_FEATURES is zero after DRIVER_OK",
      override("feature_block", lambda d, orig, i: 0 if d.status & 4 else orig(i)))


def selects(function):
    return override("select_features", function)


def _only_these(d, orig, index, blocks):
    d.selected = {}
    orig(index, blocks)


def _or(d, orig, index, blocks):
    orig(index, [d.selected.get(index + i, 0) | bits for i, bits in enumerate(blocks)])


BLOCKS = "FBLK-DEV-02 RVQ-DEV-02 RVQ-DEV-03 FEAT-DEV-02"
fault("selection-clears-others", BLOCKS,
    "SET_DRIVER_FEATURES clears the blocks that it does not name", selects(_only_these))
fault("selection-ors", BLOCKS, "SET_DRIVER_FEATURES adds to the selection and takes nothing back",
    selects(_or))
fault("selection-first-block-only", BLOCKS,
    "of several blocks in one request only the first is taken",
    selects(lambda d, orig, i, v: orig(i, v[:1])))
fault("selection-everywhere", BLOCKS, "block_index is ignored: the blocks go to 0 and on",
    selects(lambda d, orig, i, v: orig(0, v)))
fault("selection-index-8-bits", BLOCKS, "block_index of the selection is cut to 8 bits",
    selects(lambda d, orig, i, v: orig(i & 0xFF, v)))
fault("selection-next-cleared", BLOCKS, "the block behind the addressed ones is cleared",
      selects(lambda d, orig, i, v: orig(i, list(v) + [0])))
fault("selection-previous-cleared", BLOCKS,
    "writing block 1 clears block 0 and the other way round",
    selects(lambda d, orig, i, v:
    (orig(i, v), d.selected.__setitem__(i ^ 1, 0) if len(v) == 1 else None)))
OK = "FEAT-DEV-02"
fault("accepts-anything", OK, "FEATURES_OK is accepted whatever was selected",
      override("features_acceptable", lambda d, orig: True))
fault("accepts-beyond", OK, "selected bits in blocks that are not there are overlooked",
    override("features_acceptable", lambda d, orig: not
    any(v & ~d.offered.get(i, 0) for i, v in d.selected.items() if i < d.o["blocks"])))
fault("accepts-low-block", OK, "selected bits of block 0 are not checked",
    override("features_acceptable", lambda d, orig: not
    any(v & ~d.offered.get(i, 0) for i, v in d.selected.items() if i)))
fault("masks-selection", OK,
    "bits that are not offered are quietly masked out, and FEATURES_OK stays",
    selects(lambda d, orig, i, v:
    orig(i, [bits & d.offered.get(i + n, 0) for n, bits in enumerate(v)])))
fault("refusal-not-returned", OK + " STAT-DEV-03",
    "a refused FEATURES_OK is still set in the response",
    override("set_device_status", lambda d, orig, b: orig(b) and bytes(b)))
fault("refusal-late", OK + " STAT-DEV-03 STAT-DEV-01",
    "a refused FEATURES_OK is set in the response and clear afterwards",
    answer(SET_STATUS, lambda p, d, b: struct.pack("<I", get32(p, 0) | get32(b, 0) & 8)))
fault("refusal-is-failed", OK + " STAT-DEV-03 STAT-DEV-01",
    "a refused FEATURES_OK is clear in the response and set in GET_DEVICE_STATUS",
    all_of(override("write_status", lambda d, orig, v:
    (orig(v), setattr(d, "refused", v & 8 & ~d.status))),
    answer(STATUS, lambda p, d, b:
    struct.pack("<I", get32(p, 0) | (d.__dict__.get("refused", 0) if d.status else 0)))))

# ---------------------------------------------------------------- configuration: generation
GEN = "CFG-DEV-02 GCFG-DEV-01 SCFG-DEV-01 CFG-DEV-03"


def moved(d):
    """A generation that is not 0, so that wrong copies of it show."""
    d.generation = 0x1001


MOVED = each(moved)
fault("read-generation-0", GEN, "GET_CONFIG always says generation 0",
    all_of(MOVED, answer(READ, put("<I", 0, 0))))
fault("read-generation-16-bits", GEN, "GET_CONFIG gives the low 16 bits of the generation",
      all_of(each(lambda d: setattr(d, "generation", 0x1FFFE)), answer(READ, put("<H", 2, 0))))
fault("write-generation-0", GEN, "SET_CONFIG always answers generation 0",
    all_of(MOVED, answer(WRITE, put("<I", 0, 0))))
fault("write-generation-echo", GEN, "SET_CONFIG answers the request's generation",
      all_of(MOVED, answer(WRITE, lambda p, d, b: b[:4] + p[4:])))
fault("write-generation-next", GEN, "SET_CONFIG answers the generation plus 1",
      answer(WRITE, put("<I", 0, lambda p, d, b: d.generation + 1 & U32)))


def _old_generation(d, orig, body):
    before = d.generation
    payload = orig(body)
    return payload and struct.pack("<I", before) + payload[4:]


fault("write-generation-old", GEN, "SET_CONFIG answers the generation from before the write",
    override("set_config", _old_generation))
fault("refusal-generation-0", GEN, "a rejected SET_CONFIG answers generation 0",
    all_of(MOVED, answer(WRITE, lambda p, d, b: bytes(4) + p[4:] if get32(p, 8) == 0 else p)),
    "blk")
fault("event-generation-0", GEN, "EVENT_CONFIG says generation 0",
    sent(events(CONFIG), put("<I", 12, 0)))
fault("event-generation-old", GEN, "EVENT_CONFIG says the generation from before the change",
      sent(events(CONFIG), put("<I", 12, lambda m, r: get32(m, 12) - 1 & U32)))
fault("event-generation-next", GEN, "EVENT_CONFIG says the generation plus 1",
      sent(events(CONFIG), put("<I", 12, lambda m, r: get32(m, 12) + 1 & U32)))
fault("event-generation-counts", GEN, "EVENT_CONFIG counts events instead of giving the generation",
      lambda bus: sent(events(CONFIG), put("<I", 12, lambda m, r, c=counter(): 0x7000 + c()))(bus))
fault("generation-still", "CFG-DEV-03", "own changes leave the generation as it is",
      override("bump", lambda d, orig: None))
fault("generation-toggles", "CFG-DEV-03", "the generation is 0 or 1, so two changes look like none",
      override("bump", lambda d, orig: setattr(d, "generation", d.generation ^ 1)))
fault("generation-own-still", "CFG-DEV-03", "only the driver's writes change the generation",
    override("own_change", lambda d, orig, o, v:
    (lambda g: (orig(o, v), setattr(d, "generation", g)))(d.generation)))


def _bump_if(condition):
    """An own change moves the generation on only under a condition; the event tells the truth."""
    def change(d, orig, offset, data):
        bump, d.bump = d.bump, (lambda: None) if not condition(d, offset, data) else d.bump
        orig(offset, data)
        d.bump = bump
    return override("own_change", change)


fault("generation-only-offset-0", "CFG-DEV-03", "only a change at offset 0 changes the generation",
    _bump_if(lambda d, o, v: o == 0))
fault("generation-only-long", "CFG-DEV-03",
    "a change of fewer than 4 bytes does not change the generation",
    _bump_if(lambda d, o, v: len(v) >= 4))
fault("generation-only-running", "CFG-DEV-03", "the generation changes from DRIVER_OK on only",
    _bump_if(lambda d, o, v: d.status & 4))
fault("generation-not-at-0", "CFG-DEV-03",
    "a change while status is 0 does not change the generation", _bump_if(lambda d, o, v: d.status))
fault("generation-once", "CFG-DEV-03",
    "the generation goes back to its first value with every second change",
    override("bump", lambda d, orig:
    setattr(d, "generation", (d.generation_start + 1) & U32 if d.generation == d.generation_start
    else d.generation_start)))

# ---------------------------------------------------------------- configuration: profiles


def refuses(condition):
    return override("generation_refused", lambda d, orig, g: bool(condition(d, g, orig)))


fault("always-strict", "CFG-DEV-01 CFG-DEV-04",
    "baseline: a generation that is not the current one is rejected",
    all_of(MOVED, refuses(lambda d, g, orig: g != d.generation)))
fault("baseline-nonzero-refused", "CFG-DEV-01 CFG-DEV-04",
    "baseline: a generation other than 0 is rejected",
    refuses(lambda d, g, orig: orig(g) if d.bus.strict else g))
fault("baseline-future-refused", "CFG-DEV-01 CFG-DEV-04",
    "baseline: a generation above the current one is rejected",
    refuses(lambda d, g, orig: orig(g) if d.bus.strict else g > d.generation))
fault("baseline-nonzero-silent", "CFG-DEV-04 ORD-DEV-02 CFG-DEV-01",
    "baseline: a generation other than 0 gets no response",
    override("set_config", lambda d, orig, b: None if not d.bus.strict and len(b) >= 12 and
    get32(b, 0) else orig(b)))
fault("always-baseline", "CFG-DEV-01 CFG-DEV-12", "strict: the generation is ignored",
    refuses(lambda d, g, orig: False))
fault("profiles-swapped", "CFG-DEV-01 CFG-DEV-12 CFG-DEV-04",
    "the profile bit is understood the wrong way round",
    all_of(MOVED, refuses(lambda d, g, orig: not d.bus.strict and g != d.generation)))
fault("profile-from-features", "CFG-DEV-01 CFG-DEV-12 CFG-DEV-04",
    "the profile is taken from bit 0 of the selected device features",
    all_of(MOVED, refuses(lambda d, g, orig: d.selected.get(0, 0) & 1 and g != d.generation)))
fault("strict-older-accepted", "CFG-DEV-12",
    "strict: an older generation is accepted, a newer one is not",
    all_of(MOVED, refuses(lambda d, g, orig: d.bus.strict and g > d.generation)))
fault("strict-newer-accepted", "CFG-DEV-12",
    "strict: a newer generation is accepted, an older one is not",
    refuses(lambda d, g, orig: d.bus.strict and g < d.generation))
fault("strict-previous-accepted", "CFG-DEV-12",
    "strict: the generation before the current one is still accepted",
    refuses(lambda d, g, orig: orig(g) and g != d.generation - 1 & U32))
fault("strict-0-accepted", "CFG-DEV-12", "strict: generation 0 is a wildcard",
    all_of(MOVED, refuses(lambda d, g, orig: orig(g) and g != 0)))
fault("strict-8-bits", "CFG-DEV-12", "strict: only the low 8 bits of the generation are compared",
      refuses(lambda d, g, orig: d.bus.strict and (g ^ d.generation) & 0xFF))
fault("strict-16-bits", "CFG-DEV-12", "strict: only the low 16 bits of the generation are compared",
      refuses(lambda d, g, orig: d.bus.strict and (g ^ d.generation) & 0xFFFF))


def _apply_anyway(d, orig, b):
    if len(b) > 12 and len(b) == 12 + get32(b, 8) and d.generation_refused(get32(b, 0)) and \
            get32(b, 4) + get32(b, 8) <= len(d.config):
        d.write_config(get32(b, 4), b[12:])
        return struct.pack("<III", d.generation, get32(b, 4), 0)
    return orig(b)


fault("strict-refuses-and-applies", "CFG-DEV-12 SCFG-DEV-03 CFG-DEV-03",
    "strict: a mismatched write is answered with length 0 and applied",
    override("set_config", _apply_anyway))
fault("strict-refuses-all", "CFG-DEV-12 SCFG-DEV-03",
    "strict: a mismatched write is answered with its length and not applied",
    override("set_config", lambda d, orig, b:
    struct.pack("<III", d.generation, get32(b, 4), get32(b, 8)) + b[12:] if len(b) > 12 and len(b)
    == 12 + get32(b, 8) and d.generation_refused(get32(b, 0)) else orig(b)))


def _event_on(condition):
    def change(d, orig, b):
        mismatch = len(b) >= 12 and get32(b, 0) != d.generation
        payload = orig(b)
        if payload is not None and condition(d, mismatch):
            d.event_config(0, 0)
        return payload
    return override("set_config", change)


fault("mismatch-event-strict", "CFG-DEV-05 CFG-DEV-08",
    "strict: a mismatched write causes EVENT_CONFIG", _event_on(lambda d, m: m and d.bus.strict))
fault("mismatch-event-baseline", "CFG-DEV-05 CFG-DEV-08",
    "baseline: a mismatched generation causes EVENT_CONFIG",
    all_of(MOVED, _event_on(lambda d, m: m and not d.bus.strict)))
fault("profile-never-learnt", "CFG-DEV-01 CFG-DEV-12 CFG-DEV-04",
    "the profile is strict if and only if the maximum message size is 264",
    all_of(MOVED, lambda bus: setattr(bus, "strict", not bus.strict)))

# ---------------------------------------------------------------- configuration: access
fault("read-offset-0", "WIRE-DEV-03", "GET_CONFIG answers offset 0", answer(READ, put("<I", 4, 0)))
fault("read-length-config", "WIRE-DEV-03 WIRE-DEV-01",
    "GET_CONFIG answers the size of the configuration as length",
    answer(READ, put("<I", 8, lambda p, d, b: len(d.config))))
fault("read-length-0", "WIRE-DEV-03 WIRE-DEV-01", "GET_CONFIG answers length 0 before its data",
    answer(READ, put("<I", 8, 0)))
fault("read-no-data", "WIRE-DEV-03 WIRE-DEV-01", "GET_CONFIG answers without data",
    answer(READ, lambda p, d, b: p[:12]))
fault("read-ignores-offset", "CFG-DEV-03 WIRE-DEV-03 SCFG-DEV-03 CFG-DEV-07",
    "GET_CONFIG gives the bytes from offset 0 whatever the offset",
    override("read_config", lambda d, orig, o, n: orig(0, n)))
fault("read-word-aligned", "CFG-DEV-03 WIRE-DEV-03 SCFG-DEV-03 CFG-DEV-07",
    "GET_CONFIG gives the bytes from the 4-byte boundary before offset",
    override("read_config", lambda d, orig, o, n: (orig(o & ~3, n + 3))[:n].ljust(n, b"\0")))
fault("read-counts", "CFG-DEV-03 CFG-DEV-07", "a configuration byte counts the reads",
    override("read_config", lambda d, orig, o, n:
    (d.config.__setitem__(0, d.config[0] + 1 & 255), orig(o, n))[1]))
fault("write-offset-0", "WIRE-DEV-04", "SET_CONFIG answers offset 0",
    answer(WRITE, put("<I", 4, 0)))
fault("write-no-echo", "WIRE-DEV-04 WIRE-DEV-01", "an applied SET_CONFIG is answered without data",
    answer(WRITE, lambda p, d, b: p[:12]))
fault("write-echo-zeros", "WIRE-DEV-04", "an applied SET_CONFIG echoes zeros",
    answer(WRITE, lambda p, d, b: p[:12] + bytes(len(p) - 12)))


def _echo_old(d, orig, b):
    before = bytes(d.config)
    payload = orig(b)
    if payload and get32(payload, 8):
        offset = get32(payload, 4)
        payload = payload[:12] + before[offset:offset + len(payload) - 12]
    return payload


fault("write-echo-old", "WIRE-DEV-04", "an applied SET_CONFIG echoes the bytes from before",
    override("set_config", _echo_old))


def _zero_length(function):
    def change(d, orig, b):
        if len(b) == 12 and get32(b, 8) == 0 and get32(b, 4) <= len(d.config):
            return function(d, orig, b)
        return orig(b)
    return override("set_config", change)


def _clears_a_byte(d, orig, b):
    d.write_config(min(get32(b, 4), len(d.config) - 1), b"\0")
    return orig(b)


def _bumps(d, orig, b):
    d.bump()
    return orig(b)


def _restores(d, orig, b):
    d.write_config(0, bytes(len(d.config)))
    return orig(b)


NOOP = "SCFG-DEV-02 CFG-DEV-03 SCFG-DEV-03"
fault("noop-clears-a-byte", NOOP, "SET_CONFIG with length 0 clears the byte at offset",
    _zero_length(_clears_a_byte))
fault("noop-clears-all", NOOP, "SET_CONFIG with length 0 clears the configuration",
    _zero_length(_restores))
fault("noop-answers-size", NOOP + " WIRE-DEV-01 WIRE-DEV-04",
    "SET_CONFIG with length 0 is answered with the size of the configuration",
    _zero_length(lambda d, orig, b: struct.pack("<III", d.generation, get32(b, 4), len(d.config))))
fault("noop-answers-data", NOOP + " SCFG-DEV-04 WIRE-DEV-01",
    "SET_CONFIG with length 0 is answered with data",
    _zero_length(lambda d, orig, b: orig(b) + bytes(4)))
fault("noop-event", "SCFG-DEV-02 CFG-DEV-08 CFG-DEV-05 CFG-DEV-07",
    "SET_CONFIG with length 0 causes EVENT_CONFIG",
    _zero_length(lambda d, orig, b: (d.event_config(0, 0), orig(b))[1]))
fault("refusal-with-data", "SCFG-DEV-04 WIRE-DEV-01",
    "a rejected SET_CONFIG is answered with length 0 and the request's data",
    answer(WRITE, lambda p, d, b: p + b[12:] if get32(p, 8) == 0 else p), "blk")


def _partial(fraction):
    """Applies part of a write and says so, or not."""
    def change(d, orig, b):
        if len(b) > 13 and len(b) == 12 + get32(b, 8) and d.accepts_write(get32(b, 0), get32(b, 4),
                b[12:]):
            return fraction(d, get32(b, 4), b[12:])
        return orig(b)
    return override("set_config", change)


def _half(d, offset, data):
    data = data[:max(1, len(data) // 2)]
    d.write_config(offset, data)
    return d.set_config_answer(offset, data)


def _half_claims_all(d, offset, data):
    d.write_config(offset, data[:max(1, len(data) // 2)])
    return d.set_config_answer(offset, data)


def _all_claims_none(d, offset, data):
    d.write_config(offset, data)
    return d.set_config_answer(offset, b"")


def _none_claims_all(d, offset, data):
    return d.set_config_answer(offset, data)


def _words_only(d, offset, data):
    data = data[:len(data) & ~3] if len(data) > 4 else data
    d.write_config(offset, data)
    return d.set_config_answer(offset, data)


APPLY = "SCFG-DEV-03 WIRE-DEV-04"
fault("write-half", APPLY, "half of a write is applied, and that length is answered",
    _partial(_half))
fault("write-half-claims-all", APPLY,
    "half of a write is applied, and the whole length is answered", _partial(_half_claims_all))
fault("write-claims-none", APPLY + " CFG-DEV-03 CFG-DEV-07",
    "a write is applied and answered with length 0", _partial(_all_claims_none))
fault("write-claims-all", APPLY, "a write is answered as applied and never is",
    _partial(_none_claims_all))
fault("write-words-only", APPLY, "bytes beyond the last full word of a write are dropped",
    _partial(_words_only))


def _clamped_write(d, orig, b):
    if len(b) > 12 and len(b) == 12 + get32(b, 8) and get32(b, 4) < len(d.config) < get32(b,
            4) + get32(b, 8) and not d.generation_refused(get32(b, 0)):
        data = b[12:12 + len(d.config) - get32(b, 4)]
        d.write_config(get32(b, 4), data)
        return d.set_config_answer(get32(b, 4), data)
    return orig(b)


def _clamped_write_zero(d, orig, b):
    payload = _clamped_write(d, lambda body: None, b)
    return payload[:8] + bytes(4) if payload else orig(b)


fault("write-clamped", APPLY, "a write across the end is applied as far as it goes",
    override("set_config", _clamped_write))
fault("write-clamped-claims-none", APPLY + " CFG-DEV-03",
    "a write across the end is applied as far as it goes and answered with length 0",
    override("set_config", _clamped_write_zero))
fault("write-beyond-claims-all", APPLY + " " + MALFORMED,
    "a write across the end is answered as applied",
    override("set_config", lambda d, orig, b: d.set_config_answer(get32(b, 4), b[12:]) if len(b) >
    12 and len(b) == 12 + get32(b, 8) and get32(b, 4) + get32(b, 8) > len(d.config) else orig(b)))

# ---------------------------------------------------------------- configuration: events
OWN = "CFG-DEV-07"
fault("change-unreported", OWN, "own changes are not reported",
    override("report_change", lambda d, orig, o, v: None))
fault("change-unreported-early", OWN, "own changes are reported from DRIVER_OK on only",
      override("report_change", lambda d, orig, o, v: orig(o, v) if d.status & 4 else None))
fault("change-reported-once", OWN, "only the first own change is reported",
    override("report_change", lambda d, orig, o, v: None if d.__dict__.setdefault("told", 0) else
    (orig(o, v), d.__dict__.update(told=1))))
fault("change-reported-offset-0", OWN, "only changes at offset 0 are reported",
      override("report_change", lambda d, orig, o, v: orig(o, v) if o == 0 else None))
fault("large-change-unreported", OWN + " CFG-DEV-13",
    "a change that does not fit into one message is not reported",
    override("report_change", lambda d, orig, o, v: orig(o, v) if 24 + len(v) <= d.bus.max_msg_size
    else None))
fault("large-change-cut", OWN + " CFG-DEV-13 CFG-DEV-14",
    "a change that does not fit is reported by as many bytes as do",
    override("report_change", lambda d, orig, o, v: orig(o, v[:d.bus.max_msg_size - 24])))
fault("large-change-unreadable", OWN + " CFG-DEV-13 CFG-DEV-03",
    "a change that does not fit is announced and never made",
    override("own_change", lambda d, orig, o, v: (d.bump(), d.report_change(o, v)) if 24 + len(v) >
    d.bus.max_msg_size else orig(o, v)))
fault("large-change-unnamed", "CFG-DEV-14",
    "strict: a change that does not fit is announced with offset 0 and length 0",
    override("report_change", lambda d, orig, o, v: orig(o, v) if 24 + len(v) <= d.bus.max_msg_size
    else d.event_config(0, 0)))
fault("change-announced-only", OWN + " CFG-DEV-03 CFG-DEV-13",
    "an own change is announced with its data and GET_CONFIG gives the old",
    override("own_change", lambda d, orig, o, v: (d.bump(), d.report_change(o, v)) if d.status else
    orig(o, v)))
fault("change-wrong-offset", OWN, "EVENT_CONFIG's offset is one too high",
    sent(events(CONFIG), put("<I", 16, lambda m, r: get32(m, 16) + 1)))
fault("change-old-data", OWN + " CFG-DEV-03",
    "EVENT_CONFIG carries the bytes from before the change",
    override("own_change", lambda d, orig, o, v: _with_old(d, orig, o, v)))
fault("change-zero-data", OWN + " CFG-DEV-03", "EVENT_CONFIG carries zeros for data",
      sent(events(CONFIG), lambda m, r: m[:24] + bytes(len(m) - 24)))
fault("change-whole-length", OWN + " WIRE-DEV-01 HDR-DEV-02 CFG-DEV-13",
    "EVENT_CONFIG's length is the whole configuration, its data the change",
    sent(events(CONFIG), put("<I", 20, 64)))


def _with_old(d, orig, offset, data):
    before = bytes(d.config[offset:offset + len(data)])
    report = d.report_change
    d.report_change = lambda o, v: report(o, before)
    orig(offset, data)
    d.report_change = report


fault("event-status-0", "STAT-DEV-01 CFG-DEV-07 CFG-DEV-08", "EVENT_CONFIG says status 0",
    sent(events(CONFIG), put("<I", 8, 0)))
fault("event-status-stale", "STAT-DEV-01 CFG-DEV-07 CFG-DEV-08",
    "EVENT_CONFIG says the status from before DRIVER_OK",
    sent(events(CONFIG), put("<I", 8, lambda m, r: get32(m, 8) & ~4)))


def _after_status(condition):
    def change(d, orig, b):
        before = d.status
        payload = orig(b)
        if payload is not None and condition(d, before, get32(b, 0)):
            d.event_config(0, 0)
        return payload
    return override("set_device_status", change)


DRIVERS = "CFG-DEV-09 CFG-DEV-08"
fault("status-write-event", DRIVERS, "every status write causes EVENT_CONFIG",
    _after_status(lambda d, s, v: True))
fault("driver-ok-event", DRIVERS, "DRIVER_OK causes EVENT_CONFIG",
    _after_status(lambda d, s, v: v & 4 and not s & 4))
fault("refusal-event", DRIVERS, "a refused FEATURES_OK causes EVENT_CONFIG",
    _after_status(lambda d, s, v: v & 8 and not d.status & 8))
fault("reset-event", DRIVERS, "a reset causes EVENT_CONFIG", _after_status(lambda d, s, v: v == 0))
fault("acknowledge-event", DRIVERS, "ACKNOWLEDGE causes EVENT_CONFIG",
    _after_status(lambda d, s, v: v == 1))


def _heartbeat(every):
    def how(bus):
        count = counter()
        on_bus("ask", lambda bus, orig, dev, r, b:
            (orig(dev, r, b), dev.status & 4 and count() % every == 0 and
            dev.event_config(0, 0))[0])(bus)
    return how


fault("heartbeat", "CFG-DEV-08 CFG-DEV-09 CFG-DEV-07",
    "EVENT_CONFIG with nothing new is sent now and then", _heartbeat(5))
fault("status-read-event", "CFG-DEV-08 CFG-DEV-09 CFG-DEV-07",
    "GET_DEVICE_STATUS causes EVENT_CONFIG",
    override("get_device_status", lambda d, orig, b: (d.event_config(0, 0), orig(b))[1]))
fault("avail-event", "CFG-DEV-08 CFG-DEV-09 CFG-DEV-07", "EVENT_AVAIL causes EVENT_CONFIG",
      override("driver_event", lambda d, orig, i, b: d.event_config(0, 0)))
fault("write-event-mismatched", "CFG-DEV-02 CFG-DEV-07 CFG-DEV-03 GCFG-DEV-01",
    "own changes are reported before they are made, with the old generation",
    override("own_change", lambda d, orig, o, v:
    (d.status and d.report_change(o, v), d.config.__setitem__(slice(o, o + len(v)), v), d.bump())))
fault("needs-reset-named", "CFG-DEV-10",
    "DEVICE_NEEDS_RESET is announced with the whole configuration as range",
    override("fail", lambda d, orig:
    (setattr(d, "status", d.status | 64), d.event_config(0, len(d.config)))))
fault("needs-reset-offset", "CFG-DEV-10", "DEVICE_NEEDS_RESET is announced with an offset",
      override("fail", lambda d, orig: (setattr(d, "status", d.status | 64), d.event_config(4, 0))))
fault("needs-reset-data", "CFG-DEV-10", "DEVICE_NEEDS_RESET is announced with configuration bytes",
    override("fail", lambda d, orig:
    (setattr(d, "status", d.status | 64), d.event_config(0, 4, bytes(d.config[:4])))))

# ---------------------------------------------------------------- status and reset
fault("needs-reset-unseen", "STAT-DEV-02", "an unrecoverable error does not show",
    override("fail", lambda d, orig: None))
fault("needs-reset-event-only", "STAT-DEV-01 STAT-DEV-02 STAT-DEV-03",
    "DEVICE_NEEDS_RESET is in the event and not in the status",
    override("fail", lambda d, orig: (orig(), setattr(d, "status", d.status & ~64))))
fault("needs-reset-wrong-bit", "STAT-DEV-02", "an unrecoverable error shows as FAILED",
      override("fail", lambda d, orig: setattr(d, "status", d.status | 128)))
fault("needs-reset-cleared-by-write", "STAT-DEV-01 STAT-DEV-02 STAT-DEV-03",
    "GET_DEVICE_STATUS clears DEVICE_NEEDS_RESET once it was read",
    override("get_device_status", lambda d, orig, b:
    (orig(b), setattr(d, "status", d.status & ~64))[0]))
fault("status-hides-needs-reset", "STAT-DEV-01 STAT-DEV-02",
    "GET_DEVICE_STATUS leaves DEVICE_NEEDS_RESET out",
    answer(STATUS, put("<I", 0, lambda p, d, b: get32(p, 0) & ~64)))
fault("status-hides-features-ok", "STAT-DEV-01", "GET_DEVICE_STATUS leaves FEATURES_OK out",
      answer(STATUS, put("<I", 0, lambda p, d, b: get32(p, 0) & ~8)))
fault("status-always-0", "STAT-DEV-01 STAT-DEV-06", "GET_DEVICE_STATUS always says 0",
    answer(STATUS, put("<I", 0, 0)))
fault("status-rubbish", "STAT-DEV-01", "the upper bytes of GET_DEVICE_STATUS are not initialized",
    answer(STATUS, put("<I", 0, lambda p, d, b: d.status | 0xA5A500)))


def _last_written(bus):
    override("set_device_status", lambda d, orig, b:
        (d.__dict__.update(written=get32(b, 0)) if len(b) == 4 else None, orig(b))[1])(bus)
    answer(STATUS, put("<I", 0, lambda p, d, b: d.__dict__.get("written", 0)))(bus)


fault("status-last-written", "STAT-DEV-01 FEAT-DEV-02",
    "GET_DEVICE_STATUS gives what the driver wrote last", _last_written)
fault("set-status-old", "STAT-DEV-03", "SET_DEVICE_STATUS answers the status from before the write",
    override("set_device_status", lambda d, orig, b:
    (lambda s: orig(b) and struct.pack("<I", s))(d.status)))
fault("set-status-0", "STAT-DEV-03 STAT-DEV-06", "SET_DEVICE_STATUS answers 0 for success",
    answer(SET_STATUS, put("<I", 0, 0)))
fault("set-status-echo", "STAT-DEV-03 FEAT-DEV-02",
    "SET_DEVICE_STATUS answers the request's status", answer(SET_STATUS, lambda p, d, b: b))
fault("set-status-hides-needs-reset", "STAT-DEV-03",
    "SET_DEVICE_STATUS leaves DEVICE_NEEDS_RESET out of its answer",
    answer(SET_STATUS, put("<I", 0, lambda p, d, b: get32(p, 0) & ~64)))
fault("status-write-ignored", "STAT-DEV-03",
    "ACKNOWLEDGE and DRIVER are answered as set and are not",
    all_of(override("write_status", lambda d, orig, v: orig(v) if v > 3 else None),
    answer(SET_STATUS, lambda p, d, b: b)))


def _reset(function):
    return override("finish_reset", function)


def keep(*names):
    """A reset that forgets to clear something."""
    def change(d, orig):
        before = {n: d.__dict__[n] for n in names}
        orig()
        d.__dict__.update(before)
    return _reset(change)


RESET = "STAT-DEV-04 STAT-DEV-06 STAT-DEV-01 STAT-DEV-03"
fault("reset-ignored", RESET, "writing status 0 does nothing",
    override("start_reset", lambda d, orig: None))
fault("reset-endless", RESET, "a reset never ends",
    override("start_reset", lambda d, orig: setattr(d, "resetting", d.status != 0)))
fault("reset-leaves-acknowledge", RESET, "a reset leaves ACKNOWLEDGE set",
    _reset(lambda d, orig: (orig(), setattr(d, "status", 1))[0]))
fault("reset-leaves-needs-reset", RESET, "a reset leaves DEVICE_NEEDS_RESET set",
      _reset(lambda d, orig: (lambda s: (orig(), setattr(d, "status", s & 64)))(d.status)))
fault("reset-not-when-broken", RESET, "a reset is ignored once DEVICE_NEEDS_RESET is set",
      override("start_reset", lambda d, orig: None if d.status & 64 else orig()))
fault("reset-not-when-running", RESET, "a reset is ignored while DRIVER_OK is set",
      override("start_reset", lambda d, orig: None if d.status & 4 else orig()))
fault("reset-silent", "ORD-DEV-02 STAT-DEV-04", "writing status 0 gets no response",
    override("set_device_status", lambda d, orig, b: (orig(b), None)[1] if len(b) == 4 and not
    get32(b, 0) else orig(b)))


def _keep_queues(d, orig):
    before = {i: dict(q.__dict__) for i, q in d.queues.items()}
    orig()
    for i, q in d.queues.items():
        q.__dict__.update(before[i])


def _keep_addresses(d, orig):
    before = {i: (q.size, q.desc, q.driver, q.device) for i, q in d.queues.items()}
    orig()
    for i, q in d.queues.items():
        q.size, q.desc, q.driver, q.device = before[i]


def _keep_enabled(d, orig):
    before = {i: q.enabled for i, q in d.queues.items()}
    orig()
    for i, q in d.queues.items():
        q.enabled = before[i]


def _first_queue_only(d, orig):
    before = {i: dict(q.__dict__) for i, q in d.queues.items()}
    orig()
    for i in sorted(d.queues)[1:]:
        d.queues[i].__dict__.update(before[i])


QRESET = "STAT-DEV-04 STAT-DEV-06 GVQ-DEV-01 GVQ-DEV-03"
fault("reset-keeps-queues", QRESET, "a reset leaves the virtqueues as they are",
    _reset(_keep_queues))
fault("reset-keeps-sizes", QRESET,
    "a reset disables the virtqueues and keeps their sizes and addresses", _reset(_keep_addresses))
fault("reset-keeps-enabled", QRESET,
    "a reset clears the virtqueues' parameters and leaves them enabled", _reset(_keep_enabled))
fault("reset-first-queue-only", QRESET, "a reset clears the first virtqueue only",
    _reset(_first_queue_only))
fault("reset-keeps-features", "STAT-DEV-04 FEAT-DEV-02 FBLK-DEV-02 RVQ-DEV-02",
    "a reset keeps the driver's feature selection", keep("selected"))


def _unfinished(d, orig):
    """Says 0 at once, and clears the queues only three requests later."""
    before = {i: dict(q.__dict__) for i, q in d.queues.items()}
    orig()
    for i, q in d.queues.items():
        q.__dict__.update(before[i])
    d.unfinished = 3


def _finish(d, orig, msg_id, body):
    left = d.__dict__.get("unfinished", 0)
    if left:
        d.unfinished = left - 1
        if left == 1:
            for q in d.queues.values():
                q.clear()
    return orig(msg_id, body)


fault("reset-reported-early", QRESET,
    "status 0 is reported while the virtqueues are still being taken down",
    all_of(_reset(_unfinished), override("request", _finish)))


def _says_0_first(d, orig, b):
    payload = orig(b)
    return bytes(4) if len(b) == 4 and get32(b, 0) == 0 else payload


fault("reset-answer-0-too-early", RESET, "an asynchronous reset is answered with status 0 at once",
    override("set_device_status", _says_0_first), "async-reset-slow")


def _flickers(bus):
    def status(d, orig, b):
        payload = orig(b)
        if d.resetting:
            d.flicker = d.__dict__.get("flicker", 0) + 1
            return bytes(4) if d.flicker == 1 else payload
        d.flicker = 0
        return payload
    override("get_device_status", status)(bus)


fault("reset-flickers", RESET,
    "while a reset is pending status reads 0 once and then the old value again", _flickers,
    "async-reset-slow")
fault("reset-partial-status", "STAT-DEV-03 STAT-DEV-04 STAT-DEV-06 STAT-DEV-01",
    "a reset clears all status bits but FEATURES_OK",
    _reset(lambda d, orig: (lambda s: (orig(), setattr(d, "status", s & 8)))(d.status)))

# ---------------------------------------------------------------- GET_VQUEUE


def vq(at, value, fmt="<I"):
    """Changes the answer for queues that exist."""
    def edit(p, d, b):
        q = d.queue(get32(b, 0))
        if q:
            struct.pack_into(fmt, p, at, value(q, d))
        return p
    return answer(GVQ, edit)


def no_vq(at, value, fmt="<I"):
    """Changes the answer for queues that do not exist."""
    def edit(p, d, b):
        if d.queue(get32(b, 0)) is None:
            struct.pack_into(fmt, p, at, value)
        return p
    return answer(GVQ, edit)


SIZE = "GVQ-DEV-01 SVQ-DEV-05 SVQ-DEV-04"
fault("index-0-echoed", "WIRE-DEV-05", "GET_VQUEUE answers index 0", answer(GVQ, put("<I", 0, 0)))
fault("index-16-bits", "WIRE-DEV-05 GVQ-DEV-02", "GET_VQUEUE answers the low 16 bits of index",
    answer(GVQ, put("<H", 2, 0)))
fault("index-echo-of-last", "WIRE-DEV-05",
    "GET_VQUEUE answers an index beyond the range as the last valid one",
    answer(GVQ, put("<I", 0, lambda p, d, b: min(get32(b, 0), d.max_virtqueues - 1))))
fault("cur-size-is-max", SIZE, "cur_size is max_size while the queue is not configured",
    vq(8, lambda q, d: q.size or q.max_size))
fault("cur-size-always-max", SIZE, "cur_size is always max_size", vq(8, lambda q, d: q.max_size))
fault("cur-size-always-0", SIZE, "cur_size stays 0", vq(8, lambda q, d: 0))
fault("cur-size-needs-enable", SIZE, "cur_size is 0 until the queue is enabled",
    vq(8, lambda q, d: q.size if q.enabled else 0))
fault("max-size-follows", "GVQ-DEV-01", "max_size is the configured size once there is one",
    vq(4, lambda q, d: q.size or q.max_size))
fault("max-size-0-enabled", "GVQ-DEV-01", "max_size is 0 while the queue is enabled",
    vq(4, lambda q, d: 0 if q.enabled else q.max_size))
fault("max-size-understated", "GVQ-DEV-01 GVQ-DEV-02",
    "max_size of an unconfigured queue is that of the next queue after one use",
    vq(4, lambda q, d: q.max_size if not q.size else q.max_size * 2))
fault("flags-bit-1", "GVQ-DEV-03", "flags bit 1 tells that the queue is configured",
    vq(12, lambda q, d: int(q.enabled) | (2 if q.size else 0)))
fault("flags-bit-31", "GVQ-DEV-03", "flags bit 31 is set",
    vq(12, lambda q, d: int(q.enabled) | 1 << 31))
fault("flags-always-0", "GVQ-DEV-03 SVQ-DEV-07 SVQ-DEV-04", "flags never shows a queue enabled",
    vq(12, lambda q, d: 0))
fault("flags-always-1", "GVQ-DEV-03 SVQ-DEV-07 GVQ-DEV-01", "flags shows every queue enabled",
    vq(12, lambda q, d: 1))
fault("flags-follow-size", "GVQ-DEV-03 SVQ-DEV-07 SVQ-DEV-04",
    "flags shows a queue enabled once it has a size", vq(12, lambda q, d: int(q.size > 0)))
fault("flags-follow-driver-ok", "GVQ-DEV-03 SVQ-DEV-07",
    "flags shows a queue enabled from DRIVER_OK on only",
    vq(12, lambda q, d: int(q.enabled and d.status & 4 > 0)))


def _flags_back(bus):
    override("configure", lambda d, orig, q, f, *a:
        (q.__dict__.update(flags=f), orig(q, f, *a))[1])(bus)
    vq(12, lambda q, d: (q.__dict__.get("flags", 0) & 0x3C) | int(q.enabled))(bus)


fault("flags-echo", "GVQ-DEV-03", "flags gives the flags of the last SET_VQUEUE back", _flags_back)
NONE = "GVQ-DEV-02"
fault("missing-max-size", NONE, "max_size of a queue that is not there is 1", no_vq(4, 1))
fault("missing-cur-size", NONE, "cur_size of a queue that is not there is not 0", no_vq(8, 256))
fault("missing-enabled", NONE + " GVQ-DEV-03", "a queue that is not there shows as enabled",
    no_vq(12, 1))
fault("missing-desc", NONE, "desc_addr of a queue that is not there is all ones",
    no_vq(16, (1 << 64) - 1, "<Q"))
fault("missing-driver", NONE, "driver_addr of a queue that is not there is rubbish",
    no_vq(24, 0x1234, "<Q"))
fault("missing-device", NONE, "device_addr of a queue that is not there is rubbish",
    no_vq(32, 0xDEAD0000, "<Q"))


def lookup(function):
    return override("queue", function)


fault("missing-is-last", "GVQ-DEV-02 SVQ-DEV-01 RVQ-DEV-01",
    "an index out of range means the last queue",
    lookup(lambda d, orig, i: orig(min(i, d.max_virtqueues - 1))))
fault("index-8-bits", "GVQ-DEV-02 SVQ-DEV-01 RVQ-DEV-01",
    "queue indexes are cut to 8 bits, so 256 is queue 0", lookup(lambda d, orig, i: orig(i & 0xFF)))
fault("index-cut-to-16", "GVQ-DEV-02 SVQ-DEV-01 RVQ-DEV-01",
    "queue indexes are cut to 16 bits, so 65536 is queue 0",
    lookup(lambda d, orig, i: orig(i & 0xFFFF)))
fault("index-31-bits", "GVQ-DEV-02 SVQ-DEV-01 RVQ-DEV-01",
    "queue indexes are read as signed, and negative ones are taken absolute",
    lookup(lambda d, orig, i: orig(i & 0x7FFFFFFF)))
fault("index-modulo", "GVQ-DEV-02 SVQ-DEV-01 RVQ-DEV-01", "an index out of range wraps around",
    lookup(lambda d, orig, i: orig(i % d.max_virtqueues)))
fault("missing-inside-claimed", "GVQ-DEV-02 SVQ-DEV-01 RVQ-DEV-01",
    "a queue that is not available within max_virtqueues is taken for queue 0",
    lookup(lambda d, orig, i: orig(i) or (orig(0) if i < d.max_virtqueues else None)),
    "more-claimed")

# ---------------------------------------------------------------- SET_VQUEUE


def configure(function):
    """function(device, original, queue, flags, size, reserved, addresses...) configures."""
    return override("configure", function)


fault("reserved-ignored", "SVQ-DEV-02", "a nonzero reserved is overlooked",
    configure(lambda d, orig, q, f, s, r, *a: orig(q, f, s, 0, *a)))
fault("reserved-low-half", "SVQ-DEV-02", "only the low 16 bits of reserved are looked at",
      configure(lambda d, orig, q, f, s, r, *a: orig(q, f, s, r & 0xFFFF, *a)))
fault("high-flags-ignored", "SVQ-DEV-02", "flags bits 6 to 31 are overlooked",
    configure(lambda d, orig, q, f, *a: orig(q, f & 0x3F, *a)))
fault("flags-8-bits", "SVQ-DEV-02", "flags bits 8 to 31 are overlooked",
    configure(lambda d, orig, q, f, *a: orig(q, f & 0xFF, *a)))
fault("flags-bit-31-ignored", "SVQ-DEV-02", "flags bit 31 is overlooked",
    configure(lambda d, orig, q, f, *a: orig(q, f & 0x7FFFFFFF, *a)))
fault("op-3-enables", "SVQ-DEV-02", "state operation 3 enables",
    configure(lambda d, orig, q, f, *a: orig(q, f & ~2 if f & 3 == 3 else f, *a)))
fault("op-3-keeps", "SVQ-DEV-02", "state operation 3 applies the fields and keeps the state",
      configure(lambda d, orig, q, f, *a: orig(q, f & ~1 if f & 3 == 3 else f, *a)))


def _op_3_disables(d, orig, q, f, *a):
    if f & 3 == 3:
        q.enabled = False
    else:
        orig(q, f, *a)


def _op_0_disables(d, orig, q, f, *a):
    if q.enabled and f & 3 == 0 and f >> 6 == 0 and a[1] == 0:
        q.stop()
    else:
        orig(q, f, *a)


def _op_0_reconfigures(d, orig, q, f, *a):
    if q.enabled and f & 3 == 0:
        q.enabled = False
    orig(q, f, *a)


def _op_2_disables(d, orig, q, f, *a):
    if q.enabled and f & 3 == 2:
        q.stop()
    else:
        orig(q, f, *a)


def _op_1_restarts(d, orig, q, f, *a):
    if q.enabled and f & 3 == 1 and f >> 6 == 0 and a[1] == 0:
        q.enabled = False
    orig(q, f, *a)


def _op_2_updates(d, orig, q, f, *a):
    if q.enabled and f & 3 == 2:
        q.enabled = False
        orig(q, f, *a)
        q.enabled = True
    else:
        orig(q, f, *a)


fault("op-3-disables", "SVQ-DEV-02 SVQ-DEV-07", "state operation 3 disables",
    configure(_op_3_disables))
fault("op-0-disables", "SVQ-DEV-03 SVQ-DEV-07", "state operation 0 disables an enabled queue",
    configure(_op_0_disables))
fault("op-0-disables-and-applies", "SVQ-DEV-03 SVQ-DEV-07 SVQ-DEV-06",
    "state operation 0 disables an enabled queue and applies the fields",
    configure(_op_0_reconfigures))
fault("op-2-disables", "SVQ-DEV-07 SVQ-DEV-06", "state operation 2 disables an enabled queue",
    configure(_op_2_disables))
fault("op-2-enables", "SVQ-DEV-07", "state operation 2 enables",
      configure(lambda d, orig, q, f, *a: orig(q, f & ~3 | 1 if f & 3 == 2 else f, *a)))
fault("op-0-enables", "SVQ-DEV-07", "every valid SET_VQUEUE enables, as in an older draft",
      configure(lambda d, orig, q, f, *a: orig(q, f | 1 if f & 3 == 0 else f, *a)))
fault("op-1-does-not-enable", "SVQ-DEV-07 SVQ-DEV-04",
    "state operation 1 applies the fields and does not enable",
    configure(lambda d, orig, q, f, *a: orig(q, f & ~3 if f & 3 == 1 else f, *a)))
fault("op-1-reconfigures", "SVQ-DEV-06 SVQ-DEV-04",
    "an enabled queue is configured anew by state operation 1", configure(_op_1_restarts))
fault("op-2-reconfigures", "SVQ-DEV-06 SVQ-DEV-04",
    "an enabled queue is configured anew by state operation 2", configure(_op_2_updates))


def _live(*names):
    """An enabled queue takes over some of the fields."""
    def change(d, orig, q, f, size, reserved, desc, driver, device):
        if q.enabled and not reserved and not f >> 6 and f & 3 in (1, 2):
            given = dict(size=(4, size), desc=(8, desc), driver=(16, driver), device=(32, device))
            for n in names:
                if not f & given[n][0] and (n != "size" or 0 < size <= q.max_size):
                    setattr(q, n, given[n][1])
        else:
            orig(q, f, size, reserved, desc, driver, device)
    return configure(change)


fault("live-size", "SVQ-DEV-06 SVQ-DEV-04", "the size of an enabled queue can be changed",
    _live("size"))
fault("live-desc", "SVQ-DEV-06 SVQ-DEV-04", "desc_addr of an enabled queue can be changed",
    _live("desc"))
fault("live-driver", "SVQ-DEV-06 SVQ-DEV-04", "driver_addr of an enabled queue can be changed",
    _live("driver"))
fault("live-device", "SVQ-DEV-06 SVQ-DEV-04", "device_addr of an enabled queue can be changed",
    _live("device"))
fault("ignore-size-overlooked", "SVQ-DEV-05", "the ignore bit of size is overlooked",
    configure(lambda d, orig, q, f, *a: orig(q, f & ~4, *a)))
fault("ignore-desc-overlooked", "SVQ-DEV-05", "the ignore bit of desc_addr is overlooked",
    configure(lambda d, orig, q, f, *a: orig(q, f & ~8, *a)))
fault("ignore-driver-overlooked", "SVQ-DEV-05", "the ignore bit of driver_addr is overlooked",
    configure(lambda d, orig, q, f, *a: orig(q, f & ~16, *a)))
fault("ignore-device-overlooked", "SVQ-DEV-05", "the ignore bit of device_addr is overlooked",
    configure(lambda d, orig, q, f, *a: orig(q, f & ~32, *a)))
fault("ignore-driver-device-swapped", "SVQ-DEV-05",
    "the ignore bits of driver_addr and device_addr are mixed up",
    configure(lambda d, orig, q, f, *a: orig(q, f & ~48 | (f & 16) << 1 | (f & 32) >> 1, *a)))
fault("ignore-size-desc-swapped", "SVQ-DEV-05",
    "the ignore bits of size and desc_addr are mixed up",
    configure(lambda d, orig, q, f, *a: orig(q, f & ~12 | (f & 4) << 1 | (f & 8) >> 1, *a)))


def _ignored_is_zero(d, orig, q, f, s, r, *addresses):
    zeros = [0 if f & bit else a for bit, a in zip((8, 16, 32), addresses)]
    orig(q, f & ~0x38, s, r, *zeros)


def _any_ignores_all(d, orig, q, f, *a):
    orig(q, f | 0x3C if f & 0x3C else f, *a)


fault("ignored-is-zeroed", "SVQ-DEV-05", "an ignored address is set to 0",
    configure(_ignored_is_zero))
fault("one-ignores-all", "SVQ-DEV-05 SVQ-DEV-04", "one ignore bit makes all fields ignored",
    configure(_any_ignores_all))
fault("ignore-inverted", "SVQ-DEV-05 SVQ-DEV-04",
    "the ignore bits of addresses are understood the wrong way round",
    configure(lambda d, orig, q, f, *a: orig(q, f ^ 0x38, *a)))


def _fields_first(names):
    """Fields are stored before the size is looked at, and stay when it is refused."""
    def change(d, orig, q, f, size, reserved, desc, driver, device):
        if not q.enabled and not reserved and not f >> 6 and f & 3 != 3:
            for n, bit, v in (("desc", 8, desc), ("driver", 16, driver), ("device", 32, device)):
                if n in names and not f & bit:
                    setattr(q, n, v)
        orig(q, f, size, reserved, desc, driver, device)
    return configure(change)


def _fields_before_flags(d, orig, q, f, size, reserved, desc, driver, device):
    if not q.enabled and (reserved or f >> 6 or f & 3 == 3):
        for n, bit, v in (("desc", 8, desc), ("driver", 16, driver), ("device", 32, device)):
            if not f & bit:
                setattr(q, n, v)
    orig(q, f, size, reserved, desc, driver, device)


def _size_clamped(d, orig, q, f, size, *a):
    orig(q, f, min(size, q.max_size), *a)


def _enables_old(d, orig, q, f, size, reserved, *a):
    orig(q, f, size, reserved, *a)
    if f & 3 == 1 and not f >> 6 and not reserved and size > q.max_size and not f & 4:
        q.enabled = True


ATOMIC = "SVQ-DEV-04"
fault("refused-keeps-addresses", ATOMIC,
    "a SET_VQUEUE refused for its size has stored the addresses",
    _fields_first(("desc", "driver", "device")))
fault("refused-keeps-desc", ATOMIC, "a SET_VQUEUE refused for its size has stored desc_addr",
    _fields_first(("desc",)))
fault("refused-flags-keep-addresses", ATOMIC + " SVQ-DEV-02",
    "a SET_VQUEUE refused for its flags has stored the addresses", configure(_fields_before_flags))
fault("size-clamped", ATOMIC + " SVQ-DEV-05", "a size above the maximum becomes the maximum",
    configure(_size_clamped))
fault("refused-enables", ATOMIC + " SVQ-DEV-07", "a SET_VQUEUE refused for its size still enables",
    configure(_enables_old))
fault("too-large-accepted", ATOMIC + " GVQ-DEV-01 SVQ-DEV-05",
    "a size above the maximum is stored cut to 16 bits",
    configure(lambda d, orig, q, f, s, r, *a: orig(q, f, s & 0xFF or 1, r, *a)))


def _set_hits(target):
    def change(d, orig, b):
        if len(b) == 40 and d.queue(get32(b, 0)) is None:
            return orig(struct.pack("<I", target(d, get32(b, 0))) + b[4:])
        return orig(b)
    return override("set_vqueue", change)


def _reset_hits(target):
    def change(d, orig, b):
        if len(b) == 4 and d.queue(get32(b, 0)) is None:
            return orig(struct.pack("<I", target(d, get32(b, 0))))
        return orig(b)
    return override("reset_vqueue", change)


fault("set-missing-hits-0", "SVQ-DEV-01", "SET_VQUEUE out of range configures queue 0",
    _set_hits(lambda d, i: 0))
fault("set-missing-hits-last", "SVQ-DEV-01", "SET_VQUEUE out of range configures the last queue",
    _set_hits(lambda d, i: d.max_virtqueues - 1))


def _creates(d, orig, b):
    index = get32(b, 0) if len(b) == 40 else U32
    if index < d.max_virtqueues and d.queue(index) is None:
        import copy
        q = copy.copy(d.queues[0])
        q.index, q.max_size = index, 16
        q.clear()
        d.queues[index] = q
    return orig(b)


fault("set-missing-creates", "SVQ-DEV-01 GVQ-DEV-02",
    "SET_VQUEUE of a queue that is not available makes it so", override("set_vqueue", _creates),
    "more-claimed")

# ---------------------------------------------------------------- RESET_VQUEUE
fault("reset-missing-hits-0", "RVQ-DEV-01", "RESET_VQUEUE out of range resets queue 0",
    _reset_hits(lambda d, i: 0))
fault("reset-missing-hits-last", "RVQ-DEV-01", "RESET_VQUEUE out of range resets the last queue",
    _reset_hits(lambda d, i: d.max_virtqueues - 1))


def _reset_all(d, orig, b):
    if len(b) == 4 and d.queue(get32(b, 0)) is None:
        for q in d.queues.values():
            q.clear()
    return orig(b)


fault("reset-missing-resets-all", "RVQ-DEV-01", "RESET_VQUEUE out of range resets every queue",
    override("reset_vqueue", _reset_all))


def _reset_if(condition):
    def change(d, orig, b):
        q = d.queue(get32(b, 0)) if len(b) == 4 else None
        if q and condition(d):
            d.reset_queue(q)
            return b""
        return orig(b)
    return override("reset_vqueue", change)


fault("ring-reset-not-negotiated", "RVQ-DEV-02",
    "RESET_VQUEUE works whether RING_RESET is negotiated or not", _reset_if(lambda d: True))
fault("ring-reset-offered-is-enough", "RVQ-DEV-02",
    "RESET_VQUEUE works once RING_RESET is offered and FEATURES_OK is set",
    _reset_if(lambda d: d.status & 8))
fault("ring-reset-any-feature", "RVQ-DEV-02",
    "RESET_VQUEUE works once any feature of block 1 was negotiated",
    _reset_if(lambda d: d.status & 8 and d.selected.get(1)))
fault("ring-reset-unoffered", "RVQ-DEV-02",
    "RESET_VQUEUE works though RING_RESET is not even offered", _reset_if(lambda d: d.status & 8),
    "no-ring-reset")


def resets(function):
    return override("reset_queue", function)


fault("ring-reset-noop", "RVQ-DEV-03", "RESET_VQUEUE does nothing", resets(lambda d, orig, q: None))
fault("ring-reset-stays-enabled", "RVQ-DEV-03 GVQ-DEV-03",
    "RESET_VQUEUE clears the parameters and leaves the queue enabled",
    resets(lambda d, orig, q: (orig(q), setattr(q, "enabled", True))))
fault("ring-reset-only-before-driver-ok", "RVQ-DEV-03",
    "RESET_VQUEUE does nothing from DRIVER_OK on",
    resets(lambda d, orig, q: None if d.status & 4 else orig(q)))
fault("ring-reset-for-good", "RVQ-DEV-03", "a queue that was reset cannot be configured again",
    all_of(resets(lambda d, orig, q: (orig(q), q.__dict__.update(dead=True))),
    configure(lambda d, orig, q, *a: None if q.__dict__.get("dead") and d.status else orig(q, *a))))
fault("ring-reset-resets-all", "RVQ-DEV-03 GVQ-DEV-03 GVQ-DEV-01",
    "RESET_VQUEUE resets every queue",
    resets(lambda d, orig, q: [orig(one) for one in d.queues.values()]))
fault("ring-reset-next-queue", "RVQ-DEV-03",
    "RESET_VQUEUE resets the queue after the one that is named",
    resets(lambda d, orig, q: orig(d.queue(q.index + 1) or q) if d.queue(q.index + 1) else None))
fault("ring-reset-unavailable", "RVQ-DEV-03 GVQ-DEV-01", "a queue that was reset has max_size 0",
      all_of(resets(lambda d, orig, q: (orig(q), q.__dict__.update(gone=True))),
             vq(4, lambda q, d: 0 if q.__dict__.get("gone") and d.status else q.max_size)))
fault("ring-reset-is-device-reset", "RVQ-DEV-03 STAT-DEV-01",
    "RESET_VQUEUE resets the whole device", resets(lambda d, orig, q: d.finish_reset()))
fault("ring-reset-needs-reset", "RVQ-DEV-03 STAT-DEV-01 CFG-DEV-08",
    "RESET_VQUEUE puts the device into DEVICE_NEEDS_RESET",
    resets(lambda d, orig, q: (orig(q), d.fail())))

# ---------------------------------------------------------------- GET_SHM


def shm(at, value, fmt="<I"):
    return answer(SHM, put(fmt, at, value))


fault("shm-all-ones", "SHM-DEV-01",
    "the length of an unknown region is all ones, as on other transports",
    shm(8, (1 << 64) - 1, "<Q"))
fault("shm-page", "SHM-DEV-01", "an unknown region has a length of 4096", shm(8, 4096, "<Q"))
fault("shm-id-is-length", "SHM-DEV-01", "the length of an unknown region is its shmid plus 1",
    shm(8, lambda p, d, b: get32(b, 0) + 1, "<Q"))
fault("shm-8-bits", "SHM-DEV-01", "shmid is cut to 8 bits, so 256 is region 0",
      override("region", lambda d, orig, i: orig(i & 0xFF)), "shm")
fault("shm-reserved", "SHM-DEV-02", "reserved repeats shmid plus 1",
    shm(4, lambda p, d, b: get32(b, 0) + 1 & U32))
fault("shm-reserved-all-ones", "SHM-DEV-02", "reserved is all ones", shm(4, U32))
fault("shm-id-0-echoed", "WIRE-DEV-06", "shmid is not echoed",
    shm(0, lambda p, d, b: get32(b, 0) ^ 1))
fault("shm-id-16-bits", "WIRE-DEV-06", "the low 16 bits of shmid are echoed",
    shm(0, lambda p, d, b: get32(b, 0) & 0xFF))
fault("shm-moves", "SHM-DEV-01", "the address of a region is another at each query", lambda bus:
    override("region", lambda d, orig, i, c=counter():
    (orig(i)[0], orig(i)[1] + (4096 * c() if orig(i)[0] else 0)))(bus), "shm")
fault("shm-offset", "SHM-DEV-01",
    "the address of a region is an offset into the memory and not a bus address",
    override("region", lambda d, orig, i:
    (orig(i)[0], orig(i)[1] - d.bus.mem_base if orig(i)[0] else 0)), "shm")
fault("features-index-not-echoed", "WIRE-DEV-02", "GET_DEVICE_FEATURES answers block_index 0",
    answer(FEATURES, put("<I", 0, 0)))
fault("features-index-next", "WIRE-DEV-02",
    "GET_DEVICE_FEATURES answers the index after the last block",
    answer(FEATURES, put("<I", 0, lambda p, d, b: get32(b, 0) + get32(b, 4) & U32)))
fault("features-count-total", "WIRE-DEV-02 WIRE-DEV-01",
    "GET_DEVICE_FEATURES answers the number of blocks that there are",
    answer(FEATURES, put("<I", 4, lambda p, d, b: d.o["blocks"] if get32(b, 4) != d.o["blocks"] else
    d.o["blocks"] + 1)))

# ---------------------------------------------------------------- what a device does not start


def _starts(payload, every=5, when=lambda dev: True):
    """After every fifth request the device sends something of its own."""
    def how(bus):
        count = counter()

        def ask(bus, orig, dev, r, b):
            result = orig(dev, r, b)
            if when(dev) and count() % every == 0:
                bus.out.append(payload(dev, r))
            return result
        on_bus("ask", ask)(bus)
    return how


ORIGIN = "WIRE-DEV-08"
fault("sends-requests", ORIGIN, "the device asks the driver for its status",
    _starts(lambda d, r: message(0, STATUS, d.number, 7)))
fault("sends-avail", ORIGIN, "the device sends EVENT_AVAIL",
    _starts(lambda d, r: message(0, AVAIL, d.number, 0, bytes(8))))
fault("sends-unknown-event", ORIGIN + " LIMIT-DEV-02", "the device sends an event of no revision",
      _starts(lambda d, r: message(0, 0x43, d.number, 0, bytes(4))))
fault("sends-own-event", ORIGIN + " LIMIT-DEV-02",
    "the device sends an implementation-defined transport event",
    _starts(lambda d, r: message(0, 0xC5, d.number, 0, bytes(4))))
fault("sends-stray-response", ORIGIN + " ORD-DEV-02 HDR-DEV-06",
    "a response comes that nobody asked for",
    _starts(lambda d, r: message(1, STATUS, d.number, r.token ^ 0x5A5A,
    struct.pack("<I", d.status))))
fault("sends-used-early", "DROK-DEV-01 USED-DEV-01 WIRE-DEV-08",
    "EVENT_USED is sent before DRIVER_OK",
    _starts(lambda d, r: message(0, USED, d.number, 0, bytes(4)), when=lambda d: not d.status & 4))
fault("sends-used-after-reset", "DROK-DEV-01 USED-DEV-01 STAT-DEV-06 WIRE-DEV-08",
    "EVENT_USED is sent at status 0",
    _starts(lambda d, r: message(0, USED, d.number, 0, bytes(4)), every=3, when=lambda d: not
    d.status))
fault("sends-short-event", "WIRE-DEV-01 WIRE-DEV-08 CFG-DEV-07 CFG-DEV-08 HDR-DEV-02",
    "EVENT_CONFIG is sent without any payload",
    _starts(lambda d, r: message(0, CONFIG, d.number, 0), when=lambda d: d.status & 4))
fault("needs-handshake", "LIMIT-DEV-02 ORD-DEV-02 CORE-DEV-01 INFO-DEV-01",
    "nothing is answered before a message of the vendor's own",
    on_bus("ask", lambda bus, orig, dev, r, b: None))
fault("needs-status-first", "INFO-DEV-01 ORD-DEV-02 CORE-DEV-01",
    "nothing is answered before the first status write",
    override("request", lambda d, orig, i, b:
    (d.__dict__.update(met=1) if i == SET_STATUS else None, orig(i, b) if "met" in d.__dict__ else
    None)[1]))

# ---------------------------------------------------------------- bus messages
fault("ping-dev-num", "HDR-ANY-03", "the response to PING has dev_num 1",
    sent(bus_messages(3), put("<H", 2, 1)))
fault("devices-dev-num", "HDR-ANY-03",
    "the response to GET_DEVICES has the number of the first device as dev_num",
    sent(bus_messages(2), put("<H", 2, 5)), "number-5")
fault("event-device-dev-num", "HDR-ANY-03",
    "EVENT_DEVICE carries the device's number in the header too",
    sent(bus_messages(0x40), put("<H", 2, lambda m, r: struct.unpack_from("<H", m, 8)[0])),
    "announces")
fault("ping-reserved-bits", "HDR-ANY-01 HDR-DEV-01 HDR-BUS-02",
    "bus messages have a reserved type bit set",
    sent(bus_messages(), put("B", 0, lambda m, r: m[0] | 8)))
fault("event-device-as-response", "HDR-ANY-02", "EVENT_DEVICE has type bit 0 set",
    sent(bus_messages(0x40), put("B", 0, 3)), "announces")
fault("unknown-bus-message-answered", "ERR-BUS-04",
    "an unknown bus message gets an empty response",
    on_bus("bus_request", lambda bus, orig, r, b: orig(r, b) if r.msg_id in (2, 3, 0x80) or r.msg_id
    & 0x40 else bus.respond(r, b"")))
fault("ping-zero", "PING-BUS-01", "PING is answered with 0",
    on_bus("ping", lambda bus, orig, data: bytes(4)))
fault("ping-swapped", "PING-BUS-01", "PING is answered in big-endian",
    on_bus("ping", lambda bus, orig, data: data[::-1]))
fault("ping-short", "PING-BUS-01 WIRE-BUS-01", "PING is answered without data",
    on_bus("ping", lambda bus, orig, data: b""))
fault("ping-next", "PING-BUS-01", "PING is answered with data plus 1",
      on_bus("ping", lambda bus, orig, data: struct.pack("<I", get32(data, 0) + 1 & U32)))


def listing(edit):
    return on_bus("get_devices", lambda bus, orig, offset, count:
        bytes(edit(bytearray(orig(offset, count)), offset, count, bus)))


def _all_slots(p, offset, count, bus):
    size = (count + 7) // 8
    return struct.pack("<HHH", offset, struct.unpack_from("<H", p, 2)[0],
        count) + bytes(p[6:]).ljust(size, b"\0")[:size]


fault("devices-offset", "WIRE-BUS-01", "GET_DEVICES does not echo offset",
    listing(lambda p, o, c, b: struct.pack("<H", o + 8 & 0xFFFF) + p[2:]))
fault("devices-more", "GDEV-BUS-03", "GET_DEVICES returns a count rounded up to 8",
    listing(lambda p, o, c, b: p[:4] +
    struct.pack("<H", (struct.unpack_from("<H", p, 4)[0] + 7) & ~7) + p[6:]))
fault("devices-msb-first", "GDEV-BUS-01 EDEV-BUS-01 DNUM-BUS-03",
    "the bitmap is packed most significant bit first",
    listing(lambda p, o, c, b: p[:6] + bytes(int("{:08b}".format(x)[::-1], 2) for x in p[6:])))
fault("devices-surplus-bits", "GDEV-BUS-04", "bits above count are set in the last bitmap byte",
    listing(lambda p, o, c, b: p[:-1] + bytes([p[-1] | 0xFF << c % 8 & 0xFF]) if c % 8 and len(p) >
    6 else p))
fault("devices-short-bitmap", "GDEV-BUS-01 WIRE-BUS-01", "the bitmap has count / 8 bytes",
    listing(lambda p, o, c, b: p[:6 + c // 8]))
fault("devices-never-ends", "GDEV-BUS-05", "the last window has a next_offset that is not 0",
    listing(lambda p, o, c, b: p[:2] + struct.pack("<H", o + c if c and o + c < 0x10000 else 0xFFFF)
    + p[4:]))
fault("devices-back", "GDEV-BUS-06",
    "a nonterminal response has the request's own offset as next_offset",
    listing(lambda p, o, c, b: p[:2] + struct.pack("<H", o) + p[4:] if
    struct.unpack_from("<H", p, 2)[0] else p), "several")
fault("devices-count-0", "GDEV-BUS-02", "GET_DEVICES with count 0 is answered with 8 slots",
      listing(lambda p, o, c, b: p if c else struct.pack("<HHHB", o, 0, 8, 1)))
