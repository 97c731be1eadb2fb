/* Unit tests of the oracle, driven with messages and no device: for each clause an exchange that is
 * legal and one that breaks exactly that clause; what is left free; and noise. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "oracle/oracle.h"

enum { DEV = 3, OTHER = 4, FOREIGN = 9, CONFIG = 40, QUEUES = 2, GEN = 7, MAX = 264 };
enum {
    ACK = PL_C_STATUS_ACKNOWLEDGE,
    DRIVER = ACK | PL_C_STATUS_DRIVER,
    READY = DRIVER | PL_C_STATUS_FEATURES_OK,
    RUNNING = READY | PL_C_STATUS_DRIVER_OK,
    BROKEN = PL_C_STATUS_DEVICE_NEEDS_RESET
};
enum { OFFERED0 = 0x240, RING_RESET = 1 << (PL_C_F_RING_RESET % 32), OFFERED1 = 1 | RING_RESET };

/* --- the oracle, and what it said --- */

static const struct pl_spec *spec;
static const struct pl_clauses *clauses;
static struct pl_oracle *oracle;
static uint16_t token;
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

static void begin_with(uint32_t max_msg_size, uint32_t features)
{
    static const uint16_t numbers[] = {DEV, OTHER};
    pl_oracle_free(oracle);
    spec = pl_spec_find("virtio-msg-r1");
    clauses = pl_clauses_find(spec);
    oracle = pl_oracle_new(spec, on_fail, NULL);
    ck_assert_ptr_nonnull(oracle);
    pl_oracle_start(oracle, max_msg_size, features);
    pl_oracle_devices(oracle, numbers, 2);
    failed[0] = sentences[0] = '\0';
    token = 100;
}

static void begin(void)
{
    begin_with(MAX, 0);
}

static void finish(void)
{
    pl_oracle_free(oracle);
    oracle = NULL;
}

/* Exactly these clauses failed: ids with blanks between them. */
static void only(const char *ids)
{
    char list[512], *rest = NULL;
    size_t length = 0;
    snprintf(list, sizeof(list), "%s", ids);
    for (char *id = strtok_r(list, " ", &rest); id; id = strtok_r(NULL, " ", &rest)) {
        char want[40];
        snprintf(want, sizeof(want), " %s ", id);
        ck_assert_msg(pl_clauses_index(clauses, id) >= 0, "the test's own mistake: %s", id);
        ck_assert_msg(strstr(failed, want) != NULL, "%s did not fail; failed:%s\n%s", id, failed,
                      sentences);
        length += strlen(want);
    }
    ck_assert_msg(strlen(failed) == length, "only %s should fail, failed:%s\n%s", ids, failed,
                  sentences);
}

static const struct pl_clause_state *state_of(const char *id)
{
    int i = pl_clauses_index(clauses, id);
    ck_assert_msg(i >= 0, "no clause %s", id);
    return pl_oracle_clause(oracle, (size_t)i);
}

/* --- messages --- */

#define V(name, value) [PL_F_##name] = (value)
#define M(name, ...)   ((struct pl_msg){.kind = PL_##name, .f = {[PL_F_none] = 0, __VA_ARGS__}})

struct packet {
    uint8_t bytes[1024];
    size_t size;
};

static struct packet pack(struct pl_msg m)
{
    struct packet p;
    ssize_t size = pl_encode(spec, &m, p.bytes, sizeof(p.bytes));
    ck_assert_msg(size > 0, "%s cannot be encoded", pl_kind_names[m.kind]);
    p.size = (size_t)size;
    return p;
}

static struct pl_msg with_data(struct pl_msg m, const void *data, size_t n)
{
    m.data = data;
    m.data_len = (uint32_t)n;
    return m;
}

static struct pl_msg as_response(struct pl_msg m, uint16_t its_token)
{
    m.response = true;
    m.dev_num = DEV;
    m.token = its_token;
    return m;
}

static void send_packet(const struct packet *p)
{
    pl_oracle_sent(oracle, p->bytes, p->size);
}

static void receive_packet(const struct packet *p)
{
    pl_oracle_received(oracle, p->bytes, p->size);
}

static uint16_t ask(struct pl_msg m)
{
    m.dev_num = DEV;
    m.token = ++token;
    struct packet p = pack(m);
    send_packet(&p);
    return m.token;
}

static void reply(uint16_t its_token, struct pl_msg m)
{
    struct packet p = pack(as_response(m, its_token));
    receive_packet(&p);
}

static void exchange(struct pl_msg request, struct pl_msg response)
{
    reply(ask(request), response);
}

static void event(struct pl_msg m)
{
    m.dev_num = DEV;
    struct packet p = pack(m);
    receive_packet(&p);
}

/* --- the messages of a device that does as it should --- */

static const uint8_t zeros[512];
static const uint8_t old_bytes[CONFIG] = {1, 2, 3, 4, 5, 6, 7, 8};
static const uint8_t new_bytes[CONFIG] = {9, 9, 9, 9, 9, 9, 9, 9};
static const uint8_t uuid4[16] = {1, 2, 3, 4, 5, 6, 0x47, 8, 0x89, 10, 11, 12, 13, 14, 15, 16};

static struct pl_msg info_answer(void)
{
    struct pl_msg m =
        M(GET_DEVICE_INFO, V(device_id, PL_C_TYPE_block), V(vendor_id, 0x1af4),
          V(num_feature_blocks, 2), V(config_size, CONFIG), V(max_virtqueues, QUEUES));
    m.fixed = uuid4;
    return m;
}

static void get_info(void)
{
    exchange(M(GET_DEVICE_INFO), info_answer());
}

static void get_status(uint32_t status)
{
    exchange(M(GET_DEVICE_STATUS), M(GET_DEVICE_STATUS, V(status, status)));
}

static void set_status(uint32_t status, uint32_t result)
{
    exchange(M(SET_DEVICE_STATUS, V(status, status)), M(SET_DEVICE_STATUS, V(status, result)));
}

static void get_features(uint32_t block, uint32_t bits)
{
    uint8_t word[4] = {(uint8_t)bits, (uint8_t)(bits >> 8), (uint8_t)(bits >> 16),
                       (uint8_t)(bits >> 24)};
    struct pl_msg m = M(GET_DEVICE_FEATURES, V(block_index, block), V(num_blocks, 1));
    exchange(m, with_data(m, word, 4));
}

static void set_features(uint32_t block, uint32_t bits)
{
    uint8_t word[4] = {(uint8_t)bits, (uint8_t)(bits >> 8), (uint8_t)(bits >> 16),
                       (uint8_t)(bits >> 24)};
    exchange(with_data(M(SET_DRIVER_FEATURES, V(block_index, block), V(num_blocks, 1)), word, 4),
             M(SET_DRIVER_FEATURES));
}

static struct pl_msg config_answer(uint32_t offset, const uint8_t *bytes, uint32_t n, uint32_t gen)
{
    return with_data(M(GET_CONFIG, V(generation, gen), V(offset, offset), V(length, n)), bytes, n);
}

static void get_config(const uint8_t *bytes, uint32_t n, uint32_t gen)
{
    exchange(M(GET_CONFIG, V(length, n)), config_answer(0, bytes, n, gen));
}

static struct pl_msg config_write(const uint8_t *bytes, uint32_t n, uint32_t gen)
{
    return with_data(M(SET_CONFIG, V(generation, gen), V(length, n)), bytes, n);
}

static void set_config(const uint8_t *bytes, uint32_t n, uint32_t gen, bool applied,
                       uint32_t new_gen)
{
    exchange(config_write(bytes, n, gen), config_write(bytes, applied ? n : 0, new_gen));
}

static void event_config(uint32_t status, uint32_t gen, uint32_t offset, uint32_t length,
                         const uint8_t *bytes)
{
    struct pl_msg m = M(EVENT_CONFIG, V(device_status, status), V(generation, gen),
                        V(offset, offset), V(length, length));
    event(bytes ? with_data(m, bytes, length) : m);
}

struct queue {
    uint32_t max, size, flags;
    uint64_t desc;
};

static struct pl_msg queue_answer(uint32_t index, struct queue q)
{
    return M(GET_VQUEUE, V(index, index), V(max_size, q.max), V(cur_size, q.size),
             V(flags, q.flags), V(desc_addr, q.desc), V(driver_addr, q.desc ? q.desc + 0x1000 : 0),
             V(device_addr, q.desc ? q.desc + 0x2000 : 0));
}

static void get_queue(struct queue q)
{
    exchange(M(GET_VQUEUE, V(index, 0)), queue_answer(0, q));
}

static struct pl_msg queue_write(uint32_t index, uint32_t flags, uint32_t size, uint64_t desc)
{
    return M(SET_VQUEUE, V(index, index), V(flags, flags), V(size, size), V(desc_addr, desc),
             V(driver_addr, desc + 0x1000), V(device_addr, desc + 0x2000));
}

static void set_queue(uint32_t flags, uint32_t size, uint64_t desc)
{
    exchange(queue_write(0, flags, size, desc), M(SET_VQUEUE));
}

static void reset_queue(uint32_t index)
{
    exchange(M(RESET_VQUEUE, V(index, index)), M(RESET_VQUEUE));
}

static const struct queue empty = {.max = 256};
static const struct queue configured = {256, 8, 0, 0x10000};
static const struct queue enabled = {256, 8, 1, 0x10000};

/* --- how far the driver has come --- */

static void known(void)
{
    get_info();
    set_status(0, 0);
}

static void driving(void)
{
    known();
    set_status(ACK, ACK);
    set_status(DRIVER, DRIVER);
}

static void select_features(uint32_t block1)
{
    driving();
    get_features(0, OFFERED0);
    get_features(1, OFFERED1);
    set_features(1, block1);
}

static void ready(void)
{
    select_features(OFFERED1);
    set_status(READY, READY);
}

static void ready_plain(void)
{
    select_features(1);
    set_status(READY, READY);
}

static void running(void)
{
    ready();
    set_status(RUNNING, RUNNING);
}

static void has_queue(struct queue q)
{
    ready();
    get_queue(empty);
    if (q.size) {
        set_queue(q.flags ? PL_C_SVQ_ENABLE : PL_C_SVQ_KEEP_DISABLED, q.size, q.desc);
        get_queue(q);
    }
}

/* --- a clause, kept and broken: the two differ in what `bad` decides only --- */

typedef void story_fn(bool bad);

struct story {
    const char *clause; /* applied and kept where the story is a good one */
    story_fn *tell;
    const char *fails; /* all that fail where it is a bad one */
};

static void limit(bool bad)
{
    begin_with(bad ? 52 : 60, 0);
    driving();
    get_config(old_bytes, CONFIG, GEN);
}

static void reserved_type(bool bad)
{
    known();
    struct packet p =
        pack(as_response(M(GET_DEVICE_STATUS, V(status, 0)), ask(M(GET_DEVICE_STATUS))));
    if (bad)
        pl_poke_type(spec, p.bytes, p.bytes[spec->header.type.offset] | 0x40);
    receive_packet(&p);
}

static void lying_size(bool bad)
{
    known();
    struct packet p = pack(as_response(M(GET_DEVICE_STATUS), ask(M(GET_DEVICE_STATUS))));
    pl_poke_size(spec, p.bytes, (uint16_t)(p.size + bad));
    receive_packet(&p);
}

static void runt(bool bad)
{
    known();
    get_status(0);
    if (bad)
        pl_oracle_received(oracle, zeros, spec->header.size - 1u);
}

static void number(bool bad)
{
    known();
    struct pl_msg m = as_response(M(GET_DEVICE_STATUS), ask(M(GET_DEVICE_STATUS)));
    m.dev_num = bad ? OTHER : DEV;
    struct packet p = pack(m);
    receive_packet(&p);
}

static void event_number(bool bad)
{
    running();
    struct pl_msg m = M(EVENT_USED);
    m.dev_num = bad ? FOREIGN : DEV;
    struct packet p = pack(m);
    receive_packet(&p);
}

static void padding(bool bad)
{
    known();
    struct packet p = pack(as_response(M(GET_DEVICE_STATUS), ask(M(GET_DEVICE_STATUS))));
    if (bad) {
        memset(p.bytes + p.size, 0xee, 4);
        p.size += 4;
        pl_poke_size(spec, p.bytes, (uint16_t)p.size);
    }
    receive_packet(&p);
}

static void token_zero(bool bad)
{
    known();
    get_status(0);
    token = UINT16_MAX;
    uint16_t zero = ask(M(GET_DEVICE_STATUS));
    ck_assert_uint_eq(zero, 0);
    if (!bad)
        reply(zero, M(GET_DEVICE_STATUS));
    get_status(0);
    pl_oracle_settle(oracle);
}

static void token_copied(bool bad)
{
    known();
    reply((uint16_t)(ask(M(GET_DEVICE_STATUS)) + 900 * bad), M(GET_DEVICE_STATUS));
}

static void event_token(bool bad)
{
    running();
    struct pl_msg m = M(EVENT_USED);
    m.token = bad;
    event(m);
}

static void event_as_response(bool bad)
{
    running();
    struct packet p = pack(M(EVENT_USED));
    pl_poke_dev_num(spec, p.bytes, DEV);
    if (bad)
        pl_poke_type(spec, p.bytes, spec->header.response_bit);
    receive_packet(&p);
}

static void bus_number(bool bad)
{
    struct packet p = pack(M(PING, V(data32, 5)));
    send_packet(&p);
    struct pl_msg m = as_response(M(PING, V(data32, 5)), 0);
    m.dev_num = bad;
    p = pack(m);
    receive_packet(&p);
}

static void endian(bool bad)
{
    ready();
    exchange(M(GET_VQUEUE), M(GET_VQUEUE, V(max_size, bad ? 0x00010000 : 0x00000100)));
}

static void overtaken_status(bool bad)
{
    ready();
    uint16_t first = ask(M(SET_DEVICE_STATUS, V(status, RUNNING)));
    uint16_t second = ask(M(GET_DEVICE_STATUS));
    reply(second, M(GET_DEVICE_STATUS, V(status, bad ? READY : RUNNING)));
    reply(first, M(SET_DEVICE_STATUS, V(status, RUNNING)));
    pl_oracle_settle(oracle);
}

static void overtaken_queue(bool bad)
{
    has_queue(configured);
    get_status(READY);
    uint16_t reset = ask(M(RESET_VQUEUE));
    uint16_t set = ask(queue_write(0, PL_C_SVQ_ENABLE, 4, 0x20000));
    uint16_t get = ask(M(GET_VQUEUE));
    /* RESET_VQUEUE or SET_VQUEUE may be refused, but what nobody asked for cannot show */
    struct queue q = {256, bad ? 16 : 4, 1, 0x20000};
    reply(get, queue_answer(0, q));
    reply(set, M(SET_VQUEUE));
    reply(reset, M(RESET_VQUEUE));
    pl_oracle_settle(oracle);
}

static void overtaken_config(bool bad)
{
    ready();
    get_config(old_bytes, 8, GEN);
    uint16_t set = ask(config_write(new_bytes, 8, GEN));
    uint16_t get = ask(M(GET_CONFIG, V(length, 8)));
    reply(get, config_answer(0, bad ? old_bytes : new_bytes, 8, bad ? GEN : GEN + 1));
    reply(set, config_write(new_bytes, 8, GEN + 1));
    get_status(READY);
    pl_oracle_settle(oracle);
}

static void twice(bool bad)
{
    known();
    uint16_t t = ask(M(GET_DEVICE_STATUS));
    reply(t, M(GET_DEVICE_STATUS));
    if (bad)
        reply(t, M(GET_DEVICE_STATUS));
}

static void unanswered(bool bad)
{
    known();
    get_status(0);
    uint16_t t = ask(M(GET_DEVICE_STATUS));
    get_info();
    if (!bad)
        reply(t, M(GET_DEVICE_STATUS));
    pl_oracle_settle(oracle);
}

static void malformed(bool bad)
{
    ready();
    struct pl_msg m = M(SET_DEVICE_STATUS, V(status, READY));
    m.dev_num = DEV;
    m.token = ++token;
    struct packet p = pack(m);
    p.size--;
    pl_poke_size(spec, p.bytes, (uint16_t)p.size);
    send_packet(&p);
    if (bad)
        reply(token, M(SET_DEVICE_STATUS, V(status, READY)));
    get_status(READY);
    pl_oracle_settle(oracle);
}

/* Answered after the fence has shown it as discarded. */
static void malformed_late(bool bad)
{
    ready();
    struct pl_msg m = M(RESET_VQUEUE);
    m.dev_num = DEV;
    m.token = ++token;
    uint16_t its_token = token;
    struct packet p = pack(m);
    p.size -= 2;
    pl_poke_size(spec, p.bytes, (uint16_t)p.size);
    send_packet(&p);
    get_status(READY);
    if (bad)
        reply(its_token, M(RESET_VQUEUE));
}

static void unsupported(bool bad)
{
    ready();
    struct pl_msg m = M(GET_DEVICE_STATUS);
    m.dev_num = DEV;
    m.token = ++token;
    struct packet p = pack(m);
    pl_poke_id(spec, p.bytes, 0x3f);
    send_packet(&p);
    get_status(READY);
    if (bad) {
        pl_poke_type(spec, p.bytes, spec->header.response_bit);
        receive_packet(&p);
    }
    pl_oracle_settle(oracle);
}

static void out_of_range(bool bad)
{
    ready();
    uint16_t t = ask(M(GET_CONFIG, V(offset, CONFIG - 2), V(length, 4)));
    if (bad)
        reply(t, config_answer(CONFIG - 2, old_bytes, 4, GEN));
    get_status(READY);
    pl_oracle_settle(oracle);
}

static void answered_response(bool bad)
{
    ready();
    struct pl_msg m = as_response(M(GET_DEVICE_STATUS), ++token);
    struct packet p = pack(m);
    send_packet(&p);
    if (bad)
        receive_packet(&p);
    get_status(READY);
    pl_oracle_settle(oracle);
}

/* A discarded request that had an effect all the same. */
static void discarded_effect(bool bad)
{
    ready();
    get_status(READY);
    struct pl_msg m = M(SET_DEVICE_STATUS, V(status, RUNNING));
    m.dev_num = DEV;
    m.token = ++token;
    struct packet p = pack(m);
    p.size -= 3;
    pl_poke_size(spec, p.bytes, (uint16_t)p.size);
    send_packet(&p);
    get_status(bad ? RUNNING : READY);
    pl_oracle_settle(oracle);
}

/* --- configuration --- */

static void sandwich_read(bool bad)
{
    ready();
    get_config(old_bytes, 8, GEN);
    get_config(old_bytes, 8, bad ? GEN + 2 : GEN);
    get_config(old_bytes, 8, GEN);
}

static void sandwich_write(bool bad)
{
    ready();
    get_config(old_bytes, 8, GEN);
    set_config(new_bytes, 8, 0, false, bad ? GEN + 2 : GEN);
    get_config(old_bytes, 8, GEN);
    pl_oracle_settle(oracle);
}

static void versions(bool bad)
{
    ready();
    get_config(old_bytes, 8, GEN);
    get_config(old_bytes, 8, GEN);
    get_config(new_bytes, 8, bad ? GEN : GEN + 1);
}

/* A generation that comes back means the version that it meant before. */
static void version_returns(bool bad)
{
    ready();
    get_config(old_bytes, 8, GEN);
    event_config(READY, GEN + 1, 0, 8, new_bytes);
    get_config(new_bytes, 8, GEN + 1);
    event_config(READY, GEN, 0, 8, bad ? new_bytes : old_bytes);
    get_config(bad ? new_bytes : old_bytes, 8, GEN);
}

static void baseline(bool bad)
{
    ready();
    get_config(old_bytes, 8, GEN);
    set_config(new_bytes, 8, 0, true, GEN + 1);
    set_config(new_bytes, 8, 999, !bad, GEN + 1);
}

static void strict(bool bad)
{
    begin_with(MAX, 1u << PL_C_TF_STRICT_CONFIG_GENERATION);
    ready();
    get_config(old_bytes, 8, GEN);
    set_config(new_bytes, 8, GEN + 5, bad, GEN + bad);
    get_config(bad ? new_bytes : old_bytes, 8, GEN + bad);
    pl_oracle_settle(oracle);
}

static void mismatch_event(bool bad)
{
    begin_with(MAX, 1u << PL_C_TF_STRICT_CONFIG_GENERATION);
    ready();
    get_config(old_bytes, 8, GEN);
    set_config(new_bytes, 8, GEN + 5, false, GEN);
    if (bad)
        event_config(READY, GEN, 0, 0, NULL);
}

enum {
    SUSPEND = PL_C_STATUS_SUSPEND,
    SUSPENDED = READY | SUSPEND,
    SUSPENDS = 1 << (PL_C_F_SUSPEND % 32)
};

/* A device that is suspended, after it has said that it is about to. */
static void suspended(void)
{
    driving();
    get_features(0, OFFERED0);
    get_features(1, OFFERED1 | SUSPENDS);
    set_features(1, 1 | SUSPENDS);
    set_status(READY, READY);
    set_status(RUNNING, RUNNING);
    get_config(old_bytes, 8, GEN);
    set_status(RUNNING | SUSPEND, RUNNING | SUSPEND);
    get_status(RUNNING | SUSPEND);
    get_status(SUSPENDED);
}

static void change_while_suspended(bool bad)
{
    suspended();
    pl_oracle_config_changed(oracle, DEV, 0, new_bytes, 8);
    ck_assert_uint_eq(pl_oracle_events_owed(oracle), 0);
    if (bad)
        event_config(SUSPENDED, GEN + 1, 0, 8, new_bytes);
    set_status(RUNNING | SUSPEND, SUSPENDED);
    event_config(RUNNING, GEN + 1, 0, 8, new_bytes);
    get_status(RUNNING);
    get_config(new_bytes, 8, GEN + 1);
    pl_oracle_settle(oracle);
}

static void change_told_on_resuming(bool bad)
{
    suspended();
    get_config(old_bytes, 8, GEN);
    pl_oracle_config_changed(oracle, DEV, 0, new_bytes, 8);
    set_status(RUNNING | SUSPEND, RUNNING);
    ck_assert_uint_eq(pl_oracle_events_owed(oracle), 1);
    if (!bad)
        event_config(RUNNING, GEN + 1, 0, 8, new_bytes);
    ck_assert_uint_eq(pl_oracle_events_owed(oracle), bad);
    pl_oracle_settle(oracle);
    get_config(new_bytes, 8, GEN + 1);
}

static void reported(bool bad)
{
    running();
    get_config(old_bytes, 8, GEN);
    pl_oracle_config_changed(oracle, DEV, 0, new_bytes, 8);
    ck_assert_uint_eq(pl_oracle_events_owed(oracle), 1);
    if (!bad)
        event_config(RUNNING, GEN + 1, 0, 8, new_bytes);
    get_config(new_bytes, 8, GEN + 1);
    ck_assert_uint_eq(pl_oracle_events_owed(oracle), bad);
    pl_oracle_settle(oracle);
}

/* Two events may share the work, but every byte has to be in one of them. */
static void reported_in_parts(bool bad)
{
    running();
    get_config(old_bytes, 8, GEN);
    pl_oracle_config_changed(oracle, DEV, 0, new_bytes, 8);
    event_config(RUNNING, GEN + 1, 0, 4, new_bytes);
    ck_assert_uint_eq(pl_oracle_events_owed(oracle), 1);
    event_config(RUNNING, GEN + 1, bad ? 0 : 4, 4, new_bytes);
    ck_assert_uint_eq(pl_oracle_events_owed(oracle), bad);
    pl_oracle_settle(oracle);
}

static void stale_event(bool bad)
{
    running();
    get_config(old_bytes, 8, GEN);
    pl_oracle_config_changed(oracle, DEV, 0, new_bytes, 8);
    event_config(RUNNING, bad ? GEN : GEN + 1, 0, 8, new_bytes);
    get_config(new_bytes, 8, GEN + 1);
    pl_oracle_settle(oracle);
}

static void unchanged_generation(bool bad)
{
    running();
    get_config(old_bytes, 8, GEN);
    pl_oracle_config_changed(oracle, DEV, 0, new_bytes, 8);
    event_config(RUNNING, bad ? GEN : GEN + 1, 0, 8, new_bytes);
    get_config(new_bytes, 8, bad ? GEN : GEN + 1);
    pl_oracle_settle(oracle);
}

static void event_for_nothing(bool bad)
{
    running();
    get_status(RUNNING);
    get_config(old_bytes, 8, GEN);
    event_config(RUNNING | BROKEN, GEN, 0, 0, NULL);
    if (bad)
        event_config(RUNNING | BROKEN, GEN, 0, 0, NULL);
}

static void event_made_up_status(bool bad)
{
    running();
    get_status(RUNNING);
    get_config(old_bytes, 8, GEN);
    event_config(bad ? DRIVER : RUNNING | BROKEN, GEN, 0, 0, NULL);
}

static void event_for_write(bool bad)
{
    ready();
    get_config(old_bytes, 8, GEN);
    set_status(RUNNING, RUNNING);
    if (bad)
        event_config(RUNNING, GEN, 0, 0, NULL);
}

static void status_event_range(bool bad)
{
    running();
    get_status(RUNNING);
    get_config(old_bytes, 8, GEN);
    event_config(RUNNING | BROKEN, GEN, 0, bad ? 8 : 0, NULL);
}

static void large_change(bool bad)
{
    begin_with(60, 0);
    running();
    get_config(old_bytes, CONFIG, GEN);
    pl_oracle_config_changed(oracle, DEV, 0, new_bytes, CONFIG);
    event_config(RUNNING, GEN + 1, 0, 0, NULL);
    get_config(bad ? old_bytes : new_bytes, CONFIG, GEN + 1);
    pl_oracle_settle(oracle);
}

static void event_names_range(bool bad)
{
    begin_with(60, 1u << PL_C_TF_STRICT_CONFIG_GENERATION);
    running();
    get_config(old_bytes, CONFIG, GEN);
    pl_oracle_config_changed(oracle, DEV, 0, new_bytes, CONFIG);
    event_config(RUNNING, GEN + 1, 0, bad ? 0 : CONFIG, NULL);
    get_config(new_bytes, CONFIG, GEN + 1);
    pl_oracle_settle(oracle);
}

static void noop_write(bool bad)
{
    ready();
    get_config(old_bytes, 8, GEN);
    exchange(config_write(new_bytes, 0, 0), config_write(new_bytes, bad ? 4 : 0, GEN));
}

static void half_applied(bool bad)
{
    ready();
    exchange(config_write(new_bytes, 8, 0), config_write(new_bytes, bad ? 4 : 8, GEN));
}

static void applied_for_real(bool bad)
{
    ready();
    get_config(old_bytes, 8, GEN);
    set_config(new_bytes, 8, 0, true, GEN + 1);
    get_config(bad ? old_bytes : new_bytes, 8, GEN + 1);
    pl_oracle_settle(oracle);
}

static void rejected_for_real(bool bad)
{
    ready();
    get_config(old_bytes, 8, GEN);
    set_config(new_bytes, 8, 0, false, GEN);
    get_config(bad ? new_bytes : old_bytes, 8, bad ? GEN + 1 : GEN);
    pl_oracle_settle(oracle);
}

static void rejection_with_data(bool bad)
{
    ready();
    struct pl_msg m = M(SET_CONFIG, V(generation, GEN));
    exchange(config_write(new_bytes, 8, 0), bad ? with_data(m, zeros, 8) : m);
}

/* --- features --- */

static void blocks_beyond(bool bad)
{
    driving();
    get_features(2, bad ? 1 : 0);
}

static void offered_changes(bool bad)
{
    driving();
    get_features(0, OFFERED0);
    set_features(0, 0x40);
    get_features(0, bad ? 0x40 : OFFERED0);
}

static void forbidden_feature(bool bad)
{
    driving();
    get_features(1, OFFERED1 | (bad ? 1u << (PL_C_F_NOTIF_CONFIG_DATA % 32) : 0));
}

static void unoffered_taken(bool bad)
{
    select_features(1);
    set_features(0, 0x100);
    set_status(READY, bad ? READY : DRIVER);
}

/* What was not offered is refused where it is written last, and overlooked where it is not. */
static void only_last_block(bool bad)
{
    unoffered_taken(false);
    set_status(0, 0);
    set_status(ACK, ACK);
    set_status(DRIVER, DRIVER);
    set_features(0, 0x100);
    set_features(1, 1);
    set_status(READY, bad ? READY : DRIVER);
}

/* --- information --- */

static void info_values(enum pl_field field, uint64_t value)
{
    struct pl_msg m = info_answer();
    m.f[field] = value;
    exchange(M(GET_DEVICE_INFO), m);
}

static void info_changes(bool bad)
{
    get_info();
    info_values(PL_F_config_size, CONFIG + (bad ? 4 : 0));
}

static void too_many_queues(bool bad)
{
    info_values(PL_F_max_virtqueues, PL_C_MAX_VIRTQUEUES + bad);
}

static void admin_range(bool bad)
{
    struct pl_msg m = info_answer();
    m.f[PL_F_admin_vq_start] = 1;
    m.f[PL_F_admin_vq_count] = bad ? 2 : 1;
    exchange(M(GET_DEVICE_INFO), m);
}

static void admin_start(bool bad)
{
    info_values(PL_F_admin_vq_start, bad);
}

static void uuid_version(bool bad)
{
    struct pl_msg m = info_answer();
    uint8_t uuid[16];
    memcpy(uuid, uuid4, sizeof(uuid));
    uuid[6] = bad ? 0x17 : 0x47;
    m.fixed = uuid;
    exchange(M(GET_DEVICE_INFO), m);
}

static void not_implemented(bool bad)
{
    ready();
    uint16_t t = ask(M(GET_SHM));
    if (!bad)
        reply(t, M(GET_SHM));
    get_status(READY);
    pl_oracle_settle(oracle);
    pl_oracle_conclude(oracle, NULL);
}

/* --- status --- */

static void status_as_it_is(bool bad)
{
    ready();
    get_status(READY);
    get_status(bad ? DRIVER : READY);
}

static void needs_reset(bool bad)
{
    running();
    pl_oracle_needs_reset(oracle, DEV);
    get_status(bad ? RUNNING : RUNNING | BROKEN);
}

static void resulting_status(bool bad)
{
    select_features(1);
    set_status(READY, bad ? DRIVER : READY);
    get_status(READY);
}

/* What cannot be accepted was: told, but not what the status then reads. */
static void resulting_refusal(bool bad)
{
    unoffered_taken(bad);
    get_status(DRIVER);
}

static void told_needs_reset(bool bad)
{
    ready();
    get_status(READY | BROKEN);
    set_status(RUNNING | BROKEN, bad ? (uint32_t)RUNNING : (uint32_t)(RUNNING | BROKEN));
    get_status(RUNNING | BROKEN);
}

static void reset_ends(bool bad)
{
    running();
    set_status(0, RUNNING);
    get_status(RUNNING);
    if (bad)
        pl_oracle_reset_stuck(oracle, DEV);
    else
        get_status(0);
}

static void reset_too_early(bool bad)
{
    running();
    set_status(0, bad ? 0 : RUNNING);
    get_status(bad ? RUNNING : 0);
    if (!bad)
        get_status(0);
}

/* Status 0 was told, and the queue is still there. */
static void reset_left_queue(bool bad)
{
    has_queue(enabled);
    set_status(0, 0);
    get_status(0);
    set_status(ACK, ACK);
    set_status(DRIVER, DRIVER);
    set_features(1, 1);
    set_status(READY, READY);
    get_queue(bad ? enabled : empty);
}

/* --- queues --- */

static void maximum_moves(bool bad)
{
    ready();
    get_queue(empty);
    get_queue((struct queue){.max = bad ? 128 : 256});
}

static void size_forgotten(bool bad)
{
    has_queue(configured);
    get_queue(bad ? empty : configured);
}

static void absent_queue(bool bad)
{
    ready();
    exchange(M(GET_VQUEUE, V(index, QUEUES)),
             M(GET_VQUEUE, V(index, QUEUES), V(max_size, bad ? 16 : 0)));
}

static void queue_flags(bool bad)
{
    ready();
    get_queue((struct queue){.max = 256, .flags = bad ? 4 : 0});
}

static void set_absent(bool bad)
{
    has_queue(configured);
    exchange(queue_write(QUEUES, PL_C_SVQ_ENABLE, 4, 0x30000), M(SET_VQUEUE));
    get_queue(bad ? (struct queue){256, 4, 1, 0x30000} : configured);
}

static void set_reserved(bool bad)
{
    has_queue(configured);
    struct pl_msg m = queue_write(0, PL_C_SVQ_ENABLE, 4, 0x30000);
    m.f[PL_F_reserved] = 1;
    exchange(m, M(SET_VQUEUE));
    get_queue(bad ? (struct queue){256, 4, 1, 0x30000} : configured);
}

static void set_disables(bool bad)
{
    has_queue(enabled);
    set_queue(PL_C_SVQ_KEEP_DISABLED | PL_C_SVQ_IGNORE_ALL, 0, 0);
    get_queue(bad ? configured : enabled);
}

/* Half of the fields: the size is new, the addresses are not. */
static void not_atomic(bool bad)
{
    has_queue(configured);
    set_queue(PL_C_SVQ_KEEP_DISABLED, 4, 0x30000);
    get_queue(bad ? (struct queue){256, 4, 0, 0x10000} : (struct queue){256, 4, 0, 0x30000});
}

static void ignored_field_moves(bool bad)
{
    has_queue(configured);
    set_queue(PL_C_SVQ_KEEP_STATE | PL_C_SVQ_IGNORE_SIZE, 4, 0x30000);
    get_queue((struct queue){256, bad ? 4 : 8, 0, 0x30000});
}

static void update_enabled(bool bad)
{
    has_queue(enabled);
    set_queue(PL_C_SVQ_KEEP_STATE, 4, 0x30000);
    get_queue(bad ? (struct queue){256, 4, 1, 0x30000} : enabled);
}

static void wrong_operation(bool bad)
{
    has_queue(configured);
    set_queue(PL_C_SVQ_ENABLE, 4, 0x30000);
    get_queue((struct queue){256, 4, !bad, 0x30000});
}

static void reset_absent(bool bad)
{
    has_queue(enabled);
    reset_queue(QUEUES);
    get_queue(bad ? empty : enabled);
}

static void reset_not_negotiated(bool bad)
{
    ready_plain();
    get_queue(empty);
    set_queue(PL_C_SVQ_ENABLE, 8, 0x10000);
    get_queue(enabled);
    reset_queue(0);
    get_queue(bad ? empty : enabled);
}

static void reset_stops(bool bad)
{
    has_queue(enabled);
    reset_queue(0);
    get_queue(bad ? enabled : empty);
}

static void reset_then_again(bool bad)
{
    has_queue(enabled);
    reset_queue(0);
    get_queue(empty);
    set_queue(PL_C_SVQ_ENABLE, 8, 0x10000);
    get_queue(bad ? empty : enabled);
}

/* --- shared memory, layouts --- */

static void odd_region(bool bad)
{
    ready();
    exchange(M(GET_SHM, V(shmid, 256)), M(GET_SHM, V(shmid, 256), V(length, bad)));
}

static void region_moves(bool bad)
{
    ready();
    for (uint64_t i = 0; i < 2; i++)
        exchange(M(GET_SHM, V(shmid, 1)),
                 M(GET_SHM, V(shmid, 1), V(length, 4096), V(address, bad ? i * 4096 : 4096)));
}

static void shm_reserved(bool bad)
{
    ready();
    exchange(M(GET_SHM, V(shmid, 1)), M(GET_SHM, V(shmid, 1), V(reserved, bad)));
}

static void short_response(bool bad)
{
    known();
    struct packet p = pack(as_response(M(GET_DEVICE_STATUS), ask(M(GET_DEVICE_STATUS))));
    p.size -= bad;
    pl_poke_size(spec, p.bytes, (uint16_t)p.size);
    receive_packet(&p);
}

static void features_echo(bool bad)
{
    driving();
    exchange(
        M(GET_DEVICE_FEATURES, V(block_index, 5), V(num_blocks, 1)),
        with_data(M(GET_DEVICE_FEATURES, V(block_index, bad ? 6 : 5), V(num_blocks, 1)), zeros, 4));
}

static void config_echo(bool bad)
{
    driving();
    exchange(M(GET_CONFIG, V(offset, 4), V(length, 4)),
             config_answer(bad ? 5 : 4, old_bytes, 4, GEN));
}

static void write_echo(bool bad)
{
    ready();
    exchange(config_write(new_bytes, 8, 0), config_write(bad ? old_bytes : new_bytes, 8, GEN));
}

static void queue_echo(bool bad)
{
    ready();
    exchange(M(GET_VQUEUE), queue_answer(bad, empty));
}

static void shm_echo(bool bad)
{
    ready();
    exchange(M(GET_SHM, V(shmid, 3)), M(GET_SHM, V(shmid, bad ? 4 : 3)));
}

static void response_identity(bool bad)
{
    known();
    uint16_t t = ask(M(GET_DEVICE_STATUS));
    reply(t, bad ? M(SET_DEVICE_STATUS) : M(GET_DEVICE_STATUS));
}

static void originates(bool bad)
{
    running();
    event(bad ? M(EVENT_AVAIL) : M(EVENT_USED));
}

static void out_of_the_blue(bool bad)
{
    running();
    event(M(EVENT_USED));
    if (bad)
        reply(0x7777, M(RESET_VQUEUE));
}

#include "oracle_ring_stories.h"

static const struct story stories[] = {
    RING_STORIES,
    {"LIMIT-DEV-01", limit, "LIMIT-DEV-01 HDR-DEV-02"},
    {"HDR-DEV-01", reserved_type, "HDR-DEV-01 HDR-ANY-01"},
    {"HDR-DEV-02", lying_size, "HDR-DEV-02"},
    {"HDR-DEV-02", runt, "HDR-DEV-02"},
    {"HDR-DEV-03", number, "HDR-DEV-03"},
    {"HDR-DEV-03", event_number, "HDR-DEV-03"},
    {"HDR-DEV-04", padding, "HDR-DEV-04 WIRE-DEV-01"},
    {"HDR-DEV-05", token_zero, "HDR-DEV-05 ORD-DEV-02"},
    {"HDR-DEV-06", token_copied, "HDR-DEV-06"},
    {"HDR-ANY-01", event_token, "HDR-ANY-01"},
    {"HDR-ANY-02", event_as_response, "HDR-ANY-02"},
    {"HDR-ANY-03", bus_number, "HDR-ANY-03"},
    {"END-DEV-01", endian, "END-DEV-01"},
    {"ORD-DEV-01", overtaken_status, "ORD-DEV-01"},
    {"ORD-DEV-01", overtaken_queue, "ORD-DEV-01"},
    {"ORD-DEV-01", overtaken_config, "ORD-DEV-01"},
    {"ORD-DEV-02", twice, "ORD-DEV-02"},
    {"ORD-DEV-02", unanswered, "ORD-DEV-02"},
    {"ORD-DEV-03", malformed, "ERR-DEV-01 ORD-DEV-03"},
    {"ERR-DEV-01", malformed_late, "ERR-DEV-01 ORD-DEV-03"},
    {"REV-DEV-02", unsupported, "ERR-DEV-01 ORD-DEV-03 LIMIT-DEV-02 REV-DEV-02"},
    {"ERR-DEV-01", out_of_range, "ERR-DEV-01 ORD-DEV-03"},
    {"ORD-DEV-03", answered_response, "ERR-DEV-01 ORD-DEV-03"},
    {"ERR-DEV-01", discarded_effect, "ERR-DEV-01 ORD-DEV-03"},
    {"GCFG-DEV-01", sandwich_read, "CFG-DEV-02 GCFG-DEV-01"},
    {"SCFG-DEV-01", sandwich_write, "CFG-DEV-02 SCFG-DEV-01"},
    {"CFG-DEV-03", versions, "CFG-DEV-03"},
    {"CFG-DEV-03", version_returns, "CFG-DEV-03"},
    {"CFG-DEV-04", baseline, "CFG-DEV-01 CFG-DEV-04"},
    {"CFG-DEV-12", strict, "CFG-DEV-01 CFG-DEV-12"},
    {"CFG-DEV-05", mismatch_event, "CFG-DEV-05"},
    {"CORE-SUSPEND-DEV-04", change_while_suspended, "CORE-SUSPEND-DEV-04"},
    {"CORE-SUSPEND-DEV-05", change_told_on_resuming, "CORE-SUSPEND-DEV-05"},
    {"CFG-DEV-07", reported, "CFG-DEV-07"},
    {"CFG-DEV-07", reported_in_parts, "CFG-DEV-07"},
    {"CFG-DEV-02", stale_event, "CFG-DEV-02"},
    {"CFG-DEV-03", unchanged_generation, "CFG-DEV-03"},
    {"CFG-DEV-08", event_for_nothing, "CFG-DEV-08"},
    {"CFG-DEV-08", event_made_up_status, "CFG-DEV-08"},
    {"CFG-DEV-09", event_for_write, "CFG-DEV-08 CFG-DEV-09"},
    {"CFG-DEV-10", status_event_range, "CFG-DEV-10"},
    {"CFG-DEV-13", large_change, "CFG-DEV-13"},
    {"CFG-DEV-14", event_names_range, "CFG-DEV-14"},
    {"SCFG-DEV-02", noop_write, "SCFG-DEV-02"},
    {"SCFG-DEV-03", half_applied, "SCFG-DEV-03"},
    {"SCFG-DEV-03", applied_for_real, "SCFG-DEV-03"},
    {"SCFG-DEV-03", rejected_for_real, "SCFG-DEV-03"},
    {"SCFG-DEV-04", rejection_with_data, "SCFG-DEV-04 WIRE-DEV-01"},
    {"FBLK-DEV-01", blocks_beyond, "FBLK-DEV-01 INFO-DEV-02"},
    {"FBLK-DEV-02", only_last_block, "FBLK-DEV-02"},
    {"FBLK-DEV-03", offered_changes, "FBLK-DEV-03"},
    {"FEAT-DEV-01", forbidden_feature, "FEAT-DEV-01 CORE-FEAT-DEV-04"},
    {"FEAT-DEV-02", unoffered_taken, "FEAT-DEV-02 CORE-FEAT-DEV-03"},
    {"INFO-DEV-01", info_changes, "INFO-DEV-01"},
    {"INFO-DEV-03", too_many_queues, "INFO-DEV-03"},
    {"INFO-DEV-06", admin_range, "INFO-DEV-04 INFO-DEV-06"},
    {"INFO-DEV-05", admin_start, "INFO-DEV-05"},
    {"INFO-DEV-08", uuid_version, "INFO-DEV-08"},
    {"CORE-DEV-01", not_implemented, "CORE-DEV-01"},
    {"STAT-DEV-01", status_as_it_is, "STAT-DEV-01"},
    {"STAT-DEV-02", needs_reset, "STAT-DEV-02 CORE-STATUS-DEV-03"},
    {"STAT-DEV-03", resulting_status, "STAT-DEV-03 CORE-FEAT-DEV-02"},
    {"STAT-DEV-03", resulting_refusal, "FEAT-DEV-02 CORE-FEAT-DEV-03 STAT-DEV-03"},
    {"STAT-DEV-03", told_needs_reset, "STAT-DEV-03"},
    {"STAT-DEV-04", reset_ends, "STAT-DEV-04 CORE-RESET-DEV-01"},
    {"STAT-DEV-06", reset_too_early, "STAT-DEV-06"},
    {"STAT-DEV-06", reset_left_queue, "STAT-DEV-06 GVQ-DEV-01 GVQ-DEV-03"},
    {"GVQ-DEV-01", maximum_moves, "GVQ-DEV-01"},
    {"GVQ-DEV-01", size_forgotten, "GVQ-DEV-01"},
    {"GVQ-DEV-02", absent_queue, "GVQ-DEV-02"},
    {"GVQ-DEV-03", queue_flags, "GVQ-DEV-03"},
    {"SVQ-DEV-01", set_absent, "SVQ-DEV-01"},
    {"SVQ-DEV-02", set_reserved, "SVQ-DEV-02"},
    {"SVQ-DEV-03", set_disables, "SVQ-DEV-03 SVQ-DEV-07"},
    {"SVQ-DEV-04", not_atomic, "SVQ-DEV-04 SVQ-DEV-05"},
    {"SVQ-DEV-05", ignored_field_moves, "SVQ-DEV-04 SVQ-DEV-05 GVQ-DEV-01"},
    {"SVQ-DEV-06", update_enabled, "SVQ-DEV-06"},
    {"SVQ-DEV-07", wrong_operation, "SVQ-DEV-04 SVQ-DEV-07 GVQ-DEV-03"},
    {"RVQ-DEV-01", reset_absent, "RVQ-DEV-01"},
    {"RVQ-DEV-02", reset_not_negotiated, "RVQ-DEV-02"},
    {"RVQ-DEV-03", reset_stops, "RVQ-DEV-03"},
    {"RVQ-DEV-03", reset_then_again, "RVQ-DEV-03"},
    {"SHM-DEV-01", odd_region, "SHM-DEV-01"},
    {"SHM-DEV-01", region_moves, "SHM-DEV-01"},
    {"SHM-DEV-02", shm_reserved, "SHM-DEV-02"},
    {"WIRE-DEV-01", short_response, "WIRE-DEV-01"},
    {"WIRE-DEV-02", features_echo, "WIRE-DEV-02"},
    {"WIRE-DEV-03", config_echo, "WIRE-DEV-03"},
    {"WIRE-DEV-04", write_echo, "WIRE-DEV-04"},
    {"WIRE-DEV-05", queue_echo, "WIRE-DEV-05"},
    {"WIRE-DEV-06", shm_echo, "WIRE-DEV-06"},
    {"WIRE-DEV-07", response_identity, "WIRE-DEV-07"},
    {"WIRE-DEV-08", originates, "WIRE-DEV-08"},
    {"WIRE-DEV-08", out_of_the_blue, "WIRE-DEV-08"},
};
enum { STORIES = sizeof(stories) / sizeof(stories[0]) };

START_TEST(kept)
{
    const struct story *story = &stories[_i];
    begin();
    story->tell(false);
    ck_assert_msg(!failed[0], "%s, kept, fails:\n%s", story->clause, sentences);
    ck_assert_msg(state_of(story->clause)->applied > 0, "%s was not applied (story %d)",
                  story->clause, _i);
    ck_assert_uint_eq(state_of(story->clause)->failed, 0);
    finish();
}
END_TEST

START_TEST(broken)
{
    const struct story *story = &stories[_i];
    begin();
    story->tell(true);
    only(story->fails);
    ck_assert_msg(state_of(story->clause)->failed > 0, "%s did not fail (story %d)", story->clause,
                  _i);
    finish();
}
END_TEST

static bool names(const char *ids, const char *id)
{
    char list[512], want[40];
    snprintf(list, sizeof(list), " %s ", ids);
    snprintf(want, sizeof(want), " %s ", id);
    return strstr(list, want) != NULL;
}

/* Every story is about a clause that is judged, and every one of a device's that is judged has one.
 */
START_TEST(clauses_with_a_story)
{
    begin();
    unsigned judged = 0, told = 0;
    for (size_t c = 0; c < pl_clauses_count(clauses); c++) {
        const struct pl_clause_def *def = pl_clauses_get(clauses, c);
        bool found = false;
        for (size_t i = 0; i < STORIES; i++)
            found |= names(stories[i].fails, def->id);
        if (def->by_scenario || strcmp(def->role, "driver") == 0 || strcmp(def->role, "bus") == 0)
            continue; /* those of other roles have tests of their own */
        judged += def->judged;
        told += found;
        ck_assert_msg(!found || def->judged, "%s is not judged", def->id);
        ck_assert_msg(found || !def->judged, "%s is judged and has no story", def->id);
    }
    ck_assert_uint_eq(judged, told);
    finish();
}
END_TEST

/* --- what the draft leaves free: nothing of it fails anything --- */

typedef void free_fn(void);

/* Responses in the reverse order, each as the order of the requests has it. */
static void reversed_responses(void)
{
    ready();
    get_config(old_bytes, 8, GEN);
    get_queue(empty);
    uint16_t a = ask(M(GET_DEVICE_STATUS));
    uint16_t b = ask(M(SET_DEVICE_STATUS, V(status, RUNNING)));
    uint16_t c = ask(M(GET_VQUEUE));
    uint16_t d = ask(queue_write(0, PL_C_SVQ_ENABLE, 8, 0x10000));
    uint16_t e = ask(M(GET_VQUEUE));
    uint16_t f = ask(M(GET_DEVICE_STATUS));
    reply(f, M(GET_DEVICE_STATUS, V(status, RUNNING)));
    reply(e, queue_answer(0, enabled));
    reply(d, M(SET_VQUEUE));
    reply(c, queue_answer(0, empty));
    reply(b, M(SET_DEVICE_STATUS, V(status, RUNNING)));
    reply(a, M(GET_DEVICE_STATUS, V(status, READY)));
    get_status(RUNNING);
}

static void late_config_answers(void)
{
    ready();
    get_config(old_bytes, 8, GEN);
    uint16_t a = ask(M(GET_CONFIG, V(length, 8)));
    uint16_t b = ask(config_write(new_bytes, 8, 0));
    uint16_t c = ask(M(GET_CONFIG, V(length, 8)));
    reply(c, config_answer(0, new_bytes, 8, GEN + 1));
    reply(b, config_write(new_bytes, 8, GEN + 1));
    reply(a, config_answer(0, old_bytes, 8, GEN));
    get_config(new_bytes, 8, GEN + 1);
    get_config(new_bytes, 8, GEN + 1);
}

static void asynchronous_reset(void)
{
    has_queue(enabled);
    get_config(old_bytes, 8, GEN);
    set_status(0, READY);
    get_status(READY);
    get_queue(enabled); /* old values may still show */
    get_queue(empty);   /* and go at any time */
    get_config(new_bytes, 8, GEN);
    ask(M(GET_CONFIG, V(length, 4))); /* requests may be discarded */
    ask(M(GET_DEVICE_INFO));
    get_status(READY);
    get_status(0);
    get_info();
    set_status(ACK, ACK);
    ck_assert(state_of("STAT-DEV-05")->used);
}

static void synchronous_reset(void)
{
    has_queue(enabled);
    get_config(old_bytes, 8, GEN);
    set_status(0, 0);
    get_status(0);
    set_status(ACK, ACK);
    set_status(DRIVER, DRIVER);
    get_config(new_bytes, 8, 1);
    ck_assert(state_of("CFG-DEV-11")->used);
}

static void refused_features_ok(void)
{
    select_features(0); /* VERSION_1 is not selected */
    set_status(READY, DRIVER);
    get_status(DRIVER);
    set_features(1, 1);
    set_status(READY, READY);
    get_status(READY);
    ck_assert(!pl_oracle_never_ready(oracle));
}

static void refused_set_vqueue(void)
{
    has_queue(configured);
    set_queue(PL_C_SVQ_ENABLE, 4, 0x30000);
    get_queue(configured);
    set_queue(PL_C_SVQ_ENABLE, 3, 0x30000);
    set_queue(PL_C_SVQ_ENABLE, 16, 0x40000); /* two in a row, the first applied or the second */
    get_queue((struct queue){256, 3, 1, 0x30000});
}

/* An address that nobody has set can be anything, before and after. */
static void addresses_never_set(void)
{
    ready();
    get_queue((struct queue){.max = 256, .desc = 0x5000});
    set_queue(PL_C_SVQ_KEEP_STATE | PL_C_SVQ_IGNORE_DESC_ADDR, 8, 0x30000);
    exchange(M(GET_VQUEUE), M(GET_VQUEUE, V(max_size, 256), V(cur_size, 8), V(desc_addr, 0x7000),
                              V(driver_addr, 0x31000), V(device_addr, 0x32000)));
}

/* The device says by itself that it needs a reset: by event, by GET or with the next SET. */
static void spontaneous_needs_reset(void)
{
    running();
    get_config(old_bytes, 8, GEN);
    event_config(RUNNING | BROKEN, GEN, 0, 0, NULL);
    get_status(RUNNING | BROKEN);
    set_status(0, 0);
    set_status(ACK, ACK | BROKEN);
    get_status(ACK | BROKEN);
    set_status(0, 0);
    set_status(ACK, ACK);
    get_status(ACK | BROKEN);
}

static void queue_after_reset_cleared(void)
{
    has_queue(enabled);
    reset_queue(0);
    get_queue(empty);
}

static void queue_after_reset_kept(void)
{
    has_queue(enabled);
    reset_queue(0);
    get_queue(configured);
    set_queue(PL_C_SVQ_ENABLE, 8, 0x10000);
    get_queue(enabled);
}

static void unknown_device(void)
{
    known();
    struct pl_msg m = M(GET_DEVICE_INFO);
    m.dev_num = FOREIGN;
    m.token = ++token;
    struct packet p = pack(m);
    send_packet(&p);
    ck_assert_uint_eq(pl_oracle_owed(oracle), 0);
    get_status(0);
}

/* Without a list of device numbers only what answers is there. */
static void unlisted_device(void)
{
    pl_oracle_devices(oracle, NULL, 0);
    struct pl_msg m = M(GET_DEVICE_STATUS);
    m.dev_num = FOREIGN;
    m.token = ++token;
    struct packet p = pack(m);
    send_packet(&p);
    ck_assert_uint_eq(pl_oracle_owed(oracle), 0);
    get_info();
    get_status(0);
}

/* Two devices do not get in each other's way. */
static void two_devices(void)
{
    ready();
    struct pl_msg m = M(GET_DEVICE_STATUS);
    m.dev_num = OTHER;
    m.token = ++token;
    struct packet p = pack(m);
    send_packet(&p);
    uint16_t mine = ask(M(GET_DEVICE_STATUS));
    reply(mine, M(GET_DEVICE_STATUS, V(status, READY)));
    m.response = true;
    p = pack(m);
    receive_packet(&p);
    get_status(READY);
}

static void odd_requests_either_way(void)
{
    ready();
    get_config(old_bytes, 8, GEN);
    exchange(with_data(M(SET_CONFIG, V(offset, CONFIG - 4), V(length, 8)), new_bytes, 8),
             M(SET_CONFIG, V(offset, CONFIG - 4), V(generation, GEN))); /* answered with length 0 */
    ask(with_data(M(SET_CONFIG, V(offset, CONFIG - 4), V(length, 8)), new_bytes, 8)); /* or not */
    get_status(READY);
    struct pl_msg m = M(GET_DEVICE_STATUS); /* a surplus: ignored */
    for (int i = 0; i < 2; i++) {
        m.dev_num = DEV;
        m.token = ++token;
        struct packet p = pack(m);
        memset(p.bytes + p.size, 0, 4);
        p.size += 4;
        pl_poke_size(spec, p.bytes, (uint16_t)p.size);
        send_packet(&p);
        if (i == 0)
            reply(token, M(GET_DEVICE_STATUS, V(status, READY))); /* or discarded */
        get_status(READY);
    }
    ask(M(GET_DEVICE_FEATURES, V(num_blocks, 100))); /* the answer would be too large */
    get_status(READY);
    set_features(0, 0x40); /* too late: without effect */
    get_queue(empty);
}

static void undefined_status_writes(void)
{
    running();
    set_status(ACK, RUNNING);
    get_status(RUNNING);
    set_status(0x20 | RUNNING, 0x20 | RUNNING);
    get_status(0x20 | RUNNING);
    set_status(0, 0);
    set_status(PL_C_STATUS_DRIVER_OK, 0);
    get_status(0);
}

static void changes_while_inactive(void)
{
    known();
    set_status(ACK, ACK);
    set_status(DRIVER, DRIVER);
    get_config(old_bytes, 8, GEN);
    set_status(0, 0);
    pl_oracle_config_changed(oracle, DEV, 0, new_bytes, 8);
    ck_assert_uint_eq(pl_oracle_events_owed(oracle), 0);
    get_status(0);
    pl_oracle_settle(oracle);
    event_config(0, GEN + 1, 0, 8, new_bytes); /* reported all the same */
}

/* Events keep no order with responses, and one may tell of the driver's own write. */
static void events_at_any_time(void)
{
    running();
    get_config(old_bytes, 8, GEN);
    uint16_t write = ask(config_write(new_bytes, 8, 0));
    event_config(RUNNING, GEN + 1, 0, 8, new_bytes);
    reply(write, config_write(new_bytes, 8, GEN + 1));
    get_config(new_bytes, 8, GEN + 1);
    pl_oracle_config_changed(oracle, DEV, 0, old_bytes, 8);
    get_config(old_bytes, 8, GEN + 2);
    event_config(RUNNING, GEN + 2, 0, 0, NULL);
    ck_assert(state_of("CFG-DEV-06")->used);
    ck_assert_uint_eq(pl_oracle_events_owed(oracle), 0);
}

/* The part that reports changes comes after the one that answers: two changes, then their events.
 */
static void events_behind_their_changes(void)
{
    running();
    get_config(old_bytes, 8, GEN);
    pl_oracle_config_changed(oracle, DEV, 0, new_bytes, 8);
    get_config(new_bytes, 8, GEN + 1);
    pl_oracle_config_changed(oracle, DEV, 0, old_bytes, 8);
    get_config(old_bytes, 8, GEN + 2);
    for (int i = 0; i < 2; i++)
        event_config(RUNNING, GEN + 2, 0, 8, old_bytes);
    ck_assert_uint_eq(pl_oracle_events_owed(oracle), 0);
}

/* The same of changes that nobody asked for, some of them overtaken by a reset of what was known.
 */
static void restless_and_late(void)
{
    running();
    get_config(old_bytes, 8, GEN);
    get_config(new_bytes, 8, GEN + 1);
    get_config(old_bytes, 8, GEN + 2);
    for (int i = 0; i < 2; i++)
        event_config(RUNNING, GEN + 2, 0, 8, old_bytes);
    set_status(0, 0);
    running();
    get_config(new_bytes, 8, GEN + 3);
    get_status(RUNNING);
    event_config(RUNNING, GEN + 3, 0, 8, new_bytes);
    get_config(new_bytes, 8, GEN + 3);
    /* a write that is refused at the moment of a change: the event explains what was read */
    exchange(config_write(old_bytes, 8, GEN), M(SET_CONFIG, V(generation, GEN + 3)));
    get_config(old_bytes, 8, GEN + 4);
    ck_assert_uint_eq(pl_oracle_events_owed(oracle), 1);
    event_config(RUNNING, GEN + 4, 0, 8, old_bytes);
    ck_assert_uint_eq(pl_oracle_events_owed(oracle), 0);
}

static void announced_and_refused(void)
{
    running();
    get_config(old_bytes, 8, GEN);
    pl_oracle_config_changed(oracle, DEV, 0, new_bytes, 8);
    pl_oracle_retract(oracle, DEV);
    pl_oracle_needs_reset(oracle, DEV);
    pl_oracle_retract(oracle, DEV);
    get_status(RUNNING);
    get_config(old_bytes, 8, GEN);
}

/* A new instance remembers nothing. */
static void started_anew(void)
{
    has_queue(enabled);
    ask(M(GET_DEVICE_STATUS));
    pl_oracle_start(oracle, MAX, 0);
    ck_assert_uint_eq(pl_oracle_owed(oracle), 0);
    ck_assert_ptr_null(pl_oracle_info(oracle, DEV));
    get_status(0);
    info_values(PL_F_config_size, 4);
    ck_assert_uint_eq(pl_oracle_info(oracle, DEV)->f[PL_F_config_size], 4);
    uint32_t status = 99;
    ck_assert(pl_oracle_status(oracle, DEV, &status) && status == 0);
}

static void bus_messages_either_way(void)
{
    struct packet p = pack(M(PING, V(data32, 5)));
    send_packet(&p); /* not supported: no answer */
    known();
    p = pack(M(EVENT_DEVICE, V(device_number, DEV), V(device_bus_state, PL_C_BUS_STATE_ADDED)));
    receive_packet(&p);
    get_status(0);
}

static void no_config(void)
{
    struct pl_msg m = info_answer();
    m.f[PL_F_config_size] = 0;
    exchange(M(GET_DEVICE_INFO), m);
    set_status(0, 0);
    set_status(ACK, ACK);
    set_status(DRIVER, DRIVER);
    get_config(zeros, 0, GEN);
    get_config(zeros, 0, GEN);
}

static void own_id(void)
{
    ready();
    struct pl_msg m = M(GET_DEVICE_STATUS);
    m.dev_num = DEV;
    m.token = ++token;
    struct packet p = pack(m);
    pl_poke_id(spec, p.bytes, 0x85);
    send_packet(&p);
    pl_poke_type(spec, p.bytes, spec->header.response_bit);
    receive_packet(&p);
}

static void late_config_over_reset(void)
{
    ready();
    get_config(old_bytes, 8, GEN);
    set_config(new_bytes, 8, GEN, true, GEN + 1);
    uint16_t a = ask(M(GET_CONFIG, V(length, 8)));
    uint16_t b = ask(M(SET_DEVICE_STATUS));
    reply(b, M(SET_DEVICE_STATUS));
    reply(a, config_answer(0, new_bytes, 8, GEN + 1));
    set_status(ACK, ACK);
    set_status(DRIVER, DRIVER);
    get_config(old_bytes, 8, GEN + 1); /* the reset restored bytes; generation may stay */
    pl_oracle_settle(oracle);
}

static void reset_restores_in_order(void)
{
    ready();
    get_config(old_bytes, 8, GEN);
    set_config(new_bytes, 8, GEN, true, GEN + 1);
    get_config(new_bytes, 8, GEN + 1);
    set_status(0, 0);
    set_status(ACK, ACK);
    set_status(DRIVER, DRIVER);
    get_config(old_bytes, 8, GEN + 1);
    pl_oracle_settle(oracle);
}

static void event_overtaken(void)
{
    /* device changes config by itself; the read shows it first, its event (events keep no order)
     * later */
    running();
    get_config(old_bytes, 8, GEN);
    get_config(new_bytes, 8, GEN + 1);
    event_config(RUNNING, GEN + 1, 0, 8, new_bytes);
    pl_oracle_settle(oracle);
}

static void event_late_generic(void)
{
    running();
    get_config(old_bytes, 8, GEN);
    get_config(new_bytes, 8, GEN + 2);
    event_config(RUNNING, GEN + 1, 0, 0, NULL);
    get_config(new_bytes, 8, GEN + 2);
    event_config(RUNNING, GEN + 2, 0, 0, NULL);
    get_config(new_bytes, 8, GEN + 2);
    pl_oracle_settle(oracle);
}

static void needs_reset_event_after_get(void)
{
    /* spontaneous NEEDS_RESET seen by GET first, then its event */
    running();
    get_config(old_bytes, 8, GEN);
    get_status(RUNNING | BROKEN);
    event_config(RUNNING | BROKEN, GEN, 0, 0, NULL);
    pl_oracle_settle(oracle);
}

/* Another configuration than the one that was accepted before: the one before it may stand. */
static void refused_behind_another(void)
{
    static const struct queue other = {256, 8, 1, 0x30000};
    has_queue(enabled);
    reset_queue(0);
    set_queue(PL_C_SVQ_ENABLE, 8, 0x30000);
    set_queue(PL_C_SVQ_ENABLE, 8, 0x10000);
    get_queue(other);
}

static void refused_for_a_size_that_is_none(void)
{
    has_queue(enabled);
    reset_queue(0);
    set_queue(PL_C_SVQ_ENABLE | PL_C_SVQ_IGNORE_SIZE, 8, 0x10000);
    get_queue(empty);
}

/* Four changes show in one response; each of their events comes behind it. */
static void changes_reported_late(void)
{
    has_queue(enabled);
    get_config(old_bytes, 8, GEN);
    get_config(new_bytes, 8, GEN + 4);
    for (int i = 0; i < 4; i++) {
        event_config(READY, GEN + 4, 0, 0, NULL);
        get_config(new_bytes, 8, GEN + 4);
    }
}

/* What was not judged before may have changed the configuration, and be reported behind a reset. */
static void a_change_of_before(void)
{
    pl_oracle_midway(oracle);
    set_status(0, 0);
    has_queue(enabled);
    get_config(old_bytes, 8, GEN);
    event_config(READY, GEN, 0, 0, NULL);
}

/* No driver may write a status before it has read 0. One that does has the end of the reset hidden,
 * and whether the queue was set up ahead of it or behind. */
static void queue_set_behind_an_unseen_end(void)
{
    has_queue(enabled);
    set_status(0, READY);
    get_status(READY);
    set_queue(PL_C_SVQ_ENABLE, 8, 0x10000);
    set_status(READY, ACK);
    get_status(ACK);
    get_queue(enabled);
    set_status(PL_C_STATUS_FEATURES_OK, 0);
    get_status(0);
    get_queue(enabled);
}

static const struct {
    const char *name;
    free_fn *tell;
} freedoms[] = {
    {"changes that are reported late", changes_reported_late},
    {"a change of before that was judged", a_change_of_before},
    {"a queue set up behind an unseen end of a reset", queue_set_behind_an_unseen_end},
    {"a reset queue that has been set up otherwise", refused_behind_another},
    {"a reset queue without a size", refused_for_a_size_that_is_none},
    {"a device without configuration space", no_config},
    {"an implementation-defined message that is known", own_id},
    {"a read that a reset overtakes", late_config_over_reset},
    {"a reset that restores bytes", reset_restores_in_order},
    {"an event that a read overtakes", event_overtaken},
    {"a generic event that reads overtake", event_late_generic},
    {"DEVICE_NEEDS_RESET read ahead of its event", needs_reset_event_after_get},
    {"responses in the reverse order", reversed_responses},
    {"late answers of the configuration", late_config_answers},
    {"an asynchronous reset", asynchronous_reset},
    {"a synchronous reset", synchronous_reset},
    {"FEATURES_OK refused, then taken", refused_features_ok},
    {"SET_VQUEUE refused", refused_set_vqueue},
    {"addresses that nobody has set", addresses_never_set},
    {"DEVICE_NEEDS_RESET by itself", spontaneous_needs_reset},
    {"RESET_VQUEUE clears", queue_after_reset_cleared},
    {"RESET_VQUEUE keeps", queue_after_reset_kept},
    {"an unknown device", unknown_device},
    {"a device that nobody listed", unlisted_device},
    {"two devices", two_devices},
    {"odd requests answered or not", odd_requests_either_way},
    {"status writes without a defined outcome", undefined_status_writes},
    {"a change while the status is 0", changes_while_inactive},
    {"events at any time", events_at_any_time},
    {"events that come behind their changes", events_behind_their_changes},
    {"the same of changes by itself", restless_and_late},
    {"control said no", announced_and_refused},
    {"a new instance", started_anew},
    {"bus messages", bus_messages_either_way},
};
enum { FREEDOMS = sizeof(freedoms) / sizeof(freedoms[0]) };

START_TEST(left_free)
{
    begin();
    freedoms[_i].tell();
    pl_oracle_settle(oracle);
    pl_oracle_conclude(oracle, NULL);
    ck_assert_msg(!failed[0], "%s:\n%s", freedoms[_i].name, sentences);
    finish();
}
END_TEST

/* --- bookkeeping --- */

static char relabelled[128];

static void note_relabel(void *opaque, const char *message, size_t from, size_t to)
{
    (void)opaque;
    snprintf(relabelled, sizeof(relabelled), "%s %s %s", message, pl_clauses_get(clauses, from)->id,
             pl_clauses_get(clauses, to)->id);
}

/* What was not answered at first and then was is implemented: the failure moves to its own clause.
 */
START_TEST(conclusions)
{
    begin();
    ready();
    ask(M(RESET_VQUEUE));
    get_status(READY);
    pl_oracle_settle(oracle);
    only("CORE-DEV-01");
    reset_queue(0);
    relabelled[0] = '\0';
    pl_oracle_conclude(oracle, note_relabel);
    ck_assert_str_eq(relabelled, "RESET_VQUEUE CORE-DEV-01 ORD-DEV-02");
    ck_assert_uint_eq(state_of("CORE-DEV-01")->failed, 0);
    ck_assert_uint_eq(state_of("ORD-DEV-02")->failed, 1);
    finish();
}
END_TEST

START_TEST(what_is_owed)
{
    begin();
    ready();
    ck_assert_uint_eq(pl_oracle_owed(oracle), 0);
    uint16_t a = ask(M(GET_DEVICE_STATUS)), b = ask(M(GET_DEVICE_STATUS));
    ck_assert_uint_eq(pl_oracle_owed(oracle), 2);
    reply(b, M(GET_DEVICE_STATUS, V(status, READY)));
    ck_assert_uint_eq(pl_oracle_owed(oracle), 1); /* late, and still owed */
    reply(a, M(GET_DEVICE_STATUS, V(status, READY)));
    ck_assert_uint_eq(pl_oracle_owed(oracle), 0);
    struct packet p = pack(M(EVENT_AVAIL));
    send_packet(&p);
    pl_oracle_sent(oracle, zeros, 3);
    ck_assert_uint_eq(pl_oracle_owed(oracle), 0);
    ask(M(GET_DEVICE_STATUS));
    pl_oracle_settle(oracle);
    ck_assert_uint_eq(pl_oracle_owed(oracle), 0);
    only("ORD-DEV-02");
    finish();
}
END_TEST

START_TEST(expectations_of_scenarios)
{
    begin();
    size_t clause = (size_t)pl_clauses_index(clauses, "FBLK-DEV-02");
    pl_oracle_expected(oracle, clause, true, "never said");
    ck_assert_uint_eq(pl_oracle_clause(oracle, clause)->applied, 1);
    only("");
    pl_oracle_expected(oracle, clause, false, "this is said");
    only("FBLK-DEV-02");
    ck_assert_ptr_nonnull(strstr(sentences, "this is said"));
    ck_assert_int_eq(pl_clauses_index(clauses, "FBLK-DEV-99"), -1);
    finish();
}
END_TEST

/* More requests outstanding than the oracle keeps: the earliest are forgotten, nothing else. */
START_TEST(more_than_it_keeps)
{
    begin();
    ready();
    uint16_t first = 0;
    for (int i = 0; i < 300; i++) {
        uint16_t t = ask(M(GET_DEVICE_STATUS));
        first = first ? first : t;
    }
    for (uint16_t i = 100; i < 300; i++)
        reply((uint16_t)(first + i), M(GET_DEVICE_STATUS, V(status, READY)));
    only("");
    pl_oracle_settle(oracle);
    get_status(READY);
    finish();
}
END_TEST

/* --- noise --- */

static uint64_t random_state;

static uint64_t next_random(uint64_t below)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % below;
}

/* PLUMBLINE_TEST_SEED repeats a run. */
static void seed(const char *name)
{
    const char *text = getenv("PLUMBLINE_TEST_SEED");
    random_state = text ? strtoull(text, NULL, 0) : (uint64_t)time(NULL) * 2654435761u;
    random_state += !random_state;
    printf("oracle, %s: PLUMBLINE_TEST_SEED=0x%llx\n", name, (unsigned long long)random_state);
    fflush(stdout);
}

static uint64_t random_value(void)
{
    static const uint64_t odd[] = {0,      1,       2,       3,          4,          8,
                                   15,     40,      64,      255,        0xffff,     0x7fffffff,
                                   1 << 8, 1 << 16, 1 << 30, 0xffffffff, UINT64_MAX, 11};
    return next_random(8) ? odd[next_random(sizeof(odd) / sizeof(odd[0]))]
                          : next_random(UINT64_MAX);
}

/* A message of the draft with odd values, whose array is mostly as long as it says. */
static struct packet random_message(bool response, uint16_t its_token)
{
    struct pl_msg m = {.kind = spec->messages[next_random(spec->n_messages)].kind};
    const struct pl_message_def *def = pl_spec_message(spec, m.kind);
    m.response = response && def->response;
    const struct pl_layout *layout = m.response ? def->response : def->request;
    m.dev_num = (uint16_t)(next_random(16) ? DEV + next_random(2) : next_random(65536));
    m.token = its_token;
    for (size_t i = 0; i < layout->n_fields; i++)
        m.f[layout->fields[i].field] = random_value();
    if (layout->tail) {
        m.f[layout->tail->count_field] = next_random(8) ? next_random(64) : random_value();
        m.data_len =
            (uint32_t)(next_random(4) ? m.f[layout->tail->count_field] % 70 * layout->tail->width
                                      : next_random(300));
        m.data = next_random(2) ? zeros : NULL;
    }
    m.fixed = next_random(2) ? uuid4 : NULL;
    return pack(m);
}

static void bend(struct packet *p)
{
    if (next_random(8) == 0)
        p->bytes[next_random(p->size)] ^= (uint8_t)(1u << next_random(8));
    if (next_random(16) == 0)
        p->size = next_random(p->size + 8);
    if (next_random(16) == 0)
        pl_poke_size(spec, p->bytes, (uint16_t)p->size);
}

/* Handed over in memory of exactly its size, so that ASan sees what is read beyond it. */
static void hand_over(const struct packet *p, bool sent)
{
    uint8_t *copy = malloc(p->size ? p->size : 1);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, p->bytes, p->size);
    if (sent)
        pl_oracle_sent(oracle, copy, p->size);
    else
        pl_oracle_received(oracle, copy, p->size);
    free(copy);
}

static void control_noise(void)
{
    uint16_t number = (uint16_t)(DEV + next_random(2));
    switch (next_random(8)) {
    case 0:
        pl_oracle_config_changed(oracle, number, (uint32_t)random_value(), zeros, next_random(80));
        break;
    case 1:
        pl_oracle_needs_reset(oracle, number);
        break;
    case 2:
        pl_oracle_retract(oracle, number);
        break;
    case 3:
        pl_oracle_reset_stuck(oracle, number);
        break;
    case 4:
        pl_oracle_settle(oracle);
        break;
    default:
        break;
    }
    (void)pl_oracle_owed(oracle);
    (void)pl_oracle_events_owed(oracle);
}

static void consistent(void)
{
    for (size_t i = 0; i < pl_clauses_count(clauses); i++) {
        const struct pl_clause_state *state = pl_oracle_clause(oracle, i);
        ck_assert_uint_le(state->failed, state->applied);
        ck_assert(!state->applied || pl_clauses_get(clauses, i)->judged ||
                  pl_clauses_get(clauses, i)->level[1] == 'A');
    }
}

START_TEST(noise_of_messages)
{
    seed("messages");
    for (int run = 0; run < 60; run++) {
        begin_with((uint32_t)(52 + next_random(300)), (uint32_t)next_random(2));
        if (next_random(4))
            running();
        for (int i = 0; i < 400; i++) {
            bool sent = next_random(2);
            struct packet p =
                random_message(!sent || next_random(32) == 0, (uint16_t)(token + next_random(4)));
            token += (uint16_t)(sent && next_random(2));
            bend(&p);
            hand_over(&p, sent);
            if (next_random(32) == 0)
                control_noise();
        }
        pl_oracle_settle(oracle);
        pl_oracle_conclude(oracle, note_relabel);
        ck_assert_uint_eq(pl_oracle_owed(oracle), 0);
        consistent();
        finish();
    }
}
END_TEST

START_TEST(noise_of_bytes)
{
    seed("bytes");
    for (int run = 0; run < 40; run++) {
        begin();
        if (next_random(2))
            has_queue(enabled);
        for (int i = 0; i < 400; i++) {
            struct packet p = {.size = next_random(80)};
            for (size_t k = 0; k < p.size; k++)
                p.bytes[k] = (uint8_t)(next_random(2) ? next_random(16) : next_random(256));
            if (p.size > spec->header.size && next_random(2)) {
                pl_poke_size(spec, p.bytes, (uint16_t)p.size);
                pl_poke_dev_num(spec, p.bytes, DEV);
                pl_poke_token(spec, p.bytes, (uint16_t)next_random(4));
            }
            hand_over(&p, next_random(2));
        }
        pl_oracle_settle(oracle);
        consistent();
        finish();
    }
}
END_TEST

START_TEST(drafts_without_clauses)
{
    const struct pl_spec *old = pl_spec_find("virtio-msg-2025-06");
    struct pl_oracle *none = pl_clauses_find(old) ? NULL : pl_oracle_new(old, NULL, NULL);
    ck_assert_ptr_null(none);
    pl_oracle_free(NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("oracle");
    TCase *c = tcase_create("clauses"), *n = tcase_create("noise");
    tcase_set_timeout(n, 120);
    tcase_add_loop_test(c, kept, 0, STORIES);
    tcase_add_loop_test(c, broken, 0, STORIES);
    tcase_add_test(c, clauses_with_a_story);
    tcase_add_loop_test(c, left_free, 0, FREEDOMS);
    tcase_add_test(c, conclusions);
    tcase_add_test(c, what_is_owed);
    tcase_add_test(c, expectations_of_scenarios);
    tcase_add_test(c, more_than_it_keeps);
    tcase_add_test(c, drafts_without_clauses);
    tcase_add_test(n, noise_of_messages);
    tcase_add_test(n, noise_of_bytes);
    suite_add_tcase(suite, c);
    suite_add_tcase(suite, n);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int result = srunner_ntests_failed(runner);
    srunner_free(runner);
    return result != 0;
}
