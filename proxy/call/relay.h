/* relay: octets on their way from one side of a call to the other: SSTP packets, watched by the
 * negotiation until the tunnel is up and counted afterwards, and what goes to a web site. */
#ifndef SSTPGATE_CALL_RELAY_H
#define SSTPGATE_CALL_RELAY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"

struct call;

/* Sends on all whole packets at the start of in; returns their octets. May end the call. */
size_t relay_packets(struct call *call, struct span in, bool from_client);

/* In state KEY: keys have come, or (late) their time is over. Call Connected goes on, the call
 * ends, or it waits on. */
void relay_try_key(struct call *call, bool late);

/* The call ends. A login that the server has not accepted counts as failed; a no-op once the tunnel
 * is up. */
void relay_login_ends(struct call *call);

/* Sends on all of in. */
size_t relay_web(struct call *call, struct span in, bool from_client);

#endif
