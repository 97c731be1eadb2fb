/* `plumbline corpus`: its commands and what they share. */
#include "cli/corpus.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct command {
    const char *name, *words, *what;
    int (*run)(struct pl_corpus_args *a);
    size_t least, most; /* words behind the name */
} commands[] = {
    {"check", "CORPUS...", "is each entry well-formed, and does it do what it says?",
     pl_corpus_cmd_check, 1, PL_CORPUS_WORDS - 1},
    {"list", "CORPUS...", "what is in it", pl_corpus_cmd_list, 1, PL_CORPUS_WORDS - 1},
    {"minimize", "CORPUS OUT", "the fewest entries that cover the same states and clauses",
     pl_corpus_cmd_minimize, 2, 2},
    {"merge", "CORPUS... OUT", "into OUT, which may hold entries; each case once",
     pl_corpus_cmd_merge, 2, PL_CORPUS_WORDS - 1},
    {"add", "FINDING OUT", "a campaign's finding, or any case, becomes an entry in OUT",
     pl_corpus_cmd_add, 2, 2},
    {"export", "CORPUS ARCHIVE", "into one file, with digests", pl_corpus_cmd_export, 2, 2},
    {"import", "ARCHIVE [OUT]", "verify an archive, and unpack it into OUT", pl_corpus_cmd_import,
     1, 2},
    {"to-bytes", "CORPUS OUT", "for libFuzzer and AFL++: a file of bytes for each entry",
     pl_corpus_cmd_to_bytes, 2, 2},
    {"from-bytes", "FOLDER OUT", "entries of a folder of libFuzzer's or AFL++'s",
     pl_corpus_cmd_from_bytes, 2, 2},
    {"seed", "OUT", "make a corpus: clauses, and a reproducer for each mutant", pl_corpus_cmd_seed,
     1, 1},
};
enum { COMMANDS = sizeof(commands) / sizeof(commands[0]) };

static int help(void)
{
    puts("usage: plumbline corpus COMMAND ... [OPTIONS]\n"
         "A CORPUS is a folder of entries, one entry, or an archive. docs/corpus.md has the "
         "formats.\n"
         "OUT is a folder that is empty or not there yet.\n");
    for (size_t i = 0; i < COMMANDS; i++)
        printf("  %-10s %-15s %s\n", commands[i].name, commands[i].words, commands[i].what);
    puts("\n  --role ROLE      only entries for device, driver or bus\n"
         "  --clause ID      list: only those that aim at this clause, or fail by it; add: aim at "
         "it\n"
         "  --json FILE      list: as JSON; - is standard output\n"
         "  --sha256 DIGEST  import: what the whole archive must have\n"
         "  --origin TEXT --license SPDX  add, from-bytes, seed: what the entries say of "
         "themselves\n"
         "  --seed N         seed: what is drawn follows from it (1)\n"
         "  --select PART    seed: only for mutants with this in their names\n"
         "  --beyond CORPUS  seed: only what this one has no entry for\n"
         "  --execs N        seed: cases tried for each mutant, and for the clauses of a role\n"
         "  --jobs N         check, seed: worker processes; one for each processor\n"
         "  --verbose        check: every entry");
    return 0;
}

struct pl_corpus *pl_cli_corpus(const char *path)
{
    char error[1024];
    struct pl_corpus *corpus = pl_corpus_load(path, error, sizeof(error));
    if (!corpus)
        pl_cli_error(PL_EXIT_USAGE, "%s", error);
    return corpus;
}

struct pl_corpus *pl_cli_corpus_any(const char *path)
{
    char error[1024];
    struct pl_corpus *corpus = pl_corpus_load_any(path, error, sizeof(error));
    if (!corpus)
        pl_cli_error(PL_EXIT_USAGE, "%s", error);
    return corpus;
}

int pl_cli_corpus_each(const struct pl_corpus_args *a, const struct pl_corpus *corpus,
                       int (*each)(void *opaque, const struct pl_corpus_item *item,
                                   struct pl_entry *e),
                       void *opaque)
{
    char error[1024];
    int err = 0;
    struct pl_entry *e = malloc(sizeof(*e));
    if (!e)
        return pl_cli_error(PL_EXIT_INTERNAL, "out of memory");
    for (size_t i = 0; !err && i < corpus->n; i++) {
        if (!pl_corpus_parse(corpus, i, e, error, sizeof(error)))
            err = pl_cli_error(PL_EXIT_USAGE, "%s", error);
        else if (!a->one_role || e->c.role == a->as)
            err = each(opaque, &corpus->item[i], e);
    }
    free(e);
    return err;
}

int pl_cli_corpus_write(const struct pl_corpus *corpus, const char *folder)
{
    char error[1024];
    if (!pl_corpus_free_place(folder, error, sizeof(error)) ||
        !pl_corpus_write(corpus, folder, error, sizeof(error)))
        return pl_cli_error(PL_EXIT_USAGE, "%s", error);
    return 0;
}

static int numbers(struct pl_corpus_args *a)
{
    uint64_t jobs = (uint64_t)sysconf(_SC_NPROCESSORS_ONLN);
    a->number = 1;
    const struct {
        const char *name, *text;
        uint64_t *out, least, most;
    } list[] = {
        {"--seed", a->seed, &a->number, 0, UINT64_MAX},
        {"--execs", a->execs, &a->executions, 1, UINT64_MAX},
        {"--jobs", a->jobs, &jobs, 1, 64},
    };
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
        if (list[i].text && (!pl_cli_u64(list[i].text, list[i].out) ||
                             *list[i].out < list[i].least || *list[i].out > list[i].most))
            return pl_cli_error(PL_EXIT_USAGE, "%s: '%s' is no number between %llu and %llu",
                                list[i].name, list[i].text, (unsigned long long)list[i].least,
                                (unsigned long long)list[i].most);
    a->n_jobs = jobs < 1 ? 1 : jobs > 64 ? 64 : (unsigned)jobs;
    return 0;
}

static int the_role(struct pl_corpus_args *a)
{
    enum pl_role role;
    if (!a->role)
        return 0;
    if (!pl_role_find(a->role, &role))
        return pl_cli_error(PL_EXIT_USAGE, "--role: '%s' is none of device, driver, bus", a->role);
    a->one_role = true;
    a->as = pl_iut_of(a->role);
    return 0;
}

static int run(const struct command *command, struct pl_corpus_args *a)
{
    int err = numbers(a);
    if (!err)
        err = the_role(a);
    if (err)
        return err;
    while (a->words[a->n])
        a->n++;
    if (a->n < command->least || a->n > command->most)
        return pl_cli_error(PL_EXIT_USAGE, "usage: plumbline corpus %s %s", command->name,
                            command->words);
    if (a->license && !pl_license_is_spdx(a->license))
        return pl_cli_error(PL_EXIT_USAGE, "--license: '%s' is no SPDX license expression",
                            a->license);
    return command->run(a);
}

int pl_cmd_corpus(int argc, char **argv)
{
    struct pl_corpus_args a = {.n = 0};
    const struct pl_cli_option options[] = {
        {.name = "--role", .value = &a.role},     {.name = "--clause", .value = &a.clause},
        {.name = "--json", .value = &a.json},     {.name = "--sha256", .value = &a.sha256},
        {.name = "--origin", .value = &a.origin}, {.name = "--license", .value = &a.license},
        {.name = "--seed", .value = &a.seed},     {.name = "--select", .value = &a.select},
        {.name = "--execs", .value = &a.execs},   {.name = "--jobs", .value = &a.jobs},
        {.name = "--beyond", .value = &a.beyond}, {.name = "--verbose", .flag = &a.verbose},
        {.name = "--help", .flag = &a.help},      {.name = NULL},
    };
    size_t i = 0;
    if (argc > 0 && strcmp(argv[0], "--help") == 0)
        return help();
    if (argc < 1)
        return pl_cli_error(PL_EXIT_USAGE, "corpus: which command? `plumbline corpus --help`");
    while (i < COMMANDS && strcmp(commands[i].name, argv[0]) != 0)
        i++;
    if (i == COMMANDS)
        return pl_cli_error(PL_EXIT_USAGE,
                            "corpus: '%s' is no command of it; `plumbline corpus --help`", argv[0]);
    int err = pl_cli_parse(argc - 1, argv + 1, options, a.words, PL_CORPUS_WORDS - 1);
    if (err)
        return err;
    return a.help ? help() : run(&commands[i], &a);
}
