/* The life of a device in the driver's hands: the order of its steps, status, and reset. */
#include <inttypes.h>
#include <string.h>

#include "oracle/drv_private.h"

enum {
    ACK = PL_C_STATUS_ACKNOWLEDGE,
    DRIVER = PL_C_STATUS_DRIVER,
    OK = PL_C_STATUS_DRIVER_OK,
    READY = PL_C_STATUS_FEATURES_OK
};

/* --- the order of the steps --- */

static bool negotiates(const struct pl_msg *m)
{
    return m->kind == PL_GET_DEVICE_FEATURES || m->kind == PL_SET_DRIVER_FEATURES;
}

static bool for_queues(const struct pl_msg *m)
{
    return m->kind == PL_GET_VQUEUE || m->kind == PL_SET_VQUEUE || m->kind == PL_RESET_VQUEUE;
}

static bool enables(const struct pl_msg *m)
{
    return m->kind == PL_SET_VQUEUE && (m->f[PL_F_flags] & PL_C_SVQ_STATE_MASK) == PL_C_SVQ_ENABLE;
}

static bool sets_up(const struct pl_msg *m)
{
    return m->kind == PL_SET_VQUEUE || m->kind == PL_RESET_VQUEUE ||
           (m->kind == PL_SET_CONFIG && m->f[PL_F_length]);
}

static void judge_info(struct pl_oracle *o, struct pl_drv_dev *d, const struct pl_msg *m)
{
    if (!negotiates(m) && !for_queues(m))
        return;
    if (!d->info_asked)
        pl_drv_broken(o, d, PL_P_drv_info_first, "%s comes ahead of any GET_DEVICE_INFO",
                      m->def->name);
    else
        pl_held(o, PL_P_drv_info_first);
    if (!d->info_asked)
        return;
    if (d->info.kind == PL_NONE) {
        pl_drv_broken(o, d, PL_P_drv_info_authority,
                      "%s follows, and GET_DEVICE_INFO was not answered yet", m->def->name);
        pl_drv_blame(o, d, PL_GET_DEVICE_INFO);
    } else {
        pl_held(o, PL_P_drv_info_authority);
    }
}

/* The driver goes on with the initialization: a reset that it asked for must have ended. */
static void judge_reset_over(struct pl_oracle *o, struct pl_drv_dev *d, const char *what)
{
    if (!d->reset_at)
        return;
    if (d->reset_done) {
        pl_held(o, PL_P_drv_reset_awaited);
        if (d->reset_slow)
            pl_held(o, PL_P_drv_reset_polled);
        pl_drv_relies(o->drv, d->reset_done);
        return;
    }
    pl_drv_broken(o, d, PL_P_drv_reset_awaited,
                  "status 0 was written, no response has shown the reset's end, and %s follows",
                  what);
    if (d->reset_slow)
        pl_drv_broken(o, d, PL_P_drv_reset_polled,
                      "the reset had not ended with its response; %s follows, and no "
                      "GET_DEVICE_STATUS has read 0",
                      what);
    pl_drv_blame(o, d, PL_SET_DEVICE_STATUS);
    pl_drv_blame(o, d, PL_GET_DEVICE_STATUS);
    d->reset_done = o->drv->now; /* said once; not again with each message that follows */
}

static void judge_features_ok(struct pl_oracle *o, struct pl_drv_dev *d, const struct pl_msg *m)
{
    const char *name = m->def->name;
    if (d->features_ok_told) {
        pl_drv_relies(o->drv, d->features_ok_told);
        pl_held(o, PL_P_drv_features_ok_checked);
        if (enables(m))
            pl_held(o, PL_P_drv_enable_late);
        return;
    }
    const char *why = !d->features_ok_at ? "was not written yet"
                      : d->refused       ? "was refused"
                                         : "was not reported yet";
    pl_drv_broken(o, d, PL_P_drv_order, "%s comes while FEATURES_OK %s", name, why);
    if (enables(m))
        pl_drv_broken(o, d, PL_P_drv_enable_late, "a virtqueue is enabled, and FEATURES_OK %s",
                      why);
    if (m->kind == PL_SET_VQUEUE || m->kind == PL_SET_DEVICE_STATUS)
        pl_drv_broken(o, d, PL_P_drv_features_ok_checked, "%s goes on, and FEATURES_OK %s", name,
                      why);
    if (d->refused)
        pl_drv_broken(o, d, PL_P_drv_given_up,
                      "FEATURES_OK was refused, and initialization goes on with %s", name);
    if (m->kind == PL_SET_CONFIG && !d->features_ok_at)
        pl_drv_broken(o, d, PL_P_drv_no_early_write,
                      "the configuration is written while the features are still negotiated");
    pl_drv_blame(o, d, PL_SET_DEVICE_STATUS);
}

static void judge_step(struct pl_oracle *o, struct pl_drv_dev *d, const struct pl_msg *m)
{
    bool config = m->kind == PL_GET_CONFIG;
    if (!d->reset_at) {
        pl_drv_broken(o, d, PL_P_drv_order, "%s comes ahead of the first reset", m->def->name);
        return;
    }
    if (!d->reset_done) { /* reading may be another part of the driver's, still at work */
        if (negotiates(m) || m->kind == PL_SET_VQUEUE)
            judge_reset_over(o, d, m->def->name);
        return;
    }
    if (negotiates(m) || for_queues(m) || config) {
        if ((d->wrote & DRIVER) || (config && d->config.refresh_at))
            pl_held(o, PL_P_drv_order);
        else
            pl_drv_broken(o, d, PL_P_drv_order, "%s comes ahead of the DRIVER status bit",
                          m->def->name);
    }
    if (sets_up(m))
        judge_features_ok(o, d, m);
    if (m->kind == PL_SET_CONFIG && m->f[PL_F_length] && d->features_ok_at)
        pl_held(o, PL_P_drv_no_early_write);
}

static void judge_after_failed(struct pl_oracle *o, struct pl_drv_dev *d, const struct pl_msg *m)
{
    bool on = negotiates(m) || sets_up(m) ||
              (m->kind == PL_SET_DEVICE_STATUS && m->f[PL_F_status] &&
               !(m->f[PL_F_status] & PL_C_STATUS_FAILED));
    if (d->failed && on)
        pl_drv_broken(o, d, PL_P_drv_reset_after_failed,
                      "FAILED was set, and %s follows without a reset", m->def->name);
}

void pl_drv_order(struct pl_oracle *o, struct pl_drv_dev *d, const struct pl_msg *m)
{
    if (m->event || m->kind == PL_GET_DEVICE_INFO || m->kind == PL_GET_DEVICE_STATUS)
        return;
    judge_info(o, d, m);
    judge_after_failed(o, d, m);
    if (m->kind != PL_SET_DEVICE_STATUS)
        judge_step(o, d, m);
    if (!d->reset_at && m->kind != PL_SET_DEVICE_STATUS)
        d->reset_at = d->reset_done = o->drv->now, d->wrote |= ACK | DRIVER;
}

/* --- status writes --- */

/* It need not have come to the end of what it does with such a device. */
static bool may_begin_anew(const struct pl_drv_dev *d)
{
    return d->hindered || d->n_failures || d->needs_reset_at;
}

static void begin_life(struct pl_oracle *o, struct pl_drv_dev *d)
{
    if (d->initialized_before || d->wrote)
        pl_held(o, PL_P_drv_reset_zero);
    if (d->needs_reset_at)
        pl_held(o, PL_P_drv_needs_reset);
    if (d->failed)
        pl_held(o, PL_P_drv_reset_after_failed);
    for (unsigned i = 0; i < d->n_failures; i++)
        pl_held(o, PL_P_drv_recovers);
    if (d->offered_known && (d->wrote & DRIVER) && !d->failed && !d->features_ok_told &&
        !may_begin_anew(d) && pl_drv_lacks_version_1(d))
        d->gave_up_silently = true;
    d->n_failures = 0;
    d->hindered = false;
    d->life++;
    d->reset_at = o->drv->now;
    d->reset_done = 0;
    d->reset_slow = false;
    d->suspend = (struct pl_drv_suspend){0};
    d->initialized_before |= d->wrote != 0;
    d->wrote = d->kept = 0;
    d->features_ok_at = d->features_ok_told = d->driver_ok_at = d->driver_ok_told = 0;
    d->refused = d->failed = d->chosen = d->final_valid = d->configured_early = false;
    d->needs_reset_at = 0;
    d->feature_writes = 0;
    d->written = 0;
    d->polls = 0;
    memset(d->selected, 0, sizeof(d->selected));
    memset(d->said, 0, sizeof(d->said));
    for (unsigned i = 0; i < d->n_queues; i++) {
        struct pl_drv_queue *q = &d->queues[i];
        q->on = PL_NO;
        q->on_at = q->set_at = q->params_at = q->confirmed_at = q->reset_at = 0;
        q->told_life = q->off_read = false;
        if (q->max_life > q->max_before)
            q->max_before = q->max_life;
    }
    pl_drv_config_reset(d);
}

/* The bits of a write in which those of an earlier step are missing; 0: none. */
static uint32_t missing_step(uint32_t bits)
{
    if ((bits & OK) && !(bits & READY))
        return READY;
    if ((bits & READY) && !(bits & DRIVER))
        return DRIVER;
    if ((bits & DRIVER) && !(bits & ACK))
        return ACK;
    return 0;
}

static void judge_bits(struct pl_oracle *o, struct pl_drv_dev *d, uint32_t w)
{
    char was[80], now[80];
    uint32_t dropped =
        d->kept & ~w & ~(uint32_t)PL_C_STATUS_DEVICE_NEEDS_RESET & ~(uint32_t)PL_C_STATUS_SUSPEND;
    if (dropped) {
        pl_drv_broken(o, d, PL_P_drv_bits_kept, "status %s is written where %s was set",
                      pl_drv_status(w, now), pl_drv_status(d->kept, was));
        pl_drv_broken(o, d, PL_P_drv_reset_zero,
                      "status %s is written where %s was set: only 0 asks for a reset",
                      pl_drv_status(w, now), pl_drv_status(d->kept, was));
    } else if (d->kept) {
        pl_held(o, PL_P_drv_bits_kept);
    }
    if (dropped && d->needs_reset_at)
        pl_drv_broken(o, d, PL_P_drv_needs_reset,
                      "DEVICE_NEEDS_RESET was reported, and status %s is written in place of 0",
                      pl_drv_status(w, now));
    uint32_t missing = missing_step(w | d->kept), alone = missing_step(w);
    if (alone && !missing)
        pl_drv_broken(o, d, PL_P_drv_steps_set, "status %s is written without %s",
                      pl_drv_status(w, now), pl_drv_status(alone, was));
    if (missing) {
        pl_drv_broken(o, d, PL_P_drv_steps_set, "status %s is written, and %s was not set before",
                      pl_drv_status(w, now), pl_drv_status(missing, was));
        pl_drv_broken(o, d, PL_P_drv_order, "status %s is written ahead of %s",
                      pl_drv_status(w, now), pl_drv_status(missing, was));
    } else if (!alone) {
        pl_held(o, PL_P_drv_steps_set);
    }
    if ((w & ~d->wrote & PL_C_STATUS_SUSPEND)) {
        if (d->driver_ok_told && d->features_ok_told && pl_drv_selected(d, PL_C_F_SUSPEND))
            pl_held(o, PL_P_drv_suspend);
        else
            pl_drv_broken(o, d, PL_P_drv_suspend,
                          "SUSPEND is set, and VIRTIO_F_SUSPEND is not negotiated or DRIVER_OK "
                          "not reported");
    }
}

static bool needs_a_queue(const struct pl_drv_dev *d)
{
    return d->info.f[PL_F_device_id] == PL_C_TYPE_block ||
           d->info.f[PL_F_device_id] == PL_C_TYPE_entropy;
}

static void write_driver_ok(struct pl_oracle *o, struct pl_drv_dev *d, const struct pl_msg *m)
{
    judge_features_ok(o, d, m);
    if (!d->features_ok_told)
        pl_drv_broken(o, d, PL_P_drv_ok_ready, "DRIVER_OK is written, and FEATURES_OK was %s",
                      d->refused ? "refused" : "not reported yet");
    else if (needs_a_queue(d) && !pl_drv_queue_any(d))
        pl_drv_broken(o, d, PL_P_drv_ok_ready,
                      "DRIVER_OK is written, and no virtqueue was set up for it");
    else
        pl_held(o, PL_P_drv_ok_ready);
    if (d->final_valid && !d->said[PL_P_drv_features_fixed])
        pl_held(o, PL_P_drv_features_fixed);
    pl_drv_unresolved(o, d, "DRIVER_OK");
    pl_drv_config_torn(o, d);
    d->driver_ok_at = o->drv->now;
}

static void note_bits(struct pl_drv_dev *d, uint32_t w, uint64_t now)
{
    for (unsigned i = 0; i < DRV_STATUS_BITS; i++)
        if (w >> i & 1)
            d->bit_at[i] = now;
    d->wrote |= w;
    d->kept |= w;
}

void pl_drv_status_write(struct pl_oracle *o, struct pl_drv_dev *d, const struct pl_msg *m)
{
    uint32_t w = (uint32_t)m->f[PL_F_status];
    char text[80];
    if (!w) {
        begin_life(o, d);
        return;
    }
    pl_drv_suspend_written(o, d, w);
    if (w & PL_C_STATUS_FAILED) {
        if (!d->failed) {
            if (d->refused) {
                pl_held(o, PL_P_drv_failed_set);
                pl_held(o, PL_P_drv_given_up);
            }
            d->failed = true;
            if (!d->driver_ok_told)
                pl_drv_gave_up(o, d, "set FAILED");
        }
        d->kept |= w;
        return;
    }
    if (!d->reset_at) {
        pl_drv_broken(o, d, PL_P_drv_order, "status %s is written, and the device was never reset",
                      pl_drv_status(w, text));
        d->reset_at = d->reset_done = o->drv->now;
    }
    if (!d->wrote)
        judge_reset_over(o, d, "the next status");
    judge_bits(o, d, w);
    bool retry = d->refused && (w & READY) && !(d->kept & READY);
    if ((w & READY) && (!d->features_ok_at || retry)) {
        pl_drv_features_final(o, d);
        d->features_ok_at = o->drv->now;
        d->refused = false;
    }
    if ((w & OK) && !d->driver_ok_at)
        write_driver_ok(o, d, m);
    note_bits(d, w, o->drv->now);
}

/* --- what the status is told to be --- */

static void reset_told(struct pl_oracle *o, struct pl_drv_dev *d, const struct pl_drv_request *r,
                       uint32_t status)
{
    if (!status) {
        d->reset_done = o->drv->now;
        d->stuck = false;
        return;
    }
    d->reset_slow = d->excused = d->stuck = true;
    (void)r;
}

void pl_drv_status_told(struct pl_oracle *o, struct pl_drv_dev *d, const struct pl_drv_request *r,
                        uint32_t status)
{
    uint64_t asked = r ? r->at : o->drv->now;
    if (asked < d->reset_at)
        return; /* from before the reset */
    if (d->reset_at && !d->reset_done) {
        reset_told(o, d, r, status);
        return;
    }
    d->status_told = status;
    /* Suspending and resuming change these two by themselves: neither shows that a write failed. */
    uint32_t moving = d->suspend.at ? OK | PL_C_STATUS_SUSPEND : 0;
    pl_drv_suspend_told(d, asked, status);
    for (unsigned i = 0; r && i < DRV_STATUS_BITS; i++)
        if (!(status >> i & 1) && (d->kept >> i & 1) && d->bit_at[i] <= asked)
            d->kept &= ~(1u << i);
    if (status & PL_C_STATUS_DEVICE_NEEDS_RESET) {
        d->excused = true;
        if (!d->needs_reset_at) {
            d->needs_reset_at = o->drv->now;
            d->needs_reset_event = !r;
        }
    }
    if (d->features_ok_at && asked >= d->features_ok_at) {
        if (status & READY) {
            d->refused = false;
            if (!d->features_ok_told)
                d->features_ok_told = o->drv->now;
        } else if (!d->features_ok_told && r) {
            d->refused = d->excused = d->ever_refused = true;
        }
    }
    if (d->driver_ok_at && asked >= d->driver_ok_at && !d->driver_ok_told) {
        if (status & OK) {
            d->driver_ok_told = o->drv->now;
            pl_drv_succeeded(o, d);
        } else if (r) {
            d->excused = true;
        }
    }
    pl_drv_resolve(o, d, PL_SET_DEVICE_STATUS, status | moving);
}

void pl_drv_status_settle(struct pl_oracle *o, struct pl_drv_dev *d)
{
    bool over = d->was_refused || o->drv->patience;
    if (!over)
        return;
    if (d->refused && !d->failed)
        pl_drv_broken(
            o, d, PL_P_drv_failed_set,
            "FEATURES_OK was refused, and the driver neither sets FAILED nor begins anew");
    bool lacking = pl_drv_lacks_version_1(d) && !d->driver_ok_told && !d->features_ok_told;
    if (!lacking)
        return;
    pl_used(o, PL_P_drv_no_version_1);
    if (d->failed)
        pl_held(o, PL_P_drv_failed_without);
    else if (!d->stuck &&
             (d->gave_up_silently || ((d->wrote & DRIVER) && !d->refused && !may_begin_anew(d))))
        pl_drv_broken(o, d, PL_P_drv_failed_without,
                      "VIRTIO_F_VERSION_1 is not offered, the driver goes no further, and FAILED "
                      "was not set");
}
