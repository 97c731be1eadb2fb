/* Unit tests of the judge of drivers: short stories of messages. For each clause one that breaks it
 * and nothing else but what hangs together with it, and legal ones of many styles that break none.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "oracle/oracle.h"

enum { DEV = 3, OTHER = 4, FOREIGN = 9, CONFIG = 60, QUEUES = 2, SIZE = 64, MAX = 264, GEN = 7 };
enum {
    ACK = PL_C_STATUS_ACKNOWLEDGE,
    DRIVER = ACK | PL_C_STATUS_DRIVER,
    READY = DRIVER | PL_C_STATUS_FEATURES_OK,
    RUNNING = READY | PL_C_STATUS_DRIVER_OK,
    SUSPEND = PL_C_STATUS_SUSPEND,
    SICK = PL_C_STATUS_DEVICE_NEEDS_RESET,
    FAILED = PL_C_STATUS_FAILED,
    STRICT = 1 << PL_C_TF_STRICT_CONFIG_GENERATION
};
#define BIT1(name) (1u << (PL_C_F_##name % 32))
enum { FLUSH = 1 << 9, BLK_SIZE = 1 << 6, OFFER0 = FLUSH | BLK_SIZE };
#define OFFER1 (BIT1(VERSION_1) | BIT1(RING_RESET))

/* --- the oracle, and what it said --- */

static const struct pl_spec *spec;
static const struct pl_clauses *clauses;
static struct pl_oracle *oracle;
static uint16_t token, dev;
static char failed[2048]; /* ids, each once, with a blank on both sides */
static char sentences[16384];

/* What the device has, for the messages below. */
static struct {
    uint32_t offer0, offer1, config_size, queues, admin, max_size, size, blocks, device_id, gen;
} has;

/* Whose own predicates another file decides, by looking at rings. */
static bool of_rings(const char *id)
{
    static const char *const ids[] = {"DROK-DRV-02",
                                      "DROK-DRV-03",
                                      "NTFY-DRV-0",
                                      "USED-DRV-03",
                                      "USED-DRV-04",
                                      "AVAIL-DRV-02",
                                      "CORE-INIT-DRV-07",
                                      "CORE-INIT-DRV-08",
                                      "CORE-INIT-DRV-09",
                                      "CORE-SPLIT",
                                      "CORE-PACKED",
                                      "CORE-VQRESET",
                                      "BLK-",
                                      "ENT-"};
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
        if (strncmp(id, ids[i], strlen(ids[i])) == 0)
            return true;
    return false;
}

static void on_fail(void *opaque, size_t clause, const char *text)
{
    char id[40];
    (void)opaque;
    if (of_rings(pl_clauses_get(clauses, clause)->id))
        return;
    snprintf(id, sizeof(id), " %s ", pl_clauses_get(clauses, clause)->id);
    if (!strstr(failed, id))
        strncat(failed, id, sizeof(failed) - strlen(failed) - 1);
    size_t used = strlen(sentences);
    snprintf(sentences + used, sizeof(sentences) - used, "%s: %s\n", id + 1, text);
}

static void fresh_device(void)
{
    has.offer0 = OFFER0;
    has.offer1 = OFFER1;
    has.config_size = CONFIG;
    has.queues = QUEUES;
    has.admin = 0;
    has.max_size = has.size = SIZE;
    has.blocks = 2;
    has.device_id = PL_C_TYPE_block;
    has.gen = GEN;
}

/* A driver is started, on a bus like this. */
static void bus(uint32_t max_msg_size, uint32_t features)
{
    pl_oracle_start(oracle, max_msg_size, features);
    fresh_device();
    token = 100;
    dev = DEV;
}

static void begin(void)
{
    static const uint16_t numbers[] = {DEV, OTHER};
    pl_oracle_free(oracle);
    spec = pl_spec_find("virtio-msg-r1");
    clauses = pl_clauses_find(spec);
    oracle = pl_oracle_new_for(spec, PL_IUT_DRIVER, on_fail, NULL);
    ck_assert_ptr_nonnull(oracle);
    pl_oracle_devices(oracle, numbers, 2);
    failed[0] = sentences[0] = '\0';
    bus(MAX, 0);
}

static void finish(void)
{
    pl_oracle_free(oracle);
    oracle = NULL;
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
    memset(&p, 0, sizeof(p));
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

static void from_driver(const struct packet *p)
{
    pl_oracle_received(oracle, p->bytes, p->size);
}

static void to_driver(const struct packet *p)
{
    pl_oracle_sent(oracle, p->bytes, p->size);
}

static struct packet request(struct pl_msg m)
{
    m.dev_num = pl_spec_message(spec, m.kind)->bus ? 0 : dev;
    m.token = ++token;
    return pack(m);
}

/* The driver asks, or announces. */
static uint16_t ask(struct pl_msg m)
{
    struct packet p = request(m);
    from_driver(&p);
    return token;
}

static struct packet response(uint16_t its_token, struct pl_msg m)
{
    m.response = true;
    m.dev_num = pl_spec_message(spec, m.kind)->bus ? 0 : dev;
    m.token = its_token;
    return pack(m);
}

/* The device answers. */
static void reply(uint16_t its_token, struct pl_msg m)
{
    struct packet p = response(its_token, m);
    to_driver(&p);
}

static void exchange(struct pl_msg asked, struct pl_msg answer)
{
    reply(ask(asked), answer);
}

/* An event of the device's or the bus's. */
static void event(struct pl_msg m)
{
    m.dev_num = pl_spec_message(spec, m.kind)->bus ? 0 : dev;
    struct packet p = pack(m);
    to_driver(&p);
}

static void say(const char *words)
{
    pl_oracle_driver(oracle, dev, words);
}

static void lose(uint16_t its_token)
{
    char words[32];
    snprintf(words, sizeof(words), "lost %u", its_token);
    say(words);
}

static void failure(uint16_t its_token, enum pl_kind kind)
{
    event(M(EVENT_FAILURE, V(failed_dev_num, dev), V(failed_token, its_token),
            V(failed_msg_id, pl_spec_message(spec, kind)->id), V(reason, PL_C_FAILURE_TIMEOUT)));
}

/* --- the steps of a driver, each whole --- */

static const uint8_t bytes[256] = {1, 2, 3, 4, 5, 6, 7, 8};

static void word(uint8_t out[4], uint32_t value)
{
    for (unsigned i = 0; i < 4; i++)
        out[i] = (uint8_t)(value >> (8 * i));
}

static struct pl_msg info_answer(void)
{
    return M(GET_DEVICE_INFO, V(device_id, has.device_id), V(num_feature_blocks, has.blocks),
             V(config_size, has.config_size), V(max_virtqueues, has.queues),
             V(admin_vq_count, has.admin),
             V(admin_vq_start, has.admin ? has.queues - has.admin : 0));
}

static void info(void)
{
    exchange(M(GET_DEVICE_INFO), info_answer());
}

static void status_as(uint32_t written, uint32_t told)
{
    exchange(M(SET_DEVICE_STATUS, V(status, written)), M(SET_DEVICE_STATUS, V(status, told)));
}

static void status(uint32_t written)
{
    status_as(written, written);
}

static void poll_status(uint32_t told)
{
    exchange(M(GET_DEVICE_STATUS), M(GET_DEVICE_STATUS, V(status, told)));
}

static void offer_block(uint32_t block, uint32_t value)
{
    uint8_t w[4];
    word(w, value);
    exchange(M(GET_DEVICE_FEATURES, V(block_index, block), V(num_blocks, 1)),
             with_data(M(GET_DEVICE_FEATURES, V(block_index, block), V(num_blocks, 1)), w, 4));
}

static void offers(void)
{
    uint8_t w[8];
    word(w, has.offer0);
    word(w + 4, has.offer1);
    exchange(M(GET_DEVICE_FEATURES, V(num_blocks, 2)),
             with_data(M(GET_DEVICE_FEATURES, V(num_blocks, 2)), w, 8));
}

static struct pl_msg selection(uint32_t block, const uint8_t *words, uint32_t n)
{
    return with_data(M(SET_DRIVER_FEATURES, V(block_index, block), V(num_blocks, n)), words, 4 * n);
}

static void choose(uint32_t word0, uint32_t word1)
{
    uint8_t w[8];
    word(w, word0);
    word(w + 4, word1);
    exchange(selection(0, w, 2), M(SET_DRIVER_FEATURES));
}

static void choose_block(uint32_t block, uint32_t value)
{
    uint8_t w[4];
    word(w, value);
    exchange(selection(block, w, 1), M(SET_DRIVER_FEATURES));
}

static void read_config(uint32_t offset, uint32_t length)
{
    exchange(M(GET_CONFIG, V(offset, offset), V(length, length)),
             with_data(M(GET_CONFIG, V(offset, offset), V(length, length), V(generation, has.gen)),
                       bytes, length));
}

static struct pl_msg config_write(uint32_t generation, uint32_t offset, uint32_t length)
{
    return with_data(M(SET_CONFIG, V(generation, generation), V(offset, offset), V(length, length)),
                     bytes, length);
}

static void write_config(uint32_t generation)
{
    exchange(
        config_write(generation, 32, 1),
        with_data(M(SET_CONFIG, V(generation, has.gen), V(offset, 32), V(length, 1)), bytes, 1));
}

static void write_rejected(uint32_t generation)
{
    exchange(config_write(generation, 32, 1), M(SET_CONFIG, V(generation, has.gen), V(offset, 32)));
}

static struct pl_msg queue_setting(uint32_t index, uint64_t flags)
{
    return M(SET_VQUEUE, V(index, index), V(flags, flags), V(size, has.size), V(desc_addr, 0x10000),
             V(driver_addr, 0x20000), V(device_addr, 0x30000));
}

static void query(uint32_t index)
{
    exchange(M(GET_VQUEUE, V(index, index)),
             M(GET_VQUEUE, V(index, index), V(max_size, has.max_size)));
}

static void set_queue(uint32_t index, uint64_t flags)
{
    exchange(queue_setting(index, flags), M(SET_VQUEUE));
}

static void confirm(uint32_t index, uint64_t flags)
{
    exchange(M(GET_VQUEUE, V(index, index)),
             M(GET_VQUEUE, V(index, index), V(max_size, has.max_size), V(cur_size, has.size),
               V(flags, flags), V(desc_addr, 0x10000), V(driver_addr, 0x20000),
               V(device_addr, 0x30000)));
}

static void queue(uint32_t index)
{
    query(index);
    set_queue(index, PL_C_SVQ_ENABLE);
    confirm(index, PL_C_GVQ_ENABLED);
}

static void reset_queue(uint32_t index)
{
    exchange(M(RESET_VQUEUE, V(index, index)), M(RESET_VQUEUE));
}

static void io(uint32_t index)
{
    ask(M(EVENT_AVAIL, V(vq_index, index)));
    event(M(EVENT_USED, V(vq_index, index)));
}

static void changed(uint32_t offset, uint32_t length, bool data)
{
    struct pl_msg m = M(EVENT_CONFIG, V(device_status, RUNNING), V(generation, has.gen),
                        V(offset, offset), V(length, length));
    event(data ? with_data(m, bytes, length) : m);
}

/* A whole start: up to DRIVER, up to FEATURES_OK, up to the queues, up to DRIVER_OK. */
static void up_to_driver(void)
{
    info();
    status(0);
    status(ACK);
    status(DRIVER);
}

static void up_to_choice(void)
{
    up_to_driver();
    offers();
    choose(has.offer0, has.offer1);
}

static void up_to_ready(void)
{
    up_to_choice();
    status(READY);
}

static void up_to_queues(void)
{
    up_to_ready();
    read_config(0, 8);
    queue(0);
}

static void up(void)
{
    up_to_queues();
    status(RUNNING);
}

/* The same by control, which says so. */
static void started(void)
{
    say("asked start");
    up();
    say("done start");
}

/* A run in which all is as usual, ahead of one in which something is not. */
static void good_run(void)
{
    started();
    say("asked io 1");
    io(0);
    say("done io");
    bus(MAX, 0);
}

/* --- legal: drivers of different style, on buses and devices that do all that they may --- */

static void legal_plain(void)
{
    up();
    io(0);
    io(0);
    status(0);
}

static void legal_control(void)
{
    started();
    say("asked io 2");
    io(0);
    io(0);
    say("done io");
    say("asked config-write 32 01");
    write_config(0);
    say("done config-write");
    say("asked queue-reset 0");
    reset_queue(0);
    queue(0);
    say("done queue-reset");
    say("asked stop");
    status(0);
    say("done stop");
    say("patience");
}

static void legal_status_in_one(void)
{
    status(0);
    status(DRIVER);
    info();
    offers();
    choose(has.offer0, has.offer1);
    status(READY);
    queue(0);
    status(RUNNING);
    io(0);
}

/* Shadowed writes of one bit more each, with a look at the status wherever it likes. */
static void legal_status_polled(void)
{
    poll_status(0);
    info();
    poll_status(0);
    status(0);
    poll_status(0);
    status(ACK);
    poll_status(ACK);
    status(DRIVER);
    poll_status(DRIVER);
    offers();
    offers();
    choose_block(1, has.offer1);
    choose_block(0, 0);
    choose_block(0, has.offer0);
    status(READY);
    poll_status(READY);
    read_config(0, 8);
    query(1);
    queue(0);
    poll_status(READY);
    status(RUNNING);
    poll_status(RUNNING);
    io(0);
    poll_status(RUNNING);
}

static void legal_small_messages(void)
{
    bus(52, STRICT);
    info();
    status(0);
    status(ACK);
    status(DRIVER);
    offer_block(0, has.offer0);
    offer_block(1, has.offer1);
    for (uint32_t at = 0; at < 32; at += 8)
        read_config(at < 24 ? 0 : 20, at < 24 ? 8 : 4);
    choose_block(0, has.offer0);
    choose_block(1, has.offer1);
    status(READY);
    queue(0);
    status(RUNNING);
    write_config(GEN);
    io(0);
}

static void legal_queue_in_two_steps(void)
{
    up_to_ready();
    query(0);
    set_queue(0, PL_C_SVQ_KEEP_DISABLED);
    confirm(0, 0);
    set_queue(0, PL_C_SVQ_ENABLE | PL_C_SVQ_IGNORE_ALL);
    status(RUNNING);
    io(0);
    queue(1); /* one more, later in life */
    io(1);
}

/* All that may be outstanding at once is. */
static void legal_pipelined(void)
{
    uint16_t t[4];
    info();
    status(0);
    t[0] = ask(M(SET_DEVICE_STATUS, V(status, ACK)));
    t[1] = ask(M(SET_DEVICE_STATUS, V(status, DRIVER)));
    t[2] = ask(M(GET_DEVICE_FEATURES, V(num_blocks, 2)));
    uint8_t w[8];
    word(w, has.offer0);
    word(w + 4, has.offer1);
    reply(t[1], M(SET_DEVICE_STATUS, V(status, DRIVER)));
    reply(t[0], M(SET_DEVICE_STATUS, V(status, ACK)));
    reply(t[2], with_data(M(GET_DEVICE_FEATURES, V(num_blocks, 2)), w, 8));
    t[0] = ask(selection(0, w, 2));
    t[1] = ask(M(SET_DEVICE_STATUS, V(status, READY)));
    reply(t[0], M(SET_DRIVER_FEATURES));
    reply(t[1], M(SET_DEVICE_STATUS, V(status, READY)));
    query(0);
    t[0] = ask(queue_setting(0, PL_C_SVQ_ENABLE));
    confirm(0, PL_C_GVQ_ENABLED);
    reply(t[0], M(SET_VQUEUE));
    status(RUNNING);
    io(0);
}

/* Tokens are the bus's: none at all, or one for all that is outstanding. */
static void legal_tokens(void)
{
    struct pl_msg asked = M(GET_DEVICE_STATUS), answer = M(GET_DEVICE_STATUS, V(status, RUNNING));
    up();
    token = UINT16_MAX; /* the next is 0 */
    exchange(asked, answer);
    token = 6;
    ask(asked);
    token = 6;
    ask(asked);
    reply(7, answer);
    reply(7, answer);
    io(0);
}

static void legal_packed(void)
{
    has.offer1 |= BIT1(RING_PACKED);
    up();
    io(0);
}

static void legal_slow_reset(void)
{
    info();
    status_as(0, RUNNING);
    poll_status(RUNNING);
    event(M(EVENT_USED, V(vq_index, 0))); /* from before the reset */
    poll_status(RUNNING);
    poll_status(0);
    status(ACK);
    status(DRIVER);
    offers();
    choose(has.offer0, has.offer1);
    status(READY);
    queue(0);
    status(RUNNING);
    io(0);
}

static void legal_reset_asked_twice(void)
{
    info();
    uint16_t t = ask(M(SET_DEVICE_STATUS));
    lose(t);
    status(0);
    status(ACK);
}

static void legal_lost_reset_polled(void)
{
    info();
    failure(ask(M(SET_DEVICE_STATUS)), PL_SET_DEVICE_STATUS);
    poll_status(0);
    status(ACK);
}

static void legal_endless_reset(void)
{
    say("asked start");
    info();
    status_as(0, RUNNING);
    for (int i = 0; i < 100; i++)
        poll_status(RUNNING);
    status_as(FAILED, RUNNING | FAILED);
    say("refused start");
    say("patience");
}

static void legal_info_lost(void)
{
    lose(ask(M(GET_DEVICE_INFO)));
    status(0);
    info();
    status(ACK);
    status(DRIVER);
    offers();
    choose(has.offer0, has.offer1);
    status(READY);
    queue(0);
    status(RUNNING);
}

/* Each request of a start fails once, in either way, and is repeated. */
static void legal_failures_retried(void)
{
    uint8_t w[8];
    word(w, has.offer0);
    word(w + 4, has.offer1);
    up_to_driver();
    failure(ask(M(GET_DEVICE_FEATURES, V(num_blocks, 2))), PL_GET_DEVICE_FEATURES);
    offers();
    failure(ask(selection(0, w, 2)), PL_SET_DRIVER_FEATURES);
    choose(has.offer0, has.offer1);
    lose(ask(M(SET_DEVICE_STATUS, V(status, READY))));
    poll_status(READY);
    failure(ask(M(GET_VQUEUE)), PL_GET_VQUEUE);
    query(0);
    failure(ask(queue_setting(0, PL_C_SVQ_ENABLE)), PL_SET_VQUEUE);
    lose(ask(queue_setting(0, PL_C_SVQ_ENABLE)));
    confirm(0, PL_C_GVQ_ENABLED);
    failure(ask(M(SET_DEVICE_STATUS, V(status, RUNNING))), PL_SET_DEVICE_STATUS);
    status(RUNNING);
    io(0);
}

static void legal_failure_gives_up(void)
{
    say("asked start");
    up_to_ready();
    query(0);
    failure(ask(queue_setting(0, PL_C_SVQ_ENABLE)), PL_SET_VQUEUE);
    status(READY | FAILED);
    say("refused start");
    status(0);
    say("patience");
}

static void legal_failure_starts_anew(void)
{
    up_to_choice();
    failure(ask(M(SET_DEVICE_STATUS, V(status, READY))), PL_SET_DEVICE_STATUS);
    status(0);
    status(DRIVER);
    choose(has.offer0, has.offer1); /* what is offered is known from before */
    status(READY);
    queue(0);
    status(RUNNING);
}

static void legal_refused_features(void)
{
    say("asked start");
    up_to_choice();
    status_as(READY, DRIVER);
    poll_status(DRIVER);
    status(DRIVER | FAILED);
    say("refused start");
    say("patience");
}

static void legal_refused_fewer(void)
{
    up_to_choice();
    status_as(READY, DRIVER);
    choose(0, OFFER1);
    status(READY);
    queue(0);
    status(RUNNING);
}

static void legal_refused_silence(void)
{
    up_to_choice();
    status_as(READY, DRIVER);
}

/* DEVICE_NEEDS_RESET at each stage: the driver resets, gives up, or has not seen it yet. */
static void legal_sick_early(void)
{
    up_to_driver();
    poll_status(DRIVER | SICK);
    status(0);
    status(DRIVER);
    offers();
    choose(has.offer0, has.offer1);
    status_as(READY, READY | SICK);
    status(READY | FAILED);
    status(0);
    up();
    status(0);
}

static void sick(void)
{
    event(M(EVENT_CONFIG, V(device_status, RUNNING | SICK), V(generation, has.gen)));
}

static void legal_sick_crossing(void)
{
    up();
    sick();
    io(0); /* sent ahead of it */
    status(0);
    status(DRIVER);
    offers();
    choose(has.offer0, has.offer1);
    status(READY);
    queue(0);
    status(RUNNING);
    say("seen");
    io(0);
}

static void legal_sick_given_up(void)
{
    started();
    sick();
    say("seen");
    say("asked io 1");
    say("refused io");
    say("patience");
}

/* Whichever generation may be the newest to the driver is right. */
static void legal_generations_cross(void)
{
    bus(MAX, STRICT);
    up();
    has.gen = 9;
    changed(0, 8, true);
    write_rejected(GEN);
    read_config(0, 8);
    write_config(9);
    has.gen = 3;
    uint16_t t = ask(M(GET_CONFIG, V(length, 8)));
    uint16_t u = ask(config_write(9, 32, 1)); /* sent together */
    reply(t, with_data(M(GET_CONFIG, V(length, 8), V(generation, 3)), bytes, 8));
    reply(u, M(SET_CONFIG, V(generation, 3), V(offset, 32)));
    write_config(3);
}

static void legal_generation_of_a_write(void)
{
    bus(MAX, STRICT);
    up();
    has.gen = 8;
    write_config(7);
    write_config(7); /* SET_CONFIG's own counts as seen, or does not */
    say("seen");
    write_config(8);
    write_config(7);
    exchange(M(SET_CONFIG, V(generation, 7)), M(SET_CONFIG, V(generation, 8)));
}

static void legal_generation_anew(void)
{
    bus(MAX, STRICT);
    up();
    say("seen");
    has.gen = 1;
    status(0);
    up();
    write_config(1);
}

static void legal_refresh(void)
{
    up();
    has.gen++;
    changed(0, 0, false);
    say("seen");
    read_config(0, 8);
    io(0);
    has.gen++;
    changed(0, 8, false);
    io(0); /* may have crossed */
    read_config(0, 8);
    has.gen = 2;
    changed(0, 8, true);
    say("seen");
    io(0);
    has.gen++;
    changed(20, 4, false); /* nothing that it ever read */
    say("seen");
    io(0);
    say("patience");
}

static void legal_refresh_idle(void)
{
    up();
    has.gen++;
    changed(0, 0, false);
    say("patience");
}

static void legal_event_before_start(void)
{
    info();
    status(0);
    changed(0, 8, false);
    read_config(0, 8); /* another part of the driver's, which heard of it */
    status(DRIVER);
}

static void legal_parts(void)
{
    up_to_ready();
    read_config(0, 4);
    has.gen++;
    read_config(4, 4);
    read_config(0, 4);
    queue(0);
    status(RUNNING);
}

static void legal_parts_with_events(void)
{
    has.offer0 |= 1 << 1;
    up_to_ready();
    read_config(0, 8);
    has.gen++;
    changed(20, 4, false);
    read_config(8, 4);
    queue(0);
    status(RUNNING);
}

/* Fields that are read apart from each other, for different steps, need not be of one version. */
static void legal_parts_apart(void)
{
    has.offer0 |= 1 << 12;
    up_to_driver();
    read_config(0, 8);
    offers();
    choose(has.offer0, has.offer1);
    has.gen++;
    status(READY);
    read_config(34, 2);
    queue(0);
    status(RUNNING);
}

static void legal_io_too_small(void)
{
    good_run();
    has.max_size = has.size = 1;
    has.offer0 = 0;
    started();
    say("asked io 1");
    say("refused io");
}

static void legal_packed_but_refused(void)
{
    has.offer1 |= BIT1(RING_PACKED);
    up_to_choice();
    status_as(READY, DRIVER);
    status(0);
    status(DRIVER);
    choose(0, BIT1(VERSION_1));
    status(READY);
    queue(0);
    status(RUNNING);
}

static void legal_queue_refused(void)
{
    say("asked start");
    up_to_ready();
    query(0);
    set_queue(0, PL_C_SVQ_ENABLE);
    confirm(0, 0);
    set_queue(0, PL_C_SVQ_KEEP_DISABLED); /* it is disabled, so this is no way to disable it */
    status(READY | FAILED);
    say("refused start");
}

static void legal_no_queue(void)
{
    say("asked start");
    has.max_size = 0;
    up_to_ready();
    query(0);
    status(READY | FAILED);
    say("refused start");
    status(0);
}

/* The device enables it by itself, and no driver has to see that. */
static void legal_queue_that_comes_on(void)
{
    up();
    reset_queue(0);
    confirm(0, 0);
    confirm(0, PL_C_GVQ_ENABLED);
    set_queue(0, PL_C_SVQ_ENABLE);
    confirm(0, PL_C_GVQ_ENABLED);
    io(0);
}

static void legal_queue_reset_lost(void)
{
    up();
    lose(ask(M(RESET_VQUEUE)));
    reset_queue(0);
    queue(0);
    lose(ask(M(RESET_VQUEUE)));
    confirm(0, 0);
    set_queue(0, PL_C_SVQ_ENABLE);
    confirm(0, PL_C_GVQ_ENABLED);
    io(0);
}

static void legal_hotplug(void)
{
    up();
    event(M(EVENT_DEVICE, V(device_number, DEV), V(device_bus_state, PL_C_BUS_STATE_REMOVED)));
    io(0); /* crossing */
    poll_status(RUNNING);
    status(RUNNING);
    event(M(EVENT_DEVICE, V(device_number, DEV), V(device_bus_state, PL_C_BUS_STATE_ADDED)));
    io(0);
    up();
    event(M(EVENT_DEVICE, V(device_number, FOREIGN), V(device_bus_state, PL_C_BUS_STATE_ADDED)));
    dev = FOREIGN;
    up();
    io(0);
}

static void legal_two_devices(void)
{
    up();
    dev = OTHER;
    poll_status(0);
    up();
    io(0);
    dev = DEV;
    io(0);
    dev = FOREIGN;
    ask(M(GET_DEVICE_INFO)); /* looking whether there is one */
}

static void unknown_event(void);

/* A driver that looks at its configuration now and then may do so behind a message of any kind. */
static void legal_reads_now_and_then(void)
{
    up();
    read_config(0, 8);
    io(0);
    for (int i = 0; i < 4; i++) {
        unknown_event();
        read_config(0, 8);
        io(0);
    }
}

static void legal_bus_messages(void)
{
    static const uint8_t bitmap[] = {0x18};
    exchange(M(GET_DEVICES, V(count, 8)), with_data(M(GET_DEVICES, V(count, 8)), bitmap, 1));
    exchange(M(PING, V(data32, 5)), M(PING, V(data32, 5)));
    exchange(M(GET_PARAMETERS),
             M(GET_PARAMETERS, V(revision, 1), V(max_msg_size, MAX), V(transport_features, 0)));
    event(M(PING, V(data32, 6)));
    struct packet p = response(0, M(PING, V(data32, 6)));
    from_driver(&p);
    up();
    io(0);
}

static void legal_parameters(void)
{
    up();
    event(M(EVENT_PARAMETERS, V(revision, 1), V(max_msg_size, 52), V(transport_features, STRICT)));
    ask(with_data(M(SET_CONFIG, V(length, 40)), bytes, 40)); /* crossing */
    say("seen");
    ask(with_data(M(SET_CONFIG, V(length, 1), V(generation, GEN)), bytes, 1));
}

/* --- legal: messages to the driver that must not matter to it, or are nobody's fault --- */

static void bend(struct packet p, int type, int token_)
{
    if (type >= 0)
        pl_poke_type(spec, p.bytes, (uint8_t)(p.bytes[0] | type));
    if (token_ >= 0)
        pl_poke_token(spec, p.bytes, (uint16_t)token_);
    to_driver(&p);
}

static void unknown_event(void)
{
    struct packet p = request(M(EVENT_USED));
    pl_poke_id(spec, p.bytes, spec->header.event_bit | 0x3e);
    pl_poke_token(spec, p.bytes, 0);
    to_driver(&p);
}

static void cut_event(void)
{
    struct packet p = request(M(EVENT_CONFIG));
    p.size--;
    pl_poke_size(spec, p.bytes, (uint16_t)p.size);
    pl_poke_token(spec, p.bytes, 0);
    to_driver(&p);
}

static void legal_reserved(void)
{
    good_run();
    info();
    bend(response(ask(M(SET_DEVICE_STATUS)), M(SET_DEVICE_STATUS)), spec->header.reserved_bits, -1);
    status(DRIVER);
    offers();
    choose(has.offer0, has.offer1);
    status(READY);
    queue(0);
    status(RUNNING);
    io(0);
}

static void legal_event_tokens(void)
{
    good_run();
    info();
    status(0);
    status(DRIVER);
    offers();
    choose(has.offer0, has.offer1);
    uint16_t t = ask(M(SET_DEVICE_STATUS, V(status, READY)));
    bend(request(M(EVENT_CONFIG, V(device_status, DRIVER), V(generation, has.gen))), -1, t);
    reply(t, M(SET_DEVICE_STATUS, V(status, READY)));
    queue(0);
    status(RUNNING);
    bend(request(M(EVENT_USED)), -1, 0xffff);
    io(0);
}

static void legal_odd_messages(void)
{
    good_run();
    info();
    unknown_event();
    status(0);
    cut_event();
    status(DRIVER);
    struct packet p = request(M(GET_DEVICE_STATUS));
    to_driver(&p);
    offers();
    choose(has.offer0, has.offer1);
    status(READY);
    queue(0);
    event(M(EVENT_USED, V(vq_index, 77)));
    status(RUNNING);
    io(0);
}

/* Two at once, with messages under way between them and what comes of them: nothing. */
static void legal_odd_pairs(void)
{
    started();
    for (int i = 0; i < 4; i++) {
        unknown_event();
        cut_event();
        say("asked io 1");
        io(0);
        changed(0, 8, false);
        read_config(0, 8);
        say("done io");
    }
}

/* The device is left in order where the bus can no longer be used. */
static void legal_no_revision_left(void)
{
    up();
    event(M(EVENT_PARAMETERS, V(revision, 0), V(max_msg_size, MAX)));
    say("seen");
    poll_status(RUNNING);
    status(RUNNING | FAILED);
    status(0);
}

/* It reads as long as the configuration changes: that ends when the device lets it. */
static void legal_reads_on(void)
{
    started();
    say("asked queue-reset 0");
    for (int i = 0; i < 600; i++) {
        has.gen++;
        read_config(0, 8);
    }
    say("patience");
}

static void legal_rest(void)
{
    up();
    has.gen++;
    changed(0, 0, false);
    say("rest");
    pl_oracle_settle(oracle);
}

static void legal_odd_device(void)
{
    good_run();
    has.offer0 |= 1u << 20;
    has.offer1 |= 1u << 14 | BIT1(NOTIF_CONFIG_DATA) | BIT1(SR_IOV);
    has.config_size = 512;
    has.admin = 1;
    has.blocks = 3;
    up_to_driver();
    offers();
    offer_block(2, 0);
    choose(OFFER0, OFFER1);
    status(READY);
    queue(0);
    status(RUNNING);
    io(0);
    bus(MAX, 0);
    has.offer0 = 0;
    up();
}

static void legal_no_version_1(void)
{
    has.offer1 = 0;
    say("asked start");
    up_to_driver();
    offers();
    status(DRIVER | FAILED);
    say("refused start");
    say("patience");
}

static void legal_one_block(void)
{
    good_run();
    has.blocks = 1;
    say("asked start");
    up_to_driver();
    offer_block(0, FLUSH);
    status(DRIVER | FAILED);
    say("refused start");
}

static void legal_without_version_1(void)
{
    has.offer1 = 0;
    up();
    io(0);
    say("patience");
}

static void legal_accepts_all(void)
{
    has.offer1 |= BIT1(RING_PACKED) | BIT1(ACCESS_PLATFORM) | BIT1(ORDER_PLATFORM);
    up();
}

static void legal_net(void)
{
    has.device_id = PL_C_TYPE_net;
    has.offer0 = 1 << 0 | 1 << 5 | 1 << 11;
    up();
    write_config(0); /* baseline, and the device offers its bit 0 */
    bus(MAX, STRICT);
    up();
    write_config(GEN);
}

static void legal_late_responses(void)
{
    good_run();
    up();
    uint16_t t = ask(M(GET_DEVICE_STATUS));
    lose(t);
    status(0);
    reply(t, M(GET_DEVICE_STATUS, V(status, RUNNING)));
    reply(900, M(GET_DEVICE_STATUS, V(status, RUNNING)));
    status(DRIVER);
    offers();
    choose(has.offer0, has.offer1);
    status(READY);
    queue(0);
    reply(t, M(GET_DEVICE_STATUS, V(status, 0)));
    status(RUNNING);
    io(0);
}

static void legal_rejected_write(void)
{
    bus(MAX, STRICT);
    started();
    say("asked config-write 32 01");
    has.gen = 8;
    write_rejected(7);
    read_config(0, 8);
    write_config(8);
    say("done config-write");
    say("asked config-write 32 01");
    has.gen = 9;
    write_rejected(8);
    say("refused config-write");
}

static void legal_failed_then_anew(void)
{
    up_to_driver();
    status(DRIVER | FAILED);
    status(0);
    up();
}

/* Control is offered, and this driver does not read it. */
static void legal_without_control(void)
{
    say("asked start");
    info();
    status_as(0, RUNNING);
    poll_status(RUNNING);
    say("patience");
    bus(MAX, 0);
    say("asked start");
    up();
    io(0);
    say("patience");
}

static void legal_refuses_without_reason(void)
{
    say("asked start");
    info();
    say("refused start"); /* nothing is known of when it works */
    say("patience");
}

static void legal_suspend(void)
{
    has.offer1 |= BIT1(SUSPEND);
    up();
    status_as(RUNNING | SUSPEND, READY | SUSPEND);
    status_as(RUNNING, RUNNING);
    io(0);
}

static void suspendable(void)
{
    has.offer1 |= BIT1(SUSPEND);
    up();
}

static void made_available(uint32_t index)
{
    ck_assert(pl_oracle_driver_ring(oracle, dev, index, "chains 1 -"));
}

static void legal_suspend_slow(void)
{
    suspendable();
    uint16_t its_token = ask(M(SET_DEVICE_STATUS, V(status, RUNNING | SUSPEND)));
    made_available(0); /* found late: it was there before */
    reply(its_token, M(SET_DEVICE_STATUS, V(status, RUNNING | SUSPEND)));
    status_as(RUNNING | SUSPEND, RUNNING | SUSPEND); /* asked once more */
    poll_status(READY | SUSPEND);
    status_as(RUNNING | SUSPEND, READY | SUSPEND);
    event(M(EVENT_CONFIG, V(device_status, RUNNING), V(generation, has.gen)));
    poll_status(RUNNING);
    made_available(0);
    io(0);
    write_config(0);
}

static void legal_suspend_given_up(void)
{
    suspendable();
    status_as(RUNNING | SUSPEND, RUNNING | SUSPEND);
    up();
    io(0);
    write_config(0);
}

static void legal_suspend_lost(void)
{
    suspendable();
    lose(ask(M(SET_DEVICE_STATUS, V(status, RUNNING | SUSPEND))));
    poll_status(READY | SUSPEND);
    lose(ask(M(SET_DEVICE_STATUS, V(status, RUNNING | SUSPEND))));
    status_as(RUNNING | SUSPEND, RUNNING);
    io(0);
}

/* --- broken: the message as such --- */

static void send_bent(struct pl_msg m, int type, int id, int size)
{
    struct packet p = request(m);
    if (type >= 0)
        pl_poke_type(spec, p.bytes, (uint8_t)type);
    if (id >= 0)
        pl_poke_id(spec, p.bytes, (uint8_t)id);
    if (size >= 0)
        pl_poke_size(spec, p.bytes, (uint16_t)size);
    from_driver(&p);
}

static void too_large(void)
{
    bus(52, 0);
    up();
    ask(with_data(M(SET_CONFIG, V(length, 40)), bytes, 40));
}

static void wrong_size(void)
{
    up();
    send_bent(M(GET_DEVICE_STATUS), -1, -1, 12);
}

static void big_endian_size(void)
{
    up();
    send_bent(M(GET_DEVICE_STATUS), -1, -1, 0x800);
}

static void big_endian_number(void)
{
    up();
    dev = DEV << 8;
    ask(M(GET_DEVICE_STATUS));
}

static void big_endian_status(void)
{
    info();
    status(0);
    status_as((uint32_t)DRIVER << 24, DRIVER);
    offers();
}

static void big_endian_config(void)
{
    up();
    ask(M(GET_CONFIG, V(length, 0x08000000)));
}

static void big_endian_queue(void)
{
    up_to_ready();
    has.queues = 2;
    ask(M(GET_VQUEUE, V(index, 1u << 24)));
}

static void big_endian_features(void)
{
    up_to_driver();
    offers();
    choose(__builtin_bswap32(OFFER0), __builtin_bswap32(OFFER1));
    status(READY);
}

static void big_endian_count(void)
{
    up();
    ask(with_data(M(SET_CONFIG, V(offset, 0x20000000), V(length, 0x01000000)), bytes, 1));
}

static void reserved_bits(void)
{
    up();
    send_bent(M(GET_DEVICE_STATUS), 0x10, -1, -1);
}

static void bus_number(void)
{
    struct packet p = request(M(PING));
    pl_poke_dev_num(spec, p.bytes, DEV);
    from_driver(&p);
}

static void event_as_response(void)
{
    up();
    send_bent(M(EVENT_AVAIL), 1, -1, -1);
}

static void nobody(void)
{
    up();
    dev = FOREIGN;
    ask(M(GET_VQUEUE));
}

static void wrong_device(void)
{
    up();
    dev = OTHER;
    ask(M(GET_VQUEUE));
    ask(M(EVENT_AVAIL));
}

static void padded(bool zero)
{
    struct packet p = request(M(GET_DEVICE_STATUS));
    memset(p.bytes + p.size, zero ? 0 : 0xaa, 4);
    p.size += 4;
    pl_poke_size(spec, p.bytes, (uint16_t)p.size);
    from_driver(&p);
}

static void padding_zero(void)
{
    up();
    padded(true);
}

static void padding_dirty(void)
{
    up();
    padded(false);
}

static void cut_request(void)
{
    up();
    struct packet p = request(M(GET_CONFIG, V(length, 8)));
    p.size -= 4;
    pl_poke_size(spec, p.bytes, (uint16_t)p.size);
    from_driver(&p);
}

static void runt(void)
{
    struct packet p = request(M(GET_DEVICE_INFO));
    p.size = 5;
    from_driver(&p);
}

static void devices_event(void)
{
    up();
    ask(M(EVENT_CONFIG, V(device_status, RUNNING)));
}

static void stray_response(void)
{
    up();
    send_bent(M(GET_DEVICE_STATUS), 1, -1, -1);
    struct packet p = response(7, M(GET_VQUEUE));
    from_driver(&p);
}

static void unknown_id(void)
{
    up();
    send_bent(M(GET_DEVICE_STATUS), -1, 0x2e, -1);
}

/* --- broken: what it makes of what it is sent --- */

static void answers_unknown(void)
{
    up();
    struct packet p = request(M(GET_DEVICE_STATUS));
    pl_poke_id(spec, p.bytes, 0x2e);
    to_driver(&p);
    pl_poke_type(spec, p.bytes, spec->header.response_bit);
    from_driver(&p);
}

static void answers_request(void)
{
    up();
    struct packet p = request(M(GET_DEVICE_STATUS));
    to_driver(&p);
    p = response(token, M(GET_DEVICE_STATUS));
    from_driver(&p);
}

static void reads_at_odd_messages(void)
{
    up();
    for (int i = 0; i < 3; i++) {
        unknown_event();
        read_config(0, 8);
        io(0);
    }
}

static void takes_malformed_generation(void)
{
    bus(MAX, STRICT);
    up();
    struct packet p = request(M(EVENT_CONFIG, V(device_status, RUNNING), V(generation, 77)));
    p.size--;
    pl_poke_size(spec, p.bytes, (uint16_t)p.size);
    pl_poke_token(spec, p.bytes, 0);
    to_driver(&p);
    write_rejected(77);
}

static void uses_no_revision(void)
{
    exchange(M(GET_PARAMETERS), M(GET_PARAMETERS, V(max_msg_size, MAX)));
    info();
    status(0);
    status(DRIVER);
    offers();
}

static void short_answer(struct packet p)
{
    p.size -= 2;
    pl_poke_size(spec, p.bytes, (uint16_t)p.size);
    to_driver(&p);
}

/* The answer to the first reset is discarded, and the next may be taken for it or for the second.
 */
static void legal_malformed_token(void)
{
    info();
    token = 6;
    ask(M(SET_DEVICE_STATUS));
    short_answer(response(7, M(SET_DEVICE_STATUS)));
    token = 6;
    ask(M(SET_DEVICE_STATUS));
    reply(7, M(SET_DEVICE_STATUS));
    status(ACK);
    status(DRIVER);
}

static void takes_short_answer(void)
{
    up_to_choice();
    short_answer(response(ask(M(SET_DEVICE_STATUS, V(status, READY))),
                          M(SET_DEVICE_STATUS, V(status, READY))));
    queue(0);
}

static void takes_event_for_answer(void)
{
    up_to_choice();
    uint16_t t = ask(M(SET_DEVICE_STATUS, V(status, READY)));
    bend(request(M(EVENT_CONFIG, V(device_status, DRIVER), V(generation, has.gen))), -1, t);
    ask(M(GET_VQUEUE));
    query(0);
    ask(queue_setting(0, PL_C_SVQ_ENABLE));
}

static void takes_event_for_info(void)
{
    uint16_t t = ask(M(GET_DEVICE_INFO));
    bend(request(M(EVENT_USED)), -1, t);
    status(0);
    status(DRIVER);
    offers();
}

static void gives_up_for(void (*odd)(void), const char *what)
{
    good_run();
    say("asked start");
    info();
    status(0);
    odd();
    char words[32];
    snprintf(words, sizeof(words), "%s", what);
    say(words);
}

static void odd_reserved(void)
{
    bend(response(ask(M(SET_DEVICE_STATUS, V(status, ACK))), M(SET_DEVICE_STATUS, V(status, ACK))),
         spec->header.reserved_bits, -1);
}

static void minds_reserved(void)
{
    gives_up_for(odd_reserved, "refused start");
}

static void hangs_on_reserved(void)
{
    gives_up_for(odd_reserved, "patience");
}

static void odd_token(void)
{
    bend(request(M(EVENT_USED)), -1, 0xffff);
}

static void minds_event_token(void)
{
    gives_up_for(odd_token, "refused start");
}

static void minds_event_token_io(void)
{
    good_run();
    started();
    say("asked io 1");
    ask(M(EVENT_AVAIL));
    bend(request(M(EVENT_USED)), -1, 0x77);
    say("refused io");
}

static void minds_unknown(void)
{
    gives_up_for(unknown_event, "refused start");
}

static void minds_malformed(void)
{
    gives_up_for(cut_event, "refused start");
}

static void refuses_features(void)
{
    good_run();
    has.offer0 |= 1u << 20;
    up_to_driver();
    offers();
    status(DRIVER | FAILED);
}

static void refuses_size(void)
{
    good_run();
    has.config_size = 512;
    info();
    status(0);
    status(DRIVER | FAILED);
}

static void refuses_admin(void)
{
    good_run();
    has.admin = 1;
    say("asked start");
    info();
    say("refused start");
}

static void refuses_fewer(void)
{
    good_run();
    has.offer0 = 0;
    say("asked start");
    up_to_driver();
    offers();
    status(DRIVER | FAILED);
    say("refused start");
}

static void waits_forever(void)
{
    good_run();
    say("asked start");
    info();
    lose(ask(M(SET_DEVICE_STATUS)));
    say("patience");
}

static void waits_for_reset(void)
{
    good_run();
    say("asked start");
    info();
    status_as(0, RUNNING);
    poll_status(RUNNING);
    say("patience");
}

static void polls_forever(void)
{
    info();
    status_as(0, RUNNING);
    poll_status(RUNNING);
    say("patience");
    poll_status(RUNNING);
    say("patience");
}

static void hangs_when_answered(void)
{
    started();
    say("asked queue-reset 0");
    reset_queue(0);
    say("patience");
}

static void ignores_failed_queue(void)
{
    up_to_ready();
    query(0);
    failure(ask(queue_setting(0, PL_C_SVQ_ENABLE)), PL_SET_VQUEUE);
    status(RUNNING);
}

static void ignores_lost_features(void)
{
    uint8_t w[8];
    up_to_driver();
    offers();
    word(w, OFFER0);
    word(w + 4, OFFER1);
    lose(ask(selection(0, w, 2)));
    status(READY);
    queue(0);
    status(RUNNING);
}

/* --- broken: the order of the steps --- */

static void no_info(void)
{
    status(0);
    status(DRIVER);
    offers();
    choose(OFFER0, OFFER1);
    status(READY);
}

static void info_unanswered(void)
{
    lose(ask(M(GET_DEVICE_INFO)));
    status(0);
    status(DRIVER);
    offers();
}

static void no_reset(void)
{
    info();
    status(ACK);
    status(DRIVER);
}

static void config_first(void)
{
    info();
    read_config(0, 8);
    status(0);
    status(DRIVER);
}

static void driver_alone(void)
{
    info();
    status(0);
    status(PL_C_STATUS_DRIVER);
}

static void features_ahead(void)
{
    info();
    status(0);
    status(ACK);
    offers();
    status(DRIVER);
}

static void enables_ahead(void)
{
    up_to_choice();
    queue(0);
    status(READY);
    status(RUNNING);
}

static void enables_unconfirmed(void)
{
    up_to_choice();
    uint16_t t = ask(M(SET_DEVICE_STATUS, V(status, READY)));
    query(0);
    ask(queue_setting(0, PL_C_SVQ_ENABLE));
    reply(t, M(SET_DEVICE_STATUS, V(status, READY)));
}

static void enables_refused(void)
{
    up_to_choice();
    status_as(READY, DRIVER);
    queue(0);
    status(READY);
    status(RUNNING);
}

static void goes_on_refused(void)
{
    up_to_choice();
    status_as(READY, DRIVER);
    status(RUNNING);
}

static void refused_and_waits(void)
{
    up_to_choice();
    status_as(READY, DRIVER);
    say("patience");
}

static void features_ok_first(void)
{
    up_to_driver();
    offers();
    status_as(READY, DRIVER);
}

static void anew_while_sick(void)
{
    up();
    sick();
    status(ACK);
}

static void one_bit_each(void)
{
    info();
    status(0);
    status(ACK);
    status(PL_C_STATUS_DRIVER);
}

static void polls_at_odd_messages(void)
{
    up();
    for (int i = 0; i < 3; i++) {
        cut_event();
        poll_status(RUNNING);
        io(0);
    }
}

static void polls_at_pairs(void)
{
    up();
    for (int i = 0; i < 3; i++) {
        unknown_event();
        unknown_event();
        io(0);
        poll_status(RUNNING);
        poll_status(RUNNING);
        say("seen");
    }
}

static void returns_events(void)
{
    started();
    for (int i = 0; i < 3; i++) {
        event(M(EVENT_AVAIL));
        io(0);
        say("asked io 1");
        io(0);
        say("done io");
    }
}

static void no_io_beside_administration(void)
{
    good_run();
    has.admin = 1;
    started();
    say("asked io 1");
    say("refused io");
}

static void resets_at_odd_messages(void)
{
    for (int i = 0; i < 3; i++) {
        up();
        cut_event();
        status(0);
    }
}

static void bits_of_no_block(void)
{
    has.blocks = 1;
    up_to_driver();
    offer_block(0, OFFER0);
    choose(OFFER0, OFFER1);
}

static void no_reset_at_all(void)
{
    started();
    say("asked queue-reset 0");
    say("done queue-reset");
}

static void denies_success(void)
{
    started();
    say("asked config-write 32 01");
    write_config(0);
    say("refused config-write");
}

static void not_heeded(int type, int its_token)
{
    up();
    has.gen++;
    changed(0, 8, false);
    read_config(0, 8);
    has.gen++;
    struct packet p =
        pack(M(EVENT_CONFIG, V(device_status, RUNNING), V(generation, has.gen), V(length, 8)));
    pl_poke_dev_num(spec, p.bytes, dev);
    bend(p, type, its_token);
    say("seen");
    io(0);
    say("patience");
}

static void reserved_not_heeded(void)
{
    not_heeded(0x80, -1);
}

static void token_not_heeded(void)
{
    not_heeded(-1, 0x1234);
}

static void all_at_once(void)
{
    up_to_choice();
    status(RUNNING);
}

static void no_queue_at_all(void)
{
    up_to_ready();
    status(RUNNING);
}

static void io_too_early(void)
{
    up_to_queues();
    ask(M(SET_DEVICE_STATUS, V(status, RUNNING)));
    ask(M(EVENT_AVAIL));
}

static void early_write(void)
{
    up_to_driver();
    write_config(0);
}

static void more_features(void)
{
    up_to_driver();
    offers();
    choose(0, OFFER1);
    status(READY);
    choose(FLUSH, OFFER1);
}

static void clears_bits(void)
{
    up();
    status(DRIVER);
}

static void anew_after_failed(void)
{
    up_to_driver();
    status(DRIVER | FAILED);
    status(DRIVER | FAILED);
    offers();
}

static void reset_not_awaited(void)
{
    info();
    status_as(0, RUNNING);
    status(ACK);
}

static void reset_unanswered(void)
{
    info();
    ask(M(SET_DEVICE_STATUS));
    status(ACK);
}

static void reset_polled_too_little(void)
{
    info();
    status_as(0, RUNNING);
    poll_status(RUNNING);
    status(DRIVER);
    offers();
}

static void reset_failure_ignored(void)
{
    info();
    failure(ask(M(SET_DEVICE_STATUS)), PL_SET_DEVICE_STATUS);
    status(ACK);
}

static void io_while_sick(void)
{
    up();
    sick();
    say("seen");
    io(0);
}

static void io_while_told_sick(void)
{
    up_to_queues();
    status_as(RUNNING, RUNNING | SICK);
    io(0);
}

static void suspends(void)
{
    up();
    status(RUNNING | SUSPEND);
}

static void suspending(void)
{
    suspendable();
    status_as(RUNNING | SUSPEND, RUNNING | SUSPEND);
}

static void suspended(void)
{
    suspendable();
    status_as(RUNNING | SUSPEND, READY | SUSPEND);
}

static void resumes_early(void)
{
    suspending();
    status_as(RUNNING, RUNNING | SUSPEND);
}

static void queues_while_suspended(void)
{
    suspended();
    made_available(1);
}

static void notifies_while_suspending(void)
{
    suspending();
    ask(M(EVENT_AVAIL));
}

static void writes_while_suspended(void)
{
    suspended();
    write_config(0);
}

static void uses_before_resumed(void)
{
    suspended();
    status_as(RUNNING | SUSPEND, READY | SUSPEND);
    ask(M(EVENT_AVAIL));
}

static void queues_before_resumed(void)
{
    suspended();
    status_as(RUNNING | SUSPEND, READY | SUSPEND);
    made_available(0);
}

/* --- broken: features --- */

static void features_unread(void)
{
    up_to_driver();
    choose_block(1, 1);
    status(READY);
}

static void never_reads_features(void)
{
    up_to_driver();
    status(READY);
}

static void unoffered(void)
{
    up_to_driver();
    offers();
    choose(OFFER0 | 1 << 5, OFFER1);
}

static void block_missing(void)
{
    uint8_t w[4];
    up_to_driver();
    word(w, OFFER0);
    exchange(M(GET_DEVICE_FEATURES, V(num_blocks, 2)),
             with_data(M(GET_DEVICE_FEATURES, V(num_blocks, 1)), w, 4));
    choose(OFFER0, OFFER1);
}

static void blocks_mixed_up(void)
{
    up_to_driver();
    offers();
    choose(OFFER0, OFFER0);
}

static void undescribed(void)
{
    has.offer1 |= 1u << 14;
    up_to_choice();
}

static void notif_config(void)
{
    has.offer1 |= BIT1(NOTIF_CONFIG_DATA);
    up_to_choice();
}

static void sr_iov(void)
{
    has.offer1 |= BIT1(SR_IOV);
    up_to_choice();
}

static void requirement(void)
{
    has.device_id = PL_C_TYPE_net;
    has.offer0 = 1 << 0 | 1 << 11;
    up_to_driver();
    offers();
    choose(1 << 11, OFFER1);
    status(READY);
}

static void no_version_1(void)
{
    up_to_driver();
    offers();
    choose(OFFER0, 0);
    status(READY);
}

static void declines(uint32_t bit)
{
    has.offer1 |= bit;
    up_to_driver();
    offers();
    choose(OFFER0, OFFER1);
    status(READY);
}

static void declines_platform(void)
{
    declines(BIT1(ACCESS_PLATFORM));
}

static void declines_packed(void)
{
    declines(BIT1(RING_PACKED));
}

static void declines_order(void)
{
    declines(BIT1(ORDER_PLATFORM));
}

static void silent_without_version_1(void)
{
    has.offer1 = 0;
    say("asked start");
    up_to_driver();
    offers();
    say("refused start");
}

/* --- broken: configuration --- */

static void reads_beyond(void)
{
    has.config_size = 8;
    up_to_driver();
    offers();
    read_config(0, 60);
}

static void writes_beyond(void)
{
    has.config_size = 8;
    up();
    exchange(with_data(M(SET_CONFIG, V(offset, 8), V(length, 1)), bytes, 1),
             M(SET_CONFIG, V(generation, has.gen), V(offset, 8)));
}

static void reads_optional(void)
{
    up_to_driver();
    offers();
    read_config(24, 8); /* topology */
}

static void generation_in_baseline(void)
{
    up();
    write_config(GEN);
}

static void baseline_by_feature(void)
{
    has.device_id = PL_C_TYPE_net;
    has.offer0 = 1;
    up();
    write_config(GEN);
}

static void generation_made_up(void)
{
    bus(MAX, STRICT);
    up();
    write_config(99);
}

static void zero_in_strict(void)
{
    bus(MAX, STRICT);
    up();
    write_config(0);
}

static void never_read(void)
{
    bus(MAX, STRICT);
    up_to_ready();
    write_config(5);
}

static void stale(void)
{
    bus(MAX, STRICT);
    up();
    has.gen = 9;
    changed(0, 8, true);
    say("seen");
    write_rejected(GEN);
}

static void stale_by_rounds(void)
{
    bus(MAX, STRICT);
    started();
    has.gen = 9;
    read_config(0, 8);
    say("asked io 1");
    io(0);
    say("done io");
    write_rejected(GEN);
}

static void event_ignored_by_rounds(void)
{
    bus(MAX, STRICT);
    started();
    has.gen = 9;
    changed(0, 8, true);
    for (int i = 0; i < 2; i++) {
        say("asked io 1");
        io(0);
        say("done io");
    }
    write_rejected(GEN);
}

static void thinks_it_grows(void)
{
    bus(MAX, STRICT);
    up();
    has.gen = 3;
    changed(0, 8, true);
    say("seen");
    write_rejected(GEN);
}

static void thinks_it_stays(void)
{
    bus(MAX, STRICT);
    up();
    status(0);
    status(DRIVER);
    offers();
    choose(has.offer0, has.offer1);
    status(READY);
    write_config(GEN);
}

static void refreshes_upwards_only(void)
{
    up();
    has.gen = 8;
    changed(0, 8, false);
    read_config(0, 8);
    has.gen = 2;
    changed(0, 8, false);
    say("seen");
    io(0);
    say("patience");
    pl_oracle_settle(oracle);
}

static void not_refreshed(void)
{
    up();
    has.gen++;
    changed(0, 0, false);
    say("seen");
    io(0);
    say("patience");
    pl_oracle_settle(oracle);
}

static void not_refreshed_at_rest(void)
{
    up();
    has.gen++;
    changed(0, 0, false);
    say("seen");
    io(0);
    say("rest");
    pl_oracle_settle(oracle);
}

static void not_refreshed_range(void)
{
    bus(MAX, STRICT);
    up();
    has.gen++;
    changed(4, 4, false);
    say("seen");
    io(0);
    say("patience");
    pl_oracle_settle(oracle);
}

static void torn(void)
{
    up_to_ready();
    read_config(0, 8);
    has.gen++;
    read_config(8, 8);
    queue(0);
    status(RUNNING);
}

static void torn_fields(void)
{
    up_to_ready();
    read_config(0, 8);
    has.gen++;
    read_config(20, 4);
    queue(0);
    status(RUNNING);
}

static void torn_wide(void)
{
    up_to_ready();
    read_config(0, 4);
    has.gen++;
    read_config(4, 4);
    queue(0);
    status(RUNNING);
}

static void retries_blindly(void)
{
    bus(MAX, STRICT);
    up();
    write_rejected(GEN);
    write_config(GEN);
}

static void claims_success(void)
{
    started();
    say("asked config-write 32 01");
    write_rejected(0);
    say("done config-write");
    pl_oracle_settle(oracle);
}

static void takes_part_for_success(void)
{
    up();
    exchange(with_data(M(SET_CONFIG, V(length, 4)), bytes, 4),
             with_data(M(SET_CONFIG, V(length, 3), V(generation, has.gen)), bytes, 3));
    exchange(
        with_data(M(SET_CONFIG, V(offset, 3), V(length, 1)), bytes, 1),
        with_data(M(SET_CONFIG, V(offset, 3), V(length, 1), V(generation, has.gen)), bytes, 1));
}

/* --- broken: virtqueues --- */

static void not_queried(void)
{
    up_to_ready();
    set_queue(0, PL_C_SVQ_ENABLE);
    confirm(0, PL_C_GVQ_ENABLED);
}

static void not_available(void)
{
    has.max_size = 0;
    up_to_ready();
    query(0);
    set_queue(0, PL_C_SVQ_ENABLE);
}

static void set_with(struct pl_msg m)
{
    up_to_ready();
    query(0);
    exchange(m, M(SET_VQUEUE));
}

static void size_too_large(void)
{
    has.max_size = 32;
    set_with(queue_setting(0, PL_C_SVQ_ENABLE));
}

static void reserved_field(void)
{
    struct pl_msg m = queue_setting(0, PL_C_SVQ_ENABLE);
    m.f[PL_F_reserved] = 1;
    set_with(m);
}

static void reserved_flags(void)
{
    set_with(queue_setting(0, PL_C_SVQ_ENABLE | 0x40));
}

static void operation_3(void)
{
    set_with(queue_setting(0, PL_C_SVQ_STATE_RESERVED));
}

static void misaligned(enum pl_field field, uint64_t by, bool packed)
{
    struct pl_msg m = queue_setting(0, PL_C_SVQ_ENABLE);
    m.f[field] += by;
    if (packed)
        has.offer1 |= BIT1(RING_PACKED);
    set_with(m);
}

static void misaligned_desc(void)
{
    misaligned(PL_F_desc_addr, 8, false);
}

static void misaligned_driver(void)
{
    misaligned(PL_F_driver_addr, 1, false);
}

static void misaligned_packed(void)
{
    misaligned(PL_F_driver_addr, 2, true);
}

static void misaligned_device(void)
{
    misaligned(PL_F_device_addr, 2, false);
}

static void disables(void)
{
    up();
    set_queue(0, PL_C_SVQ_KEEP_DISABLED | PL_C_SVQ_IGNORE_ALL);
}

static void updates_enabled(void)
{
    has.offer1 = BIT1(VERSION_1);
    up();
    set_queue(0, PL_C_SVQ_KEEP_STATE);
}

static void updates_without_reset(void)
{
    up();
    set_queue(0, PL_C_SVQ_ENABLE);
}

static void not_confirmed(void)
{
    up_to_ready();
    query(0);
    set_queue(0, PL_C_SVQ_ENABLE);
    status(RUNNING);
    io(0);
}

static void relies_on_refused(void)
{
    up_to_ready();
    query(0);
    set_queue(0, PL_C_SVQ_ENABLE);
    confirm(0, 0);
    set_queue(0, PL_C_SVQ_ENABLE | PL_C_SVQ_IGNORE_ALL);
    confirm(0, 0);
    status(READY);
    queue(1);
    status(RUNNING);
    io(0);
}

static void not_negotiated_reset(void)
{
    has.offer1 = BIT1(VERSION_1);
    up();
    reset_queue(0);
}

static void reset_not_looked_up(void)
{
    up();
    reset_queue(1);
}

static void reset_of_queue_not_awaited(void)
{
    up();
    ask(M(RESET_VQUEUE));
    ask(queue_setting(0, PL_C_SVQ_ENABLE));
}

static void beyond_all_queues(void)
{
    up();
    ask(M(EVENT_AVAIL, V(vq_index, 7)));
}

static void queue_not_set_up(void)
{
    up();
    ask(M(EVENT_AVAIL, V(vq_index, 1)));
}

static void sets_beyond(void)
{
    up_to_ready();
    query(5);
    set_queue(5, PL_C_SVQ_ENABLE);
}

static void admin_beyond(void)
{
    has.admin = 1;
    up_to_ready();
    query(2);
    set_queue(2, PL_C_SVQ_ENABLE);
}

/* --- all of them --- */

struct story {
    void (*tell)(void);
    const char *name, *ids;
};
#define LEGAL(fn)                                                                                  \
    {                                                                                              \
        fn, #fn, ""                                                                                \
    }
#define BREAKS(fn, ids)                                                                            \
    {                                                                                              \
        fn, #fn, ids                                                                               \
    }
#define ORDER     "INIT-DRV-05 CORE-INIT-DRV-01 "
#define UNOFFERED "FEAT-DRV-01 FEAT-DRV-05 CORE-FEAT-DRV-01 CORE-FEAT-DRV-03 "
#define UNKNOWN   "FEAT-DRV-05 CORE-FEAT-DRV-03 CORE-FEAT-DRV-04 "
#define SLOW      "STAT-DRV-05 CORE-RESET-DRV-01 "
#define QUEUED    "INIT-DRV-02 FEAT-DRV-03 " ORDER

static const struct story stories[] = {
    LEGAL(legal_plain),
    LEGAL(legal_control),
    LEGAL(legal_status_in_one),
    LEGAL(legal_status_polled),
    LEGAL(legal_small_messages),
    LEGAL(legal_queue_in_two_steps),
    LEGAL(legal_pipelined),
    LEGAL(legal_tokens),
    LEGAL(legal_packed),
    LEGAL(legal_slow_reset),
    LEGAL(legal_reset_asked_twice),
    LEGAL(legal_lost_reset_polled),
    LEGAL(legal_endless_reset),
    LEGAL(legal_info_lost),
    LEGAL(legal_failures_retried),
    LEGAL(legal_failure_gives_up),
    LEGAL(legal_failure_starts_anew),
    LEGAL(legal_refused_features),
    LEGAL(legal_refused_fewer),
    LEGAL(legal_refused_silence),
    LEGAL(legal_sick_early),
    LEGAL(legal_sick_crossing),
    LEGAL(legal_sick_given_up),
    LEGAL(legal_generations_cross),
    LEGAL(legal_generation_of_a_write),
    LEGAL(legal_generation_anew),
    LEGAL(legal_refresh),
    LEGAL(legal_refresh_idle),
    LEGAL(legal_event_before_start),
    LEGAL(legal_parts),
    LEGAL(legal_parts_with_events),
    LEGAL(legal_parts_apart),
    LEGAL(legal_io_too_small),
    LEGAL(legal_packed_but_refused),
    LEGAL(legal_queue_refused),
    LEGAL(legal_no_queue),
    LEGAL(legal_queue_that_comes_on),
    LEGAL(legal_queue_reset_lost),
    LEGAL(legal_hotplug),
    LEGAL(legal_two_devices),
    LEGAL(legal_reads_now_and_then),
    LEGAL(legal_bus_messages),
    LEGAL(legal_parameters),
    LEGAL(legal_reserved),
    LEGAL(legal_event_tokens),
    LEGAL(legal_odd_messages),
    LEGAL(legal_odd_device),
    LEGAL(legal_odd_pairs),
    LEGAL(legal_no_revision_left),
    LEGAL(legal_reads_on),
    LEGAL(legal_rest),
    LEGAL(legal_no_version_1),
    LEGAL(legal_one_block),
    LEGAL(legal_without_version_1),
    LEGAL(legal_accepts_all),
    LEGAL(legal_net),
    LEGAL(legal_late_responses),
    LEGAL(legal_rejected_write),
    LEGAL(legal_failed_then_anew),
    LEGAL(legal_without_control),
    LEGAL(legal_refuses_without_reason),
    LEGAL(legal_suspend),
    LEGAL(legal_suspend_slow),
    LEGAL(legal_suspend_given_up),
    LEGAL(legal_suspend_lost),
    LEGAL(legal_malformed_token),

    BREAKS(too_large, "LIMIT-DRV-01 HDR-DRV-02"),
    BREAKS(wrong_size, "HDR-DRV-02"),
    BREAKS(big_endian_size, "END-DRV-01"),
    BREAKS(big_endian_number, "END-DRV-01"),
    BREAKS(big_endian_status, "END-DRV-01"),
    BREAKS(big_endian_config, "END-DRV-01"),
    BREAKS(big_endian_queue, "END-DRV-01"),
    BREAKS(big_endian_features, "END-DRV-01"),
    BREAKS(big_endian_count, "END-DRV-01"),
    BREAKS(reserved_bits, "HDR-DRV-01 HDR-ANY-01"),
    BREAKS(bus_number, "HDR-ANY-03"),
    BREAKS(event_as_response, "HDR-ANY-02"),
    BREAKS(nobody, "HDR-DRV-03"),
    BREAKS(wrong_device, "HDR-DRV-03"),
    BREAKS(padding_zero, "WIRE-DRV-01"),
    BREAKS(padding_dirty, "WIRE-DRV-01 HDR-DRV-04"),
    BREAKS(cut_request, "WIRE-DRV-01"),
    BREAKS(runt, "WIRE-DRV-01"),
    BREAKS(devices_event, "WIRE-DRV-02"),
    BREAKS(stray_response, "WIRE-DRV-02"),
    BREAKS(unknown_id, "WIRE-DRV-02 LIMIT-DRV-02"),
    BREAKS(answers_unknown, "ERR-DRV-01 REV-DRV-02"),
    BREAKS(answers_request, "ERR-DRV-01"),
    BREAKS(reads_at_odd_messages, "ERR-DRV-01 REV-DRV-02"),
    BREAKS(takes_malformed_generation, "ERR-DRV-01 REV-DRV-02 CFG-DRV-06"),
    BREAKS(uses_no_revision, "LIMIT-DRV-02"),
    BREAKS(takes_short_answer, "ERR-DRV-01 " QUEUED),
    BREAKS(takes_event_for_answer, "HDR-DRV-05 " QUEUED),
    BREAKS(takes_event_for_info, "HDR-DRV-05 INFO-DRV-02"),
    BREAKS(minds_reserved, "HDR-DRV-01 HDR-ANY-01"),
    BREAKS(hangs_on_reserved, "HDR-DRV-01 HDR-ANY-01"),
    BREAKS(minds_event_token, "HDR-DRV-05"),
    BREAKS(minds_event_token_io, "HDR-DRV-05"),
    BREAKS(minds_unknown, "REV-DRV-02"),
    BREAKS(minds_malformed, "ERR-DRV-01"),
    BREAKS(refuses_features, "CORE-FEAT-DRV-07"),
    BREAKS(refuses_size, "CORE-CONFIG-DRV-04 CORE-CONFIG-DRV-05"),
    BREAKS(refuses_admin, "INFO-DRV-04"),
    BREAKS(refuses_fewer, "CORE-FEAT-DRV-05"),
    BREAKS(waits_forever, "ERR-DRV-02"),
    BREAKS(waits_for_reset, "ERR-DRV-02"),
    BREAKS(polls_forever, "ERR-DRV-02"),
    BREAKS(hangs_when_answered, "CORE-DRV-01"),
    BREAKS(ignores_failed_queue, "ERR-DRV-03"),
    BREAKS(ignores_lost_features, "ERR-DRV-03"),
    BREAKS(no_info, "INIT-DRV-01"),
    BREAKS(info_unanswered, "INFO-DRV-02"),
    BREAKS(no_reset, ORDER),
    BREAKS(config_first, ORDER),
    BREAKS(driver_alone, ORDER "CORE-STATUS-DRV-01"),
    BREAKS(features_ahead, ORDER),
    BREAKS(enables_ahead, QUEUED),
    BREAKS(enables_unconfirmed, QUEUED),
    BREAKS(enables_refused, QUEUED "CORE-INIT-DRV-06"),
    BREAKS(goes_on_refused, ORDER "FEAT-DRV-03 DROK-DRV-01"),
    BREAKS(refused_and_waits, "CORE-INIT-DRV-05"),
    BREAKS(features_ok_first, ORDER "CORE-FEAT-DRV-08"),
    BREAKS(anew_while_sick, "STAT-DRV-02 STAT-DRV-04 CORE-STATUS-DRV-02 CORE-STATUS-DRV-04"),
    BREAKS(one_bit_each, "STAT-DRV-04 CORE-STATUS-DRV-01 CORE-STATUS-DRV-02"),
    BREAKS(polls_at_odd_messages, "ERR-DRV-01"),
    BREAKS(resets_at_odd_messages, "ERR-DRV-01"),
    BREAKS(polls_at_pairs, "ERR-DRV-01 REV-DRV-02"),
    BREAKS(returns_events, "ERR-DRV-01"),
    BREAKS(no_io_beside_administration, "INFO-DRV-04"),
    BREAKS(bits_of_no_block, UNOFFERED "FEAT-DRV-04"),
    BREAKS(no_reset_at_all, "CORE-DRV-01"),
    BREAKS(denies_success, "SCFG-DRV-03"),
    BREAKS(reserved_not_heeded, "CFG-DRV-05 USED-DRV-01 HDR-DRV-01 HDR-ANY-01"),
    BREAKS(token_not_heeded, "CFG-DRV-05 USED-DRV-01 HDR-DRV-05"),
    BREAKS(all_at_once, ORDER "FEAT-DRV-03 DROK-DRV-01"),
    BREAKS(no_queue_at_all, "DROK-DRV-01"),
    BREAKS(io_too_early, "INIT-DRV-04"),
    BREAKS(early_write, ORDER "CORE-INIT-DRV-03"),
    BREAKS(more_features, "CORE-INIT-DRV-04"),
    BREAKS(clears_bits, "CORE-STATUS-DRV-02 STAT-DRV-04"),
    BREAKS(anew_after_failed, "CORE-STATUS-DRV-03"),
    BREAKS(reset_not_awaited, SLOW "STAT-DRV-03"),
    BREAKS(reset_unanswered, SLOW),
    BREAKS(reset_polled_too_little, SLOW "STAT-DRV-03"),
    BREAKS(reset_failure_ignored, SLOW),
    BREAKS(io_while_sick, "STAT-DRV-02 CORE-STATUS-DRV-04"),
    BREAKS(io_while_told_sick, "STAT-DRV-02 CORE-STATUS-DRV-04"),
    BREAKS(suspends, "CORE-SUSPEND-DRV-01"),
    BREAKS(resumes_early, "CORE-SUSPEND-DRV-02"),
    BREAKS(queues_while_suspended, "CORE-SUSPEND-DRV-03"),
    BREAKS(notifies_while_suspending, "CORE-SUSPEND-DRV-04"),
    BREAKS(writes_while_suspended, "CORE-SUSPEND-DRV-05"),
    BREAKS(uses_before_resumed, "CORE-SUSPEND-DRV-06"),
    BREAKS(queues_before_resumed, "CORE-SUSPEND-DRV-06"),
    BREAKS(features_unread, "FEAT-DRV-01"),
    BREAKS(never_reads_features, "FEAT-DRV-01"),
    BREAKS(unoffered, UNOFFERED),
    BREAKS(block_missing, UNOFFERED "FEAT-DRV-04"),
    BREAKS(blocks_mixed_up, UNOFFERED "FEAT-DRV-04"),
    BREAKS(undescribed, UNKNOWN),
    BREAKS(notif_config, UNKNOWN "FEAT-DRV-02"),
    BREAKS(sr_iov, UNKNOWN "CORE-FEAT-DRV-16"),
    BREAKS(requirement, "CORE-FEAT-DRV-02 CORE-FEAT-DRV-03"),
    BREAKS(no_version_1, "CORE-FEAT-DRV-08"),
    BREAKS(declines_platform, "CORE-FEAT-DRV-10"),
    BREAKS(declines_packed, "CORE-FEAT-DRV-13"),
    BREAKS(declines_order, "CORE-FEAT-DRV-14"),
    BREAKS(silent_without_version_1, "CORE-FEAT-DRV-06"),
    BREAKS(reads_beyond, "INFO-DRV-01 GCFG-DRV-01 INFO-DRV-02"),
    BREAKS(writes_beyond, "INFO-DRV-01 SCFG-DRV-01 INFO-DRV-02"),
    BREAKS(reads_optional, "CORE-CONFIG-DRV-03"),
    BREAKS(generation_in_baseline, "CFG-DRV-04 CFG-DRV-01"),
    BREAKS(baseline_by_feature, "CFG-DRV-04 CFG-DRV-01 CFG-DRV-02"),
    BREAKS(generation_made_up, "CFG-DRV-06"),
    BREAKS(zero_in_strict, "CFG-DRV-06 CFG-DRV-01 CFG-DRV-02"),
    BREAKS(never_read, "CFG-DRV-06"),
    BREAKS(stale, "CFG-DRV-06"),
    BREAKS(stale_by_rounds, "CFG-DRV-06"),
    BREAKS(event_ignored_by_rounds, "CFG-DRV-06"),
    BREAKS(thinks_it_grows, "CFG-DRV-06 CFG-DRV-08"),
    BREAKS(thinks_it_stays, "CFG-DRV-08"),
    BREAKS(refreshes_upwards_only, "CFG-DRV-05 USED-DRV-01 CFG-DRV-08"),
    BREAKS(not_refreshed, "CFG-DRV-05 USED-DRV-01 USED-DRV-02"),
    BREAKS(not_refreshed_range, "USED-DRV-01"),
    BREAKS(not_refreshed_at_rest, "CFG-DRV-05 USED-DRV-01 USED-DRV-02"),
    BREAKS(torn, "CFG-DRV-03 CORE-CONFIG-DRV-02"),
    BREAKS(torn_fields, "CFG-DRV-03 CORE-CONFIG-DRV-02"),
    BREAKS(torn_wide, "CFG-DRV-03 CORE-CONFIG-DRV-01 CORE-CONFIG-DRV-02"),
    BREAKS(retries_blindly, "CFG-DRV-07"),
    BREAKS(claims_success, "SCFG-DRV-03"),
    BREAKS(takes_part_for_success, "SCFG-DRV-03"),
    BREAKS(not_queried, "GVQ-DRV-01 SVQ-DRV-03"),
    BREAKS(not_available, "GVQ-DRV-01"),
    BREAKS(size_too_large, "GVQ-DRV-02 SVQ-DRV-05"),
    BREAKS(reserved_field, "SVQ-DRV-01"),
    BREAKS(reserved_flags, "SVQ-DRV-01"),
    BREAKS(operation_3, "SVQ-DRV-02"),
    BREAKS(misaligned_desc, "SVQ-DRV-06"),
    BREAKS(misaligned_driver, "SVQ-DRV-06"),
    BREAKS(misaligned_packed, "SVQ-DRV-06"),
    BREAKS(misaligned_device, "SVQ-DRV-06"),
    BREAKS(disables, "SVQ-DRV-04"),
    BREAKS(updates_enabled, "SVQ-DRV-07"),
    BREAKS(updates_without_reset, "SVQ-DRV-07 SVQ-DRV-08"),
    BREAKS(not_confirmed, "INIT-DRV-03 SVQ-DRV-09"),
    BREAKS(relies_on_refused, "SVQ-DRV-09 INIT-DRV-03"),
    BREAKS(not_negotiated_reset, "RVQ-DRV-01"),
    BREAKS(reset_not_looked_up, "RVQ-DRV-02"),
    BREAKS(reset_of_queue_not_awaited, "RVQ-DRV-03"),
    BREAKS(beyond_all_queues, "AVAIL-DRV-01 INFO-DRV-02"),
    BREAKS(queue_not_set_up, "AVAIL-DRV-01"),
    BREAKS(sets_beyond, "INFO-DRV-02"),
    BREAKS(admin_beyond, "INFO-DRV-02 INFO-DRV-04"),
};
enum { STORIES = sizeof(stories) / sizeof(stories[0]) };

/* Exactly these clauses failed: ids with blanks between them. */
static void only(const struct story *story)
{
    char list[512], *rest = NULL;
    size_t length = 0;
    snprintf(list, sizeof(list), "%s", story->ids);
    for (char *id = strtok_r(list, " ", &rest); id; id = strtok_r(NULL, " ", &rest)) {
        char want[40];
        snprintf(want, sizeof(want), " %s ", id);
        ck_assert_msg(pl_clauses_index(clauses, id) >= 0, "the test's own mistake: %s", id);
        ck_assert_msg(strstr(failed, want) != NULL, "%s: %s did not fail; failed:%s\n%s",
                      story->name, id, failed, sentences);
        length += strlen(want);
    }
    ck_assert_msg(strlen(failed) == length, "%s: only %s should fail, failed:%s\n%s", story->name,
                  story->ids, failed, sentences);
}

START_TEST(test_story)
{
    begin();
    stories[_i].tell();
    pl_oracle_settle(oracle);
    only(&stories[_i]);
    finish();
}
END_TEST

/* Every clause that is judged is broken by a story, and held by a legal one. */
START_TEST(test_every_clause)
{
    static struct pl_clause_state held[1024];
    begin();
    size_t n = pl_clauses_count(clauses);
    ck_assert(n <= 1024);
    for (size_t i = 0; i < STORIES; i++) {
        if (stories[i].ids[0])
            continue;
        begin();
        stories[i].tell();
        pl_oracle_settle(oracle);
        for (size_t c = 0; c < n; c++)
            held[c].applied += pl_oracle_clause(oracle, c)->applied;
    }
    char missing[4096] = "";
    for (size_t c = 0; c < n; c++) {
        const struct pl_clause_def *def = pl_clauses_get(clauses, c);
        bool option = strcmp(def->how, "option") == 0, told = option;
        if (strcmp(def->role, "driver") != 0 || !def->judged || of_rings(def->id))
            continue;
        for (size_t i = 0; i < STORIES && !told; i++) {
            char list[600], want[48];
            snprintf(list, sizeof(list), " %s ", stories[i].ids);
            snprintf(want, sizeof(want), " %s ", def->id);
            told = strstr(list, want) != NULL;
        }
        if (!told || !held[c].applied) {
            size_t used = strlen(missing);
            snprintf(missing + used, sizeof(missing) - used, " %s:%s", def->id,
                     told ? "never held" : "never broken");
        }
    }
    ck_assert_msg(!missing[0], "%s", missing);
    finish();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("drv_oracle");
    TCase *tcase = tcase_create("stories");
    tcase_add_loop_test(tcase, test_story, 0, STORIES);
    tcase_add_test(tcase, test_every_clause);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
