# SPDX-License-Identifier: BSD-3-Clause
"""What `decode`, `replay` and `bench` do: messages as text, traces judged and sent again, figures."""
import json
import os
import random
import subprocess

import pytest

from conftest import QUICK, PLUMBLINE, ROOT
from report_tools import codec, write_pcapng

SPEC = "virtio-msg-r1"
PEER = ROOT / "tests" / "peers" / "device.py"
FEW = os.environ.get("PLUMBLINE_E2E") == "quick"
MUTANTS = 2 if QUICK else 3 if FEW else 8
STYLES = ["blk", "own-changes", "pings", "number-5"]


@pytest.fixture(scope="module")
def c():
    return codec()


def device(*words):
    return " ".join(["exec", str(PLUMBLINE), "serve", "device", *words])


def report_of(done):
    return json.loads(done.out)


def verdicts(report):
    """The failed and warned clauses, and the findings that no clause has."""
    broken = sorted((c["id"], c["verdict"]) for c in report["clauses"] if c["verdict"] in ("fail", "warning"))
    return broken, sorted({f["kind"] for f in report["findings"]})


def counts(report):
    return {c["id"]: c["count"] for c in report["clauses"]}


@pytest.fixture(scope="module")
def trace(tmp_path_factory):
    """A trace of the whole suite on the reference device."""
    path = tmp_path_factory.mktemp("trace") / "device.pcapng"
    done = subprocess.run([PLUMBLINE, "test", "--quiet", "--pcapng", path], capture_output=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return path


# --- decode ---

def test_decode_several_messages_of_hex(c, run):
    first, second = c.encode(SPEC, "PING", data32=7), c.encode(SPEC, "GET_CONFIG", offset=8, length=4)
    done = run("decode", first.hex(), "0x" + second.hex(" ").upper())
    lines = done.out.splitlines()
    assert done.status == 0 and len(lines) == 2, done
    assert lines[0].startswith("PING request") and "data32=7" in lines[0]
    assert lines[1].startswith("GET_CONFIG request") and "offset=8" in lines[1]


def test_decode_a_file_of_lines_and_standard_input(c, run, file):
    text = f"# two messages\n\n{c.encode(SPEC, 'PING').hex(' ')}  # one\n\t{c.encode(SPEC, 'PING', response=True).hex()}\n"
    for done in (run("decode", file("lines.txt", text)), run("decode", "-", text_in=text)):
        assert done.status == 0 and len(done.out.splitlines()) == 2, done


@pytest.mark.parametrize("text, words", [("00\n0g\n", ["text:2", "0x67"]), ("00\n\n000\n", ["text:3", "one digit"]),
    ("", ["text", "no message"]), ("# only\n", ["no message"]), ("00" * 70000, ["text:1", "longer"]), ("00\0\n", ["text:1", "0x00"])],
    ids=["digit", "half", "empty", "comments", "long", "zero"])
def test_decode_says_what_is_wrong_and_where(run, file, text, words):
    done = run("decode", file("text", text))
    assert done.status == 2 and done.err.count("\n") == 1, done
    assert all(word in done.err for word in words), done


@pytest.mark.parametrize("args", [(), ("no-such-file",), ("00", "0z"), ("--spec", "no-such", "00"), ("/",)])
def test_decode_usage(run, args):
    done = run("decode", *args)
    assert done.status == 2 and done.err.count("\n") == 1, done


def test_decode_a_trace(c, run, tmp_path):
    path = tmp_path / "t.pcapng"
    write_pcapng(path, "virtio-msg-2025-06", [(c.encode("virtio-msg-2025-06", "GET_DEVICE_INFO"), True),
        (c.encode("virtio-msg-2025-06", "GET_DEVICE_INFO", response=True, device_id=4), False)])
    done = run("decode", path)
    assert done.status == 0, done
    lines = done.out.splitlines()
    assert "spec=virtio-msg-2025-06" in lines[0] and "max_msg_size=264" in lines[0]
    assert lines[1].startswith("#1 ") and "-> GET_DEVICE_INFO request" in lines[1]
    assert lines[2].startswith("#2 ") and "<- GET_DEVICE_INFO response" in lines[2] and "device_id=4" in lines[2]
    broken = path.read_bytes()[:-5]
    path.write_bytes(broken)
    done = run("decode", path)
    assert done.status == 2 and "byte " in done.err, done


def test_decode_shows_scenarios(run, trace):
    done = run("decode", trace, seconds=300)
    assert done.status == 0
    groups = [line for line in done.out.splitlines() if line.startswith("group ")]
    assert len(groups) == 8 and len(set(groups)) == 8
    assert "\n        core-messages\n" in done.out


# --- replay, offline ---

def test_a_faithful_trace_fails_nothing(run, trace):
    done = run("replay", trace, "--json", "-", seconds=300)
    assert done.status == 0, done
    report = report_of(done)
    assert verdicts(report) == ([], []) and report["summary"]["conforms"] is True
    assert report["scenarios"] and all(s["verdict"] == "pass" for s in report["scenarios"])


def both(run, tmp_path, command):
    """The report of a live run and that of its trace."""
    path = tmp_path / "run.pcapng"
    live = run("test", "--exec", command, "--pcapng", path, "--json", "-", "--quiet", seconds=300)
    again = run("replay", path, "--json", "-", "--quiet", seconds=300)
    assert again.status == live.status, f"{live}\n{again}"
    return report_of(live), report_of(again)


def some_mutants():
    out = subprocess.run([PLUMBLINE, "serve", "device", "--list-mutants"], capture_output=True, text=True, check=False).stdout
    ids = [line.split("\t")[0] for line in out.splitlines()]
    return random.Random("plumbline replay").sample(ids, min(MUTANTS, len(ids)))


@pytest.mark.parametrize("mutant", some_mutants())
def test_a_mutants_trace_fails_as_its_run_did(run, tmp_path, mutant):
    live, again = both(run, tmp_path, device("--mutant", mutant))
    assert verdicts(again) == verdicts(live)
    assert counts(again) == counts(live)


@pytest.mark.parametrize("style", STYLES[:2] if FEW else STYLES)
def test_a_peers_trace_is_judged_as_its_run_was(run, tmp_path, style):
    live, again = both(run, tmp_path, f"/usr/bin/python3 -S -E {PEER} --style {style}")
    assert verdicts(again) == verdicts(live)


def test_an_unanswered_end_is_not_missing(c, run, tmp_path):
    path = tmp_path / "t.pcapng"
    write_pcapng(path, SPEC, [(c.encode(SPEC, "GET_DEVICE_INFO", token=1), True),
        (c.encode(SPEC, "GET_DEVICE_INFO", response=True, token=1, device_id=2, num_feature_blocks=2), False),
        (c.encode(SPEC, "GET_DEVICE_STATUS", token=2), True)])
    done = run("replay", path, "--json", "-")
    assert verdicts(report_of(done)) == ([], []), done


def test_a_wrong_answer_in_a_foreign_trace_is_found(c, run, tmp_path):
    path = tmp_path / "t.pcapng"
    write_pcapng(path, SPEC, [(c.encode(SPEC, "GET_DEVICE_INFO", token=1), True),
        (c.encode(SPEC, "GET_DEVICE_INFO", response=True, token=2), False)])
    done = run("replay", path)
    assert done.status == 1 and "HDR-DEV-" in done.out and "GET_DEVICE_INFO" in done.out, done


@pytest.mark.parametrize("content, words", [(b"\n\r\r\n", ["byte"]), (None, ["cannot be opened"]), (b"", ["empty"]),
    (b"no: scenario\n", ["x"])])
def test_replay_of_bad_files(run, tmp_path, content, words):
    path = tmp_path / "x"
    if content is not None:
        path.write_bytes(content)
    done = run("replay", path)
    assert done.status == 2 and done.err.count("\n") == 1, done
    assert all(word in done.err for word in words), done


def test_replay_of_traces_without_sense(c, run, tmp_path):
    path = tmp_path / "t.pcapng"
    write_pcapng(path, SPEC, [])
    assert run("replay", path).status == 2
    write_pcapng(path, "no-such-draft", [(c.encode(SPEC, "PING"), True)])
    done = run("replay", path)
    assert done.status == 2 and "no-such-draft" in done.err, done
    assert run("replay").status == 2


# --- replay, live ---

def test_the_reference_device_passes_its_own_trace(run, trace):
    done = run("replay", trace, "--exec", device(), "--json", "-", seconds=300)
    assert done.status == 0, done
    assert verdicts(report_of(done)) == ([], [])


def test_a_device_with_a_slow_reset_passes_it_too(run, trace):
    """Its resets end later than those of the trace: the replay waits for them."""
    done = run("replay", trace, "--exec", device("--option", "reset_delay=3"), "--max-msg-size", "264",
               "--transport-features", "0", "--json", "-", seconds=300)
    assert done.status == 0, done
    assert verdicts(report_of(done)) == ([], [])


def test_a_broken_device_fails_the_faithful_ones_trace(run, trace):
    done = run("replay", trace, "--exec", device("--mutant", first_of("GVQ-DEV-")),
               "--max-msg-size", "264", "--transport-features", "0", "--json", "-", seconds=300)
    report = report_of(done)
    assert done.status == 1, done
    assert any(i.startswith("GVQ-DEV-") for i, _ in verdicts(report)[0])
    assert all(f["repeat"].startswith("plumbline replay ") for f in report["findings"])


def first_of(prefix):
    out = subprocess.run([PLUMBLINE, "serve", "device", "--list-mutants"], capture_output=True, text=True, check=True).stdout
    return next(line.split("\t")[0] for line in out.splitlines() if line.startswith(prefix))


def test_replay_without_anybody_there(run, trace, tmp_path):
    assert run("replay", trace, "--connect", f"unix:{tmp_path}/nobody", seconds=120).status in (2, 3)


SCENARIO = """
scenarios:
  - name: mine-alone
    section: GET_DEVICE_STATUS/Device
    clauses: [STAT-DEV-01]
    steps:
      - GET_DEVICE_STATUS: {}
"""


def test_replay_of_a_scenario_file(run, file):
    done = run("replay", file("mine.yaml", SCENARIO), "--json", "-")
    if done.status == 2:
        pytest.fail(str(done))
    assert {s["name"] for s in report_of(done)["scenarios"]} == {"mine-alone"}


# --- bench ---

def test_bench_gives_figures(run, tmp_path):
    path = tmp_path / "bench.json"
    done = run("bench", "--quick", "--json", path, seconds=300)
    assert done.status == 0 and "round trip" in done.out, done
    figures = json.loads(path.read_text())
    assert figures["schema"] == "plumbline-bench/1" and figures["quick"] is True
    assert [r["carrier"] for r in figures["round_trips"]] == ["unix", "unix-stream", "tcp", "spsc", "spsc-wakeup", "inprocess"]
    for trip in figures["round_trips"] + [figures["bus_round_trip"]]:
        assert trip["bare_ns"] > 0 and trip["ours_ns"] > 0 and trip["ratio"] > 0
    assert figures["oracle"]["ns_per_message"] > 0 and figures["oracle"]["messages"] > 1000
    for suite in ("suite", "suite_spsc"):
        assert figures[suite]["seconds"] > 0 and figures[suite]["messages"] > 1000 and figures[suite]["conforms"] is True
    driver, bus, life = figures["suite_driver"], figures["suite_bus"], figures["driver_life"]
    for suite in (driver, bus):
        assert suite["seconds"] > 0 and suite["messages"] > 1000 and suite["conforms"] is True
    assert driver["lives"] > 100 and bus["lives"] >= 1
    assert life["ms"] > 0 and 20 < life["messages"] < driver["messages"] and 1 <= life["lives"] < driver["lives"]
    assert all(f"\n{words}" in done.out for words in ("bus ", "driver suite ", "driver life ", "bus suite "))
    assert [s["session"] for s in figures["sessions"]] == ["device", "device, I/O", "driver", "bus"]
    for session in figures["sessions"] + [figures["socket_sessions"]]:
        assert session["messages"] >= 8 and session["per_second"] > 0, session
    assert figures["socket_sessions"]["bare_per_second"] > 0 and figures["socket_sessions"]["ratio"] > 0
    assert "/s in-process, device, 8 messages each" in done.out and "/s over a socket, device, " in done.out
    assert figures["memory"]["self_kib"] > 0 and figures["memory"]["children_kib"] > 0
    assert run("bench", "--quick", "--json", "/no/such/folder/x", seconds=300).status == 2
