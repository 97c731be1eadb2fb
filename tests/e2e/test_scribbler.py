"""Shared memory that somebody else writes all over: neither the reference device nor the harness may crash or hang."""
import mmap
import os
import pathlib
import random
import struct
import subprocess
import tempfile
import threading

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PLUMBLINE = os.environ.get("PLUMBLINE", str(ROOT / "build" / "plumbline"))
LONG = bool(os.environ.get("PLUMBLINE_DAEMON_LONG"))
SEEDS = range(1, 13 if LONG else 2)
BYTES = 2 << 20
BASE = 0x100000000
RUN_LIMIT = 600 if LONG else 240  # seconds; for hangs only
SCENARIOS = ("each-used-buffer-is-announced,buffers-used-together,around-the-ring,direct-and-indirect,"
             "resets-in-a-row-with-buffers-in-flight,what-is-written-is-read,memory-changes-under-the-device")
BAD = ("AddressSanitizer", "runtime error:", "Assertion")


def scribble(path, seed, stop):
    """Bytes, indexes, lengths, bus addresses and copies of what stands elsewhere, until told to stop."""
    draw = random.Random(seed)
    with open(path, "r+b") as file, mmap.mmap(file.fileno(), BYTES) as memory:
        while not stop.is_set():
            # Most of what is in use stands near what was in use a moment ago: near nonzero bytes.
            at = draw.randrange(0, BYTES - 16) & ~1
            for _ in range(24):
                what = draw.randrange(6)
                if what == 0:
                    value = struct.pack("<B", draw.randrange(256))
                elif what == 1:
                    value = struct.pack("<H", draw.choice((0, 1, 2, 4, 7, 0x8000, 0xffff, draw.randrange(65536))))
                elif what == 2:
                    value = struct.pack("<I", draw.choice((0, 1, 0x80000000, 0xffffffff, draw.randrange(1 << 32))))
                elif what == 3:
                    value = struct.pack("<Q", BASE + draw.randrange(-64, BYTES + 64))
                elif what == 4:
                    value = struct.pack("<Q", draw.randrange(1 << 64))
                else:
                    source = draw.randrange(0, BYTES - 16)
                    value = memory[source:source + 16]
                spot = min(at + 2 * draw.randrange(512), BYTES - 16)
                memory[spot:spot + len(value)] = value


@pytest.mark.parametrize("kind", ["block", "net", "console", "entropy"])
@pytest.mark.parametrize("seed", SEEDS)
def test_hostile_memory(kind, seed):
    with tempfile.TemporaryDirectory(prefix="pl-scrib-") as name:
        folder = pathlib.Path(name)
        memory, address = folder / "memory", f"unix:{folder}/s"
        memory.write_bytes(bytes(BYTES))
        where = f"{memory},size={BYTES}"
        with open(folder / "device", "w+", encoding="utf-8") as log:
            device = subprocess.Popen([PLUMBLINE, "serve", "device", "--type", kind, "--listen", address,
                                       "--memory", where], stdout=log, stderr=log)
            stop = threading.Event()
            writer = threading.Thread(target=scribble, args=(memory, seed, stop))
            while not (folder / "s").exists():
                assert device.poll() is None
            writer.start()
            try:
                done = subprocess.run([PLUMBLINE, "test", "--connect", address, "--memory", where, "--select",
                                       SCENARIOS, "--seed", str(seed)], capture_output=True, text=True,
                                      errors="replace", timeout=RUN_LIMIT, check=False)
            finally:
                stop.set()
                writer.join()
                alive = device.poll() is None
                device.kill()
                device.wait()
            said = (folder / "device").read_text(encoding="utf-8", errors="replace")
        assert alive, said
        assert done.returncode in (0, 1), done.stderr
        for word in BAD:
            assert word not in said and word not in done.stderr, said + done.stderr
        assert "HANG" not in done.stdout and "CRASH" not in done.stdout, done.stdout
