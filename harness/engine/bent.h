/* Messages bent on purpose, by what scenarios and the fuzzer call it. */
#ifndef PL_BENT_H
#define PL_BENT_H

#include "wire/wire.h"

enum pl_bent_what {
    PL_BENT_NOTHING,
    PL_BENT_TYPE, /* header fields */
    PL_BENT_ID,
    PL_BENT_DEV_NUM,
    PL_BENT_TOKEN,
    PL_BENT_SIZE,
    PL_BENT_CUT, /* bytes left out at the end; msg_size says what is sent */
    PL_BENT_PAD, /* bytes more */
    PL_BENT_PAD_WITH,
    PL_BENT_RESPONSE,
};

/* The bends of one message. */
struct pl_bent {
    uint64_t type, id, size, cut, pad, pad_with;
    bool has_type, has_id, has_size;
};

/* "_type", "_cut", ...: which it is; PL_BENT_NOTHING: none. */
enum pl_bent_what pl_bent_named(const char *name);
/* Take one bend. Device number, token and response go into `m`, which is still to be encoded. */
void pl_bent_set(struct pl_bent *b, struct pl_msg *m, enum pl_bent_what what, uint64_t value);
/* Bend the encoded `n` bytes, which have room for PL_MSG_MAX; the size that they have then. */
size_t pl_bent_apply(const struct pl_spec *spec, const struct pl_bent *b, uint8_t *out, size_t n);

#endif
