/* binding: the crypto-binding of SSTP ([MS-SSTP] 3.2.5.2, 3.3.5.2.3): is the client's Call
 * Connected made for our certificate and this call, and the same message again for the backend's.
 * Pure functions on octets; comparisons of hashes and MACs take constant time. */
#ifndef SSTPGATE_BINDING_BINDING_H
#define SSTPGATE_BINDING_BINDING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"
#include "binding/hlak.h"
#include "wire/sstp.h"

enum { BINDING_SHA1 = 20, BINDING_SHA256 = 32 };

/* The hashes of one leaf certificate. `known` holds SSTP_HASH_ bits: from a certificate both are
 * known, a configured value may give one only. */
struct binding_leaf {
    uint8_t known;
    uint8_t sha1[BINDING_SHA1];
    uint8_t sha256[BINDING_SHA256];
};

/* der: the certificate as TLS carries it. */
void binding_leaf_from_der(struct binding_leaf *out, struct span der);

enum binding_result {
    BINDING_OK = 0,
    BINDING_FORM,  /* no well-formed Crypto Binding attribute in the message */
    BINDING_NONCE, /* not the nonce of this call's Ack */
    BINDING_HASH,  /* a hash protocol that was not offered, or not exactly one */
    BINDING_LEAF,  /* not the hash of the leaf this client was shown: somebody is in between */
    BINDING_MAC,   /* no candidate key makes the client's Compound MAC */
};

/* What the call has to match. */
struct binding_expect {
    uint8_t nonce[SSTP_NONCE];       /* of the Ack that was relayed */
    uint8_t mask;                    /* the hash bits the client was offered; 0: the client may
                                        use either (sorz without a certificate) */
    const struct binding_leaf *leaf; /* the certificate the client was shown on this connection */
};

/* msg: the client's Call Connected as received. Checks form, nonce, hash protocol, leaf, in this
 * order, and stops at the first that is wrong. The MAC is not looked at. *hash is set to the
 * client's hash protocol where BINDING_OK, _LEAF, and to 0 otherwise. The octets that pad a SHA1
 * hash to 32 may be anything: the MAC covers them as sent. A leaf whose hash of the client's kind
 * is not known matches nothing. */
enum binding_result binding_check(struct span msg, const struct binding_expect *expect,
                                  uint8_t *hash) MUST_CHECK;

/* Which of n candidate keys makes the MAC of msg (one that passed binding_check)? Every candidate
 * is computed and compared in constant time. Returns the index of the first, n when none does. The
 * octets that pad a SHA1 MAC to 32 are not looked at. */
size_t binding_find_key(struct span msg, const struct hlak *keys, size_t n);

/* Which hash protocol to use towards a backend that offered `mask` and whose leaf is `leaf`: the
 * client's own when it can be, else the other one; a mask of 0 (sorz without a certificate) stands
 * for both. 0: none. */
uint8_t binding_choose_hash(uint8_t client_hash, uint8_t mask, const struct binding_leaf *leaf);

/* The canonical 112 octets for the backend: nonce of msg (one that passed binding_check), hash
 * protocol `hash`, the backend's leaf hash, a new Compound MAC under key; zeros wherever a bit is
 * reserved or pads. hash must come from binding_choose_hash. out may be msg. */
void binding_make(struct span msg, uint8_t hash, const struct binding_leaf *leaf,
                  const struct hlak *key, uint8_t out[SSTP_CONNECTED_LEN]);

/* PRF+ ([MS-SSTP] 3.2.5.2.3): n octets, at most 255 blocks of the digest, SSTP_HASH_SHA1 or
 * SSTP_HASH_SHA256; a seed of at most 64. Public for its vectors. */
void binding_prf(uint8_t digest, struct span key, struct span seed, uint8_t *out, uint16_t n);

const char *binding_result_name(enum binding_result r); /* "ok", "wrong-leaf", … */

#endif
