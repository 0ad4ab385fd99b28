/* handover: takes the keys of both directions and the numbers of their next records from OpenSSL
 * after a handshake, for records.h, through documented functions. README.md is for reviewers. */
#ifndef SSTPGATE_TLS_HANDOVER_H
#define SSTPGATE_TLS_HANDOVER_H

#include <openssl/ssl.h>
#include <stdbool.h>

#include "tls/record.h"
#include "tls/tls_bio.h"

/* The traffic secrets of TLS 1.3, in memory of base/secrets.h. */
struct handover_secrets;

/* Passes the line on to the key log, and keeps a traffic secret. Must be the key log callback of
 * every SSL_CTX that has a key log and whose connections use tls_bio. */
void handover_on_keys(const SSL *ssl, const char *line);

/* Makes OpenSSL pass the traffic secrets of ssl to handover_on_keys(). OpenSSL formats each line
 * for which there is a callback, which takes 30 to 50 thousand instructions in OpenSSL 3.0. So
 * without a key log the SSL_CTX has the callback only around the lines that are needed. The thread
 * of ssl must be the only one that uses the SSL_CTX. */
void handover_watch(SSL *ssl);

/* Reverts handover_watch(). */
void handover_unwatch(SSL *ssl);

/* Wipes and frees; a no-op for NULL. */
void handover_secrets_free(struct handover_secrets *s);

struct handover {
    struct record_side *in, *out; /* owned by the caller */
    bool tls13;
    bool update; /* the keys have the limit of RFC 8446 5.5 */
};

/* Takes over from ssl, whose handshake has just ended and whose bytes came and went through w.
 * Returns NULL: out is set, and ssl must be freed without another read or write. Otherwise
 * returns a reason and changes nothing: the connection stays with ssl. */
const char *handover_take(SSL *ssl, const struct tls_window *w, struct handover *out);

#endif
