/* Fuzz target: the reference device, faithful or with one rule broken. */
#define ROLE "device"
#include "reference.h"
