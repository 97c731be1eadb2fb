/* Cases as bytes: any bytes are a case, and a case's bytes are that case again. */
#include <string.h>

#include "fuzz/case.h"

enum {
    HOW_MASK = 3,
    LEN_SHIFT = 2,
    LEN_MASK = 15,
    NEGATIVE = 64, /* of a setting's second byte */
    RESPONSE = 1,  /* of an action's flags */
    SET_SHIFT = 1,
    SET_MASK = 15,
    HAS_DATA = 32,
    OPTIONS_MASK = 15, /* of the byte of options: of the peer, and of the far device above it */
    OPTIONS_SHIFT = 4,
};

/* --- reading: zero bytes follow the last one --- */

struct reader {
    const uint8_t *at, *end;
};

static uint8_t get(struct reader *r)
{
    return r->at < r->end ? *r->at++ : 0;
}

static uint64_t get_number(struct reader *r, unsigned bytes)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < bytes; i++)
        v |= (uint64_t)get(r) << (8 * i);
    return v;
}

static const struct pl_spec *spec_numbered(unsigned number)
{
    const struct pl_spec *judged[16];
    unsigned n = 0;
    for (size_t i = 0; pl_specs[i] && n < 16; i++)
        if (pl_clauses_find(pl_specs[i]))
            judged[n++] = pl_specs[i];
    return judged[number % n];
}

static unsigned number_of(const struct pl_spec *spec)
{
    unsigned n = 0;
    for (size_t i = 0; pl_specs[i] && pl_specs[i] != spec; i++)
        n += pl_clauses_find(pl_specs[i]) != NULL;
    return n;
}

static uint32_t known_features(const struct pl_spec *spec)
{
    uint32_t mask = 0;
    for (const struct pl_constant *k = spec->transport_features; k && k->name; k++)
        mask |= UINT32_C(1) << k->value;
    return mask;
}

/* Options can make a peer break rules, so that random bytes must not come to be some: what follows
 * them says that they are meant. */
static uint32_t options_check(const struct pl_case *c)
{
    uint32_t h = UINT32_C(2166136261);
    for (size_t i = 0; i < c->n_options; i++)
        h = (h ^ c->option[i].index ^ (uint32_t)c->option[i].value) * UINT32_C(16777619);
    for (size_t i = 0; i < c->n_far; i++)
        h = (h ^ c->far[i].index ^ (uint32_t)c->far[i].value) * UINT32_C(16777619);
    return h;
}

static bool get_options(struct reader *r, struct pl_case_option *out, unsigned n, size_t known)
{
    for (unsigned i = 0; i < n; i++) {
        out[i].index = (uint16_t)get_number(r, 2);
        out[i].value = get_number(r, 8);
        if (out[i].index >= known)
            return false;
    }
    return true;
}

static void decode_options(struct reader *r, struct pl_case *c)
{
    size_t known, far_known;
    struct reader ahead = *r;
    unsigned counts = get(&ahead), n = counts & OPTIONS_MASK, far = counts >> OPTIONS_SHIFT;
    pl_case_options(c->spec, c->role, false, &known);
    pl_case_options(c->spec, c->role, true, &far_known);
    r->at = ahead.at;
    c->n_options = c->n_far = 0;
    if (!counts || n > PL_CASE_OPTIONS || far > PL_CASE_OPTIONS ||
        (far && c->role != PL_IUT_DRIVER) || !get_options(&ahead, c->option, n, known) ||
        !get_options(&ahead, c->far, far, far_known))
        return;
    c->n_options = (uint8_t)n;
    c->n_far = (uint8_t)far;
    if (get_number(&ahead, 4) == options_check(c))
        r->at = ahead.at;
    else
        c->n_options = c->n_far = 0;
}

static void decode_head(struct reader *r, struct pl_case *c)
{
    uint8_t role = get(r);
    pl_case_init(c, spec_numbered(get(r)), (enum pl_iut)(role % (PL_IUT_BUS + 1)));
    uint32_t least = c->spec->min_max_msg_size, most = c->spec->max_max_msg_size;
    uint32_t size = (uint32_t)get_number(r, 2);
    if (size)
        c->max_msg_size = size >= least && size <= most ? size : least + size % (most - least + 1);
    c->features = (uint32_t)get_number(r, 1) & known_features(c->spec);
    unsigned n = 0;
    while (pl_case_types[n])
        n++;
    c->type = (uint8_t)(get(r) % n);
    c->seed = (uint32_t)get_number(r, 4);
    decode_options(r, c);
}

/* Arguments other than fields and bends are plain numbers. */
static bool only_number(unsigned name)
{
    return name > PL_ARG_PAD_WITH;
}

static void decode_setting(struct reader *r, struct pl_action *a, const uint8_t *allowed, size_t n)
{
    uint8_t which = get(r), how = get(r);
    unsigned bytes = how >> LEN_SHIFT & LEN_MASK;
    uint64_t value = get_number(r, bytes < 8 ? bytes : 8);
    unsigned name = n ? allowed[which % n] : 0;
    const char *const *words = pl_setting_words(name);
    uint64_t n_words = 0;
    while (words && words[n_words])
        n_words++;
    if (!n || pl_action_get(a, name))
        return;
    enum pl_setting_how as = how & HOW_MASK;
    if (as > PL_VALUE_XOR || only_number(name))
        as = PL_VALUE_NUMBER;
    value = how & NEGATIVE ? 0 - value : value;
    pl_action_set(a, name, as, words ? value % n_words : value);
}

static void decode_message(struct reader *r, const struct pl_case *c, struct pl_action *a,
                           unsigned flags)
{
    const struct pl_spec *spec = c->spec;
    bool any = pl_ops[a->op].names == PL_OP_ANSWER;
    size_t kind = get(r) % (spec->n_messages + any);
    const struct pl_message_def *def = kind < spec->n_messages ? &spec->messages[kind] : NULL;
    a->kind = (uint8_t)(def ? def->kind : PL_NONE);
    a->response = !any && (flags & RESPONSE) && def && def->response;
}

static void decode_action(struct reader *r, const struct pl_case *c, struct pl_action *a)
{
    uint8_t ops[PL_ACTS], allowed[PL_ALLOWED_MAX];
    size_t n = pl_ops_of(c->role, ops);
    a->op = ops[get(r) % n];
    a->kind = PL_NONE;
    a->response = a->has_data = false;
    a->n_set = a->data_len = 0;
    a->scenario = 0;
    unsigned flags = get(r), settings = flags >> SET_SHIFT & SET_MASK;
    if (pl_op_of_message(a->op))
        decode_message(r, c, a, flags);
    size_t scenarios =
        pl_ops[a->op].names == PL_OP_SCENARIO ? pl_case_scenarios_of(c->spec, c->role) : 0;
    if (scenarios)
        a->scenario = (uint16_t)(get_number(r, 2) % scenarios);
    n = pl_settings_of(c->spec, a, allowed);
    for (unsigned i = 0; i < settings && i < PL_CASE_SETTINGS; i++)
        decode_setting(r, a, allowed, n);
    if (!(flags & HAS_DATA) || !pl_ops[a->op].data)
        return;
    a->has_data = true;
    a->data_len = (uint8_t)(get(r) % (PL_CASE_DATA + 1));
    for (unsigned i = 0; i < a->data_len; i++)
        a->data[i] = get(r);
}

void pl_case_decode(struct pl_case *c, const uint8_t *bytes, size_t size)
{
    struct reader r = {bytes, bytes + size};
    decode_head(&r, c);
    while (r.at < r.end && c->n < PL_CASE_ACTIONS)
        decode_action(&r, c, &c->action[c->n++]);
}

/* --- writing --- */

struct writer {
    uint8_t *at, *end;
    bool full;
};

static void put(struct writer *w, unsigned byte)
{
    if (w->at < w->end)
        *w->at++ = (uint8_t)byte;
    else
        w->full = true;
}

static void put_number(struct writer *w, uint64_t v, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        put(w, (unsigned)(v >> (8 * i) & 0xff));
}

static void encode_options(struct writer *w, const struct pl_case *c)
{
    put(w, c->n_options | (unsigned)c->n_far << OPTIONS_SHIFT);
    if (!c->n_options && !c->n_far)
        return;
    for (size_t i = 0; i < c->n_options; i++) {
        put_number(w, c->option[i].index, 2);
        put_number(w, c->option[i].value, 8);
    }
    for (size_t i = 0; i < c->n_far; i++) {
        put_number(w, c->far[i].index, 2);
        put_number(w, c->far[i].value, 8);
    }
    put_number(w, options_check(c), 4);
}

static void encode_head(struct writer *w, const struct pl_case *c)
{
    put(w, c->role);
    put(w, number_of(c->spec));
    put_number(w, c->max_msg_size, 2);
    put_number(w, c->features, 1);
    put(w, c->type);
    put_number(w, c->seed, 4);
    encode_options(w, c);
}

static unsigned place_of(const uint8_t *list, size_t n, unsigned what)
{
    unsigned i = 0;
    while (i < n && list[i] != what)
        i++;
    return i;
}

static unsigned bytes_of(uint64_t v)
{
    unsigned n = 0;
    for (; v; v >>= 8)
        n++;
    return n;
}

static void encode_setting(struct writer *w, const struct pl_setting *s, const uint8_t *allowed,
                           size_t n)
{
    bool negative = bytes_of(0 - s->value) < bytes_of(s->value);
    uint64_t v = negative ? 0 - s->value : s->value;
    put(w, place_of(allowed, n, s->name));
    put(w, s->how | bytes_of(v) << LEN_SHIFT | (negative ? NEGATIVE : 0u));
    put_number(w, v, bytes_of(v));
}

static unsigned place_of_kind(const struct pl_spec *spec, unsigned kind)
{
    unsigned i = 0;
    while (i < spec->n_messages && spec->messages[i].kind != kind)
        i++;
    return i;
}

static void encode_action(struct writer *w, const struct pl_case *c, const struct pl_action *a)
{
    uint8_t ops[PL_ACTS], allowed[PL_ALLOWED_MAX];
    size_t n = pl_ops_of(c->role, ops);
    put(w, place_of(ops, n, a->op));
    put(w, (a->response ? RESPONSE : 0u) | (unsigned)a->n_set << SET_SHIFT |
               (a->has_data ? HAS_DATA : 0u));
    if (pl_op_of_message(a->op))
        put(w, place_of_kind(c->spec, a->kind));
    if (pl_ops[a->op].names == PL_OP_SCENARIO)
        put_number(w, a->scenario, 2);
    n = pl_settings_of(c->spec, a, allowed);
    for (size_t i = 0; i < a->n_set; i++)
        encode_setting(w, &a->set[i], allowed, n);
    if (!a->has_data)
        return;
    put(w, a->data_len);
    for (unsigned i = 0; i < a->data_len; i++)
        put(w, a->data[i]);
}

size_t pl_case_encode(const struct pl_case *c, uint8_t *out, size_t cap)
{
    struct writer w = {out, out + cap, false};
    encode_head(&w, c);
    for (size_t i = 0; i < c->n; i++)
        encode_action(&w, c, &c->action[i]);
    return w.full ? 0 : (size_t)(w.at - out);
}
