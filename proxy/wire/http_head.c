#include "wire/http_head.h"

#define METHOD "SSTP_DUPLEX_POST"
#define PATH "/sra_{BA195980-CD49-458b-9E23-C84EE0ADCD75}/" /* [MS-SSTP] 3.2.4.1 */
#define UNENDING "18446744073709551615"                     /* the Content-Length of both sides */

enum {
    /* The longest registered method, UPDATEREDIRECTREF, has 17 letters, SSTP's has 16. A limit lets
     * go of senders of noise long before HTTP_HEAD_MAX. */
    METHOD_MAX = 32,
    PORT_MAX = 65535,
    HOST_FIELD_MAX = HTTP_HOST_MAX + (int)sizeof("[]:65535") - 1,
};

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static bool is_alnum(uint8_t c)
{
    uint8_t low = ascii_lower(c);
    return is_digit(c) || (low >= 'a' && low <= 'z');
}

static bool is_one_of(uint8_t c, const char *set)
{
    return c != 0 && strchr(set, c) != NULL;
}

/* token characters, RFC 9110 5.6.2 */
static bool is_tchar(uint8_t c)
{
    return is_alnum(c) || is_one_of(c, "!#$%&'*+-.^_`|~");
}

static bool is_visible(uint8_t c)
{
    return c > 0x20 && c < 0x7f;
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

/* What may stand in a line at all: no control octet but the tabulator (RFC 9110 5.5). */
static bool is_text(uint8_t c)
{
    return is_blank(c) || is_visible(c) || c >= 0x80;
}

static int hex_value(uint8_t c)
{
    if (is_digit(c))
        return c - '0';
    c = ascii_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* How heads are judged, so that the answer does not depend on where the octets were cut: lines are
 * looked at in order, and inside a line what is wrong with an octet (always ERR_SYNTAX) comes
 * before what is wrong with the line. So the parsers of a line see unfinished lines too, read from
 * left to right, and say ERR_SYNTAX at the first octet that cannot stand where it stands, ERR_MORE
 * where the text stops too early. Every other error waits for the line to end, or for the head to
 * end. */
static enum err judge_line(enum err taken, enum err text)
{
    if (taken == ERR_OK)
        return text == ERR_MORE ? ERR_SYNTAX : text;
    if (taken == ERR_MORE && text == ERR_SYNTAX)
        return ERR_SYNTAX;
    return taken;
}

/* Takes a line and its CR LF off the front of *rest. ERR_MORE: *line is the beginning of one. Bare
 * CR and bare LF are refused (RFC 9112 2.2: they are how one request becomes two). */
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

/* As take_line, for backends: any octets, ended by LF with or without CR. */
static enum err take_loose_line(struct span *rest, struct span *line)
{
    const uint8_t *lf = rest->n > 0 ? memchr(rest->p, '\n', rest->n) : NULL;
    size_t n = lf != NULL ? (size_t)(lf - rest->p) : rest->n;

    *line = span_sub(*rest, 0, n > 0 && rest->p[n - 1] == '\r' ? n - 1 : n);
    if (lf == NULL)
        return ERR_MORE;
    *rest = span_from(*rest, n + 1);
    return ERR_OK;
}

struct version {
    uint8_t major;
    uint8_t minor;
};

/* Takes "HTTP/1.1" off the front of *text (RFC 9112 2.3: one digit each, case counts). */
static enum err take_version(struct span *text, struct version *out)
{
    static const char pattern[] = "HTTP/#.#";
    const size_t len = sizeof pattern - 1;

    for (size_t i = 0; i < len; i++) {
        if (i == text->n)
            return ERR_MORE;
        if (pattern[i] == '#' ? !is_digit(text->p[i]) : text->p[i] != pattern[i])
            return ERR_SYNTAX;
    }
    out->major = (uint8_t)(text->p[5] - '0');
    out->minor = (uint8_t)(text->p[7] - '0');
    *text = span_from(*text, len);
    return ERR_OK;
}

struct request_line {
    struct span method;
    struct span target;
    struct version version;
};

/* RFC 9112 3: method SP request-target SP HTTP-version, one space each. */
static enum err parse_request_line(struct span line, struct request_line *out)
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
    while (n < line.n && is_visible(line.p[n]))
        n++;
    if (n == line.n)
        return ERR_MORE;
    if (n == 0 || line.p[n] != ' ')
        return ERR_SYNTAX;
    out->target = span_sub(line, 0, n);
    line = span_from(line, n + 1);

    enum err e = take_version(&line, &out->version);
    if (e == ERR_OK && line.n > 0)
        return ERR_SYNTAX;
    return e;
}

/* Returns the octet that the escape at s.p[i] encodes; -1: there is no whole escape. */
static int escaped(struct span s, size_t i)
{
    if (s.p[i] != '%' || s.n - i <= 2)
        return -1;
    const int high = hex_value(s.p[i + 1]), low = hex_value(s.p[i + 2]);
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

/* Compares path with the SSTP URI, each octet percent-encoded or not but the first slash
 * (origin-form). Servers compare it without regard to case (PROTOCOL.md 1.3). ERR_MORE: path is a
 * beginning of it. ERR_SYNTAX: another path; a broken escape makes it one, and no error, because
 * browsers send the `%` of a link as it is. */
static enum err match_path(struct span path)
{
    const struct span want = span_str(PATH);
    size_t n = 0;

    if (path.n > 0 && path.p[0] != '/')
        return ERR_SYNTAX;
    for (size_t i = 0; i < path.n; n++) {
        const bool escape = path.p[i] == '%';
        if (n == want.n)
            return ERR_SYNTAX;
        if (escape && path.n - i <= 2)
            return ERR_MORE;
        const int octet = escape ? escaped(path, i) : path.p[i];
        if (octet < 0 || ascii_lower((uint8_t)octet) != ascii_lower(want.p[n]))
            return ERR_SYNTAX;
        i += escape ? 3 : 1;
    }
    return n == want.n ? ERR_OK : ERR_MORE;
}

size_t http_unescape(struct span s, uint8_t *out)
{
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++) {
        const int octet = escaped(s, i);
        out[n++] = octet < 0 ? s.p[i] : (uint8_t)octet;
        if (octet >= 0)
            i += 2;
    }
    return n;
}

/* Cuts s at the first `mark`; what stands behind it goes to *after (n == 0 without one). */
static struct span split(struct span s, char mark, struct span *after)
{
    const uint8_t *at = s.n > 0 ? memchr(s.p, mark, s.n) : NULL;
    size_t n = at != NULL ? (size_t)(at - s.p) : s.n;

    *after = span_from(s, n + (at != NULL));
    return span_sub(s, 0, n);
}

/* The value of the first tenantid=, the one variable that SSTP knows ([MS-SSTP] 3.2.4.1). */
static struct span find_tenant(struct span query)
{
    while (query.n > 0) {
        struct span value;
        struct span key = split(split(query, '&', &query), '=', &value);
        if (span_eq_nocase(key, span_str("tenantid")))
            return value;
    }
    return span_of(NULL, 0);
}

/* Returns whether each escape has two digits and encodes no control character, because a server
 * that ends a value at a NUL, or repairs a broken escape, would read another tenant than the rules.
 */
static bool escapes_are_plain(struct span value)
{
    for (size_t i = 0; i < value.n; i++) {
        const int octet = value.p[i] == '%' ? escaped(value, i) : 'x';
        if (octet < ' ' || octet == 0x7f)
            return false;
    }
    return true;
}

/* Returns whether a backend can be told s: as the value of a query it ends neither the variable nor
 * the target (RFC 3986 3.4, and {} for a GUID). */
static bool tenant_can_be_told(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!is_alnum(s.p[i]) && !is_one_of(s.p[i], "-._~!$'()*+,;=:@/?%{}"))
            return false;
    return s.n <= HTTP_TENANT_MAX && escapes_are_plain(s);
}

/* RFC 9112 5: field-name ":" OWS field-value OWS. Nothing may stand before the name (that would be
 * an obs-fold, 5.2) or between it and the colon (5.1). */
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
    while (value->n > 0 && is_blank(value->p[0]))
        *value = span_from(*value, 1);
    while (value->n > 0 && is_blank(value->p[value->n - 1]))
        value->n--;
    return ERR_OK;
}

/* Content-Length is 1*DIGIT (RFC 9110 8.6): no sign, no list. */
static enum err parse_length(struct span text, uint64_t *out)
{
    uint64_t number = 0;

    if (text.n == 0)
        return ERR_LENGTH;
    for (size_t i = 0; i < text.n; i++) {
        unsigned digit = text.p[i] - (unsigned)'0';
        if (!is_digit(text.p[i]) || number > (UINT64_MAX - digit) / 10)
            return ERR_LENGTH;
        number = number * 10 + digit;
    }
    *out = number;
    return ERR_OK;
}

/* The octets of an IPv6 address between brackets (RFC 3986 3.2.2); 0: not one. */
static size_t bracketed_len(struct span s)
{
    size_t n = 0;

    while (n < s.n && (hex_value(s.p[n]) >= 0 || is_one_of(s.p[n], ":.")))
        n++;
    return n >= 2 && n < s.n && s.p[n] == ']' ? n : 0;
}

/* The octets of a reg-name or IPv4 address (RFC 3986 3.2.2), escapes included. */
static size_t name_len(struct span s)
{
    size_t n = 0;

    for (;;) {
        if (n < s.n && (is_alnum(s.p[n]) || is_one_of(s.p[n], "-._~!$&'()*+,;=")))
            n++;
        else if (s.n - n >= 3 && s.p[n] == '%' && hex_value(s.p[n + 1]) >= 0 &&
                 hex_value(s.p[n + 2]) >= 0)
            n += 3;
        else
            return n;
    }
}

/* uri-host [ ":" port ] (RFC 9110 7.2). An empty host is for URIs without authority: not ours. */
static enum err parse_host(struct span field, struct span *host)
{
    struct span rest;

    if (field.n > 0 && field.p[0] == '[') {
        *host = span_sub(field, 1, bracketed_len(span_from(field, 1)));
        rest = span_from(field, 1 + host->n + 1);
    } else {
        *host = span_sub(field, 0, name_len(field));
        rest = span_from(field, host->n);
    }
    if (host->n == 0 || host->n > HTTP_HOST_MAX)
        return ERR_SYNTAX;
    if (rest.n == 0)
        return ERR_OK;

    unsigned port = 0;
    if (rest.p[0] != ':' || rest.n > sizeof(":65535") - 1)
        return ERR_SYNTAX;
    for (size_t i = 1; i < rest.n; i++) {
        if (!is_digit(rest.p[i]))
            return ERR_SYNTAX;
        port = port * 10 + (rest.p[i] - (unsigned)'0');
    }
    return port <= PORT_MAX ? ERR_OK : ERR_SYNTAX;
}

/* What the fields have said so far. */
struct fields {
    bool host;
    bool length;
    bool transfer_encoding;
    uint64_t content_length;
};

static enum err note_field(struct fields *f, struct span name, struct span value,
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
static enum err judge_request(const struct fields *f, unsigned minor)
{
    if (minor > 0 && !f->host)
        return ERR_MISSING; /* RFC 9112 3.2 */
    if (f->transfer_encoding && (f->length || minor == 0))
        return ERR_LENGTH; /* RFC 9112 6.1: no telling where such a request ends */
    return ERR_OK;
}

/* Checks the rules of SSTP for a request with SSTP's method and URI. */
static enum err judge_sstp(const struct fields *f, unsigned minor)
{
    if (minor != 1)
        return ERR_VERSION; /* [MS-SSTP] 4.1 */
    if (!f->length || f->content_length != UINT64_MAX)
        return ERR_LENGTH; /* [MS-SSTP] 3.2.4.1 */
    return ERR_OK;
}

static enum err parse_request(struct span in, struct http_request *out)
{
    struct span rest = in, line, query;
    struct request_line start = {0};
    struct fields fields = {0};
    bool sstp;

    enum err e = take_line(&rest, &line);
    if (e == ERR_OK && line.n == 0)
        e = take_line(&rest,
                      &line); /* RFC 9112 2.2: one empty line before the request is ignored */
    e = judge_line(e, parse_request_line(line, &start));
    if (e != ERR_OK)
        return e;
    if (start.version.major != 1)
        return ERR_VERSION;
    out->method = start.method;
    out->target = start.target;
    out->is_head = span_eq(start.method, span_str("HEAD"));
    sstp = match_path(split(start.target, '?', &query)) == ERR_OK &&
           span_eq(start.method, span_str(METHOD));
    out->tenant = find_tenant(query);
    sstp = sstp && tenant_can_be_told(out->tenant);

    for (;;) {
        struct span name = {0}, value = {0};
        e = take_line(&rest, &line);
        if (e == ERR_OK && line.n == 0)
            break;
        e = judge_line(e, parse_field(line, &name, &value));
        if (e == ERR_OK)
            e = note_field(&fields, name, value, out);
        if (e != ERR_OK)
            return e;
    }
    out->len = in.n - rest.n;
    out->flaw = sstp ? judge_sstp(&fields, start.version.minor) : ERR_OK;
    out->sstp = sstp && out->flaw == ERR_OK;
    return judge_request(&fields, start.version.minor);
}

/* line: what follows the method and its blank. */
static bool upstream_may_be_sstp(struct span line)
{
    struct span rest;
    const struct span target = split(line, ' ', &rest), path = split(target, '?', &rest);
    const enum err e = match_path(path);

    return e == ERR_OK || (e == ERR_MORE && path.n == line.n);
}

bool http_may_be_sstp(struct span in)
{
    const struct span method = span_str(METHOD " "), empty = span_str("\r\n");
    struct span start = in;

    if (span_eq(span_sub(in, 0, empty.n), empty))
        start = span_from(in, empty.n); /* as parse_request skips it */
    else if (in.n == 1 && in.p[0] == '\r')
        return true;
    if (!span_eq(span_sub(start, 0, method.n), span_sub(method, 0, start.n)))
        return false;
    return start.n <= method.n || upstream_may_be_sstp(span_from(start, method.n));
}

enum err http_parse_request(struct span in, struct http_request *out)
{
    *out = (struct http_request){0};
    enum err e = parse_request(span_sub(in, 0, HTTP_HEAD_MAX), out);
    return e == ERR_MORE && in.n >= HTTP_HEAD_MAX ? ERR_TOO_LARGE : e;
}

struct status_line {
    struct version version;
    unsigned status;
};

/* RFC 9112 4; the reason, and the space before it, may be missing (PROTOCOL.md 2.1). */
static enum err parse_status_line(struct span line, struct status_line *out)
{
    enum err e = take_version(&line, &out->version);
    if (e != ERR_OK)
        return e;

    out->status = 0;
    for (size_t i = 0; i < sizeof(" 200") - 1; i++) {
        if (i == line.n)
            return ERR_MORE;
        if (i == 0 ? line.p[i] != ' ' : !is_digit(line.p[i]) || (i == 1 && line.p[i] == '0'))
            return ERR_SYNTAX;
        if (i > 0)
            out->status = out->status * 10 + (line.p[i] - (unsigned)'0');
    }
    line = span_from(line, sizeof(" 200") - 1);
    return line.n == 0 || line.p[0] == ' ' ? ERR_OK : ERR_SYNTAX;
}

static enum err parse_response(struct span in, struct http_response *out)
{
    struct span rest = in, line;
    struct status_line start = {0};

    enum err e = take_loose_line(&rest, &line);
    e = judge_line(e, parse_status_line(line, &start));
    if (e != ERR_OK)
        return e;
    if (start.version.major != 1)
        return ERR_VERSION;
    do {
        e = take_loose_line(&rest, &line);
        if (e != ERR_OK)
            return e;
    } while (line.n > 0);
    out->len = in.n - rest.n;
    out->status = start.status;
    return ERR_OK;
}

enum err http_parse_response(struct span in, struct http_response *out)
{
    *out = (struct http_response){0};
    enum err e = parse_response(span_sub(in, 0, HTTP_HEAD_MAX), out);
    return e == ERR_MORE && in.n >= HTTP_HEAD_MAX ? ERR_TOO_LARGE : e;
}

/* A head being written. What does not fit makes `full` true for good: look once, at the end. */
struct head {
    uint8_t *p;
    size_t n;
    bool full;
};

static void put_span(struct head *h, struct span s)
{
    if (s.n > HTTP_BUILD_MAX - h->n)
        h->full = true;
    if (h->full || s.n == 0)
        return;
    memcpy(h->p + h->n, s.p, s.n);
    h->n += s.n;
}

static void put(struct head *h, const char *text)
{
    put_span(h, span_str(text));
}

static void put_number(struct head *h, size_t number)
{
    uint8_t digits[20];
    size_t at = sizeof digits;

    do {
        digits[--at] = (uint8_t)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    put_span(h, span_of(digits + at, sizeof digits - at));
}

static void put_field(struct head *h, const char *name, struct span value)
{
    if (value.n == 0)
        return;
    put(h, name);
    put(h, ": ");
    put_span(h, value);
    put(h, "\r\n");
}

static size_t head_len(const struct head *h)
{
    return h->full ? 0 : h->n;
}

/* Clients write whatever they like there (PROTOCOL.md 1.2), and servers write it to their logs. */
static bool correlation_ok(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!is_alnum(s.p[i]) && !is_one_of(s.p[i], "{}-"))
            return false;
    return s.n <= HTTP_CORRELATION_MAX;
}

static bool host_ok(struct span host)
{
    for (size_t i = 0; i < host.n; i++)
        if (!is_visible(host.p[i]))
            return false;
    return host.n > 0 && host.n <= HOST_FIELD_MAX;
}

size_t http_build_head(uint8_t out[HTTP_BUILD_MAX], struct span host)
{
    struct head h = {.p = out};

    if (!host_ok(host))
        return 0;
    put(&h, "HEAD " PATH " HTTP/1.1\r\n");
    put_field(&h, "Host", host);
    put(&h, "Connection: close\r\n\r\n");
    return head_len(&h);
}

size_t http_build_request(uint8_t out[HTTP_BUILD_MAX], struct span host, struct span tenant,
                          struct span correlation)
{
    struct head h = {.p = out};

    if (!host_ok(host))
        return 0;
    put(&h, METHOD " " PATH);
    if (tenant.n > 0 && tenant_can_be_told(tenant)) {
        put(&h, "?tenantid=");
        put_span(&h, tenant);
    }
    put(&h, " HTTP/1.1\r\n");
    put_field(&h, "Content-Length", span_str(UNENDING));
    put_field(&h, "Host", host);
    if (correlation_ok(correlation))
        put_field(&h, "SSTPCORRELATIONID", correlation);
    put(&h, "\r\n");
    return head_len(&h);
}

size_t http_build_accept(uint8_t out[HTTP_BUILD_MAX], struct span date)
{
    struct head h = {.p = out};

    put(&h, "HTTP/1.1 200 OK\r\n");
    put_field(&h, "Content-Length", span_str(UNENDING));
    put_field(&h, "Server", span_str("Microsoft-HTTPAPI/2.0"));
    put_field(&h, "Date", date);
    put(&h, "\r\n");
    return head_len(&h);
}

static const char *reason_of(unsigned status)
{
    switch (status) {
    case 400: return "Bad Request";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 408: return "Request Timeout";
    case 429: return "Too Many Requests";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    }
    return "Refused";
}

size_t http_build_refusal(uint8_t out[HTTP_BUILD_MAX], unsigned status, bool is_head,
                          struct span date)
{
    struct head h = {.p = out};
    const char *reason = reason_of(status);

    if (status < 400 || status > 599)
        return 0;
    put(&h, "HTTP/1.1 ");
    put_number(&h, status);
    put(&h, " ");
    put(&h, reason);
    put(&h, "\r\n");
    put_field(&h, "Date", date);
    put(&h, "Content-Type: text/plain\r\nContent-Length: ");
    put_number(&h, strlen(reason) + 1);
    put(&h, "\r\nConnection: close\r\n\r\n");
    if (!is_head) { /* RFC 9110 9.3.2: all of the answer to GET but its body */
        put(&h, reason);
        put(&h, "\n");
    }
    return head_len(&h);
}
