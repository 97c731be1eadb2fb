/* Numbers that follow from a seed: the same everywhere, for the same seed. */
#ifndef PL_RANDOM_H
#define PL_RANDOM_H

#include <stdint.h>

#define PL_RANDOM_STEP UINT64_C(0x9e3779b97f4a7c15) /* of splitmix64 */

/* The next number of xorshift64; *state is not 0 and moves on. */
static inline uint64_t pl_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* A state for pl_random that is not 0; seeds that follow each other make other numbers. */
static inline uint64_t pl_random_from(uint64_t seed)
{
    return (seed + 1) * PL_RANDOM_STEP | 1;
}

/* What splitmix64 makes of a number that went on by its step. */
static inline uint64_t pl_random_mix(uint64_t z)
{
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

#endif
