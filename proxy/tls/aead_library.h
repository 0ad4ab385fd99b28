/* aead_library: the interface to a library of ciphers, of which aead.c chooses one. */
#ifndef SSTPGATE_TLS_AEAD_LIBRARY_H
#define SSTPGATE_TLS_AEAD_LIBRARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "tls/aead_cipher.h"

struct aead_key;

struct aead_library_ops {
    /* Loads the library. false: this program or this machine cannot use it. Called once. */
    bool (*start)(void);
    const char *(*name)(void);
    bool (*has)(enum aead_cipher c);
    struct aead_key *(*key_new)(enum aead_cipher c, const uint8_t *key);
    void (*key_free)(struct aead_key *k);
    void (*seal)(struct aead_key *k, const uint8_t *nonce, struct span aad, struct span plain,
                 uint8_t *out);
    /* sealed.n >= AEAD_TAG. false: the tag is wrong; the caller wipes out. */
    bool (*open)(struct aead_key *k, const uint8_t *nonce, struct span aad, struct span sealed,
                 uint8_t *out);
};

/* The first member of a library's key. */
struct aead_key {
    const struct aead_library_ops *library;
};

#endif
