/* config_type_net: types of names, addresses and networks. */
#ifndef SSTPGATE_CONFIG_CONFIG_TYPE_NET_H
#define SSTPGATE_CONFIG_CONFIG_TYPE_NET_H

#include "base/value.h"
#include "config/config_type.h"

/* Fields: char * */
extern const struct config_type config_type_socket, config_type_group, config_type_host,
    config_type_server_name, config_type_authority, config_type_interface, config_type_url_path;
/* Fields: struct config_strings; cidrs; config_places and config_hosts, whose default port is
 * the min of the key. */
extern const struct config_type config_type_hosts, config_type_cidrs;
extern const struct config_type config_type_places, config_type_hosts_and_ports;
/* Reads HOST, HOST:PORT or [IPv6]:PORT; *port is 0 without a port. Returns false after reporting
 * a problem. */
bool config_type_read_host_port(struct config_input *in, const struct config_key *k,
                                const char *text, char host[VALUE_HOST_SIZE], uint16_t *port);

/* struct addr; family 0: not set */
extern const struct config_type config_type_address;

/* struct config_sockets */
extern const struct config_type config_type_sockets;

/* at: the whole listener. */
extern const struct config_type config_type_listen, config_type_listen_http;

#endif
