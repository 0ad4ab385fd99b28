/* negotiation: what the gate does between the backend's 200 and a tunnel that both ends want: Call
 * Connected, and a server that is content with who the client is. It watches SSTP's own messages
 * and PPP's authentication go by, checks the client's crypto-binding and makes it again for the
 * backend. The only place that holds challenges, responses and keys; front_free wipes them. */
#ifndef SSTPGATE_CALL_NEGOTIATION_H
#define SSTPGATE_CALL_NEGOTIATION_H

#include "call/reason.h"
#include "call/record.h"
#include "site/site.h"

struct negotiation;
struct keyring;
struct leaves;

enum negotiation_verdict {
    NEGOTIATION_PASS,      /* send the packet on as it is */
    NEGOTIATION_REPLACE,   /* send answer.octets instead */
    NEGOTIATION_DROP,      /* do not send it, go on */
    NEGOTIATION_REFUSE,    /* end the call for answer.reason; the packet is not sent */
    NEGOTIATION_CONNECTED, /* send answer.octets, and the tunnel is up: the negotiation's work is
                              done */
    NEGOTIATION_WAIT,      /* Call Connected stays here until its key comes: see front_try_key */
    NEGOTIATION_HOLD,      /* of the client: it may not pass what waits; it is to be given again
                              afterwards */
};

struct negotiation_answer {
    enum negotiation_verdict verdict;
    enum reason reason;
    struct span octets; /* valid until the next call here */
};

/* client_leaf: of the certificate this client was shown. backend_leaf: what the backend takes for
 * its own. Both are copied. record is written to (user, method, binding) and logged with; it and
 * backend must outlive the negotiation. */
struct negotiation *negotiation_new(const struct site_backend *backend,
                                    const struct binding_leaf *client_leaf,
                                    const struct binding_leaf *backend_leaf, struct record *record);

/* Returns whether the call may go on with this user. Called each time PPP shows another user,
 * before the frame that shows it is forwarded; and without a user (n == 0) if the user is unknown,
 * or the authentication did not prove the name, when an authentication has ended or Call Connected
 * has arrived. Never called without negotiation_ask_user. */
typedef bool (*negotiation_user_allowed)(void *arg, struct span user);
void negotiation_ask_user(struct negotiation *n, negotiation_user_allowed allowed, void *arg);

/* For the log: whose certificate was it that the client saw? leaves must outlive the negotiation.
 */
void negotiation_use_leaves(struct negotiation *n, struct leaves *leaves);

/* Where the backend's server asks a RADIUS server: its keys are candidates too, Call Connected
 * waits for them, and the keyring is told where logins come from. keyring must outlive the
 * negotiation. */
void negotiation_use_keyring(struct negotiation *n, struct keyring *keyring);

void negotiation_free(struct negotiation *n);

/* packet: the result of sstp_parse; octets: the same packet whole; now_ms: worker_now. The answer
 * carries PPP in the canonical form of wire/ppp_frame.h, and a frame of the client only if
 * ppp_observe says PPP_FORWARD. */
struct negotiation_answer negotiation_from_client(struct negotiation *n,
                                                  const struct sstp_packet *packet,
                                                  struct span octets, uint64_t now_ms);
struct negotiation_answer negotiation_from_backend(struct negotiation *n,
                                                   const struct sstp_packet *packet,
                                                   struct span octets, uint64_t now_ms);

/* After NEGOTIATION_WAIT: keys have come, or (late) their time is over. The answer is about the
 * Call Connected that waited; NEGOTIATION_WAIT once more, if not late: it was none of these. */
struct negotiation_answer negotiation_try_key(struct negotiation *n, uint64_t now_ms, bool late);

/* The client or the server ends the call: a login that the client has begun and the server has not
 * accepted counts as a failure. A no-op once the server is content. */
void negotiation_server_ends(struct negotiation *n);

/* Returns a hash of the client's latest LCP Configure-Request, 0 if there was none. A late
 * retransmission of that request is not a new login. */
uint64_t negotiation_lcp_request(const struct negotiation *n);

/* Hashes LCP's Configure-Request as negotiation_lcp_request does; never 0. */
uint64_t negotiation_hash_lcp(struct span request);

/* Returns whether this message may occur once the call is connected. Both sides may send the same
 * messages ([MS-SSTP] 3.2.5.3, 3.3.5.2). */
bool negotiation_in_place(const struct sstp_packet *packet);

#endif
