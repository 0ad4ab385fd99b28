#include "end.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/insist.h"

enum {
    IN = 256 * 1024,  /* bytes of one read */
    OUT = 512 * 1024, /* output of one piece of work: END_BURST, or the echo of one read */
    RECORD_OVER = 17, /* TLS 1.3: the tag and the type after the plaintext of a record */
    USER_MAX = 16,    /* the name of a user */
};

/* The users file that the driver gives to a gate has this hash for each user: bench:0102…10 */
static const uint8_t hash_hash[HLAK_HASH_HASH] = {1, 2,  3,  4,  5,  6,  7,  8,
                                                  9, 10, 11, 12, 13, 14, 15, 16};

/* plain: a part of a packet and a part of a record from earlier reads, then the plaintext of
 * one read. */
static uint8_t in[IN], plain[IN + sizeof((struct end *)0)->part + TLS_RECORD_MAX], out[OUT];
static size_t out_n;
static struct end *ready, **ready_last = &ready;

static void step_to(struct end *e, enum end_step step)
{
    e->step = step;
    if (step == END_UP)
        e->plan->on_up(e);
}

static void over(struct end *e, const char *wrong)
{
    if (e->step == END_OVER)
        return;
    e->wrong = wrong;
    e->to_send = 0;
    e->step = END_OVER;
    if (e->fd >= 0)
        close(e->fd);
    e->fd = -1;
    e->plan->on_over(e);
}

void end_want(struct end *e)
{
    if (e->ready || e->step == END_OVER)
        return;
    e->ready = true;
    e->next_ready = NULL;
    *ready_last = e;
    ready_last = &e->next_ready;
}

/* ---- out ---- */

static void sink(void *arg, struct span octets)
{
    (void)arg; /* a piece of work is for one end only and ends with flush */
    INSIST(out_n + octets.n <= OUT);
    memcpy(out + out_n, octets.p, octets.n);
    out_n += octets.n;
}

/* Returns the number of bytes sent. */
static size_t try_send(struct end *e, const uint8_t *p, size_t n)
{
    size_t done = 0;
    while (done < n && e->writable) {
        ssize_t k = send(e->fd, p + done, n - done, MSG_NOSIGNAL);
        if (k < 0 && errno != EAGAIN) {
            over(e, "cannot send");
            return n;
        }
        if (k < 0)
            e->writable = false;
        else
            done += (size_t)k;
    }
    return done;
}

static void flush(struct end *e)
{
    if (e->step == END_OVER) {
        out_n = 0;
        return;
    }
    if (e->rest != NULL) {
        e->rest_from += try_send(e, e->rest + e->rest_from, e->rest_to - e->rest_from);
        if (e->rest_from == e->rest_to) {
            free(e->rest);
            e->rest = NULL;
        }
    }
    size_t n = out_n, done = 0;
    out_n = 0;
    if (n == 0 || e->step == END_OVER)
        return;
    if (e->rest == NULL) {
        done = try_send(e, out, n);
        e->rest_from = e->rest_to = 0;
    }
    if (done == n)
        return;
    size_t left = e->rest_to - e->rest_from;
    uint8_t *rest = insist_alloc(malloc(left + n - done));
    if (left > 0)
        memcpy(rest, e->rest + e->rest_from, left);
    memcpy(rest + left, out + done, n - done);
    free(e->rest);
    e->rest = rest;
    e->rest_from = 0;
    e->rest_to = left + n - done;
}

static void write_octets(struct end *e, const void *p, size_t n)
{
    if (tls_conn_write(e->tls, span_of(p, n)) != ERR_OK)
        over(e, "TLS: cannot write");
}

/* Builds packet number n: its header, then PPP: IP, or before Call Connected an LCP
 * Discard-Request, then the number and a pattern that starts with it. */
static size_t packet_make(const struct end *e, uint64_t n, uint8_t p[END_PACKET_MAX])
{
    static uint8_t pattern[END_PACKET_MAX + 256];
    const size_t size = e->plan->size[n % e->plan->sizes];
    if (pattern[1] == 0)
        for (size_t i = 0; i < sizeof pattern; i++)
            pattern[i] = (uint8_t)(i * 7 + (i >> 8));
    memcpy(p + 8, pattern + n % 256, size - 8);
    p[0] = SSTP_VERSION;
    p[1] = 0;
    p[2] = (uint8_t)(size >> 8);
    p[3] = (uint8_t)size;
    p[4] = 0xff;
    p[5] = 0x03;
    p[6] = e->plan->negotiate ? 0xc0 : 0x00;
    p[7] = 0x21;
    if (e->plan->negotiate) {
        p[8] = 11; /* Discard-Request (RFC 1661 5.9) */
        p[9] = (uint8_t)n;
        p[10] = (uint8_t)((size - 8) >> 8);
        p[11] = (uint8_t)(size - 8);
    }
    return size;
}

static size_t packet_next(struct end *e, uint8_t *p)
{
    size_t n = packet_make(e, e->out_packets, p);
    e->out_packets++;
    e->out_octets += n;
    return n;
}

static void send_one(struct end *e)
{
    uint8_t p[END_PACKET_MAX];
    write_octets(e, p, packet_next(e, p));
}

/* Sends one record with all packets that fit in it, at most `most`. Returns their number. */
static uint64_t send_filled(struct end *e, uint64_t most)
{
    uint8_t p[TLS_RECORD_MAX];
    size_t n = 0;
    uint64_t packets = 0;

    for (; packets < most && n + END_PACKET_MAX <= sizeof p; packets++)
        n += packet_next(e, p + n);
    write_octets(e, p, n);
    return packets;
}

static void send_burst(struct end *e)
{
    const uint64_t start = e->out_octets;
    uint64_t left = e->plan->burst == 0 ? UINT64_MAX : e->plan->burst;
    while (e->to_send > 0 && left > 0 && e->step != END_OVER && e->out_octets - start < END_BURST) {
        const uint64_t most = e->to_send < left ? e->to_send : left;
        uint64_t sent = 1;
        if (e->plan->fill)
            sent = send_filled(e, most);
        else
            send_one(e);
        e->to_send -= sent;
        left -= sent;
    }
}

void end_make(struct end *e, uint64_t packets)
{
    const size_t most = END_PACKET_MAX + RECORD_OVER + sizeof e->record;
    size_t room = 0;

    INSIST(e->ahead == NULL && out_n == 0);
    e->ahead_from = e->ahead_to = 0;
    for (; packets > 0; packets--) {
        if (room - e->ahead_to < most) {
            room = 2 * room + most;
            e->ahead = insist_alloc(realloc(e->ahead, room));
        }
        send_one(e);
        memcpy(e->ahead + e->ahead_to, out, out_n);
        e->ahead_to += out_n;
        out_n = 0;
    }
}

static void send_ahead(struct end *e)
{
    const size_t left = e->ahead_to - e->ahead_from;
    e->ahead_from += try_send(e, e->ahead + e->ahead_from, left < END_BURST ? left : END_BURST);
    if (e->ahead_from < e->ahead_to)
        return;
    free(e->ahead);
    e->ahead = NULL;
}

void end_send(struct end *e)
{
    send_one(e);
    flush(e);
}

/* ---- the call: HTTP, SSTP, and as little PPP as a gate must see ---- */

static void say_frame(struct end *e, const void *frame, size_t n)
{
    uint8_t p[256] = {SSTP_VERSION, 0, 0, (uint8_t)(SSTP_HEADER + n)};
    memcpy(p + SSTP_HEADER, frame, n);
    write_octets(e, p, SSTP_HEADER + n);
}

static void say_head(struct end *e)
{
    static const char request[] =
        "SSTP_DUPLEX_POST /sra_{BA195980-CD49-458b-9E23-C84EE0ADCD75}/ HTTP/1.1\r\n"
        "Host: bench.example.com\r\nContent-Length: 18446744073709551615\r\n\r\n";
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\n";
    if (e->client)
        write_octets(e, request, sizeof request - 1);
    else
        write_octets(e, answer, sizeof answer - 1);
}

static void say_connected(struct end *e)
{
    static const uint8_t head[16] = {0x10, 1, 0, 0x70, 0, 4, 0, 1, 0, 3, 0, 0x68, 0, 0, 0, 2};
    uint8_t message[SSTP_CONNECTED_LEN] = {0};
    struct binding_leaf leaf;
    struct hlak key;

    struct span der = tls_conn_leaf(e->tls);
    binding_leaf_from_der(&leaf, der);
    free((void *)der.p);
    if (e->plan->pap)
        hlak_zero(&key);
    else
        hlak_mschapv2(&key, hash_hash, e->nt_response);
    memcpy(message, head, sizeof head);
    memcpy(message + SSTP_CONNECTED_NONCE, e->nonce, SSTP_NONCE);
    binding_make(span_of(message, sizeof message), SSTP_HASH_SHA256, &leaf, &key, message);
    write_octets(e, message, sizeof message);
}

static void check_connected(struct end *e, struct span message)
{
    struct binding_leaf leaf;
    struct binding_expect expect = {.mask = 3, .leaf = &leaf};
    struct hlak key;
    uint8_t hash;

    if (!e->plan->strict)
        return;
    struct span der = tls_conn_leaf(e->tls);
    binding_leaf_from_der(&leaf, der);
    free((void *)der.p);
    memcpy(expect.nonce, e->nonce, SSTP_NONCE);
    if (e->plan->pap)
        hlak_zero(&key);
    else
        hlak_mschapv2(&key, hash_hash, e->nt_response);
    if (binding_check(message, &expect, &hash) != BINDING_OK ||
        binding_find_key(message, &key, 1) != 0)
        over(e, "wrong binding");
}

/* Sends the number of the call as LCP's magic number, so that the server knows its call. */
static void say_lcp_request(struct end *e)
{
    uint8_t f[] = {0xff, 0x03, 0xc0, 0x21, 1, 1, 0, 10, 5, 6, 0, 0, 0, 0};
    for (int i = 0; i < 4; i++)
        f[10 + i] = (uint8_t)(e->call >> (24 - 8 * i));
    say_frame(e, f, sizeof f);
}

static void on_lcp(struct end *e, struct span f)
{
    uint8_t ack[64];
    INSIST(f.n <= sizeof ack);
    memcpy(ack, f.p, f.n);
    ack[4] = 2; /* Configure-Ack: the same options */
    if (f.p[4] == 1)
        say_frame(e, ack, f.n);
    if (!e->client && f.p[4] == 1 && f.n == 14) {
        static const uint8_t chap[] = {0xff, 0x03, 0xc0, 0x21, 1, 1, 0, 9, 3, 5, 0xc2, 0x23, 0x81};
        static const uint8_t pap[] = {0xff, 0x03, 0xc0, 0x21, 1, 1, 0, 8, 3, 4, 0xc0, 0x23};
        e->call = (size_t)f.p[10] << 24 | (size_t)f.p[11] << 16 | (size_t)f.p[12] << 8 | f.p[13];
        if (e->call >= e->plan->pairs) {
            over(e, "a call of somebody else");
            return;
        }
        e->plan->pair[e->call].server = e;
        if (e->plan->pap)
            say_frame(e, pap, sizeof pap);
        else
            say_frame(e, chap, sizeof chap);
    }
    if (f.p[4] == 1 && e->client && e->plan->pap) {
        static const uint8_t login[] = {0xff, 0x03, 0xc0, 0x23, 1, 1,   0,   16,  5,   'b',
                                        'e',  'n',  'c',  'h',  5, 'b', 'e', 'n', 'c', 'h'};
        say_frame(e, login, sizeof login);
    }
    if (f.p[4] == 2 && !e->client && !e->plan->pap) {
        uint8_t challenge[30] = {0xff, 0x03, 0xc2, 0x23, 1, 1, 0, 26, 16};
        INSIST(RAND_bytes(challenge + 9, 16) == 1);
        memcpy(challenge + 25, "bench", 5);
        say_frame(e, challenge, sizeof challenge);
    }
}

static void logged_in(struct end *e)
{
    if (e->plan->negotiate) {
        step_to(e, END_UP);
        return;
    }
    if (e->client)
        say_connected(e);
    step_to(e, e->client ? END_UP : END_CONNECTED);
}

/* Writes the user of the call; returns the length of its name. */
static size_t user_of(const struct end *e, char name[USER_MAX])
{
    const size_t users = e->plan->users;
    if (users == 0)
        return (size_t)snprintf(name, USER_MAX, "bench");
    return (size_t)snprintf(name, USER_MAX, "bench%05zu", e->call % users);
}

/* Handles PAP and CHAP. No password is verified: the binding depends only on the NT-Response. */
static void on_auth(struct end *e, struct span f)
{
    const uint8_t code = f.p[4];
    if (e->plan->pap && code == 1) {
        static const uint8_t welcome[] = {0xff, 0x03, 0xc0, 0x23, 2, 1, 0, 5, 0};
        say_frame(e, welcome, sizeof welcome);
        logged_in(e);
    } else if (e->plan->pap) {
        logged_in(e);
    } else if (code == 1) {
        uint8_t answer[58 + USER_MAX] = {0xff, 0x03, 0xc2, 0x23, 2, f.p[5], 0, 0, 49};
        INSIST(RAND_bytes(answer + 9, 16) == 1 &&
               RAND_bytes(e->nt_response, HLAK_NT_RESPONSE) == 1);
        memcpy(answer + 33, e->nt_response, HLAK_NT_RESPONSE);
        const size_t n = 58 + user_of(e, (char *)answer + 58);
        answer[7] = (uint8_t)(n - 4);
        say_frame(e, answer, n);
    } else if (code == 2 && f.n >= 58) {
        /* without S=, by which the gate would detect that the password differs from the users
         * file */
        static const char text[] = "M=ok";
        uint8_t welcome[8 + sizeof text - 1] = {0xff, 0x03,   0xc2, 0x23,
                                                3,    f.p[5], 0,    4 + sizeof text - 1};
        memcpy(e->nt_response, f.p + 33, HLAK_NT_RESPONSE);
        memcpy(welcome + 8, text, sizeof text - 1);
        say_frame(e, welcome, sizeof welcome);
        logged_in(e);
    } else if (code == 3) {
        logged_in(e);
    } else {
        over(e, "login refused");
    }
}

static void on_control(struct end *e, const struct sstp_packet *p, struct span octets)
{
    if (p->type == SSTP_CONNECT_REQUEST && !e->client) {
        uint8_t ack[SSTP_ACK_LEN] = {0x10, 1, 0, 48, 0, 2, 0, 1, 0, 4, 0, 40, 0, 0, 0, 3};
        INSIST(RAND_bytes(e->nonce, SSTP_NONCE) == 1);
        memcpy(ack + 16, e->nonce, SSTP_NONCE);
        write_octets(e, ack, sizeof ack);
        step_to(e, END_PPP);
    } else if (p->type == SSTP_CONNECT_ACK && e->client && octets.n == SSTP_ACK_LEN) {
        memcpy(e->nonce, octets.p + 16, SSTP_NONCE);
        step_to(e, END_PPP);
        say_lcp_request(e);
    } else if (p->type == SSTP_CONNECTED && !e->client) {
        check_connected(e, octets);
        if (e->step == END_CONNECTED)
            step_to(e, END_UP);
    } else {
        over(e, sstp_type_name(p->type));
    }
}

static void on_data(struct end *e, struct span octets)
{
    if (e->taste == END_CHECKS) {
        uint8_t expected[END_PACKET_MAX];
        size_t n = packet_make(e, e->in_packets, expected);
        if (!span_eq(octets, span_of(expected, n)))
            over(e, "another packet than was sent");
    }
    e->in_packets++;
    e->in_octets += octets.n;
    if (e->taste == END_ECHOES)
        write_octets(e, octets.p, octets.n);
}

static void on_packet(struct end *e, const struct sstp_packet *p, struct span octets)
{
    if (p->control)
        on_control(e, p, octets);
    else if (e->step == END_UP)
        on_data(e, octets);
    else if (e->step == END_PPP && p->body.n >= 8 && p->body.p[2] == 0xc0 && p->body.p[3] == 0x21)
        on_lcp(e, p->body);
    else if (e->step == END_PPP && p->body.n >= 8)
        on_auth(e, p->body);
    else
        over(e, "a packet out of its place");
}

static size_t take_head(struct end *e, struct span octets)
{
    const uint8_t *end = memmem(octets.p, octets.n, "\r\n\r\n", 4);
    if (end == NULL)
        return 0;
    if (e->client) {
        static const uint8_t request[] = {0x10, 1, 0, 14, 0, 1, 0, 1, 0, 1, 0, 6, 0, 1};
        if (octets.n < 12 || memcmp(octets.p + 9, "200", 3) != 0) {
            over(e, "not 200");
            return 0;
        }
        step_to(e, END_PPP);
        write_octets(e, request, sizeof request);
    } else {
        say_head(e);
        step_to(e, END_START);
    }
    return (size_t)(end - octets.p) + 4;
}

static size_t take(struct end *e, struct span octets)
{
    struct sstp_packet p;
    size_t used = 0;
    enum err err = ERR_MORE;

    if (e->step == END_HEAD)
        used = take_head(e, octets);
    while (e->step != END_OVER && e->step != END_HEAD &&
           (err = sstp_parse(span_from(octets, used), &p)) == ERR_OK) {
        on_packet(e, &p, span_sub(octets, used, p.len));
        used += p.len;
    }
    if (err != ERR_OK && err != ERR_MORE)
        over(e, "no SSTP");
    return used;
}

/* ---- in ---- */

static void count_records(struct end *e, const uint8_t *p, size_t n)
{
    while (n > 0) {
        if (e->record_left > 0) {
            size_t k = n < e->record_left ? n : e->record_left;
            e->record_left -= k;
            p += k;
            n -= k;
            continue;
        }
        e->record[e->record_n++] = *p++;
        n--;
        if (e->record_n < sizeof e->record)
            continue;
        e->record_n = 0;
        e->record_left = (size_t)e->record[3] << 8 | e->record[4];
        if (e->record[0] != 23 || e->record_left <= RECORD_OVER) {
            over(e, "not a record of data");
            return;
        }
        e->in_octets += e->record_left - RECORD_OVER;
    }
}

static void decrypt(struct end *e, size_t n)
{
    size_t have = e->part_n, got;
    enum err err = ERR_OK;

    tls_conn_feed(e->tls, span_of(in, n));
    if (e->step == END_TLS) {
        err = tls_conn_handshake(e->tls);
        if (err == ERR_OK) {
            if (e->client)
                say_head(e);
            step_to(e, END_HEAD);
        }
    }
    memcpy(plain, e->part, have);
    while (err == ERR_OK) {
        err = tls_conn_read(e->tls, plain + have, sizeof plain - have, &got);
        have += got;
    }
    size_t used = e->step == END_TLS ? 0 : take(e, span_of(plain, have));
    if (e->step == END_OVER)
        return;
    INSIST(have - used <= sizeof e->part);
    e->part_n = have - used;
    memcpy(e->part, plain + used, e->part_n);
    if (err == ERR_TLS)
        over(e, tls_conn_error(e->tls));
    else if (err == ERR_CLOSED)
        over(e, NULL);
}

static void read_some(struct end *e)
{
    const uint64_t before = e->in_octets;
    ssize_t n = recv(e->fd, in, sizeof in, 0);
    if (n < 0 && errno == EAGAIN) {
        e->readable = false;
        return;
    }
    if (n <= 0) {
        over(e, n < 0 ? "reset" : NULL);
        return;
    }
    if (e->step == END_UP && e->taste == END_COUNTS)
        count_records(e, in, (size_t)n);
    else
        decrypt(e, (size_t)n);
    if (e->step != END_OVER && e->in_octets != before)
        e->plan->on_packets(e);
}

void end_poll(struct end *e)
{
    e->readable = true;
    while (e->readable && e->step != END_OVER)
        read_some(e);
    flush(e);
}

static void piece(struct end *e)
{
    if (e->step != END_OVER && e->readable && !e->deaf)
        read_some(e);
    if (e->step == END_UP && e->to_send > 0 && e->rest == NULL && e->writable)
        send_burst(e);
    flush(e);
    if (e->step == END_UP && e->ahead != NULL && e->rest == NULL && e->writable)
        send_ahead(e);
    if ((e->readable && !e->deaf) || ((e->to_send > 0 || e->ahead != NULL) && e->writable))
        end_want(e);
}

void end_turn(void (*between)(void))
{
    struct end *e = ready;
    ready = NULL;
    ready_last = &ready;
    while (e != NULL) {
        struct end *next = e->next_ready;
        e->ready = false;
        piece(e);
        if (between != NULL)
            between();
        e = next;
    }
}

bool end_waiting(void)
{
    return ready != NULL;
}

void end_wake(struct end *e, uint32_t events)
{
    if (e->step == END_OVER)
        return;
    if (e->step == END_CONNECT && (events & EPOLLOUT)) {
        step_to(e, END_TLS);
        if (tls_conn_handshake(e->tls) != ERR_MORE)
            over(e, "TLS");
    }
    if (events & EPOLLOUT)
        e->writable = true;
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR | EPOLLRDHUP))
        e->readable = true;
    flush(e);
    end_want(e);
}

/* ---- beginning and end ---- */

static struct end *end_new(struct end_plan *plan, int fd, bool client, struct tls_conn *tls)
{
    struct end *e = NEW(struct end);
    int on = 1;
    INSIST(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0);
    e->plan = plan;
    e->fd = fd;
    e->client = client;
    e->tls = tls;
    e->step = client ? END_CONNECT : END_TLS;
    e->call = SIZE_MAX;
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = e};
    INSIST(epoll_ctl(plan->epoll, EPOLL_CTL_ADD, fd, &event) == 0);
    return e;
}

/* Chooses the client's address before it connects. */
static void bind_client(int fd, size_t number)
{
    const struct sockaddr_in here = {.sin_family = AF_INET,
                                     .sin_addr.s_addr = htonl(0x7f400000 + (uint32_t)number)};
    const int on = 1;
    INSIST(setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on) == 0);
    INSIST(bind(fd, (const struct sockaddr *)&here, sizeof here) == 0);
}

struct end *end_connect(struct end_plan *plan, size_t call, const struct sockaddr *to, socklen_t n)
{
    int fd = socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    INSIST(fd >= 0);
    if (plan->users > 0)
        bind_client(fd, call % plan->users);
    struct tls_conn *tls = tls_conn_new_client(plan->client_tls, NULL, NULL, sink, NULL);
    struct end *e = end_new(plan, fd, true, tls);
    e->call = call;
    plan->pair[call] = (struct end_pair){.client = e};
    if (connect(fd, to, n) != 0 && errno != EINPROGRESS)
        over(e, "cannot connect");
    return e;
}

struct end *end_accept(struct end_plan *plan, int fd)
{
    return end_new(plan, fd, false, tls_conn_new_server(plan->server_tls, sink, NULL));
}

void end_close(struct end *e)
{
    if (e->step == END_OVER)
        return;
    tls_conn_shutdown(e->tls);
    flush(e);
    over(e, NULL);
}

void end_free(struct end *e)
{
    if (e == NULL)
        return;
    INSIST(!e->ready);
    if (e->fd >= 0)
        close(e->fd);
    tls_conn_free(e->tls);
    free(e->ahead);
    free(e->rest);
    free(e);
}
