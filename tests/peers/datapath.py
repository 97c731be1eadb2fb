# SPDX-License-Identifier: BSD-3-Clause
"""When a device looks at its virtqueues, in which order it uses buffers, and when it tells the
driver: the freedoms that core virtio leaves, chosen by the options of a style."""
import struct

import vring
import work

EVENT_CONFIG, EVENT_USED = 0x40, 0x42
DRIVER_OK, NEEDS_RESET = 4, 0x40
RING_PACKED, IN_ORDER, NOTIFICATION_DATA = 34, 35, 38


class Path:
    """The data path of one device."""

    def __init__(self, device):
        self.device, self.bus, self.o = device, device.bus, device.o
        self.work = work.make(device, self)
        self.dice = None
        self.hooks = []

    @property
    def mem(self):
        if self.bus.mem is None:
            self.bus.mem = vring.Memory(self.bus.mem_fd, self.bus.mem_base, self.bus.mem_size)
        return self.bus.mem

    # --- where a queue stands
    def ring(self, q):
        if q.ring is None:
            kind = vring.Packed if self.device.negotiated(RING_PACKED) else vring.Split
            q.ring = kind(self.mem, q, self.device.negotiated)
            q.ring.q, q.ring.held, q.ring.owed = q, [], False
            q.ring.always = self.o["avail_event_always"]
            q.ring.clears = self.o["packed_clears"]
            for hook in self.hooks:
                hook(q.ring)
        return q.ring

    def live(self):
        return self.device.status & (DRIVER_OK | NEEDS_RESET) == DRIVER_OK and not \
            self.device.resetting

    def alive(self, ring):
        return ring.q.ring is ring and ring.q.enabled and not ring.stuck

    # --- what makes a device look
    def start(self):
        """DRIVER_OK was set."""
        self.work.start()
        if self.o["io_start"] == "serve" or self.o["io_when"] == "poll":
            for q in list(self.device.queues.values()):
                if q.enabled and self.live():
                    self.look(q)

    def enabled(self, q):
        if self.live() and self.o["io_start"] == "serve":
            self.look(q)

    def notified(self, q, data):
        if self.o["io_when"] == "poll":
            return
        if self.o["spurious"] == "kick" and self.live():
            self.guarded_nudge(q)
        if self.o["trusts_data"] and self.device.negotiated(NOTIFICATION_DATA):
            self.look(q, data)
        else:
            self.look(q)

    def guarded_nudge(self, q):
        """An EVENT_USED for nothing, where the driver does not mind."""
        try:
            ring = self.ring(q)
            if not ring.stuck and not ring.event_idx and not ring.suppressed():
                self.used(ring)
        except vring.Broken:
            pass

    def poll(self):
        if self.live():
            for q in list(self.device.queues.values()):
                if q.enabled:
                    self.look(q)

    def look(self, q, data=None):
        """Takes what is available and starts to serve it."""
        try:
            ring = self.ring(q)
            if ring.stuck:
                return
            if self.work.receives(q.index):
                self.offer(ring)
            else:
                self.take(ring, data)
        except vring.Broken as e:
            self.broken(q, e)

    def broken(self, q, error):
        if q.ring is None:
            q.ring = Stuck(q)
        q.ring.stuck, q.ring.flight = True, []
        if self.o["broken"] == "needs-reset":
            self.device.fail()

    def take(self, ring, data):
        hush = self.o["hush"]
        if hush == "working" or hush == "always" and not ring.quiet:
            ring.hush()
        limit = data if data is not None and not ring.event_idx else None
        while self.alive(ring):
            chains = self.fetch(ring, limit)
            if chains:
                self.begin(ring, chains)
                if self.o["io_burst"] and self.alive(ring) and ring.waiting():
                    self.later(ring, 1, lambda: self.live() and self.take(ring, None))
                    break
                continue
            if hush == "never" or hush == "working" and not ring.flight:
                ring.invite()
                if limit is None and ring.waiting():
                    continue
            break

    def fetch(self, ring, limit):
        chains, most = [], self.o["io_burst"] or 65536
        while ring.waiting() and len(chains) < most:
            if limit is not None and ring.reached(limit):
                break
            chains.append(ring.pop())
        return chains

    # --- from taken to used
    def begin(self, ring, chains):
        delay = self.o["io_delay"]
        if not delay:
            self.complete(ring, self.ordered(ring, chains))
            return
        ring.flight += chains
        if self.o["io_order"] == "fifo" or ring.in_order:
            self.later(ring, delay, lambda: self.finish(ring, chains))
        else:
            for i, chain in enumerate(self.ordered(ring, chains)):
                self.later(ring, delay + i, lambda one=chain: self.finish(ring, [one]))

    def ordered(self, ring, chains):
        order = "fifo" if ring.in_order else self.o["io_order"]
        if order == "lifo":
            return chains[::-1]
        if order == "random":
            if self.dice is None:
                import random
                self.dice = random.Random(7)
            self.dice.shuffle(chains)
        return chains

    def later(self, ring, delay, function):
        def due():
            if self.alive(ring):
                self.guarded(ring, function)
        self.bus.after(delay / 1000, due)

    def guarded(self, ring, function):
        try:
            function()
        except vring.Broken as e:
            self.broken(ring.q, e)

    def finish(self, ring, chains):
        """Timed work is done, if the chains are still in flight."""
        chains = [c for c in chains if c in ring.flight]
        ring.flight = [c for c in ring.flight if c not in chains]
        if chains and self.serves():
            self.complete(ring, chains)
        if not ring.flight and self.o["hush"] == "working" and self.live():
            self.take(ring, None)

    def serves(self):
        return self.live() or self.device.resetting and self.o["reset_io"] == "complete"

    def complete(self, ring, chains):
        done = [(chain, self.work.request(ring.q.index, chain)) for chain in chains]
        self.publish(ring, done)
        self.feed()

    def publish(self, ring, done, together=False):
        """Makes buffers used, all at once or one after another, and tells the driver."""
        since = ring.mark()
        if ring.in_order and self.o["skips"] and not together:
            ring.put_grouped(done)
        elif together or self.o["io_publish"] == "batch":
            ring.put(done)
        else:
            for one in done:
                before = ring.mark()
                ring.put([one])
                if self.o["io_publish"] == "each":
                    self.tell(ring, before)
            if self.o["io_publish"] == "each":
                return
        self.tell(ring, since)

    def tell(self, ring, since):
        """The driver's wishes are looked at, at once or some time after the buffers were used."""
        if self.o["decides_late"]:
            self.later(ring, self.o["decides_late"], lambda: self.decide(ring, since))
        else:
            self.decide(ring, since)

    def decide(self, ring, since):
        if self.serves() and ring.wanted(since):
            self.announce(ring)
            if self.o["spurious"] == "twice" and not ring.suppressed() and not ring.event_idx:
                self.used(ring)

    def announce(self, ring):
        if self.o["tells_late"]:
            self.later(ring, self.o["tells_late"], lambda: self.serves() and self.used(ring))
        elif not self.o["moderation"]:
            self.used(ring)
        elif not ring.owed:
            ring.owed = True
            self.later(ring, self.o["moderation"], lambda: self.pay(ring))

    def pay(self, ring):
        if ring.owed and self.serves():
            ring.owed = False
            self.used(ring)

    def used(self, ring):
        self.bus.event(self.device, EVENT_USED, struct.pack("<I", ring.q.index))

    # --- receiving queues
    def offer(self, ring):
        always = self.o["hush"] == "always"
        if always and not ring.quiet:
            ring.hush()
        while True:
            while self.o["prefetch"] and ring.waiting():
                ring.held.append(ring.pop())
            ring.waiting()
            self.fill(ring)
            if always:
                break
            ring.invite()
            if not ring.waiting() or not self.o["prefetch"] and not self.work.due(ring.q.index):
                break

    def feed(self):
        """What arrived goes into buffers of receiving queues."""
        for q in list(self.device.queues.values()):
            if q.enabled and self.work.receives(q.index) and self.work.due(q.index) and self.live():
                self.look(q)

    def fill(self, ring):
        def take():
            if ring.held:
                return ring.held.pop(0)
            return ring.pop() if ring.waiting() else None
        while self.work.due(ring.q.index):
            done = self.work.receive(ring.q.index, take)
            if done is None:
                break
            if done:
                self.publish(ring, done, together=True)

    def give_back(self, index, chains):
        self.device.queues[index].ring.held[:0] = chains

    # --- resets
    def drain(self, q, how):
        """A queue is about to stop with chains in flight."""
        ring = q.ring
        if ring is None or ring.stuck or not ring.flight or how == "drop":
            return
        chains, ring.flight = ring.flight, []
        self.guarded(ring, lambda: self.complete(ring, chains))

    def reset_begins(self, later):
        """The device is about to be reset, at once or later."""
        for q in self.device.queues.values():
            if self.o["reset_io"] == "drop":
                q.ring = None
            elif not later:
                self.drain(q, "complete")

    def forget(self):
        self.work.forget()


class Stuck:
    """The ring of a queue whose areas lie outside the memory."""

    def __init__(self, q):
        self.q, self.flight, self.stuck, self.held = q, [], True, []
