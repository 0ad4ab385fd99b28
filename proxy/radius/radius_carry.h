/* radius_carry: rebuilds a RADIUS packet for the other side of the proxy (RFC 2865 2.3). Only what
 * must change is changed: signatures, attributes hidden with a shared secret, Proxy-State, and
 * Calling-Station-Id and Tunnel-Client-Endpoint if the configuration asks for it. Pure, except for
 * random numbers. */
#ifndef SSTPGATE_RADIUS_RADIUS_CARRY_H
#define SSTPGATE_RADIUS_RADIUS_CARRY_H

#include "base/addr.h"
#include "binding/radius_crypt.h"

enum { RADIUS_PROXY_STATE_LEN = 8 };

/* The values that the packets of one request depend on, at its client and at its server. */
struct radius_trip {
    struct span client_secret, server_secret;
    uint8_t client_id;
    uint8_t client_authenticator[RADIUS_AUTHENTICATOR];
    uint8_t server_authenticator[RADIUS_AUTHENTICATOR]; /* of the request as sent */
    uint8_t proxy_state[RADIUS_PROXY_STATE_LEN];        /* set by radius_carry_request */
};

/* Builds the request for the server, except for its identifier and signatures (radius_carry_sign).
 * An Access-Request gets a new authenticator, so attributes hidden with the client's are hidden
 * again; a CHAP challenge that was the authenticator (RFC 2865 2.2) becomes an attribute. caller:
 * address for Calling-Station-Id, and for Tunnel-Client-Endpoint if p has it; NULL: unchanged.
 * False: it would be too long. */
bool radius_carry_request(const struct radius_packet *p, struct radius_trip *trip,
                          const struct addr *caller, struct radius_out *out) MUST_CHECK;

/* Sets the identifier of the request and signs it. */
void radius_carry_sign(struct radius_out *request, struct radius_trip *trip, uint8_t id);

/* Builds the answer for the client, signed. False: it would be too long. */
bool radius_carry_answer(const struct radius_packet *p, const struct radius_trip *trip,
                         struct radius_out *out) MUST_CHECK;

/* A login in an Access-Request; parts that the request does not have are empty. */
struct radius_login {
    struct span user;
    struct span eap;   /* the packet in its EAP-Messages */
    struct span proof; /* without EAP: NT-Response or the response of CHAP-MD5 */
};

/* Finds the login of a request. scratch: room for an EAP packet that is split into several
 * attributes; scratch and the request must outlive *out. */
void radius_carry_login(const struct radius_packet *request, uint8_t scratch[RADIUS_MAX],
                        struct radius_login *out);

#endif
