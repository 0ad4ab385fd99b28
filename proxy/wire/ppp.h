/* ppp: an observer of both directions of a PPP link that is being set up. It follows the login in
 * LCP, PAP, CHAP and EAP (PROTOCOL.md 5) through retransmissions, retries, changes of password and
 * restarts of LCP, and it decides which frames of the client may reach the server: a frame of a
 * login is forwarded only if it answers the server's latest question as the observer has recorded
 * it. So the server receives exactly the login that the observer knows.
 *
 * The state holds secrets (challenges and responses): the owner wipes the struct when the call is
 * connected or closed. No pointers into frames are kept, nothing is allocated. */
#ifndef SSTPGATE_WIRE_PPP_H
#define SSTPGATE_WIRE_PPP_H

#include "base/span.h"
#include "wire/ppp_frame.h"

enum ppp_method {
    PPP_METHOD_NONE = 0, /* no method was agreed or used yet */
    PPP_METHOD_PAP,
    PPP_METHOD_CHAP_MD5,
    PPP_METHOD_MSCHAPV1,
    PPP_METHOD_MSCHAPV2,
    PPP_METHOD_EAP, /* EAP with an unknown type, or a type that is not listed below */
    PPP_METHOD_EAP_MD5,
    PPP_METHOD_EAP_TLS,
    PPP_METHOD_EAP_PEAP,
    PPP_METHOD_EAP_MSCHAPV2,
};

/* A refusal without a number; MS-CHAP's own numbers (E=) are 646 and above. E=930 is Windows'
 * number for an authentication server that does not answer (PROTOCOL.md 5.3): no failed login. */
enum { PPP_REFUSED = 1, PPP_REFUSED_UNJUDGED = 930 };

enum ppp_result { PPP_RESULT_PENDING = 0, PPP_RESULT_SUCCESS, PPP_RESULT_FAILURE };

enum { PPP_USER_MAX = 256, PPP_NT_RESPONSE = 24, PPP_SERVER_ANSWER = 20, PPP_ANSWER_MAX = 1536 };

/* One answer to an MS-CHAP challenge, v1 or v2, inside EAP or not. */
struct ppp_mschap {
    bool seen;
    /* The observer's user at the time of this answer, because a key that is made of this answer and
     * another user's hash-hash proves nothing. */
    uint16_t user_len;
    uint8_t user[PPP_USER_MAX];
    bool v1;               /* MS-CHAPv1: challenge is 8 bytes, peer_challenge is not used */
    uint8_t id;            /* CHAP identifier (EAP: the MS-CHAPv2 id) */
    uint8_t challenge[16]; /* the server's; after a Failure with R=1 or E=648 its C= */
    uint8_t peer_challenge[16];
    uint8_t nt_response[PPP_NT_RESPONSE];
    /* In `confirmed`, v2: the Success had an S=, the server's proof that it knows the password. */
    bool answered;
    uint8_t server_answer[PPP_SERVER_ANSWER];
};

struct ppp_observer {
    /* for the owner */
    enum ppp_method method;      /* agreed in LCP, later that of the client's latest answer */
    enum ppp_result result;      /* with EAP, only EAP's own Success or Failure counts */
    uint16_t user_len;           /* bytes in user; 0: unknown */
    uint8_t user[PPP_USER_MAX];  /* as sent, without control characters, no NUL added; a claim
                                    unless the method proves it: PEAP and EAP-TLS do not */
    struct ppp_mschap last;      /* the client's latest answer that has an NT-Response */
    struct ppp_mschap confirmed; /* the latest answer that the server accepted with Success */
    unsigned failures;           /* number of logins that the server refused */
    unsigned refusal; /* the server's latest word about a login was a refusal: its number in
                         MS-CHAP (E=691: wrong password), otherwise PPP_REFUSED; 0: it was not */
    bool no_zero_key; /* the server has sent a CHAP Challenge for a method other than CHAP-MD5, so
                         the client has a key, and makes its MAC with it, not with zeros; until LCP
                         starts over */

    /* for the observer itself */
    enum ppp_method lcp_method; /* the method agreed in LCP; NONE: none, or an unknown one */
    bool auth_seen;             /* an authentication frame has come since LCP was last negotiated */
    uint16_t asked;   /* protocol of the server's latest question (CHAP, EAP), or PAP if LCP has
                         agreed on it; 0: the server has not requested a login */
    bool user_named;  /* `user` is the name in the answer to the server's latest question */
    bool login_named; /* the login has a name, `user`, until its refusal or the restart of LCP */
    bool undecided;   /* the server has not yet accepted or refused the client's login */
    bool proof_given; /* the login has a proof, not only a name; in EAP until EAP's own result */
    /* The packet that answered the server's latest question; none for PAP, because the packet
     * contains the password. A second answer is forwarded only if it is the same. proof: the part
     * of the packet that no other login repeats by chance, see ppp_login. */
    bool answer_given;
    uint16_t answer_len, proof_from, proof_len;
    uint8_t answer[PPP_ANSWER_MAX];
    bool challenge_seen; /* a response to a Challenge, or to a Failure with R=1, is expected */
    bool retry;          /* the expected response follows a Failure and may have any identifier */
    bool expired; /* the Failure had E=648: a change of password of the same user is expected */
    uint8_t challenge_id;
    uint8_t challenge_len; /* 16: v2 or MD5; 8: v1; 0: other, no MS-CHAP can follow */
    uint8_t challenge[16];
    bool response_seen; /* a Success with response_id is accepted */
    uint8_t response_id;
    uint8_t eap_id; /* identifier and type of the server's latest EAP Request */
    uint8_t eap_type;
    bool lcp_agreed;  /* a Configure-Request of the server has taken effect */
    bool lcp_pending; /* the server's Configure-Request waits for the client's Ack */
    uint8_t lcp_id;
    uint16_t lcp_auth; /* protocol of option 3 in the server's latest Configure-Request; 0: none */
    uint8_t lcp_algorithm; /* the byte behind it, where there is one (CHAP) */
};

/* The decision on a frame. Frames of the server get PPP_FORWARD or PPP_UNJUDGED, frames of the
 * client any but PPP_UNJUDGED. */
enum ppp_verdict {
    PPP_FORWARD,
    PPP_DROP, /* it answers no question of the server */
    /* An authentication whose content is truncated: a lax server would read it as an answer. */
    PPP_MALFORMED,
    /* A request that the server authenticate itself (LCP's option 3): some servers take it for
     * their own choice of the client's method. */
    PPP_AUTH_REQUEST,
    /* A name that is empty or too long, has control characters, or a blank at either end: servers
     * cut and trim such names in different ways. */
    PPP_BAD_NAME,
    /* The server starts LCP over before it has accepted or refused a login, so the observer cannot
     * know to which login the next Success belongs. */
    PPP_UNJUDGED,
};

/* Initializes the observer of a link on which no frame was sent yet. */
void ppp_observer_init(struct ppp_observer *o);

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

/* Returns the method that LCP agrees on with an authentication option: its protocol, and the byte
 * behind it (CHAP only). NONE: no method that is known here. */
enum ppp_method ppp_method_of(uint16_t protocol, uint8_t algorithm);

/* Returns a name for the log: "ms-chapv2", "eap-mschapv2", "pap", "none". */
const char *ppp_method_name(enum ppp_method m);

/* Returns whether the method gives both ends keys, so that a binding made with zeros is weak. */
bool ppp_method_has_keys(enum ppp_method m);

#endif
