/* What the commands share: exit statuses, options, opening the port that the user named. */
#ifndef PL_CLI_H
#define PL_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/profile.h"
#include "engine/suite.h"

/* Exit statuses, for every command. */
enum pl_exit {
    PL_EXIT_CONFORMS = 0,
    PL_EXIT_FINDINGS = 1,
    PL_EXIT_USAGE = 2,
    PL_EXIT_UNREACHABLE = 3,
    PL_EXIT_INTERNAL = 4,
};

int pl_cmd_test(int argc, char **argv);
int pl_cmd_serve(int argc, char **argv);
int pl_cmd_clauses(int argc, char **argv);
int pl_cmd_decode(int argc, char **argv);
int pl_cmd_replay(int argc, char **argv);
int pl_cmd_fuzz(int argc, char **argv);
int pl_cmd_selftest(int argc, char **argv);
int pl_cmd_corpus(int argc, char **argv);
int pl_cmd_bench(int argc, char **argv);

/* One sentence on standard error, "plumbline: ...", and the exit status `code` back. */
__attribute__((format(printf, 2, 3))) int pl_cli_error(int code, const char *format, ...);

/* One command-line option of a command: "--name VALUE" or "--name". */
struct pl_cli_option {
    const char *name;
    const char **value; /* where its value goes; NULL for a flag */
    bool *flag;
    const char **list; /* repeatable: values are added here, up to list_max, NULL-ended */
    size_t list_max;
};
/*
 * Parse arguments behind the command. Words that are no options go to `words` (up to max_words).
 * Returns 0, or PL_EXIT_USAGE after the error was printed.
 */
int pl_cli_parse(int argc, char **argv, const struct pl_cli_option *options, const char **words,
                 size_t max_words);
bool pl_cli_u64(const char *text, uint64_t *value);

/* Find a draft; NULL after the error was printed. NULL as name: the default draft. */
const struct pl_spec *pl_cli_spec(const char *name);

/* The embedded scenarios and those in `paths` (files or folders, NULL-ended); NULL after the error.
 */
struct pl_scenarios *pl_cli_scenarios(const struct pl_spec *spec, const char *const *paths);

/* How the IUT of a command is reached: the profile, changed by options. */
struct pl_cli_iut {
    const char *profile_path, *exec, *connect, *listen, *device_side, *carrier, *memory, *spec_name,
        *role;
    const char *role_option; /* as the user gave it; NULL: the profile's */
    struct pl_profile profile;
    const struct pl_spec *spec;
    struct pl_port *port;
    char name[512];
    char repeat[1024]; /* the command that reaches it again, without a selection */
    char own_exec[512];
};
/* The options that say how it is reached, of every command that reaches one. */
/* clang-format off */
#define PL_CLI_REACH(iut)                                     \
    {.name = "--exec", .value = &(iut).exec},                 \
    {.name = "--connect", .value = &(iut).connect},           \
    {.name = "--listen", .value = &(iut).listen},             \
    {.name = "--device-side", .value = &(iut).device_side},   \
    {.name = "--carrier", .value = &(iut).carrier},           \
    {.name = "--memory", .value = &(iut).memory},             \
    {.name = "--role", .value = &(iut).role},                 \
    {.name = "--spec", .value = &(iut).spec_name}
/* clang-format on */
/* Load the profile, apply the options, open the port. 0, or an exit status after the error. */
int pl_cli_iut_open(struct pl_cli_iut *iut, const char *command);
/* Drivers side by side in virtual time: nobody waits there, and more only crowd the processors. */
enum { PL_CLI_JOBS_VIRTUAL = 4 };
/* Another port to the same IUT, for one that is started for it; opaque is the pl_cli_iut. */
struct pl_port *pl_cli_iut_another(void *opaque);
void pl_cli_iut_close(struct pl_cli_iut *iut);

#endif
