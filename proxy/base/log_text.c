#include "base/log_text.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

/* ---- UTF-8 ---- */

struct rune {
    uint32_t code;
    size_t n; /* bytes */
    bool valid;
};

/* The first character of a value. A byte that is not UTF-8 is a rune of its own. */
static struct rune rune_of(struct span value)
{
    uint32_t code;
    const size_t n = text_char(value, &code);

    return n == 0 ? (struct rune){.code = value.p[0], .n = 1}
                  : (struct rune){.code = code, .n = n, .valid = true};
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

/* Writes the form of r, whose bytes begin at p. Returns its length. */
static size_t put_rune(struct rune r, const uint8_t *p, char out[LOG_TEXT_MAX])
{
    int n;

    if (r.code == '"' || r.code == '\\') {
        n = snprintf(out, LOG_TEXT_MAX, "\\%c", (char)r.code);
    } else if (!is_hidden(r.code)) {
        memcpy(out, p, r.n);
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

size_t log_text_take(struct span *value, char out[LOG_TEXT_MAX])
{
    const uint8_t *p = value->p;
    const struct rune r = rune_of(*value);

    *value = span_from(*value, r.n);
    return r.valid ? put_rune(r, p, out) : (size_t)snprintf(out, LOG_TEXT_MAX, "\\udc%02x", *p);
}

size_t log_text_take_json(struct span *value, char out[LOG_TEXT_MAX])
{
    const uint8_t *p = value->p;
    const struct rune r = rune_of(*value);
    const bool as_character = r.valid && (r.code < 0xef80 || r.code > 0xefff);

    *value = span_from(*value, as_character ? r.n : 1);
    return as_character ? put_rune(r, p, out)
                        : (size_t)snprintf(out, LOG_TEXT_MAX, "\\uef%02x", *p);
}
