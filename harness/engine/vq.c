/* The life of the harness's driver end: made with the session's first ring, told of each message,
 * cleared at each scenario's end. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/vq_private.h"

enum { CHECK_BEHIND = 256 << 10 };

/* --- what goes by --- */

static void seal_all(struct pl_vq *vq, uint16_t dev_num)
{
    for (size_t i = 0; i < vq->n_rings; i++)
        if (vq->ring[i]->dev_num == dev_num)
            pl_vq_seal(vq, vq->ring[i], PL_STOP_RESET);
}

static void note_reset_request(struct pl_vq *vq, const struct pl_msg *m)
{
    if (vq->n_resets == PL_VQ_RESETS)
        memmove(vq->reset, vq->reset + 1, --vq->n_resets * sizeof(vq->reset[0]));
    vq->reset[vq->n_resets].token = m->token;
    vq->reset[vq->n_resets++].queue = (uint32_t)m->f[PL_F_index];
}

/* The oldest RESET_VQUEUE with this token was answered: from now on the queue stands still. */
static void note_reset_response(struct pl_vq *vq, const struct pl_msg *m)
{
    bool tokens = vq->s->spec->header.token.width != 0;
    for (size_t i = 0; i < vq->n_resets; i++) {
        if (tokens && vq->reset[i].token != m->token)
            continue;
        struct pl_vq_ring *ring = pl_vq_ring_of(vq, vq->reset[i].queue);
        vq->n_resets--;
        memmove(&vq->reset[i], &vq->reset[i + 1], (vq->n_resets - i) * sizeof(vq->reset[0]));
        if (ring && ring->features.ring_reset)
            pl_vq_seal(vq, ring, PL_STOP_QUEUE_RESET);
        return;
    }
}

static void note_event(struct pl_vq *vq, const struct pl_msg *m)
{
    struct pl_vq_ring *ring = NULL;
    for (size_t i = 0; i < vq->n_rings; i++)
        if (vq->ring[i]->dev_num == m->dev_num && vq->ring[i]->queue == m->f[PL_F_vq_index] &&
            !vq->ring[i]->retired)
            ring = vq->ring[i];
    if (!ring)
        return;
    ring->events++;
}

static void free_rings(struct pl_vq *vq)
{
    for (size_t i = 0; i < vq->n_rings; i++)
        pl_vq_ring_free(vq, vq->ring[i]);
    vq->n_rings = vq->n_resets = 0;
    vq->current = NULL;
}

/* The device was reset: what was written before is nobody's, and the next rings count again. */
static void tame(struct pl_vq *vq)
{
    free_rings(vq);
    pl_vq_memory_forget(&vq->memory);
    vq->wild = false;
}

static void see(void *opaque, const struct pl_msg *m, bool to_iut)
{
    struct pl_vq *vq = opaque;
    if ((!vq->n_rings && !vq->wild) || m->form != PL_FORM_OK)
        return;
    bool status = m->kind == PL_SET_DEVICE_STATUS || m->kind == PL_GET_DEVICE_STATUS;
    bool reset = !to_iut && m->response && status && m->f[PL_F_status] == 0;
    if (to_iut && m->kind == PL_SET_DEVICE_STATUS && m->f[PL_F_status] == 0)
        vq->asked |= m->dev_num == vq->s->dev_num;
    if (vq->wild && reset && vq->asked && m->dev_num == vq->s->dev_num)
        tame(vq);
    if (vq->wild)
        return;
    if (to_iut && m->kind == PL_RESET_VQUEUE && m->dev_num == vq->s->dev_num)
        note_reset_request(vq, m);
    else if (!to_iut && m->response && m->kind == PL_RESET_VQUEUE && m->dev_num == vq->s->dev_num)
        note_reset_response(vq, m);
    else if (reset)
        seal_all(vq, m->dev_num);
    else if (!to_iut && m->kind == PL_EVENT_USED)
        note_event(vq, m);
}

/* A fresh IUT in fresh memory: the rings of before are not its. */
static void restarted(void *opaque)
{
    struct pl_vq *vq = opaque;
    free_rings(vq);
    pl_vq_memory_forget(&vq->memory);
    vq->wild = false;
}

static void io_free(void *opaque)
{
    struct pl_vq *vq = opaque;
    for (size_t i = 0; i < vq->n_rings; i++)
        vq->ring[i]->told = false;
    free_rings(vq);
    pl_vq_memory_free(&vq->memory);
    free(vq->ring);
    free(vq);
}

struct pl_vq *pl_vq_there(const struct pl_session *s)
{
    return s->watch.free == io_free ? s->watch.opaque : NULL;
}

struct pl_vq *pl_vq_of(struct pl_session *s, char *why, size_t cap)
{
    const struct pl_port *port = s->port;
    struct pl_vq *vq = pl_vq_there(s);
    if (vq)
        return vq;
    if (!port->mem || port->mem_size < 2 * (size_t)PL_VQ_STATIC) {
        snprintf(why, cap,
                 port->mem ? "%zu bytes of shared memory are too few for virtqueues"
                           : "there is no shared memory for virtqueues",
                 port->mem_size);
        return NULL;
    }
    vq = calloc(1, sizeof(*vq));
    if (!vq || pl_vq_memory_init(&vq->memory, port) < 0) {
        snprintf(why, cap, "out of memory");
        if (vq)
            pl_vq_memory_free(&vq->memory);
        free(vq);
        return NULL;
    }
    vq->s = s;
    vq->random = 1;
    s->watch = (struct pl_session_watch){vq, see, restarted, io_free};
    return vq;
}

/* --- scenarios --- */

void pl_vq_begin(struct pl_vq *vq, uint64_t seed)
{
    vq->random = seed ? seed : 1;
}

static bool anything_runs(const struct pl_vq *vq)
{
    for (size_t i = 0; i < vq->n_rings; i++)
        if (!vq->ring[i]->stopped)
            return true;
    return false;
}

static void reset_device(struct pl_vq *vq)
{
    struct pl_msg m = {.kind = PL_SET_DEVICE_STATUS, .dev_num = vq->s->dev_num};
    if (pl_session_ask(vq->s, &m) != -EPIPE && !vq->s->stuck)
        pl_session_await_reset(vq->s);
}

/* Rings that still stand are stopped by a reset, so that what comes later is never of them. */
static void stop_rings(struct pl_vq *vq)
{
    if (!anything_runs(vq))
        return;
    for (size_t i = 0; !vq->wild && i < vq->n_rings; i++)
        if (vq->ring[i]->ring && pl_vq_await_event(vq, vq->ring[i]) == 0)
            pl_vq_check(vq, vq->ring[i]);
    reset_device(vq);
    for (size_t i = 0; !vq->wild && i < vq->n_rings && vq->s->alive && !vq->s->stuck; i++) {
        if (!vq->ring[i]->ring || vq->ring[i]->stopped)
            continue;
        vq->s->dev_num = vq->ring[i]->dev_num; /* another one's */
        reset_device(vq);
    }
}

void pl_vq_renew(struct pl_vq *vq)
{
    vq->misses = 0;
}

void pl_vq_end(struct pl_vq *vq)
{
    if (!vq->n_rings && !vq->wild)
        return;
    if (vq->s->alive && !vq->s->stuck)
        stop_rings(vq);
    bool standing = vq->s->alive && !vq->s->stuck && pl_session_fence(vq->s) == 0;
    for (size_t i = 0; standing && !vq->wild && i < vq->n_rings; i++)
        if (vq->ring[i]->stopped)
            pl_vq_at_rest(vq, vq->ring[i]);
    free_rings(vq);
    if (standing)
        pl_vq_check_behind(vq, CHECK_BEHIND);
    if (vq->wild)
        pl_vq_memory_forget(&vq->memory);
    vq->wild = false;
}

/* What the driver means: a ring's own part, or any other memory. */
static void amend(struct pl_vq *vq, uint64_t addr, const uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < vq->n_rings; i++)
        vq->ring[i]->n_seen = 0; /* it may be one of the used elements */
    for (size_t i = 0; i < vq->n_rings; i++)
        if (vq->ring[i]->ring && pl_driver_ring_amend(vq->ring[i]->ring, addr, bytes, n))
            return;
    memcpy(pl_ring_at(&vq->memory.ring, addr, n), bytes, n);
    pl_vq_freeze(&vq->memory, (size_t)(addr - vq->memory.ring.base), n);
}

bool pl_vq_poke(struct pl_vq *vq, uint64_t addr, const uint8_t *bytes, size_t n, bool keep)
{
    void *at = pl_ring_at(&vq->memory.ring, addr, n);
    if (!at)
        return false;
    if (keep && !vq->wild) {
        amend(vq, addr, bytes, n);
        return true;
    }
    memcpy(at, bytes, n);
    pl_vq_run_wild(vq);
    return true;
}

void pl_vq_run_wild(struct pl_vq *vq)
{
    if (!vq->wild)
        for (size_t i = 0; i < vq->n_rings; i++)
            pl_vq_drop(vq, vq->ring[i]);
    vq->wild = vq->s->port->outlawed = true;
    vq->asked = false;
}

bool pl_vq_is_wild(const struct pl_vq *vq)
{
    return vq->wild;
}

bool pl_vq_blind(const struct pl_vq *vq)
{
    return vq->blind;
}

/* --- what expressions ask --- */

static bool look_up(const struct pl_vq_ring *ring, struct pl_vq_queue *out)
{
    bool wrap;
    if (!ring)
        return false;
    *out = (struct pl_vq_queue){
        .setup = ring->setup, .held = ring->held, .used = ring->used, .events = ring->events};
    out->stopped = ring->stopped == PL_STOP_QUEUE_RESET;
    out->over = ring->stopped == PL_STOP_RESET;
    if (ring->ring) {
        out->room = pl_driver_ring_room(ring->ring);
        out->next = pl_driver_ring_kick_offset(ring->ring, &wrap);
    }
    return true;
}

bool pl_vq_look_up(const struct pl_vq *vq, struct pl_vq_queue *out)
{
    return look_up(vq->current, out);
}

bool pl_vq_look_up_queue(const struct pl_vq *vq, uint32_t queue, struct pl_vq_queue *out)
{
    return look_up(pl_vq_ring_of(vq, queue), out);
}

bool pl_vq_current(const struct pl_vq *vq, struct pl_vq_chain *out)
{
    const struct pl_chain *chain = vq->current ? vq->current->last : NULL;
    if (!chain)
        return false;
    *out = (struct pl_vq_chain){.used = chain->state == PL_CHAIN_USED,
                                .written = chain->written,
                                .length = chain->writable,
                                .table = chain->table};
    for (size_t i = chain->n; i-- > 0;)
        *(chain->buffer[i].device_writes ? &out->in : &out->out) = chain->buffer[i].addr;
    return true;
}

bool pl_vq_byte(const struct pl_vq *vq, uint64_t i, uint8_t *out)
{
    const struct pl_chain *chain = vq->current ? vq->current->last : NULL;
    if (!chain || chain->state != PL_CHAIN_USED)
        return false;
    for (size_t k = 0; k < chain->n; k++) {
        if (!chain->buffer[k].device_writes)
            continue;
        if (i < chain->buffer[k].len) {
            *out = vq->memory.shadow[chain->buffer[k].addr - vq->memory.ring.base + i];
            return true;
        }
        i -= chain->buffer[k].len;
    }
    return false;
}
