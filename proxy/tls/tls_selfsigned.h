/* tls_selfsigned: a new key and a self-signed certificate, for a trial of a gate. */
#ifndef SSTPGATE_TLS_TLS_SELFSIGNED_H
#define SSTPGATE_TLS_TLS_SELFSIGNED_H

#include <stdbool.h>
#include <stddef.h>

#include "tls/tls_error.h"

enum { TLS_SELFSIGNED_DAYS = 90 };

struct tls_selfsigned {
    char *certificate, *key; /* PEM */
};

/* Makes a key (P-256) and a certificate for servers that is valid for TLS_SELFSIGNED_DAYS. host: a
 * DNS name, *.DOMAIN, or an address without brackets. False: *error has the reason, and *out is
 * empty. */
bool tls_selfsigned_make(const char *host, struct tls_selfsigned *out, char error[TLS_ERROR_MAX]);

/* Wipes the key and frees both texts. A no-op for an empty one. */
void tls_selfsigned_fini(struct tls_selfsigned *s);

#endif
