/* The executor: runs a case against what is tested, judges it, and says what was seen. */
#ifndef PL_FUZZ_EXEC_H
#define PL_FUZZ_EXEC_H

#include "fuzz/case.h"
#include "port/port.h"
#include "report/report.h"

enum {
    PL_FEEDBACK_MAX = 16384, /* what can be seen, as small integers below it */
    PL_EXEC_FINDINGS = 8,
    PL_EXEC_TEXT = 256,
    PL_EXEC_STATE = 96,
    PL_EXEC_DEVICES = 64,
};

/* What a case brought to light. Two findings with the same kind, clause, state and message are one.
 */
struct pl_exec_finding {
    enum pl_finding_kind kind;
    int clause;                /* index in the draft's table; -1 where the kind is no clause */
    char state[PL_EXEC_STATE]; /* of the device, as the status bits are named; "reset": none */
    enum pl_kind message;      /* that showed it; PL_NONE: none, or nobody knows it */
    unsigned action;           /* of the case that was at work, from 0 on; the number of actions:
                                  behind the last */
    uint64_t number;           /* of the message in this run, from 1 on */
    char text[PL_EXEC_TEXT];
};

struct pl_exec_result {
    struct pl_exec_finding finding[PL_EXEC_FINDINGS];
    unsigned n_findings;
    bool unrunnable;   /* the case was not run: `why` */
    bool alive;        /* the IUT can take the next case without being started anew */
    bool late;         /* it was hastened, and something that was waited for did not come in time */
    uint64_t messages; /* in both directions */
    uint64_t ms;       /* virtual time, where the port has it */
    char why[2 * PL_EXEC_TEXT];
    /*
     * What was seen, each number once: pairs of a clause with "exercised" or "broken" first (2 *
     * clause, 2 * clause + 1), then (state, message, outcome). Lives until the next case.
     */
    const uint16_t *seen;
    size_t n_seen;
};

/* Zero is a default everywhere. */
struct pl_exec_options {
    const struct pl_spec *spec; /* required */
    enum pl_iut role;
    /* The IUT; the caller's, and outlives the executor. NULL: the role's reference peer, linked in.
     */
    struct pl_port *port;
    const char *mutant; /* of the reference peer: one of its mutants, with the options it needs */
    const char *like;   /* ... faithful, with the options that this mutant needs */
    /* An implementation of somebody else's, linked in, in place of the reference peer. */
    const struct pl_endpoint_ops *endpoint;
    const struct pl_bus_endpoint_ops *bus_endpoint;
    const void *config; /* of that */
    /* With a port: case after case goes to the IUT as it stands, behind a reset; it is started anew
     * only where it is gone, stuck, or another bus is asked for. */
    bool keep;
    /* Numbers of the devices that are there; 0 of them: the reference peer's, or what GET_DEVICES
     * of a device under test says, or device 0. */
    const uint16_t *devices;
    size_t n_devices;
    bool warnings; /* a SHOULD that is broken is a finding, too */
    /* The bus parameters that the IUT has, where they cannot be chosen; NULL: the case's. */
    const struct pl_bus_params *bus;
    int response_ms, reset_ms, fence_ms; /* time limits */
    /* Each message and note as it is recorded; may be NULL. */
    void *opaque;
    void (*message)(void *opaque, const struct pl_trace_entry *entry);
    void (*note)(void *opaque, const char *line);
};

struct pl_exec;

/* NULL and one sentence in `error` where the options are at fault or memory is out. */
struct pl_exec *pl_exec_new(const struct pl_exec_options *options, char *error, size_t cap);
void pl_exec_free(struct pl_exec *x);
/*
 * Run a case of the executor's role and spec. 0 with *out, or -EINVAL where it is of another role
 * or spec, or a negative errno where the IUT could not be started; out->why says why.
 */
int pl_exec_run(struct pl_exec *x, const struct pl_case *c, struct pl_exec_result *out);
/* The next case waits for answers as the first one did, whatever was missing before it. */
void pl_exec_trust(struct pl_exec *x);
/*
 * From the next case on an IUT whose time is real is given a tenth and less of its time limits, or
 * all of them again. What is then missing may be late: it is a finding once a patient run shows it.
 */
void pl_exec_hasten(struct pl_exec *x, bool hasty);
/* The last of what the IUT wrote to its standard error before it ended, in the run before; "" where
 * it did not end, or nothing is known. Lives until the next case. */
const char *pl_exec_wrote(const struct pl_exec *x);
/* A feedback number in words, for people: "RVQ-DEV-01 exercised", "DRIVER_OK GET_CONFIG 3". */
void pl_feedback_text(const struct pl_spec *spec, unsigned seen, char *out, size_t cap);
/* The clause of a feedback number, -1: it is none; *broken says which of the two. */
int pl_feedback_clause(const struct pl_spec *spec, unsigned seen, bool *broken);

#endif
