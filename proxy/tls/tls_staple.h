/* tls_staple: an OCSP response from a file, to be sent with a certificate (RFC 6066 8). */
#ifndef SSTPGATE_TLS_TLS_STAPLE_H
#define SSTPGATE_TLS_TLS_STAPLE_H

#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "tls/tls_error.h"
#include "tls/tls_expiry.h"

struct tls_staple {
    unsigned char *der; /* NULL: none */
    size_t n;
    time_t from, until; /* until 0: no end is given */
    bool good;          /* what it says about the certificate */
};

/* False: the file cannot be read, holds no OCSP response with an answer, or one about another
 * certificate than leaf; *error says which. Whether it is signed is for the client to look at. */
bool tls_staple_load(const char *path, X509 *leaf, struct tls_staple *out,
                     char error[TLS_ERROR_MAX]);

void tls_staple_fini(struct tls_staple *staple);

/* Clients that get one that is not fresh and good break the connection off, while those that get
 * none do not: only TLS_STAPLE_FRESH is sent. */
enum tls_staple_state tls_staple_state(const struct tls_staple *staple, time_t now);

#endif
