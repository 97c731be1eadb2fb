/* Entries as data: what is added to an entry, licenses; printing. */
#include "corpus/entry.h"

#include <string.h>

#include "wire/text.h"

void pl_entry_init(struct pl_entry *e, const struct pl_case *c)
{
    e->n_clauses = e->n_fails = 0;
    e->pass = false;
    e->origin[0] = e->license[0] = '\0';
    e->c = *c;
}

bool pl_entry_aim(struct pl_entry *e, unsigned clause)
{
    size_t i = 0;
    while (i < e->n_clauses && e->clause[i] != clause)
        i++;
    if (i == PL_ENTRY_CLAUSES)
        return false;
    e->clause[i] = (uint16_t)clause;
    e->n_clauses = (uint16_t)(i == e->n_clauses ? i + 1 : e->n_clauses);
    return true;
}

bool pl_entry_expect(struct pl_entry *e, const char *mutant, unsigned clause)
{
    size_t i = 0, k = 0;
    while (i < e->n_fails && strcmp(e->fail[i].mutant, mutant) != 0)
        i++;
    if (i == PL_ENTRY_MUTANTS)
        return false;
    struct pl_entry_fail *f = &e->fail[i];
    if (i == e->n_fails) {
        *f = (struct pl_entry_fail){.mutant = mutant};
        e->n_fails++;
    }
    while (k < f->n && f->clause[k] != clause)
        k++;
    if (k == PL_ENTRY_BROKEN)
        return false;
    f->clause[k] = (uint16_t)clause;
    f->n = (uint8_t)(k == f->n ? k + 1 : f->n);
    return true;
}

/* --- licenses --- */

static bool is_operator(const char *word, size_t n)
{
    return (n == 3 && memcmp(word, "AND", 3) == 0) || (n == 2 && memcmp(word, "OR", 2) == 0) ||
           (n == 4 && memcmp(word, "WITH", 4) == 0);
}

bool pl_license_is_spdx(const char *text)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-+:";
    bool operand = false; /* the word before was one */
    int open = 0;
    for (;;) {
        text += strspn(text, " ");
        size_t n = strspn(text, letters);
        if (!*text)
            return operand && !open;
        if (*text == '(' && !operand) {
            open++;
            text++;
        } else if (*text == ')' && operand && open) {
            open--;
            text++;
        } else if (n && is_operator(text, n) == operand) {
            operand = !operand;
            text += n;
        } else {
            return false;
        }
    }
}

/* --- printing --- */

/* A few clauses a line. */
static void say_clauses(struct pl_text *t, const struct pl_entry *e)
{
    enum { A_LINE = 8 };
    const struct pl_clauses *table = pl_clauses_find(e->c.spec);
    for (size_t i = 0; i < e->n_clauses; i++) {
        pl_text_put(t, "%s %s",
                    i % A_LINE ? ""
                    : i        ? "\nclauses"
                               : "clauses",
                    pl_clauses_get(table, e->clause[i])->id);
    }
    pl_text_put(t, "%s", e->n_clauses ? "\n" : "");
}

static void say_expectations(struct pl_text *t, const struct pl_entry *e)
{
    const struct pl_clauses *table = pl_clauses_find(e->c.spec);
    if (e->pass)
        pl_text_put(t, "expect pass\n");
    for (size_t i = 0; i < e->n_fails; i++) {
        pl_text_put(t, "expect fail");
        for (size_t k = 0; k < e->fail[i].n; k++)
            pl_text_put(t, " %s", pl_clauses_get(table, e->fail[i].clause[k])->id);
        pl_text_put(t, " with %s\n", e->fail[i].mutant);
    }
}

size_t pl_entry_format(const struct pl_entry *e, char *out, size_t cap)
{
    struct pl_text t = {out, cap, 0};
    pl_text_put(&t, "%s\ndraft %s\nrole %s\n", PL_ENTRY_MAGIC, e->c.spec->name,
                pl_case_role(e->c.role));
    say_clauses(&t, e);
    say_expectations(&t, e);
    pl_text_put(&t, "origin %s\nlicense %s\n\n", e->origin, e->license);
    t.n += pl_case_format(&e->c, t.n < cap ? out + t.n : NULL, t.n < cap ? cap - t.n : 0);
    return t.n;
}
