#include "call/entry.h"

#include <string.h>
#include <time.h>

#include "base/insist.h"
#include "call/site.h"
#include "call/tunnel.h"
#include "call/uplink.h"
#include "net/worker.h"
#include "policy/limits.h"
#include "tls/tls_conn.h"
#include "wire/http_head.h"
#include "wire/proxyproto.h"

enum { DENY_LINES_PER_SECOND = 20 }; /* for each worker */

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

    if (!log_limit_pass(&t->set->limit_deny, tunnel_now(t), DENY_LINES_PER_SECOND, &missed))
        return;
    session_line(&t->session, &l, LOG_LEVEL_INFO, "deny");
    if (t->session.user != NULL)
        log_str(&l, "user", t->session.user);
    if (t->session.user_is_claim)
        log_str(&l, "outer-name", "claim");
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

/* True: nothing that is known speaks against it. False: *v says what does, and it is logged; end:
 * the word for what is done where that is not the rule's action. */
static bool rules_pass(struct tunnel *t, const struct rules_facts *facts, const char *end,
                       struct rules_answer *v)
{
    const struct config_listener *c = t->listener->config;

    if (t->rules_over)
        return true;
    *v = rules_decide(&c->rules, facts);
    if (v->verdict != RULES_DENY)
        return true;
    log_denied(t, v, c->dry_run ? "dry-run" : end != NULL ? end : rules_action_name(v->action));
    t->rules_over = c->dry_run;
    return c->dry_run;
}

static void refuse_unseen(struct tunnel *t, enum rules_action action, enum reason reason)
{
    if (action == RULES_DROP)
        stream_vanish(&t->client);
    tunnel_cut(t, reason, true, true);
}

bool entry_user_allowed(void *arg, struct span user)
{
    struct tunnel *t = arg;
    struct rules_facts facts = facts_of(t, t->accepted);
    struct rules_answer v;

    facts.user_known = user.n > 0 ? RULES_USER_KNOWN : RULES_USER_DOUBTFUL;
    facts.user = user;
    return rules_pass(t, &facts, "disconnect", &v);
}

void entry_recheck(struct tunnel *t, const struct site *site)
{
    const struct config *c = site->config;
    const struct config_listener *now = NULL;

    for (size_t i = 0; i < c->listener_count && now == NULL; i++)
        if (strcmp(c->listener[i].name, t->listener->config->name) == 0)
            now = &c->listener[i];
    if (now == NULL || !now->recheck_tunnels || now->dry_run)
        return;
    struct rules_facts facts = facts_of(t, time(NULL));
    facts.user = text_or_none(t->session.user_is_claim ? NULL : t->session.user);
    if (t->state == TUNNEL_RELAY)
        facts.user_known = facts.user.n > 0 ? RULES_USER_KNOWN : RULES_USER_DOUBTFUL;
    struct rules_answer v = rules_decide(&now->rules, &facts);
    if (v.verdict != RULES_DENY)
        return;
    log_denied(t, &v, "disconnect");
    tunnel_close(t, REASON_RULES_CHANGED);
}

/* ---- accept ---- */

void entry_log_limited(struct tunnel *t, const char *key)
{
    struct log_line l;
    unsigned missed;

    if (!log_limit_pass(&t->set->limit_hit, tunnel_now(t), 1, &missed))
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
    enum limits_verdict hit =
        limits_enter(t->set->shared->limits, &t->session.client, tunnel_now(t));
    if (hit != LIMITS_OK) {
        entry_log_limited(t, limits_key(hit));
        tunnel_cut(t, REASON_LIMIT, true, true);
        return false;
    }
    t->counted = true;
    return true;
}

struct tls_conn *entry_hello(struct tunnel *t)
{
    tunnel_enter(t, TUNNEL_HANDSHAKE);
    return tls_conn_new_server(t->listener->tls, stream_sink, &t->client);
}

static bool is_trusted_proxy(const struct config_listener *c, const struct addr *who)
{
    for (size_t i = 0; i < c->trusted_proxies.count; i++)
        if (cidr_has(&c->trusted_proxies.item[i], who))
            return true;
    return false;
}

void entry_begin(struct tunnel *t, struct listener *l)
{
    const struct config_listener *c = t->listener->config;

    if (stream_accept(&t->client, &l->tcp, &t->session.client) != 0 ||
        stream_local(&t->client, &t->session.local) != 0) {
        tunnel_drop(t, REASON_CLIENT_RESET); /* it was gone before we looked */
        return;
    }
    /* A trusted proxy must say whom it brings. Anybody else who tries to gets no further than the
     * TLS handshake, of which a PROXY header is no part. */
    if (c->accept_proxy && is_trusted_proxy(c, &t->session.client)) {
        t->session.proxy = t->session.client;
        stream_start(&t->client, NULL);
        return;
    }
    tunnel_enter(t, TUNNEL_HELLO);
    if (admitted(t))
        stream_expect(&t->client);
}

/* ---- the PROXY header ---- */

static void addr_from_end(struct addr *out, const struct proxyproto_end *end)
{
    *out = (struct addr){.family = end->family == 4 ? AF_INET : AF_INET6, .port = end->port};
    memcpy(out->ip, end->ip, end->family == 4 ? 4 : 16);
}

size_t entry_proxy_read(struct tunnel *t, struct span in)
{
    struct proxyproto p;
    enum err e = proxyproto_parse(in, &p);

    if (e == ERR_MORE)
        return 0;
    if (e != ERR_OK) {
        session_keep(&t->session.detail, span_str(err_text(e)));
        tunnel_cut(t, REASON_BAD_PROXY_HEADER, true, true);
        return in.n;
    }
    if (p.source.family != 0) {
        addr_from_end(&t->session.client, &p.source);
        addr_from_end(&t->session.local, &p.destination);
    }
    tunnel_enter(t, TUNNEL_HELLO);
    if (!admitted(t))
        return in.n;
    stream_secure(&t->client);
    return p.len;
}

/* ---- the request ---- */

void entry_secure(struct tunnel *t)
{
    const struct tls_conn *tls = t->client.tls;
    t->session.tls_version = tls_conn_version(tls);
    t->session.tls_cipher = tls_conn_cipher(tls);
    session_keep(&t->session.sni, tls_conn_sni(tls));
    tunnel_enter(t, TUNNEL_REQUEST);
}

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
    uplink_dial(t, site);
    return 0;
}

/* Keeps the tenant for the backend as it was sent, and for the rules without escapes, because the
 * backend undoes them. The reader of the request bounds it. */
static void keep_tenant(struct tunnel *t, struct span value)
{
    uint8_t plain[HTTP_TENANT_MAX];

    INSIST(value.n <= sizeof plain);
    session_keep(&t->tenant_sent, value);
    session_keep(&t->session.tenant, span_of(plain, http_unescape(value, plain)));
}

/* use-backend: by now all is known that it may ask for. */
static const struct config_backend *backend_for(const struct tunnel *t,
                                                const struct rules_facts *facts)
{
    const struct config_listener *c = t->listener->config;
    const size_t rule = rules_decide(&c->routes, facts).rule;
    return rule == 0 ? c->backend : c->route[rule - 1].backend;
}

/* Answers a head that cannot be read. The web site, if there is one, gives its own answer;
 * otherwise the gate's answer is the same for every client, because it does not depend on method
 * and URI. */
static size_t unreadable(struct tunnel *t, enum err e, size_t head)
{
    session_keep(&t->session.detail, span_str(err_text(e)));
    if (t->listener->config->fallback != NULL)
        return decoy(t, REASON_NOT_SSTP, head);
    tunnel_close(t, e == ERR_TOO_LARGE ? REASON_TOO_LARGE : REASON_BAD_REQUEST);
    return head;
}

/* Where there is a web site, an unfinished head that is not SSTP is the site's at once: the site
 * may have an answer to it already. A client that gets the decoy in any case must not see that the
 * gate waits for the rest of an SSTP request. */
static size_t unfinished(struct tunnel *t, struct span in)
{
    if (t->listener->config->fallback == NULL || (!t->decoy && http_may_be_sstp(in)))
        return 0;
    return decoy(t, t->decoy ? REASON_RULE_DENIED : REASON_NOT_SSTP, 0);
}

void entry_request_ended(struct tunnel *t)
{
    if (t->listener->config->fallback != NULL)
        (void)decoy(t, REASON_NOT_SSTP, 0);
}

void entry_request_expired(struct tunnel *t)
{
    if (t->listener->config->fallback != NULL && t->client.held != NULL)
        (void)decoy(t, REASON_REQUEST_TIMEOUT, 0);
    else
        tunnel_close(t, REASON_REQUEST_TIMEOUT);
}

size_t entry_request_read(struct tunnel *t, struct span in)
{
    struct http_request request;
    enum err e = http_parse_request(in, &request);

    if (e == ERR_MORE)
        return unfinished(t, in);
    if (e != ERR_OK)
        return unreadable(t, e, in.n);
    t->head_request = request.is_head;
    session_keep(&t->session.host, request.host);
    session_keep(&t->session.correlation, request.correlation);
    if (request.flaw != ERR_OK)
        session_keep(&t->session.detail, span_str(err_text(request.flaw)));
    if (!request.sstp)
        return decoy(t, REASON_NOT_SSTP, request.len);
    if (!host_admitted(t, request.host))
        return decoy(t, REASON_HOST_REFUSED, request.len);
    if (t->decoy)
        return decoy(t, REASON_RULE_DENIED, request.len);
    keep_tenant(t, request.tenant);
    t->request_known = true;
    const struct rules_facts facts = facts_of(t, t->accepted);
    struct rules_answer v;
    if (!rules_pass(t, &facts, NULL, &v)) {
        if (v.action == RULES_DECOY)
            return decoy(t, REASON_RULE_DENIED, request.len);
        refuse_unseen(t, v.action, REASON_RULE_DENIED);
        return in.n;
    }
    uplink_dial(t, backend_for(t, &facts));
    return request.len;
}
