/* stream: one TCP connection, plain or with TLS. It hands received bytes to its owner, sends the
 * owner's bytes, and reports the end of each direction. A stream is a member of its owner's struct,
 * which must remain valid until on_closed was called. Worker's thread only.
 *
 * A callback may call any function of this header, even stream_close of the calling stream: after
 * stream_close only on_closed is called. No function for the owner (stream_write and the like)
 * makes a callback before it returns. */
#ifndef SSTPGATE_NET_STREAM_H
#define SSTPGATE_NET_STREAM_H

#include "base/addr.h"
#include "base/err.h"
#include "net/stream_in.h"
#include "net/stream_out.h"
#include "net/stream_type.h"

/* Initializes a stream without a connection. ops must remain valid. */
void stream_init(struct stream *s, struct worker *w, const struct stream_ops *ops);

/* Accepts the connection that waits at a listening handle, and writes its address to *peer. Returns
 * 0 or a libuv error; after an error the stream is closing, and on_closed will be called. */
int stream_accept(struct stream *s, uv_tcp_t *listener, struct addr *peer) MUST_CHECK;

/* Starts to connect; on_connect will be called. Returns 0 or a libuv error, as stream_accept. */
int stream_connect(struct stream *s, const struct addr *to) MUST_CHECK;

/* Connects to a Unix socket, at once. The stream has no addresses. Returns as stream_connect, whose
 * on_connect is not called. */
int stream_connect_unix(struct stream *s, const char *path) MUST_CHECK;

/* Sets the bound of handshakes in progress with clients; initially there is none. The streams of
 * stream_expect and stream_secure above it wait, in the order of their first bytes. */
void stream_limit_handshakes(struct worker *w, unsigned most);

/* Returns whether clients wait because that number of handshakes are in progress. */
bool stream_hellos_wait(const struct worker *w);

/* Writes the address of this end of the connection, or of the other end. Returns 0 or a libuv
 * error. */
int stream_local(const struct stream *s, struct addr *out) MUST_CHECK;
int stream_peer(const struct stream *s, struct addr *out) MUST_CHECK;

/* Ends both directions now. Bytes that the kernel does not take at once are lost. reset: with RST,
 * so that the peer does not take it for an orderly end. on_closed will be called. A no-op if the
 * stream has no connection or is closing already. */
void stream_close(struct stream *s, bool reset);

/* Closes the stream as stream_close with a reset does, but the peer receives no packet any more,
 * and its packets are not even acknowledged while the connection is kept (mute.h). The end of that
 * time is silent, too; without CAP_NET_ADMIN the kernel then sends a reset with a hop limit of 1,
 * which reaches neighbours only. */
void stream_vanish(struct stream *s);

/* Returns the text of the TLS error that ended the stream (STREAM_TLS); "": none. */
const char *stream_error(const struct stream *s);

/* Returns whether a status or error means that this machine has no descriptors, ports or memory
 * left; such an error says nothing about the peer. */
bool stream_starved(int status);

/* Returns the text of a status or error that a function or callback of this room has returned. */
const char *stream_strerror(int status);

#endif
