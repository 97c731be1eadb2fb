/* `plumbline corpus add`: a finding of a campaign, or any case, becomes an entry. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/corpus.h"
#include "corpus/check.h"

enum { PATH_BYTES = 4096, FACTS_MAX = 1 << 20 };

/* What a finding's own file says of it, as far as an entry needs it. */
struct facts {
    char clause[64], iut[128], mutant[64], seed[32];
};

/* The rest of the line that begins with `key` and a blank; "" without one. */
static void fact(const char *text, const char *key, char *out, size_t cap)
{
    size_t n = strlen(key);
    out[0] = '\0';
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, n) == 0 && line[n] == ' ') {
            snprintf(out, cap, "%.*s", (int)strcspn(line + n + 1, "\n"), line + n + 1);
            return;
        }
    }
}

/* A finding is a folder with a case in it; anything else is a case by itself. False: too long. */
static bool find_paths(const char *what, char *path, char *facts)
{
    struct stat st;
    bool folder = stat(what, &st) == 0 && S_ISDIR(st.st_mode);
    return (size_t)snprintf(path, PATH_BYTES, "%s%s", what, folder ? "/case.txt" : "") <
               PATH_BYTES &&
           (size_t)snprintf(facts, PATH_BYTES, "%s%s", folder ? what : "",
                            folder ? "/finding" : "") < PATH_BYTES;
}

static int read_facts(const char *path, struct facts *f)
{
    char error[1024];
    size_t size;
    memset(f, 0, sizeof(*f));
    if (!*path)
        return 0;
    char *text = pl_read_file(path, FACTS_MAX, &size, error, sizeof(error));
    if (!text)
        return pl_cli_error(PL_EXIT_USAGE, "%s", error);
    fact(text, "clause", f->clause, sizeof(f->clause));
    fact(text, "iut", f->iut, sizeof(f->iut));
    fact(text, "mutant", f->mutant, sizeof(f->mutant));
    fact(text, "seed", f->seed, sizeof(f->seed));
    free(text);
    return 0;
}

static int read_case(const char *path, struct pl_case *c)
{
    char error[1024];
    return pl_case_load(c, path, error, sizeof(error)) ? 0
                                                       : pl_cli_error(PL_EXIT_USAGE, "%s", error);
}

/* "device/regressions/NAME.txt"; what no name can have becomes '_'. */
static void name_of(const struct pl_corpus_args *a, const struct pl_entry *e,
                    char out[PL_BUNDLE_NAME + 1])
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    char name[PATH_BYTES];
    snprintf(name, sizeof(name), "%s", a->words[0]);
    size_t n = strlen(name);
    while (n > 1 && name[n - 1] == '/')
        name[--n] = '\0';
    char *base = strrchr(name, '/');
    base = base ? base + 1 : name;
    n = strlen(base);
    if (n > 4 && strcmp(base + n - 4, ".txt") == 0)
        base[n - 4] = '\0';
    for (char *p = base; *p; p++)
        if (!strchr(letters, *p) || (p == base && (*p == '.' || *p == '-')))
            *p = '_';
    snprintf(out, PL_BUNDLE_NAME + 1, "%s/regressions/%.*s.txt", pl_case_role(e->c.role), 75,
             *base ? base : "case");
}

/* What it aims at, the mutant that fails it, and what it says of itself. */
static int fill(const struct pl_corpus_args *a, const struct facts *f, struct pl_entry *e)
{
    const struct pl_case c = e->c;
    const char *id = a->clause ? a->clause : f->clause;
    pl_entry_init(e, &c);
    e->pass = true;
    int clause = *id ? pl_clauses_index(pl_clauses_find(c.spec), id) : -1;
    if (*id && clause < 0)
        return pl_cli_error(PL_EXIT_USAGE, "%s has no clause '%s'", c.spec->name, id);
    if (a->origin)
        snprintf(e->origin, sizeof(e->origin), "%s", a->origin);
    else
        snprintf(e->origin, sizeof(e->origin), "found by plumbline fuzz%s%s%s%s",
                 f->iut[0] ? " in " : "", f->iut, f->seed[0] ? ", seed " : "", f->seed);
    snprintf(e->license, sizeof(e->license), "%s", a->license ? a->license : "BSD-3-Clause");
    struct pl_wrong_peer peer;
    if (clause >= 0)
        pl_entry_aim(e, (unsigned)clause);
    if (clause >= 0 && pl_wrong_peer_find(c.spec, c.role, f->mutant, &peer))
        pl_entry_expect(e, peer.id, (unsigned)clause);
    return 0;
}

/* What conforms must pass it; a clause that only what is wrong ever meets is not aimed at. */
static int hold(const struct pl_corpus_args *a, struct pl_entry *e)
{
    char why[512];
    int r = pl_entry_check(e, why, sizeof(why));
    if (r == 0 && e->n_clauses) {
        e->n_clauses = 0;
        r = pl_entry_check(e, why, sizeof(why));
    }
    if (r < 0)
        return pl_cli_error(PL_EXIT_INTERNAL, "%s: %s", a->words[0], why);
    if (r > 0)
        return 0;
    printf("%s: no entry is made of it: %s\n", a->words[0], why);
    return PL_EXIT_FINDINGS;
}

static int write_entry(const struct pl_corpus_args *a, const struct pl_entry *e)
{
    char name[PL_BUNDLE_NAME + 1], path[PATH_BYTES], error[1024];
    struct stat st;
    struct pl_corpus *out = pl_corpus_new();
    char *text = malloc(PL_ENTRY_MAX);
    int err = out && text ? 0 : pl_cli_error(PL_EXIT_INTERNAL, "out of memory");
    name_of(a, e, name);
    if (!err && (size_t)snprintf(path, sizeof(path), "%s/%s", a->words[1], name) >= sizeof(path))
        err = pl_cli_error(PL_EXIT_USAGE, "%s: the path is too long", a->words[1]);
    if (!err && lstat(path, &st) == 0)
        err = pl_cli_error(PL_EXIT_USAGE, "%s: it is there already", path);
    if (!err && pl_corpus_add(out, name, text, pl_entry_format(e, text, PL_ENTRY_MAX)) < 0)
        err = pl_cli_error(PL_EXIT_INTERNAL, "out of memory");
    if (!err && !pl_corpus_write(out, a->words[1], error, sizeof(error)))
        err = pl_cli_error(PL_EXIT_USAGE, "%s", error);
    if (!err)
        printf("%s\n", path);
    pl_corpus_free(out);
    free(text);
    return err;
}

int pl_corpus_cmd_add(struct pl_corpus_args *a)
{
    char path[PATH_BYTES], facts_path[PATH_BYTES];
    struct facts f;
    struct pl_entry *e = malloc(sizeof(*e));
    if (!e)
        return pl_cli_error(PL_EXIT_INTERNAL, "out of memory");
    int err = find_paths(a->words[0], path, facts_path)
                  ? read_facts(facts_path, &f)
                  : pl_cli_error(PL_EXIT_USAGE, "%s: the path is too long", a->words[0]);
    if (!err)
        err = read_case(path, &e->c);
    if (!err)
        err = fill(a, &f, e);
    if (!err)
        err = hold(a, e);
    if (!err)
        err = write_entry(a, e);
    free(e);
    return err;
}
