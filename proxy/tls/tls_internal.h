/* tls_internal: the struct of a context, for tls_ctx and tls_conn only. */
#ifndef SSTPGATE_TLS_TLS_INTERNAL_H
#define SSTPGATE_TLS_TLS_INTERNAL_H

#include <openssl/ssl.h>

#include "tls/tls_bio.h"
#include "tls/tls_served.h"
#include "tls/tls_session.h"

/* RFC 8446 5.5 allows 2^24.5 full records. */
enum { TLS_UPDATE_AFTER = 1 << 24 };

struct tls_ctx {
    SSL_CTX *ssl; /* of a listener: the context of the default group, which owns it */
    bool strict_sni;
    bool no_records;       /* OpenSSL keeps the connections after their handshakes */
    bool device;           /* a private key is in a device (tls_device.h) */
    bool single;           /* of such a key: see tls_device_is_single() */
    uint64_t update_after; /* records with one key of AES-GCM, see records.h */
    tls_on_keys on_keys;   /* the key log; NULL: none */
    void *on_keys_arg;
    uint8_t scope[TLS_SCOPE]; /* of a backend */
    struct tls_served served; /* of a backend: empty */
};

#endif
