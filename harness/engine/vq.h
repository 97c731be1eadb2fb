/* The harness as a driver with virtqueues: rings and buffers in the shared memory, what the IUT
 * does with them, and the lines in which the oracle hears of it. */
#ifndef PL_VQ_H
#define PL_VQ_H

#include "engine/session.h"
#include "ring/ring.h"

/* The first bytes of the shared memory are left to scenarios and cases that only name addresses:
 * nothing is laid out there, and nothing is looked at. */
enum { PL_VQ_STATIC = 0x40000 };

struct pl_vq; /* one a session; lives as long as that */

/* What was negotiated, as far as it shapes rings. */
struct pl_vq_features {
    bool packed, indirect, event_idx, in_order, notification_data, ring_reset;
};

/* A buffer that a chain is to have. `bytes` is what a device-readable one holds; NULL: a pattern.
 */
struct pl_vq_buffer {
    uint32_t len;
    bool device_writes;
    const uint8_t *bytes;
};

/* What is known of a queue. */
struct pl_vq_queue {
    struct pl_ring_setup setup;
    uint16_t next;   /* the next available index, or the place in a packed ring */
    unsigned room;   /* entries that chains can still take */
    unsigned held;   /* chains that the IUT holds */
    uint64_t used;   /* chains that it gave back since the ring was laid out */
    uint64_t events; /* EVENT_USED since then */
    bool stopped;    /* the queue was reset since then */
    bool over;       /* the device was */
};

/* What is known of a chain; addresses are bus addresses, 0 where there is none. */
struct pl_vq_chain {
    bool used;
    uint32_t written; /* as the IUT says */
    uint64_t length;  /* bytes for it to write */
    uint64_t out, in, table;
};

/*
 * The session's own, made when it is first asked for. NULL: the port has no memory for rings (or
 * the harness has none left); one sentence in `why`.
 */
struct pl_vq *pl_vq_of(struct pl_session *s, char *why, size_t cap);
/* The same, or NULL where nobody has asked yet. */
struct pl_vq *pl_vq_there(const struct pl_session *s);

/* As a new one, without its cost, between runs that know nothing of each other. */
void pl_vq_renew(struct pl_vq *vq);
/* A scenario begins: its seed decides on patterns and alignments. */
void pl_vq_begin(struct pl_vq *vq, uint64_t seed);
/*
 * A scenario is over: the device is reset where rings stand, everything that it may not have
 * written any more is compared, and all of the scenario's is freed.
 */
void pl_vq_end(struct pl_vq *vq);

/*
 * Lay a ring out for a queue of the session's device; one that was there is dropped. 0, -ENOSPC
 * where the memory does not hold it, -EINVAL for a size that no ring has, -ENOMEM.
 */
int pl_vq_lay(struct pl_vq *vq, uint32_t queue, uint32_t size, const struct pl_vq_features *f);
/*
 * Write a chain; buffers are put together where the ring has too few entries for all of them. Its
 * `name`, if any, lives as long as the scenario. 0, -ENOENT without a ring, -ENOSPC, -EINVAL,
 * -ENOMEM.
 */
int pl_vq_chain(struct pl_vq *vq, uint32_t queue, const struct pl_vq_buffer *buffers, size_t n,
                bool indirect, const char *name);
/* Make available what was written. 0, or -ENOENT. */
int pl_vq_publish(struct pl_vq *vq, uint32_t queue);
/* EVENT_AVAIL, where the device wants one or `always`. 0, or what pl_session_push says. */
int pl_vq_kick(struct pl_vq *vq, uint32_t queue, bool always);
/*
 * Wait until `count` more chains are used, or this one (`name`), or, with neither, all that the
 * IUT holds; and then for the EVENT_USED that is due. 1, 0 where the time was over, or a negative
 * errno where the IUT is gone or hangs.
 */
int pl_vq_await(struct pl_vq *vq, uint32_t queue, uint64_t count, const char *name);
/* A fence, and a look. As pl_vq_await; 1 where nothing has happened. */
int pl_vq_idle(struct pl_vq *vq, uint32_t queue);
/* When the IUT shall notify (ring.h); behind a fence. 0 or a negative errno. */
int pl_vq_notify(struct pl_vq *vq, uint32_t queue, enum pl_ring_notify when, uint16_t ahead);
/*
 * Write into the memory, whatever stands there. Without `keep` the rings are no rings any more
 * afterwards: they are not looked at. With it, it is what the driver means: rings go on. False
 * where it lies outside.
 */
bool pl_vq_poke(struct pl_vq *vq, uint64_t addr, const uint8_t *bytes, size_t n, bool keep);

/* It turned out that the IUT does not look at the shared memory: it has no data path. */
bool pl_vq_blind(const struct pl_vq *vq);
/* False without a ring, or without a chain: the one named, or last waited for or written. */
bool pl_vq_look_up(const struct pl_vq *vq, struct pl_vq_queue *out);
/* The same of the ring of a queue of the session's device. */
bool pl_vq_look_up_queue(const struct pl_vq *vq, uint32_t queue, struct pl_vq_queue *out);
/* What stands in the memory means nothing until the device is reset: rings are not looked at. */
void pl_vq_run_wild(struct pl_vq *vq);
bool pl_vq_is_wild(const struct pl_vq *vq);
bool pl_vq_current(const struct pl_vq *vq, struct pl_vq_chain *out);
/* Byte i of what the IUT wrote into the current chain; false where it is not used or that short. */
bool pl_vq_byte(const struct pl_vq *vq, uint64_t i, uint8_t *out);
/* Byte i of a pattern: what buffers hold that were drawn from a seed. */
uint8_t pl_vq_pattern(uint64_t seed, uint64_t i);

#endif
