/* Entries read from text, with errors that name file, line and what. */
#include <string.h>

#include "corpus/entry.h"
#include "fuzz/lines.h"

enum { WORDS_MAX = 64 };

struct parser {
    struct pl_lines at;
    struct pl_entry *e;
    unsigned given;             /* a bit for each line of the head that came */
    const struct pl_spec *spec; /* the draft */
    enum pl_iut role;
};

/* --- the lines of the head; word[0] is the line's name --- */

static bool head_draft(struct parser *p, char **word, size_t n)
{
    p->spec = n == 2 ? pl_spec_find(word[1]) : NULL;
    return (p->spec && pl_clauses_find(p->spec)) ||
           pl_lines_wrong(&p->at, "'%.60s' is no draft with clauses", n > 1 ? word[1] : "");
}

static bool head_role(struct parser *p, char **word, size_t n)
{
    for (int role = PL_IUT_DEVICE; n == 2 && role <= PL_IUT_BUS; role++)
        if (strcmp(pl_case_role((enum pl_iut)role), word[1]) == 0) {
            p->role = (enum pl_iut)role;
            return true;
        }
    return pl_lines_wrong(&p->at, "role is device, driver or bus");
}

static bool clause_named(struct parser *p, const char *id, unsigned *out)
{
    int i = pl_clauses_index(pl_clauses_find(p->spec), id);
    *out = (unsigned)i;
    return i >= 0 || pl_lines_wrong(&p->at, "%s has no clause '%.60s'", p->spec->name, id);
}

static bool head_clauses(struct parser *p, char **word, size_t n)
{
    unsigned clause;
    if (n < 2)
        return pl_lines_wrong(&p->at, "there is no clause behind 'clauses'");
    for (size_t i = 1; i < n; i++) {
        if (!clause_named(p, word[i], &clause))
            return false;
        if (!pl_entry_aim(p->e, clause))
            return pl_lines_wrong(&p->at, "an entry aims at %d clauses at most", PL_ENTRY_CLAUSES);
    }
    return true;
}

/* "expect fail CLAUSE... with MUTANT" */
static bool expect_fail(struct parser *p, char **word, size_t n)
{
    struct pl_wrong_peer peer;
    unsigned clause;
    if (n < 5 || strcmp(word[n - 2], "with") != 0)
        return pl_lines_wrong(&p->at, "it is 'expect fail CLAUSE... with MUTANT'");
    if (!pl_wrong_peer_find(p->spec, p->role, word[n - 1], &peer))
        return pl_lines_wrong(&p->at, "'%.60s' is no mutant of the reference %s", word[n - 1],
                              pl_case_role(p->role));
    for (size_t i = 0; i < p->e->n_fails; i++)
        if (p->e->fail[i].mutant == peer.id)
            return pl_lines_wrong(&p->at, "mutant %s is named twice", peer.id);
    for (size_t i = 2; i + 2 < n; i++) {
        if (!clause_named(p, word[i], &clause))
            return false;
        if (!pl_entry_expect(p->e, peer.id, clause))
            return pl_lines_wrong(&p->at, "an entry fails %d mutants at most, by %d clauses each",
                                  PL_ENTRY_MUTANTS, PL_ENTRY_BROKEN);
    }
    return true;
}

static bool head_expect(struct parser *p, char **word, size_t n)
{
    if (n >= 2 && strcmp(word[1], "fail") == 0)
        return expect_fail(p, word, n);
    if (n != 2 || strcmp(word[1], "pass") != 0)
        return pl_lines_wrong(&p->at, "it is 'expect pass' or 'expect fail CLAUSE... with MUTANT'");
    if (p->e->pass)
        return pl_lines_wrong(&p->at, "'expect pass' is given twice");
    p->e->pass = true;
    return true;
}

/* The words of a line, one blank between them. */
static bool join(struct parser *p, char **word, size_t n, char *out, size_t cap)
{
    size_t at = 0;
    out[0] = '\0';
    for (size_t i = 1; i < n && at < cap; i++)
        at += (size_t)snprintf(out + at, cap - at, "%s%s", i > 1 ? " " : "", word[i]);
    if (at >= cap)
        return pl_lines_wrong(&p->at, "%s is longer than %zu bytes", word[0], cap - 1);
    return at || pl_lines_wrong(&p->at, "there is nothing behind '%s'", word[0]);
}

static bool head_origin(struct parser *p, char **word, size_t n)
{
    return join(p, word, n, p->e->origin, sizeof(p->e->origin));
}

static bool head_license(struct parser *p, char **word, size_t n)
{
    if (!join(p, word, n, p->e->license, sizeof(p->e->license)))
        return false;
    return pl_license_is_spdx(p->e->license) ||
           pl_lines_wrong(&p->at, "'%.60s' is no SPDX license expression", p->e->license);
}

/* In this order; what a line rests on stands above it. */
static const struct head {
    const char *name;
    bool (*read)(struct parser *p, char **word, size_t n);
    bool often, required;
} heads[] = {
    {"draft", head_draft, false, true},     {"role", head_role, false, true},
    {"clauses", head_clauses, true, false}, {"expect", head_expect, true, true},
    {"origin", head_origin, false, true},   {"license", head_license, false, true},
};
enum { HEADS = sizeof(heads) / sizeof(heads[0]) };

/* Did the lines that must stand above the i-th come? */
static bool come_before(struct parser *p, unsigned i, const char *what)
{
    for (unsigned k = 0; k < i; k++)
        if (heads[k].required && !(p->given >> k & 1))
            return pl_lines_wrong(&p->at, "%s comes ahead of '%s'", what, heads[k].name);
    return true;
}

static bool head(struct parser *p, char **word, size_t n)
{
    unsigned i = 0;
    while (i < HEADS && strcmp(heads[i].name, word[0]) != 0)
        i++;
    if (i == HEADS)
        return pl_lines_wrong(
            &p->at,
            "'%.60s' is no line of an entry's head: draft, role, clauses, expect, "
            "origin, license",
            word[0]);
    if (p->given >> i & 1 && !heads[i].often)
        return pl_lines_wrong(&p->at, "%s is given twice", word[0]);
    if (p->given >> (i + 1))
        return pl_lines_wrong(
            &p->at,
            "%s stands too late: the order is draft, role, clauses, expect, origin, "
            "license",
            word[0]);
    if (!come_before(p, i, heads[i].name) || !heads[i].read(p, word, n))
        return false;
    p->given |= 1u << i;
    return true;
}

/* --- lines --- */

static bool one_line(struct parser *p, char *line)
{
    char *word[WORDS_MAX];
    size_t n;
    if (!pl_lines_split(&p->at, line, word, WORDS_MAX, &n))
        return false;
    return !n || head(p, word, n);
}

static bool magic(struct parser *p, const char *line)
{
    return pl_lines_magic(&p->at, line, PL_ENTRY_MAGIC, "an entry");
}

/* The head; *at becomes where the case begins, and p->at.line its line. */
static bool parse_head(struct parser *p, const char *text, size_t size, size_t *at)
{
    char line[PL_LINE_BYTES];
    size_t taken = 0;
    for (*at = 0; *at < size; *at += taken) {
        p->at.line++;
        if (!pl_lines_take(&p->at, text + *at, size - *at, line, &taken))
            return false;
        if (p->at.line == 1 ? !magic(p, line) : strncmp(line, "plumbline-case ", 15) == 0)
            break;
        if (p->at.line > 1 && !one_line(p, line))
            return false;
    }
    if (p->at.line == 0) {
        p->at.line = 1;
        return magic(p, "");
    }
    if (*at == 0)
        return false; /* the magic's own sentence */
    if (*at == size)
        return pl_lines_wrong(&p->at, "there is no case: its first line is '%s'", PL_CASE_MAGIC);
    return come_before(p, HEADS, "the case");
}

bool pl_entry_parse(struct pl_entry *e, const char *file, const char *text, size_t size,
                    char *error, size_t cap)
{
    struct parser p = {.at = {file, 0, error, cap}, .e = e};
    size_t at;
    e->n_clauses = e->n_fails = 0;
    e->pass = false;
    if (!parse_head(&p, text, size, &at))
        return false;
    if (!pl_case_parse_from(&e->c, file, p.at.line, text + at, size - at, error, cap))
        return false;
    if (e->c.role != p.role)
        return pl_lines_wrong(&p.at, "the case is for a %s, the entry for a %s",
                              pl_case_role(e->c.role), pl_case_role(p.role));
    if (e->c.spec != p.spec)
        return pl_lines_wrong(&p.at, "the case is of %s, the entry of %s", e->c.spec->name,
                              p.spec->name);
    return true;
}
