/* Feature bits as the driver was offered them, and what it makes of them. */
#include <string.h>

#include "oracle/drv_private.h"

enum { BLOCK_BITS = 32 };

static bool bit_of(const uint32_t *blocks, unsigned bit)
{
    return bit / BLOCK_BITS < PL_BLOCKS && (blocks[bit / BLOCK_BITS] >> (bit % BLOCK_BITS) & 1);
}

bool pl_drv_block_known(const struct pl_drv_dev *d, unsigned bit)
{
    return bit / BLOCK_BITS < PL_BLOCKS && (d->offered_known >> (bit / BLOCK_BITS) & 1);
}

bool pl_drv_offered(const struct pl_drv_dev *d, unsigned bit)
{
    return pl_drv_block_known(d, bit) && bit_of(d->offered, bit);
}

bool pl_drv_lacks_version_1(const struct pl_drv_dev *d)
{
    if (pl_drv_block_known(d, PL_C_F_VERSION_1))
        return !pl_drv_offered(d, PL_C_F_VERSION_1);
    return d->info.kind != PL_NONE &&
           d->info.f[PL_F_num_feature_blocks] <= PL_C_F_VERSION_1 / BLOCK_BITS;
}

bool pl_drv_selected(const struct pl_drv_dev *d, unsigned bit)
{
    return bit_of(d->selected, bit);
}

static uint32_t word_at(const struct pl_msg *m, uint64_t i)
{
    uint32_t word = 0;
    for (unsigned k = 0; k < 4 && 4 * i + k < m->data_len; k++)
        word |= (uint32_t)m->data[4 * i + k] << (8 * k);
    return word;
}

/* What is missing against the run that worked; and what nothing describes. */
static void note_offer(struct pl_oracle *o, struct pl_drv_dev *d, uint64_t block)
{
    const struct pl_drv_good *good = &o->drv->good;
    uint64_t type = d->info.f[PL_F_device_id];
    for (unsigned i = 0; d->info.kind != PL_NONE && i < BLOCK_BITS; i++)
        if ((d->offered[block] >> i & 1) && !pl_type_described(type, block * BLOCK_BITS + i))
            d->odd |= ODD_FEATURES;
    if (!good->known || good->device_id != type || !(good->selected[block] & ~d->offered[block]))
        return;
    d->odd |= ODD_FEWER;
    if (block == PL_C_F_VERSION_1 / BLOCK_BITS && !pl_drv_offered(d, PL_C_F_VERSION_1))
        d->excused = true;
}

void pl_drv_features_told(struct pl_oracle *o, struct pl_drv_dev *d, const struct pl_drv_request *r,
                          const struct pl_msg *m)
{
    uint64_t first = r->m.f[PL_F_block_index], want = r->m.f[PL_F_num_blocks];
    uint64_t got = m->data ? m->data_len / 4 : 0;
    if (m->f[PL_F_block_index] != first || got < want)
        d->excused = true;
    for (uint64_t i = 0; i < want && first + i < PL_BLOCKS; i++) {
        uint64_t block = first + i;
        d->offered[block] = i < got ? word_at(m, i) : 0;
        d->offered_known |= UINT64_C(1) << block;
        if (i < got)
            d->missing &= ~(UINT64_C(1) << block);
        else
            d->missing |= UINT64_C(1) << block;
        note_offer(o, d, block);
    }
}

/* --- SET_DRIVER_FEATURES --- */

/* Are the bits of this word offered in another block? Then the blocks were mixed up. */
static bool of_another_block(const struct pl_drv_dev *d, uint64_t block, uint32_t word)
{
    for (unsigned b = 0; b < PL_BLOCKS; b++)
        if (b != block && (d->offered_known >> b & 1) && !(word & ~d->offered[b]))
            return true;
    return false;
}

static void judge_unoffered(struct pl_oracle *o, struct pl_drv_dev *d, uint64_t block,
                            uint32_t word)
{
    uint32_t extra = word & ~d->offered[block];
    if (!extra) {
        pl_held(o, PL_P_drv_features_offered);
        pl_held(o, PL_P_drv_blocks);
        return;
    }
    pl_drv_broken(o, d, PL_P_drv_features_offered,
                  "block %u: bits 0x%08x are selected, and are not offered (offered: 0x%08x)",
                  (unsigned)block, extra, d->offered[block]);
    if ((d->missing >> block & 1) || d->info.f[PL_F_num_feature_blocks] <= block ||
        of_another_block(d, block, word))
        pl_drv_broken(o, d, PL_P_drv_blocks, "block %u: bits 0x%08x are selected, and %s",
                      (unsigned)block, extra,
                      of_another_block(d, block, word) ? "are those of another block"
                                                       : "the block is one of zeros");
}

static void judge_special(struct pl_oracle *o, struct pl_drv_dev *d, unsigned bit, bool on)
{
    enum pl_predicate p =
        bit == PL_C_F_NOTIF_CONFIG_DATA ? PL_P_drv_no_notif_config : PL_P_drv_no_sr_iov;
    if (on)
        pl_drv_broken(o, d, p, "feature bit %u is selected", bit);
    else if (pl_drv_offered(d, bit))
        pl_held(o, p);
}

/* Bits that nothing describes, or that are not for this transport or type. */
static void judge_described(struct pl_oracle *o, struct pl_drv_dev *d, uint64_t block,
                            uint32_t word)
{
    for (unsigned i = 0; i < BLOCK_BITS; i++) {
        uint64_t bit = block * BLOCK_BITS + i;
        if (!(word >> i & 1))
            continue;
        if (bit != PL_C_F_NOTIF_CONFIG_DATA && bit != PL_C_F_SR_IOV &&
            pl_type_described(d->info.f[PL_F_device_id], bit))
            continue;
        pl_drv_broken(o, d, PL_P_drv_features_known,
                      "feature bit %u is selected: nothing describes it for this device type and "
                      "transport",
                      (unsigned)bit);
        return;
    }
    pl_held(o, PL_P_drv_features_known);
}

static void write_block(struct pl_oracle *o, struct pl_drv_dev *d, uint64_t block, uint32_t word)
{
    uint32_t added = word & ~d->final[block];
    bool known = d->offered_known >> block & 1;
    if (word && !known)
        pl_drv_broken(o, d, PL_P_drv_features_read,
                      "block %u: bits 0x%08x are selected, and GET_DEVICE_FEATURES has not told "
                      "what is offered there",
                      (unsigned)block, word);
    else if (word)
        pl_held(o, PL_P_drv_features_read);
    if (word && !known && d->info.kind != PL_NONE && block >= d->info.f[PL_F_num_feature_blocks]) {
        pl_drv_broken(o, d, PL_P_drv_features_offered,
                      "block %u: bits 0x%08x are selected, and the device has %u blocks",
                      (unsigned)block, word, (unsigned)d->info.f[PL_F_num_feature_blocks]);
        pl_drv_broken(o, d, PL_P_drv_blocks,
                      "block %u: bits 0x%08x are selected, and the block is one of zeros",
                      (unsigned)block, word);
    }
    if (known)
        judge_unoffered(o, d, block, word);
    if (!known && word)
        pl_drv_blame(o, d, PL_GET_DEVICE_FEATURES);
    if (d->info.kind != PL_NONE)
        judge_described(o, d, block, word);
    if (d->final_valid && added)
        pl_drv_broken(o, d, PL_P_drv_features_fixed,
                      "block %u: bits 0x%08x are selected behind FEATURES_OK", (unsigned)block,
                      added);
    d->selected[block] = word;
    d->written |= UINT64_C(1) << block;
}

/* The words of a message in the other byte order cannot be read again here: they stay unknown. */
void pl_drv_features_write(struct pl_oracle *o, struct pl_drv_dev *d, const struct pl_msg *m)
{
    uint64_t first = m->f[PL_F_block_index], n = m->f[PL_F_num_blocks];
    d->chosen = true;
    if (d->feature_writes++ && first != d->first_block)
        pl_used(o, PL_P_drv_blockwise);
    d->first_block = first;
    if (!m->data) {
        for (uint64_t i = 0; i < n && first + i < PL_BLOCKS; i++)
            d->selected[first + i] = d->offered[first + i];
        return;
    }
    for (uint64_t i = 0; i < n && 4 * i < m->data_len; i++) {
        if (first + i < PL_BLOCKS)
            write_block(o, d, first + i, word_at(m, i));
        else if (word_at(m, i))
            pl_drv_broken(o, d, PL_P_drv_features_read,
                          "bits 0x%08x of a block beyond all that are offered are selected",
                          word_at(m, i));
    }
    unsigned notif = PL_C_F_NOTIF_CONFIG_DATA, iov = PL_C_F_SR_IOV;
    judge_special(o, d, notif, pl_drv_selected(d, notif));
    judge_special(o, d, iov, pl_drv_selected(d, iov));
}

/* --- FEATURES_OK: the selection is final --- */

static void judge_accepted(struct pl_oracle *o, struct pl_drv_dev *d, unsigned bit,
                           enum pl_predicate p, const char *name)
{
    if (!pl_drv_offered(d, bit) || d->info.f[PL_F_num_feature_blocks] <= bit / BLOCK_BITS)
        return; /* a block that the device does not count may be taken for one of zeros */
    if (pl_drv_selected(d, bit))
        pl_held(o, p);
    else if (p == PL_P_drv_version_1 || !d->ever_refused) /* less, where that was too much */
        pl_drv_broken(o, d, p, "%s is offered, and FEATURES_OK is written without it", name);
}

static void judge_needs(struct pl_oracle *o, struct pl_drv_dev *d)
{
    size_t n = 0;
    bool any = false;
    const struct pl_feature_need *need = pl_type_needs(d->info.f[PL_F_device_id], &n);
    for (size_t i = 0; i < n; i++) {
        bool met = !pl_drv_selected(d, need[i].feature);
        any |= !met;
        for (unsigned k = 0; k < need[i].n; k++)
            met |= pl_drv_selected(d, need[i].any[k]);
        if (!met) {
            pl_drv_broken(o, d, PL_P_drv_features_requires,
                          "feature bit %u is accepted without bit %u, which it requires",
                          need[i].feature, need[i].any[0]);
            return;
        }
    }
    if (any)
        pl_held(o, PL_P_drv_features_requires);
}

void pl_drv_features_final(struct pl_oracle *o, struct pl_drv_dev *d)
{
    if (!d->offered_known) {
        pl_drv_broken(o, d, PL_P_drv_features_read,
                      "FEATURES_OK is written, and GET_DEVICE_FEATURES was never answered");
        pl_drv_blame(o, d, PL_GET_DEVICE_FEATURES);
    }
    if (!d->chosen && pl_drv_offered(d, PL_C_F_VERSION_1))
        pl_drv_broken(o, d, PL_P_drv_order,
                      "FEATURES_OK is written ahead of any SET_DRIVER_FEATURES");
    judge_accepted(o, d, PL_C_F_VERSION_1, PL_P_drv_version_1, "VIRTIO_F_VERSION_1");
    judge_accepted(o, d, PL_C_F_ACCESS_PLATFORM, PL_P_drv_access_platform,
                   "VIRTIO_F_ACCESS_PLATFORM");
    judge_accepted(o, d, PL_C_F_RING_PACKED, PL_P_drv_ring_packed, "VIRTIO_F_RING_PACKED");
    judge_accepted(o, d, PL_C_F_ORDER_PLATFORM, PL_P_drv_order_platform, "VIRTIO_F_ORDER_PLATFORM");
    judge_needs(o, d);
    if (d->configured_early)
        pl_used(o, PL_P_drv_config_before);
    memcpy(d->final, d->selected, sizeof(d->final));
    d->final_valid = true;
}
