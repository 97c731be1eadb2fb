/* What the interpreter's files share: one run, its variables, and its ways to stop. */
#ifndef PL_RUN_PRIVATE_H
#define PL_RUN_PRIVATE_H

#include "engine/run.h"
#include "engine/vq.h"

enum { VARS_MAX = 96 };

enum outcome { GO_ON, STOP }; /* STOP: the verdict is set, or the IUT is gone */

struct variable {
    const char *name;
    uint64_t value;
};

struct run {
    struct pl_session *s;
    const struct pl_scenarios *all;
    const struct pl_scenario *scenario;
    const struct pl_combination *combination;
    struct pl_run_result *result;
    struct variable vars[VARS_MAX];
    size_t n_vars;
    uint64_t random;
    bool control_ok, control_unsupported;
    bool announced; /* the last await_event got what was due */
    bool io_ok;     /* the last await_used got all, the last idle saw nothing */
    bool burst;     /* nothing is waited for */
    int next_token; /* -1: the session's own */
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
bool pl_run_name(void *opaque, const char *name, uint64_t *value, char *why, size_t cap);
bool pl_run_call(void *opaque, const char *name, const uint64_t *a, size_t n, uint64_t *value,
                 char *why, size_t cap);
/* A variable or parameter; false where nobody has set it. */
bool pl_run_variable(const struct run *r, const char *name, uint64_t *value);
/* Set a variable; false where there are too many. */
bool pl_run_set(struct run *r, const char *name, uint64_t value);

enum outcome pl_run_transmit(struct run *r, const void *bytes, size_t n);
enum outcome pl_run_send(struct run *r, const struct pl_step *step);
enum outcome pl_run_control(struct run *r, const struct pl_step *step);
/* A step on virtqueues; names that begin with "ring." or "io.", and functions on them. */
enum outcome pl_run_vq(struct run *r, const struct pl_step *step);
bool pl_run_vq_name(struct run *r, const char *name, uint64_t *value);
bool pl_run_vq_call(struct run *r, const char *name, const uint64_t *a, size_t n, uint64_t *value);

#endif
