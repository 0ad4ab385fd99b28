#include "wire/http_request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "http_fixture.h"
#include "wire/http_uri.h"

/* A request and the expected result. */
struct good {
    const char *name, *text;
    size_t n; /* octets of the head; the rest of text follows it */
    bool sstp;
    const char *host, *tenant, *correlation;
    bool is_head;
    enum err flaw;
};

static const struct good good[] = {
    {WHOLE("Windows 7",
           LINE LENGTH HOST "SSTPCORRELATIONID: {5A6C0B4E-1A2B-3C4D-5E6F-708090A0B0C0}" END END),
     .sstp = true, .host = "vpn.example.com",
     .correlation = "{5A6C0B4E-1A2B-3C4D-5E6F-708090A0B0C0}"},
    {WHOLE("sstpc", LINE HOST LENGTH "SSTPCORRELATIONID: {1a2b3c4d-9f-41-8a10b2c3}\r\n" END),
     .sstp = true, .host = "vpn.example.com", .correlation = "{1a2b3c4d-9f-41-8a10b2c3}"},
    {WHOLE("no correlation", LINE HOST LENGTH END), .sstp = true, .host = "vpn.example.com"},
    {TEXT("octets behind the head", LINE HOST LENGTH END, "\x10\x01\r\n\n"), .sstp = true,
     .host = "vpn.example.com"},
    {WHOLE("empty line first", END LINE HOST LENGTH END), .sstp = true, .host = "vpn.example.com"},
    {WHOLE("braces escaped", "SSTP_DUPLEX_POST /sra_%7BBA195980-CD49-458b-9E23-C84EE0ADCD75%7d/"
                             " HTTP/1.1\r\n" HOST LENGTH END),
     .sstp = true, .host = "vpn.example.com"},
    {WHOLE("letters escaped", "SSTP_DUPLEX_POST /%73r%61_{%42A195980-CD49-458%42-9E23-C84EE0ADCD75}"
                              "%2f HTTP/1.1\r\n" HOST LENGTH END),
     .sstp = true, .host = "vpn.example.com"},
    {WHOLE("any case", "SSTP_DUPLEX_POST /SRA_{ba195980-cd49-458B-9e23-c84ee0adcd75}/ HTTP/1.1\r\n"
                       "hOST: vpn.example.com\r\ncontent-LENGTH: 18446744073709551615\r\n" END),
     .sstp = true, .host = "vpn.example.com"},
    {WHOLE("tenant", "SSTP_DUPLEX_POST " PATH "?tenantid=blue HTTP/1.1\r\n" HOST LENGTH END),
     .sstp = true, .host = "vpn.example.com", .tenant = "blue"},
    {WHOLE("tenant among others, as sent",
           "SSTP_DUPLEX_POST " PATH "?x=1&tenantidx=2&&TenantID=a%20b=c?d&tenantid=second"
           " HTTP/1.1\r\n" HOST LENGTH END),
     .sstp = true, .host = "vpn.example.com", .tenant = "a%20b=c?d"},
    {WHOLE("tenant without value",
           "SSTP_DUPLEX_POST " PATH "?tenantid HTTP/1.1\r\n" HOST LENGTH END),
     .sstp = true, .host = "vpn.example.com"},
/* clang-format off */ /* versions 14 and 19 lay out these braces in different ways */
#define TENANT(about, value, is_sstp)                                                              \
    {                                                                                              \
        WHOLE("tenant: " about,                                                                    \
              "SSTP_DUPLEX_POST " PATH "?tenantid=" value " HTTP/1.1\r\n" HOST LENGTH END),        \
            .sstp = is_sstp, .host = "vpn.example.com", .tenant = value                            \
    }
    /* clang-format on */
    TENANT("escapes of visible characters", "%41%2d%7e%20", true),
    TENANT("escapes of UTF-8", "gr%C3%bcn", true),
    TENANT("an escaped percent sign", "%2500", true),
    TENANT("NUL", "evil%00", false),
    TENANT("NUL in front", "%00evil", false),
    TENANT("line end", "evil%0d%0A", false),
    TENANT("the last control character below the blank", "%1F", false),
    TENANT("delete", "%7f", false),
    TENANT("no digits", "%zz", false),
    TENANT("one digit", "evil%4", false),
    TENANT("no digit", "evil%", false),
    TENANT("a fragment, which no backend gets", "evil#x", false),
    TENANT("a quotation mark", "evil\"", false),
    {WHOLE("a broken escape in another variable",
           "SSTP_DUPLEX_POST " PATH
           "?x=%00&tenantid=blue&tenantid=%00 HTTP/1.1\r\n" HOST LENGTH END),
     .sstp = true, .host = "vpn.example.com", .tenant = "blue"},
    {WHOLE("unknown fields, tabs, blanks, obs-text",
           LINE "X-Odd!#$%&'*+-.^_`|~:\t a\tb \x80\xff \t\r\nEmpty:\r\nHost:vpn.example.com \t\r\n"
                "Content-Length:\t18446744073709551615\r\n" END),
     .sstp = true, .host = "vpn.example.com"},
    {WHOLE("length with zeros before", LINE HOST "Content-Length: 0018446744073709551615\r\n" END),
     .sstp = true, .host = "vpn.example.com"},
    {WHOLE("host with port", LINE "Host: VPN.example.com:4433\r\n" LENGTH END), .sstp = true,
     .host = "VPN.example.com"},
    {WHOLE("host with empty port", LINE "Host: vpn:\r\n" LENGTH END), .sstp = true, .host = "vpn"},
    {WHOLE("IPv4", LINE "Host: 203.0.113.10:65535\r\n" LENGTH END), .sstp = true,
     .host = "203.0.113.10"},
    {WHOLE("IPv6", LINE "Host: [2001:DB8::1]\r\n" LENGTH END), .sstp = true, .host = "2001:DB8::1"},
    {WHOLE("IPv6 with port", LINE "Host: [::ffff:192.0.2.1]:443\r\n" LENGTH END), .sstp = true,
     .host = "::ffff:192.0.2.1"},
    {WHOLE("IPv6, the shortest", LINE "Host: [::]\r\n" LENGTH END), .sstp = true, .host = "::"},
    {WHOLE("IPv6 without brackets", LINE "Host: 2001:DB8::1\r\n" LENGTH END), .sstp = true,
     .host = "2001:DB8::1"},
    {WHOLE("the shortest without brackets", LINE "Host: ::\r\n" LENGTH END), .sstp = true,
     .host = "::"},
    {WHOLE("a zone", LINE "Host: fe80::1%eth0\r\n" LENGTH END), .sstp = true,
     .host = "fe80::1%eth0"},
    {WHOLE("a zone in brackets", LINE "Host: [fe80::1%25eth0]:443\r\n" LENGTH END), .sstp = true,
     .host = "fe80::1%25eth0"},
    {WHOLE("a dot at the end", LINE "Host: vpn.example.com.:443\r\n" LENGTH END), .sstp = true,
     .host = "vpn.example.com."},
    {WHOLE("host ends with an escape", LINE "Host: %0f%F0\r\n" LENGTH END), .sstp = true,
     .host = "%0f%F0"},
    {WHOLE("escaped host", LINE "Host: a%C3%a9_~b,c\r\n" LENGTH END), .sstp = true,
     .host = "a%C3%a9_~b,c"},

    /* not SSTP */
    {WHOLE("GET", "GET / HTTP/1.1\r\nHost: a\r\n" END), .host = "a"},
    {WHOLE("HEAD", "HEAD / HTTP/1.1\r\nHost: a\r\n" END), .host = "a", .is_head = true},
    {WHOLE("empty Host", "GET / HTTP/1.1\r\nHost: \r\n" END), .host = NULL},
    {WHOLE("empty Host of SSTP", LINE "Host:\r\n" LENGTH END), .host = NULL, .flaw = ERR_MISSING},
    {WHOLE("head is a method of its own", "head / HTTP/1.1\r\nHost: a\r\n" END), .host = "a"},
    {WHOLE("HTTP/1.0 without Host", "GET / HTTP/1.0\r\n" END), .host = NULL},
    {WHOLE("HTTP/1.0 with Host", "GET / HTTP/1.0\r\nHost: a\r\n" END), .host = "a"},
    {WHOLE("HTTP/1.9", "GET / HTTP/1.9\r\nHost: a\r\n" END), .host = "a"},
    {WHOLE("method in lower case", "sstp_duplex_post " PATH " HTTP/1.1\r\n" HOST LENGTH END),
     .host = "vpn.example.com"},
    {WHOLE("GET of the SSTP URI", "GET " PATH " HTTP/1.1\r\n" HOST END), .host = "vpn.example.com"},
    {WHOLE("SSTP's method, another URI", "SSTP_DUPLEX_POST / HTTP/1.1\r\n" HOST END),
     .host = "vpn.example.com"},
    {WHOLE("URI without the last slash",
           "SSTP_DUPLEX_POST /sra_{BA195980-CD49-458b-9E23-C84EE0ADCD75} HTTP/1.1\r\n" HOST END),
     .host = "vpn.example.com"},
    {WHOLE("URI with more behind it", "SSTP_DUPLEX_POST " PATH "x HTTP/1.1\r\n" HOST END),
     .host = "vpn.example.com"},
    {WHOLE("one digit off",
           "SSTP_DUPLEX_POST /sra_{BA195980-CD49-458b-9E23-C84EE0ADCD76}/ HTTP/1.1\r\n" HOST END),
     .host = "vpn.example.com"},
    {WHOLE("escaped first slash",
           "SSTP_DUPLEX_POST %2f"
           "sra_{BA195980-CD49-458b-9E23-C84EE0ADCD75}/ HTTP/1.1\r\n" HOST END),
     .host = "vpn.example.com"},
    {WHOLE("absolute-form", "SSTP_DUPLEX_POST https://a" PATH " HTTP/1.1\r\n" HOST LENGTH END),
     .host = "vpn.example.com"},
    {WHOLE("escapes with a zero in them", "GET /%0a%A0 HTTP/1.1\r\nHost: a\r\n" END), .host = "a"},
    {WHOLE("asterisk-form", "OPTIONS * HTTP/1.1\r\nHost: a\r\n" END), .host = "a"},
    {WHOLE("authority-form", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n" END), .host = "a"},
    {WHOLE("nothing before the query", "GET ?a HTTP/1.1\r\nHost: a\r\n" END), .host = "a"},
    {WHOLE("body with a length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n" END),
     .host = "a"},
    {WHOLE("chunks", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n" END),
     .host = "a"},
    {WHOLE("escape of NUL", "GET /%00 HTTP/1.1\r\nHost: a\r\n" END), .host = "a"},
    {WHOLE("lone percent sign", "GET /100%-off HTTP/1.1\r\nHost: a\r\n" END), .host = "a"},
    {WHOLE("escape with one digit", "GET /%7 HTTP/1.1\r\nHost: a\r\n" END), .host = "a"},
    {WHOLE("escape cut by the query", "GET /%7?b HTTP/1.1\r\nHost: a\r\n" END), .host = "a"},
    {WHOLE("broken escape behind the SSTP URI",
           "SSTP_DUPLEX_POST " PATH "%2 HTTP/1.1\r\n" HOST LENGTH END),
     .host = "vpn.example.com"},

    /* SSTP with a flaw is not SSTP */
    {WHOLE("SSTP with HTTP/1.0", "SSTP_DUPLEX_POST " PATH " HTTP/1.0\r\n" HOST LENGTH END),
     .host = "vpn.example.com", .flaw = ERR_VERSION},
    {WHOLE("SSTP with HTTP/1.0 without a field", "SSTP_DUPLEX_POST " PATH " HTTP/1.0\r\n" END),
     .flaw = ERR_VERSION},
    {WHOLE("SSTP with HTTP/1.2", "SSTP_DUPLEX_POST " PATH " HTTP/1.2\r\n" HOST LENGTH END),
     .host = "vpn.example.com", .flaw = ERR_VERSION},
    {WHOLE("SSTP with length 2^64 - 2", LINE HOST "Content-Length: 18446744073709551614\r\n" END),
     .host = "vpn.example.com", .flaw = ERR_LENGTH},
    {WHOLE("SSTP without length", LINE HOST END), .host = "vpn.example.com", .flaw = ERR_LENGTH},
    {WHOLE("SSTP in chunks", LINE HOST "Transfer-Encoding: chunked\r\n" END),
     .host = "vpn.example.com", .flaw = ERR_LENGTH},
    {WHOLE("method of 32 octets", "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345 / HTTP/1.1\r\nHost: a\r\n" END),
     .host = "a"},
};

static const struct bad bad[] = {
    BAD("TLS", ERR_SYNTAX, "\x16", "\x03\x01\x02\x00\x01"),
    BAD("SSTP without HTTP", ERR_SYNTAX, "\x10", "\x01\x00\x0e"),
    BAD("SSH", ERR_SYNTAX, "SSH-2.0-OpenSSH_9.2\r\n", ""),
    BAD("NUL first", ERR_SYNTAX, "\0", "GET / HTTP/1.1\r\n"),
    BAD("two empty lines", ERR_SYNTAX, "\r\n\r\n", LINE HOST LENGTH END),
    BAD("LF first", ERR_SYNTAX, "\n", LINE),
    BAD("CR alone first", ERR_SYNTAX, "\rG", "ET / HTTP/1.1\r\n"),
    BAD("no method", ERR_SYNTAX, " ", "/ HTTP/1.1\r\n"),
    BAD("method with a colon", ERR_SYNTAX, "GET:", " / HTTP/1.1\r\n"),
    BAD("method with a tab", ERR_SYNTAX, "GET\t", "/ HTTP/1.1\r\n"),
    BAD("method of 33 octets", ERR_SYNTAX, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456", "7"),
    BAD("method alone", ERR_SYNTAX, "GET\r\n", "Host: a\r\n\r\n"),
    BAD("two spaces before the target", ERR_SYNTAX, "GET  ", "/ HTTP/1.1\r\n"),
    BAD("two spaces behind the target", ERR_SYNTAX, "GET /  ", "HTTP/1.1\r\n"),
    BAD("space in the target", ERR_SYNTAX, "GET /a b", " HTTP/1.1\r\n"),
    BAD("space behind the version", ERR_SYNTAX, "GET / HTTP/1.1 ", "\r\n"),
    BAD("tab in the target", ERR_SYNTAX, "GET /a\t", "b HTTP/1.1\r\n"),
    BAD("NUL in the target", ERR_SYNTAX, "GET /a\0", "b HTTP/1.1\r\n"),
    BAD("DEL in the target", ERR_SYNTAX, "GET /a\x7f", "b HTTP/1.1\r\n"),
    BAD("obs-text in the target", ERR_SYNTAX, "GET /a\xe9", "b HTTP/1.1\r\n"),
    BAD("HTTP/0.9", ERR_SYNTAX, "GET /\r\n", ""),
    BAD("not HTTP", ERR_SYNTAX, "GET / R", "TSP/1.0\r\n"),
    BAD("http in lower case", ERR_SYNTAX, "GET / h", "ttp/1.1\r\n"),
    BAD("version without minor", ERR_SYNTAX, "GET / HTTP/1\r\n", "Host: a\r\n\r\n"),
    BAD("minor of two digits", ERR_SYNTAX, "GET / HTTP/1.10", "\r\n"),
    BAD("bare LF behind the request line", ERR_SYNTAX, "GET / HTTP/1.1\n", "Host: a\r\n\r\n"),
    BAD("bare CR behind the request line", ERR_SYNTAX, "GET / HTTP/1.1\rH", "ost: a\r\n\r\n"),
    BAD("CR CR LF", ERR_SYNTAX, "GET / HTTP/1.1\r\r", "\n"),
    BAD("HTTP/2 preface", ERR_VERSION, "PRI * HTTP/2.0\r\n", "\r\nSM\r\n\r\n"),
    BAD("version refused before a NUL behind it", ERR_VERSION, "GET / HTTP/3.0\r\n", "\0"),
    BAD("NUL refused before the version", ERR_SYNTAX, "GET /\0", " HTTP/3.0\r\n"),

    BAD("obs-fold", ERR_SYNTAX, LINE HOST "X: a\r\n ", "b\r\n" LENGTH END),
    BAD("obs-fold with a tab", ERR_SYNTAX, LINE HOST "X: a\r\n\t", "b\r\n" LENGTH END),
    BAD("blank before the first field", ERR_SYNTAX, LINE " ", HOST LENGTH END),
    BAD("space before the colon", ERR_SYNTAX, LINE "Host ", ": a\r\n" LENGTH END),
    BAD("no field name", ERR_SYNTAX, LINE ":", " a\r\n" HOST LENGTH END),
    BAD("field name with a bracket", ERR_SYNTAX, LINE "X(", ": a\r\n" HOST LENGTH END),
    BAD("obs-text in a field name", ERR_SYNTAX, LINE "X\xe9", ": a\r\n" HOST LENGTH END),
    BAD("line without a colon", ERR_SYNTAX, LINE "Host\r\n", LENGTH END),
    BAD("NUL in a value", ERR_SYNTAX, LINE "X: a\0", "\r\n" HOST LENGTH END),
    BAD("escape octet in a value", ERR_SYNTAX, LINE "X: a\x1b", "[2J\r\n" HOST LENGTH END),
    BAD("DEL in a value", ERR_SYNTAX, LINE "X: a\x7f", "\r\n" HOST LENGTH END),
    BAD("bare LF in a value", ERR_SYNTAX, LINE "X: a\n", HOST LENGTH END),
    BAD("bare CR in a value", ERR_SYNTAX, LINE "X: a\rb", "\r\n" HOST LENGTH END),
    BAD("bare LF as the empty line", ERR_SYNTAX, LINE HOST LENGTH "\n", "x"),
    BAD("bare CR as the empty line", ERR_SYNTAX, LINE HOST LENGTH "\rx", "y"),

    BAD("Host with a port only", ERR_SYNTAX, LINE "Host: :443\r\n", LENGTH END),
    BAD("Host with a blank", ERR_SYNTAX, LINE "Host: a b\r\n", LENGTH END),
    BAD("Host with a slash", ERR_SYNTAX, LINE "Host: a/b\r\n", LENGTH END),
    BAD("Host with a user", ERR_SYNTAX, LINE "Host: u@a\r\n", LENGTH END),
    BAD("Host with obs-text", ERR_SYNTAX, LINE "Host: \xe9\r\n", LENGTH END),
    BAD("Host with a broken escape", ERR_SYNTAX, LINE "Host: a%4\r\n", LENGTH END),
    BAD("half an IPv6 address", ERR_SYNTAX, LINE "Host: 2001:db8:\r\n", LENGTH END),
    BAD("brackets around no address", ERR_SYNTAX, LINE "Host: [1:2]\r\n", LENGTH END),
    BAD("brackets around IPv4", ERR_SYNTAX, LINE "Host: [192.0.2.1]\r\n", LENGTH END),
    BAD("a zone without a name", ERR_SYNTAX, LINE "Host: fe80::1%\r\n", LENGTH END),
    BAD("a zone with a slash", ERR_SYNTAX, LINE "Host: fe80::1%e/0\r\n", LENGTH END),
    BAD("a zone without an address", ERR_SYNTAX, LINE "Host: %eth0\r\n", LENGTH END),
    BAD("Host with two ports", ERR_SYNTAX, LINE "Host: a:1:2\r\n", LENGTH END),
    BAD("port with a letter", ERR_SYNTAX, LINE "Host: a:44x\r\n", LENGTH END),
    BAD("port 65536", ERR_SYNTAX, LINE "Host: a:65536\r\n", LENGTH END),
    BAD("port of six digits", ERR_SYNTAX, LINE "Host: a:000443\r\n", LENGTH END),
    BAD("IPv6 without the end", ERR_SYNTAX, LINE "Host: [2001:db8::1\r\n", LENGTH END),
    BAD("octets behind the bracket", ERR_SYNTAX, LINE "Host: [::1]x\r\n", LENGTH END),
    BAD("empty brackets", ERR_SYNTAX, LINE "Host: []\r\n", LENGTH END),
    BAD("bracket alone", ERR_SYNTAX, LINE "Host: [\r\n", LENGTH END),
    BAD("Host twice", ERR_DUPLICATE, LINE HOST HOST, LENGTH END),
    BAD("Host twice, the second one bad", ERR_DUPLICATE, LINE HOST "host: /\r\n", LENGTH END),
    BAD("Host missing", ERR_MISSING, LINE LENGTH END, "x"),
    BAD("Host missing, not SSTP", ERR_MISSING, "GET / HTTP/1.1\r\n" END, ""),
    BAD("Host and length missing", ERR_MISSING, LINE END, ""),

    BAD("length twice", ERR_DUPLICATE, LINE HOST LENGTH LENGTH, END),
    BAD("length twice, not SSTP", ERR_DUPLICATE,
        "POST / HTTP/1.1\r\nContent-Length: 1\r\ncontent-length: 1\r\n", HOST END),
    BAD("length empty", ERR_LENGTH, LINE HOST "Content-Length: \r\n", END),
    BAD("length with a sign", ERR_LENGTH, LINE HOST "Content-Length: +1\r\n", END),
    BAD("length negative", ERR_LENGTH, LINE HOST "Content-Length: -1\r\n", END),
    BAD("length in hex", ERR_LENGTH, LINE HOST "Content-Length: 0xffffffffffffffff\r\n", END),
    BAD("length as a list", ERR_LENGTH, "POST / HTTP/1.1\r\nContent-Length: 1, 1\r\n", HOST END),
    BAD("length 2^64", ERR_LENGTH, LINE HOST "Content-Length: 18446744073709551616\r\n", END),
    BAD("length 10 * (2^64 - 1)", ERR_LENGTH, LINE HOST "Content-Length: 184467440737095516150\r\n",
        END),
    BAD("SSTP with both", ERR_LENGTH, LINE HOST LENGTH "Transfer-Encoding: chunked\r\n" END, ""),
    BAD("both, not SSTP", ERR_LENGTH,
        "POST / HTTP/1.1\r\ntransfer-encoding: gzip\r\nContent-Length: 1\r\n" HOST END, "x"),
    BAD("chunks in HTTP/1.0", ERR_LENGTH, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n" END,
        ""),
};

static void good_requests(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        const struct good *g = &good[i];
        struct span in = octets_copy(span_of(g->text, g->n + strlen(g->text + g->n)));
        struct http_request r;

        print_message("%s\n", g->name);
        assert_int_equal(http_request_parse(in, &r), ERR_OK);
        assert_int_equal(r.len, g->n);
        assert_int_equal(r.sstp, g->sstp);
        assert_int_equal(r.is_head, g->is_head);
        assert_int_equal(r.flaw, g->flaw);
        assert_text(r.host, g->host);
        assert_text(r.tenant, g->tenant);
        assert_text(r.correlation, g->correlation);
        octets_free(in);
    }
}

/* Each beginning of a head needs more octets; the head alone is enough. */
static void good_requests_split(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        const struct good *g = &good[i];

        print_message("%s\n", g->name);
        for (size_t cut = 0; cut <= g->n; cut++) {
            struct span in = octets_copy(span_of(g->text, cut));
            struct http_request r;
            assert_int_equal(http_request_parse(in, &r), cut < g->n ? ERR_MORE : ERR_OK);
            if (cut == g->n) {
                assert_int_equal(r.len, g->n);
                assert_int_equal(r.sstp, g->sstp);
                assert_text(r.host, g->host);
            }
            octets_free(in);
        }
    }
}

/* Each beginning of a request with SSTP's method and URI may become SSTP, and nothing else may. */
static void may_be_sstp(void **state)
{
    static const char request[] = LINE HOST LENGTH END, empty_line[] = END LINE HOST LENGTH END;
    static const char *const others[] = {"G",  "SSTP_DUPLEX_POST/", "SSTP_DUPLEX_POSt", "\n",
                                         " S", "\r\n\r\n",          "\x16\x03\x01\x02", "\rS",
                                         "S_", "sstp_duplex_post ", "\r\nGET"};
    static const char *const other_targets[] = {" ",
                                                "x",
                                                "%2f",
                                                "/x",
                                                "/sra_{BA195980-CD49-458b-9E23-C84EE0ADCD76",
                                                "/%zz",
                                                "/sra_ ",
                                                "/sra_?",
                                                "/sra_% ",
                                                PATH "x",
                                                PATH "%",
                                                "https://vpn.example.com" PATH};
    static const char *const targets[] = {"",       "/",  "/%",      "/%5",          "/%73",
                                          "/SRA_{", PATH, PATH "?x", PATH " HTTP/9", PATH "?x y"};
    char line[128];

    (void)state;
    for (size_t i = 0; i < sizeof other_targets / sizeof *other_targets; i++) {
        snprintf(line, sizeof line, "SSTP_DUPLEX_POST %s", other_targets[i]);
        assert_false(http_request_may_be_sstp(span_str(line)));
    }
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        snprintf(line, sizeof line, "SSTP_DUPLEX_POST %s", targets[i]);
        assert_true(http_request_may_be_sstp(span_str(line)));
    }
    for (size_t n = 0; n < sizeof request; n++)
        assert_true(http_request_may_be_sstp(span_of(request, n)));
    for (size_t n = 0; n < sizeof empty_line; n++)
        assert_true(http_request_may_be_sstp(span_of(empty_line, n)));
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_false(http_request_may_be_sstp(span_str(others[i])));
}

/* HEAD for SSTP's URI gets an answer of the gate, so its beginnings may become one, too. */
static void may_be_a_check(void **state)
{
    static const char request[] = "HEAD " PATH " HTTP/1.1\r\n" HOST END;
    static const char *const others[] = {"GET ",    "head",           "HEAD  ",
                                         "HEAD /x", "HEAD " PATH "x", "POST"};
    static const struct {
        const char *in;
        bool may_be;
    } asks[] = {
        {"", true},
        {"\r", true},
        {"\r\nG", true},
        {"HEAD /health", true},
        {"GET /health", true},
        {"GET /healthz", true},
        {"GET /healthz?", true},
        {"GET /healthz H", true},
        {"get ", false},
        {"GET /healthzz", false},
        {"GET /healty", false},
        {"GET /health ", false},
        {"GET /health?", false},
        {"GET /%68ealthz", false},
        {"POST /healthz", false},
    };

    (void)state;
    for (size_t n = 0; n < sizeof request; n++)
        assert_true(http_request_may_be_sstp(span_of(request, n)));
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_false(http_request_may_be_sstp(span_str(others[i])));
    for (size_t i = 0; i < sizeof asks / sizeof *asks; i++)
        if (http_request_may_ask_for(span_str(asks[i].in), span_str("/healthz")) != asks[i].may_be)
            fail_msg("%s", asks[i].in);
}

/* The URI counts with any method; with a tenant that no rule could judge it is another URI. */
static void uri_of_sstp(void **state)
{
    static const struct {
        const char *target;
        bool is_sstp;
    } cases[] = {
        {PATH, true}, {PATH "?tenantid=t", true}, {PATH "?tenantid=%zz", false}, {"/", false}};
    struct http_request r;
    char text[256];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(text, sizeof text, "GET %s HTTP/1.0\r\n\r\n", cases[i].target);
        assert_int_equal(http_request_parse(span_str(text), &r), ERR_OK);
        assert_int_equal(r.uri_is_sstp, cases[i].is_sstp);
        assert_true(r.is_get && !r.is_head && !r.sstp);
        assert_int_equal(r.path.n, strcspn(cases[i].target, "?"));
    }
}

static void bad_requests_split(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const struct bad *b = &bad[i];

        print_message("%s\n", b->name);
        for (size_t cut = 0; cut <= b->n; cut++) {
            struct span in = octets_copy(span_of(b->text, cut));
            struct http_request r;
            assert_int_equal(http_request_parse(in, &r), cut < b->refused_at ? ERR_MORE : b->err);
            octets_free(in);
        }
    }
}

/* Returns a head of n octets, which ends amid a line, and rest. */
static struct span long_request(size_t n, const char *rest)
{
    static const char begin[] = LINE HOST LENGTH "X: ";
    uint8_t *p = malloc(n + strlen(rest));

    assert_non_null(p);
    memset(p, 'x', n);
    memcpy(p, begin, sizeof begin - 1);
    memcpy(p + n, rest, strlen(rest));
    return span_of(p, n + strlen(rest));
}

static void request_limit(void **state)
{
    struct http_request r;

    (void)state;
    struct span in = long_request(HTTP_HEAD_MAX - 4, "\r\n\r\nbehind");
    assert_int_equal(http_request_parse(in, &r), ERR_OK);
    assert_int_equal(r.len, HTTP_HEAD_MAX);
    in.n = HTTP_HEAD_MAX - 1;
    assert_int_equal(http_request_parse(in, &r), ERR_MORE);
    octets_free(in);

    in = long_request(HTTP_HEAD_MAX - 3, "\r\n\r\nbehind");
    for (size_t cut = HTTP_HEAD_MAX - 8; cut <= in.n; cut++)
        assert_int_equal(http_request_parse(span_sub(in, 0, cut), &r),
                         cut < HTTP_HEAD_MAX ? ERR_MORE : ERR_TOO_LARGE);
    octets_free(in);

    /* an error inside the limit is reported, an error behind it is not reached */
    in = long_request(HTTP_HEAD_MAX - 1, "\n");
    assert_int_equal(http_request_parse(in, &r), ERR_SYNTAX);
    octets_free(in);
    in = long_request(HTTP_HEAD_MAX, "\n");
    assert_int_equal(http_request_parse(in, &r), ERR_TOO_LARGE);
    octets_free(in);
}

static void host_limit(void **state)
{
    char name[HTTP_HOST_MAX + 2], text[1024];
    struct http_request r;

    (void)state;
    memset(name, 'a', sizeof name);
    name[HTTP_HOST_MAX] = '\0';
    snprintf(text, sizeof text, LINE "Host: %s:65535\r\n" LENGTH END, name);
    assert_int_equal(http_request_parse(span_str(text), &r), ERR_OK);
    assert_int_equal(r.host.n, HTTP_HOST_MAX);

    name[HTTP_HOST_MAX] = 'a';
    name[HTTP_HOST_MAX + 1] = '\0';
    snprintf(text, sizeof text, LINE "Host: %s\r\n" LENGTH END, name);
    assert_int_equal(http_request_parse(span_str(text), &r), ERR_SYNTAX);
}

/* The first of two correlations is kept, and the result of a refused request is empty. */
static void fields_kept(void **state)
{
    struct http_request r;

    (void)state;
    assert_int_equal(http_request_parse(span_str(LINE HOST LENGTH "SSTPCORRELATIONID: a\r\n"
                                                                  "SSTPCORRELATIONID: b\r\n" END),
                                        &r),
                     ERR_OK);
    assert_text(r.correlation, "a");
    assert_text(r.method, "SSTP_DUPLEX_POST");
    assert_text(r.target, PATH);
    assert_int_equal(http_request_parse(span_str(LINE HOST LENGTH HOST), &r), ERR_DUPLICATE);
    assert_false(r.sstp);
    assert_int_equal(r.len, 0);
}

/* A rule must not judge a tenant that is too long to be sent to the backend. */
static void too_long_a_tenant_is_not_sstp(void **state)
{
    char request[1024];
    struct http_request r;

    (void)state;
    for (int n = HTTP_TENANT_MAX; n <= HTTP_TENANT_MAX + 1; n++) {
        const int len =
            snprintf(request, sizeof request,
                     "SSTP_DUPLEX_POST " PATH "?tenantid=%0*d HTTP/1.1\r\n" HOST LENGTH END, n, 7);
        assert_int_equal(http_request_parse(span_of(request, (size_t)len), &r), ERR_OK);
        assert_int_equal(r.sstp, n == HTTP_TENANT_MAX);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_requests), cmocka_unit_test(good_requests_split),
        cmocka_unit_test(may_be_sstp),   cmocka_unit_test(may_be_a_check),
        cmocka_unit_test(uri_of_sstp),   cmocka_unit_test(bad_requests_split),
        cmocka_unit_test(request_limit), cmocka_unit_test(host_limit),
        cmocka_unit_test(fields_kept),   cmocka_unit_test(too_long_a_tenant_is_not_sstp),
    };
    return cmocka_run_group_tests_name("http_request", tests, NULL, NULL);
}
