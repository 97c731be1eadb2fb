/* What one subject of a self-test came to, of any role: how it is played and what its runs say. */
#ifndef PL_CLI_SELFTEST_OUTCOME_H
#define PL_CLI_SELFTEST_OUTCOME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/cli.h"
#include "cli/selftest.h"

enum { PL_SELFTEST_CLAUSES = 2048 };

/* Lives in memory shared with the worker processes. */
struct pl_outcome {
    bool ran; /* to its end */
    int error;
    bool failed[PL_SELFTEST_CLAUSES], warned[PL_SELFTEST_CLAUSES]; /* failed: warnings too */
    bool used[PL_SELFTEST_CLAUSES];                                /* an option of the IUT's */
    uint64_t applied[PL_SELFTEST_CLAUSES];
    unsigned other_findings;
    char text[256]; /* the first finding */
};

/* One whole run; *out is what it came to. The port is closed; NULL stands for want of memory. */
void pl_outcome_play(const struct pl_suite_options *options, struct pl_outcome *out);
/* Does a mutant that breaks these clauses, NULL ends, break this one? */
bool pl_outcome_breaks(const char *const *clauses, const char *id);
/* What it says of a mutant that breaks these clauses: killed, misattributed or alive. */
const char *pl_outcome_verdict(const struct pl_outcome *out, const struct pl_clauses *table,
                               const char *const *clauses);
/* Did a legal configuration fail nothing? */
bool pl_outcome_clean(const struct pl_outcome *out, const struct pl_clauses *table);
/* The ids of what failed, a blank ahead of each. */
void pl_outcome_print_failed(const struct pl_outcome *out, const struct pl_clauses *table);
/* Say which proof of a judged clause there is not. False where there are both. */
bool pl_outcome_tell_unproven(const char *id, bool proven, bool passed);
/* Add a mutant to the matrix. */
void pl_outcome_add(const struct pl_outcome *out, struct pl_selftest_matrix *matrix,
                    const struct pl_clauses *table, const char *role, const char *id,
                    const char *const *clauses);

#endif
