#include "binding/vault.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <openssl/rand.h>
#include <string.h>

#include "base/insist.h"
#include "base/secrets.h"

enum { KEY = 32, PURPOSES = VAULT_CLIENT + 1 };

struct vault {
    uint8_t seal[PURPOSES][KEY];
    uint8_t name[PURPOSES][KEY];
    uint8_t marks[VAULT_MARKS];
    uint8_t print[VAULT_PRINT];
};

/* Derives n bytes for one purpose. */
static void derive(struct span secret, const char *purpose, uint8_t *out, size_t n)
{
    static char salt[] = "sstpgate shared-secret-file 1", digest[] = "SHA256";
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string("digest", digest, 0),
        OSSL_PARAM_construct_octet_string("key", (void *)(uintptr_t)secret.p, secret.n),
        OSSL_PARAM_construct_octet_string("salt", salt, sizeof salt - 1),
        OSSL_PARAM_construct_octet_string("info", (void *)(uintptr_t)purpose, strlen(purpose)),
        OSSL_PARAM_construct_end(),
    };
    EVP_KDF *kdf = insist_alloc(EVP_KDF_fetch(NULL, "HKDF", NULL));
    EVP_KDF_CTX *ctx = insist_alloc(EVP_KDF_CTX_new(kdf));

    INSIST(EVP_KDF_derive(ctx, out, n, params) == 1);
    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(kdf);
}

struct vault *vault_new(struct span secret)
{
    INSIST(secret.n >= VAULT_SECRET_MIN);
    struct vault *v = secrets_alloc(sizeof *v);
    derive(secret, "radius keys", v->seal[VAULT_LOGIN], KEY);
    derive(secret, "client addresses", v->seal[VAULT_CLIENT], KEY);
    derive(secret, "names of radius keys", v->name[VAULT_LOGIN], KEY);
    derive(secret, "names of client addresses", v->name[VAULT_CLIENT], KEY);
    derive(secret, "marks of logins", v->marks, sizeof v->marks);
    derive(secret, "fingerprint", v->print, sizeof v->print);
    return v;
}

void vault_free(struct vault *v)
{
    secrets_free(v, sizeof *v);
}

void vault_name(const struct vault *v, enum vault_purpose purpose, struct span label,
                uint8_t out[VAULT_NAME])
{
    uint8_t mac[EVP_MAX_MD_SIZE];
    unsigned len = 0;

    INSIST(HMAC(EVP_sha256(), v->name[purpose], KEY, label.p, label.n, mac, &len) != NULL);
    INSIST(len >= VAULT_NAME);
    memcpy(out, mac, VAULT_NAME);
}

void vault_seal_with(const struct vault *v, enum vault_purpose purpose,
                     const uint8_t name[VAULT_NAME], const uint8_t nonce[VAULT_NONCE],
                     struct span plain, uint8_t *out)
{
    EVP_CIPHER_CTX *ctx = insist_alloc(EVP_CIPHER_CTX_new());
    uint8_t *text = out + VAULT_NONCE;
    int n = 0, tail = 0;

    memcpy(out, nonce, VAULT_NONCE);
    INSIST(EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, v->seal[purpose], nonce) == 1);
    INSIST(EVP_EncryptUpdate(ctx, NULL, &n, name, VAULT_NAME) == 1);
    INSIST(EVP_EncryptUpdate(ctx, text, &n, plain.p, (int)plain.n) == 1);
    INSIST(EVP_EncryptFinal_ex(ctx, text + n, &tail) == 1 && (size_t)(n + tail) == plain.n);
    INSIST(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, VAULT_TAG, text + plain.n) == 1);
    EVP_CIPHER_CTX_free(ctx);
}

void vault_seal(const struct vault *v, enum vault_purpose purpose, const uint8_t name[VAULT_NAME],
                struct span plain, uint8_t *out)
{
    uint8_t nonce[VAULT_NONCE];

    INSIST(RAND_bytes(nonce, sizeof nonce) == 1);
    vault_seal_with(v, purpose, name, nonce, plain, out);
}

bool vault_open(const struct vault *v, enum vault_purpose purpose, const uint8_t name[VAULT_NAME],
                struct span sealed, uint8_t *out)
{
    uint8_t tag[VAULT_TAG];
    int len = 0, tail = 0;

    if (sealed.n < VAULT_OVERHEAD)
        return false;
    const size_t n = sealed.n - VAULT_OVERHEAD;
    const uint8_t *text = sealed.p + VAULT_NONCE;
    memcpy(tag, text + n, sizeof tag);
    EVP_CIPHER_CTX *ctx = insist_alloc(EVP_CIPHER_CTX_new());
    INSIST(EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, v->seal[purpose], sealed.p) == 1);
    INSIST(EVP_DecryptUpdate(ctx, NULL, &len, name, VAULT_NAME) == 1);
    INSIST(EVP_DecryptUpdate(ctx, out, &len, text, (int)n) == 1 && (size_t)len == n);
    INSIST(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, VAULT_TAG, tag) == 1);
    ERR_set_mark();
    const bool genuine = EVP_DecryptFinal_ex(ctx, out + n, &tail) == 1;
    ERR_pop_to_mark();
    EVP_CIPHER_CTX_free(ctx);
    if (!genuine)
        OPENSSL_cleanse(out, n);
    return genuine;
}

void vault_marks(const struct vault *v, uint8_t out[VAULT_MARKS])
{
    memcpy(out, v->marks, VAULT_MARKS);
}

void vault_print(const struct vault *v, uint8_t out[VAULT_PRINT])
{
    memcpy(out, v->print, VAULT_PRINT);
}
