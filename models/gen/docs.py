"""Prints docs/clauses.md: every clause of every draft, by section, with how it is judged."""


def cell(text):
    """Text that a Markdown table cell can hold."""
    return " ".join(str(text).split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")


def judgement(clause):
    """Who judges a clause, or why nobody does."""
    if clause.judged:
        return "judged"
    return cell(clause.reason) if clause.reason else "not judged"


def counts(clauses):
    """The table of how many clauses each role has at each level, and how many of them are judged."""
    rows = []
    for clause in clauses:
        if (clause.role, clause.level) not in rows:
            rows.append((clause.role, clause.level))
    out = ["| role | level | clauses | judged |", "| --- | --- | ---: | ---: |"]
    for role, level in rows:
        mine = [c for c in clauses if (c.role, c.level) == (role, level)]
        out.append(f"| {role} | {level} | {len(mine)} | {sum(c.judged for c in mine)} |")
    out.append(f"| all | | {len(clauses)} | {sum(c.judged for c in clauses)} |")
    return out


def sections(clauses):
    """The clauses by section, in the order in which the sections first occur."""
    table = {}
    for clause in clauses:
        table.setdefault(clause.section, []).append(clause)
    return table.items()


def catalogue_part(name, title, clauses):
    """The clauses of one catalogue, by section."""
    out = [f"## {name}: {cell(title)}", "", *counts(clauses), ""]
    for section, some in sections(clauses):
        out += [f"### {cell(section)}", "",
                "| id | level | role | how | judged | text |", "| --- | --- | --- | --- | --- | --- |"]
        out += [f"| {c.id} | {c.level} | {c.role} | {c.how} | {judgement(c)} | {cell(c.text)} |"
                for c in some]
        out.append("")
    return out


def spec_part(spec, printed):
    """A draft's own clauses and those that it includes, unless they stand above already."""
    if not spec.clauses:
        return [f"## {spec.name}: {cell(spec.title)}", "",
                "This draft has messages and no clauses of its own yet.", ""]
    out = []
    for name, title in spec.catalogues.items():
        if name not in printed:
            out += catalogue_part(name, title, [c for c in spec.clauses if c.spec == name])
        printed.add(name)
    return out


def render(specs):
    """The whole document as text."""
    out = ["# Clauses", "",
           "Generated from `models/`. A clause is one normative statement of a draft, or of what it includes, in the project's "
           "own words.", "",
           "| word | meaning |", "| --- | --- |",
           "| passive | judged on any recorded exchange |",
           "| active | a scenario has to provoke the situation first |",
           "| option | a permission: reported as used or not used, never as a failure |",
           "| inspect | nothing on the wire shows it: declared in the profile |", ""]
    printed = set()
    for spec in sorted(specs, key=lambda s: (s.name != "virtio-msg-r1", s.name)):
        out += spec_part(spec, printed)
    return "\n".join(out).rstrip("\n") + "\n"
