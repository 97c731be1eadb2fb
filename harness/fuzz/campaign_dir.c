/* The directory of a campaign: made or gone on with, and shared among workers.
 *
 *   campaign             the form's version, role and draft
 *   findings/NAME/       what was found, by any of the workers
 *   WORKER/queue/N.txt   cases that showed something new
 *   WORKER/state         how far it is
 *   WORKER/lock          held while it runs */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz/campaign_private.h"

enum { LINE = 256 };

/* --- files --- */

int pl_dir_write(const char *path, const char *text, size_t size)
{
    char part[PL_CAMPAIGN_PATH + 32];
    snprintf(part, sizeof(part), "%s.%ld", path, (long)getpid());
    FILE *out = fopen(part, "w");
    if (!out)
        return -errno;
    size_t n = fwrite(text, 1, size, out);
    int err = n == size ? 0 : -errno;
    if (fclose(out) != 0 && !err)
        err = -errno;
    if (!err && rename(part, path) < 0)
        err = -errno;
    if (err)
        unlink(part);
    return err;
}

static int make_folder(struct pl_campaign *c, const char *path)
{
    if (mkdir(path, 0777) == 0 || errno == EEXIST)
        return 0;
    return pl_campaign_fail(c, -errno, "%s: cannot be made: %s", path, strerror(errno));
}

/* --- the campaign's own file --- */

static bool is_empty(const char *dir)
{
    DIR *d = opendir(dir);
    unsigned n = 0;
    for (struct dirent *e; d && (e = readdir(d));)
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    if (d)
        closedir(d);
    return n == 0;
}

static int complain(char *error, size_t cap, int err, const char *path, const char *what)
{
    snprintf(error, cap, "%s: %s", path, what);
    return err;
}

static int new_campaign(const struct pl_campaign_options *o, const char *path, char *error,
                        size_t cap)
{
    char text[LINE];
    if (!is_empty(o->dir))
        return complain(error, cap, -EINVAL, o->dir,
                        "is no campaign's directory: it is not empty, and has no file "
                        "'" PL_CAMPAIGN_FILE "'");
    int n = snprintf(text, sizeof(text), "%s\nrole %s\nspec %s\n", PL_CAMPAIGN_MAGIC,
                     pl_case_role(o->exec.role), o->exec.spec->name);
    int err = pl_dir_write(path, text, (size_t)n);
    return err ? complain(error, cap, err, path, strerror(-err)) : 0;
}

/* One line of a file that holds "KEY VALUE" lines; false: there is none of this key. */
static bool value_of(const char *text, const char *key, char *out, size_t cap)
{
    size_t n = strlen(key);
    for (const char *line = text; *line; line += *line == '\n') {
        size_t length = strcspn(line, "\n");
        if (length > n && strncmp(line, key, n) == 0 && line[n] == ' ') {
            snprintf(out, cap, "%.*s", (int)(length - n - 1), line + n + 1);
            return true;
        }
        line += length;
    }
    return false;
}

static bool read_text(const char *path, char *out, size_t cap)
{
    FILE *in = fopen(path, "r");
    size_t n = in ? fread(out, 1, cap - 1, in) : 0;
    out[n] = '\0';
    if (in)
        fclose(in);
    return in != NULL;
}

static int old_campaign(const struct pl_campaign_options *o, const char *path, const char *text,
                        char *error, size_t cap)
{
    char is[LINE] = "", what[3 * LINE];
    const char *const want[][2] = {{"role", pl_case_role(o->exec.role)},
                                   {"spec", o->exec.spec->name}};
    if (strncmp(text, PL_CAMPAIGN_MAGIC "\n", strlen(PL_CAMPAIGN_MAGIC) + 1) != 0)
        return complain(error, cap, -EINVAL, path, "its first line is not '" PL_CAMPAIGN_MAGIC "'");
    for (size_t i = 0; i < 2; i++)
        if (!value_of(text, want[i][0], is, sizeof(is)) || strcmp(is, want[i][1]) != 0) {
            snprintf(what, sizeof(what), "the campaign's %s is '%s', not '%s'", want[i][0], is,
                     want[i][1]);
            return complain(error, cap, -EINVAL, path, what);
        }
    return 0;
}

int pl_campaign_check(const struct pl_campaign_options *o, char *error, size_t cap)
{
    char path[PL_CAMPAIGN_PATH], text[4 * LINE];
    struct stat st;
    if (strlen(o->dir) > PL_CAMPAIGN_PATH / 2)
        return complain(error, cap, -ENAMETOOLONG, o->dir, "the path is too long");
    if (mkdir(o->dir, 0777) < 0 && errno != EEXIST)
        return complain(error, cap, -errno, o->dir, strerror(errno));
    if (stat(o->dir, &st) < 0 || !S_ISDIR(st.st_mode))
        return complain(error, cap, -ENOTDIR, o->dir, "is no directory");
    snprintf(path, sizeof(path), "%s/" PL_CAMPAIGN_FILE, o->dir);
    if (!read_text(path, text, sizeof(text)))
        return new_campaign(o, path, error, cap);
    return old_campaign(o, path, text, error, cap);
}

/* --- a worker's folder --- */

static void worker_path(const struct pl_campaign *c, const char *rest, char *out, size_t cap)
{
    snprintf(out, cap, "%s/%s%s", c->o->dir, c->o->worker, rest);
}

static void load_state(struct pl_campaign *c)
{
    char path[PL_CAMPAIGN_PATH], text[4 * LINE], value[LINE];
    worker_path(c, "/state", path, sizeof(path));
    if (!read_text(path, text, sizeof(text)))
        return;
    if (value_of(text, "cases", value, sizeof(value)))
        c->number = strtoull(value, NULL, 10);
    if (value_of(text, "executions", value, sizeof(value)))
        c->stats->earlier = strtoull(value, NULL, 10);
}

int pl_dir_save_state(struct pl_campaign *c)
{
    char path[PL_CAMPAIGN_PATH], text[4 * LINE];
    worker_path(c, "/state", path, sizeof(path));
    int n = snprintf(text, sizeof(text),
                     "cases %" PRIu64 "\nexecutions %" PRIu64 "\nseed %" PRIu64
                     "\nfocus %s\noutcomes %u\nclauses %u of %u\n",
                     c->number, c->stats->earlier + c->stats->executions, c->o->seed,
                     pl_focus_names[c->o->focus], c->stats->outcomes, c->stats->clauses,
                     c->stats->clauses_all);
    int err = pl_dir_write(path, text, (size_t)n);
    return err ? pl_campaign_fail(c, err, "%s: cannot be written: %s", path, strerror(-err)) : 0;
}

int pl_dir_open(struct pl_campaign *c)
{
    static const char *const folders[] = {"", "/queue"};
    char path[PL_CAMPAIGN_PATH];
    int err = pl_campaign_check(c->o, c->error, c->error_cap);
    for (size_t i = 0; !err && i < 2; i++) {
        worker_path(c, folders[i], path, sizeof(path));
        err = make_folder(c, path);
    }
    snprintf(path, sizeof(path), "%s/findings", c->o->dir);
    if (!err)
        err = make_folder(c, path);
    if (err)
        return err;
    worker_path(c, "/lock", path, sizeof(path));
    c->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (c->lock < 0)
        return pl_campaign_fail(c, -errno, "%s: cannot be opened: %s", path, strerror(errno));
    if (flock(c->lock, LOCK_EX | LOCK_NB) < 0)
        return pl_campaign_fail(c, -EBUSY,
                                "%s: a worker of this name runs already; another one needs "
                                "another name (--worker)",
                                path);
    load_state(c);
    return 0;
}

void pl_dir_close(struct pl_campaign *c)
{
    if (c->lock >= 0)
        close(c->lock);
}

/* --- queues --- */

int pl_dir_save_case(struct pl_campaign *c)
{
    char path[PL_CAMPAIGN_PATH], rest[32];
    snprintf(rest, sizeof(rest), "/queue/%06u.txt", c->next_file++);
    worker_path(c, rest, path, sizeof(path));
    size_t n = pl_case_format(&c->c, c->text, sizeof(c->text));
    int err = pl_dir_write(path, c->text, n);
    return err ? pl_campaign_fail(c, err, "%s: cannot be written: %s", path, strerror(-err)) : 0;
}

/* Run a case that somebody kept; it becomes an entry where it shows something new here, too. */
static int run_kept(struct pl_campaign *c, bool save)
{
    int err = pl_campaign_try(c);
    if (!err && c->n_fresh && pl_queue_add(c) < 0)
        err = pl_campaign_fail(c, -ENOMEM, "out of memory");
    return !err && save && c->n_fresh ? pl_dir_save_case(c) : err;
}

int pl_dir_load_queue(struct pl_campaign *c, const char *worker, unsigned *from)
{
    char path[PL_CAMPAIGN_PATH], error[PL_EXEC_TEXT];
    int err = 0;
    for (; !err; ++*from) {
        snprintf(path, sizeof(path), "%s/%s/queue/%06u.txt", c->o->dir, worker, *from);
        if (access(path, R_OK) < 0)
            break;
        /* What another build wrote may mean nothing to this one: it is left out. */
        if (pl_case_load(&c->c, path, error, sizeof(error)) && c->c.role == c->g.role &&
            c->c.spec == c->spec)
            err = run_kept(c, false);
    }
    return err;
}

static struct pl_other *other(struct pl_campaign *c, const char *name)
{
    for (size_t i = 0; i < c->n_others; i++)
        if (strcmp(c->other[i].name, name) == 0)
            return &c->other[i];
    if (c->n_others == PL_CAMPAIGN_WORKERS)
        return NULL;
    struct pl_other *o = &c->other[c->n_others++];
    snprintf(o->name, sizeof(o->name), "%.63s", name);
    return o;
}

static int by_name(const struct dirent *e)
{
    return e->d_name[0] != '.' && strcmp(e->d_name, "findings") != 0 &&
           strcmp(e->d_name, PL_CAMPAIGN_FILE) != 0 && strlen(e->d_name) < 64;
}

int pl_dir_sync(struct pl_campaign *c)
{
    struct dirent **list;
    int n = scandir(c->o->dir, &list, by_name, alphasort), err = 0;
    if (n < 0)
        return pl_campaign_fail(c, -errno, "%s: cannot be read: %s", c->o->dir, strerror(errno));
    for (int i = 0; i < n; i++) {
        struct pl_other *o =
            strcmp(list[i]->d_name, c->o->worker) != 0 ? other(c, list[i]->d_name) : NULL;
        if (o && !err)
            err = pl_dir_load_queue(c, o->name, &o->read);
        free(list[i]);
    }
    free(list);
    return err;
}

/* --- seeds --- */

static int is_text(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

static int seed_file(struct pl_campaign *c, const char *path, bool only)
{
    char error[PL_EXEC_TEXT];
    if (!pl_case_load(&c->c, path, error, sizeof(error)))
        return pl_campaign_fail(c, -EINVAL, "%s", error);
    if (c->c.role == c->g.role && c->c.spec == c->spec)
        return run_kept(c, true);
    return !only ? 0
                 : pl_campaign_fail(c, -EINVAL, "%s: it is for a %s and %s", path,
                                    pl_case_role(c->c.role), c->c.spec->name);
}

/* Folders below are looked into, too; cases of other roles are left out. */
static int seed_folder(struct pl_campaign *c, const char *path)
{
    struct dirent **list;
    struct stat st;
    char file[PL_CAMPAIGN_PATH];
    int n = scandir(path, &list, is_text, alphasort), err = 0;
    if (n < 0)
        return pl_campaign_fail(c, -errno, "%s: cannot be read: %s", path, strerror(errno));
    for (int i = 0; i < n; i++) {
        int length = snprintf(file, sizeof(file), "%s/%s", path, list[i]->d_name);
        if (!err && length < (int)sizeof(file) && stat(file, &st) == 0)
            err = S_ISDIR(st.st_mode) ? seed_folder(c, file) : seed_file(c, file, false);
        free(list[i]);
    }
    free(list);
    return err;
}

int pl_dir_seeds(struct pl_campaign *c)
{
    struct stat st;
    if (!c->o->in)
        return 0;
    if (stat(c->o->in, &st) < 0)
        return pl_campaign_fail(c, -errno, "%s: %s", c->o->in, strerror(errno));
    return S_ISDIR(st.st_mode) ? seed_folder(c, c->o->in) : seed_file(c, c->o->in, true);
}

unsigned pl_campaign_findings(const char *dir)
{
    char path[PL_CAMPAIGN_PATH];
    unsigned n = 0;
    snprintf(path, sizeof(path), "%.512s/findings", dir);
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d));)
        n += e->d_name[0] != '.';
    if (d)
        closedir(d);
    return n;
}
