/* shared_service: the store of several gates (shared/shared.h) as a part of the program: its
 * settings, its thread, and the exchange of bans with this gate. Main thread. */
#ifndef SSTPGATE_GATE_SHARED_SERVICE_H
#define SSTPGATE_GATE_SHARED_SERVICE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>
#include <uv.h>

#include "base/log.h"
#include "gate/inquiries.h"
#include "gate/orders.h"
#include "gate/shared_logins.h"
#include "shared/shared.h"

struct limits;
struct snapshot;
struct tls_ca;
struct tls_ctx;

/* All zeros: the configuration has no `shared`. */
struct shared_service {
    struct shared *shared; /* NULL: not started */
    struct shared_settings settings;
    struct shared_place *place;
    struct shared_pin *pin;
    uint8_t *password, *sentinel_password; /* wiped when freed */
    struct shared_logins logins;
    char *prefix, *name;
    char gate[128]; /* the name of this process in the store */
    struct tls_ca *ca;
    struct tls_ctx *tls;
    struct limits *limits;
    const atomic_uint *tunnels;
    uint64_t started; /* seconds since 1970 */
    atomic_bool draining;
    uv_async_t *done;     /* sent when the thread ends, and for each order, question and answer */
    struct orders orders; /* of other gates; while `shared` is not NULL */
    struct inquiries inquiries; /* while `started` is not 0 */
    uv_thread_t thread;
    struct log_limit limit_orders; /* of both queues; in the thread of `shared` */
    bool stopping;
    atomic_bool ended;
    /* in the thread of `shared`: */
    bool is_up;                 /* state in the last line about the store */
    char why[SHARED_WHY_MAX];   /* failure in that line; "": none */
    struct log_limit limit_ban; /* of lines about bans of other gates */
    struct log_limit limit_store;
};

/* Prepares the store of the configuration, with copies of all that it needs. False: the problems
 * are written, and nothing is left. Without `shared` a no-op. */
bool shared_service_prepare(struct shared_service *s, const struct snapshot *snapshot,
                            FILE *problems);

/* Starts the thread. limits, keyring, tunnels and done must outlive it; from now on limits reports
 * each ban to it, and the keyring exchanges logins through it, if there is a shared-secret-file.
 * Returns the store for the calls; NULL: none. */
struct shared *shared_service_start(struct shared_service *s, struct limits *limits,
                                    struct keyring *keyring, const atomic_uint *tunnels,
                                    uv_async_t *done);

/* Returns the store for views, which wait for its thread; NULL: none, or the thread is ending. */
struct shared *shared_service_view(const struct shared_service *s);

/* Orders the other gates to end the tunnels that match. Returns false if they do not get the order,
 * because there is no store, the store is down, or the filter has an ID. */
bool shared_service_end(struct shared_service *s, const struct call_filter *f);

/* Takes the next order of another gate to end tunnels; NULL: none. */
struct order *shared_service_order(struct shared_service *s);

/* Take the next question of another gate, or the answers to one of this gate; NULL: none. After
 * shared_service_stop, too, because the thread ends all questions before it ends. */
struct inquiry_question *shared_service_question(struct shared_service *s);
struct shared_answers *shared_service_answers(struct shared_service *s);

/* Reports to the other gates whether this one accepts calls. */
void shared_service_drain(struct shared_service *s, bool draining);

/* Ends the thread, after the workers. True: no thread is left; false: it is ending, call again when
 * `done` is sent. */
bool shared_service_stop(struct shared_service *s);

/* Frees what the thread has used. The workers may not exist any more. */
void shared_service_fini(struct shared_service *s);

#endif
