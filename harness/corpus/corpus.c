/* Corpora in memory, and how they come from folders, files and archives. */
#include "corpus/corpus.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct pl_corpus *pl_corpus_new(void)
{
    return calloc(1, sizeof(struct pl_corpus));
}

void pl_corpus_free(struct pl_corpus *corpus)
{
    for (size_t i = 0; corpus && i < corpus->n; i++)
        free(corpus->item[i].text);
    if (corpus)
        free(corpus->item);
    free(corpus);
}

/* Where a name stands, or would. */
static size_t place_of(const struct pl_corpus *corpus, const char *name)
{
    size_t low = 0, high = corpus->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(corpus->item[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct pl_corpus_item *pl_corpus_find(const struct pl_corpus *corpus, const char *name)
{
    size_t at = place_of(corpus, name);
    bool found = at < corpus->n && strcmp(corpus->item[at].name, name) == 0;
    return found ? &corpus->item[at] : NULL;
}

static char *copy_of(const char *text, size_t size)
{
    char *copy = malloc(size + 1);
    if (copy) {
        memcpy(copy, text, size);
        copy[size] = '\0';
    }
    return copy;
}

static bool make_room(struct pl_corpus *corpus)
{
    if (corpus->n < corpus->room)
        return true;
    size_t room = corpus->room ? 2 * corpus->room : 64;
    struct pl_corpus_item *item = realloc(corpus->item, room * sizeof(*item));
    if (!item)
        return false;
    corpus->item = item;
    corpus->room = room;
    return true;
}

int pl_corpus_add(struct pl_corpus *corpus, const char *name, const char *text, size_t size)
{
    size_t at = place_of(corpus, name);
    if (at < corpus->n && strcmp(corpus->item[at].name, name) == 0)
        return -EEXIST;
    if (corpus->n == PL_BUNDLE_FILES)
        return -ENOSPC;
    char *copy = make_room(corpus) ? copy_of(text, size) : NULL;
    if (!copy)
        return -ENOMEM;
    struct pl_corpus_item *item = &corpus->item[at];
    memmove(item + 1, item, (corpus->n - at) * sizeof(*item));
    snprintf(item->name, sizeof(item->name), "%s", name);
    item->text = copy;
    item->size = size;
    corpus->n++;
    return 0;
}

int pl_corpus_replace(struct pl_corpus *corpus, const char *name, const char *text, size_t size)
{
    size_t at = place_of(corpus, name);
    if (!pl_corpus_find(corpus, name))
        return -ENOENT;
    char *copy = copy_of(text, size);
    if (!copy)
        return -ENOMEM;
    free(corpus->item[at].text);
    corpus->item[at].text = copy;
    corpus->item[at].size = size;
    return 0;
}

bool pl_corpus_parse(const struct pl_corpus *corpus, size_t i, struct pl_entry *e, char *error,
                     size_t cap)
{
    const struct pl_corpus_item *item = &corpus->item[i];
    char file[sizeof(corpus->path) + sizeof(item->name) + 2];
    if (corpus->in == PL_IN_FILE)
        snprintf(file, sizeof(file), "%s", corpus->path);
    else
        snprintf(file, sizeof(file), "%s%s%s", corpus->path,
                 corpus->in == PL_IN_FOLDER ? "/" : ": ", item->name);
    return pl_entry_parse(e, file, item->text, item->size, error, cap);
}

/* --- loading --- */

struct loader {
    struct pl_corpus *corpus;
    char *error;
    size_t cap;
};

static bool failed(struct loader *l, const char *path, const char *why)
{
    snprintf(l->error, l->cap, "%.400s: %s", path, why);
    return false;
}

static bool add(struct loader *l, const char *path, const char *name, const char *text, size_t size)
{
    int err = pl_corpus_add(l->corpus, name, text, size);
    return !err || failed(l, path,
                          err == -ENOSPC   ? "a corpus has 10000 entries at most"
                          : err == -EEXIST ? "its name is there twice"
                                           : "out of memory");
}

static bool load_entry(struct loader *l, const char *path, const char *name)
{
    size_t size;
    const char *why = pl_bundle_name_wrong(name);
    if (why) {
        snprintf(l->error, l->cap, "%.400s: as a name of a corpus: %s", path, why);
        return false;
    }
    char *text = pl_read_file(path, PL_ENTRY_MAX - 1, &size, l->error, l->cap);
    bool fine = text && add(l, path, name, text, size);
    free(text);
    return fine;
}

static bool ends_in_txt(const char *name)
{
    size_t n = strlen(name);
    return n > 4 && strcmp(name + n - 4, ".txt") == 0;
}

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static bool load_folder(struct loader *l, const char *path, const char *prefix, unsigned level);

/* One name of a folder: a folder, an entry, or none of ours. */
static bool load_name(struct loader *l, const char *folder, const char *prefix, const char *name,
                      unsigned level)
{
    char path[4096], inside[512];
    struct stat st;
    if ((size_t)snprintf(path, sizeof(path), "%s/%s", folder, name) >= sizeof(path) ||
        (size_t)snprintf(inside, sizeof(inside), "%s%s%s", prefix, prefix[0] ? "/" : "", name) >=
            sizeof(inside))
        return failed(l, folder, "there is a name in it that is too long");
    if (stat(path, &st) < 0)
        return failed(l, path, strerror(errno));
    if (S_ISDIR(st.st_mode))
        return load_folder(l, path, inside, level + 1);
    return !ends_in_txt(name) || load_entry(l, path, inside);
}

static bool load_folder(struct loader *l, const char *path, const char *prefix, unsigned level)
{
    struct dirent **entries;
    if (level == PL_BUNDLE_LEVELS)
        return failed(l, path, "it lies deeper than 8 levels");
    int n = scandir(path, &entries, is_visible, alphasort);
    if (n < 0)
        return failed(l, path, strerror(errno));
    bool fine = true;
    for (int i = 0; i < n; i++) {
        fine = fine && load_name(l, path, prefix, entries[i]->d_name, level);
        free(entries[i]);
    }
    free(entries);
    return fine;
}

static bool load_archive(struct loader *l, const char *path, const char *bytes, size_t size)
{
    size_t n;
    struct pl_bundle_file *file =
        pl_bundle_read(path, (const uint8_t *)bytes, size, &n, l->error, l->cap);
    bool fine = file != NULL;
    for (size_t i = 0; fine && i < n; i++)
        fine = add(l, path, file[i].name, file[i].text, file[i].size);
    free(file);
    pl_digest_text(bytes, size, l->corpus->digest);
    return fine;
}

/* An entry that no folder names: "-" and whatever else names may not be is no part of it. */
static bool load_alone(struct loader *l, const char *path, const char *name, const char *text,
                       size_t size)
{
    if (size >= PL_ENTRY_MAX)
        return failed(l, path, "it is larger than an entry can be");
    return add(l, path, pl_bundle_name_wrong(name) ? "entry.txt" : name, text, size);
}

/* An entry begins with its magic; whatever else is a file is taken for an archive. */
static bool load_file(struct loader *l, const char *path)
{
    static const char entry[] = "plumbline-";
    size_t size, most = PL_BUNDLE_BYTES;
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    char *bytes = pl_read_file(path, most, &size, l->error, l->cap);
    bool fine = false;
    l->corpus->in = PL_IN_FILE;
    if (bytes && (ends_in_txt(name) || strncmp(bytes, entry, sizeof(entry) - 1) == 0))
        fine = load_alone(l, path, name, bytes, size);
    else if (bytes) {
        l->corpus->in = PL_IN_ARCHIVE;
        fine = load_archive(l, path, bytes, size);
    }
    free(bytes);
    return fine;
}

struct pl_corpus *pl_corpus_load_any(const char *path, char *error, size_t cap)
{
    struct stat st;
    struct loader l = {pl_corpus_new(), error, cap};
    snprintf(error, cap, "out of memory");
    bool fine = l.corpus && (stat(path, &st) == 0 || failed(&l, path, strerror(errno)));
    if (fine)
        snprintf(l.corpus->path, sizeof(l.corpus->path), "%s", path);
    fine = fine && (S_ISDIR(st.st_mode) ? load_folder(&l, path, "", 0) : load_file(&l, path));
    if (fine)
        return l.corpus;
    pl_corpus_free(l.corpus);
    return NULL;
}

struct pl_corpus *pl_corpus_load(const char *path, char *error, size_t cap)
{
    struct pl_corpus *corpus = pl_corpus_load_any(path, error, cap);
    if (!corpus || corpus->n)
        return corpus;
    snprintf(error, cap, "%.400s: there is no entry in it: no file whose name ends in .txt", path);
    pl_corpus_free(corpus);
    return NULL;
}
