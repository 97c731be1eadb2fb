/* An implementation linked into this process: the table of functions that the in-process port and
 * `plumbline serve` drive, and that the reference peers offer. It is public: plumbline.h. */
#ifndef PL_ENDPOINT_H
#define PL_ENDPOINT_H

#include "plumbline.h"

#endif
