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

/* entry: what the client has asked for. */
struct request {
    bool is_head; /* the answer has no body */
    char *tenant; /* with its escapes, as a backend may want it; owned; NULL: none */
};

/* admission: what rules and limits know of a call. */
struct admission {
    time_t accepted;    /* rules judge a call by one time */
    bool decoy;         /* denied at accept: the client gets the web site or 404 in any case */
    bool overruled;     /* a dry run let a denial pass: the rules are not asked again */
    bool counted;       /* limits_enter was answered with LIMITS_OK */
    char *counted_user; /* the name that limits_user_enter has counted; owned; NULL: none */
    unsigned failures;  /* failed logins that points were given for */
};

/* uplink: the way to a server of a backend. */
struct uplink {
    const struct site_backend *backend;
    size_t server;       /* index of the backend's server */
    bool at_server;      /* the call has a place there (policy/backends.h) */
    struct dial *dial;   /* DIAL only; owned */
    uint64_t tried;      /* as for backends_choose */
    enum reason failure; /* of the latest server; REASON_NONE: none was tried */
    char *blame;         /* what this server is reported down for; owned; NULL: nothing */
};

/* relay: a tunnel that is up. */
struct tunnel {
    uint64_t lcp_request; /* as negotiation_lcp_request */
};

struct call {
    struct call *prev, *next; /* in set->list[state] */
    struct calls *set;
    struct site *site; /* the one that the call began with; a reference */
    const struct site_listener *listener;
    enum call_state state;
    uint64_t deadline; /* ms, worker_now; meaningless where the state has none */
    uint64_t active;   /* ms, worker_now: when bytes were last forwarded */
    enum reason reason;
    struct stream client, backend;
    struct record record;
    struct request request;
    struct admission admission;
    struct uplink uplink;
    struct negotiation *negotiation; /* NEGOTIATE, KEY, and DRAIN after them; NULL otherwise */
    struct tunnel tunnel;
    size_t late;        /* LINGER: bytes of the client that came too late */
    bool web;           /* everything goes to the fallback web site */
    bool request_known; /* host, SNI and tenant are in record */
    bool up;            /* it was in RELAY */
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
