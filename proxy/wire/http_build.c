#include "wire/http_build.h"

#include "base/ascii.h"

enum { HOST_FIELD_MAX = HTTP_HOST_MAX + (int)sizeof("[]:65535") - 1 };

/* A head that is being written. `full` becomes, and remains, true when an argument does not fit, so
 * that one check at the end is enough. */
struct http_head {
    uint8_t *p;
    size_t n;
    bool full;
};

static void put_span(struct http_head *h, struct span s)
{
    if (s.n > HTTP_BUILD_MAX - h->n)
        h->full = true;
    if (h->full || s.n == 0)
        return;
    memcpy(h->p + h->n, s.p, s.n);
    h->n += s.n;
}

static void put_text(struct http_head *h, const char *text)
{
    put_span(h, span_str(text));
}

static void put_number(struct http_head *h, size_t number)
{
    uint8_t digits[20];
    size_t at = sizeof digits;

    do {
        digits[--at] = (uint8_t)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    put_span(h, span_of(digits + at, sizeof digits - at));
}

static void put_field(struct http_head *h, const char *name, struct span value)
{
    if (value.n == 0)
        return;
    put_text(h, name);
    put_text(h, ": ");
    put_span(h, value);
    put_text(h, "\r\n");
}

static size_t head_len(const struct http_head *h)
{
    return h->full ? 0 : h->n;
}

static bool is_correlation_char(uint8_t c)
{
    return ascii_is_letter(c) || ascii_is_digit(c) || c == '{' || c == '}' || c == '-';
}

/* Returns whether a correlation is safe to send, because clients send any text in this field
 * (PROTOCOL.md 1.2), and servers write it to their logs. */
static bool correlation_ok(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!is_correlation_char(s.p[i]))
            return false;
    return s.n <= HTTP_CORRELATION_MAX;
}

static bool host_ok(struct span host)
{
    for (size_t i = 0; i < host.n; i++)
        if (!ascii_is_visible(host.p[i]))
            return false;
    return host.n > 0 && host.n <= HOST_FIELD_MAX;
}

/* Writes a host as it is in a URI: an IPv6 address has brackets there (RFC 3986 3.2.2). */
static void put_host(struct http_head *h, struct span host)
{
    const bool is_ip6 = host.n > 0 && memchr(host.p, ':', host.n) != NULL;

    put_text(h, is_ip6 ? "[" : "");
    put_span(h, host);
    put_text(h, is_ip6 ? "]" : "");
}

size_t http_build_get(uint8_t out[HTTP_BUILD_MAX], bool is_head, struct span path, struct span host)
{
    struct http_head h = {.p = out};

    put_text(&h, is_head ? "HEAD " : "GET ");
    put_span(&h, path);
    if (host.n > 0) {
        put_text(&h, " HTTP/1.1\r\nHost: ");
        put_host(&h, host);
    } else {
        put_text(&h, " HTTP/1.0");
    }
    put_text(&h, "\r\nConnection: close\r\n\r\n");
    return head_len(&h);
}

size_t http_build_head(uint8_t out[HTTP_BUILD_MAX], struct span host)
{
    struct http_head h = {.p = out};

    if (!host_ok(host))
        return 0;
    put_text(&h, "HEAD " HTTP_SSTP_PATH " HTTP/1.1\r\n");
    put_field(&h, "Host", host);
    put_text(&h, "Connection: close\r\n\r\n");
    return head_len(&h);
}

size_t http_build_request(uint8_t out[HTTP_BUILD_MAX], struct span host, struct span tenant,
                          struct span correlation)
{
    struct http_head h = {.p = out};

    if (!host_ok(host))
        return 0;
    put_text(&h, HTTP_SSTP_METHOD " " HTTP_SSTP_PATH);
    if (tenant.n > 0 && http_tenant_is_plain(tenant)) {
        put_text(&h, "?tenantid=");
        put_span(&h, tenant);
    }
    put_text(&h, " HTTP/1.1\r\n");
    put_field(&h, "Content-Length", span_str(HTTP_SSTP_LENGTH));
    put_field(&h, "Host", host);
    if (correlation_ok(correlation))
        put_field(&h, "SSTPCORRELATIONID", correlation);
    put_text(&h, "\r\n");
    return head_len(&h);
}

size_t http_build_accept(uint8_t out[HTTP_BUILD_MAX], struct span date)
{
    struct http_head h = {.p = out};

    put_text(&h, "HTTP/1.1 200 OK\r\n");
    put_field(&h, "Content-Length", span_str(HTTP_SSTP_LENGTH));
    put_field(&h, "Server", span_str("Microsoft-HTTPAPI/2.0"));
    put_field(&h, "Date", date);
    put_text(&h, "\r\n");
    return head_len(&h);
}

static const char *reason_of(unsigned status)
{
    switch (status) {
    case 200: return "OK";
    case 301: return "Moved Permanently";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
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

/* Ends the head of an answer, and adds its text. */
static void put_body(struct http_head *h, const char *reason, bool is_head)
{
    put_text(h, "Content-Type: text/plain\r\nContent-Length: ");
    put_number(h, strlen(reason) + 1);
    put_text(h, "\r\nConnection: close\r\n\r\n");
    if (!is_head) { /* RFC 9110 9.3.2: the response to GET without its body */
        put_text(h, reason);
        put_text(h, "\n");
    }
}

static void put_status(struct http_head *h, unsigned status, struct span date)
{
    put_text(h, "HTTP/1.1 ");
    put_number(h, status);
    put_text(h, " ");
    put_text(h, reason_of(status));
    put_text(h, "\r\n");
    put_field(h, "Date", date);
}

size_t http_build_answer(uint8_t out[HTTP_BUILD_MAX], unsigned status, bool is_head,
                         struct span date)
{
    struct http_head h = {.p = out};

    if (status != 200 && (status < 400 || status > 599))
        return 0;
    put_status(&h, status, date);
    put_body(&h, reason_of(status), is_head);
    return head_len(&h);
}

size_t http_build_redirect(uint8_t out[HTTP_BUILD_MAX], struct span host, unsigned port,
                           struct span target, bool is_head, struct span date)
{
    enum { REST_MAX = 512 }; /* everything but the target */
    const bool keep =
        target.n > 0 && target.n <= HTTP_BUILD_MAX - REST_MAX - HTTP_HOST_MAX && target.p[0] == '/';
    struct http_head h = {.p = out};

    if (host.n == 0)
        return 0;
    put_status(&h, 301, date);
    put_text(&h, "Location: https://");
    put_host(&h, host);
    if (port != 443) {
        put_text(&h, ":");
        put_number(&h, port);
    }
    put_span(&h, keep ? target : span_str("/"));
    put_text(&h, "\r\n");
    put_body(&h, reason_of(301), is_head);
    return head_len(&h);
}
