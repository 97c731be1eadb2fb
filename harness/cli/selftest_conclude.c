/* What all subjects of the self-test came to: the lines at its end, and the matrix of mutants and
 * clauses. */
#include "cli/selftest_private.h"

#include <stdio.h>
#include <string.h>

/* The subjects that there was no time for. */
static size_t print_not_run(const struct pl_selftest *t)
{
    size_t n = 0;
    for (size_t i = 0; i < t->n; i++) {
        const struct pl_selftest_subject *subject = &t->subject[i];
        if (!pl_selftest_wanted(t, i) || t->outcome[i].ran)
            continue;
        n++;
        if (t->quiet)
            continue;
        printf("not run      ");
        if (subject->mutant)
            printf(" %s", subject->mutant->id);
        for (size_t k = 0; !subject->mutant && k < PL_SELFTEST_OPTIONS && subject->options[k]; k++)
            printf(" %s", subject->options[k]);
        putchar('\n');
    }
    return n;
}

static void print_hidden(const struct pl_selftest *t)
{
    for (size_t i = 0; i < t->n; i++)
        if (pl_selftest_hidden(t, i) && (!t->only || pl_selftest_named(&t->subject[i], t->only)))
            printf("left out      %s: msg_size alone says where a message ends over %s\n",
                   t->subject[i].mutant->id, t->carrier);
}

/* Is the clause one of a role whose subjects ran? */
static bool asked_about(const struct pl_selftest *t, const struct pl_clause_def *def)
{
    bool any = strcmp(def->role, "any") == 0;
    for (size_t i = 0; i < t->n; i++)
        if (any || strcmp(def->role, t->subject[i].role->name) == 0)
            return true;
    return false;
}

/* Clauses that are judged and that no mutant died of. */
static size_t print_unproven(const struct pl_selftest *t)
{
    size_t n = 0;
    for (size_t c = 0; c < pl_clauses_count(t->clauses); c++) {
        const struct pl_clause_def *def = pl_clauses_get(t->clauses, c);
        bool proven = !def->judged || !asked_about(t, def), passed = proven;
        for (size_t i = 0; i < t->n; i++) {
            const struct pl_mutant *mutant = t->subject[i].mutant;
            proven |=
                mutant && t->outcome[i].failed[c] && pl_outcome_breaks(mutant->clauses, def->id);
            passed |= !mutant && t->outcome[i].applied[c] > 0;
        }
        n += pl_outcome_tell_unproven(def->id, proven, passed);
    }
    return n;
}

static void add_mutants(const struct pl_selftest *t, struct pl_selftest_matrix *matrix)
{
    for (size_t i = 0; i < t->n; i++) {
        const struct pl_mutant *mutant = t->subject[i].mutant;
        if (!mutant || !pl_selftest_wanted(t, i))
            continue;
        pl_outcome_add(&t->outcome[i], matrix, t->clauses, t->subject[i].role->name, mutant->id,
                       mutant->clauses);
    }
}

int pl_selftest_conclude(const struct pl_selftest *t, struct pl_selftest_matrix *matrix)
{
    size_t counts[3] = {0}, dirty = 0, unproven = 0, legal = 0;
    size_t not_run = print_not_run(t);
    if (!t->quiet)
        print_hidden(t);
    for (size_t i = 0; i < t->n; i++) {
        if (!pl_selftest_wanted(t, i) || !t->outcome[i].ran)
            continue;
        const char *verdict = t->subject[i].mutant ? pl_selftest_verdict(t, i) : NULL;
        if (verdict)
            counts[verdict[0] == 'k' ? 0 : verdict[0] == 'm' ? 1 : 2]++;
        legal += !verdict;
        dirty += !verdict && !pl_selftest_clean(t, i);
    }
    if (!t->quiet && !t->only && !t->only_legal && !not_run && !t->parts)
        unproven = print_unproven(t);
    if (!t->quiet)
        printf(
            "%zu mutants: %zu killed by their own clause, %zu misattributed, %zu alive; %zu legal "
            "configurations, %zu with a false failure; %zu judged clauses unproven\n",
            counts[0] + counts[1] + counts[2], counts[0], counts[1], counts[2], legal, dirty,
            unproven);
    if (!t->quiet && not_run)
        printf("INCOMPLETE: the %u seconds were over with %zu mutants and configurations not run\n",
               t->seconds, not_run);
    add_mutants(t, matrix);
    for (size_t i = 0; i < 3; i++)
        matrix->counts[i] += counts[i];
    matrix->not_run += not_run;
    bool good = !counts[1] && !counts[2] && !dirty && !unproven && !not_run;
    return good ? PL_EXIT_CONFORMS : PL_EXIT_FINDINGS;
}
