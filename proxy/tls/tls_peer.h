/* tls_peer: limits on the cost of a backend's certificates, because they are verified before the
 * backend is authenticated. For the files of this room. */
#ifndef SSTPGATE_TLS_TLS_PEER_H
#define SSTPGATE_TLS_TLS_PEER_H

#include <openssl/ssl.h>
#include <stdbool.h>

enum {
    TLS_PEER_LIST_MAX = 32768, /* bytes of a Certificate message; four certificates with RSA keys
                                  of 4096 bits are 8 kB */
    TLS_PEER_DEPTH_MAX = 8,    /* certificates between the leaf and its CA */
    TLS_PEER_RSA_MAX = 8192,   /* bits; a signature takes 0.3 ms of CPU time to verify */
    TLS_PEER_EC_MAX = 521,     /* bits */
    TLS_PEER_EXPONENT_MAX =
        64 /* bits of an RSA exponent; OpenSSL has this limit for keys above 3072 bits */
};

/* Limits the certificates that the connections of ssl, a client's context, accept. chain: the chain
 * is verified, too. A violation is reported like an invalid chain, as
 * X509_V_ERR_APPLICATION_VERIFICATION. */
void tls_peer_bound(SSL_CTX *ssl, bool chain);

#endif
