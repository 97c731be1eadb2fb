/* Virtqueues, split and packed, from both ends, in memory that the other end is not trusted with.
 *
 * Whatever the other end can write is copied once, checked, and only then used; nothing that this
 * end must remember lies in shared memory. A fault is told, never repaired: what becomes of a queue
 * with a fault is the caller's business. */
#ifndef PL_RING_RING_H
#define PL_RING_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pl_memory_parts; /* plumbline.h */

/* Shared memory: its mapping, and the bus address of its first byte. The caller's. */
struct pl_ring_memory {
    void *mem;
    uint64_t base;
    size_t size;
    const struct pl_memory_parts *parts; /* what of it is there; NULL: all */
};

/* A bus address as a pointer, where [addr, addr + len) lies within what is there of the memory;
 * else NULL. */
void *pl_ring_at(const struct pl_ring_memory *memory, uint64_t addr, size_t len);

/* What both ends agree on: negotiated features, the size in entries, and where the parts lie. */
struct pl_ring_setup {
    bool packed;                                  /* VIRTIO_F_RING_PACKED */
    bool indirect;                                /* VIRTIO_F_INDIRECT_DESC */
    bool event_idx;                               /* VIRTIO_F_EVENT_IDX */
    bool in_order;                                /* VIRTIO_F_IN_ORDER */
    uint16_t size;                                /* 1 to 32768; a power of two where split */
    uint64_t desc_addr, driver_addr, device_addr; /* bus addresses */
};

/* Bytes of the three parts, and of all of them laid out one behind the other. */
struct pl_ring_bytes {
    size_t desc, driver, device, whole;
};
struct pl_ring_bytes pl_ring_bytes(bool packed, uint16_t size);
/* Bytes of an indirect table of n descriptors, in either format. */
size_t pl_ring_table_bytes(size_t n);
/* Lay the parts out from bus address `at` (a multiple of 16) on. 0, or -EINVAL. */
int pl_ring_place(struct pl_ring_setup *setup, uint64_t at);
/* 0, or -EINVAL for a size, an alignment or a place that core virtio or the memory rules out. */
int pl_ring_check(const struct pl_ring_setup *setup, const struct pl_ring_memory *memory);

/* One buffer of a chain, by bus address. */
struct pl_ring_buffer {
    uint64_t addr;
    uint32_t len;
    bool device_writes;
};

/* What the other end did that it may not; PL_RING_SOUND: nothing. */
enum pl_ring_fault {
    PL_RING_SOUND,
    /* seen by the driver end */
    PL_RING_USED_INDEX, /* split: the used index went back, or beyond what is available */
    PL_RING_USED_ID,    /* an id that no chain in the device's hands has */
    PL_RING_USED_LEN,   /* more bytes than the chain has for the device to write */
    PL_RING_USED_FLAGS, /* packed: a used descriptor whose flags cannot be */
    PL_RING_USED_ORDER, /* IN_ORDER was negotiated, and this is not the next chain */
    /* seen by the device end */
    PL_RING_AVAIL_INDEX, /* split: the available index ran more than the size ahead */
    PL_RING_DESC_INDEX,  /* a head or next beyond the table */
    PL_RING_LOOP,        /* a chain longer than the queue size; split: than 2^32 bytes */
    PL_RING_ADDRESS,     /* a buffer or an indirect table outside the memory */
    PL_RING_INDIRECT, /* indirect where not negotiated, in a table, with NEXT, or a bad table length
                       */
    PL_RING_DIRECTION, /* a device-readable buffer behind a device-writable one */
    PL_RING_EMPTY,     /* an indirect table of length 0: a chain of nothing */
    PL_RING_FAULTS
};
/* A few words on a fault: "used id that is not available". */
const char *pl_ring_fault_text(enum pl_ring_fault fault);

/* When the other end shall notify. */
enum pl_ring_notify {
    PL_RING_NOTIFY_NEVER,  /* split flags 1, packed DISABLE; EVENT_IDX split: an index far away */
    PL_RING_NOTIFY_ALWAYS, /* split flags 0, packed ENABLE; EVENT_IDX split: at the next entry */
    PL_RING_NOTIFY_AT,     /* EVENT_IDX only: at a given entry */
};

/* --- the driver end --- */

/* A chain that the device has given back. */
struct pl_ring_used {
    uint16_t id;      /* what pl_driver_ring_add returned for it */
    uint32_t written; /* bytes, as the device says; at most what the chain has to be written */
    bool implied;     /* IN_ORDER: covered by a later entry; `written` is then unknown (0) */
};

struct pl_driver_ring; /* opaque, owned by who made it */

/*
 * Initialize the ring's parts in the memory and the driver's books. NULL with -EINVAL or -ENOMEM in
 * *err. Notifications start as ALWAYS.
 */
struct pl_driver_ring *pl_driver_ring_new(const struct pl_ring_memory *memory,
                                          const struct pl_ring_setup *setup, int *err);
void pl_driver_ring_free(struct pl_driver_ring *ring);
const struct pl_ring_setup *pl_driver_ring_setup(const struct pl_driver_ring *ring);
/* Entries that add can still take (descriptors, not chains). */
unsigned pl_driver_ring_room(const struct pl_driver_ring *ring);
/*
 * Write a chain of n buffers, device-readable ones first. With `table` != 0 (bus address of
 * 16 * n bytes of the caller's, aligned to 16) through an indirect table. The device sees it once
 * it is published. Returns its id (0 to size - 1), -ENOSPC, -EINVAL for what core virtio forbids
 * a driver.
 */
int pl_driver_ring_add(struct pl_driver_ring *ring, const struct pl_ring_buffer *buffers, size_t n,
                       uint64_t table);
/* Make everything added available. */
void pl_driver_ring_publish(struct pl_driver_ring *ring);
/*
 * Write bytes of the driver's own choice into its parts (descriptors, driver area), at a bus
 * address: they count as written by this end. A packed chain that is not published yet takes the
 * flags of its first descriptor on when it is, with its own AVAIL and USED. False where they do
 * not lie within one of the parts: nothing is written then.
 */
bool pl_driver_ring_amend(struct pl_driver_ring *ring, uint64_t addr, const void *bytes,
                          size_t len);
/* Does the device want a notification for what was published since the last call? (with barrier) */
bool pl_driver_ring_kick_due(struct pl_driver_ring *ring);
/* For NOTIFICATION_DATA: the offset and wrap counter (packed), or the available index (split, wrap
 * false), as of the last publish. */
uint16_t pl_driver_ring_kick_offset(const struct pl_driver_ring *ring, bool *wrap);
/*
 * Take the next used chain: 1 with *out filled; 0 where there is none; -EPROTO where the device did
 * what no device may: *fault says what, and the ring is of no more use. (The books are as before:
 * another call looks at the memory again.)
 */
int pl_driver_ring_poll(struct pl_driver_ring *ring, struct pl_ring_used *out,
                        enum pl_ring_fault *fault);
/*
 * When the device shall notify; `ahead` counts chains from the next used one on (AT only, 0 first;
 * packed: in the order in which they were made available, a lap at most). Without EVENT_IDX AT is
 * ALWAYS. ALWAYS and NEVER hold until the next call, AT asks once: the place stays behind.
 */
void pl_driver_ring_notify(struct pl_driver_ring *ring, enum pl_ring_notify when, uint16_t ahead);
/* Must the device notify for the used entries taken since the last call, or should it not? Told
 * apart are the cases in which core virtio leaves it to the device. */
enum pl_ring_due {
    PL_RING_QUIET,  /* no notification is asked for */
    PL_RING_EITHER, /* an entry was used while notify() changed the setting, or (packed) a chain
                       lies across the event's place without beginning there */
    PL_RING_DUE,    /* the device must notify */
};
enum pl_ring_due pl_driver_ring_due(struct pl_driver_ring *ring);
/* Number of chains that the device holds, and whether it holds this one. */
unsigned pl_driver_ring_held(const struct pl_driver_ring *ring);
bool pl_driver_ring_holds(const struct pl_driver_ring *ring, uint16_t id);
/*
 * Compare what only the driver writes (split: descriptors, indirect excluded, and driver area;
 * packed: the driver event structure, and descriptors that are in the device's hands but for those
 * that it may overwrite) with what it wrote. True where it still stands; else *what is a few words.
 */
bool pl_driver_ring_intact(const struct pl_driver_ring *ring, const char **what);

/* --- the device end --- */

enum { PL_RING_CHAIN_MAX = 1024 }; /* buffers of one chain that the device end takes */

/* A chain that the driver made available, checked: every buffer lies within the memory. (Core
 * virtio does not forbid buffers of no bytes; where one has an address outside, base stands for
 * it.) */
struct pl_ring_chain {
    uint16_t id;
    uint16_t entries; /* that it moves the used position on: packed its descriptors, split 1 */
    unsigned n, n_readable;
    uint64_t readable, writable; /* bytes */
    struct pl_ring_buffer buffer[PL_RING_CHAIN_MAX];
};

struct pl_device_ring; /* opaque, owned by who made it */

/* NULL with -EINVAL or -ENOMEM in *err. Nothing is written to the memory. */
struct pl_device_ring *pl_device_ring_new(const struct pl_ring_memory *memory,
                                          const struct pl_ring_setup *setup, int *err);
void pl_device_ring_free(struct pl_device_ring *ring);
const struct pl_ring_setup *pl_device_ring_setup(const struct pl_device_ring *ring);
/*
 * Take the next available chain: 1, 0, or -EPROTO with *fault, *out then meaning nothing. After a
 * fault the chain is still the next: another call looks at the memory again.
 * -E2BIG: the chain is legal, but has more than PL_RING_CHAIN_MAX buffers. It was taken: id,
 * entries and the bytes are true, n and buffer[] stop at the limit; give it back as a failed
 * request.
 */
int pl_device_ring_pop(struct pl_device_ring *ring, struct pl_ring_chain *out,
                       enum pl_ring_fault *fault);
/* Give a chain back: its id, the entries it took, the bytes written. Seen by the driver at flush.
 * IN_ORDER: a whole batch by the id of its last chain and the sum of all entries. */
void pl_device_ring_push(struct pl_device_ring *ring, uint16_t id, uint16_t entries,
                         uint32_t written);
void pl_device_ring_flush(struct pl_device_ring *ring);
/* Does the driver want a notification for what was flushed since the last call? (with barrier) */
bool pl_device_ring_notify_due(struct pl_device_ring *ring);
/* Ask the driver for notifications, or ask it to leave them out. */
void pl_device_ring_kicks(struct pl_device_ring *ring, bool wanted);
/* Split: write nonsense into the word by which the device would suppress notifications if EVENT_IDX
 * were negotiated and is not, or the other way round. The driver must look at the right one. */
void pl_device_ring_noise(struct pl_device_ring *ring);
/* Copy out of or into a chain's buffers from byte `at` on; the number of bytes that were there. */
size_t pl_ring_read(const struct pl_ring_memory *memory, const struct pl_ring_chain *chain,
                    size_t at, void *out, size_t len);
size_t pl_ring_write(const struct pl_ring_memory *memory, const struct pl_ring_chain *chain,
                     size_t at, const void *bytes, size_t len);
/* How mutants write what no device may: each field stands for what the faithful end would write. */
struct pl_ring_bend {
    uint32_t id, written;
    uint16_t entries; /* how far the used position moves: packed entries, split 1 */
    bool flip_wrap;   /* packed: the wrong wrap bits */
    bool hide;        /* do not publish: packed flags stay as they were, split idx until a flush */
};
/* Push with these values, and flush. */
void pl_device_ring_push_bent(struct pl_device_ring *ring, const struct pl_ring_bend *bend);

#endif
