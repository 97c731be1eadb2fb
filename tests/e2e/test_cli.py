# SPDX-License-Identifier: BSD-3-Clause
"""The commands as a user meets them: help, clauses, test, serve, decode, replay, selftest, the demonstration, installing."""
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import xml.etree.ElementTree as ET

import pytest

from conftest import PLUMBLINE, QUICK, ROOT, SECONDS, left_behind
from report_tools import schema_problems, write_pcapng

COMMANDS = ("test", "serve", "replay", "clauses", "decode", "selftest", "bench", "fuzz", "corpus")
MUTANT = "RVQ-DEV-01.first"  # breaks one clause, in a way that one kind of request shows
INFO = "0002000000000800"    # GET_DEVICE_INFO, token 0


# --- help ---

def test_help_names_every_command(run):
    for word in ("--help", "-h", "help"):
        done = run(word)
        assert done.status == 0 and not done.err, done
        assert all(f"  {name} " in done.out for name in COMMANDS), done
    assert re.fullmatch(r"plumbline \d+\.\d+\.\d+\S*\n", run("--version").out)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command(run, command):
    done = run(command, "--help")
    assert done.status == 0 and not done.err, done
    assert done.out.startswith(f"usage: plumbline {command}"), done
    assert max(map(len, done.out.splitlines())) <= 100, done


# --- clauses ---

@pytest.fixture(scope="module")
def clauses(program):
    return json.loads(subprocess.run([program, "clauses", "--format", "json"], capture_output=True, text=True,
                                     check=True).stdout)


TYPES = ("block", "entropy", "console", "net")


def test_clauses_as_json(clauses):
    assert sum(c["spec"] == "virtio-msg-r1" for c in clauses) == 225
    assert {c["spec"] for c in clauses} == {"virtio-msg-r1", "virtio-1.4"}
    assert {c.get("type") for c in clauses if c["spec"] == "virtio-1.4"} == {None, *TYPES}
    assert len({c["id"] for c in clauses}) == len(clauses)
    for clause in clauses:
        keys = {"id", "spec", "role", "level", "how", "section", "text", "judged"}
        assert set(clause) - {"type", "by_scenario"} == keys | ({"reason"} if not clause["judged"] else set()), clause
        assert "type" not in clause or clause["id"].startswith(clause["type"][:3].upper().replace("BLO", "BLK")), clause
        assert isinstance(clause["judged"], bool) and all(clause.values()) is clause["judged"], clause
        assert clause["role"] in ("device", "driver", "bus", "any"), clause
        assert clause["level"] in ("MUST", "SHOULD", "MAY"), clause
        assert clause["how"] in ("passive", "active", "option", "inspect"), clause


@pytest.mark.parametrize("role", ["device", "driver", "bus", "any"])
@pytest.mark.parametrize("level", [None, "MUST", "SHOULD", "MAY"])
def test_clauses_filtered(run, clauses, role, level):
    """What binds any role binds this one."""
    wanted = [c for c in clauses if c["role"] in (role, "any") and level in (None, c["level"])]
    args = ["clauses", "--role", role, *(["--level", level] if level else [])]
    assert json.loads(run(*args, "--format", "json").out) == wanted
    table, judged = run(*args).out, sum(c["judged"] for c in wanted)
    assert table.splitlines()[-1] == f"{len(wanted)} clauses, {judged} of them judged"
    assert all(f"{c['id']} " in table and c["text"] in table and c.get("reason", "") in table for c in wanted)
    rows = run(*args, "--format", "md").out.splitlines()
    assert rows[0].startswith("| id | level | role |") and len(rows) == 2 + len(wanted)
    for row, clause in zip(rows[2:], wanted):
        assert row.startswith(f"| {clause['id']} | ") and len(re.findall(r"(?<!\\)\|", row)) == rows[0].count("|"), row


@pytest.mark.parametrize("spec", ["virtio-msg-r1", "virtio-1.4"])
def test_clauses_of_one_catalogue(run, clauses, spec):
    """A draft's own, or what it includes."""
    wanted = [c for c in clauses if c["spec"] == spec]
    assert json.loads(run("clauses", "--spec", spec, "--format", "json").out) == wanted
    table = run("clauses", "--spec", spec, "--level", "MAY").out.splitlines()
    assert table[0] == f"--- {spec}" and table[-1].startswith(f"{sum(c['level'] == 'MAY' for c in wanted)} clauses, ")
    assert [line for line in run("clauses").out.splitlines() if line.startswith("---")] == ["--- virtio-msg-r1", "--- virtio-1.4"]


def test_every_device_clause_is_judged_or_says_why(clauses):
    """What shows from outside is judged, or will be, or needs a feature that few devices have."""
    for clause in clauses:
        if clause["role"] in ("device", "any") and clause["how"] in ("passive", "active") and not clause["judged"]:
            assert re.match(r"planned: \w|judged only where .+ (is offered|has .+); no scenario yet$|.*(I/O|virtqueue|data path)",
                            clause["reason"]), clause


def test_a_draft_without_clauses(run):
    done = run("clauses", "--spec", "virtio-msg-2025-06")
    assert done.status == 2 and "virtio-msg-2025-06" in done.err and not done.out, done
    done = run("clauses", "--spec", "virtio-0.9")
    assert done.status == 2 and "'virtio-0.9'" in done.err and not done.out, done


# --- test ---

def report_of(run, tmp_path, *args, **more):
    done = run("test", *args, "--json", "report.json", **more)
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert not schema_problems(report, "report")
    return done, report


def mutant(name=MUTANT):
    return f"exec {PLUMBLINE} serve device --mutant {name}"


def test_without_arguments(run, tmp_path):
    done, report = report_of(run, tmp_path)
    assert done.status == 0 and not done.err, done
    assert done.out.splitlines()[-1].startswith("CONFORMS"), done
    assert report["schema"] == "plumbline-report/1" and report["spec"] == "virtio-msg-r1", report["schema"]
    assert report["role"] == "device" and report["seed"] == 1
    assert report["summary"]["conforms"] is True and not report["findings"]
    assert not [s for s in report["scenarios"] if s["verdict"] in ("fail", "error")]
    parameters = {s["parameters"] for s in report["scenarios"]}
    for needed in ("profile=baseline", "profile=strict", "outstanding=1 ", "max_msg_size=52", "max_msg_size=64",
                   "max_msg_size=264", "max_msg_size=65535"):
        assert any(needed in text + " " for text in parameters), needed
    assert any(not re.search(r"outstanding=1\b", text) for text in parameters)


# Devices that offer what the plain ones do not.
SPECIAL = ("--option admin_vqs=2", "--option features_add=0x20", "--option features_add=0x80000000000",
           "--option features_add=0x18000", "--option zoned=3",
           "--option zoned=1 --option zone_append=0 --option zone_granularity=4096 --option zone_sectors=256 --option zone_cap=200",
           "--option zoned=1 --option features_add=0x10002 --option zone_rdonly=1 --option zone_offline=2 "
           "--option zone_relieve=0 --option zone_finish=0 --option zone_active=4", "--type console --option features_add=0x2",
           "--type net --option features_add=0x923c000000fc0000 --option features_add_high=1",
           "--type net --option features_add=0x8208000000400000",
           "--type net --option features_add=0x29c0000000007f83 --option features_add_high=0x3e",
           "--type net --option features_add=0x40000 --option net_filters=1 --option admin_vqs=1 --option features_add_high=0x60",
           "--type net --option features_add=0x400000 --option net_filters=1 --option admin_vqs=1")


def test_every_clause_that_can_be_exercised_is(run, tmp_path, clauses):
    """A plain device of each type, then the special ones with the scenarios of what is still missing."""
    missing = {c["id"] for c in clauses if c["judged"] and c["level"] != "MAY" and c["role"] in ("device", "any")}
    aimed = set()
    for options in [f"--type {kind}" for kind in TYPES] + list(SPECIAL):
        select = ("--select", ",".join(sorted(missing & aimed))) if options in SPECIAL else ()
        _, report = report_of(run, tmp_path, "--exec", f"exec {PLUMBLINE} serve device {options}", *select)
        aimed |= {name for scenario in report["scenarios"] for name in scenario["clauses"]}
        missing -= {c["id"] for c in report["clauses"] if c["verdict"] == "pass" and c["count"]}
    assert not missing & {c["id"] for c in report["clauses"]}, missing


def test_clauses_of_another_device_type(run, tmp_path):
    """The report lists them and says that the IUT is of another type."""
    for kind in ("block", "console"):
        _, report = report_of(run, tmp_path, "--exec", f"exec {PLUMBLINE} serve device --type {kind}", "--select", "INFO-DEV-01")
        listed = {c["id"]: c for c in report["clauses"]}
        assert listed["INFO-DEV-01"]["spec"] == "virtio-msg-r1" and listed["CORE-RESET-DEV-01"]["spec"] == "virtio-1.4"
        other = [c for c in listed.values() if re.search("no device of type", c.get("reason", ""))]
        assert {c["verdict"] for c in other} == {"not-exercised"}
        for prefix, of in (("BLK-DEV", "block"), ("ENT-DEV", "entropy"), ("CON-DEV", "console"), ("NET-DEV", "net")):
            mine = [c for c in listed.values() if c["id"].startswith(prefix)]
            assert mine and all((c in other) is (of != kind) for c in mine), mine
            assert all(of == kind or c["reason"].endswith(" " + of) for c in mine), mine


def test_output_to_a_pipe_is_quiet(run):
    done = run("test", "--select", "INFO-DEV-01")
    assert "\r" not in done.out + done.err and "\033" not in done.out + done.err, done


def test_quiet_and_verbose(run):
    quiet, plain = run("test", "--select", "INFO-DEV-01", "--quiet"), run("test", "--select", "INFO-DEV-01")
    verbose = run("test", "--select", "INFO-DEV-01", "--verbose")
    assert len(quiet.out.splitlines()) == 1 and "CONFORMS" in quiet.out, quiet
    assert "INFO-DEV-01" in verbose.out and len(verbose.out) > len(plain.out), verbose


@pytest.mark.parametrize("pattern, aims", [
    ("INFO-DEV-01", "INFO-DEV-01"), ("INFO-*", "INFO-"), ("GET_SHM", "SHM-DEV-01"), ("GET_SHM/Device", "SHM-DEV-01"),
    ("shared-memory-regions", "SHM-DEV-01"), ("SHM-DEV-0?,INFO-DEV-01", ("SHM-DEV-0", "INFO-DEV-01"))])
def test_select(run, tmp_path, pattern, aims):
    """By clause, section or scenario."""
    done, report = report_of(run, tmp_path, "--select", pattern)
    assert done.status == 0 and report["scenarios"], done
    for scenario in report["scenarios"]:
        assert any(clause.startswith(aims) for clause in scenario["clauses"]), scenario


def test_one_combination(run, tmp_path):
    done, report = report_of(run, tmp_path, "--max-msg-size", "100", "--transport-features", "1")
    assert done.status == 0, done
    for scenario in report["scenarios"]:
        assert "max_msg_size=100" in scenario["parameters"] and "profile=strict" in scenario["parameters"], scenario


def test_repeatable_from_the_seed(run, tmp_path):
    """The same seed sends the same messages; the seed is in the report."""
    traces = []
    for seed in ("7", "7", "8"):
        done = run("test", "--select", "GET_CONFIG", "--seed", seed, "--pcapng", "trace.pcapng", "--json", "report.json")
        assert done.status == 0, done
        assert json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["seed"] == int(seed)
        traces.append(run("decode", "trace.pcapng").out)
    strip = re.compile(r"^\s*(#?\d+\s+)?[\d.]+\s*m?s?\s", re.M)  # times differ
    assert traces[0] and strip.sub("", traces[0]) == strip.sub("", traces[1])


def test_json_on_standard_output(run):
    done = run("test", "--select", "INFO-DEV-01", "--json", "-")
    report = json.loads(done.out)
    assert done.status == 0 and not schema_problems(report, "report"), done


def test_junit(run, tmp_path):
    assert run("test", "--exec", mutant(), "--junit", "report.xml").status == 1
    root = ET.parse(tmp_path / "report.xml").getroot()
    assert list(root.iter("testcase")) and list(root.iter("failure"))


def test_a_failure_says_all_that_it_takes(run, tmp_path):
    done, report = report_of(run, tmp_path, "--exec", mutant())
    assert done.status == 1 and report["summary"]["conforms"] is False, done
    failed = {c["id"] for c in report["clauses"] if c["verdict"] == "fail"}
    assert failed == {"RVQ-DEV-01"}
    finding = next(f for f in report["findings"] if f["kind"] == "clause")
    assert finding["clause"] == "RVQ-DEV-01" and finding["messages"] and finding["scenario"]
    for part in ("FAIL RVQ-DEV-01", "RESET_VQUEUE/Device", "required", "seen", finding["scenario"], "messages", ">>",
                 "RESET_VQUEUE request", finding["repeat"], "DOES NOT CONFORM"):
        assert part in done.out, part


@pytest.mark.parametrize("exec_more", ["", " # it's \"quoted\" $HOME"])
def test_the_repeat_command_repeats(run, tmp_path, exec_more):
    """Pasted into a shell it fails the same clause."""
    done, report = report_of(run, tmp_path, "--exec", mutant() + exec_more)
    assert done.status == 1, done
    again = subprocess.run(["sh", "-c", report["findings"][0]["repeat"] + " --json again.json"], cwd=tmp_path, timeout=SECONDS,
                           capture_output=True, text=True, check=False,
                           env={**os.environ, "PATH": f"{PLUMBLINE.parent}:{os.environ['PATH']}"})
    assert again.returncode == 1, again
    report = json.loads((tmp_path / "again.json").read_text(encoding="utf-8"))
    assert "RVQ-DEV-01" in {c["id"] for c in report["clauses"] if c["verdict"] == "fail"}


PROFILE = """\
name: reference 1.0
role: device
spec: virtio-msg-r1
exec: "exec {program} serve device --type {type}"
bus: {{revision: 1, max_msg_size: 264, features: [STRICT_CONFIG_GENERATION]}}
devices: [{{number: 0}}]
memory: 16MiB
control: socket
timeouts: {{response: 5s, reset: 5s, fence: 1s}}
declares:
  RTN-BUS-01: forwarded
"""


@pytest.mark.parametrize("kind", ["block", "net", "console", "entropy"])
def test_profile(run, tmp_path, file, kind):
    file("device.yaml", PROFILE.format(program=PLUMBLINE, type=kind))
    done, report = report_of(run, tmp_path, "device.yaml")
    assert done.status == 0, done
    assert report["iut"] == "reference 1.0" and report["scenarios"]
    assert all("profile=strict max_msg_size=264" in s["parameters"] for s in report["scenarios"])


def test_options_come_before_the_profile(run, tmp_path, file):
    file("device.yaml", PROFILE.format(program=PLUMBLINE, type="block"))
    done, report = report_of(run, tmp_path, "device.yaml", "--exec", mutant())
    assert done.status == 1 and "RVQ-DEV-01" in {f.get("clause") for f in report["findings"]}, done


OWN = """\
section: "Mine"
scenarios:
  - name: mine
    clauses: [INFO-DEV-01]
    with: {offset: [0, 1]}
    steps:
      - GET_CONFIG: {offset: offset, length: 1}
      - expect: %s
        clause: GCFG-DEV-01
"""


def test_scenarios_of_ones_own(run, tmp_path, file):
    (tmp_path / "own").mkdir()
    file("own/mine.yaml", OWN % "resp.offset == offset")
    for path in ("own", "own/mine.yaml"):
        done, report = report_of(run, tmp_path, "--scenarios", path, "--select", "Mine")
        assert done.status == 0 and {s["name"] for s in report["scenarios"]} == {"mine"}, done
    file("own/mine.yaml", OWN % "resp.offset == 5")
    done, report = report_of(run, tmp_path, "--scenarios", "own", "--select", "mine")
    assert done.status == 1 and report["findings"][0]["clause"] == "GCFG-DEV-01", done
    assert "resp.offset == 5" in done.out, done


@pytest.mark.parametrize("ignored", [["PLUMBLINE_CTL_FD"], ["PLUMBLINE_CTL_FD", "PLUMBLINE_MEM_FD", "PLUMBLINE_BUS"]])
def test_a_device_that_knows_of_the_message_socket_only(run, tmp_path, ignored):
    """What needs more is not exercised, and nothing else changes."""
    options = " ".join(f"-u {name}" for name in ignored)
    done, report = report_of(run, tmp_path, "--exec", f"exec env {options} {PLUMBLINE} serve device", "--max-msg-size", "264",
                             "--transport-features", "0")
    assert done.status == 0 and not report["findings"], done
    assert any(c["verdict"] == "not-exercised" for c in report["clauses"])


# --- serve ---

@pytest.fixture
def served(program):
    """Starts a reference device that listens at an address, and ends it."""
    started = []

    def start(address, *args):
        process = subprocess.Popen([program, "serve", "device", "--listen", address, *args], stderr=subprocess.PIPE,
                                   stdout=subprocess.PIPE, text=True)
        started.append(process)
        return process
    yield start
    for process in started:
        process.terminate()
        process.communicate(timeout=SECONDS)


@pytest.mark.parametrize("kind", ["unix", "unix-stream"])
def test_connect(run, tmp_path, served, kind):
    with tempfile.TemporaryDirectory() as folder:
        process = served(f"{kind}:{folder}/s")
        until = time.monotonic() + SECONDS
        while not os.path.exists(f"{folder}/s"):
            assert process.poll() is None and time.monotonic() < until, process.stderr.read()
            time.sleep(0.01)
        for _ in range(2):  # one connection after the other
            done, report = report_of(run, tmp_path, "--connect", f"{kind}:{folder}/s")
            assert done.status == 0, done
            assert all("max_msg_size=264" in s["parameters"] for s in report["scenarios"])


@pytest.mark.parametrize("kind", ["unix", "unix-stream"])
def test_listen(program, kind):
    with tempfile.TemporaryDirectory() as folder:
        address = f"{kind}:{folder}/s"
        with subprocess.Popen([program, "test", "--listen", address, "--quiet"], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True) as tester:
            while not os.path.exists(f"{folder}/s") and tester.poll() is None:
                time.sleep(0.01)
            device = subprocess.run([program, "serve", "device", "--connect", address], timeout=SECONDS, check=False,
                                    capture_output=True, text=True)
            out, err = tester.communicate(timeout=SECONDS)
        assert tester.returncode == 0, out + err
        assert device.returncode == 0, device
        assert not os.path.exists(f"{folder}/s"), "the socket's file is left behind"


def test_mutants_are_listed(run, clauses):
    rows = [line.split("\t") for line in run("serve", "device", "--list-mutants").out.splitlines()]
    ids, broken = [row[0] for row in rows], {c for row in rows for c in row[1].split(",")}
    assert len(ids) >= 150 and len(set(ids)) == len(ids)
    assert all(len(row) == 3 and row[2] for row in rows)
    judged = {c["id"] for c in clauses if c["role"] in ("device", "any") and c["judged"] and c["how"] != "option"}
    assert not broken - {c["id"] for c in clauses}
    assert not judged - broken, "clauses without a mutant"


@pytest.mark.parametrize("kind", ["unix", "unix-stream"])
def test_driver_meets_device(program, served, kind):
    """The reference driver initializes the reference device, does its I/O and ends; a second one does the same."""
    with tempfile.TemporaryDirectory() as folder:
        memory = f"{folder}/mem"
        with open(memory, "wb") as stream:
            stream.truncate(16 << 20)
        process = served(f"{kind}:{folder}/s", "--memory", memory)
        until = time.monotonic() + SECONDS
        while not os.path.exists(f"{folder}/s"):
            assert process.poll() is None and time.monotonic() < until, process.stderr.read()
            time.sleep(0.01)
        for end in ("2", "3"):
            driver = subprocess.run([program, "serve", "driver", "--connect", f"{kind}:{folder}/s", "--memory", memory, "--option",
                                     f"end={end}"], timeout=SECONDS, check=False, capture_output=True, text=True)
            assert driver.returncode == 0 and not driver.stderr, driver


def test_driver_mutants_are_listed(run, clauses):
    rows = [line.split("\t") for line in run("serve", "driver", "--list-mutants").out.splitlines()]
    ids, broken = [row[0] for row in rows], {c for row in rows for c in row[1].split(",")}
    assert len(ids) >= 150 and len(set(ids)) == len(ids)
    assert all(len(row) == 3 and row[2] for row in rows)
    assert not broken - {c["id"] for c in clauses}
    due = {c["id"] for c in clauses if c["spec"] == "virtio-msg-r1" and c["role"] == "driver" and c["level"] != "MAY" and
           c["how"] != "inspect"}
    assert len(due) >= 67 and not due - broken, "clauses without a mutant"


@pytest.mark.parametrize("args, words", [
    (("serve", "toaster"), ["'toaster'", "device, driver and bus"]), (("serve", "driver", "--file", "x"), ["--file"]),
    (("serve", "driver", "--mutant", "NO-SUCH-99"), ["mutant 'NO-SUCH-99'", "unknown"]),
    (("serve", "driver", "--option", "colour=1"), ["option 'colour=1'"]), (("serve", "driver", "--option", "depth=0"), ["'depth'", "1 to"]),
    (("serve", "driver", "--type", "toaster"), ["type 'toaster'"])])
def test_driver_that_cannot_be(run, args, words):
    done = run(*args)
    assert done.status == 2 and all(word in done.err for word in words), done


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(program, end):
    """Ctrl-C in the middle of a run leaves no device behind."""
    mark = "interrupted-" + str(os.getpid()) + end.name
    process = subprocess.Popen([program, "test"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               env={**os.environ, "PLUMBLINE_TEST_MARK": mark})
    time.sleep(0.3)
    process.send_signal(end)
    process.wait(SECONDS)
    assert not left_behind(mark)


# --- decode and replay ---

def test_decode_hex(run):
    done = run("decode", INFO)
    assert done.status == 0 and len(done.out.splitlines()) == 1, done
    assert "GET_DEVICE_INFO request" in done.out and "msg_size=8" in done.out, done
    spaced = run("decode", "00 02 00 00 00 00 08 00")
    assert spaced.out == done.out, spaced


def test_decode_an_older_draft(run):
    done = run("decode", "--spec", "virtio-msg-2025-06", "000200000600")
    assert done.status == 0 and "GET_DEVICE_INFO" in done.out and "token" not in done.out, done


@pytest.mark.parametrize("data", ["00", "0002000000000900", "0055000000000800", "0005000000000800", "ffffffffffffffff"])
def test_decode_what_is_malformed(run, data):
    """Malformed is what a message is, not an error of the command."""
    done = run("decode", data)
    assert done.status == 0 and len(done.out.splitlines()) == 1, done


def test_decode_a_trace(run, tmp_path):
    messages = [(bytes.fromhex(INFO), True), (bytes.fromhex("0102000000000800"), False)]
    write_pcapng(tmp_path / "trace.pcapng", "virtio-msg-r1", messages)
    done = run("decode", "trace.pcapng")
    assert done.status == 0, done
    assert [word for word in re.findall(r"->|<-", done.out)] == ["->", "<-"], done


def test_decode_loses_nothing(run, tmp_path):
    done, report = report_of(run, tmp_path, "--select", "GET_VQUEUE", "--pcapng", "trace.pcapng")
    decoded = run("decode", "trace.pcapng")
    assert done.status == decoded.status == 0, decoded
    numbers = re.search(r"(\d+) messages", done.out)
    assert len(re.findall(r"->|<-", decoded.out)) == int(numbers.group(1))


def test_replay_of_a_good_trace(run):
    assert run("test", "--pcapng", "trace.pcapng").status == 0
    done = run("replay", "trace.pcapng")
    assert done.status == 0 and not done.err, done


def test_replay_of_a_bad_trace(run):
    """The offline oracle sees on a recorded trace what it saw online."""
    assert run("test", "--exec", mutant(), "--pcapng", "trace.pcapng").status == 1
    done = run("replay", "trace.pcapng")
    assert done.status == 1 and "FAIL RVQ-DEV-01" in done.out, done


def test_replay_against_a_profile(run, tmp_path, file):
    """Sent once more: the good device's trace, to a device that is broken."""
    assert run("test", "--select", "RVQ-DEV-01", "--pcapng", "trace.pcapng").status == 0
    file("device.yaml", f"exec: {mutant()}\n")
    done = run("replay", "trace.pcapng", "device.yaml")
    assert done.status == 1 and "RVQ-DEV-01" in done.out, done


# --- selftest and bench ---

def test_selftest_of_a_few(run, tmp_path):
    done = run("selftest", "--mutant", "RVQ-DEV-01", "--quick", "--json", "matrix.json", seconds=300)
    matrix = json.loads((tmp_path / "matrix.json").read_text(encoding="utf-8"))
    assert not schema_problems(matrix, "selftest")
    assert matrix["mutants"] and all(m["id"].startswith("RVQ-DEV-01") for m in matrix["mutants"])
    assert done.status == (0 if all(m["verdict"] == "killed" for m in matrix["mutants"]) else 1), done


def test_selftest_ends_in_time(run, tmp_path):
    """What there was no time for is listed, and no success; what was done is told."""
    done = run("selftest", "--exhaustive", "--mutant", "RVQ-DEV-01", "--legal", "type=", "--jobs", "2", "--seconds", "2",
               "--json", "matrix.json", seconds=120)
    matrix = json.loads((tmp_path / "matrix.json").read_text(encoding="utf-8"))
    assert not schema_problems(matrix, "selftest")
    assert done.status == 1 and "INCOMPLETE" in done.out and "not run       type=net" in done.out, done
    assert matrix["summary"]["not_run"] >= 3, matrix["summary"]
    done = run("selftest", "--mutant", "RVQ-DEV-01", "--seconds", "300", "--json", "matrix.json", seconds=300)
    matrix = json.loads((tmp_path / "matrix.json").read_text(encoding="utf-8"))
    assert done.status == 0 and matrix["summary"]["not_run"] == 0 and "INCOMPLETE" not in done.out, done


def test_selftest(run, tmp_path):
    """Every mutant dies, and of its own clause; no legal configuration fails anything."""
    few = ["--mutant", "RVQ", "--legal", "ring"] if QUICK else []
    done = run("selftest", "--quick", "--json", "matrix.json", *few, seconds=900)
    matrix = json.loads((tmp_path / "matrix.json").read_text(encoding="utf-8"))
    assert not schema_problems(matrix, "selftest")
    bad = {m["id"]: m["verdict"] for m in matrix["mutants"] if m["verdict"] != "killed"}
    assert not bad, f"{len(bad)} of {len(matrix['mutants'])}: {bad}"
    summary = matrix["summary"]
    assert summary["mutants"] == summary["killed"] == len(matrix["mutants"]) >= (10 if QUICK else 1000)
    for one in matrix["mutants"]:
        assert set(one["killed_by"]) & set(one["clauses"]), one
    assert done.status == 0, done


def test_bench(run):
    done = run("bench", "--quick", seconds=300)
    assert done.status == 0 and not done.err, done
    for word in ("ns", "ratio", "memory"):
        assert word in done.out, done


# --- the demonstration and installing ---

@pytest.mark.skipif(not shutil.which("qemu-storage-daemon"), reason="qemu-storage-daemon is not installed")
def test_demo(program, tmp_path):
    done = subprocess.run([ROOT / "tests" / "demo.sh"], env={**os.environ, "PLUMBLINE": str(program), "TMPDIR": str(tmp_path)},
                          capture_output=True, text=True, timeout=5 * SECONDS, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [int(n) for n in re.findall(r"\(exit status (\d)\)", done.stdout)] == [0, 1, 0, 1], done.stdout
    assert not list(tmp_path.iterdir()), "files are left behind"


def test_demo_of_a_broken_program(tmp_path):
    false = shutil.which("false")
    done = subprocess.run([ROOT / "tests" / "demo.sh"], env={**os.environ, "PLUMBLINE": false, "TMPDIR": str(tmp_path)},
                          capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 1 and "exit status 1 where 0 was expected" in done.stderr, done
    assert not list(tmp_path.iterdir()), "files are left behind"


def make(*args):
    """make in the tree, with what is built left as it is."""
    build = PLUMBLINE.parent
    keep = [arg for path in (PLUMBLINE, build / "gen" / "sources.mk") for arg in ("-o", str(path))]
    clean = {key: value for key, value in os.environ.items() if key not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    return subprocess.run(["make", "-s", "-C", ROOT, f"BUILD={build}", *keep, *args], env=clean, capture_output=True, text=True,
                          timeout=300, check=False)


def test_install_and_uninstall(program, tmp_path):
    where = [f"DESTDIR={tmp_path}", "PREFIX=/opt/x"]
    done = make("install", *where)
    assert done.returncode == 0, done.stderr
    files = {str(path.relative_to(tmp_path / "opt" / "x")) for path in tmp_path.rglob("*") if path.is_file()}
    for name in ("bin/plumbline", "share/plumbline/virtio-msg.lua", "share/plumbline/report.schema.json",
                 "share/plumbline/selftest.schema.json", "share/doc/plumbline/README.md", "share/doc/plumbline/LICENSE",
                 "share/doc/plumbline/clauses.md", "share/doc/plumbline/scenarios.md"):
        assert name in files, f"{name} is not among {sorted(files)}"
    alone = subprocess.run([tmp_path / "opt/x/bin/plumbline", "test", "--quiet"], cwd="/", env={"PATH": "/nowhere"},
                           capture_output=True, text=True, timeout=SECONDS, check=False)
    assert alone.returncode == 0, alone  # it needs nothing of the tree, and no Python
    done = make("uninstall", *where)
    assert done.returncode == 0, done.stderr
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


# --- the documents ---

def blocks(name, kind):
    """The fenced blocks of one kind in a document."""
    return re.findall(rf"^```{kind}\n(.*?)^```$", (ROOT / name).read_text(encoding="utf-8"), re.M | re.S)


def test_the_documented_scenario_runs(run, tmp_path, file):
    found = blocks("docs/scenarios.md", "yaml")
    assert found
    for index, text in enumerate(found):
        file(f"mine{index}.yaml", text)
        name = re.search(r"- name: (\S+)", text).group(1)
        done, report = report_of(run, tmp_path, "--scenarios", f"mine{index}.yaml", "--select", name)
        assert done.status == 0 and report["scenarios"], done
        verdicts = {s["verdict"] for s in report["scenarios"]}
        assert "pass" in verdicts and verdicts <= {"pass", "skipped"}, done  # a ring of one entry is too small for two buffers


@pytest.mark.parametrize("name", ["README.md", "docs/bindings.md"])
def test_the_documented_profile_is_one(run, tmp_path, file, name):
    for index, text in enumerate(blocks(name, "yaml")):
        assert "./acme-blk" in text
        file(f"profile{index}.yaml", text.replace("./acme-blk", f"exec {PLUMBLINE} serve device"))
        done, report = report_of(run, tmp_path, f"profile{index}.yaml", "--select", "INFO-DEV-01")
        assert done.status == 0 and report["iut"] == "acme-blk 0.3", done


def test_links_lead_somewhere():
    for path in [ROOT / "README.md", ROOT / "reports" / "README.md", *(ROOT / "docs").glob("*.md")]:
        for link in re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8")):
            assert "://" in link or (path.parent / link).exists(), f"{path.name}: {link}"


def test_every_option_of_test_is_documented_by_help(run):
    """What the README and the documents name, --help names too."""
    text = "".join((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "docs/scenarios.md", "docs/verdicts.md"))
    helps = "".join(run(command, "--help").out for command in COMMANDS)
    for option in set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)) - {"--help"}:
        assert option in helps, option
