#include "call/uplink.h"

#include <stdio.h>
#include <string.h>

#include "call/entry.h"
#include "call/front.h"
#include "call/site.h"
#include "call/target.h"
#include "call/tunnel.h"
#include "net/dial.h"
#include "policy/backends.h"
#include "tls/tls_conn.h"
#include "wire/http_head.h"
#include "wire/proxyproto.h"

enum { BACKEND_LINES_PER_SECOND = 20 }; /* for each worker */

/* ---- dial ---- */

static void dial_server(struct tunnel *t);

static void log_backend(struct tunnel *t, const char *what, const char *why)
{
    char name[BACKENDS_NAME_MAX];
    struct log_line l;
    unsigned missed;

    if (!log_limit_pass(&t->set->limit_backend, tunnel_now(t), BACKEND_LINES_PER_SECOND, &missed))
        return;
    session_line(&t->session, &l, LOG_LEVEL_WARNING, "backend");
    log_str(&l, "backend", t->session.backend);
    if (t->at_server)
        log_str(&l, "server", backends_name(t->site_backend->servers, t->server, name));
    log_str(&l, "failed", what);
    log_str(&l, "msg", why);
    if (missed > 0)
        log_num(&l, "lines-left-out", missed);
    log_end(&l);
}

/* A server that is told who the client is, or which tenant is meant, may have something against
 * these: a stranger must not be able to bring it down by being refused. */
static bool is_asked_for_client(const struct tunnel *t)
{
    const struct config_backend *c = t->site_backend->config;
    return c->send_proxy != CONFIG_SEND_PROXY_NO || (c->pass_tenant && t->tenant_sent != NULL);
}

/* What is wrong with the server for this call; blame: and for others, too. */
static void note_failure(struct tunnel *t, enum reason why, bool blame, const char *what,
                         const char *text)
{
    char cause[BACKENDS_CAUSE_MAX];

    log_backend(t, what, text);
    t->dial_failure = why;
    if (!blame)
        return;
    snprintf(cause, sizeof cause, "%s: %s", what, text);
    session_keep(&t->blame, span_str(cause));
}

static void dial_done(struct tunnel *t)
{
    dial_free(t->dial);
    t->dial = NULL;
}

void uplink_leave(struct tunnel *t)
{
    dial_done(t);
    if (t->at_server)
        backends_release(t->site_backend->servers, t->server);
    t->at_server = false;
}

/* It had its chance. */
static void dial_next_server(struct tunnel *t)
{
    if (t->blame != NULL)
        target_report(t->site_backend, t->server, false, t->blame, tunnel_now(t));
    session_keep(&t->blame, span_of(NULL, 0));
    uplink_leave(t);
    dial_server(t);
}

static void dial_address(struct tunnel *t)
{
    struct addr to;
    char text[ADDR_TEXT_MAX];

    if (!dial_next(t->dial, &to)) {
        dial_next_server(t);
        return;
    }
    tunnel_enter(t, TUNNEL_DIAL);
    session_keep(&t->session.server, span_str(addr_format(&to, text)));
    int r = stream_connect(&t->backend, &to);
    if (r != 0) /* the stream closes, and uplink_closed goes on */
        note_failure(t, REASON_BACKEND_UNREACHABLE, !stream_starved(r), "connect",
                     stream_strerror(r));
}

static void on_resolved(void *arg, int status)
{
    struct tunnel *t = arg;
    if (status != 0)
        note_failure(t, REASON_BACKEND_UNREACHABLE, !stream_starved(status), "resolve",
                     stream_strerror(status));
    dial_address(t); /* without addresses that is the next server */
}

static void no_server(struct tunnel *t)
{
    char why[BACKENDS_CAUSE_MAX];

    session_keep(&t->session.server, span_of(NULL, 0));
    if (t->dial_failure == REASON_NONE) { /* none was tried */
        backends_why_none(t->site_backend->servers, why);
        session_keep(&t->session.detail, span_str(why));
        log_backend(t, "choose", why);
        t->dial_failure = REASON_NO_SERVER;
    }
    if (t->web) { /* the call's reason is why its client was sent there */
        snprintf(why, sizeof why, "instead of the web site: %s",
                 reason_info(t->dial_failure)->name);
        session_keep(&t->session.detail, span_str(why));
    }
    tunnel_close(t, t->dial_failure);
}

static void dial_server(struct tunnel *t)
{
    if (!backends_choose(t->site_backend->servers, &t->session.client, &t->tried, tunnel_now(t),
                         &t->server)) {
        no_server(t);
        return;
    }
    const struct config_server *to = target_server(t->site_backend, t->server);
    t->at_server = true;
    if (t->dial_failure == REASON_NONE)
        t->dial_failure = REASON_BACKEND_UNREACHABLE; /* if its name has no address, say */
    tunnel_enter(t, TUNNEL_DIAL);
    t->dial = dial_new(t->set->worker, to->host, to->port, on_resolved, t);
}

void uplink_dial(struct tunnel *t, const struct config_backend *backend)
{
    t->site_backend = &t->site->backend[backend - t->site->config->backend];
    t->session.backend = backend->name;
    dial_server(t);
}

/* Closes this address; uplink_closed tries the next one. An alert may be on its way. */
static void dial_failed(struct tunnel *t, enum reason why, bool blame, const char *what,
                        const char *text)
{
    note_failure(t, why, blame, what, text);
    stream_close(&t->backend, false);
}

static void ask(struct tunnel *t)
{
    uint8_t head[HTTP_BUILD_MAX];
    const size_t n =
        target_request(t->site_backend, t->server, t->session.correlation,
                       t->site_backend->config->pass_tenant ? t->tenant_sent : NULL, head);

    dial_done(t);
    tunnel_enter(t, TUNNEL_ANSWER);
    stream_write(&t->backend, span_of(head, n));
}

static void served(struct tunnel *t)
{
    target_report(t->site_backend, t->server, true, "a call was answered", tunnel_now(t));
    session_keep(&t->blame, span_of(NULL, 0));
}

static void ready(struct tunnel *t)
{
    if (!t->web) {
        ask(t);
        return;
    }
    dial_done(t);
    served(t);
    tunnel_enter(t, TUNNEL_WEB);
    /* A visitor is a stranger: a visitor that reads nothing must not cost more than a call. */
    stream_narrow(&t->client);
    stream_narrow(&t->backend);
    stream_resume(&t->client);
    stream_kick(&t->client); /* everything it has said since its handshake */
}

static void end_from_addr(struct proxyproto_end *out, const struct addr *a)
{
    *out = (struct proxyproto_end){.family = a->family == AF_INET ? 4 : 6, .port = a->port};
    memcpy(out->ip, a->ip, a->family == AF_INET ? 4 : 16);
}

void uplink_connected(struct tunnel *t, int status)
{
    struct proxyproto p = {0};

    if (status != 0) {
        dial_failed(t, REASON_BACKEND_UNREACHABLE, !stream_starved(status), "connect",
                    stream_strerror(status));
        return;
    }
    end_from_addr(&p.source, &t->session.client);
    end_from_addr(&p.destination, &t->session.local);
    p.authority = tls_conn_sni(t->client.tls);
    p.tls.present = true;
    p.tls.client = PROXYPROTO_CLIENT_TLS;
    p.tls.verify = 1; /* there was no client certificate to verify */
    p.tls.version = span_str(t->session.tls_version);
    p.tls.cipher = span_str(t->session.tls_cipher);
    if (target_start(t->site_backend, t->server, &t->backend, &p))
        ready(t);
}

void uplink_secure(struct tunnel *t)
{
    char why[TARGET_WHY_MAX];

    if (target_trusted(t->site_backend, &t->backend, why))
        ready(t);
    else
        dial_failed(t, REASON_BACKEND_UNVERIFIED, true, "verify", why);
}

/* ---- the answer ---- */

/* Tries the next server: no SSTP packet was sent yet, and the client's packets wait. This server
 * has nothing left to read, so it gets a reset, which leaves no port in TIME_WAIT, because anybody
 * can send requests that a server refuses. */
static void answer_failed(struct tunnel *t, enum reason why, const char *text)
{
    tunnel_enter(t, TUNNEL_DIAL);
    note_failure(t, why, !is_asked_for_client(t), "answer", text);
    stream_close(&t->backend, true);
}

static void negotiate(struct tunnel *t)
{
    uint8_t head[HTTP_BUILD_MAX];
    char date[32];
    struct binding_leaf ours, theirs = t->site_backend->told;

    served(t);
    target_leaf(&t->client, &ours);
    if (theirs.known == 0)
        target_leaf(&t->backend, &theirs);
    t->front = front_new(t->site_backend, &ours, &theirs, &t->session);
    front_use_leaves(t->front, t->set->shared->leaves);
    front_use_keyring(t->front, t->set->shared->keyring);
    if (rules_needs_user(&t->listener->config->rules))
        front_ask_user(t->front, entry_user_allowed, t);
    tunnel_enter(t, TUNNEL_NEGOTIATE);
    stream_write(&t->client, span_of(head, http_build_accept(head, tunnel_http_date(date))));
    stream_kick(&t->client); /* octets it sent without waiting for the answer */
}

size_t uplink_answer_read(struct tunnel *t, struct span in)
{
    struct http_response response;
    enum err e = http_parse_response(in, &response);

    if (e == ERR_MORE)
        return 0;
    if (e != ERR_OK) {
        answer_failed(t, REASON_BACKEND_BAD_ANSWER, "not HTTP");
        return in.n;
    }
    if (response.status != 200) {
        char text[40];
        snprintf(text, sizeof text, "status %u instead of 200", response.status);
        answer_failed(t, REASON_BACKEND_REFUSED, text);
        return in.n;
    }
    negotiate(t);
    return response.len;
}

/* ---- what may come in between ---- */

bool uplink_ended(struct tunnel *t, enum stream_end why)
{
    const char *text = why == STREAM_TLS ? stream_error(&t->backend) : "closed";

    if (t->state == TUNNEL_DIAL) {
        bool unverified = why == STREAM_TLS && tls_conn_unverified(t->backend.tls);
        dial_failed(t, unverified ? REASON_BACKEND_UNVERIFIED : REASON_BACKEND_TLS,
                    unverified || !is_asked_for_client(t), "tls", text);
        return true;
    }
    if (t->state == TUNNEL_ANSWER) {
        answer_failed(t, REASON_BACKEND_BAD_ANSWER, text);
        return true;
    }
    return false;
}

void uplink_closed(struct tunnel *t)
{
    if (t->dial == NULL) /* it was asked, and gave no answer that would do */
        dial_next_server(t);
    else
        dial_address(t);
}

void uplink_expired(struct tunnel *t)
{
    if (t->state == TUNNEL_ANSWER) {
        answer_failed(t, REASON_ANSWER_TIMEOUT, "none in time");
        return;
    }
    tunnel_enter(t, TUNNEL_DIAL); /* a deadline of its own for whatever is tried next */
    if (t->backend.handle == STREAM_HANDLE_NONE) {
        note_failure(t, REASON_BACKEND_UNREACHABLE, true, "resolve", "no answer in time");
        dial_next_server(t);
    } else {
        dial_failed(t, REASON_BACKEND_UNREACHABLE,
                    t->backend.in == STREAM_IN_IDLE || !is_asked_for_client(t), "connect",
                    "no answer in time");
    }
}
