/* ppp: what somebody who sees both directions of a PPP link can tell about its authentication
 * (PROTOCOL.md 5). An observer: it never alters or answers anything, it follows retransmissions,
 * retries, changes of password and restarts of LCP (the server's Configure-Request after an
 * authentication makes it forget everything), and it never fails: what it cannot make sense of it
 * passes over.
 *
 * Its state holds secrets (challenges and responses): the owner wipes the struct when the call is
 * connected or closed. No pointers into packets are kept, nothing is allocated. */
#ifndef SSTPGATE_WIRE_PPP_H
#define SSTPGATE_WIRE_PPP_H

#include "base/span.h"

enum ppp_from { PPP_FROM_CLIENT, PPP_FROM_SERVER };

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

enum { PPP_USER_MAX = 256, PPP_NT_RESPONSE = 24, PPP_SERVER_ANSWER = 20, PPP_PROOF_MAX = 1536 };

/* One answer to an MS-CHAP challenge, v1 or v2, inside EAP or not. */
struct ppp_mschap {
    bool seen;
    uint16_t user_len; /* as of the observer below, when this answer was given: a key made */
    uint8_t user[PPP_USER_MAX]; /* of it and of somebody else's hash would prove nothing */
    bool v1;                    /* MS-CHAPv1: challenge is 8 octets, peer_challenge is not used */
    uint8_t id;                 /* CHAP identifier (EAP: the MS-CHAPv2 id) */
    uint8_t challenge[16];      /* what the server sent; after a Failure with R=1 or E=648 its C= */
    uint8_t peer_challenge[16];
    uint8_t nt_response[PPP_NT_RESPONSE];
    bool
        answered; /* in `confirmed`, v2: by this proof that the server knows the password, its S= */
    uint8_t server_answer[PPP_SERVER_ANSWER];
};

struct ppp_observer {
    /* for the reader */
    enum ppp_method method;     /* agreed in LCP, then of the latest authentication seen */
    enum ppp_result result;     /* inside EAP it is EAP's own Success or Failure that counts */
    uint16_t user_len;          /* octets in user; 0 when not known, or named in two ways at once */
    uint8_t user[PPP_USER_MAX]; /* as sent, cut at PPP_USER_MAX, any octet possible, no NUL added;
                                   a claim unless the method proves it: PEAP, EAP-TLS do not */
    bool user_named;            /* user answers the server's latest question; user_len 0: two did */
    /* The client's answer to the server's latest question, as ppp_login has it: what the server
     * asks RADIUS about. proof_len 0: none yet, one longer than PPP_PROOF_MAX, or two that differ,
     * of which the server may have taken either. */
    bool proof_given;
    uint16_t proof_len;
    uint8_t proof[PPP_PROOF_MAX];
    struct ppp_mschap last;      /* the latest response of the client that has an NT-Response */
    unsigned failures;           /* logins the server has refused, each try once */
    struct ppp_mschap confirmed; /* the latest one the server answered with Success */

    /* for the observer itself */
    enum ppp_method lcp_method; /* agreed in LCP; NONE: not seen, or none that we know */
    bool auth_seen;             /* an authentication frame came since LCP was last negotiated */
    bool challenge_seen;        /* a response may come: to a Challenge or to a Failure with R=1 */
    bool retry;   /* ... to a Failure: the identifier of the response is not told before */
    bool expired; /* ... with E=648: a change of password may come, of the same user */
    uint8_t challenge_id;
    uint8_t challenge_len; /* 16: v2 or MD5, 8: v1, 0: neither, so no MS-CHAP can follow */
    uint8_t challenge[16];
    bool response_seen; /* Success and Failure count if they carry this identifier */
    uint8_t response_id;
    uint8_t eap_id; /* of the server's latest EAP Request, as is the type */
    uint8_t eap_type;
    bool lcp_pending; /* the server's Configure-Request waits for the client's Ack */
    uint8_t lcp_id;
    uint16_t lcp_auth;     /* protocol of option 3 in the server's latest Configure-Request */
    uint8_t lcp_algorithm; /* the octet behind it, where there is one (CHAP) */
};

void ppp_observer_init(struct ppp_observer *o);

/* frame: one PPP frame as it stands in an SSTP data packet: no flags, no escapes, no FCS; with or
 * without FF 03, protocol of one or two octets (PROTOCOL.md 5.1). One that ppp_is_control does not
 * take for control says nothing. */
void ppp_observe(struct ppp_observer *o, enum ppp_from from, struct span frame);

/* What a RADIUS client passes on of one frame of a client's authentication, as parts of the frame.
 * user: the name in it; none where the frame has none, as most of EAP. proof: what no other login
 * will repeat by chance: an NT-Response, the answer of CHAP-MD5, or the whole EAP packet; none for
 * PAP. False: the frame is no answer or request of a client's. */
bool ppp_login(struct span frame, struct span *user, struct span *proof);

/* True for an LCP, authentication or network control frame: what may flow before Call Connected;
 * false for network data (protocols below 0x8000, RFC 1661 2) and for what has no protocol field.
 */
bool ppp_is_control(struct span frame);

/* True for network data and the protocols that prepare it (RFC 1661 2: below 0xc000): what a server
 * sends when it is content with who the client is. */
bool ppp_is_network(struct span frame);

/* "ms-chapv2", "eap-mschapv2", "pap", "none". */
const char *ppp_method_name(enum ppp_method m);

/* True where the method gives both ends keys, so that a binding made with zeros is weak. */
bool ppp_method_has_keys(enum ppp_method m);

#endif
