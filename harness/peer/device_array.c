/* What fills the array of a reply: configuration bytes, feature words, identity, bitmaps. */
#include <string.h>

#include "peer/device_private.h"

static uint8_t *take(struct pl_step *c, uint64_t bytes)
{
    size_t n = bytes < sizeof(c->peer->scratch) ? (size_t)bytes : sizeof(c->peer->scratch);
    memset(c->peer->scratch, 0, n);
    c->reply.data = c->peer->scratch;
    c->reply.data_len = (uint32_t)n;
    return c->peer->scratch;
}

static void put_word(uint8_t *p, uint32_t word)
{
    for (unsigned i = 0; i < 4; i++)
        p[i] = (uint8_t)(word >> (8 * i));
}

void pl_arr_uuid(struct pl_step *c)
{
    c->reply.fixed = c->dev->uuid;
}

void pl_arr_uuid_new(struct pl_step *c)
{
    for (size_t i = 0; i < sizeof(c->dev->uuid); i++)
        if (i != 6 && i != 8) /* version and variant stay */
            c->dev->uuid[i] = (uint8_t)pl_device_draw(c->peer);
    pl_arr_uuid(c);
}

/* The identity with another version and variant. */
void pl_arr_uuid_bent(struct pl_step *c, uint64_t version, uint64_t variant)
{
    c->dev->uuid[6] = (uint8_t)((c->dev->uuid[6] & 0x0f) | (version & 0x0f) << 4);
    c->dev->uuid[8] = (uint8_t)((c->dev->uuid[8] & 0x3f) | (variant & 3) << 6);
    pl_arr_uuid(c);
}

void pl_arr_config(struct pl_step *c, uint64_t offset, uint64_t length)
{
    uint8_t *out = take(c, length);
    for (uint64_t i = 0; i < c->reply.data_len && offset + i < c->dev->config_size; i++)
        out[i] = c->dev->config[offset + i];
}

/* Words of both arrays, OR'ed: what is offered, what is selected. */
static void words(struct pl_step *c, uint64_t index, uint64_t count, bool offered, bool selected)
{
    uint8_t *out = take(c, 4 * count);
    for (uint64_t i = 0; 4 * i + 4 <= c->reply.data_len && index + i < PL_DEVICE_MAX_BLOCKS; i++) {
        uint32_t word = offered ? c->dev->offered[index + i] : 0;
        put_word(out + 4 * i, word | (selected ? c->dev->selected[index + i] : 0));
    }
}

void pl_arr_features(struct pl_step *c, uint64_t index, uint64_t count)
{
    words(c, index, count, true, false);
}

void pl_arr_selection(struct pl_step *c, uint64_t index, uint64_t count)
{
    words(c, index, count, false, true);
}

void pl_arr_features_or_selection(struct pl_step *c, uint64_t index, uint64_t count)
{
    words(c, index, count, true, true);
}

void pl_arr_request_data(struct pl_step *c)
{
    c->reply.data = c->req->data;
    c->reply.data_len = c->req->data_len;
}

void pl_arr_request_part(struct pl_step *c, uint64_t bytes)
{
    pl_arr_request_data(c);
    if (bytes < c->reply.data_len)
        c->reply.data_len = (uint32_t)bytes;
}

void pl_arr_fill(struct pl_step *c, uint64_t bytes, uint64_t value)
{
    uint8_t *out = take(c, bytes);
    memset(out, (int)(value & 0xff), c->reply.data_len);
}

/* The bitmap of a window of device numbers, as long as the window that fits. */
void pl_arr_devices(struct pl_step *c, uint64_t offset, uint64_t count)
{
    uint64_t slots = pl_fn_devices_count(c, offset, count);
    uint8_t *out = take(c, (slots + 7) / 8);
    for (size_t i = 0; i < PL_DEVICE_MAX; i++) {
        const struct pl_device *dev = &c->peer->devices[i];
        if (!dev->attached || dev->number < offset || dev->number - offset >= slots)
            continue;
        uint64_t bit = dev->number - offset;
        out[bit / 8] = (uint8_t)(out[bit / 8] | 1u << (bit % 8));
    }
}
