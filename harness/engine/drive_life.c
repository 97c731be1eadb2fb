/* One life of a driver under test: what control asks of it, or what it does by itself, to the end.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "engine/drive.h"

enum {
    START_MS = 5000, /* a program may need a while before it says anything */
    START_AGAIN_TIMES = 3,
    HANG_TIMES = 10,      /* response times without a word: it hangs */
    QUIET_FIRST_MS = 400, /* the first life shows how long its pauses are */
    QUIET_LEAST_MS = 20,
    QUIET_SLOW_MS = 3000,  /* it may go on by itself after a time limit of its own */
    PAUSE_TIMES = 8,       /* a silence of so many of its longest pauses ends a life */
    WORK_MAX = 400,        /* messages behind DRIVER_OK that are enough of a life */
    MESSAGES_MANY = 10000, /* it may poll without a pause, but not for ever */
    MESSAGES_MAX = 2000000,
    VIRTUAL_MESSAGES = 200000,
    DRAIN_MAX = 20000,
    A_LONG_TIME_MS = 1000,
    PATIENT_TIMES = 6,       /* before a driver is said to have stopped */
    SCRIPT_QUIET_MS = 60000, /* a script may let a guest boot, or sleep */
    RECOVERY_TIMES = 6,      /* reset times that a driver may need to give up, or to go on */
    VIRTUAL_MS = 200 * 1000,
};

static const char *const usual_life[] = {"start {dev}", "io {dev} 4", "stop {dev}",
                                         "start {dev}", "io {dev} 2", NULL};

/* It does not stop to send: more than it has any reason for, in more time than a reset takes. */
static bool too_long(const struct pl_drive *d)
{
    if (d->s->port->virtual_time)
        return d->life.requests > VIRTUAL_MESSAGES;
    uint64_t limit = (uint64_t)d->s->timeouts.reset * RECOVERY_TIMES;
    return d->life.requests > MESSAGES_MAX ||
           (d->life.requests > MESSAGES_MANY && pl_drive_now(d) > limit);
}

/* It may go on and on: what it owes is then due to be told. */
static void out_of_patience(struct pl_drive *d)
{
    d->life.hung = true;
    d->life.endless = too_long(d);
    pl_session_tell(d->s, "driver %u patience", d->s->dev_num);
}

/* A program that says nothing at all for so long hangs; one that did so is given longer once. */
static int start_limit(const struct pl_drive *d)
{
    int ms = d->s->timeouts.response * HANG_TIMES;
    return (ms > START_MS ? ms : START_MS) * (d->patient ? START_AGAIN_TIMES : 1);
}

/*
 * So long a control request may take: all that a driver tries before it gives up. A driver that
 * was once seen to need longer is given less.
 */
static int control_limit(const struct pl_drive *d, const struct pl_drive_habits *habits)
{
    if (d->s->port->virtual_time)
        return VIRTUAL_MS;
    return habits->hung ? d->s->timeouts.response * HANG_TIMES
                        : d->s->timeouts.reset * RECOVERY_TIMES;
}

/* --- by control --- */

struct attend {
    struct pl_drive *d;
    uint64_t last_ms; /* when the driver's last message came */
    int patience;     /* a driver at work and so long silent does not read control; 0: it does */
};

/* Called while a control request waits for its answer. */
static int meanwhile(void *opaque)
{
    struct attend *a = opaque;
    struct pl_drive *d = a->d;
    for (int i = 0; i < DRAIN_MAX && d->s->alive && !too_long(d); i++) {
        if (pl_drive_step(d, 0) <= 0)
            break;
        a->last_ms = pl_drive_now(d);
    }
    if (!d->s->alive)
        return -1;
    if (!d->life.requests && pl_drive_now(d) > (uint64_t)start_limit(d))
        return PL_MEANWHILE_STOP;
    uint64_t patience = (uint64_t)a->patience * (d->life.ready ? 1 : PATIENT_TIMES);
    if (patience && d->life.requests && pl_drive_now(d) - a->last_ms > patience)
        return PL_MEANWHILE_STOP;
    if (d->n_held && pl_drive_now(d) - a->last_ms > QUIET_LEAST_MS)
        pl_drive_release(d); /* it waits for what is held back */
    int wish = pl_drive_until_device(d, A_LONG_TIME_MS);
    return d->n_held && wish > QUIET_LEAST_MS / 2 ? QUIET_LEAST_MS / 2 : wish;
}

/* The scenario's own steps, between what control asks. */
static void steps(struct pl_drive *d)
{
    struct attend a = {.d = d, .last_ms = pl_drive_now(d)};
    d->life.triggered = true;
    d->life.ready_after = false;
    pl_drive_steps(d, d->p->steps);
    meanwhile(&a);
}

/* "start {dev}": the words of a control line. */
static void fill_line(const struct pl_drive *d, const char *text, char *line, size_t cap)
{
    const char *place = strstr(text, "{dev}");
    if (place)
        snprintf(line, cap, "%.*s%u%s", (int)(place - text), text, d->s->dev_num, place + 5);
    else
        snprintf(line, cap, "%s", text);
}

/* What the oracle hears of it: the words without the device number. */
static void tell_control(const struct pl_drive *d, const char *what, const char *line)
{
    char word[32] = "";
    unsigned dev;
    int at = 0;
    sscanf(line, "%31s %u%n", word, &dev, &at);
    pl_session_tell(d->s, "driver %u %s %s%s", d->s->dev_num, what, word,
                    strcmp(what, "asked") == 0 && at ? line + at : "");
}

enum asked { ASKED_DONE, ASKED_REFUSED, ASKED_NOBODY, ASKED_GONE };

static enum asked ask(struct pl_drive *d, struct pl_drive_habits *habits, const char *text,
                      int patience)
{
    char line[512], answer[256] = "";
    struct attend a = {.d = d, .last_ms = pl_drive_now(d), .patience = patience};
    struct pl_port *port = d->s->port;
    fill_line(d, text, line, sizeof(line));
    tell_control(d, "asked", line);
    port->meanwhile = meanwhile;
    port->meanwhile_opaque = &a;
    int err = port->ops->control(port, line, answer, sizeof(answer), control_limit(d, habits));
    port->meanwhile = NULL;
    meanwhile(&a); /* what it sent before it answered */
    if (!d->s->alive)
        return ASKED_GONE;
    if (err == -ENOTSUP || strcmp(answer, "unsupported") == 0)
        return ASKED_NOBODY;
    if (err < 0) {
        if ((!patience || !d->life.ready) && (port->virtual_time || !habits->hung))
            out_of_patience(d); /* it was given all the time that there is */
        if (d->life.hung)
            pl_session_unframed(d->s);
        d->life.hung |= !patience || !d->life.ready;
        habits->hung |= d->life.hung;
        return err == -EPIPE ? ASKED_GONE : ASKED_NOBODY;
    }
    bool ok = strcmp(answer, "ok") == 0;
    tell_control(d, ok ? "done" : "refused", line);
    d->life.refused |= !ok;
    return ok ? ASKED_DONE : ASKED_REFUSED;
}

/* --- by itself --- */

/* So long a silence ends the life. */
static int quiet(const struct pl_drive *d, const struct pl_drive_habits *habits)
{
    const struct pl_session *s = d->s;
    if (!d->life.requests)
        return (s->timeouts.response > START_MS ? s->timeouts.response : START_MS) *
               (d->patient ? START_AGAIN_TIMES : 1);
    if (pl_oracle_owed(s->oracle))
        return pl_session_patience(s, s->misses);
    if (!d->life.ready && !pl_drive_may_end(d)) /* silence would be told as a hang */
        return pl_session_patience(s, 0) * (d->patient ? PATIENT_TIMES : 1);
    int ms = habits->quiet_ms ? habits->quiet_ms : QUIET_FIRST_MS;
    bool waits = d->p->slow && d->life.triggered && !d->life.ready_after && !habits->never_back;
    return waits && ms < QUIET_SLOW_MS ? QUIET_SLOW_MS : ms;
}

/* It has done again all that it does in a plain life, and owes nothing. */
static bool complete(const struct pl_drive *d)
{
    if (d->p->at && !d->life.triggered)
        return false;
    if (!d->life.ready || (d->life.triggered && !d->life.ready_after))
        return false;
    return d->life.worked > WORK_MAX && !pl_oracle_owed(d->s->oracle);
}

/* How often the scenario's life says "steps". */
static unsigned steps_said(const struct pl_drive *d)
{
    unsigned n = 0;
    for (size_t i = 0; d->p->life && d->p->life[i]; i++)
        n += strcmp(d->p->life[i], "steps") == 0;
    return n;
}

static void live_alone(struct pl_drive *d, struct pl_drive_habits *habits)
{
    uint64_t last = pl_drive_now(d), longest = 0;
    unsigned left = steps_said(d);
    while (d->s->alive && !complete(d)) {
        uint64_t silent = pl_drive_now(d) - last;
        int limit = quiet(d, habits);
        if (silent >= (uint64_t)limit && d->n_held) {
            pl_drive_release(d);
            last = pl_drive_now(d);
            continue;
        }
        if (silent >= (uint64_t)limit && left && d->life.ready) {
            left--; /* it rests: what happens between requests of control, happens now */
            steps(d);
            last = pl_drive_now(d);
            continue;
        }
        if (silent >= (uint64_t)limit)
            break;
        int r = pl_drive_step(d, (int)((uint64_t)limit - silent));
        if (r < 0)
            break;
        if (r == 0)
            continue;
        silent = pl_drive_now(d) - last;
        longest = d->life.requests > 1 && silent > longest ? silent : longest;
        last += silent;
        if (too_long(d)) {
            out_of_patience(d);
            break;
        }
    }
    if (!habits->quiet_ms && d->life.ready && !d->p->at) {
        uint64_t ms = PAUSE_TIMES * longest;
        habits->quiet_ms = ms < QUIET_LEAST_MS ? QUIET_LEAST_MS : ms > 2000 ? 2000 : (int)ms;
    }
    if (d->p->slow && d->life.triggered && !d->life.ready_after)
        habits->never_back = true;
}

/* --- either way --- */

/* A driver that answers no control may live by itself: what it does then is its life. */
static bool live_by_control(struct pl_drive *d, struct pl_drive_habits *habits)
{
    const char *const *life = d->p->life ? d->p->life : usual_life;
    for (size_t i = 0; life[i] && d->s->alive && !d->life.hung; i++) {
        int patience = habits->control ? 0 : d->s->timeouts.response;
        if (strcmp(life[i], "steps") == 0) {
            steps(d);
            continue;
        }
        enum asked how = ask(d, habits, life[i], patience);
        habits->control |= how == ASKED_DONE || how == ASKED_REFUSED;
        if (how == ASKED_NOBODY && i == 0 && !habits->control && !d->life.hung) {
            habits->no_control = true;
            return false;
        }
        if (how == ASKED_REFUSED && strncmp(life[i], "start", 5) == 0)
            break;
    }
    return true;
}

/* Whatever it owes by itself is waited for, and what is under way is taken. */
static void finish(struct pl_drive *d)
{
    uint64_t last = pl_drive_now(d);
    pl_drive_release(d);
    for (int i = 0; i < DRAIN_MAX && d->s->alive && !d->life.hung; i++) {
        int limit = pl_oracle_owed(d->s->oracle) ? pl_session_patience(d->s, d->s->misses) : 0;
        uint64_t silent = pl_drive_now(d) - last;
        int left = silent < (uint64_t)limit ? limit - (int)silent : 0;
        int r = pl_drive_step(d, left);
        if (r > 0)
            last = pl_drive_now(d);
        else if (r < 0 || left == 0)
            break;
    }
    if (d->s->alive && d->s->port->virtual_time) /* it is at rest: there is no more of a message */
        pl_session_unframed(d->s);
    bool owes = pl_oracle_owed(d->s->oracle) > 0;
    d->s->misses += owes;
    if (owes && d->s->alive && !d->life.hung)
        pl_session_tell(d->s, "driver %u rest", d->s->dev_num);
}

/* What whoever runs the script wants of the device. */
static void serve_aside(struct pl_drive *d)
{
    struct pl_port *port = d->s->port;
    char line[512];
    while (port->aside && port->aside(port, line, sizeof(line)) > 0)
        pl_drive_far.control(d, line);
}

/* A life by a script that is not ours: it is over when the connection is. */
static void live_by_script(struct pl_drive *d)
{
    uint64_t last = pl_drive_now(d);
    bool told = false;
    while (d->s->alive && pl_drive_now(d) - last < SCRIPT_QUIET_MS && !too_long(d)) {
        serve_aside(d);
        if (pl_drive_step(d, A_LONG_TIME_MS) > 0) {
            last = pl_drive_now(d);
            told = false;
        } else if (!told && pl_oracle_owed(d->s->oracle) &&
                   pl_drive_now(d) - last > (uint64_t)start_limit(d)) {
            told = true; /* nobody waits longer for what the driver owes */
            pl_session_tell(d->s, "settle");
        }
    }
    if (d->s->alive)
        out_of_patience(d);
}

void pl_drive_live(struct pl_drive *d, struct pl_drive_habits *habits)
{
    bool by_control = d->s->port->has_control && !habits->no_control;
    if (d->s->port->one_life)
        live_by_script(d);
    else if (!by_control || !live_by_control(d, habits))
        live_alone(d, habits);
    finish(d);
    d->life.over = !d->s->alive;
    if (d->life.over)
        pl_session_tell(d->s, "driver %u ended", d->s->dev_num);
    pl_session_tell(d->s, "settle");
}
