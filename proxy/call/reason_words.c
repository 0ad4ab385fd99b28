#include "call/reason_words.h"

#include <stddef.h>

#include "base/insist.h"

/* Remedies of several reasons. */
#define REPORT_IT "report it with the name of the program that sent it"
#define FIND_CLIENT "find out which client it is; an SSTP client does not do this"
#define NONE ""

static const struct reason_words table[REASON_COUNT] = {
    [REASON_NONE] = {"the call has not ended", NONE},
    [REASON_CLIENT_CLOSED] = {"the client closed the connection without a message",
                              "the client's log; before the tunnel: the client does not accept "
                              "something, often the certificate"},
    [REASON_BACKEND_CLOSED] = {"the VPN server closed the connection without a message",
                               "the log of the VPN server"},
    [REASON_CLIENT_DISCONNECT] = {"the client hung up", NONE},
    [REASON_BACKEND_DISCONNECT] = {"the VPN server hung up: its idle timeout, its session limit, "
                                   "or its administrator",
                                   "the log of the VPN server"},
    [REASON_CLIENT_ABORT] = {"the client aborted the call; the detail has its status",
                             "the client's log"},
    [REASON_BACKEND_ABORT] = {"the VPN server aborted the call; the detail has its status",
                              "binding-cert-hash with the hash of the certificate that the server "
                              "expects; the log of the VPN server"},
    [REASON_CLIENT_RESET] = {"the client's connection was reset: its network changed, or it sleeps",
                             NONE},
    [REASON_BACKEND_RESET] = {"the VPN server's connection was reset",
                              "whether the VPN server has crashed; the firewall between gate and "
                              "server"},
    [REASON_LOGIN_REFUSED] = {"the VPN server refused the login",
                              "the user's name, password and permission to dial in; login-error in "
                              "the log; the log of the VPN server or of the RADIUS server"},
    [REASON_ADDRESS_DENIED] = {"a rule of the listener denies the address",
                               "the rule that the line `deny` of the log names"},
    [REASON_LIMIT] = {"the address is banned, or has reached a limit; the detail has the key",
                      "sstpgate ctl bans, and the key in the detail"},
    [REASON_RULE_DENIED] = {"a rule of the listener denies the address, the name or the tenant",
                            "the rule that the line `deny` of the log names"},
    [REASON_RULE_REJECTED] = {"a rule of the listener denies the address, the name or the tenant",
                              "the rule that the line `deny` of the log names"},
    [REASON_BAD_PROXY_HEADER] = {"a trusted proxy connected without a proper PROXY header",
                                 "send-proxy-v2 in the proxy; accept-proxy only for listeners "
                                 "behind one"},
    [REASON_PROXY_CALL] = {"a trusted proxy requested SSTP without the address of a client",
                           "send-proxy-v2 for the clients in the proxy; another kind of health "
                           "check"},
    [REASON_TLS_FAILED] = {"the TLS handshake failed: no common version or cipher, or the bytes "
                           "were not TLS",
                           "tls-min and ciphers of the listener, if the client is known; otherwise "
                           "it is a scanner"},
    [REASON_TLS_REFUSED] = {"the client refused the TLS handshake; the detail has its alert",
                            "tls-min, ciphers and groups of the listener"},
    [REASON_KEY_FAILED] = {"the token or TPM that has the listener's private key did not sign",
                           "the detail; whether the device is connected; then an upgrade (USR2), "
                           "which opens it again"},
    [REASON_CLIENT_REJECTED_CERTIFICATE] =
        {"the client rejected the gate's certificate, or closed after it has seen it",
         "whether the client trusts the CA, dials a name of the certificate, has the right date "
         "and "
         "reaches the CRL; the intermediate certificates in the file"},
    [REASON_NOT_SSTP] = {"the request is not SSTP: a browser, a scanner, or a health check",
                         "fallback for a web site; otherwise nothing"},
    [REASON_REDIRECTED] = {"a request at listen-http, which was redirected to https", NONE},
    [REASON_SSTP_CHECK] = {"a health check asked for the URI of SSTP", NONE},
    [REASON_HEALTH_PATH] = {"a health check asked for health-path", NONE},
    [REASON_BAD_REQUEST] = {"the request is not HTTP, or servers would read it differently",
                            FIND_CLIENT},
    [REASON_REQUEST_TOO_LARGE] = {"the head of the request has more than 8 KiB", FIND_CLIENT},
    [REASON_HOST_REFUSED] = {"the client asked for a name that `host` of the listener does not "
                             "list",
                             "the name that the client dials; `host` of the listener"},
    [REASON_EARLY_DATA] = {"the client sent data before the answer to its request", FIND_CLIENT},
    [REASON_ACME_PASSED] =
        {"a validation of ACME was passed to the ACME client, which has answered", NONE},
    [REASON_ACME_FAILED] =
        {"the ACME client did not answer a validation; the detail has the "
         "cause",
         "whether the ACME client listens at `acme` or `acme-http` of the listener while it "
         "asks for a certificate; between two renewals the client is a scanner"},
    [REASON_NO_SERVER] = {"no server of the backend is up and has room; the detail counts them",
                          "sstpgate ctl servers; max-tunnels of the servers"},
    [REASON_BACKEND_UNREACHABLE] = {"the VPN server could not be reached",
                                    "whether the VPN server runs; DNS; the firewall between gate "
                                    "and server"},
    [REASON_BACKEND_TLS] = {"TLS to the VPN server failed",
                            "`tls`, `tls-min`, the port and `send-proxy` of the backend"},
    [REASON_BACKEND_UNVERIFIED] = {"the VPN server's certificate is not the expected one",
                                   "check on the VPN server that this is its certificate; then "
                                   "pin-sha256, ca-file or verify-host of the backend"},
    [REASON_BACKEND_REFUSED] = {"the VPN server refused the request; the detail has its status",
                                "free SSTP ports on the VPN server; its log; sni, backend-host and "
                                "pass-tenant of the backend"},
    [REASON_BACKEND_BAD_ANSWER] = {"the VPN server's answer is not that of an SSTP server",
                                   "the address and the port of the server"},
    [REASON_HANDSHAKE_TIMEOUT] = {"the client did not complete the TLS handshake in time",
                                  "timeout-handshake, if the client's network is very slow; "
                                  "otherwise it is a scanner"},
    [REASON_HANDSHAKE_QUEUE] = {"the client's TLS handshake did not get its turn in time",
                                "whether this is a flood; handshakes-at-once, handshake-rate and "
                                "workers"},
    [REASON_REQUEST_TIMEOUT] = {"the client sent no request in time",
                                "timeout-request, if the client's network is very slow; otherwise "
                                "it is a scanner"},
    [REASON_ANSWER_TIMEOUT] = {"the VPN server did not answer the request in time",
                               "the load of the VPN server; timeout-answer"},
    [REASON_NEGOTIATE_TIMEOUT] = {"no tunnel came up in time after the request",
                                  "whether the user has typed the password; the logs of the VPN "
                                  "server and the RADIUS server; timeout-negotiate"},
    [REASON_IDLE_TIMEOUT] = {"no data has moved for timeout-idle, or timeout-web of a web site",
                             "timeout-idle, timeout-web"},
    [REASON_MAX_SESSION] = {"the tunnel has lasted for max-session of its listener",
                            "max-session; the client may dial again"},
    [REASON_RADIUS_SILENT] = {"the RADIUS server did not answer the login",
                              "the lines `radius` of the log; sstpgate ctl status; the RADIUS "
                              "server and its secret"},
    [REASON_CLIENT_BAD_PACKET] = {"the client sent bytes that are not SSTP", REPORT_IT},
    [REASON_BACKEND_BAD_PACKET] = {"the VPN server sent bytes that are not SSTP", REPORT_IT},
    [REASON_CLIENT_OUT_OF_PLACE] = {"the client sent a message that SSTP does not allow there",
                                    REPORT_IT},
    [REASON_CLIENT_TOO_MANY_ANSWERS] = {"the client sent more answers than any login needs",
                                        "the EAP settings of the client"},
    [REASON_BACKEND_OUT_OF_PLACE] = {"the VPN server sent a message that SSTP does not allow "
                                     "there, or started LCP over within a login",
                                     REPORT_IT},
    [REASON_CLIENT_BAD_FRAMES] = {"the client sent too many PPP frames that cannot be forwarded",
                                  REPORT_IT},
    [REASON_CLIENT_ASKS_AUTH] = {"the client asked the VPN server to authenticate itself by PPP",
                                 "the PPP settings of the client; pppd: `noauth` instead of "
                                 "`auth`"},
    [REASON_BAD_USER_NAME] = {"the user name is one that servers cut or trim",
                              "the name on the client: no blank at an end, no @ before its \\"},
    [REASON_SECOND_LOGIN] = {"another login began in a tunnel that is up",
                             "chap-interval of pppd or interval of accel-ppp: leave them unset"},
    [REASON_BINDING_FORM] = {"the client's crypto-binding is not well-formed", REPORT_IT},
    [REASON_BINDING_NONCE] = {"the client's crypto-binding is that of another call: a replay",
                              "find out which client it is"},
    [REASON_BINDING_HASH] =
        {"the client's crypto-binding uses a hash protocol that was not offered",
         "both hashes in binding-cert-hash of the backend"},
    [REASON_BINDING_LEAF] = {"the client saw another certificate than the gate's",
                             "`whose` in the line `binding-leaf` of the log; unknown: TLS "
                             "inspection in the client's network, or a man in the middle"},
    [REASON_BINDING_MAC] = {"no known key makes the client's crypto-binding",
                            "the line `binding-mac` of the log; the users file of the backend; its "
                            "`radius`; crypto-binding"},
    [REASON_USER_DENIED] = {"a rule of the listener denies the user",
                            "the rule that the line `deny` of the log names; outer-name"},
    [REASON_USER_EXPIRED] = {"the user's line of the users file has ended",
                             "the end of that line, in `detail` of the log; sstpgate user --list; "
                             "sstpgate user --until sets another end"},
    [REASON_USER_LIMIT] = {"the user has reached max-tunnels-per-user",
                           "max-tunnels-per-user; sstpgate ctl tunnels user NAME"},
    [REASON_USER_BANNED] = {"an administrator has banned the user", "sstpgate ctl bans"},
    [REASON_RULES_CHANGED] = {"the new rules no longer allow the tunnel",
                              "the rule that the line `deny` of the log names"},
    [REASON_WINDOW_ENDED] = {"a time window has begun or ended, and the rules deny the tunnel now",
                             "the rule that the line `deny` of the log names; the zone of its "
                             "`time`"},
    [REASON_ENDED_BY_ADMIN] = {"an administrator has ended the tunnel", NONE},
    [REASON_SHUTDOWN] = {"the gate stops", NONE},
    [REASON_SHUTDOWN_NOW] = {"the gate stops at once", NONE},
    [REASON_DRAINED] = {"both sides have received all bytes", NONE},
    [REASON_DRAIN_TIMEOUT] = {"timeout-drain is over", NONE},
};

const struct reason_words *reason_words(enum reason r)
{
    INSIST((unsigned)r < REASON_COUNT && table[r].words != NULL);
    return &table[r];
}
