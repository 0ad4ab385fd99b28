#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "client/echo.h"
#include "wire_octets.h"

/* Made by tests/peers/ppp.py: ping(10.99.0.2, 10.99.0.1, 0x1234, 1), and its reply. */
#define REQUEST "4500002400000000400166110a6300020a63000108002220123400017373747067617465"
#define REPLY "4500002400000000400166110a6300010a63000200002a20123400017373747067617465"

static void request(void **state)
{
    (void)state;
    const struct echo e = {
        .source = {10, 99, 0, 2}, .target = {10, 99, 0, 1}, .id = 0x1234, .sequence = 1};
    uint8_t out[ECHO_LEN];

    echo_build(&e, out);
    assert_octets(span_of(out, sizeof out), REQUEST);
}

static void reply(void **state)
{
    (void)state;
    const struct span s = octets_hex(REPLY);
    struct echo e;

    assert_true(echo_parse_reply(s, &e));
    assert_memory_equal(e.source, "\x0a\x63\x00\x01", ECHO_IP);
    assert_memory_equal(e.target, "\x0a\x63\x00\x02", ECHO_IP);
    assert_int_equal(e.id, 0x1234);
    assert_int_equal(e.sequence, 1);
    octets_free(s);
}

/* A packet that is cut, or in which one byte differs, is no reply: the checksums cover all. */
static void damaged_replies(void **state)
{
    (void)state;
    const struct span s = octets_hex(REPLY);
    uint8_t *octets = (uint8_t *)(uintptr_t)s.p;
    struct echo e;

    for (size_t i = 0; i < s.n; i++) {
        const struct span cut = octets_copy(span_sub(s, 0, i));
        assert_false(echo_parse_reply(cut, &e));
        octets_free(cut);
        octets[i] ^= 1;
        assert_false(echo_parse_reply(s, &e));
        octets[i] ^= 1;
    }
    octets_free(s);
}

static void request_is_no_reply(void **state)
{
    (void)state;
    const struct span s = octets_hex(REQUEST);
    struct echo e;

    assert_false(echo_parse_reply(s, &e));
    octets_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(request), cmocka_unit_test(reply),
                                       cmocka_unit_test(damaged_replies),
                                       cmocka_unit_test(request_is_no_reply)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
