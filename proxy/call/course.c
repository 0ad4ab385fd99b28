#include "call/course.h"

#include <stdlib.h>

#include "base/insist.h"
#include "call/acme.h"
#include "call/admission.h"
#include "call/entry.h"
#include "call/failures.h"
#include "call/relay.h"
#include "call/uplink.h"
#include "policy/backends.h"
#include "site/site.h"
#include "tls/tls_conn.h"

/* Bytes that are read from a client whose call has ended, so that a reset does not overtake the
 * gate's last messages. */
enum { LATE_MAX = 65536 };

static size_t linger_read(struct call *call, struct span in);

struct row {
    /* the client: bytes (returns the number of bytes consumed); the first bytes of TLS; the end of
     * the TLS handshake; the end of the stream, with bytes unread */
    size_t (*client_read)(struct call *call, struct span in);
    struct tls_conn *(*client_hello)(struct call *call);
    void (*client_secure)(struct call *call);
    void (*client_last)(struct call *call);
    /* the backend: bytes; the result of connecting; the end of the TLS handshake; the end of the
     * stream; libuv's close callback */
    size_t (*backend_read)(struct call *call, struct span in);
    void (*backend_connected)(struct call *call, int status);
    void (*backend_secure)(struct call *call);
    void (*backend_ended)(struct call *call, enum stream_end why);
    void (*backend_closed)(struct call *call);
    /* the deadline: a function, or the reason for which the call ends */
    void (*expired)(struct call *call);
    enum reason late;
    /* the call is about to enter state next */
    void (*leave)(struct call *call, enum call_state next);
};

/* The course of a call: one row for each state. Empty cell: bytes are discarded, backend_gone
 * handles the backend's end, and other events are ignored. DRAIN reads by the row of the state in
 * which the end began. */
static const struct row course[CALL_STATES] = {
    [CALL_PROXY] = {.client_read = entry_proxy_read, .late = REASON_HANDSHAKE_TIMEOUT},
    [CALL_HELLO] = {.client_read = acme_first_read,
                    .client_hello = entry_hello,
                    .expired = entry_hello_expired},
    [CALL_HANDSHAKE] = {.client_secure = entry_secure, .late = REASON_HANDSHAKE_TIMEOUT},
    [CALL_REQUEST] = {.client_read = entry_request_read,
                      .client_last = entry_request_ended,
                      .expired = entry_request_expired},
    [CALL_DIAL] = {.client_read = entry_early_read,
                   .backend_connected = uplink_connected,
                   .backend_secure = uplink_secure,
                   .backend_ended = uplink_dial_ended,
                   .backend_closed = uplink_dial_closed,
                   .expired = uplink_dial_expired,
                   .leave = uplink_dial_left},
    [CALL_ANSWER] = {.client_read = entry_early_read,
                     .backend_read = uplink_answer_read,
                     .backend_ended = uplink_answer_ended,
                     .expired = uplink_answer_expired},
    [CALL_NEGOTIATE] = {.client_read = relay_negotiate_up,
                        .backend_read = relay_negotiate_down,
                        .late = REASON_NEGOTIATE_TIMEOUT,
                        .leave = relay_negotiation_left},
    [CALL_KEY] = {.client_read = relay_negotiate_up,
                  .backend_read = relay_negotiate_down,
                  .expired = relay_key_expired,
                  .leave = relay_key_left},
    [CALL_COUNT] = {.client_read = relay_count_read,
                    .backend_read = relay_count_read,
                    .late = REASON_NEGOTIATE_TIMEOUT,
                    .leave = relay_count_left},
    [CALL_RELAY] = {.client_read = relay_up,
                    .backend_read = relay_down,
                    .late = REASON_IDLE_TIMEOUT,
                    .leave = relay_left},
    [CALL_WEB] = {.client_read = relay_web_up,
                  .backend_read = relay_web_down,
                  .late = REASON_IDLE_TIMEOUT},
    [CALL_ACME] = {.client_read = acme_read,
                   .backend_read = acme_answer_read,
                   .backend_connected = acme_connected,
                   .expired = acme_expired},
    [CALL_DRAIN] = {.late = REASON_DRAIN_TIMEOUT, .leave = relay_negotiation_left},
    [CALL_LINGER] = {.client_read = linger_read, .late = REASON_DRAIN_TIMEOUT},
    [CALL_CLOSED] = {0},
};

static const struct row *row_of(const struct call *call)
{
    return &course[call->state];
}

/* Returns the row by which bytes are read. */
static const struct row *reading_row(const struct call *call)
{
    return &course[call->state == CALL_DRAIN ? call->ended_in : call->state];
}

void course_leave(struct call *call, enum call_state next)
{
    if (row_of(call)->leave != NULL)
        row_of(call)->leave(call, next);
}

void course_expire(struct call *call)
{
    if (row_of(call)->expired != NULL)
        row_of(call)->expired(call);
    else if (row_of(call)->late != REASON_NONE)
        call_end(call, row_of(call)->late);
}

static struct call *of_client(struct stream *s)
{
    return (struct call *)((char *)s - offsetof(struct call, client));
}

static struct call *of_backend(struct stream *s)
{
    return (struct call *)((char *)s - offsetof(struct call, backend));
}

/* ---- bytes ---- */

static size_t linger_read(struct call *call, struct span in)
{
    call->late += in.n;
    if (call->late > LATE_MAX)
        stream_pause(&call->client); /* the deadline ends the call */
    return in.n;
}

static size_t client_read(struct stream *s, struct span in)
{
    struct call *call = of_client(s);
    const struct row *row = reading_row(call);
    return row->client_read != NULL ? row->client_read(call, in) : in.n;
}

static size_t backend_read(struct stream *s, struct span in)
{
    struct call *call = of_backend(s);
    const struct row *row = reading_row(call);
    return row->backend_read != NULL ? row->backend_read(call, in) : in.n;
}

static bool relaying(const struct call *call)
{
    return call->state >= CALL_NEGOTIATE && call->state <= CALL_DRAIN;
}

/* Pauses the backend, because the client does not take its bytes; backend_full does the
 * reverse. */
static void client_full(struct stream *s)
{
    struct call *call = of_client(s);
    if (relaying(call))
        stream_pause(&call->backend);
}

static void backend_full(struct stream *s)
{
    struct call *call = of_backend(s);
    if (relaying(call))
        stream_pause(&call->client);
}

/* Resumes the other side, which was paused until this side had taken its queued bytes. A client in
 * KEY remains paused, because its next packet must not overtake the Call Connected that waits for a
 * key; so do both sides in COUNT. */
static void resume_other(struct call *call, struct stream *other)
{
    const bool waits =
        call->state == CALL_COUNT || (call->state == CALL_KEY && other == &call->client);
    if (relaying(call) && !waits && stream_paused(other))
        stream_resume(other);
}

static void client_sent(struct stream *s)
{
    struct call *call = of_client(s);
    resume_other(call, &call->backend);
    call_end_if_drained(call);
}

static void backend_sent(struct stream *s)
{
    struct call *call = of_backend(s);
    resume_other(call, &call->client);
    call_end_if_drained(call);
}

/* ---- connecting, and TLS ---- */

static struct tls_conn *client_hello(struct stream *s)
{
    struct call *call = of_client(s);
    INSIST(row_of(call)->client_hello != NULL);
    return row_of(call)->client_hello(call);
}

static void client_secure(struct stream *s)
{
    struct call *call = of_client(s);
    if (row_of(call)->client_secure != NULL)
        row_of(call)->client_secure(call);
}

static void backend_connected(struct stream *s, int status)
{
    struct call *call = of_backend(s);
    if (row_of(call)->backend_connected != NULL)
        row_of(call)->backend_connected(call, status);
}

static void backend_secure(struct stream *s)
{
    struct call *call = of_backend(s);
    if (row_of(call)->backend_secure != NULL)
        row_of(call)->backend_secure(call);
}

/* ---- the ends of the two connections ---- */

/* Ends the gate's direction of one side. After a call the backend sends its FIN first, so that no
 * port of the gate remains in TIME_WAIT, with any number of calls from an attacker. A web site gets
 * a FIN, because a web server need not treat close_notify alone as the end. */
static void end_towards(struct call *call, struct stream *to)
{
    if (to == &call->backend && call->ended_in != CALL_WEB)
        stream_notify(to);
    else
        stream_shutdown(to);
}

/* Handles the end of one side's bytes. other: the stream of the other side. */
static void side_ended(struct call *call, struct stream *other, enum reason reason)
{
    call_end(call, reason);
    if (call->state == CALL_CLOSED)
        return;
    end_towards(call, other);
    call_end_if_drained(call);
}

static void client_last(struct stream *s)
{
    struct call *call = of_client(s);
    if (row_of(call)->client_last != NULL)
        row_of(call)->client_last(call);
}

/* Returns whether the client has received the certificate and closes without a request. WinHTTP
 * completes the handshake before it verifies the certificate, and then sends no alert. */
static bool left_at_certificate(const struct call *call)
{
    return call->state == CALL_REQUEST
               ? blocks_empty(&call->client.held)
               : call->state == CALL_HANDSHAKE && tls_conn_shown(call->client.tls);
}

static enum reason tls_reason(const struct call *call)
{
    const struct tls_conn *tls = call->client.tls;

    if (tls_conn_key_failed(tls))
        return REASON_KEY_FAILED;
    if (tls_conn_distrusted(tls))
        return REASON_CLIENT_REJECTED_CERTIFICATE;
    return tls_conn_refused(tls) ? REASON_TLS_REFUSED : REASON_TLS_FAILED;
}

/* Records the server name and the TLS version that the client has offered, if the handshake has
 * failed. */
static void note_handshake(struct call *call)
{
    const struct tls_conn *tls = call->client.tls;

    if (call->state != CALL_HANDSHAKE)
        return;
    record_keep(&call->record.sni, tls_conn_sni(tls));
    call->record.tls_offered = tls_conn_offered(tls);
}

static void client_ended(struct stream *s, enum stream_end why)
{
    struct call *call = of_client(s);

    note_handshake(call);
    if (call->state == CALL_ACME)
        acme_client_ends(call);
    if ((why == STREAM_EOF || why == STREAM_RESET) && left_at_certificate(call)) {
        record_keep(&call->record.detail, span_str("closed without a request"));
        call_keep_reason(call, REASON_CLIENT_REJECTED_CERTIFICATE);
    }
    switch (why) {
    case STREAM_TLS:
        record_keep(&call->record.detail, span_str(stream_error(s)));
        call_end(call, tls_reason(call));
        break;
    case STREAM_OVERFLOW: call_end(call, REASON_EARLY_DATA); break;
    case STREAM_RESET:
        entry_left(call);
        call_end(call, REASON_CLIENT_RESET);
        break;
    case STREAM_EOF:
        entry_left(call);
        side_ended(call, &call->backend, REASON_CLIENT_CLOSED);
        break;
    }
}

static void backend_gone(struct call *call, enum stream_end why)
{
    uplink_server_ends(call);
    if (call->state == CALL_ACME)
        acme_server_ends(call);
    switch (why) {
    case STREAM_TLS:
        record_keep(&call->record.detail, span_str(stream_error(&call->backend)));
        call_end(call, REASON_BACKEND_TLS);
        break;
    case STREAM_OVERFLOW: call_end(call, REASON_BACKEND_BAD_PACKET); break;
    case STREAM_RESET: call_end(call, REASON_BACKEND_RESET); break;
    case STREAM_EOF:
        call_keep_reason(call, REASON_BACKEND_CLOSED); /* not login-refused, because the server may
                                                        * have crashed */
        relay_login_ends(call);
        side_ended(call, &call->client, REASON_BACKEND_CLOSED);
        break;
    }
}

static void backend_ended(struct stream *s, enum stream_end why)
{
    struct call *call = of_backend(s);

    if (row_of(call)->backend_ended != NULL)
        row_of(call)->backend_ended(call, why);
    else
        backend_gone(call, why);
}

/* ---- the end of the call ---- */

/* Counts the end of the call, and the verdict on its binding if no tunnel came up: relay.c has
 * counted the verdict of a tunnel. */
static void count_end(struct call *call, enum reason_outcome outcome)
{
    struct tally *tally = &call->set->tally;

    tally_add(&call->tally->calls.ended[call->reason][outcome], 1);
    if (call->record.leaf_unknown)
        tally_add(&tally->gate.leaf_unknown, 1);
    if (call->record.binding != RECORD_BINDING_NONE && call->ended_in != CALL_RELAY)
        tally_binding(tally, &call->record);
}

/* Keeps a call that was refused or has failed, for the views of an administrator. */
static void keep_failure(const struct call *call)
{
    const struct record *r = &call->record;
    const struct uplink *u = &call->uplink;
    char name[BACKENDS_NAME_MAX];
    struct failure f = {.time_ms = call_time_ms(),
                        .worker = r->worker,
                        .number = r->number,
                        .reason = call->reason,
                        .outcome = call_outcome(call),
                        .stage = call_stage(call),
                        .client = r->client,
                        .listener = r->listener,
                        .user = r->user,
                        .host = r->host,
                        .sni = r->sni,
                        .detail = r->detail,
                        .backend = r->backend,
                        .server = r->server};

    if (f.server == NULL && u->tried != 0) /* the last server was not reached */
        f.server = backends_name(u->backend->servers, u->server, name);
    failures_add(call->set->shared->failures, &f);
}

/* Logs the end of the call, or counts it as a health check. */
static void report_end(struct call *call)
{
    struct call_set *set = call->set;
    const struct record_end end = {call->reason, call_outcome(call), call_stage(call),
                                   call->check != CHECK_NONE};

    count_end(call, end.outcome);
    if (call->check != CHECK_NONE)
        checks_count(&set->shared->checks, call->check);
    else if (end.outcome != OUTCOME_ENDED && set->shared->failures != NULL)
        keep_failure(call);
    /* address-denied and limit have lines of their own; the line of a tunnel is never suppressed */
    if (call->reason != REASON_ADDRESS_DENIED && call->reason != REASON_LIMIT)
        record_end(&call->record, &end, call_now(call),
                   call->ended_in == CALL_RELAY ? NULL : &set->limit_refused);
}

static void call_release(struct call *call)
{
    admission_leave(call);
    uplink_leave(call);
    free(call->request.tenant);
    report_end(call);
    record_fini(&call->record);
    call_leave_site(call);
    call_part(call);
    free(call);
}

static void side_closed(struct call *call)
{
    if (call->client.handle == STREAM_HANDLE_NONE && call->backend.handle == STREAM_HANDLE_NONE &&
        call->state == CALL_CLOSED)
        call_release(call);
    else
        call_end_if_drained(call);
}

static void client_closed(struct stream *s)
{
    side_closed(of_client(s));
}

static void backend_closed(struct stream *s)
{
    struct call *call = of_backend(s);

    if (row_of(call)->backend_closed != NULL)
        row_of(call)->backend_closed(call);
    else
        side_closed(call);
}

/* ---- the beginning ---- */

static const struct stream_ops client_ops = {
    .on_hello = client_hello,
    .on_secure = client_secure,
    .on_read = client_read,
    .on_last = client_last,
    .on_end = client_ended,
    .on_full = client_full,
    .on_sent = client_sent,
    .on_closed = client_closed,
};

static const struct stream_ops backend_ops = {
    .on_connect = backend_connected,
    .on_secure = backend_secure,
    .on_read = backend_read,
    .on_end = backend_ended,
    .on_full = backend_full,
    .on_sent = backend_sent,
    .on_closed = backend_closed,
};

void course_open(struct call_set *set, const struct site_listener *listener, struct listener *l,
                 bool plain)
{
    struct call *call = NEW(struct call);

    call->set = set;
    call->site = site_ref(set->site);
    call->listener = listener;
    call->acme.plain = plain;
    call->tally = set->tally.of[listener - set->site->listener];
    call->record.worker = set->worker->index;
    call->record.binding_lines = &set->limit_binding;
    call->record.logged = &set->logged;
    call->record.debug_lines = &set->limit_debug;
    call->record.number = ++set->next_number;
    call->record.started = worker_now(set->worker);
    call->record.listener = call->tally->name;
    stream_init(&call->client, set->worker, &client_ops);
    stream_init(&call->backend, set->worker, &backend_ops);
    stream_early(&call->client, true);
    stream_early(&call->backend, true);
    call_join(call);
    entry_begin(call, l);
}
