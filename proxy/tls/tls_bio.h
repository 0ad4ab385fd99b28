/* tls_bio: the BIO of a TLS connection. It reads from a window, which its owner points at bytes
 * that have just arrived, and writes to a sink, which accepts all bytes. So OpenSSL never uses a
 * socket and keeps no copy of received bytes, and the owner decides when records are sent. */
#ifndef SSTPGATE_TLS_TLS_BIO_H
#define SSTPGATE_TLS_TLS_BIO_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "base/span.h"

/* Consumes all of octets before it returns; must not call any function of the TLS connection. */
typedef void (*tls_sink)(void *arg, struct span octets);

enum {
    /* Answers (to KeyUpdates and renegotiations) that a peer may cause while it sends no data. */
    TLS_UNASKED_MAX = 32,
    /* Bytes of a whole handshake. From a client: browsers send 2 kB with their post-quantum key
     * shares. OpenSSL compares each key share of a ClientHello with each group in it, which takes
     * 68 ms of CPU time for 64 kB, and 1.4 ms for 8 kB. From a server: TLS_PEER_LIST_MAX for the
     * certificates, as much for a list of CAs, and as much for the key exchange. */
    TLS_CLIENT_HANDSHAKE_MAX = 8192,
    TLS_SERVER_HANDSHAKE_MAX = 3 * 32768,
    /* Messages after the handshake (KeyUpdates, tickets): TLS_MESSAGES_MAX without data, and one
     * more for each TLS_MESSAGE_OCTETS bytes. A KeyUpdate has 27 bytes, and costs as much CPU time
     * as 9 kB of data. Programs that change keys do so after some 2^24 records. */
    TLS_MESSAGES_MAX = 128,
    TLS_MESSAGE_OCTETS = 1 << 20,
};

/* The work that a peer has caused after the handshake. */
struct tls_use {
    uint64_t taken;    /* bytes read, with those of the handshake */
    unsigned unasked;  /* writes since the owner set this to 0 */
    unsigned messages; /* messages after the handshake */
};

/* Returns a text for the log about the limit that is exceeded; NULL: none. */
const char *tls_use_exceeded(const struct tls_use *u);

/* Receives a line of the key log (the format of SSLKEYLOGFILE, without the end of the line), and
 * must keep it secret. */
typedef void (*tls_on_keys)(void *arg, const char *line);

struct handover_secrets;

/* The bytes that OpenSSL may read next, and its use of the limits above. No bytes are readable once
 * a limit is exceeded. */
struct tls_window {
    struct span in; /* unread bytes */
    struct tls_use use;
    uint64_t handshake;  /* limit on the bytes of the handshake; UINT64_MAX: it has ended */
    tls_on_keys on_keys; /* NULL: none */
    void *on_keys_arg;
    struct handover_secrets *secrets; /* of TLS 1.3, from the key log; NULL: none yet */
    uint64_t explicit_nonce;          /* of the last record, as TLS 1.2 with AES-GCM has it */
    bool reading;                     /* in a read, after the handshake */
    bool own_records;                 /* the connection leaves OpenSSL, if possible */
    uint64_t update_after;            /* as in struct tls_ctx, for that case */
    bool finished_sent;               /* the last record has the size of such a Finished */
    unsigned offered; /* highest TLS version in the client's ClientHello; 0: none seen */
    time_t now;       /* time of the handshake, for OpenSSL's callbacks; 0: not set */
    tls_sink sink;
    void *arg;
};

/* Returns a text for the log about the limit that is exceeded; NULL: none. */
const char *tls_window_exhausted(const struct tls_window *w);

/* Counts messages. Must be the info callback of every SSL_CTX whose connections use this BIO. */
void tls_window_on_info(const SSL *ssl, int where, int ret);

/* Returns a new BIO that the caller owns. w must outlive it. */
BIO *tls_bio_new(struct tls_window *w);

#endif
