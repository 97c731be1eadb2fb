/* The life of the judge of drivers: making it, starting anew, and where each message goes. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "oracle/drv_private.h"
#include "wire/spare.h"

static struct pl_spare spare;

struct pl_drv *pl_drv_new(struct pl_oracle *o)
{
    (void)o;
    return calloc(1, sizeof(struct pl_drv));
}

static void free_devs(struct pl_drv *drv)
{
    for (unsigned i = 0; i < drv->n_devs; i++)
        pl_spare_give(&spare, drv->devs[i], sizeof(*drv->devs[i]));
    drv->n_devs = 0;
}

void pl_drv_free(struct pl_drv *drv)
{
    if (!drv)
        return;
    free_devs(drv);
    free(drv);
}

void pl_drv_start(struct pl_oracle *o)
{
    struct pl_drv *drv = o->drv;
    struct pl_drv_good good = drv->good, kept = drv->kept;
    bool refreshed_up = drv->refreshed_up, control = drv->control;
    unsigned odd[PL_KIND_COUNT], other[PL_KIND_COUNT];
    memcpy(odd, drv->odd_traffic, sizeof(odd));
    memcpy(other, drv->other_traffic, sizeof(other));
    unsigned starts = drv->starts + 1;
    free_devs(drv);
    memset(drv, 0, sizeof(*drv));
    drv->good = good;
    drv->kept = kept;
    drv->refreshed_up = refreshed_up;
    drv->control = control;
    memcpy(drv->odd_traffic, odd, sizeof(odd));
    memcpy(drv->other_traffic, other, sizeof(other));
    drv->starts = starts;
}

void pl_drv_renew(struct pl_oracle *o)
{
    struct pl_drv *drv = o->drv;
    drv->good = drv->kept;
    memset(drv->odd_traffic, 0, sizeof(drv->odd_traffic));
    memset(drv->other_traffic, 0, sizeof(drv->other_traffic));
    drv->refreshed_up = false;
    drv->starts = 0;
}

void pl_oracle_keep(struct pl_oracle *o)
{
    if (o->drv)
        o->drv->kept = o->drv->good;
}

struct pl_drv_dev *pl_drv_dev(struct pl_oracle *o, uint16_t dev_num)
{
    struct pl_drv *drv = o->drv;
    for (unsigned i = 0; i < drv->n_devs; i++)
        if (drv->devs[i]->dev_num == dev_num)
            return drv->devs[i];
    struct pl_drv_dev *d = drv->n_devs < DRV_DEVICES ? pl_spare_take(&spare, sizeof(*d)) : NULL;
    if (!d)
        return NULL;
    memset(d, 0, sizeof(*d));
    d->dev_num = dev_num;
    drv->devs[drv->n_devs++] = d;
    return d;
}

void pl_drv_broken(struct pl_oracle *o, struct pl_drv_dev *d, enum pl_predicate p,
                   const char *format, ...)
{
    char text[400];
    va_list args;
    if (d && d->said[p])
        return;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (d)
        d->said[p] = true;
    pl_broken(o, p, "%s", text);
}

bool pl_drv_has_seen(const struct pl_drv *drv, uint64_t at, bool event)
{
    return at && at <= (event ? drv->seen_events : drv->seen_responses);
}

void pl_drv_relies(struct pl_drv *drv, uint64_t at)
{
    if (at > drv->seen_responses)
        drv->seen_responses = at;
}

const char *pl_drv_status(uint64_t status, char out[80])
{
    static const struct pl_constant names[] = {{"ACKNOWLEDGE", PL_C_STATUS_ACKNOWLEDGE},
                                               {"DRIVER", PL_C_STATUS_DRIVER},
                                               {"FEATURES_OK", PL_C_STATUS_FEATURES_OK},
                                               {"DRIVER_OK", PL_C_STATUS_DRIVER_OK},
                                               {"SUSPEND", PL_C_STATUS_SUSPEND},
                                               {"NEEDS_RESET", PL_C_STATUS_DEVICE_NEEDS_RESET},
                                               {"FAILED", PL_C_STATUS_FAILED}};
    size_t used = 0;
    uint64_t rest = status;
    snprintf(out, 80, "%s", "0");
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && used < 70; i++)
        if (status & names[i].value) {
            used += (size_t)snprintf(out + used, 80 - used, "%s%s", used ? "|" : "", names[i].name);
            rest &= ~names[i].value;
        }
    if (rest && used < 60)
        snprintf(out + used, 80 - used, "%s0x%x", used ? "|" : "", (unsigned)rest);
    return out;
}

/* --- what the driver sends --- */

static void event_avail(struct pl_oracle *o, struct pl_drv_dev *d, const struct pl_msg *m)
{
    pl_drv_queue_avail(o, d, m);
    pl_drv_suspend_avail(o, d, (uint32_t)m->f[PL_F_vq_index]);
    pl_drv_io(o, d->dev_num, (uint32_t)m->f[PL_F_vq_index]);
}

static void handle(struct pl_oracle *o, struct pl_drv_dev *d, const struct pl_msg *m)
{
    if (m->kind != PL_GET_CONFIG && m->kind != PL_GET_DEVICE_STATUS)
        d->config.other_at = o->drv->now;
    pl_drv_request_reason(o, d, m);
    pl_drv_order(o, d, m);
    switch (m->kind) {
    case PL_GET_DEVICE_INFO:
        d->info_asked = o->drv->now;
        break;
    case PL_SET_DRIVER_FEATURES:
        pl_drv_features_write(o, d, m);
        break;
    case PL_GET_CONFIG:
        pl_drv_config_read(o, d, m);
        break;
    case PL_SET_CONFIG:
        pl_drv_config_write(o, d, m);
        pl_drv_suspend_config(o, d, m);
        break;
    case PL_GET_DEVICE_STATUS:
        pl_used(o, PL_P_drv_status_read);
        d->polls++;
        break;
    case PL_SET_DEVICE_STATUS:
        pl_drv_status_write(o, d, m);
        break;
    case PL_GET_VQUEUE:
    case PL_SET_VQUEUE:
    case PL_RESET_VQUEUE:
        pl_drv_queue_request(o, d, m);
        break;
    case PL_EVENT_AVAIL:
        event_avail(o, d, m);
        break;
    default:
        break;
    }
}

/* A device that was taken away: what comes for it may have crossed, until the driver begins anew.
 */
static bool begins_anew(const struct pl_msg *m)
{
    return m->kind == PL_GET_DEVICE_INFO || (m->kind == PL_SET_DEVICE_STATUS && !m->f[PL_F_status]);
}

void pl_drv_received(struct pl_oracle *o, const struct pl_msg *m)
{
    struct pl_drv *drv = o->drv;
    struct pl_msg fixed;
    drv->now++;
    drv->round_busy = true;
    if (!pl_drv_wire(o, m, &fixed))
        return;
    struct pl_drv_dev *d = fixed.bus ? NULL : pl_drv_dev(o, fixed.dev_num);
    if (d && d->gone && begins_anew(&fixed))
        d->gone = false;
    if (d && !d->gone)
        handle(o, d, &fixed);
    if (drv->odd_unanswered) {
        if (--drv->odd_left == 0)
            drv->odd_unanswered = 0;
        pl_held(o, PL_P_drv_discards);
    }
    if (!fixed.event && !fixed.response)
        pl_drv_request_add(o, &fixed);
}

void pl_drv_io(struct pl_oracle *o, uint16_t dev_num, uint32_t index)
{
    struct pl_drv_dev *d = pl_drv_dev(o, dev_num);
    char text[80];
    if (!d || d->gone || (d->reset_at && !d->wrote))
        return; /* behind a reset: it may have crossed within the driver itself */
    if (d->driver_ok_told) {
        pl_held(o, PL_P_drv_ok_before_io);
        pl_drv_relies(o->drv, d->driver_ok_told);
    } else {
        pl_drv_broken(o, d, PL_P_drv_ok_before_io,
                      "I/O on queue %u, and DRIVER_OK was not reported yet (status written: %s)",
                      index, pl_drv_status(d->wrote, text));
        pl_drv_blame(o, d, PL_SET_DEVICE_STATUS);
    }
    if (pl_drv_has_seen(o->drv, d->needs_reset_at, d->needs_reset_event))
        pl_drv_broken(o, d, PL_P_drv_needs_reset,
                      "DEVICE_NEEDS_RESET was reported, and queue %u is used without a reset",
                      index);
    pl_drv_queue_io(o, d, index);
    pl_drv_config_io(o, d);
    pl_drv_unresolved(o, d, "I/O");
}

/* --- what it is sent --- */

static void info_told(struct pl_oracle *o, struct pl_drv_dev *d, const struct pl_msg *m)
{
    const struct pl_drv_good *good = &o->drv->good;
    d->info = *m;
    d->info.bytes = d->info.data = d->info.fixed = NULL;
    if (m->f[PL_F_admin_vq_count])
        d->odd |= ODD_ADMIN;
    if (good->known && good->device_id == m->f[PL_F_device_id] &&
        m->f[PL_F_config_size] > good->config_size)
        d->odd |= ODD_CONFIG;
    if ((good->known && m->f[PL_F_config_size] < good->config_size) || pl_drv_lacks_version_1(d))
        d->excused = true;
}

static void answered(struct pl_oracle *o, struct pl_drv_dev *d, struct pl_drv_request *r,
                     const struct pl_msg *m)
{
    switch (m->kind) {
    case PL_GET_DEVICE_INFO:
        info_told(o, d, m);
        break;
    case PL_GET_DEVICE_FEATURES:
        pl_drv_features_told(o, d, r, m);
        break;
    case PL_SET_DRIVER_FEATURES:
        pl_drv_resolve(o, d, m->kind, r->m.f[PL_F_block_index]);
        break;
    case PL_GET_CONFIG:
    case PL_SET_CONFIG:
        pl_drv_config_told(o, d, r, m);
        break;
    case PL_GET_DEVICE_STATUS:
    case PL_SET_DEVICE_STATUS:
        pl_drv_status_told(o, d, r, (uint32_t)m->f[PL_F_status]);
        break;
    case PL_GET_VQUEUE:
    case PL_SET_VQUEUE:
    case PL_RESET_VQUEUE:
        pl_drv_queue_told(o, d, r, m);
        break;
    default:
        break;
    }
}

static bool whole(const struct pl_msg *m)
{
    return m->form == PL_FORM_OK || ((m->form == PL_FORM_LONG || m->form == PL_FORM_SIZE) &&
                                     m->size >= m->expected && m->expected);
}

static void odd_came(struct pl_drv *drv)
{
    drv->odd_unanswered++;
    drv->odd_left = DRV_ODD_MESSAGES;
}

static void respond(struct pl_oracle *o, struct pl_drv_dev *d, const struct pl_msg *m)
{
    struct pl_drv_request *r = pl_drv_request_of(o, m);
    if (!r || !d) {
        if (d)
            d->excused = true;
        odd_came(o->drv);
        return;
    }
    if (!whole(m)) {
        r->malformed = d->excused = d->stuck = true;
        return;
    }
    if (r->state != DRV_OPEN || m->form != PL_FORM_OK)
        d->excused = true;
    if (r->baited && r->state == DRV_OPEN)
        pl_held(o, PL_P_drv_token);
    r->state = DRV_ANSWERED;
    pl_drv_request_excuse(o, m);
    if (!d->gone)
        answered(o, d, r, m);
    pl_held(o, PL_P_drv_mandatory);
}

/* What is unusual about a message, for the device that it comes from or for all. */
static void note_odd(struct pl_oracle *o, const struct pl_msg *m, struct pl_drv_dev *d)
{
    struct pl_drv *drv = o->drv;
    unsigned odd = 0;
    bool unknown = m->form == PL_FORM_UNKNOWN;
    if (m->form == PL_FORM_RUNT) { /* it may have been any open request's answer */
        for (unsigned i = 0; i < drv->n_devs; i++)
            drv->devs[i]->excused = true;
        return;
    }
    if (m->type & o->spec->header.reserved_bits)
        odd |= ODD_RESERVED;
    if (m->event && m->token && !m->bus)
        odd |= ODD_TOKEN;
    if (unknown)
        odd |= ODD_UNKNOWN;
    else if (!m->response && (!whole(m) || (!m->bus && m->def->from == PL_SIDE_DRIVER)))
        odd |= ODD_MALFORMED;
    if (odd & (ODD_UNKNOWN | ODD_MALFORMED)) {
        odd_came(drv);
        drv->odd_ids[m->bus][m->msg_id] = unknown ? 2 : 1;
    } else if (!m->response)
        drv->odd_ids[m->bus][m->msg_id] = 0;
    for (unsigned i = 0; odd && i < drv->n_devs; i++)
        if (!d || drv->devs[i] == d || (odd & (ODD_UNKNOWN | ODD_MALFORMED)))
            drv->devs[i]->odd |= odd;
}

static void device_changed(struct pl_oracle *o, const struct pl_msg *m)
{
    struct pl_drv_dev *d = pl_drv_dev(o, (uint16_t)m->f[PL_F_device_number]);
    if (m->f[PL_F_device_bus_state] == PL_C_BUS_STATE_ADDED) {
        uint64_t n = m->f[PL_F_device_number];
        o->drv->added[n / 8] |= (uint8_t)(1u << n % 8);
        o->drv->any_added = true;
    }
    if (!d || m->f[PL_F_device_bus_state] != PL_C_BUS_STATE_REMOVED)
        return;
    uint16_t number = d->dev_num;
    memset(d, 0, sizeof(*d));
    d->dev_num = number;
    d->gone = d->excused = true;
}

static void devices_told(struct pl_oracle *o, const struct pl_msg *m)
{
    for (uint32_t i = 0; i < m->f[PL_F_count] && i / 8 < m->data_len; i++) {
        uint64_t n = m->f[PL_F_offset] + i;
        if ((m->data[i / 8] >> (i % 8) & 1) && n / 8 < sizeof(o->drv->added))
            o->drv->added[n / 8] |= (uint8_t)(1u << n % 8);
    }
}

static void parameters_told(struct pl_oracle *o, const struct pl_msg *m)
{
    struct pl_drv *drv = o->drv;
    if (m->f[PL_F_max_msg_size] != o->max_msg_size) {
        if (o->max_msg_size > drv->older_max)
            drv->older_max = o->max_msg_size;
        drv->parameters_at = drv->now;
        o->max_msg_size = (uint32_t)m->f[PL_F_max_msg_size];
    }
    drv->unusable_at = m->f[PL_F_revision] ? 0 : drv->now;
    drv->unusable_event = m->event;
    bool strict = m->f[PL_F_transport_features] >> PL_C_TF_STRICT_CONFIG_GENERATION & 1;
    if (strict != o->strict)
        drv->parameters_at = drv->now;
    o->strict = strict;
}

static void sent_bus(struct pl_oracle *o, const struct pl_msg *m)
{
    if (m->response) {
        struct pl_drv_request *r = pl_drv_request_of(o, m);
        if (r && whole(m))
            r->state = DRV_ANSWERED;
    }
    if (!whole(m))
        return;
    if (m->kind == PL_EVENT_FAILURE) {
        struct pl_drv_request *r =
            pl_drv_request_open(o, (uint16_t)m->f[PL_F_failed_dev_num],
                                (uint16_t)m->f[PL_F_failed_token], (int)m->f[PL_F_failed_msg_id]);
        if (r)
            pl_drv_request_fails(o, r, DRV_FAILED);
    } else if (m->kind == PL_EVENT_DEVICE) {
        device_changed(o, m);
    } else if (m->kind == PL_EVENT_PARAMETERS || (m->kind == PL_GET_PARAMETERS && m->response)) {
        parameters_told(o, m);
    } else if (m->kind == PL_GET_DEVICES && m->response) {
        devices_told(o, m);
    }
}

void pl_drv_sent(struct pl_oracle *o, const struct pl_msg *m)
{
    o->drv->now++;
    struct pl_drv_dev *d = m->bus || m->form == PL_FORM_RUNT ? NULL : pl_drv_dev(o, m->dev_num);
    note_odd(o, m, d);
    if (m->form == PL_FORM_RUNT)
        return;
    if (m->event && !m->bus)
        pl_drv_request_bait(o, m);
    if (m->bus)
        sent_bus(o, m);
    else if (m->response)
        respond(o, d, m);
    else if (d && m->kind == PL_EVENT_CONFIG && !d->gone) {
        if (whole(m))
            pl_drv_config_event(o, d, m);
        else
            pl_drv_config_malformed(o, d, m);
    }
}

unsigned pl_drv_owed(const struct pl_oracle *o)
{
    const struct pl_drv *drv = o->drv;
    unsigned owed = 0;
    for (unsigned i = 0; i < drv->n_devs; i++) {
        const struct pl_drv_dev *d = drv->devs[i];
        if (d->gone)
            continue;
        owed += d->reset_at && !d->reset_done;
        owed += d->needs_reset_at != 0;
        owed += d->refused && !d->failed;
        owed += d->config.refresh_due && d->driver_ok_told;
        owed += d->config.torn_valid;
        owed += d->pending[0] != '\0';
    }
    return owed;
}

void pl_drv_settle(struct pl_oracle *o)
{
    for (unsigned i = 0; i < o->drv->n_devs; i++) {
        struct pl_drv_dev *d = o->drv->devs[i];
        if (d->gone)
            continue;
        pl_drv_claims(o, d);
        pl_drv_status_settle(o, d);
        if (o->drv->patience)
            pl_drv_config_torn(o, d);
        if (o->drv->patience || o->drv->rested)
            pl_drv_config_settle(o, d);
    }
}
