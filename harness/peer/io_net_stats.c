/* The network device: its statistics. */
#include <string.h>

#include "peer/io.h"

/* One queue's part of a request, and its fields. */
enum {
    ASK = PL_T_NET_QUEUE_STATS,
    ASK_QUEUE = PL_T_NET_QUEUE_STATS_VQ_INDEX,
    ASK_TYPES = PL_T_NET_QUEUE_STATS_TYPES_BITMAP
};

/* A counter of an answer. */
struct counter {
    uint64_t at, value;
};

/* The types that a queue has, as a mask. */
static uint64_t types_of(const struct pl_step *c, uint64_t queue)
{
    uint64_t control = 2 * pl_net_pairs_there(c);
    if (queue > control)
        return 0;
    return UINT64_C(1) << (queue == control ? PL_T_NET_STATS_TYPE_REPLY_CVQ
                           : queue & 1      ? PL_T_NET_STATS_TYPE_REPLY_TX_BASIC
                                            : PL_T_NET_STATS_TYPE_REPLY_RX_BASIC);
}

/* Whole parts, each of a queue that is there and of types that it has. */
bool pl_fn_net_stats_sound(const struct pl_step *c)
{
    uint64_t bytes = c->peer->io.bytes;
    if (bytes == 0 || bytes % ASK)
        return false;
    for (uint64_t at = 0; at < bytes; at += ASK) {
        uint64_t queue = pl_fn_net_data(c, at + ASK_QUEUE, 2);
        if (pl_fn_net_data(c, at + ASK_TYPES, 8) & ~types_of(c, queue))
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
    const struct counter basic[] = {{PL_T_NET_STATS_BASIC_NOTIFICATIONS, n->notifications},
                                    {PL_T_NET_STATS_BASIC_PACKETS, n->packets},
                                    {PL_T_NET_STATS_BASIC_BYTES, n->bytes},
                                    {PL_T_NET_STATS_BASIC_INTERRUPTS, n->interrupts},
                                    {PL_T_NET_STATS_BASIC_DROPS, n->drops},
                                    {PL_T_NET_STATS_BASIC_DROP_OVERRUNS, n->spare}};
    const struct counter control[] = {{PL_T_NET_STATS_CVQ_COMMAND_NUM, net->commands + 1},
                                      {PL_T_NET_STATS_CVQ_OK_NUM, net->oks + 1}};
    bool is_control = type == PL_T_NET_STATS_TYPE_REPLY_CVQ;
    const struct counter *counters = is_control ? control : basic;
    size_t many =
        is_control ? sizeof(control) / sizeof(control[0]) : sizeof(basic) / sizeof(basic[0]);
    uint64_t size = is_control ? PL_T_NET_STATS_CVQ : PL_T_NET_STATS_BASIC;
    pl_act_net_say(c, at + PL_T_NET_STATS_REPLY_TYPE, 1, type);
    pl_act_net_say(c, at + PL_T_NET_STATS_REPLY_RESERVED, 1, 0);
    pl_act_net_say(c, at + PL_T_NET_STATS_REPLY_VQ_INDEX, 2, queue);
    pl_act_net_say(c, at + PL_T_NET_STATS_REPLY_RESERVED1, 2, 0);
    pl_act_net_say(c, at + PL_T_NET_STATS_REPLY_SIZE, 2, size);
    for (size_t i = 0; i < many; i++)
        pl_act_net_say(c, at + counters[i].at, 8, counters[i].value);
    return at + size;
}

/* The statistics that are asked for, behind the ack; and so many bytes more, which is a mutant's.
 */
void pl_act_net_stats(struct pl_step *c, uint64_t more)
{
    uint64_t to = PL_T_NET_CTRL_ACK;
    for (uint64_t at = 0; at < c->peer->io.bytes; at += ASK) {
        uint64_t queue = pl_fn_net_data(c, at + ASK_QUEUE, 2);
        uint64_t asked = pl_fn_net_data(c, at + ASK_TYPES, 8);
        for (unsigned type = 0; type < PL_T_NET_STATS_TYPES; type++)
            if (asked >> type & 1)
                to = put_counts(c, to, queue, type);
    }
    for (uint64_t i = 0; i < more; i++)
        pl_act_net_say(c, to + i, 1, 0);
}
