/* A folder for the sockets of a fuzz target, removed at the end of the process that made it. */
#ifndef PL_FUZZ_PLACE_H
#define PL_FUZZ_PLACE_H

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { FUZZ_PLACE_MAX = 64 };

static char fuzz_folder[FUZZ_PLACE_MAX], fuzz_socket[FUZZ_PLACE_MAX + 8];
static char fuzz_fifo[FUZZ_PLACE_MAX + 8];

static inline void fuzz_place_remove(void)
{
    unlink(fuzz_socket);
    unlink(fuzz_fifo);
    rmdir(fuzz_folder);
}

/* The path of a socket in a folder of this process's own. */
static inline const char *fuzz_place(void)
{
    const char *parent = getenv("TMPDIR");

    if (fuzz_folder[0])
        return fuzz_socket;
    snprintf(fuzz_folder, sizeof(fuzz_folder), "%.40s/pl-fuzz-XXXXXX", parent ? parent : "/tmp");
    if (!mkdtemp(fuzz_folder))
        abort();
    snprintf(fuzz_socket, sizeof(fuzz_socket), "%s/socket", fuzz_folder);
    snprintf(fuzz_fifo, sizeof(fuzz_fifo), "%s/fifo", fuzz_folder);
    atexit(fuzz_place_remove);
    return fuzz_socket;
}

/* Its address as the system wants it. */
static inline struct sockaddr_un fuzz_place_address(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", fuzz_place());
    return address;
}

#endif
