/* Starts and ends a vhost-user program in a folder of its own. */
#include "port/vhost_user_exec.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { GONE_MS = 3000 }; /* a program that broke off may still be writing why */

int pl_vu_exec_open(struct pl_vu_exec *x, const char *command, char *error, size_t cap)
{
    const char *where = getenv("TMPDIR");

    x->child = (struct pl_child){.pidfd = -1, .err_fd = -1};
    /* A socket's path has little room. */
    if (!where || !*where || strlen(where) > sizeof(x->folder) / 2)
        where = "/tmp";
    snprintf(x->folder, sizeof(x->folder), "%s/plumbline-XXXXXX", where);
    if (!mkdtemp(x->folder)) {
        int code = -errno;
        snprintf(error, cap, "%s: no folder can be made for the socket: %s", where,
                 strerror(errno));
        x->folder[0] = '\0';
        return code;
    }
    snprintf(x->path, sizeof(x->path), "%s/s", x->folder);
    x->command = strdup(command);
    if (x->command)
        return 0;
    snprintf(error, cap, "out of memory");
    return -ENOMEM;
}

static void empty_folder(const struct pl_vu_exec *x, bool keep_socket)
{
    char path[sizeof(x->folder) + sizeof(((struct dirent *)0)->d_name) + 1];
    DIR *folder = opendir(x->folder);

    for (struct dirent *e; folder && (e = readdir(folder));) {
        if (keep_socket && strcmp(e->d_name, "s") == 0)
            continue;
        snprintf(path, sizeof(path), "%s/%s", x->folder, e->d_name);
        unlink(path); /* the entries of the folder itself are none that can be unlinked */
    }
    if (folder)
        closedir(folder);
}

int pl_vu_exec_start(struct pl_vu_exec *x, bool keep_socket)
{
    char text[sizeof("PLUMBLINE_VHOST_USER=") + sizeof(x->path)];
    const char *const extra[] = {text, NULL};

    if (!x->command)
        return 0;
    pl_vu_exec_stop(x, false, NULL);
    empty_folder(x, keep_socket);
    snprintf(text, sizeof(text), "PLUMBLINE_VHOST_USER=%s", x->path);
    struct pl_child_setup setup = {.env = pl_environment(extra)};
    int code = setup.env ? pl_child_start(&x->child, x->command, &setup) : -ENOMEM;
    free((void *)(uintptr_t)setup.env);
    return code;
}

bool pl_vu_exec_ended(const struct pl_vu_exec *x)
{
    return x->command && x->child.pid && pl_child_exited(&x->child);
}

void pl_vu_exec_stop(struct pl_vu_exec *x, bool gone, struct pl_end *end)
{
    struct pl_end how = {.how = PL_END_RUNNING};

    if (!x->command || !x->child.pid)
        return;
    int killed = 0;
    bool exited = pl_child_wait(&x->child, pl_clock_ms() + (gone ? GONE_MS : 0));
    if (!exited)
        killed = pl_child_kill(&x->child);
    pl_child_reap(&x->child, true, &how);
    how.by_itself = exited;
    if (killed) {
        how.how = PL_END_RUNNING;
        how.code = killed;
    }
    if (end)
        *end = how;
}

void pl_vu_exec_tell(struct pl_vu_exec *x, struct pl_port *port)
{
    enum { MOST = 280 };
    struct pl_end end = {.how = PL_END_RUNNING};
    char how[48] = "", error[sizeof(port->error)];

    if (!x->command)
        return;
    pl_vu_exec_stop(x, false, &end);
    if (end.by_itself)
        snprintf(how, sizeof(how), "; it ended with %s %d",
                 end.how == PL_END_SIGNALLED ? "signal" : "status", end.code);
    for (char *p = end.stderr_tail; *p; p++)
        *p = *p == '\n' || *p == '\r' ? ' ' : *p;
    size_t n = strlen(end.stderr_tail);
    snprintf(error, sizeof(error), "%.150s%s%s%.280s", port->error, how, n ? "; it wrote: " : "",
             end.stderr_tail + (n > MOST ? n - MOST : 0));
    snprintf(port->error, sizeof(port->error), "%s", error);
}

void pl_vu_exec_close(struct pl_vu_exec *x)
{
    pl_vu_exec_stop(x, false, NULL);
    if (x->folder[0]) {
        empty_folder(x, false);
        rmdir(x->folder);
    }
    free(x->command);
    *x = (struct pl_vu_exec){.child = {.pidfd = -1, .err_fd = -1}};
}
