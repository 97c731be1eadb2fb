/* Reading and writing little-endian words in memory that the other end writes at the same time. */
#ifndef PL_RING_SHARED_H
#define PL_RING_SHARED_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>

/* Each call is one access: a value that has been read is never fetched again behind a check. */
static inline uint16_t pl_load16(const void *at)
{
    return le16toh(__atomic_load_n((const uint16_t *)at, __ATOMIC_RELAXED));
}

static inline uint32_t pl_load32(const void *at)
{
    return le32toh(__atomic_load_n((const uint32_t *)at, __ATOMIC_RELAXED));
}

static inline uint64_t pl_load64(const void *at)
{
    return le64toh(__atomic_load_n((const uint64_t *)at, __ATOMIC_RELAXED));
}

static inline void pl_store16(void *at, uint16_t value)
{
    __atomic_store_n((uint16_t *)at, htole16(value), __ATOMIC_RELAXED);
}

static inline void pl_store32(void *at, uint32_t value)
{
    __atomic_store_n((uint32_t *)at, htole32(value), __ATOMIC_RELAXED);
}

static inline void pl_store64(void *at, uint64_t value)
{
    __atomic_store_n((uint64_t *)at, htole64(value), __ATOMIC_RELAXED);
}

/*
 * The words by which the ends meet (indexes, flags, event suppression) are accessed in one total
 * order: an end that publishes and then looks at the other's event word, while the other sets that
 * word and then looks for what is published, cannot both miss. These stand for the barriers that
 * core virtio asks for, and a sanitizer understands them, unlike a fence.
 */
static inline uint16_t pl_sync_load16(const void *at)
{
    return le16toh(__atomic_load_n((const uint16_t *)at, __ATOMIC_SEQ_CST));
}

static inline uint32_t pl_sync_load32(const void *at)
{
    return le32toh(__atomic_load_n((const uint32_t *)at, __ATOMIC_SEQ_CST));
}

static inline void pl_sync_store16(void *at, uint16_t value)
{
    __atomic_store_n((uint16_t *)at, htole16(value), __ATOMIC_SEQ_CST);
}

static inline void pl_sync_store32(void *at, uint32_t value)
{
    __atomic_store_n((uint32_t *)at, htole32(value), __ATOMIC_SEQ_CST);
}

/* Bytes out of, into and within shared memory; `from` and `to` need no alignment. */
void pl_shared_read(void *to, const void *from, size_t len);
void pl_shared_write(void *to, const void *from, size_t len);
void pl_shared_clear(void *at, size_t len);

#endif
