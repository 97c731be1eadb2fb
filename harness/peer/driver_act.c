/* The actions that transitions name: what is kept of what came, and what is chosen. */
#include <stdio.h>
#include <string.h>

#include "peer/driver_private.h"

enum { HALF = 4 }; /* bytes of a field that is read at once where wide ones are read in parts */

/* --- plans and control --- */

/* What is to be done once the device works. */
void pl_dp_act_plan(struct pl_dp_step *c)
{
    struct pl_dp_vars *v = &c->dev->v;
    bool by_itself = !pl_dp_opt(c->peer, PL_DP_OPT_wait);
    v->todo_write = pl_dp_opt(c->peer, PL_DP_OPT_set_config) != 0;
    c->dev->write.length = UINT64_MAX; /* what the type lets a driver write */
    v->todo_nothing = pl_dp_opt(c->peer, PL_DP_OPT_write_nothing) != 0;
    v->todo_suspend = pl_dp_opt(c->peer, PL_DP_OPT_suspend) != 0;
    v->todo_reset = by_itself && pl_dp_opt(c->peer, PL_DP_OPT_ring_reset);
    v->todo_io = by_itself ? pl_dp_opt(c->peer, PL_DP_OPT_io) : 0;
    v->rejects = v->known = 0;
}

void pl_dp_act_answer_ok(struct pl_dp_step *c)
{
    pl_dp_answer(c->peer, c->dev, "ok");
}

void pl_dp_act_answer_error(struct pl_dp_step *c, uint64_t reason)
{
    static const char *const texts[] = {
        [PL_DP_C_REASON_ENDED] = "error the device is not in use",
        [PL_DP_C_REASON_FAILED] = "error the device was given up",
        [PL_DP_C_REASON_GONE] = "error the device is gone",
        [PL_DP_C_REASON_REJECTED] = "error the device rejects the write, or it does not fit",
        [PL_DP_C_REASON_IO] = "error the device does not do the requests",
        [PL_DP_C_REASON_DIFFERS] = "error what was read is not what was written",
    };
    bool known = reason < sizeof(texts) / sizeof(texts[0]);
    pl_dp_answer(c->peer, c->dev, known ? texts[reason] : "error");
}

/* A driver that ends by itself does so once all of its devices are done with. */
void pl_dp_act_ended(struct pl_dp_step *c)
{
    uint64_t end = pl_dp_opt(c->peer, PL_DP_OPT_end);
    if (end < 2)
        return;
    for (size_t i = 0; i < PL_DP_DEVICES; i++) {
        const struct pl_dp_dev *dev = &c->peer->devices[i];
        bool done = dev->state == PL_DP_S_IDLE || dev->state == PL_DP_S_FAILED ||
                    dev->state == PL_DP_S_GONE || (end == 3 && dev->state == PL_DP_S_READY);
        if (dev->used && dev != c->dev && !done)
            return;
    }
    c->peer->ended = true;
}

void pl_dp_act_wait(struct pl_dp_step *c, uint64_t ms)
{
    c->dev->timer_at = c->peer->now + ms;
}

void pl_dp_act_remember(struct pl_dp_step *c, uint64_t value)
{
    c->peer->memory = value;
}

/* --- the bus --- */

void pl_dp_act_adopt_parameters(struct pl_dp_step *c)
{
    c->peer->env.revision = (uint32_t)c->resp->f[PL_F_revision];
    c->peer->env.max_msg_size = (uint32_t)c->resp->f[PL_F_max_msg_size];
    c->peer->env.features = (uint32_t)c->resp->f[PL_F_transport_features];
}

void pl_dp_act_note_devices(struct pl_dp_step *c)
{
    const struct pl_msg *m = c->resp;
    for (uint64_t i = 0; i < m->f[PL_F_count] && i / 8 < m->data_len; i++)
        if (m->data[i / 8] >> (i % 8) & 1)
            pl_dp_device(c->peer, m->f[PL_F_offset] + i, true);
}

void pl_dp_act_start_devices(struct pl_dp_step *c)
{
    if (!c->peer->devices[0].used)
        pl_dp_device(c->peer, pl_dp_opt(c->peer, PL_DP_OPT_number), true);
    for (size_t i = 0; i < PL_DP_DEVICES; i++) {
        struct pl_dp_step its = *c;
        its.dev = &c->peer->devices[i];
        if (!its.dev->used || its.dev->state != PL_DP_S_IDLE)
            continue;
        its.dev->v.plan = 1;
        pl_dp_act_plan(&its);
        pl_dp_go(&its, PL_DP_S_ASK);
    }
}

/* --- information and features --- */

void pl_dp_act_take_info(struct pl_dp_step *c)
{
    const uint64_t *f = c->resp->f;
    c->dev->info = (struct pl_dp_info){
        .device_id = f[PL_F_device_id],
        .vendor_id = f[PL_F_vendor_id],
        .num_feature_blocks = f[PL_F_num_feature_blocks],
        .config_size = f[PL_F_config_size],
        .max_virtqueues = f[PL_F_max_virtqueues],
        .admin_vq_start = f[PL_F_admin_vq_start],
        .admin_vq_count = f[PL_F_admin_vq_count],
    };
    pl_dp_set_type(c->peer, c->dev, f[PL_F_device_id]);
    c->dev->v.known = 1;
}

void pl_dp_set_type(struct pl_dp *peer, struct pl_dp_dev *dev, uint64_t id)
{
    dev->type = NULL;
    for (size_t i = 0; i < peer->model->n_types; i++)
        if (peer->model->types[i].id == id)
            dev->type = &peer->model->types[i];
}

/* Mutants: what a device of this type usually says, without asking it. */
void pl_dp_act_assume_info(struct pl_dp_step *c, uint64_t id)
{
    uint64_t config_size = PL_T_BLOCK_MAX_SECURE_ERASE_SECTORS_AT; /* all that is ahead of that */
    c->dev->info = (struct pl_dp_info){.device_id = id,
                                       .num_feature_blocks = 2,
                                       .config_size = id == PL_C_TYPE_block ? config_size : 0,
                                       .max_virtqueues = 1};
    pl_dp_set_type(c->peer, c->dev, id);
    c->dev->v.known = 1;
}

/* Mutants: queues of so many entries, where the device did not say so. */
void pl_dp_act_assume_queues(struct pl_dp_step *c, uint64_t size)
{
    for (uint32_t i = 0; i < c->dev->n_queues; i++)
        if (c->dev->queues[i].max_size == 0)
            c->dev->queues[i].max_size = size;
}

/* Words that did not come are zero. */
void pl_dp_act_take_features(struct pl_dp_step *c, uint64_t index)
{
    const struct pl_msg *m = c->resp;
    for (uint64_t i = 0; i < m->f[PL_F_num_blocks] && index + i < PL_DP_BLOCKS; i++) {
        uint32_t word = 0;
        for (uint64_t k = 0; k < 4 && 4 * i + k < m->data_len; k++)
            word |= (uint32_t)m->data[4 * i + k] << (8 * k);
        c->dev->offered[index + i] = word;
    }
}

void pl_dp_act_forget_features(struct pl_dp_step *c)
{
    memset(c->dev->offered, 0, sizeof(c->dev->offered));
    memset(c->dev->chosen, 0, sizeof(c->dev->chosen));
}

static uint64_t bit(uint64_t n)
{
    return UINT64_C(1) << n;
}

/* A feature's fields lie within the configuration space. */
static bool has_fields(const struct pl_dp_dev *dev, uint64_t feature)
{
    const struct pl_dp_type *type = dev->type;
    for (size_t i = 0; i < type->n_fields; i++)
        if (type->fields[i].feature == feature &&
            type->fields[i].offset + type->fields[i].length > dev->info.config_size)
            return false;
    return true;
}

/* Leave out what cannot be had without something else that was left out. */
static uint64_t with_needs(const struct pl_dp_dev *dev, uint64_t chosen)
{
    const struct pl_dp_type *type = dev->type;
    uint64_t before;
    do {
        before = chosen;
        for (size_t i = 0; i < type->n_needs; i++) {
            const struct pl_dp_need *need = &type->needs[i];
            uint64_t either = (need->one_of[0] < 64 ? bit(need->one_of[0]) : 0) |
                              (need->one_of[1] < 64 ? bit(need->one_of[1]) : 0);
            if (!(chosen & either))
                chosen &= ~bit(need->bit);
        }
    } while (chosen != before);
    return chosen;
}

/* Accept what is offered and understood; level 1: only what is needed. */
void pl_dp_act_choose(struct pl_dp_step *c, uint64_t level)
{
    struct pl_dp_dev *dev = c->dev;
    uint64_t understood =
        bit(PL_C_F_VERSION_1) | bit(PL_C_F_ACCESS_PLATFORM) | bit(PL_C_F_ORDER_PLATFORM);
    if (level == 0)
        understood |= bit(PL_C_F_INDIRECT_DESC) | bit(PL_C_F_EVENT_IDX) | bit(PL_C_F_RING_PACKED) |
                      bit(PL_C_F_IN_ORDER) | bit(PL_C_F_NOTIFICATION_DATA) | bit(PL_C_F_RING_RESET);
    if (level == 0 && pl_dp_opt(c->peer, PL_DP_OPT_suspend))
        understood |= bit(PL_C_F_SUSPEND);
    if (level == 0 && dev->type)
        understood |= dev->type->features;
    uint64_t chosen = (dev->offered[0] | (uint64_t)dev->offered[1] << 32) & understood &
                      ~pl_dp_opt(c->peer, PL_DP_OPT_features_off);
    for (uint64_t n = 0; dev->type && n < 64; n++)
        if (chosen & bit(n) && !has_fields(dev, n))
            chosen &= ~bit(n);
    if (dev->type)
        chosen = with_needs(dev, chosen);
    memset(dev->chosen, 0, sizeof(dev->chosen));
    dev->chosen[0] = (uint32_t)chosen;
    dev->chosen[1] = (uint32_t)(chosen >> 32);
}

/* Mutants: bits more, or fewer. */
void pl_dp_act_choose_bits(struct pl_dp_step *c, uint64_t block, uint64_t mask)
{
    if (block < PL_DP_BLOCKS)
        c->dev->chosen[block] |= (uint32_t)mask;
}

void pl_dp_act_drop_bits(struct pl_dp_step *c, uint64_t block, uint64_t mask)
{
    if (block < PL_DP_BLOCKS)
        c->dev->chosen[block] &= ~(uint32_t)mask;
}

/* --- configuration space --- */

static uint64_t piece_most(const struct pl_dp *peer)
{
    const struct pl_message_def *def = pl_spec_message(peer->spec, PL_GET_CONFIG);
    uint64_t taken = peer->spec->header.size + (uint64_t)def->response->size;
    return peer->env.max_msg_size > taken ? peer->env.max_msg_size - taken : 1;
}

static void add_piece(struct pl_dp_step *c, uint32_t offset, uint32_t length)
{
    struct pl_dp_dev *dev = c->dev;
    struct pl_dp_piece *last = dev->n_pieces ? &dev->piece[dev->n_pieces - 1] : NULL;
    uint64_t most = piece_most(c->peer);
    if (last && last->offset + last->length == offset && last->length + length <= most &&
        !pl_dp_opt(c->peer, PL_DP_OPT_config_bytewise) &&
        !pl_dp_opt(c->peer, PL_DP_OPT_config_halves)) {
        last->length += length;
        return;
    }
    if (dev->n_pieces < PL_DP_PIECES)
        dev->piece[dev->n_pieces++] = (struct pl_dp_piece){offset, length};
}

/* A field as a whole, or 32 bits at a time. */
static void add_field(struct pl_dp_step *c, const struct pl_dp_field *field)
{
    uint32_t half = pl_dp_opt(c->peer, PL_DP_OPT_config_halves) ? HALF : field->length;
    for (uint32_t at = 0; at < field->length; at += half)
        add_piece(c, field->offset + at, field->length - at < half ? field->length - at : half);
}

/* Which parts are read: the fields that are there, as few requests as they fit in. */
void pl_dp_act_plan_config(struct pl_dp_step *c)
{
    struct pl_dp_dev *dev = c->dev;
    bool early = dev->state == PL_DP_S_EARLY;
    dev->n_pieces = 0;
    for (size_t i = 0; dev->type && i < dev->type->n_fields; i++) {
        const struct pl_dp_field *field = &dev->type->fields[i];
        bool there = field->feature == PL_DP_NO_FEATURE || pl_dp_selected(dev, field->feature);
        if (there && !(early && field->late) &&
            field->offset + field->length <= dev->info.config_size)
            add_field(c, field);
    }
}

void pl_dp_act_forget_config(struct pl_dp_step *c)
{
    c->dev->config_known = false;
    memset(c->dev->config, 0, sizeof(c->dev->config));
    memset(c->dev->fresh, 0, sizeof(c->dev->fresh));
}

void pl_dp_act_take_config(struct pl_dp_step *c)
{
    uint64_t offset = c->resp->f[PL_F_offset];
    c->dev->v.pieces_got++;
    for (uint64_t i = 0; i < c->resp->data_len && offset + i < PL_DP_CONFIG; i++)
        c->dev->fresh[offset + i] = c->resp->data[i];
}

/* What the type lets a driver write: block, the cache mode, turned round. */
static void plan_write(struct pl_dp_step *c)
{
    struct pl_dp_dev *dev = c->dev;
    bool block =
        dev->info.device_id == PL_C_TYPE_block && pl_dp_selected(dev, PL_T_BLOCK_F_CONFIG_WCE);
    dev->v.todo_write = block;
    dev->write.offset = PL_T_BLOCK_WRITEBACK_AT;
    dev->write.length = PL_T_BLOCK_WRITEBACK_LEN;
    dev->write.data[0] = !dev->config[PL_T_BLOCK_WRITEBACK_AT];
}

void pl_dp_act_use_config(struct pl_dp_step *c)
{
    memcpy(c->dev->config, c->dev->fresh, sizeof(c->dev->config));
    c->dev->config_known = true;
    if (c->dev->v.todo_write && c->dev->write.length == UINT64_MAX &&
        c->dev->state != PL_DP_S_EARLY)
        plan_write(c);
}

void pl_dp_act_written(struct pl_dp_step *c)
{
    uint64_t offset = c->dev->write.offset;
    for (uint64_t i = 0; i < c->dev->write.length && offset + i < PL_DP_CONFIG; i++)
        c->dev->config[offset + i] = c->dev->fresh[offset + i] = c->dev->write.data[i];
}

/* --- queues --- */

void pl_dp_act_lay_out(struct pl_dp_step *c)
{
    pl_dp_io_lay_out(c->peer, c->dev);
    if (c->dev->v.last > c->dev->n_queues)
        c->dev->v.last = c->dev->n_queues;
}

void pl_dp_act_take_queue(struct pl_dp_step *c, uint64_t index)
{
    struct pl_dp_queue *queue = pl_dp_queue_of(c->dev, index);
    if (queue)
        queue->max_size = c->resp->f[PL_F_max_size];
}

void pl_dp_act_use_queue(struct pl_dp_step *c, uint64_t i)
{
    if (i < c->dev->n_queues)
        c->queue = &c->dev->queues[i];
}

/* How large it will be, and where it lies. */
void pl_dp_act_prepare_queue(struct pl_dp_step *c, uint64_t i)
{
    pl_dp_act_use_queue(c, i);
    uint64_t size = c->queue->max_size, most = pl_dp_opt(c->peer, PL_DP_OPT_queue_size);
    if (size > most && !pl_dp_opt(c->peer, PL_DP_OPT_queue_max) && !c->dev->v.qtries)
        size = most;
    size = size < PL_C_QUEUE_SIZE_MAX ? size : PL_C_QUEUE_SIZE_MAX;
    pl_dp_queue_make(c->peer, c->dev, c->queue, size);
}

void pl_dp_act_queue_ready(struct pl_dp_step *c, uint64_t index)
{
    struct pl_dp_queue *queue = pl_dp_queue_of(c->dev, index);
    if (queue)
        queue->ready = 1;
}
