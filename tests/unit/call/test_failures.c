#include "call/failures.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

static struct failure numbered(uint64_t number)
{
    return (struct failure){.time_ms = 1800000000000,
                            .number = number,
                            .reason = REASON_LIMIT,
                            .outcome = OUTCOME_REFUSED,
                            .stage = "proxy",
                            .listener = "front",
                            .user = "alice"};
}

struct seen {
    uint64_t first, last;
    size_t count;
};

static void see(void *arg, const struct failure *f)
{
    struct seen *s = arg;
    if (s->count++ == 0)
        s->first = f->number;
    s->last = f->number;
    assert_string_equal(f->listener, "front");
    assert_string_equal(f->user, "alice");
    assert_null(f->host);
    assert_string_equal(f->stage, "proxy");
}

static struct seen look(struct failures *all)
{
    struct seen s = {0};
    failures_each(all, see, &s);
    return s;
}

static void the_latest_come_first(void **state)
{
    (void)state;
    struct failures *all = failures_new();

    assert_int_equal(look(all).count, 0);
    for (uint64_t i = 1; i <= 3; i++) {
        const struct failure f = numbered(i);
        failures_add(all, &f);
    }
    const struct seen s = look(all);
    assert_int_equal(s.count, 3);
    assert_int_equal(s.first, 3);
    assert_int_equal(s.last, 1);
    failures_free(all);
    failures_free(NULL);
}

static void the_oldest_are_forgotten(void **state)
{
    (void)state;
    struct failures *all = failures_new();

    for (uint64_t i = 1; i <= 2 * FAILURES_MAX + 5; i++) {
        const struct failure f = numbered(i);
        failures_add(all, &f);
    }
    const struct seen s = look(all);
    assert_int_equal(s.count, FAILURES_MAX);
    assert_int_equal(s.first, 2 * FAILURES_MAX + 5);
    assert_int_equal(s.last, FAILURES_MAX + 6);
    assert_int_equal(failures_count(all), 2 * FAILURES_MAX + 5);
    failures_free(all);
}

/* The texts are copies. */
static void the_call_may_be_freed(void **state)
{
    (void)state;
    struct failures *all = failures_new();
    char *user = strdup("alice");
    struct failure f = numbered(1);

    f.user = user;
    failures_add(all, &f);
    memset(user, 'x', strlen(user));
    free(user);
    assert_int_equal(look(all).count, 1);
    failures_free(all);
}

/* A call that fails while the list is read replaces the oldest one, which the reader still sees. */
static void replace_all(void *arg, const struct failure *f)
{
    struct failures *all = arg;
    const struct failure next = numbered(1000000);

    assert_true(f->number <= FAILURES_MAX);
    assert_string_equal(f->user, "alice");
    failures_add(all, &next);
}

static void calls_may_fail_while_the_list_is_read(void **state)
{
    (void)state;
    struct failures *all = failures_new();

    for (uint64_t i = 1; i <= FAILURES_MAX; i++) {
        const struct failure f = numbered(i);
        failures_add(all, &f);
    }
    failures_each(all, replace_all, all);
    const struct seen s = look(all);
    assert_int_equal(s.count, FAILURES_MAX);
    assert_int_equal(s.last, 1000000);
    failures_free(all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_latest_come_first),
        cmocka_unit_test(the_oldest_are_forgotten),
        cmocka_unit_test(the_call_may_be_freed),
        cmocka_unit_test(calls_may_fail_while_the_list_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
