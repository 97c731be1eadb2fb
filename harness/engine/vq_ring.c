/* Rings and chains of the harness: laid out, written, made available, announced, and freed. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/vq_private.h"
#include "wire/random.h"

struct pl_vq_ring *pl_vq_ring_of(const struct pl_vq *vq, uint32_t queue)
{
    for (size_t i = 0; i < vq->n_rings; i++)
        if (vq->ring[i]->queue == queue && vq->ring[i]->dev_num == vq->s->dev_num &&
            !vq->ring[i]->retired)
            return vq->ring[i];
    return NULL;
}

void pl_vq_drop(struct pl_vq *vq, struct pl_vq_ring *ring)
{
    if (ring->told)
        pl_session_tell(vq->s, "ring %u %u end", ring->dev_num, ring->queue);
    ring->told = false;
    pl_driver_ring_free(ring->ring);
    ring->ring = NULL;
}

/* --- rings --- */

static void free_list(struct pl_vq *vq, struct pl_chain *chain)
{
    while (chain) {
        struct pl_chain *next = chain->next;
        pl_vq_chain_free(vq, chain);
        chain = next;
    }
}

void pl_vq_chain_free(struct pl_vq *vq, struct pl_chain *chain)
{
    pl_vq_give_back(vq, chain->block);
    free(chain);
}

void pl_vq_ring_free(struct pl_vq *vq, struct pl_vq_ring *ring)
{
    pl_vq_drop(vq, ring);
    free_list(vq, ring->added);
    free_list(vq, ring->done);
    for (unsigned i = 0; ring->by_id && i < ring->setup.size; i++)
        if (ring->by_id[i] && ring->by_id[i]->state == PL_CHAIN_HELD)
            pl_vq_chain_free(vq, ring->by_id[i]);
    if (ring->block.len)
        pl_vq_give_back(vq, ring->block);
    if (vq->current == ring)
        vq->current = NULL;
    free(ring->by_id);
    free(ring->was_used);
    free(ring->seen);
    free(ring->used_at);
    free(ring);
}

/* Memory for the parts, and the driver's books. */
static int make_ring(struct pl_vq *vq, struct pl_vq_ring *ring)
{
    struct pl_ring_setup *setup = &ring->setup;
    int err =
        pl_vq_take(vq, ring->queue, pl_ring_bytes(setup->packed, setup->size).whole + 3 * PL_UNIT,
                   &ring->block);
    if (err)
        return err;
    ring->at = ring->block.at + PL_UNIT + PL_C_DESC_ALIGN * (pl_random(&vq->random) % 4);
    ring->len = pl_ring_bytes(setup->packed, setup->size).whole;
    err = pl_ring_place(setup, vq->memory.ring.base + ring->at);
    if (err)
        return err;
    ring->by_id = calloc(setup->size, sizeof(struct pl_chain *));
    ring->was_used = calloc(setup->size, sizeof(*ring->was_used));
    ring->seen = calloc(setup->size, sizeof(*ring->seen));
    ring->used_at = calloc(setup->size, sizeof(*ring->used_at));
    ring->wrap = true;
    if (!ring->by_id || !ring->was_used || !ring->seen || !ring->used_at)
        return -ENOMEM;
    ring->ring = pl_driver_ring_new(&vq->memory.ring, setup, &err);
    return ring->ring ? 0 : err;
}

static int add_ring(struct pl_vq *vq, struct pl_vq_ring *ring)
{
    struct pl_vq_ring **list = realloc(vq->ring, (vq->n_rings + 1) * sizeof(*list));
    if (!list)
        return -ENOMEM;
    vq->ring = list;
    list[vq->n_rings++] = ring;
    return 0;
}

static void remove_ring(struct pl_vq *vq, struct pl_vq_ring *ring)
{
    size_t i = 0;
    while (vq->ring[i] != ring)
        i++;
    pl_vq_ring_free(vq, ring);
    vq->ring[i] = vq->ring[--vq->n_rings];
}

/*
 * Another ring takes its place. A stopped one stays for a while, since what the IUT writes there
 * now comes too late; the oldest of those makes room.
 */
static void replace_ring(struct pl_vq *vq, struct pl_vq_ring *old)
{
    enum { RETIRED_MAX = 4, RETIRED_BYTES = 64 << 10 };
    struct pl_vq_ring *oldest = NULL;
    unsigned n = 0;
    pl_vq_check(vq, old);
    if (!old->stopped || vq->wild || old->block.len > RETIRED_BYTES) {
        remove_ring(vq, old);
        return;
    }
    for (size_t i = 0; i < vq->n_rings; i++) {
        if (!vq->ring[i]->retired)
            continue;
        n++;
        if (!oldest || vq->ring[i]->retired < oldest->retired)
            oldest = vq->ring[i];
    }
    old->retired = ++vq->n_retired;
    pl_vq_drop(vq, old);
    if (n < RETIRED_MAX)
        return;
    pl_vq_check(vq, oldest);
    remove_ring(vq, oldest);
}

int pl_vq_lay(struct pl_vq *vq, uint32_t queue, uint32_t size, const struct pl_vq_features *f)
{
    struct pl_vq_ring *old = pl_vq_ring_of(vq, queue);
    bool odd = !f->packed && (size & (size - 1));
    if (!size || size > PL_C_QUEUE_SIZE_MAX || odd)
        return -EINVAL;
    if (old)
        replace_ring(vq, old);
    struct pl_vq_ring *ring = calloc(1, sizeof(*ring));
    if (!ring)
        return -ENOMEM;
    *ring = (struct pl_vq_ring){.queue = queue,
                                .dev_num = vq->s->dev_num,
                                .features = *f,
                                .setup = {.packed = f->packed,
                                          .indirect = f->indirect,
                                          .event_idx = f->event_idx,
                                          .in_order = f->in_order,
                                          .size = (uint16_t)size},
                                .when = PL_RING_NOTIFY_ALWAYS};
    ring->added_end = &ring->added;
    int err = make_ring(vq, ring);
    if (!err)
        err = add_ring(vq, ring);
    if (err) {
        pl_vq_ring_free(vq, ring);
        return err;
    }
    pl_vq_arm(ring, 0);
    ring->told = true;
    vq->current = ring;
    pl_session_tell(vq->s, "ring %u %u begin %s %u", ring->dev_num, queue,
                    f->packed ? "packed" : "split", size);
    return 0;
}

/* --- chains --- */

/*
 * Fewer buffers of the same bytes: device-readable ones together, device-writable ones together,
 * until `most` are left. The device must not mind, core virtio says (message framing).
 */
static size_t merged(const struct pl_vq_buffer *in, size_t n, size_t most, uint32_t *len)
{
    size_t k = 0;
    for (size_t i = 0; i < n; i++) {
        bool kin = k && in[i].device_writes == in[i - 1].device_writes;
        size_t left = n - i;
        if (kin && k + left > most)
            len[k - 1] += in[i].len;
        else
            len[k++] = in[i].len;
    }
    return k;
}

/* Where the buffers lie within their block, one behind the other, with guards between. */
static size_t place_buffers(struct pl_vq *vq, struct pl_chain *chain, const uint32_t *len,
                            bool indirect)
{
    size_t at = PL_VQ_GUARD;
    uint64_t readable = 0;
    for (size_t i = 0; i < chain->n; i++) {
        bool writes = readable >= chain->readable;
        at += pl_random(&vq->random) % 16;
        chain->buffer[i] = (struct pl_ring_buffer){at, len[i], writes};
        at += len[i] + PL_VQ_GUARD;
        readable += writes ? 0 : len[i];
    }
    if (indirect) {
        at = (at + 15) & ~(size_t)15;
        chain->table = at;
        at += pl_ring_table_bytes(chain->n) + PL_VQ_GUARD;
    }
    return at;
}

/* Everything that the device is to read goes into the memory and its shadow. */
static void write_out(struct pl_vq *vq, struct pl_chain *chain, const struct pl_vq_buffer *in,
                      size_t n)
{
    struct pl_vq_memory *m = &vq->memory;
    size_t k = 0, at = 0;
    for (size_t i = 0; i < n && !in[i].device_writes; i++) {
        for (uint32_t done = 0; done < in[i].len;) {
            struct pl_ring_buffer *to = &chain->buffer[k];
            uint32_t len = in[i].len - done;
            len = len < to->len - at ? len : (uint32_t)(to->len - at);
            size_t where = (size_t)(to->addr - m->ring.base) + at;
            if (in[i].bytes) {
                memcpy(m->shadow + where, in[i].bytes + done, len);
                memcpy((uint8_t *)m->ring.mem + where, in[i].bytes + done, len);
            }
            done += len;
            at += len;
            if (at == to->len) {
                k++;
                at = 0;
            }
        }
    }
}

static struct pl_chain *make_chain(struct pl_vq *vq, struct pl_vq_ring *ring,
                                   const struct pl_vq_buffer *in, size_t n, bool indirect, int *err)
{
    unsigned room = pl_driver_ring_room(ring->ring);
    size_t most = indirect ? ring->setup.size : room;
    uint32_t *len = calloc(n, sizeof(*len));
    struct pl_chain *chain = calloc(1, sizeof(*chain) + n * sizeof(chain->buffer[0]));
    *err = -ENOMEM;
    if (!len || !chain)
        goto failed;
    for (size_t i = 0; i < n; i++)
        *(in[i].device_writes ? &chain->writable : &chain->readable) += in[i].len;
    chain->n = merged(in, n, most, len);
    *err = pl_vq_take(vq, ring->queue, place_buffers(vq, chain, len, indirect), &chain->block);
    if (*err)
        goto failed;
    uint64_t base = vq->memory.ring.base + chain->block.at;
    for (size_t i = 0; i < chain->n; i++)
        chain->buffer[i].addr += base;
    chain->table += chain->table ? base : 0;
    write_out(vq, chain, in, n);
    free(len);
    return chain;
failed:
    free(len);
    free(chain);
    return NULL;
}

int pl_vq_chain(struct pl_vq *vq, uint32_t queue, const struct pl_vq_buffer *buffers, size_t n,
                bool indirect, const char *name)
{
    struct pl_vq_ring *ring = pl_vq_ring_of(vq, queue);
    int err;
    if (!ring || !ring->ring)
        return -ENOENT;
    if (!pl_driver_ring_room(ring->ring))
        return -ENOSPC;
    indirect = indirect && ring->features.indirect;
    struct pl_chain *chain = make_chain(vq, ring, buffers, n, indirect, &err);
    if (!chain)
        return err;
    int id = pl_driver_ring_add(ring->ring, chain->buffer, chain->n, chain->table);
    if (id < 0 || id >= ring->setup.size) {
        pl_vq_chain_free(vq, chain);
        return id < 0 ? id : -EINVAL;
    }
    if (chain->table)
        pl_vq_freeze(&vq->memory, (size_t)(chain->table - vq->memory.ring.base),
                     pl_ring_table_bytes(chain->n));
    if (ring->setup.packed)
        ring->n_seen = 0; /* new descriptors stand where used ones stood */
    chain->id = (uint16_t)id;
    chain->name = name;
    chain->state = PL_CHAIN_ADDED;
    *ring->added_end = chain;
    ring->added_end = &chain->next;
    ring->last = chain;
    vq->current = ring;
    return 0;
}

int pl_vq_publish(struct pl_vq *vq, uint32_t queue)
{
    struct pl_vq_ring *ring = pl_vq_ring_of(vq, queue);
    if (!ring || !ring->ring)
        return -ENOENT;
    vq->current = ring;
    while (ring->added) {
        struct pl_chain *chain = ring->added;
        ring->added = chain->next;
        chain->next = NULL;
        chain->state = PL_CHAIN_HELD;
        ring->by_id[chain->id] = chain;
        ring->held++;
        pl_session_tell(vq->s, "ring %u %u add %u %llu %llu", ring->dev_num, queue, chain->id,
                        (unsigned long long)chain->readable, (unsigned long long)chain->writable);
    }
    ring->added_end = &ring->added;
    pl_driver_ring_publish(ring->ring);
    return 0;
}

/* --- announcing --- */

static uint64_t next_offset(const struct pl_vq_ring *ring)
{
    bool wrap = false;
    if (!ring->features.notification_data)
        return 0;
    uint64_t offset = pl_driver_ring_kick_offset(ring->ring, &wrap);
    return offset | (wrap ? PL_C_AVAIL_NEXT_WRAP : 0);
}

int pl_vq_kick(struct pl_vq *vq, uint32_t queue, bool always)
{
    uint8_t out[64];
    struct pl_vq_ring *ring = pl_vq_ring_of(vq, queue);
    struct pl_msg m = {.kind = PL_EVENT_AVAIL, .dev_num = vq->s->dev_num};
    if (ring && ring->ring) {
        vq->current = ring;
        if (!pl_driver_ring_kick_due(ring->ring) && !always)
            return 0;
        m.f[PL_F_next_offset] = next_offset(ring);
    } else if (!always) {
        return 0;
    }
    m.f[PL_F_vq_index] = queue;
    ssize_t n = pl_encode(vq->s->spec, &m, out, sizeof(out));
    return n < 0 ? (int)n : pl_session_push(vq->s, out, (size_t)n);
}
