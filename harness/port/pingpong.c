/* A bare ping-pong over a raw carrier, as cheap as a program of its own would do it. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "port/pingpong.h"

#define SIZE_MAX_BYTES 65536
#define WARM_UP        100

static double now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* One whole message in, blocking. */
static bool take(int fd, char *buf, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t n = recv(fd, buf + done, size - done, 0);
        if (n <= 0)
            return false;
        done += (size_t)n;
    }
    return true;
}

/* One whole message out, blocking. */
static bool give(int fd, const char *buf, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t n = send(fd, buf + done, size - done, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        done += (size_t)n;
    }
    return true;
}

static int tcp_pair(int ends[2])
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof addr;
    int on = 1, server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ends[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ends[1] = -1;
    if (server >= 0 && ends[0] >= 0 && bind(server, (struct sockaddr *)&addr, size) == 0 &&
        listen(server, 1) == 0 && getsockname(server, (struct sockaddr *)&addr, &size) == 0 &&
        connect(ends[0], (struct sockaddr *)&addr, size) == 0)
        ends[1] = accept4(server, NULL, NULL, SOCK_CLOEXEC);
    int err = ends[1] < 0 ? -errno : 0;
    for (int i = 0; i < 2 && !err; i++)
        setsockopt(ends[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (server >= 0)
        close(server);
    if (err && ends[0] >= 0)
        close(ends[0]);
    return err;
}

int pl_pingpong_pair(const char *carrier, int ends[2])
{
    if (strcmp(carrier, "tcp") == 0)
        return tcp_pair(ends);
    int type = strcmp(carrier, "unix") == 0          ? SOCK_SEQPACKET
               : strcmp(carrier, "unix-stream") == 0 ? SOCK_STREAM
                                                     : 0;
    if (type == 0)
        return -EINVAL;
    return socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) == 0 ? 0 : -errno;
}

_Noreturn static void echo(int fd, size_t size)
{
    char buf[SIZE_MAX_BYTES];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (take(fd, buf, size) && give(fd, buf, size))
        continue;
    _exit(0);
}

/* Play the rounds on this side. False where the other side is gone or silent. */
static bool play(int fd, size_t size, unsigned rounds, double *ns_per_round)
{
    char buf[SIZE_MAX_BYTES] = {0};
    struct timeval limit = {.tv_sec = 5};
    double start = 0;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    for (unsigned i = 0; i < rounds + WARM_UP; i++) {
        if (i == WARM_UP)
            start = now_ns();
        if (!give(fd, buf, size) || !take(fd, buf, size))
            return false;
    }
    *ns_per_round = (now_ns() - start) / rounds;
    return true;
}

/* What a call through a pointer and a copy each way cost. */
static void copy_there(char *to, const char *from, size_t size)
{
    memcpy(to, from, size);
}

static void play_inprocess(size_t size, unsigned rounds, double *ns_per_round)
{
    static const char zero[SIZE_MAX_BYTES];
    char here[SIZE_MAX_BYTES], there[SIZE_MAX_BYTES];
    void (*volatile carry)(char *, const char *, size_t) = copy_there;
    carry(here, zero, size);
    double start = now_ns();
    for (unsigned i = 0; i < rounds; i++) {
        carry(there, here, size);
        carry(here, there, size);
    }
    *ns_per_round = (now_ns() - start) / rounds;
}

int pl_pingpong(const char *carrier, size_t msg_size, unsigned rounds, double *ns_per_round)
{
    int ends[2];
    if (msg_size == 0 || msg_size > SIZE_MAX_BYTES || rounds == 0)
        return -EINVAL;
    if (strcmp(carrier, "inprocess") == 0) {
        play_inprocess(msg_size, rounds, ns_per_round);
        return 0;
    }
    if (strcmp(carrier, "spsc") == 0 || strcmp(carrier, "spsc-wakeup") == 0)
        return pl_pingpong_spsc(carrier[4] != '\0', msg_size, rounds, ns_per_round);
    int r = pl_pingpong_pair(carrier, ends);
    if (r < 0)
        return r;
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[0]);
        echo(ends[1], msg_size);
    }
    r = pid < 0 ? -errno : 0;
    close(ends[1]);
    if (r == 0 && !play(ends[0], msg_size, rounds, ns_per_round))
        r = -EPIPE;
    close(ends[0]);
    if (pid > 0)
        waitpid(pid, NULL, 0);
    return r;
}
