#include "tls/tls_basics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/err.h>
#include <openssl/provider.h>
#include <string.h>

/* A provider that is loaded first replaces the default one, as in openssl.cnf. */
static void missing_algorithm_is_named(void **state)
{
    char error[TLS_BASICS_ERROR_MAX];

    (void)state;
    OSSL_PROVIDER *other = OSSL_PROVIDER_load(NULL, "null");
    assert_non_null(other);
    assert_false(tls_basics(error));
    assert_non_null(strstr(error, "OpenSSL has no SHA1: "));
    assert_non_null(strstr(error, "write activate = 1 in the section of the provider default"));
    assert_int_equal(ERR_peek_error(), 0);

    OSSL_PROVIDER *base = OSSL_PROVIDER_load(NULL, "default");
    assert_true(tls_basics(error));
    assert_string_equal(error, "");
    OSSL_PROVIDER_unload(base);
    OSSL_PROVIDER_unload(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(missing_algorithm_is_named)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
