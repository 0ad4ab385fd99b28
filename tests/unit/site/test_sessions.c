#include "site/sessions.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
/* cmocka needs the first four headers above it */
#include <cmocka.h>

#include "base/addr.h"
#include "tls_link.h"

static struct certs certs;
static struct cert old, new;
static struct tls_session *first, *second; /* with the leaf old, and with new */
static const struct addr here = {.family = AF_INET, .ip = {127, 0, 0, 1}, .port = 443},
                         there = {.family = AF_INET, .ip = {127, 0, 0, 2}, .port = 443},
                         port = {.family = AF_INET, .ip = {127, 0, 0, 1}, .port = 444};

static struct tls_session *make(struct tls_ctx *client, const struct cert *cert)
{
    SSL_CTX *server = server_ctx(TLS1_3_VERSION, cert);
    struct tls_session *s = session_from(server, client, NULL, NULL);

    assert_non_null(s);
    SSL_CTX_free(server);
    return s;
}

static int setup(void **state)
{
    char error[TLS_ERROR_MAX];
    static const struct tls_settings modern = {
        .min = TLS_1_2, .max = TLS_1_3, .security_level = -1};

    (void)state;
    certs_init(&certs);
    cert_make(&certs, &old, "old.pem", &(struct cert_spec){.name = "DNS:vpn.test"});
    cert_make(&certs, &new, "new.pem", &(struct cert_spec){.name = "DNS:vpn.test"});
    struct tls_ctx *client = tls_ctx_new_client(&modern, NULL, error);
    assert_non_null(client);
    first = make(client, &old);
    second = make(client, &new);
    tls_ctx_free(client);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tls_session_unref(first);
    tls_session_unref(second);
    cert_free(&old);
    cert_free(&new);
    certs_fini(&certs);
    return 0;
}

static void keep(struct sessions *all, size_t server, struct tls_session *s, uint64_t now)
{
    sessions_keep(all, server, &here, s == NULL ? NULL : tls_session_ref(s), now);
}

static void has(struct sessions *all, size_t server, const struct addr *at,
                const struct tls_session *expected)
{
    struct tls_session *s = sessions_get(all, server, at);
    assert_ptr_equal(s, expected);
    tls_session_unref(s);
}

static void each_server_has_its_own_session(void **state)
{
    (void)state;
    struct sessions *all = sessions_new(2);
    has(all, 0, &here, NULL);
    keep(all, 0, first, 0);
    has(all, 0, &here, first);
    has(all, 1, &here, NULL);
    keep(all, 1, second, 0);
    has(all, 0, &here, first);
    has(all, 1, &here, second);
    keep(all, 0, second, 0); /* a later check */
    has(all, 0, &here, second);
    keep(all, 0, NULL, 0); /* a failed check */
    has(all, 0, &here, NULL);
    has(all, 1, &here, second);
    sessions_unref(all);
}

/* A name may have several addresses, with a machine behind each. */
static void another_address_has_no_session(void **state)
{
    (void)state;
    struct sessions *all = sessions_new(1);
    keep(all, 0, first, 0);
    has(all, 0, &there, NULL);
    has(all, 0, &port, NULL);
    has(all, 0, &here, first);
    sessions_unref(all);
}

/* A tunnel may have a reference when the configuration is gone. */
static void the_end_of_the_snapshot_removes_sessions(void **state)
{
    (void)state;
    struct sessions *all = sessions_new(1), *tunnel = sessions_ref(all);
    keep(all, 0, first, 0);
    sessions_close(all);
    sessions_unref(all);
    has(tunnel, 0, &here, NULL);
    sessions_distrust(tunnel, 0, 0);
    sessions_unref(tunnel);
}

static void another_leaf_removes_the_session(void **state)
{
    (void)state;
    struct sessions *all = sessions_new(1);
    sessions_compare(all, 0, tls_session_leaf(second));
    keep(all, 0, first, 0);
    sessions_compare(all, 0, tls_session_leaf(first));
    has(all, 0, &here, first);
    sessions_compare(all, 0, tls_session_leaf(second));
    has(all, 0, &here, NULL);
    keep(all, 0, first, 0);
    sessions_compare(all, 0, span_of(NULL, 0)); /* no certificate */
    has(all, 0, &here, NULL);
    sessions_unref(all);
}

static void the_second_failure_in_an_hour_starts_a_pause(void **state)
{
    (void)state;
    struct sessions *all = sessions_new(2);
    uint64_t now = 5;

    sessions_distrust(all, 0, now); /* had none */
    sessions_distrust(all, 0, now);
    keep(all, 0, first, now);
    has(all, 0, &here, first);
    sessions_distrust(all, 0, now); /* the first failure */
    has(all, 0, &here, NULL);
    keep(all, 0, second, now);
    has(all, 0, &here, second);
    now += SESSIONS_PAUSE_MS;
    sessions_distrust(all, 0, now); /* an hour later: again the first one */
    keep(all, 0, first, now);
    has(all, 0, &here, first);
    now += SESSIONS_PAUSE_MS - 1;
    sessions_distrust(all, 0, now);
    keep(all, 0, first, now + SESSIONS_PAUSE_MS - 1);
    has(all, 0, &here, NULL);
    keep(all, 1, first, now); /* the other server has no pause */
    has(all, 1, &here, first);
    keep(all, 0, first, now + SESSIONS_PAUSE_MS);
    has(all, 0, &here, first);
    sessions_unref(all);
}

static void a_backend_without_sessions(void **state)
{
    (void)state;
    keep(NULL, 0, first, 0);
    has(NULL, 0, &here, NULL);
    sessions_compare(NULL, 0, tls_session_leaf(first));
    sessions_distrust(NULL, 0, 0);
    sessions_close(NULL);
    sessions_unref(NULL);
}

/* ---- threads ---- */

enum { THREADS = 3, TURNS = 20000 };

static void *use(void *arg)
{
    for (int i = 0; i < TURNS; i++) {
        struct tls_session *s = sessions_get(arg, 0, &here);
        assert_true(s == NULL || s == first || s == second);
        tls_session_unref(s);
    }
    return arg;
}

static void threads(void **state)
{
    pthread_t thread[THREADS];
    struct sessions *all = sessions_new(1);

    (void)state;
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, use, all), 0);
    for (int i = 0; i < TURNS; i++)
        keep(all, 0, i % 2 == 0 ? first : second, 0);
    for (size_t i = 0; i < THREADS; i++) {
        void *done;
        assert_int_equal(pthread_join(thread[i], &done), 0);
        assert_ptr_equal(done, all);
    }
    sessions_unref(all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_server_has_its_own_session),
        cmocka_unit_test(another_address_has_no_session),
        cmocka_unit_test(the_end_of_the_snapshot_removes_sessions),
        cmocka_unit_test(another_leaf_removes_the_session),
        cmocka_unit_test(the_second_failure_in_an_hour_starts_a_pause),
        cmocka_unit_test(a_backend_without_sessions),
        cmocka_unit_test(threads),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
