#include "tls/tls_staple.h"

#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <stdlib.h>
#include <string.h>

#include "base/insist.h"
#include "tls/tls_time.h"

/* ---- the certificate that a response is about ---- */

static bool same_digest(const ASN1_OCTET_STRING *a, const unsigned char *digest, unsigned n)
{
    return ASN1_STRING_length(a) == (int)n && memcmp(ASN1_STRING_get0_data(a), digest, n) == 0;
}

static bool same_key(X509 *issuer, const EVP_MD *md, const ASN1_OCTET_STRING *key)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n;

    return X509_pubkey_digest(issuer, md, digest, &n) == 1 && same_digest(key, digest, n);
}

/* Returns whether key is the hash of the key of the issuer. A chain may have several certificates
 * of one issuer; without any, the key is unknown and its hash is not compared. The authority key
 * identifier of the leaf does not help, because it may be any text (RFC 5280 4.2.1.2). */
static bool issuer_has_key(const struct tls_cert *cert, const EVP_MD *md,
                           const ASN1_OCTET_STRING *key)
{
    const X509_NAME *name = X509_get_issuer_name(cert->leaf);
    bool known = false;

    for (int i = -1; i <= sk_X509_num(cert->chain); i++) { /* -1: a leaf may be self-signed */
        X509 *one = i < 0                          ? cert->leaf
                    : i < sk_X509_num(cert->chain) ? sk_X509_value(cert->chain, i)
                                                   : cert->root;
        if (one == NULL || X509_NAME_cmp(X509_get_subject_name(one), name) != 0)
            continue;
        if (same_key(one, md, key))
            return true;
        known = true;
    }
    return !known;
}

/* RFC 6960 4.1.1: a serial number identifies a certificate only together with its issuer. */
static bool is_about(OCSP_CERTID *id, const struct tls_cert *cert)
{
    ASN1_OCTET_STRING *name, *key;
    ASN1_INTEGER *serial;
    ASN1_OBJECT *algorithm;
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n;

    if (OCSP_id_get0_info(&name, &algorithm, &key, &serial, id) != 1 ||
        ASN1_INTEGER_cmp(serial, X509_get0_serialNumber(cert->leaf)) != 0)
        return false;
    const EVP_MD *md = EVP_get_digestbyobj(algorithm);
    return md != NULL && X509_NAME_digest(X509_get_issuer_name(cert->leaf), md, digest, &n) == 1 &&
           same_digest(name, digest, n) && issuer_has_key(cert, md, key);
}

static OCSP_SINGLERESP *find_single(OCSP_BASICRESP *basic, const struct tls_cert *cert)
{
    for (int i = 0; i < OCSP_resp_count(basic); i++) {
        OCSP_SINGLERESP *single = OCSP_resp_get0(basic, i);
        if (is_about((OCSP_CERTID *)OCSP_SINGLERESP_get0_id(single), cert))
            return single;
    }
    return NULL;
}

/* ---- the staple ---- */

/* Returns the reason, a static text, why a response cannot be used; NULL: it can. */
static const char *read_response(OCSP_RESPONSE *response, const struct tls_cert *cert,
                                 struct tls_staple *out)
{
    ASN1_GENERALIZEDTIME *from = NULL, *until = NULL;
    const int status = OCSP_response_status(response);

    if (status != OCSP_RESPONSE_STATUS_SUCCESSFUL)
        return OCSP_response_status_str(status);
    OCSP_BASICRESP *basic = OCSP_response_get1_basic(response);
    OCSP_SINGLERESP *single = basic == NULL ? NULL : find_single(basic, cert);
    if (single != NULL) {
        out->good =
            OCSP_single_get0_status(single, NULL, NULL, &from, &until) == V_OCSP_CERTSTATUS_GOOD;
        out->from = from == NULL ? 0 : tls_time(from);
        out->until = until == NULL ? 0 : tls_time(until);
    }
    OCSP_BASICRESP_free(basic);
    return single == NULL ? "the OCSP response is not for this certificate" : NULL;
}

void tls_staple_init(struct tls_staple *staple, const struct tls_response *from,
                     const struct tls_cert *cert)
{
    const unsigned char *at = from->der;
    const char *why = from->unreadable;

    *staple = (struct tls_staple){0};
    OCSP_RESPONSE *response = why != NULL ? NULL : d2i_OCSP_RESPONSE(NULL, &at, (long)from->n);
    if (why == NULL)
        why = response == NULL || at != from->der + from->n ? "not an OCSP response in DER"
                                                            : read_response(response, cert, staple);
    if (why == NULL) {
        staple->n = from->n;
        staple->der = insist_alloc(OPENSSL_memdup(from->der, from->n));
    } else {
        staple->unusable = insist_alloc(strdup(why));
    }
    OCSP_RESPONSE_free(response);
    ERR_clear_error();
}

void tls_staple_fini(struct tls_staple *staple)
{
    OPENSSL_free(staple->der);
    free(staple->unusable);
    *staple = (struct tls_staple){0};
}

enum tls_staple_state tls_staple_state(const struct tls_staple *staple, time_t now)
{
    if (staple->unusable != NULL)
        return TLS_STAPLE_UNUSABLE;
    if (staple->der == NULL)
        return TLS_STAPLE_NONE;
    if (!staple->good)
        return TLS_STAPLE_REVOKED;
    /* RFC 6960 4.2.2.1: without nextUpdate, newer information is always available */
    if (now < staple->from || (staple->until != 0 && now >= staple->until))
        return TLS_STAPLE_STALE;
    return TLS_STAPLE_FRESH;
}
