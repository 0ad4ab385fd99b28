#include "tls/aead_evp.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>

#include "base/insist.h"
#include "base/secrets.h"

struct evp_key {
    struct aead_key base;
    EVP_CIPHER_CTX *ctx;
};

/* Fetched once: a fetch for each key takes longer than its expansion. NULL: not available. */
static EVP_CIPHER *ciphers[AEAD_CIPHERS];

static bool evp_start(void)
{
    ciphers[AEAD_AES_128_GCM] = EVP_CIPHER_fetch(NULL, "AES-128-GCM", NULL);
    ciphers[AEAD_AES_256_GCM] = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    ciphers[AEAD_CHACHA20_POLY1305] = EVP_CIPHER_fetch(NULL, "ChaCha20-Poly1305", NULL);
    return true;
}

static const char *evp_name(void)
{
    static char name[64];

    snprintf(name, sizeof name, "OpenSSL %s", OpenSSL_version(OPENSSL_VERSION_STRING));
    return name;
}

static bool evp_has(enum aead_cipher c)
{
    return ciphers[c] != NULL;
}

static struct aead_key *evp_key_new(enum aead_cipher c, const uint8_t *key)
{
    struct evp_key *k = secrets_alloc(sizeof *k);

    k->ctx = insist_alloc(EVP_CIPHER_CTX_new());
    INSIST(EVP_CipherInit_ex2(k->ctx, ciphers[c], key, NULL, 1, NULL) == 1);
    k->base.library = &aead_evp;
    return &k->base;
}

static void evp_key_free(struct aead_key *base)
{
    struct evp_key *k = (struct evp_key *)base;

    EVP_CIPHER_CTX_free(k->ctx); /* wipes its copy of the key */
    secrets_free(k, sizeof *k);
}

/* Starts a message, and authenticates aad. The functions of OpenSSL fail here only for arguments
 * that this file never passes. */
static void evp_begin(EVP_CIPHER_CTX *ctx, int encrypt, const uint8_t *nonce, struct span aad)
{
    int n;

    INSIST(EVP_CipherInit_ex2(ctx, NULL, NULL, nonce, encrypt, NULL) == 1);
    INSIST(EVP_CipherUpdate(ctx, NULL, &n, aad.p, (int)aad.n) == 1);
}

static void evp_seal(struct aead_key *base, const uint8_t *nonce, struct span aad,
                     struct span plain, uint8_t *out)
{
    EVP_CIPHER_CTX *ctx = ((struct evp_key *)base)->ctx;
    int n = 0;

    evp_begin(ctx, 1, nonce, aad);
    if (plain.n > 0) /* OpenSSL 3.0 treats a call with 0 bytes as the final one */
        INSIST(EVP_EncryptUpdate(ctx, out, &n, plain.p, (int)plain.n) == 1);
    INSIST((size_t)n == plain.n);
    INSIST(EVP_EncryptFinal_ex(ctx, out + plain.n, &n) == 1 && n == 0);
    INSIST(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, AEAD_TAG, out + plain.n) == 1);
}

static bool evp_open(struct aead_key *base, const uint8_t *nonce, struct span aad,
                     struct span sealed, uint8_t *out)
{
    EVP_CIPHER_CTX *ctx = ((struct evp_key *)base)->ctx;
    const size_t plain = sealed.n - AEAD_TAG;
    uint8_t tag[AEAD_TAG], none[AEAD_TAG];
    int n = 0;

    memcpy(tag, sealed.p + plain, AEAD_TAG); /* the call takes a pointer that is not const */
    evp_begin(ctx, 0, nonce, aad);
    INSIST(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, AEAD_TAG, tag) == 1);
    if (plain > 0)
        INSIST(EVP_DecryptUpdate(ctx, out, &n, sealed.p, (int)plain) == 1);
    INSIST((size_t)n == plain);
    return EVP_DecryptFinal_ex(ctx, none, &n) == 1; /* compares the tags in constant time */
}

const struct aead_library_ops aead_evp = {
    .start = evp_start,
    .name = evp_name,
    .has = evp_has,
    .key_new = evp_key_new,
    .key_free = evp_key_free,
    .seal = evp_seal,
    .open = evp_open,
};
