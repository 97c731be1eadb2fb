/* What fills the array of a message that the driver sends. */
#include <string.h>

#include "peer/driver_private.h"

static void put32(uint8_t *at, uint32_t word)
{
    for (unsigned i = 0; i < 4; i++)
        at[i] = (uint8_t)(word >> (8 * i));
}

static void take(struct pl_dp_step *c, size_t bytes)
{
    c->send.data = c->peer->scratch;
    c->send.data_len = (uint32_t)bytes;
}

static void blocks(struct pl_dp_step *c, const uint32_t *words, uint64_t index, uint64_t count)
{
    uint64_t most = sizeof(c->peer->scratch) / 4;
    count = count < most ? count : most;
    for (uint64_t i = 0; i < count; i++)
        put32(c->peer->scratch + 4 * i, index + i < PL_DP_BLOCKS ? words[index + i] : 0);
    take(c, (size_t)(4 * count));
}

/* The selection's blocks from `index` on. */
void pl_dp_arr_chosen(struct pl_dp_step *c, uint64_t index, uint64_t count)
{
    blocks(c, c->dev->chosen, index, count);
}

/* Mutants: what the device offers, as it is. */
void pl_dp_arr_offered(struct pl_dp_step *c, uint64_t index, uint64_t count)
{
    blocks(c, c->dev->offered, index, count);
}

/* Two words and nothing behind them: what mutants select. */
void pl_dp_arr_words(struct pl_dp_step *c, uint64_t count, uint64_t first, uint64_t second)
{
    uint64_t most = sizeof(c->peer->scratch) / 4;
    count = count < most ? count : most;
    for (uint64_t i = 0; i < count; i++)
        put32(c->peer->scratch + 4 * i, i == 0 ? (uint32_t)first : i == 1 ? (uint32_t)second : 0);
    take(c, (size_t)(4 * count));
}

void pl_dp_arr_write_data(struct pl_dp_step *c)
{
    uint64_t length = c->send.f[PL_F_length];
    length = length < PL_DP_CONFIG ? length : PL_DP_CONFIG;
    memcpy(c->peer->scratch, c->dev->write.data, (size_t)length);
    take(c, (size_t)length);
}

void pl_dp_arr_fill(struct pl_dp_step *c, uint64_t bytes, uint64_t value)
{
    bytes = bytes < 8192 ? bytes : 8192;
    memset(c->peer->scratch, (int)(value & 0xff), (size_t)bytes);
    take(c, (size_t)bytes);
}
