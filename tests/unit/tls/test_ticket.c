#include "tls/ticket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs the first four headers above it */
#include <cmocka.h>

#define CASE(text) text, sizeof text - 1

/* lifetime, age, a nonce of one byte, a ticket of two, extensions */
static const struct {
    const char *octets;
    size_t n;
    enum err result;
} cases[] = {
    {CASE("\0\0\x0e\x10\1\2\3\4\1n\0\2tt\0\0"), ERR_OK},
    {CASE("\0\0\x0e\x10\1\2\3\4\0\0\1t\0\0"), ERR_OK},     /* without a nonce */
    {CASE("\0\0\x0e\x10\1\2\3\4\1n\0\0\0\0"), ERR_LENGTH}, /* without a ticket */
    {CASE("\0\0\x0e\x10\1\2\3\4\1n\0\2tt\0\0x"), ERR_LENGTH},
    {CASE("\0\0\x0e\x10\1\2\3\4\1n\0\2tt\0\4\xfa\xfa\0\0"), ERR_OK}, /* RFC 8701 */
    {CASE("\0\0\x0e\x10\1\2\3\4\1n\0\2tt\0\10\0\x2a\0\4\0\0\x40\0"), ERR_OK},
    {CASE("\0\0\x0e\x10\1\2\3\4\1n\0\2tt\0\7\0\x2a\0\3\0\0\x40"), ERR_LENGTH},
    {CASE("\0\0\x0e\x10\1\2\3\4\1n\0\2tt\0\20\0\x2a\0\4\0\0\x40\0\0\x2a\0\4\0\0\x40\0"), ERR_RANGE},
    {CASE("\0\0\x0e\x10\1\2\3\4\1n\0\2tt\0\4\0\x33\0\0"), ERR_RANGE}, /* key_share */
    {CASE("\0\0\x0e\x10\1\2\3\4\1n\0\2tt\0\4\0\0\0\0"), ERR_RANGE},   /* server_name */
    {CASE("\0\0\x0e\x10\1\2\3\4\1n\0\2tt\0\3\xfa\xfa\0"), ERR_LENGTH},
    {CASE("\0\0\x0e\x10\1\2\3\4\1n\0\2tt\0\4\xfa\xfa\0\1"), ERR_LENGTH},
};

static void each_case_has_its_result(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (ticket_check(span_of(cases[i].octets, cases[i].n)) != cases[i].result)
            fail_msg("case %zu", i);
}

/* A message that is cut anywhere is malformed. */
static void each_cut_is_malformed(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t n = 0; n < cases[i].n && cases[i].result == ERR_OK; n++)
            assert_int_equal(ticket_check(span_of(cases[i].octets, n)), ERR_LENGTH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_case_has_its_result),
        cmocka_unit_test(each_cut_is_malformed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
