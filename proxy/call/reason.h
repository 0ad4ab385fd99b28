/* reason: why a call ended. The log's word for it and the answer the peers get both follow from it.
 */
#ifndef SSTPGATE_CALL_REASON_H
#define SSTPGATE_CALL_REASON_H

#include <stdbool.h>

#include "wire/sstp.h"

enum reason {
    REASON_NONE = 0,
    /* the peers' own doing */
    REASON_CLIENT_CLOSED,
    REASON_BACKEND_CLOSED,
    REASON_CLIENT_DISCONNECT,
    REASON_BACKEND_DISCONNECT,
    REASON_CLIENT_ABORT,
    REASON_BACKEND_ABORT,
    REASON_CLIENT_RESET,
    REASON_BACKEND_RESET,
    /* before there was a tunnel */
    REASON_ADDRESS_DENIED,
    REASON_LIMIT,
    REASON_RULE_DENIED,
    REASON_BAD_PROXY_HEADER,
    REASON_TLS_FAILED,
    REASON_TLS_REFUSED,
    REASON_NOT_SSTP,
    REASON_BAD_REQUEST,
    REASON_TOO_LARGE,
    REASON_HOST_REFUSED,
    REASON_EARLY_DATA,
    REASON_NO_SERVER,
    REASON_BACKEND_UNREACHABLE,
    REASON_BACKEND_TLS,
    REASON_BACKEND_UNVERIFIED,
    REASON_BACKEND_REFUSED,
    REASON_BACKEND_BAD_ANSWER,
    /* deadlines */
    REASON_HANDSHAKE_TIMEOUT,
    REASON_HANDSHAKE_QUEUE, /* the client's handshake did not get its turn in time */
    REASON_REQUEST_TIMEOUT,
    REASON_ANSWER_TIMEOUT,
    REASON_NEGOTIATE_TIMEOUT,
    REASON_IDLE_TIMEOUT,
    /* protocol */
    REASON_CLIENT_BAD_PACKET,
    REASON_BACKEND_BAD_PACKET,
    REASON_CLIENT_OUT_OF_PLACE,
    REASON_CLIENT_TOO_MANY_ANSWERS, /* more answers than any client needs */
    REASON_BACKEND_OUT_OF_PLACE,
    REASON_CLIENT_BAD_FRAMES, /* too many PPP frames that cannot be forwarded */
    REASON_CLIENT_ASKS_AUTH,  /* the client asks the server for an authentication (LCP option 3) */
    REASON_BAD_USER_NAME,     /* a name that servers cut or trim */
    REASON_SECOND_LOGIN,      /* another login in a tunnel that is up */
    REASON_BINDING_FORM,
    REASON_BINDING_NONCE,
    REASON_BINDING_HASH,
    REASON_BINDING_LEAF,
    REASON_BINDING_MAC,
    /* ours */
    REASON_USER_DENIED,
    REASON_USER_LIMIT,
    REASON_RULES_CHANGED,
    REASON_SHUTDOWN,
    REASON_COUNT,
};

struct reason_info {
    const char *name;
    unsigned http;          /* status for a client that waits for its answer; 0: none, just close */
    enum sstp_type message; /* SSTP_ABORT or SSTP_DISCONNECT for a client that had its 200;
                               SSTP_DATA: none. A Disconnect goes to the backend too */
    enum sstp_attribute attribute;
    enum sstp_status status;
};

const struct reason_info *reason_info(enum reason r);

/* Prices towards ban-points. POINTS_LOGIN is given for each failed login while the call goes on. */
enum { POINTS_LOGIN = 10, POINTS_REQUEST = 5 };

/* Returns the points of the client for a call that ended for this reason; 0 for most. */
unsigned reason_points(enum reason r);

/* Returns whether the client or the server has ended the call. A login that the server has not
 * decided by then counts as failed. Not so where the gate ends the call at a deadline, by a rule or
 * for its own shutdown: the client could not have waited for the reply. */
bool reason_is_of_peer(enum reason r);

#endif
