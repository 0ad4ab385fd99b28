#include "call/entry.h"

#include <string.h>
#include <time.h>

#include "base/insist.h"
#include "call/call.h"
#include "call/uplink.h"
#include "net/worker.h"
#include "policy/limits.h"
#include "site/site.h"
#include "tls/tls_conn.h"
#include "wire/http_request.h"
#include "wire/http_uri.h"
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

static struct rules_facts facts_of(const struct call *call, time_t now)
{
    return (struct rules_facts){
        .client = &call->record.client,
        .now = now,
        .request_known = call->request_known,
        .host = text_or_none(call->record.host),
        .sni = without_port(text_or_none(call->record.sni)),
        .tenant = text_or_none(call->record.tenant),
    };
}

static void log_denied(struct call *call, const struct rules_answer *v, const char *action)
{
    struct log_line l;
    unsigned missed;

    if (!log_limit_pass(&call->set->limit_deny, call_now(call), DENY_LINES_PER_SECOND, &missed))
        return;
    record_line(&call->record, &l, LOG_LEVEL_INFO, "deny");
    if (call->record.user != NULL)
        log_str(&l, "user", call->record.user);
    if (call->record.user_is_claim)
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
static bool rules_pass(struct call *call, const struct rules_facts *facts, const char *end,
                       struct rules_answer *v)
{
    const struct config_listener *c = call->listener->config;

    if (call->admission.overruled)
        return true;
    *v = rules_decide(&c->rules, facts);
    if (v->verdict != RULES_DENY)
        return true;
    log_denied(call, v, c->dry_run ? "dry-run" : end != NULL ? end : rules_action_name(v->action));
    call->admission.overruled = c->dry_run;
    return c->dry_run;
}

static void refuse_unseen(struct call *call, enum rules_action action, enum reason reason)
{
    if (action == RULES_DROP)
        stream_vanish(&call->client);
    call_end(call, reason);
}

bool entry_user_allowed(void *arg, struct span user)
{
    struct call *call = arg;
    struct rules_facts facts = facts_of(call, call->admission.accepted);
    struct rules_answer v;

    facts.user_known = user.n > 0 ? RULES_USER_KNOWN : RULES_USER_DOUBTFUL;
    facts.user = user;
    return rules_pass(call, &facts, "disconnect", &v);
}

void entry_recheck(struct call *call, const struct site *site)
{
    const struct config *c = site->config;
    const struct config_listener *now = NULL;

    for (size_t i = 0; i < c->listener_count && now == NULL; i++)
        if (strcmp(c->listener[i].name, call->listener->config->name) == 0)
            now = &c->listener[i];
    if (now == NULL || !now->recheck_tunnels || now->dry_run)
        return;
    struct rules_facts facts = facts_of(call, time(NULL));
    facts.user = text_or_none(call->record.user_is_claim ? NULL : call->record.user);
    if (call->state == CALL_RELAY)
        facts.user_known = facts.user.n > 0 ? RULES_USER_KNOWN : RULES_USER_DOUBTFUL;
    struct rules_answer v = rules_decide(&now->rules, &facts);
    if (v.verdict != RULES_DENY)
        return;
    log_denied(call, &v, "disconnect");
    call_end(call, REASON_RULES_CHANGED);
}

/* ---- accept ---- */

void entry_log_limited(struct call *call, const char *key)
{
    struct log_line l;
    unsigned missed;

    if (!log_limit_pass(&call->set->limit_hit, call_now(call), 1, &missed))
        return;
    record_line(&call->record, &l, LOG_LEVEL_WARNING, "limit");
    log_str(&l, "key", key);
    if (missed > 0)
        log_num(&l, "lines-left-out", missed);
    log_end(&l);
}

/* All that is asked before any cryptography. */
static bool admitted(struct call *call)
{
    call->admission.accepted = time(NULL);
    const struct rules_facts facts = facts_of(call, call->admission.accepted);
    struct rules_answer v;
    if (!rules_pass(call, &facts, NULL, &v)) {
        if (v.action != RULES_DECOY) {
            refuse_unseen(call, v.action, REASON_ADDRESS_DENIED);
            return false;
        }
        call->admission.decoy = true;
    }
    enum limits_verdict hit =
        limits_enter(call->set->shared->limits, &call->record.client, call_now(call));
    if (hit != LIMITS_OK) {
        entry_log_limited(call, limits_key(hit));
        call_end(call, REASON_LIMIT);
        return false;
    }
    call->admission.counted = true;
    return true;
}

struct tls_conn *entry_hello(struct call *call)
{
    call_enter(call, CALL_HANDSHAKE);
    struct tls_conn *conn = tls_conn_new_server(call->listener->tls, stream_sink, &call->client);
    tls_conn_set_time(conn, call->admission.accepted);
    return conn;
}

void entry_begin(struct call *call, struct listener *l)
{
    const struct config_listener *c = call->listener->config;

    if (stream_accept(&call->client, &l->tcp, &call->record.client) != 0 ||
        stream_local(&call->client, &call->record.local) != 0) {
        call_end(call, REASON_CLIENT_RESET); /* it was gone before we looked */
        return;
    }
    /* A trusted proxy must say whom it brings. Anybody else who tries to gets no further than the
     * TLS handshake, of which a PROXY header is no part. */
    if (c->accept_proxy && cidrs_have(&c->trusted_proxies, &call->record.client)) {
        call->record.proxy = call->record.client;
        stream_start(&call->client, NULL);
        return;
    }
    call_enter(call, CALL_HELLO);
    if (admitted(call))
        stream_expect(&call->client);
}

/* ---- the PROXY header ---- */

static void addr_from_end(struct addr *out, const struct proxyproto_end *end)
{
    *out = (struct addr){.family = end->family == 4 ? AF_INET : AF_INET6, .port = end->port};
    memcpy(out->ip, end->ip, end->family == 4 ? 4 : 16);
}

size_t entry_proxy_read(struct call *call, struct span in)
{
    struct proxyproto p;
    enum err e = proxyproto_parse(in, &p);

    if (e == ERR_MORE)
        return 0;
    if (e != ERR_OK) {
        record_keep(&call->record.detail, span_str(err_text(e)));
        call_end(call, REASON_BAD_PROXY_HEADER);
        return in.n;
    }
    if (p.source.family != 0) {
        addr_from_end(&call->record.client, &p.source);
        addr_from_end(&call->record.local, &p.destination);
    }
    call_enter(call, CALL_HELLO);
    if (!admitted(call))
        return in.n;
    stream_secure(&call->client);
    return p.len;
}

/* ---- the request ---- */

void entry_secure(struct call *call)
{
    const struct tls_conn *tls = call->client.tls;
    call->record.tls_version = tls_conn_version(tls);
    call->record.tls_cipher = tls_conn_cipher(tls);
    record_keep(&call->record.sni, tls_conn_sni(tls));
    call_enter(call, CALL_REQUEST);
}

static bool name_admitted(const struct config_strings *names, struct span name)
{
    for (size_t i = 0; i < names->count; i++)
        if (span_eq_nocase(span_str(names->item[i]), name))
            return true;
    return names->count == 0;
}

static bool host_admitted(const struct call *call, struct span host)
{
    const struct config_strings *names = &call->listener->config->host;
    struct span sni = without_port(tls_conn_sni(call->client.tls));
    /* Old clients send no SNI; one that is sent must be right. */
    return name_admitted(names, host) && (sni.n == 0 || name_admitted(names, sni));
}

/* Not for the SSTP server: what such a client gets looks the same whatever the reason. With a web
 * site that is the site's own answer to all it has sent, so the head stays unread here. */
static size_t decoy(struct call *call, enum reason reason, size_t head)
{
    const struct config_backend *site = call->listener->config->fallback;

    if (site == NULL) {
        call_end(call, reason);
        return head;
    }
    call->reason = reason;
    call->web = true;
    stream_pause(&call->client); /* a body may follow, of any size */
    uplink_dial(call, site);
    return 0;
}

/* Keeps the tenant for the backend as it was sent, and for the rules without escapes, because the
 * backend undoes them. The reader of the request bounds it. */
static void keep_tenant(struct call *call, struct span value)
{
    uint8_t plain[HTTP_TENANT_MAX];

    INSIST(value.n <= sizeof plain);
    record_keep(&call->request.tenant, value);
    record_keep(&call->record.tenant, span_of(plain, http_unescape(value, plain)));
}

/* use-backend: by now all is known that it may ask for. */
static const struct config_backend *backend_for(const struct call *call,
                                                const struct rules_facts *facts)
{
    const struct config_listener *c = call->listener->config;
    const size_t rule = rules_decide(&c->routes, facts).rule;
    return rule == 0 ? c->backend : c->route[rule - 1].backend;
}

/* Answers a head that cannot be read. The web site, if there is one, gives its own answer;
 * otherwise the gate's answer is the same for every client, because it does not depend on method
 * and URI. */
static size_t unreadable(struct call *call, enum err e, size_t head)
{
    record_keep(&call->record.detail, span_str(err_text(e)));
    if (call->listener->config->fallback != NULL)
        return decoy(call, REASON_NOT_SSTP, head);
    call_end(call, e == ERR_TOO_LARGE ? REASON_TOO_LARGE : REASON_BAD_REQUEST);
    return head;
}

/* Where there is a web site, an unfinished head that is not SSTP is the site's at once: the site
 * may have an answer to it already. A client that gets the decoy in any case must not see that the
 * gate waits for the rest of an SSTP request. */
static size_t unfinished(struct call *call, struct span in)
{
    if (call->listener->config->fallback == NULL ||
        (!call->admission.decoy && http_request_may_be_sstp(in)))
        return 0;
    return decoy(call, call->admission.decoy ? REASON_RULE_DENIED : REASON_NOT_SSTP, 0);
}

void entry_request_ended(struct call *call)
{
    if (call->listener->config->fallback != NULL)
        (void)decoy(call, REASON_NOT_SSTP, 0);
}

void entry_request_expired(struct call *call)
{
    if (call->listener->config->fallback != NULL && call->client.held != NULL)
        (void)decoy(call, REASON_REQUEST_TIMEOUT, 0);
    else
        call_end(call, REASON_REQUEST_TIMEOUT);
}

size_t entry_request_read(struct call *call, struct span in)
{
    struct http_request request;
    enum err e = http_request_parse(in, &request);

    if (e == ERR_MORE)
        return unfinished(call, in);
    if (e != ERR_OK)
        return unreadable(call, e, in.n);
    call->request.is_head = request.is_head;
    record_keep(&call->record.host, request.host);
    record_keep(&call->record.correlation, request.correlation);
    if (request.flaw != ERR_OK)
        record_keep(&call->record.detail, span_str(err_text(request.flaw)));
    if (!request.sstp)
        return decoy(call, REASON_NOT_SSTP, request.len);
    if (!host_admitted(call, request.host))
        return decoy(call, REASON_HOST_REFUSED, request.len);
    if (call->admission.decoy)
        return decoy(call, REASON_RULE_DENIED, request.len);
    keep_tenant(call, request.tenant);
    call->request_known = true;
    const struct rules_facts facts = facts_of(call, call->admission.accepted);
    struct rules_answer v;
    if (!rules_pass(call, &facts, NULL, &v)) {
        if (v.action == RULES_DECOY)
            return decoy(call, REASON_RULE_DENIED, request.len);
        refuse_unseen(call, v.action, REASON_RULE_REJECTED);
        return in.n;
    }
    uplink_dial(call, backend_for(call, &facts));
    return request.len;
}
