/* Work that may be ended by a signal, and what has to be done then all the same. */
#ifndef PL_CLI_APART_H
#define PL_CLI_APART_H

#include <signal.h>

/* Signals that wait for pl_cli_apart or pl_cli_release, and how they were taken before. */
struct pl_cli_held {
    sigset_t set, before;
};
/* From here on SIGTERM, SIGINT and SIGHUP wait: what has to be cleared up can be made. */
void pl_cli_hold(struct pl_cli_held *held);
/* What waited is delivered. */
void pl_cli_release(const struct pl_cli_held *held);

/*
 * Do the work in a child, which ends with this process; the signals that are held end it, and are
 * told instead of ending this process. Returns what the work returned (0 to 127), 128 and the
 * number of the signal that ended it, or a negative errno where it could not begin.
 */
int pl_cli_apart(const struct pl_cli_held *held, int (*work)(void *opaque), void *opaque);

#endif
