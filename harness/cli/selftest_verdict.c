/* What a subject's runs say of it, and the lines that tell it. */
#include "cli/selftest_private.h"

#include <stdio.h>
#include <string.h>

const char *pl_selftest_verdict(const struct pl_selftest *t, size_t i)
{
    return pl_outcome_verdict(&t->outcome[i], t->clauses, t->subject[i].mutant->clauses);
}

bool pl_selftest_killed(const struct pl_selftest *t, size_t i)
{
    return strcmp(pl_selftest_verdict(t, i), "killed") == 0;
}

bool pl_selftest_clean(const struct pl_selftest *t, size_t i)
{
    return pl_outcome_clean(&t->outcome[i], t->clauses);
}

void pl_selftest_print_mutant(const struct pl_selftest *t, size_t i)
{
    const struct pl_mutant *m = t->subject[i].mutant;
    printf("%-13s %s\n              breaks", pl_selftest_verdict(t, i), m->id);
    for (size_t k = 0; m->clauses[k]; k++)
        printf(" %s", m->clauses[k]);
    printf("; failed");
    pl_outcome_print_failed(&t->outcome[i], t->clauses);
    putchar('\n');
}

void pl_selftest_print_legal(const struct pl_selftest *t, size_t i)
{
    const char *const *options = t->subject[i].options;
    printf("%-13s", pl_selftest_clean(t, i) ? "clean" : "FALSE FAILURE");
    if (strcmp(t->subject[i].role->name, "device") != 0)
        printf(" %s:", t->subject[i].role->name);
    for (size_t k = 0; k < PL_SELFTEST_OPTIONS && options[k]; k++)
        printf(" %s", options[k]);
    if (!pl_selftest_clean(t, i)) {
        printf(";");
        pl_outcome_print_failed(&t->outcome[i], t->clauses);
        printf(" (%s)", t->outcome[i].text);
    }
    putchar('\n');
}
