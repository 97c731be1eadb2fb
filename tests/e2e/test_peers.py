# SPDX-License-Identifier: BSD-3-Clause
"""The harness against implementations that know nothing of it: tests/peers/device.py, written from
the specification's text alone. Every faithful style must pass whole, every fault must fail by a
clause that it breaks, and every misbehaving process must be reported in bounded time and leave
nothing behind."""
import concurrent.futures
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PLUMBLINE = os.environ.get("PLUMBLINE", os.path.join(ROOT, "build", "plumbline"))
DEVICE = os.path.join(ROOT, "tests", "peers", "device.py")
PYTHON = "/usr/bin/python3"
SECONDS = float(os.environ.get("PLUMBLINE_TEST_SECONDS", "60"))  # for hangs only


def table(option):
    return json.loads(subprocess.run([PYTHON, DEVICE, option], check=True, capture_output=True,
        text=True).stdout)


STYLES, FAULTS, BAD = table("--list-styles"), table("--list-faults"), table("--list-bad")
FAITHFUL = [name for name, one in STYLES.items() if not one["debatable"]]
# What only virtqueue I/O or a reading of the vendor's profile can break.
WITHOUT_FAULT = {"DROK-DEV-02", "USED-DEV-01"}

built = pytest.mark.skipif(not os.path.exists(PLUMBLINE), reason="%s is not built" % PLUMBLINE)


class Run:
    """One `plumbline test` of one peer: exit status, report, and the processes that it left."""

    def __init__(self, kind, name):
        mark = "mark-" + uuid.uuid4().hex
        command = "%s -S -E %s --%s %s --mark %s" % (PYTHON, DEVICE, kind, name, mark)
        with tempfile.TemporaryDirectory() as place:
            path = os.path.join(place, "report.json")
            began = time.monotonic()
            process = subprocess.Popen([PLUMBLINE, "test", "--exec", command, "--json", path],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                text=True, errors="replace", start_new_session=True)
            try:
                self.output = process.communicate(timeout=SECONDS)[0]
                self.status = process.returncode
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                self.output, self.status = process.communicate()[0], "time-out"
            self.seconds = time.monotonic() - began
            self.report = None
            if os.path.exists(path):
                with open(path, encoding="utf-8") as file:
                    text = file.read()
                self.report = json.loads(text) if text else None
        self.left = remaining(mark)
        for pid in self.left:
            os.kill(pid, signal.SIGKILL)

    def clauses(self, *verdicts):
        return {c["id"] for c in self.report["clauses"] if c["verdict"] in verdicts}

    def kinds(self):
        return {f["kind"] for f in self.report["findings"]}

    def __str__(self):
        return "exit status %s after %.1f s\n%s" % (self.status, self.seconds, self.output[-3000:])


def remaining(mark):
    """The processes whose command line holds the mark; a moment is theirs to end by themselves."""
    for _ in range(20):
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open("/proc/%s/cmdline" % pid, "rb") as file:
                    words = file.read().split(b"\0")
            except OSError:
                continue
            if mark.encode() in words:
                found.append(int(pid))
        if not found:
            break
        time.sleep(0.05)
    return found


@pytest.fixture(scope="session")
def runs(request):
    """The runs of all selected tests, two at a time, in the order in which they are asked for."""
    wanted = dict.fromkeys(item.callspec.params["peer"] for item in request.session.items if
        item.fspath == __file__ and hasattr(item, "callspec") and "peer" in item.callspec.params)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        futures = {peer: pool.submit(Run, *peer) for peer in wanted}
        yield lambda peer: futures[peer].result()
        for future in futures.values():
            future.cancel()


def peers(kind, names):
    return pytest.mark.parametrize("peer", [pytest.param((kind, name), id=name) for name in names])


def sound(run):
    """What holds for every run whatever the peer."""
    assert run.status != "time-out", run
    assert not run.left, "processes %s were left behind\n%s" % (run.left, run)
    assert run.status in (0, 1, 3), run
    assert "AddressSanitizer" not in run.output and "runtime error" not in run.output, run


@built
@peers("style", FAITHFUL)
def test_faithful(runs, peer):
    run = runs(peer)
    sound(run)
    warned = run.clauses("warning") if run.report else set()
    assert not run.report or not run.clauses("fail"), run
    assert run.status == 0, run
    assert run.report["summary"]["conforms"] is True, run
    assert warned <= set(STYLES[peer[1]]["warnings"]), "%s: %s" % (warned, run)


@built
@peers("style", [name for name, one in STYLES.items() if one["debatable"]])
def test_debatable(runs, peer):
    """The specification can be read either way: the run ends properly, whatever its verdict."""
    sound(runs(peer))


@built
@peers("fault", FAULTS)
def test_fault(runs, peer):
    run, expected = runs(peer), set(FAULTS[peer[1]]["clauses"])
    sound(run)
    levels = {c["id"]: c["level"] for c in run.report["clauses"]}
    if not expected & set(levels) - run.clauses("not-judged"):
        pytest.skip("a report on a device judges none of %s" % ", ".join(sorted(expected)))
    failed = run.clauses("fail") | run.clauses("warning")
    assert failed & expected, "failed %s, expected one of %s\n%s" % (sorted(failed),
        sorted(expected), run)
    assert run.status == (1 if run.clauses("fail") else run.status), run


@built
@peers("bad", BAD)
def test_bad_process(runs, peer):
    run, finds = runs(peer), set(BAD[peer[1]]["finds"])
    sound(run)
    if "none" in finds:
        assert run.status == 0 or finds & run.kinds() or len(finds) > 1, run
        assert not run.clauses("fail"), run
        return
    assert run.status == 1 or run.status == 3 and "exit" in finds, run
    assert run.status == 3 or run.kinds() & finds, "%s, expected one of %s\n%s" % (run.kinds(),
        finds, run)


@built
def test_every_judged_clause_has_a_fault():
    listed = json.loads(subprocess.run([PLUMBLINE, "clauses", "--role", "device", "--format",
        "json"], check=True, capture_output=True, text=True).stdout)
    due = {c["id"] for c in listed if c.get("judged") and c["how"] in ("passive", "active") and
        c["role"] in ("device", "any")}
    broken = {c for one in FAULTS.values() for c in one["clauses"]}
    assert due - broken <= WITHOUT_FAULT


def test_smoke():
    """The peers hold together by themselves, without the harness."""
    done = subprocess.run([sys.executable, os.path.join(ROOT, "tests", "peers", "smoke.py")],
        capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
