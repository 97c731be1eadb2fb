"""Plumbline against a real vhost-user back-end: qemu-storage-daemon exporting a temporary image."""
import fnmatch
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
USED_BYTES = 1 << 16  # at the image's end: what a scenario wrote stays where the connection ends within it
RUN_LIMIT = 300  # seconds; for hangs only
LONG = bool(os.environ.get("PLUMBLINE_DAEMON_LONG"))  # make check-daemon: seeds by the dozen
SEEDS = range(1, 21 if LONG else 2)

# What is wrong with qemu-storage-daemon 7.2 (docs/vhost-user.md), and where it shows. Nothing else may be.
INDIRECT = {"split-indirect-behind-normal"}
USED_LENGTH = {"requests-end-with-a-status", "read-beyond-the-capacity", "zone-requests-without-zoned",
               "commands-with-unknown-flags", "write-to-a-read-only-device",
               "write-to-a-read-only-device-with-ro"}
IN_FLIGHT = {"buffers-in-flight-at-a-reset", "resets-in-a-row-with-buffers-in-flight", "writes-in-flight"}
DROPPED = {"the-whole-ring-after-odd-buffers"}
# With requests on several queues under way when a connection ends, the daemon's own assertion ends it: now and then.
ABORT, QUEUES_IN_FLIGHT = "Assertion `!server->wait_idle' failed", {"request-queues-in-flight-at-a-reset"}
RECONNECTED = {"exit": INDIRECT | QUEUES_IN_FLIGHT, "DROK-DEV-02": INDIRECT, "CORE-INIT-DEV-01": INDIRECT,
               "CORE-SPLIT-DEV-08": INDIRECT, "CORE-SPLIT-DEV-16": INDIRECT | USED_LENGTH}
LATE = {"exit": IN_FLIGHT, "CORE-RESET-DEV-03": IN_FLIGHT, "DROK-DEV-02": IN_FLIGHT, "CORE-INIT-DEV-01": IN_FLIGHT,
        **{f"CORE-SPLIT-DEV-{n}": IN_FLIGHT for n in (16, 25, 26, 27, 29)}}


class Export:
    """A running daemon with one image behind one socket."""

    def __init__(self, folder, writable=True, queues=1, requests_per_second=0):
        if DAEMON is None:
            pytest.skip("qemu-storage-daemon is not installed")
        self.image, self.socket = folder / "image", folder / "socket"
        self.image.write_bytes(os.urandom(IMAGE_BYTES))
        blockdev = f"driver=file,node-name=d,filename={self.image}"
        blockdev += "" if writable else ",read-only=on"
        slow = []
        if requests_per_second:
            blockdev = blockdev.replace("node-name=d", "node-name=f")
            slow = ["--object", f"throttle-group,id=t,x-iops-total={requests_per_second}",
                    "--blockdev", "driver=throttle,node-name=d,file=f,throttle-group=t"]
        export = (f"type=vhost-user-blk,id=e,node-name=d,addr.type=unix,addr.path={self.socket},"
                  f"writable={'on' if writable else 'off'},num-queues={queues}")
        self.log = open(folder / "log", "w+", encoding="utf-8")
        command = [DAEMON, *slow[:2], "--blockdev", blockdev, *slow[2:], "--export", export]
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log)
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


def run(address, *more, report=None, seed=1):
    command = [PLUMBLINE, "test", "--connect", address, "--seed", str(seed), *more]
    if report:
        command += ["--json", str(report)]
    return subprocess.run(command, capture_output=True, text=True, timeout=RUN_LIMIT, check=False)


def run_with_report(export, folder, *more, options=",reset=reconnect", seed=1):
    done = run(f"vhost-user:{export.socket}{options}", *more, report=folder / "report.json", seed=seed)
    assert done.returncode in (0, 1), done.stderr
    return done, json.loads((folder / "report.json").read_text(encoding="utf-8"))


def verdicts(report):
    return {clause["id"]: clause["verdict"] for clause in report["clauses"]}


def known_ids():
    listing = subprocess.run([PLUMBLINE, "clauses", "--role", "device", "--format", "json"],
                             capture_output=True, text=True, check=True)
    return {clause["id"] for clause in json.loads(listing.stdout) if clause["role"] == "device"}


def matched(patterns):
    return {c for c in known_ids() if any(fnmatch.fnmatchcase(c, p) for p in patterns)}


def shown_without_status():
    hidden = BINDING["observable_needs"]["STATUS"]
    return matched(BINDING["observable"]) - matched(hidden)


def check_findings(report, *known):
    """The findings are those that are known, in scenarios where they are known."""
    allowed = {}
    for table in known:
        for what, scenarios in table.items():
            allowed[what] = allowed.get(what, set()) | scenarios
    everywhere = set().union(*allowed.values()) if allowed else set()
    for finding in report["findings"]:
        what = finding.get("clause") or finding["kind"]
        assert finding["scenario"] in allowed.get(what, ()), (what, finding["scenario"])
    bad = {s["name"] for s in report["scenarios"] if s["verdict"] in ("fail", "error")}
    assert bad <= everywhere, bad - everywhere


@pytest.mark.parametrize("export", [{"queues": 1}, {"queues": 4}] if LONG else [{"queues": 4}], indirect=True)
def test_known_findings_only(export, folder):
    before = export.image.read_bytes()[:-USED_BYTES]
    for seed in SEEDS:
        done, report = run_with_report(export, folder, seed=seed)
        assert report["schema"] == "plumbline-report/1"
        check_findings(report, RECONNECTED)
        if ABORT in export.messages():
            assert {s["name"] for s in report["scenarios"]} & QUEUES_IN_FLIGHT and done.returncode == 1
            return
        assert "data path: wrote a pattern" in done.stdout
        assert (done.returncode == 0) == report["summary"]["conforms"]
        assert export.process.poll() is None, export.messages()
    assert export.image.read_bytes()[:-USED_BYTES] == before
    assert "eventfd" not in export.messages()  # nothing was in flight when a connection ended


QUIET = "each-used-buffer-is-announced,buffers-used-together,around-the-ring,direct-and-indirect," \
        "announcement-of-nothing,announcements-are-suppressed"


def test_resets_without_reconnecting(export, folder):
    """Rings that stop with nothing under way, while the connection stands: nothing is found."""
    for seed in SEEDS:
        done, report = run_with_report(export, folder, "--select", QUIET, options="", seed=seed)
        assert report["findings"] == [], done.stdout
    assert "vu_panic" not in export.messages().replace("vu_panic: Error while writing", "")
    for seed in SEEDS:
        _, report = run_with_report(export, folder, "--select", ",".join(IN_FLIGHT), options="", seed=seed)
        check_findings(report, LATE)
    assert export.process.poll() is None, export.messages()


ILLEGAL = "split-descriptors-out-of-bounds,split-available-ring-out-of-bounds,split-indirect-tables," \
          "memory-changes-under-the-device,available-index-leaps,chains-through-the-whole-table," \
          "announcements-without-end"


def test_illegal_rings(export, folder):
    """Whatever stands in the rings: the daemon lives, accepts a connection and serves legal requests."""
    more = ["--exhaustive"] if LONG else []
    for seed in range(1, 4 if LONG else 3):
        done, report = run_with_report(export, folder, "--select", ILLEGAL, *more, seed=seed)
        assert report["findings"] == [], done.stdout
        ran = {s["name"] for s in report["scenarios"] if s["verdict"] == "pass"}
        assert ran == set(ILLEGAL.split(","))
    assert export.process.poll() is None, export.messages()
    assert "vu_panic: Looped descriptor" in export.messages()
    assert run(f"vhost-user:{export.socket}", "--select", "each-used-buffer-is-announced").returncode == 0


@pytest.mark.parametrize("export", [{"requests_per_second": 200}], indirect=True)
def test_requests_in_flight_at_a_reset(export, folder):
    """A slow disk: requests are under way for certain when the ring stops, and 7.2 does not wait for them."""
    select = ("--select", "buffers-in-flight-at-a-reset")
    _, report = run_with_report(export, folder, *select, options="")
    check_findings(report, LATE)
    assert ("Error writing eventfd" in export.messages()) == bool(report["findings"])
    _, report = run_with_report(export, folder, *select)
    assert report["findings"] == []
    assert export.process.poll() is None, export.messages()


def test_dropped_chains_at_a_reset(export, folder):
    """Chains that it took and dropped are counted after a reset, too, until the ring counts as overfull."""
    select = ("--select", "the-whole-ring-after-odd-buffers", "--with", "queue_size=2")
    _, report = run_with_report(export, folder, *select, options="")
    check_findings(report, {"exit": DROPPED})
    assert ("Virtqueue size exceeded" in export.messages()) == bool(report["findings"])
    _, report = run_with_report(export, folder, *select)
    assert report["findings"] == []


def test_only_what_the_device_shows_is_judged(export, folder):
    _, report = run_with_report(export, folder)
    shown = shown_without_status()
    found = verdicts(report)
    assert found["FEAT-DEV-01"] == found["USED-DEV-01"] == found["BLK-DEV-59"] == "pass"
    for clause, verdict in found.items():
        if clause not in shown:
            assert verdict not in ("pass", "fail", "warning", "option-used"), clause
    for clause in matched(BINDING["observable_needs"]["STATUS"]):
        assert found[clause] in ("not-observable", "not-judged")
    assert found["WIRE-DEV-01"] == "not-observable"
    assert found["HDR-DEV-06"] == "not-observable"


@pytest.mark.parametrize("export", [{"writable": False}], indirect=True)
def test_read_only_export(export, folder):
    before = export.digest()
    _, report = run_with_report(export, folder)
    check_findings(report, RECONNECTED)
    assert verdicts(report)["BLK-DEV-21"] == "pass"
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


# --- campaigns ---

SLOW_DISK = "driver=null-co,node-name=d,size=1048576,latency-ns=20000000,read-zeroes=on"
PROFILE = """name: qemu-storage-daemon
exec: >
  truncate -s 1M $PLUMBLINE_VHOST_USER.img;
  exec qemu-storage-daemon --blockdev %s
  --export type=vhost-user-blk,id=e,node-name=d,addr.type=unix,addr.path=$PLUMBLINE_VHOST_USER,writable=on,num-queues=2
carrier: vhost-user%s
"""
# What a campaign may find in 7.2: its five defects, by the clauses and ends that show them.
CAMPAIGN = ("CORE-RESET-DEV-03.*", "CORE-INIT-DEV-01.*", "DROK-DEV-02.*", "CORE-SPLIT-DEV-08.*", "CORE-SPLIT-DEV-16.*",
            "CORE-SPLIT-DEV-13.*", "CORE-SPLIT-DEV-2[5679].*", "USED-DEV-01.*", "exit-*", "crash-*")
ENDS = ("Error writing eventfd", "Virtqueue size exceeded", ABORT)


def campaign(folder, name, disk, options, *more):
    if DAEMON is None:
        pytest.skip("qemu-storage-daemon is not installed")
    profile = folder / f"{name}.yaml"
    profile.write_text(PROFILE % (disk, options), encoding="utf-8")
    command = [PLUMBLINE, "fuzz", profile, "--dir", folder / name, *more]
    done = subprocess.run(command, capture_output=True, text=True, timeout=RUN_LIMIT, check=False)
    assert done.returncode in (0, 1) and not done.stderr, done.stderr
    place = folder / name / "findings"
    found = sorted(place.iterdir()) if place.is_dir() else []
    for finding in found:
        assert any(fnmatch.fnmatchcase(finding.name, p) for p in CAMPAIGN), (finding.name, (finding / "finding").read_text())
        if finding.name.startswith(("exit-", "crash-")):
            wrote = (finding / "stderr.txt").read_text(encoding="utf-8")
            assert any(end in wrote for end in ENDS), (finding / "finding").read_text() + wrote
    return done, profile, found


def test_a_campaign_finds_what_is_known_and_no_more(folder):
    """A slow disk: requests are under way when rings stop. The daemon starts and ends with the campaign, and again where it died."""
    done, profile, found = campaign(folder, "slow", SLOW_DISK, "", "--focus", "reset", "--time", "60" if LONG else "25",
                                    "--stop-after", "2")
    version = subprocess.run([DAEMON, "--version"], capture_output=True, text=True, check=True).stdout
    if "version 7.2." in version:
        assert any(f.name.startswith(("CORE-RESET-DEV-03.", "CORE-SPLIT-DEV-2")) for f in found), done.stdout
    for finding in found:
        facts = dict(line.split(" ", 1) for line in (finding / "finding").read_text(encoding="utf-8").splitlines())
        if facts["again"].startswith(("4 of 5", "5 of 5")):
            again = [subprocess.run([PLUMBLINE, "replay", finding, profile], capture_output=True, text=True, timeout=RUN_LIMIT,
                                    check=False).returncode for _ in range(3)]
            assert 1 in again, facts
        trace = subprocess.run([PLUMBLINE, "replay", finding / "trace.pcapng"], capture_output=True, text=True, check=False)
        assert "STAT-DEV-06" not in trace.stdout, "the gateway's own status is not judged in what was recorded either"


@pytest.mark.parametrize("focus", ["all", "illegal", "reset", "generation", "ring"] if LONG else ["illegal"])
def test_campaigns_of_every_focus(folder, focus):
    disk = "driver=file,node-name=d,filename=$PLUMBLINE_VHOST_USER.img"
    done, _, _ = campaign(folder, focus, disk, ",reset=reconnect", "--focus", focus, "--time", "60" if LONG else "10")
    assert "executions" in done.stdout


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
    known = known_ids()
    for pattern in BINDING["observable"]:
        assert any(fnmatch.fnmatchcase(c, pattern) for c in known), pattern
