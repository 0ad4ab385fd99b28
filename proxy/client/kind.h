/* kind: finds the program that an SSTP server probably is, by the known answers of each program
 * (PROTOCOL.md 1.4, 2.1, 4.1, 5.1). Pure. */
#ifndef SSTPGATE_CLIENT_KIND_H
#define SSTPGATE_CLIENT_KIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

enum kind {
    KIND_UNKNOWN,
    KIND_RRAS,
    KIND_ACCEL_PPP,
    KIND_SOFTETHER,
    KIND_SORZ,
    KIND_ROUTEROS,
    KINDS
};

enum { KIND_EVIDENCE_MAX = 8, KIND_HEAD_NONE = 0, KIND_HEAD_CLOSED = 1 };

struct kind_facts {
    struct span head;       /* of the answer to SSTP's request; empty: none */
    const char *server;     /* its field Server; "": none */
    bool acknowledged;      /* an Ack has arrived: mask has a meaning */
    uint8_t mask;           /* hash protocols that it offers */
    const uint8_t *options; /* types of LCP options that the server requests */
    size_t option_count;
    bool lcp;            /* LCP has begun: the two facts below have a meaning */
    bool magic_rejected; /* the server has rejected a magic number */
    bool eap_first;      /* the first method that it requests is EAP */
    /* The status of a HEAD request for SSTP's URI; KIND_HEAD_NONE: not known; KIND_HEAD_CLOSED: the
     * server has closed the connection without an answer. */
    unsigned head_status;
};

struct kind_verdict {
    enum kind kind;
    const char *evidence[KIND_EVIDENCE_MAX]; /* sentences for this kind */
    size_t count;
};

/* Finds the kind by these facts. */
void kind_find(const struct kind_facts *f, struct kind_verdict *out);

/* Returns a name: "RRAS", "accel-ppp", "SoftEther", "sorz/sstp-server", "RouterOS", "unknown". */
const char *kind_name(enum kind k);

#endif
