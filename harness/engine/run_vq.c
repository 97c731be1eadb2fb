/* The steps on virtqueues: expressions and buffers evaluated, and handed to the driver end. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/port_memory.h"
#include "engine/run_private.h"
#include "engine/toeplitz.h"

enum { BUFFERS_MAX = 1024, BYTES_MAX = 1 << 20 };

/* The buffers of a chain as they are evaluated. */
struct gather {
    struct pl_vq_buffer *buffer;
    size_t *at; /* of each buffer's bytes; BYTES_MAX: a pattern of the run's own */
    size_t n, used, cap;
    uint8_t *bytes;
};

static enum outcome io_argument(struct run *r, const struct pl_step *step, enum pl_vq_arg arg,
                                uint64_t otherwise, uint64_t *value)
{
    *value = otherwise;
    return step->io->arg[arg] ? pl_run_value(r, step, step->io->arg[arg], value) : GO_ON;
}

static enum outcome no_more(struct run *r, const struct pl_step *step, int err)
{
    const char *why = err == -ENOSPC   ? "there is no room for it in the ring or the memory"
                      : err == -EINVAL ? "the queue is too small for such a ring or chain"
                      : err == -ENOENT ? "there is no ring"
                                       : "out of memory";
    bool open = err == -ENOSPC || err == -EINVAL;
    if (err == -EPIPE || err == -ETIMEDOUT || r->s->stuck || !r->s->alive)
        return pl_run_stop(r, PL_SCENARIO_INCONCLUSIVE, "the IUT is gone or hangs");
    return pl_run_stop(r, open ? PL_SCENARIO_SKIPPED : PL_SCENARIO_ERROR, "%s:%d: %s",
                       step->at->file, step->at->line, why);
}

/* --- buffers --- */

static bool make_room(struct gather *g, uint64_t count)
{
    size_t cap = g->cap ? g->cap : 64;
    if (count > BYTES_MAX - g->used)
        return false;
    while (cap < g->used + count)
        cap *= 2;
    uint8_t *bytes = cap > g->cap ? realloc(g->bytes, cap) : g->bytes;
    if (!bytes)
        return false;
    g->bytes = bytes;
    g->cap = cap;
    return true;
}

static bool add_alike(struct gather *g, struct pl_vq_buffer buffer, size_t at, uint64_t times)
{
    struct pl_vq_buffer *buffers = realloc(g->buffer, (g->n + times) * sizeof(*buffers));
    if (buffers)
        g->buffer = buffers;
    size_t *places = realloc(g->at, (g->n + times) * sizeof(*places));
    if (places)
        g->at = places;
    for (uint64_t i = 0; buffers && places && i < times; i++) {
        g->at[g->n] = at;
        g->buffer[g->n++] = buffer;
    }
    return buffers && places;
}

static void number(const struct pl_piece *piece, uint64_t value, uint8_t *out)
{
    for (unsigned i = 0; i < piece->width; i++)
        out[i] = (uint8_t)(value >> (8 * i));
}

static const void *memory_of(const struct run *r, uint64_t addr, uint64_t len)
{
    const struct pl_port *port = r->s->port;
    const struct pl_ring_memory memory = pl_port_memory(port);
    return port->mem ? pl_ring_at(&memory, addr, len) : NULL;
}

static enum outcome outside(struct run *r, const struct pl_step *step, uint64_t addr)
{
    return pl_run_stop(r, PL_SCENARIO_ERROR, "%s:%d: address 0x%llx lies outside the memory",
                       step->at->file, step->at->line, (unsigned long long)addr);
}

static void repeat(const struct pl_piece *piece, uint8_t *out, uint64_t count)
{
    for (uint64_t at = 0; at < count; at += piece->hex_len)
        memcpy(out + at, piece->hex, piece->hex_len);
}

static enum outcome add_piece(struct run *r, const struct pl_step *step,
                              const struct pl_piece *piece, struct gather *g)
{
    uint64_t value = 0, count = piece->kind == PL_PIECE_HEX;
    if ((piece->value && pl_run_value(r, step, piece->value, &value) == STOP) ||
        (piece->count && pl_run_value(r, step, piece->count, &count) == STOP))
        return STOP;
    if (piece->kind == PL_PIECE_HEX)
        count = count < BYTES_MAX ? count * piece->hex_len : BYTES_MAX + 1;
    if (piece->kind == PL_PIECE_NUMBER)
        count = piece->width;
    if (!make_room(g, count))
        return pl_run_stop(r, PL_SCENARIO_ERROR, "%s:%d: more than %d bytes", step->at->file,
                           step->at->line, BYTES_MAX);
    uint8_t *out = g->bytes + g->used;
    const void *from = piece->kind == PL_PIECE_COPY ? memory_of(r, value, count) : NULL;
    if (piece->kind == PL_PIECE_COPY && !from)
        return outside(r, step, value);
    if (from)
        memcpy(out, from, count);
    else if (piece->kind == PL_PIECE_NUMBER)
        number(piece, value, out);
    else if (piece->kind == PL_PIECE_HEX)
        repeat(piece, out, count);
    else if (piece->kind == PL_PIECE_FILL)
        memset(out, (int)(value & 0xff), count);
    else
        for (uint64_t i = 0; i < count; i++)
            out[i] = pl_vq_pattern(value, i);
    g->used += count;
    return GO_ON;
}

static enum outcome add_buffer(struct run *r, const struct pl_step *step,
                               const struct pl_buffer_def *def, struct gather *g)
{
    uint64_t count = 0, times = 1;
    size_t at = g->used;
    if ((def->times && pl_run_value(r, step, def->times, &times) == STOP) ||
        (def->count && pl_run_value(r, step, def->count, &count) == STOP))
        return STOP;
    for (size_t i = 0; i < def->n_pieces; i++)
        if (add_piece(r, step, &def->piece[i], g) == STOP)
            return STOP;
    count = def->n_pieces ? g->used - at : count;
    if (count > BYTES_MAX || times > BUFFERS_MAX - g->n)
        return pl_run_stop(r, PL_SCENARIO_ERROR,
                           "%s:%d: a chain has %d buffers of %d bytes at most", step->at->file,
                           step->at->line, BUFFERS_MAX, BYTES_MAX);
    struct pl_vq_buffer buffer = {(uint32_t)count, def->device_writes, NULL};
    if (!count || !times)
        return GO_ON;
    return add_alike(g, buffer, def->n_pieces ? at : BYTES_MAX, times) ? GO_ON
                                                                       : no_more(r, step, -ENOMEM);
}

static enum outcome gather(struct run *r, const struct pl_step *step, struct gather *g)
{
    for (size_t i = 0; i < step->io->n_buffers; i++)
        if (add_buffer(r, step, &step->io->buffer[i], g) == STOP)
            return STOP;
    for (size_t i = 0; i < g->n; i++)
        g->buffer[i].bytes = g->at[i] == BYTES_MAX ? NULL : g->bytes + g->at[i];
    return GO_ON;
}

static void gather_free(struct gather *g)
{
    free(g->buffer);
    free(g->at);
    free(g->bytes);
}

/* --- steps --- */

static struct pl_vq_features negotiated(struct run *r)
{
    uint64_t v;
    return (struct pl_vq_features){
        .packed = pl_run_variable(r, PL_VAR_TOOK_PACKED, &v) && v,
        .indirect = pl_run_variable(r, PL_VAR_TOOK_INDIRECT, &v) && v,
        .event_idx = pl_run_variable(r, PL_VAR_TOOK_EVENT_IDX, &v) && v,
        .in_order = pl_run_variable(r, PL_VAR_TOOK_IN_ORDER, &v) && v,
        .notification_data = pl_run_variable(r, PL_VAR_TOOK_NOTIFICATION_DATA, &v) && v,
        .ring_reset = pl_run_variable(r, PL_VAR_RING_RESET, &v) && v,
    };
}

static enum outcome lay_ring(struct run *r, const struct pl_step *step, struct pl_vq *vq,
                             uint32_t queue)
{
    uint64_t size;
    struct pl_vq_features f = negotiated(r);
    if (io_argument(r, step, PL_VQ_SIZE, 0, &size) == STOP)
        return STOP;
    pl_session_flush(r->s);
    int err = pl_vq_lay(vq, queue, size > UINT32_MAX ? 0 : (uint32_t)size, &f);
    return err ? no_more(r, step, err) : GO_ON;
}

static enum outcome add_chain(struct run *r, const struct pl_step *step, struct pl_vq *vq,
                              uint32_t queue)
{
    struct gather g = {0};
    uint64_t indirect, publish;
    enum outcome way = gather(r, step, &g);
    if (way == GO_ON)
        way = io_argument(r, step, PL_VQ_INDIRECT, r->combination->dimension[PL_DIM_INDIRECT] != 0,
                          &indirect);
    if (way == GO_ON)
        way = io_argument(r, step, PL_VQ_PUBLISH, 1, &publish);
    if (way == GO_ON) {
        int err = pl_vq_chain(vq, queue, g.buffer, g.n, indirect != 0, step->name);
        if (!err && publish)
            err = pl_vq_publish(vq, queue);
        way = err ? no_more(r, step, err) : GO_ON;
    }
    gather_free(&g);
    return way;
}

static enum outcome blind(struct run *r)
{
    return pl_run_stop(r, PL_SCENARIO_SKIPPED,
                       "the IUT has no data path: it does not map the shared memory");
}

static enum outcome await_used(struct run *r, const struct pl_step *step, struct pl_vq *vq,
                               uint32_t queue)
{
    uint64_t count;
    if (io_argument(r, step, PL_VQ_COUNT, 0, &count) == STOP)
        return STOP;
    int got = pl_vq_await(vq, queue, count, step->name);
    r->io_ok = got > 0;
    if (pl_vq_blind(vq))
        return blind(r);
    return got < 0 ? no_more(r, step, got) : GO_ON;
}

static enum outcome set_notify(struct run *r, const struct pl_step *step, struct pl_vq *vq,
                               uint32_t queue)
{
    static const enum pl_ring_notify meaning[] = {[PL_WHEN_NEVER] = PL_RING_NOTIFY_NEVER,
                                                  [PL_WHEN_ALWAYS] = PL_RING_NOTIFY_ALWAYS,
                                                  [PL_WHEN_AT] = PL_RING_NOTIFY_AT};
    uint64_t ahead;
    if (io_argument(r, step, PL_VQ_AHEAD, 0, &ahead) == STOP)
        return STOP;
    int err = pl_vq_notify(vq, queue, meaning[step->io->when], (uint16_t)ahead);
    return err ? no_more(r, step, err) : GO_ON;
}

static enum outcome poke(struct run *r, const struct pl_step *step, struct pl_vq *vq)
{
    struct gather g = {0};
    uint64_t addr, keep = 0;
    enum outcome way = io_argument(r, step, PL_VQ_ADDR, 0, &addr);
    if (way == GO_ON)
        way = io_argument(r, step, PL_VQ_KEEP, 0, &keep);
    if (way == GO_ON)
        way = gather(r, step, &g);
    if (way == GO_ON && !pl_vq_poke(vq, addr, g.bytes, g.used, keep != 0))
        way = outside(r, step, addr);
    gather_free(&g);
    return way;
}

static enum outcome kick(struct run *r, const struct pl_step *step, struct pl_vq *vq,
                         uint32_t queue)
{
    uint64_t always;
    if (io_argument(r, step, PL_VQ_ALWAYS, 0, &always) == STOP)
        return STOP;
    int err = pl_vq_kick(vq, queue, always != 0);
    return err ? no_more(r, step, err) : GO_ON;
}

enum outcome pl_run_vq(struct run *r, const struct pl_step *step)
{
    uint64_t queue;
    char why[128];
    struct pl_vq *vq = pl_vq_of(r->s, why, sizeof(why));
    if (!vq)
        return pl_run_stop(r, PL_SCENARIO_SKIPPED, "%s", why);
    if (pl_vq_blind(vq))
        return blind(r);
    if (io_argument(r, step, PL_VQ_QUEUE, 0, &queue) == STOP)
        return STOP;
    int err = 0;
    switch (step->op) {
    case PL_STEP_RING:
        return lay_ring(r, step, vq, (uint32_t)queue);
    case PL_STEP_CHAIN:
        return add_chain(r, step, vq, (uint32_t)queue);
    case PL_STEP_AWAIT_USED:
        return await_used(r, step, vq, (uint32_t)queue);
    case PL_STEP_NOTIFY:
        return set_notify(r, step, vq, (uint32_t)queue);
    case PL_STEP_POKE:
        return poke(r, step, vq);
    case PL_STEP_KICK:
        return kick(r, step, vq, (uint32_t)queue);
    case PL_STEP_PUBLISH:
        err = pl_vq_publish(vq, (uint32_t)queue);
        break;
    default:
        err = pl_vq_idle(vq, (uint32_t)queue);
        r->io_ok = err > 0;
        break;
    }
    return err < 0 ? no_more(r, step, err) : GO_ON;
}

/* --- names and functions --- */

static bool queue_word(const struct pl_vq_queue *q, enum pl_word word, uint64_t *value)
{
    const uint64_t of[] = {
        [PL_WORD_RING_DESC - PL_WORD_RING_DESC] = q->setup.desc_addr,
        [PL_WORD_RING_DRIVER - PL_WORD_RING_DESC] = q->setup.driver_addr,
        [PL_WORD_RING_DEVICE - PL_WORD_RING_DESC] = q->setup.device_addr,
        [PL_WORD_RING_SIZE - PL_WORD_RING_DESC] = q->setup.size,
        [PL_WORD_RING_ROOM - PL_WORD_RING_DESC] = q->room,
        [PL_WORD_RING_HELD - PL_WORD_RING_DESC] = q->held,
        [PL_WORD_RING_NEXT - PL_WORD_RING_DESC] = q->next,
    };
    if (word == PL_WORD_IO_USED)
        *value = q->used;
    else if (word == PL_WORD_IO_EVENTS)
        *value = q->events;
    else if (word >= PL_WORD_RING_DESC && word <= PL_WORD_RING_NEXT)
        *value = of[word - PL_WORD_RING_DESC];
    else
        return false;
    return true;
}

static bool chain_word(const struct pl_vq_chain *c, enum pl_word word, uint64_t *value)
{
    const uint64_t of[] = {
        [PL_WORD_IO_WRITTEN - PL_WORD_IO_WRITTEN] = c->written,
        [PL_WORD_IO_LENGTH - PL_WORD_IO_WRITTEN] = c->length,
        [PL_WORD_IO_OUT - PL_WORD_IO_WRITTEN] = c->out,
        [PL_WORD_IO_IN - PL_WORD_IO_WRITTEN] = c->in,
        [PL_WORD_IO_TABLE - PL_WORD_IO_WRITTEN] = c->table,
    };
    if (word < PL_WORD_IO_WRITTEN || word > PL_WORD_IO_TABLE)
        return false;
    *value = of[word - PL_WORD_IO_WRITTEN];
    return true;
}

bool pl_run_vq_word(struct run *r, enum pl_word word, uint64_t *value)
{
    struct pl_vq_queue queue = {0};
    struct pl_vq_chain chain = {0};
    const struct pl_vq *vq = pl_vq_there(r->s);
    if (word == PL_WORD_IO_OK) {
        *value = r->io_ok;
        return true;
    }
    if (vq) { /* without a ring, all of it is 0 */
        pl_vq_look_up(vq, &queue);
        pl_vq_current(vq, &chain);
    }
    return queue_word(&queue, word, value) || chain_word(&chain, word, value);
}

/* Little-endian bytes i to i + width of the current chain's data; 0 beyond its end. */
static uint64_t data_at(const struct pl_vq *vq, uint64_t i, unsigned width)
{
    uint64_t value = 0;
    uint8_t byte;
    for (unsigned b = 0; vq && b < width; b++)
        if (pl_vq_byte(vq, i + b, &byte))
            value |= (uint64_t)byte << (8 * b);
    return value;
}

static uint64_t memory_at(const struct run *r, uint64_t addr, unsigned width)
{
    const uint8_t *at = memory_of(r, addr, width);
    uint64_t value = 0;
    for (unsigned b = 0; at && b < width; b++)
        value |= (uint64_t)at[b] << (8 * b);
    return value;
}

/* Are these `len` bytes, from byte `at` of the current chain's data on, those drawn from `seed`? */
static bool data_same(const struct pl_vq *vq, uint64_t seed, uint64_t at, uint64_t len)
{
    uint8_t byte;
    for (uint64_t i = 0; i < len; i++)
        if (!vq || !pl_vq_byte(vq, at + i, &byte) || byte != pl_vq_pattern(seed, i))
            return false;
    return true;
}

/* The Toeplitz hash of these `len` bytes of the current chain's data, under the key from `seed`. */
static uint64_t data_hash(const struct pl_vq *vq, uint64_t seed, uint64_t at, uint64_t len)
{
    enum { KEY = 40, INPUT_MAX = 64 };
    uint8_t key[KEY], input[INPUT_MAX] = {0};
    size_t n = len < INPUT_MAX ? (size_t)len : INPUT_MAX;
    for (size_t i = 0; i < KEY; i++)
        key[i] = pl_vq_pattern(seed, i);
    for (size_t i = 0; vq && i < n; i++)
        pl_vq_byte(vq, at + i, &input[i]);
    return pl_toeplitz(key, KEY, input, n);
}

/* The ones' complement sum of these bytes of the current chain's data, two at a time, big-endian.
 */
static uint64_t data_sum(const struct pl_vq *vq, uint64_t at, uint64_t len)
{
    uint64_t sum = 0;
    uint8_t byte;
    for (uint64_t i = 0; vq && i < len && pl_vq_byte(vq, at + i, &byte); i++)
        sum += (uint64_t)byte << (i % 2 ? 0 : 8);
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

bool pl_run_vq_call(struct run *r, enum pl_word word, const uint64_t *a, size_t n, uint64_t *value)
{
    const struct pl_vq *vq = pl_vq_there(r->s);
    if (n == 1 && word >= PL_CALL_IO_BYTE && word <= PL_CALL_IO_U64)
        *value = data_at(vq, a[0], 1u << (word - PL_CALL_IO_BYTE));
    else if (n == 1 && word >= PL_CALL_MEM_BYTE && word <= PL_CALL_MEM_U64)
        *value = memory_at(r, a[0], 1u << (word - PL_CALL_MEM_BYTE));
    else if (n == 3 && word == PL_CALL_IO_SAME)
        *value = data_same(vq, a[0], a[1], a[2]);
    else if (n == 3 && word == PL_CALL_IO_TOEPLITZ)
        *value = data_hash(vq, a[0], a[1], a[2]);
    else if (n == 2 && word == PL_CALL_IO_SUM)
        *value = data_sum(vq, a[0], a[1]);
    else
        return false;
    return true;
}
