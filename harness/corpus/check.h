/* Entries run against the role's reference peer: whether they do as they say, and what they cover.
 */
#ifndef PL_CORPUS_CHECK_H
#define PL_CORPUS_CHECK_H

#include "corpus/entry.h"
#include "fuzz/exec.h"

/*
 * Does it do as it says: `expect pass` without a finding against the faithful peer, each `expect
 * fail` by its clauses against the mutant, and are the clauses that it aims at exercised? 1 yes, 0
 * no, a negative errno where it could not be run; then one sentence in `why`.
 */
int pl_entry_check(const struct pl_entry *e, char *why, size_t cap);

/*
 * Leave out what is not so: clauses that it aims at and does not exercise, mutants that it expects
 * to fail and that pass. True where the faithful peer passes it, and something is left.
 */
bool pl_entry_trim(struct pl_entry *e);

/* Did the run break, or exercise, a clause? */
bool pl_case_broke(const struct pl_spec *spec, const struct pl_exec_result *r, unsigned clause);
bool pl_case_exercised(const struct pl_spec *spec, const struct pl_exec_result *r, unsigned clause);

#endif
