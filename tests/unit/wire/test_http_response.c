#include "wire/http_response.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "http_fixture.h"

struct answer {
    const char *name, *text;
    size_t n; /* octets of the head */
    unsigned status;
};

static const struct answer answers[] = {
    {WHOLE("RRAS, no reason", "HTTP/1.1 200\r\n" LENGTH "Server: Microsoft-HTTPAPI/2.0\r\n"
                              "Date: Thu, 09 Nov 2006 00:51:09 GMT\r\n" END),
     200},
    {WHOLE("empty reason", "HTTP/1.1 200 \r\n" LENGTH END), 200},
    {WHOLE("SoftEther", "HTTP/1.1 200 OK\r\n" LENGTH "Server: Microsoft-HTTPAPI/2.0\r\n" END), 200},
    {WHOLE("HTTP/1.0", "HTTP/1.0 200 OK\r\n" END), 200},
    {TEXT("SSTP behind it", "HTTP/1.1 200 OK\r\n" END, "\x10\x01\x01\x30"), 200},
    {TEXT("empty lines behind it", "HTTP/1.1 200 OK\r\n" END, "\r\n"), 200},
    {WHOLE("bare LF", "HTTP/1.1 404 Not Found\nX: y\n\n"), 404},
    {WHOLE("mixed line ends", "HTTP/1.1 503\nX: y\r\n\n"), 503},
    {WHOLE("fields are not read", "HTTP/1.1 501 \xe9\r\n\x01 no: colon\r\n\tfold\r\n:\r\n" END),
     501},
    {WHOLE("Continue", "HTTP/1.1 100 Continue\r\n" END "HTTP/1.1 200 OK\r\n" END), 200},
    {WHOLE("Early Hints", "HTTP/1.1 103\r\nLink: <a>\r\n" END "HTTP/1.1 404 x\r\n" END), 404},
    {TEXT("several", "HTTP/1.1 102 Processing\n\nHTTP/1.0 199\r\n" END "HTTP/1.1 200 OK\r\n" END,
          "HTTP/1.1 100 x"),
     200},
    {WHOLE("101 is final", "HTTP/1.1 101 Switching Protocols\r\n" END), 101},
    {WHOLE("odd status", "HTTP/1.1 999 x\r\n" END), 999},
};

static const struct bad bad_answers[] = {
    BAD("SSTP", ERR_SYNTAX, "\x10", "\x01\x00\x08"),
    BAD("TLS alert", ERR_SYNTAX, "\x15", "\x03\x03\x00\x02"),
    BAD("SSH", ERR_SYNTAX, "S", "SH-2.0-OpenSSH_9.2\r\n"),
    BAD("empty line", ERR_SYNTAX, "\r\n", "HTTP/1.1 200 OK\r\n"),
    BAD("lower case", ERR_SYNTAX, "h", "ttp/1.1 200 OK\r\n"),
    BAD("two digits of minor", ERR_SYNTAX, "HTTP/1.10", " 200 OK\r\n"),
    BAD("HTTP/2", ERR_VERSION, "HTTP/2.0 200 OK\r\n", END),
    BAD("no status", ERR_SYNTAX, "HTTP/1.1\r\n", END),
    BAD("no digits", ERR_SYNTAX, "HTTP/1.1 O", "K\r\n"),
    BAD("two digits", ERR_SYNTAX, "HTTP/1.1 20\r\n", END),
    BAD("two digits and a reason", ERR_SYNTAX, "HTTP/1.1 20 ", "OK\r\n"),
    BAD("four digits", ERR_SYNTAX, "HTTP/1.1 2000", " OK\r\n"),
    BAD("status below 100", ERR_SYNTAX, "HTTP/1.1 0", "99 OK\r\n"),
    BAD("two spaces", ERR_SYNTAX, "HTTP/1.1  ", "200 OK\r\n"),
    BAD("SSTP behind an interim response", ERR_SYNTAX, "HTTP/1.1 100 x\r\n\r\n\x10", "\x01"),
    BAD("HTTP/2 behind an interim response", ERR_VERSION, "HTTP/1.1 100 x\r\n\r\nHTTP/2.0 200\r\n",
        END),
    BAD("NUL behind the status", ERR_SYNTAX, "HTTP/1.1 200\0", " OK\r\n"),
};

static void good_answers_split(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        const struct answer *a = &answers[i];
        size_t n = a->n + strlen(a->text + a->n);

        print_message("%s\n", a->name);
        for (size_t cut = 0; cut <= n; cut++) {
            struct span in = octets_copy(span_of(a->text, cut));
            struct http_response r;
            assert_int_equal(http_response_parse(in, &r), cut < a->n ? ERR_MORE : ERR_OK);
            if (cut >= a->n) {
                assert_int_equal(r.len, a->n);
                assert_int_equal(r.status, a->status);
            }
            octets_free(in);
        }
    }
}

static void bad_answers_split(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad_answers / sizeof *bad_answers; i++) {
        const struct bad *b = &bad_answers[i];

        print_message("%s\n", b->name);
        for (size_t cut = 0; cut <= b->n; cut++) {
            struct span in = octets_copy(span_of(b->text, cut));
            struct http_response r;
            assert_int_equal(http_response_parse(in, &r), cut < b->refused_at ? ERR_MORE : b->err);
            octets_free(in);
        }
    }
}

static void answer_limit(void **state)
{
    static const char begin[] = "HTTP/1.1 200 ";
    uint8_t octets[HTTP_HEAD_MAX + 1];
    struct http_response r;

    (void)state;
    memset(octets, 'x', sizeof octets);
    memcpy(octets, begin, sizeof begin - 1);
    memcpy(octets + HTTP_HEAD_MAX - 4, "\r\n\r\n", 4);
    assert_int_equal(http_response_parse(span_of(octets, sizeof octets), &r), ERR_OK);
    assert_int_equal(r.len, HTTP_HEAD_MAX);

    memcpy(octets + HTTP_HEAD_MAX - 4, "x\r\n\r\n", 5);
    assert_int_equal(http_response_parse(span_of(octets, HTTP_HEAD_MAX - 1), &r), ERR_MORE);
    assert_int_equal(http_response_parse(span_of(octets, HTTP_HEAD_MAX), &r), ERR_TOO_LARGE);
    assert_int_equal(http_response_parse(span_of(octets, sizeof octets), &r), ERR_TOO_LARGE);
}

/* A server must not keep a call busy with interim responses. */
static void interim_limits(void **state)
{
    static const char interim[] = "HTTP/1.1 100 x\r\n\r\n", final[] = "HTTP/1.1 200 x\r\n\r\n";
    const size_t each = sizeof interim - 1;
    char octets[HTTP_HEADS_MAX + 1];
    struct http_response r;

    (void)state;
    for (size_t i = 0; i <= HTTP_INTERIM_MAX; i++)
        memcpy(octets + i * each, interim, each);
    assert_int_equal(http_response_parse(span_of(octets, HTTP_INTERIM_MAX * each), &r), ERR_MORE);
    assert_int_equal(http_response_parse(span_of(octets, (HTTP_INTERIM_MAX + 1) * each), &r),
                     ERR_TOO_LARGE);
    memcpy(octets + HTTP_INTERIM_MAX * each, final, each);
    assert_int_equal(http_response_parse(span_of(octets, (HTTP_INTERIM_MAX + 1) * each), &r),
                     ERR_OK);
    assert_int_equal(r.len, (HTTP_INTERIM_MAX + 1) * each);

    /* two interim responses, each within its bound, and a final one that ends at the bound of all
     */
    memset(octets, 'x', sizeof octets);
    for (size_t i = 0; i < 3; i++)
        memcpy(octets + i * 6000, i < 2 ? "HTTP/1.1 103 " : "HTTP/1.1 200 ", 13);
    for (size_t end = 6000; end <= 12000; end += 6000)
        memcpy(octets + end - 4, "\r\n\r\n", 4);
    memcpy(octets + HTTP_HEADS_MAX - 4, "\r\n\r\n", 4);
    assert_int_equal(http_response_parse(span_of(octets, HTTP_HEADS_MAX - 1), &r), ERR_MORE);
    assert_int_equal(http_response_parse(span_of(octets, sizeof octets), &r), ERR_OK);
    assert_int_equal(r.len, HTTP_HEADS_MAX);
    octets[HTTP_HEADS_MAX - 1] = 'x';
    assert_int_equal(http_response_parse(span_of(octets, HTTP_HEADS_MAX), &r), ERR_TOO_LARGE);
    assert_int_equal(http_response_parse(span_of(octets, sizeof octets), &r), ERR_TOO_LARGE);
}

static void fields(void **state)
{
    (void)state;
    static const struct {
        const char *head, *value;
    } rows[] = {
        {"HTTP/1.1 200 OK\r\nServer: a/1\r\n\r\n", "a/1"},
        {"HTTP/1.1 200\nX: y\nSERVER:\t b c \t\n\n", "b c"},
        {"HTTP/1.1 103 x\r\nServer: a\r\n\r\nHTTP/1.1 200 OK\r\nserver: b\r\n\r\n", "b"},
        {"HTTP/1.1 200 OK\r\nServer:\r\n\r\n", ""},
        {"HTTP/1.1 200 OK\r\nServers: a\r\nX-Server: b\r\nServer\r\n\r\n", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct span head = octets_copy(span_str(rows[i].head));
        const struct span value = http_response_field(head, "Server");
        assert_int_equal(value.n, strlen(rows[i].value));
        assert_true(value.n == 0 || memcmp(value.p, rows[i].value, value.n) == 0);
        octets_free(head);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_answers_split),
        cmocka_unit_test(bad_answers_split),
        cmocka_unit_test(answer_limit),
        cmocka_unit_test(interim_limits),
        cmocka_unit_test(fields),
    };
    return cmocka_run_group_tests_name("http_response", tests, NULL, NULL);
}
