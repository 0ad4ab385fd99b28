#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "client/fault.h"

/* Programs distinguish the words; each fault has a probable cause and a place to look at. */
static void every_fault_has_its_own_word(void **state)
{
    (void)state;
    for (enum fault a = FAULT_NONE + 1; a < FAULTS; a++) {
        const struct fault_info *f = fault_info(a);
        assert_true(strlen(f->word) > 0 && strlen(f->text) > 0);
        assert_true(strlen(f->blame) > 0 && strlen(f->look) > 0);
        for (enum fault b = FAULT_NONE; b < a; b++)
            assert_string_not_equal(f->word, fault_info(b)->word);
    }
}

static void exit_codes(void **state)
{
    (void)state;
    static const struct {
        enum step step;
        enum fault fault;
        int code;
    } rows[] = {
        {STEP_UP, FAULT_NONE, 0},
        {STEP_LOGIN, FAULT_LOCAL, 1},
        {STEP_RESOLVE, FAULT_NAME, FAULT_EXIT_CONNECT},
        {STEP_CONNECT, FAULT_TIMEOUT, FAULT_EXIT_CONNECT},
        {STEP_TLS, FAULT_TIMEOUT, FAULT_EXIT_TLS},
        {STEP_TLS, FAULT_PIN, FAULT_EXIT_TLS},
        {STEP_REQUEST, FAULT_STATUS, FAULT_EXIT_SSTP},
        {STEP_SSTP, FAULT_NAK, FAULT_EXIT_SSTP},
        {STEP_LCP, FAULT_ENDLESS, FAULT_EXIT_SSTP},
        {STEP_LCP, FAULT_NO_METHOD, FAULT_EXIT_LOGIN},
        {STEP_LOGIN, FAULT_PASSWORD, FAULT_EXIT_LOGIN},
        {STEP_IPCP, FAULT_BINDING, FAULT_EXIT_BINDING},
        {STEP_IPCP, FAULT_CLOSED, FAULT_EXIT_NETWORK},
        {STEP_PING, FAULT_NO_PING, FAULT_EXIT_NETWORK},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(fault_exit(rows[i].step, rows[i].fault), rows[i].code);
    assert_string_equal(step_name(STEP_RESOLVE), "resolve");
    assert_string_equal(step_name(STEP_UP), "up");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_fault_has_its_own_word),
                                       cmocka_unit_test(exit_codes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
