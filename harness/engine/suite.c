/* The run itself: groups of bus parameters, devices, scenarios, choices; restarts where an IUT
 * ends. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/block_proof.h"
#include "engine/suite_private.h"
#include "engine/version.h"
#include "pl_digest.h"

enum {
    BROKEN_MAX = 3,
    DISCOVERY_MAX = 2048,
    WINDOW_MAX = 1024,
    DEVICES_FULL = 4,
    MISSES_MAX = 500,
    STUCK_MAX = 12
};

enum {
    SMALL_SIZE = 64,
    SIZES = 4
}; /* a small size between the draft's least and its recommended one */
static const unsigned depths[] = {1, 4};

static double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* --- which devices are there --- */

static void add_device(struct pl_suite *suite, uint16_t number)
{
    if (suite->n_devices < sizeof(suite->devices) / sizeof(suite->devices[0]))
        suite->devices[suite->n_devices++] = number;
}

/* As many device numbers as one answer can tell of. */
static uint32_t window_size(const struct pl_suite *suite)
{
    const struct pl_message_def *def = pl_spec_message(suite->spec, PL_GET_DEVICES);
    uint32_t room =
        suite->session.bus.max_msg_size - suite->spec->header.size - def->response->size;
    return 8 * room < WINDOW_MAX ? 8 * room : WINDOW_MAX;
}

/* Tell the oracle the first n device numbers; 0: nothing is known of them. */
static void tell_devices(struct pl_suite *suite, size_t n)
{
    char text[8 * (sizeof(suite->devices) / sizeof(suite->devices[0]))] = "";
    size_t at = 0;
    for (size_t i = 0; i < n; i++)
        at += (size_t)snprintf(text + at, sizeof(text) - at, " %u", suite->devices[i]);
    pl_session_tell(&suite->session, "devices%s", text);
}

/* One window of GET_DEVICES; returns next_offset, 0 at the end, -1 where it was not answered. */
static int ask_window(struct pl_suite *suite, uint16_t offset, bool first)
{
    struct pl_session *s = &suite->session;
    struct pl_msg m = {.kind = PL_GET_DEVICES}, witness = {.kind = PL_GET_DEVICE_INFO};
    m.f[PL_F_offset] = offset;
    m.f[PL_F_count] = window_size(suite);
    if (!pl_session_probe(s, &m, first ? &witness : NULL) || s->last.form != PL_FORM_OK)
        return -1;
    for (uint32_t i = 0; i < s->last.f[PL_F_count] && i / 8 < s->last.data_len; i++)
        if (s->last.data[i / 8] >> (i % 8) & 1)
            add_device(suite, (uint16_t)(offset + i));
    uint64_t next = s->last.f[PL_F_next_offset];
    return next > offset ? (int)next : 0;
}

/* Does a device answer? Silence is no failure yet: it may not be there. */
static bool probe(struct pl_suite *suite, enum pl_kind kind)
{
    struct pl_msg m = {.kind = kind};
    return pl_session_probe(&suite->session, &m, NULL);
}

static int enumerate(struct pl_suite *suite)
{
    int next = ask_window(suite, 0, true);
    if (next < 0)
        return -ENODEV;
    for (int i = 0; next > 0 && i < DISCOVERY_MAX; i++)
        next = ask_window(suite, (uint16_t)next, false);
    return suite->n_devices ? 0 : -ENODEV;
}

int pl_suite_discover(struct pl_suite *suite)
{
    const struct pl_suite_options *o = suite->options;
    struct pl_session *s = &suite->session;
    suite->n_devices = 0;
    s->dev_num = 0;
    if (o->n_devices) {
        for (size_t i = 0; i < o->n_devices; i++)
            add_device(suite, o->devices[i]);
        tell_devices(suite, suite->n_devices);
        return 0;
    }
    tell_devices(suite, 0);
    if (pl_spec_message(suite->spec, PL_GET_DEVICES) && enumerate(suite) == 0) {
        tell_devices(suite, suite->n_devices);
        return 0;
    }
    if (!s->alive)
        return -EPIPE;
    suite->n_devices = 0;
    add_device(suite, 0);
    if (probe(suite, PL_GET_DEVICE_INFO))
        return 0;
    if (s->alive && probe(suite, PL_GET_DEVICE_STATUS)) {
        tell_devices(suite, 1);
        return 0;
    }
    return s->alive ? -ETIMEDOUT : -EPIPE;
}

/* --- starting, and starting again --- */

int pl_suite_start(struct pl_suite *suite, const struct pl_bus_params *bus)
{
    struct pl_session *s = &suite->session;
    int err = pl_session_start(s, bus);
    if (err < 0)
        return err;
    pl_suite_record_group(suite);
    err = pl_suite_discover(suite);
    if (err == -ETIMEDOUT)
        pl_suite_iut_finding(suite, PL_FINDING_HANG,
                             "the IUT answered neither GET_DEVICES nor "
                             "GET_DEVICE_INFO nor GET_DEVICE_STATUS");
    for (size_t i = 0; !err && i < suite->n_devices; i++) {
        struct pl_msg m = {.kind = PL_GET_DEVICE_INFO, .dev_num = suite->devices[i]};
        pl_session_ask(s, &m);
    }
    return err;
}

void pl_suite_restart(struct pl_suite *suite)
{
    struct pl_bus_params bus = suite->session.bus;
    struct pl_end end;
    if (++suite->broken_in_a_row >= BROKEN_MAX) {
        suite->give_up = true;
        return;
    }
    suite->options->port->ops->stop(suite->options->port, &end);
    if (pl_suite_start(suite, &bus) < 0)
        suite->give_up = true;
}

/* --- one scenario in one combination --- */

static const char *profile_name(const struct pl_session *s)
{
    return s->bus.features >> PL_C_TF_STRICT_CONFIG_GENERATION & 1 ? "strict" : "baseline";
}

static void describe(struct pl_suite *suite, const struct pl_combination *c, const char *parameters)
{
    snprintf(suite->where, sizeof(suite->where),
             "%s%sprofile=%s max_msg_size=%u outstanding=%u dev_num=%u", parameters,
             parameters[0] ? " " : "", profile_name(&suite->session),
             suite->session.bus.max_msg_size, c->outstanding, c->dev_num);
}

static enum pl_scenario_verdict worse(enum pl_scenario_verdict a, enum pl_scenario_verdict b)
{
    static const int rank[] = {[PL_SCENARIO_SKIPPED] = 0,
                               [PL_SCENARIO_INCONCLUSIVE] = 1,
                               [PL_SCENARIO_PASS] = 2,
                               [PL_SCENARIO_ERROR] = 3,
                               [PL_SCENARIO_FAIL] = 4};
    return rank[b] > rank[a] ? b : a;
}

static void note_skip(struct pl_suite *suite, const struct pl_scenario *scenario,
                      const char *reason)
{
    for (size_t i = 0; scenario->clauses[i]; i++) {
        int clause = pl_clauses_index(suite->clauses, scenario->clauses[i]);
        if (clause >= 0 && !suite->skip_reasons[clause])
            suite->skip_reasons[clause] = pl_suite_text(suite, reason);
    }
}

static void run_choice(struct pl_suite *suite, const struct pl_scenario *scenario, size_t choice,
                       bool first, const struct pl_combination *c, struct pl_scenario_result *sum)
{
    struct pl_run_result result = {.verdict = PL_SCENARIO_PASS};
    suite->failed_now = false;
    suite->current = scenario;
    describe(suite, c, "");
    suite->choice = &result;
    pl_run_once(&suite->session, suite->options->scenarios, scenario, choice, c, &result);
    suite->choice = NULL;
    if (suite->failed_now) {
        result.verdict = PL_SCENARIO_FAIL;
        describe(suite, c, result.parameters);
    }
    if (result.verdict == PL_SCENARIO_SKIPPED)
        note_skip(suite, scenario, result.reason);
    enum pl_scenario_verdict verdict = first ? result.verdict : worse(sum->verdict, result.verdict);
    if (verdict != sum->verdict || first) {
        sum->verdict = verdict;
        sum->reason = result.reason[0] ? pl_suite_text(suite, result.reason) : NULL;
        sum->parameters = pl_suite_text(suite, suite->where);
    }
    if (suite->session.misses > MISSES_MAX || suite->session.stuck_resets > STUCK_MAX ||
        suite->session.flooded)
        suite->give_up = true; /* it has failed; more of the same only takes time */
    else if (suite->session.alive && !suite->session.stuck)
        suite->broken_in_a_row = 0;
    else
        pl_suite_restart(suite);
}

/* All combinations of all parameters where the draft's recommended size is in force. */
static bool whole_product(const struct pl_suite *suite, const struct pl_combination *c)
{
    return suite->options->exhaustive || suite->options->bus ||
           (suite->session.bus.max_msg_size == suite->spec->recommended_max_msg_size &&
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

static void run_scenario(struct pl_suite *suite, const struct pl_scenario *scenario,
                         const struct pl_combination *c)
{
    uint64_t before = suite->session.numbers;
    struct pl_scenario_result sum = {
        .name = scenario->name, .section = scenario->section, .clauses = scenario->clauses};
    if (!pl_run_applies(&suite->session, scenario, c))
        return;
    suite->noted = false;
    bool whole = whole_product(suite, c);
    size_t n = whole ? pl_run_choices(scenario) : covering_choices(scenario);
    size_t turn = suite->group_index + c->outstanding;
    for (size_t i = 0; i < n && !suite->give_up; i++)
        run_choice(suite, scenario, whole ? i : covering_choice(scenario, i, turn), i == 0, c,
                   &sum);
    sum.messages = suite->session.numbers - before;
    pl_suite_add_scenario(suite, &sum);
    suite->current = NULL;
}

static bool selected(const struct pl_suite *suite, const struct pl_scenario *scenario)
{
    return !suite->options->select || pl_scenario_selected(scenario, suite->options->select);
}

/* Both depths at the recommended size and where the parameters are fixed; else one in turns. */
static bool depth_wanted(const struct pl_suite *suite, size_t k)
{
    return suite->options->exhaustive || suite->options->bus || suite->options->quick ||
           suite->session.bus.max_msg_size == suite->spec->recommended_max_msg_size ||
           k == (suite->group_index + (suite->session.bus.features & 1)) % 2;
}

static void run_group(struct pl_suite *suite)
{
    const struct pl_scenarios *all = suite->options->scenarios;
    size_t n_depths = suite->options->quick ? 1 : sizeof(depths) / sizeof(depths[0]);
    for (size_t d = 0; d < suite->n_devices && d < DEVICES_FULL; d++)
        for (size_t k = 0; k < n_depths; k++)
            for (size_t i = 0; i < all->n && !suite->give_up && depth_wanted(suite, k); i++) {
                struct pl_combination c = {.outstanding = depths[k],
                                           .dev_num = suite->devices[d],
                                           .seed = suite->options->seed};
                if (selected(suite, &all->list[i]))
                    run_scenario(suite, &all->list[i], &c);
                suite->done++;
                if (suite->options->progress)
                    suite->options->progress(suite->options->opaque, suite->done, suite->all);
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
    suite->oracle = pl_oracle_new(suite->spec, pl_suite_clause_failed, suite);
    if (!suite->clause_results || !suite->skip_reasons || !suite->oracle ||
        pl_session_init(&suite->session, o->port, suite->oracle))
        return false;
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
    suite->session.events = (struct pl_session_events){suite, pl_suite_iut_finding,
                                                       o->pcapng ? pl_suite_record_message : NULL,
                                                       o->pcapng ? pl_suite_record_note : NULL};
    suite->report = (struct pl_report){.version = PL_VERSION,
                                       .digest = PL_MODELS_DIGEST,
                                       .spec = suite->spec,
                                       .role = o->role,
                                       .seed = o->seed,
                                       .iut = o->iut,
                                       .n_clauses = n};
    return true;
}

/* Every profile with every size, or the one combination that the IUT or the user keeps to. */
static size_t make_groups(const struct pl_suite *suite, struct pl_bus_params *out)
{
    const struct pl_suite_options *o = suite->options;
    size_t n = 0;
    if (o->bus || !o->port->restartable || o->quick) {
        struct pl_bus_params bus = {suite->spec->revision, suite->spec->recommended_max_msg_size,
                                    0};
        out[0] = o->bus ? *o->bus : bus;
        return 1;
    }
    const uint32_t sizes[SIZES] = {suite->spec->min_max_msg_size, SMALL_SIZE,
                                   suite->spec->recommended_max_msg_size,
                                   suite->spec->max_max_msg_size};
    for (uint32_t strict = 0; strict < 2; strict++)
        for (size_t i = 0; i < SIZES; i++)
            out[n++] = (struct pl_bus_params){suite->spec->revision, sizes[i],
                                              strict << PL_C_TF_STRICT_CONFIG_GENERATION};
    return n;
}

static int run_all(struct pl_suite *suite, char *error, size_t cap)
{
    struct pl_bus_params groups[16];
    size_t n = make_groups(suite, groups);
    struct pl_end end;
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
        suite->options->port->ops->stop(suite->options->port, &end);
    }
    return 0;
}

/* Behind a gateway: is the far end real? One block is written, read back and restored. */
static void prove_data_path(struct pl_suite *suite)
{
    struct pl_bus_params bus = suite->session.bus;
    struct pl_port *port = suite->options->port;
    struct pl_end end;
    char text[512], sentence[600];
    suite->current = NULL;
    if (port->ops->start(port, &bus) < 0)
        return;
    int err = pl_gateway_block_proof(port, text, sizeof(text));
    port->ops->stop(port, &end);
    snprintf(sentence, sizeof(sentence), "%s%s",
             err == 0          ? ""
             : err == -ENOTSUP ? "not proven: "
                               : "FAILED: ",
             text);
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
    struct pl_suite *suite = calloc(1, sizeof(*suite));
    *err = -ENOMEM;
    snprintf(error, cap, "out of memory");
    if (!suite)
        return NULL;
    if (pl_suite_prepare(suite, options))
        *err = run_all(suite, error, cap);
    pl_suite_record_flush(suite);
    if (*err == 0 && options->port->observable && !options->select)
        prove_data_path(suite);
    if (*err < 0) {
        pl_suite_free(suite);
        return NULL;
    }
    suite->report.seconds = seconds_now() - begun;
    pl_suite_conclude(suite);
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
    for (size_t i = 0; i < suite->n_findings; i++) {
        for (size_t k = 0; k < suite->findings[i].n_messages; k++)
            free((void *)(uintptr_t)suite->findings[i].messages[k].bytes);
        free((void *)(uintptr_t)suite->findings[i].messages);
    }
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
