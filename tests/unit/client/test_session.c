#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "client/session_fixture.h"
#include "vectors.h"
#include "wire_octets.h"

static struct nthash *md4;
static struct vectors calls;

#define NONCE "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define ABORT "10010014000500010002000c0000000300000004"
#define DISCONNECT "1001000800060000"

/* Checks what the client has sent since the last check. */
static void expect_sent(struct wire_record *r, struct span want)
{
    assert_int_equal(r->n, want.n);
    assert_memory_equal(r->bytes, want.p, want.n);
    r->n = 0;
}

/* Gives the server's bytes to the session in two parts, the second of which begins at byte `cut` of
 * all bytes of the call; SIZE_MAX: byte by byte. Each part is in a block of exactly its size. */
static void feed(struct session *s, struct span bytes, size_t *at, size_t cut)
{
    size_t from = 0;

    while (from < bytes.n) {
        const size_t here = *at + from;
        const size_t n = cut == SIZE_MAX ? 1 : cut > here ? cut - here : bytes.n;
        const struct span part = octets_copy(span_sub(bytes, from, n));
        session_receive(s, part);
        from += part.n;
        octets_free(part);
    }
    *at += bytes.n;
}

/* Returns the method that the client prefers in a call of the vectors. */
static enum ppp_method method_of(const char *name)
{
    static const enum ppp_method known[] = {PPP_METHOD_PAP, PPP_METHOD_CHAP_MD5,
                                            PPP_METHOD_MSCHAPV2};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(name, ppp_method_name(known[i])) == 0)
            return known[i];
    return PPP_METHOD_EAP;
}

/* Runs a call of the vectors up to its n-th message, cut as feed() does. Returns the number of the
 * server's bytes. */
static size_t run(const struct vector *v, size_t n, size_t cut, struct session *s,
                  struct wire_record *sent)
{
    struct session_settings settings = fixture_settings(md4);
    size_t at = 0;

    settings.link.methods[0] = method_of(v->name);

    assert_true(session_start(s, &settings, record_send, sent));
    for (size_t i = 0; i < v->fields && i < n; i++) {
        const struct span bytes = span_of(v->field[i].octets, v->field[i].n);
        if (strcmp(v->field[i].key, "client") == 0)
            expect_sent(sent, bytes);
        else
            feed(s, bytes, &at, cut);
    }
    return at;
}

static void whole_calls_in_any_parts(void **state)
{
    (void)state;
    static struct session s;
    struct wire_record sent = {.n = 0};

    assert_int_equal(calls.count, 5);
    for (size_t i = 0; i < calls.count; i++) {
        const struct vector *v = &calls.item[i];
        print_message("# %s\n", v->name);
        const size_t n = run(v, SIZE_MAX, SIZE_MAX, &s, &sent);
        for (size_t cut = 0; cut <= n; cut++) {
            session_fini(&s);
            run(v, SIZE_MAX, cut, &s, &sent);
            assert_int_equal(s.fault, FAULT_NONE);
            assert_int_equal(s.step, STEP_UP);
            assert_string_equal(s.server, "Test/1");
            assert_int_equal(s.head_n, v->field[1].n);
            assert_memory_equal(s.head, v->field[1].octets, s.head_n);
            assert_memory_equal(link_address(&s.link), "\x0a\x63\x00\x02", 4);
            assert_memory_equal(link_name_server(&s.link), "\x0a\x63\x00\x35", 4);
            assert_int_equal(sent.n, 0);
        }
        session_fini(&s);
    }
}

/* The end: a Disconnect, and nothing more than its acknowledgement is needed. */
static void orderly_end(void **state)
{
    (void)state;
    static struct session s;
    struct wire_record sent = {.n = 0};

    run(vectors_named(&calls, "pap"), SIZE_MAX, 0, &s, &sent);
    assert_true(session_end(&s));
    const struct span want = octets_hex("10010014000600010002000c0000000000000000");
    expect_sent(&sent, want);
    octets_free(want);
    const struct span ack = octets_hex("1001000800070000");
    session_receive(&s, ack);
    octets_free(ack);
    assert_true(s.over);
    assert_int_equal(s.fault, FAULT_NONE);
    assert_false(session_end(&s));
    session_fini(&s);
}

struct bad {
    const char *name, *call;
    size_t messages;   /* of the call that precede */
    const char *bytes; /* of the server, then; NULL: it closes the connection */
    enum step step;
    enum fault fault;
    const char *detail;
};

static const struct bad bads[] = {
    {"another protocol", "pap", 1, "'SSH-2.0-OpenSSH'", STEP_REQUEST, FAULT_NOT_HTTP, ""},
    {"404", "pap", 1, "'HTTP/1.1 404 Not Found' 0d0a 0d0a", STEP_REQUEST, FAULT_STATUS,
     "HTTP status 404"},
    {"close before the answer", "pap", 1, NULL, STEP_REQUEST, FAULT_CLOSED, ""},
    {"HTML after the 200", "pap", 3, "'<html>'", STEP_SSTP, FAULT_NOT_SSTP, ""},
    {"an Ack without its attribute", "pap", 3, "1001000800020000", STEP_SSTP, FAULT_NOT_SSTP, ""},
    {"a Nak", "pap", 3, "10010016 00030001 0002000e 00000001 00000004 0001", STEP_SSTP, FAULT_NAK,
     "call-connect-nak: value-not-supported (attribute 1)"},
    {"an unknown hash protocol", "pap", 3, "10010030 00020001 00040028 00000004" NONCE, STEP_SSTP,
     FAULT_NO_HASH, ""},
    {"an Abort before the login", "pap", 5, ABORT, STEP_LCP, FAULT_ABORTED,
     "call-abort: value-not-supported (attribute 3)"},
    {"the end of LCP", "pap", 5, "1000000c ff03c021 05070004", STEP_LCP, FAULT_ENDED, ""},
    {"the end of LCP after a suggestion", "chap-md5", 9, "1000000c ff03c021 05070004", STEP_LCP,
     FAULT_NO_METHOD, ""},
    {"a refusal of PAP", "pap", 7, "10000012 ff03c023 0301000a 05'wrong'", STEP_LOGIN,
     FAULT_PASSWORD, "wrong"},
    {"an end instead of a refusal", "pap", 7, DISCONNECT, STEP_LOGIN, FAULT_LOGIN_END, ""},
    {"a close instead of a refusal", "pap", 7, NULL, STEP_LOGIN, FAULT_LOGIN_END, ""},
    {"a refusal of CHAP", "chap-md5", 13, "1000000f ff03c223 04030007 'bad'", STEP_LOGIN,
     FAULT_PASSWORD, "bad"},
    {"E=691", "ms-chapv2", 9, "1000001a ff03c223 04030012 'E=691 R=1 M=no'", STEP_LOGIN,
     FAULT_PASSWORD, "E=691 no"},
    {"E=648", "ms-chapv2", 9, "10000011 ff03c223 04030009 'E=648'", STEP_LOGIN, FAULT_EXPIRED,
     "E=648 E=648"},
    {"E=930", "ms-chapv2", 9, "10000011 ff03c223 04030009 'E=930'", STEP_LOGIN, FAULT_UNJUDGED,
     "E=930 E=930"},
    {"a Success without a proof", "ms-chapv2", 9, "1000000d ff03c223 03030005 'S'", STEP_LOGIN,
     FAULT_IMPOSTOR, ""},
    {"a Success with a wrong proof", "ms-chapv2", 9,
     "10000036 ff03c223 0303002e 'S=0000000000000000000000000000000000000000'", STEP_LOGIN,
     FAULT_IMPOSTOR, ""},
    {"EAP's Success before a proof", "eap-mschapv2", 7, "1000000c ff03c227 03090004", STEP_LOGIN,
     FAULT_IMPOSTOR, ""},
    {"EAP's Failure after a Nak", "eap-mschapv2", 13, "1000000c ff03c227 04090004", STEP_LOGIN,
     FAULT_NO_EAP, "EAP type 4"},
    {"EAP's Failure after the proof", "eap-mschapv2", 15, "1000000c ff03c227 04090004", STEP_LOGIN,
     FAULT_PASSWORD, ""},
    {"an Abort after Call Connected", "ms-chapv2", 11, ABORT, STEP_IPCP, FAULT_BINDING,
     "call-abort: value-not-supported (attribute 3)"},
    {"a Disconnect after Call Connected", "ms-chapv2", 11, DISCONNECT, STEP_IPCP, FAULT_ENDED, ""},
    {"IPCP is rejected", "ms-chapv2", 11, "1000000e ff03c021 08050006 8021", STEP_IPCP,
     FAULT_NO_IPCP, ""},
    {"IPCP ends", "ms-chapv2", 11, "1000000c ff038021 05050004", STEP_IPCP, FAULT_NO_IPCP, ""},
    {"IPCP without an address", "none", 7,
     "1000000c ff038021 01090004 10000018 ff038021 02010010 03060000 00008106 00000000", STEP_IPCP,
     FAULT_NO_ADDRESS, ""},
    {"an Abort after IPCP", "none", 12, ABORT, STEP_PING, FAULT_ABORTED,
     "call-abort: value-not-supported (attribute 3)"},
};

static void bad_servers(void **state)
{
    (void)state;
    static struct session s;

    for (size_t i = 0; i < sizeof bads / sizeof *bads; i++) {
        const struct bad *b = &bads[i];
        struct wire_record sent = {.n = 0};
        print_message("# %s\n", b->name);
        run(vectors_named(&calls, b->call), b->messages, 0, &s, &sent);
        assert_int_equal(s.fault, FAULT_NONE);
        const struct span bytes = octets_hex(b->bytes == NULL ? "" : b->bytes);
        session_receive(&s, bytes);
        octets_free(bytes);
        if (b->bytes == NULL)
            session_closed(&s);
        assert_int_equal(s.step, b->step);
        assert_string_equal(fault_info(s.fault)->word, fault_info(b->fault)->word);
        assert_string_equal(s.detail, b->detail);
        assert_false(session_end(&s)); /* nothing to wait for after a fault */
        session_fini(&s);
    }
}

/* Frames of PPP before the Ack, and an Echo Request before Call Connected, have no effect. */
static void early_packets_are_ignored(void **state)
{
    (void)state;
    static struct session s;
    struct wire_record sent = {.n = 0};

    run(vectors_named(&calls, "pap"), 3, 0, &s, &sent);
    const struct span bytes = octets_hex("1001000800080000 1000000c ff03c021 01010004");
    session_receive(&s, bytes);
    octets_free(bytes);
    assert_int_equal(s.step, STEP_SSTP);
    assert_int_equal(s.fault, FAULT_NONE);
    assert_int_equal(sent.n, 0);
    session_fini(&s);
}

/* A silence repeats the latest packet. */
static void retransmission(void **state)
{
    (void)state;
    const struct vector *v = vectors_named(&calls, "pap");
    static struct session s;

    for (size_t n = 5; n <= 7; n += 2) {
        struct wire_record sent = {.n = 0};
        run(v, n, 0, &s, &sent);
        session_retransmit(&s);
        /* the request of PAP follows the Ack of LCP */
        const size_t skip = n == 5 ? 0 : 26;
        expect_sent(&sent, span_from(span_of(v->field[n - 1].octets, v->field[n - 1].n), skip));
        session_fini(&s);
    }
}

static void invalid_host_is_refused(void **state)
{
    (void)state;
    struct session_settings settings = fixture_settings(md4);
    struct wire_record sent = {.n = 0};
    static struct session s;

    settings.host = span_str("a b");
    assert_false(session_start(&s, &settings, record_send, &sent));
    assert_int_equal(sent.n, 0);
}

static int set_up(void **state)
{
    (void)state;
    md4 = nthash_new();
    calls = vectors_read("tests/vectors/client.txt");
    return md4 == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    vectors_free(&calls);
    nthash_free(md4);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(whole_calls_in_any_parts),
                                       cmocka_unit_test(orderly_end),
                                       cmocka_unit_test(bad_servers),
                                       cmocka_unit_test(early_packets_are_ignored),
                                       cmocka_unit_test(retransmission),
                                       cmocka_unit_test(invalid_host_is_refused)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
