/* stream_type: the struct of a stream and the callbacks of its owner. See stream.h. */
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
    STREAM_EOF,      /* FIN or close_notify; the peer may still read */
    STREAM_RESET,    /* RST, or the connection failed in another way; nothing can be sent */
    STREAM_TLS,      /* TLS failed; stream_error returns the cause; an alert may have been sent */
    STREAM_OVERFLOW, /* the owner left more than STREAM_HELD bytes unread */
};

struct stream_ops {
    /* Called when stream_connect has ended; status is 0 or a libuv error. */
    void (*on_connect)(struct stream *s, int status);
    /* Called after stream_expect and stream_secure, when the first bytes of the peer's handshake
     * have arrived and it is the stream's turn. Returns a tls_conn made with stream_sink and s as
     * its sink; the stream takes ownership. */
    struct tls_conn *(*on_hello)(struct stream *s);
    /* Called when the TLS handshake is done; never on a plain stream. */
    void (*on_secure)(struct stream *s);
    /* Hands bytes to the owner. Returns the number of bytes that the owner has used; the rest is
     * offered again, with later bytes behind it, when more have arrived or after stream_kick. */
    size_t (*on_read)(struct stream *s, struct span bytes);
    /* Called once, when no more bytes will come; the owner ends the sending side. */
    void (*on_end)(struct stream *s, enum stream_end why);
    /* Called when more than STREAM_HIGH bytes wait for the kernel: the owner should pause their
     * source. The call comes after the callback that queued the bytes, and again whenever more are
     * queued. May be NULL. */
    void (*on_full)(struct stream *s);
    /* Called when the kernel has taken the waiting bytes: the queue is at or below STREAM_LOW
     * (narrow: empty), or, after stream_shutdown, all bytes and the FIN are sent. */
    void (*on_sent)(struct stream *s);
    /* Called last: the owner may free the struct or use it for stream_connect again. */
    void (*on_closed)(struct stream *s);
    /* Called when no more bytes will come and the owner has left some unread. If the owner pauses
     * the stream, the end waits for stream_resume; otherwise on_end follows at once. May be
     * NULL. */
    void (*on_last)(struct stream *s);
};

/* Watermarks of the bytes that wait for the kernel. The output of one window is queued whole, so
 * more than STREAM_HIGH by that output may wait. A connection with more than STREAM_MAX ends: a
 * peer that makes TLS answer, and does not read the answers, fills the queue even while the other
 * side is paused. STREAM_MAX is above the output of a window of the smallest packets, because each
 * packet of 4 bytes becomes a record of 85 bytes (TLS 1.2, CBC, SHA384). */
enum { STREAM_HIGH = 128 * 1024, STREAM_LOW = 64 * 1024, STREAM_MAX = 6 * 1024 * 1024 };

/* Bytes that one read may bring. STREAM_GLANCE: of most streams; a stream whose read brought that
 * many reads a whole window at its next turn. STREAM_NARROW: of a narrow stream. STREAM_EARLY: of
 * an early stream. */
enum { STREAM_GLANCE = 64 * 1024, STREAM_NARROW = 16 * 1024, STREAM_EARLY = 4 * 1024 };

/* Limit of the bytes that an owner may leave unread: more than one window. */
enum { STREAM_HELD = 18 * POOL_BLOCK };

enum stream_handle { STREAM_HANDLE_NONE, STREAM_HANDLE_LIVE, STREAM_HANDLE_CLOSING };
enum stream_in {
    STREAM_IN_IDLE,
    STREAM_IN_HELLO, /* the handshake has not begun; no tls_conn exists */
    STREAM_IN_HANDSHAKE,
    STREAM_IN_OPEN,
    STREAM_IN_ENDED,
};
enum stream_out { STREAM_OUT_OPEN, STREAM_OUT_ENDING, STREAM_OUT_ENDED };

/* Invariants: outq_sane(&queue); a stream is on streams->due if and only if due != 0; libuv reads
 * the stream only while !turn.watched, and turn.line == NULL or in == STREAM_IN_HANDSHAKE. */
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
    bool fin_came;      /* the peer's FIN or a reset has arrived */
    bool fin_is_theirs; /* STREAM_OUT_ENDING ends with the FIN of the peer, not of this end */
    bool early;         /* reads may wait for their turn, see stream_early */
    bool counted;       /* turns.handshakes includes the stream */
    uint16_t warm_slot; /* of tls, see warm.h */
    unsigned due;       /* STREAM_DUE_* flags */
    struct stream *due_next;
    struct turn turn;

    struct span window; /* of a plain stream: received bytes that the owner has not got yet */
    struct blocks held; /* bytes that the owner left, or of a handshake that waits for its turn */

    struct outq queue;
    uv_write_t write;
    union {
        uv_connect_t connect;
        uv_shutdown_t shutdown; /* never pending together with connect */
    } req;
};

#endif
