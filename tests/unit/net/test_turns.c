/* The order of reads and of steps of handshakes, on a real loop. */
#include "net/turns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

#include "stream_fixture.h"

/* ---- sockets that are never empty ---- */

static bool plenty;

ssize_t __real_recv(int fd, void *buf, size_t n, int flags);
ssize_t __wrap_recv(int fd, void *buf, size_t n, int flags);
ssize_t __wrap_recv(int fd, void *buf, size_t n, int flags)
{
    if (!plenty)
        return __real_recv(fd, buf, n, flags);
    memset(buf, 0, n);
    return (ssize_t)n;
}

/* ---- turns ---- */

/* Two streams have something to read, the first one much: the second one is read after one glance
 * at the first, not after all of it. */
static void no_stream_waits_for_more_than_one_turn_of_another(void **state)
{
    (void)state;
    struct owner bulk, quiet;
    struct peer to_bulk, to_quiet;
    const size_t much = 4 * WORKER_WINDOW;
    char *octets = calloc(1, much);

    assert_non_null(octets);
    loop_open();
    meet_plain(&bulk, &to_bulk);
    meet_plain(&quiet, &to_quiet);
    stream_pause(&bulk.s);
    stream_pause(&quiet.s);
    peer_write(&to_bulk, octets, much);
    peer_says(&to_quiet, "I");
    turn();
    stream_resume(&bulk.s); /* the first to be seen */
    stream_resume(&quiet.s);
    UNTIL(quiet.count[READ] > 0);
    assert_in_range(bulk.in_len, 1, STREAM_GLANCE);
    UNTIL(bulk.in_len == much);
    assert_null(turns()->bulk);
    owner_fini(&bulk);
    owner_fini(&quiet);
    peer_fini(&to_bulk);
    peer_fini(&to_quiet);
    loop_close();
    free(octets);
}

/* One bulk stream reads a window in each round of the loop, and they take turns; what arrives for
 * another stream meanwhile is read in the next round. */
static void bulk_takes_turns_behind_all_others(void **state)
{
    (void)state;
    enum { BULKS = 3 };
    static const char octets[STREAM_GLANCE];
    struct owner bulk[BULKS], quiet;
    struct peer to_bulk[BULKS], to_quiet;

    loop_open();
    meet_plain(&quiet, &to_quiet);
    for (int i = 0; i < BULKS; i++) {
        meet_plain(&bulk[i], &to_bulk[i]);
        stream_pause(&bulk[i].s);
        peer_write(&to_bulk[i], octets, sizeof octets);
    }
    turn();
    for (int i = 0; i < BULKS; i++)
        stream_resume(&bulk[i].s);
    uv_run(&w.loop, UV_RUN_ONCE);
    plenty = true;
    for (size_t round = 0; round < 3 * BULKS; round++) {
        assert_int_equal(send(to_quiet.fd, "I", 1, 0), 1);
        uv_run(&w.loop, UV_RUN_ONCE);
        assert_int_equal(quiet.in_len, round + 1);
        for (size_t i = 0; i < BULKS; i++)
            assert_int_equal(bulk[i].in_len,
                             STREAM_GLANCE +
                                 (round / BULKS + (i <= round % BULKS)) * WORKER_WINDOW);
    }
    plenty = false;
    turn();
    for (int i = 0; i < BULKS; i++) {
        assert_null(bulk[i].s.turn.line);
        owner_fini(&bulk[i]);
        peer_fini(&to_bulk[i]);
    }
    owner_fini(&quiet);
    peer_fini(&to_quiet);
    loop_close();
}

/* Opens a stream that does not read yet, and whose peer has sent what fills a glance. */
static void meet_bulk(struct owner *o, struct peer *p)
{
    static const char octets[STREAM_GLANCE];

    loop_open();
    meet_plain(o, p);
    stream_pause(&o->s);
    peer_write(p, octets, sizeof octets);
}

/* Opens a stream that waits for its peer's ClientHello; says: the peer sends it first. The peer
 * does not continue the handshake. */
static void meet_hello(struct owner *o, struct peer *p, bool says)
{
    meet_window(o, p, 0);
    stream_expect(&o->s);
    peer_listens(p, false);
    if (says)
        peer_tls(p);
}

static unsigned sum_of(const struct owner *o, size_t n, enum event e)
{
    unsigned sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += o[i].count[e];
    return sum;
}

enum { HELLOS = 24 };

/* Many ClientHellos arrive simultaneously: a packet of another stream waits for at most one of
 * them. */
static void handshakes_take_turns_behind_all_others(void **state)
{
    (void)state;
    struct owner o[HELLOS], quiet;
    struct peer p[HELLOS], to_quiet;

    loop_open();
    turns()->step_budget_ns = 0; /* one step for each round, even if it is short */
    meet_plain(&quiet, &to_quiet);
    for (size_t i = 0; i < HELLOS; i++)
        meet_hello(&o[i], &p[i], false);
    for (size_t i = 0; i < HELLOS; i++)
        peer_tls(&p[i]);
    unsigned begun = 0;
    for (size_t round = 0; begun < HELLOS; round++) {
        assert_int_equal(send(to_quiet.fd, "I", 1, 0), 1);
        turns()->stepped_at = 0; /* one step, even in a long round of a busy machine */
        uv_run(&w.loop, UV_RUN_ONCE);
        assert_int_equal(quiet.in_len, round + 1);
        assert_in_range(sum_of(o, HELLOS, HELLO), begun, begun + 1);
        begun = sum_of(o, HELLOS, HELLO);
        assert_true(round < 2 * HELLOS); /* each round, or nearly, makes one */
    }
    for (size_t i = 0; i < HELLOS; i++)
        peer_listens(&p[i], true);
    UNTIL(sum_of(o, HELLOS, SECURE) == HELLOS);
    assert_int_equal(turns()->handshakes, 0);
    for (size_t i = 0; i < HELLOS; i++) {
        owner_fini(&o[i]);
        peer_fini(&p[i]);
    }
    owner_fini(&quiet);
    peer_fini(&to_quiet);
    loop_close();
}

/* A client's flight that must wait for its turn is read, and libuv continues to watch the
 * socket. It stops at the end of the connection, or at more than a glance, and both are handled
 * after the flight. */
static void a_flight_is_kept_until_its_turn(void **state)
{
    (void)state;
    static const size_t sizes[] = {6, 4 * STREAM_GLANCE};

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        uint8_t *octets = calloc(1, sizes[i]);
        struct owner o;
        struct peer p;
        loop_open();
        turns()->step_budget_ns = 0;
        meet_hello(&o, &p, true);
        UNTIL(o.count[HELLO] == 1);
        peer_listens(&p, true);
        while (blocks_empty(&o.s.held)) {
            turns()->step_ns = 1; /* the budget of this round is spent */
            worker_count(&w);
            uv_run(&w.loop, UV_RUN_ONCE);
        }
        uv_idle_stop(&w.turns); /* the turn does not come yet */
        assert_true(p.secure && stream_waits(&o.s));
        assert_true(uv_is_active((uv_handle_t *)&o.s.tcp));
        peer_write(&p, octets, sizes[i]);
        if (sizes[i] == 6)
            shutdown(p.fd, SHUT_WR);
        UNTIL(!uv_is_active((uv_handle_t *)&o.s.tcp));
        assert_int_equal(o.count[SECURE] + o.count[END], 0);
        worker_turn(&w);
        UNTIL(o.in_len == sizes[i]);
        assert_int_equal(o.count[SECURE], 1);
        UNTIL(sizes[i] != 6 || o.count[END] == 1);
        owner_fini(&o);
        peer_fini(&p);
        loop_close();
        free(octets);
    }
}

/* Above the bound no handshake begins; the first to have a ClientHello is the first to get a place.
 */
static void handshakes_have_a_bound(void **state)
{
    (void)state;
    enum { ALL = 5 };
    static const unsigned at_first[ALL] = {1, 1, 0, 0, 0}, then[ALL] = {1, 1, 1, 0, 0};
    struct owner o[ALL];
    struct peer p[ALL];

    loop_open();
    stream_limit_handshakes(&w, 2);
    for (size_t i = 0; i < ALL; i++)
        meet_hello(&o[i], &p[i], true);
    turn();
    for (size_t i = 0; i < ALL; i++) {
        assert_int_equal(o[i].count[HELLO], at_first[i]);
        assert_int_equal(o[i].s.tls != NULL, at_first[i]);
        assert_true(at_first[i] || stream_waits(&o[i].s));
    }
    assert_true(stream_hellos_wait(&w));
    owner_close(&o[1], true);
    turn();
    for (size_t i = 0; i < ALL; i++)
        assert_int_equal(o[i].count[HELLO], then[i]);
    peer_listens(&p[0], true);
    UNTIL(o[0].count[SECURE] == 1 && o[3].count[HELLO] == 1);
    stream_limit_handshakes(&w, 3);
    UNTIL(o[4].count[HELLO] == 1);
    assert_false(stream_hellos_wait(&w));
    for (size_t i = 0; i < ALL; i++) {
        owner_fini(&o[i]);
        peer_fini(&p[i]);
    }
    assert_int_equal(turns()->handshakes, 0);
    loop_close();
}

static size_t use_one_then_secure(struct owner *o, struct span octets)
{
    (void)octets;
    o->use = NULL;
    stream_secure(&o->s);
    return 1;
}

/* Bytes that came with the plain beginning wait for a place, too. */
static void tls_behind_a_plain_beginning(void **state)
{
    (void)state;
    for (int full = 0; full < 2; full++) {
        struct owner o;
        struct peer p;
        loop_open();
        stream_limit_handshakes(&w, full ? 0 : 1);
        meet_plain(&o, &p);
        o.use = use_one_then_secure;
        peer_says(&p, "X");
        peer_tls(&p);
        if (full) {
            turn();
            assert_int_equal(o.count[HELLO], 0);
            assert_true(stream_hellos_wait(&w) && stream_waits(&o.s));
            stream_limit_handshakes(&w, 1);
        }
        UNTIL(o.count[SECURE] == 1 && p.secure);
        say(&o, "secret");
        UNTIL(peer_received(&p, "secret"));
        owner_fini(&o);
        peer_fini(&p);
        loop_close();
    }
}

/* No TLS object is created for a peer that ends before its ClientHello. */
static void an_end_before_the_hello(void **state)
{
    (void)state;
    for (int reset = 0; reset < 2; reset++) {
        const struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
        struct owner o;
        struct peer p;
        loop_open();
        meet_hello(&o, &p, false);
        if (reset)
            assert_int_equal(connect(p.fd, &nowhere, sizeof nowhere), 0);
        else
            shutdown(p.fd, SHUT_WR);
        UNTIL(o.count[END] == 1);
        assert_int_equal(o.why, reset ? STREAM_RESET : STREAM_EOF);
        assert_int_equal(o.count[HELLO], 0);
        assert_null(o.s.tls);
        owner_fini(&o);
        peer_fini(&p);
        loop_close();
    }
}

/* A round makes at most TURNS_READS reads of early streams; the others wait for their turn. */
static void early_reads_are_few_in_a_round(void **state)
{
    (void)state;
    enum { ALL = 3 * TURNS_READS };
    struct owner o[ALL];
    struct peer p[ALL];

    loop_open();
    turns()->step_budget_ns = 0;
    turns()->read_budget_ns = UINT64_MAX; /* only the number is the limit */
    for (size_t i = 0; i < ALL; i++) {
        meet_plain(&o[i], &p[i]);
        stream_early(&o[i].s, true);
        stream_pause(&o[i].s);
        assert_int_equal(send(p[i].fd, "I", 1, 0), 1);
    }
    turn();
    for (size_t i = 0; i < ALL; i++)
        stream_resume(&o[i].s);
    uv_run(&w.loop, UV_RUN_ONCE);
    assert_int_equal(sum_of(o, ALL, READ), TURNS_READS);
    stream_early(&o[ALL - 1].s, false); /* it waits no longer, */
    UNTIL(o[ALL - 1].count[READ] == 1);
    assert_in_range(sum_of(o, ALL, READ), TURNS_READS + 1, ALL - 2);
    UNTIL(sum_of(o, ALL, READ) == ALL); /* and the others have their turn */
    for (size_t i = 0; i < ALL; i++) {
        owner_fini(&o[i]);
        peer_fini(&p[i]);
    }
    loop_close();
}

/* Handshakes behind a plain beginning do not delay the others, in any number. */
static void fresh_handshakes_alternate_with_others(void **state)
{
    (void)state;
    enum { PLAIN = 3 };
    struct owner o[PLAIN + 1];
    struct peer p[PLAIN + 1];

    loop_open();
    stream_limit_handshakes(&w, 0);
    for (size_t i = 0; i < PLAIN; i++) {
        meet_plain(&o[i], &p[i]);
        o[i].use = use_one_then_secure;
        peer_says(&p[i], "X");
        peer_tls(&p[i]);
        UNTIL(o[i].s.turn.line == &turns()->fresh);
        peer_listens(&p[i], false);
    }
    meet_hello(&o[PLAIN], &p[PLAIN], true);
    turn();
    stream_limit_handshakes(&w, 2);
    UNTIL(turns()->handshakes == 2);
    assert_int_equal(o[PLAIN].count[HELLO], 1);
    assert_int_equal(sum_of(o, PLAIN, HELLO), 1);
    for (size_t i = 0; i <= PLAIN; i++) {
        owner_fini(&o[i]);
        peer_fini(&p[i]);
    }
    loop_close();
}

/* A read of an early stream that takes long is the last one of its round. */
static void early_reads_share_a_time(void **state)
{
    (void)state;
    enum { ALL = 8 };
    struct owner o[ALL];
    struct peer p[ALL];

    loop_open();
    turns()->step_budget_ns = 0;
    turns()->read_budget_ns = 1;
    for (size_t i = 0; i < ALL; i++) {
        meet_plain(&o[i], &p[i]);
        stream_early(&o[i].s, true);
        stream_pause(&o[i].s);
        peer_write(&p[i], "I", 1);
    }
    for (int i = 0; i < 10; i++)
        turn();
    for (size_t i = 0; i < ALL; i++)
        stream_resume(&o[i].s);
    for (unsigned round = 0, before = 0; before < ALL; round++) {
        turns()->stepped_at = 0; /* one step, even in a long round of a busy machine */
        uv_run(&w.loop, UV_RUN_ONCE);
        /* the first one in its place, and one at its turn */
        assert_in_range(sum_of(o, ALL, READ), before, before + 2);
        before = sum_of(o, ALL, READ);
        assert_true(round < 4 * ALL);
    }
    for (size_t i = 0; i < ALL; i++) {
        owner_fini(&o[i]);
        peer_fini(&p[i]);
    }
    loop_close();
}

/* Early streams whose peers send as much as they can delay the others by few bytes only: in all
 * reads of a round, and in a turn. */
static void early_reads_are_short(void **state)
{
    (void)state;
    enum { ALL = 2 * TURNS_READS };
    struct owner o[ALL];
    struct peer p[ALL];
    char *octets = calloc(1, STREAM_GLANCE);
    size_t most = 0;

    assert_non_null(octets);
    loop_open();
    for (size_t i = 0; i < ALL; i++) {
        meet_plain(&o[i], &p[i]);
        stream_early(&o[i].s, true);
        stream_pause(&o[i].s);
        peer_write(&p[i], octets, STREAM_GLANCE);
    }
    for (int i = 0; i < 10; i++)
        turn();
    for (size_t i = 0; i < ALL; i++)
        stream_resume(&o[i].s);
    uv_run(&w.loop, UV_RUN_ONCE);
    for (size_t i = 0; i < ALL; i++) {
        assert_in_range(o[i].in_len, 0, o[i].count[READ] * STREAM_EARLY);
        most += o[i].in_len;
    }
    assert_in_range(most, 1, TURNS_READS * STREAM_EARLY);
    for (size_t i = 0; i < ALL; i++)
        UNTIL(o[i].in_len == STREAM_GLANCE);
    for (size_t i = 0; i < ALL; i++) {
        assert_in_range(o[i].count[READ], STREAM_GLANCE / STREAM_EARLY, STREAM_GLANCE);
        owner_fini(&o[i]);
        peer_fini(&p[i]);
    }
    loop_close();
    free(octets);
}

/* A stream that waits for its turn may be closed, or detect at its turn that the peer has gone. */
static void bulk_may_end_while_it_waits(void **state)
{
    (void)state;
    enum { EOF_COMES, RESET_COMES, CLOSES, ENDS };
    const struct sockaddr nowhere = {.sa_family = AF_UNSPEC};

    for (int how = 0; how < ENDS; how++) {
        struct owner o;
        struct peer p;
        meet_bulk(&o, &p);
        turn();
        stream_resume(&o.s);
        UNTIL(o.s.turn.line != NULL);
        if (how == EOF_COMES)
            shutdown(p.fd, SHUT_WR);
        else if (how == RESET_COMES)
            assert_int_equal(connect(p.fd, &nowhere, sizeof nowhere), 0);
        else
            owner_close(&o, true);
        UNTIL(o.count[how == CLOSES ? CLOSED : END] == 1);
        if (how != CLOSES)
            assert_int_equal(o.why, how == EOF_COMES ? STREAM_EOF : STREAM_RESET);
        assert_int_equal(o.in_len, STREAM_GLANCE);
        assert_null(turns()->bulk);
        assert_false(uv_is_active((uv_handle_t *)&w.turns));
        owner_fini(&o);
        peer_fini(&p);
        loop_close();
    }
}

static void stop_when_read(struct owner *o, enum event e)
{
    if (e == READ && o->in_len == STREAM_GLANCE)
        stream_pause(&o->s);
}

/* A stream that has nothing more to read, must not read or is at its end leaves the ring, and is
 * watched again when it may continue. */
static void bulk_ends_with_its_reason(void **state)
{
    (void)state;
    enum { DRY, STOPPED_BEFORE, STOPPED, GOES_ON, OVERFLOWS, REASONS };

    for (int why = 0; why < REASONS; why++) {
        struct owner o;
        struct peer p;
        meet_bulk(&o, &p);
        if (why == STOPPED_BEFORE || why == STOPPED)
            peer_says(&p, "more");
        turn();
        o.act = why == STOPPED_BEFORE ? stop_when_read : NULL;
        o.use = why == OVERFLOWS ? use_none : NULL;
        stream_resume(&o.s);
        if (why != STOPPED_BEFORE) {
            UNTIL(o.s.turn.line != NULL);
            assert_false(uv_is_active((uv_handle_t *)&o.s.tcp));
        }
        if (why == STOPPED)
            stream_pause(&o.s);
        if (why == GOES_ON) {
            stream_resume(&o.s);
            assert_false(uv_is_active((uv_handle_t *)&o.s.tcp));
        }
        plenty = why == OVERFLOWS;
        turn();
        plenty = false;
        assert_null(o.s.turn.line);
        assert_null(turns()->bulk);
        assert_false(uv_is_active((uv_handle_t *)&w.turns));
        assert_int_equal(o.count[END], why == OVERFLOWS);
        if (why == OVERFLOWS) {
            assert_int_equal(o.why, STREAM_OVERFLOW);
        } else {
            assert_int_equal(o.in_len, STREAM_GLANCE);
            if (stream_paused(&o.s))
                stream_resume(&o.s);
            else
                peer_says(&p, "more");
            UNTIL(o.in_len == STREAM_GLANCE + 4);
        }
        owner_fini(&o);
        peer_fini(&p);
        loop_close();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_stream_waits_for_more_than_one_turn_of_another),
        cmocka_unit_test(bulk_takes_turns_behind_all_others),
        cmocka_unit_test(handshakes_take_turns_behind_all_others),
        cmocka_unit_test(a_flight_is_kept_until_its_turn),
        cmocka_unit_test(handshakes_have_a_bound),
        cmocka_unit_test(tls_behind_a_plain_beginning),
        cmocka_unit_test(an_end_before_the_hello),
        cmocka_unit_test(early_reads_are_few_in_a_round),
        cmocka_unit_test(early_reads_share_a_time),
        cmocka_unit_test(early_reads_are_short),
        cmocka_unit_test(fresh_handshakes_alternate_with_others),
        cmocka_unit_test(bulk_may_end_while_it_waits),
        cmocka_unit_test(bulk_ends_with_its_reason),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
