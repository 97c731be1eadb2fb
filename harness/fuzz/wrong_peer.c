/* Mutants of all roles, out of the lists of the reference peers. */
#include "fuzz/wrong_peer.h"

#include <string.h>

#include "peer/bus.h"
#include "peer/driver.h"

static bool bus_at(const struct pl_spec *spec, size_t i, struct pl_wrong_peer *out)
{
    size_t n;
    const struct pl_bus_mutant *m = pl_bus_mutants(spec, &n);
    if (!m || i >= n)
        return false;
    *out = (struct pl_wrong_peer){m[i].id, m[i].text, m[i].clauses, m[i].options,
                                  !m[i].n_inserts && !m[i].n_bends};
    return true;
}

bool pl_wrong_peer_at(const struct pl_spec *spec, enum pl_iut role, size_t i,
                      struct pl_wrong_peer *out)
{
    size_t n;
    if (role == PL_IUT_BUS)
        return bus_at(spec, i, out);
    const struct pl_mutant *m =
        role == PL_IUT_DRIVER ? pl_driver_mutants(spec, &n) : pl_device_mutants(spec, &n);
    if (!m || i >= n)
        return false;
    *out =
        (struct pl_wrong_peer){m[i].id, m[i].text, m[i].clauses, m[i].options, m[i].options_only};
    return true;
}

bool pl_wrong_peer_find(const struct pl_spec *spec, enum pl_iut role, const char *id,
                        struct pl_wrong_peer *out)
{
    for (size_t i = 0; pl_wrong_peer_at(spec, role, i, out); i++)
        if (strcmp(out->id, id) == 0)
            return true;
    return false;
}
