/* tls_library: the library context of OpenSSL for connections to backends. OpenSSL before 3.2 goes
 * through all algorithms and decoders that it has loaded, several times, each time it parses a
 * certificate, which is a fifth of the instructions of a call. This library context has the
 * algorithms of the default provider, but of the decoders those for the public key of a certificate
 * only, and of the ciphers those of TLS suites. */
#ifndef SSTPGATE_TLS_TLS_LIBRARY_H
#define SSTPGATE_TLS_TLS_LIBRARY_H

#include <openssl/types.h>
#include <stdbool.h>

/* Returns the context, which is never freed; NULL, which OpenSSL takes as its default one: OpenSSL
 * is 3.2 or later, or tls_library_fits() is false. The first call builds it. Any thread. */
OSSL_LIB_CTX *tls_library(void);

/* Returns whether the default context is one that the other can replace: the default provider is
 * its only one, and file (NULL: none), an openssl.cnf, has no settings but those of providers and
 * of TLS contexts, which apply to each library context. */
bool tls_library_fits(const char *file);

#endif
