/* Unit tests of the harness's driver end: what it tells of a device that the test itself plays, on
 * both ring formats, faithful and not. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/vq.h"
#include "peer/device.h"

enum { NOTES_MAX = 1 << 16, MEMORY = 16 << 20 };

/* A session with the reference device, whose queues stay unset; the test is the device end. */
struct bench {
    struct pl_port *port;
    struct pl_oracle *oracle;
    struct pl_session s;
    struct pl_vq *vq;
    char *notes;
    size_t length;
    struct pl_msg kick; /* the last EVENT_AVAIL */
    unsigned kicks;
    struct pl_device_ring *device;
    struct pl_ring_memory memory;
};

static void on_fail(void *opaque, size_t clause, const char *text)
{
    (void)opaque;
    (void)clause;
    (void)text;
}

static void on_finding(void *opaque, enum pl_finding_kind kind, const char *text)
{
    (void)opaque;
    ck_abort_msg("finding %d: %s", (int)kind, text);
}

static void on_note(void *opaque, const char *line)
{
    struct bench *b = opaque;
    size_t n = strlen(line);
    if (b->length + n + 2 > NOTES_MAX)
        b->length = 0; /* long runs look at the end only */
    memcpy(b->notes + b->length, line, n);
    b->length += n;
    memcpy(b->notes + b->length, "\n", 2);
    b->length++;
}

static void on_message(void *opaque, const struct pl_trace_entry *entry)
{
    struct bench *b = opaque;
    struct pl_msg m;
    pl_decode(b->s.spec, entry->bytes, entry->size, &m);
    if (m.kind != PL_EVENT_AVAIL)
        return;
    b->kick = m;
    b->kicks++;
}

static bool told(const struct bench *b, const char *words)
{
    return strstr(b->notes, words) != NULL;
}

static void forget(struct bench *b)
{
    b->length = 0;
    b->notes[0] = '\0';
}

#define assert_told(b, words)                                                                      \
    ck_assert_msg(told(b, words), "not told: %s\ntold:\n%s", words, (b)->notes)
#define assert_untold(b, words)                                                                    \
    ck_assert_msg(!told(b, words), "told: %s\nin:\n%s", words, (b)->notes)

static void set_status(struct bench *b, uint32_t status)
{
    struct pl_msg m = {.kind = PL_SET_DEVICE_STATUS};
    m.f[PL_F_status] = status;
    pl_session_ask(&b->s, &m);
}

static void open_bench(struct bench *b, size_t memory)
{
    const struct pl_spec *spec = pl_spec_find("virtio-msg-r1");
    struct pl_bus_params bus = {spec->revision, spec->recommended_max_msg_size, 0};
    char why[160];
    memset(b, 0, sizeof(*b));
    b->notes = calloc(1, NOTES_MAX);
    b->port = pl_port_inprocess(spec, &pl_device_endpoint, NULL, "test", memory);
    b->oracle = pl_oracle_new(spec, on_fail, b);
    ck_assert_int_eq(pl_session_init(&b->s, b->port, b->oracle), 0);
    b->s.events = (struct pl_session_events){
        .opaque = b, .finding = on_finding, .message = on_message, .note = on_note};
    ck_assert_int_eq(pl_session_start(&b->s, &bus), 0);
    pl_session_tell(&b->s, "devices 0");
    b->vq = pl_vq_of(&b->s, why, sizeof(why));
    b->memory = (struct pl_ring_memory){b->port->mem, b->port->mem_base, b->port->mem_size, NULL};
    set_status(b, PL_C_STATUS_ACKNOWLEDGE); /* at status 0 every ring stands still */
    if (b->vq)
        pl_vq_begin(b->vq, 12345);
}

static void close_bench(struct bench *b)
{
    pl_device_ring_free(b->device);
    pl_session_free(&b->s);
    pl_oracle_free(b->oracle);
    b->port->ops->close(b->port);
    free(b->notes);
}

/* A ring for queue 0, and the test's device end of it. */
static void lay(struct bench *b, uint32_t size, const struct pl_vq_features *f)
{
    struct pl_vq_queue queue;
    int err = 0;
    ck_assert_int_eq(pl_vq_lay(b->vq, 0, size, f), 0);
    ck_assert(pl_vq_look_up(b->vq, &queue));
    pl_device_ring_free(b->device);
    b->device = pl_device_ring_new(&b->memory, &queue.setup, &err);
    ck_assert_int_eq(err, 0);
}

static void opened(struct bench *b, uint32_t size, bool packed)
{
    struct pl_vq_features f = {.packed = packed, .indirect = true, .ring_reset = true};
    open_bench(b, MEMORY);
    lay(b, size, &f);
}

static const uint8_t out_bytes[16] = "what is sent...";

/* 16 bytes out, 32 in. */
static void add(struct bench *b, bool indirect, const char *name)
{
    const struct pl_vq_buffer buffers[] = {{16, false, out_bytes}, {32, true, NULL}};
    ck_assert_int_eq(pl_vq_chain(b->vq, 0, buffers, 2, indirect, name), 0);
    ck_assert_int_eq(pl_vq_publish(b->vq, 0), 0);
}

static struct pl_ring_chain chain; /* too large for a stack frame */

/* The test as device: the next chain, with so many bytes of its own written, given back. */
static void serve(struct bench *b, uint32_t really, uint32_t says)
{
    enum pl_ring_fault fault;
    uint8_t data[64];
    memset(data, 0x77, sizeof(data));
    ck_assert_int_eq(pl_device_ring_pop(b->device, &chain, &fault), 1);
    pl_ring_write(&b->memory, &chain, chain.readable, data, 0);
    for (uint32_t done = 0; done < really;) {
        uint32_t left = really - done;
        done += (uint32_t)pl_ring_write(&b->memory, &chain, done, data, left < 64 ? left : 64);
    }
    pl_device_ring_push(b->device, chain.id, chain.entries, says);
    pl_device_ring_flush(b->device);
}

static uint8_t *at(const struct bench *b, uint64_t addr)
{
    return (uint8_t *)b->memory.mem + (addr - b->memory.base);
}

/* --- a faithful device --- */

START_TEST(a_chain_there_and_back)
{
    struct bench b;
    struct pl_vq_chain c;
    uint8_t byte;
    opened(&b, 8, _i);
    ck_assert(told(&b, _i ? "ring 0 0 begin packed 8" : "ring 0 0 begin split 8"));
    add(&b, false, NULL);
    assert_told(&b, "ring 0 0 add 0 16 32\n");
    ck_assert_int_eq(pl_vq_idle(b.vq, 0), 1);
    assert_told(&b, "ring 0 0 idle\n");
    serve(&b, 32, 32);
    ck_assert_int_eq(pl_vq_await(b.vq, 0, 1, NULL), 1);
    assert_told(&b, "ring 0 0 used 0 32 due\nring 0 0 looked\n");
    assert_told(&b, _i ? "held ring_wrote_readable" : "held ring_wrote_readable");
    assert_told(&b, _i ? "held ring_used_id" : "held ring_used_id");
    assert_told(&b, _i ? "held ring_len_written" : "held ring_len_written");
    assert_untold(&b, "broken");
    ck_assert(pl_vq_current(b.vq, &c));
    ck_assert(c.used && c.written == 32 && c.length == 32 && c.out && c.in && !c.table);
    ck_assert(pl_vq_byte(b.vq, 31, &byte) && byte == 0x77);
    ck_assert(!pl_vq_byte(b.vq, 32, &byte));
    pl_vq_end(b.vq);
    assert_told(&b, "ring 0 0 sealed\n");
    assert_told(&b, "held io_after_reset\n");
    assert_told(&b, "ring 0 0 end\n");
    close_bench(&b);
}
END_TEST

/* Five buffers on two entries: put together, and the bytes are the same. */
START_TEST(buffers_are_put_together)
{
    struct bench b;
    enum pl_ring_fault fault;
    uint8_t got[16];
    const struct pl_vq_buffer buffers[] = {{4, false, out_bytes},
                                           {7, false, out_bytes + 4},
                                           {5, false, out_bytes + 11},
                                           {20, true, NULL},
                                           {1, true, NULL}};
    opened(&b, 2, _i);
    ck_assert_int_eq(pl_vq_chain(b.vq, 0, buffers, 5, false, NULL), 0);
    ck_assert_int_eq(pl_vq_publish(b.vq, 0), 0);
    ck_assert_int_eq(pl_device_ring_pop(b.device, &chain, &fault), 1);
    ck_assert_uint_eq(chain.n, 2);
    ck_assert_uint_eq(chain.readable, 16);
    ck_assert_uint_eq(chain.writable, 21);
    ck_assert_uint_eq(pl_ring_read(&b.memory, &chain, 0, got, 16), 16);
    ck_assert_mem_eq(got, out_bytes, 16);
    ck_assert_int_eq(pl_vq_chain(b.vq, 0, buffers, 5, false, NULL), -ENOSPC);
    close_bench(&b);
}
END_TEST

START_TEST(every_size_fits)
{
    static const uint32_t sizes[] = {1, 2, 64, 256, 1024, 32768};
    struct bench b;
    open_bench(&b, MEMORY);
    for (size_t i = 0; i < 6; i++)
        for (uint32_t queue = 0; queue < 8; queue++)
            for (int packed = 0; packed < 2; packed++) {
                struct pl_vq_features f = {.packed = packed};
                ck_assert_int_eq(pl_vq_lay(b.vq, queue, sizes[i], &f), 0);
            }
    struct pl_vq_features split = {0}, packed = {.packed = true};
    ck_assert_int_eq(pl_vq_lay(b.vq, 0, 0, &packed), -EINVAL);
    ck_assert_int_eq(pl_vq_lay(b.vq, 0, 3, &split), -EINVAL);
    ck_assert_int_eq(pl_vq_lay(b.vq, 0, 3, &packed), 0);
    ck_assert_int_eq(pl_vq_lay(b.vq, 0, 32769, &packed), -EINVAL);
    ck_assert_int_eq(pl_vq_lay(b.vq, 0, 65536, &split), -EINVAL);
    pl_vq_end(b.vq);
    assert_untold(&b, "broken");
    close_bench(&b);
}
END_TEST

START_TEST(memory_that_is_too_small)
{
    struct bench b;
    char why[160];
    open_bench(&b, 256 << 10);
    ck_assert_ptr_null(b.vq);
    ck_assert_ptr_null(pl_vq_of(&b.s, why, sizeof(why)));
    ck_assert_str_eq(why, "262144 bytes of shared memory are too few for virtqueues");
    close_bench(&b);
    struct pl_vq_features f = {0};
    open_bench(&b, 1 << 20);
    ck_assert_int_eq(pl_vq_lay(b.vq, 0, 32768, &f), -ENOSPC);
    ck_assert_int_eq(pl_vq_lay(b.vq, 0, 256, &f), 0);
    close_bench(&b);
}
END_TEST

/* Thousands of chains over all combinations; nothing is found. */
static void traffic(struct bench *b, unsigned mask, uint32_t size)
{
    struct pl_vq_features f = {.packed = mask & 1,
                               .indirect = mask & 2,
                               .event_idx = mask & 4,
                               .in_order = mask & 8,
                               .ring_reset = true};
    uint64_t seed = mask * 77 + size;
    pl_vq_begin(b->vq, seed + 1);
    lay(b, size, &f);
    for (unsigned round = 0; round < 60; round++) {
        unsigned n = 1 + (round * 7 + mask) % 5, done = 0;
        struct pl_vq_queue queue;
        for (; done < n; done++) {
            ck_assert(pl_vq_look_up(b->vq, &queue));
            if (queue.room < 2)
                break;
            add(b, round & 1, NULL);
        }
        for (unsigned i = 0; i < done; i++)
            serve(b, 32, i & 1 ? 32 : 20);
        ck_assert_int_eq(pl_vq_await(b->vq, 0, done, NULL), 1);
    }
    pl_vq_end(b->vq);
    ck_assert_msg(!told(b, "broken"), "features %u, size %u:\n%s", mask, size, b->notes);
}

START_TEST(much_traffic_shows_nothing)
{
    static const uint32_t sizes[] = {2, 4, 16, 256};
    struct bench b;
    open_bench(&b, MEMORY);
    for (unsigned mask = 0; mask < 16; mask++)
        for (size_t i = 0; i < 4; i++)
            traffic(&b, mask, sizes[i]);
    close_bench(&b);
}
END_TEST

START_TEST(named_chains)
{
    struct bench b;
    struct pl_vq_chain c;
    opened(&b, 16, _i);
    add(&b, false, "first");
    add(&b, true, "second");
    serve(&b, 32, 32);
    serve(&b, 32, 20);
    ck_assert_int_eq(pl_vq_await(b.vq, 0, 0, "second"), 1);
    ck_assert(pl_vq_current(b.vq, &c) && c.written == 20 && c.table);
    ck_assert_int_eq(pl_vq_await(b.vq, 0, 0, "first"), 1);
    ck_assert(pl_vq_current(b.vq, &c) && c.written == 32 && !c.table);
    ck_assert_int_eq(pl_vq_await(b.vq, 0, 0, "third"), 0);
    close_bench(&b);
}
END_TEST

/* --- notifications --- */

START_TEST(suppressed_and_wanted)
{
    struct bench b;
    opened(&b, 8, _i);
    ck_assert_int_eq(pl_vq_notify(b.vq, 0, PL_RING_NOTIFY_NEVER, 0), 0);
    assert_told(&b, "ring 0 0 suppressed 1\n");
    add(&b, false, NULL);
    serve(&b, 32, 32);
    ck_assert_int_eq(pl_vq_await(b.vq, 0, 1, NULL), 1);
    assert_told(&b, "used 0 32 quiet\n");
    ck_assert_int_eq(pl_vq_notify(b.vq, 0, PL_RING_NOTIFY_ALWAYS, 0), 0);
    assert_told(&b, "ring 0 0 suppressed 0\n");
    forget(&b);
    add(&b, false, NULL);
    serve(&b, 32, 32);
    ck_assert_int_eq(pl_vq_await(b.vq, 0, 1, NULL), 1);
    assert_told(&b, " 32 due\n");
    close_bench(&b);
}
END_TEST

START_TEST(announced_at_an_index)
{
    struct bench b;
    struct pl_vq_features f = {.packed = _i, .event_idx = true};
    open_bench(&b, MEMORY);
    lay(&b, 16, &f);
    for (int i = 0; i < 4; i++)
        add(&b, false, NULL);
    ck_assert_int_eq(pl_vq_notify(b.vq, 0, PL_RING_NOTIFY_AT, 2), 0);
    const char *due[] = {"quiet\n", "quiet\n", "due\n", "quiet\n"};
    for (int i = 0; i < 4; i++) {
        forget(&b);
        serve(&b, 32, 32);
        ck_assert_int_eq(pl_vq_await(b.vq, 0, 1, NULL), 1);
        assert_told(&b, due[i]);
    }
    close_bench(&b);
}
END_TEST

/* Offset and wrap counter, or the index; 0 where it was not negotiated. */
START_TEST(notification_data)
{
    struct bench b;
    struct pl_vq_features f = {.packed = _i & 1, .notification_data = _i >> 1};
    open_bench(&b, MEMORY);
    lay(&b, 4, &f);
    for (uint32_t n = 1; n < 6; n++) {
        add(&b, false, NULL);
        ck_assert_int_eq(pl_vq_kick(b.vq, 0, true), 0);
        uint32_t entries = 2 * n, lap = entries / 4 % 2;
        uint64_t want = !f.notification_data ? 0
                        : f.packed           ? entries % 4 | (lap ? 0 : UINT64_C(1) << 31)
                                             : n;
        ck_assert_uint_eq(b.kicks, n);
        ck_assert_uint_eq(b.kick.f[PL_F_next_offset], want);
        serve(&b, 32, 32);
        ck_assert_int_eq(pl_vq_await(b.vq, 0, 1, NULL), 1);
    }
    close_bench(&b);
}
END_TEST

START_TEST(no_kick_where_none_is_wanted)
{
    struct bench b;
    opened(&b, 8, _i);
    pl_device_ring_kicks(b.device, false);
    add(&b, false, NULL);
    ck_assert_int_eq(pl_vq_kick(b.vq, 0, false), 0);
    ck_assert_uint_eq(b.kicks, 0);
    ck_assert_int_eq(pl_vq_kick(b.vq, 0, true), 0);
    ck_assert_uint_eq(b.kicks, 1);
    pl_device_ring_kicks(b.device, true);
    add(&b, false, NULL);
    ck_assert_int_eq(pl_vq_kick(b.vq, 0, false), 0);
    ck_assert_uint_eq(b.kicks, 2);
    close_bench(&b);
}
END_TEST

START_TEST(what_is_missing)
{
    struct bench b;
    opened(&b, 8, _i);
    add(&b, false, NULL);
    add(&b, false, NULL);
    serve(&b, 32, 32);
    ck_assert_int_eq(pl_vq_await(b.vq, 0, 2, NULL), 0);
    assert_told(&b, "used 0 32 due\n");
    assert_told(&b, _i ? "ring 0 0 missing 1\n" : "ring 0 0 missing 2\n");
    close_bench(&b);
}
END_TEST

/* --- a device that does what it may not --- */

struct sin {
    const char *words[2]; /* what is told of it, split and packed */
    void (*commit)(struct bench *b, const struct pl_vq_chain *c, const struct pl_vq_queue *q);
    bool indirect;
};

static void into_readable(struct bench *b, const struct pl_vq_chain *c, const struct pl_vq_queue *q)
{
    (void)q;
    at(b, c->out)[15] ^= 1;
}

static void behind_readable(struct bench *b, const struct pl_vq_chain *c,
                            const struct pl_vq_queue *q)
{
    (void)q;
    at(b, c->out)[16] ^= 1;
}

static void before_writable(struct bench *b, const struct pl_vq_chain *c,
                            const struct pl_vq_queue *q)
{
    (void)q;
    at(b, c->in)[-1] ^= 0x80;
}

static void behind_writable(struct bench *b, const struct pl_vq_chain *c,
                            const struct pl_vq_queue *q)
{
    (void)q;
    at(b, c->in)[32] ^= 4;
}

static void into_table(struct bench *b, const struct pl_vq_chain *c, const struct pl_vq_queue *q)
{
    (void)q;
    at(b, c->table)[9] ^= 1;
}

static void behind_ring(struct bench *b, const struct pl_vq_chain *c, const struct pl_vq_queue *q)
{
    (void)c;
    at(b, q->setup.desc_addr)[pl_ring_bytes(q->setup.packed, q->setup.size).whole] ^= 1;
}

static void before_ring(struct bench *b, const struct pl_vq_chain *c, const struct pl_vq_queue *q)
{
    (void)c;
    at(b, q->setup.desc_addr)[-1] ^= 1;
}

static void into_driver_area(struct bench *b, const struct pl_vq_chain *c,
                             const struct pl_vq_queue *q)
{
    (void)c;
    at(b, q->setup.driver_addr)[0] ^= 1;
}

static void device_flags(struct bench *b, const struct pl_vq_chain *c, const struct pl_vq_queue *q)
{
    (void)c;
    at(b, q->setup.device_addr)[q->setup.packed ? 2 : 0] = 4;
}

static const struct sin sins[] = {
    {{"broken ring_wrote_readable", "broken ring_wrote_readable"}, into_readable, false},
    {{"broken ring_wrote_readable", "broken ring_wrote_readable"}, into_readable, true},
    {{"broken ring_wrote_beyond", "broken ring_wrote_beyond"}, behind_readable, false},
    {{"broken ring_wrote_beyond", "broken ring_wrote_beyond"}, before_writable, false},
    {{"broken ring_wrote_beyond", "broken ring_wrote_beyond"}, behind_writable, true},
    {{"broken ring_wrote_desc", "broken ring_wrote_desc"}, into_table, true},
    {{"broken ring_wrote_beyond", "broken ring_wrote_beyond"}, behind_ring, false},
    {{"broken ring_wrote_beyond", "broken ring_wrote_beyond"}, before_ring, false},
    {{"broken ring_wrote_avail", "broken ring_wrote_avail"}, into_driver_area, false},
    {{"broken ring_used_flags", "broken ring_used_flags"}, device_flags, false},
};
enum { SINS = sizeof(sins) / sizeof(sins[0]) };

/* While the chain is the device's; seen when it comes back. */
START_TEST(writes_where_none_may_be)
{
    const struct sin *sin = &sins[_i / 2];
    struct pl_vq_chain c;
    struct pl_vq_queue q;
    struct bench b;
    opened(&b, 8, _i & 1);
    add(&b, sin->indirect, NULL);
    ck_assert(pl_vq_current(b.vq, &c) && pl_vq_look_up(b.vq, &q));
    serve(&b, 32, 32);
    sin->commit(&b, &c, &q);
    pl_vq_await(b.vq, 0, 1, NULL);
    assert_told(&b, sin->words[_i & 1]);
    close_bench(&b);
}
END_TEST

/* A chain that was given back is the driver's again. */
START_TEST(writes_after_it_was_used)
{
    struct pl_vq_chain c;
    struct bench b;
    opened(&b, 8, _i);
    add(&b, false, NULL);
    serve(&b, 32, 32);
    ck_assert_int_eq(pl_vq_await(b.vq, 0, 1, NULL), 1);
    ck_assert(pl_vq_current(b.vq, &c));
    at(&b, c.in)[5] ^= 1;
    ck_assert_int_eq(pl_vq_idle(b.vq, 0), 0);
    assert_told(&b, _i ? "broken ring_wrote_beyond" : "broken ring_wrote_beyond");
    close_bench(&b);
}
END_TEST

START_TEST(bytes_that_were_not_written)
{
    struct bench b;
    opened(&b, 8, _i);
    add(&b, false, NULL);
    serve(&b, 8, 32);
    ck_assert_int_eq(pl_vq_await(b.vq, 0, 1, NULL), 1);
    assert_told(&b, _i ? "broken ring_len_written" : "broken ring_len_written");
    close_bench(&b);
}
END_TEST

/* Once more what was used already. */
START_TEST(used_twice)
{
    struct bench b;
    opened(&b, 8, _i);
    add(&b, true, NULL);
    add(&b, true, NULL);
    serve(&b, 32, 32);
    ck_assert_int_eq(pl_vq_await(b.vq, 0, 1, NULL), 1);
    struct pl_ring_bend bend = {.id = chain.id, .written = 1, .entries = 1};
    pl_device_ring_push_bent(b.device, &bend);
    ck_assert_int_eq(pl_vq_await(b.vq, 0, 1, NULL), 0);
    assert_told(&b, "broken ring_used_once");
    close_bench(&b);
}
END_TEST

/* The length comes after the element did. */
START_TEST(used_elements_that_change)
{
    struct bench b;
    struct pl_vq_queue q;
    opened(&b, 8, _i);
    ck_assert(pl_vq_look_up(b.vq, &q));
    add(&b, true, NULL);
    add(&b, true, NULL);
    serve(&b, 32, 32);
    /* seen, but not checked: two are waited for */
    ck_assert_int_eq(pl_vq_await(b.vq, 0, 2, NULL), 0);
    assert_untold(&b, "broken");
    serve(&b, 32, 32);
    ck_assert_int_eq(pl_vq_notify(b.vq, 0, PL_RING_NOTIFY_NEVER, 0), 0);
    at(&b, _i ? q.setup.desc_addr + 16 + 8 : q.setup.device_addr + 4 + 8 + 4)[0] ^= 1;
    ck_assert_int_eq(pl_vq_await(b.vq, 0, 1, NULL), 1);
    assert_told(&b, "broken ring_used_settled");
    close_bench(&b);
}
END_TEST

/* Used elements that no device may write. */
START_TEST(used_elements_that_cannot_be)
{
    static const struct {
        struct pl_ring_bend bend;
        const char *words[2];
    } cases[] = {
        {{.id = 5, .written = 4, .entries = 1}, {"broken ring_used_id", "broken ring_used_id"}},
        {{.id = 70000, .written = 4, .entries = 1}, {"broken ring_used_id", "broken ring_used_id"}},
        {{.id = 0, .written = 33, .entries = 1}, {"broken ring_used_len", "broken ring_used_len"}},
        {{.id = 0, .written = 4, .entries = 5}, {"broken ring_used_index", NULL}},
    };
    struct bench b;
    enum pl_ring_fault fault;
    struct pl_ring_bend bend = cases[_i / 2].bend;
    if (!cases[_i / 2].words[_i & 1])
        return;
    opened(&b, 8, _i & 1);
    add(&b, false, NULL);
    ck_assert_int_eq(pl_device_ring_pop(b.device, &chain, &fault), 1);
    if (_i & 1)
        bend.entries = chain.entries;
    pl_device_ring_push_bent(b.device, &bend);
    ck_assert_int_eq(pl_vq_await(b.vq, 0, 1, NULL), 0);
    assert_told(&b, cases[_i / 2].words[_i & 1]);
    assert_told(&b, "ring 0 0 end\n");
    pl_vq_end(b.vq);
    close_bench(&b);
}
END_TEST

/* With IN_ORDER one used element may stand for all before it; not for one behind. */
START_TEST(used_in_order)
{
    struct bench b;
    struct pl_vq_features f = {.packed = _i & 1, .in_order = true};
    const bool good = _i & 2;
    enum pl_ring_fault fault;
    open_bench(&b, MEMORY);
    lay(&b, 8, &f);
    add(&b, false, NULL);
    add(&b, false, NULL);
    ck_assert_int_eq(pl_device_ring_pop(b.device, &chain, &fault), 1);
    ck_assert_int_eq(pl_device_ring_pop(b.device, &chain, &fault), 1);
    struct pl_ring_bend bend = {.id = chain.id, .entries = f.packed ? 4 : good ? 2 : 1};
    if (f.packed && !good)
        bend.id = 7;
    pl_device_ring_push_bent(b.device, &bend);
    ck_assert_int_eq(pl_vq_await(b.vq, 0, 2, NULL), good);
    ck_assert_int_eq(told(&b, "broken"), !good);
    if (!f.packed && !good)
        assert_told(&b, "broken ring_order");
    close_bench(&b);
}
END_TEST

/* An element changes once it was looked at and found sound: at the next look that shows. */
START_TEST(used_elements_that_change_later)
{
    struct bench b;
    struct pl_vq_queue q;
    enum pl_ring_fault fault;
    const bool packed = _i & 1, bad = _i & 2;
    opened(&b, 8, packed);
    add(&b, false, NULL);
    ck_assert_int_eq(pl_device_ring_pop(b.device, &chain, &fault), 1);
    pl_device_ring_push(b.device, chain.id, chain.entries, 0);
    pl_device_ring_flush(b.device);
    ck_assert_int_eq(pl_vq_await(b.vq, 0, 1, NULL), 1);
    ck_assert(pl_vq_look_up(b.vq, &q));
    assert_untold(&b, "broken ring_used_settled");
    uint8_t *length = at(&b, packed ? q.setup.desc_addr + 8 : q.setup.device_addr + 8);
    length[0] ^= bad;
    pl_vq_idle(b.vq, 0);
    ck_assert_int_eq(told(&b, "broken ring_used_settled"), bad);
    close_bench(&b);
}
END_TEST

/* A packed ring goes on by as many places as a chain had descriptors. */
START_TEST(used_at_the_wrong_place)
{
    struct bench b;
    enum pl_ring_fault fault;
    opened(&b, 8, true);
    for (unsigned i = 0; i < 2; i++) {
        add(&b, false, NULL);
        ck_assert_int_eq(pl_device_ring_pop(b.device, &chain, &fault), 1);
        struct pl_ring_bend bend = {.id = chain.id, .entries = (uint16_t)(_i ? 1 : chain.entries)};
        pl_device_ring_push_bent(b.device, &bend);
    }
    ck_assert_int_eq(pl_vq_await(b.vq, 0, 2, NULL), !_i);
    ck_assert_int_eq(told(&b, "broken ring_used_index"), _i);
    close_bench(&b);
}
END_TEST

/* What is written into a ring that another one has replaced comes too late, and is told. */
START_TEST(writes_into_a_replaced_ring)
{
    struct pl_vq_features f = {.packed = _i & 1, .ring_reset = true};
    struct pl_vq_chain c;
    struct bench b;
    open_bench(&b, MEMORY);
    lay(&b, 8, &f);
    add(&b, false, NULL);
    ck_assert(pl_vq_current(b.vq, &c));
    set_status(&b, 0);
    set_status(&b, PL_C_STATUS_ACKNOWLEDGE);
    ck_assert_int_eq(pl_vq_lay(b.vq, 0, 8, &f), 0);
    if (_i & 2)
        at(&b, c.in)[0] ^= 1;
    pl_vq_end(b.vq);
    ck_assert_int_eq(told(&b, "broken io_after_reset"), (_i & 2) != 0);
    close_bench(&b);
}
END_TEST

/* --- after it was stopped --- */

static void touch_ring(struct bench *b, const struct pl_vq_chain *c, const struct pl_vq_queue *q)
{
    (void)c;
    at(b, q->setup.device_addr)[2] ^= 1;
}

static void touch_buffer(struct bench *b, const struct pl_vq_chain *c, const struct pl_vq_queue *q)
{
    (void)q;
    at(b, c->in)[3] ^= 1;
}

static void touch_nothing(struct bench *b, const struct pl_vq_chain *c, const struct pl_vq_queue *q)
{
    (void)b;
    (void)c;
    (void)q;
}

static void reset_queue(struct bench *b)
{
    struct pl_msg m = {.kind = PL_RESET_VQUEUE};
    ck_assert_int_eq(pl_session_ask(&b->s, &m), 0);
}

/* By a device reset (even) or a queue reset, with a write to the ring, a buffer, or none. */
START_TEST(writes_after_a_reset)
{
    void (*const touch[])(struct bench *, const struct pl_vq_chain *,
                          const struct pl_vq_queue *) = {touch_ring, touch_buffer, touch_nothing};
    const bool packed = _i & 1, queue_reset = _i & 2, clean = _i / 4 == 2;
    struct pl_vq_chain c;
    struct pl_vq_queue q;
    struct bench b;
    char words[64];
    opened(&b, 8, packed);
    add(&b, false, NULL);
    ck_assert(pl_vq_current(b.vq, &c) && pl_vq_look_up(b.vq, &q));
    if (queue_reset)
        reset_queue(&b);
    else
        set_status(&b, 0);
    assert_told(&b, "ring 0 0 sealed\n");
    touch[_i / 4](&b, &c, &q);
    forget(&b);
    ck_assert_int_eq(pl_vq_idle(b.vq, 0), clean);
    snprintf(words, sizeof(words), "%s %s", clean ? "held" : "broken",
             queue_reset ? "io_after_queue_reset" : "io_after_reset");
    assert_told(&b, words);
    ck_assert_int_eq(told(&b, "ring 0 0 idle\n"), clean);
    close_bench(&b);
}
END_TEST

/* Memory of a scenario that is over, found at the end of the next one. */
START_TEST(writes_into_an_old_scenarios_memory)
{
    struct pl_vq_features f = {.packed = _i};
    struct pl_vq_chain c;
    struct bench b;
    opened(&b, 8, _i);
    add(&b, false, NULL);
    ck_assert(pl_vq_current(b.vq, &c));
    pl_vq_end(b.vq);
    forget(&b);
    pl_vq_begin(b.vq, 2);
    ck_assert_int_eq(pl_vq_lay(b.vq, 0, 8, &f), 0);
    at(&b, c.in)[0] ^= 1;
    pl_vq_end(b.vq);
    assert_told(&b, "ring 0 0 broken io_after_reset");
    forget(&b);
    pl_vq_begin(b.vq, 3);
    ck_assert_int_eq(pl_vq_lay(b.vq, 0, 8, &f), 0);
    pl_vq_end(b.vq);
    assert_untold(&b, "broken"); /* told once */
    close_bench(&b);
}
END_TEST

/* Behind a fault nobody looks at the ring: what the device wrote until the reset is no sin of it.
 */
START_TEST(writes_behind_a_fault)
{
    struct pl_vq_features f = {.packed = _i & 1};
    const bool late = _i & 2;
    enum pl_ring_fault fault;
    struct pl_vq_chain c;
    struct bench b;
    opened(&b, 8, _i & 1);
    add(&b, false, NULL);
    add(&b, false, NULL);
    ck_assert(pl_vq_current(b.vq, &c));
    ck_assert_int_eq(pl_device_ring_pop(b.device, &chain, &fault), 1);
    struct pl_ring_bend bend = {.id = 5, .written = 4, .entries = chain.entries};
    pl_device_ring_push_bent(b.device, &bend);
    ck_assert_int_eq(pl_vq_await(b.vq, 0, 1, NULL), 0);
    assert_told(&b, "broken ring_used_id");
    at(&b, c.in)[0] ^= 1;
    if (late) {
        set_status(&b, 0);
        at(&b, c.in)[0] ^= 2;
    }
    pl_vq_end(b.vq);
    pl_vq_begin(b.vq, 2);
    ck_assert_int_eq(pl_vq_lay(b.vq, 0, 8, &f), 0);
    pl_vq_end(b.vq);
    ck_assert_int_eq(told(&b, "broken io_after_reset"), late);
    close_bench(&b);
}
END_TEST

/* A reset that never was, because RING_RESET was not negotiated, stops nothing. */
START_TEST(queue_reset_that_was_not_negotiated)
{
    struct pl_vq_features f = {.packed = _i};
    struct bench b;
    open_bench(&b, MEMORY);
    lay(&b, 8, &f);
    add(&b, false, NULL);
    reset_queue(&b);
    assert_untold(&b, "sealed");
    serve(&b, 32, 32);
    ck_assert_int_eq(pl_vq_await(b.vq, 0, 1, NULL), 1);
    close_bench(&b);
}
END_TEST

START_TEST(a_ring_of_nonsense_is_not_looked_at)
{
    struct pl_vq_queue q;
    struct bench b;
    uint8_t bytes[4] = {1, 2, 3, 4};
    opened(&b, 8, _i);
    add(&b, false, NULL);
    ck_assert(pl_vq_look_up(b.vq, &q));
    ck_assert(pl_vq_poke(b.vq, q.setup.desc_addr + 4, bytes, 4, false));
    assert_told(&b, "ring 0 0 end\n");
    ck_assert_mem_eq(at(&b, q.setup.desc_addr + 4), bytes, 4);
    ck_assert(!pl_vq_poke(b.vq, b.memory.base + b.memory.size - 3, bytes, 4, true));
    ck_assert(!pl_vq_poke(b.vq, 0, bytes, 4, false));
    ck_assert_int_eq(pl_vq_chain(b.vq, 0, &(struct pl_vq_buffer){4, true, NULL}, 1, false, NULL),
                     -ENOENT);
    forget(&b);
    memset(at(&b, q.setup.desc_addr), 0x5a, 4096);
    ck_assert_int_eq(pl_vq_idle(b.vq, 0), 1);
    pl_vq_end(b.vq);
    assert_untold(&b, "ring");
    close_bench(&b);
}
END_TEST

/* What the driver means to write is no write of the device's. */
START_TEST(a_poke_that_is_kept)
{
    struct pl_vq_chain c;
    struct pl_vq_queue q;
    struct bench b;
    const uint8_t bytes[2] = {7, 8};
    opened(&b, 8, _i);
    add(&b, true, NULL);
    ck_assert(pl_vq_current(b.vq, &c) && pl_vq_look_up(b.vq, &q));
    ck_assert(pl_vq_poke(b.vq, c.out + 3, bytes, 2, true));
    ck_assert(pl_vq_poke(b.vq, c.table + 16 + (_i ? 12 : 14), bytes, 2, true));
    ck_assert(pl_vq_poke(b.vq, q.setup.desc_addr + 16 * 7 + 8, bytes, 2, true));
    ck_assert_mem_eq(at(&b, c.out + 3), bytes, 2);
    serve(&b, 32, 32);
    ck_assert_int_eq(pl_vq_await(b.vq, 0, 1, NULL), 1);
    pl_vq_end(b.vq);
    assert_untold(&b, "broken");
    close_bench(&b);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("vq");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, a_chain_there_and_back, 0, 2);
    tcase_add_loop_test(t, buffers_are_put_together, 0, 2);
    tcase_add_test(t, every_size_fits);
    tcase_add_test(t, memory_that_is_too_small);
    tcase_add_test(t, much_traffic_shows_nothing);
    tcase_add_loop_test(t, named_chains, 0, 2);
    tcase_add_loop_test(t, suppressed_and_wanted, 0, 2);
    tcase_add_loop_test(t, announced_at_an_index, 0, 2);
    tcase_add_loop_test(t, notification_data, 0, 4);
    tcase_add_loop_test(t, no_kick_where_none_is_wanted, 0, 2);
    tcase_add_loop_test(t, what_is_missing, 0, 2);
    tcase_add_loop_test(t, writes_where_none_may_be, 0, 2 * SINS);
    tcase_add_loop_test(t, writes_after_it_was_used, 0, 2);
    tcase_add_loop_test(t, bytes_that_were_not_written, 0, 2);
    tcase_add_loop_test(t, used_twice, 0, 2);
    tcase_add_loop_test(t, used_elements_that_change, 0, 2);
    tcase_add_loop_test(t, used_elements_that_cannot_be, 0, 8);
    tcase_add_loop_test(t, used_in_order, 0, 4);
    tcase_add_loop_test(t, used_elements_that_change_later, 0, 4);
    tcase_add_loop_test(t, used_at_the_wrong_place, 0, 2);
    tcase_add_loop_test(t, writes_into_a_replaced_ring, 0, 4);
    tcase_add_loop_test(t, writes_after_a_reset, 0, 12);
    tcase_add_loop_test(t, writes_into_an_old_scenarios_memory, 0, 2);
    tcase_add_loop_test(t, writes_behind_a_fault, 0, 4);
    tcase_add_loop_test(t, queue_reset_that_was_not_negotiated, 0, 2);
    tcase_add_loop_test(t, a_poke_that_is_kept, 0, 2);
    tcase_add_loop_test(t, a_ring_of_nonsense_is_not_looked_at, 0, 2);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    SRunner *runner = srunner_create(suite());
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
