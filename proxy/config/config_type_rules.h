/* config_type_rules: values that are rules, all of which go into one struct rules. */
#ifndef SSTPGATE_CONFIG_CONFIG_TYPE_RULES_H
#define SSTPGATE_CONFIG_CONFIG_TYPE_RULES_H

#include "config/config_type.h"

extern const struct config_type config_type_allow, config_type_deny;
extern const struct config_type config_type_allow_file, config_type_deny_file;

#endif
