/* Opening a port by its options, and what all carriers check the same way. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "port/private.h"
#include "port/vhost_user.h"

const char *const pl_carrier_names[] = {"seqpacket", "stream", "spsc", NULL};

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
    else if (options->carrier == PL_CARRIER_SPSC && options->device_side)
        problem = "a bus under test is reached by sockets";
    else if (gateway && options->mem_path)
        problem = "vhost-user shares its own memory: no file can be given";
    else if (options->device_side && !options->exec)
        problem = "a bus under test has two sides, which only exec can give it";
    if (problem) {
        snprintf(error, cap, "%s", problem);
        return NULL;
    }
    if (options->exec)
        return pl_port_exec(options, error, cap);
    if (gateway)
        return pl_port_vhost_user(options, error, cap);
    return pl_port_socket(options, error, cap);
}
