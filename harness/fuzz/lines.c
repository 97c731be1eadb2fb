/* Files of lines and words, taken apart. */
#include "fuzz/lines.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool pl_lines_wrong(struct pl_lines *l, const char *format, ...)
{
    va_list args;
    int n = snprintf(l->error, l->cap, "%s:%u: ", l->file, l->line);
    va_start(args, format);
    if (n >= 0 && (size_t)n < l->cap)
        vsnprintf(l->error + n, l->cap - (size_t)n, format, args);
    va_end(args);
    return false;
}

bool pl_lines_take(struct pl_lines *l, const char *text, size_t left, char *line, size_t *taken)
{
    const char *stop = memchr(text, '\n', left);
    size_t n = stop ? (size_t)(stop - text) : left;
    *taken = n + (stop != NULL);
    if (n >= PL_LINE_BYTES)
        return pl_lines_wrong(l, "the line is longer than %d bytes", PL_LINE_BYTES - 1);
    if (memchr(text, '\0', n))
        return pl_lines_wrong(l, "a byte of the line is 0");
    memcpy(line, text, n);
    line[n] = '\0';
    if (n && line[n - 1] == '\r')
        line[n - 1] = '\0';
    return true;
}

bool pl_lines_split(struct pl_lines *l, char *line, char **word, size_t most, size_t *n)
{
    char *part;
    *n = 0;
    while ((part = strsep(&line, " \t\r"))) {
        if (*part == '#')
            break;
        if (*part && *n == most)
            return pl_lines_wrong(l, "a line has %zu words at most", most);
        if (*part)
            word[(*n)++] = part;
    }
    return true;
}

bool pl_lines_magic(struct pl_lines *l, const char *line, const char *magic, const char *what)
{
    size_t name = (size_t)(strchr(magic, ' ') - magic) + 1;
    if (strcmp(line, magic) == 0)
        return true;
    if (strncmp(line, magic, name) == 0)
        return pl_lines_wrong(l, "%s of version '%.20s'; this knows version %s", what, line + name,
                              magic + name);
    return pl_lines_wrong(l, "no %s: its first line is '%s'", strchr(what, ' ') + 1, magic);
}
