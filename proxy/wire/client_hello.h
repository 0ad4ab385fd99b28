/* client_hello: the first message of a TLS client (RFC 8446 4.1.2, RFC 5246 7.4.1.2), read before
 * any TLS engine gets it. Only the server name (RFC 6066 3) and the application protocols (RFC
 * 7301 3.1) are understood. Pure: no state, no allocation. */
#ifndef SSTPGATE_WIRE_CLIENT_HELLO_H
#define SSTPGATE_WIRE_CLIENT_HELLO_H

#include <stdbool.h>

#include "base/err.h"
#include "base/span.h"

enum {
    /* Bytes of the records that contain the message. A hello with two post-quantum key shares and a
     * session ticket has some 3 KiB. */
    CLIENT_HELLO_MAX = 8192,
    CLIENT_HELLO_NAME_MAX = 255,
};

struct client_hello {
    size_t len; /* bytes of the records up to the end of the message */
    /* The protocols offered are acme-tls/1 and no other: a validation (RFC 8737 3). A list of
     * several protocols is that of another client, even with acme-tls/1 in it. */
    bool acme;
    size_t name_len; /* 0: no server name */
    uint8_t
        name[CLIENT_HELLO_NAME_MAX]; /* as sent, not checked; a copy, because records may cut it */
};

/* Reads the ClientHello at the start of in, whatever the number of its records.
 * ERR_OK: *out describes in[0 .. out->len).
 * ERR_MORE: no complete message yet and fewer than CLIENT_HELLO_MAX bytes; call again with more.
 * ERR_SYNTAX: in is not a ClientHello, or one that this parser does not understand.
 * ERR_TOO_LARGE: the message does not end within CLIENT_HELLO_MAX bytes.
 * After an error *out must not be used. An error is no reason to refuse the client: the TLS engine
 * answers it. The result does not depend on how the bytes were cut: the result for each beginning
 * of in is ERR_MORE or the result for all of it. */
enum err client_hello_parse(struct span in, struct client_hello *out) MUST_CHECK;

#endif
