/* tls_expiry: warnings about a listener's certificate: its expiry, a staple that is not sent, a
 * slow key. */
#ifndef SSTPGATE_TLS_TLS_EXPIRY_H
#define SSTPGATE_TLS_TLS_EXPIRY_H

#include <stddef.h>
#include <time.h>

#include "tls/tls_error.h"

enum { TLS_RSA_USUAL = 4096 }; /* bits */

enum tls_staple_state {
    TLS_STAPLE_NONE, /* no ocsp_file */
    TLS_STAPLE_FRESH,
    TLS_STAPLE_STALE,    /* after its nextUpdate or before its thisUpdate: not sent */
    TLS_STAPLE_REVOKED,  /* its status is not "good": not sent */
    TLS_STAPLE_UNUSABLE, /* no response about the certificate in ocsp_file */
};

/* Returns the word of reports: good, expired, revoked, or none if there is no usable response. */
const char *tls_staple_word(enum tls_staple_state s);

struct tls_expiry {
    size_t certificate; /* index of the certificate */
    const char *file;
    time_t until;  /* end of its validity, seconds since 1970 */
    int days_left; /* whole days; negative: it has expired */
    int due;       /* smallest of 0, 1, 7 and 30 above days_left; -1: at least 30 days are left */
    enum tls_staple_state staple;
    const char *ocsp_file;
    const char *unusable; /* with TLS_STAPLE_UNUSABLE: the reason */
    int rsa_bits;         /* size of the RSA key; 0: not RSA */
};

/* Sets until, days_left and due of a certificate that is valid until `until`. A caller that warns
 * only when `due` has changed warns once at each step. */
void tls_expiry_set(struct tls_expiry *e, time_t until, time_t now);

/* Write a warning to out and return it; NULL: no warning is due. */
const char *tls_expiry_text(const struct tls_expiry *e, char out[TLS_ERROR_MAX]);
const char *tls_staple_text(const struct tls_expiry *e, char out[TLS_ERROR_MAX]);
/* Warns about an RSA key above TLS_RSA_USUAL bits, because it makes each handshake expensive. */
const char *tls_key_text(const struct tls_expiry *e, char out[TLS_ERROR_MAX]);

#endif
