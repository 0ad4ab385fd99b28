#include "binding/hlak.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

#include "base/insist.h"
#include "base/span.h"

enum { START_KEY = 16, SHA1_LEN = 20, SHS_PAD = 40 };

/* The texts of RFC 3079 3.4, without their NUL. */
static const char magic_master[] = "This is the MPPE Master Key";
static const char magic_client_send[] = "On the client side, this is the send key; "
                                        "on the server side, it is the receive key.";
static const char magic_client_receive[] = "On the client side, this is the receive key; "
                                           "on the server side, it is the send key.";

/* Computes the first 16 bytes of SHA1 over the parts in order, as for every key of RFC 3079. Aborts
 * if libcrypto fails, because it fails only without memory or without SHA1, and then no call can be
 * served. */
static void sha1_start_key(uint8_t out[START_KEY], const struct span *part, size_t parts)
{
    uint8_t digest[SHA1_LEN];
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    INSIST(c != NULL);
    INSIST(EVP_DigestInit_ex(c, EVP_sha1(), NULL) == 1);
    for (size_t i = 0; i < parts; i++)
        INSIST(EVP_DigestUpdate(c, part[i].p, part[i].n) == 1);
    INSIST(EVP_DigestFinal_ex(c, digest, NULL) == 1);
    EVP_MD_CTX_free(c); /* wipes its content */
    memcpy(out, digest, START_KEY);
    OPENSSL_cleanse(digest, sizeof digest);
}

/* Computes GetMasterKey (RFC 3079 3.4). */
static void master_key(uint8_t out[START_KEY], const uint8_t hash_hash[HLAK_HASH_HASH],
                       const uint8_t nt_response[HLAK_NT_RESPONSE])
{
    const struct span part[] = {
        span_of(hash_hash, HLAK_HASH_HASH),
        span_of(nt_response, HLAK_NT_RESPONSE),
        span_str(magic_master),
    };
    sha1_start_key(out, part, sizeof part / sizeof part[0]);
}

/* Computes GetAsymmetricStartKey (RFC 3079 3.4) for 128 bits. */
static void asymmetric_key(uint8_t out[START_KEY], const uint8_t master[START_KEY],
                           const char *magic)
{
    static const uint8_t pad1[SHS_PAD] = {0};
    uint8_t pad2[SHS_PAD];
    memset(pad2, 0xf2, sizeof pad2);
    const struct span part[] = {
        span_of(master, START_KEY),
        span_of(pad1, sizeof pad1),
        span_str(magic),
        span_of(pad2, sizeof pad2),
    };
    sha1_start_key(out, part, sizeof part / sizeof part[0]);
}

void hlak_zero(struct hlak *out)
{
    *out = (struct hlak){.kind = HLAK_ZERO};
}

void hlak_mschapv2(struct hlak *out, const uint8_t hash_hash[HLAK_HASH_HASH],
                   const uint8_t nt_response[HLAK_NT_RESPONSE])
{
    uint8_t master[START_KEY];
    master_key(master, hash_hash, nt_response);
    out->kind = HLAK_MSCHAPV2;
    /* The client's order is "send, receive". The server's order is "receive, send", which gives the
     * same bytes ([MS-SSTP] 3.2.5.2.2, 3.3.5.2.3). */
    asymmetric_key(out->key, master, magic_client_send);
    asymmetric_key(out->key + START_KEY, master, magic_client_receive);
    OPENSSL_cleanse(master, sizeof master);
}

void hlak_mschapv1(struct hlak *out, const uint8_t hash_hash[HLAK_HASH_HASH],
                   const uint8_t challenge[8])
{
    const struct span part[] = {
        span_of(hash_hash, HLAK_HASH_HASH),
        span_of(hash_hash, HLAK_HASH_HASH),
        span_of(challenge, 8),
    };
    out->kind = HLAK_MSCHAPV1;
    sha1_start_key(out->key, part, sizeof part / sizeof part[0]);
    memcpy(out->key + START_KEY, out->key, START_KEY); /* one key for both directions */
}

void hlak_wipe(struct hlak *k)
{
    OPENSSL_cleanse(k, sizeof *k);
}

const char *hlak_kind_name(enum hlak_kind kind)
{
    switch (kind) {
    case HLAK_ZERO: return "zero";
    case HLAK_MSCHAPV2: return "ms-chapv2";
    case HLAK_MSCHAPV1: return "ms-chapv1";
    case HLAK_RADIUS: return "radius";
    case HLAK_SHARED: return "shared";
    }
    return "unknown";
}
