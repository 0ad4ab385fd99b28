/* negotiation_binding: the part of the negotiation that judges the crypto-binding of a call. It
 * finds the key that made the client's Call Connected, re-signs the message for the backend, and
 * checks it again if the login ends later. Only for negotiation.c, as is the struct. */
#ifndef SSTPGATE_CALL_NEGOTIATION_BINDING_H
#define SSTPGATE_CALL_NEGOTIATION_BINDING_H

#include <time.h>

#include "binding/binding.h"
#include "call/candidates.h"
#include "call/login_label.h"
#include "call/login_trial.h"
#include "call/negotiation_answer.h"
#include "call/record.h"
#include "wire/ppp.h"

struct leaves;
struct site_backend;
struct worker;

/* The steps, each with the event that SSTP waits for ([MS-SSTP] 3.3.1). */
enum progress {
    WAIT_REQUEST,
    WAIT_ACK,
    WAIT_CONNECTED,
    WAIT_KEY,    /* a key for the Call Connected that has arrived */
    WAIT_RESULT, /* the server's acceptance of the user; Call Connected was forwarded */
};

/* The ground on which a Call Connected that arrived before the end of the login was accepted. */
enum early {
    EARLY_NOT,      /* the login had ended */
    EARLY_KEY,      /* a key of the users file, or zeros */
    EARLY_NONE_YET, /* no key: `auto` forwarded the message because no key was known, and one could
                       still arrive */
    EARLY_RADIUS,   /* a key of RADIUS, which gives keys only for logins that have ended */
};

struct negotiation {
    enum progress progress;
    const struct site_backend *backend;
    struct record *record;
    struct binding_leaf client_leaf, backend_leaf;
    struct binding_expect expect; /* the nonce and the mask that the client was sent */
    uint8_t backend_mask;         /* the mask that the backend sent */
    struct ppp_observer ppp;
    time_t (*clock)(void);                 /* NULL: no line of the users file expires */
    negotiation_user_allowed user_allowed; /* NULL: no rule asks for the user */
    void *user_arg;
    bool user_asked; /* the rules have decided about the user in record, or about an unknown user */
    struct leaves *leaves; /* NULL: none */
    struct candidates candidates;
    struct login_label label;
    uint64_t now_ms; /* time of the client's latest packet */
    uint64_t log_ms; /* time of the latest packet of either side */
    struct login_trial trial;
    unsigned notes;       /* number of notes that the keyring got from this call */
    unsigned dropped;     /* number of the client's frames that were not forwarded */
    uint64_t lcp_request; /* the result of negotiation_lcp_request */
    uint8_t *rebuilt;     /* SSTP_PACKET_MAX bytes for a frame in its canonical form; NULL: none was
                             needed yet; owned */
    unsigned stale;       /* line of the users file that the server has proved wrong; 0: none */
    uint8_t hash;         /* the client's hash protocol, once its binding was checked */

    /* An early Call Connected: the login as known at its arrival, and the message itself. */
    enum early early;
    struct keyring_marks early_marks;
    uint16_t early_user_len;
    uint8_t early_user[PPP_USER_MAX];
    uint8_t early_msg[SSTP_CONNECTED_LEN];
    void *asked; /* the search of negotiation_ask; NULL: none, or it has ended */

    /* The Ack or Call Connected that replaces the peer's; in WAIT_KEY the client's Call Connected.
     */
    uint8_t made[SSTP_CONNECTED_LEN];
};

/* Judges the client's Call Connected. The rules have allowed the user already. */
struct negotiation_answer negotiation_binding_connected(struct negotiation *n,
                                                        const struct sstp_packet *packet,
                                                        struct span octets, uint64_t now_ms);

/* Does the work of negotiation_try_key. */
struct negotiation_answer negotiation_binding_try_key(struct negotiation *n, uint64_t now_ms,
                                                      bool late);

/* Judges whether a key of the login that has succeeded made the MAC, because Call Connected may
 * have been forwarded before the end of that login. BINDING_ASKS, not if late: another gate may
 * have the outcome of the login. */
enum binding_verdict { BINDING_HOLDS, BINDING_FAILS, BINDING_ASKS };
enum binding_verdict negotiation_binding_holds(struct negotiation *n, bool late);

/* Does the work of negotiation_ask. Returns the search; NULL: there is none. */
void *negotiation_binding_ask(struct negotiation *n, struct worker *from,
                              void (*on_answer)(void *arg), void *arg);

/* Logs a line of the users file that the server's answer proves wrong. Call it after each PPP
 * frame. */
void negotiation_binding_check_users(struct negotiation *n);

/* Returns whether the binding is re-signed for the backend, which needs the user's key. */
bool negotiation_binding_re_signs(const struct negotiation *n);

/* Records that the server has accepted the user. */
void negotiation_binding_login_ended(struct negotiation *n);

#endif
