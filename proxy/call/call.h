/* call: one call, from accept to close: a client's stream, a backend's stream, and the state it
 * is in. Everything that ends a call goes through call_end. Knows no keys (see negotiation.h). */
#ifndef SSTPGATE_CALL_CALL_H
#define SSTPGATE_CALL_CALL_H

#include "call/calls.h"
#include "call/reason.h"
#include "call/record.h"
#include "net/stream.h"

struct dial;
struct negotiation;
struct site_backend;
struct site_listener;

struct call {
    struct call *prev, *next; /* in set->list[state] */
    struct calls *set;
    struct site *site; /* the one it began with */
    enum call_state state;
    uint64_t deadline; /* ms, worker_now; meaningless where the state has none */
    uint64_t active;   /* when octets moved last */
    enum reason reason;
    struct stream client, backend;
    const struct site_listener *listener;
    const struct site_backend *site_backend;
    struct dial *dial;               /* DIAL only */
    size_t server;                   /* DIAL and later: which of the backend's it is */
    bool at_server;                  /* it has a place there (policy/backends.h) */
    uint64_t tried;                  /* DIAL: as for backends_choose */
    enum reason dial_failure;        /* DIAL: what went wrong with the latest one */
    char *tenant_sent;               /* with its escapes, as a backend may want it; owned */
    char *blame;                     /* DIAL: what the server is to blame for; owned */
    struct negotiation *negotiation; /* NEGOTIATE, KEY, and DRAIN after them; NULL otherwise */
    bool head_request;               /* the answer to this request has no body */
    size_t thrown_away;              /* LINGER: octets of the client that came too late */
    bool web;                        /* everything goes to the fallback web site */
    time_t accepted;                 /* rules judge a call by one time */
    bool request_known;              /* host, SNI and tenant are in record */
    bool decoy;                      /* denied at accept, and not to notice it */
    bool up;                         /* it was in RELAY */
    bool rules_over;                 /* a denial was let pass in a dry run: it is not asked again */
    bool counted;                    /* limits_enter was answered with LIMITS_OK */
    char *counted_user;   /* the name that limits_user_enter has counted, owned; NULL: none */
    unsigned failures;    /* failed logins that points were given for */
    uint64_t lcp_request; /* as negotiation_lcp_request, once the tunnel is up */
    struct record record;
};

/* Takes the connection that waits at l. */
void call_open(struct calls *set, const struct site_listener *listener, struct listener *l);

/* The one way out: at any moment, from any callback, any number of times; the first reason is kept.
 * What the peers are told, who is reset, and whether the peers have time to receive the rest
 * follows from the row of the reason (reason.h) and from the state. */
void call_end(struct call *call, enum reason reason);

/* Its deadline is over. */
void call_expire(struct call *call);

/* ---- for entry, uplink and relay, which do the work of the states ---- */

/* The one change of state: asserts that the step is legal, moves the call to the state's list and
 * gives it the state's deadline. */
void call_enter(struct call *call, enum call_state state);

/* worker_now */
uint64_t call_now(const struct call *call);

/* Gives the client points (reason.h), and logs the ban if they cause one. */
void call_give_points(struct call *call, unsigned points);

/* The time as IMF-fixdate (RFC 9110 5.6.7), whatever the locale. */
struct span call_http_date(char out[32]);

#endif
