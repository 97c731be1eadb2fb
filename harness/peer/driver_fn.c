/* What the expressions of driver.yaml call. */
#include <string.h>

#include "peer/driver_private.h"

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t pl_dp_fn_min(struct pl_dp_step *c, uint64_t a, uint64_t b)
{
    (void)c;
    return least(a, b);
}

uint64_t pl_dp_fn_draw32(struct pl_dp_step *c)
{
    return pl_dp_draw(c->peer) & UINT32_MAX;
}

/* Revision and maximum message size are such that this driver can work. */
uint64_t pl_dp_fn_bus_usable(struct pl_dp_step *c)
{
    const struct pl_dp *peer = c->peer;
    return peer->env.revision >= peer->spec->revision &&
           peer->env.max_msg_size >= peer->spec->min_max_msg_size;
}

/* Bytes that a message's variable array may have. */
static uint64_t room_of(const struct pl_dp *peer, enum pl_kind kind, bool response)
{
    const struct pl_message_def *def = pl_spec_message(peer->spec, kind);
    const struct pl_layout *layout = !def ? NULL : response ? def->response : def->request;
    uint64_t taken = layout ? (uint64_t)peer->spec->header.size + layout->size : 0;
    return layout && peer->env.max_msg_size > taken ? peer->env.max_msg_size - taken : 0;
}

/* Device numbers that one GET_DEVICES asks for. */
uint64_t pl_dp_fn_window_size(struct pl_dp_step *c)
{
    uint64_t bits = 8 * room_of(c->peer, PL_GET_DEVICES, true);
    return least(least(bits, 1024), UINT16_MAX - c->dev->v.window);
}

/* --- features --- */

uint64_t pl_dp_fn_blocks(struct pl_dp_step *c)
{
    uint64_t known = pl_dp_opt(c->peer, PL_DP_OPT_all_blocks) ? PL_DP_BLOCKS : 2;
    return least(c->dev->info.num_feature_blocks, known);
}

static uint64_t blocks_from(struct pl_dp_step *c, uint64_t index, enum pl_kind kind, bool response)
{
    if (pl_dp_opt(c->peer, PL_DP_OPT_block_by_block))
        return 1;
    uint64_t blocks = pl_dp_fn_blocks(c), room = room_of(c->peer, kind, response) / 4;
    return least(index < blocks ? blocks - index : 1, room ? room : 1);
}

uint64_t pl_dp_fn_chunk(struct pl_dp_step *c, uint64_t a)
{
    return blocks_from(c, a, PL_GET_DEVICE_FEATURES, true);
}

uint64_t pl_dp_fn_select_chunk(struct pl_dp_step *c, uint64_t a)
{
    return blocks_from(c, a, PL_SET_DRIVER_FEATURES, false);
}

static bool bit_of(const uint32_t *words, uint64_t bit)
{
    return bit < 32 * PL_DP_BLOCKS && (words[bit / 32] >> (bit % 32) & 1);
}

bool pl_dp_selected(const struct pl_dp_dev *dev, uint64_t bit)
{
    return bit_of(dev->chosen, bit);
}

uint64_t pl_dp_fn_offered(struct pl_dp_step *c, uint64_t a)
{
    return bit_of(c->dev->offered, a);
}

uint64_t pl_dp_fn_selected(struct pl_dp_step *c, uint64_t a)
{
    return bit_of(c->dev->chosen, a);
}

/* A whole block of what is offered. */
uint64_t pl_dp_fn_offered_word(struct pl_dp_step *c, uint64_t a)
{
    return a < PL_DP_BLOCKS ? c->dev->offered[a] : 0;
}

/* Is this a device that the driver can be a driver of? */
uint64_t pl_dp_fn_possible(struct pl_dp_step *c)
{
    const struct pl_dp_type *only = c->peer->only;
    return pl_dp_selected(c->dev, PL_C_F_VERSION_1) &&
           (!only || only->id == c->dev->info.device_id);
}

/* --- configuration space --- */

uint64_t pl_dp_fn_pieces(struct pl_dp_step *c)
{
    return c->dev->n_pieces;
}

uint64_t pl_dp_fn_piece_offset(struct pl_dp_step *c, uint64_t a)
{
    return a < c->dev->n_pieces ? c->dev->piece[a].offset : 0;
}

uint64_t pl_dp_fn_piece_length(struct pl_dp_step *c, uint64_t a)
{
    return a < c->dev->n_pieces ? c->dev->piece[a].length : 0;
}

/* The response is to what was asked, and all of it. */
uint64_t pl_dp_fn_same_piece(struct pl_dp_step *c)
{
    const uint64_t *got = c->resp->f, *asked = c->req->f;
    return got[PL_F_offset] == asked[PL_F_offset] && got[PL_F_length] == asked[PL_F_length] &&
           c->resp->data_len == asked[PL_F_length];
}

uint64_t pl_dp_fn_config_here(struct pl_dp_step *c)
{
    return c->dev->config_known && c->dev->info.config_size > 0;
}

/* The write that is to be made lies within the configuration space, and fits a message. */
uint64_t pl_dp_fn_write_fits(struct pl_dp_step *c)
{
    const struct pl_dp_dev *dev = c->dev;
    return dev->write.offset <= dev->info.config_size &&
           dev->write.length <= dev->info.config_size - dev->write.offset &&
           dev->write.length <= room_of(c->peer, PL_SET_CONFIG, false) &&
           dev->write.length <= room_of(c->peer, PL_SET_CONFIG, true);
}

/* A field of the configuration by its number; 0 where it was not read. */
uint64_t pl_dp_fn_config(struct pl_dp_step *c, uint64_t a)
{
    const struct pl_dp_type *type = c->dev->type;
    uint64_t value = 0;
    for (size_t i = 0; type && i < type->n_fields; i++) {
        const struct pl_dp_field *field = &type->fields[i];
        bool there = field->feature == PL_DP_NO_FEATURE || pl_dp_selected(c->dev, field->feature);
        for (uint32_t k = 0; field->number == a && there && k < field->length; k++)
            value |= (uint64_t)c->dev->config[field->offset + k] << (8 * k);
    }
    return value;
}

/* The configuration space is large enough, and so is the shared memory. */
uint64_t pl_dp_fn_fits_driver(struct pl_dp_step *c)
{
    const struct pl_dp_type *type = c->dev->type;
    for (size_t i = 0; type && i < type->n_fields; i++)
        if (type->fields[i].feature == PL_DP_NO_FEATURE &&
            type->fields[i].offset + type->fields[i].length > c->dev->info.config_size)
            return false;
    return c->peer->shared.mem && c->dev->memory_size >= 2 * PL_DP_LANES * 2 * PL_DP_DATA;
}

uint64_t pl_dp_fn_type_has_shm(struct pl_dp_step *c)
{
    return c->dev->type && c->dev->type->shm;
}

/* --- queues --- */

uint64_t pl_dp_fn_queue_count(struct pl_dp_step *c)
{
    return c->dev->n_queues;
}

/* The end of the queues that are set up together, from `a` on. */
uint64_t pl_dp_fn_queue_batch(struct pl_dp_step *c, uint64_t a)
{
    uint64_t all = PL_DP_QUEUES;
    return pl_dp_opt(c->peer, PL_DP_OPT_queue_by_queue) ? a + 1 : all;
}

uint64_t pl_dp_fn_queue_number(struct pl_dp_step *c, uint64_t a)
{
    return a < c->dev->n_queues ? c->dev->queues[a].index : 0;
}

/* A queue that the driver cannot do without is not there. */
uint64_t pl_dp_fn_queues_missing(struct pl_dp_step *c)
{
    uint32_t needed = c->dev->type ? c->dev->type->queues : 0;
    if (c->dev->n_queues < needed)
        return true;
    for (uint64_t i = c->dev->v.first; i < c->dev->v.last && i < needed; i++)
        if (c->dev->queues[i].max_size == 0)
            return true;
    return false;
}

uint64_t pl_dp_fn_queue_wanted(struct pl_dp_step *c, uint64_t a)
{
    return a < c->dev->n_queues && c->dev->queues[a].max_size != 0 && !c->dev->queues[a].ready;
}

/* What GET_VQUEUE says is what was set. */
uint64_t pl_dp_fn_queue_confirmed(struct pl_dp_step *c)
{
    const struct pl_dp_queue *queue = pl_dp_queue_of(c->dev, c->resp->f[PL_F_index]);
    const uint64_t *f = c->resp->f;
    return queue && (f[PL_F_flags] & PL_C_GVQ_ENABLED) && f[PL_F_cur_size] == queue->size &&
           f[PL_F_desc_addr] == queue->desc_addr && f[PL_F_driver_addr] == queue->driver_addr &&
           f[PL_F_device_addr] == queue->device_addr;
}

uint64_t pl_dp_fn_ring_reset(struct pl_dp_step *c)
{
    uint64_t i = c->dev->v.todo_reset - 1;
    return pl_dp_selected(c->dev, PL_C_F_RING_RESET) && i < c->dev->n_queues &&
           c->dev->queues[i].ready;
}

/* --- control --- */

uint64_t pl_dp_fn_answer_due(struct pl_dp_step *c)
{
    return c->peer->asking && c->peer->asking_of == c->dev;
}

/* --- notifications --- */

/* Where the next buffer will be made available; a split ring's index has its bit 15 in next_wrap.
 */
uint64_t pl_dp_fn_kick_data(struct pl_dp_step *c)
{
    enum { OFFSET_BITS = 15 };
    bool wrap = false;
    if (!c->queue->ring)
        return 0;
    uint64_t offset = pl_driver_ring_kick_offset(c->queue->ring, &wrap);
    wrap = wrap || offset >> OFFSET_BITS;
    return (offset & ((1u << OFFSET_BITS) - 1)) | (wrap ? PL_C_AVAIL_NEXT_WRAP : 0);
}
