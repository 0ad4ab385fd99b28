/* stream_type: the struct of a stream, and what its owner is called for. See stream.h. */
#ifndef SSTPGATE_NET_STREAM_TYPE_H
#define SSTPGATE_NET_STREAM_TYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/blocks.h"
#include "base/span.h"
#include "net/outq.h"
#include "net/turns.h"

struct stream;
struct streams;
struct tls_conn;
struct worker;

enum stream_end {
    STREAM_EOF,      /* FIN or close_notify; what we send may still be read */
    STREAM_RESET,    /* RST, or the connection failed in another way; nothing can be sent */
    STREAM_TLS,      /* TLS failed; stream_error has the cause, an alert may be on its way */
    STREAM_OVERFLOW, /* the owner left more than STREAM_HELD bytes unread */
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
    /* Bytes for the owner. Returns how many of them it has used; the rest comes again, with more
     * behind it, when more has arrived or after stream_kick. */
    size_t (*on_read)(struct stream *s, struct span bytes);
    /* No more bytes will come. Called once; the owner ends the sending side. */
    void (*on_end)(struct stream *s, enum stream_end why);
    /* More than STREAM_HIGH bytes wait for the kernel, and the owner should stop their source.
     * Called after the callback that queued them returns, and again whenever more is queued. May be
     * NULL. */
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

/* Watermarks of what waits for the kernel, in bytes. What becomes of one window is queued whole, so
 * that much more than STREAM_HIGH may wait. STREAM_MAX bounds what pausing the other side cannot: a
 * peer that makes TLS answer and does not read the answers; the connection then ends. It is above
 * what a window of the smallest packets, 4 bytes, can become: each a record of 85 bytes (TLS 1.2,
 * CBC, SHA384). */
enum { STREAM_HIGH = 128 * 1024, STREAM_LOW = 64 * 1024, STREAM_MAX = 6 * 1024 * 1024 };

/* Bytes that one read may bring: of a stream whose last read brought less than that (a stream with
 * more reads a whole window, at its turn), of a narrow stream, and of an early stream. */
enum { STREAM_GLANCE = 64 * 1024, STREAM_NARROW = 16 * 1024, STREAM_EARLY = 4 * 1024 };

/* Bytes that an owner may leave unread: more than one window brings. */
enum { STREAM_HELD = 18 * POOL_BLOCK };

enum stream_handle { STREAM_HANDLE_NONE, STREAM_HANDLE_LIVE, STREAM_HANDLE_CLOSING };
enum stream_in {
    STREAM_IN_IDLE,
    STREAM_IN_HELLO, /* no byte of the peer's handshake was read yet; no tls_conn exists */
    STREAM_IN_HANDSHAKE,
    STREAM_IN_OPEN,
    STREAM_IN_ENDED,
};
enum stream_out { STREAM_OUT_OPEN, STREAM_OUT_ENDING, STREAM_OUT_ENDED };

/* Invariants: outq_sane(&queue); a stream is on streams->due exactly if due != 0; libuv reads the
 * stream only while !turn.watched, and turn.line == NULL or in == STREAM_IN_HANDSHAKE. */
struct stream {
    uv_tcp_t tcp;
    struct worker *worker;
    struct streams *all; /* of the worker */
    const struct stream_ops *ops;
    struct tls_conn *tls; /* NULL: plain; owned, freed before on_closed */

    enum stream_handle handle;
    enum stream_in in;
    enum stream_out out;
    bool paused;
    bool narrow;        /* see stream_narrow */
    bool fin_came;      /* or a reset: no more bytes will come */
    bool fin_is_theirs; /* STREAM_OUT_ENDING ends with the peer's FIN instead of ours */
    bool early;         /* reads may wait for their turn, see stream_early */
    bool counted;       /* as a handshake in progress */
    uint8_t warm_slot;  /* of tls, see warm.h */
    unsigned due;       /* what stream_settle has to do */
    struct stream *due_next;
    struct turn turn;

    struct span window; /* plain streams: what was received and not handed out yet */
    struct blocks held; /* bytes that the owner left, or of a handshake's turn; mostly empty */

    struct outq queue;
    uv_write_t write;
    union {
        uv_connect_t connect;
        uv_shutdown_t shutdown; /* never at the same time */
    } req;
};

#endif
