/* Entries of a corpus and bare cases, shown and run once more. */
#include "cli/entry.h"

#include <stdlib.h>
#include <string.h>

#include "corpus/corpus.h"
#include "fuzz/exec.h"
#include "report/internal.h"

static const char magic[] = "plumbline-entry ", case_magic[] = "plumbline-case ";

bool pl_cli_is_entry(const char *path)
{
    char begin[sizeof(magic)] = "";
    FILE *in = fopen(path, "rb");
    size_t n = in ? fread(begin, 1, sizeof(begin) - 1, in) : 0;
    if (in)
        fclose(in);
    return (n >= sizeof(magic) - 1 && strncmp(begin, magic, sizeof(magic) - 1) == 0) ||
           (n >= sizeof(case_magic) - 1 && strncmp(begin, case_magic, sizeof(case_magic) - 1) == 0);
}

/* An entry, or a case as an entry that says nothing; NULL after the error. The caller frees it. */
static struct pl_entry *load(const char *path)
{
    char error[1024] = "out of memory";
    size_t size;
    char *text = pl_read_file(path, PL_ENTRY_MAX, &size, error, sizeof(error));
    struct pl_entry *e = text ? calloc(1, sizeof(*e)) : NULL;
    bool fine = false;
    if (e && strncmp(text, magic, sizeof(magic) - 1) == 0)
        fine = pl_entry_parse(e, path, text, size, error, sizeof(error));
    else if (e)
        fine = pl_case_parse(&e->c, path, text, size, error, sizeof(error));
    free(text);
    if (fine)
        return e;
    free(e);
    pl_cli_error(PL_EXIT_USAGE, "%s", error);
    return NULL;
}

/* --- shown --- */

static void show_clause(const char *what, const struct pl_clause_def *c)
{
    printf("%s %s  %s, %s\n    %s\n", what, c->id, c->level, c->section, c->text);
}

static void show_head(const struct pl_entry *e)
{
    const struct pl_clauses *table = pl_clauses_find(e->c.spec);
    struct pl_wrong_peer peer;
    printf("%s, role %s", e->c.spec->name, pl_case_role(e->c.role));
    printf(e->origin[0] ? "; origin: %s; license: %s\n" : "\n", e->origin, e->license);
    for (size_t i = 0; i < e->n_clauses; i++)
        show_clause("aims at", pl_clauses_get(table, e->clause[i]));
    if (e->pass)
        printf("what conforms passes it\n");
    for (size_t i = 0; i < e->n_fails; i++) {
        if (!pl_wrong_peer_find(e->c.spec, e->c.role, e->fail[i].mutant, &peer))
            continue;
        printf("mutant %s: %s\n", peer.id, peer.text);
        for (size_t k = 0; k < e->fail[i].n; k++)
            show_clause("  fails", pl_clauses_get(table, e->fail[i].clause[k]));
    }
}

static int show_case(struct pl_case *c)
{
    char *text = malloc(PL_CASE_TEXT_MAX);
    uint16_t n = c->n;
    if (!text)
        return pl_cli_error(PL_EXIT_INTERNAL, "out of memory");
    c->n = 0; /* the head alone */
    pl_case_format(c, text, PL_CASE_TEXT_MAX);
    c->n = n;
    printf("\n%s", text);
    for (unsigned i = 0; i < n; i++) {
        pl_action_format(c->spec, c->role, &c->action[i], text, PL_CASE_TEXT_MAX);
        printf("%4u  %s\n", i, text);
    }
    free(text);
    return 0;
}

int pl_cli_entry_show(const char *path)
{
    struct pl_entry *e = load(path);
    if (!e)
        return PL_EXIT_USAGE;
    show_head(e);
    int err = show_case(&e->c);
    free(e);
    return err;
}

/* --- run --- */

struct shown {
    const struct pl_case *c;
    bool quiet;
};

static void message(void *opaque, const struct pl_trace_entry *entry)
{
    const struct shown *s = opaque;
    char *line = s->quiet ? NULL : pl_text_message(s->c->spec, entry);
    if (line)
        printf("#%-5llu %s %s\n", (unsigned long long)entry->number, pl_arrow(entry), line);
    free(line);
}

static void note(void *opaque, const char *line)
{
    const struct shown *s = opaque;
    if (!s->quiet)
        printf("       -- %s\n", line);
}

static void print_finding(const struct pl_case *c, const struct pl_exec_finding *f)
{
    char action[4096] = "";
    const struct pl_clauses *table = pl_clauses_find(c->spec);
    const struct pl_clause_def *def =
        f->clause >= 0 ? pl_clauses_get(table, (size_t)f->clause) : NULL;
    if (f->action < c->n)
        pl_action_format(c->spec, c->role, &c->action[f->action], action, sizeof(action));
    printf("FAIL %s%s%s\n", def ? def->id : pl_finding_kind_name(f->kind), def ? "  " : "",
           def ? def->level : "");
    if (def)
        printf("  required   %s\n", def->text);
    printf("  seen       %s\n  state      %s\n", f->text, f->state);
    if (f->number)
        printf("  message    #%llu\n", (unsigned long long)f->number);
    if (action[0])
        printf("  action     %u: %s\n", f->action, action);
    else
        printf("  action     behind the last\n");
}

static int conclude(const struct pl_entry *e, const char *path, const char *iut,
                    const struct pl_exec_result *r, bool quiet)
{
    for (unsigned i = 0; !quiet && i < r->n_findings; i++)
        print_finding(&e->c, &r->finding[i]);
    printf("%s: %s %s: %u findings, %llu messages\n", path, iut, r->n_findings ? "FAILS" : "passes",
           r->n_findings, (unsigned long long)r->messages);
    return r->n_findings ? PL_EXIT_FINDINGS : PL_EXIT_CONFORMS;
}

static int run(const struct pl_entry *e, const char *path, const struct pl_exec_options *options,
               const char *iut, bool quiet)
{
    char error[512];
    struct pl_exec_result r;
    struct pl_exec *x = pl_exec_new(options, error, sizeof(error));
    if (!x)
        return pl_cli_error(PL_EXIT_USAGE, "%s", error);
    int err = pl_exec_run(x, &e->c, &r);
    if (err < 0)
        err = pl_cli_error(PL_EXIT_UNREACHABLE, "%s: %s", path, r.why);
    else
        err = conclude(e, path, iut, &r, quiet);
    pl_exec_free(x);
    return err;
}

/* The implementation under test, as the command line and the profile say. */
static int run_live(const struct pl_entry *e, const char *path, struct pl_cli_iut *iut,
                    struct pl_exec_options *options, bool quiet)
{
    iut->spec_name = e->c.spec->name;
    int err = pl_cli_iut_open(iut, "replay");
    const struct pl_profile *p = &iut->profile;
    uint16_t devices[PL_EXEC_DEVICES];
    if (!err && strcmp(iut->role, pl_case_role(e->c.role)) != 0)
        err = pl_cli_error(PL_EXIT_USAGE, "%s: it is for a %s; what is tested is a %s", path,
                           pl_case_role(e->c.role), iut->role);
    if (!err) {
        for (size_t i = 0; i < p->n_devices && i < PL_EXEC_DEVICES; i++)
            devices[options->n_devices++] = p->devices[i].number;
        options->devices = devices;
        options->port = iut->port;
        options->bus = p->bus_stated ? &p->bus : NULL;
        options->response_ms = p->response_ms;
        options->reset_ms = p->reset_ms;
        options->fence_ms = p->fence_ms;
        err = run(e, path, options, iut->name, quiet);
    }
    pl_cli_iut_close(iut);
    return err;
}

int pl_cli_entry_replay(const char *path, struct pl_cli_iut *iut, bool live, const char *mutant,
                        bool quiet)
{
    char name[256];
    struct pl_entry *e = load(path);
    if (!e)
        return PL_EXIT_USAGE;
    struct shown shown = {&e->c, quiet};
    struct pl_exec_options options = {.spec = e->c.spec,
                                      .role = e->c.role,
                                      .mutant = mutant,
                                      .warnings = mutant != NULL,
                                      .opaque = &shown,
                                      .message = message,
                                      .note = note};
    int err;
    snprintf(name, sizeof(name),
             mutant ? "mutant %.200s of the reference %s" : "the %sreference %s",
             mutant ? mutant : "", pl_case_role(e->c.role));
    if (live && !iut->profile_path)
        iut->role = pl_case_role(e->c.role);
    err = live ? run_live(e, path, iut, &options, quiet) : run(e, path, &options, name, quiet);
    free(e);
    return err;
}
