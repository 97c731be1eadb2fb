/* Legal configurations of the reference driver, one freedom or a few at a time. */
#include "cli/selftest_driver.h"

#include <string.h>

#include "cli/selftest.h"

const char *const pl_driver_legal[][PL_DRIVER_LEGAL_OPTIONS] = {
    {"io=12"}, /* the defaults */
    /* how it talks */
    {"token=0"},
    {"token=2"},
    {"token=3"},
    {"token=4", "depth=4"},
    {"depth=4"},
    {"depth=16", "block_by_block=1", "config_bytewise=1"},
    {"block_by_block=1"},
    {"all_blocks=1"},
    {"all_blocks=1", "block_by_block=1", "depth=4"},
    {"ack_once=1"},
    {"status_reads=1"},
    {"status_reads=1", "depth=4"},
    {"slow=3"},
    {"slow=7", "lanes=4", "depth=4"},
    {"ping=1", "parameters=1", "discover=1"},
    {"discover=1"},
    /* configuration space */
    {"config_early=1"},
    {"config_confirm=1"},
    {"config_halves=1"},
    {"config_halves=1", "depth=4"},
    {"config_bytewise=1"},
    {"config_bytewise=1", "config_confirm=1", "config_early=1"},
    {"adopt_generation=0"},
    {"set_config=0"},
    {"write_nothing=1"},
    {"write_nothing=1", "adopt_generation=0"},
    {"shm=1"},
    /* features: without each of the rings', and without all of them; without the type's own */
    {"features_off=0x10000000"},
    {"features_off=0x20000000"},
    {"features_off=0x800000000"},
    {"features_off=0x4000000000"},
    {"features_off=0x10000000000"},
    {"features_off=0x14830000000"},
    {"features_off=0xffffffdf"},
    {"features_off=0x1000"},
    /* queues */
    {"queue_size=4"},
    {"queue_size=3", "lanes=1"},
    {"queue_size=2", "lanes=1"},
    {"queue_max=1"},
    {"queue_by_queue=1"},
    {"queue_by_queue=1", "two_steps=1"},
    {"two_steps=1"},
    {"two_steps=2"},
    {"two_steps=2", "depth=4"},
    {"queues=1"},
    {"ring_reset=1"},
    {"ring_reset=1", "two_steps=1", "lanes=4"},
    /* I/O */
    {"io=0"},
    {"io=1"},
    {"io=200", "lanes=8", "queue_size=16"},
    {"io=40", "lanes=1"},
    {"io=100", "lanes=8", "coalesce=1"},
    {"poll=1"},
    {"poll=1", "lanes=8", "features_off=0x20000000"},
    {"indirect=0"},
    {"indirect=0", "spread=1", "lanes=4"},
    {"spread=1"},
    {"flush=0", "discard=0"},
    /* other types, and suspending */
    {"type=entropy"},
    {"type=net"},
    {"suspend=1"},
    {"suspend=1", "depth=4", "status_reads=1"},
    {"suspend=1", "type=entropy"},
    /* how it ends */
    {"end=1"},
    {"end=2"},
    {"end=3"},
    {"end=2", "io=0", "set_config=0"},
    {"retries=0"},
};

const size_t pl_driver_n_legal = sizeof(pl_driver_legal) / sizeof(pl_driver_legal[0]);

const char *const pl_driver_lenient[][PL_DRIVER_LEGAL_OPTIONS] = {
    /* CORE-FEAT-DRV-13: VIRTIO_F_RING_PACKED is not accepted */
    {"features_off=0x400000000"},
    {"features_off=0x14c30000000"},
    {"features_off=0x400000000", "coalesce=1", "lanes=4"},
    {"features_off=0x400000000", "queue_size=4"},
    {"features_off=0x400000000", "ring_reset=1", "indirect=0"},
    {"features_off=0xc00000000", "spread=1", "lanes=8", "io=100"},
};

const size_t pl_driver_n_lenient = sizeof(pl_driver_lenient) / sizeof(pl_driver_lenient[0]);

/* A driver that control starts, as most subjects are driven; option wait=0 starts by itself. */
static struct pl_port *in_process(struct pl_selftest_config *c)
{
    size_t n = 0;
    c->driver = (struct pl_driver_config){.spec = c->spec->name, .mutant = c->mutant};
    c->rest[n++] = "wait=1";
    for (size_t i = 0; c->options && c->options[i] && n + 1 < PL_SELFTEST_OPTIONS; i++) {
        if (strncmp(c->options[i], "type=", 5) == 0)
            c->driver.type = c->options[i] + 5;
        else
            c->rest[n++] = c->options[i];
    }
    c->rest[n] = NULL;
    c->driver.options = c->rest;
    return pl_port_inprocess(c->spec, &pl_driver_endpoint, &c->driver, "reference driver", 4 << 20);
}

const struct pl_selftest_role pl_selftest_driver = {
    .name = "driver",
    .legal = pl_driver_legal,
    .n_legal = sizeof(pl_driver_legal) / sizeof(pl_driver_legal[0]),
    .mutants = pl_driver_mutants,
    .in_process = in_process,
};
