/* Provocations at work: which moment it is, what happens to the device, and what becomes of its
 * answer. */
#include <stdlib.h>
#include <string.h>

#include "engine/drive.h"
#include "engine/drv_watch.h"

/* --- the moment --- */

bool pl_drive_moment(struct pl_drive *d)
{
    const struct pl_provocation *p = d->p;
    uint64_t holds = 1;
    char why[160];
    if (!p->at || d->depth || d->req.kind == PL_NONE || !p->at[d->req.kind])
        return false;
    d->s->answered = false;
    if (p->when && (!pl_run_evaluate(&d->run, p->when, &holds, why, sizeof(why)) || !holds))
        return false;
    if (p->per && ++d->life.of_kind[d->req.kind] > p->per && !d->exhaustive)
        return false;
    d->life.moments++;
    bool now = p->all ? d->life.moments >= d->at : d->life.moments == d->at;
    if (now) {
        d->life.triggered = true;
        d->life.ready_after = false;
    }
    return now;
}

void pl_drive_steps(struct pl_drive *d, const struct pl_steps *steps)
{
    if (!steps || !d->s->alive)
        return;
    d->depth++;
    pl_run_steps(&d->run, steps);
    d->depth--;
}

const uint8_t *pl_drive_request(struct pl_drive *d, bool moment, size_t *size)
{
    struct pl_msg m = d->req;
    *size = d->req.size;
    if (!moment || !d->p->request ||
        pl_run_build(&d->run, d->p->request, &m, d->other, size) == STOP)
        return d->req_bytes;
    return d->other;
}

/* --- the answer --- */

/* resp.* and word() speak of the answer that the device gave. */
static void show_answer(struct pl_drive *d, const void *bytes, size_t size)
{
    memcpy(d->s->last_bytes, bytes, size);
    pl_decode(d->s->spec, d->s->last_bytes, size, &d->s->last);
    d->s->answered = true;
}

static void hold(struct pl_drive *d, const void *bytes, size_t size, uint64_t left)
{
    struct pl_drive_held *held = &d->held[d->n_held];
    if (!left || d->n_held == PL_DRIVE_HELD || !(held->bytes = malloc(size))) {
        pl_drive_send(d, bytes, size);
        return;
    }
    memcpy(held->bytes, bytes, size);
    held->size = size;
    held->left = left;
    d->n_held++;
}

/* The bus says that the request failed. */
static void fail_request(struct pl_drive *d, uint64_t reason)
{
    struct pl_msg m = {.kind = PL_EVENT_FAILURE};
    m.f[PL_F_failed_dev_num] = d->req.dev_num;
    m.f[PL_F_failed_token] = d->req.token;
    m.f[PL_F_failed_msg_id] = d->req.msg_id;
    m.f[PL_F_reason] = reason;
    ssize_t n = pl_encode(d->s->spec, &m, d->out, PL_MSG_MAX);
    if (n > 0)
        pl_drive_send(d, d->out, (size_t)n);
}

static bool value_of(struct pl_drive *d, const struct pl_expr *expr, uint64_t *value)
{
    char why[160];
    *value = 0;
    return expr && pl_run_evaluate(&d->run, expr, value, why, sizeof(why));
}

void pl_drive_withhold(struct pl_drive *d)
{
    uint64_t reason;
    if (d->req.event)
        return;
    if (value_of(d, d->p->fail, &reason))
        fail_request(d, reason);
    else
        pl_session_tell(d->s, "driver %u lost %u", d->req.dev_num, d->req.token);
}

int pl_drive_event(struct pl_drive *d, const void *bytes, size_t size)
{
    struct pl_msg m;
    size_t n = size;
    if (!d->p->event)
        return pl_drive_send(d, bytes, size);
    memcpy(d->other, bytes, size);
    pl_decode(d->s->spec, d->other, size, &m);
    if (m.form != PL_FORM_OK || !m.event || m.bus ||
        pl_run_build(&d->run, d->p->event, &m, d->out, &n) == STOP ||
        !pl_run_carried(&d->run, d->out, n))
        return pl_drive_send(d, d->other, size);
    return pl_drive_send(d, d->out, n);
}

void pl_drive_answer(struct pl_drive *d, const void *bytes, size_t size)
{
    const struct pl_provocation *p = d->p;
    uint64_t value;
    size_t n = size;
    show_answer(d, bytes, size);
    if (p->lose) {
        pl_session_tell(d->s, "driver %u lost %u", d->req.dev_num, d->req.token);
        return;
    }
    if (value_of(d, p->fail, &value)) {
        fail_request(d, value);
        return;
    }
    if (p->answer) {
        struct pl_msg m = d->s->last;
        if (pl_run_build(&d->run, p->answer, &m, d->out, &n) == STOP)
            return;
    }
    if (!p->answer || !pl_run_carried(&d->run, d->out, n)) {
        memcpy(d->out, d->s->last_bytes, size);
        n = size;
    }
    if (value_of(d, p->late, &value))
        hold(d, d->out, n, value);
    else
        pl_drive_send(d, d->out, n);
    if (p->twice)
        pl_drive_send(d, d->out, n);
}

/* --- what steps speak of, and where what they do goes --- */

static bool far_name(void *opaque, const struct pl_meaning *meaning, uint64_t *value)
{
    const struct pl_drive *d = opaque;
    const struct pl_layout *layout = pl_msg_layout(&d->req);
    if (meaning->word == PL_WORD_AT)
        *value = d->at;
    else if (meaning->word == PL_WORD_TOLD_STATUS)
        *value = d->life.status;
    else if (meaning->word == PL_WORD_TOLD_GENERATION)
        *value = d->life.generation;
    else if (meaning->means != PL_MEANS_REQUEST)
        return false;
    else if (meaning->own == PL_OWN_TOKEN)
        *value = d->req.token;
    else {
        *value = 0; /* where the message is without this field */
        for (size_t i = 0; layout && i < layout->n_fields; i++)
            if (layout->fields[i].field == meaning->field && meaning->field != PL_F_none)
                *value = d->req.f[meaning->field];
    }
    return true;
}

static int far_transmit(void *opaque, const void *bytes, size_t n)
{
    struct pl_drive *d = opaque;
    return pl_drive_send(d, bytes, n);
}

static bool far_control(void *opaque, const char *line)
{
    struct pl_drive *d = opaque;
    char answer[256] = "";
    pl_drv_watch_before(d->s);
    int err = pl_device_endpoint.control(d->device, line, answer, sizeof(answer));
    pl_drive_pump(d);
    return err >= 0 && strcmp(answer, "ok") == 0;
}

const struct pl_run_far pl_drive_far = {far_name, far_transmit, far_control, NULL};
