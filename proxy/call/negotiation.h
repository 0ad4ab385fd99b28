/* negotiation: the phase from the backend's 200 to a tunnel that is up, that is, Call Connected has
 * arrived and the server has accepted the user. Follows SSTP's own messages and PPP's
 * authentication, checks the client's crypto-binding and re-signs it for the backend. The only
 * place that holds challenges, responses and keys; negotiation_free wipes them. */
#ifndef SSTPGATE_CALL_NEGOTIATION_H
#define SSTPGATE_CALL_NEGOTIATION_H

#include <time.h>

#include "call/negotiation_answer.h"
#include "call/record.h"
#include "site/site.h"

struct negotiation;
struct keyring;
struct leaves;
struct worker;

/* Creates a negotiation. client_leaf: the certificate that this client was shown. backend_leaf:
 * the certificate that the backend's server takes for its own. Both are copied. record receives
 * user, method and binding, and begins the log lines; record and backend must outlive the
 * negotiation. */
struct negotiation *negotiation_new(const struct site_backend *backend,
                                    const struct binding_leaf *client_leaf,
                                    const struct binding_leaf *backend_leaf, struct record *record);

/* Sets the function that decides about users. Without it every user is allowed. */
void negotiation_ask_user(struct negotiation *n, negotiation_user_allowed allowed, void *arg);

/* Sets the wall clock. A user whose lines of the users file have all expired is refused
 * (user-expired), where the binding is re-signed, until the tunnel is up. Without a clock no line
 * expires. */
void negotiation_use_clock(struct negotiation *n, time_t (*clock)(void));

/* Sets the leaves that name the owner of the certificate that the client saw, for the log.
 * leaves must outlive the negotiation. */
void negotiation_use_leaves(struct negotiation *n, struct leaves *leaves);

/* Sets the keyring. If the backend's server asks a RADIUS server through the gate, the keys of
 * RADIUS become candidates, Call Connected waits for them, and the keyring gets notes of the
 * clients' logins. keyring must outlive the negotiation. */
void negotiation_use_keyring(struct negotiation *n, struct keyring *keyring);

void negotiation_free(struct negotiation *n);

/* Judge one packet. packet: the result of sstp_parse. octets: the same packet, whole. now_ms:
 * worker_now. The answer carries PPP in the canonical form of wire/ppp_frame.h, and a frame of the
 * client only if ppp_observe returns PPP_FORWARD. */
struct negotiation_answer negotiation_from_client(struct negotiation *n,
                                                  const struct sstp_packet *packet,
                                                  struct span octets, uint64_t now_ms);
struct negotiation_answer negotiation_from_backend(struct negotiation *n,
                                                   const struct sstp_packet *packet,
                                                   struct span octets, uint64_t now_ms);

/* Judges the Call Connected of NEGOTIATION_WAIT again, because keys have arrived or (late) no more
 * will arrive. NEGOTIATION_WAIT again: not late, and no known key made its MAC. */
struct negotiation_answer negotiation_try_key(struct negotiation *n, uint64_t now_ms, bool late);

/* Asks the other gates for the outcome that NEGOTIATION_ASK needs. on_answer is called once, after
 * at most shared-timeout, in the thread of `from`, unless the negotiation is freed before. After
 * on_answer, or if this function returns false, call negotiation_ask_again with answer.octets,
 * which judges them without another question. */
bool negotiation_ask(struct negotiation *n, struct worker *from, void (*on_answer)(void *arg),
                     void *arg);
struct negotiation_answer negotiation_ask_again(struct negotiation *n, struct span octets,
                                                uint64_t now_ms);

/* Handles the end of the call by the client or the server: a login that the client has begun
 * and the server has not accepted counts as a failure, unless RADIUS is silent. A no-op once the
 * server has accepted the user. */
void negotiation_server_ends(struct negotiation *n, uint64_t now_ms);

/* Handles the end of the call by the gate: a refused login that waits for the verdict of another
 * gate is judged by what is known. */
void negotiation_gate_ends(struct negotiation *n, uint64_t now_ms);

/* Returns whether the client's latest login has no verdict because RADIUS is silent: no answer
 * passed the gate, or the server reports it. */
bool negotiation_radius_is_silent(const struct negotiation *n, uint64_t now_ms);

/* Returns a hash of the client's latest LCP Configure-Request; 0: none was sent. A late
 * retransmission of that request is not a new login. */
uint64_t negotiation_lcp_request(const struct negotiation *n);

/* Hashes LCP's Configure-Request as negotiation_lcp_request does; never 0. */
uint64_t negotiation_hash_lcp(struct span request);

/* Returns whether this message may occur once the call is connected. Both sides may send the same
 * messages ([MS-SSTP] 3.2.5.3, 3.3.5.2). */
bool negotiation_in_place(const struct sstp_packet *packet);

#endif
