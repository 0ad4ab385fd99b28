/* aead: authenticated encryption for records, by one of two libraries: libipsec-mb, which is
 * several times as fast for a short record, or OpenSSL, which is always present. The library is
 * chosen once, at the start, and its known answers are checked. README.md is for reviewers. */
#ifndef SSTPGATE_TLS_AEAD_H
#define SSTPGATE_TLS_AEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "tls/aead_cipher.h"

/* An expanded key, in memory of base/secrets.h (OpenSSL keeps its part on its own heap, and wipes
 * it). One thread at a time. */
struct aead_key;

/* Chooses the library and checks known answers, the first time; later calls return the same result.
 * libipsec-mb is used if the program was built with it, the processor has AES instructions, and
 * OpenSSL's configuration does not request FIPS. false: an answer is wrong, error has a message,
 * and the program must not start. Without this call the first use of a key calls it, and aborts if
 * it returns false. It takes about 20 ms, nearly all of it for libipsec-mb's self-test. */
bool aead_start(char error[AEAD_ERROR_MAX]);

/* Returns the library in use: "ipsec-mb 1.3.0", "OpenSSL 3.0.17". */
const char *aead_name(void);

/* Returns whether the library in use has the cipher: OpenSSL in FIPS mode has no ChaCha20. */
bool aead_has(enum aead_cipher c);

size_t aead_key_size(enum aead_cipher c);

/* Expands a key of aead_key_size(c) bytes. */
struct aead_key *aead_key_new(enum aead_cipher c, const uint8_t *key);

/* Wipes and frees k; a no-op for NULL. */
void aead_key_free(struct aead_key *k);

/* Encrypts plain and appends the tag. out: plain.n + AEAD_TAG bytes; plain.p itself, or no byte in
 * common with plain. */
void aead_seal(struct aead_key *k, const uint8_t nonce[AEAD_NONCE], struct span aad,
               struct span plain, uint8_t *out);

/* Decrypts sealed, whose last AEAD_TAG bytes are the tag. out: sealed.n - AEAD_TAG bytes; sealed.p
 * itself, or no byte in common with sealed. false: sealed is shorter than a tag or the tag is
 * wrong; then out is all zeros. */
bool aead_open(struct aead_key *k, const uint8_t nonce[AEAD_NONCE], struct span aad,
               struct span sealed, uint8_t *out);

/* For tests: uses this library for the keys that are made from now on. false: the program was built
 * without it, or this machine cannot use it. */
enum aead_library { AEAD_EVP, AEAD_MB };
bool aead_use(enum aead_library which);

#endif
