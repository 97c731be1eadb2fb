# SPDX-License-Identifier: BSD-3-Clause
"""Faithful styles of device.py that differ in what they do with virtqueues: what they offer, when
they look, in which order they use buffers, what they tell, what a reset makes of I/O in flight."""
import struct

import zones

INDIRECT_DESC, EVENT_IDX, VERSION_1, RING_PACKED, IN_ORDER = 28, 29, 32, 34, 35
NOTIFICATION_DATA, RING_RESET = 38, 40
ALL = (INDIRECT_DESC, EVENT_IDX, VERSION_1, RING_PACKED, IN_ORDER, NOTIFICATION_DATA, RING_RESET)
RO, FLUSH, MQ, DISCARD, WRITE_ZEROES = 5, 9, 12, 13, 14
MULTIPORT, MRG_RXBUF = 1, 15


def without(features, *bits):
    return tuple(bit for bit in features if bit not in bits)


def with_discard(config):
    """A block configuration whose limits for discard and write zeroes are set."""
    config = bytearray(config)
    struct.pack_into("<IIIIIB", config, 36, 512, 4, 1, 256, 2, 1)
    return bytes(config)


def capacity(config, sectors):
    return struct.pack("<Q", sectors) + config[8:]


def make(BLK, ENTROPY, NET, CONSOLE):
    """Two tables like STYLES and DEBATABLE of device.py."""
    def own(features):
        """What belongs to the device type among features."""
        return tuple(bit for bit in features if bit < 24)

    def blk(*bits, **more):
        return dict(BLK, features=own(BLK["features"]) + (bits or (INDIRECT_DESC, VERSION_1,
            RING_RESET)), **more)

    def everything(base, *bits, **more):
        return dict(base, features=own(base["features"]) + ALL + bits, **more)

    packed = (VERSION_1, RING_PACKED, RING_RESET)
    late, mixed = dict(io_delay=3), everything(BLK)
    discard = dict(config=with_discard(BLK["config"]))
    ports = dict(CONSOLE, config=struct.pack("<HHII", 80, 25, 2, 0),
        queues=[64] * 6)
    def zoned(*bits, **more):
        """Zones as `more` says; whatever else belongs to the device under `style`."""
        style = more.pop("style", {})
        return dict(BLK, features=own(BLK["features"]) + (17, INDIRECT_DESC, VERSION_1, RING_RESET) +
            bits, config=zones.config(BLK["config"], **more), zones=more, **style)

    bad = ((2, zones.READ_ONLY), (4, zones.OFFLINE))
    styles = {
        # zones
        "blk-zoned": ("host-managed zones, one of them conventional", zoned()),
        "blk-zoned-aware": ("host-aware zones", zoned(model=zones.AWARE)),
        "blk-zoned-no-append": ("blocks of 4096 bytes, smaller capacities, no appends",
            zoned(grain=4096, size=256, cap=128, append=0, conv=0)),
        "blk-zoned-bad": ("one zone is read-only, one is offline; secure erase",
            zoned(16, bad=bad, finish=False)),
        "blk-zoned-one": ("one zone can be open, and stays so; what is unwritten cannot be read",
            zoned(most_open=1, active=1, gives_way=False, unwritten=None, conv=2)),
        "blk-zoned-unlimited": ("neither open nor active zones are limited; 3 ms later",
            zoned(size=100, most_open=0, active=0, append=100, style=late)),
        "blk-zoned-aware-active": ("host-aware zones of which few can be active",
            zoned(16, model=zones.AWARE, most_open=0, active=2, bad=bad, conv=0)),
        # what is offered
        "io-bare": ("a block device that offers VERSION_1 and nothing else",
            dict(BLK, features=(VERSION_1,), config=capacity(bytes(60), 2048), writable=[])),
        "io-everything": ("a block device that offers every ring feature", mixed),
        "io-split-everything": ("every ring feature except packed",
            dict(BLK, features=without(mixed["features"], RING_PACKED))),
        "io-packed-only": ("FEATURES_OK is refused without RING_PACKED; every feature is offered",
            everything(BLK, needs_packed=True)),
        "io-packed-bare": ("packed rings, neither indirect nor EVENT_IDX",
            blk(*packed, needs_packed=True)),
        "io-packed-event-idx": ("packed rings and EVENT_IDX", blk(EVENT_IDX, *packed)),
        "io-packed-indirect": ("packed rings and indirect descriptors",
            blk(INDIRECT_DESC, *packed)),
        "io-in-order": ("IN_ORDER, one used element for each buffer",
            blk(IN_ORDER, RING_PACKED, VERSION_1, RING_RESET, io_publish="each")),
        "io-in-order-skips": ("IN_ORDER, one used element for a batch",
            everything(BLK, skips=True)),
        "io-in-order-skips-late": ("IN_ORDER, a batch of 3 ms in one used element",
            everything(BLK, skips=True, **late)),
        "io-notification-data": ("NOTIFICATION_DATA is offered and not looked at",
            blk(NOTIFICATION_DATA, RING_PACKED, VERSION_1, RING_RESET)),
        "io-trusts-data": ("what NOTIFICATION_DATA says bounds what is looked at",
            blk(NOTIFICATION_DATA, EVENT_IDX, RING_PACKED, VERSION_1, trusts_data=True)),
        "io-no-ring-reset": ("every ring feature except RING_RESET",
            dict(BLK, features=without(mixed["features"], RING_RESET))),
        "io-avail-event-always": ("avail_event is written without EVENT_IDX too: drivers ignore it",
            everything(BLK, avail_event_always=True)),
        "io-packed-clears": ("the address of a used descriptor, which is unused, is cleared",
            blk(EVENT_IDX, INDIRECT_DESC, *packed, packed_clears=True)),
        # sizes
        "io-size-1": ("max_size 1 and every feature", everything(BLK, queues=[1])),
        "io-size-2": ("max_size 2 and every feature", everything(BLK, queues=[2])),
        "io-size-3": ("max_size 3: no power of two, for packed rings",
            everything(BLK, queues=[3])),
        "io-size-1000": ("max_size 1000, packed rings only",
            everything(BLK, queues=[1000], needs_packed=True)),
        "io-size-32768": ("max_size 32768 and every feature", everything(BLK, queues=[32768])),
        "io-even-packed": ("sizes that are no power of two are refused for packed rings too",
            everything(BLK, odd_packed_size=False)),
        # when and in which order
        "io-late": ("buffers are used 3 ms after they were made available",
            everything(BLK, **late)),
        "io-late-mixed": ("the same, each by itself and in any order",
            dict(BLK, features=without(mixed["features"], IN_ORDER), io_order="random", **late)),
        "io-lifo": ("of a batch the last is used first",
            dict(BLK, features=without(mixed["features"], IN_ORDER), io_order="lifo")),
        "io-shuffled": ("a batch is used in any order, one by one",
            dict(BLK, features=without(mixed["features"], IN_ORDER), io_order="random",
            io_publish="each")),
        "io-one-by-one": ("used one by one, told once", everything(BLK, io_publish="single")),
        "io-burst-1": ("one buffer each ms", everything(BLK, io_burst=1)),
        "io-burst-3": ("three buffers each ms, told one by one",
            everything(BLK, io_burst=3, io_publish="each")),
        "io-waits-for-kick": ("buffers from before DRIVER_OK wait for the first notification",
            everything(BLK, io_start="wait")),
        "io-polls": ("the rings are looked at each ms, notifications are ignored",
            everything(BLK, io_when="poll")),
        "io-polls-hushed": ("the same, and notifications are suppressed",
            everything(BLK, io_when="poll", hush="always")),
        "io-hushes": ("notifications are suppressed while buffers are in flight",
            everything(BLK, hush="working", **late)),
        # what is told
        "io-moderated": ("one EVENT_USED for what is used within 2 ms",
            everything(BLK, io_publish="each", moderation=2)),
        "io-twice": ("EVENT_USED is sent twice", everything(BLK, spurious="twice")),
        "io-told-for-nothing": ("EVENT_USED for each notification, used or not",
            everything(BLK, spurious="kick", **late)),
        # parts that work each by itself: what one does is told by another one some time later
        "io-moderated-long": ("one EVENT_USED for what is used within 40 ms",
            everything(BLK, io_publish="each", moderation=40)),
        "io-tells-late": ("each EVENT_USED is sent 4 ms after it was decided on",
            everything(BLK, io_publish="each", tells_late=4)),
        "io-tells-late-split": ("the same without packed rings and EVENT_IDX",
            blk(INDIRECT_DESC, VERSION_1, RING_RESET, io_publish="each", tells_late=4)),
        "io-decides-late": ("whether to send EVENT_USED is decided 3 ms after a buffer was used",
            everything(BLK, io_publish="each", decides_late=3)),
        "io-decides-late-split": ("the same without packed rings and EVENT_IDX",
            blk(INDIRECT_DESC, VERSION_1, RING_RESET, io_publish="each", decides_late=3)),
        "io-decides-late-packed": ("the same with packed rings, without EVENT_IDX",
            blk(*packed, needs_packed=True, io_publish="each", decides_late=3, tells_late=2)),
        "io-slow": ("each batch takes 60 ms", everything(BLK, io_delay=60)),
        "config-event-late": ("an own change is reported 5 ms later",
            everything(BLK, event_late=5)),
        "config-by-the-clock": ("own changes every 7 ms, whatever is going on",
            dict(BLK, timed_changes=7)),
        "config-by-the-clock-late": ("own changes every 5 ms, reported 3 ms later",
            dict(BLK, timed_changes=5, event_late=3)),
        # resets and errors
        "io-reset-drops": ("an asynchronous reset drops what is in flight",
            everything(BLK, reset_delay=3, **late)),
        "io-reset-completes": ("an asynchronous reset ends after what is in flight",
            everything(BLK, reset_delay=4, reset_io="complete", **late)),
        "io-reset-completes-at-once": ("a reset completes what is in flight before it is answered",
            everything(BLK, reset_io="complete", **late)),
        "io-queue-reset-drops": ("RESET_VQUEUE drops what is in flight", blk(RING_RESET,
            RING_PACKED, VERSION_1, ring_reset_keeps=True, **late)),
        "io-queue-reset-completes": ("RESET_VQUEUE completes what is in flight",
            everything(BLK, vq_reset_io="complete", **late)),
        "io-broken-needs-reset": ("a broken ring sets DEVICE_NEEDS_RESET",
            everything(BLK, broken="needs-reset")),
        "io-broken-stops": ("a broken ring stops its queue, the others go on",
            everything(BLK, MQ, queues=[64, 64],
            config=BLK["config"][:34] + b"\2\0" + BLK["config"][36:])),
        # block
        "blk-read-only": ("RO is offered", everything(BLK, RO)),
        "blk-discard": ("DISCARD and WRITE_ZEROES, discarded sectors read as rubbish",
            everything(BLK, DISCARD, WRITE_ZEROES, **discard)),
        "blk-discard-keeps": ("DISCARD and WRITE_ZEROES, discarded sectors keep their data",
            everything(BLK, DISCARD, WRITE_ZEROES, discards=False, **discard)),
        "blk-used-disk": ("the disk is not empty", everything(BLK, used_disk=True)),
        "blk-untouched": ("buffers of failed requests keep their data, and len tells so",
            everything(BLK, fill="none")),
        "blk-long-serial": ("an id of 20 bytes without a NUL",
            everything(BLK, serial=b"plain-python-disk-20")),
        "blk-8-sectors": ("a capacity of 8 sectors",
            everything(BLK, config=capacity(BLK["config"], 8))),
        "blk-empty": ("a capacity of 0", everything(BLK, config=capacity(BLK["config"], 0))),
        "blk-write-through": ("neither FLUSH nor CONFIG_WCE",
            dict(BLK, features=(2, 6) + ALL, writable=[])),
        "blk-queues": ("four queues, in any order and late",
            dict(BLK, features=without(mixed["features"], IN_ORDER) + (MQ,), queues=[32] * 4,
            io_order="random", config=BLK["config"][:34] + b"\4\0" + BLK["config"][36:], **late)),
        # entropy
        "entropy-everything": ("every ring feature", everything(ENTROPY)),
        "entropy-some": ("at most 7 bytes a buffer", everything(ENTROPY, entropy_most=7)),
        "entropy-one": ("one byte a buffer, 3 ms later",
            everything(ENTROPY, entropy_most=1, **late)),
        # console
        "console-everything": ("every ring feature", everything(CONSOLE)),
        "console-late": ("every ring feature, 3 ms later", everything(CONSOLE, **late)),
        "console-sink": ("nothing ever arrives", everything(CONSOLE, loops=False)),
        "console-greets": ("something arrives first", everything(CONSOLE, greets=True)),
        "console-prefetches": ("receive buffers are taken at once",
            everything(CONSOLE, prefetch=True)),
        "console-ports": ("MULTIPORT with two ports", everything(ports, MULTIPORT)),
        # net
        "net-everything": ("every ring feature", everything(NET)),
        "net-mergeable": ("MRG_RXBUF", everything(NET, MRG_RXBUF)),
        "net-mergeable-late": ("MRG_RXBUF, 3 ms later, receive buffers taken at once",
            everything(NET, MRG_RXBUF, prefetch=True, **late)),
        "net-sink": ("nothing ever arrives", everything(NET, loops=False)),
        "net-greets": ("a frame arrives first", everything(NET, greets=True)),
    }
    debatable = {
        "blk-no-id": ("GET_ID is not supported (core names it among the requests, not as optional)",
            everything(BLK, serial=None)),
        "io-len-0": ("used buffers always have len 0 (core: an underestimate is permitted)",
            everything(BLK, length="zero")),
        "io-len-without-status": ("len leaves the status byte out (an underestimate)",
            everything(BLK, length="data")),
    }
    picky = ("CORE-FEAT-DEV-02",)  # not every valid set of features is accepted
    unsafe = ("BLK-DEV-01",)  # a block device should offer FLUSH

    def warnings(options):
        return (picky if options.get("needs_packed") else ()) + (unsafe if options["type"] == 2 and
            FLUSH not in options["features"] else ())
    return ({name: (text, options, warnings(options)) for name, (text, options) in styles.items()},
        {name: (text, options, ()) for name, (text, options) in debatable.items()})
