/* Administration virtqueues: commands, capabilities, and resource objects. */
#include "peer/io_admin.h"

#include <string.h>

enum {
    HEADER = PL_T_NET_ADMIN_CMD,
    LIST = 8, /* bytes of a list of up to 64 commands, or capabilities */
    GROUPS = 4,
    CLASSIFIERS = 4,
    RULES = 8,
    RULES_PER_GROUP = 4,
    LAST_PRIORITY = 16,
    SELECTORS = 3,
    ASSOCIATIONS = 2
};

/* Bytes of the headers that can be selected; all of them with partial masks. */
static const uint8_t selector_bytes[] = {[PL_T_NET_FF_MASK_TYPE_ETH] = 14,
                                         [PL_T_NET_FF_MASK_TYPE_IPV4] = 20,
                                         [PL_T_NET_FF_MASK_TYPE_IPV6] = 40,
                                         [PL_T_NET_FF_MASK_TYPE_TCP] = 20,
                                         [PL_T_NET_FF_MASK_TYPE_UDP] = 8};

/* A limit of a resource: where its capability has it, the most that there can be, and where it is
 * kept. */
struct limit {
    uint64_t at, bytes;
    uint32_t most;
    size_t kept;
};
#define KEPT(name) offsetof(struct pl_admin_limits, name)

static const struct limit filters[] = {
    {PL_T_NET_FF_CAP_GROUPS_LIMIT, 4, GROUPS, KEPT(groups)},
    {PL_T_NET_FF_CAP_CLASSIFIERS_LIMIT, 4, CLASSIFIERS, KEPT(classifiers)},
    {PL_T_NET_FF_CAP_RULES_LIMIT, 4, RULES, KEPT(rules)},
    {PL_T_NET_FF_CAP_RULES_PER_GROUP_LIMIT, 4, RULES_PER_GROUP, KEPT(rules_per_group)},
    {PL_T_NET_FF_CAP_LAST_RULE_PRIORITY, 1, LAST_PRIORITY, KEPT(last_priority)},
};
static const struct limit associations[] = {
    {PL_T_NET_IPSEC_CAP_INB_SA_LIMIT, 4, ASSOCIATIONS, KEPT(inbound)},
    {PL_T_NET_IPSEC_CAP_OUTB_SA_LIMIT, 4, ASSOCIATIONS, KEPT(outbound)},
};
enum {
    N_FILTERS = sizeof(filters) / sizeof(filters[0]),
    N_ASSOCIATIONS = sizeof(associations) / sizeof(associations[0])
};

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

_Static_assert(PL_T_NET_CAP_SET_ID == PL_T_NET_RESOURCE_OBJ_TYPE,
               "a capability's id is where a resource's type is");

void pl_admin_parse(struct pl_device_peer *peer)
{
    uint8_t raw[PL_T_NET_ADMIN_CMD_GROUP_TYPE + 2] = {0};
    struct pl_device_io *io = &peer->io;
    pl_io_get(peer, 0, raw, io->readable < sizeof(raw) ? (size_t)io->readable : sizeof(raw));
    io->opcode = pl_admin_get(raw + PL_T_NET_ADMIN_CMD_OPCODE, 2);
    io->group = pl_admin_get(raw + PL_T_NET_ADMIN_CMD_GROUP_TYPE, 2);
    io->subject = data(peer, PL_T_NET_RESOURCE_OBJ_TYPE, 2);
    io->object = data(peer, PL_T_NET_RESOURCE_OBJ_ID, 4);
}

/* --- answers --- */

static void answer(struct pl_step *c, uint64_t status, uint64_t qualifier, const uint8_t *result,
                   size_t n)
{
    uint8_t head[PL_T_NET_ADMIN_RESULT] = {0};
    put(head + PL_T_NET_ADMIN_RESULT_STATUS, 2, status);
    put(head + PL_T_NET_ADMIN_RESULT_STATUS_QUALIFIER, 2, qualifier);
    c->peer->io.written = pl_io_put(c->peer, 0, head, sizeof(head));
    if (n)
        c->peer->io.written += pl_io_put(c->peer, sizeof(head), result, n);
}

/* The command was done. */
static void answer_ok(struct pl_step *c, const uint8_t *result, size_t n)
{
    answer(c, PL_T_NET_ADMIN_STATUS_OK, PL_T_NET_ADMIN_STATUS_Q_OK, result, n);
}

void pl_act_admin_say(struct pl_step *c, uint64_t status, uint64_t qualifier)
{
    answer(c, status, qualifier, NULL, 0);
}

/* The commands that are supported, as a mask. */
void pl_act_admin_list(struct pl_step *c, uint64_t commands)
{
    uint8_t raw[LIST];
    put(raw, sizeof(raw), commands);
    answer_ok(c, raw, sizeof(raw));
}

void pl_act_admin_use(struct pl_step *c)
{
    c->dev->admin.used = data(c->peer, 0, LIST);
}

uint64_t pl_fn_admin_data(const struct pl_step *c, uint64_t at, uint64_t bytes)
{
    return bytes <= 8 && at < SIZE_MAX / 2 ? data(c->peer, (size_t)at, (size_t)bytes) : 0;
}

bool pl_fn_admin_legal(const struct pl_step *c, uint64_t opcode)
{
    const uint64_t first =
        UINT64_C(1) << PL_T_NET_ADMIN_CMD_LIST_QUERY | UINT64_C(1) << PL_T_NET_ADMIN_CMD_LIST_USE;
    uint64_t used = c->dev->admin.used;
    return opcode < 8 * LIST && ((used ? used : first) >> opcode & 1);
}

/* --- capabilities --- */

/* A set of one capability; those of the device type begin with this one. */
static uint64_t cap(uint64_t id)
{
    return UINT64_C(1) << (id - PL_T_NET_FF_RESOURCE_CAP);
}

static uint64_t caps_of_filters(void)
{
    return cap(PL_T_NET_FF_RESOURCE_CAP) | cap(PL_T_NET_FF_SELECTOR_CAP) |
           cap(PL_T_NET_FF_ACTION_CAP);
}

static uint64_t caps_of_ipsec(void)
{
    return cap(PL_T_NET_IPSEC_RESOURCE_CAP) | cap(PL_T_NET_IPSEC_SA_CAP);
}

/* Capabilities that the device has: flow filters by its options, IPsec where that is offered. */
static uint64_t caps_of(const struct pl_step *c)
{
    uint64_t caps = pl_device_opt(c->peer, PL_DEVICE_OPT_net_filters) ? caps_of_filters() : 0;
    return caps | (pl_fn_offered(c, PL_T_NET_F_IPSEC) ? caps_of_ipsec() : 0);
}

/* The capability ids but `hidden` ones, which a mutant leaves out. */
void pl_act_admin_caps(struct pl_step *c, uint64_t hidden)
{
    uint8_t raw[PL_T_NET_FF_RESOURCE_CAP / 8 + LIST] = {0};
    put(raw + PL_T_NET_FF_RESOURCE_CAP / 8, LIST, caps_of(c) & ~hidden);
    answer_ok(c, raw, sizeof(raw));
}

bool pl_fn_admin_known(const struct pl_step *c, uint64_t id)
{
    return id >= PL_T_NET_FF_RESOURCE_CAP && id <= PL_T_NET_IPSEC_SA_CAP && caps_of(c) & cap(id);
}

static void put_limits(const struct limit *limits, size_t n, uint8_t *out)
{
    for (size_t i = 0; i < n; i++)
        put(out + limits[i].at, limits[i].bytes, limits[i].most);
}

static size_t filter_selectors(uint8_t *out)
{
    size_t at = PL_T_NET_FF_LIST;
    for (uint8_t type = PL_T_NET_FF_MASK_TYPE_ETH; type < sizeof(selector_bytes); type++) {
        out[PL_T_NET_FF_COUNT]++;
        out[at + PL_T_NET_FF_SELECTOR_TYPE] = type;
        out[at + PL_T_NET_FF_SELECTOR_FLAGS] = PL_T_NET_FF_MASK_F_PARTIAL_MASK;
        out[at + PL_T_NET_FF_SELECTOR_LENGTH] = selector_bytes[type];
        memset(out + at + PL_T_NET_FF_SELECTOR, 0xff, selector_bytes[type]);
        at += PL_T_NET_FF_SELECTOR + selector_bytes[type];
    }
    return at;
}

/* ESP in transport mode, without a cipher and a checksum. */
static size_t sa_modes(uint8_t *out)
{
    uint8_t *mode = out + PL_T_NET_IPSEC_SA_CAP_MODES;
    out[PL_T_NET_IPSEC_SA_CAP_COUNT] = 1;
    mode[PL_T_NET_IPSEC_MODE_CAP_MODE] = PL_T_NET_IPSEC_MODE_ESP_TRANSPORT;
    put(mode + PL_T_NET_IPSEC_MODE_CAP_CIPHER_ALGO, 8, UINT64_C(1) << PL_T_NET_CRYPTO_NO_CIPHER);
    put(mode + PL_T_NET_IPSEC_MODE_CAP_HMAC_ALGO, 8, UINT64_C(1) << PL_T_NET_CRYPTO_NO_MAC);
    return PL_T_NET_IPSEC_SA_CAP_MODES + PL_T_NET_IPSEC_MODE_CAP;
}

static size_t capability(uint64_t id, uint8_t *out)
{
    uint8_t *actions = out + PL_T_NET_FF_LIST;
    switch (id) {
    case PL_T_NET_FF_RESOURCE_CAP:
        put_limits(filters, N_FILTERS, out);
        out[PL_T_NET_FF_CAP_SELECTORS_PER_CLASSIFIER_LIMIT] = SELECTORS;
        return PL_T_NET_FF_CAP;
    case PL_T_NET_FF_SELECTOR_CAP:
        return filter_selectors(out);
    case PL_T_NET_FF_ACTION_CAP:
        out[PL_T_NET_FF_COUNT] = 2;
        actions[0] = PL_T_NET_FF_ACTION_DROP;
        actions[1] = PL_T_NET_FF_ACTION_DIRECT_RX_VQ;
        return PL_T_NET_FF_LIST + 2;
    case PL_T_NET_IPSEC_RESOURCE_CAP:
        put_limits(associations, N_ASSOCIATIONS, out);
        return PL_T_NET_IPSEC_CAP;
    default:
        return sa_modes(out);
    }
}

void pl_act_admin_cap(struct pl_step *c)
{
    uint8_t raw[256] = {0};
    size_t n = capability(c->peer->io.subject, raw);
    answer_ok(c, raw, n);
}

/* The limits of a capability that is set; false where one is above the device's. */
static bool set_limits(struct pl_step *c, const struct limit *limits, size_t n)
{
    uint8_t *kept = (uint8_t *)&c->dev->admin.limits;
    uint32_t set[N_FILTERS];
    for (size_t i = 0; i < n; i++) {
        set[i] = (uint32_t)data(c->peer, PL_T_NET_CAP_SET + limits[i].at, limits[i].bytes);
        if (set[i] > limits[i].most)
            return false;
    }
    for (size_t i = 0; i < n; i++)
        memcpy(kept + limits[i].kept, &set[i], sizeof(set[i]));
    return true;
}

void pl_act_admin_settle(struct pl_step *c)
{
    uint64_t id = c->peer->io.subject;
    bool sound = true;
    if (id == PL_T_NET_FF_RESOURCE_CAP)
        sound = set_limits(c, filters, N_FILTERS);
    if (id == PL_T_NET_IPSEC_RESOURCE_CAP)
        sound = set_limits(c, associations, N_ASSOCIATIONS);
    if (!sound) {
        answer(c, PL_T_NET_ADMIN_STATUS_EINVAL, PL_T_NET_ADMIN_STATUS_Q_INVALID_FIELD, NULL, 0);
        return;
    }
    c->dev->admin.caps |= cap(id);
    answer_ok(c, NULL, 0);
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
    uint64_t needs = type <= PL_T_NET_RESOURCE_OBJ_FF_RULE ? caps_of_filters() : caps_of_ipsec();
    return type >= PL_T_NET_RESOURCE_OBJ_FF_GROUP && type <= PL_T_NET_RESOURCE_OBJ_IPSEC_INB_SA &&
           (caps_of(c) & needs) == needs;
}

bool pl_fn_admin_enabled(const struct pl_step *c, uint64_t type)
{
    uint64_t needs = type <= PL_T_NET_RESOURCE_OBJ_FF_RULE ? caps_of_filters() : caps_of_ipsec();
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
    for (size_t i = 0; i < PL_ADMIN_OBJECTS && type < PL_T_NET_RESOURCE_OBJ_FF_RULE; i++) {
        const struct pl_admin_object *rule = &c->dev->admin.object[i];
        const uint8_t *id =
            rule->data + (type == PL_T_NET_RESOURCE_OBJ_FF_GROUP ? PL_T_NET_FF_RULE_GROUP_ID
                                                                 : PL_T_NET_FF_RULE_CLASSIFIER_ID);
        n += rule->there && rule->type == PL_T_NET_RESOURCE_OBJ_FF_RULE &&
             pl_admin_get(id, 4) == c->peer->io.object;
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
    uint64_t most = type == PL_T_NET_RESOURCE_OBJ_FF_GROUP
                        ? lower(limits->groups, limits->rules_per_group)
                    : type == PL_T_NET_RESOURCE_OBJ_FF_CLASSIFIER ? limits->classifiers
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
        if (object->there && object->type == PL_T_NET_RESOURCE_OBJ_FF_GROUP &&
            pl_admin_get(object->data + PL_T_NET_FF_GROUP_PRIORITY, 2) ==
                data(c->peer, PL_T_NET_RESOURCE_OBJ + PL_T_NET_FF_GROUP_PRIORITY, 2))
            return true;
    }
    return false;
}

size_t pl_admin_mask_bytes(const uint8_t *bytes, size_t len)
{
    size_t at = PL_T_NET_FF_LIST, sum = 0;
    uint8_t count = bytes[PL_T_NET_FF_COUNT];
    if (len < at || count == 0 || count > SELECTORS)
        return 0;
    for (uint8_t i = 0; i < count; i++) {
        size_t n = at + PL_T_NET_FF_SELECTOR <= len ? bytes[at + PL_T_NET_FF_SELECTOR_LENGTH] : 0;
        uint8_t type = n ? bytes[at + PL_T_NET_FF_SELECTOR_TYPE] : 0;
        if (!type || type >= sizeof(selector_bytes) || n != selector_bytes[type] ||
            at + PL_T_NET_FF_SELECTOR + n > len || (i == 0) != (type == PL_T_NET_FF_MASK_TYPE_ETH))
            return 0;
        sum += n;
        at += PL_T_NET_FF_SELECTOR + n;
    }
    return sum;
}

/* What is wrong with the object to be created. Rules: 1 queue, 2 priority, 4 id, 8 keys, 16
 * action, 32 group or classifier. Associations: 64 id, 128 parameters. Others: 256. */
uint64_t pl_fn_admin_wrong(const struct pl_step *c)
{
    uint8_t raw[PL_ADMIN_DATA];
    size_t n = bytes_from(c->peer, PL_T_NET_RESOURCE_OBJ, raw, sizeof(raw));
    const struct pl_admin_limits *limits = &c->dev->admin.limits;
    switch (c->peer->io.subject) {
    case PL_T_NET_RESOURCE_OBJ_FF_GROUP:
        return c->peer->io.object >= limits->groups ? 256 : 0;
    case PL_T_NET_RESOURCE_OBJ_FF_CLASSIFIER:
        return c->peer->io.object >= limits->classifiers || !pl_admin_mask_bytes(raw, n) ? 256 : 0;
    case PL_T_NET_RESOURCE_OBJ_FF_RULE:
        return pl_admin_wrong_rule(c, raw, n);
    default:
        return pl_admin_wrong_sa(c, raw, n);
    }
}

uint64_t pl_admin_wrong_sa(const struct pl_step *c, const uint8_t *bytes, size_t len)
{
    const struct pl_admin_limits *limits = &c->dev->admin.limits;
    bool outbound = c->peer->io.subject == PL_T_NET_RESOURCE_OBJ_IPSEC_OUTB_SA;
    uint64_t wrong = c->peer->io.object >= (outbound ? limits->outbound : limits->inbound) ? 64 : 0;
    uint64_t options = pl_admin_get(bytes + PL_T_NET_IPSEC_SA_OPTIONS, 8);
    bool mode = bytes[PL_T_NET_IPSEC_SA_MODE] == PL_T_NET_IPSEC_MODE_ESP_TRANSPORT;
    return wrong | (len < PL_T_NET_IPSEC_SA_PARAM || !mode || options ? 128 : 0);
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
    free_one->len = (uint16_t)bytes_from(c->peer, PL_T_NET_RESOURCE_OBJ, free_one->data,
                                         sizeof(free_one->data));
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
        answer_ok(c, object->data, object->len);
}
