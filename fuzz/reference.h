/* What the targets of the reference peers share: ROLE says which, PLUMBLINE_FUZZ_MUTANT which rule
 * of it is broken, and each case that the engine thinks of is judged. */
#ifndef PL_FUZZ_REFERENCE_H
#define PL_FUZZ_REFERENCE_H

#include <stdlib.h>

#include "plumbline.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *first, size_t first_size, const uint8_t *second,
                                 size_t second_size, uint8_t *out, size_t most, unsigned seed);

/* What comparisons compare helps the engine to mutate bytes; cases are mutated as cases, and asking
 * would take most of the time. The link has these in place of the engine's. */
#define PL_FUZZ_NOT_TRACED(name, type)                                                             \
    void __wrap___sanitizer_cov_trace_##name(type a, type b);                                      \
    void __wrap___sanitizer_cov_trace_##name(type a, type b)                                       \
    {                                                                                              \
        (void)a;                                                                                   \
        (void)b;                                                                                   \
    }
PL_FUZZ_NOT_TRACED(cmp1, uint8_t)
PL_FUZZ_NOT_TRACED(cmp2, uint16_t)
PL_FUZZ_NOT_TRACED(cmp4, uint32_t)
PL_FUZZ_NOT_TRACED(cmp8, uint64_t)
PL_FUZZ_NOT_TRACED(const_cmp1, uint8_t)
PL_FUZZ_NOT_TRACED(const_cmp2, uint16_t)
PL_FUZZ_NOT_TRACED(const_cmp4, uint32_t)
PL_FUZZ_NOT_TRACED(const_cmp8, uint64_t)

static const struct pl_target *target(void)
{
    static struct pl_target t = {.role = ROLE};
    t.mutant = getenv("PLUMBLINE_FUZZ_MUTANT");
    return &t;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return pl_fuzz_one(target(), data, size);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed)
{
    return pl_fuzz_mutate(target(), data, size, most, seed);
}

size_t LLVMFuzzerCustomCrossOver(const uint8_t *first, size_t first_size, const uint8_t *second,
                                 size_t second_size, uint8_t *out, size_t most, unsigned seed)
{
    return pl_fuzz_cross(target(), first, first_size, second, second_size, out, most, seed);
}

#endif
