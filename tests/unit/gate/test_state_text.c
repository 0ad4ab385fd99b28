/* The text for the next process: written, read, damaged. */
#include "gate/state_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

#define HEAD "sstpgate-handover 1\n"

static const char good[] =
    HEAD "numbers\t2000000\n"
         "socket\t127.0.0.1:0\town\tsstpgate-0 sstpgate-1\n"
         "socket\t[2001:db8::1]:443\tshared\tsstpgate-2\n"
         "ban\t192.0.2.0/24 1800000600\n"
         "ban\tuser \"bob smith\" 1800000600\n"
         "points\t192.0.2.1\t75000\t123456\t0\t5\t10\t0\t0\t0\t0\t0\t65535\n"
         "points\t2001:db8::/64\t1\t18446744073709551615\t1\t0\t0\t0\t0\t0\t0\t0\t0\n"
         "server\tback\tsstp.example\t443\tdown\tready\t7000\tconnection refused: a cause\n"
         "server\ta name\t::1\t65535\tup\tdrain\t0\t\n";

/* Reads a text and writes what was understood; the caller frees it. */
static char *again(const char *text, size_t n, unsigned *skipped)
{
    struct span rest = span_of(text, n);
    struct state_item item;
    char *out = NULL;
    size_t size;
    FILE *f = open_memstream(&out, &size);

    assert_non_null(f);
    *skipped = 0;
    if (state_text_check(&rest)) {
        state_text_begin(f);
        while (state_text_next(&rest, &item, skipped))
            state_text_print(f, &item);
    }
    assert_int_equal(fclose(f), 0);
    return out;
}

static void assert_reads(const char *text, const char *expected, unsigned lines)
{
    unsigned skipped;
    char *out = again(text, strlen(text), &skipped);

    assert_string_equal(out, expected);
    assert_int_equal(skipped, lines);
    free(out);
}

static void what_was_written_is_read(void **state)
{
    (void)state;
    assert_reads(good, good, 0);
    assert_reads(HEAD, HEAD, 0);
}

/* A process reads the complete lines of a text that was cut anywhere. */
static void every_cut(void **state)
{
    (void)state;
    for (size_t n = 0; n < sizeof good - 1; n++) {
        unsigned skipped;
        char *out = again(good, n, &skipped);
        const char *expected_end = good + n;
        while (expected_end > good && expected_end[-1] != '\n')
            expected_end--;
        if (n >= sizeof HEAD - 1) {
            assert_int_equal(strlen(out), expected_end - good);
            assert_memory_equal(out, good, (size_t)(expected_end - good));
            assert_int_equal(skipped, expected_end != good + n);
        }
        free(out);
    }
}

static void other_versions(void **state)
{
    (void)state;
    assert_reads("sstpgate-handover 2\nnumbers\t5\nnew-word\t1\n", HEAD "numbers\t5\n", 1);
    assert_reads("sstpgate-handover 1\r\nnumbers\t5\textra field\r\n", HEAD "numbers\t5\n", 0);
}

static void no_text_of_a_gate(void **state)
{
    static const char *const texts[] = {"", "\n", "sstpgate-handover\nnumbers\t5\n",
                                        "sstpgate-handover ", "numbers\t5\n"};
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_reads(texts[i], "", 0);
}

static void bad_lines(void **state)
{
    static const char *const lines[] = {
        "",
        "numbers",
        "numbers\t",
        "numbers\t-1",
        "numbers\t18446744073709551616",
        "socket\tnowhere\town\tsstpgate-0",
        "socket\t127.0.0.1:0",
        "socket\t127.0.0.1:0\town\t",
        "socket\t127.0.0.1:0\tmine\tsstpgate-0",
        "ban\t",
        "points\t192.0.2.1\t75000\t123456\t0\t5\t10\t0\t0\t0\t0\t0",
        "points\t192.0.2.1\t75000\t123456\t0\t5\t10\t0\t0\t0\t0\t0\t65536",
        "points\t192.0.2.1/33\t1\t1\t0\t0\t0\t0\t0\t0\t0\t0\t0",
        "server\tback\tsstp.example\t65536\tup\tready\t0\t",
        "server\tback\tsstp.example\t443\tmaybe\tready\t0\t",
        "server\tback\t\t443\tup\tready\t0\t",
        "server\t\tsstp.example\t443\tup\tready\t0\t",
    };
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        char text[300];
        snprintf(text, sizeof text, HEAD "%s\nnumbers\t7\n", lines[i]);
        assert_reads(text, HEAD "numbers\t7\n", 1);
    }
}

static void a_cause_with_odd_bytes(void **state)
{
    (void)state;
    struct state_item item = {.kind = STATE_SERVER,
                              .server = {.backend = span_str("b"),
                                         .host = span_str("h"),
                                         .cause = span_str("two\nlines\tand a tab")}};
    char *out = NULL;
    size_t size;
    FILE *f = open_memstream(&out, &size);
    state_text_print(f, &item);
    assert_int_equal(fclose(f), 0);
    assert_string_equal(out, "server\tb\th\t0\tdown\tready\t0\ttwo lines and a tab\n");
    free(out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_is_read),
        cmocka_unit_test(every_cut),
        cmocka_unit_test(other_versions),
        cmocka_unit_test(no_text_of_a_gate),
        cmocka_unit_test(bad_lines),
        cmocka_unit_test(a_cause_with_odd_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
