/* The reference device's data path, driven in this process through the driver end of a ring: every
 * type, split and packed, with delays, resets and hostile rings. */
#include <check.h>
#include <endian.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_console.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "peer/device.h"
#include "ring/ring.h"
#include "wire/wire.h"

#define BASE     UINT64_C(0x100000000)
#define MEMORY   ((size_t)8 << 20)
#define RING_AT  UINT64_C(0x10000)  /* of queue 0; each other RING_GAP on */
#define RING_GAP UINT64_C(0x100000) /* room for the largest ring */
#define DATA_AT  UINT64_C(0x400000)
#define BIT(n)   (UINT64_C(1) << (n))
#define PLAIN    (BIT(PL_C_F_VERSION_1) | BIT(PL_C_F_RING_RESET))
#define RUNNING                                                                                    \
    (PL_C_STATUS_ACKNOWLEDGE | PL_C_STATUS_DRIVER | PL_C_STATUS_FEATURES_OK | PL_C_STATUS_DRIVER_OK)

/* A device with its driver's rings, and what came from it. */
struct rig {
    const struct pl_spec *spec;
    void *self;
    uint8_t *memory;
    uint64_t features, now, data;
    uint16_t token, size;
    struct pl_driver_ring *ring[4];
    unsigned used_events[3], config_events;
    struct pl_msg m;
    uint8_t in[PL_MSG_MAX + 1], out[PL_MSG_MAX + 1];
};

static struct rig rig;

static struct pl_ring_memory shared(void)
{
    return (struct pl_ring_memory){.mem = rig.memory, .base = BASE, .size = MEMORY};
}

static void rig_open_file(const char *type, const char *const *options, const char *mutant,
                          const char *file)
{
    const struct pl_device_config config = {
        .type = type, .options = options, .mutant = mutant, .seed = 5, .file = file};
    memset(&rig, 0, sizeof(rig));
    rig.memory = calloc(1, MEMORY);
    rig.spec = pl_spec_find("virtio-msg-r1");
    rig.size = 16;
    const struct pl_endpoint_env env = {.revision = 1,
                                        .max_msg_size = 264,
                                        .mem = rig.memory,
                                        .mem_base = BASE,
                                        .mem_size = MEMORY};
    rig.self = pl_device_endpoint.open(&config, &env);
    ck_assert_ptr_nonnull(rig.self);
}

static void rig_open(const char *type, const char *option)
{
    const char *const options[] = {option, NULL};
    rig_open_file(type, options, NULL, NULL);
}

static void rig_close(void)
{
    for (size_t i = 0; i < 4; i++)
        pl_driver_ring_free(rig.ring[i]);
    pl_device_endpoint.close(rig.self);
    free(rig.memory);
}

/* Take the next message, events being counted; false where there is none. */
static bool next(void)
{
    int size = pl_device_endpoint.poll(rig.self, rig.in, sizeof(rig.in));
    ck_assert_int_ge(size, 0);
    if (size == 0)
        return false;
    pl_decode(rig.spec, rig.in, (size_t)size, &rig.m);
    ck_assert_int_eq(rig.m.form, PL_FORM_OK);
    rig.config_events += rig.m.kind == PL_EVENT_CONFIG;
    if (rig.m.kind == PL_EVENT_USED) {
        ck_assert_uint_lt(rig.m.f[PL_F_vq_index], 3);
        rig.used_events[rig.m.f[PL_F_vq_index]]++;
    }
    return true;
}

static void drain(void)
{
    while (next())
        ck_assert(!rig.m.response);
}

static void put(const struct pl_msg *m)
{
    ssize_t size = pl_encode(rig.spec, m, rig.out, sizeof(rig.out));
    ck_assert_int_gt(size, 0);
    ck_assert_int_eq(pl_device_endpoint.deliver(rig.self, rig.out, (size_t)size), 0);
}

/* Send a request and take its response, events before it being counted. */
static void ask(const struct pl_msg *m)
{
    put(m);
    do
        ck_assert(next());
    while (!rig.m.response);
    ck_assert_int_eq(rig.m.kind, m->kind);
    ck_assert_uint_eq(rig.m.token, m->token);
}

static struct pl_msg request(enum pl_kind kind)
{
    return (struct pl_msg){.kind = kind, .token = ++rig.token};
}

static uint64_t set_status(uint64_t status)
{
    struct pl_msg m = request(PL_SET_DEVICE_STATUS);
    m.f[PL_F_status] = status;
    ask(&m);
    return rig.m.f[PL_F_status];
}

static uint64_t get_status(void)
{
    struct pl_msg m = request(PL_GET_DEVICE_STATUS);
    ask(&m);
    return rig.m.f[PL_F_status];
}

static void reset_queue(uint32_t index)
{
    struct pl_msg m = request(PL_RESET_VQUEUE);
    m.f[PL_F_index] = index;
    ask(&m);
}

static void advance(uint64_t ms)
{
    rig.now += ms;
    pl_device_endpoint.advance(rig.self, rig.now);
    drain();
}

static void negotiate(uint64_t features)
{
    uint8_t words[8];
    rig.features = features;
    set_status(PL_C_STATUS_ACKNOWLEDGE);
    set_status(PL_C_STATUS_ACKNOWLEDGE | PL_C_STATUS_DRIVER);
    for (unsigned i = 0; i < 8; i++)
        words[i] = (uint8_t)(features >> (8 * i));
    struct pl_msg m = request(PL_SET_DRIVER_FEATURES);
    m.f[PL_F_num_blocks] = 2;
    m.data = words;
    m.data_len = sizeof(words);
    ask(&m);
    uint64_t wanted = RUNNING & ~(uint64_t)PL_C_STATUS_DRIVER_OK;
    ck_assert_uint_eq(set_status(wanted), wanted);
}

/* Lay a ring out for a queue, and hand it over. */
static void enable(uint32_t index)
{
    const struct pl_ring_memory memory = shared();
    struct pl_ring_setup setup = {.packed = rig.features & BIT(PL_C_F_RING_PACKED),
                                  .indirect = rig.features & BIT(PL_C_F_INDIRECT_DESC),
                                  .event_idx = rig.features & BIT(PL_C_F_EVENT_IDX),
                                  .in_order = rig.features & BIT(PL_C_F_IN_ORDER),
                                  .size = rig.size};
    int err;
    ck_assert_int_eq(pl_ring_place(&setup, BASE + RING_AT + index * RING_GAP), 0);
    pl_driver_ring_free(rig.ring[index]);
    rig.ring[index] = pl_driver_ring_new(&memory, &setup, &err);
    ck_assert_ptr_nonnull(rig.ring[index]);
    struct pl_msg m = request(PL_SET_VQUEUE);
    m.f[PL_F_index] = index;
    m.f[PL_F_flags] = PL_C_SVQ_ENABLE;
    m.f[PL_F_size] = setup.size;
    m.f[PL_F_desc_addr] = setup.desc_addr;
    m.f[PL_F_driver_addr] = setup.driver_addr;
    m.f[PL_F_device_addr] = setup.device_addr;
    ask(&m);
}

static void start(uint64_t features, unsigned queues)
{
    negotiate(features);
    for (unsigned i = 0; i < queues; i++)
        enable(i);
    ck_assert_uint_eq(set_status(RUNNING), RUNNING);
    drain();
}

/* Room for data in the shared memory: its bus address. */
static uint64_t room(size_t bytes)
{
    uint64_t at = BASE + DATA_AT + rig.data;
    rig.data += (bytes + 15) / 16 * 16;
    ck_assert_uint_le(DATA_AT + rig.data, MEMORY);
    return at;
}

static uint8_t *at(uint64_t addr)
{
    return rig.memory + (addr - BASE);
}

static void kick(uint32_t index)
{
    struct pl_msg m = {.kind = PL_EVENT_AVAIL};
    m.f[PL_F_vq_index] = index;
    put(&m);
    drain();
}

static int add(uint32_t index, const struct pl_ring_buffer *buffers, size_t n)
{
    bool indirect = n > 1 && rig.features & BIT(PL_C_F_INDIRECT_DESC);
    int id = pl_driver_ring_add(rig.ring[index], buffers, n, indirect ? room(16 * n) : 0);
    ck_assert_int_ge(id, 0);
    pl_driver_ring_publish(rig.ring[index]);
    return id;
}

static void kick_if_due(uint32_t index)
{
    if (pl_driver_ring_kick_due(rig.ring[index]))
        kick(index);
}

/* The next used chain must be this one, with so many bytes. */
static void used(uint32_t index, int id, uint32_t written)
{
    struct pl_ring_used got;
    enum pl_ring_fault fault;
    int r = pl_driver_ring_poll(rig.ring[index], &got, &fault);
    ck_assert_msg(r == 1, "poll: %d, %s", r, r < 0 ? pl_ring_fault_text(fault) : "nothing used");
    ck_assert_int_eq(got.id, id);
    if (!got.implied)
        ck_assert_uint_eq(got.written, written);
}

static void unused(uint32_t index)
{
    struct pl_ring_used got;
    enum pl_ring_fault fault;
    ck_assert_int_eq(pl_driver_ring_poll(rig.ring[index], &got, &fault), 0);
}

/* --- block --- */

struct block {
    uint64_t header, data, status;
    size_t len;
    int id;
};

/* Make a request available: `write` says which way the data goes. */
static struct block block_add(uint32_t queue, uint32_t type, uint64_t sector, size_t len,
                              bool write)
{
    struct block b = {.header = room(16), .data = room(len), .status = room(1), .len = len};
    const struct virtio_blk_outhdr header = {.type = htole32(type), .sector = htole64(sector)};
    memcpy(at(b.header), &header, sizeof(header));
    *at(b.status) = 0xee;
    const struct pl_ring_buffer buffers[] = {
        {b.header, sizeof(header), false}, {b.data, (uint32_t)len, !write}, {b.status, 1, true}};
    if (len > 0)
        b.id = add(queue, buffers, 3);
    else
        b.id = add(queue, (const struct pl_ring_buffer[]){buffers[0], buffers[2]}, 2);
    return b;
}

/* One request from end to end; its status. */
static uint8_t block_do(uint32_t type, uint64_t sector, void *data, size_t len, bool write)
{
    uint64_t before = rig.data;
    struct block b = block_add(0, type, sector, len, write);
    if (write && data)
        memcpy(at(b.data), data, len);
    kick_if_due(0);
    used(0, b.id, (uint32_t)(write ? 1 : len + 1));
    if (!write && data)
        memcpy(data, at(b.data), len);
    rig.data = before;
    return *at(b.status);
}

static void pattern(uint8_t *bytes, size_t len, unsigned seed)
{
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)(i * 7 + i / 256 + seed);
}

static const uint64_t combinations[] = {
    PLAIN,
    PLAIN | BIT(PL_C_F_EVENT_IDX),
    PLAIN | BIT(PL_C_F_INDIRECT_DESC) | BIT(PL_C_F_IN_ORDER),
    PLAIN | BIT(PL_C_F_RING_PACKED),
    PLAIN | BIT(PL_C_F_RING_PACKED) | BIT(PL_C_F_EVENT_IDX) | BIT(PL_C_F_INDIRECT_DESC),
    PLAIN | BIT(PL_C_F_RING_PACKED) | BIT(PL_C_F_IN_ORDER) | BIT(PL_C_F_NOTIFICATION_DATA),
};
#define COMBINATIONS (int)(sizeof(combinations) / sizeof(combinations[0]))

START_TEST(block_reads_what_was_written)
{
    uint8_t wrote[8192], read[8192];
    rig_open("block", NULL);
    start(combinations[_i], 1);
    for (unsigned round = 0; round < 40; round++) {
        pattern(wrote, sizeof(wrote), round);
        ck_assert_uint_eq(block_do(VIRTIO_BLK_T_OUT, round * 16, wrote, sizeof(wrote), true), 0);
        ck_assert_uint_eq(block_do(VIRTIO_BLK_T_IN, round * 16, read, sizeof(read), false), 0);
        ck_assert_mem_eq(wrote, read, sizeof(read));
    }
    ck_assert_uint_eq(rig.used_events[0], 80);
    ck_assert_uint_eq(get_status(), RUNNING);
    rig_close();
}
END_TEST

/* A chain of so many bytes to be read and to be written; the first one written. */
static uint8_t block_odd(size_t header, size_t status)
{
    const struct pl_ring_buffer buffers[] = {{room(16), (uint32_t)header, false},
                                             {room(16), (uint32_t)status, true}};
    int id = add(0, buffers, status ? 2 : 1);
    *at(buffers[1].addr) = 0;
    kick_if_due(0);
    used(0, id, (uint32_t)status);
    return *at(buffers[1].addr);
}

START_TEST(block_statuses)
{
    uint8_t data[1024];
    char id[VIRTIO_BLK_ID_BYTES];
    rig_open("block", NULL);
    start(combinations[_i], 1);
    pattern(data, sizeof(data), 1);
    ck_assert_uint_eq(block_do(VIRTIO_BLK_T_OUT, 8190, data, 1024, true), VIRTIO_BLK_S_OK);
    ck_assert_uint_eq(block_do(VIRTIO_BLK_T_OUT, 8191, data, 1024, true), VIRTIO_BLK_S_IOERR);
    ck_assert_uint_eq(block_do(VIRTIO_BLK_T_IN, 8191, data, 1024, false), VIRTIO_BLK_S_IOERR);
    ck_assert_uint_eq(block_do(VIRTIO_BLK_T_IN, UINT64_MAX, data, 512, false), VIRTIO_BLK_S_IOERR);
    ck_assert_uint_eq(block_do(VIRTIO_BLK_T_IN, 0, data, 511, false), VIRTIO_BLK_S_IOERR);
    ck_assert_uint_eq(block_do(VIRTIO_BLK_T_OUT, 0, data, 100, true), VIRTIO_BLK_S_IOERR);
    ck_assert_uint_eq(block_do(VIRTIO_BLK_T_FLUSH, 0, NULL, 0, true), VIRTIO_BLK_S_OK);
    ck_assert_uint_eq(block_do(77, 0, NULL, 0, true), VIRTIO_BLK_S_UNSUPP);
    ck_assert_uint_eq(block_do(VIRTIO_BLK_T_DISCARD, 0, data, 16, true), VIRTIO_BLK_S_UNSUPP);
    ck_assert_uint_eq(block_do(VIRTIO_BLK_T_GET_ID, 0, id, sizeof(id), false), VIRTIO_BLK_S_OK);
    ck_assert_int_eq(strncmp(id, "plumbline", 9), 0);
    ck_assert_uint_eq(block_odd(15, 1), VIRTIO_BLK_S_IOERR);
    ck_assert_uint_eq(block_odd(16, 0), 0); /* nowhere to put a status */
    ck_assert_uint_eq(get_status(), RUNNING);
    rig_close();
}
END_TEST

START_TEST(block_read_only)
{
    uint8_t data[512] = {1}, read[512];
    rig_open("block", "features_add=0x20");
    start(PLAIN | BIT(VIRTIO_BLK_F_RO) | BIT(VIRTIO_BLK_F_WRITE_ZEROES), 1);
    ck_assert_uint_eq(block_do(VIRTIO_BLK_T_OUT, 0, data, 512, true), VIRTIO_BLK_S_IOERR);
    ck_assert_uint_eq(block_do(VIRTIO_BLK_T_IN, 0, read, 512, false), VIRTIO_BLK_S_OK);
    ck_assert_uint_eq(read[0], 0);
    memset(data, 0, sizeof(data));
    ck_assert_uint_eq(block_do(VIRTIO_BLK_T_WRITE_ZEROES, 0, data, 16, true), VIRTIO_BLK_S_IOERR);
    rig_close();
}
END_TEST

static uint8_t block_clear(uint32_t type, uint64_t sector, uint32_t count, uint32_t flags)
{
    struct virtio_blk_discard_write_zeroes segments[2] = {
        {htole64(sector), htole32(count), htole32(flags)}, {htole64(100), htole32(1), 0}};
    return block_do(type, 0, segments, sizeof(segments), true);
}

START_TEST(block_clears)
{
    const uint32_t type = _i ? VIRTIO_BLK_T_WRITE_ZEROES : VIRTIO_BLK_T_DISCARD;
    uint8_t data[512 * 4], read[512 * 4];
    rig_open("block", NULL);
    start(PLAIN | BIT(VIRTIO_BLK_F_DISCARD) | BIT(VIRTIO_BLK_F_WRITE_ZEROES), 1);
    pattern(data, sizeof(data), 9);
    for (uint64_t sector = 30; sector < 42; sector += 4)
        ck_assert_uint_eq(block_do(VIRTIO_BLK_T_OUT, sector, data, sizeof(data), true), 0);
    ck_assert_uint_eq(block_clear(type, 31, 2, 2), VIRTIO_BLK_S_UNSUPP);
    ck_assert_uint_eq(block_clear(type, 31, 2, 1), _i ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_UNSUPP);
    ck_assert_uint_eq(block_clear(type, 8191, 2, 0), VIRTIO_BLK_S_IOERR);
    ck_assert_uint_eq(block_clear(type, 0, 2049, 0), VIRTIO_BLK_S_IOERR);
    ck_assert_uint_eq(block_clear(type, 31, 2, 0), VIRTIO_BLK_S_OK);
    ck_assert_uint_eq(block_do(VIRTIO_BLK_T_IN, 30, read, sizeof(read), false), 0);
    memset(data + 512, 0, 1024);
    ck_assert_mem_eq(read, data, sizeof(data));
    pattern(data, sizeof(data), 9);
    ck_assert_uint_eq(block_do(VIRTIO_BLK_T_IN, 34, read, sizeof(read), false), 0);
    ck_assert_mem_eq(read, data, sizeof(data));
    rig_close();
}
END_TEST

static const char *control(const char *line)
{
    static char answer[256];
    ck_assert_int_eq(pl_device_endpoint.control(rig.self, line, answer, sizeof(answer)), 0);
    return answer;
}

START_TEST(block_capacity_changes)
{
    uint8_t data[512] = {0};
    rig_open("block", NULL);
    start(PLAIN, 1);
    ck_assert_uint_eq(block_do(VIRTIO_BLK_T_OUT, 20, data, 512, true), VIRTIO_BLK_S_OK);
    ck_assert_str_eq(control("config-change 0 0 1000000000000000"), "ok");
    ck_assert_uint_eq(block_do(VIRTIO_BLK_T_OUT, 16, data, 512, true), VIRTIO_BLK_S_IOERR);
    ck_assert_uint_eq(block_do(VIRTIO_BLK_T_OUT, 15, data, 512, true), VIRTIO_BLK_S_OK);
    ck_assert_str_eq(control("config-change 0 0 0000000000000010"), "ok");
    ck_assert_uint_eq(block_do(VIRTIO_BLK_T_OUT, UINT64_C(1) << 59, data, 512, true), 0);
    ck_assert_uint_eq(rig.config_events, 2);
    rig_close();
}
END_TEST

START_TEST(block_on_a_file)
{
    char path[] = "/tmp/test_peer_io.XXXXXX", error[256];
    uint8_t data[512], read[512];
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ftruncate(fd, 100 * 512), 0);
    rig_open_file("block", NULL, NULL, path);
    start(PLAIN, 1);
    pattern(data, sizeof(data), 3);
    ck_assert_uint_eq(block_do(VIRTIO_BLK_T_OUT, 99, data, 512, true), VIRTIO_BLK_S_OK);
    ck_assert_uint_eq(block_do(VIRTIO_BLK_T_FLUSH, 0, NULL, 0, true), VIRTIO_BLK_S_OK);
    ck_assert_uint_eq(block_do(VIRTIO_BLK_T_OUT, 100, data, 512, true), VIRTIO_BLK_S_IOERR);
    ck_assert_int_eq(pread(fd, read, 512, 99 * 512), 512);
    ck_assert_mem_eq(read, data, 512);
    rig_close();
    close(fd);
    unlink(path);
    const struct pl_device_config config = {.file = path};
    ck_assert_int_lt(pl_device_config_check(&config, error, sizeof(error)), 0);
    ck_assert_ptr_nonnull(strstr(error, path));
}
END_TEST

/* --- many at once --- */

static void read_many(struct block *b, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        b[i] = block_add(0, VIRTIO_BLK_T_IN, i, 512, false);
}

START_TEST(batches_are_announced_together)
{
    static const struct {
        const char *option;
        unsigned events;
    } cases[] = {{"io_batch=0", 1},
                 {"io_batch=1", 5},
                 {"io_batch=2", 3},
                 {"io_spurious=1", 2},
                 {"io_in_order_batch=1", 1}};
    struct block b[5];
    for (size_t f = 0; f < sizeof(combinations) / sizeof(combinations[0]); f++) {
        rig_open("block", cases[_i].option);
        start(combinations[f] & ~BIT(PL_C_F_EVENT_IDX), 1);
        for (unsigned round = 1; round <= 20; round++) {
            read_many(b, 5);
            kick(0);
            ck_assert_uint_eq(rig.used_events[0], round * cases[_i].events);
            for (unsigned i = 0; i < 5; i++)
                used(0, b[i].id, 513);
        }
        rig_close();
    }
}
END_TEST

START_TEST(any_order_is_another_order)
{
    struct block b[5];
    struct pl_ring_used got;
    enum pl_ring_fault fault;
    unsigned moved = 0;
    rig_open("block", "io_out_of_order=1");
    start(combinations[_i], 1);
    for (unsigned round = 0; round < 20; round++) {
        read_many(b, 5);
        kick(0);
        for (unsigned i = 0; i < 5; i++) {
            ck_assert_int_eq(pl_driver_ring_poll(rig.ring[0], &got, &fault), 1);
            moved += got.id != b[i].id;
        }
        unused(0);
    }
    if (rig.features & BIT(PL_C_F_IN_ORDER))
        ck_assert_uint_eq(moved, 0);
    else
        ck_assert_uint_gt(moved, 0);
    rig_close();
}
END_TEST

START_TEST(notifications_are_suppressed)
{
    uint8_t data[512];
    rig_open("block", NULL);
    start(combinations[_i], 1);
    pl_driver_ring_notify(rig.ring[0], PL_RING_NOTIFY_NEVER, 0);
    for (unsigned i = 0; i < 40; i++)
        ck_assert_uint_eq(block_do(VIRTIO_BLK_T_IN, 0, data, 512, false), 0);
    ck_assert_uint_eq(rig.used_events[0], 0);
    pl_driver_ring_notify(rig.ring[0], PL_RING_NOTIFY_ALWAYS, 0);
    ck_assert_uint_eq(block_do(VIRTIO_BLK_T_IN, 0, data, 512, false), 0);
    ck_assert_uint_eq(rig.used_events[0], 1);
    if (rig.features & BIT(PL_C_F_EVENT_IDX)) {
        pl_driver_ring_notify(rig.ring[0], PL_RING_NOTIFY_AT, 2);
        for (unsigned i = 0; i < 3; i++)
            block_do(VIRTIO_BLK_T_IN, 0, data, 512, false);
        ck_assert_uint_eq(rig.used_events[0], 2);
    }
    rig_close();
}
END_TEST

/* Every queue size that there is, until the ring has wrapped often enough. */
START_TEST(queues_of_every_size)
{
    static const uint16_t sizes[] = {1, 2, 3, 4, 5, 7, 256, 32768};
    bool packed = _i % 2;
    rig_open("entropy", "queue_size=32768");
    rig.size = sizes[_i / 2];
    if (packed || (rig.size & (rig.size - 1)) == 0) {
        start(PLAIN | (packed ? BIT(PL_C_F_RING_PACKED) : 0), 1);
        const struct pl_ring_buffer one = {room(16), 16, true};
        unsigned n = rig.size == 256 ? 70000 : rig.size == 32768 ? 33000 : 300; /* all wrap */
        for (unsigned i = 0; i < n; i++) {
            int id = add(0, &one, 1);
            kick(0);
            used(0, id, 16);
        }
        ck_assert_uint_eq(rig.used_events[0], n);
    }
    rig_close();
}
END_TEST

/* Chains of more buffers than the device end holds are done as far as it holds them. */
START_TEST(long_chains)
{
    static struct pl_ring_buffer buffers[3000];
    rig_open("entropy", "queue_size=32768");
    rig.size = 4096;
    start(PLAIN, 1);
    for (size_t i = 0; i < 3000; i++)
        buffers[i] = (struct pl_ring_buffer){room(1), 1, true};
    int id = add(0, buffers, 3000);
    kick(0);
    used(0, id, PL_RING_CHAIN_MAX);
    rig_close();
}
END_TEST

/* --- the other types --- */

START_TEST(entropy_fills)
{
    uint8_t first[64], zeros[64] = {0};
    rig_open("entropy", NULL);
    start(combinations[_i], 1);
    const struct pl_ring_buffer buffers[] = {{room(20), 20, true}, {room(44), 44, true}};
    int id = add(0, buffers, 2);
    kick_if_due(0);
    used(0, id, 64);
    memcpy(first, at(buffers[0].addr), 64);
    ck_assert_mem_ne(first, zeros, 20);
    ck_assert_mem_ne(at(buffers[1].addr), zeros, 44);
    id = add(0, buffers, 2);
    kick_if_due(0);
    used(0, id, 64);
    ck_assert_mem_ne(first, at(buffers[0].addr), 20);
    rig_close();
}
END_TEST

START_TEST(console_loops_back)
{
    rig_open("console", _i ? "io_partial=1" : NULL);
    start(combinations[_i % COMBINATIONS], 2);
    const struct pl_ring_buffer out = {room(5), 5, false}, in = {room(32), 32, true};
    memcpy(at(out.addr), "hello", 5);
    int sent = add(1, &out, 1); /* characters before there is a buffer for them */
    kick_if_due(1);
    used(1, sent, 0);
    int got = add(0, &in, 1);
    kick_if_due(0);
    used(0, got, _i ? 1 : 5);
    ck_assert_mem_eq(at(in.addr), "hello", _i ? 1 : 5);
    got = add(0, &in, 1); /* and a buffer before there are characters */
    kick_if_due(0);
    if (!_i)
        unused(0);
    sent = add(1, &out, 1);
    kick_if_due(1);
    used(1, sent, 0);
    used(0, got, _i ? 1 : 5);
    ck_assert_mem_eq(at(in.addr), _i ? "e" : "hello", _i ? 1 : 5);
    rig_close();
}
END_TEST

static int net_send(const char *text)
{
    const struct pl_ring_buffer out = {room(64), (uint32_t)(12 + strlen(text)), false};
    memcpy(at(out.addr) + 12, text, strlen(text));
    int id = add(1, &out, 1);
    kick_if_due(1);
    return id;
}

START_TEST(net_loops_back)
{
    struct virtio_net_hdr_v1 header;
    rig_open("net", NULL);
    start(combinations[_i], 2);
    const struct pl_ring_buffer small = {room(16), 16, true}, in = {room(1526), 1526, true};
    int first = add(0, &small, 1), second = add(0, &in, 1);
    kick_if_due(0);
    used(1, net_send("a packet"), 0); /* too large for the first buffer, which stays */
    unused(0);
    used(1, net_send("abcd"), 0);
    used(0, first, 16);
    ck_assert_mem_eq(at(small.addr) + 12, "abcd", 4);
    used(1, net_send("another packet"), 0);
    used(0, second, 26);
    memcpy(&header, at(in.addr), sizeof(header));
    ck_assert_uint_eq(le16toh(header.num_buffers), 1);
    ck_assert_uint_eq(header.flags, 0);
    ck_assert_mem_eq(at(in.addr) + 12, "another packet", 14);
    rig_close();
}
END_TEST

START_TEST(net_merges_buffers)
{
    struct virtio_net_hdr_v1 header;
    int ids[3];
    rig_open("net", _i ? "io_batch=1" : NULL);
    start(PLAIN | BIT(VIRTIO_NET_F_MRG_RXBUF), 2);
    const struct pl_ring_buffer in = {room(48), 16, true};
    for (unsigned i = 0; i < 2; i++)
        ids[i] = add(0, &(struct pl_ring_buffer){in.addr + 16 * i, 16, true}, 1);
    kick_if_due(0);
    used(1, net_send("in three buffers, so long"), 0);
    unused(0);
    ids[2] = add(0, &(struct pl_ring_buffer){in.addr + 32, 16, true}, 1);
    kick_if_due(0);
    used(0, ids[0], 16);
    used(0, ids[1], 16);
    used(0, ids[2], 5);
    memcpy(&header, at(in.addr), sizeof(header));
    ck_assert_uint_eq(le16toh(header.num_buffers), 3);
    ck_assert_mem_eq(at(in.addr) + 12, "in three buffers, so long", 25);
    ck_assert_uint_eq(rig.used_events[0], 1); /* the buffers of a packet come together */
    rig_close();
}
END_TEST

START_TEST(net_control_knows_no_command)
{
    rig_open("net", NULL);
    start(PLAIN | BIT(VIRTIO_NET_F_CTRL_VQ), 3);
    const struct pl_ring_buffer buffers[] = {{room(2), 2, false}, {room(1), 1, true}};
    int id = add(2, buffers, 2);
    kick_if_due(2);
    used(2, id, 1);
    ck_assert_uint_eq(*at(buffers[1].addr), VIRTIO_NET_ERR);
    rig_close();
}
END_TEST

/* --- when there is I/O, and when there is none --- */

START_TEST(nothing_before_driver_ok)
{
    rig_open("block", _i ? "io_early=0" : NULL);
    negotiate(PLAIN);
    enable(0);
    struct block b = block_add(0, VIRTIO_BLK_T_IN, 0, 512, false);
    kick(0);
    advance(1000);
    unused(0);
    ck_assert_uint_eq(*at(b.status), 0xee);
    set_status(RUNNING);
    drain();
    if (_i) {
        unused(0);
        kick(0);
    }
    used(0, b.id, 513);
    ck_assert_uint_eq(rig.used_events[0], 1);
    rig_close();
}
END_TEST

START_TEST(delayed_io_is_in_flight)
{
    rig_open("block", "io_delay=5");
    start(combinations[_i], 1);
    struct block a = block_add(0, VIRTIO_BLK_T_IN, 0, 512, false);
    kick_if_due(0);
    ck_assert_uint_eq(pl_device_endpoint.next_ms(rig.self), 5);
    advance(4);
    struct block b = block_add(0, VIRTIO_BLK_T_IN, 0, 512, false);
    kick_if_due(0);
    unused(0);
    advance(1);
    used(0, a.id, 513);
    unused(0);
    advance(4);
    used(0, b.id, 513);
    ck_assert_uint_eq(rig.used_events[0], 2);
    ck_assert_uint_eq(pl_device_endpoint.next_ms(rig.self), UINT64_MAX);
    rig_close();
}
END_TEST

/* With io_reset what is in flight is done before the reset ends, without it is dropped. */
static void stop_in_flight(bool whole, bool finish, const char *delay)
{
    const char *const options[] = {"io_delay=5", finish ? "io_reset=1" : "io_reset=0", delay, NULL};
    rig_open_file("block", options, NULL, NULL);
    start(PLAIN, 2);
    struct block b = block_add(0, VIRTIO_BLK_T_IN, 0, 512, false);
    struct block other = block_add(1, VIRTIO_BLK_T_IN, 0, 512, false);
    kick(0);
    kick(1);
    if (whole)
        set_status(0);
    else
        reset_queue(0);
    ck_assert_uint_eq(rig.used_events[0], finish);
    ck_assert_uint_eq(*at(b.status), finish ? 0 : 0xee);
    if (finish)
        used(0, b.id, 513);
    kick(0);
    advance(5);
    if (whole)
        unused(1 - (finish ? 1 : 0));
    else
        used(1, other.id, 513);
    ck_assert_uint_eq(rig.used_events[0], finish);
    ck_assert_uint_eq(*at(b.status), finish ? 0 : 0xee);
    unused(0);
    if (whole) {
        ck_assert_uint_eq(get_status(), 0);
        start(PLAIN, 1);
    } else {
        enable(0);
    }
    b = block_add(0, VIRTIO_BLK_T_IN, 0, 512, false);
    kick(0);
    advance(5);
    used(0, b.id, 513);
    rig_close();
}

START_TEST(resets_end_what_is_in_flight)
{
    stop_in_flight(_i & 1, _i & 2, _i & 4 ? "reset_delay=3" : NULL);
}
END_TEST

START_TEST(an_error_ends_io)
{
    rig_open("block", NULL);
    start(PLAIN, 1);
    control("needs-reset 0");
    struct block b = block_add(0, VIRTIO_BLK_T_IN, 0, 512, false);
    kick(0);
    unused(0);
    ck_assert_uint_eq(*at(b.status), 0xee);
    rig_close();
}
END_TEST

START_TEST(rings_that_cannot_be)
{
    static const uint64_t bad[][2] = {{PL_F_desc_addr, 0x1000},
                                      {PL_F_driver_addr, BASE + MEMORY},
                                      {PL_F_device_addr, UINT64_MAX - 3},
                                      {PL_F_device_addr, BASE + 0x20001},
                                      {PL_F_size, 3}};
    rig_open("block", "refuse_bad_size=0");
    negotiate(PLAIN);
    struct pl_msg m = request(PL_SET_VQUEUE);
    m.f[PL_F_flags] = PL_C_SVQ_ENABLE;
    m.f[PL_F_size] = 16;
    m.f[PL_F_desc_addr] = BASE + 0x10000;
    m.f[PL_F_driver_addr] = BASE + 0x11000;
    m.f[PL_F_device_addr] = BASE + 0x12000;
    m.f[bad[_i][0]] = bad[_i][1];
    ask(&m);
    set_status(RUNNING);
    memset(rig.memory, 0x5a, 0x20000);
    kick(0);
    advance(10);
    for (size_t i = 0; i < 0x20000; i++)
        ck_assert_uint_eq(rig.memory[i], 0x5a);
    ck_assert_uint_eq(get_status(), RUNNING);
    rig_close();
}
END_TEST

START_TEST(polling_needs_no_notification)
{
    const char *const options[] = {"io_poll=1", "io_suppress=1", NULL};
    rig_open_file("block", options, NULL, NULL);
    start(combinations[_i], 1);
    for (unsigned i = 0; i < 100; i++) {
        struct block b = block_add(0, VIRTIO_BLK_T_IN, 0, 512, false);
        if (i > 0)
            ck_assert(!pl_driver_ring_kick_due(rig.ring[0]));
        unused(0);
        ck_assert_uint_eq(pl_device_endpoint.next_ms(rig.self), rig.now + 1);
        advance(1);
        used(0, b.id, 513);
        rig.data = 0;
    }
    rig_close();
}
END_TEST

/* --- hostile rings --- */

/* A broken ring leads to DEVICE_NEEDS_RESET and EVENT_CONFIG, and a reset out of it. */
START_TEST(a_bad_ring_needs_a_reset)
{
    rig_open("block", _i ? "io_fault=1" : NULL);
    start(PLAIN, 1);
    const struct pl_ring_setup *setup = pl_driver_ring_setup(rig.ring[0]);
    const uint16_t far = htole16(1000);
    memcpy(at(setup->driver_addr) + 2, &far, 2);
    kick(0);
    ck_assert_uint_eq(rig.config_events, _i ? 0 : 1);
    ck_assert_uint_eq(get_status(), _i ? RUNNING : RUNNING | PL_C_STATUS_DEVICE_NEEDS_RESET);
    kick(0);
    ck_assert_uint_eq(rig.config_events, _i ? 0 : 1);
    set_status(0);
    start(PLAIN, 1);
    ck_assert_uint_eq(block_do(VIRTIO_BLK_T_FLUSH, 0, NULL, 0, true), 0);
    rig_close();
}
END_TEST

static uint64_t drawn;

static uint32_t draw(uint32_t below)
{
    drawn = drawn * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(drawn >> 33) % below;
}

/* Whatever stands in the memory: no crash, no endless loop, and a reset always helps. */
START_TEST(hostile_memory)
{
    static const char *const types[] = {"block", "net", "console", "entropy"};
    static const char *const options[] = {NULL, "io_delay=1", "io_fault=1", "io_poll=1",
                                          "io_out_of_order=1"};
    drawn = (uint64_t)_i;
    rig_open(types[_i % 4], options[_i % 5]);
    for (unsigned life = 0; life < 30; life++) {
        rig.size = (uint16_t)(1u << draw(6));
        start(combinations[draw(COMBINATIONS)] |
                  BIT(VIRTIO_NET_F_MRG_RXBUF) * (uint64_t)(_i % 4 == 1 && draw(2)),
              _i % 4 == 3 ? 1 : 2);
        const struct pl_ring_setup *setup = pl_driver_ring_setup(rig.ring[0]);
        const struct pl_ring_bytes bytes = pl_ring_bytes(setup->packed, setup->size);
        for (unsigned i = 0; i < 60; i++) {
            uint64_t to = BASE + RING_AT + draw(2) * RING_GAP + draw((uint32_t)bytes.whole);
            switch (draw(4)) {
            case 0: /* an address that may lie in the memory */
                memcpy(at(to & ~UINT64_C(15)), &(uint64_t){BASE + draw(MEMORY)}, 8);
                break;
            case 1:
                *at(to) = (uint8_t)draw(256);
                break;
            case 2: /* an index that is near */
                memcpy(at(setup->driver_addr) + 2, &(uint16_t){(uint16_t)draw(20)}, 2);
                break;
            default: /* small fields */
                memcpy(at((to & ~UINT64_C(15)) + 8),
                       (const uint16_t[]){(uint16_t)draw(600), 0, (uint16_t)draw(8),
                                          (uint16_t)draw(16)},
                       8);
                break;
            }
            kick(draw(3));
            if (draw(8) == 0)
                advance(1);
        }
        set_status(0);
        ck_assert_uint_eq(get_status(), 0);
    }
    rig_close();
}
END_TEST

/* Buffers that lie in the ring itself: the device overwrites its own ring, and no more. */
START_TEST(buffers_in_the_ring)
{
    rig_open("entropy", NULL);
    start(combinations[_i], 1);
    const struct pl_ring_setup *setup = pl_driver_ring_setup(rig.ring[0]);
    const struct pl_ring_buffer buffer = {setup->desc_addr, (uint32_t)MEMORY / 4, true};
    add(0, &buffer, 1);
    for (unsigned i = 0; i < 100; i++)
        kick(0);
    set_status(0);
    ck_assert_uint_eq(get_status(), 0);
    rig_close();
}
END_TEST

/* --- mutants --- */

static uint64_t digest;

static void note(const void *bytes, size_t size)
{
    const uint8_t *p = bytes;
    for (size_t i = 0; i < size; i++)
        digest = (digest ^ p[i]) * UINT64_C(0x100000001b3);
}

/* Everything that can be seen from outside: messages, rings, buffers. */
static void observe(void)
{
    int size;
    while ((size = pl_device_endpoint.poll(rig.self, rig.in, sizeof(rig.in))) > 0)
        note(rig.in, (size_t)size);
    note("|", 1);
    for (unsigned i = 0; i < 3; i++)
        note(rig.memory + RING_AT + i * RING_GAP, 1024);
    note(rig.memory + DATA_AT - 16, rig.data + 32);
}

static void tell(enum pl_kind kind, enum pl_field field, uint64_t value, uint64_t more)
{
    struct pl_msg m = request(kind);
    m.f[field] = value;
    if (kind == PL_EVENT_AVAIL)
        m.f[PL_F_next_offset] = more;
    if (kind == PL_GET_CONFIG)
        m.f[PL_F_length] = more;
    put(&m);
    observe();
}

static void tell_control(const char *line)
{
    control(line);
    observe();
}

static void tell_features(uint64_t features)
{
    uint8_t words[8];
    struct pl_msg m = request(PL_SET_DRIVER_FEATURES);
    for (unsigned i = 0; i < 8; i++)
        words[i] = (uint8_t)(features >> (8 * i));
    m.f[PL_F_num_blocks] = 2;
    m.data = words;
    m.data_len = sizeof(words);
    put(&m);
    m = request(PL_GET_DEVICE_FEATURES);
    m.f[PL_F_num_blocks] = 2;
    put(&m);
    observe();
}

static void tell_queue(uint32_t index, uint16_t size)
{
    const struct pl_ring_memory memory = shared();
    struct pl_ring_setup setup = {.packed = rig.features & BIT(PL_C_F_RING_PACKED),
                                  .indirect = rig.features & BIT(PL_C_F_INDIRECT_DESC),
                                  .event_idx = rig.features & BIT(PL_C_F_EVENT_IDX),
                                  .in_order = rig.features & BIT(PL_C_F_IN_ORDER),
                                  .size = size};
    int err;
    pl_ring_place(&setup, BASE + RING_AT + index * RING_GAP);
    pl_driver_ring_free(rig.ring[index]);
    rig.ring[index] = pl_driver_ring_new(&memory, &setup, &err);
    struct pl_msg m = request(PL_SET_VQUEUE);
    m.f[PL_F_index] = index;
    m.f[PL_F_flags] = PL_C_SVQ_ENABLE;
    m.f[PL_F_size] = setup.size;
    m.f[PL_F_desc_addr] = setup.desc_addr;
    m.f[PL_F_driver_addr] = setup.driver_addr;
    m.f[PL_F_device_addr] = setup.device_addr;
    put(&m);
    tell(PL_GET_VQUEUE, PL_F_index, index, 0);
}

/* A chain with these readable bytes and so much room, in pieces; kicked with data where asked. */
static void tell_chain(uint32_t index, const void *bytes, size_t n, size_t writable, size_t piece,
                       bool kicks)
{
    struct pl_ring_buffer buffers[32];
    size_t count = 0, total = n + writable;
    uint64_t from = room(n + 1), to = room(writable + 1);
    if (n)
        memcpy(at(from), bytes, n);
    memset(at(to), 0xee, writable);
    for (size_t done = 0; done < total && count < 32;) {
        bool writes = done >= n;
        size_t left = writes ? total - done : n - done, size = left < piece ? left : piece;
        uint64_t addr = writes ? to + (done - n) : from + done;
        buffers[count++] = (struct pl_ring_buffer){addr, (uint32_t)size, writes};
        done += size;
    }
    bool table = rig.features & BIT(PL_C_F_INDIRECT_DESC) && piece % 2;
    pl_driver_ring_add(rig.ring[index], buffers, count, table ? room(16 * count) : 0);
    pl_driver_ring_publish(rig.ring[index]);
    bool wrap;
    uint64_t offset = pl_driver_ring_kick_offset(rig.ring[index], &wrap);
    if (!(rig.features & BIT(PL_C_F_NOTIFICATION_DATA)))
        offset = wrap = 0;
    if (kicks)
        tell(PL_EVENT_AVAIL, PL_F_vq_index, index, offset | (uint64_t)wrap << 31);
}

static void reap(uint32_t index)
{
    struct pl_ring_used got;
    enum pl_ring_fault fault;
    while (pl_driver_ring_poll(rig.ring[index], &got, &fault) > 0)
        continue;
}

static void tell_block(uint32_t type, uint64_t sector, const void *data, size_t n, size_t writable)
{
    uint8_t bytes[16 + 2048];
    const struct virtio_blk_outhdr header = {.type = htole32(type), .sector = htole64(sector)};
    memcpy(bytes, &header, 16);
    if (n > 0)
        memcpy(bytes + 16, data, n);
    tell_chain(0, bytes, 16 + n, writable + 1, n + writable > 100 ? 700 : 16, true);
    reap(0);
}

static void blocks(void)
{
    static const uint32_t zones[] = {15, 16, 18, 20, 77};
    uint8_t data[1024];
    pattern(data, sizeof(data), 8);
    tell_block(VIRTIO_BLK_T_OUT, 300, data, 1024, 0);
    tell_block(VIRTIO_BLK_T_IN, 300, NULL, 0, 1024);
    tell_block(VIRTIO_BLK_T_IN, 8192, NULL, 0, 512);
    tell_block(VIRTIO_BLK_T_FLUSH, 0, NULL, 0, 0);
    const struct virtio_blk_outhdr spread = {.sector = htole64(300)};
    tell_chain(0, &spread, 16, 1025, 300, true);
    reap(0);
    for (uint32_t type = VIRTIO_BLK_T_DISCARD; type <= VIRTIO_BLK_T_WRITE_ZEROES; type += 2) {
        for (uint32_t flags = 0; flags < 3; flags++) {
            struct virtio_blk_discard_write_zeroes segment = {htole64(300), htole32(1),
                                                              htole32(flags)};
            tell_block(VIRTIO_BLK_T_OUT, 300, data, 1024, 0);
            tell_block(type, 0, &segment, sizeof(segment), 0);
            tell_block(VIRTIO_BLK_T_IN, 300, NULL, 0, 1024);
        }
    }
    for (size_t i = 0; i < 5; i++)
        tell_block(zones[i], 0, NULL, 0, 0);
    tell_control("config-change 0 0 0021000000000000");
    tell_block(VIRTIO_BLK_T_IN, 8192, NULL, 0, 512);
    tell_control("config-change 0 56 00");
    tell_control("config-change 0 0 0020000000000000");
}

enum {
    TELL_LIFETIME = 10,
    TELL_ERASE = 14,
    TELL_APPEND = 15,
    TELL_REPORT = 16,
    TELL_OPEN = 18,
    TELL_CLOSE = 20,
    TELL_FINISH = 22,
    TELL_RESET = 24,
    TELL_RESET_ALL = 26
};
enum { TELL_METRICS = 15, TELL_ERASES = 16, TELL_ZONED = 17 }; /* feature bits */

/* A request of a zone's life: so far from its beginning, with so much data, or room for it. */
struct zone_step {
    uint32_t type;
    uint8_t offset, sectors;
    uint16_t room;
};
static const struct zone_step zone_life[] = {
    {TELL_CLOSE, 0, 0, 0},           {TELL_RESET, 0, 0, 0},         {VIRTIO_BLK_T_OUT, 8, 8, 0},
    {VIRTIO_BLK_T_OUT, 0, 8, 0},     {VIRTIO_BLK_T_OUT, 0, 8, 0},   {VIRTIO_BLK_T_OUT, 8, 1, 0},
    {VIRTIO_BLK_T_IN, 0, 0, 512},    {TELL_OPEN, 0, 0, 0},          {TELL_OPEN, 0, 0, 0},
    {TELL_CLOSE, 0, 0, 0},           {TELL_CLOSE, 0, 0, 0},         {TELL_OPEN, 0, 0, 0},
    {TELL_APPEND, 0, 8, 8},          {VIRTIO_BLK_T_IN, 10, 0, 512}, {TELL_APPEND, 8, 8, 8},
    {TELL_APPEND, 0, 16, 8},         {TELL_APPEND, 0, 17, 8},       {TELL_FINISH, 0, 0, 0},
    {TELL_FINISH, 0, 0, 0},          {TELL_OPEN, 0, 0, 0},          {TELL_CLOSE, 0, 0, 0},
    {VIRTIO_BLK_T_OUT, 0, 8, 0},     {TELL_APPEND, 0, 8, 8},        {TELL_RESET, 0, 0, 0},
    {VIRTIO_BLK_T_IN, 8, 0, 512},    {TELL_OPEN, 0, 0, 0},          {TELL_CLOSE, 0, 0, 0},
    {TELL_FINISH, 0, 0, 0},          {VIRTIO_BLK_T_IN, 8, 0, 512},  {TELL_RESET, 0, 0, 0},
    {VIRTIO_BLK_T_IN, 127, 0, 1024}, {VIRTIO_BLK_T_OUT, 0, 64, 0},  {VIRTIO_BLK_T_OUT, 64, 32, 0},
    {VIRTIO_BLK_T_OUT, 96, 64, 0},   {VIRTIO_BLK_T_OUT, 96, 8, 0},  {VIRTIO_BLK_T_IN, 120, 0, 512},
    {TELL_RESET, 0, 0, 0},           {VIRTIO_BLK_T_OUT, 0, 8, 0},   {VIRTIO_BLK_T_IN, 8, 0, 512},
    {TELL_ERASE, 0, 1, 0},           {VIRTIO_BLK_T_IN, 0, 0, 512},  {TELL_RESET, 0, 0, 0}};

/* A secure erase of one zone, or of as many sectors. */
static void tell_erase(uint64_t sector, uint32_t flags)
{
    const struct virtio_blk_discard_write_zeroes all = {htole64(sector), htole32(128),
                                                        htole32(flags)};
    tell_block(TELL_ERASE, 0, &all, sizeof(all), 0);
}

/* A request with as much data, or room; a secure erase is of the whole zone. */
static void tell_zone(uint32_t type, uint64_t sector, const void *data, size_t n, size_t writable)
{
    static uint8_t bytes[16 + 70 * 512];
    const struct virtio_blk_outhdr header = {.type = htole32(type), .sector = htole64(sector)};
    if (type == TELL_ERASE) {
        tell_erase(sector, 0);
        return;
    }
    memcpy(bytes, &header, 16);
    if (n > 0)
        memcpy(bytes + 16, data, n);
    rig.data = 0; /* there is room for one at a time */
    tell_chain(0, bytes, 16 + n, writable + 1, sizeof(bytes), true);
    rig.now += 8;
    pl_device_endpoint.advance(rig.self, rig.now);
    observe();
    reap(0);
}

static void packets(void)
{
    uint8_t packet[1600] = {0};
    memcpy(packet + 24, "\x81\x00\x00\x05", 4);
    for (unsigned i = 0; i < 8; i++)
        tell_chain(0, packet, 0, i % 3 ? 1600 : 40, 1600, true);
    for (unsigned i = 0; i < 5; i++) {
        static const size_t sizes[] = {60, 1512, 1600, 60, 60};
        packet[0] = i == 3 ? 0x80 : 0;
        packet[6] = i == 4;
        packet[24] = i == 1 ? 0x81 : 8;
        tell_chain(1, packet, sizes[i], 0, 1600, true);
        reap(0);
        reap(1);
    }
    packet[24] = 0x81;
    tell_chain(1, packet, 64, 0, 1600, true);
    tell_chain(2, "\x07\x01", 2, 1, 2, true);
}

/* What a console with ports is told, and the buffers for what it says. */
static void ports(void)
{
    static const struct virtio_console_control told[] = {
        {.event = VIRTIO_CONSOLE_DEVICE_READY, .value = 1},
        {.id = 1, .event = VIRTIO_CONSOLE_PORT_READY, .value = 0},
        {.id = 0, .event = VIRTIO_CONSOLE_PORT_READY, .value = 1}};
    for (unsigned i = 0; i < 4; i++)
        tell_chain(2, NULL, 0, 32, 32, true);
    for (unsigned i = 0; i < 3; i++)
        tell_chain(3, &told[i], sizeof(told[i]), 0, 32, true);
    reap(2);
    reap(3);
}

/* An event is asked for so far on that none is due yet. */
static void far_event(uint32_t index, const uint8_t *bytes, size_t readable)
{
    reap(index);
    pl_driver_ring_notify(rig.ring[index], PL_RING_NOTIFY_AT, 3);
    tell_chain(index, bytes, readable, index ? 0 : 4, 40, true);
    reap(index);
    pl_driver_ring_notify(rig.ring[index], PL_RING_NOTIFY_ALWAYS, 0);
}

/* What a type is for, then many chains at once, and notifications suppressed and odd. */
static void work(const char *type)
{
    rig.data = 0;
    if (strcmp(type, "block") == 0)
        blocks();
    else if (strcmp(type, "net") == 0)
        packets();
    else if (rig.ring[3])
        ports();
    uint32_t index = strcmp(type, "net") == 0 || strcmp(type, "console") == 0;
    size_t readable = strcmp(type, "entropy") == 0 ? 0 : 32;
    static const uint8_t bytes[32] = {VIRTIO_BLK_T_FLUSH};
    for (unsigned i = 0; i < 24; i++) {
        for (unsigned k = 0; k <= i % 3; k++)
            tell_chain(index, bytes, readable, index ? 0 : 4 + i % 8, 8 + i % 2, k == i % 3);
        tell(PL_EVENT_AVAIL, PL_F_vq_index, index, 0);
        rig.now += 8;
        pl_device_endpoint.advance(rig.self, rig.now);
        observe();
        reap(index);
        if (i == 12)
            far_event(index, bytes, readable);
        static const enum pl_ring_notify notify[] = {PL_RING_NOTIFY_ALWAYS, PL_RING_NOTIFY_AT,
                                                     PL_RING_NOTIFY_NEVER};
        pl_driver_ring_notify(rig.ring[index], notify[i / 4 % 3], (uint16_t)(i % 3));
        const struct pl_ring_setup *setup = pl_driver_ring_setup(rig.ring[index]);
        if (!setup->packed && setup->event_idx) /* flags say nothing then */
            *at(setup->driver_addr) = i & 1;
        if (!setup->packed && !setup->event_idx) /* and used_event says nothing here */
            memset(at(setup->driver_addr) + 4 + 2 * setup->size, 0x80, 2);
        rig.data = 0;
    }
}

/* Zone requests of each kind to zones of each kind, the last ones of the first 64; reports. */
static void zones(void)
{
    static const uint64_t at_zone[] = {0, 256, 384, 512, 640, 768, 896, 1024};
    static uint8_t data[70 * 512];
    pattern(data, sizeof(data), 9);
    for (size_t z = 0; z < 8; z++) {
        uint64_t start = at_zone[z];
        tell_zone(TELL_REPORT, start + 3, NULL, 0, 64 + 3 * 64);
        for (size_t i = 0; i < sizeof(zone_life) / sizeof(zone_life[0]); i++) {
            const struct zone_step *step = &zone_life[i];
            tell_zone(step->type, start + step->offset, data, step->sectors * 512u, step->room);
            tell_zone(TELL_REPORT, start, NULL, 0, 64 + 64);
        }
    }
    for (size_t z = 1; z < 8; z++) /* as many as can be open, and more */
        tell_zone(TELL_OPEN, at_zone[z], NULL, 0, 0);
    tell_zone(VIRTIO_BLK_T_OUT, 2048, data, 512, 0);
    tell_zone(TELL_APPEND, 2048, data, 512, 8);
    tell_zone(TELL_REPORT, 0, NULL, 0, 64 + 20 * 64);
    tell_zone(TELL_RESET_ALL, 0, NULL, 0, 0);
    for (size_t z = 1; z < 8; z++) { /* as many as can be active, and more */
        tell_zone(VIRTIO_BLK_T_OUT, at_zone[z], data, 4096, 0);
        tell_zone(TELL_CLOSE, at_zone[z], NULL, 0, 0);
    }
    tell_zone(TELL_OPEN, 2048, NULL, 0, 0);
    tell_zone(TELL_FINISH, 256, NULL, 0, 0);
    tell_zone(TELL_OPEN, 384, NULL, 0, 0);
    tell_zone(TELL_RESET_ALL, 0, NULL, 0, 0);
    tell_zone(TELL_REPORT, 0, NULL, 0, 64 + 20 * 64);
}

static void tell_status(uint64_t status)
{
    tell(PL_SET_DEVICE_STATUS, PL_F_status, status, 0);
}

/* A packed list whose id stands in its last descriptor only. */
static void odd_id(void)
{
    const struct pl_ring_setup *setup = pl_driver_ring_setup(rig.ring[0]);
    static const uint8_t flush[16] = {VIRTIO_BLK_T_FLUSH};
    uint64_t header = room(16), status = room(1);
    if (!setup->packed)
        return;
    tell(PL_RESET_VQUEUE, PL_F_index, 0, 0);
    tell_queue(0, 8);
    setup = pl_driver_ring_setup(rig.ring[0]);
    memcpy(at(header), flush, 16);
    pl_driver_ring_add(
        rig.ring[0], (const struct pl_ring_buffer[]){{header, 16, false}, {status, 1, true}}, 2, 0);
    memcpy(at(setup->desc_addr) + 12, &(uint16_t){0xbeef}, 2);
    pl_driver_ring_publish(rig.ring[0]);
    tell(PL_EVENT_AVAIL, PL_F_vq_index, 0, 0);
}

/* Errors, the device's own and one that a ring makes it run into. */
static void errors(uint32_t index, const uint8_t *bytes, size_t readable)
{
    const struct pl_ring_setup *setup = pl_driver_ring_setup(rig.ring[index]);
    uint8_t *first = at(setup->desc_addr);
    tell_chain(index, bytes, readable, index ? 0 : 4, 32, false);
    for (unsigned i = 0; i < setup->size; i++) /* addresses that lead nowhere */
        memset(first + 16 * i, 0xff, 8);
    tell(PL_EVENT_AVAIL, PL_F_vq_index, index, 0);
    tell(PL_GET_DEVICE_STATUS, PL_F_none, 0, 0);
    tell_control("needs-reset 0");
    tell(PL_GET_DEVICE_STATUS, PL_F_none, 0, 0);
}

/* The ways of life of one device type, up to its end by an error. */
static void end_badly(const char *type, uint64_t features, unsigned queues, bool by_ring)
{
    static const uint8_t bytes[32] = {VIRTIO_BLK_T_FLUSH};
    uint32_t index = strcmp(type, "net") == 0 || strcmp(type, "console") == 0;
    tell_status(0);
    rig.now += 8;
    pl_device_endpoint.advance(rig.self, rig.now);
    tell_status(PL_C_STATUS_ACKNOWLEDGE | PL_C_STATUS_DRIVER);
    tell_features(features);
    tell_status(RUNNING & ~(uint64_t)PL_C_STATUS_DRIVER_OK);
    for (unsigned i = 0; i < queues; i++)
        tell_queue(i, 8);
    tell_status(RUNNING);
    if (by_ring)
        errors(index, bytes, strcmp(type, "entropy") == 0 ? 0 : 32);
    else
        tell_control("needs-reset 0");
    tell(PL_GET_DEVICE_STATUS, PL_F_none, 0, 0);
    tell_status(0);
}

/* Chains that the ring's driver end does not make: tables behind descriptors, and odd flags. */
static void odd_tables(void)
{
    const struct pl_ring_setup *setup = pl_driver_ring_setup(rig.ring[0]);
    static const uint8_t flush[16] = {VIRTIO_BLK_T_FLUSH};
    if (!setup->indirect)
        return;
    for (unsigned round = 0; round < 3; round++) {
        tell_queue(0, 8);
        tell(PL_RESET_VQUEUE, PL_F_index, 0, 0);
        tell_queue(0, 8);
        setup = pl_driver_ring_setup(rig.ring[0]);
        uint64_t table = room(48), header = room(16), status = room(1);
        bool next = round == 1;
        memcpy(at(header), flush, 16);
        pl_driver_ring_add(rig.ring[0],
                           (const struct pl_ring_buffer[]){{header, 16, false}, {status, 1, true}},
                           2, round == 2 && !setup->packed ? 0 : table);
        if (round == 2 && !setup->packed) { /* the second descriptor becomes a table */
            memcpy(at(table), at(setup->desc_addr) + 16, 16);
            memset(at(table) + 14, 0, 2);
            memcpy(at(setup->desc_addr) + 16, &(uint64_t){table}, 8);
            memcpy(at(setup->desc_addr) + 24, &(uint32_t){16}, 4);
            memcpy(at(setup->desc_addr) + 28, &(uint16_t){VRING_DESC_F_INDIRECT}, 2);
        } else {
            if (setup->packed)
                *at(table + 14) = (uint8_t)next;
        }
        pl_driver_ring_publish(rig.ring[0]);
        if (round < 2)
            *at(setup->desc_addr + (setup->packed ? 14 : 12)) |= VRING_DESC_F_WRITE;
        tell(PL_EVENT_AVAIL, PL_F_vq_index, 0, 0);
    }
}

static void tell_emergency(void)
{
    struct pl_msg m = request(PL_SET_CONFIG);
    m.f[PL_F_offset] = 8;
    m.f[PL_F_length] = 4;
    m.data = (const uint8_t *)"x\0\0\0";
    m.data_len = 4;
    put(&m);
    observe();
}

/* Suspended with requests under way, spoken to meanwhile, and resumed. */
static void suspends(const char *type, uint32_t index, const uint8_t *bytes, size_t readable)
{
    const uint64_t both = RUNNING | PL_C_STATUS_SUSPEND;
    struct pl_msg m = request(PL_SET_CONFIG);
    tell_chain(index, bytes, readable, index ? 0 : 4, 8, true);
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned k = 0; k < 3; k++) {
            tell_status(both);
            rig.now += 3;
            pl_device_endpoint.advance(rig.self, rig.now);
            tell(PL_GET_DEVICE_STATUS, PL_F_none, 0, 0);
            if (round == 0 && k == 0) {
                tell_chain(index, bytes, readable, index ? 0 : 4, 8, true);
                tell_control("config-change 0 0 55");
                m.f[PL_F_length] = 1;
                m.data = bytes;
                m.data_len = 1;
                put(&m);
                tell(PL_GET_CONFIG, PL_F_offset, 0, strcmp(type, "entropy") == 0 ? 0 : 12);
            }
        }
        tell(PL_EVENT_AVAIL, PL_F_vq_index, index, 0);
        reap(index);
    }
    tell_status(RUNNING);
}

static void live(const char *type, uint64_t features, unsigned queues)
{
    static const uint8_t bytes[32] = {VIRTIO_BLK_T_FLUSH};
    size_t readable = strcmp(type, "entropy") == 0 ? 0 : 32;
    uint32_t index = strcmp(type, "net") == 0 || strcmp(type, "console") == 0;
    rig.features = features;
    rig.data = 0;
    tell(PL_GET_DEVICE_INFO, PL_F_none, 0, 0);
    tell_status(PL_C_STATUS_ACKNOWLEDGE | PL_C_STATUS_DRIVER);
    tell(PL_GET_CONFIG, PL_F_offset, 0, strcmp(type, "entropy") == 0 ? 0 : 12);
    tell(PL_GET_CONFIG, PL_F_offset, 0, strcmp(type, "block") == 0 ? 60 : 0);
    if (strcmp(type, "console") == 0)
        tell_emergency();
    tell_features(features);
    tell_status(RUNNING & ~(uint64_t)PL_C_STATUS_DRIVER_OK);
    tell(PL_GET_CONFIG, PL_F_offset, 0, strcmp(type, "block") == 0 ? 60 : 0);
    if (features & BIT(PL_C_F_SUSPEND)) { /* too early */
        tell_status((RUNNING & ~(uint64_t)PL_C_STATUS_DRIVER_OK) | PL_C_STATUS_SUSPEND);
        tell(PL_GET_DEVICE_STATUS, PL_F_none, 0, 0);
    }
    for (unsigned i = 0; i < queues; i++)
        tell_queue(i, 16);
    tell_chain(index, bytes, readable, index ? 0 : 4, 8, true);
    tell_status(RUNNING);
    reap(index);
    tell(PL_GET_CONFIG, PL_F_offset, 0, strcmp(type, "net") == 0 ? 12 : 0);
    if (features & BIT(PL_C_F_SUSPEND))
        suspends(type, index, bytes, readable);
    if (strcmp(type, "block") == 0 && features & BIT(TELL_ZONED))
        zones();
    if (strcmp(type, "block") == 0 && features & BIT(TELL_METRICS))
        tell_zone(TELL_LIFETIME, 0, NULL, 0, 6);
    if (strcmp(type, "block") == 0 && features & BIT(TELL_ERASES))
        for (uint32_t flags = 0; flags < 3; flags += 2)
            tell_erase(256, flags);
    work(type);
    if (queues == 2 && strcmp(type, "block") == 0)
        tell_chain(1, bytes, readable, 4, 8, true);
    tell_chain(index, bytes, readable, index ? 0 : 4, 8, true);
    for (unsigned i = 2; i > 0; i--) {
        tell(PL_RESET_VQUEUE, PL_F_index, i - 1, 0);
        tell(PL_GET_VQUEUE, PL_F_index, i - 1, 0);
        tell(PL_EVENT_AVAIL, PL_F_vq_index, i - 1, 0);
        rig.now += 8;
        pl_device_endpoint.advance(rig.self, rig.now);
        observe();
    }
    for (unsigned i = 0; i < queues; i++) {
        tell_queue(i, 4);
        tell(PL_RESET_VQUEUE, PL_F_index, i, 0);
        tell_queue(i, 8);
    }
    tell_chain(index, bytes, readable, index ? 0 : 4, 32, true);
    reap(index);
    if (strcmp(type, "block") == 0) {
        odd_tables();
        odd_id();
    }
    tell_chain(index, bytes, readable, index ? 0 : 4, 32, true);
    tell_control("config-change 0 0 11");
    tell_status(0);
    tell_control("config-change 0 0 12");
    for (unsigned i = 0; i < 3; i++) {
        rig.now += 3;
        pl_device_endpoint.advance(rig.self, rig.now);
        tell(PL_GET_DEVICE_STATUS, PL_F_none, 0, 0);
    }
    tell_status(0);
    tell(PL_GET_CONFIG, PL_F_offset, 0, 0);
}

/* Features that an option adds, and those that go with zones, as far as a driver takes them. */
static uint64_t added(const char *const *options)
{
    const uint64_t all = BIT(TELL_METRICS) | BIT(TELL_ERASES) | BIT(PL_C_F_SUSPEND);
    uint64_t bits = 0;
    for (size_t i = 0; options && options[i]; i++) {
        if (strncmp(options[i], "features_add=", 13) == 0)
            bits |= strtoull(options[i] + 13, NULL, 0) & all;
        if (strncmp(options[i], "zoned=", 6) == 0)
            bits |= BIT(TELL_ZONED);
    }
    return bits;
}

static bool with_ports(const char *const *options)
{
    bool console = false, ports = false;
    for (size_t i = 0; options && options[i]; i++) {
        console |= strcmp(options[i], "type=console") == 0;
        ports |= strcmp(options[i], "features_add=2") == 0;
    }
    return console && ports;
}

static uint64_t lives(const char *const *options, const char *mutant, uint64_t features)
{
    const char *kind = "block";
    for (size_t i = 0; options && options[i]; i++)
        if (strncmp(options[i], "type=", 5) == 0)
            kind = options[i] + 5;
    unsigned queues = strcmp(kind, "net") == 0 ? 3 : strcmp(kind, "entropy") == 0 ? 1 : 2;
    bool block = strcmp(kind, "block") == 0;
    bool multiport = with_ports(options);
    queues = multiport ? 4 : queues;
    uint64_t own = block ? BIT(VIRTIO_BLK_F_DISCARD) | BIT(VIRTIO_BLK_F_WRITE_ZEROES) : 0;
    own = added(options) & BIT(TELL_ZONED) ? 0 : own;
    own |= added(options);
    if (strcmp(kind, "net") == 0)
        own = BIT(VIRTIO_NET_F_MTU) |
              (features & BIT(PL_C_F_EVENT_IDX) ? BIT(VIRTIO_NET_F_MRG_RXBUF) : 0);
    own |= multiport ? BIT(VIRTIO_CONSOLE_F_MULTIPORT) : 0;
    if (block && features & BIT(PL_C_F_EVENT_IDX))
        own |= BIT(VIRTIO_BLK_F_CONFIG_WCE);
    rig_open_file(NULL, mutant ? NULL : options, mutant, NULL); /* a mutant brings its own */
    digest = UINT64_C(0xcbf29ce484222325);
    live(kind, features | own, queues);
    live(kind, (features & ~BIT(PL_C_F_RING_RESET)) | (own & ~BIT(TELL_ZONED)), queues);
    end_badly(kind, features | own, queues, false);
    end_badly(kind, features | own, queues, true);
    tell_control("reset-delay 0 4");
    live(kind, features | own, queues);
    rig_close();
    return digest;
}

/* The device type among a mutant's options, and no more of them. */
static const char *const *type_of(const char *const *options)
{
    static const char *only[2];
    only[0] = NULL;
    for (size_t i = 0; options[i]; i++)
        if (strncmp(options[i], "type=", 5) == 0)
            only[0] = options[i];
    return only;
}

/* Every mutant runs through I/O of each kind, and differs from the faithful device. */
START_TEST(every_mutant_differs)
{
    size_t n, seen = 0, used = 0;
    const struct pl_mutant *mutants = pl_device_mutants(pl_spec_find("virtio-msg-r1"), &n);
    char same[16384] = "";
    for (size_t i = 0; i < n; i++) {
        bool differs = false;
        if (strcmp(mutants[i].part, "io") != 0)
            continue;
        seen++;
        for (int f = 0; f < COMBINATIONS && !differs; f++)
            differs =
                lives(mutants[i].options, mutants[i].id, combinations[f]) !=
                lives(mutants[i].options_only ? type_of(mutants[i].options) : mutants[i].options,
                      NULL, combinations[f]);
        if (!differs)
            used += (size_t)snprintf(same + used, sizeof(same) - used, " %s", mutants[i].id);
    }
    ck_assert_uint_ge(seen, 150);
    ck_assert_msg(!same[0], "these mutants do not differ from the faithful device:%s", same);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("peer_io");
    TCase *block = tcase_create("block");
    tcase_add_loop_test(block, block_reads_what_was_written, 0, COMBINATIONS);
    tcase_add_loop_test(block, block_statuses, 0, COMBINATIONS);
    tcase_add_test(block, block_read_only);
    tcase_add_loop_test(block, block_clears, 0, 2);
    tcase_add_test(block, block_capacity_changes);
    tcase_add_test(block, block_on_a_file);
    suite_add_tcase(s, block);
    TCase *many = tcase_create("many");
    tcase_set_timeout(many, 60);
    tcase_add_loop_test(many, batches_are_announced_together, 0, 5);
    tcase_add_loop_test(many, any_order_is_another_order, 0, COMBINATIONS);
    tcase_add_loop_test(many, notifications_are_suppressed, 0, COMBINATIONS);
    tcase_add_loop_test(many, queues_of_every_size, 0, 16);
    tcase_add_test(many, long_chains);
    suite_add_tcase(s, many);
    TCase *types = tcase_create("types");
    tcase_add_loop_test(types, entropy_fills, 0, COMBINATIONS);
    tcase_add_loop_test(types, console_loops_back, 0, 2);
    tcase_add_loop_test(types, net_loops_back, 0, COMBINATIONS);
    tcase_add_loop_test(types, net_merges_buffers, 0, 2);
    tcase_add_test(types, net_control_knows_no_command);
    suite_add_tcase(s, types);
    TCase *life = tcase_create("life");
    tcase_add_loop_test(life, nothing_before_driver_ok, 0, 2);
    tcase_add_loop_test(life, delayed_io_is_in_flight, 0, COMBINATIONS);
    tcase_add_loop_test(life, resets_end_what_is_in_flight, 0, 8);
    tcase_add_test(life, an_error_ends_io);
    tcase_add_loop_test(life, rings_that_cannot_be, 0, 5);
    tcase_add_loop_test(life, polling_needs_no_notification, 0, COMBINATIONS);
    suite_add_tcase(s, life);
    TCase *hostile = tcase_create("hostile");
    tcase_set_timeout(hostile, 60);
    tcase_add_loop_test(hostile, a_bad_ring_needs_a_reset, 0, 2);
    tcase_add_loop_test(hostile, hostile_memory, 0, 40);
    tcase_add_loop_test(hostile, buffers_in_the_ring, 0, COMBINATIONS);
    suite_add_tcase(s, hostile);
    TCase *all = tcase_create("mutants");
    tcase_set_timeout(all, 120);
    tcase_add_test(all, every_mutant_differs);
    suite_add_tcase(s, all);
    return s;
}

int main(void)
{
    SRunner *runner = srunner_create(suite());
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
