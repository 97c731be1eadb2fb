"""Runs the fuzz targets of a build: run.py --build DIR --seed N (--whole SECONDS | --each SECONDS) [TARGET...],
or run.py --dictionary-of TARGET

Each target first meets its regressions, then libFuzzer's mutations of its corpus, as many targets at a time as there are
processors. --whole is the time for all of them together, --each for every one. The last line is the sum; the exit status
is 0 without a finding, 1 with one, 2 where the command is wrong, 4 where a target did not run.
"""
import argparse
import concurrent.futures
import os
import re
import subprocess
import sys

# What each target's engine is told about its input.
DICTIONARIES = {"codec": "messages", "replay": "messages", "stream": "messages", "spsc": "messages", "control": "words",
                "scenario": "words", "corpus": "words", "profile": "words", "text": "words", "vhost_front": "vhost-user",
                "vhost_back": "vhost-user"}
LONGEST = {"codec": 4096, "ring": 4096, "replay": 32768, "pcapng": 32768, "stream": 4096, "spsc": 2048, "control": 2048,
           "vhost_front": 2048, "vhost_back": 4096, "text": 1024, "scenario": 16384, "corpus": 16384, "profile": 4096}
# Inputs that are cases are mutated as cases; to look for rare features among them takes longer than to run many more.
CASES = {"device", "driver", "bus"}
INPUT_SECONDS = 20    # an input that takes longer is a finding: a hang
MEMORY_MB = 2048
GRACE_SECONDS = 120   # for a target that does not end when its time is up


class Outcome:
    """What came of one target."""

    def __init__(self, target, executions=0, findings=(), failure=None):
        self.target, self.executions = target, executions
        self.findings, self.failure = list(findings), failure


def log_tail(text, lines=60):
    return "\n".join(text.splitlines()[-lines:])


def execute(words, seconds):
    """A program's exit status and what it wrote; None where it had to be ended."""
    try:
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, timeout=seconds)
    except subprocess.TimeoutExpired as late:
        return None, (late.stdout or b"").decode(errors="replace")
    return done.returncode, done.stdout.decode(errors="replace")


def files(folder):
    return sorted(os.path.join(folder, name) for name in os.listdir(folder)) if os.path.isdir(folder) else []


def keep_log(options, target, text):
    """All that the engine wrote, of which findings show the end."""
    os.makedirs(os.path.join(options.build, "logs"), exist_ok=True)
    with open(os.path.join(options.build, "logs", f"{target}.log"), "w", encoding="utf-8") as log:
        log.write(text)


def run_target(options, target, seconds):
    """Regressions one by one, so that each failing one is told; then the engine."""
    program = os.path.join(options.build, "targets", target)
    outcome = Outcome(target)
    if not os.path.exists(program):
        outcome.failure = f"{program} is not there"
        return outcome
    for path in files(os.path.join(options.build, "regressions", target)):
        code, text = execute([program, path], GRACE_SECONDS)
        outcome.executions += 1
        if code != 0:
            outcome.findings.append((path, log_tail(text)))
    findings = os.path.join(options.build, "findings", target)
    os.makedirs(findings, exist_ok=True)
    before = set(files(findings))
    words = [program, f"-seed={options.seed}", f"-max_total_time={seconds}", f"-timeout={INPUT_SECONDS}",
             f"-rss_limit_mb={MEMORY_MB}", f"-max_len={LONGEST.get(target, 4096)}", "-print_final_stats=1",
             f"-artifact_prefix={findings}/", "-verbosity=1"]
    if target in CASES:
        words += ["-len_control=0", "-entropic=0"]
    dictionary = os.path.join(options.build, "gen", f"{DICTIONARIES.get(target, 'none')}.dict")
    if os.path.exists(dictionary):
        words.append(f"-dict={dictionary}")
    corpora = [os.path.join(options.build, "found", target), os.path.join(options.build, "corpus", target)]
    for folder in corpora:
        os.makedirs(folder, exist_ok=True)
    code, text = execute(words + corpora, seconds + GRACE_SECONDS)
    keep_log(options, target, text)
    count = re.search(r"stat::number_of_executed_units:\s*(\d+)", text)
    outcome.executions += int(count[1]) if count else 0
    new = sorted(set(files(findings)) - before)
    if code != 0 and (new or code is None):
        outcome.findings += [(path, log_tail(text)) for path in new or [f"{target}: it did not end"]]
    elif code != 0 or not count or not int(count[1]):
        outcome.failure = f"exit status {code}\n{log_tail(text)}"
    return outcome


def tell(outcome, seed):
    for path, text in outcome.findings:
        print(f"{text}\nfuzz: {outcome.target}: FINDING {path} (seed {seed}); once more: "
              f"targets/{outcome.target} {path}", flush=True)
    if outcome.failure:
        print(f"fuzz: {outcome.target}: it did not run: {outcome.failure}", flush=True)
    elif not outcome.findings:
        print(f"fuzz: {outcome.target}: {outcome.executions} executions", flush=True)


def arguments(argv):
    parser = argparse.ArgumentParser(description="Run the fuzz targets of a build.")
    parser.add_argument("--build", default="build/fuzz", help="where make fuzz-own built (build/fuzz)")
    parser.add_argument("--name", default="fuzz", help="what the last line begins with")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    time = parser.add_mutually_exclusive_group(required=True)
    time.add_argument("--whole", type=int, help="seconds for all targets together")
    time.add_argument("--each", type=int, help="seconds for each target")
    time.add_argument("--dictionary-of", metavar="TARGET", help="print the name of a target's dictionary, and end")
    parser.add_argument("targets", nargs="*")
    options = parser.parse_args(argv)
    options.build = os.path.abspath(options.build)
    if options.dictionary_of is not None:
        return options
    if not 0 < options.seed < 1 << 32 or options.jobs < 1 or (options.each if options.whole is None else options.whole) < 1:
        parser.error("--seed is 1 to 4294967295; --jobs, --whole and --each are 1 or more")
    return options


def main(argv):
    options = arguments(argv)
    if options.dictionary_of is not None:
        print(f"{DICTIONARIES.get(options.dictionary_of, 'none')}.dict")
        return 0
    folder = os.path.join(options.build, "targets")
    targets = options.targets or (sorted(os.listdir(folder)) if os.path.isdir(folder) else [])
    if not targets:
        print(f"{folder}: there is no target; make fuzz-own makes them", file=sys.stderr)
        return 2
    seconds = options.each or max(1, options.whole * options.jobs // len(targets))
    print(f"{options.name}: {len(targets)} targets, {seconds} s each, {options.jobs} at a time, seed {options.seed}",
          flush=True)
    outcomes = []
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        runs = [pool.submit(run_target, options, target, seconds) for target in targets]
        for run in concurrent.futures.as_completed(runs):
            outcomes.append(run.result())
            tell(outcomes[-1], options.seed)
    findings = sum(len(outcome.findings) for outcome in outcomes)
    failed = [outcome.target for outcome in outcomes if outcome.failure]
    print(f"{options.name}: {len(outcomes)} targets, {sum(o.executions for o in outcomes)} executions, "
          f"{findings} findings" + (f"; did not run: {', '.join(failed)}" if failed else ""), flush=True)
    return 4 if failed else 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
