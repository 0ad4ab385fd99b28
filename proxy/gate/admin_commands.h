/* admin_commands: what `sstpgate ctl` may ask of the running program. Main thread. */
#ifndef SSTPGATE_GATE_ADMIN_COMMANDS_H
#define SSTPGATE_GATE_ADMIN_COMMANDS_H

#include "gate/admin.h"

/* arg: the struct server. */
extern const struct admin_ops admin_commands;

#endif
