/* The shared memory of a port, and the environment of a started IUT. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "port/memory.h"
#include "port/private.h"

struct pl_endpoint_env pl_port_env(const struct pl_port *port, const struct pl_bus_params *bus)
{
    return (struct pl_endpoint_env){.revision = bus->revision,
                                    .max_msg_size = bus->max_msg_size,
                                    .features = bus->features,
                                    .mem = port->mem,
                                    .mem_base = port->mem_base,
                                    .mem_size = port->mem_size,
                                    .mem_parts = port->mem_parts};
}

int pl_memory_create(struct pl_port *port)
{
    int fd = memfd_create("plumbline-memory", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return pl_port_fail(port, -errno, "cannot make shared memory: %s", strerror(errno));
    /* Sealed: an IUT that shrinks it must not be able to kill the harness with SIGBUS. */
    if (ftruncate(fd, (off_t)port->mem_size) == 0 &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0) {
        int r = pl_guard_map(fd, port->mem_size, &port->mem);
        if (r == 0)
            return fd;
        errno = -r;
    }
    int err = -errno;
    close(fd);
    return pl_port_fail(port, err, "cannot make %zu bytes of shared memory: %s", port->mem_size,
                        strerror(-err));
}

int pl_memory_use(struct pl_port *port, const struct pl_port_options *options, char *error,
                  size_t cap)
{
    struct pl_memory_file file = {.size = options->mem_size, .base = options->mem_base};
    int fd = -1, r;
    if (strlen(options->mem_path) >= sizeof file.path) {
        snprintf(error, cap, "memory: the path is too long");
        return -EINVAL;
    }
    strcpy(file.path, options->mem_path);
    r = pl_memory_check(&file, error, cap);
    if (r == 0)
        r = pl_memory_open(&file, &port->mem, &fd, error, cap);
    port->mem_size = file.size;
    port->mem_base = file.base;
    return r < 0 ? r : fd;
}

void pl_memory_free(struct pl_port *port, int fd)
{
    pl_guard_unmap(port->mem);
    port->mem = NULL;
    if (fd >= 0)
        close(fd);
}

void pl_memory_clear(struct pl_port *port, int fd)
{
    if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)port->mem_size) != 0)
        memset(port->mem, 0, port->mem_size);
}

char *pl_copy_text(const char *text)
{
    return text ? strdup(text) : NULL;
}

/* Whether an entry of the environment sets a variable that speaks of another run. */
static bool is_ours(const char *entry)
{
    static const char *const names[] = {
        "PLUMBLINE_FD=",       "PLUMBLINE_DEVICE_FD=", "PLUMBLINE_CTL_FD=", "PLUMBLINE_MEM_FD=",
        "PLUMBLINE_MEM_BASE=", "PLUMBLINE_MEM_SIZE=",  "PLUMBLINE_BUS=",    "PLUMBLINE_SPSC="};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strncmp(entry, names[i], strlen(names[i])) == 0)
            return true;
    return false;
}

char **pl_environment(const char *const *extra)
{
    size_t n = 0, used = 0;
    while (environ && environ[n])
        n++;
    for (const char *const *e = extra; *e; e++)
        n++;
    char **out = calloc(n + 1, sizeof *out);
    if (!out)
        return NULL;
    for (char **e = environ; e && *e; e++)
        if (!is_ours(*e))
            out[used++] = *e;
    for (const char *const *e = extra; *e; e++)
        out[used++] = (char *)(uintptr_t)*e;
    return out;
}
