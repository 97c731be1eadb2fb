/* The hash that network devices choose receive queues by. */
#ifndef PL_ENGINE_TOEPLITZ_H
#define PL_ENGINE_TOEPLITZ_H

#include <stddef.h>
#include <stdint.h>

/* The Toeplitz hash of n bytes; a key that is too short goes on with zeros. */
uint32_t pl_toeplitz(const uint8_t *key, size_t key_len, const uint8_t *input, size_t n);

#endif
