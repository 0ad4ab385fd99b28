#include "base/fold.h"

#include "base/fold_table.h"

enum { RANGES = sizeof fold_ranges / sizeof *fold_ranges };

/* The bytes of a character in UTF-8 by its first byte (RFC 3629 4): their number, the bits of the
 * first one, and the smallest character, because a longer form than necessary is invalid. */
static const struct lead {
    uint8_t from, to, len, bits;
    uint32_t min;
} leads[] = {{0x00, 0x7f, 1, 0x7f, 0},
             {0xc2, 0xdf, 2, 0x1f, 0x80},
             {0xe0, 0xef, 3, 0x0f, 0x800},
             {0xf0, 0xf4, 4, 0x07, 0x10000}};

static const struct lead *lead_of(uint8_t c)
{
    for (size_t i = 0; i < sizeof leads / sizeof *leads; i++)
        if (c >= leads[i].from && c <= leads[i].to)
            return &leads[i];
    return NULL;
}

int32_t fold_decode(struct span text, size_t *len)
{
    const struct lead *lead = lead_of(text.p[0]);

    *len = 1;
    if (lead == NULL || text.n < lead->len)
        return -1;
    uint32_t c = text.p[0] & lead->bits;
    for (size_t i = 1; i < lead->len; i++) {
        if ((text.p[i] & 0xc0) != 0x80)
            return -1;
        c = c << 6 | (text.p[i] & 0x3f);
    }
    if (c < lead->min || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
        return -1;
    *len = lead->len;
    return (int32_t)c;
}

static size_t encode(uint32_t c, uint8_t *out)
{
    if (c < 0x80) {
        out[0] = (uint8_t)c;
        return 1;
    }
    const size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--, c >>= 6)
        out[i] = (uint8_t)(0x80 | (c & 0x3f));
    out[0] = (uint8_t)((0xf00 >> n) | c);
    return n;
}

static uint32_t fold_char(uint32_t c)
{
    size_t low = 0, high = RANGES;

    if (c < 0x80)
        return ascii_lower((uint8_t)c);
    while (low < high) { /* the last range that begins at c or before it is low - 1 */
        const size_t middle = (low + high) / 2;
        if (fold_ranges[middle].first <= c)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return c;
    const struct fold_range *r = &fold_ranges[low - 1];
    if (c > r->last || (c - r->first) % r->step != 0)
        return c;
    return (uint32_t)((int32_t)c + r->distance);
}

size_t fold_case(struct span text, uint8_t *out)
{
    size_t n = 0, len;

    for (; text.n > 0; text = span_from(text, len)) {
        const int32_t c = fold_decode(text, &len);
        if (c < 0)
            out[n++] = text.p[0];
        else
            n += encode(fold_char((uint32_t)c), out + n);
    }
    return n;
}

bool fold_equal(struct span a, struct span b)
{
    uint8_t x[6], y[6];
    size_t a_len, b_len;

    for (; a.n > 0 && b.n > 0; a = span_from(a, a_len), b = span_from(b, b_len)) {
        (void)fold_decode(a, &a_len);
        (void)fold_decode(b, &b_len);
        const size_t n = fold_case(span_sub(a, 0, a_len), x);
        if (!span_eq(span_of(x, n), span_of(y, fold_case(span_sub(b, 0, b_len), y))))
            return false;
    }
    return a.n == 0 && b.n == 0;
}
