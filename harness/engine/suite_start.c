/* Starting the IUT, starting it again, and learning which devices it has. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "engine/suite_private.h"

enum { BROKEN_MAX = 3 };

/* --- which devices are there --- */

int pl_suite_discover(struct pl_suite *suite)
{
    const struct pl_suite_options *o = suite->options;
    const size_t cap = sizeof(suite->devices) / sizeof(suite->devices[0]);
    if (!o->n_devices)
        return pl_session_discover(&suite->session, suite->devices, cap, &suite->n_devices);
    suite->session.dev_num = 0;
    suite->n_devices = o->n_devices < cap ? o->n_devices : cap;
    memcpy(suite->devices, o->devices, suite->n_devices * sizeof(suite->devices[0]));
    pl_session_tell_devices(&suite->session, suite->devices, suite->n_devices);
    return 0;
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
