/* Streams on a real loop. Their turns are in test_turns.c. */
#include "net/stream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

#include "stream_fixture.h"

WRAP(uv_tcp_init, (uv_loop_t * loop, uv_tcp_t *h), (loop, h))
WRAP(uv_tcp_getpeername, (const uv_tcp_t *h, struct sockaddr *sa, int *n), (h, sa, n))
WRAP(uv_tcp_connect, (uv_connect_t * r, uv_tcp_t *h, const struct sockaddr *sa, uv_connect_cb cb),
     (r, h, sa, cb))
WRAP(uv_read_start, (uv_stream_t * s, uv_alloc_cb a, uv_read_cb r), (s, a, r))
WRAP(uv_try_write, (uv_stream_t * s, const uv_buf_t b[], unsigned n), (s, b, n))
WRAP(uv_write, (uv_write_t * r, uv_stream_t *s, const uv_buf_t b[], unsigned n, uv_write_cb cb),
     (r, s, b, n, cb))
WRAP(uv_shutdown, (uv_shutdown_t * r, uv_stream_t *s, uv_shutdown_cb cb), (r, s, cb))
WRAP(uv_tcp_close_reset, (uv_tcp_t * h, uv_close_cb cb), (h, cb))
WRAP(uv_tcp_open, (uv_tcp_t * h, uv_os_sock_t fd), (h, fd))
WRAP(uv_listen, (uv_stream_t * s, int backlog, uv_connection_cb cb), (s, backlog, cb))

/* A connection whose uv_accept fails is gone, as in libuv: it does not wait any longer. */
int __real_uv_accept(uv_stream_t *server, uv_stream_t *client);
int __wrap_uv_accept(uv_stream_t *server, uv_stream_t *client);
int __wrap_uv_accept(uv_stream_t *server, uv_stream_t *client)
{
    int r = __real_uv_accept(server, client);
    return faulty("uv_accept") ? fault.error : r;
}

static void octets_go_both_ways(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct owner o;
        struct peer p;
        loop_open();
        both_ways[i](&o, &p);
        assert_int_equal(o.count[SECURE], i);
        peer_says(&p, "from the peer");
        UNTIL(got(&o, "from the peer"));
        say(&o, "from ");
        say(&o, "the stream");
        UNTIL(peer_received(&p, "from the stream"));
        assert_int_equal(stream_queued(&o.s), 0);
        assert_int_equal(o.count[END], 0);
        owner_fini(&o);
        peer_fini(&p);
        loop_close();
    }
}

/* The peer does not read: the owner gets on_full when the queue is above its mark, and on_sent when
 * it is low again. */
static void the_queue_reports_its_level(void **state)
{
    (void)state;
    static uint8_t octets[4000];
    struct owner o;
    struct peer p;
    size_t total = 0;

    loop_open();
    meet_window(&o, &p, 4096);
    stream_start(&o.s, NULL);
    peer_listens(&p, false);
    while (stream_queued(&o.s) <= STREAM_HIGH) {
        for (size_t i = 0; i < sizeof octets; i++)
            octets[i] = (uint8_t)((total + i) % 251);
        stream_write(&o.s, span_of(octets, sizeof octets));
        total += sizeof octets;
        assert_int_equal(o.count[FULL], 0);
        worker_settle(&w);
        assert_true(total < 64u << 20);
    }
    assert_int_equal(o.count[FULL], 1);
    turn();
    assert_int_equal(o.count[FULL], 1);
    assert_int_equal(o.count[SENT], 0);
    assert_true(stream_queued(&o.s) <= STREAM_HIGH + sizeof octets);
    assert_in_range(w.pool.lent, stream_queued(&o.s) / POOL_BLOCK,
                    stream_queued(&o.s) / POOL_BLOCK + 3);
    peer_listens(&p, true);
    UNTIL(o.count[SENT] > 0);
    assert_true(stream_queued(&o.s) <= STREAM_LOW);
    UNTIL(p.in_len == total);
    for (size_t i = 0; i < total; i++)
        if ((uint8_t)p.in[i] != i % 251)
            fail_msg("octet %zu is wrong", i);
    UNTIL(stream_queued(&o.s) == 0);
    assert_int_equal(w.pool.lent, 0);
    owner_fini(&o);
    peer_fini(&p);
    loop_close();
}

static void close_is_orderly_or_a_reset(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++)
        for (int reset = 0; reset < 2; reset++) {
            struct owner o;
            struct peer p;
            loop_open();
            both_ways[i](&o, &p);
            say(&o, "gone");
            owner_close(&o, reset);
            owner_close(&o, !reset); /* harmless */
            say(&o, "no peer reads this");
            stream_shutdown(&o.s);
            stream_pause(&o.s);
            stream_resume(&o.s);
            stream_kick(&o.s);
            UNTIL(o.count[CLOSED] == 1 && (p.eof || p.error != 0));
            assert_int_equal(p.error, reset ? ECONNRESET : 0);
            assert_int_equal(p.closed_notify, !reset && i == 1);
            assert_true(peer_received(&p, reset ? "" : "gone"));
            owner_fini(&o);
            peer_fini(&p);
            loop_close();
        }
}

/* Half a message that wants to renegotiate leaves OpenSSL unable to write (see test_tls_conn): the
 * log must contain this cause, and not a reset of the connection. */
static void tls_that_cannot_write_is_a_tls_end(void **state)
{
    (void)state;
    static char name[256];
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    struct owner o;
    struct door d;
    char *hello;

    loop_open();
    door_open(&d);
    owner_init(&o);
    d.next = &o;
    int fd = connect_to(&d.at, 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    UNTIL(d.result == 0);
    door_close(&d);
    tls_ctx_set_records(server_ctx, false);
    stream_start(&o.s, tls_conn_new_server(server_ctx, stream_sink, &o.s));
    tls_ctx_set_records(server_ctx, true);
    worker_settle(&w);

    assert_non_null(ctx);
    SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
    SSL *ssl = SSL_new(ctx);
    SSL_set_fd(ssl, fd);
    while (SSL_connect(ssl) != 1)
        uv_run(&w.loop, UV_RUN_NOWAIT);
    UNTIL(o.count[SECURE] == 1);
    memset(name, 'n', sizeof name - 1);
    SSL_set_tlsext_host_name(ssl, name);
    SSL_set_cipher_list(ssl, "ALL@SECLEVEL=0");
    SSL_set_max_send_fragment(ssl, 512);
    SSL_set0_wbio(ssl, BIO_new(BIO_s_mem()));
    SSL_renegotiate(ssl);
    (void)SSL_do_handshake(ssl);
    assert_true(BIO_get_mem_data(SSL_get_wbio(ssl), &hello) > 512 + 5);
    ssize_t half = 5 + ((uint8_t)hello[3] << 8 | (uint8_t)hello[4]);
    assert_int_equal(send(fd, hello, (size_t)half, MSG_NOSIGNAL), half);
    turn();
    assert_int_equal(o.count[END], 0);
    say(&o, "an answer");
    UNTIL(o.count[END] == 1);
    assert_int_equal(o.why, STREAM_TLS);
    assert_string_not_equal(stream_error(&o.s), "");
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    close(fd);
    owner_fini(&o);
    loop_close();
}

/* A client whose settings leave no cipher suite to offer fails before it has sent a byte. The
 * stream reports that from the loop, too, not from inside stream_start. */
static void a_handshake_that_fails_at_once_is_reported_later(void **state)
{
    (void)state;
    static const struct tls_settings impossible = {
        .min = TLS_1_0, .max = TLS_1_1, .security_level = 4};
    char error[TLS_ERROR_MAX];
    struct owner o;
    struct peer p;
    struct tls_ctx *ctx = tls_ctx_new_client(&impossible, NULL, error);
    assert_non_null(ctx);
    loop_open();
    meet_window(&o, &p, 0);
    o.inside = true;
    stream_start(&o.s, tls_conn_new_client(ctx, NULL, NULL, stream_sink, &o.s));
    o.inside = false;
    UNTIL(o.count[END] == 1);
    assert_int_equal(o.why, STREAM_TLS);
    owner_fini(&o);
    peer_fini(&p);
    loop_close();
    tls_ctx_free(ctx);
}

static enum event close_at;
static bool close_by_reset;

static void close_when_it_happens(struct owner *o, enum event e)
{
    if (e == close_at)
        owner_close(o, close_by_reset);
}

static void close_from_inside_each_callback(void **state)
{
    (void)state;
    static const enum event at[] = {CONNECT, SECURE, READ, END, SENT};
    for (size_t i = 0; i < sizeof at / sizeof *at; i++)
        for (int reset = 0; reset < 2; reset++) {
            struct owner server, client;
            struct door d;
            close_at = at[i];
            close_by_reset = reset;
            loop_open();
            door_open(&d);
            owner_init(&server);
            owner_init(&client);
            d.next = &server;
            server.act = client.act = close_when_it_happens;
            assert_int_equal(stream_connect(&client.s, &d.at), 0);
            UNTIL(d.result == 0 && (client.count[CONNECT] == 1 || client.count[CLOSED] == 1));
            if (!client.closed)
                stream_start(&client.s,
                             tls_conn_new_client(client_ctx, NULL, NULL, stream_sink, &client.s));
            stream_start(&server.s, tls_conn_new_server(server_ctx, stream_sink, &server.s));
            if (at[i] > SECURE) {
                UNTIL(client.count[SECURE] == 1 && server.count[SECURE] == 1);
                say(&server, "both");
                say(&client, "talk");
                stream_shutdown(&server.s);
            }
            /* the first to close makes the other one end */
            UNTIL(client.count[CLOSED] == 1 || server.count[CLOSED] == 1);
            if (!client.closed)
                owner_close(&client, false);
            if (!server.closed)
                owner_close(&server, false);
            UNTIL(client.count[CLOSED] == 1 && server.count[CLOSED] == 1);
            door_close(&d);
            free(client.in);
            free(server.in);
            loop_close();
        }
}

static size_t use_one_and_close(struct owner *o, struct span octets)
{
    (void)octets;
    owner_close(o, false);
    return 1;
}

/* A struct may be used for another connection, and keeps no data of the previous one. */
static void a_stream_can_be_used_again(void **state)
{
    (void)state;
    static const char old[60000];
    struct owner o, server;
    struct peer p;
    struct door d;
    loop_open();
    meet_plain(&o, &p);
    o.use = use_one_and_close;
    say(&o, "old");
    stream_pause(&o.s); /* more than is handed to the owner at once */
    peer_write(&p, old, sizeof old);
    turn();
    stream_resume(&o.s);
    UNTIL(o.count[CLOSED] == 1);
    peer_fini(&p);

    o.count[CLOSED] = 0;
    o.closed = false;
    o.use = NULL;
    o.in_len = 0;
    door_open(&d);
    owner_init(&server);
    d.next = &server;
    assert_int_equal(stream_connect(&o.s, &d.at), 0);
    UNTIL(o.count[CONNECT] == 1 && d.result == 0);
    assert_int_equal(o.status, 0);
    stream_start(&o.s, NULL);
    stream_kick(&o.s);
    stream_start(&server.s, NULL);
    turn();
    assert_int_equal(o.in_len, 0);
    say(&server, "new");
    UNTIL(got(&o, "new"));
    assert_int_equal(server.in_len, 0);
    door_close(&d);
    owner_fini(&server);
    owner_fini(&o);
    loop_close();
}

static void connecting_to_a_closed_port(void **state)
{
    (void)state;
    struct owner o;
    struct door d;
    loop_open();
    door_open(&d); /* a port without a listening socket */
    door_close(&d);
    turn();
    owner_init(&o);
    o.inside = true;
    assert_int_equal(stream_connect(&o.s, &d.at), 0);
    o.inside = false;
    UNTIL(o.count[CONNECT] == 1);
    assert_int_equal(o.status, UV_ECONNREFUSED);
    owner_fini(&o);
    loop_close();
}

/* The request that libuv has of a connection in progress has the same memory as that of a shutdown.
 */
static void a_shutdown_amid_a_connection_closes(void **state)
{
    (void)state;
    struct owner o;
    struct door d;

    loop_open();
    door_open(&d);
    owner_init(&o);
    assert_int_equal(stream_connect(&o.s, &d.at), 0);
    stream_shutdown(&o.s);
    UNTIL(o.count[CLOSED] == 1);
    turn();
    assert_int_equal(o.count[CONNECT], 0);
    door_close(&d);
    owner_fini(&o);
    loop_close();
}

/* The peer has reset the connection before it was accepted. */
static void a_reset_peer_has_an_address(void **state)
{
    (void)state;
    static const char *const any[] = {"127.0.0.1:0", "[::1]:0"};
    for (size_t i = 0; i < 2; i++) {
        const struct linger at_once = {.l_onoff = 1};
        struct sockaddr_storage sa;
        socklen_t len = sizeof sa;
        struct addr own;
        struct owner o;
        struct door d = {.result = 1};
        int fd;
        loop_open();
        owner_init(&o);
        d.next = &o;
        assert_int_equal(addr_parse(any[i], 0, &own), ERR_OK);
        assert_int_equal(bind_to(&own, 1, &fd, &d.at), ERR_OK);
        assert_int_equal(listener_open(&d.l, &w, fd, on_connection, &d, 0), 0);
        fd = connect_to(&d.at, 0);
        assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
        assert_int_equal(addr_from_sockaddr((struct sockaddr *)&sa, &own), ERR_OK);
        assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
        close(fd);
        UNTIL(d.knocks == 1);
        assert_int_equal(d.result, 0);
        assert_true(addr_equal(&d.peer, &own));
        door_close(&d);
        owner_fini(&o);
        loop_close();
    }
}

static void close_while_connecting(void **state)
{
    (void)state;
    struct owner o;
    struct door d;
    loop_open();
    door_open(&d);
    owner_init(&o);
    assert_int_equal(stream_connect(&o.s, &d.at), 0);
    stream_write(&o.s, span_str("never sent"));
    owner_close(&o, false);
    UNTIL(o.count[CLOSED] == 1);
    assert_int_equal(o.count[CONNECT], 0);
    door_close(&d);
    owner_fini(&o);
    loop_close();
}

static char big[300 * 1024];

static size_t pass_on(struct owner *o, struct span octets)
{
    stream_write(&o->s, octets);
    return octets.n;
}

static void give_up(struct owner *o, bool reset)
{
    if (!o->closed)
        owner_close(o, reset);
}

/* Both sides close at the first error. The client ends when it has received all its bytes back. */
static void fault_act(struct owner *o, enum event e)
{
    int little = 4096;
    switch (e) {
    case CONNECT:
        if (o->status != 0)
            give_up(o, true);
        else
            stream_start(&o->s, tls_conn_new_client(client_ctx, NULL, NULL, stream_sink, &o->s));
        break;
    case SECURE:
        uv_send_buffer_size((uv_handle_t *)&o->s.tcp, &little); /* so that some bytes are queued */
        if (o->use == NULL)
            stream_write(&o->s, span_of(big, sizeof big));
        break;
    case READ:
        if (o->use == NULL && o->in_len == sizeof big)
            stream_shutdown(&o->s);
        break;
    case END:
        if (o->why == STREAM_EOF)
            stream_shutdown(&o->s);
        else
            give_up(o, true);
        break;
    default: break;
    }
    if (o->s.in == STREAM_IN_ENDED && o->s.out == STREAM_OUT_ENDED)
        give_up(o, o->use == NULL);
}

static bool over(const struct owner *o)
{
    return o->s.handle == STREAM_HANDLE_NONE;
}

/* A client connects, sends much, receives the echo, and both end, while the nth call of `name`
 * fails. Returns whether there were that many calls. */
static bool run_with_fault(const char *name, unsigned nth, int error)
{
    struct owner server, client;
    struct door d = {.result = 1};
    struct addr any;
    int fd;

    loop_open();
    owner_init(&server);
    owner_init(&client);
    server.act = client.act = fault_act;
    server.use = pass_on;
    assert_int_equal(addr_parse("127.0.0.1:0", 0, &any), ERR_OK);
    assert_int_equal(bind_to(&any, 1, &fd, &d.at), ERR_OK);
    fault.name = name;
    fault.in = nth;
    fault.error = error;
    bool opened = listener_open(&d.l, &w, fd, on_connection, &d, 0) == 0;
    d.next = &server;
    if (opened && stream_connect(&client.s, &d.at) != 0)
        client.closed = true;
    bool started = false;
    worker_settle(&w);
    while (!over(&client) || (d.result == 0 && !over(&server))) {
        uv_run(&w.loop, UV_RUN_ONCE);
        if (d.result == 0 && !started) {
            started = true;
            stream_start(&server.s, tls_conn_new_server(server_ctx, stream_sink, &server.s));
            worker_settle(&w);
        }
    }
    if (fault.in > 0) { /* no call has failed: all bytes have arrived */
        assert_int_equal(client.in_len, sizeof big);
        assert_memory_equal(client.in, big, sizeof big);
    }
    door_close(&d);
    bool struck = fault.in == 0;
    loop_close();
    free(server.in);
    free(client.in);
    return struck;
}

static void each_call_of_libuv_may_fail(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int error;
    } calls[] = {
        {"uv_tcp_open", UV_EEXIST},
        {"uv_listen", UV_EADDRINUSE},
        {"uv_tcp_connect", UV_ENETUNREACH},
        {"uv_accept", UV_EMFILE},
        {"uv_tcp_getpeername", UV_ENOTCONN},
        {"uv_read_start", UV_ENOTCONN},
        {"uv_try_write", UV_ECONNRESET},
        {"uv_try_write", UV_EAGAIN},
        {"uv_write", UV_EPIPE},
        {"uv_shutdown", UV_ENOTCONN},
        {"uv_tcp_close_reset", UV_EINVAL},
    };
    for (size_t i = 0; i < sizeof big; i++)
        big[i] = (char)(i % 253);
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        unsigned nth = 1;
        while (nth < 200 && run_with_fault(calls[i].name, nth, calls[i].error))
            nth++;
        if (nth == 1)
            fail_msg("%s was never called", calls[i].name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(octets_go_both_ways),
        cmocka_unit_test(the_queue_reports_its_level),
        cmocka_unit_test(close_is_orderly_or_a_reset),
        cmocka_unit_test(tls_that_cannot_write_is_a_tls_end),
        cmocka_unit_test(a_handshake_that_fails_at_once_is_reported_later),
        cmocka_unit_test(close_from_inside_each_callback),
        cmocka_unit_test(a_stream_can_be_used_again),
        cmocka_unit_test(connecting_to_a_closed_port),
        cmocka_unit_test(a_shutdown_amid_a_connection_closes),
        cmocka_unit_test(a_reset_peer_has_an_address),
        cmocka_unit_test(close_while_connecting),
        cmocka_unit_test(each_call_of_libuv_may_fail),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
