#include "wire/http_build.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "http_fixture.h"
#include "wire/http_request.h"
#include "wire/http_response.h"

static const struct span none; /* no tenant */

/* Hosts are as in struct http_request; the tests of the parser have those that it refuses. */
static void build_get(void **state)
{
    uint8_t out[HTTP_BUILD_MAX];
    const struct span path = span_str("/.well-known/acme-challenge/a-_");

    (void)state;
    size_t n = http_build_get(out, false, path, span_str("vpn.test"));
    assert_text(span_of(out, n), "GET /.well-known/acme-challenge/a-_ HTTP/1.1\r\n"
                                 "Host: vpn.test\r\nConnection: close\r\n\r\n");
    n = http_build_get(out, true, path, span_str("2001:db8::1"));
    assert_text(span_of(out, n), "HEAD /.well-known/acme-challenge/a-_ HTTP/1.1\r\n"
                                 "Host: [2001:db8::1]\r\nConnection: close\r\n\r\n");
    n = http_build_get(out, false, path, none);
    assert_text(span_of(out, n),
                "GET /.well-known/acme-challenge/a-_ HTTP/1.0\r\nConnection: close\r\n\r\n");
}

static void build_redirect(void **state)
{
    static const struct {
        const char *host, *target, *location;
        unsigned port;
    } cases[] = {
        {"vpn.test", "/a?b", "https://vpn.test/a?b", 443},
        {"vpn.test", "/a?b", "https://vpn.test:8443/a?b", 8443},
        {"2001:db8::1", "/", "https://[2001:db8::1]/", 443},
        {"vpn.test", "*", "https://vpn.test/", 443},
        {"vpn.test", "http://other.test/a", "https://vpn.test/", 443},
    };
    uint8_t out[HTTP_BUILD_MAX];
    char head[HTTP_BUILD_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct span host = span_str(cases[i].host), target = span_str(cases[i].target);
        size_t n = http_build_redirect(out, host, cases[i].port, target, false, none);
        snprintf(head, sizeof head,
                 "HTTP/1.1 301 Moved Permanently\r\nLocation: %s\r\nContent-Type: text/plain\r\n"
                 "Content-Length: 18\r\nConnection: close\r\n\r\nMoved Permanently\n",
                 cases[i].location);
        assert_text(span_of(out, n), head);
        assert_int_equal(http_build_redirect(out, host, cases[i].port, target, true, none), n - 18);
    }
    assert_int_equal(http_build_redirect(out, none, 443, span_str("/"), false, none), 0);
}

/* Any target of the longest host fits, or only the host is kept. */
static void build_redirect_longest(void **state)
{
    uint8_t out[HTTP_BUILD_MAX];
    char host[HTTP_HOST_MAX + 1] = "", target[HTTP_HEAD_MAX];

    (void)state;
    memset(host, 'h', HTTP_HOST_MAX);
    memset(target, '/', sizeof target);
    for (size_t n = 0; n <= sizeof target; n++)
        assert_int_not_equal(http_build_redirect(out, span_str(host), 65535, span_of(target, n),
                                                 false, span_str("Thu, 09 Nov 2006 00:51:09 GMT")),
                             0);
}

static void build_request(void **state)
{
    uint8_t out[HTTP_BUILD_MAX];
    struct http_request r;

    (void)state;
    size_t n = http_build_request(out, span_str("10.0.0.5:443"), none, span_str("{5A6C-0b4e}"));
    assert_text(span_of(out, n), LINE LENGTH "Host: 10.0.0.5:443\r\n"
                                             "SSTPCORRELATIONID: {5A6C-0b4e}\r\n" END);
    assert_int_equal(http_request_parse(span_of(out, n), &r), ERR_OK);
    assert_true(r.sstp);
    assert_text(r.host, "10.0.0.5");

    n = http_build_request(out, span_str("a"), none, span_of(NULL, 0));
    assert_text(span_of(out, n), LINE LENGTH "Host: a\r\n" END);
}

/* A correlation that is not safe in a log is omitted. */
static void build_request_odd_correlation(void **state)
{
    static const char *const odd[] = {"a b", "a\r\nX: y", "a\x80", "a_b", "a\"b"};
    uint8_t out[HTTP_BUILD_MAX];
    char longest[HTTP_CORRELATION_MAX + 2];

    (void)state;
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        size_t n = http_build_request(out, span_str("a"), none, span_str(odd[i]));
        assert_text(span_of(out, n), LINE LENGTH "Host: a\r\n" END);
    }
    assert_text(span_of(out, http_build_request(out, span_str("a"), none, span_of("b\0c", 3))),
                LINE LENGTH "Host: a\r\n" END);

    memset(longest, 'a', sizeof longest);
    size_t with =
        http_build_request(out, span_str("a"), none, span_of(longest, HTTP_CORRELATION_MAX));
    size_t without =
        http_build_request(out, span_str("a"), none, span_of(longest, sizeof longest - 1));
    assert_int_equal(with - without, strlen("SSTPCORRELATIONID: \r\n") + HTTP_CORRELATION_MAX);
}

static void build_request_tenant(void **state)
{
    static const char *const fine[] = {"Blue", "{5A6C-0b4e}", "a%20b", "a-._~!$'()*+,;=:@/?%7b"};
    static const char *const odd[] = {"",    "a b", "a&b",  "a#b",  "a\r\nX: y", "a\x80",
                                      "a\"", "a<",  "a%00", "a%7f", "a%",        "a%zz"};
    uint8_t out[HTTP_BUILD_MAX];
    char longest[HTTP_TENANT_MAX + 1], line[128];
    struct http_request r;

    (void)state;
    for (size_t i = 0; i < sizeof fine / sizeof *fine; i++) {
        size_t n = http_build_request(out, span_str("a"), span_str(fine[i]), span_str("c"));
        snprintf(line, sizeof line,
                 "SSTP_DUPLEX_POST /sra_{BA195980-CD49-458b-9E23-C84EE0ADCD75}/"
                 "?tenantid=%s HTTP/1.1\r\n",
                 fine[i]);
        assert_memory_equal(out, line, strlen(line));
        assert_int_equal(http_request_parse(span_of(out, n), &r), ERR_OK);
        assert_true(r.sstp);
        assert_text(r.tenant, fine[i]);
    }
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        size_t n = http_build_request(out, span_str("a"), span_str(odd[i]), span_of(NULL, 0));
        assert_text(span_of(out, n), LINE LENGTH "Host: a\r\n" END);
    }
    memset(longest, 'a', sizeof longest);
    size_t n = http_build_request(out, span_str("a"), span_of(longest, HTTP_TENANT_MAX), none);
    assert_int_equal(http_request_parse(span_of(out, n), &r), ERR_OK);
    assert_int_equal(r.tenant.n, HTTP_TENANT_MAX);
    n = http_build_request(out, span_str("a"), span_of(longest, sizeof longest), none);
    assert_text(span_of(out, n), LINE LENGTH "Host: a\r\n" END);
}

/* HTTP_BUILD_MAX is enough for the longest host, tenant and correlation. */
static void build_request_longest(void **state)
{
    uint8_t out[HTTP_BUILD_MAX];
    char longest[HTTP_HOST_MAX + 8];

    (void)state;
    memset(longest, 'a', sizeof longest);
    assert_true(http_build_request(out, span_of(longest, sizeof longest),
                                   span_of(longest, HTTP_TENANT_MAX),
                                   span_of(longest, HTTP_CORRELATION_MAX)) > 0);
}

static void build_head(void **state)
{
    uint8_t out[HTTP_BUILD_MAX];
    struct http_request r;

    (void)state;
    size_t n = http_build_head(out, span_str("[::1]:443"));
    assert_text(span_of(out, n), "HEAD /sra_{BA195980-CD49-458b-9E23-C84EE0ADCD75}/ HTTP/1.1\r\n"
                                 "Host: [::1]:443\r\nConnection: close\r\n\r\n");
    assert_int_equal(http_request_parse(span_of(out, n), &r), ERR_OK);
    assert_true(r.is_head && !r.sstp);
    assert_int_equal(http_build_head(out, span_str("a b")), 0);
}

static void build_request_odd_host(void **state)
{
    static const char *const odd[] = {"", "a b", "a\r\nX: y", "a\x7f", "a\x80", "\t"};
    uint8_t out[HTTP_BUILD_MAX];
    char longest[HTTP_HOST_MAX + 9];

    (void)state;
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
        assert_int_equal(http_build_request(out, span_str(odd[i]), none, span_of(NULL, 0)), 0);
    assert_int_equal(http_build_request(out, span_of("a\0b", 3), none, span_of(NULL, 0)), 0);

    memset(longest, 'a', sizeof longest);
    assert_true(
        http_build_request(out, span_of(longest, HTTP_HOST_MAX + 8), none, span_of(NULL, 0)) > 0);
    assert_int_equal(
        http_build_request(out, span_of(longest, sizeof longest), none, span_of(NULL, 0)), 0);
}

static void build_accept(void **state)
{
    uint8_t out[HTTP_BUILD_MAX];
    uint8_t huge[HTTP_BUILD_MAX];
    struct http_response r;

    (void)state;
    size_t n = http_build_accept(out, span_str("Thu, 09 Nov 2006 00:51:09 GMT"));
    assert_text(span_of(out, n), "HTTP/1.1 200 OK\r\n" LENGTH "Server: Microsoft-HTTPAPI/2.0\r\n"
                                 "Date: Thu, 09 Nov 2006 00:51:09 GMT\r\n" END);
    assert_int_equal(http_response_parse(span_of(out, n), &r), ERR_OK);
    assert_int_equal(r.len, n);

    n = http_build_accept(out, span_of(NULL, 0));
    assert_text(span_of(out, n),
                "HTTP/1.1 200 OK\r\n" LENGTH "Server: Microsoft-HTTPAPI/2.0\r\n" END);

    memset(huge, 'a', sizeof huge);
    size_t room = HTTP_BUILD_MAX - n - strlen("Date: \r\n");
    assert_int_equal(http_build_accept(out, span_of(huge, room)), HTTP_BUILD_MAX);
    assert_int_equal(http_build_accept(out, span_of(huge, room + 1)), 0);
}

static void build_refusal(void **state)
{
    static const unsigned known[] = {200, 400, 401, 403, 404, 408, 429, 502, 503, 504, 418, 599};
    uint8_t out[HTTP_BUILD_MAX];
    struct http_response r;

    (void)state;
    size_t n = http_build_answer(out, 404, false, span_str("Thu, 09 Nov 2006 00:51:09 GMT"));
    assert_text(span_of(out, n), "HTTP/1.1 404 Not Found\r\nDate: Thu, 09 Nov 2006 00:51:09 GMT\r\n"
                                 "Content-Type: text/plain\r\nContent-Length: 10\r\n"
                                 "Connection: close\r\n\r\nNot Found\n");
    n = http_build_answer(out, 503, true, span_of(NULL, 0));
    assert_text(span_of(out, n), "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\n"
                                 "Content-Length: 20\r\nConnection: close\r\n\r\n");

    n = http_build_answer(out, 401, true, span_of(NULL, 0));
    assert_text(span_of(out, n), "HTTP/1.1 401 Unauthorized\r\nContent-Type: text/plain\r\n"
                                 "Content-Length: 13\r\nConnection: close\r\n\r\n");
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        n = http_build_answer(out, known[i], false, span_of(NULL, 0));
        assert_int_equal(http_response_parse(span_of(out, n), &r), ERR_OK);
        assert_int_equal(r.status, known[i]);
    }
    assert_int_equal(http_build_answer(out, 201, false, span_of(NULL, 0)), 0);
    assert_int_equal(http_build_answer(out, 600, false, span_of(NULL, 0)), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(build_request),
        cmocka_unit_test(build_request_odd_correlation),
        cmocka_unit_test(build_request_tenant),
        cmocka_unit_test(build_request_longest),
        cmocka_unit_test(build_head),
        cmocka_unit_test(build_request_odd_host),
        cmocka_unit_test(build_get),
        cmocka_unit_test(build_redirect),
        cmocka_unit_test(build_redirect_longest),
        cmocka_unit_test(build_accept),
        cmocka_unit_test(build_refusal),
    };
    return cmocka_run_group_tests_name("http_build", tests, NULL, NULL);
}
