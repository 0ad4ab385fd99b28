/* config_type_server: the kinds of value that say which server gets a call: servers with their
 * words, HTTP statuses, and lines that choose a backend. */
#ifndef SSTPGATE_CONFIG_CONFIG_TYPE_SERVER_H
#define SSTPGATE_CONFIG_CONFIG_TYPE_SERVER_H

#include "config/config_type.h"

/* `at` is the whole backend. What is not written is 0 in a backends_server: config_finish knows the
 * defaults. */
extern const struct config_type config_type_server;
extern const struct config_type config_type_statuses; /* struct config_statuses */
/* `at` is the whole listener. */
extern const struct config_type config_type_route;

#endif
