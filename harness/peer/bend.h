/* Bends of finished messages: what mutants of either peer do to the bytes of one. */
#ifndef PL_PEER_BEND_H
#define PL_PEER_BEND_H

#include <stddef.h>
#include <stdint.h>

#include "peer/device_outbox.h"
#include "wire/wire.h"

enum pl_bend_what {
    PL_BEND_FIELD, /* a payload field becomes the value */
    PL_BEND_TYPE,  /* header fields become the value */
    PL_BEND_ID,
    PL_BEND_DEV_NUM,
    PL_BEND_TOKEN,
    PL_BEND_SIZE,
    PL_BEND_BIG_ENDIAN, /* a payload field's bytes turn round */
    PL_BEND_APPEND,     /* so many bytes more, each of them `fill` */
    PL_BEND_TRUNCATE,   /* so many bytes less */
    PL_BEND_DATA,       /* the variable array's bytes become the value */
    PL_BEND_DROP,       /* the rest is the sender's to do */
    PL_BEND_DUPLICATE,
    PL_BEND_HOLD, /* sent behind the next message */
};

/* One bend and its operands. */
struct pl_bend {
    enum pl_bend_what what;
    enum pl_field field;
    uint8_t fill;
    uint64_t value;
};

/* A message on its way out, and what bends have made of it so far. */
struct pl_bending {
    const struct pl_spec *spec;
    uint8_t *message; /* room for PL_MSG_MAX bytes */
    size_t size;
    struct pl_msg out; /* what it was before any bend */
    unsigned times;    /* that it is sent */
    bool hold;
};

void pl_bend_begin(struct pl_bending *b, const struct pl_spec *spec, uint8_t *message, size_t size);
void pl_bend_apply(struct pl_bending *b, const struct pl_bend *bend);
/* Put the message into `out`, as often as it shall go, and behind it what `held` holds back; or
 * hold it back, where it is to be and nothing else is. 0 or what the outbox says. */
int pl_bend_send(const struct pl_bending *b, struct pl_outbox *out, struct pl_outbox *held);

#endif
