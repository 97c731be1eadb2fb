/* Mutants of all roles, seen alike. */
#ifndef PL_FUZZ_WRONG_PEER_H
#define PL_FUZZ_WRONG_PEER_H

#include "oracle/oracle.h"

/* A reference peer with one rule broken, of any role. Strings are static. */
struct pl_wrong_peer {
    const char *id;             /* CLAUSE.what */
    const char *text;           /* the natural bug that it stands for, one sentence */
    const char *const *clauses; /* ids of the clauses that it breaks, NULL ends */
    const char *const *options; /* "NAME=VALUE" that it needs (type=T included), NULL ends */
    bool options_only;          /* they are the whole of it */
};
/* The i-th mutant of a role, or the one of that id; false: there is none. */
bool pl_wrong_peer_at(const struct pl_spec *spec, enum pl_iut role, size_t i,
                      struct pl_wrong_peer *out);
bool pl_wrong_peer_find(const struct pl_spec *spec, enum pl_iut role, const char *id,
                        struct pl_wrong_peer *out);

#endif
