/* What the carriers share among themselves: one step of a channel, links, children, control. */
#ifndef PL_PORT_PRIVATE_H
#define PL_PORT_PRIVATE_H

#include <poll.h>
#include <sys/types.h>

#include "port/port.h"

/* --- time and errors --- */

/* The monotonic clock in milliseconds. */
int64_t pl_clock_ms(void);
/* Milliseconds until `deadline`, for poll: 0 where it has passed, -1 where deadline is INT64_MAX.
 */
int pl_left_ms(int64_t deadline);
/*
 * The deadline of a receive whose first try, with or without waiting, brought nothing. The clock is
 * not read before, because most receives are over by then.
 */
int64_t pl_deadline_after(int timeout_ms, bool waited);
/* Write "NAME: SENTENCE" into port->error and return err. */
int pl_port_fail(struct pl_port *port, int err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* --- looking before sleeping --- */

/* `sleeps_badly`: only a clock would wake this end, so that it looks with one processor, too. */
void pl_spin_init(struct pl_spin *spin, bool sleeps_badly);
/* A wait begins: is it to be looked for? */
bool pl_spin_begin(struct pl_spin *spin);
/* Let a moment pass; false where the time for looking is over. `cheap`: a look is no system call.
 */
bool pl_spin_on(struct pl_spin *spin, bool cheap);
/* A message came: remember how long it took. */
void pl_spin_learn(struct pl_spin *spin);

/* --- one step of a channel --- */

/*
 * Take the next message where there is one: its size, 0 where none is there, or a negative errno.
 * It is looked for a little while first, or waited for some milliseconds, where `wait` says so.
 */
enum pl_wait { PL_WAIT_NOT, PL_WAIT_LOOK, PL_WAIT_SLICE };
int pl_chan_try(struct pl_chan *chan, const struct pl_spec *spec, void *buf, size_t cap,
                size_t max_size, enum pl_wait wait);
/* Keep the header that framing was lost with. */
void pl_chan_keep(struct pl_chan *chan, const struct pl_spec *spec, const uint8_t *header);
/* Of a stream, behind a try that took nothing: the header of a message that has begun; its size. */
size_t pl_chan_begun(const struct pl_chan *chan, const struct pl_spec *spec, uint8_t *header);
/* How long PL_WAIT_SLICE waits at most; only a longer time limit may use it. */
#define PL_CHAN_SLICE_MS 4
/*
 * Send what can be sent of a message from *done on: 1 whole, 0 not yet, or a negative errno.
 */
int pl_chan_push(struct pl_chan *chan, const void *msg, size_t size, size_t *done);
/* Whether the peer has closed its end, told without waiting and without taking anything. */
bool pl_chan_hung_up(const struct pl_chan *chan);
/* Give up in the middle of a message: nothing can follow on a stream. Returns err. */
int pl_chan_give_up(struct pl_chan *chan, int err, size_t done, size_t size);

/* --- messages that arrived while the port was busy with something else --- */

struct pl_pending {
    uint8_t *bytes; /* each message after its size */
    size_t head, tail, cap;
};
/* False where it is full or memory is out. */
bool pl_pending_put(struct pl_pending *pending, const void *msg, size_t size);
/* The first message's size, 0 where there is none. */
size_t pl_pending_take(struct pl_pending *pending, void *buf, size_t cap);
bool pl_pending_has_room(const struct pl_pending *pending);
void pl_pending_free(struct pl_pending *pending);

/* --- a started shell command --- */

struct pl_tail {
    char bytes[sizeof((struct pl_end *)0)->stderr_tail - 1];
    size_t next;  /* where the next byte goes */
    bool wrapped; /* all of bytes is in use */
};
struct pl_child {
    pid_t pid;  /* 0: none */
    int pidfd;  /* -1: the system has none */
    int err_fd; /* what it writes to stdout and stderr; -1: closed */
    struct pl_tail tail;
};
/*
 * Move a pair of descriptors above the standard ones, which a child replaces. 0, or a negative
 * errno with both closed.
 */
int pl_raise_pair(int ends[2]);
/* What pl_child_start needs besides the command. `fds` stay open in the child, under their numbers.
 */
struct pl_child_setup {
    char *const *env;
    const int *fds;
    size_t n_fds;
};
/* Run a command with /bin/sh in a process group of its own. 0 or a negative errno. */
int pl_child_start(struct pl_child *child, const char *command, const struct pl_child_setup *setup);
/* Take what the child has written, without ever waiting. */
void pl_child_drain(struct pl_child *child);
/* Whether the command has ended; it stays to be reaped. */
bool pl_child_exited(const struct pl_child *child);
/* Wait for its end and keep draining what it writes. True: it has ended. */
bool pl_child_wait(struct pl_child *child, int64_t deadline);
/* End it with SIGTERM, then SIGKILL; returns the signal that ended it, or 0 where none was needed.
 */
int pl_child_kill(struct pl_child *child);
/*
 * Reap a command that has ended and say how; `group` ends what it left behind too. Closes
 * everything.
 */
void pl_child_reap(struct pl_child *child, bool group, struct pl_end *end);
/* The end of what it wrote, as valid UTF-8. */
void pl_tail_copy(const struct pl_tail *tail, char *out, size_t cap);

/* --- a connected socket and what happens beside it --- */

struct pl_link {
    struct pl_port *port;
    struct pl_chan chan; /* fd -1: not connected */
    struct pl_pending pending;
    bool attended; /* port->meanwhile is called while this link waits */
    int late;      /* an error that came while messages were put aside; told after them */
    char late_error[sizeof((struct pl_chan *)0)->error];
    uint8_t *scratch;
    int send_timeout_ms;
    struct pl_child *child; /* may be NULL */
    struct pl_link *other;  /* the other side of a bus under test; may be NULL */
};
void pl_link_init(struct pl_link *link, struct pl_port *port,
                  const struct pl_port_options *options);
/* Take a connected descriptor. 0 or a negative errno with port->error. */
int pl_link_open(struct pl_link *link, int fd);
/*
 * The same over shared memory: meet the other end, as pl_spsc_meet. `wake` is a connected wakeup
 * socket, which is taken, or -1: as the address says.
 */
struct pl_spsc_host;
int pl_link_meet(struct pl_link *link, struct pl_spsc_host *host, int timeout_ms, int wake);
int pl_link_send(struct pl_link *link, const void *msg, size_t size);
int pl_link_receive(struct pl_link *link, void *buf, size_t cap, int timeout_ms);
/*
 * Wait until fd shows `events`, and meanwhile put messages aside and drain the child: 0 or
 * -ETIMEDOUT.
 */
int pl_link_wait(struct pl_link *link, int fd, short events, int64_t deadline);
/*
 * Let the port's owner work on what has come, where it attends; how long to wait at most until the
 * next time: `left`, or less, or PL_MEANWHILE_STOP.
 */
int pl_link_attend(struct pl_link *link, int left);
/* Wait until either of two links has something to receive. */
void pl_link_wait_either(struct pl_link *a, struct pl_link *b, int timeout_ms);
/* Say end of file to the other end, and go on reading. */
void pl_link_finish(struct pl_link *link);
/* Throw away what has arrived, so that the other end never waits for us. */
void pl_link_discard(struct pl_link *link);
/* Drop the connection and what arrived on it; the link can be opened again. */
void pl_link_close(struct pl_link *link);
void pl_link_free(struct pl_link *link);

/* --- control --- */

struct pl_clock;
struct pl_control {
    int fd;                 /* -1: no control socket */
    struct pl_clock *clock; /* answers are waited for in its time; NULL: the real clock's */
    unsigned owed;          /* answers to requests that were given up */
    char **commands;        /* name, command, ..., NULL; or NULL */
    size_t fill;
    char buf[1024];
};
/* Copies the commands. 0, or a negative errno with a sentence in error. */
int pl_control_init(struct pl_control *control, const char *const *commands, char *error,
                    size_t cap);
/* The port's control operation, by command or by socket. */
int pl_control_ask(struct pl_control *control, struct pl_link *link, const char *line, char *answer,
                   size_t cap, int timeout_ms);
/* The same by shell command alone. */
int pl_control_run(struct pl_control *control, struct pl_link *link, const char *line, char *answer,
                   size_t cap, int timeout_ms);
void pl_control_disconnect(struct pl_control *control);
void pl_control_free(struct pl_control *control);

/* --- shared memory and environment of a started IUT --- */

/* A sealed memfd of port->mem_size bytes, mapped at port->mem. The descriptor, or a negative errno.
 */
int pl_memory_create(struct pl_port *port);
/*
 * Map the file that the options name at port->mem. The descriptor, or a negative errno with one
 * sentence in error.
 */
int pl_memory_use(struct pl_port *port, const struct pl_port_options *options, char *error,
                  size_t cap);
/*
 * Does any other process map the memory behind this descriptor? True also where a process of this
 * group does not let itself be looked at.
 */
bool pl_memory_mapped(int fd, long group);
/* Unmap and close either. */
void pl_memory_free(struct pl_port *port, int fd);
/* All bytes 0 again. */
void pl_memory_clear(struct pl_port *port, int fd);
/* The environment with `extra` ("NAME=value", NULL-ended) in place of its own; freed with free().
 */
char **pl_environment(const char *const *extra);

/* What a bus's parameters may be; 0, or -EINVAL with port->error. Sets port->max_msg_size. */
int pl_port_adopt(struct pl_port *port, const struct pl_bus_params *bus);
/* A copy of an option's text, or NULL for NULL. */
char *pl_copy_text(const char *text);

/* --- the carriers --- */

struct pl_port *pl_port_socket(const struct pl_port_options *options, char *error, size_t cap);
struct pl_port *pl_port_exec(const struct pl_port_options *options, char *error, size_t cap);

/* --- addresses, taken apart --- */

enum pl_address_kind { PL_ADDRESS_UNIX, PL_ADDRESS_UNIX_STREAM, PL_ADDRESS_TCP, PL_ADDRESS_FD };
struct pl_address {
    enum pl_address_kind kind;
    char host[256]; /* tcp's host, or the path */
    char service[6];
    int fd;
};
int pl_address_parse(const char *text, struct pl_address *out, char *error, size_t cap);
/* As pl_address_connect, with a time limit. */
int pl_address_reach(const char *text, int timeout_ms, char *error, size_t cap);

#endif
