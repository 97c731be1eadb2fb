/* Running one event through the generated transitions, and sending what comes of it. */
#include <errno.h>
#include <string.h>

#include "peer/io.h"

int pl_device_send_bytes(struct pl_step *c, const uint8_t *bytes, size_t size)
{
    struct pl_device_peer *peer = c->peer;
    if (size > PL_MSG_MAX)
        return -EMSGSIZE;
    if (bytes != peer->message)
        memcpy(peer->message, bytes, size);
    if (peer->mutant_def && peer->mutant_def->n_bends > 0)
        return pl_device_bend(c, size);
    peer->sent++;
    return pl_outbox_put(&peer->out, peer->message, size);
}

int pl_device_send(struct pl_step *c, const struct pl_msg *m)
{
    ssize_t size = pl_encode(c->peer->spec, m, c->peer->message, sizeof(c->peer->message));
    if (size < 0)
        return (int)size;
    return pl_device_send_bytes(c, c->peer->message, (size_t)size);
}

static bool has_field(const struct pl_msg *m, enum pl_field field)
{
    const struct pl_layout *layout = m->def ? pl_msg_layout(m) : NULL;
    for (size_t i = 0; layout && i < layout->n_fields; i++)
        if (layout->fields[i].field == field)
            return true;
    return false;
}

/* The queue that a message names; one that is not available where there is none. */
static struct pl_device_queue *queue_of(struct pl_step *c)
{
    bool avail = has_field(c->req, PL_F_vq_index);
    if (!c->dev->attached || (!avail && !has_field(c->req, PL_F_index)))
        return &c->no_queue;
    uint64_t index = c->req->f[avail ? PL_F_vq_index : PL_F_index];
    return index < c->dev->max_virtqueues && index < PL_DEVICE_MAX_QUEUES ? &c->dev->queues[index]
                                                                          : &c->no_queue;
}

static bool run_inserts(struct pl_step *c, int on)
{
    const struct pl_mutant *mutant = c->peer->mutant_def;
    for (size_t i = 0; mutant && i < mutant->n_inserts; i++)
        if (mutant->inserts[i].on == on && mutant->inserts[i].run(c))
            return true;
    return false;
}

/* The first transition that holds is taken, a mutant's own before all others. */
static void run_list(struct pl_step *c, int on)
{
    pl_transition *const *list = c->peer->model->on[on];
    if (run_inserts(c, on))
        return;
    for (size_t i = 0; list && list[i]; i++)
        if (list[i](c))
            return;
}

/* A reset concerns the device and then each of its queues. */
static void run_reset(struct pl_step *c)
{
    run_list(c, PL_ON_RESET);
    for (uint32_t i = 0; i < PL_DEVICE_MAX_QUEUES; i++) {
        c->queue = &c->dev->queues[i];
        run_list(c, PL_ON_RESET_QUEUE);
    }
}

void pl_device_run_queue(struct pl_device_peer *peer, struct pl_device *dev,
                         struct pl_device_queue *queue, int on)
{
    static const struct pl_msg none;
    struct pl_step c = {.peer = peer, .dev = dev, .queue = queue, .req = &none, .old = dev->v};
    peer->depth++;
    run_list(&c, on);
    peer->depth--;
}

static int send_reply(struct pl_step *c)
{
    const struct pl_msg *req = c->req;
    if (!c->replies || !req->def || !req->def->response)
        return 0;
    c->reply.kind = req->kind;
    c->reply.response = true;
    c->reply.dev_num = req->bus ? 0 : req->dev_num;
    c->reply.token = req->token;
    return pl_device_send(c, &c->reply);
}

int pl_device_run(struct pl_device_peer *peer, struct pl_device *dev, int on,
                  const struct pl_msg *req)
{
    struct pl_step c = {.peer = peer, .dev = dev, .req = req, .old = dev->v};
    bool outermost = peer->depth++ == 0;
    c.queue = queue_of(&c);
    if (on == PL_ON_RESET)
        run_reset(&c);
    else
        run_list(&c, on);
    if (outermost)
        pl_io_stop_due(&c);
    int err = send_reply(&c);
    if (outermost) {
        pl_io_start_due(&c);
        pl_io_stop_due(&c); /* what was found there may be an error */
    }
    peer->depth--;
    return err;
}
