#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

#include "tls/aead.h"
#include "tls/record.h"
#include "vectors.h"

enum { SHA256_SIZE = 32, INNER_MAX = 16384 + 256 - AEAD_TAG };

static const uint16_t suites_13[] = {0x1301, 0x1302, 0x1303};
static const uint16_t suites_12[] = {0x009c, 0x009d, 0x009e, 0x009f, 0xc02b, 0xc02c,
                                     0xc02f, 0xc030, 0xcca8, 0xcca9, 0xccaa};
enum { SUITES_13 = sizeof suites_13 / 2, SUITES_12 = sizeof suites_12 / 2 };

static const uint8_t material[48] = "a secret of this test, which has 48 bytes: .....";

static struct record_side *side_of(uint16_t suite, uint64_t seq)
{
    if (suite >> 8 != 0x13)
        return record_side_12(suite, span_of(material, record_key_size(suite)),
                              span_of(material + 32, record_iv_size(suite)), seq);
    return record_side_13(suite, span_of(material, suite == 0x1302 ? 48 : 32), seq);
}

static void for_each_suite(void (*test)(uint16_t suite))
{
    for (size_t i = 0; i < SUITES_13; i++)
        test(suites_13[i]);
    for (size_t i = 0; i < SUITES_12; i++)
        test(suites_12[i]);
}

static void known_suites(void **state)
{
    (void)state;
    size_t known = 0;

    for (size_t i = 0; i < SUITES_13; i++)
        assert_true(record_suite_known(suites_13[i], true));
    for (size_t i = 0; i < SUITES_12; i++)
        assert_true(record_suite_known(suites_12[i], false));
    for (uint32_t n = 0; n < 65536; n++)
        known +=
            (size_t)record_suite_known((uint16_t)n, true) + record_suite_known((uint16_t)n, false);
    assert_int_equal(known, SUITES_13 + SUITES_12);
}

static void round_trips_of(uint16_t suite)
{
    static const size_t lengths[] = {1, 0, 15, 16, 17, 72, 1408, RECORD_PLAIN_MAX};
    struct record_side *out = side_of(suite, 7), *in = side_of(suite, 7);

    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        uint8_t *plain = malloc(lengths[i] + 1), *record = malloc(lengths[i] + RECORD_OVERHEAD);
        uint8_t *opened = malloc(lengths[i] + RECORD_OVERHEAD);
        size_t n, used;
        enum record_type type = RECORD_CCS;

        memset(plain, (int)i + 1, lengths[i] + 1);
        const size_t whole = record_seal(out, RECORD_DATA, span_of(plain, lengths[i]), record);
        assert_true(whole <= lengths[i] + RECORD_OVERHEAD);
        assert_int_equal(record_open(in, span_of(record, whole), opened, &n, &type, &used),
                         RECORD_OK);
        assert_int_equal(used, whole);
        assert_int_equal(n, lengths[i]);
        assert_int_equal(type, RECORD_DATA);
        assert_memory_equal(opened, plain, n);
        assert_int_equal(record_seq(in), 8 + i);
        record_rest(i % 2 ? in : out);
        free(opened);
        free(record);
        free(plain);
    }
    record_side_free(in);
    record_side_free(out);
}

static void round_trips(void **state)
{
    (void)state;
    for_each_suite(round_trips_of);
}

/* ---- vectors ---- */

static uint64_t number(const struct vector *v, const char *key)
{
    const uint8_t *p = vector_octets(v, key, 8);
    uint64_t n = 0;

    for (size_t i = 0; i < 8; i++)
        n = n << 8 | p[i];
    return n;
}

static struct record_side *side_of_vector(const struct vector *v)
{
    const uint8_t *suite = vector_octets(v, "suite", 2);
    const struct span secret = vector_find(v, "secret"), updates = vector_find(v, "generations");
    const uint16_t n = (uint16_t)(suite[0] << 8 | suite[1]);
    struct record_side *s;

    if (secret.p == NULL) {
        s = record_side_12(n, vector_get(v, "key"), vector_get(v, "iv"), number(v, "seq"));
        record_set_explicit(s, number(v, "explicit"));
        return s;
    }
    s = record_side_13(n, secret, number(v, "seq"));
    for (size_t i = 0; updates.n == 1 && i < updates.p[0]; i++)
        record_update(s);
    return s;
}

static void expect_opened(const struct vector *v, struct span in, uint8_t *out)
{
    const struct span plain = vector_get(v, "plain");
    struct record_side *s = side_of_vector(v);
    size_t n, used;
    enum record_type type = RECORD_CCS;

    assert_int_equal(record_open(s, in, out, &n, &type, &used), RECORD_OK);
    assert_int_equal(used, vector_get(v, "record").n);
    assert_int_equal(type, vector_octets(v, "type", 1)[0]);
    assert_int_equal(n, plain.n);
    assert_memory_equal(out, plain.p, n);
    assert_int_equal(record_seq(s), number(v, "seq") + 1);
    record_side_free(s);
}

/* Opens the record alone, before other bytes, and in place. */
static void open_vector(const struct vector *v)
{
    const struct span record = vector_get(v, "record");
    struct record_side *s = side_of_vector(v);
    uint8_t *out = malloc(record.n), *more = malloc(record.n + 3);

    expect_opened(v, record, out);
    memcpy(more, record.p, record.n);
    memset(more + record.n, 0xff, 3);
    expect_opened(v, span_of(more, record.n + 3), out);
    expect_opened(v, span_of(more, record.n), more + record_gap(s));
    assert_int_equal(more[record.n], 0xff);
    record_side_free(s);
    free(more);
    free(out);
}

static void seal_vector(const struct vector *v)
{
    const struct span plain = vector_get(v, "plain"), record = vector_get(v, "record");
    const enum record_type type = (enum record_type)vector_octets(v, "type", 1)[0];
    struct record_side *s = side_of_vector(v);
    uint8_t *out = malloc(plain.n + RECORD_OVERHEAD);

    assert_int_equal(record_seal(s, type, plain, out), record.n);
    assert_memory_equal(out, record.p, record.n);
    assert_int_equal(record_seq(s), number(v, "seq") + 1);
    record_side_free(s);
    s = side_of_vector(v);
    memcpy(out + record_gap(s), plain.p, plain.n);
    assert_int_equal(record_seal(s, type, span_of(out + record_gap(s), plain.n), out), record.n);
    assert_memory_equal(out, record.p, record.n); /* in place */
    record_side_free(s);
    free(out);
}

/* Each part of the record is incomplete, and changes nothing: the whole one opens afterwards. */
static void cut_vector(const struct vector *v)
{
    const struct span record = vector_get(v, "record");
    struct record_side *s = side_of_vector(v);
    uint8_t *out = malloc(record.n);
    size_t n, used;
    enum record_type type;

    for (size_t cut = 0; cut < record.n; cut++) {
        uint8_t *part = malloc(cut + (cut == 0));
        memcpy(part, record.p, cut);
        assert_int_equal(record_open(s, span_of(part, cut), out, &n, &type, &used), RECORD_MORE);
        assert_int_equal(used, cut < RECORD_HEAD ? 0 : record.n);
        assert_int_equal(n, 0);
        free(part);
    }
    assert_int_equal(record_open(s, record, out, &n, &type, &used), RECORD_OK);
    record_side_free(s);
    free(out);
}

static enum record_verdict verdict_of_flip(const struct vector *v, size_t bit)
{
    const bool tls13 = vector_find(v, "secret").p != NULL;
    const size_t whole = vector_get(v, "record").n - RECORD_HEAD;

    switch (bit / 8) {
    case 0: return tls13 ? RECORD_UNEXPECTED : RECORD_BAD_MAC;
    case 1:
    case 2: return tls13 ? RECORD_DECODE : RECORD_VERSION;
    case 3:
    case 4: {
        const size_t n = whole ^ (size_t)1 << (bit / 8 == 3 ? 8 + bit % 8 : bit % 8);
        return n > (tls13 ? 16640u : 16704u) ? RECORD_OVERFLOW
               : n > whole                   ? RECORD_MORE
                                             : RECORD_BAD_MAC;
    }
    default: return RECORD_BAD_MAC;
    }
}

/* A wrong bit anywhere has its alert, and no byte of plaintext remains. */
static void flip_vector(const struct vector *v)
{
    const struct span record = vector_get(v, "record");
    static const uint8_t none[1024];
    uint8_t *changed = malloc(record.n), *out = malloc(record.n);
    size_t n, used;
    enum record_type type;

    memcpy(changed, record.p, record.n);
    for (size_t bit = 0; bit < record.n * 8; bit += record.n < 300 || bit < 80 ? 1 : 7) {
        struct record_side *s = side_of_vector(v);
        const enum record_verdict expected = verdict_of_flip(v, bit);
        changed[bit / 8] ^= (uint8_t)(1u << bit % 8);
        memset(out, 0, record.n);
        assert_int_equal(record_open(s, span_of(changed, record.n), out, &n, &type, &used),
                         expected);
        assert_int_equal(n, 0);
        assert_memory_equal(out, none, record.n);
        assert_int_equal(record_seq(s), number(v, "seq"));
        changed[bit / 8] ^= (uint8_t)(1u << bit % 8);
        record_side_free(s);
    }
    free(out);
    free(changed);
}

static void vectors(enum aead_library library)
{
    struct vectors all = vectors_read("tests/vectors/record.txt");
    size_t sealed = 0;

    if (!aead_use(library)) {
        vectors_free(&all);
        skip();
    }
    for (size_t i = 0; i < all.count; i++) {
        const struct vector *v = &all.item[i];
        print_message("# %s\n", v->name);
        open_vector(v);
        cut_vector(v);
        flip_vector(v);
        if (vector_find(v, "padding").p == NULL) { /* which this program does not send */
            seal_vector(v);
            sealed++;
        }
    }
    assert_int_equal(all.count, 7 + 3 * 5 + 4 * 5);
    assert_int_equal(sealed, all.count - 3);
    vectors_free(&all);
}

static void vectors_evp(void **state)
{
    (void)state;
    vectors(AEAD_EVP);
}

static void vectors_mb(void **state)
{
    (void)state;
    vectors(AEAD_MB);
}

/* ---- records that this program does not send ---- */

/* HKDF-Expand-Label, written a second time. */
static void expand(const char *label, uint8_t *out, size_t n)
{
    uint8_t info[64] = {0, (uint8_t)n, (uint8_t)(6 + strlen(label)), 't', 'l', 's', '1', '3', ' '};
    uint8_t block[SHA256_SIZE];
    const size_t length = 9 + strlen(label) + 1;

    memcpy(info + 9, label, strlen(label));
    info[length] = 1; /* the number of the block */
    HMAC(EVP_sha256(), material, SHA256_SIZE, info, length + 1, block, NULL);
    memcpy(out, block, n);
}

/* Seals `inner`, which has a type and padding, for the first record of side_of(0x1301, 0). */
static size_t seal_inner(struct span inner, uint8_t *out)
{
    uint8_t key[16], iv[AEAD_NONCE];
    const size_t body = inner.n + AEAD_TAG;
    const uint8_t head[] = {23, 3, 3, (uint8_t)(body >> 8), (uint8_t)body};

    expand("key", key, sizeof key);
    expand("iv", iv, sizeof iv);
    struct aead_key *k = aead_key_new(AEAD_AES_128_GCM, key);
    memcpy(out, head, sizeof head);
    aead_seal(k, iv, span_of(head, sizeof head), inner, out + sizeof head);
    aead_key_free(k);
    return sizeof head + body;
}

/* The same for TLS 1.2 and side_of(0xc02f, 0). */
static size_t seal_long_12(uint8_t type, struct span plain, uint8_t *out)
{
    const size_t body = 8 + plain.n + AEAD_TAG;
    const uint8_t head[] = {type, 3, 3, (uint8_t)(body >> 8), (uint8_t)body};
    const uint8_t aad[13] = {[8] = type, 3, 3, (uint8_t)(plain.n >> 8), (uint8_t)plain.n};
    uint8_t nonce[AEAD_NONCE] = {0};

    memcpy(nonce, material + 32, 4);
    memcpy(out, head, sizeof head);
    memset(out + sizeof head, 0, 8);
    struct aead_key *k = aead_key_new(AEAD_AES_128_GCM, material);
    aead_seal(k, nonce, span_of(aad, sizeof aad), plain, out + sizeof head + 8);
    aead_key_free(k);
    return sizeof head + body;
}

static enum record_verdict open_first(uint16_t suite, const uint8_t *record, size_t whole,
                                      size_t *n, enum record_type *type)
{
    static uint8_t out[RECORD_SEALED_MAX];
    struct record_side *s = side_of(suite, 0);
    uint8_t *exact = malloc(whole);
    size_t used;

    memcpy(exact, record, whole);
    const enum record_verdict v = record_open(s, span_of(exact, whole), out, n, type, &used);
    assert_int_equal(used, v == RECORD_OK ? whole : v == RECORD_MORE ? used : 0);
    assert_int_equal(record_seq(s), v == RECORD_OK);
    free(exact);
    record_side_free(s);
    return v;
}

/* Opens a record of TLS 1.3: n bytes, a type, padding. */
static enum record_verdict open_inner(size_t n, uint8_t type, size_t padding, size_t *opened)
{
    static uint8_t inner[INNER_MAX + 64], record[RECORD_SEALED_MAX + 64];
    enum record_type found = RECORD_CCS;

    memset(inner, 0, sizeof inner);
    memset(inner, 'x', n);
    inner[n] = type;
    const size_t whole = seal_inner(span_of(inner, n + 1 + padding), record);
    const enum record_verdict v = open_first(0x1301, record, whole, opened, &found);
    assert_true(v != RECORD_OK || found == type);
    return v;
}

static void padding(void **state)
{
    (void)state;
    size_t n;

    for (size_t pad = 0; pad < 70; pad++) {
        assert_int_equal(open_inner(5, RECORD_DATA, pad, &n), RECORD_OK);
        assert_int_equal(n, 5);
        assert_int_equal(open_inner(0, RECORD_DATA, pad, &n), RECORD_OK);
        assert_int_equal(n, 0);
        assert_int_equal(open_inner(0, 0, pad, &n), RECORD_UNEXPECTED); /* zeros only */
        assert_int_equal(open_inner(0, RECORD_HANDSHAKE, pad, &n), RECORD_UNEXPECTED);
        assert_int_equal(open_inner(0, RECORD_ALERT, pad, &n), RECORD_UNEXPECTED);
        assert_int_equal(open_inner(1, RECORD_HANDSHAKE, pad, &n), RECORD_OK);
        assert_int_equal(open_inner(2, RECORD_ALERT, pad, &n), RECORD_OK);
    }
}

static void inner_types(void **state)
{
    (void)state;
    size_t n;

    for (unsigned type = 1; type < 256; type++)
        assert_int_equal(open_inner(4, (uint8_t)type, 0, &n),
                         type >= 21 && type <= 23 ? RECORD_OK : RECORD_UNEXPECTED);
}

static void types_12(void **state)
{
    (void)state;
    uint8_t record[64];
    size_t n;
    enum record_type type = RECORD_DATA;

    for (unsigned t = 0; t < 256; t++) {
        const size_t whole = seal_long_12((uint8_t)t, span_of("abc", 3), record);
        const enum record_verdict v = open_first(0xc02f, record, whole, &n, &type);
        assert_int_equal(v, t >= 20 && t <= 23 ? RECORD_OK : RECORD_UNEXPECTED);
        assert_true(v != RECORD_OK || (type == t && n == 3));
    }
}

/* ---- lengths ---- */

static void exact_limits_13(void **state)
{
    (void)state;
    size_t n;

    assert_int_equal(open_inner(RECORD_PLAIN_MAX, RECORD_DATA, 0, &n), RECORD_OK);
    assert_int_equal(n, RECORD_PLAIN_MAX);
    assert_int_equal(open_inner(RECORD_PLAIN_MAX + 1, RECORD_DATA, 0, &n), RECORD_OVERFLOW);
    assert_int_equal(n, 0);
    /* as long as a record can be: 2^14 + 256 */
    assert_int_equal(open_inner(INNER_MAX - 1, RECORD_DATA, 0, &n), RECORD_OVERFLOW);
    assert_int_equal(open_inner(100, RECORD_DATA, INNER_MAX - 101, &n), RECORD_OK);
    assert_int_equal(n, 100);
    assert_int_equal(open_inner(RECORD_PLAIN_MAX, RECORD_DATA, 239, &n), RECORD_OK);
    /* one byte more */
    assert_int_equal(open_inner(100, RECORD_DATA, INNER_MAX - 100, &n), RECORD_OVERFLOW);
}

static void exact_limits_12(void **state)
{
    (void)state;
    static uint8_t plain[RECORD_SEALED_MAX], record[RECORD_SEALED_MAX + 64];
    size_t n;
    enum record_type type;
    const size_t longest = RECORD_SEALED_MAX - 8 - AEAD_TAG;

    size_t whole = seal_long_12(RECORD_DATA, span_of(plain, RECORD_PLAIN_MAX), record);
    assert_int_equal(open_first(0xc02f, record, whole, &n, &type), RECORD_OK);
    assert_int_equal(n, RECORD_PLAIN_MAX);
    for (size_t more = 1; more <= longest - RECORD_PLAIN_MAX; more += 59) {
        whole = seal_long_12(RECORD_DATA, span_of(plain, RECORD_PLAIN_MAX + more), record);
        assert_int_equal(open_first(0xc02f, record, whole, &n, &type), RECORD_OVERFLOW);
        record[whole - 1] ^= 1; /* the tag is checked first */
        assert_int_equal(open_first(0xc02f, record, whole, &n, &type), RECORD_BAD_MAC);
    }
}

/* The verdict on a length does not wait for the record. */
static void lengths_in_the_head(void **state)
{
    (void)state;
    static const struct {
        uint16_t suite;
        size_t longest;
    } limits[] = {{0x1301, 16640}, {0x1303, 16640}, {0xc02f, 16704}, {0xcca8, 16704}};
    size_t n;
    enum record_type type;

    for (size_t i = 0; i < 4; i++)
        for (size_t body = 0; body < 65536; body++) {
            const uint8_t head[] = {23, 3, 3, (uint8_t)(body >> 8), (uint8_t)body};
            const enum record_verdict v = open_first(limits[i].suite, head, sizeof head, &n, &type);
            assert_int_equal(v, body == 0                   ? RECORD_BAD_MAC
                                : body <= limits[i].longest ? RECORD_MORE
                                                            : RECORD_OVERFLOW);
        }
}

static void shorter_than_a_tag(uint16_t suite)
{
    const size_t least = suite >> 8 == 0x13 ? 17 : suite >> 8 == 0xcc ? 16 : 24;
    uint8_t record[64] = {23, 3, 3};
    size_t n;
    enum record_type type;

    for (size_t body = 0; body <= least; body++) {
        record[4] = (uint8_t)body;
        assert_int_equal(open_first(suite, record, RECORD_HEAD + body, &n, &type), RECORD_BAD_MAC);
    }
}

static void too_short(void **state)
{
    (void)state;
    for_each_suite(shorter_than_a_tag);
}

/* ---- heads ---- */

static void heads(void **state)
{
    (void)state;
    static const struct {
        uint8_t head[5];
        enum record_verdict tls13, tls12;
    } rows[] = {
        {{23, 3, 3, 0, 40}, RECORD_MORE, RECORD_MORE},
        {{22, 3, 3, 0, 40}, RECORD_UNEXPECTED, RECORD_MORE},
        {{21, 3, 3, 0, 2}, RECORD_UNEXPECTED, RECORD_MORE}, /* an alert in plaintext */
        {{20, 3, 3, 0, 1}, RECORD_UNEXPECTED, RECORD_MORE},
        {{24, 3, 3, 0, 40}, RECORD_UNEXPECTED, RECORD_MORE},
        {{23, 3, 1, 0, 40}, RECORD_DECODE, RECORD_VERSION},
        {{23, 3, 4, 0, 40}, RECORD_DECODE, RECORD_VERSION},
        {{22, 3, 4, 0, 40}, RECORD_UNEXPECTED, RECORD_VERSION},
        {{23, 2, 3, 0, 40}, RECORD_DECODE, RECORD_VERSION},
        {{0x80, 0x2e, 1, 0, 2}, RECORD_UNEXPECTED, RECORD_VERSION}, /* SSLv2 */
        {{'G', 'E', 'T', ' ', '/'}, RECORD_UNEXPECTED, RECORD_VERSION},
        {{23, 3, 1, 255, 255}, RECORD_DECODE, RECORD_VERSION},
        {{23, 3, 3, 255, 255}, RECORD_OVERFLOW, RECORD_OVERFLOW},
    };
    size_t n;
    enum record_type type;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(open_first(0x1301, rows[i].head, 5, &n, &type), rows[i].tls13);
        assert_int_equal(open_first(0xc02f, rows[i].head, 5, &n, &type), rows[i].tls12);
    }
}

/* ---- numbers ---- */

static void last_numbers(uint16_t suite)
{
    struct record_side *out = side_of(suite, UINT64_MAX - 1), *in = side_of(suite, UINT64_MAX - 1);
    uint8_t record[64], opened[64];
    size_t n, used;
    enum record_type type;

    const size_t whole = record_seal(out, RECORD_DATA, span_of("x", 1), record);
    assert_true(whole > 0);
    assert_int_equal(record_open(in, span_of(record, whole), opened, &n, &type, &used), RECORD_OK);
    assert_int_equal(record_seal(out, RECORD_DATA, span_of("x", 1), record), 0);
    assert_int_equal(record_seal(out, RECORD_ALERT, span_of("x", 1), record), 0);
    assert_int_equal(record_open(in, span_of(record, whole), opened, &n, &type, &used),
                     RECORD_EXHAUSTED);
    assert_int_equal(record_seq(out), UINT64_MAX);
    record_side_free(in);
    record_side_free(out);
}

static void the_last_number_is_never_used(void **state)
{
    (void)state;
    for_each_suite(last_numbers);
}

/* The explicit nonce continues from any number, and over the end of the range. */
static void explicit_nonce(void **state)
{
    (void)state;
    static const uint8_t expected[3][8] = {
        {255, 255, 255, 255, 255, 255, 255, 254}, {255, 255, 255, 255, 255, 255, 255, 255}, {0}};
    struct record_side *out = side_of(0xc02f, 1), *in = side_of(0xc02f, 1);
    uint8_t record[64], opened[64];
    size_t n, used;
    enum record_type type;

    record_set_explicit(out, UINT64_MAX - 1);
    for (size_t i = 0; i < 3; i++) {
        const size_t whole = record_seal(out, RECORD_DATA, span_of("xyz", 3), record);
        assert_memory_equal(record + RECORD_HEAD, expected[i], 8);
        assert_int_equal(record_open(in, span_of(record, whole), opened, &n, &type, &used),
                         RECORD_OK);
        assert_memory_equal(opened, "xyz", 3);
    }
    record_side_free(in);
    record_side_free(out);
}

/* A record of another number, of the other version or with another key does not open. */
static void foreign_records(uint16_t suite)
{
    struct record_side *out = side_of(suite, 5), *in = side_of(suite, 6);
    uint8_t record[64], opened[64];
    size_t n, used;
    enum record_type type;

    size_t whole = record_seal(out, RECORD_DATA, span_of("x", 1), record);
    assert_int_equal(record_open(in, span_of(record, whole), opened, &n, &type, &used),
                     RECORD_BAD_MAC);
    assert_int_equal(record_seq(in), 6);
    whole = record_seal(out, RECORD_DATA, span_of("x", 1), record);
    assert_int_equal(record_open(in, span_of(record, whole), opened, &n, &type, &used), RECORD_OK);
    if (suite >> 8 == 0x13) {
        record_update(out);
        record_rest(in);
        whole = record_seal(out, RECORD_DATA, span_of("x", 1), record);
        assert_int_equal(record_open(in, span_of(record, whole), opened, &n, &type, &used),
                         RECORD_BAD_MAC);
        record_update(in);
        assert_int_equal(record_seq(in), 0);
        assert_int_equal(record_open(in, span_of(record, whole), opened, &n, &type, &used),
                         RECORD_OK);
    }
    record_side_free(in);
    record_side_free(out);
}

static void foreign(void **state)
{
    (void)state;
    for_each_suite(foreign_records);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_suites),
        cmocka_unit_test(round_trips),
        cmocka_unit_test(vectors_evp),
        cmocka_unit_test(vectors_mb),
        cmocka_unit_test(padding),
        cmocka_unit_test(inner_types),
        cmocka_unit_test(types_12),
        cmocka_unit_test(exact_limits_13),
        cmocka_unit_test(exact_limits_12),
        cmocka_unit_test(lengths_in_the_head),
        cmocka_unit_test(too_short),
        cmocka_unit_test(heads),
        cmocka_unit_test(the_last_number_is_never_used),
        cmocka_unit_test(explicit_nonce),
        cmocka_unit_test(foreign),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
