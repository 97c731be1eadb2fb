/* `plumbline serve`: the reference peers; what the command line and the environment say. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/serve.h"
#include "port/memory.h"

static const char usage[] =
    "usage: plumbline serve device [OPTIONS]\n"
    "       plumbline serve driver [OPTIONS]\n"
    "       plumbline serve bus [OPTIONS]\n\n"
    "  --type T             device: block (default), net, console, entropy, gpu;\n"
    "                       driver: drives devices of this type only\n"
    "  --file PATH          what a block device's sectors are kept in; else in memory\n"
    "  --mutant ID          with one rule of the specification broken\n"
    "  --option NAME=VALUE  one of the freedoms that the draft leaves; --list-options names them\n"
    "  --connect ADDRESS    connect and serve until the other end closes the connection\n"
    "  --listen ADDRESS     serve one connection after the other, each with a fresh peer\n"
    "  --device-side ADDRESS  of a bus: its device side, connected or listened on as the driver\n"
    "                       side is\n"
    "  --memory PATH[,size=16MiB][,base=0x100000000]\n"
    "                       virtqueues and buffers are in this file; the other end maps it, too\n"
    "  --bus PARAMETERS     'revision=1 max_msg_size=264 features=0x0'\n"
    "  --spec S             the draft\n"
    "  --seed N             of everything that is drawn\n"
    "  --clock C            real (default); messages: time passes with each message, and while\n"
    "                       none comes\n"
    "  --list-mutants       ids, clauses and texts, separated by tabs\n"
    "  --list-options       names and defaults\n\n"
    "ADDRESS is unix:PATH, unix-stream:PATH, tcp:HOST:PORT or\n"
    "spsc:NAME[,dir=DIR][,size=BYTES][,wakeup=PATH|none]. Without one it is what PLUMBLINE_SPSC\n"
    "says, or the socket that is the descriptor PLUMBLINE_FD; PLUMBLINE_CTL_FD, PLUMBLINE_MEM_FD,\n"
    "_BASE and _SIZE, and PLUMBLINE_BUS are used where they are set; a bus finds its device side "
    "in\n"
    "PLUMBLINE_DEVICE_FD.\n"
    "A driver that has a control socket waits there to be told to start; without one it starts by\n"
    "itself, does some I/O, and stays (option end).\n";

static int list_bus(const struct pl_spec *spec, bool mutants)
{
    size_t n_mutants, n_options;
    const struct pl_bus_mutant *list = pl_bus_mutants(spec, &n_mutants);
    const struct pl_bus_option *options = pl_bus_options(spec, &n_options);
    for (size_t i = 0; mutants && i < n_mutants; i++) {
        printf("%s\t", list[i].id);
        for (size_t k = 0; list[i].clauses[k]; k++)
            printf("%s%s", k ? "," : "", list[i].clauses[k]);
        printf("\t%s\n", list[i].text);
    }
    for (size_t i = 0; !mutants && i < n_options; i++)
        printf("%s=%llu\n", options[i].name, (unsigned long long)options[i].value);
    return 0;
}

static int list_mutants(const struct pl_serve_request *request)
{
    size_t n;
    const struct pl_mutant *mutants = request->driver ? pl_driver_mutants(request->spec, &n)
                                                      : pl_device_mutants(request->spec, &n);
    for (size_t i = 0; i < n; i++) {
        printf("%s\t", mutants[i].id);
        for (size_t k = 0; mutants[i].clauses[k]; k++)
            printf("%s%s", k ? "," : "", mutants[i].clauses[k]);
        printf("\t%s\n", mutants[i].text);
    }
    return 0;
}

static int list_options(const struct pl_serve_request *request)
{
    size_t n;
    const struct pl_device_option *options = request->driver ? pl_driver_options(request->spec, &n)
                                                             : pl_device_options(request->spec, &n);
    for (size_t i = 0; i < n; i++)
        printf("%s=%llu\n", options[i].name, (unsigned long long)options[i].value);
    return 0;
}

bool pl_serve_env_number(const char *name, uint64_t *value)
{
    const char *text = getenv(name);
    return !text || pl_cli_u64(text, value);
}

static int read_bus(struct pl_serve_request *request, const struct pl_serve_place *place)
{
    struct pl_bus_params bus = {.revision = request->spec->revision,
                                .max_msg_size = request->spec->recommended_max_msg_size};
    const char *text = request->bus_text ? request->bus_text : getenv("PLUMBLINE_BUS");
    const char *from = request->bus_text ? "--bus" : "PLUMBLINE_BUS";
    if (text && pl_bus_params_parse(text, &bus) < 0)
        return pl_cli_error(PL_EXIT_USAGE,
                            "%s: '%s' is not of the form 'revision=1 "
                            "max_msg_size=264 features=0x0'",
                            from, text);
    if (place->spsc && bus.max_msg_size > pl_spsc_message_max) {
        if (text)
            return pl_cli_error(PL_EXIT_USAGE,
                                "%s: a message of spsc has at most %u bytes, max_msg_size is %u",
                                from, pl_spsc_message_max, bus.max_msg_size);
        bus.max_msg_size = pl_spsc_message_max;
    }
    request->env.revision = bus.revision;
    request->env.max_msg_size = bus.max_msg_size;
    request->env.features = bus.features;
    return 0;
}

/* Map the file that both ends of a connection map. */
static int map_file(struct pl_serve_request *request)
{
    struct pl_memory_file file;
    char error[512];
    int err = pl_memory_parse(request->memory, &file, error, sizeof(error));
    if (err == 0)
        err = pl_memory_open(&file, &request->env.mem, NULL, error, sizeof(error));
    if (err < 0)
        return pl_cli_error(err == -EINVAL ? PL_EXIT_USAGE : PL_EXIT_UNREACHABLE, "--memory: %s",
                            error);
    request->env.mem_base = file.base;
    request->env.mem_size = file.size;
    return 0;
}

/* Map the shared memory that the command line or the environment offers, if one does. */
static int map_memory(struct pl_serve_request *request)
{
    uint64_t fd = UINT64_MAX, base = 0, size = 0;
    if (request->memory)
        return map_file(request);
    if (!pl_serve_env_number("PLUMBLINE_MEM_FD", &fd) ||
        !pl_serve_env_number("PLUMBLINE_MEM_BASE", &base) ||
        !pl_serve_env_number("PLUMBLINE_MEM_SIZE", &size) || (fd != UINT64_MAX && fd > INT32_MAX))
        return pl_cli_error(PL_EXIT_USAGE, "PLUMBLINE_MEM_FD, PLUMBLINE_MEM_BASE and "
                                           "PLUMBLINE_MEM_SIZE must be numbers");
    if (fd == UINT64_MAX || size == 0)
        return 0;
    int err = pl_guard_map((int)fd, size, &request->env.mem);
    if (err < 0)
        return pl_cli_error(PL_EXIT_UNREACHABLE,
                            "PLUMBLINE_MEM_FD: %llu bytes of descriptor %llu "
                            "cannot be mapped: %s",
                            (unsigned long long)size, (unsigned long long)fd, strerror(-err));
    request->env.mem_base = base;
    request->env.mem_size = size;
    return 0;
}

/* With a control socket a driver waits there, unless it is told otherwise. */
static void wait_for_control(struct pl_serve_request *request)
{
    size_t n = 0;
    if (request->connect || request->listen || !getenv("PLUMBLINE_CTL_FD"))
        return;
    for (; request->options[n]; n++)
        if (strncmp(request->options[n], "wait=", 5) == 0)
            return;
    request->options[n] = "wait=1";
}

/* Fill in the peer's configuration, and check it. */
static int configure(struct pl_serve_request *request)
{
    char error[512];
    uint64_t seed = 0;
    if (request->seed && !pl_cli_u64(request->seed, &seed))
        return pl_cli_error(PL_EXIT_USAGE, "--seed: '%s' is no number", request->seed);
    if (request->bus) {
        request->bus_config = (struct pl_bus_config){
            .spec = request->spec->name, .mutant = request->mutant, .options = request->options};
        if (pl_bus_config_check(&request->bus_config, error, sizeof(error)) < 0)
            return pl_cli_error(PL_EXIT_USAGE, "%s", error);
        return 0;
    }
    if (request->driver)
        wait_for_control(request);
    request->config.spec = request->spec->name;
    request->config.type = request->type;
    request->config.mutant = request->mutant;
    request->config.options = request->options;
    request->config.seed = seed;
    request->driver_config = (struct pl_driver_config){request->spec->name, request->type,
                                                       request->mutant, request->options, seed};
    int err = request->driver
                  ? pl_driver_config_check(&request->driver_config, error, sizeof(error))
                  : pl_device_config_check(&request->config, error, sizeof(error));
    return err < 0 ? pl_cli_error(PL_EXIT_USAGE, "%s", error) : 0;
}

/* Check what belongs together. */
static int prepare(struct pl_serve_request *request)
{
    request->driver = request->role && strcmp(request->role, "driver") == 0;
    request->bus = request->role && strcmp(request->role, "bus") == 0;
    if (!request->role ||
        (!request->driver && !request->bus && strcmp(request->role, "device") != 0))
        return pl_cli_error(PL_EXIT_USAGE,
                            "serve: '%s' is no reference peer; there are device, driver and bus",
                            request->role ? request->role : "");
    if (request->connect && request->listen)
        return pl_cli_error(PL_EXIT_USAGE, "serve: --connect and --listen exclude each other");
    if (request->driver && request->config.file)
        return pl_cli_error(PL_EXIT_USAGE, "serve: --file is for a device");
    request->by_messages = request->clock && strcmp(request->clock, "messages") == 0;
    if (request->clock && !request->by_messages && strcmp(request->clock, "real") != 0)
        return pl_cli_error(PL_EXIT_USAGE, "--clock: '%s' is neither real nor messages",
                            request->clock);
    if (request->device_side && (!request->bus || (!request->connect && !request->listen)))
        return pl_cli_error(PL_EXIT_USAGE, "serve: --device-side goes with bus and --connect or "
                                           "--listen");
    if (request->bus && (request->type || request->config.file || request->memory))
        return pl_cli_error(PL_EXIT_USAGE, "serve: a bus has no --type, --file and --memory");
    request->spec = pl_cli_spec(request->spec_name);
    return request->spec ? configure(request) : PL_EXIT_USAGE;
}

int pl_cmd_serve(int argc, char **argv)
{
    struct pl_serve_request request = {0};
    const struct pl_cli_option options[] = {
        {.name = "--type", .value = &request.type},
        {.name = "--file", .value = &request.config.file},
        {.name = "--mutant", .value = &request.mutant},
        {.name = "--option", .list = request.options, .list_max = PL_SERVE_OPTIONS},
        {.name = "--connect", .value = &request.connect},
        {.name = "--listen", .value = &request.listen},
        {.name = "--device-side", .value = &request.device_side},
        {.name = "--bus", .value = &request.bus_text},
        {.name = "--memory", .value = &request.memory},
        {.name = "--spec", .value = &request.spec_name},
        {.name = "--seed", .value = &request.seed},
        {.name = "--clock", .value = &request.clock},
        {.name = "--list-mutants", .flag = &request.list_mutants},
        {.name = "--list-options", .flag = &request.list_options},
        {.name = "--help", .flag = &request.help},
        {0},
    };
    int err = pl_cli_parse(argc, argv, options, &request.role, 1);
    if (err)
        return err;
    if (request.help) {
        fputs(usage, stdout);
        return 0;
    }
    err = prepare(&request);
    if (err)
        return err;
    if (request.bus && (request.list_mutants || request.list_options))
        return list_bus(request.spec, request.list_mutants);
    if (request.list_mutants)
        return list_mutants(&request);
    if (request.list_options)
        return list_options(&request);
    struct pl_serve_place place;
    pl_serve_place(&request, &place);
    err = read_bus(&request, &place);
    if (!err && request.bus)
        return pl_serve_bus(&request);
    if (!err)
        err = map_memory(&request);
    if (!err)
        err = pl_serve_at(&request, &place);
    pl_guard_unmap(request.env.mem);
    return err;
}
