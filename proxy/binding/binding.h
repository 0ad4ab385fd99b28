/* binding: the crypto-binding of SSTP ([MS-SSTP] 3.2.5.2, 3.3.5.2.3). Verifies that the client's
 * Call Connected was made for this gate's certificate and this call, and re-signs it for the
 * backend's certificate. Pure functions on bytes; hashes and MACs compare in constant time. */
#ifndef SSTPGATE_BINDING_BINDING_H
#define SSTPGATE_BINDING_BINDING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"
#include "binding/hlak.h"
#include "wire/sstp.h"

enum { BINDING_SHA1 = 20, BINDING_SHA256 = 32 };

/* The hashes of one leaf certificate. known: SSTP_HASH_ bits; both for a certificate, perhaps only
 * one for a configured value. */
struct binding_leaf {
    uint8_t known;
    uint8_t sha1[BINDING_SHA1];
    uint8_t sha256[BINDING_SHA256];
};

/* Computes both hashes of a certificate. der: as sent in TLS. */
void binding_leaf_from_der(struct binding_leaf *out, struct span der);

enum binding_result {
    BINDING_OK = 0,
    BINDING_FORM,  /* the message has no well-formed Crypto Binding attribute */
    BINDING_NONCE, /* the nonce is not that of this call's Ack */
    BINDING_HASH,  /* the hash protocol is not exactly one, or was not offered */
    BINDING_LEAF,  /* the hash is not that of the leaf shown to the client: a man in the middle */
    BINDING_MAC,   /* no candidate key produces the client's Compound MAC */
};

/* The values that Call Connected must match. */
struct binding_expect {
    uint8_t nonce[SSTP_NONCE]; /* the nonce of the Ack that the gate has relayed */
    uint8_t mask; /* hash bits that the Ack has offered; 0: the client may use either (sorz without
                     a certificate) */
    const struct binding_leaf
        *leaf; /* the certificate that the client was shown on this connection */
};

/* Checks form, nonce, hash protocol and leaf of the client's Call Connected, in this order, and
 * returns the result for the first wrong one, or BINDING_OK. Does not check the MAC. msg: as
 * received. *hash: the client's hash protocol if the result is BINDING_OK or BINDING_LEAF, else 0.
 * The bytes that pad a SHA1 hash to 32 may have any value, because the MAC covers them as sent. A
 * leaf whose hash under the client's hash protocol is unknown never matches. */
enum binding_result binding_check(struct span msg, const struct binding_expect *expect,
                                  uint8_t *hash) MUST_CHECK;

/* Returns the index of the first of n candidate keys that produces the MAC of msg; n: none does.
 * Computes the MAC of every candidate, and compares in constant time. The bytes that pad a SHA1 MAC
 * to 32 are ignored. msg: must have passed binding_check(). */
size_t binding_find_key(struct span msg, const struct hlak *keys, size_t n);

/* Returns the hash protocol for a backend that has offered `mask` and has this leaf: the client's
 * if possible, else the other one; 0: neither is possible. A mask of 0 (sorz without a certificate)
 * means both. */
uint8_t binding_choose_hash(uint8_t client_hash, uint8_t mask, const struct binding_leaf *leaf);

/* Builds the canonical 112 bytes of Call Connected for the backend: the nonce of msg, the hash
 * protocol, the hash of the backend's leaf, and a new Compound MAC under key; reserved bits and
 * padding are zero. msg: must have passed binding_check(). hash: from binding_choose_hash(). out
 * may be msg. */
void binding_make(struct span msg, uint8_t hash, const struct binding_leaf *leaf,
                  const struct hlak *key, uint8_t out[SSTP_CONNECTED_LEN]);

/* Builds a client's Call Connected, in the same form. nonce: of the server's Ack; it may be part of
 * out. leaf: the server's; hash must be known. */
void binding_build(const uint8_t nonce[SSTP_NONCE], uint8_t hash, const struct binding_leaf *leaf,
                   const struct hlak *key, uint8_t out[SSTP_CONNECTED_LEN]);

/* Computes PRF+ ([MS-SSTP] 3.2.5.2.3). digest: SSTP_HASH_SHA1 or SSTP_HASH_SHA256. seed: at most 64
 * bytes. n: bytes of out, at most 255 digests. Public for its test vectors. */
void binding_prf(uint8_t digest, struct span key, struct span seed, uint8_t *out, uint16_t n);

/* Returns a name for the log: "ok", "wrong-leaf", … */
const char *binding_result_name(enum binding_result r);

#endif
