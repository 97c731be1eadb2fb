/* What `plumbline bench` measures, and the parts that measure it. */
#ifndef PL_CLI_BENCH_H
#define PL_CLI_BENCH_H

#include "cli/cli.h"

enum { BENCH_CARRIERS = 6 };

/* Round trips of one carrier, in nanoseconds: medians of several turns. */
struct bench_carrier {
    const char *name;
    double bare_ns; /* the message's bytes there and back, between two processes */
    double ours_ns; /* the same through port, session and oracle, and a device that answers */
    double ratio;   /* bare_ns / ours_ns, the median over the turns */
    double goal;    /* the least ratio wished for; 0: none */
};

/* The whole device suite over one carrier. */
struct bench_suite {
    double seconds;
    uint64_t messages;
    bool conforms;
};

struct bench {
    const struct pl_spec *spec;
    struct pl_scenarios *scenarios;
    bool quick;
    struct bench_carrier carriers[BENCH_CARRIERS];
    double oracle_ns;                     /* for a message */
    uint64_t oracle_messages;             /* of the trace that it was measured with */
    struct bench_suite suite, suite_spsc; /* over packets; over shared memory */
    long self_kib, children_kib;          /* peak memory */
};

double bench_now_ns(void);
double bench_median(double *values, unsigned n);

/* Each fills in its part. 0, or an exit status after the error. */
int bench_round_trips(struct bench *b);
int bench_oracle(struct bench *b);
int bench_suite(struct bench *b);

#endif
