#include "client/resolve.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <netdb.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* The Makefile replaces getaddrinfo: the name "slow" waits until the test releases it. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool let_go;
static int begun, ended;

int __real_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                       struct addrinfo **out);
int __wrap_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                       struct addrinfo **out);

int __wrap_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                       struct addrinfo **out)
{
    if (strcmp(host, "slow") != 0)
        return __real_getaddrinfo(host, service, hints, out);
    pthread_mutex_lock(&lock);
    begun++;
    while (!let_go)
        pthread_cond_wait(&changed, &lock);
    ended++;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    return EAI_FAIL;
}

static void addresses_get_the_port(void **state)
{
    (void)state;
    struct addr out[RESOLVE_MAX];
    char text[ADDR_TEXT_MAX];
    const char *why;

    assert_int_equal(resolve("127.0.0.1", 4443, 60000, out, &why), 1);
    assert_string_equal(addr_format(&out[0], text), "127.0.0.1:4443");
    assert_int_equal(resolve("::1", 1, 60000, out, &why), 1);
    assert_string_equal(addr_format(&out[0], text), "[::1]:1");
}

static void name_without_an_address(void **state)
{
    (void)state;
    struct addr out[RESOLVE_MAX];
    const char *why = NULL;

    assert_int_equal(resolve("not a name", 1, 60000, out, &why), 0);
    assert_non_null(why);
}

/* A resolver that does not answer is left behind with its thread, which frees what it used. */
static void slow_resolver(void **state)
{
    (void)state;
    struct addr out[RESOLVE_MAX];
    const char *why = NULL;

    assert_int_equal(resolve("slow", 1, 1, out, &why), 0);
    assert_string_equal(why, "the name servers do not answer in time");
    pthread_mutex_lock(&lock);
    let_go = true;
    pthread_cond_broadcast(&changed);
    while (ended < begun)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    assert_int_equal(resolve("slow", 1, 60000, out, &why), 0);
    assert_string_equal(why, gai_strerror(EAI_FAIL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(addresses_get_the_port),
                                       cmocka_unit_test(name_without_an_address),
                                       cmocka_unit_test(slow_resolver)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
