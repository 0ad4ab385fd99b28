/* The input is used as the fields of a built request: the length of the host, the host, and the
 * rest as tenant and as correlation. */
#include "http_blocks.h"
#include "wire/http_build.h"
#include "wire/http_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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
    enum err e = http_request_parse(span_of(out, n), &r);
    INSIST(n == 0 || (e == ERR_OK && r.sstp && r.len == n) || e == ERR_SYNTAX);
    INSIST(e != ERR_OK || (r.correlation.n > 0) == (lines == 5));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span in = copy_of(span_of(data, size));

    check_build(in);
    free_copy(in);
    return 0;
}
