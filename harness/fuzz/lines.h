/* Files of lines and words, as cases and entries of a corpus are: taken apart, with errors that
 * name file and line. */
#ifndef PL_FUZZ_LINES_H
#define PL_FUZZ_LINES_H

#include <stdbool.h>
#include <stddef.h>

enum { PL_LINE_BYTES = 2048 }; /* what a line fits into, with its NUL */

/* Where the reader is, and where its error goes; all of it the caller's. */
struct pl_lines {
    const char *file;
    unsigned line; /* from 1 on */
    char *error;
    size_t cap;
};

/* "FILE:LINE: SENTENCE" into the error; false. */
__attribute__((format(printf, 2, 3))) bool pl_lines_wrong(struct pl_lines *l, const char *format,
                                                          ...);
/* Copy the line at `text` without its end into line[PL_LINE_BYTES]; *taken becomes its bytes, its
 * newline included. False with an error: it is too long, or holds a 0. */
bool pl_lines_take(struct pl_lines *l, const char *text, size_t left, char *line, size_t *taken);
/* Cut a line into its words, at most `most`; # at the beginning of a word starts a comment. False
 * with an error: they are too many. */
bool pl_lines_split(struct pl_lines *l, char *line, char **word, size_t most, size_t *n);
/* Is the first line the magic, "plumbline-case 1", of what is "a case"? False with an error. */
bool pl_lines_magic(struct pl_lines *l, const char *line, const char *magic, const char *what);

#endif
