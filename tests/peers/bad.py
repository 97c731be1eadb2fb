# SPDX-License-Identifier: BSD-3-Clause
"""Misbehaving processes for device.py: not wrong about the protocol but bad to live with.
Each names what a harness may report of it: kinds of findings, or `none` where the device still
answers as it should."""
import os
import select
import signal
import struct
import sys
import time

import device as d

BAD = {}


def bad(name, finds, text):
    def keep(function):
        BAD[name] = (tuple(finds.split()), text, function)
        return function
    return keep


def run(name, bus, carrier, control):
    if name not in BAD:
        sys.exit("device: no --bad '%s'; --list-bad shows them" % name)
    return BAD[name][2](bus, carrier, control) or 0


def after(bus, count, function):
    """Calls function once `count` messages have arrived."""
    original, seen = bus.receive, [0]

    def receive(packet):
        seen[0] += 1
        if seen[0] == count:
            function()
        original(packet)
    bus.receive = receive


def leave(status):
    sys.stderr.flush()
    os._exit(status)


def idle_forever():
    while True:
        signal.pause()


@bad("never-answers", "hang clause", "reads everything and answers nothing")
def never_answers(bus, carrier, control):
    bus.receive = lambda packet: None
    d.serve(bus, carrier, control)


@bad("never-reads", "hang clause", "does not even read")
def never_reads(bus, carrier, control):
    poller = select.poll()
    poller.register(carrier, 0)
    poller.poll()


@bad("stops-answering", "hang clause", "answers 30 messages and no more")
def stops_answering(bus, carrier, control):
    after(bus, 30, lambda: setattr(bus, "respond", lambda request, payload: None))
    d.serve(bus, carrier, control)


@bad("spins", "hang clause", "runs in circles from its 20th message on")
def spins(bus, carrier, control):
    def forever():
        while True:
            pass
    after(bus, 20, forever)
    d.serve(bus, carrier, control)


@bad("stopped", "hang clause crash", "stops itself with SIGSTOP at its 20th message")
def stopped(bus, carrier, control):
    after(bus, 20, lambda: os.kill(os.getpid(), signal.SIGSTOP))
    d.serve(bus, carrier, control)


@bad("late", "none", "every thousandth answer comes 30 ms late")
def late(bus, carrier, control):
    original, seen = bus.receive, [0]

    def receive(packet):
        seen[0] += 1
        if seen[0] % 1000 == 0:
            time.sleep(0.03)
        original(packet)
    bus.receive = receive
    d.serve(bus, carrier, control)


@bad("twice", "clause", "each answer comes twice")
def twice(bus, carrier, control):
    bus.filters.append(lambda m, request: [m, m] if request else m)
    d.serve(bus, carrier, control)


@bad("collects", "none", "waits until 0.1 ms pass without a message, then answers everything at once")
def collects(bus, carrier, control):
    original, waiting = bus.receive, []

    def answer():
        todo, waiting[:] = waiting[:], []
        for packet in todo:
            original(packet)

    def receive(packet):
        waiting.append(packet)
        if select.select([carrier], [], [], 0.0001)[0]:
            bus.after(0.0001, answer)
        else:
            answer()
    bus.receive = receive
    d.serve(bus, carrier, control)


@bad("collects-16", "hang clause", "answers only when 16 requests are waiting")
def collects_16(bus, carrier, control):
    original, waiting = bus.receive, []

    def receive(packet):
        waiting.append(packet)
        if len(waiting) == 16:
            for one in waiting:
                original(one)
            waiting.clear()
    bus.receive = receive
    d.serve(bus, carrier, control)


def noise(seed):
    """Bytes that look random and are the same every time."""
    state = seed
    while True:
        state = (state * 6364136223846793005 + 1442695040888963407) & (1 << 64) - 1
        yield state >> 56


@bad("random", "clause protocol hang", "each answer is replaced by random bytes")
def random(bus, carrier, control):
    source = noise(1)
    bus.filters.append(lambda m, request: bytes(next(source) for _ in range(1 + next(source) % 64)))
    d.serve(bus, carrier, control)


@bad("random-payload", "clause protocol", "each answer has a random payload of the right size")
def random_payload(bus, carrier, control):
    source = noise(2)
    bus.filters.append(lambda m, request: m[:8] + bytes(next(source) for _ in m[8:]))
    d.serve(bus, carrier, control)


@bad("short-packets", "clause protocol hang", "each answer is cut to 5 bytes")
def short_packets(bus, carrier, control):
    bus.filters.append(lambda m, request: m[:5])
    d.serve(bus, carrier, control)


@bad("huge-packets", "clause protocol hang",
    "each answer is followed by 60000 bytes of zeros in one packet")
def huge_packets(bus, carrier, control):
    bus.filters.append(lambda m, request: m + bytes(60000))
    d.serve(bus, carrier, control)


@bad("closes-mid-message", "exit protocol hang clause crash",
    "sends half of an answer, then closes the socket and ends")
def closes_mid_message(bus, carrier, control):
    def close():
        carrier.sock.setblocking(True)
        carrier.sock.send(struct.pack("<BBHHH", 1, d.GET_DEVICE_STATUS, 0, 0, 12)[:6])
        carrier.sock.close()
        leave(0)
    after(bus, 10, close)
    d.serve(bus, carrier, control)


@bad("closes-and-stays", "exit protocol hang crash",
    "closes the message socket at its 10th message and lives on")
def closes_and_stays(bus, carrier, control):
    def close():
        carrier.sock.close()
        idle_forever()
    after(bus, 10, close)
    d.serve(bus, carrier, control)


@bad("segfaults", "crash", "dies of SIGSEGV at its 25th message")
def segfaults(bus, carrier, control):
    after(bus, 25, lambda: os.kill(os.getpid(), signal.SIGSEGV))
    d.serve(bus, carrier, control)


@bad("aborts", "crash", "dies of SIGABRT when a queue index has bit 31 set")
def aborts(bus, carrier, control):
    original = bus.receive

    def receive(packet):
        if len(packet) >= 12 and packet[1] in (d.GET_VQUEUE, d.SET_VQUEUE,
                d.RESET_VQUEUE) and packet[11] & 0x80:
            os.abort()
        original(packet)
    bus.receive = receive
    d.serve(bus, carrier, control)


@bad("segfaults-on-short", "crash", "dies of SIGSEGV on a GET_CONFIG without payload")
def segfaults_on_short(bus, carrier, control):
    original = bus.receive

    def receive(packet):
        if len(packet) == 8 and packet[1] == d.GET_CONFIG and not packet[0] & 2:
            os.kill(os.getpid(), signal.SIGSEGV)
        original(packet)
    bus.receive = receive
    d.serve(bus, carrier, control)


@bad("exits-late", "exit crash", "ends with status 3 at its 25th message")
def exits_late(bus, carrier, control):
    after(bus, 25, lambda: leave(3))
    d.serve(bus, carrier, control)


@bad("exits-0", "exit crash", "ends with status 0 at its 25th message")
def exits_0(bus, carrier, control):
    after(bus, 25, lambda: leave(0))
    d.serve(bus, carrier, control)


@bad("exits-at-once", "exit crash", "ends with status 2 before anything")
def exits_at_once(bus, carrier, control):
    leave(2)


@bad("forks", "none", "leaves three children behind that hold every descriptor")
def forks(bus, carrier, control):
    for _ in range(3):
        if os.fork() == 0:
            idle_forever()
    d.serve(bus, carrier, control)


@bad("forks-deaf", "none", "leaves a child behind that ignores SIGTERM and SIGHUP")
def forks_deaf(bus, carrier, control):
    if os.fork() == 0:
        for one in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(one, signal.SIG_IGN)
        idle_forever()
    d.serve(bus, carrier, control)


@bad("child-serves", "none", "the process that was started ends at once and a child serves")
def child_serves(bus, carrier, control):
    if os.fork():
        leave(0)
    d.serve(bus, carrier, control)


@bad("floods", "clause hang protocol", "sends EVENT_CONFIG without end")
def floods(bus, carrier, control):
    event = struct.pack("<BBHHHIIII", 0, d.EVENT_CONFIG, 0, 0, 24, 0, 0, 0, 0)
    while not carrier.ended:
        for packet in carrier.packets():
            bus.receive(packet)
        d.flush(bus, carrier)
        for _ in range(64):
            carrier.write(event)


@bad("floods-unread", "clause hang protocol", "sends EVENT_USED without end and reads nothing")
def floods_unread(bus, carrier, control):
    event = struct.pack("<BBHHHI", 0, d.EVENT_USED, 0, 0, 12, 0)
    while not carrier.ended:
        carrier.write(event)


@bad("fills-stderr", "none", "writes 4 MiB to stderr and 1 MiB to stdout while it serves")
def fills_stderr(bus, carrier, control):
    def speak():
        for _ in range(64):
            os.write(2, b"device: something worth a line of log\n" * 1724)
        for _ in range(16):
            os.write(1, b"device: more of that, on the other one\n" * 1680)
    after(bus, 5, speak)
    d.serve(bus, carrier, control)


@bad("ignores-eof", "none", "stays when the harness hangs up")
def ignores_eof(bus, carrier, control):
    d.serve(bus, carrier, control)
    idle_forever()


@bad("ignores-eof-and-term", "none",
    "stays when the harness hangs up, and ignores SIGTERM and SIGHUP")
def ignores_eof_and_term(bus, carrier, control):
    for one in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(one, signal.SIG_IGN)
    d.serve(bus, carrier, control)
    idle_forever()


@bad("exit-status-at-eof", "none", "ends with status 7 when the harness hangs up")
def exit_status_at_eof(bus, carrier, control):
    d.serve(bus, carrier, control)
    leave(7)


@bad("control-closed", "none", "closes its control socket")
def control_closed(bus, carrier, control):
    if control:
        control.sock.close()
    d.serve(bus, carrier, None)


@bad("control-silent", "none hang error", "takes control requests and never answers one")
def control_silent(bus, carrier, control):
    if control:
        control.answer = lambda text: None
    bus.control = lambda line: ""
    d.serve(bus, carrier, control)


@bad("control-rubbish", "none error", "answers control requests with what is no answer")
def control_rubbish(bus, carrier, control):
    bus.control = lambda line: "\xff\x00 who knows? " + "x" * 5000
    d.serve(bus, carrier, control)


@bad("control-lies", "clause", "answers every control request with ok and does nothing")
def control_lies(bus, carrier, control):
    bus.control = lambda line: "ok"
    d.serve(bus, carrier, control)
