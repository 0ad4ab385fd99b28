/* The input is parsed as a request. */
#include "http_blocks.h"
#include "wire/http_request.h"
#include "wire/http_uri.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool inside(struct span part, struct span whole)
{
    return part.n == 0 || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n);
}

static bool known_answer(enum err e)
{
    return e == ERR_OK || e == ERR_MORE || e == ERR_SYNTAX || e == ERR_TOO_LARGE ||
           e == ERR_VERSION || e == ERR_LENGTH || e == ERR_DUPLICATE || e == ERR_MISSING;
}

/* The conditions for a head that http_request_parse accepts, written independently. */
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
    enum err e = http_request_parse(in, &r);

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
        enum err early = http_request_parse(begin, &again);
        INSIST(early == ERR_MORE || early == e);
        INSIST(e != ERR_OK || !(r.sstp || (r.is_head && r.uri_is_sstp)) ||
               http_request_may_be_sstp(begin));
        INSIST(e != ERR_OK || !(r.is_get || r.is_head) || r.path.n == 0 ||
               http_request_may_ask_for(begin, r.path));
        INSIST(early != ERR_OK || (again.len == r.len && again.sstp == r.sstp));
        INSIST(e != ERR_OK || (early == ERR_OK) == (cut >= r.len));
        free_copy(begin);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span in = copy_of(span_of(data, size));

    check_request(in);
    free_copy(in);
    return 0;
}
