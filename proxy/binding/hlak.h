/* hlak: the Higher-Layer Authentication Key of a call ([MS-SSTP] 3.2.5.2.2), 32 bytes, computed
 * from the values that an observer has: the NT-Response in the frames and the user's
 * NtPasswordHashHash. Server and client compute the same 32 bytes. The caller wipes results.
 * Pure. */
#ifndef SSTPGATE_BINDING_HLAK_H
#define SSTPGATE_BINDING_HLAK_H

#include <stdint.h>

enum { HLAK_LEN = 32, HLAK_HASH_HASH = 16, HLAK_NT_RESPONSE = 24 };

/* The source of a key; for the log. */
enum hlak_kind {
    HLAK_ZERO,     /* 32 zeros: PAP, CHAP-MD5, bypass, and clients that use zeros */
    HLAK_MSCHAPV2, /* also EAP-MSCHAPv2: [MS-CHAP] 3.1.5.1 */
    HLAK_MSCHAPV1, /* not in [MS-SSTP]: accel-ppp, pppd, RouterOS */
    HLAK_RADIUS,   /* from the Access-Accept of a RADIUS server (RFC 2548) */
    HLAK_SHARED,   /* the same, which another gate has seen */
};

struct hlak {
    enum hlak_kind kind;
    uint8_t key[HLAK_LEN];
};

void hlak_zero(struct hlak *out);

/* Computes the client's send key, then its receive key (RFC 3079 3.3, 3.4). */
void hlak_mschapv2(struct hlak *out, const uint8_t hash_hash[HLAK_HASH_HASH],
                   const uint8_t nt_response[HLAK_NT_RESPONSE]);

/* Computes Get_Start_Key (RFC 3079 2.3) of the hash-hash and the 8-byte challenge, and writes its
 * 16 bytes twice. */
void hlak_mschapv1(struct hlak *out, const uint8_t hash_hash[HLAK_HASH_HASH],
                   const uint8_t challenge[8]);

void hlak_wipe(struct hlak *k);

/* Returns a name for the log: "zero", "ms-chapv2", "ms-chapv1", "radius", "shared". */
const char *hlak_kind_name(enum hlak_kind kind);

#endif
