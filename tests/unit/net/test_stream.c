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

/* ---- calls of libuv that fail ---- */

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

/* ---- talking ---- */

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

static size_t echo(struct owner *o, struct span octets)
{
    stream_write(&o->s, octets);
    return octets.n;
}

static void stop_when_full_go_on_when_sent(struct owner *o, enum event e)
{
    if (e == FULL)
        stream_pause(&o->s);
    if (e == SENT) {
        assert_true(stream_queued(&o->s) <= STREAM_LOW);
        stream_resume(&o->s);
    }
}

enum { MUCH = 2 * 1024 * 1024 };

/* Sends more than all buffers hold, so that back-pressure must begin and end. */
static void much_is_echoed(void **state)
{
    (void)state;
    char *octets = malloc(MUCH);
    assert_non_null(octets);
    for (size_t i = 0; i < MUCH; i++)
        octets[i] = (char)(i * 2654435761u >> 13);
    for (size_t i = 0; i < 2; i++) {
        struct owner o;
        struct peer p;
        loop_open();
        both_ways[i](&o, &p);
        o.use = echo;
        o.act = stop_when_full_go_on_when_sent;
        peer_write(&p, octets, MUCH);
        UNTIL(p.in_len == MUCH || p.error != 0);
        assert_int_equal(p.error, 0);
        assert_memory_equal(p.in, octets, MUCH);
        assert_int_equal(o.in_len, MUCH);
        owner_fini(&o);
        peer_fini(&p);
        loop_close();
    }
    free(octets);
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

static void stop_when_full_go_on_when_all_is_sent(struct owner *o, enum event e)
{
    if (e == FULL)
        stream_pause(&o->s);
    if (e == SENT && stream_queued(&o->s) == 0)
        stream_resume(&o->s);
}

/* The queue to a peer that does not read is one small read and its records, with any amount of data
 * from the other side. When the peer reads again, all data arrives. */
static void a_narrow_stream_queues_little(void **state)
{
    (void)state;
    char *octets = malloc(MUCH);
    assert_non_null(octets);
    for (size_t i = 0; i < MUCH; i++)
        octets[i] = (char)(i * 2654435761u >> 13);
    for (size_t i = 0; i < 2; i++) {
        struct owner o;
        struct peer p;
        loop_open();
        both_ways[i](&o, &p);
        stream_narrow(&o.s);
        o.use = echo;
        o.act = stop_when_full_go_on_when_all_is_sent;
        peer_write(&p, octets, MUCH);
        peer_listens(&p, false);
        for (size_t turns = 0; turns < 20; turns++) {
            turn();
            assert_in_range(stream_queued(&o.s), 0, 2 * STREAM_NARROW);
            assert_in_range(w.pool.lent, 0, 3);
        }
        peer_listens(&p, true);
        UNTIL(p.in_len == MUCH || p.error != 0);
        assert_int_equal(p.error, 0);
        assert_memory_equal(p.in, octets, MUCH);
        owner_fini(&o);
        peer_fini(&p);
        loop_close();
    }
    free(octets);
}

/* A window of the smallest packets, in the longest possible records, behind a queue that was not
 * reported as full, must not end the connection. */
static void a_window_of_the_smallest_packets_has_room(void **state)
{
    (void)state;
    static const struct tls_settings longest = {
        .min = TLS_1_2, .max = TLS_1_2, .security_level = -1, .ciphers = "ECDHE+SHA384"};
    static const uint8_t packet[] = {0x10, 0x00, 0x00, 0x04};
    static const char octets[4000];
    char error[TLS_ERROR_MAX];
    struct tls_ctx *ctx = certs_server(&longest, cert.pem, NULL, error);
    struct owner o;
    struct peer p;

    loop_open();
    meet_window(&o, &p, 4096);
    stream_start(&o.s, tls_conn_new_server(ctx, stream_sink, &o.s));
    peer_tls(&p);
    UNTIL(o.count[SECURE] == 1 && p.secure);
    peer_listens(&p, false);
    while (stream_queued(&o.s) <= STREAM_HIGH - sizeof octets) {
        stream_write(&o.s, span_of(octets, sizeof octets));
        worker_settle(&w);
    }
    for (size_t n = 0; n < WORKER_WINDOW; n += sizeof packet)
        stream_write(&o.s, span_of(packet, sizeof packet));
    turn();
    assert_int_equal(o.count[END], 0);
    assert_true(stream_queued(&o.s) > 80 * (WORKER_WINDOW / sizeof packet)); /* no shorter ones */
    owner_fini(&o);
    peer_fini(&p);
    tls_ctx_free(ctx);
    loop_close();
}

static void a_paused_stream_does_not_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct owner o;
        struct peer p;
        loop_open();
        both_ways[i](&o, &p);
        stream_pause(&o.s);
        assert_true(stream_paused(&o.s));
        peer_says(&p, "later");
        turn();
        assert_int_equal(o.count[READ], 0);
        stream_resume(&o.s);
        assert_false(stream_paused(&o.s));
        stream_resume(&o.s); /* harmless */
        UNTIL(got(&o, "later"));
        owner_fini(&o);
        peer_fini(&p);
        loop_close();
    }
}

/* WARM_MAX streams stay warm, for at most a second; all streams continue to work. */
static void few_are_warm_and_not_for_long(void **state)
{
    (void)state;
    enum { MANY = 6, COLD = 2 };
    static struct owner o[MANY];
    static struct peer p[MANY];

    loop_open();
    for (size_t i = 0; i < MANY; i++)
        meet_tls(&o[i], &p[i]);
    warm_cool(&o[0].s.all->warm);
    for (size_t i = 0; i < MANY; i++) {
        if (i == MANY - COLD) /* as if the ring were full */
            o[0].s.all->warm.next = o[0].s.warm_slot;
        peer_says(&p[i], "one");
        UNTIL(got(&o[i], "one"));
        assert_true(is_warm(&o[i]));
        say(&o[i], "two");
        UNTIL(peer_received(&p[i], "two"));
    }
    for (size_t i = 0; i < MANY; i++)
        assert_int_equal(is_warm(&o[i]), i >= COLD);
    warm_cool(&o[0].s.all->warm);
    for (size_t i = 0; i < MANY; i++) {
        assert_false(is_warm(&o[i]));
        peer_says(&p[i], "three");
        UNTIL(got(&o[i], "onethree"));
    }
    for (size_t i = 0; i < MANY; i++) {
        owner_fini(&o[i]);
        peer_fini(&p[i]);
    }
    for (size_t i = 0; i < WARM_MAX; i++)
        assert_null(o[0].s.all->warm.conn[i]);
    loop_close();
}

/* ---- what the owner leaves ---- */

static size_t use_words(struct owner *o, struct span octets)
{
    (void)o;
    for (size_t i = 0; i < octets.n; i++)
        if (octets.p[i] == ' ')
            return i + 1;
    return 0;
}

static void what_is_left_comes_again_with_more_behind_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct owner o;
        struct peer p;
        loop_open();
        both_ways[i](&o, &p);
        o.use = use_words;
        peer_says(&p, "one two thr");
        UNTIL(got(&o, "one two "));
        assert_int_equal(o.seen, 3);
        assert_int_equal(w.pool.lent, 1);
        peer_says(&p, "e");
        UNTIL(o.seen == 4);
        unsigned reads = o.count[READ];
        o.inside = true;
        stream_kick(&o.s);
        o.inside = false;
        UNTIL(o.count[READ] == reads + 1);
        assert_int_equal(o.seen, 4);
        peer_says(&p, "e ");
        UNTIL(got(&o, "one two three "));
        assert_int_equal(w.pool.lent, 0);
        stream_kick(&o.s); /* nothing was left */
        turn();
        assert_int_equal(o.seen, 6);
        owner_fini(&o);
        peer_fini(&p);
        loop_close();
    }
}

static void more_than_a_block_left_is_an_overflow(void **state)
{
    (void)state;
    static const char octets[STREAM_HELD];
    for (size_t i = 0; i < 2; i++) {
        struct owner o;
        struct peer p;
        loop_open();
        both_ways[i](&o, &p);
        o.use = use_none;
        peer_write(&p, octets, sizeof octets);
        UNTIL(o.seen == STREAM_HELD);
        turn();
        assert_int_equal(o.count[END], 0);
        o.use = NULL; /* it can still be read */
        stream_kick(&o.s);
        UNTIL(o.in_len == STREAM_HELD);
        o.use = use_none;
        peer_write(&p, octets, sizeof octets);
        peer_write(&p, octets, 1);
        UNTIL(o.count[END] == 1);
        assert_int_equal(o.why, STREAM_OVERFLOW);
        assert_int_equal(w.pool.lent, 0);
        say(&o, "what a pity"); /* the sending direction is open */
        UNTIL(peer_received(&p, "what a pity"));
        owner_fini(&o);
        peer_fini(&p);
        loop_close();
    }
}

/* ---- ends ---- */

static void fin_without_close_notify_is_an_end(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct owner o;
        struct peer p;
        loop_open();
        both_ways[i](&o, &p);
        peer_says(&p, "bye");
        shutdown(p.fd, SHUT_WR);
        UNTIL(o.count[END] == 1);
        assert_int_equal(o.why, STREAM_EOF);
        assert_true(got(&o, "bye"));
        say(&o, "and you?"); /* the other direction continues */
        UNTIL(peer_received(&p, "and you?"));
        stream_shutdown(&o.s);
        UNTIL(p.eof && o.s.out == STREAM_OUT_ENDED);
        assert_int_equal(p.closed_notify, i == 1);
        assert_int_equal(o.count[SENT], 1);
        owner_fini(&o);
        peer_fini(&p);
        loop_close();
    }
}

static void stop_at_once(struct owner *o, enum event e)
{
    if (e == READ)
        stream_pause(&o->s);
}

/* Even if the end comes together with the bytes at which the owner paused. */
static void an_end_waits_while_paused(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct owner o;
        struct peer p;
        loop_open();
        both_ways[i](&o, &p);
        o.use = use_words;
        o.act = stop_at_once;
        peer_says(&p, "hello the");
        peer_ends(&p, true);
        UNTIL(o.count[READ] > 0);
        turn();
        assert_int_equal(o.count[LAST] + o.count[END], 0);
        o.use = NULL;
        stream_resume(&o.s);
        stream_kick(&o.s);
        UNTIL(o.count[READ] > 1);
        turn();
        assert_true(got(&o, "hello the"));
        stream_resume(&o.s);
        UNTIL(o.count[END] == 1);
        assert_int_equal(o.why, STREAM_EOF);
        assert_int_equal(o.count[LAST], 0);
        owner_fini(&o);
        peer_fini(&p);
        loop_close();
    }
}

static void pause_at_the_last(struct owner *o, enum event e)
{
    if (e == LAST)
        stream_pause(&o->s);
}

/* The owner may leave bytes for later, and take them before the end. */
static void what_is_left_is_announced_before_the_end(void **state)
{
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        const bool pauses = i < 2, notify = i % 2 != 0;
        struct owner o;
        struct peer p;
        loop_open();
        both_ways[1](&o, &p);
        o.use = use_words;
        o.act = pauses ? pause_at_the_last : NULL;
        peer_says(&p, "bye b");
        peer_ends(&p, notify);
        UNTIL(o.count[LAST] == 1);
        if (pauses) {
            turn();
            assert_int_equal(o.count[END], 0);
            o.use = NULL;
            stream_resume(&o.s);
            stream_kick(&o.s);
        }
        UNTIL(o.count[END] == 1);
        assert_int_equal(o.why, STREAM_EOF);
        assert_int_equal(o.count[LAST], 1);
        assert_true(got(&o, pauses ? "bye b" : "bye "));
        owner_fini(&o);
        peer_fini(&p);
        loop_close();
    }
}

static void our_end_first_then_theirs(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct owner o;
        struct peer p;
        loop_open();
        both_ways[i](&o, &p);
        say(&o, "last words");
        stream_shutdown(&o.s);
        stream_shutdown(&o.s);
        say(&o, "too late");
        UNTIL(p.eof);
        assert_true(peer_received(&p, "last words"));
        assert_int_equal(p.closed_notify, i == 1);
        peer_says(&p, "answer");
        if (p.tls != NULL)
            tls_conn_shutdown(p.tls);
        peer_watch(&p);
        UNTIL(got(&o, "answer"));
        if (p.tls == NULL)
            shutdown(p.fd, SHUT_WR);
        UNTIL(o.count[END] == 1 && o.count[SENT] == 1);
        assert_int_equal(o.why, STREAM_EOF);
        assert_int_equal(o.s.out, STREAM_OUT_ENDED);
        say(&o, "and later still");
        turn();
        assert_int_equal(stream_queued(&o.s), 0);
        owner_fini(&o);
        peer_fini(&p);
        loop_close();
    }
}

/* So the peer's port is in TIME_WAIT. Its close_notify and its FIN arrive separately. */
static void a_notified_peer_closes_first(void **state)
{
    (void)state;
    for (int theirs_first = 0; theirs_first < 2; theirs_first++) {
        struct owner o;
        struct peer p;
        loop_open();
        both_ways[1](&o, &p);
        if (theirs_first) {
            tls_conn_shutdown(p.tls);
            peer_watch(&p);
            UNTIL(o.count[END] == 1);
        }
        say(&o, "last words");
        stream_notify(&o.s);
        say(&o, "too late");
        UNTIL(p.closed_notify);
        assert_true(peer_received(&p, "last words"));
        if (!theirs_first) {
            peer_says(&p, "answer");
            tls_conn_shutdown(p.tls);
            peer_watch(&p);
            UNTIL(o.count[END] == 1);
            assert_true(got(&o, "answer"));
        }
        turn();
        assert_false(p.eof);
        assert_int_equal(o.s.out, STREAM_OUT_ENDING);
        assert_int_equal(o.count[SENT], 0);
        shutdown(p.fd, SHUT_WR);
        UNTIL(o.count[SENT] == 1);
        assert_int_equal(o.s.out, STREAM_OUT_ENDED);
        assert_int_equal(o.count[END], 1);
        owner_fini(&o);
        peer_fini(&p);
        loop_close();
    }
}

/* A FIN without close_notify, before and after the FIN of this end; without TLS the FIN alone. */
static void a_notified_peer_may_have_closed_before(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++)
        for (int before = 0; before < 2; before++) {
            struct owner o;
            struct peer p;
            loop_open();
            both_ways[i](&o, &p);
            if (before) {
                shutdown(p.fd, SHUT_WR);
                UNTIL(o.count[END] == 1);
            }
            stream_notify(&o.s);
            if (!before) {
                UNTIL(i == 1 ? p.closed_notify : p.eof);
                shutdown(p.fd, SHUT_WR);
            }
            UNTIL(o.count[SENT] == 1 && o.count[END] == 1);
            assert_int_equal(o.s.out, STREAM_OUT_ENDED);
            assert_int_equal(p.eof, i == 0);
            owner_fini(&o);
            peer_fini(&p);
            loop_close();
        }
}

/* FIN is sent after a full queue, and does not replace it. */
static void shutdown_waits_for_the_queue(void **state)
{
    (void)state;
    static uint8_t octets[8000];
    for (size_t i = 0; i < 2; i++) {
        struct owner o;
        struct peer p;
        size_t total = 0;
        loop_open();
        both_ways[i](&o, &p);
        peer_listens(&p, false);
        for (; stream_queued(&o.s) <= STREAM_HIGH; total += sizeof octets) {
            stream_write(&o.s, span_of(octets, sizeof octets));
            worker_settle(&w);
        }
        stream_shutdown(&o.s);
        turn();
        assert_int_equal(o.s.out, STREAM_OUT_ENDING);
        peer_listens(&p, true);
        UNTIL(p.eof && o.s.out == STREAM_OUT_ENDED);
        assert_int_equal(p.in_len, total);
        assert_int_equal(p.error, 0);
        assert_int_equal(p.closed_notify, i == 1);
        owner_fini(&o);
        peer_fini(&p);
        loop_close();
    }
}

static void a_reset_is_reported(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++)
        for (int paused = 0; paused < 2; paused++) {
            struct owner o;
            struct peer p;
            loop_open();
            both_ways[i](&o, &p);
            if (paused)
                stream_pause(&o.s);
            peer_reset(&p);
            peer_leaves(&p);
            if (paused) { /* the stream does not read, so only a write can detect the reset */
                turn();
                assert_int_equal(o.count[END], 0);
                say(&o, "hello?");
            }
            UNTIL(o.count[END] == 1);
            assert_int_equal(o.why, STREAM_RESET);
            say(&o, "anybody?");
            stream_shutdown(&o.s);
            turn();
            assert_int_equal(stream_queued(&o.s), 0);
            owner_fini(&o);
            peer_fini(&p);
            loop_close();
        }
}

/* After the peer's end the only event that remains is the failure of the sending direction. */
static void a_failed_write_after_the_end_is_reported_by_on_sent(void **state)
{
    (void)state;
    struct owner o;
    struct peer p;
    loop_open();
    meet_plain(&o, &p);
    shutdown(p.fd, SHUT_WR);
    UNTIL(o.count[END] == 1);
    peer_reset(&p);
    peer_leaves(&p);
    say(&o, "hello?");
    UNTIL(o.count[SENT] == 1);
    assert_int_equal(o.s.out, STREAM_OUT_ENDED);
    assert_int_equal(o.count[END], 1);
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

static void shutdown_then_close(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++)
        for (int reset = 0; reset < 2; reset++)
            for (int settled = 0; settled < 3; settled++) {
                struct owner o;
                struct peer p;
                loop_open();
                both_ways[i](&o, &p);
                say(&o, "words");
                stream_shutdown(&o.s);
                if (settled > 0)
                    worker_settle(&w); /* uv_shutdown is pending */
                if (settled > 1)
                    UNTIL(o.s.out == STREAM_OUT_ENDED);
                owner_close(&o, reset);
                UNTIL(o.count[CLOSED] == 1 && (p.eof || p.error != 0));
                if (!reset)
                    assert_true(peer_received(&p, "words"));
                owner_fini(&o);
                peer_fini(&p);
                loop_close();
            }
}

/* A stream with a full queue can be closed, and its blocks are returned. */
static void close_with_a_full_queue(void **state)
{
    (void)state;
    static uint8_t octets[8000];
    for (size_t i = 0; i < 2; i++)
        for (int reset = 0; reset < 2; reset++) {
            struct owner o;
            struct peer p;
            loop_open();
            both_ways[i](&o, &p);
            peer_listens(&p, false);
            while (stream_queued(&o.s) <= 2 * STREAM_HIGH) {
                stream_write(&o.s, span_of(octets, sizeof octets));
                worker_settle(&w);
            }
            say(&o, "not settled yet");
            owner_close(&o, reset);
            UNTIL(o.count[CLOSED] == 1);
            assert_int_equal(w.pool.lent, 0);
            owner_fini(&o);
            peer_fini(&p);
            loop_close();
        }
}

/* ---- TLS that fails ---- */

static void garbage_is_a_tls_end_with_a_text(void **state)
{
    (void)state;
    static const struct {
        const char *octets;
        size_t n;
        const char *text;
        bool alert; /* OpenSSL sends no alert in answer to HTTP */
    } cases[] = {
        {"GET / HTTP/1.0\r\n\r\n", 18, "http request", false},
        {"\x16\x03\x01\x00\x04\x01\xff\xff\xff", 9, "", true},
    };
    for (size_t i = 0; i < 2; i++) {
        struct owner o;
        struct peer p;
        loop_open();
        meet_window(&o, &p, 0);
        stream_start(&o.s, tls_conn_new_server(server_ctx, stream_sink, &o.s));
        peer_write(&p, cases[i].octets, cases[i].n);
        UNTIL(o.count[END] == 1);
        assert_int_equal(o.why, STREAM_TLS);
        assert_non_null(strstr(stream_error(&o.s), cases[i].text));
        owner_close(&o, false);
        UNTIL(p.eof);
        assert_int_equal(p.in_len > 0, cases[i].alert);
        owner_fini(&o);
        peer_fini(&p);
        loop_close();
    }
}

static void garbage_behind_the_handshake_too(void **state)
{
    (void)state;
    struct owner o;
    struct peer p;
    loop_open();
    meet_tls(&o, &p);
    peer_says(&p, "good");
    peer_send(&p, span_of("\x17\x03\x03\x00\x14xxxxxxxxxxxxxxxxxxxx", 25));
    peer_watch(&p);
    UNTIL(o.count[END] == 1);
    assert_int_equal(o.why, STREAM_TLS);
    assert_true(got(&o, "good"));
    assert_string_not_equal(stream_error(&o.s), "");
    owner_fini(&o);
    peer_fini(&p);
    loop_close();
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

static void eof_in_the_handshake(void **state)
{
    (void)state;
    struct owner o;
    struct peer p;
    loop_open();
    meet_window(&o, &p, 0);
    stream_start(&o.s, tls_conn_new_server(server_ctx, stream_sink, &o.s));
    peer_send(&p, span_of("\x16\x03\x01", 3));
    peer_watch(&p);
    shutdown(p.fd, SHUT_WR);
    UNTIL(o.count[END] == 1);
    assert_int_equal(o.why, STREAM_EOF);
    owner_fini(&o);
    peer_fini(&p);
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

/* ---- closing from inside ---- */

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

/* ---- connecting ---- */

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

/* ---- each call fails once ---- */

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
        cmocka_unit_test(much_is_echoed),
        cmocka_unit_test(the_queue_reports_its_level),
        cmocka_unit_test(a_narrow_stream_queues_little),
        cmocka_unit_test(a_window_of_the_smallest_packets_has_room),
        cmocka_unit_test(a_paused_stream_does_not_read),
        cmocka_unit_test(few_are_warm_and_not_for_long),
        cmocka_unit_test(what_is_left_comes_again_with_more_behind_it),
        cmocka_unit_test(more_than_a_block_left_is_an_overflow),
        cmocka_unit_test(fin_without_close_notify_is_an_end),
        cmocka_unit_test(an_end_waits_while_paused),
        cmocka_unit_test(what_is_left_is_announced_before_the_end),
        cmocka_unit_test(our_end_first_then_theirs),
        cmocka_unit_test(a_notified_peer_closes_first),
        cmocka_unit_test(a_notified_peer_may_have_closed_before),
        cmocka_unit_test(shutdown_waits_for_the_queue),
        cmocka_unit_test(a_reset_is_reported),
        cmocka_unit_test(a_failed_write_after_the_end_is_reported_by_on_sent),
        cmocka_unit_test(close_is_orderly_or_a_reset),
        cmocka_unit_test(shutdown_then_close),
        cmocka_unit_test(close_with_a_full_queue),
        cmocka_unit_test(garbage_is_a_tls_end_with_a_text),
        cmocka_unit_test(garbage_behind_the_handshake_too),
        cmocka_unit_test(tls_that_cannot_write_is_a_tls_end),
        cmocka_unit_test(eof_in_the_handshake),
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
