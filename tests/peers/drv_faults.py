# SPDX-License-Identifier: BSD-3-Clause
"""The faults of drv.py: each one a mistake that an implementer could make, and the clauses one of
which should show it. A fault is either a name that drv.py looks at where the mistake is made, or an
edit of the messages that it sends."""
import struct
from collections import namedtuple

Fault = namedtuple("Fault", "text clauses style control edit also")
FAULTS = {}
(INFO, FEATURES, SELECT, READ, WRITE, STATUS, SET_STATUS, GET_VQ, SET_VQ, RESET_VQ) = range(2, 12)
AVAIL = 0x41


def fault(name, clauses, text, edit=None, style="plain", control=False, also=()):
    assert name not in FAULTS, name
    FAULTS[name] = Fault(text, tuple(clauses.split()), style, control, edit, tuple(also))


def edit(msg_id, change, kind=0):
    """change(payload, bus) -> payload in each message with this id; msg_size follows."""
    def edited(m, bus):
        if m[1] != msg_id or m[0] != kind:
            return m
        body = bytes(change(bytearray(m[8:]), bus))
        return m[:6] + struct.pack("<H", 8 + len(body)) + body
    return edited


def raw(change, only=None):
    """change(bytearray of the whole message, bus)"""
    def edited(m, bus):
        if only is not None and m[1] != only:
            return m
        m = bytearray(m)
        change(m, bus)
        return bytes(m)
    return edited


def put(at, value, size=4):
    def change(body, bus):
        if at + size <= len(body):
            body[at:at + size] = value.to_bytes(size, "little")
        return body
    return change


def swapped(at, size=4):
    def change(body, bus):
        body[at:at + size] = body[at:at + size][::-1]
        return body
    return change


def bits(at, mask):
    def change(body, bus):
        struct.pack_into("<I", body, at, struct.unpack_from("<I", body, at)[0] | mask)
        return body
    return change


def before(msg_id, make):
    """Sends make(message, bus) ahead of each message with this id."""
    def edited(m, bus):
        if m[1] == msg_id and m[0] == 0:
            bus.link.send(make(m, bus))
        return m
    return edited


def head(kind, msg_id, number, token, body=b""):
    return struct.pack("<BBHHH", kind, msg_id, number, token, 8 + len(body)) + body


def put_type(mask):
    def change(m, bus):
        m[0] |= mask
    return change


# --- header and wire
fault("type-bits", "HDR-DRV-01 HDR-ANY-01", "reserved bits of type are set", raw(put_type(0x80)))
fault("type-bits-events", "HDR-DRV-01 HDR-ANY-01", "reserved bits of type are set in events",
    raw(put_type(0x04), AVAIL))
fault("reads-reserved", "HDR-DRV-01 HDR-ANY-01 ERR-DRV-03",
    "messages with reserved bits set are dropped")


def size(value):
    def change(m, bus):
        struct.pack_into("<H", m, 6, value(len(m)))
    return change


fault("size-payload", "HDR-DRV-02 WIRE-DRV-01", "msg_size is that of the payload",
    raw(size(lambda n: n - 8)))
fault("size-zero", "HDR-DRV-02 WIRE-DRV-01", "msg_size is 0 in events", raw(size(lambda n: 0),
    AVAIL))
fault("size-big-endian", "END-DRV-01 HDR-DRV-02", "msg_size is big-endian",
    raw(size(lambda n: n << 8 & 0xFFFF | n >> 8)))
fault("status-big-endian", "END-DRV-01 CORE-STATUS-DRV-01 STAT-DRV-04 INIT-DRV-05",
    "the status is written big-endian", edit(SET_STATUS, swapped(0)))
fault("config-big-endian", "END-DRV-01 GCFG-DRV-01 INFO-DRV-01",
    "the length of GET_CONFIG is big-endian", edit(READ, swapped(4)))
fault("features-big-endian", "END-DRV-01 FEAT-DRV-01 CORE-FEAT-DRV-01 FEAT-DRV-05 CORE-FEAT-DRV-04",
    "features are written big-endian", edit(SELECT, lambda b, bus: b[:8] + b"".join(
        bytes(b[i:i + 4])[::-1] for i in range(8, len(b), 4))))
fault("vqueue-big-endian", "END-DRV-01 GVQ-DRV-02 SVQ-DRV-05", "the queue size is big-endian",
    edit(SET_VQ, swapped(8)))
fault("avail-big-endian", "END-DRV-01 AVAIL-DRV-01 DROK-DRV-03 INIT-DRV-03 NTFY-DRV-03",
    "vq_index is big-endian in EVENT_AVAIL", edit(AVAIL, lambda b, bus: struct.pack(">II",
        *[x + 1 if not i else x for i, x in enumerate(struct.unpack("<II", b))])))
fault("wrong-device", "HDR-DRV-03", "dev_num is one too high in EVENT_AVAIL",
    raw(lambda m, bus: struct.pack_into("<H", m, 2, struct.unpack_from("<H", m, 2)[0] + 1), AVAIL))
fault("dev-num-garbage", "HDR-DRV-03", "the upper byte of dev_num is not initialized",
    raw(lambda m, bus: m.__setitem__(3, 0xA5) if not m[0] & 2 else None))
fault("padded", "HDR-DRV-04 WIRE-DRV-01", "GET_VQUEUE is padded to 16 bytes with what lay there",
    edit(GET_VQ, lambda b, bus: bytes(b) + b"\xCC" * 4))
fault("padded-zero", "WIRE-DRV-01", "GET_DEVICE_STATUS has a status field",
    edit(STATUS, lambda b, bus: bytes(b) + bytes(4)), also=())
fault("padded-status", "WIRE-DRV-01 HDR-DRV-04", "SET_DEVICE_STATUS has 8 bytes, 4 of them garbage",
    edit(SET_STATUS, lambda b, bus: bytes(b) + b"\1\2\3\4"))
fault("short-vqueue", "WIRE-DRV-01", "SET_VQUEUE lacks device_addr",
    edit(SET_VQ, lambda b, bus: b[:32]))
fault("short-status", "WIRE-DRV-01", "SET_DEVICE_STATUS has one byte",
    edit(SET_STATUS, lambda b, bus: b[:1]))
fault("count-too-high", "WIRE-DRV-01", "num_blocks is one more than the blocks in the message",
    edit(SELECT, lambda b, bus: b[:4] + struct.pack("<I", struct.unpack_from("<I", b, 4)[0] + 1) +
    b[8:]))
fault("write-length", "WIRE-DRV-01", "SET_CONFIG's length is one more than its data",
    edit(WRITE, lambda b, bus: b[:8] + struct.pack("<I", len(b) - 11) + b[12:]))
fault("avail-short", "WIRE-DRV-01", "EVENT_AVAIL has no next_offset",
    edit(AVAIL, lambda b, bus: b[:4]))
fault("event-as-response", "HDR-ANY-02 WIRE-DRV-02", "EVENT_AVAIL has the response bit")
fault("bus-dev-num", "HDR-ANY-03", "GET_DEVICES has a dev_num", raw(lambda m, bus:
    struct.pack_into("<H", m, 2, 1) if m[0] & 2 else None), style="no-control")
fault("ping-dev-num", "HDR-ANY-03", "PING has a dev_num", raw(lambda m, bus:
    struct.pack_into("<H", m, 2, 7) if m[0] & 2 and m[1] == 3 else None), style="parameters")
fault("sends-used", "WIRE-DRV-02", "EVENT_USED from the driver", before(AVAIL, lambda m, bus:
    head(0, 0x42, m[2] | m[3] << 8, 0, m[8:12])))
fault("sends-config", "WIRE-DRV-02", "EVENT_CONFIG from the driver",
    before(AVAIL, lambda m, bus: head(0, 0x40, m[2] | m[3] << 8, 0, bytes(16))))
fault("sends-device-event", "WIRE-DRV-02", "EVENT_DEVICE from the driver",
    before(GET_VQ, lambda m, bus: head(2, 0x40, 0, 0, struct.pack("<HH", 0, 1))))
fault("sends-reserved-id", "WIRE-DRV-02 LIMIT-DRV-02", "message 0x01",
    before(GET_VQ, lambda m, bus: head(0, 1, m[2] | m[3] << 8, 9)))
fault("sends-future-id", "WIRE-DRV-02 LIMIT-DRV-02", "message 0x0D, which no revision has",
    before(GET_VQ, lambda m, bus: head(0, 0x0D, m[2] | m[3] << 8, 0x7009, bytes(4))))
fault("sends-response", "WIRE-DRV-02 ERR-DRV-01", "responses from the driver",
    before(GET_VQ, lambda m, bus: head(1, STATUS, m[2] | m[3] << 8, 9, bytes(4))))
fault("answers-unknown", "ERR-DRV-01 WIRE-DRV-02", "unknown requests and events are answered")
fault("answers-malformed", "ERR-DRV-01 WIRE-DRV-02 HDR-ANY-02",
    "an EVENT_USED that is too short is answered")
fault("by-order", "HDR-DRV-05 SVQ-DRV-09 ERR-DRV-03 ERR-DRV-01 CORE-DRV-01 INIT-DRV-02 STAT-DRV-05 INIT-DRV-05",
    "whatever response comes belongs to the open request")
fault("event-needs-token", "HDR-DRV-05 USED-DRV-03 ERR-DRV-03",
    "an event with a token other than 0 is dropped")

# --- limits and revisions
fault("features-in-one-go", "INFO-DRV-02 LIMIT-DRV-01",
    "64 feature blocks are asked for, whatever there are")
fault("selects-80", "LIMIT-DRV-01 HDR-DRV-02", "80 feature blocks are selected in one message",
    edit(SELECT, lambda b, bus: struct.pack("<II", 0, 80) + bytes(b[8:]).ljust(320, b"\0")))
fault("selects-12", "LIMIT-DRV-01 HDR-DRV-02", "12 feature blocks are selected in one message",
    edit(SELECT, lambda b, bus: struct.pack("<II", 0, 12) + bytes(b[8:]).ljust(48, b"\0")))

# --- errors
fault("waits-for-ever", "ERR-DRV-02", "no wait has an end")
fault("polls-for-ever", "ERR-DRV-02", "the wait for a reset has no end")
fault("retries-for-ever", "ERR-DRV-02", "a request is sent until it is answered")

# --- initialization
fault("no-info", "INIT-DRV-01", "GET_DEVICE_INFO is never sent")
fault("features-first", "INIT-DRV-01 INIT-DRV-05", "features are read before anything else")
fault("config-before-reset", "INIT-DRV-05 INIT-DRV-01", "the configuration is read before the reset")
fault("no-reset-first", "INIT-DRV-05", "no reset before ACKNOWLEDGE")
fault("no-ack", "INIT-DRV-05 CORE-STATUS-DRV-01", "ACKNOWLEDGE is never set")
fault("driver-before-ack", "INIT-DRV-05 CORE-STATUS-DRV-01 CORE-STATUS-DRV-02",
    "DRIVER is set before ACKNOWLEDGE, then cleared")
fault("no-driver", "INIT-DRV-05 CORE-STATUS-DRV-01", "DRIVER is never set")
fault("clears-bit", "CORE-STATUS-DRV-02", "DRIVER is written without ACKNOWLEDGE")
fault("status-one-bit", "CORE-STATUS-DRV-02 CORE-STATUS-DRV-01",
    "each status write has the new bit only", edit(SET_STATUS, lambda b, bus:
    struct.pack("<I", {3: 2, 11: 8, 15: 4}.get(struct.unpack("<I", b)[0],
        struct.unpack("<I", b)[0]))))
fault("queues-first", "INIT-DRV-02 INIT-DRV-05", "queues are enabled before the features")
fault("no-features-ok", "FEAT-DRV-03 INIT-DRV-02 INIT-DRV-05", "FEATURES_OK is never set")
fault("no-features-ok-check", "FEAT-DRV-03 INIT-DRV-02 DROK-DRV-01",
    "whether FEATURES_OK was kept is not looked at")
fault("features-after-ok", "INIT-DRV-05 FEAT-DRV-03 CORE-FEAT-DRV-01 INIT-DRV-02",
    "features are selected again after FEATURES_OK")
fault("no-confirm", "INIT-DRV-03 SVQ-DRV-09", "no GET_VQUEUE after SET_VQUEUE")
fault("ok-before-queues", "DROK-DRV-01 INIT-DRV-05 SVQ-DRV-07", "DRIVER_OK before the queues")
fault("never-ok", "INIT-DRV-04 DROK-DRV-02", "I/O without DRIVER_OK")
fault("no-driver-ok-check", "DROK-DRV-02 STAT-DRV-02 CORE-STATUS-DRV-04 INIT-DRV-04",
    "I/O begins whatever the status says", also=("ignores-needs-reset",))
fault("io-before-ok", "DROK-DRV-02 INIT-DRV-04", "a buffer is available before DRIVER_OK")
fault("avail-before-ok", "DROK-DRV-02 INIT-DRV-04 CORE-INIT-DRV-07 CORE-INIT-DRV-08",
    "EVENT_AVAIL before DRIVER_OK")
fault("avail-unknown-queue", "DROK-DRV-03 AVAIL-DRV-01", "EVENT_AVAIL for a queue not set up")

# --- features
fault("no-get-features", "FEAT-DRV-01", "features are selected unread")
fault("not-offered", "FEAT-DRV-01 FEAT-DRV-05 CORE-FEAT-DRV-01", "bits that were not offered")
fault("bit-39", "FEAT-DRV-02", "VIRTIO_F_NOTIF_CONFIG_DATA is selected")
fault("bit-39-if-offered", "FEAT-DRV-02", "VIRTIO_F_NOTIF_CONFIG_DATA is selected where offered")
fault("accepts-all", "FEAT-DRV-02 FEAT-DRV-05 CORE-FEAT-DRV-04 FEAT-DRV-01",
    "everything that is offered is accepted")
fault("accepts-reserved", "CORE-FEAT-DRV-04", "reserved bits are accepted where offered")
fault("no-version-1", "CORE-FEAT-DRV-08", "VERSION_1 is offered and not accepted")
fault("no-ro", "BLK-DRV-13", "VIRTIO_BLK_F_RO is offered and not accepted")
fault("fails-on-unknown", "CORE-FEAT-DRV-07", "any feature that it does not know makes it fail")
fault("blocks-swapped", "FEAT-DRV-04 FEAT-DRV-01 CORE-FEAT-DRV-01 FEAT-DRV-05",
    "block 1 is written to block 0", edit(SELECT, lambda b, bus: b[:8] + b[12:16] + b[8:12] if
    len(b) == 16 else b))

# --- status and reset
fault("no-reset-poll", "STAT-DRV-03 STAT-DRV-05", "a reset counts as done when it was written")
fault("reset-by-failed", "STAT-DRV-04 INIT-DRV-05 CORE-STATUS-DRV-03 CORE-STATUS-DRV-02",
    "FAILED is written where 0 is due")
fault("ignores-needs-reset", "STAT-DRV-02 CORE-STATUS-DRV-04", "DEVICE_NEEDS_RESET means nothing")

# --- configuration
fault("reads-beyond", "GCFG-DRV-01 INFO-DRV-01", "GET_CONFIG ends 4 bytes beyond config_size")
fault("reads-whole", "CORE-CONFIG-DRV-03", "the whole structure is read, offered or not")
fault("writes-beyond", "SCFG-DRV-01 INFO-DRV-01", "config_size does not bound writes",
    edit(WRITE, lambda b, bus: b[:4] + struct.pack("<I", 4096) + b[8:]),
    style="no-control")
fault("always-strict", "CFG-DRV-04 CFG-DRV-02", "a generation in every profile",
    style="no-control")
fault("always-baseline", "CFG-DRV-06 CFG-DRV-02", "generation 0 in every profile",
    style="no-control")
fault("profile-by-feature", "CFG-DRV-02 CFG-DRV-04 CFG-DRV-06",
    "the profile is taken from feature bit 0",
    style="no-control")
fault("first-generation", "CFG-DRV-06 CFG-DRV-08", "the first generation that was ever read",
    style="no-control")
fault("next-generation", "CFG-DRV-06", "one more than the newest generation",
    style="no-control")
fault("generation-grows", "CFG-DRV-08 CFG-DRV-06", "only a higher generation counts as newer",
    style="no-control")
fault("keeps-generation", "CFG-DRV-08 CFG-DRV-06",
    "a generation from before the reset is used after it", style="restarts")
fault("ignores-event-generation", "CFG-DRV-06", "EVENT_CONFIG's generation is not kept",
    control=True)
fault("ignores-config-event", "USED-DRV-01 CFG-DRV-05 USED-DRV-02 CFG-DRV-06 BLK-DRV-11",
    "EVENT_CONFIG is not looked at")
fault("ignores-empty-event", "USED-DRV-02 CFG-DRV-05 USED-DRV-01 BLK-DRV-11",
    "an EVENT_CONFIG without data is not looked at")
fault("no-generation-check", "CFG-DRV-03 CORE-CONFIG-DRV-02 CORE-CONFIG-DRV-01",
    "fields are read one by one and taken as they come", style="no-control-halves")
fault("blind-retry", "CFG-DRV-07", "a refused SET_CONFIG is sent again as it was",
    style="no-control")
fault("refusal-is-success", "SCFG-DRV-03", "a refused SET_CONFIG counts as applied", control=True)
fault("partial-is-success", "SCFG-DRV-03", "a part counts as applied", control=True)

# --- virtqueues
fault("no-get-vqueue", "GVQ-DRV-01 SVQ-DRV-03", "a queue is set up unseen")
fault("max-size-0", "GVQ-DRV-01 GVQ-DRV-02 SVQ-DRV-05", "max_size 0 is no obstacle")
fault("too-large", "GVQ-DRV-02 SVQ-DRV-05", "twice max_size")
fault("queue-beyond", "INFO-DRV-02 INFO-DRV-04 GVQ-DRV-01", "a queue beyond max_virtqueues")
fault("reserved-nonzero", "SVQ-DRV-01", "SET_VQUEUE's reserved is 1", edit(SET_VQ, put(12, 1)))
fault("flag-bits", "SVQ-DRV-01", "bit 6 of SET_VQUEUE's flags", edit(SET_VQ, bits(4, 1 << 6)))
fault("state-3", "SVQ-DRV-02", "state operation 3", edit(SET_VQ, bits(4, 3)))
fault("disables-by-set", "SVQ-DRV-04", "a queue is disabled with state operation 0", control=True)
fault("misaligned", "SVQ-DRV-06", "the descriptor table is 8 bytes off")
fault("misaligned-device", "SVQ-DRV-06", "the device area is 2 bytes off",
    edit(SET_VQ, lambda b, bus: b[:32] + struct.pack("<Q", struct.unpack_from("<Q", b, 32)[0] | 2)))
fault("set-twice", "SVQ-DRV-07", "an enabled queue is set up once more")
fault("reconfigures-enabled", "SVQ-DRV-08 SVQ-DRV-07", "no RESET_VQUEUE before new addresses",
    control=True)
fault("no-wait-for-reset", "RVQ-DRV-03", "SET_VQUEUE while RESET_VQUEUE is open", control=True)
fault("no-reset-check", "CORE-VQRESET-DRV-01", "no look whether the queue was reset",
    control=True)
fault("resets-anyway", "RVQ-DRV-01", "RESET_VQUEUE without VIRTIO_F_RING_RESET", style="bare",
    control=True)

# --- notifications and rings
fault("never-notifies", "NTFY-DRV-03 CORE-SPLIT-DRV-22 CORE-SPLIT-DRV-24", "no EVENT_AVAIL")
fault("notifies-second", "NTFY-DRV-03 CORE-SPLIT-DRV-22 CORE-SPLIT-DRV-24",
    "EVENT_AVAIL for every other batch", style="tiny-ring", also=())
fault("notifies-always", "CORE-SPLIT-DRV-21 CORE-SPLIT-DRV-25",
    "EVENT_AVAIL although the device does not want it", style="split")
fault("wrong-queue", "AVAIL-DRV-01 DROK-DRV-03 NTFY-DRV-03", "vq_index is one too high")
fault("data-always", "AVAIL-DRV-02", "next_offset without VIRTIO_F_NOTIFICATION_DATA")
fault("data-wrong", "AVAIL-DRV-02 CORE-PACKED-DRV-04", "next_offset is one too high",
    style="packed-data")
fault("data-wrong-split", "AVAIL-DRV-02", "next_offset is one too high",
    edit(AVAIL, lambda b, bus: b[:4] + struct.pack("<I", struct.unpack_from("<I", b, 4)[0] + 1)),
    style="notification-data")
fault("ignores-used", "USED-DRV-03", "EVENT_USED is not looked at")
fault("avail-flags", "CORE-SPLIT-DRV-12", "the available ring's flags are 2", style="bare")
fault("used-flags-dirty", "CORE-SPLIT-DRV-19", "the used ring's flags are 1 from the start",
    style="bare")
fault("idx-back", "CORE-SPLIT-DRV-11", "the available idx goes back", style="bare")
fault("nested-indirect", "CORE-SPLIT-DRV-07", "INDIRECT within an indirect table", style="split")
fault("indirect-next", "CORE-SPLIT-DRV-09", "INDIRECT and NEXT together", style="split")
fault("indirect-next-packed", "CORE-PACKED-DRV-15", "INDIRECT and NEXT together",
    also=("indirect-next",))
fault("nested-packed", "CORE-PACKED-DRV-13", "NEXT within an indirect table",
    also=("nested-indirect",), style="all-indirect")
fault("indirect-anyway", "CORE-SPLIT-DRV-06 CORE-PACKED-DRV-12",
    "an indirect table without the feature", style="bare-indirect")
fault("packed-first-first", "CORE-PACKED-DRV-11", "the first descriptor of a list is written first")

# --- device types
fault("beyond-capacity", "BLK-DRV-12", "sectors beyond capacity")
fault("flush-sector", "BLK-DRV-14", "a flush with a sector")
fault("flush-data", "BLK-DRV-15", "a flush with data")
fault("odd-size", "BLK-DRV-16", "data that is no multiple of 512 bytes")
fault("id-16", "BLK-DRV-18", "16 bytes for the device's id")
