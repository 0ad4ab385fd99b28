/* tls_doubts: reasons for which clients may refuse a listener's certificate although it can be
 * loaded. They are warnings for the administrator; none of them changes the certificates that are
 * sent. For the files of this room; tls_ctx_doubts() and tls_inspect() call it. */
#ifndef SSTPGATE_TLS_TLS_DOUBTS_H
#define SSTPGATE_TLS_TLS_DOUBTS_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "tls/tls_cert.h"
#include "tls/tls_level.h"

/* Called once for each doubt. text: begins with "FILE: ". */
typedef void (*tls_on_doubt)(void *arg, size_t certificate, enum tls_level level, const char *text);

struct tls_doubts {
    size_t certificate; /* index */
    const char *file;
    bool stapled;
    bool remarks; /* report remarks, too */
    time_t now;   /* seconds since 1970 */
    tls_on_doubt on_doubt;
    void *arg;
};

/* Reports validity that has not begun, uses that the certificate does not allow, keys and
 * signatures that clients refuse, missing names, a chain that is missing or expired, and
 * certificates in the file that are not used. Expiry of the leaf itself: see tls_expiry.h. Remarks
 * are about certificates that work: a file in another order, or with its root, a CA that this
 * machine does not have, a long validity. */
void tls_doubts_find(const struct tls_doubts *d, const struct tls_cert *cert);

/* Reports CAs of a backend that verify nothing at d->now, because they have expired or are not
 * valid yet. d->certificate is passed on. */
void tls_doubts_find_cas(const struct tls_doubts *d, X509_STORE *store);

#endif
