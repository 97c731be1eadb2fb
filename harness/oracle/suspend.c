/* Suspending and resuming: how the status moves meanwhile, and which events then belong to it. */
#include "oracle/private.h"

#define SUSPEND     ((uint32_t)PL_C_STATUS_SUSPEND)
#define DRIVER_OK   ((uint32_t)PL_C_STATUS_DRIVER_OK)
#define NEEDS_RESET ((uint32_t)PL_C_STATUS_DEVICE_NEEDS_RESET)

bool pl_suspend_rests(const struct pl_track *t)
{
    return t->suspend == PL_SUSPENDED && !t->status.any;
}

/* Where the status comes from and goes to: through the bit that was asked for, or not. */
static void may_be(struct pl_track *t, uint32_t from, uint32_t to)
{
    t->status.any = false;
    t->status.n = 3;
    t->status.v[0] = from;
    t->status.v[1] = from | SUSPEND | DRIVER_OK;
    t->status.v[2] = to;
}

static void running(struct pl_oracle *o, struct pl_track *t)
{
    t->suspend = PL_RUNNING;
    if (t->resumed_untold && t->resume_told) {
        pl_held(o, PL_P_resume_event);
        t->resumed_untold = false;
    }
    if (t->change_suspended)
        pl_held(o, PL_P_suspend_quiet_event);
    t->change_suspended = t->resume_told = false;
}

void pl_suspend_seen(struct pl_oracle *o, struct pl_track *t, uint32_t g)
{
    uint32_t from = t->suspend_from;
    if (t->suspend != PL_SUSPENDING && t->suspend != PL_RESUMING)
        return;
    if (g & NEEDS_RESET) { /* it failed, as it may */
        t->suspend = PL_RUNNING;
        t->resumed_untold = t->change_suspended = false;
    } else if (t->suspend == PL_SUSPENDING && (g & (SUSPEND | DRIVER_OK)) == SUSPEND) {
        t->suspend = PL_SUSPENDED;
        t->resume_told = false;
    } else if (t->suspend == PL_RESUMING && (g & (SUSPEND | DRIVER_OK)) == DRIVER_OK) {
        running(o, t);
    } else if (t->suspend == PL_SUSPENDING) {
        may_be(t, from, (from | SUSPEND) & ~DRIVER_OK);
    } else {
        may_be(t, from, (from | DRIVER_OK) & ~SUSPEND);
    }
}

bool pl_suspend_written(struct pl_oracle *o, struct pl_track *t, uint32_t s,
                        const struct pl_msg *resp)
{
    uint32_t p = t->status.v[0], r = resp ? (uint32_t)resp->f[PL_F_status] : 0;
    bool rests = pl_suspend_rests(t);
    if (!pl_features_negotiated(t, PL_C_F_SUSPEND) || t->status.any || t->status.n != 1 || !resp)
        return false;
    bool suspends = (p & DRIVER_OK) && !(p & SUSPEND) && s == (p | SUSPEND);
    bool resumes = rests && s == (p | DRIVER_OK);
    if (!suspends && !resumes)
        return false;
    t->suspend_from = p;
    t->suspend = suspends ? PL_SUSPENDING : PL_RESUMING;
    may_be(t, p, suspends ? (p | SUSPEND) & ~DRIVER_OK : (p | DRIVER_OK) & ~SUSPEND);
    t->told_fresh = false;
    if (!pl_status_has(&t->status, r) && !(r & NEEDS_RESET)) {
        t->suspend = PL_RUNNING;
        return false;
    }
    pl_status_one(&t->status, r);
    pl_suspend_seen(o, t, r);
    return true;
}

bool pl_suspend_change(struct pl_track *t, uint32_t offset, const uint8_t *bytes, size_t size)
{
    if (!pl_suspend_rests(t))
        return false;
    for (size_t i = 0; i < size; i++)
        t->change_suspended |= offset + i < t->config_cap && t->config_known[offset + i] &&
                               t->config[offset + i] != bytes[i];
    t->resumed_untold = t->change_suspended;
    pl_config_forget(t);
    t->gen_kept = false;
    return true;
}

bool pl_suspend_event(struct pl_oracle *o, struct pl_track *t, const struct pl_msg *ev)
{
    bool resuming = pl_waiting(o, t, PL_SET_DEVICE_STATUS) || t->suspend == PL_RESUMING;
    if ((ev->f[PL_F_device_status] & NEEDS_RESET) ||
        (!t->resumed_untold && t->suspend != PL_SUSPENDED))
        return false;
    if (!resuming && t->suspend == PL_SUSPENDED) {
        pl_broken(o, PL_P_suspend_quiet_event,
                  "an EVENT_CONFIG comes from a device that is suspended");
        t->change_suspended = false;
    } else if (t->suspend == PL_RUNNING) {
        pl_held(o, PL_P_resume_event);
    }
    t->resume_told = resuming;
    t->resumed_untold &= t->suspend != PL_RUNNING;
    pl_config_forget(t);
    t->gen_kept = false;
    return true;
}

void pl_suspend_settle(struct pl_oracle *o, struct pl_track *t)
{
    if (t->suspend != PL_RUNNING || !t->resumed_untold)
        return;
    pl_broken(o, PL_P_resume_event,
              "the configuration changed while the device was suspended, it has resumed, and no "
              "EVENT_CONFIG says so");
    t->resumed_untold = false;
}

void pl_suspend_reset(struct pl_track *t)
{
    t->suspend = PL_RUNNING;
    t->change_suspended = t->resumed_untold = t->resume_told = false;
}
