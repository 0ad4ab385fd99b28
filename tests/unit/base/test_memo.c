#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/memo.h"

static void what_was_written_is_the_text(void **state)
{
    (void)state;
    struct memo m;
    FILE *f = memo_open(&m);
    fprintf(f, "line %d\n", 1);
    fputs("line 2\n", f);
    assert_string_equal(memo_text(&m), "line 1\nline 2\n");
    assert_int_equal(m.n, 14);
    assert_ptr_equal(memo_text(&m), m.text);
    memo_free(&m);
    assert_null(m.text);
}

static void nothing_written_is_an_empty_text(void **state)
{
    (void)state;
    struct memo m;
    memo_open(&m);
    assert_string_equal(memo_text(&m), "");
    assert_int_equal(m.n, 0);
    memo_free(&m);
}

static void the_caller_may_take_the_text(void **state)
{
    (void)state;
    struct memo m;
    fputs("kept", memo_open(&m));
    char *text = memo_take(&m);
    memo_free(&m);
    assert_string_equal(text, "kept");
    free(text);
}

/* The leak checker of an asan build finds the stream or the text otherwise. */
static void a_text_that_is_not_taken_is_freed(void **state)
{
    (void)state;
    struct memo m;
    fputs("unread", memo_open(&m));
    memo_free(&m);
    memo_free(&m);
}

static void long_texts(void **state)
{
    (void)state;
    struct memo m;
    FILE *f = memo_open(&m);
    for (int i = 0; i < 100000; i++)
        fputc('a' + i % 26, f);
    char *text = memo_text(&m);
    assert_int_equal(m.n, 100000);
    assert_int_equal(strlen(text), 100000);
    assert_int_equal(text[99999], 'a' + 99999 % 26);
    memo_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_is_the_text),
        cmocka_unit_test(nothing_written_is_an_empty_text),
        cmocka_unit_test(the_caller_may_take_the_text),
        cmocka_unit_test(a_text_that_is_not_taken_is_freed),
        cmocka_unit_test(long_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
