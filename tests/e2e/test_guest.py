"""Plumbline against a real driver: Linux's virtio_blk in a guest under QEMU, over the vhost-user back-end. `make check-guest`."""
import collections
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PLUMBLINE = os.environ.get("PLUMBLINE", str(ROOT / "build" / "plumbline"))
QEMU = shutil.which("qemu-system-x86_64")
FOLDER = os.environ.get("PLUMBLINE_GUEST")  # where make check-guest put kernel and initramfs
LIMIT = 120  # seconds for one guest; for hangs only
PROBE_LIMIT = 10  # seconds in which a guest must boot under KVM for it to be used at all
NEW_SECTORS = 32768
MACHINE = ["-M", "q35", "-smp", "1", "-m", "256M", "-bios", "qboot.rom", "-nodefaults", "-no-user-config", "-display",
           "none", "-no-reboot"]
# What the script wants of the harness when it says "STEP wanted".
WANTED = {"resize": f"config-change 0 0 {NEW_SECTORS.to_bytes(8, 'little').hex()}", "reconnect": "disconnect"}

# Judged of Linux in every run, whatever is negotiated.
ALWAYS = {"NTFY-DRV-03", "CORE-FEAT-DRV-08", "BLK-DRV-12", "BLK-DRV-16"}
SPLIT = {f"CORE-SPLIT-DRV-{n:02}" for n in (1, 2, 4, 6, 7, 8, 9, 11, 19)}
INDIRECT = {f"CORE-SPLIT-DRV-{n:02}" for n in (6, 7, 9)}
PACKED = {f"CORE-PACKED-DRV-{n:02}" for n in (1, 7, 8, 10, 11, 12, 13, 14, 15)}
BLOCK = {f"BLK-DRV-{n}" for n in (14, 15, 17, 18, 19, 24)}

Life = collections.namedtuple("Life", "steps qemu output verdicts report seconds")

pytestmark = [
    pytest.mark.skipif(not FOLDER, reason="boots guests, and runs by `make check-guest`"),
    pytest.mark.skipif(QEMU is None, reason="qemu-system-x86_64 is not installed"),
    pytest.mark.skipif(bool(FOLDER) and not (pathlib.Path(FOLDER) / "vmlinuz").exists(),
                       reason="there is no kernel: tests/guest/initramfs.sh could not make one"),
]


def guest_command(accelerator, serial, steps):
    cpu = "host" if accelerator == "kvm" else "max"
    return [QEMU, *MACHINE, "-accel", accelerator, "-cpu", cpu, "-kernel", f"{FOLDER}/vmlinuz", "-initrd",
            f"{FOLDER}/initramfs", "-append", f"console=ttyS0 quiet panic=-1 steps={','.join(steps)}", "-serial",
            f"file:{serial}"]


@pytest.fixture(scope="session")
def accelerator(tmp_path_factory):
    """Emulation, unless KVM is asked for and a guest without any device of ours was seen to boot with it."""
    if not os.environ.get("PLUMBLINE_GUEST_KVM"):
        return "tcg"
    serial = tmp_path_factory.mktemp("probe") / "serial"
    try:
        subprocess.run(guest_command("kvm", serial, []), capture_output=True, timeout=PROBE_LIMIT, check=True)
    except (subprocess.SubprocessError, OSError) as problem:
        print(f"no KVM: {problem}")
        return "tcg"
    return "kvm" if "guest: done" in serial.read_text(errors="replace") else "tcg"


def said(serial):
    text = serial.read_text(errors="replace") if serial.exists() else ""
    return [line[len("guest: "):].rstrip() for line in text.splitlines() if line.startswith("guest: ")]


def serve_wishes(serial, fifo, served):
    for line in said(serial):
        words = line.split()
        if len(words) > 1 and words[1] == "wanted" and line not in served:
            served.add(line)
            fifo.write_text(WANTED[words[0]] + "\n", encoding="ascii")


def live(accelerator, steps, device="", harness=()):
    """One guest, from power on to power off, and what the harness says of its driver."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="pl-guest-") as name:
        folder = pathlib.Path(name)
        serial, fifo, report = folder / "serial", folder / "commands", folder / "report.json"
        os.mkfifo(fifo)
        address = f"vhost-user:{folder}/s,commands={fifo}"
        judge = subprocess.Popen([PLUMBLINE, "test", "--role", "driver", "--listen", address, "--json", report, *harness],
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            while not (folder / "s").exists():
                assert judge.poll() is None, judge.stdout.read()
                time.sleep(0.01)
            command = guest_command(accelerator, serial, steps) + [
                "-object", "memory-backend-memfd,id=m,size=256M,share=on", "-machine", "memory-backend=m",
                "-chardev", f"socket,id=c,path={folder}/s,reconnect=1",
                "-device", f"vhost-user-blk-pci,chardev=c,disable-legacy=on{device}"]
            guest = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            try:
                served = set()
                while guest.poll() is None:
                    assert time.monotonic() - begun < LIMIT, f"{said(serial)}\nthe guest hangs"
                    serve_wishes(serial, fifo, served)
                    time.sleep(0.05)
            finally:
                guest.kill()
                qemu = guest.communicate()[0]
            output = judge.communicate(timeout=LIMIT)[0]
        finally:
            judge.kill()
            judge.wait()
        found = json.loads(report.read_text(encoding="utf-8"))
        verdicts = {clause["id"]: clause for clause in found["clauses"]}
        return Life(said(serial), qemu, output, verdicts, found, time.monotonic() - begun)


def assert_all_went_well(life, steps, judged):
    assert [line for line in life.steps if line.endswith((" ok", " FAILED"))] == [f"{s} ok" for s in steps], \
        "\n".join(life.steps) + life.qemu + life.output
    assert life.steps[-1] == "done", life.steps
    assert "CONFORMS" in life.output and "DOES NOT" not in life.output, life.output
    not_passed = {i: life.verdicts[i]["verdict"] for i in judged if life.verdicts[i]["verdict"] != "pass"}
    assert not not_passed, f"{not_passed}\n{life.output}"
    print(f"{life.seconds:.1f} s, {sum(c['verdict'] == 'pass' for c in life.verdicts.values())} clauses passed")


def test_a_whole_life(accelerator):
    steps = ["probe", "io", "cached", "parallel", "discard", "rebind", "resize", "removal", "unplug", "reconnect", "io"]
    life = live(accelerator, steps)
    assert_all_went_well(life, steps, ALWAYS | SPLIT | BLOCK | {"CORE-SPLIT-DRV-14", "CORE-SPLIT-DRV-24"})
    assert f"size {NEW_SECTORS} sectors" in life.steps, life.steps


def test_packed_rings(accelerator):
    steps = ["probe", "io", "cached", "parallel", "discard", "rebind", "removal"]
    assert_all_went_well(live(accelerator, steps, device=",packed=on"), steps, ALWAYS | PACKED | BLOCK)


@pytest.mark.parametrize("event_idx, indirect", [(0, 1), (0, 0)])
def test_split_rings_without_what_is_optional(accelerator, event_idx, indirect):
    steps = ["probe", "io", "cached", "parallel"]
    life = live(accelerator, steps,
                harness=["--with", f"event_idx={event_idx}", "--with", f"indirect={indirect}", "--with", "ring_packed=0"])
    judged = ALWAYS | SPLIT | {"CORE-SPLIT-DRV-12", "CORE-SPLIT-DRV-22"}
    assert_all_went_well(life, steps, judged if indirect else judged - INDIRECT)


def test_what_the_back_end_makes_up_is_not_judged(accelerator):
    life = live(accelerator, ["probe"])
    for clause in ("INIT-DRV-01", "DROK-DRV-01", "DROK-DRV-02", "HDR-DRV-01", "FEAT-DRV-01", "STAT-DRV-04", "SVQ-DRV-01",
                   "CORE-INIT-DRV-01", "CORE-FEAT-DRV-01", "BLK-DRV-11"):
        assert life.verdicts[clause]["verdict"] == "not-observable", clause


# --- campaigns: guest.sh starts a guest for each case ---

CASE = """plumbline-case 1
role driver
spec virtio-msg-r1

start
io times=3
config-change data=0080000000000000
io times=3
%s
io times=8
"""
PROFILE = "role: driver\nexec: exec sh '%s/guest/guest.sh' '%s' %s\ncarrier: vhost-user\n"


@pytest.mark.parametrize("options", ["", ",packed=on"])
def test_cases_are_lived_through(tmp_path, options):
    """A device that changes its configuration, and one whose used ring is written over: the guest lives to its end."""
    profile = tmp_path / "linux.yaml"
    profile.write_text(PROFILE % (ROOT / "tests", FOLDER, options), encoding="utf-8")
    ring = "packed" if options else "split"
    for word in ("needs-reset", "scribble part=device place=2 data=ffff", "answer GET_CONFIG data=00", "send EVENT_USED"):
        case = tmp_path / "case.txt"
        case.write_text(CASE % word, encoding="utf-8")
        done = subprocess.run([PLUMBLINE, "replay", case, profile], capture_output=True, text=True, timeout=LIMIT, check=False)
        assert done.returncode == 0 and " passes: 0 findings" in done.stdout, (word, done.stdout[-2000:], done.stderr)
        assert "EVENT_AVAIL" in done.stdout and f"ring 0 0 begin {ring}" in done.stdout, word
        assert "driver 0 ended" in done.stdout


def test_a_campaign(tmp_path):
    profile = tmp_path / "linux.yaml"
    profile.write_text(PROFILE % (ROOT / "tests", FOLDER, ""), encoding="utf-8")
    done = subprocess.run([PLUMBLINE, "fuzz", profile, "--dir", tmp_path / "c", "--execs", "5"], capture_output=True, text=True,
                          timeout=2 * LIMIT, check=False)
    assert done.returncode == 0 and not done.stderr, (done.stdout, done.stderr)
    assert "5 executions" in done.stdout and "0 findings" in done.stdout, done.stdout
