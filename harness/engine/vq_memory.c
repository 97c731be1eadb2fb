/* The shared memory as the harness hands it out: blocks, patterns, and a shadow that later writes
 * of the IUT show against. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/port_memory.h"
#include "engine/vq_private.h"
#include "wire/random.h"

uint8_t pl_vq_pattern(uint64_t seed, uint64_t i)
{
    return (uint8_t)(pl_random_mix((seed + 1) * PL_RANDOM_STEP + (i >> 3)) >> 8 * (i & 7));
}

int pl_vq_memory_init(struct pl_vq_memory *m, const struct pl_port *port)
{
    m->ring = pl_port_memory(port);
    m->n_units = port->mem_size / PL_UNIT;
    m->next = PL_VQ_STATIC / PL_UNIT;
    m->shadow = calloc(m->n_units, PL_UNIT);
    m->unit = calloc(m->n_units, sizeof(*m->unit));
    return m->shadow && m->unit ? 0 : -ENOMEM;
}

void pl_vq_memory_free(struct pl_vq_memory *m)
{
    free(m->shadow);
    free(m->unit);
}

void pl_vq_memory_forget(struct pl_vq_memory *m)
{
    memset(m->unit + m->touched, 0, (m->touched_end - m->touched) * sizeof(*m->unit));
    m->touched = m->touched_end = 0;
}

void pl_vq_freeze(struct pl_vq_memory *m, size_t at, size_t len)
{
    memcpy(m->shadow + at, (const uint8_t *)m->ring.mem + at, len);
}

bool pl_vq_same(const struct pl_vq_memory *m, size_t at, size_t len, size_t *where)
{
    const uint8_t *mem = (const uint8_t *)m->ring.mem + at, *want = m->shadow + at;
    size_t i = 0;
    if (!len || memcmp(mem, want, len) == 0)
        return true;
    while (i + 1 < len && mem[i] == want[i])
        i++;
    *where = at + i;
    return false;
}

/* Memory that nothing stands in changed: whose it was last, says the unit. */
static void tell_changed(struct pl_vq *vq, size_t where)
{
    const struct pl_cell *unit = &vq->memory.unit[where / PL_UNIT];
    pl_session_tell(vq->s,
                    "ring %u %u broken io_after_reset memory of a queue that was reset before "
                    "changed at address 0x%llx",
                    unit->dev_num, unit->queue, (unsigned long long)(vq->memory.ring.base + where));
}

/* Units [from, to): those that are known and that nothing stands in are compared. */
static void check_units(struct pl_vq *vq, size_t from, size_t to)
{
    struct pl_vq_memory *m = &vq->memory;
    size_t where = 0;
    from = from > m->touched ? from : m->touched;
    to = to < m->touched_end ? to : m->touched_end;
    while (from < to) {
        size_t end = from;
        while (end < to && m->unit[end].known && !m->unit[end].live)
            end++;
        if (!pl_vq_same(m, from * PL_UNIT, (end - from) * PL_UNIT, &where)) {
            tell_changed(vq, where);
            pl_vq_freeze(m, from * PL_UNIT, (end - from) * PL_UNIT);
        }
        from = end + 1;
    }
}

void pl_vq_check_behind(struct pl_vq *vq, size_t len)
{
    size_t first = PL_VQ_STATIC / PL_UNIT, n = len / PL_UNIT;
    if (!vq->wild)
        check_units(vq, vq->memory.next - first > n ? vq->memory.next - n : first, vq->memory.next);
}

/* The first unit of `n` free ones in a row from `from` on; n_units where there is none. */
static size_t find_free(const struct pl_vq_memory *m, size_t from, size_t n)
{
    size_t run = 0;
    for (size_t i = from; i < m->n_units; i++) {
        run = m->unit[i].live ? 0 : run + 1;
        if (run == n)
            return i + 1 - n;
    }
    return m->n_units;
}

static void fill(struct pl_vq *vq, struct pl_block block)
{
    uint8_t *shadow = vq->memory.shadow + block.at;
    for (size_t i = 0; i < block.len; i += sizeof(uint64_t)) {
        uint64_t v = pl_random(&vq->random);
        memcpy(shadow + i, &v, sizeof(v));
    }
    memcpy((uint8_t *)vq->memory.ring.mem + block.at, shadow, block.len);
}

int pl_vq_take(struct pl_vq *vq, uint32_t queue, size_t len, struct pl_block *out)
{
    struct pl_vq_memory *m = &vq->memory;
    size_t n = (len + PL_UNIT - 1) / PL_UNIT;
    size_t at = find_free(m, m->next, n);
    if (at == m->n_units)
        at = find_free(m, PL_VQ_STATIC / PL_UNIT, n);
    if (at == m->n_units)
        return -ENOSPC;
    check_units(vq, at, at + n);
    for (size_t i = at; i < at + n; i++)
        m->unit[i] = (struct pl_cell){true, true, vq->s->dev_num, queue};
    m->touched = m->touched_end && m->touched < at ? m->touched : at;
    m->touched_end = m->touched_end > at + n ? m->touched_end : at + n;
    m->next = at + n;
    *out = (struct pl_block){at * PL_UNIT, n * PL_UNIT};
    fill(vq, *out);
    return 0;
}

void pl_vq_give_back(struct pl_vq *vq, struct pl_block block)
{
    for (size_t i = block.at / PL_UNIT; i < (block.at + block.len) / PL_UNIT; i++)
        vq->memory.unit[i].live = false;
}
