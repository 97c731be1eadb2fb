/* Opening a port by its options, and what all carriers check the same way. */
#include <errno.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "port/private.h"
#include "port/vhost_user.h"

const char *const pl_carrier_names[] = {"seqpacket", "stream", "spsc", "vhost-user", NULL};

bool pl_carrier_find(const char *text, enum pl_carrier *out, const char **options, char *error,
                     size_t cap)
{
    size_t length = strcspn(text, ","), i = 0;

    while (pl_carrier_names[i] && (strlen(pl_carrier_names[i]) != length ||
                                   strncmp(pl_carrier_names[i], text, length) != 0))
        i++;
    if (!pl_carrier_names[i]) {
        snprintf(error, cap, "'%.60s' is none of seqpacket, stream, spsc, vhost-user", text);
        return false;
    }
    *out = (enum pl_carrier)i;
    *options = text[length] ? text + length + 1 : NULL;
    if (!*options || i == PL_CARRIER_VHOST_USER)
        return true;
    snprintf(error, cap, "'%.60s': %s takes no options", text, pl_carrier_names[i]);
    return false;
}

bool pl_port_shows(const struct pl_port *port, const char *clause)
{
    const char *const *list = port->observable;

    for (; list && *list; list++)
        if (fnmatch(*list, clause, 0) == 0)
            return true;
    return port->observable == NULL;
}

int pl_port_adopt(struct pl_port *port, const struct pl_bus_params *bus)
{
    if (bus->max_msg_size < port->spec->header.size || bus->max_msg_size > PL_MSG_MAX)
        return pl_port_fail(port, -EINVAL,
                            "a maximum message size of %" PRIu32 " is not between %u and %u",
                            bus->max_msg_size, (unsigned)port->spec->header.size, PL_MSG_MAX);
    if (port->carrier_max && bus->max_msg_size > port->carrier_max)
        return pl_port_fail(port, -EINVAL,
                            "a maximum message size of %" PRIu32
                            " does not fit the carrier, whose messages have at most %" PRIu32,
                            bus->max_msg_size, port->carrier_max);
    port->max_msg_size = bus->max_msg_size;
    return 0;
}

struct pl_port *pl_port_open(const struct pl_port_options *options, char *error, size_t cap)
{
    int ways = !!options->connect + !!options->listen + !!options->exec;
    bool gateway = options->connect && strncmp(options->connect, "vhost-user:", 11) == 0;
    bool starts = options->exec && options->carrier == PL_CARRIER_VHOST_USER;
    bool back = options->listen && strncmp(options->listen, "vhost-user:", 11) == 0;
    const char *problem = NULL;
    if (!options->spec)
        problem = "a port needs a specification";
    else if (ways == 0)
        problem = "nothing says how to reach the implementation: give one of exec, connect, listen";
    else if (ways > 1)
        problem = "only one of exec, connect and listen can be given";
    else if (options->exec && options->exec[strspn(options->exec, " \t\n")] == '\0')
        problem = "the command to start is empty";
    else if (options->carrier != PL_CARRIER_SEQPACKET && !options->exec)
        problem = "a carrier is chosen for exec only: an address says it already";
    else if ((options->carrier == PL_CARRIER_SPSC || starts) && options->device_side)
        problem = "a bus under test is reached by sockets";
    else if (starts && (options->clock || options->control_commands))
        problem = "behind vhost-user there is neither a clock nor control";
    else if ((gateway || back || starts) && options->mem_path)
        problem = "vhost-user shares its own memory: no file can be given";
    else if (options->device_side && gateway)
        problem = "vhost-user reaches a device, and a bus is under test";
    else if (options->device_side && !options->exec && !options->device_address)
        problem = "a bus under test has two sides: the address of its device side is missing";
    else if (options->device_side && options->exec && options->device_address)
        problem = "exec gives a bus both sides: its device side has no address";
    else if (options->device_address && !options->device_side)
        problem = "only a bus under test has a device side";
    else if (options->device_address &&
             (pl_is_spsc(options->device_address) ||
              pl_is_spsc(options->connect ? options->connect : options->listen)))
        problem = "a bus under test is reached by sockets";
    if (problem) {
        snprintf(error, cap, "%s", problem);
        return NULL;
    }
    if (starts)
        return options->driver ? pl_port_vhost_user_back(options, error, cap)
                               : pl_port_vhost_user(options, error, cap);
    if (options->exec)
        return pl_port_exec(options, error, cap);
    if (gateway)
        return pl_port_vhost_user(options, error, cap);
    if (back)
        return pl_port_vhost_user_back(options, error, cap);
    return pl_port_socket(options, error, cap);
}
