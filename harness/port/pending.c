/* The queue of messages that arrived while a port was sending or asking for control. */
#include <stdlib.h>
#include <string.h>

#include "port/private.h"

/* An IUT that floods is read no further than this, so that it waits instead of our memory growing.
 */
#define PENDING_MAX ((size_t)4 << 20)

bool pl_pending_has_room(const struct pl_pending *pending)
{
    return pending->tail - pending->head <= PENDING_MAX - PL_MSG_MAX - 1 - sizeof(size_t);
}

/* Make room for `more` bytes behind the tail. */
static bool pending_grow(struct pl_pending *pending, size_t more)
{
    if (pending->head) {
        memmove(pending->bytes, pending->bytes + pending->head, pending->tail - pending->head);
        pending->tail -= pending->head;
        pending->head = 0;
    }
    if (pending->tail + more <= pending->cap)
        return true;
    size_t cap = pending->cap ? pending->cap : 65536;
    while (cap < pending->tail + more)
        cap *= 2;
    uint8_t *bytes = realloc(pending->bytes, cap);
    if (!bytes)
        return false;
    pending->bytes = bytes;
    pending->cap = cap;
    return true;
}

bool pl_pending_put(struct pl_pending *pending, const void *msg, size_t size)
{
    size_t more = size + sizeof size;
    if (!pl_pending_has_room(pending) ||
        (pending->tail + more > pending->cap && !pending_grow(pending, more)))
        return false;
    memcpy(pending->bytes + pending->tail, &size, sizeof size);
    memcpy(pending->bytes + pending->tail + sizeof size, msg, size);
    pending->tail += more;
    return true;
}

size_t pl_pending_take(struct pl_pending *pending, void *buf, size_t cap)
{
    size_t size = 0;
    if (pending->head == pending->tail)
        return 0;
    memcpy(&size, pending->bytes + pending->head, sizeof size);
    memcpy(buf, pending->bytes + pending->head + sizeof size, size < cap ? size : cap);
    pending->head += size + sizeof size;
    if (pending->head == pending->tail)
        pending->head = pending->tail = 0;
    return size;
}

void pl_pending_free(struct pl_pending *pending)
{
    free(pending->bytes);
    *pending = (struct pl_pending){0};
}
