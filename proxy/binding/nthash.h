/* nthash: from a password to NtPasswordHashHash (RFC 2759 8.3, 8.4). Used to write lines of a
 * users file; the running gate only has the hash-hash. */
#ifndef SSTPGATE_BINDING_NTHASH_H
#define SSTPGATE_BINDING_NTHASH_H

#include "base/err.h"
#include "base/span.h"

enum { NT_HASH = 16, NT_PASSWORD_MAX = 256 /* UTF-16 units, RFC 2759 8.3 */ };

/* OpenSSL's MD4, from its legacy provider. One thread at a time. */
struct nthash;

/* NULL: the legacy provider is not installed. */
struct nthash *nthash_new(void);
/* A no-op for NULL. */
void nthash_free(struct nthash *h);

/* The functions below write hash_hash, which the caller wipes, and wipe intermediate values.
 * ERR_TLS: OpenSSL failed. */

/* From a password in UTF-8. ERR_SYNTAX: not UTF-8. ERR_TOO_LARGE: more than NT_PASSWORD_MAX
 * units. */
enum err nthash_from_password(const struct nthash *h, struct span password,
                              uint8_t hash_hash[NT_HASH]) MUST_CHECK;

/* From a secret of which each octet becomes one UTF-16 unit, in any encoding, as pppd and accel-ppp
 * treat the secrets in their files (PROTOCOL.md 5.7). ERR_TOO_LARGE: as above. */
enum err nthash_from_octets(const struct nthash *h, struct span secret,
                            uint8_t hash_hash[NT_HASH]) MUST_CHECK;

/* From NtPasswordHash, which Samba stores. */
enum err nthash_from_hash(const struct nthash *h, const uint8_t hash[NT_HASH],
                          uint8_t hash_hash[NT_HASH]) MUST_CHECK;

#endif
