/* entry: a client's way in, from the accepted connection to the request: the PROXY header, TLS, the
 * request head, and for clients that do not belong here the way to the web site. Acts on the
 * verdicts of admission; the uplink goes on with a call that is admitted. */
#ifndef SSTPGATE_CALL_ENTRY_H
#define SSTPGATE_CALL_ENTRY_H

#include <stddef.h>

#include "base/span.h"

struct call;
struct listener;
struct tls_conn;

/* Takes the connection that waits at l. State PROXY. */
void entry_begin(struct call *call, struct listener *l);

/* PROXY, REQUEST: handle bytes of the client; return how many are done with. */
size_t entry_proxy_read(struct call *call, struct span in);
size_t entry_request_read(struct call *call, struct span in);

/* HELLO: enters HANDSHAKE and returns the TLS object for the client's handshake. */
struct tls_conn *entry_hello(struct call *call);

/* HELLO: the deadline. A client that was not served in time has a reason of its own. */
void entry_hello_expired(struct call *call);

/* HANDSHAKE: the client's handshake is done. */
void entry_secure(struct call *call);

/* REQUEST: the end of the client's connection within the head, and the deadline. The web site of
 * the listener, if any, gets the unfinished head, because it may have an answer to it; at the
 * deadline the gate ends a client that has sent nothing. */
void entry_request_ended(struct call *call);
void entry_request_expired(struct call *call);

/* DIAL, ANSWER: bytes of a client that does not wait for its answer. They stay unread, up to a
 * bound. */
size_t entry_early_read(struct call *call, struct span in);

#endif
