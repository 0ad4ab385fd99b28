/* http_fixture: heads and vectors for the tests of proxy/wire/http_*. To be included after
 * cmocka.h. */
#ifndef SSTPGATE_TESTS_HTTP_FIXTURE_H
#define SSTPGATE_TESTS_HTTP_FIXTURE_H

#include "base/err.h"
#include "wire_octets.h"

#define PATH "/sra_{BA195980-CD49-458b-9E23-C84EE0ADCD75}/"
#define LENGTH "Content-Length: 18446744073709551615\r\n"
#define HOST "Host: vpn.example.com\r\n"
#define LINE "SSTP_DUPLEX_POST " PATH " HTTP/1.1\r\n"
#define END "\r\n"

/* The name of a vector, its text, and the octets of its head; the text goes on behind the head. */
#define TEXT(name, head, behind) name, head behind, sizeof(head) - 1
#define WHOLE(name, head) TEXT(name, head, "")

/* Of `text`, the first `refused_at` octets are refused, and fewer are not. */
struct bad {
    const char *name;
    enum err err;
    const char *text;
    size_t n, refused_at;
};

/* clang-format off */ /* versions 14 and 19 lay out these braces in different ways */
#define BAD(name, err, upto, behind)                                                               \
    {                                                                                              \
        name, err, upto behind, sizeof(upto behind) - 1, sizeof(upto) - 1                          \
    }
/* clang-format on */

static inline void assert_text(struct span s, const char *want)
{
    if (want == NULL)
        want = "";
    assert_int_equal(s.n, strlen(want));
    assert_memory_equal(s.p == NULL ? (const void *)"" : s.p, want, s.n);
}

#endif
