/* Drivers that suspend their device and resume it: what they wait for, and what they leave be. */
#include <inttypes.h>

#include "oracle/drv_private.h"

enum {
    SUSPEND = PL_C_STATUS_SUSPEND,
    OK = PL_C_STATUS_DRIVER_OK,
    NEEDS_RESET = PL_C_STATUS_DEVICE_NEEDS_RESET
};

static bool suspends(const struct pl_drv_dev *d, uint32_t w)
{
    return (w & SUSPEND) && d->driver_ok_told && d->features_ok_told &&
           pl_drv_selected(d, PL_C_F_SUSPEND);
}

/*
 * DRIVER_OK is kept in a write that suspends, so behind it a write of both bits may be the same
 * once more; one of DRIVER_OK alone, or of it at a device that is suspended, resumes.
 */
static void resumes(struct pl_oracle *o, struct pl_drv_dev *d, uint32_t w)
{
    struct pl_drv_suspend *s = &d->suspend;
    char text[80];
    if (!(w & OK) || s->resume_at || (!s->rests && (w & SUSPEND)))
        return;
    s->resume_at = o->drv->now;
    if (!s->rests) {
        pl_drv_broken(o, d, PL_P_drv_suspend_awaited,
                      "status %s is written to resume, and no status has shown SUSPEND without "
                      "DRIVER_OK",
                      pl_drv_status(w, text));
        return;
    }
    pl_held(o, PL_P_drv_suspend_awaited);
    pl_held(o, PL_P_drv_suspend_buffers);
    pl_held(o, PL_P_drv_suspend_notifies);
    pl_held(o, PL_P_drv_suspend_config);
}

void pl_drv_suspend_written(struct pl_oracle *o, struct pl_drv_dev *d, uint32_t w)
{
    if (w & PL_C_STATUS_FAILED)
        d->suspend = (struct pl_drv_suspend){0};
    else if (d->suspend.at)
        resumes(o, d, w);
    else if (suspends(d, w))
        d->suspend = (struct pl_drv_suspend){.at = o->drv->now};
}

void pl_drv_suspend_told(struct pl_drv_dev *d, uint64_t asked, uint32_t status)
{
    struct pl_drv_suspend *s = &d->suspend;
    uint32_t both = status & (SUSPEND | OK);
    if (!s->at || asked < s->at)
        return;
    s->told = true;
    if (status & NEEDS_RESET) /* whatever it does now, it is to reset the device */
        *s = (struct pl_drv_suspend){0};
    else if (s->resume_at && asked >= s->resume_at && both == OK)
        *s = (struct pl_drv_suspend){.resumed = true};
    else if (!s->resume_at && both == SUSPEND)
        s->rests = true;
}

/* Normal operation: what is allowed depends on how far the device has come back. */
static void used(struct pl_oracle *o, struct pl_drv_dev *d, enum pl_predicate p, uint32_t index,
                 const char *what)
{
    struct pl_drv_suspend *s = &d->suspend;
    if (s->resumed)
        pl_held(o, PL_P_drv_resume_awaited);
    s->resumed = false;
    if (s->resume_at && s->resume_at < o->drv->now)
        pl_drv_broken(o, d, PL_P_drv_resume_awaited,
                      "queue %" PRIu32 ": %s, and no status has shown DRIVER_OK without SUSPEND "
                      "since DRIVER_OK was written to resume",
                      index, what);
    else if (s->at)
        pl_drv_broken(o, d, p, "queue %" PRIu32 ": %s, and SUSPEND was set before", index, what);
}

void pl_drv_suspend_avail(struct pl_oracle *o, struct pl_drv_dev *d, uint32_t index)
{
    used(o, d, PL_P_drv_suspend_notifies, index, "EVENT_AVAIL is sent");
}

/*
 * What stood in the ring as SUSPEND was written is found there behind it: that is not meant. What
 * is found with the write that resumes was there before it.
 */
void pl_drv_suspend_buffers(struct pl_oracle *o, uint16_t dev_num, uint32_t index)
{
    struct pl_drv_dev *d = pl_drv_dev(o, dev_num);
    if (d && !d->gone && (d->suspend.told || d->suspend.resumed))
        used(o, d, PL_P_drv_suspend_buffers, index, "buffers are made available");
}

void pl_drv_suspend_config(struct pl_oracle *o, struct pl_drv_dev *d, const struct pl_msg *m)
{
    if (d->suspend.at && !d->suspend.resume_at && m->f[PL_F_length])
        pl_drv_broken(o, d, PL_P_drv_suspend_config,
                      "SET_CONFIG writes %" PRIu64 " bytes, and SUSPEND was set before",
                      m->f[PL_F_length]);
}
