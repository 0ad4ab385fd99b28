/* Datagrams on a real loop, between sockets of the test on loopback. */
#include "net/udp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

#include "net/worker.h"

static struct worker w;

static struct end {
    struct udp udp;
    struct addr bound;
    unsigned received, closed;
    size_t n; /* of the last datagram */
    uint8_t octets[UDP_MAX];
    struct udp_path path;
} one, two;

static void no_sweep(void *arg, uint64_t now_ms)
{
    (void)arg, (void)now_ms;
}

static void on_datagram(struct udp *u, struct span octets, const struct udp_path *path)
{
    struct end *e = u->owner;
    e->received++;
    e->n = octets.n;
    memcpy(e->octets, octets.p, octets.n);
    e->path = *path;
}

static void on_closed(struct udp *u)
{
    ((struct end *)u->owner)->closed++;
}

static void end_open(struct end *e, const char *text)
{
    struct addr want;
    memset(e, 0, sizeof *e);
    assert_int_equal(addr_parse(text, 0, &want), ERR_OK);
    const int fd = udp_bind(&want, &e->bound);
    assert_true(fd >= 0);
    assert_int_not_equal(e->bound.port, 0);
    assert_int_equal(udp_open(&e->udp, &w, fd, on_datagram, e), 0);
}

static void pair_open(const char *first, const char *second)
{
    worker_init(&w, 0, no_sweep, NULL);
    end_open(&one, first);
    end_open(&two, second);
}

static void pair_close(void)
{
    udp_close(&one.udp, on_closed);
    udp_close(&two.udp, on_closed);
    udp_close(&two.udp, on_closed); /* once is enough */
    worker_stop(&w);
    worker_run(&w);
    worker_fini(&w);
    assert_int_equal(one.closed, 1);
    assert_int_equal(two.closed, 1);
}

static void receive(struct end *e)
{
    const unsigned before = e->received;
    while (e->received == before)
        uv_run(&w.loop, UV_RUN_ONCE);
}

/* A request and its answer, from the address that has received the request. */
static void there_and_back(void **state)
{
    (void)state;
    static const char *const pairs[][3] = {
        {"127.0.0.1:0", "127.0.0.2:0", "127.0.0.1:0"},
        {"*:0", "127.0.0.2:0", "127.0.0.77:0"}, /* bound to every address */
        {"[::1]:0", "[::]:0", "[::1]:0"},
        {"[::]:0", "[::1]:0", "[::1]:0"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        struct udp_path to = {.local = {.family = 0}};
        print_message("# %s\n", pairs[i][0]);
        pair_open(pairs[i][0], pairs[i][1]);
        assert_int_equal(addr_parse(pairs[i][2], 0, &to.peer), ERR_OK);
        to.peer.port = one.bound.port;
        assert_true(udp_send(&two.udp, span_str("hello"), &to));
        receive(&one);
        assert_int_equal(one.n, 5);
        assert_memory_equal(one.octets, "hello", 5);
        assert_int_equal(one.path.peer.port, two.bound.port);
        assert_true(udp_send(&one.udp, span_str("answer"), &one.path));
        receive(&two);
        assert_int_equal(two.n, 6);
        assert_true(addr_equal(&two.path.peer, &to.peer));
        /* nothing of it remains where the next one is received */
        for (size_t k = 0; k < 6; k++)
            assert_int_equal(w.window[k], 0);
        pair_close();
    }
}

static void sizes(void **state)
{
    (void)state;
    static uint8_t octets[UDP_MAX + 10];
    static const size_t sent[] = {0, 1, 4096, UDP_MAX, UDP_MAX + 10};

    pair_open("127.0.0.1:0", "127.0.0.1:0");
    for (size_t i = 0; i < sizeof sent / sizeof *sent; i++) {
        memset(octets, (int)i + 1, sizeof octets);
        assert_true(
            udp_send(&two.udp, span_of(octets, sent[i]), &(struct udp_path){.peer = one.bound}));
        receive(&one);
        assert_int_equal(one.n, sent[i] < UDP_MAX ? sent[i] : UDP_MAX);
        assert_memory_equal(one.octets, octets, one.n);
    }
    pair_close();
}

/* Several callbacks receive many datagrams in order. */
static void many(void **state)
{
    (void)state;
    pair_open("127.0.0.1:0", "127.0.0.1:0");
    for (uint8_t i = 0; i < 150; i++)
        assert_true(udp_send(&two.udp, span_of(&i, 1), &(struct udp_path){.peer = one.bound}));
    while (one.received < 150) {
        receive(&one);
        assert_int_equal(one.octets[0], one.received - 1);
    }
    pair_close();
}

/* To a port without a socket: the ICMP error does not end the sending socket. */
static void a_closed_peer_stops_no_datagram(void **state)
{
    (void)state;
    struct addr gone, want;
    pair_open("127.0.0.1:0", "127.0.0.1:0");
    assert_int_equal(addr_parse("127.0.0.1:0", 0, &want), ERR_OK);
    const int fd = udp_bind(&want, &gone);
    assert_true(fd >= 0);
    close(fd);
    (void)udp_send(&one.udp, span_str("x"), &(struct udp_path){.peer = gone});
    assert_true(udp_send(&two.udp, span_str("y"), &(struct udp_path){.peer = one.bound}));
    receive(&one);
    assert_int_equal(one.octets[0], 'y');
    assert_true(udp_send(&one.udp, span_str("z"), &one.path));
    receive(&two);
    pair_close();
}

static void taken(void **state)
{
    (void)state;
    struct addr bound;
    pair_open("127.0.0.1:0", "127.0.0.1:0");
    assert_int_equal(udp_bind(&one.bound, &bound), -1);
    assert_int_equal(errno, EADDRINUSE);
    struct addr foreign;
    assert_int_equal(addr_parse("198.51.100.1:0", 0, &foreign), ERR_OK);
    assert_int_equal(udp_bind(&foreign, &bound), -1);
    assert_int_equal(errno, EADDRNOTAVAIL);
    pair_close();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back), cmocka_unit_test(sizes),
        cmocka_unit_test(many),           cmocka_unit_test(a_closed_peer_stops_no_datagram),
        cmocka_unit_test(taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
