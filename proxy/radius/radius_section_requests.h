/* radius_section_requests: the requests of a section's clients: duplicates, replays, the choice of
 * a server, and sending. The RADIUS thread only. */
#ifndef SSTPGATE_RADIUS_RADIUS_SECTION_REQUESTS_H
#define SSTPGATE_RADIUS_RADIUS_SECTION_REQUESTS_H

#include <stdbool.h>

#include "binding/radius_crypt.h"

struct radius_section;
struct udp;
struct udp_path;

/* A packet of a client, with its way back. */
struct radius_arrival {
    struct radius_packet packet;
    struct udp *udp;
    const struct udp_path *path;
    bool accounting; /* came to accounting-listen */
};

/* Forwards a request to a server, sends it again if it is a retransmission, or answers it
 * (Status-Server). The packet has been verified. */
void radius_section_request(struct radius_section *s, const struct radius_arrival *a);

#endif
