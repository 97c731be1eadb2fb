/* What the files of the harness's driver end share. */
#ifndef PL_VQ_PRIVATE_H
#define PL_VQ_PRIVATE_H

#include "engine/vq.h"

enum {
    PL_UNIT = 64,      /* bytes; memory is handed out in units */
    PL_VQ_GUARD = 16,  /* bytes between buffers, at least */
    PL_VQ_RESETS = 64, /* RESET_VQUEUE under way */
};

/* A stretch of the memory, in bytes from its first; whole units. */
struct pl_block {
    size_t at, len;
};

/* What is known of PL_UNIT bytes. */
struct pl_cell {
    bool live;  /* belongs to a ring or a chain that stands */
    bool known; /* the shadow says what it holds */
    uint16_t dev_num;
    uint32_t queue;
};

/* The memory, with a shadow of what it holds where the IUT may not write. */
struct pl_vq_memory {
    struct pl_ring_memory ring;
    uint8_t *shadow;
    struct pl_cell *unit;
    size_t n_units;
    size_t next;                 /* the unit where the next block is looked for */
    size_t touched, touched_end; /* of the units that something is known of; equal: none */
};

enum pl_chain_state { PL_CHAIN_ADDED, PL_CHAIN_HELD, PL_CHAIN_USED };

struct pl_chain {
    struct pl_chain *next; /* in the ring's list */
    const char *name;
    enum pl_chain_state state;
    uint16_t id;
    uint32_t written;
    uint64_t readable, writable;
    struct pl_block block;
    uint64_t table; /* bus address, or 0 */
    size_t n;
    struct pl_ring_buffer buffer[];
};

enum pl_ring_stop { PL_STOP_NONE, PL_STOP_RESET, PL_STOP_QUEUE_RESET };

/* A used element as it was seen. */
struct pl_seen_used {
    uint32_t place, id, written;
};

struct pl_vq_ring {
    uint32_t queue;
    uint16_t dev_num;
    struct pl_vq_features features;
    struct pl_ring_setup setup;
    struct pl_driver_ring *ring; /* NULL: dropped or stopped */
    struct pl_block block;
    size_t at, len; /* of the ring itself, within the block */
    enum pl_ring_stop stopped;
    uint64_t retired;        /* another ring has its place: the how manieth such one; else 0 */
    bool told;               /* the oracle follows it: "begin" was told, "end" not yet */
    struct pl_chain **by_id; /* [size]: what the IUT holds, or was written */
    struct pl_chain *added, **added_end; /* written and not available yet, in order */
    struct pl_chain *done;               /* used, and still spoken of */
    struct pl_chain *last;               /* what io.* means */
    bool *was_used;                      /* [size]: by id, at least once */
    struct pl_seen_used *seen;           /* [size]: the last ones, round and round */
    uint32_t n_seen, next_seen;
    uint32_t place; /* where the next used element stands; */
    bool wrap;      /* packed: and the counter that it has */
    bool *used_at;  /* [size], packed: a used descriptor stands there, as far as was seen */
    enum pl_ring_notify when;
    uint64_t used, claimed, checked, events, events_looked;
    uint64_t armed; /* `used` when an announcement was last asked for */
    bool measured;  /* a length that the IUT told was checked since the last check */
    unsigned held;
    bool touched; /* used, or announced, since the last look was told */
};

struct pl_vq {
    struct pl_session *s;
    struct pl_vq_memory memory;
    struct pl_vq_ring **ring;
    size_t n_rings;
    uint64_t n_retired;
    struct pl_vq_ring *current;
    uint64_t random;
    unsigned misses;
    bool served; /* the IUT has used a chain */
    bool blind;  /* it does not look at the memory at all */
    bool wild;   /* the harness wrote nonsense: nothing in memory means anything */
    bool asked;  /* ... and it has asked for a reset since */
    struct {
        uint16_t token;
        uint32_t queue;
    } reset[PL_VQ_RESETS]; /* RESET_VQUEUE under way, oldest first */
    size_t n_resets;
};

/* --- io_memory.c --- */

int pl_vq_memory_init(struct pl_vq_memory *m, const struct pl_port *port);
void pl_vq_memory_free(struct pl_vq_memory *m);
/* Nothing is known of what the memory holds, and all of it is free. */
void pl_vq_memory_forget(struct pl_vq_memory *m);
/* Free memory of `len` bytes, rounded up to units: filled with a pattern. 0 or -ENOSPC. */
int pl_vq_take(struct pl_vq *vq, uint32_t queue, size_t len, struct pl_block *out);
void pl_vq_give_back(struct pl_vq *vq, struct pl_block block);
/* What the memory holds there is right from now on. */
void pl_vq_freeze(struct pl_vq_memory *m, size_t at, size_t len);
/* Does it hold there what it shall? Else the first offset where it does not. */
bool pl_vq_same(const struct pl_vq_memory *m, size_t at, size_t len, size_t *where);
/* Compare the `len` bytes before the next free unit with the shadow, where nothing stands. */
void pl_vq_check_behind(struct pl_vq *vq, size_t len);

/* --- io_ring.c, io_look.c --- */

struct pl_vq_ring *pl_vq_ring_of(const struct pl_vq *vq, uint32_t queue);
/* What looking at memory shows, by the names that the catalogue of core virtio has for it. */
enum pl_seen {
    PL_SEEN_READABLE,    /* a device-readable buffer is as it was */
    PL_SEEN_DESC,        /* so are the descriptors, */
    PL_SEEN_DRIVER,      /* the driver area, */
    PL_SEEN_BEYOND,      /* and what lies beside rings and buffers */
    PL_SEEN_WRITTEN,     /* so many bytes were written as the IUT says */
    PL_SEEN_LEN,         /* no more than there is room for */
    PL_SEEN_INDEX,       /* the used index moves by what is used */
    PL_SEEN_ID,          /* what is used was available */
    PL_SEEN_ONCE,        /* and was not used before */
    PL_SEEN_FLAGS,       /* what the device asks for, */
    PL_SEEN_FLAGS_EVENT, /* the same with VIRTIO_F_EVENT_IDX */
    PL_SEEN_USED_FLAGS,  /* packed: of a used descriptor */
    PL_SEEN_ORDER,
    PL_SEEN_SETTLED, /* a used entry stays as it is */
    PL_SEEN_STOPPED, /* nothing changes any more */
};
/* Tell an observation: it holds, or `text` says how it is broken. */
void pl_vq_observe(struct pl_vq *vq, const struct pl_vq_ring *ring, enum pl_seen what,
                   const char *text);
/* Ask for announcements as `when` says; `ahead` counts for AT. */
void pl_vq_arm(struct pl_vq_ring *ring, uint16_t ahead);
/* Take what is used and tell of it; `open`: it may have been announced as before, or as now. */
void pl_vq_look(struct pl_vq *vq, struct pl_vq_ring *ring, bool open);
/* Compare what the IUT may not have written, and tell; true where all of that stands. */
bool pl_vq_check(struct pl_vq *vq, struct pl_vq_ring *ring);
/* The ring stands still from here on: what is used is told, then "sealed". */
void pl_vq_seal(struct pl_vq *vq, struct pl_vq_ring *ring, enum pl_ring_stop why);
/* Wait for the EVENT_USED that is due; where none comes the oracle hears that. 0, or an errno. */
int pl_vq_await_event(struct pl_vq *vq, struct pl_vq_ring *ring);
/* Behind a fence: has nothing happened since the last look? Told, where so. */
bool pl_vq_at_rest(struct pl_vq *vq, struct pl_vq_ring *ring);
/* No more is told of a ring. */
void pl_vq_drop(struct pl_vq *vq, struct pl_vq_ring *ring);
void pl_vq_ring_free(struct pl_vq *vq, struct pl_vq_ring *ring);
void pl_vq_chain_free(struct pl_vq *vq, struct pl_chain *chain);

/* --- vq_used.c --- */

/* A chain was used: what its element holds is remembered. */
void pl_vq_note_used(struct pl_vq *vq, struct pl_vq_ring *ring, const struct pl_chain *chain);
/* Do the last elements stand as they were seen? Told where they do not. */
bool pl_vq_check_settled(struct pl_vq *vq, struct pl_vq_ring *ring);
/* Packed: is a chain that the IUT holds used at a place that is not the next one? */
bool pl_vq_used_elsewhere(const struct pl_vq *vq, const struct pl_vq_ring *ring);
extern const char pl_vq_elsewhere[]; /* says so */
/* Behind a fault: does the element at hand name a chain that was used already? */
bool pl_vq_used_again(const struct pl_vq *vq, const struct pl_vq_ring *ring);

#endif
