/* sharer NAME STORE: the part of a gate that shares bans and counts with others
 * (gate/shared_service.h, policy/limits.h), without calls: for
 * tests/integration/test_shared_model.py, which makes thousands of steps. STORE is the path of a
 * Unix socket. Reads one command from each line of the standard input, and writes one line for
 * each:
 *
 *   hold SUBJECT MAX    full, fast, granted or unavailable; the last two are counted
 *   release SUBJECT     -
 *   points ADDRESS N    -
 *   ban SUBJECT MS      -        SUBJECT: u:USER or n:NET
 *   unban SUBJECT       -        or *
 *   bans                the subjects of all bans, with `!` before those by an administrator
 *   end USER            -        orders the other gates to end the tunnels of a user
 *   orders              the users of the orders of others since the last time
 *   state               up or down, and the number of questions without an answer */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/insist.h"
#include "gate/shared_service.h"
#include "net/worker.h"
#include "policy/limits.h"
#include "policy/limits_bans.h"
#include "radius/keyring.h"

enum { BAN_POINTS = 30, HOUR_MS = 3600 * 1000, TIMEOUT_MS = 200 };

static struct shared_service service;
static struct shared_place place;
static struct limits *limits;
static struct worker worker;
static uv_async_t done;
static atomic_uint tunnels;

static uint64_t now_ms(void)
{
    return uv_hrtime() / 1000000;
}

/* ---- questions, in the worker's thread ---- */

struct question {
    const char *subject;
    unsigned max;
    enum shared_verdict verdict;
    uv_sem_t answered;
};

static void on_answer(void *arg, enum shared_verdict v)
{
    struct question *q = arg;
    q->verdict = v;
    uv_sem_post(&q->answered);
}

static void ask(void *arg)
{
    struct question *q = arg;
    (void)shared_hold(service.shared, &worker, q->subject, q->max, NULL, on_answer, q);
}

static void hold(char *subject, char *max)
{
    static const char *const words[] = {[SHARED_GRANTED] = "granted",
                                        [SHARED_FULL] = "full",
                                        [SHARED_FAST] = "fast",
                                        [SHARED_UNAVAILABLE] = "unavailable"};
    struct question q = {.subject = subject, .max = (unsigned)atoi(max)};

    uv_sem_init(&q.answered, 0);
    worker_post(&worker, ask, &q);
    uv_sem_wait(&q.answered);
    uv_sem_destroy(&q.answered);
    puts(words[q.verdict]);
}

/* ---- bans ---- */

static struct limits_target target_of(const char *subject, struct cidr *net)
{
    if (subject[0] == 'u')
        return (struct limits_target){.user = subject + 2};
    INSIST(cidr_parse(subject + 2, net) == ERR_OK);
    return (struct limits_target){.net = net};
}

static void ban(char *subject, char *ms)
{
    struct cidr net;
    const struct limits_target target = target_of(subject, &net);

    INSIST(limits_ban(limits, &target, strtoull(ms, NULL, 10), now_ms()) == LIMITS_BAN_DONE);
    puts("-");
}

static void unban(char *subject, char *rest)
{
    struct cidr net;

    (void)rest;
    if (*subject == '*') {
        (void)limits_lift(limits, NULL, now_ms());
    } else {
        const struct limits_target target = target_of(subject, &net);
        (void)limits_lift(limits, &target, now_ms());
    }
    puts("-");
}

static void points(char *address, char *n)
{
    struct addr who;

    INSIST(addr_parse(address, 0, &who) == ERR_OK);
    (void)limits_points(limits, &who, (unsigned)atoi(n), now_ms());
    puts("-");
}

static void print_ban(void *arg, const struct limits_ban *b)
{
    char net[ADDR_TEXT_MAX];

    (void)arg;
    printf("%s%s:%s ", b->manual ? "!" : "", b->user != NULL ? "u" : "n",
           b->user != NULL ? b->user : cidr_format(&b->net, net));
}

static void bans(char *a, char *b)
{
    (void)a, (void)b;
    (void)limits_bans(limits, now_ms(), print_ban, NULL);
    puts("");
}

/* ---- the rest ---- */

static void release(char *subject, char *rest)
{
    (void)rest;
    shared_release(service.shared, subject);
    puts("-");
}

static void end(char *user, char *rest)
{
    const struct call_filter f = {.user = user};

    (void)rest;
    (void)shared_service_end(&service, &f);
    puts("-");
}

static void orders(char *a, char *b)
{
    struct order *order;

    (void)a, (void)b;
    while ((order = shared_service_order(&service)) != NULL) {
        struct call_filter f;
        if (!order->is_ban && orders_read(order->text, &f))
            printf("%s ", f.user);
        order_free(order);
    }
    puts("");
}

static void state(char *a, char *b)
{
    struct shared_state s;

    (void)a, (void)b;
    shared_look(service.shared, &s, NULL, NULL);
    printf("%s %zu %" PRIu64 "\n", s.up ? "up" : "down", s.gates, s.unavailable);
}

static const struct command {
    const char *name;
    void (*run)(char *a, char *b);
} commands[] = {{"hold", hold}, {"release", release}, {"points", points},
                {"ban", ban},   {"unban", unban},     {"bans", bans},
                {"end", end},   {"orders", orders},   {"state", state}};

static void obey(char *line)
{
    char none[] = "", *words[3], *rest = line;

    for (int i = 0; i < 3; i++)
        if ((words[i] = strsep(&rest, " \n")) == NULL)
            words[i] = none;
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(words[0], commands[i].name) == 0)
            commands[i].run(words[1], words[2]);
    fflush(stdout);
}

static void on_done(uv_async_t *async)
{
    (void)async;
}

static void on_sweep(void *arg, uint64_t now)
{
    (void)arg, (void)now;
}

static void stop(void *arg)
{
    (void)arg;
    uv_close((uv_handle_t *)&done, NULL);
    worker_stop(&worker);
}

static void run_worker(void *arg)
{
    worker_run(arg);
}

int main(int argc, char **argv)
{
    const struct limits_settings settings = {.prefix_ipv4 = 32,
                                             .prefix_ipv6 = 64,
                                             .ban_points = BAN_POINTS,
                                             .ban_time = HOUR_MS,
                                             .ban_reset = HOUR_MS};
    uv_thread_t thread;
    char line[1024];

    INSIST(argc == 3);
    signal(SIGPIPE, SIG_IGN);
    limits = limits_new(&settings);
    worker_init(&worker, 0, on_sweep, NULL);
    INSIST(uv_async_init(&worker.loop, &done, on_done) == 0);
    place.path = argv[2];
    snprintf(service.gate, sizeof service.gate, "%s", argv[1]);
    service.name = argv[1];
    service.settings = (struct shared_settings){.link = {.place = &place, .count = 1},
                                                .prefix = "m:",
                                                .gate = service.gate,
                                                .timeout_ms = TIMEOUT_MS};
    INSIST(uv_thread_create(&thread, run_worker, &worker) == 0);
    struct keyring *keyring = keyring_new();
    (void)shared_service_start(&service, limits, keyring, &tunnels, &done);
    puts("ready");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin) != NULL)
        obey(line);
    for (struct timespec pause = {.tv_nsec = 1000000}; !shared_service_stop(&service);)
        nanosleep(&pause, NULL);
    worker_post(&worker, stop, NULL);
    INSIST(uv_thread_join(&thread) == 0);
    worker_fini(&worker);
    limits_free(limits);
    keyring_free(keyring);
    return 0;
}
