/* Recorded traces, once more: read group by group, with the notes that stand in their comments. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/replay.h"
#include "engine/suite_private.h"

enum { SPEC_FOUND = 1, STOPPED = 2, NAMES_MAX = 256, OWN_TOKENS = 0x8000 };

struct replay {
    struct pl_suite *suite;
    struct pl_suite_options options;
    struct pl_port offline; /* stands in for a port where there is none */
    bool live;
    bool unjudged; /* a group in which the driver was only asked to live */
    bool skipping; /* a group that this IUT cannot have, or its end was met */
    unsigned groups_sent;
    int err;
    char *error;
    size_t cap;
    struct pl_scenario_result now; /* the scenario that runs; name NULL: none */
    uint64_t first_number;
    struct pl_scenario *unknown; /* scenarios that this program does not have */
    size_t n_unknown;
    const char *observable[NAMES_MAX + 1];
    /* live: */
    unsigned unread;  /* messages that went out since the last wait */
    bool reset_asked; /* the last status that was written is 0 */
};

static const char *const no_clauses[] = {NULL};

/* --- the group's text: "spec=NAME [role=ROLE] revision=1 max_msg_size=264 features=0x0" --- */

static const struct pl_spec *parse_group(const char *text, enum pl_iut *iut,
                                         struct pl_bus_params *bus, char *error, size_t cap)
{
    char name[64], role[16] = "";
    int n = 0, more = 0;
    const struct pl_spec *spec = NULL;
    if (sscanf(text, "spec=%63s %n", name, &n) == 1 && n)
        spec = pl_spec_find(name);
    if (n && sscanf(text + n, "role=%15s %n", role, &more) == 1)
        n += more;
    *iut = pl_iut_of(role);
    if (spec && pl_bus_params_parse(text + n, bus) == 0)
        return spec;
    snprintf(error, cap,
             "a group of messages is described by '%.200s', not by 'spec=DRAFT revision=N "
             "max_msg_size=N features=0xN' with a known draft",
             text);
    return NULL;
}

struct spec_search {
    const struct pl_spec *spec;
    enum pl_iut iut;
    char *error;
    size_t cap;
};

static int search_group(void *opaque, uint32_t group, const char *text)
{
    struct spec_search *search = opaque;
    struct pl_bus_params bus;
    (void)group;
    search->spec = parse_group(text, &search->iut, &bus, search->error, search->cap);
    return search->spec ? SPEC_FOUND : STOPPED;
}

const struct pl_spec *pl_replay_spec(const char *path, enum pl_iut *iut, char *error, size_t cap)
{
    static const struct pl_pcapng_reader_ops ops = {.group = search_group};
    char why[512];
    struct spec_search search = {.error = why, .cap = sizeof(why)};
    int err = pl_pcapng_read(path, &ops, &search, error, cap);
    if (err == STOPPED)
        snprintf(error, cap, "%.200s: %s", path, why);
    else if (err == 0)
        snprintf(error, cap, "%.200s: the trace has no group of messages", path);
    *iut = search.iut;
    return search.spec;
}

/* --- scenarios, as far as the trace tells of them --- */

static const struct pl_scenario *find_scenario(struct replay *r, const char *name)
{
    const struct pl_scenarios *all = r->options.scenarios;
    for (size_t i = 0; i < all->n; i++)
        if (strcmp(all->list[i].name, name) == 0)
            return &all->list[i];
    for (size_t i = 0; i < all->n_bus; i++)
        if (strcmp(all->bus_list[i].name, name) == 0)
            return &all->bus_list[i];
    for (size_t i = 0; i < r->n_unknown; i++)
        if (strcmp(r->unknown[i].name, name) == 0)
            return &r->unknown[i];
    return NULL;
}

/* A scenario of somebody else's: the trace gives its name and nothing more. */
static const struct pl_scenario *add_unknown(struct replay *r, const char *name)
{
    struct pl_scenario *grown = realloc(r->unknown, (r->n_unknown + 1) * sizeof(*grown));
    if (!grown)
        return NULL;
    r->unknown = grown;
    grown[r->n_unknown] =
        (struct pl_scenario){.name = pl_suite_text(r->suite, name), .section = ""};
    return &grown[r->n_unknown++];
}

static void end_scenario(struct replay *r)
{
    struct pl_suite *suite = r->suite;
    if (r->now.name) {
        r->now.verdict = suite->failed_now ? PL_SCENARIO_FAIL : PL_SCENARIO_PASS;
        r->now.messages = suite->session.numbers - r->first_number;
        pl_suite_add_scenario(suite, &r->now);
    }
    r->now.name = NULL;
    suite->current = NULL;
    suite->failed_now = false;
}

static void begin_scenario(struct replay *r, const char *name)
{
    const struct pl_scenario *scenario = find_scenario(r, name);
    end_scenario(r);
    if (!scenario)
        scenario = add_unknown(r, name);
    if (!scenario)
        return;
    pl_session_begin(&r->suite->session);
    r->suite->current = scenario;
    r->first_number = r->suite->session.numbers;
    r->now = (struct pl_scenario_result){
        .name = scenario->name,
        .section = scenario->section,
        .clauses = scenario->clauses ? scenario->clauses : (const char **)(uintptr_t)no_clauses,
        .parameters = ""};
}

/* --- the lines of a comment --- */

/* The next line of a comment into `line`; its end, or NULL where there is none left. */
static const char *next_line(const char *at, char *line, size_t cap)
{
    if (!at || !*at)
        return NULL;
    size_t n = strcspn(at, "\n");
    snprintf(line, cap, "%.*s", (int)n, at);
    return at + n + (at[n] == '\n');
}

/* What stands behind the mark and the word in a line, or NULL. */
static const char *note_of(const char *line, const char *word)
{
    size_t mark = strlen(PL_NOTE_MARK), n = strlen(word);
    if (strncmp(line, PL_NOTE_MARK, mark) || strncmp(line + mark, word, n))
        return NULL;
    const char *rest = line + mark + n;
    return *rest == ' ' ? rest + 1 : *rest ? NULL : rest;
}

static bool has_note(const char *comment, const char *word)
{
    char line[PL_NOTE_MAX + 64];
    while ((comment = next_line(comment, line, sizeof(line))))
        if (note_of(line, word))
            return true;
    return false;
}

static void take_finding(struct replay *r, const char *text)
{
    for (int kind = PL_FINDING_CRASH; kind <= PL_FINDING_PROTOCOL; kind++) {
        const char *name = pl_finding_kind_name((enum pl_finding_kind)kind);
        size_t n = strlen(name);
        if (strncmp(text, name, n) == 0 && text[n] == ' ')
            pl_suite_iut_finding(r->suite, (enum pl_finding_kind)kind, text + n + 1);
    }
}

static void take_observable(struct replay *r, const char *text)
{
    char copy[PL_NOTE_MAX], *save = NULL;
    size_t n = 0;
    snprintf(copy, sizeof(copy), "%s", text);
    for (char *id = strtok_r(copy, " ", &save); id && n < NAMES_MAX;
         id = strtok_r(NULL, " ", &save))
        r->observable[n++] = pl_suite_text(r->suite, id);
    r->observable[n] = NULL;
    r->offline.observable = r->observable;
}

static void take_where(struct replay *r, const char *text)
{
    struct pl_suite *suite = r->suite;
    const char *device = strstr(text, "dev_num=");
    unsigned dev_num;
    if (device && sscanf(device, "dev_num=%u", &dev_num) == 1)
        suite->session.dev_num = (uint16_t)dev_num; /* for the session's own requests */
    snprintf(suite->where, sizeof(suite->where), "%s", text);
    r->now.parameters = pl_suite_text(suite, suite->where);
}

/* --- judging as it stands --- */

static void judge_message(struct replay *r, const struct pl_trace_entry *entry, const char *comment)
{
    char line[PL_NOTE_MAX + 64];
    const char *at = comment, *rest;
    while ((at = next_line(at, line, sizeof(line)))) {
        if (strncmp(line, PL_NOTE_MARK, strlen(PL_NOTE_MARK)) != 0)
            begin_scenario(r, line);
        else if ((rest = note_of(line, "where")))
            take_where(r, rest);
    }
    r->unjudged |= has_note(comment, "unjudged");
    pl_session_judge(&r->suite->session, entry, !has_note(comment, "answer") && !r->unjudged);
    while ((comment = next_line(comment, line, sizeof(line)))) {
        if ((rest = note_of(line, "finding")))
            take_finding(r, rest);
        else if ((rest = note_of(line, "observable")))
            take_observable(r, rest);
        else if (strncmp(line, PL_NOTE_MARK, strlen(PL_NOTE_MARK)) == 0 && !r->unjudged)
            pl_session_tell(&r->suite->session, "%s", line + strlen(PL_NOTE_MARK));
    }
}

static void judge_group(struct replay *r, const struct pl_bus_params *bus)
{
    struct pl_session *s = &r->suite->session;
    s->bus = *bus;
    r->unjudged = false;
    pl_oracle_start(s->oracle, bus->max_msg_size, bus->features);
    pl_oracle_devices(s->oracle, NULL, 0);
    pl_session_begin(s);
}

/* --- sending it again --- */

static bool sound(const struct pl_session *s)
{
    return s->alive && !s->stuck;
}

/* Wait for what is owed, and at the end of a scenario for events too. */
static void catch_up(struct replay *r, bool whole)
{
    struct pl_session *s = &r->suite->session;
    if (r->unread && sound(s))
        pl_session_wait(s);
    r->unread = 0;
    if (whole && sound(s) && pl_session_await_event(s) == 0)
        pl_session_tell(s, "settle");
}

/* The trace's device reports the end of its reset. This one may need longer. */
static void catch_up_reset(struct replay *r, const struct pl_trace_entry *entry)
{
    struct pl_session *s = &r->suite->session;
    struct pl_msg m;
    uint32_t status;
    pl_decode(s->spec, entry->bytes, entry->size, &m);
    bool tells = m.kind == PL_GET_DEVICE_STATUS || m.kind == PL_SET_DEVICE_STATUS;
    if (m.form != PL_FORM_OK || !tells || m.f[PL_F_status] != 0)
        return;
    s->dev_num = m.dev_num;
    if (!pl_oracle_status(s->oracle, m.dev_num, &status) || status != 0)
        pl_session_await_reset(s);
}

static void note_reset(struct replay *r, const struct pl_trace_entry *entry)
{
    struct pl_msg m;
    pl_decode(r->suite->spec, entry->bytes, entry->size, &m);
    if (m.form == PL_FORM_OK && m.kind == PL_SET_DEVICE_STATUS && !m.response)
        r->reset_asked = m.f[PL_F_status] == 0;
}

static void send_control(struct replay *r, const char *line)
{
    struct pl_session *s = &r->suite->session;
    unsigned dev = 0;
    bool unsupported;
    catch_up(r, true);
    pl_session_tell(s, "control %s", line);
    sscanf(line, "%*s %u", &dev);
    if (!pl_session_control(s, line, &unsupported))
        pl_session_tell(s, "retract %u", dev);
}

/* A scenario begins: the one before it has its end, and a broken IUT its next life. */
static void send_boundary(struct replay *r, const char *name)
{
    struct pl_suite *suite = r->suite;
    catch_up(r, true);
    bool failed = suite->failed_now;
    if (sound(&suite->session))
        suite->broken_in_a_row = 0;
    else if (!suite->give_up)
        pl_suite_restart(suite);
    suite->failed_now = failed;
    begin_scenario(r, name);
}

static void send_notes(struct replay *r, const char *comment, bool before)
{
    char line[PL_NOTE_MAX + 64];
    const char *rest;
    while ((comment = next_line(comment, line, sizeof(line)))) {
        if (before && strncmp(line, PL_NOTE_MARK, strlen(PL_NOTE_MARK)) != 0)
            send_boundary(r, line);
        else if (before && (rest = note_of(line, "where")))
            take_where(r, rest);
        else if (!before && (rest = note_of(line, "control")))
            send_control(r, rest);
    }
}

static void send_message(struct replay *r, const struct pl_trace_entry *entry, const char *comment)
{
    struct pl_session *s = &r->suite->session;
    send_notes(r, comment, true);
    if (sound(s) && !entry->to_iut) {
        bool one = r->unread == 1;
        catch_up(r, false);
        if (sound(s) && one && r->reset_asked)
            catch_up_reset(r, entry);
    } else if (sound(s) && !has_note(comment, "answer")) {
        note_reset(r, entry);
        pl_session_push(s, entry->bytes, entry->size);
        r->unread++;
    }
    if (sound(s))
        send_notes(r, comment, false);
}

/* The IUT keeps its parameters: only groups of these can be sent. */
static bool can_have(const struct replay *r, const struct pl_bus_params *bus)
{
    const struct pl_suite_options *o = &r->options;
    const struct pl_spec *spec = r->suite->spec;
    struct pl_bus_params kept = {spec->revision, spec->recommended_max_msg_size, 0};
    if (!o->bus && o->port->restartable)
        return true;
    if (o->bus)
        kept = *o->bus;
    return kept.max_msg_size == bus->max_msg_size && kept.features == bus->features;
}

static int send_group(struct replay *r, const struct pl_bus_params *bus)
{
    struct pl_suite *suite = r->suite;
    struct pl_end end;
    if (r->groups_sent)
        r->options.port->ops->stop(r->options.port, &end);
    suite->session.alive = false;
    r->skipping = !can_have(r, bus);
    if (r->skipping)
        return 0;
    int err = pl_suite_start(suite, bus);
    if (err < 0 && !r->groups_sent && !suite->n_findings) {
        snprintf(r->error, r->cap, "%s", r->options.port->error);
        r->err = err;
        return STOPPED;
    }
    /* The session's own requests must not be taken for the trace's. */
    suite->session.next_token = OWN_TOKENS;
    suite->session.dev_num = suite->n_devices ? suite->devices[0] : 0;
    r->groups_sent++;
    suite->give_up = err < 0;
    return 0;
}

/* --- both --- */

static int take_group(void *opaque, uint32_t group, const char *text)
{
    struct replay *r = opaque;
    struct pl_bus_params bus;
    char why[512];
    (void)group;
    enum pl_iut iut;
    if (strstr(text, PL_PCAPNG_DEVICE_SIDE))
        return 0; /* of the group before it */
    const struct pl_spec *spec = parse_group(text, &iut, &bus, why, sizeof(why));
    if (!spec || spec != r->suite->spec) {
        snprintf(r->error, r->cap, "%s", spec ? "the trace's groups are of different drafts" : why);
        r->err = -EINVAL;
        return STOPPED;
    }
    if (r->live && r->groups_sent)
        catch_up(r, true);
    end_scenario(r);
    snprintf(r->suite->where, sizeof(r->suite->where), "max_msg_size=%u transport_features=0x%x",
             bus.max_msg_size, bus.features);
    r->unread = 0;
    r->reset_asked = false;
    if (r->live)
        return send_group(r, &bus);
    judge_group(r, &bus);
    return 0;
}

static int take_message(void *opaque, const struct pl_trace_entry *entry, const char *comment)
{
    struct replay *r = opaque;
    if (!r->live)
        judge_message(r, entry, comment);
    else if (!r->skipping && !r->suite->give_up)
        send_message(r, entry, comment);
    return 0;
}

static int run(struct replay *r, const char *path)
{
    static const struct pl_pcapng_reader_ops ops = {take_group, take_message};
    char why[512];
    struct pl_end end;
    int err = pl_pcapng_read(path, &ops, r, why, sizeof(why));
    if (err < 0) {
        snprintf(r->error, r->cap, "%s", why);
        return err == -ENOMEM ? err : -EINVAL;
    }
    if (r->err)
        return r->err;
    if (r->live && r->groups_sent)
        catch_up(r, true);
    end_scenario(r);
    if (r->live)
        r->options.port->ops->stop(r->options.port, &end);
    if (r->live && !r->groups_sent) {
        snprintf(r->error, r->cap,
                 "%.200s: no group of the trace has the bus parameters that the IUT keeps", path);
        return -EINVAL;
    }
    if (!r->suite->session.numbers) {
        snprintf(r->error, r->cap, "%.200s: the trace holds no message", path);
        return -EINVAL;
    }
    return 0;
}

static double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

struct pl_suite *pl_replay(const struct pl_suite_options *options, const char *path, int *err,
                           char *error, size_t cap)
{
    double begun = seconds_now();
    struct replay *r = calloc(1, sizeof(*r));
    struct pl_suite *suite = calloc(1, sizeof(*suite));
    *err = -ENOMEM;
    snprintf(error, cap, "out of memory");
    if (r && suite) {
        *r = (struct replay){.suite = suite, .options = *options, .error = error, .cap = cap};
        r->live = options->port != NULL;
        r->offline.spec = options->scenarios->spec;
        if (!r->live)
            r->options.port = &r->offline;
        if (pl_suite_prepare(suite, &r->options))
            *err = run(r, path);
    }
    if (*err == 0) {
        suite->report.seconds = seconds_now() - begun;
        pl_suite_conclude(suite);
        suite->options = NULL; /* it goes with the replay */
    } else {
        pl_suite_free(suite);
        suite = NULL;
    }
    if (r)
        free(r->unknown);
    free(r);
    return suite;
}
