/* The driver end of a split virtqueue in memory that the device shares and is not trusted with. */
#ifndef PL_RING_SPLIT_H
#define PL_RING_SPLIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Shared memory: its mapping, and the bus address of its first byte. The caller's. */
struct pl_ring_memory {
    void *mem;
    uint64_t base;
    size_t size;
};

/* One buffer of a chain, by bus address. */
struct pl_ring_buffer {
    uint64_t addr;
    uint32_t len;
    bool device_writes;
};

/* A chain that the device has given back. */
struct pl_ring_used {
    uint16_t head;    /* what pl_split_add returned for it */
    uint32_t written; /* bytes, at most what the chain has for the device to write */
};

/* What the driver remembers of a chain or a descriptor; nothing of it lies in shared memory. */
struct pl_split_slot;

struct pl_split {
    struct pl_ring_memory memory;
    uint16_t size;                                /* entries, a power of two */
    uint64_t desc_addr, driver_addr, device_addr; /* for SET_VQUEUE */
    uint16_t avail_idx, used_idx;                 /* the next ones, counting on from 0 */
    uint16_t free_head, n_free;
    struct pl_split_slot *slots; /* owned */
};

/* Bytes that a ring of this size takes, from an address that is a multiple of 16 on. */
size_t pl_split_bytes(uint16_t size);

/*
 * Lay a ring of `size` entries out at bus address `at` and clear it. 0; -EINVAL where the size is
 * no power of two up to 32768, or `at` is not aligned or leaves too little memory; -ENOMEM.
 */
int pl_split_init(struct pl_split *ring, const struct pl_ring_memory *memory, uint64_t at,
                  uint16_t size);
/* Free what init took; the shared memory stays as it is. */
void pl_split_free(struct pl_split *ring);

/*
 * Make a chain of n buffers available: those that the device reads first, as core virtio asks.
 * Returns its head, -ENOSPC where too few descriptors are free, -EINVAL for an empty chain.
 */
int pl_split_add(struct pl_split *ring, const struct pl_ring_buffer *buffers, size_t n);

/* Whether the device wants to hear of what was made available (flags alone: no EVENT_IDX). */
bool pl_split_wants_kick(const struct pl_split *ring);
/* The available index after the last chain: next_off of a notification with data. */
uint16_t pl_split_kick_index(const struct pl_split *ring);

/*
 * Take the next chain that the device has used. 1: out is filled; 0: there is none; -EPROTO: the
 * used ring holds what no device may write (an index too far on, a head that is not available, more
 * bytes than the chain can take), and the ring can be used no more.
 */
int pl_split_poll(struct pl_split *ring, struct pl_ring_used *out);

/* A bus address as a pointer, where [addr, addr + len) lies within the memory; else NULL. */
void *pl_ring_at(const struct pl_ring_memory *memory, uint64_t addr, size_t len);

#endif
