/* What a network device keeps that commands of its control queue set, and what it counts. */
#ifndef PL_PEER_NET_STATE_H
#define PL_PEER_NET_STATE_H

#include <stdbool.h>
#include <stdint.h>

#define PL_NET_PAIRS    2u /* of queues, where several are offered */
#define PL_NET_QUEUES   (2 * PL_NET_PAIRS)
#define PL_NET_MACS     64u  /* addresses in the filtering table */
#define PL_NET_KEY      40u  /* bytes of a hash key, at most */
#define PL_NET_TABLE    128u /* entries of an indirection table, at most */
#define PL_NET_CONTEXTS 2u
#define PL_NET_FLOWS    256u
#define PL_NET_ADDRESS  6u /* bytes of a MAC address */
#define PL_NET_VLANS    4096u

/* Receive-side scaling, or the parameters of a reported hash alone. */
struct pl_net_rss {
    bool set;
    uint32_t types;
    uint16_t mask, unclassified, table[PL_NET_TABLE]; /* queues by bits 1 to 16 of their index */
    uint8_t key[PL_NET_KEY], key_len;
};

/* Parameters of notification coalescing. */
struct pl_net_coal {
    uint32_t packets, usecs;
};

/* Statistics of a queue; `spare`: overruns of a receive queue, malformed ones of a transmit queue.
 */
struct pl_net_count {
    uint64_t notifications, packets, bytes, interrupts, drops, spare;
};

struct pl_net_state {
    uint64_t modes; /* bit n: receive mode n is on */
    unsigned n_macs;
    uint8_t mac[PL_NET_MACS][PL_NET_ADDRESS];
    uint8_t vlan[PL_NET_VLANS / 8];
    uint64_t pairs;             /* in use */
    bool scales;                /* the last command that chose a mode chose receive-side scaling */
    uint8_t flow[PL_NET_FLOWS]; /* by flow: the pair that last transmitted for it, plus 1; or 0 */
    struct pl_net_rss rss, report, context[PL_NET_CONTEXTS];
    uint32_t tunnels; /* encapsulations whose inner header is hashed */
    struct pl_net_coal rx, tx, coal[PL_NET_QUEUES];
    struct pl_net_count count[PL_NET_QUEUES];
    uint64_t commands, oks;
    bool under_way; /* a packet that comes back when the device next looks */
};

/* What a reset clears, one by one. */
enum pl_net_part {
    PL_NET_PART_MACS = 1,
    PL_NET_PART_MODES = 2,
    PL_NET_PART_VLANS = 4,
    PL_NET_PART_PAIRS = 8,
    PL_NET_PART_HASH = 16,
    PL_NET_PART_TUNNELS = 32,
    PL_NET_PART_COAL = 64,
    PL_NET_PART_CONTEXTS = 128,
    PL_NET_PART_COUNTS = 256,
    PL_NET_PART_OBJECTS = 512, /* and all else that administration commands made */
};

#endif
