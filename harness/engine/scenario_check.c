/* Checks that need all scenario files together: procedures, names and functions of expressions. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/dimension.h"
#include "engine/scenario.h"

enum { CALLS_MAX = 10000, DEPTH_MAX = 16, NAMES_MAX = 1024 };

/* What a run knows without anybody having set it. */
static const char *const run_names[] = {
    "max_msg_size", "strict",     "exhaustive", "outstanding", "dev",    "mem_base",  "mem_size",
    "has_control",  "control_ok", "answered",   "round",       "min()",  "max()",     "if()",
    "pow2()",       "random()",   "word()",     "byte()",      "swap()", "announced", NULL};

/* The same of the virtqueues that a scenario works with. */
static const char *const io_names[] = {
    "ring.desc", "ring.driver", "ring.device", "ring.size",  "ring.room", "ring.held", "ring.next",
    "io.ok",     "io.used",     "io.events",   "io.written", "io.length", "io.out",    "io.in",
    "io.table",  "io.byte()",   "io.u16()",    "io.u32()",   "io.u64()",  "io.same()", "mem.byte()",
    "mem.u16()", "mem.u32()",   "mem.u64()",   NULL};

struct check {
    const struct pl_scenarios *s;
    char *error;
    size_t cap;
    const char *names[NAMES_MAX]; /* variables and parameters, wherever they are set */
    size_t n_names;
    const struct pl_yaml *at; /* of the expression at hand */
    bool good;
    unsigned calls;
};

/* --- procedures --- */

static bool check_calls(struct check *c, const struct pl_steps *steps, unsigned depth);

static bool check_call(struct check *c, const struct pl_step *step, unsigned depth)
{
    const struct pl_procedure *p = pl_scenarios_procedure(c->s, step->name);
    if (!p)
        return pl_yaml_error(step->at, c->error, c->cap, "there is no procedure '%s'", step->name);
    if (depth >= DEPTH_MAX || ++c->calls > CALLS_MAX)
        return pl_yaml_error(step->at, c->error, c->cap,
                             "procedure '%s' calls itself, or too many others", step->name);
    return check_calls(c, p->steps, depth + 1);
}

static bool check_calls(struct check *c, const struct pl_steps *steps, unsigned depth)
{
    for (size_t i = 0; steps && i < steps->n; i++) {
        const struct pl_step *step = &steps->step[i];
        if (step->op == PL_STEP_CALL && !check_call(c, step, depth))
            return false;
        if (!check_calls(c, step->then, depth) || !check_calls(c, step->otherwise, depth))
            return false;
    }
    return true;
}

/* --- names --- */

static bool is_listed(const char *const *list, const char *name)
{
    for (; *list; list++)
        if (strcmp(*list, name) == 0)
            return true;
    return false;
}

static bool is_known(const struct check *c, const char *name)
{
    uint64_t value;
    if (is_listed(run_names, name) || is_listed(io_names, name))
        return true;
    for (size_t i = 0; i < PL_DIMENSIONS; i++)
        if (strcmp(pl_dimensions[i].name, name) == 0)
            return true;
    for (size_t i = 0; i < c->n_names; i++)
        if (strcmp(c->names[i], name) == 0)
            return true;
    return pl_spec_constant(c->s->spec, name, &value);
}

static bool has_field(const struct pl_spec *spec, const char *field)
{
    for (size_t i = 0; i < spec->n_messages; i++) {
        const struct pl_layout *parts[] = {spec->messages[i].request, spec->messages[i].response};
        for (size_t k = 0; k < 2; k++)
            for (size_t f = 0; parts[k] && f < parts[k]->n_fields; f++)
                if (strcmp(parts[k]->fields[f].name, field) == 0)
                    return true;
    }
    return strcmp(field, "size") == 0 || strcmp(field, "data_len") == 0;
}

static void check_name(void *opaque, const char *name)
{
    struct check *c = opaque;
    if (!c->good)
        return;
    if (strncmp(name, "info.", 5) == 0 || strncmp(name, "resp.", 5) == 0)
        c->good = has_field(c->s->spec, name + 5);
    else
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

static void collect_names(struct check *c, const struct pl_steps *steps)
{
    for (size_t i = 0; steps && i < steps->n; i++) {
        const struct pl_step *step = &steps->step[i];
        for (size_t k = 0; step->op == PL_STEP_LET && k < step->n_assign; k++)
            if (c->n_names < NAMES_MAX && !is_known(c, step->assign[k].name))
                c->names[c->n_names++] = step->assign[k].name;
        collect_names(c, step->then);
        collect_names(c, step->otherwise);
    }
}

/* --- all of it --- */

static bool check_scenario(struct check *c, const struct pl_scenario *scenario)
{
    for (size_t k = 0; scenario->given && scenario->given[k]; k++)
        if (!pl_scenarios_procedure(c->s, scenario->given[k]))
            return pl_yaml_error(scenario->at, c->error, c->cap,
                                 "scenario '%s': there is no procedure '%s'", scenario->name,
                                 scenario->given[k]);
    for (size_t i = 0; i < scenario->n_with; i++)
        for (size_t k = 0; k < scenario->with[i].n; k++)
            if (!check_expr(c, scenario->at, scenario->with[i].value[k]))
                return false;
    c->calls = 0;
    return check_expr(c, scenario->at, scenario->when) &&
           check_expr(c, scenario->at, scenario->needs) && check_calls(c, scenario->steps, 0) &&
           check_names(c, scenario->steps);
}

static void collect(struct check *c)
{
    for (size_t i = 0; i < c->s->n_procedures; i++)
        collect_names(c, c->s->procedures[i].steps);
    for (size_t i = 0; i < c->s->n; i++) {
        const struct pl_scenario *scenario = &c->s->list[i];
        collect_names(c, scenario->steps);
        for (size_t k = 0; k < scenario->n_with; k++)
            if (c->n_names < NAMES_MAX && !is_known(c, scenario->with[k].name))
                c->names[c->n_names++] = scenario->with[k].name;
    }
}

bool pl_scenarios_check(const struct pl_scenarios *s, char *error, size_t cap)
{
    struct check *c = calloc(1, sizeof(*c));
    if (!c) {
        snprintf(error, cap, "out of memory");
        return false;
    }
    *c = (struct check){.s = s, .error = error, .cap = cap, .good = true};
    collect(c);
    bool good = true;
    for (size_t i = 0; good && i < s->n_procedures; i++) {
        c->calls = 0;
        good = check_calls(c, s->procedures[i].steps, 0) && check_names(c, s->procedures[i].steps);
    }
    for (size_t i = 0; good && i < s->n; i++)
        good = check_scenario(c, &s->list[i]);
    free(c);
    return good;
}
