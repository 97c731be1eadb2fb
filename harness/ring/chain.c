/* What a chain may be made of, and its contents as one run of bytes. */
#include <string.h>

#include "ring/device.h"
#include "ring/shared.h"

static const uint64_t CHAIN_BYTES_MAX = UINT64_C(1) << 32; /* split only */

enum pl_ring_fault pl_chain_add(struct pl_chain_walk *walk, uint64_t addr, uint32_t len,
                                bool device_writes)
{
    const struct pl_ring_memory *memory = &walk->ring->memory;
    struct pl_ring_chain *out = walk->out;

    if (++walk->buffers > walk->ring->setup.size)
        return PL_RING_LOOP;
    if (walk->writable_seen && !device_writes)
        return PL_RING_DIRECTION;
    walk->writable_seen = device_writes;
    if (!pl_ring_at(memory, addr, len)) {
        if (len > 0)
            return PL_RING_ADDRESS;
        addr = memory->base;
    }
    *(device_writes ? &out->writable : &out->readable) += len;
    if (!walk->ring->setup.packed && out->readable + out->writable > CHAIN_BYTES_MAX)
        return PL_RING_LOOP;
    if (out->n == PL_RING_CHAIN_MAX)
        return PL_RING_SOUND;
    out->buffer[out->n++] = (struct pl_ring_buffer){addr, len, device_writes};
    out->n_readable += !device_writes;
    return PL_RING_SOUND;
}

enum pl_ring_fault pl_chain_table(const struct pl_chain_walk *walk, uint64_t addr, uint32_t len,
                                  const uint8_t **table, uint32_t *n)
{
    if (!walk->ring->setup.indirect || len % sizeof(struct vring_desc))
        return PL_RING_INDIRECT;
    if (len == 0)
        return PL_RING_EMPTY;
    *table = pl_ring_at(&walk->ring->memory, addr, len);
    *n = len / (uint32_t)sizeof(struct vring_desc);
    return *table ? PL_RING_SOUND : PL_RING_ADDRESS;
}

/* Copy between a chain's buffers of one direction and `bytes`, which is read where `in`. */
static size_t copy(const struct pl_ring_memory *memory, const struct pl_ring_chain *chain,
                   size_t at, uint8_t *out, const uint8_t *in, size_t len)
{
    const unsigned first = in ? chain->n_readable : 0, end = in ? chain->n : chain->n_readable;
    size_t done = 0;

    for (unsigned i = first; i < end && i < PL_RING_CHAIN_MAX && done < len; i++) {
        const struct pl_ring_buffer *b = &chain->buffer[i];
        if (at >= b->len) {
            at -= b->len;
            continue;
        }
        size_t n = b->len - at < len - done ? b->len - at : len - done;
        uint8_t *shared = pl_ring_at(memory, b->addr, b->len);
        if (!shared)
            break;
        if (in)
            pl_shared_write(shared + at, in + done, n);
        else
            pl_shared_read(out + done, shared + at, n);
        done += n;
        at = 0;
    }
    return done;
}

size_t pl_ring_read(const struct pl_ring_memory *memory, const struct pl_ring_chain *chain,
                    size_t at, void *out, size_t len)
{
    return copy(memory, chain, at, out, NULL, len);
}

size_t pl_ring_write(const struct pl_ring_memory *memory, const struct pl_ring_chain *chain,
                     size_t at, const void *bytes, size_t len)
{
    return bytes ? copy(memory, chain, at, NULL, bytes, len) : 0;
}
