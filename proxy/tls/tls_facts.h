/* tls_facts: the content of a certificate file in readable form: of its leaf, see tls_bag.h. Needs
 * no key, and a passphrase only for PKCS#12. */
#ifndef SSTPGATE_TLS_TLS_FACTS_H
#define SSTPGATE_TLS_TLS_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/span.h"
#include "tls/tls_error.h"
#include "tls/tls_settings.h"

struct tls_cert;

struct tls_facts {
    char *subject, *issuer; /* in the form of RFC 2253, printable ASCII only */
    char **name;            /* DNS names */
    size_t name_count;
    bool ca;                      /* a CA's certificate */
    size_t rivals;                /* other certificates in the file that could be the leaf */
    char serial[48];              /* in hexadecimal digits */
    char key[48];                 /* "RSA 2048", "EC prime256v1" */
    time_t from, until;           /* of its validity, seconds since 1970 */
    uint8_t sha1[20], sha256[32]; /* of the leaf as DER; the crypto-binding uses them */
};

/* Reads a certificate. False: *error has the reason, with the file in front, and *out is empty. */
bool tls_facts_read(const struct tls_certificate *from, struct tls_facts *out,
                    char error[TLS_ERROR_MAX]);
/* Reads a certificate that is loaded. */
void tls_facts_of(const struct tls_cert *cert, struct tls_facts *out);

/* Reads a certificate that a server has sent, as DER. named: receives whether it is valid for host,
 * a name or an address. False: not a certificate; *out is empty. */
bool tls_facts_from_der(struct span der, const char *host, struct tls_facts *out, bool *named);

void tls_facts_fini(struct tls_facts *facts);

#endif
