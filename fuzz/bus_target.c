/* Fuzz target: the reference bus, faithful or with one rule broken. */
#define ROLE "bus"
#include "reference.h"
