/* What the self-test of devices and drivers keeps, and what its files have of one another. */
#ifndef PL_CLI_SELFTEST_PRIVATE_H
#define PL_CLI_SELFTEST_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/cli.h"
#include "cli/selftest.h"
#include "cli/selftest_outcome.h"
#include "cli/selftest_run.h"

enum { JOBS_MAX = PL_SELFTEST_JOBS_MAX };

/* One mutant, or one legal configuration. */
struct pl_selftest_subject {
    const struct pl_selftest_role *role;
    const struct pl_mutant *mutant; /* NULL: a legal configuration */
    const char *const *options;
};

struct pl_selftest {
    const struct pl_spec *spec;
    const char *role; /* NULL: all */
    const struct pl_clauses *clauses;
    const struct pl_scenarios *scenarios;
    struct pl_selftest_subject
        *subject; /* [n]: of each role the mutants, then the legal configurations */
    size_t n;
    struct pl_outcome *outcome;    /* [n] */
    const char *only, *only_legal; /* parts of names; both NULL: all subjects */
    bool quick, exhaustive, verbose, quiet;
    unsigned seconds;   /* 0: as long as it takes */
    size_t part, parts; /* every parts-th subject, from number `part` on; parts 0: all */
    size_t n_wanted;
    const char *carrier; /* NULL: in-process */
    enum pl_carrier as;
    uint64_t seed;
    unsigned jobs;
};

/* --- selftest_subject.c --- */
/* Run one subject as often as it takes; what it comes to is its outcome. */
void pl_selftest_subject_run(const struct pl_selftest *t, size_t i);

/* --- selftest_verdict.c --- */
/* What a mutant's outcome says: killed, misattributed or alive. */
const char *pl_selftest_verdict(const struct pl_selftest *t, size_t i);
bool pl_selftest_killed(const struct pl_selftest *t, size_t i);
/* Did a legal configuration fail nothing? */
bool pl_selftest_clean(const struct pl_selftest *t, size_t i);
void pl_selftest_print_mutant(const struct pl_selftest *t, size_t i);
void pl_selftest_print_legal(const struct pl_selftest *t, size_t i);

/* --- selftest_choice.c --- */
/* Does the subject's name, the mutant's id or the configuration's options, hold the text? */
bool pl_selftest_named(const struct pl_selftest_subject *subject, const char *text);
/* Is the mutant one that does nothing wrong over this carrier, which knows no size but msg_size? */
bool pl_selftest_hidden(const struct pl_selftest *t, size_t i);
bool pl_selftest_wanted(const struct pl_selftest *t, size_t i);

/* --- selftest_conclude.c --- */
/* Print what all subjects came to and add it to the matrix. An exit status. */
int pl_selftest_conclude(const struct pl_selftest *t, struct pl_selftest_matrix *matrix);

#endif
