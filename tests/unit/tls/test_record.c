#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "tls/record.h"

static const uint16_t suites_13[] = {0x1301, 0x1302, 0x1303};
static const uint16_t suites_12[] = {0x009c, 0x009d, 0x009e, 0x009f, 0xc02b, 0xc02c,
                                     0xc02f, 0xc030, 0xcca8, 0xcca9, 0xccaa};
enum { SUITES_13 = sizeof suites_13 / 2, SUITES_12 = sizeof suites_12 / 2 };

static const uint8_t material[48] = "a secret of this test, which has 48 bytes: .....";

static struct record_side *side_of(uint16_t suite, uint64_t seq)
{
    if (suite >> 8 != 0x13)
        return record_side_12(suite, span_of(material, record_key_size(suite)),
                              span_of(material + 32, record_iv_size(suite)), seq);
    return record_side_13(suite, span_of(material, suite == 0x1302 ? 48 : 32), seq);
}

static void for_each_suite(void (*test)(uint16_t suite))
{
    for (size_t i = 0; i < SUITES_13; i++)
        test(suites_13[i]);
    for (size_t i = 0; i < SUITES_12; i++)
        test(suites_12[i]);
}

static void known_suites(void **state)
{
    (void)state;
    size_t known = 0;

    for (size_t i = 0; i < SUITES_13; i++)
        assert_true(record_suite_known(suites_13[i], true));
    for (size_t i = 0; i < SUITES_12; i++)
        assert_true(record_suite_known(suites_12[i], false));
    for (uint32_t n = 0; n < 65536; n++)
        known +=
            (size_t)record_suite_known((uint16_t)n, true) + record_suite_known((uint16_t)n, false);
    assert_int_equal(known, SUITES_13 + SUITES_12);
}

static void round_trips_of(uint16_t suite)
{
    static const size_t lengths[] = {1, 0, 15, 16, 17, 72, 1408, RECORD_PLAIN_MAX};
    struct record_side *out = side_of(suite, 7), *in = side_of(suite, 7);

    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        uint8_t *plain = malloc(lengths[i] + 1), *record = malloc(lengths[i] + RECORD_OVERHEAD);
        uint8_t *opened = malloc(lengths[i] + RECORD_OVERHEAD);
        size_t n, used;
        enum record_type type = RECORD_CCS;

        memset(plain, (int)i + 1, lengths[i] + 1);
        const size_t whole = record_seal(out, RECORD_DATA, span_of(plain, lengths[i]), record);
        assert_true(whole <= lengths[i] + RECORD_OVERHEAD);
        assert_int_equal(record_open(in, span_of(record, whole), opened, &n, &type, &used),
                         RECORD_OK);
        assert_int_equal(used, whole);
        assert_int_equal(n, lengths[i]);
        assert_int_equal(type, RECORD_DATA);
        assert_memory_equal(opened, plain, n);
        assert_int_equal(record_seq(in), 8 + i);
        record_rest(i % 2 ? in : out);
        free(opened);
        free(record);
        free(plain);
    }
    record_side_free(in);
    record_side_free(out);
}

static void round_trips(void **state)
{
    (void)state;
    for_each_suite(round_trips_of);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_suites),
        cmocka_unit_test(round_trips),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
