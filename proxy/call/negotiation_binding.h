/* negotiation_binding: the part of the negotiation that judges the binding of a call: who can vouch
 * for the client's Call Connected, and the same again for the backend. For negotiation.c alone, as
 * is the struct.
 */
#ifndef SSTPGATE_CALL_NEGOTIATION_BINDING_H
#define SSTPGATE_CALL_NEGOTIATION_BINDING_H

#include "binding/binding.h"
#include "call/candidates.h"
#include "call/login_label.h"
#include "call/negotiation.h"
#include "wire/ppp.h"

/* Named for what SSTP waits for ([MS-SSTP] 3.3.1); WAIT_KEY: Call Connected is here, its key is
 * not. */
enum progress { WAIT_REQUEST, WAIT_ACK, WAIT_CONNECTED, WAIT_KEY, WAIT_RESULT };

/* What Call Connected was judged by that came before the login had ended. EARLY_KEY: of the users
 * file, or zeros; EARLY_NONE_YET: none, while one could come; EARLY_RADIUS: a key of RADIUS, which
 * that gives for a login only that has ended, of this user. */
enum early { EARLY_NOT, EARLY_KEY, EARLY_NONE_YET, EARLY_RADIUS };

struct negotiation {
    enum progress progress;
    const struct site_backend *backend;
    struct record *record;
    struct binding_leaf client_leaf, backend_leaf;
    struct binding_expect expect; /* nonce, and the mask as the client was told it */
    uint8_t backend_mask;         /* as the backend sent it */
    struct ppp_observer ppp;
    negotiation_user_allowed user_allowed; /* NULL: nobody wants to be asked */
    void *user_arg;
    bool user_asked;       /* about the user that record shows, or about nobody */
    struct leaves *leaves; /* NULL: nobody knows */
    struct candidates candidates;
    struct login_label label;
    uint64_t now_ms;      /* time of the client's latest packet */
    uint64_t log_ms;      /* time of the latest packet, for the log */
    unsigned notes;       /* notes that the keyring got from this call */
    unsigned dropped;     /* frames of the client that were not forwarded */
    uint64_t lcp_request; /* as negotiation_lcp_request */
    uint8_t *rebuilt; /* SSTP_PACKET_MAX bytes for a frame in its canonical form; NULL: not needed
                         yet */
    unsigned stale;   /* line of the users file that the server has proved wrong; 0: none */
    uint8_t hash;     /* the client's hash protocol, once its binding was checked */
    enum early early;
    struct keyring_marks early_marks; /* of the login at that time, as is the user */
    uint16_t early_user_len;
    uint8_t early_user[PPP_USER_MAX];      /* who had said that he logs in */
    uint8_t early_msg[SSTP_CONNECTED_LEN]; /* if any: the client's Call Connected */
    /* The Ack or Call Connected that goes on instead; in WAIT_KEY the client's own Call Connected.
     */
    uint8_t made[SSTP_CONNECTED_LEN];
};

static inline struct negotiation_answer negotiation_refuse(enum reason reason)
{
    return (struct negotiation_answer){.verdict = NEGOTIATION_REFUSE, .reason = reason};
}

/* The client's Call Connected, of a user who may pass. */
struct negotiation_answer negotiation_binding_connected(struct negotiation *n,
                                                        const struct sstp_packet *packet,
                                                        struct span octets, uint64_t now_ms);

/* Returns whether the MAC was made with a key of the login that has succeeded. Call Connected may
 * have been forwarded before that login had ended. */
bool negotiation_binding_holds(struct negotiation *n);

/* After each frame of PPP: does the server's answer fit the users file? */
void negotiation_binding_check_users(struct negotiation *n);

/* The server has let the client in. */
void negotiation_binding_login_ended(struct negotiation *n);

#endif
