/* Bends of messages that are about to be sent. */
#include "engine/bent.h"

#include <string.h>

enum pl_bent_what pl_bent_named(const char *name)
{
    static const char *const names[] = {"",      "_type", "_id",  "_dev_num",  "_token",
                                        "_size", "_cut",  "_pad", "_pad_with", "_response"};
    for (size_t i = 1; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(names[i], name) == 0)
            return (enum pl_bent_what)i;
    return PL_BENT_NOTHING;
}

void pl_bent_set(struct pl_bent *b, struct pl_msg *m, enum pl_bent_what what, uint64_t value)
{
    switch (what) {
    case PL_BENT_TYPE:
        b->type = value;
        b->has_type = true;
        break;
    case PL_BENT_ID:
        b->id = value;
        b->has_id = true;
        break;
    case PL_BENT_DEV_NUM:
        m->dev_num = (uint16_t)value;
        break;
    case PL_BENT_TOKEN:
        m->token = (uint16_t)value;
        break;
    case PL_BENT_SIZE:
        b->size = value;
        b->has_size = true;
        break;
    case PL_BENT_CUT:
        b->cut = value;
        break;
    case PL_BENT_PAD:
        b->pad = value;
        break;
    case PL_BENT_PAD_WITH:
        b->pad_with = value;
        break;
    case PL_BENT_RESPONSE:
        m->response = value != 0;
        break;
    case PL_BENT_NOTHING:
        break;
    }
}

size_t pl_bent_apply(const struct pl_spec *spec, const struct pl_bent *b, uint8_t *out, size_t n)
{
    size_t pad = b->pad < PL_MSG_MAX - n ? (size_t)b->pad : PL_MSG_MAX - n;
    memset(out + n, (int)b->pad_with, pad);
    n += pad;
    n -= b->cut < n ? (size_t)b->cut : n - 1;
    if (n < spec->header.size)
        return n;
    pl_poke_size(spec, out, (uint16_t)(b->has_size ? b->size : n));
    if (b->has_type)
        pl_poke_type(spec, out, (uint8_t)b->type);
    if (b->has_id)
        pl_poke_id(spec, out, (uint8_t)b->id);
    return n;
}
