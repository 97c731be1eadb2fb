/* Turning what a run saw into a report: findings, clause verdicts, the summary. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/suite_private.h"

const char *pl_suite_text(struct pl_suite *suite, const char *text)
{
    if (suite->n_texts == suite->cap_texts) {
        size_t cap = suite->cap_texts ? 2 * suite->cap_texts : 256;
        char **grown = realloc(suite->texts, cap * sizeof(*grown));
        if (!grown)
            return "";
        suite->texts = grown;
        suite->cap_texts = cap;
    }
    char *copy = strdup(text);
    if (!copy)
        return "";
    suite->texts[suite->n_texts++] = copy;
    return copy;
}

void pl_suite_add_scenario(struct pl_suite *suite, const struct pl_scenario_result *result)
{
    if (suite->n_scenario_results == suite->cap_scenario_results) {
        size_t cap = suite->cap_scenario_results ? 2 * suite->cap_scenario_results : 256;
        struct pl_scenario_result *grown = realloc(suite->scenario_results, cap * sizeof(*grown));
        if (!grown)
            return;
        suite->scenario_results = grown;
        suite->cap_scenario_results = cap;
    }
    suite->scenario_results[suite->n_scenario_results++] = *result;
}

/* Copy the last recorded messages into a finding. */
static void copy_messages(struct pl_suite *suite, struct pl_finding *finding)
{
    const struct pl_session *s = &suite->session;
    unsigned n = s->ring_n < PL_FINDING_MESSAGES ? s->ring_n : PL_FINDING_MESSAGES;
    struct pl_trace_entry *list = calloc(n ? n : 1, sizeof(*list));
    if (!list)
        return;
    for (unsigned i = 0; i < n; i++) {
        const struct pl_record *r = &s->ring[(s->ring_at + PL_TRACE_MAX - n + i) % PL_TRACE_MAX];
        uint8_t *bytes = malloc(r->entry.size ? r->entry.size : 1);
        list[i] = r->entry;
        list[i].bytes = bytes;
        if (bytes)
            memcpy(bytes, r->bytes, r->entry.size);
        else
            list[i].size = 0;
    }
    finding->messages = list;
    finding->n_messages = n;
    finding->culprit = n ? n - 1 : 0;
}

static struct pl_finding *new_finding(struct pl_suite *suite)
{
    if (suite->n_findings == suite->cap_findings) {
        size_t cap = suite->cap_findings ? 2 * suite->cap_findings : 32;
        struct pl_finding *grown = realloc(suite->findings, cap * sizeof(*grown));
        if (!grown)
            return NULL;
        suite->findings = grown;
        struct pl_suite_case *cases = realloc(suite->cases, cap * sizeof(*cases));
        if (!cases)
            return NULL;
        suite->cases = cases;
        suite->cap_findings = cap;
    }
    struct pl_finding *f = &suite->findings[suite->n_findings++];
    memset(f, 0, sizeof(*f));
    return f;
}

/* The same kind, clause and scenario as an earlier finding? Then it only counts. */
static struct pl_finding *known_finding(struct pl_suite *suite, enum pl_finding_kind kind,
                                        const struct pl_clause_result *clause)
{
    const char *scenario = suite->current ? suite->current->name : NULL;
    for (size_t i = 0; i < suite->n_findings; i++) {
        struct pl_finding *f = &suite->findings[i];
        if (f->kind == kind && f->clause == clause && f->scenario == scenario)
            return f;
    }
    return NULL;
}

/* The trial that finds a driver's device type is in every run, and nobody can ask for it. */
static bool selectable(const struct pl_suite *suite, const char *name)
{
    const struct pl_scenarios *all = suite->options->scenarios;
    for (size_t i = 0; i < all->n; i++)
        if (strcmp(all->list[i].name, name) == 0)
            return true;
    for (size_t i = 0; i < all->n_bus; i++)
        if (strcmp(all->bus_list[i].name, name) == 0)
            return true;
    return strcmp(name, PL_SCRIPTED_LIFE) == 0;
}

const char *pl_suite_repeat(struct pl_suite *suite, const char *scenario, const char *with)
{
    const struct pl_suite_options *o = suite->options;
    char command[2048];
    if (o->repeat_whole)
        return pl_suite_text(suite, o->repeat);
    if (scenario && !selectable(suite, scenario))
        scenario = NULL;
    snprintf(command, sizeof(command), "%s%s%s%s%s%s --seed %llu",
             o->repeat ? o->repeat : "plumbline test", scenario || o->select ? " --select " : "",
             scenario    ? ""
             : o->select ? "'"
                         : "",
             scenario    ? scenario
             : o->select ? o->select
                         : "",
             scenario    ? ""
             : o->select ? "'"
                         : "",
             with, (unsigned long long)o->seed);
    return pl_suite_text(suite, command);
}

/* The very combination that runs, in the words of the command line. */
static const char *repeat_exactly(struct pl_suite *suite)
{
    char with[512] = "";
    uint32_t value[PL_AXES];
    bool wanted[PL_AXES];
    if (!suite->current || !suite->combination)
        return pl_suite_repeat(suite, NULL, "");
    pl_axes_pack(&suite->session.bus, suite->combination, value);
    for (size_t i = 0; i < PL_AXES; i++)
        wanted[i] = suite->current->rings || i < PL_AXIS_DIMENSIONS;
    pl_suite_with(value, wanted, with, sizeof(with));
    return pl_suite_repeat(suite, suite->current->name, with);
}

static void add_finding(struct pl_suite *suite, enum pl_finding_kind kind,
                        const struct pl_clause_result *clause, const char *text)
{
    char line[1024];
    struct pl_finding *f = known_finding(suite, kind, clause);
    if (f) {
        f->times++;
        return;
    }
    f = new_finding(suite);
    if (!f)
        return;
    f->kind = kind;
    f->clause = clause;
    f->times = 1;
    f->warning = clause && strcmp(clause->level, "SHOULD") == 0;
    f->scenario = suite->current ? suite->current->name : NULL;
    const char *own = suite->choice ? suite->choice->parameters : "";
    snprintf(line, sizeof(line), "%s%s%s", own, own[0] ? " " : "", suite->where);
    f->parameters = pl_suite_text(suite, line);
    f->text = pl_suite_text(suite, text);
    f->repeat = repeat_exactly(suite);
    suite->cases[f - suite->findings] = (struct pl_suite_case){
        .scenario = suite->combination ? suite->current : NULL,
        .choice = suite->choice_index,
        .clause = clause ? (size_t)(clause - suite->clause_results) : 0,
        .order = suite->order,
        .combination = suite->combination ? *suite->combination : (struct pl_combination){0},
        .bus = suite->session.bus};
    copy_messages(suite, f);
}

/* --- findings of suites that ran side by side --- */

/* Everything of it belongs to `suite` now; its messages are taken from where it was. */
static void move_finding(struct pl_suite *suite, struct pl_finding *to, struct pl_finding *from,
                         const struct pl_suite *other)
{
    const struct pl_clause_result *clause = from->clause;
    uint64_t times = from->times;
    *to = *from;
    to->clause = clause ? &suite->clause_results[clause - other->clause_results] : NULL;
    to->times = times;
    to->parameters = from->parameters ? pl_suite_text(suite, from->parameters) : NULL;
    to->text = from->text ? pl_suite_text(suite, from->text) : NULL;
    to->repeat = from->repeat ? pl_suite_text(suite, from->repeat) : NULL;
    from->messages = NULL;
    from->n_messages = 0;
}

static void free_messages(struct pl_finding *f)
{
    for (size_t k = 0; k < f->n_messages; k++)
        free((void *)(uintptr_t)f->messages[k].bytes);
    free((void *)(uintptr_t)f->messages);
    f->messages = NULL;
    f->n_messages = 0;
}

static struct pl_finding *same_finding(struct pl_suite *suite, const struct pl_finding *f,
                                       const struct pl_suite *other)
{
    for (size_t i = 0; i < suite->n_findings; i++) {
        struct pl_finding *mine = &suite->findings[i];
        bool clause = (!f->clause && !mine->clause) ||
                      (f->clause && mine->clause &&
                       f->clause - other->clause_results == mine->clause - suite->clause_results);
        if (mine->kind == f->kind && clause && mine->scenario == f->scenario)
            return mine;
    }
    return NULL;
}

/* The earliest life first; what it is about stays beside it. */
static void sort_findings(struct pl_suite *suite)
{
    for (size_t i = 1; i < suite->n_findings; i++)
        for (size_t k = i; k > 0 && suite->cases[k].order < suite->cases[k - 1].order; k--) {
            struct pl_finding f = suite->findings[k];
            struct pl_suite_case c = suite->cases[k];
            suite->findings[k] = suite->findings[k - 1];
            suite->cases[k] = suite->cases[k - 1];
            suite->findings[k - 1] = f;
            suite->cases[k - 1] = c;
        }
}

void pl_suite_add_findings(struct pl_suite *suite, struct pl_suite *other)
{
    for (size_t i = 0; i < other->n_findings; i++) {
        struct pl_finding *from = &other->findings[i], *to = same_finding(suite, from, other);
        uint64_t times = from->times;
        if (!to) {
            to = new_finding(suite);
        } else if (suite->cases[to - suite->findings].order <= other->cases[i].order) {
            to->times += times;
            continue;
        } else {
            times += to->times;
            free_messages(to);
        }
        if (!to)
            return;
        move_finding(suite, to, from, other);
        to->times = times;
        suite->cases[to - suite->findings] = other->cases[i];
    }
    sort_findings(suite);
}

static bool observable(const struct pl_suite *suite, const char *id)
{
    return pl_port_shows(suite->options->port, id);
}

void pl_suite_clause_failed(void *opaque, size_t clause, const char *text)
{
    struct pl_suite *suite = opaque;
    const struct pl_clause_result *result = &suite->clause_results[clause];
    if (suite->hunt) {
        suite->hunt->seen |=
            suite->hunt->kind == PL_FINDING_CLAUSE && suite->hunt->clause == clause;
        return;
    }
    if (!observable(suite, result->id) || !pl_clauses_get(suite->clauses, clause)->judged)
        return;
    if (strcmp(result->level, "MUST") == 0)
        suite->failed_now = true;
    add_finding(suite, PL_FINDING_CLAUSE, result, text);
    const struct pl_suite_options *o = suite->options;
    if (o->enough && o->enough(o->opaque, clause))
        suite->give_up = true;
}

void pl_suite_iut_finding(void *opaque, enum pl_finding_kind kind, const char *text)
{
    struct pl_suite *suite = opaque;
    char line[PL_NOTE_MAX];
    if (suite->hunt) {
        suite->hunt->seen |= suite->hunt->kind == kind;
        return;
    }
    suite->failed_now = true;
    add_finding(suite, kind, NULL, text);
    snprintf(line, sizeof(line), "finding %s %s", pl_finding_kind_name(kind), text);
    pl_suite_record_note(suite, line);
}

static bool in_list(const char *const *list, const char *id)
{
    for (; list && *list; list++)
        if (strcmp(*list, id) == 0)
            return true;
    return false;
}

static bool aimed_at(const struct pl_suite *suite, const char *id)
{
    for (size_t i = 0; i < suite->n_scenario_results; i++)
        if (in_list(suite->scenario_results[i].clauses, id))
            return true;
    return false;
}

static void unexercised(struct pl_suite *suite, size_t i, struct pl_clause_result *result)
{
    result->verdict = PL_CLAUSE_NOT_EXERCISED;
    if (suite->skip_reasons[i])
        result->reason = suite->skip_reasons[i];
    else if (aimed_at(suite, result->id))
        result->reason = "the IUT gave no occasion to judge it";
    else
        result->reason = "no scenario of this run aims at it";
}

/* What devices the IUT has is known, and none of them is of the type that the clause binds. */
static bool other_type(const struct pl_suite *suite, const struct pl_clause_def *def)
{
    bool known = false;
    if (suite->iut == PL_IUT_DRIVER)
        return def->type && suite->drive_type && strcmp(def->type, suite->drive_type) != 0;
    for (size_t i = 0; def->device_id && i < suite->n_devices; i++) {
        const struct pl_msg *info = pl_oracle_info(suite->oracle, suite->devices[i]);
        if (info && info->f[PL_F_device_id] == def->device_id)
            return false;
        known |= info != NULL;
    }
    return known;
}

static void no_such_type(struct pl_suite *suite, const struct pl_clause_def *def,
                         struct pl_clause_result *result)
{
    char reason[128];
    snprintf(reason, sizeof(reason), "the IUT %s no device of type %s",
             suite->iut == PL_IUT_DRIVER ? "was given" : "has", def->type);
    result->verdict = PL_CLAUSE_NOT_EXERCISED;
    result->other_type = true;
    result->reason = pl_suite_text(suite, reason);
}

static void judge_clause(struct pl_suite *suite, size_t i)
{
    const struct pl_clause_def *def = pl_clauses_get(suite->clauses, i);
    const struct pl_clause_state *state = pl_oracle_clause(suite->oracle, i);
    struct pl_clause_result *result = &suite->clause_results[i];
    bool option = strcmp(def->how, "option") == 0;
    result->count = state->applied;
    result->reason = def->reason;
    result->spec = def->spec;
    result->type = def->type;
    if (!state->applied && other_type(suite, def)) {
        no_such_type(suite, def, result);
    } else if (!observable(suite, def->id) && (def->judged || option)) {
        result->verdict = PL_CLAUSE_NOT_OBSERVABLE;
        result->reason = "the gateway makes this up itself or hides it";
    } else if (in_list(suite->options->declared, def->id)) {
        result->verdict = PL_CLAUSE_DECLARED;
        result->reason = "stated by the profile";
    } else if (option && (strcmp(def->role, suite->options->role) == 0)) {
        result->verdict = state->used ? PL_CLAUSE_OPTION_USED : PL_CLAUSE_OPTION_NOT_USED;
    } else if (!def->judged) {
        result->verdict = PL_CLAUSE_NOT_JUDGED;
    } else if (state->failed) {
        result->verdict = strcmp(def->level, "MUST") == 0 ? PL_CLAUSE_FAIL : PL_CLAUSE_WARNING;
    } else if (state->applied) {
        result->verdict = PL_CLAUSE_PASS;
    } else {
        unexercised(suite, i, result);
    }
}

/* Keep the clauses of the run's role and those that bind everybody. */
static void keep_role(struct pl_suite *suite)
{
    struct pl_report *report = &suite->report;
    size_t n = 0;
    for (size_t i = 0; i < report->n_clauses; i++) {
        struct pl_clause_result *r = &suite->clause_results[i];
        if (strcmp(r->role, suite->options->role) && strcmp(r->role, "any"))
            continue;
        struct pl_clause_result moved = *r;
        for (size_t k = 0; k < suite->n_findings; k++)
            if (suite->findings[k].clause == r)
                suite->findings[k].clause = &suite->clause_results[n];
        suite->clause_results[n++] = moved;
    }
    report->n_clauses = n;
}

static const char *why_not(const struct pl_suite *suite, bool *conforms)
{
    size_t passed = 0, errors = 0;
    for (size_t i = 0; i < suite->report.n_clauses; i++)
        passed += suite->clause_results[i].verdict == PL_CLAUSE_PASS;
    for (size_t i = 0; i < suite->n_scenario_results; i++)
        errors += suite->scenario_results[i].verdict == PL_SCENARIO_ERROR;
    *conforms = true;
    for (size_t i = 0; i < suite->n_findings; i++)
        *conforms &= suite->findings[i].warning;
    if (!*conforms)
        return NULL;
    *conforms = false;
    if (suite->give_up)
        return "the run was given up: the IUT could not be brought back";
    if (errors)
        return "a scenario is at fault and did not run";
    if (suite->never_ready)
        return "the driver never reached DRIVER_OK: nothing behind it could be exercised";
    if (pl_oracle_never_ready(suite->oracle))
        return "FEATURES_OK was refused for every selection of offered features: nothing behind it "
               "could be exercised";
    if (!passed)
        return "no clause was exercised";
    *conforms = true;
    return NULL;
}

/* Findings about a message that was missing at first and answered later belong to another clause.
 */
static void relabel(void *opaque, const char *message, size_t from, size_t to)
{
    struct pl_suite *suite = opaque;
    for (size_t i = 0; i < suite->n_findings; i++) {
        struct pl_finding *f = &suite->findings[i];
        if (f->clause == &suite->clause_results[from] &&
            strncmp(f->text, message, strlen(message)) == 0 && f->text[strlen(message)] == ' ')
            f->clause = &suite->clause_results[to];
    }
}

void pl_suite_conclude(struct pl_suite *suite)
{
    struct pl_report *report = &suite->report;
    pl_oracle_conclude(suite->oracle, relabel);
    for (size_t i = 0; i < report->n_clauses; i++)
        judge_clause(suite, i);
    keep_role(suite);
    report->clauses = suite->clause_results;
    report->scenarios = suite->scenario_results;
    report->n_scenarios = suite->n_scenario_results;
    report->findings = suite->findings;
    report->n_findings = suite->n_findings;
    report->n_messages = suite->session.numbers;
    report->n_starts = suite->session.starts;
    report->why_not = why_not(suite, &report->conforms);
}
