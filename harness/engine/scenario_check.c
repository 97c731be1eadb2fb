/* Checks that need all scenario files together: procedures, names and functions of expressions. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/scenario_load.h"

enum { CALLS_MAX = 10000, DEPTH_MAX = 16 };

/* What only runs of buses know. */
static const char *const bus_names[] = {
    "other",       "nobody",        "spare",       "devices",        "fits",
    "over",        "bus.forwarded", "bus.told",    "bus.failures",   "bus.added",
    "bus.removed", "bus.shown()",   "bus.known()", "bus.supports()", "bus.uses_events",
    "bus.patient", "bus.turn",      NULL};

struct check {
    struct pl_scenarios *s;
    char *error;
    size_t cap;
    const struct pl_yaml *at; /* of the expression at hand */
    bool good;
    bool bus; /* names of a bus under test are known, too */
    unsigned calls;
};

/* --- procedures --- */

static bool check_calls(struct check *c, const struct pl_steps *steps, unsigned depth);

static bool check_call(struct check *c, struct pl_step *step, unsigned depth)
{
    const struct pl_procedure *p = pl_scenarios_procedure(c->s, step->name);
    if (!p)
        return pl_yaml_error(step->at, c->error, c->cap, "there is no procedure '%s'", step->name);
    if (depth >= DEPTH_MAX || ++c->calls > CALLS_MAX)
        return pl_yaml_error(step->at, c->error, c->cap,
                             "procedure '%s' calls itself, or too many others", step->name);
    step->called = p;
    return check_calls(c, p->steps, depth + 1);
}

static bool check_calls(struct check *c, const struct pl_steps *steps, unsigned depth)
{
    for (size_t i = 0; steps && i < steps->n; i++) {
        struct pl_step *step = &steps->step[i];
        if (step->op == PL_STEP_CALL && !check_call(c, step, depth))
            return false;
        if (!check_calls(c, step->then, depth) || !check_calls(c, step->otherwise, depth))
            return false;
    }
    return true;
}

/* --- names --- */

static bool is_known(const struct check *c, const char *name)
{
    for (size_t i = 0; c->bus && bus_names[i]; i++)
        if (strcmp(bus_names[i], name) == 0)
            return true;
    const struct pl_meaning meaning = pl_meaning_of(c->s->spec, name);
    unsigned number = pl_names_find(&c->s->names, name);
    if (meaning.means >= PL_MEANS_INFO && meaning.means <= PL_MEANS_REQUEST)
        return meaning.field != PL_F_none || meaning.own != PL_OWN_NOTHING;
    return meaning.means != PL_MEANS_NOTHING ||
           (number && c->s->names.list[number - 1].variable != 0);
}

static void check_name(void *opaque, const char *name)
{
    struct check *c = opaque;
    if (!c->good)
        return;
    c->good = is_known(c, name);
    if (!c->good)
        pl_yaml_error(c->at, c->error, c->cap, "nobody knows the name '%s'", name);
}

static bool check_expr(struct check *c, const struct pl_yaml *at, const struct pl_expr *expr)
{
    c->at = at;
    if (expr)
        pl_expr_names(expr, check_name, c);
    return c->good;
}

static bool check_buffer_names(struct check *c, const struct pl_yaml *at,
                               const struct pl_buffer_def *buffer)
{
    bool good = check_expr(c, at, buffer->count) && check_expr(c, at, buffer->times);
    for (size_t i = 0; good && i < buffer->n_pieces; i++)
        good =
            check_expr(c, at, buffer->piece[i].value) && check_expr(c, at, buffer->piece[i].count);
    return good;
}

static bool check_vq_names(struct check *c, const struct pl_yaml *at, const struct pl_vq_step *io)
{
    bool good = true;
    for (size_t i = 0; good && i < PL_VQ_ARGS; i++)
        good = check_expr(c, at, io->arg[i]);
    for (size_t i = 0; good && i < io->n_buffers; i++)
        good = check_buffer_names(c, at, &io->buffer[i]);
    return good;
}

static bool check_step_names(struct check *c, const struct pl_step *step)
{
    bool good = check_expr(c, step->at, step->expr);
    for (size_t i = 0; good && i < step->n_assign; i++)
        good = check_expr(c, step->at, step->assign[i].value);
    for (size_t i = 0; good && i < step->n_items; i++)
        good = check_expr(c, step->at, step->items[i]);
    return good && (!step->io || check_vq_names(c, step->at, step->io));
}

static bool check_names(struct check *c, const struct pl_steps *steps)
{
    for (size_t i = 0; steps && i < steps->n; i++)
        if (!check_step_names(c, &steps->step[i]) || !check_names(c, steps->step[i].then) ||
            !check_names(c, steps->step[i].otherwise))
            return false;
    return true;
}

/* --- all of it --- */

static bool check_provocation(struct check *c, const struct pl_scenario *scenario)
{
    const struct pl_provocation *p = scenario->drive;
    c->calls = 0;
    return !p || (check_expr(c, scenario->at, p->when) && check_expr(c, scenario->at, p->late) &&
                  check_expr(c, scenario->at, p->fail) && check_calls(c, p->before, 0) &&
                  check_calls(c, p->after, 0) && check_names(c, p->before) &&
                  check_names(c, p->after) && (!p->answer || check_step_names(c, p->answer)) &&
                  (!p->request || check_step_names(c, p->request)));
}

static bool find_given(struct check *c, struct pl_scenario *scenario)
{
    size_t n = 0;
    while (scenario->given && scenario->given[n])
        n++;
    scenario->begun = pl_load_keep(c->s, n, sizeof(const struct pl_procedure *));
    for (size_t k = 0; k < n; k++) {
        scenario->begun[k] = pl_scenarios_procedure(c->s, scenario->given[k]);
        if (!scenario->begun[k])
            return pl_yaml_error(scenario->at, c->error, c->cap,
                                 "scenario '%s': there is no procedure '%s'", scenario->name,
                                 scenario->given[k]);
    }
    return true;
}

static bool check_scenario(struct check *c, struct pl_scenario *scenario)
{
    if (!find_given(c, scenario))
        return false;
    for (size_t i = 0; i < scenario->n_with; i++)
        for (size_t k = 0; k < scenario->with[i].n; k++)
            if (!check_expr(c, scenario->at, scenario->with[i].value[k]))
                return false;
    c->calls = 0;
    return check_expr(c, scenario->at, scenario->when) &&
           check_expr(c, scenario->at, scenario->needs) && check_calls(c, scenario->steps, 0) &&
           check_names(c, scenario->steps) && check_provocation(c, scenario);
}

bool pl_scenarios_check(struct pl_scenarios *s, char *error, size_t cap)
{
    struct check *c = calloc(1, sizeof(*c));
    if (!c) {
        snprintf(error, cap, "out of memory");
        return false;
    }
    *c = (struct check){.s = s, .error = error, .cap = cap, .good = true};
    bool good = true;
    for (size_t i = 0; good && i < s->n_procedures; i++) {
        c->calls = 0;
        good = check_calls(c, s->procedures[i].steps, 0) && check_names(c, s->procedures[i].steps);
    }
    for (size_t i = 0; good && i < s->n; i++)
        good = check_scenario(c, &s->list[i]);
    c->bus = true;
    for (size_t i = 0; good && i < s->n_bus; i++)
        good = check_scenario(c, &s->bus_list[i]);
    free(c);
    return good;
}
