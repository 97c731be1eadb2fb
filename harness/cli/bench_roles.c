/* What `plumbline bench` measures of the other two roles: suites, a driver's life, a bus's round.
 */
#include <stdio.h>
#include <string.h>

#include "cli/bench.h"
#include "engine/bus_run.h"
#include "port/pingpong.h"

/* What a life costs is told by the lives that nothing disturbs, one after the other. */
static const char plain_life[] = "an-undisturbed-life";

/* --- suites --- */

static int time_role(struct bench *b, const char *role, const char *select, unsigned jobs,
                     struct bench_suite *out)
{
    const struct pl_suite_options options = {
        .role = role, .select = select, .jobs = jobs, .brief = b->quick};
    return bench_time_suite(b, (struct pl_cli_iut){.role = role}, &options, out);
}

int bench_roles(struct bench *b)
{
    int err = time_role(b, "driver", NULL, PL_CLI_JOBS_VIRTUAL, &b->suite_driver);
    if (!err)
        err = time_role(b, "driver", plain_life, 1, &b->driver_life);
    return err ? err : time_role(b, "bus", NULL, 1, &b->suite_bus);
}

/* --- the round trip through a bus --- */

/* A request through the bus to a device that the harness is, and the answer back, judged on both
 * sides: the mean time of a round, or 0 where one failed. */
static double play(struct pl_bus_run *run, unsigned rounds)
{
    double begun = bench_now_ns();
    for (unsigned i = 0; i < rounds; i++)
        if (pl_bus_run_fence(run) != 0)
            return 0;
    return (bench_now_ns() - begun) / rounds;
}

/* Each of its two hops is a message to the bus's process and one back, as a bare round is. */
static int compare(struct bench *b, struct pl_bus_run *run)
{
    double bare[BENCH_TURNS], ours[BENCH_TURNS], ratio[BENCH_TURNS];
    unsigned turns = b->quick ? 3 : BENCH_TURNS, rounds = b->quick ? 500 : 10000;
    struct bench_carrier *c = &b->bus;
    play(run, rounds / 10); /* warm */
    for (unsigned i = 0; i < turns; i++) {
        int err = pl_pingpong(c->name, bench_message_size(b->spec), rounds, &bare[i]);
        ours[i] = play(run, rounds);
        if (err < 0 || ours[i] <= 0)
            return pl_cli_error(PL_EXIT_UNREACHABLE,
                                "bench: a round trip through the bus failed: "
                                "%s",
                                err < 0 ? strerror(-err) : run->s->port->error);
        bare[i] *= 2;
        ratio[i] = bare[i] / ours[i];
    }
    c->bare_ns = bench_median(bare, turns);
    c->ours_ns = bench_median(ours, turns);
    c->ratio = bench_median(ratio, turns);
    return 0;
}

static int start_and_compare(struct bench *b, struct pl_session *s)
{
    static const uint16_t device = 0;
    const struct pl_bus_params bus = {b->spec->revision, b->spec->recommended_max_msg_size, 0};
    if (pl_bus_run_new(s) < 0)
        return pl_cli_error(PL_EXIT_INTERNAL, "out of memory");
    if (pl_session_start(s, &bus) < 0)
        return pl_cli_error(PL_EXIT_UNREACHABLE, "bench: the bus is not there: %s", s->port->error);
    pl_bus_device_set(s->bus_run, device, true);
    if (pl_bus_run_discover(s->bus_run, &device, 1) < 0)
        return pl_cli_error(PL_EXIT_UNREACHABLE, "bench: no device is reached through the bus");
    return compare(b, s->bus_run);
}

int bench_bus_round_trip(struct bench *b)
{
    struct pl_cli_iut iut = {.role = "bus"};
    struct pl_session session;
    int err = pl_cli_iut_open(&iut, "test");
    struct pl_oracle *oracle = err ? NULL : pl_oracle_new_for(b->spec, PL_IUT_BUS, NULL, NULL);
    b->bus = (struct bench_carrier){.name = "unix", .goal = 1 / 3.0};
    if (!err && (!oracle || pl_session_init(&session, iut.port, oracle) < 0)) {
        err = pl_cli_error(PL_EXIT_INTERNAL, "out of memory");
    } else if (!err) {
        err = start_and_compare(b, &session);
        pl_session_free(&session);
    }
    pl_cli_iut_close(&iut);
    pl_oracle_free(oracle);
    return err;
}
