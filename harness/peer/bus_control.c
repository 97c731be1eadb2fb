/* The control lines of the reference bus, its configuration, and what it can be. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "peer/bus_private.h"

static const struct pl_bus_model *model_of(const char *spec)
{
    for (const struct pl_bus_model *const *m = pl_bus_models; *m; m++)
        if (!spec || strcmp((*m)->spec, spec) == 0)
            return *m;
    return NULL;
}

const struct pl_bus_mutant *pl_bus_mutants(const struct pl_spec *spec, size_t *n)
{
    const struct pl_bus_model *model = model_of(spec->name);
    *n = model ? model->n_mutants : 0;
    return model ? model->mutants : NULL;
}

const struct pl_bus_option *pl_bus_options(const struct pl_spec *spec, size_t *n)
{
    const struct pl_bus_model *model = model_of(spec->name);
    *n = model ? model->n_options : 0;
    return model ? model->options : NULL;
}

static int set_option(struct pl_bus_peer *peer, const char *text, char *error, size_t cap)
{
    const struct pl_bus_model *model = peer->model;
    const char *equals = strchr(text, '=');
    char *end;
    for (size_t i = 0; equals && i < model->n_options; i++) {
        const char *name = model->options[i].name;
        if (strlen(name) != (size_t)(equals - text) || strncmp(name, text, strlen(name)) != 0)
            continue;
        errno = 0;
        peer->opt[i] = strtoull(equals + 1, &end, 0);
        if (equals[1] < '0' || equals[1] > '9' || *end || errno) {
            snprintf(error, cap, "option '%s': '%s' is no number", name, equals + 1);
            return -EINVAL;
        }
        return 0;
    }
    snprintf(error, cap, "'%s' is no NAME=VALUE of an option of the bus", text);
    return -EINVAL;
}

int pl_bus_configure(struct pl_bus_peer *peer, const struct pl_bus_config *config, char *error,
                     size_t cap)
{
    static const struct pl_bus_config plain;
    int err = 0;
    config = config ? config : &plain;
    peer->model = model_of(config->spec);
    if (!peer->model) {
        snprintf(error, cap, "%s has no bus model", config->spec ? config->spec : "no draft");
        return -EINVAL;
    }
    peer->spec = pl_spec_find(peer->model->spec);
    for (size_t i = 0; i < peer->model->n_options; i++)
        peer->opt[i] = peer->model->options[i].value;
    for (size_t i = 0; config->mutant && i < peer->model->n_mutants; i++)
        if (strcmp(peer->model->mutants[i].id, config->mutant) == 0)
            peer->mutant = i + 1;
    if (config->mutant && !peer->mutant) {
        snprintf(error, cap, "'%s' is no mutant of the bus", config->mutant);
        return -EINVAL;
    }
    const char *const *own = peer->mutant ? peer->model->mutants[peer->mutant - 1].options : NULL;
    for (; own && *own && !err; own++)
        err = set_option(peer, *own, error, cap);
    for (const char *const *o = config->options; o && *o && !err; o++)
        err = set_option(peer, *o, error, cap);
    return err;
}

int pl_bus_config_check(const struct pl_bus_config *config, char *error, size_t cap)
{
    struct pl_bus_peer *peer = calloc(1, sizeof(*peer));
    int err = -ENOMEM;
    if (peer)
        err = pl_bus_configure(peer, config, error, cap);
    else
        snprintf(error, cap, "no memory for the bus");
    free(peer);
    return err;
}

/* --- control lines (bindings, section 5) --- */

static const char *plug(struct pl_bus_peer *peer, bool attach, unsigned number)
{
    static const struct pl_msg none;
    if (number > UINT16_MAX)
        return "error there is no such device number";
    if (attach == pl_bus_known(peer, number))
        return attach ? "error the device is there" : "error the device is not there";
    pl_bus_run(peer, attach ? PL_BON_ATTACHED : PL_BON_DETACHED, &none, 0, NULL, number);
    return "ok";
}

static const char *change(struct pl_bus_peer *peer, unsigned revision, unsigned size,
                          unsigned features)
{
    struct pl_msg m = {0};
    if (size < peer->spec->min_max_msg_size || size > peer->spec->max_max_msg_size)
        return "error the maximum message size is out of range";
    m.f[PL_F_revision] = revision;
    m.f[PL_F_max_msg_size] = size;
    m.f[PL_F_transport_features] = features;
    pl_bus_run(peer, PL_BON_PARAMETERS, &m, 0, NULL, 0);
    return "ok";
}

int pl_bus_control(void *self, const char *line, char *answer, size_t cap)
{
    struct pl_bus_peer *peer = self;
    unsigned number, size, features;
    const char *said = "unsupported";
    if (sscanf(line, "attach %u", &number) == 1)
        said = plug(peer, true, number);
    else if (sscanf(line, "detach %u", &number) == 1)
        said = plug(peer, false, number);
    else if (sscanf(line, "parameters %i %i %i", (int *)&number, (int *)&size, (int *)&features) ==
             3)
        said = change(peer, number, size, features);
    snprintf(answer, cap, "%s", said);
    pl_bus_pump(peer);
    return 0;
}
