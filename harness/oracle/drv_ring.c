/* What a driver does on virtqueues: the lines of the watch on its rings, and what messages make of
 * them. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "oracle/drv.h"
#include "oracle/drv_ring.h"

enum { LUCK = 3 };

/* What the watch finds in memory by itself. */
static const struct {
    const char *name;
    enum pl_predicate predicate;
} in_memory[] = {
    {"drv_split_direction", PL_P_drv_split_direction},
    {"drv_split_bytes", PL_P_drv_split_bytes},
    {"drv_split_in_order_next", PL_P_drv_split_in_order_next},
    {"drv_split_indirect_offered", PL_P_drv_split_indirect_offered},
    {"drv_split_indirect_nested", PL_P_drv_split_indirect_nested},
    {"drv_split_long", PL_P_drv_split_long},
    {"drv_split_indirect_next", PL_P_drv_split_indirect_next},
    {"drv_split_indirect_order", PL_P_drv_split_indirect_order},
    {"drv_split_idx_back", PL_P_drv_split_idx_back},
    {"drv_split_flags", PL_P_drv_split_flags},
    {"drv_split_flags_event", PL_P_drv_split_flags_event},
    {"drv_split_used_flags_new", PL_P_drv_split_used_flags_new},
    {"drv_split_spurious", PL_P_drv_split_spurious},
    {"drv_packed_overrun", PL_P_drv_packed_overrun},
    {"drv_packed_altered", PL_P_drv_packed_altered},
    {"drv_packed_long", PL_P_drv_packed_long},
    {"drv_packed_direction", PL_P_drv_packed_direction},
    {"drv_packed_room", PL_P_drv_packed_room},
    {"drv_packed_first_last", PL_P_drv_packed_first_last},
    {"drv_packed_indirect_offered", PL_P_drv_packed_indirect_offered},
    {"drv_packed_table_flags", PL_P_drv_packed_table_flags},
    {"drv_packed_indirect_chained", PL_P_drv_packed_indirect_chained},
    {"drv_ring_altered", PL_P_drv_ring_altered},
    {"drv_ring_removed", PL_P_drv_ring_removed},
    {"drv_unset_queue", PL_P_drv_unset_queue},
    {"drv_queue_reconfigured", PL_P_drv_queue_reconfigured},
};

void pl_dring_judge(struct pl_oracle *o, enum pl_predicate p, bool held, const char *format, ...)
{
    char text[400];
    va_list args;
    if (held) {
        pl_held(o, p);
        return;
    }
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    pl_broken(o, p, "%s", text);
}

static void found(struct pl_oracle *o, bool held, const char *words)
{
    char name[64];
    int at = 0;
    if (sscanf(words, "%63s %n", name, &at) != 1)
        return;
    for (size_t i = 0; i < sizeof(in_memory) / sizeof(in_memory[0]); i++)
        if (strcmp(name, in_memory[i].name) == 0)
            pl_dring_judge(o, in_memory[i].predicate, held, "%s", at ? words + at : "");
}

/* --- chains --- */

/* Chains were looked at, and no rule on them is broken. */
static void sound_split(struct pl_oracle *o, const struct pl_dring_dev *d, const char *traits)
{
    bool in_order = pl_dring_selected(d, PL_C_F_IN_ORDER);
    bool event_idx = pl_dring_selected(d, PL_C_F_EVENT_IDX);
    pl_held(o, PL_P_drv_split_direction);
    pl_held(o, PL_P_drv_split_bytes);
    pl_held(o, PL_P_drv_split_long);
    pl_held(o, PL_P_drv_split_idx_back);
    pl_held(o, event_idx ? PL_P_drv_split_flags_event : PL_P_drv_split_flags);
    if (strchr(traits, 'i')) {
        pl_held(o, PL_P_drv_split_indirect_offered);
        pl_held(o, PL_P_drv_split_indirect_nested);
        pl_held(o, PL_P_drv_split_indirect_next);
        if (in_order)
            pl_held(o, PL_P_drv_split_indirect_order);
    } else if (in_order && strchr(traits, 'n')) {
        pl_held(o, PL_P_drv_split_in_order_next);
    }
    if (strchr(traits, 's'))
        pl_used(o, PL_P_drv_split_single);
    if (strchr(traits, 'q'))
        pl_used(o, event_idx ? PL_P_drv_split_used_event : PL_P_drv_split_no_interrupt);
}

static void sound_packed(struct pl_oracle *o, const char *traits)
{
    pl_held(o, PL_P_drv_packed_long);
    pl_held(o, PL_P_drv_packed_direction);
    pl_held(o, PL_P_drv_packed_room);
    pl_held(o, PL_P_drv_packed_first_last);
    if (strchr(traits, 'i')) {
        pl_held(o, PL_P_drv_packed_indirect_offered);
        pl_held(o, PL_P_drv_packed_table_flags);
        pl_held(o, PL_P_drv_packed_table_limit);
        pl_held(o, PL_P_drv_packed_indirect_chained);
    }
    if (strchr(traits, 'n'))
        pl_used(o, PL_P_drv_packed_batch);
}

static void chains(struct pl_oracle *o, struct pl_dring_dev *d, struct pl_dring_queue *q,
                   const char *words)
{
    const char *traits = strchr(words, '-');
    traits = traits ? traits + 1 : "";
    if (pl_dring_selected(d, PL_C_F_RING_PACKED))
        sound_packed(o, traits);
    else
        sound_split(o, d, traits);
    if (q->renewed)
        pl_held(o, PL_P_drv_queue_reconfigured);
    if (d->spurious && !pl_dring_selected(d, PL_C_F_RING_PACKED))
        pl_held(o, PL_P_drv_split_spurious);
    d->spurious = false;
    q->busy = true;
    if (strchr(traits, 'r'))
        pl_held(o, PL_P_drv_reclaims);
    if (strchr(traits, 'p'))
        pl_held(o, PL_P_drv_polls);
}

/* --- notifications --- */

static enum pl_predicate quiet_rule(const struct pl_dring_dev *d)
{
    return pl_dring_selected(d, PL_C_F_EVENT_IDX) ? PL_P_drv_split_quiet_event
                                                  : PL_P_drv_split_quiet_flags;
}

static void given(struct pl_oracle *o, const struct pl_dring_dev *d, const char *words)
{
    bool packed = pl_dring_selected(d, PL_C_F_RING_PACKED);
    pl_held(o, PL_P_drv_ring_altered);
    if (packed) {
        pl_held(o, PL_P_drv_packed_altered);
        pl_held(o, PL_P_drv_packed_overrun);
    }
    if (!strstr(words, "quiet"))
        return;
    if (!packed)
        pl_held(o, quiet_rule(d));
    pl_used(o, PL_P_drv_kick_left_out);
    if (strstr(words, "polling"))
        pl_used(o, PL_P_drv_polling_only);
}

/* What an EVENT_AVAIL that was due, or was not, is about. */
static void due_kick(struct pl_oracle *o, const struct pl_dring_dev *d, bool noise, bool held,
                     const char *why)
{
    bool packed = pl_dring_selected(d, PL_C_F_RING_PACKED);
    bool event_idx = pl_dring_selected(d, PL_C_F_EVENT_IDX);
    pl_dring_judge(o, PL_P_drv_notify, held, "%s", why);
    if (packed)
        return;
    pl_dring_judge(o, event_idx ? PL_P_drv_split_notify_event : PL_P_drv_split_notify_flags, held,
                   "%s", why);
    if (noise)
        pl_dring_judge(
            o, event_idx ? PL_P_drv_split_flags_ignored : PL_P_drv_split_avail_event_ignored, held,
            "%s", why);
}

static void place_judged(struct pl_oracle *o, const struct pl_dring_dev *d, bool held,
                         const char *why)
{
    if (!pl_dring_selected(d, PL_C_F_NOTIFICATION_DATA))
        return;
    pl_dring_judge(o, PL_P_drv_avail_offset, held, "%s", why);
    if (pl_dring_selected(d, PL_C_F_RING_PACKED))
        pl_dring_judge(o, PL_P_drv_packed_next_off, held, "%s", why);
}

static void kicked(struct pl_oracle *o, struct pl_dring_dev *d, struct pl_dring_queue *q,
                   uint32_t index, const char *words)
{
    char why[160];
    bool packed = pl_dring_selected(d, PL_C_F_RING_PACKED);
    if (strncmp(words, "ahead", 5) == 0) {
        snprintf(why, sizeof(why),
                 "queue %" PRIu32 ": next_offset and the next available place are%s", index,
                 words + 5);
        place_judged(o, d, false, why);
        return;
    }
    if (strcmp(words, "behind") == 0) {
        q->behind++;
        return;
    }
    if (q->behind == 0)
        place_judged(o, d, true, "");
    q->behind = strcmp(words, "again") == 0 ? q->behind : 0;
    d->stray = strcmp(words, "again") == 0;
    if (strncmp(words, "paid", 4) == 0) {
        due_kick(o, d, strstr(words, "noise") != NULL, true, "");
        q->owes = q->overdue = false;
    } else if (strcmp(words, "extra") == 0 && !packed) {
        pl_broken(o, quiet_rule(d),
                  "queue %" PRIu32 ": EVENT_AVAIL although the device asked for none", index);
    } else if (strcmp(words, "again") == 0 && packed) {
        pl_used(o, PL_P_drv_packed_again);
    }
}

/* --- lines --- */

static void early(struct pl_oracle *o, uint32_t index, const char *words)
{
    unsigned n = 0;
    if (sscanf(words, "%u", &n) == 1)
        pl_dring_judge(o, PL_P_drv_early_io, n == 0,
                       "queue %" PRIu32
                       ": %u requests are available and DRIVER_OK was not reported",
                       index, n);
}

/*
 * EVENT_AVAIL came while buffers had to be announced, and named a place ahead of them. It may have
 * been sent before they were there; then the one that announces them follows. With EVENT_IDX it
 * does not where the device has moved its event meanwhile: so much luck nobody has again and again.
 */
void pl_dring_settle_behind(struct pl_oracle *o, const struct pl_dring_dev *d,
                            struct pl_dring_queue *q)
{
    unsigned most = pl_dring_selected(d, PL_C_F_EVENT_IDX) ? LUCK : 0;
    const char *why = "next_offset of EVENT_AVAIL names a place ahead of the buffers that it is to "
                      "announce";
    if (q->behind > most && !d->ended) {
        place_judged(o, d, false, why);
        pl_broken(o, PL_P_drv_notify, "%s", why); /* or they are not announced at all */
    }
    q->behind = 0;
}

static void missing(struct pl_oracle *o, struct pl_dring_dev *d, struct pl_dring_queue *q,
                    uint32_t index)
{
    char why[160];
    snprintf(why, sizeof(why),
             "queue %" PRIu32 ": buffers were made available, and no EVENT_AVAIL announces them",
             index);
    if (q->owes && !q->behind) {
        due_kick(o, d, q->noise, false, why);
        if (d->stray)
            pl_broken(o, PL_P_drv_avail_index,
                      "queue %" PRIu32
                      " has buffers to be announced, and EVENT_AVAIL names another "
                      "that has none",
                      index);
    }
    q->owes = q->overdue = false;
}

void pl_dring_never(struct pl_oracle *o, struct pl_dring_dev *d, struct pl_dring_queue *q,
                    uint32_t index)
{
    if (q->overdue && !d->ended)
        missing(o, d, q, index);
    pl_dring_settle_behind(o, d, q);
}

static void settle_queue(struct pl_oracle *o, struct pl_dring_dev *d, struct pl_dring_queue *q,
                         uint32_t index)
{
    missing(o, d, q, index);
    pl_dring_settle_behind(o, d, q);
}

/* Words with nothing else to them. */
static void simple(struct pl_dring_queue *q, const char *word, const char *rest, bool ended)
{
    if (strcmp(word, "owes") == 0) {
        q->owes = !ended;
        q->noise = strstr(rest, "noise") != NULL;
    } else if (strcmp(word, "overdue") == 0) {
        q->overdue = q->owes;
    } else if (strcmp(word, "eased") == 0) {
        q->owes = q->overdue = false;
    } else if (strcmp(word, "waits") == 0) {
        q->waits = strstr(rest, "polling") ? PL_WAITS_POLLING
                   : strstr(rest, "told")  ? PL_WAITS_TOLD
                                           : PL_WAITS_NO;
        q->late = strstr(rest, "late") != NULL;
    }
}

void pl_drv_ring_seen(struct pl_oracle *o, uint16_t dev_num, uint32_t index, const char *words)
{
    struct pl_dring_dev *d = pl_dring_dev(o, dev_num);
    char word[16];
    int at = 0;
    if (!d || index >= PL_DRING_QUEUES || sscanf(words, "%15s %n", word, &at) < 1)
        return;
    struct pl_dring_queue *q = &d->queue[index];
    const char *rest = at ? words + at : "";
    if (strcmp(word, "held") == 0 || strcmp(word, "broken") == 0)
        found(o, word[0] == 'h', rest);
    else if (strcmp(word, "chains") == 0) {
        chains(o, d, q, rest);
        pl_drv_suspend_buffers(o, dev_num, index);
    } else if (strcmp(word, "given") == 0)
        given(o, d, rest);
    else if (strcmp(word, "kicked") == 0)
        kicked(o, d, q, index, rest);
    else if (strcmp(word, "early") == 0)
        early(o, index, rest);
    else if (strcmp(word, "request") == 0)
        pl_dring_block_request(o, d, rest);
    else if (strcmp(word, "entropy") == 0)
        pl_dring_judge(o, PL_P_drv_entropy_readable, strcmp(rest, "0") == 0,
                       "queue %" PRIu32 ": a device-readable buffer was placed", index);
    else if (strcmp(word, "spurious") == 0)
        d->spurious = strcmp(rest, "idle") == 0;
    else
        simple(q, word, rest, d->ended);
}

/* --- what is owed --- */

unsigned pl_drv_ring_owed(const struct pl_oracle *o)
{
    unsigned n = 0;
    for (unsigned i = 0; i < o->drv_ring->n; i++) {
        const struct pl_dring_dev *d = o->drv_ring->dev[i];
        n += d->capacity_due;
        for (unsigned k = 0; k < PL_DRING_QUEUES; k++)
            n += d->queue[k].owes;
    }
    return n;
}

void pl_drv_ring_settle(struct pl_oracle *o)
{
    for (unsigned i = 0; i < o->drv_ring->n; i++) {
        struct pl_dring_dev *d = o->drv_ring->dev[i];
        for (uint32_t k = 0; k < PL_DRING_QUEUES; k++)
            settle_queue(o, d, &d->queue[k], k);
        if (d->capacity_due)
            pl_broken(o, PL_P_drv_blk_capacity_again,
                      "EVENT_CONFIG told of a change, and capacity was not read again");
        d->capacity_due = false;
    }
}

void pl_dring_stuck(struct pl_oracle *o, struct pl_dring_dev *d, bool late)
{
    for (uint32_t k = 0; k < PL_DRING_QUEUES && d->asked_io && !d->ended; k++) {
        struct pl_dring_queue *q = &d->queue[k];
        if (!q->busy || (late && !q->late)) /* it has nothing to do there, or did it just now */
            continue;
        if (q->waits == PL_WAITS_TOLD)
            pl_broken(o, PL_P_drv_reclaims,
                      "queue %" PRIu32 ": EVENT_USED announced used buffers, and the driver does "
                      "not go on",
                      k);
        if (q->waits == PL_WAITS_POLLING)
            pl_broken(o, PL_P_drv_polls,
                      "queue %" PRIu32 ": buffers were used while the driver asked for no "
                      "EVENT_USED, and it does not go on",
                      k);
        q->waits = PL_WAITS_NO;
    }
}

/* What was used before the driver was asked is no reason for it to wait now. */
static void ask_io(struct pl_dring_dev *d)
{
    d->asked_io = true;
    for (uint32_t k = 0; k < PL_DRING_QUEUES; k++)
        d->queue[k].busy = false;
}

void pl_drv_ring_told(struct pl_oracle *o, uint16_t dev_num, const char *words)
{
    struct pl_dring_dev *d = pl_dring_dev(o, dev_num);
    if (!d)
        return;
    d->spurious = false;
    if (strncmp(words, "asked io", 8) == 0)
        ask_io(d);
    else if (strncmp(words, "done", 4) == 0 || strncmp(words, "refused", 7) == 0 ||
             strncmp(words, "asked", 5) == 0 || strcmp(words, "gone") == 0)
        d->asked_io = false;
    else if (strcmp(words, "ended") == 0) /* it is not there any more */
        pl_dring_ended(d);
    else if (strcmp(words, "patience") == 0)
        pl_dring_stuck(o, d, false);
}
