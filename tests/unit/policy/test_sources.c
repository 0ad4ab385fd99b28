#include "policy/sources.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

#define POLICY "tests/policy" /* the tests run in the root of the tree */

static void each_file_is_read_once(void **state)
{
    (void)state;
    struct sources s = {.files = files_new(NULL)};
    const struct netset *set = sources_netset(&s, POLICY "/partners.txt", stderr);
    assert_non_null(set);
    assert_true(netset_count(set) > 0);
    assert_ptr_equal(sources_netset(&s, POLICY "/partners.txt", stderr), set);
    files_free(s.files);
}

static void problems_of_a_file_are_reported_once(void **state)
{
    (void)state;
    struct sources s = {.files = files_new(NULL)};
    char *problems;
    size_t n;
    FILE *f = open_memstream(&problems, &n);
    assert_null(sources_netset(&s, "/nowhere.txt", f));
    assert_null(sources_netset(&s, "/nowhere.txt", f));
    fclose(f);
    assert_string_equal(problems, "/nowhere.txt: cannot be opened: No such file or directory\n");
    free(problems);
    files_free(s.files);
}

static void each_zone_is_loaded_once(void **state)
{
    (void)state;
    char problem[ZONE_PROBLEM_MAX];
    struct sources s = {.files = files_new(NULL)};
    const struct zone *utc = sources_zone(&s, "UTC", problem);
    const struct zone *berlin = sources_zone(&s, "Europe/Berlin", problem);
    assert_non_null(utc);
    assert_non_null(berlin);
    assert_ptr_equal(sources_zone(&s, "UTC", problem), utc);
    assert_ptr_equal(sources_zone(&s, "Europe/Berlin", problem), berlin);
    assert_null(sources_zone(&s, "Europe/Berln", problem));
    assert_string_equal(problem, "/usr/share/zoneinfo/Europe/Berln: No such file or directory");
    assert_null(sources_zone(&s, "Europe/Berln", problem));
    assert_string_equal(problem, "see above");
    files_free(s.files);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_file_is_read_once),
        cmocka_unit_test(problems_of_a_file_are_reported_once),
        cmocka_unit_test(each_zone_is_loaded_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
