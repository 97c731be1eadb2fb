/* A whole run: every selected scenario under every combination, and the report that comes of it. */
#ifndef PL_SUITE_H
#define PL_SUITE_H

#include "engine/run.h"
#include "report/report.h"

/* What a run needs; zero is a default where a comment says so. */
struct pl_suite_options {
    const struct pl_scenarios *scenarios;
    struct pl_port *port;
    const char *role;   /* "device" */
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
    void *opaque;
    bool exhaustive;            /* every choice in every combination */
    bool quick;                 /* one combination in place of all (benchmarks) */
    bool reduce;                /* findings tell which parameters they need */
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

#endif
