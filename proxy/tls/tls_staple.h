/* tls_staple: an OCSP response from a file, to be sent with a certificate (RFC 6066 8). For the
 * files of this room. */
#ifndef SSTPGATE_TLS_TLS_STAPLE_H
#define SSTPGATE_TLS_TLS_STAPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "tls/tls_cert.h"
#include "tls/tls_expiry.h"

struct tls_staple {
    unsigned char *der; /* NULL: none */
    size_t n;
    time_t from, until; /* thisUpdate and nextUpdate; until 0: none */
    bool good;          /* the status of the certificate is "good" */
    char *unusable;     /* the reason why the file has no response about the certificate; owned;
                           NULL: it has one, or there is no file */
};

/* The content of a file, or the reason why it could not be read. */
struct tls_response {
    unsigned char *der;
    size_t n;
    char *unreadable; /* NULL: it was read */
};

/* Makes a staple for cert of the response. The chain of cert should have its issuer: then the key
 * of the issuer is compared, too, else only its name. The signature is not verified, because the
 * client does that. A file without a response about cert sets `unusable` and is not an error,
 * because TLS works without a staple. */
void tls_staple_init(struct tls_staple *staple, const struct tls_response *from,
                     const struct tls_cert *cert);

void tls_staple_fini(struct tls_staple *staple);

/* Returns the state at this time. Only a staple that is TLS_STAPLE_FRESH is sent, because a client
 * may abort the connection on any other staple, but accepts a connection without one. */
enum tls_staple_state tls_staple_state(const struct tls_staple *staple, time_t now);

#endif
