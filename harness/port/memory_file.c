/* The memory file that both ends of a connection map: its text, and how it comes about. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "port/memory.h"
#include "port/port.h"
#include "port/utf8.h"

#define GRAIN     4096u
#define SIZE_MOST (UINT64_C(64) << 30)

bool pl_parse_bytes(const char *text, uint64_t *out)
{
    static const struct {
        const char *name;
        unsigned shift;
    } units[] = {{"", 0}, {"KiB", 10}, {"MiB", 20}, {"GiB", 30}};
    char *end;
    if (*text < '0' || *text > '9')
        return false;
    errno = 0;
    uint64_t value = strtoull(text, &end, 0);
    for (size_t i = 0; errno == 0 && i < sizeof units / sizeof *units; i++) {
        if (strcmp(end, units[i].name) != 0 || value > UINT64_MAX >> units[i].shift)
            continue;
        *out = value << units[i].shift;
        return true;
    }
    return false;
}

static int bad_memory(const char *path, char *error, size_t cap, const char *why)
{
    char shown[200];
    pl_utf8_line(path, strlen(path), shown, sizeof shown);
    snprintf(error, cap, "memory '%s': %s", shown, why);
    return -EINVAL;
}

int pl_memory_check(const struct pl_memory_file *file, char *error, size_t cap)
{
    if (file->path[0] == '\0')
        return bad_memory(file->path, error, cap, "the path is missing");
    if (file->size && (file->size < GRAIN || file->size > SIZE_MOST))
        return bad_memory(file->path, error, cap, "the size is not between 4096 bytes and 64 GiB");
    if (file->base % GRAIN != 0 || file->base > UINT64_MAX - file->size)
        return bad_memory(file->path, error, cap,
                          "the base is a multiple of 4096, and base plus size is below 2^64");
    return 0;
}

/* One "key=value" behind the path. */
static int take_option(char *word, struct pl_memory_file *out, char *error, size_t cap)
{
    uint64_t value;
    char *equals = strchr(word, '=');
    char why[96];
    if (!equals || !pl_parse_bytes(equals + 1, &value)) {
        snprintf(why, sizeof why, "'%.30s' is none of size=SIZE and base=ADDRESS", word);
        return bad_memory(out->path, error, cap, why);
    }
    *equals = '\0';
    if (strcmp(word, "size") == 0 && value > 0)
        out->size = (size_t)value;
    else if (strcmp(word, "base") == 0 && value > 0)
        out->base = value;
    else
        return bad_memory(out->path, error, cap,
                          "behind the path stand size=SIZE and base=ADDRESS");
    return 0;
}

int pl_memory_parse(const char *text, struct pl_memory_file *out, char *error, size_t cap)
{
    char copy[640], *rest = NULL;
    *out = (struct pl_memory_file){0};
    if (strlen(text) >= sizeof copy)
        return bad_memory(text, error, cap, "the text is too long");
    strcpy(copy, text);
    const char *path = *copy == ',' ? "" : strtok_r(copy, ",", &rest);
    if (path && strlen(path) >= sizeof out->path)
        return bad_memory(text, error, cap, "the path is too long");
    strcpy(out->path, path ? path : "");
    for (char *word; path && *path && (word = strtok_r(NULL, ",", &rest));) {
        int r = take_option(word, out, error, cap);
        if (r < 0)
            return r;
    }
    return pl_memory_check(out, error, cap);
}

static int file_fail(const struct pl_memory_file *file, int err, char *error, size_t cap,
                     const char *what)
{
    snprintf(error, cap, "memory '%.300s': cannot %s: %s", file->path, what, strerror(-err));
    return err;
}

/* The file's size, which a file that was just made by whichever end gets here. */
static int settle_size(struct pl_memory_file *file, int fd, char *error, size_t cap)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return file_fail(file, -errno, error, cap, "look at the file");
    if (!S_ISREG(st.st_mode))
        return bad_memory(file->path, error, cap, "it is no regular file");
    if (st.st_size == 0) {
        file->size = file->size ? file->size : PL_PORT_MEM_SIZE;
        if (ftruncate(fd, (off_t)file->size) != 0)
            return file_fail(file, -errno, error, cap, "set the file's size");
        return 0;
    }
    if (file->size && (uint64_t)st.st_size != file->size) {
        snprintf(error, cap, "memory '%.300s': the file has %lld bytes, not %zu", file->path,
                 (long long)st.st_size, file->size);
        return -EINVAL;
    }
    file->size = (size_t)st.st_size;
    return pl_memory_check(file, error, cap);
}

int pl_memory_open(struct pl_memory_file *file, void **out, int *fd, char *error, size_t cap)
{
    int file_fd = open(file->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file_fd < 0)
        return file_fail(file, -errno, error, cap, "open the file");
    file->base = file->base ? file->base : PL_PORT_MEM_BASE;
    int r = settle_size(file, file_fd, error, cap);
    if (r == 0) {
        r = pl_guard_map(file_fd, file->size, out);
        if (r < 0)
            file_fail(file, r, error, cap, "map the file");
    }
    if (r == 0 && fd)
        *fd = file_fd;
    else
        close(file_fd);
    return r;
}
