/* The debug lines about frames of PPP, read back from a file. */
#include "call/trace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

static char path[] = "/tmp/sstpgate-trace-XXXXXX";
static struct log_limit limit;

static int setup(void **state)
{
    (void)state;
    const int fd = mkstemp(path);
    return fd >= 0 && close(fd) == 0 ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    return unlink(path) == 0 && log_open("stderr", LOG_LEVEL_INFO, LOG_FORMAT_TEXT) == ERR_OK ? 0
                                                                                              : -1;
}

static void start(struct record *s)
{
    *s = (struct record){.listener = "l", .debug_lines = &limit};
    limit = (struct log_limit){0};
    assert_int_equal(truncate(path, 0), 0);
    assert_int_equal(log_open(path, LOG_LEVEL_DEBUG, LOG_FORMAT_TEXT), ERR_OK);
}

/* Returns the lines since the previous call, each from its `from` on. */
static const char *lines(void)
{
    static char text[1 << 20], out[1 << 20];
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    text[fread(text, 1, sizeof text - 1, f)] = '\0';
    fclose(f);
    assert_int_equal(truncate(path, 0), 0);
    out[0] = '\0';
    for (char *line, *rest = text; (line = strsep(&rest, "\n")) != NULL && *line != '\0';) {
        const char *from = strstr(line, " debug ppp id=0-0 listener=l client=- from=");
        assert_non_null(from);
        strcat(strcat(out, strstr(from, "from=")), "\n");
    }
    return out;
}

static void frame(struct record *s, enum ppp_from from, const char *octets, size_t n)
{
    trace_ppp(s, from, span_of(octets, n), "forwarded", 1000);
}
#define CLIENT(s, text) frame(s, PPP_FROM_CLIENT, text, sizeof text - 1)
#define SERVER(s, text) frame(s, PPP_FROM_SERVER, text, sizeof text - 1)

static void lcp_shows_its_options_and_its_end(void **state)
{
    (void)state;
    struct record s;
    start(&s);
    SERVER(&s, "\xff\x03\xc0\x21\x01\x07\x00\x15\x01\x04\x05\xdc\x03\x05\xc2\x23\x81\x05\x06"
               "abcd\x07\x02");
    CLIENT(&s, "\xff\x03\xc0\x21\x04\x07\x00\x06\x63\x02");
    CLIENT(&s, "\xff\x03\xc0\x21\x02\x08\x00\x09\x03\x05\xc2\x23\x81");
    CLIENT(&s, "\xff\x03\xc0\x21\x01\x01\x00\x04");
    SERVER(&s, "\xff\x03\xc0\x21\x02\x01\x00\x04");
    SERVER(&s, "\xff\x03\xc0\x21\x02\x01\x00\x04"); /* again */
    CLIENT(&s, "\xff\x03\xc0\x21\x09\x01\x00\x08qqqq");
    assert_string_equal(
        lines(),
        "from=server protocol=lcp code=configure-request packet=7 "
        "options=\"mru=1500,auth=ms-chapv2,magic,pfc\" verdict=forwarded\n"
        "from=client protocol=lcp code=configure-reject packet=7 options=99 verdict=forwarded\n"
        "from=client protocol=lcp code=configure-ack packet=8 options=\"auth=ms-chapv2\" "
        "verdict=forwarded\n"
        "from=client protocol=lcp code=configure-request packet=1 options=- verdict=forwarded\n"
        "from=server protocol=lcp code=configure-ack packet=1 options=- phase=open "
        "verdict=forwarded\n"
        "from=server protocol=lcp code=configure-ack packet=1 options=- verdict=forwarded\n");
}

static void a_phase_opens_again_after_another_request(void **state)
{
    (void)state;
    struct record s;
    start(&s);
    for (int i = 0; i < 2; i++) {
        CLIENT(&s, "\x80\x21\x01\x01\x00\x0a\x03\x06\0\0\0\0");
        SERVER(&s, "\x80\x21\x03\x01\x00\x0a\x03\x06\x0a\x00\x00\x07");
        SERVER(&s, "\x80\x21\x02\x02\x00\x0a\x03\x06\x0a\x00\x00\x07");
        CLIENT(&s, "\x80\x21\x02\x01\x00\x04");
        const char *text = lines();
        assert_non_null(strstr(text, "protocol=ipcp code=configure-nak packet=1 "
                                     "options=\"address=10.0.0.7\" verdict=forwarded\n"));
        assert_non_null(strstr(text, "from=client protocol=ipcp code=configure-ack packet=1 "
                                     "options=- phase=open verdict=forwarded\n"));
    }
    SERVER(&s, "\x80\x57\x02\x01\x00\x0e\x01\x0a\1\2\3\4\5\6\7\x08");
    CLIENT(&s, "\x80\x57\x02\x01\x00\x04");
    assert_string_equal(
        lines(), "from=server protocol=ip6cp code=configure-ack packet=1 options=interface-id "
                 "verdict=forwarded\n"
                 "from=client protocol=ip6cp code=configure-ack packet=1 options=- phase=open "
                 "verdict=forwarded\n");
}

/* Kinds only: every byte of a value is an 's'. */
static void an_authentication_shows_no_value(void **state)
{
    (void)state;
    struct record s;
    start(&s);
    SERVER(&s, "\xc2\x23\x01\x01\x00\x15\x10ssssssssssssssss");
    CLIENT(&s, "\xc2\x23\x02\x01\x00\x15\x10ssssssssssssssss");
    SERVER(&s, "\xc2\x23\x03\x01\x00\x08ssss");
    SERVER(&s, "\xc2\x23\x04\x01\x00\x08ssss");
    CLIENT(&s, "\xc0\x23\x01\x01\x00\x0c\x01s\x05sssss");
    SERVER(&s, "\xc0\x23\x02\x01\x00\x05\x00");
    SERVER(&s, "\xc2\x27\x01\x05\x00\x05\x01");
    CLIENT(&s, "\xc2\x27\x02\x05\x00\x09\x01ssss");
    CLIENT(&s, "\xc2\x27\x02\x06\x00\x09\x37ssss");
    SERVER(&s, "\xc2\x27\x03\x06\x00\x04");
    const char *text = lines();
    assert_null(strstr(text, "sss"));
    assert_string_equal(
        text,
        "from=server protocol=chap code=challenge packet=1 verdict=forwarded\n"
        "from=client protocol=chap code=response packet=1 verdict=forwarded\n"
        "from=server protocol=chap code=success packet=1 phase=authenticated verdict=forwarded\n"
        "from=server protocol=chap code=failure packet=1 verdict=forwarded\n"
        "from=client protocol=pap code=request packet=1 verdict=forwarded\n"
        "from=server protocol=pap code=ack packet=1 phase=authenticated verdict=forwarded\n"
        "from=server protocol=eap code=request packet=5 type=identity verdict=forwarded\n"
        "from=client protocol=eap code=response packet=5 type=identity verdict=forwarded\n"
        "from=client protocol=eap code=response packet=6 type=55 verdict=forwarded\n"
        "from=server protocol=eap code=success packet=6 phase=authenticated verdict=forwarded\n");
}

/* Cut at each position and with odd lengths: no byte behind the frame is read (the sanitizer would
 * see it), and an option that is cut ends the list. */
static void odd_frames(void **state)
{
    (void)state;
    static const char whole[] = "\xff\x03\x80\x21\x01\x01\x00\x10\x03\x06\x0a\x00\x00\x01\x81\x06"
                                "\x08\x08\x08\x08";
    static const char *const bad[] = {"\x80\x21\x01\x01\x00\x0c\x03\x00\x03\x01",
                                      "\x80\x21\x01\x01\xff\xff\x03\x06\1\2\3\4",
                                      "\x80\x21\x01\x01\x00\x02\x03\x06\1\2\3\4"};
    struct record s;
    start(&s);
    for (size_t n = 0; n < sizeof whole; n++) {
        char *copy = malloc(n + 1);
        assert_non_null(copy);
        memcpy(copy, whole, n);
        frame(&s, PPP_FROM_CLIENT, copy, n);
        free(copy);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        frame(&s, PPP_FROM_CLIENT, bad[i], 12);
    frame(&s, PPP_FROM_CLIENT, "\x00\x21\x45\x00\x00\x00", 6); /* network data */
    const char *text = lines();
    assert_non_null(strstr(text, "options=\"address=10.0.0.1,dns1=8.8.8.8\" "));
    assert_null(strstr(text, "phase="));
}

static void the_lines_are_limited(void **state)
{
    (void)state;
    struct record s;
    size_t count = 0;
    start(&s);
    for (int i = 0; i < 2 * TRACE_LINES_PER_SECOND; i++)
        CLIENT(&s, "\x80\x21\x01\x01\x00\x04");
    for (const char *at = lines(); (at = strchr(at, '\n')) != NULL; at++)
        count++;
    assert_int_equal(count, TRACE_LINES_PER_SECOND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lcp_shows_its_options_and_its_end),
        cmocka_unit_test(a_phase_opens_again_after_another_request),
        cmocka_unit_test(an_authentication_shows_no_value),
        cmocka_unit_test(odd_frames),
        cmocka_unit_test(the_lines_are_limited),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
