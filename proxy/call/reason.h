/* reason: the reasons for which a call ends. The row of a reason has its word in the log, the
 * messages to the peers and the points towards a ban; call_end (call.h) applies the row. */
#ifndef SSTPGATE_CALL_REASON_H
#define SSTPGATE_CALL_REASON_H

#include <stdbool.h>

#include "wire/sstp.h"

enum reason {
    REASON_NONE = 0,
    /* caused by a peer */
    REASON_CLIENT_CLOSED,
    REASON_BACKEND_CLOSED,
    REASON_CLIENT_DISCONNECT,
    REASON_BACKEND_DISCONNECT,
    REASON_CLIENT_ABORT,
    REASON_BACKEND_ABORT,
    REASON_CLIENT_RESET,
    REASON_BACKEND_RESET,
    REASON_LOGIN_REFUSED, /* one of the above, after the server has refused the login */
    /* before the tunnel was up */
    REASON_ADDRESS_DENIED,
    REASON_LIMIT,
    REASON_RULE_DENIED,   /* the client gets the decoy: 404, or the web site */
    REASON_RULE_REJECTED, /* action reset or drop; the log's word is rule-denied, too */
    REASON_BAD_PROXY_HEADER,
    REASON_PROXY_CALL, /* a request for SSTP over a trusted proxy's own connection */
    REASON_TLS_FAILED,
    REASON_TLS_REFUSED,
    REASON_KEY_FAILED,
    REASON_CLIENT_REJECTED_CERTIFICATE, /* by an alert, or by leaving without a request */
    REASON_NOT_SSTP,
    REASON_REDIRECTED,  /* a request at listen-http: 301 */
    REASON_SSTP_CHECK,  /* HEAD for the URI of SSTP: 401, as from RRAS */
    REASON_HEALTH_PATH, /* GET of health-path: 200 */
    REASON_BAD_REQUEST,
    REASON_REQUEST_TOO_LARGE,
    REASON_HOST_REFUSED,
    REASON_EARLY_DATA,
    REASON_ACME_PASSED, /* a validation (ACME): the ACME client has answered */
    REASON_ACME_FAILED, /* a validation (ACME): no answer within its bounds; detail: the cause */
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
    REASON_MAX_SESSION, /* max-session of the listener */
    /* instead of the reason for which a peer ended the call, or of negotiate-timeout */
    REASON_RADIUS_SILENT,
    /* violations of the protocol */
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
    /* decided by the gate */
    REASON_USER_DENIED,
    REASON_USER_EXPIRED, /* the user's line of the users file has ended */
    REASON_USER_LIMIT,
    REASON_USER_BANNED, /* by an administrator */
    REASON_RULES_CHANGED,
    REASON_WINDOW_ENDED, /* a time window has begun or ended, and the rules deny the tunnel now */
    REASON_ENDED_BY_ADMIN,
    REASON_SHUTDOWN,
    REASON_SHUTDOWN_NOW, /* the second request to stop; the log's word is shutdown, too */
    /* for a call in DRAIN or LINGER: it has its reason already, so the log never has these */
    REASON_DRAINED,       /* both peers have received all bytes */
    REASON_DRAIN_TIMEOUT, /* timeout-drain is over */
    REASON_COUNT,
};

/* How a call ends for a reason. It also depends on the state: see call_end. */
enum reason_end {
    END_LINGER,       /* the peers have timeout-drain to receive the gate's last messages */
    END_DRAIN,        /* one side has ended: the other side has timeout-drain to receive the rest */
    END_CLOSE,        /* both connections close at once */
    END_RESET_CLIENT, /* as END_CLOSE, with a reset for the client */
    END_RESET_BACKEND, /* as END_CLOSE, with a reset for the backend */
    END_RESET_BOTH,
    END_NOTHING, /* only of a state: the call is ending already */
};

/* The outcome of a call, for the log. */
enum reason_outcome {
    OUTCOME_BY_STATE, /* only of a reason: the row of the state (call.c) has the outcome */
    OUTCOME_ENDED,    /* nothing went wrong */
    OUTCOME_FAILED,   /* no tunnel came up, or it ended by a fault; logged as a warning */
    OUTCOME_REFUSED,  /* the gate did what it is configured to do: a rule, a limit, no SSTP */
};

struct reason_info {
    const char *name;       /* the log's word */
    unsigned http;          /* status for a client that waits for its answer; 0: none */
    enum sstp_type message; /* SSTP_ABORT or SSTP_DISCONNECT for a client that got its 200;
                               SSTP_DATA: none. The backend gets a Disconnect, too */
    enum sstp_attribute attribute;
    enum sstp_status status;
    enum reason_end end;
    enum reason_outcome outcome;
    bool login_first; /* login-refused is the reason instead, if the server refused the login */
    bool by_peer;    /* the client or the server has ended the call: a login that the server has not
                        decided by then counts as failed. False if the gate ends the call at a
                        deadline, by a rule or for its own shutdown, because the client could
                        not have waited for the reply */
    unsigned points; /* points of the client towards ban-points; 0 for most */
};

/* Prices towards ban-points. POINTS_LOGIN is given for each failed login while the call
 * continues. */
enum { POINTS_LOGIN = 10, POINTS_REQUEST = 5 };

const struct reason_info *reason_info(enum reason r);

#endif
