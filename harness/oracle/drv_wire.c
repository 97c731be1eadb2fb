/* Each message of a driver under test as such: header, size, byte order, and who may start it. */
#include <inttypes.h>
#include <string.h>

#include "oracle/drv_private.h"
#include "oracle/helpers.h"

static bool listed(const struct pl_oracle *o, uint16_t dev_num)
{
    for (size_t i = 0; i < o->n_numbers; i++)
        if (o->numbers[i] == dev_num)
            return true;
    return o->drv->added[dev_num / 8] >> (dev_num % 8) & 1;
}

bool pl_drv_exists(const struct pl_oracle *o, uint16_t dev_num)
{
    for (unsigned i = 0; i < o->drv->n_devs; i++)
        if (o->drv->devs[i]->dev_num == dev_num && o->drv->devs[i]->info.kind != PL_NONE)
            return true;
    return listed(o, dev_num);
}

/* --- byte order --- */

static uint64_t turned(uint64_t value, unsigned width)
{
    uint64_t out = 0;
    for (unsigned i = 0; i < width; i++)
        out |= (value >> (8 * i) & 0xff) << (8 * (width - 1 - i));
    return out;
}

/* A field that is far above what it can be, and within it when its bytes are turned round. */
static bool above(uint64_t got, uint64_t limit)
{
    return got > limit && got > PL_C_MAX_VIRTQUEUES && turned(got, 4) <= limit;
}

static bool words_turned(const struct pl_drv_dev *d, const struct pl_msg *m)
{
    bool any = false;
    for (uint32_t i = 0; m->data && i < m->data_len / 4; i++) {
        uint64_t block = m->f[PL_F_block_index] + i, word = 0;
        if (block >= PL_BLOCKS || !(d->offered_known >> block & 1))
            return false;
        for (unsigned k = 0; k < 4; k++)
            word |= (uint64_t)m->data[4 * i + k] << (8 * k);
        if (!word)
            continue;
        if (!(word & ~(uint64_t)d->offered[block]) ||
            (turned(word, 4) & ~(uint64_t)d->offered[block]))
            return false;
        any = true;
    }
    return any;
}

static bool generation_turned(const struct pl_drv_dev *d, uint64_t generation)
{
    bool swapped = false;
    for (unsigned i = 0; i < d->config.n_told && i < DRV_GENERATIONS; i++) {
        if (d->config.told[i].generation == generation)
            return false;
        swapped |= pl_endian_swapped(generation, d->config.told[i].generation, 4);
    }
    return swapped && generation;
}

static bool payload_turned(const struct pl_oracle *o, struct pl_drv_dev *d, const struct pl_msg *m)
{
    uint64_t size = d->info.kind != PL_NONE ? d->info.f[PL_F_config_size] : UINT16_MAX;
    uint64_t queues =
        d->info.kind != PL_NONE ? d->info.f[PL_F_max_virtqueues] : PL_C_MAX_VIRTQUEUES;
    struct pl_drv_queue *q;
    switch (m->kind) {
    case PL_GET_DEVICE_FEATURES:
    case PL_SET_DRIVER_FEATURES:
        return above(m->f[PL_F_num_blocks], PL_BLOCKS - 1) ||
               above(m->f[PL_F_block_index], PL_BLOCKS - 1) || words_turned(d, m);
    case PL_GET_CONFIG:
        return above(m->f[PL_F_length], size) || above(m->f[PL_F_offset], size);
    case PL_SET_CONFIG:
        return above(m->f[PL_F_length], size) || above(m->f[PL_F_offset], size) ||
               (o->strict && generation_turned(d, m->f[PL_F_generation]));
    case PL_SET_DEVICE_STATUS:
        return above(m->f[PL_F_status], UINT8_MAX);
    case PL_GET_VQUEUE:
    case PL_RESET_VQUEUE:
        return queues && above(m->f[PL_F_index], queues - 1);
    case PL_SET_VQUEUE:
        q = queues && m->f[PL_F_index] < queues ? pl_drv_queue(d, m->f[PL_F_index]) : NULL;
        return (queues && above(m->f[PL_F_index], queues - 1)) ||
               (q && q->max_life && above(m->f[PL_F_size], q->max_life)) ||
               (m->f[PL_F_flags] > UINT8_MAX && above(m->f[PL_F_flags], UINT8_MAX));
    case PL_EVENT_AVAIL:
        return queues && above(m->f[PL_F_vq_index], queues - 1);
    default:
        return false;
    }
}

/* An array whose count is right only in the other byte order. */
static bool count_turned(const struct pl_oracle *o, const struct pl_msg *m)
{
    const struct pl_layout *layout = pl_msg_layout(m);
    size_t head = (size_t)o->spec->header.size + (layout ? layout->size : 0);
    if (!layout || !layout->tail || m->size <= head)
        return false;
    uint64_t count = m->f[layout->tail->count_field];
    uint64_t unit = layout->tail->unit == PL_UNIT_ELEMENTS ? layout->tail->width : 1;
    return m->size != m->expected && turned(count, 4) * unit == m->size - head;
}

static void turn(const struct pl_msg *m, struct pl_msg *fixed)
{
    const struct pl_layout *layout = pl_msg_layout(m);
    for (size_t i = 0; i < layout->n_fields; i++)
        fixed->f[layout->fields[i].field] =
            turned(m->f[layout->fields[i].field], layout->fields[i].width);
}

/* --- the header --- */

static void judge_size(struct pl_oracle *o, struct pl_drv_dev *d, const struct pl_msg *m)
{
    struct pl_drv *drv = o->drv;
    if (drv->older_max && pl_drv_has_seen(drv, drv->parameters_at, true))
        drv->older_max = 0;
    uint32_t max = drv->older_max > o->max_msg_size ? drv->older_max : o->max_msg_size;
    bool swapped = pl_endian_swapped(m->msg_size, m->size, o->spec->header.msg_size.width);
    if (m->size > max || (m->msg_size > max && !swapped))
        pl_drv_broken(o, d, PL_P_drv_max_size,
                      "the message has %zu bytes and msg_size %u, the bus carries at most %u",
                      m->size, m->msg_size, max);
    else
        pl_held(o, PL_P_drv_max_size);
    if (m->msg_size == m->size)
        pl_held(o, PL_P_drv_msg_size);
    else if (swapped)
        pl_drv_broken(o, d, PL_P_drv_little_endian, "msg_size 0x%04x is %zu with its bytes turned",
                      m->msg_size, m->size);
    else
        pl_drv_broken(o, d, PL_P_drv_msg_size, "msg_size is %u, and the message has %zu bytes",
                      m->msg_size, m->size);
}

static void judge_header(struct pl_oracle *o, struct pl_drv_dev *d, const struct pl_msg *m)
{
    if (m->type & o->spec->header.reserved_bits)
        pl_drv_broken(o, d, PL_P_drv_reserved, "type is 0x%02x: reserved bits are set", m->type);
    else
        pl_held(o, PL_P_drv_reserved);
    if (m->bus && m->dev_num)
        pl_broken(o, PL_P_drv_bus_number, "a bus message has dev_num %u", m->dev_num);
    else if (m->bus)
        pl_held(o, PL_P_drv_bus_number);
    judge_size(o, d, m);
}

/* An answer to what must not be answered, or a message that nobody asked the driver's side for. */
static void judge_response(struct pl_oracle *o, struct pl_drv_dev *d, const struct pl_msg *m)
{
    unsigned odd = o->drv->odd_ids[m->bus][m->msg_id];
    if (!odd) {
        pl_drv_broken(o, d, PL_P_drv_originates, "a response to %s, which the driver's side starts",
                      m->def ? m->def->name : "a message of no revision");
        return;
    }
    pl_drv_broken(o, d, PL_P_drv_discards,
                  "a malformed or unsupported message (id 0x%02x) was answered", m->msg_id);
    if (odd == 2)
        pl_drv_broken(o, d, PL_P_drv_unsupported,
                      "message id 0x%02x is of no revision that the bus has, and was answered",
                      m->msg_id);
}

/* What leaves a device behind in order, or is the bus's; it does not use the device. */
static bool winds_up(const struct pl_msg *m)
{
    return m->bus || m->kind == PL_GET_DEVICE_STATUS ||
           (m->kind == PL_SET_DEVICE_STATUS &&
            (!m->f[PL_F_status] || (m->f[PL_F_status] & PL_C_STATUS_FAILED)));
}

static bool judge_kind(struct pl_oracle *o, struct pl_drv_dev *d, const struct pl_msg *m)
{
    bool own = (m->msg_id & o->spec->header.implementation_bit) != 0;
    if (!m->def && own)
        return false; /* an implementation's own; what it is nobody here knows */
    if (m->event && m->response) {
        pl_drv_broken(o, d, PL_P_drv_event_response, "%s is an event, and is sent as a response",
                      m->def ? m->def->name : "a message");
        return false;
    }
    if (m->event)
        pl_held(o, PL_P_drv_event_response);
    bool either = m->def && m->def->from == PL_SIDE_EITHER;
    if (m->response && (!either || o->drv->odd_ids[m->bus][m->msg_id])) {
        judge_response(o, d, m);
        return false;
    }
    if (!m->def) {
        pl_drv_broken(o, d, PL_P_drv_originates, "message id 0x%02x is none of the driver's side's",
                      m->msg_id);
        pl_drv_broken(o, d, PL_P_drv_revision, "message id 0x%02x is of no revision up to %u",
                      m->msg_id, o->spec->revision);
        return false;
    }
    if (!either && m->def->from != PL_SIDE_DRIVER) {
        pl_drv_broken(o, d, PL_P_drv_originates, "%s is the device's side's to start",
                      m->def->name);
        return false;
    }
    pl_held(o, PL_P_drv_originates);
    if (!winds_up(m) && pl_drv_has_seen(o->drv, o->drv->unusable_at, o->drv->unusable_event))
        pl_drv_broken(o, d, PL_P_drv_revision,
                      "the bus has told of revision 0, and %s is of revision 1", m->def->name);
    else
        pl_held(o, PL_P_drv_revision);
    return true;
}

static bool judge_layout(struct pl_oracle *o, struct pl_drv_dev *d, const struct pl_msg *m)
{
    if (m->size == m->expected) {
        pl_held(o, PL_P_drv_padding);
        pl_held(o, PL_P_drv_exact_size);
        return true;
    }
    pl_drv_broken(o, d, PL_P_drv_exact_size, "%s has %zu bytes, its layout makes it %zu",
                  m->def->name, m->size, m->expected);
    if (m->size > m->expected && m->expected && !pl_padding_zero(m))
        pl_drv_broken(o, d, PL_P_drv_padding, "what follows the payload of %s is not zero",
                      m->def->name);
    return m->size >= m->expected;
}

/* --- the number --- */

static bool another_works(const struct pl_oracle *o, const struct pl_drv_dev *d)
{
    for (unsigned i = 0; i < o->drv->n_devs; i++)
        if (o->drv->devs[i] != d && o->drv->devs[i]->wrote)
            return true;
    return false;
}

/* What may be the first word to a device. */
static bool first_word(const struct pl_msg *m)
{
    return m->kind == PL_GET_DEVICE_INFO || m->kind == PL_GET_DEVICE_STATUS ||
           (m->kind == PL_SET_DEVICE_STATUS && !m->f[PL_F_status]);
}

static bool judge_number(struct pl_oracle *o, struct pl_drv_dev *d, const struct pl_msg *m,
                         struct pl_msg *fixed)
{
    bool some = o->numbers || o->drv->any_added;
    bool exists = pl_drv_exists(o, m->dev_num);
    if (some && !exists && listed(o, (uint16_t)turned(m->dev_num, 2))) {
        pl_drv_broken(o, d, PL_P_drv_little_endian,
                      "dev_num 0x%04x is device %u with its bytes turned", m->dev_num,
                      (unsigned)turned(m->dev_num, 2));
        fixed->dev_num = (uint16_t)turned(m->dev_num, 2);
        return true;
    }
    if (some && !exists && m->kind == PL_GET_DEVICE_INFO)
        return true; /* it asks whether there is one */
    if (some && !exists) {
        pl_drv_broken(o, d, PL_P_drv_number, "%s is for device %u, and there is none", m->def->name,
                      m->dev_num);
        return false;
    }
    if (!d->gone && !d->info_asked && !d->reset_at && !first_word(m) && another_works(o, d)) {
        pl_drv_broken(o, d, PL_P_drv_number,
                      "%s is for device %u, which the driver has not begun with, while it works "
                      "with another",
                      m->def->name, m->dev_num);
        return false;
    }
    pl_held(o, PL_P_drv_number);
    return true;
}

void pl_drv_unframed(struct pl_oracle *o, const struct pl_msg *m, uint32_t turned)
{
    struct pl_drv_dev *d = m->bus ? NULL : pl_drv_dev(o, m->dev_num);
    if (!m->bus && !d)
        return;
    if (turned)
        pl_drv_broken(o, d, PL_P_drv_little_endian, "msg_size 0x%04x is %u with its bytes turned",
                      m->msg_size, turned);
    else if (m->msg_size > o->max_msg_size)
        pl_drv_broken(o, d, PL_P_drv_max_size, "msg_size is %u, the bus carries at most %u",
                      m->msg_size, o->max_msg_size);
    else
        pl_drv_broken(o, d, PL_P_drv_msg_size, "msg_size is %u, and %s", m->msg_size,
                      m->msg_size < o->spec->header.size ? "the header alone is larger"
                                                         : "so many bytes never come");
}

bool pl_drv_wire(struct pl_oracle *o, const struct pl_msg *m, struct pl_msg *fixed)
{
    *fixed = *m;
    if (m->form == PL_FORM_RUNT) {
        pl_broken(o, PL_P_drv_exact_size, "a message of %zu bytes holds no header", m->size);
        return false;
    }
    struct pl_drv_dev *d = m->bus ? NULL : pl_drv_dev(o, m->dev_num);
    if (!m->bus && !d)
        return false;
    judge_header(o, d, m);
    if (!judge_kind(o, d, m))
        return false;
    bool swapped = d && (count_turned(o, m) || payload_turned(o, d, m));
    if (swapped) {
        pl_drv_broken(o, d, PL_P_drv_little_endian,
                      "a field of %s is right only with its bytes turned round", m->def->name);
        turn(m, fixed);
        fixed->data = NULL;
        fixed->data_len = 0;
    } else {
        pl_held(o, PL_P_drv_little_endian);
        if (!judge_layout(o, d, m))
            return false;
    }
    return m->bus || judge_number(o, d, m, fixed);
}
