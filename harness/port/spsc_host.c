/* The files and the wakeup socket of shared memory: who makes them, who may use them, and when. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "port/memory.h"
#include "port/private.h"
#include "port/spsc.h"

struct pl_spsc_host {
    struct pl_spsc_address address;
    enum pl_spsc_end end;
    bool listening;
    bool made[2]; /* the file is ours to remove */
    bool used;    /* met before */
    int fds[2];   /* they hold this end's lock */
    int listener;
};

/* What the functions here tell of: sentence and errno. */
struct complaint {
    char *text;
    size_t cap;
};

static int complain(struct complaint c, int err, const char *path, const char *what)
{
    snprintf(c.text, c.cap, "%.300s: cannot %s: %s", path, what, strerror(-err));
    return err;
}

/*
 * Two ends of the same kind would break the ring for each other: each holds a byte of the driver's
 * file locked, one for each end. Peers that know nothing of this are not disturbed by it.
 */
static int lock_end(const struct pl_spsc_host *h, int fd, const char *path, struct complaint c)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = h->end, .l_len = 1};
    if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
        return 0;
    if (errno != EAGAIN && errno != EACCES)
        return complain(c, -errno, path, "lock the file");
    snprintf(c.text, c.cap, "%.300s: another process holds the %s's end", path,
             h->end == PL_SPSC_DRIVER ? "driver" : "device");
    return -EBUSY;
}

static void close_files(struct pl_spsc_host *h)
{
    for (size_t i = 0; i < 2; i++) {
        if (h->fds[i] >= 0)
            close(h->fds[i]);
        h->fds[i] = -1;
    }
}

/* --- files --- */

/* Remove what an earlier listener left; a file whose end someone holds stays. */
static int remove_old(const struct pl_spsc_host *h, const char *path, struct complaint c)
{
    struct stat st;
    if (lstat(path, &st) != 0)
        return errno == ENOENT ? 0 : complain(c, -errno, path, "look at the file");
    if (!S_ISREG(st.st_mode)) {
        snprintf(c.text, c.cap, "%.300s: it is no regular file", path);
        return -EEXIST;
    }
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return complain(c, -errno, path, "open the file");
    int r = lock_end(h, fd, path, c);
    close(fd);
    if (r == 0 && unlink(path) != 0)
        r = complain(c, -errno, path, "remove the old file");
    return r;
}

/* Make an area's file, empty and ours. */
static int make_file(struct pl_spsc_host *h, size_t i, struct complaint c)
{
    const char *path = h->address.files[i];
    size_t size = h->address.size ? h->address.size : PL_SPSC_SIZE_DEFAULT;
    int r = remove_old(h, path, c);
    if (r < 0)
        return r;
    h->fds[i] = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (h->fds[i] < 0)
        return complain(c, -errno, path, "make the file");
    h->made[i] = true;
    r = lock_end(h, h->fds[i], path, c);
    if (r == 0 && ftruncate(h->fds[i], (off_t)size) != 0)
        r = complain(c, -errno, path, "set the file's size");
    return r;
}

static int find_file(struct pl_spsc_host *h, size_t i, struct complaint c)
{
    const char *path = h->address.files[i];
    h->fds[i] = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (h->fds[i] < 0)
        return complain(c, -errno, path, "open the file");
    return lock_end(h, h->fds[i], path, c);
}

/* The file's size, where it is one that a ring can have. */
static int file_size(const struct pl_spsc_host *h, size_t i, size_t *size, struct complaint c)
{
    const char *path = h->address.files[i];
    struct stat st;
    if (fstat(h->fds[i], &st) != 0)
        return complain(c, -errno, path, "look at the file");
    *size = (size_t)st.st_size;
    if (S_ISREG(st.st_mode) && *size >= PL_SPSC_SIZE_MIN && *size <= PL_SPSC_SIZE_MAX &&
        (!h->address.size || h->address.size == *size))
        return 0;
    if (!S_ISREG(st.st_mode))
        snprintf(c.text, c.cap, "%.300s: it is no regular file", path);
    else if (h->address.size && h->address.size != *size)
        snprintf(c.text, c.cap, "%.300s: the file has %zu bytes, not %zu", path, *size,
                 h->address.size);
    else
        snprintf(c.text, c.cap, "%.300s: the file has %zu bytes, a ring has %u to %u", path, *size,
                 PL_SPSC_SIZE_MIN, PL_SPSC_SIZE_MAX);
    return -EPROTO;
}

static int map_files(struct pl_spsc_host *h, void *areas[2], size_t sizes[2], struct complaint c)
{
    areas[0] = areas[1] = NULL;
    for (size_t i = 0; i < 2; i++) {
        int r = file_size(h, i, &sizes[i], c);
        if (r == 0) {
            r = pl_guard_map(h->fds[i], sizes[i], &areas[i]);
            if (r < 0)
                complain(c, r, h->address.files[i], "map the file");
        }
        if (r < 0) {
            pl_guard_unmap(areas[0]);
            return r;
        }
    }
    return 0;
}

/* --- the wakeup socket --- */

static int inherited(int fd, struct complaint c)
{
    int type = 0;
    socklen_t size = sizeof type;
    struct sockaddr_storage peer;
    socklen_t peer_size = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM &&
        getpeername(fd, (struct sockaddr *)&peer, &peer_size) == 0) {
        fcntl(fd, F_SETFD, FD_CLOEXEC);
        return fd;
    }
    snprintf(c.text, c.cap, "wakeup=fd:%d: the descriptor is no connected stream socket", fd);
    return -ENOTSOCK;
}

static int await(const struct pl_spsc_host *h, int timeout_ms, struct complaint c)
{
    int64_t deadline = timeout_ms < 0 ? INT64_MAX : pl_clock_ms() + timeout_ms;
    for (;;) {
        struct pollfd p = {.fd = h->listener, .events = POLLIN};
        int left = pl_left_ms(deadline);
        int ready = poll(&p, 1, left);
        if (ready == 0 && left == 0) {
            snprintf(c.text, c.cap, "%s: nobody connected within %d ms", h->address.path,
                     timeout_ms);
            return -ETIMEDOUT;
        }
        int fd = ready > 0 ? accept4(h->listener, NULL, NULL, SOCK_CLOEXEC) : -1;
        if (fd >= 0)
            return fd;
        if (ready > 0 && errno != EINTR && errno != EAGAIN && errno != ECONNABORTED)
            return complain(c, -errno, h->address.path, "accept a connection");
    }
}

/* The connected wakeup socket into *wake, -1 where there is none. */
static int meet_socket(struct pl_spsc_host *h, int timeout_ms, int *wake, struct complaint c)
{
    char text[160];
    *wake = -1;
    if (h->address.wakeup == PL_SPSC_POLLS)
        return 0;
    if (h->address.wakeup == PL_SPSC_INHERITED) {
        if (h->used) {
            snprintf(c.text, c.cap, "the inherited wakeup socket cannot be connected again");
            return -ENOTCONN;
        }
        *wake = inherited(h->address.fd, c);
    } else if (h->listening) {
        *wake = await(h, timeout_ms, c);
    } else {
        snprintf(text, sizeof text, "unix-stream:%s", h->address.path);
        *wake = pl_address_reach(text, timeout_ms, c.text, c.cap);
    }
    return *wake < 0 ? *wake : 0;
}

/* --- opening, meeting, closing --- */

static int make_all(struct pl_spsc_host *h, struct complaint c)
{
    char text[160];
    for (size_t i = 0; i < 2; i++) {
        int r = make_file(h, i, c);
        if (r < 0)
            return r;
    }
    if (h->address.wakeup != PL_SPSC_SOCKET)
        return 0;
    snprintf(text, sizeof text, "unix-stream:%s", h->address.path);
    h->listener = pl_address_listen(text, c.text, c.cap);
    return h->listener < 0 ? h->listener : 0;
}

struct pl_spsc_host *pl_spsc_open(const char *address, enum pl_spsc_end end, bool listening,
                                  int *err, char *error, size_t cap)
{
    struct pl_spsc_host *h = calloc(1, sizeof *h);
    *err = -ENOMEM;
    if (!h) {
        snprintf(error, cap, "no memory for the shared memory's files");
        return NULL;
    }
    h->end = end;
    h->listening = listening;
    h->fds[0] = h->fds[1] = h->listener = -1;
    *err = pl_spsc_parse(address, listening, &h->address, error, cap);
    if (*err == 0 && listening)
        *err = make_all(h, (struct complaint){error, cap});
    if (*err == 0)
        return h;
    pl_spsc_close(h);
    return NULL;
}

/* A ring that an earlier connection left broken begins anew with the one that made it. */
static void begin_anew(void *const areas[2])
{
    for (size_t i = 0; i < 2; i++) {
        struct pl_spsc_area *area = areas[i];
        atomic_store(&area->head, 0);
        atomic_store(&area->tail, 0);
    }
}

static int take_up(struct pl_spsc_host *h, struct pl_chan *chan, struct complaint c)
{
    void *areas[2];
    size_t sizes[2];
    int r = map_files(h, areas, sizes, c);
    if (r < 0)
        return r;
    r = pl_spsc_channel(chan, areas, sizes, h->end, -1, true);
    if (r == -EPROTO && h->listening) {
        begin_anew(areas);
        r = pl_spsc_channel(chan, areas, sizes, h->end, -1, true);
    }
    if (r == 0)
        return 0;
    snprintf(c.text, c.cap, "%.300s: %s", h->address.files[0], chan->error);
    pl_guard_unmap(areas[0]);
    pl_guard_unmap(areas[1]);
    return r;
}

int pl_spsc_meet(struct pl_spsc_host *h, int timeout_ms, struct pl_chan *chan, char *error,
                 size_t cap)
{
    struct complaint c = {error, cap};
    int wake = -1, r = 0;
    *chan = (struct pl_chan){.fd = -1};
    if (!h->listening) {
        close_files(h);
        for (size_t i = 0; r == 0 && i < 2; i++)
            r = find_file(h, i, c);
    }
    if (r == 0)
        r = take_up(h, chan, c);
    if (r < 0)
        return r;
    /*
     * Before the other end knows of us: what is there now was meant for somebody else. Not where a
     * wakeup socket was inherited: then the rings were made for us.
     */
    if (!h->listening && h->end == PL_SPSC_DRIVER && h->address.wakeup != PL_SPSC_INHERITED)
        pl_spsc_discard(chan);
    r = meet_socket(h, timeout_ms, &wake, c);
    if (r < 0) {
        pl_chan_close(chan);
        return r;
    }
    h->used = true;
    if (wake >= 0)
        pl_spsc_wake_by(chan, wake);
    return 0;
}

void pl_spsc_close(struct pl_spsc_host *h)
{
    if (!h)
        return;
    close_files(h);
    for (size_t i = 0; i < 2; i++)
        if (h->made[i])
            unlink(h->address.files[i]);
    if (h->listener >= 0) {
        close(h->listener);
        unlink(h->address.path);
    }
    free(h);
}
