/* The block device's disk: a file, or memory in chunks that are there once they are written. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "peer/io_store.h"

#define CHUNK      ((size_t)16 << 10)
#define SLOTS      4096u               /* a power of two */
#define ZERO_MAX   ((uint64_t)1 << 30) /* bytes of a file that one request clears */
#define CHUNKS_MAX 3072u /* 48 MiB of a driver's data, wherever on the disk they lie */

struct pl_disk {
    int fd; /* -1: memory */
    unsigned n_chunks;
    struct {
        uint64_t number;
        uint8_t *bytes; /* owned; NULL: free */
    } slot[SLOTS];
};

static int open_file(const char *path, bool read_only)
{
    return open(path, (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
}

struct pl_disk *pl_disk_open(const char *path, bool read_only)
{
    struct pl_disk *disk = calloc(1, sizeof(*disk));
    if (!disk)
        return NULL;
    disk->fd = path ? open_file(path, read_only) : -1;
    if (path && disk->fd < 0) {
        free(disk);
        return NULL;
    }
    return disk;
}

int64_t pl_disk_file_size(const char *path, bool read_only)
{
    struct stat st;
    int fd = open_file(path, read_only);
    if (fd < 0)
        return -errno;
    int64_t size = fstat(fd, &st) < 0 ? -errno : !S_ISREG(st.st_mode) ? -EINVAL : st.st_size;
    close(fd);
    return size;
}

void pl_disk_close(struct pl_disk *disk)
{
    if (!disk)
        return;
    for (size_t i = 0; i < SLOTS; i++)
        free(disk->slot[i].bytes);
    if (disk->fd >= 0)
        close(disk->fd);
    free(disk);
}

/* A chunk by number; with `make` it is there afterwards unless there is no room (NULL). */
static uint8_t *chunk(struct pl_disk *disk, uint64_t number, bool make)
{
    size_t i = (size_t)(number * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (SLOTS - 1);
    while (disk->slot[i].bytes && disk->slot[i].number != number)
        i = (i + 1) & (SLOTS - 1);
    if (disk->slot[i].bytes || !make || disk->n_chunks == CHUNKS_MAX)
        return disk->slot[i].bytes;
    disk->slot[i].bytes = calloc(1, CHUNK);
    disk->slot[i].number = number;
    disk->n_chunks += disk->slot[i].bytes != NULL;
    return disk->slot[i].bytes;
}

static size_t part(uint64_t at, uint64_t len)
{
    size_t room = CHUNK - (size_t)(at % CHUNK);
    return len < room ? (size_t)len : room;
}

static int file_read(int fd, uint64_t at, uint8_t *out, size_t len)
{
    memset(out, 0, len);
    while (len > 0) {
        ssize_t n = pread(fd, out, len, (off_t)at);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n == 0)
            return 0;
        out += n > 0 ? n : 0;
        at += n > 0 ? (uint64_t)n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
    return 0;
}

static int file_write(int fd, uint64_t at, const uint8_t *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = pwrite(fd, bytes, len, (off_t)at);
        if (n < 0 && errno != EINTR)
            return -errno;
        bytes += n > 0 ? n : 0;
        at += n > 0 ? (uint64_t)n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
    return 0;
}

int pl_disk_read(struct pl_disk *disk, uint64_t at, void *out, size_t len)
{
    uint8_t *p = out;
    if (disk->fd >= 0)
        return at > INT64_MAX ? -EFBIG : file_read(disk->fd, at, p, len);
    while (len > 0) {
        size_t n = part(at, len);
        const uint8_t *from = chunk(disk, at / CHUNK, false);
        if (from)
            memcpy(p, from + at % CHUNK, n);
        else
            memset(p, 0, n);
        p += n;
        at += n;
        len -= n;
    }
    return 0;
}

int pl_disk_write(struct pl_disk *disk, uint64_t at, const void *bytes, size_t len)
{
    const uint8_t *p = bytes;
    if (disk->fd >= 0)
        return at > INT64_MAX ? -EFBIG : file_write(disk->fd, at, p, len);
    while (len > 0) {
        size_t n = part(at, len);
        uint8_t *to = chunk(disk, at / CHUNK, true);
        if (!to)
            return -ENOSPC;
        memcpy(to + at % CHUNK, p, n);
        p += n;
        at += n;
        len -= n;
    }
    return 0;
}

static int file_zero(int fd, uint64_t at, uint64_t len)
{
    static const uint8_t zeros[4096];
    int err = at > INT64_MAX || len > ZERO_MAX ? -EFBIG : 0;
    while (!err && len > 0) {
        size_t n = len < sizeof(zeros) ? (size_t)len : sizeof(zeros);
        err = file_write(fd, at, zeros, n);
        at += n;
        len -= n;
    }
    return err;
}

/* Only what was written needs it, however long the range is. */
static void memory_zero(struct pl_disk *disk, uint64_t at, uint64_t len)
{
    for (size_t i = 0; i < SLOTS; i++) {
        uint64_t first = disk->slot[i].number * CHUNK, last = first + CHUNK;
        if (!disk->slot[i].bytes || last <= at || (first >= at && first - at >= len))
            continue;
        uint64_t from = first < at ? at - first : 0;
        uint64_t rest = first < at ? len : len - (first - at); /* of the range, from there on */
        memset(disk->slot[i].bytes + from, 0, rest < CHUNK - from ? rest : CHUNK - from);
    }
}

int pl_disk_zero(struct pl_disk *disk, uint64_t at, uint64_t len)
{
    if (disk->fd >= 0)
        return file_zero(disk->fd, at, len);
    memory_zero(disk, at, len);
    return 0;
}

int pl_disk_flush(struct pl_disk *disk)
{
    return disk->fd >= 0 && fdatasync(disk->fd) < 0 ? -errno : 0;
}
