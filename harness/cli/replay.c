/* `plumbline replay`: a recorded trace judged again or sent again, or a scenario file run alone. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/entry.h"
#include "cli/output.h"
#include "engine/replay.h"

struct replay_args {
    struct pl_cli_iut iut;
    struct pl_cli_output output;
    const char *words[2];  /* FILE, PROFILE */
    char of_finding[1024]; /* the case in a finding's folder, where FILE is one */
    const char *max_msg_size, *features;
    const char *role; /* of what the trace is about */
    const char *mutant;
    bool help;
};

static const char help[] =
    "usage: plumbline replay FILE [PROFILE] [OPTIONS]\n"
    "FILE is a trace that `plumbline test --pcapng` wrote, a scenario file, an entry of a corpus, "
    "or\n"
    "a finding of `plumbline fuzz`, DIR/findings/NAME.\n"
    "A trace without an implementation is judged as it stands. With one (PROFILE, --exec, "
    "--connect\n"
    "or --listen) the harness's messages are sent once more and the answers of today are judged.\n"
    "A scenario file is run as `plumbline test --scenarios FILE` would, and nothing else is.\n"
    "An entry of a corpus, or a case, is run once more and shown; without an implementation the\n"
    "role's reference peer is tested, or with --mutant one with a rule broken.\n\n"
    "  --exec COMMAND     start the IUT; it finds its sockets in PLUMBLINE_FD and so on\n"
    "  --connect ADDRESS  unix:PATH, unix-stream:PATH, tcp:HOST:PORT, fd:N, vhost-user:PATH\n"
    "  --listen ADDRESS   wait for the IUT to connect\n"
    "  --device-side ADDRESS  --carrier CARRIER  --memory PATH[,...]  --role ROLE\n"
    "                     as of `plumbline test`\n"
    "  --spec DRAFT       of a scenario file; virtio-msg-r1 by default. A trace names its own\n"
    "  --max-msg-size N   only the parts of the trace with this maximum message size\n"
    "  --transport-features MASK  only those with these transport feature bits\n"
    "  --mutant ID        of an entry: the reference peer with this rule broken\n"
    "  --json FILE  --junit FILE   reports; FILE - is standard output\n"
    "  --verbose          every clause and every scenario\n"
    "  --quiet            only the last line\n";

/* --- a scenario file --- */

/* "a,b,c" of the names of all scenarios in a file; NULL after the error. To be freed. */
static char *scenario_names(const struct pl_spec *spec, const char *path)
{
    char error[512] = "out of memory", *names = NULL;
    size_t size = 1;
    struct pl_scenarios *s = pl_clauses_find(spec) ? pl_scenarios_new(spec) : NULL;
    struct pl_yaml_doc *doc = s ? pl_yaml_load_file(path, error, sizeof(error)) : NULL;
    if (doc && pl_scenarios_add(s, doc, error, sizeof(error))) {
        for (size_t i = 0; i < s->n; i++)
            size += strlen(s->list[i].name) + 1;
        names = s->n ? calloc(1, size) : NULL;
        for (size_t i = 0; names && i < s->n; i++)
            sprintf(names + strlen(names), "%s%s", i ? "," : "", s->list[i].name);
        if (!s->n)
            snprintf(error, sizeof(error), "%.200s: there is no scenario in it", path);
    }
    pl_scenarios_free(s);
    if (!names)
        pl_cli_error(PL_EXIT_USAGE, "%s", error);
    return names;
}

static int replay_scenarios(int argc, char **argv, const struct replay_args *a)
{
    const struct pl_spec *spec = pl_cli_spec(a->iut.spec_name);
    char *names = spec ? scenario_names(spec, a->words[0]) : NULL;
    char **words = calloc((size_t)argc + 5, sizeof(*words));
    int n = 0, status = PL_EXIT_USAGE;
    if (names && words) {
        for (int i = 0; i < argc; i++)
            if (argv[i] != a->words[0])
                words[n++] = argv[i];
        char scenarios[] = "--scenarios", select[] = "--select";
        words[n++] = scenarios;
        words[n++] = (char *)(uintptr_t)a->words[0];
        words[n++] = select;
        words[n++] = names;
        status = pl_cmd_test(n, words);
    }
    free(words);
    free(names);
    return status;
}

/* --- a trace --- */

static int bus_options(const struct replay_args *a, struct pl_bus_params *bus, bool *fixed)
{
    const struct pl_profile *p = &a->iut.profile;
    uint64_t size = a->iut.spec->recommended_max_msg_size, features = 0;
    if (a->max_msg_size && (!pl_cli_u64(a->max_msg_size, &size) || size > UINT32_MAX))
        return pl_cli_error(PL_EXIT_USAGE, "--max-msg-size: '%s' is no size", a->max_msg_size);
    if (a->features && (!pl_cli_u64(a->features, &features) || features > UINT32_MAX))
        return pl_cli_error(PL_EXIT_USAGE, "--transport-features: '%s' is no 32-bit mask",
                            a->features);
    *fixed = p->bus_stated || a->max_msg_size || a->features;
    *bus = p->bus_stated
               ? p->bus
               : (struct pl_bus_params){a->iut.spec->revision, (uint32_t)size, (uint32_t)features};
    if (a->max_msg_size)
        bus->max_msg_size = (uint32_t)size;
    if (a->features)
        bus->features = (uint32_t)features;
    return 0;
}

static int conclude(struct replay_args *a, const struct pl_suite_options *options)
{
    char error[1024];
    int err;
    struct pl_suite *suite = pl_replay(options, a->words[0], &err, error, sizeof(error));
    if (!suite)
        return pl_cli_error(err == -EINVAL   ? PL_EXIT_USAGE
                            : err == -ENOMEM ? PL_EXIT_INTERNAL
                                             : PL_EXIT_UNREACHABLE,
                            "%s", error);
    const struct pl_report *report = pl_suite_report(suite);
    err = pl_cli_output_write(&a->output, report);
    if (!err)
        err = report->conforms ? PL_EXIT_CONFORMS : PL_EXIT_FINDINGS;
    pl_suite_free(suite);
    return err;
}

/* The command that shows it again: "plumbline replay FILE" with the ways to the IUT. */
static void repeat_command(const struct replay_args *a, char *out, size_t cap)
{
    const struct pl_cli_iut *iut = &a->iut;
    const char *how = iut->exec      ? " --exec '"
                      : iut->connect ? " --connect '"
                      : iut->listen  ? " --listen '"
                                     : "";
    const char *what = iut->exec ? iut->exec : iut->connect ? iut->connect : iut->listen;
    snprintf(out, cap, "plumbline replay '%s'%s%s%s%s%s", a->words[0], a->words[1] ? " " : "",
             a->words[1] ? a->words[1] : "", how, what ? what : "", what ? "'" : "");
}

static int replay_with(struct replay_args *a, const struct pl_scenarios *scenarios,
                       const char *repeat)
{
    const struct pl_profile *p = &a->iut.profile;
    struct pl_bus_params bus;
    bool fixed = false;
    int err = bus_options(a, &bus, &fixed);
    uint16_t *devices = err ? NULL : calloc(p->n_devices + 1, sizeof(*devices));
    const char **declared = err ? NULL : calloc(p->n_declares + 1, sizeof(*declared));
    if (devices && declared) {
        for (size_t i = 0; i < p->n_devices; i++)
            devices[i] = p->devices[i].number;
        for (size_t i = 0; i < p->n_declares; i++)
            declared[i] = p->declares[i].clause;
        struct pl_suite_options options = {.scenarios = scenarios,
                                           .port = a->iut.port,
                                           .role = a->role,
                                           .iut = a->iut.port ? a->iut.name : a->words[0],
                                           .repeat = repeat,
                                           .repeat_whole = true,
                                           .bus = fixed ? &bus : NULL,
                                           .devices = devices,
                                           .n_devices = p->n_devices,
                                           .timeouts = {p->response_ms, p->reset_ms, p->fence_ms},
                                           .declared = declared};
        err = conclude(a, &options);
    } else if (!err) {
        err = pl_cli_error(PL_EXIT_INTERNAL, "out of memory");
    }
    free(devices);
    free(declared);
    return err;
}

static int replay_trace(struct replay_args *a)
{
    char error[1024], repeat[2048];
    enum pl_iut iut = PL_IUT_DEVICE;
    const struct pl_spec *spec = pl_replay_spec(a->words[0], &iut, error, sizeof(error));
    if (!spec)
        return pl_cli_error(PL_EXIT_USAGE, "%s", error);
    bool live = a->words[1] || a->iut.exec || a->iut.connect || a->iut.listen;
    a->role = iut == PL_IUT_DRIVER ? "driver" : iut == PL_IUT_BUS ? "bus" : "device";
    if (live && iut != PL_IUT_DEVICE)
        return pl_cli_error(PL_EXIT_USAGE,
                            "%s: a trace of a %s is judged as it stands; it cannot be sent again",
                            a->words[0], a->role);
    repeat_command(a, repeat, sizeof(repeat));
    a->iut.profile_path = a->words[1];
    a->iut.spec_name = spec->name;
    int err = pl_cli_output_check(&a->output);
    if (!err && live)
        err = pl_cli_iut_open(&a->iut, "replay");
    else if (!err)
        pl_profile_default(&a->iut.profile);
    a->iut.spec = spec;
    struct pl_scenarios *scenarios = err ? NULL : pl_cli_scenarios(spec, NULL);
    if (!err)
        err = scenarios ? replay_with(a, scenarios, repeat) : PL_EXIT_USAGE;
    pl_scenarios_free(scenarios);
    if (live)
        pl_cli_iut_close(&a->iut);
    return err;
}

/* --- an entry of a corpus --- */

static int replay_entry(struct replay_args *a)
{
    struct pl_cli_iut *iut = &a->iut;
    bool live = a->words[1] || iut->exec || iut->connect || iut->listen;
    if (a->output.json || a->output.junit || a->max_msg_size || a->features || iut->spec_name)
        return pl_cli_error(PL_EXIT_USAGE,
                            "%s: an entry of a corpus has no reports, and states "
                            "draft and bus itself",
                            a->words[0]);
    if (a->mutant && live)
        return pl_cli_error(PL_EXIT_USAGE, "--mutant is of the reference peer, not of this one");
    iut->profile_path = a->words[1];
    return pl_cli_entry_replay(a->words[0], iut, live, a->mutant, a->output.quiet);
}

/* A finding's folder stands for its case. */
static void open_finding(struct replay_args *a)
{
    struct stat st;
    if (stat(a->words[0], &st) < 0 || !S_ISDIR(st.st_mode))
        return;
    snprintf(a->of_finding, sizeof(a->of_finding), "%.1000s/case.txt", a->words[0]);
    if (access(a->of_finding, F_OK) == 0)
        a->words[0] = a->of_finding;
}

/* A pcapng file begins with a block type that reads the same from either end. */
static int is_trace(const char *path, bool *trace)
{
    char magic[4] = "";
    FILE *in = fopen(path, "rb");
    if (!in)
        return pl_cli_error(PL_EXIT_USAGE, "%s: cannot be opened: %s", path, strerror(errno));
    size_t n = fread(magic, 1, sizeof(magic), in);
    int err = ferror(in) ? errno : 0;
    fclose(in);
    if (err)
        return pl_cli_error(PL_EXIT_USAGE, "%s: cannot be read: %s", path, strerror(err));
    *trace = n == sizeof(magic) && memcmp(magic, "\n\r\r\n", sizeof(magic)) == 0;
    return 0;
}

int pl_cmd_replay(int argc, char **argv)
{
    struct replay_args a = {0};
    const struct pl_cli_option options[] = {
        PL_CLI_REACH(a.iut),
        {.name = "--max-msg-size", .value = &a.max_msg_size},
        {.name = "--transport-features", .value = &a.features},
        {.name = "--mutant", .value = &a.mutant},
        {.name = "--json", .value = &a.output.json},
        {.name = "--junit", .value = &a.output.junit},
        {.name = "--verbose", .flag = &a.output.verbose},
        {.name = "--quiet", .flag = &a.output.quiet},
        {.name = "--help", .flag = &a.help},
        {.name = NULL},
    };
    bool trace = false;
    int err = pl_cli_parse(argc, argv, options, a.words, 2);
    if (err)
        return err;
    if (a.help) {
        fputs(help, stdout);
        return 0;
    }
    if (!a.words[0])
        return pl_cli_error(PL_EXIT_USAGE, "replay: there is no FILE to replay");
    open_finding(&a);
    if (pl_cli_is_entry(a.words[0]))
        return replay_entry(&a);
    if (a.mutant)
        return pl_cli_error(PL_EXIT_USAGE, "--mutant is for entries of a corpus");
    err = is_trace(a.words[0], &trace);
    if (err)
        return err;
    return trace ? replay_trace(&a) : replay_scenarios(argc, argv, &a);
}
