#include "call/reason.h"

#include "base/insist.h"

#define QUIET 0, SSTP_DATA, SSTP_ATTR_NONE, SSTP_STATUS_NO_ERROR
#define HTTP(status) status, SSTP_DATA, SSTP_ATTR_NONE, SSTP_STATUS_NO_ERROR
#define ABORT(attribute, status) 0, SSTP_ABORT, SSTP_ATTR_##attribute, SSTP_STATUS_##status
#define DISCONNECT 503, SSTP_DISCONNECT, SSTP_ATTR_NONE, SSTP_STATUS_NO_ERROR

static const struct reason_info table[REASON_COUNT] = {
    [REASON_NONE] = {"none", QUIET},
    [REASON_CLIENT_CLOSED] = {"client-closed", QUIET},
    [REASON_BACKEND_CLOSED] = {"backend-closed", QUIET},
    [REASON_CLIENT_DISCONNECT] = {"client-disconnect", QUIET},
    [REASON_BACKEND_DISCONNECT] = {"backend-disconnect", QUIET},
    [REASON_CLIENT_ABORT] = {"client-abort", QUIET},
    [REASON_BACKEND_ABORT] = {"backend-abort", QUIET},
    [REASON_CLIENT_RESET] = {"client-reset", QUIET},
    [REASON_BACKEND_RESET] = {"backend-reset", HTTP(503)},
    [REASON_ADDRESS_DENIED] = {"address-denied", QUIET},
    [REASON_LIMIT] = {"limit", QUIET},
    [REASON_RULE_DENIED] = {"rule-denied", HTTP(404)},
    [REASON_BAD_PROXY_HEADER] = {"bad-proxy-header", QUIET},
    [REASON_TLS_FAILED] = {"tls-failed", QUIET},
    [REASON_TLS_REFUSED] = {"tls-refused", QUIET},
    [REASON_NOT_SSTP] = {"not-sstp", HTTP(404)},
    [REASON_BAD_REQUEST] = {"bad-request", HTTP(400)},
    [REASON_TOO_LARGE] = {"request-too-large", HTTP(400)},
    [REASON_HOST_REFUSED] = {"host-refused", HTTP(404)},
    [REASON_EARLY_DATA] = {"early-data", HTTP(400)},
    [REASON_NO_SERVER] = {"no-server", HTTP(503)},
    [REASON_BACKEND_UNREACHABLE] = {"backend-unreachable", HTTP(503)},
    [REASON_BACKEND_TLS] = {"backend-tls", HTTP(503)},
    [REASON_BACKEND_UNVERIFIED] = {"backend-unverified", HTTP(503)},
    [REASON_BACKEND_REFUSED] = {"backend-refused", HTTP(503)},
    [REASON_BACKEND_BAD_ANSWER] = {"backend-bad-answer", HTTP(503)},
    [REASON_HANDSHAKE_TIMEOUT] = {"handshake-timeout", QUIET},
    [REASON_HANDSHAKE_QUEUE] = {"handshake-queue", QUIET},
    [REASON_REQUEST_TIMEOUT] = {"request-timeout", QUIET},
    [REASON_ANSWER_TIMEOUT] = {"answer-timeout", HTTP(503)},
    [REASON_NEGOTIATE_TIMEOUT] = {"negotiate-timeout", ABORT(NONE, NEGOTIATION_TIMEOUT)},
    [REASON_IDLE_TIMEOUT] = {"idle-timeout", DISCONNECT},
    /* [MS-SSTP] 3.1.5.1: a stream that cannot be cut into packets is dropped without a message */
    [REASON_CLIENT_BAD_PACKET] = {"client-bad-packet", QUIET},
    [REASON_BACKEND_BAD_PACKET] = {"backend-bad-packet", QUIET},
    [REASON_CLIENT_OUT_OF_PLACE] = {"client-out-of-place", ABORT(NONE, UNACCEPTED_FRAME)},
    [REASON_CLIENT_TOO_MANY_ANSWERS] = {"client-too-many-answers", ABORT(NONE, UNACCEPTED_FRAME)},
    [REASON_BACKEND_OUT_OF_PLACE] = {"backend-out-of-place", ABORT(NONE, UNACCEPTED_FRAME)},
    [REASON_CLIENT_BAD_FRAMES] = {"client-bad-frames", ABORT(NONE, UNACCEPTED_FRAME)},
    [REASON_CLIENT_ASKS_AUTH] = {"client-asks-auth", DISCONNECT},
    [REASON_BAD_USER_NAME] = {"bad-user-name", DISCONNECT},
    [REASON_SECOND_LOGIN] = {"second-login", DISCONNECT},
    /* [MS-SSTP] 3.3.5.2.3; without a well-formed attribute AttribID 2, status 9: PROTOCOL.md 4.5 */
    [REASON_BINDING_FORM] = {"binding-form", ABORT(STATUS, ATTRIBUTE_NOT_SUPPORTED)},
    [REASON_BINDING_NONCE] = {"binding-nonce", ABORT(BINDING, VALUE_NOT_SUPPORTED)},
    [REASON_BINDING_HASH] = {"binding-hash", ABORT(BINDING, VALUE_NOT_SUPPORTED)},
    [REASON_BINDING_LEAF] = {"binding-leaf", ABORT(BINDING, VALUE_NOT_SUPPORTED)},
    [REASON_BINDING_MAC] = {"binding-mac", ABORT(BINDING, VALUE_NOT_SUPPORTED)},
    /* The orderly end for what is no fault of the protocol's ([MS-SSTP] 3.1.2.2) */
    [REASON_USER_DENIED] = {"user-denied", DISCONNECT},
    [REASON_USER_LIMIT] = {"user-limit", DISCONNECT},
    [REASON_RULES_CHANGED] = {"rules-changed", DISCONNECT},
    [REASON_SHUTDOWN] = {"shutdown", DISCONNECT},
};

const struct reason_info *reason_info(enum reason r)
{
    INSIST((unsigned)r < REASON_COUNT);
    return &table[r];
}

/* Points are for what a client does behind a request for SSTP, because any web page can make its
 * readers' browsers do all the rest: send a well-formed request of any length, or plain HTTP to a
 * port of TLS, speak STUN inside and outside of TLS (the servers of an RTCPeerConnection), ask for
 * a name that no certificate has, refuse the certificate, or hold connections without a request. A
 * page cannot send SSTP's method to another origin. Nothing is given for host-refused and
 * rule-denied (a ban would tell a decoy from a web site), and for second-login: it is the server
 * that asks honest clients to log in again, and no guess reaches the server. A forged binding costs
 * POINTS_REQUEST, whatever the reason: see record.h. */
static const unsigned points[REASON_COUNT] = {
    [REASON_EARLY_DATA] = POINTS_REQUEST,          /* SSTP sends nothing before the 200 */
    [REASON_CLIENT_BAD_PACKET] = POINTS_REQUEST,   /* no SSTP client sends it */
    [REASON_CLIENT_OUT_OF_PLACE] = POINTS_REQUEST, /* no SSTP client sends it there */
    [REASON_CLIENT_BAD_FRAMES] = POINTS_REQUEST,   /* nor goes on sending what is not forwarded */
    [REASON_CLIENT_TOO_MANY_ANSWERS] = POINTS_REQUEST, /* nor answers so often */
};

unsigned reason_points(enum reason r)
{
    INSIST((unsigned)r < REASON_COUNT);
    return points[r];
}

static const bool of_peer[REASON_COUNT] = {
    [REASON_CLIENT_CLOSED] = true,
    [REASON_BACKEND_CLOSED] = true,
    [REASON_CLIENT_DISCONNECT] = true,
    [REASON_BACKEND_DISCONNECT] = true,
    [REASON_CLIENT_ABORT] = true,
    [REASON_BACKEND_ABORT] = true,
    [REASON_CLIENT_RESET] = true,
    [REASON_BACKEND_RESET] = true,
    [REASON_TLS_FAILED] = true, /* the client's alert, or octets that are not TLS */
    [REASON_TLS_REFUSED] = true,
    [REASON_BACKEND_TLS] = true,
    [REASON_BACKEND_OUT_OF_PLACE] =
        true, /* LCP that starts over amid a login, as a client can make it */
    [REASON_CLIENT_BAD_PACKET] = true,
    [REASON_CLIENT_OUT_OF_PLACE] = true,
    [REASON_CLIENT_TOO_MANY_ANSWERS] = true,
    [REASON_CLIENT_BAD_FRAMES] = true,
    [REASON_CLIENT_ASKS_AUTH] = true,
    [REASON_BAD_USER_NAME] = true,
    [REASON_BINDING_FORM] = true,
    [REASON_BINDING_NONCE] = true,
    [REASON_BINDING_HASH] = true,
    [REASON_BINDING_LEAF] = true,
    [REASON_BINDING_MAC] = true,
};

bool reason_is_of_peer(enum reason r)
{
    INSIST((unsigned)r < REASON_COUNT);
    return of_peer[r];
}
