/* The configuration space: bytes as last seen, the generation, and the events that report changes.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "oracle/private.h"

enum { READ = 1, WRITTEN = 2, CONFIG_CAP = 1 << 16, STALE_SURE = 3, EVENT_SURE = 2 };

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

static void forget_bytes(struct pl_track *t)
{
    if (t->config_cap)
        memset(t->config_known, 0, t->config_cap);
}

void pl_config_forget(struct pl_track *t)
{
    forget_bytes(t);
    t->gen_known = false;
    t->n_history = 0;
    t->change_pending = t->change_unread = t->event_stale = t->event_unread = false;
    t->event_wrong = 0;
    t->first_valid = t->frozen_valid = t->suspect = false;
    t->write_known[0] = t->write_known[1] = false;
    t->wrote = t->after_write = false;
}

/* Is offset + length, in 64 bits, within what GET_DEVICE_INFO reported? */
static bool within(const struct pl_track *t, const struct pl_msg *req)
{
    return t->info.kind != PL_NONE &&
           req->f[PL_F_offset] + req->f[PL_F_length] <= t->info.f[PL_F_config_size];
}

/*
 * Three reports in a row with nothing in between that could change it: g, other, g. The one in the
 * middle cannot have been current.
 */
static void judge_history(struct pl_oracle *o, struct pl_track *t, uint32_t gen, enum pl_kind kind)
{
    if (t->n_history == 3) {
        memmove(t->history, t->history + 1, 2 * sizeof(t->history[0]));
        memmove(t->history_kind, t->history_kind + 1, 2 * sizeof(t->history_kind[0]));
        t->n_history = 2;
    }
    t->history[t->n_history] = gen;
    t->history_kind[t->n_history++] = kind;
    enum pl_predicate own = kind == PL_GET_CONFIG ? PL_P_gen_get : PL_P_gen_set;
    if (t->n_history == 3 && t->history[0] == gen && t->history[1] != gen) {
        enum pl_kind middle = t->history_kind[1];
        enum pl_predicate whose = middle == PL_GET_CONFIG   ? PL_P_gen_get
                                  : middle == PL_SET_CONFIG ? PL_P_gen_set
                                                            : PL_P_gen_event;
        const char *form = "%s carried generation 0x%" PRIx32 ", but it is 0x%" PRIx32
                           " before and after with no change in between";
        pl_broken(o, whose, form, pl_kind_names[middle], t->history[1], gen);
        if (whose != PL_P_gen_event)
            pl_broken(o, PL_P_gen_current, form, pl_kind_names[middle], t->history[1], gen);
        return;
    }
    if (kind != PL_EVENT_CONFIG)
        pl_held(o, own);
    pl_held(o, PL_P_gen_current);
}

/*
 * Reads that contradict the event before them, again and again, while the event's value stands
 * still and the real one moves (or the other way round): the event does not carry the current one.
 */
static void judge_event_read(struct pl_oracle *o, struct pl_track *t, uint32_t gen)
{
    if (!t->event_unread)
        return;
    t->event_unread = false;
    if (t->event_gen == gen) {
        t->event_wrong = 0;
        pl_held(o, PL_P_gen_event);
        return;
    }
    bool moved = t->event_wrong && gen != t->event_wrong_gen;
    t->event_wrong_gen = gen;
    if (++t->event_wrong < EVENT_SURE || !moved)
        return;
    t->event_wrong = 0;
    pl_broken(o, PL_P_gen_event,
              "EVENT_CONFIG says generation 0x%" PRIx32 ", the next read 0x%" PRIx32
              ", as different as each time before",
              t->event_gen, gen);
}

/*
 * A response that always carries the generation from before its own write: every read after a write
 * differs from the write's answer, while reads among themselves agree. Once proves nothing.
 */
static void judge_write_generation(struct pl_oracle *o, struct pl_track *t, uint32_t gen)
{
    if (!t->gen_known)
        return;
    if (t->after_write) {
        t->write_stale += gen != t->gen;
        t->write_right += gen == t->gen && t->write_moved;
    } else {
        t->read_same += gen == t->gen;
        t->read_differs += gen != t->gen;
    }
    t->after_write = false;
    if (t->write_stale < STALE_SURE || t->write_right || t->read_differs ||
        t->read_same < STALE_SURE)
        return;
    const char *text = "each applied SET_CONFIG was answered with a generation that the next "
                       "GET_CONFIG contradicts";
    pl_broken(o, PL_P_gen_set, "%s", text);
    pl_broken(o, PL_P_gen_current, "%s", text);
    t->write_stale = 0;
}

/* Any report of the generation: a restart at a lower value is a permission that was used. */
static void note_generation(struct pl_oracle *o, struct pl_track *t, uint32_t gen)
{
    if (t->gen_seen && gen < t->gen)
        pl_used(o, PL_P_gen_restart);
    t->gen_seen = true;
    if (!t->gen_known || t->gen != gen)
        forget_bytes(t);
    t->gen_known = true;
    t->gen = gen;
}

static void judge_event_generation(struct pl_oracle *o, struct pl_track *t, uint32_t gen)
{
    if (!t->event_stale)
        return;
    t->event_stale = false;
    if (gen != t->gen_before)
        pl_broken(o, PL_P_gen_event,
                  "EVENT_CONFIG reported a change with generation 0x%" PRIx32
                  ", the one from before it; it is 0x%" PRIx32,
                  t->gen_before, gen);
}

/* Does the range that was read cover what control changed? */
static bool covers(uint64_t offset, uint64_t length, const struct pl_track *t)
{
    return offset <= t->change_offset &&
           offset + length >= (uint64_t)t->change_offset + t->change_len;
}

static void judge_change(struct pl_oracle *o, struct pl_track *t, const struct pl_msg *resp)
{
    if (!t->change_unread || !covers(resp->f[PL_F_offset], resp->data_len, t))
        return;
    t->change_unread = false;
    const uint8_t *now = resp->data + (t->change_offset - resp->f[PL_F_offset]);
    bool same = memcmp(now, t->change_bytes, t->change_len) == 0;
    uint32_t gen = (uint32_t)resp->f[PL_F_generation];
    if (t->change_large) {
        if (same)
            pl_held(o, PL_P_config_available);
        else if (!t->suspect) { /* unless it has changed once more */
            t->suspect = true;
            t->frozen_by = PL_P_config_available;
            snprintf(t->suspect_text, sizeof(t->suspect_text),
                     "GET_CONFIG does not show the data that changed and did not fit into "
                     "EVENT_CONFIG");
        }
    }
    if (t->change_real && t->change_before_known && same) {
        if (gen == t->gen_before)
            pl_broken(o, PL_P_gen_changes,
                      "the device changed its configuration and the generation is still 0x%" PRIx32,
                      gen);
        else
            pl_held(o, PL_P_gen_changes);
    }
}

/* --- the first version since the reset: its generation belongs to it alone --- */

static void judge_first(struct pl_oracle *o, struct pl_track *t, const struct pl_msg *resp)
{
    uint64_t offset = resp->f[PL_F_offset];
    uint32_t gen = (uint32_t)resp->f[PL_F_generation];
    if (!t->first_valid) {
        t->first_valid = true;
        t->first_gen = gen;
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
static void read_out_of_order(struct pl_track *t, const struct pl_msg *resp)
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

static void check_frozen(struct pl_track *t, const struct pl_msg *resp)
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
            forget_bytes(t);
            break;
        }
        if (known == READ && t->config[at] != resp->data[i]) {
            pl_broken(o, t->noop_since ? PL_P_config_noop : PL_P_gen_changes,
                      "byte %" PRIu64 " read 0x%02x and now 0x%02x, both at generation 0x%" PRIx32,
                      at, t->config[at], resp->data[i], t->gen);
            forget_bytes(t);
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

static void learn_bytes(struct pl_track *t, uint64_t offset, const uint8_t *data, uint32_t n,
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
        read_out_of_order(t, resp);
    if (t->resetting || o->out_of_order || !within(t, req) ||
        resp->data_len != resp->f[PL_F_length] || resp->f[PL_F_offset] != req->f[PL_F_offset])
        return;
    uint32_t gen = (uint32_t)resp->f[PL_F_generation];
    judge_history(o, t, gen, PL_GET_CONFIG);
    judge_write_generation(o, t, gen);
    judge_event_generation(o, t, gen);
    judge_event_read(o, t, gen);
    judge_change(o, t, resp);
    check_frozen(t, resp);
    judge_first(o, t, resp);
    note_generation(o, t, gen);
    judge_bytes(o, t, resp);
    learn_bytes(t, resp->f[PL_F_offset], resp->data, resp->data_len, READ);
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
static bool alters(const struct pl_track *t, const struct pl_msg *req)
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
    if (alters(t, req)) {
        t->wrote = true;
        t->wrote_offset = (uint32_t)req->f[PL_F_offset];
        t->wrote_len = req->data_len;
        t->change_unread = false;
    }
    note_generation(o, t, (uint32_t)resp->f[PL_F_generation]);
    learn_bytes(t, req->f[PL_F_offset], req->data, req->data_len, WRITTEN);
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
    judge_history(o, t, gen, PL_SET_CONFIG);
    t->after_write = applied;
    t->write_moved = moved;
    judge_event_generation(o, t, gen);
    if (applied)
        apply_write(o, t, req, resp);
    else
        note_generation(o, t, gen);
}

/* --- EVENT_CONFIG --- */

/* A request of this kind under way; `mismatch`: with another generation than the current. */
static const struct pl_msg *waiting_for(const struct pl_oracle *o, const struct pl_track *t,
                                        enum pl_kind kind, bool *mismatch)
{
    for (unsigned i = 0; i < PL_SLOTS; i++) {
        const struct pl_slot *slot = &o->slots[i];
        if (slot->state != PL_SLOT_WAITING || slot->req.dev_num != t->dev_num ||
            slot->req.kind != kind)
            continue;
        if (mismatch)
            *mismatch = t->gen_known && slot->req.f[PL_F_generation] != t->gen;
        return &slot->req;
    }
    return NULL;
}

/* Is something under way that had to be discarded, and may have caused this instead? */
static bool discard_waiting(struct pl_oracle *o, struct pl_track *t)
{
    for (unsigned i = 0; i < PL_SLOTS; i++) {
        enum pl_predicate p;
        const struct pl_slot *slot = &o->slots[i];
        if (slot->state == PL_SLOT_WAITING && slot->req.form != PL_FORM_RUNT && !slot->req.bus &&
            slot->req.dev_num == t->dev_num &&
            pl_classify(o, t, &slot->req, &p) == PL_MUST_DISCARD &&
            slot->req.kind != PL_EVENT_AVAIL)
            return true;
    }
    return false;
}

static bool status_waiting_has(const struct pl_oracle *o, const struct pl_track *t, uint64_t status)
{
    for (unsigned i = 0; i < PL_SLOTS; i++) {
        const struct pl_slot *slot = &o->slots[i];
        if (slot->state == PL_SLOT_WAITING && slot->req.dev_num == t->dev_num &&
            slot->req.kind == PL_SET_DEVICE_STATUS && slot->req.f[PL_F_status] == status)
            return true;
    }
    return false;
}

/* A device can turn DEVICE_NEEDS_RESET on; any other new status must have been written. */
static bool status_possible(const struct pl_oracle *o, const struct pl_track *t, uint32_t status)
{
    if (t->resetting || t->status.any || status_waiting_has(o, t, status) ||
        waiting_for(o, t, PL_SET_DEVICE_STATUS, NULL))
        return true;
    for (unsigned i = 0; i < t->status.n; i++)
        if (status == t->status.v[i] || status == (t->status.v[i] | PL_C_STATUS_DEVICE_NEEDS_RESET))
            return true;
    return t->last_kind == PL_SET_DEVICE_STATUS; /* sent before that write was processed */
}

static bool bytes_differ(const struct pl_track *t, const struct pl_msg *ev)
{
    for (uint32_t i = 0; i < ev->data_len; i++) {
        uint64_t at = ev->f[PL_F_offset] + i;
        if (at < t->config_cap && (!t->config_known[at] || t->config[at] != ev->data[i]))
            return true;
    }
    return false;
}

static bool reports_own_write(const struct pl_oracle *o, const struct pl_track *t,
                              const struct pl_msg *ev)
{
    uint64_t first = ev->f[PL_F_offset], end = first + ev->f[PL_F_length];
    bool mismatch = false;
    const struct pl_msg *write = waiting_for(o, t, PL_SET_CONFIG, &mismatch);
    if (write && !(o->strict && mismatch) && write->data_len && alters(t, write))
        return true;
    return t->wrote && (end == first || (first < (uint64_t)t->wrote_offset + t->wrote_len &&
                                         end > t->wrote_offset));
}

static void blame_spurious(struct pl_oracle *o, struct pl_track *t)
{
    bool mismatch = false;
    bool waiting_config = waiting_for(o, t, PL_SET_CONFIG, &mismatch) != NULL;
    bool waiting_status = waiting_for(o, t, PL_SET_DEVICE_STATUS, NULL) != NULL;
    const char *what = "EVENT_CONFIG with neither a new status nor a new generation";
    if (!waiting_status && discard_waiting(o, t)) {
        pl_broken(o, PL_P_discarded, "%s follows a message that had to be discarded", what);
    } else if (waiting_status || (!waiting_config && t->last_kind == PL_SET_DEVICE_STATUS)) {
        pl_broken(o, PL_P_status_event, "%s follows a status write of the driver", what);
        pl_broken(o, PL_P_event_status_origin, "%s follows a status write of the driver", what);
    } else if ((waiting_config && mismatch) ||
               (t->last_kind == PL_SET_CONFIG && t->last_mismatch)) {
        pl_broken(o, PL_P_config_event_mismatch,
                  "%s follows a SET_CONFIG that carried another generation", what);
    } else {
        pl_broken(o, PL_P_event_status_origin, "%s came with no change that it could report", what);
    }
}

/* What of the change is still to be reported once this event is counted? */
static bool change_covered(struct pl_track *t, const struct pl_msg *ev)
{
    uint64_t first = ev->f[PL_F_offset], end = first + ev->f[PL_F_length];
    bool left = false;
    for (uint32_t i = 0; i < t->change_len; i++) {
        uint64_t at = (uint64_t)t->change_offset + i;
        bool same = at - first >= ev->data_len || ev->data[at - first] == t->change_bytes[i];
        if (end == first || (at >= first && at < end && same))
            t->change_left[i] = 0;
        left |= t->change_left[i];
    }
    return !left;
}

/* A change that control asked for is being reported. */
static void report_change(struct pl_oracle *o, struct pl_track *t, const struct pl_msg *ev)
{
    uint32_t gen = (uint32_t)ev->f[PL_F_generation];
    if (change_covered(t, ev)) {
        pl_held(o, PL_P_config_reported);
        t->change_pending = false;
    }
    if (t->change_real && t->change_before_known) {
        t->event_stale = gen == t->gen_before;
        if (!t->event_stale)
            pl_held(o, PL_P_gen_event);
    }
    if (o->strict && t->change_large && !ev->data_len) {
        if (covers(ev->f[PL_F_offset], ev->f[PL_F_length], t))
            pl_held(o, PL_P_event_range);
        else
            pl_broken(o, PL_P_event_range,
                      "bytes %" PRIu32 " to %" PRIu32 " changed, EVENT_CONFIG names offset %" PRIu64
                      " and length %" PRIu64,
                      t->change_offset, t->change_offset + t->change_len - 1, ev->f[PL_F_offset],
                      ev->f[PL_F_length]);
    }
}

static void judge_status_event(struct pl_oracle *o, struct pl_track *t, const struct pl_msg *ev)
{
    if (ev->f[PL_F_offset] == 0 && ev->f[PL_F_length] == 0)
        pl_held(o, PL_P_event_status_only);
    else
        pl_broken(o, PL_P_event_status_only,
                  "only the status changed, EVENT_CONFIG names offset %" PRIu64
                  " and length %" PRIu64,
                  ev->f[PL_F_offset], ev->f[PL_F_length]);
    pl_held(o, PL_P_event_status_origin);
    for (unsigned i = 0; i < t->status.n; i++)
        t->status.v[i] |= (uint32_t)(ev->f[PL_F_device_status] & PL_C_STATUS_DEVICE_NEEDS_RESET);
}

void pl_config_event(struct pl_oracle *o, struct pl_track *t, const struct pl_msg *ev)
{
    uint32_t gen = (uint32_t)ev->f[PL_F_generation];
    uint32_t status = (uint32_t)ev->f[PL_F_device_status];
    if (t->resetting || t->status.any)
        goto learn;
    bool new_status = !pl_status_has(&t->status, status) && !status_waiting_has(o, t, status);
    bool new_gen = !t->gen_known || gen != t->gen;
    if (!status_possible(o, t, status)) {
        if (discard_waiting(o, t))
            pl_broken(o, PL_P_discarded,
                      "an EVENT_CONFIG follows a message that had to be discarded");
        else
            pl_broken(o, PL_P_event_status_origin,
                      "EVENT_CONFIG says status 0x%" PRIx32 ", which it is not", status);
    }
    if (!ev->f[PL_F_offset] && !ev->f[PL_F_length] && !ev->data_len && !new_status)
        pl_used(o, PL_P_event_generic);
    if (!t->change_pending)
        t->change_unread = false; /* the device has gone on by itself */
    if (t->change_pending) {
        report_change(o, t, ev);
    } else if (!new_gen && !new_status && !reports_own_write(o, t, ev) && !bytes_differ(t, ev)) {
        blame_spurious(o, t);
        return;
    } else if (t->gen_known && !new_gen && new_status && !t->wrote) {
        judge_status_event(o, t, ev);
    }
    for (unsigned i = 0; i < t->status.n; i++)
        t->status.v[i] |= status & (uint32_t)PL_C_STATUS_DEVICE_NEEDS_RESET;
learn:
    t->frozen_valid = t->suspect = false;
    t->event_unread = true;
    t->event_gen = gen;
    if (!ev->f[PL_F_length] && !ev->data_len && !t->resetting)
        judge_history(o, t, gen, PL_EVENT_CONFIG);
    else
        t->n_history = 0;
    t->after_write = t->gen_known = false;
    t->wrote = false;
    note_generation(o, t, gen);
    if (ev->data_len == ev->f[PL_F_length])
        learn_bytes(t, ev->f[PL_F_offset], ev->data, ev->data_len, READ);
}
