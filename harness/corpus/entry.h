/* Entries of a corpus: a case with what it is for and what must come of it. docs/corpus.md has the
 * format. */
#ifndef PL_CORPUS_ENTRY_H
#define PL_CORPUS_ENTRY_H

#include "fuzz/case.h"
#include "fuzz/wrong_peer.h"

enum {
    PL_ENTRY_CLAUSES = 512,   /* that an entry aims at */
    PL_ENTRY_MUTANTS = 512,   /* that an entry fails */
    PL_ENTRY_BROKEN = 8,      /* clauses by which it fails one of them */
    PL_ENTRY_MAX = 320 << 10, /* bytes of an entry's text, its NUL included */
};
/* The first line of an entry. */
#define PL_ENTRY_MAGIC "plumbline-entry 1"

/* "With this mutant the case breaks these clauses." */
struct pl_entry_fail {
    const char *mutant; /* its id; static */
    uint8_t n;
    uint16_t clause[PL_ENTRY_BROKEN]; /* indices in the draft's table */
};

struct pl_entry {
    uint16_t n_clauses, n_fails;
    bool pass;                         /* what conforms breaks nothing */
    uint16_t clause[PL_ENTRY_CLAUSES]; /* it aims at them; indices in the draft's table */
    struct pl_entry_fail fail[PL_ENTRY_MUTANTS];
    char origin[256]; /* where it comes from, one line */
    char license[64]; /* an SPDX expression */
    struct pl_case c; /* its spec and role are the entry's */
};

/*
 * Parse an entry; `file` is for the error, one sentence "FILE:LINE: ..." where it returns false.
 * The text needs no NUL.
 */
bool pl_entry_parse(struct pl_entry *e, const char *file, const char *text, size_t size,
                    char *error, size_t cap);
/* Print it, as snprintf does; PL_ENTRY_MAX bytes are enough for any entry. */
size_t pl_entry_format(const struct pl_entry *e, char *out, size_t cap);
/* An empty entry for a case; origin and license are the caller's to set. */
void pl_entry_init(struct pl_entry *e, const struct pl_case *c);
/* Add a clause that it aims at, or an expectation; what stands there already is not added twice.
 * False where there is no room. */
bool pl_entry_aim(struct pl_entry *e, unsigned clause);
bool pl_entry_expect(struct pl_entry *e, const char *mutant, unsigned clause);
/* Is the text a license as SPDX writes it: identifiers joined with AND, OR, WITH and brackets? */
bool pl_license_is_spdx(const char *text);

#endif
