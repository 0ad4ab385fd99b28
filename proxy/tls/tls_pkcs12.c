#include "tls/tls_pkcs12.h"

#include <openssl/err.h>
#include <openssl/pkcs12.h>
#include <openssl/provider.h>

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

struct reader {
    OSSL_LIB_CTX *lib;
    bool legacy;            /* the legacy provider is loaded */
    bool verified;          /* the MAC shows that the passphrase is right */
    const char *passphrase; /* NULL: none, which is not the empty one */
    struct tls_bag *out;
};

/* Returns why a part cannot be decrypted. With a wrong passphrase the padding is wrong or, seldom,
 * what it contains. */
static enum tls_pkcs12 failure_of(const struct reader *r)
{
    const unsigned long e = ERR_peek_last_error();
    const bool decrypted = ERR_GET_LIB(e) == ERR_LIB_PKCS12 &&
                           (ERR_GET_REASON(e) == PKCS12_R_PKCS12_CIPHERFINAL_ERROR ||
                            ERR_GET_REASON(e) == PKCS12_R_DECODE_ERROR);
    if (decrypted)
        return r->verified ? TLS_PKCS12_OTHER : TLS_PKCS12_PASSPHRASE;
    /* Its format is correct, so the cipher is missing. */
    return r->legacy ? TLS_PKCS12_OTHER : TLS_PKCS12_LEGACY;
}

/* Keys and certificates are made in the default library context, because r->lib is freed. A key of
 * an unknown kind is left out. */
static void add_key(const struct reader *r, const PKCS8_PRIV_KEY_INFO *p8)
{
    EVP_PKEY *key = p8 == NULL ? NULL : EVP_PKCS82PKEY(p8);
    if (key != NULL)
        tls_bag_add_key(r->out, key);
}

static enum tls_pkcs12 read_shrouded(const struct reader *r, const PKCS12_SAFEBAG *bag)
{
    PKCS8_PRIV_KEY_INFO *p8 = PKCS12_decrypt_skey_ex(bag, r->passphrase, -1, r->lib, NULL);
    const enum tls_pkcs12 result = p8 == NULL ? failure_of(r) : TLS_PKCS12_OK;

    add_key(r, p8);
    PKCS8_PRIV_KEY_INFO_free(p8);
    return result;
}

static void read_cert(const struct reader *r, const PKCS12_SAFEBAG *bag)
{
    X509 *cert = PKCS12_SAFEBAG_get_bag_nid(bag) == NID_x509Certificate
                     ? PKCS12_SAFEBAG_get1_cert(bag)
                     : NULL;
    if (cert != NULL)
        tls_bag_add_cert(r->out, cert);
}

/* Recurses at most 30 levels, because OpenSSL's ASN.1 parser refuses more. */
static enum tls_pkcs12 read_bags(const struct reader *r, const STACK_OF(PKCS12_SAFEBAG) * bags)
{
    enum tls_pkcs12 result = TLS_PKCS12_OK;

    for (int i = 0; i < sk_PKCS12_SAFEBAG_num(bags) && result == TLS_PKCS12_OK; i++) {
        const PKCS12_SAFEBAG *bag = sk_PKCS12_SAFEBAG_value(bags, i);
        switch (PKCS12_SAFEBAG_get_nid(bag)) {
        case NID_keyBag: add_key(r, PKCS12_SAFEBAG_get0_p8inf(bag)); break;
        case NID_pkcs8ShroudedKeyBag: result = read_shrouded(r, bag); break;
        case NID_certBag: read_cert(r, bag); break;
        case NID_safeContentsBag: result = read_bags(r, PKCS12_SAFEBAG_get0_safes(bag)); break;
        default: break; /* CRLs and secrets */
        }
    }
    return result;
}

static enum tls_pkcs12 read_part(const struct reader *r, PKCS7 *part)
{
    STACK_OF(PKCS12_SAFEBAG) *bags = NULL;

    if (PKCS7_type_is_encrypted(part))
        bags = PKCS12_unpack_p7encdata(part, r->passphrase, -1);
    else if (PKCS7_type_is_data(part))
        bags = PKCS12_unpack_p7data(part);
    else
        return TLS_PKCS12_OK; /* for the holder of another certificate */
    const enum tls_pkcs12 result = bags == NULL ? failure_of(r) : read_bags(r, bags);
    sk_PKCS12_SAFEBAG_pop_free(bags, PKCS12_SAFEBAG_free);
    return result;
}

static enum tls_pkcs12 read_parts(const struct reader *r, const PKCS12 *p12)
{
    STACK_OF(PKCS7) *parts = PKCS12_unpack_authsafes(p12);
    enum tls_pkcs12 result = parts == NULL ? TLS_PKCS12_OTHER : TLS_PKCS12_OK;

    for (int i = 0; i < sk_PKCS7_num(parts) && result == TLS_PKCS12_OK; i++)
        result = read_part(r, sk_PKCS7_value(parts, i));
    sk_PKCS7_pop_free(parts, PKCS7_free);
    return result;
}

/* Returns whether the container has a MAC of RFC 9579, which OpenSSL verifies since 3.4. */
static bool has_new_mac(const PKCS12 *p12)
{
    const X509_ALGOR *a = NULL;
    PKCS12_get0_mac(NULL, &a, NULL, NULL, p12);
    return a != NULL && OBJ_obj2nid(a->algorithm) == NID_pbmac1;
}

/* A container without a MAC, or with one that this OpenSSL cannot verify, shows by its encryption
 * whether the passphrase is right. */
static enum tls_pkcs12 read_with(struct reader *r, PKCS12 *p12, const char *passphrase)
{
    r->passphrase = passphrase;
    r->verified = PKCS12_mac_present(p12) &&
                  PKCS12_verify_mac(p12, passphrase, passphrase == NULL ? 0 : -1) == 1;
    if (PKCS12_mac_present(p12) && !r->verified && !has_new_mac(p12))
        return TLS_PKCS12_PASSPHRASE;
    ERR_clear_error();
    return read_parts(r, p12);
}

static enum tls_pkcs12 container_open(struct reader *r, struct span der, const char *passphrase)
{
    PKCS12 *p12 = insist_alloc(PKCS12_init_ex(NID_pkcs7_data, r->lib, NULL));
    BIO *bio = insist_alloc(BIO_new_mem_buf(der.p, (int)der.n));
    enum tls_pkcs12 result;

    if (d2i_PKCS12_bio(bio, &p12) == NULL)
        result = TLS_PKCS12_OTHER;
    else if (tls_pbe_pkcs12(p12, passphrase) > TLS_PBE_MAX)
        result = TLS_PKCS12_SLOW;
    else {
        /* programs disagree what "no passphrase" is: nothing at all, or an empty text */
        result = read_with(r, p12, *passphrase == '\0' ? NULL : passphrase);
        if (*passphrase == '\0' && result == TLS_PKCS12_PASSPHRASE)
            result = read_with(r, p12, passphrase);
    }
    PKCS12_free(p12);
    BIO_free(bio);
    return result;
}

/* Containers of Windows before Server 2019 are encrypted with RC2, which is in the legacy provider
 * of OpenSSL 3. The provider is loaded into a library context of its own: in the default context it
 * would offer RC4 and similar ciphers to TLS, and would prevent the default provider from being
 * loaded automatically. */
enum tls_pkcs12 tls_pkcs12_open(struct span der, const char *passphrase, struct tls_bag *out)
{
    OSSL_LIB_CTX *lib = insist_alloc(OSSL_LIB_CTX_new());
    OSSL_PROVIDER *usual = OSSL_PROVIDER_load(lib, "default");
    OSSL_PROVIDER *legacy = OSSL_PROVIDER_load(lib, "legacy");

    ERR_clear_error(); /* new containers do not need the legacy provider */
    struct reader r = {.lib = lib, .legacy = legacy != NULL, .out = out};
    const enum tls_pkcs12 result = container_open(&r, der, passphrase);
    if (legacy != NULL)
        OSSL_PROVIDER_unload(legacy);
    if (usual != NULL)
        OSSL_PROVIDER_unload(usual);
    OSSL_LIB_CTX_free(lib);
    return result;
}
