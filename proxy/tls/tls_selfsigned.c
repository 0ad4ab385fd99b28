#include "tls/tls_selfsigned.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "base/insist.h"

enum { DAY = 24 * 3600, COMMON_NAME_MAX = 64 /* RFC 5280 A.1 */, SERIAL = 16 };

/* Builds the name with the API instead of OpenSSL's configuration syntax, which would read more
 * than a name in it. */
static GENERAL_NAME *general_name(const char *host)
{
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_OCTET_STRING *ip = a2i_IPADDRESS(host);
    ASN1_IA5STRING *dns = ip == NULL ? ASN1_IA5STRING_new() : NULL;

    if (name != NULL && ip != NULL) {
        GENERAL_NAME_set0_value(name, GEN_IPADD, ip);
        return name;
    }
    if (name != NULL && dns != NULL && ASN1_STRING_set(dns, host, -1) == 1) {
        GENERAL_NAME_set0_value(name, GEN_DNS, dns);
        return name;
    }
    ASN1_OCTET_STRING_free(ip);
    ASN1_IA5STRING_free(dns);
    GENERAL_NAME_free(name);
    return NULL;
}

static bool add_host(X509 *x, const char *host)
{
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    GENERAL_NAME *name = general_name(host);
    bool ok = names != NULL && name != NULL && sk_GENERAL_NAME_push(names, name) > 0;

    if (!ok)
        GENERAL_NAME_free(name);
    ok = ok && X509_add1_ext_i2d(x, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT) == 1;
    GENERAL_NAMES_free(names);
    return ok;
}

static bool add_extension(X509 *x, int nid, const char *value)
{
    X509V3_CTX context;

    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, x, x, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    const bool ok = e != NULL && X509_add_ext(x, e, -1) == 1;
    X509_EXTENSION_free(e);
    return ok;
}

/* Sets a random number, because Windows distinguishes certificates of an issuer by it. */
static bool set_serial(X509 *x)
{
    unsigned char octets[SERIAL];

    if (RAND_bytes(octets, sizeof octets) != 1)
        return false;
    octets[0] &= 0x7f;
    BIGNUM *number = BN_bin2bn(octets, sizeof octets, NULL);
    const bool ok = number != NULL && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(x)) != NULL;
    BN_free(number);
    return ok;
}

/* Sets the common name only if it fits: the name that counts is subjectAltName. */
static bool set_names(X509 *x, const char *host)
{
    X509_NAME *subject = X509_get_subject_name(x);
    const char *common = strlen(host) <= COMMON_NAME_MAX ? host : "sstpgate";

    return X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)common,
                                      -1, -1, 0) == 1 &&
           X509_set_issuer_name(x, subject) == 1 && add_host(x, host);
}

/* Sets a begin an hour ago, for clients with slow clocks. */
static bool fill(X509 *x, EVP_PKEY *key, const char *host)
{
    return X509_set_version(x, X509_VERSION_3) == 1 && set_serial(x) &&
           X509_gmtime_adj(X509_getm_notBefore(x), -3600) != NULL &&
           X509_gmtime_adj(X509_getm_notAfter(x), (long)TLS_SELFSIGNED_DAYS * DAY) != NULL &&
           X509_set_pubkey(x, key) == 1 && set_names(x, host) &&
           add_extension(x, NID_basic_constraints, "critical,CA:FALSE") &&
           add_extension(x, NID_key_usage, "critical,digitalSignature") &&
           add_extension(x, NID_ext_key_usage, "serverAuth") &&
           add_extension(x, NID_subject_key_identifier, "hash") &&
           X509_sign(x, key, EVP_sha256()) > 0;
}

/* Returns the content of a memory BIO as text, to be freed. */
static char *take_text(BIO *bio)
{
    char *at;
    const long n = BIO_get_mem_data(bio, &at);

    return insist_alloc(strndup(at, (size_t)n));
}

static bool write_texts(X509 *x, EVP_PKEY *key, struct tls_selfsigned *out)
{
    BIO *certificate = BIO_new(BIO_s_mem()), *secret = BIO_new(BIO_s_secmem());
    const bool ok = certificate != NULL && secret != NULL &&
                    PEM_write_bio_X509(certificate, x) == 1 &&
                    PEM_write_bio_PrivateKey(secret, key, NULL, NULL, 0, NULL, NULL) == 1;

    if (ok)
        *out = (struct tls_selfsigned){.certificate = take_text(certificate),
                                       .key = take_text(secret)};
    BIO_free(certificate);
    BIO_free(secret);
    return ok;
}

bool tls_selfsigned_make(const char *host, struct tls_selfsigned *out, char error[TLS_ERROR_MAX])
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = X509_new();

    *out = (struct tls_selfsigned){0};
    const bool ok = key != NULL && x != NULL && fill(x, key, host) && write_texts(x, key, out);
    if (!ok)
        tls_error_text(error, "the self-signed certificate");
    X509_free(x);
    EVP_PKEY_free(key);
    return ok;
}

void tls_selfsigned_fini(struct tls_selfsigned *s)
{
    if (s->key != NULL)
        explicit_bzero(s->key, strlen(s->key));
    free(s->key);
    free(s->certificate);
    *s = (struct tls_selfsigned){0};
}
