/* Reading the steps on virtqueues: their expressions, and the buffers of chains. */
#include <stdio.h>
#include <string.h>

#include "engine/scenario_load.h"

static const char *const arg_key[PL_VQ_ARGS] = {
    [PL_VQ_QUEUE] = "queue",       [PL_VQ_SIZE] = "size",       [PL_VQ_COUNT] = "count",
    [PL_VQ_INDIRECT] = "indirect", [PL_VQ_PUBLISH] = "publish", [PL_VQ_ALWAYS] = "always",
    [PL_VQ_AHEAD] = "ahead",       [PL_VQ_ADDR] = "addr",       [PL_VQ_KEEP] = "keep"};

#define ARG(which) (1u << PL_VQ_##which)
static const struct form {
    enum pl_step_op op;
    unsigned needed, allowed; /* masks of arguments */
    const char *const other[9];
} forms[] = {
    {PL_STEP_RING, ARG(QUEUE) | ARG(SIZE), 0, {NULL}},
    {PL_STEP_CHAIN, ARG(QUEUE), ARG(INDIRECT) | ARG(PUBLISH), {"out", "in", "as", NULL}},
    {PL_STEP_PUBLISH, ARG(QUEUE), 0, {NULL}},
    {PL_STEP_KICK, ARG(QUEUE), ARG(ALWAYS), {NULL}},
    {PL_STEP_AWAIT_USED, ARG(QUEUE), ARG(COUNT), {"chain", NULL}},
    {PL_STEP_IDLE, ARG(QUEUE), 0, {NULL}},
    {PL_STEP_NOTIFY, ARG(QUEUE), ARG(AHEAD), {"when", NULL}},
    {PL_STEP_POKE,
     ARG(ADDR),
     ARG(KEEP),
     {"u8", "u16", "u32", "u64", "hex", "fill", "random", "copy", "count"}},
};

static const struct form *form_of(enum pl_step_op op)
{
    size_t i = 0;
    while (forms[i].op != op)
        i++;
    return &forms[i];
}

static bool load_args(struct pl_load *l, struct pl_step *step, const struct pl_yaml *node)
{
    const struct form *form = form_of(step->op);
    const char *known[PL_VQ_ARGS + 10] = {NULL};
    size_t n = 0;
    for (size_t i = 0; i < PL_VQ_ARGS; i++)
        if ((form->needed | form->allowed) >> i & 1)
            known[n++] = arg_key[i];
    for (size_t i = 0; i < 9 && form->other[i]; i++)
        known[n++] = form->other[i];
    if (!pl_yaml_expect(node, PL_YAML_MAPPING, l->error, l->cap) ||
        !pl_yaml_known_keys(node, known, l->error, l->cap))
        return false;
    for (size_t i = 0; i < PL_VQ_ARGS; i++) {
        const struct pl_yaml *value = pl_yaml_get(node, arg_key[i]);
        if (!value && form->needed >> i & 1)
            return pl_yaml_error(node, l->error, l->cap, "'%s' is missing", arg_key[i]);
        if (value && (form->needed | form->allowed) >> i & 1 &&
            !(step->io->arg[i] = pl_load_expr(l, value)))
            return false;
    }
    return true;
}

/* --- what buffers hold --- */

static const char *const piece_keys[] = {"u8",   "u16",    "u32",  "u64",   "hex",
                                         "fill", "random", "copy", "count", NULL};

static bool load_number(struct pl_load *l, struct pl_piece *piece, const struct pl_yaml *node,
                        bool *found)
{
    for (unsigned i = 0; i < 4; i++) {
        const struct pl_yaml *value = pl_yaml_get(node, piece_keys[i]);
        if (!value)
            continue;
        *found = true;
        piece->width = 1u << i;
        return (piece->value = pl_load_expr(l, value)) != NULL;
    }
    return true;
}

static bool load_filled(struct pl_load *l, struct pl_piece *piece, const struct pl_yaml *node)
{
    static const char *const key[] = {"fill", "random", "copy"};
    static const enum pl_piece_kind kind[] = {PL_PIECE_FILL, PL_PIECE_RANDOM, PL_PIECE_COPY};
    const struct pl_yaml *count = pl_yaml_get(node, "count"), *value = NULL;
    for (size_t i = 0; i < sizeof(key) / sizeof(key[0]) && !value; i++) {
        value = pl_yaml_get(node, key[i]);
        piece->kind = kind[i];
    }
    if (!count || !value)
        return pl_yaml_error(
            node, l->error, l->cap,
            "a piece of a buffer is one of u8, u16, u32, u64, hex, or fill, random "
            "or copy with count");
    return (piece->value = pl_load_expr(l, value)) != NULL &&
           (piece->count = pl_load_expr(l, count)) != NULL;
}

/* {u32: EXPR}, {hex: "00ff"}, perhaps with count; with count: {fill: BYTE}, {random: SEED}, {copy:
 * ADDR} */
static bool load_piece(struct pl_load *l, struct pl_piece *piece, const struct pl_yaml *node)
{
    const struct pl_yaml *hex, *count = pl_yaml_get(node, "count");
    const char *text;
    uint8_t *bytes;
    bool found = false;
    if (!load_number(l, piece, node, &found))
        return false;
    if (found)
        return true;
    if (!(hex = pl_yaml_get(node, "hex")))
        return load_filled(l, piece, node);
    piece->kind = PL_PIECE_HEX;
    if (!pl_yaml_string(hex, &text, l->error, l->cap) ||
        !pl_load_hex(l, hex, text, &bytes, &piece->hex_len))
        return false;
    piece->hex = bytes;
    return !count || (piece->count = pl_load_expr(l, count)) != NULL;
}

static bool load_pieces(struct pl_load *l, struct pl_buffer_def *buffer, const struct pl_yaml *node)
{
    buffer->piece = pl_load_keep(l->s, node->n, sizeof(*buffer->piece));
    buffer->n_pieces = node->n;
    for (size_t i = 0; i < node->n; i++)
        if (!pl_yaml_expect(node->item[i], PL_YAML_MAPPING, l->error, l->cap) ||
            !pl_yaml_known_keys(node->item[i], piece_keys, l->error, l->cap) ||
            !load_piece(l, &buffer->piece[i], node->item[i]))
            return false;
    return true;
}

static bool load_one_piece(struct pl_load *l, struct pl_buffer_def *buffer,
                           const struct pl_yaml *node)
{
    buffer->piece = pl_load_keep(l->s, 1, sizeof(*buffer->piece));
    buffer->n_pieces = 1;
    return load_piece(l, buffer->piece, node);
}

/* EXPR: its length. {count: EXPR, times: EXPR}. out: a list of pieces, or one with `times`. */
static bool load_buffer(struct pl_load *l, struct pl_buffer_def *buffer, const struct pl_yaml *node)
{
    static const char *const in_keys[] = {"count", "times", NULL};
    static const char *const out_keys[] = {"u8",     "u16",  "u32",   "u64",   "hex", "fill",
                                           "random", "copy", "count", "times", NULL};
    const struct pl_yaml *times = pl_yaml_get(node, "times"), *count;
    if (node->kind == PL_YAML_SCALAR)
        return (buffer->count = pl_load_expr(l, node)) != NULL;
    if (node->kind == PL_YAML_SEQUENCE && !buffer->device_writes)
        return load_pieces(l, buffer, node);
    if (!pl_yaml_expect(node, PL_YAML_MAPPING, l->error, l->cap) ||
        !pl_yaml_known_keys(node, buffer->device_writes ? in_keys : out_keys, l->error, l->cap))
        return false;
    if (times && !(buffer->times = pl_load_expr(l, times)))
        return false;
    count = pl_yaml_get(node, "count");
    if (!buffer->device_writes && node->n > (count ? 1u : 0u) + (times ? 1u : 0u))
        return load_one_piece(l, buffer, node);
    if (!count)
        return pl_yaml_error(node, l->error, l->cap, "'count' is missing");
    return (buffer->count = pl_load_expr(l, count)) != NULL;
}

static bool load_list(struct pl_load *l, struct pl_vq_step *io, const struct pl_yaml *list,
                      bool device_writes)
{
    for (size_t i = 0; list && i < list->n; i++) {
        struct pl_buffer_def *buffer = &io->buffer[io->n_buffers++];
        buffer->device_writes = device_writes;
        if (!load_buffer(l, buffer, list->item[i]))
            return false;
    }
    return true;
}

static bool load_chain(struct pl_load *l, struct pl_step *step, const struct pl_yaml *node)
{
    const struct pl_yaml *out = pl_yaml_get(node, "out"), *in = pl_yaml_get(node, "in");
    size_t n = (out ? out->n : 0) + (in ? in->n : 0);
    if ((out && !pl_yaml_expect(out, PL_YAML_SEQUENCE, l->error, l->cap)) ||
        (in && !pl_yaml_expect(in, PL_YAML_SEQUENCE, l->error, l->cap)))
        return false;
    if (!n)
        return pl_yaml_error(node, l->error, l->cap, "a chain has buffers in 'out' or 'in'");
    step->io->buffer = pl_load_keep(l->s, n, sizeof(*step->io->buffer));
    return load_list(l, step->io, out, false) && load_list(l, step->io, in, true) &&
           pl_yaml_get_string(node, "as", &step->name, l->error, l->cap);
}

static bool load_notify(struct pl_load *l, struct pl_step *step, const struct pl_yaml *node)
{
    static const char *const words[] = {"never", "always", "at", NULL};
    const struct pl_yaml *when = pl_yaml_get(node, "when");
    size_t word;
    if (!when)
        return pl_yaml_error(node, l->error, l->cap, "'when' is missing");
    if (!pl_yaml_word(when, words, &word, l->error, l->cap))
        return false;
    step->io->when = (enum pl_vq_when)word;
    return true;
}

bool pl_load_vq_step(struct pl_load *l, struct pl_step *step, const struct pl_yaml *value)
{
    step->io = pl_load_keep(l->s, 1, sizeof(*step->io));
    if (!load_args(l, step, value))
        return false;
    switch (step->op) {
    case PL_STEP_CHAIN:
        return load_chain(l, step, value);
    case PL_STEP_AWAIT_USED:
        return pl_yaml_get_string(value, "chain", &step->name, l->error, l->cap);
    case PL_STEP_NOTIFY:
        return load_notify(l, step, value);
    case PL_STEP_POKE:
        step->io->buffer = pl_load_keep(l->s, 1, sizeof(*step->io->buffer));
        step->io->n_buffers = 1;
        return load_one_piece(l, step->io->buffer, value);
    default:
        return true;
    }
}
