/* Making a case small while it still does what it is kept for. */
#ifndef PL_FUZZ_SHRINK_H
#define PL_FUZZ_SHRINK_H

#include "fuzz/case.h"

/* Does the case still do it? Called for each attempt; the case is the shrinker's. */
typedef bool pl_shrink_fn(void *opaque, const struct pl_case *c);

/*
 * Make *c small: fewest actions first, then fewest settings and data, then the smallest numbers and
 * the plainest head. `still` is asked at most `budget` times; what it says no to is not kept.
 * Returns how often it was asked. -ENOMEM without memory; *c is as it was then.
 */
int pl_shrink(struct pl_case *c, pl_shrink_fn *still, void *opaque, unsigned budget);
/* Only actions are left out, one after the other and from the end on; for seeds, which need not be
 * smallest. */
int pl_shrink_actions(struct pl_case *c, pl_shrink_fn *still, void *opaque, unsigned budget);

#endif
