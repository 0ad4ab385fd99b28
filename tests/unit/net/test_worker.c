#include "net/worker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <sys/resource.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

#include "loop_fixture.h"

/* ---- letters ---- */

enum { LETTERS = 200 };
static unsigned letters;

static void on_letter(void *arg)
{
    assert_true(worker_is_here(&w));
    assert_ptr_equal(arg, &letters + letters);
    letters++;
    if (letters == LETTERS)
        worker_stop(&w);
}

static void *post_letters(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < LETTERS; i++)
        worker_post(&w, on_letter, &letters + i);
    return NULL;
}

static void letters_come_in_order_into_the_workers_thread(void **state)
{
    (void)state;
    pthread_t thread;
    letters = 0;
    loop_open();
    uv_close((uv_handle_t *)&guard, NULL);
    assert_int_equal(pthread_create(&thread, NULL, post_letters, NULL), 0);
    worker_run(&w);
    assert_int_equal(letters, LETTERS);
    assert_int_equal(pthread_join(thread, NULL), 0);
    worker_fini(&w);
}

static void count_letter(void *arg)
{
    ++*(unsigned *)arg;
}

static void a_letter_that_was_never_read_is_not_lost_memory(void **state)
{
    (void)state;
    unsigned read = 0;
    loop_open();
    worker_post(&w, count_letter, &read);
    worker_post(&w, count_letter, &read);
    loop_close();
    assert_int_equal(read, 0);
}

static unsigned quiet;

static void quiet_letters_have_come(void *arg)
{
    assert_int_equal(quiet, *(unsigned *)arg);
    worker_post_quietly(&w, count_letter, &quiet);
    worker_stop(&w);
}

/* The expected number is one at the next wake-up, whose letter comes behind the quiet one. */
static void a_quiet_letter_comes_with_the_next_wake_up(void **state)
{
    (void)state;
    unsigned expected = 1;
    quiet = 0;
    loop_open();
    uv_close((uv_handle_t *)&guard, NULL);
    worker_post_quietly(&w, count_letter, &quiet);
    (void)uv_run(&w.loop, UV_RUN_NOWAIT);
    assert_int_equal(quiet, 0);
    worker_post_quietly(&w, quiet_letters_have_come, &expected);
    worker_wake(&w);
    worker_run(&w);
    assert_int_equal(quiet, 1);
    worker_deliver(&w);
    assert_int_equal(quiet, 2);
    worker_fini(&w);
}

/* ---- calls ---- */

static void *run_worker(void *arg)
{
    worker_run(arg);
    return NULL;
}

static void stop(void *arg)
{
    (void)arg;
    worker_stop(&w);
}

static pthread_t callee;

static void note_thread(void *arg)
{
    assert_true(worker_is_here(&w));
    *(pthread_t *)arg = pthread_self();
}

/* A caller's variable may be the argument, because the call waits. */
static void a_call_returns_when_the_worker_has_made_it(void **state)
{
    (void)state;
    pthread_t thread, where[3];
    struct worker_call c[2];
    loop_open();
    uv_close((uv_handle_t *)&guard, NULL);
    assert_int_equal(pthread_create(&thread, NULL, run_worker, &w), 0);
    worker_call(&w, note_thread, &callee);
    assert_true(pthread_equal(callee, thread));
    for (size_t i = 0; i < 2; i++)
        worker_call_start(&c[i], &w, note_thread, &where[i]);
    worker_call_wait(&c[1]);
    worker_call_wait(&c[0]);
    assert_true(pthread_equal(where[0], thread) && pthread_equal(where[1], thread));
    worker_post(&w, stop, NULL);
    assert_int_equal(pthread_join(thread, NULL), 0);
    worker_fini(&w);
}

/* ---- parts ---- */

struct counting {
    struct worker_part part;
    unsigned inits, settles, turns, rounds, sweeps, stops;
};

static unsigned finis;

static void part_init(struct worker_part *p)
{
    ((struct counting *)p)->inits++;
}

static void part_settle(struct worker_part *p)
{
    ((struct counting *)p)->settles++;
}

/* Requests three turns. */
static bool part_turn(struct worker_part *p)
{
    worker_count(p->worker);
    return ++((struct counting *)p)->turns < 3;
}

static bool part_round(struct worker_part *p)
{
    return ++((struct counting *)p)->rounds < 5;
}

static void part_sweep(struct worker_part *p, uint64_t now_ms)
{
    assert_int_equal(now_ms, worker_now(p->worker));
    ((struct counting *)p)->sweeps++;
}

static void part_stop(struct worker_part *p)
{
    ((struct counting *)p)->stops++;
}

static void part_fini(struct worker_part *p)
{
    const struct counting *c = (struct counting *)p;
    assert_int_equal(c->inits, 1);
    assert_int_equal(c->stops, 1);
    finis++;
}

static void parts_are_called_at_their_moments(void **state)
{
    static const struct worker_part_ops all = {.size = sizeof(struct counting),
                                               .init = part_init,
                                               .settle = part_settle,
                                               .turn = part_turn,
                                               .round = part_round,
                                               .sweep = part_sweep,
                                               .stop = part_stop,
                                               .fini = part_fini};
    static const struct worker_part_ops none = {.size = sizeof(struct worker_part)};

    (void)state;
    finis = 0;
    loop_open();
    assert_null(worker_part_find(&w, &all));
    struct counting *c = (struct counting *)worker_part(&w, &all);
    assert_ptr_equal(worker_part(&w, &none)->worker, &w);
    assert_ptr_equal(worker_part(&w, &all), c);
    assert_ptr_equal(worker_part_find(&w, &all), c);
    worker_settle(&w);
    assert_int_equal(c->settles, 1);
    turn();
    assert_int_equal(c->turns, 0); /* it has not requested one */
    worker_turn(&w);
    turn();
    assert_int_equal(c->turns, 3);
    UNTIL(c->rounds == 5); /* the last one had nothing to reset */
    turn();
    assert_int_equal(c->rounds, 5);
    uv_timer_start(&w.sweep, w.sweep.timer_cb, 0, 1); /* not to wait a second for it */
    UNTIL(c->sweeps >= 1);
    loop_close();
    assert_int_equal(finis, 1);
}

/* ---- sweeps ---- */

static uint64_t swept;

static void on_sweep(void *arg, uint64_t now_ms)
{
    assert_ptr_equal(arg, &swept);
    assert_int_equal(now_ms, worker_now(&w));
    swept = now_ms;
    worker_stop(&w);
}

static void the_sweep_comes_with_the_time(void **state)
{
    (void)state;
    swept = 0;
    worker_init(&w, 3, on_sweep, &swept);
    /* not to wait a second for it */
    uv_timer_start(&w.sweep, w.sweep.timer_cb, 0, 0);
    worker_run(&w);
    assert_int_not_equal(swept, 0);
    worker_fini(&w);
}

static unsigned sweeps;

static void sweep_thrice(void *arg, uint64_t now_ms)
{
    (void)arg, (void)now_ms;
    if (++sweeps < 3)
        worker_sweep_again(&w);
    else
        worker_stop(&w);
}

/* A sweep that requests another one is called again in WORKER_AGAIN_MS. */
static void a_sweep_may_come_again(void **state)
{
    (void)state;
    sweeps = 0;
    worker_init(&w, 0, sweep_thrice, NULL);
    uv_timer_start(&w.sweep, w.sweep.timer_cb, 0, 0);
    const uint64_t begun = uv_hrtime();
    worker_run(&w);
    assert_int_equal(sweeps, 3);
    assert_true(uv_hrtime() - begun < WORKER_SWEEP_MS * 1000000ull);
    worker_fini(&w);
}

/* ---- the pulse ---- */

static void block_for(uint64_t us)
{
    const uint64_t end = uv_hrtime() + us * 1000;
    while (uv_hrtime() < end)
        continue;
}

static bool turning_while_blocked;

/* Sweeps twice. In between the loop is blocked for 50 ms. */
static void sweep_blocked(void *arg, uint64_t now_ms)
{
    (void)arg, (void)now_ms;
    if (++sweeps == 2) {
        turning_while_blocked = worker_is_turning(&w);
        worker_stop(&w);
        return;
    }
    worker_sweep_again(&w);
    uv_update_time(&w.loop);
}

static void on_blocked(void *arg)
{
    (void)arg;
    block_for(50000);
}

static void a_blocked_loop_is_late(void **state)
{
    (void)state;
    sweeps = 0;
    worker_init(&w, 0, sweep_blocked, NULL);
    assert_true(worker_is_turning(&w));
    assert_int_equal(worker_lag_us(&w), 0);
    uv_timer_start(&w.sweep, w.sweep.timer_cb, 0, 0);
    worker_post(&w, on_blocked, NULL); /* in the round of the first sweep, after the timers */
    worker_run(&w);
    assert_true(turning_while_blocked);
    assert_true(worker_is_turning(&w)); /* its end is no fault */
    assert_in_range(worker_lag_us(&w), 40000, PULSE_STALE_US - 1);
    worker_fini(&w);
}

static void a_worker_knows_that_no_descriptor_is_left(void **state)
{
    struct rlimit before, none;

    (void)state;
    loop_open();
    assert_true(worker_has_descriptor(&w));
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 0;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    const bool left = worker_has_descriptor(&w);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_false(left);
    assert_true(worker_has_descriptor(&w));
    worker_stop(&w);
    loop_close();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(letters_come_in_order_into_the_workers_thread),
        cmocka_unit_test(a_letter_that_was_never_read_is_not_lost_memory),
        cmocka_unit_test(a_quiet_letter_comes_with_the_next_wake_up),
        cmocka_unit_test(a_call_returns_when_the_worker_has_made_it),
        cmocka_unit_test(parts_are_called_at_their_moments),
        cmocka_unit_test(the_sweep_comes_with_the_time),
        cmocka_unit_test(a_sweep_may_come_again),
        cmocka_unit_test(a_blocked_loop_is_late),
        cmocka_unit_test(a_worker_knows_that_no_descriptor_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
