/* `plumbline replay`: not here yet. */
#include "cli/cli.h"

int pl_cmd_replay(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    return pl_cli_error(PL_EXIT_INTERNAL, "not built yet");
}
