# SPDX-License-Identifier: BSD-3-Clause
"""Faults of a data path: each one a mistake that a vendor could make in virtqueues, resets or a
device type, with the rule that it breaks in words. Their clauses are coarse tags (io, ring,
notify, reset, blk, entropy, console, net, config), since a vendor knows no clause ids."""
import functools
import os
import struct

import faults
import vring
from faults import FAULTS, all_of, each, fault, override

STYLE, install = faults.STYLE, faults.install
BEFORE = set(FAULTS)
DRIVER_OK = 4
RO, FLUSH = 5, 9


# --- ways to change a data path
def on_path(method, function):
    """function(path, original, *arguments) in place of a method of the data path."""
    def how(device):
        path = device.io()
        setattr(path, method, functools.partial(function, path, getattr(path, method)))
    return each(how)


def on_work(method, function):
    """The same for what the device type does."""
    def how(device):
        work = device.io().work
        setattr(work, method, functools.partial(function, work, getattr(work, method)))
    return each(how)


def on_ring(method, function, kind=vring.Ring):
    """The same for each ring of a kind when it is made."""
    def patch(ring):
        if isinstance(ring, kind):
            setattr(ring, method, functools.partial(function, ring, getattr(ring, method)))
    return each(lambda device: device.io().hooks.append(patch))


def at_start(function, kind=vring.Ring):
    """function(ring) when a ring is made."""
    return each(lambda device: device.io().hooks.append(lambda ring: function(ring) if
        isinstance(ring, kind) else None))


def split(method, function):
    return on_ring(method, function, vring.Split)


def packed(method, function):
    return on_ring(method, function, vring.Packed)


def option(**changed):
    """Another style underneath."""
    return each(lambda device: device.o.update(changed))


def every(count, function):
    """function in place of the original each time that `count` calls have passed."""
    calls = [0]

    def chosen(this, original, *arguments):
        calls[0] += 1
        return function(this, original, *arguments) if not calls[0] % count else \
            original(*arguments)
    return chosen


def edited(edit):
    """For put and put_run: edit(ring, done) gives what is put instead."""
    return lambda ring, original, done: original(edit(ring, done))


class Fake:
    """A chain under another id."""

    def __init__(self, chain, **changed):
        self.__dict__.update(chain.__dict__)
        self.__dict__.update(changed)


def renamed(name):
    """name(ring, chain) is the id that is told."""
    return edited(lambda ring, done: [(Fake(c, id=name(ring, c)), n) for c, n in done])


def relength(length):
    """length(chain, written) is the len that is told."""
    return edited(lambda ring, done: [(c, length(c, n)) for c, n in done])


def both(change):
    return all_of(on_ring("put", change), on_ring("put_run", change))


SPLIT, ALL, LATE, PACKED = "io-split-everything", "io-everything", "io-late", "io-packed-only"


# ---------------------------------------------------------------- used ring, split
def _index(value):
    """The used index in memory is value(ring, the right one)."""
    def advance(ring, original, count):
        original(count)
        ring.mem.put16(ring.device + 2, value(ring, ring.used))
    return split("advance", advance)


fault("used-index-stuck", "ring", "the used index is never written: nothing is ever used",
    _index(lambda ring, idx: 0), SPLIT)
fault("used-index-double", "ring", "the used index counts every buffer twice",
    _index(lambda ring, idx: 2 * idx), SPLIT)
fault("used-index-lags", "ring", "the used index is written before the last buffer counts",
    _index(lambda ring, idx: idx - 1), SPLIT)
fault("used-index-ahead", "ring", "the used index counts a buffer that is not used yet",
    _index(lambda ring, idx: idx + 1), SPLIT)
fault("used-index-modulo", "ring", "the used index wraps at the queue size and not at 65536",
    _index(lambda ring, idx: idx % ring.size), SPLIT)
fault("used-index-8-bits", "ring", "the used index is kept in 8 bits",
    _index(lambda ring, idx: idx & 0xFF), SPLIT)
fault("used-index-swapped", "ring", "the used index is written big-endian",
    _index(lambda ring, idx: (idx & 0xFF) << 8 | idx >> 8), SPLIT)
fault("used-index-starts-at-1", "ring", "the used index starts at 1 and not at 0",
    at_start(lambda ring: setattr(ring, "used", 1), vring.Split), SPLIT)
fault("used-index-bytes", "ring", "the used index counts the elements of a chain, not the chains",
    split("put", lambda ring, orig, done: (orig(done), [ring.advance(1) for c, _ in done if
    len(c.readable) + len(c.writable) > 1])), SPLIT)
fault("used-id-zero", "ring", "the id of a used element is always 0",
    all_of(split("put", renamed(lambda r, c: 0)), split("put_run", renamed(lambda r, c: 0))), SPLIT)
fault("used-id-next", "ring", "the id of a used element is one too high",
    split("put", renamed(lambda r, c: (c.id + 1) % r.size)), SPLIT)
fault("used-id-position", "ring",
    "the id is the place in the available ring and not the head that stands there",
    split("put", edited(lambda r, done: [(Fake(c, id=(r.used + i) % r.size), n) for i, (c, n) in
    enumerate(done)])), SPLIT)


def _last_of(ring, chain):
    index = chain.id
    while True:
        _, _, flags, following = ring.slot(index)
        if not flags & vring.NEXT:
            return index
        index = following


fault("used-id-last", "ring", "the id is that of the chain's last descriptor",
    split("put", renamed(_last_of)), SPLIT)
fault("used-id-high-bits", "ring", "the upper half of the 32-bit id is not cleared",
    split("put", renamed(lambda r, c: c.id | 0xBEEF0000)), SPLIT)


def _element(edit):
    """What is written for a used element: edit(id, len) gives the 8 bytes."""
    def entry(ring, original, at, chain, written):
        ring.mem.write(ring.device + 4 + 8 * (at % ring.size), edit(chain.id, written))
    return split("entry", entry)


fault("used-element-swapped", "ring", "id and len of a used element change places",
    _element(lambda i, n: struct.pack("<II", n, i)), SPLIT)
fault("used-element-big-endian", "ring", "used elements are written big-endian",
    _element(lambda i, n: struct.pack(">II", i, n)), SPLIT)
fault("used-element-16-bits", "ring", "used elements are two 16-bit fields",
    _element(lambda i, n: struct.pack("<HHI", i, n & 0xFFFF, 0)), SPLIT)
fault("used-element-at-head", "ring", "a used element is stored at the place of its id",
    split("entry", lambda r, orig, at, c, n: orig(c.id, c, n)), SPLIT)
fault("used-element-off-by-one", "ring", "used elements are stored one place too far",
    split("entry", lambda r, orig, at, c, n: orig(at + 1, c, n)), SPLIT)
fault("used-element-unmasked", "ring",
    "used elements run on beyond the ring's end instead of starting again",
    split("entry", lambda r, orig, at, c, n: r.mem.write(r.device + 4 + 8 * (at % (r.size + 1)),
    struct.pack("<II", c.id, n))), SPLIT)
fault("used-element-missing", "ring", "every fourth used element is not written, the index moves",
    split("entry", every(4, lambda *a: None)), SPLIT)

# ---------------------------------------------------------------- used, both formats
fault("used-twice", "ring", "every fifth buffer is used twice",
    all_of(option(io_publish="single"), on_ring("put", every(5, lambda r, orig, done:
    (orig(done), orig(done))))), ALL)
fault("loses-buffers", "ring io", "every seventh buffer is never used",
    on_ring("put", every(7, lambda r, orig, done: orig(done[1:]) if done[1:] else None)), ALL)
fault("loses-last-of-batch", "ring io", "of several buffers the last is never used",
    on_ring("put", edited(lambda r, done: done[:-1] if len(done) > 1 else done)), ALL)
def _one_only(path, original, ring, data):
    if ring.waiting():
        path.begin(ring, [ring.pop()])
    ring.invite()


def _tired(path, original, ring, chains):
    count = path.device.__dict__.setdefault("served", 0)
    path.device.served += len(chains)
    if count < 20:
        original(ring, chains)


def _one_after_another(order):
    """Buffers are used ms apart, in the order that order(chains) gives."""
    def begin(path, original, ring, chains):
        ring.flight += chains
        for i, chain in enumerate(order(chains)):
            path.later(ring, 2 * i + 1, lambda one=chain: path.finish(ring, [one]))
    return on_path("begin", begin)


fault("uses-one-per-kick", "ring io", "one notification serves one buffer, whatever is available",
    on_path("take", _one_only), ALL)
fault("stops-after-20", "io", "after 20 buffers nothing is served any more",
    on_path("complete", _tired), ALL)
fault("order-broken", "ring in-order", "IN_ORDER is negotiated, and a batch is used backwards",
    _one_after_another(lambda chains: chains[::-1]), ALL)
fault("order-pairs-swapped", "ring in-order",
    "IN_ORDER is negotiated, and writes overtake each other in pairs",
    _one_after_another(lambda chains: [c for i in range(0, len(chains), 2) for c in
    chains[i:i + 2][::-1]]), ALL)
fault("len-garbage", "ring", "len is 0xFFFFFFFF", both(relength(lambda c, n: 0xFFFFFFFF)), ALL)
fault("len-one-more", "ring", "len is one more than was written", both(relength(lambda c, n: n +
    1)), ALL)
fault("len-of-chain", "ring", "len counts the device-readable bytes too",
    both(relength(lambda c, n: n + sum(m for _, m in c.readable))), ALL)
fault("len-of-request", "ring", "len is the length of the device-readable part",
    both(relength(lambda c, n: sum(m for _, m in c.readable))), ALL)
fault("len-rounded", "ring", "len is rounded up to a multiple of 8",
    both(relength(lambda c, n: n + 7 & ~7)), ALL)
fault("len-unwritten", "ring", "len counts buffers of failed requests that were not written",
    all_of(option(fill="none"), on_work("request", lambda w, orig, i, c: (orig(i, c), c.space)[1])),
    "blk-untouched")
fault("len-of-sent", "ring console", "buffers that were only read are used with their length",
    on_work("request", lambda w, orig, i, c: orig(i, c) or sum(n for _, n in c.readable)),
    "console-everything")
fault("net-len-of-sent", "ring net", "sent frames are used with their length",
    on_work("request", lambda w, orig, i, c: orig(i, c) or sum(n for _, n in c.readable)),
    "net-everything")
fault("skip-first-id", "ring in-order", "a used element for a batch names its first buffer",
    on_ring("put_run", edited(lambda r, run: run[:-1] + [(Fake(run[-1][0], id=run[0][0].id),
    run[-1][1])])), "io-in-order-skips")
fault("skip-counts-one", "ring in-order", "a used element for a batch moves the ring on by one",
    on_ring("put_run", lambda r, orig, run: orig(run[-1:])), "io-in-order-skips")
fault("skip-at-last-place", "ring in-order",
    "a used element for a batch stands where its last buffer's would",
    split("put_run", lambda r, orig, run: (r.entry(r.used + len(run) - 1, *run[-1]),
    r.advance(len(run)))), "io-in-order-skips")
fault("skip-not-negotiated", "ring in-order",
    "one used element stands for a batch though IN_ORDER is not negotiated",
    on_path("publish", lambda p, orig, ring, done, together=False: (ring.put_grouped(done),
    p.used(ring)) if not together else orig(ring, done, together)), "io-in-order-skips")
fault("batch-without-idx", "ring", "of a batch only the first used element is written",
    split("put", lambda r, orig, done: (r.entry(r.used, *done[0]), r.advance(len(done)))), SPLIT)

# ---------------------------------------------------------------- available ring
fault("avail-index-modulo", "ring", "the available index is taken modulo the queue size",
    split("waiting", lambda r, orig: (r.mem.u16(r.driver + 2) - r.next) % r.size), SPLIT)
fault("avail-index-missed", "ring", "one buffer is always left in the available ring",
    split("waiting", lambda r, orig: max(0, orig() - 1)), SPLIT)
fault("avail-index-twice", "ring", "the last buffer of each look is served again at the next",
    split("waiting", lambda r, orig: setattr(r, "next", r.next - 1 & 0xFFFF) or orig() if orig() and
    r.next and not r.__dict__.pop("again", 0) and not setattr(r, "again", 1) else orig()), SPLIT)
fault("avail-first-only", "ring", "the head is always taken from the ring's first place",
    split("pop", lambda r, orig: _pop_at(r, 0)), SPLIT)


def _pop_at(ring, place):
    head = ring.mem.u16(ring.driver + 4 + 2 * place)
    ring.next = ring.next + 1 & 0xFFFF
    return vring.Chain(head, 1, ring.elements(head), ring.mem)


fault("avail-not-wrapped", "ring", "heads are read on beyond the available ring's end",
    split("pop", lambda r, orig: _pop_at(r, r.next)), "io-bare")
fault("head-is-position", "ring", "chains are taken from the descriptor table in its own order",
    split("pop", lambda r, orig: _by_position(r)), SPLIT)


def _by_position(ring):
    head = ring.next % ring.size
    ring.next = ring.next + 1 & 0xFFFF
    return vring.Chain(head, 1, ring.elements(head), ring.mem)


def _after_use(write):
    """write(ring, chain) after each buffer was used."""
    def put(ring, original, done):
        original(done)
        for chain, _ in done:
            write(ring, chain)
    return split("put", put)


fault("writes-descriptor-flags", "ring", "the flags of a used chain's first descriptor are cleared",
    _after_use(lambda r, c: r.mem.put16(r.desc + 16 * c.id + 12, 0)), "io-bare")
fault("writes-descriptor-address", "ring", "a used descriptor is wiped",
    _after_use(lambda r, c: r.mem.write(r.desc + 16 * c.id, bytes(16))), SPLIT)
fault("writes-descriptor-length", "ring", "len is stored in the descriptor too",
    _after_use(lambda r, c: r.mem.write(r.desc + 16 * c.id + 8, struct.pack("<I", c.space))), SPLIT)
fault("writes-available-ring", "ring", "the entry of the available ring is overwritten",
    split("pop", lambda r, orig: (orig(), r.mem.put16(r.driver + 4 + 2 * ((r.next - 1) % r.size),
    0xFFFF))[0]), SPLIT)
fault("writes-available-flags", "ring", "the device's own flags go to the available ring",
    split("invite", lambda r, orig: (orig(), r.mem.put16(r.driver, 2))[0]), SPLIT)
fault("writes-used-event", "ring", "avail_event is written where used_event stands",
    split("invite", lambda r, orig: r.mem.put16(r.driver + 4 + 2 * r.size, r.next) if r.event_idx
    else orig()), SPLIT)
# ---------------------------------------------------------------- suppression by the device
fault("used-flags-garbage", "ring notify", "flags of the used ring is 0x8002",
    split("invite", lambda r, orig: (orig(), r.mem.put16(r.device, 0x8002))[0]), SPLIT)
fault("used-flags-with-event-idx", "ring notify", "flags of the used ring is 1 under EVENT_IDX",
    split("invite", lambda r, orig: (orig(), r.mem.put16(r.device, 1) if r.event_idx else
    None)[0]), SPLIT)
fault("hush-stays", "ring notify io", "notifications are suppressed once and never wanted again",
    on_ring("invite", lambda r, orig: r.mem.put16(r.device + (2 if isinstance(r, vring.Packed) else
    0), 1)), "io-packed-bare")
fault("avail-event-stuck", "ring notify io",
    "avail_event is never moved, and the ring is looked at on notification only",
    split("invite", lambda r, orig: None if r.event_idx else orig()), SPLIT)
fault("avail-event-ahead", "ring notify io", "avail_event is one too high: a buffer goes unnoticed",
    split("invite", lambda r, orig: r.mem.put16(r.device + 4 + 8 * r.size, r.next + 1) if
    r.event_idx else orig()), SPLIT)
fault("avail-event-misplaced", "ring notify io", "avail_event is written 2 bytes too far",
    split("invite", lambda r, orig: r.mem.put16(r.device + 6 + 8 * r.size, r.next) if r.event_idx
    else orig()), SPLIT)


def _device_area(value):
    """value(ring) is (event offset and wrap, flags) of the device event suppression."""
    return packed("invite", lambda r, orig: r.mem.write(r.device, struct.pack("<HH", *value(r))))


fault("packed-event-reserved", "ring notify", "the device's event flags hold the reserved value 3",
    _device_area(lambda r: (0, 3)), PACKED)
fault("packed-event-not-negotiated", "ring notify",
    "a descriptor event is asked for without EVENT_IDX",
    _device_area(lambda r: (r.next | r.next_wrap << 15, 2)), "io-packed-bare")
fault("packed-event-ahead", "ring notify io", "the wanted event is one descriptor too far",
    _device_area(lambda r: ((r.next + 1) % r.size | r.next_wrap << 15, 2) if r.event_idx else
    (0, 0)), PACKED)
fault("packed-event-wrap", "ring notify io", "the wanted event has the wrong wrap counter",
    _device_area(lambda r: (r.next | (1 - r.next_wrap) << 15, 2) if r.event_idx else (0, 0)),
    PACKED)
fault("packed-event-stuck", "ring notify io", "the wanted event is always descriptor 0",
    _device_area(lambda r: (0x8000, 2) if r.event_idx else (0, 0)), PACKED)
fault("packed-event-outside", "ring notify", "the wanted event lies beyond the ring",
    _device_area(lambda r: (r.size + 1 | 0x8000, 2) if r.event_idx else (0, 0)), PACKED)
fault("packed-areas-swapped", "ring notify", "the device writes its suppression to the driver area",
    packed("invite", lambda r, orig: r.mem.write(r.driver, struct.pack("<HH", 0, 1))), PACKED)

# ---------------------------------------------------------------- used buffer notifications
fault("never-tells", "notify", "EVENT_USED is never sent", on_path("used", lambda p, orig, r: None),
    ALL)
fault("tells-not-always", "notify", "every eighth EVENT_USED is forgotten",
    on_path("used", every(8, lambda p, orig, r: None)), ALL)
fault("tells-first-only", "notify", "EVENT_USED is sent for the first buffers and never again",
    on_path("used", lambda p, orig, r: orig(r) if not r.__dict__.get("said") and not setattr(r,
    "said", 1) else None), ALL)
fault("tells-before-last", "notify", "of a batch that is used one by one the last is not told of",
    all_of(option(io_publish="single"), on_path("publish", lambda p, orig, ring, done,
    together=False: (orig(ring, done[:-1], together) if len(done) > 1 else None,
    ring.put(done[-1:]))[0])), ALL)
fault("tells-single-only", "notify", "a batch of more than one buffer is not told of",
    on_path("tell", lambda p, orig, r, since: orig(r, since) if r.mark() == since or not
    isinstance(r, vring.Split) or (r.used - since & 0xFFFF) == 1 else None), SPLIT)
fault("tells-by-old-flags", "notify", "the driver's suppression is read once and remembered",
    on_ring("wanted", lambda r, orig, since: r.__dict__.setdefault("asked", orig(since))), ALL)
fault("tells-late-after-silence", "notify",
    "the first EVENT_USED after the driver wants notifications again is lost",
    on_ring("wanted", lambda r, orig, since: _delayed(r, orig(since))), ALL)


def _delayed(ring, now):
    before = ring.__dict__.get("before", now)
    ring.before = now
    return now and before


fault("tells-other-queue", "notify", "EVENT_USED names the next queue",
    on_path("used", lambda p, orig, r: p.bus.event(p.device, 0x42, struct.pack("<I", r.q.index +
    1))), ALL)
fault("tells-queue-0", "notify", "EVENT_USED always names queue 0",
    on_path("used", lambda p, orig, r: p.bus.event(p.device, 0x42, bytes(4))), "console-everything")
fault("tells-big-endian", "notify", "EVENT_USED names the queue in big-endian",
    on_path("used", lambda p, orig, r: p.bus.event(p.device, 0x42, struct.pack(">I", r.q.index))),
    "console-everything")
fault("tells-short", "notify", "EVENT_USED has 2 bytes of payload",
    on_path("used", lambda p, orig, r: p.bus.event(p.device, 0x42, struct.pack("<H", r.q.index))),
    ALL)
fault("tells-long", "notify", "EVENT_USED has 8 bytes of payload",
    on_path("used", lambda p, orig, r: p.bus.event(p.device, 0x42, struct.pack("<II", r.q.index,
    0))), ALL)
fault("tells-as-response", "notify", "EVENT_USED is sent as a response",
    on_path("used", lambda p, orig, r: p.bus.send(1, 0x42, p.device.number, 0, struct.pack("<I",
    r.q.index))), ALL)
fault("tells-as-other-device", "notify", "EVENT_USED carries the next device number",
    on_path("used", lambda p, orig, r: p.bus.send(0, 0x42, p.device.number + 1, 0,
    struct.pack("<I", r.q.index))), ALL)
fault("tells-suppressed", "notify should", "EVENT_USED is sent though the driver suppresses it",
    on_ring("wanted", lambda r, orig, since: r.mark() != since), ALL)
fault("tells-suppressed-packed", "notify should", "RING_EVENT_FLAGS_DISABLE is not looked at",
    packed("wanted", lambda r, orig, since: r.mark() != since), "io-packed-bare")
fault("tells-by-equality", "notify",
    "used_event is compared with the last index only, a batch runs over it",
    split("wanted", lambda r, orig, since: r.used == (r.mem.u16(r.driver + 4 + 2 * r.size) + 1 &
    0xFFFF) if r.event_idx else orig(since)), SPLIT)
fault("tells-one-late", "notify", "EVENT_USED comes one buffer after used_event",
    split("wanted", lambda r, orig, since: (r.used - r.mem.u16(r.driver + 4 + 2 * r.size) - 2 &
    0xFFFF) < (r.used - since & 0xFFFF) if r.event_idx else orig(since)), SPLIT)
fault("tells-one-early", "notify should", "EVENT_USED comes one buffer before used_event",
    split("wanted", lambda r, orig, since: (r.used - r.mem.u16(r.driver + 4 + 2 * r.size) &
    0xFFFF) < (r.used - since & 0xFFFF) if r.event_idx else orig(since)), SPLIT)
fault("used-event-not-negotiated", "notify", "used_event is obeyed without EVENT_IDX",
    split("wanted", lambda r, orig, since: (r.used - r.mem.u16(r.driver + 4 + 2 * r.size) - 1 &
    0xFFFF) < (r.used - since & 0xFFFF)), "io-bare")
fault("used-event-ignored", "notify should", "EVENT_IDX is negotiated, used_event is not looked at",
    split("wanted", lambda r, orig, since: r.used != since if r.event_idx else orig(since)), SPLIT)


def _packed_event(decide):
    """decide(ring, start, done, offset, wrap) where the driver asks for a descriptor's event."""
    def wanted(ring, original, since):
        off_wrap, flags = struct.unpack("<HH", ring.mem.read(ring.driver, 4))
        if flags & 3 != 2:
            return original(since)
        done = ring.used - since[0] + (0 if ring.used_wrap == since[1] else ring.size)
        return bool(done) and decide(ring, since, done, off_wrap & 0x7FFF, off_wrap >> 15)
    return packed("wanted", wanted)


fault("packed-event-ignored", "notify should", "the driver's descriptor event is taken for ENABLE",
    _packed_event(lambda r, since, done, off, wrap: True), PACKED)
fault("packed-event-taken-for-disable", "notify",
    "the driver's descriptor event is taken for DISABLE",
    _packed_event(lambda r, since, done, off, wrap: False), PACKED)
fault("packed-event-equality", "notify",
    "the driver's event is compared with the first used descriptor only",
    _packed_event(lambda r, since, done, off, wrap: (off, wrap) == since), PACKED)
fault("packed-event-wrap-ignored", "notify",
    "the driver's event is compared without regard to the ring's end",
    _packed_event(lambda r, since, done, off, wrap: since[0] <= off < since[0] + done and
    since[0] + done <= r.size), PACKED)
fault("tells-then-uses", "notify io", "EVENT_USED is sent first and the buffer used 3 ms later",
    on_path("complete", lambda p, orig, ring, chains: (p.used(ring), p.later(ring, 3, lambda:
    ring.put([(c, p.work.request(ring.q.index, c)) for c in chains])))[0]), ALL)
fault("tells-before-driver-ok", "notify", "EVENT_USED is sent when a queue is enabled",
    override("configure", lambda d, orig, q, *a: (orig(q, *a), d.bus.event(d, 0x42,
    struct.pack("<I", q.index)) if q.enabled else None)[0]), ALL)

# ---------------------------------------------------------------- packed rings
fault("packed-used-wrap-stuck", "ring", "the used wrap counter is never toggled",
    packed("put", lambda r, orig, done: (orig(done), setattr(r, "used_wrap", 1))[0]), PACKED)
fault("packed-used-wrap-early", "ring", "the used wrap counter is toggled one descriptor early",
    packed("put", lambda r, orig, done: (setattr(r, "used_wrap", 1 - r.used_wrap) if r.used ==
    r.size - 1 and not setattr(r, "turned", 1) else None, orig(done), setattr(r, "used_wrap", 1 -
    r.used_wrap) if r.__dict__.pop("turned", 0) else None)[1]), PACKED)
fault("packed-avail-wrap-stuck", "ring", "the available wrap counter is never toggled",
    packed("pop", lambda r, orig: (orig(), setattr(r, "next_wrap", 1))[0]), PACKED)
fault("packed-wrap-starts-at-0", "ring", "both wrap counters start at 0",
    at_start(lambda r: setattr(r, "next_wrap", 0) or setattr(r, "used_wrap", 0), vring.Packed),
    PACKED)


def _packed_flags(value):
    def entry(ring, original, at, wrap, chain, written):
        original(at, wrap, chain, written)
        ring.mem.put16(ring.desc + 16 * at + 14, value(wrap, written and vring.WRITE))
    return packed("entry", entry)


fault("packed-used-only", "ring", "only the USED bit of a used descriptor follows the wrap counter",
    _packed_flags(lambda wrap, w: (vring.USED if wrap else vring.AVAIL) | w), PACKED)
fault("packed-flags-constant", "ring", "AVAIL and USED are both set whatever the wrap counter",
    _packed_flags(lambda wrap, w: vring.AVAIL | vring.USED | w), PACKED)
fault("packed-write-missing", "ring", "a used descriptor never has the WRITE flag",
    _packed_flags(lambda wrap, w: vring.AVAIL | vring.USED if wrap else 0), "entropy-everything")
fault("packed-id-of-first", "ring", "the id is that of the list's first descriptor",
    packed("pop", lambda r, orig: _with_id(r, orig, r.slot(r.next)[2])), PACKED)
fault("packed-id-slot", "ring", "the id is the place of the first descriptor",
    packed("pop", lambda r, orig: _with_id(r, orig, r.next)), "io-packed-bare")
fault("packed-id-next", "ring", "the id is one too high",
    packed("put", renamed(lambda r, c: c.id + 1)), PACKED)


def _with_id(ring, original, ident):
    chain = original()
    chain.id = ident
    return chain


fault("packed-skips-one", "ring", "after a list the ring moves on by one descriptor",
    packed("put", edited(lambda r, done: [(Fake(c, slots=1), n) for c, n in done])), PACKED)
fault("packed-skips-elements", "ring",
    "after an indirect list the ring moves on by the elements of its table",
    packed("put", edited(lambda r, done: [(Fake(c, slots=len(c.readable) + len(c.writable)), n) for
    c, n in done])), PACKED)
fault("packed-used-at-last", "ring", "the used descriptor is written over the list's last one",
    packed("entry", lambda r, orig, at, wrap, c, n: orig(*r.step(at, wrap, c.slots - 1), c, n)),
    PACKED)
def _power_of_two(ring):
    ring.step = lambda index, wrap, count: ((index + count) % (1 << (ring.size - 1).bit_length()),
        wrap if index + count < 1 << (ring.size - 1).bit_length() else 1 - wrap)


fault("packed-power-of-two", "ring", "a packed ring is taken to end at a power of two",
    at_start(_power_of_two, vring.Packed), "io-size-3")
fault("packed-len-in-address", "ring", "len is written 8 bytes too low, over the address",
    packed("entry", lambda r, orig, at, wrap, c, n: (orig(at, wrap, c, 0), r.mem.write(r.desc +
    16 * at, struct.pack("<I", n)))[0]), "entropy-everything")
fault("packed-next-touched", "ring", "the descriptor after a used one is wiped",
    packed("entry", lambda r, orig, at, wrap, c, n: (orig(at, wrap, c, n), r.mem.write(r.desc +
    16 * r.step(at, wrap, c.slots)[0] + 8, bytes(8)))[0]), PACKED)

# ---------------------------------------------------------------- descriptors and buffers
fault("indirect-ignored", "ring", "an indirect table is taken for a buffer",
    on_ring("table", lambda r, orig, a, n: [(a, n, 0, 0)]), ALL)
fault("indirect-first-only", "ring", "only the first descriptor of an indirect table is used",
    on_ring("table", lambda r, orig, a, n: _first_only(orig(a, n), r)), ALL)


def _first_only(rows, ring):
    a, n, f, g = rows[0]
    return [(a, n, f & ~vring.NEXT, g)] if isinstance(ring, vring.Split) else rows[:1]


fault("indirect-one-less", "ring", "the last descriptor of an indirect table is left out",
    on_ring("table", lambda r, orig, a, n: _one_less(orig(a, n), r)), ALL)


def _one_less(rows, ring):
    if len(rows) < 2:
        return rows
    if isinstance(ring, vring.Packed):
        return rows[:-1]
    a, n, f, _ = rows[-2]
    return rows[:-2] + [(a, n, f & ~vring.NEXT, 0), rows[-1]]


fault("indirect-sequential", "ring", "the next field of an indirect table is not looked at",
    split("table", lambda r, orig, a, n: [(x, y, z, i + 1) for i, (x, y, z, _) in
    enumerate(orig(a, n))]), SPLIT)
fault("indirect-needs-next", "ring",
    "a packed indirect table is followed by NEXT flags, which it does not have",
    packed("table", lambda r, orig, a, n: orig(a, n)[:1]), PACKED)
fault("indirect-head-only", "ring", "an indirect table after direct descriptors is refused",
    split("walk", lambda r, orig, get, limit, i: _no_mixture(orig(get, limit, i))), SPLIT)


def _no_mixture(result):
    if result[0] and result[1]:
        raise vring.Broken("an indirect table that is not first")
    return result


fault("indirect-write-flag", "ring", "a table whose descriptor has the WRITE flag is refused",
    split("slot", lambda r, orig, i: _refuse(orig(i))), SPLIT)


def _refuse(slot):
    if slot[2] & vring.INDIRECT and slot[2] & vring.WRITE:
        raise vring.Broken("a table that is device-writable")
    return slot


fault("indirect-table-written", "ring", "flags in an indirect table are cleared after use",
    on_ring("table", lambda r, orig, a, n: (orig(a, n), r.mem.put16(a + 12 if isinstance(r,
    vring.Split) else a + 14, 0))[0]), ALL)
fault("next-ignored", "ring", "the descriptors of a chain are taken one after another in the table",
    split("slot", lambda r, orig, i: orig(i)[:3] + (i + 1,)), "io-bare")
fault("addresses-32-bit", "ring", "buffer addresses are cut to 32 bits",
    at_start(lambda r: setattr(r, "slot", functools.partial(lambda orig, i: (orig(i)[0] &
    0xFFFFFFFF,) + orig(i)[1:], r.slot))), ALL)
fault("chain-of-two", "ring", "only the first two descriptors of a chain are looked at",
    split("walk", lambda r, orig, get, limit, i: (orig(get, limit, i)[0][:2],
    orig(get, limit, i)[1])), SPLIT)


def _then(write):
    """write(work, chain) after a buffer was served."""
    return on_work("request", lambda w, orig, i, c: (orig(i, c), write(w, c))[0])


def _poke(address, work):
    if work.mem.base <= address < work.mem.base + work.mem.size:
        work.mem.write(address, b"\x5A")


fault("writes-readable", "ring", "the request's header is converted in place",
    _then(lambda w, c: w.mem.write(c.readable[0][0], b"\x80") if c.readable else None), ALL)
fault("writes-readable-end", "ring", "what was read is closed with a NUL",
    _then(lambda w, c: _poke(c.readable[-1][0] + c.readable[-1][1] - 1, w) if c.readable else None),
    "console-everything")
fault("writes-beyond", "ring", "a byte beyond the last buffer is written",
    _then(lambda w, c: _poke(sum(c.writable[-1]), w) if c.writable else None), ALL)
fault("writes-before", "ring", "a byte before the first buffer is written",
    _then(lambda w, c: _poke(c.writable[0][0] - 1, w) if c.writable else None), ALL)
fault("writes-contiguous", "ring",
    "data is written as if the elements of a buffer followed each other in memory",
    on_work("answer", lambda w, orig, c, data: (w.mem.write(c.writable[0][0],
    data.ljust(c.space - 1, b"\0")), c.space - 1)[1]), ALL)
fault("framing-header", "ring blk", "the header of a request is taken to be a descriptor by itself",
    on_work("request", lambda w, orig, i, c: orig(i, Fake(c, readable=[(a, 16 if k == 0 else n) for
    k, (a, n) in enumerate(c.readable)]))), ALL)
fault("framing-status", "ring blk", "the status goes to the first byte of the last descriptor",
    on_work("put_status", lambda w, orig, c, s: w.mem.write(c.writable[-1][0], bytes([s]))), ALL)
fault("framing-one-data", "ring blk", "only one descriptor of data is served",
    on_work("answer", lambda w, orig, c, data: (w.mem.scatter(c.writable[:1], 0,
    data[:c.space - 1]), len(data))[1]), ALL)
fault("used-before-written", "ring io", "data is written 3 ms after the buffer was used",
    on_path("complete", lambda p, orig, ring, chains: (p.publish(ring, [(c, c.space) for c in
    chains]), p.later(ring, 3, lambda: [p.work.request(ring.q.index, c) for c in chains]))[0]),
    ALL)


# ---------------------------------------------------------------- DRIVER_OK
def _early(when):
    """I/O as soon as when(device) is true, DRIVER_OK or not."""
    def how(bus):
        on_path("live", lambda p, orig: when(p.device))(bus)
    return how


def _looks(d, orig, q, *a):
    orig(q, *a)
    if q.enabled:
        d.io().look(q)


fault("io-before-driver-ok", "io", "a queue is served as soon as it is enabled",
    all_of(_early(lambda d: d.status & 8), override("configure", _looks)), ALL)


def _polls_early(bus):
    _early(lambda d: d.status & 8)(bus)
    original = bus.poll
    bus.polls = lambda: True
    bus.poll = lambda: [d.io().poll() for d in bus.devices.values() if d.has_io()] and original()


fault("polls-before-driver-ok", "io", "the rings are polled from FEATURES_OK on", _polls_early, ALL)
fault("early-buffers-lost", "io", "buffers from before DRIVER_OK are taken for old and never used",
    override("write_status", lambda d, orig, v: (orig(v), [_skip(d, q) for q in
    d.queues.values() if q.enabled] if d.status & 4 else None)[0] if not d.status & 4 else orig(v)),
    "io-waits-for-kick")


def _skip(device, q):
    ring = device.io().ring(q)
    while ring.waiting():
        ring.pop()


fault("first-queue-only", "io", "only queue 0 is ever served",
    on_path("look", lambda p, orig, q, data=None: orig(q, data) if q.index == 0 else None),
    "console-everything")
fault("first-queue-only-blk", "io", "of several request queues only the first is served",
    on_path("look", lambda p, orig, q, data=None: orig(q, data) if q.index == 0 else None),
    "blk-queues")
fault("io-ignored-after-event", "io", "the first notification of a queue is not heard",
    on_path("notified", lambda p, orig, q, data: orig(q, data) if q.__dict__.get("heard") or
    setattr(q, "heard", 1) else None), "io-waits-for-kick")
fault("spurious-kick-uses", "io", "a notification without a new buffer uses the last one again",
    on_path("notified", lambda p, orig, q, data: _again(p, orig, q, data)), "io-bare")


def _again(path, original, q, data):
    ring = path.ring(q)
    before = ring.next
    original(q, data)
    if ring.next == before and before:
        ring.next = ring.next - 1 & 0xFFFF
        original(q, data)


fault("spurious-kick-fails", "io", "a notification without a new buffer stops the queue",
    on_path("notified", lambda p, orig, q, data: orig(q, data) if p.ring(q).waiting() else
    setattr(p.ring(q), "stuck", True)), ALL)


# ---------------------------------------------------------------- resets
def _epochs(device):
    device.epoch, device.last = 0, {}
    finish = device.finish_reset

    def finished():
        finish()
        device.epoch += 1
    device.finish_reset = finished
    device.io().hooks.append(lambda ring: setattr(ring, "epoch", device.epoch))


def stale(of_reset, part="all"):
    """I/O in flight goes on after the device (or the queue) was reset; or a part of it."""
    def how(device):
        _epochs(device)
        path = device.io()
        alive, complete = path.alive, path.complete
        path.alive = lambda r: alive(r) or path.bus.mem is not None and not r.stuck and (r.epoch !=
            device.epoch if of_reset else r.epoch == device.epoch)
        path.serves = lambda: True

        def finish(ring, chains):
            if ring.q.ring is ring or part == "all":
                complete(ring, chains)
            elif part == "event":
                path.used(ring)
            elif part == "buffers":
                for chain in chains:
                    path.work.request(ring.q.index, chain)
        path.complete = finish
    return each(how)


for _name, _of, _text in (("reset", True, "the device was reset"), ("queue-reset", False,
        "RESET_VQUEUE was answered")):
    fault("io-after-" + _name, "reset io", "what was in flight is used after %s" % _text,
        stale(_of), LATE)
    fault("told-after-" + _name, "reset notify",
        "EVENT_USED for what was in flight comes after %s" % _text, stale(_of, "event"), LATE)
    fault("buffers-after-" + _name, "reset io",
        "data for what was in flight is written after %s" % _text, stale(_of, "buffers"), LATE)
fault("io-after-async-reset", "reset io",
    "an asynchronous reset reports status 0 before what is in flight has ended",
    all_of(option(io_delay=8), stale(True)), "io-reset-drops")
fault("told-after-async-reset", "reset notify",
    "EVENT_USED comes after an asynchronous reset has ended",
    all_of(option(io_delay=8), stale(True, "event")), "io-reset-drops")
fault("buffers-after-async-reset", "reset io",
    "data is written after an asynchronous reset has ended",
    all_of(option(io_delay=8), stale(True, "buffers")), "io-reset-drops")


def keeps(of_reset, *names):
    """A ring starts with what the one before it of the same queue had."""
    def how(device):
        _epochs(device)

        def begin(ring):
            before = device.last.get(ring.q.index)
            if before is not None and (before.epoch != device.epoch) == of_reset:
                for name in names:
                    if name in before.__dict__:
                        setattr(ring, name, getattr(before, name))
            device.last[ring.q.index] = ring
        device.io().hooks.append(begin)
    return each(how)


for _name, _of, _text in (("reset", True, "a device reset"), ("queue-reset", False,
        "RESET_VQUEUE")):
    fault(_name + "-keeps-available", "reset ring", "%s keeps the available index" % _text,
        keeps(_of, "next"), ALL)
    fault(_name + "-keeps-used", "reset ring", "%s keeps the used index" % _text,
        keeps(_of, "used"), ALL)
    fault(_name + "-keeps-indexes", "reset ring", "%s keeps both indexes" % _text,
        keeps(_of, "used", "next"), ALL)
    fault(_name + "-keeps-wrap", "reset ring", "%s keeps the wrap counters" % _text,
        keeps(_of, "used_wrap", "next_wrap"), PACKED)
    fault(_name + "-keeps-area", "reset ring",
        "after %s the queue is served where it was before" % _text, keeps(_of, "desc", "driver",
        "device", "size"), ALL)
    fault(_name + "-keeps-stuck", "reset ring",
        "%s does not bring a stopped queue back" % _text, keeps(_of, "stuck"), ALL)
fault("queue-reset-keeps-size", "reset ring", "after RESET_VQUEUE the old size is used",
    keeps(False, "size"), ALL)
fault("reset-keeps-format", "reset ring", "after a reset the ring format of before is used",
    override("negotiated", lambda d, orig, bit: d.__dict__.setdefault("format", orig(bit)) if bit ==
    34 and d.status & DRIVER_OK else orig(bit)), ALL)
fault("reset-keeps-event-idx", "reset ring", "after a reset EVENT_IDX stays as it was",
    override("negotiated", lambda d, orig, bit: d.__dict__.setdefault("events", orig(bit)) if bit ==
    29 and d.status & DRIVER_OK else orig(bit)), ALL)
fault("works-once", "reset io", "after a reset no queue is ever served again",
    all_of(each(_epochs), on_path("live", lambda p, orig: orig() and p.device.epoch < 2)), ALL)
fault("queue-works-once", "reset io", "a queue that was reset is never served again",
    all_of(override("reset_queue", lambda d, orig, q: (orig(q), setattr(q, "gone", True))[0]),
    on_path("look", lambda p, orig, q, data=None: None if q.__dict__.get("gone") else
    orig(q, data))), ALL)
fault("reset-goes-on", "reset io", "after a reset the rings are still served",
    each(lambda d: _goes_on(d, "start_reset")), ALL)
fault("queue-reset-goes-on", "reset io", "after RESET_VQUEUE the queue is still served",
    each(lambda d: _goes_on(d, "reset_queue")), ALL)


def _goes_on(device, method):
    """Notifications reach the ring that was."""
    original, notice = getattr(device, method), device.available
    ghosts = {}

    def reset(*arguments):
        ghosts.update({i: q.ring for i, q in device.queues.items() if q.ring})
        original(*arguments)

    def available(index, offset):
        q, ring = device.queue(index), ghosts.get(index)
        if q and not q.enabled and ring and not ring.stuck:
            try:
                chains = []
                while ring.waiting():
                    chains.append(ring.pop())
                if chains:
                    device.io().publish(ring, [(c, device.io().work.request(index, c)) for c in
                        chains])
            except vring.Broken:
                pass
        else:
            notice(index, offset)
    setattr(device, method, reset)
    device.available = available


fault("queue-reset-forgotten", "reset ring",
    "RESET_VQUEUE only disables: the ring's state is there when the queue is enabled again",
    override("reset_queue", lambda d, orig, q: setattr(q, "enabled", False)), ALL)
fault("queue-reset-drops-others", "reset io", "RESET_VQUEUE drops what other queues have in flight",
    override("reset_queue", lambda d, orig, q: (orig(q), [setattr(o, "ring", None) for o in
    d.queues.values()])[0]), "blk-queues")
fault("queue-reset-stops-others", "reset io", "RESET_VQUEUE stops all other queues",
    override("reset_queue", lambda d, orig, q: (orig(q), [setattr(o.ring, "stuck", True) for o in
    d.queues.values() if o.ring])[0]), "blk-queues")
fault("queue-reset-next", "reset io", "RESET_VQUEUE also resets the rings of the pair",
    override("reset_queue", lambda d, orig, q: (orig(q), [setattr(o, "ring", None) for o in
    d.queues.values() if o.index == q.index ^ 1])[0]), "console-everything")
fault("queue-reset-writes", "reset ring", "RESET_VQUEUE wipes the used ring 3 ms later",
    override("reset_queue", lambda d, orig, q: _wipes(d, orig, q)), ALL)


def _wipes(device, original, q):
    at = q.device
    original(q)
    if at and device.bus.mem:
        device.bus.after(0.003, lambda: device.bus.mem.write(at, b"\x11" * 4))


fault("reset-tells", "reset notify", "a reset is announced by EVENT_USED for every queue",
    override("finish_reset", lambda d, orig: (orig(), [d.bus.event(d, 0x42, struct.pack("<I", i))
    for i in d.queues])[0]), ALL)
fault("reset-wipes-memory", "reset io", "3 ms after a reset the used rings are wiped",
    override("finish_reset", lambda d, orig: _wipe_all(d, orig)), ALL)


def _wipe_all(device, original):
    places = [q.device for q in device.queues.values() if q.enabled]
    original()
    for at in places:
        if device.bus.mem:
            device.bus.after(0.003, lambda at=at: device.bus.mem.write(at, b"\x11" * 4))


# ---------------------------------------------------------------- broken rings
fault("broken-crashes", "robust", "a chain that leads outside of the memory ends the process",
    on_path("broken", lambda p, orig, q, e: os.abort() if os.environ.get("PLUMBLINE_FD") else
    1 / 0), ALL)
fault("broken-silent", "robust notify",
    "DEVICE_NEEDS_RESET is set after DRIVER_OK and EVENT_CONFIG is not sent",
    override("event_config", lambda d, orig, *a: None if d.status & 0x40 else orig(*a)),
    "io-broken-needs-reset")
fault("broken-for-ever", "robust reset", "a queue that stopped is not brought back by a reset",
    each(lambda d: d.io().hooks.append(lambda r: setattr(r, "stuck", d.__dict__.get("dead", 0))) or
    setattr(d.io(), "broken", functools.partial(lambda p, orig, q, e: (setattr(p.device, "dead",
    True), orig(q, e)), d.io(), d.io().broken))), ALL)
fault("broken-status-lost", "robust", "a broken ring sets the device's status to 0",
    on_path("broken", lambda p, orig, q, e: (orig(q, e), setattr(p.device, "status", 0))[0]), ALL)

# ---------------------------------------------------------------- notification data
fault("data-refused", "io data", "a notification that carries data is taken for another queue",
    override("available", lambda d, orig, i, off: orig(i, off) if not off else None),
    "io-notification-data")
fault("data-modulo", "io data", "next_off is taken for a place in the ring: later buffers are lost",
    on_path("notified", lambda p, orig, q, data: orig(q, data) if not p.device.negotiated(38) or
    p.device.negotiated(34) or p.ring(q).next < q.size else None), "io-notification-data")
fault("data-wrap-ignored", "io data",
    "next_wrap is not looked at: a full ring looks like an empty one",
    on_path("notified", lambda p, orig, q, data: orig(q, data) if not p.device.negotiated(38) or not
    p.device.negotiated(34) or data & 0x7FFFFFFF != p.ring(q).next else None),
    "io-notification-data")
def _same(path, original, q, data):
    if path.device.negotiated(38) and path.device.negotiated(34):
        if q.__dict__.get("offset") == data & 0x7FFFFFFF:
            return
        q.offset = data & 0x7FFFFFFF
    original(q, data)


fault("data-same-dropped", "io data",
    "a notification for the place of the one before is dropped, a whole turn later too",
    on_path("notified", _same), "io-notification-data")


# ---------------------------------------------------------------- block
def reads(change):
    """change(work, data) of what a read gives."""
    def read(work, original, sector, room):
        status, data = original(sector, room)
        return status, change(work, data) if not status else data
    return on_work("read", read)


def status_of(kinds, change):
    """change(work, status) of requests of some kinds; kinds may be a test."""
    def execute(work, original, request, room):
        status, data = original(request, room)
        kind = struct.unpack_from("<I", request)[0] if len(request) >= 4 else None
        fits = kinds(kind) if callable(kinds) else kind in kinds
        return (change(work, status), data) if fits else (status, data)
    return on_work("execute", execute)


def request_edit(edit):
    """edit(kind, sector, body) of what is asked."""
    def execute(work, original, request, room):
        if len(request) < 16:
            return original(request, room)
        kind, zero, sector = struct.unpack_from("<IIQ", request)
        kind, sector, body = edit(kind, sector, request[16:])
        return original(struct.pack("<IIQ", kind, zero, sector & 2 ** 64 - 1) + body, room)
    return on_work("execute", execute)


BLK = "io-everything"
fault("blk-read-next", "blk", "a read gives the sector after the one that was asked for",
    request_edit(lambda k, s, b: (k, s + (k == 0), b)), "blk-used-disk")
fault("blk-read-first-only", "blk", "a read of several sectors gives the first and then zeros",
    reads(lambda w, data: data[:512].ljust(len(data), b"\0")), "blk-used-disk")
fault("blk-read-repeats", "blk", "a read of several sectors gives the first several times",
    reads(lambda w, data: data[:512] * (len(data) // 512)), "blk-used-disk")
fault("blk-read-bit", "blk", "a bit of the data that is read is wrong",
    reads(lambda w, data: data[:-1] + bytes([data[-1] ^ 1]) if data else data), BLK)
fault("blk-read-zeros", "blk", "a read gives zeros", reads(lambda w, data: bytes(len(data))), BLK)
fault("blk-read-swapped", "blk", "data is read with 16-bit words swapped",
    reads(lambda w, data: bytes(b for i in range(0, len(data), 2) for b in data[i:i + 2][::-1])),
    BLK)
fault("blk-read-short", "blk", "the last byte before the status is not written",
    on_work("answer", lambda w, orig, c, data: (w.mem.scatter(c.writable, 0, data[:-1]), len(data))[
    1]), BLK)
fault("blk-write-next", "blk", "a write goes to the sector after the one that was asked for",
    on_work("store", lambda w, orig, s, data: orig(s + 1, data)), BLK)
fault("blk-write-lost", "blk", "a write is answered and not done",
    on_work("store", lambda w, orig, s, data: None), BLK)
fault("blk-write-first-only", "blk", "of a write the first sector only is stored",
    on_work("store", lambda w, orig, s, data: orig(s, data[:512])), BLK)
fault("blk-write-some-lost", "blk", "every fifth write is lost",
    on_work("store", every(5, lambda w, orig, s, data: None)), BLK)
fault("blk-write-4096", "blk", "a write wipes the rest of its 4096-byte block",
    on_work("store", lambda w, orig, s, data: (orig(s // 8 * 8, bytes(4096)), orig(s, data))[0]),
    BLK)
fault("blk-sector-4096", "blk", "the sector counts in units of 4096 bytes",
    request_edit(lambda k, s, b: (k, s * 8 if k in (0, 1) else s, b)), BLK)
fault("blk-sector-16-bits", "blk", "the sector is cut to 10 bits",
    request_edit(lambda k, s, b: (k, s & 0x3FF if k in (0, 1) else s, b)), "blk-used-disk")
fault("blk-sector-32-bits", "blk", "the sector is cut to 32 bits: a far one is served",
    request_edit(lambda k, s, b: (k, s & 0xFFFFFFFF, b)), BLK)
fault("blk-big-endian", "blk", "requests are read in big-endian",
    request_edit(lambda k, s, b: (int.from_bytes(struct.pack("<I", k), "big"),
    int.from_bytes(struct.pack("<Q", s), "big"), b)), BLK)
fault("blk-status-missing", "blk", "the status byte is not written",
    on_work("put_status", lambda w, orig, c, s: None), BLK)
fault("blk-status-first", "blk", "the status is the first byte of what is written",
    on_work("put_status", lambda w, orig, c, s: w.mem.scatter(c.writable, 0, bytes([s]))), BLK)
fault("blk-status-beyond", "blk", "the status is written one byte too far",
    on_work("put_status", lambda w, orig, c, s: _poke(sum(c.writable[-1]), w)), BLK)
fault("blk-status-errno", "blk", "a failed request has the negative errno as its status",
    status_of(lambda k: True, lambda w, s: 0xFB if s == 1 else 0xA1 if s == 2 else 0), BLK)
fault("blk-unsupported-ok", "blk", "a request of an unknown type succeeds",
    status_of(lambda k: True, lambda w, s: 0 if s == 2 else s), BLK)
fault("blk-unsupported-ioerr", "blk", "a request of an unknown type gets IOERR",
    status_of(lambda k: True, lambda w, s: 1 if s == 2 else s), BLK)
fault("blk-unsupported-hangs", "blk io", "a request of an unknown type is never used",
    on_path("complete", lambda p, orig, ring, chains: _drop_unknown(p, orig, ring, chains)), BLK)


def _drop_unknown(path, original, ring, chains):
    known = [c for c in chains if struct.unpack_from("<I", path.mem.gather(c.readable).ljust(4,
        b"\0"))[0] in (0, 1, 4, 8, 11, 13)]
    if known:
        original(ring, known)


fault("blk-unsupported-read-only", "blk", "a zone request succeeds though ZONED is not offered",
    status_of((18,), lambda w, s: 0), BLK)
fault("blk-beyond-ok", "blk beyond", "a read beyond the capacity gives zeros and succeeds",
    on_work("inside", lambda w, orig, s, n: not n % 512), BLK)
fault("blk-beyond-hangs", "blk beyond", "a request beyond the capacity is never used",
    on_path("complete", lambda p, orig, ring, chains: _drop_beyond(p, orig, ring, chains)), BLK)


def _drop_beyond(path, original, ring, chains):
    def far(chain):
        request = path.mem.gather(chain.readable)
        kind, _, sector = struct.unpack_from("<IIQ", request.ljust(16, b"\0"))
        return kind in (0, 1) and sector + 1 >= path.work.capacity()
    near = [c for c in chains if not far(c)]
    if near:
        original(ring, near)


fault("blk-last-sector", "blk", "the last sector cannot be reached",
    on_work("capacity", lambda w, orig: orig() - 1), BLK)
fault("blk-capacity-kept", "blk config", "after a resize the old capacity still bounds requests",
    on_work("capacity", lambda w, orig: w.__dict__.setdefault("old", orig())), BLK)
fault("blk-read-only-written", "blk", "RO is offered and writes succeed",
    on_work("read_only", lambda w, orig: False), "blk-read-only")
fault("blk-read-only-ok", "blk", "RO is offered; a write succeeds without effect",
    status_of((1,), lambda w, s: 0), "blk-read-only")
fault("blk-read-only-unsupported", "blk", "RO is offered; a write gets UNSUPP",
    status_of((1,), lambda w, s: 2), "blk-read-only")
fault("blk-read-only-stored", "blk", "RO is offered; a write gets IOERR and is done",
    on_work("write", lambda w, orig, s, data: (w.store(s, data), orig(s, data))[1]),
    "blk-read-only")
fault("blk-flush-unsupported", "blk", "FLUSH is offered and a flush gets UNSUPP",
    on_work("flush", lambda w, orig: 2), BLK)
fault("blk-flush-fails", "blk", "a flush gets IOERR", on_work("flush", lambda w, orig: 1), BLK)
fault("blk-flush-forgets", "blk", "a flush throws away what was written",
    on_work("flush", lambda w, orig: (w.device.disk.clear(), 0)[1]), BLK)
fault("blk-id-changes", "blk", "the device id differs from request to request",
    status_of((8,), lambda w, s: (w.o.update(serial=b"plain%d" % w.__dict__.setdefault("n",
    iter(range(1 << 20))).__next__()), s)[1]), BLK)
fault("blk-id-unpadded", "blk", "the bytes after a short id are not written and yet counted",
    on_work("answer", lambda w, orig, c, data: (w.mem.scatter(c.writable, 0, data.rstrip(b"\0")),
    c.space - 1)[1] if data.startswith(b"plain") else orig(c, data)), BLK)
fault("blk-id-long", "blk", "the id is written with a NUL over the status byte and beyond",
    _then(lambda w, c: _poke(sum(c.writable[-1]), w) if c.space == 21 else None), BLK)
fault("blk-batch-mixed", "blk", "two reads of a batch get each other's data",
    on_path("complete", lambda p, orig, ring, chains: _mixed(p, orig, ring, chains)),
    "blk-used-disk")


def _mixed(path, original, ring, chains):
    original(ring, chains)
    pairs = {}
    for chain in chains:
        if chain.space > 500:
            pairs.setdefault(chain.space, []).append(chain)
    for one, two in (some[:2] for some in pairs.values() if len(some) > 1):
        first, second = path.mem.gather(one.writable), path.mem.gather(two.writable)
        path.mem.scatter(one.writable, 0, second[:-1])
        path.mem.scatter(two.writable, 0, first[:-1])


DIS = "blk-discard"
fault("blk-discard-unsupported", "blk", "DISCARD is negotiated and gets UNSUPP",
    status_of((11,), lambda w, s: 2), DIS)
fault("blk-discard-unmap", "blk", "a discard with the unmap flag succeeds",
    on_work("ranges", lambda w, orig, body, at, allowed, act: orig(body, at, 1, act)), DIS)
fault("blk-discard-flags", "blk", "unknown flags of a segment are not looked at",
    on_work("ranges", lambda w, orig, body, at, allowed, act: orig(body, at, 0xFFFFFFFF, act)), DIS)
fault("blk-discard-flags-ioerr", "blk", "unknown flags of a segment get IOERR and not UNSUPP",
    status_of((11, 13), lambda w, s: 1 if s == 2 else s), DIS)
fault("blk-discard-neighbour", "blk", "a discard takes the sector after the range too",
    on_work("discard", lambda w, orig, s, n: orig(s, n + 1)), DIS)
fault("blk-discard-first-sectors", "blk", "a discard always starts at sector 0",
    on_work("discard", lambda w, orig, s, n: orig(0, n)), DIS)
fault("blk-zeroes-kept", "blk", "write zeroes succeeds without effect",
    on_work("zero", lambda w, orig, s, n: None), DIS)
fault("blk-zeroes-ones", "blk", "write zeroes leaves 0xFF",
    on_work("zero", lambda w, orig, s, n: w.store(s, b"\xFF" * 512 * n)), DIS)
fault("blk-zeroes-one-less", "blk", "write zeroes leaves the last sector out",
    on_work("zero", lambda w, orig, s, n: orig(s, n - 1)), DIS)
fault("blk-zeroes-one-more", "blk", "write zeroes takes the sector after the range too",
    on_work("zero", lambda w, orig, s, n: orig(s, n + 1)), DIS)
fault("blk-zeroes-is-discard", "blk", "write zeroes discards, and rubbish is read",
    on_work("zero", lambda w, orig, s, n: w.discard(s, n)), DIS)
fault("blk-zeroes-unsupported", "blk", "WRITE_ZEROES is negotiated and gets UNSUPP",
    status_of((13,), lambda w, s: 2), DIS)
fault("blk-no-feature", "blk", "discard is done though it was not negotiated",
    on_work("execute", lambda w, orig, request, room: (0, b"") if len(request) >= 16 and
    request[0] in (11, 13) else orig(request, room)), BLK)


def _resize(report, bump):
    """An own change of the capacity that is not told, or that keeps the generation."""
    def change(device, original, offset, data):
        device.config[offset:offset + len(data)] = data
        if bump:
            device.bump()
        if report:
            device.report_change(offset, data)
    return override("own_change", change)


fault("blk-resize-silent", "blk config", "a new capacity is not announced by EVENT_CONFIG",
    _resize(False, True), BLK)
fault("blk-resize-same-generation", "blk config", "a new capacity keeps the generation",
    _resize(True, False), BLK)
fault("blk-resize-halves", "blk config",
    "of a new capacity the low half shows at once, the high half and the generation 3 ms later",
    override("own_change", lambda d, orig, o, data: _halves(d, orig, o, data)), BLK)


def _halves(device, original, offset, data):
    device.config[offset:offset + len(data) // 2] = data[:len(data) // 2]
    device.bus.after(0.003, lambda: original(offset, data))


fault("blk-resize-event-at-reset", "blk config", "a resize is announced by the status 0x40",
    override("own_change", lambda d, orig, o, data: (orig(o, data), d.fail())[0]), BLK)

fault("blk-writeback-kept", "blk config",
    "writeback stays 1 though CONFIG_WCE was negotiated without FLUSH",
    override("settle_cache_mode", lambda d, orig: None), BLK)

# ---------------------------------------------------------------- entropy
ENT = "entropy-everything"


def entropy(data):
    return on_work("random", lambda w, orig, count: data(w, orig, count))


fault("entropy-nothing", "entropy", "buffers are used without a single byte",
    on_work("request", lambda w, orig, i, c: 0), ENT)
fault("entropy-len-0", "entropy ring", "random bytes are written and len is 0",
    on_work("request", lambda w, orig, i, c: (orig(i, c), 0)[1]), ENT)
fault("entropy-zeros", "entropy", "the random bytes are all zero",
    entropy(lambda w, orig, n: bytes(n)), ENT)
fault("entropy-constant", "entropy", "every buffer gets the same bytes",
    entropy(lambda w, orig, n: bytes(i * 37 + 11 & 255 for i in range(n))), ENT)
fault("entropy-repeats", "entropy", "4 random bytes are repeated",
    entropy(lambda w, orig, n: (orig(4) * (n // 4 + 1))[:n]), ENT)
fault("entropy-half", "entropy", "half of a buffer is filled, all of it is claimed",
    entropy(lambda w, orig, n: orig((n + 1) // 2)), ENT)
fault("entropy-first-element", "entropy", "only the first element is filled, all are claimed",
    on_work("request", lambda w, orig, i, c: (w.mem.scatter(c.writable[:1], 0, os.urandom(c.space)),
    c.space)[1]), ENT)
fault("entropy-beyond", "entropy ring", "16 bytes are written however short the buffer is",
    on_work("request", lambda w, orig, i, c: (orig(i, c), w.mem.write(c.writable[0][0],
    os.urandom(max(16, c.writable[0][1]))))[0]), ENT)
fault("entropy-too-long", "entropy ring", "len is 64 whatever the buffer holds",
    on_work("request", lambda w, orig, i, c: (orig(i, c), 64)[1]), ENT)
# ---------------------------------------------------------------- console
CON = "console-everything"


def received(change):
    """change(work, done) of what receiving gives."""
    def receive(work, original, index, take):
        done = original(index, take)
        return change(work, done) if done else done
    return on_work("receive", receive)


def sent_as(change):
    """change(data) of what is sent, before it comes back."""
    def request(work, original, index, chain):
        before = {i: bytes(v) for i, v in work.arrived.items() if index == 1 and not
            isinstance(v, list)}
        written = original(index, chain)
        if index == 1:
            old = before.get(0, b"")
            work.arrived[0] = bytearray(old + change(bytes(work.arrived.get(0, b""))[len(old):]))
        return written
    return on_work("request", request)


fault("console-truncates", "console", "the last byte of what is sent is lost",
    sent_as(lambda data: data[:-1]), CON)
fault("console-stops-at-nul", "console", "what is sent ends at its first NUL",
    sent_as(lambda data: data.split(b"\0")[0]), CON)
fault("console-newlines", "console", "a newline becomes two characters",
    sent_as(lambda data: data.replace(b"\n", b"\r\n")), CON)
fault("console-7-bits", "console", "characters are cut to 7 bits",
    sent_as(lambda data: bytes(b & 0x7F for b in data)), CON)
fault("console-doubles", "console", "what is sent comes twice", sent_as(lambda data: data * 2), CON)
fault("console-first-element", "console ring", "only the first element of a buffer is sent",
    on_work("request", lambda w, orig, i, c: orig(i, Fake(c, readable=c.readable[:1]))), CON)
fault("console-len-full", "console ring", "received buffers are always used with their full length",
    received(lambda w, done: [(c, c.space) for c, n in done]), CON)
fault("console-len-0", "console ring", "received buffers are used with len 0",
    received(lambda w, done: [(c, 0) for c, n in done]), CON)
fault("console-empty-buffers", "console", "data is lost where no receive buffer is available",
    on_path("feed", lambda p, orig: (orig(), p.work.arrived.clear())[0]), CON)
fault("console-one-byte-late", "console", "received data starts one byte into the buffer",
    received(lambda w, done: [(c, n) for c, n in done if not w.mem.scatter(c.writable, 0, (b"\0" +
    w.mem.gather(c.writable))[:c.space])]), CON)
fault("console-receives-on-1", "console ring",
    "EVENT_USED for what arrived names the sending queue",
    on_path("used", lambda p, orig, r: p.bus.event(p.device, 0x42, struct.pack("<I", r.q.index |
    1))), CON)
fault("console-silent-arrival", "console notify", "what arrives is not told of",
    on_path("used", lambda p, orig, r: orig(r) if r.q.index else None), CON)
fault("console-emergency-late", "console config", "emerg_wr is refused before DRIVER_OK",
    override("accepts_write", lambda d, orig, *a: bool(d.status & DRIVER_OK) and orig(*a)), CON)
fault("console-emergency-configured", "console config", "emerg_wr is refused at status 0",
    override("accepts_write", lambda d, orig, *a: bool(d.status) and orig(*a)), CON)
fault("console-size-silent", "console config", "a new size is not announced by EVENT_CONFIG",
    _resize(False, True), CON)
fault("console-size-same-generation", "console config", "a new size keeps the generation",
    _resize(True, False), CON)


def _says(change):
    """change(port, event) of what is said on the control queue."""
    return on_work("say", lambda w, orig, port, event, value=0, more=b"": orig(*change(port, event),
        value, more))


fault("console-port-beyond", "console", "DEVICE_ADD names ports from max_nr_ports on",
    _says(lambda port, event: (port + 2 if event == 1 else port, event)), "console-ports")
fault("console-port-twice", "console", "DEVICE_ADD names a port that exists",
    _says(lambda port, event: (0 if event == 1 else port, event)), "console-ports")
fault("console-port-removed", "console", "DEVICE_REMOVE names a port that was never added",
    _says(lambda port, event: (port + 1, 2) if event == 6 and port else (port, event)),
    "console-ports")

# ---------------------------------------------------------------- net
NET, MRG = "net-everything", "net-mergeable"


def header(*fields):
    """The header of what arrives: flags, gso_type, hdr_len, gso_size, csum_start, csum_offset."""
    return on_work("header", lambda w, orig, n: struct.pack("<BBHHHHH", *fields, n))


fault("net-flags-data-valid", "net", "DATA_VALID is set though GUEST_CSUM was not negotiated",
    header(2, 0, 0, 0, 0, 0), NET)
fault("net-flags-needs-csum", "net", "NEEDS_CSUM is set though GUEST_CSUM was not negotiated",
    header(1, 0, 0, 0, 34, 16), NET)
fault("net-flags-reserved", "net", "an unassigned flag is set", header(128, 0, 0, 0, 0, 0), NET)
fault("net-gso-tcp4", "net", "gso_type is TCPV4 though GUEST_TSO4 was not negotiated",
    header(0, 1, 54, 1460, 0, 0), NET)
fault("net-gso-udp", "net", "gso_type is UDP though GUEST_UFO was not negotiated",
    header(0, 3, 42, 1460, 0, 0), NET)
fault("net-gso-tcp6", "net", "gso_type is TCPV6 though GUEST_TSO6 was not negotiated",
    header(0, 4, 74, 1440, 0, 0), NET)
fault("net-gso-ecn", "net", "the ECN bit of gso_type is set though nothing of it was negotiated",
    header(0, 0x81, 54, 1460, 0, 0), NET)
fault("net-buffers-0", "net", "num_buffers is 0",
    on_work("header", lambda w, orig, n: orig(0)), NET)
fault("net-buffers-2", "net", "num_buffers is 2 for a frame in one buffer",
    on_work("header", lambda w, orig, n: orig(2)), NET)
fault("net-buffers-swapped", "net", "num_buffers is big-endian",
    on_work("header", lambda w, orig, n: orig(n << 8)), NET)
fault("net-buffers-one-less", "net", "num_buffers counts the buffers after the first",
    on_work("header", lambda w, orig, n: orig(max(1, n - 1) if n > 1 else 0)), MRG)
fault("net-buffers-always-1", "net", "num_buffers is 1 for a frame in several buffers",
    on_work("header", lambda w, orig, n: orig(1)), MRG)
fault("net-header-10", "net", "the header has the 10 bytes of the legacy interface",
    on_work("header", lambda w, orig, n: orig(n)[:10]), NET)
fault("net-header-missing", "net", "frames arrive without a header",
    on_work("header", lambda w, orig, n: b""), NET)
fault("net-header-20", "net", "the header has the 20 bytes of HASH_REPORT, not negotiated",
    on_work("header", lambda w, orig, n: orig(n) + bytes(8)), NET)


def _copies_header(work, original, index, chain):
    work.sent = work.mem.gather(chain.readable)[:12]
    return original(index, chain)


fault("net-header-copied", "net", "the header that was sent comes back as it was",
    all_of(on_work("request", _copies_header), on_work("header", lambda w, orig, n:
    w.__dict__.get("sent") or orig(n))), NET)
fault("net-merges-unasked", "net", "a frame is spread over buffers without MRG_RXBUF",
    on_work("receive", lambda w, orig, i, take: _spreads(w, i, take)), NET)


def _spreads(work, index, take):
    frame = work.arrived[index][0]
    chains = [c for c in (take(), take()) if c]
    if len(chains) < 2:
        work.path.give_back(index, chains)
        return None
    work.arrived[index].pop(0)
    data = work.header(2) + frame
    first = min(chains[0].space, len(data) - 1)
    work.mem.scatter(chains[0].writable, 0, data[:first])
    work.mem.scatter(chains[1].writable, 0, data[first:])
    return [(chains[0], first), (chains[1], min(len(data) - first, chains[1].space))]


fault("net-merged-piecewise", "net", "the buffers of a frame are used one by one, 2 ms apart",
    on_path("publish", lambda p, orig, ring, done, together=False: [p.later(ring, 2 * i + 1,
    lambda one=one: orig(ring, [one], True)) for i, one in enumerate(done)] if together and
    len(done) > 1 else orig(ring, done, together)), MRG)
fault("net-merged-unfilled", "net", "a buffer of a frame that is not the last is not filled",
    on_work("spread", lambda w, orig, chains, data: _unfilled(w, orig, chains, data)), MRG)


def _unfilled(work, original, chains, data):
    if len(chains) < 2 or chains[0].space < 20 or sum(c.space for c in chains) - 4 < len(data):
        return original(chains, data)
    first = chains[0].space - 4
    work.mem.scatter(chains[0].writable, 0, data[:first])
    return [(chains[0], first)] + original(chains[1:], data[first:])


fault("net-truncates", "net", "the last 4 bytes of a frame are lost",
    on_work("spread", lambda w, orig, chains, data: orig(chains, data[:-4])), NET)
fault("net-pads", "net ring", "len counts a checksum that is not written",
    received(lambda w, done: done[:-1] + [(done[-1][0], done[-1][1] + 4)]), NET)
fault("net-len-of-frame", "net ring", "len leaves the header out",
    received(lambda w, done: [(c, n - 12) for c, n in done]), NET)
fault("net-len-full", "net ring", "received buffers are always used with their full length",
    received(lambda w, done: [(c, c.space) for c, n in done]), NET)
fault("net-frame-twice", "net", "every third frame arrives twice",
    on_work("spread", every(3, lambda w, orig, chains, data: (w.arrived[0].insert(0, data[12:]),
    orig(chains, data))[1])), NET)
fault("net-sends-late-read", "net ring", "a frame is read 3 ms after its buffer was used",
    on_path("complete", lambda p, orig, ring, chains: (p.publish(ring, [(c, 0) for c in chains]),
    p.later(ring, 3, lambda: (p.work.request(ring.q.index, chains[0]), p.feed())))[0] if
    ring.q.index == 1 else orig(ring, chains)), NET)
fault("net-mtu-changes", "net config", "mtu changes after it was set",
    override("write_status", lambda d, orig, v: (orig(v), struct.pack_into("<H", d.config, 10,
    1400) if d.status & 4 else None)[0]), NET)
fault("net-status-silent", "net config", "the link goes down without EVENT_CONFIG",
    _resize(False, True), NET)

# --- zones
ZONED, AWARE, BAD = "blk-zoned", "blk-zoned-aware", "blk-zoned-bad"


def zones(name, text, method, function, style=ZONED):
    fault("zoned-" + name, "blk", text, on_work(method, function), style)


def _moved(work, original, zone, state):
    """A zone that should become something else becomes `state`."""
    status = original(zone)
    if status == 0:
        zone.state = state
    return status


zones("append-start", "append_sector is always the first sector of the zone", "append",
    lambda w, orig, sector, data, room: (lambda status, answer: (status, answer[:-8] +
    struct.pack("<Q", sector)))(*orig(sector, data, room)))
zones("append-anywhere", "an append may name any sector of its zone", "append",
    lambda w, orig, sector, data, room: orig(sector // w.z["size"] * w.z["size"], data, room))
zones("written-anywhere", "a zone can be written anywhere", "put", lambda w, orig, zone, sector,
    data: (w.store(sector, data), setattr(zone, "wp", sector + len(data) // 512), w.grown(zone), 0)[-1]
    if sector + len(data) // 512 <= zone.start + zone.cap else orig(zone, sector, data))
zones("pointer-stays", "the write pointer of a report does not move", "report",
    lambda w, orig, sector, room: (lambda status, data: (status, b"".join(data[:64] if i == 0 else
    data[64 * i:64 * i + 16] + data[64 * i + 8:64 * i + 16] + data[64 * i + 24:64 * i + 64]
    for i in range(len(data) // 64))))(*orig(sector, room)))
zones("counts-all", "nr_zones counts all zones of the device", "report",
    lambda w, orig, sector, room: (lambda status, data: (status, struct.pack("<Q", len(w.zones)) +
    data[8:]) if data else (status, data))(*orig(sector, room)))
zones("no-limit", "more zones can be open than max_open_zones says", "resources",
    lambda w, orig, zone: 0 if orig(zone) == 5 else orig(zone))
zones("wrong-resource", "the status of active zones is given for open ones", "resources",
    lambda w, orig, zone: 6 if orig(zone) == 5 else orig(zone))
zones("close-empties", "closing a zone empties it", "close", lambda w, orig, zone: (lambda status: (
    zone.empty() if status == 0 else None, status)[1])(orig(zone)))
zones("close-forgets", "a closed zone still counts as open", "close", lambda w, orig, zone: _moved(w,
    orig, zone, 2), AWARE)
zones("opens-full", "a full zone can be opened", "open", lambda w, orig, zone: (setattr(zone, "state",
    3), 0)[1] if zone.state == 14 else orig(zone))
zones("finish-closes", "finishing a zone closes it", "finish", lambda w, orig, zone: _moved(w, orig,
    zone, 4))
zones("reset-keeps-pointer", "a reset leaves the write pointer where it was", "reset",
    lambda w, orig, zone: (setattr(zone, "state", 1), 0)[1])
zones("reset-keeps-data", "what was written before a reset is read after it", "read",
    lambda w, orig, sector, room: (0, b"".join(w.sector(sector + i) for i in range(room // 512)))
    if room and len(w.touched(sector, room)) == 1 and w.inside(sector, room) else orig(sector, room),
    AWARE)
zones("manages-conventional", "a conventional zone can be reset", "manage",
    lambda w, orig, kind, zone, sector: 0 if zone and zone.kind == 1 and kind == 24 else
    orig(kind, zone, sector))
zones("offline-ioerr", "requests to an offline zone end with IOERR", "manage",
    lambda w, orig, kind, zone, sector: 1 if zone and zone.state == 15 else orig(kind, zone, sector),
    BAD)
zones("read-only-written", "a read-only zone takes writes", "write", lambda w, orig, sector, data: 0
    if w.zone(sector) and w.zone(sector).state == 13 else orig(sector, data), BAD)
zones("erase-leaves-zones", "a secure erase leaves the zones as they were", "erase",
    lambda w, orig, body: 0, BAD)

NAMES = [name for name in FAULTS if name not in BEFORE]
