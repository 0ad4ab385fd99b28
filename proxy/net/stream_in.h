/* stream_in: the receiving direction of a stream: reading, handshakes, and their turns. See
 * stream.h, which includes this header. */
#ifndef SSTPGATE_NET_STREAM_IN_H
#define SSTPGATE_NET_STREAM_IN_H

#include "net/stream_type.h"

/* Starts reading. tls: made with stream_sink and s as its sink, the stream takes ownership; NULL:
 * plain. A handshake begins at the stream's turn (turns.h); the bytes for a step that waits are
 * read and kept in `held`. */
void stream_start(struct stream *s, struct tls_conn *tls);

/* Starts reading, as the server of a TLS connection that does not exist yet: on_hello creates it.
 * The number of these handshakes in progress has a bound, see stream_limit_handshakes. */
void stream_expect(struct stream *s);

/* Expects a TLS handshake, as stream_expect does, on a stream that was started plain. Call it from
 * inside on_read: the bytes that on_read leaves are the beginning of the handshake. */
void stream_secure(struct stream *s);

/* Sets whether the stream is early. Each read of an early stream waits for its turn, with the steps
 * of handshakes, and brings at most STREAM_EARLY bytes, because the peer has not shown yet that its
 * bytes are worth the time: in records of one byte, STREAM_GLANCE bytes cost some 5 ms. The setting
 * remains when the stream is used again. */
void stream_early(struct stream *s, bool early);

/* Returns whether bytes from the peer wait unread, in the stream or in the kernel. */
bool stream_waits(const struct stream *s);

/* Pauses reading: the stream reports no bytes that come from now on, and no end; both wait for
 * stream_resume. */
void stream_pause(struct stream *s);
void stream_resume(struct stream *s);
bool stream_paused(const struct stream *s);

/* Bounds the queue when two streams feed each other: s reads at most STREAM_NARROW bytes at a time,
 * and on_full comes as soon as bytes wait for the kernel. So some 20 KiB may wait, instead of
 * STREAM_HIGH and a window. This costs more wake-ups, but no throughput while the kernel's send
 * buffer has bytes. The setting ends with the connection. */
void stream_narrow(struct stream *s);

/* Offers the bytes that the owner left again, after the current callback. */
void stream_kick(struct stream *s);

/* ---- for stream.c and stream_out.c ---- */

/* stream_in_start starts reading, if the stream may read: through the epoll of turns before a
 * handshake, through libuv otherwise. stream_in_stop stops reading, and leaves any line. */
void stream_in_start(struct stream *s);
void stream_in_stop(struct stream *s);

/* Removes the stream from the handshakes in progress, because its handshake is over or was
 * abandoned. */
void stream_in_handshake_over(struct stream *s);

/* Ends the reading side for good, and calls on_end. */
void stream_in_end(struct stream *s, enum stream_end why);

/* Continues a handshake, or offers the bytes that the owner left again. */
void stream_in_kicked(struct stream *s);

/* The callbacks that turns makes into streams. */
extern const struct turns_ops stream_in_turns;

#endif
