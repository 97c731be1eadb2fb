/* Corpora written into folders, and files read and written as a whole. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "corpus/corpus.h"

enum { PATH_BYTES = 4096 };

static bool failed(char *error, size_t cap, const char *path, const char *what, int err)
{
    snprintf(error, cap, "%.400s: %s: %s", path, what, strerror(err));
    return false;
}

static char *read_stream(FILE *in, size_t most, size_t *size, int *err)
{
    size_t room = 4096, n = 0, got;
    char *bytes = malloc(room + 1);
    *err = bytes ? 0 : ENOMEM;
    while (bytes && (got = fread(bytes + n, 1, room - n, in)) > 0) {
        n += got;
        if (n > most)
            *err = EFBIG;
        if (n < room || *err)
            continue;
        room *= 2;
        char *more = *err ? NULL : realloc(bytes, room + 1);
        if (!more) {
            *err = *err ? *err : ENOMEM;
            break;
        }
        bytes = more;
    }
    if (!*err && ferror(in))
        *err = errno ? errno : EIO;
    if (*err) {
        free(bytes);
        return NULL;
    }
    bytes[n] = '\0';
    *size = n;
    return bytes;
}

char *pl_read_file(const char *path, size_t most, size_t *size, char *error, size_t cap)
{
    int err = 0;
    FILE *in = fopen(path, "rb");
    if (!in) {
        failed(error, cap, path, "cannot be opened", errno);
        return NULL;
    }
    errno = 0;
    char *bytes = read_stream(in, most, size, &err);
    fclose(in);
    if (!bytes && err == EFBIG)
        snprintf(error, cap, "%.400s: it is larger than %zu bytes", path, most);
    else if (!bytes)
        failed(error, cap, path, "cannot be read", err);
    return bytes;
}

bool pl_write_file(const char *path, const void *bytes, size_t size, char *error, size_t cap)
{
    char other[PATH_BYTES];
    if ((size_t)snprintf(other, sizeof(other), "%s.%d.new", path, (int)getpid()) >= sizeof(other))
        return failed(error, cap, path, "cannot be written", ENAMETOOLONG);
    FILE *out = fopen(other, "wbx");
    if (!out)
        return failed(error, cap, path, "cannot be written", errno);
    bool written = fwrite(bytes, 1, size, out) == size;
    int err = written ? 0 : errno;
    if (fclose(out) != 0 && !err)
        err = errno;
    if (!err && rename(other, path) < 0)
        err = errno;
    if (!err)
        return true;
    unlink(other);
    return failed(error, cap, path, "cannot be written", err);
}

/* Make the folder, and those that it lies in. */
static int make_folders(char *path)
{
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        int err = mkdir(path, 0777) < 0 && errno != EEXIST ? errno : 0;
        *slash = '/';
        if (err)
            return err;
    }
    return 0;
}

bool pl_corpus_free_place(const char *folder, char *error, size_t cap)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    bool free_place = true;
    if (!dir)
        return errno == ENOENT || failed(error, cap, folder, "cannot be opened", errno);
    while (free_place && (entry = readdir(dir)))
        free_place = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
    closedir(dir);
    if (!free_place)
        snprintf(error, cap, "%.400s: the folder is not empty", folder);
    return free_place;
}

bool pl_corpus_write(const struct pl_corpus *corpus, const char *folder, char *error, size_t cap)
{
    char path[PATH_BYTES];
    bool fine = true;
    for (size_t i = 0; fine && i < corpus->n; i++) {
        const struct pl_corpus_item *item = &corpus->item[i];
        if ((size_t)snprintf(path, sizeof(path), "%s/%s", folder, item->name) >= sizeof(path))
            return failed(error, cap, folder, "cannot be written", ENAMETOOLONG);
        int err = make_folders(path);
        fine = err ? failed(error, cap, path, "its folder cannot be made", err)
                   : pl_write_file(path, item->text, item->size, error, cap);
    }
    return fine;
}
