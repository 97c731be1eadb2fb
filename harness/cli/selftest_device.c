/* The self-test's subjects of the device role: mutants and legal configurations of the reference
 * device. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/selftest.h"

/*
 * Legal configurations of the reference device: what the draft leaves open, one freedom or a few at
 * a time. None of them may fail anything.
 */
const char *const pl_selftest_legal[][PL_SELFTEST_OPTIONS] = {
    {"type=block"},
    {"type=net"},
    {"type=console"},
    {"type=entropy"},
    {"reset_delay=3"},
    {"reset_delay=3", "during_reset=1"},
    {"reset_delay=3", "during_reset=2"},
    {"reset_delay=40", "during_reset=2", "type=entropy"},
    {"refuse_version_1=0"},
    {"refuse_early_queue=1"},
    {"refuse_bad_size=0"},
    {"rvq_keep=1"},
    {"range_answer=1"},
    {"generation_on_write=1"},
    {"generation_on_reset=1"},
    {"generation_first=4294967295"},
    {"generation_first=0", "generation_on_write=1"},
    {"reset_restores_config=0"},
    {"event_inactive=1"},
    {"event_data=0"},
    {"event_data=0", "event_range=0"},
    {"event_needs_reset=1"},
    {"accept_long=1"},
    {"bus_dev_num_strict=1"},
    {"no_device_failure=1"},
    {"devices=3", "number_first=2", "number_step=300", "devices_skip=1"},
    {"devices=2"},
    {"uuid=0"},
    {"admin_vqs=2"},
    {"feature_blocks=4"},
    {"config_size=1024"},
    {"config_size=300", "type=console"},
    {"config_writable=0"},
    {"config_writable=0", "type=net"},
    {"features_remove=0x10000000000"},
    /* ring features: without each of them, and without all */
    {"features_remove=0x10000000"},
    {"features_remove=0x20000000"},
    {"features_remove=0x400000000"},
    {"features_remove=0x800000000", "type=net"},
    {"features_remove=0x4000000000", "type=console"},
    {"features_remove=0x4c30000000"},
    {"features_remove=0x4c30000000", "type=net"},
    {"features_remove=0x4c30000000", "type=entropy"},
    {"reset_delay=3", "type=net"},
    {"reset_delay=3", "type=console"},
    /* virtqueues at work: later, in another order, together, one by one; with and without hints */
    {"io_delay=2"},
    {"io_delay=5", "io_reset=1"},
    {"io_delay=5", "reset_delay=3"},
    {"io_out_of_order=1", "io_delay=3"},
    {"io_batch=1"},
    {"io_batch=2"},
    {"io_in_order_batch=1"},
    {"io_in_order_batch=1", "type=net"},
    {"io_spurious=1"},
    {"io_early=0"},
    {"io_suppress=1"},
    {"io_poll=1", "io_suppress=1"},
    {"io_fault=1"},
    {"queue_size=1"},
    {"queue_size=3"},
    {"queue_size=32768"},
    {"features_add=0x20"},
    {"io_partial=1", "type=console"},
    {"features_add=0x2", "type=console"},
    {"io_discard=0"},
    /* network devices: filters; several queues, hashes, coalescing, statistics; hashes alone */
    {"features_add=0xfc0000", "type=net"},
    {"features_add=0x923c000000fc0000", "features_add_high=1", "type=net"},
    {"features_add=0x923c000000fc0000", "net_promiscuous=1", "reset_delay=3", "type=net"},
    {"features_add=0x8208000000400000", "io_batch=1", "type=net"},
    /* and where their network returns nothing, something else, or that later */
    {"features_add=0x923c000000fc0000", "net_loops=0", "type=net"},
    {"features_add=0x923c000000fc0000", "net_loops=2", "net_event=1", "type=net"},
    {"features_add=0x923c000000fc0000", "features_add_high=1", "net_lag=2", "type=net"},
    /* a network device with all offloads: packets come in as negotiated, complete, or validated */
    {"type=net", "features_add=0x29c0000000007f83", "features_add_high=0x7e", "feature_blocks=3"},
    {"type=net", "features_add=0x29c0000000007f83", "features_add_high=0x1e", "feature_blocks=3",
     "net_receive=1"},
    {"type=net", "features_add=0x29c0000000007f83", "features_add_high=0x3e", "feature_blocks=3",
     "net_receive=2"},
    {"type=net", "features_add=0x29c0000000007f83", "features_add_high=0x3e", "net_lag=2"},
    /* flow filters, with one receive queue and with two; and the associations of IPsec */
    {"type=net", "admin_vqs=1", "net_filters=1", "features_add=0x40000"},
    {"type=net", "admin_vqs=1", "net_filters=1", "features_add=0x400000", "features_add_high=0x60"},
    {"type=net", "admin_vqs=1", "net_filters=1", "features_add=0x440000", "features_add_high=0x60",
     "net_lag=2"},
    {"type=net", "admin_vqs=1", "net_filters=1", "features_add=0x29c0000000007f83",
     "features_add_high=0x3e", "net_loops=2"},
    {"type=net", "admin_vqs=1", "net_filters=1", "features_add=0x29c0000000007f83",
     "features_add_high=0x3e", "net_loops=0"},
    /* suspending: at once, with time, not at all, not back */
    {"features_add=0x80000000000"},
    {"features_add=0x80000000000", "suspend_delay=3", "io_delay=2", "type=net"},
    {"features_add=0x80000000000", "suspend_fails=1", "type=entropy"},
    {"features_add=0x80000000000", "suspend_fails=2", "event_data=0", "type=console"},
    /* zones of every kind and size, with and without limits; lifetime metrics, secure erase */
    {"features_add=0x18000"},
    {"zoned=1", "features_add=0x10002", "zone_rdonly=1", "zone_offline=2", "zone_relieve=0",
     "zone_finish=0", "zone_active=4"},
    {"zoned=1", "zone_append=0", "zone_granularity=4096", "zone_sectors=256", "zone_cap=200"},
    {"zoned=1", "zone_sectors=24", "zone_unwritten=165", "zone_open=1", "zone_active=0",
     "zone_conv=0", "reset_restores_config=0"},
    {"zoned=1", "io_out_of_order=1", "io_delay=3", "zone_open=0", "zone_active=0"},
    {"zoned=2", "zone_unwritten=1", "zone_open=0", "zone_active=3", "features_add=0x10000",
     "zone_conv=0"},
    {"zoned=2", "zone_offline=1"},
    {"zoned=3"},
};

const size_t pl_selftest_n_legal = sizeof(pl_selftest_legal) / sizeof(pl_selftest_legal[0]);

void pl_selftest_split(const char *const *options, struct pl_device_config *config,
                       const char *rest[PL_SELFTEST_OPTIONS])
{
    size_t n = 0;
    for (size_t i = 0; options && options[i] && n + 1 < PL_SELFTEST_OPTIONS; i++) {
        if (strncmp(options[i], "type=", 5) == 0)
            config->type = options[i] + 5;
        else
            rest[n++] = options[i];
    }
    rest[n] = NULL;
    config->options = rest;
}

static struct pl_port *in_process(struct pl_selftest_config *c)
{
    c->device = (struct pl_device_config){.spec = c->spec->name, .mutant = c->mutant};
    pl_selftest_split(c->options, &c->device, c->rest);
    return pl_port_inprocess(c->spec, &pl_device_endpoint, &c->device, "reference device", 1 << 20);
}

const struct pl_selftest_role pl_selftest_device = {
    .name = "device",
    .legal = pl_selftest_legal,
    .n_legal = sizeof(pl_selftest_legal) / sizeof(pl_selftest_legal[0]),
    .mutants = pl_device_mutants,
    .in_process = in_process,
};
