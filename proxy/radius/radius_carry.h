/* radius_carry: what becomes of a RADIUS packet on its way through the gate (RFC 2865 2.3). Only
 * what has to change does: signatures, what is hidden with a secret, Proxy-State, and
 * Calling-Station-Id where that is wanted. Pure, but for random numbers. */
#ifndef SSTPGATE_RADIUS_RADIUS_CARRY_H
#define SSTPGATE_RADIUS_RADIUS_CARRY_H

#include "base/addr.h"
#include "binding/radius_crypt.h"

enum { RADIUS_PROXY_STATE_LEN = 8 };

/* The two sides of one request, as far as its packets depend on them. */
struct radius_trip {
    struct span client_secret, server_secret;
    uint8_t client_id;
    uint8_t client_authenticator[RADIUS_AUTHENTICATOR];
    uint8_t server_authenticator[RADIUS_AUTHENTICATOR]; /* as its request was sent */
    uint8_t proxy_state[RADIUS_PROXY_STATE_LEN];        /* set by radius_carry_request */
};

/* The request as the server gets it, but for its identifier and the signatures: radius_carry_sign.
 * An Access-Request gets an authenticator of its own, so everything that was made with the client's
 * is made again; a challenge that was the authenticator (RFC 2865 2.2) becomes an attribute.
 * caller: NULL, or the address for Calling-Station-Id. False: it would be too long. */
bool radius_carry_request(const struct radius_packet *p, struct radius_trip *trip,
                          const struct addr *caller, struct radius_out *out) MUST_CHECK;

/* Gives it this identifier and signs it. */
void radius_carry_sign(struct radius_out *request, struct radius_trip *trip, uint8_t id);

/* The answer as the client gets it. False: it would be too long. */
bool radius_carry_answer(const struct radius_packet *p, const struct radius_trip *trip,
                         struct radius_out *out) MUST_CHECK;

/* A login in an Access-Request; parts that the request does not have are empty. */
struct radius_login {
    struct span user;
    struct span eap;   /* the packet in its EAP-Messages */
    struct span proof; /* without EAP: NT-Response or the response of CHAP-MD5 */
};

/* Finds the login of a request. scratch: room for an EAP packet that came in pieces; scratch and
 * the request must outlive *out. */
void radius_carry_login(const struct radius_packet *request, uint8_t scratch[RADIUS_MAX],
                        struct radius_login *out);

#endif
