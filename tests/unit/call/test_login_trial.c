#include "call/login_trial.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

enum { START = 1000000, TIMEOUT = 3000, WITHOUT_RADIUS = 10000 };

static struct keyring *keyring;
static struct login_trial trial;
static struct ppp_observer ppp; /* only its counters are used */

static void setup_trial(bool radius)
{
    login_trial_init(&trial);
    ppp = (struct ppp_observer){.result = PPP_RESULT_PENDING};
    if (radius)
        login_trial_use_keyring(&trial, keyring, "home", TIMEOUT);
}

/* ---- several gates ---- */

static unsigned asked;

static void on_outcome(void *arg, const struct keyring_outcome *o)
{
    (void)arg, (void)o;
}

static void on_want(void *arg, const struct keyring_label *label, uint32_t ms)
{
    (void)arg, (void)label;
    assert_int_equal(ms, TIMEOUT);
    asked++;
}

static const struct keyring_others others = {.give_outcome = on_outcome, .want_outcome = on_want};

static int setup_shared(void **state)
{
    static const uint8_t secret[16] = "one secret";

    (void)state;
    keyring = keyring_new();
    keyring_share(keyring, secret, &others, NULL);
    asked = 0;
    return 0;
}

static int setup(void **state)
{
    (void)state;
    keyring = keyring_new();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    keyring_free(keyring);
    return 0;
}

/* Alice's answer with this number; its proof is her own. */
static struct keyring_login login(uint8_t number)
{
    const uint8_t proof[16] = {number};

    return (struct keyring_login){.user = span_str("alice"),
                                  .marks.proof = keyring_proof(keyring, span_of(proof, 16))};
}

static void answer(uint8_t number, uint64_t now_ms)
{
    const struct keyring_login l = login(number);
    login_trial_answer(&trial, &l, number, now_ms);
}

static void radius_answers(uint8_t number, enum keyring_verdict verdict, uint64_t now_ms)
{
    const struct keyring_login l = login(number);
    keyring_judge(keyring, "home", &l, verdict, now_ms);
}

static unsigned fails(bool refused, uint64_t now_ms)
{
    ppp.failures++;
    return login_trial_judge(&trial, &ppp, refused, now_ms);
}

static bool silent(uint64_t now_ms)
{
    return login_trial_is_silent(&trial, &ppp, now_ms);
}

/* With RADIUS, its verdict decides, not the server's refusal. */
static void the_verdict_of_radius_decides(void **state)
{
    static const struct {
        enum keyring_verdict verdict;
        unsigned failures;
        bool silent;
    } cases[] = {
        {KEYRING_UNDECIDED, 0, true},   {KEYRING_LOST, 0, true},      {KEYRING_ACCEPTED, 0, false},
        {KEYRING_CHALLENGED, 1, false}, {KEYRING_REJECTED, 1, false},
    };
    uint8_t number = 1;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++, number++) {
        setup_trial(true);
        answer(number, START);
        if (cases[i].verdict != KEYRING_UNDECIDED)
            radius_answers(number, cases[i].verdict, START);
        assert_int_equal(fails(true, START + 1), cases[i].failures);
        assert_int_equal(silent(START + 1), cases[i].silent);
        /* each failure is judged once */
        assert_int_equal(login_trial_judge(&trial, &ppp, true, START + 2), 0);
    }
}

static void without_radius_a_refusal_is_the_users_failure(void **state)
{
    (void)state;
    setup_trial(false);
    answer(1, START);
    assert_false(silent(START + WITHOUT_RADIUS));
    assert_int_equal(fails(true, START + WITHOUT_RADIUS), 1);
    assert_false(silent(START + WITHOUT_RADIUS));
}

/* A call that ends before its verdict costs as much as a failed login, while a verdict can come. */
static void an_end_counts_while_the_verdict_may_come(void **state)
{
    (void)state;
    for (int radius = 0; radius < 2; radius++) {
        const uint64_t patience = radius ? TIMEOUT : WITHOUT_RADIUS;
        setup_trial(radius);
        answer(1, START);
        assert_int_equal(fails(false, START + patience - 1), 1);
        assert_false(silent(START + patience - 1));
        setup_trial(radius);
        answer(1, START);
        assert_int_equal(fails(false, START + patience), 0);
        assert_int_equal(silent(START + patience), radius);
    }
}

/* A retransmitted answer does not extend the time for its verdict; another answer has its own. */
static void the_time_runs_from_the_first_copy_of_an_answer(void **state)
{
    (void)state;
    setup_trial(true);
    answer(1, START);
    answer(1, START + TIMEOUT - 1);
    assert_int_equal(fails(false, START + TIMEOUT), 0);
    setup_trial(true);
    answer(1, START);
    answer(2, START + TIMEOUT - 1);
    assert_int_equal(fails(false, START + TIMEOUT), 1);
}

/* The verdict on the first answer does not judge the second one. */
static void each_answer_has_its_verdict(void **state)
{
    (void)state;
    setup_trial(true);
    answer(1, START);
    radius_answers(1, KEYRING_REJECTED, START);
    assert_int_equal(fails(true, START), 1);
    answer(2, START);
    radius_answers(2, KEYRING_LOST, START);
    assert_int_equal(fails(true, START), 0);
    assert_true(silent(START));
    answer(3, START);
    assert_false(silent(START));
}

static void a_login_that_waits_is_silent_after_its_time(void **state)
{
    (void)state;
    setup_trial(true);
    assert_false(silent(START)); /* no login has begun */
    answer(1, START);
    assert_false(silent(START + TIMEOUT - 1));
    assert_true(silent(START + TIMEOUT));
    ppp.result = PPP_RESULT_SUCCESS;
    assert_false(silent(START + TIMEOUT));
    setup_trial(true);
    answer(2, START);
    radius_answers(2, KEYRING_LOST, START);
    assert_true(silent(START));
}

/* PROTOCOL.md 5.3: E=930, also without RADIUS at the gate. */
static void a_server_may_report_that_radius_is_silent(void **state)
{
    (void)state;
    setup_trial(false);
    answer(1, START);
    ppp.refusal = PPP_REFUSED_UNJUDGED;
    assert_true(silent(START));
    ppp.refusal = 691;
    assert_false(silent(START));
}

static void a_failure_that_the_caller_has_counted_is_skipped(void **state)
{
    (void)state;
    setup_trial(false);
    ppp.failures++;
    login_trial_skip(&trial);
    assert_int_equal(login_trial_judge(&trial, &ppp, true, START), 0);
    answer(1, START);
    assert_int_equal(fails(true, START), 1);
}

/* A refusal waits for the verdict that may have passed through another gate. */
static void a_refusal_waits_for_another_gate(void **state)
{
    static const struct {
        enum keyring_verdict verdict;
        unsigned failures;
    } cases[] = {{KEYRING_REJECTED, 1}, {KEYRING_ACCEPTED, 0}, {KEYRING_UNDECIDED, 1}};
    uint8_t number = 1;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++, number++) {
        setup_trial(true);
        asked = 0;
        answer(number, START);
        assert_int_equal(fails(true, START + 1), 0);
        assert_true(login_trial_is_deferred(&trial));
        assert_int_equal(login_trial_judge(&trial, &ppp, true, START + 2), 0);
        assert_int_equal(asked, 1);
        if (cases[i].verdict != KEYRING_UNDECIDED)
            radius_answers(number, cases[i].verdict, START + 3);
        assert_int_equal(login_trial_judge(&trial, &ppp, false, START + 4), cases[i].failures);
        assert_false(login_trial_is_deferred(&trial));
        assert_int_equal(login_trial_judge(&trial, &ppp, false, START + 5), 0);
    }
}

/* A server that refuses because RADIUS is silent refuses nobody's password. */
static void a_late_refusal_does_not_wait(void **state)
{
    (void)state;
    setup_trial(true);
    answer(1, START);
    assert_int_equal(fails(true, START + TIMEOUT), 0);
    assert_false(login_trial_is_deferred(&trial));
    assert_true(silent(START + TIMEOUT));
    assert_int_equal(asked, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_verdict_of_radius_decides, setup, teardown),
        cmocka_unit_test_setup_teardown(without_radius_a_refusal_is_the_users_failure, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(an_end_counts_while_the_verdict_may_come, setup, teardown),
        cmocka_unit_test_setup_teardown(the_time_runs_from_the_first_copy_of_an_answer, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(each_answer_has_its_verdict, setup, teardown),
        cmocka_unit_test_setup_teardown(a_login_that_waits_is_silent_after_its_time, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_server_may_report_that_radius_is_silent, setup, teardown),
        cmocka_unit_test_setup_teardown(a_failure_that_the_caller_has_counted_is_skipped, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_refusal_waits_for_another_gate, setup_shared, teardown),
        cmocka_unit_test_setup_teardown(a_late_refusal_does_not_wait, setup_shared, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
