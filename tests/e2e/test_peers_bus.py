# SPDX-License-Identifier: BSD-3-Clause
"""The harness against message buses that know nothing of it: tests/peers/msgbus.py, written from the
specification's text alone. Every faithful style must pass, every fault must fail by a clause that
it breaks.

PLUMBLINE_E2E says how much of that is done. Without it a sample of styles and
faults, `quick` fewer of both, `full` all of them. A style meets every scenario, a fault those of
its own clauses first."""
import functools
import os
import subprocess

import pytest

from conftest import PLUMBLINE, ROOT, SECONDS
from peer_runs import MODE, Met, check_fault, check_faithful, sampled, table

BUS = ROOT / "tests" / "peers" / "msgbus.py"
JOBS = os.environ.get("PLUMBLINE_JOBS", "8")
HANG = SECONDS * (10 if MODE == "full" else 2)
SHARE = {"full": 1, "normal": 3, "quick": 24}[MODE]

if PLUMBLINE.exists() and "bus" not in subprocess.run([PLUMBLINE, "test", "--help"],
        capture_output=True, text=True).stdout.split("--role", 1)[-1].split("\n")[0]:
    pytest.skip("this build has no bus role", allow_module_level=True)

# Faults that a run may overlook, with the reason.
BY_DESIGN = {}


STYLES, FAULTS = table(BUS, "--list-styles"), table(BUS, "--list-faults")


def meet(kind, name, *options):
    return Met(BUS, kind, name, HANG).run("--role", "bus", "--jobs", JOBS, *options)


@pytest.mark.parametrize("style", sampled(STYLES, SHARE))
def test_faithful(program, style):
    check_faithful(meet("style", style), STYLES[style]["warnings"])


@pytest.mark.parametrize("fault", sampled(FAULTS, SHARE))
def test_fault(program, fault):
    check_fault(functools.partial(meet, "fault", fault), FAULTS[fault]["clauses"], BY_DESIGN.get(fault))
