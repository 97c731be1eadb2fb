/* Flow filters: is a rule one that can be, and which is applied to a packet that comes in? */
#include <netinet/in.h>
#include <string.h>

#include "peer/io_admin.h"
#include "peer/io_net_packet.h"

/* How a mutant departs from it. */
enum {
    LOWEST_GROUP = 1,
    LOWEST_RULE = 2,
    GO_ON = 4,   /* behind a rule that matched */
    REVIVE = 8,  /* behind one that drops */
    PATIENT = 16 /* the second receive queue is waited for where it is reset */
};

/* A rule's fields. */
enum {
    GROUP = PL_T_NET_FF_RULE_GROUP_ID,
    CLASSIFIER = PL_T_NET_FF_RULE_CLASSIFIER_ID,
    PRIORITY = PL_T_NET_FF_RULE_PRIORITY,
    KEY_LENGTH = PL_T_NET_FF_RULE_KEY_LENGTH,
    ACTION = PL_T_NET_FF_RULE_ACTION,
    QUEUE = PL_T_NET_FF_RULE_VQ_INDEX,
    KEYS = PL_T_NET_FF_RULE
};

uint64_t pl_admin_wrong_rule(const struct pl_step *c, const uint8_t *data, size_t len)
{
    const struct pl_admin_limits *limits = &c->dev->admin.limits;
    const struct pl_admin_object *classifier = pl_admin_find(
        c->dev, PL_T_NET_RESOURCE_OBJ_FF_CLASSIFIER, pl_admin_get(data + CLASSIFIER, 4));
    uint64_t queue = pl_admin_get(data + QUEUE, 2), id = c->peer->io.object;
    bool receives = queue < PL_DEVICE_MAX_QUEUES && c->dev->queues[queue].available &&
                    c->dev->queues[queue].kind == PL_ON_NET_IN;
    size_t keys = classifier ? pl_admin_mask_bytes(classifier->data, classifier->len) : 0;
    uint64_t wrong = 0;
    if (data[ACTION] == PL_T_NET_FF_ACTION_DIRECT_RX_VQ && !receives)
        wrong |= 1;
    if (data[PRIORITY] >= limits->last_priority)
        wrong |= 2;
    if (id >= limits->rules || id >= limits->rules_per_group)
        wrong |= 4;
    if (classifier && (data[KEY_LENGTH] != keys || len < KEYS + keys))
        wrong |= 8;
    if (data[ACTION] != PL_T_NET_FF_ACTION_DROP && data[ACTION] != PL_T_NET_FF_ACTION_DIRECT_RX_VQ)
        wrong |= 16;
    if (!classifier ||
        !pl_admin_find(c->dev, PL_T_NET_RESOURCE_OBJ_FF_GROUP, pl_admin_get(data + GROUP, 4)))
        wrong |= 32;
    return wrong;
}

/* --- matching --- */

/* Where the header that a selector is about begins; -1: the packet has none. */
static long header_at(uint8_t type, const struct pl_device_peer *peer)
{
    struct pl_packet p;
    const uint8_t *frame = peer->frame;
    bool ip = pl_packet_parse(frame, peer->frame_len, &p);
    switch (type) {
    case PL_T_NET_FF_MASK_TYPE_ETH:
        return 0;
    case PL_T_NET_FF_MASK_TYPE_IPV4:
        return ip && !p.v6 ? (long)p.l3 : -1;
    case PL_T_NET_FF_MASK_TYPE_IPV6:
        return ip && p.v6 ? (long)p.l3 : -1;
    default: /* TCP or UDP */
        return ip && (p.protocol == IPPROTO_TCP) == (type == PL_T_NET_FF_MASK_TYPE_TCP) ? (long)p.l4
                                                                                        : -1;
    }
}

static bool same(const uint8_t *frame, const uint8_t *key, const uint8_t *mask, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((frame[i] ^ key[i]) & mask[i])
            return false;
    return true;
}

static bool matches(const struct pl_step *c, const struct pl_admin_object *rule)
{
    const struct pl_admin_object *classifier = pl_admin_find(
        c->dev, PL_T_NET_RESOURCE_OBJ_FF_CLASSIFIER, pl_admin_get(rule->data + CLASSIFIER, 4));
    const uint8_t *key = rule->data + KEYS;
    if (!classifier)
        return false;
    const uint8_t *at = classifier->data + PL_T_NET_FF_LIST;
    for (uint8_t i = 0; i < classifier->data[PL_T_NET_FF_COUNT]; i++) {
        size_t n = at[PL_T_NET_FF_SELECTOR_LENGTH];
        long from = header_at(at[PL_T_NET_FF_SELECTOR_TYPE], c->peer);
        if (from < 0 || (size_t)from + n > c->peer->frame_len ||
            !same(c->peer->frame + from, key, at + PL_T_NET_FF_SELECTOR, n))
            return false;
        key += n;
        at += PL_T_NET_FF_SELECTOR + n;
    }
    return true;
}

/* --- in order --- */

static uint64_t group_priority(const struct pl_step *c, const struct pl_admin_object *rule)
{
    const struct pl_admin_object *group =
        pl_admin_find(c->dev, PL_T_NET_RESOURCE_OBJ_FF_GROUP, pl_admin_get(rule->data + GROUP, 4));
    return group ? pl_admin_get(group->data + PL_T_NET_FF_GROUP_PRIORITY, 2) : 0;
}

/* What a rule's turn is decided by: the greatest comes first. */
static uint64_t rank(const struct pl_step *c, const struct pl_admin_object *rule, uint64_t how)
{
    uint64_t group = group_priority(c, rule), own = rule->data[PRIORITY];
    group = how & LOWEST_GROUP ? UINT16_MAX - group : group;
    own = how & LOWEST_RULE ? UINT8_MAX - own : own;
    return (group << 8 | own) + 1;
}

/* The matching rule of the highest rank below `below`; NULL: there is none. */
static const struct pl_admin_object *next(const struct pl_step *c, uint64_t below, uint64_t how)
{
    const struct pl_admin_object *best = NULL;
    for (size_t i = 0; i < PL_ADMIN_OBJECTS; i++) {
        const struct pl_admin_object *rule = &c->dev->admin.object[i];
        if (rule->there && rule->type == PL_T_NET_RESOURCE_OBJ_FF_RULE &&
            rank(c, rule, how) < below && (!best || rank(c, rule, how) > rank(c, best, how)) &&
            matches(c, rule))
            best = rule;
    }
    return best;
}

static void apply(struct pl_step *c, const struct pl_admin_object *rule, uint64_t how)
{
    struct pl_device_io *io = &c->peer->io;
    uint64_t queue = pl_admin_get(rule->data + QUEUE, 2);
    bool works = queue < PL_DEVICE_MAX_QUEUES && c->dev->queues[queue].io;
    io->directed = 1;
    io->dropped = rule->data[ACTION] == PL_T_NET_FF_ACTION_DROP || !works;
    io->target = io->dropped ? io->target : queue;
    if (!works && how & PATIENT)
        pl_pipe_put(&c->dev->words, c->peer->frame, c->peer->frame_len);
}

/* What was kept for the second receive queue comes in again, once that works. */
static void return_kept(struct pl_step *c)
{
    static const uint8_t header[PL_T_NET_HEADER];
    uint8_t kept[256]; /* more than what is kept has */
    size_t n = c->dev->queues[2].io ? pl_pipe_take(&c->dev->words, kept, sizeof(kept)) : 0;
    if (n)
        pl_net_queue(c->dev, header, kept, n);
}

bool pl_fn_net_matches(const struct pl_step *c)
{
    return next(c, UINT64_MAX, 0) != NULL;
}

/* The packet at hand meets the flow filters; a mutant says how it departs from their order. */
void pl_act_net_filter(struct pl_step *c, uint64_t how)
{
    if (how & PATIENT)
        return_kept(c);
    const struct pl_admin_object *rule = next(c, UINT64_MAX, how);
    while (rule) {
        apply(c, rule, how);
        if (!(how & GO_ON) && !(how & REVIVE && c->peer->io.dropped))
            return;
        rule = next(c, rank(c, rule, how), how);
    }
}
