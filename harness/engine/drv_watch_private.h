/* What the files of the watch on a driver's rings share. */
#ifndef PL_DRV_WATCH_PRIVATE_H
#define PL_DRV_WATCH_PRIVATE_H

#include <linux/virtio_ring.h>

#include "engine/drv_watch.h"
#include "ring/layout.h"
#include "ring/ring.h"
#include "ring/shared.h"

enum {
    PL_WATCH_QUEUES = 256, /* of one device; what lies beyond is not followed */
    PL_WATCH_BLOCKS = 4,   /* blocks of 32 feature bits */
    PL_WATCH_HEAD = 16,    /* bytes of a request's front that are kept */
};

/* A descriptor as it was copied; of a packed one, `next` is the buffer id. */
struct pl_seen_desc {
    uint64_t addr;
    uint32_t len;
    uint16_t flags, next;
};

/* What the buffers of a chain come to. */
struct pl_chain_sum {
    uint64_t readable, writable; /* bytes */
    uint32_t n, n_readable;      /* buffers */
    bool indirect, chained;
    struct pl_ring_chain *buffers; /* the first of them */
};

/* A chain in the device's hands, or on its way there. */
struct pl_watch_chain {
    struct pl_watch_chain *next;
    uint16_t id, at, entries; /* its id; split: the head; packed: the place */
    uint16_t seq;             /* split: its available index */
    bool wrap;                /* packed */
    bool taken, due;          /* the device has it; it must be announced */
    uint64_t table;           /* bus address of an indirect table; 0: none */
    uint32_t table_len;
    uint8_t *table_copy; /* owned */
};

/* What the driver's notification of chains met. */
enum pl_asked { PL_ASKED_NO, PL_ASKED_YES, PL_ASKED_RACE };

struct pl_watch_queue {
    uint32_t index;
    uint16_t dev_num;
    bool set;      /* SET_VQUEUE was met since the reset */
    bool renewed;  /* RESET_VQUEUE was, too */
    bool enabled;  /* as the driver asked for */
    bool followed; /* the ring is looked at */
    bool fault;    /* it is beyond judging until it is laid out anew */
    uint32_t size;
    uint64_t desc_addr, driver_addr, device_addr;
    struct pl_ring_setup setup;
    uint8_t *desc, *driver, *device; /* its parts as mapped */
    uint8_t *copy;                   /* [size] descriptors as first seen; owned */
    uint8_t *held;                   /* [size] enum pl_held; owned */
    struct pl_watch_chain *first, *last;
    unsigned n_held; /* entries: split chains, packed descriptors */
    /* the next one to come */
    uint16_t next_avail;
    struct pl_place next, next_used; /* packed */
    /* notifications */
    unsigned n_due;
    bool owes, overdue;                /* as told last */
    uint64_t owes_since;               /* ms */
    bool noise;                        /* ... though a word to be ignored says otherwise */
    uint32_t word;                     /* what the device asked for when it was looked at last */
    unsigned fresh_quiet, fresh_other; /* chains since the last EVENT_AVAIL */
    /* used buffers */
    unsigned given, events; /* since the driver last made something available; EVENT_USED then */
    bool polling;           /* ... it had asked for none when the last one was given */
    bool unannounced;       /* something was given since the last EVENT_USED */
    bool spurious;          /* EVENT_USED came for nothing while chains were held */
    char waits;             /* as told last */
    uint64_t waits_since;   /* ms */
    bool late;
    /* as they lay there when the driver first said where the ring is */
    bool placed;
    uint8_t placed_front[sizeof(struct vring_packed_desc)];
};
/* What stands in a place of the table. */
enum pl_held { PL_HELD_NOT, PL_HELD_YES, PL_HELD_OWN, PL_HELD_GIVEN };

struct pl_watch_dev {
    struct pl_watch_dev *next;
    uint16_t dev_num;
    uint64_t device_id; /* 0: not told */
    uint32_t selected[PL_WATCH_BLOCKS];
    uint32_t status;                               /* as written last */
    bool ok_told;                                  /* the driver was told of DRIVER_OK */
    unsigned open;                                 /* requests without a response */
    bool overlaps;                                 /* several were under way at once */
    struct pl_watch_queue *queue[PL_WATCH_QUEUES]; /* owned */
};

struct pl_watch {
    struct pl_session *s;
    struct pl_ring_memory memory;
    struct pl_device_watch device;
    struct pl_watch_dev *devs; /* owned */
    bool wired;                /* the device tells what it does */
    bool running;              /* the device may have run since the last look */
    struct pl_ring_chain scratch;
};

/* Tell a line: what follows "ring DEV QUEUE ". */
__attribute__((format(printf, 3, 4))) void
pl_watch_tell(const struct pl_watch *w, const struct pl_watch_queue *q, const char *format, ...);
/* A rule is broken: the ring is not judged any more. */
__attribute__((format(printf, 4, 5))) void pl_watch_broken(const struct pl_watch *w,
                                                           struct pl_watch_queue *q,
                                                           const char *predicate,
                                                           const char *format, ...);
bool pl_watch_selected(const struct pl_watch_dev *dev, uint64_t bit);

/* --- drv_watch_ring.c: chains that come, stand and go, whatever the format --- */

/* Begin to follow a ring, from its first entry on; false where it cannot be. */
bool pl_watch_begin(struct pl_watch *w, struct pl_watch_dev *dev, struct pl_watch_queue *q);
void pl_watch_end(struct pl_watch_queue *q);
/* Take what came; `stable`: the device has not run since the last look. The number of chains. */
unsigned pl_watch_take(struct pl_watch *w, struct pl_watch_dev *dev, struct pl_watch_queue *q,
                       bool stable);
/* Compare what stands in the device's hands; `removing`: the driver is about to take it back. */
void pl_watch_compare(struct pl_watch *w, struct pl_watch_queue *q, bool removing);
/* The device has taken this chain; it gives this one back. */
void pl_watch_taken(struct pl_watch *w, struct pl_watch_queue *q, uint16_t id);
void pl_watch_given(struct pl_watch *w, struct pl_watch_queue *q, uint16_t id, uint16_t entries);
/* A chain that was just seen. */
struct pl_watch_chain *pl_watch_add(struct pl_watch_queue *q, uint16_t id, uint16_t at,
                                    uint16_t entries);
/* The descriptor at a place of a table, read once. */
struct pl_seen_desc pl_watch_desc(const uint8_t *table, uint32_t i);
/* One more buffer of a chain. */
void pl_watch_buffer(struct pl_chain_sum *sum, const struct pl_seen_desc *d, bool *backwards);
/* Copy an indirect table; NULL where it lies outside the memory, or is none. The caller's. */
uint8_t *pl_watch_table(const struct pl_watch *w, const struct pl_seen_desc *d);

/* --- drv_watch_split.c, drv_watch_packed.c --- */

/* The next available chain, checked: 1, 0, or -1 where it breaks a rule or cannot be followed. */
int pl_watch_split_next(struct pl_watch *w, struct pl_watch_queue *q, uint16_t idx,
                        struct pl_chain_sum *sum);
int pl_watch_packed_next(struct pl_watch *w, struct pl_watch_queue *q, struct pl_chain_sum *sum);
/* How many available entries there are to look at; -1: none can be. */
int pl_watch_split_ahead(struct pl_watch *w, struct pl_watch_queue *q, uint16_t *idx);
/* Does the driver suppress notifications of what is used next? */
bool pl_watch_polling(const struct pl_watch_queue *q);

/* --- drv_watch_notify.c: when EVENT_AVAIL is due --- */

/* The words by which the device asks for notifications, as one. */
uint32_t pl_watch_word(const struct pl_watch_queue *q);
/* Does it ask for one for a chain? */
enum pl_asked pl_watch_asked(struct pl_watch_queue *q, const struct pl_watch_chain *chain);
/* `n` chains came whose notification met this. */
void pl_watch_fresh(struct pl_watch_queue *q, struct pl_watch_chain *chain, enum pl_asked asked);
/* EVENT_AVAIL came with this next_offset. */
void pl_watch_kicked(struct pl_watch *w, const struct pl_watch_dev *dev, struct pl_watch_queue *q,
                     uint32_t next_offset);
/* The device may ask for something else by now. */
void pl_watch_reconsider(struct pl_watch *w, struct pl_watch_queue *q);
/* Milliseconds; and whether so much time has gone by that it will hardly come. */
uint64_t pl_watch_now(const struct pl_watch *w);
bool pl_watch_long(const struct pl_watch *w, uint64_t since);
/* Tell what is owed where that changed. */
void pl_watch_tell_owed(struct pl_watch *w, struct pl_watch_queue *q);

/* --- drv_watch_type.c: what a type's requests say --- */
void pl_watch_request(const struct pl_watch *w, const struct pl_watch_dev *dev,
                      const struct pl_watch_queue *q, const struct pl_chain_sum *sum);

#endif
