/* flood: many clients that send a ClientHello and take no further part, from a process of its own,
 * so that their work does not delay the round trips that are measured meanwhile. */
#ifndef SSTPGATE_BENCH_FLOOD_H
#define SSTPGATE_BENCH_FLOOD_H

#include <netinet/in.h>
#include <stddef.h>

struct tls_ctx;

struct flood {
    int fd; /* readable when the wave is over */
};

struct flood_result {
    size_t answered, refused; /* ClientHellos with an answer, and without one */
    double seconds;
};

/* Starts the process, which ends when this one does. */
void flood_open(struct flood *f, struct tls_ctx *ctx, const struct sockaddr_in *to, size_t wave);

/* Starts a wave of so many connections: first all connect, then all send their ClientHello at once,
 * and each is reset when its answer comes. */
void flood_begin(struct flood *f);

/* Waits for the end of the wave. */
struct flood_result flood_end(struct flood *f);

#endif
