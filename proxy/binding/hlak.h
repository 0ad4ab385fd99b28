/* hlak: the 32-octet Higher-Layer Authentication Key of a call ([MS-SSTP] 3.2.5.2.2), from what an
 * observer has: the NT-Response seen on the wire and the user's NtPasswordHashHash. Server's and
 * client's halves are the same 32 octets. Caller wipes. Pure. */
#ifndef SSTPGATE_BINDING_HLAK_H
#define SSTPGATE_BINDING_HLAK_H

#include <stdint.h>

enum { HLAK_LEN = 32, HLAK_HASH_HASH = 16, HLAK_NT_RESPONSE = 24 };

/* Where a key came from; for the log. */
enum hlak_kind {
    HLAK_ZERO,     /* PAP, CHAP-MD5, bypass, and clients known to send zeros */
    HLAK_MSCHAPV2, /* also EAP-MSCHAPv2: [MS-CHAP] 3.1.5.1 */
    HLAK_MSCHAPV1, /* outside [MS-SSTP]; accel-ppp, pppd, RouterOS */
    HLAK_RADIUS,   /* what a RADIUS server gave with its Access-Accept (RFC 2548) */
};

struct hlak {
    enum hlak_kind kind;
    uint8_t key[HLAK_LEN];
};

void hlak_zero(struct hlak *out);

/* RFC 3079 3.3, 3.4: the client's send key, then its receive key. */
void hlak_mschapv2(struct hlak *out, const uint8_t hash_hash[HLAK_HASH_HASH],
                   const uint8_t nt_response[HLAK_NT_RESPONSE]);

/* RFC 3079 2.3 Get_Start_Key over the hash-hash and the 8-octet challenge, the same 16 octets
 * twice. */
void hlak_mschapv1(struct hlak *out, const uint8_t hash_hash[HLAK_HASH_HASH],
                   const uint8_t challenge[8]);

void hlak_wipe(struct hlak *k);

/* "zero", "ms-chapv2", "ms-chapv1", "radius" */
const char *hlak_kind_name(enum hlak_kind kind);

#endif
