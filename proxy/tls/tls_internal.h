/* tls_internal: what the files of this room share and nobody else sees. */
#ifndef SSTPGATE_TLS_TLS_INTERNAL_H
#define SSTPGATE_TLS_TLS_INTERNAL_H

#include <openssl/ssl.h>

#include "tls/tls_ctx.h"

struct tls_ctx {
    SSL_CTX *ssl;
};

/* "what: reason" of OpenSSL's oldest error; empties the queue. */
void tls_error_text(char out[TLS_ERROR_MAX], const char *what);

#endif
