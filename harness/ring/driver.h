/* The driver end's books, and what the two formats do for it; nothing of this is in shared memory.
 */
#ifndef PL_RING_DRIVER_H
#define PL_RING_DRIVER_H

#include "ring/layout.h"
#include "ring/ring.h"

enum pl_chain_state { PL_CHAIN_FREE, PL_CHAIN_ADDED, PL_CHAIN_HELD };

/* By id (split: of the first descriptor). */
struct pl_chain_book {
    enum pl_chain_state state;
    uint16_t next;    /* free: the next free one; split: also the next descriptor of the chain */
    uint16_t last;    /* split, of a head: the chain's last descriptor */
    uint16_t entries; /* descriptors that it takes in the ring */
    uint16_t first_flags; /* packed: what makes the first descriptor available */
    struct pl_place at;   /* packed: the first descriptor */
    uint64_t writable;    /* bytes */
    uint64_t seq;         /* how many chains were added before it */
};

/* What a used entry says, each value read once. */
struct pl_used_entry {
    uint32_t id, written;
    uint64_t covers; /* chains that the entry can stand for at most, where in order */
};

struct pl_driver_ring {
    struct pl_ring_memory memory;
    struct pl_ring_setup setup;
    struct pl_ring_bytes bytes;
    uint8_t *desc, *driver, *device;      /* the parts as mapped */
    uint8_t *desc_shadow, *driver_shadow; /* what this end wrote there last; owned */

    struct pl_chain_book *chain; /* owned, one for each entry */
    uint16_t *order;             /* ids by sequence, modulo the size; owned */
    uint16_t free_head, free_tail;
    unsigned room; /* entries */
    uint64_t added, published, used;

    uint16_t seen_idx;                   /* split: the used index as last read */
    struct pl_place next_add, next_used; /* packed */

    uint64_t left; /* chains that the entry taken last covers and that are still to be told of */
    struct pl_used_entry entry;

    /* what the device is to notify of */
    enum pl_ring_notify when;
    uint16_t event;           /* split EVENT_IDX: used_event */
    struct pl_place event_at; /* packed: with AT */
    bool vague;               /* the device may have gone by the setting before this one */
    enum pl_ring_due due;     /* for what was taken since the last look */

    /* what was published since it was last asked whether to kick */
    uint64_t fresh_chains, fresh_entries;
    struct pl_place published_at, kicked_at; /* packed */

    uint64_t *reach; /* for a comparison of the packed ring: a bit for each entry; owned */
    uint16_t *tally; /* and the number of chains of each length; owned */
};

/* Take n ids off the free list: the first; they stay linked by `next`. Give them back at its end.
 */
uint16_t pl_books_take_ids(struct pl_driver_ring *ring, size_t n);
void pl_books_give_ids(struct pl_driver_ring *ring, uint16_t first, uint16_t last);
/* Write to the descriptor area, or a word of the driver area, and to the shadow of it. */
void pl_books_write_desc(struct pl_driver_ring *ring, size_t at, const void *bytes, size_t len);
void pl_books_write16(struct pl_driver_ring *ring, size_t at, uint16_t value);
/* Does shared memory still hold what its shadow holds? */
bool pl_books_same(const uint8_t *shared, const uint8_t *shadow, size_t len);

/* Each format: write a checked chain, publish, look for a used entry, release, arm, compare. */
int pl_split_write(struct pl_driver_ring *ring, const struct pl_ring_buffer *buffers, size_t n,
                   uint64_t table);
void pl_split_publish(struct pl_driver_ring *ring);
bool pl_split_kick_due(struct pl_driver_ring *ring);
int pl_split_look(struct pl_driver_ring *ring, struct pl_used_entry *entry,
                  enum pl_ring_fault *fault);
void pl_split_release(struct pl_driver_ring *ring, uint16_t id);
/* Set the driver's event suppression; true where it differs from what was set before. */
bool pl_split_arm(struct pl_driver_ring *ring, uint16_t ahead);
bool pl_split_pending(const struct pl_driver_ring *ring);
enum pl_ring_due pl_split_due(const struct pl_driver_ring *ring);
bool pl_split_intact(const struct pl_driver_ring *ring, const char **what);

int pl_packed_write(struct pl_driver_ring *ring, const struct pl_ring_buffer *buffers, size_t n,
                    uint64_t table);
void pl_packed_publish(struct pl_driver_ring *ring);
bool pl_packed_kick_due(struct pl_driver_ring *ring);
int pl_packed_look(struct pl_driver_ring *ring, struct pl_used_entry *entry,
                   enum pl_ring_fault *fault);
void pl_packed_release(struct pl_driver_ring *ring, uint16_t id);
bool pl_packed_arm(struct pl_driver_ring *ring, uint16_t ahead);
bool pl_packed_pending(const struct pl_driver_ring *ring);
/* `written` tells whether the device wrote a used descriptor for this chain's place. */
enum pl_ring_due pl_packed_due(const struct pl_driver_ring *ring, uint16_t entries, bool written);
bool pl_packed_intact(const struct pl_driver_ring *ring, const char **what);

#endif
