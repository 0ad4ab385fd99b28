#include "cli/dial_report.h"

#include <string.h>

#include "base/hex.h"
#include "base/json.h"
#include "base/memo.h"
#include "cli/table.h"
#include "wire/ppp_method.h"

enum { DETAIL_MAX = 512, IP_TEXT = 16, SHA256_TEXT = 2 * BINDING_SHA256 + 1 };

static const char *ip_text(const uint8_t ip[ECHO_IP], bool known, char out[IP_TEXT])
{
    if (!known)
        return NULL;
    snprintf(out, IP_TEXT, "%u.%u.%u.%u", ip[0], ip[1], ip[2], ip[3]);
    return out;
}

static const char *sha256_text(const struct dial_result *r, char out[SHA256_TEXT])
{
    if (!r->has_leaf)
        return NULL;
    hex_write(out, r->leaf.sha256, BINDING_SHA256);
    out[SHA256_TEXT - 1] = '\0';
    return out;
}

static const char *hash_name(uint8_t hash)
{
    return hash == SSTP_HASH_SHA1 ? "SHA1" : hash == SSTP_HASH_SHA256 ? "SHA256" : "none";
}

/* ---- the detail of each step ---- */

static void detail_connect(const struct dial_report *r, char out[DETAIL_MAX])
{
    snprintf(out, DETAIL_MAX, "%s from %s", r->result->address, r->result->local);
}

static void detail_tls(const struct dial_report *r, char out[DETAIL_MAX])
{
    static const char *const verified[] = {[DIAL_VERIFY_CA] = "verified by a CA",
                                           [DIAL_VERIFY_PIN] = "verified by its pin",
                                           [DIAL_VERIFY_OFF] = "NOT verified"};
    char sha256[SHA256_TEXT];

    if (r->settings->plain)
        snprintf(out, DETAIL_MAX, "none");
    else
        snprintf(out, DETAIL_MAX, "%s %s, certificate %s %s", r->result->tls_version,
                 r->result->cipher, sha256_text(r->result, sha256), verified[r->settings->verify]);
}

static void detail_request(const struct dial_report *r, char out[DETAIL_MAX])
{
    snprintf(out, DETAIL_MAX, "HTTP %u%s%s", r->result->status,
             r->result->server[0] != '\0' ? ", Server: " : "", r->result->server);
}

static void detail_sstp(const struct dial_report *r, char out[DETAIL_MAX])
{
    const uint8_t mask = r->result->mask;

    snprintf(out, DETAIL_MAX, "the server hashes with %s, this call with %s",
             mask == (SSTP_HASH_SHA1 | SSTP_HASH_SHA256) ? "SHA1 or SHA256" : hash_name(mask),
             hash_name(r->result->hash));
}

static void detail_lcp(const struct dial_report *r, char out[DETAIL_MAX])
{
    snprintf(out, DETAIL_MAX, "method %s", ppp_method_name(r->result->method));
}

static void detail_login(const struct dial_report *r, char out[DETAIL_MAX])
{
    snprintf(out, DETAIL_MAX, "%s",
             r->result->method == PPP_METHOD_NONE ? "the server requires no login"
             : ppp_method_has_keys(r->result->method)
                 ? "accepted, and the server has proved that it knows the password"
                 : "accepted; this method gives the crypto-binding no key");
}

static void detail_ipcp(const struct dial_report *r, char out[DETAIL_MAX])
{
    const struct dial_result *d = r->result;
    char client[IP_TEXT], peer[IP_TEXT], dns[IP_TEXT];
    const char *peer_text = ip_text(d->peer_ip, d->has_peer, peer);
    const char *dns_text = ip_text(d->dns_ip, d->has_dns, dns);

    snprintf(out, DETAIL_MAX, "address %s, peer %s, name server %s",
             ip_text(d->client_ip, true, client), peer_text == NULL ? "unknown" : peer_text,
             dns_text == NULL ? "none" : dns_text);
}

static void detail_of(const struct dial_report *r, enum step step, char out[DETAIL_MAX])
{
    static void (*const details[])(const struct dial_report *, char[DETAIL_MAX]) = {
        [STEP_CONNECT] = detail_connect, [STEP_TLS] = detail_tls, [STEP_REQUEST] = detail_request,
        [STEP_SSTP] = detail_sstp,       [STEP_LCP] = detail_lcp, [STEP_LOGIN] = detail_login,
        [STEP_IPCP] = detail_ipcp,       [STEP_UP] = NULL};

    out[0] = '\0';
    if (details[step] != NULL)
        details[step](r, out);
}

/* Returns whether the step was done or has failed. */
static bool has_step(const struct dial_report *r, enum step step)
{
    const bool asked = step != STEP_PING || r->settings->ping;
    return asked && (r->result->step_done[step] || step == r->result->step);
}

/* Returns whether the gate's reason is the cause. It is not if this program has ended the call. */
static bool gate_knows(const struct dial_report *r)
{
    return r->gate != NULL && r->gate->reason != NULL && r->gate->words != NULL &&
           strncmp(r->gate->reason, "client-", strlen("client-")) != 0;
}

static const char *blame_of(const struct dial_report *r)
{
    return gate_knows(r) ? r->gate->words : fault_info(r->result->fault)->blame;
}

static const char *look_of(const struct dial_report *r)
{
    return gate_knows(r) && r->gate->remedy != NULL ? r->gate->remedy
                                                    : fault_info(r->result->fault)->look;
}

/* ---- text ---- */

/* The gate's texts may contain control characters of a terminal. */
static void text_plain(struct memo *text, FILE *out)
{
    (void)memo_text(text);
    table_print_plain(text->text, text->n, out);
    memo_free(text);
}

static void text_fault(const struct dial_report *r, FILE *out)
{
    const struct dial_result *d = r->result;
    struct memo text;

    fprintf(out, "FAILED: %s%s%s\n", fault_info(d->fault)->text, d->detail[0] != '\0' ? ": " : "",
            d->detail);
    fprintf(memo_open(&text), "\n  probably   %s\n  look at    %s\n", blame_of(r), look_of(r));
    text_plain(&text, out);
    if (d->fault == FAULT_PIN) {
        char sha256[SHA256_TEXT];
        fprintf(out, "  the server's certificate is  pin-sha256 = %s\n", sha256_text(d, sha256));
    }
    if (d->correlation[0] != '\0')
        fprintf(out, "  in a log   correlation id %s\n", d->correlation);
}

static void describe_gate(const struct gate_view *g, FILE *out)
{
    fputs("  the gate   ", out);
    if (g->problem != NULL)
        fprintf(out, "its admin socket gave no answer: %s\n", g->problem);
    else if (g->id == NULL)
        fputs("has no record of this call: it has not accepted the connection (max-tunnels is "
              "reached, or it stops: sstpgate ctl status), or another program listens there\n",
              out);
    else if (g->reason != NULL)
        fprintf(out, "call %s: %s%s%s\n", g->id, g->reason, g->detail == NULL ? "" : ": ",
                g->detail == NULL ? "" : g->detail);
    else
        fprintf(out, "call %s: binding %s%s%s, server %s/%s\n", g->id,
                g->binding == NULL ? "unknown" : g->binding, g->key == NULL ? "" : ", key ",
                g->key == NULL ? "" : g->key, g->backend == NULL ? "?" : g->backend,
                g->server == NULL ? "?" : g->server);
}

static void text_gate(const struct gate_view *g, FILE *out)
{
    struct memo text;

    describe_gate(g, memo_open(&text));
    text_plain(&text, out);
}

void dial_report_text(const struct dial_report *r, FILE *out)
{
    const struct dial_result *d = r->result;
    char detail[DETAIL_MAX];

    for (enum step step = STEP_RESOLVE; step < STEP_UP; step++) {
        if (!has_step(r, step))
            continue;
        fprintf(out, "  %-8s %6u ms  ", step_name(step), d->step_ms[step]);
        if (d->step_done[step]) {
            detail_of(r, step, detail);
            fprintf(out, "%s\n", detail);
        } else {
            text_fault(r, out);
        }
    }
    if (r->gate != NULL)
        text_gate(r->gate, out);
    fprintf(out, "%s %s after %u ms%s%s\n", r->target, d->fault == FAULT_NONE ? "is up" : "failed",
            d->total_ms, r->user == NULL ? "" : ", user ", r->user == NULL ? "" : r->user);
}

/* ---- JSON ---- */

static void json_pair(struct json *j, const char *key, const char *value)
{
    json_key(j, key);
    json_str(j, value != NULL && value[0] == '\0' ? NULL : value);
}

static void json_step(const struct dial_report *r, enum step step, struct json *j)
{
    char detail[DETAIL_MAX];
    const bool done = r->result->step_done[step];

    json_object_begin(j);
    json_pair(j, "step", step_name(step));
    json_key(j, "ok");
    json_bool(j, done);
    json_key(j, "ms");
    json_u64(j, r->result->step_ms[step]);
    if (done)
        detail_of(r, step, detail);
    json_pair(j, "detail", done ? detail : r->result->detail);
    json_object_end(j);
}

static void json_fault(const struct dial_report *r, struct json *j)
{
    const struct dial_result *d = r->result;
    const struct fault_info *f = fault_info(d->fault);
    const bool failed = d->fault != FAULT_NONE;

    json_pair(j, "failed_step", failed ? step_name(d->step) : NULL);
    json_pair(j, "fault", failed ? f->word : NULL);
    json_pair(j, "message", failed ? f->text : NULL);
    json_pair(j, "detail", d->detail);
    json_pair(j, "blame", failed ? blame_of(r) : NULL);
    json_pair(j, "look_at", failed ? look_of(r) : NULL);
}

static void json_facts(const struct dial_result *d, struct json *j)
{
    char text[SHA256_TEXT], ip[IP_TEXT];

    json_pair(j, "address", d->address);
    json_pair(j, "local", d->local);
    json_pair(j, "tls", d->tls_version);
    json_pair(j, "cipher", d->cipher);
    json_pair(j, "certificate_sha256", sha256_text(d, text));
    json_key(j, "status");
    d->status == 0 ? json_null(j) : json_u64(j, d->status);
    json_pair(j, "server", d->server);
    json_pair(j, "method", d->method == PPP_METHOD_NONE ? NULL : ppp_method_name(d->method));
    json_pair(j, "hash", d->hash == 0 ? NULL : hash_name(d->hash));
    json_pair(j, "client_ip", ip_text(d->client_ip, d->has_address, ip));
    json_pair(j, "peer_ip", ip_text(d->peer_ip, d->has_peer, ip));
    json_pair(j, "name_server", ip_text(d->dns_ip, d->has_dns, ip));
    json_pair(j, "correlation", d->correlation);
}

static void json_gate(const struct gate_view *g, struct json *j)
{
    json_key(j, "gate");
    if (g == NULL) {
        json_null(j);
        return;
    }
    json_object_begin(j);
    json_pair(j, "id", g->id);
    json_pair(j, "binding", g->binding);
    json_pair(j, "key", g->key);
    json_pair(j, "backend", g->backend);
    json_pair(j, "server", g->server);
    json_pair(j, "reason", g->reason);
    json_pair(j, "words", g->words);
    json_pair(j, "remedy", g->remedy);
    json_pair(j, "detail", g->detail);
    json_pair(j, "problem", g->problem);
    json_object_end(j);
}

void dial_report_json(const struct dial_report *r, FILE *out)
{
    struct json j = json_to(out);

    json_object_begin(&j);
    json_pair(&j, "target", r->target);
    json_pair(&j, "user", r->user);
    json_key(&j, "up");
    json_bool(&j, r->result->fault == FAULT_NONE);
    json_key(&j, "exit");
    json_i64(&j, r->exit);
    json_key(&j, "ms");
    json_u64(&j, r->result->total_ms);
    json_fault(r, &j);
    json_facts(r->result, &j);
    json_gate(r->gate, &j);
    json_key(&j, "steps");
    json_array_begin(&j);
    for (enum step step = STEP_RESOLVE; step < STEP_UP; step++)
        if (has_step(r, step))
            json_step(r, step, &j);
    json_array_end(&j);
    json_object_end(&j);
    fputc('\n', out);
}
