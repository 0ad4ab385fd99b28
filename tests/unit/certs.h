/* certs: keys and certificates for tests, generated with libcrypto at run time, in a directory
 * that certs_fini() removes. Include it after cmocka.h. */
#ifndef SSTPGATE_TESTS_CERTS_H
#define SSTPGATE_TESTS_CERTS_H

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/span.h"
#include "tls/tls_ctx.h"

enum { CERTS_MAX = 128 };

struct certs {
    char folder[32];
    char *file[CERTS_MAX];
    size_t files;
};

struct cert {
    X509 *x509;
    EVP_PKEY *key;
    const char *pem; /* a file with the leaf, its issuer if it has one, and the key */
};

struct cert_spec {
    const char *name;          /* "DNS:vpn.test,IP:127.0.0.1"; NULL: a CA */
    const char *common;        /* common name; NULL: name or file */
    int hours;                 /* validity; 0: a day */
    bool rsa;                  /* RSA 2048; false: P-256 */
    bool sha1;                 /* signed with SHA1 */
    const char *curve;         /* NULL: P-256 */
    int begins;                /* hours from now; 0: an hour ago */
    const struct cert *issuer; /* NULL: self-signed */
    bool alone;                /* the file does not have the issuer */
    struct {
        int nid; /* 0: the end */
        const char *value;
    } extension[3];
    const struct cert
        *same_key; /* uses the key of another certificate, because RSA keys are slow to generate */
};

static inline void certs_init(struct certs *c)
{
    memset(c, 0, sizeof *c);
    strcpy(c->folder, "/tmp/sstpgate-certs-XXXXXX");
    assert_non_null(mkdtemp(c->folder));
}

static inline const char *certs_path(struct certs *c, const char *name)
{
    assert_true(c->files < CERTS_MAX);
    char *path = malloc(strlen(c->folder) + strlen(name) + 2);
    assert_non_null(path);
    sprintf(path, "%s/%s", c->folder, name);
    return c->file[c->files++] = path;
}

static inline void certs_fini(struct certs *c)
{
    while (c->files > 0) {
        unlink(c->file[--c->files]);
        free(c->file[c->files]);
    }
    rmdir(c->folder);
}

static inline void cert_add_extension(X509 *x, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    assert_non_null(e);
    assert_int_equal(X509_add_ext(x, e, -1), 1);
    X509_EXTENSION_free(e);
}

static inline void cert_make(struct certs *c, struct cert *out, const char *file,
                             const struct cert_spec *spec)
{
    static long serial = 1;
    const char *subject = spec->common != NULL ? spec->common
                          : spec->name == NULL ? file
                                               : spec->name;

    if (spec->same_key != NULL) {
        out->key = spec->same_key->key;
        EVP_PKEY_up_ref(out->key);
    } else {
        out->key =
            spec->rsa ? EVP_RSA_gen(2048) : EVP_EC_gen(spec->curve == NULL ? "P-256" : spec->curve);
    }
    out->x509 = X509_new();
    assert_true(out->key != NULL && out->x509 != NULL);
    X509 *x = out->x509;
    X509_set_version(x, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x), serial++);
    X509_gmtime_adj(X509_getm_notBefore(x), spec->begins == 0 ? -3600 : spec->begins * 3600L);
    X509_gmtime_adj(X509_getm_notAfter(x), (spec->hours == 0 ? 24L : spec->hours) * 3600);
    X509_set_pubkey(x, out->key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
                               (const unsigned char *)subject, -1, -1, 0);
    X509_set_issuer_name(x, X509_get_subject_name(spec->issuer == NULL ? x : spec->issuer->x509));
    if (spec->name == NULL && spec->common == NULL)
        cert_add_extension(x, NID_basic_constraints, "critical,CA:TRUE");
    else if (spec->name != NULL)
        cert_add_extension(x, NID_subject_alt_name, spec->name);
    for (size_t i = 0; i < 3 && spec->extension[i].nid != 0; i++)
        cert_add_extension(x, spec->extension[i].nid, spec->extension[i].value);
    assert_true(X509_sign(x, spec->issuer == NULL ? out->key : spec->issuer->key,
                          spec->sha1 ? EVP_sha1() : EVP_sha256()) > 0);

    out->pem = certs_path(c, file);
    FILE *f = fopen(out->pem, "w");
    assert_non_null(f);
    assert_int_equal(chmod(out->pem, 0600), 0);
    PEM_write_X509(f, x);
    if (spec->issuer != NULL && !spec->alone)
        PEM_write_X509(f, spec->issuer->x509);
    PEM_write_PrivateKey(f, out->key, NULL, NULL, 0, NULL, NULL);
    assert_int_equal(fclose(f), 0);
}

/* Returns a context with one certificate; NULL: *error has the first error. */
static inline void certs_on_error(void *arg, size_t certificate, const char *text)
{
    char *error = arg;
    (void)certificate;
    if (*error == '\0')
        snprintf(error, TLS_ERROR_MAX, "%s", text);
}

static inline struct tls_ctx *certs_server(const struct tls_settings *settings, const char *file,
                                           const char *key, char error[TLS_ERROR_MAX])
{
    const struct tls_certificate one = {.file = file, .key = key};
    *error = '\0';
    return tls_ctx_new_server(settings, &one, 1, false, certs_on_error, error);
}

static inline void cert_free(struct cert *cert)
{
    X509_free(cert->x509);
    EVP_PKEY_free(cert->key);
}

/* Returns whether der is exactly this certificate. */
static inline bool cert_is(const struct cert *cert, struct span der)
{
    unsigned char *own = NULL;
    int n = i2d_X509(cert->x509, &own);
    bool same = n > 0 && span_eq(der, span_of(own, (size_t)n));
    OPENSSL_free(own);
    return same;
}

#endif
