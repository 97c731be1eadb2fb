/* Writing a run's reports to where the command line wants them. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/output.h"
#include "report/internal.h"

typedef int writer(const struct pl_report *report, FILE *out);

static bool to_stdout(const char *path)
{
    return path && strcmp(path, "-") == 0;
}

/*
 * One sentence for the first that cannot be written; `so_far` is the exit status up to here. A
 * reader of standard output that has seen enough and left is no error.
 */
static int note(int so_far, const char *path, int err)
{
    if (so_far || err >= 0 || (err == -EPIPE && to_stdout(path)))
        return so_far;
    return pl_cli_error(PL_EXIT_USAGE, "%s: cannot be written: %s",
                        to_stdout(path) ? "standard output" : path, strerror(-err));
}

static FILE *open_path(const char *path)
{
    return to_stdout(path) ? stdout : fopen(path, "w");
}

static int close_path(FILE *out)
{
    int err = pl_stream_end(out);
    if (out != stdout && fclose(out) != 0 && !err)
        err = -errno;
    return err;
}

static int write_one(int so_far, const char *path, writer *write, const struct pl_report *report)
{
    if (!path)
        return so_far;
    FILE *out = open_path(path);
    if (!out)
        return note(so_far, path, -errno);
    int err = write(report, out), closed = close_path(out);
    return note(so_far, path, err < 0 ? err : closed);
}

int pl_cli_output_json(const char *path, const json_t *root)
{
    FILE *out = open_path(path);
    if (!out)
        return note(0, path, -errno);
    /* In small pieces: those stay in the buffer, and flushing it says again why they are there. */
    int failed = json_dumpf(root, out, JSON_INDENT(2));
    fputc('\n', out);
    int err = close_path(out);
    if (failed && err == 0)
        return pl_cli_error(PL_EXIT_INTERNAL, "out of memory");
    return note(0, path, err);
}

/* Whether a file could be made: it is made and removed, for a run may end without a report. */
static int check_new(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0)
        return errno == EEXIST ? 0 : -errno; /* a link to what does not exist yet */
    close(fd);
    return unlink(path) < 0 ? -errno : 0;
}

static int check_one(const char *path)
{
    struct stat st;
    if (!path || to_stdout(path))
        return 0;
    int err = 0;
    if (stat(path, &st) < 0)
        err = errno == ENOENT ? check_new(path) : -errno;
    else if (S_ISDIR(st.st_mode))
        err = -EISDIR;
    else if (access(path, W_OK) < 0)
        err = -errno;
    return note(0, path, err);
}

int pl_cli_output_check(const struct pl_cli_output *output)
{
    int err = check_one(output->json);
    return err ? err : check_one(output->junit);
}

/* The report for people. */
static int write_text(const struct pl_cli_output *output, const struct pl_report *report, FILE *out)
{
    int err;
    if (output->quiet) {
        char *iut = pl_text_clean(report->iut);
        fprintf(out, "%s: %s\n", iut ? iut : "",
                report->conforms ? "CONFORMS" : "DOES NOT CONFORM");
        free(iut);
        err = pl_stream_end(out);
    } else {
        err = pl_report_text(report, out, isatty(fileno(out)), output->verbose);
    }
    return err;
}

int pl_cli_output_write(const struct pl_cli_output *output, const struct pl_report *report)
{
    FILE *text = to_stdout(output->json) || to_stdout(output->junit) ? stderr : stdout;
    int err = note(0, text == stderr ? "standard error" : "-", write_text(output, report, text));
    err = write_one(err, output->json, pl_report_json, report);
    return write_one(err, output->junit, pl_report_junit, report);
}
