"""Reports as other tools read them: JSON against its schema, JUnit as XML, traces in tshark."""
import copy
import json
import os
import subprocess
import xml.etree.ElementTree as ET

import pytest

from report_tools import (LUA, SPECS, codec, generator, hostile_message, make, plumbline, random_message,
                          schema_problems, tshark, tshark_rows, write_pcapng)

# What the dissector's expert information says of each form of a message; of "short", one of two sentences.
EXPERT = {"ok": ("",), "runt": ("the header has",), "size": ("bytes arrived",),
          "unknown": ("no message of this class and id",), "shape": ("an event with the response bit",),
          "short": ("announced", "at least are needed"), "long": ("the message goes on",)}


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    """The folder with the sample reports that the unit test's program writes."""
    folder = tmp_path_factory.mktemp("samples")
    subprocess.run([make("tests/test_report"), str(folder)], check=True)
    return folder


@pytest.fixture(scope="module")
def c():
    return codec()


# --- JSON ---

@pytest.mark.parametrize("spec", SPECS)
def test_json_follows_its_schema(samples, spec):
    report = json.loads((samples / f"{spec}.json").read_text(encoding="utf-8"))
    assert not schema_problems(report, "report")
    assert report["schema"] == "plumbline-report/1"
    assert report["spec"] == spec


@pytest.mark.parametrize("bend", [
    lambda r: r.update(extra=1), lambda r: r.pop("seed"), lambda r: r["clauses"][0].update(verdict="passed"),
    lambda r: r["findings"][0].update(kind="bug"), lambda r: r["findings"][0]["messages"][0].update(hex="0"),
    lambda r: r["findings"][0]["messages"][0].update(direction="out"), lambda r: r["summary"].update(conforms=1),
    lambda r: r["scenarios"][0].update(clauses="X"), lambda r: r.update(schema="plumbline-report/2")])
def test_the_schema_is_strict(samples, bend):
    report = json.loads((samples / f"{SPECS[0]}.json").read_text(encoding="utf-8"))
    bend(report)
    assert schema_problems(report, "report")


def test_the_summary_counts_what_the_lists_hold(samples):
    report = json.loads((samples / f"{SPECS[0]}.json").read_text(encoding="utf-8"))
    summary = report["summary"]
    for key in ("clauses", "scenarios"):
        for verdict, count in summary[key].items():
            assert count == sum(item["verdict"] == verdict for item in report[key])
    for kind, count in summary["findings"].items():
        assert count == sum(f["kind"] == kind and not f["warning"] for f in report["findings"])


def test_selftest_schema():
    mutant = {"id": "gvq-flags-swapped", "clauses": ["GVQ-DEV-03"], "killed_by": [], "verdict": "alive"}
    report = {"schema": "plumbline-selftest/1", "mutants": [mutant],
              "summary": {"mutants": 1, "killed": 0, "misattributed": 0, "alive": 1}}
    assert not schema_problems(report, "selftest")
    bent = copy.deepcopy(report)
    bent["mutants"][0]["verdict"] = "dead"
    assert schema_problems(bent, "selftest")


# --- JUnit ---

def check_junit(text):
    root = ET.fromstring(text)
    cases = root.findall("./testsuite/testcase")
    for suite in (root, *root.findall("testsuite")):
        assert int(suite.get("tests")) == len(cases)
        assert int(suite.get("failures")) == sum(case.find("failure") is not None for case in cases)
        assert int(suite.get("errors")) == sum(case.find("error") is not None for case in cases)
        assert int(suite.get("skipped")) == sum(case.find("skipped") is not None for case in cases)
    return cases


@pytest.mark.parametrize("spec", SPECS)
def test_junit_is_xml_whatever_the_texts_hold(samples, spec):
    cases = check_junit((samples / f"{spec}.xml").read_bytes())
    assert [case.get("classname") for case in cases][-1] == "plumbline"
    failed = next(case for case in cases if "case-2" in case.get("name"))
    failure = failed.find("failure[@type='TST-DEV-04']")
    assert "requirement: flags bit 0 is the enabled state" in failure.text
    assert "* #15 " in failure.text
    assert "repeat: plumbline test --select 'case-2'" in failure.text


# --- traces in tshark ---

@pytest.mark.parametrize("spec", SPECS)
def test_tshark_reads_our_traces(samples, c, spec):
    rows = tshark_rows(samples / f"{spec}.pcapng", "virtio_msg.spec", "virtio_msg.name", "virtio_msg.direction",
                       "frame.number", "_ws.malformed", "frame.interface_id", "virtio_msg.msg_id")
    report = json.loads((samples / f"{spec}.json").read_text(encoding="utf-8"))
    messages = report["findings"][0]["messages"]
    assert len(rows) == len(messages) > 20
    for row, message in zip(rows, messages):
        decoded = c.decode(bytes.fromhex(message["hex"]), spec)
        part = "" if decoded.event else " response" if decoded.response else " request"
        assert row[0] == spec
        assert row[1] == decoded.name + part
        assert row[2] == ("to the IUT" if message["direction"] == "to-iut" else "from the IUT")
        assert int(row[3]) == message["number"]
        assert row[4] == ""
        assert int(row[6], 0) == decoded.msg_id


@pytest.mark.parametrize("spec", SPECS)
def test_the_dissector_shows_every_field(tmp_path, c, spec):
    """Each message's scalars and arrays, against the Python codec."""
    rng, messages = generator(f"fields {spec}"), []
    while len({m.name for m in messages}) < len(c.SPECS[spec]["messages"]) or len(messages) < 100:
        messages.append(c.decode(random_message(c, spec, rng), spec))
    write_pcapng(tmp_path / "t.pcapng", spec, [(m.data, not m.response) for m in messages])
    names = sorted({name for m in messages for name in m.fields})
    rows = tshark_rows(tmp_path / "t.pcapng", "virtio_msg.dev_num", *(f"virtio_msg.{name}" for name in names))
    assert len(rows) == len(messages)
    for row, message in zip(rows, messages):
        assert int(row[0], 0) == message.dev_num
        for name, text in zip(names, row[1:]):
            value = message.fields.get(name)
            if isinstance(value, bytes):
                assert bytes.fromhex(text) == value, (message, name)
            elif isinstance(value, list):
                assert [int(part, 0) for part in text.split("|") if part] == value, (message, name)
            elif value is not None:
                assert int(text, 0) == value, (message, name)
            else:
                assert text == "", (message, name)


@pytest.mark.parametrize("spec", SPECS)
def test_the_dissector_survives_hostile_messages(tmp_path, c, spec):
    rng = generator(f"hostile {spec}")
    messages = [hostile_message(c, spec, rng) for _ in range(600)]
    messages = [m for m in messages if m] + [b"\xff" * 65535, bytes(65535)]
    write_pcapng(tmp_path / "h.pcapng", spec, [(m, index % 2 == 0) for index, m in enumerate(messages)])
    rows = tshark_rows(tmp_path / "h.pcapng", "virtio_msg.spec", "_ws.expert.message")
    tshark(tmp_path / "h.pcapng", "-V")
    assert len(rows) == len(messages)
    reserved, seen = c.SPECS[spec]["reserved_bits"], set()
    for row, data in zip(rows, messages):
        message = c.examine(data, spec)
        seen.add(message.form)
        assert any(text in row[1] for text in EXPERT[message.form]), (message, row)
        bent = message.type & reserved or message.fields.get("reserved")
        assert ("reserved bits" in row[1]) == bool(bent), (message, row)
        if message.form == "ok" and not bent:
            assert row[1] == "", (message, row)
    assert seen == set(EXPERT)


def test_responses_are_paired_with_their_requests(tmp_path, c):
    """By token where the draft has one, else in order; both directions of PING apart."""
    trace = [("PING", False, 1, True), ("PING", False, 2, True), ("PING", False, 1, False), ("PING", True, 2, False),
             ("PING", True, 1, True), ("PING", True, 1, False), ("PING", True, 1, False), ("EVENT_USED", False, 1, False)]
    for spec, pairs in ((SPECS[0], ["", "", "", "2", "3", "1", "", ""]), (SPECS[1], ["", "", "", "1", "3", "2", "", ""])):
        messages = [(c.encode(spec, name, response=response, token=token), to_iut)
                    for name, response, token, to_iut in trace]
        write_pcapng(tmp_path / "p.pcapng", spec, messages)
        out = tshark(tmp_path / "p.pcapng", "-2", "-T", "fields", "-e", "virtio_msg.request_in", "-e",
                     "virtio_msg.response_in")
        rows = [line.split("\t") for line in out.split("\n")[:-1]]
        assert [row[0] for row in rows] == pairs
        answers = {request: str(number) for number, request in enumerate(pairs, 1) if request}
        assert [row[1] for row in rows] == [answers.get(str(number), "") for number in range(1, len(rows) + 1)]


def test_the_draft_is_chosen_by_preference(tmp_path, c):
    data = c.encode("virtio-msg-2025-06", "PING", data32=7)
    write_pcapng(tmp_path / "p.pcapng", "virtio-msg-r1", [(data, True)])
    assert tshark_rows(tmp_path / "p.pcapng", "virtio_msg.spec")[0][0] == "virtio-msg-r1"
    out = tshark(tmp_path / "p.pcapng", "-o", "virtio_msg.draft:virtio-msg-2025-06", "-T", "fields", "-e",
                 "virtio_msg.data32", "-e", "virtio_msg.spec")
    assert out.split() == ["7", "virtio-msg-2025-06"]


def test_nothing_else_is_taken_for_virtio_msg():
    make("gen/.stamp")
    with open(LUA, encoding="utf-8") as stream:
        assert "register_heuristic" not in stream.read()


# --- the program's own reports ---

@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of `plumbline test` with every report that these tests read."""
    folder = tmp_path_factory.mktemp("run")
    files = {kind: folder / f"report.{kind}" for kind in ("json", "junit", "pcapng")}
    done = plumbline("test", "--select", "core-*,GVQ-DEV-*,STAT-DEV-*", *(arg for kind, path in files.items() for arg in (f"--{kind}", str(path))))
    assert done.returncode in (0, 1), done.stderr
    return done, files


def test_program_json(run):
    done, files = run
    report = json.loads(files["json"].read_text(encoding="utf-8"))
    assert not schema_problems(report, "report")
    assert report["summary"]["conforms"] == (done.returncode == 0)


def test_program_junit(run):
    done, files = run
    cases = check_junit(files["junit"].read_bytes())
    assert any(case.find("failure") is not None for case in cases) == (done.returncode == 1)


def test_program_pcapng(run):
    rows = tshark_rows(run[1]["pcapng"], "virtio_msg.spec", "virtio_msg.direction")
    assert rows
    assert all(row[0] in SPECS and row[1] in ("to the IUT", "from the IUT") for row in rows)


def test_program_text_in_a_pipe(run):
    text = run[0].stdout
    assert "\x1b" not in text
    assert text.startswith("plumbline ")
    last = text.rstrip("\n").split("\n")[-1]
    assert last.startswith("CONFORMS: " if run[0].returncode == 0 else "DOES NOT CONFORM: ")


def test_program_says_which_file_it_cannot_write(tmp_path):
    for kind in ("json", "junit", "pcapng"):
        path = os.path.join(tmp_path, "no", "folder", kind)
        done = plumbline("test", f"--{kind}", path)
        assert done.returncode not in (0, 1)
        assert path in done.stderr
