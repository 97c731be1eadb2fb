# SPDX-License-Identifier: BSD-3-Clause
"""Buses under test, as a user meets them: the reference bus, its mutants, the example of the documents, and tests/peers/bus.py,
which was written from the specification's text alone."""
import concurrent.futures
import json
import os
import re
import shlex
import subprocess

import pytest

from conftest import PLUMBLINE, ROOT, SECONDS, run_program
from report_tools import schema_problems

PEER = ROOT / "tests" / "peers" / "bus.py"
EXAMPLE = ROOT / "docs" / "examples" / "bus.py"
PYTHON = "/usr/bin/python3"
QUICK = os.environ.get("PLUMBLINE_E2E") == "quick"
REFERENCE = "exec '%s' serve bus" % PLUMBLINE
LISTED = subprocess.run([PYTHON, PEER, "--list"], check=True, capture_output=True, text=True).stdout.split("\n")
STYLES = [line for line in LISTED if line and " " not in line]
FAULTS = [line.split() for line in LISTED if " " in line]


def plumbline(*arguments, seconds=SECONDS):
    return run_program(*arguments, seconds=seconds)


def report(place, command, *arguments):
    path = place / "report.json"
    done = plumbline("test", "--role", "bus", "--exec", command, "--json", path, *arguments, seconds=4 * SECONDS)
    return done, json.loads(path.read_text(encoding="utf-8"))


def verdicts(told):
    return {clause["id"]: clause["verdict"] for clause in told["clauses"]}


def test_the_reference_bus_conforms(tmp_path):
    done, told = report(tmp_path, REFERENCE)
    assert done.status == 0 and not told["findings"], done
    assert told["role"] == "bus"
    seen = verdicts(told)
    assert all(seen[c] == "pass" for c in seen if c.endswith(("-BUS-01", "-BUS-03")) and seen[c] in ("fail", "warning", "pass"))
    passed = [c for c in seen if seen[c] == "pass"]
    assert len(passed) >= 48, sorted(set(seen) - set(passed))
    assert seen["RTN-BUS-04"] == "not-judged" and seen["ORD-BUS-02"] == "option-used"


def test_what_a_failure_of_a_bus_needs_is_told(tmp_path):
    """A bit behind a window's end shows with each size of messages; what has no room, with the largest ones only."""
    done, told = report(tmp_path, REFERENCE + " --mutant GDEV-BUS-03.rounded", "--select", "bus-windows")
    assert done.status == 1 and all(f["reproduced"] for f in told["findings"]), done
    found = {f["clause"]: f for f in told["findings"]}
    assert found["GDEV-BUS-03"]["matters"] == {}
    assert found["GDEV-BUS-01"]["matters"] == {"max_msg_size": 65535}
    again = shlex.split(found["GDEV-BUS-01"]["repeat"])
    done = plumbline(*again[1:], seconds=4 * SECONDS)
    assert done.status == 1 and "GDEV-BUS-01" in done.out, done


def test_a_mutant_of_the_bus_fails_by_its_clause(tmp_path):
    listed = plumbline("serve", "bus", "--list-mutants").out.splitlines()
    assert len(listed) > 100
    for line in listed[:: 60 if QUICK else 12]:
        mutant, clauses, _ = line.split("\t")
        done, told = report(tmp_path, "%s --mutant %s" % (REFERENCE, mutant), "--select", clauses)
        found = {f["clause"] for f in told["findings"] if f["kind"] == "clause"}
        warned = all(f.get("warning") or verdicts(told)[f["clause"]] == "warning" for f in told["findings"] if f["clause"])
        assert found & set(clauses.split(",")), (mutant, done)
        assert done.status == (0 if warned else 1), (mutant, done)


def test_selftest_of_the_bus_role(tmp_path):
    path = tmp_path / "matrix.json"
    done = plumbline("selftest", "--role", "bus", "--mutant", "PING-BUS-01", "--json", path)
    told = json.loads(path.read_text(encoding="utf-8"))
    assert done.status == 0 and told["summary"]["mutants"] == told["summary"]["killed"] > 0, done
    assert not schema_problems(told, "selftest")
    done = plumbline("selftest", "--mutant", "PING-BUS-01", "--json", path)
    assert done.status == 0 and json.loads(path.read_text(encoding="utf-8")) == told, done
    assert {m["role"] for m in told["mutants"]} == {"bus"}
    assert [line.split(" mutants:")[0] for line in done.out.splitlines() if " mutants: " in line] == [
        "0", str(len(told["mutants"]))]


def test_what_a_byte_stream_hides_of_a_bus_is_left_out():
    """Padding, and what is larger than the maximum, are no messages where msg_size is the framing."""
    done = plumbline("selftest", "--role", "bus", "--carrier", "unix-stream", "--mutant", "HDR-BUS-03", "--legal", "pad=")
    hidden = [line.split()[2].rstrip(":") for line in done.out.splitlines() if line.startswith("left out")]
    assert done.status == 0 and hidden == ["HDR-BUS-03.responses", "HDR-BUS-03.events", "pad=4", "pad=60"], done
    done = plumbline("selftest", "--role", "bus", "--carrier", "unix", "--mutant", "HDR-BUS-03", "--legal", "pad=4")
    assert done.status == 0 and "left out" not in done.out and "3 killed by their own clause" in done.out, done


def test_a_trace_of_a_bus_is_judged_again(tmp_path):
    trace, again = tmp_path / "bus.pcapng", tmp_path / "again.json"
    done, told = report(tmp_path, REFERENCE + " --mutant RTN-BUS-03.driver-twice", "--select", "bus-equal-events",
                        "--pcapng", trace)
    assert done.status == 1
    done = plumbline("replay", trace, "--json", again)
    assert done.status == 1
    found = json.loads(again.read_text(encoding="utf-8"))["findings"]
    assert {f["clause"] for f in found} == {f["clause"] for f in told["findings"]}
    text = plumbline("decode", trace).out
    assert "side=device" in text and " => " in text and " <= " in text and " -> " in text
    done = plumbline("replay", trace, "--exec", REFERENCE)
    assert done.status == 2 and "trace of a bus" in done.err


def test_messages_of_both_sides_are_told_apart(tmp_path):
    done, told = report(tmp_path, REFERENCE + " --mutant FWD-BUS-02.twice", "--select", "bus-every-request")
    assert "; => and <= on its device side" in done.out
    sides = {m.get("side") for f in told["findings"] for m in f["messages"]}
    assert sides == {None, "device"}
    repeat = re.search(r"^  repeat +(.*)$", done.out, re.M).group(1)
    assert "--role bus" in repeat and "--select bus-every-request" in repeat


def test_a_bus_that_is_reached_by_address(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    served = subprocess.Popen([PLUMBLINE, "serve", "bus", "--listen", "unix:near", "--device-side", "unix:far"],
                              stderr=subprocess.PIPE, text=True)
    try:
        assert "listening on unix:near and unix:far" in served.stderr.readline()
        done = plumbline("test", "--role", "bus", "--connect", "unix:near", "--device-side", "unix:far")
        assert done.status == 0 and "CONFORMS" in done.out, done
        (tmp_path / "bus.yaml").write_text("name: ours\nrole: bus\nconnect: unix:near\ndevice-side: unix:far\n"
                                           "devices: [{number: 0}, {number: 9}]\n", encoding="utf-8")
        done = plumbline("test", "bus.yaml", "--select", "bus-every-request,bus-enumeration")
        assert done.status == 0 and "ours" in done.out, done
    finally:
        served.kill()
        served.wait()


@pytest.mark.parametrize("arguments,said", [
    (["--connect", "unix:x"], "the address of its device side is missing"),
    (["--exec", "true", "--device-side", "unix:x"], "its device side has no address"),
    (["--exec", "true", "--carrier", "spsc"], "a bus under test is reached by sockets"),
    (["--exec", "true", "--select", "every-byte"], "matches no section, clause or scenario"),
])
def test_wrong_ways_to_reach_a_bus(arguments, said):
    done = plumbline("test", "--role", "bus", *arguments)
    assert done.status == 2 and said in done.err, done


@pytest.mark.parametrize("text,said", [
    ("role: bus\nconnect: unix:x\n", "bus.yaml:2: key 'connect': a bus has two sides"),
    ("role: device\nconnect: unix:x\ndevice-side: unix:y\n", "bus.yaml:3: key 'device-side': only a bus has a device side"),
    ("role: bus\nexec: ./x\ndevice-side: unix:y\n", "bus.yaml:3: key 'device-side': exec gives a bus both sides"),
])
def test_wrong_profiles_of_a_bus(tmp_path, monkeypatch, text, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bus.yaml").write_text(text, encoding="utf-8")
    done = plumbline("test", "bus.yaml")
    assert done.status == 2 and said in done.err, done


@pytest.mark.parametrize("text,said", [
    ("role: bus\nscenarios: [{name: n, clauses: [PING-BUS-01], steps: [{ring: {queue: 0}}]}]\n", "a bus has no virtqueues"),
    ("role: bus\nscenarios: [{name: n, clauses: [PING-BUS-01], steps: [{release: never}]}]\n", "key 'release'"),
    ("role: bus\nscenarios: [{name: n, clauses: [PING-BUS-01], steps: [{driver: {NOTHING: {}}}]}]\n", "NOTHING"),
    ("scenarios: [{name: n, clauses: [PING-BUS-01], steps: [{driver: [fence]}]}]\n", "driver"),
    ("scenarios: [{name: n, clauses: [PING-BUS-01], steps: [{require: spare}]}]\n", "nobody knows the name 'spare'"),
])
def test_wrong_scenarios_of_a_bus(tmp_path, text, said):
    path = tmp_path / "own.yaml"
    path.write_text(text, encoding="utf-8")
    done = plumbline("test", "--role", "bus", "--exec", "true", "--scenarios", path)
    assert done.status == 2 and said in done.err, done


def test_a_scenario_of_ones_own(tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text("""role: bus
section: Ours
scenarios:
  - name: ours
    clauses: [FWD-BUS-02]
    steps:
      - hold: 1
      - driver: {GET_CONFIG: {offset: 1, length: 2}}
      - await: out
      - device: {EVENT_USED: {vq_index: 1}}
      - release: order
      - await: all
""", encoding="utf-8")
    done, told = report(tmp_path, REFERENCE, "--scenarios", path, "--select", "ours")
    assert done.status == 0 and {s["verdict"] for s in told["scenarios"]} == {"pass"}, done


@pytest.mark.parametrize("command,kind", [
    ("exit 3", "exit"),
    ("kill -SEGV $$", "crash"),
    ("sleep 100", "hang"),
])
def test_a_bus_that_breaks_down(tmp_path, command, kind):
    done, told = report(tmp_path, command, "--select", "bus-every-request")
    assert done.status == 1 and {f["kind"] for f in told["findings"]} == {kind}, done


def test_the_example_conforms(tmp_path):
    done, told = report(tmp_path, "exec %s %s" % (PYTHON, EXAMPLE))
    assert done.status == 0 and not told["findings"], done
    assert len(EXAMPLE.read_text(encoding="utf-8").splitlines()) < 110


@pytest.mark.parametrize("style", STYLES[:2] if QUICK else STYLES)
def test_every_faithful_style_conforms(tmp_path, style):
    done, told = report(tmp_path, "exec %s %s --style %s" % (PYTHON, PEER, style))
    assert done.status == 0 and not told["findings"], done


def fault_found(place, fault, clause):
    folder = place / fault
    folder.mkdir()
    return report(folder, "exec %s %s --fault %s" % (PYTHON, PEER, fault), "--select", "bus-enumeration," + clause)


def test_every_fault_fails_by_its_clause(tmp_path):
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        runs = {(f, c): pool.submit(fault_found, tmp_path, f, c) for f, c in (FAULTS[::10] if QUICK else FAULTS)}
    for (fault, clause), run in runs.items():
        done, told = run.result()
        assert clause in {f["clause"] for f in told["findings"]}, (fault, clause, done)
