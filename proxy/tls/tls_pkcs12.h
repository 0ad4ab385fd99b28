/* tls_pkcs12: certificates and keys from a PKCS#12 container (RFC 7292), in the formats that
 * Windows exports: the new one (AES, PBKDF2) and the old one (RC2-40 and 3DES); with or without a
 * MAC. For the files of this room. */
#ifndef SSTPGATE_TLS_TLS_PKCS12_H
#define SSTPGATE_TLS_TLS_PKCS12_H

#include <stdbool.h>

#include "base/span.h"
#include "tls/tls_bag.h"

enum tls_pkcs12 {
    TLS_PKCS12_OK,
    TLS_PKCS12_PASSPHRASE, /* the passphrase is wrong */
    TLS_PKCS12_LEGACY,     /* it needs the legacy provider, which is missing */
    TLS_PKCS12_SLOW,       /* more than TLS_PBE_MAX iterations */
    TLS_PKCS12_OTHER,      /* OpenSSL's error queue has the reason */
};

/* Returns whether der is a PKCS#12 container. */
bool tls_pkcs12_is(struct span der);

/* Adds all certificates and keys of the container to out; any result but TLS_PKCS12_OK: perhaps a
 * part of them. */
enum tls_pkcs12 tls_pkcs12_open(struct span der, const char *passphrase, struct tls_bag *out);

#endif
