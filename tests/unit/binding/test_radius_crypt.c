#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "binding/radius_crypt.h"
#include "vectors.h"
#include "wire_octets.h"

static const uint8_t nas_authenticator[RADIUS_AUTHENTICATOR] = {1, 2, 3, 4};
static const uint8_t server_authenticator[RADIUS_AUTHENTICATOR] = {0xff, 0xfe};

static struct radius_packet parsed(const struct radius_out *o)
{
    struct radius_packet p;
    assert_int_equal(radius_parse(span_of(o->octets, o->len), &p), ERR_OK);
    return p;
}

static void add_ms(struct radius_out *o, uint8_t type, struct span value)
{
    uint8_t octets[RADIUS_VALUE_MAX] = {0, 0, 1, 0x37, type, (uint8_t)(value.n + 2)};
    memcpy(octets + 6, value.p, value.n);
    radius_add(o, RADIUS_VENDOR_SPECIFIC, span_of(octets, 6 + value.n));
}

/* ---- signatures ---- */

static void published(void **state)
{
    (void)state;
    struct vectors all = vectors_read("tests/vectors/radius.txt");
    const struct vector *v = vectors_named(&all, "rfc2865_7_1");
    const struct span secret = vector_get(v, "secret"),
                      other_secret = vector_get(v, "other_secret");
    struct radius_packet request, answer;
    struct radius_out o;
    struct span value;

    assert_int_equal(radius_parse(vector_get(v, "request"), &request), ERR_OK);
    assert_int_equal(radius_parse(vector_get(v, "answer"), &answer), ERR_OK);
    assert_int_equal(radius_verify(&request, NULL, secret), RADIUS_UNSIGNED);
    assert_int_equal(radius_verify(&answer, request.authenticator.p, secret), RADIUS_UNSIGNED);
    assert_int_equal(radius_verify(&answer, nas_authenticator, secret), RADIUS_FORGED);
    assert_int_equal(radius_verify(&answer, request.authenticator.p, other_secret), RADIUS_FORGED);

    const struct radius_side one = {.secret = secret, .authenticator = request.authenticator.p};
    const struct radius_side other = {.secret = other_secret,
                                      .authenticator = vector_octets(v, "other_authenticator", 16)};
    memcpy(o.octets, request.whole.p, request.whole.n);
    o.len = request.whole.n;
    radius_hide_again(&o, &one, &other);
    struct radius_packet p = parsed(&o);
    assert_true(radius_find(&p, RADIUS_USER_PASSWORD, &value));
    assert_int_equal(value.n, 16);
    assert_memory_equal(value.p, vector_octets(v, "other_value", 16), 16);
    radius_hide_again(&o, &other, &one);
    assert_memory_equal(o.octets, request.whole.p, o.len);
    vectors_free(&all);
}

static void build(struct radius_out *o, uint8_t code, bool signed_)
{
    static const uint8_t nonsense[16] = {0x5a, 0x5a};
    radius_begin(o, code, 3);
    if (signed_)
        radius_add(o, RADIUS_MESSAGE_AUTHENTICATOR, span_of(nonsense, sizeof nonsense));
    radius_add(o, RADIUS_USER_NAME, span_str("alice"));
    assert_true(radius_end(o));
    if (code == RADIUS_ACCESS_REQUEST || code == RADIUS_STATUS_SERVER)
        radius_random(o->octets + RADIUS_AUTHENTICATOR_AT, RADIUS_AUTHENTICATOR);
}

static enum radius_proof proof(const struct radius_out *o, const uint8_t *request,
                               const char *secret)
{
    const struct radius_packet p = parsed(o);
    return radius_verify(&p, request, span_str(secret));
}

/* Every changed bit of a signed packet is detected; without Message-Authenticator, in all codes
 * whose authenticator is a signature. */
static void signatures(void **state)
{
    (void)state;
    static const struct {
        uint8_t code;
        bool answer, signed_;
    } packets[] = {
        {RADIUS_ACCESS_REQUEST, false, true},     {RADIUS_STATUS_SERVER, false, true},
        {RADIUS_ACCOUNTING_REQUEST, false, true}, {RADIUS_ACCOUNTING_REQUEST, false, false},
        {RADIUS_ACCOUNTING_RESPONSE, true, true}, {RADIUS_ACCOUNTING_RESPONSE, true, false},
        {RADIUS_ACCESS_ACCEPT, true, true},       {RADIUS_ACCESS_ACCEPT, true, false},
        {RADIUS_ACCESS_CHALLENGE, true, true},    {RADIUS_ACCESS_REJECT, true, false},
    };

    for (size_t i = 0; i < sizeof packets / sizeof *packets; i++) {
        const uint8_t *request = packets[i].answer ? nas_authenticator : NULL;
        const enum radius_proof want = packets[i].signed_ ? RADIUS_SIGNED : RADIUS_UNSIGNED;
        struct radius_out o;

        build(&o, packets[i].code, packets[i].signed_);
        radius_sign(&o, request, span_str("secret"));
        assert_int_equal(proof(&o, request, "secret"), want);
        assert_int_equal(proof(&o, request, "secreT"), RADIUS_FORGED);
        if (packets[i].answer)
            assert_int_equal(proof(&o, server_authenticator, "secret"), RADIUS_FORGED);
        for (size_t bit = 0; bit < 8 * o.len; bit++) {
            struct radius_packet p;
            o.octets[bit / 8] ^= (uint8_t)(1 << bit % 8);
            /* the new code may have a random authenticator; then the packet is not signed */
            if (radius_parse(span_of(o.octets, o.len), &p) == ERR_OK)
                assert_int_not_equal(radius_verify(&p, request, span_str("secret")),
                                     bit < 8 ? RADIUS_SIGNED : want);
            o.octets[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        assert_int_equal(proof(&o, request, "secret"), want);
    }
}

static void odd_signatures(void **state)
{
    (void)state;
    struct radius_out o;

    build(&o, RADIUS_ACCESS_REQUEST, false);
    assert_int_equal(proof(&o, NULL, "secret"), RADIUS_UNSIGNED);
    radius_add(&o, RADIUS_MESSAGE_AUTHENTICATOR, span_of(nas_authenticator, 15));
    assert_true(radius_end(&o));
    assert_int_equal(proof(&o, NULL, "secret"), RADIUS_FORGED);

    build(&o, RADIUS_ACCESS_REQUEST, true);
    radius_sign(&o, NULL, span_str("secret"));
    radius_add(&o, RADIUS_MESSAGE_AUTHENTICATOR, span_of(nas_authenticator, 16));
    assert_true(radius_end(&o));
    assert_int_equal(proof(&o, NULL, "secret"), RADIUS_FORGED); /* two of them */
}

/* ---- keys ---- */

static void keys_of_vectors(void **state)
{
    (void)state;
    struct vectors all = vectors_read("tests/vectors/radius.txt");
    size_t seen = 0;

    for (size_t i = 0; i < all.count; i++) {
        const struct vector *v = &all.item[i];
        const struct span value = vector_find(v, "value"), challenge = vector_find(v, "challenge8");
        struct radius_out o;
        struct hlak k[4];
        if (vector_find(v, "hlak").p == NULL)
            continue;
        print_message("# %s\n", v->name);
        const struct radius_side server = {.secret = vector_get(v, "secret"),
                                           .authenticator = vector_octets(v, "authenticator", 16)};
        const struct radius_side nas = {.secret = span_str("another secret, longer than a block"),
                                        .authenticator = nas_authenticator};
        radius_begin(&o, RADIUS_ACCESS_ACCEPT, 1);
        if (value.p != NULL) {
            add_ms(&o, RADIUS_MS_CHAP_MPPE_KEYS, value);
        } else {
            add_ms(&o, RADIUS_MS_MPPE_SEND_KEY, vector_get(v, "send_value"));
            add_ms(&o, RADIUS_MS_MPPE_RECV_KEY, vector_get(v, "recv_value"));
        }
        assert_true(radius_end(&o));
        struct radius_packet p = parsed(&o);
        assert_int_equal(radius_keys(&p, &server, challenge, k, 4), 1);
        assert_int_equal(k[0].kind, HLAK_RADIUS);
        assert_memory_equal(k[0].key, vector_octets(v, "hlak", HLAK_LEN), HLAK_LEN);
        assert_int_equal(radius_keys(&p, &server, challenge, k, 0), 0);

        /* The other side reveals the same key, from different bytes of the same length. */
        const struct radius_out before = o;
        radius_hide_again(&o, &server, &nas);
        p = parsed(&o);
        assert_int_equal(o.len, before.len);
        assert_memory_not_equal(o.octets + RADIUS_HEADER, before.octets + RADIUS_HEADER,
                                o.len - RADIUS_HEADER);
        assert_int_equal(radius_keys(&p, &nas, challenge, k, 4), 1);
        assert_memory_equal(k[0].key, vector_octets(v, "hlak", HLAK_LEN), HLAK_LEN);
        seen++;
    }
    assert_int_equal(seen, 6);
    vectors_free(&all);
}

static struct span ms_value(const struct radius_packet *p, uint8_t type)
{
    struct span value;
    assert_true(radius_ms_find(p, type, &value));
    return value;
}

/* A salt has its highest bit set, is unique in the packet, and differs each time. */
static void salts(void **state)
{
    (void)state;
    struct vectors all = vectors_read("tests/vectors/radius.txt");
    const struct vector *v = vectors_named(&all, "radius_mppe_keys_16");
    const struct span recv = vector_get(v, "recv_value");
    const struct radius_side from = {.secret = vector_get(v, "secret"),
                                     .authenticator = vector_octets(v, "authenticator", 16)};
    const struct radius_side to = {.secret = span_str("x"), .authenticator = nas_authenticator};
    uint8_t tunnel[1 + 34] = {7};
    unsigned last = 0, same = 0;

    memcpy(tunnel + 1, recv.p, recv.n);
    for (int i = 0; i < 100; i++) {
        struct radius_out o;
        radius_begin(&o, RADIUS_ACCESS_ACCEPT, 1);
        radius_add(&o, RADIUS_TUNNEL_PASSWORD, span_of(tunnel, sizeof tunnel));
        add_ms(&o, RADIUS_MS_MPPE_RECV_KEY, recv);
        add_ms(&o, RADIUS_MS_MPPE_SEND_KEY, recv); /* the same salt twice, from a careless server */
        assert_true(radius_end(&o));
        radius_hide_again(&o, &from, &to);
        const struct radius_packet p = parsed(&o);
        struct span value[3] = {[1] = ms_value(&p, RADIUS_MS_MPPE_RECV_KEY),
                                [2] = ms_value(&p, RADIUS_MS_MPPE_SEND_KEY)};
        assert_true(radius_find(&p, RADIUS_TUNNEL_PASSWORD, &value[0]));
        assert_int_equal(value[0].p[0], 7); /* its tag */
        value[0] = span_from(value[0], 1);
        for (size_t k = 0; k < 3; k++) {
            assert_true(value[k].p[0] & 0x80);
            assert_memory_not_equal(value[k].p, value[(k + 1) % 3].p, 2);
        }
        same += last == (unsigned)(value[0].p[0] << 8 | value[0].p[1]);
        last = (unsigned)(value[0].p[0] << 8 | value[0].p[1]);

        /* the Tunnel-Password is hidden like a key, and read like one it is the same */
        struct radius_out again;
        struct hlak k[4];
        radius_begin(&again, RADIUS_ACCESS_ACCEPT, 1);
        add_ms(&again, RADIUS_MS_MPPE_RECV_KEY, value[0]);
        add_ms(&again, RADIUS_MS_MPPE_SEND_KEY, value[1]);
        assert_true(radius_end(&again));
        const struct radius_packet q = parsed(&again);
        assert_int_equal(radius_keys(&q, &to, span_of(NULL, 0), k, 4), 1);
        assert_memory_equal(k[0].key, vector_octets(v, "recv_key", 16), 16);
        assert_memory_equal(k[0].key + 16, vector_octets(v, "recv_key", 16), 16);
    }
    assert_true(same < 10);
    vectors_free(&all);
}

/* FreeRADIUS may send two sets (its issue 1868): all combinations, the pairs first. */
static void several(void **state)
{
    (void)state;
    struct vectors all = vectors_read("tests/vectors/radius.txt");
    const struct vector *a = vectors_named(&all, "radius_mppe_keys_16");
    const struct vector *b = vectors_named(&all, "radius_mppe_keys_32");
    const struct radius_side side = {.secret = vector_get(a, "secret"),
                                     .authenticator = vector_octets(a, "authenticator", 16)};
    const struct span none = span_of(NULL, 0);
    struct radius_out o;
    struct hlak k[8];

    radius_begin(&o, RADIUS_ACCESS_ACCEPT, 1);
    add_ms(&o, RADIUS_MS_MPPE_RECV_KEY, vector_get(a, "recv_value"));
    add_ms(&o, RADIUS_MS_MPPE_SEND_KEY, vector_get(a, "send_value"));
    add_ms(&o, RADIUS_MS_MPPE_RECV_KEY, vector_get(b, "recv_value"));
    add_ms(&o, RADIUS_MS_MPPE_SEND_KEY, vector_get(b, "send_value"));
    assert_true(radius_end(&o));
    struct radius_packet p = parsed(&o);
    assert_int_equal(radius_keys(&p, &side, none, k, 8), 3);
    assert_memory_equal(k[0].key, vector_octets(a, "hlak", HLAK_LEN), HLAK_LEN);
    assert_memory_equal(k[1].key, vector_octets(b, "hlak", HLAK_LEN), HLAK_LEN);
    assert_memory_equal(k[2].key, vector_octets(a, "recv_key", 16), 16);
    assert_memory_equal(k[2].key + 16, vector_octets(b, "send_key", 32), 16);
    assert_int_equal(radius_keys(&p, &side, none, k, 2), 2);

    /* more than KEYS_MAX */
    radius_begin(&o, RADIUS_ACCESS_ACCEPT, 1);
    for (int i = 0; i < 20; i++) {
        add_ms(&o, RADIUS_MS_MPPE_RECV_KEY, vector_get(a, "recv_value"));
        add_ms(&o, RADIUS_MS_MPPE_SEND_KEY, vector_get(a, "send_value"));
    }
    assert_true(radius_end(&o));
    p = parsed(&o);
    assert_int_equal(radius_keys(&p, &side, none, k, 8), 8);
    vectors_free(&all);
}

/* A malformed key gives no candidate, and remains unchanged. */
static void no_keys(void **state)
{
    (void)state;
    static const uint8_t zeros[RADIUS_VALUE_MAX];
    static const size_t lengths[] = {0, 1, 2, 3, 16, 17, 19, 33, 35, 49};
    struct vectors all = vectors_read("tests/vectors/radius.txt");
    const struct vector *v = vectors_named(&all, "radius_mppe_keys_16");
    const struct radius_side side = {.secret = vector_get(v, "secret"),
                                     .authenticator = vector_octets(v, "authenticator", 16)};
    const struct radius_side to = {.secret = span_str("x"), .authenticator = nas_authenticator};
    const struct span none = span_of(NULL, 0);
    struct radius_out o;
    struct hlak k[4];

    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        radius_begin(&o, RADIUS_ACCESS_ACCEPT, 1);
        add_ms(&o, RADIUS_MS_MPPE_RECV_KEY, span_of(zeros, lengths[i]));
        add_ms(&o, RADIUS_MS_MPPE_SEND_KEY, span_of(zeros, lengths[i]));
        if (lengths[i] != 16)
            add_ms(&o, RADIUS_MS_CHAP_MPPE_KEYS, span_of(zeros, lengths[i]));
        radius_add(&o, RADIUS_TUNNEL_PASSWORD, span_of(zeros, lengths[i]));
        if (lengths[i] != 16)
            radius_add(&o, RADIUS_USER_PASSWORD, span_of(zeros, lengths[i]));
        assert_true(radius_end(&o));
        const struct radius_out before = o;
        radius_hide_again(&o, &side, &to);
        if (lengths[i] != 19 && lengths[i] != 35) /* a Tunnel-Password of one block, and of two */
            assert_memory_equal(o.octets, before.octets, o.len);
        const struct radius_packet p = parsed(&o);
        assert_int_equal(radius_keys(&p, &side, none, k, 4), 0);
    }

    /* only one half */
    radius_begin(&o, RADIUS_ACCESS_ACCEPT, 1);
    add_ms(&o, RADIUS_MS_MPPE_RECV_KEY, vector_get(v, "recv_value"));
    assert_true(radius_end(&o));
    struct radius_packet p = parsed(&o);
    assert_int_equal(radius_keys(&p, &side, none, k, 4), 0);

    /* keys of MS-CHAPv1 without its challenge, or with a challenge of v2 */
    v = vectors_named(&all, "radius_ms_chap_mppe_keys");
    radius_begin(&o, RADIUS_ACCESS_ACCEPT, 1);
    add_ms(&o, RADIUS_MS_CHAP_MPPE_KEYS, vector_get(v, "value"));
    assert_true(radius_end(&o));
    p = parsed(&o);
    assert_int_equal(radius_keys(&p, &side, none, k, 4), 0);
    assert_int_equal(radius_keys(&p, &side, span_of(zeros, 16), k, 4), 0);
    assert_int_equal(radius_keys(&p, &side, span_of(zeros, 8), k, 4), 1);
    vectors_free(&all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published),      cmocka_unit_test(signatures),
        cmocka_unit_test(odd_signatures), cmocka_unit_test(keys_of_vectors),
        cmocka_unit_test(salts),          cmocka_unit_test(several),
        cmocka_unit_test(no_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
