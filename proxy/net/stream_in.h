/* stream_in: the receiving direction of a stream: reading, handshakes, and their turns. See
 * stream.h, which includes this header. */
#ifndef SSTPGATE_NET_STREAM_IN_H
#define SSTPGATE_NET_STREAM_IN_H

#include "net/stream_type.h"

/* Starts reading. tls: made with stream_sink and s as its sink, the stream takes ownership; NULL:
 * plain. A handshake begins at the stream's turn (turns.h); the bytes for a step that waits are
 * read and kept in `held`. */
void stream_start(struct stream *s, struct tls_conn *tls);

/* Starts reading, as the server of a TLS connection that does not exist yet: on_hello makes it. The
 * number of these handshakes in progress has a bound, see stream_limit_handshakes. */
void stream_expect(struct stream *s);

/* As stream_expect, on a stream that was started plain. From inside on_read: the bytes that on_read
 * leaves are the beginning of the handshake. */
void stream_secure(struct stream *s);

/* early: each read waits for its turn, with the steps of handshakes, and brings at most
 * STREAM_EARLY bytes, because the peer has not shown yet that its bytes are worth the time: in
 * records of one byte, STREAM_GLANCE bytes cost some 5 ms. Stays as it was set when the stream is
 * used again. */
void stream_early(struct stream *s, bool early);

/* Returns whether bytes from the peer have arrived that were not read. */
bool stream_waits(const struct stream *s);

/* Pauses reading: the stream reports no bytes that come from now on, and no end; both wait for
 * stream_resume. */
void stream_pause(struct stream *s);
void stream_resume(struct stream *s);
bool stream_paused(const struct stream *s);

/* Bounds the queue when two streams feed each other: s reads at most STREAM_NARROW bytes at a time,
 * and on_full comes as soon as bytes wait for the kernel. So some 20 KiB may wait, instead of
 * STREAM_HIGH and a window. The price is more wake-ups, but no throughput while the kernel's send
 * buffer has bytes. Ends with the connection. */
void stream_narrow(struct stream *s);

/* Offers the bytes that the owner left once more, after the current callback. */
void stream_kick(struct stream *s);

/* ---- for stream.c and stream_out.c ---- */

/* Starts to read, in the way of the stream's state, if it may read; stops it, in any way. */
void stream_in_start(struct stream *s);
void stream_in_stop(struct stream *s);

/* Notes that the handshake is over, or was given up. */
void stream_in_handshake_over(struct stream *s);

/* Ends the reading side for good, and calls on_end. */
void stream_in_end(struct stream *s, enum stream_end why);

/* Continues a handshake, or offers the bytes that the owner left once more. */
void stream_in_kicked(struct stream *s);

/* For the turns of a worker. */
extern const struct turns_ops stream_in_turns;

#endif
