/* loop_fixture: a worker whose loop the test runs itself, and libuv with one call made to fail.
 * Nothing here waits for time: each step runs the loop until what it waits for has happened. A
 * guard ends a test that would wait for ever. To be included after cmocka.h. */
#ifndef SSTPGATE_TESTS_LOOP_FIXTURE_H
#define SSTPGATE_TESTS_LOOP_FIXTURE_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "net/worker.h"

enum { GUARD_MS = 20000 };

/* ---- one call of a library that fails; Makefile: WRAP_TEST ---- */

static struct {
    const char *name; /* NULL: none fails */
    unsigned in;      /* calls until it fails; 0: it has */
    int error;
} fault;

static inline bool faulty(const char *name)
{
    return fault.name != NULL && strcmp(fault.name, name) == 0 && fault.in > 0 && --fault.in == 0;
}

#define WRAP(name, parameters, arguments)                                                          \
    int __real_##name parameters;                                                                  \
    int __wrap_##name parameters;                                                                  \
    int __wrap_##name parameters                                                                   \
    {                                                                                              \
        return faulty(#name) ? fault.error : __real_##name arguments;                              \
    }

/* ---- the loop ---- */

static struct worker w;
static uv_timer_t guard;

static inline void on_guard(uv_timer_t *timer)
{
    (void)timer;
    fputs("the test waits for something that does not come\n", stderr);
    abort();
}

static inline void ignore_sweep(void *arg, uint64_t now_ms)
{
    (void)arg, (void)now_ms;
}

static inline void loop_open(void)
{
    worker_init(&w, 0, ignore_sweep, NULL);
    assert_int_equal(uv_timer_init(&w.loop, &guard), 0);
    assert_int_equal(uv_timer_start(&guard, on_guard, GUARD_MS, 0), 0);
    uv_unref((uv_handle_t *)&guard);
}

/* Call when all handles of the test are closing: runs the loop to its end and checks that nothing
 * is left. */
static inline void loop_close(void)
{
    fault.name = NULL;
    uv_close((uv_handle_t *)&guard, NULL);
    worker_settle(&w);
    worker_stop(&w);
    worker_run(&w);
    assert_int_equal(w.pool.lent, 0);
    worker_fini(&w);
}

/* What a test did outside of a callback is settled as at the end of a callback. */
#define UNTIL(condition)                                                                           \
    do {                                                                                           \
        worker_settle(&w);                                                                         \
        while (!(condition))                                                                       \
            uv_run(&w.loop, UV_RUN_ONCE);                                                          \
    } while (0)

/* Lets all that has happened be seen: what has not happened then will not happen. A round trip
 * through the kernel for each side. */
static inline void turn(void)
{
    worker_settle(&w);
    for (int i = 0; i < 8; i++)
        uv_run(&w.loop, UV_RUN_NOWAIT);
}

#endif
