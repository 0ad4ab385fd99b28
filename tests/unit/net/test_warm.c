#include "net/warm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

/* A fake of tls_conn: a connection is a letter of this text. */
static char conns[WARM_MAX + 10];
static unsigned rested;

void tls_conn_rest(struct tls_conn *c);
void tls_conn_rest(struct tls_conn *c)
{
    ++*(char *)c;
    rested++;
}

static struct tls_conn *conn(size_t i)
{
    return (struct tls_conn *)(void *)&conns[i];
}

static int setup(void **state)
{
    (void)state;
    memset(conns, 0, sizeof conns);
    rested = 0;
    return 0;
}

static void the_oldest_makes_room(void **state)
{
    struct warm w = {0};
    size_t slot[WARM_MAX + 1];

    (void)state;
    for (size_t i = 0; i <= WARM_MAX; i++) {
        slot[i] = warm_add(&w, conn(i));
        assert_true(warm_has(&w, conn(i), slot[i]));
    }
    assert_int_equal(rested, 1);
    assert_int_equal(conns[0], 1);
    assert_false(warm_has(&w, conn(0), slot[0]));
    for (size_t i = 1; i <= WARM_MAX; i++)
        assert_true(warm_has(&w, conn(i), slot[i]));
}

static void all_cool_down(void **state)
{
    struct warm w = {0};

    (void)state;
    const size_t one = warm_add(&w, conn(1)), two = warm_add(&w, conn(2));
    warm_cool(&w);
    warm_cool(&w);
    assert_int_equal(rested, 2);
    assert_false(warm_has(&w, conn(1), one) || warm_has(&w, conn(2), two));
}

/* The ring must not use a connection that was freed. */
static void a_removed_one_is_left_alone(void **state)
{
    struct warm w = {0};

    (void)state;
    const size_t one = warm_add(&w, conn(1)), two = warm_add(&w, conn(2));
    warm_remove(&w, conn(1), one);
    warm_remove(&w, conn(1), two); /* the slot of another one */
    warm_cool(&w);
    assert_int_equal(conns[1], 0);
    assert_int_equal(conns[2], 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_oldest_makes_room, setup),
        cmocka_unit_test_setup(all_cool_down, setup),
        cmocka_unit_test_setup(a_removed_one_is_left_alone, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
