# SPDX-License-Identifier: BSD-3-Clause
"""How soon the mutants of the reference peers are found: by `plumbline fuzz`, linked in and over a socket, and by libFuzzer
and AFL++ on raw bytes (fuzz/raw.c) against the same peers and the same judge. Prints a table for docs/fuzzing.md.

A mutant is found when one of its own clauses is broken. Executions are counted until then, seconds are of the whole program, and
what is not found within the budget counts as the budget. Engines that mutate bytes have no scenarios: where one of them is
compared, mutants whose clauses only scenarios judge are left out."""
import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ENGINES = ("in-process", "socket", "libFuzzer", "AFL++")


def run(command, seconds, **more):
    """(exit status, output, seconds); a run that takes too long is ended."""
    began = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True,
                          **more) as process:
        try:
            out = process.communicate(timeout=seconds)[0]
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            out = process.communicate()[0]
    return process.returncode, out, time.monotonic() - began


def mutants(program, role):
    listed = subprocess.run([program, "serve", role, "--list-mutants"], check=True, capture_output=True, text=True).stdout
    return [tuple(line.split("\t")[:2]) for line in listed.splitlines()]


def by_scenario(program):
    """Clauses that only scenarios judge: engines that mutate messages know none."""
    listed = subprocess.run([program, "clauses", "--format", "json"], check=True, capture_output=True, text=True).stdout
    return {c["id"] for c in json.loads(listed) if c.get("by_scenario")}


class Bench:
    def __init__(self, options):
        self.o = options
        self.program = options.build / "plumbline"

    def campaign(self, role, mutant, clauses, seed, place, reach):
        command = [self.program, "fuzz", "--role", role, "--dir", place, "--seed", seed, "--only", clauses, "--stop-after", "1",
                   "--time", self.o.seconds, *reach]
        status, out, seconds = run(list(map(str, command)), self.o.seconds + 60)
        if status not in (0, 1, -9):  # -9: it had to be ended, and what it found counts
            sys.exit("%s: %s" % (mutant, out))
        found = list((place / "findings").glob("*/finding"))
        executions = re.search(r"^execution (\d+)$", found[0].read_text(encoding="utf-8"), re.M) if found else \
            re.search(r"(\d+) executions in", out)
        return bool(found), int(executions.group(1)) if executions else 0, seconds

    def in_process(self, role, mutant, clauses, seed, place):
        return self.campaign(role, mutant, clauses, seed, place, ["--mutant", mutant])

    def socket(self, role, mutant, clauses, seed, place):
        command = "exec '%s' serve %s --mutant %s" % (self.program, role, mutant)
        if role != "driver":
            return self.campaign(role, mutant, clauses, seed, place, ["--exec", command])
        profile = place.parent / "driver.yaml"  # in virtual time: a driver's life is mostly waiting
        profile.write_text(json.dumps({"role": "driver", "exec": command, "clock": "socket"}), encoding="utf-8")
        return self.campaign(role, mutant, clauses, seed, place, [profile])

    def environment(self, role, mutant, clauses):
        return {**os.environ, "PLUMBLINE_FUZZ_ROLE": role, "PLUMBLINE_FUZZ_MUTANT": mutant, "PLUMBLINE_FUZZ_ONLY": clauses}

    def libfuzzer(self, role, mutant, clauses, seed, place):
        place.mkdir()
        command = [self.o.build / "bench-libfuzzer" / "raw", "-seed=%d" % seed, "-max_total_time=%d" % self.o.seconds, "-max_len=4096",
                   "-print_final_stats=1", "-artifact_prefix=%s/" % place]
        status, out, seconds = run(list(map(str, command)), self.o.seconds + 60, env=self.environment(role, mutant, clauses))
        executions = re.search(r"stat::number_of_executed_units: (\d+)", out)
        return status != 0, int(executions.group(1)) if executions else 0, seconds

    def afl(self, role, mutant, clauses, seed, place):
        place.mkdir()
        (place / "in").mkdir()
        (place / "in" / "seed").write_bytes(b"\x08" + bytes(8))
        env = {**self.environment(role, mutant, clauses), "AFL_BENCH_UNTIL_CRASH": "1", "AFL_SKIP_CPUFREQ": "1", "AFL_NO_UI": "1",
               "AFL_NO_AFFINITY": "1", "AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES": "1", "AFL_SKIP_CRASHES": "1"}
        command = ["afl-fuzz", "-s", seed, "-V", self.o.seconds, "-i", place / "in", "-o", place / "out", "--",
                   self.o.build / "bench-afl" / "raw"]
        _, out, seconds = run(list(map(str, command)), self.o.seconds + 60, env=env)
        stats = place / "out" / "default" / "fuzzer_stats"
        if not stats.is_file():  # the one seed shows it
            return ("crash" in out.lower(), 1, seconds)
        told = dict(re.findall(r"^(\w+) *: *(.*)$", stats.read_text(encoding="utf-8"), re.M))
        found = int(told.get("saved_crashes", told.get("unique_crashes", "0"))) > 0
        return found, int(told["execs_done"]), seconds

    def once(self, job):
        engine, role, mutant, clauses, seed = job
        folder = pathlib.Path(tempfile.mkdtemp(prefix="plumbline-bench-"))
        way = {"in-process": self.in_process, "socket": self.socket, "libFuzzer": self.libfuzzer, "AFL++": self.afl}[engine]
        try:
            return job, way(role, mutant, clauses, seed, folder / "campaign")
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def table(results, options):
    """Lines of the table: for each role and engine how many were found, and medians."""
    yield "| role | engine | mutants found | median executions | median seconds | times the seconds of ours, in-process |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for role in options.roles:
        ours = None
        for engine in options.engines:
            runs = {job: r for job, r in results.items() if job[0] == engine and job[1] == role and r is not None}
            if not runs:
                continue
            found = {job[2] for job, r in runs.items() if r[0]}
            seconds = statistics.median(r[2] if r[0] else max(r[2], options.seconds) for r in runs.values())
            executions = statistics.median(r[1] for r in runs.values())
            ours = seconds if engine == "in-process" else ours
            yield "| %s | %s | %d of %d | %s%d | %s%.2f | %s |" % (
                role, engine, len(found), len({job[2] for job in runs}), "" if len(found) * 2 > len(runs) / len(options.seeds) else ">",
                executions, "" if seconds < options.seconds else ">", seconds, "%.1f" % (seconds / ours) if ours else "")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path("build"))
    parser.add_argument("--roles", nargs="+", default=["device", "driver", "bus"])
    parser.add_argument("--engines", nargs="+", default=list(ENGINES), choices=ENGINES)
    parser.add_argument("--every", type=int, default=1, help="every N-th mutant only")
    parser.add_argument("--only", default="", help="mutants whose names hold this text")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--seconds", type=int, default=20, help="the budget of a run")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--json", type=pathlib.Path, help="every run, too")
    options = parser.parse_args()
    options.build = options.build.absolute()
    bench = Bench(options)
    unjudged = by_scenario(bench.program)
    plain = {"libFuzzer", "AFL++"} & set(options.engines)
    left_out = {(role, m) for role in options.roles for m, clauses in mutants(bench.program, role)
                if plain and set(clauses.split(",")) <= unjudged}
    jobs = [(engine, role, mutant, clauses, seed) for role in options.roles for engine in options.engines
            for mutant, clauses in [m for m in mutants(bench.program, role) if options.only in m[0]][:: options.every] for seed in options.seeds]
    jobs = [job for job in jobs if job[1:3] not in left_out]
    results = {}
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for job, result in pool.map(bench.once, jobs):
            results[job] = result
            if sys.stderr.isatty():
                print("\r%d of %d\033[K" % (len(results), len(jobs)), end="", file=sys.stderr)
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)
    print("\n".join(table(results, options)))
    print("\nSeeds %s; at most %d s a run; one mutant in %d. Left out: %d that only scenarios judge." %
          (" ".join(map(str, options.seeds)), options.seconds, options.every, len(left_out)))
    missed = sorted({job[1:3] for job, r in results.items() if job[0] == "in-process" and r} -
                    {job[1:3] for job, r in results.items() if job[0] == "in-process" and r and r[0]})
    if missed:
        print("Not found in-process: %s." % ", ".join("%s %s" % m for m in missed))
    if options.json:
        options.json.write_text(json.dumps([[*job, *(r or [None])] for job, r in results.items()], indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
