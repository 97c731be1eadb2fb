/* Starting the IUT, starting it again, and learning which devices it has. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "engine/suite_private.h"

enum { BROKEN_MAX = 3, DISCOVERY_MAX = 2048, WINDOW_MAX = 1024 };

/* --- which devices are there --- */

static void add_device(struct pl_suite *suite, uint16_t number)
{
    if (suite->n_devices < sizeof(suite->devices) / sizeof(suite->devices[0]))
        suite->devices[suite->n_devices++] = number;
}

/* As many device numbers as one answer can tell of. */
static uint32_t window_size(const struct pl_suite *suite)
{
    const struct pl_message_def *def = pl_spec_message(suite->spec, PL_GET_DEVICES);
    uint32_t room =
        suite->session.bus.max_msg_size - suite->spec->header.size - def->response->size;
    return 8 * room < WINDOW_MAX ? 8 * room : WINDOW_MAX;
}

/* Tell the oracle the first n device numbers; 0: nothing is known of them. */
static void tell_devices(struct pl_suite *suite, size_t n)
{
    char text[8 * (sizeof(suite->devices) / sizeof(suite->devices[0]))] = "";
    size_t at = 0;
    for (size_t i = 0; i < n; i++)
        at += (size_t)snprintf(text + at, sizeof(text) - at, " %u", suite->devices[i]);
    pl_session_tell(&suite->session, "devices%s", text);
}

/* One window of GET_DEVICES; returns next_offset, 0 at the end, -1 where it was not answered. */
static int ask_window(struct pl_suite *suite, uint16_t offset, bool first)
{
    struct pl_session *s = &suite->session;
    struct pl_msg m = {.kind = PL_GET_DEVICES}, witness = {.kind = PL_GET_DEVICE_INFO};
    m.f[PL_F_offset] = offset;
    m.f[PL_F_count] = window_size(suite);
    if (!pl_session_probe(s, &m, first ? &witness : NULL) || s->last.form != PL_FORM_OK)
        return -1;
    for (uint32_t i = 0; i < s->last.f[PL_F_count] && i / 8 < s->last.data_len; i++)
        if (s->last.data[i / 8] >> (i % 8) & 1)
            add_device(suite, (uint16_t)(offset + i));
    uint64_t next = s->last.f[PL_F_next_offset];
    return next > offset ? (int)next : 0;
}

/* Does a device answer? Silence is no failure yet: it may not be there. */
static bool probe(struct pl_suite *suite, enum pl_kind kind)
{
    struct pl_msg m = {.kind = kind};
    return pl_session_probe(&suite->session, &m, NULL);
}

static int enumerate(struct pl_suite *suite)
{
    int next = ask_window(suite, 0, true);
    if (next < 0)
        return -ENODEV;
    for (int i = 0; next > 0 && i < DISCOVERY_MAX; i++)
        next = ask_window(suite, (uint16_t)next, false);
    return suite->n_devices ? 0 : -ENODEV;
}

int pl_suite_discover(struct pl_suite *suite)
{
    const struct pl_suite_options *o = suite->options;
    struct pl_session *s = &suite->session;
    suite->n_devices = 0;
    s->dev_num = 0;
    if (o->n_devices) {
        for (size_t i = 0; i < o->n_devices; i++)
            add_device(suite, o->devices[i]);
        tell_devices(suite, suite->n_devices);
        return 0;
    }
    tell_devices(suite, 0);
    if (pl_spec_message(suite->spec, PL_GET_DEVICES) && enumerate(suite) == 0) {
        tell_devices(suite, suite->n_devices);
        return 0;
    }
    if (!s->alive)
        return -EPIPE;
    suite->n_devices = 0;
    add_device(suite, 0);
    if (probe(suite, PL_GET_DEVICE_INFO))
        return 0;
    if (s->alive && probe(suite, PL_GET_DEVICE_STATUS)) {
        tell_devices(suite, 1);
        return 0;
    }
    return s->alive ? -ETIMEDOUT : -EPIPE;
}

/* --- starting, and starting again --- */

int pl_suite_start(struct pl_suite *suite, const struct pl_bus_params *bus)
{
    struct pl_session *s = &suite->session;
    memset(suite->reset_ms, 0, sizeof(suite->reset_ms));
    int err = pl_session_start(s, bus);
    if (err < 0)
        return err;
    pl_suite_record_group(suite);
    err = pl_suite_discover(suite);
    if (err == -ETIMEDOUT)
        pl_suite_iut_finding(suite, PL_FINDING_HANG,
                             "the IUT answered neither GET_DEVICES nor "
                             "GET_DEVICE_INFO nor GET_DEVICE_STATUS");
    for (size_t i = 0; !err && i < suite->n_devices; i++) {
        struct pl_msg m = {.kind = PL_GET_DEVICE_INFO, .dev_num = suite->devices[i]};
        pl_session_ask(s, &m);
    }
    return err;
}

void pl_suite_restart(struct pl_suite *suite)
{
    struct pl_bus_params bus = suite->session.bus;
    struct pl_end end;
    if (++suite->broken_in_a_row >= BROKEN_MAX) {
        suite->give_up = true;
        return;
    }
    suite->options->port->ops->stop(suite->options->port, &end);
    if (pl_suite_start(suite, &bus) < 0)
        suite->give_up = true;
}
