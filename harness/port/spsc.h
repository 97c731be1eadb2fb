/* Shared memory with one producer and one consumer: a ring, its address, and both as a channel. */
#ifndef PL_PORT_SPSC_H
#define PL_PORT_SPSC_H

#include <limits.h>

#include "pl_spsc.h" /* generated: the areas' layout */
#include "port/port.h"

/* --- one direction, as one of its ends sees it --- */

/*
 * The peer writes to the same memory whenever it likes. What this end has written it remembers
 * here, and what the peer writes is loaded once for each use and checked: an index within the slots
 * that moves on only, and never past this end's own.
 */
struct pl_spsc_ring {
    struct pl_spsc_area *area;
    int32_t slots;
    int32_t
        own; /* the index that this end alone writes: the producer's head, the consumer's tail */
    int32_t seen;  /* the peer's index, as it was last */
    bool produces; /* this end is the producer */
};

/*
 * Take up an end of the area at `area`, of `size` bytes, where its indices are now. 0, or -EPROTO
 * with one sentence in error where size or indices are impossible.
 */
int pl_spsc_ring_init(struct pl_spsc_ring *ring, void *area, size_t size, bool produces,
                      char *error, size_t cap);
/*
 * Put a message of at most a slot's size into the next slot: 1, 0 where the ring is full, or
 * -EPROTO with one sentence in error where the peer's index is impossible.
 */
int pl_spsc_ring_put(struct pl_spsc_ring *ring, const void *msg, size_t size, char *error,
                     size_t cap);
/* Copy the next slot out: 1, 0 where the ring is empty, or -EPROTO as above. */
int pl_spsc_ring_take(struct pl_spsc_ring *ring, uint8_t slot[PL_SPSC_SLOT_SIZE], char *error,
                      size_t cap);

/* --- addresses --- */

enum pl_spsc_wakeup { PL_SPSC_POLLS, PL_SPSC_SOCKET, PL_SPSC_INHERITED };

/* spsc:NAME[,dir=DIR][,size=BYTES][,wakeup=PATH|fd:N|none] */
struct pl_spsc_address {
    char files[2][PATH_MAX]; /* by producer: enum pl_spsc_end */
    size_t size;             /* of each file in bytes; 0: not stated */
    enum pl_spsc_wakeup wakeup;
    char path[108]; /* of the wakeup socket */
    int fd;
};
/* 0, or -EINVAL with one sentence in error. `listening`: fd:N is no wakeup then. */
int pl_spsc_parse(const char *text, bool listening, struct pl_spsc_address *out, char *error,
                  size_t cap);

/* --- an end: files, wakeup socket, channel --- */

enum pl_spsc_end { PL_SPSC_DRIVER, PL_SPSC_DEVICE };

/* What an end keeps from connection to connection: files it made, listener. */
struct pl_spsc_host;

/*
 * Take an address for one end. Listening makes both files, in place of old ones that no other end
 * holds, and the wakeup socket; connecting looks for them in pl_spsc_meet. NULL with one sentence
 * in error and the errno in *err.
 */
struct pl_spsc_host *pl_spsc_open(const char *address, enum pl_spsc_end end, bool listening,
                                  int *err, char *error, size_t cap);
/*
 * Meet the other end: listening waits for it on the wakeup socket, timeout_ms at most (negative:
 * for ever); connecting opens files and socket anew. Without a wakeup socket the other end may come
 * later. What has been in our direction's ring unread is dropped by the connecting driver. 0 with
 * an open channel, or a negative errno with one sentence in error.
 */
int pl_spsc_meet(struct pl_spsc_host *host, int timeout_ms, struct pl_chan *chan, char *error,
                 size_t cap);
/* Wait a moment for the other end to let go of the wakeup socket, so that nothing of it comes late.
 */
void pl_spsc_part(struct pl_chan *chan);
/* Remove what pl_spsc_open made. The channels are closed before. NULL is nothing. */
void pl_spsc_close(struct pl_spsc_host *host);

/* --- what channels call --- */

int pl_spsc_try(struct pl_chan *chan, const struct pl_spec *spec, void *buf, size_t cap);
/* The same without a system call: for looking again and again. */
int pl_spsc_peek(struct pl_chan *chan, const struct pl_spec *spec, void *buf, size_t cap);
int pl_spsc_push(struct pl_chan *chan, const void *msg, size_t size);
/* Sleep a little, left_ms at most, because the ring is full: the longer, the longer it has been. */
void pl_spsc_nap(struct pl_chan *chan, int left_ms);
/* Throw away what has arrived. */
void pl_spsc_discard(struct pl_chan *chan);
void pl_spsc_free(struct pl_spsc *spsc);
/*
 * A channel over two areas that are mapped already: guarded mappings, which are the channel's from
 * now where this succeeds, or plain memory, which stays the caller's. `wake` is the connected
 * wakeup socket, the channel's, or -1. 0, or a negative errno with the sentence in chan->error (and
 * wake the caller's).
 */
int pl_spsc_channel(struct pl_chan *chan, void *const areas[2], const size_t sizes[2],
                    enum pl_spsc_end end, int wake, bool guarded);
/* From now on this connected socket, the channel's, brings the wakeups. */
void pl_spsc_wake_by(struct pl_chan *chan, int wake);

#endif
