/* Sessions of a server of plain OpenSSL, which issues tickets, as clients of tls_conn keep and
 * offer them. */
#include "tls/tls_session.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
/* cmocka needs the first four headers above it */
#include <cmocka.h>

#include "certs.h"
#include "tls/tls_conn.h"
#include "tls/tls_ctx.h"
#include "tls/tls_loaded.h"
#include "tls_link.h"

static struct certs certs;
static struct cert ca, ec, rsa;
static struct tls_ca *trusted, *same_file;
static struct tls_ctx *client, *twin;

static const struct tls_settings modern = {.min = TLS_1_2, .max = TLS_1_3, .security_level = -1};

static struct tls_ctx *client_ctx(const struct tls_settings *s, const struct tls_ca *ca_file)
{
    char error[TLS_ERROR_MAX];
    struct tls_ctx *ctx = tls_ctx_new_client(s, ca_file, error);
    assert_non_null(ctx);
    return ctx;
}

static int setup(void **state)
{
    char error[TLS_ERROR_MAX];

    (void)state;
    certs_init(&certs);
    cert_make(&certs, &ca, "ca.pem", &(struct cert_spec){0});
    cert_make(&certs, &ec, "ec.pem",
              &(struct cert_spec){.name = "DNS:vpn.test,IP:127.0.0.1", .issuer = &ca});
    cert_make(&certs, &rsa, "rsa.pem",
              &(struct cert_spec){.name = "DNS:vpn.test", .rsa = true, .issuer = &ca});
    trusted = tls_ca_load(ca.pem, error);
    same_file = tls_ca_load(ca.pem, error);
    assert_true(trusted != NULL && same_file != NULL);
    client = client_ctx(&modern, trusted);
    twin = client_ctx(&modern, trusted); /* of another worker */
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tls_ctx_free(client);
    tls_ctx_free(twin);
    tls_ca_free(trusted);
    tls_ca_free(same_file);
    cert_free(&ca);
    cert_free(&ec);
    cert_free(&rsa);
    certs_fini(&certs);
    return 0;
}

static void shows(const struct link *l, const struct cert *cert)
{
    const struct span leaf = tls_conn_leaf(l->c);
    assert_true(cert_is(cert, leaf));
    free((void *)leaf.p);
}

/* Connects with a session. Returns whether it was resumed; cert: the leaf of the connection. */
static bool resumes(SSL_CTX *server, struct tls_ctx *ctx, const char *sni, const char *name,
                    const struct tls_session *s, const struct cert *cert)
{
    struct link l;

    link_init(&l, server, ctx, sni, name);
    tls_conn_resume(l.c, s);
    assert_false(tls_conn_resumed(l.c));
    assert_int_equal(link_handshake(&l), ERR_OK);
    const bool resumed = tls_conn_resumed(l.c);
    assert_int_equal(resumed, SSL_session_reused(l.peer));
    assert_false(tls_conn_unverified(l.c));
    shows(&l, cert);
    link_settle(&l);
    assert_null(tls_conn_session(l.c));
    link_free(&l);
    return resumed;
}

/* ---- tests ---- */

static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
enum { VERSIONS = sizeof versions / sizeof *versions };

static void many_connections_resume(void **state)
{
    (void)state;
    for (size_t k = 0; k < VERSIONS; k++) {
        const int v = versions[k];
        SSL_CTX *server = server_ctx(v, &ec);
        struct tls_session *s = session_from(server, client, "vpn.test", "vpn.test");
        assert_non_null(s);
        assert_true(cert_is(&ec, tls_session_leaf(s)));
        for (int i = 0; i < 3; i++) {
            assert_true(resumes(server, client, "vpn.test", "vpn.test", s, &ec));
            assert_true(resumes(server, twin, "vpn.test", "vpn.test", s, &ec));
        }
        tls_session_unref(s);
        SSL_CTX_free(server);
    }
}

/* TLS 1.2 without tickets: the server keeps the session under a number. */
static void numbers_resume(void **state)
{
    (void)state;
    SSL_CTX *server = server_ctx(TLS1_2_VERSION, &ec);
    SSL_CTX_set_options(server, SSL_OP_NO_TICKET);
    struct tls_session *s = session_from(server, client, NULL, NULL);
    assert_non_null(s);
    assert_true(resumes(server, client, NULL, NULL, s, &ec));
    tls_session_unref(s);
    SSL_CTX_free(server);
}

/* The leaf of a resumed connection is that of the session, whatever the server would show. */
static void the_leaf_is_that_of_the_session(void **state)
{
    (void)state;
    for (size_t k = 0; k < VERSIONS; k++) {
        const int v = versions[k];
        SSL_CTX *server = server_ctx(v, &ec), *renewed = server_renewed(server, v, &rsa);
        struct tls_session *s = session_from(server, client, "vpn.test", NULL);
        assert_true(resumes(renewed, client, "vpn.test", NULL, s, &ec));
        tls_session_unref(s);
        s = session_from(renewed, client, "vpn.test", NULL); /* a full handshake */
        assert_true(cert_is(&rsa, tls_session_leaf(s)));
        tls_session_unref(s);
        SSL_CTX_free(server);
        SSL_CTX_free(renewed);
    }
}

/* A server that does not accept the ticket shows its own leaf. */
static void another_server_does_not_resume(void **state)
{
    (void)state;
    for (size_t k = 0; k < VERSIONS; k++) {
        const int v = versions[k];
        SSL_CTX *server = server_ctx(v, &ec), *other = server_ctx(v, &rsa);
        struct tls_session *s = session_from(server, client, "vpn.test", NULL);
        assert_false(resumes(other, client, "vpn.test", NULL, s, &rsa));
        assert_true(resumes(server, client, "vpn.test", NULL, s, &ec));
        tls_session_unref(s);
        SSL_CTX_free(server);
        SSL_CTX_free(other);
    }
}

/* A session is offered for exactly the settings, CAs and names with which it was made. */
static void other_settings_do_not_resume(void **state)
{
    static const struct tls_settings others[] = {
        {.min = TLS_1_1, .max = TLS_1_3, .security_level = -1},
        {.min = TLS_1_2, .max = TLS_1_3, .security_level = 1},
        {.min = TLS_1_2, .max = TLS_1_3, .security_level = -1, .ciphers = "ECDHE+AESGCM"},
        {.min = TLS_1_2,
         .max = TLS_1_3,
         .security_level = -1,
         .ciphersuites = "TLS_AES_256_GCM_SHA384"},
        {.min = TLS_1_2, .max = TLS_1_3, .security_level = -1, .groups = "P-256"},
    };
    (void)state;
    for (size_t k = 0; k < VERSIONS; k++) {
        const int v = versions[k];
        SSL_CTX *server = server_ctx(v, &ec);
        struct tls_session *s = session_from(server, client, "vpn.test", "vpn.test");
        for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
            struct tls_ctx *ctx = client_ctx(&others[i], trusted);
            assert_false(resumes(server, ctx, "vpn.test", "vpn.test", s, &ec));
            tls_ctx_free(ctx);
        }
        struct tls_ctx *reloaded = client_ctx(&modern, same_file), *lax = client_ctx(&modern, NULL);
        assert_false(resumes(server, reloaded, "vpn.test", "vpn.test", s, &ec));
        assert_false(resumes(server, lax, "vpn.test", "vpn.test", s, &ec));
        assert_false(resumes(server, client, "www.test", "vpn.test", s, &ec));
        assert_false(resumes(server, client, NULL, "vpn.test", s, &ec));
        assert_false(resumes(server, client, "vpn.test", NULL, s, &ec));
        assert_false(resumes(server, client, "vpn.test", "127.0.0.1", s, &ec));
        assert_true(resumes(server, client, "vpn.test", "vpn.test", s, &ec));
        tls_session_unref(s);
        s = session_from(server, lax, "vpn.test", "vpn.test"); /* not verified */
        assert_false(resumes(server, client, "vpn.test", "vpn.test", s, &ec));
        tls_session_unref(s);
        tls_ctx_free(reloaded);
        tls_ctx_free(lax);
        SSL_CTX_free(server);
    }
}

static void without_a_ticket_there_is_no_session(void **state)
{
    (void)state;
    SSL_CTX *server = server_ctx(TLS1_3_VERSION, &ec);
    SSL_CTX_set_num_tickets(server, 0);
    assert_null(session_from(server, client, NULL, NULL));
    SSL_CTX_free(server);
    server = server_ctx(TLS1_2_VERSION, &ec);
    SSL_CTX_set_options(server, SSL_OP_NO_TICKET);
    SSL_CTX_set_session_cache_mode(server, SSL_SESS_CACHE_OFF);
    assert_null(session_from(server, client, NULL, NULL));
    SSL_CTX_free(server);
}

static void without_the_extended_master_secret_there_is_no_session(void **state)
{
    (void)state;
    SSL_CTX *server = server_ctx(TLS1_2_VERSION, &ec);
    SSL_CTX_set_options(server, SSL_OP_NO_EXTENDED_MASTER_SECRET);
    assert_null(session_from(server, client, NULL, NULL));
    SSL_CTX_free(server);
}

/* Without tls_conn_keep() there is no session. */
static void other_connections_have_no_session(void **state)
{
    (void)state;
    for (size_t k = 0; k < VERSIONS; k++) {
        const int v = versions[k];
        SSL_CTX *server = server_ctx(v, &ec);
        struct link l;
        link_init(&l, server, client, NULL, NULL);
        assert_int_equal(link_handshake(&l), ERR_OK);
        link_settle(&l);
        assert_null(tls_conn_session(l.c));
        link_free(&l);
        SSL_CTX_free(server);
    }
}

static void a_session_has_a_lifetime(void **state)
{
    (void)state;
    for (size_t k = 0; k < VERSIONS; k++) {
        const int v = versions[k];
        SSL_CTX *server = server_ctx(v, &ec);
        SSL_CTX_set_timeout(server, 100);
        const time_t before = time(NULL);
        struct tls_session *s = session_from(server, client, NULL, NULL);
        const time_t after = time(NULL);
        assert_true(tls_session_is_fresh(s, after));
        assert_true(tls_session_is_fresh(s, before + 99));
        assert_false(tls_session_is_fresh(s, after + 100));
        assert_false(tls_session_is_fresh(s, before - 1)); /* the clock was set back */
        tls_session_unref(s);
        SSL_CTX_free(server);
    }
}

/* OpenSSL changes the session of a connection that fails: that must be a copy. */
static void a_failed_connection_does_not_change_the_session(void **state)
{
    (void)state;
    for (size_t k = 0; k < VERSIONS; k++) {
        const int v = versions[k];
        SSL_CTX *server = server_ctx(v, &ec);
        struct tls_session *s = session_from(server, client, NULL, NULL);
        struct link l;
        uint8_t junk[] = {23, 3,  3,  0,  20, 1,  2,  3,  4,  5,  6,  7, 8,
                          9,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20};
        size_t n;
        link_init(&l, server, client, NULL, NULL);
        tls_conn_resume(l.c, s);
        assert_int_equal(link_handshake(&l), ERR_OK);
        assert_true(tls_conn_resumed(l.c));
        tls_conn_feed(l.c, span_of(junk, sizeof junk));
        assert_int_equal(tls_conn_read(l.c, junk, 1, &n), ERR_TLS);
        link_free(&l);
        assert_true(resumes(server, client, NULL, NULL, s, &ec));
        tls_session_unref(s);
        SSL_CTX_free(server);
    }
}

/* ---- threads ---- */

enum { THREADS = 4, TURNS = 50 };

static struct tls_session *shared;
static SSL_CTX *shared_server;

static void *resume_often(void *arg)
{
    struct tls_ctx *ctx = client_ctx(&modern, trusted);

    for (int i = 0; i < TURNS; i++) {
        struct tls_session *s = tls_session_ref(shared);
        assert_true(resumes(shared_server, ctx, "vpn.test", NULL, s, &ec));
        tls_session_unref(s);
    }
    tls_ctx_free(ctx);
    return arg;
}

static void threads_share_a_session(void **state)
{
    pthread_t thread[THREADS];

    (void)state;
    for (size_t k = 0; k < VERSIONS; k++) {
        const int v = versions[k];
        shared_server = server_ctx(v, &ec);
        shared = session_from(shared_server, client, "vpn.test", NULL);
        for (size_t i = 0; i < THREADS; i++)
            assert_int_equal(pthread_create(&thread[i], NULL, resume_often, &shared), 0);
        for (size_t i = 0; i < THREADS; i++) {
            void *done;
            assert_int_equal(pthread_join(thread[i], &done), 0);
            assert_ptr_equal(done, &shared);
        }
        tls_session_unref(shared);
        SSL_CTX_free(shared_server);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_connections_resume),
        cmocka_unit_test(numbers_resume),
        cmocka_unit_test(the_leaf_is_that_of_the_session),
        cmocka_unit_test(another_server_does_not_resume),
        cmocka_unit_test(other_settings_do_not_resume),
        cmocka_unit_test(without_a_ticket_there_is_no_session),
        cmocka_unit_test(without_the_extended_master_secret_there_is_no_session),
        cmocka_unit_test(other_connections_have_no_session),
        cmocka_unit_test(a_session_has_a_lifetime),
        cmocka_unit_test(a_failed_connection_does_not_change_the_session),
        cmocka_unit_test(threads_share_a_session),
    };
    tls_session_unref(NULL);
    return cmocka_run_group_tests(tests, setup, teardown);
}
