/* sessions: the TLS sessions of a backend's servers. A server's health check makes a full handshake
 * and keeps its session here with the leaf that the handshake showed; the calls of all workers
 * offer it. So a call that resumes a session has a leaf that is no older than the last health
 * check. Sessions belong to one snapshot: a reload begins without any. Any thread (a lock is held
 * briefly). */
#ifndef SSTPGATE_SITE_SESSIONS_H
#define SSTPGATE_SITE_SESSIONS_H

#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

struct addr;
struct sessions;
struct tls_session;

/* ms; a server whose session was distrusted twice in this time gets none for the same time: a
 * single session may be stale, but an address of several servers with the same ticket keys and
 * different certificates would fail after each health check. */
enum { SESSIONS_PAUSE_MS = 3600000 };

/* Returns a counted reference. */
struct sessions *sessions_new(size_t servers);
struct sessions *sessions_ref(struct sessions *all);
void sessions_unref(struct sessions *all); /* NULL: no-op */

/* Removes all sessions. A call may have a reference for as long as its tunnel stays. */
void sessions_close(struct sessions *all);

/* The functions below do nothing if all is NULL: the backend keeps no sessions. at: the
 * address of the server's connection. now_ms: any monotonic clock, the same for all. */

/* Replaces the session of a server, and takes ownership of the caller's reference. s NULL: removes
 * it. */
void sessions_keep(struct sessions *all, size_t server, const struct addr *at,
                   struct tls_session *s, uint64_t now_ms);

/* Returns a counted reference to the session of a server; NULL: there is none for this address. */
struct tls_session *sessions_get(struct sessions *all, size_t server, const struct addr *at);

/* Removes the session of a server if it has another leaf. leaf: DER, shown by a full handshake. */
void sessions_compare(struct sessions *all, size_t server, struct span leaf);

/* Removes the session of a server, with which a call may have failed. */
void sessions_distrust(struct sessions *all, size_t server, uint64_t now_ms);

#endif
