/* The reference device, driven in this process: every message, both profiles, resets, control, its
 * mutants, and hostile bytes. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "peer/device.h"
#include "wire/wire.h"

/* A device and the last message that came from it. */
struct rig {
    const struct pl_spec *spec;
    void *self;
    uint16_t token, dev_num;
    uint64_t now; /* virtual ms */
    struct pl_msg m;
    uint8_t in[PL_MSG_MAX + 1], out[PL_MSG_MAX + 1];
};

static struct rig rig;
static uint8_t memory[64 << 10];

static void rig_open(const struct pl_device_config *config, uint32_t max_msg_size,
                     uint32_t features)
{
    const struct pl_endpoint_env env = {.revision = 1,
                                        .max_msg_size = max_msg_size,
                                        .features = features,
                                        .mem = memory,
                                        .mem_base = UINT64_C(0x100000000),
                                        .mem_size = sizeof(memory)};
    memset(&rig, 0, sizeof(rig));
    rig.spec = pl_spec_find("virtio-msg-r1");
    rig.token = 0x1200;
    rig.self = pl_device_endpoint.open(config, &env);
    ck_assert_ptr_nonnull(rig.self);
}

static void rig_option(const char *option, uint32_t max_msg_size, uint32_t features)
{
    const char *const options[] = {option, NULL};
    const struct pl_device_config config = {.options = options, .seed = 1};
    rig_open(&config, max_msg_size, features);
}

static void rig_close(void)
{
    pl_device_endpoint.close(rig.self);
}

/* Take the next message; false where there is none. */
static bool next(void)
{
    int size = pl_device_endpoint.poll(rig.self, rig.in, sizeof(rig.in));
    ck_assert_int_ge(size, 0);
    if (size > 0)
        pl_decode(rig.spec, rig.in, (size_t)size, &rig.m);
    return size > 0;
}

static void put(const struct pl_msg *m)
{
    ssize_t size = pl_encode(rig.spec, m, rig.out, sizeof(rig.out));
    ck_assert_int_gt(size, 0);
    ck_assert_int_eq(pl_device_endpoint.deliver(rig.self, rig.out, (size_t)size), 0);
}

static struct pl_msg request(enum pl_kind kind)
{
    struct pl_msg m = {.kind = kind, .dev_num = rig.dev_num, .token = ++rig.token};
    if (pl_spec_message(rig.spec, kind)->bus)
        m.dev_num = 0;
    return m;
}

/* Send a request and take its response, which must be well formed and belong to it. */
static void ask(const struct pl_msg *m)
{
    put(m);
    ck_assert_msg(next(), "no response to %s", pl_spec_message(rig.spec, m->kind)->name);
    ck_assert_int_eq(rig.m.form, PL_FORM_OK);
    ck_assert(rig.m.response);
    ck_assert_int_eq(rig.m.kind, m->kind);
    ck_assert_uint_eq(rig.m.token, m->token);
    ck_assert_uint_eq(rig.m.dev_num, m->dev_num);
}

static void ask_nothing(const struct pl_msg *m)
{
    put(m);
    ck_assert(!next());
}

static uint64_t field(enum pl_field f)
{
    return rig.m.f[f];
}

static uint64_t get_status(void)
{
    struct pl_msg m = request(PL_GET_DEVICE_STATUS);
    ask(&m);
    return field(PL_F_status);
}

static uint64_t set_status(uint64_t status)
{
    struct pl_msg m = request(PL_SET_DEVICE_STATUS);
    m.f[PL_F_status] = status;
    ask(&m);
    return field(PL_F_status);
}

static void select_features(uint64_t bits)
{
    uint8_t words[8];
    for (unsigned i = 0; i < 8; i++)
        words[i] = (uint8_t)(bits >> (8 * i));
    struct pl_msg m = request(PL_SET_DRIVER_FEATURES);
    m.f[PL_F_num_blocks] = 2;
    m.data = words;
    m.data_len = sizeof(words);
    ask(&m);
}

#define ACKNOWLEDGED (PL_C_STATUS_ACKNOWLEDGE | PL_C_STATUS_DRIVER)
#define NEGOTIATED   (ACKNOWLEDGED | PL_C_STATUS_FEATURES_OK)
#define RUNNING      (NEGOTIATED | PL_C_STATUS_DRIVER_OK)

static void negotiate(uint64_t bits)
{
    set_status(PL_C_STATUS_ACKNOWLEDGE);
    set_status(ACKNOWLEDGED);
    select_features(bits);
    set_status(NEGOTIATED);
}

static void start(void)
{
    negotiate(UINT64_C(1) << PL_C_F_VERSION_1 | UINT64_C(1) << PL_C_F_RING_RESET);
    ck_assert_uint_eq(set_status(RUNNING), RUNNING);
}

static void get_config(uint32_t offset, uint32_t length)
{
    struct pl_msg m = request(PL_GET_CONFIG);
    m.f[PL_F_offset] = offset;
    m.f[PL_F_length] = length;
    ask(&m);
    ck_assert_uint_eq(rig.m.data_len, length);
}

static void set_config(uint32_t generation, uint32_t offset, const void *data, uint32_t length)
{
    struct pl_msg m = request(PL_SET_CONFIG);
    m.f[PL_F_generation] = generation;
    m.f[PL_F_offset] = offset;
    m.f[PL_F_length] = length;
    m.data = data;
    m.data_len = length;
    ask(&m);
}

static void get_queue(uint32_t index)
{
    struct pl_msg m = request(PL_GET_VQUEUE);
    m.f[PL_F_index] = index;
    ask(&m);
    ck_assert_uint_eq(field(PL_F_index), index);
}

static void set_queue(uint32_t index, uint32_t flags, uint32_t size, uint64_t address)
{
    struct pl_msg m = request(PL_SET_VQUEUE);
    m.f[PL_F_index] = index;
    m.f[PL_F_flags] = flags;
    m.f[PL_F_size] = size;
    m.f[PL_F_desc_addr] = address;
    m.f[PL_F_driver_addr] = address + 0x1000;
    m.f[PL_F_device_addr] = address + 0x2000;
    ask(&m);
}

static void reset_queue(uint32_t index)
{
    struct pl_msg m = request(PL_RESET_VQUEUE);
    m.f[PL_F_index] = index;
    ask(&m);
}

static const char *control(const char *line)
{
    static char answer[256];
    ck_assert_int_eq(pl_device_endpoint.control(rig.self, line, answer, sizeof(answer)), 0);
    return answer;
}

/* The values of a queue that a test expects. */
static void expect_queue(uint32_t index, uint64_t size, uint64_t enabled, uint64_t address)
{
    get_queue(index);
    ck_assert_uint_eq(field(PL_F_cur_size), size);
    ck_assert_uint_eq(field(PL_F_flags), enabled);
    ck_assert_uint_eq(field(PL_F_desc_addr), address);
}

START_TEST(every_type_answers_every_request)
{
    static const char *const types[] = {"block", "net", "console", "entropy", "gpu"};
    static const enum pl_kind kinds[] = {PL_GET_DEVICE_INFO,
                                         PL_GET_DEVICE_FEATURES,
                                         PL_SET_DRIVER_FEATURES,
                                         PL_GET_CONFIG,
                                         PL_SET_CONFIG,
                                         PL_GET_DEVICE_STATUS,
                                         PL_SET_DEVICE_STATUS,
                                         PL_GET_VQUEUE,
                                         PL_SET_VQUEUE,
                                         PL_RESET_VQUEUE,
                                         PL_GET_SHM,
                                         PL_GET_DEVICES,
                                         PL_PING,
                                         PL_GET_PARAMETERS};
    const struct pl_device_config config = {.type = types[_i]};
    rig_open(&config, 264, 0);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct pl_msg m = request(kinds[i]);
        ask(&m);
    }
    rig_close();
}
END_TEST

START_TEST(info_is_sound)
{
    rig_option("admin_vqs=2", 264, 0);
    struct pl_msg m = request(PL_GET_DEVICE_INFO);
    ask(&m);
    ck_assert_uint_eq(field(PL_F_device_id), PL_C_TYPE_block);
    ck_assert_uint_eq(field(PL_F_admin_vq_start) + field(PL_F_admin_vq_count),
                      field(PL_F_max_virtqueues));
    ck_assert_uint_eq(rig.m.fixed[6] >> 4, 4);
    ck_assert_uint_eq(rig.m.fixed[8] >> 6, 2);
    rig_close();
}
END_TEST

START_TEST(features_are_negotiated)
{
    rig_option("devices=1", 264, 0);
    negotiate(UINT64_C(1) << PL_C_F_VERSION_1 | UINT64_C(1) << PL_C_F_NOTIF_CONFIG_DATA);
    ck_assert_uint_eq(get_status(), ACKNOWLEDGED);
    select_features(UINT64_C(1) << PL_C_F_VERSION_1);
    ck_assert_uint_eq(set_status(NEGOTIATED), NEGOTIATED);
    struct pl_msg m = request(PL_GET_DEVICE_FEATURES);
    m.f[PL_F_block_index] = 1;
    m.f[PL_F_num_blocks] = 3;
    ask(&m);
    ck_assert_uint_eq(rig.m.data_len, 12);
    ck_assert_uint_eq(rig.m.data[0] & 1, 1);
    ck_assert_uint_eq(rig.m.data[4] | rig.m.data[8], 0);
    m.f[PL_F_num_blocks] = 1000;
    ask_nothing(&m);
    rig_close();
}
END_TEST

START_TEST(a_selection_behind_the_blocks_is_refused)
{
    const uint8_t one[4] = {1}, zero[4] = {0};
    rig_option("devices=1", 264, 0);
    set_status(ACKNOWLEDGED);
    select_features(UINT64_C(1) << PL_C_F_VERSION_1);
    struct pl_msg m = request(PL_SET_DRIVER_FEATURES);
    m.f[PL_F_block_index] = 77;
    m.f[PL_F_num_blocks] = 1;
    m.data = one;
    m.data_len = 4;
    ask(&m);
    ck_assert_uint_eq(set_status(NEGOTIATED), ACKNOWLEDGED);
    m.data = zero;
    ask(&m);
    ck_assert_uint_eq(set_status(NEGOTIATED), NEGOTIATED);
    rig_close();
}
END_TEST

START_TEST(a_baseline_device_ignores_the_generation)
{
    rig_option("devices=1", 264, 0);
    get_config(0, 4);
    uint64_t before = field(PL_F_generation);
    set_config(12345, 0, "abcd", 4);
    ck_assert_uint_eq(field(PL_F_length), 4);
    ck_assert_uint_ne(field(PL_F_generation), before);
    get_config(0, 4);
    ck_assert_mem_eq(rig.m.data, "abcd", 4);
    set_status(0);
    get_config(0, 4);
    ck_assert_mem_ne(rig.m.data, "abcd", 4);
    rig_close();
}
END_TEST

START_TEST(a_strict_device_rejects_a_stale_generation)
{
    rig_option("devices=1", 264, 1u << PL_C_TF_STRICT_CONFIG_GENERATION);
    get_config(0, 4);
    uint32_t now = (uint32_t)field(PL_F_generation);
    set_config(now + 1, 0, "abcd", 4);
    ck_assert_uint_eq(field(PL_F_length), 0);
    ck_assert_uint_eq(field(PL_F_generation), now);
    ck_assert(!next());
    set_config(now, 0, "abcd", 4);
    ck_assert_uint_eq(field(PL_F_length), 4);
    rig_close();
}
END_TEST

START_TEST(configuration_out_of_range_is_discarded)
{
    rig_option("config_writable=0", 264, 0);
    struct pl_msg m = request(PL_GET_CONFIG);
    m.f[PL_F_offset] = 0xffffffff;
    m.f[PL_F_length] = 2;
    ask_nothing(&m);
    m = request(PL_SET_CONFIG);
    m.f[PL_F_offset] = 58;
    m.f[PL_F_length] = 4;
    m.data = (const uint8_t *)"abcd";
    m.data_len = 4;
    ask_nothing(&m);
    set_config(0, 0, "abcd", 4); /* read-only */
    ck_assert_uint_eq(field(PL_F_length), 0);
    set_config(0, 32, "\0", 1); /* the one field that a driver may write */
    ck_assert_uint_eq(field(PL_F_length), 1);
    rig_close();
}
END_TEST

START_TEST(its_own_changes_are_reported)
{
    rig_option("config_size=512", 264, 0);
    ck_assert_str_eq(control("config-change 0 0 01"), "ok");
    ck_assert(!next()); /* status is 0 */
    start();
    get_config(0, 4);
    uint64_t before = field(PL_F_generation);
    ck_assert_str_eq(control("config-change 0 2 aaBB"), "ok");
    ck_assert(next());
    ck_assert_int_eq(rig.m.kind, PL_EVENT_CONFIG);
    ck_assert_uint_eq(field(PL_F_device_status), RUNNING);
    ck_assert_uint_ne(field(PL_F_generation), before);
    ck_assert_uint_eq(field(PL_F_offset), 2);
    ck_assert_mem_eq(rig.m.data, "\xaa\xbb", 2);
    char line[700] = "config-change 0 8 ";
    memset(line + strlen(line), '5', 600);
    ck_assert_str_eq(control(line), "ok");
    ck_assert(next());
    ck_assert_uint_eq(field(PL_F_length), 300);
    ck_assert_ptr_null(rig.m.data);
    get_config(307, 1);
    ck_assert_uint_eq(rig.m.data[0], 0x55);
    rig_close();
}
END_TEST

START_TEST(an_error_is_reported)
{
    rig_option("devices=1", 264, 0);
    start();
    ck_assert_str_eq(control("needs-reset 0"), "ok");
    ck_assert(next());
    ck_assert_uint_eq(field(PL_F_device_status), RUNNING | PL_C_STATUS_DEVICE_NEEDS_RESET);
    ck_assert_uint_eq(field(PL_F_offset) | field(PL_F_length), 0);
    ck_assert_uint_eq(set_status(RUNNING), RUNNING | PL_C_STATUS_DEVICE_NEEDS_RESET);
    ck_assert_uint_eq(set_status(0), 0);
    rig_close();
}
END_TEST

START_TEST(a_reset_may_take_its_time)
{
    rig_option("reset_delay=0", 264, 0);
    start();
    set_queue(0, 1, 8, 0x100001000);
    ck_assert_str_eq(control("reset-delay 0 20"), "ok");
    pl_device_endpoint.advance(rig.self, 5);
    ck_assert_uint_eq(pl_device_endpoint.next_ms(rig.self), UINT64_MAX);
    ck_assert_uint_eq(set_status(0), RUNNING);
    ck_assert_uint_eq(set_status(ACKNOWLEDGED), RUNNING);
    ck_assert_uint_eq(pl_device_endpoint.next_ms(rig.self), 25);
    pl_device_endpoint.advance(rig.self, 24);
    ck_assert_uint_eq(get_status(), RUNNING);
    pl_device_endpoint.advance(rig.self, 25);
    ck_assert_uint_eq(get_status(), 0);
    ck_assert_uint_eq(pl_device_endpoint.next_ms(rig.self), UINT64_MAX);
    expect_queue(0, 0, 0, 0);
    rig_close();
}
END_TEST

START_TEST(requests_during_a_reset)
{
    const char *const options[] = {"reset_delay=10", _i == 1 ? "during_reset=1" : "during_reset=2",
                                   NULL};
    const struct pl_device_config config = {.options = options};
    rig_open(&config, 264, 0);
    start();
    set_status(0);
    struct pl_msg m = request(PL_SET_VQUEUE);
    m.f[PL_F_size] = 8;
    if (_i == 1)
        ask(&m);
    else
        ask_nothing(&m);
    rig_close();
}
END_TEST

START_TEST(queues_are_configured)
{
    rig_option("devices=1", 264, 0);
    start();
    get_queue(0);
    ck_assert_uint_eq(field(PL_F_max_size), 128);
    set_queue(0, 0, 64, 0x100001000);
    expect_queue(0, 64, 0, 0x100001000);
    set_queue(0, 1 | PL_C_SVQ_IGNORE_SIZE, 1, 0x100008000);
    expect_queue(0, 64, 1, 0x100008000);
    set_queue(0, 2, 8, 0x100001000);                   /* enabled: no update */
    set_queue(0, PL_C_SVQ_IGNORE_ALL, 8, 0x100001000); /* nor a way to disable it */
    set_queue(0, 3 | PL_C_SVQ_IGNORE_ALL, 8, 0);
    expect_queue(0, 64, 1, 0x100008000);
    reset_queue(0);
    expect_queue(0, 0, 0, 0);
    set_queue(1, 1, 1000, 0x100001000); /* too large: refused whole */
    expect_queue(1, 0, 0, 0);
    set_queue(9, 1, 8, 0x100001000); /* not there */
    get_queue(9);
    ck_assert_uint_eq(field(PL_F_max_size), 0);
    rig_close();
}
END_TEST

START_TEST(a_queue_is_not_reset_without_the_feature)
{
    rig_option("rvq_keep=1", 264, 0);
    negotiate(UINT64_C(1) << PL_C_F_VERSION_1);
    set_queue(0, 1, 8, 0x100001000);
    reset_queue(0);
    expect_queue(0, 8, 1, 0x100001000);
    set_status(0);
    start();
    set_queue(0, 1, 8, 0x100001000);
    reset_queue(0);
    expect_queue(0, 8, 0, 0x100001000);
    rig_close();
}
END_TEST

START_TEST(shared_memory_lies_in_the_region)
{
    const struct pl_device_config config = {.type = "gpu"};
    rig_open(&config, 264, 0);
    struct pl_msg m = request(PL_GET_SHM);
    m.f[PL_F_shmid] = 1;
    ask(&m);
    ck_assert_uint_eq(field(PL_F_address) + field(PL_F_length),
                      UINT64_C(0x100000000) + sizeof(memory));
    m.f[PL_F_shmid] = 2;
    ask(&m);
    ck_assert_uint_eq(field(PL_F_length), 0);
    rig_close();
}
END_TEST

START_TEST(devices_are_enumerated)
{
    const char *const options[] = {"devices=3", "number_first=2", "number_step=300", NULL};
    const struct pl_device_config config = {.options = options};
    rig_open(&config, 52, 0);
    unsigned found = 0, rounds = 0;
    uint64_t offset = 0;
    do {
        struct pl_msg m = request(PL_GET_DEVICES);
        m.f[PL_F_offset] = offset;
        m.f[PL_F_count] = 1000;
        ask(&m);
        for (uint32_t i = 0; i < rig.m.data_len; i++)
            found += (unsigned)__builtin_popcount(rig.m.data[i]);
        ck_assert_uint_le(rig.m.size, 52);
        ck_assert(field(PL_F_next_offset) == 0 || field(PL_F_next_offset) > offset);
        offset = field(PL_F_next_offset);
    } while (offset && ++rounds < 10);
    ck_assert_uint_eq(found, 3);
    rig.dev_num = 302;
    ck_assert_uint_eq(get_status(), 0);
    rig.dev_num = 3;
    struct pl_msg m = request(PL_GET_DEVICE_STATUS);
    ask_nothing(&m);
    rig_close();
}
END_TEST

START_TEST(devices_come_and_go)
{
    rig_option("no_device_failure=1", 264, 0);
    ck_assert_str_eq(control("attach 7"), "ok");
    ck_assert(next());
    ck_assert_int_eq(rig.m.kind, PL_EVENT_DEVICE);
    ck_assert_uint_eq(field(PL_F_device_bus_state), PL_C_BUS_STATE_ADDED);
    rig.dev_num = 7;
    ck_assert_uint_eq(get_status(), 0);
    ck_assert_str_eq(control("detach 7"), "ok");
    ck_assert(next());
    ck_assert_uint_eq(field(PL_F_device_number), 7);
    ck_assert_uint_eq(field(PL_F_device_bus_state), PL_C_BUS_STATE_REMOVED);
    struct pl_msg m = request(PL_GET_DEVICE_STATUS);
    put(&m);
    ck_assert(next());
    ck_assert_int_eq(rig.m.kind, PL_EVENT_FAILURE);
    ck_assert_uint_eq(field(PL_F_failed_token), m.token);
    ck_assert(!next());
    rig_close();
}
END_TEST

START_TEST(control_says_what_is_wrong)
{
    rig_option("devices=1", 264, 0);
    ck_assert_str_eq(control(""), "unsupported");
    ck_assert_str_eq(control("io 0 1"), "unsupported");
    ck_assert_str_eq(control("config-change 0 0"), "unsupported");
    ck_assert_str_eq(control("parameters 1 264 0x0"), "unsupported");
    ck_assert_int_eq(strncmp(control("config-change 0 0 abc"), "error ", 6), 0);
    ck_assert_int_eq(strncmp(control("config-change 0 60 ab"), "error ", 6), 0);
    ck_assert_int_eq(strncmp(control("config-change 0 -1 ab"), "error ", 6), 0);
    ck_assert_int_eq(strncmp(control("config-change 9 0 ab"), "error ", 6), 0);
    ck_assert_int_eq(strncmp(control("attach 0"), "error ", 6), 0);
    ck_assert_int_eq(strncmp(control("needs-reset x"), "error ", 6), 0);
    rig_close();
}
END_TEST

START_TEST(malformed_messages_are_discarded)
{
    rig_option("devices=1", 264, 0);
    struct pl_msg m = request(PL_SET_CONFIG);
    m.f[PL_F_length] = 8;
    m.data_len = 4;
    ask_nothing(&m); /* too short */
    m.data_len = 9;
    ask_nothing(&m); /* too long */
    m = request(PL_GET_DEVICE_STATUS);
    m.response = true;
    ask_nothing(&m);
    m = request(PL_EVENT_CONFIG);
    ask_nothing(&m);
    m = request(PL_EVENT_AVAIL);
    ask_nothing(&m);
    m = request(PL_GET_DEVICE_STATUS);
    ssize_t size = pl_encode(rig.spec, &m, rig.out, sizeof(rig.out));
    pl_poke_size(rig.spec, rig.out, 9);
    pl_device_endpoint.deliver(rig.self, rig.out, (size_t)size);
    ck_assert(!next());
    pl_poke_size(rig.spec, rig.out, (uint16_t)size);
    pl_poke_type(rig.spec, rig.out, rig.spec->header.reserved_bits);
    pl_device_endpoint.deliver(rig.self, rig.out, (size_t)size);
    ck_assert(next());
    rig_close();
}
END_TEST

START_TEST(bad_configurations_are_refused)
{
    char error[256];
    const char *const options[][2] = {{"devices=9", NULL}, {"nothing=1", NULL},
                                      {"devices", NULL},   {"devices=x", NULL},
                                      {"type=tape", NULL}, {"devices=-1", NULL}};
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        const struct pl_device_config config = {.options = options[i]};
        error[0] = '\0';
        ck_assert_int_eq(pl_device_config_check(&config, error, sizeof(error)), -EINVAL);
        ck_assert_uint_gt(strlen(error), 20);
    }
    const struct pl_device_config mutant = {.mutant = "no-such"}, spec = {.spec = "no-such"};
    ck_assert_int_eq(pl_device_config_check(&mutant, error, sizeof(error)), -EINVAL);
    ck_assert_int_eq(pl_device_config_check(&spec, error, sizeof(error)), -EINVAL);
    ck_assert_int_eq(pl_device_config_check(NULL, error, sizeof(error)), 0);
}
END_TEST

/* --- mutants: a driver that pokes into every corner, and whatever comes of it as a digest --- */

static uint64_t digest;

static void note_all(void)
{
    int size;
    while ((size = pl_device_endpoint.poll(rig.self, rig.in, sizeof(rig.in))) > 0) {
        digest = (digest ^ (uint64_t)size) * UINT64_C(0x100000001b3);
        for (int i = 0; i < size; i++)
            digest = (digest ^ rig.in[i]) * UINT64_C(0x100000001b3);
    }
    digest = (digest ^ 0xff) * UINT64_C(0x100000001b3);
}

static void poke_message(const struct pl_msg *m)
{
    put(m);
    note_all();
}

static void poke(enum pl_kind kind, enum pl_field f1, uint64_t v1, enum pl_field f2, uint64_t v2)
{
    struct pl_msg m = request(kind);
    m.f[f1] = v1;
    m.f[f2] = v2;
    poke_message(&m);
}

static void poke_status(uint64_t status)
{
    poke(PL_SET_DEVICE_STATUS, PL_F_status, status, PL_F_none, 0);
    poke(PL_GET_DEVICE_STATUS, PL_F_none, 0, PL_F_none, 0);
}

static void poke_data(enum pl_kind kind, enum pl_field at, uint64_t offset, enum pl_field counted,
                      uint64_t count, uint64_t generation, const char *data, uint32_t length)
{
    struct pl_msg m = request(kind);
    m.f[at] = offset;
    m.f[counted] = count;
    m.f[PL_F_generation] = generation;
    m.data = (const uint8_t *)data;
    m.data_len = length;
    poke_message(&m);
}

static void poke_queue(uint64_t index, uint64_t flags, uint64_t size, uint64_t reserved)
{
    struct pl_msg m = request(PL_SET_VQUEUE);
    m.f[PL_F_index] = index;
    m.f[PL_F_flags] = flags;
    m.f[PL_F_size] = size;
    m.f[PL_F_reserved] = reserved;
    m.f[PL_F_desc_addr] = UINT64_C(0x100001000) + rig.token * UINT64_C(16);
    m.f[PL_F_driver_addr] = UINT64_C(0x200002000) + rig.token * UINT64_C(16);
    m.f[PL_F_device_addr] = UINT64_C(0x300003000) + rig.token * UINT64_C(16);
    poke_message(&m);
    for (uint64_t i = 0; i < 3; i++)
        poke(PL_GET_VQUEUE, PL_F_index, i, PL_F_none, 0);
}

static void poke_reset_queue(uint64_t index)
{
    poke(PL_RESET_VQUEUE, PL_F_index, index, PL_F_none, 0);
    for (uint64_t i = 0; i < 3; i++)
        poke(PL_GET_VQUEUE, PL_F_index, i, PL_F_none, 0);
}

/* Requests that are sent before any of their responses is taken. */
static void poke_pipeline(void)
{
    static const enum pl_kind kinds[] = {PL_SET_CONFIG, PL_GET_CONFIG,        PL_SET_VQUEUE,
                                         PL_GET_VQUEUE, PL_SET_DEVICE_STATUS, PL_GET_DEVICE_STATUS};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct pl_msg m = request(kinds[i]);
        m.f[PL_F_status] = RUNNING;
        put(&m);
    }
    note_all();
}

/* Bytes that are no proper message, each by the header of a request. */
static void poke_malformed(void)
{
    static const struct {
        enum pl_kind kind;
        size_t size;
        uint8_t type, id;
    } bad[] = {{PL_GET_CONFIG, 12, 0, 0},
               {PL_SET_CONFIG, 22, 0, 0},
               {PL_GET_VQUEUE, 8, 0, 0},
               {PL_GET_DEVICE_STATUS, 8, 0, 1},
               {PL_PING, 8, 2, 0},
               {PL_GET_DEVICE_STATUS, 8, 0, 0x3f},
               {PL_GET_DEVICE_STATUS, 8, 0, 0x7f},
               {PL_GET_DEVICE_STATUS, 8, 0, 0x90},
               {PL_GET_DEVICE_STATUS, 12, 1, 0},
               {PL_EVENT_CONFIG, 24, 0, 0},
               {PL_GET_DEVICE_STATUS, 8, 0xfc, 0},
               {PL_GET_DEVICE_STATUS, 8, 4, 0}};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct pl_msg m = request(bad[i].kind);
        memset(rig.out, 0x21, 64);
        pl_encode(rig.spec, &m, rig.out, sizeof(rig.out));
        pl_poke_size(rig.spec, rig.out, (uint16_t)bad[i].size);
        if (bad[i].type)
            pl_poke_type(rig.spec, rig.out, bad[i].type);
        if (bad[i].id)
            pl_poke_id(rig.spec, rig.out, bad[i].id);
        if (bad[i].kind == PL_SET_CONFIG) /* length 8, and two bytes of data */
            rig.out[16] = 8;
        pl_device_endpoint.deliver(rig.self, rig.out, bad[i].size);
        note_all();
        pl_poke_size(rig.spec, rig.out, (uint16_t)(bad[i].size + 1));
        pl_device_endpoint.deliver(rig.self, rig.out, bad[i].size);
        note_all();
    }
    poke_data(PL_GET_CONFIG, PL_F_offset, 0, PL_F_length, 4, 0, NULL, 0);
}

static void poke_information(void)
{
    poke(PL_GET_DEVICE_INFO, PL_F_none, 0, PL_F_none, 0);
    poke(PL_GET_DEVICE_INFO, PL_F_none, 0, PL_F_none, 0);
    poke(PL_GET_DEVICE_FEATURES, PL_F_block_index, 0, PL_F_num_blocks, 4);
    poke(PL_GET_DEVICE_FEATURES, PL_F_block_index, 3, PL_F_num_blocks, 1);
    poke(PL_GET_DEVICE_FEATURES, PL_F_block_index, 0, PL_F_num_blocks, 0);
    poke(PL_GET_DEVICE_FEATURES, PL_F_block_index, 0, PL_F_num_blocks, 100);
    poke(PL_GET_SHM, PL_F_shmid, 3, PL_F_none, 0);
    poke(PL_GET_DEVICES, PL_F_offset, 0, PL_F_count, 64);
    poke(PL_PING, PL_F_data32, 0x12345678, PL_F_none, 0);
    poke(PL_EVENT_AVAIL, PL_F_none, 0, PL_F_none, 0);
    rig.token--;
    poke(PL_GET_DEVICE_STATUS, PL_F_none, 0, PL_F_none, 0);
    rig.token--;
    poke(PL_GET_DEVICE_STATUS, PL_F_none, 0, PL_F_none, 0);
}

static uint64_t current_generation(void)
{
    struct pl_msg m = request(PL_GET_CONFIG);
    put(&m);
    return next() && rig.m.kind == PL_GET_CONFIG ? field(PL_F_generation) : 0;
}

static void poke_change(const char *line)
{
    control(line);
    note_all();
    poke(PL_GET_CONFIG, PL_F_offset, 0, PL_F_length, 60);
    poke(PL_GET_CONFIG, PL_F_offset, 40, PL_F_length, 20);
}

static void poke_config(void)
{
    poke(PL_GET_CONFIG, PL_F_offset, 4, PL_F_length, 0);
    poke(PL_GET_CONFIG, PL_F_offset, 500, PL_F_length, 250);
    poke(PL_GET_CONFIG, PL_F_offset, 40, PL_F_length, 100);
    poke_data(PL_GET_CONFIG, PL_F_offset, 0, PL_F_length, 400, 0, NULL, 0);
    uint64_t generation = current_generation();
    const uint64_t generations[] = {
        0, 1, generation - 1, generation + 3, generation, generation + 1, generation + 2};
    for (size_t i = 0; i < sizeof(generations) / sizeof(generations[0]); i++) {
        char data[8] = "abcdefg";
        data[0] = (char)('A' + i);
        data[6] = (char)('0' + i);
        poke_data(PL_SET_CONFIG, PL_F_offset, 4, PL_F_length, 8, generations[i], data, 8);
        poke(PL_GET_CONFIG, PL_F_offset, 0, PL_F_length, 60);
        poke_data(PL_SET_CONFIG, PL_F_offset, 4, PL_F_length, 0, generations[i], NULL, 0);
    }
    poke_data(PL_SET_CONFIG, PL_F_offset, 58, PL_F_length, 8, 0, "abcdefgh", 8);
    poke_data(PL_SET_CONFIG, PL_F_offset, 4, PL_F_length, 2, current_generation(), "zz", 2);
    poke_change("config-change 0 0 77");
    poke_change("config-change 0 40 778899");
    char line[700] = "config-change 0 0 ";
    memset(line + strlen(line), '5', 602);
    poke_change(line);
    line[strlen(line) - 500] = '\0';
    poke_change(line);
}

static void poke_queues(void)
{
    poke_queue(9, PL_C_SVQ_KEEP_STATE, 16, 0);
    poke_queue(0, PL_C_SVQ_KEEP_STATE, 64, 0);
    poke_queue(0, PL_C_SVQ_KEEP_DISABLED | PL_C_SVQ_IGNORE_SIZE, 3, 0);
    poke_queue(0, PL_C_SVQ_KEEP_DISABLED | PL_C_SVQ_IGNORE_DESC_ADDR, 16, 0);
    poke_queue(0, PL_C_SVQ_KEEP_DISABLED | PL_C_SVQ_IGNORE_DRIVER_ADDR, 16, 0);
    poke_queue(0, PL_C_SVQ_KEEP_DISABLED | PL_C_SVQ_IGNORE_DEVICE_ADDR, 16, 0);
    poke_queue(0, PL_C_SVQ_STATE_RESERVED, 32, 0);
    poke_queue(0, PL_C_SVQ_KEEP_STATE, 32, 1);
    poke_queue(0, 0x80000000 | PL_C_SVQ_KEEP_STATE, 32, 0);
    poke_queue(0, 0x40 | PL_C_SVQ_KEEP_STATE, 32, 0);
    poke_queue(0, PL_C_SVQ_ENABLE, 1000, 0);
    poke_queue(0, PL_C_SVQ_ENABLE, 32, 0);
    poke_queue(0, PL_C_SVQ_KEEP_STATE | PL_C_SVQ_IGNORE_ALL, 0, 0);
    poke_queue(0, PL_C_SVQ_KEEP_STATE, 16, 0);
    poke_queue(0, PL_C_SVQ_KEEP_STATE | PL_C_SVQ_IGNORE_SIZE, 16, 0);
    poke_queue(0, PL_C_SVQ_KEEP_STATE | (PL_C_SVQ_IGNORE_ALL & ~PL_C_SVQ_IGNORE_SIZE), 16, 0);
    poke_queue(0, PL_C_SVQ_KEEP_DISABLED, 16, 0);
    poke_queue(9, PL_C_SVQ_KEEP_STATE, 16, 0);
    poke_queue(1, PL_C_SVQ_KEEP_STATE, 16, 0);
    poke(PL_GET_VQUEUE, PL_F_index, 9, PL_F_none, 0);
    poke_reset_queue(9);
    poke_reset_queue(1);
    poke_queue(1, PL_C_SVQ_ENABLE, 16, 0);
    poke_reset_queue(1);
    poke_reset_queue(0);
    poke_queue(0, PL_C_SVQ_ENABLE, 16, 0);
    poke_reset_queue(9);
}

static void poke_features(uint64_t index, const char *words, uint32_t n)
{
    poke_data(PL_SET_DRIVER_FEATURES, PL_F_block_index, index, PL_F_num_blocks, n, 0, words, 4 * n);
}

/* Through an initialization with these features, and everything that can be done in between. */
static void poke_life(const char *low, const char *high)
{
    poke_information();
    poke_change("config-change 0 0 12");
    poke_status(PL_C_STATUS_ACKNOWLEDGE);
    poke_status(ACKNOWLEDGED);
    poke_change("config-change 0 0 11");
    poke_features(0, "\x01\x00\x00\x80\x00\x00\x00\x00", 2); /* not offered */
    poke_status(NEGOTIATED);
    poke_information();
    poke_features(77, "\x01\0\0\0", 1);
    poke_features(0, "\0\0\0\0\x01\0\0\0", 2);
    poke_status(NEGOTIATED);
    poke_features(77, "\0\0\0\0", 1);
    poke_features(0, "\0\0\0\0\x01\0\0\0", 2);
    poke_status(NEGOTIATED);
    poke_status(ACKNOWLEDGED);
    poke_features(1, high, 1);
    poke_features(0, low, 1);
    poke_status(NEGOTIATED);
    poke_features(0, low, 1);
    poke_information();
    poke_queues();
    poke_status(RUNNING);
    poke_queue(0, PL_C_SVQ_ENABLE, 16, 0);
    poke_config();
    poke_pipeline();
    poke_malformed();
    control("needs-reset 0");
    note_all();
    poke_status(RUNNING);
    poke_status(0);
    rig.now += 1000;
    pl_device_endpoint.advance(rig.self, rig.now);
    poke_status(0);
    for (uint64_t i = 0; i < 2; i++)
        poke(PL_GET_VQUEUE, PL_F_index, i, PL_F_none, 0);
    control("attach 3");
    control("detach 3");
    note_all();
}

static uint64_t poke_device(const struct pl_device_config *config, uint32_t features)
{
    rig_open(config, 264, features);
    digest = UINT64_C(0xcbf29ce484222325);
    struct pl_msg m = request(PL_GET_DEVICES); /* whichever the first number is */
    m.f[PL_F_count] = 8;
    put(&m);
    while (next())
        for (uint16_t i = 0; rig.m.data && i < 8; i++)
            if (rig.m.data[0] >> i & 1)
                rig.dev_num = i;
    poke_life("\0\0\0\0", "\x01\x01\0\0"); /* with VIRTIO_F_RING_RESET */
    rig.token = 0xfff0;
    poke_life("\0\0\0\0", "\x01\0\0\0");
    rig_close();
    return digest;
}

/* Every mutant runs, and differs from the faithful device of the same options on the wire. */
START_TEST(every_mutant_differs)
{
    size_t n;
    const struct pl_mutant *mutants = pl_device_mutants(pl_spec_find("virtio-msg-r1"), &n);
    char same[4096] = "";
    size_t used = 0;
    ck_assert_uint_ge(n, 150);
    for (size_t i = 0; i < n; i++) {
        const struct pl_device_config mutant = {.mutant = mutants[i].id};
        const struct pl_device_config faithful = {.options = mutants[i].options};
        uint64_t base = poke_device(&mutant, 0), strict = poke_device(&mutant, 1);
        ck_assert_ptr_nonnull(mutants[i].clauses[0]);
        ck_assert_uint_gt(strlen(mutants[i].text), 10);
        if (mutants[i].options_only)
            continue;
        if (mutants[i].part[0])
            continue; /* test_peer_io.c, test_peer_net.c */
        if (base == poke_device(&faithful, 0) && strict == poke_device(&faithful, 1))
            used += (size_t)snprintf(same + used, sizeof(same) - used, " %s", mutants[i].id);
        ck_assert_uint_lt(used, sizeof(same));
    }
    ck_assert_msg(!same[0], "these mutants do not differ from the faithful device:%s", same);
}
END_TEST

/* --- hostile bytes --- */

static uint64_t random_state;

static uint32_t draw(void)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(random_state >> 33);
}

/* A message with one of the draft's headers and whatever behind it, or no message at all. */
static size_t draw_message(void)
{
    size_t size = draw() % 3 ? draw() % 80 : draw() % 400;
    for (size_t i = 0; i < size; i++)
        rig.out[i] = (uint8_t)(draw() % 4 ? draw() % 3 : draw());
    if (size < rig.spec->header.size || draw() % 8 == 0)
        return size;
    const struct pl_message_def *def = &rig.spec->messages[draw() % rig.spec->n_messages];
    if (draw() % 2 && def->request)
        size = rig.spec->header.size + def->request->size + draw() % 3 * 4;
    pl_poke_type(rig.spec, rig.out,
                 (uint8_t)((def->bus ? rig.spec->header.bus_bit : 0) | (draw() % 16 == 0)));
    pl_poke_id(rig.spec, rig.out, def->id);
    pl_poke_dev_num(rig.spec, rig.out, (uint16_t)(draw() % 2));
    pl_poke_size(rig.spec, rig.out, (uint16_t)(size + (draw() % 16 == 0)));
    return size;
}

static void hammer(const struct pl_device_config *config, unsigned rounds)
{
    static const uint32_t sizes[] = {52, 264, 65535};
    static const char *const lines[] = {
        "config-change 0 3 0102", "needs-reset 0",       "detach 0", "attach 0",
        "reset-delay 0 3",        "config-change 1 0 ff"};
    rig_open(config, sizes[draw() % 3], draw() % 2);
    for (unsigned i = 0; i < rounds; i++) {
        size_t size = draw_message();
        pl_device_endpoint.deliver(rig.self, rig.out, size);
        if (draw() % 16 == 0)
            control(lines[draw() % (sizeof(lines) / sizeof(lines[0]))]);
        if (draw() % 8 == 0)
            pl_device_endpoint.advance(rig.self, i);
        while (draw() % 4 && next())
            ;
    }
    rig_close();
}

START_TEST(hostile_bytes_do_no_harm)
{
    static const char *const types[] = {"block", "net", "console", "entropy", "gpu"};
    const char *const options[] = {"devices=2", "reset_delay=2", "accept_long=1", "admin_vqs=3",
                                   NULL};
    random_state = 20260101;
    for (size_t i = 0; i < 20; i++) {
        const struct pl_device_config config = {
            .type = types[i % 5], .options = i % 2 ? options : NULL, .seed = i};
        hammer(&config, 5000);
    }
    size_t n;
    const struct pl_mutant *mutants = pl_device_mutants(pl_spec_find("virtio-msg-r1"), &n);
    for (size_t i = 0; i < n; i++) {
        const struct pl_device_config config = {.mutant = mutants[i].id, .seed = i};
        hammer(&config, 500);
    }
}
END_TEST

START_TEST(the_seed_decides)
{
    const struct pl_device_config one = {.seed = 1}, two = {.seed = 2};
    uint64_t first = poke_device(&one, 0);
    ck_assert_uint_eq(first, poke_device(&one, 0));
    ck_assert_uint_ne(first, poke_device(&two, 0));
}
END_TEST

/* A peer that never takes anything is told so, and nothing is lost of what was there. */
START_TEST(an_outbox_has_a_limit)
{
    rig_option("devices=1", 264, 0);
    struct pl_msg m = request(PL_GET_DEVICE_INFO);
    ssize_t size = pl_encode(rig.spec, &m, rig.out, sizeof(rig.out));
    int err = 0;
    unsigned sent = 0, taken = 0;
    while (err == 0 && sent < 1000000) {
        err = pl_device_endpoint.deliver(rig.self, rig.out, (size_t)size);
        sent += err == 0;
    }
    ck_assert_int_eq(err, -ENOBUFS);
    while (next())
        taken++;
    ck_assert_uint_eq(taken, sent);
    ck_assert_int_eq(pl_device_endpoint.deliver(rig.self, rig.out, (size_t)size), 0);
    rig_close();
}
END_TEST

static Suite *peer_suite(void)
{
    Suite *suite = suite_create("peer");
    TCase *device = tcase_create("device");
    tcase_set_timeout(device, 120);
    tcase_add_loop_test(device, every_type_answers_every_request, 0, 5);
    tcase_add_test(device, info_is_sound);
    tcase_add_test(device, features_are_negotiated);
    tcase_add_test(device, a_selection_behind_the_blocks_is_refused);
    tcase_add_test(device, a_baseline_device_ignores_the_generation);
    tcase_add_test(device, a_strict_device_rejects_a_stale_generation);
    tcase_add_test(device, configuration_out_of_range_is_discarded);
    tcase_add_test(device, its_own_changes_are_reported);
    tcase_add_test(device, an_error_is_reported);
    tcase_add_test(device, a_reset_may_take_its_time);
    tcase_add_loop_test(device, requests_during_a_reset, 1, 3);
    tcase_add_test(device, queues_are_configured);
    tcase_add_test(device, a_queue_is_not_reset_without_the_feature);
    tcase_add_test(device, shared_memory_lies_in_the_region);
    tcase_add_test(device, devices_are_enumerated);
    tcase_add_test(device, devices_come_and_go);
    tcase_add_test(device, control_says_what_is_wrong);
    tcase_add_test(device, malformed_messages_are_discarded);
    tcase_add_test(device, bad_configurations_are_refused);
    tcase_add_test(device, every_mutant_differs);
    tcase_add_test(device, hostile_bytes_do_no_harm);
    tcase_add_test(device, the_seed_decides);
    tcase_add_test(device, an_outbox_has_a_limit);
    suite_add_tcase(suite, device);
    return suite;
}

int main(void)
{
    SRunner *runner = srunner_create(peer_suite());
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
