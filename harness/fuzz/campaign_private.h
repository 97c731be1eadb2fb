/* What the campaign's files share. */
#ifndef PL_CAMPAIGN_PRIVATE_H
#define PL_CAMPAIGN_PRIVATE_H

#include "fuzz/campaign.h"

enum {
    PL_CAMPAIGN_PATH = 1024,
    PL_CAMPAIGN_NAME = 224, /* of a finding: its folder's name */
    PL_CAMPAIGN_WORKERS = 256,
    PL_CAMPAIGN_WHAT = 256,
};
#define PL_CAMPAIGN_FILE  "campaign" /* in the directory, and its first line: */
#define PL_CAMPAIGN_MAGIC "plumbline-campaign 1"

struct pl_trace; /* finding_trace.c */

/* A case that showed something new. */
struct pl_queued {
    uint8_t *bytes; /* of pl_case_encode; owned */
    size_t size;
};

/* Another worker of the directory, and how much of its queue was read. */
struct pl_other {
    char name[64];
    unsigned read;
};

struct pl_campaign {
    const struct pl_campaign_options *o;
    struct pl_campaign_stats *stats;
    struct pl_generator g;
    const struct pl_spec *spec;
    struct pl_exec *live; /* runs cases one after the other */
    struct pl_exec *once; /* runs each from the start, and records; NULL until it is needed */
    char *error;
    size_t error_cap;
    int lock;        /* of the worker's folder */
    uint64_t number; /* of the execution */
    bool reached;    /* the IUT was started once */
    bool hasty; /* it is given little time; nothing was late so far that came when given more */
    unsigned stillborn; /* times in a row that it ended before it was given a case */

    struct pl_bus_params bus; /* of an IUT that is kept; no maximum size: none yet */

    /* the queue */
    struct pl_queued *entry;
    size_t n_entries, cap_entries;
    unsigned next_file;
    struct pl_other other[PL_CAMPAIGN_WORKERS];
    size_t n_others;

    /* what was seen: how often, in which entry first, and the list of it */
    uint32_t hits[PL_FEEDBACK_MAX];
    uint32_t best[PL_FEEDBACK_MAX];
    uint16_t known[PL_FEEDBACK_MAX], clauses[PL_FEEDBACK_MAX];
    size_t n_known, n_clauses; /* clauses[]: those of known[] that are clauses */
    uint16_t fresh[PL_FEEDBACK_MAX];
    size_t n_fresh;  /* of the case at hand */
    uint32_t *kinds; /* [clauses of the draft]: messages that its words name; owned */

    struct pl_trace *trace; /* what `once` tells is recorded there; NULL: nowhere */
    /* names of findings that are dealt with */
    char (*finding)[PL_CAMPAIGN_NAME];
    size_t n_findings;

    struct pl_case c, drawn, small; /* at hand; taken from the queue; of a finding */
    struct pl_exec_result result, again;
    char text[PL_CASE_TEXT_MAX];
    uint8_t bytes[PL_CASE_BYTES_MAX];
};

/* --- campaign.c --- */
/* Run c->c with the live executor into c->result, count what it shows and take what it finds. 0, or
 * a negative errno: the campaign ends. */
int pl_campaign_try(struct pl_campaign *c);
/* One sentence for the caller, and `err` back. */
int pl_campaign_fail(struct pl_campaign *c, int err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
bool pl_campaign_virtual(const struct pl_campaign *c);
/* The live executor's IUT is to be started anew: another one used its port. */
int pl_campaign_renew(struct pl_campaign *c);

/* --- campaign_queue.c --- */
int pl_queue_prepare(struct pl_campaign *c);
/* What c->result saw is counted; how much of it is new goes into c->fresh. */
void pl_queue_count(struct pl_campaign *c);
/* The case at hand is an entry from now on: of what is in c->fresh. 0 or -ENOMEM. */
int pl_queue_add(struct pl_campaign *c);
/* The next case into c->c. */
void pl_queue_next(struct pl_campaign *c);
void pl_queue_free(struct pl_campaign *c);

/* --- campaign_dir.c --- */
int pl_dir_open(struct pl_campaign *c);
/* Write the case at hand into the worker's queue. */
int pl_dir_save_case(struct pl_campaign *c);
int pl_dir_save_state(struct pl_campaign *c);
/* Run what stands in a worker's queue from file number `from` on; 0, or as execute. */
int pl_dir_load_queue(struct pl_campaign *c, const char *worker, unsigned *from);
/* Read what other workers found since. */
int pl_dir_sync(struct pl_campaign *c);
int pl_dir_seeds(struct pl_campaign *c);
/* A file with this text, whole or not at all. 0 or a negative errno. */
int pl_dir_write(const char *path, const char *text, size_t size);
void pl_dir_close(struct pl_campaign *c);

/* --- finding.c --- */
/* Deal with each finding of c->result, of c->c. 0, or a negative errno: the campaign ends. */
int pl_finding_take(struct pl_campaign *c);
void pl_finding_free(struct pl_campaign *c);

/* --- finding_trace.c --- */
/* Record what an executor tells from now on into a pcapng file; NULL after an error in `error`. */
struct pl_trace *pl_trace_new(const char *path, const struct pl_case *c, char *error, size_t cap);
void pl_trace_message(void *opaque, const struct pl_trace_entry *entry);
void pl_trace_note(void *opaque, const char *line);
int pl_trace_end(struct pl_trace *trace);

#endif
