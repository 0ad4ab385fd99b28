/* The input is parsed as a request and as a response, and used as the fields of a built
 * request. */
#include <stdlib.h>

#include "base/insist.h"
#include "wire/http_head.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CUTS = 512 }; /* prefixes of a longer input that are tried */

/* Copies to a block of exactly this size, so that a sanitizer detects a read past its end. */
static struct span copy_of(struct span s)
{
    uint8_t *p = insist_alloc(malloc(s.n > 0 ? s.n : 1));

    if (s.n > 0)
        memcpy(p, s.p, s.n);
    return span_of(p, s.n);
}

static void free_copy(struct span s)
{
    free((void *)(uintptr_t)s.p);
}

static bool inside(struct span part, struct span whole)
{
    return part.n == 0 || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n);
}

static bool known_answer(enum err e)
{
    return e == ERR_OK || e == ERR_MORE || e == ERR_SYNTAX || e == ERR_TOO_LARGE ||
           e == ERR_VERSION || e == ERR_LENGTH || e == ERR_DUPLICATE || e == ERR_MISSING;
}

/* The conditions for a head that http_parse_request accepts, written independently. */
static void check_head(struct span head)
{
    INSIST(head.n <= HTTP_HEAD_MAX);
    INSIST(head.n >= 4 && memcmp(head.p + head.n - 4, "\r\n\r\n", 4) == 0);
    for (size_t i = 0; i < head.n; i++) {
        uint8_t c = head.p[i];
        INSIST(c != '\n' || (i > 0 && head.p[i - 1] == '\r'));
        INSIST(c != '\r' || head.p[i + 1] == '\n');
        INSIST(c >= 0x20 || c == '\t' || c == '\r' || c == '\n');
        INSIST(c != 0x7f);
        INSIST(i < 3 || head.p[i - 1] != '\n' || (c != ' ' && c != '\t'));
    }
}

static void check_request(struct span in)
{
    struct http_request r, again;
    enum err e = http_parse_request(in, &r);

    INSIST(known_answer(e));
    INSIST(e != ERR_MORE || in.n < HTTP_HEAD_MAX);
    if (e == ERR_OK) {
        INSIST(r.len <= in.n);
        struct span head = span_sub(in, 0, r.len);
        check_head(head);
        INSIST(inside(r.method, head) && inside(r.target, head) && inside(r.host, head) &&
               inside(r.tenant, r.target) && inside(r.correlation, head));
        INSIST(r.method.n > 0 && r.target.n > 0 && r.host.n <= HTTP_HOST_MAX);
        INSIST(!r.sstp || (r.host.n > 0 && span_eq(r.method, span_str("SSTP_DUPLEX_POST"))));
        INSIST(!r.sstp || !r.is_head);
        INSIST(!r.sstp || r.flaw == ERR_OK);
    }
    for (size_t cut = 0, step = in.n / CUTS + 1; cut < in.n; cut += step) {
        struct span begin = copy_of(span_sub(in, 0, cut));
        enum err early = http_parse_request(begin, &again);
        INSIST(early == ERR_MORE || early == e);
        INSIST(e != ERR_OK || !r.sstp || http_may_be_sstp(begin));
        INSIST(early != ERR_OK || (again.len == r.len && again.sstp == r.sstp));
        INSIST(e != ERR_OK || (early == ERR_OK) == (cut >= r.len));
        free_copy(begin);
    }
}

static void check_response(struct span in)
{
    struct http_response r, again;
    enum err e = http_parse_response(in, &r);

    INSIST(e == ERR_OK || e == ERR_MORE || e == ERR_SYNTAX || e == ERR_VERSION ||
           e == ERR_TOO_LARGE);
    INSIST(e != ERR_MORE || in.n < HTTP_HEAD_MAX);
    INSIST(e != ERR_OK || (r.len <= in.n && r.status >= 100 && r.status <= 999));
    for (size_t cut = 0, step = in.n / CUTS + 1; cut < in.n; cut += step) {
        struct span begin = copy_of(span_sub(in, 0, cut));
        enum err early = http_parse_response(begin, &again);
        INSIST(early == ERR_MORE || early == e);
        INSIST(e != ERR_OK || (early == ERR_OK) == (cut >= r.len));
        free_copy(begin);
    }
}

/* For any host, tenant and correlation, the built request has no additional line, and with a
 * host that the parser accepts it accepts the request. */
static void check_build(struct span in)
{
    uint8_t out[HTTP_BUILD_MAX];
    struct http_request r;
    size_t half = in.n > 0 ? in.p[0] : 0, lines = 0;

    in = in.n > 0 ? span_from(in, 1) : in;
    struct span rest = span_from(in, half);
    size_t n = http_build_request(out, span_sub(in, 0, half), rest, rest);
    INSIST(n <= sizeof out);
    for (size_t i = 0; i < n; i++)
        lines += out[i] == '\n';
    INSIST(n == 0 || lines == 4 || lines == 5);
    enum err e = http_parse_request(span_of(out, n), &r);
    INSIST(n == 0 || (e == ERR_OK && r.sstp && r.len == n) || e == ERR_SYNTAX);
    INSIST(e != ERR_OK || (r.correlation.n > 0) == (lines == 5));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span in = copy_of(span_of(data, size));

    check_request(in);
    check_response(in);
    check_build(in);
    free_copy(in);
    return 0;
}
