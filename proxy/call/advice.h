/* advice: the log lines about a failed binding: the observation, its meaning, and a remedy for the
 * administrator. Any client can trigger them, so they are rate-limited for each worker, and the
 * next line gives the number of suppressed lines. */
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

/* The call that the lines are about. */
struct advice {
    const struct record *record;
    const struct site_backend *backend;
    const struct binding_leaf *ours, *theirs; /* shown to the client and to the gate */
    struct leaves *leaves;                    /* NULL: none */
    uint64_t now_ms;                          /* worker_now */
};

/* Logs a certificate hash that is not the listener's. hash: the client's, an SSTP_HASH_ bit.
 * Returns whether the certificate is not known here (`whose=unknown`). */
bool advice_leaf(const struct advice *a, const struct sstp_connected *c, uint8_t hash);

/* The reasons for which `crypto-binding = auto` knows no key. Each is logged at most once an hour
 * for each worker, with the step after which `rewrite` works. */
enum advice_gap {
    ADVICE_NO_SOURCE,    /* neither users-file nor radius */
    ADVICE_NO_LINE,      /* the user is not in the users file */
    ADVICE_NEEDS_RADIUS, /* no users file can have the key of the method */
    ADVICE_RADIUS_LATE,  /* RADIUS gave no key in time */
    ADVICE_GAPS,
};

/* The times of the latest lines, of worker_now; 0: none. */
struct advice_logged {
    uint64_t ms[ADVICE_GAPS];
};

/* The fate of a Call Connected with a wrong MAC. */
enum advice_action { ADVICE_REFUSED, ADVICE_PASSED };

/* The facts about a wrong MAC. */
struct advice_mac {
    unsigned stale; /* stale line of the users file, as the server's answer proves; 0: none */
    bool zeros_fit; /* the MAC was made with zeros */
    enum advice_action action;
};

/* Logs a MAC that none of the candidates has made. */
void advice_mac(const struct advice *a, const struct candidates *c, const struct ppp_observer *ppp,
                const struct advice_mac *mac);

/* Logs that the server has accepted this user with another hash-hash than that of this line of the
 * users file. */
void advice_stale(const struct advice *a, unsigned line);

#endif
