/* checks: health checks of the gate: connections of load balancers and monitors that are not
 * calls. None of them costs points or has a line `call` of its own (at log-level debug it has);
 * their numbers are in a line `checks`, at most one a minute for the whole gate. */
#ifndef SSTPGATE_CALL_CHECKS_H
#define SSTPGATE_CALL_CHECKS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"

enum check {
    CHECK_NONE,   /* a call */
    CHECK_SILENT, /* the client has sent no byte, and closed */
    CHECK_TLS,    /* nothing after its TLS, and closed; see entry_left */
    CHECK_HEAD,   /* HEAD for the URI of SSTP */
    CHECK_PATH,   /* health-path */
    CHECK_PROXY,  /* a trusted proxy's own connection, whatever it has sent but SSTP */
    CHECK_KINDS,
};

/* All zeros: nothing was counted. */
struct checks {
    atomic_uint count[CHECK_KINDS]; /* since the latest line */
    uint64_t next_line;             /* ms, of checks_report */
};

/* The addresses of a worker's clients that have left after their TLS lately. All zeros: none. */
enum { CHECKS_SEEN = 16 };
struct checks_seen {
    struct checks_visitor {
        struct addr who;
        uint64_t until; /* ms */
    } visitor[CHECKS_SEEN];
    unsigned next; /* the oldest */
};

/* Returns whether an address was seen within a minute; if not, remembers it. */
bool checks_have_seen(struct checks_seen *seen, const struct addr *who, uint64_t now_ms);

/* Counts one. Any thread. */
void checks_count(struct checks *checks, enum check kind);

/* Logs the numbers since the latest line, if there are any and a minute is over. One thread
 * only. */
void checks_report(struct checks *checks, uint64_t now_ms);

#endif
