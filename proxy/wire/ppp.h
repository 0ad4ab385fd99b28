/* ppp: an observer of both directions of a PPP link that is being set up. It follows the login in
 * LCP, PAP, CHAP and EAP (PROTOCOL.md 5) through retransmissions, retries, changes of password and
 * restarts of LCP, and it decides which frames of the client may reach the server: a frame of a
 * login is forwarded only if it answers the server's latest question as the observer has recorded
 * it. So the server receives exactly the login that the observer knows. */
#ifndef SSTPGATE_WIRE_PPP_H
#define SSTPGATE_WIRE_PPP_H

#include "wire/ppp_observer.h"

/* Observes one frame that ppp_frame_read has read. Returns whether it may be forwarded; every frame
 * of the server may, except PPP_UNJUDGED. A frame that may not be forwarded has changed nothing in
 * *o. */
enum ppp_verdict ppp_observe(struct ppp_observer *o, enum ppp_from from,
                             const struct ppp_frame *frame);

/* Returns whether the server has accepted the client: the login that the server requested has ended
 * with a Success, or the server has requested none. */
bool ppp_is_content(const struct ppp_observer *o);

/* Counts an undecided login as a failure, because the server ends LCP or either side ends the call;
 * the form of a refusal is irrelevant. A no-op if no login is undecided, or the client has sent
 * only its name. */
void ppp_server_ends(struct ppp_observer *o);

/* Counts an authentication from the client that cannot be read as a failed login although no server
 * gets it, so that a guess costs the same in any form. */
void ppp_unreadable_login(struct ppp_observer *o);

/* Returns the proof of the client's answer to the server's latest question, as ppp_login; empty: no
 * answer yet, or the method has no proof. Valid until o is used again. */
struct span ppp_proof(const struct ppp_observer *o);

/* Finds the parts of the client's authentication in a frame that the server passes on to RADIUS.
 * user: the name in the frame; empty for most of EAP. proof: bytes that no other login repeats by
 * chance: an NT-Response, the response of CHAP-MD5, or the whole EAP packet; empty for PAP. False:
 * the frame is neither a response nor a PAP request. */
bool ppp_login(struct span frame, struct span *user, struct span *proof);

#endif
