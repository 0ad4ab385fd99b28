#include "control/control.h"

#include "control/admin_commands.h"
#include "control/inquiry.h"
#include "control/status_answers.h"

const struct gate_control control = {.commands = &admin_commands,
                                     .answers = &status_answers,
                                     .on_question = inquiry_on_question,
                                     .on_answers = inquiry_on_answers};
