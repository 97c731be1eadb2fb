/* The bare ping-pong over shared memory: two rings, two indices each, and nothing that checks
 * anything. */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "pl_spsc.h"
#include "port/pingpong.h"

enum { WARM_UP = 100, LOOKS = 2000, PATIENCE = 20000 };

#define SLOTS ((int32_t)((PL_SPSC_SIZE_DEFAULT - sizeof(struct pl_spsc_area)) / PL_SPSC_SLOT_SIZE))

/* One end: what it fills, what it empties, and its wakeup socket, -1 without. */
struct end {
    struct pl_spsc_area *out, *in;
    size_t size;
    int wake;
};

/* Wait until there is a message; false where the other end is gone. */
static bool await(const struct end *e, int32_t tail)
{
    unsigned looks = 0;
    char byte;
    if (e->wake >= 0)
        return recv(e->wake, &byte, 1, 0) == 1;
    while (atomic_load_explicit(&e->in->head, memory_order_acquire) == tail) {
#if defined(__x86_64__) || defined(__i386__)
        __builtin_ia32_pause();
#endif
        if (++looks % LOOKS == 0)
            sched_yield();
        if (looks / LOOKS > PATIENCE)
            return false;
    }
    return true;
}

static bool take(const struct end *e, void *buf)
{
    int32_t tail = atomic_load_explicit(&e->in->tail, memory_order_relaxed);
    if (!await(e, tail))
        return false;
    memcpy(buf, e->in->slots[tail], e->size);
    atomic_store_explicit(&e->in->tail, (tail + 1) % SLOTS, memory_order_release);
    return true;
}

static bool give(const struct end *e, const void *buf)
{
    const char byte = (char)PL_SPSC_WAKEUP;
    int32_t head = atomic_load_explicit(&e->out->head, memory_order_relaxed);
    memcpy(e->out->slots[head], buf, e->size);
    atomic_store_explicit(&e->out->head, (head + 1) % SLOTS, memory_order_release);
    return e->wake < 0 || send(e->wake, &byte, 1, MSG_NOSIGNAL) == 1;
}

static double now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static bool play(const struct end *e, unsigned rounds, double *ns_per_round)
{
    uint8_t buf[PL_SPSC_SLOT_SIZE] = {0};
    double start = 0;
    for (unsigned i = 0; i < rounds + WARM_UP; i++) {
        if (i == WARM_UP)
            start = now_ns();
        if (!give(e, buf) || !take(e, buf))
            return false;
    }
    *ns_per_round = (now_ns() - start) / rounds;
    return true;
}

_Noreturn static void echo(const struct end *e)
{
    uint8_t buf[PL_SPSC_SLOT_SIZE];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (take(e, buf) && give(e, buf))
        continue;
    _exit(0);
}

static int play_in_two(struct end *near, struct end *far, unsigned rounds, double *ns_per_round)
{
    struct timeval limit = {.tv_sec = 5};
    pid_t pid = fork();
    if (pid == 0) {
        if (near->wake >= 0)
            close(near->wake);
        echo(far);
    }
    int r = pid < 0 ? -errno : 0;
    if (near->wake >= 0)
        setsockopt(near->wake, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (r == 0 && !play(near, rounds, ns_per_round))
        r = -EPIPE;
    if (pid > 0) {
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
    return r;
}

int pl_pingpong_spsc(bool wakeup, size_t msg_size, unsigned rounds, double *ns_per_round)
{
    int ends[2] = {-1, -1};
    if (msg_size == 0 || msg_size > PL_SPSC_SLOT_SIZE || rounds == 0)
        return -EINVAL;
    if (wakeup && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return -errno;
    uint8_t *mem = mmap(NULL, 2 * PL_SPSC_SIZE_DEFAULT, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int r = mem == MAP_FAILED ? -errno : 0;
    if (r == 0) {
        struct pl_spsc_area *there = (void *)mem, *back = (void *)(mem + PL_SPSC_SIZE_DEFAULT);
        struct end near = {there, back, msg_size, ends[0]}, far = {back, there, msg_size, ends[1]};
        r = play_in_two(&near, &far, rounds, ns_per_round);
        munmap(mem, 2 * PL_SPSC_SIZE_DEFAULT);
    }
    for (size_t i = 0; i < 2; i++)
        if (ends[i] >= 0)
            close(ends[i]);
    return r;
}
