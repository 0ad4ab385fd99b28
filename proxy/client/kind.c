#include "client/kind.h"

#include <string.h>

#include "base/insist.h"
#include "wire/http_response.h"
#include "wire/sstp.h"

enum {
    SURE = 3, /* points from which a kind is named */
    LCP_CALLBACK = 13,
    LCP_MRRU = 17,
};

/* ---- facts ---- */

static bool server_begins(const struct kind_facts *f, const char *text)
{
    return strncmp(f->server, text, strlen(text)) == 0;
}

static bool is_microsoft(const struct kind_facts *f)
{
    return server_begins(f, "Microsoft-HTTPAPI/");
}

static bool has_reason(const struct kind_facts *f)
{
    static const char line[] = "HTTP/1.1 200 ";
    const size_t n = sizeof line - 1;

    return f->head.n > n && memcmp(f->head.p, line, n) == 0 && f->head.p[n] > ' ';
}

static bool has_option(const struct kind_facts *f, uint8_t type)
{
    return f->option_count > 0 && memchr(f->options, type, f->option_count) != NULL;
}

static bool has_field(const struct kind_facts *f, const char *name)
{
    return http_response_field(f->head, name).n > 0;
}

/* ---- rules ---- */

static bool routeros_server(const struct kind_facts *f)
{
    return server_begins(f, "MikroTik-SSTP");
}

static bool sorz_server(const struct kind_facts *f)
{
    return server_begins(f, "SSTP-Server/");
}

static bool mask_is_zero(const struct kind_facts *f)
{
    return f->acknowledged && f->mask == 0;
}

static bool head_is_closed(const struct kind_facts *f)
{
    return f->head_status == KIND_HEAD_CLOSED;
}

static bool http_sys(const struct kind_facts *f)
{
    return is_microsoft(f) && !has_reason(f);
}

static bool head_is_401(const struct kind_facts *f)
{
    return f->head_status == 401;
}

static bool windows_options(const struct kind_facts *f)
{
    return has_option(f, LCP_CALLBACK) || has_option(f, LCP_MRRU);
}

static bool imitation(const struct kind_facts *f)
{
    return is_microsoft(f) && has_reason(f);
}

static bool head_is_404(const struct kind_facts *f)
{
    return is_microsoft(f) && f->head_status == 404;
}

static bool no_magic(const struct kind_facts *f)
{
    return f->lcp && f->magic_rejected;
}

static bool only_sha256(const struct kind_facts *f)
{
    return imitation(f) && f->acknowledged && f->mask == SSTP_HASH_SHA256;
}

static bool no_server_field(const struct kind_facts *f)
{
    return f->head.n > 0 && f->server[0] == '\0' && has_field(f, "Date");
}

static bool head_is_501(const struct kind_facts *f)
{
    return f->head_status == 501;
}

static bool both_hashes(const struct kind_facts *f)
{
    return no_server_field(f) && f->acknowledged &&
           f->mask == (SSTP_HASH_SHA1 | SSTP_HASH_SHA256) && !f->eap_first;
}

static const struct rule {
    enum kind kind;
    int points;
    bool (*holds)(const struct kind_facts *f);
    const char *evidence;
} rules[] = {
    {KIND_ROUTEROS, 5, routeros_server, "its Server field is that of RouterOS"},
    {KIND_SORZ, 5, sorz_server, "its Server field is that of sorz/sstp-server"},
    {KIND_SORZ, 1, mask_is_zero, "its Ack offers no hash protocol, as without a certificate"},
    {KIND_SORZ, 1, head_is_closed, "it closes after a HEAD request without an answer"},
    {KIND_RRAS, 3, http_sys, "its answer is that of HTTP.sys: Microsoft-HTTPAPI, no reason phrase"},
    {KIND_RRAS, 3, head_is_401, "HEAD for the URI of SSTP gets 401"},
    {KIND_RRAS, 3, windows_options, "LCP requests callback or multilink, as Windows does"},
    {KIND_SOFTETHER, 2, imitation, "Microsoft-HTTPAPI, but with the reason phrase OK"},
    {KIND_SOFTETHER, 1, head_is_404, "HEAD for the URI of SSTP gets 404"},
    {KIND_SOFTETHER, 2, no_magic, "LCP rejects a magic number"},
    {KIND_SOFTETHER, 1, only_sha256, "its Ack offers only SHA256"},
    {KIND_ACCEL_PPP, 2, no_server_field, "its answer has a Date, and no Server field"},
    {KIND_ACCEL_PPP, 2, head_is_501, "HEAD for the URI of SSTP gets 501"},
    {KIND_ACCEL_PPP, 1, both_hashes,
     "its Ack offers both hash protocols, and its first LCP request is not for EAP"},
};

static enum kind best_of(const int points[KINDS])
{
    enum kind best = KIND_UNKNOWN;

    for (enum kind k = KIND_UNKNOWN + 1; k < KINDS; k++)
        if (points[k] >= SURE && points[k] > points[best])
            best = k;
    for (enum kind k = KIND_UNKNOWN + 1; k < KINDS; k++)
        if (k != best && points[k] == points[best])
            return KIND_UNKNOWN; /* as much evidence for another kind */
    return best;
}

void kind_find(const struct kind_facts *f, struct kind_verdict *out)
{
    int points[KINDS] = {0};
    bool holds[sizeof rules / sizeof *rules];

    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        holds[i] = rules[i].holds(f);
        points[rules[i].kind] += holds[i] ? rules[i].points : 0;
    }
    *out = (struct kind_verdict){.kind = best_of(points)};
    if (out->kind == KIND_UNKNOWN)
        return;
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (holds[i] && rules[i].kind == out->kind && out->count < KIND_EVIDENCE_MAX)
            out->evidence[out->count++] = rules[i].evidence;
}

const char *kind_name(enum kind k)
{
    static const char *const names[KINDS] = {
        "unknown", "RRAS", "accel-ppp", "SoftEther", "sorz/sstp-server", "RouterOS"};
    INSIST(k < KINDS);
    return names[k];
}
