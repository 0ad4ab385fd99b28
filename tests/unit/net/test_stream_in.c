/* What a stream reads, on a real loop. */
#include "net/stream_in.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

#include "stream_fixture.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_paused_stream_does_not_read),
        cmocka_unit_test(few_are_warm_and_not_for_long),
        cmocka_unit_test(what_is_left_comes_again_with_more_behind_it),
        cmocka_unit_test(more_than_a_block_left_is_an_overflow),
        cmocka_unit_test(fin_without_close_notify_is_an_end),
        cmocka_unit_test(an_end_waits_while_paused),
        cmocka_unit_test(what_is_left_is_announced_before_the_end),
        cmocka_unit_test(a_reset_is_reported),
        cmocka_unit_test(garbage_is_a_tls_end_with_a_text),
        cmocka_unit_test(garbage_behind_the_handshake_too),
        cmocka_unit_test(eof_in_the_handshake),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
