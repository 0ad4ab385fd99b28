#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "shared/shared_changes.h"

enum { HOUR = 3600 * 1000 };

/* Writes the changes in their order as "SUBJECT KIND", with a `?` after each offered change. */
static const char *list(const struct shared_changes *c)
{
    static char text[256];
    const struct shared_change *at, *next;

    text[0] = '\0';
    HASH_ITER(hh, c->table, at, next) {
        const size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, "%s%s %s%s", used > 0 ? ", " : "", at->subject,
                 at->kind == SHARED_LIFT ? "lift" : "ban", at->offer ? "?" : "");
    }
    return text;
}

static uint64_t make(struct shared_changes *c, const char *subject, enum shared_ban_kind kind)
{
    return shared_changes_make(c, subject, kind, 1000000, HOUR)->number;
}

static bool take(struct shared_changes *c, const char *subject, enum shared_ban_kind kind,
                 uint64_t stamp)
{
    return shared_changes_take(c, subject, kind, stamp, HOUR);
}

static int setup(void **state)
{
    static struct shared_changes c;

    shared_changes_init(&c);
    *state = &c;
    return 0;
}

static int teardown(void **state)
{
    shared_changes_fini(*state);
    return 0;
}

static void the_last_change_of_a_subject_stays(void **state)
{
    struct shared_changes *c = *state;

    assert_int_equal(make(c, "u:a", SHARED_LIFT), 1);
    assert_int_equal(make(c, "u:b", SHARED_MANUAL), 2);
    assert_int_equal(make(c, "u:a", SHARED_MANUAL), 3);
    assert_string_equal(list(c), "u:b ban?, u:a ban?");
    const struct shared_change *a = shared_changes_find(c, "u:a");
    assert_int_equal(a->made_us, 1000000);
    assert_int_equal(a->until_ms, 1000 + HOUR);
    assert_int_equal(a->stamp, 0);
    assert_null(shared_changes_find(c, "u:c"));
    make(c, "*", SHARED_LIFT);
    make(c, "u:b", SHARED_BY_POINTS);
    assert_string_equal(list(c), "* lift?, u:b ban?");
}

static void an_acknowledged_change_is_not_offered(void **state)
{
    struct shared_changes *c = *state;
    const uint64_t first = make(c, "u:a", SHARED_LIFT);

    make(c, "u:b", SHARED_MANUAL);
    shared_changes_ack(c, "u:a", first);
    shared_changes_ack(c, "u:b", first); /* the number of the change before */
    shared_changes_ack(c, "u:c", first);
    assert_string_equal(list(c), "u:a lift, u:b ban?");
    shared_changes_lost(c);
    assert_string_equal(list(c), "u:a lift?, u:b ban?");
}

/* The later change wins, in whatever order two changes arrive. */
static void an_earlier_change_is_not_taken(void **state)
{
    struct shared_changes *c = *state;

    assert_true(take(c, "u:a", SHARED_MANUAL, 50));
    assert_false(take(c, "u:a", SHARED_LIFT, 49));
    assert_true(take(c, "u:a", SHARED_LIFT, 51));
    assert_true(take(c, "u:a", SHARED_MANUAL, 51)); /* the store has the ban last */
    assert_string_equal(list(c), "u:a ban");
    assert_false(take(c, "u:a", SHARED_MANUAL, 51)); /* the same change */
}

/* The store may have lost a change, and may then have an older one from another gate. */
static void a_lost_change_is_offered_until_the_store_has_it(void **state)
{
    struct shared_changes *c = *state;

    take(c, "u:a", SHARED_LIFT, 50);
    shared_changes_lost(c);
    assert_false(take(c, "u:a", SHARED_MANUAL, 40));
    assert_string_equal(list(c), "u:a lift?");
    assert_false(take(c, "u:a", SHARED_LIFT, 50));
    assert_string_equal(list(c), "u:a lift");
    shared_changes_lost(c);
    assert_true(take(c, "u:a", SHARED_MANUAL, 60));
    assert_string_equal(list(c), "u:a ban");
}

/* An offered change without a stamp stays, because the gate cannot compare it with the store's. */
static void an_offered_change_of_this_gate_stays(void **state)
{
    struct shared_changes *c = *state;
    const uint64_t number = make(c, "u:a", SHARED_LIFT);

    assert_false(take(c, "u:a", SHARED_MANUAL, 5000000));
    shared_changes_ack(c, "u:a", number);
    assert_true(take(c, "u:a", SHARED_MANUAL, 5000000));
    make(c, "*", SHARED_LIFT);
    assert_false(take(c, "u:b", SHARED_MANUAL, 6000000));
    assert_string_equal(list(c), "* lift?");
}

/* A change is later than the one that it replaces, even if the clocks say the opposite. */
static void the_floor_is_above_the_replaced_change(void **state)
{
    struct shared_changes *c = *state;

    take(c, "u:a", SHARED_MANUAL, 9000000);
    make(c, "u:a", SHARED_LIFT);
    assert_int_equal(shared_changes_find(c, "u:a")->floor, 9000001);
    make(c, "u:a", SHARED_MANUAL);
    assert_int_equal(shared_changes_find(c, "u:a")->floor, 9000002);
    make(c, "*", SHARED_LIFT);
    assert_int_equal(shared_changes_find(c, "*")->floor, 9000003);
    make(c, "u:b", SHARED_MANUAL);
    assert_int_equal(shared_changes_find(c, "u:b")->floor, 9000004);
}

static void a_lift_of_all_replaces_earlier_changes(void **state)
{
    struct shared_changes *c = *state;

    take(c, "u:a", SHARED_MANUAL, 40);
    take(c, "u:b", SHARED_MANUAL, 60);
    make(c, "u:c", SHARED_MANUAL);
    assert_true(take(c, "*", SHARED_LIFT, 50));
    assert_string_equal(list(c), "u:b ban, u:c ban?, * lift");
    assert_false(take(c, "u:a", SHARED_MANUAL, 49)); /* from a gate that has not taken the lift */
    assert_true(take(c, "u:a", SHARED_MANUAL, 51));
}

/* The store has skipped a change of this gate, because it is earlier than the lift of all. */
static void a_repeated_lift_of_all_ends_refused_changes(void **state)
{
    struct shared_changes *c = *state;
    const uint64_t number = make(c, "u:a", SHARED_MANUAL);

    assert_true(take(c, "*", SHARED_LIFT, 50));
    assert_string_equal(list(c), "u:a ban?, * lift");
    assert_false(take(c, "*", SHARED_LIFT, 50));
    shared_changes_ack(c, "u:a", number);
    assert_true(take(c, "*", SHARED_LIFT, 50));
    assert_string_equal(list(c), "* lift");
}

static void ended_changes_are_removed(void **state)
{
    struct shared_changes *c = *state;

    shared_changes_make(c, "u:a", SHARED_MANUAL, 1000000, 100);
    shared_changes_make(c, "u:b", SHARED_MANUAL, 1000000, 101);
    shared_changes_sweep(c, 1100);
    assert_string_equal(list(c), "u:b ban?");
}

static void the_oldest_of_too_many_is_dropped(void **state)
{
    struct shared_changes *c = *state;
    char subject[16];

    for (unsigned i = 0; i <= SHARED_CHANGES_KEPT; i++) {
        snprintf(subject, sizeof subject, "u:%u", i);
        make(c, subject, SHARED_MANUAL);
    }
    assert_int_equal(HASH_COUNT(c->table), SHARED_CHANGES_KEPT);
    assert_null(shared_changes_find(c, "u:0"));
    assert_non_null(shared_changes_find(c, "u:1"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_last_change_of_a_subject_stays),
        TEST(an_acknowledged_change_is_not_offered),
        TEST(an_earlier_change_is_not_taken),
        TEST(a_lost_change_is_offered_until_the_store_has_it),
        TEST(an_offered_change_of_this_gate_stays),
        TEST(the_floor_is_above_the_replaced_change),
        TEST(a_lift_of_all_replaces_earlier_changes),
        TEST(a_repeated_lift_of_all_ends_refused_changes),
        TEST(ended_changes_are_removed),
        TEST(the_oldest_of_too_many_is_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
