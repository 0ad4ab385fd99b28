#include "wire/http_uri.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "http_fixture.h"

static void unescape(void **state)
{
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"''", "''"},         {"'acme'", "'acme'"}, {"'%61c%6De'", "'acme'"}, {"'%'", "'%'"},
        {"'%4'", "'%4'"},     {"'%zz'", "'%zz'"},   {"'%%41'", "'%A'"},       {"'%2541'", "'%41'"},
        {"'%00%FF'", "00ff"}, {"'a%20b'", "'a b'"}, {"'+'", "'+'"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct span in = octets_hex(rows[i].in);
        uint8_t out[16];
        assert_octets(span_of(out, http_unescape(in, out)), rows[i].out);
        octets_free(in);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unescape),
    };
    return cmocka_run_group_tests_name("http_uri", tests, NULL, NULL);
}
