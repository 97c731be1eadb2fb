/* AFL++'s custom mutator (AFL_CUSTOM_MUTATOR_LIBRARY): the mutations that libFuzzer's targets use.
 * PLUMBLINE_FUZZ_ROLE says for which of them: device (the default), driver or bus. */
#include <stdlib.h>
#include <string.h>

#include "plumbline.h"

enum { MOST = 1 << 16, CROSS_ONE_IN = 4 };

struct mutator {
    struct pl_target target;
    unsigned seed; /* the first of them is the engine's */
    uint8_t out[MOST];
};

void *afl_custom_init(void *afl, unsigned seed);
size_t afl_custom_fuzz(void *self, uint8_t *bytes, size_t size, uint8_t **out, uint8_t *other,
                       size_t other_size, size_t most);
void afl_custom_deinit(void *self);

void *afl_custom_init(void *afl, unsigned seed)
{
    struct mutator *m = calloc(1, sizeof(*m));
    (void)afl;
    if (!m)
        return NULL;
    m->target.role = getenv("PLUMBLINE_FUZZ_ROLE");
    m->seed = seed;
    return m;
}

size_t afl_custom_fuzz(void *self, uint8_t *bytes, size_t size, uint8_t **out, uint8_t *other,
                       size_t other_size, size_t most)
{
    struct mutator *m = self;
    most = most < MOST ? most : MOST;
    *out = m->out;
    if (other && m->seed++ % CROSS_ONE_IN == 0)
        return pl_fuzz_cross(&m->target, bytes, size, other, other_size, m->out, most, m->seed);
    size = size < most ? size : most;
    memcpy(m->out, bytes, size);
    return pl_fuzz_mutate(&m->target, m->out, size, most, m->seed++);
}

void afl_custom_deinit(void *self)
{
    free(self);
}
