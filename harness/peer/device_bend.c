/* Which bends of a mutant meet one of the device's messages. */
#include "peer/device_private.h"

int pl_device_bend(struct pl_step *c, size_t size)
{
    struct pl_device_peer *peer = c->peer;
    struct pl_bending b;
    pl_bend_begin(&b, peer->spec, peer->message, size);
    c->out = &b.out;
    for (size_t i = 0; i < peer->mutant_def->n_bends; i++) {
        const struct pl_device_bend *bend = &peer->mutant_def->bends[i];
        bool one = bend->kind == PL_NONE || bend->kind == b.out.kind;
        bool fits = one && (b.out.response ? bend->responses : bend->events);
        if (fits && (!bend->when || bend->when(c)))
            pl_bend_apply(&b, &(struct pl_bend){bend->what, bend->field, bend->fill,
                                                bend->value ? bend->value(c) : 0});
    }
    peer->sent++;
    c->out = NULL;
    return pl_bend_send(&b, &peer->out, &peer->held);
}
