#include "call/tunnel.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <utlist.h>

#include "base/insist.h"
#include "call/entry.h"
#include "call/front.h"
#include "call/site.h"
#include "call/traffic.h"
#include "call/uplink.h"
#include "net/dial.h"
#include "net/worker.h"
#include "policy/limits.h"
#include "tls/tls_conn.h"
#include "wire/http_head.h"

/* Lines about calls that never became a tunnel, for each worker. */
enum { REFUSED_LINES_PER_SECOND = 100 };

/* What a client may send before its answer has come: nothing, says [MS-SSTP]. */
enum { EARLY_MAX = 16384 };

/* What is read of a client whose call is over, so that a reset does not overtake our last words. */
enum { LATE_MAX = 65536 };

static const struct stream_ops client_ops, backend_ops;

static struct tunnel *of_client(struct stream *s)
{
    return (struct tunnel *)((char *)s - offsetof(struct tunnel, client));
}

static struct tunnel *of_backend(struct stream *s)
{
    return (struct tunnel *)((char *)s - offsetof(struct tunnel, backend));
}

uint64_t tunnel_now(const struct tunnel *t)
{
    return worker_now(t->set->worker);
}

/* ---- the state ---- */

#define FROM(state) (1u << TUNNEL_##state)

static const unsigned legal_from[TUNNEL_STATES] = {
    [TUNNEL_HELLO] = FROM(PROXY),
    [TUNNEL_HANDSHAKE] = FROM(HELLO),
    [TUNNEL_REQUEST] = FROM(HANDSHAKE),
    /* once more for each address: the deadline is new */
    [TUNNEL_DIAL] = FROM(REQUEST) | FROM(DIAL) | FROM(ANSWER),
    [TUNNEL_ANSWER] = FROM(DIAL),
    [TUNNEL_NEGOTIATE] = FROM(ANSWER) | FROM(KEY),
    [TUNNEL_KEY] = FROM(NEGOTIATE),
    [TUNNEL_RELAY] = FROM(NEGOTIATE) | FROM(KEY),
    [TUNNEL_WEB] = FROM(DIAL),
    [TUNNEL_DRAIN] = FROM(NEGOTIATE) | FROM(KEY) | FROM(RELAY) | FROM(WEB),
    [TUNNEL_LINGER] =
        FROM(REQUEST) | FROM(DIAL) | FROM(ANSWER) | FROM(NEGOTIATE) | FROM(KEY) | FROM(RELAY),
    [TUNNEL_CLOSED] = ~0u & ~FROM(CLOSED),
};

void tunnel_enter(struct tunnel *t, enum tunnel_state state)
{
    struct tunnels *set = t->set;

    INSIST(legal_from[state] & (1u << t->state));
    if (t->state == TUNNEL_KEY) { /* what the client was not read for */
        stream_resume(&t->client);
        stream_kick(&t->client);
    }
    if (state == TUNNEL_RELAY) { /* its packets wait for no turn from now on */
        stream_early(&t->client, false);
        stream_early(&t->backend, false);
    }
    DL_DELETE(set->list[t->state], t);
    t->state = state;
    t->active = tunnel_now(t);
    t->deadline = t->active + set->timeout[state];
    DL_APPEND(set->list[state], t);
}

/* ---- the end ---- */

/* Returns the client's points for the end of the call: none for a visitor of the web site, because
 * the site judges its visitors. */
static unsigned points_for(const struct tunnel *t)
{
    if (t->session.forged)
        return POINTS_REQUEST;
    return t->web ? 0 : reason_points(t->reason);
}

void tunnel_give_points(struct tunnel *t, unsigned points)
{
    struct log_line l;

    if (points == 0 ||
        !limits_points(t->set->shared->limits, &t->session.client, points, tunnel_now(t)))
        return;
    session_line(&t->session, &l, LOG_LEVEL_WARNING, "ban");
    log_str(&l, "user", t->session.user);
    log_str(&l, "msg", "ban-points reached: this address is banned for ban-time");
    log_end(&l);
}

static void limits_forget(struct tunnel *t)
{
    if (t->counted_user != NULL)
        limits_user_leave(t->set->shared->limits, span_str(t->counted_user));
    free(t->counted_user);
    if (t->counted)
        limits_leave(t->set->shared->limits, &t->session.client);
}

static void release(struct tunnel *t)
{
    struct tunnels *set = t->set;
    unsigned missed = 0;

    tunnel_give_points(t, points_for(t));
    limits_forget(t);
    uplink_leave(t);
    free(t->tenant_sent);
    free(t->blame);
    if (t->reason != REASON_ADDRESS_DENIED && t->reason != REASON_LIMIT) {
        if (t->up ||
            log_limit_pass(&set->limit_refused, tunnel_now(t), REFUSED_LINES_PER_SECOND, &missed))
            session_end(&t->session, t->reason, tunnel_now(t), missed);
    }
    session_fini(&t->session);
    site_unref(t->site);
    tunnels_remove(set, t);
    free(t);
}

/* The reason is known. A client that resets the connection, or makes the server do so, when no
 * Success has come in time would otherwise guess for nothing, because servers delay refusals. */
static void let_go(struct tunnel *t)
{
    if (reason_is_of_peer(t->reason))
        traffic_login_ends(t);
    dial_free(t->dial);
    t->dial = NULL;
    front_free(t->front);
    t->front = NULL;
}

void tunnel_cut(struct tunnel *t, enum reason reason, bool reset_client, bool reset_backend)
{
    if (t->state == TUNNEL_CLOSED)
        return;
    if (t->reason == REASON_NONE)
        t->reason = reason;
    let_go(t);
    tunnel_enter(t, TUNNEL_CLOSED);
    stream_close(&t->client, reset_client);
    stream_close(&t->backend, reset_backend);
}

void tunnel_drop(struct tunnel *t, enum reason reason)
{
    tunnel_cut(t, reason, false, false);
}

static bool finished(const struct stream *s)
{
    return s->handle != STREAM_HANDLE_LIVE ||
           (s->in == STREAM_IN_ENDED && s->out == STREAM_OUT_ENDED);
}

/* DRAIN and LINGER: is there anything left to wait for? */
static void drop_if_finished(struct tunnel *t)
{
    if ((t->state == TUNNEL_DRAIN || t->state == TUNNEL_LINGER) && finished(&t->client) &&
        finished(&t->backend))
        tunnel_drop(t, t->reason);
}

struct span tunnel_http_date(char out[32])
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

static void say_http(struct tunnel *t, unsigned status)
{
    uint8_t head[HTTP_BUILD_MAX];
    char date[32];
    size_t n = http_build_refusal(head, status, t->head_request, tunnel_http_date(date));
    stream_write(&t->client, span_of(head, n));
}

static void say_sstp(struct stream *to, const struct reason_info *info)
{
    uint8_t message[SSTP_STATUS_LEN];
    sstp_build_status(message, info->message, info->attribute, info->status);
    stream_write(to, span_of(message, sizeof message));
}

/* Everything has been said to the client; it may take its time to read it. */
static void linger(struct tunnel *t)
{
    let_go(t);
    tunnel_enter(t, TUNNEL_LINGER);
    stream_shutdown(&t->client);
    stream_resume(&t->client); /* what it still sends is read and thrown away, up to its end */
    stream_resume(&t->backend);
}

void tunnel_close(struct tunnel *t, enum reason reason)
{
    const struct reason_info *info = reason_info(reason);

    if (t->state == TUNNEL_LINGER || t->state == TUNNEL_CLOSED)
        return;
    if (t->reason == REASON_NONE)
        t->reason = reason;
    switch (t->state) {
    case TUNNEL_REQUEST:
    case TUNNEL_DIAL:
    case TUNNEL_ANSWER:
        if (info->http != 0)
            say_http(t, info->http);
        linger(t);
        stream_close(&t->backend, true); /* its answer is not wanted any more */
        break;
    case TUNNEL_NEGOTIATE:
    case TUNNEL_KEY:
    case TUNNEL_RELAY:
        if (info->message != SSTP_DATA)
            say_sstp(&t->client, info);
        /* [MS-SSTP] 3.1.7.2: without it, loss of the connection is all a backend needs */
        if (info->message == SSTP_DISCONNECT)
            say_sstp(&t->backend, info);
        linger(t);
        stream_notify(&t->backend);
        break;
    default: tunnel_drop(t, reason);
    }
}

/* Ends our direction of one side. After a call the backend sends its FIN first, so that no port of
 * ours is in TIME_WAIT, because anybody can cause calls. A web site gets a FIN, because it need not
 * take close_notify alone for the end. */
static void end_towards(struct tunnel *t, struct stream *to)
{
    if (to == &t->backend && !t->web)
        stream_notify(to);
    else
        stream_shutdown(to);
}

/* One side has sent all it had. */
static void side_ended(struct tunnel *t, struct stream *other, enum reason reason)
{
    if (t->reason == REASON_NONE)
        t->reason = reason;
    if (t->state >= TUNNEL_NEGOTIATE && t->state <= TUNNEL_WEB)
        tunnel_enter(t, TUNNEL_DRAIN);
    end_towards(t, other);
    drop_if_finished(t);
}

static void side_reset(struct tunnel *t, enum reason reason)
{
    /* Not an orderly end, and the other side shall not take it for one. */
    bool told = t->state == TUNNEL_LINGER;
    tunnel_cut(t, reason, !told, !told);
}

static void on_closed(struct tunnel *t)
{
    if (t->client.handle == STREAM_HANDLE_NONE && t->backend.handle == STREAM_HANDLE_NONE &&
        t->state == TUNNEL_CLOSED)
        release(t);
    else
        drop_if_finished(t);
}

/* ---- the beginning ---- */

void tunnel_open(struct tunnels *set, const struct site_listener *listener, struct listener *l)
{
    struct tunnel *t = NEW(struct tunnel);

    t->set = set;
    t->site = site_ref(set->site);
    t->listener = listener;
    t->session.worker = set->worker->index;
    t->session.binding_lines = &set->limit_binding;
    t->session.number = ++set->next_number;
    t->session.started = worker_now(set->worker);
    t->session.listener = listener->config->name;
    stream_init(&t->client, set->worker, &client_ops);
    stream_init(&t->backend, set->worker, &backend_ops);
    stream_early(&t->client, true);
    stream_early(&t->backend, true);
    t->state = TUNNEL_PROXY;
    t->active = t->session.started;
    t->deadline = t->active + set->timeout[TUNNEL_PROXY];
    tunnels_add(set, t);

    entry_begin(t, l);
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
    struct tunnel *t = of_client(s);
    switch (t->state) {
    case TUNNEL_PROXY: return entry_proxy_read(t, in);
    case TUNNEL_REQUEST: return entry_request_read(t, in);
    case TUNNEL_DIAL:
    case TUNNEL_ANSWER:
        if (!t->web && in.n > EARLY_MAX) {
            tunnel_close(t, REASON_EARLY_DATA);
            return in.n;
        }
        return 0; /* waits for the backend's 200 (PROTOCOL.md 1.3) */
    case TUNNEL_NEGOTIATE:
    case TUNNEL_KEY:
    case TUNNEL_RELAY:
    case TUNNEL_WEB:
    case TUNNEL_DRAIN: return t->web ? traffic_web(t, in, true) : traffic_packets(t, in, true);
    default:
        t->thrown_away += in.n;
        if (t->thrown_away > LATE_MAX)
            stream_pause(s); /* it has had its chance; the deadline does the rest */
        return in.n;
    }
}

static size_t backend_read(struct stream *s, struct span in)
{
    struct tunnel *t = of_backend(s);
    switch (t->state) {
    case TUNNEL_ANSWER: return uplink_answer_read(t, in);
    case TUNNEL_NEGOTIATE:
    case TUNNEL_KEY:
    case TUNNEL_RELAY:
    case TUNNEL_WEB:
    case TUNNEL_DRAIN: return t->web ? traffic_web(t, in, false) : traffic_packets(t, in, false);
    default: return in.n;
    }
}

static void client_last(struct stream *s)
{
    struct tunnel *t = of_client(s);
    if (t->state == TUNNEL_REQUEST)
        entry_request_ended(t);
}

static void client_ended(struct stream *s, enum stream_end why)
{
    struct tunnel *t = of_client(s);

    switch (why) {
    case STREAM_TLS:
        session_keep(&t->session.sni, tls_conn_sni(s->tls)); /* of a handshake that failed, too */
        session_keep(&t->session.detail, span_str(stream_error(s)));
        /* The alert is sent; the backend gets a reset, which is not an orderly end. */
        tunnel_cut(t, tls_conn_refused(s->tls) ? REASON_TLS_REFUSED : REASON_TLS_FAILED, false,
                   true);
        break;
    case STREAM_OVERFLOW: tunnel_close(t, REASON_EARLY_DATA); break;
    case STREAM_RESET: side_reset(t, REASON_CLIENT_RESET); break;
    case STREAM_EOF:
        if (t->state < TUNNEL_NEGOTIATE)
            tunnel_cut(t, REASON_CLIENT_CLOSED, false, true);
        else
            side_ended(t, &t->backend, REASON_CLIENT_CLOSED);
        break;
    }
}

static void backend_ended(struct stream *s, enum stream_end why)
{
    struct tunnel *t = of_backend(s);

    if (uplink_ended(t, why))
        return;
    switch (why) {
    case STREAM_TLS:
        session_keep(&t->session.detail, span_str(stream_error(s)));
        tunnel_cut(t, REASON_BACKEND_TLS, true, false);
        break;
    case STREAM_OVERFLOW: tunnel_close(t, REASON_BACKEND_BAD_PACKET); break;
    case STREAM_RESET: side_reset(t, REASON_BACKEND_RESET); break;
    case STREAM_EOF:
        traffic_login_ends(t);
        side_ended(t, &t->client, REASON_BACKEND_CLOSED);
        break;
    }
}

static bool relaying(const struct tunnel *t)
{
    return t->state >= TUNNEL_NEGOTIATE && t->state <= TUNNEL_DRAIN;
}

/* One side does not take what the other one says. */
static void client_full(struct stream *s)
{
    struct tunnel *t = of_client(s);
    if (relaying(t))
        stream_pause(&t->backend);
}

static void backend_full(struct stream *s)
{
    struct tunnel *t = of_backend(s);
    if (relaying(t))
        stream_pause(&t->client);
}

/* One side took what was queued: the other one, stopped for that, goes on. What was stopped for
 * another reason stays so, as the client's whose packet may not pass the one that waits for its
 * key. */
static void resume_other(struct tunnel *t, struct stream *other)
{
    bool waits = t->state == TUNNEL_KEY && other == &t->client;
    if (relaying(t) && !waits && stream_paused(other))
        stream_resume(other);
}

static void client_sent(struct stream *s)
{
    struct tunnel *t = of_client(s);
    resume_other(t, &t->backend);
    drop_if_finished(t);
}

static void backend_sent(struct stream *s)
{
    struct tunnel *t = of_backend(s);
    resume_other(t, &t->client);
    drop_if_finished(t);
}

static void client_closed(struct stream *s)
{
    on_closed(of_client(s));
}

static void backend_closed(struct stream *s)
{
    struct tunnel *t = of_backend(s);
    if (t->state == TUNNEL_DIAL)
        uplink_closed(t);
    else
        on_closed(t);
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

void tunnel_expire(struct tunnel *t)
{
    switch (t->state) {
    case TUNNEL_HELLO:
        tunnel_close(t,
                     stream_waits(&t->client) ? REASON_HANDSHAKE_QUEUE : REASON_HANDSHAKE_TIMEOUT);
        break;
    case TUNNEL_PROXY:
    case TUNNEL_HANDSHAKE: tunnel_close(t, REASON_HANDSHAKE_TIMEOUT); break;
    case TUNNEL_REQUEST: entry_request_expired(t); break;
    case TUNNEL_DIAL:
    case TUNNEL_ANSWER: uplink_expired(t); break;
    case TUNNEL_NEGOTIATE: tunnel_close(t, REASON_NEGOTIATE_TIMEOUT); break;
    case TUNNEL_KEY: traffic_try_key(t, true); break;
    case TUNNEL_RELAY:
    case TUNNEL_WEB: tunnel_close(t, REASON_IDLE_TIMEOUT); break;
    case TUNNEL_DRAIN:
    case TUNNEL_LINGER: tunnel_cut(t, t->reason, false, true); break;
    case TUNNEL_CLOSED:
    case TUNNEL_STATES: break;
    }
}
