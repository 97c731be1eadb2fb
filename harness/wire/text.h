/* Text that is printed piece by piece into a caller's buffer. */
#ifndef PL_TEXT_H
#define PL_TEXT_H

#include <stddef.h>

/* A bounded text that counts what it could not hold, as snprintf does; always NUL-ended where there
 * is any room. `out` is the caller's, and may be NULL where cap is 0. */
struct pl_text {
    char *out;
    size_t cap, n;
};

__attribute__((format(printf, 2, 3))) void pl_text_put(struct pl_text *t, const char *format, ...);

#endif
