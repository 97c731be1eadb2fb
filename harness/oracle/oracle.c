/* The oracle's life: making, starting anew, what the harness tells it, and what can be asked of it.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "oracle/bus.h"
#include "oracle/drv.h"
#include "oracle/drv_ring.h"
#include "oracle/private.h"
#include "wire/spare.h"

enum { UNSEEN_CHANGES = 4 }; /* that an IUT may still report when it is met midway */

static struct pl_spare spare_track;

extern const struct pl_clauses *const pl_clause_tables[]; /* generated; NULL ends */

const struct pl_clauses *pl_clauses_find(const struct pl_spec *spec)
{
    for (size_t i = 0; pl_clause_tables[i]; i++)
        if (pl_clause_tables[i]->spec == spec)
            return pl_clause_tables[i];
    return NULL;
}

size_t pl_clauses_count(const struct pl_clauses *clauses)
{
    return clauses->n;
}

const struct pl_clause_def *pl_clauses_get(const struct pl_clauses *clauses, size_t i)
{
    return &clauses->defs[i];
}

int pl_clauses_index(const struct pl_clauses *clauses, const char *id)
{
    for (size_t i = 0; i < clauses->n; i++)
        if (strcmp(clauses->defs[i].id, id) == 0)
            return (int)i;
    return -1;
}

enum pl_iut pl_iut_of(const char *role)
{
    return role && strcmp(role, "driver") == 0 ? PL_IUT_DRIVER
           : role && strcmp(role, "bus") == 0  ? PL_IUT_BUS
                                               : PL_IUT_DEVICE;
}

struct pl_oracle *pl_oracle_new(const struct pl_spec *spec, pl_fail_fn *fail, void *opaque)
{
    return pl_oracle_new_for(spec, PL_IUT_DEVICE, fail, opaque);
}

struct pl_oracle *pl_oracle_new_for(const struct pl_spec *spec, enum pl_iut iut, pl_fail_fn *fail,
                                    void *opaque)
{
    const struct pl_clauses *clauses = pl_clauses_find(spec);
    struct pl_oracle *o = clauses ? calloc(1, sizeof(*o)) : NULL;
    if (!o)
        return NULL;
    o->spec = spec;
    o->clauses = clauses;
    o->fail = fail;
    o->opaque = opaque;
    o->iut = iut;
    o->states = calloc(clauses->n, sizeof(*o->states));
    o->met = calloc(clauses->n, sizeof(*o->met));
    o->drv = iut == PL_IUT_DRIVER ? pl_drv_new(o) : NULL;
    o->drv_ring = iut == PL_IUT_DRIVER ? pl_drv_ring_new() : NULL;
    o->bus = iut == PL_IUT_BUS ? pl_bus_judge_new() : NULL;
    if (!o->states || !o->met || (iut == PL_IUT_DRIVER && (!o->drv || !o->drv_ring)) ||
        (iut == PL_IUT_BUS && !o->bus)) {
        pl_oracle_free(o);
        return NULL;
    }
    pl_oracle_start(o, spec->recommended_max_msg_size, 0);
    return o;
}

static void free_tracks(struct pl_oracle *o)
{
    for (unsigned i = 0; i < o->n_tracks; i++) {
        struct pl_track *t = o->tracks[i];
        free(t->info_bytes);
        free(t->config);
        free(t->config_known);
        free(t->change_bytes);
        free(t->change_left);
        free(t->first);
        free(t->first_known);
        free(t->frozen);
        free(t->frozen_known);
        pl_spare_give(&spare_track, t, sizeof(*t));
    }
    o->n_tracks = 0;
}

void pl_oracle_free(struct pl_oracle *o)
{
    if (!o)
        return;
    free_tracks(o);
    for (unsigned i = 0; i < PL_SLOTS; i++)
        free(o->slots[i].copy);
    pl_drv_free(o->drv);
    pl_drv_ring_free(o->drv_ring);
    pl_bus_judge_free(o->bus);
    free(o->numbers);
    free(o->states);
    free(o->met);
    free(o);
}

void pl_oracle_start(struct pl_oracle *o, uint32_t max_msg_size, uint32_t transport_features)
{
    free_tracks(o);
    for (unsigned i = 0; i < PL_SLOTS; i++)
        o->slots[i].state = PL_SLOT_FREE;
    o->max_msg_size = max_msg_size;
    o->strict = transport_features >> PL_C_TF_STRICT_CONFIG_GENERATION & 1;
    if (o->drv) {
        pl_drv_start(o);
        pl_drv_ring_start(o);
    }
    if (o->bus)
        pl_bus_judge_start(o);
}

void pl_oracle_renew(struct pl_oracle *o)
{
    for (size_t i = 0; i < o->n_met; i++)
        memset(&o->states[o->met[i]], 0, sizeof(*o->states));
    if (o->unmet)
        memset(o->states, 0, o->clauses->n * sizeof(*o->states));
    o->n_met = 0;
    o->unmet = false;
    memset(o->answered, 0, sizeof(o->answered));
    memset(o->missed, 0, sizeof(o->missed));
    memset(o->missed_by, 0, sizeof(o->missed_by));
    memset(o->own_ids, 0, sizeof(o->own_ids));
    o->n_own_ids = o->next_slot = 0;
    o->seq = o->first_open = 0;
    o->serves = o->out_of_order = o->midway = false;
    o->idle_before = o->idle_reset = o->idle_queue = 0;
    o->features_tried = o->features_taken = 0;
    if (o->drv)
        pl_drv_renew(o);
}

void pl_oracle_midway(struct pl_oracle *o)
{
    o->midway = true;
    for (unsigned i = 0; i < o->n_tracks; i++)
        o->tracks[i]->moved_unreported = UNSEEN_CHANGES;
}

void pl_oracle_driver(struct pl_oracle *o, uint16_t dev_num, const char *words)
{
    if (!o->drv)
        return;
    pl_drv_told(o, dev_num, words);
    pl_drv_ring_told(o, dev_num, words);
}

bool pl_oracle_driver_ring(struct pl_oracle *o, uint16_t dev_num, uint32_t index, const char *words)
{
    if (o->drv)
        pl_drv_ring_seen(o, dev_num, index, words);
    return o->drv != NULL;
}

struct pl_track *pl_track_get(struct pl_oracle *o, uint16_t dev_num)
{
    for (unsigned i = 0; i < o->n_tracks; i++)
        if (o->tracks[i]->dev_num == dev_num)
            return o->tracks[i];
    struct pl_track *t = o->n_tracks < PL_DEVICES ? pl_spare_take(&spare_track, sizeof(*t)) : NULL;
    if (!t)
        return NULL;
    /* Queues are most of it, and each is cleared when it is first met. */
    size_t behind = offsetof(struct pl_track, queues) + sizeof(t->queues);
    memset(t, 0, offsetof(struct pl_track, queues));
    memset((char *)t + behind, 0, sizeof(*t) - behind);
    t->dev_num = dev_num;
    t->status.any = true;
    t->ring_reset = PL_UNSURE;
    t->selection_odd = true;
    t->moved_unreported = o->midway ? UNSEEN_CHANGES : 0;
    o->tracks[o->n_tracks++] = t;
    return t;
}

void pl_track_reset(struct pl_track *t)
{
    t->resetting = false;
    t->was_reset = true;
    t->written_since_reset = t->told_fresh = t->needs_reset_asked = false;
    t->reset_untold = t->reset_told = t->disordered = false;
    pl_suspend_reset(t);
    pl_status_one(&t->status, 0);
    memset(t->selected, 0, sizeof(t->selected));
    t->selected_known = 0;
    t->selection_odd = false;
    t->last_block = 0;
    t->way = 2166136261u;
    t->had_needs_reset = t->reset_bit_unreported = false;
    t->agreed_seq = t->seq + 1;
    t->ring_reset = PL_NO;
    t->other_kind = PL_NONE;
    for (unsigned i = 0; i < t->n_queues; i++)
        pl_queue_reset(&t->queues[i], true);
    pl_config_forget(t);
    t->late = t->racing ? t->late : 0;
}

void pl_track_forget(struct pl_track *t)
{
    t->status.any = true;
    t->status.n = 0;
    t->told_fresh = t->needs_reset_asked = t->reset_untold = t->reset_told = false;
    t->selection_odd = true;
    pl_suspend_reset(t);
    t->ring_reset = PL_UNSURE;
    t->other_kind = PL_NONE;
    for (unsigned i = 0; i < t->n_queues; i++)
        pl_queue_reset(&t->queues[i], false);
    pl_config_forget(t);
}

/* The change is due in an event unless it alters nothing that anybody has seen. */
void pl_oracle_config_changed(struct pl_oracle *o, uint16_t dev_num, uint32_t offset,
                              const void *bytes, size_t size)
{
    struct pl_track *t = pl_track_get(o, dev_num);
    if (!t || !size || pl_suspend_change(t, offset, bytes, size))
        return;
    if (size > t->change_cap) {
        uint8_t *copy = realloc(t->change_bytes, size);
        if (copy)
            t->change_bytes = copy;
        uint8_t *left = realloc(t->change_left, size);
        if (left)
            t->change_left = left;
        if (!copy || !left)
            return;
        t->change_cap = (uint32_t)size;
    }
    const struct pl_message_def *event = pl_spec_message(o->spec, PL_EVENT_CONFIG);
    memcpy(t->change_bytes, bytes, size);
    t->racing = false; /* behind a fence, what comes next reports this */
    t->change_offset = offset;
    t->change_len = (uint32_t)size;
    t->change_real = false;
    for (uint32_t i = 0; i < size; i++) {
        t->change_left[i] = offset + i < t->config_cap && t->config_known[offset + i] &&
                            t->config[offset + i] != t->change_bytes[i];
        t->change_real |= t->change_left[i];
    }
    t->change_large =
        event && (size_t)o->spec->header.size + event->request->size + size > o->max_msg_size;
    t->change_pending = t->change_real && pl_status_never(&t->status, 0) && !t->resetting &&
                        !t->disordered && t->status.n && t->status.v[0] != 0;
    t->late++;
    t->gen_kept = false;
    t->change_unread = true;
    t->change_before_known = t->gen_known;
    t->gen_before = t->gen;
    t->n_history = 0;
    t->gen_known = false;
    t->after_write = false;
    t->frozen_valid = t->suspect = t->event_unread = false;
    for (uint32_t i = 0; i < t->config_cap; i++)
        t->config_known[i] = 0;
}

void pl_oracle_needs_reset(struct pl_oracle *o, uint16_t dev_num)
{
    struct pl_track *t = pl_track_get(o, dev_num);
    if (t)
        t->needs_reset_asked = true;
}

void pl_oracle_racing(struct pl_oracle *o, uint16_t dev_num)
{
    struct pl_track *t = pl_track_get(o, dev_num);
    if (!t)
        return;
    pl_config_forget(t);
    t->racing = true;
    t->gen_kept = false;
    t->late++;
}

void pl_oracle_retract(struct pl_oracle *o, uint16_t dev_num)
{
    struct pl_track *t = pl_track_get(o, dev_num);
    if (!t)
        return;
    t->change_pending = t->change_unread = t->needs_reset_asked = t->reset_untold = false;
    t->late -= t->late > 0;
}

void pl_oracle_expected(struct pl_oracle *o, size_t clause, bool held, const char *text)
{
    pl_applied(o, clause);
    o->states[clause].failed += !held;
    if (!held && o->fail)
        o->fail(o->opaque, clause, text);
}

void pl_oracle_reset_stuck(struct pl_oracle *o, uint16_t dev_num)
{
    struct pl_track *t = pl_track_get(o, dev_num);
    pl_broken(o, PL_P_reset_completes, "status 0 was written and is still not reported");
    if (t)
        t->resetting = false;
}

void pl_oracle_devices(struct pl_oracle *o, const uint16_t *numbers, size_t n)
{
    free(o->numbers);
    o->numbers = n ? malloc(n * sizeof(*numbers)) : NULL;
    o->n_numbers = o->numbers ? n : 0;
    if (o->numbers && n)
        memcpy(o->numbers, numbers, n * sizeof(*numbers));
}

unsigned pl_oracle_events_owed(const struct pl_oracle *o)
{
    unsigned n = 0;
    for (unsigned i = 0; i < o->n_tracks; i++) {
        const struct pl_track *t = o->tracks[i];
        bool explains = t->suspect && t->restless; /* a change of its own that is not told yet */
        n += (unsigned)t->change_pending + (unsigned)t->reset_untold + (unsigned)explains +
             (unsigned)(t->resumed_untold && t->suspend == PL_RUNNING);
    }
    return n;
}

static void relabel_kind(struct pl_oracle *o, enum pl_kind kind,
                         void (*relabel)(void *, const char *, size_t, size_t))
{
    const uint16_t *from = o->clauses->by_predicate[PL_P_implemented];
    const uint16_t *to = o->clauses->by_predicate[o->missed_by[kind]];
    if (*from == UINT16_MAX || *to == UINT16_MAX)
        return;
    o->unmet = true;
    o->states[*from].failed -= o->missed[kind];
    o->states[*from].applied -= o->missed[kind];
    o->states[*to].failed += o->missed[kind];
    o->states[*to].applied += o->missed[kind];
    if (relabel)
        relabel(o->opaque, pl_kind_names[kind], *from, *to);
}

void pl_oracle_conclude(struct pl_oracle *o,
                        void (*relabel)(void *opaque, const char *message, size_t from, size_t to))
{
    for (int kind = 0; kind < PL_KIND_COUNT; kind++) {
        if (o->missed[kind] && o->answered[kind])
            relabel_kind(o, (enum pl_kind)kind, relabel);
        o->missed[kind] = 0;
    }
}

bool pl_oracle_never_ready(const struct pl_oracle *o)
{
    return o->features_tried && !o->features_taken;
}

void pl_oracle_add(struct pl_oracle *o, const struct pl_oracle *other)
{
    o->unmet = true;
    for (size_t i = 0; i < o->clauses->n; i++) {
        o->states[i].applied += other->states[i].applied;
        o->states[i].failed += other->states[i].failed;
        o->states[i].used |= other->states[i].used;
    }
}

const struct pl_clause_state *pl_oracle_clause(const struct pl_oracle *o, size_t clause)
{
    return &o->states[clause];
}

size_t pl_oracle_met(const struct pl_oracle *o, const uint16_t **list)
{
    *list = o->met;
    return o->n_met;
}

static const struct pl_track *find_track(const struct pl_oracle *o, uint16_t dev_num)
{
    for (unsigned i = 0; i < o->n_tracks; i++)
        if (o->tracks[i]->dev_num == dev_num)
            return o->tracks[i];
    return NULL;
}

const struct pl_msg *pl_oracle_info(const struct pl_oracle *o, uint16_t dev_num)
{
    const struct pl_track *t = find_track(o, dev_num);
    return t && t->info.kind != PL_NONE ? &t->info : NULL;
}

bool pl_oracle_status(const struct pl_oracle *o, uint16_t dev_num, uint32_t *status)
{
    const struct pl_track *t = find_track(o, dev_num);
    if (!t || t->status.any || t->status.n != 1)
        return false;
    *status = t->status.v[0];
    return true;
}

int pl_oracle_offered(const struct pl_oracle *o, uint16_t dev_num, unsigned bit)
{
    const struct pl_track *t = find_track(o, dev_num);
    if (!t || bit / 32 >= PL_BLOCKS || !(t->offered_known >> (bit / 32) & 1))
        return -1;
    return t->offered[bit / 32] >> (bit % 32) & 1;
}

int pl_oracle_selected(const struct pl_oracle *o, uint16_t dev_num, unsigned bit)
{
    const struct pl_track *t = find_track(o, dev_num);
    if (!t || t->selection_odd || bit / 32 >= PL_BLOCKS)
        return -1;
    /* What was never written since the reset is not selected. */
    return t->selected[bit / 32] >> (bit % 32) & 1;
}
