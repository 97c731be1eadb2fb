/* `plumbline test`: a conformance run and its reports. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/output.h"

enum { SCENARIO_PATHS = 32, WITH_MAX = 32, JOBS = 16, JOBS_MAX = 64 };

struct test_args {
    struct pl_cli_iut iut;
    struct pl_cli_output output;
    const char *select, *seed, *pcapng, *max_msg_size, *features;
    const char *scenarios[SCENARIO_PATHS];
    const char *with[WITH_MAX];
    bool help, exhaustive;
    const char *jobs_text;
    unsigned jobs;
};

static const char help[] =
    "usage: plumbline test [PROFILE] [OPTIONS]\n"
    "Judge an implementation. Without PROFILE and without a way to reach one it is the embedded\n"
    "reference device, over a socket.\n\n"
    "  --exec COMMAND     start the IUT; it finds its sockets in PLUMBLINE_FD and so on\n"
    "  --connect ADDRESS  unix:PATH, unix-stream:PATH, tcp:HOST:PORT, fd:N, vhost-user:PATH,\n"
    "                     spsc:NAME[,dir=DIR][,size=BYTES][,wakeup=PATH|none]\n"
    "  --listen ADDRESS   wait for the IUT to connect; vhost-user:PATH[,commands=FIFO] with a\n"
    "                     driver behind a front-end such as QEMU\n"
    "  --device-side ADDRESS  of a bus: its device side, where --connect or --listen reach the\n"
    "                     driver side\n"
    "  --carrier CARRIER  what --exec gives the IUT: seqpacket (default), stream, spsc, "
    "vhost-user\n"
    "  --memory PATH[,size=16MiB][,base=0x100000000]\n"
    "                     virtqueues and buffers are in this file; the IUT maps it, too\n"
    "  --role ROLE        device, driver or bus (the profile's role by default)\n"
    "  --spec DRAFT       virtio-msg-r1 by default\n"
    "  --select PATTERN   sections, clauses or scenarios; * and ?, separated by commas\n"
    "  --scenarios PATH   scenarios of your own, a file or a folder; may be repeated\n"
    "  --max-msg-size N   only this maximum message size\n"
    "  --transport-features MASK  only these transport feature bits\n"
    "  --with NAME=VALUE  fix a parameter of the run, may be repeated: profile, max_msg_size,\n"
    "                     outstanding, ring_packed, queue_size, indirect, event_idx, in_order,\n"
    "                     notification_data, reset_ms\n"
    "  --exhaustive       every choice of every parameter in every combination\n"
    "  --seed N           repeat what a run did at random\n"
    "  --jobs N           so many drivers side by side: 16, since their lives are mostly waiting,\n"
    "                     or 4 in virtual time\n"
    "  --json FILE  --junit FILE  --pcapng FILE   reports; FILE - is standard output\n"
    "  --verbose          every clause and every scenario\n"
    "  --quiet            only the last line\n";

/* --- running --- */

static void progress(void *opaque, size_t done, size_t all)
{
    (void)opaque;
    if (done % 64 == 0 || done == all)
        fprintf(stderr, "\r%zu of %zu scenarios\033[K%s", done, all, done == all ? "\r\033[K" : "");
}

static int bus_options(const struct test_args *a, struct pl_bus_params *bus, bool *fixed)
{
    const struct pl_spec *spec = a->iut.spec;
    uint32_t carrier_max = a->iut.port->carrier_max, most = spec->max_max_msg_size;
    if (carrier_max && carrier_max < most)
        most = carrier_max;
    uint64_t size = most < spec->recommended_max_msg_size ? most : spec->recommended_max_msg_size;
    uint64_t features = 0;
    *fixed = a->iut.profile.bus_stated || a->max_msg_size || a->features;
    if (a->max_msg_size &&
        (!pl_cli_u64(a->max_msg_size, &size) || size < spec->min_max_msg_size || size > most))
        return pl_cli_error(PL_EXIT_USAGE, "--max-msg-size: '%s' is not within %u to %u",
                            a->max_msg_size, spec->min_max_msg_size, most);
    if (a->features && (!pl_cli_u64(a->features, &features) || features > UINT32_MAX))
        return pl_cli_error(PL_EXIT_USAGE, "--transport-features: '%s' is no 32-bit mask",
                            a->features);
    *bus = a->iut.profile.bus_stated
               ? a->iut.profile.bus
               : (struct pl_bus_params){spec->revision, (uint32_t)size, (uint32_t)features};
    if (a->max_msg_size)
        bus->max_msg_size = (uint32_t)size;
    if (a->features)
        bus->features = (uint32_t)features;
    return 0;
}

/*
 * What --with fixes. The bus's parameters are the same as those of --max-msg-size and
 * --transport-features; an IUT that cannot be started anew is taken to have them.
 */
static int with_options(const struct test_args *a, struct pl_suite_options *options,
                        struct pl_bus_params *bus)
{
    struct pl_axes_fixed *fixed = &options->fixed;
    struct pl_combination unused = {0};
    uint32_t value[PL_AXES];
    char error[512];
    for (size_t i = 0; a->with[i]; i++)
        if (!pl_axes_fix(fixed, a->iut.spec, a->with[i], error, sizeof(error)))
            return pl_cli_error(PL_EXIT_USAGE, "--with: %s", error);
    if (!pl_axes_check(fixed, error, sizeof(error)))
        return pl_cli_error(PL_EXIT_USAGE, "--with: %s", error);
    uint32_t most = a->iut.port->carrier_max;
    if (fixed->set[PL_AXIS_MAX_MSG_SIZE] && most && fixed->value[PL_AXIS_MAX_MSG_SIZE] > most)
        return pl_cli_error(PL_EXIT_USAGE, "--with: max_msg_size: %s has room for %u bytes",
                            a->iut.port->name, most);
    if (fixed->set[PL_AXIS_MAX_MSG_SIZE] && a->max_msg_size)
        return pl_cli_error(PL_EXIT_USAGE, "--with max_msg_size and --max-msg-size exclude each "
                                           "other");
    if (fixed->set[PL_AXIS_PROFILE] && a->features)
        return pl_cli_error(PL_EXIT_USAGE, "--with profile and --transport-features exclude each "
                                           "other");
    pl_axes_pack(bus, &unused, value);
    for (size_t i = 0; i < PL_AXES; i++)
        if (fixed->set[i])
            value[i] = fixed->value[i];
    pl_axes_unpack(value, bus, &unused);
    return 0;
}

/* The type of the device that a driver is given, as the profile says; NULL: it does not. */
static const char *device_type(const struct pl_profile *p)
{
    const char *type = p->n_devices ? p->devices[0].type : NULL;
    if (type && strcmp(type, "blk") == 0)
        return "block";
    return type && strcmp(type, "rng") == 0 ? "entropy" : type;
}

static int any_selected(const struct pl_scenarios *scenarios, const char *role, const char *select)
{
    bool driver = pl_iut_of(role) == PL_IUT_DRIVER, bus = pl_iut_of(role) == PL_IUT_BUS;
    const struct pl_scenario *list = bus ? scenarios->bus_list : scenarios->list;
    for (size_t i = 0; i < (bus ? scenarios->n_bus : scenarios->n); i++)
        if ((list[i].drive != NULL) == driver &&
            (!select || pl_scenario_selected(&list[i], select)))
            return 0;
    return pl_cli_error(PL_EXIT_USAGE, "--select: '%s' matches no section, clause or scenario",
                        select);
}

struct lists {
    uint16_t *devices;
    const char **declared;
};

static bool profile_lists(const struct pl_profile *p, struct lists *l)
{
    l->devices = calloc(p->n_devices + 1, sizeof(*l->devices));
    l->declared = calloc(p->n_declares + 1, sizeof(*l->declared));
    if (!l->devices || !l->declared)
        return false;
    for (size_t i = 0; i < p->n_devices; i++)
        l->devices[i] = p->devices[i].number;
    for (size_t i = 0; i < p->n_declares; i++)
        l->declared[i] = p->declares[i].clause;
    return true;
}

static int run_suite(struct test_args *a, struct pl_suite_options *options)
{
    char error[512];
    int err;
    struct pl_suite *suite = pl_suite_run(options, &err, error, sizeof(error));
    if (!suite)
        return pl_cli_error(err == -ENOMEM ? PL_EXIT_INTERNAL : PL_EXIT_UNREACHABLE, "%s", error);
    const struct pl_report *report = pl_suite_report(suite);
    err = pl_cli_output_write(&a->output, report);
    if (!err)
        err = report->conforms ? PL_EXIT_CONFORMS : PL_EXIT_FINDINGS;
    pl_suite_free(suite);
    return err;
}

/* The command that repeats a finding needs the user's own scenarios, too. */
static void add_scenarios(struct test_args *a)
{
    size_t n = strlen(a->iut.repeat), cap = sizeof(a->iut.repeat);
    for (size_t i = 0; a->scenarios[i] && n + 1 < cap; i++)
        n += (size_t)snprintf(a->iut.repeat + n, cap - n, " --scenarios '%s'", a->scenarios[i]);
}

static int run_with(struct test_args *a, const struct pl_scenarios *scenarios, uint64_t seed)
{
    struct pl_bus_params bus;
    bool fixed;
    struct lists lists;
    char error[512];
    const struct pl_profile *p = &a->iut.profile;
    int err = bus_options(a, &bus, &fixed);
    add_scenarios(a);
    if (err)
        return err;
    struct pl_suite_options options = {
        .scenarios = scenarios,
        .port = a->iut.port,
        .role = a->iut.role,
        .type = device_type(p),
        .iut = a->iut.name,
        .select = a->select,
        .repeat = a->iut.repeat,
        .seed = seed,
        .bus = fixed ? &bus : NULL,
        .timeouts = {p->response_ms, p->reset_ms, p->fence_ms},
        .progress = isatty(STDERR_FILENO) && !a->output.quiet ? progress : NULL};
    err = with_options(a, &options, &bus);
    if (err)
        return err;
    options.reduce = true;
    options.jobs = !a->jobs_text && a->iut.port->virtual_time ? PL_CLI_JOBS_VIRTUAL : a->jobs;
    options.another = pl_cli_iut_another;
    options.port_opaque = &a->iut;
    if (!profile_lists(p, &lists))
        return pl_cli_error(PL_EXIT_INTERNAL, "out of memory");
    options.exhaustive = a->exhaustive;
    options.devices = lists.devices;
    options.n_devices = p->n_devices;
    options.declared = lists.declared;
    if (a->pcapng) {
        options.pcapng = pl_pcapng_create(a->pcapng, "plumbline test", error, sizeof(error));
        err = options.pcapng ? 0 : pl_cli_error(PL_EXIT_USAGE, "%s", error);
    }
    if (!err)
        err = run_suite(a, &options);
    if (options.pcapng) {
        int failed = pl_pcapng_finish(options.pcapng);
        if (failed < 0 && err < PL_EXIT_USAGE)
            err = pl_cli_error(PL_EXIT_USAGE, "%s: cannot be written: %s", a->pcapng,
                               strerror(-failed));
    }
    free(lists.devices);
    free(lists.declared);
    return err;
}

static int run_test(struct test_args *a)
{
    uint64_t seed = 1, jobs = JOBS;
    if (a->jobs_text && (!pl_cli_u64(a->jobs_text, &jobs) || jobs < 1 || jobs > JOBS_MAX))
        return pl_cli_error(PL_EXIT_USAGE, "--jobs: '%s' is not within 1 to %d", a->jobs_text,
                            JOBS_MAX);
    a->jobs = (unsigned)jobs;
    if (a->seed && !pl_cli_u64(a->seed, &seed))
        return pl_cli_error(PL_EXIT_USAGE, "--seed: '%s' is no 64-bit number", a->seed);
    int err = pl_cli_iut_open(&a->iut, "test");
    if (!err)
        err = pl_cli_output_check(&a->output);
    struct pl_scenarios *scenarios = err ? NULL : pl_cli_scenarios(a->iut.spec, a->scenarios);
    if (!err && !scenarios)
        err = PL_EXIT_USAGE;
    bool script = !err && a->iut.port->one_life;
    if (script && a->select && strcmp(a->select, PL_SCRIPTED_LIFE) != 0)
        err = pl_cli_error(PL_EXIT_USAGE, "--select: '%s': behind %s there is nothing but %s",
                           a->select, a->iut.port->name, PL_SCRIPTED_LIFE);
    if (!err && !script)
        err = any_selected(scenarios, a->iut.role, a->select);
    if (!err)
        err = run_with(a, scenarios, seed);
    pl_scenarios_free(scenarios);
    pl_cli_iut_close(&a->iut);
    return err;
}

int pl_cmd_test(int argc, char **argv)
{
    struct test_args a = {0};
    const struct pl_cli_option options[] = {
        PL_CLI_REACH(a.iut),
        {.name = "--select", .value = &a.select},
        {.name = "--scenarios",
         .value = &a.scenarios[0],
         .list = a.scenarios,
         .list_max = SCENARIO_PATHS},
        {.name = "--with", .value = &a.with[0], .list = a.with, .list_max = WITH_MAX},
        {.name = "--max-msg-size", .value = &a.max_msg_size},
        {.name = "--transport-features", .value = &a.features},
        {.name = "--seed", .value = &a.seed},
        {.name = "--jobs", .value = &a.jobs_text},
        {.name = "--json", .value = &a.output.json},
        {.name = "--junit", .value = &a.output.junit},
        {.name = "--pcapng", .value = &a.pcapng},
        {.name = "--verbose", .flag = &a.output.verbose},
        {.name = "--quiet", .flag = &a.output.quiet},
        {.name = "--exhaustive", .flag = &a.exhaustive},
        {.name = "--help", .flag = &a.help},
        {.name = NULL},
    };
    int err = pl_cli_parse(argc, argv, options, &a.iut.profile_path, 1);
    if (err)
        return err;
    if (a.help) {
        fputs(help, stdout);
        return 0;
    }
    return run_test(&a);
}
