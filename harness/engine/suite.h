/* A whole run: every selected scenario under every combination, and the report that comes of it. */
#ifndef PL_SUITE_H
#define PL_SUITE_H

#include "engine/run.h"
#include "report/report.h"

/* What a run needs; zero is a default where a comment says so. */
struct pl_suite_options {
    const struct pl_scenarios *scenarios;
    struct pl_port *port;
    const char *role;   /* "device", "driver" */
    const char *type;   /* of the device that a driver is given; NULL: one that it works with */
    const char *iut;    /* name for the report */
    const char *select; /* NULL: everything */
    const char *repeat; /* the command up to its selection: "plumbline test --exec './x'" */
    bool repeat_whole;  /* `repeat` needs no selection */
    uint64_t seed;
    const struct pl_bus_params *bus; /* NULL: varied where the port can restart the IUT */
    const uint16_t *devices;         /* NULL: as GET_DEVICES tells */
    size_t n_devices;
    struct pl_timeouts timeouts; /* zero: defaults */
    const char *const *declared; /* clause ids, NULL-ended; may be NULL */
    struct pl_pcapng *pcapng;    /* may be NULL */
    /* Progress: called now and then with scenarios run so far and in all; may be NULL. */
    void (*progress)(void *opaque, size_t done, size_t all);
    /* A clause failed, given by its number: true ends the run here. May be NULL. */
    bool (*enough)(void *opaque, size_t clause);
    void *opaque;    /* of both */
    bool exhaustive; /* every choice in every combination */
    bool quick;      /* one combination in place of all (benchmarks) */
    bool brief;      /* drivers: one combination, and one moment of each scenario (benchmarks) */
    bool reduce;     /* findings tell which parameters they need */
    unsigned jobs;   /* drivers: lives side by side, each with a port of its own; 0 or 1: one */
    struct pl_port *(*another)(void *port_opaque); /* such a port; NULL: there is none */
    void *port_opaque;
    struct pl_axes_fixed fixed; /* parameters that are not varied */
};

struct pl_suite;

/* Bus parameters and a combination as values of all axes, and back; the rest stays as it is. */
void pl_axes_pack(const struct pl_bus_params *bus, const struct pl_combination *c,
                  uint32_t value[PL_AXES]);
void pl_axes_unpack(const uint32_t value[PL_AXES], struct pl_bus_params *bus,
                    struct pl_combination *c);

/* Run. NULL with one sentence in error where the IUT cannot be reached (-errno in *err) or memory
 * ends. */
struct pl_suite *pl_suite_run(const struct pl_suite_options *options, int *err, char *error,
                              size_t cap);
const struct pl_report *pl_suite_report(const struct pl_suite *suite);
void pl_suite_free(struct pl_suite *suite);

/* The one scenario of a port with one life (port.h). */
#define PL_SCRIPTED_LIFE "a-scripted-life"

#endif
