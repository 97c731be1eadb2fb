/* The configuration space: bytes as last seen, reads, and writes in both profiles. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "oracle/config_private.h"
#include "oracle/private.h"

enum { CONFIG_CAP = 1 << 16 };

/* Make one of the byte arrays as large as the configuration space; new bytes are zero. */
static bool grow(uint8_t **bytes, uint32_t from, uint32_t to)
{
    uint8_t *grown = realloc(*bytes, to);
    if (!grown)
        return false;
    memset(grown + from, 0, to - from);
    *bytes = grown;
    return true;
}

void pl_config_size(struct pl_track *t, uint32_t size)
{
    uint32_t cap = size < CONFIG_CAP ? size : CONFIG_CAP;
    if (cap <= t->config_cap)
        return;
    uint8_t **all[] = {&t->config,      &t->config_known, &t->first,
                       &t->first_known, &t->frozen,       &t->frozen_known};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (!grow(all[i], t->config_cap, cap))
            return;
    t->config_cap = cap;
}

void pl_config_forget_bytes(struct pl_track *t)
{
    if (t->config_cap)
        memset(t->config_known, 0, t->config_cap);
}

void pl_config_forget(struct pl_track *t)
{
    pl_config_forget_bytes(t);
    t->gen_known = false;
    t->n_history = 0;
    t->change_pending = t->change_unread = t->event_stale = t->event_unread = false;
    t->event_wrong = 0;
    t->first_valid = t->frozen_valid = t->suspect = false;
    t->write_known[0] = t->write_known[1] = false;
    t->wrote = t->after_write = false; /* an event of a change before may still come */
}

/* Is offset + length, in 64 bits, within what GET_DEVICE_INFO reported? */
static bool within(const struct pl_track *t, const struct pl_msg *req)
{
    return t->info.kind != PL_NONE &&
           req->f[PL_F_offset] + req->f[PL_F_length] <= t->info.f[PL_F_config_size];
}

/* Bytes against what they were at the same generation. */
static void judge_bytes(struct pl_oracle *o, struct pl_track *t, const struct pl_msg *resp)
{
    uint64_t offset = resp->f[PL_F_offset];
    bool compared = false, read_back = false;
    for (uint32_t i = 0; i < resp->data_len && offset + i < t->config_cap; i++) {
        uint64_t at = offset + i;
        uint8_t known = t->config_known[at];
        if (known && pl_type_opaque(t->info.f[PL_F_device_id], at))
            known = 0;
        if (known == WRITTEN && t->config[at] != resp->data[i]) {
            pl_broken(o, PL_P_config_whole,
                      "SET_CONFIG was answered as applied, but byte %" PRIu64
                      " reads 0x%02x where 0x%02x was written",
                      at, resp->data[i], t->config[at]);
            pl_config_forget_bytes(t);
            break;
        }
        if (known == READ && t->config[at] != resp->data[i]) {
            pl_broken(o, t->noop_since ? PL_P_config_noop : PL_P_gen_changes,
                      "byte %" PRIu64 " read 0x%02x and now 0x%02x, both at generation 0x%" PRIx32,
                      at, t->config[at], resp->data[i], t->gen);
            pl_config_forget_bytes(t);
            break;
        }
        compared |= known == READ;
        read_back |= known == WRITTEN;
    }
    if (compared)
        pl_held(o, PL_P_gen_changes);
    if (read_back)
        pl_held(o, PL_P_config_whole);
}

void pl_config_learn(struct pl_track *t, uint64_t offset, const uint8_t *data, uint32_t n,
                     uint8_t how)
{
    for (uint32_t i = 0; i < n && offset + i < t->config_cap; i++) {
        t->config[offset + i] = data[i];
        t->config_known[offset + i] = how;
    }
}

void pl_config_read(struct pl_oracle *o, struct pl_track *t, const struct pl_msg *req,
                    const struct pl_msg *resp)
{
    if (o->out_of_order && !t->resetting)
        pl_config_read_out_of_order(t, resp);
    if (t->resetting || o->out_of_order || !within(t, req) ||
        resp->data_len != resp->f[PL_F_length] || resp->f[PL_F_offset] != req->f[PL_F_offset])
        return;
    uint32_t gen = (uint32_t)resp->f[PL_F_generation];
    bool alone = t->gen_kept && gen != t->gen && !t->after_write && !t->wrote;
    pl_gen_history(o, t, gen, PL_GET_CONFIG);
    pl_gen_after_write(o, t, gen);
    pl_gen_event_stale(o, t, gen);
    pl_gen_event_read(o, t, gen);
    pl_config_change_read(o, t, resp);
    pl_config_check_frozen(t, resp);
    pl_config_first(o, t, resp);
    pl_gen_note(o, t, gen);
    t->restless |= alone;
    t->late += alone;
    judge_bytes(o, t, resp);
    pl_config_learn(t, resp->f[PL_F_offset], resp->data, resp->data_len, READ);
    t->noop_since = false;
}

static uint32_t hash_bytes(const uint8_t *data, uint32_t n)
{
    uint32_t h = 2166136261u;
    for (uint32_t i = 0; i < n; i++)
        h = (h ^ data[i]) * 16777619u;
    return h;
}

static bool same_write(const struct pl_track *t, int i, const struct pl_msg *req, uint32_t hash)
{
    return t->write_known[i] && t->write_offset[i] == req->f[PL_F_offset] &&
           t->write_len[i] == req->f[PL_F_length] && t->write_hash[i] == hash && t->status.n == 1 &&
           t->write_status[i] == t->status.v[0];
}

/* Baseline: the same write with another generation must meet the same answer. */
static void judge_baseline(struct pl_oracle *o, struct pl_track *t, const struct pl_msg *req,
                           bool applied)
{
    uint32_t hash = hash_bytes(req->data, req->data_len);
    uint32_t gen = (uint32_t)req->f[PL_F_generation];
    if (same_write(t, !applied, req, hash) && t->write_gen[!applied] != gen)
        pl_broken(o, PL_P_config_baseline,
                  "the same SET_CONFIG is %s with generation 0x%" PRIx32 " and %s with 0x%" PRIx32,
                  applied ? "applied" : "rejected", gen, applied ? "rejected" : "applied",
                  t->write_gen[!applied]);
    else if (applied && same_write(t, 1, req, hash) && t->write_gen[1] != gen)
        pl_held(o, PL_P_config_baseline);
    int i = applied;
    t->write_known[i] = t->status.n == 1 && !t->status.any;
    t->write_gen[i] = gen;
    t->write_offset[i] = (uint32_t)req->f[PL_F_offset];
    t->write_len[i] = (uint32_t)req->f[PL_F_length];
    t->write_hash[i] = hash;
    t->write_status[i] = t->status.n ? t->status.v[0] : 0;
}

static void judge_strict(struct pl_oracle *o, struct pl_track *t, const struct pl_msg *req,
                         bool applied)
{
    uint32_t gen = (uint32_t)req->f[PL_F_generation];
    if (!t->gen_known || gen == t->gen)
        return;
    if (applied)
        pl_broken(o, PL_P_config_strict,
                  "SET_CONFIG with generation 0x%" PRIx32
                  " was applied where the current one is 0x%" PRIx32,
                  gen, t->gen);
    else
        pl_held(o, PL_P_config_strict);
}

/* Did the write, as far as is known, alter any byte? */
bool pl_config_alters(const struct pl_track *t, const struct pl_msg *req)
{
    for (uint32_t i = 0; i < req->data_len; i++) {
        uint64_t at = req->f[PL_F_offset] + i;
        if (at >= t->config_cap || !t->config_known[at] || t->config[at] != req->data[i])
            return true;
    }
    return false;
}

static void apply_write(struct pl_oracle *o, struct pl_track *t, const struct pl_msg *req,
                        const struct pl_msg *resp)
{
    t->frozen_valid = false;
    for (uint32_t i = 0; i < req->data_len && req->f[PL_F_offset] + i < t->config_cap; i++)
        t->first_known[req->f[PL_F_offset] + i] = 0;
    if (pl_config_alters(t, req)) {
        t->wrote = true;
        t->wrote_offset = (uint32_t)req->f[PL_F_offset];
        t->wrote_len = req->data_len;
        t->change_unread = false;
    }
    pl_gen_note(o, t, (uint32_t)resp->f[PL_F_generation]);
    pl_config_learn(t, req->f[PL_F_offset], req->data, req->data_len, WRITTEN);
}

void pl_config_written(struct pl_oracle *o, struct pl_track *t, const struct pl_msg *req,
                       const struct pl_msg *resp)
{
    if (!resp || t->resetting || o->out_of_order) {
        if (!resp)
            pl_config_overtaken(t, req);
        bool pending = t->change_pending;
        pl_config_forget(t);
        t->change_pending = pending;
        t->gen_kept = false;
        return;
    }

    t->last_mismatch = t->gen_known && req->f[PL_F_generation] != t->gen;
    uint32_t gen = (uint32_t)resp->f[PL_F_generation];
    bool nonzero = req->f[PL_F_length] != 0;
    bool applied = nonzero && resp->f[PL_F_length] == req->f[PL_F_length];
    t->noop_since |= !nonzero;
    if (t->last_mismatch)
        pl_held(o, PL_P_config_event_mismatch);
    if (nonzero && within(t, req) && req->form == PL_FORM_OK) {
        if (o->strict)
            judge_strict(o, t, req, applied);
        else
            judge_baseline(o, t, req, applied);
    }
    if (!applied && (req->form == PL_FORM_OK))
        pl_config_freeze(t, req, nonzero ? PL_P_config_whole : PL_P_config_noop);
    bool moved = t->gen_known && gen != t->gen;
    if (applied && moved)
        t->n_history = 0; /* the write itself may have changed it, and changed it back */
    pl_gen_history(o, t, gen, PL_SET_CONFIG);
    t->after_write = applied;
    t->write_moved = moved;
    pl_gen_event_stale(o, t, gen);
    if (applied) {
        t->event_unread = false; /* from here on reads show the write's generation */
        apply_write(o, t, req, resp);
    } else {
        pl_gen_note(o, t, gen);
    }
}
