/* What the files of the self-test share. */
#ifndef PL_CLI_SELFTEST_H
#define PL_CLI_SELFTEST_H

#include <jansson.h>

#include "peer/device.h"
#include "peer/driver.h"
#include "port/port.h"
#include "wire/wire.h"

enum { PL_SELFTEST_OPTIONS = 16 };

/* What a subject is opened with; lives as long as its port. */
struct pl_selftest_config {
    const struct pl_spec *spec;
    const char *mutant;         /* NULL: the faithful peer */
    const char *const *options; /* "NAME=VALUE", type=T among them, NULL-ended; NULL: none */
    const char *rest[PL_SELFTEST_OPTIONS];
    struct pl_device_config device;
    struct pl_driver_config driver;
};

/* The subjects of one role: the mutants of its reference peer, and what that can legally be. */
struct pl_selftest_role {
    const char *name; /* as `plumbline serve` and reports have it */
    const char *const (*legal)[PL_SELFTEST_OPTIONS];
    size_t n_legal;
    const struct pl_mutant *(*mutants)(const struct pl_spec *spec, size_t *n);
    /* The peer linked in, in virtual time; NULL without memory. */
    struct pl_port *(*in_process)(struct pl_selftest_config *config);
};
extern const struct pl_selftest_role pl_selftest_device, pl_selftest_driver;

/* Legal configurations of the reference device: options, NULL-ended, type=T among them. */
extern const char *const pl_selftest_legal[][PL_SELFTEST_OPTIONS];
extern const size_t pl_selftest_n_legal;

/* Options of a subject into its configuration; `rest` is what the configuration then points to. */
void pl_selftest_split(const char *const *options, struct pl_device_config *config,
                       const char *rest[PL_SELFTEST_OPTIONS]);

/*
 * So many random legal messages to the legal configurations in turns, or to one mutant, under all
 * bus parameters, in `jobs` processes. Returns an exit status: findings where anything failed.
 */
int pl_selftest_random(const struct pl_spec *spec, uint64_t messages, uint64_t seed, unsigned jobs,
                       const struct pl_mutant *mutant);

/* What self-tests came to, of all roles that ran: the JSON matrix in the making. */
struct pl_selftest_matrix {
    json_t *mutants;
    size_t counts[3]; /* killed, misattributed, alive */
    size_t not_run;
};
/* Is a mutant one that does nothing wrong over this carrier? `hidden` are names, NULL ends. */
bool pl_selftest_hides(enum pl_carrier as, const char *const *hidden);

/* The same of the bus role: what the command line asks. */
struct pl_selftest_bus {
    const struct pl_spec *spec;
    bool carrier; /* each subject is a process of its own */
    enum pl_carrier as;
    const char *only, *only_legal; /* parts of names; both NULL: all subjects */
    uint64_t seed;
    unsigned jobs;
    unsigned seconds; /* 0: as long as it takes */
    bool verbose, quiet;
};
/* Every mutant of the reference bus, and every legal configuration. An exit status. */
int pl_selftest_bus(const struct pl_selftest_bus *asked, struct pl_selftest_matrix *matrix);

#endif
