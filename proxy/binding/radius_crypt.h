/* radius_crypt: the operations with the shared secret of two RADIUS peers, which signs packets, and
 * hides passwords and keys in them. A proxy has a secret with each side, so it verifies, re-signs
 * and re-hides packets. The keys in an Access-Accept give the HLAKs of its login (PROTOCOL.md 5.5).
 * Any thread.
 *
 * Secrets are spans of the caller. Values derived from them are wiped here; the caller wipes
 * results. */
#ifndef SSTPGATE_BINDING_RADIUS_CRYPT_H
#define SSTPGATE_BINDING_RADIUS_CRYPT_H

#include "binding/hlak.h"
#include "wire/radius.h"

/* ---- signatures ---- */

enum radius_proof {
    RADIUS_FORGED,   /* the authenticator or the Message-Authenticator is wrong for this secret */
    RADIUS_UNSIGNED, /* no Message-Authenticator, so an Access-Request proves nothing */
    RADIUS_SIGNED,   /* the Message-Authenticator is correct */
};

/* Verifies a packet. request: the authenticator of the request that p answers; NULL: p is a
 * request. */
enum radius_proof radius_verify(const struct radius_packet *p, const uint8_t *request,
                                struct span secret) MUST_CHECK;

/* Signs a packet that radius_end() has finished: sets the Message-Authenticator, if the packet has
 * one (16 bytes of any value), and the authenticator, except in an Access-Request and a
 * Status-Server, where the authenticator is random and must be set before. request: as above. */
void radius_sign(struct radius_out *o, const uint8_t *request, struct span secret);

/* Writes n unpredictable bytes, for an authenticator (RFC 2865 3). */
void radius_random(uint8_t *out, size_t n);

/* ---- hidden values ---- */

/* One side of a proxy: its shared secret, and the authenticator of the Access-Request on that
 * side. */
struct radius_side {
    struct span secret;
    const uint8_t *authenticator;
};

/* Re-hides for `to` the values that are hidden for `from`, in a packet that radius_end() has
 * finished: User-Password of a request (RFC 2865 5.2); Tunnel-Password (RFC 2868 3.5),
 * MS-CHAP-MPPE-Keys, MS-MPPE-Send-Key and MS-MPPE-Recv-Key (RFC 2548 2.4) of an answer. No length
 * changes. Salts are new, and different within the packet. Malformed values remain unchanged. */
void radius_hide_again(struct radius_out *o, const struct radius_side *from,
                       const struct radius_side *to);

/* Writes the candidates for the HLAK from the keys of an Access-Accept, the most likely first, and
 * returns their number, at most max. challenge: the MS-CHAP-Challenge of the request, of 8 bytes,
 * which MS-CHAP-MPPE-Keys need; empty: none. */
size_t radius_keys(const struct radius_packet *accept, const struct radius_side *side,
                   struct span challenge, struct hlak *out, size_t max);

#endif
