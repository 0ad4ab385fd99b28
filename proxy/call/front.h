/* front: what the gate does between the backend's 200 and a tunnel that both ends want: Call
 * Connected, and a server that is content with who the client is. It watches SSTP's own messages
 * and PPP's authentication go by, checks the client's crypto-binding and makes it again for the
 * backend. The only place that holds challenges, responses and keys; front_free wipes them. */
#ifndef SSTPGATE_CALL_FRONT_H
#define SSTPGATE_CALL_FRONT_H

#include "call/reason.h"
#include "call/session.h"
#include "call/site.h"

struct front;
struct keyring;
struct leaves;

enum front_verdict {
    FRONT_PASS,      /* send the packet on as it is */
    FRONT_REPLACE,   /* send answer.octets instead */
    FRONT_DROP,      /* do not send it, go on */
    FRONT_REFUSE,    /* end the call for answer.reason; the packet is not sent */
    FRONT_CONNECTED, /* send answer.octets, and the tunnel is up: front's work is done */
    FRONT_WAIT,      /* Call Connected stays here until its key comes: see front_try_key */
    FRONT_HOLD, /* of the client: it may not pass what waits; it is to be given again afterwards */
};

struct front_answer {
    enum front_verdict verdict;
    enum reason reason;
    struct span octets; /* valid until the next call here */
};

/* client_leaf: of the certificate this client was shown. backend_leaf: what the backend takes for
 * its own. Both are copied. session is written to (user, method, binding) and logged with; it and
 * backend must outlive front. */
struct front *front_new(const struct site_backend *backend, const struct binding_leaf *client_leaf,
                        const struct binding_leaf *backend_leaf, struct session *session);

/* Returns whether the call may go on with this user. Called each time PPP shows another user,
 * before the frame that shows it is forwarded; and without a user (n == 0) if the user is unknown,
 * or the authentication did not prove the name, when an authentication has ended or Call Connected
 * has arrived. Never called without front_ask_user. */
typedef bool (*front_user_allowed)(void *arg, struct span user);
void front_ask_user(struct front *f, front_user_allowed allowed, void *arg);

/* For the log: whose certificate was it that the client saw? leaves must outlive front. */
void front_use_leaves(struct front *f, struct leaves *leaves);

/* Where the backend's server asks a RADIUS server: its keys are candidates too, Call Connected
 * waits for them, and the keyring is told where logins come from. keyring must outlive front. */
void front_use_keyring(struct front *f, struct keyring *keyring);

void front_free(struct front *f);

/* packet: the result of sstp_parse; octets: the same packet whole; now_ms: worker_now. The answer
 * carries PPP in the canonical form of wire/ppp_frame.h, and a frame of the client only if
 * ppp_observe says PPP_FORWARD. */
struct front_answer front_from_client(struct front *f, const struct sstp_packet *packet,
                                      struct span octets, uint64_t now_ms);
struct front_answer front_from_backend(struct front *f, const struct sstp_packet *packet,
                                       struct span octets);

/* After FRONT_WAIT: keys have come, or (late) their time is over. The answer is about the Call
 * Connected that waited; FRONT_WAIT once more, if not late: it was none of these. */
struct front_answer front_try_key(struct front *f, uint64_t now_ms, bool late);

/* The client or the server ends the call: a login that the client has begun and the server has not
 * accepted counts as a failure. A no-op once the server is content. */
void front_server_ends(struct front *f);

/* Returns a hash of the client's latest LCP Configure-Request, 0 if there was none. A late
 * retransmission of that request is not a new login. */
uint64_t front_lcp_request(const struct front *f);

/* Hashes LCP's Configure-Request as front_lcp_request does; never 0. */
uint64_t front_hash_lcp(struct span request);

/* Returns whether this message may occur once the call is connected. Both sides may send the same
 * messages ([MS-SSTP] 3.2.5.3, 3.3.5.2). */
bool front_in_place(const struct sstp_packet *packet);

#endif
