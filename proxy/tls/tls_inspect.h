/* tls_inspect: a certificate of a listener as clients see it: what it contains, whether the CAs of
 * this machine verify it, and its problems. For `sstpgate certificates`; it reads the
 * files itself and needs no context. */
#ifndef SSTPGATE_TLS_TLS_INSPECT_H
#define SSTPGATE_TLS_TLS_INSPECT_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "tls/tls_error.h"
#include "tls/tls_expiry.h"
#include "tls/tls_facts.h"
#include "tls/tls_level.h"
#include "tls/tls_settings.h"

struct tls_finding {
    enum tls_level level;
    char *text;
};

struct tls_findings {
    struct tls_finding *item;
    size_t count;
};

struct tls_inspection {
    struct tls_facts facts;
    int days_left; /* whole days; negative: it has expired */
    enum tls_staple_state staple;
    char **chain; /* subjects of the certificates that are sent after the leaf */
    size_t chain_count;
    bool verified;       /* the CAs of this machine verify the chain for a TLS server */
    const char *why_not; /* constant; NULL: verified */
    struct tls_findings findings;
    struct tls_cert *cert; /* for tls_inspection_covers() */
};

/* Inspects a certificate. warn_days: a certificate with fewer days left gets a warning, or one with
 * less than a third of its validity, if that is shorter. A key that cannot be used is a finding; a
 * key in a device is not used.
 * False: *error has the reason, with the file in front, and *out is empty. */
bool tls_inspect(const struct tls_certificate *from, time_t now, int warn_days,
                 struct tls_inspection *out, char error[TLS_ERROR_MAX]);

/* Returns whether the certificate is valid for a name or an address that clients dial. */
bool tls_inspection_covers(const struct tls_inspection *i, const char *host);

void tls_inspection_fini(struct tls_inspection *i);

/* Inspects the CAs of a backend. */
void tls_inspect_cas(const char *ca_file, time_t now, struct tls_findings *out);

/* Adds a copy of text. */
void tls_findings_add(struct tls_findings *f, enum tls_level level, const char *text);
void tls_findings_fini(struct tls_findings *f);

#endif
