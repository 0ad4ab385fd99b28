/* status_ops: what the status listener needs of its owner, and its bounds. */
#ifndef SSTPGATE_STATUS_STATUS_OPS_H
#define SSTPGATE_STATUS_STATUS_OPS_H

#include <stdbool.h>
#include <stdio.h>

#include "base/addr.h"
#include "status/form.h"
#include "status/routes.h"

enum {
    STATUS_HEAD_MAX = 8192,      /* bytes of a request line with the fields */
    STATUS_BODY_MAX = 4096,      /* bytes of a form */
    STATUS_ANSWER_MS = 5000,     /* for the main thread to answer */
    STATUS_HELD_MAX = 64 << 20,  /* bytes of all answers that clients have not received yet */
    STATUS_DESCRIPTORS = 64 + 8, /* that the listener needs besides its sockets */
};

struct question;

/* A request for the main thread. */
struct status_question {
    const struct route *route; /* of kind ROUTE_READY, _METRICS, _VIEW or _ACTION */
    const struct form *form;
    const char *client;     /* ADDRESS:PORT, or "unix" */
    struct question *later; /* see STATUS_LATER; it keeps the others valid */
};

/* The answer of an op that will call status_answer_later with q->later. */
enum { STATUS_LATER = 0 };

struct status_ops {
    /* Arranges that status_serve is called soon. Thread of the listener. */
    void (*wake)(void *arg);

    /* Writes "ok", or what does not work, and returns whether all is well. Thread of the listener,
     * because the main thread may be what does not work. */
    bool (*health)(void *arg, FILE *out);

    /* Returns whether the client is banned: its token is refused then, even if it is right. Thread
     * of the listener. */
    bool (*is_banned)(void *arg, const struct addr *client);

    /* Counts a wrong token. Thread of the listener. */
    void (*on_wrong_token)(void *arg, const struct addr *client);

    /* Writes the answer: text, or for views and actions JSON. Returns the HTTP status, or
     * STATUS_LATER. Called by status_serve. */
    unsigned (*answer)(void *arg, const struct status_question *q, FILE *out);
};

#endif
