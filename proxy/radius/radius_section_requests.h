/* radius_section_requests: handles the requests of a section's clients: finds duplicates and
 * replays, chooses a server, and sends. The RADIUS thread only. */
#ifndef SSTPGATE_RADIUS_RADIUS_SECTION_REQUESTS_H
#define SSTPGATE_RADIUS_RADIUS_SECTION_REQUESTS_H

#include <stdbool.h>

#include "binding/radius_crypt.h"

struct radius_section;
struct udp;
struct udp_path;

/* A packet of a client, with the socket and path for the answer. */
struct radius_arrival {
    struct radius_packet packet;
    struct udp *udp;
    const struct udp_path *path;
    bool accounting; /* it arrived at accounting-listen */
};

/* Forwards a new request to a server, repeats the request or its answer if the client has
 * retransmitted, or answers Status-Server itself. The packet has been verified. */
void radius_section_request(struct radius_section *s, const struct radius_arrival *a);

#endif
