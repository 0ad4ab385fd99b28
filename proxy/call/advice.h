/* advice: the log lines about a binding that failed, which tell an administrator what was seen,
 * what it means and what to do. A stranger may cause them, so there are only so many in a second
 * for each worker; the next one says how many there were besides. */
#ifndef SSTPGATE_CALL_ADVICE_H
#define SSTPGATE_CALL_ADVICE_H

#include <stdbool.h>

#include "binding/binding.h"
#include "call/record.h"

struct candidates;
struct leaves;
struct ppp_observer;
struct site_backend;
struct sstp_connected;

/* Whom it is about. */
struct advice {
    const struct record *record;
    const struct site_backend *backend;
    const struct binding_leaf *ours, *theirs; /* what client and gate were shown */
    struct leaves *leaves;                    /* NULL: nobody knows */
    uint64_t now_ms;                          /* worker_now */
};

/* hash: the client's, an SSTP_HASH_ bit. */
void advice_leaf(const struct advice *a, const struct sstp_connected *c, uint8_t hash);

/* stale: the line of the users file whose value the server has proved wrong; 0: none. zeros_fit:
 * the MAC was made with them. passed: the call goes on all the same. */
void advice_mac(const struct advice *a, const struct candidates *c, const struct ppp_observer *ppp,
                unsigned stale, bool zeros_fit, bool passed);

/* The server let this user in with a hash-hash that is not in this line of its users file. */
void advice_stale(const struct advice *a, unsigned line);

#endif
