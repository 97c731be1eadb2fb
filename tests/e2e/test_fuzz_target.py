# SPDX-License-Identifier: BSD-3-Clause
"""In-process fuzzing: the example of the public header, and the reference peers as targets."""
import os
import pathlib
import subprocess

import pytest

from conftest import PLUMBLINE, ROOT

LIBRARY = pathlib.Path(PLUMBLINE).parent / "libplumbline.a"
SECONDS = 120  # a hang, no judgement of speed
EXAMPLES = ROOT / "docs" / "examples"
INTACT = "    d->status = d->selected[0] = d->selected[1] = d->far = 0;\n    reset_queue(d);\n"
BROKEN = "    d->status = d->selected[0] = d->selected[1] = d->far = 0;\n"

pytestmark = pytest.mark.skipif(not LIBRARY.exists() or b"__asan_init" in pathlib.Path(PLUMBLINE).read_bytes()
                                or b"__tsan_init" in pathlib.Path(PLUMBLINE).read_bytes(),
                                reason="the library is built with a sanitizer of its own")


def build(source, out, *includes):
    words = ["clang", "-D_GNU_SOURCE", "-w", "-O1", "-g", "-fsanitize=fuzzer"]
    words += [f"-I{folder}" for folder in includes]
    subprocess.run([*words, f"-I{ROOT / 'harness'}", source, LIBRARY, "-lyaml", "-ljansson", "-lpthread", "-o", out],
                   check=True, capture_output=True, timeout=SECONDS)
    return out


def fuzz(program, *words, mutant=None):
    environment = {**os.environ, "PLUMBLINE_FUZZ_MUTANT": mutant} if mutant else dict(os.environ)
    return subprocess.run([program, "-seed=1", "-max_len=4096", "-len_control=0", "-entropic=0", *words], cwd=program.parent, env=environment,
                          capture_output=True, text=True, errors="replace", check=False, timeout=SECONDS)


@pytest.fixture(scope="module")
def device(tmp_path_factory):
    return build(ROOT / "fuzz" / "device_target.c", tmp_path_factory.mktemp("device") / "device")


def test_the_example_lives(tmp_path):
    done = fuzz(build(ROOT / "fuzz" / "example" / "entropy_target.c", tmp_path / "entropy", EXAMPLES), "-runs=1500")
    assert done.returncode == 0, done.stderr[-3000:]
    assert "FINDING" not in done.stderr


def test_a_bug_in_the_example_is_found(tmp_path):
    text = (EXAMPLES / "entropy.c").read_text()
    assert INTACT in text
    (tmp_path / "entropy.c").write_text(text.replace(INTACT, BROKEN))
    done = fuzz(build(ROOT / "fuzz" / "example" / "entropy_target.c", tmp_path / "entropy", tmp_path, EXAMPLES),
                "-runs=20000")
    assert done.returncode not in (0, 2)
    assert "FINDING " in done.stderr and "\nplumbline-case 1\nrole device\n" in done.stderr
    assert "queue" in done.stderr[done.stderr.index("FINDING "):]
    assert list(tmp_path.glob("crash-*"))


def test_the_reference_device_lives_and_its_mutant_does_not(device):
    assert fuzz(device, "-runs=1000").returncode == 0
    done = fuzz(device, "-runs=20000", mutant="GVQ-DEV-01.max-gone")
    assert done.returncode not in (0, 2) and "FINDING GVQ-DEV-0" in done.stderr


def test_a_finding_is_repeated_by_its_file(device):
    done = fuzz(device, "-runs=20000", mutant="GVQ-DEV-01.max-gone")
    path = next(line.split()[-1] for line in done.stderr.splitlines() if "Test unit written to" in line)
    again = fuzz(device, path, mutant="GVQ-DEV-01.max-gone")
    assert "FINDING GVQ-DEV-0" in again.stderr
    assert fuzz(device, path).returncode == 0


def test_a_mutant_that_is_none_is_said(device):
    done = fuzz(device, "-runs=1", mutant="NOPE")
    assert done.returncode != 0 and "'NOPE' is no mutant of the reference device" in done.stderr
