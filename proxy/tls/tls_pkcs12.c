#include "tls/tls_pkcs12.h"

#include <openssl/err.h>
#include <openssl/pkcs12.h>
#include <openssl/provider.h>
#include <openssl/x509v3.h>

#include "base/insist.h"
#include "tls/tls_pbe.h"

bool tls_pkcs12_is(struct span der)
{
    const unsigned char *at = der.p;
    PKCS12 *p12 = d2i_PKCS12(NULL, &at, (long)der.n);

    PKCS12_free(p12);
    ERR_clear_error();
    return p12 != NULL;
}

/* Copies a certificate out of its library context through DER, which also removes the attributes
 * that the container has added. */
static X509 *copy_certificate(X509 *from)
{
    unsigned char *der = NULL;
    const int n = i2d_X509(from, &der);
    const unsigned char *at = der;
    X509 *to = n <= 0 ? NULL : d2i_X509(NULL, &at, n);

    OPENSSL_free(der);
    return insist_alloc(to); /* it was parsed before */
}

static EVP_PKEY *copy_key(EVP_PKEY *from)
{
    PKCS8_PRIV_KEY_INFO *p8 = EVP_PKEY2PKCS8(from);
    unsigned char *der = NULL;
    const int n = p8 == NULL ? 0 : i2d_PKCS8_PRIV_KEY_INFO(p8, &der);
    const unsigned char *at = der;
    EVP_PKEY *to = n <= 0 ? NULL : d2i_AutoPrivateKey(NULL, &at, n);

    PKCS8_PRIV_KEY_INFO_free(p8);
    OPENSSL_clear_free(der, n <= 0 ? 0 : (size_t)n);
    return to;
}

static X509 *issuer_of(X509 *cert, STACK_OF(X509) * among)
{
    for (int i = 0; i < sk_X509_num(among); i++)
        if (X509_check_issued(sk_X509_value(among, i), cert) == X509_V_OK)
            return sk_X509_value(among, i);
    return NULL;
}

/* Puts the issuers of leaf into chain. A container has its certificates in any order, but in the
 * chain of a handshake each certificate must certify the previous one (RFC 5246 7.4.2). The root is
 * omitted, as that section allows. */
static void chain_sort(X509 *leaf, STACK_OF(X509) * others, STACK_OF(X509) * chain)
{
    X509 *last = leaf;
    for (int i = 0; i < sk_X509_num(others);
         i++) { /* bounded, because certificates may certify each other in a circle */
        last = issuer_of(last, others);
        if (last == NULL || X509_self_signed(last, 0) == 1)
            return;
        INSIST(sk_X509_push(chain, copy_certificate(last)) > 0);
    }
}

static enum tls_pkcs12 failure_of(bool legacy)
{
    const unsigned long e = ERR_peek_last_error();
    if (ERR_GET_LIB(e) == ERR_LIB_PKCS12 && ERR_GET_REASON(e) == PKCS12_R_MAC_VERIFY_FAILURE)
        return TLS_PKCS12_PASSPHRASE;
    /* Its format and its MAC are correct, so the cipher is missing. */
    return legacy ? TLS_PKCS12_OTHER : TLS_PKCS12_LEGACY;
}

static enum tls_pkcs12 container_open(OSSL_LIB_CTX *lib, bool legacy, struct span der,
                                      const char *passphrase, struct tls_pkcs12_content *out)
{
    PKCS12 *p12 = insist_alloc(PKCS12_init_ex(NID_pkcs7_data, lib, NULL));
    BIO *bio = insist_alloc(BIO_new_mem_buf(der.p, (int)der.n));
    STACK_OF(X509) *others = NULL;
    EVP_PKEY *key = NULL;
    X509 *leaf = NULL;
    enum tls_pkcs12 result = TLS_PKCS12_OK;

    if (d2i_PKCS12_bio(bio, &p12) == NULL)
        result = failure_of(legacy);
    else if (tls_pbe_pkcs12(p12, passphrase) > TLS_PBE_MAX)
        result = TLS_PKCS12_SLOW;
    else if (!PKCS12_parse(p12, passphrase, &key, &leaf, &others))
        result = failure_of(legacy);
    else if (key == NULL || leaf == NULL)
        result = TLS_PKCS12_NO_KEY;
    else if ((out->key = copy_key(key)) == NULL)
        result = TLS_PKCS12_OTHER;
    else {
        out->leaf = copy_certificate(leaf);
        chain_sort(leaf, others, out->chain);
    }
    EVP_PKEY_free(key);
    X509_free(leaf);
    sk_X509_pop_free(others, X509_free);
    PKCS12_free(p12);
    BIO_free(bio);
    return result;
}

/* Loads the legacy provider of OpenSSL 3, because it has RC2, which encrypts the containers of
 * Windows before Server 2019. The provider has a library context of its own, because in the default
 * context it would offer RC4 and similar ciphers to TLS, and would prevent the default provider
 * from being loaded automatically. */
enum tls_pkcs12 tls_pkcs12_open(struct span der, const char *passphrase,
                                struct tls_pkcs12_content *out)
{
    OSSL_LIB_CTX *lib = insist_alloc(OSSL_LIB_CTX_new());
    OSSL_PROVIDER *usual = OSSL_PROVIDER_load(lib, "default");
    OSSL_PROVIDER *legacy = OSSL_PROVIDER_load(lib, "legacy");

    ERR_clear_error(); /* new containers do not need the legacy provider */
    const enum tls_pkcs12 result = container_open(lib, legacy != NULL, der, passphrase, out);
    if (legacy != NULL)
        OSSL_PROVIDER_unload(legacy);
    if (usual != NULL)
        OSSL_PROVIDER_unload(usual);
    OSSL_LIB_CTX_free(lib);
    return result;
}
