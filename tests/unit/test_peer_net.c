/* The reference network device's control queue, driven in this process: what it answers, what it
 * lets through, and that each of its mutants differs. */
#include <check.h>
#include <linux/virtio_net.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "peer/device.h"
#include "ring/ring.h"
#include "wire/wire.h"

#define BASE     UINT64_C(0x100000000)
#define MEMORY   ((size_t)1 << 20)
#define RING_GAP UINT64_C(0x10000) /* room for the largest ring */
#define DATA_AT  UINT64_C(0x60000)
#define DRIVER   (PL_C_STATUS_ACKNOWLEDGE | PL_C_STATUS_DRIVER)
#define RUNNING  (DRIVER | PL_C_STATUS_FEATURES_OK | PL_C_STATUS_DRIVER_OK)
#define ALL      "features_add=0x923c000000fc0000"

enum { QUEUES = 5, ANSWER = 120, FRAME = 128, BLOCKS = 4 };

static struct {
    const struct pl_spec *spec;
    void *self;
    uint8_t *memory;
    uint64_t data, now, digest;
    uint16_t token;
    unsigned control; /* the control queue's index */
    size_t head;      /* bytes before a packet */
    struct pl_driver_ring *ring[QUEUES];
    uint8_t answer[ANSWER]; /* of the last command */
} rig;

/* --- messages --- */

static void note(const void *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        rig.digest = (rig.digest ^ ((const uint8_t *)bytes)[i]) * UINT64_C(0x100000001b3);
}

/* Send a message and take all that comes of it; the last response. */
static struct pl_msg tell(struct pl_msg m)
{
    static uint8_t in[PL_MSG_MAX + 1], kept[PL_MSG_MAX + 1], out[PL_MSG_MAX + 1];
    struct pl_msg last = {0}, got;
    m.token = ++rig.token;
    ssize_t size = pl_encode(rig.spec, &m, out, sizeof(out));
    ck_assert_int_gt(size, 0);
    ck_assert_int_eq(pl_device_endpoint.deliver(rig.self, out, (size_t)size), 0);
    pl_device_endpoint.advance(rig.self, ++rig.now);
    for (int n; (n = pl_device_endpoint.poll(rig.self, in, sizeof(in))) > 0;) {
        note(in, (size_t)n);
        memcpy(kept, in, (size_t)n);
        pl_decode(rig.spec, in, (size_t)n, &got);
        if (got.response)
            pl_decode(rig.spec, kept, (size_t)n, &last);
    }
    return last;
}

static struct pl_msg ask(enum pl_kind kind, enum pl_field field, uint64_t value)
{
    struct pl_msg m = {.kind = kind};
    m.f[field] = value;
    return tell(m);
}

static uint8_t *at(uint64_t addr)
{
    return rig.memory + (addr - BASE);
}

static uint64_t room(size_t bytes)
{
    uint64_t addr = BASE + DATA_AT + rig.data;
    rig.data += (bytes + 15) / 16 * 16;
    ck_assert_uint_le(DATA_AT + rig.data, MEMORY);
    return addr;
}

static void enable(unsigned index)
{
    const struct pl_ring_memory memory = {.mem = rig.memory, .base = BASE, .size = MEMORY};
    struct pl_ring_setup setup = {.size = 16};
    int err;
    pl_ring_place(&setup, BASE + 0x1000 + index * RING_GAP);
    pl_driver_ring_free(rig.ring[index]);
    rig.ring[index] = pl_driver_ring_new(&memory, &setup, &err);
    ck_assert_ptr_nonnull(rig.ring[index]);
    struct pl_msg m = {.kind = PL_SET_VQUEUE};
    m.f[PL_F_index] = index;
    m.f[PL_F_flags] = PL_C_SVQ_ENABLE;
    m.f[PL_F_size] = setup.size;
    m.f[PL_F_desc_addr] = setup.desc_addr;
    m.f[PL_F_driver_addr] = setup.driver_addr;
    m.f[PL_F_device_addr] = setup.device_addr;
    tell(m);
}

/* Everything that is offered is taken, but what changes the rings. */
static void start(void)
{
    const uint64_t rings = UINT64_C(1) << PL_C_F_INDIRECT_DESC | UINT64_C(1) << PL_C_F_EVENT_IDX |
                           UINT64_C(1) << PL_C_F_RING_PACKED | UINT64_C(1) << PL_C_F_IN_ORDER |
                           UINT64_C(1) << PL_C_F_NOTIFICATION_DATA;
    uint8_t words[4 * BLOCKS];
    ask(PL_SET_DEVICE_STATUS, PL_F_status, 0);
    ask(PL_SET_DEVICE_STATUS, PL_F_status, DRIVER);
    struct pl_msg m = ask(PL_GET_DEVICE_FEATURES, PL_F_num_blocks, BLOCKS);
    ck_assert_uint_eq(m.data_len, sizeof(words));
    memcpy(words, m.data, sizeof(words));
    for (unsigned i = 0; i < 8; i++)
        words[i] &= (uint8_t) ~(rings >> (8 * i));
    struct pl_msg select = {.kind = PL_SET_DRIVER_FEATURES, .data = words};
    select.f[PL_F_num_blocks] = BLOCKS;
    select.data_len = sizeof(words);
    tell(select);
    m = ask(PL_SET_DEVICE_STATUS, PL_F_status, DRIVER | PL_C_STATUS_FEATURES_OK);
    ck_assert_uint_eq(m.f[PL_F_status], DRIVER | PL_C_STATUS_FEATURES_OK);
    bool several = words[2] >> 6 & 1 || words[7] >> 4 & 1;
    rig.control = several ? 4 : 2;
    rig.head = words[7] >> 1 & 1 ? 20 : 12;
    for (unsigned i = 0; i <= rig.control; i++)
        enable(i);
    ask(PL_SET_DEVICE_STATUS, PL_F_status, RUNNING);
    rig.data = 0;
}

static void rig_open(const char *const *options, const char *mutant)
{
    const struct pl_device_config config = {.options = options, .mutant = mutant, .seed = 5};
    memset(&rig, 0, sizeof(rig));
    rig.digest = UINT64_C(0xcbf29ce484222325);
    rig.memory = calloc(1, MEMORY);
    rig.spec = pl_spec_find("virtio-msg-r1");
    const struct pl_endpoint_env env = {.revision = 1,
                                        .max_msg_size = 264,
                                        .mem = rig.memory,
                                        .mem_base = BASE,
                                        .mem_size = MEMORY};
    rig.self = pl_device_endpoint.open(&config, &env);
    ck_assert_ptr_nonnull(rig.self);
}

static void rig_close(void)
{
    for (size_t i = 0; i < QUEUES; i++)
        pl_driver_ring_free(rig.ring[i]);
    pl_device_endpoint.close(rig.self);
    free(rig.memory);
}

/* --- chains --- */

/* What was used of a queue since the last look. */
static unsigned reap(unsigned index)
{
    struct pl_ring_used got;
    enum pl_ring_fault fault;
    unsigned n = 0;
    while (pl_driver_ring_poll(rig.ring[index], &got, &fault) > 0) {
        note(&got.written, sizeof(got.written));
        n++;
    }
    note(&n, sizeof(n));
    return n;
}

static void chain(unsigned index, const struct pl_ring_buffer *buffers, size_t n)
{
    pl_driver_ring_add(rig.ring[index], buffers, n, 0);
    pl_driver_ring_publish(rig.ring[index]);
    ask(PL_EVENT_AVAIL, PL_F_vq_index, index);
}

/* A command of these bytes, with so much room behind it; its ack, at the end of `before` bytes. */
static uint8_t command(const char *bytes, size_t n, size_t before)
{
    const uint64_t out = room(n), in = room(ANSWER);
    memcpy(at(out), bytes, n);
    memset(at(in), 0xee, ANSWER);
    const uint32_t space = bytes[0] == 8 ? ANSWER : (uint32_t)before + 1;
    chain(rig.control,
          (const struct pl_ring_buffer[]){{out, (uint32_t)n, false}, {in, space, true}}, 2);
    ck_assert_uint_eq(reap(rig.control), 1);
    memcpy(rig.answer, at(in), ANSWER);
    note(rig.answer, ANSWER);
    return rig.answer[before];
}
#define COMMAND(bytes)          command(bytes, sizeof(bytes) - 1, 0)
#define QUESTION(bytes, before) command(bytes, sizeof(bytes) - 1, before)

/* A frame out on a queue, and perhaps back: on which queue, counted from 1; 0: it did not come. */
static unsigned frame(unsigned out_on, const char *bytes, size_t n)
{
    const uint64_t out = room(FRAME), in = room(2 * FRAME);
    unsigned came = 0;
    for (unsigned q = 0; q < rig.control; q += 2)
        if (pl_driver_ring_held(rig.ring[q]) == 0)
            chain(q, (const struct pl_ring_buffer[]){{in + FRAME * (q / 2), FRAME, true}}, 1);
    memset(at(out), 0, FRAME);
    memcpy(at(out) + rig.head, bytes, n);
    chain(out_on, (const struct pl_ring_buffer[]){{out, FRAME, false}}, 1);
    reap(out_on);
    for (unsigned q = 0; q < rig.control; q += 2)
        if (reap(q))
            came = q + 1;
    note(at(in), 2 * FRAME);
    return came;
}
#define OWN          "\x52\x54\x00\x12\x34\x56"
#define STRANGER     "\x02\x00\x5e\x55\x66\x77"
#define GROUP        "\x01\x00\x5e\x01\x02\x03"
#define EVERYBODY    "\xff\xff\xff\xff\xff\xff"
#define SOURCE       "\x02\x00\x5e\x10\x00\x01"
#define PLAIN(to)    frame(1, to SOURCE "\x88\xb5", 14)
#define VLAN(to, id) frame(1, to SOURCE "\x81\x00" id "\x88\xb5", 18)
#define IPV4         "\x08\x00\x45\x00\x00\x30\x00\x00\x00\x00\x40"
#define IPV6         "\x86\xdd\x60\x00\x00\x00\x00\x1c"
/* A byte each: the protocol, the last of the addresses, the last of the ports. */
#define FLOW4(on, proto, a, b, s, d)                                                               \
    frame(on, OWN SOURCE IPV4 proto "\x00\x00\xc0\x00\x02" a "\xc0\x00\x02" b "\x10" s "\x10" d, 38)
#define FLOW6(on, proto, a, b, s, d)                                                               \
    frame(on,                                                                                      \
          OWN SOURCE IPV6 proto "\x40\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0" a                     \
                                "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0" b "\x10" s "\x10" d,      \
          58)
/* In a tunnel: 4 in IPv4, 47 in GRE. */
#define TUNNEL4(a)                                                                                 \
    frame(1,                                                                                       \
          OWN SOURCE IPV4 "\x04\x00\x00\xc0\x00\x02\xc8\xc0\x00\x02\xc9"                           \
                          "\x45\x00\x00\x30\0\0\0\0\x40\x06\0\0\xc0\x00\x02" a                     \
                          "\xc0\x00\x02\x02\x10\x01\x10\x02",                                      \
          58)
#define TUNNEL47(a)                                                                                \
    frame(1,                                                                                       \
          OWN SOURCE IPV4 "\x2f\x00\x00\xc0\x00\x02\xc8\xc0\x00\x02\xc9\0\0\x08\x00"               \
                          "\x45\x00\x00\x30\0\0\0\0\x40\x06\0\0\xc0\x00\x02" a                     \
                          "\xc0\x00\x02\x02\x10\x01\x10\x02",                                      \
          62)
#define KEY                                                                                        \
    "\x28"                                                                                         \
    "a key of 40 bytes: each of them counts.."
/* Types, and the queues (0 or 1) of packets without a hash and of a table of four entries. */
#define RSS(types, odd, a, b, c, d)                                                                \
    types "\0\0\0\x03\0" odd "\0" a "\0" b "\0" c "\0" d "\0\x02\0" KEY

/* --- a life with every command --- */

static void frames(void)
{
    PLAIN(OWN);
    PLAIN(STRANGER);
    PLAIN(GROUP);
    PLAIN(EVERYBODY);
    VLAN(OWN, "\x00\x05");
    VLAN(OWN, "\x01\x05");
    rig.data = 0;
}

static void filters(void)
{
    static const char modes[] = {1, 2, 3, 4, 5, 0};
    frames();
    for (size_t i = 0; i < sizeof(modes); i++) {
        const char on[] = {0, modes[i], 1};
        command(on, sizeof(on), 0);
        frames();
    }
    for (size_t i = 0; i < sizeof(modes); i++) {
        const char off[] = {0, modes[i], 0};
        command(off, sizeof(off), 0);
        frames();
    }
    COMMAND("\x01\x00\x01\0\0\0" STRANGER "\x01\0\0\0" GROUP);
    COMMAND("\x02\x00\x05\x01");
    frames();
    COMMAND("\x01\x00\0\0\0\0\0\0\0\0");
    COMMAND("\x02\x01\x05\x01");
    frames();
    COMMAND("\x01\x01" STRANGER);
    ask(PL_GET_CONFIG, PL_F_length, 12);
    COMMAND("\x01\x01" OWN);
    COMMAND("\x01\x00\x01\0\0\0" STRANGER "\x01\0\0\0" GROUP);
}

static void announce(void)
{
    char answer[64];
    pl_device_endpoint.control(rig.self, "config-change 0 6 03", answer, sizeof(answer));
    COMMAND("\x03\x00");
    ask(PL_GET_CONFIG, PL_F_length, 12);
    COMMAND("\x09\x63");
    ask(PL_GET_CONFIG, PL_F_length, 12);
}

static void flows(void)
{
    FLOW4(1, "\x06", "\x01", "\x02", "\x01", "\x02");
    FLOW4(1, "\x06", "\x01", "\x02", "\x02", "\x02");
    FLOW4(1, "\x11", "\x03", "\x02", "\x01", "\x02");
    FLOW6(1, "\x06", "\x01", "\x02", "\x01", "\x02");
    FLOW6(1, "\x06", "\x01", "\x02", "\x04", "\x08");
    FLOW6(1, "\x11", "\x09", "\x02", "\x03", "\x02");
    TUNNEL4("\x01");
    TUNNEL47("\x01");
    TUNNEL4("\x07");
    PLAIN(OWN);
    rig.data = 0;
}

static void steering(void)
{
    flows();
    COMMAND("\x04\x00\x02\x00");
    flows();
    if (rig.control > 2) {
        FLOW4(3, "\x06", "\x01", "\x02", "\x01", "\x02");
        FLOW4(3, "\x06", "\x01", "\x02", "\x01", "\x02");
        ask(PL_RESET_VQUEUE, PL_F_index, 2);
        FLOW4(3, "\x06", "\x01", "\x02", "\x01", "\x02");
        enable(2);
    }
    COMMAND("\x04\x00\x01\x00");
    flows();
    COMMAND("\x04\x00\x02\x00");
    COMMAND("\x04\x02\x3f\0\0\0\0\0\0\0\0\0\0\0" KEY);
    flows();
}

static void scaling(void)
{
    COMMAND("\x04\x01" RSS("\x3f", "\x01", "\x00", "\x01", "\x01", "\x00"));
    flows();
    COMMAND("\x04\x01" RSS("\x02", "\x00", "\x01", "\x01", "\x01", "\x01"));
    flows();
    if (rig.control > 2) {
        ask(PL_RESET_VQUEUE, PL_F_index, 2);
        flows();
        enable(2);
    }
    static const char *const tunnels[] = {"\x01", "\x80", "\x00", "\x02", "\x81"};
    COMMAND("\x04\x01" RSS("\x3f", "\x01", "\x00", "\x01", "\x01", "\x00"));
    for (size_t i = 0; i < 5; i++) {
        const char set[] = {7, 0, tunnels[i][0], 0, 0, 0};
        command(set, sizeof(set), 0);
        flows();
    }
    QUESTION("\x09\x00", 2);
    COMMAND("\x09\x01\x01\0\0\0\0\0\0\0" RSS("\x3f", "\x01", "\x00", "\x01", "\x01", "\x00"));
    COMMAND("\x09\x01\x01\0\0\0\0\0\0\0" RSS("\x3f", "\x01", "\x00", "\x01", "\x01", "\x00"));
}

static void coalescing(void)
{
    QUESTION("\x06\x03\x00\0\0\0", 8);
    COMMAND("\x06\x01\x10\0\0\0\x40\0\0\0");
    COMMAND("\x06\x00\x11\0\0\0\x41\0\0\0");
    COMMAND("\x06\x02\x00\0\xff\xff\x08\0\0\0\x20\0\0\0");
    COMMAND("\x06\x02\x01\0\0\0\x09\0\0\0\x21\0\0\0");
    COMMAND("\x06\x02\x02\0\0\0\x09\0\0\0\x21\0\0\0");
    COMMAND("\x06\x02\xff\0\0\0\x09\0\0\0\x21\0\0\0");
    QUESTION("\x06\x03\x00\0\xff\xff", 8);
    QUESTION("\x06\x03\x01\0\0\0", 8);
    for (unsigned i = 0; i < 2; i++) {
        ask(PL_RESET_VQUEUE, PL_F_index, i);
        const char which[] = {6, 3, (char)i, 0, 0, 0};
        command(which, sizeof(which), 8);
        enable(i);
        command(which, sizeof(which), 8);
    }
    pl_driver_ring_notify(rig.ring[1], PL_RING_NOTIFY_NEVER, 0);
    PLAIN(OWN);
    pl_driver_ring_notify(rig.ring[1], PL_RING_NOTIFY_ALWAYS, 0);
    rig.data = 0;
}

#define PART(queue, types) queue "\0\0\0\0\0\0\0" types
#define RX                 "\x01\0\0\0\0\0\0\0"
#define TX                 "\0\0\x01\0\0\0\0\0"

static void statistics(void)
{
    COMMAND("\x08\x00");
    COMMAND("\x08\x01" PART("\x00", RX));
    COMMAND("\x08\x01" PART("\x01", TX));
    COMMAND("\x08\x01" PART("\x00", TX));
    COMMAND("\x08\x01" PART("\xff", RX));
    COMMAND("\x08\x01" PART("\x00", RX) PART("\x00", TX));
    COMMAND("\x08\x01" PART("\x02", "\0\0\0\0\x01\0\0\0"));
    rig.data = 0;
}

static uint64_t lives(const char *const *options, const char *mutant)
{
    rig_open(options, mutant);
    for (unsigned life = 0; life < 2; life++) {
        start();
        ask(PL_GET_CONFIG, PL_F_length, 12);
        struct pl_msg config = {.kind = PL_GET_CONFIG};
        config.f[PL_F_offset] = 12;
        config.f[PL_F_length] = 16;
        tell(config);
        frames();
        flows();
        COMMAND("\x09\x03\x01\0");
        filters();
        announce();
        steering();
        scaling();
        coalescing();
        statistics();
    }
    uint64_t digest = rig.digest;
    rig_close();
    return digest;
}

START_TEST(every_mutant_differs)
{
    size_t n, seen = 0, used = 0;
    const struct pl_mutant *mutants = pl_device_mutants(pl_spec_find("virtio-msg-r1"), &n);
    char same[4096] = "";
    for (size_t i = 0; i < n; i++) {
        if (strcmp(mutants[i].part, "net_ctrl") != 0)
            continue;
        seen++;
        if (lives(NULL, mutants[i].id) == lives(mutants[i].options, NULL))
            used += (size_t)snprintf(same + used, sizeof(same) - used, " %s", mutants[i].id);
    }
    ck_assert_uint_ge(seen, 80);
    ck_assert_msg(!same[0], "these mutants do not differ from the faithful device:%s", same);
}
END_TEST

/* --- what the faithful device does --- */

static void faithful(void)
{
    static const char *const options[] = {"type=net", ALL, "features_add_high=1", NULL};
    rig_open(options, NULL);
    start();
}

START_TEST(filters_by_address)
{
    faithful();
    ck_assert_uint_eq(PLAIN(OWN), 1);
    ck_assert_uint_eq(PLAIN(EVERYBODY), 1);
    ck_assert_uint_eq(PLAIN(STRANGER), 0);
    ck_assert_uint_eq(PLAIN(GROUP), 0);
    ck_assert_uint_eq(COMMAND("\x01\x00\x01\0\0\0" STRANGER "\x01\0\0\0" GROUP), VIRTIO_NET_OK);
    ck_assert_uint_eq(PLAIN(STRANGER), 1);
    ck_assert_uint_eq(PLAIN(GROUP), 1);
    ck_assert_uint_eq(COMMAND("\x00\x03\x01"), VIRTIO_NET_OK);
    ck_assert_uint_eq(PLAIN(GROUP), 0);
    ck_assert_uint_eq(VLAN(OWN, "\x01\x05"), 0);
    ck_assert_uint_eq(COMMAND("\x02\x00\x05\x01"), VIRTIO_NET_OK);
    ck_assert_uint_eq(VLAN(OWN, "\x01\x05"), 1);
    rig_close();
}
END_TEST

/* Data that is too short, too long or beyond what there is. */
START_TEST(refuses_what_is_wrong)
{
    faithful();
    ck_assert_uint_eq(COMMAND("\x00\x00"), VIRTIO_NET_ERR);
    ck_assert_uint_eq(COMMAND("\x00\x00\x02"), VIRTIO_NET_ERR);
    ck_assert_uint_eq(COMMAND("\x00\x06\x01"), VIRTIO_NET_ERR);
    ck_assert_uint_eq(COMMAND("\x01\x00\x01\0\0\0" STRANGER "\x01\0\0\0"), VIRTIO_NET_ERR);
    ck_assert_uint_eq(COMMAND("\x01\x00\xff\xff\xff\xff" STRANGER), VIRTIO_NET_ERR);
    ck_assert_uint_eq(COMMAND("\x02\x00\x00\x10"), VIRTIO_NET_ERR);
    ck_assert_uint_eq(COMMAND("\x04\x00\x00\x00"), VIRTIO_NET_ERR);
    ck_assert_uint_eq(COMMAND("\x04\x00\x03\x00"), VIRTIO_NET_ERR);
    ck_assert_uint_eq(COMMAND("\x04\x01" RSS("\x3f", "\x02", "\x00", "\x01", "\x01", "\x00")),
                      VIRTIO_NET_ERR);
    ck_assert_uint_eq(COMMAND("\x04\x01" RSS("\x7f", "\x00", "\x00", "\x01", "\x01", "\x00")),
                      VIRTIO_NET_ERR);
    ck_assert_uint_eq(COMMAND("\x04\x01\x3f\0\0\0\xff\xff\0\0"), VIRTIO_NET_ERR);
    ck_assert_uint_eq(COMMAND("\x09\x03\x01\0"), VIRTIO_NET_ERR);
    rig_close();
}
END_TEST

START_TEST(steers_by_hash_and_by_flow)
{
    faithful();
    ck_assert_uint_eq(COMMAND("\x04\x01" RSS("\x02", "\x00", "\x01", "\x01", "\x01", "\x01")),
                      VIRTIO_NET_OK);
    ck_assert_uint_eq(FLOW4(1, "\x06", "\x01", "\x02", "\x01", "\x02"), 3);
    ck_assert_uint_eq(FLOW4(1, "\x11", "\x01", "\x02", "\x01", "\x02"), 1);
    ck_assert_uint_eq(FLOW6(1, "\x06", "\x01", "\x02", "\x01", "\x02"), 1);
    ck_assert_uint_eq(COMMAND("\x04\x00\x02\x00"), VIRTIO_NET_OK);
    ck_assert_uint_eq(FLOW4(3, "\x11", "\x01", "\x02", "\x01", "\x02"), 3);
    ck_assert_uint_eq(FLOW4(1, "\x11", "\x01", "\x02", "\x01", "\x02"), 1);
    ck_assert_uint_eq(COMMAND("\x04\x00\x01\x00"), VIRTIO_NET_OK);
    ck_assert_uint_eq(FLOW6(1, "\x06", "\x01", "\x02", "\x01", "\x02"), 1);
    rig_close();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("peer_net");
    TCase *tc = tcase_create("net");
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, filters_by_address);
    tcase_add_test(tc, refuses_what_is_wrong);
    tcase_add_test(tc, steers_by_hash_and_by_flow);
    tcase_add_test(tc, every_mutant_differs);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
