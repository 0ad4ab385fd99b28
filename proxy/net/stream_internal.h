/* stream_internal: the declarations that stream_in.c, stream_out.c and stream.c share. */
#ifndef SSTPGATE_NET_STREAM_INTERNAL_H
#define SSTPGATE_NET_STREAM_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/mute.h"
#include "net/stream_type.h"
#include "net/turns.h"
#include "net/warm.h"
#include "net/worker.h"
#include "tls/tls_conn.h"

enum {
    /* Plaintext is handed to the owner in pieces of this size, or larger by the rest of a record,
     * because a record that fits into the buffer whole is decrypted there, without a copy. */
    STREAMS_PIECE = 32768,
    STREAMS_PLAIN = STREAM_HELD + STREAMS_PIECE + TLS_READ_ROOM,
    /* Bytes of one write: the output of a window of large packets needs one system call. */
    STREAMS_OUT = WORKER_WINDOW + 32768,
};

/* The data that the streams of one worker share. */
struct streams {
    struct worker_part part;
    struct pool *pool; /* the worker's */
    struct turns turns;

    /* plain and out are empty between two callbacks of the loop. */
    uint8_t *plain; /* bytes that were just decrypted */
    uint8_t *out;   /* collected bytes that out_owner sends */
    size_t out_len;
    struct stream *out_owner;

    struct stream *due; /* streams whose due != 0 */
    struct warm warm;
    struct mute mute;
};

/* The flags of stream.due: the work of stream_settle after the callback. */
enum { STREAM_DUE_KICK = 1, STREAM_DUE_FAIL = 2, STREAM_DUE_FIN = 4, STREAM_DUE_FULL = 8 };

static inline struct stream *stream_of_handle(const void *handle)
{
    return ((const uv_handle_t *)handle)->data;
}

static inline struct stream *stream_of_turn(struct turn *t)
{
    return (struct stream *)((char *)t - offsetof(struct stream, turn));
}

static inline bool stream_live(const struct stream *s)
{
    return s->handle == STREAM_HANDLE_LIVE;
}

static inline void stream_due(struct stream *s, unsigned what)
{
    if (s->due == 0) {
        s->due_next = s->all->due;
        s->all->due = s;
    }
    s->due |= what;
}

/* Puts the stream's tls_conn into the warm ring, because it has just read or written. Must not be
 * called from inside a function of any tls_conn, because the ring may free another one's
 * buffers. */
static inline void stream_keep_warm(struct stream *s)
{
    if (s->tls != NULL && !warm_has(&s->all->warm, s->tls, s->warm_slot) && stream_live(s))
        s->warm_slot = (uint16_t)warm_add(&s->all->warm, s->tls);
}

#endif
