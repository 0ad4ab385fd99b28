/* nthash: from a password to NtPasswordHashHash (RFC 2759 8.3, 8.4). Used when a users-file line
 * is made; the running proxy only ever sees the hash-hash. */
#ifndef SSTPGATE_BINDING_NTHASH_H
#define SSTPGATE_BINDING_NTHASH_H

#include "base/err.h"
#include "base/span.h"

enum { NT_HASH = 16, NT_PASSWORD_MAX = 256 /* UTF-16 units, RFC 2759 8.3 */ };

/* password: UTF-8. ERR_SYNTAX: not UTF-8. ERR_TOO_LARGE: over NT_PASSWORD_MAX units. ERR_TLS: this
 * OpenSSL has no MD4 (its legacy provider is not installed). Intermediate values are wiped. */
enum err nthash_from_password(struct span password, uint8_t hash_hash[NT_HASH]) MUST_CHECK;

#endif
