/* Many independent pieces of work over worker processes: bounded in time, told as they end. */
#ifndef PL_CLI_SELFTEST_RUN_H
#define PL_CLI_SELFTEST_RUN_H

#include <stdbool.h>
#include <stddef.h>

enum { PL_SELFTEST_JOBS_MAX = 64 };

struct pl_selftest_work {
    const size_t *order; /* the pieces, in the order in which they are begun */
    size_t n;
    unsigned jobs;    /* worker processes, 1 to PL_SELFTEST_JOBS_MAX; 1 without `seconds`: none */
    unsigned seconds; /* what is not done by then is given up; 0: all is done */
    void *self;
    /* Do a piece, in a worker; what comes of it goes into memory that is shared. */
    void (*run)(void *self, size_t piece);
    /* A piece is done; here, one after the other. */
    void (*told)(void *self, size_t piece, size_t done);
};

/*
 * Do the work. done[k] is set for each piece order[k] that came to its end. Returns how many did
 * not for want of time, or -1 where a worker ended badly; then *bad is the piece it was at.
 */
long pl_selftest_work(const struct pl_selftest_work *work, bool *done, size_t *bad);

#endif
