/* A vhost-user program that the harness starts itself, and the socket that both meet at. */
#ifndef PL_PORT_VHOST_USER_EXEC_H
#define PL_PORT_VHOST_USER_EXEC_H

#include "port/private.h"

/* Zero but for what pl_vu_exec_open sets: there is no command, and each function does nothing. */
struct pl_vu_exec {
    char *command; /* owned; NULL: the program runs already */
    char folder[80], path[96];
    struct pl_child child;
};

/*
 * A command, and a folder of its own with the path of the socket in it. The command finds that path
 * as PLUMBLINE_VHOST_USER in its environment, and may keep files beside it: they go with the
 * folder. 0, or a negative errno with one sentence in `error`.
 */
int pl_vu_exec_open(struct pl_vu_exec *x, const char *command, char *error, size_t cap);
/* End what runs, empty the folder but for the socket where `keep_socket`, and start the command. */
int pl_vu_exec_start(struct pl_vu_exec *x, bool keep_socket);
/* It was started and has ended by itself. */
bool pl_vu_exec_ended(const struct pl_vu_exec *x);
/*
 * End it and say how it ended. `gone`: it broke off by itself, and is given the time to be seen
 * doing it. Without a command `end` is left alone.
 */
void pl_vu_exec_stop(struct pl_vu_exec *x, bool gone, struct pl_end *end);
/* It cannot be reached, as port->error says: end it, and add what it said, which tells more. */
void pl_vu_exec_tell(struct pl_vu_exec *x, struct pl_port *port);
/* End it, and remove the folder. */
void pl_vu_exec_close(struct pl_vu_exec *x);

#endif
