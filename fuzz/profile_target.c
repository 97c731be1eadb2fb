/* Fuzz target: text is read as the profile of an implementation, and made a port's options. */
#include "input.h"

#include <errno.h>

#include "engine/profile.h"
#include "port/control.h"

enum { ERROR = 512 };

static void check_control(const struct pl_profile *profile)
{
    char error[ERROR] = "";

    for (char **c = profile->control_commands; c && c[0]; c += 2)
        fuzz_hold(pl_control_command_check(c[0], c[1], error, sizeof(error)) == 0,
                  "a command of a profile is a good one");
}

static void check_profile(const struct pl_profile *profile)
{
    struct pl_port_options options = {0};
    char error[ERROR] = "";

    fuzz_hold(!!profile->exec + !!profile->connect + !!profile->listen <= 1, "one way at most");
    fuzz_hold(profile->spec && pl_role_name(profile->role), "a draft and a role");
    if (profile->connect)
        fuzz_hold(pl_address_check(profile->connect, false, error, sizeof(error)) == 0,
                  "an address to connect to");
    if (profile->listen)
        fuzz_hold(pl_address_check(profile->listen, true, error, sizeof(error)) == 0,
                  "an address to listen at");
    check_control(profile);
    pl_profile_port_options(profile, &options);
    fuzz_hold(options.spec == profile->spec, "the port's draft");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pl_profile profile;
    char error[ERROR] = "";
    int code = pl_profile_parse("input", data, size, NULL, &profile, error, sizeof(error));

    if (code == 0) {
        check_profile(&profile);
        pl_profile_free(&profile);
        return 0;
    }
    fuzz_hold(code == -EINVAL, "a refusal");
    fuzz_hold(error[0] && strlen(error) < sizeof(error) && !strchr(error, '\n'), "one sentence");
    return 0;
}
