/* tls_staple: an OCSP response from a file, to be sent with a certificate (RFC 6066 8). For the
 * files of this room. */
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
    time_t from, until; /* thisUpdate and nextUpdate; until 0: none */
    bool good;          /* the status of the certificate is "good" */
};

/* Loads the response about leaf. False: the file cannot be read, is not a successful OCSP response,
 * or is about another certificate; *error has the reason. The signature is not verified, because
 * the client does that. */
bool tls_staple_load(const char *path, X509 *leaf, struct tls_staple *out,
                     char error[TLS_ERROR_MAX]);

void tls_staple_fini(struct tls_staple *staple);

/* Returns the state at this time. Only a staple that is TLS_STAPLE_FRESH is sent, because a client
 * may abort the connection on any other staple, but accepts a connection without one. */
enum tls_staple_state tls_staple_state(const struct tls_staple *staple, time_t now);

#endif
