/* tls_bio: the BIO under a TLS connection. It reads from a window that its owner points at octets
 * that have just arrived, and writes into a sink that takes everything. So OpenSSL never touches a
 * socket, keeps no copy of what was received, and the owner decides when records leave. */
#ifndef SSTPGATE_TLS_TLS_BIO_H
#define SSTPGATE_TLS_TLS_BIO_H

#include <openssl/ssl.h>
#include <stdint.h>
#include <time.h>

#include "base/span.h"

/* Takes all of octets before it returns; must not call back into the TLS connection. */
typedef void (*tls_sink)(void *arg, struct span octets);

enum {
    /* Answers (to KeyUpdates and renegotiations) that a peer may cause while it sends no data. */
    TLS_UNASKED_MAX = 32,
    /* Bytes of a whole handshake. From a client: browsers send 2 kB with their post-quantum key
     * shares. OpenSSL compares each key share of a ClientHello with each group in it, which takes
     * 68 ms of CPU time for 64 kB, and 1.4 ms for 8 kB. From a server: TLS_PEER_LIST_MAX, the same
     * for a list of CAs, and the same for the key exchange. */
    TLS_CLIENT_HANDSHAKE_MAX = 8192,
    TLS_SERVER_HANDSHAKE_MAX = 3 * 32768,
    /* Messages after the handshake (KeyUpdates, tickets): TLS_MESSAGES_MAX without data, and one
     * more for each TLS_MESSAGE_OCTETS. A KeyUpdate has 27 bytes, and costs as much CPU time as 9
     * kB of data. A program that changes keys does so after some 2^24 records. */
    TLS_MESSAGES_MAX = 128,
    TLS_MESSAGE_OCTETS = 1 << 20,
};

/* The bytes that a connection may read next. None are left once a bound above is exceeded. */
struct tls_window {
    struct span in;     /* bytes not read yet */
    unsigned unasked;   /* writes of OpenSSL since the owner set this to 0 */
    unsigned messages;  /* messages after the handshake */
    uint64_t taken;     /* bytes read */
    uint64_t handshake; /* bytes that the handshake may take; UINT64_MAX: it is over */
    time_t now;         /* time of the handshake, for OpenSSL's callbacks; 0: not set */
    tls_sink sink;
    void *arg;
};

/* Returns which bound is exceeded; NULL: none. */
const char *tls_window_exhausted(const struct tls_window *w);

/* Counts messages. The info callback of every SSL_CTX whose connections use such a BIO. */
void tls_window_on_info(const SSL *ssl, int where, int ret);

/* w must live as long as the BIO. */
BIO *tls_bio_new(struct tls_window *w);

#endif
