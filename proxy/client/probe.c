#include "client/probe.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/hostname.h"
#include "base/insist.h"
#include "client/line.h"
#include "tls/tls_ctx.h"

enum { TRY_MS = 5000, READ_MAX = TLS_READ_ROOM };

static const char *const version_names[PROBE_VERSIONS] = {"1.0", "1.1", "1.2", "1.3"};

/* In OpenSSL's names. An OpenSSL that does not know one leaves its answer unknown. */
static const char *const group_names[] = {"X25519", "P-256",     "P-384",     "P-521",
                                          "X448",   "ffdhe2048", "ffdhe3072", "X25519MLKEM768"};

struct probe {
    const struct probe_settings *settings;
    struct probe_result *result;
    struct addr address;
    uint64_t deadline_ms;
};

/* ---- one handshake ---- */

struct attempt {
    struct tls_settings tls;
    const struct tls_ca *ca;
    const char *sni, *name; /* name: that the certificate must have, with ca */
    enum line_result result;
    bool possible; /* OpenSSL supports the settings */
    bool shown;    /* a certificate: leaf */
    struct binding_leaf leaf;
    char error[PROBE_ERROR_MAX];
};

/* Returns the settings of a client that accepts everything. */
static struct tls_settings any_tls(void)
{
    return (struct tls_settings){.min = TLS_1_0, .max = TLS_1_3, .security_level = -1};
}

static const char *sni_of(const struct probe *p)
{
    return hostname_is_address(p->settings->name) ? NULL : p->settings->name; /* RFC 6066 3 */
}

/* Returns the deadline of the next connection: a server may treat each differently. */
static uint64_t next_deadline(const struct probe *p)
{
    const uint64_t until = line_now() + TRY_MS;
    return until < p->deadline_ms ? until : p->deadline_ms;
}

static void keep_leaf(struct attempt *a, const struct line *l)
{
    const struct span der = tls_conn_leaf(line_tls(l));

    a->shown = der.n > 0;
    if (a->shown)
        binding_leaf_from_der(&a->leaf, der);
    free((void *)(uintptr_t)der.p);
}

static void attempt_run(struct probe *p, struct attempt *a)
{
    char error[TLS_ERROR_MAX];
    struct line *l;

    struct tls_ctx *ctx = tls_ctx_new_client(&a->tls, a->ca, error);
    a->possible = ctx != NULL;
    if (ctx == NULL)
        return;
    p->result->connections++;
    a->result = line_open(&l, &p->address, next_deadline(p));
    if (a->result == LINE_OK)
        a->result = line_secure(l, ctx, a->sni, a->ca == NULL ? NULL : a->name);
    if (a->result == LINE_OK)
        keep_leaf(a, l);
    snprintf(a->error, sizeof a->error, "%.*s", PROBE_ERROR_MAX - 1, line_error(l));
    line_close(l);
    tls_ctx_free(ctx);
}

/* Returns PROBE_NO only for a server that has refused, not for a server without an answer. */
static enum probe_answer answer_of(const struct attempt *a)
{
    if (!a->possible)
        return PROBE_UNKNOWN;
    switch (a->result) {
    case LINE_OK: return PROBE_YES;
    case LINE_TLS:
    case LINE_CLOSED: return PROBE_NO;
    default: return PROBE_UNKNOWN;
    }
}

static bool in_time(const struct probe *p)
{
    return line_now() < p->deadline_ms;
}

/* ---- TLS ---- */

static void probe_versions(struct probe *p)
{
    for (size_t i = 0; i < PROBE_VERSIONS && in_time(p); i++) {
        struct attempt a = {.tls = any_tls(), .sni = sni_of(p)};
        a.tls.min = a.tls.max = (enum tls_version)(TLS_1_0 + i);
        attempt_run(p, &a);
        p->result->version[i] = answer_of(&a);
    }
}

/* Offers one group alone. Before TLS 1.3 only ECDHE uses it, so nothing else is offered. */
static void probe_groups(struct probe *p)
{
    const size_t newest = probe_newest(p->result);

    for (size_t i = 0; probe_group_name(i) != NULL && newest < PROBE_VERSIONS && in_time(p); i++) {
        struct attempt a = {.tls = any_tls(), .sni = sni_of(p)};
        a.tls.min = a.tls.max = (enum tls_version)(TLS_1_0 + newest);
        a.tls.ciphers = "kECDHE";
        a.tls.groups = probe_group_name(i);
        attempt_run(p, &a);
        p->result->group[i] = answer_of(&a);
    }
}

/* Finds the settings of a backend that connect to the server, the most secure first. */
static void probe_backend(struct probe *p)
{
    static const struct {
        enum tls_version min;
        int level;
    } rows[] = {{TLS_1_2, -1}, {TLS_1_2, 0}, {TLS_1_0, -1}};
    struct probe_result *r = p->result;

    for (size_t i = 0; i < 3 && r->backend != PROBE_YES && in_time(p); i++) {
        struct attempt a = {.tls = any_tls(), .sni = sni_of(p)};
        a.tls.min = r->backend_min = rows[i].min;
        a.tls.security_level = r->backend_level = rows[i].level;
        attempt_run(p, &a);
        r->backend = answer_of(&a);
    }
}

static void probe_sni(struct probe *p)
{
    struct attempt a = {.tls = any_tls()};

    if (sni_of(p) == NULL || !in_time(p))
        return;
    attempt_run(p, &a);
    p->result->without_sni = answer_of(&a);
    p->result->other_leaf =
        a.shown && memcmp(a.leaf.sha256, p->result->call.leaf.sha256, BINDING_SHA256) != 0;
}

static void probe_trust(struct probe *p)
{
    struct probe_result *r = p->result;
    struct attempt a = {
        .tls = any_tls(), .ca = p->settings->ca, .sni = sni_of(p), .name = p->settings->name};

    if (a.ca == NULL) {
        snprintf(r->why_not, sizeof r->why_not, "%s",
                 p->settings->ca_error == NULL ? "" : p->settings->ca_error);
        return;
    }
    if (!in_time(p))
        return;
    attempt_run(p, &a);
    r->verified = answer_of(&a);
    if (r->verified == PROBE_NO)
        snprintf(r->why_not, sizeof r->why_not, "%s", a.error);
}

/* ---- HTTP ---- */

/* Sends the request and reads the status of its answer. */
static unsigned head_answer(struct probe *p, struct line *l)
{
    uint8_t request[HTTP_BUILD_MAX], in[HTTP_HEADS_MAX];
    struct http_response response;
    size_t have = 0, n;

    line_write(l, span_of(request, http_build_head(request, span_str(p->settings->http_host))));
    for (;;) {
        const enum line_result r = line_read(l, in + have, sizeof in - have, &n, p->deadline_ms);
        if (r == LINE_CLOSED && have == 0)
            return KIND_HEAD_CLOSED;
        if (r != LINE_OK)
            return KIND_HEAD_NONE;
        have += n;
        const enum err e = http_response_parse(span_of(in, have), &response);
        if (e != ERR_MORE)
            return e == ERR_OK ? response.status : KIND_HEAD_NONE;
    }
}

/* Sends HEAD for the URI of SSTP, as load balancers do (PROTOCOL.md 1.4). */
static void probe_head(struct probe *p)
{
    const struct tls_settings tls = any_tls();
    char error[TLS_ERROR_MAX];
    struct line *l;

    struct tls_ctx *ctx = p->settings->plain ? NULL : tls_ctx_new_client(&tls, NULL, error);
    if (!in_time(p) || (ctx == NULL && !p->settings->plain))
        return;
    p->result->connections++;
    enum line_result r = line_open(&l, &p->address, next_deadline(p));
    if (r == LINE_OK && ctx != NULL)
        r = line_secure(l, ctx, sni_of(p), NULL);
    if (r == LINE_OK)
        p->result->head_status = head_answer(p, l);
    line_close(l);
    tls_ctx_free(ctx);
}

/* ---- SSTP ---- */

/* Makes a call that refuses each method of authentication, and suggests all, one after the other.
 */
static void probe_call(struct probe *p)
{
    const struct probe_settings *s = p->settings;
    const uint64_t left = next_deadline(p) - line_now();
    const struct dial_settings settings = {
        .host = s->host,
        .port = s->port,
        .sni = sni_of(p),
        .http_host = s->http_host,
        .plain = s->plain,
        .verify = DIAL_VERIFY_OFF,
        .tls = any_tls(),
        .link = {.methods = {PPP_METHOD_EAP, PPP_METHOD_MSCHAPV2, PPP_METHOD_MSCHAPV1,
                             PPP_METHOD_CHAP_MD5, PPP_METHOD_PAP},
                 .method_count = 5,
                 .survey = true},
        .timeout_ms = (uint32_t)left};

    p->result->connections++;
    dial_run(&settings, &p->result->call);
}

static void probe_certificate(struct probe *p)
{
    struct probe_result *r = p->result;

    if (r->call.has_leaf)
        r->has_facts =
            tls_facts_from_der(r->call.leaf_der, p->settings->name, &r->facts, &r->named);
}

static void probe_kind(struct probe_result *r)
{
    const struct dial_result *c = &r->call;
    const struct kind_facts facts = {.head = span_of(c->head, c->head_n),
                                     .server = c->server,
                                     .acknowledged = c->status == 200 && c->step >= STEP_LCP,
                                     .mask = c->mask,
                                     .options = c->options,
                                     .option_count = c->option_count,
                                     .lcp = c->option_count > 0,
                                     .magic_rejected = c->magic_rejected,
                                     .eap_first =
                                         c->offered_count > 0 && c->offered[0].protocol == PPP_EAP,
                                     .head_status = r->head_status};

    if (c->status == 200)
        kind_find(&facts, &r->kind);
}

/* ---- the probe ---- */

void probe_run(const struct probe_settings *settings, struct probe_result *out)
{
    struct probe p = {
        .settings = settings, .result = out, .deadline_ms = line_now() + settings->timeout_ms};

    *out = (struct probe_result){0};
    probe_call(&p);
    if (out->call.step <= STEP_CONNECT ||
        addr_parse(out->call.address, settings->port, &p.address) != ERR_OK)
        return;
    probe_certificate(&p);
    if (!settings->plain && out->call.fault != FAULT_NOT_TLS) {
        probe_versions(&p);
        probe_groups(&p);
        probe_backend(&p);
    }
    if (out->call.has_leaf) {
        probe_sni(&p);
        probe_trust(&p);
    }
    if (out->call.status != 0)
        probe_head(&p);
    probe_kind(out);
}

void probe_fini(struct probe_result *r)
{
    if (r->has_facts)
        tls_facts_fini(&r->facts);
    dial_fini(&r->call);
}

const char *probe_version_name(size_t i)
{
    return i < PROBE_VERSIONS ? version_names[i] : NULL;
}

const char *probe_group_name(size_t i)
{
    return i < sizeof group_names / sizeof *group_names ? group_names[i] : NULL;
}

enum fault probe_fault(const struct probe_result *r)
{
    return r->call.step >= STEP_LCP ? FAULT_NONE : r->call.fault;
}

size_t probe_oldest(const struct probe_result *r)
{
    for (size_t i = 0; i < PROBE_VERSIONS; i++)
        if (r->version[i] == PROBE_YES)
            return i;
    return PROBE_VERSIONS;
}

size_t probe_newest(const struct probe_result *r)
{
    for (size_t i = PROBE_VERSIONS; i > 0; i--)
        if (r->version[i - 1] == PROBE_YES)
            return i - 1;
    return PROBE_VERSIONS;
}
