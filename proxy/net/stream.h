/* stream: one TCP connection, with TLS over it or plain, as its owner wants to see it: octets in,
 * octets out, and how each direction ended. A stream lives inside its owner's struct, which must
 * stay until on_closed was called. Worker's thread only.
 *
 * Callbacks may call anything here, stream_close of the calling stream included: no callback but
 * on_closed comes after stream_close, and nothing is called from inside of stream_write and
 * friends. */
#ifndef SSTPGATE_NET_STREAM_H
#define SSTPGATE_NET_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "base/addr.h"
#include "base/err.h"
#include "base/pool.h"
#include "base/span.h"

struct stream;
struct tls_conn;
struct worker;

enum stream_end {
    STREAM_EOF,      /* FIN or close_notify; what we send may still be read */
    STREAM_RESET,    /* RST, or the connection failed in another way; nothing can be sent */
    STREAM_TLS,      /* TLS failed; stream_error tells why, an alert may be on its way */
    STREAM_OVERFLOW, /* the owner left more than WORKER_HELD octets unread */
};

struct stream_ops {
    /* stream_connect has ended; status is 0 or a libuv error. */
    void (*on_connect)(struct stream *s, int status);
    /* After stream_expect and stream_secure: the first bytes of the peer's handshake have arrived,
     * and it is this stream's turn. Returns a tls_conn made with stream_sink and s as its sink; the
     * stream takes ownership. */
    struct tls_conn *(*on_hello)(struct stream *s);
    /* The TLS handshake is done. Not called on a plain stream. */
    void (*on_secure)(struct stream *s);
    /* Octets for the owner. Returns how many it is done with; what it left comes again, with more
     * behind it, when more has arrived or after stream_kick. */
    size_t (*on_read)(struct stream *s, struct span octets);
    /* No more octets will come. Called once; the sending side is the owner's to end. */
    void (*on_end)(struct stream *s, enum stream_end why);
    /* More than STREAM_HIGH octets wait for the kernel, and the owner should stop what makes them.
     * Told when the callback that made them is over, and again when there are more. May be NULL. */
    void (*on_full)(struct stream *s);
    /* The kernel has taken the waiting bytes: the queue is at or below STREAM_LOW (narrow: empty),
     * or, after stream_shutdown, all bytes and the FIN are sent. */
    void (*on_sent)(struct stream *s);
    /* The last call: the struct may be freed or used for stream_connect again. */
    void (*on_closed)(struct stream *s);
    /* No more bytes will come, and the owner has left some unread. If the owner pauses the stream,
     * the end waits for stream_resume; otherwise on_end follows at once. May be NULL. */
    void (*on_last)(struct stream *s);
};

/* Watermarks of what waits for the kernel, in octets. What comes of one window is queued whole, so
 * that as much more than STREAM_HIGH may wait. STREAM_MAX bounds what no pausing of the other side
 * can: a peer that makes TLS answer and does not read the answers; the connection then ends. It is
 * above what a window of the smallest packets, 4 octets, can become: each a record of 85 octets
 * (TLS 1.2, CBC, SHA384). */
enum { STREAM_HIGH = 128 * 1024, STREAM_LOW = 64 * 1024, STREAM_MAX = 6 * 1024 * 1024 };

/* Octets that one read of a narrow stream may bring, and one read of an early stream. */
enum { STREAM_NARROW = 16 * 1024, STREAM_EARLY = 4 * 1024 };

enum stream_handle { STREAM_HANDLE_NONE, STREAM_HANDLE_LIVE, STREAM_HANDLE_CLOSING };
enum stream_in {
    STREAM_IN_IDLE,
    STREAM_IN_HELLO, /* no byte of the peer's handshake was read yet; no tls_conn exists */
    STREAM_IN_HANDSHAKE,
    STREAM_IN_OPEN,
    STREAM_IN_ENDED,
};
enum stream_out { STREAM_OUT_OPEN, STREAM_OUT_ENDING, STREAM_OUT_ENDED };

/* Invariants: queue_blocks counts queue; the first flying_blocks of them are in a uv_write;
 * queued is their octets in all; a stream is on worker->due exactly if due != 0; libuv reads the
 * stream only while !watched, and line == NULL or in == STREAM_IN_HANDSHAKE. */
struct stream {
    uv_tcp_t tcp;
    struct worker *worker;
    const struct stream_ops *ops;
    struct tls_conn *tls; /* NULL: plain; owned, freed before on_closed */

    enum stream_handle handle;
    enum stream_in in;
    enum stream_out out;
    bool paused;
    bool narrow;          /* see stream_narrow */
    bool fin_came;        /* or a reset: no more bytes will come */
    bool fin_is_theirs;   /* STREAM_OUT_ENDING ends with the peer's FIN instead of ours */
    bool warm;            /* in worker->warm */
    bool early;           /* reads may wait for their turn, see stream_early */
    bool counted;         /* in worker->handshakes */
    bool watched;         /* in worker->hellos: bytes from the peer make its turn due */
    struct stream **line; /* list of the worker where the stream waits for its turn; NULL: none */
    struct stream *prev, *next;
    unsigned due;
    struct stream *due_next;

    struct span window; /* plain streams: what was received and not handed out yet */
    struct block *held; /* octets that the owner left, or of a handshake's turn; mostly NULL */

    struct block *queue, *queue_tail;
    unsigned queue_blocks, flying_blocks;
    size_t queued;
    uv_write_t write;
    union {
        uv_connect_t connect;
        uv_shutdown_t shutdown; /* never at the same time */
    } req;
};

void stream_init(struct stream *s, struct worker *w, const struct stream_ops *ops);

/* Takes the connection that waits at a listening handle. A libuv error: the stream is closing,
 * on_closed will come. peer is set on success. */
int stream_accept(struct stream *s, uv_tcp_t *listener, struct addr *peer) MUST_CHECK;

/* Starts to connect; on_connect will come. A libuv error: as above. */
int stream_connect(struct stream *s, const struct addr *to) MUST_CHECK;

/* Starts reading. tls: made with stream_sink and s as its sink, the stream takes ownership; NULL:
 * plain. A handshake begins at the stream's turn.
 *
 * Turns: a step of a handshake takes up to a millisecond of CPU time (RSA), and thousands may be
 * wanted at once. So each round of the loop makes one of them, after all other streams that have
 * something were served, and more only within WORKER_STEP_US, or while they take no longer than the
 * rest of the round. The octets for a step that waits are read and kept in `held`. */
void stream_start(struct stream *s, struct tls_conn *tls);

/* Starts reading, as the server of a TLS connection that does not exist yet: on_hello makes it. At
 * most worker->handshakes_max of these handshakes are in progress; the streams above this bound
 * wait, in the order of their first bytes. */
void stream_expect(struct stream *s);

/* As stream_expect, on a stream that was started plain. From inside on_read: the bytes that on_read
 * leaves are the beginning of the handshake. */
void stream_secure(struct stream *s);

/* early: each read waits for its turn, with the steps of handshakes, and brings at most
 * STREAM_EARLY octets, because the peer has not shown yet that its octets are worth the time: in
 * records of one octet, WORKER_GLANCE octets cost some 5 ms. Stays as it was set when the stream is
 * used again. */
void stream_early(struct stream *s, bool early);

/* Returns whether bytes from the peer have arrived that were not read. */
bool stream_waits(const struct stream *s);

/* Returns whether clients wait because worker->handshakes_max handshakes are in progress. */
bool stream_hellos_wait(const struct worker *w);

/* The address this connection was made to, or from; and the other end's. */
int stream_local(const struct stream *s, struct addr *out) MUST_CHECK;
int stream_peer(const struct stream *s, struct addr *out) MUST_CHECK;

/* The sink for the tls_conn of a stream; arg is the stream. */
void stream_sink(void *arg, struct span octets);

/* Sends octets: on TLS in one record for each call (more only over TLS_RECORD_MAX). They are copied
 * before the call returns, and leave when the current callback is over. After stream_shutdown or an
 * error they vanish: the owner will be or was told. */
void stream_write(struct stream *s, struct span octets);

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

/* Hands out once more what the owner left, after the current callback. */
void stream_kick(struct stream *s);

/* Ends our direction: close_notify and FIN behind all that was written. The other one goes on. */
void stream_shutdown(struct stream *s);

/* As stream_shutdown, but with TLS only close_notify is sent, and on_sent comes with the peer's
 * FIN: the side whose FIN comes first keeps its port for a minute (TIME_WAIT), and a side that
 * connects has 28000 ports. The owner closes the stream if the peer does not. */
void stream_notify(struct stream *s);

/* Ends both now. What the kernel does not take at once is lost. reset: with RST, so that nobody
 * takes it for an orderly end. on_closed will be called. Harmless when there is no handle or it is
 * closing already. */
void stream_close(struct stream *s, bool reset);

/* As stream_close with a reset, but the peer hears nothing any more, and what it sends is not even
 * acknowledged while the connection is kept (mute.h). Its end is not told either; without
 * CAP_NET_ADMIN a reset is sent then, with a hop limit of 1, which reaches neighbours only. */
void stream_vanish(struct stream *s);

/* The text of a STREAM_TLS end. */
const char *stream_error(const struct stream *s);

/* A status or error that is this machine's own want of descriptors, ports or memory, and says
 * nothing about the peer. */
bool stream_starved(int status);

/* The text of a status or error that a function or callback of this room gave. */
const char *stream_strerror(int status);

void stream_settle(struct worker *w);     /* for worker_settle */
void stream_turn(struct worker *w);       /* once in a round: serves the streams whose turn it is */
void stream_turn_hello(struct worker *w); /* w->hellos has the first bytes of a handshake */
bool stream_turn_due(const struct worker *w); /* returns whether another turn is due */
void stream_turn_room(struct worker *w);      /* lets waiting handshakes begin within the bound */
void stream_cool(
    struct worker *w); /* once a second: no stream keeps buffers that it does not use */

#endif
