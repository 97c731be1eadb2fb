/* Entries against the reference peer: is what they say so? */
#include "corpus/check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool seen(const struct pl_spec *spec, const struct pl_exec_result *r, unsigned clause,
                 bool wanted)
{
    for (size_t i = 0; i < r->n_seen; i++) {
        bool broken;
        if (pl_feedback_clause(spec, r->seen[i], &broken) == (int)clause && broken == wanted)
            return true;
    }
    return false;
}

bool pl_case_broke(const struct pl_spec *spec, const struct pl_exec_result *r, unsigned clause)
{
    return seen(spec, r, clause, true);
}

bool pl_case_exercised(const struct pl_spec *spec, const struct pl_exec_result *r, unsigned clause)
{
    return seen(spec, r, clause, false);
}

/* What a check keeps: the entry, and where its sentence goes. */
struct check {
    const struct pl_entry *e;
    char *why;
    size_t cap;
};

static const char *id_of(const struct pl_entry *e, unsigned clause)
{
    return pl_clauses_get(pl_clauses_find(e->c.spec), clause)->id;
}

/* 1, or 0 or a negative errno with the sentence. */
static int look_at_pass(const struct check *k, const struct pl_exec_result *r)
{
    const struct pl_entry *e = k->e;
    const struct pl_exec_finding *f = &r->finding[0];
    if (e->pass && r->n_findings) {
        snprintf(k->why, k->cap, "the faithful %s fails %s: %s", pl_case_role(e->c.role),
                 f->clause >= 0 ? id_of(e, (unsigned)f->clause) : pl_finding_kind_name(f->kind),
                 f->text);
        return 0;
    }
    for (size_t i = 0; i < e->n_clauses; i++)
        if (!pl_case_exercised(e->c.spec, r, e->clause[i])) {
            snprintf(k->why, k->cap, "it does not exercise %s, which it aims at",
                     id_of(e, e->clause[i]));
            return 0;
        }
    return 1;
}

static int look_at_fail(const struct check *k, const struct pl_entry_fail *fail,
                        const struct pl_exec_result *r)
{
    for (size_t i = 0; i < fail->n; i++)
        if (!pl_case_broke(k->e->c.spec, r, fail->clause[i])) {
            snprintf(k->why, k->cap, "mutant %s does not fail %s", fail->mutant,
                     id_of(k->e, fail->clause[i]));
            return 0;
        }
    return 1;
}

/* One run, of the faithful peer or (fail) of a mutant. */
static int run(const struct check *k, const struct pl_entry_fail *fail)
{
    struct pl_exec_result r;
    const struct pl_exec_options options = {.spec = k->e->c.spec,
                                            .role = k->e->c.role,
                                            .mutant = fail ? fail->mutant : NULL,
                                            .warnings = fail != NULL};
    struct pl_exec *x = pl_exec_new(&options, k->why, k->cap);
    if (!x)
        return -ENOMEM;
    int err = pl_exec_run(x, &k->e->c, &r);
    if (err < 0 || r.unrunnable) {
        snprintf(k->why, k->cap, "it cannot be run%s%s: %s", fail ? " with mutant " : "",
                 fail ? fail->mutant : "", r.why);
        err = err < 0 ? err : 0;
    } else {
        err = fail ? look_at_fail(k, fail, &r) : look_at_pass(k, &r);
    }
    pl_exec_free(x);
    return err;
}

int pl_entry_check(const struct pl_entry *e, char *why, size_t cap)
{
    const struct check k = {e, why, cap};
    int r = e->pass || e->n_clauses ? run(&k, NULL) : 1;
    for (size_t i = 0; r > 0 && i < e->n_fails; i++)
        r = run(&k, &e->fail[i]);
    return r;
}

bool pl_entry_trim(struct pl_entry *e)
{
    char why[256];
    struct pl_entry *part = malloc(sizeof(*part));
    struct pl_entry_fail kept;
    size_t n = 0;
    bool fine = part != NULL;
    if (!fine)
        return false;
    *part = *e;
    part->n_clauses = part->n_fails = 0;
    part->pass = true;
    fine = pl_entry_check(part, why, sizeof(why)) == 1;
    for (size_t i = 0; fine && i < e->n_clauses; i++) {
        part->n_clauses = 1;
        part->clause[0] = e->clause[i];
        if (pl_entry_check(part, why, sizeof(why)) == 1)
            e->clause[n++] = part->clause[0];
    }
    e->n_clauses = fine ? (uint16_t)n : 0;
    part->n_clauses = 0;
    n = 0;
    for (size_t i = 0; fine && i < e->n_fails; i++) {
        part->n_fails = 1;
        part->fail[0] = kept = e->fail[i];
        if (pl_entry_check(part, why, sizeof(why)) == 1)
            e->fail[n++] = kept;
    }
    e->n_fails = fine ? (uint16_t)n : 0;
    free(part);
    return fine && (e->n_clauses || e->n_fails);
}
