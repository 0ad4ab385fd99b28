#include "wire/http_request.h"

#include "base/ascii.h"
#include "wire/ip_text.h"
#include "wire/http_uri.h"

enum {
    /* The longest registered method, UPDATEREDIRECTREF, has 17 letters, SSTP's has 16. With this
     * limit the parser refuses random bytes long before HTTP_HEAD_MAX. */
    METHOD_MAX = 32,
    PORT_MAX = 65535,
};

static bool is_one_of(uint8_t c, const char *set)
{
    return c != 0 && strchr(set, c) != NULL;
}

static bool is_alnum(uint8_t c)
{
    return ascii_is_letter(c) || ascii_is_digit(c);
}

/* Returns whether c is a character of a token (RFC 9110 5.6.2). */
static bool is_tchar(uint8_t c)
{
    return is_alnum(c) || is_one_of(c, "!#$%&'*+-.^_`|~");
}

/* Returns whether a line may have the byte c: no control character but the tab (RFC 9110 5.5). */
static bool is_text(uint8_t c)
{
    return ascii_is_blank(c) || ascii_is_visible(c) || c >= 0x80;
}

/* Takes a line with its CR LF off the front of *rest. ERR_MORE: *line is an unfinished line. Bare
 * CR and bare LF are refused (RFC 9112 2.2), because servers that disagree about them see two
 * requests where others see one. */
static enum err take_line(struct span *rest, struct span *line)
{
    size_t n = 0;

    while (n < rest->n && is_text(rest->p[n]))
        n++;
    *line = span_sub(*rest, 0, n);
    if (n < rest->n && rest->p[n] != '\r')
        return ERR_SYNTAX;
    if (rest->n - n < 2)
        return ERR_MORE;
    if (rest->p[n + 1] != '\n')
        return ERR_SYNTAX;
    *rest = span_from(*rest, n + 2);
    return ERR_OK;
}

struct http_request_line {
    struct span method;
    struct span target;
    struct http_version version;
};

/* Parses method SP request-target SP HTTP-version, with one space each (RFC 9112 3). */
static enum err parse_request_line(struct span line, struct http_request_line *out)
{
    size_t n = 0;

    while (n < line.n && n < METHOD_MAX && is_tchar(line.p[n]))
        n++;
    if (n == line.n)
        return ERR_MORE;
    if (n == 0 || line.p[n] != ' ')
        return ERR_SYNTAX;
    out->method = span_sub(line, 0, n);
    line = span_from(line, n + 1);

    n = 0;
    while (n < line.n && ascii_is_visible(line.p[n]))
        n++;
    if (n == line.n)
        return ERR_MORE;
    if (n == 0 || line.p[n] != ' ')
        return ERR_SYNTAX;
    out->target = span_sub(line, 0, n);
    line = span_from(line, n + 1);

    enum err e = http_take_version(&line, &out->version);
    if (e == ERR_OK && line.n > 0)
        return ERR_SYNTAX;
    return e;
}

/* Parses field-name ":" OWS field-value OWS (RFC 9112 5). No blank is allowed before the name (that
 * would be an obs-fold, 5.2) or between the name and the colon (5.1). */
static enum err parse_field(struct span line, struct span *name, struct span *value)
{
    size_t n = 0;

    while (n < line.n && is_tchar(line.p[n]))
        n++;
    if (n == line.n)
        return ERR_MORE;
    if (n == 0 || line.p[n] != ':')
        return ERR_SYNTAX;
    *name = span_sub(line, 0, n);
    *value = span_from(line, n + 1);
    while (value->n > 0 && ascii_is_blank(value->p[0]))
        *value = span_from(*value, 1);
    while (value->n > 0 && ascii_is_blank(value->p[value->n - 1]))
        value->n--;
    return ERR_OK;
}

/* Parses the value of Content-Length, 1*DIGIT (RFC 9110 8.6): no sign, no list. */
static enum err parse_length(struct span text, uint64_t *out)
{
    uint64_t number = 0;

    if (text.n == 0)
        return ERR_LENGTH;
    for (size_t i = 0; i < text.n; i++) {
        unsigned digit = text.p[i] - (unsigned)'0';
        if (!ascii_is_digit(text.p[i]) || number > (UINT64_MAX - digit) / 10)
            return ERR_LENGTH;
        number = number * 10 + digit;
    }
    *out = number;
    return ERR_OK;
}

/* Returns whether text is an IPv6 address, perhaps with a zone: fe80::1%eth0, or with the escaped
 * percent sign of RFC 6874. */
static bool is_ip6(struct span text)
{
    uint8_t ip[16];
    struct span zone;
    const struct span address = http_split(text, '%', &zone);

    for (size_t i = 0; i < zone.n; i++)
        if (!is_alnum(zone.p[i]) && !is_one_of(zone.p[i], "-._~%"))
            return false;
    return ip_text_parse6(address, ip) && (zone.n > 0 || address.n == text.n);
}

/* Returns the length of an IPv6 address that ends with a bracket (RFC 3986 3.2.2); 0: not one. */
static size_t bracketed_len(struct span s)
{
    struct span rest;
    const struct span inner = http_split(s, ']', &rest);

    return inner.n < s.n && is_ip6(inner) ? inner.n : 0;
}

/* Returns the length of a reg-name or IPv4 address (RFC 3986 3.2.2), escapes included. */
static size_t name_len(struct span s)
{
    size_t n = 0;

    for (;;) {
        if (n < s.n && (is_alnum(s.p[n]) || is_one_of(s.p[n], "-._~!$&'()*+,;=")))
            n++;
        else if (s.n - n >= 3 && s.p[n] == '%' && ascii_hex_digit(s.p[n + 1]) >= 0 &&
                 ascii_hex_digit(s.p[n + 2]) >= 0)
            n += 3;
        else
            return n;
    }
}

/* Parses uri-host [ ":" port ] (RFC 9110 7.2). An empty host belongs to URIs without authority, and
 * some monitors send it; an SSTP client does not. SSTP clients send an IPv6 address without
 * brackets if it was dialled so (PROTOCOL.md 1.2). */
static enum err parse_host(struct span field, struct span *host)
{
    struct span rest;

    if (is_ip6(field)) {
        *host = field;
        rest = span_of(NULL, 0);
    } else if (field.n > 0 && field.p[0] == '[') {
        *host = span_sub(field, 1, bracketed_len(span_from(field, 1)));
        rest = span_from(field, 1 + host->n + 1);
    } else {
        *host = span_sub(field, 0, name_len(field));
        rest = span_from(field, host->n);
    }
    if ((host->n == 0 && field.n > 0) || host->n > HTTP_HOST_MAX)
        return ERR_SYNTAX;
    if (rest.n == 0)
        return ERR_OK;

    unsigned port = 0;
    if (rest.p[0] != ':' || rest.n > sizeof(":65535") - 1)
        return ERR_SYNTAX;
    for (size_t i = 1; i < rest.n; i++) {
        if (!ascii_is_digit(rest.p[i]))
            return ERR_SYNTAX;
        port = port * 10 + (rest.p[i] - (unsigned)'0');
    }
    return port <= PORT_MAX ? ERR_OK : ERR_SYNTAX;
}

/* The fields that were parsed so far: whether each is present, and the length. */
struct http_fields {
    bool host;
    bool length;
    bool transfer_encoding;
    uint64_t content_length;
};

static enum err note_field(struct http_fields *f, struct span name, struct span value,
                           struct http_request *out)
{
    if (span_eq_nocase(name, span_str("Host"))) {
        if (f->host)
            return ERR_DUPLICATE;
        f->host = true;
        return parse_host(value, &out->host);
    }
    if (span_eq_nocase(name, span_str("Content-Length"))) {
        if (f->length)
            return ERR_DUPLICATE;
        f->length = true;
        return parse_length(value, &f->content_length);
    }
    if (span_eq_nocase(name, span_str("Transfer-Encoding")))
        f->transfer_encoding = true;
    else if (span_eq_nocase(name, span_str("SSTPCORRELATIONID")) && out->correlation.n == 0)
        out->correlation = value;
    return ERR_OK;
}

/* Checks the rules of HTTP that need the whole head. */
static enum err judge_request(const struct http_fields *f, unsigned minor)
{
    if (minor > 0 && !f->host)
        return ERR_MISSING; /* RFC 9112 3.2 */
    if (f->transfer_encoding && (f->length || minor == 0))
        return ERR_LENGTH; /* RFC 9112 6.1: the end of such a request is ambiguous */
    return ERR_OK;
}

/* Checks the rules of SSTP for a request with SSTP's method and URI. */
static enum err judge_sstp(const struct http_fields *f, unsigned minor, struct span host)
{
    if (minor != 1)
        return ERR_VERSION; /* [MS-SSTP] 4.1 */
    if (!f->length || f->content_length != UINT64_MAX)
        return ERR_LENGTH; /* [MS-SSTP] 3.2.4.1 */
    return host.n == 0 ? ERR_MISSING : ERR_OK;
}

/* Parses the request line. */
static enum err parse_start(struct span *rest, struct http_request *out, unsigned *minor)
{
    struct http_request_line start = {0};
    struct span line, query;

    enum err e = take_line(rest, &line);
    if (e == ERR_OK && line.n == 0) /* RFC 9112 2.2: one empty line before the request */
        e = take_line(rest, &line);
    e = http_judge_line(e, parse_request_line(line, &start));
    if (e != ERR_OK)
        return e;
    if (start.version.major != 1)
        return ERR_VERSION;
    *minor = start.version.minor;
    out->method = start.method;
    out->target = start.target;
    out->is_head = span_eq(start.method, span_str("HEAD"));
    out->is_get = span_eq(start.method, span_str("GET"));
    out->path = http_split(start.target, '?', &query);
    out->tenant = http_tenant_find(query);
    out->uri_is_sstp = http_path_match(out->path) == ERR_OK && http_tenant_is_plain(out->tenant);
    return ERR_OK;
}

static enum err parse_fields(struct span *rest, struct http_fields *fields,
                             struct http_request *out)
{
    for (;;) {
        struct span line, name = {0}, value = {0};
        enum err e = take_line(rest, &line);
        if (e == ERR_OK && line.n == 0)
            return ERR_OK;
        e = http_judge_line(e, parse_field(line, &name, &value));
        if (e == ERR_OK)
            e = note_field(fields, name, value, out);
        if (e != ERR_OK)
            return e;
    }
}

static enum err parse_request(struct span in, struct http_request *out)
{
    struct span rest = in;
    struct http_fields fields = {0};
    unsigned minor;

    enum err e = parse_start(&rest, out, &minor);
    if (e == ERR_OK)
        e = parse_fields(&rest, &fields, out);
    if (e != ERR_OK)
        return e;
    out->len = in.n - rest.n;
    const bool sstp = out->uri_is_sstp && span_eq(out->method, span_str(HTTP_SSTP_METHOD));
    out->flaw = sstp ? judge_sstp(&fields, minor, out->host) : ERR_OK;
    out->sstp = sstp && out->flaw == ERR_OK;
    return judge_request(&fields, minor);
}

/* As http_path_match, for a path without escapes. */
static enum err path_equals(struct span path, struct span want)
{
    if (path.n >= want.n)
        return span_eq(path, want) ? ERR_OK : ERR_SYNTAX;
    return span_eq(path, span_sub(want, 0, path.n)) ? ERR_MORE : ERR_SYNTAX;
}

/* Returns whether in may be a request with this method, its space included, and this path; no
 * want: that of SSTP. */
static bool may_be(struct span in, struct span method, struct span want)
{
    const struct span empty = span_str("\r\n");
    struct span start = in, rest;

    if (span_eq(span_sub(in, 0, empty.n), empty))
        start = span_from(in, empty.n); /* parse_start() skips it, too */
    else if (in.n == 1 && in.p[0] == '\r')
        return true;
    if (!span_eq(span_sub(start, 0, method.n), span_sub(method, 0, start.n)))
        return false;
    const struct span line = span_from(start, method.n);
    const struct span path = http_split(http_split(line, ' ', &rest), '?', &rest);
    const enum err e = want.n == 0 ? http_path_match(path) : path_equals(path, want);
    return e == ERR_OK || (e == ERR_MORE && path.n == line.n);
}

bool http_request_may_be_sstp(struct span in)
{
    const struct span sstp = span_of(NULL, 0);

    return may_be(in, span_str(HTTP_SSTP_METHOD " "), sstp) || may_be(in, span_str("HEAD "), sstp);
}

bool http_request_may_ask_for(struct span in, struct span path)
{
    return may_be(in, span_str("GET "), path) || may_be(in, span_str("HEAD "), path);
}

enum err http_request_parse(struct span in, struct http_request *out)
{
    *out = (struct http_request){0};
    enum err e = parse_request(span_sub(in, 0, HTTP_HEAD_MAX), out);
    return e == ERR_MORE && in.n >= HTTP_HEAD_MAX ? ERR_TOO_LARGE : e;
}
