#include "upstream/upstream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/hostname.h"
#include "base/insist.h"
#include "base/log.h"
#include "net/stream.h"
#include "policy/backends.h"
#include "site/sessions.h"
#include "site/site.h"
#include "tls/tls_conn.h"
#include "tls/tls_session.h"
#include "wire/proxyproto.h"

/* Room for a PROXY header with addresses, server name, TLS version and cipher. */
enum { PROXY_HEADER_MAX = 1024 };

const struct backends_server *upstream_server(const struct site_backend *b, size_t server)
{
    return &b->config->servers.item[server];
}

static void end_from_addr(struct proxyproto_end *out, const struct addr *a)
{
    *out = (struct proxyproto_end){.family = a->family == AF_INET ? 4 : 6, .port = a->port};
    memcpy(out->ip, a->ip, a->family == AF_INET ? 4 : 16);
}

/* Sends the PROXY header, if the backend wants one; it is the first thing on the connection. */
static void proxy_write(enum config_send_proxy version, struct stream *s, struct proxyproto *p)
{
    uint8_t header[PROXY_HEADER_MAX];
    struct addr ours, theirs;
    size_t n;

    if (version == CONFIG_SEND_PROXY_NO)
        return;
    p->version = 2;
    /* A health check has no client, so the header has the addresses of this connection. LOCAL and
     * UNKNOWN, which are meant for this case, are an error to some servers (PROTOCOL.md 1.5). */
    if (p->source.family == 0 && stream_local(s, &ours) == 0 && stream_peer(s, &theirs) == 0) {
        end_from_addr(&p->source, &ours);
        end_from_addr(&p->destination, &theirs);
    }
    n = version == CONFIG_SEND_PROXY_V1 ? proxyproto_build_v1(header, &p->source, &p->destination)
                                        : proxyproto_build_v2(header, sizeof header, p);
    INSIST(n > 0);
    stream_write(s, span_of(header, n));
}

/* Returns the name in the form in which TLS and HTTP have it: no dot at its end, no zone. */
static const char *name_of(const char *host, char out[HOSTNAME_SIZE])
{
    return hostname_normal(span_str(host), out) ? out : host;
}

static const char *sni_of(const struct config_backend *c, const struct backends_server *s,
                          char out[HOSTNAME_SIZE])
{
    if (c->sni != NULL)
        return c->sni;
    /* RFC 6066 3: SNI has no addresses */
    return hostname_is_address(s->host) ? NULL : name_of(s->host, out);
}

/* Offers the server's session, unless its lifetime has passed. */
static void session_offer(const struct site_backend *b, size_t server, const struct stream *s,
                          struct tls_conn *tls)
{
    struct addr at;

    if (b->sessions == NULL || stream_peer(s, &at) != 0)
        return;
    struct tls_session *session = sessions_get(b->sessions, server, &at);
    if (session != NULL && tls_session_is_fresh(session, time(NULL)))
        tls_conn_resume(tls, session);
    tls_session_unref(session);
}

bool upstream_start(const struct site_backend *b, size_t server, struct stream *s,
                    struct proxyproto *client, enum upstream_use use)
{
    const struct config_backend *c = b->config;
    const struct backends_server *to = upstream_server(b, server);

    proxy_write(c->send_proxy, s, client);
    if (b->tls == NULL) {
        stream_start(s, NULL);
        return true;
    }
    char asked[HOSTNAME_SIZE], wanted[HOSTNAME_SIZE];
    const char *sni = sni_of(c, to, asked);
    const char *name = c->verify_host != NULL ? c->verify_host : sni != NULL ? sni : to->host;
    struct tls_conn *tls = tls_conn_new_client(
        b->tls, sni, c->verify == CONFIG_VERIFY_CA ? name_of(name, wanted) : NULL, stream_sink, s);
    if (use == UPSTREAM_CALL)
        session_offer(b, server, s, tls);
    else if (b->sessions != NULL)
        tls_conn_keep(tls);
    stream_start(s, tls);
    return false;
}

bool upstream_keep_session(const struct site_backend *b, size_t server, const struct stream *s,
                           bool last, uint64_t now_ms)
{
    struct addr at = {0};

    if (b->sessions == NULL)
        return true;
    struct tls_session *session = tls_conn_session(s->tls);
    if (session == NULL && !last)
        return false;
    (void)!stream_peer(s, &at); /* no call has an empty address */
    sessions_keep(b->sessions, server, &at, session, now_ms);
    return true;
}

void upstream_compare_session(const struct site_backend *b, size_t server, const struct stream *s)
{
    if (b->sessions == NULL)
        return;
    const struct span leaf = tls_conn_leaf(s->tls);
    sessions_compare(b->sessions, server, leaf);
    free((void *)leaf.p);
}

void upstream_drop_session(const struct site_backend *b, size_t server, uint64_t now_ms)
{
    const struct addr nowhere = {0};
    sessions_keep(b->sessions, server, &nowhere, NULL, now_ms);
}

void upstream_leaf(const struct stream *s, struct binding_leaf *out)
{
    struct span der = s->tls == NULL ? span_of(NULL, 0) : tls_conn_leaf(s->tls);
    *out = (struct binding_leaf){0};
    if (der.n > 0)
        binding_leaf_from_der(out, der);
    free((void *)der.p);
}

static bool leaf_pinned(const struct config_backend *c, const struct binding_leaf *leaf)
{
    for (size_t i = 0; i < c->pin_count; i++)
        if (memcmp(c->pin[i].sha256, leaf->sha256, BINDING_SHA256) == 0)
            return true;
    return false;
}

bool upstream_trusted(const struct site_backend *b, const struct stream *s,
                      char why[UPSTREAM_WHY_MAX])
{
    struct binding_leaf leaf;

    if (b->config->verify == CONFIG_VERIFY_OFF)
        return true;
    upstream_leaf(s, &leaf);
    /* OpenSSL verifies the chain if the server sends one, but accepts a missing chain. */
    if (leaf.known == 0) {
        snprintf(why, UPSTREAM_WHY_MAX, "the server presented no certificate");
        return false;
    }
    if (b->config->verify == CONFIG_VERIFY_CA || leaf_pinned(b->config, &leaf))
        return true;
    size_t n = (size_t)snprintf(why, UPSTREAM_WHY_MAX,
                                "no pin matches; to trust this certificate: pin-sha256 = ");
    for (size_t i = 0; i < BINDING_SHA256; i++, n += 2)
        snprintf(why + n, UPSTREAM_WHY_MAX - n, "%02x", leaf.sha256[i]);
    return false;
}

const char *upstream_step(const struct stream *s)
{
    if (s->in == STREAM_IN_IDLE)
        return "connect";
    return s->tls != NULL && tls_conn_unverified(s->tls) ? "verify" : "tls";
}

/* Parts of OpenSSL's messages, which differ a little between its versions. */
static const struct tls_hint {
    const char *part, *help;
} tls_hints[] = {
    {"protocol version", "no common TLS version: set tls-min = 1.0 for an old server, see tls-max"},
    {"unsupported protocol", "no common TLS version: set tls-min = 1.0 for an old server"},
    {"wrong version number", "the server does not speak TLS on this port: tls = no?"},
    {"handshake failure", "no common cipher suite, group or version: see ciphers, groups, tls-min"},
    {"too small", "see security-level"},
    {"too weak", "see security-level"},
    {"wrong signature type", "see security-level"},
    {"legacy", "see security-level"},
};

void upstream_tls_why(const struct stream *s, char why[UPSTREAM_WHY_MAX])
{
    const char *text = stream_error(s), *help = NULL;

    for (size_t i = 0; help == NULL && i < sizeof tls_hints / sizeof *tls_hints; i++)
        if (strstr(text, tls_hints[i].part) != NULL)
            help = tls_hints[i].help;
    if (tls_conn_unverified(s->tls)) /* the texts about certificates have their own hints */
        help = NULL;
    snprintf(why, UPSTREAM_WHY_MAX, "%s%s%s%s", text, help == NULL ? "" : " (",
             help == NULL ? "" : help, help == NULL ? "" : ")");
}

/* Returns the Host field. bracketed: room for a name, or an IPv6 address in brackets. */
static struct span host_of(const struct site_backend *b, size_t server,
                           char bracketed[HTTP_HOST_MAX + 1])
{
    const struct config_backend *c = b->config;
    char name[HOSTNAME_SIZE];
    const char *host = name_of(upstream_server(b, server)->host, name);

    if (c->backend_host != NULL || c->sni != NULL)
        return span_str(c->backend_host != NULL ? c->backend_host : c->sni);
    const bool ip6 = strchr(host, ':') != NULL; /* RFC 3986 3.2.2 */
    snprintf(bracketed, HTTP_HOST_MAX + 1, ip6 ? "[%s]" : "%s", host);
    return span_str(bracketed);
}

size_t upstream_request(const struct site_backend *b, size_t server, const char *correlation,
                        const char *tenant, uint8_t out[HTTP_BUILD_MAX])
{
    char bracketed[HTTP_HOST_MAX + 1];
    const size_t n = http_build_request(out, host_of(b, server, bracketed),
                                        span_str(tenant == NULL ? "" : tenant),
                                        span_str(correlation == NULL ? "" : correlation));
    INSIST(n > 0); /* config checks that it fits */
    return n;
}

const char *upstream_bad_answer(enum err e)
{
    return e == ERR_TOO_LARGE ? "the head of the answer is too large" : "not HTTP";
}

size_t upstream_head(const struct site_backend *b, size_t server, uint8_t out[HTTP_BUILD_MAX])
{
    char bracketed[HTTP_HOST_MAX + 1];
    const size_t n = http_build_head(out, host_of(b, server, bracketed));
    INSIST(n > 0);
    return n;
}

void upstream_report(const struct site_backend *b, size_t server, bool good, const char *cause,
                     uint64_t now_ms)
{
    const enum backends_change change = backends_report(b->servers, server, good, cause, now_ms);
    char name[BACKENDS_NAME_MAX];
    struct log_line l;

    if (change == BACKENDS_SAME)
        return;
    log_begin(&l, good ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, "server");
    log_str(&l, "backend", b->config->name);
    log_str(&l, "server", backends_name(b->servers, server, name));
    log_str(&l, "state", good ? "up" : "down");
    log_str(&l, "cause", cause);
    log_end(&l);
}
