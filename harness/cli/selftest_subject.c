/* One subject of the self-test, a mutant or a legal configuration: how it is opened and run. */
#include "cli/selftest_private.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* "a,b,c" of the clauses that a mutant breaks: enough scenarios for a quick look. */
static void aimed(const struct pl_mutant *mutant, char *out, size_t cap)
{
    out[0] = '\0';
    strncat(out, "core-*", cap - 1);
    for (size_t i = 0; mutant->clauses[i]; i++) {
        strncat(out, ",", cap - strlen(out) - 1);
        strncat(out, mutant->clauses[i], cap - strlen(out) - 1);
    }
}

static struct pl_port *subject_port(const struct pl_selftest *t,
                                    const struct pl_selftest_subject *subject,
                                    struct pl_selftest_config *config)
{
    char command[1024], error[256];
    if (!t->carrier)
        return subject->role->in_process(config);
    int n = snprintf(command, sizeof(command), "exec /proc/%d/exe serve %s", (int)getpid(),
                     subject->role->name);
    if (config->mutant)
        n += snprintf(command + n, sizeof(command) - (size_t)n, " --mutant %s", config->mutant);
    for (size_t i = 0; config->options && config->options[i]; i++) {
        const char *option = config->options[i];
        bool type = strncmp(option, "type=", 5) == 0;
        n += snprintf(command + n, sizeof(command) - (size_t)n, " --%s %s",
                      type ? "type" : "option", type ? option + 5 : option);
    }
    /* A driver's time limits pass in virtual time, else a self-test would mostly wait for them. */
    bool driver = strcmp(subject->role->name, pl_selftest_driver.name) == 0;
    struct pl_port_options options = {
        .spec = t->spec, .exec = command, .carrier = t->as, .clock = driver, .driver = driver};
    return pl_port_open(&options, error, sizeof(error));
}

/* What of a subject's run is left out, or added. */
struct extent {
    const char *select; /* NULL: all scenarios */
    bool quick, exhaustive;
    bool until_dead; /* it ends when the mutant has failed each clause that it breaks */
};

/* The clauses of a mutant that have not failed yet in a run. */
struct unfailed {
    const struct pl_selftest *t;
    bool wanted[PL_SELFTEST_CLAUSES];
    size_t n;
};

static void want_clauses(struct unfailed *u, const struct pl_mutant *mutant)
{
    for (const char *const *id = mutant->clauses; *id; id++) {
        int clause = pl_clauses_index(u->t->clauses, *id);
        u->n += clause >= 0 && !u->wanted[clause];
        if (clause >= 0)
            u->wanted[clause] = true;
    }
}

static bool all_failed(void *opaque, size_t clause)
{
    struct unfailed *u = opaque;
    u->n -= u->wanted[clause];
    u->wanted[clause] = false;
    return u->n == 0;
}

/* One whole run of a subject, or of the selected scenarios. */
static void run_selected(const struct pl_selftest *t, size_t i, const struct extent *extent)
{
    const struct pl_selftest_subject *subject = &t->subject[i];
    struct pl_selftest_config config = {.spec = t->spec,
                                        .mutant = subject->mutant ? subject->mutant->id : NULL,
                                        .options = subject->options};
    struct pl_suite_options options = {.scenarios = t->scenarios,
                                       .port = subject_port(t, subject, &config),
                                       .role = subject->role->name,
                                       .iut = "reference peer",
                                       .seed = t->seed,
                                       .select = extent->select,
                                       .quick = extent->quick,
                                       .exhaustive = extent->exhaustive};
    struct unfailed unfailed = {.t = t};
    if (extent->until_dead) {
        want_clauses(&unfailed, subject->mutant);
        options.enough = all_failed;
        options.opaque = &unfailed;
    }
    pl_outcome_play(&options, &t->outcome[i]);
}

/* Did it die of every clause that it breaks? */
static bool killed_throughout(const struct pl_selftest *t, size_t i)
{
    for (const char *const *id = t->subject[i].mutant->clauses; *id; id++) {
        int index = pl_clauses_index(t->clauses, *id);
        if (index >= 0 && !t->outcome[i].failed[index])
            return false;
    }
    return pl_selftest_killed(t, i);
}

/*
 * First what is aimed at a mutant's clauses, then everything: in one combination, in all. One
 * combination of everything says enough only where no clause is left for the others to show. What
 * a clause's failure comes to is known at a run's end: one that ended early may have to run whole.
 */
static void run_mutant(const struct pl_selftest *t, size_t i)
{
    char select[512];
    const struct pl_mutant *mutant = t->subject[i].mutant;
    aimed(mutant, select, sizeof(select));
    const struct extent extents[] = {{.select = select, .quick = true},
                                     {.select = select},
                                     {.quick = true},
                                     {.until_dead = true},
                                     {.until_dead = false},
                                     {.exhaustive = true}};
    for (size_t k = 0; k < sizeof(extents) / sizeof(extents[0]); k++) {
        if (extents[k].exhaustive && !t->exhaustive)
            break;
        run_selected(t, i, &extents[k]);
        bool all_quick = extents[k].quick && !extents[k].select;
        if (all_quick ? killed_throughout(t, i) : pl_selftest_killed(t, i))
            break;
    }
}

/*
 * Quick: what differs from a device that was tested whole is looked at in one combination.
 * Exhaustive: in the pairwise ones, unless it was asked for by name.
 */
static void run_legal(const struct pl_selftest *t, size_t i)
{
    const char *const *options = t->subject[i].options;
    bool one_type = options[0] && strncmp(options[0], "type=", 5) == 0 && !options[1];
    const struct extent extent = {.quick = t->quick && !one_type,
                                  .exhaustive = t->exhaustive && (one_type || t->only_legal)};
    run_selected(t, i, &extent);
}

void pl_selftest_subject_run(const struct pl_selftest *t, size_t i)
{
    if (t->subject[i].mutant)
        run_mutant(t, i);
    else
        run_legal(t, i);
}
