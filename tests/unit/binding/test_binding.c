#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "binding/binding.h"
#include "vectors.h"

enum { BOTH = SSTP_HASH_SHA1 | SSTP_HASH_SHA256 };

/* A client and its certificate: the message, and the values that it must match. */
struct call {
    struct binding_leaf leaf, backend;
    struct binding_expect expect;
    struct hlak key;
    uint8_t msg[SSTP_CONNECTED_LEN];
};

static struct hlak hlak_of(const struct vector *v)
{
    struct hlak k = {.kind = HLAK_MSCHAPV2};
    memcpy(k.key, vector_octets(v, "hlak", HLAK_LEN), HLAK_LEN);
    return k;
}

static uint8_t hash_of(const struct vector *v, const char *key)
{
    return *vector_octets(v, key, 1);
}

static struct span span_msg(const uint8_t msg[SSTP_CONNECTED_LEN])
{
    return span_of(msg, SSTP_CONNECTED_LEN);
}

/* Builds a valid call with functions that other tests check against vectors. */
static void call_init(struct call *c, uint8_t hash)
{
    static const char *const name[] = {
        [SSTP_HASH_SHA1] = "rewrite_mschapv2_sha1", [SSTP_HASH_SHA256] = "rewrite_mschapv2_sha256"};
    struct vectors all = vectors_read("tests/vectors/rewrite.txt");
    const struct vector *v = vectors_named(&all, name[hash]);

    binding_leaf_from_der(&c->leaf, vector_get(v, "client_leaf"));
    binding_leaf_from_der(&c->backend, vector_get(v, "backend_leaf"));
    c->expect.mask = hash;
    memcpy(c->expect.nonce, vector_octets(v, "nonce", SSTP_NONCE), SSTP_NONCE);
    c->expect.leaf = &c->leaf;
    c->key = hlak_of(v);
    memcpy(c->msg, vector_octets(v, "from_client", SSTP_CONNECTED_LEN), SSTP_CONNECTED_LEN);
    vectors_free(&all);
}

/* Checks a message in the order of the gate: binding_check(), then binding_find_key(). */
static enum binding_result verify(const struct call *c, struct span msg)
{
    uint8_t hash;
    const enum binding_result r = binding_check(msg, &c->expect, &hash);
    if (r != BINDING_OK)
        return r;
    return binding_find_key(msg, &c->key, 1) == 0 ? BINDING_OK : BINDING_MAC;
}

static const uint8_t hashes[] = {SSTP_HASH_SHA1, SSTP_HASH_SHA256};

/* --- vectors --- */

static void prf_vectors(void **state)
{
    (void)state;
    struct vectors all = vectors_read("tests/vectors/prf.txt");
    for (size_t i = 0; i < all.count; i++) {
        const struct vector *v = &all.item[i];
        const struct span want = vector_get(v, "out");
        print_message("# %s\n", v->name);
        uint8_t *out = malloc(want.n);
        assert_non_null(out);
        binding_prf(hash_of(v, "digest"), vector_get(v, "key"), vector_get(v, "seed"), out,
                    (uint16_t)want.n);
        assert_memory_equal(out, want.p, want.n);
        free(out);
    }
    vectors_free(&all);
}

/* The longest output, 255 blocks, and an empty one. */
static void prf_limits(void **state)
{
    (void)state;
    static uint8_t out[255 * BINDING_SHA256 + 1];
    const struct span key = span_str("key"), seed = span_str("seed");

    out[255 * BINDING_SHA1] = 0xa5;
    binding_prf(SSTP_HASH_SHA1, key, seed, out, 255 * BINDING_SHA1);
    assert_int_equal(out[255 * BINDING_SHA1], 0xa5);
    out[255 * BINDING_SHA256] = 0xa5;
    binding_prf(SSTP_HASH_SHA256, key, seed, out, 255 * BINDING_SHA256);
    assert_int_equal(out[255 * BINDING_SHA256], 0xa5);
    out[0] = 0xa5;
    binding_prf(SSTP_HASH_SHA256, key, seed, out, 0);
    assert_int_equal(out[0], 0xa5);
}

/* Messages of other implementations: accepted, and rebuilt with the same bytes. */
static void published_messages(void **state)
{
    (void)state;
    static const char *const names[] = {"ms_sstp_4_7_sha256", "ms_sstp_4_7_sha1",
                                        "sstp_client_eap_tls_capture"};
    struct vectors all = vectors_read("tests/vectors/binding.txt");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const struct vector *v = vectors_named(&all, names[i]);
        const struct span msg = vector_get(v, "connected"), leaf_hash = vector_get(v, "cert_hash");
        const struct span ack_octets = vector_get(v, "ack");
        const struct hlak key = hlak_of(v);
        struct binding_leaf leaf = {.known = hash_of(v, "hash")};
        struct binding_expect expect = {.leaf = &leaf};
        struct sstp_packet packet;
        struct sstp_ack ack;
        uint8_t hash, again[SSTP_CONNECTED_LEN];

        print_message("# %s\n", v->name);
        assert_int_equal(sstp_parse(ack_octets, &packet), ERR_OK);
        assert_int_equal(sstp_parse_ack(&packet, &ack), ERR_OK);
        expect.mask = ack.mask;
        memcpy(expect.nonce, ack.nonce.p, SSTP_NONCE);
        assert_memory_equal(ack.nonce.p, vector_octets(v, "nonce", SSTP_NONCE), SSTP_NONCE);
        memcpy(leaf.known == SSTP_HASH_SHA1 ? leaf.sha1 : leaf.sha256, leaf_hash.p, leaf_hash.n);

        assert_int_equal(binding_check(msg, &expect, &hash), BINDING_OK);
        assert_int_equal(hash, leaf.known);
        assert_int_equal(binding_find_key(msg, &key, 1), 0);
        binding_make(msg, hash, &leaf, &key, again);
        assert_memory_equal(again, msg.p, SSTP_CONNECTED_LEN);
        memset(again, 0, sizeof again);
        binding_build(ack.nonce.p, hash, &leaf, &key, again);
        assert_memory_equal(again, msg.p, SSTP_CONNECTED_LEN);
        const struct span mac = vector_get(v, "mac");
        assert_memory_equal(again + SSTP_CONNECTED_MAC, mac.p, mac.n);
    }
    vectors_free(&all);
}

static void big_endian_len_is_wrong(void **state)
{
    (void)state;
    struct vectors all = vectors_read("tests/vectors/binding.txt");
    const struct vector *v = vectors_named(&all, "negative_len_big_endian");
    const struct span msg = vector_get(v, "connected");
    const struct hlak key = hlak_of(v);
    struct binding_leaf leaf = {.known = SSTP_HASH_SHA256};
    struct binding_expect expect = {.leaf = &leaf, .mask = SSTP_HASH_SHA256};
    uint8_t hash;

    memcpy(leaf.sha256, vector_octets(v, "cert_hash", BINDING_SHA256), BINDING_SHA256);
    memcpy(expect.nonce, vector_octets(v, "nonce", SSTP_NONCE), SSTP_NONCE);
    assert_int_equal(binding_check(msg, &expect, &hash), BINDING_OK);
    assert_int_equal(binding_find_key(msg, &key, 1), 1);
    vectors_free(&all);
}

static void check_leaf_hash(const struct binding_leaf *leaf, uint8_t hash, struct span want)
{
    const bool sha1 = hash == SSTP_HASH_SHA1;
    assert_int_equal(want.n, sha1 ? BINDING_SHA1 : BINDING_SHA256);
    assert_memory_equal(sha1 ? leaf->sha1 : leaf->sha256, want.p, want.n);
}

/* The purpose of the gate: the client's message is re-signed for the backend. */
static void rewrites(void **state)
{
    (void)state;
    struct vectors all = vectors_read("tests/vectors/rewrite.txt");
    for (size_t i = 0; i < all.count; i++) {
        const struct vector *v = &all.item[i];
        const struct span msg = vector_get(v, "from_client");
        const uint8_t offered = hash_of(v, "backend_hash");
        const struct hlak key = hlak_of(v);
        struct binding_leaf leaf, backend;
        struct binding_expect expect = {.leaf = &leaf, .mask = hash_of(v, "hash")};
        uint8_t hash, out[SSTP_CONNECTED_LEN];

        print_message("# %s\n", v->name);
        binding_leaf_from_der(&leaf, vector_get(v, "client_leaf"));
        binding_leaf_from_der(&backend, vector_get(v, "backend_leaf"));
        assert_int_equal(leaf.known, BOTH);
        check_leaf_hash(&leaf, expect.mask, vector_get(v, "client_leaf_hash"));
        check_leaf_hash(&backend, offered, vector_get(v, "backend_leaf_hash"));
        memcpy(expect.nonce, vector_octets(v, "nonce", SSTP_NONCE), SSTP_NONCE);

        assert_int_equal(binding_check(msg, &expect, &hash), BINDING_OK);
        assert_int_equal(hash, expect.mask);
        assert_int_equal(binding_find_key(msg, &key, 1), 0);
        hash = binding_choose_hash(hash, offered, &backend);
        assert_int_equal(hash, offered);
        binding_make(msg, hash, &backend, &key, out);
        assert_memory_equal(out, vector_octets(v, "to_backend", sizeof out), sizeof out);
    }
    assert_true(all.count >= 13);
    vectors_free(&all);
}

/* --- attacks --- */

/* Octets without a meaning: the padding of a SHA1 MAC. The MAC covers all others but itself. */
static bool octet_is_free(uint8_t hash, size_t at)
{
    return hash == SSTP_HASH_SHA1 && at >= SSTP_CONNECTED_MAC + BINDING_SHA1;
}

/* Returns the result for a changed byte `at`; BINDING_OK: several results are possible. */
static enum binding_result refusal_of(uint8_t hash, size_t at)
{
    const size_t n = hash == SSTP_HASH_SHA1 ? BINDING_SHA1 : BINDING_SHA256;
    if (at < SSTP_CONNECTED_HASH - 3)
        return BINDING_OK; /* a length, a type, or a bit that only the MAC covers */
    if (at < SSTP_CONNECTED_HASH)
        return BINDING_MAC; /* reserved */
    if (at == SSTP_CONNECTED_HASH)
        return BINDING_HASH;
    if (at < SSTP_CONNECTED_CERT)
        return BINDING_NONCE;
    return at < SSTP_CONNECTED_CERT + n ? BINDING_LEAF : BINDING_MAC;
}

static void every_octet_counts(void **state)
{
    (void)state;
    for (size_t h = 0; h < sizeof hashes; h++) {
        struct call c;
        uint8_t canonical[SSTP_CONNECTED_LEN], out[SSTP_CONNECTED_LEN];
        call_init(&c, hashes[h]);
        assert_int_equal(verify(&c, span_msg(c.msg)), BINDING_OK);
        binding_make(span_msg(c.msg), hashes[h], &c.backend, &c.key, canonical);

        for (size_t at = 0; at < SSTP_CONNECTED_LEN; at++)
            for (unsigned mask = 1; mask <= 0xff; mask++) {
                c.msg[at] ^= (uint8_t)mask;
                const enum binding_result r = verify(&c, span_msg(c.msg));
                if (octet_is_free(hashes[h], at)) {
                    assert_int_equal(r, BINDING_OK);
                    binding_make(span_msg(c.msg), hashes[h], &c.backend, &c.key, out);
                    assert_memory_equal(out, canonical, sizeof out);
                } else {
                    const enum binding_result want = refusal_of(hashes[h], at);
                    assert_int_not_equal(r, BINDING_OK);
                    if (want != BINDING_OK)
                        assert_int_equal(r, want);
                }
                c.msg[at] ^= (uint8_t)mask;
            }
    }
}

/* Octets that a parser must ignore and that the client's MAC covers: if the client has set them,
 * the message verifies, and the backend gets zeros. */
static void make_is_canonical(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        uint8_t bits;
    } ignored[] = {
        {1, 0xfe},                            /* seven reserved bits beside C */
        {2, 0xf0},                            /* R before the length */
        {8, 0xff},                            /* reserved byte of the attribute */
        {10, 0xf0},                           /* R before the length of the attribute */
        {12, 0xff},  {13, 0xff},  {14, 0xff}, /* reserved bytes of the value */
        {68, 0xff},  {79, 0xff},              /* padding of a SHA1 hash */
        {100, 0xff}, {111, 0xff},             /* padding of a SHA1 MAC */
    };
    struct call c;
    uint8_t canonical[SSTP_CONNECTED_LEN], out[SSTP_CONNECTED_LEN];
    struct span seed = span_str("SSTP inner method derived CMK");

    call_init(&c, SSTP_HASH_SHA1);
    binding_make(span_msg(c.msg), SSTP_HASH_SHA1, &c.backend, &c.key, canonical);
    for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++)
        c.msg[ignored[i].at] |= ignored[i].bits;

    /* signed like a client: PRF+ of 20 bytes and the message are one HMAC each, and PRF+ has
     * vectors of its own */
    uint8_t cmk[BINDING_SHA1], mac[BINDING_SHA1], zeroed[SSTP_CONNECTED_LEN] = {0};
    unsigned mac_len = sizeof mac;
    binding_prf(SSTP_HASH_SHA1, span_of(c.key.key, HLAK_LEN), seed, cmk, sizeof cmk);
    memcpy(zeroed, c.msg, SSTP_CONNECTED_MAC);
    assert_non_null(HMAC(EVP_sha1(), cmk, sizeof cmk, zeroed, sizeof zeroed, mac, &mac_len));
    memcpy(c.msg + SSTP_CONNECTED_MAC, mac, sizeof mac);

    assert_int_equal(verify(&c, span_msg(c.msg)), BINDING_OK);
    binding_make(span_msg(c.msg), SSTP_HASH_SHA1, &c.backend, &c.key, out);
    assert_memory_equal(out, canonical, sizeof out);
}

static void wrong_nonce(void **state)
{
    (void)state;
    struct call c;
    call_init(&c, SSTP_HASH_SHA256);
    for (size_t i = 0; i < SSTP_NONCE; i++) {
        c.expect.nonce[i] ^= 1;
        assert_int_equal(verify(&c, span_msg(c.msg)), BINDING_NONCE);
        c.expect.nonce[i] ^= 1;
    }
    memset(c.expect.nonce, 0, SSTP_NONCE);
    assert_int_equal(verify(&c, span_msg(c.msg)), BINDING_NONCE);
}

/* hash byte of the message, offered mask, expected result */
static void hash_protocol(void **state)
{
    (void)state;
    static const struct {
        uint8_t in, mask;
        bool good;
    } table[] = {
        {1, 1, true},     {1, 2, false},       {1, 3, true},  {1, 0, true},  {1, 4, false},
        {1, 0xff, true},  {2, 1, false},       {2, 2, true},  {2, 3, true},  {2, 0, true},
        {2, 4, false},    {2, 0xff, true},     {3, 3, false}, {3, 1, false}, {3, 0, false},
        {0, 3, false},    {0, 0, false},       {4, 4, false}, {4, 0, false}, {6, 2, false},
        {0x81, 1, false}, {0xff, 0xff, false},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const uint8_t base = table[i].in == SSTP_HASH_SHA1 ? SSTP_HASH_SHA1 : SSTP_HASH_SHA256;
        struct call c;
        uint8_t hash = 0xa5;
        call_init(&c, base);
        c.msg[SSTP_CONNECTED_HASH] = table[i].in;
        c.expect.mask = table[i].mask;
        assert_int_equal(binding_check(span_msg(c.msg), &c.expect, &hash),
                         table[i].good ? BINDING_OK : BINDING_HASH);
        assert_int_equal(hash, table[i].good ? table[i].in : 0);
    }
}

/* A message whose hash protocol and hash were changed from SHA256 to SHA1: the MAC is wrong. */
static void downgrade(void **state)
{
    (void)state;
    struct call c;
    uint8_t hash;
    call_init(&c, SSTP_HASH_SHA256);
    c.expect.mask = BOTH;
    c.msg[SSTP_CONNECTED_HASH] = SSTP_HASH_SHA1;
    memset(c.msg + SSTP_CONNECTED_CERT, 0, 32);
    memcpy(c.msg + SSTP_CONNECTED_CERT, c.leaf.sha1, BINDING_SHA1);
    assert_int_equal(binding_check(span_msg(c.msg), &c.expect, &hash), BINDING_OK);
    assert_int_equal(hash, SSTP_HASH_SHA1);
    assert_int_equal(verify(&c, span_msg(c.msg)), BINDING_MAC);
}

static void lengths(void **state)
{
    (void)state;
    for (size_t h = 0; h < sizeof hashes; h++) {
        struct call c;
        call_init(&c, hashes[h]);
        for (size_t n = 0; n < SSTP_CONNECTED_LEN; n++) {
            uint8_t *exact = malloc(n + (n == 0));
            uint8_t hash = 0xa5;
            assert_non_null(exact);
            memcpy(exact, c.msg, n);
            assert_int_equal(binding_check(span_of(exact, n), &c.expect, &hash), BINDING_FORM);
            assert_int_equal(hash, 0);
            /* with a matching length */
            if (n >= 4) {
                exact[3] = (uint8_t)n;
                assert_int_equal(binding_check(span_of(exact, n), &c.expect, &hash), BINDING_FORM);
            }
            free(exact);
        }
        assert_int_equal(verify(&c, span_of(NULL, 0)), BINDING_FORM);

        /* bytes after the packet, inside its length or not */
        uint8_t longer[SSTP_CONNECTED_LEN + 104];
        for (size_t n = SSTP_CONNECTED_LEN + 1; n <= sizeof longer; n++) {
            memset(longer, 0, sizeof longer);
            memcpy(longer, c.msg, SSTP_CONNECTED_LEN);
            assert_int_equal(verify(&c, span_of(longer, n)), BINDING_FORM);
            longer[3] = (uint8_t)n;
            assert_int_equal(verify(&c, span_of(longer, n)), BINDING_FORM);
        }
    }
}

/* Two bindings in one message, or another attribute before or after the binding: the gate cannot
 * know which one the backend would use. */
static void second_attribute(void **state)
{
    (void)state;
    static const uint8_t stranger[] = {0, 9, 0, 8, 1, 2, 3, 4};
    enum { ATTRIBUTE = 104, HEAD = 8 };
    struct call c;
    uint8_t msg[SSTP_CONNECTED_LEN + ATTRIBUTE];

    call_init(&c, SSTP_HASH_SHA256);
    for (uint8_t count = 0; count < 4; count++) {
        memcpy(msg, c.msg, sizeof c.msg);
        memcpy(msg + sizeof c.msg, c.msg + HEAD, ATTRIBUTE);
        msg[3] = sizeof msg;
        msg[7] = count;
        assert_int_equal(verify(&c, span_of(msg, sizeof msg)), BINDING_FORM);

        memcpy(msg, c.msg, sizeof c.msg);
        memcpy(msg + sizeof c.msg, stranger, sizeof stranger);
        msg[3] = sizeof c.msg + sizeof stranger;
        msg[7] = count;
        assert_int_equal(verify(&c, span_of(msg, msg[3])), BINDING_FORM);

        memcpy(msg + HEAD, stranger, sizeof stranger);
        memcpy(msg + HEAD + sizeof stranger, c.msg + HEAD, ATTRIBUTE);
        assert_int_equal(verify(&c, span_of(msg, msg[3])), BINDING_FORM);
    }
    /* no attribute, and a wrong count */
    memcpy(msg, c.msg, HEAD);
    msg[3] = HEAD;
    assert_int_equal(verify(&c, span_of(msg, HEAD)), BINDING_FORM);
    msg[7] = 0;
    assert_int_equal(verify(&c, span_of(msg, HEAD)), BINDING_FORM);
    for (unsigned count = 0; count < 256; count++) {
        if (count == 1)
            continue;
        memcpy(msg, c.msg, sizeof c.msg);
        msg[7] = (uint8_t)count;
        assert_int_not_equal(verify(&c, span_of(msg, sizeof c.msg)), BINDING_OK);
    }
}

static void other_packets(void **state)
{
    (void)state;
    struct call c;
    call_init(&c, SSTP_HASH_SHA256);
    for (uint8_t type = 0; type < 12; type++) {
        c.msg[5] = type;
        assert_int_equal(verify(&c, span_msg(c.msg)),
                         type == SSTP_CONNECTED ? BINDING_OK : BINDING_FORM);
    }
    call_init(&c, SSTP_HASH_SHA256);
    c.msg[1] = 0; /* a data packet with the same bytes */
    assert_int_equal(verify(&c, span_msg(c.msg)), BINDING_FORM);
}

/* A man in the middle shows his own certificate, which the client hashes and signs. */
static void wrong_leaf(void **state)
{
    (void)state;
    for (size_t h = 0; h < sizeof hashes; h++) {
        struct call c;
        struct binding_leaf other;
        uint8_t made[SSTP_CONNECTED_LEN], hash = 0;
        call_init(&c, hashes[h]);
        binding_leaf_from_der(&other, span_str("the certificate of somebody in between"));
        binding_make(span_msg(c.msg), hashes[h], &other, &c.key, made);
        assert_int_equal(binding_check(span_msg(made), &c.expect, &hash), BINDING_LEAF);
        assert_int_equal(hash, hashes[h]); /* the log line shows both */

        /* a leaf without a known hash of this kind never matches, not even zeros */
        c.leaf.known = BOTH & (uint8_t)~hashes[h];
        assert_int_equal(verify(&c, span_msg(c.msg)), BINDING_LEAF);
        c.leaf = (struct binding_leaf){.known = 0};
        memset(c.msg + SSTP_CONNECTED_CERT, 0, 32);
        assert_int_equal(verify(&c, span_msg(c.msg)), BINDING_LEAF);
    }
}

/* Form before nonce before hash protocol before leaf. */
static void order_of_checks(void **state)
{
    (void)state;
    struct call c;
    uint8_t hash;
    call_init(&c, SSTP_HASH_SHA256);
    c.msg[SSTP_CONNECTED_CERT] ^= 1;
    assert_int_equal(binding_check(span_msg(c.msg), &c.expect, &hash), BINDING_LEAF);
    c.msg[SSTP_CONNECTED_HASH] = 7;
    assert_int_equal(binding_check(span_msg(c.msg), &c.expect, &hash), BINDING_HASH);
    c.msg[SSTP_CONNECTED_NONCE] ^= 1;
    assert_int_equal(binding_check(span_msg(c.msg), &c.expect, &hash), BINDING_NONCE);
    c.msg[0] = 0x11;
    assert_int_equal(binding_check(span_msg(c.msg), &c.expect, &hash), BINDING_FORM);
}

/* --- keys --- */

static void candidates(void **state)
{
    (void)state;
    for (size_t h = 0; h < sizeof hashes; h++) {
        struct call c;
        call_init(&c, hashes[h]);
        struct hlak keys[4];
        for (size_t i = 0; i < 4; i++) {
            memset(&keys[i], 0, sizeof keys[i]);
            memset(keys[i].key, (int)i, HLAK_LEN);
        }
        const struct span msg = span_msg(c.msg);
        assert_int_equal(binding_find_key(msg, keys, 4), 4);
        assert_int_equal(binding_find_key(msg, keys, 0), 0);
        assert_int_equal(binding_find_key(msg, NULL, 0), 0);
        for (size_t i = 0; i < 4; i++) {
            const struct hlak before = keys[i];
            keys[i] = c.key;
            assert_int_equal(binding_find_key(msg, keys, 4), i);
            assert_int_equal(binding_find_key(msg, keys, i), i); /* after the end of the list */
            keys[i] = before;
        }
        keys[1] = keys[3] = c.key; /* the same key from two sources: the first is returned */
        assert_int_equal(binding_find_key(msg, keys, 4), 1);
        /* one bit of the key */
        for (size_t bit = 0; bit < 8 * HLAK_LEN; bit++) {
            struct hlak k = c.key;
            k.key[bit / 8] ^= (uint8_t)(1u << bit % 8);
            assert_int_equal(binding_find_key(msg, &k, 1), 1);
        }
    }
}

/* A client that signs with zeros although its method has keys: found, and visible in the index. */
static void weak_zero_key(void **state)
{
    (void)state;
    for (size_t h = 0; h < sizeof hashes; h++) {
        struct call c;
        struct hlak keys[2];
        uint8_t weak[SSTP_CONNECTED_LEN];
        call_init(&c, hashes[h]);
        keys[0] = c.key;
        hlak_zero(&keys[1]);
        binding_make(span_msg(c.msg), hashes[h], &c.leaf, &keys[1], weak);
        assert_int_equal(binding_find_key(span_msg(weak), keys, 2), 1);
        assert_int_equal(binding_find_key(span_msg(weak), keys, 1), 1); /* not a candidate: none */
        assert_int_equal(binding_find_key(span_msg(c.msg), keys, 2), 0);
    }
}

/* A MAC of zeros is refused. */
static void zero_mac(void **state)
{
    (void)state;
    for (size_t h = 0; h < sizeof hashes; h++) {
        struct call c;
        struct hlak keys[2];
        call_init(&c, hashes[h]);
        keys[0] = c.key;
        hlak_zero(&keys[1]);
        memset(c.msg + SSTP_CONNECTED_MAC, 0, 32);
        assert_int_equal(binding_find_key(span_msg(c.msg), keys, 2), 2);
    }
}

/* --- for the backend --- */

static void choose_hash(void **state)
{
    (void)state;
    static const struct {
        uint8_t client, mask, known, want;
    } table[] = {
        /* the client's own if possible */
        {1, 3, 3, 1},
        {2, 3, 3, 2},
        {1, 1, 3, 1},
        {2, 2, 3, 2},
        {1, 3, 1, 1},
        {2, 3, 2, 2},
        /* else the other one */
        {1, 2, 3, 2},
        {2, 1, 3, 1},
        {1, 3, 2, 2},
        {2, 3, 1, 1},
        {1, 2, 2, 2},
        {2, 1, 1, 1},
        /* a backend without a mask accepts any */
        {1, 0, 3, 1},
        {2, 0, 3, 2},
        {1, 0, 1, 1},
        {2, 0, 1, 1},
        {1, 0, 2, 2},
        /* undefined bits */
        {1, 0x81, 3, 1},
        {2, 0x81, 3, 1},
        {2, 0xfc, 3, 0},
        {1, 0xff, 3, 1},
        {1, 3, 0xff, 1},
        {2, 0xfd, 0xff, 1},
        /* nothing in common */
        {1, 2, 1, 0},
        {2, 2, 1, 0},
        {1, 1, 2, 0},
        {2, 1, 2, 0},
        {1, 3, 0, 0},
        {2, 0, 0, 0},
        /* values that binding_check() refuses */
        {0, 3, 3, 0},
        {3, 3, 3, 0},
        {4, 4, 4, 0},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const struct binding_leaf leaf = {.known = table[i].known};
        assert_int_equal(binding_choose_hash(table[i].client, table[i].mask, &leaf), table[i].want);
    }
}

/* The message for a backend passes the backend's own check, for each pair of hash protocols, and
 * only under the same key. */
static void make_verifies(void **state)
{
    (void)state;
    for (size_t from = 0; from < sizeof hashes; from++)
        for (size_t to = 0; to < sizeof hashes; to++) {
            struct call c;
            uint8_t made[SSTP_CONNECTED_LEN], hash;
            struct hlak other;
            call_init(&c, hashes[from]);
            binding_make(span_msg(c.msg), hashes[to], &c.backend, &c.key, made);
            c.expect.leaf = &c.backend;
            c.expect.mask = hashes[to];
            assert_int_equal(binding_check(span_msg(made), &c.expect, &hash), BINDING_OK);
            assert_int_equal(hash, hashes[to]);
            assert_int_equal(binding_find_key(span_msg(made), &c.key, 1), 0);
            hlak_zero(&other);
            assert_int_equal(binding_find_key(span_msg(made), &other, 1), 1);
            if (hashes[to] == SSTP_HASH_SHA1)
                for (size_t i = BINDING_SHA1; i < 32; i++) {
                    assert_int_equal(made[SSTP_CONNECTED_CERT + i], 0);
                    assert_int_equal(made[SSTP_CONNECTED_MAC + i], 0);
                }
            /* in place */
            binding_make(span_msg(c.msg), hashes[to], &c.backend, &c.key, c.msg);
            assert_memory_equal(c.msg, made, sizeof made);
        }
}

static void names(void **state)
{
    (void)state;
    assert_string_equal(binding_result_name(BINDING_OK), "ok");
    assert_string_equal(binding_result_name(BINDING_FORM), "malformed");
    assert_string_equal(binding_result_name(BINDING_NONCE), "wrong-nonce");
    assert_string_equal(binding_result_name(BINDING_HASH), "wrong-hash-protocol");
    assert_string_equal(binding_result_name(BINDING_LEAF), "wrong-leaf");
    assert_string_equal(binding_result_name(BINDING_MAC), "wrong-mac");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prf_vectors),
        cmocka_unit_test(prf_limits),
        cmocka_unit_test(published_messages),
        cmocka_unit_test(big_endian_len_is_wrong),
        cmocka_unit_test(rewrites),
        cmocka_unit_test(every_octet_counts),
        cmocka_unit_test(make_is_canonical),
        cmocka_unit_test(wrong_nonce),
        cmocka_unit_test(hash_protocol),
        cmocka_unit_test(downgrade),
        cmocka_unit_test(lengths),
        cmocka_unit_test(second_attribute),
        cmocka_unit_test(other_packets),
        cmocka_unit_test(wrong_leaf),
        cmocka_unit_test(order_of_checks),
        cmocka_unit_test(candidates),
        cmocka_unit_test(weak_zero_key),
        cmocka_unit_test(zero_mac),
        cmocka_unit_test(choose_hash),
        cmocka_unit_test(make_verifies),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
