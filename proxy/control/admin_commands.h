/* admin_commands: the commands of `sstpgate ctl`, as the running program executes them. Main
 * thread. */
#ifndef SSTPGATE_CONTROL_ADMIN_COMMANDS_H
#define SSTPGATE_CONTROL_ADMIN_COMMANDS_H

#include "gate/admin.h"

/* arg: the struct gate. */
extern const struct admin_ops admin_commands;

#endif
