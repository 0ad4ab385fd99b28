/* ppp_eap: EAP as the method of a PPP link (RFC 3748 4), with EAP-MD5 and EAP-MSCHAPv2 inside. */
#ifndef SSTPGATE_WIRE_PPP_EAP_H
#define SSTPGATE_WIRE_PPP_EAP_H

#include "wire/ppp_observer.h"

/* Observes a packet of the server: Request, Success or Failure. */
void ppp_eap_server(struct ppp_observer *o, const struct ppp_frame *f);

/* Observes a Response of the client. Returns whether it may be forwarded. */
enum ppp_verdict ppp_eap_client(struct ppp_observer *o, const struct ppp_frame *f);

#endif
