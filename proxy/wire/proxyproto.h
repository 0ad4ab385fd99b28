/* proxyproto: the header in which a proxy reports the addresses of its client's connection, in
 * versions 1 and 2 (haproxy, doc/proxy-protocol.txt), read strictly and built canonically. Slices
 * point into the caller's bytes. Pure: no state, no allocation.
 *
 * The header is only as trustworthy as its sender, because the sender chooses the address that
 * every rule sees. The configuration decides whether a connection has a header; the gate never
 * guesses (section 5). */
#ifndef SSTPGATE_WIRE_PROXYPROTO_H
#define SSTPGATE_WIRE_PROXYPROTO_H

#include "base/err.h"
#include "base/span.h"

enum {
    PROXYPROTO_MAX = 4096, /* bytes of a header; real headers have less than 600 */
    PROXYPROTO_V1_MAX = 107,
    PROXYPROTO_UNIQUE_ID_MAX = 128,
};

/* One end of the proxied connection. */
struct proxyproto_end {
    uint8_t family; /* 4 or 6; 0: unknown */
    uint8_t ip[16]; /* network order; family 4: the first 4 bytes, then zeros */
    uint16_t port;
};

/* Flags of PP2_TYPE_SSL (2.2.6). */
enum {
    PROXYPROTO_CLIENT_TLS = 1,
    PROXYPROTO_CLIENT_CERT_CONN = 2, /* a client certificate on this connection */
    PROXYPROTO_CLIENT_CERT_SESS = 4, /* one on an earlier connection of the session */
};

/* Texts are as sent and may contain any byte; n == 0: absent. */
struct proxyproto_tls {
    bool present;    /* the header has a PP2_TYPE_SSL */
    uint8_t client;  /* PROXYPROTO_CLIENT_*; other bits may be set */
    uint32_t verify; /* 0: a client certificate was verified */
    struct span version, cipher, name, signature, key; /* name: the client's CN */
};

struct proxyproto {
    size_t len;      /* bytes of the header */
    uint8_t version; /* 1 or 2 */
    bool local; /* version 2, LOCAL: a connection of the proxy itself, for example a health check */
    /* Both ends are known or both are unknown. Unknown (LOCAL, UNKNOWN, UNSPEC, and every protocol
     * but TCP over IP): the addresses of the connection itself apply (2.1, 2.2). A v4-mapped IPv6
     * address becomes IPv4. */
    struct proxyproto_end source, destination;
    /* version 2 only */
    bool crc32c;                            /* the header has a checksum, which is correct */
    struct span alpn, authority, unique_id; /* authority: the server name that the client sent */
    struct proxyproto_tls tls;
};

/* Parses the header at the start of in.
 * ERR_OK: *out describes in[0 .. out->len).
 * ERR_MORE: call again with more bytes; never returned for PROXYPROTO_MAX bytes.
 * ERR_SYNTAX: not a header, a bare CR or LF, an address or port that is not canonical.
 * ERR_TOO_LARGE: no CR LF in 107 bytes; a version 2 longer than PROXYPROTO_MAX.
 * ERR_VERSION: the signature of version 2 with another version.
 * ERR_RANGE: an undefined command, family or transport; a wrong checksum.
 * ERR_LENGTH: too short for its addresses; a TLV that exceeds the header or has an invalid length.
 * ERR_DUPLICATE: two TLVs of a type that has a field in *out; other types are skipped.
 * The rest of a version 2 header without addresses is skipped unread (2.2).
 *
 * The result does not depend on how the bytes were cut: for each beginning of in it is ERR_MORE or
 * the result for all of it. After any result but ERR_OK *out must not be used. */
enum err proxyproto_parse(struct span in, struct proxyproto *out) MUST_CHECK;

/* Builds version 1. If the families of the ends differ, both are written as IPv6 (IPv4 as
 * v4-mapped); an unknown end makes the header UNKNOWN. Returns the bytes written. */
size_t proxyproto_build_v1(uint8_t out[PROXYPROTO_V1_MAX], const struct proxyproto_end *source,
                           const struct proxyproto_end *destination);

/* Builds version 2 from p: ends as above, or LOCAL; the TLVs that are set, in the order of their
 * types, and a checksum if p->crc32c is set. A header without ends has no TLVs. p->len and
 * p->version are ignored. Returns the bytes written; 0: more than cap or PROXYPROTO_MAX, or the
 * unique id is longer than PROXYPROTO_UNIQUE_ID_MAX. */
size_t proxyproto_build_v2(uint8_t *out, size_t cap, const struct proxyproto *p);

#endif
