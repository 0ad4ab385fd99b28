/* requests: the requests of the status listener, from the head to the answer, as libmicrohttpd
 * reports them. Thread of the listener only. */
#ifndef SSTPGATE_STATUS_REQUESTS_H
#define SSTPGATE_STATUS_REQUESTS_H

#ifdef HAVE_MICROHTTPD

#include <microhttpd.h>
#include <pthread.h>
#include <stdint.h>

#include "base/log.h"
#include "status/guard.h"
#include "status/peers.h"
#include "status/questions.h"
#include "status/status_ops.h"

struct request;

/* What requests share; all zeros, then requests_init. */
struct requests {
    const struct status_ops *ops;
    void *arg;
    uint64_t (*now_ms)(void);
    struct peers peers;
    struct questions questions;
    pthread_mutex_t guard_lock;
    struct guard *guard;
    struct request *pending; /* requests that the main thread works on */
    bool ending;             /* the main thread no longer answers requests */
    size_t held;             /* bytes of the answers that clients have not received yet */
    struct log_limit refused;
};

void requests_init(struct requests *all, const struct status_ops *ops, void *arg,
                   uint64_t (*now_ms)(void));
void requests_fini(struct requests *all);

/* Returns whether settings admit a connection of this address; if not, a line of the log says so.
 */
bool requests_admit(struct requests *all, const struct addr *client);

/* Resumes the requests that the main thread has answered, and each request whose time for an answer
 * has passed. */
void requests_resume(struct requests *all, uint64_t now_ms);

/* Resumes all requests, and refuses later ones that only the main thread could answer:
 * libmicrohttpd must not end with a suspended connection. */
void requests_end(struct requests *all);

/* Returns the time of the next deadline of a request that the main thread has; PEERS_NEVER: none.
 */
uint64_t requests_next(const struct requests *all);

/* The callbacks of libmicrohttpd; cls: struct requests. */
void *requests_on_uri(void *cls, const char *uri, struct MHD_Connection *c);
enum MHD_Result requests_on_event(void *cls, struct MHD_Connection *c, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *n, void **request);
void requests_on_end(void *cls, struct MHD_Connection *c, void **request,
                     enum MHD_RequestTerminationCode code);

#endif
#endif
