#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "binding/mschap.h"
#include "vectors.h"

static void what_a_server_answers(void **state)
{
    (void)state;
    struct vectors all = vectors_read("tests/vectors/mschap.txt");
    for (size_t i = 0; i < all.count; i++) {
        static const struct {
            const char *key;
            size_t n;
        } parts[] = {{"answer", MSCHAP_ANSWER},
                     {"nt_hash_hash", HLAK_HASH_HASH},
                     {"nt_response", HLAK_NT_RESPONSE},
                     {"peer_challenge", MSCHAP_CHALLENGE},
                     {"challenge", MSCHAP_CHALLENGE}};
        const struct vector *v = &all.item[i];
        const struct span user = vector_get(v, "user");
        uint8_t octets[5][HLAK_NT_RESPONSE];

        print_message("# %s\n", v->name);
        for (size_t k = 0; k < 5; k++)
            memcpy(octets[k], vector_octets(v, parts[k].key, parts[k].n), parts[k].n);
        assert_true(
            mschap_answer_fits(octets[0], octets[1], octets[2], octets[3], octets[4], user));
        /* each byte of each part matters */
        for (size_t k = 0; k < 5; k++)
            for (size_t at = 0; at < parts[k].n; at++) {
                octets[k][at] ^= 1;
                assert_false(mschap_answer_fits(octets[0], octets[1], octets[2], octets[3],
                                                octets[4], user));
                octets[k][at] ^= 1;
            }
        assert_false(mschap_answer_fits(octets[0], octets[1], octets[2], octets[3], octets[4],
                                        span_sub(user, 0, user.n - 1)));
        assert_false(mschap_answer_fits(octets[0], octets[1], octets[2], octets[3], octets[4],
                                        span_of(NULL, 0)));
    }
    assert_int_equal(all.count, 3);
    vectors_free(&all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_a_server_answers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
