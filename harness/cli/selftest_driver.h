/* Legal configurations of the reference driver. */
#ifndef PL_CLI_SELFTEST_DRIVER_H
#define PL_CLI_SELFTEST_DRIVER_H

#include <stddef.h>

#define PL_DRIVER_LEGAL_OPTIONS 16

/*
 * What the draft leaves to drivers, one freedom or a few at a time; NULL ends each. Against a
 * device that is as it should be none of them may fail anything.
 */
extern const char *const pl_driver_legal[][PL_DRIVER_LEGAL_OPTIONS];
extern const size_t pl_driver_n_legal;

/* The same for what conforms and leaves out something that the specification recommends: none of
 * them may fail, but a SHOULD may be warned of. */
extern const char *const pl_driver_lenient[][PL_DRIVER_LEGAL_OPTIONS];
extern const size_t pl_driver_n_lenient;

#endif
