#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "client/kind.h"

#define LENGTH "Content-Length: 18446744073709551615\r\n"
#define DATE "Date: Thu, 09 Nov 2006 00:51:09 GMT\r\n"
#define MICROSOFT "Server: Microsoft-HTTPAPI/2.0\r\n"

static const uint8_t plain_options[] = {1, 3, 5}, windows_options[] = {1, 3, 5, 13, 17, 19};

struct row {
    const char *head, *server;
    int mask; /* -1: no Ack */
    bool windows, magic_rejected, eap_first;
    unsigned head_status;
    enum kind kind;
    size_t evidence;
};

static const struct row rows[] = {
    /* PROTOCOL.md 1.4, 2.1, 4.1, 5.1 */
    {"HTTP/1.1 200 \r\n" LENGTH MICROSOFT DATE "\r\n", "Microsoft-HTTPAPI/2.0", 2, true, false,
     true, 401, KIND_RRAS, 3},
    {"HTTP/1.1 200\r\n" LENGTH MICROSOFT DATE "\r\n", "Microsoft-HTTPAPI/2.0", 3, false, false,
     false, 0, KIND_RRAS, 1},
    {"HTTP/1.1 200 OK\r\n" LENGTH MICROSOFT DATE "\r\n", "Microsoft-HTTPAPI/2.0", 2, false, true,
     true, 404, KIND_SOFTETHER, 4},
    {"HTTP/1.1 200 OK\r\n" DATE LENGTH "Connection: keep-alive\r\n\r\n", "", 3, false, false, false,
     501, KIND_ACCEL_PPP, 3},
    {"HTTP/1.1 200 OK\r\n" LENGTH "Server: SSTP-Server/0.6.0\r\n\r\n", "SSTP-Server/0.6.0", 0,
     false, false, false, KIND_HEAD_CLOSED, KIND_SORZ, 3},
    {"HTTP/1.1 200 \r\n" LENGTH "Server: MikroTik-SSTP\r\n" DATE "\r\n", "MikroTik-SSTP", 3, false,
     false, false, 0, KIND_ROUTEROS, 1},
    /* as much of one as of another, or too little */
    {"HTTP/1.1 200 OK\r\n" LENGTH MICROSOFT "\r\n", "Microsoft-HTTPAPI/2.0", 3, false, false, false,
     0, KIND_UNKNOWN, 0},
    {"HTTP/1.1 200 OK\r\n" LENGTH MICROSOFT "\r\n", "Microsoft-HTTPAPI/2.0", 3, true, false, false,
     404, KIND_UNKNOWN, 0},
    {"HTTP/1.1 200 OK\r\n" LENGTH "\r\n", "", 3, false, false, false, 404, KIND_UNKNOWN, 0},
    {"", "", -1, false, false, false, 0, KIND_UNKNOWN, 0},
};

static void kinds(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct row *r = &rows[i];
        const struct kind_facts facts = {.head = span_str(r->head),
                                         .server = r->server,
                                         .acknowledged = r->mask >= 0,
                                         .mask = (uint8_t)(r->mask < 0 ? 0 : r->mask),
                                         .options = r->windows ? windows_options : plain_options,
                                         .option_count = r->mask < 0  ? 0
                                                         : r->windows ? 6
                                                                      : 3,
                                         .lcp = r->mask >= 0,
                                         .magic_rejected = r->magic_rejected,
                                         .eap_first = r->eap_first,
                                         .head_status = r->head_status};
        struct kind_verdict v;

        print_message("# %zu\n", i);
        kind_find(&facts, &v);
        assert_string_equal(kind_name(v.kind), kind_name(r->kind));
        assert_int_equal(v.count, r->evidence);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(kinds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
