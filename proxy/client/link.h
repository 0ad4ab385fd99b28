/* link: the client's end of a PPP link (RFC 1661): LCP, the login, IPCP, and a ping of the server.
 * Everything else is rejected or ignored. Pure: frames in, frames out; no clock, no random numbers,
 * no allocation. */
#ifndef SSTPGATE_CLIENT_LINK_H
#define SSTPGATE_CLIENT_LINK_H

#include "client/conf.h"
#include "client/echo.h"
#include "client/login.h"

enum {
    LINK_METHODS_MAX = 8,
    LINK_OPTIONS_MAX = 16,
    LINK_SUGGESTIONS = 3,  /* of methods, besides one for each that is acceptable */
    LINK_REJECTS_MAX = 32, /* frames that are answered with a Protocol-Reject */
};

/* An authentication protocol that the server has requested in LCP. */
struct link_auth {
    uint16_t protocol;
    uint8_t algorithm; /* CHAP's; otherwise 0 */
};

/* In their order, except for the last two. */
enum link_phase {
    LINK_LCP,
    LINK_LOGIN,
    LINK_ACCEPTED, /* link_network continues */
    LINK_IPCP,
    LINK_UP,
    LINK_PONG,   /* the server has answered a ping */
    LINK_ENDED,  /* the server has terminated LCP */
    LINK_FAILED, /* `fault` */
};

enum link_fault {
    LINK_FINE,
    LINK_NO_METHOD,    /* the server requests no method that is allowed */
    LINK_ENDLESS,      /* LCP or IPCP does not end */
    LINK_LOGIN_FAILED, /* login.result */
    LINK_NO_IPCP,      /* the server has rejected IPCP, or ended it */
    LINK_NO_ADDRESS,   /* the server has assigned no address to the client */
};

struct link_settings {
    struct login_settings login;
    /* The methods that are acceptable, best first; a worse one is accepted only after the better
     * ones were suggested: PPP_METHOD_PAP, _CHAP_MD5, _MSCHAPV2, _EAP (with EAP-MSCHAPv2). With
     * survey others are possible, too. */
    enum ppp_method methods[LINK_METHODS_MAX];
    size_t method_count;
    uint8_t magic[4]; /* random, not zero */
    uint16_t echo_id; /* of pings */
    bool
        survey; /* every method is refused, one after the other is suggested, and no login begins */
};

typedef void link_send(void *arg, struct span frame);

struct link {
    struct link_settings settings;
    link_send *send;
    void *arg;
    enum link_phase phase;
    enum link_fault fault;
    struct conf lcp, ipcp;
    struct login login;
    struct link_auth asked; /* in the server's latest Configure-Request; protocol 0: none */
    struct link_auth offered[LINK_METHODS_MAX]; /* those of all requests, in their order */
    size_t offered_count;
    size_t suggested; /* methods that were suggested to the server */
    unsigned rejects;
    uint8_t reject_id;
    uint8_t options[LINK_OPTIONS_MAX]; /* types of LCP options that the server has requested */
    size_t option_count;
    uint16_t mru;            /* that the server requests; 0: none */
    uint8_t server[ECHO_IP]; /* its address in the tunnel; 0: unknown */
    uint16_t echoes;         /* pings sent to each address */
};

/* Begins with LCP. settings are copied, but what login.user, .password and .md4 point to must
 * outlive l. */
void link_start(struct link *l, const struct link_settings *settings, link_send *send, void *arg);

/* Handles a frame of the server. Calls send a few times at most. l->phase may change. */
void link_receive(struct link *l, struct span octets);

/* Begins IPCP, in the phase LINK_ACCEPTED. */
void link_network(struct link *l);

/* Pings the server, and its name server, in the phase LINK_UP. False: no address is known. */
bool link_ping(struct link *l);

/* Sends the latest packet that has no answer again. */
void link_retransmit(struct link *l);

/* Returns whether the server has rejected the client's magic number. */
bool link_magic_rejected(const struct link *l);

/* Return the client's address and the name server that IPCP has given, 4 bytes; NULL: none. */
const uint8_t *link_address(const struct link *l);
const uint8_t *link_name_server(const struct link *l);

/* Wipes the secrets. */
void link_fini(struct link *l);

#endif
