#include "tls/tls_staple.h"

#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <stdio.h>

#include "base/insist.h"
#include "tls/tls_file.h"
#include "tls/tls_time.h"

/* Returns the response about leaf; NULL: none. Compares only the serial number, because the other
 * parts of a CertID need the issuer's certificate, which may be in none of the configured files. */
static OCSP_SINGLERESP *find_single(OCSP_BASICRESP *basic, const X509 *leaf)
{
    for (int i = 0; i < OCSP_resp_count(basic); i++) {
        OCSP_SINGLERESP *single = OCSP_resp_get0(basic, i);
        ASN1_INTEGER *serial = NULL;
        OCSP_CERTID *id = (OCSP_CERTID *)OCSP_SINGLERESP_get0_id(single);
        if (OCSP_id_get0_info(NULL, NULL, NULL, &serial, id) == 1 &&
            ASN1_INTEGER_cmp(serial, X509_get0_serialNumber(leaf)) == 0)
            return single;
    }
    return NULL;
}

/* Reads a response. Returns the reason, a static text, why it cannot be used; NULL: it can. */
static const char *read_response(OCSP_RESPONSE *response, const X509 *leaf, struct tls_staple *out)
{
    ASN1_GENERALIZEDTIME *from = NULL, *until = NULL;
    const int status = OCSP_response_status(response);

    if (status != OCSP_RESPONSE_STATUS_SUCCESSFUL)
        return OCSP_response_status_str(status);
    OCSP_BASICRESP *basic = OCSP_response_get1_basic(response);
    OCSP_SINGLERESP *single = basic == NULL ? NULL : find_single(basic, leaf);
    if (single != NULL) {
        out->good =
            OCSP_single_get0_status(single, NULL, NULL, &from, &until) == V_OCSP_CERTSTATUS_GOOD;
        out->from = from == NULL ? 0 : tls_time(from);
        out->until = until == NULL ? 0 : tls_time(until);
    }
    OCSP_BASICRESP_free(basic);
    return single == NULL ? "it is not for this certificate" : NULL;
}

bool tls_staple_load(const char *path, X509 *leaf, struct tls_staple *out,
                     char error[TLS_ERROR_MAX])
{
    struct tls_file file;

    *out = (struct tls_staple){0};
    if (!tls_file_read(path, &file, error))
        return false;
    const unsigned char *at = file.octets;
    OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &at, (long)file.n);
    const char *why = response == NULL || at != file.octets + file.n
                          ? "not an OCSP response in DER"
                          : read_response(response, leaf, out);
    if (why == NULL) {
        out->n = file.n;
        out->der = insist_alloc(OPENSSL_memdup(file.octets, file.n));
    } else {
        snprintf(error, TLS_ERROR_MAX, "%s: %s", path, why);
    }
    OCSP_RESPONSE_free(response);
    tls_file_free(&file);
    ERR_clear_error();
    return why == NULL;
}

void tls_staple_fini(struct tls_staple *staple)
{
    OPENSSL_free(staple->der);
    *staple = (struct tls_staple){0};
}

enum tls_staple_state tls_staple_state(const struct tls_staple *staple, time_t now)
{
    if (staple->der == NULL)
        return TLS_STAPLE_NONE;
    if (!staple->good)
        return TLS_STAPLE_REVOKED;
    /* RFC 6960 4.2.2.1: without nextUpdate, newer information is always available */
    if (now < staple->from || (staple->until != 0 && now >= staple->until))
        return TLS_STAPLE_STALE;
    return TLS_STAPLE_FRESH;
}
