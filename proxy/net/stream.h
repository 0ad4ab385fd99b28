/* stream: one TCP connection, with TLS over it or plain, as its owner sees it: bytes in, bytes out,
 * and how each direction ended. A stream lives inside its owner's struct, which must stay until
 * on_closed was called. Worker's thread only.
 *
 * Callbacks may call anything here, even stream_close of the calling stream: after stream_close no
 * callback comes but on_closed, and nothing is called from inside of stream_write and the like. */
#ifndef SSTPGATE_NET_STREAM_H
#define SSTPGATE_NET_STREAM_H

#include "base/addr.h"
#include "base/err.h"
#include "net/stream_in.h"
#include "net/stream_out.h"
#include "net/stream_type.h"

void stream_init(struct stream *s, struct worker *w, const struct stream_ops *ops);

/* Takes the connection that waits at a listening handle. A libuv error: the stream is closing,
 * on_closed will come. peer is set on success. */
int stream_accept(struct stream *s, uv_tcp_t *listener, struct addr *peer) MUST_CHECK;

/* Starts to connect; on_connect will come. A libuv error: as above. */
int stream_connect(struct stream *s, const struct addr *to) MUST_CHECK;

/* Sets the bound of handshakes in progress with clients; without a bound at first. The streams of
 * stream_expect and stream_secure above it wait, in the order of their first bytes. */
void stream_limit_handshakes(struct worker *w, unsigned most);

/* Returns whether clients wait because that number of handshakes are in progress. */
bool stream_hellos_wait(const struct worker *w);

/* Writes the address of this end of the connection, or of the other end. Returns 0 or a libuv
 * error. */
int stream_local(const struct stream *s, struct addr *out) MUST_CHECK;
int stream_peer(const struct stream *s, struct addr *out) MUST_CHECK;

/* Ends both directions now. What the kernel does not take at once is lost. reset: with RST, so that
 * the peer does not take it for an orderly end. on_closed will be called. A no-op when there is no
 * handle or it is closing already. */
void stream_close(struct stream *s, bool reset);

/* As stream_close with a reset, but the peer receives nothing any more, and what it sends is not
 * even acknowledged while the connection is kept (mute.h). The end of that time is silent, too;
 * without CAP_NET_ADMIN a reset is sent then, with a hop limit of 1, which reaches neighbours only.
 */
void stream_vanish(struct stream *s);

/* Returns the text of a STREAM_TLS end. */
const char *stream_error(const struct stream *s);

/* Returns whether a status or error means that this machine has no descriptors, ports or memory
 * left; it then says nothing about the peer. */
bool stream_starved(int status);

/* Returns the text of a status or error that a function or callback of this room has returned. */
const char *stream_strerror(int status);

#endif
