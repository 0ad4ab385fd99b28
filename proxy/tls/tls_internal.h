/* tls_internal: the context itself, for tls_ctx and tls_conn only. */
#ifndef SSTPGATE_TLS_TLS_INTERNAL_H
#define SSTPGATE_TLS_TLS_INTERNAL_H

#include <openssl/ssl.h>

#include "tls/tls_served.h"

struct tls_ctx {
    SSL_CTX *ssl; /* a listener: that of the default group, which owns it */
    bool strict_sni;
    struct tls_served served; /* a backend: empty */
};

#endif
