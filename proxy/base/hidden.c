#include "base/hidden.h"

#include <stdio.h>

#include "base/text.h"

/* Unicode 15: the categories Cf, Zs, Zl and Zp, the characters that are ignored by default, blank
 * letters, C1 controls and noncharacters, in order. Format characters that are visible (U+0600 and
 * similar) are omitted. A name that ends with '-' is numbered from the start of its range. */
static const struct range {
    uint32_t first, last;
    const char *name;
    unsigned number;
} ranges[] = {
    {0x80, 0x9f, "(a control character)", 0},
    {0xa0, 0xa0, "NO-BREAK SPACE", 0},
    {0xad, 0xad, "SOFT HYPHEN", 0},
    {0x34f, 0x34f, "COMBINING GRAPHEME JOINER", 0},
    {0x61c, 0x61c, "ARABIC LETTER MARK", 0},
    {0x115f, 0x115f, "HANGUL CHOSEONG FILLER", 0},
    {0x1160, 0x1160, "HANGUL JUNGSEONG FILLER", 0},
    {0x1680, 0x1680, "OGHAM SPACE MARK", 0},
    {0x17b4, 0x17b4, "KHMER VOWEL INHERENT AQ", 0},
    {0x17b5, 0x17b5, "KHMER VOWEL INHERENT AA", 0},
    {0x180b, 0x180d, "MONGOLIAN FREE VARIATION SELECTOR", 0},
    {0x180e, 0x180e, "MONGOLIAN VOWEL SEPARATOR", 0},
    {0x180f, 0x180f, "MONGOLIAN FREE VARIATION SELECTOR", 0},
    {0x2000, 0x2000, "EN QUAD", 0},
    {0x2001, 0x2001, "EM QUAD", 0},
    {0x2002, 0x2002, "EN SPACE", 0},
    {0x2003, 0x2003, "EM SPACE", 0},
    {0x2004, 0x2004, "THREE-PER-EM SPACE", 0},
    {0x2005, 0x2005, "FOUR-PER-EM SPACE", 0},
    {0x2006, 0x2006, "SIX-PER-EM SPACE", 0},
    {0x2007, 0x2007, "FIGURE SPACE", 0},
    {0x2008, 0x2008, "PUNCTUATION SPACE", 0},
    {0x2009, 0x2009, "THIN SPACE", 0},
    {0x200a, 0x200a, "HAIR SPACE", 0},
    {0x200b, 0x200b, "ZERO WIDTH SPACE", 0},
    {0x200c, 0x200c, "ZERO WIDTH NON-JOINER", 0},
    {0x200d, 0x200d, "ZERO WIDTH JOINER", 0},
    {0x200e, 0x200e, "LEFT-TO-RIGHT MARK", 0},
    {0x200f, 0x200f, "RIGHT-TO-LEFT MARK", 0},
    {0x2028, 0x2028, "LINE SEPARATOR", 0},
    {0x2029, 0x2029, "PARAGRAPH SEPARATOR", 0},
    {0x202a, 0x202a, "LEFT-TO-RIGHT EMBEDDING", 0},
    {0x202b, 0x202b, "RIGHT-TO-LEFT EMBEDDING", 0},
    {0x202c, 0x202c, "POP DIRECTIONAL FORMATTING", 0},
    {0x202d, 0x202d, "LEFT-TO-RIGHT OVERRIDE", 0},
    {0x202e, 0x202e, "RIGHT-TO-LEFT OVERRIDE", 0},
    {0x202f, 0x202f, "NARROW NO-BREAK SPACE", 0},
    {0x205f, 0x205f, "MEDIUM MATHEMATICAL SPACE", 0},
    {0x2060, 0x2060, "WORD JOINER", 0},
    {0x2061, 0x2061, "FUNCTION APPLICATION", 0},
    {0x2062, 0x2062, "INVISIBLE TIMES", 0},
    {0x2063, 0x2063, "INVISIBLE SEPARATOR", 0},
    {0x2064, 0x2064, "INVISIBLE PLUS", 0},
    {0x2065, 0x2065, "(ignored by default)", 0},
    {0x2066, 0x2066, "LEFT-TO-RIGHT ISOLATE", 0},
    {0x2067, 0x2067, "RIGHT-TO-LEFT ISOLATE", 0},
    {0x2068, 0x2068, "FIRST STRONG ISOLATE", 0},
    {0x2069, 0x2069, "POP DIRECTIONAL ISOLATE", 0},
    {0x206a, 0x206a, "INHIBIT SYMMETRIC SWAPPING", 0},
    {0x206b, 0x206b, "ACTIVATE SYMMETRIC SWAPPING", 0},
    {0x206c, 0x206c, "INHIBIT ARABIC FORM SHAPING", 0},
    {0x206d, 0x206d, "ACTIVATE ARABIC FORM SHAPING", 0},
    {0x206e, 0x206e, "NATIONAL DIGIT SHAPES", 0},
    {0x206f, 0x206f, "NOMINAL DIGIT SHAPES", 0},
    {0x2800, 0x2800, "BRAILLE PATTERN BLANK", 0},
    {0x3000, 0x3000, "IDEOGRAPHIC SPACE", 0},
    {0x3164, 0x3164, "HANGUL FILLER", 0},
    {0xfe00, 0xfe0f, "VARIATION SELECTOR-", 1},
    {0xfeff, 0xfeff, "ZERO WIDTH NO-BREAK SPACE (a byte order mark)", 0},
    {0xffa0, 0xffa0, "HALFWIDTH HANGUL FILLER", 0},
    {0xfff0, 0xfff8, "(ignored by default)", 0},
    {0xfff9, 0xfff9, "INTERLINEAR ANNOTATION ANCHOR", 0},
    {0xfffa, 0xfffa, "INTERLINEAR ANNOTATION SEPARATOR", 0},
    {0xfffb, 0xfffb, "INTERLINEAR ANNOTATION TERMINATOR", 0},
    {0xfffe, 0xffff, "(not a character)", 0},
    {0x13430, 0x1343f, "(a format character of EGYPTIAN HIEROGLYPHS)", 0},
    {0x1bca0, 0x1bca3, "(a format character of SHORTHAND)", 0},
    {0x1d173, 0x1d17a, "(a format character of MUSICAL SYMBOLS)", 0},
    {0xe0000, 0xe00ff, "(a TAG character)", 0},
    {0xe0100, 0xe01ef, "VARIATION SELECTOR-", 17},
    {0xe01f0, 0xe0fff, "(ignored by default)", 0},
};
enum { RANGE_COUNT = sizeof ranges / sizeof *ranges };

static const struct range *range_find(uint32_t c)
{
    size_t low = 0, high = RANGE_COUNT;

    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (c > ranges[middle].last)
            low = middle + 1;
        else
            high = middle;
    }
    return low < RANGE_COUNT && c >= ranges[low].first ? &ranges[low] : NULL;
}

/* The neighbours are ASCII, since A0 is also the second byte of many letters in other encodings. */
static bool is_windows_space(struct span text, size_t at)
{
    return text.p[at] == 0xa0 && (at == 0 || text.p[at - 1] < 0x80) &&
           (at + 1 == text.n || text.p[at + 1] < 0x80);
}

/* Returns the length of the character at `at`. Sets *is to whether it is hidden; if so, *out
 * describes it. */
static size_t look_at(struct span text, size_t at, struct hidden *out, bool *is)
{
    uint32_t c = 0;
    const size_t n = text_char(span_from(text, at), &c);
    const struct range *found = n < 2 ? NULL : range_find(c);

    out->at = at;
    *is = true;
    if (found != NULL && found->number != 0)
        snprintf(out->name, sizeof out->name, "U+%04X %s%u", (unsigned)c, found->name,
                 (unsigned)(c - found->first) + found->number);
    else if (found != NULL)
        snprintf(out->name, sizeof out->name, "U+%04X %s", (unsigned)c, found->name);
    else if (n == 0 && is_windows_space(text, at))
        snprintf(out->name, sizeof out->name, "byte A0 (NO-BREAK SPACE in Windows-1252)");
    else
        *is = false;
    return n == 0 ? 1 : n;
}

bool hidden_find(struct span text, struct hidden *out)
{
    bool is = false;

    for (size_t at = 0; at < text.n && !is;)
        at += text.p[at] < 0x80 ? 1 : look_at(text, at, out, &is);
    return is;
}

bool hidden_find_at_ends(struct span text, struct hidden *out)
{
    bool is = false;

    if (text.n > 0)
        look_at(text, 0, out, &is);
    for (size_t n = 1; n <= 4 && n <= text.n && !is; n++)
        if (look_at(text, text.n - n, out, &is) != n)
            is = false;
    return is;
}
