/* entry: the states from the accepted connection to the request: the PROXY header, TLS, the
 * request head, and the redirection of refused clients to the web site. Acts on the verdicts of
 * admission; the uplink continues an admitted call. */
#ifndef SSTPGATE_CALL_ENTRY_H
#define SSTPGATE_CALL_ENTRY_H

#include <stddef.h>

#include "base/span.h"

struct call;
struct listener;
struct tls_conn;

/* Accepts the connection that waits at l. State PROXY. */
void entry_begin(struct call *call, struct listener *l);

/* PROXY, REQUEST: handle bytes of the client; return the number of bytes consumed. */
size_t entry_proxy_read(struct call *call, struct span in);
size_t entry_request_read(struct call *call, struct span in);

/* HELLO: enters HANDSHAKE and returns the TLS object for the client's handshake. */
struct tls_conn *entry_hello(struct call *call);

/* HELLO: handles the deadline. A client whose handshake did not get its turn in time has a
 * reason of its own. */
void entry_hello_expired(struct call *call);

/* HANDSHAKE: handles the completed handshake of the client. */
void entry_secure(struct call *call);

/* PROXY, HELLO, REQUEST: marks the connection as a health check if its client closes without
 * sending a byte, or without a byte after its TLS handshake. Other states: a no-op. A client that
 * has sent a server name may have rejected the certificate, as Windows does, so its first such end
 * in a minute counts as a call. */
void entry_left(struct call *call);

/* REQUEST: handle the end of the client's connection within the head, and the deadline. The web
 * site of the listener, if any, gets the unfinished head, because the site may have an answer
 * to it; at the deadline the gate ends a call whose client has sent nothing. */
void entry_request_ended(struct call *call);
void entry_request_expired(struct call *call);

/* DIAL, ANSWER: handles bytes of a client that does not wait for its answer. The bytes remain
 * unread, up to a bound. */
size_t entry_early_read(struct call *call, struct span in);

#endif
