/* The actions that transitions name: what changes state that no variable holds, and what is sent.
 */
#include <string.h>

#include "peer/device_private.h"

/* The request's bytes go into the configuration space, `length` at most. */
void pl_act_write_config(struct pl_step *c, uint64_t offset, uint64_t length)
{
    struct pl_device *dev = c->dev;
    for (uint64_t i = 0; i < length && i < c->req->data_len; i++) {
        uint64_t at = offset + i;
        if (at >= dev->config_size)
            return;
        if (at < dev->opaque_first || at > dev->opaque_last)
            dev->config[at] = c->req->data[i];
    }
}

/* The device's own change takes place: a reset does not undo it. */
void pl_act_apply_change(struct pl_step *c, uint64_t offset, uint64_t length)
{
    struct pl_device *dev = c->dev;
    for (uint64_t at = offset; at < offset + length && at < dev->config_size; at++) {
        dev->config[at] = c->peer->pending[at];
        dev->config_first[at] = c->peer->pending[at];
    }
}

void pl_act_restore_config(struct pl_step *c)
{
    if (pl_device_opt(c->peer, PL_DEVICE_OPT_reset_restores_config))
        memcpy(c->dev->config, c->dev->config_first, sizeof(c->dev->config));
}

/* Remember a word of the selection behind the blocks that are stored. */
static void select_beyond(struct pl_device *dev, uint32_t index, uint32_t word)
{
    size_t place = PL_DEVICE_MAX_BEYOND;
    for (size_t i = 0; i < PL_DEVICE_MAX_BEYOND; i++) {
        if (dev->beyond[i].word && dev->beyond[i].index == index) {
            dev->beyond[i].word = word;
            return;
        }
        if (!dev->beyond[i].word && place == PL_DEVICE_MAX_BEYOND)
            place = i;
    }
    if (!word)
        return;
    if (place == PL_DEVICE_MAX_BEYOND) {
        dev->beyond_overflow = true;
        return;
    }
    dev->beyond[place].index = index;
    dev->beyond[place].word = word;
}

static void take_selection(struct pl_step *c, uint64_t index, uint64_t count, bool keep)
{
    const uint8_t *data = c->req->data;
    for (uint64_t i = 0; i < count && 4 * i + 4 <= c->req->data_len; i++) {
        const uint8_t *p = data + 4 * i;
        uint32_t word =
            (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
        uint64_t block = index + i;
        if (block < PL_DEVICE_MAX_BLOCKS)
            c->dev->selected[block] = word | (keep ? c->dev->selected[block] : 0);
        else
            select_beyond(c->dev, (uint32_t)block, word);
    }
}

void pl_act_select(struct pl_step *c, uint64_t index, uint64_t count)
{
    take_selection(c, index, count, false);
}

void pl_act_select_or(struct pl_step *c, uint64_t index, uint64_t count)
{
    take_selection(c, index, count, true);
}

void pl_act_clear_selection(struct pl_step *c)
{
    memset(c->dev->selected, 0, sizeof(c->dev->selected));
    memset(c->dev->beyond, 0, sizeof(c->dev->beyond));
    c->dev->beyond_overflow = false;
}

void pl_act_reset(struct pl_step *c)
{
    static const struct pl_msg none;
    pl_device_run(c->peer, c->dev, PL_ON_RESET, &none);
}

void pl_act_start_reset(struct pl_step *c, uint64_t delay)
{
    c->dev->reset_at = c->peer->now + delay;
}

void pl_act_event_config(struct pl_step *c, uint64_t status, uint64_t generation, uint64_t offset,
                         uint64_t length, uint64_t with_data)
{
    struct pl_msg m = {.kind = PL_EVENT_CONFIG, .dev_num = (uint16_t)c->dev->number};
    m.f[PL_F_device_status] = status;
    m.f[PL_F_generation] = generation;
    m.f[PL_F_offset] = offset;
    m.f[PL_F_length] = length;
    if (with_data && pl_fn_in_config(c, offset, length)) {
        m.data = c->dev->config + offset;
        m.data_len = (uint32_t)length;
    }
    pl_device_send(c, &m);
}

void pl_act_event_device(struct pl_step *c, uint64_t state)
{
    struct pl_msg m = {.kind = PL_EVENT_DEVICE};
    m.f[PL_F_device_number] = c->dev->number;
    m.f[PL_F_device_bus_state] = state;
    pl_device_send(c, &m);
}

/* The bus's own word for a request that came to nothing. Events get none. */
void pl_act_event_failure(struct pl_step *c, uint64_t reason)
{
    struct pl_msg m = {.kind = PL_EVENT_FAILURE};
    if (c->req->event || c->req->response)
        return;
    m.f[PL_F_failed_dev_num] = c->req->dev_num;
    m.f[PL_F_failed_token] = c->req->token;
    m.f[PL_F_failed_msg_id] = c->req->msg_id;
    m.f[PL_F_reason] = reason;
    pl_device_send(c, &m);
}

static void send_queue_event(struct pl_step *c, enum pl_kind kind, uint64_t index)
{
    struct pl_msg m = {.kind = kind, .dev_num = (uint16_t)c->dev->number};
    m.f[PL_F_vq_index] = index;
    pl_device_send(c, &m);
}

void pl_act_event_used(struct pl_step *c, uint64_t index)
{
    if (index < PL_NET_QUEUES)
        c->dev->net.count[index].interrupts++;
    send_queue_event(c, PL_EVENT_USED, index);
}

void pl_act_event_avail(struct pl_step *c, uint64_t index)
{
    send_queue_event(c, PL_EVENT_AVAIL, index);
}

void pl_act_ask(struct pl_step *c)
{
    struct pl_msg m = {.kind = c->peer->spec->fence, .dev_num = (uint16_t)c->dev->number};
    pl_device_send(c, &m);
}

/* Answer with the request's own header and so many bytes of nothing. */
void pl_act_answer(struct pl_step *c, uint64_t bytes)
{
    struct pl_device_peer *peer = c->peer;
    const struct pl_header_def *header = &peer->spec->header;
    size_t size = (size_t)header->size + (bytes < 4096 ? (size_t)bytes : 4096);
    memset(peer->message, 0, size);
    pl_poke_type(peer->spec, peer->message,
                 (uint8_t)(header->response_bit | (c->req->bus ? header->bus_bit : 0)));
    pl_poke_id(peer->spec, peer->message, c->req->msg_id);
    pl_poke_dev_num(peer->spec, peer->message, c->req->dev_num);
    pl_poke_token(peer->spec, peer->message, c->req->token);
    pl_poke_size(peer->spec, peer->message, (uint16_t)size);
    pl_device_send_bytes(c, peer->message, size);
}

/* Handle the message as if its form were right. */
void pl_act_process(struct pl_step *c)
{
    struct pl_msg m = *c->req;
    if (!m.def || m.def->event || m.def->bus || !c->dev->attached)
        return;
    m.response = false;
    pl_device_run(c->peer, c->dev, (int)m.kind, &m);
}

/* Leave the message for later: it is handled behind the next one. */
void pl_act_defer(struct pl_step *c)
{
    enum { LATER_MS = 2 };
    c->peer->deferred_until = c->peer->now + LATER_MS;
    if (c->peer->deferred.head == c->peer->deferred.tail)
        pl_outbox_put(&c->peer->deferred, c->req->bytes, c->req->size);
}

void pl_act_use_queue(struct pl_step *c, uint64_t index)
{
    if (index < PL_DEVICE_MAX_QUEUES)
        c->queue = &c->dev->queues[index];
}

void pl_act_remember(struct pl_step *c, uint64_t value)
{
    c->peer->memory = value;
}

void pl_act_fill_config(struct pl_step *c, uint64_t offset, uint64_t length, uint64_t value)
{
    for (uint64_t at = offset; at < offset + length && at < c->dev->config_size; at++)
        c->dev->config[at] = (uint8_t)value;
}

/* A response to an earlier status write, out of the blue. */
void pl_act_late_response(struct pl_step *c, uint64_t token)
{
    struct pl_msg m = {.kind = PL_SET_DEVICE_STATUS, .response = true};
    m.dev_num = (uint16_t)c->dev->number;
    m.token = (uint16_t)token;
    m.f[PL_F_status] = c->dev->v.status;
    pl_device_send(c, &m);
}
