#include "tls/tls_doubts.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/insist.h"
#include "tls/tls_error.h"
#include "tls/tls_time.h"

__attribute__((format(printf, 3, 4))) static void
doubt(const struct tls_doubts *d, enum tls_level level, const char *format, ...)
{
    char text[TLS_ERROR_MAX];
    int n = snprintf(text, sizeof text, "%s: ", d->file);
    va_list args;

    if (n < 0 || (size_t)n >= sizeof text)
        n = 0;
    va_start(args, format);
    vsnprintf(text + n, sizeof text - (size_t)n, format, args);
    va_end(args);
    d->on_doubt(d->arg, d->certificate, level, text);
}

/* ---- the leaf ---- */

static void check_begin(const struct tls_doubts *d, X509 *leaf)
{
    const time_t from = tls_time(X509_get0_notBefore(leaf));
    char when[sizeof "2026-01-01 00:00:00Z"];
    struct tm tm;

    if (from <= d->now || gmtime_r(&from, &tm) == NULL ||
        strftime(when, sizeof when, "%Y-%m-%d %H:%M:%SZ", &tm) == 0)
        return;
    doubt(d, TLS_REFUSED, "the certificate is not valid before %s", when);
}

/* Checks the extensions that restrict the uses; without them a certificate may be used for every
 * purpose. */
static void check_uses(const struct tls_doubts *d, X509 *leaf)
{
    const uint32_t uses = X509_get_extended_key_usage(leaf), key = X509_get_key_usage(leaf);
    const bool rsa = EVP_PKEY_get_base_id(X509_get0_pubkey(leaf)) == EVP_PKEY_RSA;

    if ((X509_get_extension_flags(leaf) & EXFLAG_CA) != 0)
        doubt(d, TLS_WARNING,
              "it is the certificate of a CA (CA:TRUE), which clients may refuse from a server");
    if (uses != UINT32_MAX && (uses & (XKU_SSL_SERVER | XKU_ANYEKU)) == 0)
        doubt(d, TLS_REFUSED,
              "its extended key usage does not include server authentication, so clients "
              "refuse it");
    if ((key & KU_DIGITAL_SIGNATURE) == 0 && !(rsa && (key & KU_KEY_ENCIPHERMENT) != 0))
        doubt(d, TLS_REFUSED,
              "its key usage does not allow signatures (digitalSignature), so clients refuse "
              "it");
}

/* Returns whether clients accept the curve: TLS 1.3 has no other curves (RFC 8446 4.2.3), and
 * clients offer no others in TLS 1.2. */
static bool is_usual_curve(const char *name)
{
    return strcmp(name, "prime256v1") == 0 || strcmp(name, "secp384r1") == 0 ||
           strcmp(name, "secp521r1") == 0;
}

static void check_key(const struct tls_doubts *d, X509 *leaf)
{
    enum { RSA_LEAST = 2048 };
    const EVP_PKEY *key = X509_get0_pubkey(leaf);
    char curve[64];

    if (EVP_PKEY_get_base_id(key) == EVP_PKEY_EC &&
        EVP_PKEY_get_group_name(key, curve, sizeof curve, NULL) == 1 && !is_usual_curve(curve))
        doubt(d, TLS_REFUSED,
              "no usual TLS client accepts keys on the curve %s: use P-256 or P-384", curve);
    if (EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA && EVP_PKEY_get_bits(key) < RSA_LEAST)
        doubt(d, TLS_REFUSED, "its RSA key has only %d bits, so clients refuse it",
              EVP_PKEY_get_bits(key));
}

static bool is_self_issued(X509 *x)
{
    return X509_NAME_cmp(X509_get_subject_name(x), X509_get_issuer_name(x)) == 0;
}

/* Checks the signature, except of a self-issued certificate, because clients that trust a
 * certificate itself do not verify its signature. */
static void check_signature(const struct tls_doubts *d, X509 *x)
{
    int digest = NID_undef;

    if (!is_self_issued(x) && X509_get_signature_info(x, &digest, NULL, NULL, NULL) == 1 &&
        (digest == NID_md5 || digest == NID_sha1))
        doubt(d, TLS_REFUSED, "it has a signature with %s, which clients refuse",
              OBJ_nid2sn(digest));
}

static void check_names(const struct tls_doubts *d, X509 *leaf)
{
    if (X509_get_ext_by_NID(leaf, NID_subject_alt_name, -1) < 0)
        doubt(d, TLS_WARNING, "it has no subjectAltName; many clients ignore the common name");
}

/* Checks must-staple (RFC 7633): a client that supports the extension refuses a handshake without a
 * staple. */
static void check_staple(const struct tls_doubts *d, X509 *leaf)
{
    if (!d->stapled && X509_get_ext_by_NID(leaf, NID_tlsfeature, -1) >= 0)
        doubt(d, TLS_REFUSED, "it requires a staple (OCSP must-staple): set ocsp-file");
}

/* ---- the chain ---- */

/* Returns whether the machine's own store of CAs has the issuer of x. */
static bool is_known_issuer(X509 *x)
{
    X509_STORE *store = insist_alloc(X509_STORE_new());
    X509_STORE_CTX *search = insist_alloc(X509_STORE_CTX_new());
    X509 *issuer = NULL;
    const bool found = X509_STORE_set_default_paths(store) == 1 &&
                       X509_STORE_CTX_init(search, store, x, NULL) == 1 &&
                       X509_STORE_CTX_get1_issuer(&issuer, search, x) == 1;

    X509_free(issuer);
    X509_STORE_CTX_free(search);
    X509_STORE_free(store);
    ERR_clear_error();
    return found;
}

static void name_of(const X509_NAME *name, char out[96])
{
    char *text = X509_NAME_oneline(name, NULL, 0); /* with escapes for unprintable characters */
    snprintf(out, 96, "%s", text == NULL ? "" : text);
    OPENSSL_free(text);
}

static void check_link(const struct tls_doubts *d, X509 *x)
{
    char name[96];

    name_of(X509_get_subject_name(x), name);
    if (tls_time(X509_get0_notAfter(x)) < d->now)
        doubt(d, TLS_REFUSED, "a certificate of its chain has expired: %s", name);
    else if (tls_time(X509_get0_notBefore(x)) > d->now)
        doubt(d, TLS_REFUSED, "a certificate of its chain is not valid yet: %s", name);
    check_signature(d, x);
}

static void check_chain(const struct tls_doubts *d, const struct tls_cert *cert)
{
    char name[96];
    X509 *x = cert->leaf;

    if (sk_X509_num(cert->chain) == 0 && cert->root == NULL && !is_self_issued(x) &&
        !is_known_issuer(x)) {
        name_of(X509_get_issuer_name(x), name);
        doubt(d, TLS_WARNING,
              "the certificate of its issuer is missing, so clients that do not have it refuse "
              "the chain: append %s",
              name);
    }
    for (int i = 0; i < sk_X509_num(cert->chain); i++)
        check_link(d, sk_X509_value(cert->chain, i));
}

/* Returns the last certificate that is sent. */
static X509 *last_sent(const struct tls_cert *cert)
{
    const int n = sk_X509_num(cert->chain);
    return n == 0 ? cert->leaf : sk_X509_value(cert->chain, n - 1);
}

/* Remarks on a chain that clients accept only if they have a CA that this machine does not have. A
 * leaf without any chain is reported by check_chain(). */
static void check_end(const struct tls_doubts *d, const struct tls_cert *cert)
{
    X509 *last = last_sent(cert);
    char name[96];

    if (is_known_issuer(last))
        return;
    name_of(X509_get_issuer_name(last), name);
    if (is_self_issued(cert->leaf))
        doubt(d, TLS_REMARK, "it is self-signed: only clients that have it as a CA accept it");
    else if (cert->root != NULL)
        doubt(d, TLS_REMARK, "only clients that have the CA %s accept it", name);
    else if (sk_X509_num(cert->chain) > 0)
        doubt(d, TLS_REMARK,
              "the chain ends below %s, which this machine does not have: it is a private CA, or "
              "an intermediate certificate is missing",
              name);
}

/* Browsers refuse certificates of public CAs above 398 days, and Apple all others above 825 days.
 */
static void check_lifetime(const struct tls_doubts *d, const struct tls_cert *cert)
{
    enum { DAY = 24 * 3600, PUBLIC_DAYS = 398, PRIVATE_DAYS = 825 };
    const time_t days = (tls_time(X509_get0_notAfter(cert->leaf)) -
                         tls_time(X509_get0_notBefore(cert->leaf)) + DAY - 1) /
                        DAY;

    if (days > PRIVATE_DAYS)
        doubt(d, TLS_REMARK, "it is valid for %lld days; Apple's systems refuse more than %d",
              (long long)days, (int)PRIVATE_DAYS);
    else if (days > PUBLIC_DAYS && is_known_issuer(last_sent(cert)))
        doubt(d, TLS_REMARK,
              "it is valid for %lld days; browsers refuse more than %d of a public CA",
              (long long)days, (int)PUBLIC_DAYS);
}

/* Remarks on a file that other servers would send as it is. */
static void check_file(const struct tls_doubts *d, const struct tls_cert *cert)
{
    char name[96];

    if (cert->root != NULL) {
        name_of(X509_get_subject_name(cert->root), name);
        doubt(d, TLS_REMARK, "the file has the root CA %s, which is not sent", name);
    }
    if (cert->unordered)
        doubt(d, TLS_REMARK,
              "the certificates in the file are not in the order of the chain, in which the gate "
              "sends them; other programs may not");
}

/* tls_bag.h says how the certificate was chosen. */
static void check_others(const struct tls_doubts *d, const struct tls_cert *cert)
{
    char name[96];

    name_of(X509_get_subject_name(cert->leaf), name);
    if (cert->rivals > 0)
        doubt(d, TLS_WARNING, "%zu more certificate%s in it fit%s a key; the first is used: %s",
              cert->rivals, cert->rivals == 1 ? "" : "s", cert->rivals == 1 ? "s" : "", name);
    else if (cert->strays > 0)
        doubt(d, TLS_WARNING,
              "%zu certificate%s in it %s not part of the chain of %s, and %s not sent",
              cert->strays, cert->strays == 1 ? "" : "s", cert->strays == 1 ? "is" : "are", name,
              cert->strays == 1 ? "is" : "are");
}

void tls_doubts_find(const struct tls_doubts *d, const struct tls_cert *cert)
{
    check_begin(d, cert->leaf);
    check_uses(d, cert->leaf);
    check_key(d, cert->leaf);
    check_signature(d, cert->leaf);
    check_names(d, cert->leaf);
    check_staple(d, cert->leaf);
    check_chain(d, cert);
    check_others(d, cert);
    if (!d->remarks)
        return;
    check_end(d, cert);
    check_lifetime(d, cert);
    check_file(d, cert);
}

void tls_doubts_find_cas(const struct tls_doubts *d, X509_STORE *store)
{
    char name[96];

    INSIST(X509_STORE_lock(store) == 1); /* a verification may sort the objects */
    const STACK_OF(X509_OBJECT) *all = X509_STORE_get0_objects(store);
    for (int i = 0; i < sk_X509_OBJECT_num(all); i++) {
        X509 *ca = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(all, i));
        if (ca == NULL) /* a CRL */
            continue;
        name_of(X509_get_subject_name(ca), name);
        if (tls_time(X509_get0_notAfter(ca)) < d->now)
            doubt(d, TLS_WARNING, "a CA has expired: %s", name);
        else if (tls_time(X509_get0_notBefore(ca)) > d->now)
            doubt(d, TLS_WARNING, "a CA is not valid yet: %s", name);
    }
    X509_STORE_unlock(store);
}
