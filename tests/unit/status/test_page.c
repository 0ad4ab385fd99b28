#include "status/page.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

/* Reads a file of the tree with a NUL behind it; the caller frees it. */
static char *read_file(const char *name, size_t *size)
{
    FILE *in = fopen(name, "r");
    assert_non_null(in);
    assert_int_equal(fseek(in, 0, SEEK_END), 0);
    *size = (size_t)ftell(in);
    rewind(in);
    char *text = malloc(*size + 1);
    assert_non_null(text);
    assert_int_equal(fread(text, 1, *size, in), *size);
    text[*size] = '\0';
    fclose(in);
    return text;
}

static void each_path_has_the_bytes_of_its_file(void **state)
{
    (void)state;
    static const struct {
        const char *path, *file, *type;
    } cases[] = {
        {"/", "proxy/status/page.html", "text/html; charset=utf-8"},
        {"/page.css", "proxy/status/page.css", "text/css; charset=utf-8"},
        {"/page.js", "proxy/status/page.js", "text/javascript; charset=utf-8"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct page_file file;
        assert_true(page_find(cases[i].path, &file));
        assert_string_equal(file.type, cases[i].type);
        size_t size;
        char *text = read_file(cases[i].file, &size);
        assert_true(size > 0);
        assert_int_equal(file.body.n, size);
        assert_memory_equal(file.body.p, text, size);
        free(text);
    }
}

static void other_paths_have_no_file(void **state)
{
    (void)state;
    static const char *const cases[] = {"",   "/page.html", "/page.css/",   "//",
                                        "/?", "/PAGE.CSS",  "/page.js.map", "page.css"};
    struct page_file file = {.type = "untouched"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_false(page_find(cases[i], &file));
    assert_string_equal(file.type, "untouched");
}

/* The policy forbids all of these, so that a browser would not apply or run them. */
static void the_files_need_only_what_the_policy_allows(void **state)
{
    (void)state;
    static const struct {
        const char *file, *text;
    } forbidden[] = {
        {"proxy/status/page.html", " style="},  {"proxy/status/page.html", "<style"},
        {"proxy/status/page.html", " onclick"}, {"proxy/status/page.html", "//"},
        {"proxy/status/page.css", "url("},      {"proxy/status/page.css", "@import"},
        {"proxy/status/page.js", "innerHTML"},  {"proxy/status/page.js", "outerHTML"},
        {"proxy/status/page.js", "insertAdj"},  {"proxy/status/page.js", "document.write"},
        {"proxy/status/page.js", "eval("},      {"proxy/status/page.js", "Function("},
        {"proxy/status/page.js", "https:"},
    };
    for (size_t i = 0; i < sizeof forbidden / sizeof *forbidden; i++) {
        size_t size;
        char *text = read_file(forbidden[i].file, &size);
        if (strstr(text, forbidden[i].text) != NULL)
            fail_msg("%s contains '%s'", forbidden[i].file, forbidden[i].text);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_path_has_the_bytes_of_its_file),
        cmocka_unit_test(other_paths_have_no_file),
        cmocka_unit_test(the_files_need_only_what_the_policy_allows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
