/* What peers of the harness's can be set to: devices that a driver may meet, as the scenarios for
 * drivers have them, and devices and buses that are tested, as their mutants need them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/scenario.h"
#include "fuzz/generate.h"
#include "fuzz/wrong_peer.h"

static bool take_option(const struct pl_device_option *known, size_t n, const char *text,
                        struct pl_peer_options *peer)
{
    const char *equals = strchr(text, '=');
    for (size_t i = 0; equals && i < n && peer->n < PL_CASE_OPTIONS; i++)
        if (strlen(known[i].name) == (size_t)(equals - text) &&
            strncmp(known[i].name, text, (size_t)(equals - text)) == 0) {
            peer->option[peer->n++] =
                (struct pl_case_option){(uint16_t)i, strtoull(equals + 1, NULL, 0)};
            return true;
        }
    return false;
}

static bool take_type(const char *text, struct pl_peer_options *peer)
{
    if (strncmp(text, "type=", 5) != 0)
        return false;
    for (int i = 0; pl_case_types[i]; i++)
        if (strcmp(pl_case_types[i], text + 5) == 0)
            peer->type = i;
    return true;
}

static bool take_all(const struct pl_spec *spec, enum pl_iut role, bool far,
                     const char *const *options, struct pl_peer_options *peer)
{
    size_t n;
    const struct pl_device_option *known = pl_case_options(spec, role, far, &n);
    *peer = (struct pl_peer_options){.type = -1};
    for (; options && *options; options++)
        if (!take_type(*options, peer) && !take_option(known, n, *options, peer))
            return false;
    return true;
}

bool pl_generate_options(struct pl_case *c, const char *const *options)
{
    struct pl_peer_options peer;
    size_t n;
    const struct pl_device_option *known = pl_case_options(c->spec, c->role, false, &n);
    if (!take_all(c->spec, c->role, false, options, &peer))
        return false;
    if (c->role == PL_IUT_DRIVER && peer.n && !take_option(known, n, "wait=1", &peer))
        return false; /* cases ask it to start */
    memcpy(c->option, peer.option, sizeof(c->option));
    c->n_options = peer.n;
    if (peer.type >= 0)
        c->type = (uint8_t)peer.type;
    return true;
}

static bool same(const struct pl_peer_options *a, const struct pl_peer_options *b)
{
    if (a->n != b->n || a->type != b->type)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (a->option[i].index != b->option[i].index || a->option[i].value != b->option[i].value)
            return false;
    return true;
}

/* Each once. */
static bool keep(struct pl_generator *g, const struct pl_peer_options *peer)
{
    for (size_t i = 0; i < g->n_peers; i++)
        if (same(&g->peers[i], peer))
            return true;
    struct pl_peer_options *more = realloc(g->peers, (g->n_peers + 1) * sizeof(*more));
    if (!more)
        return false;
    g->peers = more;
    g->peers[g->n_peers++] = *peer;
    return true;
}

/* Options that tell how many devices there are are left out: cases have one. */
static bool is_alone(const char *const *options)
{
    for (; *options; options++)
        if (strncmp(*options, "devices", 7) == 0 || strncmp(*options, "number_", 7) == 0)
            return false;
    return true;
}

static bool learn_far(struct pl_generator *g)
{
    const struct pl_scenarios *s = pl_case_scenarios(g->spec);
    struct pl_peer_options peer;
    bool good = true;
    for (size_t i = 0; s && good && i < s->n; i++) {
        const struct pl_provocation *p = s->list[i].drive;
        if (p && p->device && !p->mutant && !p->illegal && is_alone(p->device) &&
            take_all(g->spec, g->role, true, p->device, &peer))
            good = keep(g, &peer);
    }
    return good;
}

static bool learn_own(struct pl_generator *g)
{
    struct pl_wrong_peer mutant;
    struct pl_peer_options peer;
    bool good = true;
    for (size_t i = 0; good && pl_wrong_peer_at(g->spec, g->role, i, &mutant); i++)
        if (mutant.options && *mutant.options && !mutant.options_only &&
            take_all(g->spec, g->role, false, mutant.options, &peer) && peer.n)
            good = keep(g, &peer);
    return good;
}

int pl_generator_learn(struct pl_generator *g)
{
    return (g->role == PL_IUT_DRIVER ? learn_far(g) : learn_own(g)) ? 0 : -ENOMEM;
}

void pl_generator_free(struct pl_generator *g)
{
    free(g->peers);
    g->peers = NULL;
    g->n_peers = 0;
}
