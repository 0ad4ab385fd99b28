/* ppp_frame: one PPP frame of a link that is being set up, read strictly and rebuilt in its
 * canonical form (PROTOCOL.md 5.1). The gate forwards only frames that this module has read, in the
 * form that it builds, so a server whose parser is more lax or more strict than the gate's still
 * reads the same frame. */
#ifndef SSTPGATE_WIRE_PPP_FRAME_H
#define SSTPGATE_WIRE_PPP_FRAME_H

#include "base/span.h"

enum ppp_from { PPP_FROM_CLIENT, PPP_FROM_SERVER };

enum {
    PPP_IPCP = 0x8021,
    PPP_LCP = 0xc021,
    PPP_PAP = 0xc023,
    PPP_CHAP = 0xc223,
    PPP_EAP = 0xc227,
};

enum {
    PPP_CODE_MAX = 13,    /* the highest code that ppp_frame_read accepts, LCP's Time-Remaining */
    PPP_FRAME_HEAD = 4,   /* FF 03 and two bytes of protocol */
    PPP_FRAME_MAX = 4091, /* bytes in an SSTP data packet */
};

struct ppp_frame {
    uint16_t protocol;
    /* Bytes after the protocol; for LCP and authentication cut to the packet's own length,
     * because bytes after it are padding (RFC 1661 5). */
    struct span info;
    /* LCP and authentication only, otherwise 0 and empty. */
    uint8_t code, id;
    struct span data; /* bytes after code, id and length */
};

/* Reads the frame in octets: no flags, no escapes, no FCS, with or without FF 03, protocol of one
 * or two bytes. The spans in *out point into octets. False: the frame is not one that the gate
 * forwards, or its canonical form is longer than PPP_FRAME_MAX. The gate forwards
 *
 * - network data and network control protocols (below 0xc000) with any content;
 * - LCP and authentication if the packet's length fits, `from` may send this code (RFC 1661, 1570,
 *   1334, 1994, 2759, 3748), and the options of LCP's Configure packets are well formed, with at
 *   most one of authentication;
 * - LQR, CBCP, BACP and BAP with any content, and no other link protocol. */
bool ppp_frame_read(enum ppp_from from, struct span octets, struct ppp_frame *out);

/* Returns whether octets, as given to ppp_frame_read, are the canonical form of f. */
bool ppp_frame_is_canonical(const struct ppp_frame *f, struct span octets);

/* Writes FF 03, the protocol in two bytes and f->info, of a frame that ppp_frame_read has read.
 * Returns the number of bytes. */
size_t ppp_frame_build(const struct ppp_frame *f, uint8_t out[PPP_FRAME_MAX]);

/* Returns whether f is LCP, an authentication or a network control frame: the frames that may flow
 * before Call Connected ([MS-SSTP] 3.2.5.3). */
bool ppp_frame_is_control(const struct ppp_frame *f);

/* Returns whether f carries network data or a protocol that prepares it (below 0xc000, RFC 1661 2).
 */
bool ppp_frame_is_network(const struct ppp_frame *f);

/* Finds the authentication protocol (option 3) in an LCP Configure packet that ppp_frame_read has
 * accepted. False: none. *algorithm: the byte after the protocol, 0 if missing. */
bool ppp_frame_auth_option(const struct ppp_frame *f, uint16_t *protocol, uint8_t *algorithm);

enum ppp_relogin { PPP_NO_LOGIN, PPP_LCP_REQUEST, PPP_LOGIN };

/* Returns whether a client's frame on a link that is up begins another login, in any form that a
 * server may accept, even with a packet inside that ppp_frame_read refuses. PPP_LCP_REQUEST: LCP's
 * Configure-Request, *request is the packet. PPP_LOGIN: PAP, CHAP or EAP. */
enum ppp_relogin ppp_frame_relogin(struct span octets, struct span *request);

/* Finds the client's IPv4 address (RFC 1332, option 3) in a frame of the server, if the frame is a
 * well-formed Configure-Ack of IPCP: the server has accepted the address that the client has
 * requested. In any form that ppp_frame_relogin reads. False: the frame assigns none. */
bool ppp_frame_assigned(struct span octets, uint8_t ip[4]);

/* Returns whether ppp_frame_assigned must look at the frame: false for nearly every frame. Inline
 * because it runs for each packet that a server sends. */
static inline bool ppp_frame_may_be_ipcp(struct span octets)
{
    const size_t skip = octets.n >= 4 && octets.p[0] == 0xff && octets.p[1] == 0x03 ? 2 : 0;
    return octets.n > skip && octets.p[skip] == 0x80;
}

/* Returns whether ppp_frame_relogin must look at the frame: false for nearly every frame of a link
 * that is up. Inline because it runs for each packet that a client sends. */
static inline bool ppp_frame_may_be_link(struct span octets)
{
    const size_t skip = octets.n >= 4 && octets.p[0] == 0xff && octets.p[1] == 0x03 ? 2 : 0;
    return octets.n > skip && octets.p[skip] >= 0xc0;
}

#endif
