/* Tests of the vhost-user gateway against a back-end written here: sound ones, poor ones, hostile
 * ones. */
#include <errno.h>
#include <fnmatch.h>
#include <sys/eventfd.h>
#include <time.h>

#include "engine/block_proof.h"
#include "open_fds.h"
#include "port/vhost_user.h"
#include "port/vhost_user_gateway.h"
#include "vhost_user_fake.h"

/* SHORT_MS is for back-ends that never answer; sound ones get time, however slow the machine. */
enum { LONG_MS = 20000, SHORT_MS = 100, MAX_MESSAGE = 264 };

static const uint32_t ALL_STATUS =
    PL_C_STATUS_ACKNOWLEDGE | PL_C_STATUS_DRIVER | PL_C_STATUS_FEATURES_OK | PL_C_STATUS_DRIVER_OK;

struct fixture {
    struct fake fake;
    struct pl_port *port;
    int timeout_ms;
    const char *options; /* more of the address */
    uint16_t token;
    uint8_t buf[PL_MSG_MAX + 1];
    int fds; /* open before anything began */
};

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static struct fixture *set_up(void)
{
    struct fixture *f = calloc(1, sizeof(*f));

    f->timeout_ms = LONG_MS;
    f->fds = open_fds();
    fake_init(&f->fake);
    return f;
}

static struct pl_port *open_port(struct fixture *f)
{
    char address[160], error[256] = "";
    struct pl_port_options options = {.spec = pl_spec_find("virtio-msg-r1"),
                                      .connect = address,
                                      .mem_size = 1 << 20,
                                      .accept_timeout_ms = f->timeout_ms};

    snprintf(address, sizeof(address), "vhost-user:%s,type=block%s", f->fake.path,
             f->options ? f->options : "");
    struct pl_port *port = pl_port_vhost_user(&options, error, sizeof(error));
    ck_assert_msg(port != NULL, "%s", error);
    return port;
}

static int start(struct fixture *f, uint32_t features)
{
    struct pl_bus_params bus = {1, MAX_MESSAGE, features};

    if (!f->port) {
        fake_start(&f->fake);
        f->port = open_port(f);
    }
    return f->port->ops->start(f->port, &bus);
}

static void tear_down(struct fixture *f)
{
    if (f->port) {
        f->port->ops->close(f->port);
        fake_stop(&f->fake);
    }
    ck_assert_int_eq(open_fds(), f->fds);
    ck_assert(!f->fake.bad_request);
    free(f);
}

static int send_msg(struct fixture *f, struct pl_msg *m)
{
    uint8_t bytes[512];

    m->def = pl_spec_message(f->port->spec, m->kind);
    if (!m->event)
        m->token = ++f->token;
    ssize_t size = pl_encode(f->port->spec, m, bytes, sizeof(bytes));
    ck_assert_int_gt((int)size, 0);
    return f->port->ops->send(f->port, bytes, (size_t)size);
}

/* Send a request and take its answer: 1, 0 where it was discarded, or an error. */
static int ask(struct fixture *f, struct pl_msg *m)
{
    enum pl_kind kind = m->kind;
    int code = send_msg(f, m);

    if (code < 0)
        return code;
    code = f->port->ops->receive(f->port, f->buf, sizeof(f->buf), 0);
    if (code <= 0)
        return code;
    pl_decode(f->port->spec, f->buf, (size_t)code, m);
    ck_assert_int_eq(m->form, PL_FORM_OK);
    ck_assert_int_eq(m->kind, kind);
    ck_assert(m->response);
    ck_assert_uint_eq(m->token, f->token);
    return 1;
}

static uint32_t set_status(struct fixture *f, uint32_t status)
{
    struct pl_msg m = {.kind = PL_SET_DEVICE_STATUS};

    m.f[PL_F_status] = status;
    ck_assert_int_eq(ask(f, &m), 1);
    return (uint32_t)m.f[PL_F_status];
}

static uint64_t get_features(struct fixture *f)
{
    struct pl_msg m = {.kind = PL_GET_DEVICE_FEATURES};
    uint64_t features;

    m.f[PL_F_num_blocks] = 2;
    ck_assert_int_eq(ask(f, &m), 1);
    ck_assert_uint_eq(m.data_len, sizeof(features));
    memcpy(&features, m.data, sizeof(features));
    return le64toh(features);
}

static void select_features(struct fixture *f, uint64_t features)
{
    struct pl_msg m = {.kind = PL_SET_DRIVER_FEATURES};
    uint64_t bytes = htole64(features);

    m.f[PL_F_num_blocks] = 2;
    m.data = (const uint8_t *)&bytes;
    m.data_len = sizeof(bytes);
    ck_assert_int_eq(ask(f, &m), 1);
}

static int set_vqueue(struct fixture *f, uint32_t index, uint32_t flags, uint32_t size, uint64_t at)
{
    struct pl_msg m = {.kind = PL_SET_VQUEUE};

    m.f[PL_F_index] = index;
    m.f[PL_F_flags] = flags;
    m.f[PL_F_size] = size;
    m.f[PL_F_desc_addr] = at;
    m.f[PL_F_driver_addr] = at + 16 * size;
    m.f[PL_F_device_addr] = at + 32 * size;
    return ask(f, &m);
}

static struct pl_msg get_vqueue(struct fixture *f, uint32_t index)
{
    struct pl_msg m = {.kind = PL_GET_VQUEUE};

    m.f[PL_F_index] = index;
    ck_assert_int_eq(ask(f, &m), 1);
    return m;
}

/* Up to FEATURES_OK with everything that is offered. */
static void negotiate(struct fixture *f)
{
    select_features(f, get_features(f));
    ck_assert_uint_eq(set_status(f, ALL_STATUS & (uint32_t)~PL_C_STATUS_DRIVER_OK),
                      ALL_STATUS & (uint32_t)~PL_C_STATUS_DRIVER_OK);
}

static unsigned count(struct fixture *f, enum pl_vu_request request)
{
    return f->fake.count[request];
}

/* --- a sound back-end --- */

START_TEST(test_information)
{
    struct fixture *f = set_up();
    struct pl_msg m = {.kind = PL_GET_DEVICE_INFO};

    ck_assert_int_eq(start(f, 0), 0);
    ck_assert_int_eq(ask(f, &m), 1);
    ck_assert_uint_eq(m.f[PL_F_device_id], PL_C_TYPE_block);
    ck_assert_uint_eq(m.f[PL_F_config_size], FAKE_CONFIG);
    ck_assert_uint_eq(m.f[PL_F_max_virtqueues], FAKE_QUEUES);
    ck_assert_uint_eq(m.f[PL_F_num_feature_blocks], 2);
    ck_assert_uint_eq(get_features(f), f->fake.features & ~PL_VU_HIDDEN);
    ck_assert_uint_eq(f->fake.acked & ~(PL_VU_PF_MQ | PL_VU_PF_REPLY_ACK | PL_VU_PF_CONFIG |
                                        PL_VU_PF_RESET_DEVICE | PL_VU_PF_STATUS),
                      0);
    tear_down(f);
}
END_TEST

/* What a back-end may leave out: each set of protocol features, and none at all. */
START_TEST(test_block_proof)
{
    static const uint64_t without[] = {0, PL_VU_PF_REPLY_ACK, PL_VU_PF_MQ, PL_VU_PF_RESET_DEVICE,
                                       PL_VU_PF_REPLY_ACK | PL_VU_PF_MQ | PL_VU_PF_RESET_DEVICE};
    struct fixture *f = set_up();
    uint8_t before[FAKE_DISK];
    char text[256];

    f->fake.small_refusal = _i % 2;
    f->fake.protocol &= ~without[_i % 5];
    if (_i >= 5)
        f->fake.protocol |= PL_VU_PF_STATUS;
    memcpy(before, f->fake.disk, FAKE_DISK);
    ck_assert_int_eq(start(f, 0), 0);
    for (int i = 0; i < 3; i++) {
        int code = pl_gateway_block_proof(f->port, text, sizeof(text));
        ck_assert_msg(code == 0, "%d: %s", code, text);
        ck_assert_ptr_nonnull(strstr(text, "read it back unchanged"));
        ck_assert_ptr_nonnull(strstr(text, "5 EVENT_USED"));
    }
    ck_assert_int_eq(memcmp(before, f->fake.disk, FAKE_DISK), 0);
    ck_assert_uint_eq(count(f, PL_VU_GET_VRING_BASE), 3);
    tear_down(f);
}
END_TEST

START_TEST(test_no_protocol_features)
{
    struct fixture *f = set_up();
    struct pl_msg m = {.kind = PL_GET_DEVICE_INFO};

    f->fake.features &= ~PL_VU_F_PROTOCOL_FEATURES;
    ck_assert_int_eq(start(f, 0), 0);
    ck_assert_int_eq(ask(f, &m), 1);
    ck_assert_uint_eq(m.f[PL_F_config_size], 0);
    ck_assert_uint_eq(m.f[PL_F_max_virtqueues], 1);
    negotiate(f);
    ck_assert_uint_eq(f->fake.selected & PL_VU_F_PROTOCOL_FEATURES, 0);
    ck_assert_int_eq(set_vqueue(f, 0, PL_C_SVQ_ENABLE, 16, f->port->mem_base), 1);
    ck_assert_uint_eq(set_status(f, ALL_STATUS), ALL_STATUS);
    ck_assert_uint_eq(count(f, PL_VU_SET_VRING_ENABLE), 0);
    ck_assert_uint_eq(count(f, PL_VU_GET_PROTOCOL_FEATURES), 0);
    ck_assert_uint_eq(count(f, PL_VU_SET_VRING_KICK), 1);
    tear_down(f);
}
END_TEST

START_TEST(test_observable)
{
    struct fixture *f = set_up();
    bool shows_status = false;

    if (_i)
        f->fake.protocol |= PL_VU_PF_STATUS;
    ck_assert_int_eq(start(f, 0), 0);
    ck_assert_ptr_nonnull(f->port->observable);
    for (const char *const *id = f->port->observable; *id; id++)
        shows_status |= fnmatch(*id, "STAT-DEV-01", 0) == 0;
    ck_assert_int_eq(shows_status, _i);
    tear_down(f);
}
END_TEST

START_TEST(test_reconnect)
{
    struct fixture *f = set_up();
    struct pl_end end;
    char text[256];

    for (unsigned i = 1; i <= 3; i++) {
        ck_assert_int_eq(start(f, 0), 0);
        ck_assert_int_eq(pl_gateway_block_proof(f->port, text, sizeof(text)), 0);
        ck_assert_uint_eq(f->fake.connections, i);
        if (i == 2) /* start again without stop */
            continue;
        ck_assert_int_eq(f->port->ops->stop(f->port, &end), 0);
        ck_assert_int_eq(end.how, PL_END_RUNNING);
        ck_assert_int_eq(f->port->ops->stop(f->port, &end), 0);
        struct pl_msg m = {.kind = PL_GET_DEVICE_STATUS};
        ck_assert_int_eq(ask(f, &m), -EPIPE);
        ck_assert_int_eq(f->port->ops->receive(f->port, f->buf, sizeof(f->buf), 0), -EPIPE);
    }
    tear_down(f);
}
END_TEST

START_TEST(test_config)
{
    struct fixture *f = set_up();
    struct pl_msg m = {.kind = PL_GET_CONFIG};

    for (size_t i = 8; i < FAKE_CONFIG; i++)
        f->fake.config[i] = (uint8_t)i;
    ck_assert_int_eq(start(f, 0), 0);
    m.f[PL_F_offset] = 20;
    m.f[PL_F_length] = 40;
    ck_assert_int_eq(ask(f, &m), 1);
    ck_assert_uint_eq(m.data_len, 40);
    ck_assert_int_eq(memcmp(m.data, f->fake.config + 20, 40), 0);
    uint64_t generation = m.f[PL_F_generation];
    static const uint32_t outside[][2] = {
        {0, 61}, {60, 1}, {61, 0}, {UINT32_MAX, 1}, {1, UINT32_MAX}, {UINT32_MAX, UINT32_MAX}};
    for (size_t i = 0; i < sizeof(outside) / sizeof(outside[0]); i++) {
        m = (struct pl_msg){.kind = PL_GET_CONFIG};
        m.f[PL_F_offset] = outside[i][0];
        m.f[PL_F_length] = outside[i][1];
        ck_assert_int_eq(ask(f, &m), 0);
    }
    f->fake.config[59] ^= 1; /* a change of the device's own shows in the generation */
    m = (struct pl_msg){.kind = PL_GET_CONFIG};
    ck_assert_int_eq(ask(f, &m), 1);
    ck_assert_uint_eq(m.data_len, 0);
    ck_assert_uint_ne(m.f[PL_F_generation], generation);
    tear_down(f);
}
END_TEST

static struct pl_msg write_config(struct fixture *f, uint64_t generation, uint32_t offset,
                                  const char *data, uint32_t length)
{
    struct pl_msg m = {.kind = PL_SET_CONFIG};

    m.f[PL_F_generation] = generation;
    m.f[PL_F_offset] = offset;
    m.f[PL_F_length] = length;
    m.data = (const uint8_t *)data;
    m.data_len = length;
    ck_assert_int_eq(ask(f, &m), 1);
    ck_assert_uint_eq(m.data_len, m.f[PL_F_length]);
    return m;
}

START_TEST(test_config_write)
{
    struct fixture *f = set_up();

    ck_assert_int_eq(start(f, 0), 0);
    /* Not before CONFIG_WCE is negotiated, and never a field that is the device's own. */
    ck_assert_uint_eq(write_config(f, 0, FAKE_WRITEBACK, "\1", 1).f[PL_F_length], 0);
    negotiate(f);
    ck_assert_uint_eq(write_config(f, 0, 0, "\1\1\1\1", 4).f[PL_F_length], 0);
    ck_assert_uint_eq(write_config(f, 0, FAKE_WRITEBACK, "\1\1", 2).f[PL_F_length], 0);
    ck_assert_uint_eq(write_config(f, 0, FAKE_WRITEBACK, "", 0).f[PL_F_length], 0);
    ck_assert_uint_eq(count(f, PL_VU_SET_CONFIG), 0);
    struct pl_msg m = write_config(f, 77, FAKE_WRITEBACK, "\1", 1);
    ck_assert_uint_eq(m.f[PL_F_length], 1);
    ck_assert_uint_eq(f->fake.config[FAKE_WRITEBACK], 1);
    tear_down(f);
}
END_TEST

START_TEST(test_config_write_strict)
{
    struct fixture *f = set_up();

    ck_assert_int_eq(start(f, 1u << PL_C_TF_STRICT_CONFIG_GENERATION), 0);
    negotiate(f);
    struct pl_msg m = write_config(f, 77, FAKE_WRITEBACK, "\1", 1);
    ck_assert_uint_eq(m.f[PL_F_length], 0);
    uint64_t generation = m.f[PL_F_generation];
    m = write_config(f, generation, FAKE_WRITEBACK, "\1", 1);
    ck_assert_uint_eq(m.f[PL_F_length], 1);
    ck_assert_uint_ne(m.f[PL_F_generation], generation);
    tear_down(f);
}
END_TEST

START_TEST(test_config_write_refused)
{
    struct fixture *f = set_up();

    f->fake.fault = FAKE_NACK;
    f->fake.at = PL_VU_SET_CONFIG;
    ck_assert_int_eq(start(f, 0), 0);
    negotiate(f);
    ck_assert_uint_eq(write_config(f, 0, FAKE_WRITEBACK, "\1", 1).f[PL_F_length], 0);
    tear_down(f);
}
END_TEST

START_TEST(test_features)
{
    struct fixture *f = set_up();
    const uint64_t version_1 = UINT64_C(1) << PL_C_F_VERSION_1;

    ck_assert_int_eq(start(f, 0), 0);
    select_features(f, version_1 | UINT64_C(1) << PL_C_F_RING_PACKED);
    ck_assert_uint_eq(set_status(f, 11), 3);
    select_features(f, 0);
    ck_assert_uint_eq(set_status(f, 11), 3);
    ck_assert_uint_eq(count(f, PL_VU_SET_FEATURES), 0);
    select_features(f, version_1);
    ck_assert_uint_eq(set_status(f, 11), 11);
    select_features(f, UINT64_MAX); /* without effect from now on */
    ck_assert_uint_eq(f->fake.selected, version_1 | PL_VU_F_PROTOCOL_FEATURES);
    ck_assert_uint_eq(get_features(f), f->fake.features & ~PL_VU_HIDDEN);
    ck_assert_uint_eq(set_status(f, 0), 0);
    ck_assert_uint_eq(count(f, PL_VU_RESET_DEVICE), 1);
    tear_down(f);
}
END_TEST

START_TEST(test_features_refused_by_the_back_end)
{
    struct fixture *f = set_up();

    f->fake.fault = FAKE_NACK;
    f->fake.at = PL_VU_SET_FEATURES;
    ck_assert_int_eq(start(f, 0), 0);
    select_features(f, get_features(f));
    ck_assert_uint_eq(set_status(f, 11), 3);
    tear_down(f);
}
END_TEST

START_TEST(test_status_is_the_back_ends)
{
    struct fixture *f = set_up();

    f->fake.protocol |= PL_VU_PF_STATUS;
    f->fake.status_mask = ~PL_C_STATUS_FEATURES_OK;
    ck_assert_int_eq(start(f, 0), 0);
    select_features(f, get_features(f));
    ck_assert_uint_eq(set_status(f, 11), 3);
    f->fake.status |= PL_C_STATUS_DEVICE_NEEDS_RESET;
    struct pl_msg m = {.kind = PL_GET_DEVICE_STATUS};
    ck_assert_int_eq(ask(f, &m), 1);
    ck_assert_uint_eq(m.f[PL_F_status], 3 | PL_C_STATUS_DEVICE_NEEDS_RESET);
    ck_assert_uint_eq(set_status(f, 0), 0);
    tear_down(f);
}
END_TEST

START_TEST(test_vqueue_rules)
{
    struct fixture *f = set_up();
    uint64_t base;

    ck_assert_int_eq(start(f, 0), 0);
    base = f->port->mem_base;
    struct pl_msg q = get_vqueue(f, FAKE_QUEUES);
    ck_assert_uint_eq(q.f[PL_F_max_size], 0);
    q = get_vqueue(f, 1);
    ck_assert_uint_eq(q.f[PL_F_max_size], PL_VU_QUEUE_SIZE_DEFAULT);
    ck_assert_uint_eq(q.f[PL_F_cur_size], 0);
    ck_assert_int_eq(set_vqueue(f, 0, PL_C_SVQ_ENABLE, 16, base), 1); /* before FEATURES_OK */
    ck_assert_uint_eq(get_vqueue(f, 0).f[PL_F_flags], 0);
    negotiate(f);
    static const uint32_t bad_sizes[] = {0, 3, 2048, UINT32_MAX};
    for (size_t i = 0; i < sizeof(bad_sizes) / sizeof(bad_sizes[0]); i++)
        ck_assert_int_eq(set_vqueue(f, 0, PL_C_SVQ_ENABLE, bad_sizes[i], base), 1);
    const uint64_t bad_places[] = {0, base - 16, base + 8, base + f->port->mem_size - 64,
                                   UINT64_MAX - 15};
    for (size_t i = 0; i < sizeof(bad_places) / sizeof(bad_places[0]); i++)
        ck_assert_int_eq(set_vqueue(f, 0, PL_C_SVQ_ENABLE, 16, bad_places[i]), 1);
    ck_assert_int_eq(set_vqueue(f, 0, PL_C_SVQ_STATE_RESERVED, 16, base), 1);
    ck_assert_int_eq(set_vqueue(f, 0, PL_C_SVQ_ENABLE | 64, 16, base), 1);
    ck_assert_int_eq(set_vqueue(f, FAKE_QUEUES, PL_C_SVQ_ENABLE, 16, base), 1);
    q = get_vqueue(f, 0);
    ck_assert_uint_eq(q.f[PL_F_flags] | q.f[PL_F_cur_size] | q.f[PL_F_desc_addr], 0);
    ck_assert_int_eq(set_vqueue(f, 0, PL_C_SVQ_KEEP_DISABLED, 16, base), 1);
    ck_assert_int_eq(set_vqueue(f, 0, PL_C_SVQ_ENABLE | (uint32_t)PL_C_SVQ_IGNORE_ALL, 99, 1), 1);
    q = get_vqueue(f, 0);
    ck_assert_uint_eq(q.f[PL_F_flags], PL_C_GVQ_ENABLED);
    ck_assert_uint_eq(q.f[PL_F_cur_size], 16);
    ck_assert_uint_eq(q.f[PL_F_desc_addr], base);
    ck_assert_int_eq(set_vqueue(f, 0, PL_C_SVQ_KEEP_STATE, 32, base), 1);
    ck_assert_int_eq(set_vqueue(f, 0, (uint32_t)PL_C_SVQ_IGNORE_ALL, 32, base), 1);
    q = get_vqueue(f, 0);
    ck_assert_uint_eq(q.f[PL_F_flags], PL_C_GVQ_ENABLED);
    ck_assert_uint_eq(q.f[PL_F_cur_size], 16);
    struct pl_msg reset = {.kind = PL_RESET_VQUEUE}; /* RING_RESET was not offered */
    ck_assert_int_eq(ask(f, &reset), 1);
    ck_assert_uint_eq(get_vqueue(f, 0).f[PL_F_flags], PL_C_GVQ_ENABLED);
    ck_assert_uint_eq(count(f, PL_VU_SET_VRING_KICK), 0);
    tear_down(f);
}
END_TEST

START_TEST(test_queue_reset)
{
    struct fixture *f = set_up();

    f->fake.features |= UINT64_C(1) << PL_C_F_RING_RESET;
    ck_assert_int_eq(start(f, 0), 0);
    negotiate(f);
    ck_assert_uint_eq(set_status(f, ALL_STATUS), ALL_STATUS);
    for (unsigned i = 1; i <= 3; i++) {
        ck_assert_int_eq(set_vqueue(f, 1, PL_C_SVQ_ENABLE, 16, f->port->mem_base), 1);
        ck_assert_uint_eq(get_vqueue(f, 1).f[PL_F_flags], PL_C_GVQ_ENABLED);
        ck_assert_uint_eq(count(f, PL_VU_SET_VRING_KICK), i);
        struct pl_msg m = {.kind = PL_RESET_VQUEUE};
        m.f[PL_F_index] = 1;
        ck_assert_int_eq(ask(f, &m), 1);
        ck_assert_uint_eq(get_vqueue(f, 1).f[PL_F_flags], 0);
        ck_assert_uint_eq(count(f, PL_VU_GET_VRING_BASE), i);
    }
    tear_down(f);
}
END_TEST

START_TEST(test_bus_messages)
{
    struct fixture *f = set_up();
    struct pl_msg m = {.kind = PL_GET_DEVICES, .bus = true};

    ck_assert_int_eq(start(f, 0), 0);
    m.f[PL_F_count] = 100;
    ck_assert_int_eq(ask(f, &m), 1);
    ck_assert_uint_eq(m.f[PL_F_count], 1);
    ck_assert_uint_eq(m.f[PL_F_next_offset], 0);
    ck_assert_uint_eq(m.data[0], 1);
    m = (struct pl_msg){.kind = PL_GET_DEVICES, .bus = true};
    ck_assert_int_eq(ask(f, &m), 1);
    ck_assert_uint_eq(m.f[PL_F_count], 0);
    m = (struct pl_msg){.kind = PL_PING, .bus = true};
    m.f[PL_F_data32] = 0xdeadbeef;
    ck_assert_int_eq(ask(f, &m), 1);
    ck_assert_uint_eq(m.f[PL_F_data32], 0xdeadbeef);
    m = (struct pl_msg){.kind = PL_GET_PARAMETERS, .bus = true};
    ck_assert_int_eq(ask(f, &m), 1);
    ck_assert_uint_eq(m.f[PL_F_max_msg_size], MAX_MESSAGE);
    tear_down(f);
}
END_TEST

/* Whatever the harness sends: no crash, nothing answered that is malformed, and life goes on. */
START_TEST(test_anything_from_the_harness)
{
    struct fixture *f = set_up();
    uint8_t bytes[600];
    uint64_t state = 0x12345 + (uint64_t)_i;
    struct pl_msg m;

    if (_i)
        f->fake.protocol |= PL_VU_PF_STATUS;
    f->fake.features |= UINT64_C(1) << PL_C_F_RING_RESET;
    ck_assert_int_eq(start(f, 0), 0);
    for (int i = 0; i < 20000; i++) {
        for (size_t k = 0; k < sizeof(bytes); k++) {
            state ^= state << 13, state ^= state >> 7, state ^= state << 17;
            bytes[k] = (uint8_t)(state >> 40) & (state >> 60 ? 0x0f : 0xff);
        }
        size_t size = state >> 20 & 3 ? (state >> 8) % 64 : (state >> 8) % sizeof(bytes);
        if (size >= 8 && state >> 24 & 7) {
            pl_poke_type(f->port->spec, bytes, bytes[0] & 2);
            pl_poke_id(f->port->spec, bytes, bytes[1] % 14 | (state >> 28 & 1 ? 0x40 : 0));
            pl_poke_dev_num(f->port->spec, bytes, 0);
            pl_decode(f->port->spec, bytes, size, &m);
            if (m.expected >= 8 && m.expected <= sizeof(bytes))
                size = m.expected;
            pl_poke_size(f->port->spec, bytes, (uint16_t)size);
        }
        ck_assert_int_eq(f->port->ops->send(f->port, bytes, size), 0);
        int got = f->port->ops->receive(f->port, f->buf, sizeof(f->buf), 0);
        ck_assert_int_ge(got, 0);
        ck_assert_int_le(got, MAX_MESSAGE);
        if (got > 0) {
            pl_decode(f->port->spec, f->buf, (size_t)got, &m);
            ck_assert_int_eq(m.form, PL_FORM_OK);
        }
    }
    m = (struct pl_msg){.kind = PL_GET_DEVICE_STATUS};
    ck_assert_int_eq(ask(f, &m), 1);
    ck_assert_int_eq(send_msg(f, &(struct pl_msg){.kind = PL_EVENT_AVAIL, .event = true}), 0);
    tear_down(f);
}
END_TEST

START_TEST(test_discards)
{
    struct fixture *f = set_up();
    struct pl_msg m = {.kind = PL_GET_DEVICE_STATUS, .dev_num = 1};

    ck_assert_int_eq(start(f, 0), 0);
    ck_assert_int_eq(ask(f, &m), 0);
    m = (struct pl_msg){.kind = PL_GET_DEVICE_STATUS, .response = true};
    ck_assert_int_eq(ask(f, &m), 0);
    m = (struct pl_msg){.kind = PL_GET_DEVICE_FEATURES};
    m.f[PL_F_num_blocks] = 63; /* an answer of 268 bytes */
    ck_assert_int_eq(ask(f, &m), 0);
    m = (struct pl_msg){.kind = PL_GET_DEVICE_FEATURES};
    m.f[PL_F_num_blocks] = UINT32_MAX;
    ck_assert_int_eq(ask(f, &m), 0);
    m = (struct pl_msg){.kind = PL_GET_DEVICE_FEATURES};
    m.f[PL_F_block_index] = UINT32_MAX;
    m.f[PL_F_num_blocks] = 62;
    ck_assert_int_eq(ask(f, &m), 1);
    for (uint32_t i = 0; i < m.data_len; i++)
        ck_assert_uint_eq(m.data[i], 0);
    tear_down(f);
}
END_TEST

/* --- bad back-ends --- */

static const struct {
    enum fake_fault fault;
    int code;
    const char *words;
} bad_answers[] = {
    {FAKE_CLOSE, -EPIPE, "closed the connection instead of answering"},
    {FAKE_HANG, -ETIMEDOUT, "did not answer"},
    {FAKE_HALF, -EPIPE, "closed the connection within its answer"},
    {FAKE_HALF_BODY, -EPIPE, "closed the connection"},
    {FAKE_TRICKLE, -ETIMEDOUT, "did not answer"},
    {FAKE_WRONG_ID, -EPROTO, "which is another one"},
    {FAKE_NO_REPLY, -EPROTO, "no reply of ours"},
    {FAKE_VERSION, -EPROTO, "no reply of ours"},
    {FAKE_SHORT, -EPROTO, "4 bytes of payload, not"},
    {FAKE_HUGE, -EPROTO, "4294967280 bytes of payload, not"},
    {FAKE_DESCRIPTOR, -EPROTO, "a descriptor with its answer"},
};
enum { BAD_ANSWERS = sizeof(bad_answers) / sizeof(bad_answers[0]) };

static const enum pl_vu_request start_requests[] = {
    PL_VU_GET_FEATURES, PL_VU_GET_PROTOCOL_FEATURES, PL_VU_SET_OWNER,  PL_VU_GET_QUEUE_NUM,
    PL_VU_GET_CONFIG,   PL_VU_SET_MEM_TABLE,         PL_VU_SET_STATUS, PL_VU_GET_STATUS};
enum { START_REQUESTS = sizeof(start_requests) / sizeof(start_requests[0]) };

START_TEST(test_bad_answer_while_starting)
{
    for (size_t r = 0; r < START_REQUESTS; r++) {
        struct fixture *f = set_up();
        struct pl_end end;
        int64_t begun = now_ms();

        f->timeout_ms = bad_answers[_i].code == -ETIMEDOUT ? SHORT_MS : LONG_MS;
        f->fake.protocol |= PL_VU_PF_STATUS;
        f->fake.fault = bad_answers[_i].fault;
        f->fake.at = start_requests[r];
        f->fake.nth = f->fake.at == PL_VU_GET_CONFIG ? 2 : 1; /* the first one is refused anyway */
        int code = start(f, 0);
        ck_assert_msg(code == bad_answers[_i].code, "request %d: %d: %s", start_requests[r], code,
                      f->port->error);
        ck_assert_msg(strstr(f->port->error, bad_answers[_i].words) != NULL, "%s", f->port->error);
        ck_assert_ptr_nonnull(strstr(f->port->error, f->fake.path));
        ck_assert_int_lt(now_ms() - begun, LONG_MS);
        f->port->ops->stop(f->port, &end);
        ck_assert_int_eq(end.how, code == -EPIPE ? PL_END_CLOSED : PL_END_RUNNING);
        f->fake.fault = FAKE_SOUND; /* and the next start is as good as the first */
        if (f->timeout_ms == SHORT_MS) {
            f->port->ops->close(f->port);
            f->timeout_ms = LONG_MS;
            f->port = open_port(f);
        }
        code = start(f, 0);
        ck_assert_msg(code == 0, "%s", f->port->error);
        tear_down(f);
    }
}
END_TEST

static const enum pl_vu_request run_requests[] = {
    PL_VU_SET_FEATURES,   PL_VU_SET_VRING_NUM,  PL_VU_SET_VRING_BASE,   PL_VU_SET_VRING_ADDR,
    PL_VU_SET_VRING_CALL, PL_VU_SET_VRING_KICK, PL_VU_SET_VRING_ENABLE, PL_VU_GET_VRING_BASE,
    PL_VU_RESET_DEVICE,   PL_VU_SET_VRING_ERR};
enum { RUN_REQUESTS = sizeof(run_requests) / sizeof(run_requests[0]) };

START_TEST(test_bad_answer_while_running)
{
    for (size_t r = 0; r < RUN_REQUESTS; r++) {
        struct fixture *f = set_up();
        char text[256];

        f->fake.fault = bad_answers[_i].fault;
        f->fake.at = run_requests[r];
        ck_assert_int_eq(start(f, 0), 0);
        if (bad_answers[_i].code == -ETIMEDOUT) /* only now: the start is sound and gets its time */
            ((struct pl_gateway *)f->port)->dev.chan.timeout_ms = SHORT_MS;
        /* The proof begins with a reset, where nothing is wrong yet but for RESET_DEVICE itself. */
        int code = pl_gateway_block_proof(f->port, text, sizeof(text));
        ck_assert_msg(code == bad_answers[_i].code, "request %d: %d: %s", run_requests[r], code,
                      text);
        ck_assert_msg(strstr(f->port->error, bad_answers[_i].words) != NULL, "%s", f->port->error);
        struct pl_msg m = {.kind = PL_GET_DEVICE_STATUS};
        ck_assert_int_eq(ask(f, &m), -EPIPE);
        tear_down(f);
    }
}
END_TEST

START_TEST(test_many_descriptors)
{
    struct fixture *f = set_up();

    f->fake.fault = FAKE_DESCRIPTOR;
    f->fake.at = PL_VU_GET_CONFIG;
    f->fake.nth = 2;
    ck_assert_int_eq(start(f, 0), -EPROTO);
    tear_down(f);
}
END_TEST

START_TEST(test_odd_numbers)
{
    struct fixture *f = set_up();
    struct pl_msg m = {.kind = PL_GET_DEVICE_INFO};

    f->fake.queue_num = 0;
    ck_assert_int_eq(start(f, 0), -EPROTO);
    ck_assert_ptr_nonnull(strstr(f->port->error, "GET_QUEUE_NUM"));
    f->fake.queue_num = UINT64_MAX;
    ck_assert_int_eq(start(f, 0), 0);
    ck_assert_int_eq(ask(f, &m), 1);
    ck_assert_uint_eq(m.f[PL_F_max_virtqueues], PL_VU_QUEUES_MAX);
    f->fake.protocol |= PL_VU_PF_STATUS;
    f->fake.fault = FAKE_SOUND;
    ck_assert_int_eq(start(f, 0), 0);
    f->fake.status = UINT64_C(1) << 40;
    m = (struct pl_msg){.kind = PL_GET_DEVICE_STATUS};
    ck_assert_int_eq(ask(f, &m), -EPROTO);
    ck_assert_ptr_nonnull(strstr(f->port->error, "GET_STATUS"));
    tear_down(f);
}
END_TEST

START_TEST(test_config_of_another_offset)
{
    struct fixture *f = set_up();

    f->fake.fault = FAKE_CONFIG_AT;
    f->fake.at = PL_VU_GET_CONFIG;
    ck_assert_int_eq(start(f, 0), -EPROTO);
    ck_assert_ptr_nonnull(strstr(f->port->error, "offset"));
    tear_down(f);
}
END_TEST

START_TEST(test_unasked_answer)
{
    struct fixture *f = set_up();

    f->fake.fault = FAKE_UNASKED;
    f->fake.at = PL_VU_GET_FEATURES;
    f->fake.nth = 2;
    ck_assert_int_eq(start(f, 0), 0);
    get_features(f);
    int code = f->port->ops->receive(f->port, f->buf, sizeof(f->buf), 2000);
    ck_assert_int_eq(code, -EPROTO);
    ck_assert_ptr_nonnull(strstr(f->port->error, "no answer was due"));
    tear_down(f);
}
END_TEST

START_TEST(test_refused_start)
{
    static const enum pl_vu_request requests[] = {PL_VU_SET_OWNER, PL_VU_SET_MEM_TABLE};
    struct fixture *f = set_up();

    f->fake.fault = FAKE_NACK;
    f->fake.at = requests[_i];
    ck_assert_int_eq(start(f, 0), -EPROTO);
    ck_assert_ptr_nonnull(strstr(f->port->error, "refused"));
    tear_down(f);
}
END_TEST

START_TEST(test_refused_ring)
{
    struct fixture *f = set_up();
    const uint32_t features_ok = ALL_STATUS & (uint32_t)~PL_C_STATUS_DRIVER_OK;
    const uint32_t needs_reset = ALL_STATUS | PL_C_STATUS_DEVICE_NEEDS_RESET;

    if (_i)
        f->fake.protocol |= PL_VU_PF_STATUS;
    f->fake.fault = FAKE_NACK;
    f->fake.at = PL_VU_SET_VRING_ADDR;
    ck_assert_int_eq(start(f, 0), 0);
    negotiate(f);
    ck_assert_int_eq(set_vqueue(f, 0, PL_C_SVQ_ENABLE, 16, f->port->mem_base), 1);
    ck_assert_uint_eq(set_status(f, ALL_STATUS), _i ? features_ok : needs_reset);
    ck_assert_int_eq(set_vqueue(f, 1, PL_C_SVQ_ENABLE, 16, f->port->mem_base + 4096), 1);
    if (_i == 0) /* DRIVER_OK: the ring was to start at once */
        ck_assert_uint_eq(get_vqueue(f, 1).f[PL_F_flags], 0);
    tear_down(f);
}
END_TEST

START_TEST(test_peer_goes_away)
{
    struct fixture *f = set_up();
    struct pl_end end;

    ck_assert_int_eq(start(f, 0), 0);
    fake_stop(&f->fake);
    ck_assert_int_eq(f->port->ops->receive(f->port, f->buf, sizeof(f->buf), 2000), -EPIPE);
    ck_assert_ptr_nonnull(strstr(f->port->error, "closed the connection"));
    f->port->ops->stop(f->port, &end);
    ck_assert_int_eq(end.how, PL_END_CLOSED);
    struct pl_bus_params bus = {1, MAX_MESSAGE, 0};
    ck_assert_int_eq(f->port->ops->start(f->port, &bus), -ENOENT);
    ck_assert_ptr_nonnull(strstr(f->port->error, "cannot connect"));
    f->port->ops->close(f->port);
    f->port = NULL;
    tear_down(f);
}
END_TEST

/* One front-end at a time: a back-end that accepts no second connection is waited for in vain. */
START_TEST(test_busy_back_end)
{
    struct fixture *f = set_up(), *g = set_up();

    struct pl_bus_params bus = {1, MAX_MESSAGE, 0};

    ck_assert_int_eq(start(f, 0), 0);
    memcpy(g->fake.path, f->fake.path, sizeof(g->fake.path));
    g->timeout_ms = SHORT_MS;
    g->port = open_port(g);
    ck_assert_int_eq(g->port->ops->start(g->port, &bus), -ETIMEDOUT);
    g->port->ops->close(g->port);
    g->port = NULL;
    free(g);
    tear_down(f);
}
END_TEST

START_TEST(test_bad_rings)
{
    static const struct {
        enum fake_ring_fault fault;
        int code;
    } cases[] = {
        {FAKE_USED_AHEAD, -EPROTO}, {FAKE_USED_ID, -EPROTO},  {FAKE_USED_LEN, -EPROTO},
        {FAKE_CORRUPT, -EIO},       {FAKE_BLOCK_ERROR, -EIO}, {FAKE_USED_NEVER, -ETIMEDOUT},
    };
    struct fixture *f = set_up();
    char text[256];

    f->fake.ring_fault = cases[_i].fault;
    ck_assert_int_eq(start(f, 0), 0);
    int code = pl_gateway_block_proof(f->port, text, sizeof(text));
    ck_assert_msg(code == cases[_i].code, "%d: %s", code, text);
    f->fake.ring_fault = FAKE_RING_SOUND;
    code = pl_gateway_block_proof(f->port, text, sizeof(text));
    ck_assert_msg(code == 0, "%d: %s", code, text);
    tear_down(f);
}
END_TEST

/* What a proof cannot be made with is said, and is no error of the device. */
START_TEST(test_no_proof)
{
    struct fixture *f = set_up();
    static const char *const words[] = {"read-only", "VERSION_1", "no sector", "fewer than"};
    char text[256];

    if (_i == 0)
        f->fake.features |= UINT64_C(1) << VIRTIO_BLK_F_RO;
    else if (_i == 1)
        f->fake.features &= ~(UINT64_C(1) << PL_C_F_VERSION_1);
    else if (_i == 2)
        f->fake.config[0] = 0;
    else
        f->options = ",queue-size=2";
    ck_assert_int_eq(start(f, 0), 0);
    ck_assert_int_eq(pl_gateway_block_proof(f->port, text, sizeof(text)), -ENOTSUP);
    ck_assert_msg(strstr(text, words[_i]) != NULL, "%s", text);
    tear_down(f);
}
END_TEST

/* A disk of few sectors, a small ring, a block that already holds the pattern, blocking eventfds.
 */
START_TEST(test_proof_of_odd_devices)
{
    struct fixture *f = set_up();
    uint8_t before[FAKE_DISK];
    char text[256];

    f->options = ",queue-size=4";
    f->fake.config[0] = 3;
    f->fake.blocking = true;
    memcpy(before, f->fake.disk, FAKE_DISK);
    ck_assert_int_eq(start(f, 0), 0);
    int code = pl_gateway_block_proof(f->port, text, sizeof(text));
    ck_assert_msg(code == 0, "%s", text);
    ck_assert_ptr_nonnull(strstr(text, "512 bytes at sector 2 of 3"));
    ck_assert_int_eq(memcmp(before, f->fake.disk, FAKE_DISK), 0);
    tear_down(f);
}
END_TEST

START_TEST(test_packed_ring)
{
    struct fixture *f = set_up();

    f->fake.features |= UINT64_C(1) << PL_C_F_RING_PACKED;
    ck_assert_int_eq(start(f, 0), 0);
    negotiate(f);
    ck_assert_int_eq(set_vqueue(f, 0, PL_C_SVQ_ENABLE, 12, f->port->mem_base), 1);
    ck_assert_uint_eq(set_status(f, ALL_STATUS), ALL_STATUS);
    ck_assert_uint_eq(get_vqueue(f, 0).f[PL_F_cur_size], 12);
    struct pl_msg m = {.kind = PL_GET_DEVICE_STATUS};
    ck_assert_int_eq(ask(f, &m), 1);
    ck_assert_uint_eq(f->fake.rings[0].base, PL_VU_VRING_BASE_PACKED);
    tear_down(f);
}
END_TEST

START_TEST(test_base_of_another_ring)
{
    struct fixture *f = set_up();
    char text[256];

    f->fake.fault = FAKE_BASE_INDEX;
    f->fake.at = PL_VU_GET_VRING_BASE;
    ck_assert_int_eq(start(f, 0), 0);
    ck_assert_int_eq(pl_gateway_block_proof(f->port, text, sizeof(text)), -EPROTO);
    ck_assert_msg(strstr(text, "for ring 1, not 0") != NULL, "%s", text);
    tear_down(f);
}
END_TEST

/* A started ring, and a back-end that ends the connection when the ring is to stop. */
static void start_fragile(struct fixture *f)
{
    f->fake.fault = FAKE_CLOSE;
    f->fake.at = PL_VU_GET_VRING_BASE;
    ck_assert_int_eq(start(f, 0), 0);
    negotiate(f);
    ck_assert_int_eq(set_vqueue(f, 0, PL_C_SVQ_ENABLE, 16, f->port->mem_base), 1);
    ck_assert_uint_eq(set_status(f, ALL_STATUS), ALL_STATUS);
}

/* After contents that no driver may write a closed connection means DEVICE_NEEDS_RESET. */
START_TEST(test_closed_after_illegal_contents)
{
    struct fixture *f = set_up();
    struct pl_msg m = {.kind = PL_SET_DEVICE_STATUS};

    f->fake.protocol &= ~(_i ? PL_VU_PF_STATUS : 0);
    start_fragile(f);
    f->port->outlawed = true;
    ck_assert_int_ge(send_msg(f, &m), 0);
    int size = f->port->ops->receive(f->port, f->buf, sizeof(f->buf), 0);
    ck_assert_int_gt(size, 0);
    pl_decode(f->port->spec, f->buf, (size_t)size, &m);
    ck_assert_int_eq(m.kind, PL_EVENT_CONFIG);
    ck_assert_uint_eq(m.f[PL_F_device_status], ALL_STATUS | PL_C_STATUS_DEVICE_NEEDS_RESET);
    size = f->port->ops->receive(f->port, f->buf, sizeof(f->buf), 0);
    ck_assert_int_gt(size, 0);
    pl_decode(f->port->spec, f->buf, (size_t)size, &m);
    ck_assert_int_eq(m.kind, PL_SET_DEVICE_STATUS);
    ck_assert_uint_eq(m.f[PL_F_status], 0);
    ck_assert_uint_eq(f->port->reconnected, 1);
    ck_assert_uint_eq(f->fake.connections, 2);
    ck_assert(f->port->outlawed);
    negotiate(f);
    ck_assert_int_eq(set_vqueue(f, 0, PL_C_SVQ_ENABLE, 16, f->port->mem_base), 1);
    ck_assert_uint_eq(set_status(f, ALL_STATUS), ALL_STATUS);
    ck_assert(!f->port->outlawed);
    m = (struct pl_msg){.kind = PL_SET_DEVICE_STATUS};
    ck_assert_int_eq(ask(f, &m), -EPIPE); /* and from then on it counts */
    tear_down(f);
}
END_TEST

START_TEST(test_closed_without_cause)
{
    struct fixture *f = set_up();
    struct pl_msg m = {.kind = PL_SET_DEVICE_STATUS};

    start_fragile(f);
    ck_assert_int_eq(ask(f, &m), -EPIPE);
    ck_assert_uint_eq(f->fake.connections, 1);
    tear_down(f);
}
END_TEST

/* reset=reconnect: the ring is not stopped, the connection ends. */
START_TEST(test_reset_by_reconnecting)
{
    struct fixture *f = set_up();

    f->options = ",reset=reconnect";
    start_fragile(f);
    ck_assert_uint_eq(set_status(f, 0), 0);
    ck_assert_uint_eq(f->fake.connections, 2);
    ck_assert_uint_eq(count(f, PL_VU_GET_VRING_BASE), 0);
    ck_assert_uint_eq(get_vqueue(f, 0).f[PL_F_cur_size], 0);
    negotiate(f);
    ck_assert_uint_eq(set_status(f, 0), 0);
    ck_assert_uint_eq(f->port->reconnected, 0);
    tear_down(f);
}
END_TEST

START_TEST(test_refusal_with_bytes)
{
    struct fixture *f = set_up();

    f->fake.fault = FAKE_REFUSAL;
    f->fake.at = PL_VU_GET_CONFIG;
    f->fake.small_refusal = true;
    ck_assert_int_eq(start(f, 0), -EPROTO);
    ck_assert_ptr_nonnull(strstr(f->port->error, "speaks of 5 bytes"));
    tear_down(f);
}
END_TEST

START_TEST(test_path_too_long)
{
    struct fixture *f = set_up();
    char address[220] = "vhost-user:/tmp/", error[256];
    struct pl_port_options options = {.spec = pl_spec_find("virtio-msg-r1"), .connect = address};
    struct pl_bus_params bus = {1, MAX_MESSAGE, 0};

    memset(address + strlen(address), 'x', 150);
    struct pl_port *port = pl_port_vhost_user(&options, error, sizeof(error));
    ck_assert_msg(port != NULL, "%s", error);
    ck_assert_int_eq(port->ops->start(port, &bus), -ENAMETOOLONG);
    ck_assert_ptr_nonnull(strstr(port->error, "longer than 107 bytes"));
    port->ops->close(port);
    tear_down(f);
}
END_TEST

/* A listener whose queue is full and who never accepts. */
START_TEST(test_full_listener)
{
    struct fixture *f = set_up(), *more[4] = {NULL};
    struct pl_bus_params bus = {1, MAX_MESSAGE, 0};
    int code = 0;

    ck_assert_int_eq(start(f, 0), 0);
    for (int i = 0; i < 4; i++) {
        more[i] = set_up();
        memcpy(more[i]->fake.path, f->fake.path, sizeof(f->fake.path));
        more[i]->timeout_ms = SHORT_MS;
        more[i]->port = open_port(more[i]);
        /* Keeps its place in the queue: nobody has answered or closed there yet. */
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        memcpy(address.sun_path, f->fake.path, sizeof(address.sun_path));
        code = connect(fd, (struct sockaddr *)&address, sizeof(address));
        more[i]->fds = fd;
    }
    ck_assert_int_eq(code, -1);
    ck_assert_int_eq(more[3]->port->ops->start(more[3]->port, &bus), -ETIMEDOUT);
    ck_assert_ptr_nonnull(strstr(more[3]->port->error, "accepts no connection"));
    for (int i = 0; i < 4; i++) {
        close(more[i]->fds);
        more[i]->port->ops->close(more[i]->port);
        free(more[i]);
    }
    tear_down(f);
}
END_TEST

START_TEST(test_ring_error)
{
    struct fixture *f = set_up();
    struct pl_msg avail = {.kind = PL_EVENT_AVAIL, .event = true}, m;

    f->fake.ring_fault = FAKE_RING_ERR;
    ck_assert_int_eq(start(f, 0), 0);
    negotiate(f);
    ck_assert_int_eq(set_vqueue(f, 0, PL_C_SVQ_ENABLE, 16, f->port->mem_base), 1);
    ck_assert_uint_eq(set_status(f, ALL_STATUS), ALL_STATUS);
    ck_assert_int_eq(send_msg(f, &avail), 0);
    int size = f->port->ops->receive(f->port, f->buf, sizeof(f->buf), 5000);
    ck_assert_int_gt(size, 0);
    pl_decode(f->port->spec, f->buf, (size_t)size, &m);
    ck_assert_int_eq(m.kind, PL_EVENT_CONFIG);
    ck_assert_uint_eq(m.f[PL_F_device_status], ALL_STATUS | PL_C_STATUS_DEVICE_NEEDS_RESET);
    tear_down(f);
}
END_TEST

START_TEST(test_addresses)
{
    static const char *const bad[] = {"unix:/tmp/x",
                                      "vhost-user:",
                                      "vhost-user:,type=block",
                                      "vhost-user:/tmp/x,type=toaster",
                                      "vhost-user:/tmp/x,queues=0",
                                      "vhost-user:/tmp/x,queues=257",
                                      "vhost-user:/tmp/x,queues=-1",
                                      "vhost-user:/tmp/x,queue-size=",
                                      "vhost-user:/tmp/x,queue-size=32769",
                                      "vhost-user:/tmp/x,",
                                      "vhost-user:/tmp/x,type"};
    struct pl_port_options options = {.spec = pl_spec_find("virtio-msg-r1")};
    int fds = open_fds();
    char error[256];

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        error[0] = 0;
        options.connect = bad[i];
        ck_assert_ptr_null(pl_port_vhost_user(&options, error, sizeof(error)));
        ck_assert_ptr_nonnull(strstr(error, bad[i]));
    }
    options.connect = "vhost-user:/tmp/pl-no-such-socket,queue-size=256,queues=4,type=block";
    struct pl_port *port = pl_port_vhost_user(&options, error, sizeof(error));
    ck_assert_ptr_nonnull(port);
    struct pl_bus_params bus = {1, MAX_MESSAGE, 0};
    ck_assert_int_eq(port->ops->start(port, &bus), -ENOENT);
    ck_assert_int_eq(port->ops->control(port, "start 0", error, sizeof(error), 0), -ENOTSUP);
    port->ops->close(port);
    ck_assert_int_eq(open_fds(), fds);
}
END_TEST

static TCase *sound_case(void)
{
    TCase *tc = tcase_create("sound back-ends");

    tcase_add_test(tc, test_information);
    tcase_add_loop_test(tc, test_block_proof, 0, 10);
    tcase_add_test(tc, test_no_protocol_features);
    tcase_add_loop_test(tc, test_observable, 0, 2);
    tcase_add_test(tc, test_reconnect);
    tcase_add_test(tc, test_config);
    tcase_add_test(tc, test_config_write);
    tcase_add_test(tc, test_config_write_strict);
    tcase_add_test(tc, test_config_write_refused);
    tcase_add_test(tc, test_features);
    tcase_add_test(tc, test_features_refused_by_the_back_end);
    tcase_add_test(tc, test_status_is_the_back_ends);
    tcase_add_test(tc, test_vqueue_rules);
    tcase_add_test(tc, test_queue_reset);
    tcase_add_test(tc, test_bus_messages);
    tcase_add_loop_test(tc, test_anything_from_the_harness, 0, 2);
    tcase_add_test(tc, test_discards);
    tcase_add_test(tc, test_addresses);
    tcase_set_timeout(tc, 60);
    return tc;
}

static TCase *bad_case(void)
{
    TCase *tc = tcase_create("bad back-ends");

    tcase_add_loop_test(tc, test_bad_answer_while_starting, 0, BAD_ANSWERS);
    tcase_add_loop_test(tc, test_bad_answer_while_running, 0, BAD_ANSWERS);
    tcase_add_test(tc, test_many_descriptors);
    tcase_add_test(tc, test_odd_numbers);
    tcase_add_test(tc, test_config_of_another_offset);
    tcase_add_test(tc, test_unasked_answer);
    tcase_add_loop_test(tc, test_refused_start, 0, 2);
    tcase_add_loop_test(tc, test_refused_ring, 0, 2);
    tcase_add_test(tc, test_peer_goes_away);
    tcase_add_test(tc, test_busy_back_end);
    tcase_add_loop_test(tc, test_bad_rings, 0, 6);
    tcase_add_test(tc, test_ring_error);
    tcase_add_loop_test(tc, test_no_proof, 0, 4);
    tcase_add_test(tc, test_proof_of_odd_devices);
    tcase_add_test(tc, test_packed_ring);
    tcase_add_test(tc, test_base_of_another_ring);
    tcase_add_loop_test(tc, test_closed_after_illegal_contents, 0, 2);
    tcase_add_test(tc, test_closed_without_cause);
    tcase_add_test(tc, test_reset_by_reconnecting);
    tcase_add_test(tc, test_refusal_with_bytes);
    tcase_add_test(tc, test_path_too_long);
    tcase_add_test(tc, test_full_listener);
    tcase_set_timeout(tc, 60);
    return tc;
}

int main(void)
{
    Suite *suite = suite_create("vhost_user");

    suite_add_tcase(suite, sound_case());
    suite_add_tcase(suite, bad_case());
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
