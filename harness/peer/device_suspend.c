/* Suspending and resuming a device: when it is done, and what is put off until then. */
#include <string.h>

#include "peer/io.h"

/* Status bits that the driver has no say in: SUSPEND, too, of a device that does not run yet. */
uint64_t pl_fn_status_ignored(const struct pl_step *c)
{
    bool early = pl_fn_offered(c, PL_C_F_SUSPEND) && !(c->dev->v.status & PL_C_STATUS_SUSPEND);
    return PL_C_STATUS_DEVICE_NEEDS_RESET | (early ? PL_C_STATUS_SUSPEND : 0);
}

void pl_act_start_suspend(struct pl_step *c, uint64_t delay)
{
    c->dev->suspend_at = c->peer->now + (delay < UINT32_MAX ? delay : UINT32_MAX);
}

void pl_act_resume(struct pl_step *c)
{
    static const struct pl_msg none;
    pl_device_run(c->peer, c->dev, PL_ON_RESUME, &none);
}

/* The queue stands still where it is, until it is started again. */
void pl_act_io_suspend(struct pl_step *c)
{
    if (c->queue->io)
        c->queue->io->paused = c->queue->io->suspended = true;
    c->queue->live = 0;
}

/* --- changes of the configuration that wait for the device to resume --- */

bool pl_fn_put_off(const struct pl_step *c)
{
    return c->dev->put_off_end > c->dev->put_off_first;
}

uint64_t pl_fn_put_off_first(const struct pl_step *c)
{
    return c->dev->put_off_first;
}

uint64_t pl_fn_put_off_length(const struct pl_step *c)
{
    return c->dev->put_off_end - c->dev->put_off_first;
}

void pl_act_put_off(struct pl_step *c, uint64_t offset, uint64_t length)
{
    struct pl_device *dev = c->dev;
    bool more = pl_fn_put_off(c);
    if (!more)
        memcpy(dev->put_off, dev->config, sizeof(dev->put_off));
    for (uint64_t at = offset; at < offset + length && at < dev->config_size; at++)
        dev->put_off[at] = c->peer->pending[at];
    uint64_t end = offset + length;
    dev->put_off_first = more && dev->put_off_first < offset ? dev->put_off_first : offset;
    dev->put_off_end = more && dev->put_off_end > end ? dev->put_off_end : end;
}

void pl_act_apply_put_off(struct pl_step *c)
{
    struct pl_device *dev = c->dev;
    for (uint64_t at = dev->put_off_first; at < dev->put_off_end && at < dev->config_size; at++)
        dev->config[at] = dev->config_first[at] = dev->put_off[at];
}

void pl_act_forget_put_off(struct pl_step *c)
{
    c->dev->put_off_first = c->dev->put_off_end = 0;
}
