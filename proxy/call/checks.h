/* checks: health checks of the gate: connections of load balancers and monitors that are not calls.
 * A health check costs no points, and has a line `call` only at log-level debug; the line `checks`
 * has the numbers, at most once a minute for the whole gate. */
#ifndef SSTPGATE_CALL_CHECKS_H
#define SSTPGATE_CALL_CHECKS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"

enum check {
    CHECK_NONE,   /* a call */
    CHECK_SILENT, /* the client has closed without sending a byte */
    CHECK_TLS,    /* the client has closed after its TLS handshake; see entry_left */
    CHECK_HEAD,   /* HEAD for the URI of SSTP */
    CHECK_PATH,   /* health-path */
    CHECK_PROXY,  /* a trusted proxy's own connection without a request for SSTP */
    CHECK_KINDS,
};

/* The numbers of health checks. All zeros: nothing was counted. */
struct checks {
    atomic_uint count[CHECK_KINDS]; /* since the latest line */
    uint64_t next_line;             /* ms, of checks_report */
};

/* The addresses of a worker's clients that have recently closed after their TLS handshake. All
 * zeros: none. */
enum { CHECKS_SEEN = 16 };
struct checks_seen {
    struct checks_visitor {
        struct addr addr;
        uint64_t until; /* ms */
    } visitor[CHECKS_SEEN];
    unsigned next; /* index of the oldest entry */
};

/* Returns whether an address was seen within the last minute; if not, adds it. */
bool checks_have_seen(struct checks_seen *seen, const struct addr *addr, uint64_t now_ms);

/* Counts a health check. Any thread. */
void checks_count(struct checks *checks, enum check kind);

/* Logs the numbers since the latest line, if one is not zero and a minute has passed. One thread
 * only. */
void checks_report(struct checks *checks, uint64_t now_ms);

#endif
