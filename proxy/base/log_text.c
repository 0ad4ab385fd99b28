#include "base/log_text.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* ---- UTF-8 ---- */

struct rune {
    uint32_t code;
    size_t n; /* bytes */
    bool valid;
};

/* The first character of a value (RFC 3629: shortest form, no surrogates). A byte that is not UTF-8
 * is a rune of its own. */
static struct rune rune_of(struct span value)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const uint8_t first = value.p[0];
    const size_t n = first < 0x80 ? 1 : first < 0xc0 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    const struct rune bad = {.code = first, .n = 1};

    if (n == 0 || n > value.n || first > 0xf4)
        return bad;
    struct rune r = {.code = n == 1 ? first : first & (0x7fu >> n), .n = n, .valid = true};
    for (size_t i = 1; i < n; i++) {
        if ((value.p[i] & 0xc0) != 0x80)
            return bad;
        r.code = r.code << 6 | (value.p[i] & 0x3fu);
    }
    if (r.code < least[n] || (r.code >= 0xd800 && r.code <= 0xdfff) || r.code > 0x10ffff)
        return bad;
    return r;
}

/* ---- characters that are escaped ---- */

/* Unicode's categories Cc, Cf, Zl, Zp and Zs but for U+0020, other characters without a shape
 * (fillers, noncharacters), and U+FFFD, which readers take for a mistake. */
static const uint32_t hidden[][2] = {
    {0x0000, 0x001f},   {0x007f, 0x00a0},   {0x00ad, 0x00ad},   {0x034f, 0x034f},
    {0x0600, 0x0605},   {0x061c, 0x061c},   {0x06dd, 0x06dd},   {0x070f, 0x070f},
    {0x0890, 0x0891},   {0x08e2, 0x08e2},   {0x115f, 0x1160},   {0x1680, 0x1680},
    {0x17b4, 0x17b5},   {0x180b, 0x180f},   {0x2000, 0x200f},   {0x2028, 0x202f},
    {0x205f, 0x206f},   {0x2800, 0x2800},   {0x3000, 0x3000},   {0x3164, 0x3164},
    {0xfdd0, 0xfdef},   {0xfeff, 0xfeff},   {0xffa0, 0xffa0},   {0xfff0, 0xffff},
    {0x110bd, 0x110bd}, {0x110cd, 0x110cd}, {0x13430, 0x1345f}, {0x1bca0, 0x1bca3},
    {0x1d173, 0x1d17a}, {0xe0000, 0xe0fff},
};

static bool is_hidden(uint32_t code)
{
    for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++)
        if (code >= hidden[i][0] && code <= hidden[i][1])
            return true;
    return (code & 0xfffe) == 0xfffe; /* the noncharacters at the end of each plane */
}

/* ---- values ---- */

static bool is_plain(struct rune r)
{
    return r.valid && !is_hidden(r.code) && r.code != ' ' && r.code != '"' && r.code != '=';
}

bool log_text_is_plain(struct span value)
{
    if (value.n == 0 || span_eq(value, span_str("-")))
        return false;
    while (value.n > 0) {
        const struct rune r = rune_of(value);
        if (!is_plain(r))
            return false;
        value = span_from(value, r.n);
    }
    return true;
}

size_t log_text_take(struct span *value, char out[LOG_TEXT_MAX])
{
    const struct span in = *value;
    const struct rune r = rune_of(in);
    int n;

    *value = span_from(in, r.n);
    if (!r.valid) {
        n = snprintf(out, LOG_TEXT_MAX, "\\udc%02x", r.code);
    } else if (r.code == '"' || r.code == '\\') {
        n = snprintf(out, LOG_TEXT_MAX, "\\%c", (char)r.code);
    } else if (!is_hidden(r.code)) {
        memcpy(out, in.p, r.n);
        return r.n;
    } else if (r.code < 0x10000) {
        n = snprintf(out, LOG_TEXT_MAX, "\\u%04x", r.code);
    } else {
        const uint32_t rest = r.code - 0x10000;
        n = snprintf(out, LOG_TEXT_MAX, "\\u%04x\\u%04x", 0xd800 + (rest >> 10),
                     0xdc00 + (rest & 0x3ff));
    }
    return (size_t)n;
}
