/* Children: a shell command in a session of its own, watched, drained and ended with all it
 * started. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "port/private.h"
#include "port/utf8.h"

/* A pipe this large takes a burst of messages without holding up who writes it. */
#define PIPE_SIZE       (1 << 20)
#define TERM_TIMEOUT_MS 300
#define KILL_TIMEOUT_MS 2000
/* The most that one drain reads, so that a flood cannot hold the caller. */
#define DRAIN_CHUNKS 128

/* --- what it writes --- */

static void tail_add(struct pl_tail *tail, const char *bytes, size_t size)
{
    const size_t cap = sizeof tail->bytes;
    if (size > cap) {
        bytes += size - cap;
        size = cap;
        tail->wrapped = true;
        tail->next = 0;
    }
    size_t first = size < cap - tail->next ? size : cap - tail->next;
    memcpy(tail->bytes + tail->next, bytes, first);
    memcpy(tail->bytes, bytes + first, size - first);
    if (tail->next + size >= cap)
        tail->wrapped = true;
    tail->next = (tail->next + size) % cap;
}

void pl_tail_copy(const struct pl_tail *tail, char *out, size_t cap)
{
    char text[sizeof tail->bytes];
    size_t old = tail->wrapped ? sizeof tail->bytes - tail->next : 0, size = old + tail->next;
    memcpy(text, tail->bytes + tail->next, old);
    memcpy(text + old, tail->bytes, tail->next);
    size_t at = size >= cap ? size - (cap - 1) : 0, used = 0;
    /* A character that was cut in two at the front is no error of the one who wrote it. */
    while ((tail->wrapped || at > 0) && at < size && ((unsigned char)text[at] & 0xc0) == 0x80)
        at++;
    while (at < size) {
        size_t length = pl_utf8_length(text + at, size - at);
        if (length == 0 || text[at] == '\0') {
            out[used++] = '?';
            at++;
            continue;
        }
        memcpy(out + used, text + at, length);
        used += length;
        at += length;
    }
    out[used] = '\0';
}

void pl_child_drain(struct pl_child *child)
{
    char chunk[16384];
    for (int i = 0; i < DRAIN_CHUNKS && child->err_fd >= 0; i++) {
        ssize_t n = read(child->err_fd, chunk, sizeof chunk);
        if (n > 0) {
            tail_add(&child->tail, chunk, (size_t)n);
        } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
            close(child->err_fd);
            child->err_fd = -1;
        } else if (errno == EAGAIN) {
            return;
        }
    }
}

/* --- starting --- */

/* Words that mean something to the shell alone: no program can be run in their place. */
static bool is_shell_word(const char *word, size_t length)
{
    static const char *const words[] = {
        "alias",  "bg",       "break",   "case",  "cd",      "command", "continue", "eval", "exec",
        "exit",   "export",   "fg",      "for",   "getopts", "hash",    "if",       "jobs", "local",
        "read",   "readonly", "return",  "set",   "shift",   "source",  "times",    "trap", "type",
        "ulimit", "umask",    "unalias", "unset", "until",   "wait",    "while",    ".",    ":"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strlen(words[i]) == length && memcmp(words[i], word, length) == 0)
            return true;
    return false;
}

/*
 * Whether a command is one program with its arguments. The shell then gives its place to it, so
 * that the program's own end is seen, and no shell keeps the sockets open that the program closes.
 */
static bool is_simple(const char *command)
{
    command += strspn(command, " \t");
    size_t first = strcspn(command, " \t");
    size_t name = strspn(command, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789_./+-@%,");
    return first > 0 && name == first && !is_shell_word(command, first) &&
           !strpbrk(command, ";&|()\n#");
}

/*
 * The child's half, between vfork and exec: only what is safe there. It has its caller's memory and
 * leaves it alone.
 */
_Noreturn static void child_run(char *command, const struct pl_child_setup *setup, int err_fd,
                                pid_t parent)
{
    sigset_t none;
    sigemptyset(&none);
    /* A group and no session: sessions are scheduled apart, which makes every round trip dearer. */
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) /* it died before the line above */
        _exit(127);
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null >= 0)
        dup2(null, STDIN_FILENO);
    dup2(err_fd, STDOUT_FILENO);
    dup2(err_fd, STDERR_FILENO);
    for (size_t i = 0; i < setup->n_fds; i++)
        fcntl(setup->fds[i], F_SETFD, 0);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    char sh[] = "sh", option[] = "-c";
    execve("/bin/sh", (char *const[]){sh, option, command, NULL}, setup->env);
    _exit(127);
}

int pl_raise_pair(int ends[2])
{
    int err = 0;
    for (int i = 0; i < 2; i++) {
        int low = ends[i];
        if (low > 2)
            continue;
        ends[i] = fcntl(low, F_DUPFD_CLOEXEC, 3);
        if (ends[i] < 0)
            err = -errno;
        close(low);
    }
    for (int i = 0; err && i < 2; i++)
        if (ends[i] >= 0)
            close(ends[i]);
    return err;
}

/*
 * Start the command's process with the pipe's writing end. Its number, or a negative errno. With
 * vfork nothing of a large harness with many threads is copied for a program that replaces it.
 */
static pid_t child_fork(char *command, const struct pl_child_setup *setup, int err_fd)
{
    sigset_t all, before;
    pid_t parent = getpid();
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t pid = vfork();
    if (pid == 0)
        child_run(command, setup, err_fd, parent);
    int err = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (pid < 0)
        return -err;
    setpgid(pid, pid); /* here too, so that it can be signalled as a group at once */
    return pid;
}

int pl_child_start(struct pl_child *child, const char *command, const struct pl_child_setup *setup)
{
    int ends[2], r = 0;
    *child = (struct pl_child){.pidfd = -1, .err_fd = -1};
    size_t size = strlen(command) + sizeof "exec ";
    char *text = malloc(size);
    if (!text)
        return -ENOMEM;
    snprintf(text, size, "%s%s", is_simple(command) ? "exec " : "", command);
    if (pipe2(ends, O_CLOEXEC) != 0)
        r = -errno;
    if (r == 0)
        r = pl_raise_pair(ends);
    if (r == 0) {
        fcntl(ends[0], F_SETFL, O_NONBLOCK);
        fcntl(ends[1], F_SETPIPE_SZ, PIPE_SIZE);
        r = child_fork(text, setup, ends[1]);
        close(ends[1]);
        if (r < 0)
            close(ends[0]);
    }
    free(text);
    if (r < 0)
        return r;
    child->pid = r;
    child->pidfd = pidfd_open(r, 0);
    child->err_fd = ends[0];
    return 0;
}

/* --- ending --- */

bool pl_child_exited(const struct pl_child *child)
{
    siginfo_t info = {0};
    if (child->pid == 0 || waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0)
        return true; /* there is no such child any more */
    return info.si_pid == child->pid;
}

bool pl_child_wait(struct pl_child *child, int64_t deadline)
{
    while (!pl_child_exited(child)) {
        int left = pl_left_ms(deadline);
        struct pollfd p[2] = {{.fd = child->pidfd, .events = POLLIN},
                              {.fd = child->err_fd, .events = POLLIN}};
        if (left == 0)
            return false;
        /* Without a pidfd its end is looked for every now and then. */
        poll(p, 2, child->pidfd < 0 && left > 2 ? 2 : left);
        pl_child_drain(child);
    }
    return true;
}

/* Signal the whole group, or the child alone where there is none. */
static void child_signal(const struct pl_child *child, int signal_number)
{
    if (kill(-child->pid, signal_number) != 0)
        kill(child->pid, signal_number);
}

int pl_child_kill(struct pl_child *child)
{
    if (pl_child_exited(child))
        return 0;
    child_signal(child, SIGTERM);
    if (pl_child_wait(child, pl_clock_ms() + TERM_TIMEOUT_MS))
        return SIGTERM;
    child_signal(child, SIGKILL);
    pl_child_wait(child, pl_clock_ms() + KILL_TIMEOUT_MS);
    return SIGKILL;
}

/* How a status says that it ended; a shell tells of its command's signal as 128 and the number. */
static void read_status(int status, struct pl_end *end)
{
    end->how = WIFSIGNALED(status) ? PL_END_SIGNALLED : PL_END_EXITED;
    end->code = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
    if (end->how == PL_END_EXITED && end->code > 128 && end->code < 128 + 32) {
        end->how = PL_END_SIGNALLED;
        end->code -= 128;
    }
}

void pl_child_reap(struct pl_child *child, bool group, struct pl_end *end)
{
    int status = 0;
    /* While it is not reaped its number cannot name another group. */
    if (child->pid && group)
        kill(-child->pid, SIGKILL);
    if (child->pid && waitpid(child->pid, &status, WNOHANG) == child->pid)
        read_status(status, end);
    pl_child_drain(child);
    pl_tail_copy(&child->tail, end->stderr_tail, sizeof end->stderr_tail);
    if (child->err_fd >= 0)
        close(child->err_fd);
    if (child->pidfd >= 0)
        close(child->pidfd);
    *child = (struct pl_child){.pidfd = -1, .err_fd = -1};
}
