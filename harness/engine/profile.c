/* Profiles: defaults, life, and the way from a profile to a port. */
#include "engine/profile.h"

#include <stdlib.h>
#include <string.h>

#define RESPONSE_MS 1000
#define RESET_MS    5000
#define FENCE_MS    200

static const char *const roles[] = {"device", "driver", "bus"};

const char *pl_role_name(enum pl_role role)
{
    return roles[role];
}

bool pl_role_find(const char *name, enum pl_role *out)
{
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++) {
        if (strcmp(roles[i], name) != 0)
            continue;
        *out = (enum pl_role)i;
        return true;
    }
    return false;
}

void pl_profile_default(struct pl_profile *out)
{
    const struct pl_spec *spec = pl_specs[0];
    *out = (struct pl_profile){
        .spec = spec,
        .bus = {spec->revision, spec->recommended_max_msg_size, 0},
        .mem_size = PL_PORT_MEM_SIZE,
        .mem_base = PL_PORT_MEM_BASE,
        .control = PL_CONTROL_SOCKET,
        .response_ms = RESPONSE_MS,
        .reset_ms = RESET_MS,
        .fence_ms = FENCE_MS,
    };
}

void pl_profile_free(struct pl_profile *profile)
{
    for (size_t i = 0; i < profile->n_devices; i++)
        free(profile->devices[i].type);
    for (size_t i = 0; i < profile->n_declares; i++) {
        free(profile->declares[i].clause);
        free(profile->declares[i].text);
    }
    for (char **c = profile->control_commands; c && *c; c++)
        free(*c);
    free(profile->devices);
    free(profile->declares);
    free(profile->control_commands);
    free(profile->file);
    free(profile->name);
    free(profile->exec);
    free(profile->connect);
    free(profile->listen);
    free(profile->device_side);
    free(profile->carrier_options);
    free(profile->mem_path);
    *profile = (struct pl_profile){0};
}

void pl_profile_port_options(const struct pl_profile *profile, struct pl_port_options *out)
{
    *out = (struct pl_port_options){
        .spec = profile->spec,
        .connect = profile->connect,
        .listen = profile->listen,
        .exec = profile->exec,
        .control_commands = (const char *const *)profile->control_commands,
        .no_control = profile->control != PL_CONTROL_SOCKET,
        .clock = profile->clock,
        .device_side = profile->role == PL_ROLE_BUS,
        .driver = profile->role == PL_ROLE_DRIVER,
        .device_address = profile->device_side,
        .carrier = profile->carrier,
        .carrier_options = profile->carrier_options,
        .mem_path = profile->mem_path,
        .mem_size = profile->mem_size,
        .mem_base = profile->mem_base,
    };
}
