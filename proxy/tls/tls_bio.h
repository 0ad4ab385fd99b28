/* tls_bio: the BIO under a TLS connection. It reads from a window that its owner points at octets
 * that have just arrived, and writes into a sink that takes everything. So OpenSSL never touches a
 * socket, keeps no copy of what was received, and the owner decides when records leave. */
#ifndef SSTPGATE_TLS_TLS_BIO_H
#define SSTPGATE_TLS_TLS_BIO_H

#include <openssl/bio.h>

#include "base/span.h"

/* Takes all of octets before it returns; must not call back into the TLS connection. */
typedef void (*tls_sink)(void *arg, struct span octets);

enum { TLS_UNASKED_MAX = 32 };

struct tls_window {
    struct span in; /* what was not read yet */
    /* How often OpenSSL wrote since the owner set this to 0. Above TLS_UNASKED_MAX there is nothing
     * more to read: a peer that sends KeyUpdates or renegotiations gets so many answers and no
     * more. */
    unsigned unasked;
    tls_sink sink;
    void *arg;
};

/* w must live as long as the BIO. */
BIO *tls_bio_new(struct tls_window *w);

#endif
