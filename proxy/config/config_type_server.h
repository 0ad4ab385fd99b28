/* config_type_server: types of servers with their options, HTTP statuses, and use-backend lines. */
#ifndef SSTPGATE_CONFIG_CONFIG_TYPE_SERVER_H
#define SSTPGATE_CONFIG_CONFIG_TYPE_SERVER_H

#include "config/config_type.h"

/* at: the whole backend. Options that are not set are 0 in a backends_server; config_finish()
 * sets the defaults. */
extern const struct config_type config_type_server;
extern const struct config_type config_type_statuses; /* field: struct config_statuses */
/* at: the whole listener. */
extern const struct config_type config_type_route;

#endif
