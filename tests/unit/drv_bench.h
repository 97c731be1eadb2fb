/* A bench for the watch on a driver's rings: the test is the driver, with harness/ring's driver
 * end, and the reference device works at the far end. */
#ifndef PL_TEST_DRV_BENCH_H
#define PL_TEST_DRV_BENCH_H

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/drv_watch.h"
#include "oracle/drv_ring.h"
#include "ring/layout.h"
#include "ring/ring.h"

#define BIT(n) (UINT64_C(1) << (n))
#define BASE   UINT64_C(0x100000000)

enum { MEMORY = 8 << 20, RING_AT = 0x10000, DATA_AT = 0x200000, BROKEN_MAX = 64 };

struct bench {
    struct pl_port port;
    struct pl_session s;
    const struct pl_spec *spec;
    void *device;
    struct pl_device_config config;
    uint64_t now, features;
    uint16_t token;
    struct pl_ring_memory memory;
    struct pl_ring_setup setup;
    struct pl_driver_ring *ring;
    unsigned events; /* EVENT_USED that came */
    bool held_back;  /* what the device says waits there */
    uint32_t status; /* as told last */
    const char *broken[BROKEN_MAX];
    char text[BROKEN_MAX][200];
    unsigned n_broken;
    char *notes;
    size_t n_notes;
};

/* The bench is about these: it is no model driver where messages alone are concerned. */
static bool about_rings(const char *id)
{
    static const char *const own[] = {
        "CORE-SPLIT-",      "CORE-PACKED-", "CORE-VQRESET-", "CORE-INIT-DRV-07", "CORE-INIT-DRV-08",
        "CORE-INIT-DRV-09", "BLK-DRV-",     "ENT-DRV-",      "DROK-DRV-02",      "DROK-DRV-03",
        "NTFY-DRV-",        "USED-DRV-03",  "USED-DRV-04",   "AVAIL-DRV-"};
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
        if (strncmp(id, own[i], strlen(own[i])) == 0)
            return true;
    return false;
}

static void on_fail(void *opaque, size_t clause, const char *text)
{
    struct bench *b = opaque;
    const struct pl_clauses *all = pl_clauses_find(b->spec);
    if (b->n_broken == BROKEN_MAX || !about_rings(pl_clauses_get(all, clause)->id))
        return;
    snprintf(b->text[b->n_broken], sizeof(b->text[0]), "%s", text);
    b->broken[b->n_broken++] = pl_clauses_get(all, clause)->id;
}

static void on_note(void *opaque, const char *line)
{
    struct bench *b = opaque;
    size_t n = strlen(line);
    if (b->n_notes + n + 2 > 1 << 16)
        b->n_notes = 0;
    memcpy(b->notes + b->n_notes, line, n);
    memcpy(b->notes + b->n_notes + n, "\n", 2);
    b->n_notes += n + 1;
}

static bool is_broken(const struct bench *b, const char *id)
{
    for (unsigned i = 0; i < b->n_broken; i++)
        if (strcmp(b->broken[i], id) == 0)
            return true;
    return false;
}

/* The last lines that were told. */
static const char *told(const struct bench *b)
{
    return b->n_notes > 1500 ? b->notes + b->n_notes - 1500 : b->notes;
}

/* Exactly these clauses are broken, in any order: "A B C". */
static void expect_broken(struct bench *b, const char *ids)
{
    char copy[400], *save = NULL;
    snprintf(copy, sizeof(copy), "%s", ids);
    for (char *id = strtok_r(copy, " ", &save); id; id = strtok_r(NULL, " ", &save))
        ck_assert_msg(is_broken(b, id), "%s is not broken; told:\n%s", id, told(b));
    for (unsigned i = 0; i < b->n_broken; i++)
        ck_assert_msg(strstr(ids, b->broken[i]), "%s is broken: %s\ntold:\n%s", b->broken[i],
                      b->text[i], told(b));
}

static uint64_t applied(const struct bench *b, const char *id)
{
    int i = pl_clauses_index(pl_clauses_find(b->spec), id);
    ck_assert_int_ge(i, 0);
    return pl_oracle_clause(b->s.oracle, (size_t)i)->applied;
}

/* Each of these was judged and held: "A B C". */
static void expect_held(struct bench *b, const char *ids)
{
    char copy[800], *save = NULL;
    snprintf(copy, sizeof(copy), "%s", ids);
    for (char *id = strtok_r(copy, " ", &save); id; id = strtok_r(NULL, " ", &save)) {
        ck_assert_msg(applied(b, id) > 0, "%s was not met; told:\n%s", id, told(b));
        ck_assert_msg(!is_broken(b, id), "%s is broken", id);
    }
}

/* --- messages --- */

/* What the device has to say reaches the driver. */
static void relay(struct bench *b)
{
    uint8_t out[PL_MSG_MAX + 1];
    int n;
    while (!b->held_back && (n = pl_device_endpoint.poll(b->device, out, sizeof(out))) > 0) {
        struct pl_msg m;
        pl_oracle_sent(b->s.oracle, out, (size_t)n);
        pl_decode(b->spec, out, (size_t)n, &m);
        b->s.watch.message(b->s.watch.opaque, &m, true);
        b->events += m.kind == PL_EVENT_USED;
        if (m.kind == PL_SET_DEVICE_STATUS || m.kind == PL_GET_DEVICE_STATUS)
            b->status = (uint32_t)m.f[PL_F_status];
    }
}

/* A message to the driver that is not the device's own. */
static void inject(struct bench *b, const struct pl_msg *m)
{
    uint8_t out[512];
    struct pl_msg decoded;
    ssize_t n = pl_encode(b->spec, m, out, sizeof(out));
    ck_assert_int_gt(n, 0);
    pl_oracle_sent(b->s.oracle, out, (size_t)n);
    pl_decode(b->spec, out, (size_t)n, &decoded);
    b->s.watch.message(b->s.watch.opaque, &decoded, true);
}

static void send(struct bench *b, struct pl_msg *m)
{
    uint8_t bytes[512];
    struct pl_msg decoded;
    m->token = b->token++;
    ssize_t n = pl_encode(b->spec, m, bytes, sizeof(bytes));
    ck_assert_int_gt(n, 0);
    pl_oracle_received(b->s.oracle, bytes, (size_t)n);
    pl_decode(b->spec, bytes, (size_t)n, &decoded);
    b->s.watch.message(b->s.watch.opaque, &decoded, false);
    pl_device_endpoint.deliver(b->device, bytes, (size_t)n);
    relay(b);
    pl_drv_watch_look(&b->s);
}

/* So many milliseconds go by. */
static void wait_ms(struct bench *b, uint64_t ms)
{
    for (uint64_t end = b->now + ms; b->now <= end; b->now++) {
        pl_drv_watch_before(&b->s);
        pl_device_endpoint.advance(b->device, b->now);
        relay(b);
        pl_drv_watch_look(&b->s);
    }
}

static void settle(struct bench *b)
{
    wait_ms(b, 1);
    pl_drv_watch_before(&b->s);
    pl_oracle_settle(b->s.oracle);
}

static void write_status(struct bench *b, uint64_t status)
{
    struct pl_msg m = {.kind = PL_SET_DEVICE_STATUS};
    m.f[PL_F_status] = status;
    send(b, &m);
}

static void read_config(struct bench *b, uint64_t at, uint64_t len)
{
    struct pl_msg m = {.kind = PL_GET_CONFIG};
    m.f[PL_F_offset] = at;
    m.f[PL_F_length] = len;
    send(b, &m);
}

static void set_queue(struct bench *b, const struct pl_ring_setup *setup, uint64_t flags)
{
    struct pl_msg m = {.kind = PL_SET_VQUEUE};
    m.f[PL_F_flags] = flags;
    m.f[PL_F_size] = setup->size;
    m.f[PL_F_desc_addr] = setup->desc_addr;
    m.f[PL_F_driver_addr] = setup->driver_addr;
    m.f[PL_F_device_addr] = setup->device_addr;
    send(b, &m);
}

static void kick_at(struct bench *b, uint64_t queue, uint64_t next_offset)
{
    struct pl_msg m = {.kind = PL_EVENT_AVAIL};
    m.f[PL_F_vq_index] = queue;
    m.f[PL_F_next_offset] = next_offset;
    send(b, &m);
}

static uint64_t next_offset(const struct bench *b)
{
    bool wrap;
    uint16_t off = pl_driver_ring_kick_offset(b->ring, &wrap);
    return b->features & BIT(PL_C_F_NOTIFICATION_DATA) ? off | (wrap ? PL_C_AVAIL_NEXT_WRAP : 0)
                                                       : 0;
}

static void kick(struct bench *b)
{
    kick_at(b, 0, next_offset(b));
}

static void kick_if_due(struct bench *b)
{
    if (pl_driver_ring_kick_due(b->ring))
        kick(b);
}

/* --- a life --- */

static const char *const no_options[] = {NULL};

static void open_bench(struct bench *b, const char *type, const char *const *options)
{
    memset(b, 0, sizeof(*b));
    b->spec = pl_spec_find("virtio-msg-r1");
    b->notes = calloc(1, 1 << 16);
    b->memory = (struct pl_ring_memory){calloc(1, MEMORY), BASE, MEMORY, NULL};
    b->port.spec = b->spec;
    b->port.mem = b->memory.mem;
    b->port.mem_base = BASE;
    b->port.mem_size = MEMORY;
    ck_assert_int_eq(
        pl_session_init(&b->s, &b->port, pl_oracle_new_for(b->spec, PL_IUT_DRIVER, on_fail, b)), 0);
    b->s.events.opaque = b;
    b->s.events.note = on_note;
    ck_assert_int_eq(pl_drv_watch_attach(&b->s), 0);
    b->config = (struct pl_device_config){.type = type,
                                          .options = options ? options : no_options,
                                          .watch = pl_drv_watch_device(&b->s)};
    struct pl_endpoint_env env = {1, 264, 0, b->memory.mem, BASE, MEMORY, NULL};
    b->device = pl_device_endpoint.open(&b->config, &env);
    ck_assert_ptr_nonnull(b->device);
}

static void close_bench(struct bench *b)
{
    pl_driver_ring_free(b->ring);
    pl_device_endpoint.close(b->device);
    pl_oracle_free(b->s.oracle);
    pl_session_free(&b->s);
    free(b->memory.mem);
    free(b->notes);
}

/* Everything up to FEATURES_OK. */
static void negotiate(struct bench *b, uint64_t features)
{
    struct pl_msg info = {.kind = PL_GET_DEVICE_INFO}, offered = {.kind = PL_GET_DEVICE_FEATURES};
    struct pl_msg select = {.kind = PL_SET_DRIVER_FEATURES};
    uint64_t bits = htole64(features | BIT(PL_C_F_VERSION_1));
    b->features = features;
    write_status(b, 0);
    wait_ms(b, 1);
    write_status(b, 1);
    write_status(b, 3);
    send(b, &info);
    offered.f[PL_F_num_blocks] = 2;
    send(b, &offered);
    select.f[PL_F_num_blocks] = 2;
    select.data = (const uint8_t *)&bits;
    select.data_len = sizeof(bits);
    send(b, &select);
    write_status(b, 11);
    ck_assert_uint_eq(b->status, 11);
}

static void lay_ring(struct bench *b, uint16_t size)
{
    int err;
    struct pl_msg query = {.kind = PL_GET_VQUEUE};
    send(b, &query);
    b->setup = (struct pl_ring_setup){.packed = (b->features >> PL_C_F_RING_PACKED) & 1,
                                      .indirect = (b->features >> PL_C_F_INDIRECT_DESC) & 1,
                                      .event_idx = (b->features >> PL_C_F_EVENT_IDX) & 1,
                                      .in_order = (b->features >> PL_C_F_IN_ORDER) & 1,
                                      .size = size};
    ck_assert_int_eq(pl_ring_place(&b->setup, BASE + RING_AT), 0);
    pl_driver_ring_free(b->ring);
    b->ring = pl_driver_ring_new(&b->memory, &b->setup, &err);
    ck_assert_ptr_nonnull(b->ring);
}

static void begin_with(struct bench *b, const char *type, uint64_t features, uint16_t size,
                       const char *const *options)
{
    open_bench(b, type, options);
    negotiate(b, features);
    read_config(b, 0, 60 * (strcmp(type, "block") == 0));
    lay_ring(b, size);
    set_queue(b, &b->setup, PL_C_SVQ_ENABLE);
    write_status(b, 15);
    ck_assert_uint_eq(b->status, 15);
}

static void begin(struct bench *b, uint64_t features, uint16_t size)
{
    begin_with(b, "block", features, size, NULL);
}

/* --- requests --- */

static uint64_t slot_at(unsigned slot)
{
    return BASE + DATA_AT + slot * UINT64_C(0x4000);
}

static void *memory_at(const struct bench *b, uint64_t at)
{
    return (uint8_t *)b->memory.mem + (at - BASE);
}

static void write_header(struct bench *b, unsigned slot, uint32_t type, uint64_t sector)
{
    uint8_t *head = memory_at(b, slot_at(slot));
    uint32_t le = htole32(type);
    uint64_t at = htole64(sector);
    memset(head, 0, PL_T_BLOCK_HEADER);
    memcpy(head + PL_T_BLOCK_HEADER_TYPE, &le, sizeof(le));
    memcpy(head + PL_T_BLOCK_HEADER_SECTOR, &at, sizeof(at));
}

/* A block request with `out` bytes to the device and `in` bytes of data from it; its id. */
static int request(struct bench *b, unsigned slot, uint32_t type, uint64_t sector, uint32_t out,
                   uint32_t in, bool indirect)
{
    struct pl_ring_buffer buffers[4];
    size_t n = 0;
    uint64_t at = slot_at(slot);
    write_header(b, slot, type, sector);
    buffers[n++] = (struct pl_ring_buffer){at, PL_T_BLOCK_HEADER, false};
    if (out)
        buffers[n++] = (struct pl_ring_buffer){at + 0x100, out, false};
    if (in)
        buffers[n++] = (struct pl_ring_buffer){at + 0x100, in, true};
    buffers[n++] = (struct pl_ring_buffer){at + 0x80, PL_T_BLOCK_STATUS, true};
    return pl_driver_ring_add(b->ring, buffers, n, indirect ? at + 0x3000 : 0);
}

static int read_sector(struct bench *b, unsigned slot)
{
    return request(b, slot, PL_T_BLOCK_T_IN, slot, 0, PL_T_BLOCK_SECTOR, false);
}

/* Take back everything that was used; how many. */
static unsigned reap(struct bench *b)
{
    struct pl_ring_used used;
    enum pl_ring_fault fault;
    unsigned n = 0;
    while (pl_driver_ring_poll(b->ring, &used, &fault) > 0)
        n++;
    return n;
}

#endif
