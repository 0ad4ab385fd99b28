/* The limits on the cost of a peer: bytes of a handshake, and messages without data. */
#include "tls/tls_bio.h"

#include "tls_pair.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_handshake_takes_a_bounded_number_of_octets),
        cmocka_unit_test(new_keys_without_data_have_a_bound),
        cmocka_unit_test(new_keys_behind_data_have_none),
        cmocka_unit_test(tickets_without_data_have_a_bound),
    };
    const int failed = cmocka_run_group_tests_name("openssl", tests, setup, teardown);
    own = true;
    return failed + cmocka_run_group_tests_name("gate", tests, setup, teardown);
}
