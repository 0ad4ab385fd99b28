/* The gate's records compared with OpenSSL's: the same records for both, the same results. */
#include "tls/records.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs the first four headers above it */
#include <cmocka.h>
#include <ctype.h>

#include "twins.h"

static void print_hex(const char *what, const struct bytes *b)
{
    fprintf(stderr, "%s:", what);
    for (size_t i = 0; i < b->n && i < 80; i++)
        fprintf(stderr, " %02x", b->p[i]);
    fprintf(stderr, "\n");
}

static int differences;

static void compare(struct twins *t, const char *name, const char *suite, bool server)
{
    const char *what = twins_differ(t);

    if (what == NULL)
        return;
    fprintf(stderr, "ours: %d '%s', OpenSSL: %d '%s'\n", (int)t->ours.last,
            tls_conn_error(t->ours.c), (int)t->model.last, tls_conn_error(t->model.c));
    print_hex("ours sent", &t->ours.sent);
    print_hex("OpenSSL sent", &t->model.sent);
    fprintf(stderr, "%s: %s, %s: %s differs\n", name, suite, server ? "server" : "client", what);
    differences++;
}

/* ---- records in the manner of tlsfuzzer ---- */

/* A case is a text: "TYPE:HEX" seals a record; "TYPE:HEX+N" with N bytes of padding; "*N" repeats
 * the record before it; "HEX*N" repeats bytes; "U" changes the peer's keys; "W" writes from here;
 * "C" sends close_notify from here; "R" rests; "L" are raw bytes that follow. Types: d, h, a, c, or
 * a number. */
static const struct {
    const char *name, *steps;
} cases[] = {
    {"data", "d:68656c6c6f d:20 d:77"},
    {"empty data", "d: d:61 d: d: d:62"},
    {"32 empty records", "d:*32 d:61"},
    {"33 empty records", "d:*33 d:61"},
    {"32 twice", "d:*32 d:61 d:*32 d:62"},
    {"padding", "d:61+1 d:62+100 d:+5 d:63"},
    {"33 padded empty records", "d:+9*33"},
    {"only padding", "0:+20"},
    {"the largest record", "D:16384"},
    {"the largest with padding", "D:16128+255 d:61"},
    {"a record of type 24", "24:01"},
    {"a record of type 0", "0:"},
    {"a record of type 255", "255:0102"},
    {"CCS", "c:01"},
    {"CCS between data", "d:61 c:01 d:62"},
    {"CCS of two bytes", "c:0101"},
    {"empty CCS", "c:"},
    /* alerts */
    {"close_notify", "d:61 a:0100 d:62"},
    {"fatal close_notify", "a:0200 d:61"},
    {"close_notify with level 0", "a:0000"},
    {"close_notify, then we write", "a:0100 W d:61 W"},
    {"close_notify in both directions", "C a:0100 d:61"},
    {"data after our close_notify", "C d:61 d:62"},
    {"user_canceled", "a:015a d:61"},
    {"user_canceled, fatal", "a:025a d:61"},
    {"four warnings", "a:015a*4 d:61 a:015a*4 d:62"},
    {"five warnings", "a:015a*5 d:61"},
    {"four warnings, close_notify", "a:015a*4 a:0100"},
    {"warnings and empty data", "a:015a*3 d: a:015a*2 d:61"},
    {"a warning without effect", "a:0129 d:61"},
    {"warning 112", "a:0170 d:61"},
    {"no_renegotiation", "a:0164 d:61"},
    {"no_renegotiation, level 3", "a:0364 d:61"},
    {"no_renegotiation, fatal", "a:0264 d:61"},
    {"an unknown level", "a:0300"},
    {"level 0", "a:0028"},
    {"handshake_failure", "d:61 a:0228 d:62"},
    {"bad_certificate", "a:022a"},
    {"unknown_ca", "a:0230"},
    {"access_denied as a warning", "a:0131 d:61"},
    {"an unknown alert", "a:02c8"},
    {"alert of one byte", "a:01"},
    {"alert of three bytes", "a:010000"},
    {"two alerts in a record", "a:01000100"},
    {"empty alert", "a:"},
    {"half an alert twice", "a:01 a:00"},
    {"padded alert", "a:0100+7"},
    {"fatal alert after our close_notify", "C a:0228"},
    /* KeyUpdate */
    {"KeyUpdate", "h:1800000100 U d:61 W"},
    {"KeyUpdate that asks", "h:1800000101 U d:61 W"},
    {"five that ask",
     "h:1800000101 U h:1800000101 U h:1800000101 U h:1800000101 U h:1800000101 U W d:61"},
    {"KeyUpdate and old keys", "h:1800000100 d:61"},
    {"KeyUpdate 2", "h:1800000102 d:61"},
    {"KeyUpdate 255", "h:18000001ff"},
    {"KeyUpdate without a body", "h:18000000"},
    {"KeyUpdate of two bytes", "h:180000020000"},
    {"KeyUpdate that is too long", "h:18ffffff"},
    {"KeyUpdate and more in its record", "h:180000010018"},
    {"two KeyUpdates in a record", "h:18000001001800000100"},
    {"bad KeyUpdate and more", "h:180000010218"},
    {"KeyUpdate in parts", "h:18 h:0000 h:01 h:01 U d:61 W"},
    {"KeyUpdate in two parts", "h:18000001 h:00 U d:61"},
    {"data in the head", "h:18 d:61"},
    {"data in the head 3", "h:180000 d:61 h:01"},
    {"empty data in the head", "h:1800 d: d:61"},
    {"data in the body", "h:18000001 d:61"},
    {"empty data in the body", "h:18000001 d: h:00"},
    {"close_notify in the head", "h:1800 a:0100"},
    {"close_notify in the body", "h:18000001 a:0100 d:61"},
    {"warning in the head", "h:1800 a:015a h:0001"},
    {"warning in the body", "h:18000001 a:015a h:00 U d:61"},
    {"CCS in the head", "h:1800 c:01"},
    {"CCS in the body", "h:18000001 c:01"},
    {"KeyUpdate after our close_notify", "C h:1800000100 U d:61"},
    {"KeyUpdate that asks after our close_notify", "C h:1800000101 U d:61"},
    {"two that ask after our close_notify", "C h:1800000101 U h:1800000101 U d:61"},
    {"one that asks, our close_notify, another", "h:1800000101 U C h:1800000100 U d:61"},
    {"one that asks, and our close_notify", "h:1800000101 U d:61 C"},
    {"three that ask, and rubbish", "h:1800000101 U h:1800000101 U h:1800000101 U 255:"},
    {"one that asks, a bad message", "h:1800000101 U h:63000000"},
    {"one that asks, half a message", "h:1800000101 U h:180000 W"},
    {"one that asks, a head", "h:1800000101 U h:18000001 h:00 U W d:61"},
    {"one that asks, one that does not", "h:1800000101 U h:1800000100 U W d:61 W"},
    {"one that asks, and a ticket", "h:1800000101 U h:0400000f00000e100000000001000001610000 d:61"},
    {"one that asks, a bad message, data", "h:1800000101 U h:63000000 d:61"},
    {"one that asks, a bad message, more", "h:1800000101 U h:63000000 h:01"},
    {"one that asks, a head, close_notify", "h:1800000101 U h:18000001 a:0100"},
    {"one that asks, a head, a write", "h:1800000101 U h:18000001 W h:00 U W d:61"},
    {"one that asks, a head, our close_notify", "h:1800000101 U h:18000001 C h:00 U d:61"},
    {"bad KeyUpdate after our close_notify", "C h:1800000105 d:61"},
    {"padded KeyUpdate", "h:1800000100+3 U d:61"},
    {"empty handshake record", "h: d:61"},
    {"empty handshake records", "h:*33"},
    {"empty handshake record in a message", "h:1800 h: h:000100"},
    {"KeyUpdate, rest", "h:1800000101 U R W d:61 R d:62"},
    /* tickets */
    {"ticket", "h:0400000f00000e100000000001000001610000 d:61"},
    {"ticket in a record", "h:0400000f00000e100000000001000001610000 d:61"},
    {"two tickets in a record",
     "h:0400000f00000e1000000000010000016100000400000f00000e100000000001000001610000 d:61"},
    {"ticket in parts", "h:0400000f h:00000e1000000000 h:01 h:000001 h:610000 d:61"},
    {"ticket, then KeyUpdate in a record",
     "h:0400000f00000e1000000000010000016100001800000100 U d:61"},
    {"empty ticket", "h:0400000e00000e1000000000010000000000 d:61"},
    {"ticket with early_data", "h:0400001700000e10000000000100000161 h:0008002a000400004000 d:61"},
    {"ticket with bad early_data",
     "h:0400001600000e10000000000100000161 h:0007002a0003000040 d:61"},
    {"ticket with early_data twice",
     "h:0400001f00000e100000000001000001610010002a000400004000002a000400004000 d:61"},
    {"ticket with an unknown extension", "h:0400001300000e100000000001000001610004fafa0000 d:61"},
    {"ticket with server_name", "h:0400001300000e10000000000100000161000400000000 d:61"},
    {"ticket with key_share", "h:0400001300000e10000000000100000161000400330000 d:61"},
    {"ticket with padding extension", "h:0400001300000e10000000000100000161000400150000 d:61"},
    {"ticket with extended_master_secret", "h:0400001300000e10000000000100000161000400170000 d:61"},
    {"ticket with signed_certificate_timestamp",
     "h:0400001300000e10000000000100000161000400120000 d:61"},
    {"ticket with a cut extension", "h:0400001200000e100000000001000001610003003300 d:61"},
    {"ticket with a cut extension 2", "h:0400001200000e100000000001000001610003002a00 d:61"},
    {"ticket without extensions", "h:0400000d00000e10000000000100000161 d:61"},
    {"ticket without extensions 2", "h:0400000d00000e10000000000100000161 d:61"},
    {"ticket with more behind", "h:0400001000000e10000000000100000161000000 d:61"},
    {"ticket of no bytes", "h:04000000 d:61"},
    {"ticket that is too long", "h:04ffffff"},
    {"ticket of 131338 bytes", "h:0402010a d:61"},
    {"ticket of 131339 bytes", "h:0402010b d:61"},
    {"ticket after our close_notify", "C h:0400000f00000e100000000001000001610000 d:61"},
    /* renegotiation, and messages that do not belong here */
    {"HelloRequest", "h:00000000 d:61 W"},
    {"two HelloRequests in a record", "h:0000000000000000 d:61"},
    {"HelloRequest with a body", "h:0000000100 d:61"},
    {"HelloRequest in parts", "h:00 d:61 h:0000 h:00 d:62"},
    {"ClientHello", "h:01000003aabbcc d:61 W"},
    {"empty ClientHello", "h:01000000 d:61"},
    {"ClientHello in parts", "h:0100 h:0003aabb h:cc d:61"},
    {"data in the head of a ClientHello", "h:010000 d:61 h:03aabbcc d:62"},
    {"data in a ClientHello", "h:01000003aa d:61 h:bbcc d:62"},
    {"warning in a ClientHello", "h:01000003aa a:0129 h:bbcc d:62"},
    {"ClientHello of 131396 bytes", "h:01020144 d:61"},
    {"ClientHello of 131397 bytes", "h:01020145 d:61"},
    {"ClientHello after our close_notify", "C h:01000003aabbcc d:61"},
    {"32 ClientHellos", "h:01000000*32 d:61"},
    {"33 ClientHellos", "h:01000000*33 d:61"},
    {"34 ClientHellos", "h:01000000*34 d:61"},
    {"ClientHellos and data", "h:01000000*30 d:61 h:01000000*30 d:62"},
    {"129 ClientHellos with writes",
     "h:01000000*30 W h:01000000*30 W h:01000000*30 W h:01000000*30 W "
     "h:01000000*8 W d:61 h:01000000 d:62"},
    {"ServerHello", "h:02000000"},
    {"EndOfEarlyData", "h:05000000"},
    {"EncryptedExtensions", "h:080000020000"},
    {"Certificate", "h:0b00000400000000"},
    {"CertificateRequest", "h:0d0000080000000401020304"},
    {"CertificateVerify", "h:0f000000"},
    {"Finished", "h:1400000c000000000000000000000000"},
    {"message_hash", "h:fe000000"},
    {"an unknown message", "h:63000000"},
    /* heads */
    {"a plaintext alert", "L15030300020228"},
    {"a plaintext warning", "L15030300020100"},
    {"plaintext data", "L170303000161"},
    {"an empty record without a tag", "L1703030000"},
    {"a head and no more", "L170303"},
    {"SSLv2", "L802e0100020015000000"},
    {"version 3.1", "L1703010011"},
    {"version 3.4", "L1703040011"},
    {"version 2.3", "L1702030011"},
    {"version 4.3", "L1704030011"},
    {"plaintext CCS", "L140303000101"},
    {"handshake type outside", "L1603030011"},
    {"heartbeat", "L1803030011"},
    {"16640 bytes", "L1703034100"},
    {"16641 bytes", "L1703034101"},
    {"16704 bytes", "L1703034140"},
    {"16705 bytes", "L1703034141"},
    {"65535 bytes", "L170303ffff"},
    {"HTTP", "L474554202f"},
    {"data, then rubbish", "d:61 L00000000000000"},
    {"rubbish after close_notify", "a:0100 L00000000000000"},
};

static uint8_t type_of(const char *s, char **end)
{
    *end = (char *)(uintptr_t)s + 1;
    switch (*s) {
    case 'd':
    case 'D': return RECORD_DATA;
    case 'h': return RECORD_HANDSHAKE;
    case 'a': return RECORD_ALERT;
    case 'c': return RECORD_CCS;
    default: return (uint8_t)strtoul(s, end, 10);
    }
}

static size_t hex_read(const char **s, uint8_t *out)
{
    size_t n = 0;

    for (; isxdigit((*s)[0]) && isxdigit((*s)[1]); *s += 2)
        out[n++] = (uint8_t)strtoul((char[]){(*s)[0], (*s)[1], '\0'}, NULL, 16);
    return n;
}

static void write_both(struct twins *t)
{
    const enum err a = tls_conn_write(t->ours.c, span_str("written")),
                   b = tls_conn_write(t->model.c, span_str("written"));
    /* OpenSSL cannot write in the middle of a message: see tls_conn_write */
    if (a != b)
        assert_non_null(strstr(tls_conn_error(t->model.c), "fragmented"));
}

/* Seals "TYPE:HEX+PADDING*TIMES". */
static const char *step_record(struct twins *t, const char *s)
{
    uint8_t plain[RECORD_PLAIN_MAX] = {0};
    const bool big = *s == 'D';
    char *end;
    const uint8_t type = type_of(s, &end);
    size_t n, padding = 0, times = 1;

    if (*end != ':')
        fail_msg("step '%s'", s);
    s = end + 1;
    if (big) {
        n = strtoul(s, &end, 10);
        s = end;
    } else {
        n = hex_read(&s, plain);
    }
    if (*s == '+')
        padding = strtoul(s + 1, &end, 10), s = end;
    if (*s == '*')
        times = strtoul(s + 1, &end, 10), s = end;
    for (size_t i = 0; i < times; i++)
        twins_seal(t, type, span_of(plain, n), padding);
    return s;
}

static const char *step(struct twins *t, const char *s, size_t piece, size_t cap)
{
    uint8_t raw[64];

    switch (*s) {
    case 'U':
        if (t->ours.tls13)
            twins_update(t);
        return s + 1;
    case 'L':
        s++;
        const size_t n = hex_read(&s, raw);
        bytes_add(&t->ours.to_c, span_of(raw, n));
        bytes_add(&t->model.to_c, span_of(raw, n));
        return s;
    case 'W':
    case 'C':
    case 'R':
        twins_feed(t, piece, cap);
        if (*s == 'W')
            write_both(t);
        else if (*s == 'C')
            tls_conn_shutdown(t->ours.c), tls_conn_shutdown(t->model.c);
        else
            tls_conn_rest(t->ours.c), tls_conn_rest(t->model.c);
        return s + 1;
    default: return step_record(t, s);
    }
}

static void play(struct twins *t, const char *steps, size_t piece, size_t cap)
{
    for (const char *s = steps; *s != '\0';)
        s = *s == ' ' ? s + 1 : step(t, s, piece, cap);
    twins_feed(t, piece, cap);
}

static void run(const char *name, const char *steps, const struct twins_suite *suite, bool server,
                size_t piece, size_t cap)
{
    struct twins t;

    twins_init(&t, suite, server);
    play(&t, steps, piece, cap);
    compare(&t, name, suite->name, server);
    twins_free(&t);
}

static void each_case_ends_as_with_openssl(void **state)
{
    (void)state;
    static const struct twins_suite *const suites[] = {&twins_suites[0], &twins_suites[3],
                                                       &twins_suites[5]};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t k = 0; k < 3; k++)
            for (int server = 0; server < 2; server++)
                run(cases[i].name, cases[i].steps, suites[k], server, SIZE_MAX, 20000);
    assert_int_equal(differences, 0);
}

/* Bytes one by one, and windows that end inside a head. */
static void cuts_change_nothing(void **state)
{
    (void)state;
    static const size_t pieces[] = {1, 3, 7, 23};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t k = 0; k < 4; k++)
            run(cases[i].name, cases[i].steps, &twins_suites[k % 2 == 0 ? 0 : 3], i % 2, pieces[k],
                k % 2 == 0 ? 20000 : 3);
    assert_int_equal(differences, 0);
}

/* Parts of a message are not counted as messages, however many arrive without data. */
static void parts_are_not_counted_as_messages(void **state)
{
    (void)state;
    static const struct {
        const char *steps;
        size_t suite;
        bool server;
    } rows[] = {
        {"h:01000100 h:00*256 d:61", 3, true},
        {"h:0400010d00000e1000000000000100 h:00*258 d:61", 0, false},
        {"h:18000001 h:00 U h:18000001 h:00 U h:18000001 h:00 U h:18000001 h:00 U "
         "h:18000001 h:00 U h:18000001 h:00 U h:18000001 h:00 U d:61",
         0, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct twins t;
        twins_init(&t, &twins_suites[rows[i].suite], rows[i].server);
        play(&t, rows[i].steps, 1, 64);
        compare(&t, rows[i].steps, twins_suites[rows[i].suite].name, rows[i].server);
        assert_int_equal(t.ours.last, ERR_MORE);
        assert_true(span_eq(bytes_span(&t.ours.text), span_str("a")));
        twins_free(&t);
    }
    assert_int_equal(differences, 0);
}

/* OpenSSL sends no close_notify there. */
static void reading_continues_after_close_notify_amid_a_message(void **state)
{
    (void)state;
    static const struct {
        const char *steps;
        size_t suite;
        bool server;
    } rows[] = {
        {"h:01000004aa C h:bbccdd d:61", 3, true}, {"h:01000004aa C d:61", 3, true},
        {"h:0100 C h:0000 d:61", 3, true},         {"h:18000001 C h:00 U d:61", 0, true},
        {"h:18000001 C h:00 U d:61", 0, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct twins t;
        twins_init(&t, &twins_suites[rows[i].suite], rows[i].server);
        play(&t, rows[i].steps, SIZE_MAX, 64);
        twin_note(&t.ours);
        if (t.ours.last != ERR_MORE || !span_eq(bytes_span(&t.ours.text), span_str("a")))
            fail_msg("'%s': %d '%s'", rows[i].steps, (int)t.ours.last, tls_conn_error(t.ours.c));
        assert_true(span_eq(bytes_span(&t.ours.sent), span_of("\x15\0\2\1\0", 5)));
        twins_free(&t);
    }
}

/* In the middle of a message OpenSSL reads before it writes. The bytes behind close_notify are no
 * longer the owner's by then. */
static void bytes_behind_close_notify_are_not_read_by_a_write(void **state)
{
    (void)state;
    static const struct {
        const char *steps;
        size_t suite;
        bool server;
    } rows[] = {
        {"h:18000001 a:0100 d:61", 0, true},
        {"h:18000001 a:0100 d:61", 0, false},
        {"h:01000004aa a:0100 d:61", 3, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct twins t;
        twins_init(&t, &twins_suites[rows[i].suite], rows[i].server);
        play(&t, rows[i].steps, SIZE_MAX, 64);
        assert_int_equal(t.model.last, ERR_CLOSED);
        assert_int_equal(tls_conn_write(t.model.c, span_str("x")), ERR_TLS);
        assert_string_equal(tls_conn_error(t.model.c),
                            "a fragmented handshake message during the transfer of data");
        twins_free(&t);
    }
}

/* Where versions of OpenSSL differ (twins.h), the gate has one result with all of them. */
static void results_do_not_depend_on_openssl(void **state)
{
    (void)state;
    static const struct {
        const char *steps;
        bool tls13;
        enum err last;
        int alert; /* -1: none */
    } rows[] = {
        {"a:015a*4 a:0100", true, ERR_CLOSED, -1},
        {"a:025a a:0100", true, ERR_CLOSED, -1},
        {"a:025a*5", true, ERR_TLS, SSL_AD_UNEXPECTED_MESSAGE},
        {"a:015a*4 a:0128", true, ERR_TLS, -1},
        {"a:015a*4 a:0100", false, ERR_TLS, SSL_AD_UNEXPECTED_MESSAGE},
        {"L140303000101", true, ERR_TLS, SSL_AD_UNEXPECTED_MESSAGE},
        {"L140303000101", false, ERR_TLS, SSL_AD_BAD_RECORD_MAC},
        {"L1703030000", false, ERR_TLS, SSL_AD_BAD_RECORD_MAC},
        {"L1703030000", true, ERR_TLS, SSL_AD_BAD_RECORD_MAC},
        {"L802e010002", true, ERR_TLS, SSL_AD_UNEXPECTED_MESSAGE},
        {"L474554202f", true, ERR_TLS, SSL_AD_UNEXPECTED_MESSAGE},
        {"L474554202f", false, ERR_TLS, SSL_AD_PROTOCOL_VERSION},
        {"L1702030011", true, ERR_TLS, SSL_AD_DECODE_ERROR},
    };
    for (size_t i = 0; i < 2 * sizeof rows / sizeof *rows; i++) {
        struct twins t;
        twins_init(&t, &twins_suites[rows[i / 2].tls13 ? 0 : 3], i % 2);
        play(&t, rows[i / 2].steps, SIZE_MAX, 20000);
        twin_note(&t.ours);
        const int alert = t.ours.sent.n == 0 ? -1 : t.ours.sent.p[t.ours.sent.n - 1];
        if (t.ours.last != rows[i / 2].last || alert != rows[i / 2].alert)
            fail_msg("'%s': %d, alert %d", rows[i / 2].steps, (int)t.ours.last, alert);
        twins_free(&t);
    }
}

/* One record has 4096 ClientHellos, and each needs an alert. A bad message may follow. */
static void one_record_causes_few_answers(void **state)
{
    (void)state;
    static const uint8_t hello[] = {1, 0, 0, 0}, bad[] = {99, 0, 0, 0};
    const size_t answer = 3 + 2; /* see twin_note */
    static uint8_t plain[RECORD_PLAIN_MAX];

    for (int i = 0; i < 2; i++) {
        struct twins t;

        for (size_t at = 0; at < sizeof plain; at += sizeof hello)
            memcpy(plain + at, hello, sizeof hello);
        if (i == 1)
            memcpy(plain + sizeof plain - sizeof bad, bad, sizeof bad);
        for (size_t k = 0; k < TWINS_SUITES; k++) {
            if (twins_suites[k].tls13)
                continue;
            twins_init(&t, &twins_suites[k], true);
            twins_seal(&t, RECORD_HANDSHAKE, span_of(plain, sizeof plain), 0);
            twins_feed(&t, SIZE_MAX, 64);
            compare(&t, "4096 ClientHellos", twins_suites[k].name, true);
            assert_int_equal(t.ours.last, ERR_TLS);
            assert_int_equal(t.ours.sent.n, (TLS_UNASKED_MAX + 1) * answer);
            twins_free(&t);
        }
    }
    assert_int_equal(differences, 0);
}

/* ---- KeyUpdates that the gate sends ---- */

struct manual {
    struct records *r;
    struct record_side *in, *out; /* the peer's */
    struct bytes sent;
};

static void manual_init(struct manual *m, uint64_t update_after)
{
    uint8_t a[32], b[32];

    memset(a, 'a', sizeof a);
    memset(b, 'b', sizeof b);
    *m = (struct manual){.in = record_side_13(0x1301, span_of(b, 32), 0),
                         .out = record_side_13(0x1301, span_of(a, 32), 0)};
    m->r = records_new(&(struct records_settings){.in = record_side_13(0x1301, span_of(a, 32), 0),
                                                  .out = record_side_13(0x1301, span_of(b, 32), 0),
                                                  .tls13 = true,
                                                  .update_after = update_after,
                                                  .sink = bytes_sink,
                                                  .arg = &m->sent});
}

static void manual_free(struct manual *m)
{
    records_free(m->r);
    record_side_free(m->in);
    record_side_free(m->out);
    bytes_free(&m->sent);
}

/* Writes once, and returns what came: "d" for data, "0" or "1" for a KeyUpdate with this value. */
static const char *written(struct manual *m)
{
    static char types[8];
    uint8_t out[64];
    enum record_type type;
    size_t n, used, k = 0;

    assert_int_equal(records_write(m->r, span_str("data")), ERR_OK);
    struct bytes b = bytes_taken(&m->sent);
    for (struct span s = bytes_span(&b); s.n > 0; s = span_from(s, used)) {
        assert_int_equal(record_open(m->in, s, out, &n, &type, &used), RECORD_OK);
        if (type == RECORD_HANDSHAKE)
            record_update(m->in);
        types[k++] = type == RECORD_DATA ? 'd' : (char)('0' + out[4]);
    }
    types[k] = '\0';
    free(b.p);
    return types;
}

static void peer_sends(struct manual *m, enum record_type type, struct span plain)
{
    uint8_t record[64], out[64];
    size_t n;

    records_feed(m->r, span_of(record, record_seal(m->out, type, plain, record)));
    const enum err e = records_read(m->r, out, sizeof out, &n);
    assert_int_equal(e, type == RECORD_DATA ? ERR_OK : ERR_MORE);
    if (e == ERR_OK)
        assert_int_equal(records_read(m->r, out, sizeof out, &n), ERR_MORE);
}

static void keys_change_in_time(void **state)
{
    (void)state;
    struct manual m;

    manual_init(&m, 3);
    for (int i = 0; i < 3; i++) {
        for (int k = 0; k < 3; k++)
            assert_string_equal(written(&m), i > 0 && k == 0 ? "0d" : "d");
    }
    manual_free(&m);
    manual_init(&m, 0);
    for (int i = 0; i < 100; i++)
        assert_string_equal(written(&m), "d");
    manual_free(&m);
}

/* The peer is asked once, until it has changed its key. */
static void the_peer_is_asked_once(void **state)
{
    (void)state;
    static const uint8_t update[] = {24, 0, 0, 1, 0};
    struct manual m;

    manual_init(&m, 3);
    for (int i = 0; i < 3; i++)
        peer_sends(&m, RECORD_DATA, span_str("x"));
    assert_string_equal(written(&m), "1d");
    assert_string_equal(written(&m), "d");
    peer_sends(&m, RECORD_DATA, span_str("x"));
    assert_string_equal(written(&m), "d");
    peer_sends(&m, RECORD_HANDSHAKE, span_of(update, sizeof update));
    record_update(m.out);
    for (int i = 0; i < 3; i++)
        peer_sends(&m, RECORD_DATA, span_str("x"));
    assert_string_equal(written(&m), "1d");
    manual_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_case_ends_as_with_openssl),
        cmocka_unit_test(cuts_change_nothing),
        cmocka_unit_test(parts_are_not_counted_as_messages),
        cmocka_unit_test(reading_continues_after_close_notify_amid_a_message),
        cmocka_unit_test(bytes_behind_close_notify_are_not_read_by_a_write),
        cmocka_unit_test(results_do_not_depend_on_openssl),
        cmocka_unit_test(one_record_causes_few_answers),
        cmocka_unit_test(keys_change_in_time),
        cmocka_unit_test(the_peer_is_asked_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
