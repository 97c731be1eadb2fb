/* A fuzzing campaign: one worker's life in a directory that several share. */
#ifndef PL_FUZZ_CAMPAIGN_H
#define PL_FUZZ_CAMPAIGN_H

#include <signal.h>

#include "fuzz/exec.h"
#include "fuzz/generate.h"

/* Where a worker stands. Other processes may look at it while it is written. */
struct pl_campaign_stats {
    uint64_t executions, messages;
    uint64_t earlier;  /* executions before this run, where it goes on with a campaign */
    uint32_t outcomes; /* (state, message, outcome) that were seen */
    uint32_t clauses;  /* that were exercised */
    uint32_t clauses_all;
    uint32_t entries;  /* of the worker's queue */
    uint32_t findings; /* that it found */
    uint32_t restarts; /* of an IUT that was gone or hung */
};

/* What came up, as it is told at once. Strings live until the call returns. */
struct pl_campaign_news {
    const char *name, *what, *text; /* of the entry; "RVQ-DEV-01 in reset by RESET_VQUEUE" */
    const char *path;
    unsigned again, of; /* seen so often when it was run again */
    unsigned actions;
};

/* Zero is a default where nothing else is said. */
struct pl_campaign_options {
    struct pl_exec_options exec; /* how cases are run; message and note are not used */
    enum pl_focus focus;
    /* Clauses that are findings, by their indices: nothing else is; n_only 0: all are. */
    const uint16_t *only;
    size_t n_only;
    const char *dir;    /* required; made where it is not there */
    const char *worker; /* its name in it; "main" */
    const char *in;     /* a folder of cases to begin with, or one case; NULL: none */
    const char *iut;    /* as reports name it */
    const char *reach;  /* options of a command line that reach it; "" */
    uint64_t seed;
    uint64_t executions;               /* 0: no limit; of this run */
    uint64_t stop_after;               /* findings; 0: no limit */
    double seconds;                    /* 0: no limit */
    const volatile sig_atomic_t *stop; /* not 0: end soon; NULL: nobody says so */
    void *opaque;
    void (*news)(void *opaque, const struct pl_campaign_news *news);
    void (*progress)(void *opaque); /* now and then; both may be NULL */
};

/*
 * Run until a limit is met. 0, or a negative errno with one sentence in `error`: -EINVAL and others
 * where the directory or a seed is at fault, -ENOTCONN where the IUT cannot be started.
 */
int pl_campaign_run(const struct pl_campaign_options *options, struct pl_campaign_stats *stats,
                    char *error, size_t cap);
/* Make or look at the directory before anything runs: 0, or -EINVAL or another errno with a
 * sentence. */
int pl_campaign_check(const struct pl_campaign_options *options, char *error, size_t cap);
/* How many findings the directory has; 0 where there is none. */
unsigned pl_campaign_findings(const char *dir);

#endif
