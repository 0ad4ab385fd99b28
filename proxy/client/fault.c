#include "client/fault.h"

#include <stddef.h>

#include "base/insist.h"

#define SERVER "the server"
#define NETWORK "the network"

static const struct fault_info faults[FAULTS] = {
    [FAULT_NONE] = {"none", "no fault", "nobody", ""},
    [FAULT_LOCAL] = {"local", "this machine cannot make the call", "this machine", "the message"},
    [FAULT_NAME] = {"name", "the name has no address", "the name, or the DNS of this machine",
                    "the spelling of the name; `getent ahosts NAME`"},
    [FAULT_REFUSED] = {"refused", "the port is closed: nothing listens there", SERVER,
                       "whether the server runs, the port number, and a firewall that rejects"},
    [FAULT_NO_ROUTE] = {"unreachable", "the address cannot be reached", NETWORK,
                        "the address, routes and firewalls between here and there"},
    [FAULT_TIMEOUT] = {"timeout", "no answer in time", SERVER " or a firewall that drops packets",
                       "whether the server runs; firewalls; a larger --timeout"},
    [FAULT_CLOSED] = {"closed", "the server closed the connection", SERVER,
                      "the log of the server at this time"},
    [FAULT_NOT_TLS] = {"not-tls", "the answer is not TLS",
                       "the port number, or a server that speaks plain HTTP",
                       "the port; --plain for a server without TLS (tls = no)"},
    [FAULT_TLS] = {"tls", "the TLS handshake failed",
                   "the TLS settings of the server or of this program",
                   "the message; --tls-min 1.0 for an old server; `sstpgate probe`"},
    [FAULT_UNTRUSTED] = {"untrusted", "the certificate does not verify",
                         "the certificate, or the name that was dialled",
                         "name, dates and issuer of the certificate: `sstpgate probe`; --host for "
                         "another name, --ca-file or --pin for a private CA"},
    [FAULT_PIN] = {"pin", "the certificate is not the pinned one",
                   "a renewed certificate, or a man in the middle",
                   "the pin; if the certificate was renewed on purpose, use the new one"},
    [FAULT_NOT_HTTP] = {"not-http", "the answer is not HTTP", "the port number",
                        "which program listens on this port"},
    [FAULT_STATUS] =
        {"status", "the server refused the SSTP request", SERVER,
         "whether SSTP is switched on, the Host name (--host), and the rules of a gate "
         "(`sstpgate ctl failures`)"},
    [FAULT_NOT_SSTP] = {"not-sstp", "after its 200 the server does not speak SSTP",
                        "the port number, or a proxy in between", "which program listens there"},
    [FAULT_NAK] = {"nak", "the server refused the SSTP protocol for PPP", SERVER,
                   "the log of the server"},
    [FAULT_NO_HASH] = {"no-hash", "the server offers no usable hash protocol for the binding",
                       SERVER, "its certificate hashes"},
    [FAULT_ABORTED] = {"aborted", "the server aborted the call", SERVER,
                       "the log of the server; through a gate `sstpgate ctl failures`"},
    [FAULT_ENDED] = {"ended", "the server ended the call", SERVER,
                     "the log of the server: limits, licences, addresses"},
    [FAULT_ENDLESS] = {"endless", "the negotiation does not end", SERVER, "its PPP options"},
    [FAULT_NO_METHOD] = {"no-method", "no method of authentication in common",
                         "the settings of the server, or --method",
                         "the methods that the server offers: `sstpgate probe`"},
    [FAULT_NO_EAP] = {"no-eap-type", "the server insists on another type of EAP", "--method",
                      "the authentication methods of the server"},
    [FAULT_PASSWORD] = {"refused-login", "the server refused the login", "the name or the password",
                        "the spelling of both, DOMAIN\\name or name@realm, and whether the account "
                        "may dial in"},
    [FAULT_LOGIN_END] =
        {"login-ended", "the server ended the call instead of answering the login",
         "the name or the password",
         "the spelling of both; some servers (SoftEther) end the call after a wrong "
         "password; the log of the server"},
    [FAULT_EXPIRED] = {"expired", "the password has expired", "the account", "set a new password"},
    [FAULT_UNJUDGED] = {"unjudged", "the server could not check the password",
                        "the RADIUS server or directory behind the server",
                        "whether that RADIUS server or directory answers"},
    [FAULT_IMPOSTOR] = {"impostor", "the server does not prove that it knows the password",
                        "an impostor, or a different password on the server",
                        "the address; do not use the password with this server"},
    [FAULT_BINDING] =
        {"binding", "the call was aborted after Call Connected: the crypto-binding",
         "the certificate hash, or the key of the binding",
         "through a gate: `sstpgate ctl failures`; otherwise the certificate that the "
         "server hashes (sstpgate binding)"},
    [FAULT_NO_IPCP] = {"no-ipcp", "the server refuses IPCP", SERVER, "its IPv4 settings"},
    [FAULT_NO_ADDRESS] = {"no-address", "the server assigned no IPv4 address", SERVER,
                          "its pool of addresses"},
    [FAULT_NO_PING] = {"no-ping", "nothing answers a ping through the tunnel",
                       "a firewall on the server", "its firewall; --no-ping if it never answers"},
};

const struct fault_info *fault_info(enum fault f)
{
    INSIST(f < FAULTS && faults[f].word != NULL);
    return &faults[f];
}

const char *step_name(enum step s)
{
    static const char *const names[] = {[STEP_RESOLVE] = "resolve", [STEP_CONNECT] = "connect",
                                        [STEP_TLS] = "tls",         [STEP_REQUEST] = "request",
                                        [STEP_SSTP] = "sstp",       [STEP_LCP] = "lcp",
                                        [STEP_LOGIN] = "login",     [STEP_IPCP] = "ipcp",
                                        [STEP_PING] = "ping",       [STEP_UP] = "up"};
    INSIST(s < sizeof names / sizeof *names);
    return names[s];
}

int fault_exit(enum step s, enum fault f)
{
    if (f == FAULT_NONE)
        return 0;
    if (f == FAULT_LOCAL)
        return 1;
    if (f == FAULT_BINDING)
        return FAULT_EXIT_BINDING;
    if (s <= STEP_CONNECT)
        return FAULT_EXIT_CONNECT;
    if (s == STEP_TLS)
        return FAULT_EXIT_TLS;
    if (s <= STEP_LCP)
        return f == FAULT_NO_METHOD ? FAULT_EXIT_LOGIN : FAULT_EXIT_SSTP;
    return s == STEP_LOGIN ? FAULT_EXIT_LOGIN : FAULT_EXIT_NETWORK;
}
