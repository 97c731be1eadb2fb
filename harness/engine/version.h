/* The tool's version. */
#ifndef PL_VERSION
#define PL_VERSION "0.1.0"
#endif
