/* Connections that leave OpenSSL after their handshakes, and those that stay, with OpenSSL as the
 * peer. */
#include "tls/handover.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs the first four headers above it */
#include <cmocka.h>
#include <fcntl.h>

#include "tls/tls_internal.h"
#include "tls/tls_memory.h"
#include "twins.h"

/* ---- a peer that remains OpenSSL ---- */

static uint8_t pattern[40000];

/* Moves bytes both ways, and reads on both sides. Returns what the peer has read. */
static struct bytes exchange(struct twin *t, size_t piece)
{
    struct bytes o = bytes_taken(&t->to_c), got = {0};
    uint8_t part[700];
    size_t n;

    if (o.n > 0)
        twin_feed(t, bytes_span(&o), piece, 20000);
    bytes_free(&o);
    o = bytes_taken(&t->to_peer);
    t->window.in = bytes_span(&o);
    t->window.use.unasked = 0; /* the bound is not for this peer */
    while (SSL_read_ex(t->peer, part, sizeof part, &n) == 1)
        bytes_add(&got, span_of(part, n));
    ERR_clear_error();
    assert_int_equal(t->window.in.n, 0);
    bytes_free(&o);
    return got;
}

static void peer_sends(struct twin *t, struct span s, size_t piece)
{
    size_t n;

    assert_int_equal(SSL_write_ex(t->peer, s.p, s.n, &n), 1);
    bytes_free(&t->text);
    struct bytes got = exchange(t, piece);
    assert_int_equal(t->last, ERR_MORE);
    assert_true(span_eq(bytes_span(&t->text), s));
    assert_int_equal(got.n, 0);
    bytes_free(&got);
}

static void we_say(struct twin *t, struct span s)
{
    assert_int_equal(tls_conn_write(t->c, s), ERR_OK);
    struct bytes got = exchange(t, SIZE_MAX);
    assert_true(span_eq(bytes_span(&got), s));
    bytes_free(&got);
}

static void open_gate(struct twin *t, const struct twins_suite *suite, bool server)
{
    twin_init(t, suite, server, true);
    twin_shake(t);
    assert_string_equal(tls_conn_records(t->c), "gate");
    assert_string_equal(tls_conn_version(t->c), suite->tls13 ? "TLSv1.3" : "TLSv1.2");
    assert_string_equal(tls_conn_cipher(t->c), suite->name);
}

static void for_each(void (*test)(const struct twins_suite *suite, bool server))
{
    for (size_t i = 0; i < TWINS_SUITES; i++)
        for (int server = 0; server < 2; server++)
            test(&twins_suites[i], server);
}

/* ---- data ---- */

static void sizes_and_padding_of(const struct twins_suite *suite, bool server)
{
    struct twin t;

    open_gate(&t, suite, server);
    srandom(14);
    for (int i = 0; i < 40; i++) {
        const size_t n = 1 + (size_t)random() % (i % 4 == 0 ? sizeof pattern : 1500);
        if (suite->tls13)
            assert_int_equal(SSL_set_block_padding(t.peer, i % 2 ? 512 : 0), 1);
        peer_sends(&t, span_of(pattern, n), i % 3 == 0 ? SIZE_MAX : 1 + (size_t)random() % 4000);
        we_say(&t, span_of(pattern, n));
        if (i % 5 == 0)
            tls_conn_rest(t.c);
    }
    twin_free(&t);
}

static void sizes_and_padding(void **state)
{
    (void)state;
    for_each(sizes_and_padding_of);
}

/* Both sides change their keys, with data between. */
static void storm_of(const struct twins_suite *suite, bool server)
{
    struct twin t;

    if (!suite->tls13)
        return;
    open_gate(&t, suite, server);
    for (int i = 0; i < 60; i++) {
        const int kind = i % 3 == 0 ? SSL_KEY_UPDATE_NOT_REQUESTED : SSL_KEY_UPDATE_REQUESTED;
        assert_int_equal(SSL_key_update(t.peer, kind), 1);
        peer_sends(&t, span_of(pattern, 100), i % 2 ? SIZE_MAX : 3);
        we_say(&t, span_of(pattern, 100));
    }
    twin_free(&t);
}

static void many_key_updates(void **state)
{
    (void)state;
    for_each(storm_of);
}

/* Servers of OpenSSL send tickets after the handshake, and at any later time. */
static void tickets_at_any_time(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct twin t;
        twin_init(&t, &twins_suites[i], false, true);
        SSL_clear_options(t.peer, SSL_OP_NO_TICKET);
        SSL_set_num_tickets(t.peer, 2);
        twin_shake(&t);
        assert_string_equal(tls_conn_records(t.c), "gate");
        for (int k = 0; k < 20; k++) {
            assert_int_equal(SSL_new_session_ticket(t.peer), 1);
            peer_sends(&t, span_of(pattern, 10), k % 2 ? 1 : SIZE_MAX);
            we_say(&t, span_of(pattern, 10));
        }
        twin_free(&t);
    }
}

static void close_of(const struct twins_suite *suite, bool server)
{
    struct twin t;
    uint8_t none[1];
    size_t n;

    open_gate(&t, suite, server);
    assert_int_equal(SSL_shutdown(t.peer), 0);
    struct bytes got = exchange(&t, 1);
    assert_int_equal(t.last, ERR_CLOSED);
    assert_int_equal(tls_conn_write(t.c, span_str("still here")), ERR_OK);
    tls_conn_shutdown(t.c);
    bytes_free(&got);
    got = exchange(&t, 1);
    assert_true(span_eq(bytes_span(&got), span_str("still here")));
    assert_int_equal(SSL_get_shutdown(t.peer), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    assert_int_equal(tls_conn_read(t.c, none, sizeof none, &n), ERR_CLOSED);
    bytes_free(&got);
    twin_free(&t);
}

static void both_directions_close(void **state)
{
    (void)state;
    for_each(close_of);
}

/* The same alert as OpenSSL's, for each bit of a record. */
static void flips_of(const struct twins_suite *suite, bool server)
{
    if (suite != &twins_suites[0] && suite != &twins_suites[3] && suite != &twins_suites[8])
        return;
    for (size_t bit = 0; bit < 8 * 40; bit++) {
        struct twins t;
        twins_init(&t, suite, server);
        twins_seal(&t, RECORD_DATA, span_str("0123456789"), 0);
        if (bit / 8 < t.ours.to_c.n) {
            t.ours.to_c.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
            t.model.to_c.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        twins_feed(&t, SIZE_MAX, 20000);
        const char *what = twins_differ(&t);
        if (what != NULL)
            fail_msg("bit %zu, %s: %s differs", bit, suite->name, what);
        assert_true(bit / 8 >= 31 || t.ours.text.n == 0);
        twins_free(&t);
    }
}

static void one_flipped_bit(void **state)
{
    (void)state;
    for_each(flips_of);
}

/* ---- the hand-over ---- */

/* Lets the peer send text as early as it can: behind its Finished or, as a server of TLS 1.3,
 * behind its only flight. */
static void peer_writes_behind(struct twin *t, struct span text, bool early)
{
    bool done = tls_conn_handshake(t->c) == ERR_OK;
    size_t n = 0;

    for (int i = 0; i < 6 && n == 0; i++) {
        if (early) {
            struct bytes o = bytes_taken(&t->to_peer);
            t->window.in = bytes_span(&o);
            if (SSL_read_early_data(t->peer, &(char){0}, 1, &n) == SSL_READ_EARLY_DATA_FINISH)
                assert_int_equal(SSL_write_early_data(t->peer, text.p, text.n, &n), 1);
            bytes_free(&o);
        } else {
            twin_to_peer(t);
            if (SSL_is_init_finished(t->peer))
                assert_int_equal(SSL_write_ex(t->peer, text.p, text.n, &n), 1);
        }
        if (n == 0)
            done = twin_to_c(t, SIZE_MAX);
    }
    assert_false(done);
    assert_int_equal(n, text.n);
}

/* The peer's data arrives with the end of its handshake, cut at each byte. */
static void behind_of(const struct twins_suite *suite, bool server)
{
    static const char text[] = "behind the handshake";
    const size_t cuts = sizeof text - 1 + 120; /* with a Finished */

    if (!suite->tls13 && server) /* this Finished is the last */
        return;
    for (size_t cut = 0; cut < cuts; cut++) {
        struct twin t;
        twin_init(&t, suite, server, true);
        peer_writes_behind(&t, span_str(text), !server && suite->tls13);
        struct bytes o = bytes_taken(&t.to_c);
        const size_t first = cut < o.n ? o.n - cut : 0;
        bytes_add(&t.to_c, span_of(o.p, first));
        const bool done = twin_to_c(&t, SIZE_MAX);
        bytes_add(&t.to_c, span_of(o.p + first, o.n - first));
        if (!done)
            assert_true(twin_to_c(&t, SIZE_MAX));
        struct bytes got = exchange(&t, SIZE_MAX);
        assert_string_equal(tls_conn_records(t.c), "gate");
        assert_int_equal(t.last, ERR_MORE);
        assert_true(span_eq(bytes_span(&t.text), span_str(text)));
        bytes_free(&got);
        bytes_free(&o);
        (void)SSL_do_handshake(t.peer);
        we_say(&t, span_str("answer"));
        twin_free(&t);
    }
}

static void data_behind_the_handshake(void **state)
{
    (void)state;
    for_each(behind_of);
}

/* The explicit nonces of AES-GCM in TLS 1.2 continue behind that of OpenSSL's Finished. */
static void no_nonce_occurs_twice(void **state)
{
    (void)state;
    for (int server = 0; server < 2; server++)
        for (int i = 3; i < 5; i++) {
            struct twin t;
            twin_init(&t, &twins_suites[i], server, true);
            uint64_t nonce[3] = {0};
            uint8_t finished[45];
            bool done = tls_conn_handshake(t.c) == ERR_OK;
            for (int k = 0; k < 6; k++) {
                if (t.to_peer.n >= sizeof finished)
                    memcpy(finished, t.to_peer.p + t.to_peer.n - sizeof finished, sizeof finished);
                twin_to_peer(&t);
                done = done || twin_to_c(&t, SIZE_MAX);
            }
            assert_true(done);
            assert_memory_equal(finished, "\x16\3\3\0\x28", 5);
            memcpy(&nonce[0], finished + 5, 8);
            for (int k = 1; k < 3; k++) {
                assert_int_equal(tls_conn_write(t.c, span_str("x")), ERR_OK);
                memcpy(&nonce[k], t.to_peer.p + 5, 8);
                bytes_free(&t.to_peer);
                assert_int_equal(be64toh(nonce[k]), be64toh(nonce[0]) + (uint64_t)k);
            }
            twin_free(&t);
        }
}

static void stays(const char *suite, int version, bool server, uint8_t fragment)
{
    const struct twins_suite any = {"ECDHE-ECDSA-AES128-GCM-SHA256", false};
    const uint64_t before = tls_conn_kept();
    struct twin t;

    twin_init(&t, version == TLS1_3_VERSION ? &twins_suites[0] : &any, server, true);
    if (version == TLS1_3_VERSION)
        assert_int_equal(SSL_set_ciphersuites(t.peer, suite), 1);
    else
        assert_int_equal(SSL_set_cipher_list(t.peer, suite), 1);
    if (fragment != 0)
        assert_int_equal(SSL_set_tlsext_max_fragment_length(t.peer, fragment), 1);
    twin_shake(&t);
    assert_string_equal(tls_conn_records(t.c), "openssl");
    assert_int_equal(tls_conn_kept(), before + 1);
    peer_sends(&t, span_of(pattern, 1000), SIZE_MAX);
    we_say(&t, span_of(pattern, 1000));
    twin_free(&t);
}

static void unsupported_connections_stay_with_openssl(void **state)
{
    (void)state;
    for (int server = 0; server < 2; server++) {
        stays("ECDHE-ECDSA-AES128-SHA", TLS1_2_VERSION, server, 0);
        stays("ECDHE-ECDSA-AES256-SHA384", TLS1_2_VERSION, server, 0);
    }
    stays("ECDHE-ECDSA-AES128-GCM-SHA256", TLS1_2_VERSION, true, TLSEXT_max_fragment_length_512);
    stays("TLS_AES_128_GCM_SHA256", TLS1_3_VERSION, true, TLSEXT_max_fragment_length_1024);
}

static void sessions_that_are_kept_stay_with_openssl(void **state)
{
    (void)state;
    const uint64_t before = tls_conn_kept();
    struct twin t;

    twin_init(&t, &twins_suites[0], false, true);
    tls_conn_keep(t.c);
    twin_shake(&t);
    assert_string_equal(tls_conn_records(t.c), "openssl");
    assert_int_equal(tls_conn_kept(), before); /* a wanted result is not counted */
    twin_free(&t);
}

/* ---- the facts ---- */

static void facts_of(const struct twins_suite *suite, bool server)
{
    struct twin t;

    open_gate(&t, suite, server);
    assert_true(span_eq(tls_conn_sni(t.c), span_str(server ? "" : "vpn.test")));
    assert_int_equal(tls_conn_shown(t.c), server);
    assert_false(tls_conn_unverified(t.c));
    assert_false(tls_conn_resumed(t.c));
    if (server)
        assert_string_equal(tls_conn_offered(t.c), suite->tls13 ? "TLSv1.3" : "TLSv1.2");
    for (int i = 0; i < 2; i++) {
        const struct span leaf = tls_conn_leaf(t.c);
        X509 *x509 = d2i_X509(NULL, &(const unsigned char *){leaf.p}, (long)leaf.n);
        const bool rsa = strstr(suite->name, "RSA") != NULL && strstr(suite->name, "ECDSA") == NULL;
        assert_non_null(x509);
        if (!suite->tls13 && strncmp(suite->name, "AES", 3) != 0)
            assert_int_equal(X509_cmp(x509, twins_all()->pem[rsa].x509), 0);
        X509_free(x509);
        free((void *)(uintptr_t)leaf.p);
    }
    tls_conn_forget_leaf(t.c);
    assert_int_equal(tls_conn_leaf(t.c).n, 0);
    twin_free(&t);
}

static void facts_remain_after_the_hand_over(void **state)
{
    (void)state;
    for_each(facts_of);
}

/* ---- secrets ---- */

struct seen {
    char line[4][256];
    size_t lines;
};

static void on_keys(void *arg, const char *line)
{
    struct seen *s = arg;

    if (strstr(line, "_TRAFFIC_SECRET_0 ") == NULL || s->lines == 4)
        return;
    /* inverted, so that the search does not find it here */
    for (size_t i = 0; line[i] != '\0' && i < 255; i++)
        s->line[s->lines][i] = (char)~line[i];
    s->lines++;
}

/* Returns the inverted secret of a line; n: its size. */
static void inverted(const char *line, uint8_t out[48], size_t *n)
{
    size_t spaces = 0;

    for (*n = 0; *line != '\0';) {
        if ((char)~*line == ' ') {
            spaces++, line++;
        } else if (spaces < 2) {
            line++;
        } else {
            const char hex[] = {(char)~line[0], (char)~line[1], '\0'};
            out[(*n)++] = (uint8_t)~strtoul(hex, NULL, 16);
            line += 2;
        }
    }
}

static bool is_there(const uint8_t *at, const uint8_t *secret, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((at[i] ^ secret[i]) != 0xff)
            return false;
    return true;
}

/* Counts the copies of an inverted secret in a mapping. It is read through the kernel, because a
 * sanitizer has memory that cannot be read otherwise. The buffer is emptied before each read, so
 * that it is not found. */
static size_t copies_in(int mem, unsigned long from, unsigned long to, const uint8_t *secret,
                        size_t n)
{
    static uint8_t buffer[65536];
    size_t found = 0;

    for (; from + n <= to; from += sizeof buffer - n + 1) {
        const size_t wanted = to - from < sizeof buffer ? to - from : sizeof buffer;
        memset(buffer, 0, sizeof buffer);
        const ssize_t got = pread(mem, buffer, wanted, (off_t)from);
        for (size_t i = 0; got > 0 && i + n <= (size_t)got; i++)
            found += is_there(buffer + i, secret, n);
    }
    memset(buffer, 0, sizeof buffer);
    return found;
}

/* Counts the copies in the writable memory of this process, without the shadow of a sanitizer. */
static size_t copies(const uint8_t *secret, size_t n)
{
    const int mem = open("/proc/self/mem", O_RDONLY);
    FILE *f = fopen("/proc/self/maps", "r");
    char line[512], mode[8];
    unsigned long from, to;
    size_t found = 0;

    assert_non_null(f);
    assert_true(mem >= 0);
    while (fgets(line, sizeof line, f) != NULL)
        if (sscanf(line, "%lx-%lx %7s", &from, &to, mode) == 3 && strncmp(mode, "rw", 2) == 0 &&
            to - from < 1UL << 30 && strstr(line, "[stack]") == NULL)
            found += copies_in(mem, from, to, secret, n);
    fclose(f);
    close(mem);
    return found;
}

static void secrets_are_wiped(void **state)
{
    (void)state;
    struct seen seen = {.lines = 0};
    struct twin t;
    uint8_t secret[48];
    size_t n;

    tls_ctx_set_keylog(twins_all()->server[1], on_keys, &seen);
    open_gate(&t, &twins_suites[0], true);
    tls_ctx_set_keylog(twins_all()->server[1], NULL, NULL);
    assert_int_equal(seen.lines, 2);
    tls_memory_free(t.peer);
    t.peer = NULL;
    handover_secrets_free(t.window.secrets);
    t.window.secrets = NULL;
    for (size_t i = 0; i < 2; i++) {
        inverted(seen.line[i], secret, &n);
        assert_int_equal(n, 32);
        assert_int_equal(copies(secret, n), 1); /* the search works, and there is one place */
    }
    twin_free(&t);
    for (size_t i = 0; i < 2; i++) {
        inverted(seen.line[i], secret, &n);
        assert_int_equal(copies(secret, n), 0);
    }
}

/* A connection that stays with OpenSSL has its secrets there, and nowhere else. */
static void secrets_of_openssl_are_not_kept(void **state)
{
    (void)state;
    struct seen seen = {.lines = 0};
    struct twin t;
    uint8_t secret[48];
    size_t n;

    tls_ctx_set_keylog(twins_all()->server[1], on_keys, &seen);
    twin_init(&t, &twins_suites[0], true, true);
    assert_int_equal(SSL_set_tlsext_max_fragment_length(t.peer, TLSEXT_max_fragment_length_1024),
                     1);
    twin_shake(&t);
    tls_ctx_set_keylog(twins_all()->server[1], NULL, NULL);
    assert_string_equal(tls_conn_records(t.c), "openssl");
    tls_memory_free(t.peer);
    t.peer = NULL;
    handover_secrets_free(t.window.secrets);
    t.window.secrets = NULL;
    assert_int_equal(seen.lines, 2);
    for (size_t i = 0; i < 2; i++) {
        inverted(seen.line[i], secret, &n);
        assert_int_equal(copies(secret, n), 1);
    }
    twin_free(&t);
}

/* ---- the key log ---- */

static struct tls_ctx *own_ctx(bool server)
{
    return server ? twins_all()->server[1] : twins_all()->client[1];
}

static void no_callback_of(const struct twins_suite *suite, bool server)
{
    struct twin t;

    assert_null(SSL_CTX_get_keylog_callback(own_ctx(server)->ssl));
    open_gate(&t, suite, server);
    assert_null(SSL_CTX_get_keylog_callback(own_ctx(server)->ssl));
    twin_free(&t);
}

/* A callback costs the formatting of all lines. */
static void there_is_no_callback_between_handshakes(void **state)
{
    (void)state;
    for_each(no_callback_of);
}

struct counted {
    size_t lines, traffic;
};

static void count_line(void *arg, const char *line)
{
    struct counted *c = arg;

    c->lines++;
    c->traffic += strstr(line, "_TRAFFIC_SECRET_0 ") != NULL;
}

static void every_line_of(const struct twins_suite *suite, bool server)
{
    struct counted counted = {0};
    struct twin t;

    tls_ctx_set_keylog(own_ctx(server), count_line, &counted);
    for (size_t i = 1; i < 3; i++) {
        open_gate(&t, suite, server);
        twin_free(&t);
        assert_int_equal(counted.traffic, suite->tls13 ? 2 * i : 0);
        assert_true(counted.lines >= (suite->tls13 ? 5 : 1) * i);
    }
    tls_ctx_set_keylog(own_ctx(server), NULL, NULL);
    assert_null(SSL_CTX_get_keylog_callback(own_ctx(server)->ssl));
}

static void a_key_log_gets_every_line(void **state)
{
    (void)state;
    for_each(every_line_of);
}

/* Connections of one context get their own secrets. */
static void handshakes_interleave(void **state)
{
    (void)state;
    struct twin t[3];

    for (int server = 0; server < 2; server++) {
        for (int i = 0; i < 3; i++) {
            twin_init(&t[i], &twins_suites[0], server, true);
            assert_int_equal(tls_conn_handshake(t[i].c), ERR_MORE);
        }
        for (int i = 0; i < 3; i++)
            twin_to_peer(&t[i]);
        for (int i = 0; i < 3; i++)
            if (t[i].to_c.n > 0)
                (void)twin_to_c(&t[i], SIZE_MAX);
        for (int i = 2; i >= 0; i--) {
            twin_shake(&t[i]);
            assert_string_equal(tls_conn_records(t[i].c), "gate");
            peer_sends(&t[i], span_of(pattern, 100), SIZE_MAX);
            we_say(&t[i], span_of(pattern, 100));
            twin_free(&t[i]);
        }
    }
}

int main(void)
{
    tls_memory_start();
    for (size_t i = 0; i < sizeof pattern; i++)
        pattern[i] = (uint8_t)(i * 7 + i / 256);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_and_padding),
        cmocka_unit_test(many_key_updates),
        cmocka_unit_test(tickets_at_any_time),
        cmocka_unit_test(both_directions_close),
        cmocka_unit_test(one_flipped_bit),
        cmocka_unit_test(data_behind_the_handshake),
        cmocka_unit_test(no_nonce_occurs_twice),
        cmocka_unit_test(unsupported_connections_stay_with_openssl),
        cmocka_unit_test(sessions_that_are_kept_stay_with_openssl),
        cmocka_unit_test(facts_remain_after_the_hand_over),
        cmocka_unit_test(secrets_are_wiped),
        cmocka_unit_test(secrets_of_openssl_are_not_kept),
        cmocka_unit_test(there_is_no_callback_between_handshakes),
        cmocka_unit_test(a_key_log_gets_every_line),
        cmocka_unit_test(handshakes_interleave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
