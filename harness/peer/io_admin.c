/* Administration virtqueues: commands, capabilities, and resource objects. */
#include "peer/io_admin.h"

#include <string.h>

enum {
    HEADER = 24, /* bytes before a command's own data */
    RESULT = 8,  /* and before its result */
    SETTING = 8, /* of a capability: bytes before what is set */
    OBJECT = 16, /* of an object: bytes before its data */
    CAP_WORDS = 33,
    GROUPS = 4,
    CLASSIFIERS = 4,
    RULES = 8,
    RULES_PER_GROUP = 4,
    LAST_PRIORITY = 16,
    SELECTORS = 3,
    ASSOCIATIONS = 2
};

/* Ethernet, IPv4, IPv6, TCP, UDP; all of them with partial masks. */
static const uint8_t selector_bytes[] = {[1] = 14, [2] = 20, [3] = 40, [4] = 20, [5] = 8};

uint64_t pl_admin_get(const uint8_t *bytes, size_t n)
{
    uint64_t value = 0;
    for (size_t i = n; i > 0; i--)
        value = value << 8 | bytes[i - 1];
    return value;
}

static void put(uint8_t *bytes, size_t n, uint64_t value)
{
    for (size_t i = 0; i < n; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
}

/* A number in the command's data; what lies beyond its end is 0. */
static uint64_t data(struct pl_device_peer *peer, size_t at, size_t n)
{
    uint8_t raw[8] = {0};
    uint64_t have = peer->io.readable > HEADER + at ? peer->io.readable - HEADER - at : 0;
    pl_io_get(peer, HEADER + at, raw, have < n ? (size_t)have : n);
    return pl_admin_get(raw, n);
}

/* The command's data from `at` on; the number of bytes. */
static size_t bytes_from(struct pl_device_peer *peer, size_t at, uint8_t *out, size_t cap)
{
    uint64_t have = peer->io.readable > HEADER + at ? peer->io.readable - HEADER - at : 0;
    memset(out, 0, cap);
    return pl_io_get(peer, HEADER + at, out, have < cap ? (size_t)have : cap);
}

void pl_admin_parse(struct pl_device_peer *peer)
{
    uint8_t raw[4] = {0};
    struct pl_device_io *io = &peer->io;
    pl_io_get(peer, 0, raw, io->readable < sizeof(raw) ? (size_t)io->readable : sizeof(raw));
    io->opcode = pl_admin_get(raw, 2);
    io->group = pl_admin_get(raw + 2, 2);
    io->subject = data(peer, 0, 2);
    io->object = data(peer, 4, 4);
}

/* --- answers --- */

static void answer(struct pl_step *c, uint64_t status, uint64_t qualifier, const uint8_t *result,
                   size_t n)
{
    uint8_t head[RESULT] = {0};
    put(head, 2, status);
    put(head + 2, 2, qualifier);
    c->peer->io.written = pl_io_put(c->peer, 0, head, sizeof(head));
    if (n)
        c->peer->io.written += pl_io_put(c->peer, RESULT, result, n);
}

void pl_act_admin_say(struct pl_step *c, uint64_t status, uint64_t qualifier)
{
    answer(c, status, qualifier, NULL, 0);
}

/* The commands that are supported, as a mask. */
void pl_act_admin_list(struct pl_step *c, uint64_t commands)
{
    uint8_t raw[8];
    put(raw, sizeof(raw), commands);
    answer(c, 0, 0, raw, sizeof(raw));
}

void pl_act_admin_use(struct pl_step *c)
{
    c->dev->admin.used = data(c->peer, 0, 8);
}

uint64_t pl_fn_admin_data(const struct pl_step *c, uint64_t at, uint64_t bytes)
{
    return bytes <= 8 && at < SIZE_MAX / 2 ? data(c->peer, (size_t)at, (size_t)bytes) : 0;
}

bool pl_fn_admin_legal(const struct pl_step *c, uint64_t opcode)
{
    uint64_t used = c->dev->admin.used;
    return opcode < 64 && ((used ? used : 3) >> opcode & 1);
}

/* --- capabilities --- */

/* Capabilities that the device has: flow filters by its options, IPsec where that is offered. */
static uint64_t caps_of(const struct pl_step *c)
{
    uint64_t caps = pl_device_opt(c->peer, PL_DEVICE_OPT_net_filters) ? PL_ADMIN_OF_FILTERS : 0;
    return caps | (pl_fn_offered(c, PL_T_NET_F_IPSEC) ? PL_ADMIN_OF_IPSEC : 0);
}

/* The capability ids but `hidden` ones, which a mutant leaves out. */
void pl_act_admin_caps(struct pl_step *c, uint64_t hidden)
{
    uint8_t raw[8 * CAP_WORDS] = {0};
    put(raw + PL_ADMIN_CAP / 8, 8, caps_of(c) & ~hidden);
    answer(c, 0, 0, raw, sizeof(raw));
}

bool pl_fn_admin_known(const struct pl_step *c, uint64_t cap)
{
    return cap >= PL_ADMIN_CAP && cap < PL_ADMIN_CAP + PL_ADMIN_CAPS &&
           (caps_of(c) >> (cap - PL_ADMIN_CAP) & 1);
}

static size_t filter_limits(uint8_t *out)
{
    put(out, 4, GROUPS);
    put(out + 4, 4, CLASSIFIERS);
    put(out + 8, 4, RULES);
    put(out + 12, 4, RULES_PER_GROUP);
    out[16] = LAST_PRIORITY;
    out[17] = SELECTORS;
    return 18;
}

static size_t filter_selectors(uint8_t *out)
{
    size_t at = PL_FILTER_SELECTORS;
    for (uint8_t type = 1; type < sizeof(selector_bytes); type++) {
        out[0]++;
        out[at] = type;
        out[at + 1] = 1; /* partial masks */
        out[at + PL_FILTER_LENGTH] = selector_bytes[type];
        memset(out + at + PL_FILTER_SELECTOR, 0xff, selector_bytes[type]);
        at += PL_FILTER_SELECTOR + (size_t)selector_bytes[type];
    }
    return at;
}

/* ESP in transport mode, without a cipher and a checksum. */
static size_t sa_modes(uint8_t *out)
{
    out[0] = 1;
    out[8] = 2;
    put(out + 24, 8, 1);
    put(out + 32, 8, 1);
    return 8 + 44;
}

static size_t capability(uint64_t cap, uint8_t *out)
{
    switch (cap - PL_ADMIN_CAP) {
    case PL_ADMIN_CAP_FILTERS:
        return filter_limits(out);
    case PL_ADMIN_CAP_SELECTORS:
        return filter_selectors(out);
    case PL_ADMIN_CAP_ACTIONS:
        out[0] = 2;
        out[8] = PL_FILTER_DROP;
        out[9] = PL_FILTER_DIRECT;
        return 10;
    case PL_ADMIN_CAP_SA_LIMITS:
        put(out, 4, ASSOCIATIONS);
        put(out + 4, 4, ASSOCIATIONS);
        return 8;
    default:
        return sa_modes(out);
    }
}

void pl_act_admin_cap(struct pl_step *c)
{
    uint8_t raw[256] = {0};
    size_t n = capability(c->peer->io.subject, raw);
    answer(c, 0, 0, raw, n);
}

/* The numbers of a capability that is set; false where one is above the device's. */
static bool within(struct pl_device_peer *peer, unsigned n, const uint32_t most[], uint32_t out[])
{
    for (unsigned i = 0; i < n; i++) {
        out[i] = (uint32_t)data(peer, SETTING + 4 * (size_t)i, 4);
        if (out[i] > most[i])
            return false;
    }
    return true;
}

static bool set_limits(struct pl_step *c, uint64_t cap)
{
    static const uint32_t filters[] = {GROUPS, CLASSIFIERS, RULES, RULES_PER_GROUP};
    static const uint32_t associations[] = {ASSOCIATIONS, ASSOCIATIONS};
    struct pl_admin_limits *limits = &c->dev->admin.limits;
    uint32_t set[4];
    if (cap == PL_ADMIN_CAP_SA_LIMITS) {
        if (!within(c->peer, 2, associations, set))
            return false;
        limits->inbound = set[0];
        limits->outbound = set[1];
        return true;
    }
    uint64_t priority = data(c->peer, SETTING + 16, 1);
    if (!within(c->peer, 4, filters, set) || priority > LAST_PRIORITY)
        return false;
    limits->groups = set[0];
    limits->classifiers = set[1];
    limits->rules = set[2];
    limits->rules_per_group = set[3];
    limits->last_priority = (uint32_t)priority;
    return true;
}

void pl_act_admin_settle(struct pl_step *c)
{
    enum { EINVAL_STATUS = 22, INVALID_FIELD = 3 };
    uint64_t cap = c->peer->io.subject - PL_ADMIN_CAP;
    bool numbers = cap == PL_ADMIN_CAP_FILTERS || cap == PL_ADMIN_CAP_SA_LIMITS;
    if (numbers && !set_limits(c, cap)) {
        answer(c, EINVAL_STATUS, INVALID_FIELD, NULL, 0);
        return;
    }
    c->dev->admin.caps |= UINT64_C(1) << cap;
    answer(c, 0, 0, NULL, 0);
}

/* --- objects --- */

const struct pl_admin_object *pl_admin_find(const struct pl_device *dev, uint64_t type, uint64_t id)
{
    for (size_t i = 0; i < PL_ADMIN_OBJECTS; i++) {
        const struct pl_admin_object *object = &dev->admin.object[i];
        if (object->there && object->type == type && object->id == id)
            return object;
    }
    return NULL;
}

/* Is it a resource that the device knows, and did the driver set all of its capabilities? */
bool pl_fn_admin_resource(const struct pl_step *c, uint64_t type)
{
    uint64_t needs = type <= PL_ADMIN_RULE ? PL_ADMIN_OF_FILTERS : PL_ADMIN_OF_IPSEC;
    return type >= PL_ADMIN_GROUP && type <= PL_ADMIN_INBOUND && (caps_of(c) & needs) == needs;
}

bool pl_fn_admin_enabled(const struct pl_step *c, uint64_t type)
{
    uint64_t needs = type <= PL_ADMIN_RULE ? PL_ADMIN_OF_FILTERS : PL_ADMIN_OF_IPSEC;
    return (c->dev->admin.caps & needs) == needs;
}

bool pl_fn_admin_there(const struct pl_step *c)
{
    return pl_admin_find(c->dev, c->peer->io.subject, c->peer->io.object) != NULL;
}

/* Rules that depend on the group or classifier at hand. */
uint64_t pl_fn_admin_users(const struct pl_step *c)
{
    uint64_t n = 0, type = c->peer->io.subject;
    for (size_t i = 0; i < PL_ADMIN_OBJECTS && type < PL_ADMIN_RULE; i++) {
        const struct pl_admin_object *rule = &c->dev->admin.object[i];
        const uint8_t *id = rule->data + (type == PL_ADMIN_GROUP ? 0 : 4);
        n +=
            rule->there && rule->type == PL_ADMIN_RULE && pl_admin_get(id, 4) == c->peer->io.object;
    }
    return n;
}

static uint32_t lower(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* Are there as many objects of the type at hand as the driver's capability has room for? */
bool pl_fn_admin_full(const struct pl_step *c)
{
    const struct pl_admin_limits *limits = &c->dev->admin.limits;
    uint64_t n = 0, type = c->peer->io.subject;
    uint64_t most = type == PL_ADMIN_GROUP        ? lower(limits->groups, limits->rules_per_group)
                    : type == PL_ADMIN_CLASSIFIER ? limits->classifiers
                                                  : UINT64_MAX;
    for (size_t i = 0; i < PL_ADMIN_OBJECTS; i++)
        n += c->dev->admin.object[i].there && c->dev->admin.object[i].type == type;
    return n >= most;
}

/* A group of the priority that the one to be created has. */
bool pl_fn_admin_rival(const struct pl_step *c)
{
    for (size_t i = 0; i < PL_ADMIN_OBJECTS; i++) {
        const struct pl_admin_object *object = &c->dev->admin.object[i];
        if (object->there && object->type == PL_ADMIN_GROUP &&
            pl_admin_get(object->data, 2) == data(c->peer, OBJECT, 2))
            return true;
    }
    return false;
}

size_t pl_admin_mask_bytes(const uint8_t *bytes, size_t len)
{
    size_t at = PL_FILTER_SELECTORS, sum = 0;
    if (len < at || bytes[0] == 0 || bytes[0] > SELECTORS)
        return 0;
    for (uint8_t i = 0; i < bytes[0]; i++) {
        size_t n = at + PL_FILTER_SELECTOR <= len ? bytes[at + PL_FILTER_LENGTH] : 0;
        uint8_t type = n ? bytes[at] : 0;
        if (!type || type >= sizeof(selector_bytes) || n != selector_bytes[type] ||
            at + PL_FILTER_SELECTOR + n > len || (i == 0) != (type == PL_FILTER_ETH))
            return 0;
        sum += n;
        at += PL_FILTER_SELECTOR + n;
    }
    return sum;
}

/* What is wrong with the object to be created. Rules: 1 queue, 2 priority, 4 id, 8 keys, 16
 * action, 32 group or classifier. Associations: 64 id, 128 parameters. Others: 256. */
uint64_t pl_fn_admin_wrong(const struct pl_step *c)
{
    uint8_t raw[PL_ADMIN_DATA];
    size_t n = bytes_from(c->peer, OBJECT, raw, sizeof(raw));
    const struct pl_admin_limits *limits = &c->dev->admin.limits;
    switch (c->peer->io.subject) {
    case PL_ADMIN_GROUP:
        return c->peer->io.object >= limits->groups ? 256 : 0;
    case PL_ADMIN_CLASSIFIER:
        return c->peer->io.object >= limits->classifiers || !pl_admin_mask_bytes(raw, n) ? 256 : 0;
    case PL_ADMIN_RULE:
        return pl_admin_wrong_rule(c, raw, n);
    default:
        return pl_admin_wrong_sa(c, raw, n);
    }
}

uint64_t pl_admin_wrong_sa(const struct pl_step *c, const uint8_t *bytes, size_t len)
{
    const struct pl_admin_limits *limits = &c->dev->admin.limits;
    bool outbound = c->peer->io.subject == PL_ADMIN_OUTBOUND;
    uint64_t wrong = c->peer->io.object >= (outbound ? limits->outbound : limits->inbound) ? 64 : 0;
    uint64_t options = pl_admin_get(bytes + 16, 8);
    return wrong | (len < 24 || bytes[0] != 2 || options ? 128 : 0);
}

/* Create the object at hand, or replace it. */
void pl_act_admin_create(struct pl_step *c)
{
    struct pl_admin_object *free_one = NULL;
    const struct pl_admin_object *old =
        pl_admin_find(c->dev, c->peer->io.subject, c->peer->io.object);
    for (size_t i = 0; i < PL_ADMIN_OBJECTS; i++) {
        struct pl_admin_object *object = &c->dev->admin.object[i];
        if (object == old || (!free_one && !old && !object->there))
            free_one = object;
    }
    if (!free_one)
        return;
    free_one->there = true;
    free_one->type = (uint16_t)c->peer->io.subject;
    free_one->id = (uint32_t)c->peer->io.object;
    memset(free_one->data, 0, sizeof(free_one->data));
    free_one->len = (uint16_t)bytes_from(c->peer, OBJECT, free_one->data, sizeof(free_one->data));
}

void pl_act_admin_destroy(struct pl_step *c)
{
    struct pl_admin_object *object = (struct pl_admin_object *)(uintptr_t)pl_admin_find(
        c->dev, c->peer->io.subject, c->peer->io.object);
    if (object)
        object->there = false;
}

void pl_act_admin_query(struct pl_step *c)
{
    const struct pl_admin_object *object =
        pl_admin_find(c->dev, c->peer->io.subject, c->peer->io.object);
    if (object)
        answer(c, 0, 0, object->data, object->len);
}
