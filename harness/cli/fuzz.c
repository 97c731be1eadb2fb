/* `plumbline fuzz`: a campaign against an implementation, kept in a directory. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "fuzz/campaign.h"

enum { JOBS_MAX = 64, WORKER = 48, ERROR = 512, ONLY_MAX = 64 };

/* One worker, in memory that all of them share. */
struct worker {
    struct pl_campaign_stats stats;
    int err;
    bool done;
    char name[WORKER + 8], error[ERROR];
};

struct fuzz_args {
    struct pl_cli_iut iut;
    const char *dir, *focus_name, *time, *execs, *seed, *jobs_text, *in, *worker, *mutant,
        *stop_after, *only_text;
    bool help, warnings, quiet;
    uint64_t jobs;
    uint16_t *devices;
    uint16_t only[ONLY_MAX];
    struct pl_bus_params bus;
    char reach[1200], name[600];
    struct pl_campaign_options campaign;
    struct worker *workers;
    struct timespec began;
    double told; /* when progress was shown last */
    bool terminal;
};

static volatile sig_atomic_t stop;

static const char help[] =
    "usage: plumbline fuzz [PROFILE] --dir DIR [OPTIONS]\n"
    "Look for what no scenario provokes: cases are made up, run and judged, and those that show\n"
    "something new are made more of. Without PROFILE and without a way to reach an\n"
    "implementation it is the reference peer of the role, linked in.\n"
    "DIR keeps the campaign; where it holds one, that goes on. docs/fuzzing.md has more.\n\n"
    "  --dir DIR          of the campaign; needed\n"
    "  --exec COMMAND  --connect ADDRESS  --listen ADDRESS  --device-side ADDRESS\n"
    "  --carrier CARRIER  --memory PATH[,...]  --role ROLE  --spec DRAFT\n"
    "                     as of `plumbline test`\n"
    "  --mutant ID        of the reference peer that is linked in: with this rule broken\n"
    "  --focus FOCUS      all (default), illegal, reset, generation, ring\n"
    "  --in PATH          cases to begin with: a folder or one file\n"
    "  --time TIME        at most: seconds, or 90s, 10m, 2h\n"
    "  --execs N          at most so many executions, of this run\n"
    "  --stop-after N     findings\n"
    "  --only CLAUSES     separated by commas: nothing else is a finding\n"
    "  --seed N           of all that is drawn: 1\n"
    "  --jobs N           workers of this process: 1\n"
    "  --worker NAME      of several in one DIR, on one machine or on several: main\n"
    "  --warnings         a SHOULD that is broken is a finding, too\n"
    "  --quiet            only the last line\n\n"
    "Exit status 1 where DIR has findings.\n";

/* --- options --- */

static bool seconds_of(const char *text, double *out)
{
    char *end;
    errno = 0;
    *out = strtod(text, &end);
    double unit = *end == 'h' ? 3600 : *end == 'm' ? 60 : 1;
    if (*end == 'h' || *end == 'm' || *end == 's')
        end++;
    *out *= unit;
    return text[0] >= '0' && text[0] <= '9' && !errno && !*end && *out > 0 && *out < 1e9;
}

static int number_of(const char *option, const char *text, uint64_t most, uint64_t *out)
{
    if (text && (!pl_cli_u64(text, out) || *out < 1 || *out > most))
        return pl_cli_error(PL_EXIT_USAGE, "%s: '%s' is not within 1 to %" PRIu64, option, text,
                            most);
    return 0;
}

static bool is_worker_name(const char *name)
{
    const char *plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";
    return *name && *name != '.' && strlen(name) < WORKER && strspn(name, plain) == strlen(name) &&
           strcmp(name, "findings") != 0 && strcmp(name, "campaign") != 0;
}

static int parse_numbers(struct fuzz_args *a)
{
    struct pl_campaign_options *o = &a->campaign;
    o->seed = 1;
    a->jobs = 1;
    if (!a->dir)
        return pl_cli_error(PL_EXIT_USAGE, "fuzz: --dir DIR is needed: the campaign is kept there");
    if (a->focus_name && !pl_focus_find(a->focus_name, &o->focus))
        return pl_cli_error(PL_EXIT_USAGE,
                            "--focus: '%s' is none of all, illegal, reset, generation, ring",
                            a->focus_name);
    if (a->time && !seconds_of(a->time, &o->seconds))
        return pl_cli_error(PL_EXIT_USAGE, "--time: '%s' is no time such as 90, 90s, 10m, 2h",
                            a->time);
    if (a->seed && !pl_cli_u64(a->seed, &o->seed))
        return pl_cli_error(PL_EXIT_USAGE, "--seed: '%s' is no 64-bit number", a->seed);
    if (a->worker && !is_worker_name(a->worker))
        return pl_cli_error(PL_EXIT_USAGE,
                            "--worker: '%s' is no name: letters, digits, '_', '-' and '.', at most "
                            "%d, not 'findings' or 'campaign'",
                            a->worker, WORKER - 1);
    int err = number_of("--execs", a->execs, UINT64_MAX, &o->executions);
    if (!err)
        err = number_of("--stop-after", a->stop_after, UINT64_MAX, &o->stop_after);
    if (!err)
        err = number_of("--jobs", a->jobs_text, JOBS_MAX, &a->jobs);
    return err;
}

/* --- the IUT --- */

static bool linked_in(const struct fuzz_args *a)
{
    const struct pl_cli_iut *i = &a->iut;
    return !i->profile_path && !i->exec && !i->connect && !i->listen;
}

static int open_linked_in(struct fuzz_args *a)
{
    enum pl_role role = PL_ROLE_DEVICE;
    struct pl_exec_options *x = &a->campaign.exec;
    a->iut.spec = pl_cli_spec(a->iut.spec_name);
    if (!a->iut.spec)
        return PL_EXIT_USAGE;
    if (a->iut.role && !pl_role_find(a->iut.role, &role))
        return pl_cli_error(PL_EXIT_USAGE, "--role: '%s' is none of device, driver, bus",
                            a->iut.role);
    if (a->iut.carrier || a->iut.memory || a->iut.device_side)
        return pl_cli_error(PL_EXIT_USAGE, "--carrier, --memory and --device-side need a way to "
                                           "the implementation: --exec, --connect or --listen");
    x->role = pl_iut_of(pl_role_name(role));
    x->mutant = a->mutant;
    snprintf(a->name, sizeof(a->name), "reference %s, linked in%s%s", pl_role_name(role),
             a->mutant ? ", mutant " : "", a->mutant ? a->mutant : "");
    if (a->mutant)
        snprintf(a->reach, sizeof(a->reach), " --mutant %s", a->mutant);
    return 0;
}

static int use_profile(struct fuzz_args *a)
{
    struct pl_exec_options *x = &a->campaign.exec;
    const struct pl_profile *p = &a->iut.profile;
    a->devices = calloc(p->n_devices + 1, sizeof(*a->devices));
    if (!a->devices)
        return pl_cli_error(PL_EXIT_INTERNAL, "out of memory");
    for (size_t i = 0; i < p->n_devices; i++)
        a->devices[i] = p->devices[i].number;
    x->devices = a->devices;
    x->n_devices = p->n_devices;
    x->response_ms = p->response_ms;
    x->reset_ms = p->reset_ms;
    x->fence_ms = p->fence_ms;
    uint32_t most = a->iut.port->carrier_max;
    a->bus = p->bus;
    if (!p->bus_stated)
        a->bus = (struct pl_bus_params){a->iut.spec->revision, most, 0};
    x->bus = p->bus_stated || most ? &a->bus : NULL;
    return 0;
}

static int open_port(struct fuzz_args *a)
{
    struct pl_exec_options *x = &a->campaign.exec;
    if (a->mutant)
        return pl_cli_error(PL_EXIT_USAGE, "--mutant is of the reference peer that is linked in; "
                                           "another one is --exec 'plumbline serve ROLE --mutant "
                                           "ID'");
    int err = pl_cli_iut_open(&a->iut, "");
    if (err)
        return err;
    if (a->iut.port->one_life && !a->iut.port->restartable)
        return pl_cli_error(PL_EXIT_USAGE,
                            "%s: its driver lives once; a campaign starts one for each case, as "
                            "--exec with --carrier vhost-user does",
                            a->iut.port->name);
    if (a->jobs > 1 && !a->iut.exec)
        return pl_cli_error(PL_EXIT_USAGE,
                            "--jobs: %s has one connection; another one is a worker of its own "
                            "(--worker)",
                            a->iut.port->name);
    x->role = pl_iut_of(a->iut.role);
    x->port = a->iut.port;
    x->keep = x->role == PL_IUT_DEVICE; /* one that goes on behind a reset */
    snprintf(a->name, sizeof(a->name), "%s", a->iut.name);
    snprintf(a->reach, sizeof(a->reach), "%s", a->iut.repeat + strlen("plumbline "));
    return use_profile(a);
}

/* One clause of --only; what nothing judges cannot be found. */
static int add_only(struct fuzz_args *a, const char *id, unsigned *left_out)
{
    const struct pl_clauses *clauses = pl_clauses_find(a->iut.spec);
    struct pl_campaign_options *o = &a->campaign;
    int clause = pl_clauses_index(clauses, id);
    if (clause < 0)
        return pl_cli_error(PL_EXIT_USAGE, "--only: '%s' is no clause of %s", id,
                            a->iut.spec->name);
    if (o->n_only == ONLY_MAX)
        return pl_cli_error(PL_EXIT_USAGE, "--only: more than %d clauses", ONLY_MAX);
    const struct pl_clause_def *def = pl_clauses_get(clauses, (size_t)clause);
    if (!def->judged)
        ++*left_out;
    else
        a->only[o->n_only++] = (uint16_t)clause;
    return 0;
}

/* What is asked for is a finding, a SHOULD as well. */
static int parse_only(struct fuzz_args *a)
{
    struct pl_campaign_options *o = &a->campaign;
    unsigned left_out = 0;
    int err = 0;
    o->only = a->only;
    o->n_only = 0;
    for (const char *at = a->only_text; !err && at && *at; at += *at == ',') {
        char id[64];
        size_t n = strcspn(at, ",");
        snprintf(id, sizeof(id), "%.*s", (int)n, at);
        err = add_only(a, id, &left_out);
        at += n;
    }
    if (!err && left_out && !o->n_only)
        err = pl_cli_error(PL_EXIT_USAGE, "--only: %s: nothing judges that", a->only_text);
    o->exec.warnings = a->warnings || o->n_only;
    return err;
}

static int open_iut(struct fuzz_args *a)
{
    struct pl_campaign_options *o = &a->campaign;
    int err = linked_in(a) ? open_linked_in(a) : open_port(a);
    if (err)
        return err;
    if (!pl_clauses_find(a->iut.spec))
        return pl_cli_error(PL_EXIT_USAGE, "%s has no clauses yet: there is nothing to judge by",
                            a->iut.spec->name);
    o->exec.spec = a->iut.spec;
    o->dir = a->dir;
    o->in = a->in;
    o->iut = a->name;
    o->reach = a->reach;
    o->stop = &stop;
    o->opaque = a;
    return parse_only(a);
}

static void close_iut(struct fuzz_args *a)
{
    bool opened = a->iut.port != NULL || a->iut.profile.spec;
    if (!linked_in(a) && opened)
        pl_cli_iut_close(&a->iut);
    free(a->devices);
    a->iut.port = NULL;
    a->devices = NULL;
}

/* --- what is told meanwhile --- */

static double seconds_since(const struct timespec *began)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)(t.tv_sec - began->tv_sec) + (double)(t.tv_nsec - began->tv_nsec) / 1e9;
}

/* Counts are added up; of what was seen each worker has its own, and the most of one is told. */
static struct pl_campaign_stats sum_up(const struct fuzz_args *a)
{
    struct pl_campaign_stats sum = {0};
    for (uint64_t i = 0; i < a->jobs; i++) {
        const struct pl_campaign_stats *s = &a->workers[i].stats;
        sum.executions += s->executions;
        sum.earlier += s->earlier;
        sum.messages += s->messages;
        sum.findings += s->findings;
        sum.restarts += s->restarts;
        sum.entries += s->entries;
        sum.outcomes = s->outcomes > sum.outcomes ? s->outcomes : sum.outcomes;
        sum.clauses = s->clauses > sum.clauses ? s->clauses : sum.clauses;
        sum.clauses_all = s->clauses_all;
    }
    return sum;
}

static void show_progress(struct fuzz_args *a)
{
    enum { PER_SECOND = 5 };
    double seconds = seconds_since(&a->began);
    if (!a->terminal || seconds - a->told < 1.0 / PER_SECOND)
        return;
    a->told = seconds;
    struct pl_campaign_stats s = sum_up(a);
    fprintf(stderr,
            "\r%.0f s: %" PRIu64 " executions (%.0f/s), %u outcomes, %u of %u clauses, %u cases "
            "kept, %u findings\033[K",
            seconds, s.executions, (double)s.executions / seconds, s.outcomes, s.clauses,
            s.clauses_all, s.entries, s.findings);
}

static void progress(void *opaque)
{
    show_progress(opaque);
}

static void news(void *opaque, const struct pl_campaign_news *n)
{
    struct fuzz_args *a = opaque;
    char line[1024];
    if (a->quiet)
        return;
    int length = snprintf(line, sizeof(line) - 1, "FINDING %s (%u of %u times, %u actions): %s\n",
                          n->path, n->again, n->of, n->actions, n->what);
    if (a->terminal)
        fputs("\r\033[K", stderr);
    /* At once and as a whole: several workers write. */
    if (length > 0 && write(STDOUT_FILENO, line, strlen(line)) < 0)
        stop = 1;
}

/* --- workers --- */

static void name_worker(const struct fuzz_args *a, uint64_t i, char *out, size_t cap)
{
    const char *name = a->worker ? a->worker : "main";
    if (i)
        snprintf(out, cap, "%s-%" PRIu64, name, i + 1);
    else
        snprintf(out, cap, "%s", name);
}

static void work(struct fuzz_args *a, uint64_t i)
{
    struct pl_campaign_options *o = &a->campaign;
    struct worker *w = &a->workers[i];
    uint64_t all = o->executions;
    o->worker = w->name;
    o->news = news;
    o->progress = a->jobs == 1 ? progress : NULL;
    if (all)
        o->executions = all / a->jobs + (i < all % a->jobs);
    if (!all || o->executions)
        w->err = pl_campaign_run(o, &w->stats, w->error, sizeof(w->error));
    o->executions = all;
    w->done = true;
}

/* A port serves one process: each opens its own. */
static void be_worker(struct fuzz_args *a, uint64_t i)
{
    struct worker *w = &a->workers[i];
    int err = linked_in(a) ? 0 : open_iut(a);
    if (err) {
        snprintf(w->error, sizeof(w->error), "worker %s could not open its port", w->name);
        w->err = -EINVAL;
        w->done = true;
    } else {
        work(a, i);
    }
    close_iut(a);
    fflush(NULL);
    _exit(0);
}

static void await_workers(struct fuzz_args *a, const pid_t *pids)
{
    const struct timespec pause = {0, 50000000};
    uint64_t left = 0;
    for (uint64_t i = 0; i < a->jobs; i++)
        left += pids[i] > 0;
    for (bool told = false; left;) {
        int status;
        pid_t pid = waitpid(-1, &status, WNOHANG);
        for (uint64_t i = 0; pid > 0 && i < a->jobs; i++)
            if (pids[i] == pid) {
                left--;
                if (!a->workers[i].done) {
                    a->workers[i].err = -ECHILD;
                    snprintf(a->workers[i].error, ERROR, "worker %s ended before its time",
                             a->workers[i].name);
                }
            }
        if (stop && !told)
            for (uint64_t i = 0; i < a->jobs; i++)
                kill(pids[i], SIGTERM);
        told = told || stop;
        if (pid <= 0)
            nanosleep(&pause, NULL);
        show_progress(a);
    }
}

static int run_workers(struct fuzz_args *a)
{
    pid_t pids[JOBS_MAX] = {0};
    fflush(NULL);
    for (uint64_t i = 0; i < a->jobs; i++) {
        pids[i] = fork();
        if (pids[i] == 0)
            be_worker(a, i);
        if (pids[i] < 0) {
            stop = 1;
            a->jobs = i;
            await_workers(a, pids);
            return pl_cli_error(PL_EXIT_INTERNAL, "a worker cannot be started: %s",
                                strerror(errno));
        }
    }
    await_workers(a, pids);
    return 0;
}

/* --- the end --- */

static int status_of(int err)
{
    return err == -ENOTCONN                   ? PL_EXIT_UNREACHABLE
           : err == -ENOMEM || err == -ECHILD ? PL_EXIT_INTERNAL
                                              : PL_EXIT_USAGE;
}

static int conclude(struct fuzz_args *a)
{
    double seconds = seconds_since(&a->began);
    struct pl_campaign_stats s = sum_up(a);
    unsigned findings = pl_campaign_findings(a->dir);
    int status = findings ? PL_EXIT_FINDINGS : PL_EXIT_CONFORMS;
    if (a->terminal)
        fputs("\r\033[K", stderr);
    for (uint64_t i = 0; i < a->jobs; i++)
        if (a->workers[i].err) {
            int worse = pl_cli_error(status_of(a->workers[i].err), "%s", a->workers[i].error);
            status = worse > status ? worse : status;
        }
    if (status > PL_EXIT_FINDINGS && !s.executions)
        return status;
    printf("fuzz: %s, seed %" PRIu64 ", focus %s: %" PRIu64
           " executions in %.1f s (%.0f/s), %" PRIu64
           " messages, %u outcomes, %u of %u clauses exercised, %u findings",
           a->name, a->campaign.seed, pl_focus_names[a->campaign.focus], s.executions, seconds,
           (double)s.executions / seconds, s.messages, s.outcomes, s.clauses, s.clauses_all,
           s.findings);
    if (findings > s.findings)
        printf("; %u in %s", findings, a->dir);
    putchar('\n');
    return status;
}

static void on_signal(int number)
{
    (void)number;
    stop = 1;
}

static int run_campaign(struct fuzz_args *a)
{
    char error[ERROR];
    int err = 0;
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    if (pl_campaign_check(&a->campaign, error, sizeof(error)) < 0)
        return pl_cli_error(PL_EXIT_USAGE, "%s", error);
    for (uint64_t i = 0; i < a->jobs; i++)
        name_worker(a, i, a->workers[i].name, sizeof(a->workers[i].name));
    clock_gettime(CLOCK_MONOTONIC, &a->began);
    a->terminal = isatty(STDERR_FILENO) && !a->quiet;
    if (a->jobs == 1) {
        work(a, 0);
    } else {
        close_iut(a);
        err = run_workers(a);
    }
    return err ? err : conclude(a);
}

int pl_cmd_fuzz(int argc, char **argv)
{
    struct fuzz_args a = {0};
    const struct pl_cli_option options[] = {
        {.name = "--dir", .value = &a.dir},
        PL_CLI_REACH(a.iut),
        {.name = "--mutant", .value = &a.mutant},
        {.name = "--focus", .value = &a.focus_name},
        {.name = "--in", .value = &a.in},
        {.name = "--time", .value = &a.time},
        {.name = "--execs", .value = &a.execs},
        {.name = "--only", .value = &a.only_text},
        {.name = "--stop-after", .value = &a.stop_after},
        {.name = "--seed", .value = &a.seed},
        {.name = "--jobs", .value = &a.jobs_text},
        {.name = "--worker", .value = &a.worker},
        {.name = "--warnings", .flag = &a.warnings},
        {.name = "--quiet", .flag = &a.quiet},
        {.name = "--help", .flag = &a.help},
        {.name = NULL},
    };
    int err = pl_cli_parse(argc, argv, options, &a.iut.profile_path, 1);
    if (err)
        return err;
    if (a.help) {
        fputs(help, stdout);
        return 0;
    }
    err = parse_numbers(&a);
    if (!err)
        err = open_iut(&a);
    size_t size = sizeof(*a.workers) * JOBS_MAX;
    a.workers = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (!err && a.workers == MAP_FAILED)
        err = pl_cli_error(PL_EXIT_INTERNAL, "out of memory");
    if (!err)
        err = run_campaign(&a);
    if (a.workers != MAP_FAILED)
        munmap(a.workers, size);
    close_iut(&a);
    return err;
}
