#include "users/import_accel.h"

#include "base/ascii.h"

struct accel_reader {
    struct span rest;
    struct import_accel *out;
    size_t n; /* of out->bytes */
};

static void take_byte(struct accel_reader *r)
{
    r->out->bytes[r->n++] = r->rest.p[0];
    r->rest = span_from(r->rest, 1);
}

/* Reads the part of a word after its opening quote. */
static void read_quoted(struct accel_reader *r, uint8_t quote)
{
    while (r->rest.n > 0 && r->rest.p[0] != quote) {
        if (r->rest.p[0] == '\\' && r->rest.n > 1)
            r->rest = span_from(r->rest, 1);
        take_byte(r);
    }
    r->out->open |= r->rest.n == 0;
}

/* Reads a word, and the byte after it, which ends it. *ended: there was such a byte. */
static struct span read_word(struct accel_reader *r, bool *ended)
{
    const size_t from = r->n;
    const uint8_t first = r->rest.n == 0 ? 0 : r->rest.p[0];

    if (first == '"' || first == '\'') {
        r->rest = span_from(r->rest, 1);
        read_quoted(r, first);
    } else {
        while (r->rest.n > 0 && !ascii_is_blank(r->rest.p[0]))
            take_byte(r);
    }
    *ended = r->rest.n > 0;
    r->rest = span_from(r->rest, 1);
    while (r->rest.n > 0 && ascii_is_blank(r->rest.p[0]))
        r->rest = span_from(r->rest, 1);
    return span_of(r->out->bytes + from, r->n - from);
}

void import_accel_read(struct span line, bool ended, struct import_accel *out)
{
    struct accel_reader r = {.rest = line, .out = out};
    struct span word[3] = {{.n = 0}};
    bool more = line.n > 0;

    out->open = false;
    for (out->words = 0; out->words < 3 && more; out->words++) {
        word[out->words] = read_word(&r, &more);
        more = more && (r.rest.n > 0 || ended);
    }
    out->client = word[0];
    out->secret = word[2];
    out->words += out->words == 3 && more;
}
