/* The device end's books, and what the two formats do for it. */
#ifndef PL_RING_DEVICE_H
#define PL_RING_DEVICE_H

#include "ring/layout.h"
#include "ring/ring.h"

struct pl_device_ring {
    struct pl_ring_memory memory;
    struct pl_ring_setup setup;
    uint8_t *desc, *driver, *device; /* the parts as mapped */
    bool kicks_wanted;

    /* split: indexes, counting on */
    uint16_t next_avail, seen_avail, next_used;
    uint16_t avail_event; /* as written last */

    /* packed */
    struct pl_place avail_at, used_at;
    bool held_back;          /* the first used descriptor of a batch waits for flush */
    struct pl_place held_at; /* its place */
    uint16_t held_flags;
    uint32_t event; /* the device event suppression structure as written last */

    /* what was flushed since it was last asked whether to notify */
    uint64_t pushed, fresh;     /* entries: not flushed yet; flushed */
    struct pl_place fresh_from; /* packed */
};

/* Collects a chain's buffers into `out`. */
struct pl_chain_walk {
    const struct pl_device_ring *ring;
    struct pl_ring_chain *out;
    unsigned buffers; /* all of them */
    bool writable_seen;
};
/* One more buffer, or the fault that it is. */
enum pl_ring_fault pl_chain_add(struct pl_chain_walk *walk, uint64_t addr, uint32_t len,
                                bool device_writes);
/* The mapping and the number of descriptors of an indirect table, or the fault that it is. */
enum pl_ring_fault pl_chain_table(const struct pl_chain_walk *walk, uint64_t addr, uint32_t len,
                                  const uint8_t **table, uint32_t *n);

/* Each format. pop: 1, 0, or -EPROTO, moving on after the caller's word. */
int pl_split_take(struct pl_device_ring *ring, struct pl_chain_walk *walk,
                  enum pl_ring_fault *fault);
int pl_packed_take(struct pl_device_ring *ring, struct pl_chain_walk *walk,
                   enum pl_ring_fault *fault);
/* Ask for kicks at what comes next, or for none; true: something has come meanwhile. */
bool pl_split_ask(struct pl_device_ring *ring);
bool pl_packed_ask(struct pl_device_ring *ring);
void pl_split_push(struct pl_device_ring *ring, const struct pl_ring_bend *bend);
void pl_packed_push(struct pl_device_ring *ring, const struct pl_ring_bend *bend);
void pl_split_flush(struct pl_device_ring *ring);
void pl_packed_flush(struct pl_device_ring *ring);
bool pl_split_notify_due(const struct pl_device_ring *ring);
bool pl_packed_notify_due(const struct pl_device_ring *ring);

#endif
