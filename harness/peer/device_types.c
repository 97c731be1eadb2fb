/* The device types that the reference device can be, with plausible features, queues and contents.
 */
#include <string.h>

#include "peer/device_private.h"

#define BIT(n) (UINT64_C(1) << (n))
#define COMMON                                                                                     \
    (BIT(PL_C_F_VERSION_1) | BIT(PL_C_F_RING_RESET) | BIT(PL_C_F_INDIRECT_DESC) |                  \
     BIT(PL_C_F_EVENT_IDX) | BIT(PL_C_F_NOTIFICATION_DATA) | BIT(PL_C_F_RING_PACKED) |             \
     BIT(PL_C_F_IN_ORDER))

/* The first and the last byte of a field. */
#define RANGE(name) name##_AT, name##_AT + name##_LEN - 1

/* capacity 8192 sectors, seg_max 126, blk_size 512, writeback on, num_queues 2; discard and write
 * zeroes: 2048 sectors, 8 segments, and a range may be deallocated */
static const uint8_t block_config[PL_T_BLOCK_MAX_SECURE_ERASE_SECTORS_AT] = {
    [PL_T_BLOCK_CAPACITY_AT + 1] = 0x20,
    [PL_T_BLOCK_SEG_MAX_AT] = 126,
    [PL_T_BLOCK_BLK_SIZE_AT + 1] = 0x02,
    [PL_T_BLOCK_WRITEBACK_AT] = 1,
    [PL_T_BLOCK_NUM_QUEUES_AT] = 2,
    [PL_T_BLOCK_MAX_DISCARD_SECTORS_AT + 1] = 8,
    [PL_T_BLOCK_MAX_DISCARD_SEG_AT] = 8,
    [PL_T_BLOCK_DISCARD_SECTOR_ALIGNMENT_AT] = 1,
    [PL_T_BLOCK_MAX_WRITE_ZEROES_SECTORS_AT + 1] = 8,
    [PL_T_BLOCK_MAX_WRITE_ZEROES_SEG_AT] = 8,
    [PL_T_BLOCK_WRITE_ZEROES_MAY_UNMAP_AT] = 1,
};
/* mac, status link up, max_virtqueue_pairs 1, mtu 1500 */
static const uint8_t net_config[PL_T_NET_SPEED_AT] = {
    [PL_T_NET_MAC_AT] = 0x52,
    0x54,
    0,
    0x12,
    0x34,
    0x56,
    [PL_T_NET_STATUS_AT] = PL_T_NET_S_LINK_UP,
    [PL_T_NET_MAX_VIRTQUEUE_PAIRS_AT] = 1,
    [PL_T_NET_MTU_AT] = 0xdc,
    0x05,
};
/* cols 80, rows 25, max_nr_ports 2, emerg_wr */
static const uint8_t console_config[PL_T_CONSOLE_CONFIG_BYTES] = {
    [PL_T_CONSOLE_COLS_AT] = 80,
    [PL_T_CONSOLE_ROWS_AT] = 25,
    [PL_T_CONSOLE_MAX_NR_PORTS_AT] = 2,
};
/* events_read, events_clear, num_scanouts 1, num_capsets 1 */
static const uint8_t gpu_config[PL_T_GPU_CONFIG_BYTES] = {
    [PL_T_GPU_NUM_SCANOUTS_AT] = 1,
    [PL_T_GPU_NUM_CAPSETS_AT] = 1,
};

static const struct pl_device_type types[] = {
    {"block",
     block_config,
     sizeof(block_config),
     RANGE(PL_T_BLOCK_WRITEBACK),
     COMMON | BIT(PL_T_BLOCK_F_SEG_MAX) | BIT(PL_T_BLOCK_F_BLK_SIZE) | BIT(PL_T_BLOCK_F_FLUSH) |
         BIT(PL_T_BLOCK_F_CONFIG_WCE) | BIT(PL_T_BLOCK_F_MQ) | BIT(PL_T_BLOCK_F_DISCARD) |
         BIT(PL_T_BLOCK_F_WRITE_ZEROES),
     {128, 128},
     2},
    {"net",
     net_config,
     sizeof(net_config),
     1,
     0,
     COMMON | BIT(PL_T_NET_F_MTU) | BIT(PL_T_NET_F_MAC) | BIT(PL_T_NET_F_MRG_RXBUF) |
         BIT(PL_T_NET_F_STATUS) | BIT(PL_T_NET_F_CTRL_VQ),
     {256, 256, 64},
     3},
    {"console",
     console_config,
     sizeof(console_config),
     RANGE(PL_T_CONSOLE_EMERG_WR),
     COMMON | BIT(PL_T_CONSOLE_F_SIZE) | BIT(PL_T_CONSOLE_F_EMERG_WRITE),
     {64, 64, 32, 32, 0, 0, 64, 64},
     8},
    {"entropy", NULL, 0, 1, 0, COMMON, {64}, 1},
    {"gpu",
     gpu_config,
     sizeof(gpu_config),
     RANGE(PL_T_GPU_EVENTS_CLEAR),
     COMMON | BIT(PL_T_GPU_F_EDID),
     {64, 16},
     2},
};

const struct pl_device_type *pl_device_type_find(const char *name)
{
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (strcmp(types[i].name, name) == 0)
            return &types[i];
    return NULL;
}
