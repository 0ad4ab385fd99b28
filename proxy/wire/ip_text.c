#include "wire/ip_text.h"

#include "base/ascii.h"

bool ip_text_number(struct span *text, unsigned max, unsigned *out)
{
    size_t n = 0;
    unsigned number = 0;

    for (; n < text->n && ascii_is_digit(text->p[n]); n++) {
        number = number * 10 + (text->p[n] - (unsigned)'0');
        if (number > max)
            return false;
    }
    if (n == 0 || (n > 1 && text->p[0] == '0'))
        return false;
    *text = span_from(*text, n);
    *out = number;
    return true;
}

static bool take_octet(struct span *text, char octet)
{
    if (text->n == 0 || text->p[0] != (uint8_t)octet)
        return false;
    *text = span_from(*text, 1);
    return true;
}

bool ip_text_parse4(struct span text, uint8_t ip[4])
{
    for (size_t i = 0; i < 4; i++) {
        unsigned number;
        if ((i > 0 && !take_octet(&text, '.')) || !ip_text_number(&text, 255, &number))
            return false;
        ip[i] = (uint8_t)number;
    }
    return text.n == 0;
}

/* Returns the number of hexadecimal digits at the front of text, at most 5, and their value. */
static size_t hex_run(struct span text, unsigned *value)
{
    size_t n = 0;

    for (*value = 0; n < text.n && n < 5 && ascii_hex_digit(text.p[n]) >= 0; n++)
        *value = *value << 4 | (unsigned)ascii_hex_digit(text.p[n]);
    return n;
}

bool ip_text_parse6(struct span text, uint8_t ip[16])
{
    enum { NO_GAP = 17 };
    size_t n = 0, gap = NO_GAP;

    if (text.n >= 2 && text.p[0] == ':' && text.p[1] == ':') {
        gap = 0;
        text = span_from(text, 2);
    }
    while (text.n > 0) {
        unsigned value;
        const size_t digits = hex_run(text, &value);
        if (digits == 0 || digits > 4 || n == 16)
            return false;
        if (digits < text.n && text.p[digits] == '.') {
            if (n > 12 || !ip_text_parse4(text, ip + n))
                return false;
            n += 4;
            break;
        }
        ip[n++] = (uint8_t)(value >> 8);
        ip[n++] = (uint8_t)value;
        text = span_from(text, digits);
        if (text.n == 0)
            break;
        if (!take_octet(&text, ':') || text.n == 0)
            return false;
        if (take_octet(&text, ':')) {
            if (gap != NO_GAP)
                return false;
            gap = n;
        }
    }
    if (gap == NO_GAP)
        return n == 16;
    if (n > 14) /* "::" is at least one group */
        return false;
    memmove(ip + 16 - (n - gap), ip + gap, n - gap);
    memset(ip + gap, 0, 16 - n);
    return true;
}
