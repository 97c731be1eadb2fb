/* Messages that wait to be taken: a buffer with a length before each message. */
#include "peer/device_outbox.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define OUTBOX_FIRST ((size_t)16 << 10)
#define OUTBOX_LIMIT ((size_t)8 << 20)

static int make_room(struct pl_outbox *box, size_t need)
{
    if (box->head > 0 && box->head == box->tail)
        box->head = box->tail = 0;
    if (box->cap - box->tail >= need)
        return 0;
    if (box->head > 0) {
        memmove(box->buf, box->buf + box->head, box->tail - box->head);
        box->tail -= box->head;
        box->head = 0;
    }
    if (box->cap - box->tail >= need)
        return 0;
    size_t cap = box->cap ? box->cap : OUTBOX_FIRST;
    while (cap - box->tail < need)
        cap *= 2;
    if (cap > OUTBOX_LIMIT)
        return -ENOBUFS;
    uint8_t *buf = realloc(box->buf, cap);
    if (!buf)
        return -ENOMEM;
    box->buf = buf;
    box->cap = cap;
    return 0;
}

int pl_outbox_put(struct pl_outbox *box, const void *msg, size_t size)
{
    uint32_t length = (uint32_t)size;
    int err = make_room(box, sizeof(length) + size);
    if (err < 0)
        return err;
    memcpy(box->buf + box->tail, &length, sizeof(length));
    memcpy(box->buf + box->tail + sizeof(length), msg, size);
    box->tail += sizeof(length) + size;
    return 0;
}

int pl_outbox_take(struct pl_outbox *box, void *buf, size_t cap)
{
    uint32_t length;
    if (box->head == box->tail)
        return 0;
    memcpy(&length, box->buf + box->head, sizeof(length));
    if (length > cap)
        return -EMSGSIZE;
    memcpy(buf, box->buf + box->head + sizeof(length), length);
    box->head += sizeof(length) + length;
    return (int)length;
}

void pl_outbox_free(struct pl_outbox *box)
{
    free(box->buf);
    memset(box, 0, sizeof(*box));
}
