# SPDX-License-Identifier: BSD-3-Clause
"""Zoned block devices, written from core virtio's text alone: zones, their resources, reports,
appends, and what a secure erase makes of them. Zones outlive a reset of the device."""
import struct

import work
from work import DISCARD, IN, IOERR, OK, OUT, SECTOR, UNSUPP, WRITE_ZEROES

SECURE_ERASE, APPEND, REPORT, OPEN, CLOSE, FINISH, RESET, RESET_ALL = 14, 15, 16, 18, 20, 22, 24, 26
INVALID, UNALIGNED, NO_OPEN, NO_ACTIVE = 3, 4, 5, 6
F_SECURE_ERASE, F_ZONED = 16, 17
MANAGED, AWARE = 1, 2
NOT_WP, EMPTY, IMPLICIT, EXPLICIT, CLOSED, READ_ONLY, FULL, OFFLINE = 0, 1, 2, 3, 4, 13, 14, 15
CONVENTIONAL, REQUIRED, PREFERRED = 1, 2, 3


def config(base, model=MANAGED, size=64, most_open=3, active=5, append=8, grain=512, **_):
    """A block configuration of 96 bytes."""
    return bytes(base).ljust(60, b"\0") + struct.pack("<III", 8 * size, 4, size) + \
        struct.pack("<IIIIIB3x", size, most_open, active, append, grain, model)


class Zone:
    def __init__(self, start, cap, kind, state):
        self.start, self.cap, self.kind, self.state = start, cap, kind, state
        self.clear()

    def clear(self):
        """Nothing is written; where it can be written, the zone is empty."""
        self.wp, self.written = self.start, 0

    def empty(self):
        self.clear()
        self.state = EMPTY

    def is_open(self):
        return self.state in (IMPLICIT, EXPLICIT)


class ZonedBlock(work.Block):
    def __init__(self, device, path):
        super().__init__(device, path)
        z = self.z = dict(model=MANAGED, size=64, cap=0, most_open=3, active=5, append=8, grain=512,
            conv=1, bad=(), gives_way=True, unwritten=b"\x5a", finish=True) | device.o["zones"]
        self.end = 2 ** 64
        sectors, size = self.capacity(), z["size"]
        self.end, self.zones = sectors, []
        for start in range(0, sectors, size):
            i, cap = len(self.zones), min(z["cap"] or size, sectors - start)
            if i < z["conv"]:
                zone = Zone(start, min(size, sectors - start), CONVENTIONAL, NOT_WP)
            else:
                kind = REQUIRED if z["model"] == MANAGED else PREFERRED
                zone = Zone(start, cap, kind, dict(z["bad"]).get(i, EMPTY))
            self.zones.append(zone)

    def capacity(self):
        """A capacity that grows makes no zones."""
        return min(super().capacity(), self.end)

    def zone(self, sector):
        i = sector // self.z["size"]
        return self.zones[i] if i < len(self.zones) else None

    # --- requests
    def execute(self, request, room):
        if len(request) < 16 or not self.device.negotiated(F_ZONED):
            return super().execute(request, room)
        kind, _, sector = struct.unpack_from("<IIQ", request)
        body = request[16:]
        if kind == REPORT:
            return self.report(sector, room)
        if kind == APPEND:
            return self.append(sector, body, room)
        if kind in (OPEN, CLOSE, FINISH, RESET):
            return self.manage(kind, self.zone(sector), sector), b""
        if kind == RESET_ALL:
            for zone in self.zones:
                if zone.is_open() or zone.state in (CLOSED, FULL):
                    zone.empty()
            return OK, b""
        if kind in (DISCARD, WRITE_ZEROES):
            return UNSUPP, b""
        if kind == SECURE_ERASE and self.device.negotiated(F_SECURE_ERASE):
            return self.erase(body), b""
        return super().execute(request, room)

    def report(self, sector, room):
        if sector >= self.capacity():
            return INVALID, b""
        found = self.zones[sector // self.z["size"]:][:max(room - 64, 0) // 64]
        return OK, struct.pack("<Q56x", len(found)) + b"".join(struct.pack("<QQQBB38x", zone.cap,
            zone.start, zone.wp, zone.kind, zone.state) for zone in found)

    def manage(self, kind, zone, sector):
        if zone is None or zone.start != sector or zone.kind == CONVENTIONAL or \
                zone.state in (READ_ONLY, OFFLINE):
            return INVALID
        return {OPEN: self.open, CLOSE: self.close, FINISH: self.finish, RESET: self.reset}[kind](
            zone)

    def open(self, zone):
        if zone.state == FULL:
            return INVALID
        status = self.resources(zone)
        if status == OK:
            zone.state = EXPLICIT
        return status

    def close(self, zone):
        if zone.state not in (IMPLICIT, EXPLICIT, CLOSED):
            return INVALID
        zone.state = CLOSED if zone.wp > zone.start else EMPTY
        return OK

    def finish(self, zone):
        if zone.state in (EMPTY, CLOSED) and not self.z["finish"]:
            return INVALID
        zone.state = FULL
        return OK

    def reset(self, zone):
        zone.empty()
        return OK

    def resources(self, zone):
        """What keeps the zone from being opened; others make way where the device lets them."""
        opened = [one for one in self.zones if one.is_open()]
        active = len(opened) + sum(one.state == CLOSED for one in self.zones)
        if zone.state == EMPTY and self.z["active"] and active >= self.z["active"]:
            return NO_ACTIVE
        if zone.is_open() or not self.z["most_open"] or len(opened) < self.z["most_open"]:
            return OK
        for one in opened:
            if one.state == IMPLICIT and self.z["gives_way"]:
                one.state = CLOSED
                return OK
        return NO_OPEN

    # --- data
    def touched(self, sector, length):
        size = self.z["size"]
        return self.zones[sector // size:(sector + length // SECTOR - 1) // size + 1] if length \
            else self.zones[sector // size:][:1]

    def read(self, sector, room):
        if not self.inside(sector, room):
            return IOERR, b""
        zones = self.touched(sector, room)
        if any(zone.state == OFFLINE for zone in zones) or len(zones) > 1 and \
                any(zone.kind == REQUIRED for zone in zones):
            return INVALID, b""
        status, data = super().read(sector, room)
        if status != OK:
            return status, data
        parts = [data[i * SECTOR:(i + 1) * SECTOR] for i in range(room // SECTOR)]
        for i in range(len(parts)):
            zone = self.zone(sector + i)
            if zone.kind != CONVENTIONAL and sector + i >= zone.start + zone.written:
                if self.z["unwritten"] is None:
                    return IOERR, b""
                parts[i] = self.z["unwritten"] * SECTOR
        return OK, b"".join(parts)

    def write(self, sector, data):
        zone, zones = self.zone(sector), self.touched(sector, len(data))
        if not self.inside(sector, len(data)) or self.read_only() or all(one.kind == CONVENTIONAL for one in zones):
            return super().write(sector, data)
        if any(one.state in (READ_ONLY, OFFLINE) for one in zones):
            return INVALID
        if zone.kind != PREFERRED:
            return self.put(zone, sector, data) if len(zones) == 1 else INVALID
        status = super().write(sector, data)
        for one in zones if status == OK else ():
            one.wp = max(one.wp, min(sector + len(data) // SECTOR, one.start + one.cap))
            self.grown(one)
        return status

    def put(self, zone, sector, data):
        """Data for a zone that is written in order."""
        count = len(data) // SECTOR
        if zone.state == FULL or zone.wp + count > zone.start + zone.cap:
            return INVALID
        if sector != zone.wp or len(data) % self.z["grain"]:
            return UNALIGNED
        status = self.resources(zone) if data else OK
        if status == OK:
            self.store(sector, data)
            zone.wp += count
            self.grown(zone)
        return status

    def grown(self, zone):
        zone.written = zone.wp - zone.start
        if zone.written == zone.cap:
            zone.state = FULL
        elif zone.state in (EMPTY, CLOSED) and zone.written:
            zone.state = IMPLICIT

    def append(self, sector, data, room):
        zone = self.zone(sector)
        if not self.z["append"]:
            return UNSUPP, b""
        if zone is None or zone.kind != REQUIRED or zone.start != sector or \
                zone.state in (READ_ONLY, OFFLINE) or len(data) > self.z["append"] * SECTOR:
            return INVALID, b""
        at = zone.wp
        status = IOERR if self.read_only() or room < 8 else self.put(zone, at, data)
        return status, bytes(max(room - 8, 0)) + struct.pack("<Q", at if status == OK else 2 ** 64 - 1)

    def erase(self, body):
        if any(flags for _, _, flags in struct.iter_unpack("<QII", body[:len(body) // 16 * 16])):
            return UNSUPP
        for sector, count, _ in struct.iter_unpack("<QII", body):
            for start in range(sector, sector + count, self.z["size"]):
                status = self.manage(RESET, self.zone(start), start)
                if status != OK:
                    return status
        return OK
