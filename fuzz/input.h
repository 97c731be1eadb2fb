/* What fuzz targets share: an input that is taken byte by byte, and checks that end the process. */
#ifndef PL_FUZZ_INPUT_H
#define PL_FUZZ_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One execution: libFuzzer's and AFL++'s entry point. Always returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is left of an input. Past its end all bytes are 0. */
struct fuzz_input {
    const uint8_t *at;
    size_t left;
};

/* End the process with one line that names the rule, where it does not hold. */
static inline void fuzz_hold(bool condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "fuzz target: %s does not hold\n", what);
    abort();
}

static inline uint8_t fuzz_byte(struct fuzz_input *in)
{
    if (in->left == 0)
        return 0;
    in->left--;
    return *in->at++;
}

/* A number of so many bytes, little-endian as the protocol's are. */
static inline uint64_t fuzz_number(struct fuzz_input *in, unsigned bytes)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < bytes; i++)
        n |= (uint64_t)fuzz_byte(in) << 8 * i;
    return n;
}

/* At most `most` bytes of the input, as many as there are: their number. They stay where they are.
 */
static inline size_t fuzz_take(struct fuzz_input *in, size_t most, const uint8_t **out)
{
    size_t n = most < in->left ? most : in->left;

    *out = in->at;
    in->at += n;
    in->left -= n;
    return n;
}

/* `size` bytes of the input into memory; what is missing is 0. */
static inline void fuzz_fill(struct fuzz_input *in, void *out, size_t size)
{
    const uint8_t *from;
    size_t n = fuzz_take(in, size, &from);

    memset(out, 0, size);
    if (n)
        memcpy(out, from, n);
}

/* The rest of the input as text, NUL-terminated and cut at the first NUL; to be freed. */
static inline char *fuzz_text(struct fuzz_input *in, size_t most)
{
    const uint8_t *from;
    size_t n = fuzz_take(in, most, &from);
    char *text = malloc(n + 1);

    if (!text)
        abort();
    if (n)
        memcpy(text, from, n);
    text[n] = '\0';
    return text;
}

/* Memory of exactly this size, so that a byte too far is seen; never NULL. */
static inline void *fuzz_room(size_t size)
{
    void *room = malloc(size ? size : 1);

    if (!room)
        abort();
    return room;
}

#endif
