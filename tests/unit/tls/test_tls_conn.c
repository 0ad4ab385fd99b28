/* Two TLS connections that talk to each other in memory, with bytes cut, delayed or cut off; and
 * peers of plain OpenSSL, which behave in ways that a tls_conn never does. */
#include "tls/tls_conn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <malloc.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka needs the first four headers above it */
#include <cmocka.h>

#include "certs.h"
#include "tls/tls_loaded.h"
#include "tls/tls_internal.h"
#include "tls/tls_peer.h"

static struct certs certs;
static struct cert ca, ec, rsa, weak, other; /* weak: a leaf with a SHA1 signature */

static const struct tls_settings modern = {.min = TLS_1_2, .max = TLS_1_3, .security_level = -1};

static int setup(void **state)
{
    (void)state;
    certs_init(&certs);
    cert_make(&certs, &ca, "ca.pem", &(struct cert_spec){0});
    cert_make(&certs, &ec, "ec.pem",
              &(struct cert_spec){.name = "DNS:vpn.test,IP:127.0.0.1,IP:::1", .issuer = &ca});
    cert_make(&certs, &rsa, "rsa.pem",
              &(struct cert_spec){.name = "DNS:rsa.test", .rsa = true, .issuer = &ca});
    cert_make(
        &certs, &weak, "weak.pem",
        &(struct cert_spec){.name = "DNS:old.test", .sha1 = true, .issuer = &ca, .same_key = &rsa});
    cert_make(&certs, &other, "other.pem", &(struct cert_spec){.name = "DNS:vpn.test"});
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    cert_free(&ca);
    cert_free(&ec);
    cert_free(&rsa);
    cert_free(&weak);
    cert_free(&other);
    certs_fini(&certs);
    return 0;
}

/* ---- two sides ---- */

struct octets {
    uint8_t *p;
    size_t n;
};

struct side {
    struct tls_conn *c;
    struct octets out; /* bytes that its sink has received */
    bool done;
};

static void sink(void *arg, struct span octets)
{
    struct side *s = arg;
    s->out.p = realloc(s->out.p, s->out.n + octets.n);
    assert_non_null(s->out.p);
    memcpy(s->out.p + s->out.n, octets.p, octets.n);
    s->out.n += octets.n;
}

static struct octets taken(struct side *s)
{
    struct octets o = s->out;
    s->out = (struct octets){NULL, 0};
    return o;
}

/* All tests run twice: with the gate's records, and with OpenSSL's. */
static bool own;

static struct tls_ctx *server_ctx(const struct tls_settings *settings, const char *pem)
{
    char error[TLS_ERROR_MAX] = "";
    struct tls_ctx *ctx = certs_server(settings, pem, NULL, error);
    if (ctx == NULL)
        fail_msg("%s", error);
    tls_ctx_set_records(ctx, own);
    return ctx;
}

static struct tls_ctx *client_ctx(const struct tls_settings *settings, const char *ca_file)
{
    char error[TLS_ERROR_MAX] = "";
    struct tls_ca *trusted = ca_file == NULL ? NULL : tls_ca_load(ca_file, error);
    if (ca_file != NULL && trusted == NULL)
        fail_msg("%s", error);
    struct tls_ctx *ctx = tls_ctx_new_client(settings, trusted, error);
    if (ctx == NULL)
        fail_msg("%s", error);
    tls_ctx_set_records(ctx, own);
    tls_ca_free(trusted);
    return ctx;
}

struct pair {
    struct tls_ctx *server_ctx, *client_ctx;
    struct side server, client;
};

/* Takes ownership of the contexts. */
static void pair_init(struct pair *p, struct tls_ctx *server, struct tls_ctx *client,
                      const char *sni, const char *verify_name)
{
    *p = (struct pair){.server_ctx = server, .client_ctx = client};
    p->server.c = tls_conn_new_server(server, sink, &p->server);
    p->client.c = tls_conn_new_client(client, sni, verify_name, sink, &p->client);
}

static void pair_modern(struct pair *p)
{
    pair_init(p, server_ctx(&modern, ec.pem), client_ctx(&modern, NULL), NULL, NULL);
}

static void pair_conns_free(struct pair *p)
{
    tls_conn_free(p->server.c);
    tls_conn_free(p->client.c);
    free(p->server.out.p);
    free(p->client.out.p);
}

static void pair_free(struct pair *p)
{
    pair_conns_free(p);
    tls_ctx_free(p->server_ctx);
    tls_ctx_free(p->client_ctx);
}

/* Feeds bytes to a side in its handshake, in pieces; those after the handshake stay unread. Each
 * piece has a heap block of its own, which is freed when the call returns. */
static enum err shake(struct side *to, struct span octets, size_t piece)
{
    enum err e = to->done ? ERR_OK : tls_conn_handshake(to->c);
    while (octets.n > 0 && (e == ERR_MORE || e == ERR_OK)) {
        struct span part = span_sub(octets, 0, piece);
        uint8_t *copy = malloc(part.n), none[1];
        size_t n;
        assert_non_null(copy);
        memcpy(copy, part.p, part.n);
        tls_conn_feed(to->c, span_of(copy, part.n));
        if (!to->done)
            e = tls_conn_handshake(to->c);
        if (e == ERR_OK) {
            to->done = true;
            /* tickets, for example; no data has arrived */
            enum err r = tls_conn_read(to->c, none, sizeof none, &n);
            if (r != ERR_MORE)
                e = r;
        }
        free(copy);
        octets = span_from(octets, part.n);
    }
    to->done = e == ERR_OK;
    return e;
}

/* Runs the handshake until both sides are done or one has failed, and returns both results. */
static void handshake(struct pair *p, size_t piece, enum err *server, enum err *client)
{
    *server = ERR_MORE;
    *client = shake(&p->client, span_of(NULL, 0), 1);
    for (int i = 0; i < 10 && (p->client.out.n > 0 || p->server.out.n > 0); i++) {
        struct octets o = taken(&p->client);
        if (*server == ERR_MORE || *server == ERR_OK)
            *server = shake(&p->server, span_of(o.p, o.n), piece);
        free(o.p);
        o = taken(&p->server);
        if (*client == ERR_MORE || *client == ERR_OK)
            *client = shake(&p->client, span_of(o.p, o.n), piece);
        free(o.p);
    }
}

static void handshake_ok(struct pair *p)
{
    enum err server, client;
    handshake(p, SIZE_MAX, &server, &client);
    if (server != ERR_OK || client != ERR_OK)
        fail_msg("server %d '%s', client %d '%s'", (int)server, tls_conn_error(p->server.c),
                 (int)client, tls_conn_error(p->client.c));
}

/* Feeds all that `from` has sent to `to`, in pieces, and collects the plaintext. Returns the result
 * of the last read. */
static enum err move(struct side *from, struct side *to, size_t piece, struct octets *text)
{
    struct octets o = taken(from);
    enum err e = ERR_MORE;
    *text = (struct octets){malloc(o.n + 1), 0};
    assert_non_null(text->p);
    for (size_t at = 0; at < o.n && e == ERR_MORE; at += piece) {
        struct span part = span_sub(span_of(o.p, o.n), at, piece);
        uint8_t *copy = malloc(part.n);
        size_t n;
        assert_non_null(copy);
        memcpy(copy, part.p, part.n);
        tls_conn_feed(to->c, span_of(copy, part.n));
        while ((e = tls_conn_read(to->c, text->p + text->n, o.n - text->n, &n)) == ERR_OK)
            text->n += n;
        free(copy);
        if (piece > o.n)
            break;
    }
    free(o.p);
    return e;
}

static void sends(struct side *from, struct side *to, const char *text, size_t piece)
{
    struct octets got;
    assert_int_equal(tls_conn_write(from->c, span_str(text)), ERR_OK);
    assert_int_equal(move(from, to, piece, &got), ERR_MORE);
    assert_int_equal(got.n, strlen(text));
    assert_memory_equal(got.p, text, got.n);
    free(got.p);
}

static void both_talk(struct pair *p)
{
    sends(&p->client, &p->server, "from the client", SIZE_MAX);
    sends(&p->server, &p->client, "from the server", SIZE_MAX);
}

/* ---- without faults ---- */

static void each_version_shakes_hands_and_talks(void **state)
{
    (void)state;
    static const struct {
        enum tls_version version;
        const char *name;
    } versions[] = {
        {TLS_1_0, "TLSv1"}, {TLS_1_1, "TLSv1.1"}, {TLS_1_2, "TLSv1.2"}, {TLS_1_3, "TLSv1.3"}};
    for (size_t i = 0; i < sizeof versions / sizeof *versions; i++)
        for (int with_rsa = 0; with_rsa < 2; with_rsa++) {
            const struct tls_settings s = {
                .min = versions[i].version, .max = versions[i].version, .security_level = -1};
            struct pair p;
            pair_init(&p, server_ctx(&s, with_rsa ? rsa.pem : ec.pem), client_ctx(&s, NULL),
                      "vpn.test", NULL);
            handshake_ok(&p);
            assert_string_equal(tls_conn_version(p.server.c), versions[i].name);
            assert_string_equal(tls_conn_version(p.client.c), versions[i].name);
            assert_string_equal(tls_conn_cipher(p.server.c), tls_conn_cipher(p.client.c));
            assert_true(span_eq(tls_conn_sni(p.server.c), span_str("vpn.test")));
            assert_string_equal(tls_conn_error(p.server.c), "");
            const bool ours = own && versions[i].version >= TLS_1_2;
            assert_string_equal(tls_conn_records(p.server.c), ours ? "gate" : "openssl");
            assert_string_equal(tls_conn_records(p.client.c), ours ? "gate" : "openssl");
            both_talk(&p);
            pair_free(&p);
        }
}

static void no_name_is_an_empty_one(void **state)
{
    (void)state;
    struct pair p;
    pair_modern(&p);
    handshake_ok(&p);
    assert_int_equal(tls_conn_sni(p.server.c).n, 0);
    pair_free(&p);
}

static void the_leaf_is_the_one_that_was_shown(void **state)
{
    (void)state;
    const struct cert *leaves[] = {&ec, &rsa, &other};
    for (size_t i = 0; i < 3; i++)
        for (int old = 0; old < 2; old++) {
            const struct tls_settings s = {
                .min = TLS_1_2, .max = old ? TLS_1_2 : TLS_1_3, .security_level = -1};
            struct pair p;
            pair_init(&p, server_ctx(&s, leaves[i]->pem), client_ctx(&s, NULL), NULL, NULL);
            handshake_ok(&p);
            struct span server = tls_conn_leaf(p.server.c), client = tls_conn_leaf(p.client.c);
            assert_true(cert_is(leaves[i], server));
            assert_true(cert_is(leaves[i], client));
            free((void *)server.p);
            free((void *)client.p);
            pair_free(&p);
        }
}

/* RFC 5246 A.5: no certificate is sent, so there is none to hash. A tls_ctx never offers such a
 * suite, so the test sets it on the SSL_CTX. */
static void an_anonymous_cipher_shows_no_leaf(void **state)
{
    (void)state;
    const struct tls_settings s = {.min = TLS_1_2, .max = TLS_1_2, .security_level = 0};
    struct tls_ctx *server = server_ctx(&s, ec.pem), *client = client_ctx(&s, NULL);
    struct pair p;
    assert_int_equal(SSL_CTX_set_cipher_list(server->ssl, "AECDH"), 1);
    assert_int_equal(SSL_CTX_set_cipher_list(client->ssl, "AECDH"), 1);
    pair_init(&p, server, client, NULL, NULL);
    handshake_ok(&p);
    assert_int_equal(tls_conn_leaf(p.client.c).n, 0);
    assert_int_equal(tls_conn_leaf(p.server.c).n, 0);
    both_talk(&p);
    pair_free(&p);
}

/* ---- cut ---- */

static void the_handshake_does_not_care_how_octets_are_cut(void **state)
{
    (void)state;
    static const size_t pieces[] = {1, 2, 3, 4, 5, 6, 7, 64, 511, 1448};
    for (int old = 0; old < 2; old++)
        for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
            const struct tls_settings s = {
                .min = TLS_1_2, .max = old ? TLS_1_2 : TLS_1_3, .security_level = -1};
            struct pair p;
            enum err server, client;
            pair_init(&p, server_ctx(&s, ec.pem), client_ctx(&s, NULL), NULL, NULL);
            handshake(&p, pieces[i], &server, &client);
            assert_int_equal(server, ERR_OK);
            assert_int_equal(client, ERR_OK);
            both_talk(&p);
            pair_free(&p);
        }
}

static void data_does_not_care_where_it_is_cut(void **state)
{
    (void)state;
    struct pair p;
    pair_modern(&p);
    handshake_ok(&p);
    const char *text = "one record, cut at each of its octets, header and tag included";
    for (size_t piece = 1; piece < strlen(text) + 30; piece++)
        sends(&p.client, &p.server, text, piece);
    pair_free(&p);
}

/* The peer stops in the middle: no side finishes, fails, or keeps bytes. */
static void a_handshake_that_is_cut_off_waits(void **state)
{
    (void)state;
    struct pair p;
    pair_modern(&p);
    assert_int_equal(tls_conn_handshake(p.client.c), ERR_MORE);
    struct octets hello = taken(&p.client);
    for (size_t n = 0; n < hello.n; n += n < 16 ? 1 : 23) {
        struct side server = {0};
        server.c = tls_conn_new_server(p.server_ctx, sink, &server);
        assert_int_equal(shake(&server, span_of(hello.p, n), SIZE_MAX), ERR_MORE);
        assert_int_equal(server.out.n, 0);
        tls_conn_shutdown(server.c);
        assert_int_equal(server.out.n, 0);
        tls_conn_free(server.c);
    }
    free(hello.p);
    pair_free(&p);
}

/* ---- the end ---- */

static void close_notify_ends_one_direction(void **state)
{
    (void)state;
    for (int old = 0; old < 2; old++) {
        const struct tls_settings s = {
            .min = TLS_1_2, .max = old ? TLS_1_2 : TLS_1_3, .security_level = -1};
        struct octets got;
        struct pair p;
        pair_init(&p, server_ctx(&s, ec.pem), client_ctx(&s, NULL), NULL, NULL);
        handshake_ok(&p);
        assert_int_equal(tls_conn_write(p.client.c, span_str("last words")), ERR_OK);
        tls_conn_shutdown(p.client.c);
        size_t n = p.client.out.n;
        tls_conn_shutdown(p.client.c); /* once */
        assert_int_equal(p.client.out.n, n);
        assert_int_equal(move(&p.client, &p.server, SIZE_MAX, &got), ERR_CLOSED);
        assert_int_equal(got.n, 10);
        free(got.p);
        uint8_t none[1];
        assert_int_equal(tls_conn_read(p.server.c, none, sizeof none, &n), ERR_CLOSED);
        sends(&p.server, &p.client, "still talking", SIZE_MAX);
        tls_conn_shutdown(p.server.c);
        assert_int_equal(move(&p.server, &p.client, SIZE_MAX, &got), ERR_CLOSED);
        free(got.p);
        pair_free(&p);
    }
}

/* At the start, and instead of the client's second flight. */
static void a_close_notify_in_the_handshake_is_a_failure_with_a_text(void **state)
{
    (void)state;
    static const uint8_t alert[] = {0x15, 3, 3, 0, 2, 1, 0};
    const struct tls_settings s = {.min = TLS_1_2, .max = TLS_1_2, .security_level = -1};
    for (int late = 0; late < 2; late++) {
        struct pair p;
        pair_init(&p, server_ctx(&s, ec.pem), client_ctx(&s, NULL), NULL, NULL);
        if (late) {
            assert_int_equal(tls_conn_handshake(p.client.c), ERR_MORE);
            struct octets hello = taken(&p.client);
            assert_int_equal(shake(&p.server, span_of(hello.p, hello.n), SIZE_MAX), ERR_MORE);
            free(hello.p);
        }
        assert_int_equal(shake(&p.server, span_of(alert, sizeof alert), SIZE_MAX), ERR_TLS);
        assert_string_not_equal(tls_conn_error(p.server.c), "");
        assert_int_equal(tls_conn_handshake(p.server.c), ERR_TLS);
        assert_int_equal(tls_conn_distrusted(p.server.c), late);
        assert_false(tls_conn_refused(p.server.c));
        pair_free(&p);
    }
}

/* Which alerts are about the certificate (RFC 8446 6.2). */
static void alerts_about_the_certificate(void **state)
{
    (void)state;
    static const struct {
        uint8_t number;
        bool certificate;
    } alerts[] = {{42, true},  {43, true},  {44, true},  {45, true},  {46, true}, {48, true},
                  {113, true}, {40, false}, {47, false}, {70, false}, {80, false}};
    const struct tls_settings s = {.min = TLS_1_2, .max = TLS_1_2, .security_level = -1};
    for (size_t i = 0; i < sizeof alerts / sizeof *alerts; i++) {
        const uint8_t alert[] = {0x15, 3, 3, 0, 2, 2, alerts[i].number};
        struct pair p;
        pair_init(&p, server_ctx(&s, ec.pem), client_ctx(&s, NULL), NULL, NULL);
        assert_false(tls_conn_shown(p.server.c));
        assert_int_equal(tls_conn_handshake(p.client.c), ERR_MORE);
        struct octets hello = taken(&p.client);
        assert_int_equal(shake(&p.server, span_of(hello.p, hello.n), SIZE_MAX), ERR_MORE);
        free(hello.p);
        assert_true(tls_conn_shown(p.server.c));
        assert_false(tls_conn_distrusted(p.server.c));
        assert_int_equal(shake(&p.server, span_of(alert, sizeof alert), SIZE_MAX), ERR_TLS);
        assert_true(tls_conn_refused(p.server.c));
        assert_int_equal(tls_conn_distrusted(p.server.c), alerts[i].certificate);
        pair_free(&p);
    }
}

static void what_is_not_tls_fails_for_good(void **state)
{
    (void)state;
    static const struct {
        const char *octets;
        size_t n;
        const char *text; /* in the error */
    } cases[] = {
        {"GET / HTTP/1.0\r\n\r\n", 18, "http request"},
        {"SSTP_DUPLEX_POST /sra_", 22, ""},
        {"SSH-2.0-x\r\n", 11, ""},
        {"\0\0\0\0\0\0\0\0\0\0\0\0", 12, ""},
        {"\x16\x03\x01\xff\xff\x01\x00\x00\x00\x00", 10, ""},
        {"\x16\x03\x01\x00\x04\x01\xff\xff\xff", 9, ""},
        {"\x17\x03\x03\x00\x05hello", 10, ""},
        {"\x15\x03\x03\x00\x02\x02\x28", 7, ""},
    };
    struct tls_ctx *ctx = server_ctx(&modern, ec.pem);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t piece = 1; piece < 40; piece += 38) {
            struct side server = {0};
            uint8_t none[1];
            size_t n;
            server.c = tls_conn_new_server(ctx, sink, &server);
            assert_int_equal(shake(&server, span_of(cases[i].octets, cases[i].n), piece), ERR_TLS);
            assert_string_not_equal(tls_conn_error(server.c), "");
            if (strstr(tls_conn_error(server.c), cases[i].text) == NULL)
                fail_msg("'%s' is not about %s", tls_conn_error(server.c), cases[i].text);
            size_t sent = server.out.n;
            assert_int_equal(tls_conn_handshake(server.c), ERR_TLS);
            assert_int_equal(tls_conn_read(server.c, none, sizeof none, &n), ERR_TLS);
            assert_int_equal(tls_conn_write(server.c, span_str("x")), ERR_TLS);
            tls_conn_shutdown(server.c);
            assert_int_equal(server.out.n, sent);
            tls_conn_free(server.c);
            free(server.out.p);
        }
    tls_ctx_free(ctx);
}

static void an_altered_record_fails_for_good(void **state)
{
    (void)state;
    struct octets got;
    struct pair p;
    pair_modern(&p);
    handshake_ok(&p);
    assert_int_equal(tls_conn_write(p.client.c, span_str("hello")), ERR_OK);
    p.client.out.p[p.client.out.n - 1] ^= 1;
    assert_int_equal(move(&p.client, &p.server, SIZE_MAX, &got), ERR_TLS);
    assert_int_equal(got.n, 0);
    assert_string_not_equal(tls_conn_error(p.server.c), "");
    free(got.p);
    pair_free(&p);
}

/* ---- records ---- */

static size_t count_records(struct side *s, uint8_t type)
{
    struct octets o = taken(s);
    size_t records = 0;
    for (size_t at = 0; at < o.n; records++) {
        assert_true(at + 5 <= o.n);
        assert_int_equal(o.p[at], type);
        at += 5 + ((size_t)o.p[at + 3] << 8 | o.p[at + 4]);
        assert_true(at <= o.n);
    }
    free(o.p);
    return records;
}

/* Returns the types of the records, a byte each. */
static unsigned types_sent(struct side *s)
{
    struct octets o = taken(s);
    unsigned types = 0;
    for (size_t at = 0; at < o.n; at += 5 + ((size_t)o.p[at + 3] << 8 | o.p[at + 4]))
        types = types << 8 | o.p[at];
    free(o.p);
    return types;
}

static void each_write_is_one_record(void **state)
{
    (void)state;
    static uint8_t octets[3 * TLS_RECORD_MAX];
    static const struct {
        size_t n, records;
    } cases[] = {{1, 1},
                 {4, 1},
                 {4095, 1},
                 {TLS_RECORD_MAX, 1},
                 {TLS_RECORD_MAX + 1, 2},
                 {2 * TLS_RECORD_MAX, 2},
                 {3 * TLS_RECORD_MAX, 3}};
    for (int old = 0; old < 2; old++) {
        /* with CBC in TLS 1.0 an empty record precedes each record, against BEAST */
        const struct tls_settings s = {
            .min = TLS_1_2, .max = old ? TLS_1_2 : TLS_1_3, .security_level = -1};
        struct pair p;
        pair_init(&p, server_ctx(&s, ec.pem), client_ctx(&s, NULL), NULL, NULL);
        handshake_ok(&p);
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            assert_int_equal(tls_conn_write(p.server.c, span_of(octets, cases[i].n)), ERR_OK);
            assert_int_equal(count_records(&p.server, 23), cases[i].records);
        }
        for (int i = 0; i < 5; i++)
            assert_int_equal(tls_conn_write(p.server.c, span_of(octets, 20)), ERR_OK);
        assert_int_equal(count_records(&p.server, 23), 5);
        pair_free(&p);
    }
}

/* ---- memory ---- */

/* The number of OpenSSL's blocks that are large enough for a record. */
static int large_blocks;

static bool is_large(void *p)
{
    return p != NULL && malloc_usable_size(p) >= TLS_RECORD_MAX;
}

static void *counted_malloc(size_t n, const char *file, int line)
{
    (void)file, (void)line;
    void *p = malloc(n);
    large_blocks += is_large(p);
    return p;
}

static void *counted_realloc(void *old, size_t n, const char *file, int line)
{
    (void)file, (void)line;
    large_blocks -= is_large(old);
    void *p = realloc(old, n);
    large_blocks += is_large(p);
    return p;
}

static void counted_free(void *p, const char *file, int line)
{
    (void)file, (void)line;
    large_blocks -= is_large(p);
    free(p);
}

static void a_rest_gives_back_the_buffers(void **state)
{
    (void)state;
    const int before = large_blocks;
    struct pair p;

    pair_modern(&p);
    handshake_ok(&p);
    both_talk(&p);
    if (own) /* records need none */
        assert_int_equal(large_blocks, before);
    else
        assert_true(large_blocks > before); /* otherwise the test proves nothing */
    tls_conn_rest(p.server.c);
    tls_conn_rest(p.client.c);
    assert_int_equal(large_blocks, before);
    both_talk(&p);
    pair_free(&p);
}

/* With a record cut at each position, or a record that was read in part: nothing is lost. */
static void a_rest_amid_a_record_loses_nothing(void **state)
{
    (void)state;
    static const char text[] = "cut anywhere";
    struct pair p;
    uint8_t got[sizeof text];
    size_t n, record = 2;

    pair_modern(&p);
    handshake_ok(&p);
    for (size_t cut = 1; cut < record; cut++) {
        assert_int_equal(tls_conn_write(p.client.c, span_str(text)), ERR_OK);
        struct octets o = taken(&p.client);
        record = o.n;
        tls_conn_feed(p.server.c, span_of(o.p, cut));
        assert_int_equal(tls_conn_read(p.server.c, got, sizeof got, &n), ERR_MORE);
        tls_conn_rest(p.server.c);
        tls_conn_feed(p.server.c, span_of(o.p + cut, o.n - cut));
        assert_int_equal(tls_conn_read(p.server.c, got, 3, &n), ERR_OK);
        assert_int_equal(n, 3);
        tls_conn_rest(p.server.c);
        assert_int_equal(tls_conn_read(p.server.c, got + 3, sizeof got - 3, &n), ERR_OK);
        assert_memory_equal(got, text, sizeof text - 1);
        assert_int_equal(tls_conn_read(p.server.c, got, sizeof got, &n), ERR_MORE);
        free(o.p);
    }
    assert_true(record > sizeof text);
    pair_free(&p);
}

/* ---- contexts ---- */

static void levels_and_versions_belong_to_one_context(void **state)
{
    (void)state;
    const struct tls_settings old = {.min = TLS_1_0, .max = TLS_1_2, .security_level = -1};
    const struct tls_settings oldest = {.min = TLS_1_0, .max = TLS_1_0, .security_level = -1};
    const struct tls_settings strict = {.min = TLS_1_2, .max = TLS_1_3, .security_level = 2};
    char error[TLS_ERROR_MAX] = "";
    enum err server, client;
    struct pair p;

    struct tls_ctx *lax = server_ctx(&old, weak.pem); /* a SHA1 signature, at level 0 only */
    struct tls_ctx *served = certs_server(&strict, weak.pem, NULL, error);
    if (OpenSSL_version_num() < 0x30500000) {
        assert_null(served);
        assert_non_null(strstr(error, weak.pem));
    } else { /* it checks the key of its own certificate, but not the signature */
        assert_non_null(served);
        pair_init(&p, served, client_ctx(&strict, ca.pem), NULL, "old.test");
        handshake(&p, SIZE_MAX, &server, &client);
        assert_int_equal(client, ERR_TLS);
        assert_non_null(
            strstr(tls_conn_error(p.client.c), "CA signature digest algorithm too weak"));
        pair_free(&p);
    }

    /* a client that has TLS 1.0 only: one listener accepts it, the other does not */
    pair_init(&p, lax, client_ctx(&oldest, NULL), NULL, NULL);
    handshake_ok(&p);
    assert_string_equal(tls_conn_version(p.client.c), "TLSv1");
    struct span leaf = tls_conn_leaf(p.client.c);
    assert_true(cert_is(&weak, leaf));
    free((void *)leaf.p);
    both_talk(&p);
    pair_free(&p);
    pair_init(&p, server_ctx(&strict, ec.pem), client_ctx(&oldest, NULL), NULL, NULL);
    handshake(&p, SIZE_MAX, &server, &client);
    assert_int_equal(server, ERR_TLS);
    assert_int_equal(client, ERR_TLS);
    assert_string_not_equal(tls_conn_error(p.server.c), "");
    assert_non_null(strstr(tls_conn_error(p.client.c), "alert")); /* it has received the reason */
    pair_free(&p);

    /* a chain with SHA1: refused by the strict client, accepted by the lax client */
    pair_init(&p, server_ctx(&old, weak.pem), client_ctx(&strict, ca.pem), NULL, "old.test");
    handshake(&p, SIZE_MAX, &server, &client);
    assert_int_equal(client, ERR_TLS);
    pair_free(&p);
    pair_init(&p, server_ctx(&old, weak.pem), client_ctx(&old, ca.pem), NULL, "old.test");
    handshake_ok(&p);
    pair_free(&p);
}

static void no_common_cipher_or_version_is_reported(void **state)
{
    (void)state;
    const struct tls_settings a = {
        .min = TLS_1_2, .max = TLS_1_2, .security_level = -1, .ciphers = "ECDHE+AESGCM"};
    const struct tls_settings b = {
        .min = TLS_1_2, .max = TLS_1_2, .security_level = -1, .ciphers = "ECDHE+CHACHA20"};
    enum err server, client;
    struct pair p;
    pair_init(&p, server_ctx(&a, ec.pem), client_ctx(&b, NULL), NULL, NULL);
    handshake(&p, SIZE_MAX, &server, &client);
    assert_int_equal(server, ERR_TLS);
    assert_non_null(strstr(tls_conn_error(p.server.c), "no shared cipher"));
    pair_free(&p);
}

static void a_client_offers_a_version(void **state)
{
    (void)state;
    static const struct {
        enum tls_version server, client;
        const char *offered;
    } cases[] = {{TLS_1_2, TLS_1_0, "TLSv1.0"},
                 {TLS_1_2, TLS_1_1, "TLSv1.1"},
                 {TLS_1_3, TLS_1_2, "TLSv1.2"},
                 {TLS_1_2, TLS_1_3, "TLSv1.3"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct tls_settings a = {
            .min = cases[i].server, .max = cases[i].server, .security_level = 0};
        const struct tls_settings b = {
            .min = cases[i].client, .max = cases[i].client, .security_level = 0};
        enum err server, client;
        struct pair p;
        pair_init(&p, server_ctx(&a, ec.pem), client_ctx(&b, NULL), NULL, NULL);
        assert_null(tls_conn_offered(p.server.c));
        handshake(&p, SIZE_MAX, &server, &client);
        assert_int_equal(server, ERR_TLS);
        assert_string_equal(tls_conn_offered(p.server.c), cases[i].offered);
        assert_false(tls_conn_shown(p.server.c));
        pair_free(&p);
    }
}

static void what_a_context_cannot_use_is_named(void **state)
{
    (void)state;
    const char *missing = certs_path(&certs, "missing.pem"),
               *locked = certs_path(&certs, "locked.pem"), *empty = certs_path(&certs, "empty.pem"),
               *leaf = certs_path(&certs, "leaf.pem");
    const struct tls_settings bad_list = {
        .min = TLS_1_2, .max = TLS_1_3, .security_level = -1, .ciphers = "NO-SUCH-CIPHER"};
    const struct tls_settings bad_suites = {
        .min = TLS_1_2, .max = TLS_1_3, .security_level = -1, .ciphersuites = "NO-SUCH-SUITE"};
    const struct tls_settings no_suites = {
        .min = TLS_1_2, .max = TLS_1_3, .security_level = 0, .ciphers = "aNULL:eNULL:DHE"};
    const struct tls_settings bad_group = {
        .min = TLS_1_2, .max = TLS_1_3, .security_level = -1, .groups = "X25519:P-255"};
#if OPENSSL_VERSION_NUMBER < 0x30500000L
    const struct tls_settings group_twice = {
        .min = TLS_1_2, .max = TLS_1_3, .security_level = -1, .groups = "X25519:X25519"};
#endif
    FILE *f = fopen(locked, "w");
    PEM_write_X509(f, ec.x509);
    PEM_write_PKCS8PrivateKey(f, ec.key, EVP_aes_128_cbc(), "secret", 6, NULL, NULL);
    fclose(f);
    f = fopen(leaf, "w");
    PEM_write_X509(f, ec.x509);
    fclose(f);
    fclose(fopen(empty, "w"));
    const struct {
        const struct tls_settings *settings;
        const char *certificate, *key, *text;
    } cases[] = {
        {&modern, missing, NULL, "No such file"},
        {&modern, empty, NULL, ""},
        {&modern, locked, NULL, ""}, /* does not prompt for the passphrase at a terminal */
        {&modern, leaf, NULL, ""},   /* without a key */
        {&modern, leaf, missing, "No such file"},
        {&modern, leaf, rsa.pem, ""}, /* the key of another certificate */
        {&bad_list, ec.pem, NULL, "ciphers"},
        {&bad_suites, ec.pem, NULL, "ciphersuites"},
        {&no_suites, ec.pem, NULL, "ciphers: the list is empty"},
        {&bad_group, ec.pem, NULL, "groups: OpenSSL 3"},
        {&bad_group, ec.pem, NULL, "does not know 'P-255'"},
#if OPENSSL_VERSION_NUMBER < 0x30500000L /* since 3.5 the second one is ignored */
        {&group_twice, ec.pem, NULL, "groups: a group is listed twice"},
#endif
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char error[TLS_ERROR_MAX] = "";
        assert_null(certs_server(cases[i].settings, cases[i].certificate, cases[i].key, error));
        assert_string_not_equal(error, "");
        assert_null(strstr(error, "unknown error"));
        if (strstr(error, cases[i].text) == NULL)
            fail_msg("'%s' is not about '%s'", error, cases[i].text);
        assert_int_equal(ERR_peek_error(), 0);
    }
    char error[TLS_ERROR_MAX] = "";
    assert_null(tls_ca_load(missing, error));
    assert_non_null(strstr(error, missing));
    assert_null(tls_ca_load(empty, error));
    f = fopen(empty, "w");
    assert_int_equal(fwrite("\xff\xfe-", 1, 4, f), 4);
    fclose(f);
    assert_null(tls_ca_load(empty, error));
    assert_non_null(strstr(error, "empty.pem: UTF-16, as PowerShell"));
    struct tls_ctx *two_files = certs_server(&modern, leaf, ec.pem, error);
    assert_non_null(two_files);
    tls_ctx_free(two_files);
    tls_ctx_free(NULL);
    tls_conn_free(NULL);
}

/* ---- verification ---- */

static void chains_and_names_are_verified(void **state)
{
    (void)state;
    const struct {
        const struct cert *server;
        const char *ca_file, *name;
        bool ok;
    } cases[] = {
        {&ec, ca.pem, "vpn.test", true},
        {&ec, ca.pem, "VPN.test", true},
        {&ec, ca.pem, NULL, true},
        {&ec, ca.pem, "127.0.0.1", true},
        {&ec, ca.pem, "::1", true},
        {&ec, ca.pem, "127.0.0.2", false},
        {&ec, ca.pem, "rsa.test", false},
        {&ec, ca.pem, "vpn.test.evil", false},
        {&ec, ec.pem, "vpn.test", true}, /* the leaf itself in ca-file */
        {&ec, other.pem, "vpn.test", false},
        {&other, ca.pem, "vpn.test", false},
        {&other, other.pem, "vpn.test", true},
        {&other, NULL, "rsa.test", true}, /* not verified here: the caller compares a pin */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int old = 0; old < 2; old++) {
            const struct tls_settings s = {
                .min = TLS_1_2, .max = old ? TLS_1_2 : TLS_1_3, .security_level = -1};
            enum err server, client;
            struct pair p;
            pair_init(&p, server_ctx(&s, cases[i].server->pem), client_ctx(&s, cases[i].ca_file),
                      NULL, cases[i].name);
            handshake(&p, SIZE_MAX, &server, &client);
            if ((client == ERR_OK) != cases[i].ok)
                fail_msg("case %zu: %s", i, tls_conn_error(p.client.c));
            assert_int_equal(client, cases[i].ok ? ERR_OK : ERR_TLS);
            assert_int_equal(tls_conn_unverified(p.client.c), !cases[i].ok);
            assert_false(tls_conn_unverified(p.server.c));
            if (cases[i].ok) {
                both_talk(&p);
            } else {
                assert_string_not_equal(tls_conn_error(p.client.c), "");
                assert_null(strstr(tls_conn_error(p.client.c), "unknown error"));
                assert_int_not_equal(server, ERR_MORE); /* an alert was sent */
            }
            pair_free(&p);
        }
}

/* ---- peers of plain OpenSSL ---- */

struct raw {
    SSL_CTX *ctx;
    SSL *ssl;
    BIO *in, *out;
};

static void raw_init(struct raw *r, SSL_CTX *ctx, bool server)
{
    r->ctx = ctx;
    r->ssl = SSL_new(ctx);
    r->in = BIO_new(BIO_s_mem());
    r->out = BIO_new(BIO_s_mem());
    assert_true(r->ssl != NULL && r->in != NULL && r->out != NULL);
    SSL_set_bio(r->ssl, r->in, r->out);
    if (server)
        SSL_set_accept_state(r->ssl);
    else
        SSL_set_connect_state(r->ssl);
}

static SSL_CTX *raw_ctx(int max)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_method());
    assert_non_null(ctx);
    SSL_CTX_set_max_proto_version(ctx, max);
    return ctx;
}

static void raw_to(struct raw *from, struct side *to)
{
    char *p;
    long n = BIO_get_mem_data(from->out, &p);
    uint8_t *copy = malloc((size_t)n + 1);
    memcpy(copy, p, (size_t)n);
    (void)BIO_reset(from->out);
    (void)shake(to, span_of(copy, (size_t)n), SIZE_MAX);
    free(copy);
}

static void to_raw(struct side *from, struct raw *to)
{
    struct octets o = taken(from);
    BIO_write(to->in, o.p, (int)o.n);
    free(o.p);
}

static void raw_handshake(struct raw *r, struct side *ours)
{
    for (int i = 0; i < 6; i++) {
        (void)SSL_do_handshake(r->ssl);
        raw_to(r, ours);
        to_raw(ours, r);
    }
    assert_true(SSL_is_init_finished(r->ssl));
    assert_true(ours->done);
}

static int sessions_offered;

static int count_session(SSL *ssl, SSL_SESSION *session)
{
    (void)ssl;
    sessions_offered += SSL_SESSION_has_ticket(session);
    return 0;
}

static void nothing_can_be_resumed(void **state)
{
    (void)state;
    for (int version = TLS_1_2; version <= TLS_1_3; version++) {
        struct tls_ctx *server = server_ctx(&modern, ec.pem);
        SSL_CTX *ctx = raw_ctx(version);
        SSL_SESSION *session = NULL;
        SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT);
        SSL_CTX_sess_set_new_cb(ctx, count_session);
        sessions_offered = 0;
        for (int round = 0; round < 2; round++) {
            struct side ours = {0};
            struct raw peer;
            char text[8];
            ours.c = tls_conn_new_server(server, sink, &ours);
            raw_init(&peer, ctx, false);
            if (session != NULL)
                SSL_set_session(peer.ssl, session);
            raw_handshake(&peer, &ours);
            assert_int_equal(tls_conn_write(ours.c, span_str("x")), ERR_OK);
            to_raw(&ours, &peer);
            assert_int_equal(SSL_read(peer.ssl, text, sizeof text), 1);
            assert_int_equal(SSL_session_reused(peer.ssl), 0);
            SSL_SESSION_free(session);
            session = SSL_get1_session(peer.ssl);
            SSL_set_quiet_shutdown(peer.ssl, 1);
            SSL_shutdown(peer.ssl);
            SSL_free(peer.ssl);
            tls_conn_free(ours.c);
            free(ours.out.p);
        }
        assert_int_equal(sessions_offered, 0);
        SSL_SESSION_free(session);
        SSL_CTX_free(ctx);
        tls_ctx_free(server);
    }
}

/* A server that issues tickets makes a full handshake each time. */
static void a_client_never_resumes(void **state)
{
    (void)state;
    for (int version = TLS_1_2; version <= TLS_1_3; version++) {
        struct tls_ctx *client = client_ctx(&modern, NULL);
        SSL_CTX *ctx = raw_ctx(version);
        SSL_CTX_use_certificate_file(ctx, ec.pem, SSL_FILETYPE_PEM);
        SSL_CTX_use_PrivateKey_file(ctx, ec.pem, SSL_FILETYPE_PEM);
        for (int round = 0; round < 2; round++) {
            struct side ours = {0};
            struct raw peer;
            ours.c = tls_conn_new_client(client, "vpn.test", NULL, sink, &ours);
            raw_init(&peer, ctx, true);
            assert_int_equal(tls_conn_handshake(ours.c), ERR_MORE);
            to_raw(&ours, &peer);
            raw_handshake(&peer, &ours);
            assert_int_equal(SSL_session_reused(peer.ssl), 0);
            struct span leaf = tls_conn_leaf(ours.c);
            assert_true(cert_is(&ec, leaf));
            free((void *)leaf.p);
            SSL_free(peer.ssl);
            tls_conn_free(ours.c);
            free(ours.out.p);
        }
        SSL_CTX_free(ctx);
        tls_ctx_free(client);
    }
}

/* Connects `peer` as the client of a tls_conn. */
static void raw_client(struct raw *peer, struct side *ours, struct tls_ctx *server, SSL_CTX *ctx)
{
    *ours = (struct side){0};
    ours->c = tls_conn_new_server(server, sink, ours);
    raw_init(peer, ctx, false);
    raw_handshake(peer, ours);
}

static void raw_client_free(struct raw *peer, struct side *ours, struct tls_ctx *server)
{
    SSL_free(peer->ssl);
    SSL_CTX_free(peer->ctx);
    tls_conn_free(ours->c);
    free(ours->out.p);
    tls_ctx_free(server);
}

static void raw_reads(struct raw *peer, struct side *ours, const char *text)
{
    char got[64];
    to_raw(ours, peer);
    int n = SSL_read(peer->ssl, got, sizeof got);
    assert_int_equal(n, strlen(text));
    assert_memory_equal(got, text, strlen(text));
}

static void ours_reads(struct raw *peer, struct side *ours, const char *text)
{
    char *p;
    uint8_t got[64];
    size_t n;
    long len = BIO_get_mem_data(peer->out, &p);
    tls_conn_feed(ours->c, span_of(p, (size_t)len));
    assert_int_equal(tls_conn_read(ours->c, got, sizeof got, &n), ERR_OK);
    assert_true(span_eq(span_of(got, n), span_str(text)));
    assert_int_equal(tls_conn_read(ours->c, got, sizeof got, &n), ERR_MORE);
    (void)BIO_reset(peer->out);
}

/* A callback of OpenSSL for messages that are sent or received. */
static void count_key_updates(int sent, int version, int type, const void *octets, size_t n,
                              SSL *ssl, void *arg)
{
    unsigned *updates = arg;

    (void)sent, (void)version, (void)ssl;
    if (type == SSL3_RT_HANDSHAKE && n > 0 && *(const uint8_t *)octets == SSL3_MT_KEY_UPDATE)
        (*updates)++;
}

static void new_keys_on_the_way(void **state)
{
    (void)state;
    struct tls_ctx *server = server_ctx(&modern, ec.pem);
    struct raw peer;
    struct side ours;
    raw_client(&peer, &ours, server, raw_ctx(TLS_1_3));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(SSL_key_update(peer.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
        assert_int_equal(SSL_write(peer.ssl, "ping", 4), 4);
        ours_reads(&peer, &ours, "ping");
        assert_int_equal(tls_conn_write(ours.c, span_str("pong")), ERR_OK);
        raw_reads(&peer, &ours, "pong");
    }
    raw_client_free(&peer, &ours, server);
}

/* `key-update`, with OpenSSL as the peer. A key of the gate's protects so many records and no more;
 * the peer is asked when its own has. ChaCha20 has no limit, and OpenSSL's records have none. */
static void keys_are_changed_in_time(void **state)
{
    (void)state;
    static const char *const suites[] = {"TLS_AES_128_GCM_SHA256", "TLS_CHACHA20_POLY1305_SHA256"};
    const struct tls_settings settings = {
        .min = TLS_1_3, .max = TLS_1_3, .security_level = -1, .key_update = true};

    for (int i = 0; i < 2; i++) {
        struct tls_ctx *server = server_ctx(&settings, ec.pem);
        SSL_CTX *ctx = raw_ctx(TLS_1_3);
        struct raw peer;
        struct side ours;
        unsigned updates = 0;

        assert_int_equal(server->update_after, 1 << 24);
        server->update_after = 3;
        assert_int_equal(SSL_CTX_set_ciphersuites(ctx, suites[i]), 1);
        raw_client(&peer, &ours, server, ctx);
        SSL_set_msg_callback(peer.ssl, count_key_updates);
        SSL_set_msg_callback_arg(peer.ssl, &updates);
        for (int k = 0; k < 6; k++) {
            assert_int_equal(tls_conn_write(ours.c, span_str("pong")), ERR_OK);
            raw_reads(&peer, &ours, "pong");
        }
        assert_int_equal(updates, own && i == 0 ? 1 : 0);
        for (int k = 0; k < 4; k++) {
            assert_int_equal(SSL_write(peer.ssl, "ping", 4), 4);
            ours_reads(&peer, &ours, "ping");
        }
        assert_int_equal(tls_conn_write(ours.c, span_str("pong")), ERR_OK);
        raw_reads(&peer, &ours, "pong");
        assert_int_equal(SSL_write(peer.ssl, "ping", 4), 4); /* behind the peer's answer */
        ours_reads(&peer, &ours, "ping");
        assert_int_equal(updates, own && i == 0 ? 3 : 0);
        raw_client_free(&peer, &ours, server);
    }
}

/* Requests a renegotiation; peer->out has the ClientHello afterwards. */
static void renegotiate(struct raw *peer)
{
    assert_int_equal(SSL_renegotiate(peer->ssl), 1);
    (void)SSL_do_handshake(peer->ssl);
    assert_true(BIO_pending(peer->out) > 0);
}

static void renegotiation_is_refused(void **state)
{
    (void)state;
    struct tls_ctx *server = server_ctx(&modern, ec.pem);
    struct raw peer;
    struct side ours;
    char *p;
    uint8_t none[8];
    size_t n;
    raw_client(&peer, &ours, server, raw_ctx(TLS_1_2));
    renegotiate(&peer);
    long len = BIO_get_mem_data(peer.out, &p);
    tls_conn_feed(ours.c, span_of(p, (size_t)len));
    assert_int_equal(tls_conn_read(ours.c, none, sizeof none, &n), ERR_MORE);
    assert_int_equal(count_records(&ours, 21), 1); /* a warning; the connection continues */
    assert_int_equal(tls_conn_write(ours.c, span_str("on")), ERR_OK);
    assert_int_equal(count_records(&ours, 23), 1);
    raw_client_free(&peer, &ours, server);
}

/* A handshake message after the handshake may be fragmented. Any peer can cause this. The gate's
 * records may be written between the fragments; OpenSSL cannot write there. */
static void writing_amid_a_handshake_message_is_no_accident(void **state)
{
    (void)state;
    struct tls_ctx *server = server_ctx(&modern, ec.pem);
    SSL_CTX *ctx = raw_ctx(TLS_1_2);
    struct raw peer;
    struct side ours;
    char *p, name[256];
    uint8_t none[8];
    size_t n;

    raw_client(&peer, &ours, server, ctx);
    /* a long name and all ciphers make the ClientHello too long for one record */
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    assert_int_equal(SSL_set_tlsext_host_name(peer.ssl, name), 1);
    assert_int_equal(SSL_set_cipher_list(peer.ssl, "ALL@SECLEVEL=0"), 1);
    SSL_set_max_send_fragment(peer.ssl, 512);
    renegotiate(&peer);
    long len = BIO_get_mem_data(peer.out, &p);
    size_t first = 5 + ((size_t)(uint8_t)p[3] << 8 | (uint8_t)p[4]);
    assert_true(first < (size_t)len);
    tls_conn_feed(ours.c, span_of(p, first));
    assert_int_equal(tls_conn_read(ours.c, none, sizeof none, &n), ERR_MORE);
    assert_int_equal(tls_conn_write(ours.c, span_str("answer")), own ? ERR_OK : ERR_TLS);
    assert_int_equal(strlen(tls_conn_error(ours.c)) > 0, !own);
    if (own) {
        tls_conn_feed(ours.c, span_of(p + first, (size_t)len - first));
        assert_int_equal(tls_conn_read(ours.c, none, sizeof none, &n), ERR_MORE);
        assert_int_equal(types_sent(&ours), 23 << 8 | 21); /* the answer, no_renegotiation */
    }
    tls_conn_shutdown(ours.c);
    raw_client_free(&peer, &ours, server);
}

/* ---- limits on the cost of a peer ---- */

struct hello {
    uint8_t octets[70000];
    size_t n;
};

static void put8(struct hello *h, size_t octet)
{
    assert_true(h->n < sizeof h->octets);
    h->octets[h->n++] = (uint8_t)octet;
}

static void put16(struct hello *h, size_t number)
{
    put8(h, number >> 8 & 0xff);
    put8(h, number & 0xff);
}

/* Builds a ClientHello of TLS 1.3 with this number of groups, all unknown, and of shares, all of
 * the last group. OpenSSL looks for the group of each share in the list of groups. */
static void hello_build(struct hello *h, size_t groups, size_t shares)
{
    const size_t extensions = 7 + 4 + 2 + 2 * groups + 8 + 4 + 2 + 5 * shares;
    const size_t body = 2 + 32 + 1 + 4 + 2 + 2 + extensions;
    h->n = 0;
    put8(h, 1), put8(h, body >> 16), put16(h, body & 0xffff);
    put16(h, 0x0303);
    for (size_t i = 0; i < 32; i++)
        put8(h, i);
    put8(h, 0), put16(h, 2), put16(h, 0x1301), put16(h, 0x0100);
    put16(h, extensions);
    put16(h, 43), put16(h, 3), put8(h, 2), put16(h, 0x0304);
    put16(h, 10), put16(h, 2 * groups + 2), put16(h, 2 * groups);
    for (size_t i = 1; i <= groups; i++)
        put16(h, i == groups ? 0x7000 : 0x7777);
    put16(h, 13), put16(h, 4), put16(h, 2), put16(h, 0x0403);
    put16(h, 51), put16(h, 5 * shares + 2), put16(h, 5 * shares);
    for (size_t i = 0; i < shares; i++)
        put16(h, 0x7000), put16(h, 1), put8(h, 0);
    assert_int_equal(h->n, body + 4);
}

/* Returns the message in records of `piece` bytes. The caller frees it. */
static struct octets in_records(const struct hello *h, size_t piece)
{
    struct octets o = {malloc(h->n + 5 * (h->n / piece + 1)), 0};
    assert_non_null(o.p);
    for (size_t at = 0; at < h->n; at += piece) {
        const size_t n = h->n - at < piece ? h->n - at : piece;
        const uint8_t header[5] = {22, 3, 1, (uint8_t)(n >> 8), (uint8_t)n};
        memcpy(o.p + o.n, header, 5);
        memcpy(o.p + o.n + 5, h->octets + at, n);
        o.n += 5 + n;
    }
    return o;
}

static void a_handshake_takes_a_bounded_number_of_octets(void **state)
{
    (void)state;
    static const char exceeded[] = "too many bytes for a handshake";
    static const struct {
        size_t groups, shares, piece;
        bool exceeds;
    } cases[] = {
        /* in one record, in small ones, and each byte in a record of its own */
        {1, 1, 16384, false},      {2000, 800, 16384, false}, {1, 1, 1, false},
        {4000, 1600, 16384, true}, {4000, 1600, 512, true},   {16000, 6500, 16384, true},
        {1000, 1, 1, true},
    };
    struct tls_ctx *ctx = server_ctx(&modern, ec.pem);
    static struct hello h;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hello_build(&h, cases[i].groups, cases[i].shares);
        struct octets o = in_records(&h, cases[i].piece);
        struct side ours = {0};
        ours.c = tls_conn_new_server(ctx, sink, &ours);
        assert_int_equal(shake(&ours, span_of(o.p, o.n), 1448), ERR_TLS);
        assert_int_equal(strcmp(tls_conn_error(ours.c), exceeded) == 0, cases[i].exceeds);
        tls_conn_free(ours.c);
        free(ours.out.p);
        free(o.p);
    }
    tls_ctx_free(ctx);
}

/* Feeds all that the peer has sent, and reads once. */
static enum err ours_take(struct raw *peer, struct side *ours)
{
    char *p;
    uint8_t got[64];
    size_t n;
    const long len = BIO_get_mem_data(peer->out, &p);
    tls_conn_feed(ours->c, span_of(p, (size_t)len));
    const enum err e = tls_conn_read(ours->c, got, sizeof got, &n);
    if (e != ERR_TLS)
        (void)BIO_reset(peer->out);
    return e;
}

static void say_new_keys(struct raw *peer, int times)
{
    for (int i = 0; i < times; i++) {
        assert_int_equal(SSL_key_update(peer->ssl, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
        assert_int_equal(SSL_do_handshake(peer->ssl), 1);
    }
}

/* A KeyUpdate costs a hundred times as much as data of the same length. */
static void new_keys_without_data_have_a_bound(void **state)
{
    (void)state;
    struct tls_ctx *server = server_ctx(&modern, ec.pem);
    struct raw peer;
    struct side ours;
    raw_client(&peer, &ours, server, raw_ctx(TLS_1_3));
    say_new_keys(&peer, TLS_MESSAGES_MAX);
    assert_int_equal(ours_take(&peer, &ours), ERR_MORE);
    say_new_keys(&peer, 1);
    assert_int_equal(SSL_write(peer.ssl, "ping", 4), 4);
    assert_int_equal(ours_take(&peer, &ours), ERR_TLS);
    assert_string_equal(tls_conn_error(ours.c), "too many messages without data");
    raw_client_free(&peer, &ours, server);
}

/* A peer may change its keys once for each TLS_MESSAGE_OCTETS of data, without a limit. */
static void new_keys_behind_data_have_none(void **state)
{
    (void)state;
    static uint8_t data[16384], got[sizeof data];
    struct tls_ctx *server = server_ctx(&modern, ec.pem);
    struct raw peer;
    struct side ours;
    raw_client(&peer, &ours, server, raw_ctx(TLS_1_3));
    say_new_keys(&peer, TLS_MESSAGES_MAX);
    for (size_t i = 0; i < 10 * TLS_MESSAGE_OCTETS / sizeof data; i++) {
        char *p;
        size_t n;
        if (i % (TLS_MESSAGE_OCTETS / sizeof data) == 0 && i > 0)
            say_new_keys(&peer, 1);
        assert_int_equal(SSL_write(peer.ssl, data, sizeof data), sizeof data);
        const long len = BIO_get_mem_data(peer.out, &p);
        tls_conn_feed(ours.c, span_of(p, (size_t)len));
        assert_int_equal(tls_conn_read(ours.c, got, sizeof got, &n), ERR_OK);
        assert_int_equal(tls_conn_read(ours.c, got, sizeof got, &n), ERR_MORE);
        (void)BIO_reset(peer.out);
    }
    raw_client_free(&peer, &ours, server);
}

/* Connects a server of plain OpenSSL, whose ctx has the certificate, and a tls_conn client. */
static void raw_server(struct raw *peer, struct side *ours, struct tls_ctx *client, SSL_CTX *ctx,
                       const char *name)
{
    *ours = (struct side){0};
    ours->c = tls_conn_new_client(client, NULL, name, sink, ours);
    raw_init(peer, ctx, true);
    for (int i = 0; i < 6; i++) {
        enum err e = ours->done ? ERR_MORE : tls_conn_handshake(ours->c);
        ours->done = ours->done || e == ERR_OK;
        to_raw(ours, peer);
        (void)SSL_do_handshake(peer->ssl);
        ERR_clear_error();
        if (e == ERR_TLS)
            return;
        raw_to(peer, ours);
    }
}

static SSL_CTX *raw_server_ctx(const struct cert *cert)
{
    SSL_CTX *ctx = raw_ctx(TLS_1_3);
    SSL_CTX_set_security_level(ctx, 0);
    assert_int_equal(SSL_CTX_use_certificate(ctx, cert->x509), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(ctx, cert->key), 1);
    return ctx;
}

static void tickets_without_data_have_a_bound(void **state)
{
    (void)state;
    struct tls_ctx *client = client_ctx(&modern, NULL);
    struct raw peer;
    struct side ours;
    raw_server(&peer, &ours, client, raw_server_ctx(&ec), NULL);
    assert_true(ours.done);
    for (int i = 0; i < 2 * TLS_MESSAGES_MAX; i++) {
        assert_int_equal(SSL_new_session_ticket(peer.ssl), 1);
        assert_int_equal(SSL_do_handshake(peer.ssl), 1);
    }
    assert_int_equal(ours_take(&peer, &ours), ERR_TLS);
    assert_string_equal(tls_conn_error(ours.c), "too many messages without data");
    raw_client_free(&peer, &ours, client);
}

/* More than two primes, because they are quick to find. */
static EVP_PKEY *rsa_key(unsigned bits, unsigned primes, const char *exponent)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_id(EVP_PKEY_RSA, NULL);
    EVP_PKEY *key = NULL;
    BIGNUM *e = NULL;
    assert_true(BN_hex2bn(&e, exponent) > 0);
    assert_int_equal(EVP_PKEY_keygen_init(ctx), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, (int)bits), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_keygen_primes(ctx, (int)primes), 1);
    assert_int_equal(EVP_PKEY_CTX_set1_rsa_keygen_pubexp(ctx, e), 1);
    assert_int_equal(EVP_PKEY_generate(ctx, &key), 1);
    BN_free(e);
    EVP_PKEY_CTX_free(ctx);
    return key;
}

/* Also with a pin or without verification: the key is used before anything is compared. */
static void keys_that_cost_too_much_are_not_used(void **state)
{
    (void)state;
    static const struct {
        unsigned bits, primes;
        const char *exponent, *error;
    } cases[] = {
        {8208, 5, "10001", "RSA key: 8208 bits, more than 8192"},
        {2048, 2, "10000000000000001", "RSA exponent: 65 bits, more than 64"},
        {2048, 2, "8000000000000001", NULL},
    };
    const char *const trust[] = {NULL, ca.pem};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct cert key = {.key = rsa_key(cases[i].bits, cases[i].primes, cases[i].exponent)};
        char file[16];
        struct cert leaf;
        snprintf(file, sizeof file, "key%zu.pem", i);
        cert_make(&certs, &leaf, file,
                  &(struct cert_spec){.name = "DNS:k.test", .issuer = &ca, .same_key = &key});
        for (size_t k = 0; k < 2; k++) {
            struct tls_ctx *client = client_ctx(&modern, trust[k]);
            struct raw peer;
            struct side ours;
            raw_server(&peer, &ours, client, raw_server_ctx(&leaf), k == 0 ? NULL : "k.test");
            assert_int_equal(ours.done, cases[i].error == NULL);
            if (cases[i].error != NULL && strstr(tls_conn_error(ours.c), cases[i].error) == NULL)
                fail_msg("'%s' is not about '%s'", tls_conn_error(ours.c), cases[i].error);
            assert_int_equal(tls_conn_unverified(ours.c), cases[i].error != NULL);
            raw_client_free(&peer, &ours, client);
        }
        EVP_PKEY_free(key.key);
        cert_free(&leaf);
    }
}

static void lists_of_certificates_have_a_bound(void **state)
{
    (void)state;
    struct tls_ctx *client = client_ctx(&modern, NULL);
    for (int many = 0; many < 2; many++) {
        SSL_CTX *ctx = raw_server_ctx(&ec);
        for (int i = 0; i < (many ? 120 : 20); i++)
            assert_int_equal(SSL_CTX_add1_chain_cert(ctx, other.x509), 1);
        struct raw peer;
        struct side ours;
        raw_server(&peer, &ours, client, ctx, NULL);
        assert_int_equal(ours.done, !many);
        assert_string_equal(tls_conn_error(ours.c), many ? "excessive message size" : "");
        SSL_free(peer.ssl);
        SSL_CTX_free(ctx);
        tls_conn_free(ours.c);
        free(ours.out.p);
    }
    tls_ctx_free(client);
}

static void chains_have_a_bound(void **state)
{
    (void)state;
    enum { LONGEST = TLS_PEER_DEPTH_MAX + 1 };
    struct tls_ctx *client = client_ctx(&modern, ca.pem);
    struct cert link[LONGEST];
    for (size_t i = 0; i < LONGEST; i++) {
        char file[16];
        snprintf(file, sizeof file, "link%zu.pem", i);
        cert_make(&certs, &link[i], file,
                  &(struct cert_spec){.issuer = i == 0 ? &ca : &link[i - 1]});
    }
    for (size_t n = LONGEST - 1; n <= LONGEST; n++) {
        struct cert leaf;
        char file[16];
        snprintf(file, sizeof file, "end%zu.pem", n);
        cert_make(&certs, &leaf, file,
                  &(struct cert_spec){.name = "DNS:l.test", .issuer = &link[n - 1]});
        SSL_CTX *ctx = raw_server_ctx(&leaf);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(SSL_CTX_add1_chain_cert(ctx, link[n - 1 - i].x509), 1);
        struct raw peer;
        struct side ours;
        raw_server(&peer, &ours, client, ctx, "l.test");
        assert_int_equal(ours.done, n < LONGEST);
        if (n == LONGEST)
            assert_non_null(strstr(tls_conn_error(ours.c), "chain too long"));
        SSL_free(peer.ssl);
        SSL_CTX_free(ctx);
        tls_conn_free(ours.c);
        free(ours.out.p);
        cert_free(&leaf);
    }
    for (size_t i = 0; i < LONGEST; i++)
        cert_free(&link[i]);
    tls_ctx_free(client);
}

int main(void)
{
    assert_true(CRYPTO_set_mem_functions(counted_malloc, counted_realloc, counted_free));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_version_shakes_hands_and_talks),
        cmocka_unit_test(no_name_is_an_empty_one),
        cmocka_unit_test(the_leaf_is_the_one_that_was_shown),
        cmocka_unit_test(an_anonymous_cipher_shows_no_leaf),
        cmocka_unit_test(the_handshake_does_not_care_how_octets_are_cut),
        cmocka_unit_test(data_does_not_care_where_it_is_cut),
        cmocka_unit_test(a_handshake_that_is_cut_off_waits),
        cmocka_unit_test(close_notify_ends_one_direction),
        cmocka_unit_test(a_close_notify_in_the_handshake_is_a_failure_with_a_text),
        cmocka_unit_test(what_is_not_tls_fails_for_good),
        cmocka_unit_test(an_altered_record_fails_for_good),
        cmocka_unit_test(each_write_is_one_record),
        cmocka_unit_test(a_rest_gives_back_the_buffers),
        cmocka_unit_test(a_rest_amid_a_record_loses_nothing),
        cmocka_unit_test(levels_and_versions_belong_to_one_context),
        cmocka_unit_test(a_client_offers_a_version),
        cmocka_unit_test(alerts_about_the_certificate),
        cmocka_unit_test(no_common_cipher_or_version_is_reported),
        cmocka_unit_test(what_a_context_cannot_use_is_named),
        cmocka_unit_test(chains_and_names_are_verified),
        cmocka_unit_test(nothing_can_be_resumed),
        cmocka_unit_test(a_client_never_resumes),
        cmocka_unit_test(new_keys_on_the_way),
        cmocka_unit_test(keys_are_changed_in_time),
        cmocka_unit_test(renegotiation_is_refused),
        cmocka_unit_test(writing_amid_a_handshake_message_is_no_accident),
        cmocka_unit_test(a_handshake_takes_a_bounded_number_of_octets),
        cmocka_unit_test(new_keys_without_data_have_a_bound),
        cmocka_unit_test(new_keys_behind_data_have_none),
        cmocka_unit_test(tickets_without_data_have_a_bound),
        cmocka_unit_test(keys_that_cost_too_much_are_not_used),
        cmocka_unit_test(lists_of_certificates_have_a_bound),
        cmocka_unit_test(chains_have_a_bound),
    };
    const int failed = cmocka_run_group_tests_name("openssl", tests, setup, teardown);
    own = true;
    return failed + cmocka_run_group_tests_name("gate", tests, setup, teardown);
}
