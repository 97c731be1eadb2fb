/* Running one event through the generated transitions, and sending what comes of it. */
#include <errno.h>
#include <string.h>

#include "peer/driver_private.h"

enum { STEPS_MAX = 4096 }; /* of one device without anything from outside */

static struct pl_dp_queue no_queue_of(void)
{
    return (struct pl_dp_queue){.index = UINT64_MAX};
}

static bool run_list(struct pl_dp_step *c, int on)
{
    const struct pl_dp_bent *bent = c->peer->bent;
    pl_dp_transition *const *list = c->peer->model->on[on];
    for (size_t i = 0; bent && i < bent->n_inserts; i++)
        if (bent->inserts[i].on == on && bent->inserts[i].run(c))
            return true;
    for (size_t i = 0; list && list[i]; i++)
        if (list[i](c))
            return true;
    return false;
}

static bool run(struct pl_dp *peer, struct pl_dp_dev *dev, int on, const struct pl_msg *resp,
                const struct pl_dp_request *req, struct pl_dp_queue *queue, struct pl_dp_lane *lane)
{
    static const struct pl_msg none;
    static const struct pl_dp_request nothing;
    struct pl_dp_queue no_queue = no_queue_of();
    struct pl_dp_lane no_lane = {.id = -1};
    struct pl_dp_step c = {.peer = peer,
                           .dev = dev,
                           .queue = queue ? queue : &no_queue,
                           .lane = lane ? lane : &no_lane,
                           .resp = resp ? resp : &none,
                           .req = req ? req : &nothing,
                           .old = dev->v};
    return run_list(&c, on);
}

bool pl_dp_run(struct pl_dp *peer, struct pl_dp_dev *dev, int on, const struct pl_msg *resp,
               const struct pl_dp_request *req)
{
    return run(peer, dev, on, resp, req, NULL, NULL);
}

bool pl_dp_run_io(struct pl_dp *peer, struct pl_dp_dev *dev, int on, struct pl_dp_queue *queue,
                  struct pl_dp_lane *lane)
{
    return run(peer, dev, on, NULL, NULL, queue, lane);
}

void pl_dp_settle(struct pl_dp *peer, struct pl_dp_dev *dev)
{
    uint64_t depth = pl_dp_opt(peer, PL_DP_OPT_depth), slow = pl_dp_opt(peer, PL_DP_OPT_slow);
    for (int i = 0; i < STEPS_MAX && dev->used && !peer->ended; i++) {
        if (peer->now < dev->resume_at || dev->n_open >= depth)
            return;
        bool ran, entering = dev->entering;
        dev->entering = false;
        uint64_t requests = peer->requests;
        ran = entering && pl_dp_run(peer, dev, PL_DP_ON_ENTER, NULL, NULL);
        if (!ran || (dev->n_open < depth && requests == peer->requests))
            ran = pl_dp_run(peer, dev, PL_DP_ON_STEP, NULL, NULL) || ran;
        if (slow && requests != peer->requests)
            dev->resume_at = peer->now + slow;
        if (!ran && !dev->entering)
            return;
    }
}

void pl_dp_go(struct pl_dp_step *c, enum pl_dp_state state)
{
    struct pl_dp_dev *dev = c->dev;
    if (c->peer->model->fresh >> state & 1)
        dev->n_open = 0;
    dev->life += state == PL_DP_S_RESET;
    dev->state = state;
    dev->entering = true;
    dev->timer_at = UINT64_MAX;
    dev->v.index = 0;
    dev->v.looked = 0;
    dev->v.pieces_got = 0;
    dev->v.confirming = 0;
}

void pl_dp_begin(struct pl_dp_step *c, enum pl_kind kind, bool response)
{
    memset(&c->send, 0, sizeof(c->send));
    c->send.kind = kind;
    c->send.response = response;
    c->send.dev_num = c->dev->bus ? 0 : (uint16_t)c->dev->number;
}

/* A token is the driver's own choice; two open requests have two, but where they are always the
 * same. */
static uint16_t next_token(struct pl_dp *peer)
{
    switch (pl_dp_opt(peer, PL_DP_OPT_token)) {
    case 0:
        return 0;
    case 1:
        return (uint16_t)++peer->tokens;
    case 2:
        return (uint16_t)(pl_dp_draw(peer) << 4 | (++peer->tokens & 15));
    case 3:
        return 0x5a5a;
    default:
        return (uint16_t)~peer->tokens++;
    }
}

static void note_open(struct pl_dp_step *c)
{
    struct pl_dp_dev *dev = c->dev;
    if (dev->n_open == PL_DP_OPEN)
        pl_dp_close_at(dev, 0, NULL); /* mutants: the oldest is given up */
    struct pl_dp_request *request = &dev->open[dev->n_open++];
    *request = (struct pl_dp_request){.kind = c->send.kind, .token = c->send.token};
    request->deadline = c->peer->now + pl_dp_opt(c->peer, PL_DP_OPT_patience);
    memcpy(request->f, c->send.f, sizeof(request->f));
    c->peer->requests++;
}

void pl_dp_put(struct pl_dp_step *c, size_t size)
{
    if (c->peer->bent && c->peer->bent->n_bends > 0) {
        pl_dp_bend(c, size);
        return;
    }
    c->peer->sent++;
    pl_outbox_put(&c->peer->out, c->peer->message, size);
}

void pl_dp_send(struct pl_dp_step *c)
{
    struct pl_dp *peer = c->peer;
    const struct pl_message_def *def = pl_spec_message(peer->spec, c->send.kind);
    bool request = def && !def->event && !c->send.response;
    c->send.token = c->send.response ? c->resp->token : request ? next_token(peer) : 0;
    if (def && def->bus)
        c->send.dev_num = 0;
    ssize_t size = pl_encode(peer->spec, &c->send, peer->message, sizeof(peer->message));
    if (size < 0)
        return;
    if (request)
        note_open(c);
    pl_dp_put(c, (size_t)size);
}

void pl_dp_close_at(struct pl_dp_dev *dev, size_t i, struct pl_dp_request *out)
{
    if (out)
        *out = dev->open[i];
    memmove(&dev->open[i], &dev->open[i + 1], (size_t)(dev->n_open - i - 1) * sizeof(dev->open[0]));
    dev->n_open--;
}

bool pl_dp_close(struct pl_dp_dev *dev, enum pl_kind kind, uint16_t token,
                 struct pl_dp_request *out)
{
    for (size_t i = 0; i < dev->n_open; i++) {
        if (dev->open[i].kind != kind || dev->open[i].token != token)
            continue;
        pl_dp_close_at(dev, i, out);
        return true;
    }
    return false;
}
