/* relay: forwards bytes from one side of a call to the other: SSTP packets, which the
 * negotiation judges until the tunnel is up and which are counted afterwards, and bytes to and
 * from a web site. */
#ifndef SSTPGATE_CALL_RELAY_H
#define SSTPGATE_CALL_RELAY_H

#include <stddef.h>

#include "base/span.h"
#include "call/call.h"

/* Forward the whole packets (WEB: all bytes) at the start of in, from the client (up) or from
 * the backend (down); return the number of bytes consumed. May end the call. States: NEGOTIATE
 * and KEY; RELAY; WEB; and DRAIN after each of them. */
size_t relay_negotiate_up(struct call *call, struct span in);
size_t relay_negotiate_down(struct call *call, struct span in);
size_t relay_up(struct call *call, struct span in);
size_t relay_down(struct call *call, struct span in);
size_t relay_web_up(struct call *call, struct span in);
size_t relay_web_down(struct call *call, struct span in);

/* KEY: handle the arrival of keys, and the deadline. Call Connected is forwarded, or the call ends,
 * or (after keys only) it continues to wait. */
void relay_keys_came(struct call *call);
void relay_key_expired(struct call *call);

/* Counts a login that the server has not accepted as failed, because the server ends the call.
 * A no-op once the tunnel is up. */
void relay_login_ends(struct call *call);

/* Clean up when the call leaves NEGOTIATE or DRAIN, and KEY. If the call ends, the keys are
 * wiped; if a peer has ended it, relay_login_ends is called first. */
void relay_negotiation_left(struct call *call, enum call_state next);
void relay_key_left(struct call *call, enum call_state next);

/* COUNT: relay_count_read consumes no bytes, so the bytes of both sides stay queued.
 * relay_count_left frees the parked packet, and lets both sides read again. */
size_t relay_count_read(struct call *call, struct span in);
void relay_count_left(struct call *call, enum call_state next);

/* Takes the tunnel out of the counters, because the call leaves RELAY. */
void relay_left(struct call *call, enum call_state next);

#endif
