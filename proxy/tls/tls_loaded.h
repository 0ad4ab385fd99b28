/* tls_loaded: files of certificates, read once for the contexts of all workers. Each context makes
 * copies of its own, so only the thread that builds contexts uses these objects. */
#ifndef SSTPGATE_TLS_TLS_LOADED_H
#define SSTPGATE_TLS_TLS_LOADED_H

#include "tls/tls_error.h"
#include "tls/tls_settings.h"

/* A certificate with its chain and its private key. */
struct tls_pair;

/* Reads file, key and passphrase_file. NULL: *error has "FILE: REASON". Whether the settings of a
 * listener allow them is checked by tls_ctx_new_server(). */
struct tls_pair *tls_pair_load(const struct tls_certificate *from, char error[TLS_ERROR_MAX]);
void tls_pair_free(struct tls_pair *pair); /* NULL: no-op */

/* An OCSP response, not checked yet. */
struct tls_response;

/* Never NULL: a file that cannot be read becomes a response with the reason, because TLS works
 * without one. */
struct tls_response *tls_response_load(const char *path);
void tls_response_free(struct tls_response *response); /* NULL: no-op */

/* Trusted certificates. */
struct tls_ca;

/* file: PEM, or "system" for the certificates of the system. NULL: *error has "FILE: REASON". */
struct tls_ca *tls_ca_load(const char *file, char error[TLS_ERROR_MAX]);
void tls_ca_free(struct tls_ca *ca); /* NULL: no-op */

#endif
