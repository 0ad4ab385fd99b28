#include "binding/radius_crypt.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/provider.h>
#include <openssl/rand.h>
#include <string.h>

#include "base/insist.h"

enum {
    DIGEST = 16, /* MD5 */
    BLOCK = 16,  /* values are hidden in blocks of the size of a digest */
    SALT = 2,
    TAG = 1,              /* before the salt of a Tunnel-Password */
    KEYS_MAX = 4,         /* of one direction in one Accept */
    KEYS_PLAIN_MAX = 240, /* whole blocks that fit into one attribute */
    LM_KEY = 8,           /* before the NT key (16 bytes) in MS-CHAP-MPPE-Keys */
    CHALLENGE_V1 = 8,
};

static const uint8_t zeros[RADIUS_AUTHENTICATOR];

/* The MD5 of RADIUS, in a library context of its own, because that context ignores a configuration
 * of OpenSSL that allows only FIPS. Loaded once, and never freed. */
static OSSL_LIB_CTX *library;
static EVP_MD *md5;
static CRYPTO_ONCE md5_once = CRYPTO_ONCE_STATIC_INIT;

static void md5_load(void)
{
    library = OSSL_LIB_CTX_new();
    INSIST(library != NULL);
    INSIST(OSSL_PROVIDER_load(library, "default") != NULL);
    md5 = EVP_MD_fetch(library, "MD5", NULL);
    INSIST(md5 != NULL);
}

static void md5_parts(const struct span *part, size_t parts, uint8_t out[DIGEST])
{
    EVP_MD_CTX *c = EVP_MD_CTX_new();

    INSIST(CRYPTO_THREAD_run_once(&md5_once, md5_load) == 1 && c != NULL);
    INSIST(EVP_DigestInit_ex(c, md5, NULL) == 1);
    for (size_t i = 0; i < parts; i++)
        INSIST(EVP_DigestUpdate(c, part[i].p, part[i].n) == 1);
    INSIST(EVP_DigestFinal_ex(c, out, NULL) == 1);
    EVP_MD_CTX_free(c); /* wipes its content */
}

/* ---- signatures ---- */

/* Computes an authenticator (RFC 2865 3, RFC 2866 3) over the packet, with `with` in place of its
 * authenticator, and the secret. */
static void make_authenticator(struct span whole, const uint8_t *with, struct span secret,
                               uint8_t out[DIGEST])
{
    const struct span part[] = {
        span_sub(whole, 0, RADIUS_AUTHENTICATOR_AT),
        span_of(with, RADIUS_AUTHENTICATOR),
        span_from(whole, RADIUS_HEADER),
        secret,
    };
    md5_parts(part, sizeof part / sizeof part[0], out);
}

/* Computes a Message-Authenticator (RFC 3579 3.2). whole: the packet, with the authenticator that
 * is signed and with zeros in place of the result. */
static void make_message_authenticator(struct span whole, struct span secret, uint8_t out[DIGEST])
{
    size_t n = 0;

    INSIST(CRYPTO_THREAD_run_once(&md5_once, md5_load) == 1);
    INSIST(EVP_Q_mac(library, "HMAC", NULL, "MD5", NULL, secret.p, secret.n, whole.p, whole.n, out,
                     DIGEST, &n) != NULL);
    INSIST(n == DIGEST);
}

/* Returns whether the packet has a random authenticator, which the Message-Authenticator covers
 * unchanged. */
static bool is_random(uint8_t code)
{
    return code == RADIUS_ACCESS_REQUEST || code == RADIUS_STATUS_SERVER;
}

static const uint8_t *signed_with(const struct radius_packet *p, const uint8_t *request)
{
    if (is_random(p->code))
        return p->authenticator.p;
    return request == NULL ? zeros : request; /* RFC 2866 3: an Accounting-Request has zeros */
}

/* Returns the number of Message-Authenticators, and the value of the last. */
static unsigned find_signature(const struct radius_packet *p, struct span *value)
{
    struct cursor c = cursor_of(p->attributes);
    struct radius_attribute a;
    unsigned found = 0;

    while (radius_next(&c, &a)) {
        if (a.type == RADIUS_MESSAGE_AUTHENTICATOR) {
            *value = a.value;
            found++;
        }
    }
    return found;
}

enum radius_proof radius_verify(const struct radius_packet *p, const uint8_t *request,
                                struct span secret)
{
    const uint8_t *with = signed_with(p, request);
    struct span value = {0};
    uint8_t copy[RADIUS_MAX], want[DIGEST];

    if (!is_random(p->code)) {
        make_authenticator(p->whole, with, secret, want);
        if (CRYPTO_memcmp(want, p->authenticator.p, sizeof want) != 0)
            return RADIUS_FORGED;
    }
    const unsigned found = find_signature(p, &value);
    if (found == 0)
        return RADIUS_UNSIGNED;
    if (found > 1 || value.n != DIGEST)
        return RADIUS_FORGED;
    memcpy(copy, p->whole.p, p->whole.n);
    memcpy(copy + RADIUS_AUTHENTICATOR_AT, with, RADIUS_AUTHENTICATOR);
    memset(copy + (value.p - p->whole.p), 0, DIGEST);
    make_message_authenticator(span_of(copy, p->whole.n), secret, want);
    OPENSSL_cleanse(copy, p->whole.n);
    return CRYPTO_memcmp(want, value.p, DIGEST) == 0 ? RADIUS_SIGNED : RADIUS_FORGED;
}

static struct radius_packet parse_own(const struct radius_out *o)
{
    struct radius_packet p;
    INSIST(radius_parse(span_of(o->octets, o->len), &p) == ERR_OK);
    return p;
}

/* Returns the address of a part that the parser has found in the packet. */
static uint8_t *part_of(struct radius_out *o, struct span part)
{
    return o->octets + (part.p - o->octets);
}

void radius_sign(struct radius_out *o, const uint8_t *request, struct span secret)
{
    const struct radius_packet p = parse_own(o);
    uint8_t *own = o->octets + RADIUS_AUTHENTICATOR_AT;
    struct span value = {0};

    memmove(own, signed_with(&p, request), RADIUS_AUTHENTICATOR);
    if (find_signature(&p, &value) > 0) {
        uint8_t mac[DIGEST];
        INSIST(value.n == DIGEST);
        memset(part_of(o, value), 0, DIGEST);
        make_message_authenticator(p.whole, secret, mac);
        memcpy(part_of(o, value), mac, DIGEST);
    }
    if (!is_random(p.code)) {
        uint8_t out[DIGEST];
        make_authenticator(p.whole, own, secret, out);
        memcpy(own, out, DIGEST);
    }
}

void radius_random(uint8_t *out, size_t n)
{
    INSIST(RAND_bytes(out, (int)n) == 1);
}

/* ---- hidden values ---- */

/* Hides or reveals bytes: b(1) = MD5(S, R, salt), b(i) = MD5(S, c(i-1)), c(i) = p(i) xor b(i) (RFC
 * 2865 5.2, where salt is empty). n: a multiple of BLOCK. */
static void hide_blocks(uint8_t *octets, size_t n, const struct radius_side *side, struct span salt,
                        bool reveal)
{
    struct span part[] = {side->secret, span_of(side->authenticator, RADIUS_AUTHENTICATOR), salt};
    uint8_t b[DIGEST], cipher[BLOCK];

    md5_parts(part, 3, b);
    for (size_t at = 0; at < n; at += BLOCK) {
        if (reveal)
            memcpy(cipher, octets + at, BLOCK);
        for (size_t i = 0; i < BLOCK; i++)
            octets[at + i] ^= b[i];
        if (!reveal)
            memcpy(cipher, octets + at, BLOCK);
        part[1] = span_of(cipher, BLOCK);
        md5_parts(part, 2, b);
    }
    OPENSSL_cleanse(b, sizeof b);
}

static bool is_blocks(size_t n)
{
    return n > 0 && n % BLOCK == 0;
}

static void hide_plain_again(uint8_t *octets, size_t n, const struct radius_side *from,
                             const struct radius_side *to)
{
    const struct span none = {0};

    if (!is_blocks(n))
        return;
    hide_blocks(octets, n, from, none, true);
    hide_blocks(octets, n, to, none, false);
}

/* Re-hides a value with a salt in front. salt: a counter, so that the salts of a packet differ; the
 * highest bit is set (RFC 2548 2.4.2, RFC 2868 3.5). */
static void hide_salted_again(uint8_t *octets, size_t n, const struct radius_side *from,
                              const struct radius_side *to, uint16_t *salt)
{
    const struct span own = span_of(octets, SALT);

    if (n < SALT || !is_blocks(n - SALT))
        return;
    hide_blocks(octets + SALT, n - SALT, from, own, true);
    octets[0] = (uint8_t)(0x80 | *salt >> 8);
    octets[1] = (uint8_t)(*salt & 0xff);
    *salt = (*salt + 1) & 0x7fff;
    hide_blocks(octets + SALT, n - SALT, to, own, false);
}

void radius_hide_again(struct radius_out *o, const struct radius_side *from,
                       const struct radius_side *to)
{
    const struct radius_packet p = parse_own(o);
    struct cursor c = cursor_of(p.attributes);
    struct radius_ms_walk w = radius_ms_walk_of(&p);
    struct radius_attribute a;
    uint16_t salt;

    radius_random((uint8_t *)&salt, sizeof salt);
    salt &= 0x7fff;
    while (radius_next(&c, &a)) {
        if (a.type == RADIUS_USER_PASSWORD)
            hide_plain_again(part_of(o, a.value), a.value.n, from, to);
        else if (a.type == RADIUS_TUNNEL_PASSWORD && a.value.n > TAG)
            hide_salted_again(part_of(o, a.value) + TAG, a.value.n - TAG, from, to, &salt);
    }
    while (radius_ms_next(&w, &a)) {
        if (a.type == RADIUS_MS_CHAP_MPPE_KEYS)
            hide_plain_again(part_of(o, a.value), a.value.n, from, to);
        else if (a.type == RADIUS_MS_MPPE_SEND_KEY || a.type == RADIUS_MS_MPPE_RECV_KEY)
            hide_salted_again(part_of(o, a.value), a.value.n, from, to, &salt);
    }
}

/* ---- keys ---- */

struct radius_key {
    size_t n;
    uint8_t octets[HLAK_LEN]; /* the beginning of a longer key, because no more is used */
};

struct radius_key_list {
    struct radius_key key[KEYS_MAX];
    size_t count;
};

/* Adds the key of MS-MPPE-Send-Key or -Recv-Key: salt, length of the key, key, padding. */
static void key_add(struct radius_key_list *all, struct span value, const struct radius_side *side)
{
    uint8_t plain[KEYS_PLAIN_MAX];
    const size_t n = value.n - SALT;

    if (value.n < SALT || !is_blocks(n) || n > sizeof plain || all->count == KEYS_MAX)
        return;
    memcpy(plain, value.p + SALT, n);
    hide_blocks(plain, n, side, span_sub(value, 0, SALT), true);
    if (plain[0] < n) {
        struct radius_key *k = &all->key[all->count++];
        k->n = plain[0] < HLAK_LEN ? plain[0] : HLAK_LEN;
        memcpy(k->octets, plain + 1, k->n);
    }
    OPENSSL_cleanse(plain, sizeof plain);
}

/* Joins Recv-Key and Send-Key to 32 bytes. False: together they have fewer. */
static bool join_keys(const struct radius_key *recv, const struct radius_key *send,
                      struct hlak *out)
{
    const size_t n = HLAK_LEN - recv->n;

    if (n > send->n)
        return false;
    out->kind = HLAK_RADIUS;
    memcpy(out->key, recv->octets, recv->n);
    memcpy(out->key + recv->n, send->octets, n);
    return true;
}

/* Makes the HLAK of MS-CHAPv1 from MS-CHAP-MPPE-Keys, whose NT key is the hash-hash (PROTOCOL.md
 * 5.5). False: the lengths are wrong. */
static bool take_chap_keys(struct span value, const struct radius_side *side, struct span challenge,
                           struct hlak *out)
{
    uint8_t plain[2 * BLOCK];

    if (value.n != sizeof plain || challenge.n != CHALLENGE_V1)
        return false;
    memcpy(plain, value.p, sizeof plain);
    hide_blocks(plain, sizeof plain, side, (struct span){0}, true);
    hlak_mschapv1(out, plain + LM_KEY, challenge.p);
    out->kind = HLAK_RADIUS;
    OPENSSL_cleanse(plain, sizeof plain);
    return true;
}

/* Joins each Recv-Key with each Send-Key. Pairs in the same position come first, because a packet
 * with several keys does not show which of them belong together. */
static size_t join_all(const struct radius_key_list *recv, const struct radius_key_list *send,
                       struct hlak *out, size_t max)
{
    static const struct radius_key none;
    size_t n = 0;

    for (size_t apart = 0; apart < KEYS_MAX; apart++) {
        for (size_t i = 0; i < recv->count && n < max; i++) {
            const size_t k = (i + apart) % KEYS_MAX;
            const bool whole = recv->key[i].n == HLAK_LEN; /* then Send-Key is irrelevant */
            if (whole ? apart == 0 : k < send->count)
                n += join_keys(&recv->key[i], whole ? &none : &send->key[k], &out[n]);
        }
    }
    return n;
}

size_t radius_keys(const struct radius_packet *accept, const struct radius_side *side,
                   struct span challenge, struct hlak *out, size_t max)
{
    struct radius_ms_walk w = radius_ms_walk_of(accept);
    struct radius_key_list recv = {.count = 0}, send = {.count = 0};
    struct radius_attribute a;
    size_t n = 0;

    while (radius_ms_next(&w, &a)) {
        if (a.type == RADIUS_MS_MPPE_RECV_KEY)
            key_add(&recv, a.value, side);
        else if (a.type == RADIUS_MS_MPPE_SEND_KEY)
            key_add(&send, a.value, side);
        else if (a.type == RADIUS_MS_CHAP_MPPE_KEYS && n < max)
            n += take_chap_keys(a.value, side, challenge, &out[n]);
    }
    n += join_all(&recv, &send, out + n, max - n);
    OPENSSL_cleanse(&recv, sizeof recv);
    OPENSSL_cleanse(&send, sizeof send);
    return n;
}
