/* stream_out: the sending direction of a stream. See stream.h, which includes this header. */
#ifndef SSTPGATE_NET_STREAM_OUT_H
#define SSTPGATE_NET_STREAM_OUT_H

#include "net/stream_type.h"

/* Takes the records of a stream's tls_conn, as its sink; arg is the stream. */
void stream_sink(void *arg, struct span bytes);

/* Sends bytes: with TLS in one record for each call (more only over TLS_RECORD_MAX). They are
 * copied before the call returns, and sent when the current callback is over. After stream_shutdown
 * or an error they are discarded; a callback reports the error to the owner. */
void stream_write(struct stream *s, struct span bytes);

/* Returns the bytes that wait for the kernel. */
size_t stream_queued(const struct stream *s);

/* Ends the sending direction: sends close_notify and FIN behind all written bytes. The receiving
 * direction continues. Closes a stream that is not connected or not started. */
void stream_shutdown(struct stream *s);

/* Ends the sending direction as stream_shutdown does, but with TLS sends close_notify only, and
 * calls on_sent when the peer's FIN has arrived: the side that sends the first FIN keeps its port
 * for a minute (TIME_WAIT), and a side that connects has only 28000 ports. The owner closes the
 * stream if the peer does not. */
void stream_notify(struct stream *s);

/* ---- for stream.c ---- */

/* Sends the bytes that were collected in the worker's buffer, with one system call if the kernel
 * takes all of them. */
void stream_out_flush(struct streams *all);

/* Ends the sending direction once the queue is empty. */
void stream_out_fin(struct stream *s);

#endif
