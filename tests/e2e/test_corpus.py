# SPDX-License-Identifier: BSD-3-Clause
"""`plumbline corpus`: entries, archives that others verify, folders of fuzzers; entries replayed and decoded."""
import hashlib
import io
import json
import subprocess
import tarfile

import pytest

from conftest import PLUMBLINE, ROOT

MANIFEST = "MANIFEST"
HEAD = "plumbline-entry 1\ndraft virtio-msg-r1\nrole {role}\n{expect}origin by hand\nlicense BSD-3-Clause\n\n"
CASE = "plumbline-case 1\nrole {role}\n{actions}"
MUTANT = "RVQ-DEV-01.first"


def entry(role="device", expect="expect pass\n", actions="life steps=2\n"):
    return HEAD.format(role=role, expect=expect) + CASE.format(role=role, actions=actions)




@pytest.fixture
def corpus(tmp_path):
    """corpus({name: text}, folder): a folder of entries."""
    def make(entries, folder="corpus"):
        for name, text in entries.items():
            path = tmp_path / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path / folder
    return make


@pytest.fixture
def small(corpus):
    return corpus({"device/a.txt": entry(), "device/b.txt": entry(actions="life steps=12\nreset waits=1\n"),
                   "bus/a.txt": entry("bus", actions="send GET_DEVICES\n"), "README.md": "not an entry"})


# --- entries ---

def test_the_corpus_is_well_formed_and_does_as_it_says(run):
    done = run("corpus", "check", ROOT / "corpus", seconds=300)
    assert done.status == 0 and "0 do not" in done.out, done


@pytest.mark.parametrize("role", ("device", "driver", "bus"))
def test_every_judged_clause_and_every_mutant_has_an_entry(run, role):
    entries = json.loads(run("corpus", "list", ROOT / "corpus", "--role", role, "--json", "-").out)["entries"]
    clauses = json.loads(run("clauses", "--format", "json").out)
    aimed = {clause for entry in entries for clause in entry["clauses"]}
    assert not {c["id"] for c in clauses if c["judged"] and c["role"] in (role, "any")} - aimed
    mutants = {line.split("\t")[0] for line in run("serve", role, "--list-mutants").out.splitlines()}
    assert not mutants - {fails["mutant"] for entry in entries for fails in entry["fails"]}


def test_check_a_folder_an_entry_and_an_archive(run, small, tmp_path):
    assert run("corpus", "export", small, "x.tar").status == 0
    for path, n in ((small, 3), (small / "bus" / "a.txt", 1), (tmp_path / "x.tar", 3)):
        done = run("corpus", "check", path)
        assert done.status == 0 and done.out.startswith(f"{n} entr"), done


def test_check_tells_what_is_not_so(run, corpus):
    expect = "expect fail HDR-DEV-03 with HDR-DEV-03.zero\n"
    good, bad = entry(expect=expect), entry(expect="clauses RVQ-DEV-01\nexpect pass\n")
    done = run("corpus", "check", corpus({"good.txt": good, "bad.txt": bad}))
    assert done.status == 1 and "FAIL  bad.txt: it does not exercise RVQ-DEV-01" in done.out and "good.txt" not in done.out, done
    # nothing is sent that a mutant of the reset of queues could be known by
    done = run("corpus", "check", corpus({"c.txt": entry(expect=f"expect fail RVQ-DEV-01 with {MUTANT}\n")}, "other"))
    assert done.status == 1 and f"mutant {MUTANT} does not fail RVQ-DEV-01" in done.out, done


@pytest.mark.parametrize("text, words", [("", ["no entry"]), (entry().replace("entry 1", "entry 7"), [":1:", "version '7'"]),
    (entry().replace("expect pass", "expect fail HDR-DEV-03 with NOBODY"), [":4:", "NOBODY", "mutant"]),
    (entry().replace("life", "fly"), [":10:", "'fly'"]), (entry() + "x" * 4000, ["longer"]), (entry() + "\0", ["0"])],
    ids=["empty", "version", "mutant", "action", "long", "zero"])
def test_a_malformed_entry_is_one_error_with_its_place(run, corpus, text, words):
    done = run("corpus", "check", corpus({"sub/x.txt": text}))
    assert done.status == 2 and done.err.count("\n") == 1 and "sub/x.txt:" in done.err, done
    assert all(word in done.err for word in words), done


def test_list(run, small):
    done = run("corpus", "list", small, "--json", "-")
    entries = json.loads(done.out)["entries"]
    assert [e["name"] for e in entries] == ["bus/a.txt", "device/a.txt", "device/b.txt"], done
    assert entries[1]["sha256"] == hashlib.sha256((small / "device" / "a.txt").read_bytes()).hexdigest()
    done = run("corpus", "list", small, "--role", "bus")
    assert done.out.splitlines()[-1] == "1 entry" and "bus/a.txt" in done.out, done


@pytest.mark.parametrize("args", [(), ("dance",), ("check",), ("check", "no-such"), ("list", ".", "--clause", "NO-SUCH"), ("export", "."),
    ("check", ".", "--role", "gpu"), ("seed", "out", "--execs", "0"), ("import", "/dev/null"), ("from-bytes", "x", "y", "--license", "mine!")])
def test_usage(run, args):
    done = run("corpus", *args)
    assert done.status == 2 and done.err.count("\n") == 1 and done.err.startswith("plumbline: "), done


# --- merging, minimizing ---

def test_merge_keeps_each_case_once(run, corpus, tmp_path):
    one = corpus({"a.txt": entry(), "b.txt": entry(actions="life steps=3\n")}, "one")
    two = corpus({"a.txt": entry(actions="life steps=4\n"),
                  "c.txt": entry(expect="expect fail HDR-DEV-03 with HDR-DEV-03.zero\n")}, "two")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "README.md").write_text("no entry yet")
    done = run("corpus", "merge", one, two, "out")
    (tmp_path / "out" / "README.md").unlink()
    assert done.status == 0 and "4 entries read, 3 in out; 1 say more" in done.out, done
    files = sorted(p.name for p in (tmp_path / "out").iterdir())
    assert files[0].startswith("a-") and files[1:] == ["a.txt", "b.txt"], files
    text = (tmp_path / "out" / "a.txt").read_text()
    assert "expect pass" in text and "with HDR-DEV-03.zero" in text, text
    # again: nothing is new
    before = {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()}
    done = run("corpus", "merge", two, "out")
    assert done.status == 0 and "3 in out; 0 say more" in done.out, done
    assert before == {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()}


def test_minimize_keeps_what_is_covered(run, corpus, tmp_path):
    entries = {f"{i:02}.txt": entry(actions=f"life steps={i}\n") for i in range(1, 16)}
    done = run("corpus", "minimize", corpus(entries), "few")
    n = len(list((tmp_path / "few").iterdir()))
    assert done.status == 0 and 1 <= n < 8 and f"{n} entries of 15" in done.out, done
    again = run("corpus", "minimize", "few", "fewer")
    assert f"{n} entries of {n}" in again.out, again
    assert done.out.split(":")[1] == again.out.split(":")[1], (done, again)


# --- archives ---

def archive(files, manifest=None, **more):
    """An archive of {name: bytes}; `more` are attributes of the last file's header."""
    lines = "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in files)
    out = io.BytesIO()
    listed = [(MANIFEST, (manifest if manifest is not None else "# plumbline-corpus 1\n" + lines).encode()), *files]
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for i, (name, data) in enumerate(listed):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            for key, value in more.items() if i == len(listed) - 1 else ():
                setattr(info, key, value)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


ENTRY = entry().encode()
TWO = [("a.txt", ENTRY), ("b.txt", entry(actions="fence\n").encode())]


def test_an_archive_is_the_same_each_time_and_others_can_read_it(run, small, tmp_path):
    first, second = run("corpus", "export", small, "x.tar"), run("corpus", "export", small, "y.tar")
    data = (tmp_path / "x.tar").read_bytes()
    assert first.status == second.status == 0 and data == (tmp_path / "y.tar").read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    assert first.out == f"{digest}  x.tar\n"
    subprocess.run(["tar", "xf", tmp_path / "x.tar"], cwd=tmp_path, check=True)
    subprocess.run(["sha256sum", "--check", "--quiet", "--strict", MANIFEST], cwd=tmp_path, check=True)
    done = run("corpus", "import", "x.tar", "there", "--sha256", digest)
    assert done.status == 0 and "3 entries" in done.out, done
    for name in ("device/a.txt", "device/b.txt", "bus/a.txt"):
        assert (tmp_path / "there" / name).read_bytes() == (small / name).read_bytes()
    done = run("corpus", "import", "x.tar", "elsewhere", "--sha256", "0" * 64)
    assert done.status == 2 and digest in done.err and not (tmp_path / "elsewhere").exists(), done


def test_import_of_what_another_program_made(run, file, tmp_path):
    done = run("corpus", "import", file("x.tar", archive(TWO)), "out")
    assert done.status == 0 and (tmp_path / "out" / "b.txt").read_bytes() == TWO[1][1], done
    done = run("corpus", "import", "x.tar", "out")
    assert done.status == 2 and "not empty" in done.err, done


LINE = hashlib.sha256(ENTRY).hexdigest()
WHOLE = archive(TWO)
HOSTILE = {
    "absolute": (archive([("/tmp/plumbline-corpus.txt", ENTRY)]), "absolute"),
    "dots": (archive([("../a.txt", ENTRY)]), "'..'"),
    "dots-inside": (archive([("a/../../b.txt", ENTRY)]), "'..'"),
    "hidden": (archive([(".profile.txt", ENTRY)]), "begins with '.'"),
    "no-txt": (archive([("a.sh", ENTRY)]), ".txt"),
    "control": (archive([("a\x1b[2J.txt", ENTRY)]), "other bytes"),
    "symlink": (archive(TWO, type=tarfile.SYMTYPE, linkname="/etc/passwd"), "a link"),
    "hardlink": (archive(TWO, type=tarfile.LNKTYPE, linkname="a.txt"), "a link"),
    "folder": (archive(TWO, type=tarfile.DIRTYPE), "a folder"),
    "device": (archive(TWO, type=tarfile.CHRTYPE), "a device"),
    "twice": (archive([TWO[0], TWO[0]]), "twice"),
    "order": (archive(TWO[::-1]), "order"),
    "digest": (archive(TWO, "# plumbline-corpus 1\n" + f"{LINE}  a.txt\n{LINE}  b.txt\n"), "SHA-256"),
    "not-listed": (archive(TWO, f"# plumbline-corpus 1\n{LINE}  a.txt\n"), "does not have it"),
    "missing": (archive(TWO[:1], f"# plumbline-corpus 1\n{LINE}  a.txt\n{LINE}  b.txt\n"), "missing"),
    "another": (archive(TWO[:1], f"# plumbline-corpus 1\n{LINE}  c.txt\n"), "c.txt"),
    "bad-line": (archive(TWO[:1], f"# plumbline-corpus 1\n{LINE} a.txt\n"), "no line"),
    "version": (archive(TWO, "# plumbline-corpus 2\n"), "first line"),
    "no-manifest": (WHOLE[1024:], "MANIFEST"),
    "no-archive": (b"hello" * 400, "no ustar header"),
    "empty": (b"", "cut off"),
    "cut": (WHOLE[:2000], "cut off"),
    "cut-end": (WHOLE[:4 * 1024 - 512], "cut off"),
    "behind": (WHOLE + b"x" * 512, "behind its end"),
    "checksum": (WHOLE[:512 + 512 + 3] + b"9" + WHOLE[512 + 512 + 4:], "checksum"),
    "malformed": (archive([("a.txt", ENTRY.replace(b"life", b"fly"))]), "'fly'"),
    "no-entry": (archive([("a.txt", b"#!/bin/sh\nrm -r /\n")]), "no entry"),
    "huge": (archive([("a.txt", b" " * 400000)]), "size"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_archive_is_one_error_and_writes_nothing(run, file, tmp_path, name):
    data, word = HOSTILE[name]
    path = file("x.tar", data)
    done = run("corpus", "import", path, "out")
    assert done.status == 2 and done.err.count("\n") == 1 and word in done.err and "\x1b" not in done.err, done
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.tar"]


def test_a_size_that_is_a_lie(run, file):
    data = bytearray(WHOLE)
    for size in (b"77777777777\0", b"\x80" + b"\xff" * 11, b"-1\0\0\0\0\0\0\0\0\0\0"):
        at = 1024 + 124
        data[at:at + 12] = size
        data[1024 + 148:1024 + 156] = b" " * 8
        data[1024 + 148:1024 + 156] = f"{sum(data[1024:1536]):06o}\0 ".encode()
        done = run("corpus", "import", file("x.tar", bytes(data)), "out")
        assert done.status == 2 and "size" in done.err, done


# --- folders of fuzzers ---

def test_bytes_there_and_back(run, small, tmp_path):
    done = run("corpus", "to-bytes", small, "in", "--role", "device")
    assert done.status == 0 and sorted(p.name for p in (tmp_path / "in").iterdir()) == ["device-a", "device-b"], done
    (tmp_path / "in" / "id:000001,random").write_bytes(b"\0" * 40)
    (tmp_path / "in" / "README.txt").write_text("of AFL++")
    (tmp_path / "in" / ".state").mkdir()
    done = run("corpus", "from-bytes", "in", "back", "--origin", "a campaign", "--license", "MIT")
    assert done.status == 0 and done.out.startswith("3 files: 3 entries"), done
    texts = [p.read_text() for p in (tmp_path / "back" / "device").iterdir()]
    assert all("origin a campaign\nlicense MIT\n" in text for text in texts)
    assert any(text.endswith("life steps=12\nreset waits=1\n") for text in texts), texts
    assert run("corpus", "check", "back").status == 0


# --- adding ---

def test_a_finding_becomes_an_entry(run, file, tmp_path):
    mutant = f"exec {PLUMBLINE} serve device --mutant HDR-DEV-03.zero"
    done = run("fuzz", "--mutant", "HDR-DEV-03.zero", "--dir", "campaign", "--only", "HDR-DEV-03", "--execs", "40", "--seed", "1")
    findings = sorted((tmp_path / "campaign" / "findings").iterdir())
    assert done.status == 1 and findings, done
    done = run("corpus", "add", findings[0], "corpus", "--license", "MIT")
    path = tmp_path / done.out.strip()
    assert done.status == 0 and path.parent == tmp_path / "corpus" / "device" / "regressions", done
    text = path.read_text()
    assert "origin found by plumbline fuzz in " in text and "license MIT\n" in text and "clauses HDR-DEV-03\n" in text, text
    assert run("corpus", "check", "corpus").status == 0
    assert run("replay", path, "--quiet", "--exec", mutant).status == 1
    done = run("corpus", "add", findings[0], "corpus")
    assert done.status == 2 and "already" in done.err, done


def test_any_case_becomes_an_entry(run, file, tmp_path):
    case = CASE.format(role="device", actions="life steps=2\n")
    done = run("corpus", "add", file("odd name+.txt", case), "corpus", "--clause", "HDR-DEV-03", "--origin", "by hand")
    assert done.status == 0 and done.out == "corpus/device/regressions/odd_name_.txt\n", done
    assert "clauses HDR-DEV-03\nexpect pass\norigin by hand\n" in (tmp_path / done.out.strip()).read_text()
    for args in (("no-such", "corpus"), (file("y.txt", "hello"), "corpus"), (file("z.txt", case), "corpus", "--clause", "NO-1")):
        done = run("corpus", "add", *args)
        assert done.status == 2 and done.err.count("\n") == 1, done


# --- seeding ---

def test_seed_finds_mutants_and_repeats(run, tmp_path):
    args = ("--role", "bus", "--select", "FWD-BUS", "--execs", "300", "--jobs", "1")
    first, second = run("corpus", "seed", "one", *args), run("corpus", "seed", "two", *args)
    assert first.status == 0 and first.out == second.out.replace("two", "one"), (first, second)
    files = {p.name: p.read_bytes() for p in (tmp_path / "one").rglob("*.txt")}
    assert files and files == {p.name: p.read_bytes() for p in (tmp_path / "two").rglob("*.txt")}
    assert all(b"with FWD-BUS" in text for text in files.values())
    assert run("corpus", "check", "one").status == 0


# --- replay and decode ---

REPRODUCER = entry(expect="expect pass\nexpect fail HDR-DEV-03 with HDR-DEV-03.zero\n")


def test_replay_an_entry(run, file):
    path = file("x.txt", REPRODUCER)
    done = run("replay", path)
    assert done.status == 0 and "passes" in done.out and "-> GET_DEVICE_INFO" in done.out, done
    done = run("replay", path, "--mutant", "HDR-DEV-03.zero")
    assert done.status == 1 and "FAIL HDR-DEV-03" in done.out and "action     0: life steps=2" in done.out, done
    done = run("replay", path, "--quiet", "--exec", f"exec {PLUMBLINE} serve device --mutant HDR-DEV-03.zero")
    assert done.status == 1 and len(done.out.splitlines()) == 1 and "FAILS" in done.out, done
    done = run("replay", path, "--exec", f"exec {PLUMBLINE} serve device")
    assert done.status == 0 and "passes" in done.out, done


def test_replay_says_what_cannot_be(run, file):
    path = file("x.txt", REPRODUCER)
    profile = file("bus.yaml", f"role: bus\nexec: exec {PLUMBLINE} serve bus\n")
    for args in ((path, profile), (path, "--mutant", "NOBODY"), (path, "--json", "-"), (path, "--exec", "true", "--mutant", "x"),
                 (file("y.txt", entry(actions="fly\n")),)):
        done = run("replay", *args)
        assert done.status == 2 and done.err.count("\n") == 1, done


def test_decode_an_entry_and_a_case(run, file):
    done = run("decode", file("x.txt", REPRODUCER))
    assert done.status == 0 and "origin: by hand; license: BSD-3-Clause" in done.out and "0  life steps=2" in done.out, done
    assert "mutant HDR-DEV-03.zero: " in done.out and "HDR-DEV-03  MUST" in done.out, done
    done = run("decode", file("y.txt", CASE.format(role="bus", actions="fence\n")))
    assert done.status == 0 and "0  fence" in done.out, done
