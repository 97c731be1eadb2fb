/* Copies between private and shared memory, in words where both addresses allow it. */
#include "ring/shared.h"

#include <string.h>

static size_t misaligned(const void *at)
{
    return (uintptr_t)at % sizeof(uint64_t);
}

void pl_shared_read(void *to, const void *from, size_t len)
{
    uint8_t *t = to;
    const uint8_t *f = from;

    for (; len > 0 && misaligned(f); len--)
        *t++ = __atomic_load_n(f++, __ATOMIC_RELAXED);
    for (; len >= sizeof(uint64_t); len -= sizeof(uint64_t)) {
        uint64_t word = __atomic_load_n((const uint64_t *)(const void *)f, __ATOMIC_RELAXED);
        memcpy(t, &word, sizeof(word));
        t += sizeof(word);
        f += sizeof(word);
    }
    for (; len > 0; len--)
        *t++ = __atomic_load_n(f++, __ATOMIC_RELAXED);
}

void pl_shared_write(void *to, const void *from, size_t len)
{
    uint8_t *t = to;
    const uint8_t *f = from;

    for (; len > 0 && misaligned(t); len--)
        __atomic_store_n(t++, *f++, __ATOMIC_RELAXED);
    for (; len >= sizeof(uint64_t); len -= sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, f, sizeof(word));
        __atomic_store_n((uint64_t *)(void *)t, word, __ATOMIC_RELAXED);
        t += sizeof(word);
        f += sizeof(word);
    }
    for (; len > 0; len--)
        __atomic_store_n(t++, *f++, __ATOMIC_RELAXED);
}

void pl_shared_clear(void *at, size_t len)
{
    static const uint8_t zeroes[256];
    uint8_t *to = at;

    for (; len > sizeof(zeroes); len -= sizeof(zeroes), to += sizeof(zeroes))
        pl_shared_write(to, zeroes, sizeof(zeroes));
    pl_shared_write(to, zeroes, len);
}
