#include "call/uplink.h"

#include <stdio.h>
#include <string.h>

#include "call/call.h"
#include "call/entry.h"
#include "call/negotiation.h"
#include "net/dial.h"
#include "policy/backends.h"
#include "site/site.h"
#include "tls/tls_conn.h"
#include "upstream/upstream.h"
#include "wire/http_build.h"
#include "wire/http_response.h"
#include "wire/proxyproto.h"

enum { BACKEND_LINES_PER_SECOND = 20 }; /* for each worker */

/* ---- dial ---- */

static void dial_server(struct call *call);

static void log_backend(struct call *call, const char *what, const char *why)
{
    char name[BACKENDS_NAME_MAX];
    struct log_line l;
    unsigned missed;

    if (!log_limit_pass(&call->set->limit_backend, call_now(call), BACKEND_LINES_PER_SECOND,
                        &missed))
        return;
    record_line(&call->record, &l, LOG_LEVEL_WARNING, "backend");
    log_str(&l, "backend", call->record.backend);
    if (call->uplink.at_server)
        log_str(&l, "server",
                backends_name(call->uplink.backend->servers, call->uplink.server, name));
    log_str(&l, "failed", what);
    log_str(&l, "msg", why);
    if (missed > 0)
        log_num(&l, "lines-left-out", missed);
    log_end(&l);
}

/* A server that is told who the client is, or which tenant is meant, may have something against
 * these: a stranger must not be able to bring it down by being refused. */
static bool is_asked_for_client(const struct call *call)
{
    const struct config_backend *c = call->uplink.backend->config;
    return c->send_proxy != CONFIG_SEND_PROXY_NO ||
           (c->pass_tenant && call->request.tenant != NULL);
}

/* What is wrong with the server for this call; blame: and for others, too. */
static void note_failure(struct call *call, enum reason why, bool blame, const char *what,
                         const char *text)
{
    char cause[BACKENDS_CAUSE_MAX];

    log_backend(call, what, text);
    call->uplink.failure = why;
    if (!blame)
        return;
    snprintf(cause, sizeof cause, "%s: %s", what, text);
    record_keep(&call->uplink.blame, span_str(cause));
}

static void dial_done(struct call *call)
{
    dial_free(call->uplink.dial);
    call->uplink.dial = NULL;
}

void uplink_leave(struct call *call)
{
    dial_done(call);
    if (call->uplink.at_server)
        backends_release(call->uplink.backend->servers, call->uplink.server);
    call->uplink.at_server = false;
}

/* It had its chance. */
static void dial_next_server(struct call *call)
{
    if (call->uplink.blame != NULL)
        upstream_report(call->uplink.backend, call->uplink.server, false, call->uplink.blame,
                        call_now(call));
    record_keep(&call->uplink.blame, span_of(NULL, 0));
    uplink_leave(call);
    dial_server(call);
}

static void dial_address(struct call *call)
{
    struct addr to;
    char text[ADDR_TEXT_MAX];

    if (!dial_next(call->uplink.dial, &to)) {
        dial_next_server(call);
        return;
    }
    call_enter(call, CALL_DIAL);
    record_keep(&call->record.server, span_str(addr_format(&to, text)));
    int r = stream_connect(&call->backend, &to);
    if (r != 0) /* the stream closes, and uplink_closed goes on */
        note_failure(call, REASON_BACKEND_UNREACHABLE, !stream_starved(r), "connect",
                     stream_strerror(r));
}

static void on_resolved(void *arg, int status)
{
    struct call *call = arg;
    if (status != 0)
        note_failure(call, REASON_BACKEND_UNREACHABLE, !stream_starved(status), "resolve",
                     stream_strerror(status));
    dial_address(call); /* without addresses that is the next server */
}

static void no_server(struct call *call)
{
    char why[BACKENDS_CAUSE_MAX];

    record_keep(&call->record.server, span_of(NULL, 0));
    if (call->uplink.failure == REASON_NONE) { /* none was tried */
        backends_why_none(call->uplink.backend->servers, why);
        record_keep(&call->record.detail, span_str(why));
        log_backend(call, "choose", why);
        call->uplink.failure = REASON_NO_SERVER;
    }
    if (call->web) { /* the call's reason is why its client was sent there */
        snprintf(why, sizeof why, "instead of the web site: %s",
                 reason_info(call->uplink.failure)->name);
        record_keep(&call->record.detail, span_str(why));
    }
    call_end(call, call->uplink.failure);
}

static void dial_server(struct call *call)
{
    if (!backends_choose(call->uplink.backend->servers, &call->record.client, &call->uplink.tried,
                         call_now(call), &call->uplink.server)) {
        no_server(call);
        return;
    }
    const struct backends_server *to = upstream_server(call->uplink.backend, call->uplink.server);
    call->uplink.at_server = true;
    if (call->uplink.failure == REASON_NONE)
        call->uplink.failure = REASON_BACKEND_UNREACHABLE; /* if its name has no address, say */
    call_enter(call, CALL_DIAL);
    call->uplink.dial = dial_new(call->set->worker, to->host, to->port, on_resolved, call);
}

void uplink_dial(struct call *call, const struct config_backend *backend)
{
    call->uplink.backend = &call->site->backend[backend - call->site->config->backend];
    call->record.backend = backend->name;
    dial_server(call);
}

/* Closes this address; uplink_closed tries the next one. An alert may be on its way. */
static void dial_failed(struct call *call, enum reason why, bool blame, const char *what,
                        const char *text)
{
    note_failure(call, why, blame, what, text);
    stream_close(&call->backend, false);
}

static void ask(struct call *call)
{
    uint8_t head[HTTP_BUILD_MAX];
    const size_t n = upstream_request(
        call->uplink.backend, call->uplink.server, call->record.correlation,
        call->uplink.backend->config->pass_tenant ? call->request.tenant : NULL, head);

    dial_done(call);
    call_enter(call, CALL_ANSWER);
    stream_write(&call->backend, span_of(head, n));
}

static void served(struct call *call)
{
    upstream_report(call->uplink.backend, call->uplink.server, true, "a call was answered",
                    call_now(call));
    record_keep(&call->uplink.blame, span_of(NULL, 0));
}

static void ready(struct call *call)
{
    if (!call->web) {
        ask(call);
        return;
    }
    dial_done(call);
    served(call);
    call_enter(call, CALL_WEB);
    /* A visitor is a stranger: a visitor that reads nothing must not cost more than a call. */
    stream_narrow(&call->client);
    stream_narrow(&call->backend);
    stream_resume(&call->client);
    stream_kick(&call->client); /* everything it has said since its handshake */
}

static void end_from_addr(struct proxyproto_end *out, const struct addr *a)
{
    *out = (struct proxyproto_end){.family = a->family == AF_INET ? 4 : 6, .port = a->port};
    memcpy(out->ip, a->ip, a->family == AF_INET ? 4 : 16);
}

void uplink_connected(struct call *call, int status)
{
    struct proxyproto p = {0};

    if (status != 0) {
        dial_failed(call, REASON_BACKEND_UNREACHABLE, !stream_starved(status), "connect",
                    stream_strerror(status));
        return;
    }
    end_from_addr(&p.source, &call->record.client);
    end_from_addr(&p.destination, &call->record.local);
    p.authority = tls_conn_sni(call->client.tls);
    p.tls.present = true;
    p.tls.client = PROXYPROTO_CLIENT_TLS;
    p.tls.verify = 1; /* there was no client certificate to verify */
    p.tls.version = span_str(call->record.tls_version);
    p.tls.cipher = span_str(call->record.tls_cipher);
    if (upstream_start(call->uplink.backend, call->uplink.server, &call->backend, &p))
        ready(call);
}

void uplink_secure(struct call *call)
{
    char why[UPSTREAM_WHY_MAX];

    if (upstream_trusted(call->uplink.backend, &call->backend, why))
        ready(call);
    else
        dial_failed(call, REASON_BACKEND_UNVERIFIED, true, "verify", why);
}

/* ---- the answer ---- */

/* Tries the next server: no SSTP packet was sent yet, and the client's packets wait. This server
 * has nothing left to read, so it gets a reset, which leaves no port in TIME_WAIT, because anybody
 * can send requests that a server refuses. */
static void answer_failed(struct call *call, enum reason why, const char *text)
{
    call_enter(call, CALL_DIAL);
    note_failure(call, why, !is_asked_for_client(call), "answer", text);
    stream_close(&call->backend, true);
}

static void negotiate(struct call *call)
{
    uint8_t head[HTTP_BUILD_MAX];
    char date[32];
    struct binding_leaf ours, theirs = call->uplink.backend->told;

    served(call);
    upstream_leaf(&call->client, &ours);
    if (theirs.known == 0)
        upstream_leaf(&call->backend, &theirs);
    call->negotiation = negotiation_new(call->uplink.backend, &ours, &theirs, &call->record);
    negotiation_use_leaves(call->negotiation, call->set->shared->leaves);
    negotiation_use_keyring(call->negotiation, call->set->shared->keyring);
    if (rules_needs_user(&call->listener->config->rules))
        negotiation_ask_user(call->negotiation, entry_user_allowed, call);
    call_enter(call, CALL_NEGOTIATE);
    stream_write(&call->client, span_of(head, http_build_accept(head, call_http_date(date))));
    stream_kick(&call->client); /* octets it sent without waiting for the answer */
}

size_t uplink_answer_read(struct call *call, struct span in)
{
    struct http_response response;
    enum err e = http_response_parse(in, &response);

    if (e == ERR_MORE)
        return 0;
    if (e != ERR_OK) {
        answer_failed(call, REASON_BACKEND_BAD_ANSWER, "not HTTP");
        return in.n;
    }
    if (response.status != 200) {
        char text[40];
        snprintf(text, sizeof text, "status %u instead of 200", response.status);
        answer_failed(call, REASON_BACKEND_REFUSED, text);
        return in.n;
    }
    negotiate(call);
    return response.len;
}

/* ---- what may come in between ---- */

bool uplink_ended(struct call *call, enum stream_end why)
{
    const char *text = why == STREAM_TLS ? stream_error(&call->backend) : "closed";

    if (call->state == CALL_DIAL) {
        bool unverified = why == STREAM_TLS && tls_conn_unverified(call->backend.tls);
        dial_failed(call, unverified ? REASON_BACKEND_UNVERIFIED : REASON_BACKEND_TLS,
                    unverified || !is_asked_for_client(call), "tls", text);
        return true;
    }
    if (call->state == CALL_ANSWER) {
        answer_failed(call, REASON_BACKEND_BAD_ANSWER, text);
        return true;
    }
    return false;
}

void uplink_closed(struct call *call)
{
    if (call->uplink.dial == NULL) /* it was asked, and gave no answer that would do */
        dial_next_server(call);
    else
        dial_address(call);
}

void uplink_expired(struct call *call)
{
    if (call->state == CALL_ANSWER) {
        answer_failed(call, REASON_ANSWER_TIMEOUT, "none in time");
        return;
    }
    call_enter(call, CALL_DIAL); /* a deadline of its own for whatever is tried next */
    if (call->backend.handle == STREAM_HANDLE_NONE) {
        note_failure(call, REASON_BACKEND_UNREACHABLE, true, "resolve", "no answer in time");
        dial_next_server(call);
    } else {
        dial_failed(call, REASON_BACKEND_UNREACHABLE,
                    call->backend.in == STREAM_IN_IDLE || !is_asked_for_client(call), "connect",
                    "no answer in time");
    }
}
