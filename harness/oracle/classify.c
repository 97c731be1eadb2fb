/* What a request is owed: an answer, silence, or either; and which rule a missing answer breaks. */
#include "oracle/private.h"

enum { ODD_TOKEN_LOW = 0, ODD_TOKEN_HIGH = 0xfff0, MISSED_ENOUGH = 8 };

static bool known_number(const struct pl_oracle *o, uint16_t dev_num)
{
    for (size_t i = 0; i < o->n_numbers; i++)
        if (o->numbers[i] == dev_num)
            return true;
    return false;
}

/* Malformed in a way that no receiver can overlook. */
static bool malformed(const struct pl_oracle *o, const struct pl_msg *m)
{
    const struct pl_layout *layout = pl_msg_layout(m);
    switch (m->form) {
    case PL_FORM_RUNT:
    case PL_FORM_UNKNOWN:
    case PL_FORM_SHAPE:
    case PL_FORM_SHORT:
        return true;
    case PL_FORM_SIZE: /* only a packet with a surplus behind msg_size can be taken as it is */
        return m->msg_size > m->size || m->size < m->expected || m->msg_size < m->expected ||
               m->msg_size < (size_t)o->spec->header.size + layout->size;
    default:
        return false;
    }
}

static bool wrong_direction(const struct pl_msg *m)
{
    return m->response || (m->def && m->def->from == PL_SIDE_DEVICE);
}

/* Bytes of the answer that this request asks for, the header included. */
static uint64_t answer_size(const struct pl_oracle *o, const struct pl_msg *req)
{
    const struct pl_layout *layout = req->def->response;
    uint64_t size = (uint64_t)o->spec->header.size + layout->size;
    if (req->kind == PL_GET_DEVICE_FEATURES)
        size += req->f[PL_F_num_blocks] * layout->tail->width;
    else if (req->kind == PL_GET_CONFIG)
        size += req->f[PL_F_length];
    return size;
}

static bool in_config(const struct pl_track *t, const struct pl_msg *req)
{
    return t->info.kind != PL_NONE &&
           req->f[PL_F_offset] + req->f[PL_F_length] <= t->info.f[PL_F_config_size];
}

/* Asks for bytes that are not there: a made-up answer is the one thing that is not legal. */
static bool beyond_config(const struct pl_track *t, const struct pl_msg *req)
{
    return t->info.kind != PL_NONE && req->f[PL_F_length] && !in_config(t, req);
}

/* Is the driver allowed to send this now? Where it is not, an answer is not owed. */
static bool allowed_now(const struct pl_track *t, const struct pl_msg *req)
{
    const struct pl_status_set *s = &t->status;
    uint32_t bad = (uint32_t)(PL_C_STATUS_DEVICE_NEEDS_RESET | PL_C_STATUS_FAILED);
    if (req->kind == PL_GET_DEVICE_STATUS || req->kind == PL_SET_DEVICE_STATUS)
        return true;
    if (t->resetting)
        return false;
    if (req->kind == PL_GET_DEVICE_INFO)
        return true;
    if (!pl_status_never(s, bad))
        return false;
    switch (req->kind) {
    case PL_GET_DEVICE_FEATURES:
    case PL_GET_CONFIG:
        return pl_status_all(s, (uint32_t)PL_C_STATUS_DRIVER);
    case PL_SET_DRIVER_FEATURES:
        return pl_status_all(s, (uint32_t)PL_C_STATUS_DRIVER) &&
               pl_status_never(s, (uint32_t)PL_C_STATUS_FEATURES_OK);
    default:
        return pl_status_all(s, (uint32_t)PL_C_STATUS_FEATURES_OK);
    }
}

/* Nothing in the request is beyond what every device has to serve. */
static bool valid_content(const struct pl_oracle *o, const struct pl_track *t,
                          const struct pl_msg *req)
{
    if (req->form != PL_FORM_OK || req->size > o->max_msg_size)
        return false;
    if (answer_size(o, req) > o->max_msg_size)
        return false;
    switch (req->kind) {
    case PL_GET_CONFIG:
    case PL_SET_CONFIG: /* an empty range at the very end is no range to everybody */
        return in_config(t, req) && req->f[PL_F_offset] < t->info.f[PL_F_config_size];
    case PL_GET_DEVICE_FEATURES: /* no blocks at all, or beyond the last index there can be */
        return req->f[PL_F_num_blocks] &&
               req->f[PL_F_block_index] + req->f[PL_F_num_blocks] <= UINT64_C(1) << 32;
    case PL_SET_DRIVER_FEATURES: /* blocks that the device does not have can only be refused */
        return req->f[PL_F_num_blocks] && t->info.kind != PL_NONE &&
               req->f[PL_F_block_index] + req->f[PL_F_num_blocks] <=
                   t->info.f[PL_F_num_feature_blocks];
    default:
        return true;
    }
}

static enum pl_predicate queue_reason(const struct pl_track *t, const struct pl_msg *req)
{
    uint64_t flags = req->f[PL_F_flags], op = flags & PL_C_SVQ_STATE_MASK;
    bool absent = pl_queue_absent(t, (uint32_t)req->f[PL_F_index]);
    if (req->kind == PL_GET_VQUEUE)
        return absent ? PL_P_queue_absent_answered : PL_P_response_once;
    if (req->kind == PL_RESET_VQUEUE)
        return absent                   ? PL_P_queue_rvq_unavailable
               : t->ring_reset == PL_NO ? PL_P_queue_rvq_not_negotiated
                                        : PL_P_response_once;
    if (absent)
        return PL_P_queue_svq_unavailable;
    if (req->f[PL_F_reserved] || (flags & PL_C_SVQ_RESERVED) || op == PL_C_SVQ_STATE_RESERVED)
        return PL_P_queue_svq_reserved;
    for (unsigned i = 0; i < t->n_queues; i++) {
        const struct pl_queue *q = &t->queues[i];
        if (q->index != req->f[PL_F_index] || q->set.any || !q->set.n || !q->set.state[0].enabled)
            continue;
        if (op == PL_C_SVQ_KEEP_DISABLED)
            return PL_P_queue_svq_disable;
        if ((flags & PL_C_SVQ_IGNORE_ALL) != PL_C_SVQ_IGNORE_ALL)
            return PL_P_queue_svq_update_enabled;
    }
    return PL_P_response_once;
}

/* Which rule a missing answer breaks, by what is special about the request. */
static enum pl_predicate reason(const struct pl_oracle *o, const struct pl_track *t,
                                const struct pl_msg *req)
{
    if (req->type & o->spec->header.reserved_bits)
        return PL_P_reserved_ignored;
    if (o->spec->header.token.width &&
        (req->token == ODD_TOKEN_LOW || req->token >= ODD_TOKEN_HIGH))
        return PL_P_token_opaque;
    switch (req->kind) {
    case PL_GET_DEVICE_INFO:
        return PL_P_info_answered;
    case PL_GET_DEVICE_FEATURES:
        return t->info.kind != PL_NONE && req->f[PL_F_block_index] + req->f[PL_F_num_blocks] >
                                              t->info.f[PL_F_num_feature_blocks]
                   ? PL_P_features_beyond
                   : PL_P_response_once;
    case PL_SET_CONFIG:
        if (!req->f[PL_F_length])
            return PL_P_config_noop;
        return t->gen_known && req->f[PL_F_generation] != t->gen
                   ? (o->strict ? PL_P_config_strict : PL_P_config_baseline)
                   : PL_P_response_once;
    case PL_SET_DEVICE_STATUS:
        return req->f[PL_F_status] ? PL_P_response_once : PL_P_reset_completes;
    case PL_GET_VQUEUE:
    case PL_SET_VQUEUE:
    case PL_RESET_VQUEUE:
        return queue_reason(t, req);
    case PL_GET_SHM:
        return PL_P_shm_answered;
    default:
        return PL_P_response_once;
    }
}

enum pl_owed pl_classify(struct pl_oracle *o, struct pl_track *t, const struct pl_msg *req,
                         enum pl_predicate *owed_by)
{
    *owed_by = PL_P_response_once;
    bool foreign = !req->bus && o->numbers && !known_number(o, req->dev_num);
    if (req->bus)
        return malformed(o, req) || wrong_direction(req) ? PL_MUST_DISCARD : PL_MAY_ANSWER;
    if (req->form == PL_FORM_UNKNOWN && !req->event && !req->response &&
        (req->msg_id & o->spec->header.implementation_bit))
        return PL_MAY_ANSWER; /* the implementation's own; it may be known there */
    if (malformed(o, req) || wrong_direction(req) || (req->def && req->event))
        return PL_MUST_DISCARD;
    if (foreign || !t)
        return PL_MAY_ANSWER;
    if (req->kind == PL_GET_CONFIG && req->form == PL_FORM_OK && beyond_config(t, req))
        return PL_MUST_DISCARD;
    if (!valid_content(o, t, req) || !allowed_now(t, req))
        return PL_MAY_ANSWER;
    if (!o->numbers && t->info.kind == PL_NONE && !pl_status_all(&t->status, 0))
        return PL_MAY_ANSWER; /* a number that nobody has confirmed */
    *owed_by = reason(o, t, req);
    if (!o->answered[req->kind] && o->missed[req->kind] >= MISSED_ENOUGH)
        return PL_MAY_ANSWER; /* not implemented: said often enough, and not waited for again */
    return PL_MUST_ANSWER;
}
