/* stream_out: the sending direction of a stream. See stream.h, which includes this header. */
#ifndef SSTPGATE_NET_STREAM_OUT_H
#define SSTPGATE_NET_STREAM_OUT_H

#include "net/stream_type.h"

/* The sink for the tls_conn of a stream; arg is the stream. */
void stream_sink(void *arg, struct span bytes);

/* Sends bytes: with TLS in one record for each call (more only over TLS_RECORD_MAX). They are
 * copied before the call returns, and leave when the current callback is over. After
 * stream_shutdown or an error they are discarded: the owner was or will be informed. */
void stream_write(struct stream *s, struct span bytes);

/* Returns the bytes that wait for the kernel. */
size_t stream_queued(const struct stream *s);

/* Ends our direction: close_notify and FIN behind all that was written. The other one continues. */
void stream_shutdown(struct stream *s);

/* As stream_shutdown, but with TLS only close_notify is sent, and on_sent comes with the peer's
 * FIN: the side whose FIN comes first keeps its port for a minute (TIME_WAIT), and a side that
 * connects has 28000 ports. The owner closes the stream if the peer does not. */
void stream_notify(struct stream *s);

/* ---- for stream.c ---- */

/* Sends what was collected in the worker's buffer: with one system call if the kernel takes all. */
void stream_out_flush(struct streams *all);

/* Ends our direction once the queue is empty. */
void stream_out_fin(struct stream *s);

#endif
