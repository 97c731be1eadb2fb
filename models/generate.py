#!/usr/bin/python3
"""Prints everything that is generated from the models into one folder: generate.py MODELS OUT [SCENARIOS]."""
import hashlib
import importlib
import os
import sys
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from gen import expects, expr, load, wire  # noqa: E402


def write(folder, name, text):
    """Write a file only where its text changed, so that make rebuilds no more than it has to."""
    path = os.path.join(folder, name)
    try:
        with open(path, encoding="utf-8") as old:
            if old.read() == text:
                return
    except OSError:
        pass
    with open(path, "w", encoding="utf-8") as new:
        new.write(text)


def digest(models):
    """A short digest of every model file: reports name it."""
    total = hashlib.sha256()
    for folder, dirs, files in sorted(os.walk(models)):
        dirs.sort()
        for name in sorted(f for f in files if f.endswith(".yaml")):
            total.update(name.encode())
            with open(os.path.join(folder, name), "rb") as stream:
                total.update(stream.read())
    return total.hexdigest()[:16]


def optional(name):
    try:
        return importlib.import_module("gen." + name)
    except ModuleNotFoundError:
        return None


def take(files, more, spec):
    """Add a draft's files; what the harness is built with once must be the same for all drafts."""
    for name, text in more.items():
        if files.setdefault(name, text) != text:
            raise load.ModelError(f"{spec.name}:1: file: {name} would differ from another draft's")


def main(models, out, scenarios=None):
    expected = expects.expected(scenarios) if scenarios else None
    specs, core = load.load(models, expected)
    if expected is not None:
        expects.check(specs)
    os.makedirs(out, exist_ok=True)
    files = {"pl_names.h": wire.names(specs, core), "pl_names.c": wire.names_c(specs),
             "pl_digest.h": f'#define PL_MODELS_DIGEST "{digest(models)}"\n'}
    oracle, device, driver, bus = optional("oracle"), optional("device"), optional("driver"), optional("bus")
    for spec in specs:
        files[f"pl_spec_{spec.c}.c"] = wire.tables(spec, core)
        if device and spec.device is not None:
            take(files, device.render(spec, core), spec)
        if driver and spec.driver is not None:
            take(files, driver.render(spec, core), spec)
        if bus and spec.bus is not None:
            take(files, bus.render(spec, core), spec)
    if oracle:
        files.update(oracle.render(specs, core))
    types = optional("typefacts") if any(spec.clauses or spec.device or spec.driver for spec in specs) else None
    if types:
        files.update(types.render(models, core))
    for module, name in (("lua", "virtio-msg.lua"), ("pycodec", "plumbline_codec.py"), ("docs", "clauses.md")):
        part = optional(module)
        if part:
            files[name] = part.render(specs)
    for name, text in files.items():
        write(out, name, text)


def run(models, out, scenarios=None):
    """main() with its errors as lines on standard error; the exit status."""
    try:
        main(models, out, scenarios)
    except (load.ModelError, expr.ExprError) as err:
        print(err, file=sys.stderr)
        return 2
    except OSError as err:
        print(f"{err.filename or out}:1: file: {err.strerror or err}", file=sys.stderr)
        return 2
    except Exception as err:  # pylint: disable=broad-exception-caught
        frame = traceback.extract_tb(err.__traceback__)[-1]
        print(f"{models}: internal error in {os.path.basename(frame.filename)}:{frame.lineno}: "
              f"{type(err).__name__}: {load.shown(err)}", file=sys.stderr)
        return 4
    return 0


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        print("usage: generate.py MODELS OUT [SCENARIOS]", file=sys.stderr)
        sys.exit(2)
    sys.exit(run(*sys.argv[1:]))
