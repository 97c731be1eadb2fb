/* A driver end and a device end over one piece of memory, and random numbers from a seed. */
#ifndef PL_TEST_RING_PAIR_H
#define PL_TEST_RING_PAIR_H

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "ring/ring.h"

static const uint64_t RING_BASE = UINT64_C(0x100000000);

/* Check's own assertions note each call in a file: too slow for inner loops. */
#define expect(condition)                                                                          \
    do {                                                                                           \
        if (!(condition))                                                                          \
            ck_abort_msg("%s does not hold", #condition);                                          \
    } while (0)
#define expect_eq(a, b)                                                                            \
    do {                                                                                           \
        uint64_t a_ = (uint64_t)(a), b_ = (uint64_t)(b);                                           \
        if (a_ != b_)                                                                              \
            ck_abort_msg("%s is 0x%llx, and %s is 0x%llx", #a, (unsigned long long)a_, #b,         \
                         (unsigned long long)b_);                                                  \
    } while (0)

struct ring_pair {
    struct pl_ring_memory memory;
    struct pl_ring_setup setup;
    uint64_t behind; /* bus address of the first byte behind the ring's parts, aligned to 16 */
    struct pl_driver_ring *driver;
    struct pl_device_ring *device;
    uint64_t random;
};

static inline uint32_t ring_random(uint64_t *state, uint32_t below)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (uint32_t)(*state >> 32) % below;
}

/* The memory ends `room` bytes behind the ring, so that a sanitizer sees what goes beyond. */
static inline void ring_pair_open(struct ring_pair *pair, const struct pl_ring_setup *setup,
                                  size_t room)
{
    size_t whole = (pl_ring_bytes(setup->packed, setup->size).whole + 15) / 16 * 16;
    int err = 0;

    *pair = (struct ring_pair){.setup = *setup, .random = UINT64_C(0x9e3779b97f4a7c15)};
    pair->memory = (struct pl_ring_memory){calloc(1, whole + room), RING_BASE, whole + room, NULL};
    pair->behind = RING_BASE + whole;
    ck_assert_ptr_nonnull(pair->memory.mem);
    memset(pair->memory.mem, 0xa5, whole + room);
    ck_assert_int_eq(pl_ring_place(&pair->setup, RING_BASE), 0);
    pair->driver = pl_driver_ring_new(&pair->memory, &pair->setup, &err);
    ck_assert_int_eq(err, 0);
    pair->device = pl_device_ring_new(&pair->memory, &pair->setup, &err);
    ck_assert_int_eq(err, 0);
}

static inline void ring_pair_close(struct ring_pair *pair)
{
    pl_driver_ring_free(pair->driver);
    pl_device_ring_free(pair->device);
    free(pair->memory.mem);
}

static inline void *ring_at(const struct ring_pair *pair, uint64_t addr)
{
    return (uint8_t *)pair->memory.mem + (addr - RING_BASE);
}

#endif
