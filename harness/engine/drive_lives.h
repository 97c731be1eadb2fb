/* The lives that a run on a driver gives it: what they share, and how one or all of a scenario are
 * lived. */
#ifndef PL_DRIVE_LIVES_H
#define PL_DRIVE_LIVES_H

#include "engine/drive.h"

/* In the order of a life the moment has the lowest bits; behind it: profile, choice, scenario. */
enum { PL_LIVES_ORDER_AT = (1 << 23) - 1 };

/* What the lives of a run share. */
struct pl_lives {
    struct pl_suite *suite;
    struct pl_drive drive;
    struct pl_drive_habits habits;
    struct pl_rows rows;
    uint32_t value[PL_AXES][PL_AXIS_VALUES];
    unsigned share, shares;   /* of the moments: every so-manieth is this one's */
    size_t index;             /* of the scenario that runs */
    struct pl_oracle *nobody; /* judges where nothing is asked but that the driver lives */
    uint64_t ready;
};

/* The parameters of a life: of a row and a profile, -1 for the row's own, under a provocation. */
void pl_lives_bus(struct pl_lives *l, const struct pl_provocation *p, size_t row, int profile,
                  struct pl_bus_params *bus, struct pl_combination *c);
/* One life with these parameters; a driver that fell silent is given another. 0 or an errno. */
int pl_lives_live(struct pl_lives *l, const struct pl_bus_params *bus,
                  const struct pl_combination *c, size_t choice);
/* A life's result joins that of the scenario. */
void pl_lives_add_result(struct pl_lives *l, struct pl_scenario_result *sum, bool first);
/* All lives of a scenario, as far as they are this share's: at each of its moments, */
int pl_lives_scenario(struct pl_lives *l, const struct pl_scenario *scenario);
/* or, where nothing disturbs them, with every row of parameters. */
int pl_lives_rows(struct pl_lives *l, const struct pl_scenario *scenario);
/* For a session's events.finding: an IUT that ended may have done so. `opaque` is the suite's. */
void pl_lives_ended(void *opaque, enum pl_finding_kind kind, const char *text);

#endif
