/* `plumbline selftest`: not here yet. */
#include "cli/cli.h"

int pl_cmd_selftest(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    return pl_cli_error(PL_EXIT_INTERNAL, "not built yet");
}
