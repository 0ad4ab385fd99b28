#include "radius/radius_carry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

#include "wire_octets.h"

static struct radius_trip trip;

static int setup(void **state)
{
    (void)state;
    trip =
        (struct radius_trip){.client_secret = span_str("nas"), .server_secret = span_str("server")};
    return 0;
}

static struct radius_packet parsed(const struct radius_out *o)
{
    struct radius_packet p;
    assert_int_equal(radius_parse(span_of(o->octets, o->len), &p), ERR_OK);
    return p;
}

/* Builds a signed packet: of the client, or of the server if request (its authenticator) is not
 * NULL. */
static struct radius_packet make(struct radius_out *o, uint8_t code, const char *hex,
                                 const uint8_t *request, struct span secret)
{
    struct span attributes = octets_hex(hex);
    struct cursor c = cursor_of(attributes);
    struct radius_attribute a;

    radius_begin(o, code, 77);
    while (radius_next(&c, &a))
        radius_add(o, a.type, a.value);
    assert_int_equal(c.rest.n, 0);
    assert_true(radius_end(o));
    if (request == NULL)
        radius_random(o->octets + RADIUS_AUTHENTICATOR_AT, RADIUS_AUTHENTICATOR);
    radius_sign(o, request, secret);
    octets_free(attributes);
    return parsed(o);
}

/* Returns all attributes except Message-Authenticator and Proxy-State. */
static struct span rest_of(const struct radius_packet *p, uint8_t out[RADIUS_MAX])
{
    struct cursor c = cursor_of(p->attributes);
    struct radius_attribute a;
    size_t n = 0;

    while (radius_next(&c, &a)) {
        if (a.type == RADIUS_MESSAGE_AUTHENTICATOR || a.type == RADIUS_PROXY_STATE)
            continue;
        out[n++] = a.type;
        out[n++] = (uint8_t)(a.value.n + 2);
        memcpy(out + n, a.value.p, a.value.n);
        n += a.value.n;
    }
    return span_of(out, n);
}

#define SEAL "5012 00000000000000000000000000000000"
#define CHAP "0313 0700112233445566778899aabbccddeeff"

/* Proxy-State is the last one; Message-Authenticator is first, also if the request had none. */
static void request(void **state)
{
    (void)state;
    static const char *const attributes[] = {"0105'bob'", "0105'bob'" SEAL "2103'x'",
                                             SEAL "0105'bob'"
                                                  "2103'x'"
                                                  "2102"};
    for (size_t i = 0; i < sizeof attributes / sizeof *attributes; i++) {
        struct radius_out in, out;
        uint8_t rest[RADIUS_MAX];
        struct radius_packet p =
            make(&in, RADIUS_ACCESS_REQUEST, attributes[i], NULL, trip.client_secret);
        assert_true(radius_carry_request(&p, &trip, NULL, &out));
        radius_carry_sign(&out, &trip, 5);
        struct radius_packet q = parsed(&out);
        assert_int_equal(q.id, 5);
        assert_int_equal(radius_verify(&q, NULL, trip.server_secret), RADIUS_SIGNED);
        assert_int_equal(q.attributes.p[0], RADIUS_MESSAGE_AUTHENTICATOR);
        assert_octets(rest_of(&q, rest), "0105'bob'");
        const struct span last = span_from(q.attributes, q.attributes.n - RADIUS_PROXY_STATE_LEN);
        assert_memory_equal(last.p, trip.proxy_state, RADIUS_PROXY_STATE_LEN);
        assert_memory_not_equal(q.authenticator.p, p.authenticator.p, RADIUS_AUTHENTICATOR);
        assert_memory_equal(q.authenticator.p, trip.server_authenticator, RADIUS_AUTHENTICATOR);
        assert_memory_equal(p.authenticator.p, trip.client_authenticator, RADIUS_AUTHENTICATOR);
        assert_int_equal(trip.client_id, 77);
    }
}

static void challenge(void **state)
{
    (void)state;
    struct radius_out in, out;
    struct span value;
    struct radius_packet p = make(&in, RADIUS_ACCESS_REQUEST, CHAP, NULL, trip.client_secret);
    assert_true(radius_carry_request(&p, &trip, NULL, &out));
    struct radius_packet q = parsed(&out);
    assert_true(radius_find(&q, RADIUS_CHAP_CHALLENGE, &value));
    assert_int_equal(value.n, RADIUS_AUTHENTICATOR);
    assert_memory_equal(value.p, p.authenticator.p, value.n);

    uint8_t rest[RADIUS_MAX];
    p = make(&in, RADIUS_ACCESS_REQUEST, CHAP "3c03'c'", NULL, trip.client_secret);
    assert_true(radius_carry_request(&p, &trip, NULL, &out));
    q = parsed(&out);
    assert_octets(rest_of(&q, rest), CHAP "3c03'c'");
}

static void caller(void **state)
{
    (void)state;
    static const struct {
        const char *address, *in, *out;
    } cases[] = {
        {"192.0.2.7:5", "0105'bob'", "0105'bob' 1f0b'192.0.2.7'"},
        {"192.0.2.7:5", "1f06'here' 0105'bob' 1f02", "0105'bob' 1f0b'192.0.2.7'"},
        {"[2001:db8::7]:5", "1f06'here'", "1f0d'2001:db8::7'"},
        {NULL, "1f06'here' 4206'here' 0105'bob'", "1f06'here' 4206'here' 0105'bob'"},
        {"192.0.2.7:5", "420a'10.0.0.1' 0105'bob'", "420b'192.0.2.7' 0105'bob' 1f0b'192.0.2.7'"},
        {"192.0.2.7:5", "4204 01'x' 4204 1f'y' 4202",
         "420c 01'192.0.2.7' 420c 1f'192.0.2.7' 420b'192.0.2.7' 1f0b'192.0.2.7'"},
        {"192.0.2.7:5", "4203 00", "420c 00'192.0.2.7' 1f0b'192.0.2.7'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct radius_out in, out;
        uint8_t rest[RADIUS_MAX];
        struct addr a;
        struct radius_packet p =
            make(&in, RADIUS_ACCESS_REQUEST, cases[i].in, NULL, trip.client_secret);
        if (cases[i].address != NULL)
            assert_int_equal(addr_parse(cases[i].address, 0, &a), ERR_OK);
        assert_true(radius_carry_request(&p, &trip, cases[i].address == NULL ? NULL : &a, &out));
        struct radius_packet q = parsed(&out);
        assert_octets(rest_of(&q, rest), cases[i].out);
    }
}

/* With the added attributes the packet would have more than 4096 bytes. */
static void too_long(void **state)
{
    (void)state;
    static const uint8_t zeros[RADIUS_VALUE_MAX];
    const size_t added = 18 + 2 + RADIUS_PROXY_STATE_LEN; /* signature, Proxy-State */

    for (size_t over = 0; over < 2; over++) {
        struct radius_out in, out;
        radius_begin(&in, RADIUS_ACCESS_REQUEST, 1);
        while (RADIUS_MAX - added + over - in.len > 255)
            radius_add(&in, 250, span_of(zeros, 250));
        radius_add(&in, 250, span_of(zeros, RADIUS_MAX - added + over - in.len - 2));
        assert_true(radius_end(&in));
        const struct radius_packet p = parsed(&in);
        assert_true(radius_carry_request(&p, &trip, NULL, &out) == (over == 0));
    }
}

/* The gate's Proxy-State is removed wherever it is; the others stay in their order. */
static void answer(void **state)
{
    (void)state;
    static const struct {
        const char *before, *behind, *proxy_states;
        bool own;
    } cases[] = {
        {"", "", "", true},
        {"2103'x'", "", "2103'x'", true},
        {"2103'x'", "1203'm'", "2103'x'", true},
        {"2103'x'", "", "2103'x'", false},              /* a server that omits it */
        {"2103'x'", "2103'y'", "2103'x'2103'y'", true}, /* a server that changes the order */
    };
    memset(trip.client_authenticator, 1, RADIUS_AUTHENTICATOR);
    memset(trip.server_authenticator, 2, RADIUS_AUTHENTICATOR);
    memcpy(trip.proxy_state, "PROXYING", RADIUS_PROXY_STATE_LEN);
    trip.client_id = 200;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct radius_out in, out;
        char hex[256], states[256] = "";
        snprintf(hex, sizeof hex, "0105'bob' %s %s %s", cases[i].before,
                 cases[i].own ? "210a'PROXYING'" : "", cases[i].behind);
        struct radius_packet p =
            make(&in, RADIUS_ACCESS_ACCEPT, hex, trip.server_authenticator, trip.server_secret);
        assert_true(radius_carry_answer(&p, &trip, &out));
        struct radius_packet q = parsed(&out);
        struct cursor c = cursor_of(q.attributes);
        struct radius_attribute a;
        assert_int_equal(q.id, 200);
        assert_int_equal(q.attributes.p[0], RADIUS_MESSAGE_AUTHENTICATOR);
        assert_int_equal(radius_verify(&q, trip.client_authenticator, trip.client_secret),
                         RADIUS_SIGNED);
        while (radius_next(&c, &a))
            if (a.type == RADIUS_PROXY_STATE) {
                assert_int_equal(a.value.n, 1);
                snprintf(states + strlen(states), sizeof states - strlen(states), "2103'%c'",
                         a.value.p[0]);
            }
        assert_string_equal(states, cases[i].proxy_states);
    }
}

/* Accounting is only signed; its authenticator depends on its identifier. */
static void accounting(void **state)
{
    (void)state;
    struct radius_out in, out;
    struct radius_packet p =
        make(&in, RADIUS_ACCOUNTING_REQUEST, "2806 00000001 2103'x'", NULL, trip.client_secret);
    assert_true(radius_carry_request(&p, &trip, NULL, &out));
    for (unsigned id = 0; id < 256; id += 85) {
        radius_carry_sign(&out, &trip, (uint8_t)id);
        const struct radius_packet q = parsed(&out);
        assert_int_equal(q.id, id);
        assert_int_equal(radius_verify(&q, NULL, trip.server_secret), RADIUS_UNSIGNED);
        assert_octets(q.attributes, "2806 00000001 2103'x'");
        assert_memory_equal(q.authenticator.p, trip.server_authenticator, RADIUS_AUTHENTICATOR);
    }
    p = make(&in, RADIUS_ACCOUNTING_RESPONSE, "2103'x'", trip.server_authenticator,
             trip.server_secret);
    assert_true(radius_carry_answer(&p, &trip, &out));
    const struct radius_packet q = parsed(&out);
    assert_octets(q.attributes, "2103'x'");
    assert_int_equal(radius_verify(&q, trip.client_authenticator, trip.client_secret),
                     RADIUS_UNSIGNED);
}

/* The address replaces those of an Accounting-Request, too, and the signatures are of the result.
 */
static void accounting_of_a_caller(void **state)
{
    (void)state;
    struct radius_out in, out;
    struct addr a;
    struct span value;
    uint8_t rest[RADIUS_MAX];
    struct radius_packet p =
        make(&in, RADIUS_ACCOUNTING_REQUEST,
             "2806 00000002" SEAL "1f06'here' 4206 02'abc' 0105'bob'", NULL, trip.client_secret);
    assert_int_equal(addr_parse("192.0.2.7:5", 0, &a), ERR_OK);
    assert_true(radius_carry_request(&p, &trip, &a, &out));
    radius_carry_sign(&out, &trip, 3);
    const struct radius_packet q = parsed(&out);
    assert_int_equal(radius_verify(&q, NULL, trip.server_secret), RADIUS_SIGNED);
    assert_int_equal(radius_verify(&q, NULL, trip.client_secret), RADIUS_FORGED);
    assert_true(radius_find(&q, RADIUS_MESSAGE_AUTHENTICATOR, &value));
    assert_octets(rest_of(&q, rest), "2806 00000002 420c 02'192.0.2.7' 0105'bob' 1f0b'192.0.2.7'");
}

#define MS "00000137"
#define NT "'abcdefghijklmnopqrstuvwx'" /* 24 */
#define EIGHT "0000000000000000"
#define V2 "1a3a" MS "1934 0100" EIGHT EIGHT EIGHT NT

static void login(void **state)
{
    (void)state;
    static const struct {
        const char *name, *in, *user, *proof, *eap;
    } cases[] = {
        {"PAP", "0105'bob'", "'bob'", "", ""},
        {"no name", "1802", "", "", ""},
        {"CHAP", "0105'bob'" CHAP, "'bob'", "00112233445566778899aabbccddeeff", ""},
        {"CHAP, too short", "0304 0700", "", "", ""},
        {"MS-CHAPv1", "1a3a" MS "0134 0101" EIGHT EIGHT EIGHT NT, "", NT, ""},
        {"MS-CHAPv2", "0105'bob'" V2, "'bob'", NT, ""},
        {"MS-CHAPv2, too short",
         "1a39" MS "1933 0100" EIGHT EIGHT EIGHT "'abcdefghijklmnopqrstuvw'", "", "", ""},
        {"a new password", "1a4c" MS "1b46 0701" EIGHT EIGHT EIGHT EIGHT EIGHT NT "0000", "", NT,
         ""},
        {"EAP in two pieces", "0105'bob' 4f06 02010006 4f04 1900", "'bob'", "", "020100061900"},
        {"EAP goes before", V2 "4f06 02010004", "", "", "02010004"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct radius_out in;
        uint8_t scratch[RADIUS_MAX];
        struct radius_login l;
        struct radius_packet p =
            make(&in, RADIUS_ACCESS_REQUEST, cases[i].in, NULL, trip.client_secret);
        print_message("# %s\n", cases[i].name);
        radius_carry_login(&p, scratch, &l);
        assert_octets(l.user, cases[i].user);
        assert_octets(l.proof, cases[i].proof);
        assert_octets(l.eap, cases[i].eap);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(request, setup),
        cmocka_unit_test_setup(challenge, setup),
        cmocka_unit_test_setup(caller, setup),
        cmocka_unit_test_setup(too_long, setup),
        cmocka_unit_test_setup(answer, setup),
        cmocka_unit_test_setup(accounting, setup),
        cmocka_unit_test_setup(accounting_of_a_caller, setup),
        cmocka_unit_test_setup(login, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
