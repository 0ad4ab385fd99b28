/* The input is parsed as a response. */
#include "http_blocks.h"
#include "wire/http_response.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_response(struct span in)
{
    struct http_response r, again;
    enum err e = http_response_parse(in, &r);

    INSIST(e == ERR_OK || e == ERR_MORE || e == ERR_SYNTAX || e == ERR_VERSION ||
           e == ERR_TOO_LARGE);
    INSIST(e != ERR_MORE || in.n < HTTP_HEADS_MAX);
    INSIST(e != ERR_OK || (r.len <= in.n && r.len <= HTTP_HEADS_MAX));
    if (e == ERR_OK) {
        const struct span heads = span_sub(in, 0, r.len),
                          field = http_response_field(heads, "server");
        INSIST(field.n == 0 || (field.p >= heads.p && field.p + field.n <= heads.p + heads.n));
    }
    INSIST(e != ERR_OK || (r.status <= 999 && (r.status >= 200 || r.status == 101)));
    for (size_t cut = 0, step = in.n / CUTS + 1; cut < in.n; cut += step) {
        struct span begin = copy_of(span_sub(in, 0, cut));
        enum err early = http_response_parse(begin, &again);
        INSIST(early == ERR_MORE || early == e);
        INSIST(e != ERR_OK || (early == ERR_OK) == (cut >= r.len));
        free_copy(begin);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span in = copy_of(span_of(data, size));

    check_response(in);
    free_copy(in);
    return 0;
}
