#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "ppp_fixture.h"

static void eap_mschapv2_without_a_verdict_is_no_failure(void **state)
{
    struct ppp_observer o = fresh();

    (void)state;
    eap_packet(&o, SERVER, 2, 1, 40, "10" CHALLENGE);
    eap_packet(&o, CLIENT, 2, 2, 40, V2(PEER, NT, "'eve'"));
    eap_packet(&o, SERVER, 3, 4, 40, "'E=930 R=0'");
    packet(&o, CLIENT, EAP, 2, 3, "1a04");
    packet(&o, SERVER, EAP, 4, 3, "");
    assert_int_equal(o.result, PPP_RESULT_FAILURE);
    assert_int_equal(o.refusal, PPP_REFUSED_UNJUDGED);
    assert_int_equal(o.failures, 0);
}

static void eap_retry_and_change(void **state)
{
    struct ppp_observer o = fresh();

    (void)state;
    packet(&o, SERVER, EAP, 1, 1, "01");
    packet(&o, CLIENT, EAP, 2, 1, "01 'DOM\\eve'");
    assert_int_equal(o.method, PPP_METHOD_EAP);
    assert_user(&o, "DOM\\eve");
    eap_packet(&o, SERVER, 2, 1, 40, "10" CHALLENGE "'nps'");
    eap_packet(&o, CLIENT, 2, 2, 40, V2(PEER, NT, "'eve'"));
    assert_user(&o, "eve");
    assert_mschap(&o.last, 40, CHALLENGE, PEER, NT);
    eap_packet(&o, SERVER, 3, 4, 40, "'E=691 R=1 C=000102030405060708090A0B0C0D0E0F V=3'");
    assert_int_equal(o.result, PPP_RESULT_PENDING);
    eap_packet(&o, CLIENT, 3, 2, 41, V2(PEER_2, NT_2, "'eve'"));
    assert_mschap(&o.last, 41, CHALLENGE_2, PEER_2, NT_2);
    eap_packet(&o, SERVER, 4, 4, 41, "'E=648 R=1 C=" CHALLENGE " V=3'");
    eap_packet(&o, CLIENT, 4, 7, 42, change_password(0));
    assert_mschap(&o.last, 42, CHALLENGE, PEER_2, NT_2);
    assert_false(o.confirmed.seen);
    eap_packet(&o, SERVER, 5, 3, 42, SUCCESS_TEXT);
    assert_mschap(&o.confirmed, 42, CHALLENGE, PEER_2, NT_2);
    packet(&o, SERVER, EAP, 3, 5, "");
    assert_int_equal(o.result, PPP_RESULT_SUCCESS);
    assert_int_equal(o.method, PPP_METHOD_EAP_MSCHAPV2);
    assert_user(&o, "eve");

    /* a Failure that is final: EAP itself says so */
    o = fresh();
    eap_packet(&o, SERVER, 2, 1, 40, "10" CHALLENGE);
    eap_packet(&o, CLIENT, 2, 2, 40, V2(PEER, NT, "'eve'"));
    eap_packet(&o, SERVER, 3, 4, 40, "'E=691 R=0'");
    packet(&o, CLIENT, EAP, 2, 3, "1a04");
    assert_int_equal(o.result, PPP_RESULT_PENDING);
    packet(&o, SERVER, EAP, 4, 3, "");
    assert_int_equal(o.result, PPP_RESULT_FAILURE);
    assert_false(o.confirmed.seen);
}

static void eap_methods(void **state)
{
    static const struct {
        const char *type;
        enum ppp_method method;
    } all[] = {
        {"04", PPP_METHOD_EAP_MD5},  {"0d", PPP_METHOD_EAP_TLS},      {"15", PPP_METHOD_EAP},
        {"19", PPP_METHOD_EAP_PEAP}, {"1a", PPP_METHOD_EAP_MSCHAPV2}, {"fe", PPP_METHOD_EAP},
    };
    enum { MD5, MSCHAPV2 = 4 };

    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct ppp_observer o = fresh();

        packet(&o, SERVER, EAP, 1, 1, "01");
        packet(&o, CLIENT, EAP, 2, 1, "01 'anonymous@example.com'");
        assert_int_equal(o.method, PPP_METHOD_EAP);
        packet(&o, SERVER, EAP, 1, 2, all[i].type);
        assert_int_equal(o.method, PPP_METHOD_EAP); /* the method was offered, not used */
        /* of EAP-MSCHAPv2 an acknowledgement, since it has no packet without content */
        packet(&o, CLIENT, EAP, 2, 2, i == MSCHAPV2 ? "1a03" : i == MD5 ? "04 00" : all[i].type);
        assert_int_equal(o.method, all[i].method);
        packet(&o, SERVER, EAP, 1, 3, "02 'note'");
        packet(&o, CLIENT, EAP, 2, 3, "02");
        assert_int_equal(o.method, all[i].method);
        assert_user(&o, "anonymous@example.com");
        packet(&o, CLIENT, EAP, 3, 2, "");
        assert_int_equal(o.result, PPP_RESULT_PENDING);
        packet(&o, SERVER, EAP, 3, 3, "");
        assert_int_equal(o.result, PPP_RESULT_SUCCESS);
    }
}

static void eap_nak(void **state)
{
    struct ppp_observer o = fresh();

    (void)state;
    packet(&o, SERVER, EAP, 1, 1, "01");
    packet(&o, CLIENT, EAP, 2, 1, "01 'User'");
    packet(&o, SERVER, EAP, 1, 2, "19 21");
    packet(&o, CLIENT, EAP, 2, 2, "03 1a");
    assert_int_equal(o.method, PPP_METHOD_EAP);
    eap_packet(&o, SERVER, 3, 1, 3, "10" CHALLENGE);
    eap_packet(&o, CLIENT, 3, 2, 3, V2(PEER, NT, "'User'"));
    assert_int_equal(o.method, PPP_METHOD_EAP_MSCHAPV2);

    /* the client may send a Nak to the next offer */
    o = fresh();
    packet(&o, SERVER, EAP, 1, 2, "0d");
    packet(&o, CLIENT, EAP, 2, 2, "0d");
    assert_int_equal(o.method, PPP_METHOD_EAP_TLS);
    packet(&o, SERVER, EAP, 1, 3, "19");
    packet(&o, CLIENT, EAP, 2, 3, "03 1a");
    assert_int_equal(o.method, PPP_METHOD_EAP);

    /* a challenge that got a Nak takes no response any more */
    o = fresh();
    eap_packet(&o, SERVER, 3, 1, 3, "10" CHALLENGE);
    packet(&o, CLIENT, EAP, 2, 3, "03 0d");
    eap_packet(&o, CLIENT, 3, 2, 3, V2(PEER, NT, "'User'"));
    assert_false(o.last.seen);
}

/* A new Identity Request begins EAP again; the same one again does not. */
static void eap_begins_again(void **state)
{
    struct ppp_observer o = fresh();

    (void)state;
    packet(&o, SERVER, EAP, 1, 1, "01");
    packet(&o, CLIENT, EAP, 2, 1, "01 'ann'");
    eap_packet(&o, SERVER, 2, 1, 2, "10" CHALLENGE);
    packet(&o, SERVER, EAP, 4, 2, "");
    assert_int_equal(o.result, PPP_RESULT_FAILURE);
    packet(&o, SERVER, EAP, 1, 2, "01"); /* the identifier of another request is irrelevant */
    assert_int_equal(o.result, PPP_RESULT_PENDING);
    packet(&o, CLIENT, EAP, 2, 2, "01 'bob'");
    assert_user(&o, "bob");
    packet(&o, CLIENT, CHAP, 2, 2, V2(PEER, NT, "'bob'")); /* the challenge is gone */
    assert_false(o.last.seen);
    packet(&o, SERVER, EAP, 1, 3, "01");
    assert_int_equal(packet(&o, CLIENT, EAP, 2, 3, "01 'carol'"),
                     PPP_DROP); /* bob was not refused */
    packet(&o, CLIENT, EAP, 2, 3, "01 'DOM\\Bob'");
    assert_user(&o, "DOM\\Bob");
    packet(&o, SERVER, EAP, 1, 3, "01");
    packet(&o, CLIENT, EAP, 2, 3, "01 'bob'"); /* a second answer */
    assert_user(&o, "DOM\\Bob");
}

/* pppd takes the secret of the name in the answer, and names the session as the Identity says. */
static void eap_md5_has_a_name(void **state)
{
    struct ppp_observer o = fresh();

    (void)state;
    packet(&o, SERVER, EAP, 1, 1, "01");
    packet(&o, CLIENT, EAP, 2, 1, "01 'bob'");
    packet(&o, SERVER, EAP, 1, 2,
           "04"
           "10" CHALLENGE);
    assert_int_equal(packet(&o, CLIENT, EAP, 2, 2, "04" MD5_VALUE "'alice'"), PPP_DROP);
    assert_int_equal(packet(&o, CLIENT, EAP, 2, 2, "04 11 00"), PPP_MALFORMED); /* no whole value */
    assert_int_equal(packet(&o, CLIENT, EAP, 2, 2, "04" MD5_VALUE "'bob '"), PPP_BAD_NAME);
    assert_user(&o, "bob");
    assert_int_equal(o.method, PPP_METHOD_EAP);
    assert_int_equal(packet(&o, CLIENT, EAP, 2, 2, "04" MD5_VALUE "'DOM\\BOB'"), PPP_FORWARD);
    assert_user(&o, "DOM\\BOB");
    assert_int_equal(o.method, PPP_METHOD_EAP_MD5);
}

static void eap_strays(void **state)
{
    struct ppp_observer o = fresh();

    (void)state;
    packet(&o, CLIENT, EAP, 1, 1, "01");        /* the client's request */
    packet(&o, SERVER, EAP, 2, 1, "01 'User'"); /* the server's response */
    assert_int_equal(o.method, PPP_METHOD_NONE);
    packet(&o, SERVER, EAP, 1, 1, "01");
    packet(&o, CLIENT, EAP, 2, 2, "01 'User'"); /* another identifier */
    packet(&o, CLIENT, EAP, 2, 1, "0d");        /* another type */
    packet(&o, CLIENT, EAP, 2, 1, "");          /* no type */
    assert_int_equal(o.method, PPP_METHOD_NONE);
    assert_user(&o, "");

    /* MS-Length longer than the EAP packet; EAP packet longer than its inner one */
    packet(&o, SERVER, EAP, 1, 2, "1a 0102 0016 10" CHALLENGE);
    packet(&o, CLIENT, EAP, 2, 2, "1a 0202 0036" V2(PEER, NT, ""));
    assert_false(o.last.seen);
    packet(&o, SERVER, EAP, 1, 3, "1a 0103 0015 10" CHALLENGE "ffff");
    packet(&o, CLIENT, EAP, 2, 3, "1a 0203 003a" V2(PEER, NT, "'User") "more'");
    assert_false(o.last.seen);
    packet(&o, CLIENT, EAP, 2, 3, "1a 0203 003a" V2(PEER, NT, "'User'"));
    assert_mschap(&o.last, 3, CHALLENGE, PEER, NT);
    assert_user(&o, "User");
    packet(&o, CLIENT, EAP, 2, 3, "1a 03"); /* acknowledges a Success that did not come */
    assert_octets(ppp_proof(&o), "0203003f 1a 0203003a" V2(PEER, NT, "'User'"));
}

/* Nor does a Nak behind EAP's Success. */
static void eap_behind_its_success(void **state)
{
    struct ppp_observer o = fresh(), other;

    (void)state;
    packet(&o, SERVER, EAP, 1, 7, "0d");
    packet(&o, CLIENT, EAP, 2, 7, "0d");
    packet(&o, SERVER, EAP, 3, 7, "");
    assert_int_equal(o.method, PPP_METHOD_EAP_TLS);
    other = o;
    packet(&other, CLIENT, EAP, 2, 7, "03 04");
    assert_memory_equal(&other, &o, sizeof o);
}

/* Inside EAP the login ends with EAP's own result. A name is no login yet, and a Nak makes
 * SoftEther fall back to another protocol. */
static void lcp_restart_amid_eap(void **state)
{
    struct ppp_observer o = fresh();

    (void)state;
    agree(&o, "0304 c227");
    packet(&o, SERVER, EAP, 1, 1, "01");
    packet(&o, CLIENT, EAP, 2, 1, "01 'User'");
    packet(&o, SERVER, EAP, 1, 2, "04" MD5_VALUE);
    packet(&o, CLIENT, EAP, 2, 2, "03 1a");
    assert_int_equal(packet(&o, SERVER, LCP, 1, 1, "0304 c227"), PPP_FORWARD);

    packet(&o, CLIENT, LCP, 2, 1, "0304 c227");
    eap_packet(&o, SERVER, 3, 1, 7, "10" CHALLENGE);
    eap_packet(&o, CLIENT, 3, 2, 7, V2(PEER, NT, "'User'"));
    assert_int_equal(packet(&o, SERVER, LCP, 1, 2, "0304 7805"), PPP_UNJUDGED);
    eap_packet(&o, SERVER, 4, 3, 7, SUCCESS_TEXT);
    assert_int_equal(packet(&o, SERVER, LCP, 1, 2, "0304 7805"), PPP_UNJUDGED);
    packet(&o, CLIENT, EAP, 2, 4, "03 1a"); /* instead of its acknowledgement */
    assert_int_equal(packet(&o, SERVER, LCP, 1, 2, "0304 7805"), PPP_UNJUDGED);
    packet(&o, SERVER, EAP, 3, 4, "");
    assert_int_equal(packet(&o, SERVER, LCP, 1, 2, "0304 7805"), PPP_FORWARD);
}

static void proofs_of_eap(void **state)
{
    struct ppp_observer o = fresh();

    (void)state;
    packet(&o, SERVER, EAP, 1, 1, "01");
    packet(&o, CLIENT, EAP, 2, 1, "01'User'");
    assert_proof(&o, "02010009 0155736572");
    packet(&o, SERVER, EAP, 1, 2, "0d20");
    assert_proof(&o, "");
    packet(&o, CLIENT, EAP, 2, 2, "0d00");
    packet(&o, SERVER, EAP, 1, 2, "0d20"); /* once more */
    packet(&o, CLIENT, EAP, 2, 7, "0d01"); /* to something else */
    assert_proof(&o, "02020006 0d00");
    packet(&o, CLIENT, EAP, 2, 2, "0d01"); /* a second answer */
    assert_proof(&o, "02020006 0d00");
    packet(&o, SERVER, EAP, 1, 3, "1a 0103 0015 10" CHALLENGE);
    packet(&o, CLIENT, EAP, 2, 3, "0319"); /* Nak */
    assert_proof(&o, "02030006 0319");
    /* the packet of EAP around it, not the response in it */
    eap_packet(&o, SERVER, 4, 1, 7, "10" CHALLENGE);
    eap_packet(&o, CLIENT, 4, 2, 7, V2(PEER, NT, "'User'"));
    assert_proof(&o, "0204003f 1a 0207003a" V2(PEER, NT, "'User'"));
    eap_packet(&o, SERVER, 5, 3, 7, SUCCESS_TEXT);
    packet(&o, CLIENT, EAP, 2, 5, "1a03");
    packet(&o, SERVER, EAP, 3, 5, "");
    packet(&o, CLIENT, EAP, 2, 5, "1a04");
    assert_proof(&o, "02050006 1a03");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(eap_mschapv2_without_a_verdict_is_no_failure),
        cmocka_unit_test(eap_retry_and_change),
        cmocka_unit_test(eap_methods),
        cmocka_unit_test(eap_nak),
        cmocka_unit_test(eap_begins_again),
        cmocka_unit_test(eap_md5_has_a_name),
        cmocka_unit_test(eap_strays),
        cmocka_unit_test(eap_behind_its_success),
        cmocka_unit_test(lcp_restart_amid_eap),
        cmocka_unit_test(proofs_of_eap),
    };
    return cmocka_run_group_tests_name("ppp_eap", tests, NULL, NULL);
}
