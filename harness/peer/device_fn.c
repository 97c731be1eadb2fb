/* The functions that expressions of a device model may call. */
#include <string.h>

#include "peer/device_private.h"

static size_t fixed_size(const struct pl_device_peer *peer, const struct pl_layout *layout)
{
    return (size_t)peer->spec->header.size + (layout ? layout->size : 0);
}

/* Whether a response with an array of so many bytes is within the bus's maximum. */
bool pl_fn_fits(const struct pl_step *c, uint64_t bytes)
{
    const struct pl_message_def *def = c->req->def;
    size_t fixed = fixed_size(c->peer, def ? def->response : NULL);
    return bytes <= c->peer->env.max_msg_size && fixed + bytes <= c->peer->env.max_msg_size;
}

/* Whether an EVENT_CONFIG with so many bytes of data is. */
bool pl_fn_event_fits(const struct pl_step *c, uint64_t bytes)
{
    const struct pl_message_def *def = pl_spec_message(c->peer->spec, PL_EVENT_CONFIG);
    size_t fixed = fixed_size(c->peer, def ? def->request : NULL);
    return bytes <= c->peer->env.max_msg_size && fixed + bytes <= c->peer->env.max_msg_size;
}

/* Whether a range lies within the configuration space. Both numbers come from 32-bit fields. */
bool pl_fn_in_config(const struct pl_step *c, uint64_t offset, uint64_t length)
{
    return offset <= c->dev->config_size && length <= c->dev->config_size - offset;
}

/* Whether the driver may change every byte of a range. */
bool pl_fn_writable(const struct pl_step *c, uint64_t offset, uint64_t length)
{
    const struct pl_device *dev = c->dev;
    if (length == 0)
        return true;
    return pl_fn_in_config(c, offset, length) && dev->writable_first <= dev->writable_last &&
           offset >= dev->writable_first && offset + length - 1 <= dev->writable_last;
}

/* Whether writing the request's data at an offset would change a byte that reads show. */
bool pl_fn_config_differs(const struct pl_step *c, uint64_t offset)
{
    const struct pl_device *dev = c->dev;
    for (uint64_t i = 0; i < c->req->data_len && offset + i < dev->config_size; i++) {
        uint64_t at = offset + i;
        if (at >= dev->opaque_first && at <= dev->opaque_last)
            continue;
        if (dev->config[at] != c->req->data[i])
            return true;
    }
    return false;
}

uint64_t pl_fn_config_byte(const struct pl_step *c, uint64_t offset)
{
    return offset < c->dev->config_size ? c->dev->config[offset] : 0;
}

/* Whether a reset would change a byte of the configuration space. */
bool pl_fn_restored_differs(const struct pl_step *c)
{
    return memcmp(c->dev->config, c->dev->config_first, (size_t)c->dev->config_size) != 0;
}

/* The same for the blocks that the device stores, whatever stands behind them. */
bool pl_fn_selection_offered_stored(const struct pl_step *c)
{
    for (size_t i = 0; i < PL_DEVICE_MAX_BLOCKS; i++)
        if (c->dev->selected[i] & ~c->dev->offered[i])
            return false;
    return true;
}

/* Whether the driver's selection has only bits that the device offers. */
bool pl_fn_selection_offered(const struct pl_step *c)
{
    for (size_t i = 0; i < PL_DEVICE_MAX_BEYOND; i++)
        if (c->dev->beyond[i].word)
            return false;
    return !c->dev->beyond_overflow && pl_fn_selection_offered_stored(c);
}

bool pl_fn_selected(const struct pl_step *c, uint64_t bit)
{
    return bit < 32 * PL_DEVICE_MAX_BLOCKS && (c->dev->selected[bit / 32] >> (bit % 32) & 1u);
}

bool pl_fn_offered(const struct pl_step *c, uint64_t bit)
{
    return bit < 32 * PL_DEVICE_MAX_BLOCKS && (c->dev->offered[bit / 32] >> (bit % 32) & 1u);
}

bool pl_fn_power_of_two(const struct pl_step *c, uint64_t value)
{
    (void)c;
    return value != 0 && (value & (value - 1)) == 0;
}

bool pl_fn_multiple(const struct pl_step *c, uint64_t value, uint64_t of)
{
    (void)c;
    return of != 0 && value % of == 0;
}

uint64_t pl_fn_swap16(const struct pl_step *c, uint64_t value)
{
    (void)c;
    return (value >> 8 & 0xff) | (value & 0xff) << 8;
}

uint64_t pl_fn_swap32(const struct pl_step *c, uint64_t value)
{
    return pl_fn_swap16(c, value >> 16) | pl_fn_swap16(c, value) << 16;
}

uint64_t pl_fn_min(const struct pl_step *c, uint64_t a, uint64_t b)
{
    (void)c;
    return a < b ? a : b;
}

/* A number from the device's seed. */
uint64_t pl_fn_draw(struct pl_step *c)
{
    return pl_device_draw(c->peer);
}

/* How many device-number slots an answer to GET_DEVICES covers. */
uint64_t pl_fn_devices_count(const struct pl_step *c, uint64_t offset, uint64_t count)
{
    const struct pl_message_def *def = c->req->def;
    size_t fixed = fixed_size(c->peer, def ? def->response : NULL);
    uint64_t room = c->peer->env.max_msg_size > fixed ? c->peer->env.max_msg_size - fixed : 0;
    uint64_t slots = (uint64_t)UINT16_MAX + 1 - (offset & UINT16_MAX);
    return pl_fn_min(c, count, pl_fn_min(c, room * 8, slots));
}

/* The next_offset of an answer: 0 where no device lies behind its window. */
uint64_t pl_fn_devices_next(const struct pl_step *c, uint64_t offset, uint64_t count)
{
    uint64_t end = offset + pl_fn_devices_count(c, offset, count), next = UINT64_MAX;
    if (end == offset)
        return 0;
    for (size_t i = 0; i < PL_DEVICE_MAX; i++) {
        const struct pl_device *dev = &c->peer->devices[i];
        if (dev->attached && dev->number >= end && dev->number < next)
            next = dev->number;
    }
    if (next == UINT64_MAX)
        return 0;
    return pl_device_opt(c->peer, PL_DEVICE_OPT_devices_skip) ? next : end;
}
