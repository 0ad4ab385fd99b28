/* config_type_rules: types of rules. Fields: struct rules, which the four keys share. */
#ifndef SSTPGATE_CONFIG_CONFIG_TYPE_RULES_H
#define SSTPGATE_CONFIG_CONFIG_TYPE_RULES_H

#include "config/config_type.h"

extern const struct config_type config_type_allow, config_type_deny;
extern const struct config_type config_type_allow_file, config_type_deny_file;

#endif
