/* Unit tests of the judge of buses, driven with messages and no bus: for each clause what breaks
 * it, and what is left free. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "oracle/oracle.h"

enum { DEV = 3, OTHER = 259, NOBODY = 77, SPARE = 11, MAX = 264, TOKEN = 500 };
#define NEAR PL_BUS_DRIVER_SIDE
#define FAR  PL_BUS_DEVICE_SIDE

static const struct pl_spec *spec;
static const struct pl_clauses *clauses;
static struct pl_oracle *oracle;
static char failed[1024]; /* ids, each once, with a blank on both sides */
static char sentences[4096];

static void on_fail(void *opaque, size_t clause, const char *text)
{
    char id[32];
    (void)opaque;
    snprintf(id, sizeof(id), " %s ", pl_clauses_get(clauses, clause)->id);
    if (!strstr(failed, id))
        strncat(failed, id, sizeof(failed) - strlen(failed) - 1);
    size_t used = strlen(sentences);
    snprintf(sentences + used, sizeof(sentences) - used, "%s: %s\n", id + 1, text);
}

/* --- messages --- */

static uint8_t bytes[PL_MSG_MAX + 64];
static size_t size;

static void put(enum pl_bus_side side, bool to_iut)
{
    pl_oracle_bus(oracle, side, to_iut, bytes, size);
}

static void make(struct pl_msg m)
{
    size = (size_t)pl_encode(spec, &m, bytes, sizeof(bytes));
}

static struct pl_msg request(uint16_t dev_num, uint16_t token, uint32_t offset)
{
    struct pl_msg m = {.kind = PL_GET_CONFIG, .dev_num = dev_num, .token = token};
    m.f[PL_F_offset] = offset;
    m.f[PL_F_length] = 4;
    return m;
}

static struct pl_msg response(uint16_t dev_num, uint16_t token, uint32_t offset)
{
    static uint8_t data[4];
    struct pl_msg m = request(dev_num, token, offset);
    m.response = true;
    memset(data, (int)offset, sizeof(data));
    m.data = data;
    m.data_len = 4;
    m.f[PL_F_generation] = 1;
    return m;
}

static struct pl_msg event(enum pl_kind kind, uint16_t dev_num, uint32_t queue, uint32_t next)
{
    struct pl_msg m = {.kind = kind, .dev_num = dev_num};
    m.f[PL_F_vq_index] = queue;
    m.f[PL_F_next_offset] = next;
    return m;
}

static struct pl_msg failure(uint16_t dev_num, uint16_t token, uint8_t msg_id, uint8_t reason)
{
    struct pl_msg m = {.kind = PL_EVENT_FAILURE};
    m.f[PL_F_failed_dev_num] = dev_num;
    m.f[PL_F_failed_token] = token;
    m.f[PL_F_failed_msg_id] = msg_id;
    m.f[PL_F_reason] = reason;
    return m;
}

static void in(enum pl_bus_side side, struct pl_msg m)
{
    make(m);
    put(side, true);
}

static void out(enum pl_bus_side side, struct pl_msg m)
{
    make(m);
    put(side, false);
}

static uint8_t id_of(enum pl_kind kind)
{
    return pl_spec_message(spec, kind)->id;
}

/* A request goes through, with the bus's own token on the device side, and comes back. */
static void whole_with(uint16_t dev_num, uint16_t token, uint16_t own, uint32_t offset)
{
    in(NEAR, request(dev_num, token, offset));
    out(FAR, request(dev_num, own, offset));
    in(FAR, response(dev_num, own, offset));
    out(NEAR, response(dev_num, token, offset));
}

static void whole(uint16_t dev_num, uint16_t token)
{
    whole_with(dev_num, token, token, token);
}

static void hotplug(enum pl_bus_side side, bool to_iut, uint16_t number, uint64_t state)
{
    struct pl_msg m = {.kind = PL_EVENT_DEVICE};
    m.f[PL_F_device_number] = number;
    m.f[PL_F_device_bus_state] = state;
    make(m);
    put(side, to_iut);
}

static void parameters(uint16_t token, uint32_t max, uint32_t features)
{
    struct pl_msg m = {.kind = PL_GET_PARAMETERS, .token = token};
    in(NEAR, m);
    m.response = true;
    m.f[PL_F_revision] = 1;
    m.f[PL_F_max_msg_size] = max;
    m.f[PL_F_transport_features] = features;
    out(NEAR, m);
}

/* GET_DEVICES: what is asked, and an answer with these numbers in its window. */
static void window(uint16_t offset, uint16_t asked, uint16_t next, uint16_t count, unsigned bits)
{
    static uint8_t bitmap[64];
    struct pl_msg m = {.kind = PL_GET_DEVICES, .token = TOKEN};
    m.f[PL_F_offset] = offset;
    m.f[PL_F_count] = asked;
    in(NEAR, m);
    m.response = true;
    m.f[PL_F_count] = count;
    m.f[PL_F_next_offset] = next;
    memset(bitmap, 0, sizeof(bitmap));
    for (unsigned i = 0; i < 32; i++)
        bitmap[i / 8] |= (uint8_t)((bits >> i & 1) << (i % 8));
    m.data = bitmap;
    m.data_len = (count + 7u) / 8;
    out(NEAR, m);
}

static void known(uint16_t number)
{
    char words[32];
    snprintf(words, sizeof(words), "present %u", number);
    pl_oracle_bus_told(oracle, words);
    snprintf(words, sizeof(words), "stated %u", number);
    pl_oracle_bus_told(oracle, words);
}

static void begin(void)
{
    spec = pl_spec_find("virtio-msg-r1");
    clauses = pl_clauses_find(spec);
    oracle = pl_oracle_new_for(spec, PL_IUT_BUS, on_fail, NULL);
    ck_assert_ptr_nonnull(oracle);
    pl_oracle_start(oracle, MAX, 0);
    failed[0] = sentences[0] = '\0';
    known(DEV);
    known(OTHER);
    whole(DEV, 1);
}

static void finish(void)
{
    pl_oracle_free(oracle);
    oracle = NULL;
}

/* --- stories: each breaks these clauses and no others --- */

static void number_unchecked(void)
{
    in(NEAR, request(NOBODY, 10, 0));
    out(FAR, request(NOBODY, 10, 0));
    out(NEAR, failure(NOBODY, 10, id_of(PL_GET_CONFIG), 1));
}

static void never_forwarded(void)
{
    in(NEAR, request(DEV, 10, 0));
    pl_oracle_settle(oracle);
}

static void forwarded_again(void)
{
    in(NEAR, request(DEV, 10, 0));
    out(FAR, request(DEV, 10, 0));
    in(FAR, response(DEV, 10, 0));
    out(FAR, request(DEV, 10, 0));
    out(NEAR, response(DEV, 10, 0));
}

static void payload_changed(void)
{
    in(NEAR, request(DEV, 10, 0));
    out(FAR, request(DEV, 10, 4));
}

static void unsaid(void)
{
    in(NEAR, request(NOBODY, 10, 0));
    pl_oracle_settle(oracle);
}

static void parameters_late(void)
{
    pl_oracle_start(oracle, MAX, 0);
    in(NEAR, (struct pl_msg){.kind = PL_GET_PARAMETERS, .token = 9});
    known(DEV);
    whole(DEV, 10);
    parameters(11, MAX, 0);
}

static void features_of_one_side(void)
{
    parameters(10, MAX, 2);
}

static void large(enum pl_bus_side side)
{
    make(request(DEV, 20, 0));
    memset(bytes + size, 1, MAX);
    size += MAX;
    pl_poke_size(spec, bytes, (uint16_t)size);
    put(side, true);
}

static void limit_one_way(void)
{
    large(NEAR);
    out(NEAR, failure(DEV, 20, id_of(PL_GET_CONFIG), 2));
    in(NEAR, request(DEV, 21, 0));
    out(FAR, request(DEV, 21, 0));
    make(response(DEV, 21, 0));
    memset(bytes + size, 1, MAX);
    size += MAX;
    pl_poke_size(spec, bytes, (uint16_t)size);
    put(FAR, true);
    put(NEAR, false);
}

static void unstable(void)
{
    parameters(10, MAX, 0);
    parameters(11, 128, 0);
}

static void too_small(void)
{
    parameters(10, 48, 0);
}

static void too_big(void)
{
    parameters(10, 4096, 0);
}

static void cut(void)
{
    large(NEAR);
    size = MAX;
    pl_poke_size(spec, bytes, (uint16_t)size);
    put(FAR, false);
    out(NEAR, failure(DEV, 20, id_of(PL_GET_CONFIG), 2));
}

static void one_number_for_two(void)
{
    in(NEAR, request(OTHER, 10, 3));
    out(FAR, request(DEV, 10, 3));
}

static void not_shown(void)
{
    window(0, 8, 256, 8, 0);
}

static void ghost(void)
{
    window(0, 8, 256, 8, 0x18);
}

static void for_ever(void)
{
    in(NEAR, request(DEV, 10, 0));
    out(FAR, request(DEV, 10, 0));
    pl_oracle_settle(oracle);
}

static void second_response(void)
{
    whole(DEV, 10);
    out(NEAR, response(DEV, 10, 10));
}

static void behind_the_failure(void)
{
    in(NEAR, request(DEV, 10, 0));
    out(FAR, request(DEV, 10, 0));
    out(NEAR, failure(DEV, 10, id_of(PL_GET_CONFIG), 3));
    in(FAR, response(DEV, 10, 0));
    out(NEAR, response(DEV, 10, 0));
}

/* What the harness asks while a request is open, of an end that answers at once. */
static void many(void)
{
    for (uint16_t i = 0; i < 400; i++)
        whole(OTHER, (uint16_t)(2000 + i));
}

static void late_and_again(void)
{
    in(NEAR, request(DEV, 10, 0));
    out(FAR, request(DEV, 10, 0));
    pl_oracle_settle(oracle);
    in(FAR, response(DEV, 10, 0));
    out(NEAR, response(DEV, 10, 0));
    ck_assert_msg(!strstr(failed, "ERR-BUS-02"), "%s", sentences);
    out(NEAR, response(DEV, 10, 0));
}

static void again_behind_many(void)
{
    in(NEAR, request(DEV, 10, 0));
    out(FAR, request(DEV, 10, 0));
    many();
    in(FAR, response(DEV, 10, 0));
    out(NEAR, response(DEV, 10, 0));
    ck_assert_msg(!failed[0], "%s", sentences);
    out(NEAR, response(DEV, 10, 0));
}

static void failed_and_answered_behind_many(void)
{
    in(NEAR, request(DEV, 10, 0));
    out(FAR, request(DEV, 10, 0));
    many();
    out(NEAR, failure(DEV, 10, id_of(PL_GET_CONFIG), 3));
    ck_assert_msg(!failed[0], "%s", sentences);
    out(NEAR, response(DEV, 10, 0));
}

static void never_delivered(void)
{
    in(NEAR, request(DEV, 10, 0));
    out(FAR, request(DEV, 10, 0));
    in(FAR, response(DEV, 10, 0));
    pl_oracle_settle(oracle);
}

static void void_answered(void)
{
    make((struct pl_msg){.kind = PL_PING, .token = 10});
    pl_poke_id(spec, bytes, 0x3f);
    put(NEAR, true);
    pl_poke_type(spec, bytes, spec->header.bus_bit | spec->header.response_bit);
    put(NEAR, false);
}

static void id_checked(void)
{
    make(request(DEV, 10, 0));
    pl_poke_id(spec, bytes, 0x3f);
    put(NEAR, true);
    out(NEAR, failure(DEV, 10, 0x3f, 4));
}

static void event_answered(void)
{
    in(NEAR, event(PL_EVENT_AVAIL, NOBODY, 0, 0));
    make(event(PL_EVENT_AVAIL, NOBODY, 0, 0));
    pl_poke_type(spec, bytes, spec->header.response_bit);
    pl_poke_size(spec, bytes, spec->header.size);
    size = spec->header.size;
    put(NEAR, false);
}

static void bus_number(void)
{
    struct pl_msg m = {.kind = PL_PING, .token = 10};
    in(NEAR, m);
    m.response = true;
    make(m);
    pl_poke_dev_num(spec, bytes, 1);
    put(NEAR, false);
}

static void reserved_sent(void)
{
    struct pl_msg m = {.kind = PL_PING, .token = 10};
    in(NEAR, m);
    m.response = true;
    make(m);
    pl_poke_type(spec, bytes, 0x83);
    put(NEAR, false);
}

static void reserved_refused(void)
{
    make(request(DEV, 10, 0));
    pl_poke_type(spec, bytes, 0x40);
    put(NEAR, true);
    out(NEAR, failure(DEV, 10, id_of(PL_GET_CONFIG), 4));
}

static void dirty_padding(void)
{
    in(NEAR, request(DEV, 10, 0));
    make(request(DEV, 10, 0));
    bytes[size++] = 0;
    bytes[size++] = 9;
    put(FAR, false);
}

static void own_token(void)
{
    in(NEAR, request(DEV, 10, 0));
    out(FAR, request(DEV, 77, 0));
    in(FAR, response(DEV, 77, 0));
    out(NEAR, response(DEV, 77, 0));
}

static void crossed(void)
{
    in(NEAR, request(DEV, 10, 1));
    in(NEAR, request(DEV, 11, 2));
    out(FAR, request(DEV, 10, 1));
    out(FAR, request(DEV, 11, 2));
    in(FAR, response(DEV, 10, 1));
    in(FAR, response(DEV, 11, 2));
    out(NEAR, response(DEV, 11, 1));
}

static void overtaken(void)
{
    in(NEAR, request(DEV, 10, 1));
    in(NEAR, request(DEV, 11, 2));
    out(FAR, request(DEV, 11, 2));
    out(FAR, request(DEV, 10, 1));
}

static void event_twice(void)
{
    in(FAR, event(PL_EVENT_USED, DEV, 1, 0));
    out(NEAR, event(PL_EVENT_USED, DEV, 1, 0));
    out(NEAR, event(PL_EVENT_USED, DEV, 1, 0));
}

static void event_of_nobody(void)
{
    out(FAR, event(PL_EVENT_AVAIL, DEV, 1, 0));
}

static void event_lost(void)
{
    in(FAR, event(PL_EVENT_USED, DEV, 1, 0));
    pl_oracle_settle(oracle);
}

static void next_lost(void)
{
    in(NEAR, event(PL_EVENT_AVAIL, DEV, 1, 5));
    out(FAR, event(PL_EVENT_AVAIL, DEV, 1, 0));
}

static void more_than_asked(void)
{
    window(0, 4, 256, 8, 8);
}

static void something_for_nothing(void)
{
    window(0, 0, 0, 8, 8);
}

static void bits_behind(void)
{
    window(0, 5, 256, 5, 8 | 0x40);
}

static void past_the_end(void)
{
    window(0xfff8, 8, 0xffff, 8, 0);
}

static void next_backwards(void)
{
    window(4, 8, 2, 8, 0);
}

static void less_than_asked(void)
{
    window(0, 8, 2, 2, 0);
}

static void ping_changed(void)
{
    struct pl_msg m = {.kind = PL_PING, .token = 10};
    m.f[PL_F_data32] = 5;
    in(NEAR, m);
    m.response = true;
    m.f[PL_F_data32] = 6;
    out(NEAR, m);
}

static void ping_again(void)
{
    struct pl_msg m = {.kind = PL_PING, .token = 10};
    in(NEAR, m);
    m.response = true;
    out(NEAR, m);
    out(NEAR, m);
}

static void unknown_number(void)
{
    hotplug(NEAR, false, NOBODY, PL_C_BUS_STATE_ADDED);
}

static void added_too_early(void)
{
    pl_oracle_bus_told(oracle, "present 11");
    pl_oracle_bus_told(oracle, "absent 11");
    pl_oracle_settle(oracle);
    hotplug(NEAR, false, SPARE, PL_C_BUS_STATE_ADDED);
}

/* The bus has surely read that the device is gone, or has come back. */
static void added_too_late(void)
{
    hotplug(FAR, true, OTHER, PL_C_BUS_STATE_ADDED);
    whole(DEV, 2);
    pl_oracle_bus_told(oracle, "absent 259");
    hotplug(FAR, true, OTHER, PL_C_BUS_STATE_REMOVED);
    hotplug(NEAR, false, OTHER, PL_C_BUS_STATE_ADDED);
}

static void removed_too_late(void)
{
    pl_oracle_bus_told(oracle, "absent 259");
    hotplug(FAR, true, OTHER, PL_C_BUS_STATE_REMOVED);
    pl_oracle_bus_told(oracle, "present 259");
    pl_oracle_settle(oracle);
    hotplug(NEAR, false, OTHER, PL_C_BUS_STATE_REMOVED);
}

static void removed_too_early(void)
{
    hotplug(NEAR, false, DEV, PL_C_BUS_STATE_REMOVED);
}

static void short_bitmap(void)
{
    window(0, 16, 256, 16, 8);
    failed[0] = '\0';
    struct pl_msg m = {.kind = PL_GET_DEVICES, .token = 10};
    m.f[PL_F_count] = 16;
    in(NEAR, m);
    m.response = true;
    m.data = (const uint8_t *)"\x08";
    m.data_len = 1;
    out(NEAR, m);
}

static void offset_lost(void)
{
    struct pl_msg m = {.kind = PL_GET_DEVICES, .token = 10};
    m.f[PL_F_offset] = 1000;
    in(NEAR, m);
    m.response = true;
    m.f[PL_F_offset] = 0;
    out(NEAR, m);
}

static const struct {
    void (*tell)(void);
    const char *breaks;
} stories[] = {
    {number_unchecked, "FWD-BUS-01"},
    {never_forwarded, "FWD-BUS-02"},
    {forwarded_again, "FWD-BUS-02"},
    {payload_changed, "FWD-BUS-03"},
    {unsaid, "FWD-BUS-04"},
    {parameters_late, "PARAM-BUS-01"},
    {features_of_one_side, "PARAM-BUS-03"},
    {limit_one_way, "PARAM-BUS-04"},
    {unstable, "PARAM-BUS-05"},
    {too_small, "SIZE-BUS-01"},
    {too_big, "SIZE-BUS-02"},
    {cut, "REV-BUS-02"},
    {one_number_for_two, "DNUM-BUS-01 FWD-BUS-02 HDR-BUS-01"},
    {not_shown, "DNUM-BUS-03 DISC-BUS-02"},
    {ghost, "DISC-BUS-01"},
    {for_ever, "ERR-BUS-01 ERR-BUS-03"},
    {second_response, "ERR-BUS-02 ORD-BUS-01"},
    {behind_the_failure, "ERR-BUS-02 ORD-BUS-01"},
    {never_delivered, "ERR-BUS-02 ORD-BUS-01"},
    {late_and_again, "ERR-BUS-01 ERR-BUS-02 ERR-BUS-03 ORD-BUS-01"},
    {again_behind_many, "ERR-BUS-02 ORD-BUS-01"},
    {failed_and_answered_behind_many, "ERR-BUS-02 ORD-BUS-01"},
    {void_answered, "ERR-BUS-04"},
    {id_checked, "ERR-BUS-05"},
    {event_answered, "ERR-BUS-06 HDR-ANY-02"},
    {bus_number, "HDR-BUS-01 HDR-ANY-03"},
    {reserved_sent, "HDR-BUS-02 HDR-ANY-01"},
    {reserved_refused, "HDR-BUS-02"},
    {dirty_padding, "HDR-BUS-03"},
    {own_token, "HDR-BUS-04"},
    {crossed, "HDR-BUS-06 ORD-BUS-01"},
    {overtaken, "ORD-BUS-03"},
    {event_twice, "RTN-BUS-03"},
    {event_of_nobody, "RTN-BUS-06"},
    {event_lost, "RTN-BUS-03 RTN-BUS-07"},
    {next_lost, "AVAIL-BUS-01"},
    {more_than_asked, "GDEV-BUS-03 BMSG-BUS-02"},
    {something_for_nothing, "GDEV-BUS-02 GDEV-BUS-03 BMSG-BUS-02"},
    {bits_behind, "GDEV-BUS-04 BMSG-BUS-02"},
    {past_the_end, "GDEV-BUS-05 BMSG-BUS-02"},
    {next_backwards, "GDEV-BUS-06 BMSG-BUS-02"},
    {less_than_asked, "GDEV-BUS-07"},
    {ping_changed, "PING-BUS-01 BMSG-BUS-02"},
    {ping_again, "BMSG-BUS-02"},
    {unknown_number, "EDEV-BUS-01 BMSG-BUS-02"},
    {added_too_early, "EDEV-BUS-02 BMSG-BUS-02"},
    {added_too_late, "EDEV-BUS-02 BMSG-BUS-02"},
    {removed_too_late, "EDEV-BUS-03 BMSG-BUS-02"},
    {removed_too_early, "EDEV-BUS-03 BMSG-BUS-02"},
    {short_bitmap, "GDEV-BUS-01 WIRE-BUS-01 BMSG-BUS-02"},
    {offset_lost, "WIRE-BUS-01 BMSG-BUS-02"},
};
enum { STORIES = sizeof(stories) / sizeof(stories[0]) };

static bool named(const char *ids, const char *id)
{
    char list[512], want[40];
    snprintf(list, sizeof(list), " %s ", ids);
    snprintf(want, sizeof(want), " %s ", id);
    return strstr(list, want) != NULL;
}

START_TEST(broken)
{
    begin();
    ck_assert_str_eq(failed, "");
    stories[_i].tell();
    for (size_t c = 0; c < pl_clauses_count(clauses); c++) {
        const char *id = pl_clauses_get(clauses, c)->id;
        ck_assert_msg(named(stories[_i].breaks, id) == named(failed, id), "story %d, %s: %s", _i,
                      id, sentences);
    }
    finish();
}
END_TEST

/* Every clause of buses that predicates judge is broken by a story, but for options. */
START_TEST(each_clause)
{
    begin();
    for (size_t c = 0; c < pl_clauses_count(clauses); c++) {
        const struct pl_clause_def *def = pl_clauses_get(clauses, c);
        bool told = strcmp(def->how, "option") == 0 || def->by_scenario || !def->judged;
        for (size_t i = 0; i < STORIES; i++)
            told |= named(stories[i].breaks, def->id);
        ck_assert_msg(told || strcmp(def->role, "bus") != 0, "%s has no story", def->id);
    }
    finish();
}
END_TEST

/* --- what is left free --- */

static void rewritten(void)
{
    whole_with(DEV, 10, 900, 5);
}

static void other_order_of_responses(void)
{
    in(NEAR, request(DEV, 10, 1));
    in(NEAR, request(DEV, 11, 2));
    out(FAR, request(DEV, 10, 1));
    out(FAR, request(DEV, 11, 2));
    in(FAR, response(DEV, 11, 2));
    in(FAR, response(DEV, 10, 1));
    out(NEAR, response(DEV, 11, 2));
    out(NEAR, response(DEV, 10, 1));
}

static void other_devices_first(void)
{
    in(NEAR, request(DEV, 10, 1));
    in(NEAR, request(OTHER, 11, 2));
    out(FAR, request(OTHER, 11, 2));
    out(FAR, request(DEV, 10, 1));
}

static void fails_in_time(void)
{
    in(NEAR, request(DEV, 10, 0));
    out(FAR, request(DEV, 10, 0));
    out(NEAR, failure(DEV, 10, id_of(PL_GET_CONFIG), 3));
    in(FAR, response(DEV, 10, 0)); /* too late, and swallowed */
    pl_oracle_settle(oracle);
}

static void late_behind_many(void)
{
    in(NEAR, request(DEV, 10, 0));
    out(FAR, request(DEV, 10, 0));
    many();
    in(FAR, response(DEV, 10, 0));
    out(NEAR, response(DEV, 10, 0));
}

static void forwarded_behind_many(void)
{
    in(NEAR, request(DEV, 10, 0));
    in(NEAR, event(PL_EVENT_AVAIL, DEV, 1, 0));
    many();
    out(FAR, request(DEV, 999, 0));
    out(FAR, event(PL_EVENT_AVAIL, DEV, 1, 0));
    in(FAR, response(DEV, 999, 0));
    out(NEAR, response(DEV, 10, 0));
}

static void failed_behind_many(void)
{
    in(NEAR, request(DEV, 10, 0));
    out(FAR, request(DEV, 10, 0));
    in(NEAR, event(PL_EVENT_AVAIL, DEV, 1, 0));
    many();
    out(NEAR, failure(DEV, 10, id_of(PL_GET_CONFIG), 3));
    out(NEAR, failure(DEV, 0, id_of(PL_EVENT_AVAIL), 3));
}

static void ping_behind_many(void)
{
    struct pl_msg m = {.kind = PL_PING, .token = 10};
    in(NEAR, m);
    many();
    m.response = true;
    out(NEAR, m);
}

static void asks_again(void)
{
    in(NEAR, request(DEV, 10, 0));
    out(FAR, request(DEV, 10, 0));
    out(FAR, request(DEV, 10, 0));
    in(FAR, response(DEV, 10, 0));
    in(FAR, response(DEV, 10, 0));
    out(NEAR, response(DEV, 10, 0));
}

static void probes(void)
{
    struct pl_msg m = {.kind = PL_GET_DEVICE_INFO, .dev_num = NOBODY, .token = 40000};
    out(FAR, m);
    m.dev_num = DEV;
    out(FAR, m);
}

static void events_dropped(void)
{
    in(NEAR, event(PL_EVENT_AVAIL, NOBODY, 0, 0));
    in(FAR, event(PL_EVENT_USED, NOBODY, 0, 0));
    pl_oracle_settle(oracle);
}

static void event_failed(void)
{
    in(NEAR, event(PL_EVENT_AVAIL, DEV, 1, 0));
    out(NEAR, failure(DEV, 0, id_of(PL_EVENT_AVAIL), 3));
    pl_oracle_settle(oracle);
}

static void events_at_any_time(void)
{
    in(NEAR, request(DEV, 10, 0));
    in(NEAR, event(PL_EVENT_AVAIL, DEV, 1, 0));
    out(FAR, event(PL_EVENT_AVAIL, DEV, 1, 0));
    in(FAR, event(PL_EVENT_USED, DEV, 1, 0));
    out(NEAR, event(PL_EVENT_USED, DEV, 1, 0));
    out(FAR, request(DEV, 10, 0));
}

static void size_that_lies(void)
{
    make(request(DEV, 10, 0));
    pl_poke_size(spec, bytes, 99);
    put(NEAR, true);
    pl_oracle_settle(oracle);
}

/* The surplus that the driver sent, and not padding of the event before, which was discarded. */
static void surplus_behind_the_same_without(void)
{
    pl_oracle_bus_told(oracle, "changing"); /* none of them is due */
    make(event(PL_EVENT_AVAIL, DEV, 1, 0));
    pl_poke_size(spec, bytes, 0);
    put(NEAR, true);
    make(event(PL_EVENT_AVAIL, DEV, 1, 0));
    bytes[size++] = 0xff;
    pl_poke_size(spec, bytes, (uint16_t)size);
    put(NEAR, true);
    put(FAR, false);
}

static void clean_padding(void)
{
    in(NEAR, request(DEV, 10, 0));
    make(request(DEV, 10, 0));
    memset(bytes + size, 0, 6);
    size += 6;
    put(FAR, false);
}

static void no_bus_messages(void)
{
    in(NEAR, (struct pl_msg){.kind = PL_PING, .token = 10});
    in(NEAR, (struct pl_msg){.kind = PL_GET_PARAMETERS, .token = 11});
    in(NEAR, (struct pl_msg){.kind = PL_GET_DEVICES, .token = 12});
    pl_oracle_settle(oracle);
}

static void small_windows(void)
{
    window(0, 16, 259, 4, 8);
    window(259, 16, 0, 1, 1);
    window(4, 16, 259, 0, 0);
    window(0, 0, 0, 0, 0);
    window(0, 0, 9, 0, 0);
}

static void waits_on_change(void)
{
    pl_oracle_bus_told(oracle, "changing");
    in(NEAR, request(DEV, 10, 0));
    out(NEAR, failure(DEV, 10, id_of(PL_GET_CONFIG), 4));
    in(FAR, event(PL_EVENT_USED, DEV, 1, 0));
    pl_oracle_settle(oracle);
}

static void notification_data_masked(void)
{
    static const uint8_t offered[] = {1 | 1 << PL_C_F_NOTIFICATION_DATA % 32, 0, 0, 0};
    static const uint8_t masked[] = {1, 0, 0, 0};
    struct pl_msg m = {.kind = PL_GET_DEVICE_FEATURES, .dev_num = DEV, .token = 10};
    m.f[PL_F_block_index] = m.f[PL_F_num_blocks] = 1;
    in(NEAR, m);
    out(FAR, m);
    m.response = true;
    m.data_len = 4;
    m.data = offered;
    in(FAR, m);
    m.data = masked;
    out(NEAR, m);
    in(NEAR, event(PL_EVENT_AVAIL, DEV, 0, 7));
    out(FAR, event(PL_EVENT_AVAIL, DEV, 0, 0));
    strcpy(failed, strstr(failed, "AVAIL-BUS-01") ? failed : ""); /* the SHOULD is another matter */
}

/* Nobody can tell which of the two reached the device; the one that failed owes nothing more. */
static void one_of_two_alike_failed(void)
{
    pl_oracle_bus_told(oracle, "changing"); /* it is not sure that either goes through */
    in(NEAR, request(DEV, 10, 4));
    in(NEAR, request(DEV, 11, 4));
    out(NEAR, failure(DEV, 10, id_of(PL_GET_CONFIG), 3));
    out(FAR, request(DEV, 77, 4));
    in(FAR, response(DEV, 77, 4));
    out(NEAR, response(DEV, 11, 4));
}

/* More devices than the oracle has room for: of the rest it says nothing. */
static void more_devices_than_room(void)
{
    enum { FIRST = 1000, LAST = FIRST + 300 };
    char words[32];
    for (unsigned i = FIRST; i <= LAST; i++) {
        snprintf(words, sizeof(words), "present %u", i);
        pl_oracle_bus_told(oracle, words);
    }
    const uint16_t last = LAST;
    struct pl_msg m = {.kind = PL_EVENT_DEVICE};
    m.f[PL_F_device_number] = last;
    m.f[PL_F_device_bus_state] = PL_C_BUS_STATE_ADDED;
    in(FAR, m);
    out(NEAR, m);
    in(NEAR, request(last, 10, 0));
    out(FAR, request(last, 10, 0));
    in(FAR, response(last, 10, 0));
    out(NEAR, response(last, 10, 0));
    window(last, 1, 0, 1, 1);
}

/* The device side says it soundly, then once more with a size that lies: what comes out later is
 * the first of the two, and another reason than a message may be on its way as well. */
static void sound_before_its_like(void)
{
    pl_oracle_settle(oracle);
    for (int i = 0; i < 2; i++) {
        if (i == 0)
            hotplug(FAR, true, OTHER, PL_C_BUS_STATE_ADDED);
        else
            pl_oracle_bus_told(oracle, "stated 259");
        hotplug(FAR, true, OTHER, PL_C_BUS_STATE_ADDED);
        pl_poke_size(spec, bytes, (uint16_t)(size - 1));
        put(FAR, true);
        hotplug(NEAR, false, OTHER, PL_C_BUS_STATE_ADDED);
        pl_oracle_settle(oracle);
    }
}

/* While parameters change neither is due: the one whose size lied was discarded. */
static void sound_behind_its_like_that_lied(void)
{
    pl_oracle_bus_told(oracle, "changing");
    make(request(DEV, 10, 0));
    pl_poke_size(spec, bytes, (uint16_t)(size + 1));
    put(NEAR, true);
    whole_with(DEV, 11, 20, 0);
}

/* The bus reads of a device's coming or going later than that happens. */
static void said_before_it_was_read(void)
{
    hotplug(FAR, true, OTHER, PL_C_BUS_STATE_ADDED);
    pl_oracle_bus_told(oracle, "absent 259");
    hotplug(FAR, true, OTHER, PL_C_BUS_STATE_REMOVED);
    hotplug(NEAR, false, OTHER, PL_C_BUS_STATE_ADDED);
    pl_oracle_bus_told(oracle, "present 259");
    hotplug(FAR, true, OTHER, PL_C_BUS_STATE_ADDED);
    hotplug(NEAR, false, OTHER, PL_C_BUS_STATE_REMOVED);
    hotplug(NEAR, false, OTHER, PL_C_BUS_STATE_ADDED);
}

static void (*const freedoms[])(void) = {
    sound_behind_its_like_that_lied,
    said_before_it_was_read,
    sound_before_its_like,
    more_devices_than_room,
    rewritten,
    one_of_two_alike_failed,
    other_order_of_responses,
    other_devices_first,
    fails_in_time,
    asks_again,
    probes,
    events_dropped,
    event_failed,
    events_at_any_time,
    size_that_lies,
    clean_padding,
    surplus_behind_the_same_without,
    no_bus_messages,
    small_windows,
    waits_on_change,
    notification_data_masked,
    late_behind_many,
    forwarded_behind_many,
    failed_behind_many,
    ping_behind_many,
};

START_TEST(free_choices)
{
    begin();
    freedoms[_i]();
    ck_assert_msg(!failed[0], "freedom %d: %s", _i, sentences);
    finish();
}
END_TEST

/* Noise of any kind is survived. */
START_TEST(noise)
{
    begin();
    uint32_t x = 1;
    for (int i = 0; i < 20000; i++) {
        size = (x >> 8) % 48;
        for (size_t k = 0; k < size; k++) {
            x = x * 1664525u + 1013904223u;
            bytes[k] = (uint8_t)(x >> 24) & (k < 2 ? 0x43 : 0xff);
        }
        x = x * 1664525u + 1013904223u;
        if (x & 0x100 && size >= spec->header.size)
            pl_poke_size(spec, bytes, (uint16_t)size);
        put(x & 0x200 ? NEAR : FAR, (x & 0x400) != 0);
        if (i % 500 == 0)
            pl_oracle_settle(oracle);
        (void)pl_oracle_owed(oracle);
    }
    finish();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bus oracle");
    TCase *test = tcase_create("bus");
    tcase_add_loop_test(test, broken, 0, STORIES);
    tcase_add_test(test, each_clause);
    tcase_add_loop_test(test, free_choices, 0, sizeof(freedoms) / sizeof(freedoms[0]));
    tcase_add_test(test, noise);
    suite_add_tcase(suite, test);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int bad = srunner_ntests_failed(runner);
    srunner_free(runner);
    return bad ? EXIT_FAILURE : EXIT_SUCCESS;
}
