/* end: one end of an SSTP call in the load generator: a client or a server, on a non-blocking
 * socket of its own. It makes the call with as few messages as a gate's checks allow, and then
 * sends and receives data packets at full speed. One thread. */
#ifndef SSTPGATE_BENCH_END_H
#define SSTPGATE_BENCH_END_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "binding/binding.h"
#include "tls/tls_conn.h"

enum { END_PACKET_MAX = 4095, END_BURST = 48 * 1024 /* bytes of packets in one write */ };

/* Each step has the name of the event that the end waits for. */
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

/* The treatment of received packets once an end is up. */
enum end_taste {
    END_READS,  /* decrypts and counts */
    END_COUNTS, /* counts by the heads of the records and decrypts nothing, which is cheap. Cannot
                   be undone */
    END_CHECKS, /* decrypts and compares each byte; END_WRONG if one differs from the byte sent */
    END_ECHOES, /* sends each packet back */
};

struct end_pair {
    struct end *client, *server; /* server: NULL until its call is known */
};

/* The settings of all ends. */
struct end_plan {
    struct tls_ctx *client_tls, *server_tls;
    int epoll;
    bool strict; /* the server verifies the binding; true for a gate, because a relay cannot re-sign
                    it */
    bool pap;    /* PAP; false: MS-CHAPv2 */
    /* MS-CHAPv2: the call with this number, modulo `users`, has the user benchNUMBER (five digits),
     * and comes from 127.64.0.0 + NUMBER; 0: all are `bench`, from any address. */
    size_t users;
    bool negotiate;       /* the call stays before Call Connected, so it is "up" after the login */
    const uint16_t *size; /* sizes of the data packets, header included, used in turn */
    size_t sizes;
    unsigned burst; /* packets in one write; 0: END_BURST bytes */
    bool fill;      /* as many packets of a write as fit share a record; false: one packet */
    struct end_pair *pair;
    size_t pairs;
    void (*on_up)(struct end *e);
    void (*on_packets)(struct end *e); /* data packets have arrived */
    void (*on_over)(struct end *e);    /* the peer has closed, or has sent invalid data */
};

struct end {
    struct end_plan *plan;
    int fd;
    bool client;
    enum end_step step;
    const char *wrong; /* the error that ended it; NULL: the peer has closed */
    struct tls_conn *tls;
    size_t call; /* index of its pair; SIZE_MAX: a server whose call is not known yet */

    bool deaf;                      /* reads no more */
    bool readable, writable, ready; /* ready: in the list of the ends with work */
    struct end *next_ready;

    uint8_t *ahead; /* records built in advance; [ahead_from, ahead_to) are to be sent */
    size_t ahead_from, ahead_to;
    uint8_t *rest; /* bytes that the kernel did not accept: [rest_from, rest_to) */
    size_t rest_from, rest_to;
    uint8_t part[END_PACKET_MAX + 512]; /* the beginning of a packet, or of an HTTP head */
    size_t part_n;
    uint8_t nonce[SSTP_NONCE], nt_response[HLAK_NT_RESPONSE];

    enum end_taste taste;
    uint64_t to_send;                                        /* packets that are still to be sent */
    uint64_t out_packets, out_octets, in_packets, in_octets; /* of data */
    uint8_t record[5]; /* END_COUNTS: the first record_n bytes of the head of a record */
    size_t record_n, record_left;
};

/* Starts a call; e->call is its number. */
struct end *end_connect(struct end_plan *plan, size_t call, const struct sockaddr *to, socklen_t n);

/* Accepts a connection, as a server. */
struct end *end_accept(struct end_plan *plan, int fd);

void end_free(struct end *e);

/* Handles events of epoll. */
void end_wake(struct end *e, uint32_t events);

/* Adds e to the list of the ends with work. */
void end_want(struct end *e);

/* Builds this number of packets, which are sent later by system calls alone. They count as
 * sent. */
void end_make(struct end *e, uint64_t packets);

/* Sends one packet now, independently of to_send. */
void end_send(struct end *e);

/* Sends close_notify and closes. */
void end_close(struct end *e);

/* Does one piece of the work of each end in the list. between (may be NULL) is called after
 * each piece. */
void end_turn(void (*between)(void));

/* Returns whether an end has work. */
bool end_waiting(void);

/* Reads all data that has arrived for e. */
void end_poll(struct end *e);

#endif
