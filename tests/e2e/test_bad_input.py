# SPDX-License-Identifier: BSD-3-Clause
"""Input that is not what it should be: always one sentence that names what, where and why, and the right exit status."""
import os
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile

import pytest

from conftest import ROOT

USAGE, UNREACHABLE = 2, 3
HUGE = "# " + "x" * 62 + "\n"
HUGE *= (5 << 20) // len(HUGE)  # more than any input file may hold
BOMB = "a: &a [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
    f"{k}: &{k} [*{p},*{p},*{p},*{p},*{p},*{p},*{p},*{p},*{p},*{p}]\n" for p, k in zip("abcdefgh", "bcdefghi"))
DEEP = "[" * 5000 + "]" * 5000


def one_error(done, status, *parts):
    """The run ended with this status and exactly one sentence, which holds all these parts."""
    lines = done.err.splitlines()
    assert done.status == status, done
    assert len(lines) == 1 and lines[0].startswith("plumbline: "), done
    assert len(lines[0]) < 600 and lines[0].isprintable(), done
    for part in parts:
        assert str(part) in lines[0], f"'{part}' is not named\n{done}"


# --- the command line ---

@pytest.mark.parametrize("args, parts", [
    (["nonsense"], ["nonsense"]),
    (["--nonsense"], ["--nonsense"]),
    (["test", "--nonsense"], ["--nonsense"]),
    (["test", "-x"], ["-x"]),
    (["test", "--json"], ["--json", "value"]),
    (["test", "--exec"], ["--exec", "value"]),
    (["test", "--exec="], ["--exec", "value"]),
    (["test", "--exec", "  "], ["empty"]),
    (["test", "--verbose=1"], ["--verbose", "value"]),
    (["test", "--seed", "1", "--seed", "2"], ["--seed", "twice"]),
    (["test", "--seed", "x"], ["--seed", "'x'"]),
    (["test", "--seed", "-1"], ["--seed", "'-1'"]),
    (["test", "--seed", "1.5"], ["--seed", "'1.5'"]),
    (["test", "--seed", "18446744073709551616"], ["--seed", "18446744073709551616"]),
    (["test", "--spec", "virtio-msg-r9"], ["--spec", "virtio-msg-r9", "virtio-msg-r1"]),
    (["test", "--spec", "virtio-msg-2025-06"], ["virtio-msg-2025-06", "clauses"]),
    (["test", "--role", "toaster"], ["toaster", "device"]),
    (["test", "--role", "driver", "--jobs", "0"], ["--jobs", "1 to"]),
    (["test", "--select", "99.99"], ["--select", "99.99"]),
    (["test", "--select", "NO-SUCH-99"], ["--select", "NO-SUCH-99"]),
    (["test", "--max-msg-size", "51"], ["51", "52"]),
    (["test", "--max-msg-size", "65536"], ["65536", "65535"]),
    (["test", "--transport-features", "0x100000000"], ["0x100000000"]),
    (["test", "--exec", "true", "--connect", "unix:/x"], ["--exec", "--connect"]),
    (["test", "--connect", "unix:/x", "--listen", "unix:/y"], ["--connect", "--listen"]),
    (["test", "no-such-profile.yaml"], ["no-such-profile.yaml", "No such file"]),
    (["test", "/"], ["/", "directory"]),
    (["test", "a.yaml", "b.yaml"], ["b.yaml"]),
    (["test", "--scenarios", "no-such-file.yaml"], ["no-such-file.yaml", "No such file"]),
    (["test", "--json", "no-such-folder/x.json"], ["no-such-folder/x.json", "No such file"]),
    (["test", "--junit", "no-such-folder/x.xml"], ["no-such-folder/x.xml", "No such file"]),
    (["test", "--pcapng", "no-such-folder/x.pcapng"], ["no-such-folder/x.pcapng", "No such file"]),
    (["test", "--json", "/"], ["/", "directory"]),
    (["clauses", "--nonsense"], ["--nonsense"]),
    (["clauses", "word"], ["word"]),
    (["clauses", "--role", "toaster"], ["--role", "toaster"]),
    (["clauses", "--level", "PERHAPS"], ["--level", "PERHAPS"]),
    (["clauses", "--format", "yaml"], ["--format", "yaml"]),
    (["clauses", "--spec", "x"], ["--spec", "'x'", "virtio-msg-r1"]),
    (["decode"], ["decode"]),
    (["decode", "--nonsense"], ["--nonsense"]),
    (["decode", "no-such-file"], ["no-such-file"]),
    (["decode", "012"], ["012"]),
    (["decode", "--spec", "x", "00"], ["--spec", "'x'"]),
    (["decode", "/"], ["/"]),
    (["replay"], ["replay"]),
    (["replay", "--nonsense"], ["--nonsense"]),
    (["replay", "no-such-file"], ["no-such-file", "No such file"]),
    (["replay", "/"], ["/"]),
    (["serve"], ["serve"]),
    (["serve", "toaster"], ["toaster"]),
    (["serve", "device", "--nonsense"], ["--nonsense"]),
    (["serve", "device", "--type", "toaster"], ["toaster"]),
    (["serve", "device", "--mutant", "NO-SUCH-99"], ["NO-SUCH-99"]),
    (["serve", "device", "--clock", "sundial"], ["--clock", "sundial"]),
    (["serve", "device"], ["PLUMBLINE_FD"]),
    (["serve", "device", "--connect", "x"], ["'x'"]),
    (["selftest", "--nonsense"], ["--nonsense"]),
    (["selftest", "--json", "no-such-folder/x.json"], ["no-such-folder/x.json", "No such file"]),
    (["bench", "--nonsense"], ["--nonsense"]),
], ids=lambda value: " ".join(value) if isinstance(value, list) and value else None)
def test_command_line(run, args, parts):
    one_error(run(*args), USAGE, *parts)


def test_no_command(run):
    done = run()
    assert done.status == USAGE and done.err.startswith("usage: plumbline"), done
    assert not done.out, done


@pytest.mark.parametrize("address", [
    "", "nonsense", "unix:", "unix-stream:", "tcp:", "tcp:localhost", "tcp:localhost:", "tcp:localhost:x",
    "tcp:localhost:65536", "tcp::1", "fd:", "fd:x", "fd:-1", "unix:" + "x" * 200, "vhost-user:", "http://localhost"])
def test_address_that_is_none(run, address):
    one_error(run("test", f"--connect={address}"), USAGE, address[:40] or "--connect")


# --- nobody there ---

@pytest.mark.parametrize("kind", ["unix", "unix-stream", "vhost-user"])
def test_nobody_behind_a_path(run, kind):
    one_error(run("test", "--connect", f"{kind}:/tmp/plumbline-nobody"), UNREACHABLE, "/tmp/plumbline-nobody")


@pytest.mark.parametrize("kind", ["unix", "unix-stream", "vhost-user"])
def test_a_file_that_is_no_socket(run, kind):
    with tempfile.NamedTemporaryFile() as plain:
        one_error(run("test", "--connect", f"{kind}:{plain.name}"), UNREACHABLE, plain.name)


def test_nobody_behind_a_port(run):
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        port = holder.getsockname()[1]  # bound, and nobody listens
        one_error(run("test", "--connect", f"tcp:127.0.0.1:{port}"), UNREACHABLE, f"127.0.0.1:{port}", "refused")


def test_a_host_that_is_none(run):
    one_error(run("test", "--connect", "tcp:no-such-host.invalid:1"), UNREACHABLE, "no-such-host.invalid")


def test_descriptor_that_is_none(run):
    done = run("test", "--connect", "fd:99")
    one_error(done, UNREACHABLE if done.status == UNREACHABLE else USAGE, "fd:99")


@pytest.mark.parametrize("kind", ["unix", "unix-stream"])
def test_nobody_comes(run, kind):
    with tempfile.TemporaryDirectory() as folder:
        one_error(run("test", "--listen", f"{kind}:{folder}/s"), UNREACHABLE, f"{folder}/s")
        assert not os.listdir(folder), "the socket's file is left behind"


def test_listening_where_one_may_not(run):
    done = run("test", "--listen", "unix:/no-such-folder/s")
    one_error(done, UNREACHABLE if done.status == UNREACHABLE else USAGE, "/no-such-folder/s")


@pytest.mark.parametrize("command, parts", [
    ("/no/such/program", ["/no/such/program", "127"]), ("exit 5", ["exit 5", "5"]), ("kill -SEGV $$", ["SEGV"])])
def test_a_command_that_ends_at_once(run, command, parts):
    """Nothing ever answered: there is no IUT, whatever else it may be."""
    done = run("test", "--exec", command)
    assert done.status in (1, UNREACHABLE), done
    if done.status == UNREACHABLE:
        one_error(done, UNREACHABLE)
    for part in parts:
        assert part in done.out + done.err, done


# --- output that cannot be written ---

@pytest.mark.parametrize("option", ["--json", "--junit", "--pcapng"])
def test_full_disk(run, option):
    done = run("test", "--select", "INFO-DEV-01", option, "/dev/full")
    assert done.status == USAGE, done
    assert len(done.err.splitlines()) == 1, done
    assert "/dev/full" in done.err and "No space left" in done.err, done


@pytest.mark.parametrize("args", [["clauses"], ["clauses", "--format", "json"], ["clauses", "--format", "md"],
                                  ["test", "--select", "INFO-DEV-01"], ["serve", "device", "--list-mutants"],
                                  ["decode", "0002000000000800"]], ids=" ".join)
def test_full_standard_output(program, args):
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run([program, *args], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert done.returncode == USAGE, done
    assert "No space left" in done.stderr and len(done.stderr.splitlines()) == 1, done


def test_reports_of_an_unreachable_iut(run, tmp_path):
    """No report is better than an empty one."""
    run("test", "--connect", "unix:/tmp/plumbline-nobody", "--json", "report.json")
    assert not (tmp_path / "report.json").exists() or (tmp_path / "report.json").read_text()


# --- profiles: what is wrong, its line and its key ---

PROFILES = {
    "empty": ("", None, ["empty"]),
    "only-comments": ("# nothing\n", None, ["empty"]),
    "null": ("~\n", 1, []),
    "huge": (HUGE, None, ["larger"]),
    "bomb": (BOMB, None, []),
    "deep": ("name: " + DEEP, 1, []),
    "not-yaml": ("name: x\nrole: [device\n", None, ["YAML"]),
    "nul": (b"name: a\0b\n", None, []),
    "not-utf-8": (b"role: device\nname: \xff\xfe\n", 2, ["UTF-8"]),
    "utf-16": ("name: x\n".encode("utf-16"), None, []),
    "random-bytes": (bytes(range(128, 256)) * 16, None, []),
    "two-documents": ("name: a\n---\nname: b\n", None, []),
    "list": ("- name: a\n", 1, ["mapping"]),
    "scalar": ("device\n", 1, ["mapping"]),
    "tag": ("name: !!python/object:os.system x\n", 1, []),
    "unknown-key": ("role: device\nexecute: x\n", 2, ["'execute'", "unknown"]),
    "key-twice": ("role: device\nname: a\nrole: bus\n", 3, ["'role'"]),
    "cyclic-alias": ("name: &a [*a]\n", 1, ["a"]),
    "unknown-alias": ("name: *a\n", 1, ["a"]),
    "name-list": ("name: [a]\n", 1, ["'name'"]),
    "name-null": ("name:\n", 1, ["'name'"]),
    "role-unknown": ("name: x\nrole: toaster\n", 2, ["'role'", "toaster"]),
    "role-number": ("role: 5\n", 1, ["'role'"]),
    "spec-unknown": ("spec: virtio-msg-r9\n", 1, ["'spec'", "virtio-msg-r9", "virtio-msg-r1"]),
    "exec-empty": ("exec: ''\n", 1, ["'exec'"]),
    "exec-and-connect": ("exec: x\nconnect: unix:/x\n", None, ["exec", "connect"]),
    "connect-and-listen": ("connect: unix:/x\nlisten: unix:/y\n", None, ["connect", "listen"]),
    "connect-nonsense": ("connect: nonsense\n", 1, ["'connect'", "nonsense"]),
    "listen-fd": ("listen: fd:3\n", 1, ["'listen'"]),
    "bus-number": ("bus: 7\n", 1, ["'bus'"]),
    "bus-unknown-key": ("bus:\n  size: 64\n", 2, ["'size'"]),
    "bus-size-text": ("bus: {max_msg_size: large}\n", 1, ["'max_msg_size'", "large"]),
    "bus-size-small": ("bus: {max_msg_size: 51}\n", 1, ["'max_msg_size'", "52"]),
    "bus-size-large": ("bus: {max_msg_size: 65536}\n", 1, ["'max_msg_size'", "65535"]),
    "bus-size-fraction": ("bus: {max_msg_size: 64.5}\n", 1, ["'max_msg_size'"]),
    "bus-feature-unknown": ("bus: {features: [LAZY]}\n", 1, ["LAZY", "STRICT_CONFIG_GENERATION"]),
    "bus-features-word": ("bus: {features: STRICT_CONFIG_GENERATION}\n", 1, ["'features'"]),
    "devices-mapping": ("devices: {number: 0}\n", 1, ["'devices'"]),
    "devices-empty": ("devices: []\n", 1, ["'devices'"]),
    "device-number-missing": ("devices:\n  - {type: blk}\n", 2, ["number"]),
    "device-number-large": ("devices:\n  - {number: 65536}\n", 2, ["'number'", "65535"]),
    "device-number-negative": ("devices:\n  - {number: -1}\n", 2, ["'number'"]),
    "device-unknown-key": ("devices:\n  - {number: 0, kind: blk}\n", 2, ["'kind'"]),
    "device-twice": ("devices:\n  - {number: 0}\n  - {number: 0}\n", 3, ["twice"]),
    "memory-text": ("memory: lots\n", 1, ["'memory'", "lots"]),
    "memory-negative": ("memory: -1\n", 1, ["'memory'"]),
    "memory-endless": ("memory: 18446744073709551616\n", 1, ["'memory'"]),
    "memory-overflow": ("memory: 17179869184GiB\n", 1, ["'memory'"]),
    "control-unknown": ("control: telepathy\n", 1, ["'control'", "telepathy"]),
    "control-list": ("control: [socket]\n", 1, ["'control'"]),
    "control-unknown-request": ("control: {explode: 'true'}\n", 1, ["explode"]),
    "control-socket-and-connect": ("connect: unix:/x\ncontrol: socket\n", 2, ["'control'"]),
    "timeouts-unknown-key": ("timeouts: {patience: 1s}\n", 1, ["'patience'"]),
    "timeouts-text": ("timeouts: {response: soon}\n", 1, ["'response'", "soon"]),
    "timeouts-zero": ("timeouts: {fence: 0ms}\n", 1, ["'fence'"]),
    "timeouts-list": ("timeouts: [1s]\n", 1, ["'timeouts'"]),
    "declares-unknown-clause": ("declares:\n  NO-SUCH-99: yes\n", 2, ["NO-SUCH-99"]),
    "declares-list": ("declares: [RTN-BUS-01]\n", 1, ["'declares'"]),
}


@pytest.mark.parametrize("name", PROFILES)
def test_profile(run, file, name):
    content, line, parts = PROFILES[name]
    path = file("profile.yaml", content)
    where = f"profile.yaml:{line}:" if line else "profile.yaml:"
    one_error(run("test", path), USAGE, where, *parts)


def test_profile_that_cannot_be_read(run, tmp_path):
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    one_error(run("test", "loop.yaml"), USAGE, "loop.yaml", "symbolic links")


def test_endless_profile(run):
    one_error(run("test", "/dev/zero"), USAGE, "/dev/zero", "larger")


# --- scenarios ---

def scenario(steps="[GET_DEVICE_INFO]", **keys):
    """A scenario file with one scenario, whose steps are in line 7 and whose other keys follow from line 8 on."""
    more = "".join(f"    {key}: {value}\n" for key, value in keys.items() if key not in ("name", "clauses"))
    return (f"# One scenario.\nsection: \"X\"\nscenarios:\n  -\n    name: {keys.get('name', 'mine')}\n"
            f"    clauses: {keys.get('clauses', '[INFO-DEV-01]')}\n    steps: {steps}\n{more}")


SCENARIOS = {
    "empty": ("", None, ["empty"]),
    "huge": (HUGE, None, ["larger"]),
    "bomb": (BOMB, None, []),
    "deep": ("scenarios: " + DEEP, 1, []),
    "not-yaml": ("scenarios: [\n", None, ["YAML"]),
    "not-utf-8": (b"section: \xff\n", 1, ["UTF-8"]),
    "list": ("- a\n", 1, ["mapping"]),
    "no-scenarios": ("section: x\n", 1, ["scenarios"]),
    "scenarios-mapping": ("scenarios: {a: 1}\n", 1, ["'scenarios'"]),
    "scenario-number": ("scenarios: [7]\n", 1, ["mapping"]),
    "unknown-key": ("section: x\nchapters: []\nscenarios: []\n", 2, ["'chapters'"]),
    "cyclic-alias": ("scenarios: &a [*a]\n", 1, ["a"]),
    "unknown-scenario-key": (scenario(wait="1s"), 8, ["'wait'"]),
    "name-missing": ("scenarios:\n  - {clauses: [INFO-DEV-01], steps: [fence]}\n", 2, ["'name'"]),
    "name-twice": ("scenarios:\n  - &s {name: a, clauses: [INFO-DEV-01], steps: [fence]}\n  - *s\n", 2, ["'a'"]),
    "clauses-missing": ("scenarios:\n  - {name: a, steps: [fence]}\n", 2, ["'clauses'"]),
    "steps-missing": ("scenarios:\n  - {name: a, clauses: [INFO-DEV-01]}\n", 2, ["'steps'"]),
    "unknown-clause": (scenario(clauses="[NO-SUCH-99]"), 6, ["NO-SUCH-99"]),
    "clauses-mapping": (scenario(clauses="{a: 1}"), 6, ["'clauses'"]),
    "steps-word": (scenario("fence"), 7, ["'steps'"]),
    "unknown-step": (scenario("[dance]"), 7, ["dance"]),
    "unknown-message": (scenario("[{GET_TOAST: {}}]"), 7, ["GET_TOAST"]),
    "step-list": (scenario("[[fence]]"), 7, []),
    "step-empty": (scenario("[{}]"), 7, []),
    "two-messages": (scenario("[{GET_DEVICE_INFO: {}, GET_CONFIG: {}}]"), 7, []),
    "unknown-field": (scenario("[{GET_CONFIG: {offset: 0, size: 4}}]"), 7, ["'size'", "GET_CONFIG"]),
    "fields-list": (scenario("[{GET_CONFIG: [0, 4]}]"), 7, ["mapping"]),
    "field-list": (scenario("[{GET_CONFIG: {offset: [0]}}]"), 7, ["'offset'"]),
    "expression": (scenario("[{GET_CONFIG: {offset: '1 +', length: 4}}]"), 7, ["'offset'"]),
    "expression-name": (scenario("[{GET_CONFIG: {offset: nonsense, length: 4}}]"), 7, ["nonsense"]),
    "expression-function": (scenario("[{GET_CONFIG: {offset: 'sin(1)', length: 4}}]"), 7, ["sin"]),
    "expression-deep": (scenario("[{require: '" + "(" * 20000 + "1" + ")" * 20000 + "'}]"), 7, []),
    "expression-long": (scenario("[{require: '1" + "+1" * 100000 + "'}]"), None, []),
    "raw-text": (scenario("[{raw: hello}]"), 7, ["hello"]),
    "raw-odd": (scenario("[{raw: '012'}]"), 7, ["012"]),
    "raw-long": (scenario("[{raw: '" + "00" * 70000 + "'}]"), 7, []),
    "data-mapping": (scenario("[{SET_CONFIG: {generation: 0, offset: 0, length: 4, data: {pattern: 1}}}]"), 7, ["pattern"]),
    "data-hex-long": (scenario("[{SET_CONFIG: {generation: 0, offset: 0, length: 4, data: '" + "00" * 70000 + "'}}]"), 7,
                      []),
    "expect-without-clause": (scenario("[GET_DEVICE_INFO, {expect: '1'}]"), 7, ["clause"]),
    "expect-unknown-clause": (scenario("[GET_DEVICE_INFO, {expect: '1', clause: NO-SUCH-99}]"), 7, ["NO-SUCH-99"]),
    "if-without-then": (scenario("[{if: '1', else: [fence]}]"), 7, ["'then'"]),
    "repeat-without-steps": (scenario("[{repeat: 3}]"), 7, ["'steps'"]),
    "let-list": (scenario("[{let: [a]}]"), 7, ["'let'"]),
    "unknown-procedure": (scenario("[{call: nobody}]"), 7, ["nobody"]),
    "given-unknown": (scenario(given="[nobody]"), 8, ["nobody"]),
    "with-list": (scenario(**{"with": "[1, 2]"}), 8, ["'with'"]),
    "with-number": (scenario(**{"with": "{n: 1}"}), 8, ["'n'"]),
    "with-empty": (scenario(**{"with": "{n: []}"}), 8, ["'n'"]),
    "with-endless": (scenario(**{"with": "{" + ", ".join(f"p{i}: [{', '.join(map(str, range(100)))}]"
                                                           for i in range(12)) + "}"}), 8, []),
    "when-expression": (scenario(when="'1 + + +'"), 8, ["'when'"]),
    "procedure-calls-itself": ("procedures:\n  a: [{call: a}]\n" + scenario(), 2, ["a"]),
    "procedures-in-a-circle": ("procedures:\n  a: [{call: b}]\n  b: [{call: c}]\n  c: [{call: a}]\n" + scenario(),
                               None, ["itself"]),
    "procedure-twice": ("procedures:\n  reset: [fence]\n" + scenario(), 2, ["'reset'"]),
    "procedure-in-a-branch": ("procedures:\n  a: [{repeat: 2, steps: [{if: '1', then: [{call: a}]}]}]\n" + scenario(),
                              2, ["a"]),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenarios(run, file, name):
    content, line, parts = SCENARIOS[name]
    file("mine.yaml", content)
    where = f"mine.yaml:{line}:" if line else "mine.yaml:"
    one_error(run("test", "--select", "mine", "--scenarios", "mine.yaml"), USAGE, where, *parts)


def test_scenario_folder_without_scenarios(run, tmp_path):
    (tmp_path / "none").mkdir()
    one_error(run("test", "--scenarios", "none"), USAGE, "none")


def test_two_files_with_one_name(run, tmp_path, file):
    (tmp_path / "many").mkdir()
    file("many/a.yaml", scenario())
    file("many/b.yaml", scenario())
    one_error(run("test", "--scenarios", "many"), USAGE, "many/b.yaml:5:", "'mine'", "many/a.yaml")


def test_the_first_of_two_errors_is_named(run, file):
    file("a.yaml", "chapters: []\n")
    file("b.yaml", "verses: []\n")
    one_error(run("test", "--scenarios", "a.yaml", "--scenarios", "b.yaml"), USAGE, "a.yaml:1:", "chapters")


# --- traces ---

TRACES = {"empty": b"", "text": b"hello, world\n", "random": bytes(range(256)) * 8, "zero": bytes(4096),
          "cut": bytes.fromhex("0a0d0d0a1c0000004d3c2b1a01000000"),
          "endless-block": bytes.fromhex("0a0d0d0a1c0000004d3c2b1a01000000ffffffffffffffff1c00000006000000fcffffff")}


@pytest.mark.parametrize("command", ["decode", "replay"])
@pytest.mark.parametrize("name", TRACES)
def test_trace(run, file, command, name):
    file("trace.pcapng", TRACES[name])
    one_error(run(command, "trace.pcapng"), USAGE, "trace.pcapng")


@pytest.mark.parametrize("value", ["", "max_msg_size=51", "nonsense", "revision=1 max_msg_size=264 features=x",
                                   "revision=1 max_msg_size=264 features=0x0 color=red", "revision=1"])
def test_bus_parameters_from_the_environment(program, value):
    """A reference peer says what is wrong with PLUMBLINE_BUS."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        done = subprocess.run([program, "serve", "device"], pass_fds=[theirs.fileno()], capture_output=True, text=True,
                              env={**os.environ, "PLUMBLINE_FD": str(theirs.fileno()), "PLUMBLINE_BUS": value},
                              timeout=60, check=False)
    assert done.returncode == USAGE and "PLUMBLINE_BUS" in done.stderr and len(done.stderr.splitlines()) == 1, done


# --- models: the generator names file, line and key ---

GENERATE = ["/usr/bin/python3", str(ROOT / "models" / "generate.py")]
R1 = "virtio-msg-r1"
CATALOGUE = "../virtio-core/catalogue.yaml"
CLAUSE = "- {id: ZZ-DEV-01, level: MUST, role: device, how: passive, sec: X, text: Y, %s}\n"


def replace(old, new):
    def change(text):
        assert old in text
        return text.replace(old, new, 1)
    return change


def append(more):
    return lambda text: text + more


def whole(content):
    return lambda text: content


def plan(name):
    return lambda text: re.sub(r"planned:\s*\[", f"planned: [{name}, ", text)


MODELS = {
    "empty": ("messages.yaml", whole(""), ["messages.yaml:1:", "empty"]),
    "huge": ("messages.yaml", whole(HUGE), ["messages.yaml:1:", "larger"]),
    "bomb": ("messages.yaml", whole(BOMB), ["messages.yaml:"]),
    "deep": ("messages.yaml", whole("spec: " + DEEP), ["messages.yaml:1:"]),
    "deeper": ("messages.yaml", whole("spec: " + "[" * 200000), ["messages.yaml:1:"]),
    "not-yaml": ("messages.yaml", append("messages: [\n"), ["messages.yaml:", "YAML"]),
    "not-utf-8": ("messages.yaml", whole(b"spec: \xff\n"), ["messages.yaml:1:"]),
    "list": ("messages.yaml", whole("- a\n"), ["messages.yaml:1:", "mapping"]),
    "cyclic-alias": ("messages.yaml", replace("limits:", "loop: &l [*l]\nlimits:"), ["messages.yaml:", "itself"]),
    "unknown-key": ("messages.yaml", append("colour: red\n"), ["messages.yaml:", "'colour'", "unknown"]),
    "key-missing": ("messages.yaml", replace("revision: 1\n", ""), ["messages.yaml:", "'revision'", "missing"]),
    "key-type": ("messages.yaml", replace("revision: 1\n", "revision: one\n"), ["messages.yaml:", "'revision'"]),
    "key-bool": ("messages.yaml", replace("revision: 1\n", "revision: true\n"), ["messages.yaml:", "'revision'"]),
    "header-size": ("messages.yaml", replace("  size: 8\n", "  size: 9\n"), ["messages.yaml:", "'size'"]),
    "limits-key": ("messages.yaml", replace("limits: {", "limits: {most: 1, "), ["messages.yaml:", "'most'"]),
    "field-type": ("messages.yaml", replace("{name: device_id, type: u32}", "{name: device_id, type: u33}"),
                   ["messages.yaml:", "'type'", "u33"]),
    "field-no-mapping": ("messages.yaml", replace("{name: device_id, type: u32}", "device_id"), ["messages.yaml:"]),
    "field-twice": ("messages.yaml", replace("{name: vendor_id, type: u32}", "{name: device_id, type: u32}"),
                    ["messages.yaml:", "'device_id'"]),
    "id-twice": ("messages.yaml", replace("id: 0x03", "id: 0x02"), ["messages.yaml:", "'id'"]),
    "id-large": ("messages.yaml", replace("id: 0x03", "id: 0x100"), ["messages.yaml:", "'id'", "255"]),
    "fence-unknown": ("messages.yaml", replace("fence: GET_DEVICE_STATUS", "fence: NOBODY"),
                      ["messages.yaml:", "'fence'", "NOBODY"]),
    "type-bits-word": ("messages.yaml", replace("{response: 0x01", "{response: one"), ["messages.yaml:", "'response'"]),
    "constant-word": ("messages.yaml", replace("SVQ_ENABLE: 1", "SVQ_ENABLE: one"), ["messages.yaml:", "'SVQ_ENABLE'"]),
    "clauses-mapping": ("clauses.yaml", whole("a: 1\n"), ["clauses.yaml:1:", "list"]),
    "clause-no-mapping": ("clauses.yaml", append("- 7\n"), ["clauses.yaml:"]),
    "clause-unknown-key": ("clauses.yaml", append(CLAUSE % "predicate: x, why: z"), ["clauses.yaml:", "'why'"]),
    "clause-twice": ("clauses.yaml", append(2 * (CLAUSE % "reason: z")), ["clauses.yaml:", "ZZ-DEV-01"]),
    "clause-level": ("clauses.yaml", append((CLAUSE % "reason: z").replace("MUST", "PERHAPS")),
                     ["clauses.yaml:", "'level'", "PERHAPS"]),
    "clause-no-judgement": ("clauses.yaml", append("- {id: ZZ-DEV-01, level: MUST, role: device, how: passive, "
                                                   "sec: X, text: Y}\n"), ["clauses.yaml:"]),
    "clause-when-alone": ("clauses.yaml", append(CLAUSE % "when: response(GET_CONFIG)"), ["clauses.yaml:", "require"]),
    "expression": ("clauses.yaml", append(CLAUSE % "when: 'response(GET_CONFIG)', require: '1 +'"), ["clauses.yaml:"]),
    "expression-name": ("clauses.yaml", append(CLAUSE % "when: response(GET_CONFIG), require: resp.nonsense == 1"),
                        ["clauses.yaml:", "nonsense"]),
    "expression-message": ("clauses.yaml", append(CLAUSE % "when: response(GET_TOAST), require: resp.offset == 1"),
                           ["clauses.yaml:", "GET_TOAST"]),
    "expression-code": ("clauses.yaml", append(CLAUSE % "when: response(GET_CONFIG), "
                                               "require: \"__import__('os').system('true')\""), ["clauses.yaml:"]),
    "predicate-unknown": ("clauses.yaml", append(CLAUSE % "predicate: 'no such name;'"), ["clauses.yaml:", "predicate"]),
    "binding-unknown-key": ("binding.yaml", append("extra: 1\n"), ["binding.yaml:", "'extra'"]),
    "device-empty": ("device.yaml", whole(""), ["device.yaml:1:", "empty"]),
    "device-list": ("device.yaml", whole("- a\n"), ["device.yaml:1:"]),
    "device-unknown-key": ("device.yaml", append("colour: red\n"), ["device.yaml:", "'colour'"]),
    "device-unknown-message": ("device.yaml", append("  - {name: zz, on: GET_TOAST, discard: true, clauses: []}\n"),
                               ["device.yaml:", "GET_TOAST"]),
    "device-unknown-clause": ("device.yaml", append("  - {name: zz, on: GET_CONFIG, reply: {}, clauses: [NO-SUCH-99]}\n"),
                              ["device.yaml:", "NO-SUCH-99"]),
    "device-guard": ("device.yaml", append("  - {name: zz, on: GET_CONFIG, guard: '1 +', discard: true, clauses: []}\n"),
                     ["device.yaml:", "guard"]),
    "device-guard-name": ("device.yaml", append("  - {name: zz, on: GET_CONFIG, guard: nonsense, discard: true, "
                                                "clauses: []}\n"), ["device.yaml:", "nonsense"]),
    "driver-empty": ("driver.yaml", whole(""), ["driver.yaml:1:", "empty"]),
    "driver-list": ("driver.yaml", whole("- a\n"), ["driver.yaml:1:"]),
    "driver-unknown-key": ("driver.yaml", append("colour: red\n"), ["driver.yaml:", "'colour'"]),
    "driver-unknown-message": ("driver.yaml", append("  - {name: zz, on: GET_TOAST, clauses: []}\n"), ["driver.yaml:", "GET_TOAST"]),
    "driver-unknown-clause": ("driver.yaml", append("  - {name: zz, on: STEP, clauses: [NO-SUCH-99]}\n"), ["driver.yaml:", "NO-SUCH-99"]),
    "driver-unknown-state": ("driver.yaml", append("  - {name: zz, on: STEP, state: LOST, clauses: []}\n"), ["driver.yaml:", "'state'", "LOST"]),
    "driver-unknown-next": ("driver.yaml", append("  - {name: zz, on: STEP, next: LOST, clauses: []}\n"), ["driver.yaml:", "'next'", "LOST"]),
    "driver-guard": ("driver.yaml", append("  - {name: zz, on: STEP, guard: '1 +', clauses: []}\n"), ["driver.yaml:", "'guard'"]),
    "driver-guard-name": ("driver.yaml", append("  - {name: zz, on: STEP, guard: resp.status, clauses: []}\n"),
                          ["driver.yaml:", "'guard'", "resp.status"]),
    "driver-effect": ("driver.yaml", append("  - {name: zz, on: STEP, effect: {colour: 1}, clauses: []}\n"), ["driver.yaml:", "colour"]),
    "driver-action": ("driver.yaml", append("  - {name: zz, on: STEP, do: [paint(1)], clauses: []}\n"), ["driver.yaml:", "'do'", "paint"]),
    "driver-send": ("driver.yaml", append("  - {name: zz, on: STEP, send: {message: GET_TOAST}, clauses: []}\n"), ["driver.yaml:", "'send'"]),
    "driver-send-field": ("driver.yaml", append("  - {name: zz, on: STEP, send: {message: GET_CONFIG, colour: 1}, clauses: []}\n"),
                          ["driver.yaml:", "'send'", "colour"]),
    "driver-type": ("driver.yaml", replace("  entropy: {features: []", "  toaster: {features: []"), ["driver.yaml:", "toaster"]),
    "driver-field": ("driver.yaml", replace("capacity, offset: 0,", "capacity, offset: 999,"), ["driver.yaml:", "'offset'"]),
    "driver-mutant-unknown-transition": ("driver_mutants.yaml", append("- {id: ZZ.a, clauses: [INIT-DRV-01], text: t, patch: "
                                                                       "{transition: nobody, guard: false}}\n"),
                                         ["driver_mutants.yaml:", "nobody"]),
    "driver-mutant-option": ("driver_mutants.yaml", append("- {id: ZZ.a, clauses: [INIT-DRV-01], text: t, options: {colour: 1}, "
                                                           "patch: []}\n"), ["driver_mutants.yaml:", "colour"]),
    "driver-mutant-hook": ("driver_mutants.yaml", append("- {id: ZZ.a, clauses: [INIT-DRV-01], text: t, patch: "
                                                         "{hook: paint, on: all}}\n"), ["driver_mutants.yaml:", "'hook'", "paint"]),
    "mutants-mapping": ("mutants.yaml", whole("a: 1\n"), ["mutants.yaml:"]),
    "mutants-empty": ("mutants.yaml", whole(""), ["mutants.yaml:1:", "empty"]),
    "mutant-unknown-key": ("mutants.yaml", append("- {id: ZZ.a, clauses: [INFO-DEV-01], text: t, patch: {hook: "
                                                  "msg_id, on: all, value: 1}, colour: red}\n"),
                           ["mutants.yaml:", "'colour'"]),
    "mutant-unknown-clause": ("mutants.yaml", append("- {id: ZZ.a, clauses: [NO-SUCH-99], text: t, patch: {hook: "
                                                     "msg_id, on: all, value: 1}}\n"), ["mutants.yaml:", "NO-SUCH-99"]),
    "mutant-unknown-transition": ("mutants.yaml", append("- {id: ZZ.a, clauses: [INFO-DEV-01], text: t, patch: "
                                                         "{transition: nobody, guard: false}}\n"),
                                  ["mutants.yaml:", "nobody"]),
    "core-empty": ("../virtio-core/core.yaml", whole(""), ["core.yaml:1:", "empty"]),
    "core-unknown-key": ("../virtio-core/core.yaml", append("colour: red\n"), ["core.yaml:", "'colour'"]),
    "include-unknown": ("messages.yaml", replace("include: [virtio-core]", "include: [nobody]"),
                        ["nobody/catalogue.yaml:1:", "cannot be read"]),
    "include-twice": ("messages.yaml", replace("include: [virtio-core]", "include: [virtio-core, virtio-core]"),
                      ["catalogue.yaml:", "'spec'", "already"]),
    "include-outside": ("messages.yaml", replace("include: [virtio-core]", "include: [../virtio-core]"),
                        ["messages.yaml:", "'include'", "no name"]),
    "catalogue-list": (CATALOGUE, whole("- a\n"), ["catalogue.yaml:1:", "mapping"]),
    "catalogue-unknown-key": (CATALOGUE, append("colour: red\n"), ["catalogue.yaml:", "'colour'"]),
    "catalogue-file": (CATALOGUE, replace("[status.yaml,", "[nobody.yaml,"), ["nobody.yaml:1:", "cannot be read"]),
    "catalogue-file-outside": (CATALOGUE, replace("[status.yaml,", "[/etc/passwd,"), ["catalogue.yaml:", "'files'"]),
    "catalogue-planned-unnamed": (CATALOGUE, plan("no_such_name"), ["catalogue.yaml:", "'planned'", "no_such_name"]),
    "included-predicate": ("../virtio-core/status.yaml", append(CLAUSE % "predicate: no_such_name"),
                           ["status.yaml:", "'predicate'", "no_such_name"]),
    "included-twice": ("../virtio-core/status.yaml", append((CLAUSE % "reason: z").replace("ZZ-DEV-01", "INFO-DEV-01")),
                       ["status.yaml:", "INFO-DEV-01", "clauses.yaml:"]),
    "included-type": ("../virtio-core/types/entropy.yaml", replace("type: entropy", "type: toaster"),
                      ["entropy.yaml:", "'type'", "toaster"]),
    "included-word": ("../virtio-core/status.yaml", whole("seven\n"), ["status.yaml:1:", "list"]),
    "judged-by": ("clauses.yaml", append(CLAUSE % "judged_by: nobody"), ["clauses.yaml:", "'judged_by'", "nobody"]),
    "facts-feature": ("../virtio-core/type_facts.yaml", replace("F_RO: 5,", "F_RO: 128,"), ["type_facts.yaml:", "'F_RO'", "127"]),
    "facts-field": ("../virtio-core/type_facts.yaml", replace("CAPACITY: [0, 8]", "CAPACITY: [0, 3]"),
                    ["type_facts.yaml:", "'CAPACITY'"]),
    "facts-output": ("../virtio-core/type_facts.yaml", replace("output: all", "output: some"), ["type_facts.yaml:", "'output'"]),
    "core-bit-word": ("../virtio-core/core.yaml", replace("status_bits:", "status_bits: 7\nold:"), ["core.yaml:"]),
}


@pytest.fixture
def models(tmp_path):
    shutil.copytree(ROOT / "models", tmp_path / "models", ignore=shutil.ignore_patterns("__pycache__", "*.py"))
    return tmp_path / "models"


def generate(models, out, *scenarios):
    return subprocess.run([*GENERATE, str(models), str(out), *scenarios], capture_output=True, text=True, timeout=60, check=False)


def model_error(done, out, parts):
    assert done.returncode == USAGE, (done.returncode, done.stderr)
    assert "Traceback" not in done.stderr, done.stderr
    lines = done.stderr.splitlines()
    named = [line for line in lines if all(part in line for part in parts)]
    assert named, f"no line holds all of {parts}:\n{done.stderr}"
    for line in lines:
        assert re.match(r"\S+:\d+: ", line), f"not FILE:LINE: ...: {line}"
    assert not out.exists() or not list(out.iterdir()), "files were written in spite of the error"


@pytest.mark.parametrize("name", MODELS)
def test_model(models, tmp_path, name):
    where, change, parts = MODELS[name]
    path = pathlib.Path(os.path.normpath(models / R1 / where))
    content = change(path.read_text(encoding="utf-8"))
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    model_error(generate(models, tmp_path / "out"), tmp_path / "out", parts)


def test_models_that_are_not_there(tmp_path):
    done = generate(tmp_path / "nowhere", tmp_path / "out")
    assert done.returncode == USAGE and "Traceback" not in done.stderr, done.stderr
    assert "nowhere" in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr


def test_models_without_a_draft(tmp_path, models):
    for draft in models.glob("virtio-msg-*"):
        shutil.rmtree(draft)
    model_error(generate(models, tmp_path / "out"), tmp_path / "out", [])


def test_models_as_they_are(tmp_path, models):
    done = generate(models, tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "pl_names.h").exists()


def test_planned(tmp_path, models):
    """What rests on a planned predicate alone is not judged; what rests on another one as well is."""
    core, out = models / "virtio-core", tmp_path / "out"
    for path, change in ((core / "catalogue.yaml", plan("to_come")), (core / "status.yaml", append(
            CLAUSE % "predicate: to_come" + (CLAUSE % "predicate: to_come status_read").replace("ZZ-DEV-01", "ZZ-DEV-02")))):
        path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")
    done = generate(models, out)
    assert done.returncode == 0, done.stderr
    listed = (out / "clauses.md").read_text(encoding="utf-8")
    assert re.search(r"^\| ZZ-DEV-01 .*\| planned: to_come \|", listed, re.M)
    assert re.search(r"^\| ZZ-DEV-02 .*\| judged \|", listed, re.M)
    assert "PL_P_to_come," in (out / "pl_predicates.h").read_text(encoding="utf-8")


def test_scenarios_that_expect(tmp_path, models):
    """A clause that scenarios judge is judged where an expectation of one names it; where none does, it is an error."""
    folder, out = tmp_path / "scenarios", tmp_path / "out"
    folder.mkdir()

    def listed():
        return (out / "clauses.md").read_text(encoding="utf-8")
    (folder / "a.yaml").write_text("# clause: ENT-DEV-01\nsteps: [{clause: ENT-DEV-01}, {expect: 1, clause: INFO-DEV-01}]\n")
    done = generate(models, out, str(folder))
    assert done.returncode == 2 and "clause ENT-DEV-01: no scenario expects it" in done.stderr, done
    (folder / "a.yaml").write_text("x: [{steps: [{repeat: 2, steps: [{expect: answered, clause: ENT-DEV-01}]}]}]\n")
    done = generate(models, out, str(folder))
    assert done.returncode == 2 and "ENT-DEV-01" not in done.stderr and "clause CON-DEV-02:" in done.stderr, done
    done = generate(models, out, str(ROOT / "scenarios"))
    assert done.returncode == 0, done
    assert re.search(r"^\| ENT-DEV-01 .*\| judged \|", listed(), re.M)
    (folder / "a.yaml").write_text("steps: [\n")
    shutil.rmtree(out)
    model_error(generate(models, out, str(folder)), out, ["a.yaml:", "YAML"])


VHOST_USER = ["/usr/bin/python3", str(ROOT / "models" / "gen" / "vhost_user.py")]


@pytest.mark.parametrize("content", ["", "a: [", "- 1\n", "a: &a [*a]\n", "colour: red\n", BOMB],
                         ids=["empty", "not-yaml", "list", "cyclic-alias", "unknown-key", "bomb"])
def test_vhost_user_model(file, tmp_path, content):
    path, out = file("vhost-user.yaml", content), tmp_path / "out.h"
    done = subprocess.run([*VHOST_USER, str(path), str(out)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == USAGE and "vhost-user.yaml" in done.stderr, done.stderr
    assert "Traceback" not in done.stderr and not out.exists(), done.stderr


EMBED = ["/usr/bin/python3", str(ROOT / "models" / "gen" / "embed.py")]


@pytest.mark.parametrize("content, why", [(HUGE, "larger"), (b"section: a\n\0", "mine.yaml:2:")], ids=["huge", "nul"])
def test_scenario_that_cannot_be_embedded(file, tmp_path, content, why):
    file("mine.yaml", content)
    done = subprocess.run([*EMBED, str(tmp_path), str(tmp_path / "out.c")], capture_output=True, text=True, timeout=60,
                          check=False)
    assert done.returncode == USAGE and why in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr
