/* The interpreter of scenarios: steps, preconditions and parameters of one run. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "engine/run_private.h"

enum { REPEAT_MAX = 100000 };

/* --- steps --- */

static enum outcome run_require(struct run *r, const struct pl_step *step)
{
    uint64_t v;
    if (pl_run_value(r, step, step->expr, &v) == STOP)
        return STOP;
    return v ? GO_ON
             : pl_run_stop(r, PL_SCENARIO_INCONCLUSIVE, "%s:%d: the IUT went another way: not %s",
                           step->at->file, step->at->line, pl_expr_text(step->expr));
}

/* What the names of an expression stand for, for the report. */
struct values {
    struct run *r;
    char text[256];
};

static void add_value(void *opaque, const char *name)
{
    struct values *values = opaque;
    const struct pl_expr_name as = {name, pl_names_find(&values->r->all->names, name)};
    char why[160], one[96];
    uint64_t v;
    size_t n = strlen(values->text);
    if (strchr(name, '(') || !pl_run_name(values->r, &as, &v, why, sizeof(why)))
        return;
    snprintf(one, sizeof(one), v < 10 ? "%s is %" PRIu64 : "%s is 0x%" PRIx64, name, v);
    if (!strstr(values->text, one))
        snprintf(values->text + n, sizeof(values->text) - n, "%s%s", n ? ", " : "; ", one);
}

static enum outcome run_expect(struct run *r, const struct pl_step *step)
{
    struct values values = {.r = r};
    uint64_t v;
    if (pl_run_value(r, step, step->expr, &v) == STOP)
        return STOP;
    if (!v)
        pl_expr_names(step->expr, add_value, &values);
    pl_session_tell(r->s, "expected %s %d expected: %s%s",
                    pl_clauses_get(r->all->clauses, (size_t)step->clause)->id, v != 0,
                    pl_expr_text(step->expr), values.text);
    return GO_ON;
}

static enum outcome run_let(struct run *r, const struct pl_step *step)
{
    for (size_t i = 0; i < step->n_assign; i++) {
        uint64_t v;
        if (pl_run_value(r, step, step->assign[i].value, &v) == STOP)
            return STOP;
        if (!pl_run_set(r, step->assign[i].variable, v))
            return pl_run_stop(r, PL_SCENARIO_ERROR, "%s:%d: too many variables", step->at->file,
                               step->at->line);
    }
    return GO_ON;
}

static enum outcome run_repeat(struct run *r, const struct pl_step *step)
{
    uint64_t times;
    if (pl_run_value(r, step, step->expr, &times) == STOP)
        return STOP;
    for (uint64_t i = 0; i < times && i < REPEAT_MAX; i++) {
        pl_run_set(r, PL_VAR_ROUND, i);
        if (pl_run_steps(r, step->then) == STOP)
            return STOP;
    }
    return GO_ON;
}

static enum outcome run_if(struct run *r, const struct pl_step *step)
{
    uint64_t v;
    if (pl_run_value(r, step, step->expr, &v) == STOP)
        return STOP;
    const struct pl_steps *branch = v ? step->then : step->otherwise;
    return branch ? pl_run_steps(r, branch) : GO_ON;
}

/* What is sent meanwhile races: nothing is waited for before the last of it is under way. */
static enum outcome run_burst(struct run *r, const struct pl_step *step)
{
    bool outer = r->burst;
    r->burst = true;
    enum outcome way = pl_run_steps(r, step->then);
    r->burst = outer;
    if (way == GO_ON && !outer)
        pl_session_flush(r->s);
    return way;
}

/* Suspended: SUSPEND is set and DRIVER_OK is clear; resumed: the other way round. */
static int await_status(struct run *r, enum pl_step_op op)
{
    uint32_t is = PL_C_STATUS_DRIVER_OK;
    if (op == PL_STEP_AWAIT_SUSPENDED)
        is = PL_C_STATUS_SUSPEND;
    int err = pl_session_flush(r->s);
    if (err != -EPIPE)
        err = pl_session_await_status(r->s, PL_C_STATUS_SUSPEND | PL_C_STATUS_DRIVER_OK, is);
    r->reached = !err;
    return err;
}

static enum outcome run_wait(struct run *r, enum pl_step_op op)
{
    int err;
    unsigned misses = r->s->misses;
    if (op == PL_STEP_FENCE)
        err = pl_session_fence(r->s);
    else if (op == PL_STEP_AWAIT_EVENT)
        err = pl_session_await_event(r->s);
    else if (op != PL_STEP_AWAIT_RESET)
        err = await_status(r, op);
    else
        err = pl_session_flush(r->s) == -EPIPE ? -EPIPE : pl_session_await_reset(r->s);
    if (op == PL_STEP_AWAIT_EVENT)
        r->announced = !err && r->s->misses == misses;
    if (op == PL_STEP_AWAIT_RESET && err == -ETIMEDOUT)
        return pl_run_stop(r, PL_SCENARIO_INCONCLUSIVE, "the reset does not end");
    if (err == -EPIPE || r->s->stuck || !r->s->alive)
        return pl_run_stop(r, PL_SCENARIO_INCONCLUSIVE, "the IUT is gone or hangs");
    return GO_ON;
}

static enum outcome run_step(struct run *r, const struct pl_step *step)
{
    enum outcome way;
    if (r->s->bus_run && pl_run_bus(r, step, &way))
        return way;
    switch (step->op) {
    case PL_STEP_SEND:
        return pl_run_send(r, step);
    case PL_STEP_RAW:
        return pl_run_transmit(r, step->hex, step->hex_len);
    case PL_STEP_CALL:
        return pl_run_steps(r, step->called->steps);
    case PL_STEP_CONTROL:
        return pl_run_control(r, step);
    case PL_STEP_REQUIRE:
        return run_require(r, step);
    case PL_STEP_EXPECT:
        return run_expect(r, step);
    case PL_STEP_LET:
        return run_let(r, step);
    case PL_STEP_REPEAT:
        return run_repeat(r, step);
    case PL_STEP_IF:
        return run_if(r, step);
    case PL_STEP_BURST:
        return run_burst(r, step);
    case PL_STEP_RING:
    case PL_STEP_CHAIN:
    case PL_STEP_PUBLISH:
    case PL_STEP_KICK:
    case PL_STEP_AWAIT_USED:
    case PL_STEP_IDLE:
    case PL_STEP_NOTIFY:
    case PL_STEP_POKE:
        return pl_run_vq(r, step);
    default:
        return run_wait(r, step->op);
    }
}

enum outcome pl_run_steps(struct run *r, const struct pl_steps *steps)
{
    for (size_t i = 0; i < steps->n; i++)
        if (run_step(r, &steps->step[i]) == STOP)
            return STOP;
    return GO_ON;
}

/* --- one whole run --- */

size_t pl_run_choices(const struct pl_scenario *scenario)
{
    size_t n = 1;
    for (size_t i = 0; i < scenario->n_with; i++)
        n *= scenario->with[i].n;
    return n;
}

enum outcome pl_run_bind(struct run *r, size_t choice)
{
    size_t at = 0;
    for (size_t i = 0; i < r->scenario->n_with; i++) {
        const struct pl_parameter *p = &r->scenario->with[i];
        uint64_t v;
        char why[160];
        if (!pl_run_evaluate(r, p->value[choice % p->n], &v, why, sizeof(why)))
            return pl_run_stop(r, strstr(why, "answered") ? PL_SCENARIO_SKIPPED : PL_SCENARIO_ERROR,
                               "%s: parameter '%s': %s", r->scenario->file, p->name, why);
        choice /= p->n;
        pl_run_set(r, p->variable, v);
        int n = snprintf(r->result->parameters + at, sizeof(r->result->parameters) - at,
                         v < 10 ? "%s%s=%" PRIu64 : "%s%s=0x%" PRIx64, at ? " " : "", p->name, v);
        if (n > 0 && at + (size_t)n < sizeof(r->result->parameters))
            at += (size_t)n;
    }
    return GO_ON;
}

static enum outcome run_given(struct run *r)
{
    for (size_t i = 0; r->scenario->given && r->scenario->given[i]; i++)
        if (pl_run_steps(r, r->scenario->begun[i]->steps) == STOP) {
            if (r->result->verdict == PL_SCENARIO_INCONCLUSIVE)
                r->result->verdict = PL_SCENARIO_SKIPPED;
            return STOP;
        }
    return GO_ON;
}

static enum outcome run_needs(struct run *r)
{
    uint64_t v;
    char why[160];
    if (!r->scenario->needs)
        return GO_ON;
    if (!pl_run_evaluate(r, r->scenario->needs, &v, why, sizeof(why)))
        return pl_run_stop(r, strstr(why, "answered") ? PL_SCENARIO_SKIPPED : PL_SCENARIO_ERROR,
                           "%s: needs: %s", r->scenario->file, why);
    return v ? GO_ON
             : pl_run_stop(r, PL_SCENARIO_SKIPPED, "needs %s", pl_expr_text(r->scenario->needs));
}

uint64_t pl_run_seed(const struct pl_scenario *scenario, size_t choice, uint64_t seed)
{
    uint64_t h = 1469598103934665603u ^ seed;
    for (const char *p = scenario->name; *p; p++)
        h = (h ^ (uint8_t)*p) * 1099511628211u;
    h = (h ^ choice) * 1099511628211u;
    return h ? h : 1;
}

/* The values of variables are left as they are: what tells that there are any is clear. */
static void begin(struct run *r, struct pl_session *s, const struct pl_scenarios *all,
                  const struct pl_scenario *scenario, const struct pl_combination *combination)
{
    memset(r, 0, offsetof(struct run, variable));
    r->s = s;
    r->all = all;
    r->scenario = scenario;
    r->combination = combination;
}

bool pl_run_applies(struct pl_session *s, const struct pl_scenarios *all,
                    const struct pl_scenario *scenario, const struct pl_combination *combination)
{
    struct pl_run_result result = {0};
    struct run r;
    uint64_t v;
    char why[160];
    if (!scenario->when)
        return true;
    begin(&r, s, all, scenario, combination);
    r.result = &result;
    return !pl_run_evaluate(&r, scenario->when, &v, why, sizeof(why)) || v;
}

void pl_run_once(struct pl_session *s, const struct pl_scenarios *all,
                 const struct pl_scenario *scenario, size_t choice,
                 const struct pl_combination *combination, struct pl_run_result *result)
{
    struct run r;
    struct pl_combination single = *combination;
    begin(&r, s, all, scenario, combination);
    r.result = result;
    r.random = pl_run_seed(scenario, choice, combination->seed);
    memset(result, 0, sizeof(*result));
    result->verdict = PL_SCENARIO_PASS;
    pl_session_begin(s);
    s->dev_num = combination->dev_num;
    if (pl_vq_there(s))
        pl_vq_begin(pl_vq_there(s), r.random);
    single.outstanding = 1; /* preconditions are reached one request at a time */
    r.combination = &single;
    enum outcome way = run_given(&r);
    r.combination = combination;
    if (way == GO_ON && run_needs(&r) == GO_ON && pl_run_bind(&r, choice) == GO_ON)
        pl_run_steps(&r, scenario->steps);
    if (pl_vq_there(s))
        pl_vq_end(pl_vq_there(s));
    if (s->alive && !s->stuck && pl_session_await_event(s) == 0)
        pl_session_tell(s, "settle");
}
