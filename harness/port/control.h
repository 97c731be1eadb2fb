/* The control requests of the bindings (section 5): their names, words and shell commands. */
#ifndef PL_PORT_CONTROL_H
#define PL_PORT_CONTROL_H

#include <stddef.h>

/* One request: its name and the names of its words, as {dev} in a command stands for them. */
struct pl_control_request {
    const char *name;
    const char *words[4]; /* NULL ends */
};
extern const struct pl_control_request pl_control_requests[]; /* NULL-named entry ends */

/* Find a request by name; NULL where there is none. */
const struct pl_control_request *pl_control_request_find(const char *name);
/*
 * Check a command of a profile: the request is known and every {word} is one of its words. 0, or
 * -EINVAL with a sentence in error.
 */
int pl_control_command_check(const char *name, const char *command, char *error, size_t cap);
/*
 * Put a control line's words into a command's places. The words are letters and digits only, so
 * that none means anything to the shell. The command (to be freed), or NULL with a sentence in
 * error.
 */
char *pl_control_command_fill(const char *command, const char *line, char *error, size_t cap);

#endif
