/* One call without a network: streams, worker and site are fakes, linked in place of net/ and site/
 * (WRAP_test_* in the Makefile). The fakes write down what the call does to its streams. */
#ifndef SSTPGATE_TESTS_CALL_FIXTURE_H
#define SSTPGATE_TESTS_CALL_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

#include "base/log.h"
#include "call/course.h"
#include "net/listener.h"
#include "policy/limits.h"
#include "site/site.h"

enum { SCENE_BAN_POINTS = 1000 };

static struct {
    struct worker *worker; /* only its address is used */
    struct call_set set;
    struct calls_shared shared;
    struct config config;
    struct config_listener listener_config;
    struct site_listener listener;
    struct site site;
    struct listener at;
    struct call *call;
    struct tally_tunnels tunnels; /* where RELAY counts the call */
    const struct stream_ops *client_ops, *backend_ops;
    uint64_t now;
    bool client_waits;
    bool plain;       /* the call is at an address of listen-http */
    bool secured;     /* stream_secure was called */
    unsigned parted;  /* calls that have left the set */
    char events[512]; /* "client shutdown, backend reset" */
} scene;

/* ---- the fakes ---- */

static const char *side_of(const struct stream *s)
{
    return s->ops == scene.client_ops ? "client" : "backend";
}

static void note_event(const struct stream *s, const char *what)
{
    const size_t n = strlen(scene.events);
    snprintf(scene.events + n, sizeof scene.events - n, "%s%s %s", n > 0 ? ", " : "", side_of(s),
             what);
}

void __wrap_stream_init(struct stream *s, struct worker *w, const struct stream_ops *ops);
void __wrap_stream_init(struct stream *s, struct worker *w, const struct stream_ops *ops)
{
    *s = (struct stream){.worker = w, .ops = ops};
    if (scene.client_ops == NULL)
        scene.client_ops = ops;
    else
        scene.backend_ops = ops;
}

int __wrap_stream_accept(struct stream *s, uv_tcp_t *listener, struct addr *peer);
int __wrap_stream_accept(struct stream *s, uv_tcp_t *listener, struct addr *peer)
{
    (void)listener;
    s->handle = STREAM_HANDLE_LIVE;
    return addr_parse("192.0.2.1:50000", 0, peer) == ERR_OK ? 0 : -1;
}

int __wrap_stream_local(const struct stream *s, struct addr *out);
int __wrap_stream_local(const struct stream *s, struct addr *out)
{
    (void)s;
    return addr_parse("192.0.2.2:443", 0, out) == ERR_OK ? 0 : -1;
}

/* A packet of SSTP is shown by its type, HTTP by its status. */
void __wrap_stream_write(struct stream *s, struct span octets);
void __wrap_stream_write(struct stream *s, struct span octets)
{
    char what[32];

    if (octets.n == 0)
        return;
    if (octets.n > 12 && octets.p[0] == 'H')
        snprintf(what, sizeof what, "gets %.3s", (const char *)octets.p + 9);
    else if (octets.n >= 6 && octets.p[0] == 0x10 && octets.p[1] == 1)
        snprintf(what, sizeof what, "gets message %d", octets.p[5]);
    else
        snprintf(what, sizeof what, "gets %zu bytes", octets.n);
    note_event(s, what);
}

void __wrap_stream_close(struct stream *s, bool reset);
void __wrap_stream_close(struct stream *s, bool reset)
{
    if (s->handle != STREAM_HANDLE_LIVE)
        return;
    s->handle = STREAM_HANDLE_CLOSING;
    note_event(s, reset ? "reset" : "closed");
}

void __wrap_stream_vanish(struct stream *s);
void __wrap_stream_vanish(struct stream *s)
{
    note_event(s, "vanishes");
    s->handle = STREAM_HANDLE_CLOSING;
}

/* The rest: what matters to a test is written down. */
#define FAKE(name, what)                                                                           \
    void __wrap_stream_##name(struct stream *s);                                                   \
    void __wrap_stream_##name(struct stream *s)                                                    \
    {                                                                                              \
        if (s->handle == STREAM_HANDLE_LIVE && (what)[0] != '\0')                                  \
            note_event(s, what);                                                                   \
    }
FAKE(shutdown, "shutdown")
FAKE(notify, "notify")
FAKE(pause, "paused")
FAKE(resume, "")
FAKE(kick, "")
FAKE(narrow, "")
FAKE(expect, "")

void __wrap_stream_secure(struct stream *s);
void __wrap_stream_secure(struct stream *s)
{
    (void)s;
    scene.secured = true;
}

void __wrap_stream_start(struct stream *s, struct tls_conn *tls);
void __wrap_stream_start(struct stream *s, struct tls_conn *tls)
{
    (void)s;
    (void)tls;
}

void __wrap_stream_early(struct stream *s, bool early);
void __wrap_stream_early(struct stream *s, bool early)
{
    s->early = early;
}

bool __wrap_stream_paused(const struct stream *s);
bool __wrap_stream_paused(const struct stream *s)
{
    (void)s;
    return false;
}

bool __wrap_stream_waits(const struct stream *s);
bool __wrap_stream_waits(const struct stream *s)
{
    (void)s;
    return scene.client_waits;
}

uint64_t __wrap_worker_now(const struct worker *w);
uint64_t __wrap_worker_now(const struct worker *w)
{
    (void)w;
    return scene.now;
}

struct site *__wrap_site_ref(struct site *s);
struct site *__wrap_site_ref(struct site *s)
{
    s->refs++;
    return s;
}

void __wrap_site_unref(struct site *s);
void __wrap_site_unref(struct site *s)
{
    if (s != NULL)
        s->refs--;
}

time_t __wrap_time(time_t *t);
time_t __wrap_time(time_t *t)
{
    (void)t;
    return 0; /* 1970-01-01, a Thursday */
}

/* ---- the scene ---- */

static void on_parted(struct call_set *set)
{
    (void)set;
    scene.parted++;
}

/* Prepares a set and a listener that allows every client; a test may change the listener. */
static void scene_prepare(void)
{
    static const struct limits_settings settings = {.tunnels_per_user = 1,
                                                    .prefix_ipv4 = 32,
                                                    .prefix_ipv6 = 64,
                                                    .ban_points = SCENE_BAN_POINTS,
                                                    .ban_time = 1000,
                                                    .ban_reset = 1000};
    memset(&scene, 0, sizeof scene);
    scene.worker = calloc(1, sizeof *scene.worker);
    scene.now = 1000000;
    scene.listener_config = (struct config_listener){.name = (char *)"l"};
    rules_init(&scene.listener_config.rules);
    scene.listener_config.rules.default_allow = true;
    scene.listener.config = &scene.listener_config;
    scene.config.listener = &scene.listener_config;
    scene.config.listener_count = 1;
    scene.site = (struct site){.refs = 1, .config = &scene.config, .listener = &scene.listener};
    scene.shared.count = 1;
    scene.shared.limits = limits_new(&settings);
    scene.set = (struct call_set){.worker = scene.worker,
                                  .site = &scene.site,
                                  .shared = &scene.shared,
                                  .on_leave = course_leave,
                                  .on_parted = on_parted};
    tally_switch(&scene.set.tally, &scene.config);
    struct config_gate *g = &scene.config.gate;
    g->timeout_handshake = g->timeout_request = g->timeout_connect = g->timeout_answer = 1000;
    g->timeout_negotiate = g->timeout_key = g->timeout_idle = g->timeout_drain = 2000;
    g->timeout_web = 3000;
    call_set_timeouts(&scene.set, g);
}

static struct call *any_call(void)
{
    for (int state = 0; state < CALL_STATES; state++)
        if (scene.set.list[state] != NULL)
            return scene.set.list[state];
    return NULL;
}

/* Opens the call. Events that happen before course_open returns are not kept. */
static void scene_open(void)
{
    course_open(&scene.set, &scene.listener, &scene.at, scene.plain);
    scene.call = any_call();
    assert_non_null(scene.call);
    scene.call->tunnel.counted = &scene.tunnels;
}

/* Brings a new call into a state, by legal steps. Its backend is connected from ANSWER on. */
static void scene_reach(enum call_state want)
{
    static const enum call_state tunnel[] = {CALL_HELLO,  CALL_HANDSHAKE, CALL_REQUEST, CALL_DIAL,
                                             CALL_ANSWER, CALL_NEGOTIATE, CALL_KEY};
    scene_prepare();
    if (want == CALL_PROXY) {
        static struct cidr all; /* 0.0.0.0/0 */
        assert_int_equal(cidr_parse("0.0.0.0/0", &all), ERR_OK);
        scene.listener_config.accept_proxy = true;
        scene.listener_config.trusted_proxies = (struct cidrs){.item = &all, .count = 1};
    }
    scene_open();
    if (want == CALL_ACME) {
        scene.call->backend.handle = STREAM_HANDLE_LIVE;
        scene.call->backend.in = STREAM_IN_OPEN;
        scene.call->acme.dialed = true;
        call_enter(scene.call, CALL_ACME);
    }
    for (size_t i = 1; i < sizeof tunnel / sizeof *tunnel && scene.call->state < want; i++) {
        if (tunnel[i] == CALL_ANSWER)
            scene.call->backend.handle = STREAM_HANDLE_LIVE;
        if (tunnel[i] == CALL_ANSWER && want == CALL_WEB)
            break;
        call_enter(scene.call, tunnel[i]);
    }
    if (want > CALL_KEY && want != CALL_ACME)
        call_enter(scene.call, want == CALL_WEB     ? CALL_WEB
                               : want == CALL_COUNT ? CALL_COUNT
                                                    : CALL_RELAY);
    if (want == CALL_DRAIN || want == CALL_LINGER)
        call_end(scene.call, want == CALL_DRAIN ? REASON_CLIENT_ABORT : REASON_IDLE_TIMEOUT);
    if (want == CALL_CLOSED)
        call_end(scene.call, REASON_SHUTDOWN_NOW);
    assert_int_equal(scene.call->state, want);
    scene.events[0] = '\0';
}

/* Ends the call, if it has not ended, and plays libuv's close callbacks. */
static void scene_close(void)
{
    struct call *call = scene.call;

    call_end(call, REASON_SHUTDOWN_NOW);
    call->client.handle = STREAM_HANDLE_NONE;
    scene.client_ops->on_closed(&call->client);
    if (scene.parted == 0) {
        call->backend.handle = STREAM_HANDLE_NONE;
        scene.backend_ops->on_closed(&call->backend);
    }
    assert_int_equal(scene.parted, 1);
    assert_int_equal(scene.set.count, 0);
    assert_int_equal(scene.shared.count, 0);
    assert_int_equal(scene.site.refs, 1);
    tally_fini(&scene.set.tally);
    limits_free(scene.shared.limits);
    rules_fini(&scene.listener_config.rules);
    free(scene.worker);
}

static int scene_log_off(void **state)
{
    (void)state;
    return log_open("/dev/null", LOG_LEVEL_DEBUG, LOG_FORMAT_TEXT) == ERR_OK ? 0 : -1;
}

#endif
