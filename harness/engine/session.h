/* One conversation with the IUT: sending, receiving, fences and time limits, recorded and judged.
 */
#ifndef PL_SESSION_H
#define PL_SESSION_H

#include "oracle/oracle.h"
#include "port/port.h"
#include "report/report.h"

enum { PL_TRACE_MAX = 64 };

/* Bounds for hangs, in milliseconds; no verdict depends on them while the IUT is alive. */
struct pl_timeouts {
    int response, reset, fence;
};

/* A recorded message, in a ring of buffers that are reused. */
struct pl_record {
    struct pl_trace_entry entry;
    uint8_t *bytes;
    size_t cap;
};

/* What a session tells its owner. */
struct pl_session_events {
    void *opaque;
    /* The IUT ended, hung or broke its framing; `text` is one sentence. Called once a start. */
    void (*finding)(void *opaque, enum pl_finding_kind kind, const char *text);
    /* Each message as it is recorded (for a pcapng file); may be NULL. */
    void (*message)(void *opaque, const struct pl_trace_entry *entry);
    /* What else a judge of the record must know, one line each (see tell.c); may be NULL. */
    void (*note)(void *opaque, const char *line);
    /* Each message, taken apart, once it was judged; may be NULL. */
    void (*judged)(void *opaque, const struct pl_msg *m, bool to_iut);
};

/*
 * Who follows the conversation besides: each message that was recorded and judged, and each start,
 * after which nothing is left in the shared memory. `free` ends with the session.
 */
struct pl_session_watch {
    void *opaque;
    void (*message)(void *opaque, const struct pl_msg *m, bool to_iut);
    void (*started)(void *opaque);
    void (*free)(void *opaque);
};

struct pl_bus_run; /* bus_run.h */

struct pl_session {
    struct pl_bus_run *bus_run; /* a bus under test: its two sides; NULL otherwise */
    struct pl_port *port;
    struct pl_oracle *oracle;
    bool telling; /* the oracle hears a line, not a message */
    const struct pl_spec *spec;
    struct pl_timeouts timeouts;
    struct pl_session_events events;
    struct pl_session_watch watch; /* all NULL: nobody */
    struct pl_bus_params bus;
    uint32_t plain_size; /* the max_msg_size where all is run; 0: none was told */
    uint32_t only_size;  /* the one that user or IUT keep to; the plain one where there are more */
    bool alive;          /* started, and not ended since */
    bool spoken;         /* something came from it since the start, or was waited for long enough */
    unsigned surplus;    /* messages that came, less those that were sent */
    bool flooded;        /* they were far too many */
    bool no_control;     /* control was offered, and the IUT does not answer there */
    bool stuck;          /* hung: to be started anew */
    bool plain;        /* requests of the IUT's own are not answered here: a device stands behind */
    struct pl_end end; /* how the IUT ended, where `alive` became false */
    unsigned misses;   /* requests that were not answered, in this run */
    uint64_t vain;     /* times that it was waited and nothing came, ever */
    unsigned silences; /* time limits in a row without any message */
    unsigned stuck_resets, hangs;
    unsigned stuck_status; /* times that another status did not come */
    uint16_t dev_num;
    uint16_t next_token;
    unsigned pending; /* sent since the last flush */
    bool doubtful;    /* one of them may meet silence */
    /* the last request of a scenario and its answer */
    uint16_t wanted_token;
    uint8_t wanted_id;
    bool answered;
    struct pl_msg last;
    uint8_t *last_bytes;
    /* the record since the scenario began */
    struct pl_record ring[PL_TRACE_MAX];
    unsigned ring_at, ring_n;
    uint64_t numbers; /* messages so far in the run */
    uint64_t starts;  /* of the IUT, in the run */
    uint64_t epoch_ns;
    uint32_t group;
    uint8_t *buffer; /* one message */
};

int pl_session_init(struct pl_session *s, struct pl_port *port, struct pl_oracle *oracle);
void pl_session_free(struct pl_session *s);
/* Nothing is left of what the session has come to believe of the IUT so far. */
void pl_session_renew(struct pl_session *s);
/* Behind that: the IUT is one that missed `misses` answers before. It is waited for as if it had
 * missed a few of them in this run. */
void pl_session_mistrust(struct pl_session *s, unsigned misses);
/* Start or restart the IUT with these parameters; negative errno with port->error. */
int pl_session_start(struct pl_session *s, const struct pl_bus_params *bus);
/* Forget the recorded messages: a scenario begins. */
void pl_session_begin(struct pl_session *s);
uint16_t pl_session_token(struct pl_session *s);
enum {
    PL_SESSION_TOKEN_FIRST = 0x0100,
    PL_SESSION_TOKEN_LAST = 0xf000
}; /* the last is not given */

/*
 * Send encoded bytes. With `outstanding` 1 it waits for the answer, or fences where none is owed;
 * with more it returns at once until that many are under way. `wanted`: resp.* means its answer.
 */
int pl_session_send(struct pl_session *s, const void *bytes, size_t size, unsigned outstanding,
                    bool wanted);
/* Build and send a message of fields, wait for its answer into s->last. 0, or -ETIMEDOUT, -EPIPE.
 */
int pl_session_ask(struct pl_session *s, struct pl_msg *m);
/*
 * Send a request that nobody may be there to answer, and wait for its answer, owed or not. Where
 * `witness` is given it is sent right behind: its answer, coming first, ends the wait.
 */
bool pl_session_probe(struct pl_session *s, const struct pl_msg *m, const struct pl_msg *witness);
/*
 * Learn which devices there are and tell the oracle: by GET_DEVICES, or device 0 where that is not
 * answered. 0 with at most `cap` numbers (cap is 1 and more); -ETIMEDOUT where nothing answers, and
 * device 0 is then taken to be there; or -EPIPE.
 */
int pl_session_discover(struct pl_session *s, uint16_t *list, size_t cap, size_t *n);
/* As many device numbers as one answer to GET_DEVICES can tell of, for its `count`. */
uint32_t pl_session_window(const struct pl_session *s);
/* Tell the oracle the numbers of the devices that there are; none: nothing is known of them. */
void pl_session_tell_devices(struct pl_session *s, const uint16_t *list, size_t n);
/* Send bytes as they are and wait for nothing. 0 or a negative errno. */
int pl_session_push(struct pl_session *s, const void *bytes, size_t size);
/* Nanoseconds of the clock that records and time limits go by. */
uint64_t pl_session_clock(void);
uint64_t pl_session_clock_ms(void); /* the same in milliseconds */
/* Messages read while waiting for one answer, at the most. */
enum { PL_SESSION_FLOOD = 20000 };
/* Receive until nothing is owed any more. 0, or -ETIMEDOUT, -EPIPE. */
int pl_session_wait(struct pl_session *s);
/* Wait until everything sent is answered or, behind a fence, known to be discarded. */
int pl_session_flush(struct pl_session *s);
/* A fence, whatever is pending: everything that the IUT sent before is read. */
int pl_session_fence(struct pl_session *s);
/* One message, at most timeout_ms from now: 1, 0 where none came, or a negative errno. */
int pl_session_receive(struct pl_session *s, int timeout_ms);
/* How long an answer is waited for, in milliseconds: a program that was just started and has not
 * spoken yet may need a while. */
int pl_session_first_patience(const struct pl_session *s);
/* How long what nobody asked for is waited for once `misses` of it did not come, in milliseconds.
 */
int pl_session_patience(const struct pl_session *s, unsigned misses);
/* Poll the status until it is 0, at most timeouts.reset. */
int pl_session_await_reset(struct pl_session *s);
/* Poll the status until it has these bits of `of`, or DEVICE_NEEDS_RESET, at most timeouts.reset:
 * 0, -ETIMEDOUT or -EPIPE. */
int pl_session_await_status(struct pl_session *s, uint32_t of, uint32_t is);
/* Wait for the configuration events that are due. */
int pl_session_await_event(struct pl_session *s);
/* One control line; true where it was answered with ok. */
bool pl_session_control(struct pl_session *s, const char *line, bool *unsupported);
/* The message that was recorded last. */
const struct pl_record *pl_session_last(const struct pl_session *s);

/*
 * Tell the oracle something that is no message, and let the record hold it. The line's words are
 * those of pl_tell; it is cut at PL_NOTE_MAX bytes.
 */
enum { PL_NOTE_MAX = 2560 };
void pl_session_tell(struct pl_session *s, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Record a message; `device_side`: of a bus under test, that side. */
void pl_session_record(struct pl_session *s, const void *bytes, size_t size, bool to_iut,
                       bool device_side);
/* The port said no (a negative errno): the finding that this is. */
void pl_session_gone(struct pl_session *s, int err);
/* It hangs: the finding, and it is to be started anew. */
void pl_session_hung(struct pl_session *s, const char *text);
/*
 * The IUT says nothing more, or has lost the framing: what begun message there is, is judged by its
 * header. For callers that waited long enough; nothing where there is none.
 */
void pl_session_unframed(struct pl_session *s);
/* A message of an old record: recorded and, unless it is not `judged`, judged as if it came now. */
void pl_session_judge(struct pl_session *s, const struct pl_trace_entry *entry, bool judged);
/* What pl_session_tell says to the oracle, for a line that was recorded. Unknown lines do nothing.
 */
void pl_tell(struct pl_oracle *oracle, const struct pl_clauses *clauses, const char *line);

#endif
