/* Memory that is shared with another process: guarded mappings, and files that both ends map. */
#ifndef PL_PORT_MEMORY_H
#define PL_PORT_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Map `size` bytes of a file, shared, so that a peer which cuts the file short cannot end this
 * process with SIGBUS: from the first access to a page that is gone, the whole mapping holds zeros
 * of our own, and pl_guard_lost tells. 0 with the mapping in *out (the caller's, to
 * pl_guard_unmap), or a negative errno; -EMFILE where too many are mapped.
 */
int pl_guard_map(int fd, size_t size, void **out);
/*
 * A guarded window of `size` bytes that holds zeros of our own, for files to be placed in (which
 * takes no memory until it is touched). 0 with the caller's mapping in *out, or a negative errno.
 */
int pl_guard_reserve(size_t size, void **out);
/* Show a part of a file at this place of such a window; whole pages. 0 or a negative errno. */
int pl_guard_place(void *at, size_t size, int fd, uint64_t offset);
/* Zeros of our own again. 0 or a negative errno. */
int pl_guard_clear(void *at, size_t size);
/* Whether the file behind this mapping was found cut short. */
bool pl_guard_lost(const void *mem);
/* Idempotent for NULL. */
void pl_guard_unmap(void *mem);

/* "PATH[,size=16MiB][,base=0x100000000]": a file for virtqueues and buffers (bindings, section 6).
 */
struct pl_memory_file {
    char path[512];
    size_t size;   /* bytes; 0: the file's own, or 16 MiB where it is made */
    uint64_t base; /* bus address of its first byte; 0: 0x100000000 */
};
/* 0, or -EINVAL with one sentence in error. */
int pl_memory_parse(const char *text, struct pl_memory_file *out, char *error, size_t cap);
/* The same checks for a file whose parts are there already. */
int pl_memory_check(const struct pl_memory_file *file, char *error, size_t cap);

/*
 * Open the file, make it where there is none, and map it. A file of another size than `file->size`
 * is refused; size and base are filled in where they were 0. 0 with the mapping in *out (guarded),
 * or a negative errno with one sentence in error. *fd, where fd is not NULL, is the caller's then.
 */
int pl_memory_open(struct pl_memory_file *file, void **out, int *fd, char *error, size_t cap);

/* A number of bytes, "4096", "0x1000", "64KiB", "16MiB" or "1GiB"; false where it is none. */
bool pl_parse_bytes(const char *text, uint64_t *out);

#endif
