/* explanation: what explain/explain.c finds out and explain/explain_print.c writes. */
#ifndef SSTPGATE_EXPLAIN_EXPLANATION_H
#define SSTPGATE_EXPLAIN_EXPLANATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "call/reason.h"
#include "policy/backends.h"
#include "policy/limits.h"
#include "policy/rules.h"

struct config_backend;
struct config_listener;
struct explain_query;
struct site;
struct snapshot;
struct users;

/* The facts of a running gate. */
struct explain_state {
    struct limits *limits;
    const struct site *site; /* the listeners' certificates */
    uint64_t now_ms;         /* bans_now_ms() */
    unsigned calls, calls_max;
    bool serving;  /* false: the gate accepts no calls any more */
    bool outdated; /* the configuration file has changed since it was loaded */
};

/* The answer; also the exit code of `sstpgate explain`. */
enum explain_verdict {
    EXPLAIN_ADMITTED = 0,
    EXPLAIN_REFUSED = 1,
    EXPLAIN_DEPENDS = 3, /* on facts that the question does not have */
    EXPLAIN_FAILED = 4,  /* the question was not answered */
};

enum explain_stage {
    EXPLAIN_ACCEPT,
    EXPLAIN_HANDSHAKE,
    EXPLAIN_REQUEST,
    EXPLAIN_BACKEND,
    EXPLAIN_LOGIN,
};

/* One rule of the last evaluation. */
struct explain_step {
    size_t rule; /* 0: the first */
    enum rules_holds holds;
    unsigned missing;
    char *words; /* owned */
};

struct explain_steps {
    struct explain_step *item;
    size_t count;
};

struct explanation {
    const struct snapshot *snapshot;
    const struct explain_state *live; /* NULL: no gate runs */
    const struct explain_query *query;
    const struct config_listener *listener;
    size_t listener_index;
    int64_t now; /* time of the call */

    enum explain_verdict verdict;
    enum reason reason;       /* REASON_NONE: not refused */
    enum explain_stage stage; /* of the refusal */
    unsigned missing;         /* facts on which the verdict depends */

    enum explain_stage judged; /* stage of the last evaluation of the rules */
    struct rules_facts facts;  /* of it, with answer and steps */
    struct rules_answer answer;
    struct explain_steps steps;
    struct rules_dry dry; /* the first dry-run rule that matches; rule 0: none */
    bool overruled;       /* the listener's dry run has ignored a denial */
    bool decoy;           /* denied at accept, takes effect at the request */
    bool dropped;         /* the client gets no answer at all */
    bool strict_sni_open; /* whether a certificate has the name was not checked */

    struct limits_state limits;           /* with live only */
    const struct config_backend *backend; /* NULL: depends on route_missing, or was not reached */
    struct rules_answer route;
    struct explain_steps route_steps;
    unsigned route_missing;
    const struct backends_group *servers;
    size_t server[BACKENDS_SERVERS_MAX]; /* in the order in which a call would try them */
    size_t server_count;
    const struct users *users; /* of the backend; NULL: none */
    unsigned user_line;        /* 0: not in users, or the user is not known */
    int64_t user_until;        /* end of that line; UNTIL_NEVER: none */
    bool user_expired;         /* all lines of the user have ended */
};

#endif
