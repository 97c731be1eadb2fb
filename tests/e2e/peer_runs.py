# SPDX-License-Identifier: BSD-3-Clause
"""What the tests with implementations that know nothing of the harness share: how much of their lists is met, and one
run of `plumbline test` with one of them."""
import json
import os
import pathlib
import subprocess
import tempfile
import zlib

import pytest

from conftest import run_program

PYTHON = "/usr/bin/python3"
MODE = os.environ.get("PLUMBLINE_E2E") or "normal"
if MODE not in ("normal", "quick", "full"):
    raise ValueError("PLUMBLINE_E2E is '%s', neither quick nor full" % MODE)


def table(program, option):
    """What a program below tests/peers lists: a mapping by name."""
    return json.loads(subprocess.run([PYTHON, program, option], check=True, capture_output=True,
        text=True).stdout)


def sampled(names, share):
    """One in `share`, the same ones whatever else there is."""
    return [n for n in names if not zlib.crc32(n.encode()) % share]


class Met:
    """The runs of `plumbline test` with one peer of a program's."""

    def __init__(self, program, kind, name, seconds):
        self.command = "%s -S -E %s --%s %s" % (PYTHON, program, kind, name)
        self.seconds, self.runs, self.reports = seconds, [], []

    def run(self, *options):
        """One run more; what it ends with and reports joins that of the runs before. Returns this object."""
        with tempfile.TemporaryDirectory() as place:
            path = pathlib.Path(place, "report.json")
            self.runs.append(run_program("test", "--exec", self.command, *options, "--json", path, "--quiet",
                seconds=self.seconds))
            if path.exists():
                self.reports.append(json.loads(path.read_text(encoding="utf-8")))
        return self

    def statuses(self):
        return {done.status for done in self.runs}

    def clauses(self, *verdicts):
        return {c["id"] for report in self.reports for c in report["clauses"] if c["verdict"] in
            verdicts}

    def __str__(self):
        found = ["%s %s %s: %s" % (f["kind"], f.get("clause", ""), f.get("scenario", ""), f["text"])
            for report in self.reports for f in report["findings"]]
        return "\n".join(found[:40] + [str(done) for done in self.runs])

    __repr__ = __str__


def check_faithful(met, warnings):
    """A faithful style: nothing fails, and it is warned of no more than what its list says."""
    assert met.statuses() == {0} and not met.clauses("fail"), met
    assert met.clauses("warning") <= set(warnings), met


def check_fault(meet, clauses, excuse):
    """A fault: `meet` with options, which select the scenarios of its own clauses first, shows one of the clauses that
    it breaks. `excuse` is why it may be overlooked; None: it may not. In `quick` one that may be is not met."""
    if excuse and MODE == "quick":
        pytest.skip("not judged: " + excuse)
    met = meet("--select", ",".join(clauses))
    if not met.clauses("fail", "warning") & set(clauses):  # what shows it may be a scenario of another clause
        met = meet()
    shown = met.clauses("fail", "warning")
    if excuse and not shown & set(clauses):
        pytest.skip("not judged: " + excuse)
    assert shown & set(clauses), "failed %s, expected one of %s\n%s" % (sorted(shown), clauses, met)
    assert met.statuses() == {1} or not met.clauses("fail"), met
