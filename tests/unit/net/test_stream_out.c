/* What a stream writes, on a real loop. */
#include "net/stream_out.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

#include "stream_fixture.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(much_is_echoed),
        cmocka_unit_test(a_narrow_stream_queues_little),
        cmocka_unit_test(a_window_of_the_smallest_packets_has_room),
        cmocka_unit_test(our_end_first_then_theirs),
        cmocka_unit_test(a_notified_peer_closes_first),
        cmocka_unit_test(a_notified_peer_may_have_closed_before),
        cmocka_unit_test(shutdown_waits_for_the_queue),
        cmocka_unit_test(a_failed_write_after_the_end_is_reported_by_on_sent),
        cmocka_unit_test(shutdown_then_close),
        cmocka_unit_test(close_with_a_full_queue),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
