# SPDX-License-Identifier: BSD-3-Clause
"""Campaigns as a user runs them: what they find, keep, go on with, share, and refuse."""
import re
import shlex
import sys

import pytest

from conftest import PLUMBLINE, QUICK, ROOT, SECONDS, run_program

FOCI = ("all", "illegal", "reset", "generation", "ring")
# A proxy in front of the reference device that dies as a broken device does, of the request named by its id, and keeps the
# responses of another back while others pass.
PROXY = """
import os, select, socket, subprocess, sys, time
late = []
front = socket.socket(fileno=int(os.environ["PLUMBLINE_FD"]))
near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
os.set_inheritable(far.fileno(), True)
device = subprocess.Popen([{program!r}, "serve", "device"], env=dict(os.environ, PLUMBLINE_FD=str(far.fileno())), close_fds=False)
far.close()
while True:
    while late and late[0][0] <= time.monotonic():
        front.send(late.pop(0)[1])
    for end in select.select([front, near], [], [], 0.02 if late else None)[0]:
        message = end.recv(65536)
        if not message:
            near.close()
            device.wait()
            sys.exit(0)
        if end is front and len(message) > 1 and message[0] & 3 == 0 and message[1] == {deadly}:
            sys.stderr.write("==1==ERROR: AddressSanitizer: heap-buffer-overflow on 0x60200000eff1\\n")
            sys.stderr.write("SUMMARY: AddressSanitizer: heap-buffer-overflow device.c:42 in get_shm\\n")
            sys.stderr.flush()
            near.close()
            device.wait()
            os.abort()
        if end is near and len(message) > 1 and message[0] & 3 == 1 and message[1] == {late}:
            late.append((time.monotonic() + 0.3, message))
        else:
            (near if end is front else front).send(message)
"""


def fuzz(folder, *args, **more):
    return run_program("fuzz", "--dir", folder, *args, **more)


def facts(folder):
    """A finding's file as {key: value}."""
    return dict(line.split(" ", 1) for line in (folder / "finding").read_text(encoding="utf-8").splitlines())


def findings(folder):
    place = folder / "findings"
    return sorted(place.iterdir()) if place.is_dir() else []


def actions(folder):
    lines = (folder / "case.txt").read_text(encoding="utf-8").splitlines()
    head = ("plumbline-case", "#", "role ", "spec ", "max_msg_size ", "features ", "type ", "seed ", "option ", "far-option ")
    return [line for line in lines if line and not line.startswith(head)]


def executed(done):
    return int(re.search(r"(\d+) executions in", done.out).group(1))


@pytest.mark.parametrize("role, mutant, most", [
    ("device", "RVQ-DEV-01.first", 4), ("device", "CFG-DEV-03.silent", 5), ("driver", "CFG-DRV-04.constant", 3),
    ("bus", "DNUM-BUS-01.responses", 4)])
def test_a_mutant_is_found_and_its_case_is_small(tmp_path, role, mutant, most):
    clause = mutant.split(".")[0]
    done = fuzz(tmp_path / "c", "--role", role, "--mutant", mutant, "--only", clause, "--execs", 20000, "--stop-after", 1)
    assert done.status == 1 and done.err == "", done
    found, *_ = findings(tmp_path / "c")  # a case may show more than one, each in a state of its own
    told = facts(found)
    assert told["clause"] == clause and told["kind"] == "clause" and told["again"] == "5 of 5" and told["role"] == role
    assert told["seed"] == "1" and int(told["execution"]) <= executed(done)
    assert found.name.startswith(clause + ".") and str(found) in done.out
    assert 1 <= len(actions(found)) <= most, actions(found)
    assert told["actions"].startswith("%d of " % len(actions(found)))
    trace = run_program("replay", found / "trace.pcapng")
    assert trace.status == 1 and "FAIL %s " % clause in trace.out, trace
    assert any(line.startswith("#1 ") for line in run_program("decode", found / "trace.pcapng").out.splitlines())


def test_a_finding_is_shown_again_and_becomes_an_entry(tmp_path):
    mutant = ("--mutant", "RVQ-DEV-01.first")
    assert fuzz(tmp_path / "c", *mutant, "--only", "RVQ-DEV-01", "--execs", 20000, "--stop-after", 1).status == 1
    (found,) = findings(tmp_path / "c")
    command = shlex.split(facts(found)["command"])
    assert command[:2] == ["plumbline", "replay"] and command[-2:] == list(mutant), command
    again = run_program(*command[1:])
    assert again.status == 1 and "FAIL RVQ-DEV-01 " in again.out, again
    assert run_program("replay", found).status == 0, "the faithful device passes it"
    added = run_program("corpus", "add", found, tmp_path / "corpus")
    assert added.status == 0, added
    (entry,) = (tmp_path / "corpus" / "device" / "regressions").iterdir()
    text = entry.read_text(encoding="utf-8")
    assert "clauses RVQ-DEV-01\n" in text and "expect pass\n" in text and "expect fail RVQ-DEV-01 with RVQ-DEV-01.first\n" in text, text
    assert run_program("corpus", "check", tmp_path / "corpus").status == 0
    wrong = run_program("corpus", "add", tmp_path, tmp_path / "corpus")
    assert wrong.status == 2 and wrong.err.count("\n") == 1 and str(tmp_path / "finding") in wrong.err, wrong


@pytest.mark.parametrize("focus", FOCI)
@pytest.mark.parametrize("role", ("device", "driver", "bus"))
def test_faithful_peers_stay_clean(tmp_path, role, focus):
    most = 300 if QUICK else 2000
    done = fuzz(tmp_path, "--role", role, "--focus", focus, "--execs", most, "--seed", 3, seconds=4 * SECONDS)
    assert done.status == 0 and findings(tmp_path) == [], done
    assert most <= executed(done) <= most + 100 and done.out.count("\n") == 1 and done.err == "", done
    exercised, of = map(int, re.search(r"(\d+) of (\d+) clauses exercised, 0 findings", done.out).groups())
    assert exercised > of // (8 if QUICK else 3), done


def test_the_same_seed_is_the_same_campaign(tmp_path):
    def kept(place, seed):
        done = fuzz(tmp_path / place, "--mutant", "GVQ-DEV-01.max-gone", "--execs", 2500, "--seed", seed)
        assert done.status in (0, 1), done
        cases = {p.name: p.read_text(encoding="utf-8") for p in sorted((tmp_path / place / "main" / "queue").iterdir())}
        told = [{**facts(f), "command": ""} for f in findings(tmp_path / place)]
        return cases, [(f.name, (f / "case.txt").read_text(encoding="utf-8")) for f in findings(tmp_path / place)], told

    first = kept("a", 7)
    assert first == kept("b", 7) and len(first[0]) > 20 and first[1]
    assert first[0] != kept("c", 8)[0]


def test_a_campaign_goes_on_where_it_stopped(tmp_path):
    first = fuzz(tmp_path, "--execs", 400)
    queue = sorted(p.name for p in (tmp_path / "main" / "queue").iterdir())
    assert first.status == 0 and len(queue) > 10, first
    second = fuzz(tmp_path, "--execs", len(queue) + 1)
    assert second.status == 0, second

    def outcomes(done):
        return int(re.search(r"(\d+) outcomes", done.out).group(1))

    assert outcomes(second) >= outcomes(first), (first, second)
    state = dict(line.split(" ", 1) for line in (tmp_path / "main" / "state").read_text(encoding="utf-8").splitlines())
    assert int(state["executions"]) == executed(first) + executed(second)
    assert sorted(p.name for p in (tmp_path / "main" / "queue").iterdir())[:len(queue)] == queue


def test_workers_share_a_directory(tmp_path):
    alone = fuzz(tmp_path / "c", "--execs", 600, "--worker", "one")
    assert alone.status == 0, alone
    both = fuzz(tmp_path / "c", "--execs", 200, "--jobs", 2, "--worker", "two")
    assert both.status == 0 and both.out.count("\n") == 1, both
    assert {"campaign", "findings", "one", "two", "two-2"} == {p.name for p in (tmp_path / "c").iterdir()}
    # What the first one saw the others know from its queue, in a third of the executions.
    seen = [int(re.search(r"(\d+) outcomes", done.out).group(1)) for done in (alone, both)]
    assert seen[1] >= seen[0], (alone, both)
    kept = [len(list((tmp_path / "c" / w / "queue").iterdir())) for w in ("one", "two", "two-2")]
    assert kept[1] < kept[0] / 2 and kept[2] < kept[0] / 2, kept


def test_workers_tell_a_finding_once(tmp_path):
    done = fuzz(tmp_path / "c", "--mutant", "RVQ-DEV-01.first", "--only", "RVQ-DEV-01", "--execs", 40000, "--jobs", 3)
    names = re.findall(r"^FINDING (\S+)", done.out, re.M)
    assert done.status == 1 and sorted(names) == [str(f) for f in findings(tmp_path / "c")] and len(set(names)) == len(names), done
    assert all((f / "case.txt").is_file() and (f / "trace.pcapng").is_file() for f in findings(tmp_path / "c"))


def test_seeds_are_run_first(tmp_path):
    mutant = ("--mutant", "RVQ-DEV-01.first", "--only", "RVQ-DEV-01")
    assert fuzz(tmp_path / "before", *mutant, "--execs", 20000, "--stop-after", 1).status == 1
    seeds = tmp_path / "seeds" / "below"
    seeds.mkdir(parents=True)
    (seeds / "found.txt").write_text((findings(tmp_path / "before")[0] / "case.txt").read_text(encoding="utf-8"), encoding="utf-8")
    (seeds / "other.txt").write_text("plumbline-case 1\nrole driver\nstart\n", encoding="utf-8")
    done = fuzz(tmp_path / "c", "--in", tmp_path / "seeds", *mutant, "--execs", 1)
    assert done.status == 1 and facts(findings(tmp_path / "c")[0])["execution"] == "1", done
    (seeds / "wrong.txt").write_text("plumbline-case 1\nrole device\nsend NOTHING\n", encoding="utf-8")
    wrong = fuzz(tmp_path / "d", "--in", seeds, "--execs", 1)
    assert wrong.status == 2 and "%s:3:" % (seeds / "wrong.txt") in wrong.err and wrong.err.count("\n") == 1, wrong


def test_an_iut_that_crashes_is_found_and_started_again(tmp_path):
    proxy = tmp_path / "proxy.py"
    proxy.write_text(PROXY.format(program=str(PLUMBLINE), deadly=0x0B, late=-1), encoding="utf-8")
    done = fuzz(tmp_path / "c", "--exec", "exec %s %s" % (sys.executable, proxy), "--focus", "illegal", "--stop-after", 1, "--execs", 1500, "--seed", 5,
                seconds=4 * SECONDS)
    assert done.status == 1, done
    (found,) = findings(tmp_path / "c")
    told = facts(found)
    assert told["kind"] == "crash" and "signal 6" in told["seen"] and told["again"] == "5 of 5", told
    assert len(actions(found)) == 1 and re.fullmatch("crash-[0-9a-f]{8}", found.name), (found, actions(found))
    assert "SUMMARY: AddressSanitizer" in (found / "stderr.txt").read_text(encoding="utf-8")
    # The same crash in the same state is the same finding, and the campaign goes on behind it.
    more = fuzz(tmp_path / "c", "--exec", "exec %s %s" % (sys.executable, proxy), "--execs", 60, seconds=4 * SECONDS)
    assert more.status == 1 and executed(more) >= 60, more
    assert [f.name for f in findings(tmp_path / "c") if f.name.startswith("crash-")] == [found.name]


def test_over_a_socket_the_iut_is_kept(tmp_path):
    mutant = "exec '%s' serve device --mutant GVQ-DEV-01.max-gone" % PLUMBLINE
    done = fuzz(tmp_path, "--exec", mutant, "--execs", 1500, "--only", "GVQ-DEV-01", "--stop-after", 1, seconds=4 * SECONDS)
    assert done.status == 1, done
    told = facts(findings(tmp_path)[0])
    assert told["again"] == "5 of 5" and told["iut"] == mutant, told
    assert told["command"].startswith("plumbline replay %s --exec " % findings(tmp_path)[0]), told


def test_what_only_comes_late_is_no_finding(tmp_path):
    """Campaigns give little time at first; what is missing then must be missing in a patient run, too."""
    proxy = tmp_path / "proxy.py"
    proxy.write_text(PROXY.format(program=str(PLUMBLINE), deadly=-1, late=0x05), encoding="utf-8")
    case = tmp_path / "case.txt"
    case.write_text("plumbline-case 1\nrole device\nspec virtio-msg-r1\nseed 2\n\nsend GET_DEVICE_INFO\nlife steps=14\nsend GET_CONFIG length=4\n", encoding="utf-8")
    done = fuzz(tmp_path / "run", "--exec", "exec %s %s" % (sys.executable, proxy), "--execs", 12, "--in", case, seconds=4 * SECONDS)
    assert done.status == 0 and not findings(tmp_path / "run"), done
    silent = "exec '%s' serve device --mutant INFO-DEV-01.inactive" % PLUMBLINE
    done = fuzz(tmp_path / "silent", "--exec", silent, "--execs", 12, "--in", case, "--only", "CORE-DEV-01", seconds=4 * SECONDS)
    assert done.status == 1 and [facts(f)["again"] for f in findings(tmp_path / "silent")] == ["5 of 5"], done


def test_a_finding_on_rings_shows_again_from_the_start(tmp_path):
    """A device that is kept is reset ahead of each case; what its rings are is known behind a reset alone."""
    mutant = "exec '%s' serve device --mutant CORE-SPLIT-DEV-26.wide" % PLUMBLINE
    case = tmp_path / "case.txt"
    case.write_text("plumbline-case 1\nrole device\nspec virtio-msg-r1\nseed 2\n\nlife steps=19\n", encoding="utf-8")
    done = fuzz(tmp_path / "run", "--exec", mutant, "--focus", "ring", "--execs", 3000, "--only", "CORE-SPLIT-DEV-26", "--stop-after", 1,
                "--in", case, seconds=4 * SECONDS)
    assert done.status == 1, done
    (found,) = findings(tmp_path / "run")
    assert facts(found)["again"] == "5 of 5" and "reset" in actions(found), actions(found)
    again = run_program("replay", found, "--exec", mutant)
    assert again.status == 1 and "FAIL CORE-SPLIT-DEV-26 " in again.out, again


# A front-end without a driver: it greets the back-end, and ends as it is told to.
GREETER = """
import os, socket, struct, sys
s = socket.socket(socket.AF_UNIX)
s.connect(os.environ["PLUMBLINE_VHOST_USER"])
for request in (1, 15):  # GET_FEATURES, GET_PROTOCOL_FEATURES
    s.sendall(struct.pack("<III", request, 1, 0))
    assert len(s.recv(20, socket.MSG_WAITALL)) == 20
sys.stderr.write("Kernel panic - not syncing: number 17\\n")
sys.exit(%d)
"""


@pytest.mark.parametrize("status", (0, 3))
def test_a_scripted_driver_is_started_for_each_case(tmp_path, status):
    """Its life's end is none of its faults, unless what it was started with says so."""
    (tmp_path / "greeter.py").write_text(GREETER % status, encoding="utf-8")
    (tmp_path / "p.yaml").write_text("role: driver\nexec: exec %s %s\ncarrier: vhost-user\n" % (
        sys.executable, tmp_path / "greeter.py"), encoding="utf-8")
    done = fuzz(tmp_path / "c", tmp_path / "p.yaml", "--execs", 4, "--seed", 2, seconds=4 * SECONDS)
    assert done.status == (1 if status else 0) and done.err == "", done
    names = [f.name for f in findings(tmp_path / "c")]
    assert len(names) == (1 if status else 0) and all(n.startswith("exit-") for n in names), names
    if status:
        again = run_program("replay", tmp_path / "c" / "findings" / names[0], tmp_path / "p.yaml")
        assert again.status == 1 and "status 3" in again.out and "number 17" in again.out, again


@pytest.mark.parametrize("style", ("number-5", "window-jumps", "config-event-late"))
def test_devices_of_others_stay_clean(tmp_path, style):
    """Other numbers than 0, which it is asked for; several devices in one case; and events that come late."""
    peer = "exec /usr/bin/python3 -S -E '%s' --style %s" % (ROOT / "tests" / "peers" / "device.py", style)
    done = fuzz(tmp_path, "--exec", peer, "--execs", 60, "--seed", 3, seconds=4 * SECONDS)
    assert done.status == 0 and not findings(tmp_path), done
    assert int(re.search(r"(\d+) of \d+ clauses", done.out).group(1)) > 50, done


@pytest.mark.parametrize("style", ("ends", "no-control"))
def test_drivers_end_and_live_by_themselves(tmp_path, style):
    """A driver that ends when it is done has done nothing wrong, and one that hears no control is met all the same."""
    peer = "exec /usr/bin/python3 -S -E '%s' --style %s" % (ROOT / "tests" / "peers" / "drv.py", style)
    done = fuzz(tmp_path, "--role", "driver", "--exec", peer, "--execs", 6, "--seed", 3, seconds=4 * SECONDS)
    assert done.status == 0 and not findings(tmp_path) and executed(done) >= 6, done
    assert int(re.search(r"(\d+) of \d+ clauses", done.out).group(1)) > 30, done


@pytest.mark.parametrize("args, word", [
    ((), "--dir"), (("--dir", "{}/x", "--focus", "nothing"), "'nothing'"), (("--dir", "{}/x", "--time", "soon"), "'soon'"),
    (("--dir", "{}/x", "--execs", "0"), "'0'"), (("--dir", "{}/x", "--jobs", "65"), "'65'"), (("--dir", "{}/x", "--seed", "x"), "'x'"),
    (("--dir", "{}/x", "--worker", "a/b"), "'a/b'"), (("--dir", "{}/x", "--worker", "findings"), "'findings'"),
    (("--dir", "{}/x", "--only", "RVQ-DEV-1"), "'RVQ-DEV-1'"), (("--dir", "{}/x", "--only", "BLK-DEV-05"), "BLK-DEV-05"), (("--dir", "{}/x", "--mutant", "RVQ-DEV-01.none"), "'RVQ-DEV-01.none'"),
    (("--dir", "{}/x", "--role", "judge"), "'judge'"), (("--dir", "{}/x", "--in", "{}/none"), "{}/none"),
    (("--dir", "{}/full"), "{}/full"), (("--dir", "{}/file"), "{}/file"), (("--dir", "{}/other", "--role", "bus"), "'device'"),
    (("--dir", "{}/odd"), "plumbline-campaign"), (("--dir", "{}/x", "--connect", "unix:{}/s", "--jobs", "2"), "--jobs"),
    (("--dir", "{}/x", "--exec", "true", "--carrier", "vhost-user,reset=x"), "'reset=x'"),
    (("--dir", "{}/x", "--exec", "true", "--carrier", "stream,a=b"), "no options"),
    (("--dir", "{}/x", "--exec", "true", "--role", "driver", "--carrier", "vhost-user,a=b"), "'a=b'"),
    (("--dir", "{}/x", "--exec", "true", "--role", "bus", "--carrier", "vhost-user"), "sockets"),
    (("--dir", "{}/x", "--role", "driver", "--listen", "vhost-user:{}/s"), "lives once"),
    (("--dir", "{}/x", "--carrier", "spsc"), "--carrier"), (("--dir", "{}/x", "--exec", "true", "--mutant", "RVQ-DEV-01.first"), "--mutant")])
def test_what_is_wrong_is_said_in_a_sentence(tmp_path, args, word):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter").write_text("", encoding="utf-8")
    (tmp_path / "file").write_text("", encoding="utf-8")
    for name, text in (("other", "plumbline-campaign 1\nrole device\nspec virtio-msg-r1\n"), ("odd", "something else\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "campaign").write_text(text, encoding="utf-8")
    done = run_program("fuzz", "--execs", "10", *(a.format(tmp_path) for a in args)) if "--execs" not in args else \
        run_program("fuzz", *(a.format(tmp_path) for a in args))
    assert done.status == 2 and done.out == "" and done.err.count("\n") == 1 and word.format(tmp_path) in done.err, done


def test_an_iut_that_is_not_there_is_said_to_be(tmp_path):
    done = fuzz(tmp_path / "a", "--connect", "unix:%s/nobody" % tmp_path, "--execs", 10)
    assert done.status == 3 and done.err.count("\n") == 1, done
    ends = fuzz(tmp_path / "b", "--exec", "exit 5", "--execs", 1000, seconds=4 * SECONDS)
    assert ends.status == 3 and "status 5" in ends.err, ends
    for role in ("device", "driver"):
        back = fuzz(tmp_path / role, "--role", role, "--exec", "echo that is why >&2; exit 5", "--carrier", "vhost-user", "--execs", 10)
        assert back.status == 3 and "that is why" in back.err and back.err.count("\n") == 1, back


def test_a_worker_runs_once(tmp_path):
    import fcntl
    assert fuzz(tmp_path, "--execs", 10).status == 0
    with open(tmp_path / "main" / "lock", "r+", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = fuzz(tmp_path, "--execs", 10)
    assert done.status == 2 and "--worker" in done.err and done.err.count("\n") == 1, done


def test_time_ends_a_campaign(tmp_path):
    done = fuzz(tmp_path, "--time", "1s")
    assert done.status in (0, 1) and executed(done) > 10 and done.seconds < SECONDS, done
