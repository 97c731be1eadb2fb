/* Running one scenario once: its preconditions, one choice of its parameters, its steps. */
#ifndef PL_RUN_H
#define PL_RUN_H

#include "engine/dimension.h"
#include "engine/scenario.h"
#include "engine/session.h"

/* The combination that a scenario runs under. */
struct pl_combination {
    unsigned outstanding;
    uint16_t dev_num;
    uint64_t seed; /* of this run; random() repeats from it and the scenario's name */
    uint32_t dimension[PL_DIMENSIONS]; /* values, see dimension.h */
    bool exhaustive;                   /* the user has time: loops may be long */
};

struct pl_run_result {
    enum pl_scenario_verdict verdict;
    char reason[256];     /* where it is not pass or fail */
    char parameters[256]; /* "index=3 flags=0x40" */
};

/* Does `when` allow the scenario under this combination? An error counts as yes and shows later. */
bool pl_run_applies(struct pl_session *s, const struct pl_scenarios *all,
                    const struct pl_scenario *scenario, const struct pl_combination *combination);

/*
 * Run choice number `choice` of the parameters' cross product (see pl_run_choices) of a scenario
 * out of `all`, which pl_scenarios_check found good. The verdict is
 * pass where nothing hindered it; the caller makes it fail where a clause failed meanwhile.
 */
void pl_run_once(struct pl_session *s, const struct pl_scenarios *all,
                 const struct pl_scenario *scenario, size_t choice,
                 const struct pl_combination *combination, struct pl_run_result *result);
size_t pl_run_choices(const struct pl_scenario *scenario);

#endif
