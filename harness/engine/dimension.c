/* The parameters of a whole run and their values. */
#include "engine/dimension.h"

static const uint32_t flag[] = {0, 1};
static const uint32_t sizes[] = {256, 1, 2, 3, 64, 1024, 32768};
static const uint32_t delays[] = {0, 2};

#define VALUES(list) list, sizeof(list) / sizeof((list)[0])
const struct pl_dimension_def pl_dimensions[PL_DIMENSIONS] = {
    [PL_DIM_PACKED] = {"ring_packed", VALUES(flag)},
    [PL_DIM_QUEUE_SIZE] = {"queue_size", VALUES(sizes)},
    [PL_DIM_INDIRECT] = {"indirect", VALUES(flag)},
    [PL_DIM_EVENT_IDX] = {"event_idx", VALUES(flag)},
    [PL_DIM_IN_ORDER] = {"in_order", VALUES(flag)},
    [PL_DIM_NOTIFICATION_DATA] = {"notification_data", VALUES(flag)},
    [PL_DIM_RESET_MS] = {"reset_ms", VALUES(delays)},
};
