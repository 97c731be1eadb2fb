/* The reference driver against the reference device, joined by a small bus in virtual time. */
#include <check.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/selftest.h"
#include "cli/selftest_driver.h"
#include "peer/device.h"
#include "peer/driver.h"

enum { MEMORY = 1 << 20, BASE_SHIFT = 32, MESSAGES_MAX = 20000, FLIGHT_MAX = 4096, QUIET = 60 };

/* What the bus does to messages. */
struct habits {
    unsigned lose;  /* one in so many is lost; 0: none */
    unsigned late;  /* ms at most that a message is on its way */
    unsigned twice; /* one event in so many comes twice; 0: none */
    uint64_t seed;
};

struct flight {
    uint64_t at, seq;
    bool to_driver;
    size_t size;
    uint8_t *bytes;
};

struct bus {
    struct habits habits;
    void *driver, *device;
    uint8_t *memory;
    uint64_t now, seq, draws, messages;
    struct flight flight[FLIGHT_MAX];
    size_t n;
    bool ended, trace;
    void (*meddle)(struct bus *bus, uint8_t *bytes, size_t *size, bool from_driver); /* or NULL */
    uint64_t used_at;      /* offset of a device area */
    unsigned heard;        /* messages of the device's so far */
    bool digests, endless; /* endless: a driver that talks for ever is stopped */
    uint64_t digest;       /* of what the driver sent, and of the memory at each event */
};

static uint64_t draw(struct bus *bus)
{
    uint64_t z = bus->habits.seed + ++bus->draws * UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    return z ^ z >> 31;
}

static void launch(struct bus *bus, const uint8_t *bytes, size_t size, bool to_driver)
{
    ck_assert(bus->n < FLIGHT_MAX);
    struct flight *f = &bus->flight[bus->n++];
    uint64_t late = bus->habits.late ? draw(bus) % (bus->habits.late + 1) : 0;
    *f = (struct flight){bus->now + late, bus->seq++, to_driver, size, malloc(size)};
    memcpy(f->bytes, bytes, size);
}

static void mix(struct bus *bus, const uint8_t *bytes, size_t size)
{
    uint64_t hash = bus->digest ^ UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    bus->digest = hash;
}

static void digest(struct bus *bus, const uint8_t *bytes, size_t size)
{
    enum { LOOKED_AT = 96 << 10 };
    mix(bus, bytes, size);
    if (bytes[1] & 0x40 || bytes[1] == 0x08 || bytes[1] == 0x0b)
        for (size_t i = 0; i < LOOKED_AT; i += 8) /* lanes and the first queue, sparsely mixed */
            bus->digest = (bus->digest ^ *(const uint64_t *)(const void *)(bus->memory + i)) *
                          UINT64_C(0x100000001b3);
}

/* Take what one end has to say; true where there was something. */
static bool listen(struct bus *bus, bool from_driver)
{
    static uint8_t bytes[PL_MSG_MAX];
    const struct pl_endpoint_ops *ops = from_driver ? &pl_driver_endpoint : &pl_device_endpoint;
    int size = ops->poll(from_driver ? bus->driver : bus->device, bytes, sizeof(bytes));
    if (size < 0)
        bus->ended = true;
    if (size <= 0)
        return false;
    if (++bus->messages >= MESSAGES_MAX && bus->endless)
        bus->ended = true;
    ck_assert_msg(bus->endless || bus->messages < MESSAGES_MAX, "they talk for ever");
    if (bus->trace) {
        char text[512];
        pl_format(pl_spec_find("virtio-msg-r1"), bytes, (size_t)size, text, sizeof(text));
        fprintf(stderr, "%6llu %s %s\n", (unsigned long long)bus->now, from_driver ? ">" : "<",
                text);
    }
    if (from_driver && bus->digests)
        digest(bus, bytes, (size_t)size);
    size_t length = (size_t)size;
    bus->heard += !from_driver;
    if (bus->meddle)
        bus->meddle(bus, bytes, &length, from_driver);
    size = (int)length;
    if (size == 0)
        return true; /* it was taken out */
    if (bus->habits.lose && draw(bus) % bus->habits.lose == 0)
        return true;
    launch(bus, bytes, (size_t)size, !from_driver);
    if (bus->habits.twice && bytes[1] & 0x40 && draw(bus) % bus->habits.twice == 0)
        launch(bus, bytes, (size_t)size, !from_driver);
    return true;
}

static bool deliver(struct bus *bus)
{
    size_t next = bus->n;
    for (size_t i = 0; i < bus->n; i++)
        if (bus->flight[i].at <= bus->now &&
            (next == bus->n || bus->flight[i].seq < bus->flight[next].seq))
            next = i;
    if (next == bus->n)
        return false;
    struct flight f = bus->flight[next];
    bus->flight[next] = bus->flight[--bus->n];
    const struct pl_endpoint_ops *ops = f.to_driver ? &pl_driver_endpoint : &pl_device_endpoint;
    ck_assert_int_eq(ops->deliver(f.to_driver ? bus->driver : bus->device, f.bytes, f.size) & ~0,
                     0);
    free(f.bytes);
    return true;
}

static uint64_t next_ms(const struct bus *bus)
{
    uint64_t next = pl_driver_endpoint.next_ms(bus->driver);
    uint64_t other = pl_device_endpoint.next_ms(bus->device);
    next = other < next ? other : next;
    for (size_t i = 0; i < bus->n; i++)
        next = bus->flight[i].at < next ? bus->flight[i].at : next;
    return next;
}

/* Let both work until nothing happens any more, or `until` ms have gone by. */
static void work(struct bus *bus, uint64_t until)
{
    uint64_t quiet_since = bus->now;
    for (unsigned turns = 0; !bus->ended; turns++) {
        if (turns >= 10 * MESSAGES_MAX && bus->endless)
            return;
        ck_assert_msg(turns < 10 * MESSAGES_MAX, "time goes by for ever");
        if (bus->n || pl_driver_endpoint.next_ms(bus->driver) != UINT64_MAX)
            quiet_since = bus->now;
        if (listen(bus, true) || listen(bus, false) || deliver(bus))
            continue;
        uint64_t next = next_ms(bus);
        if (next == UINT64_MAX || next > until || bus->now - quiet_since > QUIET)
            return; /* a device that looks at its rings does so for ever */
        bus->now = next > bus->now ? next : bus->now + 1;
        pl_device_endpoint.advance(bus->device, bus->now);
        pl_driver_endpoint.advance(bus->driver, bus->now);
    }
}

/* Nobody clears it: the next driver finds what the last one left. */
static _Alignas(4096) uint8_t shared[MEMORY];

static struct bus *join(const char *const *driver_options, const char *mutant,
                        const char *const *device_options, uint32_t max, uint32_t features,
                        struct habits habits)
{
    struct bus *bus = calloc(1, sizeof(*bus));
    struct pl_device_config device = {0};
    const char *rest[PL_SELFTEST_OPTIONS] = {NULL};
    bus->memory = shared;
    struct pl_endpoint_env env = {1,      max, features, bus->memory, UINT64_C(1) << BASE_SHIFT,
                                  MEMORY, NULL};
    struct pl_driver_config driver = {.options = driver_options, .mutant = mutant, .seed = 7};
    char error[256];
    ck_assert_msg(pl_driver_config_check(&driver, error, sizeof(error)) == 0, "%s", error);
    pl_selftest_split(device_options, &device, rest);
    device.options = rest;
    bus->habits = habits;
    bus->trace = getenv("TRACE") != NULL;
    bus->device = pl_device_endpoint.open(&device, &env);
    bus->driver = pl_driver_endpoint.open(&driver, &env);
    ck_assert(bus->device && bus->driver);
    return bus;
}

static void part(struct bus *bus)
{
    for (size_t i = 0; i < bus->n; i++)
        free(bus->flight[i].bytes);
    pl_driver_endpoint.close(bus->driver);
    pl_device_endpoint.close(bus->device);
    free(bus);
}

static const char *const none[] = {NULL};
static const struct habits calm = {0};

START_TEST(test_block)
{
    struct bus *bus = join(none, NULL, none, 264, 0, calm);
    work(bus, 100000);
    ck_assert_str_eq(pl_driver_state(bus->driver, 0), "READY");
    ck_assert_uint_eq(pl_driver_served(bus->driver, 0), 12);
    part(bus);
}
END_TEST

/* What became of it, in words that a legal run may end with. */
static void check_end(struct bus *bus, const char *what, bool calm_bus)
{
    uint16_t numbers[] = {0, 2};
    for (size_t i = 0; i < 2; i++) {
        const char *state = pl_driver_state(bus->driver, numbers[i]);
        bool sensible = strcmp(state, "READY") == 0 || strcmp(state, "FAILED") == 0 ||
                        strcmp(state, "IDLE") == 0 || strcmp(state, "GONE") == 0 ||
                        strcmp(state, "NONE") == 0;
        ck_assert_msg(sensible, "%s: ends in %s", what, state);
        if (calm_bus && numbers[i] == 0)
            ck_assert_msg(strcmp(state, "FAILED") != 0, "%s: was given up", what);
    }
}

static const char *words(const char *const *options, char *out, size_t cap)
{
    out[0] = '\0';
    for (size_t i = 0; options[i]; i++)
        snprintf(out + strlen(out), cap - strlen(out), "%s ", options[i]);
    return out;
}

static bool has(const char *const *options, const char *option)
{
    for (size_t i = 0; options[i]; i++)
        if (strcmp(options[i], option) == 0)
            return true;
    return false;
}

/* Does this pair have to do all of its I/O? Host-managed zones are more than this driver can do. */
static uint64_t io_due(const char *const *driver, const char *const *device)
{
    uint64_t io = 12;
    for (size_t i = 0; driver[i]; i++)
        if (strncmp(driver[i], "io=", 3) == 0)
            io = strtoull(driver[i] + 3, NULL, 10);
    if (has(device, "type=net") || has(device, "type=console") || has(device, "queue_size=1") ||
        has(device, "devices=3") || has(device, "zoned=1"))
        return 0;
    return io;
}

/* A driver of one type can do nothing with a device of another. */
static bool fits(const char *const *driver, const char *const *device)
{
    const char *wants = NULL, *is = "type=block";
    for (size_t i = 0; driver[i]; i++)
        if (strncmp(driver[i], "type=", 5) == 0)
            wants = driver[i];
    for (size_t i = 0; device[i]; i++)
        if (strncmp(device[i], "type=", 5) == 0)
            is = device[i];
    return !wants || strcmp(wants, is) == 0;
}

static void meet(size_t driver, size_t device, uint32_t max, uint32_t features,
                 struct habits habits)
{
    bool calm_bus = habits.lose == 0 && habits.late < 100;
    char one[256], two[256], what[600];
    const char *const *mine = driver < pl_driver_n_legal
                                  ? pl_driver_legal[driver]
                                  : pl_driver_lenient[driver - pl_driver_n_legal];
    const char *const *its = pl_selftest_legal[device];
    snprintf(what, sizeof(what), "driver %s, device %s, size %u, features %u",
             words(mine, one, sizeof(one)), words(its, two, sizeof(two)), max, features);
    if (getenv("TRACE"))
        fprintf(stderr, "== %s\n", what);
    struct bus *bus = join(mine, NULL, its, max, features, habits);
    work(bus, 600000);
    bool usable = !has(its, "devices=3") && !has(its, "zoned=1") && fits(mine, its);
    check_end(bus, what, calm_bus && usable);
    uint64_t served = pl_driver_served(bus->driver, 0);
    if (calm_bus && usable)
        ck_assert_msg(served >= io_due(mine, its), "%s: served %llu of %llu", what,
                      (unsigned long long)served, (unsigned long long)io_due(mine, its));
    part(bus);
}

START_TEST(test_every_pair)
{
    size_t driver = (size_t)_i;
    static const uint32_t sizes[] = {52, 64, 264, 4096};
    for (size_t device = 0; device < pl_selftest_n_legal; device++)
        meet(driver, device, sizes[(driver + device) % 4], (uint32_t)(device / 4 % 2), calm);
}
END_TEST

START_TEST(test_late)
{
    for (size_t device = (size_t)_i % 7; device < pl_selftest_n_legal; device += 7)
        meet((size_t)_i, device, 264, device & 1, (struct habits){.late = 9, .seed = device});
}
END_TEST

START_TEST(test_lossy)
{
    for (size_t device = (size_t)_i % 5; device < pl_selftest_n_legal; device += 5)
        meet((size_t)_i, device, 264, device & 1,
             (struct habits){.lose = 4 + (unsigned)device,
                             .late = device & 4 ? 3000 : 0,
                             .twice = 3,
                             .seed = device});
}
END_TEST

/* --- control --- */

static const char *ask(struct bus *bus, const char *line)
{
    static char answer[256];
    int later = pl_driver_endpoint.control(bus->driver, line, answer, sizeof(answer));
    for (unsigned i = 0; later > 0 && i < 1000; i++) {
        work(bus, bus->now + 50);
        if (pl_driver_endpoint.answer(bus->driver, answer, sizeof(answer)) > 0)
            return answer;
        bus->now++;
    }
    ck_assert_msg(later == 0, "'%s' is not answered", line);
    return answer;
}

START_TEST(test_control)
{
    static const char *const wait[] = {"wait=1", NULL};
    static const char *const device[] = {"reset_delay=3", NULL};
    struct bus *bus = join(wait, NULL, device, 264, 1, calm);
    work(bus, 1000);
    ck_assert_uint_eq(bus->messages, 0);
    ck_assert_str_eq(ask(bus, "stop 0"), "ok");
    ck_assert_int_eq(strncmp(ask(bus, "io 0 3"), "error ", 6), 0);
    ck_assert_str_eq(ask(bus, "start 0"), "ok");
    ck_assert_str_eq(pl_driver_state(bus->driver, 0), "READY");
    ck_assert_uint_eq(pl_driver_served(bus->driver, 0), 0);
    ck_assert_str_eq(ask(bus, "start 0"), "ok");
    ck_assert_str_eq(ask(bus, "io 0 9"), "ok");
    ck_assert_uint_eq(pl_driver_served(bus->driver, 0), 9);
    ck_assert_str_eq(ask(bus, "queue-reset 0 1"), "ok");
    ck_assert_int_eq(strncmp(ask(bus, "queue-reset 0 7"), "error ", 6), 0);
    ck_assert_str_eq(ask(bus, "io 0 9"), "ok");
    ck_assert_str_eq(ask(bus, "config-write 0 32 01"), "ok");
    ck_assert_int_eq(strncmp(ask(bus, "config-write 0 60 01"), "error ", 6), 0);
    ck_assert_int_eq(strncmp(ask(bus, "config-write 0 32 0"), "error ", 6), 0);
    ck_assert_str_eq(ask(bus, "stop 0"), "ok");
    ck_assert_str_eq(pl_driver_state(bus->driver, 0), "IDLE");
    ck_assert_str_eq(ask(bus, "start 0"), "ok");
    ck_assert_str_eq(ask(bus, "io 0 1"), "ok");
    ck_assert_str_eq(ask(bus, "paint 0"), "unsupported");
    ck_assert_str_eq(ask(bus, "start"), "unsupported");
    part(bus);
}
END_TEST

/* What cannot be done is said, and the driver lives on. */
START_TEST(test_control_errors)
{
    static const char *const wait[] = {"wait=1", "patience=20", NULL};
    static const char *const device[] = {"features_remove=0x10000000000", "config_writable=1",
                                         "devices=1", NULL};
    struct bus *bus = join(wait, NULL, device, 264, 0, calm);
    ck_assert_int_eq(strncmp(ask(bus, "start 5"), "error ", 6), 0); /* nobody answers there */
    ck_assert_str_eq(pl_driver_state(bus->driver, 5), "FAILED");
    ck_assert_str_eq(ask(bus, "start 0"), "ok");
    ck_assert_str_eq(ask(bus, "queue-reset 0 0"), "unsupported");
    bus->habits.lose = 1; /* everything is lost from now on */
    ck_assert_int_eq(strncmp(ask(bus, "io 0 1"), "error ", 6), 0);
    ck_assert_str_eq(pl_driver_state(bus->driver, 0), "FAILED");
    bus->habits.lose = 0;
    ck_assert_str_eq(ask(bus, "start 0"), "ok");
    ck_assert_str_eq(ask(bus, "io 0 6"), "ok");
    part(bus);
}
END_TEST

/* A device that goes is let be; one that comes is driven. */
START_TEST(test_hotplug)
{
    struct bus *bus = join(none, NULL, none, 264, 0, calm);
    char answer[64];
    work(bus, 1000);
    pl_device_endpoint.control(bus->device, "detach 0", answer, sizeof(answer));
    work(bus, 2000);
    ck_assert_str_eq(pl_driver_state(bus->driver, 0), "GONE");
    uint64_t before = bus->messages;
    work(bus, 3000);
    ck_assert_uint_eq(bus->messages, before);
    pl_device_endpoint.control(bus->device, "attach 0", answer, sizeof(answer));
    work(bus, 5000);
    ck_assert_str_eq(pl_driver_state(bus->driver, 0), "READY");
    ck_assert_uint_eq(pl_driver_served(bus->driver, 0), 24);
    part(bus);
}
END_TEST

/* --- mutants: each of them does something else than the faithful driver, somewhere --- */

static void control(struct bus *bus, bool driver, const char *line)
{
    char answer[256];
    if (driver)
        pl_driver_endpoint.control(bus->driver, line, answer, sizeof(answer));
    else
        pl_device_endpoint.control(bus->device, line, answer, sizeof(answer));
}

/* A message of the bus's own making. */
static void inject(struct bus *bus, struct pl_msg *m, unsigned type, unsigned id, unsigned token,
                   size_t shorter)
{
    uint8_t bytes[256];
    const struct pl_spec *spec = pl_spec_find("virtio-msg-r1");
    ssize_t size = pl_encode(spec, m, bytes, sizeof(bytes));
    ck_assert_int_gt(size, 0);
    pl_poke_type(spec, bytes, (uint8_t)(bytes[0] | type));
    if (id)
        pl_poke_id(spec, bytes, (uint8_t)id);
    if (token)
        pl_poke_token(spec, bytes, (uint16_t)token);
    pl_poke_size(spec, bytes, (uint16_t)((size_t)size - shorter));
    launch(bus, bytes, (size_t)size - shorter, true);
}

/* What nobody asked for, now and then. */
static void junk(struct bus *bus, uint8_t *bytes, size_t *size, bool from_driver)
{
    (void)bytes, (void)size;
    if (from_driver)
        return;
    struct pl_msg config = {.kind = PL_EVENT_CONFIG}, used = {.kind = PL_EVENT_USED};
    struct pl_msg avail = {.kind = PL_EVENT_AVAIL}, status = {.kind = PL_GET_DEVICE_STATUS};
    config.f[PL_F_device_status] = 15;
    config.f[PL_F_generation] = 77;
    status.response = true;
    switch (bus->heard % 12) {
    case 0:
        inject(bus, &used, 0, 0x7e, 0, 0);
        break;
    case 2:
        inject(bus, &config, 0, 0, 0, 4);
        break;
    case 4:
        inject(bus, &status, 0, 0, 0xfff0, 0);
        break;
    case 6:
        inject(bus, &used, 0, 0, 0, 0);
        break;
    case 8:
        inject(bus, &avail, 0, 0, 0, 0);
        break;
    case 10:
        inject(bus, &used, 0, 0, 0, 2);
        break;
    default:
        break;
    }
}

/* Header values that mean nothing. */
static void dress(struct bus *bus, uint8_t *bytes, size_t *size, bool from_driver)
{
    const struct pl_spec *spec = pl_spec_find("virtio-msg-r1");
    (void)size;
    if (from_driver)
        return;
    if (bus->heard == 30)
        control(bus, false, "config-change 0 8 00010000");
    pl_poke_type(spec, bytes, (uint8_t)(bytes[0] | 0xa4));
    if (bytes[1] & 0x40)
        pl_poke_token(spec, bytes, (uint16_t)(0x4000 + bus->heard));
}

/* The device changes, and breaks down. */
static void change(struct bus *bus, uint8_t *bytes, size_t *size, bool from_driver)
{
    (void)bytes, (void)size;
    if (from_driver)
        return;
    if (bus->heard % (bus->habits.seed == 9 ? 15 : 7) == 0 && bus->heard < 60)
        control(bus, false, bus->heard % 2 ? "config-change 0 0 0010" : "config-change 0 0 0020");
    if (bus->heard == 66 || bus->heard == 130)
        control(bus, false, "needs-reset 0");
}

static void break_down(struct bus *bus, uint8_t *bytes, size_t *size, bool from_driver)
{
    (void)bytes, (void)size;
    if (!from_driver && bus->heard % 25 == 0)
        control(bus, false, "needs-reset 0");
}

/* Configurations that never hold still; writes that are always rejected; resets without end. */
static void never(struct bus *bus, uint8_t *bytes, size_t *size, bool from_driver)
{
    struct pl_msg m;
    const struct pl_spec *spec = pl_spec_find("virtio-msg-r1");
    if (from_driver)
        return;
    pl_decode(spec, bytes, *size, &m);
    m.f[PL_F_generation] += bus->heard;
    if (m.kind == PL_GET_CONFIG && bus->habits.seed == 1)
        pl_encode(spec, &m, bytes, *size);
    if (m.kind == PL_SET_CONFIG && bus->habits.seed >= 2 && bus->habits.seed <= 3) {
        m.f[PL_F_length] = bus->habits.seed == 2 ? 0 : 2;
        m.data = m.data_len ? m.data : (const uint8_t *)"\1\1";
        m.data_len = bus->habits.seed == 2 ? 0 : 2;
        *size = (size_t)pl_encode(spec, &m, bytes, 512);
    }
    if (m.kind == PL_GET_VQUEUE && bus->habits.seed == 4 && bus->heard > 20)
        m.f[PL_F_flags] = 1, m.f[PL_F_cur_size] = 1, pl_encode(spec, &m, bytes, *size);
    if (m.kind == PL_GET_VQUEUE && bus->habits.seed == 5)
        m.f[PL_F_flags] = 0, pl_encode(spec, &m, bytes, *size);
    if (m.kind == PL_GET_VQUEUE && bus->habits.seed == 6)
        m.f[PL_F_max_size] = 0, pl_encode(spec, &m, bytes, *size);
    if (m.kind == PL_SET_DEVICE_STATUS && bus->habits.seed == 7)
        m.f[PL_F_status] &= ~(uint64_t)8, pl_encode(spec, &m, bytes, *size);
    if (m.kind == PL_SET_DEVICE_STATUS && bus->habits.seed == 8)
        m.f[PL_F_status] &= ~(uint64_t)4, pl_encode(spec, &m, bytes, *size);
    if (m.kind == PL_GET_DEVICE_INFO && bus->habits.seed == 9)
        m.f[PL_F_num_feature_blocks] = 1, pl_encode(spec, &m, bytes, *size);
    if (m.kind == PL_EVENT_USED && bus->habits.seed == 10)
        *size = 0;
    if (m.kind == PL_SET_DEVICE_STATUS && bus->habits.seed == 11 && m.f[PL_F_status] & 4)
        *size = 0;
    if (m.kind == PL_GET_VQUEUE && bus->habits.seed == 13 && m.f[PL_F_flags])
        m.f[PL_F_cur_size] ^= 1, pl_encode(spec, &m, bytes, *size);
    if (bus->habits.seed >= 16 && m.kind == (enum pl_kind)(bus->habits.seed - 15))
        *size = 0; /* never answered */
}

/* The bus changes its parameters, and fails what it is asked for. */
static void bus_speaks(struct bus *bus, uint8_t *bytes, size_t *size, bool from_driver)
{
    struct pl_msg m, failure = {.kind = PL_EVENT_FAILURE};
    struct pl_msg parameters = {.kind = PL_EVENT_PARAMETERS};
    parameters.f[PL_F_revision] = bus->habits.seed == 3 ? 0 : 1;
    parameters.f[PL_F_max_msg_size] = 64;
    parameters.f[PL_F_transport_features] = 1;
    if (!from_driver && (bus->heard == (bus->habits.seed == 2 ? 10u : 20u) ||
                         (bus->heard == 40 && bus->habits.seed == 3)))
        inject(bus, &parameters, 0, 0, 0, 0);
    pl_decode(pl_spec_find("virtio-msg-r1"), bytes, *size, &m);
    if (!from_driver || bus->habits.seed == 2 || draw(bus) % 9 || m.event)
        return;
    failure.f[PL_F_failed_dev_num] = m.dev_num;
    failure.f[PL_F_failed_token] = m.token;
    failure.f[PL_F_failed_msg_id] = m.msg_id;
    failure.f[PL_F_reason] = 3;
    inject(bus, &failure, 0, 0, 0, 0);
    *size = 0;
}

static void asked(struct bus *bus, uint8_t *bytes, size_t *size, bool from_driver)
{
    (void)bytes, (void)size;
    if (from_driver && bytes[1] == 0x41 && bus->heard > 20)
        control(bus, true, bus->habits.seed & 1 ? "queue-reset 0 0" : "stop 0");
}

/* A used ring's flags that mean nothing. */
static void flag(struct bus *bus, uint8_t *bytes, size_t *size, bool from_driver)
{
    struct pl_msg m;
    pl_decode(pl_spec_find("virtio-msg-r1"), bytes, *size, &m);
    if (from_driver && m.kind == PL_SET_VQUEUE && m.f[PL_F_index] == 0)
        bus->used_at = m.f[PL_F_device_addr] - (UINT64_C(1) << BASE_SHIFT);
    if (bus->used_at && bus->used_at < MEMORY)
        bus->memory[bus->used_at] = 1;
}

struct world {
    const char *device[6];
    uint32_t max, features;
    struct habits habits;
    void (*meddle)(struct bus *bus, uint8_t *bytes, size_t *size, bool from_driver);
};

static const struct world worlds[] = {
    {{NULL}, 264, 0, {0}, NULL},
    {{NULL}, 264, 1, {0}, NULL},
    {{NULL}, 52, 0, {0}, NULL},
    {{"reset_delay=30"}, 264, 0, {0}, NULL},
    {{"reset_delay=300"}, 264, 0, {0}, change},
    {{"reset_delay=90000"}, 264, 0, {0}, NULL},
    {{"io_delay=3"}, 264, 0, {0}, NULL},
    {{"io_delay=3"}, 264, 0, {0}, junk},
    {{"io_delay=3", "io_out_of_order=1", "features_remove=0x800000000"}, 264, 0, {0}, NULL},
    {{"io_delay=9"}, 264, 0, {.seed = 0}, asked},
    {{"io_delay=9", "reset_delay=20"}, 264, 0, {.seed = 1}, asked},
    {{NULL}, 264, 0, {0}, junk},
    {{NULL}, 264, 1, {0}, junk},
    {{"event_data=0", "event_range=0"}, 264, 0, {0}, change},
    {{"io_delay=2"}, 264, 1, {0}, change},
    {{"io_delay=2", "event_data=0"}, 64, 1, {0}, change},
    {{"event_data=0"}, 264, 1, {0}, dress},
    {{NULL}, 264, 0, {.lose = 12, .seed = 3}, NULL},
    {{NULL}, 264, 0, {.lose = 3, .seed = 4}, NULL},
    {{"generation_on_reset=1", "generation_first=900"}, 264, 1, {0}, change},
    {{"generation_on_reset=1"}, 264, 1, {.lose = 15, .seed = 5}, change},
    {{"feature_blocks=4", "features_add=0x20ff13b400000000"}, 264, 0, {0}, NULL},
    {{"features_add=0xff00fa10030000"}, 264, 0, {0}, NULL},
    {{"features_add=0xfff00003200ff1ff", "features_remove=0x410000000"}, 264, 0, {0}, NULL},
    {{"features_add=0x8000000020"}, 264, 0, {0}, NULL},
    {{"features_remove=0x14c30000000"}, 264, 0, {0}, NULL},
    {{"features_remove=0x100000000"}, 264, 0, {0}, NULL},
    {{"refuse_version_1=0", "features_remove=0x400000000"}, 264, 0, {0}, NULL},
    {{"admin_vqs=2"}, 264, 0, {0}, NULL},
    {{"config_size=300"}, 264, 0, {0}, NULL},
    {{"io_spurious=1", "io_suppress=1"}, 264, 0, {0}, NULL},
    {{"io_suppress=1", "io_poll=1", "features_remove=0x420000000"}, 264, 0, {0}, NULL},
    {{"io_suppress=1", "io_delay=3"}, 264, 0, {0}, NULL},
    {{"features_add=0x80000000000"}, 264, 0, {0}, NULL},
    {{"features_add=0x80000000000", "suspend_delay=3"}, 264, 0, {0}, NULL},
    {{"type=entropy"}, 264, 0, {0}, NULL},
    {{"type=net", "features_add=0x4020480"}, 264, 0, {0}, NULL},
    {{"queue_size=2"}, 264, 0, {0}, NULL},
    {{"devices=2", "number_step=3"}, 264, 0, {0}, NULL},
    {{"refuse_version_1=1", "accept_long=1"}, 264, 0, {0}, NULL},
    {{NULL}, 264, 0, {.seed = 1}, bus_speaks},
    {{NULL}, 264, 0, {.seed = 2}, bus_speaks},
    {{NULL}, 264, 0, {.seed = 3}, bus_speaks},
    {{NULL}, 264, 0, {0}, break_down},
    {{NULL}, 264, 1, {.seed = 1}, never},
    {{NULL}, 264, 1, {.seed = 2}, never},
    {{NULL}, 264, 0, {.seed = 3}, never},
    {{NULL}, 264, 0, {.seed = 4}, never},
    {{NULL}, 264, 0, {.seed = 5}, never},
    {{NULL}, 264, 0, {.seed = 6}, never},
    {{NULL}, 264, 0, {.seed = 7}, never},
    {{NULL}, 264, 0, {.seed = 8}, never},
    {{NULL}, 264, 0, {.seed = 9}, never},
    {{NULL}, 264, 0, {.seed = 10}, never},
    {{NULL}, 264, 0, {.seed = 11}, never},
    {{NULL}, 264, 0, {.seed = 13}, never},
    {{"features_remove=0x400000000"}, 264, 0, {0}, flag},
    {{"io_delay=5"}, 264, 0, {0}, break_down},
    {{"io_delay=9", "reset_delay=90000"}, 264, 0, {0}, asked},
    {{"reset_delay=30"}, 264, 0, {.lose = 14, .seed = 8}, NULL},
    {{"generation_first=4294967294"}, 264, 1, {0}, change},
    {{"generation_first=4294967295"}, 264, 1, {.seed = 9}, change},
    {{NULL}, 264, 0, {.seed = 16}, never},
    {{NULL}, 264, 0, {.seed = 18}, never},
    {{NULL}, 264, 0, {.seed = 19}, never},
    {{NULL}, 264, 0, {.seed = 22}, never},
    {{NULL}, 264, 0, {.seed = 24}, never},
};
enum { WORLDS = sizeof(worlds) / sizeof(worlds[0]) };

/* The digest of a driver's run in a world. */
static uint64_t live(const struct world *world, const char *mutant, const char *const *options,
                     uint64_t until)
{
    memset(shared, 0, sizeof(shared));
    struct bus *bus =
        join(options, mutant, world->device, world->max, world->features, world->habits);
    bus->meddle = world->meddle;
    bus->digests = true;
    bus->endless = mutant != NULL;
    work(bus, until);
    uint64_t is = bus->digest;
    part(bus);
    return is;
}

/* What control alone brings about is no part of these worlds; the self-test kills these. */
static bool needs_control(const char *id)
{
    static const char *const ids[] = {"CORE-DRV-01.set-config", "CORE-INIT-DRV-09.stop",
                                      "CORE-INIT-DRV-09.queue", NULL};
    return has(ids, id);
}

START_TEST(test_mutants_differ)
{
    size_t n;
    const struct pl_mutant *mutants = pl_driver_mutants(pl_spec_find("virtio-msg-r1"), &n);
    const char *only = getenv("MUTANT");
    unsigned same = 0;
    for (size_t i = (size_t)_i; i < n; i += 16) {
        const struct pl_mutant *mutant = &mutants[i];
        const char *const *options = mutant->options_only ? none : mutant->options;
        unsigned differs = 0;
        if ((only && strcmp(only, mutant->id) != 0) || needs_control(mutant->id))
            continue;
        for (size_t w = 0; w < WORLDS && !differs; w++)
            differs =
                live(&worlds[w], NULL, options, 40000) != live(&worlds[w], mutant->id, none, 40000);
        if (!differs)
            fprintf(stderr, "%s is as the faithful driver everywhere\n", mutant->id);
        same += !differs;
    }
    ck_assert_uint_eq(same, 0);
}
END_TEST

START_TEST(test_worlds)
{
    const struct world *world = &worlds[_i];
    struct bus *bus = join(none, NULL, world->device, world->max, world->features, world->habits);
    bus->meddle = world->meddle;
    work(bus, 600000);
    check_end(bus, "a world", false);
    part(bus);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("driver");
    TCase *tests = tcase_create("faithful"), *mutants = tcase_create("mutants");
    tcase_set_timeout(tests, 60);
    tcase_set_timeout(mutants, 120);
    int n = (int)(pl_driver_n_legal + pl_driver_n_lenient);
    tcase_add_test(tests, test_block);
    tcase_add_test(tests, test_control);
    tcase_add_test(tests, test_control_errors);
    tcase_add_test(tests, test_hotplug);
    tcase_add_loop_test(tests, test_every_pair, 0, n);
    tcase_add_loop_test(tests, test_late, 0, n);
    tcase_add_loop_test(tests, test_lossy, 0, n);
    tcase_add_loop_test(tests, test_worlds, 0, WORLDS);
    /* A slow build (Makefile: SLOW) looks for errors in memory, which a few of them show. */
    tcase_add_loop_test(mutants, test_mutants_differ, 0, getenv("PLUMBLINE_QUICK") ? 2 : 16);

    suite_add_tcase(suite, tests);
    suite_add_tcase(suite, mutants);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
