# SPDX-License-Identifier: BSD-3-Clause
"""Campaigns against each faithful implementation below tests/peers, which know nothing of the harness: nothing may be found.
One line for each, the findings' folders are kept; the exit status is 1 where there are any."""
import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
PYTHON = "/usr/bin/python3"
# Programs that list their styles as JSON, and those that list a line for each, faults with the clauses behind their names.
PROGRAMS = {"device": ("device.py",), "driver": ("drv.py",), "bus": ("msgbus.py", "bus.py")}


def styles(program):
    listed = subprocess.run([PYTHON, HERE / "peers" / program, "--list-styles"], capture_output=True, text=True, check=False)
    if listed.returncode == 0:
        return [name for name, style in json.loads(listed.stdout).items() if not style.get("debatable")]
    listed = subprocess.run([PYTHON, HERE / "peers" / program, "--list"], capture_output=True, text=True, check=True)
    return [line for line in listed.stdout.splitlines() if line and " " not in line]


def campaign(options, role, program, style):
    """(exit status, last line) of one; 3 is added to what plumbline says itself by a run that had to be ended."""
    place = options.dir / ("%s-%s-%s" % (role, program[:-3], style))
    command = [options.plumbline, "fuzz", "--role", role, "--dir", place, "--focus", options.focus, "--seed", options.seed, "--time", options.seconds,
               "--exec", "exec %s -S -E '%s' --style %s" % (PYTHON, HERE / "peers" / program, style)]
    try:
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, timeout=10 * options.seconds + 600)
    except subprocess.TimeoutExpired:
        return 3, "did not end"
    return done.returncode, (done.stdout + done.stderr).strip().splitlines()[-1]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plumbline", type=pathlib.Path, default=HERE.parent / "build" / "plumbline")
    parser.add_argument("--dir", type=pathlib.Path, required=True, help="a folder for each campaign is made there")
    parser.add_argument("--roles", nargs="+", default=list(PROGRAMS), choices=list(PROGRAMS))
    parser.add_argument("--focus", default="all")
    parser.add_argument("--seconds", type=int, default=30, help="of each campaign")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2 * os.cpu_count(), help="at once: most of their time is waiting")
    options = parser.parse_args()
    options.dir.mkdir(parents=True, exist_ok=True)
    jobs = [(role, program, style) for role in options.roles for program in PROGRAMS[role] for style in styles(program)]
    failed, executions = 0, 0
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for job, (status, line) in zip(jobs, pool.map(lambda job: campaign(options, *job), jobs)):
            failed += status != 0
            executions += int((re.search(r"(\d+) executions in", line) or [0, 0])[1])
            print("%s %s %s %s: %s" % ("ok    " if status == 0 else "FAILED", *job, line), flush=True)
    print("soak-peers: %d implementations, %d executions, %d with findings" % (len(jobs), executions, failed))
    sys.exit(failed != 0)


if __name__ == "__main__":
    main()
