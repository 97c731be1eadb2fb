/* Mutations of cases: the same for libFuzzer, AFL++ and the campaign engine. */
#ifndef PL_FUZZ_MUTATE_H
#define PL_FUZZ_MUTATE_H

#include "fuzz/case.h"

/* What a mutation does; PL_MUTATIONS of them, drawn alike. */
enum pl_mutation {
    PL_MUTATE_INSERT, /* a new action somewhere */
    PL_MUTATE_DROP,
    PL_MUTATE_DUPLICATE,
    PL_MUTATE_REORDER, /* two actions change places */
    PL_MUTATE_BEND,    /* one setting of an action: another value, one more, or one less */
    PL_MUTATE_SPLICE,  /* a run of actions is copied to another place */
    PL_MUTATE_RESET,   /* a reset moves; a case without one gets one */
    PL_MUTATE_HEAD,    /* the bus's parameters, the device's type, the seed */
    PL_MUTATIONS
};

/* A new case of a few actions. *random is not 0 and moves on; all that is drawn comes from there.
 */
void pl_mutate_new(struct pl_case *c, const struct pl_spec *spec, enum pl_iut role,
                   uint64_t *random);
/* One mutation of this kind; false where the case has nothing that it can be done to. */
bool pl_mutate_once(struct pl_case *c, enum pl_mutation what, uint64_t *random);
/* As many mutations as chance says, at least one. Options stay as they are. */
void pl_mutate(struct pl_case *c, uint64_t *random);
/*
 * The beginning of one case with the end of another, at places where the protocol is in the same
 * state, as far as the actions tell. `out` is neither of the two; the roles are the same.
 */
void pl_mutate_cross(struct pl_case *out, const struct pl_case *first, const struct pl_case *second,
                     uint64_t *random);
/* The state that the protocol is in before action `at`, as far as actions tell: equal numbers are
 * the same state. */
unsigned pl_case_state(const struct pl_case *c, size_t at);

#endif
