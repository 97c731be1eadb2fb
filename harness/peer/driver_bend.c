/* Which bends of a mutant meet one of the driver's messages. */
#include "peer/driver_private.h"

void pl_dp_bend(struct pl_dp_step *c, size_t size)
{
    struct pl_dp *peer = c->peer;
    struct pl_bending b;
    pl_bend_begin(&b, peer->spec, peer->message, size);
    c->out = &b.out;
    for (size_t i = 0; i < peer->bent->n_bends; i++) {
        const struct pl_dp_bend *bend = &peer->bent->bends[i];
        bool one = bend->kind == PL_NONE || bend->kind == b.out.kind;
        bool fits = one && (b.out.event ? bend->events : bend->requests);
        if (fits && (!bend->when || bend->when(c)))
            pl_bend_apply(&b, &(struct pl_bend){bend->what, bend->field, bend->fill,
                                                bend->value ? bend->value(c) : 0});
    }
    peer->sent++;
    c->out = NULL;
    pl_bend_send(&b, &peer->out, &peer->held);
}
