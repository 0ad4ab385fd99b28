/* Verification of a server's certificate; test_tls_conn tests the verification of chains. */
#include "upstream/upstream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

#include "net/stream.h"
#include "site/site.h"

/* A stream whose peer has sent no certificate, as with an anonymous cipher suite. */
static void without_a_certificate_nothing_is_verified(void **state)
{
    (void)state;
    static const struct {
        enum config_verify verify;
        bool trusted;
    } cases[] = {{CONFIG_VERIFY_PIN, false}, {CONFIG_VERIFY_CA, false}, {CONFIG_VERIFY_OFF, true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct config_backend config = {.verify = cases[i].verify};
        const struct site_backend backend = {.config = &config};
        const struct stream s = {0};
        char why[UPSTREAM_WHY_MAX] = "";
        assert_int_equal(upstream_trusted(&backend, &s, why), cases[i].trusted);
        assert_string_equal(why, cases[i].trusted ? "" : "the server presented no certificate");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_certificate_nothing_is_verified),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
