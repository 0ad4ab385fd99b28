/* tls_memory: the memory of OpenSSL. OpenSSL 3 wipes keys, but not the SSL object that it frees,
 * which has the traffic secrets of TLS 1.3 and what they are derived from. */
#ifndef SSTPGATE_TLS_TLS_MEMORY_H
#define SSTPGATE_TLS_TLS_MEMORY_H

#include <openssl/types.h>

/* Prepares tls_memory_free() to wipe. OpenSSL still uses malloc() and free(). Call it before any
 * other function of OpenSSL. */
void tls_memory_start(void);

/* Frees ssl as SSL_free() does, and wipes the blocks of the size of an SSL object among those that
 * this frees. Without tls_memory_start() nothing is wiped. */
void tls_memory_free(SSL *ssl);

#endif
