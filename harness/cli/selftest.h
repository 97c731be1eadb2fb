/* What the files of the self-test share. */
#ifndef PL_CLI_SELFTEST_H
#define PL_CLI_SELFTEST_H

#include "peer/device.h"
#include "wire/wire.h"

enum { PL_SELFTEST_OPTIONS = 16 };

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

#endif
