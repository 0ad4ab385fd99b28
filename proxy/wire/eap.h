/* eap: one EAP packet (RFC 3748 4): the fields by which the gate matches a login in PPP with the
 * same login in RADIUS. A VPN server passes EAP packets between the two unchanged, except for
 * identifiers (PROTOCOL.md 5.8). */
#ifndef SSTPGATE_WIRE_EAP_H
#define SSTPGATE_WIRE_EAP_H

#include "base/span.h"

struct eap_packet {
    bool request;            /* a Request, from the server; otherwise a Response, from the client */
    bool identity;           /* Type 1 */
    bool accepted;           /* a Request with EAP-MSCHAPv2's Success, which accepts a Response */
    struct span whole;       /* without padding after the packet's length */
    struct span data;        /* from the type on */
    struct span nt_response; /* of a Response with EAP-MSCHAPv2's Response or Change-Password;
                                empty: none */
};

/* Reads a whole packet at the start of octets. False: the packet is neither a Request nor a
 * Response, has no type, or is longer than octets. */
bool eap_parse(struct span octets, struct eap_packet *out);

/* Finds the EAP packet in a PPP frame with or without FF 03. False: the frame carries another
 * protocol. */
bool eap_of_frame(struct span frame, struct span *packet);

#endif
