/* The pipe that loops back what a driver sends: items with a length before each. */
#include <stdlib.h>
#include <string.h>

#include "peer/io_store.h"

#define PIPE_LIMIT ((size_t)4 << 20)

static bool make_room(struct pl_pipe *pipe, size_t need)
{
    if (pipe->cap - pipe->tail < need && pipe->head > 0) {
        memmove(pipe->buf, pipe->buf + pipe->head, pipe->tail - pipe->head);
        pipe->tail -= pipe->head;
        pipe->head = 0;
    }
    if (pipe->cap - pipe->tail >= need)
        return true;
    size_t cap = pipe->cap ? pipe->cap : 4096;
    while (cap - pipe->tail < need)
        cap *= 2;
    uint8_t *buf = cap > PIPE_LIMIT ? NULL : realloc(pipe->buf, cap);
    if (!buf)
        return false;
    pipe->buf = buf;
    pipe->cap = cap;
    return true;
}

bool pl_pipe_put(struct pl_pipe *pipe, const void *bytes, size_t len)
{
    uint32_t length = (uint32_t)len;
    if (len == 0 || len > PL_PIPE_ITEM_MAX || !make_room(pipe, sizeof(length) + len))
        return false;
    memcpy(pipe->buf + pipe->tail, &length, sizeof(length));
    memcpy(pipe->buf + pipe->tail + sizeof(length), bytes, len);
    pipe->tail += sizeof(length) + len;
    return true;
}

size_t pl_pipe_first(const struct pl_pipe *pipe)
{
    uint32_t length = 0;
    if (pipe->head != pipe->tail)
        memcpy(&length, pipe->buf + pipe->head, sizeof(length));
    return length;
}

size_t pl_pipe_peek(const struct pl_pipe *pipe, void *out, size_t cap)
{
    size_t length = pl_pipe_first(pipe), n = length < cap ? length : cap;
    if (n > 0)
        memcpy(out, pipe->buf + pipe->head + sizeof(uint32_t), n);
    return n;
}

size_t pl_pipe_take(struct pl_pipe *pipe, void *out, size_t cap)
{
    size_t length = pl_pipe_first(pipe), n = pl_pipe_peek(pipe, out, cap);
    if (n == 0)
        return 0;
    pipe->head += n;
    uint32_t rest = (uint32_t)(length - n);
    if (rest > 0) /* its length goes before what is left of it */
        memcpy(pipe->buf + pipe->head, &rest, sizeof(rest));
    else
        pipe->head += sizeof(uint32_t);
    return n;
}

void pl_pipe_free(struct pl_pipe *pipe)
{
    free(pipe->buf);
    memset(pipe, 0, sizeof(*pipe));
}
