/* The generation: is the reported one the current one, and does it change when it must? */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "oracle/config_private.h"
#include "oracle/private.h"

enum { STALE_SURE = 3, EVENT_SURE = 2, CHANGES_MAX = 16 };

/*
 * Three reports in a row with nothing in between that could change it: g, other, g. The one in the
 * middle cannot have been current.
 */
void pl_gen_history(struct pl_oracle *o, struct pl_track *t, uint32_t gen, enum pl_kind kind)
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
void pl_gen_event_read(struct pl_oracle *o, struct pl_track *t, uint32_t gen)
{
    if (!t->event_unread)
        return;
    t->event_unread = false;
    if (t->event_gen == gen) {
        t->event_wrong = 0;
        pl_held(o, PL_P_gen_event);
        return;
    }
    if (t->trails || t->late) /* it has changed once more, and an event of that is on its way */
        return;
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
void pl_gen_after_write(struct pl_oracle *o, struct pl_track *t, uint32_t gen)
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
void pl_gen_note(struct pl_oracle *o, struct pl_track *t, uint32_t gen)
{
    if (t->gen_known && gen != t->gen) {
        uint32_t steps = gen - t->gen; /* a change each, an event each */
        t->moved_unreported += steps < CHANGES_MAX ? steps : 1;
        t->gen_old = t->gen;
    }
    if (t->gen_seen && gen < t->gen)
        pl_used(o, PL_P_gen_restart);
    t->gen_seen = true;
    if (!t->gen_known || t->gen != gen)
        pl_config_forget_bytes(t);
    t->gen_known = t->gen_kept = true;
    t->gen = gen;
}

void pl_gen_event_stale(struct pl_oracle *o, struct pl_track *t, uint32_t gen)
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
bool pl_config_covers(uint64_t offset, uint64_t length, const struct pl_track *t)
{
    return offset <= t->change_offset &&
           offset + length >= (uint64_t)t->change_offset + t->change_len;
}

void pl_config_change_read(struct pl_oracle *o, struct pl_track *t, const struct pl_msg *resp)
{
    if (!t->change_unread || !pl_config_covers(resp->f[PL_F_offset], resp->data_len, t))
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
