/* What `plumbline replay` and `plumbline decode` do with entries of a corpus, and with cases. */
#ifndef PL_CLI_ENTRY_H
#define PL_CLI_ENTRY_H

#include "cli/cli.h"

/* Does the file begin as an entry or a case does? False also where it cannot be read. */
bool pl_cli_is_entry(const char *path);
/* Show an entry or a case for people; an exit status. */
int pl_cli_entry_show(const char *path);
/*
 * Run an entry or a case once more and show it: against the IUT that `iut` names, where `live`,
 * else against the role's reference peer, or (mutant, may be NULL) one of its mutants. Findings are
 * an exit status of PL_EXIT_FINDINGS. `quiet`: the last line only.
 */
int pl_cli_entry_replay(const char *path, struct pl_cli_iut *iut, bool live, const char *mutant,
                        bool quiet);

#endif
