"""Which clauses the scenarios state an expectation of, held against those that scenarios are to judge."""
import os
import sys

import yaml

from gen import load

# What becomes of a clause that scenarios judge and that none of them expects: a warning, or an error.
MISSING_IS_ERROR = True
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def clause_of(node):
    """The clause that a step with `expect` names, or None where a mapping is no such step."""
    keys = {key.value: value for key, value in node.value if isinstance(key, yaml.ScalarNode)}
    clause = keys.get("clause") if "expect" in keys else None
    return clause.value if isinstance(clause, yaml.ScalarNode) else None


def named(root):
    """The clauses that the steps of a document expect."""
    found, waiting, met = set(), [root], set()
    while waiting:
        node = waiting.pop()
        if node is None or id(node) in met:
            continue
        met.add(id(node))
        if isinstance(node, yaml.MappingNode):
            found.add(clause_of(node))
            waiting += [value for _, value in node.value]
        elif isinstance(node, yaml.SequenceNode):
            waiting += node.value
    return found - {None}


def expected(folder):
    """The clauses that the scenario files of a folder expect; ModelError where one cannot be read."""
    found = set()
    for name in sorted(os.listdir(folder)):
        if not name.endswith(".yaml"):
            continue
        path = os.path.join(folder, name)
        try:
            with open(path, encoding="utf-8") as stream:
                found |= named(yaml.compose(stream, Loader=LOADER))
        except (yaml.YAMLError, UnicodeDecodeError) as err:
            mark, why = getattr(err, "problem_mark", None), getattr(err, "problem", None) or err
            line = mark.line + 1 if mark else 1
            raise load.ModelError(f"{path}:{line}: file: {load.shown(f'not YAML ({why})')}") from err
    return found


def check(specs):
    """Every clause that scenarios judge is expected by one: an error, or one line of warning."""
    missing = [c for spec in specs for c in spec.clauses if c.by_scenario and not c.expected]
    if missing and MISSING_IS_ERROR:
        raise load.error_of(load.problem_line(c.file, c.doc.lines["judged_by"], "judged_by",
                                              f"clause {c.id}: no scenario expects it") for c in missing)
    if missing:
        print(f"warning: no scenario expects {', '.join(c.id for c in missing)}", file=sys.stderr)
