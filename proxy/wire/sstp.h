/* sstp: SSTP packets ([MS-SSTP] 2.2), read liberally and built canonically. Numbers are in network
 * byte order. Slices point into the caller's bytes. Pure: no state, no allocation. */
#ifndef SSTPGATE_WIRE_SSTP_H
#define SSTPGATE_WIRE_SSTP_H

#include "base/err.h"
#include "base/span.h"

enum {
    SSTP_VERSION = 0x10,
    SSTP_HEADER = 4,
    SSTP_CONTROL_MIN = 8,
    SSTP_PACKET_MAX = 4095,
    SSTP_DATA_HEAD = 4, /* bytes of a data packet before its frame */
    SSTP_NONCE = 32,
    SSTP_ACK_LEN = 48,
    SSTP_CONNECTED_LEN = 112,
    SSTP_STATUS_LEN = 20, /* Abort and Disconnect as built here */
};

/* Message types ([MS-SSTP] 2.2.2). */
enum sstp_type {
    SSTP_DATA = 0, /* never in a packet: a data packet has no type */
    SSTP_CONNECT_REQUEST = 1,
    SSTP_CONNECT_ACK = 2,
    SSTP_CONNECT_NAK = 3,
    SSTP_CONNECTED = 4,
    SSTP_ABORT = 5,
    SSTP_DISCONNECT = 6,
    SSTP_DISCONNECT_ACK = 7,
    SSTP_ECHO_REQUEST = 8,
    SSTP_ECHO_RESPONSE = 9,
};

/* Hash protocols ([MS-SSTP] 2.2.10): bits in the Ack's mask, one of them in Call Connected. */
enum { SSTP_HASH_SHA1 = 1, SSTP_HASH_SHA256 = 2 };

/* Ids of attributes ([MS-SSTP] 2.2.4), and the AttribID in a Status Info. */
enum sstp_attribute {
    SSTP_ATTR_NONE = 0,
    SSTP_ATTR_PROTOCOL = 1,
    SSTP_ATTR_STATUS = 2,
    SSTP_ATTR_BINDING = 3,
    SSTP_ATTR_BINDING_REQUEST = 4,
};

/* Status values ([MS-SSTP] 2.2.8) */
enum sstp_status {
    SSTP_STATUS_NO_ERROR = 0,
    SSTP_STATUS_DUPLICATE_ATTRIBUTE = 1,
    SSTP_STATUS_UNRECOGNIZED_ATTRIBUTE = 2,
    SSTP_STATUS_INVALID_LENGTH = 3,
    SSTP_STATUS_VALUE_NOT_SUPPORTED = 4,
    SSTP_STATUS_UNACCEPTED_FRAME = 5,
    SSTP_STATUS_RETRY_EXCEEDED = 6,
    SSTP_STATUS_INVALID_FRAME = 7,
    SSTP_STATUS_NEGOTIATION_TIMEOUT = 8,
    SSTP_STATUS_ATTRIBUTE_NOT_SUPPORTED = 9,
    SSTP_STATUS_REQUIRED_MISSING = 10,
    SSTP_STATUS_INFO_NOT_SUPPORTED = 11,
};

struct sstp_packet {
    bool control;
    uint16_t len;        /* whole packet, header included: 4 .. 4095 bytes */
    uint16_t type;       /* enum sstp_type, or an unknown number; data: SSTP_DATA */
    uint16_t attributes; /* control: their number, as the packet claims */
    struct span body;    /* data: the PPP frame; control: the attributes */
};

/* Parses one SSTP packet at the start of in. The 4 reserved bits before the length and the 7 beside
 * the C bit are ignored (PROTOCOL.md 3.2).
 * ERR_OK: *out describes in[0 .. out->len). ERR_MORE: call again with more bytes.
 * ERR_VERSION, ERR_LENGTH (below 4; control below 8): the rest of the stream cannot be parsed;
 * returned as soon as the wrong byte has arrived. */
enum err sstp_parse(struct span in, struct sstp_packet *out) MUST_CHECK;

/* Returns the packet with zeros in the reserved bits of its header: `packet` itself if they are
 * zeros already, else a copy in out. packet: one whole packet, which sstp_parse() has accepted. */
struct span sstp_without_reserved(struct span packet, uint8_t out[SSTP_PACKET_MAX]);

/* Writes the header of a data packet. n: bytes of its frame, which follows the header; at most
 * SSTP_PACKET_MAX - SSTP_DATA_HEAD. */
void sstp_build_data(uint8_t packet[SSTP_DATA_HEAD], size_t n);

struct sstp_ack {
    uint8_t mask;      /* hash protocols that the server offers */
    struct span nonce; /* 32 bytes */
};

/* The message parsers below read at most as many attributes as the packet claims, and skip
 * attributes with another id. ERR_LENGTH also means a malformed list of attributes. */

/* Parses a CONNECT_ACK. ERR_MISSING: no Crypto Binding Request. ERR_LENGTH: its length is wrong. */
enum err sstp_parse_ack(const struct sstp_packet *p, struct sstp_ack *out) MUST_CHECK;

/* Checks a CONNECT_REQUEST. ERR_OK: it requests protocol 1, PPP. ERR_RANGE: another protocol.
 * ERR_MISSING: no Encapsulated Protocol Id. ERR_LENGTH: it has a wrong length. */
enum err sstp_parse_connect_request(const struct sstp_packet *p) MUST_CHECK;

/* Call Connected ([MS-SSTP] 2.2.11, 2.2.6). */
struct sstp_connected {
    uint8_t hash;          /* as sent: SSTP_HASH_SHA1, SSTP_HASH_SHA256 or anything else */
    struct span nonce;     /* 32 bytes */
    struct span cert_hash; /* 32 bytes; SHA1 uses the first 20 */
    struct span mac;       /* 32 bytes; SHA1 uses the first 20 */
};

/* Offsets of the fields in the whole message. */
enum {
    SSTP_CONNECTED_HASH = 15,
    SSTP_CONNECTED_NONCE = 16,
    SSTP_CONNECTED_CERT = 48,
    SSTP_CONNECTED_MAC = 80
};

/* Parses a CONNECTED. ERR_MISSING: no Crypto Binding attribute. ERR_LENGTH: it is not the only
 * attribute, of 104 bytes, in a packet of 112. */
enum err sstp_parse_connected(const struct sstp_packet *p, struct sstp_connected *out) MUST_CHECK;

struct sstp_status_info {
    uint8_t attribute;
    uint32_t status;
};

/* Parses the first Status Info of an ABORT, DISCONNECT or CONNECT_NAK, in any of the known forms
 * (PROTOCOL.md 3.3): 12 bytes and more, or the 8 bytes of sorz (id 2 or 0; out->attribute is
 * SSTP_ATTR_NONE). ERR_MISSING: none (SoftEther), or none that is well formed. */
enum err sstp_parse_status(const struct sstp_packet *p, struct sstp_status_info *out) MUST_CHECK;

/* Writes a whole message of 20 bytes. type: SSTP_ABORT or SSTP_DISCONNECT. */
void sstp_build_status(uint8_t out[SSTP_STATUS_LEN], enum sstp_type type,
                       enum sstp_attribute attribute, enum sstp_status status);

/* Return names for the log: "call-abort", "value-not-supported"; "unknown" for other numbers. */
const char *sstp_type_name(unsigned type);
const char *sstp_status_name(uint32_t status);

#endif
