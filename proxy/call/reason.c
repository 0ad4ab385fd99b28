#include "call/reason.h"

#include "base/insist.h"

/* What the peers are told: nothing, an HTTP status, an SSTP message. */
#define QUIET 0, SSTP_DATA, SSTP_ATTR_NONE, SSTP_STATUS_NO_ERROR
#define HTTP(status) status, SSTP_DATA, SSTP_ATTR_NONE, SSTP_STATUS_NO_ERROR
#define ABORT(attribute, status) 0, SSTP_ABORT, SSTP_ATTR_##attribute, SSTP_STATUS_##status
#define DISCONNECT 503, SSTP_DISCONNECT, SSTP_ATTR_NONE, SSTP_STATUS_NO_ERROR

/* Whose doing it is. */
#define PEER .by_peer = true
#define PEER_PAYS .by_peer = true, .points = POINTS_REQUEST
#define PAYS .points = POINTS_REQUEST

/* Points are for what a client does behind a request for SSTP, because any web page can make its
 * readers' browsers do all the rest: send a well-formed request of any length, or plain HTTP to a
 * port of TLS, speak STUN inside and outside of TLS (the servers of an RTCPeerConnection), ask for
 * a name that no certificate has, refuse the certificate, or hold connections without a request. A
 * page cannot send SSTP's method to another origin. Nothing is given for host-refused and
 * rule-denied, because a ban would tell a decoy from a web site, and for second-login, because it
 * is the server that asks honest clients to log in again, and no guess reaches the server. A forged
 * binding costs POINTS_REQUEST, whatever the reason: see record.h. */
static const struct reason_info table[REASON_COUNT] = {
    [REASON_NONE] = {"none", QUIET, END_CLOSE},
    [REASON_CLIENT_CLOSED] = {"client-closed", QUIET, END_DRAIN, PEER},
    [REASON_BACKEND_CLOSED] = {"backend-closed", QUIET, END_DRAIN, PEER},
    /* Once an Abort or a Disconnect was forwarded, the rest is a matter of seconds, whether or not
     * the two close their connections ([MS-SSTP] 3.1.2.1, 3.1.2.2). */
    [REASON_CLIENT_DISCONNECT] = {"client-disconnect", QUIET, END_DRAIN, PEER},
    [REASON_BACKEND_DISCONNECT] = {"backend-disconnect", QUIET, END_DRAIN, PEER},
    [REASON_CLIENT_ABORT] = {"client-abort", QUIET, END_DRAIN, PEER},
    [REASON_BACKEND_ABORT] = {"backend-abort", QUIET, END_DRAIN, PEER},
    /* Not an orderly end, and the other side must not take it for one. */
    [REASON_CLIENT_RESET] = {"client-reset", QUIET, END_RESET_BOTH, PEER},
    [REASON_BACKEND_RESET] = {"backend-reset", QUIET, END_RESET_BOTH, PEER},
    [REASON_ADDRESS_DENIED] = {"address-denied", QUIET, END_RESET_BOTH},
    [REASON_LIMIT] = {"limit", QUIET, END_RESET_BOTH},
    [REASON_RULE_DENIED] = {"rule-denied", HTTP(404), END_LINGER},
    [REASON_RULE_REJECTED] = {"rule-denied", QUIET, END_RESET_BOTH},
    [REASON_BAD_PROXY_HEADER] = {"bad-proxy-header", QUIET, END_RESET_BOTH},
    /* The client's alert, or bytes that are not TLS. Our alert is sent; the backend gets a reset,
     * because this is not an orderly end. */
    [REASON_TLS_FAILED] = {"tls-failed", QUIET, END_RESET_BACKEND, PEER},
    [REASON_TLS_REFUSED] = {"tls-refused", QUIET, END_RESET_BACKEND, PEER},
    [REASON_NOT_SSTP] = {"not-sstp", HTTP(404), END_LINGER},
    [REASON_BAD_REQUEST] = {"bad-request", HTTP(400), END_LINGER},
    [REASON_TOO_LARGE] = {"request-too-large", HTTP(400), END_LINGER},
    [REASON_HOST_REFUSED] = {"host-refused", HTTP(404), END_LINGER},
    /* SSTP sends nothing before the 200 */
    [REASON_EARLY_DATA] = {"early-data", HTTP(400), END_LINGER, PAYS},
    [REASON_NO_SERVER] = {"no-server", HTTP(503), END_LINGER},
    [REASON_BACKEND_UNREACHABLE] = {"backend-unreachable", HTTP(503), END_LINGER},
    /* 503 where the client waits for its answer; later the client gets a reset */
    [REASON_BACKEND_TLS] = {"backend-tls", HTTP(503), END_RESET_CLIENT, PEER},
    [REASON_BACKEND_UNVERIFIED] = {"backend-unverified", HTTP(503), END_LINGER},
    [REASON_BACKEND_REFUSED] = {"backend-refused", HTTP(503), END_LINGER},
    [REASON_BACKEND_BAD_ANSWER] = {"backend-bad-answer", HTTP(503), END_LINGER},
    [REASON_HANDSHAKE_TIMEOUT] = {"handshake-timeout", QUIET, END_CLOSE},
    [REASON_HANDSHAKE_QUEUE] = {"handshake-queue", QUIET, END_CLOSE},
    [REASON_REQUEST_TIMEOUT] = {"request-timeout", QUIET, END_LINGER},
    [REASON_ANSWER_TIMEOUT] = {"answer-timeout", HTTP(503), END_LINGER},
    [REASON_NEGOTIATE_TIMEOUT] = {"negotiate-timeout", ABORT(NONE, NEGOTIATION_TIMEOUT),
                                  END_LINGER},
    [REASON_IDLE_TIMEOUT] = {"idle-timeout", DISCONNECT, END_LINGER},
    /* [MS-SSTP] 3.1.5.1: a stream that cannot be cut into packets ends without a message. No SSTP
     * client sends any of those that cost points. */
    [REASON_CLIENT_BAD_PACKET] = {"client-bad-packet", QUIET, END_LINGER, PEER_PAYS},
    [REASON_BACKEND_BAD_PACKET] = {"backend-bad-packet", QUIET, END_LINGER},
    [REASON_CLIENT_OUT_OF_PLACE] = {"client-out-of-place", ABORT(NONE, UNACCEPTED_FRAME),
                                    END_LINGER, PEER_PAYS},
    [REASON_CLIENT_TOO_MANY_ANSWERS] = {"client-too-many-answers", ABORT(NONE, UNACCEPTED_FRAME),
                                        END_LINGER, PEER_PAYS},
    /* by the peer, because LCP may start over in the middle of a login, as a client can make it */
    [REASON_BACKEND_OUT_OF_PLACE] = {"backend-out-of-place", ABORT(NONE, UNACCEPTED_FRAME),
                                     END_LINGER, PEER},
    [REASON_CLIENT_BAD_FRAMES] = {"client-bad-frames", ABORT(NONE, UNACCEPTED_FRAME), END_LINGER,
                                  PEER_PAYS},
    [REASON_CLIENT_ASKS_AUTH] = {"client-asks-auth", DISCONNECT, END_LINGER, PEER},
    [REASON_BAD_USER_NAME] = {"bad-user-name", DISCONNECT, END_LINGER, PEER},
    [REASON_SECOND_LOGIN] = {"second-login", DISCONNECT, END_LINGER},
    /* [MS-SSTP] 3.3.5.2.3; without a well-formed attribute AttribID 2, status 9: PROTOCOL.md 4.5 */
    [REASON_BINDING_FORM] = {"binding-form", ABORT(STATUS, ATTRIBUTE_NOT_SUPPORTED), END_LINGER,
                             PEER},
    [REASON_BINDING_NONCE] = {"binding-nonce", ABORT(BINDING, VALUE_NOT_SUPPORTED), END_LINGER,
                              PEER},
    [REASON_BINDING_HASH] = {"binding-hash", ABORT(BINDING, VALUE_NOT_SUPPORTED), END_LINGER, PEER},
    [REASON_BINDING_LEAF] = {"binding-leaf", ABORT(BINDING, VALUE_NOT_SUPPORTED), END_LINGER, PEER},
    [REASON_BINDING_MAC] = {"binding-mac", ABORT(BINDING, VALUE_NOT_SUPPORTED), END_LINGER, PEER},
    /* The orderly end, because the protocol was not violated ([MS-SSTP] 3.1.2.2). */
    [REASON_USER_DENIED] = {"user-denied", DISCONNECT, END_LINGER},
    [REASON_USER_LIMIT] = {"user-limit", DISCONNECT, END_LINGER},
    [REASON_RULES_CHANGED] = {"rules-changed", DISCONNECT, END_LINGER},
    [REASON_SHUTDOWN] = {"shutdown", DISCONNECT, END_LINGER},
    [REASON_SHUTDOWN_NOW] = {"shutdown", QUIET, END_CLOSE},
    [REASON_DRAINED] = {"none", QUIET, END_CLOSE},
    /* The backend gets a reset, which leaves no port in TIME_WAIT. */
    [REASON_DRAIN_TIMEOUT] = {"none", QUIET, END_RESET_BACKEND},
};

const struct reason_info *reason_info(enum reason r)
{
    INSIST((unsigned)r < REASON_COUNT);
    return &table[r];
}
