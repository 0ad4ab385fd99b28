#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "ppp_fixture.h"

static void chap_md5(void **state)
{
    struct ppp_observer o = fresh();

    (void)state;
    packet(&o, SERVER, CHAP, 1, 9, "14 000102030405060708090a0b0c0d0e0f10111213 'ras'");
    packet(&o, CLIENT, CHAP, 2, 9, MD5_VALUE "'carl'");
    assert_int_equal(o.method, PPP_METHOD_CHAP_MD5);
    assert_user(&o, "carl");
    assert_false(o.last.seen);
    packet(&o, SERVER, CHAP, 3, 8, ""); /* for another response */
    assert_int_equal(o.result, PPP_RESULT_PENDING);
    packet(&o, SERVER, CHAP, 3, 9, "");
    assert_int_equal(o.result, PPP_RESULT_SUCCESS);
    assert_false(o.confirmed.seen);

    /* a challenge of 16 octets is no promise of MS-CHAPv2, nor is R=1 one of another try */
    o = fresh();
    packet(&o, SERVER, CHAP, 1, 1, "10" CHALLENGE);
    packet(&o, CLIENT, CHAP, 2, 1, MD5_VALUE "'carl'");
    assert_int_equal(o.method, PPP_METHOD_CHAP_MD5);
    packet(&o, SERVER, CHAP, 4, 1, "'E=691 R=1'");
    assert_int_equal(o.result, PPP_RESULT_FAILURE);
}

static void mschapv1(void **state)
{
    struct ppp_observer o = fresh();

    (void)state;
    packet(&o, SERVER, CHAP, 1, 3, "08" CHALLENGE_V1 "'ras'");
    packet(&o, CLIENT, CHAP, 2, 3, V1(NT, "01", "'dora'"));
    assert_int_equal(o.method, PPP_METHOD_MSCHAPV1);
    assert_user(&o, "dora");
    assert_mschap(&o.last, 3, CHALLENGE_V1, NULL, NT);

    /* another try, with the challenge of the Failure */
    packet(&o, SERVER, CHAP, 4, 3, "'E=691 R=1 C=1011121314151617 V=2'");
    assert_int_equal(o.result, PPP_RESULT_PENDING);
    packet(&o, CLIENT, CHAP, 2, 4, V1(NT_2, "01", "'dora'"));
    assert_mschap(&o.last, 4, "1011121314151617", NULL, NT_2);
    packet(&o, SERVER, CHAP, 3, 4, "");
    assert_mschap(&o.confirmed, 4, "1011121314151617", NULL, NT_2);
    assert_int_equal(o.result, PPP_RESULT_SUCCESS);

    /* LM only: there is a response, but not one that gives a key */
    o = fresh();
    packet(&o, SERVER, CHAP, 1, 3, "08" CHALLENGE_V1);
    packet(&o, CLIENT, CHAP, 2, 3, V1(NT, "00", "'dora'"));
    assert_int_equal(o.method, PPP_METHOD_MSCHAPV1);
    assert_user(&o, "dora");
    assert_false(o.last.seen);
    packet(&o, SERVER, CHAP, 3, 3, "");
    assert_int_equal(o.result, PPP_RESULT_SUCCESS);
    assert_false(o.confirmed.seen);
}

static void retry(void **state)
{
    struct ppp_observer o = fresh();

    (void)state;
    packet(&o, SERVER, CHAP, 1, 1, "10" CHALLENGE "'ras'");
    packet(&o, CLIENT, CHAP, 2, 1, V2(PEER, NT, "'User'"));
    packet(&o, SERVER, CHAP, 4, 1,
           "'E=691 R=1 C=000102030405060708090A0b0c0D0E0f V=3 M=try again'");
    assert_int_equal(o.result, PPP_RESULT_PENDING);
    assert_mschap(&o.last, 1, CHALLENGE, PEER, NT);
    packet(&o, CLIENT, CHAP, 2, 2, V2(PEER_2, NT_2, "'user2'"));
    assert_user(&o, "user2");
    assert_mschap(&o.last, 2, CHALLENGE_2, PEER_2, NT_2);
    packet(&o, SERVER, CHAP, 4, 1, "'E=691 R=0'"); /* the first Failure again, late */
    assert_int_equal(o.result, PPP_RESULT_PENDING);
    packet(&o, SERVER, CHAP, 3, 1, ""); /* not for this response */
    assert_false(o.confirmed.seen);
    packet(&o, SERVER, CHAP, 3, 2, SUCCESS_TEXT);
    assert_mschap(&o.confirmed, 2, CHALLENGE_2, PEER_2, NT_2);
    assert_int_equal(o.result, PPP_RESULT_SUCCESS);
}

struct failure {
    const char *text;
    bool again;
    const char *challenge; /* that the next response answers */
};

static void failures(void **state)
{
    static const struct failure all[] = {
        {"", false, NULL},
        {"'E=691 R=0 C=000102030405060708090A0B0C0D0E0F V=3'", false, NULL},
        {"'E=691 R=10'", false, NULL},
        {"'E=691 V=3 M=R=1 C=00'", false, NULL},
        {"'M=x R=1'", false, NULL},
        {"'xR=1'", false, NULL},
        {"'R=1'", true, CHALLENGE},
        {"'R=1 C=000102030405060708090A0B0C0D0E0F'", true, CHALLENGE_2},
        {"'C=000102030405060708090A0B0C0D0E0F R=1'", true, CHALLENGE_2},
        {"'E=691  R=1  C=000102030405060708090A0B0C0D0E0F '", true, CHALLENGE_2},
        {"'E=691 R=1 M=a C=000102030405060708090A0B0C0D0E0F'", true, CHALLENGE},
        {"'R=1 C=000102030405060708090A0B0C0D0E'", true, CHALLENGE},
        {"'R=1 C=000102030405060708090A0B0C0D0E0F10'", true, CHALLENGE},
        {"'R=1 C=000102030405060708090A0B0C0D0E0g'", true, CHALLENGE},
        {"'R=1 C='", true, CHALLENGE},
        {"'E=648 R=0 C=000102030405060708090A0B0C0D0E0F V=3'", true, CHALLENGE_2},
    };

    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct ppp_observer o = fresh();

        print_message("%s\n", all[i].text);
        packet(&o, SERVER, CHAP, 1, 1, "10" CHALLENGE);
        packet(&o, CLIENT, CHAP, 2, 1, V2(PEER, NT, "'User'"));
        packet(&o, SERVER, CHAP, 4, 1, all[i].text);
        assert_int_equal(o.result, all[i].again ? PPP_RESULT_PENDING : PPP_RESULT_FAILURE);
        packet(&o, CLIENT, CHAP, 2, 77, V2(PEER_2, NT_2, "'User'"));
        if (all[i].again)
            assert_mschap(&o.last, 77, all[i].challenge, PEER_2, NT_2);
        else
            assert_mschap(&o.last, 1, CHALLENGE, PEER, NT);
    }
}

/* The number of the refusal, 1 without one, until the client tries again. */
static void refusals(void **state)
{
    static const struct {
        const char *text;
        unsigned number;
    } all[] = {
        {"'E=691 R=0 C=00 V=3 M=no'", 691},
        {"'R=0 E=649'", 649},
        {"'E=648 R=1'", 648},
        {"'E=64x'", PPP_REFUSED},
        {"'E=0'", PPP_REFUSED},
        {"'E='", PPP_REFUSED},
        {"'E=999999999999'", PPP_REFUSED},
        {"'M=E=691'", PPP_REFUSED},
        {"", PPP_REFUSED},
        {"'E=930 R=0'", PPP_REFUSED_UNJUDGED},
    };

    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct ppp_observer o = fresh();

        print_message("%s\n", all[i].text);
        packet(&o, SERVER, CHAP, 1, 1, "10" CHALLENGE);
        packet(&o, CLIENT, CHAP, 2, 1, V2(PEER, NT, "'User'"));
        assert_int_equal(o.refusal, 0);
        packet(&o, SERVER, CHAP, 4, 1, all[i].text);
        assert_int_equal(o.refusal, all[i].number);
        packet(&o, SERVER, CHAP, 1, 9, "10" CHALLENGE);
        packet(&o, CLIENT, CHAP, 2, 9, V2(PEER_2, NT_2, "'User'"));
        assert_int_equal(o.refusal, 0);
        packet(&o, SERVER, CHAP, 3, 9, SUCCESS_TEXT);
        assert_int_equal(o.refusal, 0);
    }
}

/* E=930: the authentication server of Windows does not answer. The login has not failed, also where
 * EAP's own Failure follows; a refusal after it counts. */
static void a_refusal_without_a_verdict_is_no_failure(void **state)
{
    (void)state;
    for (unsigned number = 929; number <= 931; number++) {
        struct ppp_observer o = fresh();
        char text[32];

        snprintf(text, sizeof text, "'E=%u R=1'", number);
        packet(&o, SERVER, CHAP, 1, 1, "10" CHALLENGE);
        packet(&o, CLIENT, CHAP, 2, 1, V2(PEER, NT, "'User'"));
        packet(&o, SERVER, CHAP, 4, 1, text);
        assert_int_equal(o.refusal, number);
        assert_int_equal(o.failures, number == 930 ? 0 : 1);
        packet(&o, SERVER, CHAP, 1, 9, "10" CHALLENGE);
        packet(&o, CLIENT, CHAP, 2, 9, V2(PEER_2, NT_2, "'User'"));
        packet(&o, SERVER, CHAP, 4, 9, "'E=691 R=0'");
        assert_int_equal(o.refusal, 691);
        assert_int_equal(o.failures, number == 930 ? 1 : 2);
    }
}

/* A new challenge ends the freedom of identifiers that a Failure gave. */
static void challenge_instead_of_retry(void **state)
{
    struct ppp_observer o = fresh();

    (void)state;
    packet(&o, SERVER, CHAP, 1, 1, "10" CHALLENGE);
    packet(&o, CLIENT, CHAP, 2, 1, V2(PEER, NT, "'User'"));
    packet(&o, SERVER, CHAP, 4, 1, "'E=691 R=1'");
    packet(&o, SERVER, CHAP, 1, 1, "10" CHALLENGE);
    packet(&o, CLIENT, CHAP, 2, 2, V2(PEER_2, NT_2, "'User'"));
    assert_mschap(&o.last, 1, CHALLENGE, PEER, NT);
}

/* After Failure with R=0 the server may begin again with a challenge. */
static void challenge_after_failure(void **state)
{
    struct ppp_observer o = fresh();

    (void)state;
    packet(&o, SERVER, CHAP, 1, 1, "10" CHALLENGE);
    packet(&o, CLIENT, CHAP, 2, 1, V2(PEER, NT, "'User'"));
    packet(&o, SERVER, CHAP, 4, 1, "'E=691 R=0'");
    packet(&o, SERVER, CHAP, 1, 1, "10" CHALLENGE); /* even with the same challenge as before */
    assert_int_equal(o.result, PPP_RESULT_PENDING);
    packet(&o, CLIENT, CHAP, 2, 1, V2(PEER_2, NT_2, "'bob'"));
    assert_user(&o, "bob");
    assert_mschap(&o.last, 1, CHALLENGE, PEER_2, NT_2);
}

static void password_changed(void **state)
{
    struct ppp_observer o = fresh();

    (void)state;
    packet(&o, SERVER, CHAP, 1, 1, "10" CHALLENGE);
    packet(&o, CLIENT, CHAP, 2, 1, V2(PEER, NT, "'User'"));
    packet(&o, CLIENT, CHAP, 7, 2, change_password(0)); /* the server has not requested it */
    assert_mschap(&o.last, 1, CHALLENGE, PEER, NT);
    packet(&o, SERVER, CHAP, 4, 1, "'E=648 R=0 C=000102030405060708090A0B0C0D0E0F V=3 M=expired'");
    packet(&o, CLIENT, CHAP, 7, 2, change_password(1));
    assert_mschap(&o.last, 1, CHALLENGE, PEER, NT);
    packet(&o, SERVER, CHAP, 7, 2, change_password(0)); /* the wrong way */
    assert_mschap(&o.last, 1, CHALLENGE, PEER, NT);

    struct span octets = octets_hex(change_password(0));
    assert_int_equal(octets.n, 586 - 4);
    assert_int_equal(octets.p[560 - 4], 0x20); /* the position of the NT-Response in RFC 2759 */
    octets_free(octets);
    packet(&o, CLIENT, CHAP, 7, 2, change_password(0));
    assert_int_equal(o.method, PPP_METHOD_MSCHAPV2);
    assert_user(&o, "User");
    assert_mschap(&o.last, 2, CHALLENGE_2, PEER_2, NT_2);
    assert_false(o.confirmed.seen);
    packet(&o, SERVER, CHAP, 3, 2, SUCCESS_TEXT);
    assert_mschap(&o.confirmed, 2, CHALLENGE_2, PEER_2, NT_2);

    /* MS-CHAPv1 has other codes for this */
    o = fresh();
    packet(&o, SERVER, CHAP, 1, 1, "08" CHALLENGE_V1);
    packet(&o, CLIENT, CHAP, 2, 1, V1(NT, "01", "'User'"));
    packet(&o, SERVER, CHAP, 4, 1, "'E=648 R=1 C=1011121314151617'");
    packet(&o, CLIENT, CHAP, 7, 2, change_password(0));
    assert_mschap(&o.last, 1, CHALLENGE_V1, NULL, NT);
}

static void retransmissions(void **state)
{
    struct ppp_observer o = fresh();

    (void)state;
    for (int i = 0; i < 2; i++)
        packet(&o, SERVER, CHAP, 1, 1, "10" CHALLENGE);
    packet(&o, CLIENT, CHAP, 2, 1, V2(PEER, NT, "'User'"));
    packet(&o, SERVER, CHAP, 1, 1, "10" CHALLENGE); /* crossed the response */
    packet(&o, CLIENT, CHAP, 2, 1, V2(PEER, NT, "'User'"));
    packet(&o, SERVER, CHAP, 3, 1, SUCCESS_TEXT);
    assert_int_equal(o.result, PPP_RESULT_SUCCESS);
    packet(&o, CLIENT, CHAP, 2, 1, V2(PEER, NT, "'User'"));
    assert_int_equal(o.result, PPP_RESULT_SUCCESS);
    packet(&o, CLIENT, CHAP, 2, 1, V2(PEER_2, NT_2, "'User'")); /* another one comes too late */
    packet(&o, SERVER, CHAP, 3, 1, SUCCESS_TEXT);
    assert_int_equal(o.result, PPP_RESULT_SUCCESS);
    assert_user(&o, "User");
    assert_mschap(&o.last, 1, CHALLENGE, PEER, NT);
    assert_mschap(&o.confirmed, 1, CHALLENGE, PEER, NT);
}

/* Packets that do not belong to the exchange change nothing. */
static void strays(void **state)
{
    struct ppp_observer o = fresh();

    (void)state;
    packet(&o, CLIENT, CHAP, 2, 1, V2(PEER, NT, "'User'")); /* no challenge */
    packet(&o, CLIENT, CHAP, 1, 1, "10" CHALLENGE);         /* the client's own challenge */
    packet(&o, CLIENT, CHAP, 2, 1, V2(PEER, NT, "'User'"));
    packet(&o, SERVER, CHAP, 3, 1, "");
    packet(&o, SERVER, CHAP, 4, 1, "'R=1'");
    assert_false(o.last.seen);
    assert_int_equal(o.method, PPP_METHOD_NONE);
    assert_int_equal(o.result, PPP_RESULT_PENDING);

    packet(&o, SERVER, CHAP, 1, 5, "10" CHALLENGE);
    packet(&o, CLIENT, CHAP, 2, 4, V2(PEER, NT, "'User'"));      /* another identifier */
    packet(&o, SERVER, CHAP, 2, 5, V2(PEER, NT, "'User'"));      /* the server's response */
    packet(&o, CLIENT, CHAP, 2, 5, "30" PEER ZERO_8 NT);         /* 48 octets */
    packet(&o, CLIENT, CHAP, 2, 5, "32" PEER ZERO_8 NT "00 00"); /* 50 octets */
    packet(&o, CLIENT, CHAP, 2, 5, "31" PEER ZERO_8 NT); /* the length says 49, 48 are present */
    packet(&o, CLIENT, CHAP, 2, 5, "");
    packet(&o, SERVER, CHAP, 1, 6, "11" CHALLENGE); /* the length says 17, 16 are present */
    assert_false(o.last.seen);
    assert_user(&o, "");
    packet(&o, CLIENT, CHAP, 2, 5, V2(PEER, NT, "'User'"));
    packet(&o, CLIENT, CHAP, 3, 5, ""); /* the client sends a Success */
    assert_int_equal(o.result, PPP_RESULT_PENDING);
    assert_false(o.confirmed.seen);
    assert_mschap(&o.last, 5, CHALLENGE, PEER, NT);

    /* a challenge that is neither v1's nor v2's takes no MS-CHAP response */
    packet(&o, SERVER, CHAP, 1, 6,
           "0f"
           "000102030405060708090a0b0c0d0e");
    packet(&o, CLIENT, CHAP, 2, 6, V2(PEER_2, NT_2, "'User'"));
    assert_mschap(&o.last, 5, CHALLENGE, PEER, NT);

    /* EAP-MSCHAPv2 has no v1 and no MD5 */
    eap_packet(&o, SERVER, 1, 1, 7, "08" CHALLENGE_V1);
    eap_packet(&o, CLIENT, 1, 2, 7, V1(NT_2, "01", "'User'"));
    assert_mschap(&o.last, 5, CHALLENGE, PEER, NT);
    eap_packet(&o, SERVER, 2, 1, 8, "10" CHALLENGE_2);
    eap_packet(&o, CLIENT, 2, 2, 8, MD5_VALUE "'User'");
    packet(&o, SERVER, CHAP, 3, 8, "");
    assert_mschap(&o.last, 5, CHALLENGE, PEER, NT);
    assert_false(o.confirmed.seen);
}

/* SoftEther's UseDoubleMsChapV2, accel-ppp's interval: the last Success counts. */
static void twice(void **state)
{
    struct ppp_observer o = fresh();

    (void)state;
    packet(&o, SERVER, CHAP, 1, 1, "10" CHALLENGE);
    packet(&o, CLIENT, CHAP, 2, 1, V2(PEER, NT, "'User'"));
    packet(&o, SERVER, CHAP, 3, 1, SUCCESS_TEXT);
    packet(&o, SERVER, CHAP, 1, 2, "10" CHALLENGE_2);
    assert_int_equal(o.result, PPP_RESULT_PENDING);
    packet(&o, CLIENT, CHAP, 2, 2, V2(PEER_2, NT_2, "'User'"));
    assert_mschap(&o.confirmed, 1, CHALLENGE, PEER, NT);
    packet(&o, SERVER, CHAP, 3, 2, SUCCESS_TEXT);
    assert_int_equal(o.result, PPP_RESULT_SUCCESS);
    assert_mschap(&o.confirmed, 2, CHALLENGE_2, PEER_2, NT_2);
}

static void assert_response_of(const struct ppp_mschap *m, const char *name)
{
    assert_true(m->seen);
    assert_int_equal(m->user_len, strlen(name));
    assert_memory_equal(m->user, name, m->user_len);
}

/* Each response keeps the name with which it came, even if a later packet has another name. */
static void names_of_responses(void **state)
{
    struct ppp_observer o = fresh();

    (void)state;
    packet(&o, SERVER, LCP, 1, 1, "0305 c223 81");
    packet(&o, CLIENT, LCP, 2, 1, "0305 c223 81");
    packet(&o, CLIENT, PAP, 1, 1, "03 'bob' 01 'x'"); /* before, between and behind */
    packet(&o, SERVER, CHAP, 1, 1, "10" CHALLENGE);
    packet(&o, CLIENT, PAP, 1, 2, "03 'bob' 01 'x'");
    packet(&o, CLIENT, CHAP, 2, 1, V2(PEER, NT, "'alice'"));
    packet(&o, CLIENT, PAP, 1, 3, "03 'bob' 01 'x'");
    assert_response_of(&o.last, "alice");
    packet(&o, SERVER, CHAP, 3, 1, SUCCESS_TEXT);
    packet(&o, SERVER, CHAP, 1, 2, "10" CHALLENGE_2);
    packet(&o, CLIENT, PAP, 1, 9, "03 'bob' 01 'x'");
    assert_user(&o, "alice");
    packet(&o, CLIENT, CHAP, 2, 2, V2(PEER_2, NT_2, "'ALICE'")); /* the answer */
    assert_user(&o, "ALICE");
    assert_response_of(&o.last, "ALICE");
    assert_response_of(&o.confirmed, "alice");

    packet(&o, CLIENT, CHAP, 2, 2, V2(PEER_2, NT_2, "'carol'")); /* a second answer */
    assert_response_of(&o.last, "ALICE");

    /* EAP: without a name of its own it has that of the identity */
    o = fresh();
    packet(&o, SERVER, EAP, 1, 1, "01");
    packet(&o, CLIENT, EAP, 2, 1, "01 'outer'");
    eap_packet(&o, SERVER, 2, 1, 2, "10" CHALLENGE);
    eap_packet(&o, CLIENT, 2, 2, 2, V2(PEER, NT, ""));
    assert_response_of(&o.last, "outer");
}

/* A change of password has no name: its user is that of the refused response. */
static void name_of_a_changed_password(void **state)
{
    (void)state;
    for (int lie = 0; lie < 2; lie++) {
        struct ppp_observer o = fresh();

        packet(&o, SERVER, CHAP, 1, 1, "10" CHALLENGE);
        packet(&o, CLIENT, CHAP, 2, 1, V2(PEER, NT, "'alice'"));
        packet(&o, SERVER, CHAP, 4, 1, "'E=691 R=1'");
        packet(&o, CLIENT, CHAP, 7, 2, change_password(0)); /* not for this error */
        assert_mschap(&o.last, 1, CHALLENGE, PEER, NT);
        packet(&o, CLIENT, CHAP, 2, 2, V2(PEER, NT, "'alice'"));
        packet(&o, SERVER, CHAP, 4, 2, "'E=648 R=1'");
        if (lie) /* a second name for the same question */
            assert_int_equal(packet(&o, CLIENT, CHAP, 2, 2, V2(PEER, NT, "'bob'")), PPP_DROP);
        packet(&o, CLIENT, CHAP, 7, 3, change_password(0));
        assert_mschap(&o.last, 3, CHALLENGE, PEER_2, NT_2);
        assert_response_of(&o.last, "alice");
    }
}

/* The server's proof that it has the password, too (RFC 2759 5, 8.7). */
static void server_answers(void **state)
{
    static const struct {
        const char *text;
        bool answered;
    } cases[] = {
        {SUCCESS_TEXT, true},
        {"'S=407a5589115fd0d6209f510fe9c04566932cda56'", true},
        {"'S=407A5589115FD0D6209F510FE9C04566932CDA5'", false},
        {"'S=407A5589115FD0D6209F510FE9C04566932CDA5G M=ok'", false},
        {"'M=ok S=407A5589115FD0D6209F510FE9C04566932CDA56'", false},
        {"'s=407A5589115FD0D6209F510FE9C04566932CDA56'", false},
        {"'S='", false},
        {"", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int eap = 0; eap < 2; eap++) {
            struct ppp_observer o = fresh();
            if (eap) {
                eap_packet(&o, SERVER, 7, 1, 7, "10" CHALLENGE);
                eap_packet(&o, CLIENT, 7, 2, 7, V2(PEER, NT, "'User'"));
                assert_false(o.last.answered);
                eap_packet(&o, SERVER, 8, 3, 7, cases[i].text);
            } else {
                packet(&o, SERVER, CHAP, 1, 1, "10" CHALLENGE);
                packet(&o, CLIENT, CHAP, 2, 1, V2(PEER, NT, "'User'"));
                packet(&o, SERVER, CHAP, 3, 1, cases[i].text);
            }
            assert_mschap(&o.confirmed, eap ? 7 : 1, CHALLENGE, PEER, NT);
            assert_int_equal(o.confirmed.answered, cases[i].answered);
            if (cases[i].answered)
                assert_octets(span_of(o.confirmed.server_answer, PPP_SERVER_ANSWER),
                              "407a5589115fd0d6209f510fe9c04566932cda56");
        }
    struct ppp_observer o = fresh(); /* v1 has no such proof */
    packet(&o, SERVER, CHAP, 1, 1, "08" CHALLENGE_V1);
    packet(&o, CLIENT, CHAP, 2, 1, V1(NT, "01", "'User'"));
    packet(&o, SERVER, CHAP, 3, 1, SUCCESS_TEXT);
    assert_true(o.confirmed.seen);
    assert_false(o.confirmed.answered);
}

/* RFC 2759 7: the response made with the new password. */
static void login_with_a_new_password(void **state)
{
    uint8_t octets[4 + 586] = {0xff, 0x03, 0xc2, 0x23, 7, 8, 0x02, 0x4a};
    struct span user, proof;

    (void)state;
    for (size_t i = 8; i < sizeof octets; i++)
        octets[i] = (uint8_t)i;
    assert_true(ppp_login(span_of(octets, sizeof octets), &user, &proof));
    assert_int_equal(user.n, 0);
    assert_ptr_equal(proof.p, octets + 4 + 560);
    assert_int_equal(proof.n, 24);
}

/* The server's own Challenge shows that the client has a key, whatever LCP seemed to agree on. */
static void a_challenge_rules_zeros_out(void **state)
{
    static const struct {
        const char *lcp; /* NULL: the server requests no authentication */
        bool no_zero_key;
    } all[] = {{NULL, true},
               {"0305 c223 81", true},
               {"0305 c223 80", true},
               {"0304 c227", true},
               {"0305 c223 05", false}};

    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct ppp_observer o = fresh();

        if (all[i].lcp != NULL)
            agree(&o, all[i].lcp);
        assert_false(o.no_zero_key);
        packet(&o, SERVER, CHAP, 1, 1, "10" CHALLENGE);
        assert_int_equal(o.no_zero_key, all[i].no_zero_key);
        /* an EAP packet makes no EAP of it */
        assert_int_equal(packet(&o, CLIENT, EAP, 2, 0, "03 0d"), PPP_DROP);
        assert_int_equal(o.no_zero_key, all[i].no_zero_key);
        packet(&o, SERVER, LCP, 1, 9, "0304 c227"); /* LCP starts over */
        assert_false(o.no_zero_key);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chap_md5),
        cmocka_unit_test(mschapv1),
        cmocka_unit_test(retry),
        cmocka_unit_test(failures),
        cmocka_unit_test(refusals),
        cmocka_unit_test(a_refusal_without_a_verdict_is_no_failure),
        cmocka_unit_test(challenge_instead_of_retry),
        cmocka_unit_test(challenge_after_failure),
        cmocka_unit_test(password_changed),
        cmocka_unit_test(retransmissions),
        cmocka_unit_test(strays),
        cmocka_unit_test(twice),
        cmocka_unit_test(names_of_responses),
        cmocka_unit_test(name_of_a_changed_password),
        cmocka_unit_test(server_answers),
        cmocka_unit_test(login_with_a_new_password),
        cmocka_unit_test(a_challenge_rules_zeros_out),
    };
    return cmocka_run_group_tests_name("ppp_chap", tests, NULL, NULL);
}
