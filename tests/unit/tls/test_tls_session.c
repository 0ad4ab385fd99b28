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

static struct certs certs;
static struct cert ca, ec, rsa;
static struct tls_ca *trusted, *same_file;
static struct tls_ctx *client, *twin;

static const struct tls_settings modern = {TLS_1_2, TLS_1_3, -1, NULL, NULL, NULL};

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

/* ---- a server and its clients ---- */

static SSL_CTX *server_ctx(int version, const struct cert *cert)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

    assert_non_null(ctx);
    SSL_CTX_set_min_proto_version(ctx, version);
    SSL_CTX_set_max_proto_version(ctx, version);
    assert_int_equal(SSL_CTX_use_certificate_file(ctx, cert->pem, SSL_FILETYPE_PEM), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey_file(ctx, cert->pem, SSL_FILETYPE_PEM), 1);
    return ctx;
}

/* Another server with the same ticket keys. */
static SSL_CTX *server_renewed(SSL_CTX *from, int version, const struct cert *cert)
{
    unsigned char keys[80];
    SSL_CTX *ctx = server_ctx(version, cert);

    assert_int_equal(SSL_CTX_get_tlsext_ticket_keys(from, keys, sizeof keys), 1);
    assert_int_equal(SSL_CTX_set_tlsext_ticket_keys(ctx, keys, sizeof keys), 1);
    return ctx;
}

struct link {
    struct tls_conn *c;
    SSL *peer;
};

static void sink(void *arg, struct span octets)
{
    struct link *l = arg;
    assert_int_equal(BIO_write(SSL_get_rbio(l->peer), octets.p, (int)octets.n), octets.n);
}

static void link_init(struct link *l, SSL_CTX *server, struct tls_ctx *ctx, const char *sni,
                      const char *name)
{
    l->peer = SSL_new(server);
    assert_non_null(l->peer);
    SSL_set_bio(l->peer, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_accept_state(l->peer);
    l->c = tls_conn_new_client(ctx, sni, name, sink, l);
}

static void link_free(struct link *l)
{
    tls_conn_free(l->c);
    SSL_set_quiet_shutdown(l->peer, 1); /* otherwise the server forgets its session */
    SSL_shutdown(l->peer);
    SSL_free(l->peer);
}

/* Lets the server act, and gives the client a copy of what it has sent. The caller frees it after
 * the client has read it. */
static struct span link_answer(struct link *l)
{
    char *out, none[1];

    (void)SSL_read(l->peer, none, sizeof none); /* performs the handshake, too */
    const long n = BIO_get_mem_data(SSL_get_wbio(l->peer), &out);
    uint8_t *copy = malloc((size_t)n + 1);
    assert_non_null(copy);
    memcpy(copy, out, (size_t)n);
    (void)BIO_reset(SSL_get_wbio(l->peer));
    tls_conn_feed(l->c, span_of(copy, (size_t)n));
    return span_of(copy, (size_t)n);
}

static enum err link_handshake(struct link *l)
{
    enum err e = tls_conn_handshake(l->c);

    for (int turn = 0; turn < 4 && e == ERR_MORE; turn++) {
        const struct span answer = link_answer(l);
        e = tls_conn_handshake(l->c);
        if (e == ERR_OK) { /* reads what is left of the answer */
            uint8_t none[1];
            size_t n;
            assert_int_equal(tls_conn_read(l->c, none, sizeof none, &n), ERR_MORE);
        }
        free((void *)answer.p);
    }
    return e;
}

/* Lets the client read what the server sends after the handshake. */
static void link_settle(struct link *l)
{
    uint8_t none[1];
    size_t n;
    const struct span answer = link_answer(l);

    assert_int_equal(tls_conn_read(l->c, none, sizeof none, &n), ERR_MORE);
    free((void *)answer.p);
}

/* Returns the session of a full handshake; NULL: the server gives none. */
static struct tls_session *session_from(SSL_CTX *server, struct tls_ctx *ctx, const char *sni,
                                        const char *name)
{
    struct link l;

    link_init(&l, server, ctx, sni, name);
    tls_conn_keep(l.c);
    assert_int_equal(link_handshake(&l), ERR_OK);
    assert_false(tls_conn_resumed(l.c));
    if (SSL_version(l.peer) == TLS1_3_VERSION)
        assert_null(tls_conn_session(l.c)); /* the ticket has not arrived */
    link_settle(&l);
    struct tls_session *s = tls_conn_session(l.c);
    link_free(&l); /* without close_notify, which spoils a session that is not a copy */
    return s;
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
#define EACH_VERSION(v) (int v##_i = 0, v = versions[0]; v##_i < 2; v = versions[++v##_i % 2])

static void many_connections_resume(void **state)
{
    (void)state;
    for
        EACH_VERSION(v)
        {
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
    for
        EACH_VERSION(v)
        {
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
    for
        EACH_VERSION(v)
        {
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
        {TLS_1_1, TLS_1_3, -1, NULL, NULL, NULL},
        {TLS_1_2, TLS_1_3, 1, NULL, NULL, NULL},
        {TLS_1_2, TLS_1_3, -1, "ECDHE+AESGCM", NULL, NULL},
        {TLS_1_2, TLS_1_3, -1, NULL, "TLS_AES_256_GCM_SHA384", NULL},
        {TLS_1_2, TLS_1_3, -1, NULL, NULL, "P-256"},
    };
    (void)state;
    for
        EACH_VERSION(v)
        {
            SSL_CTX *server = server_ctx(v, &ec);
            struct tls_session *s = session_from(server, client, "vpn.test", "vpn.test");
            for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
                struct tls_ctx *ctx = client_ctx(&others[i], trusted);
                assert_false(resumes(server, ctx, "vpn.test", "vpn.test", s, &ec));
                tls_ctx_free(ctx);
            }
            struct tls_ctx *reloaded = client_ctx(&modern, same_file),
                           *lax = client_ctx(&modern, NULL);
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

/* tls_conn_keep() is what makes a session. */
static void other_connections_have_no_session(void **state)
{
    (void)state;
    for
        EACH_VERSION(v)
        {
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
    for
        EACH_VERSION(v)
        {
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

/* A connection that breaks off does not spoil the session for others. */
static void a_failed_connection_leaves_the_session_alone(void **state)
{
    (void)state;
    for
        EACH_VERSION(v)
        {
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
    for
        EACH_VERSION(v)
        {
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
        cmocka_unit_test(a_failed_connection_leaves_the_session_alone),
        cmocka_unit_test(threads_share_a_session),
    };
    tls_session_unref(NULL);
    return cmocka_run_group_tests(tests, setup, teardown);
}
