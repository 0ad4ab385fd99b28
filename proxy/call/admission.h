/* admission: whether a call may go on, by the rules of its listener and by the limits, and what it
 * costs its client: points towards a ban. Decides, counts and logs; ends nothing. */
#ifndef SSTPGATE_CALL_ADMISSION_H
#define SSTPGATE_CALL_ADMISSION_H

#include <stdbool.h>
#include <time.h>

#include "base/span.h"

struct call;
struct config_backend;
struct site;

enum admission_verdict {
    ADMISSION_OK,
    ADMISSION_DECOY,    /* denied: as a client that does not belong here */
    ADMISSION_REJECTED, /* denied: to be reset */
    ADMISSION_DROPPED,  /* denied: to be left without any answer */
    ADMISSION_LIMITED,  /* a limit was hit */
};

/* Judges the client's address before any cryptography, and counts the call. now becomes the time
 * that rules judge the call by. Never ADMISSION_DECOY: the call remembers it until its request.
 * ADMISSION_OK: the caller enters HELLO, and from then on the call counts until admission_leave. */
enum admission_verdict admission_judge_address(struct call *call, time_t now);

/* Returns whether the listener serves this Host and the client's SNI. Old clients send no SNI; one
 * that is sent must be right. */
bool admission_serves(const struct call *call, struct span host);

/* Judges host, SNI and tenant, which are in the call's record. Never ADMISSION_LIMITED. */
enum admission_verdict admission_judge_request(struct call *call);

/* Returns the backend for a request that was admitted: of use-backend, or the listener's own. */
const struct config_backend *admission_backend(const struct call *call);

/* For negotiation_ask_user: arg is the call. PPP has shown the user; no name: the user is unknown.
 */
bool admission_user_allowed(void *arg, struct span user);

/* Counts the tunnel for its user. False: the user's limit was hit, and nothing was counted. */
bool admission_count_user(struct call *call);

/* Returns whether the rules of site, at the time now, still allow the call: those of the listener
 * that has the name of the call's own. True if there is none, or its tunnels are not rechecked. */
bool admission_still_allows(struct call *call, const struct site *site, time_t now);

/* Gives the client points for the failed logins in the call's record as soon as they are known. */
void admission_count_failures(struct call *call);

/* The call is over: gives the points for its end, and gives up its counts. */
void admission_leave(struct call *call);

#endif
