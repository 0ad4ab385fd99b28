#include "call/reason.h"

#include "base/insist.h"

/* The answer to the peers: none, an HTTP status, an SSTP message. */
#define QUIET .message = SSTP_DATA
#define HTTP(code) .http = code, .message = SSTP_DATA
#define ABORT(which, why)                                                                          \
    .message = SSTP_ABORT, .attribute = SSTP_ATTR_##which, .status = SSTP_STATUS_##why
#define DISCONNECT .http = 503, .message = SSTP_DISCONNECT

/* The columns for an end that a peer has caused, and for points. */
#define PEER .by_peer = true
#define PEER_ENDS .by_peer = true, .login_first = true
#define PEER_PAYS .by_peer = true, .points = POINTS_REQUEST
#define PAYS .points = POINTS_REQUEST

/* The outcome, where it does not depend on the state. */
#define ENDED .outcome = OUTCOME_ENDED
#define FAILED .outcome = OUTCOME_FAILED
#define REFUSED .outcome = OUTCOME_REFUSED

/* Points punish only behaviour that needs a request for SSTP, because any web page can make its
 * readers' browsers do all the rest: send a well-formed request of any length, or plain HTTP to a
 * port of TLS, speak STUN inside and outside of TLS (the servers of an RTCPeerConnection), ask for
 * a name that no certificate has, refuse the certificate, or hold connections without a request. A
 * page cannot send SSTP's method to another origin. host-refused and rule-denied cost no points,
 * because a ban would expose a decoy as no real web site; second-login costs none either, because
 * the server itself requests another login of honest clients, and no guess reaches the server. A
 * forged binding costs POINTS_REQUEST with any reason: see record.h. */
static const struct reason_info table[REASON_COUNT] = {
    [REASON_NONE] = {.name = "none", QUIET, .end = END_CLOSE},
    [REASON_CLIENT_CLOSED] = {.name = "client-closed", QUIET, .end = END_DRAIN, PEER_ENDS},
    [REASON_BACKEND_CLOSED] = {.name = "backend-closed", QUIET, .end = END_DRAIN, PEER_ENDS},
    /* After an Abort or a Disconnect was forwarded, the peers have timeout-drain to close their
     * connections ([MS-SSTP] 3.1.2.1, 3.1.2.2). */
    [REASON_CLIENT_DISCONNECT] = {.name = "client-disconnect", QUIET, .end = END_DRAIN, PEER_ENDS},
    [REASON_BACKEND_DISCONNECT] = {.name = "backend-disconnect",
                                   QUIET,
                                   .end = END_DRAIN,
                                   PEER_ENDS},
    [REASON_CLIENT_ABORT] = {.name = "client-abort", QUIET, .end = END_DRAIN, FAILED, PEER_ENDS},
    [REASON_BACKEND_ABORT] = {.name = "backend-abort", QUIET, .end = END_DRAIN, FAILED, PEER_ENDS},
    /* A reset for both, because the other side must not take this for an orderly end. */
    [REASON_CLIENT_RESET] = {.name = "client-reset", QUIET, .end = END_RESET_BOTH, PEER_ENDS},
    [REASON_BACKEND_RESET] =
        {.name = "backend-reset", QUIET, .end = END_RESET_BOTH, FAILED, PEER_ENDS},
    /* only for the log: the other reason determines how the call ends */
    [REASON_LOGIN_REFUSED] = {.name = "login-refused", QUIET, .end = END_DRAIN, FAILED, PEER},
    [REASON_ADDRESS_DENIED] = {.name = "address-denied", QUIET, .end = END_RESET_BOTH, REFUSED},
    [REASON_LIMIT] = {.name = "limit", QUIET, .end = END_RESET_BOTH, REFUSED},
    [REASON_RULE_DENIED] = {.name = "rule-denied", HTTP(404), .end = END_LINGER, REFUSED},
    [REASON_RULE_REJECTED] = {.name = "rule-denied", QUIET, .end = END_RESET_BOTH, REFUSED},
    [REASON_BAD_PROXY_HEADER] = {.name = "bad-proxy-header", QUIET, .end = END_RESET_BOTH, FAILED},
    [REASON_PROXY_CALL] = {.name = "proxy-call", HTTP(404), .end = END_LINGER, REFUSED},
    /* The client has sent an alert, or bytes that are not TLS. The gate's alert is sent; the
     * backend gets a reset, because this is not an orderly end. */
    [REASON_TLS_FAILED] = {.name = "tls-failed", QUIET, .end = END_RESET_BACKEND, FAILED, PEER},
    [REASON_TLS_REFUSED] = {.name = "tls-refused", QUIET, .end = END_RESET_BACKEND, FAILED, PEER},
    [REASON_KEY_FAILED] = {.name = "key-failed", QUIET, .end = END_RESET_BACKEND, FAILED},
    [REASON_CLIENT_REJECTED_CERTIFICATE] =
        {.name = "client-rejected-certificate", QUIET, .end = END_RESET_BACKEND, FAILED, PEER},
    [REASON_NOT_SSTP] = {.name = "not-sstp", HTTP(404), .end = END_LINGER, REFUSED},
    [REASON_REDIRECTED] = {.name = "http-redirect", QUIET, .end = END_LINGER, ENDED},
    [REASON_SSTP_CHECK] = {.name = "sstp-check", HTTP(401), .end = END_LINGER, ENDED},
    [REASON_HEALTH_PATH] = {.name = "health-path", HTTP(200), .end = END_LINGER, ENDED},
    [REASON_BAD_REQUEST] = {.name = "bad-request", HTTP(400), .end = END_LINGER, REFUSED},
    [REASON_REQUEST_TOO_LARGE] = {.name = "request-too-large",
                                  HTTP(400),
                                  .end = END_LINGER,
                                  REFUSED},
    [REASON_HOST_REFUSED] = {.name = "host-refused", HTTP(404), .end = END_LINGER, REFUSED},
    /* SSTP sends nothing before the 200 */
    [REASON_EARLY_DATA] = {.name = "early-data", HTTP(400), .end = END_LINGER, REFUSED, PAYS},
    [REASON_ACME_PASSED] = {.name = "acme-passed", QUIET, .end = END_DRAIN, ENDED},
    [REASON_ACME_FAILED] = {.name = "acme-failed", QUIET, .end = END_LINGER, FAILED},
    [REASON_NO_SERVER] = {.name = "no-server", HTTP(503), .end = END_LINGER, FAILED},
    [REASON_BACKEND_UNREACHABLE] = {.name = "backend-unreachable",
                                    HTTP(503),
                                    .end = END_LINGER,
                                    FAILED},
    /* 503 where the client waits for its answer; later the client gets a reset */
    [REASON_BACKEND_TLS] =
        {.name = "backend-tls", HTTP(503), .end = END_RESET_CLIENT, FAILED, PEER},
    [REASON_BACKEND_UNVERIFIED] = {.name = "backend-unverified",
                                   HTTP(503),
                                   .end = END_LINGER,
                                   FAILED},
    [REASON_BACKEND_REFUSED] = {.name = "backend-refused", HTTP(503), .end = END_LINGER, FAILED},
    [REASON_BACKEND_BAD_ANSWER] = {.name = "backend-bad-answer",
                                   HTTP(503),
                                   .end = END_LINGER,
                                   FAILED},
    [REASON_HANDSHAKE_TIMEOUT] = {.name = "handshake-timeout", QUIET, .end = END_CLOSE},
    [REASON_HANDSHAKE_QUEUE] = {.name = "handshake-queue", QUIET, .end = END_CLOSE},
    [REASON_REQUEST_TIMEOUT] = {.name = "request-timeout", QUIET, .end = END_LINGER},
    [REASON_ANSWER_TIMEOUT] = {.name = "answer-timeout", HTTP(503), .end = END_LINGER, FAILED},
    [REASON_NEGOTIATE_TIMEOUT] = {.name = "negotiate-timeout",
                                  ABORT(NONE, NEGOTIATION_TIMEOUT),
                                  .end = END_LINGER,
                                  FAILED},
    [REASON_IDLE_TIMEOUT] = {.name = "idle-timeout", DISCONNECT, .end = END_LINGER},
    [REASON_MAX_SESSION] = {.name = "max-session", DISCONNECT, .end = END_LINGER},
    /* Only for the log: the call has ended for another reason already. */
    [REASON_RADIUS_SILENT] = {.name = "radius-silent", QUIET, .end = END_CLOSE, FAILED},
    /* [MS-SSTP] 3.1.5.1: a stream that cannot be cut into packets ends without a message. No SSTP
     * client causes one of the reasons that cost points. */
    [REASON_CLIENT_BAD_PACKET] =
        {.name = "client-bad-packet", QUIET, .end = END_LINGER, FAILED, PEER_PAYS},
    [REASON_BACKEND_BAD_PACKET] = {.name = "backend-bad-packet", QUIET, .end = END_LINGER, FAILED},
    [REASON_CLIENT_OUT_OF_PLACE] = {.name = "client-out-of-place",
                                    ABORT(NONE, UNACCEPTED_FRAME),
                                    .end = END_LINGER,
                                    FAILED,
                                    PEER_PAYS},
    [REASON_CLIENT_TOO_MANY_ANSWERS] = {.name = "client-too-many-answers",
                                        ABORT(NONE, UNACCEPTED_FRAME),
                                        .end = END_LINGER,
                                        FAILED,
                                        PEER_PAYS},
    /* by the peer, because LCP may start over in the middle of a login, as a client can make it */
    [REASON_BACKEND_OUT_OF_PLACE] = {.name = "backend-out-of-place",
                                     ABORT(NONE, UNACCEPTED_FRAME),
                                     .end = END_LINGER,
                                     FAILED,
                                     PEER},
    [REASON_CLIENT_BAD_FRAMES] = {.name = "client-bad-frames",
                                  ABORT(NONE, UNACCEPTED_FRAME),
                                  .end = END_LINGER,
                                  FAILED,
                                  PEER_PAYS},
    [REASON_CLIENT_ASKS_AUTH] =
        {.name = "client-asks-auth", DISCONNECT, .end = END_LINGER, FAILED, PEER},
    [REASON_BAD_USER_NAME] =
        {.name = "bad-user-name", DISCONNECT, .end = END_LINGER, REFUSED, PEER},
    [REASON_SECOND_LOGIN] = {.name = "second-login", DISCONNECT, .end = END_LINGER, FAILED},
    /* [MS-SSTP] 3.3.5.2.3; without a well-formed attribute AttribID 2, status 9: PROTOCOL.md 4.5 */
    [REASON_BINDING_FORM] = {.name = "binding-form",
                             ABORT(STATUS, ATTRIBUTE_NOT_SUPPORTED),
                             .end = END_LINGER,
                             FAILED,
                             PEER},
    [REASON_BINDING_NONCE] = {.name = "binding-nonce",
                              ABORT(BINDING, VALUE_NOT_SUPPORTED),
                              .end = END_LINGER,
                              FAILED,
                              PEER},
    [REASON_BINDING_HASH] = {.name = "binding-hash",
                             ABORT(BINDING, VALUE_NOT_SUPPORTED),
                             .end = END_LINGER,
                             FAILED,
                             PEER},
    [REASON_BINDING_LEAF] = {.name = "binding-leaf",
                             ABORT(BINDING, VALUE_NOT_SUPPORTED),
                             .end = END_LINGER,
                             FAILED,
                             PEER},
    [REASON_BINDING_MAC] = {.name = "binding-mac",
                            ABORT(BINDING, VALUE_NOT_SUPPORTED),
                            .end = END_LINGER,
                            FAILED,
                            PEER},
    /* The orderly end, because the protocol was not violated ([MS-SSTP] 3.1.2.2). */
    [REASON_USER_DENIED] = {.name = "user-denied", DISCONNECT, .end = END_LINGER, REFUSED},
    [REASON_USER_EXPIRED] = {.name = "user-expired", DISCONNECT, .end = END_LINGER, REFUSED},
    [REASON_USER_LIMIT] = {.name = "user-limit", DISCONNECT, .end = END_LINGER, REFUSED},
    [REASON_USER_BANNED] = {.name = "user-banned", DISCONNECT, .end = END_LINGER, REFUSED},
    [REASON_RULES_CHANGED] = {.name = "rules-changed", DISCONNECT, .end = END_LINGER, REFUSED},
    [REASON_WINDOW_ENDED] = {.name = "window-ended", DISCONNECT, .end = END_LINGER, REFUSED},
    [REASON_ENDED_BY_ADMIN] = {.name = "ended-by-admin", DISCONNECT, .end = END_LINGER, ENDED},
    [REASON_SHUTDOWN] = {.name = "shutdown", DISCONNECT, .end = END_LINGER},
    [REASON_SHUTDOWN_NOW] = {.name = "shutdown", QUIET, .end = END_CLOSE},
    [REASON_DRAINED] = {.name = "none", QUIET, .end = END_CLOSE},
    /* The backend gets a reset, which leaves no port in TIME_WAIT. */
    [REASON_DRAIN_TIMEOUT] = {.name = "none", QUIET, .end = END_RESET_BACKEND},
};

const struct reason_info *reason_info(enum reason r)
{
    INSIST((unsigned)r < REASON_COUNT && table[r].name != NULL);
    return &table[r];
}
