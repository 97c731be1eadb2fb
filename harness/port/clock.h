/* The clock socket of a started IUT: its time is the harness's, and it says when it is at rest. */
#ifndef PL_CLOCK_H
#define PL_CLOCK_H

#include "port/private.h"

/*
 * One request a line, `elapse MS`: so much time passes. The answer, `rest MS` or `rest never`,
 * comes once the IUT has dealt with all that it was sent and has nothing to do before that time is
 * over.
 */
struct pl_clock {
    int fd;        /* -1: the IUT has the real clock */
    unsigned owed; /* answers that say nothing any more: something was sent meanwhile */
    bool asked;    /* an answer is due that counts */
    bool rest;     /* nothing was sent since the IUT was at rest, */
    uint64_t next; /* ... and then it does something by itself; UINT64_MAX: never */
    bool lost;     /* it does not answer: time passes without it */
    size_t fill;
    char line[64];
};

void pl_clock_open(struct pl_clock *clock, int fd);
void pl_clock_close(struct pl_clock *clock);
/* Something was sent to the IUT: it may be at work again. */
void pl_clock_disturb(struct pl_clock *clock);
/*
 * The port's receive in virtual time, port->now_ms: what the IUT sends before it comes to rest, and
 * with a timeout what it sends as time passes.
 */
int pl_clock_receive(struct pl_clock *clock, struct pl_link *link, void *buf, size_t cap,
                     int timeout_ms);
/*
 * Wait in virtual time, until `until_ms`, for fd to become readable, and let the port's owner work
 * on what comes meanwhile. 0 or -ETIMEDOUT.
 */
int pl_clock_wait(struct pl_clock *clock, struct pl_link *link, int fd, uint64_t until_ms);

#endif
