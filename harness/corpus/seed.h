/* Seeding: a corpus found by trying cases against the reference peer and its mutants. */
#ifndef PL_CORPUS_SEED_H
#define PL_CORPUS_SEED_H

#include "corpus/check.h"

/* Cases of one role that reach something new each, and what they were drawn with. */
struct pl_seeder;

/* NULL with a sentence without memory, or where the draft has no such role. */
struct pl_seeder *pl_seeder_new(const struct pl_spec *spec, enum pl_iut role, uint64_t seed,
                                char *error, size_t cap);
void pl_seeder_free(struct pl_seeder *s);
/*
 * Try so many cases on the faithful peer and keep those that show something new. Returns how many
 * failed it, which nothing may: the first is in *c, with a sentence. A negative errno without
 * memory.
 */
int pl_seeder_explore(struct pl_seeder *s, uint64_t executions, struct pl_case *c, char *why,
                      size_t cap);
/*
 * One entry after the other, each for clauses that no entry before exercises, shrunk; clause[0] of
 * it names it. met[] is by clause: those that have an entry already; it grows. Stops where `each`
 * gives no 0 and returns that.
 */
int pl_seeder_clauses(struct pl_seeder *s, bool *met, int (*each)(void *opaque, struct pl_entry *e),
                      void *opaque);
/*
 * The shortest case that was found for a mutant within so many tries: it breaks a clause that the
 * mutant is to break, and the faithful peer passes it. 1, or 0 where none was found. *tried: how
 * many it took. What is explored is not changed, so that mutants may be tried in any order.
 */
int pl_seeder_mutant(const struct pl_seeder *s, const struct pl_wrong_peer *mutant,
                     uint64_t executions, struct pl_entry *e, uint64_t *tried);
/*
 * The first of these entries whose case the mutant fails by a clause of its own: that expectation
 * is added to it. Its index, or n: none of them.
 */
size_t pl_seeder_first(const struct pl_seeder *s, const struct pl_wrong_peer *mutant,
                       struct pl_entry *const *entry, size_t n);
/* Let an entry aim at the clauses that it expects mutants to break, where it exercises them; their
 * met[] is set. */
void pl_seeder_aim(const struct pl_seeder *s, struct pl_entry *e, bool *met);

#endif
