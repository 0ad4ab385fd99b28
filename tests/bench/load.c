/* load: makes SSTP calls through a proxy, plays both their clients and the server behind it, and
 * reports the CPU time of the proxy as the kernel counts it, read at the beginning and at the end
 * of the measured part. One line of JSON for each run.
 *
 *   load flow   packets through tunnels that are up; until all have arrived, or SECONDS at a rate
 *   load ping   round trips of one packet, alone or beside tunnels that send what they can
 *   load calls  complete calls, one after the other, or at a rate; beside tunnels that are held
 *   load hold   tunnels that have carried something and now do nothing, until standard input ends
 *   load hellos round trips beside a flood of ClientHellos, see flood.c
 *   load floor  the least that a relay must do, see floor.c */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/insist.h"
#include "end.h"
#include "flood.h"
#include "floor.h"
#include "tls/tls_internal.h"

enum { PIDS = 64, EVENTS = 512, OPENING = 64, PATIENCE_MS = 20000, STILL_MS = 1000 };

/* 7, 4 and 1 of 12 packets, as in the data sheets of routers. */
static const uint16_t imix[] = {64, 64, 512, 64, 64, 512, 64, 1404, 512, 64, 64, 512};

static struct {
    struct sockaddr_in to;
    uint16_t port;
    const char *certificate, *ciphersuite;
    clockid_t clock[PIDS];
    size_t clocks;
    size_t tunnels, stalled, bulk, concurrent, held, times;
    uint64_t packets;
    uint16_t one_size;
    const char *size, *direction;
    bool check, lockstep, stay, ahead, tickets, checked;
    unsigned rate, gap_us;
    double seconds;
} o = {.tunnels = 16,
       .packets = 20000,
       .concurrent = 8,
       .times = 1,
       .size = "1404",
       .direction = "up",
       .ciphersuite = "TLS_AES_128_GCM_SHA256",
       .seconds = 1};

static struct end_plan plan;
static int listener = -1;
static size_t opened, up, over; /* calls begun; ends that are up; ends that are over */
static size_t checks;           /* connections of the proxy's health checks that are over */
static size_t calls_wanted;
static struct end *dead[EVENTS * 8]; /* over, to be freed between two turns */
static size_t dead_n;
static bool closing; /* from now on ends may be over */

static void die(const char *what)
{
    fprintf(stderr, "load: %s\n", what);
    exit(1);
}

static double seconds(clockid_t clock)
{
    struct timespec t;
    if (clock_gettime(clock, &t) != 0)
        die("a process that was to be measured is gone");
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double wall(void)
{
    return seconds(CLOCK_MONOTONIC);
}

/* Returns the CPU time of all threads of the processes under test, including ended ones. */
static double cpu(void)
{
    double sum = 0;
    for (size_t i = 0; i < o.clocks; i++)
        sum += seconds(o.clock[i]);
    return sum;
}

/* ---- the ends ---- */

static void connect_next(void)
{
    end_connect(&plan, opened, (struct sockaddr *)&o.to, sizeof o.to);
    opened++;
}

static void on_up(struct end *e)
{
    (void)e;
    up++;
}

static void on_packets(struct end *e)
{
    (void)e;
}

/* Returns whether e was the connection of a health check, which ends before it has a call. */
static bool was_check(const struct end *e)
{
    return o.checked && !e->client && e->call == SIZE_MAX && e->wrong == NULL;
}

static void on_over(struct end *e)
{
    if (was_check(e)) {
        checks++;
        return;
    }
    if (!closing) {
        fprintf(stderr, "load: call %zu: %s: %s, in step %d\n", e->call,
                e->client ? "client" : "server",
                e->wrong == NULL ? "closed by the proxy" : e->wrong, (int)e->step);
        exit(1);
    }
    over++;
}

static void take_new(void)
{
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        end_accept(&plan, fd);
    }
}

static bool input_ended;

static int poll_events(double timeout)
{
    struct epoll_event event[EVENTS];
    struct timespec t = {.tv_sec = (time_t)timeout,
                         .tv_nsec = (long)((timeout - (time_t)timeout) * 1e9)};
    int n = epoll_pwait2(plan.epoll, event, EVENTS, timeout < 0 ? NULL : &t, NULL);
    INSIST(n >= 0 || errno == EINTR);
    for (int i = 0; i < n; i++) {
        if (event[i].data.ptr == &listener)
            take_new();
        else if (event[i].data.ptr == &input_ended)
            input_ended = true;
        else
            end_wake(event[i].data.ptr, event[i].events);
    }
    return n;
}

/* Runs the loop once; true: the next round will not wait. Exits with a message if no event
 * arrives within PATIENCE_MS. */
static bool turn(bool busy_outside, void (*between)(void))
{
    const bool wait = !busy_outside && !end_waiting();
    if (poll_events(wait ? PATIENCE_MS / 1e3 : 0) == 0 && wait)
        die("nothing moves any more");
    end_turn(between);
    return end_waiting();
}

static void listen_here(void)
{
    struct sockaddr_in here = {.sin_family = AF_INET,
                               .sin_port = htons(o.port),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;
    if (o.to.sin_addr.s_addr != here.sin_addr.s_addr)
        here.sin_addr.s_addr = htonl(INADDR_ANY); /* the proxy is in another namespace */
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    INSIST(listener >= 0);
    INSIST(setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0);
    if (bind(listener, (struct sockaddr *)&here, sizeof here) != 0 || listen(listener, 4096) != 0)
        die("cannot listen");
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &listener};
    INSIST(epoll_ctl(plan.epoll, EPOLL_CTL_ADD, listener, &event) == 0);
}

static void prepare(size_t calls)
{
    const uint16_t *size = imix;
    plan.sizes = sizeof imix / sizeof *imix;
    if (strcmp(o.size, "imix") != 0) {
        o.one_size = (uint16_t)atoi(o.size);
        if (o.one_size < 64 || o.one_size > END_PACKET_MAX)
            die("--size is 64 to 4095, or imix");
        size = &o.one_size;
        plan.sizes = 1;
    }
    plan.size = size;
    plan.epoll = epoll_create1(EPOLL_CLOEXEC);
    INSIST(plan.epoll >= 0);
    plan.on_up = on_up;
    plan.on_packets = on_packets;
    plan.on_over = on_over;
    plan.pairs = calls;
    plan.pair = insist_alloc(calloc(calls, sizeof *plan.pair));
    listen_here();
}

/* Sets all calls up, a few at a time. */
static void open_tunnels(size_t n)
{
    while (up < 2 * n) {
        while (opened < n && opened - up / 2 < OPENING)
            connect_next();
        turn(false, NULL);
    }
}

/* ---- flow ---- */

static bool goes_up(void)
{
    return strcmp(o.direction, "down") != 0;
}

static bool goes_down(void)
{
    return strcmp(o.direction, "up") != 0;
}

static void taste_all(size_t from, size_t to)
{
    const enum end_taste taste = o.check ? END_CHECKS : END_COUNTS;
    for (size_t i = from; i < to; i++) {
        if (goes_up())
            plan.pair[i].server->taste = taste;
        if (goes_down())
            plan.pair[i].client->taste = taste;
    }
}

static void send_from(struct end *e, uint64_t packets)
{
    e->to_send += packets;
    end_want(e);
}

static void senders(size_t from, size_t to, void (*act)(struct end *, uint64_t), uint64_t packets)
{
    for (size_t i = from; i < to; i++) {
        if (goes_up())
            act(plan.pair[i].client, packets);
        if (goes_down())
            act(plan.pair[i].server, packets);
    }
}

static void send_all(size_t from, size_t to, uint64_t each)
{
    senders(from, to, send_from, each);
}

/* Does the same as send_all for a proxy that is faster than the generator: the records are
 * built before the measurement. They are then read from memory, because no cache holds them any
 * more, which makes the packets of every proxy a little more expensive. */
static void make_all(size_t from, size_t to, uint64_t each)
{
    senders(from, to, end_make, each);
}

static void send_made(size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        end_want(plan.pair[i].client);
        end_want(plan.pair[i].server);
    }
}

struct sums {
    uint64_t out_packets, out_octets, in_octets;
    bool left; /* an end still has packets to send */
};

static void sum_end(struct sums *s, const struct end *e)
{
    s->out_packets += e->out_packets;
    s->out_octets += e->out_octets;
    s->in_octets += e->in_octets;
    s->left = s->left || e->to_send > 0;
}

static size_t stalled_from = SIZE_MAX; /* this tunnel and all later ones are not counted */

static struct sums sum(void)
{
    struct sums s = {0};
    for (size_t i = 0; i < opened && i < stalled_from; i++) {
        sum_end(&s, plan.pair[i].client);
        sum_end(&s, plan.pair[i].server);
    }
    return s;
}

/* Runs until all packets have been sent and have arrived. */
static void flow_all(void)
{
    for (size_t turns = 0;; turns++) {
        /* the sum over 5000 tunnels is expensive */
        if (!end_waiting() || turns % (1 + opened / 64) == 0) {
            struct sums s = sum();
            if (!s.left && s.in_octets >= s.out_octets)
                return;
        }
        turn(false, NULL);
    }
}

/* Sends at a rate: each tunnel in turn sends one packet. */
static void flow_paced(double duration)
{
    const double start = wall();
    uint64_t done = 0;
    size_t whose = 0;
    for (;;) {
        double now = wall() - start;
        if (now >= duration)
            break;
        while ((double)done < now * o.rate) {
            struct end_pair *p = &plan.pair[whose++ % o.tunnels];
            if (goes_up())
                end_send(p->client);
            if (goes_down())
                end_send(p->server);
            done += goes_up() + goes_down();
        }
        turn(true, NULL);
    }
}

static void flow_lockstep(uint64_t packets)
{
    const uint64_t burst = plan.burst == 0 ? 1 : plan.burst;
    for (uint64_t n = 0; n < packets; n += burst) {
        send_all(0, o.tunnels, burst);
        flow_all();
    }
}

/* Stalls tunnels: their receivers stop reading, and their senders continue until there has been
 * no event for STILL_MS. */
static void stall(void)
{
    const int little = 64 * 1024; /* otherwise the kernel accepts more data now and then */
    stalled_from = o.tunnels;
    for (size_t i = o.tunnels; i < opened; i++) {
        struct end *e = goes_up() ? plan.pair[i].server : plan.pair[i].client;
        e->deaf = true;
        INSIST(setsockopt(e->fd, SOL_SOCKET, SO_RCVBUF, &little, sizeof little) == 0);
    }
    send_all(o.tunnels, opened, UINT64_MAX / 2);
    do
        end_turn(NULL);
    while (end_waiting() || poll_events(STILL_MS / 1e3) > 0);
}

/* Continues when a line arrives. */
static void wait_for_word(void)
{
    char line[8];
    fflush(stdout);
    if (fgets(line, sizeof line, stdin) == NULL)
        exit(0);
}

static void stay(void)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &input_ended};
    fflush(stdout);
    INSIST(epoll_ctl(plan.epoll, EPOLL_CTL_ADD, STDIN_FILENO, &event) == 0);
    while (!input_ended) {
        poll_events(-1);
        end_turn(NULL);
    }
}

static int flow(void)
{
    const uint64_t each = (o.packets + o.tunnels - 1) / o.tunnels;
    prepare(o.tunnels + o.stalled);
    open_tunnels(o.tunnels + o.stalled);
    if (o.stalled > 0)
        stall();
    if (o.stalled > 0 && o.stay) {
        printf("{\"stuck\": %zu}\n", o.stalled);
        wait_for_word();
    }
    /* Some packets first, so that no buffer grows in the measured part. */
    if (!o.check && !o.lockstep) {
        for (size_t i = 0; i < o.tunnels; i++) {
            plan.pair[i].client->taste = plan.pair[i].server->taste = END_READS;
        }
        send_all(0, o.tunnels, each / 10 + 1);
        flow_all();
    }
    taste_all(0, o.tunnels);
    const struct sums before = sum();
    if (o.ahead)
        make_all(0, o.tunnels, each);
    const double t0 = wall(), c0 = cpu(), own0 = seconds(CLOCK_PROCESS_CPUTIME_ID);
    if (o.rate > 0) {
        flow_paced(o.seconds);
        flow_all();
    } else if (o.lockstep) {
        flow_lockstep(each);
    } else {
        if (o.ahead)
            send_made(0, o.tunnels);
        else
            send_all(0, o.tunnels, each);
        flow_all();
    }
    const double t1 = wall(), c1 = cpu(), own1 = seconds(CLOCK_PROCESS_CPUTIME_ID);
    const struct sums after = sum();
    if (after.in_octets != after.out_octets)
        die("not what was sent has arrived");
    printf("{\"packets\": %" PRIu64 ", \"octets\": %" PRIu64
           ", \"wall\": %.6f, \"cpu\": %.9f, \"load_cpu\": %.6f}\n",
           after.out_packets - before.out_packets, after.out_octets - before.out_octets, t1 - t0,
           c1 - c0, own1 - own0);
    if (o.stay)
        stay();
    return 0;
}

/* ---- ping ---- */

static struct {
    struct end *client, *server;
    double sent, *trip;
    uint64_t n;
    bool under_way;
} ping;

static void on_pong(struct end *e)
{
    if (e != ping.client || !ping.under_way)
        return;
    ping.trip[ping.n++] = wall() - ping.sent;
    ping.under_way = false;
}

/* Handles the packet first, so that it waits only for the proxy, and not for the generator's
 * own bulk. */
static void look_at_ping(void)
{
    if (!ping.under_way)
        return;
    end_poll(ping.server);
    if (ping.under_way)
        end_poll(ping.client);
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double quantile_of(const double *sorted, size_t n, double q)
{
    return sorted[(size_t)(q * (double)(n - 1) + 0.5)];
}

static double quantile(double q)
{
    return quantile_of(ping.trip, ping.n, q);
}

static int ping_run(void)
{
    prepare(1 + o.bulk);
    open_tunnels(1 + o.bulk);
    ping.client = plan.pair[0].client;
    ping.server = plan.pair[0].server;
    ping.server->taste = END_ECHOES;
    ping.trip = insist_alloc(calloc(o.packets, sizeof *ping.trip));
    plan.on_packets = on_pong;
    taste_all(1, 1 + o.bulk);
    if (o.bulk > 0)
        send_all(1, 1 + o.bulk, UINT64_MAX / 2);
    const double warm = wall() + (o.bulk > 0 ? 0.1 : 0);
    while (wall() < warm)
        turn(false, NULL);
    const struct sums before = sum();
    const double t0 = wall(), c0 = cpu();
    while (ping.n < o.packets && (ping.n == 0 || wall() - t0 < o.seconds)) {
        if (!ping.under_way && wall() - ping.sent >= o.gap_us / 1e6) {
            ping.under_way = true;
            ping.sent = wall();
            end_send(ping.client);
        }
        turn(!ping.under_way, look_at_ping);
        look_at_ping();
    }
    const double t1 = wall(), c1 = cpu();
    const struct sums after = sum();
    qsort(ping.trip, ping.n, sizeof *ping.trip, by_value);
    printf("{\"p50\": %.1f, \"p99\": %.1f, \"p999\": %.1f, \"pings\": %" PRIu64
           ", \"octets\": %" PRIu64 ", \"wall\": %.6f, \"cpu\": %.9f}\n",
           quantile(0.5) * 1e6, quantile(0.99) * 1e6, quantile(0.999) * 1e6, ping.n,
           after.in_octets - before.in_octets, t1 - t0, c1 - c0);
    free(ping.trip);
    return 0;
}

/* ---- calls ---- */

static void on_call_over(struct end *e)
{
    if (e->wrong != NULL) {
        fprintf(stderr, "load: call %zu: %s\n", e->call, e->wrong);
        exit(1);
    }
    INSIST(dead_n < sizeof dead / sizeof *dead);
    dead[dead_n++] = e;
    if (was_check(e))
        checks++;
    else
        over++;
}

static void on_call_up(struct end *e)
{
    up++;
    if (!e->client)
        end_close(plan.pair[e->call].client); /* both are up: the server's step is the last */
}

static void bury(void)
{
    size_t kept = 0;
    for (size_t i = 0; i < dead_n; i++) {
        if (dead[i]->ready)
            dead[kept++] = dead[i];
        else
            end_free(dead[i]);
    }
    dead_n = kept;
}

/* Returns the seconds until the next call may begin: 0 without a rate. */
static double until_next(size_t made, double began)
{
    const double left = o.rate > 0 ? began + (double)made / o.rate - wall() : 0;
    return left > 0 ? left : 0;
}

static void make_calls(size_t n)
{
    const double began = wall();
    const size_t before = opened;
    calls_wanted += n;
    while (over < 2 * calls_wanted) {
        double left = 0;
        bool room;
        while (
            (room = opened < o.held + calls_wanted && opened - o.held - over / 2 < o.concurrent) &&
            (left = until_next(opened - before, began)) == 0)
            connect_next();
        if (room && !end_waiting())
            poll_events(left);
        turn(room, NULL);
        bury();
    }
}

/* Waits for two health checks: after the second one the proxy knows the result of the first. */
static void wait_for_checks(void)
{
    while (o.checked && checks < 2)
        turn(false, NULL);
}

static void measure_calls(size_t warm)
{
    make_calls(warm);
    const double t0 = wall(), c0 = cpu(), own0 = seconds(CLOCK_PROCESS_CPUTIME_ID);
    make_calls(o.packets);
    const double t1 = wall(), c1 = cpu(), own1 = seconds(CLOCK_PROCESS_CPUTIME_ID);
    printf("{\"calls\": %" PRIu64 ", \"wall\": %.6f, \"cpu\": %.9f, \"load_cpu\": %.6f}\n",
           o.packets, t1 - t0, c1 - c0, own1 - own0);
}

/* With --times, each further burst begins when a line arrives. */
static int calls(void)
{
    const size_t warm = o.concurrent * 2;
    prepare(o.held + o.times * (warm + o.packets));
    open_tunnels(o.held);
    plan.on_up = on_call_up;
    plan.on_over = on_call_over;
    wait_for_checks();
    measure_calls(warm);
    for (size_t i = 1; i < o.times; i++) {
        wait_for_word();
        measure_calls(warm);
    }
    return 0;
}

/* ---- hellos ---- */

enum {
    UNDER_WAY = 1024, /* most packets of one tunnel in flight */
    /* Measured part of a burst: shorter than the second in which Linux lets other programs run for
     * 50 ms, whatever the priority of the proxy. */
    BURST_MS = 800,
    REST_MS = 500,
};

struct pinger {
    double next;            /* time of the next packet */
    double sent[UNDER_WAY]; /* a ring buffer */
    uint64_t out, in;
};

/* Each tunnel sends o.rate packets per second, even if earlier packets have not come back. */
static struct {
    struct pinger *pinger;
    double *trip; /* round trips of all packets that came back */
    size_t n, room;
    bool count;
} pings;

static void on_pong_of_many(struct end *e)
{
    struct pinger *p = &pings.pinger[e->call];

    for (; e->client && p->in < e->in_packets; p->in++) {
        if (!pings.count)
            continue;
        if (pings.n == pings.room) {
            pings.room = pings.room * 2 + UNDER_WAY;
            pings.trip = insist_alloc(realloc(pings.trip, pings.room * sizeof *pings.trip));
        }
        pings.trip[pings.n++] = wall() - p->sent[p->in % UNDER_WAY];
    }
}

/* Sends the packets that are due. Returns the time of the next one. */
static double pings_send(void)
{
    double first = INFINITY;
    for (size_t i = 0; i < o.tunnels; i++) {
        struct pinger *p = &pings.pinger[i];
        const double now = wall();
        if (now >= p->next) {
            if (p->out - p->in == UNDER_WAY)
                die("a tunnel has stopped");
            p->sent[p->out++ % UNDER_WAY] = now;
            end_send(plan.pair[i].client);
            p->next += 1.0 / o.rate;
        }
        if (p->next < first)
            first = p->next;
    }
    return first;
}

static bool all_back(void)
{
    for (size_t i = 0; i < o.tunnels; i++)
        if (pings.pinger[i].in < pings.pinger[i].out)
            return false;
    return true;
}

/* Sends for this duration, or until input has come, and then waits until all packets are back. */
static void ping_for(double duration, bool count)
{
    const double begun = wall(), end = begun + duration;

    for (size_t i = 0; i < o.tunnels; i++)
        pings.pinger[i].next = begun + (double)i / ((double)o.tunnels * o.rate);
    pings.count = count;
    while (wall() < end && !input_ended) {
        const double first = pings_send(), now = wall();
        const double next = first < end ? first : end;
        poll_events(end_waiting() || next <= now ? 0 : next - now);
        end_turn(NULL);
    }
    while (!all_back()) {
        poll_events(end_waiting() ? 0 : PATIENCE_MS / 1e3);
        end_turn(NULL);
    }
}

static void pings_print(const char *name)
{
    qsort(pings.trip, pings.n, sizeof *pings.trip, by_value);
    printf("\"%s\": {\"p50\": %.1f, \"p99\": %.1f, \"max\": %.1f, \"n\": %zu}, ", name,
           quantile_of(pings.trip, pings.n, 0.5) * 1e6,
           quantile_of(pings.trip, pings.n, 0.99) * 1e6, pings.trip[pings.n - 1] * 1e6, pings.n);
    pings.n = 0;
}

/* Gives this process priority over all others on its core, the flood included, so that the figures
 * show the proxy's delays only. */
static void go_first(void)
{
    const struct sched_param first = {.sched_priority = 2};
    (void)sched_setscheduler(0, SCHED_FIFO, &first); /* needs root; otherwise a quiet machine */
}

static void add(struct flood_result *sum, struct flood_result r)
{
    sum->answered += r.answered;
    sum->refused += r.refused;
    sum->seconds += r.seconds;
}

/* Makes o.packets bursts of o.concurrent ClientHellos. */
static int hellos(void)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &input_ended};
    struct flood_result sum = {0};
    struct flood flood;

    prepare(o.tunnels);
    flood_open(&flood, plan.client_tls, &o.to, o.concurrent);
    INSIST(epoll_ctl(plan.epoll, EPOLL_CTL_ADD, flood.fd, &event) == 0);
    open_tunnels(o.tunnels);
    pings.pinger = insist_alloc(calloc(o.tunnels, sizeof *pings.pinger));
    for (size_t i = 0; i < o.tunnels; i++)
        plan.pair[i].server->taste = END_ECHOES;
    plan.on_packets = on_pong_of_many;
    go_first();
    ping_for(REST_MS / 1e3, false);
    ping_for(o.seconds, true);
    printf("{");
    pings_print("quiet");
    for (uint64_t i = 0; i < o.packets; i++) {
        flood_begin(&flood);
        ping_for(BURST_MS / 1e3, true);
        ping_for(INFINITY, false);
        add(&sum, flood_end(&flood));
        input_ended = false;
        ping_for(REST_MS / 1e3, false);
    }
    pings_print("burst");
    printf("\"answered\": %zu, \"refused\": %zu, \"wall\": %.6f}\n", sum.answered, sum.refused,
           sum.seconds);
    return 0;
}

/* ---- hold ---- */

static int hold(void)
{
    const uint64_t each = (o.packets + o.tunnels - 1) / o.tunnels;
    prepare(o.tunnels);
    open_tunnels(o.tunnels);
    send_all(0, o.tunnels, each);
    flow_all();
    printf("{\"tunnels\": %zu, \"packets\": %" PRIu64 "}\n", o.tunnels, sum().out_packets);
    stay();
    return 0;
}

/* ---- options ---- */

static const struct option options[] = {
    {"to", required_argument, NULL, 't'},
    {"port", required_argument, NULL, 'p'},
    {"certificate", required_argument, NULL, 'c'},
    {"ciphersuite", required_argument, NULL, 'C'},
    {"pid", required_argument, NULL, 'P'},
    {"tunnels", required_argument, NULL, 'n'},
    {"packets", required_argument, NULL, 'k'},
    {"size", required_argument, NULL, 's'},
    {"direction", required_argument, NULL, 'd'},
    {"rate", required_argument, NULL, 'r'},
    {"seconds", required_argument, NULL, 'S'},
    {"burst", required_argument, NULL, 'b'},
    {"bulk", required_argument, NULL, 'B'},
    {"gap", required_argument, NULL, 'g'},
    {"concurrent", required_argument, NULL, 'o'},
    {"held", required_argument, NULL, 'h'},
    {"times", required_argument, NULL, 'm'},
    {"users", required_argument, NULL, 'u'},
    {"strict", no_argument, NULL, 'x'},
    {"pap", no_argument, NULL, 'a'},
    {"negotiate", no_argument, NULL, 'N'},
    {"stalled", required_argument, NULL, 'D'},
    {"stay", no_argument, NULL, 'y'},
    {"check", no_argument, NULL, 'K'},
    {"lockstep", no_argument, NULL, 'l'},
    {"ahead", no_argument, NULL, 'A'},
    {"fill", no_argument, NULL, 'f'},
    {"tickets", no_argument, NULL, 'T'},
    {"checked", no_argument, NULL, 'H'},
    {0},
};

/* ADDRESS:PORT */
static void to_set(char *text)
{
    char *colon = strchr(text, ':');
    if (colon == NULL)
        die("--to is ADDRESS:PORT");
    *colon = '\0';
    o.to.sin_family = AF_INET;
    o.to.sin_port = htons((uint16_t)atoi(colon + 1));
    if (inet_pton(AF_INET, text, &o.to.sin_addr) != 1)
        die("--to is ADDRESS:PORT");
}

static void option_set(int c)
{
    switch (c) {
    case 't': to_set(optarg); break;
    case 'p': o.port = (uint16_t)atoi(optarg); break;
    case 'c': o.certificate = optarg; break;
    case 'C': o.ciphersuite = optarg; break;
    case 'P':
        if (o.clocks == PIDS || clock_getcpuclockid(atoi(optarg), &o.clock[o.clocks++]) != 0)
            die("--pid: no such process");
        break;
    case 'n': o.tunnels = strtoul(optarg, NULL, 10); break;
    case 'k': o.packets = strtoull(optarg, NULL, 10); break;
    case 's': o.size = optarg; break;
    case 'd': o.direction = optarg; break;
    case 'r': o.rate = (unsigned)atoi(optarg); break;
    case 'S': o.seconds = atof(optarg); break;
    case 'b': plan.burst = (unsigned)atoi(optarg); break;
    case 'B': o.bulk = strtoul(optarg, NULL, 10); break;
    case 'g': o.gap_us = (unsigned)atoi(optarg); break;
    case 'o': o.concurrent = strtoul(optarg, NULL, 10); break;
    case 'h': o.held = strtoul(optarg, NULL, 10); break;
    case 'm': o.times = strtoul(optarg, NULL, 10); break;
    case 'u': plan.users = strtoul(optarg, NULL, 10); break;
    case 'x': plan.strict = true; break;
    case 'a': plan.pap = true; break;
    case 'N': plan.negotiate = true; break;
    case 'K': o.check = true; break;
    case 'l': o.lockstep = true; break;
    case 'A': o.ahead = true; break;
    case 'f': plan.fill = true; break;
    case 'T': o.tickets = true; break;
    case 'H': o.checked = true; break;
    case 'D': o.stalled = strtoul(optarg, NULL, 10); break;
    case 'y': o.stay = true; break;
    default: die("see the options in load.c");
    }
}

static void on_tls_error(void *arg, size_t which, const char *text)
{
    (void)arg, (void)which;
    die(text);
}

static void tls_open(void)
{
    const struct tls_settings s = {
        .min = TLS_1_3, .max = TLS_1_3, .security_level = -1, .ciphersuites = o.ciphersuite};
    const struct tls_certificate c = {.file = o.certificate};
    char error[TLS_ERROR_MAX];
    plan.server_tls = tls_ctx_new_server(&s, &c, 1, false, on_tls_error, NULL);
    plan.client_tls = tls_ctx_new_client(&s, NULL, error);
    if (plan.client_tls == NULL)
        die(error);
    if (o.tickets) { /* a gate's own listeners never send any */
        SSL_CTX_clear_options(plan.server_tls->ssl, SSL_OP_NO_TICKET);
        INSIST(SSL_CTX_set_num_tickets(plan.server_tls->ssl, 2) == 1); /* OpenSSL's default */
    }
}

int main(int argc, char **argv)
{
    struct rlimit files;
    int c;

    if (argc < 2)
        die("flow, ping, calls, hold, hellos or floor?");
    while ((c = getopt_long(argc - 1, argv + 1, "", options, NULL)) != -1)
        option_set(c);
    if (o.certificate == NULL)
        die("--certificate is missing");
    INSIST(getrlimit(RLIMIT_NOFILE, &files) == 0);
    files.rlim_cur = files.rlim_max;
    INSIST(setrlimit(RLIMIT_NOFILE, &files) == 0);
    signal(SIGPIPE, SIG_IGN);
    tls_open();
    if (strcmp(argv[1], "flow") == 0)
        return flow();
    if (strcmp(argv[1], "ping") == 0)
        return ping_run();
    if (strcmp(argv[1], "calls") == 0)
        return calls();
    if (strcmp(argv[1], "hold") == 0)
        return hold();
    if (strcmp(argv[1], "hellos") == 0)
        return hellos();
    if (strcmp(argv[1], "floor") == 0)
        return floor_run(plan.client_tls, plan.server_tls, (size_t)atoi(o.size),
                         strcmp(o.direction, "up") == 0, o.packets);
    die("flow, ping, calls, hold, hellos or floor?");
}
