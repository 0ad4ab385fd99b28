#include "wire/client_hello.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

#include "wire_octets.h"

enum { HELLO_MAX = 2 * CLIENT_HELLO_MAX };

/* ---- a message, built from its parts ---- */

struct part {
    const char *octets;
    size_t n;
};

/* Members of a struct part. */
#define PART(text) text, sizeof(text) - 1

/* The parts of extensions: type, length, content. */
#define SNI(list) "\x00\x00\x00" list
#define NAMED SNI("\x0d\x00\x0b\x00\x00\x08vpn.test")
#define GROUPS "\x00\x0a\x00\x04\x00\x02\x00\x1d"
#define ALPN(list) "\x00\x10\x00" list
#define ACME                                                                                       \
    ALPN("\x0d\x00\x0b\x0a"                                                                        \
         "acme-tls/1")
#define HTTP                                                                                       \
    ALPN("\x0b\x00\x09\x08"                                                                        \
         "http/1.1")

static size_t put(uint8_t *out, size_t at, const void *octets, size_t n)
{
    memcpy(out + at, octets, n);
    return at + n;
}

/* Writes the message, without records. NULL extensions: the message ends before them. */
static size_t message_build(uint8_t *out, struct part extensions)
{
    static const uint8_t random[32] = {1, 2, 3};
    size_t n = put(out, 4, "\x03\x03", 2);

    n = put(out, n, random, sizeof random);
    n = put(out, n, "\x04SESS\x00\x04\x13\x01\x13\x03\x01\x00", 13);
    if (extensions.octets != NULL) {
        out[n++] = (uint8_t)(extensions.n >> 8);
        out[n++] = (uint8_t)extensions.n;
        n = put(out, n, extensions.octets, extensions.n);
    }
    out[0] = 1;
    out[1] = 0;
    out[2] = (uint8_t)((n - 4) >> 8);
    out[3] = (uint8_t)(n - 4);
    return n;
}

/* Cuts a message into records of at most `most` bytes each. */
static size_t records_build(uint8_t *out, const uint8_t *message, size_t n, size_t most)
{
    size_t len = 0;

    for (size_t at = 0; at < n;) {
        const size_t piece = n - at < most ? n - at : most;
        len = put(out, len, "\x16\x03\x01", 3);
        out[len++] = (uint8_t)(piece >> 8);
        out[len++] = (uint8_t)piece;
        len = put(out, len, message + at, piece);
        at += piece;
    }
    return len;
}

static size_t hello_build(uint8_t *out, struct part extensions, size_t most)
{
    uint8_t message[HELLO_MAX];

    return records_build(out, message, message_build(message, extensions), most);
}

/* ---- good messages ---- */

static const struct good {
    const char *what;
    struct part extensions;
    bool acme;
    const char *name;
} good[] = {
    {"no extensions", {NULL, 0}, false, ""},
    {"empty extensions", {PART("")}, false, ""},
    {"a validator", {PART(NAMED GROUPS ACME)}, true, "vpn.test"},
    {"acme-tls/1 first", {PART(ACME NAMED)}, true, "vpn.test"},
    {"acme-tls/1 without a name", {PART(ACME)}, true, ""},
    {"http/1.1", {PART(NAMED HTTP GROUPS)}, false, "vpn.test"},
    {"no protocols", {PART(NAMED GROUPS)}, false, "vpn.test"},
    {"acme-tls/1 and another",
     {PART(ALPN("\x10\x00\x0e\x0a"
                "acme-tls/1\x02h2"))},
     false,
     ""},
    {"another and acme-tls/1",
     {PART(ALPN("\x10\x00\x0e\x02h2\x0a"
                "acme-tls/1"))},
     false,
     ""},
    {"twice",
     {PART(ALPN("\x18\x00\x16\x0a"
                "acme-tls/1\x0a"
                "acme-tls/1"))},
     false,
     ""},
    {"a longer name",
     {PART(ALPN("\x0e\x00\x0c\x0b"
                "acme-tls/1x"))},
     false,
     ""},
    {"a shorter name",
     {PART(ALPN("\x0c\x00\x0a\x09"
                "acme-tls/"))},
     false,
     ""},
    {"another case",
     {PART(ALPN("\x0d\x00\x0b\x0a"
                "ACME-TLS/1"))},
     false,
     ""},
    {"another version",
     {PART(ALPN("\x0d\x00\x0b\x0a"
                "acme-tls/2"))},
     false,
     ""},
    {"an unknown extension with the text",
     {PART("\xfa\xfa\x00\x0a"
           "acme-tls/1")},
     false,
     ""},
    {"two names",
     {PART(SNI("\x0c\x00\x0a\x00\x00\x01"
               "a\x00\x00\x03"
               "b.c"))},
     false,
     "a"},
};

static void assert_good(const struct good *g, struct span in, size_t len)
{
    struct client_hello hello;

    assert_int_equal(client_hello_parse(in, &hello), ERR_OK);
    assert_int_equal(hello.len, len);
    assert_int_equal(hello.acme, g->acme);
    assert_int_equal(hello.name_len, strlen(g->name));
    assert_memory_equal(hello.name, g->name, hello.name_len);
}

/* Every cut, in records of every size from one byte on, with and without bytes behind the
 * message. */
static void good_hellos_split(void **state)
{
    (void)state;
    static const size_t most[] = {16384, 1, 2, 3, 5, 7, 16, 50};
    uint8_t octets[HELLO_MAX];

    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        for (size_t k = 0; k < sizeof most / sizeof *most; k++) {
            const size_t len = hello_build(octets, good[i].extensions, most[k]);
            print_message("%s, %zu\n", good[i].what, most[k]);
            memcpy(octets + len, "\x14\x03\x03", 3);
            for (size_t cut = 0; cut <= len + 3; cut++) {
                struct span in = octets_copy(span_of(octets, cut));
                struct client_hello hello;
                if (cut < len)
                    assert_int_equal(client_hello_parse(in, &hello), ERR_MORE);
                else
                    assert_good(&good[i], in, len);
                octets_free(in);
            }
        }
}

/* ---- bad messages ---- */

/* An error is found at the first byte that shows it, and stays. */
static void assert_bad(const char *what, const uint8_t *octets, size_t n, enum err want)
{
    bool found = false;

    for (size_t cut = 0; cut <= n; cut++) {
        struct span in = octets_copy(span_of(octets, cut));
        struct client_hello hello;
        const enum err e = client_hello_parse(in, &hello);
        if (e != want && (found || e != ERR_MORE))
            fail_msg("%s: %d after %zu bytes", what, e, cut);
        found = e == want;
        octets_free(in);
    }
    if (!found)
        fail_msg("%s: not found", what);
}

static void bad_extensions(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        struct part extensions;
    } bad[] = {
        {"half an extension", {PART("\x00\x10\x00")}},
        {"an extension beyond the end", {PART("\x00\x0a\x00\x05\x00\x02\x00\x1d")}},
        {"protocols twice", {PART(ACME ACME)}},
        {"names twice", {PART(NAMED NAMED)}},
        {"no list of protocols", {PART(ALPN("\x00"))}},
        {"an empty list of protocols", {PART(ALPN("\x02\x00\x00"))}},
        {"an empty protocol", {PART(ALPN("\x03\x00\x01\x00"))}},
        {"a protocol beyond its list",
         {PART(ALPN("\x0d\x00\x0b\x0b"
                    "acme-tls/1"))}},
        {"a list shorter than its extension",
         {PART(ALPN("\x0e\x00\x0b\x0a"
                    "acme-tls/1x"))}},
        {"a list longer than its extension",
         {PART(ALPN("\x0c\x00\x0b\x0a"
                    "acme-tls/"))}},
        {"no name in the list", {PART(SNI("\x02\x00\x00"))}},
        {"an empty name", {PART(SNI("\x05\x00\x03\x00\x00\x00"))}},
        {"another kind of name",
         {PART(SNI("\x06\x00\x04\x01\x00\x01"
                   "a"))}},
        {"a name beyond its list",
         {PART(SNI("\x06\x00\x04\x00\x00\x02"
                   "a"))}},
    };
    uint8_t octets[HELLO_MAX];

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_bad(bad[i].what, octets, hello_build(octets, bad[i].extensions, 16384), ERR_SYNTAX);
        assert_bad(bad[i].what, octets, hello_build(octets, bad[i].extensions, 3), ERR_SYNTAX);
    }
}

/* Replaces one byte of a good hello. */
static void bad_bytes(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        size_t at;
        uint8_t byte;
    } bad[] = {
        {"another record", 0, 23},
        {"SSL 2", 0, 0x80},
        {"a request of HTTP", 0, 'G'},
        {"another major version of the record", 1, 2},
        {"a record above the limit", 3, 0x41},
        {"another message", 5, 2},
        {"another major version", 9, 2},
        {"a long session", 43, 33},
        {"a message that is too short", 8, 0x20},
    };
    static const struct part extensions = {PART(NAMED ACME)};
    uint8_t octets[HELLO_MAX];

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const size_t n = hello_build(octets, extensions, 16384);
        octets[bad[i].at] = bad[i].byte;
        assert_bad(bad[i].what, octets, n, ERR_SYNTAX);
    }
    const size_t n = hello_build(octets, extensions, 16384);
    octets[3] = octets[4] = 0;
    assert_bad("an empty record", octets, n, ERR_SYNTAX);
}

static void other_record_inside(void **state)
{
    (void)state;
    static const struct part extensions = {PART(ACME)};
    uint8_t octets[HELLO_MAX];
    const size_t n = hello_build(octets, extensions, 20);

    octets[25] = 21; /* the type of the second record */
    assert_bad("an alert inside", octets, n, ERR_SYNTAX);
}

/* ---- the limit ---- */

static void the_limit_includes_the_records(void **state)
{
    (void)state;
    static char filler[HELLO_MAX];
    static uint8_t octets[HELLO_MAX];
    const size_t head = 5 + 4 + 2 + 32 + 13 + 2, n = CLIENT_HELLO_MAX - head - 4;
    struct client_hello hello;

    filler[0] = (char)0xfa, filler[1] = (char)0xfa;
    filler[2] = (char)(n >> 8), filler[3] = (char)n;
    size_t len = hello_build(octets, (struct part){filler, n + 4}, 16384);
    assert_int_equal(len, CLIENT_HELLO_MAX);
    assert_int_equal(client_hello_parse(span_of(octets, len), &hello), ERR_OK);
    len = hello_build(octets, (struct part){filler, n + 4}, 100); /* more records */
    assert_int_equal(client_hello_parse(span_of(octets, CLIENT_HELLO_MAX - 1), &hello), ERR_MORE);
    assert_int_equal(client_hello_parse(span_of(octets, CLIENT_HELLO_MAX), &hello), ERR_TOO_LARGE);
    assert_int_equal(client_hello_parse(span_of(octets, len), &hello), ERR_TOO_LARGE);
}

/* A length above the limit is refused before the bytes are there. */
static void a_long_message_is_refused_at_once(void **state)
{
    (void)state;
    static const uint8_t octets[] = {22, 3, 1, 0x40, 0, 1, 0, 0x20, 1};
    assert_bad("long", octets, sizeof octets, ERR_TOO_LARGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_hellos_split),
        cmocka_unit_test(bad_extensions),
        cmocka_unit_test(bad_bytes),
        cmocka_unit_test(other_record_inside),
        cmocka_unit_test(the_limit_includes_the_records),
        cmocka_unit_test(a_long_message_is_refused_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
