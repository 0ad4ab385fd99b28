#include "call/uplink.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "call/entry.h"
#include "call/front.h"
#include "call/site.h"
#include "call/tunnel.h"
#include "net/dial.h"
#include "tls/tls_conn.h"
#include "wire/http_head.h"
#include "wire/proxyproto.h"

enum { BACKEND_LINES_PER_SECOND = 20 }; /* for each worker */

/* A PROXY header with addresses, a server name and the names of version and cipher. */
enum { PROXYPROTO_SEND_MAX = 1024 };

/* ---- dial ---- */

static void dial_server(struct tunnel *t);

static const struct config_server *server_of(const struct tunnel *t)
{
    return &t->site_backend->config->server[t->server];
}

static void log_backend(struct tunnel *t, const char *what, const char *why)
{
    struct log_line l;
    unsigned missed;

    if (!log_limit_pass(&t->set->limit_backend, tunnel_now(t), BACKEND_LINES_PER_SECOND, &missed))
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
    if (r != 0) /* the stream closes, and uplink_closed goes on */
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

void uplink_dial(struct tunnel *t, const struct config_backend *backend)
{
    t->site_backend = &t->site->backend[backend - t->site->config->backend];
    t->session.backend = backend->name;
    t->dial_failure = REASON_BACKEND_UNREACHABLE;
    dial_server(t);
}

/* This address will not do; uplink_closed tries the next one. */
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

static void ask(struct tunnel *t)
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

static void ready(struct tunnel *t)
{
    if (!t->web) {
        ask(t);
        return;
    }
    dial_done(t);
    tunnel_enter(t, TUNNEL_WEB);
    stream_resume(&t->client);
    stream_kick(&t->client); /* everything it has said since its handshake */
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

void uplink_connected(struct tunnel *t, int status)
{
    struct stream *s = &t->backend;
    const struct config_backend *c = t->site_backend->config;

    if (status != 0) {
        dial_failed(t, REASON_BACKEND_UNREACHABLE, "connect", stream_strerror(status));
        return;
    }
    proxy_write(t, c->send_proxy);
    if (t->site_backend->tls == NULL) {
        stream_start(s, NULL);
        ready(t);
        return;
    }
    const char *sni = sni_of(c, server_of(t));
    const char *name = c->verify_host != NULL ? c->verify_host
                       : sni != NULL          ? sni
                                              : server_of(t)->host;
    stream_start(s,
                 tls_conn_new_client(t->site_backend->tls, sni,
                                     c->verify == CONFIG_VERIFY_CA ? name : NULL, stream_sink, s));
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

void uplink_secure(struct tunnel *t)
{
    struct binding_leaf leaf;

    leaf_of(&t->backend, &leaf);
    if (t->site_backend->config->verify == CONFIG_VERIFY_PIN &&
        !pinned(t->site_backend->config, &leaf)) {
        char text[64 + 2 * BINDING_SHA256] =
            "no pin fits; to trust this certificate: pin-sha256 = ";
        size_t n = strlen(text);
        for (size_t i = 0; i < BINDING_SHA256; i++, n += 2)
            snprintf(text + n, 3, "%02x", leaf.sha256[i]);
        dial_failed(t, REASON_BACKEND_UNVERIFIED, "verify", text);
        return;
    }
    ready(t);
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

/* ---- what may come in between ---- */

bool uplink_ended(struct tunnel *t, enum stream_end why)
{
    const char *text = why == STREAM_TLS ? stream_error(&t->backend) : "closed";

    if (t->state == TUNNEL_DIAL) {
        bool unverified = why == STREAM_TLS && tls_conn_unverified(t->backend.tls);
        dial_failed(t, unverified ? REASON_BACKEND_UNVERIFIED : REASON_BACKEND_TLS, "tls", text);
        return true;
    }
    if (t->state == TUNNEL_ANSWER) {
        log_backend(t, "answer", text);
        tunnel_close(t, REASON_BACKEND_BAD_ANSWER);
        return true;
    }
    return false;
}

void uplink_closed(struct tunnel *t)
{
    dial_address(t);
}

void uplink_expired(struct tunnel *t)
{
    if (t->state == TUNNEL_ANSWER) {
        log_backend(t, "answer", "none in time");
        tunnel_close(t, REASON_ANSWER_TIMEOUT);
        return;
    }
    tunnel_enter(t, TUNNEL_DIAL); /* a deadline of its own for whatever is tried next */
    if (t->backend.handle == STREAM_HANDLE_NONE) {
        log_backend(t, "resolve", "no answer in time");
        dial_next_server(t);
    } else {
        dial_failed(t, REASON_BACKEND_UNREACHABLE, "connect", "no answer in time");
    }
}
