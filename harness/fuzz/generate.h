/* Cases and parts of cases that a model of the protocol suggests: what a driver would do, and what
 * it would not, one step at a time. */
#ifndef PL_FUZZ_GENERATE_H
#define PL_FUZZ_GENERATE_H

#include "fuzz/case.h"

/* What a campaign leans towards. */
enum pl_focus {
    PL_FOCUS_ALL,
    PL_FOCUS_ILLEGAL,    /* messages bent, out of turn, or of nobody */
    PL_FOCUS_RESET,      /* resets and recovery while something is under way */
    PL_FOCUS_GENERATION, /* configuration changes around reads and writes */
    PL_FOCUS_RING,       /* queues, chains, notifications, and memory that is written over */
    PL_FOCI
};
/* "all", "illegal", ...; NULL ends. */
extern const char *const pl_focus_names[];
/* False: there is no such focus. */
bool pl_focus_find(const char *name, enum pl_focus *out);

/* What a peer of the harness's is set to: a device that a driver may meet at its other end, or a
 * reference device or bus that is tested. */
struct pl_peer_options {
    struct pl_case_option option[PL_CASE_OPTIONS];
    uint8_t n;
    int type; /* of the device, index of pl_case_types; -1: any */
};

struct pl_generator {
    const struct pl_spec *spec;
    enum pl_iut role;
    enum pl_focus focus;
    bool real;       /* time passes by itself: less of it is asked for */
    bool reference;  /* the reference peer is tested: its options are drawn, too */
    uint64_t random; /* the whole state of what is drawn; not 0 */
    /* owned; NULL: the plain one alone */
    struct pl_peer_options *peers; /* of a driver's other end; else of what is tested */
    size_t n_peers;
};

/*
 * Learn the devices that a driver may meet from the scenarios for drivers: freedoms of the draft
 * are used there. What a device or a bus can be set to is learned from its mutants: rules that show
 * only there have mutants that need it. 0 or -ENOMEM.
 */
int pl_generator_learn(struct pl_generator *g);
void pl_generator_free(struct pl_generator *g);

/* A number below `below`, which is not 0. */
uint64_t pl_draw(struct pl_generator *g, uint64_t below);
/* A whole new case. */
void pl_generate_case(struct pl_generator *g, struct pl_case *c);
/* Put some more actions that belong together in front of action `at`; none where there is no room.
 */
void pl_generate_more(struct pl_generator *g, struct pl_case *c, size_t at);
/* The same with a message of this kind among them. */
void pl_generate_about(struct pl_generator *g, struct pl_case *c, size_t at, enum pl_kind kind);
/* What a scenario wants of the bus, the case has from now on. */
void pl_generate_suit(struct pl_case *c, const struct pl_scenario *scenario);
/* Put a scenario that aims at this clause somewhere, and set the reference peer as it may need it.
 * False: there is none, or no room. */
bool pl_generate_scenario(struct pl_generator *g, struct pl_case *c, const char *clause);
/* The same in a case without actions: scenario number `turn` of the role's, counted round and
 * round, each time with its next choice, and for one of its clauses, which is returned. NULL: there
 * are no scenarios. */
const char *pl_generate_turn(struct pl_generator *g, struct pl_case *c, uint64_t turn);
/* The peer that is tested is to have these options of a mutant ("NAME=VALUE", NULL ends; NULL:
 * none) and its type. False, and nothing is changed: a case cannot say that. */
bool pl_generate_options(struct pl_case *c, const char *const *options);
/* Draw the case's head anew: message size, transport features, device type, seed. */
void pl_generate_head(struct pl_generator *g, struct pl_case *c);

#endif
