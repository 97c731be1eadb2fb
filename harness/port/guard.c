/* Shared mappings that outlive their file: where another process cuts it short, zeros are read. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

#include "port/memory.h"

enum { GUARDS_MAX = 128 };
enum guard_state { GUARD_FREE, GUARD_TAKEN, GUARD_LIVE };

/*
 * The kernel tells of a vanished page by a signal to the process, and a handler is given nothing of
 * ours: what it may look at has to be the process's own. Atomics, because mappings come and go
 * meanwhile.
 */
struct guard {
    atomic_int state;
    atomic_uintptr_t base;
    atomic_size_t size;
    atomic_bool lost;
};
static struct guard guards[GUARDS_MAX];
static atomic_size_t guards_used; /* entries that were ever taken: those behind need no look */
static struct sigaction handler_before;
static pthread_once_t handler_once = PTHREAD_ONCE_INIT;

static struct guard *guard_of(uintptr_t address)
{
    size_t n = atomic_load(&guards_used);
    for (size_t i = 0; i < n; i++) {
        struct guard *g = &guards[i];
        if (atomic_load(&g->state) != GUARD_LIVE)
            continue;
        uintptr_t base = atomic_load(&g->base);
        if (address >= base && address - base < atomic_load(&g->size))
            return g;
    }
    return NULL;
}

/* Put private zeros where the file's pages were, so that the access that failed succeeds now. */
static void on_bus_error(int number, siginfo_t *info, void *context)
{
    int kept = errno;
    struct guard *g = info->si_code > 0 ? guard_of((uintptr_t)info->si_addr) : NULL;
    (void)context;
    if (g && mmap((void *)atomic_load(&g->base), atomic_load(&g->size), PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED) {
        atomic_store(&g->lost, true);
        errno = kept;
        return;
    }
    /* Not ours: the access is repeated, or the signal sent again, for whom it was meant for before.
     */
    sigaction(SIGBUS, &handler_before, NULL);
    if (info->si_code <= 0)
        raise(number);
}

static void install_handler(void)
{
    struct sigaction action = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO | SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, &action, &handler_before);
}

static struct guard *take_guard(void)
{
    for (size_t i = 0; i < GUARDS_MAX; i++) {
        int expected = GUARD_FREE;
        if (!atomic_compare_exchange_strong(&guards[i].state, &expected, GUARD_TAKEN))
            continue;
        size_t used = atomic_load(&guards_used);
        while (used <= i && !atomic_compare_exchange_weak(&guards_used, &used, i + 1))
            continue;
        return &guards[i];
    }
    return NULL;
}

/* Map with these flags, and guard it. 0 or a negative errno. */
static int map_guarded(int fd, size_t size, int flags, void **out)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), whole = (size + page - 1) / page * page;
    pthread_once(&handler_once, install_handler);
    struct guard *g = take_guard();
    if (!g)
        return -EMFILE;
    void *mem = mmap(NULL, whole, PROT_READ | PROT_WRITE, flags, fd, 0);
    if (mem == MAP_FAILED) {
        int err = -errno;
        atomic_store(&g->state, GUARD_FREE);
        return err;
    }
    atomic_store(&g->base, (uintptr_t)mem);
    atomic_store(&g->size, whole);
    atomic_store(&g->lost, false);
    atomic_store(&g->state, GUARD_LIVE);
    *out = mem;
    return 0;
}

int pl_guard_map(int fd, size_t size, void **out)
{
    return map_guarded(fd, size, MAP_SHARED, out);
}

int pl_guard_reserve(size_t size, void **out)
{
    return map_guarded(-1, size, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, out);
}

int pl_guard_clear(void *at, size_t size)
{
    void *got = mmap(at, size, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    return got == MAP_FAILED ? -errno : 0;
}

int pl_guard_place(void *at, size_t size, int fd, uint64_t offset)
{
    void *got = mmap(at, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, (off_t)offset);
    return got == MAP_FAILED ? -errno : 0;
}

bool pl_guard_lost(const void *mem)
{
    const struct guard *g = guard_of((uintptr_t)mem);
    return g && atomic_load(&g->lost);
}

void pl_guard_unmap(void *mem)
{
    struct guard *g = mem ? guard_of((uintptr_t)mem) : NULL;
    if (!g)
        return;
    munmap((void *)atomic_load(&g->base), atomic_load(&g->size));
    atomic_store(&g->state, GUARD_FREE);
}
