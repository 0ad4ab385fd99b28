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
    TLS_PKCS12_NO_KEY,     /* it has no key, or not the key of a certificate in it */
    TLS_PKCS12_LEGACY,     /* it needs the legacy provider, which is missing */
    TLS_PKCS12_SLOW,       /* more than TLS_PBE_MAX iterations */
    TLS_PKCS12_OTHER,      /* OpenSSL's error queue has the reason */
};

/* Returns whether der is a PKCS#12 container. */
bool tls_pkcs12_is(struct span der);

struct tls_pkcs12_content {
    X509 *leaf;
    EVP_PKEY *key;
    STACK_OF(X509) * chain; /* the caller's; from the leaf's issuer up, without the root */
};

/* Sets leaf and key of out, and adds to its chain; the caller owns them. Any result but
 * TLS_PKCS12_OK: they may be set in part. */
enum tls_pkcs12 tls_pkcs12_open(struct span der, const char *passphrase,
                                struct tls_pkcs12_content *out);

#endif
