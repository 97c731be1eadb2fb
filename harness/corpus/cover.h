/* The fewest entries that cover what all of them cover. */
#ifndef PL_CORPUS_COVER_H
#define PL_CORPUS_COVER_H

#include "corpus/check.h"

/* What entries cover, collected one after the other. */
struct pl_cover;

struct pl_cover *pl_cover_new(void); /* NULL without memory */
void pl_cover_free(struct pl_cover *cover);
/*
 * Run the next entry against the faithful peer and note what it covers: clauses, states with
 * messages and outcomes, and each mutant that it fails by a clause. `cost`: with equal gain the
 * cheaper one is taken. 0, or a negative errno with a sentence.
 */
int pl_cover_add(struct pl_cover *cover, const struct pl_entry *e, size_t cost, char *why,
                 size_t cap);
/*
 * Choose: chosen[i] is set for the i-th entry that was added. Returns their number; *covered is how
 * many things all of them cover together. Greedy: not always the least number, but no entry in it
 * is without something of its own when it is taken.
 */
size_t pl_cover_choose(struct pl_cover *cover, bool *chosen, size_t *covered);

#endif
