#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/shared_reply.h"

/* Writes a value as text: 'text', -error, 1, [a b], nil. */
static void print(FILE *out, const struct shared_reply *a)
{
    const struct span text = shared_reply_text(a), error = shared_reply_error(a);
    const int64_t number = shared_reply_number(a, INT64_MIN);

    if (error.n > 0)
        fprintf(out, "-%s", (const char *)error.p);
    else if (text.n > 0)
        fprintf(out, "'%s'", (const char *)text.p);
    else if (number != INT64_MIN)
        fprintf(out, "%lld", (long long)number);
    else
        fprintf(out, "[");
    for (size_t i = 0; i < shared_reply_count(a); i++) {
        fprintf(out, i == 0 ? "" : " ");
        print(out, shared_reply_item(a, i));
    }
    if (error.n == 0 && text.n == 0 && number == INT64_MIN)
        fprintf(out, "]");
}

/* Writes all answers in the bytes, and then `...` or the error. */
static char *answers(const char *first, size_t first_n, const char *rest, size_t rest_n)
{
    struct shared_replies *r = shared_replies_new();
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    enum err e = ERR_MORE;

    for (int part = 0; part < 2 && e == ERR_MORE; part++) {
        struct shared_reply *a = NULL;
        shared_replies_feed(r, part == 0 ? span_of(first, first_n) : span_of(rest, rest_n));
        while ((e = shared_replies_next(r, &a)) == ERR_OK) {
            print(out, a);
            fputc(';', out);
            shared_reply_free(a);
            a = NULL;
        }
    }
    fputs(e == ERR_MORE ? "..." : shared_replies_why(r), out);
    fclose(out);
    shared_replies_free(r);
    return text;
}

static const struct row {
    const char *bytes, *want;
} rows[] = {
    {"+OK\r\n", "'OK';..."},
    {"$5\r\nhello\r\n", "'hello';..."},
    {":-7\r\n:12\r\n", "-7;12;..."},
    {"-NOSCRIPT no\r\n", "-NOSCRIPT no;..."},
    {"*2\r\n:1\r\n*2\r\n$1\r\na\r\n+b\r\n", "[1 ['a' 'b']];..."},
    {"*0\r\n", "[];..."},
    {"$-1\r\n*-1\r\n", "[];[];..."},
    {"*1\r\n$-1\r\n", "[[]];..."},
    {"+unfinished", "..."},
    {"+OK\r\nHTTP/1.1 400 Bad Request\r\n\r\n",
     "'OK';Protocol error, got \"H\" as reply type byte"},
};

/* The position of a cut does not change the result. */
static void answers_that_are_cut_at_each_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const size_t n = strlen(rows[i].bytes);
        for (size_t cut = 0; cut <= n; cut++) {
            char *got = answers(rows[i].bytes, cut, rows[i].bytes + cut, n - cut);
            assert_string_equal(got, rows[i].want);
            free(got);
        }
    }
}

#define LONG "0123456789012345678901234567890123456789"

static const struct row strangers[] = {
    {"HTTP/1.1 400 Bad Request\r\nServer: x\r\n",
     "Protocol error, got \"H\" as reply type byte; it begins with 'HTTP/1.1 400 Bad Request'"},
    {"ERROR\r\n", "Protocol error, got \"E\" as reply type byte; it begins with 'ERROR'"},
    {"E", "Protocol error, got \"E\" as reply type byte; it begins with 'E'"},
    {"\n", "Protocol error, got \"\\n\" as reply type byte; it begins with ''"},
    {LONG "abc", "Protocol error, got \"0\" as reply type byte; it begins with '" LONG "'"},
    {"A\x1b[2J\x7f\xff\tB",
     "Protocol error, got \"A\" as reply type byte; it begins with 'A?[2J???B'"},
    {"\x15\x03\x01", "it is TLS (rediss)"},
    {"\x16\x03\x01", "it is TLS (rediss)"},
    {"\x15", "it is TLS (rediss)"},
};

/* The report shows the first line of a server that is no store, without control characters. */
static void another_program(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof strangers / sizeof *strangers; i++) {
        char *got = answers(strangers[i].bytes, strlen(strangers[i].bytes), "", 0);
        assert_string_equal(got, strangers[i].want);
        free(got);
    }
}

static void expect_too_large(const char *bytes)
{
    struct shared_replies *r = shared_replies_new();
    struct shared_reply *a = NULL;

    shared_replies_feed(r, span_str(bytes));
    assert_int_not_equal(shared_replies_next(r, &a), ERR_OK);
    assert_int_not_equal(shared_replies_next(r, &a), ERR_MORE);
    assert_true(*shared_replies_why(r) != '\0');
    shared_replies_free(r);
}

/* A store that announces more than this process may keep, at once or in steps. */
static void too_many_values(void **state)
{
    (void)state;
    expect_too_large("*4097\r\n");
    expect_too_large("*2147483647\r\n");
    expect_too_large("*9223372036854775807\r\n");
    expect_too_large("*-2\r\n");
    expect_too_large("*2\r\n*4095\r\n");
    expect_too_large(
        "*4096\r\n*4096\r\n:1\r\n*4096\r\n*4096\r\n*4096\r\n*4096\r\n*4096\r\n*4096\r\n*9\r\n");

    struct shared_replies *r = shared_replies_new();
    struct shared_reply *a = NULL;
    enum err e = ERR_MORE;
    shared_replies_feed(r, span_str("*4096\r\n"));
    for (int i = 0; i < 4096 && e == ERR_MORE; i++) {
        shared_replies_feed(r, span_str("*1\r\n:1\r\n"));
        e = shared_replies_next(r, &a);
    }
    assert_int_equal(e, ERR_TOO_LARGE);
    shared_replies_free(r);
}

static void an_answer_without_an_end(void **state)
{
    (void)state;
    struct shared_replies *r = shared_replies_new();
    struct shared_reply *a = NULL;
    char block[4096];
    enum err e = ERR_MORE;
    size_t fed = 0;

    memset(block, 'x', sizeof block);
    assert_false(shared_replies_begun(r));
    shared_replies_feed(r, span_str("$536870911\r\n"));
    assert_true(shared_replies_begun(r));
    while (fed < 4 * SHARED_REPLY_BYTES && (e = shared_replies_next(r, &a)) == ERR_MORE) {
        shared_replies_feed(r, span_of(block, sizeof block));
        fed += sizeof block;
    }
    assert_int_equal(e, ERR_TOO_LARGE);
    assert_true(fed <= SHARED_REPLY_BYTES + 2 * sizeof block);
    shared_replies_free(r);
}

/* Many small answers are not one large one. */
static void a_long_life(void **state)
{
    (void)state;
    struct shared_replies *r = shared_replies_new();
    struct shared_reply *a = NULL;

    for (int i = 0; i < 300000; i++) {
        shared_replies_feed(r, span_str("*1\r\n:12\r\n"));
        assert_int_equal(shared_replies_next(r, &a), ERR_OK);
        shared_reply_free(a);
        assert_int_equal(shared_replies_next(r, &a), ERR_MORE);
    }
    shared_replies_free(r);
}

static void values_of_another_kind(void **state)
{
    (void)state;
    assert_int_equal(shared_reply_text(NULL).n, 0);
    assert_int_equal(shared_reply_error(NULL).n, 0);
    assert_int_equal(shared_reply_number(NULL, 7), 7);
    assert_int_equal(shared_reply_count(NULL), 0);
    assert_null(shared_reply_item(NULL, 0));
    shared_reply_free(NULL);
}

static void a_command(void **state)
{
    (void)state;
    const char *argv[] = {"SET", "a", "b\r\n"};
    const size_t len[] = {3, 1, 3};
    const struct span bytes = shared_command(3, argv, len);
    const char want[] = "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$3\r\nb\r\n\r\n";

    assert_int_equal(bytes.n, sizeof want - 1);
    assert_memory_equal(bytes.p, want, bytes.n);
    free((void *)bytes.p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_that_are_cut_at_each_byte),
        cmocka_unit_test(another_program),
        cmocka_unit_test(too_many_values),
        cmocka_unit_test(an_answer_without_an_end),
        cmocka_unit_test(a_long_life),
        cmocka_unit_test(values_of_another_kind),
        cmocka_unit_test(a_command),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
