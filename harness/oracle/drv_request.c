/* The requests of a driver under test: which response answers which, and what comes of failures. */
#include <string.h>

#include "oracle/drv_private.h"

enum { ODD_TIMES = 3 };

uint32_t pl_drv_hash(const uint8_t *data, size_t n)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < n; i++)
        hash = (hash ^ data[i]) * 16777619u;
    return hash;
}

struct pl_drv_request *pl_drv_request_add(struct pl_oracle *o, const struct pl_msg *m)
{
    struct pl_drv *drv = o->drv;
    struct pl_drv_request *r = &drv->requests[drv->next_request];
    drv->next_request = (drv->next_request + 1) % DRV_REQUESTS;
    memset(r, 0, sizeof(*r));
    r->state = DRV_OPEN;
    r->at = drv->now;
    r->data_hash = pl_drv_hash(m->data, m->data ? m->data_len : 0);
    r->m = *m;
    r->m.bytes = r->m.data = r->m.fixed = NULL;
    return r;
}

static bool fits(const struct pl_oracle *o, const struct pl_drv_request *r,
                 const struct pl_msg *response)
{
    return r->state != DRV_FREE && r->m.msg_id == response->msg_id && r->m.bus == response->bus &&
           (r->m.bus || r->m.dev_num == response->dev_num) &&
           (!o->spec->header.token.width || r->m.token == response->token);
}

/*
 * Tokens may repeat, so the oldest open request that fits is meant: requests are processed in
 * order. One whose response was malformed may be given up by now, so any other comes before it.
 * What fits no open request may come late, for one that was given up or answered before.
 */
struct pl_drv_request *pl_drv_request_of(struct pl_oracle *o, const struct pl_msg *response)
{
    struct pl_drv *drv = o->drv;
    struct pl_drv_request *late = NULL, *malformed = NULL;
    for (unsigned k = 0; k < DRV_REQUESTS; k++) {
        struct pl_drv_request *r = &drv->requests[(drv->next_request + k) % DRV_REQUESTS];
        if (!fits(o, r, response))
            continue;
        if (r->state == DRV_OPEN && !r->malformed)
            return r;
        if (r->state == DRV_OPEN && !malformed)
            malformed = r;
        late = r;
    }
    return malformed ? malformed : late;
}

/* A driver whose tokens repeat may take a response for that of an older one that it discarded. */
void pl_drv_request_excuse(struct pl_oracle *o, const struct pl_msg *response)
{
    for (unsigned k = 0; k < DRV_REQUESTS; k++) {
        struct pl_drv_request *r = &o->drv->requests[k];
        if (r->state == DRV_OPEN && r->malformed && fits(o, r, response))
            r->state = DRV_ANSWERED;
    }
}

/* The newest open request with this number and token; msg_id below 0: any. */
struct pl_drv_request *pl_drv_request_open(struct pl_oracle *o, uint16_t dev_num, uint16_t token,
                                           int msg_id)
{
    struct pl_drv *drv = o->drv;
    for (unsigned k = 1; k <= DRV_REQUESTS; k++) {
        struct pl_drv_request *r =
            &drv->requests[(drv->next_request + DRV_REQUESTS - k) % DRV_REQUESTS];
        if (r->state == DRV_OPEN && r->m.dev_num == dev_num && r->m.token == token &&
            (msg_id < 0 || r->m.msg_id == msg_id))
            return r;
    }
    return NULL;
}

/* What a failed request was about, so that a later one can make up for it. */
static uint64_t key_of(const struct pl_msg *m)
{
    switch (m->kind) {
    case PL_SET_DRIVER_FEATURES:
        return m->f[PL_F_block_index];
    case PL_SET_DEVICE_STATUS:
        return m->f[PL_F_status];
    default:
        return m->f[PL_F_index];
    }
}

static bool needs_recovery(const struct pl_msg *m)
{
    return m->kind == PL_SET_DRIVER_FEATURES || m->kind == PL_SET_VQUEUE ||
           m->kind == PL_RESET_VQUEUE || (m->kind == PL_SET_DEVICE_STATUS && m->f[PL_F_status]);
}

void pl_drv_request_fails(struct pl_oracle *o, struct pl_drv_request *r, enum pl_drv_state how)
{
    struct pl_drv_dev *d = r->m.bus ? NULL : pl_drv_dev(o, r->m.dev_num);
    r->state = how;
    if (!d || d->gone)
        return;
    d->excused = d->stuck = true;
    pl_drv_queue_failed(d, r);
    if (needs_recovery(&r->m) && r->at > d->reset_at && d->n_failures < DRV_FAILURES)
        d->failures[d->n_failures++] =
            (struct pl_drv_failure){r->m.kind, key_of(&r->m), o->drv->now};
}

void pl_drv_resolve(struct pl_oracle *o, struct pl_drv_dev *d, enum pl_kind kind, uint64_t key)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < d->n_failures; i++) {
        const struct pl_drv_failure *f = &d->failures[i];
        bool status = kind == PL_SET_DEVICE_STATUS;
        if (f->kind == kind && (status ? !(f->key & ~key) : f->key == key))
            pl_held(o, PL_P_drv_recovers);
        else
            d->failures[kept++] = *f;
    }
    d->n_failures = kept;
}

void pl_drv_unresolved(struct pl_oracle *o, struct pl_drv_dev *d, const char *what)
{
    for (unsigned i = 0; i < d->n_failures; i++)
        pl_drv_broken(o, d, PL_P_drv_recovers,
                      "%s failed, and %s follows with neither a retry nor a reset between",
                      pl_kind_names[d->failures[i].kind], what);
    d->n_failures = 0;
}

void pl_drv_request_bait(struct pl_oracle *o, const struct pl_msg *event)
{
    for (unsigned k = 0; k < DRV_REQUESTS; k++) {
        struct pl_drv_request *r = &o->drv->requests[k];
        if (r->state == DRV_OPEN && !r->m.bus && r->m.token == event->token && event->token)
            r->baited = true;
    }
}

bool pl_drv_any_open(const struct pl_oracle *o, uint16_t dev_num, enum pl_kind kind)
{
    for (unsigned k = 0; k < DRV_REQUESTS; k++) {
        const struct pl_drv_request *r = &o->drv->requests[k];
        if (r->state == DRV_OPEN && r->m.dev_num == dev_num && !r->m.bus &&
            (kind == PL_NONE || r->m.kind == kind))
            return true;
    }
    return false;
}

void pl_drv_blame(struct pl_oracle *o, struct pl_drv_dev *d, enum pl_kind kind)
{
    for (unsigned k = 0; k < DRV_REQUESTS; k++) {
        const struct pl_drv_request *r = &o->drv->requests[k];
        if (r->state == DRV_FREE || r->state == DRV_ANSWERED || r->m.kind != kind || r->m.bus ||
            r->m.dev_num != d->dev_num || (r->at < d->reset_at && kind != PL_GET_DEVICE_INFO))
            continue;
        if (r->baited)
            pl_drv_broken(o, d, PL_P_drv_token,
                          "an event with the token of the open %s came, and the driver goes on as "
                          "if that had been the answer",
                          pl_kind_names[kind]);
        if (r->malformed)
            pl_drv_broken(o, d, PL_P_drv_discards,
                          "the response to %s was malformed, and the driver goes on as if it had "
                          "been an answer",
                          pl_kind_names[kind]);
    }
}

/* Is there anything but an odd message that makes the driver send this while it works? */
static bool has_reason(const struct pl_drv_dev *d, const struct pl_msg *m)
{
    bool asked = d->pending[0] && strcmp(d->pending, "io") != 0;
    if (!d->driver_ok_told || asked || d->needs_reset_at || d->stuck)
        return true;
    if (m->kind == PL_GET_CONFIG)
        return d->config.event_at || d->config.last_at > d->config.other_at;
    if (m->kind == PL_SET_DEVICE_STATUS)
        return m->f[PL_F_status] != 0;
    if (m->kind == PL_EVENT_AVAIL)
        return d->pending[0] != '\0';
    return m->kind != PL_GET_DEVICE_STATUS;
}

/*
 * A driver may look at its device, or reset it, whenever it likes. One that does so right behind
 * malformed or unknown messages, time and again, and never else without a reason, is made to by
 * these.
 */
void pl_drv_request_reason(struct pl_oracle *o, struct pl_drv_dev *d, const struct pl_msg *m)
{
    struct pl_drv *drv = o->drv;
    if (has_reason(d, m))
        return;
    if (!drv->odd_unanswered) {
        drv->other_traffic[m->kind]++;
        return;
    }
    drv->odd_unanswered--;
    if (++drv->odd_traffic[m->kind] < ODD_TIMES || drv->other_traffic[m->kind])
        return;
    pl_drv_broken(o, d, PL_P_drv_discards,
                  "each time a malformed or unknown message comes %s follows, and never else (%u "
                  "times)",
                  m->def->name, drv->odd_traffic[m->kind]);
    if (d->odd & ODD_UNKNOWN)
        pl_drv_broken(o, d, PL_P_drv_unsupported,
                      "each time an unknown message comes %s follows, and never else (%u times)",
                      m->def->name, drv->odd_traffic[m->kind]);
}
