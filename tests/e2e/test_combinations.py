# SPDX-License-Identifier: BSD-3-Clause
"""Parameters of a whole run: every pair of values is met, a user fixes some, and a failure is reduced to those it needs."""
import itertools
import json
import shlex
import subprocess
import xml.etree.ElementTree as ET

import pytest

from conftest import PLUMBLINE, SECONDS
from report_tools import schema_problems

RINGS = 0x4C30000000  # INDIRECT_DESC, EVENT_IDX, RING_PACKED, IN_ORDER, NOTIFICATION_DATA
DEVICE = f"exec {PLUMBLINE} serve device --option features_add={RINGS:#x}"
BUS = {"profile": "baseline", "max_msg_size": "264"}
PLAIN = {**BUS, "outstanding": "1", "ring_packed": "0", "queue_size": "256", "indirect": "0", "event_idx": "0",
         "in_order": "0", "notification_data": "0", "reset_ms": "0"}

# Expectations that hold unless the parameters are those named: what a device would do that is wrong only there.
SCENARIOS = """
section: Mine
scenarios:
  - name: small-only
    clauses: GVQ-DEV-01
    with: {a: [1, 2, 3]}
    steps:
      - expect: "max_msg_size != 52 or a != 2"
        clause: GVQ-DEV-01
  - name: strict-and-deep
    clauses: GVQ-DEV-02
    steps:
      - expect: "not (strict and outstanding == 4)"
        clause: GVQ-DEV-02
  - name: always
    clauses: INFO-DEV-01
    steps:
      - expect: "0"
        clause: INFO-DEV-01
  - name: packed-and-small
    rings: true
    clauses: GVQ-DEV-03
    given: features_ok
    with: {a: [1, 2, 3]}
    steps:
      - GET_VQUEUE: {index: 0}
      - expect: "not (ring_packed and queue_size == 3)"
        clause: GVQ-DEV-03
  - name: pair
    rings: true
    clauses: SVQ-DEV-01
    steps:
      - expect: "not (indirect and in_order)"
        clause: SVQ-DEV-01
"""


def parameters(text):
    return dict(word.split("=", 1) for word in text.split())


def rows_of(report, name):
    return [parameters(s["parameters"]) for s in report["scenarios"] if s["name"] == name]


@pytest.fixture
def mine(run, file, tmp_path):
    """mine(*options, device=): the scenarios above against a device; what the program did, and its report."""
    def call(*options, device=DEVICE, scenarios=SCENARIOS):
        file("mine.yaml", scenarios)
        done = run("test", "--exec", device, "--scenarios", "mine.yaml", *options, "--json", "report.json")
        report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
        assert not schema_problems(report, "report")
        return done, report
    return call


def the_finding(report, scenario):
    found = [f for f in report["findings"] if f["scenario"] == scenario]
    assert len(found) == 1, report["findings"]
    return found[0]


# --- pairs ---

def test_every_pair_is_met(mine):
    done, report = mine("--select", "packed-and-small")
    rows = rows_of(report, "packed-and-small")
    assert rows and all(set(row) - {"a", "dev_num"} == set(PLAIN) for row in rows), done
    values = {name: {row[name] for row in rows} for name in PLAIN}
    assert values["profile"] == {"baseline", "strict"} and values["max_msg_size"] == {"52", "64", "264", "65535"}
    assert values["reset_ms"] == {"0", "1"} and values["outstanding"] == {"1", "4"}
    assert {"256", "1", "2", "3", "64"} <= values["queue_size"]
    for p, q in itertools.combinations(PLAIN, 2):
        met = {(row[p], row[q]) for row in rows}
        due = set(itertools.product(values[p], values[q]))
        if (p, q) == ("ring_packed", "queue_size"):
            due.discard(("0", "3"))  # a split ring's size is a power of two
        assert met == due, (p, q, met ^ due)
    assert len(rows) <= 1.5 * len(values["queue_size"]) * len(values["max_msg_size"])


def test_only_what_is_offered_is_varied(mine):
    done, report = mine("--select", "pair", device=f"exec {PLUMBLINE} serve device --option features_remove={RINGS:#x}")
    assert done.status == 0, done
    for name in ("ring_packed", "indirect", "event_idx", "in_order", "notification_data"):
        assert {row[name] for row in rows_of(report, "pair")} == {"0"}, name


def test_exhaustive_is_the_product(mine):
    done, report = mine("--select", "pair", "--exhaustive", "--with", "profile=strict", "--with", "max_msg_size=64")
    rows = [tuple(sorted(row.items())) for row in rows_of(report, "pair")]
    sizes = {dict(row)["queue_size"] for row in rows}
    assert len(rows) == len(set(rows)) == (2 * len(sizes) - 1) * 2 ** 6, done  # split rings have no size 3


def test_the_seed_decides_on_the_rows(mine):
    rows = [rows_of(mine("--select", "pair", "--seed", seed)[1], "pair") for seed in ("5", "5", "6")]
    assert rows[0] == rows[1] != rows[2]


ONCE = """
section: Mine
scenarios:
  - {name: once, clauses: GVQ-DEV-01, when: plain_size, steps: [fence]}
"""


@pytest.mark.parametrize("options, sizes", [
    ([], {"264"}), (["--carrier", "spsc"], {"64"}), (["--max-msg-size", "104"], {"104"}), (["--with", "max_msg_size=52"], {"52"}),
    (["--carrier", "spsc", "--with", "max_msg_size=52"], {"52"})])
def test_the_plain_size_is_one_of_each_run(mine, options, sizes):
    done, report = mine("--select", "once", *options, scenarios=ONCE)
    assert {row["max_msg_size"] for row in rows_of(report, "once")} == sizes, done


def test_a_failure_in_the_only_size_does_not_need_it(mine):
    scenarios = ONCE.replace("[fence]", '[{expect: "0", clause: GVQ-DEV-01}]')
    _, report = mine("--select", "once", "--with", "max_msg_size=104", scenarios=scenarios)
    assert the_finding(report, "once")["matters"] == {}


# --- fixing ---

def test_a_fixed_parameter(mine):
    done, report = mine("--select", "Mine", "--with", "queue_size=7", "--with", "outstanding=3", "--with", "profile=strict")
    for scenario in report["scenarios"]:
        row = parameters(scenario["parameters"])
        assert row["outstanding"] == "3" and row["profile"] == "strict", done
        assert row.get("queue_size", "7") == "7" and row.get("ring_packed", "1") == "1", done
    assert {row["max_msg_size"] for row in rows_of(report, "small-only")} == {"52", "64", "264", "65535"}


@pytest.mark.parametrize("options, parts", [
    (["profile=loose"], ["profile", "loose"]), (["colour=1"], ["colour", "ring_packed"]), (["queue_size"], ["queue_size"]),
    (["queue_size=0"], ["queue_size", "32768"]), (["queue_size=32769"], ["queue_size"]), (["indirect=2"], ["indirect"]),
    (["max_msg_size=51"], ["max_msg_size", "52"]), (["outstanding=x"], ["outstanding", "x"]), (["=1"], ["=1"]),
    (["reset_ms=-1"], ["reset_ms"]), (["indirect=1", "indirect=1"], ["indirect", "already"]),
    (["ring_packed=0", "queue_size=3"], ["ring_packed=0", "queue_size=3"])])
def test_bad_parameters(run, options, parts):
    done = run("test", *itertools.chain.from_iterable(("--with", option) for option in options))
    assert done.status == 2 and done.err.count("\n") == 1 and not done.out, done
    assert all(part in done.err for part in ["--with", *parts]), done


# --- reducing ---

@pytest.mark.parametrize("scenario, needs", [
    ("small-only", {"max_msg_size": 52}), ("strict-and-deep", {"profile": "strict", "outstanding": 4}), ("always", {}),
    ("packed-and-small", {"ring_packed": 1, "queue_size": 3}), ("pair", {"indirect": 1, "in_order": 1})])
def test_a_failure_is_reduced(mine, tmp_path, scenario, needs):
    done, report = mine("--select", scenario)
    finding = the_finding(report, scenario)
    assert done.status == 1 and finding["reproduced"] is True and finding["matters"] == needs, done
    words = shlex.split(finding["repeat"])
    fixed = dict(words[i + 1].split("=") for i, word in enumerate(words) if word == "--with")
    assert fixed == {name: str(value) for name, value in needs.items()}, finding["repeat"]
    line = " ".join(f"{name}={value}" for name, value in needs.items()) or "nothing"
    assert f"  matters    {line}" in done.out, done
    again = subprocess.run([PLUMBLINE, *words[1:], "--json", "again.json"], cwd=tmp_path, timeout=SECONDS, check=False,
                           capture_output=True)
    assert again.returncode == 1, again
    repeated = the_finding(json.loads((tmp_path / "again.json").read_text(encoding="utf-8")), scenario)
    assert repeated["matters"] == needs and repeated["clause"] == finding["clause"]


def test_reducing_changes_no_count(mine):
    """What is tried again is no part of the run: messages, scenarios and counts are those of a run without failures."""
    counts = []
    for expectation in ("0", "1"):
        done, report = mine("--select", "always", scenarios=SCENARIOS.replace('expect: "0"', f'expect: "{expectation}"'))
        assert bool(report["findings"]) == (expectation == "0"), done
        counts.append((report["summary"]["messages"], [c["count"] for c in report["clauses"]], len(report["scenarios"])))
    assert counts[0] == counts[1]


def test_a_mutant_of_one_profile(mine):
    """A device that knows nothing of the strict profile fails in that one only, and the finding says so."""
    done, report = mine("--select", "CFG-DEV-01,CFG-DEV-12", device=f"exec {PLUMBLINE} serve device --mutant CFG-DEV-01.always-baseline")
    assert done.status == 1 and report["findings"], done
    for finding in report["findings"]:
        assert finding["reproduced"] is True and finding["matters"] == {"profile": "strict"}, finding
        assert finding["repeat"].endswith(f"--select {finding['scenario']} --with profile=strict --seed 1"), finding


def test_what_is_not_seen_again_is_told(mine, tmp_path):
    """The first start of this device breaks a rule, all others are faithful."""
    (tmp_path / "flaky.sh").write_text(
        f"[ -e started ] && exec {PLUMBLINE} serve device\n: >started\nexec {PLUMBLINE} serve device --mutant RVQ-DEV-01.first\n",
        encoding="utf-8")
    done, report = mine("--select", "RVQ-DEV-01", "--junit", "report.xml", device="sh flaky.sh")
    assert done.status == 1 and report["findings"], done
    for finding in report["findings"]:
        assert finding["reproduced"] is False and "matters" not in finding, finding
        assert "--with" not in finding["repeat"], finding
    assert "not seen again" in done.out
    assert any("not seen again" in (f.text or "") for f in ET.parse(tmp_path / "report.xml").getroot().iter("failure"))


def test_an_iut_that_runs_already_keeps_its_bus(run, tmp_path, file):
    """Nothing is started: what can be set back is set back on the connection that there is."""
    file("mine.yaml", SCENARIOS)
    server = subprocess.Popen([PLUMBLINE, "serve", "device", "--listen", "unix:sock", "--bus",
                               "revision=1 max_msg_size=52 features=0x1"], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    try:
        assert "listening" in server.stderr.readline()
        file("profile.yaml", "name: mine\nconnect: unix:sock\nbus: {max_msg_size: 52, features: [STRICT_CONFIG_GENERATION]}\n")
        done = run("test", "profile.yaml", "--scenarios", "mine.yaml", "--select", "small-only,strict-and-deep", "--json", "r.json")
    finally:
        server.kill()
        server.communicate()
    report = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert done.status == 1, done
    assert the_finding(report, "small-only")["matters"] == {}
    assert the_finding(report, "strict-and-deep")["matters"] == {"outstanding": 4}


def test_without_memory_rings_are_skipped(run, tmp_path, file):
    file("mine.yaml", SCENARIOS)
    server = subprocess.Popen([PLUMBLINE, "serve", "device", "--listen", "unix:sock"], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    try:
        assert "listening" in server.stderr.readline()
        done = run("test", "--connect", "unix:sock", "--scenarios", "mine.yaml", "--select", "pair", "--json", "r.json")
    finally:
        server.kill()
        server.communicate()
    scenarios = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["scenarios"]
    assert [s["verdict"] for s in scenarios] == ["skipped"] and "memory" in scenarios[0]["reason"], done


# --- the self-test ---

def test_random_legal_messages_fail_nothing(run):
    first, again, other = (run("selftest", "--random", "40000", "--seed", seed, "--jobs", "1", seconds=300) for seed in "334")
    assert first.status == again.status == other.status == 0 and "0 failures" in first.out, first
    assert first.out == again.out != other.out


@pytest.mark.parametrize("name", ["ORD-DEV-02.features", "CORE-DEV-01.get-config"])
def test_random_legal_messages_meet_a_mutant(run, name):
    """The same driver does fail a device that breaks a rule within its reach."""
    done = run("selftest", "--random", "20000", "--mutant", name, seconds=300)
    assert done.status == 1 and "FAILURE" in done.err and name in done.out, done


@pytest.mark.parametrize("carrier", ["unix", "unix-stream", "spsc"])
def test_selftest_over_a_carrier(run, carrier):
    done = run("selftest", "--carrier", carrier, "--mutant", "RVQ-DEV-01.first", seconds=300)
    assert done.status == 0 and "1 killed by their own clause" in done.out, done


@pytest.mark.parametrize("options, part", [(["--carrier", "pigeon"], "pigeon"), (["--random", "0"], "--random"),
                                           (["--random", "9", "--mutant", "x"], "x")])
def test_bad_selftest_options(run, options, part):
    done = run("selftest", *options)
    assert done.status == 2 and done.err.count("\n") == 1 and part in done.err, done
