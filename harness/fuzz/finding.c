/* Findings of a campaign: told apart, made small, run again, and kept in a folder each. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz/campaign_private.h"
#include "fuzz/exec_private.h"
#include "fuzz/shrink.h"

enum {
    AGAIN = 5, /* runs that say how stable it is */
    AGAIN_HANG = 2,
    FIRST_TRIES = 3,
    BUDGET_VIRTUAL = 4000, /* runs for making it small */
    BUDGET_REAL = 400,
    BUDGET_HANG = 24,
    SMALL_MS = 10000, /* and real time for that */
    TEXT = 8192,
};

/* What one finding is on its way to its folder. */
struct found {
    struct pl_campaign *c;
    const struct pl_exec_finding *f;
    char name[PL_CAMPAIGN_NAME], what[PL_CAMPAIGN_WHAT];
    char folder[PL_CAMPAIGN_PATH], part[PL_CAMPAIGN_PATH]; /* as it is called, and until then */
    char wrote[2048];                                      /* the IUT, when it ended */
    unsigned again, of, actions;                           /* of the case as it was found */
    uint64_t execution;                                    /* that showed it first */
    uint64_t until_ms;                                     /* it is made smaller; 0: at any time */
};

/* --- telling findings apart --- */

/* The last line in which the IUT said what broke it; NULL: there is none. */
static const char *complaint(const char *wrote)
{
    static const char *const words[] = {"ssertion", "panic"};
    const char *found = NULL;
    for (const char *line = wrote; *line; line += strcspn(line, "\n"), line += *line == '\n')
        for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
            const char *at = strstr(line, words[i]);
            if (at && at < line + strcspn(line, "\n"))
                found = line;
        }
    return found;
}

/* What a dead IUT left: the sanitizer's summary without addresses (true is returned), its last
 * complaint without numbers, or how it ended. */
static bool signature(const struct pl_exec_finding *f, const char *wrote, char *out, size_t cap)
{
    const char *summary = strstr(wrote, "SUMMARY: ");
    const char *from = summary ? summary : f->text, *told = strstr(f->text, "; it wrote:");
    bool numbers = true;
    if (!summary && (f->kind == PL_FINDING_CRASH || f->kind == PL_FINDING_EXIT) &&
        complaint(wrote)) {
        from = complaint(wrote);
        told = NULL;
        numbers = false;
    }
    size_t n = summary || !told ? strcspn(from, "\n") : (size_t)(told - f->text), at = 0;
    for (size_t i = 0; i < n && at + 1 < cap; i++) {
        if (from[i] == '0' && i + 1 < n && from[i + 1] == 'x') {
            i += 1 + strspn(from + i + 2, "0123456789abcdefABCDEF");
            continue;
        }
        if (!numbers && isdigit((unsigned char)from[i]))
            continue;
        out[at++] = from[i];
    }
    out[at] = '\0';
    return summary != NULL;
}

static unsigned hash(const char *text)
{
    unsigned h = 2166136261u;
    for (; *text; text++)
        h = (h ^ (uint8_t)*text) * 16777619u;
    return h;
}

/*
 * "RVQ-DEV-01.DRIVER_OK.RESET_VQUEUE", or without a message: names of folders. How an IUT ended is
 * told apart by what it left, "crash-1a2b3c4d", or by that and the state,
 * "exit-1a2b3c4d.DRIVER_OK": by which of the last messages it ended is not for the harness to see.
 */
static void name_of(const struct pl_campaign *c, const struct pl_exec_finding *f, const char *wrote,
                    char *out, size_t cap)
{
    char text[512];
    if (f->clause >= 0) {
        snprintf(out, cap, "%s.%s%s%s",
                 pl_clauses_get(pl_clauses_find(c->spec), (size_t)f->clause)->id, f->state,
                 f->message ? "." : "", f->message ? pl_kind_names[f->message] : "");
    } else {
        bool alone = signature(f, wrote, text, sizeof(text));
        snprintf(out, cap, "%s-%08x%s%s", pl_finding_kind_name(f->kind), hash(text),
                 alone ? "" : ".", alone ? "" : f->state);
    }
    for (char *p = out; *p; p++)
        *p = *p == '|' ? '+' : isalnum((unsigned char)*p) || strchr("._+-", *p) ? *p : '-';
}

static void say_what(struct found *n)
{
    const struct pl_exec_finding *f = n->f;
    const struct pl_clauses *clauses = pl_clauses_find(n->c->spec);
    snprintf(n->what, sizeof(n->what), "%s in %s%s%s",
             f->clause >= 0 ? pl_clauses_get(clauses, (size_t)f->clause)->id
                            : pl_finding_kind_name(f->kind),
             f->state, f->message ? " by " : "", f->message ? pl_kind_names[f->message] : "");
}

static bool is_known(struct pl_campaign *c, const char *name)
{
    for (size_t i = 0; i < c->n_findings; i++)
        if (strcmp(c->finding[i], name) == 0)
            return true;
    return false;
}

static int remember(struct pl_campaign *c, const char *name)
{
    void *more = realloc(c->finding, (c->n_findings + 1) * sizeof(c->finding[0]));
    if (!more)
        return pl_campaign_fail(c, -ENOMEM, "out of memory");
    c->finding = more;
    snprintf(c->finding[c->n_findings++], sizeof(c->finding[0]), "%s", name);
    return 0;
}

void pl_finding_free(struct pl_campaign *c)
{
    free(c->finding);
}

/* --- running it again --- */

static void on_message(void *opaque, const struct pl_trace_entry *entry)
{
    struct pl_campaign *c = opaque;
    if (c->trace)
        pl_trace_message(c->trace, entry);
}

static void on_note(void *opaque, const char *line)
{
    struct pl_campaign *c = opaque;
    if (c->trace)
        pl_trace_note(c->trace, line);
}

/* An executor that starts the IUT for each case and can record it. */
static int open_once(struct pl_campaign *c)
{
    struct pl_exec_options o = c->o->exec;
    if (c->once)
        return 0;
    o.keep = false;
    o.opaque = c;
    o.message = on_message;
    o.note = on_note;
    c->once = pl_exec_new(&o, c->error, c->error_cap);
    return c->once ? 0 : -ENOMEM;
}

/* Two executors cannot have one port: the other one starts the IUT anew. */
static int close_once(struct pl_campaign *c)
{
    if (!c->o->exec.port)
        return 0;
    pl_exec_free(c->once);
    c->once = NULL;
    return pl_campaign_renew(c);
}

/* Does the case show the finding again? */
static bool shows(void *opaque, const struct pl_case *tried)
{
    struct found *n = opaque;
    struct pl_campaign *c = n->c;
    char name[PL_CAMPAIGN_NAME];
    if ((n->until_ms && pl_session_clock_ms() > n->until_ms) ||
        pl_exec_run(c->once, tried, &c->again) < 0)
        return false;
    c->stats->executions++;
    c->stats->messages += c->again.messages;
    const char *wrote = pl_exec_wrote(c->once);
    for (unsigned i = 0; i < c->again.n_findings; i++) {
        name_of(c, &c->again.finding[i], wrote, name, sizeof(name));
        if (strcmp(name, n->name) != 0)
            continue;
        snprintf(n->wrote, sizeof(n->wrote), "%s", wrote);
        return true;
    }
    return false;
}

/* Each run is a whole guest's life. */
static bool is_scripted(const struct pl_campaign *c)
{
    return c->o->exec.port && c->o->exec.port->one_life;
}

/* A device that is kept begins each case behind a reset, which is the case's own from here on. */
static void begin_with_reset(const struct pl_campaign_options *o, struct pl_case *c)
{
    if (!o->exec.keep || c->n == PL_CASE_ACTIONS)
        return;
    memmove(&c->action[1], &c->action[0], c->n * sizeof(c->action[0]));
    c->action[0] = (struct pl_action){.op = PL_ACT_RESET};
    c->n++;
}

static void as_found(struct found *n)
{
    n->c->small = n->c->c;
    begin_with_reset(n->c->o, &n->c->small);
}

static int make_small(struct found *n)
{
    struct pl_campaign *c = n->c;
    bool shown = false;
    bool slow = n->f->kind == PL_FINDING_HANG || is_scripted(c);
    unsigned budget = slow ? BUDGET_HANG : pl_campaign_virtual(c) ? BUDGET_VIRTUAL : BUDGET_REAL;
    as_found(n);
    pl_exec_hasten(c->once, c->hasty);
    for (unsigned i = 0; i < FIRST_TRIES && !shown; i++)
        shown = shows(n, &c->small);
    n->until_ms = pl_campaign_virtual(c) || is_scripted(c) ? 0 : pl_session_clock_ms() + SMALL_MS;
    if (shown && pl_shrink(&c->small, shows, n, budget) < 0)
        return pl_campaign_fail(c, -ENOMEM, "out of memory");
    n->until_ms = 0;
    return 0;
}

/* The first run that shows it is the one whose trace is kept. Until then the IUT has all the time
 * that it may take; and what was made too small is as it was found again. */
static int verify(struct found *n)
{
    struct pl_campaign *c = n->c;
    char path[PL_CAMPAIGN_PATH + 32];
    snprintf(path, sizeof(path), "%s/trace.pcapng", n->part);
    n->of = n->f->kind == PL_FINDING_HANG || is_scripted(c) ? AGAIN_HANG : AGAIN;
    for (unsigned i = 0; i < n->of; i++) {
        if (!n->again) {
            c->trace = pl_trace_new(path, &c->small, c->error, c->error_cap);
            if (!c->trace)
                return -EIO;
        }
        if (i == 1 && !n->again && c->hasty)
            as_found(n);
        pl_exec_hasten(c->once, c->hasty && n->again);
        if (!c->hasty || !n->again)
            pl_exec_trust(c->once);
        n->again += shows(n, &c->small);
        int err = c->trace ? pl_trace_end(c->trace) : 0;
        c->trace = NULL;
        if (err < 0)
            return pl_campaign_fail(c, err, "%s: cannot be written: %s", path, strerror(-err));
    }
    return 0;
}

/* --- its folder --- */

static int write_file(struct found *n, const char *name, const char *text, size_t size)
{
    char path[PL_CAMPAIGN_PATH + 32];
    snprintf(path, sizeof(path), "%s/%s", n->part, name);
    int err = pl_dir_write(path, text, size);
    return err ? pl_campaign_fail(n->c, err, "%s: cannot be written: %s", path, strerror(-err)) : 0;
}

static void one_line(char *text)
{
    for (; *text; text++)
        if (*text == '\n' || *text == '\r')
            *text = ' ';
}

static void about_clause(const struct found *n, char *out, size_t cap)
{
    out[0] = '\0';
    if (n->f->clause < 0)
        return;
    const struct pl_clause_def *def =
        pl_clauses_get(pl_clauses_find(n->c->spec), (size_t)n->f->clause);
    snprintf(out, cap, "clause %s\nlevel %s\nsection %s\nrequired %s\n", def->id, def->level,
             def->section, def->text);
}

/* "key value" lines. */
static int write_facts(struct found *n)
{
    const struct pl_campaign_options *o = n->c->o;
    const struct pl_exec_finding *f = n->f;
    char text[TEXT], clause[2048], seen[PL_EXEC_TEXT], mutant[160] = "";
    about_clause(n, clause, sizeof(clause));
    if (o->exec.mutant)
        snprintf(mutant, sizeof(mutant), "\nmutant %.150s", o->exec.mutant);
    snprintf(seen, sizeof(seen), "%s", f->text);
    one_line(seen);
    int length =
        snprintf(text, sizeof(text),
                 "plumbline-finding 1\nkind %s\n%sseen %s\nstate %s\nmessage %s\niut %s%s\nrole "
                 "%s\nspec %s\n"
                 "again %u of %u\nactions %u of %u\nseed %" PRIu64
                 "\nfocus %s\nworker %s\nexecution %" PRIu64 "\ncommand plumbline replay %s%s\n",
                 pl_finding_kind_name(f->kind), clause, seen, f->state,
                 f->message ? pl_kind_names[f->message] : "none", o->iut ? o->iut : "", mutant,
                 pl_case_role(n->c->g.role), n->c->spec->name, n->again, n->of, n->c->small.n,
                 n->actions, o->seed, pl_focus_names[o->focus], o->worker, n->execution, n->folder,
                 o->reach ? o->reach : "");
    return write_file(n, "finding", text, (size_t)length);
}

static void comment_case(const struct found *n, char *out, size_t cap)
{
    char seen[PL_EXEC_TEXT];
    snprintf(seen, sizeof(seen), "%s", n->f->text);
    one_line(seen);
    snprintf(out, cap, "# %s: %s", n->what, seen);
}

/* The case with what it shows on the line behind its first. */
static int write_case(struct found *n)
{
    struct pl_campaign *c = n->c;
    char comment[PL_CAMPAIGN_WHAT + PL_EXEC_TEXT + 8];
    comment_case(n, comment, sizeof(comment));
    size_t size = pl_case_format(&c->small, c->text, sizeof(c->text));
    size_t first = strcspn(c->text, "\n") + 1, more = strlen(comment) + 1;
    if (size + more < sizeof(c->text)) {
        memmove(c->text + first + more, c->text + first, size - first + 1);
        memcpy(c->text + first, comment, more - 1);
        c->text[first + more - 1] = '\n';
        size += more;
    }
    return write_file(n, "case.txt", c->text, size);
}

static void remove_part(const struct found *n)
{
    static const char *const files[] = {"finding", "case.txt", "trace.pcapng", "stderr.txt"};
    char path[PL_CAMPAIGN_PATH + 32];
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", n->part, files[i]);
        unlink(path);
    }
    rmdir(n->part);
}

/* The folder gets its name when it is whole; another worker may have been quicker. */
static int publish(struct found *n)
{
    struct pl_campaign *c = n->c;
    if (rename(n->part, n->folder) == 0) {
        const struct pl_campaign_news news = {.name = n->name,
                                              .what = n->what,
                                              .text = n->f->text,
                                              .path = n->folder,
                                              .again = n->again,
                                              .of = n->of,
                                              .actions = c->small.n};
        c->stats->findings++;
        if (c->o->news)
            c->o->news(c->o->opaque, &news);
        return 0;
    }
    int err = errno;
    remove_part(n);
    if (err == EEXIST || err == ENOTEMPTY)
        return 0;
    return pl_campaign_fail(c, -err, "%s: cannot be made: %s", n->folder, strerror(err));
}

/* Did a hasty run miss what came in time in patient ones? An IUT that ended has ended. */
static bool is_late(const struct found *n)
{
    bool ended = n->f->kind == PL_FINDING_CRASH || n->f->kind == PL_FINDING_EXIT;
    return n->c->result.late && !n->again && !ended;
}

/* The IUT is given all of its time from now on, and the finding is none. */
static int was_late(struct pl_campaign *c)
{
    c->hasty = false;
    pl_exec_hasten(c->live, false);
    pl_exec_trust(c->live);
    c->n_findings--;
    return 0;
}

static int write_folder(struct found *n)
{
    struct pl_campaign *c = n->c;
    if (mkdir(n->part, 0777) < 0 && errno != EEXIST)
        return pl_campaign_fail(c, -errno, "%s: cannot be made: %s", n->part, strerror(errno));
    int err = verify(n);
    if (!err && is_late(n)) {
        remove_part(n);
        return was_late(c);
    }
    if (!err)
        err = write_facts(n);
    if (!err)
        err = write_case(n);
    if (!err && n->wrote[0])
        err = write_file(n, "stderr.txt", n->wrote, strlen(n->wrote));
    if (err) {
        remove_part(n);
        return err;
    }
    return publish(n);
}

static int take_new(struct found *n)
{
    struct pl_campaign *c = n->c;
    say_what(n);
    int err = open_once(c);
    if (!err)
        err = make_small(n);
    if (!err)
        err = write_folder(n);
    int closed = close_once(c);
    return err ? err : closed;
}

static bool is_wanted(const struct pl_campaign_options *o, const struct pl_exec_finding *f)
{
    for (size_t i = 0; i < o->n_only; i++)
        if (f->clause == o->only[i])
            return true;
    return o->n_only == 0;
}

int pl_finding_take(struct pl_campaign *c)
{
    uint64_t execution = c->stats->earlier + c->stats->executions;
    char wrote[2048];
    int err = 0;
    snprintf(wrote, sizeof(wrote), "%s", pl_exec_wrote(c->live));
    for (unsigned i = 0; !err && i < c->result.n_findings; i++) {
        struct found n = {
            .c = c, .f = &c->result.finding[i], .actions = c->c.n, .execution = execution};
        name_of(c, n.f, wrote, n.name, sizeof(n.name));
        if (!is_wanted(c->o, n.f) || is_known(c, n.name))
            continue;
        err = remember(c, n.name);
        snprintf(n.folder, sizeof(n.folder), "%.512s/findings/%s", c->o->dir, n.name);
        snprintf(n.part, sizeof(n.part), "%.512s/findings/.%s.%ld", c->o->dir, n.name,
                 (long)getpid());
        memcpy(n.wrote, wrote, sizeof(wrote));
        if (!err && access(n.folder, F_OK) < 0)
            err = take_new(&n);
    }
    return err;
}
