#include "floor.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/insist.h"
#include "tls/tls_conn.h"

enum { WINDOW = 64 * 1024, ROOM = 8 * WINDOW };

struct buffer {
    uint8_t octets[ROOM];
    size_t n;
};

static void sink(void *arg, struct span octets)
{
    struct buffer *b = arg;
    INSIST(b->n + octets.n <= ROOM);
    memcpy(b->octets + b->n, octets.p, octets.n);
    b->n += octets.n;
}

/* Two ends of a TLS connection, each with its output for the other. */
struct side {
    struct tls_conn *client, *server;
    struct buffer from_client, from_server;
};

static void drain(struct tls_conn *c, struct buffer *from)
{
    uint8_t plain[4096];
    size_t n;
    tls_conn_feed(c, span_of(from->octets, from->n));
    enum err e = tls_conn_handshake(c);
    while (e == ERR_OK)
        e = tls_conn_read(c, plain, sizeof plain, &n);
    INSIST(e == ERR_MORE);
    from->n = 0;
}

static void side_open(struct side *s, struct tls_ctx *client, struct tls_ctx *server)
{
    s->client = tls_conn_new_client(client, NULL, NULL, sink, &s->from_client);
    s->server = tls_conn_new_server(server, sink, &s->from_server);
    INSIST(tls_conn_handshake(s->client) == ERR_MORE);
    while (s->from_client.n > 0 || s->from_server.n > 0) {
        if (s->from_client.n > 0)
            drain(s->server, &s->from_client);
        if (s->from_server.n > 0)
            drain(s->client, &s->from_server);
    }
}

static void connected_pair(int fd[2])
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int l = socket(AF_INET, SOCK_STREAM, 0);
    INSIST(l >= 0 && bind(l, (struct sockaddr *)&a, n) == 0 && listen(l, 1) == 0);
    INSIST(getsockname(l, (struct sockaddr *)&a, &n) == 0);
    fd[0] = socket(AF_INET, SOCK_STREAM, 0);
    INSIST(connect(fd[0], (struct sockaddr *)&a, n) == 0);
    fd[1] = accept(l, NULL, NULL);
    INSIST(fd[1] >= 0);
    close(l);
}

static double cpu(void)
{
    struct timespec t;
    INSIST(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t) == 0);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Writes all of b to a socket. */
static void carry(const struct buffer *b, int to)
{
    for (size_t done = 0; done < b->n;) {
        ssize_t n = send(to, b->octets + done, b->n - done, 0);
        INSIST(n > 0);
        done += (size_t)n;
    }
}

static void encrypt(struct tls_conn *c, const uint8_t *p, size_t n, size_t size)
{
    for (size_t done = 0; done < n; done += size)
        INSIST(tls_conn_write(c, span_of(p + done, n - done < size ? n - done : size)) == ERR_OK);
}

/* Does the work of a relay for one window. Returns the number of bytes of plaintext. */
static size_t relay(struct tls_conn *from, int in, struct tls_conn *to, struct buffer *out, int fd,
                    size_t size)
{
    static uint8_t window[WINDOW], plain[WINDOW];
    size_t have = 0, got;
    enum err e;

    ssize_t n = recv(in, window, sizeof window, 0);
    INSIST(n > 0);
    tls_conn_feed(from, span_of(window, (size_t)n));
    while ((e = tls_conn_read(from, plain + have, sizeof plain - have, &got)) == ERR_OK)
        have += got;
    INSIST(e == ERR_MORE);
    encrypt(to, plain, have, size);
    carry(out, fd);
    out->n = 0;
    return have;
}

int floor_run(struct tls_ctx *client, struct tls_ctx *server, size_t size, bool join,
              uint64_t packets)
{
    static struct side near, far;
    static uint8_t packet[WINDOW];
    static uint8_t trash[WINDOW];
    const size_t each = (WINDOW - 1024) / (size + 22); /* records of one window */
    int in[2], out[2];
    double spent = 0;
    uint64_t done = 0;

    INSIST(size > 0 && size <= TLS_RECORD_MAX && each > 0);
    side_open(&near, client, server);
    side_open(&far, client, server);
    connected_pair(in);
    connected_pair(out);
    for (bool warm = false; done < packets; warm = true) {
        for (size_t i = 0; i < each; i++)
            INSIST(tls_conn_write(near.client, span_of(packet, size)) == ERR_OK);
        carry(&near.from_client, in[0]);
        near.from_client.n = 0;
        double before = cpu();
        for (size_t moved = 0; moved < each * size;)
            moved += relay(near.server, in[1], far.client, &far.from_client, out[0],
                           join ? TLS_RECORD_MAX : size);
        if (warm) {
            spent += cpu() - before;
            done += each;
        }
        while (recv(out[1], trash, sizeof trash, MSG_DONTWAIT) > 0)
            continue;
    }
    printf("{\"packets\": %" PRIu64 ", \"octets\": %" PRIu64 ", \"cpu\": %.9f}\n", done,
           done * size, spent);
    tls_conn_free(near.client);
    tls_conn_free(near.server);
    tls_conn_free(far.client);
    tls_conn_free(far.server);
    for (int i = 0; i < 2; i++) {
        close(in[i]);
        close(out[i]);
    }
    return 0;
}
