#include "control/control.h"

#include "control/admin_commands.h"
#include "control/status_answers.h"

const struct gate_control control = {.commands = &admin_commands, .answers = &status_answers};
