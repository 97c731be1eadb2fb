/* What shows of a driver under test besides messages: control, patience, giving up, and success. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "oracle/drv_private.h"

/* --- what is unusual and must not matter --- */

static const struct {
    unsigned odd;
    enum pl_predicate p;
    const char *what;
} harmless[] = {
    {ODD_RESERVED, PL_P_drv_reserved, "reserved bits of type are set"},
    {ODD_TOKEN, PL_P_drv_token, "an event carries a token"},
    {ODD_MALFORMED, PL_P_drv_discards, "a malformed message came in between"},
    {ODD_UNKNOWN, PL_P_drv_unsupported, "a message of no revision came in between"},
    {ODD_FEATURES, PL_P_drv_unknown_features, "feature bits that nothing describes are offered"},
    {ODD_CONFIG, PL_P_drv_config_size_free, "the configuration space is larger"},
    {ODD_ADMIN, PL_P_drv_admin_range, "there are administration virtqueues"},
    {ODD_FEWER, PL_P_drv_falls_back, "fewer features are offered"},
};
enum {
    HARMLESS = sizeof(harmless) / sizeof(harmless[0]),
    ODD_MESSAGES = ODD_RESERVED | ODD_TOKEN | ODD_MALFORMED | ODD_UNKNOWN
};

static void remember_good(struct pl_oracle *o, const struct pl_drv_dev *d)
{
    struct pl_drv_good *good = &o->drv->good;
    if (good->known || d->info.kind == PL_NONE)
        return;
    good->known = true;
    good->device_id = d->info.f[PL_F_device_id];
    good->config_size = d->info.f[PL_F_config_size];
    good->max_msg_size = o->max_msg_size;
    for (unsigned i = 0; i < d->n_queues; i++)
        if (d->queues[i].max_life > good->max_size)
            good->max_size = d->queues[i].max_life;
    memcpy(good->selected, d->selected, sizeof(good->selected));
}

void pl_drv_succeeded(struct pl_oracle *o, struct pl_drv_dev *d)
{
    if (!d->odd && !d->excused)
        remember_good(o, d);
    for (unsigned i = 0; i < HARMLESS; i++)
        if (d->odd & harmless[i].odd)
            pl_held(o, harmless[i].p);
}

/*
 * A driver may give up for many reasons. Where it has worked with the same device before and but
 * one thing is unusual, one that must not matter, that is the reason.
 */
void pl_drv_gave_up(struct pl_oracle *o, struct pl_drv_dev *d, const char *how)
{
    const struct pl_drv_good *good = &o->drv->good;
    if (d->excused || !good->known || d->info.kind == PL_NONE ||
        o->max_msg_size < good->max_msg_size || d->info.f[PL_F_device_id] != good->device_id ||
        (d->odd & (d->odd - 1)))
        return;
    for (unsigned i = 0; i < HARMLESS; i++)
        if (d->odd == harmless[i].odd)
            pl_drv_broken(o, d, harmless[i].p, "%s, which must not matter, and the driver %s",
                          harmless[i].what, how);
}

/* --- control --- */

/* The driver said that it has reset a queue: it must have asked for it. */
static void judge_queue_reset(struct pl_oracle *o, struct pl_drv_dev *d)
{
    if (d->reset_claimed && !d->queue_resets && d->asked_life == d->life && !d->excused &&
        d->driver_ok_told && pl_drv_selected(d, PL_C_F_RING_RESET))
        pl_drv_broken(o, d, PL_P_drv_mandatory,
                      "queue-reset was asked for and done, it says, and no RESET_VQUEUE was sent");
    d->reset_claimed = false;
    d->queue_resets = 0;
    d->asked_life = d->life;
}

void pl_drv_claims(struct pl_oracle *o, struct pl_drv_dev *d)
{
    pl_drv_config_claims(o, d);
    judge_queue_reset(o, d);
}

static void asked(struct pl_oracle *o, struct pl_drv_dev *d, const char *what)
{
    struct pl_drv *drv = o->drv;
    drv->round_at = drv->now;
    drv->round_busy = false;
    snprintf(d->pending, sizeof(d->pending), "%s", what);
    d->pending_at = drv->now;
    d->polls_before = d->polls;
    pl_drv_claims(o, d);
    d->config.write_asked = strcmp(what, "config-write") == 0;
}

static void done(struct pl_oracle *o, struct pl_drv_dev *d, const char *what)
{
    struct pl_drv *drv = o->drv;
    drv->control = true;
    if (drv->round_busy) {
        if (drv->round_at > drv->seen_responses)
            drv->seen_responses = drv->round_at;
        if (drv->round_before > drv->seen_events)
            drv->seen_events = drv->round_before;
        drv->round_before = drv->round_at;
    }
    if (strcmp(what, "io") == 0 && !d->odd && !d->excused)
        drv->good.io = true;
    if (strcmp(what, "config-write") == 0)
        d->config.write_claimed = true;
    d->reset_claimed = strcmp(what, "queue-reset") == 0;
    if (d->stuck)
        pl_held(o, PL_P_drv_bounded);
    d->pending[0] = '\0';
}

/*
 * A device was to be started, and none of what came was for it: what went to numbers that no device
 * has was meant for this one.
 */
static void judge_aim(struct pl_oracle *o, struct pl_drv_dev *d)
{
    const struct pl_drv *drv = o->drv;
    if (d->info_asked || d->wrote || !pl_drv_exists(o, d->dev_num))
        return;
    for (unsigned i = 0; i < drv->n_devs; i++)
        if (drv->devs[i]->info_asked && !pl_drv_exists(o, drv->devs[i]->dev_num)) {
            pl_drv_broken(o, d, PL_P_drv_number,
                          "device %u was to be started; nothing came for it, and GET_DEVICE_INFO "
                          "for device %u, which there is not",
                          d->dev_num, drv->devs[i]->dev_num);
            return;
        }
}

static void refused(struct pl_oracle *o, struct pl_drv_dev *d, const char *what)
{
    bool start = strcmp(what, "start") == 0;
    o->drv->control = true;
    bool io = strcmp(what, "io") == 0 && o->drv->good.io && (d->odd & (ODD_MESSAGES | ODD_ADMIN));
    if (d->stuck)
        pl_held(o, PL_P_drv_bounded);
    if (start) {
        d->was_refused = true;
        judge_aim(o, d);
    }
    d->config.write_claimed = false;
    d->config.write_refused = strcmp(what, "config-write") == 0;
    if ((start && !d->driver_ok_told) || (io && d->driver_ok_told && !d->needs_reset_at))
        pl_drv_gave_up(o, d, start ? "does not start" : "does no I/O");
    d->pending[0] = '\0';
}

static void lost(struct pl_oracle *o, struct pl_drv_dev *d, const char *token)
{
    struct pl_drv_request *r =
        pl_drv_request_open(o, d->dev_num, (uint16_t)strtoul(token, NULL, 0), -1);
    if (r)
        pl_drv_request_fails(o, r, DRV_LOST);
}

static void seen(struct pl_drv *drv)
{
    drv->seen_responses = drv->seen_events = drv->now;
    drv->odd_unanswered = 0;
}

/* --- patience --- */

/*
 * It was answered all that it sent, and says no more. One that sends on and on is at work, on a
 * configuration that never holds still for instance: that is for it to end, or not.
 */
static bool silent(const struct pl_oracle *o, const struct pl_drv_dev *d)
{
    return d->info_asked && !pl_drv_any_open(o, d->dev_num, PL_NONE) && !d->config.torn_valid &&
           !d->config.event_at && o->drv->now - d->pending_at < DRV_SILENT;
}

static void out_of_patience(struct pl_oracle *o, struct pl_drv_dev *d)
{
    bool resetting = d->reset_at && !d->reset_done;
    bool pending = d->pending[0] && o->drv->control; /* else nobody may have read it */
    if (pending && d->stuck) {
        pl_drv_broken(o, d, PL_P_drv_bounded, "%s was asked for, %s, and the driver still waits",
                      d->pending,
                      resetting ? "the reset does not end" : "a request was never answered");
    } else if (pending && d->odd && !d->excused) {
        pl_drv_gave_up(o, d, "hangs");
    } else if (pending && strcmp(d->pending, "io") != 0 && !d->odd && !d->excused && silent(o, d)) {
        pl_drv_broken(o, d, PL_P_drv_mandatory,
                      "%s was asked for, all that the driver sent was answered, and it hangs",
                      d->pending);
    } else if (!pending && resetting && d->stuck && d->polls > d->polls_before &&
               o->drv->patience > 1) {
        pl_drv_broken(o, d, PL_P_drv_bounded,
                      "the reset does not end, and the driver still polls (%u times so far)",
                      (unsigned)d->polls);
    } else if (!pending && d->wrote && !d->driver_ok_told && !d->failed) {
        pl_drv_gave_up(o, d, "goes no further");
    }
    d->polls_before = d->polls;
}

void pl_drv_patience(struct pl_oracle *o)
{
    struct pl_drv *drv = o->drv;
    drv->patience++;
    seen(drv);
    for (unsigned i = 0; i < drv->n_devs; i++)
        if (!drv->devs[i]->gone)
            out_of_patience(o, drv->devs[i]);
}

void pl_drv_told(struct pl_oracle *o, uint16_t dev_num, const char *words)
{
    char word[DRV_WORD], rest[DRV_WORD] = "";
    struct pl_drv_dev *d = pl_drv_dev(o, dev_num);
    if (!d || sscanf(words, "%15s %15s", word, rest) < 1)
        return;
    if (strcmp(word, "asked") == 0)
        asked(o, d, rest);
    else if (strcmp(word, "done") == 0)
        done(o, d, rest);
    else if (strcmp(word, "refused") == 0)
        refused(o, d, rest);
    else if (strcmp(word, "lost") == 0) {
        d->hindered = true;
        lost(o, d, rest);
    } else if (strcmp(word, "late") == 0)
        d->excused = d->hindered = true; /* it may have waited long enough for an answer */
    else if (strcmp(word, "seen") == 0)
        seen(o->drv);
    else if (strcmp(word, "rest") == 0)
        o->drv->rested = true;
    else if (strcmp(word, "patience") == 0)
        pl_drv_patience(o);
}
