/* uplink: the way to the backend: a server that policy/backends.h chooses, its addresses one after
 * the other, TLS and whether it is who it should be, the request, and the answer; until that is a
 * 200 the next server may take over, and the client does not notice. At its end the negotiation
 * takes over, or the web site has the word. Where nothing is left to try it ends the call. */
#ifndef SSTPGATE_CALL_UPLINK_H
#define SSTPGATE_CALL_UPLINK_H

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"
#include "net/stream.h"

struct config_backend;
struct call;

/* Enters DIAL. backend is one of the tunnel's own site. */
void uplink_dial(struct call *call, const struct config_backend *backend);

/* What the backend's stream tells. _ended: false when the call has come further than the answer,
 * and this is not uplink's to judge. _closed: in state DIAL only. */
void uplink_connected(struct call *call, int status);
void uplink_secure(struct call *call);
bool uplink_ended(struct call *call, enum stream_end why);
void uplink_closed(struct call *call);

/* Gives back the call's place at its server, if it has one. */
void uplink_leave(struct call *call);

/* Octets of the backend in state ANSWER; how many are done with. */
size_t uplink_answer_read(struct call *call, struct span in);

/* The deadline of DIAL or ANSWER is over. */
void uplink_expired(struct call *call);

#endif
