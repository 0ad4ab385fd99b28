#include "tls/aead_mb.h"

#ifndef HAVE_IPSEC_MB

static bool mb_start(void)
{
    return false;
}

const struct aead_library_ops aead_mb = {.start = mb_start};

#else

#include <intel-ipsec-mb.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

#include "base/insist.h"
#include "base/secrets.h"

struct mb_key {
    struct aead_key base;
    enum aead_cipher cipher;
    union {
        _Alignas(64) struct gcm_key_data gcm; /* the header aligns it only where LINUX is defined */
        uint8_t chacha[AEAD_KEY_MAX];
    };
};
_Static_assert(sizeof(struct mb_key) <= SECRETS_MAX, "a key fits in secret memory");
_Static_assert(_Alignof(struct mb_key) <= SECRETS_ALIGN, "secret memory is aligned for a key");

/* The library's functions for this processor. The calls of this file only read it, so all threads
 * share it. They also set an error number of the whole process, which is not read here, because
 * they fail only for arguments that this file never passes. */
static IMB_MGR *mb;

/* Without these instructions some versions of the library use tables, whose timing depends on the
 * key. */
static bool is_fast(const IMB_MGR *m)
{
    const uint64_t needed = IMB_FEATURE_AESNI | IMB_FEATURE_PCLMULQDQ;

    return (m->features & needed) == needed;
}

static bool mb_start(void)
{
    IMB_ARCH arch = IMB_ARCH_NONE;

    mb = alloc_mb_mgr(0);
    if (mb != NULL && is_fast(mb)) {
        init_mb_mgr_auto(mb, &arch);
        if (arch != IMB_ARCH_NONE && imb_get_errno(mb) == 0)
            return true;
    }
    if (mb != NULL)
        free_mb_mgr(mb);
    mb = NULL;
    return false;
}

static const char *mb_name(void)
{
    static char name[64];

    snprintf(name, sizeof name, "ipsec-mb %s", imb_get_version_str());
    return name;
}

static bool mb_has(enum aead_cipher c)
{
    (void)c;
    return true;
}

/* Returns the bytes of a key, which depend on the cipher. */
static size_t key_bytes(enum aead_cipher c)
{
    return c == AEAD_CHACHA20_POLY1305 ? offsetof(struct mb_key, chacha) + AEAD_KEY_MAX
                                       : sizeof(struct mb_key);
}

static struct aead_key *mb_key_new(enum aead_cipher c, const uint8_t *key)
{
    struct mb_key *k = secrets_alloc(key_bytes(c));

    k->base.library = &aead_mb;
    k->cipher = c;
    switch (c) {
    case AEAD_AES_128_GCM: IMB_AES128_GCM_PRE(mb, key, &k->gcm); break;
    case AEAD_AES_256_GCM: IMB_AES256_GCM_PRE(mb, key, &k->gcm); break;
    default: memcpy(k->chacha, key, AEAD_KEY_MAX); break;
    }
    return &k->base;
}

static void mb_key_free(struct aead_key *base)
{
    struct mb_key *k = (struct mb_key *)base;

    secrets_free(k, key_bytes(k->cipher));
}

/* ---- ChaCha20-Poly1305 ---- */

static void chacha_seal(const struct mb_key *k, const uint8_t *nonce, struct span aad,
                        struct span plain, uint8_t *out)
{
    _Alignas(16) struct chacha20_poly1305_context_data ctx;

    IMB_CHACHA20_POLY1305_INIT(mb, k->chacha, &ctx, nonce, aad.p, aad.n);
    if (plain.n > 0)
        IMB_CHACHA20_POLY1305_ENC_UPDATE(mb, k->chacha, &ctx, out, plain.p, plain.n);
    IMB_CHACHA20_POLY1305_ENC_FINALIZE(mb, &ctx, out + plain.n, AEAD_TAG);
    secrets_wipe(&ctx, sizeof ctx);
}

static void chacha_open(const struct mb_key *k, const uint8_t *nonce, struct span aad,
                        struct span body, uint8_t *out, uint8_t tag[AEAD_TAG])
{
    _Alignas(16) struct chacha20_poly1305_context_data ctx;

    IMB_CHACHA20_POLY1305_INIT(mb, k->chacha, &ctx, nonce, aad.p, aad.n);
    if (body.n > 0)
        IMB_CHACHA20_POLY1305_DEC_UPDATE(mb, k->chacha, &ctx, out, body.p, body.n);
    IMB_CHACHA20_POLY1305_DEC_FINALIZE(mb, &ctx, tag, AEAD_TAG);
    secrets_wipe(&ctx, sizeof ctx);
}

/* ---- one message ---- */

static void mb_seal(struct aead_key *base, const uint8_t *nonce, struct span aad, struct span plain,
                    uint8_t *out)
{
    const struct mb_key *k = (const struct mb_key *)base;
    _Alignas(16) struct gcm_context_data ctx;

    switch (k->cipher) {
    case AEAD_AES_128_GCM:
        IMB_AES128_GCM_ENC(mb, &k->gcm, &ctx, out, plain.p, plain.n, nonce, aad.p, aad.n,
                           out + plain.n, AEAD_TAG);
        break;
    case AEAD_AES_256_GCM:
        IMB_AES256_GCM_ENC(mb, &k->gcm, &ctx, out, plain.p, plain.n, nonce, aad.p, aad.n,
                           out + plain.n, AEAD_TAG);
        break;
    default: chacha_seal(k, nonce, aad, plain, out); return;
    }
    secrets_wipe(&ctx, sizeof ctx); /* it may contain key stream */
}

static bool mb_open(struct aead_key *base, const uint8_t *nonce, struct span aad,
                    struct span sealed, uint8_t *out)
{
    const struct mb_key *k = (const struct mb_key *)base;
    const struct span body = span_sub(sealed, 0, sealed.n - AEAD_TAG);
    _Alignas(16) struct gcm_context_data ctx;
    uint8_t tag[AEAD_TAG];

    switch (k->cipher) {
    case AEAD_AES_128_GCM:
        IMB_AES128_GCM_DEC(mb, &k->gcm, &ctx, out, body.p, body.n, nonce, aad.p, aad.n, tag,
                           AEAD_TAG);
        break;
    case AEAD_AES_256_GCM:
        IMB_AES256_GCM_DEC(mb, &k->gcm, &ctx, out, body.p, body.n, nonce, aad.p, aad.n, tag,
                           AEAD_TAG);
        break;
    default: chacha_open(k, nonce, aad, body, out, tag); break;
    }
    const bool right = CRYPTO_memcmp(tag, sealed.p + body.n, AEAD_TAG) == 0;
    /* A forger could use the tag that was computed. */
    secrets_wipe(tag, sizeof tag);
    secrets_wipe(&ctx, sizeof ctx);
    return right;
}

const struct aead_library_ops aead_mb = {
    .start = mb_start,
    .name = mb_name,
    .has = mb_has,
    .key_new = mb_key_new,
    .key_free = mb_key_free,
    .seal = mb_seal,
    .open = mb_open,
};

#endif
