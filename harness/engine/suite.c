/* The run itself: groups of bus parameters, devices, scenarios, choices; restarts where an IUT
 * ends. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/block_proof.h"
#include "engine/bus_run.h"
#include "engine/drive.h"
#include "engine/suite_private.h"
#include "engine/version.h"
#include "pl_digest.h"

enum { MISSES_MAX = 500, STUCK_MAX = 12 };

static double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* --- one scenario in one combination --- */

void pl_suite_describe(struct pl_suite *suite, const struct pl_combination *c,
                       const char *parameters)
{
    char text[16];
    uint32_t value[PL_AXES];
    size_t axes = suite->current->rings ? PL_AXES : PL_AXIS_DIMENSIONS;
    size_t n = 0, cap = sizeof(suite->where);
    pl_axes_pack(&suite->session.bus, c, value);
    n += (size_t)snprintf(suite->where, cap, "%s%s", parameters, parameters[0] ? " " : "");
    for (size_t i = 0; i < axes && n < cap; i++) {
        pl_axis_format(i, value[i], text, sizeof(text));
        n += (size_t)snprintf(suite->where + n, cap - n, "%s=%s ", pl_axis_name(i), text);
    }
    if (suite->session.bus_run && n < cap)
        n += (size_t)snprintf(suite->where + n, cap - n, "devices=%zu ",
                              suite->session.bus_run->n_devices);
    if (n < cap)
        snprintf(suite->where + n, cap - n, "dev_num=%u", c->dev_num);
}

enum pl_scenario_verdict pl_suite_worse(enum pl_scenario_verdict a, enum pl_scenario_verdict b)
{
    static const int rank[] = {[PL_SCENARIO_SKIPPED] = 0,
                               [PL_SCENARIO_INCONCLUSIVE] = 1,
                               [PL_SCENARIO_PASS] = 2,
                               [PL_SCENARIO_ERROR] = 3,
                               [PL_SCENARIO_FAIL] = 4};
    return rank[b] > rank[a] ? b : a;
}

void pl_suite_add_run(struct pl_suite *suite, struct pl_scenario_result *sum, bool first,
                      const struct pl_run_result *run, const char *what)
{
    enum pl_scenario_verdict verdict =
        first ? run->verdict : pl_suite_worse(sum->verdict, run->verdict);
    if (verdict == sum->verdict && !first)
        return;
    sum->verdict = verdict;
    sum->reason = run->reason[0] ? pl_suite_text(suite, run->reason) : NULL;
    sum->parameters = pl_suite_text(suite, what);
}

void pl_suite_note_skip(struct pl_suite *suite, const struct pl_scenario *scenario,
                        const char *reason)
{
    for (size_t i = 0; scenario->clauses[i]; i++) {
        int clause = pl_clauses_index(suite->clauses, scenario->clauses[i]);
        if (clause >= 0 && !suite->skip_reasons[clause])
            suite->skip_reasons[clause] = pl_suite_text(suite, reason);
    }
}

/* suite->where holds the combination, and does so again afterwards. */
static void run_choice(struct pl_suite *suite, const struct pl_scenario *scenario, size_t choice,
                       bool first, const struct pl_combination *c, struct pl_scenario_result *sum)
{
    struct pl_run_result result = {.verdict = PL_SCENARIO_PASS};
    suite->failed_now = false;
    suite->current = scenario;
    suite->combination = c;
    suite->choice_index = choice;
    suite->choice = &result;
    pl_run_once(&suite->session, suite->options->scenarios, scenario, choice, c, &result);
    suite->choice = NULL;
    if (suite->failed_now) {
        result.verdict = PL_SCENARIO_FAIL;
        pl_suite_describe(suite, c, result.parameters);
    }
    if (result.verdict == PL_SCENARIO_SKIPPED)
        pl_suite_note_skip(suite, scenario, result.reason);
    pl_suite_add_run(suite, sum, first, &result, suite->where);
    if (suite->session.misses > MISSES_MAX || suite->session.stuck_resets > STUCK_MAX ||
        suite->session.flooded)
        suite->give_up = true; /* it has failed; more of the same only takes time */
    else if (suite->session.alive && !suite->session.stuck)
        suite->broken_in_a_row = 0;
    else
        pl_suite_restart(suite);
    if (suite->failed_now)
        pl_suite_describe(suite, c, "");
}

/* All combinations of all parameters where the draft's recommended size is in force. */
static bool whole_product(const struct pl_suite *suite, const struct pl_combination *c)
{
    return suite->options->exhaustive || suite->options->bus || suite->options->fixed.any ||
           (suite->session.bus.max_msg_size == pl_suite_plain(suite, PL_AXIS_MAX_MSG_SIZE) &&
            c->outstanding == 1 && c->dev_num == suite->devices[0]);
}

/* Elsewhere each value of each parameter once, neighbours differing from combination to
 * combination. */
static size_t covering_choices(const struct pl_scenario *scenario)
{
    size_t most = 1;
    for (size_t i = 0; i < scenario->n_with; i++)
        most = scenario->with[i].n > most ? scenario->with[i].n : most;
    return most;
}

static size_t covering_choice(const struct pl_scenario *scenario, size_t i, size_t turn)
{
    size_t choice = 0, unit = 1;
    for (size_t k = 0; k < scenario->n_with; k++) {
        choice += unit * ((i + k * turn) % scenario->with[k].n);
        unit *= scenario->with[k].n;
    }
    return choice;
}

/* Which choices of a scenario's own parameters run: n of them from `first` on, or all. */
struct span {
    bool whole;
    size_t first, n, turn;
};

static void run_scenario(struct pl_suite *suite, const struct pl_scenario *scenario,
                         const struct pl_combination *c, const struct span *span)
{
    uint64_t before = suite->session.numbers;
    struct pl_scenario_result sum = {
        .name = scenario->name, .section = scenario->section, .clauses = scenario->clauses};
    if (!pl_run_applies(&suite->session, suite->options->scenarios, scenario, c))
        return;
    suite->noted = false;
    suite->current = scenario;
    pl_suite_describe(suite, c, "");
    size_t n = span->whole ? pl_run_choices(scenario) : span->n;
    for (size_t i = 0; i < n && !suite->give_up; i++)
        run_choice(suite, scenario,
                   span->whole ? i : covering_choice(scenario, span->first + i, span->turn), i == 0,
                   c, &sum);
    sum.messages = suite->session.numbers - before;
    pl_suite_add_scenario(suite, &sum);
    suite->current = NULL;
    suite->combination = NULL;
}

bool pl_suite_selected(const struct pl_suite *suite, const struct pl_scenario *scenario)
{
    if ((scenario->drive != NULL) != (suite->iut == PL_IUT_DRIVER))
        return false;
    return !suite->options->select || pl_scenario_selected(scenario, suite->options->select);
}

static void advance(struct pl_suite *suite)
{
    suite->done++;
    if (suite->options->progress)
        suite->options->progress(suite->options->opaque, suite->done, suite->all);
}

/* --- scenarios of messages alone --- */

/* All depths at the recommended size and where the parameters are fixed; else one in turns. */
static bool depth_wanted(const struct pl_suite *suite, size_t k)
{
    return suite->options->exhaustive || suite->options->bus || suite->options->quick ||
           suite->options->fixed.any ||
           suite->session.bus.max_msg_size == pl_suite_plain(suite, PL_AXIS_MAX_MSG_SIZE) ||
           k == (suite->group_index + (suite->session.bus.features & 1)) % 2;
}

static void run_messages(struct pl_suite *suite, size_t d, unsigned outstanding)
{
    const struct pl_scenarios *all = suite->options->scenarios;
    uint32_t none = 0;
    struct pl_combination c = {
        .outstanding = outstanding, .dev_num = suite->devices[d], .seed = suite->options->seed};
    for (size_t i = 0; i < PL_DIMENSIONS; i++)
        c.dimension[i] = pl_dimensions[i].value[0];
    pl_suite_reset_ms(suite, d, &none);
    for (size_t i = 0; i < all->n && !suite->give_up; i++) {
        const struct pl_scenario *scenario = &all->list[i];
        const struct span span = {.whole = whole_product(suite, &c),
                                  .n = covering_choices(scenario),
                                  .turn = suite->group_index + outstanding};
        if (!scenario->rings && pl_suite_selected(suite, scenario))
            run_scenario(suite, scenario, &c, &span);
        advance(suite);
    }
}

/* --- scenarios with virtqueues --- */

static bool any_rings(const struct pl_suite *suite)
{
    const struct pl_scenarios *all = suite->options->scenarios;
    for (size_t i = 0; i < all->n; i++)
        if (all->list[i].rings && pl_suite_selected(suite, &all->list[i]))
            return true;
    return false;
}

/* Virtqueues need memory that both sides reach. */
static void skip_rings(struct pl_suite *suite, const char *reason)
{
    const struct pl_scenarios *all = suite->options->scenarios;
    const struct pl_combination none = {0};
    uint32_t value[PL_AXES];
    char where[64], profile[16];
    pl_axes_pack(&suite->session.bus, &none, value);
    pl_axis_format(PL_AXIS_PROFILE, value[PL_AXIS_PROFILE], profile, sizeof(profile));
    snprintf(where, sizeof(where), "profile=%s max_msg_size=%u", profile,
             value[PL_AXIS_MAX_MSG_SIZE]);
    const char *parameters = pl_suite_text(suite, where);
    for (size_t i = 0; i < all->n; i++) {
        const struct pl_scenario *scenario = &all->list[i];
        if (!scenario->rings || !pl_suite_selected(suite, scenario))
            continue;
        const struct pl_scenario_result sum = {.name = scenario->name,
                                               .section = scenario->section,
                                               .clauses = scenario->clauses,
                                               .verdict = PL_SCENARIO_SKIPPED,
                                               .reason = reason,
                                               .parameters = parameters};
        pl_suite_note_skip(suite, scenario, reason);
        pl_suite_add_scenario(suite, &sum);
    }
}

/* Every choice where nothing else is varied, elsewhere one after the other from row to row. */
static void run_row(struct pl_suite *suite, size_t d, const struct pl_suite_rows *rows, size_t row)
{
    const struct pl_scenarios *all = suite->options->scenarios;
    struct pl_bus_params bus = suite->session.bus;
    struct pl_combination c = {.dev_num = suite->devices[d],
                               .seed = suite->options->seed,
                               .exhaustive = suite->options->exhaustive};
    uint32_t value[PL_AXES];
    pl_suite_row(rows, row, value);
    pl_axes_unpack(value, &bus, &c);
    pl_suite_reset_ms(suite, d, &c.dimension[PL_DIM_RESET_MS]);
    for (size_t i = 0; i < all->n && !suite->give_up; i++) {
        const struct pl_scenario *scenario = &all->list[i];
        if (!scenario->rings || !pl_suite_selected(suite, scenario))
            continue;
        const struct span span = {.whole = row == 0 || suite->options->exhaustive ||
                                           suite->options->fixed.any,
                                  .first = row,
                                  .n = 1,
                                  .turn = row / covering_choices(scenario)};
        run_scenario(suite, scenario, &c, &span);
        advance(suite);
    }
}

static bool row_is_here(const struct pl_suite *suite, const struct pl_suite_rows *rows, size_t row,
                        bool slow)
{
    uint32_t value[PL_AXES], now[PL_AXES];
    const struct pl_combination none = {0};
    pl_suite_row(rows, row, value);
    pl_axes_pack(&suite->session.bus, &none, now);
    return value[PL_AXIS_PROFILE] == now[PL_AXIS_PROFILE] &&
           value[PL_AXIS_MAX_MSG_SIZE] == now[PL_AXIS_MAX_MSG_SIZE] &&
           (value[PL_AXIS_DIMENSIONS + PL_DIM_RESET_MS] != 0) == slow;
}

/* The rows of this group; those with slow resets last, for what control set may not go away. */
static void run_rings(struct pl_suite *suite, size_t d)
{
    const struct pl_suite_rows *rows = pl_suite_rows(suite, d);
    if (rows && rows->rows.n == 0)
        skip_rings(suite, "no combination of the parameters that are fixed is possible here");
    for (int slow = 0; rows && slow < 2; slow++)
        for (size_t row = 0; row < rows->rows.n && !suite->give_up; row++)
            if (row_is_here(suite, rows, row, slow))
                run_row(suite, d, rows, row);
}

/* --- a group: one set of bus parameters --- */

static void run_group(struct pl_suite *suite)
{
    uint32_t depths[PL_AXIS_VALUES];
    size_t n_depths = pl_suite_axis(suite, PL_AXIS_OUTSTANDING, depths);
    bool rings = any_rings(suite), memory = suite->options->port->mem != NULL;
    if (rings && !memory && suite->group_index == 0)
        skip_rings(suite, "there is no memory that the IUT shares");
    for (size_t d = 0; d < suite->n_devices && d < PL_SUITE_DEVICES; d++) {
        for (size_t k = 0; k < n_depths && !suite->give_up; k++)
            if (depth_wanted(suite, k))
                run_messages(suite, d, depths[k]);
        if (rings && memory && !suite->give_up)
            run_rings(suite, d);
    }
}

/* --- the whole --- */

bool pl_suite_prepare(struct pl_suite *suite, const struct pl_suite_options *o)
{
    suite->options = o;
    suite->spec = o->scenarios->spec;
    suite->clauses = o->scenarios->clauses;
    size_t n = pl_clauses_count(suite->clauses);
    suite->clause_results = calloc(n, sizeof(*suite->clause_results));
    suite->skip_reasons = calloc(n, sizeof(*suite->skip_reasons));
    suite->iut = pl_iut_of(o->role);
    suite->oracle = pl_oracle_new_for(suite->spec, suite->iut, pl_suite_clause_failed, suite);
    if (!suite->clause_results || !suite->skip_reasons || !suite->oracle ||
        pl_session_init(&suite->session, o->port, suite->oracle))
        return false;
    pl_suite_tell_sizes(suite);
    for (size_t i = 0; i < n; i++) {
        const struct pl_clause_def *def = pl_clauses_get(suite->clauses, i);
        suite->clause_results[i] = (struct pl_clause_result){.id = def->id,
                                                             .level = def->level,
                                                             .role = def->role,
                                                             .how = def->how,
                                                             .section = def->section,
                                                             .text = def->text};
    }
    if (o->timeouts.response)
        suite->session.timeouts = o->timeouts;
    if (strcmp(o->role, "bus") == 0 && pl_bus_run_new(&suite->session))
        return false;
    suite->session.events = (struct pl_session_events){
        suite, pl_suite_iut_finding, o->pcapng ? pl_suite_record_message : NULL,
        o->pcapng ? pl_suite_record_note : NULL, NULL};
    suite->report = (struct pl_report){.version = PL_VERSION,
                                       .digest = PL_MODELS_DIGEST,
                                       .spec = suite->spec,
                                       .role = o->role,
                                       .seed = o->seed,
                                       .iut = o->iut,
                                       .n_clauses = n};
    return true;
}

enum { GROUPS_MAX = 2 * PL_AXIS_VALUES };

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Every profile with every size, or what the IUT or the user keeps to. */
static size_t make_groups(const struct pl_suite *suite, struct pl_bus_params out[GROUPS_MAX])
{
    const struct pl_suite_options *o = suite->options;
    uint32_t profiles[PL_AXIS_VALUES], sizes[PL_AXIS_VALUES];
    struct pl_combination unused = {0};
    size_t n = 0, n_profiles = pl_suite_axis(suite, PL_AXIS_PROFILE, profiles);
    size_t n_sizes = pl_suite_axis(suite, PL_AXIS_MAX_MSG_SIZE, sizes);
    qsort(sizes, n_sizes, sizeof(sizes[0]), by_size);
    for (size_t p = 0; p < n_profiles; p++)
        for (size_t i = 0; i < n_sizes; i++) {
            uint32_t value[PL_AXES] = {
                [PL_AXIS_PROFILE] = profiles[p], [PL_AXIS_MAX_MSG_SIZE] = sizes[i]};
            out[n] = o->bus ? *o->bus : (struct pl_bus_params){.revision = suite->spec->revision};
            pl_axes_unpack(value, &out[n++], &unused);
        }
    return n;
}

/* The last group's IUT goes on running where it cannot be started again and is still needed. */
static void end_group(struct pl_suite *suite, bool last)
{
    struct pl_end end;
    const struct pl_suite_options *o = suite->options;
    if (last && o->reduce && !o->port->restartable && suite->n_findings)
        return;
    o->port->ops->stop(o->port, &end);
    suite->session.alive = false;
}

static int run_all(struct pl_suite *suite, char *error, size_t cap)
{
    struct pl_bus_params groups[GROUPS_MAX];
    if (suite->session.bus_run)
        return pl_suite_bus(suite, error, cap);
    size_t n = make_groups(suite, groups);
    suite->all = n * suite->options->scenarios->n * (suite->options->quick ? 1 : 2);
    for (size_t g = 0; g < n && !suite->give_up; g++) {
        suite->group_index = g;
        int err = pl_suite_start(suite, &groups[g]);
        if (err < 0 && g == 0 && !suite->n_findings) {
            snprintf(error, cap, "%s", suite->options->port->error);
            return err;
        }
        if (err < 0)
            suite->give_up = true;
        else
            run_group(suite);
        end_group(suite, g + 1 == n || suite->give_up);
    }
    return 0;
}

/* Behind a gateway: is the far end real? One block is written, read back and restored. */
static void prove_data_path(struct pl_suite *suite)
{
    struct pl_bus_params bus = suite->session.bus;
    struct pl_port *port = suite->options->port;
    struct pl_end end;
    char text[512], again[160] = "", sentence[800];
    if (port->reconnected)
        snprintf(again, sizeof(again),
                 "; on contents that no driver may write it closed the connection, and accepted "
                 "another, %u times",
                 port->reconnected);
    suite->current = NULL;
    if (port->ops->start(port, &bus) < 0)
        return;
    int err = pl_gateway_block_proof(port, text, sizeof(text));
    port->ops->stop(port, &end);
    snprintf(sentence, sizeof(sentence), "%s%s%s",
             err == 0          ? ""
             : err == -ENOTSUP ? "not proven: "
                               : "FAILED: ",
             text, again);
    suite->report.data_path = pl_suite_text(suite, sentence);
    if (err == 0 || err == -ENOTSUP)
        return;
    pl_session_begin(&suite->session);
    snprintf(suite->where, sizeof(suite->where), "data path");
    pl_suite_iut_finding(suite, PL_FINDING_PROTOCOL, sentence);
}

struct pl_suite *pl_suite_run(const struct pl_suite_options *options, int *err, char *error,
                              size_t cap)
{
    double begun = seconds_now();
    struct pl_end end;
    struct pl_suite *suite = calloc(1, sizeof(*suite));
    *err = -ENOMEM;
    snprintf(error, cap, "out of memory");
    if (!suite)
        return NULL;
    if (pl_suite_prepare(suite, options))
        *err = suite->iut == PL_IUT_DRIVER ? pl_drive_all(suite, error, cap)
                                           : run_all(suite, error, cap);
    pl_suite_record_flush(suite);
    if (*err == 0 && options->port->observable && !options->port->one_life && !options->select)
        prove_data_path(suite);
    if (*err < 0) {
        pl_suite_free(suite);
        return NULL;
    }
    pl_suite_conclude(suite);
    bool again = suite->iut == PL_IUT_DEVICE || options->port->restartable;
    if (options->reduce && !suite->give_up && again && !options->port->one_life)
        pl_suite_reduce(suite);
    pl_drive_close(suite);
    options->port->ops->stop(options->port, &end);
    suite->report.seconds = seconds_now() - begun;
    return suite;
}

const struct pl_report *pl_suite_report(const struct pl_suite *suite)
{
    return &suite->report;
}

void pl_suite_free(struct pl_suite *suite)
{
    if (!suite)
        return;
    pl_drive_close(suite);
    for (size_t i = 0; i < suite->n_findings; i++) {
        for (size_t k = 0; k < suite->findings[i].n_messages; k++)
            free((void *)(uintptr_t)suite->findings[i].messages[k].bytes);
        free((void *)(uintptr_t)suite->findings[i].messages);
        free((void *)(uintptr_t)suite->findings[i].matters);
    }
    for (size_t i = 0; i < PL_SUITE_DEVICES; i++)
        pl_rows_free(&suite->device_rows[i].rows);
    free(suite->cases);
    for (size_t i = 0; i < suite->n_texts; i++)
        free(suite->texts[i]);
    pl_session_free(&suite->session);
    pl_oracle_free(suite->oracle);
    free(suite->record.bytes);
    free(suite->record.comment);
    free(suite->texts);
    free(suite->findings);
    free(suite->scenario_results);
    free(suite->clause_results);
    free(suite->skip_reasons);
    free(suite);
}
