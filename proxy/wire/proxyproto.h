/* proxyproto: the header by which a proxy tells who really connected, in its versions 1 and 2
 * (haproxy, doc/proxy-protocol.txt), read strictly and built canonically. Slices point into the
 * caller's octets. Pure: no state, no allocation.
 *
 * The header is as good as its sender: whoever may send one chooses the address that every rule
 * then sees. Whether a connection has one is configured, never guessed (section 5). */
#ifndef SSTPGATE_WIRE_PROXYPROTO_H
#define SSTPGATE_WIRE_PROXYPROTO_H

#include "base/err.h"
#include "base/span.h"

enum {
    PROXYPROTO_MAX = 4096, /* octets of a header; real ones stay below 600 */
    PROXYPROTO_V1_MAX = 107,
    PROXYPROTO_UNIQUE_ID_MAX = 128,
};

/* One end of the connection that was proxied. */
struct proxyproto_end {
    uint8_t family; /* 4, 6, or 0: not known */
    uint8_t ip[16]; /* network order; family 4 uses the first 4, the others are zero */
    uint16_t port;
};

/* PP2_TYPE_SSL's flags (2.2.6) */
enum {
    PROXYPROTO_CLIENT_TLS = 1,
    PROXYPROTO_CLIENT_CERT_CONN = 2, /* a client certificate on this connection */
    PROXYPROTO_CLIENT_CERT_SESS = 4, /* or on an earlier one of its session */
};

/* Texts are as sent and may hold anything; n == 0 stands for absent. */
struct proxyproto_tls {
    bool present;                                      /* there is a PP2_TYPE_SSL */
    uint8_t client;                                    /* PROXYPROTO_CLIENT_*; others may be set */
    uint32_t verify;                                   /* 0: a client certificate was verified */
    struct span version, cipher, name, signature, key; /* "TLSv1.3"; name: CN of the client's */
};

struct proxyproto {
    size_t len;      /* octets of the header; what follows them is not looked at */
    uint8_t version; /* 1 or 2 */
    bool local;      /* version 2, LOCAL: the proxy speaks for itself, as in a health check */
    /* Both known or none. None (LOCAL, UNKNOWN, UNSPEC, and what is not TCP over IP): the addresses
     * of the connection itself hold (2.1, 2.2). A v4-mapped IPv6 address comes out as IPv4. */
    struct proxyproto_end source, destination;
    /* version 2 only */
    bool crc32c;                            /* there was a checksum, and it is right */
    struct span alpn, authority, unique_id; /* authority: the server name that the client sent */
    struct proxyproto_tls tls;
};

/* ERR_OK: *out describes in[0 .. out->len).
 * ERR_MORE: call again with more octets; never with PROXYPROTO_MAX of them.
 * ERR_SYNTAX: no such header, a bare CR or LF, an address or port that is not canonical.
 * ERR_TOO_LARGE: no CR LF in 107 octets; a version 2 longer than PROXYPROTO_MAX.
 * ERR_VERSION: version 2's signature with another version.
 * ERR_RANGE: a command, family or transport that does not exist; a checksum that is wrong.
 * ERR_LENGTH: too short for its addresses, or a TLV that runs over the end or is of a length it
 * cannot have. ERR_DUPLICATE: a TLV of a type that is read here twice; others are skipped.
 * Where there are no addresses the rest of a version 2 header is skipped unread (2.2).
 *
 * The answer does not depend on how the octets were cut: for every beginning of in it is ERR_MORE
 * or the answer for all of it. Not OK: *out is not to be used. */
enum err proxyproto_parse(struct span in, struct proxyproto *out) MUST_CHECK;

/* Version 1. Ends of unlike families are both written as IPv6 (the IPv4 one v4-mapped), unknown
 * ends as UNKNOWN. Returns the octets written. */
size_t proxyproto_build_v1(uint8_t out[PROXYPROTO_V1_MAX], const struct proxyproto_end *source,
                           const struct proxyproto_end *destination);

/* Version 2, with what is set in p: ends as above, or LOCAL; TLVs in the order of their types, a
 * checksum where p->crc32c asks for one. No TLVs without ends. len and version are not looked at.
 * Returns the octets written; 0 if they are more than cap or PROXYPROTO_MAX, or if the unique id is
 * longer than it may be. */
size_t proxyproto_build_v2(uint8_t *out, size_t cap, const struct proxyproto *p);

#endif
