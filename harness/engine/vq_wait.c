/* Waiting for what the IUT does with rings: messages and looks in turns, and no verdict by the
 * clock as long as it works. */
#include <errno.h>
#include <string.h>

#include "engine/vq_private.h"

enum { PAUSE_MAX_MS = 16, TURNS_MAX = 100000 };

static uint64_t now_ms(const struct pl_vq *vq)
{
    if (vq->s->port->virtual_time)
        return vq->s->port->now_ms;
    return pl_session_clock_ms();
}

/* Every request is answered, and the ring was looked at. 0 or a negative errno. */
static int settle_and_look(struct pl_vq *vq, struct pl_vq_ring *ring)
{
    int err = pl_session_flush(vq->s);
    if (err < 0 && err != -ETIMEDOUT)
        return err;
    if (vq->s->stuck || !vq->s->alive)
        return -EPIPE;
    if (!pl_oracle_owed(vq->s->oracle))
        pl_vq_look(vq, ring, false);
    return 0;
}

/*
 * Give the IUT time until `done`. 1: it is; 0: it is not, within the limit or for ever; or a
 * negative errno. A fence is the first thing to wait for where nothing will be announced.
 */
static int wait_until(struct pl_vq *vq, struct pl_vq_ring *ring, int limit_ms,
                      bool (*done)(const struct pl_vq *vq, const struct pl_vq_ring *ring,
                                   const void *what),
                      const void *what)
{
    uint64_t begun = now_ms(vq), seen = ring->used;
    int pause = 1;
    bool fenced = ring->when == PL_RING_NOTIFY_ALWAYS;
    for (unsigned i = 0; i < TURNS_MAX; i++) {
        int r = settle_and_look(vq, ring);
        if (r < 0)
            return r;
        if (done(vq, ring, what))
            return 1;
        if (ring->used != seen) /* a slow device works as well */
            begun = now_ms(vq);
        seen = ring->used;
        if (!ring->ring || (i && now_ms(vq) - begun >= (uint64_t)limit_ms))
            return 0;
        r = fenced ? pl_session_receive(vq->s, pause) : pl_session_fence(vq->s);
        if (r < 0 && r != -ETIMEDOUT)
            return r;
        pause = !fenced || r ? 1 : pause < PAUSE_MAX_MS ? 2 * pause : pause;
        fenced = true;
    }
    return 0;
}

/* --- what is waited for --- */

struct goal {
    uint64_t count;
    const struct pl_chain *chain;
};

static bool goal_reached(const struct pl_vq *vq, const struct pl_vq_ring *ring, const void *what)
{
    (void)vq;
    const struct goal *goal = what;
    if (goal->chain)
        return goal->chain->state == PL_CHAIN_USED;
    return goal->count ? ring->used - ring->claimed >= goal->count : ring->held == 0;
}

static bool announced(const struct pl_vq *vq, const struct pl_vq_ring *ring, const void *what)
{
    (void)ring;
    (void)what;
    return pl_oracle_used_owed(vq->s->oracle) == 0;
}

static struct pl_chain *chain_named(const struct pl_vq_ring *ring, const char *name)
{
    for (struct pl_chain *chain = ring->added; chain; chain = chain->next)
        if (chain->name && strcmp(chain->name, name) == 0)
            return chain;
    for (unsigned i = 0, left = ring->held; left && i < ring->setup.size; i++) {
        struct pl_chain *chain = ring->by_id[i];
        left -= chain != NULL;
        if (chain && chain->name && strcmp(chain->name, name) == 0)
            return chain;
    }
    for (struct pl_chain *chain = ring->done; chain; chain = chain->next)
        if (chain->name && strcmp(chain->name, name) == 0)
            return chain;
    return NULL;
}

/* A chain that the IUT holds, for the report. */
static const struct pl_chain *any_held(const struct pl_vq_ring *ring)
{
    for (unsigned i = 0; i < ring->setup.size; i++)
        if (ring->by_id[i] && ring->by_id[i]->state == PL_CHAIN_HELD)
            return ring->by_id[i];
    return NULL;
}

/* It did not come. An IUT that answers a fence is alive, and the chain is missing. */
static int tell_missing(struct pl_vq *vq, struct pl_vq_ring *ring, const struct goal *goal)
{
    int err = pl_session_fence(vq->s);
    if (err < 0 || vq->s->stuck)
        return err < 0 ? err : -EPIPE;
    err = settle_and_look(vq, ring);
    if (err < 0 || goal_reached(vq, ring, goal))
        return err < 0 ? err : 1;
    const struct pl_chain *chain = goal->chain ? goal->chain : any_held(ring);
    if (!chain || chain->state != PL_CHAIN_HELD || !ring->told)
        return 0;
    struct pl_port *port = vq->s->port;
    vq->blind = !vq->served && port->memory_seen && !port->memory_seen(port);
    if (vq->blind)
        return 0;
    vq->misses++;
    if (pl_vq_used_elsewhere(vq, ring))
        pl_vq_observe(vq, ring, PL_SEEN_INDEX, pl_vq_elsewhere);
    pl_session_tell(vq->s, "ring %u %u missing %u", ring->dev_num, ring->queue, chain->id);
    return 0;
}

int pl_vq_await_event(struct pl_vq *vq, struct pl_vq_ring *ring)
{
    if (announced(vq, ring, NULL))
        return 0;
    int r = wait_until(vq, ring, pl_session_patience(vq->s, vq->misses), announced, NULL);
    if (r == 0) {
        vq->misses++;
        pl_session_tell(vq->s, "settle");
    }
    return r < 0 ? r : 0;
}

int pl_vq_await(struct pl_vq *vq, uint32_t queue, uint64_t count, const char *name)
{
    struct pl_vq_ring *ring = pl_vq_ring_of(vq, queue);
    struct goal goal = {.count = count};
    if (!ring)
        return 0;
    vq->current = ring;
    if (name && !(goal.chain = chain_named(ring, name)))
        return 0;
    int r = wait_until(vq, ring, pl_session_patience(vq->s, vq->misses), goal_reached, &goal);
    if (r == 0 && ring->ring)
        r = tell_missing(vq, ring, &goal);
    if (r < 0)
        return r;
    ring->claimed = count && !name ? ring->claimed + (r ? count : 0) : ring->used;
    if (goal.chain)
        ring->last = (struct pl_chain *)(uintptr_t)goal.chain;
    int err = pl_vq_await_event(vq, ring);
    pl_vq_check(vq, ring);
    return err < 0 ? err : r;
}

/* --- other looks --- */

/* Has the IUT written into buffers that it holds, without giving them back? */
static bool written_early(struct pl_vq *vq, const struct pl_vq_ring *ring)
{
    size_t where;
    for (unsigned i = 0, left = ring->held; left && i < ring->setup.size; i++) {
        const struct pl_chain *chain = ring->by_id[i];
        if (!chain || chain->state != PL_CHAIN_HELD)
            continue;
        left--;
        if (!pl_vq_same(&vq->memory, chain->block.at, chain->block.len, &where))
            return true;
    }
    return false;
}

/* Behind a fence: has nothing happened since the last look? */
bool pl_vq_at_rest(struct pl_vq *vq, struct pl_vq_ring *ring)
{
    uint64_t used = ring->used, events = ring->events_looked;
    if (ring->ring)
        pl_vq_look(vq, ring, false);
    bool idle = pl_vq_check(vq, ring) && ring->used == used && ring->events == events &&
                (ring->stopped || !written_early(vq, ring));
    if (idle && ring->told)
        pl_session_tell(vq->s, "ring %u %u idle", ring->dev_num, ring->queue);
    ring->events_looked = ring->events;
    return idle;
}

int pl_vq_idle(struct pl_vq *vq, uint32_t queue)
{
    struct pl_vq_ring *ring = pl_vq_ring_of(vq, queue);
    int err = pl_session_fence(vq->s);
    if (err < 0)
        return err;
    if (!ring || vq->wild)
        return 1;
    vq->current = ring;
    return pl_vq_at_rest(vq, ring);
}

int pl_vq_notify(struct pl_vq *vq, uint32_t queue, enum pl_ring_notify when, uint16_t ahead)
{
    struct pl_vq_ring *ring = pl_vq_ring_of(vq, queue);
    if (!ring || !ring->ring)
        return -ENOENT;
    vq->current = ring;
    if (when == PL_RING_NOTIFY_AT && !ring->setup.event_idx)
        when = PL_RING_NOTIFY_ALWAYS;
    int err = settle_and_look(vq, ring);
    if (err == 0) /* what is due is decided on by what stands there now */
        err = pl_vq_await_event(vq, ring);
    if (err < 0 || !ring->ring)
        return err;
    ring->when = when;
    pl_vq_arm(ring, ahead);
    err = pl_session_fence(vq->s);
    if (err < 0)
        return err;
    /* What was used meanwhile was announced by the old state or the new one. */
    pl_vq_look(vq, ring, true);
    if (ring->told)
        pl_session_tell(vq->s, "ring %u %u suppressed %d", ring->dev_num, queue,
                        when != PL_RING_NOTIFY_ALWAYS);
    return 0;
}
