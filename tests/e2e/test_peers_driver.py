# SPDX-License-Identifier: BSD-3-Clause
"""The harness against drivers that know nothing of it: tests/peers/drv.py, written from the
specification's text alone. Every faithful style must pass, every fault must fail by a clause that
it breaks.

PLUMBLINE_E2E says how much of that is done. Without it a sample of the styles meets a sample of the
scenarios, another one each, and a sample of the faults the scenarios of their own clauses; `quick`
takes fewer of both; `full` all of them, the styles with every scenario."""
import functools
import os
import zlib

import pytest

from conftest import ROOT, SECONDS
from peer_runs import MODE, Met, check_fault, check_faithful, sampled, table

DRIVER = ROOT / "tests" / "peers" / "drv.py"
JOBS = os.environ.get("PLUMBLINE_JOBS", "8")
HANG = SECONDS * (10 if MODE == "full" else 2)
SHARE = {"full": 1, "normal": 6, "quick": 61}[MODE]
# Scenarios that every style meets.
PLAIN = ("an-undisturbed-life", "core-messages", "a-response-is-lost", "a-request-fails",
    "needs-reset", "a-write-is-rejected")

# Faults that a run may overlook, with the reason.
BY_DESIGN = {
    "packed-first-first": "no message falls between the writes of one list",
    "reads-whole": "one read may reach over a field that is not offered",
    "features-in-one-go": "it may ask for blocks that there are not; where the answer has no room, only it suffers",
    "no-reset-check": "the response to RESET_VQUEUE counts as the end of the reset, where GET_VQUEUE does not contradict",
    "keeps-generation": "it reads the configuration after each reset, and with it another generation",
    "no-generation-check": "each change is told by an event, too, and then it reads all of it again",
    "features-after-ok": "what is selected once more is the same",
}


STYLES, FAULTS = table(DRIVER, "--list-styles"), table(DRIVER, "--list-faults")


def scenarios(style):
    """The option that selects a style's scenarios: all of them in a full run."""
    if MODE == "full":
        return ()
    names = [line.split()[2] for path in sorted((ROOT / "scenarios").glob("driver_*.yaml")) for
        line in path.read_text(encoding="utf-8").splitlines() if line.startswith("  - name: ")]
    some = [n for n in names if not zlib.crc32((style + n).encode()) % 12]
    return ("--select", ",".join(some + [n for n in PLAIN if n in names]))


def meet(kind, name, *options):
    return Met(DRIVER, kind, name, HANG).run("--role", "driver", "--jobs", JOBS, *options)


@pytest.mark.parametrize("style", sampled(STYLES, SHARE))
def test_faithful(program, style):
    check_faithful(meet("style", style, *scenarios(style)), STYLES[style]["warnings"])


@pytest.mark.parametrize("fault", sampled(FAULTS, SHARE))
def test_fault(program, fault):
    check_fault(functools.partial(meet, "fault", fault), FAULTS[fault]["clauses"], BY_DESIGN.get(fault))
