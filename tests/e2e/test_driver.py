# SPDX-License-Identifier: BSD-3-Clause
"""Drivers under test as a user meets them: conforming, faulty, hanging, ending, flooding; traces; scenarios of one's own."""
import json
import shlex
import sys

import pytest

from conftest import PLUMBLINE, ROOT, SECONDS

FAST = "an-undisturbed-life,features-ok-refused-once,a-queue-is-refused,reserved-bits-in-every-header,smallest-messages"
EXAMPLE = f"{sys.executable} {ROOT}/docs/examples/entropy_driver.py"
CONTROL = "import os,socket,struct,time\ns=socket.socket(fileno=int(os.environ['PLUMBLINE_FD']))\n"


def serve(*words):
    return " ".join([str(PLUMBLINE), "serve", "driver", *words])


def report(run, path, *words):
    done = run("test", "--role", "driver", "--json", path, *words, seconds=SECONDS)
    with open(path, encoding="utf-8") as stream:
        return done, json.load(stream)


def failed(whole):
    return {clause["id"] for clause in whole["clauses"] if clause["verdict"] == "fail"}


def needs(whole, clause):
    """What the first finding of a clause needs, with its repeat command's words behind `plumbline test`."""
    found = next(finding for finding in whole["findings"] if finding["clause"] == clause)
    assert found["reproduced"] is True, found
    return found["matters"], shlex.split(found["repeat"])[2:]


@pytest.fixture(name="script")
def script_fixture(file):
    """A driver in a few lines of Python."""
    def make(text):
        return f"{sys.executable} {file('driver.py', CONTROL + text)}"
    return make


def test_the_embedded_driver_conforms(run, tmp_path):
    done, whole = report(run, tmp_path / "r.json", "--select", FAST)
    assert done.status == 0 and not whole["findings"], done
    assert whole["role"] == "driver" and whole["summary"]["conforms"]
    assert sum(clause["verdict"] == "pass" for clause in whole["clauses"]) > 60


def test_the_example_conforms(run, tmp_path):
    done, whole = report(run, tmp_path / "r.json", "--exec", EXAMPLE, "--select", FAST)
    assert done.status == 0 and not failed(whole), done
    assert {clause["id"]: clause["verdict"] for clause in whole["clauses"]}["ENT-DRV-01"] == "pass"


@pytest.mark.parametrize("mutant", ["SVQ-DRV-01.reserved", "FEAT-DRV-02.offered", "INIT-DRV-02.queues-first"])
def test_a_broken_rule_fails_by_its_clause(run, tmp_path, mutant):
    clause = mutant.split(".")[0]
    done, whole = report(run, tmp_path / "r.json", "--exec", serve("--mutant", mutant), "--select", f"{clause},an-undisturbed-life")
    assert done.status == 1 and clause in failed(whole), done
    found = next(finding for finding in whole["findings"] if finding["clause"] == clause)
    assert found["messages"] and "--role driver" in found["repeat"]


def test_what_a_failure_needs_is_told(run, tmp_path, file):
    """A queue that is not reset shows in the rings where they are split, and in the messages always."""
    profile = file("driver.yaml", f"role: driver\nexec: {serve('--mutant', 'SVQ-DRV-08.no-reset')}\nclock: socket\n")
    done, whole = report(run, tmp_path / "r.json", profile, "--select", "a-virtqueue-s-reset-takes-long")
    assert done.status == 1, done
    assert needs(whole, "SVQ-DRV-07")[0] == {}
    matters, again = needs(whole, "CORE-SPLIT-DRV-11")
    assert matters == {"ring_packed": 0}
    done = run("test", *again, seconds=SECONDS)
    assert done.status == 1 and "CORE-SPLIT-DRV-11" in done.out, done


def test_a_driver_that_says_nothing_hangs(run, script, file):
    profile = file("silent.yaml", f"role: driver\nexec: {script('time.sleep(1000)')}\ntimeouts: {{response: 100ms, reset: 200ms}}\n")
    done = run("test", profile, "--select", "an-undisturbed-life", seconds=SECONDS)
    assert done.status == 1 and "HANG" in done.out and "sent nothing" in done.out, done


def test_a_driver_that_ends_at_once_is_told(run):
    done = run("test", "--role", "driver", "--exec", "true", "--select", "an-undisturbed-life")
    assert done.status == 1 and "EXIT" in done.out, done


def test_a_driver_that_crashes_is_told(run, script):
    done = run("test", "--role", "driver", "--exec", script("os.abort()"), "--select", "an-undisturbed-life")
    assert done.status == 1 and "CRASH" in done.out, done


@pytest.mark.parametrize("flood", ["s.send(struct.pack('<BBHHH',0,7,0,1,8)); s.recv(65536)", "s.send(struct.pack('<BBHHH',0,7,0,1,8),socket.MSG_DONTWAIT)"])
def test_a_driver_that_floods_ends_in_bounded_time(run, script, file, flood):
    text = script(f"while True:\n  try: {flood}\n  except BlockingIOError: pass\n")
    profile = file("flood.yaml", f"role: driver\nexec: {text}\ntimeouts: {{response: 100ms, reset: 200ms}}\n")
    done = run("test", profile, "--select", "an-undisturbed-life", seconds=4 * SECONDS)
    assert done.status == 1 and "HANG" in done.out, done


def test_a_trace_is_judged_the_same(run, tmp_path):
    trace = tmp_path / "t.pcapng"
    words = ["--exec", serve("--mutant", "GVQ-DRV-02.double"), "--select", "an-undisturbed-life"]
    done, live = report(run, tmp_path / "live.json", "--pcapng", trace, *words)
    assert done.status == 1 and failed(live), done
    again = run("replay", trace, "--json", tmp_path / "again.json")
    with open(tmp_path / "again.json", encoding="utf-8") as stream:
        offline = json.load(stream)
    assert again.status == 1 and failed(offline) == failed(live), again
    refused = run("replay", trace, "--exec", serve())
    assert refused.status == 2 and "cannot be sent again" in refused.err, refused


def test_findings_are_the_same_side_by_side(run, tmp_path):
    """However many lives go on at a time: the same clauses fail, in the same scenarios and first at the same moment."""
    def seen(jobs):
        words = ["--exec", serve("--mutant", "SVQ-DRV-01.reserved"), "--select", "features-ok-refused-once,a-queue-is-refused"]
        _, whole = report(run, tmp_path / f"{jobs}.json", "--jobs", str(jobs), *words)
        return [(finding["clause"], finding["scenario"], finding["parameters"]) for finding in whole["findings"]]
    assert seen(1) == seen(7)


OWN = """role: driver
section: Mine
scenarios:
  - name: my-own
    clauses: [SVQ-DRV-09]
    at: SET_VQUEUE
    gives_up: true
    request: {{size: 0, flags: SVQ_KEEP_DISABLED}}
{more}"""


def test_scenarios_of_ones_own(run, tmp_path, file):
    done, whole = report(run, tmp_path / "r.json", "--scenarios", file("own.yaml", OWN.format(more="")), "--select", "my-own")
    assert done.status == 0, done
    assert [one["name"] for one in whole["scenarios"]] == ["my-own"] and whole["scenarios"][0]["verdict"] == "pass"


@pytest.mark.parametrize("line, problem", [
    ("    at: EVENT_USED", "no message of a driver"),
    ("    lose: true\n    fail: 3", "exclude each other"),
    ("    device: {no_such_option: 1}", "names no option"),
    ("    works: NO-SUCH-01", "is no clause"),
    ("    when: req.no_such_field == 1", "nobody knows the name"),
    ("    mutant: NO-SUCH", "mutant"),
    ("    profile: loose", "profile"),
    ("    wrong_key: 1", "wrong_key"),
])
def test_mistakes_are_named(run, file, line, problem):
    text = OWN.format(more="")
    key = line.strip().split(":")[0]
    if f"    {key}: " in text:
        text = "".join(row for row in text.splitlines(keepends=True) if not row.startswith(f"    {key}: "))
    done = run("test", "--role", "driver", "--scenarios", file("own.yaml", text.rstrip("\n") + "\n" + line + "\n"))
    assert done.status == 2 and "own.yaml:" in done.err and problem in done.err, done
    assert done.err.count("\n") == 1, done


@pytest.mark.parametrize("words, problem", [
    (("--jobs", "0"), "--jobs"),
    (("--jobs", "many"), "--jobs"),
    (("--select", "no-such-scenario"), "matches no section"),
])
def test_wrong_words(run, words, problem):
    done = run("test", "--role", "driver", *words)
    assert done.status == 2 and problem in done.err, done


CLOCKED = "role: driver\nclock: socket\nexec: {}\n"


def test_a_driver_with_a_clock_socket_lives_in_virtual_time(run, tmp_path, file):
    """Every response is lost: in real time that takes the driver's own time limits, one after the other."""
    profile = file("clock.yaml", CLOCKED.format(serve("--option", "patience=3000")))
    done, whole = report(run, tmp_path / "r.json", profile, "--select", "every-response-is-lost,an-undisturbed-life")
    assert done.status == 0 and not whole["findings"], done
    again, same = report(run, tmp_path / "s.json", profile, "--select", "every-response-is-lost,an-undisturbed-life")
    assert again.status == 0, again
    assert [x["verdict"] for x in same["clauses"]] == [x["verdict"] for x in whole["clauses"]]
    assert [x["messages"] for x in same["scenarios"]] == [x["messages"] for x in whole["scenarios"]]


@pytest.mark.parametrize("answer", ["", "rest\n", "rest -\n", "rest 1 or 2\n", "x" * 100])
def test_a_clock_that_is_not_answered_is_a_hang(run, tmp_path, file, answer):
    text = ("import os,socket,time\nc=socket.socket(fileno=int(os.environ['PLUMBLINE_CLOCK_FD']))\n"
            f"while c.recv(99): c.sendall({answer.encode()!r})\n")
    profile = file("clock.yaml", CLOCKED.format(f"{sys.executable} {file('driver.py', text)}"))
    done, whole = report(run, tmp_path / "r.json", profile, "--select", "an-undisturbed-life")
    assert done.status == 1 and {finding["kind"] for finding in whole["findings"]} == {"hang"}, done
