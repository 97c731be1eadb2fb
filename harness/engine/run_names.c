/* What names and functions of scenario expressions mean, and verdicts on the way. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "engine/run_private.h"

/* --- names --- */

static bool fail_name(char *why, size_t cap, const char *format, const char *name)
{
    snprintf(why, cap, format, name);
    return false;
}

bool pl_run_variable(const struct run *r, const char *name, uint64_t *value)
{
    for (size_t i = 0; i < r->n_vars; i++) {
        if (strcmp(r->vars[i].name, name) == 0) {
            *value = r->vars[i].value;
            return true;
        }
    }
    return false;
}

bool pl_run_set(struct run *r, const char *name, uint64_t value)
{
    for (size_t i = 0; i < r->n_vars; i++) {
        if (strcmp(r->vars[i].name, name) == 0) {
            r->vars[i].value = value;
            return true;
        }
    }
    if (r->n_vars == VARS_MAX)
        return false;
    r->vars[r->n_vars++] = (struct variable){name, value};
    return true;
}

static bool field_of(const struct pl_msg *m, const char *name, uint64_t *value)
{
    const struct pl_layout *layout = pl_msg_layout(m);
    for (size_t i = 0; layout && i < layout->n_fields; i++) {
        if (strcmp(layout->fields[i].name, name) == 0) {
            *value = m->f[layout->fields[i].field];
            return true;
        }
    }
    if (strcmp(name, "size") == 0)
        *value = m->size;
    else if (strcmp(name, "data_len") == 0)
        *value = m->data_len;
    else
        return false;
    return true;
}

static bool name_info(struct run *r, const char *field, uint64_t *value, char *why, size_t cap)
{
    const struct pl_msg *info = pl_oracle_info(r->s->oracle, r->combination->dev_num);
    if (!info)
        return fail_name(why, cap, "info.%s: GET_DEVICE_INFO was not answered", field);
    return field_of(info, field, value) ||
           fail_name(why, cap, "GET_DEVICE_INFO has no field '%s'", field);
}

static bool name_response(struct run *r, const char *field, uint64_t *value, char *why, size_t cap)
{
    pl_session_flush(r->s);
    if (!r->s->answered)
        return fail_name(why, cap, "resp.%s: the request was not answered", field);
    return field_of(&r->s->last, field, value) ||
           fail_name(why, cap, "the response has no field '%s'", field);
}

static bool name_of_dimension(const struct run *r, const char *name, uint64_t *value)
{
    for (size_t i = 0; i < PL_DIMENSIONS; i++) {
        if (strcmp(name, pl_dimensions[i].name) == 0) {
            *value = r->combination->dimension[i];
            return true;
        }
    }
    return false;
}

static bool name_of_run(struct run *r, const char *name, uint64_t *value)
{
    const struct pl_session *s = r->s;
    if (strcmp(name, "max_msg_size") == 0)
        *value = s->bus.max_msg_size;
    else if (strcmp(name, "strict") == 0)
        *value = s->bus.features >> PL_C_TF_STRICT_CONFIG_GENERATION & 1;
    else if (strcmp(name, "outstanding") == 0)
        *value = r->combination->outstanding;
    else if (strcmp(name, "exhaustive") == 0)
        *value = r->combination->exhaustive;
    else if (strcmp(name, "dev") == 0)
        *value = r->combination->dev_num;
    else if (strcmp(name, "announced") == 0)
        *value = r->announced;
    else if (strcmp(name, "mem_base") == 0)
        *value = s->port->mem_base;
    else if (strcmp(name, "mem_size") == 0)
        *value = s->port->mem_size;
    else if (strcmp(name, "has_control") == 0)
        *value = s->port->has_control;
    else if (strcmp(name, "control_ok") == 0)
        *value = r->control_ok;
    else if (strcmp(name, "answered") == 0) {
        pl_session_flush(r->s);
        *value = s->answered;
    } else
        return false;
    return true;
}

bool pl_run_name(void *opaque, const char *name, uint64_t *value, char *why, size_t cap)
{
    struct run *r = opaque;
    if (pl_run_variable(r, name, value) || name_of_run(r, name, value) ||
        name_of_dimension(r, name, value) || pl_run_vq_name(r, name, value))
        return true;
    if (strncmp(name, "info.", 5) == 0)
        return name_info(r, name + 5, value, why, cap);
    if (strncmp(name, "resp.", 5) == 0)
        return name_response(r, name + 5, value, why, cap);
    return pl_spec_constant(r->s->spec, name, value) ||
           fail_name(why, cap, "unknown name '%s'", name);
}

/* --- functions --- */

uint64_t pl_run_random(struct run *r)
{
    r->random ^= r->random << 13;
    r->random ^= r->random >> 7;
    r->random ^= r->random << 17;
    return r->random;
}

/* Element i, `width` bytes wide, of the last response's array; 0 beyond its end. */
uint64_t pl_run_element(struct run *r, uint64_t i, unsigned width)
{
    uint64_t value = 0;
    pl_session_flush(r->s);
    const struct pl_msg *m = &r->s->last;
    if (!r->s->answered || i > UINT16_MAX || (i + 1) * width > m->data_len)
        return 0;
    for (unsigned b = 0; b < width; b++)
        value |= (uint64_t)m->data[i * width + b] << (8 * b);
    return value;
}

static uint64_t floor_pow2(uint64_t v)
{
    uint64_t p = 1;
    if (!v)
        return 0;
    while (p <= v / 2)
        p *= 2;
    return p;
}

bool pl_run_call(void *opaque, const char *name, const uint64_t *a, size_t n, uint64_t *value,
                 char *why, size_t cap)
{
    struct run *r = opaque;
    if (pl_run_vq_call(r, name, a, n, value))
        return true;
    if (n == 2 && strcmp(name, "min") == 0)
        *value = a[0] < a[1] ? a[0] : a[1];
    else if (n == 2 && strcmp(name, "max") == 0)
        *value = a[0] > a[1] ? a[0] : a[1];
    else if (n == 3 && strcmp(name, "if") == 0)
        *value = a[0] ? a[1] : a[2];
    else if (n == 1 && strcmp(name, "pow2") == 0)
        *value = floor_pow2(a[0]);
    else if (n == 1 && strcmp(name, "random") == 0)
        *value = a[0] ? pl_run_random(r) % a[0] : pl_run_random(r);
    else if (n == 1 && strcmp(name, "swap") == 0)
        *value = __builtin_bswap32((uint32_t)a[0]);
    else if (n == 1 && strcmp(name, "word") == 0)
        *value = pl_run_element(r, a[0], 4);
    else if (n == 1 && strcmp(name, "byte") == 0)
        *value = pl_run_element(r, a[0], 1);
    else {
        snprintf(why, cap, "unknown function '%s' with %zu arguments", name, n);
        return false;
    }
    return true;
}

/* --- verdicts on the way --- */

enum outcome pl_run_stop(struct run *r, enum pl_scenario_verdict verdict, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(r->result->reason, sizeof(r->result->reason), format, args);
    va_end(args);
    r->result->verdict = verdict;
    return STOP;
}

bool pl_run_evaluate(struct run *r, const struct pl_expr *expr, uint64_t *value, char *why,
                     size_t cap)
{
    struct pl_expr_env env = {pl_run_name, pl_run_call, r};
    return pl_expr_eval(expr, &env, value, why, cap);
}

/* Evaluate within a step: what cannot be had from an absent answer makes it inconclusive. */
enum outcome pl_run_value(struct run *r, const struct pl_step *step, const struct pl_expr *expr,
                          uint64_t *value)
{
    char why[160];
    if (pl_run_evaluate(r, expr, value, why, sizeof(why)))
        return GO_ON;
    bool open = strstr(why, "answered") != NULL;
    return pl_run_stop(r, open ? PL_SCENARIO_INCONCLUSIVE : PL_SCENARIO_ERROR, "%s:%d: %s",
                       step->at->file, step->at->line, why);
}
