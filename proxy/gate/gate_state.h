/* gate_state: the running program, as the files it is made of see it: gate.c has its life,
 * reload.c what it serves, bans.c the bans, admin_commands.c what `sstpgate ctl` asks. Main thread,
 * but where said. */
#ifndef SSTPGATE_GATE_GATE_STATE_H
#define SSTPGATE_GATE_GATE_STATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>
#include <uv.h>

#include "call/calls.h"
#include "gate/radius_service.h"
#include "gate/sockets.h"
#include "net/worker.h"

struct admin;
struct backends;
struct limits;
struct snapshot;
struct watch;

struct gate_worker {
    struct worker worker;
    struct calls calls;
    struct gate *gate;
    uv_thread_t thread;
};

struct gate {
    const char *path;
    struct snapshot *snapshot; /* in force */
    struct gate_worker *worker;
    size_t workers;
    struct sockets sockets;
    struct calls_shared shared;
    struct backends *backends;
    struct radius_service radius;

    uv_loop_t loop;
    uv_signal_t signal[5];
    uv_timer_t bans_timer, expiry_timer;
    uint64_t bans_saved; /* limits_changes when they were written last */
    char *expiry_steps;  /* as they were told last */
    uv_async_t worker_done;
    uv_sem_t switched; /* posted by each worker that serves what reload_commit gave it */
    atomic_size_t workers_done;
    struct watch *watch;
    struct admin *admin; /* NULL where the configuration names no socket */
    int admin_fd;        /* its socket, until the loop has it; -1 */
    struct {
        unsigned wanted;
        size_t room;
    } short_of; /* descriptors for calls, as it was told last; wanted 0: not short */
    enum gate_phase { SERVING, DRAINING, STOPPING } phase;
    uint64_t started_ms;
    struct {
        time_t when; /* 0: there was none */
        bool ok;
        const char *cause; /* stays */
    } last_reload;
};

/* Ends all calls, or lets those that are up end by themselves; then the program. cause: a word for
 * the log. */
void gate_stop(struct gate *gate, const char *cause);
void gate_drain(struct gate *gate);

#endif
