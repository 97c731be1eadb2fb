# SPDX-License-Identifier: BSD-3-Clause
"""What docs/connecting.md says, done: the example device is built and tested in every carrier."""
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time

import pytest

from conftest import PLUMBLINE, ROOT, SECONDS, run_program

EXAMPLES = ROOT / "docs" / "examples"
TEXT = (ROOT / "docs" / "connecting.md").read_text(encoding="utf-8")
FLAGS = ["-std=c17", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-Werror"]
# What of the data path the example has, and nothing else of the catalogues would show without one.
WITH_IO = {"DROK-DEV-02", "USED-DEV-01", "CORE-SPLIT-DEV-11", "ENT-DEV-01", "CORE-RESET-DEV-03"}
WITHOUT_IO = {"STAT-DEV-04", "FEAT-DEV-02", "SVQ-DEV-04", "GVQ-DEV-01", "ERR-DEV-01"}


def build(target, *sources, flags=()):
    subprocess.run([os.environ.get("CC", "cc"), *FLAGS, *flags, "-o", target, *sources], check=True, timeout=SECONDS)
    return target


@pytest.fixture(scope="module", name="entropy")
def entropy_fixture(tmp_path_factory):
    """The example, built as the document says, with every warning an error and the sanitizers in it."""
    folder = tmp_path_factory.mktemp("example")
    return build(folder / "entropy", EXAMPLES / "entropy.c", EXAMPLES / "carrier.c",
                 flags=("-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"))


@pytest.fixture(name="place")
def place_fixture(tmp_path, monkeypatch):
    """A folder with a memory file, where short socket paths are enough."""
    monkeypatch.chdir(tmp_path)
    with open("mem", "wb") as mem:
        mem.truncate(16 << 20)
    return tmp_path


def verdicts(place):
    report = json.loads((place / "report.json").read_text(encoding="utf-8"))
    return report, {clause["id"]: clause["verdict"] for clause in report["clauses"]}


def conforms(done, place, data_path=True):
    report, seen = verdicts(place)
    told = [(one["kind"], one["clause"], one["scenario"], one["parameters"], one["text"]) for one in report["findings"]]
    assert done.status == 0 and not told, (told, done)
    for clause in WITHOUT_IO:
        assert seen[clause] == "pass", (clause, seen[clause])
    for clause in WITH_IO:
        assert seen[clause] == ("pass" if data_path else "not-exercised"), (clause, seen[clause])
    return report


@pytest.mark.parametrize("carrier", ["seqpacket", "stream", "spsc"])
def test_the_example_conforms(entropy, place, carrier):
    done = run_program("test", "--exec", entropy, "--carrier", carrier, "--json", "report.json", cwd=place)
    conforms(done, place)


@pytest.fixture(name="beside")
def beside_fixture():
    """Starts what runs beside the harness, and ends it."""
    running = []

    def start(*command, after=0.0):
        words = [str(word) for word in command]
        if after:
            words = ["sh", "-c", f"sleep {after}; exec {shlex.join(words)}"]
        running.append(subprocess.Popen(words, stderr=subprocess.DEVNULL, start_new_session=True))
        return running[-1]

    yield start
    for process in running:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(SECONDS)


def wait_for(there):
    end = time.monotonic() + SECONDS
    while not there():
        assert time.monotonic() < end, "the device does not listen"
        time.sleep(0.02)


def listens(port):
    """Whether somebody listens on this port, without connecting to it."""
    with open("/proc/net/tcp", encoding="ascii") as table:
        return any(f":{port:04X} " in line and " 0A " in line for line in table)


@pytest.mark.parametrize("scheme", ["unix", "unix-stream", "tcp"])
@pytest.mark.parametrize("memory", [True, False])
def test_the_device_listens(entropy, place, beside, scheme, memory):
    port = 20000 + os.getpid() % 20000 + memory
    address = f"tcp:127.0.0.1:{port}" if scheme == "tcp" else f"{scheme}:dev.sock"
    device = beside(entropy, "--listen", address, *(["mem"] if memory else []))
    wait_for((lambda: listens(port)) if scheme == "tcp" else (place / "dev.sock").exists)
    time.sleep(0.1)  # between bind and listen
    done = run_program("test", "--connect", address, *(["--memory", "mem"] if memory else []), "--json", "report.json",
                       cwd=place, seconds=4 * SECONDS)
    conforms(done, place, data_path=memory)
    assert device.wait(SECONDS) == 0


@pytest.mark.parametrize("scheme", ["unix", "unix-stream"])
def test_the_harness_listens(entropy, place, beside, scheme):
    beside(entropy, "--connect", f"{scheme}:bus.sock", "mem", after=0.5)
    done = run_program("test", "--listen", f"{scheme}:bus.sock", "--memory", "mem", "--json", "report.json", cwd=place)
    conforms(done, place)


def test_an_inherited_socket(entropy, place):
    command = [sys.executable, EXAMPLES / "bench.py", PLUMBLINE, entropy, "--json", "report.json"]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, done
    assert verdicts(place)[1]["DROK-DEV-02"] == "not-exercised"


@pytest.mark.parametrize("wakeup", ["acme.wake", "none"])
@pytest.mark.parametrize("who", ["device", "harness"])
def test_shared_memory(place, beside, wakeup, who):
    if who == "harness" and wakeup == "none":
        pytest.skip("nobody tells a listening harness that the device is there")
    address = f"spsc:docs-{os.getpid()},dir={place},wakeup={wakeup}"
    serve = [PLUMBLINE, "serve", "device", "--memory", "mem"]
    if who == "device":
        beside(*serve, "--listen", address)
        wait_for(lambda: list(place.glob("queue-*-device")) and (wakeup == "none" or (place / wakeup).exists()))
        time.sleep(0.2)
    else:
        beside(*serve, "--connect", address, after=0.5)
    done = run_program("test", "--connect" if who == "device" else "--listen", address, "--memory", "mem", "--select", "USED-DEV-01",
                       "--json", "report.json", cwd=place)
    assert done.status == 0, done
    assert verdicts(place)[1]["USED-DEV-01"] == "pass"


def broken(entropy_c, old, new):
    assert entropy_c.count(old) == 1, old
    return entropy_c.replace(old, new)


@pytest.mark.parametrize("clause, old, new", [
    ("USED-DEV-01", "if (any &&", "if (any && d->used % 2 &&"),
    ("ENT-DEV-01", "(struct vring_used_elem){id, (uint32_t)written}", "(struct vring_used_elem){id, 0 * (uint32_t)written}"),
    ("SVQ-DEV-06", "(in[1] & 0x3c) != 0x3c", "(in[1] & 0x3c) == 0xc"),
    ("RVQ-DEV-02", "if (in[0] == 0 && d->selected[1] &", "if (in[0] == 0 || d->selected[1] &")])
def test_a_broken_example_does_not_conform(place, clause, old, new):
    """The tests above could fail: each of these breaks a rule of its own."""
    text = broken((EXAMPLES / "entropy.c").read_text(encoding="utf-8"), old, new)
    for name in ("carrier.c", "carrier.h"):
        shutil.copy(EXAMPLES / name, place)
    (place / "entropy.c").write_text(text, encoding="utf-8")
    device = build(place / "entropy", place / "entropy.c", place / "carrier.c")
    done = run_program("test", "--exec", device, "--json", "report.json", cwd=place, seconds=4 * SECONDS)
    assert done.status == 1, done
    assert verdicts(place)[1][clause] == "fail", done


def test_the_example_is_asked_to_act(entropy, place):
    """Control: needs-reset is done; what else is asked for is unsupported, and skipped."""
    done = run_program("test", "--exec", entropy, "--json", "report.json", "--select", "STAT-DEV-02,CFG-DEV-10", cwd=place)
    assert done.status == 0, done
    assert verdicts(place)[1]["STAT-DEV-02"] == "pass"


def test_the_profile_of_the_example(entropy, place):
    text = re.search(r"^```yaml\n(.*?)^```$", TEXT, re.M | re.S).group(1)
    (place / "acme.yaml").write_text(text.replace("./entropy", str(entropy)), encoding="utf-8")
    done = run_program("test", "acme.yaml", "--json", "report.json", "--with", "queue_size=8", cwd=place)
    report = conforms(done, place)
    assert report["iut"] == "example entropy"
    assert {scenario["parameters"].count("max_msg_size=264") for scenario in report["scenarios"]} == {1}


def test_every_option_of_the_document_is_one():
    helps = run_program("test", "--help").out + run_program("serve", "--help").out
    text = re.sub(r"^qemu-storage-daemon.*\n.*\n", "", TEXT, flags=re.M)
    for option in set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)):
        assert option in helps, option
