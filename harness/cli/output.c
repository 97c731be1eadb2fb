/* Writing a run's reports to where the command line wants them. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/output.h"

typedef int writer(const struct pl_report *report, FILE *out);

static int write_one(const char *path, writer *write, const struct pl_report *report)
{
    if (!path)
        return 0;
    FILE *out = strcmp(path, "-") ? fopen(path, "w") : stdout;
    if (!out)
        return pl_cli_error(PL_EXIT_USAGE, "%s: cannot be written: %s", path, strerror(errno));
    int err = write(report, out);
    if (out != stdout && fclose(out) != 0 && !err)
        err = -errno;
    return err < 0 ? pl_cli_error(PL_EXIT_INTERNAL, "%s: %s", path, strerror(-err)) : 0;
}

static int check_one(const char *path)
{
    if (!path || strcmp(path, "-") == 0)
        return 0;
    FILE *out = fopen(path, "a");
    if (!out)
        return pl_cli_error(PL_EXIT_USAGE, "%s: cannot be written: %s", path, strerror(errno));
    fclose(out);
    return 0;
}

int pl_cli_output_check(const struct pl_cli_output *output)
{
    int err = check_one(output->json);
    return err ? err : check_one(output->junit);
}

static bool to_stdout(const char *path)
{
    return path && strcmp(path, "-") == 0;
}

int pl_cli_output_write(const struct pl_cli_output *output, const struct pl_report *report)
{
    FILE *text = to_stdout(output->json) || to_stdout(output->junit) ? stderr : stdout;
    int err = 0;
    if (output->quiet)
        fprintf(text, "%s: %s\n", report->iut, report->conforms ? "CONFORMS" : "DOES NOT CONFORM");
    else
        err = pl_report_text(report, text, isatty(fileno(text)), output->verbose);
    if (err < 0)
        return pl_cli_error(PL_EXIT_INTERNAL, "standard output: %s", strerror(-err));
    err = write_one(output->json, pl_report_json, report);
    return err ? err : write_one(output->junit, pl_report_junit, report);
}
