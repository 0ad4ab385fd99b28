/* tls_cert: a certificate as it comes out of its files: PEM, PKCS#12, or the DER of a leaf; the
 * kind is told by the content. For the files of this room: OpenSSL's types stand in it. */
#ifndef SSTPGATE_TLS_TLS_CERT_H
#define SSTPGATE_TLS_TLS_CERT_H

#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"
#include "tls/tls_error.h"
#include "tls/tls_settings.h"

struct tls_cert {
    X509 *leaf;
    EVP_PKEY *key;          /* NULL where it was not asked for */
    STACK_OF(X509) * chain; /* between the leaf and its CA; may be empty */
    char **name;            /* that it is for, in lower case; *.DOMAIN as it stands */
    size_t name_count;
};

/* False: *error says why, with the file in front; nothing is kept then. */
bool tls_cert_load(const struct tls_certificate *from, bool with_key, struct tls_cert *out,
                   char error[TLS_ERROR_MAX]);

void tls_cert_fini(struct tls_cert *cert);

/* Gives leaf, key and chain to ssl, which takes references. False: OpenSSL's error queue has the
 * reason. */
bool tls_cert_use(const struct tls_cert *cert, SSL_CTX *ssl);

/* Returns the size of the RSA key in bits; 0: not RSA. */
int tls_cert_rsa_bits(const struct tls_cert *cert);

/* A name as it is compared: lower case, without the dot that may stand at its end. False when it
 * is none: empty, too long for DNS, or with octets in it that are no visible ASCII. */
enum { TLS_NAME_SIZE = 256 };
bool tls_name_normal(struct span name, char out[TLS_NAME_SIZE]);

#endif
