/* The measurements of `plumbline bench`: round trips, the oracle alone, the whole suite. */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/bench.h"
#include "engine/replay.h"
#include "peer/device.h"
#include "port/pingpong.h"

enum { SUITE_TURNS = 3 };

/* --- round trips --- */

/* One carrier's harness side, and the device at its other end. */
struct bench_pair {
    struct pl_port *port;
    pid_t pid;    /* 0: in this process, or the port's own child */
    bool forever; /* it would not notice that nobody is there any more */
};

static _Noreturn void be_device(const char *variable, const char *value)
{
    char word[] = "device";
    char *argv[] = {word, NULL};
    unsetenv("PLUMBLINE_FD");
    unsetenv("PLUMBLINE_SPSC");
    setenv(variable, value, 1);
    unsetenv("PLUMBLINE_CTL_FD");
    unsetenv("PLUMBLINE_MEM_FD");
    unsetenv("PLUMBLINE_BUS");
    _exit(pl_cmd_serve(1, argv));
}

/* Shared memory that both ends look at again and again. */
static int connect_polling(struct bench *b, struct bench_pair *pair)
{
    char address[64], error[512] = "no process for the device";
    snprintf(address, sizeof(address), "spsc:plumbline-bench-%ld", (long)getpid());
    struct pl_port_options options = {.spec = b->spec, .listen = address, .no_control = true};
    pair->port = pl_port_open(&options, error, sizeof(error));
    fflush(stdout);
    pair->forever = true;
    pair->pid = pair->port ? fork() : -1;
    if (pair->pid == 0)
        be_device("PLUMBLINE_SPSC", address);
    return pair->pid > 0 ? 0 : pl_cli_error(PL_EXIT_INTERNAL, "bench: spsc: %s", error);
}

/* The same with wakeups: as a started IUT has it. */
static int connect_started(struct bench *b, struct bench_pair *pair)
{
    char self[400], command[512], error[512] = "this program's own file has an odd name";
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    self[n > 0 ? n : 0] = '\0';
    snprintf(command, sizeof(command), "exec '%s' serve device", self);
    struct pl_port_options options = {
        .spec = b->spec, .exec = command, .carrier = PL_CARRIER_SPSC, .no_control = true};
    if (n > 0 && !strchr(self, '\''))
        pair->port = pl_port_open(&options, error, sizeof(error));
    return pair->port ? 0 : pl_cli_error(PL_EXIT_INTERNAL, "bench: spsc-wakeup: %s", error);
}

static int connect_pair(struct bench *b, const char *carrier, struct bench_pair *pair)
{
    char address[32], number[16], error[512] = "no memory for the port";
    int ends[2];
    *pair = (struct bench_pair){0};
    if (strcmp(carrier, "inprocess") == 0) {
        pair->port = pl_port_inprocess(b->spec, &pl_device_endpoint, NULL, carrier, 0);
        return pair->port ? 0 : pl_cli_error(PL_EXIT_INTERNAL, "%s", error);
    }
    if (strcmp(carrier, "spsc") == 0)
        return connect_polling(b, pair);
    if (strcmp(carrier, "spsc-wakeup") == 0)
        return connect_started(b, pair);
    int err = pl_pingpong_pair(carrier, ends);
    if (err < 0)
        return pl_cli_error(PL_EXIT_INTERNAL, "bench: %s: %s", carrier, strerror(-err));
    fflush(stdout);
    pair->pid = fork();
    if (pair->pid == 0) {
        close(ends[0]);
        snprintf(number, sizeof(number), "%d", ends[1]);
        be_device("PLUMBLINE_FD", number);
    }
    close(ends[1]);
    snprintf(address, sizeof(address), "fd:%d", ends[0]);
    struct pl_port_options options = {.spec = b->spec, .connect = address, .no_control = true};
    pair->port = pair->pid > 0 ? pl_port_open(&options, error, sizeof(error)) : NULL;
    if (!pair->port)
        close(ends[0]);
    return pair->port ? 0 : pl_cli_error(PL_EXIT_INTERNAL, "bench: %s: %s", carrier, error);
}

static void disconnect_pair(struct bench_pair *pair)
{
    if (pair->port)
        pair->port->ops->close(pair->port);
    if (pair->pid > 0 && pair->forever)
        kill(pair->pid, SIGKILL);
    if (pair->pid > 0)
        waitpid(pair->pid, NULL, 0);
}

/* A status request and its answer, judged: the mean time of a round, or 0 where one failed. */
static double play(struct pl_session *s, unsigned rounds)
{
    double begun = bench_now_ns();
    for (unsigned i = 0; i < rounds; i++) {
        struct pl_msg m = {.kind = PL_GET_DEVICE_STATUS};
        if (pl_session_ask(s, &m) != 0)
            return 0;
    }
    return (bench_now_ns() - begun) / rounds;
}

/* The two sizes of the exchange differ by a field: the bare one carries their mean, rounded up. */
size_t bench_message_size(const struct pl_spec *spec)
{
    const struct pl_message_def *def = pl_spec_message(spec, PL_GET_DEVICE_STATUS);
    return spec->header.size + (size_t)(def->request->size + def->response->size + 1) / 2;
}

static int compare_carrier(struct bench *b, struct bench_carrier *c, struct pl_session *s)
{
    double bare[BENCH_TURNS], ours[BENCH_TURNS], ratio[BENCH_TURNS];
    unsigned turns = b->quick ? 3 : BENCH_TURNS, rounds = b->quick ? 500 : 10000;
    play(s, rounds / 10); /* warm */
    for (unsigned i = 0; i < turns; i++) {
        int err = pl_pingpong(c->name, bench_message_size(b->spec), rounds, &bare[i]);
        ours[i] = play(s, rounds);
        if (err < 0 || ours[i] <= 0)
            return pl_cli_error(PL_EXIT_UNREACHABLE, "bench: %s: a round trip failed: %s", c->name,
                                err < 0 ? strerror(-err) : s->port->error);
        ratio[i] = bare[i] / ours[i];
    }
    c->bare_ns = bench_median(bare, turns);
    c->ours_ns = bench_median(ours, turns);
    c->ratio = bench_median(ratio, turns);
    return 0;
}

static int round_trip(struct bench *b, struct bench_carrier *c)
{
    struct pl_bus_params bus = {b->spec->revision, b->spec->recommended_max_msg_size, 0};
    struct bench_pair pair;
    struct pl_session session;
    struct pl_oracle *oracle = pl_oracle_new(b->spec, NULL, NULL);
    int err = connect_pair(b, c->name, &pair);
    if (!err && (!oracle || pl_session_init(&session, pair.port, oracle) < 0)) {
        err = pl_cli_error(PL_EXIT_INTERNAL, "out of memory");
    } else if (!err) {
        struct pl_msg m = {.kind = PL_GET_DEVICE_INFO};
        if (pair.port->carrier_max && pair.port->carrier_max < bus.max_msg_size)
            bus.max_msg_size = pair.port->carrier_max;
        if (pl_session_start(&session, &bus) < 0 || !pl_session_probe(&session, &m, NULL))
            err = pl_cli_error(PL_EXIT_UNREACHABLE, "bench: %s: the device is not there: %s",
                               c->name, pair.port->error);
        else
            err = compare_carrier(b, c, &session);
        pl_session_free(&session);
    }
    disconnect_pair(&pair);
    pl_oracle_free(oracle);
    return err;
}

int bench_round_trips(struct bench *b)
{
    static const struct bench_carrier all[BENCH_CARRIERS] = {
        {.name = "unix", .goal = 0.9},        {.name = "unix-stream", .goal = 0.9},
        {.name = "tcp", .goal = 0.9},         {.name = "spsc", .goal = 1 / 3.0},
        {.name = "spsc-wakeup", .goal = 0.9}, {.name = "inprocess"}};
    int err = 0;
    for (size_t i = 0; !err && i < BENCH_CARRIERS; i++) {
        b->carriers[i] = all[i];
        err = round_trip(b, &b->carriers[i]);
    }
    return err;
}

/* --- the oracle alone --- */

/* A recorded trace in memory: for each message its direction and bytes. */
struct tape {
    struct tape_entry {
        size_t at, size;
        bool to_iut, starts; /* starts: a group begins here */
        struct pl_bus_params bus;
    } * entries;
    size_t n, cap;
    uint8_t *bytes;
    size_t size, bytes_cap;
    struct pl_bus_params bus;
    bool starts;
};

static int tape_group(void *opaque, uint32_t group, const char *text)
{
    struct tape *tape = opaque;
    const char *params = strchr(text, ' ');
    (void)group;
    tape->starts = true;
    return params ? pl_bus_params_parse(params, &tape->bus) : -EINVAL;
}

static bool grow(void **list, size_t *cap, size_t need, size_t width)
{
    if (need <= *cap)
        return true;
    void *grown = realloc(*list, 2 * need * width);
    if (!grown)
        return false;
    *list = grown;
    *cap = 2 * need;
    return true;
}

static int tape_message(void *opaque, const struct pl_trace_entry *entry, const char *comment)
{
    struct tape *tape = opaque;
    void *entries = tape->entries, *bytes = tape->bytes;
    bool room = grow(&entries, &tape->cap, tape->n + 1, sizeof(*tape->entries));
    room = grow(&bytes, &tape->bytes_cap, tape->size + entry->size, 1) && room;
    (void)comment;
    tape->entries = entries;
    tape->bytes = bytes;
    if (!room)
        return -ENOMEM;
    memcpy(tape->bytes + tape->size, entry->bytes, entry->size);
    tape->entries[tape->n++] =
        (struct tape_entry){tape->size, entry->size, entry->to_iut, tape->starts, tape->bus};
    tape->size += entry->size;
    tape->starts = false;
    return 0;
}

/* Play the tape to the oracle once: nanoseconds for each message. */
static double judge_tape(struct pl_oracle *oracle, const struct tape *tape)
{
    double begun = bench_now_ns();
    for (size_t i = 0; i < tape->n; i++) {
        const struct tape_entry *e = &tape->entries[i];
        if (e->starts)
            pl_oracle_start(oracle, e->bus.max_msg_size, e->bus.features);
        if (e->to_iut)
            pl_oracle_sent(oracle, tape->bytes + e->at, e->size);
        else
            pl_oracle_received(oracle, tape->bytes + e->at, e->size);
    }
    return (bench_now_ns() - begun) / (double)tape->n;
}

static int judge_tapes(struct bench *b, const struct tape *tape)
{
    double ns[BENCH_TURNS];
    unsigned turns = b->quick ? 3 : BENCH_TURNS;
    struct pl_oracle *oracle = pl_oracle_new(b->spec, NULL, NULL);
    if (!oracle || !tape->n)
        return pl_cli_error(PL_EXIT_INTERNAL, "bench: there is nothing to judge");
    judge_tape(oracle, tape); /* warm */
    for (unsigned i = 0; i < turns; i++)
        ns[i] = judge_tape(oracle, tape);
    pl_oracle_free(oracle);
    b->oracle_ns = bench_median(ns, turns);
    b->oracle_messages = tape->n;
    return 0;
}

int bench_run_suite(struct pl_suite_options *options, struct bench_suite *keep)
{
    char error[512];
    int err;
    struct pl_suite *suite = pl_suite_run(options, &err, error, sizeof(error));
    if (!suite)
        return pl_cli_error(PL_EXIT_UNREACHABLE, "bench: %s", error);
    const struct pl_report *report = pl_suite_report(suite);
    if (keep) {
        keep->messages = report->n_messages;
        keep->lives = report->n_starts;
        keep->conforms = report->conforms;
    }
    pl_suite_free(suite);
    return 0;
}

/* Record the suite on the reference device, which is there in this process, into a file. */
static int record(struct bench *b, const char *path)
{
    char error[512];
    struct pl_suite_options options = {
        .scenarios = b->scenarios, .role = "device", .iut = "bench", .seed = 1, .quick = b->quick};
    options.port = pl_port_inprocess(b->spec, &pl_device_endpoint, NULL, "bench", PL_PORT_MEM_SIZE);
    options.pcapng = pl_pcapng_create(path, "plumbline bench", error, sizeof(error));
    int err = options.port && options.pcapng ? bench_run_suite(&options, NULL)
                                             : pl_cli_error(PL_EXIT_INTERNAL, "bench: no trace");
    if (options.pcapng && pl_pcapng_finish(options.pcapng) < 0 && !err)
        err = pl_cli_error(PL_EXIT_INTERNAL, "bench: %s cannot be written", path);
    if (options.port)
        options.port->ops->close(options.port);
    return err;
}

int bench_oracle(struct bench *b)
{
    static const struct pl_pcapng_reader_ops ops = {tape_group, tape_message};
    const char *folder = getenv("TMPDIR");
    char path[512], error[512] = "out of memory";
    struct tape tape = {0};
    snprintf(path, sizeof(path), "%.400s/plumbline-bench-XXXXXX", folder ? folder : "/tmp");
    int fd = mkstemp(path);
    if (fd < 0)
        return pl_cli_error(PL_EXIT_INTERNAL, "%s: cannot be made: %s", path, strerror(errno));
    close(fd);
    int err = record(b, path);
    if (!err && pl_pcapng_read(path, &ops, &tape, error, sizeof(error)) < 0)
        err = pl_cli_error(PL_EXIT_INTERNAL, "bench: %s", error);
    unlink(path);
    if (!err)
        err = judge_tapes(b, &tape);
    free(tape.entries);
    free(tape.bytes);
    return err;
}

/* --- the whole suite, over a socket and over shared memory --- */

int bench_time_suite(struct bench *b, struct pl_cli_iut iut, const struct pl_suite_options *what,
                     struct bench_suite *out)
{
    double seconds[SUITE_TURNS];
    unsigned turns = b->quick ? 1 : SUITE_TURNS;
    int err = pl_cli_iut_open(&iut, "test");
    struct pl_suite_options options = *what;
    options.scenarios = b->scenarios;
    options.port = iut.port;
    options.iut = "bench";
    options.seed = 1;
    options.another = pl_cli_iut_another;
    options.port_opaque = &iut;
    options.quick = b->quick;
    for (unsigned i = 0; !err && i < turns; i++) {
        double begun = bench_now_ns();
        err = bench_run_suite(&options, out);
        seconds[i] = (bench_now_ns() - begun) / 1e9;
    }
    pl_cli_iut_close(&iut);
    if (!err)
        out->seconds = bench_median(seconds, turns);
    return err;
}

static int time_device(struct bench *b, const char *carrier, struct bench_suite *out)
{
    const struct pl_suite_options options = {.role = "device"};
    return bench_time_suite(b, (struct pl_cli_iut){.carrier = carrier}, &options, out);
}

/* The device suite keeps to one processor; what follows it does not. */
int bench_suite(struct bench *b)
{
    cpu_set_t usable;
    bool known = sched_getaffinity(0, sizeof(usable), &usable) == 0;
    int err = time_device(b, "seqpacket", &b->suite);
    if (!err)
        err = time_device(b, "spsc", &b->suite_spsc);
    if (known)
        sched_setaffinity(0, sizeof(usable), &usable);
    return err;
}
