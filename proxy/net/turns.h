/* turns: schedules the costly steps of streams. A step of a handshake takes up to a millisecond of
 * CPU time (RSA), and thousands may be due at once; the first reads of a peer may be as costly. So
 * each round of the loop runs one of them, after all other streams with events were served, and
 * more only within a budget, or while they take no longer than the rest of the round. Worker's
 * thread only. */
#ifndef SSTPGATE_NET_TURNS_H
#define SSTPGATE_NET_TURNS_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct worker;

enum {
    TURNS_READS = 64,     /* limit of the reads of early streams in one round */
    TURNS_READ_US = 1000, /* limit of their time: later reads wait for the next round */
    /* Time for steps of handshakes in one round. A packet may have to wait for the longest step
     * anyway (1 ms with RSA-2048), so shorter steps share that time: one step for each round would
     * cost a tenth of the calls per second, in system calls. */
    TURNS_STEP_US = 1000,
};

/* The place of one stream, and a member of it. All zeros: the stream does not wait. */
struct turn {
    struct turn **line; /* the list of struct turns where it waits; NULL: none */
    struct turn *prev, *next;
    int fd;
    bool watched; /* turns->hellos watches fd: bytes from the peer make the turn due */
};

struct turns_ops {
    /* Makes a step of a stream's handshake, or one read with its consequences. t is in no line and
     * not watched. */
    void (*on_step)(struct turn *t);
    /* Reads a whole window of the first stream in `bulk`. t remains in the line until
     * turns_leave. */
    void (*on_bulk)(struct turn *t);
};

struct turns {
    struct worker *worker;
    const struct turns_ops *ops;
    struct turn *bulk;       /* streams whose last read has filled its buffer, a ring */
    struct turn *early;      /* streams whose next step of a handshake, or read, waits */
    struct turn *fresh;      /* streams with the first bytes of a handshake, already read */
    int hellos;              /* epoll of the streams whose handshake has not begun */
    uv_poll_t hellos_ready;  /* of hellos */
    bool hello_ready;        /* hellos may have a stream; false: epoll_wait has found none */
    bool fresh_next;         /* the last step was that of an early stream */
    bool hello_next;         /* the last handshake that began was that of a stream in fresh */
    uint64_t step_ns;        /* time of the steps of handshakes in this round */
    uint64_t step_budget_ns; /* limit of step_ns: later steps wait for the next round */
    uint64_t read_ns;        /* time of the reads of early streams in this round */
    uint64_t read_budget_ns; /* limit of read_ns */
    unsigned reads;          /* number of reads of early streams in this round */
    uint64_t stepped_at; /* ns of this thread's CPU time, end of the last round's step; 0: none */
    unsigned handshakes, handshakes_max; /* in progress with clients; bound */
};

void turns_init(struct turns *all, struct worker *w, const struct turns_ops *ops);
void turns_stop(struct turns *all); /* closes the handle, for worker_stop */
void turns_fini(struct turns *all); /* closes hellos; the loop has ended, and no stream waits */

/* Puts a stream at the end of a line. libuv must not watch a stream that waits in `early`, `bulk`
 * or `fresh` for a read, because libuv would report in each round a read that must wait. */
void turns_wait(struct turns *all, struct turn *t, struct turn **line);

/* Watches for the first bytes of a stream whose handshake has not begun. libuv does not watch these
 * streams, because it would call back for each ready stream, thousands in one round of the loop; a
 * turn takes the first ready stream out of this epoll. Returns 0, or -1 with errno. */
int turns_watch(struct turns *all, struct turn *t, int fd);

/* Ends waiting and watching; a no-op for a stream that does neither. */
void turns_leave(struct turns *all, struct turn *t);

/* Returns whether a step of a handshake must wait for a turn. */
bool turns_step_waits(const struct turns *all);

/* Returns whether a read of an early stream must wait for a turn. */
bool turns_read_waits(const struct turns *all);

/* Counts a step, or a read of an early stream, that was made outside of a turn. begun: uv_hrtime()
 * before it. Reads are timed, too, because a read of TLS records of one byte takes ten times as
 * long as a read of an ordinary call in its setup. */
void turns_count_step(struct turns *all, uint64_t begun);
void turns_count_read(struct turns *all, uint64_t begun);

/* Counts a handshake with a client that begins, or that ends. */
void turns_handshake_begins(struct turns *all);
void turns_handshake_ends(struct turns *all);

/* Sets the bound of handshakes in progress; the streams above it wait, in the order of their first
 * bytes. */
void turns_limit_handshakes(struct turns *all, unsigned most);

/* Returns whether streams wait because handshakes_max handshakes are in progress. */
bool turns_hellos_wait(const struct turns *all);

/* Makes the turns that are due, in the worker's turn. Returns whether another turn is due. */
bool turns_take(struct turns *all);

/* Resets the counts at the end of a round. Returns whether there was anything to reset. */
bool turns_round_over(struct turns *all);

#endif
