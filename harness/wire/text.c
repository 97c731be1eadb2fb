/* Text that is printed piece by piece into a caller's buffer. */
#include "wire/text.h"

#include <stdarg.h>
#include <stdio.h>

void pl_text_put(struct pl_text *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    size_t room = t->n < t->cap ? t->cap - t->n : 0;
    int n = vsnprintf(room ? t->out + t->n : NULL, room, format, args);
    va_end(args);
    t->n += n > 0 ? (size_t)n : 0;
}
