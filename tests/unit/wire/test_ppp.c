#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "ppp_fixture.h"
#include "wire/sstp.h"

static void starts_empty(void **state)
{
    struct ppp_observer o = fresh();

    (void)state;
    assert_int_equal(o.method, PPP_METHOD_NONE);
    assert_int_equal(o.result, PPP_RESULT_PENDING);
    assert_user(&o, "");
    assert_false(o.last.seen);
    assert_false(o.confirmed.seen);
}

/* A frame inside the SSTP packet that carries it. */
static void observe_sstp(struct ppp_observer *o, int from, const char *hex)
{
    struct span in = octets_hex(hex);
    struct sstp_packet p;

    assert_int_equal(sstp_parse(in, &p), ERR_OK);
    assert_int_equal(p.len, in.n);
    assert_false(p.control);
    assert_int_equal(see(o, from, p.body), PPP_FORWARD);
    octets_free(in);
}

#define SSTP_CHALLENGE "10000020 ff03 c223 01010018 10" CHALLENGE "524153"
#define SSTP_RESPONSE "10000042 ff03 c223 0201003a 31" PEER ZERO_8 NT "00 55736572"
#define SSTP_RESPONSE_ACFC "10000040 c223 0201003a 31" PEER ZERO_8 NT "00 55736572"
#define SSTP_SUCCESS                                                                               \
    "1000003b ff03 c223 03010033 533d3430374135353839313135464430443632303946353130464539433034"   \
    "353636393332434441353620 4d3d6f6b"

static void mschapv2_in_sstp(void **state)
{
    static const char *const responses[] = {SSTP_RESPONSE, SSTP_RESPONSE_ACFC};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct ppp_observer o = fresh();

        observe_sstp(&o, SERVER, SSTP_CHALLENGE);
        assert_false(o.last.seen);
        observe_sstp(&o, CLIENT, responses[i]);
        assert_int_equal(o.method, PPP_METHOD_MSCHAPV2);
        assert_int_equal(o.result, PPP_RESULT_PENDING);
        assert_user(&o, "User");
        assert_mschap(&o.last, 1, CHALLENGE, PEER, NT);
        assert_false(o.confirmed.seen);
        observe_sstp(&o, SERVER, SSTP_SUCCESS);
        assert_int_equal(o.result, PPP_RESULT_SUCCESS);
        assert_mschap(&o.confirmed, 1, CHALLENGE, PEER, NT);
    }
}

#define SSTP_EAP_CHALLENGE "10000025 ff03 c227 0107001d 1a 01070018 10" CHALLENGE "524153"
#define SSTP_EAP_RESPONSE "10000047 ff03 c227 0207003f 1a 0207003a 31" PEER ZERO_8 NT "00 55736572"
#define SSTP_EAP_SUCCESS_REQUEST                                                                   \
    "10000040 ff03 c227 01080038 1a 03070033 533d343037413535383931313546443044363230394635313046" \
    "4539433034353636393332434441353620 4d3d6f6b"
#define SSTP_EAP_SUCCESS_RESPONSE "1000000e ff03 c227 02080006 1a03"
#define SSTP_EAP_SUCCESS "1000000c ff03 c227 03080004"

static void eap_mschapv2_in_sstp(void **state)
{
    struct ppp_observer o = fresh();

    (void)state;
    observe_sstp(&o, SERVER, SSTP_EAP_CHALLENGE);
    observe_sstp(&o, CLIENT, SSTP_EAP_RESPONSE);
    assert_int_equal(o.method, PPP_METHOD_EAP_MSCHAPV2);
    assert_user(&o, "User");
    assert_mschap(&o.last, 7, CHALLENGE, PEER, NT);
    assert_false(o.confirmed.seen);
    observe_sstp(&o, SERVER, SSTP_EAP_SUCCESS_REQUEST);
    assert_mschap(&o.confirmed, 7, CHALLENGE, PEER, NT);
    assert_int_equal(o.result, PPP_RESULT_PENDING);
    observe_sstp(&o, CLIENT, SSTP_EAP_SUCCESS_RESPONSE);
    assert_int_equal(o.result, PPP_RESULT_PENDING);
    observe_sstp(&o, SERVER, SSTP_EAP_SUCCESS);
    assert_int_equal(o.result, PPP_RESULT_SUCCESS);
    assert_mschap(&o.confirmed, 7, CHALLENGE, PEER, NT);
}

#define SSTP_PAP_REQUEST "1000001c ff03 c023 01010014 04 55736572 0a 636c69656e7450617373"

static void pap_in_sstp(void **state)
{
    struct ppp_observer o = fresh();

    (void)state;
    agree(&o, ASKS_PAP);
    observe_sstp(&o, CLIENT, SSTP_PAP_REQUEST);
    assert_int_equal(o.method, PPP_METHOD_PAP);
    assert_int_equal(o.result, PPP_RESULT_PENDING);
    assert_user(&o, "User");
    /* nothing of the password is kept */
    for (size_t i = 0; i + 10 <= sizeof o; i++)
        assert_memory_not_equal((const uint8_t *)&o + i, "clientPass", 10);
    packet(&o, SERVER, PAP, 3, 1, "00");
    assert_int_equal(o.result, PPP_RESULT_FAILURE);
    packet(&o, CLIENT, PAP, 1, 2, "03 'bob' 01 'x'");
    assert_user(&o, "bob");
    packet(&o, SERVER, PAP, 2, 2, "02 'ok'");
    assert_int_equal(o.result, PPP_RESULT_SUCCESS);
}

static void pap_odd(void **state)
{
    struct ppp_observer o = fresh();

    (void)state;
    packet(&o, CLIENT, PAP, 1, 1, "04 'User' 01 'x'"); /* LCP did not agree on it */
    assert_user(&o, "");
    agree(&o, ASKS_PAP);
    packet(&o, SERVER, PAP, 1, 1, "04 'User' 01 'x'");    /* the wrong way */
    packet(&o, CLIENT, PAP, 1, 1, "04 'User' 01 'x' 00"); /* octets behind the password */
    packet(&o, CLIENT, PAP, 1, 1, "09 'User' 01 'x'");    /* name longer than the packet */
    packet(&o, CLIENT, PAP, 1, 1, "04 'User' 02 'x'");    /* password longer than the packet */
    packet(&o, SERVER, PAP, 2, 1, "00");                  /* an Ack to nothing */
    assert_int_equal(o.result, PPP_RESULT_PENDING);
    assert_user(&o, "");
    packet(&o, CLIENT, PAP, 1, 1, "04 'User' 00");
    packet(&o, CLIENT, PAP, 2, 1, "00"); /* only the server may send an Ack */
    assert_int_equal(o.result, PPP_RESULT_PENDING);
    assert_user(&o, "User");
    observe(&o, SERVER, "ff03c023 0201 0005 00 ffff"); /* MikroTik: octets behind the length */
    assert_int_equal(o.result, PPP_RESULT_SUCCESS);
}

/* LCP: option 3 of the server's request, once the client has acknowledged it. */
static void lcp_agreement(void **state)
{
    static const struct {
        const char *options;
        enum ppp_method method;
    } all[] = {
        {"0304 c023", PPP_METHOD_PAP},
        {"0305 c223 05", PPP_METHOD_CHAP_MD5},
        {"0305 c223 80", PPP_METHOD_MSCHAPV1},
        {"0305 c223 81", PPP_METHOD_MSCHAPV2},
        {"0304 c227", PPP_METHOD_EAP},
        {"0104 0ffb 0305 c223 81 0506 01020304 0702 0802 1104 064e", PPP_METHOD_MSCHAPV2},
        {"", PPP_METHOD_NONE},
        {"0305 c223 06", PPP_METHOD_NONE},
        {"0304 c223", PPP_METHOD_NONE},
    };

    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct ppp_observer o = fresh();

        print_message("%s\n", all[i].options);
        packet(&o, SERVER, LCP, 1, 4, all[i].options);
        assert_int_equal(o.method, PPP_METHOD_NONE);
        assert_int_equal(packet(&o, CLIENT, LCP, 1, 1, "0304 c023"), PPP_AUTH_REQUEST);
        packet(&o, SERVER, LCP, 2, 4, all[i].options);
        packet(&o, CLIENT, LCP, 2, 3, all[i].options);
        assert_int_equal(o.method, PPP_METHOD_NONE);
        packet(&o, CLIENT, LCP, 2, 4, all[i].options);
        assert_int_equal(o.method, all[i].method);
    }
}

/* SoftEther: EAP, then MS-CHAPv2, then PAP; each refused one leaves nothing behind. */
static void lcp_fallback(void **state)
{
    struct ppp_observer o = fresh();

    (void)state;
    packet(&o, SERVER, LCP, 1, 1, "0304 c227");
    packet(&o, CLIENT, LCP, 3, 1, "0305 c223 81");
    packet(&o, CLIENT, LCP, 2, 1, "0305 c223 81"); /* an Ack of options that were not requested */
    assert_int_equal(o.method, PPP_METHOD_NONE);
    packet(&o, SERVER, LCP, 1, 2, "0305 c223 81");
    packet(&o, CLIENT, LCP, 2, 2, "0305 c223 80");
    assert_int_equal(o.method, PPP_METHOD_NONE);
    packet(&o, SERVER, LCP, 1, 3, "0304 c023");
    packet(&o, CLIENT, LCP, 2, 3, "0304 c023");
    assert_int_equal(o.method, PPP_METHOD_PAP);
    /* negotiated again before any authentication: the agreement is not forgotten too early */
    packet(&o, CLIENT, LCP, 1, 1, "");
    assert_int_equal(o.method, PPP_METHOD_PAP);
    packet(&o, CLIENT, PAP, 1, 1, "03 'ann' 01 'x'");
    packet(&o, CLIENT, LCP, 2, 3, "0304 c023"); /* acknowledged already */
    assert_user(&o, "ann");
    assert_int_equal(o.method, PPP_METHOD_PAP);
}

/* The observer could not read the client's Ack, and the server continues. */
static void lcp_settled_by_the_server(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct ppp_observer o = fresh();

        packet(&o, SERVER, LCP, 1, 1, "0305 c223 81");
        observe(&o, CLIENT, "ff03 c021 0201 0fff 0305 c223 81");
        assert_int_equal(o.method, PPP_METHOD_NONE);
        packet(&o, SERVER, i == 0 ? CHAP : "8021", 1, 1, "10" CHALLENGE);
        assert_int_equal(o.method, PPP_METHOD_MSCHAPV2);
        assert_int_equal(o.lcp_method, PPP_METHOD_MSCHAPV2);
    }
}

/* Data changes nothing, even if its octets resemble a login. */
static void data_settles_nothing(void **state)
{
    struct ppp_observer o = fresh(), before;

    (void)state;
    packet(&o, SERVER, LCP, 1, 1, "0305 c223 81");
    observe(&o, CLIENT, "ff03 c021 0201 0fff 0305 c223 81");
    before = o;
    packet(&o, SERVER, "3a27", 1, 2, "1a01");
    assert_memory_equal(&o, &before, sizeof o);
}

static void lcp_broken_options(void **state)
{
    static const char *const all[] = {"03",           "0300",           "0301",
                                      "0302",         "0303 c0",        "0305 c223",
                                      "0304 c023 01", "0304 c023 0101", "0304 c023 0304 c227"};

    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct ppp_observer o = fresh();

        packet(&o, SERVER, LCP, 1, 1, all[i]);
        packet(&o, CLIENT, LCP, 2, 1, all[i]);
        packet(&o, CLIENT, LCP, 2, 1, "0304 c023");
        packet(&o, CLIENT, LCP, 2, 1, "");
        assert_int_equal(o.method, PPP_METHOD_NONE);
        assert_false(o.lcp_pending);

        packet(&o, SERVER, LCP, 1, 1, "0304 c023");
        packet(&o, CLIENT, LCP, 2, 1, all[i]);
        assert_int_equal(o.method, PPP_METHOD_NONE);
    }
}

static void lcp_restart(void **state)
{
    struct ppp_observer o = fresh(), empty = fresh();

    (void)state;
    packet(&o, SERVER, LCP, 1, 1, "0305 c223 81");
    packet(&o, CLIENT, LCP, 2, 1, "0305 c223 81");
    packet(&o, SERVER, CHAP, 1, 1, "10" CHALLENGE);
    packet(&o, CLIENT, CHAP, 2, 1, V2(PEER, NT, "'User'"));
    packet(&o, SERVER, CHAP, 3, 1, SUCCESS_TEXT);
    packet(&o, SERVER, LCP, 9, 1, "00000000"); /* an echo is no restart */
    packet(&o, CLIENT, LCP, 1, 9, "");         /* nor is a packet that may never reach the server */
    assert_mschap(&o.confirmed, 1, CHALLENGE, PEER, NT);
    assert_user(&o, "User");

    packet(&o, SERVER, LCP, 1, 2, "0304 c023");
    assert_int_equal(o.method, PPP_METHOD_NONE);
    assert_int_equal(o.result, PPP_RESULT_PENDING);
    assert_user(&o, "");
    assert_memory_equal(&o.last, &empty.last, sizeof o.last);
    assert_memory_equal(&o.confirmed, &empty.confirmed, sizeof o.confirmed);
    assert_memory_equal(o.user, empty.user, sizeof o.user);
    assert_memory_equal(o.challenge, empty.challenge, sizeof o.challenge);
    packet(&o, CLIENT, CHAP, 2, 1, V2(PEER, NT, "'User'")); /* its challenge is gone */
    assert_false(o.last.seen);
    packet(&o, CLIENT, LCP, 2, 2, "0304 c023");
    assert_int_equal(o.method, PPP_METHOD_PAP);
}

/* SoftEther sends a Configure-Request for a Nak of MRU under any identifier that it has in use,
 * goes on with its login, and repeats its question until it reads an answer (PROTOCOL.md 5.2). An
 * observer that forgot the answer would accept a second one, which the server never judges. */
static void lcp_restart_amid_a_login(void **state)
{
    struct ppp_observer o = fresh();

    (void)state;
    agree(&o, "0305 c223 81");
    packet(&o, SERVER, CHAP, 1, 1, "10" CHALLENGE);
    assert_int_equal(packet(&o, SERVER, LCP, 1, 2, "0304 7805"), PPP_FORWARD); /* no answer yet */
    agree(&o, "0305 c223 81");
    packet(&o, SERVER, CHAP, 1, 1, "10" CHALLENGE);
    packet(&o, CLIENT, CHAP, 2, 1, V2(PEER, NT, "'User'"));
    assert_int_equal(packet(&o, SERVER, LCP, 1, 3, "0304 7805"), PPP_UNJUDGED);
    packet(&o, SERVER, CHAP, 1, 1, "10" CHALLENGE);
    assert_int_equal(packet(&o, CLIENT, CHAP, 2, 1, V2(PEER_2, NT_2, "'bob'")), PPP_DROP);
    packet(&o, SERVER, CHAP, 4, 1, "'E=691 R=0'");
    assert_int_equal(packet(&o, SERVER, LCP, 1, 4, "0304 c023"), PPP_FORWARD); /* it is judged */

    /* a request of PAP; not once it is acknowledged */
    packet(&o, CLIENT, LCP, 2, 4, "0304 c023");
    packet(&o, CLIENT, PAP, 1, 1, "05 'alice' 01 'x'");
    assert_int_equal(packet(&o, SERVER, LCP, 1, 5, "0304 c227"), PPP_UNJUDGED);
    packet(&o, SERVER, PAP, 2, 1, "00");
    assert_int_equal(packet(&o, SERVER, LCP, 1, 5, "0304 c227"), PPP_FORWARD);
}

/* RFC 1334 2.2.1: a PAP request that comes again behind the Ack changes nothing, nor does another.
 */
static void pap_behind_its_ack(void **state)
{
    struct ppp_observer o = fresh();

    (void)state;
    packet(&o, SERVER, LCP, 1, 1, "0304 c023");
    packet(&o, CLIENT, LCP, 2, 1, "0304 c023");
    packet(&o, CLIENT, PAP, 1, 1, "05 'alice' 01 'x'");
    packet(&o, SERVER, PAP, 2, 1, "00");
    packet(&o, CLIENT, PAP, 1, 2, "03 'bob' 01 'x'");
    assert_user(&o, "alice");
    assert_int_equal(o.result, PPP_RESULT_SUCCESS);
}

/* Each password that the server judges is a try of its own: the next one waits for the reply. */
static void pap_one_request_for_each_reply(void **state)
{
    struct ppp_observer o = fresh();

    (void)state;
    agree(&o, ASKS_PAP);
    assert_int_equal(packet(&o, CLIENT, PAP, 1, 1, "03 'ann' 01 'x'"), PPP_FORWARD);
    assert_int_equal(packet(&o, CLIENT, PAP, 1, 2, "03 'ann' 01 'y'"), PPP_DROP);
    packet(&o, SERVER, PAP, 3, 1, "00");
    assert_int_equal(o.failures, 1);
    assert_int_equal(packet(&o, CLIENT, PAP, 1, 3, "03 'ann' 01 'y'"), PPP_FORWARD);
    packet(&o, SERVER, PAP, 3, 3, "00");
    assert_int_equal(o.failures, 2);
}

struct frame {
    int from;
    const char *hex;
};

static const struct frame script[] = {
    {SERVER, "ff03c021 0101000a 0304c227 0802"},
    {CLIENT, "ff03c021 0201000a 0304c227 0802"},
    {SERVER, "ff03c227 0101 0005 01"},
    {CLIENT, "ff03c227 0201 0008 01 'bob'"},
    {SERVER, "ff03c227 0102 001a 1a 01070015 10" CHALLENGE},
    {CLIENT, "ff03c227 0202 003e 1a 02070039" V2(PEER, NT, "'bob'")},
    {SERVER, "ff03c227 0103 000a 1a 03070005 'S'"},
    {SERVER, "ff03c227 0303 0004"},
    {SERVER, "ff03c021 0103000b 0305c22381 0802"},
    {CLIENT, "ff03c021 0203000b 0305c22381 0802"},
    {SERVER, "ff03c223 0108 0015 10" CHALLENGE},
    {CLIENT, "ff03c223 0208 0039" V2(PEER, NT, "'bob'")},
    {SERVER, "ff03c223 0408 0007 'R=1'"},
    {CLIENT, "ff03c223 0209 0039" V2(PEER_2, NT_2, "'bob'")},
    {SERVER, "ff03c223 0309 0004"},
    {SERVER, "ff03c021 0102000a 0304c023 0802"},
    {CLIENT, "ff03c021 0202000a 0304c023 0802"},
    {CLIENT, "ff03c023 0101 000a 03 'ann' 01 'x'"},
    {SERVER, "ff03c023 0301 0005 00"},
};

/* An inner length longer than the frame: passed over. Octets behind the inner length: not seen.
 * Without FF 03: the same. Of each packet, and each beginning of it. */
static void every_frame_cut_padded_compressed(void **state)
{
    struct ppp_observer o = fresh();

    (void)state;
    for (size_t i = 0; i < sizeof script / sizeof *script; i++) {
        struct span whole = octets_hex(script[i].hex);
        struct ppp_observer before = o, other;

        print_message("%s\n", script[i].hex);
        for (size_t cut = 0; cut < whole.n; cut++) {
            struct span in = octets_copy(span_sub(whole, 0, cut));
            see(&o, script[i].from, in);
            octets_free(in);
            assert_memory_equal(&o, &before, sizeof o);
        }
        assert_int_equal(see(&o, script[i].from, whole), PPP_FORWARD);
        assert_memory_not_equal(&o, &before, sizeof o);

        uint8_t padded[512] = {0};
        memcpy(padded, whole.p, whole.n);
        memset(padded + whole.n, 'y', 40);
        other = before;
        see(&other, script[i].from, span_of(padded, whole.n + 40));
        assert_memory_equal(&other, &o, sizeof o);

        other = before;
        see(&other, script[i].from, span_from(whole, 2));
        assert_memory_equal(&other, &o, sizeof o);
        octets_free(whole);
    }
}

static void other_frames_pass(void **state)
{
    static const char *const all[] = {
        "",
        "ff",
        "ff03",
        "ff03c2",
        "ff03c223",
        "ff03c223 0101",
        "ff03c223 0101 0000",
        "ff03c223 0101 0003",
        "ff03c222 0101 0015 10" CHALLENGE, /* an even number is no protocol */
        "ff02c223 0101 0015 10" CHALLENGE,
        "21 4500",
        "ff030021 4500",
        "ff038021 0101 0004",
        "ff03003d c0 000001 ff03c223 0101 0015 10" CHALLENGE, /* inside multilink */
    };
    struct ppp_observer o = fresh(), empty = fresh();

    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        print_message("%s\n", all[i]);
        observe(&o, SERVER, all[i]);
        observe(&o, CLIENT, all[i]);
        assert_memory_equal(&o, &empty, sizeof o);
    }
}

/* The parts of a frame that a RADIUS client passes on. */
static void logins(void **state)
{
    static const struct {
        const char *frame, *user, *proof; /* hex; user NULL: no login */
    } cases[] = {
        {"ff03 c023 01010010 04 55736572 0a 6364656667", NULL, NULL}, /* too long a length */
        {"ff03 c023 01010010 04 55736572 06 636465666768", "55736572", ""},
        {"c023 01010010 04 55736572 06 636465666768", "55736572", ""},
        {"ff03 c023 02010004", NULL, NULL},
        {"ff03 c223 0201003a 31" PEER ZERO_8 NT "00 55736572", "55736572", NT},
        {"c223 0201003a 31" PEER ZERO_8 NT "00 55736572", "55736572", NT},
        {"ff03 c223 02010018" MD5_VALUE "616263", "616263", "c0c1c2c3c4c5c6c7c8c9cacbcccdcecf"},
        {"ff03 c223 02010005 00", NULL, NULL},
        {"ff03 c223 02010005 10", NULL, NULL},
        {"ff03 c223 01010015" MD5_VALUE, NULL, NULL}, /* a Challenge */
        {"ff03 c223 07010014" MD5_VALUE, NULL, NULL}, /* too short a change of password */
        {"ff03 c227 02010009 0155736572", "55736572", "02010009 0155736572"},
        {"ff03 c227 02010009 0155736572 0000", "55736572", "02010009 0155736572"}, /* padded */
        {"ff03 c227 02020006 0d00", "", "02020006 0d00"},
        {"ff03 c227 02020004", NULL, NULL},
        {"ff03 c227 01020006 0d00", NULL, NULL}, /* a Request */
        {"ff03 c021 02010004", NULL, NULL},
        {"ff03 0021 4500", NULL, NULL},
        {"", NULL, NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct span frame = octets_hex(cases[i].frame), user, proof;
        if (ppp_login(frame, &user, &proof) != (cases[i].user != NULL))
            fail_msg("case %zu", i);
        if (cases[i].user != NULL) {
            assert_octets(user, cases[i].user);
            assert_octets(proof, cases[i].proof);
        }
        octets_free(frame);
    }
}

/* SoftEther repeats its unanswered requests. A client that agrees to one of them after its answer
 * has agreed to a protocol that the observer does not know, so the observer reports no success,
 * although the server accepts the answer. */
static void an_unknown_protocol_agreed_after_the_answer(void **state)
{
    struct ppp_observer o = fresh();

    (void)state;
    agree(&o, ASKS_PAP);
    assert_int_equal(packet(&o, SERVER, LCP, 1, 7, "0304 7805"), PPP_FORWARD);
    assert_int_equal(packet(&o, CLIENT, PAP, 1, 1, "05 'alice' 01 'x'"), PPP_FORWARD);
    assert_int_equal(packet(&o, CLIENT, LCP, 2, 7, "0304 7805"), PPP_FORWARD);
    packet(&o, SERVER, PAP, 2, 1, "");
    assert_int_not_equal(o.result, PPP_RESULT_SUCCESS);
    assert_false(ppp_is_content(&o));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(starts_empty),
        cmocka_unit_test(mschapv2_in_sstp),
        cmocka_unit_test(eap_mschapv2_in_sstp),
        cmocka_unit_test(pap_in_sstp),
        cmocka_unit_test(pap_odd),
        cmocka_unit_test(lcp_agreement),
        cmocka_unit_test(lcp_fallback),
        cmocka_unit_test(lcp_settled_by_the_server),
        cmocka_unit_test(data_settles_nothing),
        cmocka_unit_test(lcp_broken_options),
        cmocka_unit_test(lcp_restart),
        cmocka_unit_test(lcp_restart_amid_a_login),
        cmocka_unit_test(pap_behind_its_ack),
        cmocka_unit_test(pap_one_request_for_each_reply),
        cmocka_unit_test(every_frame_cut_padded_compressed),
        cmocka_unit_test(other_frames_pass),
        cmocka_unit_test(logins),
        cmocka_unit_test(an_unknown_protocol_agreed_after_the_answer),
    };
    return cmocka_run_group_tests_name("ppp", tests, NULL, NULL);
}
