/* Reaching the IUT that a command line or a profile names. */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "port/memory.h"

/*
 * Keep this program and the reference device that it starts on one processor: they talk in turns,
 * and waking a sleeping processor for each message takes longer than the message. A hint; it may
 * fail.
 */
static void share_one_processor(void)
{
    cpu_set_t one;
    int cpu = sched_getcpu();
    CPU_ZERO(&one);
    if (cpu >= 0 && cpu < CPU_SETSIZE) {
        CPU_SET((size_t)cpu, &one);
        sched_setaffinity(0, sizeof(one), &one);
    }
}

/* Without a word about an IUT it is the role's reference peer, started as a process of its own. */
static int use_embedded(struct pl_cli_iut *iut)
{
    char self[400];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (n <= 0)
        return pl_cli_error(PL_EXIT_INTERNAL, "cannot find this program's own file: %s",
                            strerror(errno));
    self[n] = '\0';
    if (strchr(self, '\''))
        return pl_cli_error(PL_EXIT_INTERNAL, "this program's path has a quote in it: %s", self);
    snprintf(iut->own_exec, sizeof(iut->own_exec), "exec '%s' serve %s%s", self, iut->role,
             strcmp(iut->role, "device") == 0 ? " --clock messages" : "");
    iut->exec = iut->own_exec;
    if (strcmp(iut->role, "device") == 0)
        share_one_processor();
    snprintf(iut->name, sizeof(iut->name), "embedded reference %s%s", iut->role,
             strcmp(iut->role, "device") == 0 ? " (block)" : "");
    return 0;
}

/* Append one word as a shell takes it: in single quotes, with ' as '\\''. */
static void append_quoted(char *out, size_t cap, const char *word)
{
    size_t n = strlen(out);
    const char *plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:=,@%+";
    if (*word && strspn(word, plain) == strlen(word)) {
        snprintf(out + n, cap - n, "%s", word);
        return;
    }
    n += (size_t)snprintf(out + n, cap - n, "'");
    for (; *word && n + 6 < cap; word++)
        n += (size_t)snprintf(out + n, cap - n, *word == '\'' ? "'\\''" : "%c", *word);
    snprintf(out + n, cap - n, "'");
}

static void append_option(struct pl_cli_iut *iut, const char *option, const char *value)
{
    size_t n = strlen(iut->repeat);
    snprintf(iut->repeat + n, sizeof(iut->repeat) - n, " %s%s", option, option[0] ? " " : "");
    append_quoted(iut->repeat, sizeof(iut->repeat), value);
}

static void repeat_command(struct pl_cli_iut *iut, const char *command)
{
    snprintf(iut->repeat, sizeof(iut->repeat), "plumbline %s", command);
    if (iut->profile_path)
        append_option(iut, "", iut->profile_path);
    if (iut->exec && iut->exec != iut->own_exec)
        append_option(iut, "--exec", iut->exec);
    else if (iut->connect)
        append_option(iut, "--connect", iut->connect);
    else if (iut->listen)
        append_option(iut, "--listen", iut->listen);
    if (iut->role_option)
        append_option(iut, "--role", iut->role_option);
    if (iut->carrier)
        append_option(iut, "--carrier", iut->carrier);
    if (iut->device_side)
        append_option(iut, "--device-side", iut->device_side);
    if (iut->memory)
        append_option(iut, "--memory", iut->memory);
}

static bool known_clause(void *opaque, const struct pl_spec *spec, const char *id)
{
    const struct pl_clauses *clauses = pl_clauses_find(spec);
    (void)opaque;
    return clauses && pl_clauses_index(clauses, id) >= 0;
}

static int load_profile(struct pl_cli_iut *iut)
{
    static const struct pl_profile_lookup lookup = {.clause = known_clause};
    char error[512];
    pl_profile_default(&iut->profile);
    if (iut->profile_path &&
        pl_profile_load(iut->profile_path, &lookup, &iut->profile, error, sizeof(error)) < 0) {
        pl_profile_default(&iut->profile);
        return pl_cli_error(PL_EXIT_USAGE, "%s", error);
    }
    if ((iut->exec != NULL) + (iut->connect != NULL) + (iut->listen != NULL) > 1)
        return pl_cli_error(PL_EXIT_USAGE, "--exec, --connect and --listen exclude each other");
    iut->spec = iut->spec_name ? pl_cli_spec(iut->spec_name) : iut->profile.spec;
    if (!iut->spec)
        return PL_EXIT_USAGE;
    enum pl_role role = iut->profile.role;
    iut->role_option = iut->role;
    if (iut->role && !pl_role_find(iut->role, &role))
        return pl_cli_error(PL_EXIT_USAGE, "--role: '%s' is none of device, driver, bus",
                            iut->role);
    iut->role = pl_role_name(role);
    return 0;
}

static void name_iut(struct pl_cli_iut *iut)
{
    if (iut->name[0])
        return;
    const char *how = iut->exec ? iut->exec : iut->connect ? iut->connect : iut->listen;
    snprintf(iut->name, sizeof(iut->name), "%s",
             iut->profile.name && iut->profile.name[0] ? iut->profile.name : how);
}

/* What --carrier and --memory say comes before the profile. 0 or an exit status after the error. */
static int apply_options(const struct pl_cli_iut *iut, struct pl_port_options *options,
                         struct pl_memory_file *file)
{
    char error[512];
    if (!options->exec)
        options->carrier = PL_CARRIER_SEQPACKET;
    if (iut->carrier && !pl_carrier_find(iut->carrier, &options->carrier, &options->carrier_options,
                                         error, sizeof(error)))
        return pl_cli_error(PL_EXIT_USAGE, "--carrier: %s", error);
    if (!iut->memory)
        return 0;
    if (pl_memory_parse(iut->memory, file, error, sizeof(error)) < 0)
        return pl_cli_error(PL_EXIT_USAGE, "--memory: %s", error);
    options->mem_path = file->path;
    options->mem_size = file->size;
    options->mem_base = file->base;
    return 0;
}

/* What the profile and the options say of the port. 0, or an exit status after the error. */
static int port_options(const struct pl_cli_iut *iut, struct pl_port_options *options,
                        struct pl_memory_file *file)
{
    pl_profile_port_options(&iut->profile, options);
    options->spec = iut->spec;
    options->connect = iut->connect;
    options->listen = iut->listen;
    options->exec = iut->exec;
    options->clock =
        iut->exec &&
        (iut->profile.clock || (iut->exec == iut->own_exec && strcmp(iut->role, "driver") == 0));
    options->device_side = strcmp(iut->role, "bus") == 0;
    options->driver = strcmp(iut->role, "driver") == 0;
    options->device_address =
        iut->device_side ? iut->device_side
        : iut->profile.connect == iut->connect && iut->profile.listen == iut->listen
            ? iut->profile.device_side
            : NULL;
    return apply_options(iut, options, file);
}

struct pl_port *pl_cli_iut_another(void *opaque)
{
    const struct pl_cli_iut *iut = opaque;
    char error[512] = "";
    struct pl_memory_file file;
    struct pl_port_options options = {0};
    if (!iut->exec || port_options(iut, &options, &file))
        return NULL;
    return pl_port_open(&options, error, sizeof(error));
}

/* Open the port. 0, or an exit status after the error. */
static int open_port(struct pl_cli_iut *iut)
{
    char error[512] = "";
    struct pl_memory_file file;
    struct pl_port_options options = {0};
    int err = port_options(iut, &options, &file);
    if (err)
        return err;
    iut->port = pl_port_open(&options, error, sizeof(error));
    if (!iut->port)
        return pl_cli_error(PL_EXIT_USAGE, "%s", error);
    if (iut->profile.bus_stated && iut->port->carrier_max &&
        iut->profile.bus.max_msg_size > iut->port->carrier_max)
        return pl_cli_error(PL_EXIT_USAGE,
                            "%s: key 'bus': a message of %s has at most %u bytes, max_msg_size is "
                            "%u",
                            iut->profile_path, iut->port->name, iut->port->carrier_max,
                            iut->profile.bus.max_msg_size);
    return 0;
}

/* A device is behind a vhost-user back-end, and a driver behind a front-end. */
static int check_gateway(const struct pl_cli_iut *iut)
{
    static const char prefix[] = "vhost-user:";
    bool driver = strcmp(iut->role, "driver") == 0;
    const char *wrong = driver ? iut->connect : iut->listen;
    if (!wrong || strncmp(wrong, prefix, strlen(prefix)) != 0)
        return 0;
    return pl_cli_error(PL_EXIT_USAGE,
                        "%s: a back-end is connected to and has a device behind it; a front-end "
                        "connects, and has a driver (--role driver --listen): the role is %s",
                        wrong, iut->role);
}

int pl_cli_iut_open(struct pl_cli_iut *iut, const char *command)
{
    int err = load_profile(iut);
    if (err)
        return err;
    repeat_command(iut, command);
    if (!iut->exec && !iut->connect && !iut->listen) {
        iut->exec = iut->profile.exec;
        iut->connect = iut->profile.connect;
        iut->listen = iut->profile.listen;
    }
    if (!iut->exec && !iut->connect && !iut->listen) {
        err = use_embedded(iut);
        if (err)
            return err;
    }
    err = check_gateway(iut);
    if (err)
        return err;
    name_iut(iut);
    return open_port(iut);
}

void pl_cli_iut_close(struct pl_cli_iut *iut)
{
    if (iut->port)
        iut->port->ops->close(iut->port);
    pl_profile_free(&iut->profile);
}
