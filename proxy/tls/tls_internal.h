/* tls_internal: what the files of this room share and nobody else sees. */
#ifndef SSTPGATE_TLS_TLS_INTERNAL_H
#define SSTPGATE_TLS_TLS_INTERNAL_H

#include <openssl/ssl.h>

#include "tls/tls_ctx.h"

/* The certificates that compete for the clients of some names: one of each kind of key. */
struct tls_group {
    SSL_CTX *ssl;
    size_t member[8], members; /* indices of certificates; OpenSSL knows no more kinds of keys */
};

struct tls_name {
    const char *name; /* a certificate's */
    size_t group;
};

struct tls_ctx {
    SSL_CTX *ssl; /* a listener: that of the default group, which is group[0] */
    bool strict_sni;
    struct tls_served *served; /* the certificates of a listener, as they were given */
    size_t served_count;
    struct tls_group *group;
    size_t group_count;
    struct tls_name *name; /* sorted */
    size_t name_count;
};

/* "what: reason" of OpenSSL's oldest error; empties the queue. */
void tls_error_text(char out[TLS_ERROR_MAX], const char *what);

#endif
