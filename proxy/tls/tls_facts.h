/* tls_facts: what a certificate file says, for people. Needs no key, and no passphrase but for
 * PKCS#12. */
#ifndef SSTPGATE_TLS_TLS_FACTS_H
#define SSTPGATE_TLS_TLS_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "tls/tls_error.h"
#include "tls/tls_settings.h"

struct tls_facts {
    char *subject, *issuer; /* as RFC 2253 writes them, printable ASCII only */
    char **name;            /* that it is for */
    size_t name_count;
    char key[48];                 /* "RSA 2048", "EC prime256v1" */
    time_t from, until;           /* its validity */
    uint8_t sha1[20], sha256[32]; /* of the leaf as DER: what the crypto-binding has in it */
};

/* False: *error says why, with the file in front; nothing is kept then. */
bool tls_facts_read(const struct tls_certificate *from, struct tls_facts *out,
                    char error[TLS_ERROR_MAX]);
void tls_facts_fini(struct tls_facts *facts);

#endif
