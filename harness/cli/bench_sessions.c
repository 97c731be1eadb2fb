/* How many sessions a second `plumbline bench` sees judged: of each role, linked in, by the time of
 * one processor, and of a device behind a socket, held against what the bare socket allows. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/bench.h"
#include "fuzz/exec.h"
#include "port/pingpong.h"

/* What a session of each role is, as a fuzzer runs it: the IUT is started for it, but for the one
 * behind a socket, which goes on behind a reset. */
static const struct {
    const char *name, *role, *actions;
    double goal;
} plan[BENCH_SESSIONS] = {
    {"device", "device", "life steps=4\n", 100000},
    {"device, I/O", "device", "life steps=10\nlife steps=8\n", 0},
    {"driver", "driver", "start\n", 0},
    {"bus", "bus", "send GET_DEVICE_INFO\nsend GET_DEVICE_STATUS\n", 0},
};
static const char socket_actions[] = "life steps=16\n";

/* The time that this process was at work, whoever else was at the machine. */
static double work_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int make_case(struct pl_case *c, const char *role, const char *actions)
{
    char text[256], error[256];
    int n = snprintf(text, sizeof(text), "%s\nrole %s\n\n%s", PL_CASE_MAGIC, role, actions);
    if (!pl_case_parse(c, "bench", text, (size_t)n, error, sizeof(error)))
        return pl_cli_error(PL_EXIT_INTERNAL, "bench: %s", error);
    return 0;
}

/* So many sessions: the mean time of one by this clock, or 0 where one failed. */
static double play(struct pl_exec *x, const struct pl_case *c, unsigned rounds,
                   double (*clock_ns)(void), struct pl_exec_result *last)
{
    double begun = clock_ns();
    for (unsigned i = 0; i < rounds; i++)
        if (pl_exec_run(x, c, last) < 0 || last->n_findings || !last->alive)
            return 0;
    return (clock_ns() - begun) / rounds;
}

static int failed(const char *name, const struct pl_exec_result *last)
{
    return pl_cli_error(PL_EXIT_UNREACHABLE, "bench: a session failed: %s: %s", name,
                        last->n_findings ? last->finding[0].text : last->why);
}

static int time_linked_in(const struct bench *b, struct bench_sessions *s, struct pl_exec *x,
                          const struct pl_case *c)
{
    double ns[BENCH_TURNS];
    unsigned turns = b->quick ? 3 : BENCH_TURNS, rounds = b->quick ? 100 : 2000;
    struct pl_exec_result last = {0};
    play(x, c, rounds / 10, work_ns, &last); /* warm */
    for (unsigned i = 0; i < turns; i++) {
        ns[i] = play(x, c, rounds, work_ns, &last);
        if (ns[i] <= 0)
            return failed(s->name, &last);
    }
    s->per_second = 1e9 / bench_median(ns, turns);
    s->messages = last.messages;
    return 0;
}

/* One exchange is a message there and one back, as a bare round is. */
static int compare_socket(const struct bench *b, struct bench_sessions *s, struct pl_exec *x,
                          const struct pl_case *c)
{
    double ours[BENCH_TURNS], ratio[BENCH_TURNS], bare[BENCH_TURNS], turn;
    unsigned turns = b->quick ? 3 : BENCH_TURNS, rounds = b->quick ? 20 : 500;
    struct pl_exec_result last = {0};
    play(x, c, rounds / 10, bench_now_ns, &last); /* warm */
    for (unsigned i = 0; i < turns; i++) {
        ours[i] = play(x, c, rounds, bench_now_ns, &last);
        if (ours[i] <= 0)
            return failed(s->name, &last);
        if (pl_pingpong(s->name, bench_message_size(b->spec), rounds * 8, &turn) < 0)
            return pl_cli_error(PL_EXIT_INTERNAL, "bench: no bare round trips over %s", s->name);
        bare[i] = turn * (double)last.messages / 2;
        ratio[i] = bare[i] / ours[i];
    }
    s->messages = last.messages;
    s->per_second = 1e9 / bench_median(ours, turns);
    s->bare_per_second = 1e9 / bench_median(bare, turns);
    s->ratio = bench_median(ratio, turns);
    return 0;
}

typedef int measure_fn(const struct bench *b, struct bench_sessions *s, struct pl_exec *x,
                       const struct pl_case *c);

static int measure(const struct bench *b, struct bench_sessions *s,
                   const struct pl_exec_options *options, const char *role, const char *actions,
                   measure_fn *how)
{
    static struct pl_case c;
    char error[256];
    int err = make_case(&c, role, actions);
    struct pl_exec *x = err ? NULL : pl_exec_new(options, error, sizeof(error));
    if (!err && !x)
        err = pl_cli_error(PL_EXIT_INTERNAL, "bench: %s", error);
    if (!err)
        err = how(b, s, x, &c);
    pl_exec_free(x);
    return err;
}

static int over_a_socket(struct bench *b)
{
    struct pl_cli_iut iut = {.carrier = "seqpacket"};
    int err = pl_cli_iut_open(&iut, "test");
    const struct pl_exec_options options = {.spec = b->spec, .port = iut.port, .keep = true};
    b->socket_sessions = (struct bench_sessions){.name = "unix", .goal = 0.5};
    if (!err)
        err = measure(b, &b->socket_sessions, &options, "device", socket_actions, compare_socket);
    pl_cli_iut_close(&iut);
    return err;
}

int bench_sessions(struct bench *b)
{
    int err = 0;
    for (size_t i = 0; !err && i < BENCH_SESSIONS; i++) {
        const struct pl_exec_options options = {.spec = b->spec, .role = pl_iut_of(plan[i].role)};
        b->sessions[i] = (struct bench_sessions){.name = plan[i].name, .goal = plan[i].goal};
        err = measure(b, &b->sessions[i], &options, plan[i].role, plan[i].actions, time_linked_in);
    }
    return err ? err : over_a_socket(b);
}
