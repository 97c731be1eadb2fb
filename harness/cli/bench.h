/* What `plumbline bench` measures, and the parts that measure it. */
#ifndef PL_CLI_BENCH_H
#define PL_CLI_BENCH_H

#include "cli/cli.h"

enum { BENCH_CARRIERS = 6, BENCH_TURNS = 15, BENCH_SESSIONS = 4 };

/* Round trips of one carrier, in nanoseconds: medians of several turns. */
struct bench_carrier {
    const char *name;
    double bare_ns; /* the message's bytes there and back, between two processes */
    double ours_ns; /* the same through port, session and oracle, and a device that answers */
    double ratio;   /* bare_ns / ours_ns, the median over the turns */
    double goal;    /* the least ratio wished for; 0: none */
};

/* A suite, as `plumbline test` runs it. */
struct bench_suite {
    double seconds;
    uint64_t messages;
    uint64_t lives; /* times that the implementation was started */
    bool conforms;
};

/* Sessions, as a fuzzer runs them one after the other, judged. */
struct bench_sessions {
    const char *name;       /* what they are, or the carrier that they go over */
    uint64_t messages;      /* of one session */
    double per_second;      /* linked in: of one processor's time; else of elapsed time */
    double bare_per_second; /* what the bare carrier allows; 0: there is none */
    double ratio;           /* per_second / bare_per_second, the median over the turns */
    double goal;            /* the least rate or ratio wished for; 0: none */
};

struct bench {
    const struct pl_spec *spec;
    struct pl_scenarios *scenarios;
    bool quick;
    struct bench_carrier carriers[BENCH_CARRIERS];
    double oracle_ns;                     /* for a message */
    uint64_t oracle_messages;             /* of the trace that it was measured with */
    struct bench_suite suite, suite_spsc; /* of devices: over packets; over shared memory */
    struct bench_suite suite_driver, suite_bus;
    struct bench_suite driver_life; /* nothing but lives that nothing disturbs */
    struct bench_carrier bus;       /* through a bus and back: two hops */
    struct bench_sessions sessions[BENCH_SESSIONS], socket_sessions;
    long self_kib, children_kib; /* peak memory */
};

/* What the parts share. */
double bench_now_ns(void);
double bench_median(double *values, unsigned n);
/* Bytes of the bare exchange that a status request and its answer are held against. */
size_t bench_message_size(const struct pl_spec *spec);
/* Run a suite; `keep` gets what it came to, but the time, and may be NULL. 0, or an exit status. */
int bench_run_suite(struct pl_suite_options *options, struct bench_suite *keep);
/*
 * Run a suite so often as a benchmark does, on the IUT that `iut` says, which is not opened yet:
 * `out` gets the median's seconds, and what the last turn came to. `what` says role, selection,
 * jobs. 0, or an exit status.
 */
int bench_time_suite(struct bench *b, struct pl_cli_iut iut, const struct pl_suite_options *what,
                     struct bench_suite *out);

/* Each fills in its part. 0, or an exit status after the error. */
int bench_round_trips(struct bench *b);
int bench_oracle(struct bench *b);
int bench_suite(struct bench *b);
int bench_roles(struct bench *b);
int bench_bus_round_trip(struct bench *b);
int bench_sessions(struct bench *b);

#endif
