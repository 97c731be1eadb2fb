/* `plumbline corpus to-bytes` and `from-bytes`: folders of libFuzzer's and of AFL++'s. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/corpus.h"
#include "corpus/check.h"

enum { PATH_BYTES = 4096, INPUT_MAX = 1 << 20 };

/* --- to bytes --- */

struct to_bytes {
    const char *folder;
    size_t n;
    uint8_t bytes[PL_CASE_BYTES_MAX];
};

/* "FOLDER/device-reset" for device/reset.txt: engines know no folders below theirs. */
static bool path_of(const char *folder, const char *name, char *out, size_t cap)
{
    size_t n = (size_t)snprintf(out, cap, "%s/%s", folder, name);
    if (n >= cap)
        return false;
    out[n - 4] = '\0';
    for (char *c = out + strlen(folder) + 1; *c; c++)
        if (*c == '/')
            *c = '-';
    return true;
}

static int write_bytes(void *opaque, const struct pl_corpus_item *item, struct pl_entry *e)
{
    struct to_bytes *t = opaque;
    char path[PATH_BYTES], error[1024];
    if (!path_of(t->folder, item->name, path, sizeof(path)))
        return pl_cli_error(PL_EXIT_USAGE, "%s: the path is too long", t->folder);
    size_t size = pl_case_encode(&e->c, t->bytes, sizeof(t->bytes));
    if (!t->n++ && mkdir(t->folder, 0777) < 0 && errno != EEXIST)
        return pl_cli_error(PL_EXIT_USAGE, "%s: cannot be made: %s", t->folder, strerror(errno));
    return pl_write_file(path, t->bytes, size, error, sizeof(error))
               ? 0
               : pl_cli_error(PL_EXIT_USAGE, "%s", error);
}

int pl_corpus_cmd_to_bytes(struct pl_corpus_args *a)
{
    char error[1024];
    if (!pl_corpus_free_place(a->words[1], error, sizeof(error)))
        return pl_cli_error(PL_EXIT_USAGE, "%s", error);
    struct to_bytes *t = calloc(1, sizeof(*t));
    struct pl_corpus *corpus = pl_cli_corpus(a->words[0]);
    int err = !corpus ? PL_EXIT_USAGE : t ? 0 : pl_cli_error(PL_EXIT_INTERNAL, "out of memory");
    if (!err) {
        t->folder = a->words[1];
        err = pl_cli_corpus_each(a, corpus, write_bytes, t);
    }
    if (!err)
        printf("%zu entries as bytes in %s\n", t->n, t->folder);
    pl_corpus_free(corpus);
    free(t);
    return err;
}

/* --- from bytes --- */

struct from_bytes {
    const struct pl_corpus_args *a;
    struct pl_corpus *out;
    struct pl_entry *e;
    size_t read, other_role, twice, broken;
    uint8_t bytes[PL_CASE_BYTES_MAX];
    char text[PL_ENTRY_MAX];
};

/* Files that the engines write beside their inputs. */
static int is_input(const struct dirent *entry)
{
    return entry->d_name[0] != '.' && strcmp(entry->d_name, "README.txt") != 0;
}

static int add_case(struct from_bytes *f, const char *path)
{
    char digest[PL_DIGEST_TEXT], name[PL_BUNDLE_NAME + 1], why[512];
    const struct pl_corpus_args *a = f->a;
    struct pl_entry *e = f->e;
    pl_digest_text(f->bytes, pl_case_encode(&e->c, f->bytes, sizeof(f->bytes)), digest);
    snprintf(name, sizeof(name), "%s/%.16s.txt", pl_case_role(e->c.role), digest);
    if (pl_corpus_find(f->out, name)) {
        f->twice++;
        return 0;
    }
    e->n_clauses = e->n_fails = 0;
    e->pass = true;
    snprintf(e->origin, sizeof(e->origin), "%s", a->origin ? a->origin : "bytes of a fuzzer");
    snprintf(e->license, sizeof(e->license), "%s", a->license ? a->license : "BSD-3-Clause");
    int r = pl_entry_check(e, why, sizeof(why));
    if (r < 0)
        return pl_cli_error(PL_EXIT_INTERNAL, "%s: %s", path, why);
    if (r == 0) {
        f->broken++;
        printf("left out  %s: %s\n", path, why);
        return 0;
    }
    size_t size = pl_entry_format(e, f->text, sizeof(f->text));
    int err = pl_corpus_add(f->out, name, f->text, size);
    return err == -ENOSPC ? pl_cli_error(PL_EXIT_USAGE, "a corpus has 10000 entries at most")
           : err          ? pl_cli_error(PL_EXIT_INTERNAL, "out of memory")
                          : 0;
}

static int read_one(struct from_bytes *f, const char *name)
{
    char path[PATH_BYTES], error[1024];
    struct stat st;
    size_t size;
    if ((size_t)snprintf(path, sizeof(path), "%s/%s", f->a->words[0], name) >= sizeof(path))
        return pl_cli_error(PL_EXIT_USAGE, "%s: the path is too long", f->a->words[0]);
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return 0;
    char *bytes = pl_read_file(path, INPUT_MAX, &size, error, sizeof(error));
    if (!bytes)
        return pl_cli_error(PL_EXIT_USAGE, "%s", error);
    pl_case_decode(&f->e->c, (const uint8_t *)bytes, size);
    free(bytes);
    f->read++;
    if (f->a->one_role && f->e->c.role != f->a->as) {
        f->other_role++;
        return 0;
    }
    return add_case(f, path);
}

static int read_folder(struct from_bytes *f)
{
    struct dirent **entries;
    const char *folder = f->a->words[0];
    int err = 0, n = scandir(folder, &entries, is_input, alphasort);
    if (n < 0)
        return pl_cli_error(PL_EXIT_USAGE, "%s: %s", folder, strerror(errno));
    for (int i = 0; i < n; i++) {
        err = err ? err : read_one(f, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    if (!err && !f->read)
        err = pl_cli_error(PL_EXIT_USAGE, "%s: there is no file in it", folder);
    if (!err)
        err = pl_cli_corpus_write(f->out, f->a->words[1]);
    if (!err)
        printf("%zu files: %zu entries, %zu cases twice, %zu of other roles, %zu left out\n",
               f->read, f->out->n, f->twice, f->other_role, f->broken);
    return err ? err : f->broken ? PL_EXIT_FINDINGS : 0;
}

int pl_corpus_cmd_from_bytes(struct pl_corpus_args *a)
{
    struct from_bytes *f = calloc(1, sizeof(*f));
    if (f) {
        f->a = a;
        f->out = pl_corpus_new();
        f->e = malloc(sizeof(*f->e));
    }
    int err =
        f && f->out && f->e ? read_folder(f) : pl_cli_error(PL_EXIT_INTERNAL, "out of memory");
    if (f) {
        pl_corpus_free(f->out);
        free(f->e);
    }
    free(f);
    return err;
}
