/* end: one end of an SSTP call, as the load generator plays it: a client or a server, on a socket
 * of its own that never blocks. It makes the call with as few messages as a gate's checks allow,
 * and then sends and takes data packets, as many as can be. One thread. */
#ifndef SSTPGATE_BENCH_END_H
#define SSTPGATE_BENCH_END_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "binding/binding.h"
#include "tls/tls_conn.h"

enum { END_PACKET_MAX = 4095, END_BURST = 48 * 1024 /* octets of packets in one write */ };

/* Named for what an end waits for. */
enum end_step {
    END_CONNECT,
    END_TLS,
    END_HEAD,
    END_START,
    END_PPP,
    END_CONNECTED,
    END_UP,
    END_OVER
};

/* What an end does with packets once it is up. */
enum end_taste {
    END_READS,  /* decrypts and counts */
    END_COUNTS, /* goes by the heads of the records and decrypts nothing: costs little. For good */
    END_CHECKS, /* decrypts and looks at each octet; END_WRONG when one is not what was sent */
    END_ECHOES, /* sends each back */
};

struct end_pair {
    struct end *client, *server; /* server: NULL until it has told which call it serves */
};

/* What all ends have in common. */
struct end_plan {
    struct tls_ctx *client_tls, *server_tls;
    int epoll;
    bool strict;    /* the server checks the binding, as for a gate; a relay cannot make it right */
    bool pap;       /* else MS-CHAPv2 */
    bool negotiate; /* the call stays before Call Connected: "up" is then after the login */
    const uint16_t *size; /* of data packets, header included, one after the other, count of them */
    size_t sizes;
    unsigned burst; /* packets in one write; 0: END_BURST octets of them */
    struct end_pair *pair;
    size_t pairs;
    void (*on_up)(struct end *e);
    void (*on_packets)(struct end *e); /* data packets have come */
    void (*on_over)(struct end *e);    /* the peer has closed, or what came was wrong */
};

struct end {
    struct end_plan *plan;
    int fd;
    bool client;
    enum end_step step;
    const char *wrong; /* why it is over; NULL: the peer closed */
    struct tls_conn *tls;
    size_t call; /* index of its pair; of a server that does not know it yet: SIZE_MAX */

    bool deaf;                      /* reads nothing any more */
    bool readable, writable, ready; /* ready: in the list of those that have something to do */
    struct end *next_ready;

    uint8_t *ahead; /* records that were made beforehand; [ahead_from, ahead_to) are to be sent */
    size_t ahead_from, ahead_to;
    uint8_t *rest; /* what the kernel did not take: [rest_from, rest_to) */
    size_t rest_from, rest_to;
    uint8_t part[END_PACKET_MAX + 512]; /* the beginning of a packet, or of an HTTP head */
    size_t part_n;
    uint8_t nonce[SSTP_NONCE], nt_response[HLAK_NT_RESPONSE];

    enum end_taste taste;
    uint64_t to_send; /* packets that it still wants to send */
    uint64_t out_packets, out_octets, in_packets, in_octets; /* of data */
    uint8_t record[5]; /* END_COUNTS: of the head of a record, record_n octets */
    size_t record_n, record_left;
};

/* Starts a call; e->call is its number. */
struct end *end_connect(struct end_plan *plan, size_t call, const struct sockaddr *to, socklen_t n);

/* Takes up a connection. */
struct end *end_accept(struct end_plan *plan, int fd);

void end_free(struct end *e);

/* epoll has told something. */
void end_wake(struct end *e, uint32_t events);

/* It has something to send. */
void end_want(struct end *e);

/* Makes so many packets, to be sent later with nothing but a system call. They count as sent. */
void end_make(struct end *e, uint64_t packets);

/* One packet now, whatever to_send says. */
void end_send(struct end *e);

/* Says goodbye to TLS and closes. */
void end_close(struct end *e);

/* Each end that has something to do does a piece of it. between (may be NULL) is called after each
 * piece. */
void end_turn(void (*between)(void));

/* Has anybody something to do? */
bool end_waiting(void);

/* All that is there for this one. */
void end_poll(struct end *e);

#endif
