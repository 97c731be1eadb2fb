/* A greedy generator of covering arrays: each new row is the best of several, built value by value
 * from the one that has most pairs left. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/pairwise.h"
#include "wire/random.h"

/* Arrays with few rows are made several times, and the smallest is kept. */
enum {
    CANDIDATES = 24,
    ATTEMPTS = 8,
    FEW = 64,
    P = PL_PAIRWISE_PARAMETERS,
    V = PL_PAIRWISE_VALUES,
    NONE = 0xff
};

struct build {
    const struct pl_pairwise_space *space;
    struct pl_rows *rows;
    bool open[P][V][P][V]; /* both ways round: the pair stands in no row yet */
    size_t left[P][V];     /* open pairs of one value */
    size_t n_open;
    uint64_t random;
};

/* --- rows --- */

static bool add_row(struct pl_rows *rows, const uint8_t *row)
{
    if (rows->n == rows->cap) {
        size_t cap = rows->cap ? 2 * rows->cap : 32;
        uint8_t *grown = realloc(rows->value, cap * rows->width);
        if (!grown)
            return false;
        rows->value = grown;
        rows->cap = cap;
    }
    memcpy(rows->value + rows->n++ * rows->width, row, rows->width);
    return true;
}

const uint8_t *pl_row(const struct pl_rows *rows, size_t i)
{
    return rows->value + i * rows->width;
}

void pl_rows_free(struct pl_rows *rows)
{
    free(rows->value);
    *rows = (struct pl_rows){0};
}

/* --- what may stand together --- */

static bool check(const struct pl_pairwise_space *space)
{
    if (space->n < 1 || space->n > P)
        return false;
    for (size_t p = 0; p < space->n; p++)
        if (space->values[p] < 1 || space->values[p] > V)
            return false;
    return true;
}

static bool allowed(const struct pl_pairwise_space *s, size_t p, size_t v, size_t q, size_t w)
{
    if (!s->forbidden)
        return true;
    return p < q ? !s->forbidden(s->opaque, p, v, q, w) : !s->forbidden(s->opaque, q, w, p, v);
}

/* May value v of p join a row in which some parameters are still NONE? */
static bool fits(const struct pl_pairwise_space *space, const uint8_t *row, size_t p, size_t v)
{
    for (size_t q = 0; q < space->n; q++)
        if (q != p && row[q] != NONE && !allowed(space, p, v, q, row[q]))
            return false;
    return true;
}

static uint64_t draw(struct build *b)
{
    return pl_random(&b->random);
}

/* --- open pairs --- */

static void open_pairs(struct build *b)
{
    const struct pl_pairwise_space *s = b->space;
    for (size_t p = 0; p < s->n; p++)
        for (size_t q = 0; q < s->n; q++)
            for (size_t v = 0; p != q && v < s->values[p]; v++)
                for (size_t w = 0; w < s->values[q]; w++) {
                    b->open[p][v][q][w] = allowed(s, p, v, q, w);
                    b->left[p][v] += b->open[p][v][q][w];
                    b->n_open += p < q && b->open[p][v][q][w];
                }
}

static void close_pair(struct build *b, size_t p, size_t v, size_t q, size_t w)
{
    if (!b->open[p][v][q][w])
        return;
    b->open[p][v][q][w] = b->open[q][w][p][v] = false;
    b->left[p][v]--;
    b->left[q][w]--;
    b->n_open--;
}

static void close_row(struct build *b, const uint8_t *row)
{
    for (size_t p = 0; p < b->space->n; p++)
        for (size_t q = p + 1; q < b->space->n; q++)
            close_pair(b, p, row[p], q, row[q]);
}

/* How many open pairs value v of p would close in this row. */
static size_t gain(const struct build *b, const uint8_t *row, size_t p, size_t v)
{
    size_t n = 0;
    for (size_t q = 0; q < b->space->n; q++)
        n += row[q] != NONE && b->open[p][v][q][row[q]];
    return n;
}

static size_t gain_of_row(const struct build *b, const uint8_t *row)
{
    size_t n = 0;
    for (size_t p = 0; p < b->space->n; p++)
        for (size_t q = p + 1; q < b->space->n; q++)
            n += b->open[p][row[p]][q][row[q]];
    return n;
}

/* --- one row --- */

static void shuffle(struct build *b, size_t *list, size_t n)
{
    for (size_t i = n; i > 1; i--) {
        size_t k = draw(b) % i, kept = list[i - 1];
        list[i - 1] = list[k];
        list[k] = kept;
    }
}

/* The best value of p that was not tried yet and fits; V: none is left. */
static size_t best_value(struct build *b, const uint8_t *row, size_t p, const bool *tried)
{
    size_t best = V, score = 0, n = b->space->values[p], first = draw(b) % n;
    for (size_t i = 0; i < n; i++) {
        size_t v = (first + i) % n;
        if (tried[v] || !fits(b->space, row, p, v))
            continue;
        size_t now = gain(b, row, p, v) * (P * V) + b->left[p][v] + 1;
        if (now > score) {
            score = now;
            best = v;
        }
    }
    return best;
}

/* Fill what is NONE, in the order given, going back where nothing fits. */
static bool complete(struct build *b, uint8_t *row, const size_t *order, size_t n)
{
    bool tried[V] = {false};
    if (n == 0)
        return true;
    if (row[order[0]] != NONE)
        return complete(b, row, order + 1, n - 1);
    for (;;) {
        size_t v = best_value(b, row, order[0], tried);
        if (v == V)
            return false;
        tried[v] = true;
        row[order[0]] = (uint8_t)v;
        if (complete(b, row, order + 1, n - 1))
            return true;
        row[order[0]] = NONE;
    }
}

static bool finish(struct build *b, uint8_t *row)
{
    size_t order[P];
    for (size_t i = 0; i < b->space->n; i++)
        order[i] = i;
    shuffle(b, order, b->space->n);
    return complete(b, row, order, b->space->n);
}

/* The value with most open pairs begins a row; among equals one is drawn. */
static void begin(struct build *b, uint8_t *row)
{
    size_t most = 0, equals = 0, at_p = 0, at_v = 0;
    memset(row, NONE, P);
    for (size_t p = 0; p < b->space->n; p++)
        for (size_t v = 0; v < b->space->values[p]; v++) {
            if (b->left[p][v] < most || !b->left[p][v])
                continue;
            equals = b->left[p][v] > most ? 1 : equals + 1;
            most = b->left[p][v];
            if (draw(b) % equals == 0) {
                at_p = p;
                at_v = v;
            }
        }
    row[at_p] = (uint8_t)at_v;
}

/* A row for one open pair, whatever else it closes; a pair that no row can hold is given up. */
static bool one_pair(struct build *b, uint8_t *row)
{
    const struct pl_pairwise_space *s = b->space;
    for (size_t p = 0; p < s->n; p++)
        for (size_t v = 0; v < s->values[p]; v++)
            for (size_t q = p + 1; b->left[p][v] && q < s->n; q++)
                for (size_t w = 0; w < s->values[q]; w++) {
                    if (!b->open[p][v][q][w])
                        continue;
                    memset(row, NONE, P);
                    row[p] = (uint8_t)v;
                    row[q] = (uint8_t)w;
                    if (finish(b, row))
                        return true;
                    close_pair(b, p, v, q, w);
                }
    return false;
}

static bool best_row(struct build *b, uint8_t *out)
{
    size_t best = 0;
    for (size_t i = 0; i < CANDIDATES; i++) {
        uint8_t row[P];
        begin(b, row);
        if (!finish(b, row))
            continue;
        size_t now = gain_of_row(b, row);
        if (now > best) {
            best = now;
            memcpy(out, row, P);
        }
    }
    return best > 0 || one_pair(b, out);
}

static bool plain_row(const struct pl_pairwise_space *space, uint8_t *row)
{
    memset(row, 0, P);
    for (size_t p = 0; p < space->n; p++)
        if (!fits(space, row, p, 0))
            return false;
    return true;
}

/* --- the whole --- */

static int build_rows(struct build *b)
{
    uint8_t row[P];
    bool more = plain_row(b->space, row) || best_row(b, row);
    while (more) {
        if (!add_row(b->rows, row))
            return -ENOMEM;
        close_row(b, row);
        more = b->n_open && best_row(b, row);
    }
    return 0;
}

/* One array; its seed is the space's with the attempt's number. */
static int attempt(struct build *b, const struct pl_pairwise_space *space, unsigned number,
                   struct pl_rows *rows)
{
    memset(b, 0, sizeof(*b));
    *rows = (struct pl_rows){.width = space->n};
    b->space = space;
    b->rows = rows;
    b->random = ((space->seed + number) * PL_RANDOM_STEP) | 1;
    open_pairs(b);
    return build_rows(b);
}

int pl_pairwise(const struct pl_pairwise_space *space, struct pl_rows *rows)
{
    *rows = (struct pl_rows){.width = space->n};
    if (!check(space))
        return -EINVAL;
    struct build *b = malloc(sizeof(*b));
    int err = b ? attempt(b, space, 0, rows) : -ENOMEM;
    for (unsigned i = 1; i < ATTEMPTS && !err && rows->n < FEW; i++) {
        struct pl_rows other;
        err = attempt(b, space, i, &other);
        if (!err && other.n < rows->n) {
            struct pl_rows kept = *rows;
            *rows = other;
            other = kept;
        }
        pl_rows_free(&other);
    }
    free(b);
    if (err)
        pl_rows_free(rows);
    return err;
}

static int add_products(const struct pl_pairwise_space *space, struct pl_rows *rows, uint8_t *row,
                        size_t p)
{
    int err = 0;
    if (p == space->n)
        return add_row(rows, row) ? 0 : -ENOMEM;
    for (size_t v = 0; v < space->values[p] && !err; v++) {
        if (!fits(space, row, p, v))
            continue;
        row[p] = (uint8_t)v;
        err = add_products(space, rows, row, p + 1);
        row[p] = NONE;
    }
    return err;
}

int pl_pairwise_product(const struct pl_pairwise_space *space, struct pl_rows *rows)
{
    uint8_t row[P];
    *rows = (struct pl_rows){.width = space->n};
    if (!check(space))
        return -EINVAL;
    memset(row, NONE, sizeof(row));
    int err = add_products(space, rows, row, 0);
    if (err)
        pl_rows_free(rows);
    return err;
}
