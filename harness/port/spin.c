/* Looking for a message a little while before sleeping, where that is the faster way to get it. */
#include <sched.h>
#include <time.h>

#include "port/private.h"

#define LOOK_NS  INT64_C(80000)   /* how long to look: longer than waking a processor takes */
#define NEAR_NS  INT64_C(2000000) /* who waits longer than this was not waiting for an answer */
#define CHEAP_NS INT64_C(15000)   /* a way that costs no more is not bettered much */
#define PAUSES   16               /* looks between two looks at the clock */

/* Waits that try the other way, and waits that keep to one. */
enum { PROBE = 8, KEEP = 250 };

static int64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* How many processors this thread may run on. */
static int usable_processors(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

void pl_spin_init(struct pl_spin *spin, bool sleeps_badly)
{
    bool several = usable_processors() > 1;
    *spin = (struct pl_spin){.several = several, .useful = several || sleeps_badly};
    spin->looks = sleeps_badly;
    spin->left = PROBE;
}

/*
 * Where both ends share a processor, or other busy processes are around, sleeping wins: the kernel
 * lets the one in when the other sleeps. Where each has a processor of its own that falls asleep,
 * waking it for each message takes many times as long as looking does. Which it is shows only by
 * trying; looking has to win by far, because it also takes time from whoever else could run.
 */
static void next_phase(struct pl_spin *spin)
{
    const int64_t *cost = spin->cost_ns;
    bool try_other = !spin->probes && cost[spin->looks] > CHEAP_NS;
    if (try_other)
        spin->looks = !spin->looks;
    else if (spin->probes)
        spin->looks = 2 * cost[true] < cost[false];
    spin->probes = try_other;
    spin->left = try_other ? PROBE : KEEP;
}

bool pl_spin_begin(struct pl_spin *spin)
{
    if (!spin->useful)
        return false;
    if (spin->left-- == 0)
        next_phase(spin);
    spin->began_ns = clock_ns();
    spin->turns = 0;
    return spin->looks;
}

bool pl_spin_on(struct pl_spin *spin, bool cheap)
{
    if (!spin->several) {
        sched_yield();
    } else if (cheap) {
#if defined(__x86_64__) || defined(__i386__)
        __builtin_ia32_pause();
#endif
        if (++spin->turns % PAUSES != 0)
            return true;
    }
    return clock_ns() - spin->began_ns < LOOK_NS;
}

void pl_spin_learn(struct pl_spin *spin)
{
    if (!spin->began_ns)
        return;
    int64_t waited = clock_ns() - spin->began_ns, *cost = &spin->cost_ns[spin->looks];
    if (waited < NEAR_NS)
        *cost = *cost ? *cost + (waited - *cost) / 4 : waited;
    spin->began_ns = 0;
}
