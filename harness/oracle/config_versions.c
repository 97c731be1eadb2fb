/* Earlier versions of the configuration space, kept to be compared: the first, and what must not
 * change. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "oracle/config_private.h"
#include "oracle/private.h"

/* --- the first version since the reset: its generation belongs to it alone --- */

void pl_config_first(struct pl_oracle *o, struct pl_track *t, const struct pl_msg *resp)
{
    uint64_t offset = resp->f[PL_F_offset];
    uint32_t gen = (uint32_t)resp->f[PL_F_generation];
    if (!t->first_valid) {
        t->first_valid = true;
        t->first_gen = gen;
        if (t->config_cap)
            memset(t->first_known, 0, t->config_cap);
    }
    for (uint32_t i = 0; gen == t->first_gen && i < resp->data_len && offset + i < t->config_cap;
         i++) {
        uint64_t at = offset + i;
        if (t->first_known[at] && t->first[at] != resp->data[i] &&
            !pl_type_opaque(t->info.f[PL_F_device_id], at)) {
            pl_broken(o, PL_P_gen_changes,
                      "generation 0x%" PRIx32 " is back, but byte %" PRIu64
                      " reads 0x%02x where it read 0x%02x then",
                      gen, at, resp->data[i], t->first[at]);
            t->first_valid = false;
            return;
        }
        t->first[at] = resp->data[i];
        t->first_known[at] = 1;
    }
}

/* --- writes that must not change anything --- */

void pl_config_freeze(struct pl_track *t, const struct pl_msg *req, enum pl_predicate blame)
{
    if (t->resetting || t->frozen_valid || !t->gen_known)
        return;
    for (uint32_t i = 0; i < t->config_cap; i++) {
        t->frozen[i] = t->config[i];
        t->frozen_known[i] = t->config_known[i];
    }
    t->frozen_valid = true;
    t->frozen_by = blame;
    t->frozen_write_only = blame != PL_P_config_noop;
    t->frozen_offset = (uint32_t)req->f[PL_F_offset];
    t->frozen_len = req->data_len < sizeof(t->frozen_data) ? req->data_len : sizeof(t->frozen_data);
    if (t->frozen_len)
        memcpy(t->frozen_data, req->data, t->frozen_len);
}

void pl_config_overtaken(struct pl_track *t, const struct pl_msg *req)
{
    uint64_t first = req->f[PL_F_offset];
    t->late_write = t->late_saw_old = false;
    if (!req->data_len || req->data_len > sizeof(t->late_new) ||
        first + req->data_len > t->config_cap)
        return;
    bool differs = false;
    for (uint32_t i = 0; i < req->data_len; i++) {
        if (!t->config_known[first + i])
            return;
        t->late_old[i] = t->config[first + i];
        t->late_new[i] = req->data[i];
        differs |= t->late_old[i] != t->late_new[i];
    }
    t->late_write = differs;
    t->late_offset = (uint32_t)first;
    t->late_len = req->data_len;
}

/* A read that overtook a write: does it show what was there before? */
void pl_config_read_out_of_order(struct pl_track *t, const struct pl_msg *resp)
{
    uint64_t offset = resp->f[PL_F_offset];
    if (t->late_write && offset <= t->late_offset &&
        offset + resp->data_len >= (uint64_t)t->late_offset + t->late_len)
        t->late_saw_old = !memcmp(resp->data + (t->late_offset - offset), t->late_old, t->late_len);
}

void pl_config_late_answer(struct pl_oracle *o, struct pl_track *t, const struct pl_msg *resp)
{
    if (t->late_write && t->late_saw_old && resp->f[PL_F_length])
        pl_broken(o, PL_P_request_order,
                  "GET_CONFIG overtook the SET_CONFIG before it and read the bytes from before it");
    t->late_write = false;
}

/* Byte `at` now reads `now`: did the write that was refused or empty do that? */
static bool thawed(const struct pl_track *t, uint64_t at, uint8_t now)
{
    if (!t->frozen_known[at] || t->frozen[at] == now ||
        pl_type_opaque(t->info.f[PL_F_device_id], at))
        return false;
    uint64_t i = at - t->frozen_offset;
    return !t->frozen_write_only || (i < t->frozen_len && t->frozen_data[i] == now);
}

void pl_config_check_frozen(struct pl_track *t, const struct pl_msg *resp)
{
    uint64_t offset = resp->f[PL_F_offset];
    if (!t->frozen_valid || t->suspect)
        return;
    for (uint32_t i = 0; i < resp->data_len && offset + i < t->config_cap; i++) {
        if (!thawed(t, offset + i, resp->data[i]))
            continue;
        t->suspect = true;
        snprintf(t->suspect_text, sizeof(t->suspect_text),
                 "byte %" PRIu64
                 " read 0x%02x before a SET_CONFIG that changes nothing, and 0x%02x "
                 "after it, and no event tells of a change",
                 offset + i, t->frozen[offset + i], resp->data[i]);
    }
    t->frozen_valid = false;
}

void pl_config_settle(struct pl_oracle *o, struct pl_track *t)
{
    if (!t->suspect)
        return;
    t->suspect = false;
    pl_broken(o, t->frozen_by, "%s", t->suspect_text);
    if (t->frozen_by == PL_P_config_whole && o->strict)
        pl_broken(o, PL_P_config_strict, "%s", t->suspect_text);
}
