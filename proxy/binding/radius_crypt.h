/* radius_crypt: what a shared secret does to RADIUS packets: it signs them, and hides passwords and
 * keys in them. Whoever stands between two sides with a secret each makes all of that again. Out of
 * the keys that an Access-Accept brings come the HLAKs of its login (PROTOCOL.md 5.5). Any thread.
 *
 * Secrets are spans of the caller's; what is derived from them is wiped here, results by the
 * caller. */
#ifndef SSTPGATE_BINDING_RADIUS_CRYPT_H
#define SSTPGATE_BINDING_RADIUS_CRYPT_H

#include "binding/hlak.h"
#include "wire/radius.h"

/* ---- signatures ---- */

enum radius_proof {
    RADIUS_FORGED,   /* the authenticator or the Message-Authenticator is not of this secret */
    RADIUS_UNSIGNED, /* without Message-Authenticator; of an Access-Request nothing is proved then
                      */
    RADIUS_SIGNED,   /* its Message-Authenticator is right */
};

/* request: the authenticator of the request that p answers; NULL when p is a request. */
enum radius_proof radius_verify(const struct radius_packet *p, const uint8_t *request,
                                struct span secret) MUST_CHECK;

/* Signs a packet that radius_end has finished: fills its Message-Authenticator, if it has one (of
 * 16 octets, any), and its authenticator, which an Access-Request and a Status-Server must have
 * already: there it is random. request: as above. */
void radius_sign(struct radius_out *o, const uint8_t *request, struct span secret);

/* An authenticator that nobody can foresee (RFC 2865 3). */
void radius_random(uint8_t *out, size_t n);

/* ---- what is hidden ---- */

/* One side of a proxy: its secret, and the authenticator of the Access-Request on this side. */
struct radius_side {
    struct span secret;
    const uint8_t *authenticator;
};

/* Hides again for `to` what was hidden for `from`, in a packet that radius_end has finished: the
 * User-Password of a request (RFC 2865 5.2), and of an answer Tunnel-Password (RFC 2868 3.5),
 * MS-CHAP-MPPE-Keys, MS-MPPE-Send-Key and -Recv-Key (RFC 2548 2.4). No length changes. Salts are
 * new and differ inside of the packet. What has not the form of such a value stays as it is. */
void radius_hide_again(struct radius_out *o, const struct radius_side *from,
                       const struct radius_side *to);

/* The keys of an Access-Accept, as candidates for the HLAK, most likely first; at most max.
 * challenge: the MS-CHAP-Challenge of the request, which MS-CHAP-MPPE-Keys need (8 octets); empty
 * where there was none. Returns how many. */
size_t radius_keys(const struct radius_packet *accept, const struct radius_side *side,
                   struct span challenge, struct hlak *out, size_t max);

#endif
