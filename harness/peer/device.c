/* The reference device as an endpoint: messages in, messages out, virtual time. */
#include "peer/device.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "peer/io.h"
#include "wire/spare.h"

static struct pl_spare spare;

static void device_close(void *self)
{
    struct pl_device_peer *peer = self;
    if (!peer)
        return;
    pl_outbox_free(&peer->out);
    pl_outbox_free(&peer->held);
    pl_outbox_free(&peer->deferred);
    for (size_t i = 0; i < PL_DEVICE_MAX; i++)
        if (peer->devices[i].made)
            pl_io_forget(&peer->devices[i]);
    pl_spare_give(&spare, peer, sizeof(*peer));
}

/* What no message is longer than but on purpose: the same bytes each time, whatever a mutant sends.
 */
enum { USUAL_BYTES = 1024 };

static struct pl_device_peer *new_peer(void)
{
    struct pl_device_peer *peer = pl_spare_take(&spare, sizeof(*peer));
    if (!peer)
        return NULL;
    memset(peer, 0, offsetof(struct pl_device_peer, nobody));
    pl_device_clear(&peer->nobody);
    memset(peer->scratch, 0, USUAL_BYTES);
    memset(peer->message, 0, USUAL_BYTES);
    memset(peer->frame, 0, USUAL_BYTES);
    for (size_t i = 0; i < PL_DEVICE_MAX; i++)
        peer->devices[i].attached = peer->devices[i].made = false;
    return peer;
}

static void *device_open(const void *config, const struct pl_endpoint_env *env)
{
    char error[256];
    struct pl_device_peer *peer = new_peer();
    if (!peer)
        return NULL;
    peer->env = *env;
    if (pl_device_configure(peer, config, error, sizeof(error)) < 0) {
        pl_spare_give(&spare, peer, sizeof(*peer));
        return NULL;
    }
    if (config)
        peer->watch = ((const struct pl_device_config *)config)->watch;
    pl_io_prepare(peer);
    peer->accept_long = pl_device_opt(peer, PL_DEVICE_OPT_accept_long) != 0;
    pl_device_populate(peer);
    return peer;
}

/* Which list of transitions a received message goes to; PL_NONE: it is dropped. */
static int classify(const struct pl_device_peer *peer, const struct pl_msg *m)
{
    if (m->form == PL_FORM_UNKNOWN)
        return PL_ON_UNSUPPORTED;
    if (m->size > peer->env.max_msg_size || (m->form != PL_FORM_OK && m->form != PL_FORM_LONG))
        return PL_ON_MALFORMED;
    if (m->form == PL_FORM_LONG && !peer->accept_long)
        return PL_ON_MALFORMED;
    if (m->response || m->def->from == PL_SIDE_DEVICE)
        return PL_ON_UNEXPECTED;
    if (m->bus && m->dev_num != 0 && pl_device_opt(peer, PL_DEVICE_OPT_bus_dev_num_strict))
        return PL_ON_MALFORMED;
    return (int)m->kind;
}

static int handle(struct pl_device_peer *peer, const void *msg, size_t size)
{
    struct pl_msg m;
    pl_decode(peer->spec, msg, size, &m);
    int on = classify(peer, &m);
    struct pl_device *dev = m.bus ? NULL : pl_device_find(peer, m.dev_num);
    if (!dev && !m.bus && on < PL_KIND_COUNT)
        on = PL_ON_NO_DEVICE;
    if (on < PL_KIND_COUNT)
        peer->requests++;
    int err = pl_device_run(peer, dev ? dev : &peer->nobody, on, &m);
    peer->last_token = m.token;
    return err;
}

/* What a mutant left for later is handled behind the message that came next, or when none did. */
static int handle_deferred(struct pl_device_peer *peer)
{
    uint8_t *copy = malloc(PL_MSG_MAX);
    int size = copy ? pl_outbox_take(&peer->deferred, copy, PL_MSG_MAX) : 0;
    peer->replaying = true;
    int err = size > 0 ? handle(peer, copy, (size_t)size) : 0;
    peer->replaying = false;
    pl_outbox_free(&peer->deferred);
    free(copy);
    return err;
}

static int device_deliver(void *self, const void *msg, size_t size)
{
    struct pl_device_peer *peer = self;
    bool waiting = peer->deferred.head != peer->deferred.tail;
    int err = handle(peer, msg, size);
    return err < 0 || !waiting ? err : handle_deferred(peer);
}

static int device_poll(void *self, void *buf, size_t cap)
{
    struct pl_device_peer *peer = self;
    return pl_outbox_take(&peer->out, buf, cap);
}

static uint64_t device_next_ms(void *self)
{
    const struct pl_device_peer *peer = self;
    uint64_t next = peer->deferred.head != peer->deferred.tail ? peer->deferred_until : UINT64_MAX;
    for (size_t i = 0; i < PL_DEVICE_MAX; i++) {
        const struct pl_device *dev = &peer->devices[i];
        if (dev->attached && dev->v.resetting && dev->reset_at < next)
            next = dev->reset_at;
        if (dev->attached && dev->v.suspend && dev->suspend_at < next)
            next = dev->suspend_at;
        uint64_t at = dev->attached ? pl_io_next_ms(peer, dev) : UINT64_MAX;
        next = at < next ? at : next;
    }
    return next;
}

static void device_advance(void *self, uint64_t now_ms)
{
    static const struct pl_msg none;
    struct pl_device_peer *peer = self;
    peer->now = now_ms;
    if (peer->deferred.head != peer->deferred.tail && now_ms >= peer->deferred_until)
        handle_deferred(peer); /* no other request came behind it */
    for (size_t i = 0; i < PL_DEVICE_MAX; i++) {
        struct pl_device *dev = &peer->devices[i];
        if (dev->attached)
            pl_io_advance(peer, dev);
        if (dev->attached && dev->v.suspend && dev->suspend_at <= now_ms)
            pl_device_run(peer, dev, PL_ON_SUSPEND_DUE, &none);
        if (!dev->attached || !dev->v.resetting || dev->reset_at > now_ms)
            continue;
        dev->reset_at = UINT64_MAX;
        pl_device_run(peer, dev, PL_ON_RESET_DUE, &none);
    }
}

const struct pl_endpoint_ops pl_device_endpoint = {
    .open = device_open,
    .deliver = device_deliver,
    .poll = device_poll,
    .control = pl_device_control,
    .next_ms = device_next_ms,
    .advance = device_advance,
    .close = device_close,
};
