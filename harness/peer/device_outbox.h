/* Messages that wait to be taken: one growing buffer, no allocation per message. */
#ifndef PL_PEER_OUTBOX_H
#define PL_PEER_OUTBOX_H

#include <stddef.h>
#include <stdint.h>

struct pl_outbox {
    uint8_t *buf; /* owned */
    size_t cap, head, tail;
};

/* Append one message. 0, -ENOMEM, or -ENOBUFS where the peer has left far too much untaken. */
int pl_outbox_put(struct pl_outbox *box, const void *msg, size_t size);
/* Take the oldest message: its size, 0 where there is none, -EMSGSIZE where cap does not hold it.
 */
int pl_outbox_take(struct pl_outbox *box, void *buf, size_t cap);
void pl_outbox_free(struct pl_outbox *box);

#endif
