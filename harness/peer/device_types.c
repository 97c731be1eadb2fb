/* The device types that the reference device can be, with plausible features, queues and contents.
 */
#include <string.h>

#include "peer/device_private.h"

#define BIT(n) (UINT64_C(1) << (n))
#define COMMON                                                                                     \
    (BIT(PL_C_F_VERSION_1) | BIT(PL_C_F_RING_RESET) | BIT(PL_C_F_INDIRECT_DESC) |                  \
     BIT(PL_C_F_EVENT_IDX) | BIT(PL_C_F_NOTIFICATION_DATA) | BIT(PL_C_F_RING_PACKED) |             \
     BIT(PL_C_F_IN_ORDER))

/* capacity 8192 sectors, seg_max 126, blk_size 512, writeback on, num_queues 2; discard and write
 * zeroes: 2048 sectors, 8 segments, and a range may be deallocated */
static const uint8_t block_config[60] = {
    [1] = 0x20, [12] = 126, [21] = 0x02, [32] = 1, [34] = 2, [37] = 8,
    [40] = 8,   [44] = 1,   [49] = 8,    [52] = 8, [56] = 1,
};
/* mac, status link up, max_virtqueue_pairs 1, mtu 1500 */
static const uint8_t net_config[12] = {0x52, 0x54, 0, 0x12, 0x34, 0x56, 1, 0, 1, 0, 0xdc, 0x05};
/* cols 80, rows 25, max_nr_ports 2, emerg_wr */
static const uint8_t console_config[12] = {80, 0, 25, 0, 2, 0, 0, 0};
/* events_read, events_clear, num_scanouts 1, num_capsets 1 */
static const uint8_t gpu_config[16] = {[8] = 1, [12] = 1};

static const struct pl_device_type types[] = {
    {"block",
     block_config,
     sizeof(block_config),
     32,
     32,
     COMMON | BIT(2) | BIT(6) | BIT(9) | BIT(11) | BIT(12) | BIT(13) | BIT(14),
     {128, 128},
     2},
    {"net",
     net_config,
     sizeof(net_config),
     1,
     0,
     COMMON | BIT(3) | BIT(5) | BIT(15) | BIT(16) | BIT(17),
     {256, 256, 64},
     3},
    {"console",
     console_config,
     sizeof(console_config),
     8,
     11,
     COMMON | BIT(0) | BIT(2),
     {64, 64, 32, 32, 0, 0, 64, 64},
     8},
    {"entropy", NULL, 0, 1, 0, COMMON, {64}, 1},
    {"gpu", gpu_config, sizeof(gpu_config), 4, 7, COMMON | BIT(1), {64, 16}, 2},
};

const struct pl_device_type *pl_device_type_find(const char *name)
{
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (strcmp(types[i].name, name) == 0)
            return &types[i];
    return NULL;
}
