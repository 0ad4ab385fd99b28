#include "call/tunnel.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <utlist.h>

#include "base/check.h"
#include "call/front.h"
#include "call/site.h"
#include "net/dial.h"
#include "net/worker.h"
#include "policy/limits.h"
#include "policy/users.h"
#include "tls/tls_conn.h"
#include "wire/http_head.h"
#include "wire/proxyproto.h"
#include "wire/sstp.h"

/* Lines about calls that never became a tunnel, for each worker. */
enum { REFUSED_LINES_PER_SECOND = 100, DENY_LINES_PER_SECOND = 20, BACKEND_LINES_PER_SECOND = 20 };

/* What a client may send before its answer has come: nothing, says [MS-SSTP]. */
enum { EARLY_MAX = 16384 };

/* A header with addresses, a server name and the names of version and cipher. */
enum { PROXYPROTO_SEND_MAX = 1024 };

/* Towards ban-points: what each failed login, refused request and broken handshake counts. */
enum { POINTS_LOGIN = 10, POINTS_REQUEST = 5, POINTS_HANDSHAKE = 1 };

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

static uint64_t now_of(const struct tunnel *t)
{
    return worker_now(t->set->worker);
}

/* ---- the state ---- */

#define FROM(state) (1u << TUNNEL_##state)

static const unsigned legal_from[TUNNEL_STATES] = {
    [TUNNEL_HANDSHAKE] = FROM(PROXY),
    [TUNNEL_REQUEST] = FROM(HANDSHAKE),
    [TUNNEL_DIAL] = FROM(REQUEST) | FROM(DIAL), /* once more for each address: the deadline is new */
    [TUNNEL_ANSWER] = FROM(DIAL),
    [TUNNEL_NEGOTIATE] = FROM(ANSWER),
    [TUNNEL_RELAY] = FROM(NEGOTIATE),
    [TUNNEL_WEB] = FROM(DIAL),
    [TUNNEL_DRAIN] = FROM(NEGOTIATE) | FROM(RELAY) | FROM(WEB),
    [TUNNEL_LINGER] = FROM(REQUEST) | FROM(DIAL) | FROM(ANSWER) | FROM(NEGOTIATE) | FROM(RELAY),
    [TUNNEL_CLOSED] = ~0u & ~FROM(CLOSED),
};

static void tunnel_enter(struct tunnel *t, enum tunnel_state state)
{
    struct tunnels *set = t->set;

    CHECK(legal_from[state] & (1u << t->state));
    DL_DELETE(set->list[t->state], t);
    t->state = state;
    t->active = now_of(t);
    t->deadline = t->active + set->timeout[state];
    DL_APPEND(set->list[state], t);
}

/* ---- the end ---- */

/* What a client has earned with how its call ended, on the way to ban-points. A web site has other
 * visitors: to ask for something else than SSTP is nothing to be ashamed of where there is one. */
static unsigned points_for(const struct tunnel *t)
{
    switch (t->reason) {
    case REASON_TLS_FAILED:
    case REASON_HANDSHAKE_TIMEOUT:
        return POINTS_HANDSHAKE;
    case REASON_NOT_SSTP:
    case REASON_HOST_REFUSED:
        return t->web ? 0 : POINTS_REQUEST;
    case REASON_BAD_REQUEST:
    case REASON_REQUEST_TIMEOUT:
    case REASON_EARLY_DATA:
    case REASON_CLIENT_BAD_PACKET:
    case REASON_CLIENT_OUT_OF_PLACE:
        return POINTS_REQUEST;
    default:
        return 0;
    }
}

static void give_points(struct tunnel *t, unsigned points)
{
    struct log_line l;

    if (points == 0 || !limits_points(t->set->limits, &t->session.client, points, now_of(t)))
        return;
    session_line(&t->session, &l, LOG_LEVEL_WARNING, "ban");
    log_str(&l, "user", t->session.user);
    log_str(&l, "msg", "ban-points reached: this address is banned for ban-time");
    log_end(&l);
}

static void limits_forget(struct tunnel *t)
{
    if (t->counted_user != NULL)
        limits_user_leave(t->set->limits, span_str(t->counted_user));
    free(t->counted_user);
    if (t->counted)
        limits_leave(t->set->limits, &t->session.client);
}

static void release(struct tunnel *t)
{
    struct tunnels *set = t->set;
    unsigned missed = 0;

    give_points(t, points_for(t));
    limits_forget(t);
    if (t->reason != REASON_ADDRESS_DENIED && t->reason != REASON_LIMIT) {
        if (t->up || log_limit_pass(&set->limit_refused, now_of(t), REFUSED_LINES_PER_SECOND,
                                       &missed))
            session_end(&t->session, t->reason, now_of(t), missed);
    }
    session_fini(&t->session);
    site_unref(t->site);
    tunnels_remove(set, t);
    free(t);
}

static void let_go(struct tunnel *t)
{
    dial_free(t->dial);
    t->dial = NULL;
    front_free(t->front);
    t->front = NULL;
}

static void drop(struct tunnel *t, enum reason reason, bool reset_client, bool reset_backend)
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
    drop(t, reason, false, false);
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

/* IMF-fixdate (RFC 9110 5.6.7), whatever the locale. */
static struct span http_date(char out[32])
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
    size_t n = http_build_refusal(head, status, t->head_request, http_date(date));
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
        stream_close(&t->backend, false);
        break;
    case TUNNEL_NEGOTIATE:
    case TUNNEL_RELAY:
        if (info->message != SSTP_DATA)
            say_sstp(&t->client, info);
        if (info->message == SSTP_DISCONNECT)
            say_sstp(&t->backend, info);
        linger(t);
        if (info->message == SSTP_DISCONNECT)
            stream_shutdown(&t->backend);
        else /* [MS-SSTP] 3.1.7.2: loss of the connection is all a backend needs to clean up */
            stream_close(&t->backend, false);
        break;
    default:
        tunnel_drop(t, reason);
    }
}

/* One side has sent all it had. */
static void side_ended(struct tunnel *t, struct stream *other, enum reason reason)
{
    if (t->reason == REASON_NONE)
        t->reason = reason;
    if (t->state == TUNNEL_NEGOTIATE || t->state == TUNNEL_RELAY || t->state == TUNNEL_WEB)
        tunnel_enter(t, TUNNEL_DRAIN);
    stream_shutdown(other);
    drop_if_finished(t);
}

static void side_reset(struct tunnel *t, enum reason reason)
{
    /* Not an orderly end, and the other side shall not take it for one. */
    bool told = t->state == TUNNEL_LINGER;
    drop(t, reason, !told, !told);
}

static void on_closed(struct tunnel *t)
{
    if (t->client.handle == STREAM_HANDLE_NONE && t->backend.handle == STREAM_HANDLE_NONE &&
        t->state == TUNNEL_CLOSED)
        release(t);
    else
        drop_if_finished(t);
}

/* ---- the rules ---- */

static struct span text_or_none(const char *text)
{
    return span_str(text == NULL ? "" : text);
}

/* A port does not belong into SNI, but sstpc puts one there. */
static struct span without_port(struct span name)
{
    for (size_t i = name.n; i > 0; i--)
        if (name.p[i - 1] == ':')
            return span_sub(name, 0, i - 1);
    return name;
}

static struct rules_facts facts_of(const struct tunnel *t, time_t now)
{
    return (struct rules_facts){
        .client = &t->session.client,
        .now = now,
        .request_known = t->request_known,
        .host = text_or_none(t->session.host),
        .sni = without_port(text_or_none(t->session.sni)),
        .tenant = text_or_none(t->session.tenant),
    };
}

static void log_denied(struct tunnel *t, const struct rules_answer *v, const char *action)
{
    struct log_line l;
    unsigned missed;

    if (!log_limit_pass(&t->set->limit_deny, now_of(t), DENY_LINES_PER_SECOND, &missed))
        return;
    session_line(&t->session, &l, LOG_LEVEL_INFO, "deny");
    if (t->session.user != NULL)
        log_str(&l, "user", t->session.user);
    if (v->rule == 0)
        log_str(&l, "rule", "default");
    else
        log_num(&l, "rule", v->rule);
    if (v->file != NULL)
        log_str(&l, "file", v->file);
    if (v->line != 0)
        log_num(&l, "line", v->line);
    log_str(&l, "action", action);
    if (missed > 0)
        log_num(&l, "lines-left-out", missed);
    log_end(&l);
}

/* True: nothing that is known speaks against it. False: *v says what does, and it is logged; end: the
 * word for what is done where that is not the rule's action. */
static bool rules_pass(struct tunnel *t, const struct rules_facts *facts, const char *end,
                       struct rules_answer *v)
{
    const struct config_listener *c = t->listener->config;

    if (t->rules_over)
        return true;
    *v = rules_decide(&c->rules, facts);
    if (v->verdict != RULES_DENY)
        return true;
    log_denied(t, v,
               c->dry_run ? "dry-run" : end != NULL ? end : rules_action_name(v->action));
    t->rules_over = c->dry_run;
    return c->dry_run;
}

static void refuse_unseen(struct tunnel *t, enum rules_action action, enum reason reason)
{
    if (action == RULES_DROP)
        stream_vanish(&t->client);
    drop(t, reason, true, true);
}

/* front has seen who it is; no name: it could not be seen. */
static bool user_allowed(void *arg, struct span user)
{
    struct tunnel *t = arg;
    struct rules_facts facts = facts_of(t, t->accepted);
    struct rules_answer v;

    facts.user_known = user.n > 0 ? RULES_USER_KNOWN : RULES_USER_DOUBTFUL;
    facts.user = user;
    return rules_pass(t, &facts, "disconnect", &v);
}

void tunnel_recheck(struct tunnel *t, const struct site *site)
{
    const struct config *c = site->config;
    const struct config_listener *now = NULL;

    for (size_t i = 0; i < c->listener_count && now == NULL; i++)
        if (strcmp(c->listener[i].name, t->listener->config->name) == 0)
            now = &c->listener[i];
    if (now == NULL || !now->recheck_tunnels || now->dry_run)
        return;
    struct rules_facts facts = facts_of(t, time(NULL));
    facts.user = text_or_none(t->session.user);
    if (t->state == TUNNEL_RELAY)
        facts.user_known = facts.user.n > 0 ? RULES_USER_KNOWN : RULES_USER_DOUBTFUL;
    struct rules_answer v = rules_decide(&now->rules, &facts);
    if (v.verdict != RULES_DENY)
        return;
    log_denied(t, &v, "disconnect");
    tunnel_close(t, REASON_RULES_CHANGED);
}

/* ---- accept ---- */

/* The key that was hit, at most once a second. */
static void log_limited(struct tunnel *t, const char *key)
{
    struct log_line l;
    unsigned missed;

    if (!log_limit_pass(&t->set->limit_hit, now_of(t), 1, &missed))
        return;
    session_line(&t->session, &l, LOG_LEVEL_WARNING, "limit");
    log_str(&l, "key", key);
    if (missed > 0)
        log_num(&l, "lines-left-out", missed);
    log_end(&l);
}

/* All that is asked before any cryptography. */
static bool admitted(struct tunnel *t)
{
    t->accepted = time(NULL);
    const struct rules_facts facts = facts_of(t, t->accepted);
    struct rules_answer v;
    if (!rules_pass(t, &facts, NULL, &v)) {
        if (v.action != RULES_DECOY) {
            refuse_unseen(t, v.action, REASON_ADDRESS_DENIED);
            return false;
        }
        t->decoy = true;
    }
    enum limits_verdict hit = limits_enter(t->set->limits, &t->session.client, now_of(t));
    if (hit != LIMITS_OK) {
        log_limited(t, limits_key(hit));
        drop(t, REASON_LIMIT, true, true);
        return false;
    }
    t->counted = true;
    return true;
}

static struct tls_conn *client_tls(struct tunnel *t)
{
    return tls_conn_new_server(t->listener->tls, stream_sink, &t->client);
}

static bool is_trusted_proxy(const struct config_listener *c, const struct addr *who)
{
    for (size_t i = 0; i < c->trusted_proxies.count; i++)
        if (cidr_has(&c->trusted_proxies.item[i], who))
            return true;
    return false;
}

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
    t->state = TUNNEL_PROXY;
    t->active = t->session.started;
    t->deadline = t->active + set->timeout[TUNNEL_PROXY];
    tunnels_add(set, t);

    if (stream_accept(&t->client, &l->tcp, &t->session.client) != 0 ||
        stream_local(&t->client, &t->session.local) != 0) {
        tunnel_drop(t, REASON_CLIENT_RESET); /* it was gone before we looked */
        return;
    }
    /* A trusted proxy must say whom it brings. Anybody else who tries to gets no further than the
     * TLS handshake, of which a PROXY header is no part. */
    if (listener->config->accept_proxy &&
        is_trusted_proxy(listener->config, &t->session.client)) {
        t->session.proxy = t->session.client;
        stream_start(&t->client, NULL);
        return;
    }
    tunnel_enter(t, TUNNEL_HANDSHAKE);
    if (admitted(t))
        stream_start(&t->client, client_tls(t));
}

/* ---- the PROXY header ---- */

static void addr_from_end(struct addr *out, const struct proxyproto_end *end)
{
    *out = (struct addr){.family = end->family == 4 ? AF_INET : AF_INET6, .port = end->port};
    memcpy(out->ip, end->ip, end->family == 4 ? 4 : 16);
}

static size_t proxy_read(struct tunnel *t, struct span in)
{
    struct proxyproto p;
    enum err e = proxyproto_parse(in, &p);

    if (e == ERR_MORE)
        return 0;
    if (e != ERR_OK) {
        session_keep(&t->session.detail, span_str(err_text(e)));
        drop(t, REASON_BAD_PROXY_HEADER, true, true);
        return in.n;
    }
    if (p.source.family != 0) {
        addr_from_end(&t->session.client, &p.source);
        addr_from_end(&t->session.local, &p.destination);
    }
    tunnel_enter(t, TUNNEL_HANDSHAKE);
    if (!admitted(t))
        return in.n;
    stream_secure(&t->client, client_tls(t));
    return p.len;
}

static void end_from_addr(struct proxyproto_end *out, const struct addr *a)
{
    *out = (struct proxyproto_end){.family = a->family == AF_INET ? 4 : 6, .port = a->port};
    memcpy(out->ip, a->ip, a->family == AF_INET ? 4 : 16);
}

/* Before anything else is said to a backend that wants to know. */
static void proxy_write(struct tunnel *t, enum config_send_proxy version)
{
    uint8_t header[PROXYPROTO_SEND_MAX];
    struct proxyproto p = {.version = 2};
    size_t n;

    if (version == CONFIG_SEND_PROXY_NO)
        return;
    end_from_addr(&p.source, &t->session.client);
    end_from_addr(&p.destination, &t->session.local);
    p.authority = tls_conn_sni(t->client.tls);
    p.tls.present = true;
    p.tls.client = PROXYPROTO_CLIENT_TLS;
    p.tls.verify = 1; /* there was no client certificate to verify */
    p.tls.version = span_str(t->session.tls_version);
    p.tls.cipher = span_str(t->session.tls_cipher);
    n = version == CONFIG_SEND_PROXY_V1 ? proxyproto_build_v1(header, &p.source, &p.destination)
                                        : proxyproto_build_v2(header, sizeof header, &p);
    CHECK(n > 0);
    stream_write(&t->backend, span_of(header, n));
}

static void client_secure(struct stream *s)
{
    struct tunnel *t = of_client(s);
    t->session.tls_version = tls_conn_version(s->tls);
    t->session.tls_cipher = tls_conn_cipher(s->tls);
    session_keep(&t->session.sni, tls_conn_sni(s->tls));
    tunnel_enter(t, TUNNEL_REQUEST);
}

/* ---- the request ---- */

static bool name_admitted(const struct config_strings *names, struct span name)
{
    for (size_t i = 0; i < names->count; i++)
        if (span_eq_nocase(span_str(names->item[i]), name))
            return true;
    return names->count == 0;
}

static bool host_admitted(const struct tunnel *t, struct span host)
{
    const struct config_strings *names = &t->listener->config->host;
    struct span sni = without_port(tls_conn_sni(t->client.tls));
    /* Old clients send no SNI; one that is sent must be right. */
    return name_admitted(names, host) && (sni.n == 0 || name_admitted(names, sni));
}

static void dial_server(struct tunnel *t);

static void dial_backend(struct tunnel *t, const struct config_backend *backend)
{
    t->site_backend = &t->site->backend[backend - t->site->config->backend];
    t->session.backend = backend->name;
    t->dial_failure = REASON_BACKEND_UNREACHABLE;
    dial_server(t);
}

/* Not for the SSTP server: what such a client gets looks the same whatever the reason. With a web
 * site that is the site's own answer to all it has sent, so the head stays unread here. */
static size_t decoy(struct tunnel *t, enum reason reason, size_t head)
{
    const struct config_backend *site = t->listener->config->fallback;

    if (site == NULL) {
        tunnel_close(t, reason);
        return head;
    }
    t->reason = reason;
    t->web = true;
    stream_pause(&t->client); /* a body may follow, of any size */
    dial_backend(t, site);
    return 0;
}

static size_t request_read(struct tunnel *t, struct span in)
{
    struct http_request request;
    enum err e = http_parse_request(in, &request);

    if (e == ERR_MORE)
        return 0;
    if (e != ERR_OK) {
        session_keep(&t->session.detail, span_str(err_text(e)));
        tunnel_close(t, REASON_BAD_REQUEST);
        return in.n;
    }
    t->head_request = request.is_head;
    session_keep(&t->session.host, request.host);
    session_keep(&t->session.correlation, request.correlation);
    if (!request.sstp)
        return decoy(t, REASON_NOT_SSTP, request.len);
    if (!host_admitted(t, request.host))
        return decoy(t, REASON_HOST_REFUSED, request.len);
    if (t->decoy)
        return decoy(t, REASON_RULE_DENIED, request.len);
    session_keep(&t->session.tenant, request.tenant);
    t->request_known = true;
    const struct rules_facts facts = facts_of(t, t->accepted);
    struct rules_answer v;
    if (!rules_pass(t, &facts, NULL, &v)) {
        if (v.action == RULES_DECOY)
            return decoy(t, REASON_RULE_DENIED, request.len);
        refuse_unseen(t, v.action, REASON_RULE_DENIED);
        return in.n;
    }
    dial_backend(t, t->listener->config->backend);
    return request.len;
}

/* ---- dial ---- */

static const struct config_server *server_of(const struct tunnel *t)
{
    return &t->site_backend->config->server[t->server];
}

static void log_backend(struct tunnel *t, const char *what, const char *why)
{
    struct log_line l;
    unsigned missed;

    if (!log_limit_pass(&t->set->limit_backend, now_of(t), BACKEND_LINES_PER_SECOND, &missed))
        return;
    session_line(&t->session, &l, LOG_LEVEL_WARNING, "backend");
    log_str(&l, "backend", t->session.backend);
    log_fmt(&l, "server", "%s:%u", server_of(t)->host, server_of(t)->port);
    log_str(&l, "failed", what);
    log_str(&l, "msg", why);
    if (missed > 0)
        log_num(&l, "lines-left-out", missed);
    log_end(&l);
}

static void dial_done(struct tunnel *t)
{
    dial_free(t->dial);
    t->dial = NULL;
}

static void dial_next_server(struct tunnel *t)
{
    dial_done(t);
    t->server++;
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
    if (r != 0) /* the stream closes, and backend_closed goes on */
        log_backend(t, "connect", stream_strerror(r));
}

static void on_resolved(void *arg, int status)
{
    struct tunnel *t = arg;
    if (status != 0) {
        log_backend(t, "resolve", stream_strerror(status));
        t->dial_failure = REASON_BACKEND_UNREACHABLE;
    }
    dial_address(t); /* without addresses that is the next server */
}

static void dial_server(struct tunnel *t)
{
    if (t->server == t->site_backend->config->server_count) {
        session_keep(&t->session.server, span_of(NULL, 0));
        tunnel_close(t, t->dial_failure);
        return;
    }
    tunnel_enter(t, TUNNEL_DIAL);
    t->dial = dial_new(t->set->worker, server_of(t)->host, server_of(t)->port, on_resolved, t);
}

/* This address will not do; backend_closed tries the next one. */
static void dial_failed(struct tunnel *t, enum reason why, const char *what, const char *text)
{
    log_backend(t, what, text);
    t->dial_failure = why;
    stream_close(&t->backend, false);
}

static const char *sni_of(const struct config_backend *c, const struct config_server *s)
{
    char ip[16];
    if (c->sni != NULL)
        return c->sni;
    /* RFC 6066 3: no addresses in SNI */
    if (inet_pton(AF_INET, s->host, ip) == 1 || inet_pton(AF_INET6, s->host, ip) == 1)
        return NULL;
    return s->host;
}

static void backend_ask(struct tunnel *t)
{
    const struct config_backend *c = t->site_backend->config;
    const char *host = c->backend_host != NULL ? c->backend_host
                       : c->sni != NULL        ? c->sni
                                               : server_of(t)->host;
    const char *correlation = t->session.correlation == NULL ? "" : t->session.correlation;
    char bracketed[HTTP_HOST_MAX + 1];
    uint8_t head[HTTP_BUILD_MAX];

    if (host == server_of(t)->host && strchr(host, ':') != NULL) {
        snprintf(bracketed, sizeof bracketed, "[%s]", host); /* RFC 3986 3.2.2 */
        host = bracketed;
    }
    size_t n = http_build_request(head, span_str(host), span_str(correlation));
    CHECK(n > 0); /* the configuration was checked for it */
    dial_done(t);
    tunnel_enter(t, TUNNEL_ANSWER);
    stream_write(&t->backend, span_of(head, n));
}

static void backend_ready(struct tunnel *t)
{
    if (!t->web) {
        backend_ask(t);
        return;
    }
    dial_done(t);
    tunnel_enter(t, TUNNEL_WEB);
    stream_resume(&t->client);
    stream_kick(&t->client); /* everything it has said since its handshake */
}

static void backend_connected(struct stream *s, int status)
{
    struct tunnel *t = of_backend(s);
    const struct config_backend *c = t->site_backend->config;

    if (status != 0) {
        dial_failed(t, REASON_BACKEND_UNREACHABLE, "connect", stream_strerror(status));
        return;
    }
    proxy_write(t, c->send_proxy);
    if (t->site_backend->tls == NULL) {
        stream_start(s, NULL);
        backend_ready(t);
        return;
    }
    const char *sni = sni_of(c, server_of(t));
    const char *name = c->verify_host != NULL ? c->verify_host
                       : sni != NULL          ? sni
                                              : server_of(t)->host;
    stream_start(s, tls_conn_new_client(t->site_backend->tls, sni,
                                        c->verify == CONFIG_VERIFY_CA ? name : NULL, stream_sink,
                                        s));
}

static bool pinned(const struct config_backend *c, const struct binding_leaf *leaf)
{
    for (size_t i = 0; i < c->pin_count; i++)
        if (memcmp(c->pin[i].sha256, leaf->sha256, BINDING_SHA256) == 0)
            return true;
    return false;
}

static void leaf_of(const struct stream *s, struct binding_leaf *out)
{
    struct span der = tls_conn_leaf(s->tls);
    *out = (struct binding_leaf){0};
    if (der.n > 0)
        binding_leaf_from_der(out, der);
    free((void *)der.p);
}

static void backend_secure(struct stream *s)
{
    struct tunnel *t = of_backend(s);
    struct binding_leaf leaf;

    leaf_of(s, &leaf);
    if (t->site_backend->config->verify == CONFIG_VERIFY_PIN &&
        !pinned(t->site_backend->config, &leaf)) {
        char text[64 + 2 * BINDING_SHA256] = "no pin fits; to trust this certificate: pin-sha256 = ";
        size_t n = strlen(text);
        for (size_t i = 0; i < BINDING_SHA256; i++, n += 2)
            snprintf(text + n, 3, "%02x", leaf.sha256[i]);
        dial_failed(t, REASON_BACKEND_UNVERIFIED, "verify", text);
        return;
    }
    backend_ready(t);
}

/* ---- the answer ---- */

static void negotiate(struct tunnel *t)
{
    uint8_t head[HTTP_BUILD_MAX];
    char date[32];
    struct binding_leaf ours, theirs = t->site_backend->told;

    leaf_of(&t->client, &ours);
    if (theirs.known == 0 && t->backend.tls != NULL)
        leaf_of(&t->backend, &theirs);
    t->front = front_new(t->site_backend, &ours, &theirs, &t->session);
    if (rules_needs_user(&t->listener->config->rules))
        front_ask_user(t->front, user_allowed, t);
    tunnel_enter(t, TUNNEL_NEGOTIATE);
    stream_write(&t->client, span_of(head, http_build_accept(head, http_date(date))));
    stream_kick(&t->client); /* octets it sent without waiting for the answer */
}

static size_t answer_read(struct tunnel *t, struct span in)
{
    struct http_response response;
    enum err e = http_parse_response(in, &response);

    if (e == ERR_MORE)
        return 0;
    if (e != ERR_OK) {
        log_backend(t, "answer", "not HTTP");
        tunnel_close(t, REASON_BACKEND_BAD_ANSWER);
        return in.n;
    }
    if (response.status != 200) {
        char text[40];
        snprintf(text, sizeof text, "status %u instead of 200", response.status);
        log_backend(t, "answer", text);
        tunnel_close(t, REASON_BACKEND_REFUSED);
        return in.n;
    }
    negotiate(t);
    return response.len;
}

/* ---- packets ---- */

/* An Abort or a Disconnect goes by: the rest is a matter of seconds ([MS-SSTP] 3.1.2.1, 3.1.2.2),
 * whether or not the two close their connections then. */
static void note_goodbye(struct tunnel *t, const struct sstp_packet *p, bool from_client)
{
    struct sstp_status_info info;

    if (t->reason != REASON_NONE)
        return;
    if (p->type == SSTP_ABORT)
        t->reason = from_client ? REASON_CLIENT_ABORT : REASON_BACKEND_ABORT;
    else if (p->type == SSTP_DISCONNECT)
        t->reason = from_client ? REASON_CLIENT_DISCONNECT : REASON_BACKEND_DISCONNECT;
    else
        return;
    tunnel_enter(t, TUNNEL_DRAIN);
    if (sstp_parse_status(p, &info) == ERR_OK && info.status != SSTP_STATUS_NO_ERROR)
        session_keep(&t->session.detail, span_str(sstp_status_name(info.status)));
}

static void count(struct session_flow *flow, struct span octets)
{
    flow->octets += octets.n;
    flow->packets++;
}

/* The tunnels of one user, whatever they come from; who has no name is nobody's. */
static bool user_admitted(struct tunnel *t)
{
    if (t->session.user == NULL)
        return true;
    struct span user = users_bare_name(span_str(t->session.user));
    enum limits_verdict hit = limits_user_enter(t->set->limits, user);
    if (hit != LIMITS_OK) {
        log_limited(t, limits_key(hit));
        return false;
    }
    session_keep(&t->counted_user, user);
    return true;
}

/* A packet while front has the word. Returns false when the call is over. */
static bool front_packet(struct tunnel *t, const struct sstp_packet *p, struct span octets,
                         bool from_client)
{
    struct stream *to = from_client ? &t->backend : &t->client;
    struct session_flow *flow = from_client ? &t->session.up : &t->session.down;
    struct front_answer a = from_client ? front_from_client(t->front, p, octets)
                                        : front_from_backend(t->front, p, octets);
    switch (a.verdict) {
    case FRONT_DROP:
        return true;
    case FRONT_REFUSE:
        tunnel_close(t, a.reason);
        return false;
    case FRONT_CONNECTED:
        if (!user_admitted(t)) {
            tunnel_close(t, REASON_USER_LIMIT);
            return false;
        }
        octets = a.octets;
        break;
    case FRONT_REPLACE:
        octets = a.octets;
        break;
    case FRONT_PASS:
        break;
    }
    if (t->session.failures > t->failures) {
        give_points(t, POINTS_LOGIN * (t->session.failures - t->failures));
        t->failures = t->session.failures;
    }
    note_goodbye(t, p, from_client);
    count(flow, octets);
    stream_write(to, octets);
    if (a.verdict == FRONT_CONNECTED) {
        t->up = true;
        front_free(t->front);
        t->front = NULL;
        if (t->state == TUNNEL_NEGOTIATE)
            tunnel_enter(t, TUNNEL_RELAY);
    }
    return true;
}

/* All whole packets at the start of in, on their way to the other side. Towards clients each packet
 * is a record of its own (sstpc handles one for each wake-up, PROTOCOL.md 6.3); towards backends
 * what is there together leaves together. */
static size_t packets_read(struct tunnel *t, struct span in, bool from_client)
{
    struct stream *to = from_client ? &t->backend : &t->client;
    struct session_flow *flow = from_client ? &t->session.up : &t->session.down;
    struct sstp_packet p;
    size_t used = 0, sent = 0;
    enum err e;

    while ((e = sstp_parse(span_from(in, used), &p)) == ERR_OK) {
        struct span octets = span_sub(in, used, p.len);
        used += p.len;
        if (t->front != NULL) {
            sent = used;
            if (!front_packet(t, &p, octets, from_client))
                return in.n;
            continue;
        }
        if (p.control) {
            if (!front_in_place(&p)) {
                stream_write(to, span_sub(in, sent, used - p.len - sent));
                tunnel_close(t, from_client ? REASON_CLIENT_OUT_OF_PLACE
                                            : REASON_BACKEND_OUT_OF_PLACE);
                return in.n;
            }
            note_goodbye(t, &p, from_client);
        }
        count(flow, octets);
        if (!from_client) {
            stream_write(to, octets);
            sent = used;
        }
    }
    stream_write(to, span_sub(in, sent, used - sent));
    if (e != ERR_MORE) {
        session_keep(&t->session.detail, span_str(err_text(e)));
        tunnel_close(t, from_client ? REASON_CLIENT_BAD_PACKET : REASON_BACKEND_BAD_PACKET);
        return in.n;
    }
    t->active = now_of(t);
    if (stream_queued(to) > STREAM_HIGH)
        stream_pause(from_client ? &t->client : &t->backend);
    return used;
}

/* Web traffic: octets, as they come. */
static size_t web_read(struct tunnel *t, struct span in, bool from_client)
{
    struct stream *to = from_client ? &t->backend : &t->client;
    struct session_flow *flow = from_client ? &t->session.up : &t->session.down;

    stream_write(to, in);
    flow->octets += in.n;
    t->active = now_of(t);
    if (stream_queued(to) > STREAM_HIGH)
        stream_pause(from_client ? &t->client : &t->backend);
    return in.n;
}

/* ---- what the streams tell ---- */

static size_t client_read(struct stream *s, struct span in)
{
    struct tunnel *t = of_client(s);
    switch (t->state) {
    case TUNNEL_PROXY:
        return proxy_read(t, in);
    case TUNNEL_REQUEST:
        return request_read(t, in);
    case TUNNEL_DIAL:
    case TUNNEL_ANSWER:
        if (!t->web && in.n > EARLY_MAX) {
            tunnel_close(t, REASON_EARLY_DATA);
            return in.n;
        }
        return 0; /* waits for the backend's 200 (PROTOCOL.md 1.3) */
    case TUNNEL_NEGOTIATE:
    case TUNNEL_RELAY:
    case TUNNEL_WEB:
    case TUNNEL_DRAIN:
        return t->web ? web_read(t, in, true) : packets_read(t, in, true);
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
    case TUNNEL_ANSWER:
        return answer_read(t, in);
    case TUNNEL_NEGOTIATE:
    case TUNNEL_RELAY:
    case TUNNEL_WEB:
    case TUNNEL_DRAIN:
        return t->web ? web_read(t, in, false) : packets_read(t, in, false);
    default:
        return in.n;
    }
}

static void client_ended(struct stream *s, enum stream_end why)
{
    struct tunnel *t = of_client(s);

    switch (why) {
    case STREAM_TLS:
        session_keep(&t->session.detail, span_str(stream_error(s)));
        drop(t, REASON_TLS_FAILED, false, true); /* the alert goes out; for the backend: no end */
        break;
    case STREAM_OVERFLOW:
        tunnel_close(t, REASON_EARLY_DATA);
        break;
    case STREAM_RESET:
        side_reset(t, REASON_CLIENT_RESET);
        break;
    case STREAM_EOF:
        if (t->state < TUNNEL_NEGOTIATE)
            tunnel_drop(t, REASON_CLIENT_CLOSED);
        else
            side_ended(t, &t->backend, REASON_CLIENT_CLOSED);
        break;
    }
}

static void backend_ended(struct stream *s, enum stream_end why)
{
    struct tunnel *t = of_backend(s);

    if (t->state == TUNNEL_DIAL) {
        bool unverified = why == STREAM_TLS && tls_conn_unverified(s->tls);
        dial_failed(t, unverified ? REASON_BACKEND_UNVERIFIED : REASON_BACKEND_TLS, "tls",
                    why == STREAM_TLS ? stream_error(s) : "closed during the handshake");
        return;
    }
    if (t->state == TUNNEL_ANSWER) {
        log_backend(t, "answer", why == STREAM_TLS ? stream_error(s) : "closed without an answer");
        tunnel_close(t, REASON_BACKEND_BAD_ANSWER);
        return;
    }
    switch (why) {
    case STREAM_TLS:
        session_keep(&t->session.detail, span_str(stream_error(s)));
        drop(t, REASON_BACKEND_TLS, true, false);
        break;
    case STREAM_OVERFLOW:
        tunnel_close(t, REASON_BACKEND_BAD_PACKET);
        break;
    case STREAM_RESET:
        side_reset(t, REASON_BACKEND_RESET);
        break;
    case STREAM_EOF:
        side_ended(t, &t->client, REASON_BACKEND_CLOSED);
        break;
    }
}

/* One side took what was queued: the other one, stopped for that, goes on. What was stopped for
 * another reason, in another state, stays so. */
static void resume_other(struct tunnel *t, struct stream *other)
{
    bool relaying = t->state == TUNNEL_NEGOTIATE || t->state == TUNNEL_RELAY ||
                    t->state == TUNNEL_WEB || t->state == TUNNEL_DRAIN;
    if (relaying && stream_paused(other))
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
        dial_address(t);
    else
        on_closed(t);
}

static const struct stream_ops client_ops = {
    .on_secure = client_secure,
    .on_read = client_read,
    .on_end = client_ended,
    .on_sent = client_sent,
    .on_closed = client_closed,
};

static const struct stream_ops backend_ops = {
    .on_connect = backend_connected,
    .on_secure = backend_secure,
    .on_read = backend_read,
    .on_end = backend_ended,
    .on_sent = backend_sent,
    .on_closed = backend_closed,
};

void tunnel_expire(struct tunnel *t)
{
    switch (t->state) {
    case TUNNEL_PROXY:
    case TUNNEL_HANDSHAKE:
        tunnel_close(t, REASON_HANDSHAKE_TIMEOUT);
        break;
    case TUNNEL_REQUEST:
        tunnel_close(t, REASON_REQUEST_TIMEOUT);
        break;
    case TUNNEL_DIAL:
        tunnel_enter(t, TUNNEL_DIAL);
        if (t->backend.handle == STREAM_HANDLE_NONE) {
            log_backend(t, "resolve", "no answer in time");
            dial_next_server(t);
        } else {
            dial_failed(t, REASON_BACKEND_UNREACHABLE, "connect", "no answer in time");
        }
        break;
    case TUNNEL_ANSWER:
        log_backend(t, "answer", "none in time");
        tunnel_close(t, REASON_ANSWER_TIMEOUT);
        break;
    case TUNNEL_NEGOTIATE:
        tunnel_close(t, REASON_NEGOTIATE_TIMEOUT);
        break;
    case TUNNEL_RELAY:
    case TUNNEL_WEB:
        tunnel_close(t, REASON_IDLE_TIMEOUT);
        break;
    case TUNNEL_DRAIN:
    case TUNNEL_LINGER:
        tunnel_drop(t, t->reason);
        break;
    case TUNNEL_CLOSED:
    case TUNNEL_STATES:
        break;
    }
}
