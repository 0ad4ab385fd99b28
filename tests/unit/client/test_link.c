#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "client/session_fixture.h"
#include "wire_octets.h"

static struct link_settings settings(void)
{
    return fixture_settings(NULL).link;
}

/* Gives one frame to the link and checks what it sends: whole frames; "": nothing. */
static void step(struct link *l, struct wire_record *sent, const char *frame, const char *want)
{
    const struct span in = octets_hex(frame);

    sent->n = 0;
    link_receive(l, in);
    octets_free(in);
    assert_octets(span_of(sent->bytes, sent->n), want);
}

#define LCP "ff03c021"
#define OURS LCP "0101000e010405780506a1a2a3a4"

static void start(struct link *l, struct wire_record *sent, const struct link_settings *s)
{
    sent->n = 0;
    link_start(l, s, record_send, sent);
    assert_octets(span_of(sent->bytes, sent->n), OURS);
}

/* A survey refuses every method and suggests its own, one after the other; the link knows all that
 * the server has requested then. */
static void survey(void **state)
{
    (void)state;
    struct link_settings s = settings();
    struct wire_record sent;
    struct link l;

    s.survey = true;
    s.method_count = 2;
    start(&l, &sent, &s);
    step(&l, &sent, LCP "01010009 0305c22381", LCP "03010008 0304c227");
    step(&l, &sent, LCP "01020008 0304c227", LCP "03020009 0305c22381");
    assert_int_equal(l.phase, LINK_LCP);
    step(&l, &sent, LCP "01030008 0304c023", LCP "04030008 0304c023");
    assert_int_equal(l.phase, LINK_FAILED);
    assert_int_equal(l.fault, LINK_NO_METHOD);
    assert_int_equal(l.offered_count, 3);
    assert_int_equal(l.offered[0].algorithm, 0x81);
    assert_int_equal(l.offered[1].protocol, PPP_EAP);
    assert_int_equal(l.offered[2].protocol, PPP_PAP);
    assert_int_equal(l.option_count, 1);
    assert_int_equal(l.options[0], 3);
    assert_false(link_magic_rejected(&l));
    step(&l, &sent, LCP "01040008 0304c023", ""); /* it has ended */
}

/* A Reject of another option takes the place of a Nak, so no method is lost. */
static void suggestion_survives_a_reject(void **state)
{
    (void)state;
    const struct link_settings s = settings();
    struct wire_record sent;
    struct link l;

    start(&l, &sent, &s);
    step(&l, &sent, LCP "0101000b 0305c22380 0702", LCP "04010006 0702");
    step(&l, &sent, LCP "01020009 0305c22380", LCP "03020008 0304c227");
}

/* A worse method is acceptable only after the better ones were suggested. */
static void better_methods_are_suggested_first(void **state)
{
    (void)state;
    struct link_settings s = settings();
    struct wire_record sent;
    struct link l;

    s.methods[0] = PPP_METHOD_MSCHAPV2;
    s.methods[1] = PPP_METHOD_PAP;
    s.method_count = 2;
    start(&l, &sent, &s);
    step(&l, &sent, LCP "01010008 0304c023", LCP "03010009 0305c22381");
    step(&l, &sent, LCP "01020008 0304c023", LCP "02020008 0304c023");
    start(&l, &sent, &s);
    step(&l, &sent, LCP "01010009 0305c22381", LCP "02010009 0305c22381");
}

/* SoftEther takes the next method of its list after each Nak, whatever was suggested; another
 * server never does. */
static void suggestions_start_over(void **state)
{
    (void)state;
    struct link_settings s = settings();
    struct wire_record sent;
    struct link l;

    s.methods[0] = PPP_METHOD_PAP;
    s.method_count = 1;
    start(&l, &sent, &s);
    step(&l, &sent, LCP "01010008 0304c227", LCP "03010008 0304c023");
    step(&l, &sent, LCP "01020009 0305c22381", LCP "03020008 0304c023");
    step(&l, &sent, LCP "01030008 0304c023", LCP "02030008 0304c023");
    start(&l, &sent, &s);
    for (unsigned i = 0; i < 1 + LINK_SUGGESTIONS; i++)
        step(&l, &sent, LCP "01010008 0304c227", LCP "03010008 0304c023");
    step(&l, &sent, LCP "01010008 0304c227", LCP "04010008 0304c227");
    assert_int_equal(l.phase, LINK_FAILED);
    assert_int_equal(l.fault, LINK_NO_METHOD);
}

static void lcp_echo_and_restart(void **state)
{
    (void)state;
    struct link_settings s = settings();
    struct wire_record sent;
    struct link l;

    s.methods[0] = PPP_METHOD_MSCHAPV2;
    s.methods[1] = PPP_METHOD_PAP;

    start(&l, &sent, &s);
    step(&l, &sent, LCP "09070008 51525354", ""); /* not open yet */
    step(&l, &sent, LCP "01010009 0305c22381", LCP "02010009 0305c22381");
    step(&l, &sent, LCP "0201000e010405780506a1a2a3a4", "");
    assert_int_equal(l.phase, LINK_LOGIN);
    step(&l, &sent, LCP "0907000a 51525354 abcd", LCP "0a07000a a1a2a3a4 abcd");
    step(&l, &sent, LCP "01020008 0304c023",
         LCP "0102000e010405780506a1a2a3a4" LCP "03020009 0305c22381");
    assert_int_equal(l.phase, LINK_LCP);
    step(&l, &sent, LCP "01030008 0304c023", LCP "02030008 0304c023");
    step(&l, &sent, LCP "0202000e010405780506a1a2a3a4", "ff03c023 0101 0011 05'alice' 06'sesame'");
    assert_int_equal(l.login.method, PPP_METHOD_PAP);
    link_fini(&l);
}

/* The server's values replace ours after a Nak, and what it rejects is not requested again. */
static void nak_and_reject_of_our_options(void **state)
{
    (void)state;
    const struct link_settings s = settings();
    struct wire_record sent;
    struct link l;

    start(&l, &sent, &s);
    step(&l, &sent, LCP "03010008 010405dc", LCP "0102000e 010405dc 0506a1a2a3a4");
    step(&l, &sent, LCP "0402000a 0506a1a2a3a4", LCP "01030008 010405dc");
    assert_true(link_magic_rejected(&l));
    step(&l, &sent, LCP "0302000a 0506a1a2a3a4", ""); /* stale */
    step(&l, &sent, LCP "02030008 010405dc", "");
    assert_true(l.lcp.agreed_here);
}

/* The link fails after a bounded number of packets of a server that never agrees. */
static void endless(void **state)
{
    (void)state;
    const struct link_settings s = settings();
    struct wire_record sent;
    struct link l;
    unsigned n = 0;

    start(&l, &sent, &s);
    while (l.phase == LINK_LCP) {
        step(&l, &sent, LCP "01010006 0702", n < CONF_ROUNDS_MAX ? LCP "04010006 0702" : "");
        n++;
    }
    assert_int_equal(n, CONF_ROUNDS_MAX + 1);
    assert_int_equal(l.fault, LINK_ENDLESS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(survey),
                                       cmocka_unit_test(suggestion_survives_a_reject),
                                       cmocka_unit_test(suggestions_start_over),
                                       cmocka_unit_test(better_methods_are_suggested_first),
                                       cmocka_unit_test(lcp_echo_and_restart),
                                       cmocka_unit_test(nak_and_reject_of_our_options),
                                       cmocka_unit_test(endless)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
