/* Feature blocks: what is offered, what the driver selected, and how FEATURES_OK fared with it. */
#include <inttypes.h>
#include <string.h>

#include "oracle/private.h"

enum { ORDER_BLOCKS = sizeof(((struct pl_order *)0)->selection) / sizeof(uint32_t), SURE = 2 };

bool pl_features_known_bit(const struct pl_track *t, unsigned bit)
{
    bool beyond = t->info.kind != PL_NONE && bit / 32 >= t->info.f[PL_F_num_feature_blocks];
    return bit / 32 < PL_BLOCKS && (beyond || (t->offered_known >> (bit / 32) & 1));
}

bool pl_features_offered_bit(const struct pl_track *t, unsigned bit)
{
    return bit / 32 < PL_BLOCKS && (t->offered_known >> (bit / 32) & 1) &&
           (t->offered[bit / 32] >> (bit % 32) & 1);
}

bool pl_features_negotiated(const struct pl_track *t, unsigned bit)
{
    return bit / 32 < PL_BLOCKS && (t->selected[bit / 32] >> (bit % 32) & 1);
}

/* Bytes of one feature block, as the message's layout has it. */
static uint32_t block_bytes(const struct pl_msg *m)
{
    return pl_msg_layout(m)->tail->width;
}

static uint32_t block_at(const struct pl_msg *m, uint32_t i)
{
    uint32_t value = 0;
    uint32_t width = block_bytes(m);
    for (uint32_t b = 0; b < width; b++)
        value |= (uint32_t)m->data[(size_t)width * i + b] << (8 * b);
    return value;
}

/* Blocks beyond the reported count are zero. */
static void judge_beyond(struct pl_oracle *o, const struct pl_track *t, uint64_t block, uint32_t v)
{
    if (t->info.kind == PL_NONE)
        return;
    uint64_t n = t->info.f[PL_F_num_feature_blocks];
    if (block < n) {
        pl_held(o, PL_P_features_counted);
    } else if (v == 0) {
        pl_held(o, PL_P_features_beyond);
        pl_held(o, PL_P_features_counted);
    } else {
        pl_broken(o, PL_P_features_beyond,
                  "feature block %" PRIu64 " reads 0x%" PRIx32
                  " where num_feature_blocks is %" PRIu64,
                  block, v, n);
        pl_broken(o, PL_P_features_counted,
                  "num_feature_blocks is %" PRIu64 ", but block %" PRIu64 " offers 0x%" PRIx32, n,
                  block, v);
    }
}

/* Offered bits that need another one, as the device type has it. */
static void judge_needs(struct pl_oracle *o, const struct pl_track *t)
{
    size_t n = 0;
    const struct pl_feature_need *need = pl_type_needs(t->info.f[PL_F_device_id], &n);
    bool complete = t->info.kind != PL_NONE && n > 0;
    for (size_t i = 0; complete && i < n; i++) {
        bool met = !pl_features_offered_bit(t, need[i].feature);
        for (size_t k = 0; k < need[i].n; k++) {
            complete &= pl_features_known_bit(t, need[i].any[k]);
            met |= pl_features_offered_bit(t, need[i].any[k]);
        }
        if (complete && !met)
            pl_broken(o, PL_P_features_requires,
                      "feature bit %u is offered, and nothing of what it requires (bit %u%s)",
                      need[i].feature, need[i].any[0], need[i].n > 1 ? " or another" : "");
    }
    if (complete)
        pl_held(o, PL_P_features_requires);
}

/* What core virtio says of reserved bits, whatever the device type. */
static void judge_reserved(struct pl_oracle *o, uint64_t block, uint32_t v)
{
    if (block == PL_C_F_VERSION_1 / 32) {
        if (v >> (PL_C_F_VERSION_1 % 32) & 1)
            pl_held(o, PL_P_features_version_1);
        else
            pl_broken(o, PL_P_features_version_1, "VIRTIO_F_VERSION_1 (bit %lu) is not offered",
                      (unsigned long)PL_C_F_VERSION_1);
    }
    if (block == PL_C_F_SR_IOV / 32) {
        if (v >> (PL_C_F_SR_IOV % 32) & 1)
            pl_broken(o, PL_P_features_sr_iov,
                      "VIRTIO_F_SR_IOV (bit %lu) is offered, and this is no PCI device",
                      (unsigned long)PL_C_F_SR_IOV);
        else
            pl_held(o, PL_P_features_sr_iov);
    }
}

static void judge_block(struct pl_oracle *o, struct pl_track *t, uint64_t block, uint32_t v)
{
    judge_beyond(o, t, block, v);
    judge_reserved(o, block, v);
    if (block == PL_C_F_NOTIF_CONFIG_DATA / 32) {
        if (v >> (PL_C_F_NOTIF_CONFIG_DATA % 32) & 1)
            pl_broken(o, PL_P_features_notif_config,
                      "feature block %" PRIu64 " reads 0x%" PRIx32 ": bit 39 is offered", block, v);
        else
            pl_held(o, PL_P_features_notif_config);
    }
    if (block >= PL_BLOCKS)
        return;
    if (!(t->offered_known >> block & 1)) {
        t->offered_known |= UINT64_C(1) << block;
        t->offered[block] = v;
    } else if (t->offered[block] == v) {
        pl_held(o, PL_P_features_offered);
    } else {
        pl_broken(o, PL_P_features_offered,
                  "feature block %" PRIu64 " was 0x%" PRIx32 " and now reads 0x%" PRIx32
                  " (the driver selected 0x%" PRIx32 ")",
                  block, t->offered[block], v, t->selected[block]);
    }
}

void pl_features_read(struct pl_oracle *o, struct pl_track *t, const struct pl_msg *req,
                      const struct pl_msg *resp)
{
    uint64_t first = req->f[PL_F_block_index];
    for (uint32_t i = 0; i < resp->data_len / block_bytes(resp); i++)
        judge_block(o, t, first + i, block_at(resp, i));
    judge_needs(o, t);
}

void pl_features_written(struct pl_track *t, const struct pl_msg *req, bool certain)
{
    uint64_t first = req->f[PL_F_block_index];
    uint32_t n = req->data_len / block_bytes(req);
    bool defined = certain && pl_status_all(&t->status, (uint32_t)PL_C_STATUS_DRIVER) &&
                   pl_status_never(&t->status, (uint32_t)PL_C_STATUS_FEATURES_OK);
    t->features_in_reset |= t->resetting;
    if (pl_status_all(&t->status, (uint32_t)PL_C_STATUS_FEATURES_OK) && certain)
        return; /* without effect */
    if (!defined || req->form != PL_FORM_OK)
        t->selection_odd = true;
    for (uint32_t i = 0; i < n && first + i < PL_BLOCKS; i++) {
        t->selected[first + i] = block_at(req, i);
        t->selected_known |= UINT64_C(1) << (first + i);
        t->last_block = (uint32_t)(first + i);
    }
    t->way = (t->way ^ (uint32_t)first) * 16777619u;
    t->way = (t->way ^ n) * 16777619u;
    for (uint32_t i = 0; i < n; i++)
        t->way = (t->way ^ block_at(req, i)) * 16777619u;
    for (uint32_t i = 0; i < n; i++)
        if (first + i >= PL_BLOCKS && block_at(req, i))
            t->selection_odd = true;
}

/* The bits that a block offers, all of them where that is not known. */
static uint32_t offered(const struct pl_track *t, unsigned block)
{
    if (t->info.kind != PL_NONE && block >= t->info.f[PL_F_num_feature_blocks])
        return 0;
    return t->offered_known >> block & 1 ? t->offered[block] : UINT32_MAX;
}

bool pl_features_unoffered(const struct pl_track *t)
{
    for (unsigned i = 0; i < PL_BLOCKS; i++)
        if (t->selected[i] & ~offered(t, i))
            return true;
    return false;
}

static struct pl_order *order_of(struct pl_track *t)
{
    for (unsigned i = ORDER_BLOCKS; i < PL_BLOCKS; i++)
        if (t->selected[i])
            return NULL;
    for (unsigned i = 0; i < t->n_orders; i++)
        if (!memcmp(t->orders[i].selection, t->selected, sizeof(t->orders[i].selection)) &&
            t->orders[i].way == t->way)
            return &t->orders[i];
    if (t->n_orders == PL_ORDERS)
        return NULL;
    struct pl_order *order = &t->orders[t->n_orders++];
    memset(order, 0, sizeof(*order));
    memcpy(order->selection, t->selected, sizeof(order->selection));
    order->way = t->way;
    return order;
}

/* The same selection, built in another order, always met the other answer. */
static bool depends_on_order(const struct pl_track *t, const struct pl_order *order)
{
    for (unsigned i = 0; i < t->n_orders; i++) {
        const struct pl_order *other = &t->orders[i];
        if (other == order || memcmp(other->selection, order->selection, sizeof(order->selection)))
            continue;
        if (order->taken >= SURE && !order->refused && other->refused >= SURE && !other->taken)
            return true;
        if (order->refused >= SURE && !order->taken && other->taken >= SURE && !other->refused)
            return true;
    }
    return false;
}

static bool last_block_bad(const struct pl_track *t)
{
    return (t->selected[t->last_block] & ~offered(t, t->last_block)) != 0;
}

/* Offered bits that a device may insist on, and bits that need others which are not selected. */
static bool may_refuse(const struct pl_track *t)
{
    static const unsigned insisted[] = {PL_C_F_VERSION_1, PL_C_F_ACCESS_PLATFORM,
                                        PL_C_F_ORDER_PLATFORM};
    size_t n = 0;
    const struct pl_feature_need *need = pl_type_needs(t->info.f[PL_F_device_id], &n);
    for (size_t i = 0; i < sizeof(insisted) / sizeof(insisted[0]); i++)
        if (pl_features_offered_bit(t, insisted[i]) && !pl_features_negotiated(t, insisted[i]))
            return true;
    for (unsigned bit = 0; bit < 32 * (unsigned)PL_BLOCKS; bit++)
        if (pl_type_insists(t->info.f[PL_F_device_id], bit) && pl_features_offered_bit(t, bit) &&
            !pl_features_negotiated(t, bit))
            return true;
    for (size_t i = 0; i < n; i++) {
        bool met = !pl_features_negotiated(t, need[i].feature);
        for (size_t k = 0; k < need[i].n; k++)
            met |= pl_features_negotiated(t, need[i].any[k]);
        if (!met)
            return true;
    }
    return t->info.kind == PL_NONE;
}

/* A selection of what is offered: SHOULD be accepted, and be accepted again. */
static void judge_acceptance(struct pl_oracle *o, const struct pl_track *t,
                             const struct pl_order *order, bool taken)
{
    unsigned before = 0;
    for (unsigned i = 0; i < t->n_orders; i++)
        if (!memcmp(t->orders[i].selection, t->selected, sizeof(t->orders[i].selection)))
            before += t->orders[i].taken - (&t->orders[i] == order && taken);
    if (taken) {
        pl_held(o, PL_P_features_subset);
        if (before)
            pl_held(o, PL_P_features_renegotiated);
        return;
    }
    if (!may_refuse(t))
        pl_broken(o, PL_P_features_subset,
                  "FEATURES_OK was refused for a selection of what is offered, and nothing that "
                  "the device may insist on is left out");
    if (before)
        pl_broken(o, PL_P_features_renegotiated,
                  "FEATURES_OK was refused for a selection that was accepted before");
}

void pl_features_decided(struct pl_oracle *o, struct pl_track *t, bool taken)
{
    struct pl_order *order = order_of(t);
    if (order) {
        order->taken += taken;
        order->refused += !taken;
        if (depends_on_order(t, order))
            pl_broken(o, PL_P_features_scoped,
                      "the same driver features are always %s when written this way, and always %s "
                      "when written in other requests",
                      taken ? "accepted" : "refused", taken ? "refused" : "accepted");
        else
            pl_held(o, PL_P_features_scoped);
    }
    if (!pl_features_unoffered(t)) {
        if (order)
            judge_acceptance(o, t, order, taken);
        return;
    }
    if (!taken) {
        pl_held(o, PL_P_features_refused);
        t->direct_refusals += last_block_bad(t);
    } else if (!last_block_bad(t) && t->direct_refusals) {
        pl_broken(o, PL_P_features_scoped,
                  "features that were not offered stand in a block that later writes did not "
                  "address, and FEATURES_OK was accepted");
    } else {
        pl_broken(o, PL_P_features_refused,
                  "features that were not offered are selected, and FEATURES_OK stayed set");
    }
}
