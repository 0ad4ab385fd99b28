/* The first byte is the size of the pieces in which the rest, answers of a store, arrives. The
 * values must be the same as in one piece, and stay within their bounds. */
#include <stdio.h>
#include <stdlib.h>

#include "base/insist.h"
#include "shared/shared_reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { DEPTH_MAX = 16 };

/* Writes a value, and returns the number of values in it. */
static size_t print(FILE *out, const struct shared_reply *a, unsigned depth)
{
    const struct span text = shared_reply_text(a), error = shared_reply_error(a);
    size_t values = 1;

    INSIST(depth < DEPTH_MAX);
    INSIST(text.n == 0 || text.p[text.n] == '\0');
    fprintf(out, "%zu %zu %lld %zu\n", text.n, error.n, (long long)shared_reply_number(a, -1),
            shared_reply_count(a));
    fwrite(text.p, 1, text.n, out);
    fwrite(error.p, 1, error.n, out);
    for (size_t i = 0; i < shared_reply_count(a); i++)
        values += print(out, shared_reply_item(a, i), depth + 1);
    return values;
}

/* Returns what is in the bytes, as text, up to an error. piece: bytes that arrive at a time. */
static char *read_all(struct span in, size_t piece, size_t *len)
{
    struct shared_replies *r = shared_replies_new();
    char *text = NULL;
    FILE *out = insist_alloc(open_memstream(&text, len));
    enum err e = ERR_MORE;

    for (size_t at = 0; at < in.n && e == ERR_MORE; at += piece) {
        struct shared_reply *a = NULL;
        shared_replies_feed(r, span_sub(in, at, piece));
        while ((e = shared_replies_next(r, &a)) == ERR_OK) {
            INSIST(print(out, a, 0) <= SHARED_REPLY_ITEMS);
            shared_reply_free(a);
            a = NULL;
        }
    }
    if (e != ERR_MORE)
        fputs("failed", out);
    fclose(out);
    shared_replies_free(r);
    return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    const struct span in = span_of(data + 1, size - 1);
    size_t whole_len, cut_len;
    char *whole = read_all(in, in.n, &whole_len), *cut = read_all(in, data[0] + 1u, &cut_len);

    INSIST(whole_len == cut_len && memcmp(whole, cut, whole_len) == 0);
    free(whole);
    free(cut);
    return 0;
}
