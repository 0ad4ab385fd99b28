/* records: a TLS connection after its handshake, without OpenSSL's SSL object: data, alerts, the
 * messages that may follow a handshake, and both close_notify. OpenSSL 3.5's behaviour is the
 * model, down to the alerts. README.md is for reviewers. One thread at a time. */
#ifndef SSTPGATE_TLS_RECORDS_H
#define SSTPGATE_TLS_RECORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"
#include "tls/record.h"
#include "tls/tls_bio.h"

enum { RECORDS_NO_ALERT = -1 }; /* 0 is close_notify */

struct records;

struct records_settings {
    struct record_side *in, *out; /* records takes ownership */
    bool server;
    bool tls13;
    uint64_t taken;        /* bytes that were read before, see struct tls_use */
    uint64_t update_after; /* records with one key, after which a KeyUpdate is sent (TLS 1.3); 0:
                              never */
    tls_sink sink;
    void *arg;
};

struct records *records_new(const struct records_settings *settings);

/* Wipes the keys and frees r; a no-op for NULL. */
void records_free(struct records *r);

/* Points r at bytes that have arrived. They are not copied, and must remain valid until a read has
 * returned anything but ERR_OK. */
void records_feed(struct records *r, struct span octets);

/* Reads plaintext. A record whose plaintext may exceed cap is opened in a buffer of its own, and
 * returned in parts. ERR_OK: *n bytes (1..cap) are in out. ERR_MORE: none has arrived; the start of
 * a record was copied. ERR_CLOSED: the peer has sent close_notify. ERR_TLS: failed for good; an
 * alert may have been sent. out: not the bytes that r was fed; bytes after *n may change. */
enum err records_read(struct records *r, uint8_t *out, size_t cap, size_t *n) MUST_CHECK;

/* Sends plaintext in one record for each RECORD_PLAIN_MAX bytes. ERR_TLS: failed for good. */
enum err records_write(struct records *r, struct span octets) MUST_CHECK;

/* Sends close_notify, once; a no-op after a failure. */
void records_close(struct records *r);

/* Frees the expanded keys, which are expanded again at their next use. */
void records_rest(struct records *r);

/* Returns the reason of the failure; "": none. */
const char *records_error(const struct records *r);

/* Returns the peer's alert that is the cause of the failure; RECORDS_NO_ALERT: none. */
int records_alert(const struct records *r);

#endif
