# SPDX-License-Identifier: BSD-3-Clause
"""The fuzzing of the harness itself: the script of OSS-Fuzz, the runner and what it says, dictionaries, regressions."""
import os
import re
import stat
import subprocess
import sys
import zipfile

import pytest

from conftest import PLUMBLINE, ROOT

PYTHON = "/usr/bin/python3"
BUILD_SECONDS = 900  # a hang, no judgement of speed: the whole library is built
sys.path.insert(0, str(ROOT / "fuzz"))

# A target that behaves as libFuzzer's programs do, with what it finds to order.
TARGET = """#!/bin/sh
for word; do
    case $word in
    -artifact_prefix=*) prefix=${word#*=} ;;
    esac
done
case $word in */regressions/*) exit %(regression)d ;; esac
[ %(status)d -ne 77 ] || echo bad >"${prefix}crash-1"
echo "seen: $*"
echo "stat::number_of_executed_units: %(units)d"
exit %(status)d
"""


def python(*words, cwd=ROOT):
    return subprocess.run([PYTHON, *map(str, words)], cwd=cwd, capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture
def target(tmp_path):
    """target(name, ...): put a target into the build, and a regression where one is wanted."""
    def make(name, units=10, status=0, regression=None):
        path = tmp_path / "targets" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(TARGET % {"units": units, "status": status, "regression": regression or 0})
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        if regression is not None:
            folder = tmp_path / "regressions" / name
            folder.mkdir(parents=True)
            (folder / "old").write_bytes(b"x")
    return make


def run_targets(tmp_path, *words):
    return python("fuzz/run.py", "--build", tmp_path, "--name", "fuzz-smoke", *(words or ("--whole", "2")))


def last_line(done):
    return done.stdout.splitlines()[-1]


def test_the_sum_of_a_sound_run(tmp_path, target):
    target("a", units=10)
    target("b", units=30, regression=0)
    done = run_targets(tmp_path, "--whole", "2", "--seed", "42")
    assert done.returncode == 0, done.stdout + done.stderr
    assert last_line(done) == "fuzz-smoke: 2 targets, 41 executions, 0 findings"
    assert "seed 42" in done.stdout.splitlines()[0]


def test_a_finding_is_told_and_counted(tmp_path, target):
    target("a", units=10)
    target("b", units=30, status=77)
    done = run_targets(tmp_path, "--each", "1", "--seed", "7")
    assert done.returncode == 1, done.stdout + done.stderr
    assert last_line(done) == "fuzz-smoke: 2 targets, 40 executions, 1 findings"
    crash = tmp_path / "findings" / "b" / "crash-1"
    assert f"fuzz: b: FINDING {crash} (seed 7)" in done.stdout and "-seed=7" in done.stdout


def test_a_regression_is_a_finding(tmp_path, target):
    target("a", regression=1)
    done = run_targets(tmp_path)
    assert done.returncode == 1 and last_line(done).endswith(" 1 findings"), done.stdout
    assert str(tmp_path / "regressions" / "a" / "old") in done.stdout


@pytest.mark.parametrize("how", [{"units": 0}, {"status": 1}])
def test_a_target_that_does_not_run_is_no_success(tmp_path, target, how):
    target("a", **how)
    done = run_targets(tmp_path)
    assert done.returncode == 4 and last_line(done).endswith("did not run: a"), done.stdout


@pytest.mark.parametrize("words", [[], ["--whole", "0"], ["--whole", "1", "--seed", "0"], ["--whole", "1", "--each", "1"],
                                   ["--whole", "1", "--build", "nothing-there"]])
def test_wrong_commands(tmp_path, words):
    done = python(ROOT / "fuzz" / "run.py", *words, cwd=tmp_path)
    assert done.returncode == 2 and done.stderr, done


def test_dictionaries_have_every_message(tmp_path):
    done = python("models/gen/dictionary.py", "models", tmp_path)
    assert done.returncode == 0, done.stderr
    found = {}
    for name in ("messages", "vhost-user", "words"):
        for line in (tmp_path / f"{name}.dict").read_text().splitlines():
            match = re.fullmatch(r'(\w+)="((?:[ !#-\[\]-~]|\\x[0-9a-f]{2})+)"', line)
            assert match, f"{name}: {line}"
            found[name, match[1]] = match[2].encode().decode("unicode_escape").encode("latin1")
    sys.path.insert(0, str(PLUMBLINE.parent / "gen"))
    import plumbline_codec as codec  # pylint: disable=import-outside-toplevel
    for spec, table in codec.SPECS.items():
        for name, message in table["messages"].items():
            kind = "event" if message["is_event"] else "request"
            begin = bytes([table["bus_bit"] if message["bus"] else 0, message["id"]])
            assert found["messages", f"{spec.replace('-', '_')}_{name}_{kind}"] == begin
            assert found["words", name] == name.encode()


def test_regressions_are_bytes(tmp_path, monkeypatch):
    import seeds  # pylint: disable=import-outside-toplevel
    folder = tmp_path / "fuzz" / "regressions" / "t"
    folder.mkdir(parents=True)
    (folder / "one.hex").write_text("# why: 12\n00 0a # a line\nff\n")
    (folder / "two").write_bytes(b"# text\n")
    monkeypatch.setattr(seeds, "ROOT", str(tmp_path))
    assert seeds.regressions("t") == {"one": b"\x00\x0a\xff", "two": b"# text\n"}
    assert seeds.regressions("another") == {}


def test_every_regression_has_a_target():
    for folder in (ROOT / "fuzz" / "regressions").iterdir():
        assert (ROOT / "fuzz" / f"{folder.name}_target.c").exists(), folder
        assert all(path.stat().st_size for path in folder.iterdir())


@pytest.mark.skipif(os.environ.get("PLUMBLINE_E2E") == "quick", reason="builds the whole library once more; `make e2e` runs it")
def test_the_script_of_oss_fuzz(tmp_path):
    """Its variables, as that engine sets them; without optimization, so that it takes less long."""
    flags = "-O0 -fsanitize=address -fsanitize=fuzzer-no-link"
    out, work = tmp_path / "out", tmp_path / "work"
    out.mkdir()
    work.mkdir()
    env = {**os.environ, "OUT": str(out), "WORK": str(work), "SRC": str(tmp_path), "CC": "clang", "CXX": "clang++",
           "CFLAGS": flags, "CXXFLAGS": flags, "LIB_FUZZING_ENGINE": "-fsanitize=fuzzer"}
    for name in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "BUILD", "SANITIZE"):
        env.pop(name, None)
    (tmp_path / "plumbline").symlink_to(ROOT)
    done = subprocess.run([ROOT / ".clusterfuzzlite" / "build.sh", "codec", "replay"], env=env, capture_output=True,
                          text=True, check=False, timeout=BUILD_SECONDS)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    names = {"codec", "replay", "codec.dict", "replay.dict", "codec_seed_corpus.zip", "replay_seed_corpus.zip"}
    assert {path.name for path in out.iterdir()} == names
    seeds = tmp_path / "seeds"
    with zipfile.ZipFile(out / "codec_seed_corpus.zip") as archive:
        assert any("GET_CONFIG-response" in name for name in archive.namelist())
        archive.extractall(seeds)
    run = subprocess.run([out / "codec", "-runs=2000", "-seed=1", f"-dict={out / 'codec.dict'}", seeds], cwd=tmp_path,
                         capture_output=True, text=True, check=False, timeout=BUILD_SECONDS)
    assert run.returncode == 0 and "Done 2000 runs" in run.stderr, run.stderr[-3000:]
    linked = subprocess.run(["ldd", out / "replay"], capture_output=True, text=True, check=True).stdout
    assert "libyaml" not in linked and "libjansson" not in linked
