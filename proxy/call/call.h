/* call: one call, from accept to close: a client's stream, a backend's stream, the state, and
 * the data of each phase. The lowest module of the room: the facts of each state, the one
 * function that changes the state and the one that ends a call. course.c has the handlers of
 * each state. Holds no keys (see negotiation.h). Worker's thread only. */
#ifndef SSTPGATE_CALL_CALL_H
#define SSTPGATE_CALL_CALL_H

#include <stdatomic.h>
#include <time.h>

#include "base/log.h"
#include "call/advice.h"
#include "call/checks.h"
#include "call/reason.h"
#include "call/record.h"
#include "call/tally.h"
#include "net/stream.h"
#include "net/worker.h"

struct backends_place;
struct call;
struct config_gate;
struct dial;
struct failures;
struct keyring;
struct leaves;
struct limits;
struct negotiation;
struct sessions;
struct shared;
struct shared_ask;
struct site;
struct site_backend;
struct site_listener;

/* The states, each with the event that it waits for. */
enum call_state {
    CALL_PROXY,     /* the PROXY header of a trusted proxy */
    CALL_HELLO,     /* the first bytes of the client's TLS, and their turn; counted by the limits */
    CALL_HANDSHAKE, /* the client's TLS */
    CALL_REQUEST,   /* the request head */
    CALL_DIAL,      /* a connection to a server of the backend, TLS included */
    CALL_ANSWER,    /* the backend's 200 */
    CALL_NEGOTIATE, /* the tunnel: Call Connected, and a server that has accepted the user */
    CALL_KEY,       /* a key for the Call Connected that has arrived */
    CALL_COUNT,     /* the other gates: the count of the user's tunnels, or the login at RADIUS */
    CALL_RELAY,     /* data in the tunnel, or its end */
    CALL_WEB,       /* data between a client and the fallback web site, or its end */
    CALL_ACME,   /* data between a validator and the ACME client, or its end; or the first bytes of
                    an address that only a validator may have */
    CALL_DRAIN,  /* one side has ended: the other side receives the queued bytes and ends */
    CALL_LINGER, /* the gate has ended the call: the peers receive its last messages and close */
    CALL_CLOSED, /* libuv's close callbacks */
    CALL_STATES,
};

/* The state that all workers share. */
struct calls_shared {
    atomic_uint count; /* number of calls */
    atomic_uint max;
    atomic_uint tunnels; /* number of calls in RELAY */
    struct limits *limits;
    struct shared *store; /* of several gates (shared/shared.h); NULL: none */
    struct keyring *keyring;
    struct leaves *leaves;
    struct checks checks;
    void (*on_idle)(void *arg); /* see calls_drain; in the worker's thread; NULL: none */
    void *idle_arg;
    struct failures *failures; /* NULL: they are not kept */
};

/* The calls of one worker, and the settings that they share. */
struct call_set {
    struct worker *worker;
    struct site *site; /* for new calls; a running call keeps its own */
    struct calls_shared *shared;
    struct tally tally;
    struct call *list[CALL_STATES]; /* oldest deadline first, but see call_renew */
    struct checks_seen seen;
    size_t count;
    size_t settled; /* calls that came up or ended since memory was last returned to the system */
    uint64_t next_number;
    uint64_t hours;     /* rules_hours of the listeners that recheck tunnels, at the last check */
    uint64_t first_end; /* no tunnel has an earlier tunnel.end; UINT64_MAX: none has one */
    uint32_t timeout[CALL_STATES]; /* ms; 0: none */
    struct advice_logged logged;
    struct log_limit limit_binding, limit_hit, limit_deny, limit_full, limit_handshakes,
        limit_refused, limit_backend, limit_debug;
    void (*on_leave)(struct call *call, enum call_state next); /* before the call enters next */
    void (*on_parted)(struct call_set *set); /* a call has ended and was removed from the set */
};

/* entry: the client's request. */
struct request {
    bool is_head; /* the answer has no body */
    char *tenant; /* with its escapes, as a backend receives it; owned; NULL: none */
};

/* A count of the call in the store of several gates. */
struct admission_hold {
    struct shared_ask *ask; /* NULL: answered */
    char *subject;          /* owned; NULL: not counted */
    void (*decided)(struct call *call, bool granted);
};

/* admission: the facts that rules and limits keep about a call. */
struct admission {
    time_t accepted;    /* all rules of the call use this time */
    bool decoy;         /* denied at accept: the client gets the web site or 404 in any case */
    bool banned;        /* an administrator has banned the user */
    bool overruled;     /* a dry run has ignored a denial: the rules are not asked again */
    size_t dry_rule;    /* the dry-run rule that was logged last; 0: none */
    char *counted_user; /* the name that limits_user_enter has counted; owned; NULL: none */
    unsigned failures;  /* number of failed logins that have been given points */
    struct admission_hold address, user;
};

/* uplink: the way to a server of a backend. */
struct uplink {
    const struct site_backend *backend; /* of the call's site */
    enum call_state next;               /* after DIAL: ANSWER, or WEB for the fallback web site */
    size_t server;                      /* index of the backend's server */
    struct backends_place *place;       /* at this server; NULL: none */
    struct dial *dial;                  /* DIAL only; owned */
    uint64_t tried;      /* bit set of servers already tried, as for backends_choose */
    enum reason failure; /* failure of the latest server; REASON_NONE: none was tried */
    char *blame;         /* reason for which this server is reported down; owned; NULL: none */
    struct sessions *sessions; /* of the backend, if the server has resumed a TLS session; a
                                  reference; NULL: a full handshake, or none yet */
    uint64_t doubt; /* ms, worker_now: an end by the server before this time may be due to a stale
                       certificate of that session */
};

/* acme: a connection that is not TLS, or not yet. */
struct acme {
    bool plain; /* the connection is at an address of listen-http */
    bool
        denied; /* the rules deny the address: only a validation may pass; limits do not count it */
    bool dialed; /* the ACME client gets the connection */
};

/* relay: a tunnel that is up. */
struct tunnel {
    bool full_records;             /* as in config_listener */
    uint64_t end;                  /* ms, worker_now: when max-session ends it; UINT64_MAX: never */
    uint64_t lcp_request;          /* the result of negotiation_lcp_request */
    struct tally_tunnels *counted; /* where RELAY counts it; in call->tally */
};

/* relay: the packet that brings the tunnel up, in COUNT. */
struct parked {
    uint8_t *octets; /* owned; NULL: none */
    size_t n;
    bool from_client;
};

struct call {
    struct call *prev, *next; /* in set->list[state] */
    struct call_set *set;
    struct site *site; /* the site with which the call began; a reference; NULL: released, because
                          RELAY and WEB need no configuration */
    const struct site_listener *listener; /* of site */
    struct tally_listener *tally;         /* of this listener, in set->tally */
    enum call_state state;
    enum call_state ended_in; /* DRAIN and later: the state whose row reads the bytes: that in
                                 which the end began, or RELAY if the tunnel came up since */
    uint64_t deadline;        /* ms, worker_now; meaningless where the state has none */
    uint64_t active;          /* ms, worker_now: when bytes were last forwarded */
    enum reason reason;       /* REASON_NONE: none yet; see call_keep_reason */
    enum check check;         /* CHECK_NONE: a call, or not known yet */
    struct stream client, backend;
    struct record record;
    struct request request;
    struct admission admission;
    struct acme acme;
    struct uplink uplink;
    struct negotiation *negotiation; /* NEGOTIATE, KEY, COUNT, and DRAIN after them; owned */
    struct parked parked;
    struct tunnel tunnel;
    size_t late; /* LINGER: number of discarded bytes of the client */
};

const char *call_state_name(enum call_state state);

/* Adds a new call, in state PROXY, to its set. */
void call_join(struct call *call);

/* Removes a call that is CLOSED from its set, and calls the set's on_parted. Frees nothing. */
void call_part(struct call *call);

/* Releases the call's site and clears the pointers into it; a no-op the second time. */
void call_leave_site(struct call *call);

/* Changes the state; the only function that does. Asserts that the step is legal, moves the call to
 * the list of the new state and sets the deadline of that state. RELAY and WEB need no
 * configuration: the call releases its site, because the call may stay for days, and each reload
 * builds another site. */
void call_enter(struct call *call, enum call_state state);

/* Ends the call; the only function that does. May be called at any moment, from any callback, any
 * number of times; the call keeps the first reason. The row of the reason (reason.h) and the state
 * (the facts in call.c) determine the last messages to the peers, which connection is reset, and
 * whether the peers get time to receive the rest. */
void call_end(struct call *call, enum reason reason);

/* Sets the reason before the end: the reason for which the gate connects a call to the web site. */
void call_keep_reason(struct call *call, enum reason reason);

/* Return the outcome of a call that has ended, and the stage that it had reached: "proxy", "hello",
 * "tls", "request", "backend", "negotiate", "login", "binding", "up", "web" or "acme". */
enum reason_outcome call_outcome(const struct call *call);
const char *call_stage(const struct call *call);

/* Ends a call in DRAIN or LINGER if it need not wait any longer; otherwise a no-op. */
void call_end_if_drained(struct call *call);

/* Returns whether data has moved since the deadline of a tunnel was set; if so, sets the new
 * deadline and moves the call to the end of its list. Data moves far more often than the sweep
 * runs, so the data path only notes the time. */
bool call_renew(struct call *call, uint64_t now_ms);

/* Sets the timeout of each state. Calls that are already in a state get its new timeout if that
 * is shorter. */
void call_set_timeouts(struct call_set *set, const struct config_gate *g);

/* Returns worker_now of the call's worker. */
static inline uint64_t call_now(const struct call *call)
{
    return worker_now(call->set->worker);
}

/* Return the wall clock's time, for rules and for HTTP, and in milliseconds for the views. The only
 * place of the room that reads that clock. */
time_t call_time(void);
int64_t call_time_ms(void);

/* Formats a time as IMF-fixdate (RFC 9110 5.6.7), the same in every locale. */
struct span call_http_date(char out[32], time_t when);

#endif
