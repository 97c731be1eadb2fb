/* The program: finds the command and runs it. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "engine/version.h"
#include "report/internal.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} commands[] = {
    {"test", pl_cmd_test,
     "judge an implementation: [PROFILE] [--exec C | --connect A | --listen A]"},
    {"serve", pl_cmd_serve,
     "be a reference peer: device [--type T] [--mutant ID] [--list-mutants]"},
    {"replay", pl_cmd_replay, "FILE [PROFILE]: judge a recorded trace, or send it once more"},
    {"clauses", pl_cmd_clauses,
     "list the normative statements: [--role R] [--level L] [--format F]"},
    {"decode", pl_cmd_decode, "FILE or HEX: messages as text"},
    {"selftest", pl_cmd_selftest, "run every scenario against every mutant: the matrix"},
    {"fuzz", pl_cmd_fuzz, "a campaign: cases made up, run and judged: --dir DIR [PROFILE]"},
    {"corpus", pl_cmd_corpus,
     "check, list, minimize, merge, export, import: corpora of the fuzzer"},
    {"bench", pl_cmd_bench, "the tool's own figures against the raw carrier"},
};

static int usage(FILE *out, int code)
{
    fputs("usage: plumbline COMMAND [OPTIONS]\n\n", out);
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        fprintf(out, "  %-9s %s\n", commands[i].name, commands[i].help);
    fputs(
        "\nExit status: 0 conforms, 1 findings, 2 usage or input error, 3 the implementation could "
        "not be\nreached, 4 internal error. `plumbline COMMAND --help` lists a command's "
        "options.\n",
        out);
    return code;
}

/*
 * What stayed in standard output's buffer is written now, and said where it cannot be. A reader
 * that has seen enough and left is no error; a command that failed has said its own sentence.
 */
static int finish(int code)
{
    int err = pl_stream_end(stdout);
    if (err == 0 || err == -EPIPE || code >= PL_EXIT_USAGE)
        return code;
    return pl_cli_error(PL_EXIT_USAGE, "standard output: cannot be written: %s", strerror(-err));
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    if (argc < 2)
        return usage(stderr, PL_EXIT_USAGE);
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "help") || !strcmp(argv[1], "-h"))
        return finish(usage(stdout, 0));
    if (!strcmp(argv[1], "--version")) {
        puts("plumbline " PL_VERSION);
        return finish(0);
    }
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return finish(commands[i].run(argc - 2, argv + 2));
    return pl_cli_error(PL_EXIT_USAGE, "unknown command '%s'; `plumbline --help` lists them",
                        argv[1]);
}
