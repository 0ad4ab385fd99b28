/* tls_pkcs12: certificate, chain and key from a PKCS#12 container (RFC 7292), in the formats that
 * Windows exports: the new one (AES, PBKDF2) and the old one (RC2-40 and 3DES). For the files of
 * this room. */
#ifndef SSTPGATE_TLS_TLS_PKCS12_H
#define SSTPGATE_TLS_TLS_PKCS12_H

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdbool.h>

#include "base/span.h"

enum tls_pkcs12 {
    TLS_PKCS12_OK,
    TLS_PKCS12_PASSPHRASE, /* the passphrase is wrong */
    TLS_PKCS12_NO_KEY, /* the container has no key, or its key belongs to no certificate in it */
    TLS_PKCS12_LEGACY, /* the container needs the legacy provider, which is missing */
    TLS_PKCS12_SLOW,   /* more than TLS_PBE_MAX iterations */
    TLS_PKCS12_OTHER,  /* OpenSSL's error queue has the reason */
};

/* Returns whether der is a PKCS#12 container. */
bool tls_pkcs12_is(struct span der);

struct tls_pkcs12_content {
    X509 *leaf;
    EVP_PKEY *key;
    STACK_OF(X509) * chain; /* made by the caller; from the leaf's issuer up, without the root */
};

/* Sets leaf and key of out, and adds to its chain; the caller owns them. After any result but
 * TLS_PKCS12_OK only some of them may be set. */
enum tls_pkcs12 tls_pkcs12_open(struct span der, const char *passphrase,
                                struct tls_pkcs12_content *out);

#endif
