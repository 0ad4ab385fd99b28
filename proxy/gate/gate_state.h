/* gate_state: the struct of the running program, for the files that implement it: gate.c has
 * its start and end, reload.c its configuration, bans.c the bans, admin_commands.c the commands
 * of `sstpgate ctl`. Main thread, except where a comment says otherwise. */
#ifndef SSTPGATE_GATE_GATE_STATE_H
#define SSTPGATE_GATE_GATE_STATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>
#include <uv.h>

#include "call/calls.h"
#include "gate/containment.h"
#include "gate/history.h"
#include "gate/radius_service.h"
#include "gate/shared_service.h"
#include "gate/sockets.h"
#include "gate/status_service.h"
#include "net/worker.h"

struct admin;
struct backends;
struct gate_control;
struct drain;
struct limits;
struct service;
struct site;
struct snapshot;
struct upgrade;
struct watch;

struct gate_worker {
    struct worker worker;
    struct calls calls;
    struct gate *gate;
    uv_thread_t thread;
};

struct gate {
    const char *path;
    const struct gate_control *control;
    struct snapshot *snapshot; /* in force */
    struct site *site;         /* the same for the main thread, which checks what expires */
    struct gate_worker *worker;
    size_t workers;
    uint64_t first_number; /* of a call; the old processes have smaller ones */
    struct sockets sockets;
    struct calls_shared shared;
    struct backends *backends;
    struct radius_service radius;
    struct containment containment;
    struct status_service status;
    struct shared_service store; /* of several gates */

    uv_loop_t loop;
    uv_signal_t signal[7];
    uv_timer_t bans_timer, expiry_timer, history_timer;
    struct history history;
    uint64_t bans_saved; /* limits_changes at the last write of the ban file */
    char *mistakes;      /* of preflight_mistakes, at the last warning */
    char *expiry_steps;  /* of preflight_expiry, at the last warning */
    uv_async_t worker_done;
    atomic_size_t workers_done;
    struct watch *watch;
    struct admin *admin;  /* NULL: the configuration names no socket */
    int admin_fd;         /* its socket, until admin_new takes it; -1: none */
    bool admin_inherited; /* the socket, with its file, is that of another process, too */
    bool admin_held;      /* so does the service manager, so that the file stays */
    struct {
        unsigned wanted;
        size_t room;
    } short_of; /* descriptors or memory for calls, at the last warning; wanted 0: no warning */
    uint64_t memory; /* limit of the control group, bytes; UINT64_MAX: none */
    enum gate_phase { SERVING, DRAINING, STOPPING } phase;
    bool finishing; /* the workers may end at any moment */
    uv_timer_t drain_timer;
    struct drain *drains; /* see drains.h */
    uint64_t started_ms;  /* uv_now */
    time_t started;
    struct upgrade *upgrade;
    struct service *service;
    unsigned old_tunnels; /* calls that are left in the processes before this one */
    bool handed_over;     /* another process has the bans and the sockets now */
    struct {
        time_t when; /* 0: no reload yet */
        bool ok;
        const char *cause; /* literal */
    } last_reload;
};

/* Calls fn in the thread of each worker, at the same time, and waits for all. part: an array with
 * an element of this size for each worker. A no-op when the workers are about to end. */
void gate_call_workers(struct gate *gate, void (*fn)(struct calls *calls, void *part), void *part,
                       size_t size);

/* Ends all calls, then the program. cause: text for the log. */
void gate_stop(struct gate *gate, const char *cause);

/* Accepts no new calls, waits until the running ones have ended, then ends the program; with
 * drain-time it ends them evenly over that time. cause: text for the log. */
void gate_drain(struct gate *gate, const char *cause);

/* Accepts calls again after gate_drain. Returns false if the gate does not drain, or has nearly
 * ended. */
bool gate_resume(struct gate *gate, const char *cause);

#endif
