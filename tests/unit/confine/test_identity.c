/* Needs root, as which the tests of this project run. */
#include "confine/identity.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <grp.h>
#include <string.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

#include "child.h"

static struct identity id;

static void names_and_numbers(void **state)
{
    (void)state;
    assert_null(identity_find(NULL, NULL, &id));
    assert_false(id.changes);
    assert_null(identity_find("nobody", NULL, &id));
    assert_true(id.changes && id.uid == 65534 && id.gid == 65534);
    assert_null(identity_find("nobody", "daemon", &id));
    assert_true(id.uid == 65534 && id.gid == 1);
    assert_null(identity_find("12345", "54321", &id));
    assert_true(id.uid == 12345 && id.gid == 54321 && id.groups == 1 && id.group[0] == 54321);
    assert_null(identity_find("65534", NULL, &id)); /* has an entry */
    assert_true(id.gid == 65534);
}

static void what_cannot_be_found_is_refused(void **state)
{
    (void)state;
    assert_string_equal(identity_find("no-such", NULL, &id),
                        "user: there is no user 'no-such' (adduser --system --group "
                        "--no-create-home no-such)");
    assert_string_equal(identity_find("nobody", "no-such", &id),
                        "group: there is no group 'no-such'");
    assert_non_null(identity_find("12345", NULL, &id));
    assert_non_null(identity_find("99999999999", "1", &id));
    assert_non_null(identity_find("4294967295", "1", &id)); /* -1 means unchanged */
    assert_non_null(identity_find(NULL, "daemon", &id));
    assert_string_equal(identity_find("root", NULL, &id),
                        "user: root would drop no privileges; write another user");
    assert_non_null(identity_find("0", "1", &id));
}

static void take(void)
{
    gid_t groups[4];

    CHECK(identity_find("12345", "54321", &id) == NULL);
    CHECK(identity_take(&id) == NULL);
    CHECK(getuid() == 12345 && geteuid() == 12345 && getgid() == 54321 && getegid() == 54321);
    CHECK(getgroups(4, groups) == 1 && groups[0] == 54321);
    CHECK(setuid(0) != 0 && seteuid(0) != 0 && setgid(0) != 0 && setgroups(0, NULL) != 0);
    CHECK(open("/etc/shadow", O_RDONLY) < 0);
}

static void root_is_gone_for_good(void **state)
{
    (void)state;
    in_child(take);
}

static void as_another_user(void)
{
    CHECK(setresgid(12345, 12345, 12345) == 0 && setresuid(12345, 12345, 12345) == 0);
    CHECK(identity_find("12345", "12345", &id) == NULL && !id.changes); /* is it already */
    CHECK(identity_take(&id) == NULL);
    CHECK(strncmp(identity_find("nobody", NULL, &id), "user: only root can become 'nobody'", 35) ==
          0);
    CHECK(identity_find("12345", "1", &id) != NULL);
}

static void only_root_becomes_another_user(void **state)
{
    (void)state;
    in_child(as_another_user);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_numbers),
        cmocka_unit_test(what_cannot_be_found_is_refused),
        cmocka_unit_test(root_is_gone_for_good),
        cmocka_unit_test(only_root_becomes_another_user),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
