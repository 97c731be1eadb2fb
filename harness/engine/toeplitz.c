/* The hash that network devices choose receive queues by. */
#include "engine/toeplitz.h"

static unsigned bit(const uint8_t *bytes, size_t len, size_t i)
{
    unsigned byte = i / 8 < len ? bytes[i / 8] : 0;
    return byte >> (7 - i % 8) & 1;
}

/* The 32 bits of the key that begin at bit i. */
static uint32_t window(const uint8_t *key, size_t len, size_t i)
{
    uint32_t value = 0;
    for (size_t k = 0; k < 32; k++)
        value = value << 1 | bit(key, len, i + k);
    return value;
}

uint32_t pl_toeplitz(const uint8_t *key, size_t key_len, const uint8_t *input, size_t n)
{
    uint32_t hash = 0;
    for (size_t i = 0; i < 8 * n; i++)
        if (bit(input, n, i))
            hash ^= window(key, key_len, i);
    return hash;
}
