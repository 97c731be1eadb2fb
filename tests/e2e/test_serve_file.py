# SPDX-License-Identifier: BSD-3-Clause
"""`plumbline serve device --file`: a block device whose sectors are kept in a file."""
import random

import pytest

from conftest import PLUMBLINE

SECTORS = 2048
CONTENTS = """
section: "Device Types/Block Device/Device Operation/wire"
scenarios:
  - name: the-file-is-the-disk
    clauses: BLK-DEV-59
    rings: true
    given: blk_ready
    with: {place: [0, 1, 2047]}
    steps:
      - let: {sectors: blk_sectors, blk_sector: place}
      - call: blk_read
      - let: {first: io.byte(0), last: io.byte(511)}
      - expect: sectors == 2048 and blk_status == 0 and first == PLACE and last == PLACE
        clause: BLK-DEV-59
  - name: what-is-written-is-in-the-file
    clauses: BLK-DEV-59
    rings: true
    given: blk_ready
    steps:
      - chain: {queue: q, out: [[{u32: 1}, {u32: 0}, {u64: 77}], [{fill: 0xa7, count: 512}]], in: [1]}
      - kick: {queue: q}
      - await_used: {queue: q}
      - let: {wrote: io.byte(0)}
      - expect: wrote == 0
        clause: BLK-DEV-59
"""


@pytest.fixture
def disk(tmp_path):
    """A file in which each sector holds its number's low byte."""
    path = tmp_path / "disk"
    path.write_bytes(b"".join(bytes([i & 0xff]) * 512 for i in range(SECTORS)))
    return path


def serve(path, *options):
    return f"exec {PLUMBLINE} serve device --file {path} {' '.join(options)}"


def test_the_file_is_read_and_written(run, disk, tmp_path):
    mine = tmp_path / "mine.yaml"
    mine.write_text(CONTENTS.replace("PLACE", "(place & 255)"))
    done = run("test", "--exec", serve(disk), "--scenarios", mine, "--select", "the-file-*,what-is-written-*")
    assert done.status == 0, done
    kept = disk.read_bytes()
    assert len(kept) == SECTORS * 512
    assert kept[77 * 512:78 * 512] == b"\xa7" * 512
    assert all(kept[i * 512:(i + 1) * 512] == bytes([i & 0xff]) * 512 for i in range(SECTORS) if i != 77)
    # The scenario can fail: another content is no such disk.
    disk.write_bytes(bytes(SECTORS * 512))
    done = run("test", "--exec", serve(disk), "--scenarios", mine, "--select", "the-file-*")
    assert done.status == 1 and "BLK-DEV-59" in done.out, done


def test_scenarios_put_back_what_was_there(run, disk):
    before = random.Random(3).randbytes(SECTORS * 512)
    disk.write_bytes(before)
    done = run("test", "--exec", serve(disk), "--select", "BLK-DEV-59")
    assert done.status == 0, done
    assert disk.read_bytes() == before


@pytest.mark.parametrize("options, why", [(["--type", "net"], "block"), ([], "No such file")])
def test_a_file_that_cannot_be(run, disk, options, why):
    path = disk if options else disk.with_name("missing")
    done = run("serve", "device", "--file", path, *options)
    assert done.status == 2 and why in done.err and str(path) in done.err, done
    assert len(done.err.splitlines()) == 1, done


def test_a_directory_is_no_file(run, tmp_path):
    done = run("serve", "device", "--file", tmp_path)
    assert done.status == 2 and len(done.err.splitlines()) == 1, done
