#include "call/call.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <utlist.h>

#include "base/insist.h"
#include "call/entry.h"
#include "call/negotiation.h"
#include "call/relay.h"
#include "call/uplink.h"
#include "net/dial.h"
#include "net/worker.h"
#include "policy/limits.h"
#include "site/site.h"
#include "tls/tls_conn.h"
#include "wire/http_build.h"

/* Lines about calls that never became a tunnel, for each worker. */
enum { REFUSED_LINES_PER_SECOND = 100 };

/* What a client may send before its answer has come: nothing, says [MS-SSTP]. */
enum { EARLY_MAX = 16384 };

/* What is read of a client whose call is over, so that a reset does not overtake our last words. */
enum { LATE_MAX = 65536 };

static const struct stream_ops client_ops, backend_ops;

static struct call *of_client(struct stream *s)
{
    return (struct call *)((char *)s - offsetof(struct call, client));
}

static struct call *of_backend(struct stream *s)
{
    return (struct call *)((char *)s - offsetof(struct call, backend));
}

uint64_t call_now(const struct call *call)
{
    return worker_now(call->set->worker);
}

/* ---- the state ---- */

#define FROM(state) (1u << CALL_##state)

static const unsigned legal_from[CALL_STATES] = {
    [CALL_HELLO] = FROM(PROXY),
    [CALL_HANDSHAKE] = FROM(HELLO),
    [CALL_REQUEST] = FROM(HANDSHAKE),
    /* once more for each address: the deadline is new */
    [CALL_DIAL] = FROM(REQUEST) | FROM(DIAL) | FROM(ANSWER),
    [CALL_ANSWER] = FROM(DIAL),
    [CALL_NEGOTIATE] = FROM(ANSWER) | FROM(KEY),
    [CALL_KEY] = FROM(NEGOTIATE),
    [CALL_RELAY] = FROM(NEGOTIATE) | FROM(KEY),
    [CALL_WEB] = FROM(DIAL),
    [CALL_DRAIN] = FROM(NEGOTIATE) | FROM(KEY) | FROM(RELAY) | FROM(WEB),
    [CALL_LINGER] =
        FROM(REQUEST) | FROM(DIAL) | FROM(ANSWER) | FROM(NEGOTIATE) | FROM(KEY) | FROM(RELAY),
    [CALL_CLOSED] = ~0u & ~FROM(CLOSED),
};

void call_enter(struct call *call, enum call_state state)
{
    struct calls *set = call->set;

    INSIST(legal_from[state] & (1u << call->state));
    if (call->state == CALL_KEY) { /* what the client was not read for */
        stream_resume(&call->client);
        stream_kick(&call->client);
    }
    if (state == CALL_RELAY) { /* its packets wait for no turn from now on */
        stream_early(&call->client, false);
        stream_early(&call->backend, false);
    }
    DL_DELETE(set->list[call->state], call);
    call->state = state;
    call->active = call_now(call);
    call->deadline = call->active + set->timeout[state];
    DL_APPEND(set->list[state], call);
}

/* ---- the end ---- */

/* Returns the client's points for the end of the call: none for a visitor of the web site, because
 * the site judges its visitors. */
static unsigned points_for(const struct call *call)
{
    if (call->record.forged)
        return POINTS_REQUEST;
    return call->web ? 0 : reason_info(call->reason)->points;
}

void call_give_points(struct call *call, unsigned points)
{
    struct log_line l;

    if (points == 0 ||
        !limits_points(call->set->shared->limits, &call->record.client, points, call_now(call)))
        return;
    record_line(&call->record, &l, LOG_LEVEL_WARNING, "ban");
    log_str(&l, "user", call->record.user);
    log_str(&l, "msg", "ban-points reached: this address is banned for ban-time");
    log_end(&l);
}

static void limits_forget(struct call *call)
{
    if (call->admission.counted_user != NULL)
        limits_user_leave(call->set->shared->limits, span_str(call->admission.counted_user));
    free(call->admission.counted_user);
    if (call->admission.counted)
        limits_leave(call->set->shared->limits, &call->record.client);
}

static void release(struct call *call)
{
    struct calls *set = call->set;
    unsigned missed = 0;

    call_give_points(call, points_for(call));
    limits_forget(call);
    uplink_leave(call);
    free(call->request.tenant);
    free(call->uplink.blame);
    if (call->reason != REASON_ADDRESS_DENIED && call->reason != REASON_LIMIT) {
        if (call->up ||
            log_limit_pass(&set->limit_refused, call_now(call), REFUSED_LINES_PER_SECOND, &missed))
            record_end(&call->record, call->reason, call_now(call), missed);
    }
    record_fini(&call->record);
    site_unref(call->site);
    calls_remove(set, call);
    free(call);
}

/* Gives up what only a call that goes on needs. By now the reason is known. A client that resets
 * the connection, or makes the server do so, when no Success has come in time would otherwise guess
 * for nothing, because servers delay refusals. */
static void let_go(struct call *call)
{
    if (reason_info(call->reason)->by_peer)
        relay_login_ends(call);
    dial_free(call->uplink.dial);
    call->uplink.dial = NULL;
    negotiation_free(call->negotiation);
    call->negotiation = NULL;
}

static bool finished(const struct stream *s)
{
    return s->handle != STREAM_HANDLE_LIVE ||
           (s->in == STREAM_IN_ENDED && s->out == STREAM_OUT_ENDED);
}

/* In DRAIN and LINGER: ends the call if there is nothing left to wait for. */
static void end_if_finished(struct call *call)
{
    if ((call->state == CALL_DRAIN || call->state == CALL_LINGER) && finished(&call->client) &&
        finished(&call->backend))
        call_end(call, REASON_DRAINED);
}

struct span call_http_date(char out[32])
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    time_t now = time(NULL);
    struct tm tm;

    gmtime_r(&now, &tm);
    int n = snprintf(out, 32, "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT", days + 3 * tm.tm_wday,
                     tm.tm_mday, months + 3 * tm.tm_mon, tm.tm_year + 1900, tm.tm_hour, tm.tm_min,
                     tm.tm_sec);
    return span_of(out, (size_t)n);
}

static void say_http(struct call *call, unsigned status)
{
    uint8_t head[HTTP_BUILD_MAX];
    char date[32];
    size_t n = http_build_refusal(head, status, call->request.is_head, call_http_date(date));
    stream_write(&call->client, span_of(head, n));
}

static void say_sstp(struct stream *to, const struct reason_info *info)
{
    uint8_t message[SSTP_STATUS_LEN];
    sstp_build_status(message, info->message, info->attribute, info->status);
    stream_write(to, span_of(message, sizeof message));
}

static void say(struct call *call, const struct reason_info *info)
{
    if (call->state < CALL_NEGOTIATE) {
        if (info->http != 0)
            say_http(call, info->http);
        return;
    }
    if (info->message != SSTP_DATA)
        say_sstp(&call->client, info);
    /* [MS-SSTP] 3.1.7.2: without a Disconnect, loss of the connection is all a backend needs */
    if (info->message == SSTP_DISCONNECT)
        say_sstp(&call->backend, info);
}

/* Everything has been said. The client may take its time to read it, and what the client still
 * sends is read and thrown away, because a reset could overtake our last words. */
static void linger(struct call *call)
{
    const bool answered = call->state >= CALL_NEGOTIATE;

    let_go(call);
    call_enter(call, CALL_LINGER);
    stream_shutdown(&call->client);
    stream_resume(&call->client);
    stream_resume(&call->backend);
    if (answered)
        stream_notify(&call->backend);
    else /* nobody waits for the backend's answer any more */
        stream_close(&call->backend, true);
}

static void close_both(struct call *call, enum reason_end end)
{
    let_go(call);
    call_enter(call, CALL_CLOSED);
    stream_close(&call->client, end == END_RESET_CLIENT || end == END_RESET_BOTH);
    stream_close(&call->backend, end == END_RESET_BACKEND || end == END_RESET_BOTH);
}

/* Returns how a call in this state ends for this reason. */
static enum reason_end end_in_state(enum call_state state, const struct reason_info *info)
{
    switch (state) {
    case CALL_REQUEST:
    case CALL_DIAL:
    case CALL_ANSWER:
        if (info->http != 0)
            return END_LINGER;
        return info->end == END_DRAIN ? END_RESET_BACKEND : info->end;
    case CALL_NEGOTIATE:
    case CALL_KEY:
    case CALL_RELAY: return info->end;
    case CALL_WEB: return info->end == END_LINGER ? END_CLOSE : info->end;
    case CALL_DRAIN:
        if (info->end == END_DRAIN)
            return END_NOTHING;
        return info->end == END_LINGER ? END_CLOSE : info->end;
    case CALL_LINGER:
        if (info->end == END_LINGER || info->end == END_DRAIN)
            return END_NOTHING;
        return info->end == END_RESET_BOTH ? END_CLOSE : info->end; /* both were told */
    case CALL_CLOSED: return END_NOTHING;
    default: return info->end == END_LINGER || info->end == END_DRAIN ? END_CLOSE : info->end;
    }
}

void call_end(struct call *call, enum reason reason)
{
    const struct reason_info *info = reason_info(reason);
    const enum reason_end end = end_in_state(call->state, info);

    if (call->reason == REASON_NONE)
        call->reason = reason;
    switch (end) {
    case END_NOTHING: return;
    case END_DRAIN: call_enter(call, CALL_DRAIN); return;
    case END_LINGER:
        say(call, info);
        linger(call);
        return;
    default: close_both(call, end);
    }
}

/* Ends our direction of one side. After a call the backend sends its FIN first, so that no port of
 * ours is in TIME_WAIT, because anybody can cause calls. A web site gets a FIN, because it need not
 * take close_notify alone for the end. */
static void end_towards(struct call *call, struct stream *to)
{
    if (to == &call->backend && !call->web)
        stream_notify(to);
    else
        stream_shutdown(to);
}

/* One side has sent all it had. */
static void side_ended(struct call *call, struct stream *other, enum reason reason)
{
    call_end(call, reason);
    if (call->state == CALL_CLOSED)
        return;
    end_towards(call, other);
    end_if_finished(call);
}

static void on_closed(struct call *call)
{
    if (call->client.handle == STREAM_HANDLE_NONE && call->backend.handle == STREAM_HANDLE_NONE &&
        call->state == CALL_CLOSED)
        release(call);
    else
        end_if_finished(call);
}

/* ---- the beginning ---- */

void call_open(struct calls *set, const struct site_listener *listener, struct listener *l)
{
    struct call *call = NEW(struct call);

    call->set = set;
    call->site = site_ref(set->site);
    call->listener = listener;
    call->record.worker = set->worker->index;
    call->record.binding_lines = &set->limit_binding;
    call->record.number = ++set->next_number;
    call->record.started = worker_now(set->worker);
    call->record.listener = listener->config->name;
    stream_init(&call->client, set->worker, &client_ops);
    stream_init(&call->backend, set->worker, &backend_ops);
    stream_early(&call->client, true);
    stream_early(&call->backend, true);
    call->state = CALL_PROXY;
    call->active = call->record.started;
    call->deadline = call->active + set->timeout[CALL_PROXY];
    calls_add(set, call);

    entry_begin(call, l);
}

/* ---- what the streams tell ---- */

static struct tls_conn *client_hello(struct stream *s)
{
    return entry_hello(of_client(s));
}

static void client_secure(struct stream *s)
{
    entry_secure(of_client(s));
}

static void backend_connected(struct stream *s, int status)
{
    uplink_connected(of_backend(s), status);
}

static void backend_secure(struct stream *s)
{
    uplink_secure(of_backend(s));
}

static size_t client_read(struct stream *s, struct span in)
{
    struct call *call = of_client(s);
    switch (call->state) {
    case CALL_PROXY: return entry_proxy_read(call, in);
    case CALL_REQUEST: return entry_request_read(call, in);
    case CALL_DIAL:
    case CALL_ANSWER:
        if (!call->web && in.n > EARLY_MAX) {
            call_end(call, REASON_EARLY_DATA);
            return in.n;
        }
        return 0; /* waits for the backend's 200 (PROTOCOL.md 1.3) */
    case CALL_NEGOTIATE:
    case CALL_KEY:
    case CALL_RELAY:
    case CALL_WEB:
    case CALL_DRAIN: return call->web ? relay_web(call, in, true) : relay_packets(call, in, true);
    default:
        call->late += in.n;
        if (call->late > LATE_MAX)
            stream_pause(s); /* it has had its chance; the deadline does the rest */
        return in.n;
    }
}

static size_t backend_read(struct stream *s, struct span in)
{
    struct call *call = of_backend(s);
    switch (call->state) {
    case CALL_ANSWER: return uplink_answer_read(call, in);
    case CALL_NEGOTIATE:
    case CALL_KEY:
    case CALL_RELAY:
    case CALL_WEB:
    case CALL_DRAIN: return call->web ? relay_web(call, in, false) : relay_packets(call, in, false);
    default: return in.n;
    }
}

static void client_last(struct stream *s)
{
    struct call *call = of_client(s);
    if (call->state == CALL_REQUEST)
        entry_request_ended(call);
}

static void client_ended(struct stream *s, enum stream_end why)
{
    struct call *call = of_client(s);

    switch (why) {
    case STREAM_TLS:
        record_keep(&call->record.sni, tls_conn_sni(s->tls)); /* of a handshake that failed, too */
        record_keep(&call->record.detail, span_str(stream_error(s)));
        call_end(call, tls_conn_refused(s->tls) ? REASON_TLS_REFUSED : REASON_TLS_FAILED);
        break;
    case STREAM_OVERFLOW: call_end(call, REASON_EARLY_DATA); break;
    case STREAM_RESET: call_end(call, REASON_CLIENT_RESET); break;
    case STREAM_EOF: side_ended(call, &call->backend, REASON_CLIENT_CLOSED); break;
    }
}

static void backend_ended(struct stream *s, enum stream_end why)
{
    struct call *call = of_backend(s);

    if (uplink_ended(call, why))
        return;
    switch (why) {
    case STREAM_TLS:
        record_keep(&call->record.detail, span_str(stream_error(s)));
        call_end(call, REASON_BACKEND_TLS);
        break;
    case STREAM_OVERFLOW: call_end(call, REASON_BACKEND_BAD_PACKET); break;
    case STREAM_RESET: call_end(call, REASON_BACKEND_RESET); break;
    case STREAM_EOF:
        relay_login_ends(call);
        side_ended(call, &call->client, REASON_BACKEND_CLOSED);
        break;
    }
}

static bool relaying(const struct call *call)
{
    return call->state >= CALL_NEGOTIATE && call->state <= CALL_DRAIN;
}

/* One side does not take what the other one says. */
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

/* One side took what was queued: the other one, stopped for that, goes on. What was stopped for
 * another reason stays so, as the client's whose packet may not pass the one that waits for its
 * key. */
static void resume_other(struct call *call, struct stream *other)
{
    bool waits = call->state == CALL_KEY && other == &call->client;
    if (relaying(call) && !waits && stream_paused(other))
        stream_resume(other);
}

static void client_sent(struct stream *s)
{
    struct call *call = of_client(s);
    resume_other(call, &call->backend);
    end_if_finished(call);
}

static void backend_sent(struct stream *s)
{
    struct call *call = of_backend(s);
    resume_other(call, &call->client);
    end_if_finished(call);
}

static void client_closed(struct stream *s)
{
    on_closed(of_client(s));
}

static void backend_closed(struct stream *s)
{
    struct call *call = of_backend(s);
    if (call->state == CALL_DIAL)
        uplink_closed(call);
    else
        on_closed(call);
}

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

void call_expire(struct call *call)
{
    switch (call->state) {
    case CALL_HELLO:
        call_end(call,
                 stream_waits(&call->client) ? REASON_HANDSHAKE_QUEUE : REASON_HANDSHAKE_TIMEOUT);
        break;
    case CALL_PROXY:
    case CALL_HANDSHAKE: call_end(call, REASON_HANDSHAKE_TIMEOUT); break;
    case CALL_REQUEST: entry_request_expired(call); break;
    case CALL_DIAL:
    case CALL_ANSWER: uplink_expired(call); break;
    case CALL_NEGOTIATE: call_end(call, REASON_NEGOTIATE_TIMEOUT); break;
    case CALL_KEY: relay_try_key(call, true); break;
    case CALL_RELAY:
    case CALL_WEB: call_end(call, REASON_IDLE_TIMEOUT); break;
    case CALL_DRAIN:
    case CALL_LINGER: call_end(call, REASON_DRAIN_TIMEOUT); break;
    case CALL_CLOSED:
    case CALL_STATES: break;
    }
}
