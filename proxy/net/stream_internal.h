/* stream_internal: what the files of the stream share: stream_in.c, stream_out.c and stream.c. */
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

enum {
    STREAMS_PIECE = 32768, /* bytes of plaintext after which an owner is asked to take them */
    STREAMS_PLAIN = STREAM_HELD + STREAMS_PIECE,
    /* Bytes that one write may take along: what becomes of one window, in one system call. */
    STREAMS_OUT = WORKER_WINDOW + 32768,
};

/* What the streams of one worker share. */
struct streams {
    struct worker_part part;
    struct pool *pool; /* the worker's */
    struct turns turns;

    /* Both are empty between two callbacks of the loop. */
    uint8_t *plain; /* what was just decrypted */
    uint8_t *out;   /* records on their way to out_owner */
    size_t out_len;
    struct stream *out_owner;

    struct stream *due; /* streams with something to settle */
    struct warm warm;
    struct mute mute;
};

/* What is left to do when the callback is over. */
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

/* Notes that the stream's TLS has just read or written. Not to be called from inside a function of
 * any stream's TLS. */
static inline void stream_keep_warm(struct stream *s)
{
    if (s->tls != NULL && !warm_has(&s->all->warm, s->tls, s->warm_slot) && stream_live(s))
        s->warm_slot = (uint8_t)warm_add(&s->all->warm, s->tls);
}

#endif
