#include "tls/tls_facts.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/insist.h"
#include "tls/tls_cert.h"
#include "tls/tls_time.h"

/* Returns the name with escapes for characters that are not printable, because the text goes to a
 * terminal. OpenSSL cannot print a name with a broken string, which a server may send. */
static char *name_text(const X509_NAME *name)
{
    BIO *bio = insist_alloc(BIO_new(BIO_s_mem()));
    char *text = NULL;

    if (X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) < 0) {
        (void)BIO_reset(bio);
        (void)BIO_puts(bio, "(unreadable)");
    }
    const long n = BIO_get_mem_data(bio, &text);
    text = insist_alloc(strndup(n == 0 ? "" : text, (size_t)n));
    BIO_free(bio);
    return text;
}

static void describe_key(const EVP_PKEY *key, char *out, size_t size)
{
    char group[32];
    const char *kind = key == NULL ? "of an unknown kind" : EVP_PKEY_get0_type_name(key);

    if (key != NULL && EVP_PKEY_get_group_name(key, group, sizeof group, NULL) == 1)
        snprintf(out, size, "%s %s", kind, group);
    else if (key != NULL && EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA)
        snprintf(out, size, "%s %d", kind, EVP_PKEY_get_bits(key));
    else
        snprintf(out, size, "%s", kind);
}

static void describe_serial(const X509 *leaf, char *out, size_t size)
{
    BIGNUM *number = insist_alloc(ASN1_INTEGER_to_BN(X509_get0_serialNumber(leaf), NULL));
    char *digits = insist_alloc(BN_bn2hex(number));

    snprintf(out, size, "%s", digits);
    OPENSSL_free(digits);
    BN_free(number);
}

/* Reads all facts but the names. */
static void facts_of(const struct tls_cert *cert, struct tls_facts *out)
{
    *out = (struct tls_facts){0};
    INSIST(X509_digest(cert->leaf, EVP_sha1(), out->sha1, NULL) == 1);
    INSIST(X509_digest(cert->leaf, EVP_sha256(), out->sha256, NULL) == 1);
    out->subject = name_text(X509_get_subject_name(cert->leaf));
    out->issuer = name_text(X509_get_issuer_name(cert->leaf));
    out->from = tls_time(X509_get0_notBefore(cert->leaf));
    out->until = tls_time(X509_get0_notAfter(cert->leaf));
    describe_serial(cert->leaf, out->serial, sizeof out->serial);
    describe_key(X509_get0_pubkey(cert->leaf), out->key, sizeof out->key);
    out->ca = X509_check_ca(cert->leaf) == 1;
    out->rivals = cert->rivals;
    ERR_clear_error();
}

void tls_facts_of(const struct tls_cert *cert, struct tls_facts *out)
{
    facts_of(cert, out);
    out->name = insist_alloc(calloc(cert->name_count + 1, sizeof *out->name));
    out->name_count = cert->name_count;
    for (size_t i = 0; i < cert->name_count; i++)
        out->name[i] = insist_alloc(strdup(cert->name[i]));
}

bool tls_facts_read(const struct tls_certificate *from, struct tls_facts *out,
                    char error[TLS_ERROR_MAX])
{
    struct tls_cert cert;

    *out = (struct tls_facts){0};
    /* the key, if it can be read, determines which of several certificates is used */
    if (!tls_cert_load(from, true, &cert, error) && !tls_cert_load(from, false, &cert, error))
        return false;
    facts_of(&cert, out);
    out->name = cert.name;
    out->name_count = cert.name_count;
    cert.name = NULL;
    cert.name_count = 0;
    tls_cert_fini(&cert);
    return true;
}

bool tls_facts_from_der(struct span der, const char *host, struct tls_facts *out, bool *named)
{
    const unsigned char *p = der.p;
    struct tls_cert cert = {.leaf = der.n > LONG_MAX ? NULL : d2i_X509(NULL, &p, (long)der.n)};

    *out = (struct tls_facts){0};
    *named = false;
    if (cert.leaf != NULL) {
        tls_cert_collect_names(&cert);
        tls_facts_of(&cert, out);
        *named = X509_check_host(cert.leaf, host, 0, 0, NULL) == 1 ||
                 X509_check_ip_asc(cert.leaf, host, 0) == 1;
    }
    const bool ok = cert.leaf != NULL;
    tls_cert_fini(&cert);
    ERR_clear_error();
    return ok;
}

void tls_facts_fini(struct tls_facts *facts)
{
    free(facts->subject);
    free(facts->issuer);
    for (size_t i = 0; i < facts->name_count; i++)
        free(facts->name[i]);
    free(facts->name);
    *facts = (struct tls_facts){0};
}
