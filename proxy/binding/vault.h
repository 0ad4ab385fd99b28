/* vault: seals entries that several gates exchange through a store that none of them trusts. Each
 * purpose has a key of its own, derived from one secret. An entry is bound to its purpose and its
 * name, and without the secret an attacker cannot read, alter or forge one, or find the label of a
 * name.
 * Pure, except for random numbers. Any thread.
 *
 * Key of a purpose: HKDF-SHA256 (RFC 5869), salt "sstpgate shared-secret-file 1", info the name of
 * the purpose. Name of an entry: HMAC-SHA256 of its label, the first 16 bytes. Sealed entry: a
 * random nonce of 12 bytes, AES-256-GCM of the entry, and its tag of 16 bytes; the additional data
 * is the name. */
#ifndef SSTPGATE_BINDING_VAULT_H
#define SSTPGATE_BINDING_VAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

enum {
    VAULT_SECRET_MIN = 32, /* bytes of the secret */
    VAULT_NAME = 16,
    VAULT_NONCE = 12,
    VAULT_TAG = 16,
    VAULT_OVERHEAD = VAULT_NONCE + VAULT_TAG,
    VAULT_MARKS = 16,
    VAULT_PRINT = 8,
};

enum vault_purpose {
    VAULT_LOGIN,  /* "radius keys" */
    VAULT_CLIENT, /* "client addresses" */
};

struct vault;

/* secret: at least VAULT_SECRET_MIN bytes; not used after the call. */
struct vault *vault_new(struct span secret);
void vault_free(struct vault *v); /* wipes the keys; NULL: no-op */

/* Writes the name of the entry with this label. Purposes have different names for a label. */
void vault_name(const struct vault *v, enum vault_purpose purpose, struct span label,
                uint8_t out[VAULT_NAME]);

/* Writes plain.n + VAULT_OVERHEAD bytes. out may not overlap plain. */
void vault_seal(const struct vault *v, enum vault_purpose purpose, const uint8_t name[VAULT_NAME],
                struct span plain, uint8_t *out);

/* Seals with a nonce that the caller chooses: for tests. */
void vault_seal_with(const struct vault *v, enum vault_purpose purpose,
                     const uint8_t name[VAULT_NAME], const uint8_t nonce[VAULT_NONCE],
                     struct span plain, uint8_t *out);

/* Writes sealed.n - VAULT_OVERHEAD bytes. False: the entry has another secret, purpose or name, or
 * was altered; then out has zeros. */
bool vault_open(const struct vault *v, enum vault_purpose purpose, const uint8_t name[VAULT_NAME],
                struct span sealed, uint8_t *out) MUST_CHECK;

/* Writes the key of the marks of logins (radius/keyring.h), which all gates must have. */
void vault_marks(const struct vault *v, uint8_t out[VAULT_MARKS]);

/* Writes a fingerprint of the secret, by which gates notice that they have different ones. */
void vault_print(const struct vault *v, uint8_t out[VAULT_PRINT]);

#endif
