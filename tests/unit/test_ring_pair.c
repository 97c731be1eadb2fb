/* Differential test of the two ring ends: every feature combination and size, random chains used in
 * any legal order, data and notifications held against a reckoning that is written out here. */
#include <endian.h>
#include <errno.h>

#include "ring_pair.h"

enum {
    BUFFERS = 8,       /* of a chain, at most */
    BUFFER_BYTES = 32, /* of a buffer, at most */
    SLOT = BUFFERS * (BUFFER_BYTES + 16),
    FILL = 0xee, /* what stands in a device-writable buffer before */
    FEATURES = 16,
};

/* A chain as the driver wrote it, in a slot of the memory of its own. */
struct model_chain {
    struct pl_ring_buffer buffer[BUFFERS];
    unsigned n, n_readable, slot;
    uint16_t entries;
    uint32_t writable, written;
    uint8_t seed;
    bool implied;
};

/* Ids, first in, first out. */
struct queue {
    uint16_t *id;
    uint64_t in, out;
};

struct model {
    struct ring_pair pair;
    struct model_chain *chain; /* by id */
    unsigned *slots, n_slots;  /* free ones */
    struct queue added, in_flight, pushed;
    uint64_t published, flushed;  /* how far added and pushed are visible */
    uint64_t held_entries, taken; /* taken: since the last full look */
    /* counted up from 0: chains where split, entries where packed */
    uint64_t avail_end, kicked, used_end, noticed, unflushed;
    bool notified;
    struct pl_ring_chain popped;
    unsigned due[3];
};

static unsigned pick(struct model *m, unsigned below)
{
    return ring_random(&m->pair.random, below);
}

static uint16_t *at(struct queue *q, uint64_t i, uint16_t size)
{
    return &q->id[i % size];
}

/* One place counted up from 0 as an event suppression structure tells it. */
static uint16_t place_word(uint64_t count, uint16_t size)
{
    return (uint16_t)(count % size | (count / size % 2 == 0 ? 0x8000u : 0));
}

/* By the rules, entry by entry: does what lies in [from, end) ask for a notification? */
static bool reckon(const struct model *m, bool of_driver, uint64_t from, uint64_t end)
{
    const struct pl_ring_setup *s = &m->pair.setup;
    const uint8_t *part = ring_at(&m->pair, of_driver ? s->driver_addr : s->device_addr);
    const size_t event_at = 4 + (size_t)s->size * (of_driver ? 2 : 8);
    uint16_t word[2], event = 0;
    bool each;

    if (from == end)
        return false;
    memcpy(word, part, sizeof(word));
    if (!s->packed)
        memcpy(&event, part + event_at, sizeof(event));
    if (s->packed && (le16toh(word[1]) == 0 || le16toh(word[1]) == 1))
        return le16toh(word[1]) == 0;
    each = s->packed || s->event_idx;
    for (uint64_t i = from; each && i < end; i++) {
        uint16_t here = s->packed ? place_word(i, s->size) : (uint16_t)i;
        if (here == le16toh(s->packed ? word[0] : event))
            return true;
    }
    return !each && !(le16toh(word[0]) & 1);
}

static void fill_chain(struct model *m, struct model_chain *c)
{
    const unsigned most = m->pair.setup.size < BUFFERS ? m->pair.setup.size : BUFFERS;
    const uint64_t base = m->pair.behind + (uint64_t)c->slot * SLOT;

    c->n = 1 + (pick(m, 2) ? pick(m, most) : 0);
    c->n_readable = pick(m, c->n + 1);
    c->seed = (uint8_t)pick(m, 256);
    c->writable = 0;
    for (unsigned i = 0; i < c->n; i++) {
        struct pl_ring_buffer *b = &c->buffer[i];
        *b = (struct pl_ring_buffer){base + i * BUFFER_BYTES, pick(m, BUFFER_BYTES + 1),
                                     i >= c->n_readable};
        c->writable += b->device_writes ? b->len : 0;
        for (unsigned k = 0; k < BUFFER_BYTES; k++)
            ((uint8_t *)ring_at(&m->pair, b->addr))[k] =
                b->device_writes ? FILL : (uint8_t)(c->seed + i + k);
    }
}

static void add_chain(struct model *m)
{
    const uint16_t size = m->pair.setup.size;
    struct model_chain c = {0};
    uint64_t table = 0;

    if (m->held_entries == size) {
        struct pl_ring_buffer one = {m->pair.behind, 1, false};
        expect_eq(pl_driver_ring_add(m->pair.driver, &one, 1, 0), -ENOSPC);
        return;
    }
    c.slot = m->slots[m->n_slots - 1];
    fill_chain(m, &c);
    if (m->pair.setup.indirect && pick(m, 2))
        table = m->pair.behind + (uint64_t)c.slot * SLOT + BUFFERS * BUFFER_BYTES;
    c.entries = (uint16_t)(table ? 1 : c.n);
    int id = pl_driver_ring_add(m->pair.driver, c.buffer, c.n, table);
    if (c.entries > size - m->held_entries) {
        expect_eq(id, -ENOSPC);
        return;
    }
    expect(id >= 0 && id < size);
    m->n_slots--;
    m->chain[id] = c;
    m->held_entries += c.entries;
    *at(&m->added, m->added.in++, size) = (uint16_t)id;
    expect(!pl_driver_ring_holds(m->pair.driver, (uint16_t)id));
}

static void publish(struct model *m)
{
    const struct pl_ring_setup *s = &m->pair.setup;
    bool wrap;

    pl_driver_ring_publish(m->pair.driver);
    for (; m->published < m->added.in; m->published++) {
        uint16_t id = *at(&m->added, m->published, s->size);
        m->avail_end += s->packed ? m->chain[id].entries : 1u;
        expect(pl_driver_ring_holds(m->pair.driver, id));
    }
    uint16_t offset = pl_driver_ring_kick_offset(m->pair.driver, &wrap);
    if (s->packed)
        expect_eq(offset | (wrap ? 0x8000u : 0), place_word(m->avail_end, s->size));
    else
        expect_eq(offset, (uint16_t)m->avail_end);
    if (pick(m, 4) == 0)
        return;
    bool due = reckon(m, false, m->kicked, m->avail_end);
    expect_eq(pl_driver_ring_kick_due(m->pair.driver), due);
    m->kicked = m->avail_end;
}

static void check_popped(struct model *m, const struct model_chain *c)
{
    const struct pl_ring_chain *p = &m->popped;
    uint8_t bytes[BUFFERS * BUFFER_BYTES];
    size_t done = 0;

    expect_eq(p->n, c->n);
    expect_eq(p->n_readable, c->n_readable);
    expect_eq(p->writable, c->writable);
    expect_eq(p->entries, m->pair.setup.packed ? c->entries : 1);
    expect_eq(pl_ring_read(&m->pair.memory, p, 0, bytes, sizeof(bytes)), p->readable);
    for (unsigned i = 0; i < c->n; i++) {
        expect_eq(p->buffer[i].addr, c->buffer[i].addr);
        expect_eq(p->buffer[i].len, c->buffer[i].len);
        expect(p->buffer[i].device_writes == (i >= c->n_readable));
        for (unsigned k = 0; i < c->n_readable && k < c->buffer[i].len; k++)
            expect_eq(bytes[done++], (uint8_t)(c->seed + i + k));
    }
}

static void pop_chain(struct model *m)
{
    const uint16_t size = m->pair.setup.size;
    uint8_t bytes[BUFFERS * BUFFER_BYTES];
    enum pl_ring_fault fault;
    int code = pl_device_ring_pop(m->pair.device, &m->popped, &fault);

    expect_eq(fault, PL_RING_SOUND);
    expect_eq(code, m->added.out < m->published);
    if (code == 0)
        return;
    uint16_t id = *at(&m->added, m->added.out++, size);
    expect_eq(m->popped.id, id);
    struct model_chain *c = &m->chain[id];
    check_popped(m, c);
    c->written = pick(m, c->writable + 1);
    for (size_t i = 0; i < c->written; i++)
        bytes[i] = (uint8_t)(c->seed ^ i);
    size_t half = c->written / 2;
    expect_eq(pl_ring_write(&m->pair.memory, &m->popped, 0, bytes, half), half);
    expect_eq(pl_ring_write(&m->pair.memory, &m->popped, half, bytes + half, c->written - half),
              c->written - half);
    *at(&m->in_flight, m->in_flight.in++, size) = id;
}

/* In order the next chains, by a single entry; else any one. */
static void push_chain(struct model *m)
{
    const uint16_t size = m->pair.setup.size;
    const unsigned n = (unsigned)(m->in_flight.in - m->in_flight.out);
    unsigned batch = 1;
    uint16_t entries = 0, id = 0;

    if (n == 0)
        return;
    if (m->pair.setup.in_order) {
        batch = 1 + pick(m, n < 4 ? n : 4);
    } else {
        uint16_t *some = at(&m->in_flight, m->in_flight.out + pick(m, n), size);
        uint16_t *first = at(&m->in_flight, m->in_flight.out, size);
        id = *some;
        *some = *first;
        *first = id;
    }
    for (unsigned i = 0; i < batch; i++) {
        id = *at(&m->in_flight, m->in_flight.out++, size);
        m->chain[id].implied = i + 1 < batch;
        entries = (uint16_t)(entries + (m->pair.setup.packed ? m->chain[id].entries : 1));
        *at(&m->pushed, m->pushed.in++, size) = id;
    }
    pl_device_ring_push(m->pair.device, id, entries, m->chain[id].written);
    m->unflushed += entries;
}

static void flush(struct model *m)
{
    pl_device_ring_flush(m->pair.device);
    m->flushed = m->pushed.in;
    m->used_end += m->unflushed;
    m->unflushed = 0;
    bool due = reckon(m, true, m->noticed, m->used_end);
    expect_eq(pl_device_ring_notify_due(m->pair.device), due);
    m->noticed = m->used_end;
    m->notified |= due;
}

static void check_data(const struct model *m, const struct model_chain *c, uint32_t written)
{
    size_t done = 0;

    for (unsigned i = c->n_readable; i < c->n; i++) {
        const uint8_t *bytes = ring_at(&m->pair, c->buffer[i].addr);
        for (size_t k = 0; k < BUFFER_BYTES; k++) {
            bool touched = k < c->buffer[i].len && done < written;
            expect_eq(bytes[k], touched ? (uint8_t)(c->seed ^ done) : FILL);
            done += touched;
        }
    }
}

/* Take one used chain, if there is one. */
static bool poll_chain(struct model *m)
{
    const bool there = m->pushed.out < m->flushed;
    struct pl_ring_used used;
    enum pl_ring_fault fault;

    expect_eq(pl_driver_ring_poll(m->pair.driver, &used, &fault), there);
    expect_eq(fault, PL_RING_SOUND);
    if (!there)
        return false;
    uint16_t id = *at(&m->pushed, m->pushed.out++, m->pair.setup.size);
    struct model_chain *c = &m->chain[id];
    expect_eq(used.id, id);
    expect_eq(used.implied, c->implied);
    expect_eq(used.written, c->implied ? 0 : c->written);
    expect(!pl_driver_ring_holds(m->pair.driver, id));
    check_data(m, c, c->written);
    m->held_entries -= c->entries;
    m->slots[m->n_slots++] = c->slot;
    m->taken++;
    return true;
}

/* What the driver end says of the device's duty against what the device end did by the rules. */
static void look(struct model *m)
{
    while (poll_chain(m))
        ;
    enum pl_ring_due due = pl_driver_ring_due(m->pair.driver);
    if (due == PL_RING_DUE)
        expect(m->notified);
    if (due == PL_RING_QUIET)
        expect(!m->notified);
    m->due[due] += m->taken > 0;
    m->taken = 0;
    m->notified = false;
}

static void check_books(struct model *m)
{
    const char *what = "";

    expect_eq(pl_driver_ring_room(m->pair.driver), m->pair.setup.size - m->held_entries);
    expect_eq(pl_driver_ring_held(m->pair.driver), m->published - m->pushed.out);
    if (m->pair.setup.size <= 256 || pick(m, 16) == 0)
        expect(pl_driver_ring_intact(m->pair.driver, &what));
}

static void step(struct model *m)
{
    const unsigned size = m->pair.setup.size;
    unsigned many = 1 + pick(m, pick(m, 4) ? 3 : size);

    switch (pick(m, 9)) {
    case 0:
    case 1:
        while (many-- > 0)
            add_chain(m);
        break;
    case 2:
        publish(m);
        break;
    case 3:
        while (many-- > 0)
            pop_chain(m);
        break;
    case 4:
        while (many-- > 0)
            push_chain(m);
        break;
    case 5:
        flush(m);
        break;
    case 6:
        while (many-- > 0 && poll_chain(m))
            ;
        break;
    case 7:
        look(m);
        break;
    default:
        if (pick(m, 2))
            pl_device_ring_kicks(m->pair.device, pick(m, 3) > 0);
        if (pick(m, 3) == 0)
            look(m);
        pl_driver_ring_notify(m->pair.driver, pick(m, 3), (uint16_t)pick(m, 4));
    }
    check_books(m);
}

/* Everything comes back in the end. */
static void drain(struct model *m)
{
    publish(m);
    while (m->added.out < m->published)
        pop_chain(m);
    while (m->in_flight.out < m->in_flight.in)
        push_chain(m);
    flush(m);
    look(m);
    check_books(m);
    expect_eq(m->held_entries, 0);
    expect_eq(pl_driver_ring_held(m->pair.driver), 0);
}

static struct model *open_model(unsigned features, uint16_t size, uint64_t seed)
{
    struct model *m = calloc(1, sizeof(*m));
    const struct pl_ring_setup setup = {
        .packed = features & 1,
        .indirect = features & 2,
        .event_idx = features & 4,
        .in_order = features & 8,
        .size = size,
    };

    ck_assert_ptr_nonnull(m);
    ring_pair_open(&m->pair, &setup, (size_t)size * SLOT);
    m->pair.random = seed;
    m->chain = calloc(size, sizeof(*m->chain));
    m->slots = calloc(size, sizeof(*m->slots));
    for (m->n_slots = 0; m->n_slots < size; m->n_slots++)
        m->slots[m->n_slots] = m->n_slots;
    m->added.id = calloc(size, sizeof(uint16_t));
    m->in_flight.id = calloc(size, sizeof(uint16_t));
    m->pushed.id = calloc(size, sizeof(uint16_t));
    return m;
}

static void close_model(struct model *m)
{
    ring_pair_close(&m->pair);
    free(m->chain);
    free(m->slots);
    free(m->added.id);
    free(m->in_flight.id);
    free(m->pushed.id);
    free(m);
}

static void run(unsigned features, uint16_t size, unsigned steps, unsigned due[3])
{
    const uint64_t seed = UINT64_C(0x51ed2701) * (features + 1) + size;
    struct model *m = open_model(features, size, seed);

    for (unsigned i = 0; i < steps; i++)
        step(m);
    drain(m);
    for (unsigned i = 0; i < 3; i++)
        due[i] += m->due[i];
    close_model(m);
}

/* Loop index: features; each reckoning must have met both answers. */
START_TEST(test_all_sizes)
{
    static const uint16_t sizes[] = {1, 2, 3, 4, 7, 8, 64, 256, 1024, 32768};
    unsigned due[3] = {0};

    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        bool power = (sizes[i] & (sizes[i] - 1)) == 0;
        if (power || _i & 1)
            run((unsigned)_i, sizes[i], sizes[i] > 256 ? 60 : 600, due);
    }
    ck_assert_uint_gt(due[PL_RING_DUE], 20);
    ck_assert_uint_gt(due[PL_RING_QUIET], 20);
}
END_TEST

/* Far enough that the indexes of a split ring pass 65536. */
START_TEST(test_index_wraps)
{
    unsigned due[3] = {0};
    struct model *m = open_model((unsigned)_i, _i & 1 ? 5 : 4, UINT64_C(77) + (unsigned)_i);

    while (m->pushed.out < 70000)
        step(m);
    drain(m);
    close_model(m);
    run((unsigned)_i, 256, 1500, due);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ring_pair");
    TCase *tc = tcase_create("ring_pair");

    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, test_all_sizes, 0, FEATURES);
    tcase_add_loop_test(tc, test_index_wraps, 0, FEATURES);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
