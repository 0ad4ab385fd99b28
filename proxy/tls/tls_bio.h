/* tls_bio: the BIO under a TLS connection. It reads from a window that its owner points at octets
 * that have just arrived, and writes into a sink that takes everything. So OpenSSL never touches a
 * socket, keeps no copy of what was received, and the owner decides when records leave. */
#ifndef SSTPGATE_TLS_TLS_BIO_H
#define SSTPGATE_TLS_TLS_BIO_H

#include <openssl/ssl.h>
#include <stdint.h>

#include "base/span.h"

/* Takes all of octets before it returns; must not call back into the TLS connection. */
typedef void (*tls_sink)(void *arg, struct span octets);

enum {
    /* Answers that a peer may cause while it sends no data: to KeyUpdates and renegotiations. */
    TLS_UNASKED_MAX = 32,
    /* Octets of a whole handshake. A client's: browsers send 2 kB with their post-quantum key
     * shares. OpenSSL compares each key share of a ClientHello with each group in it, which takes
     * 68 ms of CPU time in 64 kB, and 1.4 ms in 8 kB. A server's: TLS_PEER_LIST_MAX, as much for
     * a list of CAs, and key exchange. */
    TLS_CLIENT_HANDSHAKE_MAX = 8192,
    TLS_SERVER_HANDSHAKE_MAX = 3 * 32768,
    /* Messages behind the handshake (KeyUpdates, tickets): so many for nothing, and one more for so
     * many octets. A KeyUpdate is 27 octets, and takes as long as 9 kB of data. A program that
     * changes keys does so after some 2^24 records. */
    TLS_MESSAGES_MAX = 128,
    TLS_MESSAGE_OCTETS = 1 << 20,
};

/* Where any of the bounds above is exceeded, there is nothing more to read. */
struct tls_window {
    struct span in;     /* octets not read yet */
    unsigned unasked;   /* how often OpenSSL has written since the owner set this to 0 */
    unsigned messages;  /* handshake messages behind the handshake */
    uint64_t taken;     /* octets read */
    uint64_t handshake; /* octets that the handshake may take; UINT64_MAX: it is over */
    tls_sink sink;
    void *arg;
};

/* Returns which bound is exceeded; NULL: none. */
const char *tls_window_exhausted(const struct tls_window *w);

/* The info callback of every SSL_CTX whose connections use such a BIO: counts messages. */
void tls_window_on_info(const SSL *ssl, int where, int ret);

/* w must live as long as the BIO. */
BIO *tls_bio_new(struct tls_window *w);

#endif
