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
#include "wire/http_response.h"
#include "wire/proxyproto.h"

enum {
    FIRST_MS = 1000,
    INTERVAL_MIN_MS = 1000,
    TICKET_MS = 1000, /* the ticket of TLS 1.3 follows the handshake at once */
};

struct probe {
    struct probe *prev, *next; /* in all->list, unless `ended` is set */
    struct probes *all;
    struct site *site; /* counted reference */
    const struct site_backend *backend;
    size_t server;
    enum {
        PROBE_IDLE,
        PROBE_RESOLVE,
        PROBE_CONNECT,
        PROBE_ANSWER,
        PROBE_TICKET,
        PROBE_CLOSE
    } state;
    bool ended;     /* freed as soon as nothing is open */
    uint64_t begun; /* ms: when the probe in progress asked for an address */
    uint64_t due;   /* ms; IDLE: start of the next probe; otherwise the deadline of this one */
    struct dial *dial;
    struct stream stream;
    char failure[BACKENDS_CAUSE_MAX]; /* at the latest address; "": the fault is this machine's */
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

/* Returns a random number below n, so that neither the probes of one gate nor the gates of one
 * server probe in lockstep. */
static uint32_t random_below(uint32_t n)
{
    uint32_t number = 0;
    (void)!getrandom(&number, sizeof number, 0); /* on failure 0: lockstep does no harm */
    return number % n;
}

static uint32_t probe_interval(const struct probe *p)
{
    const uint32_t wanted = p->backend->config->check_interval;
    const uint32_t ms = wanted < INTERVAL_MIN_MS ? INTERVAL_MIN_MS : wanted;
    return ms - ms / 10 + random_below(ms / 5 + 1);
}

/* ---- the end of a probe ---- */

static void probe_release(struct probe *p)
{
    site_unref(p->site);
    free(p);
}

static void probe_dial_done(struct probe *p)
{
    dial_free(p->dial);
    p->dial = NULL;
}

/* Waits for the next interval, or frees the probe; its stream is closed. */
static void probe_over(struct probe *p)
{
    if (p->ended) {
        probe_release(p);
        return;
    }
    p->state = PROBE_IDLE;
    p->due = worker_now(p->all->worker) + probe_interval(p);
}

static void probe_close(struct probe *p)
{
    probe_dial_done(p);
    p->state = PROBE_CLOSE;
    if (p->stream.handle == STREAM_HANDLE_NONE)
        probe_over(p);
    else
        stream_close(&p->stream, false);
}

static void probe_report(struct probe *p, bool good, const char *cause)
{
    upstream_report(p->backend, p->server, good, cause, worker_now(p->all->worker));
}

/* Keeps the session for calls. Returns false if its ticket has not arrived. */
static bool probe_keep_session(struct probe *p, bool last)
{
    return upstream_keep_session(p->backend, p->server, &p->stream, last,
                                 worker_now(p->all->worker));
}

/* Closes with close_notify and FIN, which most servers do not log as an error. */
static void probe_leave(struct probe *p)
{
    p->state = PROBE_CLOSE;
    p->due = worker_now(p->all->worker) + p->site->config->gate.timeout_connect;
    stream_shutdown(&p->stream);
}

static void probe_passed(struct probe *p)
{
    const uint64_t now = worker_now(p->all->worker);

    probe_report(p, true, "check");
    backends_timed(p->backend->servers, p->server, now - p->begun);
    probe_dial_done(p);
    if (p->stream.in == STREAM_IN_IDLE) {
        probe_close(p);
    } else if (probe_keep_session(p, false)) {
        probe_leave(p);
    } else {
        p->state = PROBE_TICKET;
        p->due = now + TICKET_MS;
    }
}

/* Ends the wait for the ticket. */
static void probe_ticket_over(struct probe *p)
{
    (void)probe_keep_session(p, true);
    probe_leave(p);
}

static void probe_failed(struct probe *p)
{
    upstream_drop_session(p->backend, p->server, worker_now(p->all->worker));
    if (p->failure[0] != '\0')
        probe_report(p, false, p->failure);
    probe_close(p);
}

static void probe_note(struct probe *p, const char *what, const char *text)
{
    snprintf(p->failure, sizeof p->failure, "check: %s: %.*s", what, (int)sizeof p->failure - 20,
             text);
}

static void probe_note_status(struct probe *p, const char *what, int status)
{
    if (stream_starved(status))
        p->failure[0] = '\0';
    else
        probe_note(p, what, stream_strerror(status));
}

/* Gives up this address; on_closed tries the next one. */
static void probe_address_failed(struct probe *p, const char *what, const char *text)
{
    probe_note(p, what, text);
    stream_close(&p->stream, false);
}

/* ---- the course of a probe ---- */

static void probe_next_address(struct probe *p)
{
    struct addr to;

    if (!dial_next(p->dial, &to)) {
        probe_failed(p);
        return;
    }
    p->state = PROBE_CONNECT;
    const int r = stream_connect(&p->stream, &to);
    if (r != 0) /* the stream closes itself; on_closed continues */
        probe_note_status(p, "connect", r);
}

static void on_resolved(void *arg, int status)
{
    struct probe *p = arg;
    if (status == 0)
        probe_note(p, "resolve", "no address");
    else
        probe_note_status(p, "resolve", status);
    probe_next_address(p);
}

static void probe_begin(struct probe *p, uint64_t now)
{
    const struct backends_server *to = upstream_server(p->backend, p->server);

    p->state = PROBE_RESOLVE;
    p->begun = now;
    p->due = now + p->site->config->gate.timeout_connect;
    p->dial = dial_new(p->all->worker, to->host, to->port, on_resolved, p);
}

/* Sends the request of the check; a check without a request has passed. TCP and TLS are up. */
static void probe_ask(struct probe *p)
{
    uint8_t head[HTTP_BUILD_MAX];
    size_t n;

    switch (p->backend->config->check) {
    case CONFIG_CHECK_HTTP: n = upstream_head(p->backend, p->server, head); break;
    case CONFIG_CHECK_SSTP: n = upstream_request(p->backend, p->server, NULL, NULL, head); break;
    default: probe_passed(p); return;
    }
    p->state = PROBE_ANSWER;
    stream_write(&p->stream, span_of(head, n));
}

static void on_connect(struct stream *s, int status)
{
    struct probe *p = of_stream(s);
    struct proxyproto header = {0};

    if (p->state != PROBE_CONNECT)
        return;
    if (status != 0) {
        probe_note_status(p, "connect", status);
        stream_close(s, false);
    } else if (p->backend->config->check == CONFIG_CHECK_TCP) {
        probe_passed(p);
    } else if (upstream_start(p->backend, p->server, s, &header, UPSTREAM_CHECK)) {
        probe_ask(p);
    }
}

static void on_secure(struct stream *s)
{
    struct probe *p = of_stream(s);
    char why[UPSTREAM_WHY_MAX];

    if (p->state != PROBE_CONNECT)
        return;
    upstream_compare_session(p->backend, p->server, s);
    if (upstream_trusted(p->backend, s, why))
        probe_ask(p);
    else
        probe_address_failed(p, "verify", why);
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
    struct probe *p = of_stream(s);
    struct http_response response;
    char text[32];

    if (p->state != PROBE_ANSWER)
        return in.n;
    enum err e = http_response_parse(in, &response);
    if (e == ERR_MORE)
        return 0;
    if (e != ERR_OK) {
        probe_address_failed(p, "answer", upstream_bad_answer(e));
    } else if (!status_fits(&p->backend->config->check_statuses, response.status)) {
        snprintf(text, sizeof text, "status %u", response.status);
        probe_address_failed(p, "answer", text);
    } else {
        probe_passed(p);
    }
    return in.n;
}

/* Handles the end of a connection whose check is finished. */
static void probe_ended(struct probe *p)
{
    if (p->state == PROBE_TICKET) {
        (void)probe_keep_session(p, true);
        p->state = PROBE_CLOSE;
    }
    stream_close(&p->stream, false);
}

static void on_end(struct stream *s, enum stream_end why)
{
    struct probe *p = of_stream(s);
    char text[UPSTREAM_WHY_MAX] = "closed";

    if (why == STREAM_TLS)
        upstream_tls_why(s, text);
    if (p->state == PROBE_CONNECT)
        probe_address_failed(p, upstream_step(s), text);
    else if (p->state == PROBE_ANSWER)
        probe_address_failed(p, "answer", text);
    else
        probe_ended(p);
}

static void on_sent(struct stream *s)
{
    struct probe *p = of_stream(s);
    if (p->state == PROBE_CLOSE && s->out == STREAM_OUT_ENDED)
        stream_close(s, false);
}

static void on_closed(struct stream *s)
{
    struct probe *p = of_stream(s);
    if (p->state == PROBE_CLOSE)
        probe_over(p);
    else
        probe_next_address(p);
}

static const struct stream_ops stream_ops = {
    .on_connect = on_connect,
    .on_secure = on_secure,
    .on_read = on_read,
    .on_end = on_end,
    .on_sent = on_sent,
    .on_closed = on_closed,
};

/* ---- the set of probes ---- */

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

static void probe_end(struct probe *p)
{
    p->ended = true;
    if (p->state == PROBE_IDLE)
        probe_release(p);
    else
        probe_close(p);
}

static bool same_server(const struct probe *a, const struct probe *b)
{
    const struct backends_server *x = upstream_server(a->backend, a->server);
    const struct backends_server *y = upstream_server(b->backend, b->server);
    return x->port == y->port && strcmp(x->host, y->host) == 0 &&
           strcmp(a->backend->config->name, b->backend->config->name) == 0;
}

/* Returns the time of the first probe of a server. A server that was probed before keeps its
 * schedule; a probe in progress starts over at once. */
static uint64_t probe_first_due(const struct probe *p, const struct probe *before, uint64_t now)
{
    const struct probe *b;
    const uint64_t latest = now + probe_interval(p);

    DL_FOREACH(before, b) {
        if (same_server(b, p))
            return b->state != PROBE_IDLE ? now : b->due < latest ? b->due : latest;
    }
    return now + random_below(FIRST_MS);
}

static void probe_add(struct probes *all, struct site *site, const struct site_backend *b,
                      size_t server, const struct probe *before)
{
    struct probe *p = NEW(struct probe);

    p->all = all;
    p->site = site_ref(site);
    p->backend = b;
    p->server = server;
    stream_init(&p->stream, all->worker, &stream_ops);
    p->due = probe_first_due(p, before, worker_now(all->worker));
    DL_APPEND(all->list, p);
}

void probes_switch(struct probes *all, struct site *site)
{
    struct probe *before = all->list, *p, *next;

    all->list = NULL;
    for (size_t i = 0; i < site->config->backend_count; i++) {
        const struct site_backend *b = &site->backend[i];
        for (size_t k = 0; b->config->check != CONFIG_CHECK_NO && k < b->config->servers.count; k++)
            probe_add(all, site, b, k, before);
    }
    DL_FOREACH_SAFE(before, p, next) {
        probe_end(p);
    }
}

/* Returns what a probe in progress waits for, as a word for its failure. */
static const char *step_of(const struct probe *p)
{
    switch (p->state) {
    case PROBE_RESOLVE: return "resolve";
    case PROBE_CONNECT: return upstream_step(&p->stream);
    default: return "answer";
    }
}

void probes_sweep(struct probes *all, uint64_t now_ms)
{
    struct probe *p;

    DL_FOREACH(all->list, p) {
        if (now_ms < p->due)
            continue;
        if (p->state == PROBE_IDLE) {
            probe_begin(p, now_ms);
        } else if (p->state == PROBE_TICKET) {
            probe_ticket_over(p);
        } else if (p->state == PROBE_CLOSE) {
            probe_close(p); /* the server has had the same time to close */
        } else {
            probe_note(p, step_of(p), "timed out");
            probe_failed(p);
        }
    }
}

void probes_stop(struct probes *all)
{
    struct probe *before = all->list, *p, *next;

    all->list = NULL;
    DL_FOREACH_SAFE(before, p, next) {
        probe_end(p);
    }
}
