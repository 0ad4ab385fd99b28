#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "shared/shared_changes.h"

enum { NOW = 1000, HOUR = 3600 * 1000 };

/* Writes the list as "subject kind" with a `.` behind acknowledged changes. */
static const char *list(const struct shared_changes *c)
{
    static char text[256];
    const struct shared_change *at;

    text[0] = '\0';
    for (at = c->first; at != NULL; at = at->next) {
        const size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, "%s %s%s ", at->subject,
                 at->kind == SHARED_LIFT ? "lift" : "ban", at->acked ? "." : "");
    }
    return text;
}

/* The last change of a subject is the one that is kept, behind the changes before it. */
static void the_last_change_counts(void **state)
{
    (void)state;
    struct shared_changes c = {0};

    assert_int_equal(shared_changes_add(&c, "u:a", SHARED_LIFT, NOW, HOUR), 1);
    assert_int_equal(shared_changes_add(&c, "u:b", SHARED_MANUAL, NOW, HOUR), 2);
    assert_int_equal(shared_changes_add(&c, "u:a", SHARED_MANUAL, NOW + 5, HOUR), 3);
    assert_string_equal(list(&c), "u:b ban u:a ban ");
    assert_int_equal(c.first->next->made_ms, NOW + 5);
    assert_int_equal(shared_changes_add(&c, "*", SHARED_LIFT, NOW, HOUR), 4);
    assert_int_equal(shared_changes_add(&c, "u:b", SHARED_BY_POINTS, NOW, HOUR), 5);
    assert_string_equal(list(&c), "* lift u:b ban ");
    assert_int_equal(c.count, 2);
    shared_changes_fini(&c);
}

/* What waits for the store is newer than what the store says. */
static void pending_changes(void **state)
{
    (void)state;
    struct shared_changes c = {0};

    assert_false(shared_changes_pending(&c, "u:a"));
    (void)shared_changes_add(&c, "u:a", SHARED_LIFT, NOW, HOUR);
    const uint64_t second = shared_changes_add(&c, "u:b", SHARED_MANUAL, NOW, HOUR);
    (void)shared_changes_add(&c, "u:c", SHARED_LIFT, NOW, HOUR);
    shared_changes_ack(&c, second);
    assert_string_equal(list(&c), "u:a lift. u:b ban. u:c lift ");
    assert_false(shared_changes_pending(&c, "u:a"));
    assert_true(shared_changes_pending(&c, "u:c"));
    assert_false(shared_changes_pending(&c, "*"));
    shared_changes_lost(&c);
    assert_true(shared_changes_pending(&c, "u:a"));
    (void)shared_changes_add(&c, "*", SHARED_LIFT, NOW, HOUR);
    assert_true(shared_changes_pending(&c, "u:z"));
    assert_true(shared_changes_pending(&c, "*"));
    shared_changes_fini(&c);
}

/* A change of another gate ends those that the store had before. */
static void replaced_changes(void **state)
{
    (void)state;
    struct shared_changes c = {0};

    const uint64_t first = shared_changes_add(&c, "u:a", SHARED_LIFT, NOW, HOUR);
    (void)shared_changes_add(&c, "u:b", SHARED_LIFT, NOW, HOUR);
    shared_changes_replaced(&c, "u:a");
    assert_int_equal(c.count, 2);
    shared_changes_ack(&c, first);
    shared_changes_replaced(&c, "u:b");
    shared_changes_replaced(&c, "u:a");
    assert_string_equal(list(&c), "u:b lift ");
    (void)shared_changes_add(&c, "u:c", SHARED_MANUAL, NOW, HOUR);
    shared_changes_ack(&c, first + 1);
    shared_changes_replaced(&c, "*");
    assert_string_equal(list(&c), "u:c ban ");
    shared_changes_fini(&c);
}

static void ended_changes(void **state)
{
    (void)state;
    struct shared_changes c = {0};

    (void)shared_changes_add(&c, "u:a", SHARED_MANUAL, NOW, 100);
    (void)shared_changes_add(&c, "u:b", SHARED_MANUAL, NOW, 101);
    shared_changes_sweep(&c, NOW + 100);
    assert_string_equal(list(&c), "u:b ban ");
    shared_changes_fini(&c);
}

/* The oldest acknowledged change is dropped first, then the oldest one. */
static void a_full_list(void **state)
{
    (void)state;
    struct shared_changes c = {0};
    char subject[16];

    for (unsigned i = 0; i < SHARED_CHANGES_OWN; i++) {
        snprintf(subject, sizeof subject, "u:%u", i);
        (void)shared_changes_add(&c, subject, SHARED_MANUAL, NOW, HOUR);
    }
    c.first->next->acked = true;
    (void)shared_changes_add(&c, "u:x", SHARED_MANUAL, NOW, HOUR);
    assert_true(shared_changes_pending(&c, "u:0"));
    assert_string_equal(c.first->next->subject, "u:2");
    (void)shared_changes_add(&c, "u:y", SHARED_MANUAL, NOW, HOUR);
    assert_string_equal(c.first->subject, "u:2");
    assert_int_equal(c.count, SHARED_CHANGES_OWN);
    shared_changes_fini(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_change_counts),
        cmocka_unit_test(pending_changes),
        cmocka_unit_test(replaced_changes),
        cmocka_unit_test(ended_changes),
        cmocka_unit_test(a_full_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
