/* radius: RADIUS packets (RFC 2865 3), read strictly and built one attribute after the other.
 * Numbers are in network byte order. Slices point into the caller's bytes. Pure: no state, no
 * allocation, no secrets (see binding/radius_crypt.h). */
#ifndef SSTPGATE_WIRE_RADIUS_H
#define SSTPGATE_WIRE_RADIUS_H

#include "base/err.h"
#include "base/span.h"

enum {
    RADIUS_HEADER = 20,
    RADIUS_MAX = 4096, /* bytes of a packet */
    RADIUS_AUTHENTICATOR = 16,
    RADIUS_AUTHENTICATOR_AT = 4,
    RADIUS_VALUE_MAX = 253, /* bytes of one attribute's value */
    RADIUS_VENDOR_ID = 4,   /* bytes of the vendor id at the start of a Vendor-Specific */
    RADIUS_MICROSOFT = 311,
};

enum radius_code {
    RADIUS_ACCESS_REQUEST = 1,
    RADIUS_ACCESS_ACCEPT = 2,
    RADIUS_ACCESS_REJECT = 3,
    RADIUS_ACCOUNTING_REQUEST = 4,
    RADIUS_ACCOUNTING_RESPONSE = 5,
    RADIUS_ACCESS_CHALLENGE = 11,
    RADIUS_STATUS_SERVER = 12,
};

enum radius_type {
    RADIUS_USER_NAME = 1,
    RADIUS_USER_PASSWORD = 2,
    RADIUS_CHAP_PASSWORD = 3,
    RADIUS_STATE = 24,
    RADIUS_CLASS = 25,
    RADIUS_VENDOR_SPECIFIC = 26,
    RADIUS_CALLING_STATION_ID = 31,
    RADIUS_PROXY_STATE = 33,
    RADIUS_ACCT_STATUS_TYPE = 40,
    RADIUS_ACCT_SESSION_ID = 44,
    RADIUS_CHAP_CHALLENGE = 60,
    RADIUS_TUNNEL_CLIENT_ENDPOINT = 66,
    RADIUS_TUNNEL_PASSWORD = 69,
    RADIUS_EAP_MESSAGE = 79,
    RADIUS_MESSAGE_AUTHENTICATOR = 80,
};

/* Vendor types of Microsoft (RFC 2548). */
enum radius_ms_type {
    RADIUS_MS_CHAP_RESPONSE = 1,
    RADIUS_MS_CHAP_CHALLENGE = 11,
    RADIUS_MS_CHAP_MPPE_KEYS = 12,
    RADIUS_MS_MPPE_SEND_KEY = 16,
    RADIUS_MS_MPPE_RECV_KEY = 17,
    RADIUS_MS_CHAP2_RESPONSE = 25,
    RADIUS_MS_CHAP2_SUCCESS = 26,
    RADIUS_MS_CHAP2_CPW = 27,
};

/* ---- reading ---- */

struct radius_packet {
    uint8_t code; /* enum radius_code, or an unknown number */
    uint8_t id;
    struct span whole; /* the packet without the padding that may follow it in the datagram */
    struct span authenticator;
    struct span attributes; /* well formed: each ends inside */
};

/* Parses one datagram. ERR_LENGTH: it is shorter than a header or than its Length, its Length is
 * less than a header or more than 4096, or its list of attributes is malformed. */
enum err radius_parse(struct span datagram, struct radius_packet *out) MUST_CHECK;

struct radius_attribute {
    uint8_t type;
    struct span value;
};

/* Reads the next attribute. c: initially cursor_of(packet.attributes). False: no attribute is
 * left. */
bool radius_next(struct cursor *c, struct radius_attribute *out);

/* Finds the first attribute of this type. False: none exists. */
bool radius_find(const struct radius_packet *p, uint8_t type, struct span *value);

/* A position among Microsoft's attributes, of which one Vendor-Specific may contain several. A
 * malformed Vendor-Specific is skipped. */
struct radius_ms_walk {
    struct cursor attributes, inside;
};
struct radius_ms_walk radius_ms_walk_of(const struct radius_packet *p);
/* Read Microsoft's attributes, as radius_next() and radius_find() read those of the packet; the
 * types are enum radius_ms_type. */
bool radius_ms_next(struct radius_ms_walk *w, struct radius_attribute *out);
bool radius_ms_find(const struct radius_packet *p, uint8_t type, struct span *value);

/* Writes the EAP packet, which the EAP-Messages contain in pieces of 253 bytes (RFC 3579 3.1), to
 * out and returns it; empty: the packet has none. */
struct span radius_eap(const struct radius_packet *p, uint8_t out[RADIUS_MAX]);

/* ---- building ---- */

struct radius_out {
    size_t len;
    bool full; /* an attribute did not fit */
    uint8_t octets[RADIUS_MAX];
};

/* Starts a packet with an authenticator of zeros. */
void radius_begin(struct radius_out *o, uint8_t code, uint8_t id);

/* Appends an attribute. value: at most RADIUS_VALUE_MAX bytes. */
void radius_add(struct radius_out *o, uint8_t type, struct span value);

/* Writes the length. False: an attribute did not fit, and the packet must not be used. */
bool radius_end(struct radius_out *o) MUST_CHECK;

/* Returns a name for the log: "access-request"; "unknown" for other numbers. */
const char *radius_code_name(uint8_t code);

#endif
