/* tls_memory: the memory of OpenSSL. OpenSSL 3 wipes keys, but not the SSL object that it frees,
 * which has the traffic secrets of TLS 1.3 and what they are derived from. */
#ifndef SSTPGATE_TLS_TLS_MEMORY_H
#define SSTPGATE_TLS_TLS_MEMORY_H

#include <openssl/types.h>

/* Prepares tls_memory_free() to wipe. OpenSSL still uses malloc() and free(). Call it before any
 * other function of OpenSSL. */
void tls_memory_start(void);

/* Frees ssl as SSL_free() does. Wipes each freed block whose size is one that an SSL object may
 * have. Wipes nothing without tls_memory_start(). */
void tls_memory_free(SSL *ssl);

#endif
