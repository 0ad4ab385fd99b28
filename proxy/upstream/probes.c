#include "upstream/probes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <utlist.h>

#include "base/insist.h"
#include "net/dial.h"
#include "net/stream.h"
#include "net/worker.h"
#include "policy/backends.h"
#include "site/site.h"
#include "tls/tls_conn.h"
#include "upstream/upstream.h"
#include "wire/http_head.h"
#include "wire/proxyproto.h"

enum { FIRST_MS = 1000, INTERVAL_MIN_MS = 1000 };

struct probe {
    struct probe *prev, *next; /* of all->list, unless it is given up */
    struct probes *all;
    struct site *site; /* a reference of its own */
    const struct site_backend *backend;
    size_t server;
    enum { PROBE_IDLE, PROBE_RESOLVE, PROBE_CONNECT, PROBE_ANSWER, PROBE_CLOSE } state;
    bool given_up;
    uint64_t due; /* IDLE: of the next one; otherwise of its end */
    struct dial *dial;
    struct stream stream;
    char failure[BACKENDS_CAUSE_MAX]; /* of the latest address; "": ours, not the server's */
};

struct probes {
    struct worker *worker;
    struct probe *list;
};

static const struct stream_ops stream_ops;

static struct probe *of_stream(struct stream *s)
{
    return (struct probe *)((char *)s - offsetof(struct probe, stream));
}

/* Up to n - 1. So that neither the servers of one gate nor the gates of one server go in step. */
static uint32_t any_below(uint32_t n)
{
    uint32_t number = 0;
    (void)!getrandom(&number, sizeof number, 0); /* without it they do go in step, that is all */
    return number % n;
}

static uint32_t interval_of(const struct probe *c)
{
    const uint32_t wanted = c->backend->config->check_interval;
    const uint32_t ms = wanted < INTERVAL_MIN_MS ? INTERVAL_MIN_MS : wanted;
    return ms - ms / 10 + any_below(ms / 5 + 1);
}

/* ---- the end of one ---- */

static void release(struct probe *c)
{
    site_unref(c->site);
    free(c);
}

static void dial_done(struct probe *c)
{
    dial_free(c->dial);
    c->dial = NULL;
}

/* Nothing is open any more. */
static void over(struct probe *c)
{
    if (c->given_up) {
        release(c);
        return;
    }
    c->state = PROBE_IDLE;
    c->due = worker_now(c->all->worker) + interval_of(c);
}

static void close_now(struct probe *c)
{
    dial_done(c);
    c->state = PROBE_CLOSE;
    if (c->stream.handle == STREAM_HANDLE_NONE)
        over(c);
    else
        stream_close(&c->stream, false);
}

static void report(struct probe *c, bool good, const char *cause)
{
    upstream_report(c->backend, c->server, good, cause, worker_now(c->all->worker));
}

static void passed(struct probe *c)
{
    report(c, true, "check");
    if (c->stream.in == STREAM_IN_IDLE) {
        close_now(c);
        return;
    }
    dial_done(c);
    c->state = PROBE_CLOSE;
    stream_shutdown(&c->stream); /* an orderly end, which a server need not log */
}

static void failed(struct probe *c)
{
    if (c->failure[0] != '\0')
        report(c, false, c->failure);
    close_now(c);
}

static void note(struct probe *c, const char *what, const char *text)
{
    snprintf(c->failure, sizeof c->failure, "check: %s: %s", what, text);
}

static void note_status(struct probe *c, const char *what, int status)
{
    if (stream_starved(status))
        c->failure[0] = '\0';
    else
        note(c, what, stream_strerror(status));
}

/* This address will not do; on_closed tries the next one. */
static void address_failed(struct probe *c, const char *what, const char *text)
{
    note(c, what, text);
    stream_close(&c->stream, false);
}

/* ---- the course of one ---- */

static void next_address(struct probe *c)
{
    struct addr to;

    if (!dial_next(c->dial, &to)) {
        failed(c);
        return;
    }
    c->state = PROBE_CONNECT;
    const int r = stream_connect(&c->stream, &to);
    if (r != 0) /* it closes, and that goes on */
        note_status(c, "connect", r);
}

static void on_resolved(void *arg, int status)
{
    struct probe *c = arg;
    if (status == 0)
        note(c, "resolve", "no address");
    else
        note_status(c, "resolve", status);
    next_address(c);
}

static void begin(struct probe *c, uint64_t now)
{
    const struct backends_server *to = upstream_server(c->backend, c->server);

    c->state = PROBE_RESOLVE;
    c->due = now + c->site->config->gate.timeout_connect;
    c->dial = dial_new(c->all->worker, to->host, to->port, on_resolved, c);
}

/* TCP, and TLS where there is any, are there. */
static void ask(struct probe *c)
{
    uint8_t head[HTTP_BUILD_MAX];
    size_t n;

    switch (c->backend->config->check) {
    case CONFIG_CHECK_HTTP: n = upstream_head(c->backend, c->server, head); break;
    case CONFIG_CHECK_SSTP: n = upstream_request(c->backend, c->server, NULL, NULL, head); break;
    default: passed(c); return;
    }
    c->state = PROBE_ANSWER;
    stream_write(&c->stream, span_of(head, n));
}

static void on_connect(struct stream *s, int status)
{
    struct probe *c = of_stream(s);
    struct proxyproto p = {0};

    if (c->state != PROBE_CONNECT)
        return;
    if (status != 0) {
        note_status(c, "connect", status);
        stream_close(s, false);
    } else if (c->backend->config->check == CONFIG_CHECK_TCP) {
        passed(c);
    } else if (upstream_start(c->backend, c->server, s, &p)) {
        ask(c);
    }
}

static void on_secure(struct stream *s)
{
    struct probe *c = of_stream(s);
    char why[UPSTREAM_WHY_MAX];

    if (c->state != PROBE_CONNECT)
        return;
    if (upstream_trusted(c->backend, s, why))
        ask(c);
    else
        address_failed(c, "verify", why);
}

static bool status_fits(const struct config_statuses *list, unsigned status)
{
    for (size_t i = 0; i < list->count; i++)
        if (status >= list->item[i].first && status <= list->item[i].last)
            return true;
    return false;
}

static size_t on_read(struct stream *s, struct span in)
{
    struct probe *c = of_stream(s);
    struct http_response response;
    char text[32];

    if (c->state != PROBE_ANSWER)
        return in.n;
    enum err e = http_parse_response(in, &response);
    if (e == ERR_MORE)
        return 0;
    if (e != ERR_OK) {
        address_failed(c, "answer", "not HTTP");
    } else if (!status_fits(&c->backend->config->check_statuses, response.status)) {
        snprintf(text, sizeof text, "status %u", response.status);
        address_failed(c, "answer", text);
    } else {
        passed(c);
    }
    return in.n;
}

static void on_end(struct stream *s, enum stream_end why)
{
    struct probe *c = of_stream(s);
    const char *text = why == STREAM_TLS ? stream_error(s) : "closed";

    if (c->state == PROBE_CONNECT)
        address_failed(c, "tls", text);
    else if (c->state == PROBE_ANSWER)
        address_failed(c, "answer", text);
    else
        stream_close(s, false);
}

static void on_sent(struct stream *s)
{
    struct probe *c = of_stream(s);
    if (c->state == PROBE_CLOSE && s->out == STREAM_OUT_ENDED)
        stream_close(s, false);
}

static void on_closed(struct stream *s)
{
    struct probe *c = of_stream(s);
    if (c->state == PROBE_CLOSE)
        over(c);
    else
        next_address(c);
}

static const struct stream_ops stream_ops = {
    .on_connect = on_connect,
    .on_secure = on_secure,
    .on_read = on_read,
    .on_end = on_end,
    .on_sent = on_sent,
    .on_closed = on_closed,
};

/* ---- all of them ---- */

struct probes *probes_new(struct worker *w)
{
    struct probes *all = NEW(struct probes);
    all->worker = w;
    return all;
}

void probes_free(struct probes *all)
{
    INSIST(all == NULL || all->list == NULL);
    free(all);
}

static void give_up(struct probe *c)
{
    c->given_up = true;
    if (c->state == PROBE_IDLE)
        release(c);
    else
        close_now(c);
}

static bool same_server(const struct probe *a, const struct probe *b)
{
    const struct backends_server *x = upstream_server(a->backend, a->server);
    const struct backends_server *y = upstream_server(b->backend, b->server);
    return x->port == y->port && strcmp(x->host, y->host) == 0 &&
           strcmp(a->backend->config->name, b->backend->config->name) == 0;
}

/* When it is asked first: as it would have been, if it was before. One that was under way begins
 * anew at once. */
static uint64_t first_due(const struct probe *c, const struct probe *before, uint64_t now)
{
    const struct probe *b;
    const uint64_t latest = now + interval_of(c);

    DL_FOREACH(before, b) {
        if (same_server(b, c))
            return b->state != PROBE_IDLE ? now : b->due < latest ? b->due : latest;
    }
    return now + any_below(FIRST_MS);
}

static void add(struct probes *all, struct site *site, const struct site_backend *b, size_t server,
                const struct probe *before)
{
    struct probe *c = NEW(struct probe);

    c->all = all;
    c->site = site_ref(site);
    c->backend = b;
    c->server = server;
    stream_init(&c->stream, all->worker, &stream_ops);
    c->due = first_due(c, before, worker_now(all->worker));
    DL_APPEND(all->list, c);
}

void probes_switch(struct probes *all, struct site *site)
{
    struct probe *before = all->list, *c, *next;

    all->list = NULL;
    for (size_t i = 0; i < site->config->backend_count; i++) {
        const struct site_backend *b = &site->backend[i];
        for (size_t k = 0; b->config->check != CONFIG_CHECK_NO && k < b->config->servers.count; k++)
            add(all, site, b, k, before);
    }
    DL_FOREACH_SAFE(before, c, next) {
        give_up(c);
    }
}

void probes_sweep(struct probes *all, uint64_t now_ms)
{
    static const char *const words[] = {
        [PROBE_RESOLVE] = "resolve", [PROBE_CONNECT] = "connect", [PROBE_ANSWER] = "answer"};
    struct probe *c;

    DL_FOREACH(all->list, c) {
        if (now_ms < c->due)
            continue;
        if (c->state == PROBE_IDLE) {
            begin(c, now_ms);
        } else if (c->state == PROBE_CLOSE) {
            close_now(c); /* it has had its time to be told */
        } else {
            note(c, words[c->state], "none in time");
            failed(c);
        }
    }
}

void probes_stop(struct probes *all)
{
    struct probe *before = all->list, *c, *next;

    all->list = NULL;
    DL_FOREACH_SAFE(before, c, next) {
        give_up(c);
    }
}
