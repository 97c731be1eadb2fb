# SPDX-License-Identifier: BSD-3-Clause
"""The harness against devices with a data path that know nothing of it: tests/peers/device.py,
written from core virtio's text alone. Every faithful style of virtqueue I/O must conform, and
every fault in it must not.

PLUMBLINE_E2E says how much of that is done, as for test_peers.py: without it all styles and a
third of the faults at one bus setting, `quick` a few of both, `full` all at every setting."""
import concurrent.futures
import functools
import os

import pytest

from conftest import ROOT, SECONDS
from peer_runs import MODE, Met, check_faithful, sampled, table

DEVICE = ROOT / "tests" / "peers" / "device.py"
JOBS = int(os.environ.get("PLUMBLINE_JOBS", "2"))
HANG = SECONDS * (4 if MODE == "full" else 1)
SETTINGS = {"normal": [("--max-msg-size", 264, "--transport-features", 1)], "full": [()]}

# Faults that no run can be asked to find, with the reason.
BY_DESIGN = {
    "blk-beyond-ok": "only the driver is forbidden to ask for sectors beyond the capacity",
    "blk-beyond-hangs": "only the driver is forbidden to ask for sectors beyond the capacity",
    "blk-sector-32-bits": "only the driver is forbidden to ask for sectors beyond the capacity",
    "blk-no-feature": "core does not forbid serving a command that was not negotiated",
    "entropy-repeats": "no message proves that bytes are not random",
    "blk-id-changes": "core does not say that the device id stays the same",
    "blk-capacity-kept": "a capacity that control writes says nothing of the medium behind it",
    "blk-unsupported-ioerr": "core does not forbid IOERR for a type that it does not know",
}


STYLES, FAULTS, IO = table(DEVICE, "--list-styles"), table(DEVICE, "--list-faults"), table(DEVICE, "--list-io")


def chosen(names, share):
    """In `full` all of them; otherwise one in `share`, the same ones whatever else there is."""
    return sampled(names, share.get(MODE, 1))


def meet_all(kind, name):
    """One peer at each setting."""
    met = Met(DEVICE, kind, name, HANG)
    for setting in SETTINGS.get(MODE, SETTINGS["normal"]):
        met.run(*setting)
    return met


@pytest.fixture(scope="module")
def meet(request, program):
    """All peers of the selected tests, met side by side in the order in which they are wanted; by
    a worker of pytest-xdist, which knows the tests of the others too, one when it is asked for."""
    if hasattr(request.config, "workerinput"):
        yield functools.cache(lambda peer: meet_all(*peer))
        return
    wanted = dict.fromkeys(item.callspec.params["peer"] for item in request.session.items if
        item.path.name == "test_peers_io.py" and hasattr(item, "callspec"))
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        futures = {peer: pool.submit(meet_all, *peer) for peer in wanted}
        try:
            yield lambda peer: futures[peer].result()
        finally:
            for future in futures.values():
                future.cancel()


def peers(kind, names):
    return pytest.mark.parametrize("peer", [pytest.param((kind, name), id=name) for name in names])


@peers("style", chosen(IO["styles"], {"normal": 1, "quick": 24}))
def test_faithful(meet, peer):
    check_faithful(meet(peer), STYLES[peer[1]]["warnings"])


@peers("style", chosen(IO["debatable"], {"normal": 1, "quick": 9}))
def test_debatable(meet, peer):
    """The specification can be read either way: the run ends properly, whatever its verdict."""
    assert meet(peer).statuses() <= {0, 1}


@peers("fault", chosen(list(IO["faults"]), {"normal": 3, "quick": 48}))
def test_fault(meet, peer):
    met, tags = meet(peer), FAULTS[peer[1]]["clauses"]
    if peer[1] in BY_DESIGN and met.statuses() == {0}:
        pytest.skip("not judged: " + BY_DESIGN[peer[1]])
    usual = set(STYLES[FAULTS[peer[1]]["style"]]["warnings"])
    caught = met.clauses("fail", "warning") - usual or met.statuses() & {1, 3}
    assert caught, "%s: %s\n%s" % (" ".join(tags), FAULTS[peer[1]]["text"], met)
    assert 1 in met.statuses() or "should" in tags, met
