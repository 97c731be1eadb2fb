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


def spec_part(spec):
    out = [f"## {spec.name}: {cell(spec.title)}", ""]
    if not spec.clauses:
        return out + ["This draft has messages and no clauses of its own yet.", ""]
    out += counts(spec.clauses) + [""]
    for section, clauses in sections(spec.clauses):
        out += [f"### {cell(section)}", "",
                "| id | level | role | how | judged | text |", "| --- | --- | --- | --- | --- | --- |"]
        out += [f"| {c.id} | {c.level} | {c.role} | {c.how} | {judgement(c)} | {cell(c.text)} |"
                for c in clauses]
        out.append("")
    return out


def render(specs):
    """The whole document as text."""
    out = ["# Clauses", "",
           "Generated from `models/`. A clause is one normative statement of a draft, in the project's own words.", "",
           "| word | meaning |", "| --- | --- |",
           "| passive | judged on any recorded exchange |",
           "| active | a scenario has to provoke the situation first |",
           "| option | a permission: reported as used or not used, never as a failure |",
           "| inspect | nothing on the wire shows it: declared in the profile |", ""]
    for spec in sorted(specs, key=lambda s: (s.name != "virtio-msg-r1", s.name)):
        out += spec_part(spec)
    return "\n".join(out).rstrip("\n") + "\n"
