# SPDX-License-Identifier: BSD-3-Clause
"""The harness against implementations that know nothing of it: tests/peers/device.py, written from
the specification's text alone. Every faithful style must pass whole, every fault must fail by a
clause that it breaks, and every misbehaving process must be reported in bounded time and leave
nothing behind.

PLUMBLINE_E2E says how much of that is done. Without it every peer is met, at the bus settings that
tell most; a fault is looked for with the scenarios of its clauses first, and with all of them only
where those miss it. `quick`, for slow builds, meets a few of each.
`full` runs everything at every setting. PLUMBLINE_JOBS is how many run at a time, 2 without it."""
import concurrent.futures
import functools
import json
import os
import subprocess
import sys

import pytest

from conftest import PLUMBLINE, ROOT, SECONDS
from peer_runs import MODE, Met, sampled, table

DEVICE = ROOT / "tests" / "peers" / "device.py"
JOBS = int(os.environ.get("PLUMBLINE_JOBS", "2"))
HANG = SECONDS * (4 if MODE == "full" else 1)

# What only virtqueue I/O or a reading of the vendor's profile can break.
WITHOUT_FAULT = {"DROK-DEV-02", "USED-DEV-01"}
# Faults that no message proves; a run may overlook them.
BY_DESIGN = {
    "sends-used-early": "virtqueues are not used, so EVENT_USED may have a cause that is not seen",
    "sends-used-after-reset":
        "virtqueues are not used, so EVENT_USED may have a cause that is not seen",
    "sends-own-event": "implementation-defined ids may have been agreed on out of band",
    "select-after-ok-silent": "a driver has no reason to select features after FEATURES_OK, and "
        "what a device then does is left open",
    "shm-offset": "what memory lies behind an address is known to the platform alone",
    "reset-keeps-features": "the driver's selection cannot be read back",
    "missing-inside-claimed": "a second name for queue 0 looks as a queue of its own would; what "
        "shows is reported by GVQ-DEV-01",
}


def setting(size, features):
    return ("--max-msg-size", size, "--transport-features", features)


STRICT, BASELINE, SMALL, SMALL_BASELINE = (setting(264, 1), setting(264, 0), setting(52, 1),
    setting(52, 0))


def judged_clauses():
    """What a report on a device judges; nothing where the program is not built."""
    if not PLUMBLINE.exists():
        return {}
    listed = json.loads(subprocess.run([PLUMBLINE, "clauses", "--role", "device", "--format",
        "json"], check=True, capture_output=True, text=True).stdout)
    return {c["id"]: c for c in listed if c.get("judged")}


# What takes long in every scenario meets a few of them only.
BRIEFLY = {"floods": ("--select", "core-messages,ORD-DEV-02")}
STYLES, FAULTS, BAD = (table(DEVICE, "--list-" + what) for what in ("styles", "faults", "bad"))
IO = set(table(DEVICE, "--list-io")["styles"])  # left to test_peers_io.py
JUDGED = judged_clauses()


def expected(fault):
    """The clauses one of which a report should show as failed."""
    return [c for c in FAULTS[fault]["clauses"] if c in JUDGED]


def styles(debatable):
    names = [name for name, one in STYLES.items() if one["debatable"] == debatable]
    return sampled([n for n in names if n not in IO], 16 if MODE == "quick" else 1)


def faults():
    """All faults; in a quick run a third of those that first break a clause."""
    if MODE != "quick":
        return list(FAULTS)
    met, chosen = set(), []
    for name in FAULTS:
        new = set(expected(name)[:1]) - met
        if new and name not in BY_DESIGN:
            chosen.append(name)
            met |= new
    return sampled(chosen, 3)


def processes():
    """All misbehaving processes; in a quick run some of them."""
    return sampled(BAD, 5 if MODE == "quick" else 1)


class Peer(Met):
    """All runs of `plumbline test` with one peer."""

    def __init__(self, kind, name):
        super().__init__(DEVICE, kind, name, HANG)
        self.name = name
        getattr(self, "meet_" + kind)()

    def run(self, *options):
        super().run(*options)
        assert self.runs[-1].status in (0, 1, 3), self.runs[-1]
        return self

    def meet_style(self):
        few = [STRICT] if MODE == "quick" else [STRICT, SMALL_BASELINE]
        for one in [()] if MODE == "full" else few:
            self.run(*one)

    def meet_bad(self):
        self.run(*(() if MODE == "full" else STRICT + BRIEFLY.get(self.name, ())))

    def meet_fault(self):
        """Stops at the first setting that shows the fault."""
        due = expected(self.name)
        if not due:
            return
        some = ("--select", ",".join(["core-messages"] + due))
        settings = [STRICT, BASELINE, SMALL, SMALL_BASELINE]
        tries = [one + some for one in settings] + settings
        for one in [()] if MODE == "full" else tries:
            self.run(*one)
            if self.caught():
                break

    def caught(self):
        return self.clauses("fail", "warning") & set(FAULTS[self.name]["clauses"])

    def kinds(self):
        return {f["kind"] for report in self.reports for f in report["findings"]}


@pytest.fixture(scope="session")
def meet(request, program):
    """The peers of all selected tests, met side by side: those that take longest first, then in
    the order in which they are asked for. A worker of pytest-xdist knows the tests of the others
    too, and meets a peer when it is asked for."""
    if hasattr(request.config, "workerinput"):
        yield functools.cache(lambda peer: Peer(*peer))
        return
    wanted = dict.fromkeys(item.callspec.params["peer"] for item in request.session.items if
        item.path.name == "test_peers.py" and hasattr(item, "callspec") and
        "peer" in item.callspec.params)
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        futures = {peer: pool.submit(Peer, *peer) for peer in sorted(wanted, key=lambda peer:
            peer[0] != "bad")}
        try:
            yield lambda peer: futures[peer].result()
        finally:
            for future in futures.values():
                future.cancel()


def peers(kind, names):
    return pytest.mark.parametrize("peer", [pytest.param((kind, name), id=name) for name in names])


@peers("style", styles(debatable=False))
def test_faithful(meet, peer):
    met = meet(peer)
    assert not met.clauses("fail"), met
    assert met.statuses() == {0}, met
    assert all(report["summary"]["conforms"] for report in met.reports), met
    assert met.clauses("warning") <= set(STYLES[peer[1]]["warnings"]), met


@peers("style", styles(debatable=True))
def test_debatable(meet, peer):
    """The specification can be read either way: the run ends properly, whatever its verdict."""
    meet(peer)


@peers("fault", faults())
def test_fault(meet, peer):
    met, name = meet(peer), peer[1]
    if not met.runs:
        pytest.skip("a report on a device judges none of %s" % ", ".join(FAULTS[name]["clauses"]))
    if name in BY_DESIGN and not met.caught():
        pytest.skip("not judged: " + BY_DESIGN[name])
    assert met.caught(), "failed %s, expected one of %s\n%s" % (sorted(met.clauses("fail",
        "warning")), FAULTS[name]["clauses"], met)
    assert 1 in met.statuses() or not met.clauses("fail"), met


@peers("bad", processes())
def test_bad_process(meet, peer):
    met, finds = meet(peer), set(BAD[peer[1]]["finds"])
    if "none" in finds:
        assert not met.clauses("fail"), met
        assert met.statuses() == {0} or len(finds) > 1, met
        return
    # The harness's own status 3 is right where nothing can be judged at all: the peer is gone.
    assert met.statuses() == {1} and met.kinds() & finds or met.statuses() == {3} and \
        "exit" in finds, "%s, expected one of %s\n%s" % (met.kinds(), finds, met)


def test_every_judged_clause_has_a_fault(program):
    due = {c["id"] for c in JUDGED.values() if c["how"] in ("passive", "active") and c["role"] in
        ("device", "any") and c["spec"] == "virtio-msg-r1"}
    broken = {c for one in FAULTS.values() for c in one["clauses"]}
    assert due - broken <= WITHOUT_FAULT


@pytest.mark.skipif(MODE == "quick", reason="the build of the harness has no part in it")
def test_smoke():
    """The peers hold together by themselves, without the harness."""
    done = subprocess.run([sys.executable, ROOT / "tests" / "peers" / "smoke.py"],
        capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
