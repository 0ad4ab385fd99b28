/* ppp_observer: what an observer of PPP records about a login (ppp.h), and the rules that all
 * methods share: names, the answer to the server's latest question, acceptance and refusal.
 *
 * The state holds secrets (challenges and responses): the owner wipes the struct when the call is
 * connected or closed. No pointers into frames are kept, nothing is allocated. */
#ifndef SSTPGATE_WIRE_PPP_OBSERVER_H
#define SSTPGATE_WIRE_PPP_OBSERVER_H

#include "base/span.h"
#include "wire/ppp_codes.h"
#include "wire/ppp_frame.h"
#include "wire/ppp_method.h"

/* A refusal without a number; MS-CHAP's own numbers (E=) are 646 and above. E=930 is Windows'
 * number for an authentication server that does not answer (PROTOCOL.md 5.3): no failed login. */
enum { PPP_REFUSED = 1, PPP_REFUSED_UNJUDGED = 930 };

enum ppp_result { PPP_RESULT_PENDING = 0, PPP_RESULT_SUCCESS, PPP_RESULT_FAILURE };

enum { PPP_USER_MAX = 256, PPP_SERVER_ANSWER = 20, PPP_ANSWER_MAX = 1536 };

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

/* Decides on a name of the client. A client must send the same name in all answers to a question,
 * and the same user in all names of a login, because some servers that ask again before they have
 * refused a login keep the first name for the session and check the second (PROTOCOL.md 5.4). The
 * Identity of EAP and the name in the method may differ in domain and realm. PPP_DROP: another
 * name. */
enum ppp_verdict ppp_observer_judge_name(const struct ppp_observer *o, struct span name);

/* Records a name that ppp_observer_judge_name has allowed. */
void ppp_observer_take_name(struct ppp_observer *o, struct span name);

/* Forgets the names of a login that the server has refused, because the next login may have another
 * name. */
void ppp_observer_forget_login(struct ppp_observer *o);

/* Records that the client has sent a proof of its identity, right or wrong. */
void ppp_observer_begin_login(struct ppp_observer *o);

/* Keeps the client's answer. proof: a part of f->info. An answer that is too long to be kept has no
 * proof, and a repetition of it is dropped. */
void ppp_observer_take_answer(struct ppp_observer *o, const struct ppp_frame *f, struct span proof);

/* Returns whether the frame repeats the answer that was kept. */
bool ppp_observer_is_repeated(const struct ppp_observer *o, const struct ppp_frame *f);

/* Forgets the answer, because the server has asked another question. */
void ppp_observer_forget_answer(struct ppp_observer *o);

/* Records a refusal, and counts an undecided login as failed. number: of MS-CHAP; 0: none. A number
 * is kept when a refusal without one follows, because EAP's own Failure has none. */
void ppp_observer_take_refusal(struct ppp_observer *o, unsigned number);

/* Records that the server has accepted the client. */
void ppp_observer_let_in(struct ppp_observer *o);

#endif
