/* The configuration space as the driver reads, writes and watches it; generations in both profiles.
 */
#include <inttypes.h>
#include <string.h>

#include "oracle/drv_private.h"

enum { STRICT_BIT = (int)PL_C_TF_STRICT_CONFIG_GENERATION };

/* --- ranges --- */

static void judge_bounds(struct pl_oracle *o, struct pl_drv_dev *d, const struct pl_msg *m,
                         enum pl_predicate p)
{
    uint64_t end = m->f[PL_F_offset] + m->f[PL_F_length], size = d->info.f[PL_F_config_size];
    if (d->info.kind == PL_NONE) {
        if (m->f[PL_F_length])
            pl_drv_broken(o, d, p, "%s comes, and no GET_DEVICE_INFO has told config_size",
                          m->def->name);
        return;
    }
    if (end <= size) {
        pl_held(o, p);
        return;
    }
    pl_drv_broken(o, d, p,
                  "offset %" PRIu64 " and length %" PRIu64 " go beyond config_size %" PRIu64,
                  m->f[PL_F_offset], m->f[PL_F_length], size);
    pl_drv_broken(o, d, PL_P_drv_info_authority,
                  "config_size is %" PRIu64 ", and %s goes up to %" PRIu64, size, m->def->name,
                  end);
}

static bool overlap(uint64_t a, uint64_t a_len, uint64_t b, uint64_t b_len)
{
    return a < b + b_len && b < a + a_len;
}

static bool was_read(const struct pl_drv_config *c, uint64_t offset, uint64_t length)
{
    for (uint64_t i = offset; i < offset + length && i < DRV_CONFIG; i++)
        if (c->read[i])
            return true;
    return false;
}

/* --- what must be read again --- */

static void refreshed(struct pl_oracle *o, struct pl_drv_dev *d)
{
    struct pl_drv_config *c = &d->config;
    c->refresh_due = false;
    if (c->refresh_odd == ODD_RESERVED)
        pl_held(o, PL_P_drv_reserved);
    if (c->refresh_odd == ODD_TOKEN)
        pl_held(o, PL_P_drv_token);
    if (!c->refresh_lower && !c->refresh_odd)
        o->drv->refreshed_up = true;
    else if (c->refresh_lower)
        pl_held(o, PL_P_drv_generation_free);
    pl_held(o, PL_P_drv_update_before_io);
    if (!o->strict)
        pl_held(o, PL_P_drv_refresh_baseline);
    if (c->refresh_generic)
        pl_held(o, PL_P_drv_refresh_generic);
}

void pl_drv_config_read(struct pl_oracle *o, struct pl_drv_dev *d, const struct pl_msg *m)
{
    struct pl_drv_config *c = &d->config;
    uint64_t offset = m->f[PL_F_offset], length = m->f[PL_F_length];
    judge_bounds(o, d, m, PL_P_drv_get_bounds);
    if (!d->chosen && d->wrote)
        d->configured_early = true;
    c->event_at = 0;
    int bit = d->info.kind != PL_NONE && length
                  ? pl_type_optional(d->info.f[PL_F_device_id], offset, length)
                  : -1;
    if (bit >= 0 && pl_drv_block_known(d, (unsigned)bit)) {
        if (pl_drv_offered(d, (unsigned)bit))
            pl_held(o, PL_P_drv_optional_fields);
        else
            pl_drv_broken(o, d, PL_P_drv_optional_fields,
                          "bytes %" PRIu64 " to %" PRIu64
                          " exist with feature bit %d only, which is not offered",
                          offset, offset + length - 1, bit);
    }
    if (c->refresh_due &&
        (c->refresh_generic || overlap(offset, length, c->refresh_offset, c->refresh_length)))
        refreshed(o, d);
    for (uint64_t i = offset; i < offset + length && i < DRV_CONFIG; i++)
        c->read[i] = 1;
    c->any_read |= length != 0;
}

void pl_drv_config_io(struct pl_oracle *o, struct pl_drv_dev *d)
{
    struct pl_drv_config *c = &d->config;
    if (!c->refresh_due || !pl_drv_has_seen(o->drv, c->refresh_at, true))
        return;
    c->refresh_io = true;
    pl_drv_broken(o, d, PL_P_drv_update_before_io,
                  "EVENT_CONFIG told of a change without its data, and I/O goes on ahead of any "
                  "GET_CONFIG");
}

void pl_drv_config_settle(struct pl_oracle *o, struct pl_drv_dev *d)
{
    struct pl_drv_config *c = &d->config;
    if (!c->refresh_due || !c->refresh_io || !d->driver_ok_told)
        return;
    if (!o->strict)
        pl_drv_broken(o, d, PL_P_drv_refresh_baseline,
                      "EVENT_CONFIG came without data, and the configuration was not read again");
    if (c->refresh_generic)
        pl_drv_broken(o, d, PL_P_drv_refresh_generic,
                      "EVENT_CONFIG came without data, offset and length 0, and the configuration "
                      "was not read again");
    if (c->refresh_odd == ODD_RESERVED && o->drv->refreshed_up)
        pl_drv_broken(o, d, PL_P_drv_reserved,
                      "an EVENT_CONFIG with reserved bits in type is not heeded, others are");
    if (c->refresh_odd == ODD_TOKEN && o->drv->refreshed_up)
        pl_drv_broken(o, d, PL_P_drv_token,
                      "an EVENT_CONFIG with a token is not heeded, others are");
    if (c->refresh_lower && o->drv->refreshed_up)
        pl_drv_broken(o, d, PL_P_drv_generation_free,
                      "an event with a larger generation made the driver read the configuration "
                      "again, and this one with a smaller generation did not");
    c->refresh_due = false;
}

/* --- reads in parts --- */

static void part_told(struct pl_oracle *o, struct pl_drv_dev *d, struct pl_drv_part part,
                      uint64_t asked)
{
    struct pl_drv_config *c = &d->config;
    if (c->torn_valid) {
        for (unsigned i = 0; i < 2; i++)
            if (overlap(part.offset, part.length, c->torn[i].offset, c->torn[i].length))
                c->torn[i].generation = part.generation;
        if (c->torn[0].generation == c->torn[1].generation) {
            c->torn_valid = false;
            pl_held(o, PL_P_drv_torn);
            if (pl_type_wide(d->info.f[PL_F_device_id], c->torn[0].offset, c->torn[1].offset,
                             c->torn[1].offset + c->torn[1].length))
                pl_held(o, PL_P_drv_torn_wide);
        }
    } else if (c->last_valid && !d->driver_ok_at && part.length && c->other_at < c->last_at &&
               !overlap(part.offset, part.length, c->last.offset, c->last.length)) {
        if (c->last.generation != part.generation) {
            c->torn[0] = c->last;
            c->torn[1] = part;
            c->torn_valid = true;
            d->excused = true;
        } else {
            pl_held(o, PL_P_drv_torn);
        }
    }
    c->last = part;
    c->last_at = asked;
    c->last_valid = part.length != 0;
}

/*
 * An event between the parts may tell which of them changed, or bring the new data along. A driver
 * that reads all of them again instead, and meets the next change, may give up.
 */
static void part_event(struct pl_drv_dev *d, const struct pl_msg *m)
{
    struct pl_drv_config *c = &d->config;
    if (c->last_valid && !d->driver_ok_at && c->last.generation != m->f[PL_F_generation])
        d->excused = true;
    uint64_t offset = m->f[PL_F_offset], length = m->f[PL_F_length];
    struct pl_drv_part *parts[] = {&c->last, &c->torn[0], &c->torn[1]};
    if (!length)
        return;
    for (unsigned i = 0; i < 3; i++)
        if (m->data || !overlap(offset, length, parts[i]->offset, parts[i]->length))
            parts[i]->generation = (uint32_t)m->f[PL_F_generation];
    if (c->torn_valid && c->torn[0].generation == c->torn[1].generation)
        c->torn_valid = false;
}

void pl_drv_config_torn(struct pl_oracle *o, struct pl_drv_dev *d)
{
    struct pl_drv_config *c = &d->config;
    if (!c->torn_valid)
        return;
    const struct pl_drv_part *a = &c->torn[0], *b = &c->torn[1];
    pl_drv_broken(o, d, PL_P_drv_torn,
                  "bytes from %" PRIu64 " were read under generation %u and from %" PRIu64
                  " under %u, and not again until both were alike",
                  a->offset, a->generation, b->offset, b->generation);
    if (pl_type_wide(d->info.f[PL_F_device_id], a->offset, b->offset, b->offset + b->length))
        pl_drv_broken(o, d, PL_P_drv_torn_wide,
                      "a field of more than 32 bits was read in two parts, under generation %u and "
                      "%u",
                      a->generation, b->generation);
    c->torn_valid = false;
}

/* --- generations --- */

static void generation_told(struct pl_oracle *o, struct pl_drv_dev *d, uint64_t generation,
                            enum pl_kind kind, bool malformed)
{
    struct pl_drv_config *c = &d->config;
    c->told[c->n_told % DRV_GENERATIONS] =
        (struct pl_drv_generation){.generation = (uint32_t)generation,
                                   .at = o->drv->now,
                                   .kind = kind,
                                   .life = d->life,
                                   .malformed = malformed};
    c->n_told++;
}

static const struct pl_drv_generation *told_at(const struct pl_drv_config *c, unsigned i)
{
    unsigned kept = c->n_told < DRV_GENERATIONS ? c->n_told : DRV_GENERATIONS;
    return i < kept ? &c->told[(c->n_told - 1 - i) % DRV_GENERATIONS] : NULL;
}

enum found { FOUND_RIGHT, FOUND_MALFORMED, FOUND_OLD, FOUND_RESET, FOUND_NONE, FOUND_NOTHING_TOLD };

/*
 * From the newest back to the newest that the driver must have seen: each of these may be the
 * newest to the driver. What a SET_CONFIG response told counts as seen, or does not.
 */
static enum found find_generation(const struct pl_oracle *o, const struct pl_drv_dev *d,
                                  uint64_t generation, uint32_t *newest)
{
    const struct pl_drv_generation *g;
    bool settled = false, any = false, old = false, reset = false, malformed = false;
    for (unsigned i = 0; (g = told_at(&d->config, i)); i++) {
        bool own = g->kind == PL_SET_CONFIG, now = g->life == d->life;
        if (g->malformed) {
            malformed |= g->generation == generation;
            continue;
        }
        if (now && !own && !any)
            *newest = g->generation;
        any |= now && !own;
        if (g->generation == generation && !settled && now)
            return FOUND_RIGHT;
        old |= g->generation == generation && now;
        reset |= g->generation == generation && !now;
        if (now && !own && pl_drv_has_seen(o->drv, g->at, g->kind == PL_EVENT_CONFIG))
            settled = true;
    }
    if (!d->config.n_told)
        return FOUND_NOTHING_TOLD;
    if (malformed && !old && !reset)
        return FOUND_MALFORMED;
    return old ? FOUND_OLD : reset && !any ? FOUND_RESET : FOUND_NONE;
}

static void judge_strict(struct pl_oracle *o, struct pl_drv_dev *d, const struct pl_msg *m)
{
    uint32_t newest = 0;
    uint64_t generation = m->f[PL_F_generation];
    enum found found = find_generation(o, d, generation, &newest);
    bool bit = pl_drv_offered(d, STRICT_BIT), known = pl_drv_block_known(d, STRICT_BIT);
    if (found == FOUND_RIGHT) {
        pl_held(o, PL_P_drv_generation_newest);
        if (d->life > 1 || newest)
            pl_held(o, PL_P_drv_generation_free);
        if (generation) {
            pl_held(o, PL_P_drv_profile);
            if (known && !bit)
                pl_held(o, PL_P_drv_profile_bus);
        }
        return;
    }
    if (!m->f[PL_F_length] && found == FOUND_NOTHING_TOLD)
        return;
    if (found == FOUND_RESET) {
        pl_drv_broken(o, d, PL_P_drv_generation_free,
                      "generation %" PRIu64 " is from before the reset, and none was read since",
                      generation);
        return;
    }
    if (found == FOUND_NOTHING_TOLD)
        pl_drv_broken(o, d, PL_P_drv_generation_newest,
                      "SET_CONFIG has generation %" PRIu64 ", and no generation was read at all",
                      generation);
    else
        pl_drv_broken(o, d, PL_P_drv_generation_newest,
                      "SET_CONFIG has generation %" PRIu64 ", the newest that was told is %u",
                      generation, newest);
    if (found == FOUND_MALFORMED) {
        const char *text =
            "generation %" PRIu64 " stood in an EVENT_CONFIG that was malformed only";
        pl_drv_broken(o, d, PL_P_drv_discards, text, generation);
        pl_drv_broken(o, d, PL_P_drv_unsupported, text, generation);
    }
    if (found == FOUND_OLD && generation > newest)
        pl_drv_broken(o, d, PL_P_drv_generation_free,
                      "SET_CONFIG has generation %" PRIu64 ", and the newest, a smaller one, is %u",
                      generation, newest);
    if (generation)
        return;
    pl_drv_broken(o, d, PL_P_drv_profile,
                  "the profile is strict, and SET_CONFIG is as in baseline");
    if (known && !bit)
        pl_drv_broken(o, d, PL_P_drv_profile_bus,
                      "the bus has the strict profile, and SET_CONFIG follows bit %u of the "
                      "device's features, which is 0",
                      STRICT_BIT);
}

static void judge_baseline(struct pl_oracle *o, struct pl_drv_dev *d, const struct pl_msg *m)
{
    uint64_t generation = m->f[PL_F_generation];
    uint32_t newest = 0;
    bool bit = pl_drv_offered(d, STRICT_BIT);
    if (!generation) {
        pl_held(o, PL_P_drv_generation_zero);
        pl_held(o, PL_P_drv_profile);
        if (bit)
            pl_held(o, PL_P_drv_profile_bus);
        return;
    }
    pl_drv_broken(o, d, PL_P_drv_generation_zero,
                  "SET_CONFIG has generation %" PRIu64 " in the baseline profile", generation);
    enum found found = find_generation(o, d, generation, &newest);
    if (found != FOUND_RIGHT && found != FOUND_OLD)
        return;
    pl_drv_broken(o, d, PL_P_drv_profile,
                  "the profile is baseline, and SET_CONFIG is as in strict");
    if (bit)
        pl_drv_broken(o, d, PL_P_drv_profile_bus,
                      "the bus has the baseline profile, and SET_CONFIG follows bit %u of the "
                      "device's features, which is 1",
                      STRICT_BIT);
}

/* --- SET_CONFIG --- */

static void judge_retry(struct pl_oracle *o, struct pl_drv_dev *d, const struct pl_msg *m)
{
    struct pl_drv_config *c = &d->config;
    const struct pl_msg *before = &c->rejected_request;
    uint32_t hash = pl_drv_hash(m->data, m->data ? m->data_len : 0);
    uint64_t offset = m->f[PL_F_offset], length = m->f[PL_F_length], got = c->rejected_length;
    if (!c->rejected || !length)
        return;
    if (got && offset == before->f[PL_F_offset] + got && length == before->f[PL_F_length] - got)
        pl_drv_broken(o, d, PL_P_drv_write_outcome,
                      "SET_CONFIG of %" PRIu64 " bytes was answered with length %" PRIu64
                      ", and the driver goes on behind these as if they had been written",
                      before->f[PL_F_length], got);
    if (!o->strict || offset != before->f[PL_F_offset] || length != before->f[PL_F_length] ||
        hash != c->rejected_hash || got)
        return;
    if (c->read_told_at > c->rejected_at)
        pl_held(o, PL_P_drv_reread);
    else
        pl_drv_broken(o, d, PL_P_drv_reread,
                      "SET_CONFIG was rejected, and is tried again without a GET_CONFIG between");
    c->rejected = false;
}

void pl_drv_config_write(struct pl_oracle *o, struct pl_drv_dev *d, const struct pl_msg *m)
{
    if (!m->f[PL_F_length])
        pl_used(o, PL_P_drv_noop);
    judge_bounds(o, d, m, PL_P_drv_set_bounds);
    judge_retry(o, d, m);
    struct pl_drv *drv = o->drv;
    if (drv->parameters_at && !pl_drv_has_seen(drv, drv->parameters_at, true))
        return; /* the profile may have changed on its way */
    if (o->strict)
        judge_strict(o, d, m);
    else
        judge_baseline(o, d, m);
}

void pl_drv_config_claims(struct pl_oracle *o, struct pl_drv_dev *d)
{
    struct pl_drv_config *c = &d->config;
    if (c->write_claimed && c->writes_rejected && !c->writes_applied &&
        !pl_drv_any_open(o, d->dev_num, PL_SET_CONFIG))
        pl_drv_broken(o, d, PL_P_drv_write_outcome,
                      "no SET_CONFIG was applied, and the driver says that the write was done");
    else if (c->write_refused && c->writes_applied && !c->writes_rejected && !d->excused &&
             !d->odd && !c->event_at)
        pl_drv_broken(o, d, PL_P_drv_write_outcome,
                      "SET_CONFIG was applied in full, and the driver says that the write failed");
    else if (c->write_asked && (c->writes_rejected || c->writes_applied))
        pl_held(o, PL_P_drv_write_outcome);
    c->write_asked = c->write_claimed = c->write_refused = false;
    c->writes_applied = c->writes_rejected = 0;
}

/* --- what the driver is told --- */

static void write_told(struct pl_drv_dev *d, const struct pl_drv_request *r, const struct pl_msg *m)
{
    struct pl_drv_config *c = &d->config;
    uint64_t asked = r->m.f[PL_F_length], got = m->f[PL_F_length];
    if (!asked)
        return;
    if (got == asked) {
        c->writes_applied++;
        c->rejected = false;
        return;
    }
    c->writes_rejected++;
    d->excused = true;
    c->rejected = true;
    c->rejected_at = r->at;
    c->rejected_request = r->m;
    c->rejected_hash = r->data_hash;
    c->rejected_length = (uint32_t)got;
}

void pl_drv_config_told(struct pl_oracle *o, struct pl_drv_dev *d, const struct pl_drv_request *r,
                        const struct pl_msg *m)
{
    struct pl_drv_config *c = &d->config;
    if (r->at < d->reset_at)
        return;
    generation_told(o, d, m->f[PL_F_generation], m->kind, false);
    if (m->kind == PL_SET_CONFIG) {
        write_told(d, r, m);
        return;
    }
    c->read_told_at = o->drv->now;
    part_told(o, d,
              (struct pl_drv_part){r->m.f[PL_F_offset], r->m.f[PL_F_length],
                                   (uint32_t)m->f[PL_F_generation]},
              r->at);
}

/* A status that moved on its own makes the event one about the status, not the configuration. */
static bool about_status(const struct pl_oracle *o, const struct pl_drv_dev *d,
                         const struct pl_msg *m)
{
    return !m->f[PL_F_length] && (m->f[PL_F_device_status] != d->status_told ||
                                  pl_drv_any_open(o, d->dev_num, PL_SET_DEVICE_STATUS));
}

void pl_drv_config_event(struct pl_oracle *o, struct pl_drv_dev *d, const struct pl_msg *m)
{
    struct pl_drv_config *c = &d->config;
    const struct pl_drv_generation *before = told_at(c, 0);
    uint32_t generation = (uint32_t)m->f[PL_F_generation];
    bool lower = before && before->life == d->life && generation < before->generation;
    bool generic = !m->f[PL_F_length] && !m->f[PL_F_offset];
    c->event_at = o->drv->now;
    bool status = about_status(o, d, m);
    generation_told(o, d, generation, m->kind, false);
    part_event(d, m);
    if (m->data)
        c->read_told_at = o->drv->now;
    bool needed = generic ? c->any_read : was_read(c, m->f[PL_F_offset], m->f[PL_F_length]);
    if (!m->data && needed && !status && d->driver_ok_told) {
        if (!c->refresh_due) {
            c->refresh_at = o->drv->now;
            c->refresh_io = c->refresh_generic = false;
            c->refresh_lower = lower;
        }
        c->refresh_due = true;
        c->refresh_odd = ((m->type & o->spec->header.reserved_bits) ? ODD_RESERVED : 0u) |
                         (m->token ? ODD_TOKEN : 0u);
        c->refresh_generic |= generic;
        c->refresh_offset = m->f[PL_F_offset];
        c->refresh_length = m->f[PL_F_length];
    } else if (!c->refresh_at) {
        c->refresh_at = o->drv->now; /* a reason to read, whenever the driver comes to it */
    }
    pl_drv_status_told(o, d, NULL, (uint32_t)m->f[PL_F_device_status]);
}

void pl_drv_config_malformed(struct pl_oracle *o, struct pl_drv_dev *d, const struct pl_msg *m)
{
    const struct pl_layout *layout = pl_msg_layout(m);
    for (size_t i = 0; layout && i < layout->n_fields; i++) {
        const struct pl_field_def *field = &layout->fields[i];
        size_t end = (size_t)o->spec->header.size + field->offset + field->width;
        if (field->field == PL_F_generation && m->size >= end)
            generation_told(o, d, m->f[PL_F_generation], m->kind, true);
    }
}

void pl_drv_config_reset(struct pl_drv_dev *d)
{
    struct pl_drv_config *c = &d->config;
    c->refresh_due = c->last_valid = c->torn_valid = c->rejected = false;
    c->refresh_at = c->event_at = 0;
    memset(c->read, 0, sizeof(c->read));
    c->any_read = false;
}
