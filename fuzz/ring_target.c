/* Fuzz target: bytes become operations on a driver end and a device end of one ring, with scribbles
 * over their shared memory in between; what must hold whatever the peer writes is checked. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ring/ring.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    ROOM = 4096,      /* bytes behind the ring, for tables and buffers */
    IN_FLIGHT = 8,    /* chains that the device holds back at most */
    BUFFERS_MAX = 12, /* of a chain that is added */
    ENTRY = 16,       /* bytes that scribbles count in: most rings are made of such entries */
};
static const uint64_t BASE = UINT64_C(0x123400000000);

struct input {
    const uint8_t *at;
    size_t left;
};

struct flight {
    uint16_t id, entries;
    uint64_t writable;
};

struct world {
    struct input in;
    struct pl_ring_memory memory;
    struct pl_ring_setup setup;
    size_t whole; /* bytes of the ring's parts */
    struct pl_driver_ring *driver;
    struct pl_device_ring *device;
    struct pl_ring_chain chain;
    struct flight flight[IN_FLIGHT];
    unsigned in_flight;
    bool clean; /* nothing was written that a legal end would not write */
};

static void hold(bool condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "ring: %s does not hold\n", what);
    abort();
}

static uint8_t byte(struct input *in)
{
    if (in->left == 0)
        return 0;
    in->left--;
    return *in->at++;
}

static uint32_t number(struct input *in, unsigned bytes)
{
    uint32_t n = 0;

    while (bytes-- > 0)
        n = n << 8 | byte(in);
    return n;
}

static void add(struct world *w)
{
    struct pl_ring_buffer buffer[BUFFERS_MAX];
    const uint8_t shape = byte(&w->in);
    const size_t n = shape % BUFFERS_MAX + 1u, readable = byte(&w->in) % (n + 1);
    uint64_t table = 0;

    for (size_t i = 0; i < n; i++) {
        uint32_t at = number(&w->in, 2) % ROOM;
        buffer[i].addr = w->memory.base + w->whole + at;
        buffer[i].len = byte(&w->in) % (ROOM - at);
        buffer[i].device_writes = i >= readable;
    }
    if (w->setup.indirect && shape & 0x80)
        table = (w->memory.base + w->whole + (size_t)ENTRY * byte(&w->in)) & ~(uint64_t)(ENTRY - 1);
    unsigned room = pl_driver_ring_room(w->driver);
    int id = pl_driver_ring_add(w->driver, buffer, n, table);
    hold(id < (int)w->setup.size, "an id below the size");
    if (id >= 0)
        hold(pl_driver_ring_room(w->driver) == room - (table ? 1 : n), "the room's account");
    /* A table over a buffer or another table is the driver's own rubbish. */
    if (table)
        w->clean = false;
}

static void poll(struct world *w)
{
    struct pl_ring_used used;
    enum pl_ring_fault fault;
    const unsigned held = pl_driver_ring_held(w->driver);
    const int code = pl_driver_ring_poll(w->driver, &used, &fault);

    hold((code < 0) == (fault != PL_RING_SOUND), "a fault where poll fails");
    hold(code >= 0 || !w->clean, "no fault of a legal device");
    if (code <= 0)
        return;
    hold(pl_driver_ring_held(w->driver) == held - 1, "one chain less");
    hold(used.id < w->setup.size && !pl_driver_ring_holds(w->driver, used.id), "a known id");
    hold(!used.implied || (w->setup.in_order && used.written == 0), "implied in order only");
}

static void check_chain(const struct world *w, const struct pl_ring_chain *chain)
{
    uint64_t bytes = 0;

    hold(chain->n <= PL_RING_CHAIN_MAX && chain->n_readable <= chain->n, "counts of buffers");
    for (unsigned i = 0; i < chain->n; i++) {
        const struct pl_ring_buffer *b = &chain->buffer[i];
        hold(pl_ring_at(&w->memory, b->addr, b->len) != NULL, "buffers in the memory");
        hold(b->device_writes == (i >= chain->n_readable), "the order of directions");
        bytes += b->len;
    }
    hold(bytes <= chain->readable + chain->writable, "the sum of lengths");
}

static void pop(struct world *w)
{
    uint8_t bytes[512];
    enum pl_ring_fault fault;

    if (w->in_flight == IN_FLIGHT)
        return;
    int code = pl_device_ring_pop(w->device, &w->chain, &fault);
    hold((fault != PL_RING_SOUND) == (code == -EPROTO), "a fault where pop fails");
    hold(code >= 0 || !w->clean, "no fault of a legal driver");
    if (code == 0 || fault != PL_RING_SOUND)
        return;
    check_chain(w, &w->chain);
    size_t at = byte(&w->in), len = byte(&w->in) * 2u;
    size_t n = pl_ring_read(&w->memory, &w->chain, at, bytes, len);
    hold(n <= len && (code < 0 || n == len || at + n >= w->chain.readable), "what was read");
    memset(bytes, byte(&w->in), sizeof(bytes));
    /* Buffers may lie over one another, and where hostile over the ring. */
    if (!w->clean)
        pl_ring_write(&w->memory, &w->chain, at, bytes, len);
    w->flight[w->in_flight++] = (struct flight){w->chain.id, w->chain.entries, w->chain.writable};
}

/* In order the chains go back as they came: one, or all up to one. */
static void push(struct world *w)
{
    if (w->in_flight == 0)
        return;
    unsigned i = byte(&w->in) % w->in_flight, first = w->setup.in_order ? 0 : i;
    struct flight f = w->flight[i];
    uint64_t written = number(&w->in, 2);

    if (w->setup.in_order) {
        f.entries = 0;
        for (unsigned k = 0; k <= i; k++)
            f.entries = (uint16_t)(f.entries + w->flight[k].entries);
    }
    if (written > f.writable)
        written = f.writable;
    pl_device_ring_push(w->device, f.id, f.entries, (uint32_t)written);
    w->in_flight -= i - first + 1;
    memmove(&w->flight[first], &w->flight[i + 1], (w->in_flight - first) * sizeof(w->flight[0]));
}

static void push_bent(struct world *w)
{
    const uint8_t how = byte(&w->in);
    const struct pl_ring_bend bend = {
        .id = how & 1 ? number(&w->in, 4) : number(&w->in, 1) % w->setup.size,
        .written = how & 2 ? number(&w->in, 4) : byte(&w->in),
        .entries = (uint16_t)(how & 4 ? number(&w->in, 2) : byte(&w->in) % 4),
        .flip_wrap = how & 8,
        .hide = how & 16,
    };

    w->clean = false;
    pl_device_ring_push_bent(w->device, &bend);
}

/* A few bytes somewhere: anywhere, in one of the ring's parts, or at a field's beginning. */
static void scribble(struct world *w)
{
    const uint64_t part[] = {BASE, w->setup.desc_addr, w->setup.driver_addr, w->setup.device_addr};
    const uint8_t how = byte(&w->in);
    size_t at = part[how & 3] - BASE, n = (how >> 2 & 7) + 1u;

    at += how & 0x20 ? number(&w->in, 3) : byte(&w->in) % 64 * (how & 0x40 ? 2u : 1u);
    w->clean = false;
    for (size_t i = 0; i < n; i++)
        ((uint8_t *)w->memory.mem)[(at + i) % w->memory.size] = byte(&w->in);
}

/* Little-endian, as all of a ring is. */
static void put16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)value;
    at[1] = (uint8_t)(value >> 8);
}

/* A descriptor that is almost right: flags and next that lead on, an address nearby. */
static void forge(struct world *w)
{
    uint8_t *at = (uint8_t *)w->memory.mem + (w->setup.desc_addr - BASE);
    const uint8_t how = byte(&w->in);
    uint64_t addr = w->memory.base + (how & 1 ? number(&w->in, 3) : w->whole + byte(&w->in));
    uint32_t len = how & 2 ? number(&w->in, 4) : byte(&w->in) * (how & 4 ? 16u : 1u);
    uint32_t half = number(&w->in, how & 32 ? 2 : 1) % (how & 32 ? 65536 : w->setup.size);
    uint16_t flags = (uint16_t)(byte(&w->in) & (how & 8 ? 0x87 : 0x83));

    if (how & 16)
        flags |= 0x8000;
    w->clean = false;
    at += (size_t)ENTRY * (number(&w->in, 1) % w->setup.size);
    for (unsigned i = 0; i < 4; i++)
        put16(at + 2 * i, (uint32_t)(addr >> 16 * i));
    put16(at + 8, len);
    put16(at + 10, len >> 16);
    put16(at + (w->setup.packed ? 12 : 14), half);
    put16(at + (w->setup.packed ? 14 : 12), flags);
}

/* Split: another available head or used id in every slot, and the index one or a few on. */
static void forge_index(struct world *w)
{
    const uint8_t how = byte(&w->in);
    const bool used = how & 1;
    uint8_t *at =
        (uint8_t *)w->memory.mem + ((used ? w->setup.device_addr : w->setup.driver_addr) - BASE);
    const uint32_t id = how & 2 ? number(&w->in, 2) : number(&w->in, 1) % w->setup.size;

    if (w->setup.packed)
        return;
    w->clean = false;
    for (size_t i = 0; i < w->setup.size && i < 64; i++)
        put16(at + 4 + i * (used ? 8 : 2), id);
    put16(at + 2, (uint32_t)(at[2] | at[3] << 8) + (how & 4 ? number(&w->in, 2) : 1u));
}

static void compare(struct world *w)
{
    const char *what = NULL;
    bool intact = pl_driver_ring_intact(w->driver, &what);

    hold(intact || !w->clean, "a legal device leaves the driver's parts alone");
    hold(intact || (what && *what), "a name for what was overwritten");
}

static void publish(struct world *w)
{
    bool wrap;

    pl_driver_ring_publish(w->driver);
    if (byte(&w->in) & 1)
        pl_driver_ring_kick_due(w->driver);
    uint16_t offset = pl_driver_ring_kick_offset(w->driver, &wrap);
    hold(!w->setup.packed || offset < w->setup.size, "an offset in the ring");
}

static void set_notify(struct world *w)
{
    pl_driver_ring_notify(w->driver, byte(&w->in) % 3, (uint16_t)number(&w->in, 2));
    if (byte(&w->in) & 1)
        pl_driver_ring_due(w->driver);
}

static void flush(struct world *w)
{
    pl_device_ring_flush(w->device);
    if (byte(&w->in) & 1)
        pl_device_ring_notify_due(w->device);
}

static void set_kicks(struct world *w)
{
    pl_device_ring_kicks(w->device, byte(&w->in) & 1);
}

static void step(struct world *w)
{
    static void (*const operation[])(struct world *) = {
        add,  add,  publish, publish, poll,     poll,  set_notify, pop,       pop,
        push, push, flush,   compare, scribble, forge, push_bent,  set_kicks, forge_index,
    };

    operation[byte(&w->in) % (sizeof(operation) / sizeof(operation[0]))](w);
}

/* The first bytes choose the features and the size; false where the size is none. */
static bool set_up(struct world *w)
{
    static const uint16_t sizes[] = {1, 2, 4, 8, 16, 64, 256, 32768};
    const uint8_t features = byte(&w->in), size = byte(&w->in);
    int err;

    w->setup.packed = features & 1;
    w->setup.indirect = features & 2;
    w->setup.event_idx = features & 4;
    w->setup.in_order = features & 8;
    w->setup.size = w->setup.packed && size & 0x80 ? (uint16_t)((size & 0x7f) + 1)
                                                   : sizes[size % (size & 0x40 ? 8 : 7)];
    w->whole = (pl_ring_bytes(w->setup.packed, w->setup.size).whole + ENTRY - 1) / ENTRY * ENTRY;
    w->memory = (struct pl_ring_memory){NULL, BASE, w->whole + ROOM, NULL};
    w->memory.mem = calloc(1, w->memory.size);
    if (!w->memory.mem || pl_ring_place(&w->setup, BASE) < 0)
        return false;
    w->driver = pl_driver_ring_new(&w->memory, &w->setup, &err);
    w->device = pl_device_ring_new(&w->memory, &w->setup, &err);
    w->clean = true;
    return w->driver && w->device;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world *w = calloc(1, sizeof(*w));

    if (!w)
        return 0;
    w->in = (struct input){data, size};
    if (set_up(w)) {
        while (w->in.left > 0)
            step(w);
    }
    pl_driver_ring_free(w->driver);
    pl_device_ring_free(w->device);
    free(w->memory.mem);
    free(w);
    return 0;
}
