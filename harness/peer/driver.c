/* The reference driver as an endpoint: messages in, messages out, virtual time, control. */
#include "peer/driver.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "peer/driver_private.h"
#include "wire/spare.h"

static struct pl_spare spare;

static void driver_close(void *self)
{
    struct pl_dp *peer = self;
    if (!peer)
        return;
    for (size_t i = 0; i < PL_DP_DEVICES; i++)
        pl_dp_io_forget(peer, &peer->devices[i]);
    pl_outbox_free(&peer->out);
    pl_outbox_free(&peer->held);
    pl_spare_give(&spare, peer, sizeof(*peer));
}

static void settle_all(struct pl_dp *peer)
{
    for (size_t i = PL_DP_DEVICES + 1; i-- > 0;)
        pl_dp_settle(peer, &peer->devices[i]);
}

static void begin(struct pl_dp_dev *dev, uint64_t number, bool bus)
{
    *dev = (struct pl_dp_dev){.used = true, .bus = bus, .number = number};
    dev->state = bus ? PL_DP_S_HELLO : PL_DP_S_IDLE;
    dev->timer_at = dev->poll_at = UINT64_MAX;
}

struct pl_dp_dev *pl_dp_device(struct pl_dp *peer, uint64_t number, bool make)
{
    for (size_t i = 0; i < PL_DP_DEVICES; i++)
        if (peer->devices[i].used && peer->devices[i].number == number)
            return &peer->devices[i];
    for (size_t i = 0; make && i < PL_DP_DEVICES; i++) {
        struct pl_dp_dev *dev = &peer->devices[i];
        if (dev->used)
            continue;
        begin(dev, number, false);
        dev->memory_size = peer->env.mem_size / PL_DP_DEVICES / 16 * 16;
        dev->memory = peer->env.mem_base + i * dev->memory_size;
        return dev;
    }
    return NULL;
}

/* What no message is longer than but on purpose: the same bytes each time, whatever a mutant sends.
 */
enum { USUAL_BYTES = 1024 };

static void *driver_open(const void *config, const struct pl_endpoint_env *env)
{
    char error[256];
    struct pl_dp *peer = pl_spare_take(&spare, sizeof(*peer));
    if (!peer)
        return NULL;
    memset(peer, 0, offsetof(struct pl_dp, scratch));
    memset(peer->scratch, 0, USUAL_BYTES);
    memset(peer->message, 0, USUAL_BYTES);
    peer->env = *env;
    peer->shared = (struct pl_ring_memory){env->mem, env->mem_base, env->mem ? env->mem_size : 0,
                                           env->mem_parts};
    if (pl_dp_configure(peer, config, error, sizeof(error)) < 0) {
        pl_spare_give(&spare, peer, sizeof(*peer));
        return NULL;
    }
    begin(&peer->devices[PL_DP_DEVICES], 0, true);
    settle_all(peer);
    return peer;
}

/* --- messages --- */

/* A response to a request of a device, or of the bus's own. */
static void take_response(struct pl_dp *peer, const struct pl_msg *m)
{
    struct pl_dp_dev *dev =
        m->bus ? &peer->devices[PL_DP_DEVICES] : pl_dp_device(peer, m->dev_num, false);
    struct pl_dp_request request;
    if (!dev || !pl_dp_close(dev, m->kind, m->token, &request)) {
        pl_dp_run(peer, dev ? dev : &peer->devices[PL_DP_DEVICES], PL_DP_ON_UNEXPECTED, m, NULL);
        return;
    }
    if (m->kind != PL_GET_DEVICE_STATUS)
        dev->v.looked = 0;
    pl_dp_run(peer, dev, (int)m->kind, m, &request);
}

/* The bus says that something came to nothing: the request that it names is no longer open. */
static void take_failure(struct pl_dp *peer, const struct pl_msg *m)
{
    for (size_t i = 0; i <= PL_DP_DEVICES; i++) {
        struct pl_dp_dev *dev = &peer->devices[i];
        struct pl_dp_request request;
        const struct pl_message_def *def =
            peer->spec->by_id[dev->bus][m->f[PL_F_failed_msg_id] & 0xff];
        if (!dev->used || !def || (!dev->bus && dev->number != m->f[PL_F_failed_dev_num]))
            continue;
        if (!pl_dp_close(dev, def->kind, (uint16_t)m->f[PL_F_failed_token], &request))
            continue;
        pl_dp_run(peer, dev, PL_DP_ON_REFUSED, m, &request);
        return;
    }
}

static void take_parameters(struct pl_dp *peer, const struct pl_msg *m)
{
    const struct pl_endpoint_env old = peer->env;
    peer->env.revision = (uint32_t)m->f[PL_F_revision];
    peer->env.max_msg_size = (uint32_t)m->f[PL_F_max_msg_size];
    peer->env.features = (uint32_t)m->f[PL_F_transport_features];
    peer->changed = old.revision != peer->env.revision || old.features != peer->env.features ||
                    old.max_msg_size != peer->env.max_msg_size;
    for (size_t i = 0; i < PL_DP_DEVICES; i++)
        if (peer->devices[i].used)
            pl_dp_run(peer, &peer->devices[i], (int)m->kind, m, NULL);
}

static void take_event(struct pl_dp *peer, const struct pl_msg *m)
{
    uint64_t number = m->kind == PL_EVENT_DEVICE ? m->f[PL_F_device_number] : m->dev_num;
    bool makes = m->kind == PL_EVENT_DEVICE && m->f[PL_F_device_bus_state] == PL_C_BUS_STATE_ADDED;
    if (m->kind == PL_EVENT_FAILURE) {
        take_failure(peer, m);
    } else if (m->kind == PL_EVENT_PARAMETERS) {
        take_parameters(peer, m);
    } else {
        struct pl_dp_dev *dev =
            m->bus && m->kind != PL_EVENT_DEVICE ? NULL : pl_dp_device(peer, number, makes);
        if (dev)
            pl_dp_run(peer, dev, (int)m->kind, m, NULL);
    }
}

/* What came for a device that nobody drives is the bus's. */
static void take_other(struct pl_dp *peer, int on, const struct pl_msg *m)
{
    struct pl_dp_dev *dev =
        m->bus || m->size < peer->spec->header.size ? NULL : pl_dp_device(peer, m->dev_num, false);
    pl_dp_run(peer, dev ? dev : &peer->devices[PL_DP_DEVICES], on, m, NULL);
}

static int driver_deliver(void *self, const void *msg, size_t size)
{
    struct pl_dp *peer = self;
    struct pl_msg m;
    pl_decode(peer->spec, msg, size, &m);
    if (peer->ended)
        return 0;
    if (m.form == PL_FORM_UNKNOWN)
        take_other(peer, PL_DP_ON_UNSUPPORTED, &m);
    else if ((m.form != PL_FORM_OK && m.form != PL_FORM_LONG) || m.size > peer->env.max_msg_size)
        take_other(peer, PL_DP_ON_MALFORMED, &m);
    else if (m.response)
        take_response(peer, &m);
    else if (m.event && m.def->from != PL_SIDE_DRIVER)
        take_event(peer, &m);
    else if (m.kind == PL_PING)
        take_other(peer, PL_DP_ON_PING_REQUEST, &m);
    else
        take_other(peer, PL_DP_ON_UNEXPECTED, &m);
    settle_all(peer);
    return 0;
}

static int driver_poll(void *self, void *buf, size_t cap)
{
    struct pl_dp *peer = self;
    int size = pl_outbox_take(&peer->out, buf, cap);
    if (size == 0)
        size = peer->ended ? pl_outbox_take(&peer->held, buf, cap) : 0;
    return size == 0 && peer->ended ? -ESHUTDOWN : size;
}

/* --- time --- */

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t driver_next_ms(void *self)
{
    const struct pl_dp *peer = self;
    uint64_t next = UINT64_MAX;
    for (size_t i = 0; i <= PL_DP_DEVICES && !peer->ended; i++) {
        const struct pl_dp_dev *dev = &peer->devices[i];
        if (!dev->used)
            continue;
        next = least(next, dev->timer_at);
        if (dev->resume_at > peer->now)
            next = least(next, dev->resume_at);
        for (size_t k = 0; k < dev->n_open; k++)
            next = least(next, dev->open[k].deadline);
        next = least(next, pl_dp_io_next_ms(peer, dev));
    }
    return next;
}

static void time_out(struct pl_dp *peer, struct pl_dp_dev *dev)
{
    for (size_t i = 0; i < dev->n_open;) {
        struct pl_dp_request request;
        if (dev->open[i].deadline > peer->now) {
            i++;
            continue;
        }
        pl_dp_close_at(dev, i, &request);
        pl_dp_run(peer, dev, PL_DP_ON_TIMEOUT, NULL, &request);
    }
}

static void driver_advance(void *self, uint64_t now_ms)
{
    struct pl_dp *peer = self;
    peer->now = now_ms > peer->now ? now_ms : peer->now;
    for (size_t i = 0; i <= PL_DP_DEVICES && !peer->ended; i++) {
        struct pl_dp_dev *dev = &peer->devices[i];
        if (!dev->used)
            continue;
        time_out(peer, dev);
        pl_dp_io_advance(peer, dev);
        if (dev->timer_at <= peer->now) {
            dev->timer_at = UINT64_MAX;
            pl_dp_run(peer, dev, PL_DP_ON_TIMER, NULL, NULL);
        }
    }
    settle_all(peer);
}

/* --- control --- */

void pl_dp_answer(struct pl_dp *peer, const struct pl_dp_dev *dev, const char *text)
{
    if (!peer->asking || peer->asking_of != dev)
        return;
    snprintf(peer->answer, sizeof(peer->answer), "%s", text);
    peer->asking = false;
    peer->answered = true;
    peer->asked = PL_DP_ASK_NOTHING;
}

static int hex_digit(char c)
{
    return isdigit((unsigned char)c)    ? c - '0'
           : isxdigit((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10
                                        : -1;
}

/* config-write's bytes. */
static const char *read_bytes(struct pl_dp_dev *dev, uint64_t offset, const char *hex)
{
    size_t n = strlen(hex);
    if (n % 2 || n / 2 > sizeof(dev->write.data))
        return "error these are no bytes in hexadecimal, or too many";
    for (size_t i = 0; i < n; i++)
        if (hex_digit(hex[i]) < 0)
            return "error these are no bytes in hexadecimal";
    for (size_t i = 0; i < n / 2; i++)
        dev->write.data[i] = (uint8_t)(hex_digit(hex[2 * i]) << 4 | hex_digit(hex[2 * i + 1]));
    dev->write.offset = offset;
    dev->write.length = n / 2;
    if (dev->v.known && (offset > dev->info.config_size || n / 2 > dev->info.config_size - offset))
        return "error that lies outside the configuration space";
    dev->v.todo_write = 1;
    return NULL;
}

/* What is asked of a device; NULL: it goes on, else the answer. */
static const char *ask(struct pl_dp *peer, struct pl_dp_dev *dev, const char *word, int words,
                       uint64_t number, const char *text)
{
    bool at_work =
        dev->state != PL_DP_S_IDLE && dev->state != PL_DP_S_FAILED && dev->state != PL_DP_S_GONE;
    if (strcmp(word, "start") == 0 && words == 2) {
        peer->asked = PL_DP_ASK_START;
    } else if (strcmp(word, "stop") == 0 && words == 2) {
        peer->asked = PL_DP_ASK_STOP;
    } else if (strcmp(word, "io") == 0 && words == 3) {
        peer->asked = PL_DP_ASK_IO;
        dev->v.todo_io = at_work ? number : 0;
    } else if (strcmp(word, "config-write") == 0 && words == 4) {
        peer->asked = PL_DP_ASK_WRITE;
        return at_work ? read_bytes(dev, number, text) : NULL;
    } else if (strcmp(word, "queue-reset") == 0 && words == 3) {
        struct pl_dp_queue *queue = pl_dp_queue_of(dev, number);
        peer->asked = PL_DP_ASK_RESET;
        if (at_work && !pl_dp_selected(dev, PL_C_F_RING_RESET))
            return "unsupported";
        if (at_work && (!queue || !queue->ready))
            return "error that queue is not in use";
        dev->v.todo_reset = at_work && queue ? (uint64_t)(queue - dev->queues) + 1 : 0;
    } else {
        return "unsupported";
    }
    return NULL;
}

static int driver_control(void *self, const char *line, char *answer, size_t cap)
{
    struct pl_dp *peer = self;
    char word[32], text[2 * PL_DP_CONFIG + 2] = "";
    unsigned long long number = 0, value = 0;
    int words =
        sscanf(line, "%31s %lli %lli %513s", word, (long long *)&number, (long long *)&value, text);
    const char *at_once = "unsupported";
    struct pl_dp_dev *dev = NULL;
    if (words >= 2 && number <= UINT16_MAX)
        dev = pl_dp_device(peer, number, true);
    if (words >= 2 && !dev)
        at_once = "error there are too many devices";
    peer->asking = peer->answered = false;
    if (dev && !peer->ended)
        at_once = ask(peer, dev, word, words, value, text);
    if (at_once) {
        peer->asked = PL_DP_ASK_NOTHING;
        snprintf(answer, cap, "%s", at_once);
        return 0;
    }
    peer->asking = true;
    peer->asking_of = dev;
    pl_dp_run(peer, dev, PL_DP_ON_ASKED, NULL, NULL);
    settle_all(peer);
    if (!peer->answered)
        return 1;
    peer->answered = false;
    snprintf(answer, cap, "%s", peer->answer);
    return 0;
}

static int driver_answer(void *self, char *answer, size_t cap)
{
    struct pl_dp *peer = self;
    if (!peer->answered)
        return 0;
    peer->answered = false;
    snprintf(answer, cap, "%s", peer->answer);
    return 1;
}

const char *pl_driver_state(const void *self, uint16_t dev_num)
{
    const struct pl_dp *peer = self;
    for (size_t i = 0; i < PL_DP_DEVICES; i++)
        if (peer->devices[i].used && peer->devices[i].number == dev_num)
            return peer->model->states[peer->devices[i].state];
    return "NONE";
}

uint64_t pl_driver_served(const void *self, uint16_t dev_num)
{
    const struct pl_dp *peer = self;
    for (size_t i = 0; i < PL_DP_DEVICES; i++)
        if (peer->devices[i].used && peer->devices[i].number == dev_num)
            return peer->devices[i].served;
    return 0;
}

const struct pl_endpoint_ops pl_driver_endpoint = {
    .open = driver_open,
    .deliver = driver_deliver,
    .poll = driver_poll,
    .control = driver_control,
    .answer = driver_answer,
    .next_ms = driver_next_ms,
    .advance = driver_advance,
    .close = driver_close,
};
