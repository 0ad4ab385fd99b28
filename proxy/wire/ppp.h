/* ppp: an observer of both directions of a PPP link that is being set up. It follows the login in
 * LCP, PAP, CHAP and EAP (PROTOCOL.md 5) through retransmissions, retries, changes of password and
 * restarts of LCP, and it decides which frames of the client may reach the server: a frame of a
 * login goes on only if the observer has taken it for an answer to the server's latest question.
 * So the server gets exactly the login that the observer knows.
 *
 * The state holds secrets (challenges and responses): the owner wipes the struct when the call is
 * connected or closed. No pointers into frames are kept, nothing is allocated. */
#ifndef SSTPGATE_WIRE_PPP_H
#define SSTPGATE_WIRE_PPP_H

#include "base/span.h"
#include "wire/ppp_frame.h"

enum ppp_method {
    PPP_METHOD_NONE = 0, /* nothing seen yet */
    PPP_METHOD_PAP,
    PPP_METHOD_CHAP_MD5,
    PPP_METHOD_MSCHAPV1,
    PPP_METHOD_MSCHAPV2,
    PPP_METHOD_EAP, /* EAP, type not known or not one of those below */
    PPP_METHOD_EAP_MD5,
    PPP_METHOD_EAP_TLS,
    PPP_METHOD_EAP_PEAP,
    PPP_METHOD_EAP_MSCHAPV2,
};

enum ppp_result { PPP_RESULT_PENDING = 0, PPP_RESULT_SUCCESS, PPP_RESULT_FAILURE };

enum { PPP_USER_MAX = 256, PPP_NT_RESPONSE = 24, PPP_SERVER_ANSWER = 20, PPP_ANSWER_MAX = 1536 };

/* One answer to an MS-CHAP challenge, v1 or v2, inside EAP or not. */
struct ppp_mschap {
    bool seen;
    /* The observer's user when this answer was given, because a key made of this answer and another
     * user's hash-hash proves nothing. */
    uint16_t user_len;
    uint8_t user[PPP_USER_MAX];
    bool v1;               /* MS-CHAPv1: challenge is 8 octets, peer_challenge is not used */
    uint8_t id;            /* CHAP identifier (EAP: the MS-CHAPv2 id) */
    uint8_t challenge[16]; /* the server's; after a Failure with R=1 or E=648 its C= */
    uint8_t peer_challenge[16];
    uint8_t nt_response[PPP_NT_RESPONSE];
    /* In `confirmed`, v2: the Success had an S=, the server's proof that it knows the password. */
    bool answered;
    uint8_t server_answer[PPP_SERVER_ANSWER];
};

struct ppp_observer {
    /* for the reader */
    enum ppp_method method;      /* agreed in LCP, then that of the client's latest answer */
    enum ppp_result result;      /* with EAP, only EAP's own Success or Failure counts */
    uint16_t user_len;           /* octets in user; 0: not known */
    uint8_t user[PPP_USER_MAX];  /* as sent, without control characters, no NUL added; a claim
                                    unless the method proves it: PEAP and EAP-TLS do not */
    struct ppp_mschap last;      /* the client's latest answer that has an NT-Response */
    struct ppp_mschap confirmed; /* the latest one that the server answered with Success */
    unsigned failures;           /* logins that the server refused, each attempt once */
    bool no_zero_key; /* the server sent a CHAP Challenge, for any method except CHAP-MD5: the
                         client has a key, so its MAC is not made with zeros; until LCP starts over
                       */

    /* for the observer itself */
    enum ppp_method lcp_method; /* agreed in LCP; NONE: no method that is known here */
    bool auth_seen;             /* an authentication frame came since LCP was last negotiated */
    uint16_t asked;  /* protocol of the server's latest question (CHAP, EAP), or PAP when LCP agreed
                        on it; 0: the server has not asked for a login */
    bool user_named; /* user answers the server's latest question */
    bool login_named; /* user holds until the server refuses this login, or LCP starts over */
    bool undecided; /* the client has tried to log in, and the server has not said how that ended */
    bool proof_given; /* ... by more than a name, and inside EAP until EAP's own result */
    /* The packet that answered the server's latest question; none for PAP, because it has the
     * password. A second answer goes on only if it is the same. proof: the part of it that no other
     * login repeats by chance, see ppp_login. */
    bool answer_given;
    uint16_t answer_len, proof_from, proof_len;
    uint8_t answer[PPP_ANSWER_MAX];
    bool challenge_seen; /* a response to a Challenge, or to a Failure with R=1, is expected */
    bool retry;          /* ... to a Failure: the response may have any identifier */
    bool expired;        /* ... with E=648: a change of password of the same user is expected */
    uint8_t challenge_id;
    uint8_t challenge_len; /* 16: v2 or MD5, 8: v1, 0: neither, so no MS-CHAP can follow */
    uint8_t challenge[16];
    bool response_seen; /* Success counts if it carries this identifier */
    uint8_t response_id;
    uint8_t eap_id; /* of the server's latest EAP Request, as is the type */
    uint8_t eap_type;
    bool lcp_agreed;  /* a Configure-Request of the server has taken effect */
    bool lcp_pending; /* the server's Configure-Request waits for the client's Ack */
    uint8_t lcp_id;
    uint16_t lcp_auth; /* protocol of option 3 in the server's latest Configure-Request; 0: none */
    uint8_t lcp_algorithm; /* the octet behind it, where there is one (CHAP) */
};

/* What becomes of a frame. PPP_FORWARD and PPP_UNJUDGED may be of the server, the others are of the
 * client only. */
enum ppp_verdict {
    PPP_FORWARD,
    PPP_DROP, /* it answers nothing that the server has asked */
    /* An authentication whose content is cut short: a lax server would read it as an answer. */
    PPP_MALFORMED,
    /* A request to the server for an authentication (LCP's option 3): some servers take it for
     * their own choice of the client's method. */
    PPP_AUTH_REQUEST,
    /* A name that is empty or too long, has control characters, or a blank at either end: servers
     * cut and trim such names in different ways. */
    PPP_BAD_NAME,
    /* Of the server: it starts LCP over before it has judged a login, so it is unknown to which
     * login its next Success belongs. */
    PPP_UNJUDGED,
};

void ppp_observer_init(struct ppp_observer *o);

/* Observes one frame that ppp_frame_read has read. Returns whether it may go on; of the server
 * every frame may but for PPP_UNJUDGED. A frame that may not go on has changed nothing in *o. */
enum ppp_verdict ppp_observe(struct ppp_observer *o, enum ppp_from from,
                             const struct ppp_frame *frame);

/* Returns whether the server has accepted the client: the login that the server asked for has ended
 * with a Success, or the server has asked for none. */
bool ppp_is_content(const struct ppp_observer *o);

/* The server ends LCP, or either side ends the call. Counts a login that the server has not let in
 * as a failure, whatever the form of its refusal; a no-op where nothing is undecided, or the client
 * has only named itself. */
void ppp_server_ends(struct ppp_observer *o);

/* Counts an authentication from the client that cannot be read as a failed login although no server
 * gets it, so that a guess costs the same in any form. */
void ppp_unreadable_login(struct ppp_observer *o);

/* Returns the proof of the client's answer to the server's latest question, as ppp_login; empty: no
 * answer yet, or the method has no proof. Valid until o is used again. */
struct span ppp_proof(const struct ppp_observer *o);

/* Finds the parts of a frame of the client's authentication that the server passes on to RADIUS.
 * user: the name in the frame; empty for most of EAP. proof: octets that no other login repeats by
 * chance: an NT-Response, the response of CHAP-MD5, or the whole EAP packet; empty for PAP. False:
 * the frame is neither a response nor a PAP request. */
bool ppp_login(struct span frame, struct span *user, struct span *proof);

/* "ms-chapv2", "eap-mschapv2", "pap", "none". */
const char *ppp_method_name(enum ppp_method m);

/* Returns whether the method gives both ends keys, so that a binding made with zeros is weak. */
bool ppp_method_has_keys(enum ppp_method m);

#endif
