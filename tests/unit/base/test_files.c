/* Files: shared objects, files that are read again, and objects that stay in force because the new
 * content of their file cannot be used.
 * */
#include "base/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

static char folder[] = "/tmp/sstpgate-files-XXXXXX";
static char one[64], two[64], nowhere[64];
static unsigned loads, frees;

/* The first lines of the files, one after the other; content "bad" cannot be used. */
static void *load_words(const char *const path[FILES_PATHS], FILE *problems)
{
    char *all = calloc(1, 256);
    loads++;
    for (size_t i = 0; i < FILES_PATHS && path[i] != NULL; i++) {
        char word[64] = "";
        FILE *f = fopen(path[i], "r");
        if (f == NULL || fgets(word, sizeof word, f) == NULL || strcmp(word, "bad") == 0) {
            fprintf(problems, "%s: %s\nand more\n", path[i], f == NULL ? "missing" : "bad");
            if (f != NULL)
                fclose(f);
            free(all);
            return NULL;
        }
        strcat(all, word);
        fclose(f);
    }
    return all;
}

static void free_words(void *words)
{
    frees++;
    free(words);
}

static void *load_name(const char *const path[FILES_PATHS], FILE *problems)
{
    (void)problems;
    loads++;
    return strdup(path[0]);
}

static const struct files_kind words = {.load = load_words, .free = free_words},
                               others = {.load = load_words, .free = free_words},
                               names = {.load = load_name, .free = free_words, .fixed = true};

static void put(const char *path, const char *text)
{
    char beside[80];
    snprintf(beside, sizeof beside, "%s.new", path);
    FILE *f = fopen(beside, "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(rename(beside, path), 0); /* another inode, whatever the clock's grain */
}

static int begin(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(one, sizeof one, "%s/one", folder);
    snprintf(two, sizeof two, "%s/two", folder);
    snprintf(nowhere, sizeof nowhere, "%s/nowhere", folder);
    return 0;
}

static int end(void **state)
{
    (void)state;
    unlink(one);
    unlink(two);
    return rmdir(folder);
}

static int fresh(void **state)
{
    (void)state;
    put(one, "a");
    put(two, "b");
    loads = frees = 0;
    return 0;
}

#define BOTH                                                                                       \
    (const char *const[FILES_PATHS])                                                               \
    {                                                                                              \
        one, two                                                                                   \
    }

static void each_is_loaded_once_and_freed_once(void **state)
{
    struct files *f = files_new(NULL);
    (void)state;
    const char *a = files_get_one(f, &words, one, stderr);
    assert_string_equal(a, "a");
    assert_ptr_equal(files_get_one(f, &words, one, stderr), a);
    assert_string_equal(files_get(f, &words, BOTH, stderr), "ab");
    assert_ptr_not_equal(files_get_one(f, &others, one, stderr), a);
    assert_int_equal(loads, 3);
    files_free(f);
    assert_int_equal(frees, 3);
    files_free(NULL);
}

static void problems_without_an_older_object_are_reported_once(void **state)
{
    struct files *f = files_new(NULL);
    char *problems;
    size_t n;
    FILE *to = open_memstream(&problems, &n);
    (void)state;
    assert_null(files_get_one(f, &words, nowhere, to));
    assert_null(files_get_one(f, &words, nowhere, to));
    fclose(to);
    assert_string_equal(problems + strlen(nowhere), ": missing\nand more\n");
    assert_int_equal(loads, 1);
    free(problems);
    files_free(f);
    assert_int_equal(frees, 0);
}

struct listed {
    char text[512];
};

static void list_item(void *arg, const struct files_item *item)
{
    struct listed *t = arg;
    char line[160];
    assert_non_null(item->seen);
    snprintf(line, sizeof line, "%s%s%s%s\n", item->path + strlen(folder) + 1,
             item->changed ? " changed" : "", item->stale == NULL ? "" : " ",
             item->stale == NULL ? "" : item->stale + strlen(folder) + 1);
    strcat(t->text, line);
}

static void assert_listed(const struct files *f, const char *text)
{
    struct listed t = {""};
    files_each(f, list_item, &t);
    assert_string_equal(t.text, text);
}

/* Fills a list of the two files and of both together. */
static struct files *three(const struct files *last)
{
    struct files *f = files_new(last);
    assert_non_null(files_get_one(f, &words, one, stderr));
    assert_non_null(files_get_one(f, &words, two, stderr));
    assert_non_null(files_get(f, &words, BOTH, stderr));
    return f;
}

static void a_changed_file_is_read_alone(void **state)
{
    (void)state;
    struct files *first = three(NULL), *same = three(first);
    assert_int_equal(loads, 3);
    assert_listed(same, "one\ntwo\n");
    assert_false(files_renewed(same, &words));
    assert_ptr_equal(files_get_one(same, &words, one, stderr),
                     files_get_one(first, &words, one, stderr));
    files_settle(same);
    files_free(first);
    assert_int_equal(frees, 0);

    put(two, "c");
    struct files *next = three(same);
    assert_int_equal(loads, 5);
    assert_listed(next, "one\ntwo changed\n");
    assert_true(files_renewed(next, &words));
    assert_false(files_renewed(next, &others));
    assert_ptr_equal(files_get_one(next, &words, one, stderr),
                     files_get_one(same, &words, one, stderr));
    assert_string_equal(files_get_one(next, &words, two, stderr), "c");
    assert_string_equal(files_get(next, &words, BOTH, stderr), "ac");
    files_settle(next);
    files_free(same);
    assert_int_equal(frees, 2);
    files_free(next);
    assert_int_equal(frees, loads);
}

static void a_bad_file_keeps_its_old_object(void **state)
{
    static const char *const contents[] = {"bad", NULL};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        char text[128];
        fresh(NULL);
        struct files *first = three(NULL);
        put(one, "n");
        if (contents[i] == NULL)
            unlink(two);
        else
            put(two, contents[i]);
        struct files *next = three(first);
        snprintf(text, sizeof text, "one changed two: %s\ntwo changed two: %s\n",
                 i == 0 ? "bad" : "missing", i == 0 ? "bad" : "missing");
        assert_listed(next, text);
        assert_string_equal(files_get_one(next, &words, one, stderr), "n");
        assert_string_equal(files_get_one(next, &words, two, stderr), "b");
        assert_string_equal(files_get(next, &words, BOTH, stderr), "ab");
        files_settle(next);
        files_free(first);

        const unsigned before = loads; /* read again, without success */
        struct files *again = three(next);
        assert_int_equal(loads, before + 2);
        snprintf(text, sizeof text, "one two: %s\ntwo two: %s\n", i == 0 ? "bad" : "missing",
                 i == 0 ? "bad" : "missing");
        assert_listed(again, text);
        files_settle(again);
        files_free(next);

        put(two, "d");
        struct files *good = three(again);
        assert_listed(good, "one\ntwo changed\n");
        assert_string_equal(files_get(good, &words, BOTH, stderr), "nd");
        files_settle(good);
        files_free(again);
        files_free(good);
        assert_int_equal(frees + 4, loads); /* four loads failed */
    }
}

static void an_object_that_does_not_fit_is_reverted(void **state)
{
    (void)state;
    struct files *first = three(NULL);
    assert_false(files_revert(first, &words, BOTH, "no"));
    put(two, "c");
    struct files *next = three(first);
    assert_false(files_revert(next, &words, (const char *const[FILES_PATHS]){one}, "no"));
    char reason[80];
    snprintf(reason, sizeof reason, "%s/misfit", folder);
    assert_true(files_revert(next, &words, BOTH, reason));
    assert_false(files_revert(next, &words, BOTH, reason));
    assert_string_equal(files_get(next, &words, BOTH, stderr), "ab");
    assert_string_equal(files_get_one(next, &words, two, stderr), "c");
    assert_listed(next, "one misfit\ntwo changed misfit\n");
    files_settle(next);
    files_free(first);
    files_free(next);
    assert_int_equal(frees, loads);
}

/* Its file is unchanged, but the file that it does not fit may be another one now. */
static void a_reverted_object_is_tried_again(void **state)
{
    (void)state;
    struct files *first = three(NULL);
    put(two, "c");
    struct files *next = three(first);
    char reason[80];
    snprintf(reason, sizeof reason, "%s/misfit", folder);
    assert_true(files_revert(next, &words, BOTH, reason));
    files_settle(next);
    files_free(first);
    struct files *again = three(next);
    assert_string_equal(files_get(again, &words, BOTH, stderr), "ac");
    assert_true(files_renewed(again, &words));
    assert_listed(again, "one changed\ntwo changed\n");
    assert_true(files_is_retried(again, &words, BOTH));
    assert_false(files_is_retried(again, &words, (const char *const[FILES_PATHS]){two}));
    assert_false(files_revert_retried(again, &words, (const char *const[FILES_PATHS]){two}));
    assert_true(files_revert_retried(again, &words, BOTH)); /* still no fit: no news */
    assert_false(files_is_retried(again, &words, BOTH));
    assert_false(files_revert_retried(again, &words, BOTH));
    assert_listed(again, "one misfit\ntwo misfit\n");
    files_settle(again);
    files_free(next);
    files_free(again);
    assert_int_equal(frees, loads);
}

static void a_name_is_never_read_again(void **state)
{
    struct files *first = files_new(NULL);
    (void)state;
    const char *utc = files_get_one(first, &names, "UTC", stderr);
    struct files *next = files_new(first);
    assert_ptr_equal(files_get_one(next, &names, "UTC", stderr), utc);
    assert_int_equal(loads, 1);
    assert_listed(next, "");
    files_settle(next);
    files_free(first);
    files_free(next);
    assert_int_equal(frees, 1);
}

/* A new mode may make a file usable, and changes nothing but st_ctim. */
static void a_new_mode_is_a_change(void **state)
{
    (void)state;
    const struct files_seen was = files_look(one);
    assert_true(was.exists);
    struct files_seen is = was;
    for (int i = 0; i < 10000000 && files_same(&was, &is); i++) { /* within the clock's grain */
        assert_int_equal(chmod(one, i % 2 == 0 ? 0600 : 0640), 0);
        is = files_look(one);
    }
    assert_false(files_same(&was, &is));
    const struct files_seen none = files_look(nowhere), other = files_look("/nowhere");
    assert_false(none.exists);
    assert_true(files_same(&none, &other));
    assert_false(files_same(&none, &was));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(each_is_loaded_once_and_freed_once, fresh),
        cmocka_unit_test_setup(problems_without_an_older_object_are_reported_once, fresh),
        cmocka_unit_test_setup(a_changed_file_is_read_alone, fresh),
        cmocka_unit_test_setup(a_bad_file_keeps_its_old_object, fresh),
        cmocka_unit_test_setup(an_object_that_does_not_fit_is_reverted, fresh),
        cmocka_unit_test_setup(a_reverted_object_is_tried_again, fresh),
        cmocka_unit_test_setup(a_name_is_never_read_again, fresh),
        cmocka_unit_test_setup(a_new_mode_is_a_change, fresh),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
