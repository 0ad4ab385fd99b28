/* tls_served: the certificates of a listener, in the order of the configuration, and the group of
 * certificates for each name that a client may request. For the files of this room. */
#ifndef SSTPGATE_TLS_TLS_SERVED_H
#define SSTPGATE_TLS_TLS_SERVED_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>

#include "tls/tls_cert.h"
#include "tls/tls_error.h"
#include "tls/tls_settings.h"
#include "tls/tls_staple.h"

struct tls_served_cert {
    struct tls_cert cert;
    struct tls_staple staple;
    char *file, *ocsp_file;
};

/* The certificates for the same names, one of each kind of key; the handshake chooses one of
 * them. */
struct tls_group {
    SSL_CTX *ssl;              /* owned; set by tls_ctx */
    size_t member[8], members; /* indices of certificates; OpenSSL has fewer than 8 kinds of keys */
};

struct tls_name {
    const char *name; /* owned by a certificate */
    size_t group;
};

struct tls_served {
    struct tls_served_cert *cert;
    size_t count;
    struct tls_group *group; /* group[0] is the default */
    size_t group_count;
    struct tls_name *name; /* sorted */
    size_t name_count;
};

/* Allocates count certificates; tls_served_load() loads each. */
void tls_served_init(struct tls_served *served, size_t count);
void tls_served_fini(struct tls_served *served);

/* Loads the certificate with this index, and its staple if that can be used. probe: a context with
 * the listener's settings, which may be too strict for the certificate. False: *error has the
 * reason, with the file in front. */
bool tls_served_load(struct tls_served *served, size_t index, const struct tls_certificate *from,
                     SSL_CTX *probe, char error[TLS_ERROR_MAX]);

/* Collects the groups and the names, once all certificates are loaded. The first name of the first
 * certificate makes the default group. */
void tls_served_group(struct tls_served *served);

/* Returns whether any group has the certificate with this index. */
bool tls_served_is_shown(const struct tls_served *served, size_t index);

/* Returns the group for the name that a client requests: the group of the certificates with exactly
 * this name, else of those with a matching wildcard (RFC 6125 6.4.3: the star is one whole label,
 * the leftmost). NULL: no certificate has the name. */
const struct tls_group *tls_served_find(const struct tls_served *served, const char *asked);

/* Returns the staple of the certificate that has this leaf, compared by its address; NULL: none has
 * it. */
const struct tls_staple *tls_served_staple(const struct tls_served *served, const X509 *leaf);

#endif
