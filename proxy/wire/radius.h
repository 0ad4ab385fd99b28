/* radius: RADIUS packets (RFC 2865 3), read strictly and built one attribute after the other.
 * Slices point into the caller's octets. Pure: no state, no allocation, no secrets
 * (binding/radius_crypt.h has those). */
#ifndef SSTPGATE_WIRE_RADIUS_H
#define SSTPGATE_WIRE_RADIUS_H

#include "base/err.h"
#include "base/span.h"

enum {
    RADIUS_HEADER = 20,
    RADIUS_MAX = 4096, /* octets of a packet */
    RADIUS_AUTHENTICATOR = 16,
    RADIUS_AUTHENTICATOR_AT = 4,
    RADIUS_VALUE_MAX = 253, /* octets of one attribute's value */
    RADIUS_VENDOR_ID = 4,   /* octets in front of what a Vendor-Specific carries */
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
    RADIUS_VENDOR_SPECIFIC = 26,
    RADIUS_CALLING_STATION_ID = 31,
    RADIUS_PROXY_STATE = 33,
    RADIUS_CHAP_CHALLENGE = 60,
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
    uint8_t code; /* enum radius_code, or a number we do not know */
    uint8_t id;
    struct span whole; /* as long as the packet says; what came behind it is padding */
    struct span authenticator;
    struct span attributes; /* each of them ends inside */
};

/* datagram: all of one. ERR_LENGTH: it is shorter than its header or than it says, says less than a
 * header or more than 4096, or its attributes cannot be told apart. */
enum err radius_parse(struct span datagram, struct radius_packet *out) MUST_CHECK;

struct radius_attribute {
    uint8_t type;
    struct span value;
};

/* From cursor_of(packet.attributes) on, one after the other; false: there are no more. */
bool radius_next(struct cursor *c, struct radius_attribute *out);

/* The first attribute of this type. */
bool radius_find(const struct radius_packet *p, uint8_t type, struct span *value);

/* Microsoft's attributes, of which one Vendor-Specific may carry several. One that does not hold
 * whole ones only is passed over. */
struct radius_ms_walk {
    struct cursor attributes, inside;
};
struct radius_ms_walk radius_ms_walk_of(const struct radius_packet *p);
bool radius_ms_next(struct radius_ms_walk *w,
                    struct radius_attribute *out); /* type: the vendor's */
bool radius_ms_find(const struct radius_packet *p, uint8_t type, struct span *value);

/* The EAP packet that stands in pieces of 253 octets in the EAP-Messages (RFC 3579 3.1), written to
 * out; empty: there is none. */
struct span radius_eap(const struct radius_packet *p, uint8_t out[RADIUS_MAX]);

/* ---- building ---- */

struct radius_out {
    size_t len;
    bool full; /* something did not fit */
    uint8_t octets[RADIUS_MAX];
};

/* The authenticator is left as zeros. */
void radius_begin(struct radius_out *o, uint8_t code, uint8_t id);

/* Appends an attribute; at most RADIUS_VALUE_MAX octets. */
void radius_add(struct radius_out *o, uint8_t type, struct span value);

/* Writes the length. False: it did not all fit, there is no packet. */
bool radius_end(struct radius_out *o) MUST_CHECK;

/* "access-request"; "unknown" for other numbers. */
const char *radius_code_name(uint8_t code);

#endif
