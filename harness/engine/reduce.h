/* Which parameters does a failure need? They are set back to their plain values one at a time. */
#ifndef PL_REDUCE_H
#define PL_REDUCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PL_REDUCE_MAX = 16,  /* parameters */
    PL_REDUCE_AGAIN = 2, /* times that a failure may hide before it counts as gone */
};

struct pl_reduce {
    size_t n;              /* parameters, at most PL_REDUCE_MAX */
    uint32_t *value;       /* [n]: where it failed; changed to what it still fails with */
    const uint32_t *plain; /* [n] */
    const bool *kept;      /* [n]: may not be changed */
    void *opaque;
    /* May these values stand together? */
    bool (*allowed)(void *opaque, const uint32_t *value);
    /* Does it fail with these values? */
    bool (*fails)(void *opaque, const uint32_t *value);
    unsigned budget; /* calls of `fails` at most; what is left of it */
};

/*
 * False where the failure did not show again with the values given, which are unchanged then. Where
 * the budget lasted, setting any one parameter back that is not plain hides it.
 */
bool pl_reduce(struct pl_reduce *r);

#endif
