/* The writer of JSON: its forms, and its strings, which are read back. */
#include "base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

#include "base/hex.h"
#include "base/memo.h"

static struct memo memo;

static struct json start(void)
{
    return json_to(memo_open(&memo));
}

static void expect(const struct json *j, const char *want)
{
    assert_true(json_is_complete(j));
    assert_string_equal(memo_text(&memo), want);
    memo_free(&memo);
}

static void objects_and_arrays_nest(void **state)
{
    (void)state;
    struct json j = start();
    assert_false(json_is_complete(&j));
    json_object_begin(&j);
    json_key(&j, "items");
    json_array_begin(&j);
    json_object_begin(&j);
    json_object_end(&j);
    json_object_begin(&j);
    json_key(&j, "a");
    json_u64(&j, 1);
    json_key(&j, "b");
    json_array_begin(&j);
    json_array_end(&j);
    json_object_end(&j);
    json_array_begin(&j);
    json_u64(&j, 2);
    json_u64(&j, 3);
    json_array_end(&j);
    json_array_end(&j);
    json_key(&j, "total");
    json_u64(&j, 4);
    assert_false(json_is_complete(&j));
    json_object_end(&j);
    expect(&j, "{\"items\":[{},{\"a\":1,\"b\":[]},[2,3]],\"total\":4}");
}

static void the_deepest_nesting(void **state)
{
    (void)state;
    struct json j = start();
    char want[2 * JSON_DEPTH_MAX + 1] = "";
    for (int i = 0; i < JSON_DEPTH_MAX; i++) {
        json_array_begin(&j);
        want[i] = '[';
        want[2 * JSON_DEPTH_MAX - 1 - i] = ']';
    }
    for (int i = 0; i < JSON_DEPTH_MAX; i++)
        json_array_end(&j);
    expect(&j, want);
}

static void each_kind_of_value(void **state)
{
    (void)state;
    struct json j = start();
    json_array_begin(&j);
    json_u64(&j, UINT64_MAX);
    json_i64(&j, INT64_MIN);
    json_double(&j, 0.1);
    json_double(&j, -2);
    json_double(&j, 1e300);
    json_double(&j, NAN);
    json_double(&j, -INFINITY);
    json_bool(&j, true);
    json_bool(&j, false);
    json_null(&j);
    json_str(&j, NULL);
    json_str(&j, "");
    json_span(&j, span_of(NULL, 0));
    json_array_end(&j);
    expect(&j, "[18446744073709551615,-9223372036854775808,0.1,-2,1e+300,null,null,true,false,null,"
               "null,\"\",\"\"]");
}

static void a_value_alone_is_a_text(void **state)
{
    (void)state;
    struct json j = start();
    json_str(&j, "x");
    expect(&j, "\"x\"");
}

static void strings_are_escaped(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        size_t n;
        const char *want;
    } cases[] = {
        {"two words = 2", 13, "\"two words = 2\""},
        {"\"\\/", 3, "\"\\\"\\\\/\""},
        {"a\0b\r\n\t\x7f", 7, "\"a\\u0000b\\u000d\\u000a\\u0009\\u007f\""},
        {"</script>", 9, "\"</script>\""},
        {"gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80", 11, "\"gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80\""},
        {"\xe2\x80\xae\xe2\x80\xa8", 6, "\"\\u202e\\u2028\""},
        {"\xf3\xa0\x81\x81", 4, "\"\\udb40\\udc41\""},
        {"j\xfcrgen", 6, "\"j\\ueffcrgen\""},
        {"\xc3", 1, "\"\\uefc3\""},
        {"\xc3\xbc\xc3", 3, "\"\xc3\xbc\\uefc3\""},
        {"\xe2\x80", 2, "\"\\uefe2\\uef80\""},
        {"\xf0\x9f\x98", 3, "\"\\ueff0\\uef9f\\uef98\""},
        {"\xc0\xaf", 2, "\"\\uefc0\\uefaf\""},            /* not the shortest form */
        {"\xed\xa0\x80", 3, "\"\\uefed\\uefa0\\uef80\""}, /* a surrogate */
        {"\xf4\x90\x80\x80", 4, "\"\\ueff4\\uef90\\uef80\\uef80\""},
        /* the characters of the escape: U+EF7F and U+F000 are not among them */
        {"\xee\xbd\xbf\xee\xbe\x80", 6, "\"\xee\xbd\xbf\\uefee\\uefbe\\uef80\""},
        {"\xee\xbf\xbf\xef\x80\x80", 6, "\"\\uefee\\uefbf\\uefbf\xef\x80\x80\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct json j = start();
        json_span(&j, span_of(cases[i].value, cases[i].n));
        expect(&j, cases[i].want);
    }
}

static void keys_are_escaped(void **state)
{
    (void)state;
    struct json j = start();
    json_object_begin(&j);
    json_key(&j, "a\"\xff");
    json_null(&j);
    json_object_end(&j);
    expect(&j, "{\"a\\\"\\uefff\":null}");
}

/* ---- a strict reader of strings ---- */

static unsigned hex4(const char *at)
{
    uint8_t two[2];
    assert_true(hex_read(span_of(at, 4), two, 2));
    return (unsigned)two[0] << 8 | two[1];
}

static size_t put_utf8(uint8_t *to, uint32_t c)
{
    if (c < 0x80) {
        to[0] = (uint8_t)c;
        return 1;
    }
    if (c < 0x800) {
        to[0] = (uint8_t)(0xc0 | c >> 6);
        to[1] = (uint8_t)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        to[0] = (uint8_t)(0xe0 | c >> 12);
        to[1] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
        to[2] = (uint8_t)(0x80 | (c & 0x3f));
        return 3;
    }
    to[0] = (uint8_t)(0xf0 | c >> 18);
    to[1] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
    to[2] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
    to[3] = (uint8_t)(0x80 | (c & 0x3f));
    return 4;
}

/* Reads \uNNNN at *at: a byte that is not UTF-8, or a character. Half a surrogate fails. */
static size_t take_escape(const char **at, uint8_t *to)
{
    const unsigned first = hex4(*at + 2);
    *at += 6;
    if (first >= 0xef80 && first <= 0xefff) {
        *to = (uint8_t)first;
        return 1;
    }
    assert_false(first >= 0xdc00 && first <= 0xdfff);
    if (first < 0xd800 || first > 0xdbff)
        return put_utf8(to, first);
    assert_int_equal(strncmp(*at, "\\u", 2), 0);
    const unsigned second = hex4(*at + 2);
    *at += 6;
    assert_in_range(second, 0xdc00, 0xdfff);
    return put_utf8(to, 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00));
}

/* Returns the bytes that a string of JSON stands for. */
static struct span decoded(const char *text)
{
    static uint8_t out[4096];
    size_t n = 0;

    assert_int_equal(*text++, '"');
    while (*text != '"') {
        assert_true((uint8_t)*text >= ' ' && *text != 0x7f);
        if (*text != '\\') {
            out[n++] = (uint8_t)*text++;
        } else if (text[1] == 'u') {
            n += take_escape(&text, out + n);
        } else {
            assert_true(text[1] == '"' || text[1] == '\\');
            out[n++] = (uint8_t)text[1];
            text += 2;
        }
    }
    assert_string_equal(text, "\"");
    return span_of(out, n);
}

static void check_round_trip(struct span value)
{
    struct json j = start();
    json_span(&j, value);
    const char *text = memo_text(&memo);
    const struct span back = decoded(text);
    assert_true(span_eq(back, value));
    memo_free(&memo);
}

static void every_byte_is_read_back(void **state)
{
    (void)state;
    uint8_t all[256];
    for (unsigned i = 0; i < 256; i++) {
        all[i] = (uint8_t)i;
        check_round_trip(span_of(&all[i], 1));
        for (unsigned k = 0; k < 256; k++)
            check_round_trip(span_of(((uint8_t[]){(uint8_t)i, (uint8_t)k}), 2));
    }
    check_round_trip(span_of(all, sizeof all));
}

static void every_character_is_read_back_whole_and_cut(void **state)
{
    (void)state;
    for (uint32_t c = 0x80; c < 0x110000; c += c < 0x10000 ? 1 : 251) {
        uint8_t form[4];
        const size_t n = put_utf8(form, c); /* a surrogate's is not UTF-8 */
        for (size_t cut = 1; cut <= n; cut++)
            check_round_trip(span_of(form, cut));
    }
}

static void random_bytes_are_read_back(void **state)
{
    (void)state;
    srand(1);
    for (int i = 0; i < 5000; i++) {
        uint8_t bytes[64];
        const size_t n = (size_t)rand() % sizeof bytes;
        for (size_t k = 0; k < n; k++)
            bytes[k] = (uint8_t)rand();
        check_round_trip(span_of(bytes, n));
    }
}

/* ---- errors of the caller ---- */

static void value_without_key(struct json *j)
{
    json_object_begin(j);
    json_u64(j, 1);
}

static void key_without_value(struct json *j)
{
    json_object_begin(j);
    json_key(j, "a");
    json_object_end(j);
}

static void key_in_array(struct json *j)
{
    json_array_begin(j);
    json_key(j, "a");
}

static void wrong_end(struct json *j)
{
    json_array_begin(j);
    json_object_end(j);
}

static void end_without_begin(struct json *j)
{
    json_array_end(j);
}

static void second_value(struct json *j)
{
    json_u64(j, 1);
    json_u64(j, 1);
}

static void too_deep(struct json *j)
{
    for (int i = 0; i <= JSON_DEPTH_MAX; i++)
        json_array_begin(j);
}

static void what_is_not_json_ends_the_program(void **state)
{
    (void)state;
    static void (*const faults[])(struct json *) = {
        value_without_key, key_without_value, key_in_array, wrong_end,
        end_without_begin, second_value,      too_deep};
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        int status;
        const pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            signal(SIGABRT, SIG_DFL);
            if (freopen("/dev/null", "w", stderr) == NULL)
                _exit(1);
            struct json j = start();
            faults[i](&j);
            _exit(0);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects_and_arrays_nest),
        cmocka_unit_test(the_deepest_nesting),
        cmocka_unit_test(each_kind_of_value),
        cmocka_unit_test(a_value_alone_is_a_text),
        cmocka_unit_test(strings_are_escaped),
        cmocka_unit_test(keys_are_escaped),
        cmocka_unit_test(every_byte_is_read_back),
        cmocka_unit_test(every_character_is_read_back_whole_and_cut),
        cmocka_unit_test(random_bytes_are_read_back),
        cmocka_unit_test(what_is_not_json_ends_the_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
