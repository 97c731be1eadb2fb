/* What names and functions of scenario expressions mean, and verdicts on the way. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "engine/run_private.h"
#include "wire/random.h"

/* --- names --- */

static bool fail_name(char *why, size_t cap, const char *format, const char *name)
{
    snprintf(why, cap, format, name);
    return false;
}

bool pl_run_variable(const struct run *r, unsigned variable, uint64_t *value)
{
    if (!variable || variable >= VARS_MAX || !(r->set[variable / 64] >> (variable % 64) & 1))
        return false;
    *value = r->variable[variable];
    return true;
}

bool pl_run_set(struct run *r, unsigned variable, uint64_t value)
{
    if (!variable || variable >= VARS_MAX)
        return false;
    r->set[variable / 64] |= UINT64_C(1) << (variable % 64);
    r->variable[variable] = value;
    return true;
}

static bool field_of(const struct pl_msg *m, const struct pl_meaning *meaning, uint64_t *value)
{
    const struct pl_layout *layout = meaning->field != PL_F_none ? pl_msg_layout(m) : NULL;
    for (size_t i = 0; layout && i < layout->n_fields; i++) {
        if (layout->fields[i].field == meaning->field) {
            *value = m->f[meaning->field];
            return true;
        }
    }
    if (meaning->own == PL_OWN_SIZE)
        *value = m->size;
    else if (meaning->own == PL_OWN_DATA_LEN)
        *value = m->data_len;
    return meaning->own != PL_OWN_NOTHING;
}

static bool name_info(struct run *r, const char *name, const struct pl_meaning *meaning,
                      uint64_t *value, char *why, size_t cap)
{
    const struct pl_msg *info = pl_oracle_info(r->s->oracle, r->combination->dev_num);
    if (!info)
        return fail_name(why, cap, "%s: GET_DEVICE_INFO was not answered", name);
    return field_of(info, meaning, value) ||
           fail_name(why, cap, "GET_DEVICE_INFO has no field '%s'", name + strlen("info."));
}

static bool name_response(struct run *r, const char *name, const struct pl_meaning *meaning,
                          uint64_t *value, char *why, size_t cap)
{
    pl_session_flush(r->s);
    if (!r->s->answered)
        return fail_name(why, cap, "%s: the request was not answered", name);
    return field_of(&r->s->last, meaning, value) ||
           fail_name(why, cap, "the response has no field '%s'", name + strlen("resp."));
}

static bool name_of_run(struct run *r, enum pl_word word, uint64_t *value)
{
    const struct pl_session *s = r->s;
    switch (word) {
    case PL_WORD_MAX_MSG_SIZE:
        *value = s->bus.max_msg_size;
        break;
    case PL_WORD_PLAIN_SIZE:
        *value = s->bus.max_msg_size == s->plain_size || s->bus.max_msg_size == s->only_size;
        break;
    case PL_WORD_STRICT:
        *value = s->bus.features >> PL_C_TF_STRICT_CONFIG_GENERATION & 1;
        break;
    case PL_WORD_OUTSTANDING:
        *value = r->combination->outstanding;
        break;
    case PL_WORD_EXHAUSTIVE:
        *value = r->combination->exhaustive;
        break;
    case PL_WORD_DEV:
        *value = r->combination->dev_num;
        break;
    case PL_WORD_ANNOUNCED:
        *value = r->announced;
        break;
    case PL_WORD_REACHED:
        *value = r->reached;
        break;
    case PL_WORD_MEM_BASE:
        *value = s->port->mem_base;
        break;
    case PL_WORD_MEM_SIZE:
        *value = s->port->mem_size;
        break;
    case PL_WORD_HAS_CONTROL:
        *value = s->port->has_control;
        break;
    case PL_WORD_CONTROL_OK:
        *value = r->control_ok;
        break;
    case PL_WORD_ANSWERED:
        pl_session_flush(r->s);
        *value = s->answered;
        break;
    default:
        return pl_run_vq_word(r, word, value);
    }
    return true;
}

/* What a name means where it is no variable. */
static bool meant(struct run *r, const struct pl_expr_name *name, const struct pl_meaning *meaning,
                  uint64_t *value, char *why, size_t cap)
{
    switch (meaning->means) {
    case PL_MEANS_WORD:
        if (name_of_run(r, meaning->word, value))
            return true;
        break;
    case PL_MEANS_DIMENSION:
        *value = r->combination->dimension[meaning->value];
        return true;
    case PL_MEANS_INFO:
        return name_info(r, name->text, meaning, value, why, cap);
    case PL_MEANS_RESPONSE:
        return name_response(r, name->text, meaning, value, why, cap);
    case PL_MEANS_CONSTANT:
        *value = meaning->value;
        return true;
    case PL_MEANS_REQUEST:
    case PL_MEANS_NOTHING:
        if (r->s->bus_run && pl_run_bus_name(r, name->text, value))
            return true;
        break;
    }
    return fail_name(why, cap, "unknown name '%s'", name->text);
}

/* Expressions that are put together in a run, for control lines, have no numbers. */
static unsigned number_of(const struct run *r, const struct pl_expr_name *name)
{
    return name->number ? name->number : pl_names_find(&r->all->names, name->text);
}

bool pl_run_name(void *opaque, const struct pl_expr_name *name, uint64_t *value, char *why,
                 size_t cap)
{
    struct run *r = opaque;
    unsigned number = number_of(r, name);
    if (number) {
        const struct pl_named *named = &r->all->names.list[number - 1];
        return (r->far && r->far->name(r->far->opaque, &named->meaning, value)) ||
               pl_run_variable(r, named->variable, value) ||
               meant(r, name, &named->meaning, value, why, cap);
    }
    const struct pl_meaning meaning = pl_meaning_of(r->s->spec, name->text);
    return (r->far && r->far->name(r->far->opaque, &meaning, value)) ||
           meant(r, name, &meaning, value, why, cap);
}

/* --- functions --- */

uint64_t pl_run_random(struct run *r)
{
    return pl_random(&r->random);
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

static enum pl_word function_of(const struct run *r, const struct pl_expr_name *name)
{
    unsigned number = number_of(r, name);
    return number ? r->all->names.list[number - 1].meaning.word
                  : pl_meaning_of(r->s->spec, name->text).word;
}

bool pl_run_call(void *opaque, const struct pl_expr_name *name, const uint64_t *a, size_t n,
                 uint64_t *value, char *why, size_t cap)
{
    struct run *r = opaque;
    enum pl_word word = function_of(r, name);
    if (n == 2 && word == PL_CALL_MIN)
        *value = a[0] < a[1] ? a[0] : a[1];
    else if (n == 2 && word == PL_CALL_MAX)
        *value = a[0] > a[1] ? a[0] : a[1];
    else if (n == 3 && word == PL_CALL_IF)
        *value = a[0] ? a[1] : a[2];
    else if (n == 1 && word == PL_CALL_POW2)
        *value = floor_pow2(a[0]);
    else if (n == 1 && word == PL_CALL_RANDOM)
        *value = a[0] ? pl_run_random(r) % a[0] : pl_run_random(r);
    else if (n == 1 && word == PL_CALL_SWAP)
        *value = __builtin_bswap32((uint32_t)a[0]);
    else if (n == 1 && word == PL_CALL_WORD)
        *value = pl_run_element(r, a[0], 4);
    else if (n == 1 && word == PL_CALL_BYTE)
        *value = pl_run_element(r, a[0], 1);
    else if (!pl_run_vq_call(r, word, a, n, value) &&
             !pl_run_bus_call(r, name->text, a, n, value)) {
        int length = (int)strcspn(name->text, "(");
        snprintf(why, cap, "unknown function '%.*s' with %zu arguments", length, name->text, n);
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
