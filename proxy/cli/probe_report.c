#include "cli/probe_report.h"

#include <string.h>

#include "base/hex.h"
#include "base/hostname.h"
#include "base/json.h"
#include "base/memo.h"
#include "wire/ppp_method.h"

enum { DAY = 24 * 3600, TIME_TEXT = 32, SHA256_TEXT = 2 * BINDING_SHA256 + 1, METHOD_TEXT = 24 };

static const char *time_text(time_t t, char out[TIME_TEXT])
{
    struct tm tm;

    if (gmtime_r(&t, &tm) == NULL || strftime(out, TIME_TEXT, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        out[0] = '\0';
    return out;
}

static const char *sha256_text(const struct dial_result *c, char out[SHA256_TEXT])
{
    hex_write(out, c->leaf.sha256, BINDING_SHA256);
    out[SHA256_TEXT - 1] = '\0';
    return out;
}

/* Returns the name of a method that the server has requested. */
static const char *method_text(const struct link_auth *a, char out[METHOD_TEXT])
{
    const enum ppp_method method = ppp_method_of(a->protocol, a->algorithm);

    if (method != PPP_METHOD_NONE)
        return ppp_method_name(method);
    snprintf(out, METHOD_TEXT, "0x%04x/0x%02x", a->protocol, a->algorithm);
    return out;
}

static const char *hashes_text(uint8_t mask)
{
    static const char *const texts[] = {"none", "SHA1", "SHA256", "SHA1 SHA256"};
    return texts[mask & (SSTP_HASH_SHA1 | SSTP_HASH_SHA256)];
}

static bool has_ack(const struct probe_result *r)
{
    return r->call.step >= STEP_LCP;
}

static int days_left(const struct probe_report *r)
{
    return (int)((r->result->facts.until - r->now) / DAY);
}

/* Returns why the server needs SNI; NULL: it does not, or that is unknown. */
static const char *sni_need(const struct probe_result *r)
{
    return r->without_sni == PROBE_NO ? "without it the handshake fails"
           : r->other_leaf            ? "without it another certificate is shown"
                                      : NULL;
}

/* ---- the section of a configuration ---- */

static const char *section_name(enum kind k)
{
    static const char *const names[KINDS] = {"vpn",       "rras", "accel-ppp",
                                             "softether", "sorz", "routeros"};
    return names[k];
}

static void section_tls(const struct probe_report *r, FILE *out)
{
    const struct probe_result *p = r->result;
    char sha256[SHA256_TEXT];

    if (r->settings->plain) {
        fputs("tls = no\n", out);
        return;
    }
    if (p->verified == PROBE_YES)
        fputs("verify = ca\nca-file = system\n", out);
    else if (p->call.has_leaf)
        fprintf(out, "verify = pin\npin-sha256 = %s\n", sha256_text(&p->call, sha256));
    if (p->backend == PROBE_YES && p->backend_min == TLS_1_0)
        fputs("tls-min = 1.0\n", out);
    if (p->backend == PROBE_YES && p->backend_level == 0)
        fputs("security-level = 0\n", out);
}

static void section_names(const struct probe_report *r, FILE *out)
{
    const char *name = r->settings->name;

    if (strcmp(name, r->settings->host) == 0)
        return;
    if (hostname_is_address(name))
        fprintf(out, "backend-host = %s\n", r->settings->http_host);
    else if (r->settings->plain)
        fprintf(out, "backend-host = %s\n", name);
    else
        fprintf(out, "sni = %s\n", name);
}

void probe_report_server(const struct probe_report *r, FILE *out)
{
    const struct probe_result *p = r->result;
    const bool ip6 = strchr(r->settings->host, ':') != NULL;

    fprintf(out, "[backend %s]\n", section_name(p->kind.kind));
    fprintf(out, ip6 ? "server = [%s]:%u\n" : "server = %s:%u\n", r->settings->host,
            (unsigned)r->settings->port);
    section_tls(r, out);
    section_names(r, out);
    fprintf(out, "check = %s\n", p->head_status > KIND_HEAD_CLOSED ? "http" : "sstp");
    if (p->head_status > KIND_HEAD_CLOSED)
        fprintf(out, "check-statuses = %u\n", p->head_status);
}

void probe_report_section(const struct probe_report *r, FILE *out)
{
    probe_report_server(r, out);
    if (r->result->kind.kind == KIND_SOFTETHER)
        fputs("; SoftEther does not check the crypto-binding.\n", out);
    else
        fputs("; With users-file, or radius, the stricter value is rewrite.\n", out);
    fputs("crypto-binding = auto\n", out);
}

/* ---- text ---- */

/* Writes the names whose answer is this one, with blanks between. Returns whether there is one. */
static bool text_those(const char *before, enum probe_answer wanted,
                       const enum probe_answer *answer, size_t n, const char *(*name)(size_t i),
                       FILE *out)
{
    bool any = false;

    for (size_t i = 0; i < n && name(i) != NULL; i++)
        if (answer[i] == wanted) {
            fprintf(out, "%s%s", any ? " " : before, name(i));
            any = true;
        }
    return any;
}

static void text_answers(const char *label, const enum probe_answer *answer, size_t n,
                         const char *(*name)(size_t i), FILE *out)
{
    fprintf(out, "  %-12s", label);
    bool any = text_those(" ", PROBE_YES, answer, n, name, out);
    if (text_those(" (not ", PROBE_NO, answer, n, name, out)) {
        fputc(')', out);
        any = true;
    }
    fputs(any ? "\n" : " not known\n", out);
}

static void text_names(const struct tls_facts *f, FILE *out)
{
    fputs("    names      ", out);
    for (size_t i = 0; i < f->name_count; i++)
        fprintf(out, "%s%s", i == 0 ? "" : " ", f->name[i]);
    fputs(f->name_count == 0 ? "none\n" : "\n", out);
}

static void text_validity(const struct probe_report *r, FILE *out)
{
    const struct tls_facts *f = &r->result->facts;
    char from[TIME_TEXT], until[TIME_TEXT];

    fprintf(out, "    valid      %s to %s, ", time_text(f->from, from), time_text(f->until, until));
    if (r->now < f->from)
        fputs("NOT YET\n", out);
    else if (r->now > f->until)
        fputs("EXPIRED\n", out);
    else
        fprintf(out, "%d days left\n", days_left(r));
}

static void text_certificate(const struct probe_report *r, FILE *out)
{
    const struct probe_result *p = r->result;
    char sha256[SHA256_TEXT];

    if (!p->has_facts) {
        fputs("  certificate  none, or unreadable\n", out);
        return;
    }
    fprintf(out, "  certificate  %s\n    issuer     %s\n", p->facts.subject, p->facts.issuer);
    text_names(&p->facts, out);
    fprintf(out, "    for %s: %s\n", r->settings->name, p->named ? "yes" : "NO");
    fprintf(out, "    key        %s\n", p->facts.key);
    text_validity(r, out);
    fprintf(out, "    system CA  %s%s\n",
            p->verified == PROBE_YES  ? "verifies it"
            : p->verified == PROBE_NO ? "does not verify it: "
                                      : "not tested: ",
            p->verified == PROBE_YES ? "" : p->why_not);
    fprintf(out, "    pin-sha256 = %s\n", sha256_text(&p->call, sha256));
}

static void text_tls(const struct probe_report *r, FILE *out)
{
    const struct probe_result *p = r->result;
    const char *need = sni_need(p);

    text_answers("TLS", p->version, PROBE_VERSIONS, probe_version_name, out);
    text_answers("groups", p->group, PROBE_GROUPS, probe_group_name, out);
    if (p->call.tls_version[0] == '\0')
        return;
    fprintf(out, "  connection   %s %s\n", p->call.tls_version, p->call.cipher);
    text_certificate(r, out);
    fprintf(out, "  SNI          %s%s\n",
            need != NULL                      ? "needed: "
            : p->without_sni == PROBE_UNKNOWN ? "not tested: --host NAME gives a name"
                                              : "not needed",
            need == NULL ? "" : need);
}

static void text_methods(const struct dial_result *c, FILE *out)
{
    char text[METHOD_TEXT];

    fputs("  methods      ", out);
    for (size_t i = 0; i < c->offered_count; i++)
        fprintf(out, "%s%s", i == 0 ? "" : " ", method_text(&c->offered[i], text));
    fputs(c->offered_count > 0 ? "\n" : c->ppp_open ? "no login\n" : "none seen\n", out);
}

static void text_sstp(const struct probe_result *p, FILE *out)
{
    const struct dial_result *c = &p->call;

    if (c->status == 0)
        return;
    fprintf(out, "  SSTP request HTTP %u%s%s\n", c->status,
            c->server[0] == '\0' ? "" : ", Server: ", c->server);
    if (p->head_status > KIND_HEAD_CLOSED)
        fprintf(out, "  HEAD         HTTP %u\n", p->head_status);
    if (!has_ack(p))
        return;
    fprintf(out, "  hashes       %s\n", hashes_text(c->mask));
    text_methods(c, out);
}

static void text_kind(const struct kind_verdict *k, FILE *out)
{
    fprintf(out, "  likely       %s\n", kind_name(k->kind));
    for (size_t i = 0; i < k->count; i++)
        fprintf(out, "               because %s\n", k->evidence[i]);
}

static void text_fault(const struct probe_report *r, FILE *out)
{
    const struct dial_result *c = &r->result->call;
    const struct fault_info *f = fault_info(probe_fault(r->result));

    fprintf(out, "\nNo SSTP server: %s: %s%s%s\n  probably   %s\n  look at    %s\n",
            step_name(c->step), f->text, c->detail[0] == '\0' ? "" : ": ", c->detail, f->blame,
            f->look);
}

void probe_report_facts(const struct probe_report *r, FILE *out)
{
    const struct probe_result *p = r->result;

    fprintf(out, "%s%s%s\n", r->target, p->call.address[0] == '\0' ? "" : ", address ",
            p->call.address);
    if (!r->settings->plain && p->call.step > STEP_CONNECT)
        text_tls(r, out);
    text_sstp(p, out);
    if (probe_fault(p) != FAULT_NONE)
        text_fault(r, out);
    else
        text_kind(&p->kind, out);
}

void probe_report_text(const struct probe_report *r, FILE *out)
{
    probe_report_facts(r, out);
    if (probe_fault(r->result) != FAULT_NONE)
        return;
    fputc('\n', out);
    probe_report_section(r, out);
}

/* ---- JSON ---- */

static void json_pair(struct json *j, const char *key, const char *value)
{
    json_key(j, key);
    json_str(j, value != NULL && value[0] == '\0' ? NULL : value);
}

static void json_answer(struct json *j, const char *key, enum probe_answer a)
{
    json_key(j, key);
    a == PROBE_UNKNOWN ? json_null(j) : json_bool(j, a == PROBE_YES);
}

static void json_number(struct json *j, const char *key, unsigned value)
{
    json_key(j, key);
    value == 0 ? json_null(j) : json_u64(j, value);
}

static void json_answers(struct json *j, const char *key, const enum probe_answer *answer, size_t n,
                         const char *(*name)(size_t i))
{
    json_key(j, key);
    json_object_begin(j);
    for (size_t i = 0; i < n && name(i) != NULL; i++)
        json_answer(j, name(i), answer[i]);
    json_object_end(j);
}

static void json_tls(const struct probe_report *r, struct json *j)
{
    const struct probe_result *p = r->result;

    json_answers(j, "tls_versions", p->version, PROBE_VERSIONS, probe_version_name);
    json_answers(j, "groups", p->group, PROBE_GROUPS, probe_group_name);
    json_pair(j, "tls", p->call.tls_version);
    json_pair(j, "cipher", p->call.cipher);
    json_key(j, "needs_sni");
    p->without_sni == PROBE_UNKNOWN ? json_null(j) : json_bool(j, sni_need(p) != NULL);
}

static void json_certificate(const struct probe_report *r, struct json *j)
{
    const struct probe_result *p = r->result;
    char text[SHA256_TEXT];

    json_key(j, "certificate");
    if (!p->has_facts) {
        json_null(j);
        return;
    }
    json_object_begin(j);
    json_pair(j, "subject", p->facts.subject);
    json_pair(j, "issuer", p->facts.issuer);
    json_key(j, "names");
    json_array_begin(j);
    for (size_t i = 0; i < p->facts.name_count; i++)
        json_str(j, p->facts.name[i]);
    json_array_end(j);
    json_key(j, "for_name");
    json_bool(j, p->named);
    json_pair(j, "key", p->facts.key);
    json_pair(j, "not_before", time_text(p->facts.from, text));
    json_pair(j, "not_after", time_text(p->facts.until, text));
    json_key(j, "days");
    json_i64(j, days_left(r));
    json_answer(j, "verified", p->verified);
    json_pair(j, "why_not", p->why_not);
    json_pair(j, "sha256", sha256_text(&p->call, text));
    json_object_end(j);
}

static void json_sstp(const struct probe_result *p, struct json *j)
{
    char text[METHOD_TEXT];

    json_number(j, "status", p->call.status);
    json_pair(j, "server", p->call.server);
    json_number(j, "head_status", p->head_status > KIND_HEAD_CLOSED ? p->head_status : 0);
    json_pair(j, "hashes", has_ack(p) ? hashes_text(p->call.mask) : NULL);
    json_key(j, "methods");
    json_array_begin(j);
    for (size_t i = 0; i < p->call.offered_count; i++)
        json_str(j, method_text(&p->call.offered[i], text));
    json_array_end(j);
    json_pair(j, "kind", kind_name(p->kind.kind));
    json_key(j, "evidence");
    json_array_begin(j);
    for (size_t i = 0; i < p->kind.count; i++)
        json_str(j, p->kind.evidence[i]);
    json_array_end(j);
}

static void json_fault(const struct probe_result *p, struct json *j)
{
    const enum fault fault = probe_fault(p);
    const struct fault_info *f = fault_info(fault);
    const bool failed = fault != FAULT_NONE;

    json_pair(j, "failed_step", failed ? step_name(p->call.step) : NULL);
    json_pair(j, "fault", failed ? f->word : NULL);
    json_pair(j, "message", failed ? f->text : NULL);
    json_pair(j, "detail", failed ? p->call.detail : NULL);
    json_pair(j, "blame", failed ? f->blame : NULL);
    json_pair(j, "look_at", failed ? f->look : NULL);
}

static void json_section(const struct probe_report *r, struct json *j)
{
    struct memo section;

    json_key(j, "section");
    if (probe_fault(r->result) != FAULT_NONE) {
        json_null(j);
        return;
    }
    probe_report_section(r, memo_open(&section));
    json_str(j, memo_text(&section));
    memo_free(&section);
}

void probe_report_json(const struct probe_report *r, FILE *out)
{
    struct json j = json_to(out);

    json_object_begin(&j);
    json_pair(&j, "target", r->target);
    json_pair(&j, "address", r->result->call.address);
    json_key(&j, "sstp");
    json_bool(&j, probe_fault(r->result) == FAULT_NONE);
    json_key(&j, "exit");
    json_i64(&j, r->exit);
    json_fault(r->result, &j);
    json_tls(r, &j);
    json_certificate(r, &j);
    json_sstp(r->result, &j);
    json_section(r, &j);
    json_key(&j, "connections");
    json_u64(&j, r->result->connections);
    json_object_end(&j);
    fputc('\n', out);
}
