"""Plumbline against a real vhost-user back-end: qemu-storage-daemon exporting a temporary image."""
import hashlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
PLUMBLINE = os.environ.get("PLUMBLINE", str(ROOT / "build" / "plumbline"))
BINDING = yaml.safe_load((ROOT / "models" / "bindings" / "vhost-user.yaml").read_text())
DAEMON = shutil.which("qemu-storage-daemon")
IMAGE_BYTES = 1 << 20
RUN_LIMIT = 300  # seconds; for hangs only


class Export:
    """A running daemon with one image behind one socket."""

    def __init__(self, folder, writable=True, queues=1):
        if DAEMON is None:
            pytest.skip("qemu-storage-daemon is not installed")
        self.image, self.socket = folder / "image", folder / "socket"
        self.image.write_bytes(os.urandom(IMAGE_BYTES))
        blockdev = f"driver=file,node-name=d,filename={self.image}"
        blockdev += "" if writable else ",read-only=on"
        export = (f"type=vhost-user-blk,id=e,node-name=d,addr.type=unix,addr.path={self.socket},"
                  f"writable={'on' if writable else 'off'},num-queues={queues}")
        self.log = open(folder / "log", "w+", encoding="utf-8")
        self.process = subprocess.Popen([DAEMON, "--blockdev", blockdev, "--export", export],
                                        stdout=self.log, stderr=self.log)
        while not self.socket.exists():
            assert self.process.poll() is None, self.messages()
            time.sleep(0.01)

    def messages(self):
        self.log.flush()
        return pathlib.Path(self.log.name).read_text(encoding="utf-8")

    def digest(self):
        return hashlib.sha256(self.image.read_bytes()).hexdigest()

    def close(self):
        self.process.kill()
        self.process.wait()
        self.log.close()


@pytest.fixture
def folder():
    # Not pytest's own: a socket's path has little room.
    with tempfile.TemporaryDirectory(prefix="pl-qsd-") as name:
        yield pathlib.Path(name)


@pytest.fixture
def export(folder, request):
    daemon = Export(folder, **getattr(request, "param", {}))
    yield daemon
    daemon.close()


def run(address, *more, report=None):
    command = [PLUMBLINE, "test", "--connect", address, "--seed", "1", *more]
    if report:
        command += ["--json", str(report)]
    return subprocess.run(command, capture_output=True, text=True, timeout=RUN_LIMIT, check=False)


def run_with_report(export, folder):
    done = run(f"vhost-user:{export.socket}", report=folder / "report.json")
    assert done.returncode in (0, 1), done.stderr
    return done, json.loads((folder / "report.json").read_text(encoding="utf-8"))


def verdicts(report):
    return {clause["id"]: clause["verdict"] for clause in report["clauses"]}


def shown_without_status():
    hidden = BINDING["observable_needs"]["STATUS"]
    return [clause for clause in BINDING["observable"] if clause not in hidden]


@pytest.mark.parametrize("export", [{"queues": 1}, {"queues": 4}], indirect=True)
def test_no_findings(export, folder):
    before = export.digest()
    done, report = run_with_report(export, folder)
    assert report["schema"] == "plumbline-report/1"
    assert report["findings"] == []
    assert "fail" not in verdicts(report).values()
    assert (done.returncode == 0) == report["summary"]["conforms"]
    assert not [s for s in report["scenarios"] if s["verdict"] in ("fail", "error")]
    assert export.process.poll() is None, export.messages()
    assert "vu_panic" not in export.messages().replace("vu_panic: Error while writing", "")
    assert export.digest() == before


def test_only_what_the_device_shows_is_judged(export, folder):
    _, report = run_with_report(export, folder)
    shown = set(shown_without_status())
    found = verdicts(report)
    assert found["FEAT-DEV-01"] == "pass"
    for clause, verdict in found.items():
        if clause not in shown:
            assert verdict not in ("pass", "warning", "option-used"), clause
    for clause in BINDING["observable_needs"]["STATUS"]:
        assert found[clause] in ("not-observable", "not-judged")
    assert found["WIRE-DEV-01"] == "not-observable"
    assert found["HDR-DEV-06"] == "not-observable"


def test_again_and_again(export, folder):
    for _ in range(3):
        _, report = run_with_report(export, folder)
        assert report["findings"] == []
    assert export.process.poll() is None, export.messages()


@pytest.mark.parametrize("export", [{"writable": False}], indirect=True)
def test_read_only_export(export, folder):
    before = export.digest()
    _, report = run_with_report(export, folder)
    assert report["findings"] == []
    assert export.digest() == before


def test_address_with_type(export):
    assert run(f"vhost-user:{export.socket},type=block").returncode in (0, 1)
    wrong = run(f"vhost-user:{export.socket},type=toaster")
    assert wrong.returncode == 2
    assert "type=toaster" in wrong.stderr


def test_nobody_there(folder):
    done = run(f"vhost-user:{folder}/nothing")
    assert done.returncode == 3
    assert f"{folder}/nothing" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_busy_daemon(export):
    """The daemon serves one front-end at a time: the second is told in bounded time."""
    with socket.socket(socket.AF_UNIX) as first:
        first.connect(str(export.socket))
        done = run(f"vhost-user:{export.socket}")
    assert done.returncode == 3
    assert "did not answer" in done.stderr


def test_daemon_that_dies(folder):
    """A killed back-end is a finding or unreachable, never a hang and never a crash of the harness."""
    daemon = Export(folder)
    address = f"vhost-user:{daemon.socket}"
    with subprocess.Popen([PLUMBLINE, "test", "--connect", address], stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True) as run_:
        time.sleep(0.2)
        daemon.close()
        _, errors = run_.communicate(timeout=RUN_LIMIT)
        assert run_.returncode in (0, 1, 3), errors


# --- the binding's model ---

def generate(folder, change):
    """Run the generator on a changed model: the finished process and the header's path."""
    doc = yaml.safe_load((ROOT / "models" / "bindings" / "vhost-user.yaml").read_text())
    change(doc)
    model, header = folder / "model.yaml", folder / "out" / "header.h"
    model.write_text(yaml.safe_dump(doc, sort_keys=False))
    command = [sys.executable, str(ROOT / "models" / "gen" / "vhost_user.py"), str(model), str(header)]
    return subprocess.run(command, capture_output=True, text=True, check=False), header


def test_header_is_deterministic(folder):
    headers = set()
    for _ in range(2):
        done, header = generate(folder, lambda doc: None)
        assert done.returncode == 0, done.stderr
        headers.add(header.read_text())
    assert len(headers) == 1


@pytest.mark.parametrize("change, words", [
    (lambda d: d["requests"][0].update(reply="u65"), "unknown payload u65"),
    (lambda d: d["payloads"]["u64"].insert(0, {"name": "x", "type": "u8"}), "not at a multiple of 8"),
    (lambda d: d["payloads"]["u64"].append({"name": "x", "type": "u8"}), "no multiple of 8"),
    (lambda d: d["payloads"]["u64"].append({"name": "x", "type": "u7"}), "unknown type u7"),
    (lambda d: d["device_types"][0].update(config_max=257), "config_max"),
    (lambda d: d["observable_needs"].update(STATUS=["NO-SUCH-01"]), "NO-SUCH-01"),
    (lambda d: d.pop("requests"), "requests"),
])
def test_bad_models_are_told(folder, change, words):
    done, header = generate(folder, change)
    assert done.returncode == 2
    assert words in done.stderr and "model.yaml" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not header.exists()


def test_observable_clauses_exist():
    listing = subprocess.run([PLUMBLINE, "clauses", "--role", "device", "--format", "json"],
                             capture_output=True, text=True, check=True)
    known = {clause["id"] for clause in json.loads(listing.stdout) if clause["role"] == "device"}
    assert set(BINDING["observable"]) <= known
