/* Large blocks that a session is made of and the next one needs again: the one that was let go last
 * is kept, since fresh memory is what a short session would cost most. */
#ifndef PL_WIRE_SPARE_H
#define PL_WIRE_SPARE_H

#include <stddef.h>

/* Static, and zero at first; all its blocks have one size. Any thread may use it. */
struct pl_spare {
    _Atomic(void *) block;
};

/* A block of `size` bytes with anything in it, to be given back or freed; NULL without memory. */
void *pl_spare_take(struct pl_spare *spare, size_t size);
/* The block is nobody's from here on: with AddressSanitizer its use shows, as of freed memory. NULL
 * is nothing. */
void pl_spare_give(struct pl_spare *spare, void *block, size_t size);

#endif
