/* A run's reports as the commands write them: text on a terminal, JSON and JUnit into files. */
#ifndef PL_CLI_OUTPUT_H
#define PL_CLI_OUTPUT_H

#include <jansson.h>
#include <stdbool.h>

#include "report/report.h"

/* Where reports go; NULL: not written, "-": standard output (text goes to standard error then). */
struct pl_cli_output {
    const char *json, *junit;
    bool verbose, quiet;
};

/* A file that cannot be written is said before the run. 0, or an exit status after the error. */
int pl_cli_output_check(const struct pl_cli_output *output);
/* Write everything that can be. 0, or an exit status after the first error. */
int pl_cli_output_write(const struct pl_cli_output *output, const struct pl_report *report);
/* Write a JSON value to a path as above. 0, or an exit status after the error. */
int pl_cli_output_json(const char *path, const json_t *root);

#endif
