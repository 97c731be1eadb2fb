/* What reference devices keep beside their state: a disk, and a pipe for what loops back. */
#ifndef PL_PEER_IO_STORE_H
#define PL_PEER_IO_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PL_PIPE_ITEM_MAX ((size_t)65562) /* bytes of the largest packet */

/* A disk: a file, or memory that takes room only where it was written. Bytes never written are 0.
 */
struct pl_disk;

/* NULL without memory, or where `path` (NULL: memory) cannot be opened; errno says why. */
struct pl_disk *pl_disk_open(const char *path, bool read_only);
void pl_disk_close(struct pl_disk *disk);
/* Bytes at a byte offset; 0, or a negative errno. Reads behind the end give zeros. */
int pl_disk_read(struct pl_disk *disk, uint64_t at, void *out, size_t len);
int pl_disk_write(struct pl_disk *disk, uint64_t at, const void *bytes, size_t len);
int pl_disk_zero(struct pl_disk *disk, uint64_t at, uint64_t len);
int pl_disk_flush(struct pl_disk *disk);
/* Bytes of a file, for a capacity; -errno where it cannot be told. */
int64_t pl_disk_file_size(const char *path, bool read_only);

/* Items in order, bounded: what does not fit is lost, as outside a device it may be. */
struct pl_pipe {
    uint8_t *buf; /* owned */
    size_t cap, head, tail;
};
/* Append one item of up to PL_PIPE_ITEM_MAX bytes; false where it is lost. */
bool pl_pipe_put(struct pl_pipe *pipe, const void *bytes, size_t len);
/* Bytes of the oldest item that are still there; 0: the pipe is empty. */
size_t pl_pipe_first(const struct pl_pipe *pipe);
/* Copy the oldest item's next bytes, `cap` at most, and leave them there; their number. */
size_t pl_pipe_peek(const struct pl_pipe *pipe, void *out, size_t cap);
/* Copy the oldest item's next bytes, `cap` at most, and take them away; their number. */
size_t pl_pipe_take(struct pl_pipe *pipe, void *out, size_t cap);
void pl_pipe_free(struct pl_pipe *pipe);

#endif
