/* nthash: computes the NtPasswordHashHash of a password (RFC 2759 8.3, 8.4), for the lines of a
 * users file; the running gate has only the hash-hash. */
#ifndef SSTPGATE_BINDING_NTHASH_H
#define SSTPGATE_BINDING_NTHASH_H

#include "base/err.h"
#include "base/span.h"

enum {
    NT_HASH = 16,
    NT_PASSWORD_MAX = 256, /* UTF-16 units, RFC 2759 8.3 */
    NT_CHALLENGE = 8,
    NT_RESPONSE = 24,
};

/* OpenSSL's MD4 and DES, from its legacy provider. One thread at a time. */
struct nthash;

/* Loads MD4. NULL: the legacy provider is not installed. */
struct nthash *nthash_new(void);
/* Frees h; a no-op for NULL. */
void nthash_free(struct nthash *h);

/* The functions below write hash_hash, which the caller wipes, and wipe intermediate values.
 * ERR_TLS: OpenSSL failed. */

/* Hashes a password in UTF-8. ERR_SYNTAX: not UTF-8. ERR_TOO_LARGE: more than NT_PASSWORD_MAX
 * units. */
enum err nthash_from_password(const struct nthash *h, struct span password,
                              uint8_t hash_hash[NT_HASH]) MUST_CHECK;

/* Hashes a secret in any encoding: each byte becomes one UTF-16 unit, as pppd and accel-ppp treat
 * the secrets in their files (PROTOCOL.md 5.7). ERR_TOO_LARGE: as above. */
enum err nthash_from_octets(const struct nthash *h, struct span secret,
                            uint8_t hash_hash[NT_HASH]) MUST_CHECK;

/* Hashes an NtPasswordHash, which Samba stores. */
enum err nthash_from_hash(const struct nthash *h, const uint8_t hash[NT_HASH],
                          uint8_t hash_hash[NT_HASH]) MUST_CHECK;

/* Computes a client's NT-Response to a challenge (RFC 2759 8.5) and the hash-hash, from a password
 * in UTF-8. ERR_SYNTAX, ERR_TOO_LARGE: as nthash_from_password. */
enum err nthash_respond(const struct nthash *h, struct span password,
                        const uint8_t challenge[NT_CHALLENGE], uint8_t response[NT_RESPONSE],
                        uint8_t hash_hash[NT_HASH]) MUST_CHECK;

#endif
