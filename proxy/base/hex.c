#include "base/hex.h"

#include "base/ascii.h"

bool hex_read(struct span text, uint8_t *out, size_t n)
{
    if (text.n != 2 * n)
        return false;
    for (size_t i = 0; i < n; i++) {
        const int high = ascii_hex_digit(text.p[2 * i]), low = ascii_hex_digit(text.p[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

void hex_write(char *out, const uint8_t *octets, size_t n)
{
    static const char digit[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digit[octets[i] >> 4];
        out[2 * i + 1] = digit[octets[i] & 0xf];
    }
}
