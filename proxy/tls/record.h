/* record: protection of the TLS records of one direction: bytes in, bytes out, no I/O. TLS 1.3 (RFC
 * 8446 5) with AES-128-GCM, AES-256-GCM and ChaCha20-Poly1305; TLS 1.2 with the AEAD suites of RFC
 * 5288 and RFC 7905. README.md is for reviewers. One thread at a time. */
#ifndef SSTPGATE_TLS_RECORD_H
#define SSTPGATE_TLS_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

enum {
    RECORD_HEAD = 5,
    RECORD_PLAIN_MAX = 16384,        /* RFC 8446 5.1 */
    RECORD_SEALED_MAX = 16384 + 320, /* after the head; OpenSSL's limit of TLS 1.2, above 1.3's */
    RECORD_OVERHEAD = 5 + 8 + 16 + 1 /* maximum that sealing adds */
};

enum record_type { RECORD_CCS = 20, RECORD_ALERT = 21, RECORD_HANDSHAKE = 22, RECORD_DATA = 23 };

/* The value of a failure is the number of its alert (RFC 8446 6). */
enum record_verdict {
    RECORD_OK = 0,
    RECORD_MORE = 1, /* the record is incomplete */
    RECORD_UNEXPECTED = 10,
    RECORD_BAD_MAC = 20,
    RECORD_OVERFLOW = 22,
    RECORD_DECODE = 50,
    RECORD_VERSION = 70,
    RECORD_EXHAUSTED = 80 /* the sequence numbers are used up */
};

/* One direction of a connection, in memory of base/secrets.h. */
struct record_side;

/* Returns whether this module protects the records of a suite (its number in a hello). */
bool record_suite_known(uint16_t suite, bool tls13);

/* Returns the size of a key and of an IV in the key block of a known suite of TLS 1.2. */
size_t record_key_size(uint16_t suite);
size_t record_iv_size(uint16_t suite);

/* Makes a side of TLS 1.3. Derives key and IV from the traffic secret, which has the length of the
 * suite's hash. seq: number of the next record. */
struct record_side *record_side_13(uint16_t suite, struct span secret, uint64_t seq);

/* Makes a side of TLS 1.2. key and iv: as in the key block (RFC 5246 6.3). */
struct record_side *record_side_12(uint16_t suite, struct span key, struct span iv, uint64_t seq);

/* Sets the explicit nonce of the next record that is sealed (TLS 1.2, AES-GCM; a no-op otherwise).
 * Each later record has the next number. Without this call the nonce is the sequence number. A side
 * that continues for another implementation calls it with the number after the last one used,
 * because a nonce must not occur twice with one key. */
void record_set_explicit(struct record_side *s, uint64_t next);

/* Wipes and frees s; a no-op for NULL. */
void record_side_free(struct record_side *s);

/* Moves a side of TLS 1.3 to its next traffic secret (RFC 8446 7.2). The sequence restarts at 0. */
void record_update(struct record_side *s);

/* Frees the expanded key, which is expanded again at the next use. */
void record_rest(struct record_side *s);

/* Returns the number of the next record. */
uint64_t record_seq(const struct record_side *s);

/* Returns where the encrypted part starts: bytes from the start of a record. */
size_t record_gap(const struct record_side *s);

/* Seals plain (0..RECORD_PLAIN_MAX bytes) into one record at out, which has room for plain.n +
 * RECORD_OVERHEAD bytes. plain.p is out + record_gap(s), which saves a copy, or has no byte in
 * common with out. Returns the record's length; 0: the sequence numbers are used up, so the
 * connection must end. */
size_t record_seal(struct record_side *s, enum record_type type, struct span plain, uint8_t *out);

/* Opens the record at the start of in.
 *
 * RECORD_OK: *n bytes of plaintext are at out, without padding; *type is their type, one of the
 * enum (in TLS 1.3 never RECORD_CCS); *used is the length of the record.
 * RECORD_MORE: *used is the length of the whole record, or 0 if its head is incomplete.
 * Otherwise: the connection must end with this alert. *used and *n are 0, and the
 * content of out must not be used.
 *
 * out has room for the record's length without its head and tag. out is in.p + record_gap(s), or
 * has no byte in common with the record. in is not changed otherwise. */
enum record_verdict record_open(struct record_side *s, struct span in, uint8_t *out, size_t *n,
                                enum record_type *type, size_t *used);

#endif
