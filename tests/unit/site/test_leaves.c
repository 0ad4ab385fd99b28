#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "site/leaves.h"

/* Returns a certificate with this number. */
static struct binding_leaf leaf(unsigned n)
{
    struct binding_leaf out;
    binding_leaf_from_der(&out, span_of(&n, sizeof n));
    return out;
}

static struct leaves_shown shown(const char *listener, unsigned n)
{
    return (struct leaves_shown){.listener = listener, .leaf = leaf(n)};
}

/* Looks up both hashes, which must agree. */
static void assert_whose(struct leaves *l, unsigned n, const char *listener,
                         enum leaves_whose whose, const char *name)
{
    const struct binding_leaf asked = leaf(n);
    char found[LEAVES_NAME_MAX] = "";

    assert_int_equal(leaves_find(l, SSTP_HASH_SHA1, asked.sha1, listener, found), whose);
    assert_string_equal(found, name);
    found[0] = '\0';
    assert_int_equal(leaves_find(l, SSTP_HASH_SHA256, asked.sha256, listener, found), whose);
    assert_string_equal(found, name);
}

static void owner_of_a_leaf(void **state)
{
    struct leaves *l = leaves_new();

    (void)state;
    assert_whose(l, 1, "a", LEAVES_NOBODYS, "");
    leaves_show(
        l, (struct leaves_shown[]){shown("a", 1), shown("a", 2), shown("b", 3), shown("b", 2)}, 4);
    assert_whose(l, 1, "a", LEAVES_LISTENERS_OWN, "a");
    assert_whose(l, 2, "a", LEAVES_LISTENERS_OWN, "a");
    assert_whose(l, 2, "b", LEAVES_LISTENERS_OWN, "b");
    assert_whose(l, 2, "c", LEAVES_OTHER_LISTENERS, "a");
    assert_whose(l, 3, "a", LEAVES_OTHER_LISTENERS, "b");
    assert_whose(l, 4, "a", LEAVES_NOBODYS, "");
    leaves_free(l);
}

static void earlier_ones(void **state)
{
    struct leaves *l = leaves_new();

    (void)state;
    leaves_show(l, (struct leaves_shown[]){shown("a", 1), shown("b", 2)}, 2);
    leaves_show(l, (struct leaves_shown[]){shown("a", 3), shown("c", 2)}, 2);
    assert_whose(l, 1, "a", LEAVES_EARLIER, "a");
    assert_whose(l, 2, "b", LEAVES_OTHER_LISTENERS, "c"); /* not of b any more */
    assert_whose(l, 3, "a", LEAVES_LISTENERS_OWN, "a");
    leaves_show(l, (struct leaves_shown[]){shown("b", 1)}, 1); /* the old one is presented again */
    assert_whose(l, 1, "b", LEAVES_LISTENERS_OWN, "b");
    assert_whose(l, 1, "a", LEAVES_OTHER_LISTENERS, "b");
    assert_whose(l, 2, "a", LEAVES_EARLIER, "c");
    assert_whose(l, 3, "a", LEAVES_EARLIER, "a");
    leaves_show(l, NULL, 0);
    assert_whose(l, 1, "b", LEAVES_EARLIER, "b");
    leaves_free(l);
}

static void bounded(void **state)
{
    struct leaves *l = leaves_new();

    (void)state;
    for (unsigned i = 0; i < 2 * LEAVES_EARLIER_MAX; i++)
        leaves_show(l, (struct leaves_shown[]){shown("a", i), shown("b", 10000)}, 2);
    assert_whose(l, LEAVES_EARLIER_MAX - 2, "a", LEAVES_NOBODYS, "");
    assert_whose(l, LEAVES_EARLIER_MAX - 1, "a", LEAVES_EARLIER, "a");
    assert_whose(l, 2 * LEAVES_EARLIER_MAX - 1, "a", LEAVES_LISTENERS_OWN, "a");
    assert_whose(l, 10000, "b", LEAVES_LISTENERS_OWN,
                 "b"); /* the oldest one, but still presented */
    leaves_free(l);
}

static void long_names(void **state)
{
    struct leaves *l = leaves_new();
    char name[2 * LEAVES_NAME_MAX];

    (void)state;
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    leaves_show(l, (struct leaves_shown[]){shown(name, 1)}, 1);
    char cut[LEAVES_NAME_MAX];
    snprintf(cut, sizeof cut, "%.*s", LEAVES_NAME_MAX - 1, name);
    assert_whose(l, 1, "a", LEAVES_OTHER_LISTENERS, cut);
    leaves_free(l);
}

enum { THREADS = 3, TURNS = 500 };

static void *ask(void *arg)
{
    char name[LEAVES_NAME_MAX];

    for (unsigned i = 0; i < TURNS; i++) {
        const struct binding_leaf asked = leaf(i);
        enum leaves_whose whose = leaves_find(arg, SSTP_HASH_SHA256, asked.sha256, "a", name);
        if (whose == LEAVES_OTHER_LISTENERS)
            return NULL; /* no other listener has one */
    }
    return arg;
}

static void threads(void **state)
{
    pthread_t thread[THREADS];
    struct leaves *l = leaves_new();

    (void)state;
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, ask, l), 0);
    for (unsigned i = 0; i < TURNS; i++)
        leaves_show(l, (struct leaves_shown[]){shown("a", i)}, 1);
    for (size_t i = 0; i < THREADS; i++) {
        void *done;
        assert_int_equal(pthread_join(thread[i], &done), 0);
        assert_ptr_equal(done, l);
    }
    leaves_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(owner_of_a_leaf), cmocka_unit_test(earlier_ones),
        cmocka_unit_test(bounded),         cmocka_unit_test(long_names),
        cmocka_unit_test(threads),
    };
    leaves_free(NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
