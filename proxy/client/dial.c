#include "client/dial.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/insist.h"
#include "client/line.h"
#include "client/resolve.h"
#include "tls/tls_ctx.h"

enum {
    SILENCE_MS = 1000, /* before the latest packet of PPP is sent again */
    END_MS = 2000,     /* for the server's answer to a Disconnect ([MS-SSTP] 3.1.2.2: 5 s) */
    READ_MAX = TLS_READ_ROOM,
};

struct dial {
    const struct dial_settings *settings;
    struct dial_result *result;
    struct line *line;
    struct session *session; /* NULL: not yet */
    uint64_t begin_ms, step_ms, deadline_ms;
};

/* ---- steps ---- */

static void begin_step(struct dial *d, enum step step)
{
    d->result->step = step;
    d->step_ms = line_now();
}

static void end_step(struct dial *d)
{
    const enum step step = d->result->step;

    d->result->step_ms[step] = (uint32_t)(line_now() - d->step_ms);
    d->result->step_done[step] = true;
}

/* Completes the steps before `step`: one record of the server may end several. */
static void reach_step(struct dial *d, enum step step)
{
    while (d->result->step < step) {
        end_step(d);
        begin_step(d, d->result->step + 1);
    }
}

static bool fail(struct dial *d, enum fault fault, const char *detail)
{
    struct dial_result *r = d->result;

    r->fault = fault;
    snprintf(r->detail, sizeof r->detail, "%s", detail);
    r->step_ms[r->step] = (uint32_t)(line_now() - d->step_ms);
    return false;
}

static enum fault fault_of(enum line_result r)
{
    switch (r) {
    case LINE_TIMEOUT: return FAULT_TIMEOUT;
    case LINE_CLOSED: return FAULT_CLOSED;
    case LINE_REFUSED: return FAULT_REFUSED;
    case LINE_NOT_TLS: return FAULT_NOT_TLS;
    case LINE_TLS: return FAULT_TLS;
    default: return FAULT_NO_ROUTE;
    }
}

/* ---- the connection ---- */

/* Tries the addresses in turn; each gets its share of the time that is left. */
static bool connect_any(struct dial *d, const struct addr *address, size_t n)
{
    enum line_result r = LINE_FAILED;

    for (size_t i = 0; i < n; i++) {
        const uint64_t now = line_now();
        const uint64_t left = d->deadline_ms > now ? d->deadline_ms - now : 0;
        line_close(d->line);
        addr_format(&address[i], d->result->address);
        r = line_open(&d->line, &address[i], now + left / (n - i));
        if (r == LINE_OK)
            break;
    }
    if (r != LINE_OK)
        return fail(d, fault_of(r), line_error(d->line));
    struct addr local;
    if (line_local(d->line, &local))
        addr_format(&local, d->result->local);
    line_set_deadline(d->line, d->deadline_ms);
    return true;
}

static bool is_pinned(const struct dial_settings *s, const struct binding_leaf *leaf)
{
    for (size_t i = 0; i < s->pin_count; i++)
        if (memcmp(s->pins[i], leaf->sha256, DIAL_PIN) == 0)
            return true;
    return false;
}

static void keep_tls(struct dial *d)
{
    const struct tls_conn *tls = line_tls(d->line);
    struct dial_result *r = d->result;

    snprintf(r->tls_version, sizeof r->tls_version, "%s", tls_conn_version(tls));
    snprintf(r->cipher, sizeof r->cipher, "%s", tls_conn_cipher(tls));
    r->leaf_der = tls_conn_leaf(tls);
    r->has_leaf = r->leaf_der.n > 0;
    if (r->has_leaf)
        binding_leaf_from_der(&r->leaf, r->leaf_der);
}

static bool check_tls(struct dial *d, enum line_result r)
{
    const struct dial_settings *s = d->settings;

    if (r == LINE_TLS && tls_conn_unverified(line_tls(d->line)))
        return fail(d, FAULT_UNTRUSTED, line_error(d->line));
    if (r != LINE_OK)
        return fail(d, fault_of(r), line_error(d->line));
    keep_tls(d);
    if (s->verify != DIAL_VERIFY_OFF && !d->result->has_leaf)
        return fail(d, FAULT_UNTRUSTED, "the server presented no certificate");
    if (s->verify == DIAL_VERIFY_PIN && !is_pinned(s, &d->result->leaf))
        return fail(d, FAULT_PIN, "no pin matches");
    return true;
}

static bool secure(struct dial *d, struct tls_ctx **ctx)
{
    const struct dial_settings *s = d->settings;
    const bool chain = s->verify == DIAL_VERIFY_CA;
    char error[TLS_ERROR_MAX];

    *ctx = tls_ctx_new_client(&s->tls, chain ? s->ca : NULL, error);
    if (*ctx == NULL)
        return fail(d, FAULT_LOCAL, error);
    return check_tls(d, line_secure(d->line, *ctx, s->sni, chain ? s->name : NULL));
}

/* ---- the session ---- */

static void write_packet(void *arg, struct span packet)
{
    struct dial *d = arg;
    line_write(d->line, packet);
}

static void random_bytes(void *out, size_t n)
{
    INSIST(getrandom(out, n, 0) == (ssize_t)n); /* up to 256 bytes are never truncated */
}

static void make_correlation(char out[DIAL_CORRELATION + 1])
{
    uint8_t b[16];

    random_bytes(b, sizeof b);
    snprintf(out, DIAL_CORRELATION + 1,
             "{%02X%02X%02X%02X-%02X%02X-%02X%02X-%02X%02X-%02X%02X%02X%02X%02X%02X}", b[0], b[1],
             b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
             b[15]);
}

static bool start_session(struct dial *d)
{
    const struct dial_settings *s = d->settings;
    struct session_settings settings = {.host = span_str(s->http_host),
                                        .tenant = span_str(s->tenant == NULL ? "" : s->tenant),
                                        .leaf = d->result->leaf,
                                        .link = s->link,
                                        .ping = s->ping};

    make_correlation(d->result->correlation);
    settings.correlation = span_str(d->result->correlation);
    random_bytes(settings.link.login.peer_challenge, MSCHAP_CHALLENGE);
    random_bytes(settings.link.magic, sizeof settings.link.magic);
    settings.link.magic[0] |= 1; /* 0 means none (RFC 1661 6.4) */
    random_bytes(&settings.link.echo_id, sizeof settings.link.echo_id);
    if (session_start(d->session, &settings, write_packet, d))
        return true;
    return fail(d, FAULT_LOCAL, "the host name cannot be sent as a Host field");
}

/* Reads once, or sends the latest packet again after a silence. Returns false at the end. */
static bool exchange(struct dial *d)
{
    struct session *s = d->session;
    uint8_t bytes[READ_MAX];
    size_t n;

    const enum line_result r = line_read(d->line, bytes, sizeof bytes, &n, line_now() + SILENCE_MS);
    if (r == LINE_OK)
        session_receive(s, span_of(bytes, n));
    else if (r == LINE_TIMEOUT && line_now() < d->deadline_ms)
        session_retransmit(s);
    else if (r == LINE_TIMEOUT && s->step == STEP_PING)
        return fail(d, FAULT_NO_PING, "");
    else if (r == LINE_TIMEOUT)
        return fail(d, FAULT_TIMEOUT, "");
    else
        session_closed(s);
    reach_step(d, s->step);
    if (s->fault != FAULT_NONE)
        return fail(d, s->fault, s->detail);
    return s->step != STEP_UP && !(s->link.phase == LINK_ACCEPTED && s->settings.link.survey);
}

/* Ends the call in an orderly way, but does not wait for long. */
static void hang_up(struct dial *d)
{
    uint8_t bytes[READ_MAX];
    size_t n;

    const uint64_t until = line_now() + (d->result->fault == FAULT_NONE ? END_MS : 0);
    line_set_deadline(d->line, until);
    if (!session_end(d->session))
        return;
    while (!d->session->over && line_now() < until &&
           line_read(d->line, bytes, sizeof bytes, &n, until) == LINE_OK)
        session_receive(d->session, span_of(bytes, n));
}

static void keep_address(const uint8_t *from, uint8_t to[ECHO_IP], bool *has)
{
    static const uint8_t none[ECHO_IP];

    *has = from != NULL && memcmp(from, none, ECHO_IP) != 0;
    if (*has)
        memcpy(to, from, ECHO_IP);
}

static void keep_session(const struct session *s, struct dial_result *r)
{
    const struct link *l = &s->link;

    r->status = s->status;
    memcpy(r->server, s->server, sizeof r->server);
    memcpy(r->head, s->head, s->head_n);
    r->head_n = s->head_n;
    memcpy(r->options, l->options, sizeof r->options);
    r->option_count = l->option_count;
    r->magic_rejected = s->step >= STEP_LCP && link_magic_rejected(l);
    r->mask = s->mask;
    r->hash = s->hash;
    memcpy(r->offered, l->offered, sizeof r->offered);
    r->offered_count = l->offered_count;
    r->mru = l->mru;
    r->method = session_method(s);
    r->connected = s->connected;
    r->ppp_open = l->phase == LINK_ACCEPTED;
    keep_address(link_address(l), r->client_ip, &r->has_address);
    keep_address(l->server, r->peer_ip, &r->has_peer);
    keep_address(link_name_server(l), r->dns_ip, &r->has_dns);
}

static void talk(struct dial *d)
{
    d->session = NEW(struct session);
    if (start_session(d)) {
        while (exchange(d))
            ;
        keep_session(d->session, d->result);
        if (d->result->fault == FAULT_NONE && d->settings->on_up != NULL)
            d->settings->on_up(d->settings->arg, d->result);
        hang_up(d);
    }
    session_fini(d->session);
    free(d->session);
}

/* ---- the call ---- */

static bool connect_server(struct dial *d)
{
    struct addr address[RESOLVE_MAX];
    const char *why;

    begin_step(d, STEP_RESOLVE);
    const size_t n =
        resolve(d->settings->host, d->settings->port, d->settings->timeout_ms, address, &why);
    if (n == 0)
        return fail(d, FAULT_NAME, why);
    reach_step(d, STEP_CONNECT);
    return connect_any(d, address, n);
}

static void call(struct dial *d, struct tls_ctx **ctx)
{
    if (!connect_server(d))
        return;
    reach_step(d, STEP_TLS);
    if (!d->settings->plain && !secure(d, ctx))
        return;
    reach_step(d, STEP_REQUEST);
    talk(d);
}

void dial_run(const struct dial_settings *settings, struct dial_result *out)
{
    struct dial d = {.settings = settings, .result = out, .begin_ms = line_now()};
    struct tls_ctx *ctx = NULL;

    memset(out, 0, sizeof *out);
    d.deadline_ms = d.begin_ms + settings->timeout_ms;
    call(&d, &ctx);
    line_close(d.line);
    tls_ctx_free(ctx);
    out->total_ms = (uint32_t)(line_now() - d.begin_ms);
}

void dial_fini(struct dial_result *r)
{
    free((void *)(uintptr_t)r->leaf_der.p);
    r->leaf_der = span_of(NULL, 0);
}
