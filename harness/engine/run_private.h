/* What the interpreter's files share: one run, its variables, and its ways to stop. */
#ifndef PL_RUN_PRIVATE_H
#define PL_RUN_PRIVATE_H

#include "engine/bus_run.h"
#include "engine/run.h"
#include "engine/vq.h"

enum { VARS_MAX = 1024 }; /* different ones, in all scenarios and procedures together */

enum outcome { GO_ON, STOP }; /* STOP: the verdict is set, or the IUT is gone */

/* Where the IUT is a driver: what its scenarios speak of, and where what they do goes. */
struct pl_run_far {
    /* False where the name means nothing there. */
    bool (*name)(void *opaque, const struct pl_meaning *meaning, uint64_t *value);
    int (*transmit)(void *opaque, const void *bytes, size_t n); /* 0 or a negative errno */
    bool (*control)(void *opaque, const char *line);            /* of the device */
    void *opaque;
};

struct run {
    const struct pl_run_far *far; /* NULL: the IUT is a device */
    struct pl_session *s;
    const struct pl_scenarios *all;
    const struct pl_scenario *scenario;
    const struct pl_combination *combination;
    struct pl_run_result *result;
    uint64_t random;
    bool control_ok, control_unsupported;
    bool announced;              /* the last await_event got what was due */
    bool reached;                /* the status came to what was last awaited of it */
    bool io_ok;                  /* the last await_used got all, the last idle saw nothing */
    bool burst;                  /* nothing is waited for */
    uint64_t set[VARS_MAX / 64]; /* which variables have a value */
    uint64_t variable[VARS_MAX];
    enum pl_bus_side side; /* of a bus under test: where messages are put in */
};

/* Evaluate an expression; `why` says what has no value. */
bool pl_run_evaluate(struct run *r, const struct pl_expr *expr, uint64_t *value, char *why,
                     size_t cap);
/* The same within a step: what cannot be had from an absent answer makes the run inconclusive. */
enum outcome pl_run_value(struct run *r, const struct pl_step *step, const struct pl_expr *expr,
                          uint64_t *value);
/* Set the verdict and its reason; always STOP. */
__attribute__((format(printf, 3, 4))) enum outcome
pl_run_stop(struct run *r, enum pl_scenario_verdict verdict, const char *format, ...);
/* Element i, `width` bytes wide, of the last response's array; 0 beyond its end. */
uint64_t pl_run_element(struct run *r, uint64_t i, unsigned width);
/* The run's next random number. */
uint64_t pl_run_random(struct run *r);
/* Names and functions of expressions; opaque is the run. */
bool pl_run_name(void *opaque, const struct pl_expr_name *name, uint64_t *value, char *why,
                 size_t cap);
bool pl_run_call(void *opaque, const struct pl_expr_name *name, const uint64_t *a, size_t n,
                 uint64_t *value, char *why, size_t cap);
/* A variable or parameter (names.h); false where nobody has set it. */
bool pl_run_variable(const struct run *r, unsigned variable, uint64_t *value);
/* Set a variable; false where there are too many. */
bool pl_run_set(struct run *r, unsigned variable, uint64_t value);

/* One parameter value each, by the number of a choice; into the result's text, too. */
enum outcome pl_run_bind(struct run *r, size_t choice);
enum outcome pl_run_steps(struct run *r, const struct pl_steps *steps);
uint64_t pl_run_seed(const struct pl_scenario *scenario, size_t choice, uint64_t seed);
/*
 * Where msg_size is the framing, a message that lies about its size, or is too large, ends the
 * conversation: it is not sent there.
 */
bool pl_run_carried(const struct run *r, const void *bytes, size_t n);
enum outcome pl_run_transmit(struct run *r, const void *bytes, size_t n);
/*
 * Put a message together, bent where the step says so. `m` holds what the step does not name: its
 * kind, and with data not NULL the array. Into out (PL_MSG_MAX + 1 bytes); *n its size.
 */
enum outcome pl_run_build(struct run *r, const struct pl_step *step, struct pl_msg *m, uint8_t *out,
                          size_t *n);
enum outcome pl_run_send(struct run *r, const struct pl_step *step);
enum outcome pl_run_control(struct run *r, const struct pl_step *step);
/* A step on virtqueues; what the words ring.X and io.X stand for, and functions on them. */
enum outcome pl_run_vq(struct run *r, const struct pl_step *step);
bool pl_run_vq_word(struct run *r, enum pl_word word, uint64_t *value);
bool pl_run_vq_call(struct run *r, enum pl_word word, const uint64_t *a, size_t n, uint64_t *value);

/* A step of a bus's scenario; names that only these have. False: it is none of them. */
bool pl_run_bus(struct run *r, const struct pl_step *step, enum outcome *way);
bool pl_run_bus_name(struct run *r, const char *name, uint64_t *value);
bool pl_run_bus_call(struct run *r, const char *name, const uint64_t *a, size_t n, uint64_t *value);
enum outcome pl_run_bus_transmit(struct run *r, const void *bytes, size_t n);
enum outcome pl_run_steps(struct run *r, const struct pl_steps *steps);

#endif
