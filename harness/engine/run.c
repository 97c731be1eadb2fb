/* The interpreter of scenarios: names and functions of expressions, messages with bends, steps. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/run.h"

enum { VARS_MAX = 48, REPEAT_MAX = 100000, CONFIG_WORDS = 16 };

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
    int next_token; /* -1: the session's own */
};

static enum outcome run_steps(struct run *r, const struct pl_steps *steps);

/* --- names --- */

static bool fail_name(char *why, size_t cap, const char *format, const char *name)
{
    snprintf(why, cap, format, name);
    return false;
}

static bool find_variable(const struct run *r, const char *name, uint64_t *value)
{
    for (size_t i = 0; i < r->n_vars; i++) {
        if (strcmp(r->vars[i].name, name) == 0) {
            *value = r->vars[i].value;
            return true;
        }
    }
    return false;
}

static bool set_variable(struct run *r, const char *name, uint64_t value)
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

static bool name_of_run(struct run *r, const char *name, uint64_t *value)
{
    const struct pl_session *s = r->s;
    if (strcmp(name, "max_msg_size") == 0)
        *value = s->bus.max_msg_size;
    else if (strcmp(name, "strict") == 0)
        *value = s->bus.features >> PL_C_TF_STRICT_CONFIG_GENERATION & 1;
    else if (strcmp(name, "outstanding") == 0)
        *value = r->combination->outstanding;
    else if (strcmp(name, "dev") == 0)
        *value = r->combination->dev_num;
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

static bool eval_name(void *opaque, const char *name, uint64_t *value, char *why, size_t cap)
{
    struct run *r = opaque;
    if (find_variable(r, name, value) || name_of_run(r, name, value))
        return true;
    if (strncmp(name, "info.", 5) == 0)
        return name_info(r, name + 5, value, why, cap);
    if (strncmp(name, "resp.", 5) == 0)
        return name_response(r, name + 5, value, why, cap);
    return pl_spec_constant(r->s->spec, name, value) ||
           fail_name(why, cap, "unknown name '%s'", name);
}

/* --- functions --- */

static uint64_t next_random(struct run *r)
{
    r->random ^= r->random << 13;
    r->random ^= r->random >> 7;
    r->random ^= r->random << 17;
    return r->random;
}

/* Element i, `width` bytes wide, of the last response's array; 0 beyond its end. */
static uint64_t element(struct run *r, uint64_t i, unsigned width)
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

static bool eval_call(void *opaque, const char *name, const uint64_t *a, size_t n, uint64_t *value,
                      char *why, size_t cap)
{
    struct run *r = opaque;
    if (n == 2 && strcmp(name, "min") == 0)
        *value = a[0] < a[1] ? a[0] : a[1];
    else if (n == 2 && strcmp(name, "max") == 0)
        *value = a[0] > a[1] ? a[0] : a[1];
    else if (n == 3 && strcmp(name, "if") == 0)
        *value = a[0] ? a[1] : a[2];
    else if (n == 1 && strcmp(name, "pow2") == 0)
        *value = floor_pow2(a[0]);
    else if (n == 1 && strcmp(name, "random") == 0)
        *value = a[0] ? next_random(r) % a[0] : next_random(r);
    else if (n == 1 && strcmp(name, "swap") == 0)
        *value = __builtin_bswap32((uint32_t)a[0]);
    else if (n == 1 && strcmp(name, "word") == 0)
        *value = element(r, a[0], 4);
    else if (n == 1 && strcmp(name, "byte") == 0)
        *value = element(r, a[0], 1);
    else {
        snprintf(why, cap, "unknown function '%s' with %zu arguments", name, n);
        return false;
    }
    return true;
}

/* --- verdicts on the way --- */

__attribute__((format(printf, 3, 4))) static enum outcome
stop(struct run *r, enum pl_scenario_verdict verdict, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(r->result->reason, sizeof(r->result->reason), format, args);
    va_end(args);
    r->result->verdict = verdict;
    return STOP;
}

static bool evaluate(struct run *r, const struct pl_expr *expr, uint64_t *value, char *why,
                     size_t cap)
{
    struct pl_expr_env env = {eval_name, eval_call, r};
    return pl_expr_eval(expr, &env, value, why, cap);
}

/* Evaluate within a step: what cannot be had from an absent answer makes it inconclusive. */
static enum outcome value_of(struct run *r, const struct pl_step *step, const struct pl_expr *expr,
                             uint64_t *value)
{
    char why[160];
    if (evaluate(r, expr, value, why, sizeof(why)))
        return GO_ON;
    bool open = strstr(why, "answered") != NULL;
    return stop(r, open ? PL_SCENARIO_INCONCLUSIVE : PL_SCENARIO_ERROR, "%s:%d: %s", step->at->file,
                step->at->line, why);
}

/* --- messages --- */

struct bent {
    uint64_t type, id, token, size, cut, pad, pad_with;
    bool has_type, has_id, has_token, has_size;
};

static void take_bend(struct bent *b, struct pl_msg *m, const char *name, uint64_t v)
{
    if (strcmp(name, "_type") == 0) {
        b->type = v;
        b->has_type = true;
    } else if (strcmp(name, "_id") == 0) {
        b->id = v;
        b->has_id = true;
    } else if (strcmp(name, "_dev_num") == 0) {
        m->dev_num = (uint16_t)v;
    } else if (strcmp(name, "_token") == 0) {
        b->token = v;
        b->has_token = true;
    } else if (strcmp(name, "_size") == 0) {
        b->size = v;
        b->has_size = true;
    } else if (strcmp(name, "_cut") == 0) {
        b->cut = v;
    } else if (strcmp(name, "_pad") == 0) {
        b->pad = v;
    } else if (strcmp(name, "_pad_with") == 0) {
        b->pad_with = v;
    } else if (strcmp(name, "_response") == 0) {
        m->response = v != 0;
    }
}

static enum outcome fill_list(struct run *r, const struct pl_step *step, unsigned width,
                              uint8_t *data, uint32_t *len)
{
    for (size_t i = 0; i < step->n_items && (i + 1) * width <= PL_MSG_MAX; i++) {
        uint64_t v;
        if (value_of(r, step, step->items[i], &v) == STOP)
            return STOP;
        for (unsigned b = 0; b < width; b++)
            data[i * width + b] = (uint8_t)(v >> (8 * b));
        *len = (uint32_t)((i + 1) * width);
    }
    return GO_ON;
}

/* The variable array of a message into `data` (PL_MSG_MAX bytes). */
static enum outcome fill_data(struct run *r, const struct pl_step *step, uint8_t *data,
                              uint32_t *len)
{
    const struct pl_array_def *tail = step->def->request->tail;
    uint64_t a = 0, count = 0;
    unsigned width = tail ? tail->width : 1;
    *len = 0;
    if (step->data == PL_DATA_NONE)
        return GO_ON;
    if (step->data == PL_DATA_LIST)
        return fill_list(r, step, width, data, len);
    if (step->data == PL_DATA_HEX) {
        memcpy(data, step->hex, step->hex_len);
        *len = (uint32_t)step->hex_len;
        return GO_ON;
    }
    if (value_of(r, step, step->items[0], &a) == STOP)
        return STOP;
    pl_session_flush(r->s);
    count = r->s->last.data_len;
    if (step->items[1] && value_of(r, step, step->items[1], &count) == STOP)
        return STOP;
    count *= step->data == PL_DATA_FILL ? width : 1;
    if (count > PL_MSG_MAX)
        count = PL_MSG_MAX;
    for (uint64_t i = 0; i < count; i++)
        data[i] = step->data == PL_DATA_FILL ? (uint8_t)a : (uint8_t)(element(r, i, 1) ^ a);
    *len = (uint32_t)count;
    return GO_ON;
}

static size_t bend(struct run *r, const struct bent *b, uint8_t *out, size_t n)
{
    const struct pl_spec *spec = r->s->spec;
    size_t pad = b->pad < PL_MSG_MAX - n ? (size_t)b->pad : PL_MSG_MAX - n;
    memset(out + n, (int)b->pad_with, pad);
    n += pad;
    n -= b->cut < n ? (size_t)b->cut : n - 1;
    if (n < spec->header.size)
        return n;
    pl_poke_size(spec, out, (uint16_t)(b->has_size ? b->size : n));
    if (b->has_type)
        pl_poke_type(spec, out, (uint8_t)b->type);
    if (b->has_id)
        pl_poke_id(spec, out, (uint8_t)b->id);
    return n;
}

/* On a byte stream a message that lies about its size, or is too large, ends the conversation. */
static bool carried(const struct run *r, const void *bytes, size_t n)
{
    struct pl_msg m;
    if (!r->s->port->stream)
        return true;
    pl_decode(r->s->spec, bytes, n, &m);
    return m.form != PL_FORM_RUNT && m.msg_size == n && n <= r->s->bus.max_msg_size;
}

static enum outcome transmit(struct run *r, const void *bytes, size_t n)
{
    if (!carried(r, bytes, n))
        return GO_ON;
    int err = pl_session_send(r->s, bytes, n, r->combination->outstanding, true);
    if (err == -EPIPE || r->s->stuck || !r->s->alive)
        return stop(r, PL_SCENARIO_INCONCLUSIVE, "the IUT is gone or hangs");
    return GO_ON;
}

static enum outcome run_send(struct run *r, const struct pl_step *step)
{
    static _Thread_local uint8_t data[PL_MSG_MAX + 1], out[PL_MSG_MAX + 1];
    struct pl_msg m = {.kind = step->def->kind, .dev_num = r->combination->dev_num, .data = data};
    struct bent b = {0};
    if (step->def->bus)
        m.dev_num = 0;
    for (size_t i = 0; i < step->n_assign; i++) {
        uint64_t v;
        if (value_of(r, step, step->assign[i].value, &v) == STOP)
            return STOP;
        if (step->assign[i].field != PL_F_none)
            m.f[step->assign[i].field] = v;
        else
            take_bend(&b, &m, step->assign[i].name, v);
    }
    if (fill_data(r, step, data, &m.data_len) == STOP)
        return STOP;
    m.token = b.has_token ? (uint16_t)b.token : step->def->event ? 0 : pl_session_token(r->s);
    ssize_t n = pl_encode(r->s->spec, &m, out, PL_MSG_MAX);
    if (n < 0)
        return stop(r, PL_SCENARIO_ERROR, "%s:%d: the message does not fit into %u bytes",
                    step->at->file, step->at->line, PL_MSG_MAX);
    return transmit(r, out, bend(r, &b, out, (size_t)n));
}

/* --- control lines: words, with {EXPR} and {hex BYTE COUNT} put in --- */

static enum outcome put_in(struct run *r, const struct pl_step *step, const char *text, size_t len,
                           char *out, size_t cap)
{
    char inner[128], why[160];
    uint64_t value;
    snprintf(inner, sizeof(inner), "%.*s", (int)len, text);
    struct pl_expr *expr = pl_expr_parse(inner, why, sizeof(why));
    bool good = expr && evaluate(r, expr, &value, why, sizeof(why));
    pl_expr_free(expr);
    if (!good)
        return stop(r, strstr(why, "answered") ? PL_SCENARIO_INCONCLUSIVE : PL_SCENARIO_ERROR,
                    "%s:%d: %s", step->at->file, step->at->line, why);
    snprintf(out, cap, "%" PRIu64, value);
    return GO_ON;
}

/* {xor MASK COUNT}: bytes of the last response, each xored, as hexadecimal digits. */
static bool put_hex(struct run *r, const char *text, char *out, size_t cap)
{
    unsigned mask;
    char count_text[64];
    uint64_t count;
    char why[160];
    if (sscanf(text, "xor %x %63[^}]", &mask, count_text) != 2)
        return false;
    struct pl_expr *expr = pl_expr_parse(count_text, why, sizeof(why));
    bool good = expr && evaluate(r, expr, &count, why, sizeof(why));
    pl_expr_free(expr);
    if (!good)
        return false;
    for (uint64_t i = 0; i < count && 2 * i + 3 < cap; i++)
        snprintf(out + 2 * i, 3, "%02x", (unsigned)(element(r, i, 1) ^ mask) & 0xff);
    return true;
}

static enum outcome control_line(struct run *r, const struct pl_step *step, char *line, size_t cap)
{
    size_t at = 0;
    for (const char *p = step->name; *p && at + 1 < cap;) {
        const char *end = *p == '{' ? strchr(p, '}') : NULL;
        if (!end) {
            line[at++] = *p++;
            continue;
        }
        line[at] = '\0';
        if (!put_hex(r, p + 1, line + at, cap - at) &&
            put_in(r, step, p + 1, (size_t)(end - p - 1), line + at, cap - at) == STOP)
            return STOP;
        at += strlen(line + at);
        p = end + 1;
    }
    line[at] = '\0';
    return GO_ON;
}

static enum outcome run_control(struct run *r, const struct pl_step *step)
{
    char line[2304];
    pl_session_fence(r->s);
    if (control_line(r, step, line, sizeof(line)) == STOP)
        return STOP;
    /* Events may overtake the answer to the control line: the oracle hears of the change first. */
    pl_session_tell(r->s, "control %s", line);
    r->control_ok = pl_session_control(r->s, line, &r->control_unsupported);
    if (r->control_ok)
        return GO_ON;
    pl_session_tell(r->s, "retract %u", r->combination->dev_num);
    return stop(r, PL_SCENARIO_SKIPPED, "control does not do '%.40s' here", line);
}

/* --- steps --- */

static enum outcome run_require(struct run *r, const struct pl_step *step)
{
    uint64_t v;
    if (value_of(r, step, step->expr, &v) == STOP)
        return STOP;
    return v ? GO_ON
             : stop(r, PL_SCENARIO_INCONCLUSIVE, "%s:%d: the IUT went another way: not %s",
                    step->at->file, step->at->line, pl_expr_text(step->expr));
}

static enum outcome run_expect(struct run *r, const struct pl_step *step)
{
    uint64_t v;
    if (value_of(r, step, step->expr, &v) == STOP)
        return STOP;
    pl_session_tell(r->s, "expected %s %d expected: %s",
                    pl_clauses_get(r->all->clauses, (size_t)step->clause)->id, v != 0,
                    pl_expr_text(step->expr));
    return GO_ON;
}

static enum outcome run_let(struct run *r, const struct pl_step *step)
{
    for (size_t i = 0; i < step->n_assign; i++) {
        uint64_t v;
        if (value_of(r, step, step->assign[i].value, &v) == STOP)
            return STOP;
        if (!set_variable(r, step->assign[i].name, v))
            return stop(r, PL_SCENARIO_ERROR, "%s:%d: too many variables", step->at->file,
                        step->at->line);
    }
    return GO_ON;
}

static enum outcome run_repeat(struct run *r, const struct pl_step *step)
{
    uint64_t times;
    if (value_of(r, step, step->expr, &times) == STOP)
        return STOP;
    for (uint64_t i = 0; i < times && i < REPEAT_MAX; i++) {
        set_variable(r, "round", i);
        if (run_steps(r, step->then) == STOP)
            return STOP;
    }
    return GO_ON;
}

static enum outcome run_if(struct run *r, const struct pl_step *step)
{
    uint64_t v;
    if (value_of(r, step, step->expr, &v) == STOP)
        return STOP;
    const struct pl_steps *branch = v ? step->then : step->otherwise;
    return branch ? run_steps(r, branch) : GO_ON;
}

static enum outcome run_wait(struct run *r, enum pl_step_op op)
{
    int err;
    if (op == PL_STEP_FENCE)
        err = pl_session_fence(r->s);
    else if (op == PL_STEP_AWAIT_EVENT)
        err = pl_session_await_event(r->s);
    else
        err = pl_session_flush(r->s) == -EPIPE ? -EPIPE : pl_session_await_reset(r->s);
    if (op == PL_STEP_AWAIT_RESET && err == -ETIMEDOUT)
        return stop(r, PL_SCENARIO_INCONCLUSIVE, "the reset does not end");
    if (err == -EPIPE || r->s->stuck || !r->s->alive)
        return stop(r, PL_SCENARIO_INCONCLUSIVE, "the IUT is gone or hangs");
    return GO_ON;
}

static enum outcome run_step(struct run *r, const struct pl_step *step)
{
    switch (step->op) {
    case PL_STEP_SEND:
        return run_send(r, step);
    case PL_STEP_RAW:
        return transmit(r, step->hex, step->hex_len);
    case PL_STEP_CALL:
        return run_steps(r, pl_scenarios_procedure(r->all, step->name)->steps);
    case PL_STEP_CONTROL:
        return run_control(r, step);
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
    default:
        return run_wait(r, step->op);
    }
}

static enum outcome run_steps(struct run *r, const struct pl_steps *steps)
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

static enum outcome bind_parameters(struct run *r, size_t choice)
{
    size_t at = 0;
    for (size_t i = 0; i < r->scenario->n_with; i++) {
        const struct pl_parameter *p = &r->scenario->with[i];
        uint64_t v;
        char why[160];
        if (!evaluate(r, p->value[choice % p->n], &v, why, sizeof(why)))
            return stop(r, strstr(why, "answered") ? PL_SCENARIO_SKIPPED : PL_SCENARIO_ERROR,
                        "%s: parameter '%s': %s", r->scenario->file, p->name, why);
        choice /= p->n;
        set_variable(r, p->name, v);
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
        if (run_steps(r, pl_scenarios_procedure(r->all, r->scenario->given[i])->steps) == STOP) {
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
    if (!evaluate(r, r->scenario->needs, &v, why, sizeof(why)))
        return stop(r, strstr(why, "answered") ? PL_SCENARIO_SKIPPED : PL_SCENARIO_ERROR,
                    "%s: needs: %s", r->scenario->file, why);
    return v ? GO_ON : stop(r, PL_SCENARIO_SKIPPED, "needs %s", pl_expr_text(r->scenario->needs));
}

static uint64_t seed_of(const struct pl_scenario *scenario, size_t choice, uint64_t seed)
{
    uint64_t h = 1469598103934665603u ^ seed;
    for (const char *p = scenario->name; *p; p++)
        h = (h ^ (uint8_t)*p) * 1099511628211u;
    h = (h ^ choice) * 1099511628211u;
    return h ? h : 1;
}

bool pl_run_applies(struct pl_session *s, const struct pl_scenario *scenario,
                    const struct pl_combination *combination)
{
    struct pl_run_result result = {0};
    struct run r = {.s = s, .scenario = scenario, .combination = combination, .result = &result};
    uint64_t v;
    char why[160];
    return !scenario->when || !evaluate(&r, scenario->when, &v, why, sizeof(why)) || v;
}

void pl_run_once(struct pl_session *s, const struct pl_scenarios *all,
                 const struct pl_scenario *scenario, size_t choice,
                 const struct pl_combination *combination, struct pl_run_result *result)
{
    struct run r = {.s = s,
                    .all = all,
                    .scenario = scenario,
                    .combination = combination,
                    .result = result,
                    .random = seed_of(scenario, choice, combination->seed)};
    struct pl_combination single = *combination;
    memset(result, 0, sizeof(*result));
    result->verdict = PL_SCENARIO_PASS;
    pl_session_begin(s);
    s->dev_num = combination->dev_num;
    single.outstanding = 1; /* preconditions are reached one request at a time */
    r.combination = &single;
    enum outcome way = run_given(&r);
    r.combination = combination;
    if (way == GO_ON && run_needs(&r) == GO_ON && bind_parameters(&r, choice) == GO_ON)
        run_steps(&r, scenario->steps);
    if (s->alive && !s->stuck && pl_session_await_event(s) == 0)
        pl_session_tell(s, "settle");
}
