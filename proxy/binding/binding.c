#include "binding/binding.h"

#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#include "base/insist.h"

enum {
    DIGEST_MAX = BINDING_SHA256,
    PRF_SEED_MAX = 64, /* cmk_seed has 29 bytes */
    PRF_BLOCKS = 255,  /* the block counter is one byte */
};

/* [MS-SSTP] 3.2.5.2.3: 29 bytes, no NUL, no quotes */
static const char cmk_seed[] = "SSTP inner method derived CMK";

/* Call Connected before its hash protocol, the byte SSTP_CONNECTED_HASH ([MS-SSTP] 2.2.11). */
static const uint8_t connected_head[SSTP_CONNECTED_HASH] = {
    0x10, 0x01, 0x00, 0x70, 0x00, 0x04, 0x00, 0x01, 0x00, 0x03, 0x00, 0x68,
};

static bool hash_is_one(uint8_t hash)
{
    return hash == SSTP_HASH_SHA1 || hash == SSTP_HASH_SHA256;
}

static const EVP_MD *hash_digest(uint8_t hash)
{
    INSIST(hash_is_one(hash));
    return hash == SSTP_HASH_SHA1 ? EVP_sha1() : EVP_sha256();
}

static uint16_t hash_len(uint8_t hash)
{
    INSIST(hash_is_one(hash));
    return hash == SSTP_HASH_SHA1 ? BINDING_SHA1 : BINDING_SHA256;
}

static const uint8_t *leaf_hash(const struct binding_leaf *leaf, uint8_t hash)
{
    return hash == SSTP_HASH_SHA1 ? leaf->sha1 : leaf->sha256;
}

/* Computes an HMAC. Aborts if libcrypto fails, because it fails only without memory or without the
 * digest, and then no call can be served. */
static void hmac_of(uint8_t digest, struct span key, struct span data, uint8_t *out)
{
    unsigned len = 0;
    INSIST(key.n <= INT_MAX);
    INSIST(HMAC(hash_digest(digest), key.p, (int)key.n, data.p, data.n, out, &len) != NULL);
    INSIST(len == hash_len(digest));
}

void binding_leaf_from_der(struct binding_leaf *out, struct span der)
{
    INSIST(EVP_Digest(der.p, der.n, out->sha1, NULL, EVP_sha1(), NULL) == 1);
    INSIST(EVP_Digest(der.p, der.n, out->sha256, NULL, EVP_sha256(), NULL) == 1);
    out->known = SSTP_HASH_SHA1 | SSTP_HASH_SHA256;
}

/* Computes T1 = HMAC(K, S | LEN | 01), Tn = HMAC(K, Tn-1 | S | LEN | n). LEN, the number of bytes,
 * has 16
 * bits and, unlike the rest of the protocol, is little endian. */
void binding_prf(uint8_t digest, struct span key, struct span seed, uint8_t *out, uint16_t n)
{
    const size_t block = hash_len(digest);
    uint8_t t[DIGEST_MAX], in[DIGEST_MAX + PRF_SEED_MAX + 3];
    size_t t_len = 0;
    uint8_t counter = 1;

    INSIST(seed.n <= PRF_SEED_MAX && n <= PRF_BLOCKS * block);
    for (size_t done = 0; done < n; counter++) {
        size_t in_len = 0;
        memcpy(in, t, t_len);
        in_len += t_len;
        memcpy(in + in_len, seed.p, seed.n);
        in_len += seed.n;
        in[in_len++] = (uint8_t)(n & 0xff);
        in[in_len++] = (uint8_t)(n >> 8);
        in[in_len++] = counter;
        hmac_of(digest, key, span_of(in, in_len), t);
        t_len = block;
        size_t part = n - done < block ? n - done : block;
        memcpy(out + done, t, part);
        done += part;
    }
    OPENSSL_cleanse(t, sizeof t);
    OPENSSL_cleanse(in, sizeof in);
}

/* Computes the Compound MAC of msg ([MS-SSTP] 3.2.5.2.3, 3.2.5.2.4): over all 112 bytes, with zeros
 * in place of the 32 bytes of the MAC field. Writes hash_len(hash) bytes. */
static void compound_mac(const uint8_t msg[SSTP_CONNECTED_LEN], uint8_t hash,
                         const struct hlak *key, uint8_t out[DIGEST_MAX])
{
    uint8_t cmk[DIGEST_MAX], zeroed[SSTP_CONNECTED_LEN] = {0};
    const uint16_t n = hash_len(hash);

    binding_prf(hash, span_of(key->key, HLAK_LEN), span_str(cmk_seed), cmk, n);
    memcpy(zeroed, msg, SSTP_CONNECTED_MAC);
    hmac_of(hash, span_of(cmk, n), span_of(zeroed, sizeof zeroed), out);
    OPENSSL_cleanse(cmk, sizeof cmk);
}

/* Parses msg, which must be exactly one Call Connected. */
static bool connected_parse(struct span msg, struct sstp_connected *out)
{
    struct sstp_packet p;
    return sstp_parse(msg, &p) == ERR_OK && p.len == msg.n && p.len == SSTP_CONNECTED_LEN &&
           p.type == SSTP_CONNECTED && sstp_parse_connected(&p, out) == ERR_OK;
}

/* Parses a message that has passed binding_check(). */
static struct sstp_connected connected_parse_checked(struct span msg)
{
    struct sstp_connected c;
    INSIST(connected_parse(msg, &c));
    return c;
}

enum binding_result binding_check(struct span msg, const struct binding_expect *expect,
                                  uint8_t *hash)
{
    struct sstp_connected c;

    *hash = 0;
    if (!connected_parse(msg, &c))
        return BINDING_FORM;
    if (CRYPTO_memcmp(c.nonce.p, expect->nonce, SSTP_NONCE) != 0)
        return BINDING_NONCE;
    /* [MS-SSTP] 3.3.5.2.3: exactly one bit, which the Ack has offered */
    if (!hash_is_one(c.hash) || (expect->mask != 0 && (expect->mask & c.hash) == 0))
        return BINDING_HASH;
    *hash = c.hash;
    /* The bytes that pad a SHA1 hash to 32 are not compared, because the client's MAC covers them
     * as sent, and binding_make() sends zeros. */
    if ((expect->leaf->known & c.hash) == 0 ||
        CRYPTO_memcmp(c.cert_hash.p, leaf_hash(expect->leaf, c.hash), hash_len(c.hash)) != 0)
        return BINDING_LEAF;
    return BINDING_OK;
}

size_t binding_find_key(struct span msg, const struct hlak *keys, size_t n)
{
    const struct sstp_connected c = connected_parse_checked(msg);
    uint8_t mac[DIGEST_MAX];
    size_t found = n;

    for (size_t i = 0; i < n; i++) {
        compound_mac(msg.p, c.hash, &keys[i], mac);
        /* The bytes that pad a SHA1 MAC to 32 have no meaning. */
        if (CRYPTO_memcmp(c.mac.p, mac, hash_len(c.hash)) == 0 && found == n)
            found = i;
    }
    /* wiped, because it may be the correct MAC of a message whose sender does not have the key */
    OPENSSL_cleanse(mac, sizeof mac);
    return found;
}

uint8_t binding_choose_hash(uint8_t client_hash, uint8_t mask, const struct binding_leaf *leaf)
{
    const uint8_t both = SSTP_HASH_SHA1 | SSTP_HASH_SHA256;
    if (!hash_is_one(client_hash))
        return 0;
    const uint8_t usable = leaf->known & (mask == 0 ? both : mask) & both;
    return (usable & client_hash) != 0 ? client_hash : usable;
}

void binding_build(const uint8_t nonce[SSTP_NONCE], uint8_t hash, const struct binding_leaf *leaf,
                   const struct hlak *key, uint8_t out[SSTP_CONNECTED_LEN])
{
    const uint16_t n = hash_len(hash);
    uint8_t made[SSTP_CONNECTED_LEN] = {0}, mac[DIGEST_MAX];

    INSIST((leaf->known & hash) != 0);
    memcpy(made, connected_head, sizeof connected_head);
    made[SSTP_CONNECTED_HASH] = hash;
    memcpy(made + SSTP_CONNECTED_NONCE, nonce, SSTP_NONCE);
    memcpy(made + SSTP_CONNECTED_CERT, leaf_hash(leaf, hash), n);
    compound_mac(made, hash, key, mac);
    memcpy(made + SSTP_CONNECTED_MAC, mac, n);
    memcpy(out, made, sizeof made); /* last, because out may contain nonce */
    OPENSSL_cleanse(mac, sizeof mac);
}

void binding_make(struct span msg, uint8_t hash, const struct binding_leaf *leaf,
                  const struct hlak *key, uint8_t out[SSTP_CONNECTED_LEN])
{
    binding_build(connected_parse_checked(msg).nonce.p, hash, leaf, key, out);
}

const char *binding_result_name(enum binding_result r)
{
    switch (r) {
    case BINDING_OK: return "ok";
    case BINDING_FORM: return "malformed";
    case BINDING_NONCE: return "wrong-nonce";
    case BINDING_HASH: return "wrong-hash-protocol";
    case BINDING_LEAF: return "wrong-leaf";
    case BINDING_MAC: return "wrong-mac";
    }
    return "unknown";
}
