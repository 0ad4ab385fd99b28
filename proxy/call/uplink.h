/* uplink: the way to the backend: a server that policy/backends.h chooses, its addresses one after
 * the other, TLS and the verification of the server, the request, and the answer. Until a 200
 * arrives the uplink may try the next server, which the client cannot detect. The uplink ends in
 * state NEGOTIATE, or in WEB; when no server is left to try, it ends the call. */
#ifndef SSTPGATE_CALL_UPLINK_H
#define SSTPGATE_CALL_UPLINK_H

#include <stddef.h>

#include "base/span.h"
#include "call/call.h"

struct config_backend;

/* Enters DIAL. backend: a backend of the call's own site. next: ANSWER, or WEB for the fallback web
 * site, which receives all bytes that the client has sent since its handshake. */
void uplink_dial(struct call *call, const struct config_backend *backend, enum call_state next);

/* DIAL: handle events of the backend's stream, and the deadline. */
void uplink_connected(struct call *call, int status);
void uplink_secure(struct call *call);
void uplink_dial_ended(struct call *call, enum stream_end why);
void uplink_dial_closed(struct call *call);
void uplink_dial_expired(struct call *call);

/* Abandons the look-up of the server's name when the call leaves DIAL. */
void uplink_dial_left(struct call *call, enum call_state next);

/* ANSWER: handle bytes of the backend (returns the number of bytes consumed), its end, and the
 * deadline. */
size_t uplink_answer_read(struct call *call, struct span in);
void uplink_answer_ended(struct call *call, enum stream_end why);
void uplink_answer_expired(struct call *call);

/* Notes that the tunnel is up. */
void uplink_up(struct call *call);

/* Notes that the server ends the call: if the call has resumed a TLS session, and its re-signed
 * Call Connected was sent a short time ago, the session may have a stale certificate. */
void uplink_server_ends(struct call *call);

/* Releases the call's place at its server, if it has one. For a call that has ended. */
void uplink_leave(struct call *call);

#endif
