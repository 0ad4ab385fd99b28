/* echo: a ping, ICMP's echo (RFC 792) in an IPv4 packet. Pure. */
#ifndef SSTPGATE_CLIENT_ECHO_H
#define SSTPGATE_CLIENT_ECHO_H

#include "base/span.h"

enum { ECHO_IP = 4, ECHO_LEN = 20 + 8 + 8 };

struct echo {
    uint8_t source[ECHO_IP], target[ECHO_IP];
    uint16_t id, sequence;
};

/* Writes the packet of an echo request. */
void echo_build(const struct echo *e, uint8_t out[ECHO_LEN]);

/* Reads the reply to such a request: its source is the target of the request. False: another
 * packet, or one with a wrong checksum. */
bool echo_parse_reply(struct span packet, struct echo *out);

#endif
