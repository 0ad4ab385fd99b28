/* nthash: from a password to NtPasswordHashHash (RFC 2759 8.3, 8.4). Used when users-file lines
 * are made; the running proxy only ever sees the hash-hash. */
#ifndef SSTPGATE_BINDING_NTHASH_H
#define SSTPGATE_BINDING_NTHASH_H

#include "base/err.h"
#include "base/span.h"

enum { NT_HASH = 16, NT_PASSWORD_MAX = 256 /* UTF-16 units, RFC 2759 8.3 */ };

/* OpenSSL's MD4, from its legacy provider. One thread at a time. */
struct nthash;

struct nthash *nthash_new(void); /* NULL: the legacy provider is not installed */
void nthash_free(struct nthash *h);

/* password: UTF-8. ERR_SYNTAX: it is not. ERR_TOO_LARGE: over NT_PASSWORD_MAX units. ERR_TLS:
 * OpenSSL failed. Intermediate values are wiped, here and below. */
enum err nthash_from_password(const struct nthash *h, struct span password,
                              uint8_t hash_hash[NT_HASH]) MUST_CHECK;

/* The same for a secret of which each octet is one UTF-16 unit, whatever was meant by them: so pppd
 * and accel-ppp take the secrets of their files (PROTOCOL.md 5.7). */
enum err nthash_from_octets(const struct nthash *h, struct span secret,
                            uint8_t hash_hash[NT_HASH]) MUST_CHECK;

/* From NtPasswordHash, as Samba keeps it. */
enum err nthash_from_hash(const struct nthash *h, const uint8_t hash[NT_HASH],
                          uint8_t hash_hash[NT_HASH]) MUST_CHECK;

#endif
