/* entry: a client's way in, from the accepted connection to the request: PROXY header, address
 * rules, limits, TLS, the request and the rules about it, the way to the web site for those who do
 * not belong here. What it decides it does: uplink goes on with a call, call_end ends it. */
#ifndef SSTPGATE_CALL_ENTRY_H
#define SSTPGATE_CALL_ENTRY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"

struct listener;
struct site;
struct tls_conn;
struct call;

/* Takes the connection that waits at l. State PROXY. */
void entry_begin(struct call *call, struct listener *l);

/* Octets of the client, in states PROXY and REQUEST; how many are done with. */
size_t entry_proxy_read(struct call *call, struct span in);
size_t entry_request_read(struct call *call, struct span in);

/* Handle the end of the client's connection within the head (state REQUEST), and the deadline of
 * that state. The web site of the listener, if any, gets the unfinished head, because it may have
 * an answer to it; at the deadline the gate ends a client that has sent nothing. */
void entry_request_ended(struct call *call);
void entry_request_expired(struct call *call);

/* Enters state HANDSHAKE and returns the TLS object for the client's handshake. */
struct tls_conn *entry_hello(struct call *call);

/* The client's handshake is done. */
void entry_secure(struct call *call);

/* For negotiation_ask_user: arg is the call. PPP has shown who it is; no name: it could not be
 * seen. */
bool entry_user_allowed(void *arg, struct span user);

/* A reload: is it still allowed, by the listener of site that has the name of its own? */
void entry_recheck(struct call *call, const struct site *site);

/* The key of a limit that was hit, at most once a second. */
void entry_log_limited(struct call *call, const char *key);

#endif
