/* config_type_shared: types of the keys about the store of several gates. */
#ifndef SSTPGATE_CONFIG_CONFIG_TYPE_SHARED_H
#define SSTPGATE_CONFIG_CONFIG_TYPE_SHARED_H

#include "config/config_type.h"

/* struct config_stores */
extern const struct config_type config_type_stores;
/* Fields: char * */
extern const struct config_type config_type_shared_prefix, config_type_shared_name;
/* struct config_pins */
extern const struct config_type config_type_shared_pin;

#endif
