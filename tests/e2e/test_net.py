# SPDX-License-Identifier: BSD-3-Clause
"""Network devices by scenarios of a user's own: frames put together from repeated pieces, and checksums of what comes back."""
import json
import shlex

from conftest import PLUMBLINE

LOOP = """
section: Mine
scenarios:
  - name: sums
    clauses: NET-DEV-31
    rings: true
    given: net_begin_plain
    when: max_msg_size == 264 and outstanding == 1
    with: {{times: [0, 1, 3]}}
    steps:
      - call: net_post
      - chain: {{queue: q, out: [12, [{{hex: ffffffffffff02005e10000188b5}}, {{hex: "0102f0", count: times}}, {{fill: 0, count: 50}}]]}}
      - kick: {{queue: q}}
      - await_used: {{queue: q, count: 1}}
      - idle: {{queue: 0}}
      - let: {{length: io.written, big: "io.sum(24, 2)", sum: "io.sum(26, 50)", odd: "io.sum(26, 3)"}}
      - expect: length == 12 + 14 + 3 * times + 50
        clause: NET-DEV-31
      - expect: big == 0x88b5
        clause: NET-DEV-31
      - expect: sum == {sum}
        clause: NET-DEV-31
      - expect: odd == if(times, 0xf102, 0)
        clause: NET-DEV-31
"""
# Three times 01 02 f0, two bytes at a time: 0102 f001 02f0 0102 f0 padded; with carry.
SUM = "if(times == 0, 0, if(times == 1, 0xf102, 0x0102 + 0xf001 + 0x02f0 + 0x0102 + 0xf000 - 0xffff))"


def report(run, file, tmp_path, text, status):
    run("test", "--exec", shlex.join([str(PLUMBLINE), "serve", "device", "--type", "net"]), "--select", "sums",
        "--scenarios", file("mine.yaml", text), "--json", tmp_path / "r.json")
    with open(tmp_path / "r.json", encoding="utf-8") as handle:
        found = json.load(handle)
    mine = [s for s in found["scenarios"] if s["name"] == "sums"]
    assert mine and {s["verdict"] for s in mine} == {status}, mine
    return mine


def test_sums_and_repeated_pieces(run, file, tmp_path):
    assert len(report(run, file, tmp_path, LOOP.format(sum=SUM), "pass")) >= 2


def test_a_wrong_sum_is_seen(run, file, tmp_path):
    text = LOOP.format(sum=f"1 + {SUM}")
    done = run("test", "--exec", shlex.join([str(PLUMBLINE), "serve", "device", "--type", "net"]), "--select", "sums",
               "--scenarios", file("mine.yaml", text))
    assert "sum == 1 + " in done.out, done
