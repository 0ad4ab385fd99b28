#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "ppp_fixture.h"

/* Every form of a refusal, and ends that are none. EAP's own Failure keeps the inner number. */
static void forms_of_refusals(void **state)
{
    struct ppp_observer o = fresh();

    (void)state;
    agree(&o, ASKS_PAP);
    ppp_server_ends(&o); /* without a login */
    assert_int_equal(o.refusal, 0);
    packet(&o, CLIENT, PAP, 1, 1, "03 'ann' 01 'x'");
    packet(&o, SERVER, PAP, 3, 1, "00");
    assert_int_equal(o.refusal, PPP_REFUSED);
    packet(&o, CLIENT, PAP, 1, 2, "03 'ann' 01 'x'");
    packet(&o, SERVER, LCP, 5, 1, ""); /* Terminate-Request in place of a Nak */
    assert_int_equal(o.refusal, PPP_REFUSED);

    o = fresh();
    packet(&o, SERVER, EAP, 1, 1, "01");
    packet(&o, CLIENT, EAP, 2, 1, "01 'eve'");
    eap_packet(&o, SERVER, 2, 1, 40, "10" CHALLENGE);
    eap_packet(&o, CLIENT, 2, 2, 40, V2(PEER, NT, "'eve'"));
    eap_packet(&o, SERVER, 3, 4, 40, "'E=647 R=0'");
    packet(&o, CLIENT, EAP, 2, 3, "1a04");
    packet(&o, SERVER, EAP, 4, 3, "");
    assert_int_equal(o.refusal, 647);
}

/* accel-ppp (interval) and pppd (chap-interval) ask again behind their Success, and SoftEther
 * before it (UseDoubleMsChapV2). The session keeps the first name. */
static void another_name_for_a_second_question(void **state)
{
    static const char *const success[] = {"", SUCCESS_TEXT};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct ppp_observer o = fresh();
        packet(&o, SERVER, CHAP, 1, 1, "10" CHALLENGE);
        packet(&o, CLIENT, CHAP, 2, 1, V2(PEER, NT, "'alice'"));
        if (*success[i] != '\0')
            packet(&o, SERVER, CHAP, 3, 1, success[i]);
        packet(&o, SERVER, CHAP, 1, 2, "10" CHALLENGE_2);
        assert_int_equal(packet(&o, CLIENT, CHAP, 2, 2, V2(PEER_2, NT_2, "'bob'")), PPP_DROP);
        assert_user(&o, "alice");
        assert_int_equal(packet(&o, CLIENT, CHAP, 2, 2, V2(PEER_2, NT_2, "'Alice@corp'")),
                         PPP_FORWARD);
        assert_user(&o, "Alice@corp");
        packet(&o, SERVER, CHAP, 4, 2, "'E=691 R=1 C=" CHALLENGE "'");
        assert_int_equal(packet(&o, CLIENT, CHAP, 2, 3, V2(PEER, NT, "'bob'")), PPP_FORWARD);
        assert_user(&o, "bob"); /* alice was refused */
    }
}

/* One name for each question: a second name is dropped, so that the server uses the first, too. */
static void two_names(void **state)
{
    struct ppp_observer o = fresh();

    (void)state;
    packet(&o, SERVER, CHAP, 1, 1, "10" CHALLENGE);
    packet(&o, CLIENT, CHAP, 2, 1, V2(PEER, NT, "'bob'"));
    assert_int_equal(observe(&o, CLIENT, "c223 0201003b" V2(PEER, NT, "'alice'")), PPP_DROP);
    assert_user(&o, "bob");
    packet(&o, SERVER, CHAP, 1, 1, "10" CHALLENGE); /* the same question again */
    assert_int_equal(packet(&o, CLIENT, CHAP, 2, 1, V2(PEER, NT, "'alice'")), PPP_DROP);
    assert_user(&o, "bob");
    packet(&o, SERVER, CHAP, 1, 2, "10" CHALLENGE_2);
    packet(&o, CLIENT, CHAP, 2, 2, V2(PEER, NT, "'Bob'"));
    assert_user(&o, "Bob");
    packet(&o, CLIENT, PAP, 1, 1, "05 'alice' 01 'x'"); /* another method */
    assert_user(&o, "Bob");
    packet(&o, SERVER, CHAP, 3, 2, SUCCESS_TEXT);
    packet(&o, CLIENT, PAP, 1, 1, "05 'alice' 01 'x'"); /* too late */
    packet(&o, CLIENT, CHAP, 2, 2, V2(PEER, NT, "'alice'"));
    assert_user(&o, "Bob");
    assert_int_equal(o.method, PPP_METHOD_MSCHAPV2);

    /* the client cannot hide a name behind a restart of LCP that the server does not see */
    o = fresh();
    packet(&o, SERVER, CHAP, 1, 1, "10" CHALLENGE);
    packet(&o, CLIENT, CHAP, 2, 1, V2(PEER, NT, "'bob'"));
    packet(&o, SERVER, CHAP, 3, 1, SUCCESS_TEXT);
    packet(&o, CLIENT, LCP, 1, 1, "");
    packet(&o, CLIENT, PAP, 1, 1, "05 'alice' 01 'x'");
    assert_user(&o, "bob");

    /* EAP: identity and MS-CHAPv2 are two questions; Success is none */
    o = fresh();
    packet(&o, SERVER, EAP, 1, 1, "01");
    packet(&o, CLIENT, EAP, 2, 1, "01 'outer'");
    packet(&o, SERVER, EAP, 1, 1, "01"); /* again */
    packet(&o, CLIENT, EAP, 2, 1, "01 'outer'");
    assert_user(&o, "outer");
    eap_packet(&o, SERVER, 2, 1, 2, "10" CHALLENGE);
    eap_packet(&o, CLIENT, 2, 2, 2, V2(PEER, NT, ""));
    assert_user(&o, "outer"); /* a missing name does not replace the name */
    eap_packet(&o, CLIENT, 2, 2, 2, V2(PEER, NT, "'bob'"));
    assert_user(&o, "outer"); /* a second answer */
    eap_packet(&o, SERVER, 3, 3, 2, SUCCESS_TEXT);
    packet(&o, CLIENT, EAP, 2, 3, "01 'alice'");
    assert_user(&o, "outer"); /* not the type of the request */
}

/* Servers cut names at a NUL, trim them, or bound them, each in its own way. */
static void names_that_servers_read_differently(void **state)
{
    static const struct {
        const char *name; /* hex */
        enum ppp_verdict verdict;
    } all[] = {
        {"'alice'", PPP_FORWARD},
        {"'al ice'", PPP_FORWARD},
        {"'DOM\\alice@example.com'", PPP_FORWARD},
        {"'DOM\\alice@hub@example.com'", PPP_FORWARD},
        {"'alice@example.com\\bob'", PPP_BAD_NAME},
        {"'alice@\\'", PPP_BAD_NAME},
        {"'DOM\\alice@x\\bob'", PPP_BAD_NAME},
        {"c3bc", PPP_FORWARD}, /* UTF-8 */
        {"fc", PPP_FORWARD},   /* Latin-1 */
        {"", PPP_BAD_NAME},
        {"' alice'", PPP_BAD_NAME},
        {"'alice '", PPP_BAD_NAME},
        {"' '", PPP_BAD_NAME},
        {"'alice' 00", PPP_BAD_NAME},
        {"'alice' 00 'x'", PPP_BAD_NAME},
        {"'alice' 09", PPP_BAD_NAME},
        {"'ali' 0d0a 'ce'", PPP_BAD_NAME},
        {"1f 'alice'", PPP_BAD_NAME},
        {"7f 'alice'", PPP_BAD_NAME},
    };

    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct span name = octets_hex(all[i].name);
        char text[256];
        struct ppp_observer o = fresh();

        print_message("%s\n", all[i].name);
        packet(&o, SERVER, CHAP, 1, 1, "10" CHALLENGE);
        snprintf(text, sizeof text, "%s %s", V2(PEER, NT, ""), all[i].name);
        assert_int_equal(packet(&o, CLIENT, CHAP, 2, 1, text), all[i].verdict);

        o = fresh();
        agree(&o, ASKS_PAP);
        snprintf(text, sizeof text, "%02zx %s 01 'x'", name.n, all[i].name);
        assert_int_equal(packet(&o, CLIENT, PAP, 1, 1, text), all[i].verdict);

        o = fresh();
        packet(&o, SERVER, EAP, 1, 1, "01");
        snprintf(text, sizeof text, "01 %s", all[i].name);
        /* RFC 3748 5.1: an unknown identity is empty */
        assert_int_equal(packet(&o, CLIENT, EAP, 2, 1, text),
                         name.n == 0 ? PPP_FORWARD : all[i].verdict);
        octets_free(name);
    }
}

static void long_names(void **state)
{
    (void)state;
    for (size_t n = PPP_USER_MAX; n <= PPP_USER_MAX + 1; n++) {
        struct ppp_observer o = fresh();
        char text[700] = "01";

        for (size_t i = 0; i < n; i++)
            strcat(text, "61");
        packet(&o, SERVER, EAP, 1, 1, "01");
        const bool fits = n == PPP_USER_MAX;
        assert_int_equal(packet(&o, CLIENT, EAP, 2, 1, text), fits ? PPP_FORWARD : PPP_BAD_NAME);
        assert_int_equal(o.user_len, fits ? PPP_USER_MAX : 0);
    }
}

/* The first answer to the latest question. */
static void proofs(void **state)
{
    struct ppp_observer o = fresh();

    (void)state;
    assert_proof(&o, "");
    packet(&o, SERVER, CHAP, 1, 1, "10" CHALLENGE);
    packet(&o, CLIENT, CHAP, 2, 9, V2(PEER, NT_2, "'User'")); /* to something else */
    assert_proof(&o, "");
    packet(&o, CLIENT, CHAP, 2, 1, V2(PEER, NT, "'User'"));
    packet(&o, CLIENT, CHAP, 2, 1, V2(PEER, NT, "'User'"));
    assert_proof(&o, NT);
    packet(&o, SERVER, CHAP, 1, 1, "10" CHALLENGE); /* once more */
    assert_proof(&o, NT);
    packet(&o, CLIENT, CHAP, 2, 1, V2(PEER, NT_2, "'User'")); /* a second answer */
    assert_proof(&o, NT);
    packet(&o, SERVER, CHAP, 4, 1, "'E=691 R=1 C=000102030405060708090A0B0C0D0E0F V=3'");
    packet(&o, CLIENT, CHAP, 2, 2, V2(PEER_2, NT_2, "'User'"));
    assert_proof(&o, NT_2);
    packet(&o, SERVER, CHAP, 3, 2, SUCCESS_TEXT);
    packet(&o, CLIENT, CHAP, 2, 2, V2(PEER, NT, "'User'")); /* too late to matter */
    assert_proof(&o, NT_2);
    packet(&o, SERVER, CHAP, 1, 3, "10" CHALLENGE_2);
    assert_proof(&o, "");
    packet(&o, CLIENT, CHAP, 2, 3, MD5_VALUE "'User'");
    assert_proof(&o, "c0c1c2c3c4c5c6c7c8c9cacbcccdcecf");
}

static void a_proof_too_long(void **state)
{
    struct ppp_observer o = fresh();
    uint8_t frame[8 + 1 + PPP_ANSWER_MAX] = {0xff, 0x03, 0xc2, 0x27, 2, 1, 0, 0, 13};

    (void)state;
    packet(&o, SERVER, EAP, 1, 1, "0d20");
    for (size_t n = PPP_ANSWER_MAX; n <= PPP_ANSWER_MAX + 1; n++) {
        struct ppp_observer twin = o;
        frame[6] = (uint8_t)(n >> 8);
        frame[7] = (uint8_t)n;
        struct span octets = octets_copy(span_of(frame, 4 + n));
        assert_int_equal(see(&twin, CLIENT, octets), PPP_FORWARD);
        octets_free(octets);
        assert_int_equal(twin.method, PPP_METHOD_EAP_TLS);
        assert_int_equal(ppp_proof(&twin).n, n > PPP_ANSWER_MAX ? 0 : n);
    }
}

/* Each login that the server does not let in counts once, whatever the form of the refusal. */
static void failures_are_counted(void **state)
{
    struct ppp_observer o = fresh();

    (void)state;
    ppp_server_ends(&o); /* before the first packet of the client */
    assert_int_equal(o.failures, 0);
    agree(&o, ASKS_PAP);
    ppp_server_ends(&o);
    assert_int_equal(o.failures, 0);
    packet(&o, CLIENT, PAP, 1, 1, "03 'ann' 01 'x'");
    packet(&o, SERVER, PAP, 3, 1, "00");
    packet(&o, SERVER, PAP, 3, 1, "00"); /* a retransmission */
    assert_int_equal(o.failures, 1);
    packet(&o, CLIENT, PAP, 1, 2, "03 'ann' 01 'x'");
    ppp_server_ends(&o); /* SoftEther: a Disconnect in place of a Nak */
    ppp_server_ends(&o);
    assert_int_equal(o.failures, 2);
    packet(&o, SERVER, LCP, 1, 1, "0305 c223 81"); /* LCP starts over, the count goes on */
    packet(&o, CLIENT, LCP, 2, 1, "0305 c223 81");
    packet(&o, SERVER, CHAP, 1, 1, "10" CHALLENGE);
    packet(&o, CLIENT, CHAP, 2, 1, V2(PEER, NT, "'User'"));
    packet(&o, SERVER, CHAP, 4, 99, "'E=691 R=0'"); /* a Failure with another identifier */
    assert_int_equal(o.failures, 3);
    packet(&o, SERVER, LCP, 5, 1, ""); /* Terminate-Request: this login is counted */
    assert_int_equal(o.failures, 3);

    /* LCP starts over before the server has accepted or refused the login */
    o = fresh();
    agree(&o, ASKS_PAP);
    packet(&o, CLIENT, PAP, 1, 1, "03 'ann' 01 'x'");
    assert_int_equal(packet(&o, SERVER, LCP, 1, 1, "0304 c023"), PPP_UNJUDGED);
    ppp_server_ends(&o); /* as front does then */
    assert_int_equal(o.failures, 1);

    o = fresh();
    packet(&o, SERVER, CHAP, 1, 1, "10" CHALLENGE);
    packet(&o, CLIENT, CHAP, 2, 1, V2(PEER, NT, "'User'"));
    packet(&o, SERVER, LCP, 5, 1, "");
    assert_int_equal(o.failures, 1);

    /* FreeRADIUS with send_error = no: EAP's Failure without an inner one; and with both */
    for (int inner = 0; inner < 2; inner++) {
        o = fresh();
        packet(&o, SERVER, EAP, 1, 1, "01");
        packet(&o, CLIENT, EAP, 2, 1, "01 'eve'");
        eap_packet(&o, SERVER, 2, 1, 40, "10" CHALLENGE);
        eap_packet(&o, CLIENT, 2, 2, 40, V2(PEER, NT, "'eve'"));
        if (inner) {
            eap_packet(&o, SERVER, 3, 4, 40, "'E=691 R=0'");
            packet(&o, CLIENT, EAP, 2, 3, "1a04");
        }
        packet(&o, SERVER, EAP, 4, 3, "");
        assert_int_equal(o.failures, 1);
    }

    /* A name and a Nak are no guess: SoftEther falls back to MS-CHAPv2, clients ask their user. A
     * refusal counts all the same. */
    for (int how = 0; how < 3; how++) {
        o = fresh();
        agree(&o, "0304 c227");
        packet(&o, SERVER, EAP, 1, 1, "01");
        packet(&o, CLIENT, EAP, 2, 1, "01 'eve'");
        if (how == 0) {
            packet(&o, SERVER, EAP, 1, 2, "1a 01 01 00 16 10" CHALLENGE "'s'");
            packet(&o, CLIENT, EAP, 2, 2, "03 00");
            packet(&o, SERVER, LCP, 1, 2, "0305 c223 81");
        } else if (how == 1) {
            ppp_server_ends(&o);
        } else {
            packet(&o, SERVER, EAP, 4, 1, "");
        }
        assert_int_equal(o.failures, how == 2);
    }

    /* let in: its end is no failure */
    o = fresh();
    packet(&o, SERVER, CHAP, 1, 1, "10" CHALLENGE);
    packet(&o, CLIENT, CHAP, 2, 1, V2(PEER, NT, "'User'"));
    packet(&o, SERVER, CHAP, 3, 1, SUCCESS_TEXT);
    packet(&o, SERVER, LCP, 5, 1, "");
    assert_int_equal(o.failures, 0);
}

/* A login that was asked for must end with a Success; network frames alone do for no login at all.
 */
static void the_server_is_content(void **state)
{
    struct ppp_observer o = fresh();

    (void)state;
    assert_true(ppp_is_content(&o));
    agree(&o, "0104 0ffb");
    assert_true(ppp_is_content(&o));
    packet(&o, SERVER, CHAP, 1, 1, "10" CHALLENGE);
    assert_false(ppp_is_content(&o));
    packet(&o, CLIENT, CHAP, 2, 1, V2(PEER, NT, "'User'"));
    packet(&o, SERVER, "8021", 1, 1, "");
    assert_false(ppp_is_content(&o));
    packet(&o, SERVER, CHAP, 3, 1, SUCCESS_TEXT);
    assert_true(ppp_is_content(&o));

    static const char *const asked[] = {ASKS_PAP, "0304 c227", "0305 c223 81", "0304 c027"};
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        o = fresh();
        agree(&o, asked[i]);
        assert_false(ppp_is_content(&o));
    }
    agree(&o, ""); /* the client has rejected the option, and the server continues without it */
    assert_true(ppp_is_content(&o));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms_of_refusals),
        cmocka_unit_test(another_name_for_a_second_question),
        cmocka_unit_test(two_names),
        cmocka_unit_test(names_that_servers_read_differently),
        cmocka_unit_test(long_names),
        cmocka_unit_test(proofs),
        cmocka_unit_test(a_proof_too_long),
        cmocka_unit_test(failures_are_counted),
        cmocka_unit_test(the_server_is_content),
    };
    return cmocka_run_group_tests_name("ppp_observer", tests, NULL, NULL);
}
