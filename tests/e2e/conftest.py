# SPDX-License-Identifier: BSD-3-Clause
"""What the end-to-end tests share: the program, a way to run it that bounds its time, and the search for what it leaves."""
import os
import pathlib
import signal
import subprocess
import time
import uuid

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PLUMBLINE = pathlib.Path(os.environ.get("PLUMBLINE", ROOT / "build" / "plumbline")).absolute()
SECONDS = float(os.environ.get("PLUMBLINE_TEST_SECONDS", "240"))  # a hang, never a judgement of speed
MARK = "PLUMBLINE_TEST_MARK"
# For slow builds: fewer of what there are hundreds of. A share of 6 keeps one in six of the peers that are alike.
QUICK = os.environ.get("PLUMBLINE_QUICK") == "1"

# A process inherits its environment, so that this finds children of children too, detached ones included.
os.environ[MARK] = "session-" + uuid.uuid4().hex


def marked(mark):
    """The processes whose environment holds the mark, this one left out, as {pid: command line}."""
    found = {}
    needle = f"{MARK}={mark}".encode()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            environment = pathlib.Path("/proc", pid, "environ").read_bytes().split(b"\0")
            if needle in environment and int(pid) != os.getpid():
                command = pathlib.Path("/proc", pid, "cmdline").read_bytes()
                found[int(pid)] = command.replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
    return found


def left_behind(mark, patience=2.0):
    """What is left of a run after a moment of grace; it is ended here, so that one test cannot disturb the next."""
    end = time.monotonic() + patience
    found = marked(mark)
    while found and time.monotonic() < end:
        time.sleep(0.02)
        found = marked(mark)
    for pid in found:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    return found


class Done:
    """What a run of the program gave: status, out, err, seconds."""

    def __init__(self, command, status, out, err, seconds):
        self.command, self.status, self.out, self.err, self.seconds = command, status, out, err, seconds

    def __str__(self):
        return (f"{' '.join(map(str, self.command))}\nexit status {self.status} after {self.seconds:.1f} s\n"
                f"--- stdout\n{self.out[-3000:]}\n--- stderr\n{self.err[-3000:]}")

    __repr__ = __str__


def run_program(*args, seconds=SECONDS, cwd=None, env=None, text_in=""):
    """Run the program to its end. It must end by itself, in time, by no signal and leave no process behind."""
    mark = "run-" + uuid.uuid4().hex
    command = [str(PLUMBLINE), *map(str, args)]
    began = time.monotonic()
    with subprocess.Popen(command, cwd=cwd, env={**os.environ, **(env or {}), MARK: mark}, stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace",
                          start_new_session=True) as process:
        try:
            out, err = process.communicate(text_in, timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, err = process.communicate()
            left_behind(mark, 0)
            pytest.fail(f"{' '.join(command)}: no end within {seconds} s\n{out[-2000:]}\n{err[-2000:]}")
    done = Done(command, process.returncode, out, err, time.monotonic() - began)
    left = left_behind(mark)
    assert not left, f"processes were left behind: {left}\n{done}"
    assert 0 <= done.status <= 3, f"ended by a signal or an internal error\n{done}"
    for sign in ("Sanitizer", "runtime error", "Assertion"):
        assert sign not in done.err, done
    return done


@pytest.fixture(scope="session")
def program():
    """The path of the program; a test that needs it fails where it is not built."""
    assert PLUMBLINE.exists(), f"{PLUMBLINE} is not built: run make"
    return PLUMBLINE


@pytest.fixture
def run(program, tmp_path):
    """run(*args, seconds=, env=, text_in=): the program, started in a folder of the test's own."""
    def call(*args, **more):
        return run_program(*args, **{"cwd": tmp_path, **more})
    return call


@pytest.fixture
def file(tmp_path):
    """file(name, text or bytes): a file in the test's folder."""
    def write(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path
    return write


# Files come in this order, then by name: what takes longest is not to be begun last.
LONGEST = ("test_cli", "test_peers", "test_decode_replay_bench", "test_peers_driver", "test_peers_io", "test_bus", "test_bad_input",
           "test_spsc", "test_storage_daemon", "test_driver", "test_fuzz", "test_docs", "test_reports")
# Tests of these files share nothing that takes long to make: each may run in another process of pytest-xdist.
APART = set(LONGEST) - {"test_decode_replay_bench", "test_docs", "test_reports"}

# With PLUMBLINE_MEMORY=1, for the sanitizers: what strangers' bytes go through, each kind of run once. What is not named here
# judges verdicts, which a slower build does not change, or meets programs that bring sanitizers of their own.
MEMORY = {
    "test_bad_input": None, "test_codecs": None, "test_corpus": None, "test_net": None, "test_scribbler": None, "test_serve_file": None,
    "test_spsc": ("client", "signal_leaves", "started_device", "framing", "connect", "listen", "memory_file", "hostile", "cut_short", "refused"),
    "test_cli": ("profile[", "connect[", "listen[", "driver_meets_device", "interrupted", "decode_what", "decode_loses", "scenarios_of_ones_own",
                 "replay_against", "selftest_of_a_few"),
    "test_driver": ("embedded", "crashes", "trace", "scenarios_of_ones_own", "mistakes"),
    "test_bus": ("reference_bus", "both_sides", "wrong_scenarios", "breaks_down"),
    "test_combinations": ("random_legal", "selftest_over_a_carrier"),
    "test_decode_replay_bench": ("bad_files", "without_sense", "says_what_is_wrong"),
    "test_fuzz": ("faithful_peers", "wrong"),
}


def reads_memory(item):
    words = MEMORY.get(item.path.stem, ())
    return words is None or any(word in item.name for word in words)


def pytest_collection_modifyitems(config, items):
    if os.environ.get("PLUMBLINE_MEMORY") == "1":
        left_out = [item for item in items if not reads_memory(item)]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if reads_memory(item)]
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(LONGEST)))
    for item in items:
        if item.path.stem not in APART:
            item.add_marker(pytest.mark.xdist_group(item.path.stem))


def pytest_sessionfinish(session):
    """No test may leave a process: whatever inherited the session's mark should be gone by now."""
    left = left_behind(os.environ[MARK])
    if left:
        lines = "\n".join(f"  {pid}: {command}" for pid, command in left.items())
        session.config.pluginmanager.get_plugin("terminalreporter").write_line(
            f"\nprocesses that the tests left behind, ended now:\n{lines}", red=True)
        session.exitstatus = 1
