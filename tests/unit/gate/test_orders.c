#include "gate/orders.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* cmocka.h needs the headers above it */
#include <cmocka.h>

static struct cidr net(const char *text)
{
    struct cidr out;
    assert_int_equal(cidr_parse(text, &out), ERR_OK);
    return out;
}

static void an_order_is_read_as_it_was_written(void **state)
{
    (void)state;
    const struct call_filter f = {.user = "EXAMPLE\\al ice=x",
                                  .address = net("192.0.2.0/24"),
                                  .has_address = true,
                                  .listener = "vpn",
                                  .server = "back/10.0.0.1:443"};
    struct call_filter got;
    char text[ORDERS_TEXT_MAX], again[ORDERS_TEXT_MAX];
    assert_true(orders_write(&f, text));
    assert_string_equal(text, "user=EXAMPLE\\al ice=x\naddress=192.0.2.0/24\nlistener=vpn\n"
                              "server=back/10.0.0.1:443\n");
    memcpy(again, text, sizeof again);
    assert_true(orders_read(again, &got));
    assert_string_equal(got.user, f.user);
    assert_string_equal(got.listener, f.listener);
    assert_string_equal(got.server, f.server);
    assert_true(got.has_address && cidr_covers(&got.address, &f.address) &&
                cidr_covers(&f.address, &got.address));
    assert_null(got.id);
}

static void what_means_nothing_elsewhere_is_not_written(void **state)
{
    (void)state;
    char text[ORDERS_TEXT_MAX], name[ORDERS_TEXT_MAX];
    memset(name, 'x', sizeof name);
    name[sizeof name - 1] = '\0';
    assert_false(orders_write(&(struct call_filter){0}, text));
    assert_false(orders_write(&(struct call_filter){.id = "0-1"}, text));
    assert_false(orders_write(&(struct call_filter){.id = "0-1", .user = "a"}, text));
    assert_false(orders_write(&(struct call_filter){.user = "a\nlistener=b"}, text));
    assert_false(orders_write(&(struct call_filter){.user = name}, text));
    name[sizeof name - 1 - strlen("user=\n")] = '\0';
    assert_true(orders_write(&(struct call_filter){.user = name}, text));
}

static void a_filter_of_a_question_may_have_an_id_or_nothing(void **state)
{
    const struct call_filter f = {.id = "0-12", .user = "bob"};
    struct call_filter got;
    char text[ORDERS_TEXT_MAX];

    (void)state;
    assert_true(orders_filter_write(&f, text));
    assert_string_equal(text, "id=0-12\nuser=bob\n");
    assert_true(orders_filter_read(text, &got));
    assert_string_equal(got.id, "0-12");
    assert_string_equal(got.user, "bob");
    assert_true(orders_filter_write(&(struct call_filter){0}, text));
    assert_string_equal(text, "");
    assert_true(orders_filter_read(text, &got));
    assert_false(filter_is_set(&got));
    strcpy(text, "new=x\n");
    assert_false(orders_filter_read(text, &got));
}

static void an_order_that_could_end_too_much_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",          "\n",          "user",          "user=a\n\n",           "id=0-1\n",
        "all=yes\n", "address=x\n", "user=a\nnew=b", "user=a\naddress=1/99", "user=a\naddress=\n",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char text[64];
        struct call_filter got;
        strcpy(text, bad[i]);
        if (orders_read(text, &got))
            fail_msg("accepted: %s", bad[i]);
    }
}

static void the_queue_keeps_the_order_and_is_bounded(void **state)
{
    (void)state;
    struct orders o;
    orders_init(&o);
    assert_null(orders_take(&o));
    for (size_t i = 0; i < ORDERS_MAX; i++)
        assert_true(orders_put(&o, i == 0 ? "first" : "next", "gate", i == 1));
    assert_false(orders_put(&o, "last", "gate", false));
    struct order *first = orders_take(&o), *second = orders_take(&o);
    assert_string_equal(first->text, "first");
    assert_string_equal(first->gate, "gate");
    assert_true(!first->is_ban && second->is_ban);
    assert_true(orders_put(&o, "last", "gate", false));
    order_free(first);
    order_free(second);
    for (size_t i = 2; i < ORDERS_MAX; i++)
        order_free(orders_take(&o));
    struct order *last = orders_take(&o);
    assert_string_equal(last->text, "last");
    order_free(last);
    assert_null(orders_take(&o));
    assert_true(orders_put(&o, "again", "gate", false)); /* freed by the end of the queue */
    orders_fini(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_order_is_read_as_it_was_written),
        cmocka_unit_test(a_filter_of_a_question_may_have_an_id_or_nothing),
        cmocka_unit_test(what_means_nothing_elsewhere_is_not_written),
        cmocka_unit_test(an_order_that_could_end_too_much_is_refused),
        cmocka_unit_test(the_queue_keeps_the_order_and_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
