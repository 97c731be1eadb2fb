/* Fuzz target: the reference driver, faithful or with one rule broken. */
#define ROLE "driver"
#include "reference.h"
