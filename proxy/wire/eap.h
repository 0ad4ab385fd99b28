/* eap: one EAP packet (RFC 3748 4), as far as the gate tells the logins of PPP and of RADIUS apart
 * by it. EAP crosses the two unchanged, except for identifiers, which a VPN server may choose anew
 * (PROTOCOL.md 5.8). */
#ifndef SSTPGATE_WIRE_EAP_H
#define SSTPGATE_WIRE_EAP_H

#include "base/span.h"

enum { EAP_NT_RESPONSE = 24 };

struct eap_packet {
    bool request;            /* the server's; otherwise a Response, the client's */
    bool identity;           /* Type 1 */
    bool accepted;           /* a Request with EAP-MSCHAPv2's Success: it judges a Response */
    struct span whole;       /* without padding behind the packet's length */
    struct span data;        /* from the type on */
    struct span nt_response; /* of a Response with EAP-MSCHAPv2's Response or Change-Password;
                                empty: it has none */
};

/* Reads a whole packet at the start of octets. False: it is neither a Request nor a Response, has
 * no type, or is longer than octets. */
bool eap_parse(struct span octets, struct eap_packet *out);

/* The EAP packet in a PPP frame with or without FF 03; false: the frame carries another protocol.
 */
bool eap_of_frame(struct span frame, struct span *packet);

#endif
