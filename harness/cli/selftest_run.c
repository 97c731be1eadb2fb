/* The worker processes of the self-test: who does what next, and until when. */
#include "cli/selftest_run.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* What workers share: the next place in the order, and where each of them is. */
struct shared {
    atomic_size_t next;
    atomic_size_t at[PL_SELFTEST_JOBS_MAX]; /* 1 + the place; 0: between two */
};

struct crew {
    const struct pl_selftest_work *work;
    struct shared *shared;
    bool *done;
    size_t n_done;
    pid_t pid[PL_SELFTEST_JOBS_MAX];
    int from; /* places that are done, as the workers write them */
};

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void told(struct crew *c, size_t place)
{
    c->done[place] = true;
    c->work->told(c->work->self, c->work->order[place], ++c->n_done);
}

/* One worker: the next piece, as long as there is one. */
static void serve(const struct crew *c, unsigned k, int to)
{
    const struct pl_selftest_work *work = c->work;
    size_t place;
    while ((place = atomic_fetch_add(&c->shared->next, 1)) < work->n) {
        atomic_store(&c->shared->at[k], place + 1);
        work->run(work->self, work->order[place]);
        atomic_store(&c->shared->at[k], 0);
        if (write(to, &place, sizeof(place)) != (ssize_t)sizeof(place))
            _exit(1);
    }
    _exit(0);
}

/* A place is one write of few bytes, which a pipe takes whole. 1, or 0 where there is none left. */
static int take(struct crew *c)
{
    size_t place;
    ssize_t n = read(c->from, &place, sizeof(place));
    if (n == (ssize_t)sizeof(place) && place < c->work->n)
        told(c, place);
    return n > 0 || (n < 0 && errno == EINTR);
}

/* Tell what is done until all workers are gone, or the time is over. */
static void watch(struct crew *c)
{
    int64_t end = now_ms() + (int64_t)c->work->seconds * 1000;
    for (;;) {
        int64_t left = c->work->seconds ? end - now_ms() : 1000;
        struct pollfd p = {.fd = c->from, .events = POLLIN};
        if (left <= 0)
            return;
        int n = poll(&p, 1, left < 1000 ? (int)left : 1000);
        if (n > 0 && !take(c))
            return;
    }
}

/* End what still runs, and read what was done before that. False where a worker ended by itself,
 * and badly. */
static bool part(struct crew *c, size_t *bad)
{
    bool good = true;
    for (unsigned k = 0; k < c->work->jobs; k++) {
        int status = 0;
        pid_t ended = c->pid[k] > 0 ? waitpid(c->pid[k], &status, WNOHANG) : -1;
        bool running = ended == 0;
        if (running) { /* its pipe is closed, and it is about to end; or its time is over */
            if (c->work->seconds)
                kill(c->pid[k], SIGKILL);
            ended = waitpid(c->pid[k], &status, 0);
        }
        bool killed = running && c->work->seconds;
        if (ended < 0 || (status && !killed)) {
            size_t at = atomic_load(&c->shared->at[k]);
            *bad = at ? c->work->order[at - 1] : SIZE_MAX;
            good = false;
        }
    }
    while (take(c))
        continue;
    return good;
}

static void begin(struct crew *c, int to)
{
    for (unsigned k = 0; k < c->work->jobs; k++) {
        c->pid[k] = fork();
        if (c->pid[k] != 0)
            continue;
        close(c->from);
        serve(c, k, to);
    }
}

long pl_selftest_work(const struct pl_selftest_work *work, bool *done, size_t *bad)
{
    struct crew c = {.work = work, .done = done};
    int ends[2];
    *bad = SIZE_MAX;
    if (work->jobs == 1 && !work->seconds) {
        for (size_t place = 0; place < work->n; place++) {
            work->run(work->self, work->order[place]);
            told(&c, place);
        }
        return 0;
    }
    c.shared =
        mmap(NULL, sizeof(*c.shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (c.shared == MAP_FAILED)
        return -1;
    if (pipe(ends) < 0) {
        munmap(c.shared, sizeof(*c.shared));
        return -1;
    }
    c.from = ends[0];
    begin(&c, ends[1]);
    close(ends[1]);
    watch(&c);
    bool good = part(&c, bad);
    close(ends[0]);
    munmap(c.shared, sizeof(*c.shared));
    return good ? (long)(work->n - c.n_done) : -1;
}
