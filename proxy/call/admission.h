/* admission: decides by the rules of the listener and by the limits whether a call may continue,
 * and gives its client points towards a ban. Decides, counts and logs, but never ends a call. */
#ifndef SSTPGATE_CALL_ADMISSION_H
#define SSTPGATE_CALL_ADMISSION_H

#include <stdbool.h>
#include <time.h>

#include "base/span.h"
#include "call/judgement.h"

struct call;
struct config;
struct config_backend;
struct site;

enum admission_verdict {
    ADMISSION_OK,
    ADMISSION_DECOY,    /* denied: the client gets the decoy */
    ADMISSION_REJECTED, /* denied: the caller resets the connection */
    ADMISSION_DROPPED,  /* denied: the caller sends no answer at all */
    ADMISSION_LIMITED,  /* a limit was hit */
};

/* Judges the client's address before any cryptography, and counts the call. now: the time that all
 * rules of the call use. Never ADMISSION_DECOY: the call keeps that denial, which takes effect at
 * its request. ADMISSION_OK: the caller enters HELLO, and the call is counted from now until
 * admission_leave. A trusted proxy's own connection has no client: neither rules nor limits apply
 * to it. */
enum admission_verdict admission_judge_address(struct call *call, time_t now);

/* Returns whether the rules deny the address at the time now, and neither counts nor logs. False
 * for a trusted proxy's own connection, and for a denial that takes effect at the request. */
bool admission_denies_address(const struct call *call, time_t now);

/* Returns whether the listener serves this Host and the client's SNI. A missing SNI is
 * accepted, because old clients send none; a wrong one is not. */
bool admission_serves(const struct call *call, struct span host);

/* Returns whether a request for SSTP with this Host would be admitted: as admission_serves and
 * admission_judge_request, but without a line in the log. True for a trusted proxy's own
 * connection. */
bool admission_would_admit(const struct call *call, struct span host);

/* Judges host, SNI and tenant, which are in the call's record. Never ADMISSION_LIMITED. */
enum admission_verdict admission_judge_request(struct call *call);

/* Returns the backend for an admitted request: that of use-backend, or the listener's own. */
const struct config_backend *admission_backend(const struct call *call);

/* Returns whether the rules allow the user that PPP has shown; empty: the user is unknown. For
 * negotiation_ask_user: arg is the call. */
bool admission_user_allowed(void *arg, struct span user);

/* Returns whether an administrator has banned the user that PPP has shown, a claim or not: the name
 * as sent, or without its domain and realm. */
bool admission_user_banned(struct call *call);

/* Counts the tunnel for its user. False: the user has reached the limit, and nothing was
 * counted. */
bool admission_count_user(struct call *call);

/* Return whether the store of several gates was asked to count the call's address, or its user, and
 * count nothing if false: there is no store, or no limit. decided() is called once, later, unless
 * admission_leave comes first. Not granted: the limit was logged, and the caller ends the call.
 * Call them after admission_judge_address and admission_count_user have counted the call here. */
bool admission_ask_address(struct call *call, void (*decided)(struct call *call, bool granted));
bool admission_ask_user(struct call *call, void (*decided)(struct call *call, bool granted));

/* Returns what the rules of config mean for the call at the time now, and logs nothing: as
 * judgement_recheck(). */
enum judgement_recheck admission_recheck(const struct call *call, const struct config *config,
                                         time_t now, struct rules_answer *answer);

/* Returns whether the rules of site still allow the call at the time now. site's listener with
 * the name of the call's listener applies; true if no such listener exists, or it does not
 * recheck tunnels or is in a dry run. */
bool admission_still_allows(struct call *call, const struct site *site, time_t now);

/* Gives the client points for the failed logins in the call's record as soon as they are known. */
void admission_count_failures(struct call *call);

/* Gives the points for the end of the call, and releases its counts. For a call that has ended. */
void admission_leave(struct call *call);

#endif
