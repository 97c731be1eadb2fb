/* The profile of an implementation under test: what the bindings (section 6) let a user state. */
#ifndef PL_PROFILE_H
#define PL_PROFILE_H

#include "port/port.h"

enum pl_role { PL_ROLE_DEVICE, PL_ROLE_DRIVER, PL_ROLE_BUS };
enum pl_control_way { PL_CONTROL_NONE, PL_CONTROL_SOCKET, PL_CONTROL_COMMANDS };

/* A device that the IUT has, or is driven with. */
struct pl_profile_device {
    uint16_t number;
    char *type; /* "blk", "net", ... or a decimal device id; NULL where it is not stated */
};
/* What the vendor states about a clause that nothing on the wire shows. */
struct pl_profile_statement {
    char *clause;
    char *text;
};

struct pl_profile {
    char *file; /* where it was read; NULL for the defaults */
    char *name; /* for reports; NULL: not stated */
    enum pl_role role;
    const struct pl_spec *spec;
    char *exec, *connect, *listen; /* at most one */
    char *device_side;             /* of a bus by address: the address of its device side */
    enum pl_carrier carrier;       /* of exec */
    char *carrier_options;         /* of vhost-user; NULL: none */
    bool bus_stated;               /* else the harness varies the parameters where it can */
    struct pl_bus_params bus;
    struct pl_profile_device *devices; /* none: as GET_DEVICES tells */
    size_t n_devices;
    char *mem_path;  /* a file that both ends map; NULL: none */
    size_t mem_size; /* bytes; 0, with a file: its own */
    uint64_t mem_base;
    enum pl_control_way control;
    char **control_commands; /* name, command, ..., NULL; NULL unless PL_CONTROL_COMMANDS */
    bool clock;              /* the driver's clock is the harness's */
    int response_ms, reset_ms, fence_ms;
    struct pl_profile_statement *declares;
    size_t n_declares;
};

/* How names in a profile are resolved. */
struct pl_profile_lookup {
    /* A draft by its name, NULL where there is none; NULL: pl_spec_find. */
    const struct pl_spec *(*spec)(void *opaque, const char *name);
    /* Whether a draft has a clause of this id; NULL: every id is accepted. */
    bool (*clause)(void *opaque, const struct pl_spec *spec, const char *id);
    void *opaque;
};

/* "device", "driver", "bus". */
const char *pl_role_name(enum pl_role role);
/* The role of this name into out; false where there is none. */
bool pl_role_find(const char *name, enum pl_role *out);

/* What holds where nothing is stated: all of it, with the first draft as spec. */
void pl_profile_default(struct pl_profile *out);
/*
 * Read a profile. 0, or -EINVAL with one sentence in error that names file, line and key; `out`
 * then needs no pl_profile_free. `lookup` may be NULL.
 */
int pl_profile_load(const char *path, const struct pl_profile_lookup *lookup,
                    struct pl_profile *out, char *error, size_t cap);
/* The same from memory, `name` standing for the file. */
int pl_profile_parse(const char *name, const void *bytes, size_t size,
                     const struct pl_profile_lookup *lookup, struct pl_profile *out, char *error,
                     size_t cap);
void pl_profile_free(struct pl_profile *profile);

/* The options of the port that the profile describes; they live as long as the profile. */
void pl_profile_port_options(const struct pl_profile *profile, struct pl_port_options *out);

#endif
