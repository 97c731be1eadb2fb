#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""A whole virtio-msg r1 device in plain Python, written from the specification's text alone.

It stands for the implementations that vendors bring. It shares no data and no code with the
harness: ids and layouts are written by hand here, so that a misreading on either side shows.

    device.py [--style NAME] [--fault NAME] [--bad NAME] [--bus PARAMETERS] [ADDRESS]
    device.py --list-styles | --list-faults | --list-bad | --list-io

Without ADDRESS the device is the child of a harness (bindings, section 1). With ADDRESS, one of
unix:PATH, unix-stream:PATH and tcp:HOST:PORT, it listens there and serves one connection after
another, each as a fresh device.
"""
import os
import select
import socket
import struct
import sys
import time

GET_DEVICE_INFO, GET_DEVICE_FEATURES, SET_DRIVER_FEATURES, GET_CONFIG, SET_CONFIG = 2, 3, 4, 5, 6
GET_DEVICE_STATUS, SET_DEVICE_STATUS, GET_VQUEUE, SET_VQUEUE = 7, 8, 9, 10
RESET_VQUEUE, GET_SHM = 11, 12
EVENT_CONFIG, EVENT_AVAIL, EVENT_USED = 0x40, 0x41, 0x42
BUS_GET_DEVICES, BUS_PING, BUS_EVENT_DEVICE = 2, 3, 0x40
BUS_GET_PARAMETERS, BUS_EVENT_FAILURE, BUS_EVENT_PARAMETERS = 0x80, 0xC0, 0xC1

ACKNOWLEDGE, DRIVER, DRIVER_OK, FEATURES_OK, NEEDS_RESET = 1, 2, 4, 8, 0x40
INDIRECT_DESC, EVENT_IDX, VERSION_1, RING_PACKED, IN_ORDER, RING_RESET = 28, 29, 32, 34, 35, 40
FLUSH, CONFIG_WCE, ZONED = 9, 11, 17  # of a block device
U32 = 0xFFFFFFFF


def blk_config(sectors=2048, queues=1):
    config = bytearray(60)
    struct.pack_into("<QII", config, 0, sectors, 65536, 126)
    struct.pack_into("<I", config, 20, 512)
    config[32] = 1
    struct.pack_into("<H", config, 34, queues)
    return bytes(config)


def net_config():
    return bytes.fromhex("525400123456") + struct.pack("<HHH", 1, 1, 1500)


BLK = dict(type=2, config=blk_config(), writable=[(32, 33)],
    features=(2, 6, 9, 11, INDIRECT_DESC, VERSION_1, RING_RESET), queues=[256])
ENTROPY = dict(type=4, config=b"", writable=[], features=(VERSION_1, RING_RESET), queues=[64])
NET = dict(type=1, config=net_config(), writable=[], features=(3, 5, 16, VERSION_1, RING_RESET),
    queues=[256, 256])
CONSOLE = dict(type=3, config=struct.pack("<HHII", 80, 25, 1, 0), writable=[(8, 12)],
    emergency=True, features=(0, 2, VERSION_1, RING_RESET), queues=[128, 128])
INPUT = dict(type=18, config=bytes(136), writable=[(0, 2)], selects=True, features=(VERSION_1,),
    queues=[64, 64])
# A type of the vendor's own, all of whose configuration the driver may write.
OWN = dict(type=0x8001, config=bytes(range(1, 65)), writable=[(0, 64)],
    features=(0, 1, 5, 24, VERSION_1, RING_RESET), queues=[16, 8, 4])

BASE = dict(
    vendor=0x564E4452, uuid=bytes(16), blocks=2, max_virtqueues=None, admin=(0, 0), numbers=(0,),
    shm={},
    # requests
    surplus="discard", range="discard", unknown_device="discard", packet_surplus="discard",
    bus_messages=("devices", "ping", "parameters"), bus_dev_num="discard",
    window="plain", count0_next=False, adopts_parameters=False,
    # status and reset
    reset_delay=0, while_reset="answer", status_sticky=False, status_mask=0xFF,
    needs_version_1=False, needs_packed=False, features_ok_needs_driver=False,
    reset_restores_config=False, needs_reset="event",
    # configuration
    generation=0, generation_at_reset="keep", write_bumps="changed", event_data="always",
    event_at_status_0=False, same_change_is_silent=False, own_changes=0, timed_changes=0, event_late=0,
    writes_need_driver=False,
    emergency=False, selects=False,
    # virtqueues
    vqueue_needs_features_ok=False, any_size=False, zero_size=False, check_memory=False,
    check_alignment=False, ring_reset_keeps=False,
    # virtqueue I/O: when it is looked for, done and told; what a reset makes of it
    io_when="event", io_start="serve", io_delay=0, io_order="fifo", io_publish="batch", io_burst=0,
    hush="never", moderation=0, decides_late=0, tells_late=0, spurious="", skips=False, prefetch=False, trusts_data=False,
    avail_event_always=False, packed_clears=False, reset_io="drop", vq_reset_io="drop", broken="stop",
    odd_packed_size=True,
    # what device types do
    fill="zeros", length="all", serial=b"plain python", used_disk=False, discards=True,
    entropy_most=0, loops=True, greets=False, zones=None,
    # carrier and the rest
    batch=False, pings=False, announces=False, control=True, process_io=True,
)
V4_UUID = bytes.fromhex("0f1e2d3c4b5a4978a7b6c5d4e3f20110")

# name: (text, options, clauses that may show as a warning)
STYLES = {
    "blk": ("a plain block device; the base of all others", dict(BLK), ()),
    "entropy": ("no configuration space at all", dict(ENTROPY), ()),
    "net": ("two queues, a configuration of 12 bytes", dict(NET), ()),
    "console": ("emerg_wr: a field that is written and reads back as zero", dict(CONSOLE), ()),
    "input": ("writing select changes other configuration bytes", dict(INPUT), ()),
    "own-type": ("a vendor's own device type, all configuration writable", dict(OWN), ()),
    "fs": ("a tag and a queue count, nothing writable",
        dict(BLK, type=26, config=b"root".ljust(36, b"\0") + struct.pack("<I", 1), writable=[],
        queues=[128, 128]), ()),
    "no-queues": ("max_virtqueues 0", dict(OWN, queues=[]), ()),
    "many-queues": ("64 queues, every third not available",
        dict(BLK, config=blk_config(queues=64), features=BLK["features"] + (12,),
        queues=[0 if i % 3 == 2 else 128 >> i % 4 for i in range(64)]), ()),
    "first-queue-unavailable": ("queue 0 is not there, queue 1 is",
        dict(OWN, queues=[0, 32, 0]), ()),
    "all-queues": ("max_virtqueues 65536, of which 0 and 65535 exist",
        dict(OWN, queues=[8] + [0] * 65534 + [8]), ()),
    "more-claimed": ("max_virtqueues is 10, three queues exist", dict(OWN, max_virtqueues=10), ()),
    "tiny-queue": ("max_size 1", dict(BLK, queues=[1]), ()),
    "huge-queue": ("max_size 32768", dict(BLK, queues=[32768]), ()),
    "admin-queues": ("administration virtqueues at the end",
        dict(OWN, queues=[16, 16, 8, 8], admin=(2, 2)), ()),
    "async-reset": ("every reset ends 1 ms later; requests meanwhile are answered without effect",
        dict(BLK, reset_delay=1), ()),
    "async-reset-serves": ("every reset ends 1 ms later; requests meanwhile still have effect",
        dict(BLK, reset_delay=1, while_reset="serve"), ()),
    "async-reset-discards":
        ("every reset ends 2 ms later; other requests than for status are discarded meanwhile",
        dict(BLK, reset_delay=2, while_reset="discard"), ()),
    "async-reset-slow": ("every reset ends 4 ms later", dict(BLK, reset_delay=4), ()),
    "surplus-ignored": ("payloads longer than their layout are served", dict(BLK, surplus="ignore"),
        ()),
    "needs-version-1": ("FEATURES_OK is refused without VERSION_1", dict(BLK, needs_version_1=True),
        ()),
    "needs-driver": ("FEATURES_OK is refused without DRIVER",
        dict(BLK, features_ok_needs_driver=True),
        ()),
    "vqueue-late": ("SET_VQUEUE is refused before FEATURES_OK",
        dict(OWN, vqueue_needs_features_ok=True), ()),
    "vqueue-any-size": ("sizes that are no power of two are accepted",
        dict(OWN, any_size=True), ()),
    "vqueue-zero-size": ("size 0 is accepted while disabled: unconfigured",
        dict(OWN, zero_size=True),
        ()),
    "vqueue-memory": ("addresses outside the shared memory are refused",
        dict(OWN, check_memory=True),
        ()),
    "vqueue-alignment": ("misaligned addresses are refused", dict(OWN, check_alignment=True), ()),
    "no-ring-reset": ("RING_RESET is not offered",
        dict(BLK, features=(2, 6, 9, 11, VERSION_1)), ()),
    "packed-only": ("FEATURES_OK is refused without RING_PACKED",
        dict(BLK, features=BLK["features"] + (RING_PACKED,), needs_packed=True,
        needs_version_1=True,
        any_size=True), ("CORE-FEAT-DEV-02",)),
    "packed-too": ("RING_PACKED is offered", dict(BLK, features=BLK["features"] + (RING_PACKED,)),
        ()),
    "event-idx": ("EVENT_IDX is offered", dict(BLK, features=BLK["features"] + (EVENT_IDX,)), ()),
    "ring-reset-keeps": ("RESET_VQUEUE keeps size and addresses", dict(OWN, ring_reset_keeps=True),
        ()),
    "generation-random": ("the generation starts anywhere", dict(OWN, generation="random"), ()),
    "generation-wraps": ("the generation starts just below 2^32",
        dict(OWN, generation=U32 - 1), ()),
    "generation-high-half": ("the low 16 bits of the generation start at their end",
        dict(OWN, generation=0xFFFE), ()),
    "generation-every-write": ("a write of the bytes that are there counts as a change",
        dict(OWN, write_bumps="every"), ()),
    "generation-strides": ("the generation moves by a large odd step",
        dict(OWN, generation_step=0x9E3779B1), ()),
    "generation-falls": ("the generation counts down", dict(OWN, generation=7, generation_step=U32),
        ()),
    "generation-reset": (
        "a device reset starts the generation again and restores the configuration",
        dict(OWN, generation=5, generation_at_reset="restart", reset_restores_config=True), ()),
    "generation-reset-bumps": (
        "a device reset restores the configuration and moves the generation on",
        dict(OWN, generation_at_reset="bump", reset_restores_config=True), ()),
    "event-without-data": ("EVENT_CONFIG names the range and carries no data",
        dict(OWN, event_data="never"), ()),
    "event-generic": ("EVENT_CONFIG is always 0, 0 without data", dict(OWN, event_data="generic"),
        ("CFG-DEV-14",)),
    "event-at-status-0": ("own changes are reported at status 0 too",
        dict(BLK, event_at_status_0=True), ()),
    "same-change-is-silent": ("an own change to the same bytes is none",
        dict(BLK, same_change_is_silent=True), ()),
    "own-changes": ("the device changes its configuration by itself now and then",
        dict(BLK, own_changes=23), ()),
    "own-changes-often": ("the same, after every third request", dict(OWN, own_changes=3), ()),
    "needs-reset-quiet-early": ("DEVICE_NEEDS_RESET is announced only from DRIVER_OK on",
        dict(BLK, needs_reset="driver-ok"), ()),
    "no-bus-messages": ("GET_DEVICES, PING and GET_PARAMETERS are not implemented",
        dict(BLK, bus_messages=()), ()),
    "ping-only": ("PING is the only bus message", dict(BLK, bus_messages=("ping",)), ()),
    "devices-only": ("GET_DEVICES is the only bus message",
        dict(BLK, bus_messages=("devices",)), ()),
    "bus-dev-num-ignored": ("a bus message with a nonzero dev_num is served",
        dict(BLK, bus_dev_num="ignore"), ()),
    "several": ("devices 0, 3 and 700", dict(OWN, numbers=(0, 3, 700)), ()),
    "several-unlike": ("device 1 is entropy, 2 a console, 65535 a block device",
        dict(BLK, numbers=(1, 2, 65535), each={1: ENTROPY, 2: CONSOLE, 65535: BLK}), ()),
    "number-5": ("the only device has number 5", dict(BLK, numbers=(5,)), ()),
    "unknown-failure": ("a request for an unknown device gets EVENT_FAILURE",
        dict(BLK, unknown_device="fail"), ()),
    "window-trimmed": ("GET_DEVICES ends its window at the last present device",
        dict(BLK, numbers=(0, 3, 700), window="trimmed"), ()),
    "window-jumps": ("next_offset is the next present device",
        dict(BLK, numbers=(0, 3, 700), window="jumps"), ()),
    "count-0-goes-on": ("GET_DEVICES with count 0 gives a later next_offset",
        dict(BLK, numbers=(0, 3, 700), count0_next=True), ()),
    "read-only": ("SET_CONFIG is always rejected", dict(BLK, writable=[]), ()),
    "range-answered": ("SET_CONFIG out of range is answered with length 0",
        dict(OWN, range="answer"),
        ()),
    "writes-need-driver": ("SET_CONFIG is rejected before DRIVER",
        dict(OWN, writes_need_driver=True),
        ()),
    "batched": ("answers are collected until nothing more is readable", dict(BLK, batch=True), ()),
    "status-sticky": ("a status write never clears bits, except all", dict(BLK, status_sticky=True),
        ()),
    "status-any-bits": ("unknown status bits are kept", dict(BLK, status_mask=U32), ()),
    "status-known-bits": ("unknown status bits are dropped", dict(BLK, status_mask=0xCF), ()),
    "uuid": ("a version 4 UUID", dict(BLK, uuid=V4_UUID), ()),
    "feature-blocks-4": ("feature bits from 64 on",
        dict(OWN, blocks=4, features=OWN["features"] + (64, 77, 127)), ()),
    "feature-blocks-spare": ("num_feature_blocks 8, of which two hold anything",
        dict(BLK, blocks=8),
        ()),
    "big-config": ("a configuration of 1024 bytes",
        dict(OWN, config=bytes(i * 7 & 255 for i in range(1024)), writable=[(0, 1024)]), ()),
    "odd-config": ("a configuration of 13 bytes",
        dict(OWN, config=bytes(range(13)), writable=[(3, 10)]), ()),
    "one-byte-config": ("a configuration of 1 byte", dict(OWN, config=b"\x55", writable=[(0, 1)]),
        ()),
    "shm": ("a file system device whose region 0 lies in the second half of the memory",
        dict(BLK, type=26, config=b"root".ljust(36, b"\0") + struct.pack("<I", 1), writable=[],
        queues=[128, 128], shm={0: 4096}), ()),
    "pings": ("the device side sends PING by itself", dict(BLK, pings=True), ()),
    "announces": ("EVENT_DEVICE tells the devices at the start",
        dict(BLK, numbers=(0, 4), announces=True), ()),
    "adopts-parameters": ("EVENT_PARAMETERS is obeyed", dict(BLK, adopts_parameters=True), ()),
    "no-control": ("every control request is unsupported", dict(BLK, control=False), ()),
}
# What the specification may be read as forbidding; kept apart, with the reason.
DEBATABLE = {
    "write-keeps-generation":
        ("a driver's own write does not change the generation (two reads around it differ)",
        dict(OWN, write_bumps="never"), ()),
    "needs-reset-status-only":
        ("DEVICE_NEEDS_RESET shows in the status only (core: a notification is due at DRIVER_OK)",
        dict(BLK, needs_reset="status"), ()),
    "packet-surplus-ignored": ("bytes of a packet beyond msg_size are taken for padding of the bus",
        dict(BLK, packet_surplus="ignore"), ()),
    "no-io": ("the device never processes a virtqueue", dict(BLK, process_io=False),
        ("DROK-DEV-02",)),
}


def io_styles():
    """Styles and debatable ones that differ in their data path."""
    import io_styles as more
    return more.make(BLK, ENTROPY, NET, CONSOLE)


def all_styles():
    """Every style by name: (text, options, warnings, debatable)."""
    io, debatable = io_styles()
    return {name: (*entry, table in (DEBATABLE, debatable)) for table in (STYLES, io, DEBATABLE,
        debatable) for name, entry in table.items()}


class Queue:
    """A virtqueue as the transport sees it; `ring` is where I/O stands."""

    def __init__(self, index, max_size):
        self.index, self.max_size = index, max_size
        self.clear()

    def clear(self):
        self.size = self.desc = self.driver = self.device = 0
        self.stop()

    def stop(self):
        self.enabled, self.ring = False, None


class Device:
    """One device number: what it is and the state that a reset clears. The method of a request
    returns None to discard it."""

    def __init__(self, bus, number, o):
        self.bus, self.number, self.o = bus, number, o
        self.config = bytearray(o["config"])
        start = o["generation"]
        self.generation_start = struct.unpack("<I",
            os.urandom(4))[0] if start == "random" else start
        self.generation = self.generation_start
        self.offered = {}
        for bit in o["features"]:
            self.offered[bit // 32] = self.offered.get(bit // 32, 0) | 1 << bit % 32
        self.queues = {i: Queue(i, size) for i, size in enumerate(o["queues"]) if size}
        self.max_virtqueues = o["max_virtqueues"] or len(o["queues"])
        self.reset_delay = o["reset_delay"] / 1000
        self.resetting = False
        self.requests = self.lives = 0
        self.output = bytearray()
        self.disk = {}
        self.path = None
        self.clear()

    def clear(self):
        self.status, self.selected = 0, {}
        for queue in self.queues.values():
            queue.clear()

    def negotiated(self, bit):
        return bool(self.status & FEATURES_OK and self.selected.get(bit // 32, 0) >> bit % 32 & 1)

    def fits(self, body, size):
        return len(body) == size or len(body) > size and self.o["surplus"] == "ignore"

    def request(self, msg_id, body):
        name = REQUESTS.get(msg_id)
        if name is None:
            return None
        asks_status = msg_id in (GET_DEVICE_STATUS, SET_DEVICE_STATUS)
        if self.resetting and self.o["while_reset"] == "discard" and not asks_status:
            return None
        self.idle = self.resetting and self.o["while_reset"] == "answer"
        self.requests += 1
        return getattr(self, name)(body)

    # --- information and features
    def get_device_info(self, body):
        if not self.fits(body, 0):
            return None
        start, count = self.o["admin"]
        return struct.pack("<II16sIIIII", self.o["type"], self.o["vendor"], self.o["uuid"],
            self.o["blocks"], len(self.config), self.max_virtqueues, start, count)

    def get_device_features(self, body):
        if not self.fits(body, 8):
            return None
        index, count = struct.unpack_from("<II", body)
        if 16 + 4 * count > self.bus.max_msg_size:
            return None
        return struct.pack("<II", index, count) + b"".join(
            struct.pack("<I", self.feature_block(index + i)) for i in range(count))

    def feature_block(self, index):
        return self.offered.get(index, 0)

    def set_driver_features(self, body):
        if len(body) < 8:
            return None
        index, count = struct.unpack_from("<II", body)
        if not self.fits(body, 8 + 4 * count):
            return None
        if not self.status & FEATURES_OK and not self.idle:
            self.select_features(index, struct.unpack_from("<%dI" % count, body, 8))
        return b""

    def select_features(self, index, blocks):
        for i, bits in enumerate(blocks):
            self.selected[index + i] = bits

    def features_acceptable(self):
        def chosen(bit):
            return self.selected.get(bit // 32, 0) >> bit % 32 & 1
        if any(bits & ~self.offered.get(index, 0) for index, bits in self.selected.items()):
            return False
        if self.o["needs_version_1"] and not chosen(VERSION_1):
            return False
        if self.o["zones"] is not None and self.o["zones"].get("model", 1) == 1 and not chosen(ZONED):
            return False  # host-managed zones are for drivers that know them
        return not self.o["needs_packed"] or bool(chosen(RING_PACKED))

    # --- configuration
    def get_config(self, body):
        if not self.fits(body, 8):
            return None
        offset, length = struct.unpack_from("<II", body)
        if offset + length > len(self.config) or 20 + length > self.bus.max_msg_size:
            return None
        return struct.pack("<III", self.generation, offset, length) + self.read_config(offset,
            length)

    def read_config(self, offset, length):
        return bytes(self.config[offset:offset + length])

    def set_config(self, body):
        if len(body) < 12:
            return None
        generation, offset, length = struct.unpack_from("<III", body)
        if not self.fits(body, 12 + length):
            return None
        data = body[12:12 + length]
        if offset + length > len(self.config) and self.o["range"] == "discard":
            return None
        applied = length > 0 and not self.idle and self.accepts_write(generation, offset, data)
        if applied:
            self.write_config(offset, data)
        return self.set_config_answer(offset, data if applied else b"")

    def set_config_answer(self, offset, data):
        return struct.pack("<III", self.generation, offset, len(data)) + data

    def accepts_write(self, generation, offset, data):
        end = offset + len(data)
        if self.generation_refused(generation) or end > len(self.config):
            return False
        if self.o["writes_need_driver"] and not self.status & DRIVER:
            return False
        return any(first <= offset and end <= last for first, last in self.o["writable"])

    def generation_refused(self, generation):
        return self.bus.strict and generation != self.generation

    def write_config(self, offset, data):
        before = bytes(self.config)
        self.store_config(offset, data)
        when = self.o["write_bumps"]
        if when == "every" or when == "changed" and before != self.config:
            self.bump()

    def store_config(self, offset, data):
        if self.o["emergency"]:
            self.output += data
            return
        self.config[offset:offset + len(data)] = data
        if self.o["selects"]:
            text = {1: b"plumb line keyboard", 2: b"0001"}.get(self.config[0],
                b"") if self.config[1] == 0 else b""
            self.config[2] = len(text)
            self.config[8:136] = text.ljust(128, b"\0")

    def bump(self):
        self.generation = (self.generation + self.o.get("generation_step", 1)) & U32

    def own_change(self, offset, data):
        """The device itself changes its configuration."""
        if self.o["same_change_is_silent"] and self.config[offset:offset + len(data)] == data:
            return
        self.config[offset:offset + len(data)] = data
        self.bump()
        if self.status or self.o["event_at_status_0"]:
            self.report_change(offset, data)

    def report_change(self, offset, data):
        if self.o["event_late"]:
            life, late = self.lives, self.o["event_late"] / 1000
            self.bus.after(late, lambda: self.report_late(life, offset, len(data)))
        else:
            self.report_now(offset, data)

    def report_late(self, life, offset, length):
        """What stands there by now, unless a reset came in between."""
        if self.lives == life and self.status and not self.resetting:
            self.report_now(offset, self.config[offset:offset + length])

    def report_now(self, offset, data):
        if self.o["event_data"] == "generic":
            self.event_config(0, 0)
        elif self.o["event_data"] == "never" or 24 + len(data) > self.bus.max_msg_size:
            self.event_config(offset, len(data))
        else:
            self.event_config(offset, len(data), bytes(data))

    def event_config(self, offset, length, data=b""):
        self.bus.event(self, EVENT_CONFIG,
            struct.pack("<IIII", self.status, self.generation, offset, length) + data)

    # --- status
    def get_device_status(self, body):
        return self.status_answer() if self.fits(body, 0) else None

    def status_answer(self):
        return struct.pack("<I", self.status)

    def set_device_status(self, body):
        if not self.fits(body, 4):
            return None
        value, = struct.unpack_from("<I", body)
        if value == 0:
            self.start_reset()
        elif not self.resetting or self.o["while_reset"] == "serve":
            self.write_status(value)
        return self.status_answer()

    def start_reset(self):
        if self.resetting:
            return
        later = bool(self.reset_delay and self.status)
        if self.path:
            self.path.reset_begins(later)
        if later:
            self.resetting = True
            self.bus.after(self.reset_delay, self.finish_reset)
        else:
            self.finish_reset()

    def finish_reset(self):
        self.resetting = False
        self.lives += 1
        self.clear()
        if self.path:
            self.path.forget()
        if self.o["reset_restores_config"] and self.config != self.o["config"]:
            self.config[:] = self.o["config"]
            if self.o["generation_at_reset"] == "bump":
                self.bump()
        if self.o["generation_at_reset"] == "restart":
            self.generation = self.generation_start

    def write_status(self, value):
        new = value & self.o["status_mask"] & ~NEEDS_RESET | self.status & NEEDS_RESET
        if self.o["status_sticky"]:
            new |= self.status
        if new & FEATURES_OK and not self.status & FEATURES_OK:
            new = new if self.accepts_features_ok(new) else new & ~FEATURES_OK
        began = new & DRIVER_OK and not self.status & DRIVER_OK
        decided = new & FEATURES_OK and not self.status & FEATURES_OK
        self.status = new
        if decided and self.o["type"] == 2:
            self.settle_cache_mode()
            self.settle_zones()
        if began and self.has_io():
            self.io().start()

    def settle_cache_mode(self):
        """A block driver that can toggle the cache but not flush it gets a writethrough one."""
        if self.negotiated(CONFIG_WCE) and not self.negotiated(FLUSH) and self.config[32]:
            self.config[32] = 0
            self.bump()

    def settle_zones(self):
        """A driver that knows no zones is shown none; the next one may know them."""
        if self.o["zones"] is not None:
            shown = self.o["config"][72:] if self.negotiated(ZONED) else bytes(24)
            if self.config[72:96] != shown:
                self.config[72:96] = shown
                self.bump()

    def accepts_features_ok(self, status):
        if self.o["features_ok_needs_driver"] and not status & DRIVER:
            return False
        return self.features_acceptable()

    def fail(self):
        """An error that only a reset mends."""
        known = self.status != 0
        self.status |= NEEDS_RESET
        how = self.o["needs_reset"]
        if how == "event" and known or how == "driver-ok" and self.status & DRIVER_OK:
            self.event_config(0, 0)

    # --- virtqueues and shared memory
    def queue(self, index):
        return self.queues.get(index)

    def get_vqueue(self, body):
        if not self.fits(body, 4):
            return None
        index, = struct.unpack_from("<I", body)
        return self.vqueue_answer(index, self.queue(index))

    def vqueue_answer(self, index, q):
        if q is None:
            return struct.pack("<I", index) + bytes(36)
        return struct.pack("<IIIIQQQ", index, q.max_size, q.size, int(q.enabled), q.desc, q.driver,
            q.device)

    def set_vqueue(self, body):
        if not self.fits(body, 40):
            return None
        index, flags, size, reserved, desc, driver, device = struct.unpack_from("<IIIIQQQ", body)
        q = self.queue(index)
        if q is not None and not self.idle:
            self.configure(q, flags, size, reserved, desc, driver, device)
        return b""

    def configure(self, q, flags, size, reserved, desc, driver, device):
        operation = flags & 3
        if reserved or flags >> 6 or operation == 3:
            return
        if q.enabled:
            return  # an update is refused, and there is no other state to reach
        if self.o["vqueue_needs_features_ok"] and not self.status & FEATURES_OK:
            return
        new = [q.size if flags & 4 else size, q.desc if flags & 8 else desc, q.driver if flags & 16
            else driver, q.device if flags & 32 else device]
        if not self.acceptable(q, flags, operation == 1, *new):
            return
        q.size, q.desc, q.driver, q.device = new
        if operation == 1:
            q.enabled = True
            if self.has_io() and self.status & DRIVER_OK:
                self.io().enabled(q)

    def acceptable(self, q, flags, enable, size, desc, driver, device):
        if size == 0 and (enable or not flags & 4) and (enable or not self.o["zero_size"]):
            return False
        packed = self.negotiated(RING_PACKED)
        odd = packed and self.o["odd_packed_size"] or self.o["any_size"]
        if size > q.max_size or size & size - 1 and not odd:
            return False
        if self.o["check_alignment"] and (desc % 16 or driver % (4 if packed else 2) or device % 4):
            return False
        if self.o["check_memory"]:
            return all(flags & bit or self.bus.in_memory(address)
                       for bit, address in ((8, desc), (16, driver), (32, device)))
        return True

    def reset_vqueue(self, body):
        if not self.fits(body, 4):
            return None
        q = self.queue(struct.unpack_from("<I", body)[0])
        if q is not None and not self.idle and self.negotiated(RING_RESET):
            self.reset_queue(q)
        return b""

    def reset_queue(self, q):
        if self.path:
            self.path.drain(q, self.o["vq_reset_io"])
        q.stop()
        if not self.o["ring_reset_keeps"]:
            q.clear()

    def get_shm(self, body):
        if not self.fits(body, 4):
            return None
        shmid, = struct.unpack_from("<I", body)
        length, address = self.region(shmid)
        return struct.pack("<IIQQ", shmid, 0, length, address)

    def region(self, shmid):
        length = self.o["shm"].get(shmid, 0)
        if not length or self.bus.mem_size < 65536:
            return 0, 0
        return length, self.bus.mem_base + self.bus.mem_size // 2 + 16384 * shmid

    # --- events from the driver, and I/O
    def driver_event(self, msg_id, body):
        if msg_id == EVENT_AVAIL and len(body) >= 8:
            self.available(*struct.unpack_from("<II", body))

    def available(self, index, next_offset):
        q = self.queue(index)
        if q is not None and q.enabled and self.has_io() and self.io().live():
            self.io().notified(q, next_offset)

    def has_io(self):
        return self.o["process_io"] and self.bus.mem_fd is not None

    def io(self):
        if self.path is None:
            import datapath
            self.path = datapath.Path(self)
        return self.path


REQUESTS = {GET_DEVICE_INFO: "get_device_info", GET_DEVICE_FEATURES: "get_device_features",
    SET_DRIVER_FEATURES: "set_driver_features", GET_CONFIG: "get_config", SET_CONFIG: "set_config",
    GET_DEVICE_STATUS: "get_device_status", SET_DEVICE_STATUS: "set_device_status", GET_VQUEUE:
    "get_vqueue", SET_VQUEUE: "set_vqueue", RESET_VQUEUE: "reset_vqueue", GET_SHM: "get_shm",}


class Request:
    """The header of a message that is being answered."""

    def __init__(self, packet):
        (self.type, self.msg_id, self.dev_num, self.token,
         self.msg_size) = struct.unpack_from("<BBHHH", packet)


class Bus:
    """The device end of a bus: takes packets, gives packets in `out`, and knows time only through
    `after`."""

    def __init__(self, o, parameters, memory=None):
        self.o = o
        self.max_msg_size = parameters.get("max_msg_size", 264)
        self.revision = parameters.get("revision", 1)
        self.features = parameters.get("features", 0)
        self.strict = bool(self.features & 1)
        self.mem_fd, self.mem_base, self.mem_size = memory or (None, 0, 0)
        self.mem = None
        self.out, self.timers, self.filters = [], [], []
        self.devices = {n: Device(self, n, dict(o, **o.get("each", {}).get(n, {}))) for n in
            o["numbers"]}
        self.removed = {}
        self.counted = 0

    def start(self):
        if self.o["timed_changes"]:
            self.change_again()
        if self.o["announces"]:
            for number in sorted(self.devices):
                self.bus_message(BUS_EVENT_DEVICE, struct.pack("<HH", number, 1))

    def after(self, seconds, function):
        self.timers.append((time.monotonic() + seconds, function))

    def run_timers(self):
        now = time.monotonic()
        due = [t for t in self.timers if t[0] <= now]
        self.timers = [t for t in self.timers if t[0] > now]
        for _, function in sorted(due, key=lambda t: t[0]):
            function()

    def polls(self):
        """Whether some device looks at its rings without being told."""
        return any(device.o["io_when"] == "poll" and device.status & DRIVER_OK and device.has_io()
            for device in self.devices.values())

    def poll(self):
        for device in list(self.devices.values()):
            if device.o["io_when"] == "poll" and device.has_io() and device.status & DRIVER_OK:
                device.io().poll()

    def change_again(self):
        """Devices change their configuration by the clock, whatever is asked of them."""
        for device in self.devices.values():
            if device.config and device.status and not device.resetting:
                device.own_change(0, bytes([device.config[0] + 1 & 255]))
        self.after(self.o["timed_changes"] / 1000, self.change_again)

    def in_memory(self, address):
        return self.mem_base <= address < self.mem_base + self.mem_size

    # --- out
    def send(self, kind, msg_id, dev_num, token, payload, request=None):
        message = struct.pack("<BBHHH", kind, msg_id, dev_num, token, 8 + len(payload)) + payload
        for one in self.filters:
            message = one(message, request)
            if message is None:
                return
        if isinstance(message, list):
            self.out += message
        else:
            self.out.append(message)

    def respond(self, request, payload):
        self.send(request.type & 2 | 1, request.msg_id, request.dev_num if not request.type & 2 else
            0, request.token, payload, request)

    def event(self, device, msg_id, payload):
        self.send(0, msg_id, device.number, 0, payload)

    def bus_message(self, msg_id, payload, token=0):
        self.send(2, msg_id, 0, token, payload)

    # --- in
    def receive(self, packet):
        if len(packet) < 8:
            return
        request = Request(packet)
        size = request.msg_size
        if size < 8 or size > len(packet) or size > self.max_msg_size:
            return
        if size < len(packet) and self.o["packet_surplus"] == "discard":
            return
        if request.type & 1:
            return  # answers to our PING are welcome and change nothing
        body = packet[8:size]
        if request.type & 2:
            self.bus_request(request, body)
        else:
            self.transport(request, body)
        self.initiative()

    def transport(self, request, body):
        device = self.devices.get(request.dev_num)
        if device is None:
            self.no_such_device(request)
        elif request.msg_id & 0x40:
            device.driver_event(request.msg_id, body)
        else:
            answer = self.ask(device, request, body)
            if answer is not None:
                self.respond(request, answer)

    def ask(self, device, request, body):
        return device.request(request.msg_id, body)

    def no_such_device(self, request):
        if self.o["unknown_device"] == "fail" and not request.msg_id & 0x40:
            self.bus_message(BUS_EVENT_FAILURE,
                struct.pack("<HHBBH", request.dev_num, request.token, request.msg_id, 1, 0))

    def initiative(self):
        """What the device side does without being asked, counted in messages so that it repeats."""
        self.counted += 1
        if self.o["pings"] and self.counted % 40 == 1:
            self.bus_message(BUS_PING, struct.pack("<I", 0x50494E47 + self.counted & U32),
                self.counted & 0xFFFF)
        if self.o["own_changes"]:
            for device in self.devices.values():
                due = device.requests >= self.o["own_changes"] and device.config
                if due and device.status and not device.resetting:
                    device.requests = 0
                    device.own_change(0, bytes([device.config[0] + 1 & 255]) +
                        bytes(device.config[1:4]))

    # --- bus messages
    def bus_request(self, request, body):
        if request.dev_num and self.o["bus_dev_num"] == "discard":
            return
        answer, known, msg_id = None, self.o["bus_messages"], request.msg_id
        if msg_id == BUS_GET_DEVICES and "devices" in known and self.fits(body, 4):
            answer = self.get_devices(*struct.unpack_from("<HH", body))
        elif msg_id == BUS_PING and "ping" in known and self.fits(body, 4):
            answer = self.ping(bytes(body[:4]))
        elif msg_id == BUS_GET_PARAMETERS and "parameters" in known and self.fits(body, 0):
            answer = struct.pack("<III", self.revision, self.max_msg_size, self.features)
        elif msg_id == BUS_EVENT_PARAMETERS and self.o["adopts_parameters"] and self.fits(body, 12):
            self.adopt(*struct.unpack_from("<III", body))
        if answer is not None:
            self.respond(request, answer)

    def fits(self, body, size):
        return len(body) == size or len(body) > size and self.o["surplus"] == "ignore"

    def adopt(self, revision, max_msg_size, features):
        if 52 <= max_msg_size <= 65535:
            self.revision, self.max_msg_size, self.features = revision, max_msg_size, features
            self.strict = bool(features & 1)

    def ping(self, data):
        return data

    def get_devices(self, offset, asked):
        count = min(asked, (self.max_msg_size - 14) * 8, 65536 - offset)
        inside = [n for n in self.devices if offset <= n < offset + count]
        if self.o["window"] != "plain":
            count = max(inside) - offset + 1 if inside else 0
        end = offset + count if inside or self.o["window"] == "plain" else offset + asked
        beyond = [n for n in self.devices if n >= end]
        following = 0
        if beyond and (asked or self.o["count0_next"]):
            following = min(beyond) if self.o["window"] == "jumps" else max(end, offset + 1)
        if following <= offset:
            following = 0
        return self.devices_answer(offset, following, count, inside)

    def devices_answer(self, offset, following, count, inside):
        bitmap = bytearray((count + 7) // 8)
        for n in inside:
            bitmap[(n - offset) // 8] |= 1 << (n - offset) % 8
        return struct.pack("<HHH", offset, following, count) + bytes(bitmap)

    # --- control
    def control(self, line):
        words = line.split()
        if not self.o["control"]:
            return "unsupported"
        try:
            if words[0] == "attach" and len(words) == 2:
                return self.attach(int(words[1]))
            device = self.devices.get(int(words[1]))
            if device is None:
                return "error no device %s" % words[1]
            if words[0] == "config-change" and len(words) == 4:
                return self.config_change(device, int(words[2], 0), bytes.fromhex(words[3]))
            if words[0] == "needs-reset" and len(words) == 2:
                device.fail()
                return "ok"
            if words[0] == "reset-delay" and len(words) == 3:
                device.reset_delay = int(words[2], 0) / 1000
                return "ok"
            if words[0] == "detach" and len(words) == 2:
                self.removed[device.number] = self.devices.pop(device.number)
                self.bus_message(BUS_EVENT_DEVICE, struct.pack("<HH", device.number, 2))
                return "ok"
        except (ValueError, IndexError) as e:
            return "error cannot read '%s': %s" % (line, e)
        return "unsupported"

    def config_change(self, device, offset, data):
        if not data or offset + len(data) > len(device.config):
            return "error the configuration has %d bytes" % len(device.config)
        device.own_change(offset, data)
        return "ok"

    def attach(self, number):
        if number not in self.removed:
            return "error device %d is not detached" % number
        device = self.devices[number] = self.removed.pop(number)
        device.finish_reset()
        self.bus_message(BUS_EVENT_DEVICE, struct.pack("<HH", number, 1))
        return "ok"


class Carrier:
    """A connected socket: whole messages in, whole messages out."""

    def __init__(self, sock, max_msg_size):
        self.sock, self.max = sock, max_msg_size
        self.stream = sock.type == socket.SOCK_STREAM
        self.buffer, self.ended = bytearray(), False
        sock.setblocking(False)

    def fileno(self):
        return self.sock.fileno()

    def packets(self, every=False):
        """The packets that are readable now; for SEQPACKET one, or all."""
        got = []
        while not self.ended:
            try:
                data = self.sock.recv(65536)
            except (BlockingIOError, InterruptedError):
                break
            except OSError:
                data = b""
            if not data:
                self.ended = True
            elif self.stream:
                self.buffer += data
            else:
                got.append(data)
            if not every:
                break
        return got + self.cut() if self.stream else got

    def cut(self):
        got = []
        while len(self.buffer) >= 8:
            size = self.buffer[6] | self.buffer[7] << 8
            if size < 8 or size > max(self.max, 65535):
                print("device: msg_size %d cannot be followed on a byte stream" % size,
                    file=sys.stderr)
                self.ended = True
                break
            if len(self.buffer) < size:
                break
            got.append(bytes(self.buffer[:size]))
            del self.buffer[:size]
        return got

    def write(self, message):
        view = memoryview(message)
        while len(view):
            try:
                view = view[self.sock.send(view):]
                if not self.stream:
                    return
            except (BlockingIOError, InterruptedError):
                select.select([], [self.sock], [])
            except OSError:
                self.ended = True
                return


class Control:
    """The control socket: lines in, answers out."""

    def __init__(self, sock):
        self.sock, self.buffer, self.ended = sock, b"", False

    def fileno(self):
        return self.sock.fileno()

    def lines(self):
        try:
            data = self.sock.recv(4096)
        except OSError:
            data = b""
        self.ended = not data
        self.buffer += data
        *lines, self.buffer = self.buffer.split(b"\n")
        if self.buffer and self.sock.type == socket.SOCK_SEQPACKET:
            lines, self.buffer = lines + [self.buffer], b""
        return [line.decode("ascii", "replace").strip() for line in lines if line.strip()]

    def answer(self, text):
        try:
            self.sock.sendall(text.encode() + b"\n")
        except OSError:
            self.ended = True


def flush(bus, carrier):
    while bus.out:
        out, bus.out = bus.out, []
        for message in out:
            carrier.write(message)


def serve(bus, carrier, control):
    """Serve until the harness hangs up. Messages go before control requests, since they were sent
    before."""
    poller = select.poll()
    poller.register(carrier, select.POLLIN)
    if control:
        poller.register(control, select.POLLIN)
    bus.start()
    flush(bus, carrier)
    while not carrier.ended:
        timeout = None
        if bus.timers:
            timeout = max(0.0, min(t[0] for t in bus.timers) - time.monotonic()) * 1000
        polls = bus.polls()
        if polls:
            timeout = 1 if timeout is None else min(timeout, 1)
        ready = {fd for fd, _ in poller.poll(timeout)}
        bus.run_timers()
        if polls:
            bus.poll()
        if carrier.fileno() in ready:
            for packet in carrier.packets(every=bus.o["batch"] or
                    bool(control and control.fileno() in ready)):
                bus.receive(packet)
                if not bus.o["batch"]:
                    flush(bus, carrier)
        flush(bus, carrier)
        if control and control.fileno() in ready:
            for line in control.lines():
                answer = bus.control(line)
                flush(bus, carrier)  # what it causes is on its way before the answer is
                control.answer(answer)
            if control.ended:
                poller.unregister(control)
                control = None


def parse_parameters(text):
    return {key: int(value, 0) for key, value in (word.split("=") for word in text.split())}


def memory_from(environment):
    if "PLUMBLINE_MEM_FD" not in environment:
        return None
    return (int(environment["PLUMBLINE_MEM_FD"]), int(environment["PLUMBLINE_MEM_BASE"], 0),
            int(environment["PLUMBLINE_MEM_SIZE"], 0))


def listen(address):
    kind, _, where = address.partition(":")
    if kind == "tcp":
        host, _, port = where.rpartition(":")
        server = socket.create_server((host, int(port)))
        where = "%s:%d" % server.getsockname()[:2]
    elif kind in ("unix", "unix-stream"):
        server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET if kind == "unix" else
            socket.SOCK_STREAM)
        if os.path.exists(where):
            os.unlink(where)
        server.bind(where)
        server.listen()
    else:
        sys.exit("device: address '%s' is none of unix:PATH, unix-stream:PATH, tcp:HOST:PORT" %
            address)
    print("listening %s:%s" % (kind, where), flush=True)
    return server


def print_table(table):
    import json
    json.dump(table, sys.stdout, indent=1)
    print()


def arguments(argv):
    """The options as a dictionary; a list option prints and exits."""
    opts, known = {"address": None}, ("style", "fault", "bad", "bus", "mark")
    i = 0
    while i < len(argv):
        word = argv[i]
        if word == "--list-styles":
            print_table({n: {"text": t, "warnings": list(w), "debatable": x} for n, (t, _, w, x)
                in all_styles().items()})
            sys.exit(0)
        if word == "--list-faults":
            import faults_io as faults  # those of faults.py and its own
            print_table({n: {"clauses": list(c), "text": t, "style": faults.STYLE[n]} for n, (c, t)
                in faults.FAULTS.items()})
            sys.exit(0)
        if word == "--list-io":
            import faults_io as faults
            print_table({"styles": list(io_styles()[0]), "debatable": list(io_styles()[1]),
                "faults": {n: list(faults.FAULTS[n][0]) for n in faults.NAMES}})
            sys.exit(0)
        if word == "--list-bad":
            import bad
            print_table({n: {"text": t, "finds": list(k)} for n, (k, t, _) in bad.BAD.items()})
            sys.exit(0)
        name, equals, value = word[2:].partition("=")
        if word.startswith("--") and name in known:
            if not equals:
                i += 1
                value = argv[i] if i < len(argv) else sys.exit("device: %s needs a value" % word)
            opts[name] = value
        elif word.startswith("-") or opts["address"]:
            sys.exit("device: unknown argument '%s'" % word)
        else:
            opts["address"] = word
        i += 1
    return opts


def make_bus(opts, parameters, memory):
    fault = opts.get("fault")
    style = opts.get("style")
    if fault:
        import faults
        if fault not in faults.FAULTS:
            import faults_io as faults  # adds its own
        if fault not in faults.FAULTS:
            sys.exit("device: no fault '%s'; --list-faults shows them" % fault)
        style = style or faults.STYLE[fault]
    style = style or "blk"
    entry = STYLES.get(style) or all_styles().get(style)
    if entry is None:
        sys.exit("device: no style '%s'; --list-styles shows them" % style)
    bus = Bus(dict(BASE, **entry[1]), parameters, memory)
    if fault:
        faults.install(fault, bus)
    return bus


def main(argv):
    opts = arguments(argv)
    parameters = parse_parameters(opts.get("bus") or os.environ.get("PLUMBLINE_BUS", ""))
    memory = memory_from(os.environ)
    if opts["address"]:
        server = listen(opts["address"])
        while True:
            bus = make_bus(opts, parameters, memory)
            sock, _ = server.accept()
            serve(bus, Carrier(sock, bus.max_msg_size), None)
            sock.close()
    if "PLUMBLINE_FD" not in os.environ:
        sys.exit("device: neither an address nor PLUMBLINE_FD says where the harness is")
    sock = socket.socket(fileno=int(os.environ["PLUMBLINE_FD"]))
    control = None
    if "PLUMBLINE_CTL_FD" in os.environ:
        control = Control(socket.socket(fileno=int(os.environ["PLUMBLINE_CTL_FD"])))
    bus = make_bus(opts, parameters, memory)
    carrier = Carrier(sock, bus.max_msg_size)
    if opts.get("bad"):
        import bad
        return bad.run(opts["bad"], bus, carrier, control)
    serve(bus, carrier, control)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
