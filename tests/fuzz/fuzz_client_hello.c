/* The input is parsed as the beginning of a TLS connection. */
#include "http_blocks.h"
#include "wire/client_hello.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_hello(struct span in)
{
    struct client_hello hello, again;
    const enum err e = client_hello_parse(in, &hello);

    INSIST(e == ERR_OK || e == ERR_MORE || e == ERR_SYNTAX || e == ERR_TOO_LARGE);
    INSIST(e != ERR_MORE || in.n < CLIENT_HELLO_MAX);
    INSIST(e != ERR_OK || (hello.len <= in.n && hello.len <= CLIENT_HELLO_MAX &&
                           hello.name_len <= CLIENT_HELLO_NAME_MAX));
    for (size_t cut = 0, step = in.n / CUTS + 1; cut < in.n; cut += step) {
        struct span begin = copy_of(span_sub(in, 0, cut));
        const enum err early = client_hello_parse(begin, &again);
        INSIST(early == ERR_MORE || early == e);
        INSIST(e != ERR_OK || (early == ERR_OK) == (cut >= hello.len));
        INSIST(early != ERR_OK || again.acme == hello.acme);
        free_copy(begin);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span in = copy_of(span_of(data, size));

    check_hello(in);
    free_copy(in);
    return 0;
}
