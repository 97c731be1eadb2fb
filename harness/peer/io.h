/* Virtqueues at work, from inside: what a queue has in hand, and what each type does with it. */
#ifndef PL_PEER_IO_H
#define PL_PEER_IO_H

#include "peer/device_private.h"

#define PL_TAKEN_MAX 1024u /* chains in hand: the others wait where they are */

/* A chain that was taken and not used yet. */
struct pl_taken {
    struct pl_taken *next;
    uint64_t due;   /* virtual ms at which its work is done */
    uint64_t place; /* ring entries that were taken before it */
    uint16_t id, entries;
    unsigned n, n_readable;
    uint64_t readable, writable;
    struct pl_ring_buffer buffer[];
};

/* How much goes on where a mutant leaves work behind: the buffers, the used ring, EVENT_USED. */
enum pl_linger { PL_LINGER_BUFFERS, PL_LINGER_USED, PL_LINGER_NOTIFIED };

/* The work of one queue. */
struct pl_device_work {
    struct pl_device_work *next; /* of the orphans */
    enum pl_linger linger;
    struct pl_device_queue *queue;
    struct pl_device_ring *ring; /* owned */
    struct pl_taken *first, *last;
    unsigned n_taken;
    bool in_order;
    bool more;      /* the available ring was left before its end */
    bool fault;     /* of no more use */
    bool told;      /* and the device knows */
    bool paused;    /* stopped by a mutant that keeps it, or suspended: */
    bool suspended; /* it goes on where it was, unless something stops it meanwhile */
    unsigned unflushed;
    uint64_t served;
    uint64_t paced; /* virtual ms at which the chain taken last is done, with io_pace */
    uint64_t taken_entries, used_entries;
    struct { /* IN_ORDER: chains that one used entry will stand for */
        unsigned n;
        uint16_t id, entries;
        uint32_t written;
    } batch;
};

/* --- io.c: queues that start, look, complete and stop --- */

/* What is asked for with every chain, looked up once: the peer has its type and its options. */
void pl_io_prepare(struct pl_device_peer *peer);
/* Which event a chain of a queue's is for its type, under the features that are negotiated; -1:
 * this type does nothing with the queue. */
int pl_io_kind(const struct pl_step *c, const struct pl_device_queue *queue);
/* Ask the model whether queues at work must stop, and whether others may start. */
void pl_io_stop_due(struct pl_step *c);
void pl_io_start_due(struct pl_step *c);
/* Take what is available and complete what is due. */
void pl_io_look(struct pl_device_peer *peer, struct pl_device *dev, struct pl_device_queue *queue);
/* Complete the chains in hand that are due. */
void pl_io_complete_due(struct pl_device_peer *peer, struct pl_device *dev,
                        struct pl_device_work *work);
/* When a device's queues next have something to do; virtual time is there. */
uint64_t pl_io_next_ms(const struct pl_device_peer *peer, const struct pl_device *dev);
void pl_io_advance(struct pl_device_peer *peer, struct pl_device *dev);
/* Drop everything that a device's queues have in hand, and their rings. */
void pl_io_drop(struct pl_device *dev);
/* That, and what outlives a reset. */
void pl_io_forget(struct pl_device *dev);

/* --- io_chain.c: chains in hand --- */

/* Take the next available chain into hand: 1, 0, or -1 after a fault, or without memory. */
int pl_io_take(struct pl_device_peer *peer, const struct pl_device *dev,
               struct pl_device_work *work);
/* Remove a chain from the list; the caller's then. */
struct pl_taken *pl_io_remove(struct pl_device_work *work, struct pl_taken *taken);
/* Make a chain the one at hand: its facts and buffers. */
void pl_io_load(struct pl_device_peer *peer, struct pl_device_work *work,
                const struct pl_taken *taken);
/* Run an event of the chain at hand. */
void pl_io_run(struct pl_device_peer *peer, struct pl_device *dev, struct pl_device_work *work,
               int on);
/* The work of the chain at hand is done: use it. */
void pl_io_served(struct pl_device_peer *peer, struct pl_device *dev, struct pl_device_work *work);
/* Let the driver see what was used, and tell it where it asks for that. */
void pl_io_flush(struct pl_device_peer *peer, struct pl_device *dev, struct pl_device_work *work);
void pl_io_free(struct pl_device_work *work);
void pl_io_free_taken(struct pl_taken *taken);

/* The shared memory as the ring knows it. */
struct pl_ring_memory pl_io_memory(const struct pl_device_peer *peer);
/* Copy from the chain's readable part, or into its writable part; the number of bytes. */
size_t pl_io_get(struct pl_device_peer *peer, uint64_t at, void *out, size_t len);
size_t pl_io_put(struct pl_device_peer *peer, uint64_t at, const void *bytes, size_t len);
/* Fill the chain's writable part from `at` up to `end` with one value. */
void pl_io_fill(struct pl_device_peer *peer, uint64_t at, uint64_t end, uint8_t value);

/* --- the types: io_block.c, io_console.c, io_net.c --- */
void pl_block_capacity(struct pl_device *dev, uint64_t sectors);
void pl_block_parse(struct pl_device_peer *peer, struct pl_device *dev);
/* Segment i of a discard, write zeroes or secure erase request; false behind the last one. */
bool pl_block_segment(struct pl_device_peer *peer, uint64_t i, uint64_t *sector, uint64_t *count,
                      uint64_t *flags);
/* Hand what loops back to the queue that takes it, as far as there are buffers. */
void pl_console_receive(struct pl_device_peer *peer, struct pl_device *dev);
/* A control message of the driver; and those that are due to it, as long as there are buffers. */
void pl_console_parse(struct pl_device_peer *peer);
void pl_console_speak(struct pl_device_peer *peer, struct pl_device *dev);
/* What an administration command says: io_admin.c. */
void pl_admin_parse(struct pl_device_peer *peer);
void pl_net_parse_packet(struct pl_device_peer *peer);
void pl_net_receive(struct pl_device_peer *peer, struct pl_device *dev);
/* How many queues a network device has that offers these; how many pairs it has as negotiated. */
uint32_t pl_net_queues(uint64_t offered);
uint64_t pl_net_pairs_there(const struct pl_step *c);
/* What is offered goes into the configuration space, which grows by what it needs. */
void pl_net_configure(const struct pl_device_peer *peer, struct pl_device *dev);
/* A command's class, number and bytes of data as the request's type, flags and bytes. */
void pl_net_parse(struct pl_device_peer *peer);
/* The packet in peer->frame: what its addresses and tag say. */
void pl_net_look(struct pl_device_peer *peer, struct pl_device *dev);
/*
 * The hash of the packet in peer->frame under these parameters, and the type that it is reported
 * as; 0: there is none.
 */
unsigned pl_net_hash(const struct pl_net_state *net, const struct pl_net_rss *rss,
                     const uint8_t *packet, size_t len, uint32_t *hash);
/* The parameters in force; NULL: no hash is calculated. */
const struct pl_net_rss *pl_net_hashing(const struct pl_step *c);
/* A number for a packet's flow, the same in both directions. */
unsigned pl_net_flow(const uint8_t *packet, size_t len);

#endif
