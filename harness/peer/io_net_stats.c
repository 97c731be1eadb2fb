/* The network device: its statistics. */
#include <string.h>

#include "peer/io.h"

enum {
    ASK = 16, /* bytes of one queue's part of a request */
    HEAD = 8, /* bytes of the header of one part of the answer */
    TYPE_RX_BASIC = 0,
    TYPE_TX_BASIC = 16,
    TYPE_CVQ = 32,
};

/* The types that a queue has, as a mask. */
static uint64_t types_of(const struct pl_step *c, uint64_t queue)
{
    uint64_t control = 2 * pl_net_pairs_there(c);
    if (queue > control)
        return 0;
    return UINT64_C(1) << (queue == control ? TYPE_CVQ : queue & 1 ? TYPE_TX_BASIC : TYPE_RX_BASIC);
}

/* Whole parts, each of a queue that is there and of types that it has. */
bool pl_fn_net_stats_sound(const struct pl_step *c)
{
    uint64_t bytes = c->peer->io.bytes;
    if (bytes == 0 || bytes % ASK)
        return false;
    for (uint64_t at = 0; at < bytes; at += ASK) {
        uint64_t queue = pl_fn_net_data(c, at, 2);
        if (pl_fn_net_data(c, at + 8, 8) & ~types_of(c, queue))
            return false;
        if (queue > 2 * pl_net_pairs_there(c))
            return false;
    }
    return true;
}

static uint64_t put_counts(struct pl_step *c, uint64_t at, uint64_t queue, unsigned type)
{
    const struct pl_net_state *net = &c->dev->net;
    const struct pl_net_count *n = &net->count[queue % PL_NET_QUEUES];
    const uint64_t basic[] = {n->notifications, n->packets, n->bytes,
                              n->interrupts,    n->drops,   n->spare};
    const uint64_t control[] = {net->commands + 1, net->oks + 1};
    const uint64_t *values = type == TYPE_CVQ ? control : basic;
    size_t many = type == TYPE_CVQ ? sizeof(control) / 8 : sizeof(basic) / 8;
    pl_act_net_say(c, at, 1, type);
    pl_act_net_say(c, at + 1, 1, 0);
    pl_act_net_say(c, at + 2, 2, queue);
    pl_act_net_say(c, at + 4, 2, 0);
    pl_act_net_say(c, at + 6, 2, HEAD + 8 * many);
    for (size_t i = 0; i < many; i++)
        pl_act_net_say(c, at + HEAD + 8 * i, 8, values[i]);
    return at + HEAD + 8 * many;
}

/* The statistics that are asked for, behind the ack; and so many bytes more, which is a mutant's.
 */
void pl_act_net_stats(struct pl_step *c, uint64_t more)
{
    uint64_t to = 1;
    for (uint64_t at = 0; at < c->peer->io.bytes; at += ASK) {
        uint64_t queue = pl_fn_net_data(c, at, 2), asked = pl_fn_net_data(c, at + 8, 8);
        for (unsigned type = 0; type < 64; type++)
            if (asked >> type & 1)
                to = put_counts(c, to, queue, type);
    }
    for (uint64_t i = 0; i < more; i++)
        pl_act_net_say(c, to + i, 1, 0);
}
