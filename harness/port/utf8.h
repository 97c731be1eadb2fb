/* UTF-8, checked: for text that others wrote. */
#ifndef PL_PORT_UTF8_H
#define PL_PORT_UTF8_H

#include <stddef.h>

/* The length in bytes of the character at the start of `text`, or 0 where it is not valid UTF-8. */
size_t pl_utf8_length(const void *text, size_t size);
/* The offset of the first byte that is not valid UTF-8; `size` where all of it is. */
size_t pl_utf8_valid(const void *text, size_t size);
/*
 * Copy for one line of a message: what is not UTF-8 or not printable becomes '?', and what does not
 * fit ends in "...". NUL-terminated.
 */
void pl_utf8_line(const void *text, size_t size, char *out, size_t cap);

#endif
