/* `plumbline serve`: the reference peers, reached over a socket. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/serve.h"
#include "peer/device.h"

#define MAX_OPTIONS 64

/* What the command line says. */
struct request {
    const char *role, *type, *mutant, *connect, *listen, *spec_name, *seed, *bus_text;
    const char *options[MAX_OPTIONS];
    bool list_mutants, list_options, help;
    const struct pl_spec *spec;
    struct pl_device_config config;
    struct pl_endpoint_env env;
};

static const char usage[] =
    "usage: plumbline serve device [OPTIONS]\n\n"
    "  --type T             block (default), net, console, entropy, gpu\n"
    "  --mutant ID          with one rule of the specification broken\n"
    "  --option NAME=VALUE  one of the freedoms that the draft leaves; --list-options names them\n"
    "  --connect ADDRESS    connect and serve until the other end closes the connection\n"
    "  --listen ADDRESS     serve one connection after the other, each with a fresh device\n"
    "  --bus PARAMETERS     'revision=1 max_msg_size=264 features=0x0'\n"
    "  --spec S             the draft\n"
    "  --seed N             of everything that is drawn\n"
    "  --list-mutants       ids, clauses and texts, separated by tabs\n"
    "  --list-options       names and defaults\n\n"
    "Without --connect and --listen the socket is the descriptor that PLUMBLINE_FD names;\n"
    "PLUMBLINE_CTL_FD, PLUMBLINE_MEM_FD, _BASE and _SIZE, and PLUMBLINE_BUS are used where they "
    "are "
    "set.\n";

static int list_mutants(const struct pl_spec *spec)
{
    size_t n;
    const struct pl_mutant *mutants = pl_device_mutants(spec, &n);
    for (size_t i = 0; i < n; i++) {
        printf("%s\t", mutants[i].id);
        for (size_t k = 0; mutants[i].clauses[k]; k++)
            printf("%s%s", k ? "," : "", mutants[i].clauses[k]);
        printf("\t%s\n", mutants[i].text);
    }
    return 0;
}

static int list_options(const struct pl_spec *spec)
{
    size_t n;
    const struct pl_device_option *options = pl_device_options(spec, &n);
    for (size_t i = 0; i < n; i++)
        printf("%s=%llu\n", options[i].name, (unsigned long long)options[i].value);
    return 0;
}

/* A number from the environment; true where the variable is not set. */
static bool env_number(const char *name, uint64_t *value)
{
    const char *text = getenv(name);
    return !text || pl_cli_u64(text, value);
}

static int read_bus(struct request *request)
{
    struct pl_bus_params bus = {.revision = request->spec->revision,
                                .max_msg_size = request->spec->recommended_max_msg_size};
    const char *text = request->bus_text ? request->bus_text : getenv("PLUMBLINE_BUS");
    if (text && pl_bus_params_parse(text, &bus) < 0)
        return pl_cli_error(PL_EXIT_USAGE,
                            "%s: '%s' is not of the form 'revision=1 "
                            "max_msg_size=264 features=0x0'",
                            request->bus_text ? "--bus" : "PLUMBLINE_BUS", text);
    request->env.revision = bus.revision;
    request->env.max_msg_size = bus.max_msg_size;
    request->env.features = bus.features;
    return 0;
}

/* Map the shared memory that the environment offers, if it does. */
static int map_memory(struct request *request)
{
    uint64_t fd = UINT64_MAX, base = 0, size = 0;
    if (!env_number("PLUMBLINE_MEM_FD", &fd) || !env_number("PLUMBLINE_MEM_BASE", &base) ||
        !env_number("PLUMBLINE_MEM_SIZE", &size) || (fd != UINT64_MAX && fd > INT32_MAX))
        return pl_cli_error(PL_EXIT_USAGE, "PLUMBLINE_MEM_FD, PLUMBLINE_MEM_BASE and "
                                           "PLUMBLINE_MEM_SIZE must be numbers");
    if (fd == UINT64_MAX || size == 0)
        return 0;
    void *mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, (int)fd, 0);
    if (mem == MAP_FAILED)
        return pl_cli_error(PL_EXIT_UNREACHABLE,
                            "PLUMBLINE_MEM_FD: %llu bytes of descriptor %llu "
                            "cannot be mapped: %s",
                            (unsigned long long)size, (unsigned long long)fd, strerror(errno));
    request->env.mem = mem;
    request->env.mem_base = base;
    request->env.mem_size = size;
    return 0;
}

/* Serve one connection with a fresh device. */
static int serve_connection(struct request *request, int fd, int ctl_fd)
{
    char error[512];
    struct pl_serve serve = {.spec = request->spec,
                             .ops = &pl_device_endpoint,
                             .fd = fd,
                             .ctl_fd = ctl_fd,
                             .max_msg_size = request->env.max_msg_size};
    serve.self = serve.ops->open(&request->config, &request->env);
    if (!serve.self) {
        close(fd);
        return pl_cli_error(PL_EXIT_INTERNAL, "no memory for the reference device");
    }
    int err = pl_serve_run(&serve, error, sizeof(error));
    serve.ops->close(serve.self);
    return err ? pl_cli_error(PL_EXIT_UNREACHABLE, "serve: %s", error) : 0;
}

static int serve_listening(struct request *request)
{
    char error[512], address[256];
    int listener = pl_address_listen(request->listen, error, sizeof(error));
    if (listener < 0)
        return pl_cli_error(listener == -EINVAL ? PL_EXIT_USAGE : PL_EXIT_UNREACHABLE,
                            "--listen: %s", error);
    pl_address_local(listener, request->listen, address, sizeof(address));
    fprintf(stderr, "plumbline: listening on %s\n", address);
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            serve_connection(request, fd, -1); /* a broken connection was told; on to the next */
        else if (errno != EINTR && errno != ECONNABORTED)
            break;
    }
    int err = errno;
    close(listener);
    return pl_cli_error(PL_EXIT_UNREACHABLE, "--listen: %s: %s", address, strerror(err));
}

static int serve_inherited(struct request *request)
{
    uint64_t fd = UINT64_MAX, ctl = UINT64_MAX;
    if (!env_number("PLUMBLINE_FD", &fd) || !env_number("PLUMBLINE_CTL_FD", &ctl) ||
        (fd != UINT64_MAX && fd > INT32_MAX) || (ctl != UINT64_MAX && ctl > INT32_MAX))
        return pl_cli_error(PL_EXIT_USAGE,
                            "PLUMBLINE_FD and PLUMBLINE_CTL_FD must be file descriptors");
    if (fd == UINT64_MAX)
        return pl_cli_error(PL_EXIT_USAGE, "serve: there is neither --connect nor --listen, and "
                                           "PLUMBLINE_FD is not set");
    return serve_connection(request, (int)fd, ctl == UINT64_MAX ? -1 : (int)ctl);
}

static int serve(struct request *request)
{
    char error[512];
    if (request->listen)
        return serve_listening(request);
    if (!request->connect)
        return serve_inherited(request);
    int fd = pl_address_connect(request->connect, error, sizeof(error));
    if (fd < 0)
        return pl_cli_error(fd == -EINVAL ? PL_EXIT_USAGE : PL_EXIT_UNREACHABLE, "--connect: %s",
                            error);
    return serve_connection(request, fd, -1);
}

/* Check what belongs together, and fill in the device's configuration. */
static int prepare(struct request *request)
{
    char error[512];
    if (!request->role || strcmp(request->role, "device") != 0)
        return pl_cli_error(PL_EXIT_USAGE, "serve: '%s' is no reference peer; there is device",
                            request->role ? request->role : "");
    if (request->connect && request->listen)
        return pl_cli_error(PL_EXIT_USAGE, "serve: --connect and --listen exclude each other");
    request->spec = pl_cli_spec(request->spec_name);
    if (!request->spec)
        return PL_EXIT_USAGE;
    request->config.spec = request->spec->name;
    request->config.type = request->type;
    request->config.mutant = request->mutant;
    request->config.options = request->options;
    if (request->seed && !pl_cli_u64(request->seed, &request->config.seed))
        return pl_cli_error(PL_EXIT_USAGE, "--seed: '%s' is no number", request->seed);
    if (pl_device_config_check(&request->config, error, sizeof(error)) < 0)
        return pl_cli_error(PL_EXIT_USAGE, "%s", error);
    return read_bus(request);
}

int pl_cmd_serve(int argc, char **argv)
{
    struct request request = {0};
    const struct pl_cli_option options[] = {
        {.name = "--type", .value = &request.type},
        {.name = "--mutant", .value = &request.mutant},
        {.name = "--option", .list = request.options, .list_max = MAX_OPTIONS},
        {.name = "--connect", .value = &request.connect},
        {.name = "--listen", .value = &request.listen},
        {.name = "--bus", .value = &request.bus_text},
        {.name = "--spec", .value = &request.spec_name},
        {.name = "--seed", .value = &request.seed},
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
    if (request.list_mutants)
        return list_mutants(request.spec);
    if (request.list_options)
        return list_options(request.spec);
    err = map_memory(&request);
    if (!err)
        err = serve(&request);
    if (request.env.mem)
        munmap(request.env.mem, request.env.mem_size);
    return err;
}
