#include "call/uplink.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hostname.h"
#include "call/admission.h"
#include "call/negotiation.h"
#include "net/dial.h"
#include "policy/backends.h"
#include "site/sessions.h"
#include "site/site.h"
#include "tls/tls_conn.h"
#include "upstream/upstream.h"
#include "wire/http_build.h"
#include "wire/http_response.h"
#include "wire/proxyproto.h"

enum { BACKEND_LINES_PER_SECOND = 20 }; /* for each worker */

/* A server that rejects the binding ends the tunnel at most this time after it has come up. A
 * server answers a wrong Call Connected at once ([MS-SSTP] 3.3.5.2.3); the rest is for slow
 * networks. */
enum { DOUBT_MS = 5000 };

/* ---- dial ---- */

static void dial_server(struct call *call);

static void log_backend(struct call *call, const char *what, const char *why)
{
    char name[BACKENDS_NAME_MAX];
    struct log_line l;

    if (!record_line_limited(&call->record, &l, LOG_LEVEL_WARNING, "backend",
                             &call->set->limit_backend, call_now(call), BACKEND_LINES_PER_SECOND))
        return;
    log_str(&l, "backend", call->record.backend);
    if (call->uplink.place != NULL)
        log_str(&l, "server", backends_place_name(call->uplink.place, name));
    log_str(&l, "failed", what);
    log_str(&l, "msg", why);
    log_end(&l);
}

/* The party at fault when a server does not serve this call. */
enum fault {
    FAULT_OF_SERVER, /* other calls would fail, too: the server is reported down */
    FAULT_OF_GATE,   /* descriptors, ports or memory are used up */
    FAULT_OF_CLIENT, /* or of the server: the gate cannot know */
};

static enum fault fault_of_status(int status)
{
    return stream_starved(status) ? FAULT_OF_GATE : FAULT_OF_SERVER;
}

/* Returns the fault of a server's refusal. A server that receives the client's address or the
 * tenant may refuse the call because of them, and an attacker must not be able to have a server
 * reported down by such refusals. */
static enum fault fault_of_refusal(const struct call *call)
{
    const struct config_backend *c = call->uplink.backend->config;

    return c->send_proxy != CONFIG_SEND_PROXY_NO || (c->pass_tenant && call->request.tenant != NULL)
               ? FAULT_OF_CLIENT
               : FAULT_OF_SERVER;
}

/* Logs and keeps the failure of the server. what: the step that failed, a word. text: the
 * cause. */
static void note_failure(struct call *call, enum reason why, enum fault fault, const char *what,
                         const char *text)
{
    char cause[BACKENDS_CAUSE_MAX];

    log_backend(call, what, text);
    call->uplink.failure = why;
    if (fault != FAULT_OF_SERVER)
        return;
    snprintf(cause, sizeof cause, "%s: %s", what, text);
    record_keep(&call->uplink.blame, span_str(cause));
}

static void forget_dial(struct call *call)
{
    dial_free(call->uplink.dial);
    call->uplink.dial = NULL;
}

static void leave_server(struct call *call)
{
    if (call->uplink.place != NULL)
        backends_release(call->uplink.place);
    call->uplink.place = NULL;
}

void uplink_leave(struct call *call)
{
    leave_server(call);
    sessions_unref(call->uplink.sessions);
    free(call->uplink.blame);
}

void uplink_dial_left(struct call *call, enum call_state next)
{
    if (next != CALL_DIAL)
        forget_dial(call);
}

/* Abandons the current server and tries the next one. */
static void dial_next_server(struct call *call)
{
    if (call->uplink.blame != NULL)
        upstream_report(call->uplink.backend, call->uplink.server, false, call->uplink.blame,
                        call_now(call));
    record_keep(&call->uplink.blame, span_of(NULL, 0));
    forget_dial(call);
    leave_server(call);
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
    call->record.resumed = false;
    int r = stream_connect(&call->backend, &to);
    if (r != 0) /* the stream closes, and then uplink_dial_closed tries the next address */
        note_failure(call, REASON_BACKEND_UNREACHABLE, fault_of_status(r), "connect",
                     stream_strerror(r));
}

static void on_resolved(void *arg, int status)
{
    struct call *call = arg;
    if (status != 0)
        note_failure(call, REASON_BACKEND_UNREACHABLE, fault_of_status(status), "resolve",
                     stream_strerror(status));
    dial_address(call); /* without addresses, dial_address tries the next server */
}

static void no_server(struct call *call)
{
    char why[BACKENDS_CAUSE_MAX];

    record_keep(&call->record.server, span_of(NULL, 0));
    if (call->uplink.failure == REASON_NONE) { /* no server was tried */
        backends_why_none(call->uplink.backend->servers, why);
        record_keep(&call->record.detail, span_str(why));
        if (strstr(why, "full") != NULL)
            tally_add(&call->set->tally.gate.limits[TALLY_LIMIT_SERVERS], 1);
        log_backend(call, "choose", why);
        call->uplink.failure = REASON_NO_SERVER;
    }
    if (call->uplink.next == CALL_WEB) { /* the call has a reason already: that of the decoy */
        snprintf(why, sizeof why, "the web site is not available: %s",
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
    call->uplink.place = backends_place_at(call->uplink.backend->servers, call->uplink.server);
    if (call->uplink.failure == REASON_NONE)
        call->uplink.failure = REASON_BACKEND_UNREACHABLE; /* unless the failure is known */
    call_enter(call, CALL_DIAL);
    call->uplink.dial = dial_new(call->set->worker, to->host, to->port, on_resolved, call);
}

void uplink_dial(struct call *call, const struct config_backend *backend, enum call_state next)
{
    call->uplink.backend = &call->site->backend[backend - call->site->config->backend];
    call->uplink.next = next;
    record_keep(&call->record.backend, span_str(backend->name));
    dial_server(call);
}

/* Closes the connection to this address; uplink_dial_closed tries the next one. The connection is
 * not reset, because an alert may be in the queue. */
static void dial_failed(struct call *call, enum reason why, enum fault fault, const char *what,
                        const char *text)
{
    note_failure(call, why, fault, what, text);
    stream_close(&call->backend, false);
}

static void send_request(struct call *call)
{
    const struct site_backend *b = call->uplink.backend;
    uint8_t head[HTTP_BUILD_MAX];
    const size_t n = upstream_request(b, call->uplink.server, call->record.correlation,
                                      b->config->pass_tenant ? call->request.tenant : NULL, head);

    call_enter(call, CALL_ANSWER);
    stream_write(&call->backend, span_of(head, n));
}

static void report_success(struct call *call)
{
    upstream_report(call->uplink.backend, call->uplink.server, true, "a call succeeded",
                    call_now(call));
    record_keep(&call->uplink.blame, span_of(NULL, 0));
}

/* Frees the DER of a leaf, which is not needed after both leaves were hashed. */
static void forget_leaf(const struct stream *s)
{
    if (s->tls != NULL)
        tls_conn_forget_leaf(s->tls);
}

static void forget_leaves(struct call *call)
{
    forget_leaf(&call->client);
    forget_leaf(&call->backend);
}

static void visit_site(struct call *call)
{
    report_success(call);
    forget_leaves(call);
    call_enter(call, CALL_WEB);
    /* Any client can connect to the web site, and a client that does not read must not cost more
     * memory than a call. */
    stream_narrow(&call->client);
    stream_narrow(&call->backend);
    stream_resume(&call->client);
    stream_kick(&call->client); /* all bytes that the client has sent since its handshake */
}

static void server_is_ready(struct call *call)
{
    if (call->uplink.next == CALL_WEB)
        visit_site(call);
    else
        send_request(call);
}

static void end_from_addr(struct proxyproto_end *out, const struct addr *a)
{
    *out = (struct proxyproto_end){.family = a->family == AF_INET ? 4 : 6, .port = a->port};
    memcpy(out->ip, a->ip, a->family == AF_INET ? 4 : 16);
}

void uplink_connected(struct call *call, int status)
{
    struct proxyproto p = {0};
    char authority[HOSTNAME_SIZE];

    if (status != 0) {
        dial_failed(call, REASON_BACKEND_UNREACHABLE, fault_of_status(status), "connect",
                    stream_strerror(status));
        return;
    }
    if (record_has_client(&call->record)) {
        end_from_addr(&p.source, &call->record.client);
        end_from_addr(&p.destination, &call->record.local);
    }
    if (hostname_normal(tls_conn_sni(call->client.tls), authority))
        p.authority = span_str(authority);
    p.tls.present = true;
    p.tls.client = PROXYPROTO_CLIENT_TLS;
    p.tls.verify = 1; /* there was no client certificate to verify */
    p.tls.version = span_str(call->record.tls_version);
    p.tls.cipher = span_str(call->record.tls_cipher);
    if (upstream_start(call->uplink.backend, call->uplink.server, &call->backend, &p,
                       UPSTREAM_CALL))
        server_is_ready(call);
}

/* Removes the server's session, which may be the cause of a failure of TLS. */
static void distrust_session(const struct call *call)
{
    sessions_distrust(call->uplink.backend->sessions, call->uplink.server, call_now(call));
}

static void note_resumed(struct call *call)
{
    call->record.resumed = tls_conn_resumed(call->backend.tls);
    sessions_unref(call->uplink.sessions);
    call->uplink.sessions =
        call->record.resumed ? sessions_ref(call->uplink.backend->sessions) : NULL;
    call->uplink.doubt = UINT64_MAX;
}

void uplink_secure(struct call *call)
{
    char why[UPSTREAM_WHY_MAX];

    note_resumed(call);
    if (!call->record.resumed)
        upstream_compare_session(call->uplink.backend, call->uplink.server, &call->backend);
    call->record.server_records = tls_conn_records(call->backend.tls);
    tally_records(&call->set->tally, TALLY_SERVER, call->record.server_records);
    if (upstream_trusted(call->uplink.backend, &call->backend, why)) {
        server_is_ready(call);
        return;
    }
    distrust_session(call);
    dial_failed(call, REASON_BACKEND_UNVERIFIED, FAULT_OF_SERVER, "verify", why);
}

void uplink_up(struct call *call)
{
    call->uplink.doubt = call_now(call) + DOUBT_MS;
}

void uplink_server_ends(struct call *call)
{
    const struct record *r = &call->record;

    if (call->reason == REASON_NONE && r->binding == RECORD_BINDING_VERIFIED && r->refusal == 0 &&
        call_now(call) < call->uplink.doubt)
        sessions_distrust(call->uplink.sessions, call->uplink.server, call_now(call));
}

/* ---- the answer ---- */

/* Tries the next server: no SSTP packet was sent yet, and the client's packets wait. The server
 * gets a reset, because it has nothing left to read, and a reset leaves no port in TIME_WAIT, with
 * any number of refused requests from an attacker. */
static void answer_failed(struct call *call, enum reason why, const char *text)
{
    call_enter(call, CALL_DIAL);
    note_failure(call, why, fault_of_refusal(call), "answer", text);
    stream_close(&call->backend, true);
}

static void negotiate(struct call *call)
{
    uint8_t head[HTTP_BUILD_MAX];
    char date[32];
    struct binding_leaf ours, theirs = call->uplink.backend->configured_leaf;

    report_success(call);
    upstream_leaf(&call->client, &ours);
    if (theirs.known == 0)
        upstream_leaf(&call->backend, &theirs);
    forget_leaves(call);
    call->negotiation = negotiation_new(call->uplink.backend, &ours, &theirs, &call->record);
    negotiation_use_clock(call->negotiation, call_time);
    negotiation_use_leaves(call->negotiation, call->set->shared->leaves);
    negotiation_use_keyring(call->negotiation, call->set->shared->keyring);
    if (rules_needs_user(&call->listener->config->rules))
        negotiation_ask_user(call->negotiation, admission_user_allowed, call);
    call_enter(call, CALL_NEGOTIATE);
    stream_write(&call->client,
                 span_of(head, http_build_accept(head, call_http_date(date, call_time()))));
    stream_kick(&call->client); /* bytes that the client sent without waiting for the answer */
}

size_t uplink_answer_read(struct call *call, struct span in)
{
    struct http_response response;
    enum err e = http_response_parse(in, &response);

    if (e == ERR_MORE)
        return 0;
    if (e != ERR_OK) {
        answer_failed(call, REASON_BACKEND_BAD_ANSWER, upstream_bad_answer(e));
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

void uplink_answer_expired(struct call *call)
{
    answer_failed(call, REASON_ANSWER_TIMEOUT, "timed out");
}

/* ---- failures ---- */

static const char *text_of_end(const struct call *call, enum stream_end why)
{
    return why == STREAM_TLS ? stream_error(&call->backend) : "closed";
}

void uplink_answer_ended(struct call *call, enum stream_end why)
{
    answer_failed(call, REASON_BACKEND_BAD_ANSWER, text_of_end(call, why));
}

void uplink_dial_ended(struct call *call, enum stream_end why)
{
    const char *step = upstream_step(&call->backend);
    char text[UPSTREAM_WHY_MAX] = "closed";

    distrust_session(call);
    if (why == STREAM_TLS)
        upstream_tls_why(&call->backend, text);
    if (why == STREAM_TLS && tls_conn_unverified(call->backend.tls))
        dial_failed(call, REASON_BACKEND_UNVERIFIED, FAULT_OF_SERVER, step, text);
    else
        dial_failed(call, REASON_BACKEND_TLS, fault_of_refusal(call), step, text);
}

void uplink_dial_closed(struct call *call)
{
    if (call->uplink.dial == NULL) /* the server was asked, and its answer was refused */
        dial_next_server(call);
    else
        dial_address(call);
}

void uplink_dial_expired(struct call *call)
{
    call_enter(call, CALL_DIAL); /* the next attempt gets a deadline of its own */
    if (call->backend.handle == STREAM_HANDLE_NONE) {
        note_failure(call, REASON_BACKEND_UNREACHABLE, FAULT_OF_SERVER, "resolve", "timed out");
        dial_next_server(call);
    } else if (call->backend.in == STREAM_IN_IDLE) {
        dial_failed(call, REASON_BACKEND_UNREACHABLE, FAULT_OF_SERVER, "connect", "timed out");
    } else {
        distrust_session(call);
        dial_failed(call, REASON_BACKEND_TLS, fault_of_refusal(call), "tls",
                    "timed out: the server accepts connections, but does not answer in TLS");
    }
}
