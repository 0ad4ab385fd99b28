/* ppp_chap: CHAP with MD5 and MS-CHAP (RFC 1994, 2433, 2759), in frames of their own and inside
 * EAP-MSCHAPv2. eap: the packet is inside EAP, whose own packets have the identifiers, the
 * retransmissions and the result. */
#ifndef SSTPGATE_WIRE_PPP_CHAP_H
#define SSTPGATE_WIRE_PPP_CHAP_H

#include "wire/ppp_observer.h"

/* Observes a packet of the server: Challenge, Success or Failure. */
void ppp_chap_server(struct ppp_observer *o, const struct ppp_frame *f, bool eap);

/* Observes a packet of the client: a Response or a change of password. Returns whether it may be
 * forwarded. */
enum ppp_verdict ppp_chap_client(struct ppp_observer *o, const struct ppp_frame *f, bool eap);

/* Finds the user and the proof in a packet of the client, as ppp_login. False: the packet has no
 * response. */
bool ppp_chap_login(const struct ppp_frame *f, struct span *user, struct span *proof);

#endif
