/* The functions that expressions of the models can call. */
#ifndef PL_ORACLE_HELPERS_H
#define PL_ORACLE_HELPERS_H

#include <string.h>

#include "wire/wire.h"

/* Element i of a message's fixed array; 0 without one. */
static inline uint64_t pl_fixed_at(const struct pl_msg *m, uint64_t i)
{
    const struct pl_layout *layout = pl_msg_layout(m);
    if (!m->fixed || !layout || !layout->fixed || i >= layout->fixed->count)
        return 0;
    return m->fixed[i];
}

/* Is a message's fixed array all zero? */
static inline bool pl_fixed_nil(const struct pl_msg *m)
{
    const struct pl_layout *layout = pl_msg_layout(m);
    for (uint16_t i = 0; layout && layout->fixed && i < layout->fixed->count; i++)
        if (pl_fixed_at(m, i))
            return false;
    return true;
}

/* Are all bytes behind the end of the layout zero? */
static inline bool pl_padding_zero(const struct pl_msg *m)
{
    for (size_t i = m->expected; m->expected && i < m->size; i++)
        if (m->bytes[i])
            return false;
    return true;
}

/* Do two messages carry the same variable array? */
static inline bool pl_same_data(const struct pl_msg *a, const struct pl_msg *b)
{
    return a->data_len == b->data_len && (!a->data_len || !memcmp(a->data, b->data, a->data_len));
}

#endif
